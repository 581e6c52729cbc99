//! `cargo xtask conformance`: whether a runtime does what runtime-spec says, sentence by sentence.
//!
//! Each test names its sentence, makes a bundle, drives the runtime by the OCI command line alone and
//! looks at what a program inside sees. Nothing of the runtime under test is linked: the suite runs
//! any, and is itself checked by running it on runc and crun.
//!
//! ```text
//!   runtime    the program under test, and how a word of its command line is said
//!   bundle     config.json and a root with one static program and busybox
//!   container  a container from create to delete; gone when dropped
//!   machine    what this kernel has
//!   tree       a peer's own system to run it in
//!   sections   the tests, one file a section of the specification
//!   known      where a peer disagrees with the specification, and why
//! ```

mod bundle;
mod container;
mod find;
mod known;
mod machine;
mod private;
mod runtime;
mod sections;
mod suite;
mod tree;
mod verdict;

use std::path::PathBuf;

use anyhow::{Result, bail};

use self::suite::Suite;
use crate::paths;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The runtime's program; brig-runtime from the debug build if nothing is said.
    #[arg(long)]
    runtime: Option<PathBuf>,
    /// A system's tree to run it in, where the runtime's own libraries are.
    #[arg(long)]
    tree: Option<PathBuf>,
    /// Only tests whose name contains this; may be given again.
    #[arg(long)]
    only: Vec<String>,
    /// Names and sentences, and nothing is run.
    #[arg(long)]
    list: bool,
    /// Not a line for what passes.
    #[arg(long)]
    quiet: bool,
    /// How many tests run at once.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// The program that looks around inside.
    #[arg(long)]
    probe: Option<PathBuf>,
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.contains(only.as_str()))
    }
}

/// Runs `cargo xtask conformance`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let tests: Vec<_> = sections::all()
        .into_iter()
        .filter(|test| args.wants(&test.name))
        .collect();
    if args.list {
        for test in &tests {
            println!("{}\n    {}", test.name, test.says);
        }
        println!("{} tests", tests.len());
        return Ok(());
    }
    if tests.is_empty() {
        bail!("no test has {} in its name", args.only.join(" or "));
    }
    let scratch = private::enter()?;
    let program = args
        .runtime
        .clone()
        .unwrap_or_else(|| paths::dist(false).join("brig-runtime"));
    let probe = args
        .probe
        .clone()
        .unwrap_or_else(|| paths::dist(false).join("conformance-probe"));
    let suite = Suite::new(scratch, &program, &probe, args.tree.as_deref())?;
    println!("{}: {} tests", suite.runtime.version, tests.len());
    let count = verdict::run_all(&suite, &tests, args.jobs.max(1), args.quiet);
    println!("{count}");
    if count.failed() {
        bail!("{} does not conform", suite.runtime.name);
    }
    Ok(())
}
