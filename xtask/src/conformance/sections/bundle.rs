//! bundle.md: what a bundle is.

use anyhow::Result;

use super::super::find::holds;
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "bundle/no-config",
        "bundle.md, Container Format: config.json is REQUIRED and MUST be in the bundle's directory",
        no_config,
    ),
    (
        "bundle/no-directory",
        "runtime.md, Create: create is given a path to the bundle; without one there is an error",
        no_directory,
    ),
    (
        "bundle/not-json",
        "bundle.md, Container Format: config.json holds the configuration; what is no JSON is an error",
        |suite| text(suite, "this is no JSON"),
    ),
    (
        "bundle/empty-config",
        "bundle.md, Container Format: config.json holds the configuration; an empty file is an error",
        |suite| text(suite, ""),
    ),
    (
        "bundle/not-an-object",
        "config.md, Configuration: the configuration is an object; a list is an error",
        |suite| text(suite, "[]"),
    ),
];

fn no_config(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let said = bundle.call(&["create", "--bundle", &bundle.text_path(""), &bundle.id])?;
    holds("create gives an error", !said.ok(), said)?;
    bundle.unknown()
}

fn no_directory(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let said = bundle.call(&[
        "create",
        "--bundle",
        &bundle.text_path("absent"),
        &bundle.id,
    ])?;
    holds("create gives an error", !said.ok(), said)?;
    bundle.unknown()
}

fn text(suite: &Suite, text: &str) -> Result<()> {
    let bundle = suite.bundle()?;
    bundle.write_text(text)?;
    let said = bundle.call(&["create", "--bundle", &bundle.text_path(""), &bundle.id])?;
    holds("create gives an error", !said.ok(), said)?;
    bundle.unknown()
}
