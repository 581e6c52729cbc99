//! What is mounted in a container is changed by `update` while it runs.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::path::Path;

use testkit::{Brig, Client, clients, root};

fn sh(brig: &Brig, script: &str) -> String {
    let out = brig.brig(&["exec", "box", "sh", "-c", script]);
    out.ok().trim().to_owned()
}

fn run(brig: &Brig, flags: &[&str]) {
    let run = ["run", "-d", "--name", "box"];
    brig.brig(&[&run[..], flags, &["bb", "sleep", "100000"]].concat())
        .ok();
}

fn update(brig: &Brig, flags: &[&str]) -> testkit::Output {
    brig.brig(&[&["update"][..], flags, &["box"]].concat())
}

/// Where something is mounted in it that was asked for, as the daemon has it.
fn targets(brig: &Brig) -> Vec<String> {
    let inspect = brig.inspect("box");
    let all = inspect["Mounts"].as_array().unwrap().iter();
    let mut all: Vec<String> = all
        .map(|mount| mount["Destination"].as_str().unwrap().to_owned())
        .collect();
    all.sort();
    all
}

fn pid(brig: &Brig) -> u64 {
    brig.inspect("box")["State"]["Pid"].as_u64().unwrap()
}

/// What the kernel says is mounted there, last.
fn mount_line(brig: &Brig, target: &str) -> Option<String> {
    let table = std::fs::read_to_string(format!("/proc/{}/mountinfo", pid(brig))).unwrap();
    let at = |line: &&str| line.split(' ').nth(4) == Some(target);
    table.lines().rfind(at).map(str::to_owned)
}

#[test]
fn mounts_come_and_go_while_it_runs() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let host = brig.root().join("host");
    std::fs::create_dir_all(&host).unwrap();
    std::fs::write(host.join("file"), "from the host").unwrap();
    run(&brig, &["--tmpfs", "/old"]);
    let first = pid(&brig);
    let bind = format!(
        "type=bind,source={},target=/in/host,readonly",
        host.display()
    );
    let tmpfs = "type=tmpfs,target=/scratch,tmpfs-size=1048576";
    let volume = "type=volume,source=kept,target=/bin-copy";
    let add = [
        "--mount-add",
        &bind,
        "--mount-add",
        tmpfs,
        "--mount-add",
        volume,
    ];
    update(&brig, &[&add[..], &["--mount-rm", "/old"]].concat()).ok();
    let check = |brig: &Brig| {
        assert_eq!(sh(brig, "cat /in/host/file"), "from the host");
        let refused = brig.brig(&["exec", "box", "touch", "/in/host/new"]);
        assert!(refused.stderr.contains("Read-only"), "{refused}");
        assert_eq!(
            sh(brig, "df -k /scratch | tail -1 | awk '{print $2}'"),
            "1024"
        );
        assert_eq!(targets(brig), ["/bin-copy", "/in/host", "/scratch"]);
        assert_eq!(mount_line(brig, "/old"), None);
        // Of the machine's own table nothing is seen, and it sees nothing.
        let own = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!own.contains("/in/host"), "{own}");
    };
    check(&brig);
    sh(&brig, "echo data >/bin-copy/data");
    assert_eq!(pid(&brig), first);
    // Whoever has it counts, though it was not there when that was made.
    let used = brig.brig(&["volume", "rm", "kept"]);
    assert!(used.fails(1).contains("volume is in use"), "{used}");
    brig.kill_daemon();
    brig.start_daemon();
    check(&brig);
    brig.brig(&["restart", "-t", "0", "box"]).ok();
    check(&brig);
    assert_eq!(sh(&brig, "cat /bin-copy/data"), "data");
    update(
        &brig,
        &["--mount-rm", "/bin-copy/", "--mount-rm", "/in/host"],
    )
    .ok();
    assert_eq!(targets(&brig), ["/scratch"]);
    assert_eq!(mount_line(&brig, "/bin-copy"), None);
    brig.brig(&["volume", "rm", "kept"]).ok();
    assert!(host.join("file").exists());
    stopped(&brig);
    brig.finish();
}

/// One that does not run has it from its next start on, whichever client starts it.
fn stopped(brig: &Brig) {
    brig.brig(&["stop", "-t", "0", "box"]).ok();
    update(
        brig,
        &["--mount-add", "type=volume,source=later,target=/later"],
    )
    .ok();
    for client in clients() {
        brig.with(client, &["start", "box"]).ok();
        assert!(mount_line(brig, "/later").is_some(), "{client:?}");
        brig.with(client, &["stop", "-t", "0", "box"]).ok();
    }
    update(brig, &["--mount-rm", "/later"]).ok();
    brig.brig(&["volume", "rm", "later"]).ok();
    brig.brig(&["start", "box"]).ok();
    assert_eq!(mount_line(brig, "/later"), None);
}

#[test]
fn an_empty_volume_is_given_what_the_image_has_there() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    run(&brig, &[]);
    let add = ["--mount-add", "type=volume,source=filled,target=/etc/ssl"];
    brig.brig(&["exec", "box", "true"]).ok();
    update(&brig, &add).ok();
    update(
        &brig,
        &["--mount-add", "type=volume,source=bin,target=/bin"],
    )
    .ok();
    // The image's files, of which the container runs.
    assert_eq!(sh(&brig, "test -x /bin/sh && echo there"), "there");
    let path = brig.brig(&["volume", "inspect", "-f", "{{.Mountpoint}}", "bin"]);
    assert!(
        Path::new(path.ok().trim())
            .join("sh")
            .symlink_metadata()
            .is_ok()
    );
    // The container's own process was executed before: it uses nothing of it.
    update(&brig, &["--mount-rm", "/bin"]).ok();
    assert_eq!(mount_line(&brig, "/bin"), None);
    assert_eq!(targets(&brig), ["/etc/ssl"]);
    brig.brig(&["rm", "-f", "box"]).ok();
    brig.brig(&["volume", "rm", "filled", "bin"]).ok();
    brig.finish();
}

#[test]
fn links_in_the_container_lead_nowhere_else() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    run(&brig, &[]);
    let outside = brig.root().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    let up = "../".repeat(20);
    sh(
        &brig,
        &format!(
            "ln -s {up}{} /out; ln -s /proc/1/root /magic",
            outside.display()
        ),
    );
    update(&brig, &["--mount-add", "type=tmpfs,target=/out/in"]).ok();
    // Where the link leads inside, and not where it would lead on the machine.
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    let inside = format!("{}/in", outside.display());
    assert!(mount_line(&brig, &inside).is_some());
    let own = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!own.contains(&inside), "{own}");
    update(&brig, &["--mount-rm", "/out/in"]).ok();
    assert_eq!(mount_line(&brig, &inside), None);
    let magic = update(&brig, &["--mount-add", "type=tmpfs,target=/magic/in"]);
    assert_ne!(magic.code, 0, "{magic}");
    assert_eq!(targets(&brig), Vec::<String>::new());
    sh(&brig, "ln -s /proc/1 /self");
    let proc = update(&brig, &["--mount-add", "type=tmpfs,target=/self/attr"]);
    assert!(proc.fails(1).contains("it is inside /proc"), "{proc}");
    assert_eq!(targets(&brig), Vec::<String>::new());
    brig.finish();
}

/// A container that moves away what a mount is in, and lays a link there, does not have the daemon take away
/// what hides the kernel's files from it.
#[test]
fn what_hides_the_kernels_files_stays() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    run(&brig, &["--mount", "type=tmpfs,target=/srv/sys"]);
    let masked = mount_line(&brig, "/proc/sys");
    assert!(masked.is_some());
    sh(&brig, "mv /srv /moved; ln -s /proc /srv");
    let refused = update(&brig, &["--mount-rm", "/srv/sys"]);
    assert!(
        refused.fails(1).contains("inside /proc or /sys"),
        "{refused}"
    );
    assert_eq!(mount_line(&brig, "/proc/sys"), masked);
    assert_eq!(targets(&brig), ["/srv/sys"]);
    brig.finish();
}

/// Nor does it lose by the same trick what somebody has mounted elsewhere in it.
#[test]
fn only_what_was_mounted_there_is_taken_away() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    run(
        &brig,
        &[
            "--mount",
            "type=tmpfs,target=/kept/in",
            "--tmpfs",
            "/old/in",
        ],
    );
    update(&brig, &["--mount-add", "type=tmpfs,target=/new/in"]).ok();
    sh(&brig, "touch /kept/in/kept");
    for name in ["new", "old"] {
        sh(&brig, &format!("mv /{name} /away; mv /kept /{name}"));
        let target = format!("/{name}/in");
        let refused = update(&brig, &["--mount-rm", &target]);
        assert!(
            refused.fails(1).contains("something else is there"),
            "{refused}"
        );
        assert_eq!(sh(&brig, &format!("ls /{name}/in")), "kept");
        sh(&brig, &format!("mv /{name} /kept; mv /away /{name}"));
        update(&brig, &["--mount-rm", &target]).ok();
        assert_eq!(mount_line(&brig, &target), None);
    }
    assert_eq!(targets(&brig), ["/kept/in"]);
    assert_eq!(sh(&brig, "ls /kept/in"), "kept");
    brig.finish();
}

#[test]
fn what_cannot_be_mounted_changes_nothing() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    run(&brig, &["--tmpfs", "/data/in", "--tmpfs", "/busy"]);
    let before = targets(&brig);
    let refused = |flags: &[&str], why: &str| {
        let out = update(&brig, flags);
        assert!(out.fails(1).contains(why), "{why}: {out}");
        assert_eq!(targets(&brig), before);
        assert_eq!(mount_line(&brig, "/fine"), None);
        assert!(mount_line(&brig, "/busy").is_some());
    };
    let fine = "type=tmpfs,target=/fine";
    let missing = "type=bind,source=/not/there,target=/x";
    refused(
        &["--mount-add", fine, "--mount-add", missing],
        "bind source path does not exist",
    );
    refused(
        &["--mount-add", fine, "--mount-rm", "/x"],
        "has no mount on /x: it has /busy, /data/in",
    );
    refused(
        &["--mount-add", "type=tmpfs,target=/busy"],
        "Duplicate mount point: /busy",
    );
    for (target, over) in [
        ("/data", "/data/in"),
        ("/proc/x", "/proc"),
        ("/etc", "/etc/hosts"),
    ] {
        let over = if target == "/etc" { "/etc/host" } else { over };
        let mount = format!("type=tmpfs,target={target}");
        refused(
            &["--mount-add", &mount],
            &format!("would lie over what is on {over}"),
        );
    }
    // A process of the container is in it: what comes with it goes again.
    brig.brig(&["exec", "-d", "box", "sh", "-c", "cd /busy; sleep 100000"])
        .ok();
    testkit::until("somebody is in it", || {
        let script = "ls -l /proc/[0-9]*/cwd | grep -q 'busy$' && echo yes";
        let out = brig.brig(&["exec", "box", "sh", "-c", script]);
        (out.stdout.trim() == "yes").then_some(())
    });
    refused(
        &[
            "--mount-rm",
            "/busy",
            "--mount-add",
            fine,
            "--mount-add",
            "type=volume,source=new,target=/v",
        ],
        "/busy is in use in the container",
    );
    // A volume that was made for it is gone with it.
    brig.brig(&["volume", "inspect", "new"]).fails(1);
    brig.finish();
}

#[test]
fn dockers_client_starts_what_was_changed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients().into_iter().filter(|c| *c != Client::Brig) {
        brig.with(
            client,
            &["create", "--name", "box", "bb", "sleep", "100000"],
        )
        .ok();
        update(&brig, &["--mount-add", "type=tmpfs,target=/t"]).ok();
        brig.with(client, &["start", "box"]).ok();
        assert!(mount_line(&brig, "/t").is_some());
        let shown = brig.with(
            client,
            &["inspect", "-f", "{{json .HostConfig.Mounts}}", "box"],
        );
        assert!(shown.ok().contains("/t"), "{shown}");
        brig.with(client, &["rm", "-f", "box"]).ok();
    }
    brig.finish();
}
