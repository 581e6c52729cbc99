//! Which crate may know which: the drawing of docs/architecture.md, as a table.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Finding;

/// A crate of ours and those of ours it may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("sys", &["types"]),
    ("runtime", &["sys", "types"]),
    ("shim", &["runtime", "sys", "types"]),
    ("network", &["sys", "types"]),
    ("storage", &["sys", "types"]),
    ("registry", &["types"]),
    (
        "engine",
        &["network", "registry", "shim", "storage", "sys", "types"],
    ),
    ("buildkit", &["sys"]),
    (
        "builder",
        &["buildkit", "engine", "storage", "sys", "types"],
    ),
    ("api", &["types"]),
    ("cri", &["engine", "types"]),
    (
        "daemon",
        &[
            "api", "builder", "buildkit", "cri", "engine", "sys", "types",
        ],
    ),
    ("compose", &["api", "types"]),
    ("cli", &["api", "buildkit", "compose", "sys", "types"]),
    ("probe", &[]),
    ("testkit", &[]),
    ("xtask", &[]),
];

/// What nobody but `sys` may call: the kernel's own interface.
const KERNEL: &[&str] = &["libc", "linux-raw-sys", "nix", "rustix", "syscalls"];

/// Who else may, and why: a runtime's caller is handed descriptors over a socket, which std cannot take.
const KERNEL_TOO: &[(&str, &str)] = &[("xtask", "rustix")];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// Compares what cargo says with the table.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let metadata = metadata(root)?;
    let mut findings = Vec::new();
    for package in &metadata.packages {
        match EDGES.iter().find(|(name, _)| *name == package.name) {
            Some((_, allowed)) => findings.extend(edges_of(package, allowed)),
            None => findings.push(Finding::new(
                &package.name,
                "a crate that the table does not know",
            )),
        }
    }
    Ok(findings)
}

fn edges_of(package: &Package, allowed: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let ours = EDGES.iter().any(|(known, _)| *known == name);
        let for_tests = dependency.kind.as_deref() == Some("dev");
        if ours && !allowed.contains(&name) && !(for_tests && name == "testkit") {
            let what = format!("depends on {name}: that edge is not drawn");
            findings.push(Finding::new(&package.name, what));
        }
        let too = KERNEL_TOO.contains(&(package.name.as_str(), name));
        if KERNEL.contains(&name) && package.name != "sys" && !too {
            let what = format!("depends on {name}: only sys calls the kernel");
            findings.push(Finding::new(&package.name, what));
        }
    }
    findings
}

fn metadata(root: &Path) -> Result<Metadata> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root)
        .output()
        .context("could not run cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata printed something else")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, depends: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).into(),
            kind: kind.map(Into::into),
        };
        Package {
            name: name.into(),
            dependencies: depends.iter().map(dependency).collect(),
        }
    }

    #[test]
    fn an_edge_that_is_not_drawn_is_found() {
        let package = package(
            "shim",
            &[("runtime", None), ("engine", None), ("serde", None)],
        );
        let found = edges_of(&package, &["runtime"]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "depends on engine: that edge is not drawn");
    }

    #[test]
    fn tests_may_use_testkit_and_only_sys_the_kernel() {
        let package = package("shim", &[("testkit", Some("dev")), ("libc", Some("dev"))]);
        let found = edges_of(&package, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "depends on libc: only sys calls the kernel");
    }
}
