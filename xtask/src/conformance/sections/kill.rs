//! runtime.md, Kill.

use anyhow::Result;

use super::super::container::until;
use super::super::find::holds;
use super::super::suite::{Row, Suite, Test, table};
use super::start::{nothing, unknown};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "kill/no-id",
        "runtime.md, Kill: without an ID it MUST be an error",
        |suite| nothing(suite, "kill"),
    ),
    (
        "kill/unknown",
        "runtime.md, Kill: a container that does not exist is neither created nor running and MUST be an error",
        |suite| unknown(suite, "kill", &["KILL"]),
    ),
    (
        "kill/stopped",
        "runtime.md, Kill: a container neither created nor running MUST NOT be affected and MUST be an error",
        stopped,
    ),
    (
        "kill/created",
        "runtime.md, Kill: the signal MUST be sent to the container's process, of a created container too",
        created,
    ),
    (
        "kill/running",
        "runtime.md, Kill: the signal MUST be sent to the container's process",
        running,
    ),
    (
        "kill/by-name",
        "runtime.md, Kill: this very signal MUST be sent: USR1",
        |suite| caught(suite, "USR1"),
    ),
    (
        "kill/by-full-name",
        "runtime.md, Kill: this very signal MUST be sent: SIGUSR1",
        |suite| caught(suite, "SIGUSR1"),
    ),
    (
        "kill/by-number",
        "runtime.md, Kill: this very signal MUST be sent: 10",
        |suite| caught(suite, "10"),
    ),
    (
        "kill/no-signal",
        "config.md, Valid values: what is no signal MUST be an error",
        no_signal,
    ),
    (
        "kill/term-by-default",
        "runtime.md, Kill: a signal is sent; runc's convention is TERM where none is said",
        |suite| caught_term(suite),
    ),
];

fn stopped(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.start()?;
    container.wait()?;
    container.refuses("kill", &["KILL"])?;
    container.is("stopped")
}

fn created(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.create()?;
    container.kill("KILL")?;
    container.wait()?;
    container.is("stopped")?;
    container.delete()
}

fn running(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    container.stop()?;
    container.is("stopped")?;
    container.delete()
}

/// A program that says which signal it got and goes on.
fn catching(suite: &Suite, signal: &[&str], word: &str) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let script = "trap 'echo {\\\"got\\\":10}' USR1; trap 'echo {\\\"got\\\":15}' TERM; echo {}; while :; do sleep 1 & wait; done";
    bundle.args(&["/bin/sh", "-c", script]);
    let container = bundle.start()?;
    container.first_report()?;
    let said = container.call("kill", signal)?;
    holds("kill works", said.ok(), &said)?;
    until("the program to get the signal", || {
        Ok(container.output().contains(word).then_some(()))
    })?;
    container.is("running")?;
    container.stop()
}

fn caught(suite: &Suite, signal: &str) -> Result<()> {
    catching(suite, &[signal], "\"got\":10")
}

fn caught_term(suite: &Suite) -> Result<()> {
    catching(suite, &[], "\"got\":15")
}

fn no_signal(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    container.refuses("kill", &["NOSIGNAL"])?;
    container.is("running")
}
