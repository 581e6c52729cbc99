//! `cargo xtask bench`: Brig beside other engines and runtimes, in one run.
//!
//! Machines drift: only figures of one run compare. So every subject takes its turn in every round,
//! and what is reported is the median over the rounds and the ratio to Brig's.
//!
//! ```text
//!   subject    one engine: how to start it, how to say `run`, `exec`, `ps` to it
//!   logs       lines a second into a log
//!   many       fifty containers at once, five hundred that stay
//!   builds     five steps without and with a cache, a context of many files, a Rust project
//!   images     pull, push, save, load, with a registry on the loopback
//!   network    what attaching costs, and what passes: bytes, requests, names
//!   runtimes   the bare OCI runtimes on one bundle
//!   measure    rounds, medians
//!   memory     proportional set sizes from /proc
//!   report     the page docs/benchmarks.md
//! ```
//!
//! All runs in a mount namespace of its own from which the v2 hierarchy of a hybrid machine is
//! unmounted, because crun refuses that layout, and with a tmpfs on /run; the peers live in Debian trees
//! of their own.

mod builds;
mod engines;
mod images;
mod logs;
mod many;
mod measure;
mod memory;
mod network;
mod report;
mod runtimes;
mod subject;

use std::fs::{File, TryLockError};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::paths;
use report::Page;

/// Tells the second run of this program that it is in its own mount namespace.
const INSIDE: &str = "BRIG_BENCH_INSIDE";

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure: engine, runtime, images, build, network or all.
    #[arg(default_value = "all")]
    what: String,
    /// Rounds of the quick measurements; slow ones take a fifth.
    #[arg(long, default_value_t = 40)]
    rounds: usize,
    /// Brig alone.
    #[arg(long)]
    alone: bool,
    /// Print the page instead of writing docs/benchmarks.md.
    #[arg(long)]
    print: bool,
}

/// Runs `cargo xtask bench`.
pub(crate) fn run(args: &Args) -> Result<()> {
    if std::env::var_os(INSIDE).is_none() {
        return enter();
    }
    if !paths::dist(true).join("brigd").exists() {
        bail!(
            "no release build in {}: run make build first",
            paths::dist(true).display()
        );
    }
    let _alone = alone()?;
    let mut page = Page::new();
    if matches!(args.what.as_str(), "all" | "engine") {
        engines::measure(args, &mut page)?;
    }
    if matches!(args.what.as_str(), "all" | "runtime") {
        runtimes::measure(args, &mut page)?;
    }
    if matches!(args.what.as_str(), "all" | "images") {
        images::measure(args, &mut page)?;
    }
    if matches!(args.what.as_str(), "all" | "build") {
        builds::measure(args, &mut page)?;
    }
    if matches!(args.what.as_str(), "all" | "network") {
        network::measure(args, &mut page)?;
    }
    if page.is_empty() {
        bail!(
            "nothing is called {:?}: engine, runtime, images, build, network or all",
            args.what
        );
    }
    if args.print || args.what != "all" || args.alone {
        print!("{page}");
        return Ok(());
    }
    page.write(&paths::repository().join("docs/benchmarks.md"))
}

/// That no other bench runs, for as long as this is held: two would spoil each other's figures, and what the
/// one begins or ends with, the place of Brig's daemon among it, is the other's too.
fn alone() -> Result<File> {
    let path = paths::cache().join("bench.lock");
    let mut options = File::options();
    let lock = options.create(true).truncate(false).write(true).open(&path);
    let lock = lock.with_context(|| format!("cannot open {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another bench runs, and holds {}: end it, or wait for it",
                path.display()
            )
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Runs this program again in a mount namespace of its own; returns only if that fails.
fn enter() -> Result<()> {
    // As systemd has it, and the peers in their own trees.
    let script = "umount -l /sys/fs/cgroup/unified 2>/dev/null
        [ \"$(stat -f -c %T /run)\" = tmpfs ] || mount -t tmpfs tmpfs /run; exec \"$@\"";
    let error = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "bench",
        ])
        .args(std::env::args_os())
        .env(INSIDE, "1")
        .exec();
    Err(error).context("cannot run unshare")
}
