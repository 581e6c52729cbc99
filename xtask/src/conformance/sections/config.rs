//! config.md: version, extensibility, annotations, and when the file counts.

use anyhow::Result;
use serde_json::{Value, json};

use super::super::find::holds;
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "config/version-missing",
        "config.md, Specification version: ociVersion is REQUIRED",
        version_missing,
    ),
    (
        "config/version-not-semver",
        "config.md, Specification version: ociVersion MUST be in SemVer format",
        |suite| refused(suite, "/ociVersion", json!("newest")),
    ),
    (
        "config/version-too-short",
        "config.md, Specification version: ociVersion MUST be in SemVer format, of three numbers",
        |suite| refused(suite, "/ociVersion", json!("1.0")),
    ),
    (
        "config/version-other-major",
        "config.md, Specification version: compatibility is within a major version; config.md, Valid values: what is unsupported is an error",
        |suite| refused(suite, "/ociVersion", json!("99.0.0")),
    ),
    (
        "config/version-1.0.0",
        "config.md, Specification version: later releases of a major version take earlier ones",
        |suite| accepted(suite, "/ociVersion", json!("1.0.0")),
    ),
    (
        "config/version-1.0.2-dev",
        "config.md, Specification version: a SemVer version may have a pre-release",
        |suite| accepted(suite, "/ociVersion", json!("1.0.2-dev")),
    ),
    (
        "config/version-1.2.1",
        "config.md, Specification version: later releases of a major version take earlier ones",
        |suite| accepted(suite, "/ociVersion", json!("1.2.1")),
    ),
    (
        "config/unknown-property",
        "config.md, Extensibility: runtimes MUST ignore unknown properties",
        |suite| accepted(suite, "/unknownProperty", json!({ "a": 1 })),
    ),
    (
        "config/unknown-property-of-process",
        "config.md, Extensibility: runtimes MUST ignore unknown properties",
        |suite| accepted(suite, "/process/unknownProperty", json!("x")),
    ),
    (
        "config/unknown-property-of-root",
        "config.md, Extensibility: runtimes MUST ignore unknown properties",
        |suite| accepted(suite, "/root/unknownProperty", json!([1])),
    ),
    (
        "config/unknown-property-of-mount",
        "config.md, Extensibility: runtimes MUST ignore unknown properties",
        |suite| accepted(suite, "/mounts/0/unknownProperty", json!(true)),
    ),
    (
        "config/unknown-property-of-linux",
        "config.md, Extensibility: runtimes MUST ignore unknown properties",
        |suite| {
            accepted(
                suite,
                "/linux/unknownProperty",
                json!({ "deep": { "er": null } }),
            )
        },
    ),
    (
        "config/unknown-property-of-resources",
        "config.md, Extensibility: runtimes MUST ignore unknown properties",
        |suite| {
            accepted(
                suite,
                "/linux/resources/unknownProperty",
                json!({ "limit": 1 }),
            )
        },
    ),
    (
        "config/other-platforms",
        "config.md, Platform-specific configuration: windows and solaris have their own; elsewhere they are ignored",
        |suite| accepted(suite, "/windows", json!({ "layerFolders": ["C:\\layer"] })),
    ),
    (
        "config/annotations",
        "config.md, Annotations: values MUST be strings and MAY be empty; unknown keys are like unknown properties",
        |suite| {
            accepted(
                suite,
                "/annotations",
                json!({ "com.example.a": "", "org.opencontainers.x": "y" }),
            )
        },
    ),
    (
        "config/annotation-empty-key",
        "config.md, Annotations: keys MUST NOT be an empty string",
        |suite| refused(suite, "/annotations", json!({ "": "value" })),
    ),
    (
        "config/annotation-not-a-string",
        "config.md, Annotations: values MUST be strings",
        |suite| refused(suite, "/annotations", json!({ "com.example.a": 7 })),
    ),
    (
        "config/change-after-create",
        "runtime.md, Lifecycle: updates to config.json after create MUST NOT affect the container",
        change_after_create,
    ),
    (
        "config/removed-after-create",
        "runtime.md, Lifecycle: updates to config.json after create MUST NOT affect the container, its removal neither",
        removed_after_create,
    ),
];

/// With this value a container runs.
fn accepted(suite: &Suite, pointer: &str, value: Value) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(pointer, value);
    bundle.report().map(drop)
}

/// With this value it must not.
fn refused(suite: &Suite, pointer: &str, value: Value) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(pointer, value);
    bundle.refused().map(drop)
}

fn version_missing(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    if let Some(config) = bundle.config.as_object_mut() {
        config.remove("ociVersion");
    }
    bundle.refused().map(drop)
}

fn change_after_create(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/env", json!(["WHICH=first"]));
    let container = bundle.create()?;
    bundle.write_text(
        &bundle
            .config
            .to_string()
            .replace("WHICH=first", "WHICH=second"),
    )?;
    container.start()?;
    container.wait()?;
    let env = &container.first_report()?["env"];
    let first = env
        .as_array()
        .is_some_and(|all| all.contains(&json!("WHICH=first")));
    holds("the environment is that of create", first, env)?;
    container.delete()
}

fn removed_after_create(suite: &Suite) -> Result<()> {
    let bundle = suite.bundle()?;
    let container = bundle.create()?;
    std::fs::remove_file(bundle.path().join("config.json"))?;
    container.start()?;
    container.wait()?;
    container.first_report()?;
    container.delete()
}
