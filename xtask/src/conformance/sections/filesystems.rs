//! config-linux.md, Default Filesystems, and what is common under /dev.

use anyhow::Result;
use serde_json::json;

use super::super::find::{holds, mount_at, mounts, same, succeeded};
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "filesystems/proc",
        "config-linux.md, Default Filesystems: /proc of type proc SHOULD be there",
        |suite| kind(suite, "/proc", "proc"),
    ),
    (
        "filesystems/sys",
        "config-linux.md, Default Filesystems: /sys of type sysfs SHOULD be there",
        |suite| kind(suite, "/sys", "sysfs"),
    ),
    (
        "filesystems/pts",
        "config-linux.md, Default Filesystems: /dev/pts of type devpts SHOULD be there",
        |suite| kind(suite, "/dev/pts", "devpts"),
    ),
    (
        "filesystems/shm",
        "config-linux.md, Default Filesystems: /dev/shm of type tmpfs SHOULD be there",
        |suite| kind(suite, "/dev/shm", "tmpfs"),
    ),
    (
        "filesystems/none-more",
        "config.md, Mounts: what is mounted is what is listed, and what devices and masks need",
        none_more,
    ),
    (
        "filesystems/shm-writable",
        "config.md, Mounts: the options are those of the list: /dev/shm with mode 1777",
        shm,
    ),
    (
        "filesystems/proc-is-the-containers",
        "config-linux.md, Namespaces: /proc shows the processes of the container's pid namespace",
        own_proc,
    ),
    (
        "filesystems/cgroup",
        "config.md, POSIX-platform Mounts: a mount of type cgroup shows the container's cgroups",
        cgroup,
    ),
    (
        "filesystems/cgroup-readonly",
        "config.md, Linux mount options: ro holds for the cgroups as well",
        cgroup_readonly,
    ),
];

fn kind(suite: &Suite, path: &str, kind: &str) -> Result<()> {
    let mount = mount_at(&suite.bundle()?.report()?, path)?;
    same("type", mount.kind.as_str(), kind)
}

fn none_more(suite: &Suite) -> Result<()> {
    let report = suite.bundle()?.report()?;
    let listed = [
        "/",
        "/proc",
        "/dev",
        "/dev/pts",
        "/dev/shm",
        "/dev/mqueue",
        "/sys",
    ];
    for mount in mounts(&report)? {
        // Devices may be bind mounts.
        let expected = listed.contains(&mount.point.as_str()) || mount.point.starts_with("/dev/");
        holds("the mount is one of the list", expected, mount)?;
    }
    Ok(())
}

fn shm(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let done = bundle.ops(&[&["stat", "/dev/shm"], &["create", "/dev/shm/x"]])?;
    same("mode", done[0]["ok"]["mode"].as_u64(), Some(0o1777))?;
    succeeded(&done[1])
}

fn own_proc(suite: &Suite) -> Result<()> {
    same(
        "processes",
        &suite.bundle()?.report()?["processes"],
        &json!([1]),
    )
}

/// Asks for the cgroups, and for a file that is in each.
fn with_cgroup(suite: &Suite, options: &[&str]) -> Result<[serde_json::Value; 2]> {
    let mut bundle = suite.bundle()?;
    // Without a namespace of its own a mount of version 2 is the whole hierarchy.
    if suite.machine.cgroups.is_v2() {
        bundle.namespace(json!({ "type": "cgroup" }));
    }
    bundle.mount("cgroup", "cgroup", "/sys/fs/cgroup", options);
    let top = if suite.machine.cgroups.is_v2() {
        ""
    } else {
        "/pids"
    };
    suite.machine.cgroups.directory("pids", "")?;
    let [procs, new] = ["cgroup.procs", "new"].map(|name| format!("/sys/fs/cgroup{top}/{name}"));
    let mut done = bundle.ops(&[&["read", &procs], &["mkdir", &new]])?;
    Ok([done.remove(0), done.remove(0)])
}

fn cgroup(suite: &Suite) -> Result<()> {
    let [read, _] = with_cgroup(suite, &["nosuid", "noexec", "nodev", "relatime", "ro"])?;
    same("the processes in it", &read["ok"], &json!("1\n"))
}

fn cgroup_readonly(suite: &Suite) -> Result<()> {
    let [_, made] = with_cgroup(suite, &["nosuid", "noexec", "nodev", "relatime", "ro"])?;
    super::super::find::failed_with(&made, 30)
}
