//! config.md, POSIX-platform Hooks, and their steps in runtime.md, Lifecycle.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::super::bundle::Bundle;
use super::super::container::Container;
use super::super::find::{holds, same};
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "hooks/order",
        "config.md, POSIX-platform Hooks: hooks MUST be called in the listed order",
        order,
    ),
    (
        "hooks/order-of-kinds",
        "runtime.md, Lifecycle: prestart, createRuntime, createContainer by create; startContainer, the program, poststart by start; poststop by delete",
        order_of_kinds,
    ),
    (
        "hooks/at-create",
        "config.md, POSIX-platform Hooks: prestart, createRuntime and createContainer MUST be called as part of create",
        at_create,
    ),
    (
        "hooks/at-start",
        "config.md, POSIX-platform Hooks: startContainer and poststart MUST be called before start returns",
        at_start,
    ),
    (
        "hooks/at-delete",
        "config.md, Poststop: poststop MUST be called before delete returns",
        at_delete,
    ),
    (
        "hooks/at-delete-force",
        "config.md, Poststop: poststop MUST be called when the container is deleted, by force too",
        at_delete_force,
    ),
    (
        "hooks/start-container-before-program",
        "config.md, StartContainer Hooks: they MUST be called before the user's process is executed",
        before_program,
    ),
    (
        "hooks/prestart-namespace",
        "config.md, Prestart: they MUST be executed in the runtime namespace",
        |suite| namespace(suite, "prestart", true),
    ),
    (
        "hooks/create-runtime-namespace",
        "config.md, CreateRuntime Hooks: they MUST be executed in the runtime namespace",
        |suite| namespace(suite, "createRuntime", true),
    ),
    (
        "hooks/create-container-namespace",
        "config.md, CreateContainer Hooks: they MUST be executed in the container namespace",
        |suite| namespace(suite, "createContainer", false),
    ),
    (
        "hooks/start-container-namespace",
        "config.md, StartContainer Hooks: they MUST be executed in the container namespace",
        |suite| namespace(suite, "startContainer", false),
    ),
    (
        "hooks/poststart-namespace",
        "config.md, Poststart: they MUST be executed in the runtime namespace",
        |suite| namespace(suite, "poststart", true),
    ),
    (
        "hooks/poststop-namespace",
        "config.md, Poststop: they MUST be executed in the runtime namespace",
        |suite| namespace(suite, "poststop", true),
    ),
    (
        "hooks/create-container-before-pivot",
        "config.md, CreateContainer Hooks: they MUST be called before pivot_root, after the mounts",
        before_pivot,
    ),
    (
        "hooks/create-runtime-after-namespaces",
        "config.md, CreateRuntime Hooks: they MUST be called after the runtime environment has been created",
        after_namespaces,
    ),
    (
        "hooks/state-prestart",
        "config.md, POSIX-platform Hooks: the state MUST be passed over stdin",
        |suite| state(suite, "prestart", &["creating", "created"]),
    ),
    (
        "hooks/state-create-runtime",
        "config.md, POSIX-platform Hooks: the state MUST be passed over stdin: creating, before create has ended",
        |suite| state(suite, "createRuntime", &["creating"]),
    ),
    (
        "hooks/state-create-container",
        "config.md, POSIX-platform Hooks: the state MUST be passed over stdin: creating, before create has ended",
        |suite| state(suite, "createContainer", &["creating"]),
    ),
    (
        "hooks/state-start-container",
        "config.md, POSIX-platform Hooks: the state MUST be passed over stdin: created, before the program runs",
        |suite| state(suite, "startContainer", &["created"]),
    ),
    (
        "hooks/state-poststart",
        "config.md, POSIX-platform Hooks: the state MUST be passed over stdin: running",
        |suite| state(suite, "poststart", &["running", "stopped"]),
    ),
    (
        "hooks/state-poststop",
        "config.md, POSIX-platform Hooks: the state MUST be passed over stdin: stopped",
        |suite| state(suite, "poststop", &["stopped"]),
    ),
    (
        "hooks/state-is-complete",
        "runtime.md, State: the state has version, id, bundle, annotations, and the pid",
        state_is_complete,
    ),
    (
        "hooks/args",
        "config.md, POSIX-platform Hooks: args is execv's argv, the first word too",
        args,
    ),
    (
        "hooks/no-args",
        "config.md, POSIX-platform Hooks: args is OPTIONAL",
        no_args,
    ),
    (
        "hooks/env",
        "config.md, POSIX-platform Hooks: env is the hook's environ",
        env,
    ),
    (
        "hooks/no-env",
        "config.md, POSIX-platform Hooks: env is the hook's environ: without it there is nothing of the caller's",
        no_env,
    ),
    (
        "hooks/timeout",
        "config.md, POSIX-platform Hooks: timeout is the number of seconds before aborting the hook",
        timeout,
    ),
    (
        "hooks/prestart-fails",
        "runtime.md, Lifecycle: if a prestart hook fails, an error MUST follow and the container end",
        |suite| create_fails(suite, "prestart"),
    ),
    (
        "hooks/create-runtime-fails",
        "runtime.md, Lifecycle: if a createRuntime hook fails, an error MUST follow and the container end",
        |suite| create_fails(suite, "createRuntime"),
    ),
    (
        "hooks/create-container-fails",
        "runtime.md, Lifecycle: if a createContainer hook fails, an error MUST follow and the container end",
        |suite| create_fails(suite, "createContainer"),
    ),
    (
        "hooks/start-container-fails",
        "runtime.md, Lifecycle: if a startContainer hook fails, an error MUST follow and the container end, its program not run",
        start_container_fails,
    ),
    (
        "hooks/poststart-fails",
        "runtime.md, Lifecycle: if a poststart hook fails, an error MUST follow and the container end",
        poststart_fails,
    ),
    (
        "hooks/poststop-fails",
        "runtime.md, Lifecycle: if a poststop hook fails, the others are called and delete goes on",
        poststop_fails,
    ),
    (
        "hooks/absent-program",
        "config.md, POSIX-platform Hooks: path MUST resolve in the namespace; a program that is not there fails",
        absent_program,
    ),
    (
        "hooks/failure-runs-poststop",
        "runtime.md, Lifecycle: after a failed hook the lifecycle goes on at the deletion, with poststop",
        failure_runs_poststop,
    ),
];

/// A hook that leaves a line in the bundle's log, or does more.
fn hook(bundle: &Bundle<'_>, kind: &str, more: &[&str]) -> Value {
    let inside = kind == "startContainer";
    let program = if inside {
        "/probe".to_owned()
    } else {
        bundle.suite.text_path("probe")
    };
    // That of the container is written inside.
    let log = if inside {
        "/hooks".to_owned()
    } else {
        bundle.text_path("rootfs/hooks")
    };
    let mut args = vec!["probe", "hook", &log, kind];
    args.extend(more);
    json!({ "path": program, "args": args })
}

/// Sets the hooks of a kind, one for each list of further words.
fn set(bundle: &mut Bundle<'_>, kind: &str, all: &[&[&str]]) {
    let hooks: Vec<Value> = all.iter().map(|more| hook(bundle, kind, more)).collect();
    bundle.set(&format!("/hooks/{kind}"), json!(hooks));
}

const KINDS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

/// What the hooks have written so far.
fn lines(bundle: &Bundle<'_>) -> Vec<Value> {
    let text = fs::read_to_string(bundle.in_root("hooks")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Which hooks were called so far, with their first further word.
fn called(bundle: &Bundle<'_>) -> Vec<String> {
    let name = |line: &Value| {
        let words = line["args"].as_array().into_iter().flatten().skip(3);
        let words: Vec<&str> = words.filter_map(Value::as_str).collect();
        words.join(" ")
    };
    lines(bundle).iter().map(name).collect()
}

/// With a hook of each kind and a program that waits.
fn with_all(suite: &Suite) -> Result<Bundle<'_>> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    for kind in KINDS {
        set(&mut bundle, kind, &[&[]]);
    }
    Ok(bundle)
}

fn order(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    for kind in KINDS {
        set(&mut bundle, kind, &[&["one"], &["two"], &["three"]]);
    }
    bundle.run()?;
    let calls = called(&bundle);
    for kind in KINDS {
        let own: Vec<&String> = calls
            .iter()
            .filter(|call| call.starts_with(&format!("{kind} ")))
            .collect();
        same(
            kind,
            own,
            ["one", "two", "three"]
                .map(|word| format!("{kind} {word}"))
                .each_ref(),
        )?;
    }
    Ok(())
}

fn order_of_kinds(suite: &Suite) -> Result<()> {
    let mut bundle = with_all(suite)?;
    bundle.args(&["/probe", "report"]);
    bundle.run()?;
    same("calls", called(&bundle), KINDS)
}

fn at_create(suite: &Suite) -> Result<()> {
    let bundle = with_all(suite)?;
    let _container = bundle.create()?;
    same("calls after create", called(&bundle), &KINDS[..3])
}

fn at_start(suite: &Suite) -> Result<()> {
    let bundle = with_all(suite)?;
    let _container = bundle.start()?;
    let mut calls = called(&bundle);
    calls.sort();
    let mut wanted = KINDS[..5].to_vec();
    wanted.sort_unstable();
    same("calls after start", calls, wanted)
}

fn at_delete(suite: &Suite) -> Result<()> {
    let bundle = with_all(suite)?;
    let container = bundle.start()?;
    container.stop()?;
    holds(
        "there was none after kill",
        !called(&bundle).contains(&"poststop".to_owned()),
        called(&bundle),
    )?;
    container.delete()?;
    same(
        "the last call",
        called(&bundle).last().map(String::as_str),
        Some("poststop"),
    )
}

fn at_delete_force(suite: &Suite) -> Result<()> {
    let bundle = with_all(suite)?;
    let _container = bundle.start()?;
    let said = bundle.call(&["delete", "--force", &bundle.id])?;
    holds("delete works", said.ok(), &said)?;
    same(
        "the last call",
        called(&bundle).last().map(String::as_str),
        Some("poststop"),
    )
}

fn before_program(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    set(&mut bundle, "startContainer", &[&[]]);
    let container = bundle.create()?;
    same("calls after create", called(&bundle).len(), 0)?;
    drop(container);
    let found = bundle.op(&["read", "/hooks"])?;
    holds(
        "the program finds what the hook wrote",
        found.as_str().is_some_and(|text| !text.is_empty()),
        found,
    )
}

/// Runs a container with one hook and returns the hook's line.
fn line_of(suite: &Suite, kind: &str, more: &[&str]) -> Result<Value> {
    let mut bundle = suite.bundle()?;
    set(&mut bundle, kind, &[more]);
    bundle.set("/annotations", json!({ "com.example.hook": kind }));
    bundle.run()?;
    lines(&bundle).pop().context("the hook was not called")
}

fn namespace(suite: &Suite, kind: &str, of_runtime: bool) -> Result<()> {
    let line = line_of(suite, kind, &[])?;
    for name in ["net", "ipc", "uts", "mnt"] {
        let here = suite.runtime.namespace(name)?;
        let same = line["namespaces"][name] == json!(here);
        let side = if of_runtime { "runtime" } else { "container" };
        holds(
            &format!("{name} is the {side}'s"),
            same == of_runtime,
            &line["namespaces"],
        )?;
    }
    Ok(())
}

fn before_pivot(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    // Outside only, and inside only: a file of the mount that the root has on /mnt.
    let outside = bundle.text_path("config.json");
    fs::create_dir(bundle.path().join("volume"))?;
    fs::File::create(bundle.path().join("volume/mounted"))?;
    bundle.mount("none", &bundle.text_path("volume"), "/mnt", &["bind"]);
    let inside = bundle.text_path("rootfs/mnt/mounted");
    set(&mut bundle, "createContainer", &[&[&outside, &inside]]);
    bundle.run()?;
    let line = lines(&bundle).pop().context("the hook was not called")?;
    same(
        "whether the host's files are seen",
        &line["sees"][&outside],
        &json!(true),
    )?;
    same(
        "whether the mounts are done",
        &line["sees"][&inside],
        &json!(true),
    )
}

fn after_namespaces(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    // The hook finds the network namespace by the pid that it is given.
    let script = format!(
        "pid=$(sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p'); readlink /proc/$pid/ns/net > {}",
        bundle.text_path("net")
    );
    bundle.set(
        "/hooks/createRuntime",
        json!([{
            "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"],
        }]),
    );
    let container = bundle.create()?;
    let seen = fs::read_to_string(bundle.path().join("net"))?;
    let there = fs::read_link(format!("/proc/{}/ns/net", container.pid))?;
    same("network namespace", seen.trim(), there.to_string_lossy())
}

fn state_of(line: &Value) -> Result<Value> {
    let text = line["stdin"].as_str().unwrap_or_default();
    serde_json::from_str(text).with_context(|| format!("the hook was given {text:?}"))
}

fn state(suite: &Suite, kind: &str, wanted: &[&str]) -> Result<()> {
    let state = state_of(&line_of(suite, kind, &[])?)?;
    let status = state["status"].as_str().unwrap_or_default();
    holds(
        &format!("the status is one of {wanted:?}"),
        wanted.contains(&status),
        status,
    )
}

fn state_is_complete(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    for kind in ["createRuntime", "poststart"] {
        set(&mut bundle, kind, &[&[]]);
    }
    bundle.set("/annotations", json!({ "com.example.hook": "x" }));
    let container = bundle.start()?;
    for line in lines(&bundle) {
        let state = state_of(&line)?;
        same("id", &state["id"], &json!(bundle.id))?;
        same("bundle", &state["bundle"], &json!(bundle.path()))?;
        same("pid", &state["pid"], &json!(container.pid))?;
        same(
            "annotation",
            &state["annotations"]["com.example.hook"],
            &json!("x"),
        )?;
        holds(
            "ociVersion is a string",
            state["ociVersion"].is_string(),
            &state,
        )?;
    }
    container.wait()
}

fn args(suite: &Suite) -> Result<()> {
    let line = line_of(suite, "createRuntime", &["a b", ""])?;
    let words: Vec<&str> = line["args"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    same("the first word", words.first().copied(), Some("probe"))?;
    same("the others", &words[3..], ["createRuntime", "a b", ""])
}

fn no_args(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    // Without words the probe reports to nobody.
    bundle.set(
        "/hooks/createRuntime",
        json!([{ "path": suite.text_path("probe") }]),
    );
    bundle.run().map(drop)
}

fn with_env(suite: &Suite, env: Option<Value>) -> Result<Value> {
    let mut bundle = suite.bundle()?;
    set(&mut bundle, "createRuntime", &[&[]]);
    if let Some(env) = env {
        bundle.set("/hooks/createRuntime/0/env", env.clone());
        bundle.config["hooks"]["createRuntime"][0]["env"] = env;
    }
    bundle.run()?;
    let line = lines(&bundle).pop().context("the hook was not called")?;
    Ok(line["env"].clone())
}

fn env(suite: &Suite) -> Result<()> {
    let wanted = json!(["A=1", "B=two words"]);
    same("env", with_env(suite, Some(wanted.clone()))?, wanted)
}

fn no_env(suite: &Suite) -> Result<()> {
    same("env", with_env(suite, None)?, json!([]))
}

fn timeout(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    set(&mut bundle, "createRuntime", &[&["sleep"]]);
    bundle.config["hooks"]["createRuntime"][0]["timeout"] = json!(1);
    bundle.not_created().map(drop)
}

fn create_fails(suite: &Suite, kind: &str) -> Result<()> {
    let mut bundle = suite.bundle()?;
    set(&mut bundle, kind, &[&["fail"], &["second"]]);
    bundle.not_created()?;
    same("calls", called(&bundle), [format!("{kind} fail")])
}

fn start_container_fails(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "ops", r#"["create","/ran"]"#]);
    set(&mut bundle, "startContainer", &[&["fail"]]);
    let container = bundle.create()?;
    container.refuses("start", &[])?;
    container.wait()?;
    holds(
        "the program has not run",
        !bundle.in_root("ran").exists(),
        container.output(),
    )
}

fn poststart_fails(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    set(&mut bundle, "poststart", &[&["fail"]]);
    // Some call them as part of create already.
    let guard = Container::new(&bundle);
    let said = bundle.try_create(&[], &[])?;
    if said.ok() {
        let container = guard.created(&said)?;
        container.refuses("start", &[])?;
        container.wait()?;
    }
    Ok(())
}

fn poststop_fails(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    set(&mut bundle, "poststop", &[&["fail"], &["second"]]);
    let container = bundle.start()?;
    container.wait()?;
    container.delete()?;
    same(
        "calls",
        called(&bundle),
        ["poststop fail", "poststop second"],
    )?;
    bundle.unknown()
}

fn absent_program(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/hooks/createRuntime",
        json!([{ "path": "/absent/program" }]),
    );
    bundle.not_created().map(drop)
}

fn failure_runs_poststop(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    set(&mut bundle, "createRuntime", &[&["fail"]]);
    set(&mut bundle, "poststop", &[&[]]);
    let _container = Container::new(&bundle);
    let said = bundle.try_create(&[], &[])?;
    holds("create gives an error", !said.ok(), said)?;
    same("calls", called(&bundle), ["createRuntime fail", "poststop"])
}
