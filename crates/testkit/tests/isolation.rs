//! What is on without being asked for: namespaces, capabilities, seccomp, masked paths, devices, a
//! root of its own.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;

use testkit::{Brig, Client, clients, root};

/// What a script prints in a plain container.
fn inside(brig: &Brig, script: &str) -> String {
    brig.brig(&["run", "--rm", "--network", "none", "bb", "sh", "-c", script])
        .ok()
        .to_owned()
}

#[test]
fn every_namespace_is_its_own() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let shown = inside(
        &brig,
        "for n in pid mnt net ipc uts cgroup; do readlink /proc/self/ns/$n; done",
    );
    for namespace in shown.lines() {
        let (name, _) = namespace.split_once(':').unwrap();
        let own = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert_ne!(own.to_str().unwrap(), namespace, "{name} is the machine's");
    }
    assert_eq!(shown.lines().count(), 6, "{shown}");
    assert_eq!(inside(&brig, "echo $$"), "1");
    assert_eq!(
        inside(&brig, "cat /proc/self/cgroup | cut -d: -f3 | sort -u"),
        "/"
    );
    brig.finish();
}

#[test]
fn the_default_capabilities_are_dockers() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let shown = inside(&brig, "grep Cap /proc/self/status");
    let expected = "00000000a80425fb";
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert!(shown.contains(&format!("{set}:\t{expected}")), "{shown}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert!(
            shown.contains(&format!("{set}:\t0000000000000000")),
            "{shown}"
        );
    }
    // Another user has none of them.
    let user = brig.brig(&[
        "run",
        "--rm",
        "-u",
        "33",
        "bb",
        "grep",
        "CapEff",
        "/proc/self/status",
    ]);
    assert!(user.ok().ends_with("0000000000000000"), "{user}");
    brig.finish();
}

#[test]
fn the_seccomp_profile_is_on() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    // A user namespace takes no right: what is in its way is the filter.
    let script = "grep '^Seccomp:' /proc/self/status; unshare -U true 2>&1; true";
    let shown = inside(&brig, script);
    assert!(shown.contains("Seccomp:\t2"), "{shown}");
    assert!(shown.to_lowercase().contains("not permitted"), "{shown}");
    let flags = ["--security-opt", "seccomp=unconfined"];
    let shown = opened(&brig, &flags, script);
    assert_eq!(shown, "Seccomp:\t0");
    brig.finish();
}

/// What a script prints in a container with some fences opened or closed.
fn opened(brig: &Brig, flags: &[&str], script: &str) -> String {
    let words = [&["run", "--rm"], flags, &["bb", "sh", "-c", script]].concat();
    brig.brig(&words).ok().to_owned()
}

#[test]
fn new_privileges_are_there_until_they_are_taken() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let script = "grep NoNewPrivs /proc/self/status";
    let network = ["--network", "none"];
    assert_eq!(opened(&brig, &network, script), "NoNewPrivs:\t0");
    let closed = [&network[..], &["--security-opt", "no-new-privileges"]].concat();
    assert_eq!(opened(&brig, &closed, script), "NoNewPrivs:\t1");
    brig.finish();
}

#[test]
fn fences_are_opened_by_name() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let shown = opened(&brig, &["--network", "host"], "readlink /proc/self/ns/net");
    assert_eq!(Some(shown.as_str()), own.to_str());

    let closed = ["--network", "none"];
    let added = [&closed[..], &["--cap-add", "NET_ADMIN"]].concat();
    let shown = opened(&brig, &added, "grep CapEff /proc/self/status");
    assert_eq!(shown, "CapEff:\t00000000a80435fb");

    let devices = [
        "/dev/fuse",
        "/dev/net/tun",
        "/dev/loop-control",
        "/dev/kmsg",
    ];
    match devices.iter().find(|path| fs::metadata(path).is_ok()) {
        None => eprintln!("SKIP: this machine has none of {devices:?}"),
        Some(device) => {
            let script = format!("[ -c {device} ] && echo there");
            let given = [&closed[..], &["--device", device]].concat();
            assert_eq!(opened(&brig, &given, &script), "there", "{device}");
        }
    }

    let privileged = [&closed[..], &["--privileged"]].concat();
    let shown = opened(
        &brig,
        &privileged,
        "grep -c ' /proc/sys ' /proc/mounts; true",
    );
    assert_eq!(shown, "0", "/proc/sys is read-only");
    let few: usize = inside(&brig, "ls /dev | wc -l").parse().unwrap();
    let all: usize = opened(&brig, &privileged, "ls /dev | wc -l")
        .parse()
        .unwrap();
    assert!(all > few, "{all} devices, {few} without a flag");
    brig.finish();
}

#[test]
fn paths_of_the_kernel_are_masked_or_read_only() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let script = "cat /proc/kcore | wc -c; cat /proc/keys | wc -c; ls /proc/acpi /sys/firmware 2>/dev/null | grep -v : | grep -c . ; \
        for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/uevent_helper; do (echo x > $f) 2>/dev/null && echo \"wrote $f\"; done; true";
    let shown = inside(&brig, script);
    assert_eq!(
        shown.split_whitespace().collect::<Vec<_>>(),
        ["0", "0", "0"]
    );
    let mounts = inside(&brig, "cat /proc/mounts");
    for read_only in [
        "/proc/bus",
        "/proc/fs",
        "/proc/irq",
        "/proc/sys",
        "/proc/sysrq-trigger",
        "/sys ",
    ] {
        if !std::path::Path::new(read_only.trim()).exists() {
            eprintln!("SKIP: this kernel has no {read_only}");
            continue;
        }
        let line = mounts
            .lines()
            .find(|l| l.contains(&format!(" {read_only}")) && l.contains(" ro"));
        assert!(line.is_some(), "{read_only} is writable:\n{mounts}");
    }
    brig.finish();
}

#[test]
fn devices_are_the_few_and_no_others() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    // `core` only where the kernel shows its memory.
    let shown = inside(&brig, "ls /dev");
    let expected = [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout", "tty", "urandom", "zero",
    ];
    assert_eq!(
        shown
            .split_whitespace()
            .filter(|name| *name != "core")
            .collect::<Vec<_>>(),
        expected
    );
    let made = inside(
        &brig,
        "mknod /tmp/mem c 1 1 && cat /tmp/mem 2>&1 | head -c 100; mknod /tmp/zero c 1 5 && head -c 3 /tmp/zero | wc -c",
    );
    assert!(made.contains("not permitted"), "{made}");
    assert!(made.ends_with('3'), "{made}");
    brig.finish();
}

#[test]
fn names_and_addresses_are_in_etc() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let create = [
            "create",
            "--name",
            "etc",
            "bb",
            "sh",
            "-c",
            "hostname; cat /etc/hostname; cat /etc/hosts; ls -l /etc/resolv.conf; ls -la /etc/mtab; ls -l /.dockerenv",
        ];
        let id = brig.with(client, &create).ok().to_owned();
        let shown = brig.with(client, &["start", "-a", "etc"]);
        let lines = shown.lines();
        assert_eq!(&lines[..2], [&id[..12], &id[..12]]);
        assert!(
            lines
                .iter()
                .any(|l| l.starts_with("127.0.0.1") && l.contains("localhost")),
            "{shown}"
        );
        assert!(shown.stdout.contains("/proc/mounts"), "{shown}");
        assert!(shown.stdout.contains("-rwxr-xr-x"), "{shown}");
        // None of it is the container's own.
        assert_eq!(brig.with(client, &["diff", "etc"]).ok(), "", "{shown}");
        brig.with(client, &["rm", "etc"]).ok();
    }
    brig.finish();
}

#[test]
fn layers_are_never_written_through() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let write = "echo changed > /etc/passwd; rm /bin/ls; mkdir /new; echo x > /new/file; chown 33 /home; ls / | wc -l";
    brig.brig(&["run", "--name", "first", "bb", "sh", "-c", write])
        .ok();
    assert!(inside(&brig, "cat /etc/passwd").contains("root:x:0"));
    assert_eq!(
        inside(&brig, "ls -d /new 2>/dev/null; ls /bin/ls"),
        "/bin/ls"
    );
    // Its own layer keeps what it wrote.
    brig.brig(&["start", "first"]).ok();
    brig.brig(&["wait", "first"]).ok();
    brig.brig(&["rm", "first"]).ok();
    brig.finish();
}

#[test]
fn nothing_of_a_container_is_on_the_machines_mount_table() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["run", "-d", "--name", "quiet", "bb", "sleep", "1000"])
        .ok();
    assert!(brig.leftovers().mounts.is_empty(), "{}", brig.leftovers());
    let cgroup = inside(&brig, "cat /proc/1/environ; env");
    assert!(
        !cgroup.contains(brig.root().to_str().unwrap()),
        "the machine's paths leak: {cgroup}"
    );
    brig.finish();
}

#[test]
fn open_files_of_the_machine_do_not_come_along() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    // Neither through a pipe nor into a file: the shell itself would hold those for a moment. And not
    // at last, where the shell would become that ls.
    let shown = inside(&brig, "ls /proc/self/fd; echo and; ls /proc/1/fd; true");
    // Three streams, and the directory that the first ls reads; the shell has its three.
    let expected = ["0", "1", "2", "3", "and", "0", "1", "2"];
    assert_eq!(shown.split_whitespace().collect::<Vec<_>>(), expected);
    brig.finish();
}

#[test]
fn processes_inside_see_only_each_other() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let shown = brig.with(Client::Brig, &["run", "--rm", "bb", "ps", "-o", "pid,args"]);
    assert_eq!(shown.lines().len(), 2, "{shown}");
    brig.finish();
}
