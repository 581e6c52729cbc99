//! Manifests: dependencies in the order of the alphabet, versions named once, lints inherited.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Finding;

/// Checks every `Cargo.toml`.
pub(super) fn check(root: &Path, files: &[PathBuf]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.ends_with("Cargo.toml")) {
        let text = std::fs::read_to_string(root.join(file))
            .with_context(|| format!("could not read {}", file.display()))?;
        let place = file.display().to_string();
        findings.extend(order(&place, &text));
        if file.components().count() > 1 {
            findings.extend(member(&place, &text));
        }
    }
    Ok(findings)
}

/// Within one run of lines that name dependencies, the names ascend. A blank line starts a new run.
fn order(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut inside, mut last) = (false, String::new());
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            last.clear();
        } else if line.trim().is_empty() {
            last.clear();
        } else if let (true, Some(name)) = (inside, line.split(['.', '=', ' ']).next()) {
            if name < last.as_str() {
                findings.push(Finding::new(place, format!("{name} comes before {last}")));
            }
            name.clone_into(&mut last);
        }
    }
    findings
}

/// A member takes its lints and the versions of its dependencies from the workspace.
fn member(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.contains("[lints]\nworkspace = true") {
        findings.push(Finding::new(place, "does not take the workspace's lints"));
    }
    for line in text.lines().filter(|line| line.contains("version = \"")) {
        let what = format!("`{line}`: name the version in the workspace's table");
        findings.push(Finding::new(place, what));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_out_of_order_are_found() {
        let text = "[dependencies]\nb.workspace = true\na.workspace = true\n[lib]\npath = \"a\"\n";
        let found = order("x", text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "a comes before b");
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        let found = member(
            "x",
            "[lints]\nworkspace = true\n[dependencies]\na = { version = \"1\" }",
        );
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
