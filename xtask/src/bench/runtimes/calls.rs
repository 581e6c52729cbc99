//! How many system calls a runtime makes, the container's command included.

use std::fs;

use anyhow::{Context as _, Result};

use super::super::measure::quiet;
use super::subjects::Runtime;
use crate::paths;

/// Counts those of one command and of everything it starts.
pub(super) fn count(runtime: &Runtime, args: &[&str]) -> Result<String> {
    let summary = paths::target().join("bench-calls");
    let file = summary.display().to_string();
    let strace = [
        "strace",
        "--follow-forks",
        "--summary-only",
        "--output",
        &file,
    ];
    quiet(&mut runtime.watched(&strace, args)).context("strace")?;
    let text = fs::read_to_string(&summary)?;
    let _ = fs::remove_file(&summary);
    total(&text).context("strace printed no total")
}

/// The number of calls in the last line of strace's summary.
fn total(summary: &str) -> Option<String> {
    let line = summary.lines().rfind(|line| line.ends_with(" total"))?;
    let calls = line.split_whitespace().nth(3)?;
    Some(calls.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
             76.60    0.001067        1067         1           waitid\n\
            100.00    0.001393           1       822        32 total\n";
        assert_eq!(total(summary).as_deref(), Some("822"));
        assert_eq!(total("nothing"), None);
    }
}
