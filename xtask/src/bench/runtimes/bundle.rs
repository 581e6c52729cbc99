//! The bundles that every runtime runs: busybox, with the specification that `brig-runtime spec`
//! writes.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
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
    nothing(&root.join("bin/nothing"))?;
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

/// A static program that ends at once: what is left is the runtime's own time. The C library of a
/// static busybox asks a virtual machine's host about the processor for half a millisecond.
fn nothing(path: &Path) -> Result<()> {
    /// mov eax, 60 (exit); xor edi, edi; syscall.
    const CODE: [u8; 9] = [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + CODE.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // Executable, x86-64, version 1; entry, program headers, no sections (elf(5)).
    let halves = |file: &mut Vec<u8>, all: &[u16]| {
        all.iter().for_each(|n| file.extend(n.to_le_bytes()));
    };
    let words = |file: &mut Vec<u8>, all: &[u64]| {
        all.iter().for_each(|n| file.extend(n.to_le_bytes()));
    };
    halves(&mut file, &[2, 62, 1, 0]);
    words(&mut file, &[BASE + HEADERS, 64, 0]);
    halves(&mut file, &[0, 0, 64, 56, 1, 64, 0, 0]);
    // One segment to load, readable and executable.
    halves(&mut file, &[1, 0, 5, 0]);
    words(&mut file, &[0, BASE, BASE, size, size, 0x1000]);
    file.extend(CODE);
    fs::File::create(path)?.write_all(&file)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
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
