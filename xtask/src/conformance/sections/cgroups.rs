//! config-linux.md, Control groups, Cgroups Path, Cgroup ownership.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::super::container::Container;
use super::super::find::{holds, same};
use super::super::suite::{Row, Suite, Test, skip, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "cgroups/absolute",
        "config-linux.md, Cgroups Path: an absolute path MUST be relative to the cgroups' mount point",
        absolute,
    ),
    (
        "cgroups/absolute-deep",
        "config-linux.md, Cgroups Path: cgroups are created if they do not exist, those above too",
        deep,
    ),
    (
        "cgroups/every-controller",
        "config-linux.md, Cgroups Path: one path holds for all controllers",
        every_controller,
    ),
    (
        "cgroups/same-place",
        "config-linux.md, Cgroups Path: the same value MUST be the same place",
        same_place,
    ),
    (
        "cgroups/relative",
        "config-linux.md, Cgroups Path: the value MUST be absolute or relative",
        relative,
    ),
    (
        "cgroups/unset",
        "config-linux.md, Cgroups Path: cgroupsPath is OPTIONAL",
        unset,
    ),
    (
        "cgroups/parent-directory",
        "config-linux.md, Cgroups Path: no value leads out of the cgroups' mount point",
        parent_directory,
    ),
    (
        "cgroups/no-resources",
        "config-linux.md, Cgroups Path: resources need not be specified",
        no_resources,
    ),
    (
        "cgroups/null-resources",
        "config-linux.md, Cgroups Path: resources may be empty",
        null_resources,
    ),
    (
        "cgroups/children-follow",
        "config-linux.md, Control groups: they restrict the container, all of its processes",
        children_follow,
    ),
    (
        "cgroups/exec",
        "config-linux.md, Control groups: a process that is exec'd is in the container's cgroup",
        exec,
    ),
    (
        "cgroups/owner-v1",
        "config-linux.md, Cgroup ownership: on v1 ownership SHOULD NOT be changed",
        owner_v1,
    ),
    (
        "cgroups/owner-kept",
        "config-linux.md, Cgroup ownership: without a writable mount of the cgroups ownership SHOULD NOT be changed",
        owner_kept,
    ),
    (
        "cgroups/owner-changed",
        "config-linux.md, Cgroup ownership: with a writable mount of the cgroups the user that runs the process SHOULD own them",
        owner_changed,
    ),
];

/// Where the container's first process is, in the hierarchy with this controller.
fn place_of(suite: &Suite, container: &Container<'_, '_>, controller: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{}/cgroup", container.pid))?;
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let is = match suite.machine.cgroups.is_v2() {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|name| name == controller),
        };
        if is {
            return Ok(path.to_owned());
        }
    }
    skip(format!("no {controller} controller here"))
}

fn absolute(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.create()?;
    same(
        "cgroup",
        place_of(suite, &container, "pids")?.as_str(),
        bundle.cgroup(),
    )
}

fn deep(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let path = format!("{}/deep/er/still", bundle.cgroup());
    bundle.set("/linux/cgroupsPath", json!(path));
    let container = bundle.create()?;
    same("cgroup", place_of(suite, &container, "pids")?, path)
}

fn every_controller(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.create()?;
    for controller in ["cpu", "memory", "pids", "freezer", "devices"] {
        same(
            controller,
            place_of(suite, &container, controller)?.as_str(),
            bundle.cgroup(),
        )?;
    }
    Ok(())
}

fn same_place(suite: &Suite) -> Result<()> {
    let mut places = Vec::new();
    for _ in 0..2 {
        let mut bundle = suite.bundle()?;
        bundle.set(
            "/linux/cgroupsPath",
            json!(format!("{}/same-place", suite.cgroup())),
        );
        bundle.args(&["/probe", "wait"]);
        let container = bundle.start()?;
        places.push(place_of(suite, &container, "memory")?);
        container.stop()?;
        container.delete()?;
    }
    same("the second place", &places[1], &places[0])
}

fn relative(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let path = format!(
        "relative-{}/{}",
        suite.cgroup().trim_start_matches('/'),
        bundle.id
    );
    bundle.set("/linux/cgroupsPath", json!(path));
    let container = bundle.create()?;
    let place = place_of(suite, &container, "pids")?;
    container.start()?;
    container.wait()?;
    container.delete()?;
    // Runtimes put it where they like: the directory above is this test's own.
    let above = place.rsplit_once('/').map_or("", |(above, _)| above);
    holds("it has the path's end", place.ends_with(&bundle.id), &place)?;
    if above.contains("relative-") {
        suite.machine.cgroups.remove(above);
    }
    Ok(())
}

fn unset(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    if let Some(linux) = bundle.config["linux"].as_object_mut() {
        linux.remove("cgroupsPath");
    }
    bundle.report()?;
    // What is above the container's own cgroup may stay: it is for others as well.
    bundle.unknown()
}

fn parent_directory(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let path = format!("{}/../../../..{0}", bundle.cgroup());
    bundle.set("/linux/cgroupsPath", json!(path));
    let guard = Container::new(&bundle);
    let said = bundle.try_create(&[], &[])?;
    if !said.ok() {
        return Ok(());
    }
    let container = guard.created(&said)?;
    let place = place_of(suite, &container, "pids")?;
    suite.machine.cgroups.remove(&place);
    holds("the place has no .. in it", !place.contains(".."), place)
}

fn no_resources(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    if let Some(linux) = bundle.config["linux"].as_object_mut() {
        linux.remove("resources");
    }
    bundle.report().map(drop)
}

fn null_resources(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/linux/resources",
        json!({ "memory": {}, "cpu": {}, "blockIO": {} }),
    );
    bundle.report().map(drop)
}

fn processes(container: &Container<'_, '_>) -> Result<usize> {
    let file: PathBuf = container.cgroup_file("pids", "cgroup.procs")?;
    Ok(fs::read_to_string(file)?.lines().count())
}

fn children_follow(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/bin/sh", "-c", "/probe wait & /probe wait & wait"]);
    let container = bundle.start()?;
    super::super::container::until("both children to report", || {
        Ok((container.output().lines().count() == 2).then_some(()))
    })?;
    same("processes in the cgroup", processes(&container)?, 3)
}

fn exec(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    let first = container.first_report()?;
    let said = bundle.call(&["exec", &bundle.id, "/probe", "report"])?;
    holds("exec works", said.ok(), &said)?;
    let second: Value = serde_json::from_str(&said.out)?;
    same("cgroups", &second["cgroup"], &first["cgroup"])
}

/// Who owns the cgroup of a container of user 100000, with or without a writable mount of it.
fn owner(suite: &Suite, options: &[&str]) -> Result<u32> {
    let mut bundle = suite.bundle()?;
    bundle.user_namespace();
    bundle.namespace(json!({ "type": "cgroup" }));
    bundle.mount("cgroup", "cgroup", "/sys/fs/cgroup", options);
    let container = bundle.create()?;
    let file = container.cgroup_file("pids", "cgroup.procs")?;
    Ok(fs::metadata(file)?.uid())
}

fn owner_v1(suite: &Suite) -> Result<()> {
    if suite.machine.cgroups.is_v2() {
        return skip("this is cgroup v2");
    }
    same("owner", owner(suite, &["nosuid", "noexec", "nodev"])?, 0)
}

fn owner_kept(suite: &Suite) -> Result<()> {
    same(
        "owner",
        owner(suite, &["nosuid", "noexec", "nodev", "ro"])?,
        0,
    )
}

fn owner_changed(suite: &Suite) -> Result<()> {
    if !suite.machine.cgroups.is_v2() {
        return skip("this is cgroup v1, which is not delegated");
    }
    same(
        "owner",
        owner(suite, &["nosuid", "noexec", "nodev", "rw"])?,
        100_000,
    )
}
