//! Measures Brig beside other engines and runtimes, in one run.

use anyhow::Result;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds of each measurement.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
}

/// Measures everything and writes docs/benchmarks.md.
pub(crate) fn run(args: &Args) -> Result<()> {
    anyhow::bail!("cannot measure {} rounds yet", args.rounds)
}
