//! Builds the test programs and learns from cargo where they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::paths;

/// Crates whose tests touch the kernel; the others learn nothing from another machine.
const CRATES: [&str; 6] = ["sys", "network", "runtime", "shim", "storage", "engine"];

/// The crate of end-to-end tests.
const END_TO_END: &str = "testkit";

/// One program that cargo built.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// `crate::target`, as in `runtime::create`.
    pub(crate) name: String,
    /// Whether it is a test; otherwise tests start it.
    pub(crate) test: bool,
    /// Where it is; tests that start a sibling know it by this very path.
    pub(crate) path: PathBuf,
}

/// Builds the test programs whose names contain `only`, or all of them, and the programs that they
/// start.
pub(crate) fn build(only: Option<&str>) -> Result<Vec<Program>> {
    let mut cargo = cargo();
    cargo.args([
        "test",
        "--no-run",
        "--locked",
        // All of them: with fewer, their dependencies have other features and are built again.
        "--workspace",
        "--message-format=json-render-diagnostics",
    ]);
    cargo.args(only.map_or_else(|| Ok(Vec::new()), few)?);
    let output = cargo
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the test programs do not build");
    }
    let text = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    let programs = text.lines().filter_map(program);
    Ok(programs
        .filter(|program| of_interest(&program.name))
        .collect())
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(paths::repository());
    cargo
}

/// The words that have cargo build no more than is asked for; none where that is more than files of
/// tests, which alone can be named for a whole workspace.
fn few(only: &str) -> Result<Vec<String>> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version=1", "--locked"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    let all = serde_json::from_slice(&output.stdout).context("cargo tells nothing of itself")?;
    match selected(&all, only) {
        Some(words) if words.is_empty() => bail!("no test program has {only:?} in its name"),
        words => Ok(words.unwrap_or_default()),
    }
}

/// None if anything else than a file of tests has such a name.
fn selected(all: &Value, only: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for package in all["packages"].as_array()? {
        let krate = Path::new(package["manifest_path"].as_str()?).parent()?;
        let krate = krate.file_name()?.to_str()?;
        for target in package["targets"].as_array()? {
            let name = target["name"].as_str()?;
            if !of_interest(krate) || !format!("{krate}::{name}").contains(only) {
                continue;
            }
            if target["kind"] != serde_json::json!(["test"]) {
                return None;
            }
            words.extend(["--test".to_owned(), name.to_owned()]);
        }
    }
    Some(words)
}

/// Whether a program, or a test that starts it, belongs into the machine.
fn of_interest(name: &str) -> bool {
    let krate = name.split("::").next().unwrap_or(name);
    krate == END_TO_END || CRATES.contains(&krate)
}

fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message["executable"].as_str()?);
    let target = message["target"]["name"].as_str()?;
    let test = message["profile"]["test"].as_bool()?;
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let krate = manifest.parent()?.file_name()?.to_str()?;
    Some(Program {
        name: format!("{krate}::{target}"),
        test,
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_tests_are_built_alone() {
        let all = serde_json::json!({"packages": [
            {"manifest_path": "/r/crates/sys/Cargo.toml", "targets": [
                {"name": "sys", "kind": ["lib"]}, {"name": "mounts", "kind": ["test"]},
            ]},
            {"manifest_path": "/r/crates/cli/Cargo.toml", "targets": [
                {"name": "mounts", "kind": ["bin"]},
            ]},
        ]});
        let words = |only| selected(&all, only);
        assert_eq!(
            words("mounts"),
            Some(vec!["--test".into(), "mounts".into()])
        );
        assert_eq!(words("sys::mo"), words("mounts"));
        assert_eq!(words("sys"), None);
    }

    #[test]
    fn cargos_messages_name_the_programs() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/r/crates/sys/Cargo.toml",
            "target":{"name":"mounts"},"profile":{"test":true},"executable":"/t/mounts-1"}"#;
        let found = program(line).map(|p| (p.name, p.test, p.path));
        assert_eq!(
            found,
            Some(("sys::mounts".into(), true, PathBuf::from("/t/mounts-1")))
        );
        assert!(program(r#"{"reason":"build-finished","success":true}"#).is_none());
        assert!(program("not json").is_none());
    }
}
