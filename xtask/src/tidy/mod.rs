//! House rules as a test: who may depend on whom, how long things may get, what must not be written.

mod edges;
mod manifests;
mod source;
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths;

/// One rule broken in one place.
#[derive(Debug)]
pub(crate) struct Finding {
    place: String,
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }
}

/// Checks everything and fails when anything was found.
pub(crate) fn run() -> Result<()> {
    let root = paths::repository();
    let files = tracked(&root)?;
    let mut findings = edges::check(&root)?;
    findings.extend(manifests::check(&root, &files)?);
    findings.extend(words::check(&root, &files)?);
    let (found, lengths) = source::check(&root, &files)?;
    findings.extend(found);
    for finding in &findings {
        eprintln!("{}: {}", finding.place, finding.what);
    }
    println!(
        "tidy: {} files, {lengths}, {} findings",
        files.len(),
        findings.len()
    );
    if !findings.is_empty() {
        bail!("{} rules are broken", findings.len());
    }
    Ok(())
}

/// The files of the repository, those not yet added included, relative to its top.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .context("could not run git")?;
    if !output.status.success() {
        bail!("git could not list the files of {}", root.display());
    }
    let names = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
    let files = names.split_terminator('\0').map(PathBuf::from);
    Ok(files.filter(|file| root.join(file).is_file()).collect())
}
