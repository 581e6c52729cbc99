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

/// Builds all test programs and the programs that they start.
pub(crate) fn build() -> Result<Vec<Program>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(paths::repository()).args([
        "test",
        "--no-run",
        "--locked",
        // All of them: with fewer, their dependencies have other features and are built again.
        "--workspace",
        "--message-format=json-render-diagnostics",
    ]);
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
