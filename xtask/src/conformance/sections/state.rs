//! runtime.md, State and Query State.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::super::container::until;
use super::super::find::{holds, same};
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "state/no-id",
        "runtime.md, Query State: without a container's ID it MUST be an error",
        no_id,
    ),
    (
        "state/unknown",
        "runtime.md, Query State: a container that does not exist MUST be an error",
        unknown,
    ),
    (
        "state/version",
        "runtime.md, State: ociVersion is the specification's version that the state complies with",
        version,
    ),
    (
        "state/id",
        "runtime.md, State: id is the container's ID",
        id,
    ),
    (
        "state/created",
        "runtime.md, Create: after create the status MUST be created",
        created,
    ),
    (
        "state/running",
        "runtime.md, Start: after start the status MUST be running",
        running,
    ),
    (
        "state/stopped-after-exit",
        "runtime.md, Kill: when the process is stopped for any reason the status MUST be stopped",
        stopped_after_exit,
    ),
    (
        "state/stopped-after-kill",
        "runtime.md, Kill: when the process is stopped by kill the status MUST be stopped",
        stopped_after_kill,
    ),
    (
        "state/pid-created",
        "runtime.md, State: pid is REQUIRED when the status is created or running, as the host sees it",
        pid_created,
    ),
    (
        "state/pid-running",
        "runtime.md, State: pid is REQUIRED when the status is created or running, as the host sees it",
        pid_running,
    ),
    (
        "state/pid-file",
        "runtime.md, State: pid is that of the container's process, which runc's --pid-file names too",
        pid_file,
    ),
    (
        "state/bundle",
        "runtime.md, State: bundle is the absolute path of the bundle's directory",
        bundle,
    ),
    (
        "state/bundle-relative",
        "runtime.md, State: bundle is absolute, however the path was given",
        bundle_relative,
    ),
    (
        "state/annotations",
        "runtime.md, State: annotations are those of the container",
        annotations,
    ),
    (
        "state/no-annotations",
        "runtime.md, State: without annotations the property is absent or an empty map",
        no_annotations,
    ),
    (
        "state/types",
        "runtime.md, State: in JSON the properties are of the pattern's types",
        types,
    ),
];

fn no_id(suite: &Suite) -> Result<()> {
    let said = suite.bundle()?.call(&["state"])?;
    holds("state gives an error", !said.ok(), said)
}

fn unknown(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let said = bundle.call(&["state", &bundle.id])?;
    holds("state gives an error", !said.ok(), said)
}

/// The state of a created container.
fn of_created(suite: &Suite, change: fn(&mut Value)) -> Result<(Value, String)> {
    let mut bundle = suite.bundle()?;
    change(&mut bundle.config);
    let container = bundle.create()?;
    let state = container.state()?;
    let id = bundle.id.clone();
    Ok((state, id))
}

fn version(suite: &Suite) -> Result<()> {
    let (state, _) = of_created(suite, |_| {})?;
    let version = state["ociVersion"].as_str().unwrap_or_default();
    let parts = version.split(['-', '+']).next().unwrap_or_default();
    let numbers = parts.split('.').filter(|part| part.parse::<u32>().is_ok());
    holds(
        "ociVersion is a SemVer version",
        numbers.count() == 3,
        version,
    )
}

fn id(suite: &Suite) -> Result<()> {
    let (state, id) = of_created(suite, |_| {})?;
    same("id", &state["id"], &json!(id))
}

fn created(suite: &Suite) -> Result<()> {
    let (state, _) = of_created(suite, |_| {})?;
    same("status", &state["status"], &json!("created"))
}

fn running(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    bundle.start()?.is("running")
}

fn stopped_after_exit(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.start()?;
    container.wait()?;
    container.is("stopped")
}

fn stopped_after_kill(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    container.kill("KILL")?;
    until("the status to be stopped", || {
        Ok((container.status()? == "stopped").then_some(()))
    })
}

/// The pid must be of a process in that container's cgroup or namespaces: its root says so.
fn is_process_of(state: &Value, bundle: &Path) -> Result<()> {
    let Some(pid) = state["pid"].as_u64().filter(|pid| *pid > 0) else {
        bail!("no pid in {state}");
    };
    let here = std::fs::read_link("/proc/self/ns/uts")?;
    let there = std::fs::read_link(format!("/proc/{pid}/ns/uts"))?;
    holds(
        "the pid's process is in namespaces of its own",
        here != there,
        bundle,
    )
}

fn pid_created(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.create()?;
    is_process_of(&container.state()?, bundle.path())
}

fn pid_running(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    is_process_of(&container.state()?, bundle.path())
}

fn pid_file(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.create()?;
    same("pid", &container.state()?["pid"], &json!(container.pid))
}

fn bundle(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.create()?;
    let state = container.state()?;
    same("bundle", &state["bundle"], &json!(bundle.path()))
}

fn bundle_relative(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    bundle.write()?;
    let guard = super::super::container::Container::new(&bundle);
    // In a tree it is at the root, from where the path has one slash less.
    let directory = bundle.text_path("");
    let relative = if suite.in_tree() {
        directory.trim_matches('/')
    } else {
        "."
    };
    let said = bundle.call(&["create", "--bundle", relative, &bundle.id])?;
    holds("create works", said.ok(), &said)?;
    same("bundle", &guard.state()?["bundle"], &json!(bundle.path()))
}

fn annotations(suite: &Suite) -> Result<()> {
    let set = |config: &mut Value| {
        config["annotations"] = json!({ "com.example.key": "value", "empty": "" })
    };
    let (state, _) = of_created(suite, set)?;
    for (key, value) in [("com.example.key", "value"), ("empty", "")] {
        same(key, &state["annotations"][key], &json!(value))?;
    }
    Ok(())
}

fn no_annotations(suite: &Suite) -> Result<()> {
    let remove = |config: &mut Value| {
        if let Some(config) = config.as_object_mut() {
            config.remove("annotations");
        }
    };
    let (state, _) = of_created(suite, remove)?;
    let given = state.get("annotations");
    // A runtime may add some of its own.
    let fine = given.is_none_or(|value| value.as_object().is_some());
    holds("annotations are absent or a map", fine, given)
}

fn types(suite: &Suite) -> Result<()> {
    let (state, _) = of_created(suite, |_| {})?;
    for name in ["ociVersion", "id", "status", "bundle"] {
        holds(name, state[name].is_string(), &state[name])?;
    }
    holds("pid", state["pid"].is_u64(), &state["pid"])
}
