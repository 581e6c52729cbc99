//! The bundles that every runtime runs: busybox, with the specification that `brig-runtime spec`
//! writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::super::measure::quiet;
use super::super::subject;
use crate::paths;

/// Makes one in a directory, with a system call filter or without, for this command.
pub(super) fn make(directory: &Path, filter: Option<&Value>, command: &[&str]) -> Result<PathBuf> {
    let root = directory.join("rootfs");
    fs::create_dir_all(&root)?;
    let image = paths::cache().join("images/busybox.tar");
    let mut tar = Command::new("tar");
    quiet(tar.arg("-xf").arg(image).arg("-C").arg(&root))?;
    let mut spec = Command::new(paths::dist(true).join("brig-runtime"));
    quiet(spec.arg("spec").current_dir(directory))?;
    let path = directory.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    // Older runtimes refuse versions that they do not know.
    config["ociVersion"] = json!("1.0.2");
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(command);
    if let Some(filter) = filter {
        config["linux"]["seccomp"] = filter.clone();
    }
    let mut file = fs::File::create(&path)?;
    serde_json::to_writer(&mut file, &config)?;
    Ok(directory.to_owned())
}

/// Docker's default profile as Brig renders it, out of a container's own configuration.
pub(super) fn profile() -> Result<Value> {
    let brig = subject::brig()?;
    let brig = &brig[0];
    let run = ["run", "-d", "--network", "none", "--name", "profile"];
    brig.run(&[&run[..], &[subject::IMAGE, "sleep", "60"]].concat())?;
    let id = brig.run(&["inspect", "--format", "{{.Id}}", "profile"])?;
    let path = Path::new(subject::RUN_ROOT)
        .join("containers")
        .join(&id)
        .join("config.json");
    let config: Value = serde_json::from_slice(&fs::read(&path).context("no config.json")?)?;
    brig.run(&["rm", "-f", "profile"])?;
    Ok(config["linux"]["seccomp"].clone())
}
