//! runtime.md, Start and Delete.

use anyhow::Result;
use serde_json::json;

use super::super::find::{holds, same};
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "start/no-id",
        "runtime.md, Start: without an ID it MUST be an error",
        |suite| nothing(suite, "start"),
    ),
    (
        "start/unknown",
        "runtime.md, Start: a container that does not exist MUST be an error",
        |suite| unknown(suite, "start", &[]),
    ),
    (
        "start/runs",
        "runtime.md, Start: the user's program MUST be run as process says",
        runs,
    ),
    (
        "start/running",
        "runtime.md, Start: a container that is not created MUST NOT be affected and MUST be an error, as one that runs",
        running,
    ),
    (
        "start/stopped",
        "runtime.md, Start: a container that is not created MUST NOT be affected and MUST be an error, as one that has stopped",
        stopped,
    ),
    (
        "start/no-process",
        "runtime.md, Start: it MUST be an error if process was not set",
        no_process,
    ),
    (
        "start/no-program",
        "runtime.md, Start: the user's program MUST be run, so one that is not there is an error of create or start",
        |suite| not_run(suite, "/absent"),
    ),
    (
        "start/not-executable",
        "runtime.md, Start: the user's program MUST be run, so one that cannot be is an error of create or start",
        |suite| not_run(suite, "/etc/data"),
    ),
    (
        "start/program-is-directory",
        "runtime.md, Start: the user's program MUST be run, so one that cannot be is an error of create or start",
        |suite| not_run(suite, "/etc"),
    ),
    (
        "delete/no-id",
        "runtime.md, Delete: without an ID it MUST be an error",
        |suite| nothing(suite, "delete"),
    ),
    (
        "delete/unknown",
        "runtime.md, Delete: a container that does not exist MUST be an error",
        |suite| unknown(suite, "delete", &[]),
    ),
    (
        "delete/created",
        "runtime.md, Delete: a container that is not stopped MUST NOT be affected and MUST be an error, as a created one",
        delete_created,
    ),
    (
        "delete/running",
        "runtime.md, Delete: a container that is not stopped MUST NOT be affected and MUST be an error, as a running one",
        delete_running,
    ),
    (
        "delete/stopped",
        "runtime.md, Delete: what create made MUST be deleted",
        delete_stopped,
    ),
    (
        "delete/cgroup",
        "runtime.md, Delete: what create made MUST be deleted, as the cgroup",
        delete_cgroup,
    ),
    (
        "delete/mounts",
        "runtime.md, Delete: what create made MUST be deleted, as mounts",
        delete_mounts,
    ),
    (
        "delete/processes",
        "runtime.md, Delete: what create made MUST be deleted; processes end with their pid namespace",
        delete_processes,
    ),
    (
        "delete/keeps-others",
        "runtime.md, Delete: what create did not make MUST NOT be deleted, as the bundle and what was bound",
        delete_keeps_others,
    ),
    (
        "delete/frees-the-id",
        "runtime.md, Delete: once deleted, the ID MAY be used again",
        delete_frees_the_id,
    ),
    (
        "delete/twice",
        "runtime.md, Delete: a container that does not exist any more MUST be an error",
        delete_twice,
    ),
];

pub(super) fn nothing(suite: &Suite, verb: &str) -> Result<()> {
    let said = suite.bundle()?.call(&[verb])?;
    holds(&format!("{verb} gives an error"), !said.ok(), said)
}

pub(super) fn unknown(suite: &Suite, verb: &str, more: &[&str]) -> Result<()> {
    let bundle = suite.bundle()?;
    let mut words = vec![verb, bundle.id.as_str()];
    words.extend(more);
    let said = bundle.call(&words)?;
    holds(&format!("{verb} gives an error"), !said.ok(), said)
}

fn runs(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "report", "one", "two words"]);
    let container = bundle.start()?;
    container.wait()?;
    let report = container.first_report()?;
    same(
        "args",
        &report["args"],
        &json!(["/probe", "report", "one", "two words"]),
    )
}

fn running(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    container.first_report()?;
    container.refuses("start", &[])?;
    container.is("running")?;
    same("reports", container.output().lines().count(), 1)
}

fn stopped(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.start()?;
    container.wait()?;
    container.refuses("start", &[])?;
    container.is("stopped")?;
    same("reports", container.output().lines().count(), 1)
}

fn no_process(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    if let Some(config) = bundle.config.as_object_mut() {
        config.remove("process");
    }
    bundle.refused().map(drop)
}

fn not_run(suite: &Suite, program: &str) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("etc/data", "no program")?;
    bundle.args(&[program]);
    bundle.refused().map(drop)
}

fn delete_created(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.create()?;
    container.refuses("delete", &[])?;
    container.is("created")
}

fn delete_running(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    container.refuses("delete", &[])?;
    container.is("running")
}

fn delete_stopped(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    bundle.run()?;
    bundle.unknown()
}

fn delete_cgroup(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.start()?;
    container.wait()?;
    container.delete()?;
    let left = suite.machine.cgroups.all(bundle.cgroup());
    holds("no cgroup is left", left.is_empty(), left)
}

fn delete_mounts(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    bundle.run()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let path = bundle.path().display().to_string();
    let left: Vec<&str> = mounts.lines().filter(|line| line.contains(&path)).collect();
    holds("no mount is left", left.is_empty(), left)
}

fn delete_processes(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    // Its child lives on only as long as the pid namespace.
    bundle.args(&["/bin/sh", "-c", "/probe wait & sleep 0; exec /probe report"]);
    let container = bundle.start()?;
    container.wait()?;
    container.delete()?;
    let mark = bundle.path().display().to_string();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let root = std::fs::read_link(entry.path().join("root")).unwrap_or_default();
        holds("no process is left", !root.starts_with(&mark), entry.path())?;
    }
    Ok(())
}

fn delete_keeps_others(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    std::fs::create_dir(bundle.path().join("volume"))?;
    std::fs::File::create(bundle.path().join("volume/kept"))?;
    let volume = bundle.text_path("volume");
    bundle.mount("none", &volume, "/mnt", &["bind"]);
    bundle.run()?;
    for name in ["volume/kept", "config.json", "rootfs/probe"] {
        holds(name, bundle.path().join(name).exists(), "it is gone")?;
    }
    Ok(())
}

fn delete_frees_the_id(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    bundle.run()?;
    bundle.run().map(drop)
}

fn delete_twice(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.start()?;
    container.wait()?;
    container.delete()?;
    container.refuses("delete", &[]).map(drop)
}
