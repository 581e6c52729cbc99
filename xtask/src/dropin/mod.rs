//! `cargo xtask dropin`: podman, containerd and Docker run their containers on `brig-runtime`.
//!
//! Each lives in its own Debian tree, which is the root of namespaces made for it; what it leaves
//! there is gone with them. A case is a command of its client, the exit code and a word that must be
//! in what it prints: what the same command gives with runc.
//!
//! ```text
//!   house     the tree as the root of namespaces of its own
//!   engines   how each engine is started and told which runtime to use
//!   cases     what is asked of it
//! ```

mod cases;
mod engines;
mod house;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::paths;
use cases::Outcome;
use engines::Engine;
use house::House;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only engines whose name begins so: podman, containerd or docker.
    #[arg(default_value = "")]
    only: String,
    /// The runtime to use. Default: that of the newest build, release or not.
    #[arg(long)]
    runtime: Option<PathBuf>,
    /// Only this suite of Debian: bookworm or sid.
    #[arg(long)]
    suite: Option<String>,
}

const SUITES: [&str; 2] = ["bookworm", "sid"];

/// How many cases came out how.
#[derive(Debug, Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// Runs `cargo xtask dropin`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let runtime = args.runtime.clone().unwrap_or_else(newest);
    if !runtime.exists() {
        bail!(
            "there is no {}: run scripts/build.sh debug first",
            runtime.display()
        );
    }
    let mut counts = Counts::default();
    let wanted = |suite: &&str| args.suite.as_deref().is_none_or(|only| only == *suite);
    for suite in SUITES.into_iter().filter(wanted) {
        let engines = engines::ALL.iter();
        for engine in engines.filter(|engine| engine.name.starts_with(&args.only)) {
            one(engine, suite, &runtime, &mut counts)?;
        }
    }
    let Counts {
        passed,
        failed,
        skipped,
    } = counts;
    println!("dropin: {passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 {
        bail!("{failed} commands did not do with brig-runtime what they do with runc");
    }
    if passed == 0 && skipped == 0 {
        bail!(
            "no engine is called {:?}: podman, containerd or docker",
            args.only
        );
    }
    Ok(())
}

fn newest() -> PathBuf {
    let built = [true, false].map(|release| paths::dist(release).join("brig-runtime"));
    let [release, debug] = built.each_ref().map(|path| {
        path.metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
    });
    let [release_path, debug_path] = built;
    if release > debug {
        release_path
    } else {
        debug_path
    }
}

fn one(engine: &Engine, suite: &str, runtime: &std::path::Path, counts: &mut Counts) -> Result<()> {
    let name = format!("{} of {suite}", engine.name);
    let started = House::open(suite, runtime).and_then(|house| {
        let client = (engine.start)(&house)?;
        Ok((house, client))
    });
    let (house, client) = match started {
        Ok(there) => there,
        Err(error) => {
            // The line is counted by whoever counts what was skipped.
            println!("SKIP: dropin: {name}: {error:#}");
            counts.skipped += 1;
            return Ok(());
        }
    };
    for case in engine.cases.iter().copied().flatten() {
        match case.run(&house, &client)? {
            Outcome::Passed => counts.passed += 1,
            Outcome::Failed(why) => {
                println!("FAIL {name}: {case}\n{why}");
                counts.failed += 1;
            }
        }
    }
    println!("{name}: done");
    Ok(())
}
