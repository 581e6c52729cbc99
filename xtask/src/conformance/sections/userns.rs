//! config-linux.md, User namespace mappings.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use anyhow::Result;
use serde_json::{Value, json};

use super::super::bundle::Bundle;
use super::super::find::{holds, same, status, succeeded, text};
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "user-namespace/uids",
        "config-linux.md, User namespace mappings: uidMappings map host's to container's",
        |suite| map(suite, "uid_map"),
    ),
    (
        "user-namespace/gids",
        "config-linux.md, User namespace mappings: gidMappings map host's to container's",
        |suite| map(suite, "gid_map"),
    ),
    (
        "user-namespace/several",
        "config-linux.md, User namespace mappings: there may be several entries",
        several,
    ),
    (
        "user-namespace/root-outside",
        "config-linux.md, User namespace mappings: hostID is the id on the host mapped to containerID",
        root_outside,
    ),
    (
        "user-namespace/user",
        "config.md, User: uid and gid are those in the container namespace",
        user,
    ),
    (
        "user-namespace/groups",
        "config.md, User: additionalGids are those in the container namespace",
        groups,
    ),
    (
        "user-namespace/unmapped-user",
        "config.md, Valid values: a user that the namespace does not have MUST be an error",
        unmapped_user,
    ),
    (
        "user-namespace/no-ownership-change",
        "config-linux.md, User namespace mappings: ownership of file systems SHOULD NOT be modified",
        no_ownership_change,
    ),
    (
        "user-namespace/owns-others",
        "config-linux.md, Namespaces: the other namespaces belong to the user namespace",
        owns_others,
    ),
    (
        "user-namespace/devices",
        "config-linux.md, Default Devices: they MUST be supplied in a user namespace as well",
        devices,
    ),
    (
        "user-namespace/readonly-root",
        "config.md, Root: readonly holds in a user namespace as well",
        readonly_root,
    ),
    (
        "user-namespace/capabilities",
        "config.md, Linux Process: capabilities are those in the user namespace",
        capabilities,
    ),
    (
        "user-namespace/mapping-overlap",
        "config.md, Valid values: mappings that the kernel refuses MUST be an error",
        mapping_overlap,
    ),
    (
        "user-namespace/exec-joins",
        "config-linux.md, Namespaces: a process that is exec'd is in the container's namespaces",
        exec_joins,
    ),
    (
        "user-namespace/idmapped-volume",
        "config.md, Linux mount options: idmap with the container's mapping lets its root own what root owns",
        idmapped_volume,
    ),
];

fn with_users(suite: &Suite) -> Result<Bundle<'_>> {
    let mut bundle = suite.bundle()?;
    bundle.user_namespace();
    Ok(bundle)
}

fn lines(report: &Value, name: &str) -> Result<Vec<String>> {
    let lines = text(report, name)?.lines();
    Ok(lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect())
}

fn map(suite: &Suite, name: &str) -> Result<()> {
    same(
        name,
        lines(&with_users(suite)?.report()?, name)?,
        ["0 100000 65536"],
    )
}

fn several(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    let maps = json!([
        { "containerID": 0, "hostID": 100_000, "size": 1000 },
        { "containerID": 1000, "hostID": 300_000, "size": 10 },
        { "containerID": 5000, "hostID": 400_000, "size": 1 },
    ]);
    bundle.set("/linux/uidMappings", maps.clone());
    bundle.set("/linux/gidMappings", maps);
    let wanted = ["0 100000 1000", "1000 300000 10", "5000 400000 1"];
    let report = bundle.report()?;
    same("uid_map", lines(&report, "uid_map")?, wanted)?;
    same("gid_map", lines(&report, "gid_map")?, wanted)
}

fn root_outside(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    let report = container.first_report()?;
    same("inside", status(&report, "Uid")?, "0\t0\t0\t0")?;
    let outside = fs::metadata(format!("/proc/{}", container.pid))?;
    let status = fs::read_to_string(format!("/proc/{}/status", container.pid))?;
    holds(
        "it is user 100000 outside",
        status.contains("Uid:\t100000\t100000"),
        outside.uid(),
    )
}

fn user(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 2000 }));
    let report = bundle.report()?;
    same(
        "user ids",
        status(&report, "Uid")?,
        "1000\t1000\t1000\t1000",
    )?;
    same(
        "group ids",
        status(&report, "Gid")?,
        "2000\t2000\t2000\t2000",
    )
}

fn groups(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    bundle.set(
        "/process/user",
        json!({ "uid": 1, "gid": 2, "additionalGids": [30, 40] }),
    );
    let report = bundle.report()?;
    let seen = status(&report, "Groups")?.split_whitespace();
    let seen: Vec<&str> = seen.filter(|group| *group != "2").collect();
    same("groups", seen, ["30", "40"])
}

fn unmapped_user(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    bundle.set("/process/user", json!({ "uid": 70_000, "gid": 0 }));
    bundle.refused().map(drop)
}

fn no_ownership_change(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    bundle.file("etc/mine", "x")?;
    bundle.report()?;
    for name in ["etc/mine", "etc", ""] {
        same(name, fs::metadata(bundle.in_root(name))?.uid(), 0)?;
    }
    Ok(())
}

fn owns_others(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    // Only whom the namespaces belong to may do these.
    let all = ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"];
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(&format!("/process/capabilities/{set}"), json!(all));
    }
    let script = "ip link set lo up && echo net; mount -t tmpfs tmpfs /mnt && echo mnt";
    bundle.args(&["/bin/sh", "-c", script]);
    same("what root inside may do", bundle.run()?.trim(), "net\nmnt")
}

fn devices(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    let done = bundle.ops(&[
        &["open", "/dev/null", "rw"],
        &["open", "/dev/zero", "r"],
        &["open", "/dev/urandom", "r"],
        &["open", "/dev/full", "r"],
    ])?;
    done.iter().try_for_each(succeeded)
}

fn readonly_root(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    bundle.set("/root/readonly", json!(true));
    let mount = super::super::find::mount_at(&bundle.report()?, "/")?;
    holds("the root's mount is read-only", mount.has("ro"), mount)
}

fn capabilities(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(
            &format!("/process/capabilities/{set}"),
            json!(["CAP_CHOWN", "CAP_SYS_ADMIN"]),
        );
    }
    same(
        "CapEff",
        status(&bundle.report()?, "CapEff")?,
        "0000000000200001",
    )
}

fn mapping_overlap(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    let maps = json!([
        { "containerID": 0, "hostID": 100_000, "size": 1000 },
        { "containerID": 500, "hostID": 300_000, "size": 1000 },
    ]);
    bundle.set("/linux/uidMappings", maps);
    bundle.refused().map(drop)
}

fn exec_joins(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    let first = container.first_report()?;
    let said = bundle.call(&["exec", &bundle.id, "/probe", "report"])?;
    holds("exec works", said.ok(), &said)?;
    let second: Value = serde_json::from_str(&said.out)?;
    for name in ["user", "mnt", "pid", "net", "ipc", "uts"] {
        same(
            name,
            &second["namespaces"][name],
            &first["namespaces"][name],
        )?;
    }
    Ok(())
}

fn idmapped_volume(suite: &Suite) -> Result<()> {
    let mut bundle = with_users(suite)?;
    fs::create_dir(bundle.path().join("volume"))?;
    let ids = bundle.config["linux"]["uidMappings"].clone();
    let mount = json!({
        "destination": "/mnt", "source": bundle.text_path("volume"), "options": ["bind", "idmap"],
        "uidMappings": ids, "gidMappings": ids,
    });
    bundle.push("/mounts", mount);
    let done = bundle.ops(&[&["create", "/mnt/new"], &["stat", "/mnt/new"]])?;
    succeeded(&done[0])?;
    same("owner inside", done[1]["ok"]["uid"].as_u64(), Some(0))?;
    same(
        "owner outside",
        fs::metadata(bundle.path().join("volume/new"))?.uid(),
        0,
    )
}
