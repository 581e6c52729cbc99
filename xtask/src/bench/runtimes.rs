//! The bare OCI runtimes on one bundle.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::measure::{Series, Trial, quiet, rounds};
use super::report::{Page, Table};
use super::{Args, subject};
use crate::paths;

/// A runtime's command.
#[derive(Debug)]
struct Runtime {
    name: String,
    version: String,
    prefix: Vec<String>,
    /// The tree it is run in, by chroot(1), because it executes itself again.
    root: Option<PathBuf>,
}

impl Runtime {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.prefix[0]);
        command.args(&self.prefix[1..]).args(args);
        command
    }
}

/// Measures all runtimes that are there.
pub(crate) fn measure(args: &Args, page: &mut Page) -> Result<()> {
    let scratch = paths::target().join("bench-runtimes");
    let _ = fs::remove_dir_all(&scratch);
    let mut all = vec![brig()?];
    if !args.alone {
        for suite in ["bookworm", "sid"] {
            for name in ["crun", "runc"] {
                match peer(suite, name) {
                    Ok(runtime) => all.push(runtime),
                    Err(error) => page.absent(&format!("{name} of {suite}"), &format!("{error:#}")),
                }
            }
        }
    }
    let mut table = Table::new("OCI runtimes, milliseconds (median, 90th percentile)");
    let plain = bundle(&scratch.join("plain"), false)?;
    table.add(
        "`run`, default specification",
        time(&all, &plain, args.rounds)?,
    );
    let filtered = bundle(&scratch.join("seccomp"), true)?;
    table.add(
        "`run`, with Docker's seccomp profile",
        time(&all, &filtered, args.rounds)?,
    );
    page.table(table);
    page.versions(all.iter().map(|r| (r.name.as_str(), r.version.as_str())));
    let _ = fs::remove_dir_all(&scratch);
    Ok(())
}

fn time(all: &[Runtime], bundle: &Path, count: usize) -> Result<Vec<Series>> {
    let bundle = bundle.display().to_string();
    for root in all.iter().filter_map(|runtime| runtime.root.as_ref()) {
        let inside = root.join("tmp/bundle");
        fs::create_dir_all(&inside)?;
        quiet(Command::new("mount").args(["--bind", &bundle]).arg(&inside))?;
    }
    let trials: Vec<Trial<'_>> = all.iter().map(|runtime| trial(runtime, &bundle)).collect();
    rounds(&trials, count)
}

fn trial<'a>(runtime: &'a Runtime, bundle: &'a str) -> Trial<'a> {
    let bundle = if runtime.root.is_some() {
        "/tmp/bundle"
    } else {
        bundle
    };
    let timed = move || runtime.command(&["run", "--bundle", bundle, "brig-bench"]);
    Trial {
        name: &runtime.name,
        timed: Box::new(timed),
        after: None,
    }
}

fn brig() -> Result<Runtime> {
    let path = paths::dist(true).join("brig-runtime").display().to_string();
    let version = quiet(Command::new(&path).arg("--version")).context("brig-runtime")?;
    Ok(Runtime {
        name: "brig-runtime".to_owned(),
        version,
        prefix: vec![path],
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

/// A bundle of busybox that runs `true`, with the specification that `brig-runtime spec` writes.
fn bundle(directory: &Path, seccomp: bool) -> Result<PathBuf> {
    let root = directory.join("rootfs");
    fs::create_dir_all(&root)?;
    let image = paths::cache().join("images/busybox.tar");
    quiet(
        Command::new("tar")
            .arg("-xf")
            .arg(image)
            .arg("-C")
            .arg(&root),
    )?;
    let spec = Command::new(paths::dist(true).join("brig-runtime"))
        .arg("spec")
        .current_dir(directory)
        .output()
        .context("cannot run brig-runtime spec")?;
    anyhow::ensure!(
        spec.status.success(),
        "{}",
        String::from_utf8_lossy(&spec.stderr)
    );
    let path = directory.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    // Older runtimes refuse versions that they do not know.
    config["ociVersion"] = json!("1.0.2");
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["true"]);
    if seccomp {
        config["linux"]["seccomp"] = profile()?;
    }
    let mut file = fs::File::create(&path)?;
    serde_json::to_writer(&mut file, &config)?;
    Ok(directory.to_owned())
}

/// Docker's default profile as Brig renders it, out of a container's own configuration.
fn profile() -> Result<Value> {
    let brig = subject::brig()?;
    let brig = &brig[0];
    brig.run(&[
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "profile",
        subject::IMAGE,
        "sleep",
        "60",
    ])?;
    let id = brig.run(&["inspect", "--format", "{{.Id}}", "profile"])?;
    let path = paths::target()
        .join("bench/run/containers")
        .join(&id)
        .join("config.json");
    let config: Value = serde_json::from_slice(&fs::read(&path).context("no config.json")?)?;
    brig.run(&["rm", "-f", "profile"])?;
    Ok(config["linux"]["seccomp"].clone())
}
