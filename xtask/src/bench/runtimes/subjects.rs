//! The runtimes: Brig's, and those of the Debian trees.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::super::measure::quiet;
use super::super::subject;
use crate::paths;

/// A runtime's command.
#[derive(Debug)]
pub(super) struct Runtime {
    pub(super) name: String,
    pub(super) version: String,
    prefix: Vec<String>,
    /// The program's file.
    pub(super) program: PathBuf,
    /// The tree it is run in, by chroot(1), because it executes itself again.
    root: Option<PathBuf>,
}

impl Runtime {
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.prefix[0]);
        command.args(&self.prefix[1..]).args(args);
        command
    }

    /// The same below another program that watches it.
    pub(super) fn watched(&self, by: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new(by[0]);
        command.args(&by[1..]).args(&self.prefix).args(args);
        command
    }

    /// An id that no other runtime has for a container at the same time.
    pub(super) fn own_id(&self, id: &str) -> String {
        format!("{id}-{}", self.name.replace(' ', "-"))
    }

    /// Whether its `exec` lands in the container: from a changed root runc's lands in the machine's own.
    pub(super) fn lands_inside(&self) -> bool {
        self.root.is_none()
    }

    /// Where it sees a bundle.
    pub(super) fn place(&self, bundle: &Path) -> Result<String> {
        let Some(root) = &self.root else {
            return Ok(bundle.display().to_string());
        };
        let name = bundle.file_name().context("a bundle without a name")?;
        let seen = Path::new("/tmp").join(name);
        let inside = root.join(seen.strip_prefix("/")?);
        fs::create_dir_all(&inside)?;
        let mut mount = Command::new("mount");
        quiet(mount.arg("--bind").arg(bundle).arg(&inside))?;
        Ok(seen.display().to_string())
    }
}

/// Who is not there, and why.
pub(super) type Absent = (String, anyhow::Error);

/// Brig's first, then those that are there of the peers; the others with why they are not.
pub(super) fn all(alone: bool) -> Result<(Vec<Runtime>, Vec<Absent>)> {
    let (mut there, mut absent) = (vec![brig()?], Vec::new());
    if alone {
        return Ok((there, absent));
    }
    for suite in ["bookworm", "sid"] {
        for name in ["crun", "runc"] {
            match peer(suite, name) {
                Ok(runtime) => there.push(runtime),
                Err(error) => absent.push((format!("{name} of {suite}"), error)),
            }
        }
    }
    Ok((there, absent))
}

fn brig() -> Result<Runtime> {
    let program = paths::dist(true).join("brig-runtime");
    let version = quiet(Command::new(&program).arg("--version")).context("brig-runtime")?;
    Ok(Runtime {
        name: "brig-runtime".to_owned(),
        version: version.lines().next().unwrap_or("").to_owned(),
        prefix: vec![program.display().to_string()],
        program,
        root: None,
    })
}

/// A runtime out of a Debian tree, by that tree's own loader: no chroot is on its path.
fn peer(suite: &str, name: &str) -> Result<Runtime> {
    let root = paths::cache().join("peers").join(suite);
    // What engines were not measured left this undone.
    if !root.join("proc/self").exists() {
        subject::prepare(&root)?;
    }
    let program = ["usr/bin", "usr/sbin"]
        .iter()
        .map(|d| root.join(d).join(name))
        .find(|p| p.exists())
        .with_context(|| format!("{} has no {name}", root.display()))?;
    let libraries = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"].map(|d| root.join(d));
    let libraries = libraries.map(|d| d.display().to_string()).join(":");
    let loader = root.join("lib64/ld-linux-x86-64.so.2");
    let (prefix, root) = if name == "runc" {
        let prefix = ["chroot", &root.display().to_string(), name].map(String::from);
        (prefix.to_vec(), Some(root))
    } else {
        let words = [
            loader.display().to_string(),
            "--library-path".to_owned(),
            libraries,
            program.display().to_string(),
        ];
        (words.to_vec(), None)
    };
    let mut runtime = Runtime {
        name: String::new(),
        version: String::new(),
        prefix,
        program,
        root,
    };
    runtime.version = quiet(&mut runtime.command(&["--version"]))?
        .lines()
        .next()
        .unwrap_or("")
        .into();
    let short = runtime.version.split_whitespace().last().unwrap_or("?");
    runtime.name = format!("{name} {}", short.split('+').next().unwrap_or(short));
    Ok(runtime)
}
