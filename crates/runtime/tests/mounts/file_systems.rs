//! File systems, the root, and what is masked in them.

use std::os::unix::fs::{DirBuilderExt as _, symlink};

use serde_json::{Value, json};
use sys::mount::Propagation;

use crate::support::Bundle;
use crate::{assert_options, in_user_namespace, propagate, with_own_mounts, without_namespace};

#[test]
fn options_of_every_file_system_reach_it() {
    need_containers!();
    let mut bundle = Bundle::new(&["cat", "/proc/self/mounts"]);
    let options = [
        "defaults", "sync", "dirsync", "lazytime", "silent", "iversion", "async", "sync", "nosuid",
    ];
    bundle.mount(json!({"destination": "/mnt", "type": "tmpfs", "options": options}));
    let wanted = ["sync", "dirsync", "lazytime", "nosuid"];
    assert_options(&bundle.run(), "/mnt", &wanted, &["noexec"], "tmpfs");
}

#[test]
fn a_remount_changes_what_is_there() {
    need_containers!();
    let mut bundle = Bundle::script("cat /proc/self/mounts; df -k /mnt | tail -n 1");
    symlink("busybox", bundle.in_root("bin/df")).unwrap();
    bundle.mount(json!({"destination": "/mnt", "type": "tmpfs", "options": ["size=4m"]}));
    let options = ["remount", "ro", "noexec", "size=1m"];
    bundle.mount(json!({"destination": "/mnt", "options": options}));
    let printed = bundle.run();
    assert_options(
        &printed,
        "/mnt",
        &["ro", "noexec", "size=1024k"],
        &[],
        "remount",
    );
    let nothing_there = json!({"destination": "/etc", "options": ["remount", "ro"]});
    bundle.mount(nothing_there);
    let said = bundle.fail();
    assert!(said.contains("cannot change the mount on /etc"), "{said}");
}

#[test]
fn the_root_is_no_mount_point() {
    need_containers!();
    for target in ["/", "/.", "//", ""] {
        let mut bundle = Bundle::new(&["true"]);
        bundle.mount(json!({"destination": target, "type": "tmpfs"}));
        let said = bundle.fail();
        assert!(said.contains(".destination: is the root"), "{said}");
    }
}

/// The fields of the root's line in mountinfo that tell its propagation.
fn root_propagation(bundle: &Bundle) -> String {
    let table = bundle.run();
    let line = table
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"));
    let fields = line.unwrap().split(' ').skip(6);
    let fields: Vec<_> = fields.take_while(|field| *field != "-").collect();
    fields.join(" ")
}

/// config-linux.md, "Rootfs Mount Propagation".
#[test]
fn the_root_has_the_propagation_asked_for() {
    need_containers!();
    let cases = [
        (None, ""),
        (Some("private"), ""),
        (Some("rprivate"), ""),
        (Some("slave"), "master:"),
        (Some("rslave"), "master:"),
        (Some("shared"), "shared:"),
        (Some("rshared"), "shared:"),
        (Some("unbindable"), "unbindable"),
    ];
    with_own_mounts(move || {
        for (asked, expected) in cases {
            let mut bundle = Bundle::new(&["cat", "/proc/self/mountinfo"]);
            // The root is on a mount that is shared with others of the machine.
            let root = bundle.in_root("");
            let itself = sys::mount::bind(&root, false).unwrap();
            itself.attach(sys::fd::open_path(&root).unwrap()).unwrap();
            propagate(&root, Propagation::Shared);
            let table = || std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
            let before = table();
            if let Some(asked) = asked {
                bundle.config["linux"]["rootfsPropagation"] = json!(asked);
            }
            let got = root_propagation(&bundle);
            assert!(got.starts_with(expected), "{asked:?}: {got:?}");
            assert_eq!(got.is_empty(), expected.is_empty(), "{asked:?}: {got:?}");
            // What the container mounts in its root stays there.
            assert_eq!(table(), before, "{asked:?}");
            sys::mount::detach(&root).unwrap();
        }
    });
    let mut bundle = Bundle::new(&["true"]);
    bundle.config["linux"]["rootfsPropagation"] = json!("sideways");
    assert!(bundle.fail().contains("linux.rootfsPropagation"));
}

#[test]
fn what_a_user_namespace_may_not_mount_is_bound() {
    need_containers!();
    let mut bundle = Bundle::script(
        "cat /proc/self/mounts; ls /sys/kernel >/dev/null && echo sys; \
         touch /sys/kernel/x 2>/dev/null || echo closed; echo $$ > /dev/null; \
         test -d /proc/self && echo proc",
    );
    in_user_namespace(&mut bundle);
    // Of neither kind has the container one of its own.
    without_namespace(&mut bundle, "network");
    without_namespace(&mut bundle, "pid");
    let printed = bundle.run();
    assert!(printed.ends_with("sys\nclosed\nproc\n"), "{printed}");
    assert_options(
        &printed,
        "/sys",
        &["ro", "nosuid", "nodev", "noexec"],
        &[],
        "/sys",
    );
}

#[test]
fn with_the_machines_network_sysfs_is_mounted_all_the_same() {
    need_containers!();
    let mut bundle = Bundle::script("ls -d /sys/class/net/lo; cat /proc/self/mounts");
    without_namespace(&mut bundle, "network");
    let printed = bundle.run();
    assert!(printed.starts_with("/sys/class/net/lo\n"), "{printed}");
    assert_options(&printed, "/sys", &["ro"], &[], "/sys");
}

#[test]
fn cgroup_mounts_are_read_only_when_asked_for() {
    need_containers!();
    for own_namespace in [true, false] {
        let mut bundle = Bundle::new(&["cat", "/proc/self/mounts"]);
        without_namespace(&mut bundle, "cgroup");
        if own_namespace {
            let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.push(json!({"type": "cgroup"}));
        }
        let printed = bundle.run();
        let places: Vec<_> = printed
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|path| path.starts_with("/sys/fs/cgroup"))
            .collect();
        assert!(!places.is_empty(), "{printed}");
        for place in places {
            assert_options(
                &printed,
                place,
                &["ro", "nosuid", "nodev", "noexec"],
                &["rw"],
                place,
            );
        }
    }
}

#[test]
fn masked_directories_are_one_file_system() {
    need_containers!();
    let mut bundle = Bundle::script("stat -c %d /a /b /c; touch /b/x 2>/dev/null || echo closed");
    for name in ["a", "b", "c"] {
        std::fs::create_dir(bundle.in_root(name)).unwrap();
    }
    bundle.config["linux"]["maskedPaths"] = json!(["/a", "/b", "/c"]);
    let printed = bundle.run();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 4, "{printed}");
    assert!(
        lines[0] == lines[1] && lines[1] == lines[2] && lines[3] == "closed",
        "{printed}"
    );
}

/// config-linux.md, "Masked Paths" and "Readonly Paths": "The values MUST be absolute paths in the
/// container namespace."
#[test]
fn masked_and_read_only_paths_are_absolute() {
    need_containers!();
    for field in ["maskedPaths", "readonlyPaths"] {
        let mut bundle = Bundle::new(&["true"]);
        bundle.config["linux"][field] = json!(["/proc/keys", "proc/kcore"]);
        let said = bundle.fail();
        assert!(said.contains("is no absolute path"), "{said}");
    }
}

#[test]
fn a_tmpfs_has_the_mode_of_what_it_covers() {
    need_containers!();
    let mut bundle = Bundle::script("stat -c %a /there /said /new /new/deep");
    for name in ["there", "said"] {
        let mut made = std::fs::DirBuilder::new();
        made.mode(0o710).create(bundle.in_root(name)).unwrap();
    }
    let tmpfs = |target: &str, options: Value| json!({"destination": target, "type": "tmpfs", "options": options});
    bundle.mount(tmpfs("/there", json!([])));
    bundle.mount(tmpfs("/said", json!(["mode=1500"])));
    bundle.mount(tmpfs("/new/deep", json!([])));
    assert_eq!(bundle.run(), "710\n1500\n755\n1777\n");
}
