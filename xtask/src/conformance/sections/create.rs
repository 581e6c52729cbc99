//! runtime.md, Create, and what an error leaves.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::container::Container;
use super::super::find::{holds, same};
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "create/no-id",
        "runtime.md, Create: without an ID it MUST be an error",
        no_id,
    ),
    (
        "create/empty-id",
        "runtime.md, Create: an ID that is not valid MUST be an error",
        |suite| bad_id(suite, ""),
    ),
    (
        "create/id-with-slash",
        "runtime.md, Create: an ID that is not valid MUST be an error",
        |suite| bad_id(suite, "a/b"),
    ),
    (
        "create/id-of-parent",
        "runtime.md, Create: an ID that is not valid MUST be an error",
        |suite| bad_id(suite, ".."),
    ),
    (
        "create/id-in-use",
        "runtime.md, Create: an ID that is not unique MUST be an error and no new container MUST be created",
        id_in_use,
    ),
    (
        "create/does-not-run",
        "runtime.md, Create: the user's program MUST NOT be run at this time",
        does_not_run,
    ),
    (
        "create/namespaces",
        "runtime.md, Create: the resources of the configuration MUST be created, as the namespaces",
        namespaces,
    ),
    (
        "create/cgroup",
        "runtime.md, Create: the resources of the configuration MUST be created, as the cgroup",
        cgroup,
    ),
    (
        "create/error-leaves-no-cgroup",
        "runtime.md, Errors: an error MUST leave the state as if the operation were never attempted",
        error_leaves_no_cgroup,
    ),
    (
        "create/error-leaves-no-mount",
        "runtime.md, Errors: an error MUST leave the state as if the operation were never attempted",
        error_leaves_no_mount,
    ),
    (
        "create/error-frees-the-id",
        "runtime.md, Errors: an error MUST leave the state as if the operation were never attempted",
        error_frees_the_id,
    ),
    (
        "create/many",
        "runtime.md, Scope of a Container: whoever creates a container MUST be able to use all operations on it, one of several too",
        many,
    ),
];

fn no_id(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    bundle.write()?;
    let said = bundle.call(&["create", "--bundle", &bundle.text_path("")])?;
    holds("create gives an error", !said.ok(), said)
}

fn bad_id(suite: &Suite, id: &str) -> Result<()> {
    let bundle = suite.bundle()?;
    bundle.write()?;
    let said = bundle.call(&["create", "--bundle", &bundle.text_path(""), id])?;
    if said.ok() {
        bundle.call(&["delete", "--force", id])?;
    }
    holds("create gives an error", !said.ok(), said)
}

fn id_in_use(suite: &Suite) -> Result<()> {
    let mut first = suite.bundle()?;
    first.args(&["/probe", "wait"]);
    let container = first.start()?;
    let second = suite.bundle()?;
    second.write()?;
    let said = second.call(&["create", "--bundle", &second.text_path(""), &first.id])?;
    holds("create gives an error", !said.ok(), said)?;
    container.is("running")?;
    same(
        "bundle",
        &container.state()?["bundle"],
        &json!(first.path()),
    )
}

fn does_not_run(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "ops", r#"["create","/ran"]"#]);
    let container = bundle.create()?;
    holds(
        "the program has not run",
        !bundle.in_root("ran").exists(),
        "its file is there",
    )?;
    container.start()?;
    container.wait()?;
    holds(
        "the program has run after start",
        bundle.in_root("ran").exists(),
        container.output(),
    )
}

fn namespaces(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.create()?;
    for kind in ["pid", "net", "ipc", "uts", "mnt"] {
        let here = std::fs::read_link(format!("/proc/self/ns/{kind}"))?;
        let there = std::fs::read_link(format!("/proc/{}/ns/{kind}", container.pid))?;
        holds(&format!("{kind} namespace is new"), here != there, here)?;
    }
    Ok(())
}

fn cgroup(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let _container = bundle.create()?;
    let found = suite.machine.cgroups.all(bundle.cgroup());
    holds("the cgroup is there", !found.is_empty(), found)
}

/// A configuration that fails late: its last mount has no source.
fn failing(config: &mut Value) {
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.push(
            json!({ "destination": "/mnt", "source": "/absent/source", "options": ["bind"] }),
        );
    }
}

fn error_leaves_no_cgroup(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    failing(&mut bundle.config);
    let said = bundle.try_create(&[], &[])?;
    holds("create gives an error", !said.ok(), said)?;
    let left = suite.machine.cgroups.all(bundle.cgroup());
    holds("no cgroup is left", left.is_empty(), left)
}

fn error_leaves_no_mount(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    failing(&mut bundle.config);
    let said = bundle.try_create(&[], &[])?;
    holds("create gives an error", !said.ok(), said)?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let path = bundle.path().display().to_string();
    let left: Vec<&str> = mounts.lines().filter(|line| line.contains(&path)).collect();
    holds("no mount is left", left.is_empty(), left)
}

fn error_frees_the_id(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let good = bundle.config.clone();
    failing(&mut bundle.config);
    let said = bundle.try_create(&[], &[])?;
    holds("create gives an error", !said.ok(), said)?;
    bundle.config = good;
    bundle.report().map(drop)
}

fn many(suite: &Suite) -> Result<()> {
    let mut bundles = Vec::new();
    for _ in 0..3 {
        let mut bundle = suite.bundle()?;
        bundle.args(&["/probe", "wait"]);
        bundles.push(bundle);
    }
    let containers: Vec<Container<'_, '_>> = bundles
        .iter()
        .map(|bundle| bundle.create())
        .collect::<Result<_>>()?;
    containers[1].start()?;
    containers[0].is("created")?;
    containers[1].is("running")?;
    containers[1].stop()?;
    containers[1].is("stopped")?;
    containers[2].is("created")
}
