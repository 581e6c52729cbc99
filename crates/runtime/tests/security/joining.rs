//! Joining a container whose first process is hostile.

use std::time::Duration;

use serde_json::json;

use crate::help::{await_file, call, delete, grant, inside, start, treasure, writable};
use crate::support::{Bundle, text, write_script};

fn hostile(script: &str) -> Bundle {
    let mut bundle = writable(&format!(
        "{script} && echo yes > /ready; while :; do sleep 1; done"
    ));
    grant(
        &mut bundle,
        &["CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_KILL"],
    );
    crate::help::applets(&bundle, &["chroot", "pivot_root", "mkfifo"]);
    bundle
}

/// A root of its own does not lead who joins elsewhere.
#[test]
fn a_first_process_in_another_root_can_be_joined() {
    need_containers!();
    let (_dir, file) = treasure();
    let bundle = hostile("mkdir -p /jail && mount --bind / /jail && echo in > /where");
    start(&bundle);
    await_file(&bundle.in_root("ready"));
    let printed = inside(&bundle, &["sh", "-c", "cat /where; ls / | grep -c jail"]);
    assert_eq!(printed, "in\n1\n");
    let seen = bundle.output(&["exec", "ID", "cat", file.to_str().unwrap()]);
    assert_eq!(seen.status.code(), Some(1));
    delete(&bundle);
}

/// The terminal is opened in what the container has for /dev/pts: what is none is refused, and
/// nothing there keeps the runtime waiting.
#[test]
fn false_terminals_are_refused() {
    need_containers!();
    let fakes = [
        "umount -l /dev/pts; rm -rf /dev/pts/*; mkfifo /dev/pts/ptmx",
        "umount -l /dev/pts; mkdir -p /dev/pts; echo > /dev/pts/ptmx",
        "umount -l /dev/pts; ln -s /proc/1/root/etc/passwd /dev/pts/ptmx",
        "umount -l /dev/pts; mount -t tmpfs x /dev/pts; ln -s /dev/null /dev/pts/ptmx",
        "umount -l /dev/pts",
    ];
    for fake in fakes {
        let bundle = hostile(fake);
        start(&bundle);
        await_file(&bundle.in_root("ready"));
        let output = bundle.output(&["exec", "-t", "ID", "true"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{fake}: {said}");
        assert!(said.contains("terminal"), "{fake}: {said}");
        delete(&bundle);
    }
}

/// Programs and libraries of the container run as its processes and never as the runtime.
#[test]
fn programs_of_the_container_run_in_it_only() {
    need_containers!();
    let bundle = hostile("ln -sf /bin/evil /bin/id");
    let evil = "#!/bin/sh\necho $$ evil; ls /proc/self/fd\n";
    write_script(&bundle.in_root("bin/evil"), evil);
    start(&bundle);
    await_file(&bundle.in_root("ready"));
    let printed = inside(&bundle, &["id"]);
    assert!(
        printed.contains(" evil\n") && printed.ends_with("0\n1\n2\n3\n"),
        "{printed}"
    );
    delete(&bundle);
}

/// A process that joins is stopped by the container before it is at its command: it is given up.
/// Here the container kills whatever it sees.
#[test]
fn who_is_killed_while_joining_is_told() {
    need_containers!();
    let bundle = hostile("true");
    let mut bundle = bundle;
    bundle.config["process"]["args"] = json!([
        "sh",
        "-c",
        "echo yes > /ready; while :; do kill -9 -1; done 2>/dev/null"
    ]);
    start(&bundle);
    await_file(&bundle.in_root("ready"));
    for _ in 0..20 {
        let mut child = bundle
            .command(&["exec", "ID", "sleep", "1000"])
            .spawn()
            .unwrap();
        let pidfd = sys::pidfd::open(i32::try_from(child.id()).unwrap()).unwrap();
        let ended = sys::pidfd::ended_within(&pidfd, Duration::from_secs(60)).unwrap();
        assert!(ended, "the runtime waits for a dead process");
        let code = child.wait().unwrap().code();
        assert!([Some(137), Some(255)].contains(&code), "{code:?}");
    }
    delete(&bundle);
}

/// What joins is in the container's cgroup from its first moment, whatever the container does.
#[test]
fn who_joins_is_in_the_cgroup() {
    need_containers!();
    let bundle = hostile("umount -l /sys");
    start(&bundle);
    await_file(&bundle.in_root("ready"));
    let printed = inside(&bundle, &["cat", "/proc/self/cgroup"]);
    assert!(
        printed.lines().all(|line| line.ends_with(":/")),
        "{printed}"
    );
    let (code, said) = call(&bundle, &["exec", "-d", "ID", "sleep", "1000"]);
    assert_eq!(code, Some(0), "{said}");
    delete(&bundle);
}
