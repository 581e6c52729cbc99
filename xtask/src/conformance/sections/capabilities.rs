//! config.md, Linux Process: the five sets of capabilities.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::find::{same, status};
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

/// CAP_CHOWN, CAP_KILL and CAP_NET_BIND_SERVICE as a set, and the first two alone.
const THREE: u64 = 1 | 1 << 5 | 1 << 10;
const TWO: u64 = 1 | 1 << 5;

const TESTS: &[Row] = &[
    (
        "capabilities/bounding",
        "config.md, Linux Process: bounding are the bounding capabilities that are kept",
        |suite| sets(suite, "CapBnd", THREE),
    ),
    (
        "capabilities/effective",
        "config.md, Linux Process: effective are the effective capabilities that are kept",
        |suite| sets(suite, "CapEff", THREE),
    ),
    (
        "capabilities/permitted",
        "config.md, Linux Process: permitted are the permitted capabilities that are kept",
        |suite| sets(suite, "CapPrm", THREE),
    ),
    (
        "capabilities/inheritable",
        "config.md, Linux Process: inheritable are the inheritable capabilities that are kept",
        |suite| sets(suite, "CapInh", TWO),
    ),
    (
        "capabilities/ambient",
        "config.md, Linux Process: ambient are the ambient capabilities that are kept",
        |suite| sets(suite, "CapAmb", TWO),
    ),
    (
        "capabilities/none",
        "config.md, Linux Process: what is not listed is not kept: with empty sets there is none",
        none,
    ),
    (
        "capabilities/unset",
        "config.md, Linux Process: capabilities is OPTIONAL",
        unset,
    ),
    (
        "capabilities/user",
        "config.md, Linux Process: a user that is not root has them by the ambient set",
        user,
    ),
    (
        "capabilities/user-without-ambient",
        "config.md, Linux Process: without the ambient set another user's program has none, as capabilities(7) says",
        user_without_ambient,
    ),
    (
        "capabilities/unknown-name",
        "config.md, Linux Process: a value that cannot be mapped MUST be logged as a warning; runtimes SHOULD NOT fail",
        unknown_name,
    ),
    (
        "capabilities/not-granted",
        "config.md, Linux Process: runtimes SHOULD NOT fail for capabilities that cannot be granted",
        not_granted,
    ),
    (
        "capabilities/last",
        "config.md, Linux Process: every name of capabilities(7) is valid, as the newest",
        last,
    ),
];

fn capabilities(list: &[&str], two: &[&str]) -> Value {
    json!({ "bounding": list, "effective": list, "permitted": list, "inheritable": two, "ambient": two })
}

fn set_of(report: &Value, name: &str) -> Result<u64> {
    Ok(u64::from_str_radix(status(report, name)?, 16)?)
}

fn sets(suite: &Suite, name: &str, wanted: u64) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let three = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    bundle.set("/process/capabilities", capabilities(&three, &three[..2]));
    same(name, set_of(&bundle.report()?, name)?, wanted)
}

fn none(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/capabilities", capabilities(&[], &[]));
    let report = bundle.report()?;
    for name in ["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"] {
        same(name, set_of(&report, name)?, 0)?;
    }
    Ok(())
}

fn unset(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    if let Some(process) = bundle.config["process"].as_object_mut() {
        process.remove("capabilities");
    }
    bundle.report().map(drop)
}

fn as_user(suite: &Suite, two: &[&str]) -> Result<Value> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    bundle.set(
        "/process/capabilities",
        capabilities(&["CAP_CHOWN", "CAP_KILL"], two),
    );
    bundle.report()
}

fn user(suite: &Suite) -> Result<()> {
    let report = as_user(suite, &["CAP_CHOWN", "CAP_KILL"])?;
    for name in ["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"] {
        same(name, set_of(&report, name)?, TWO)?;
    }
    Ok(())
}

fn user_without_ambient(suite: &Suite) -> Result<()> {
    let report = as_user(suite, &[])?;
    same("CapBnd", set_of(&report, "CapBnd")?, TWO)?;
    same("CapEff", set_of(&report, "CapEff")?, 0)?;
    same("CapPrm", set_of(&report, "CapPrm")?, 0)
}

fn unknown_name(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/process/capabilities",
        capabilities(&["CAP_CHOWN", "CAP_TO_DREAM"], &[]),
    );
    same("CapEff", set_of(&bundle.report()?, "CapEff")?, 1)
}

/// The kernel gives none that the caller does not have.
fn not_granted(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/process/capabilities",
        capabilities(&["CAP_CHOWN", "CAP_SYSLOG"], &[]),
    );
    let without = [
        "setpriv",
        "--bounding-set",
        "-syslog",
        "--inh-caps",
        "-syslog",
    ];
    bundle.args(&["/probe", "report"]);
    let container = bundle.create_through(&without, &[])?;
    container.start()?;
    container.wait()?;
    same("CapEff", set_of(&container.first_report()?, "CapEff")?, 1)
}

fn last(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/process/capabilities",
        capabilities(&["CAP_CHECKPOINT_RESTORE"], &[]),
    );
    same("CapEff", set_of(&bundle.report()?, "CapEff")?, 1 << 40)
}
