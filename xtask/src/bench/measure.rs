//! Rounds and medians.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// What was measured of one subject.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// The subject.
    pub(crate) name: String,
    samples: Vec<Duration>,
}

impl Series {
    /// What was measured elsewhere; nothing of whom it does not apply to.
    pub(crate) fn of(name: &str, samples: Vec<Duration>) -> Self {
        let name = name.to_owned();
        Self { name, samples }
    }

    /// The middle of all samples, in milliseconds.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value that this share of the samples does not exceed, in milliseconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a list of some dozen"
        )]
        let index = (last as f64 * share).round() as usize;
        sorted
            .get(index)
            .map_or(f64::NAN, |d| d.as_secs_f64() * 1000.0)
    }
}

/// One thing to time: it may prepare before and tidy up after, off the clock.
pub(crate) struct Trial<'a> {
    /// The subject's name.
    pub(crate) name: &'a str,
    /// What is timed.
    pub(crate) timed: Box<dyn Fn() -> Command + 'a>,
    /// What comes after, untimed.
    pub(crate) after: Option<Box<dyn Fn() -> Command + 'a>>,
}

/// Several commands that are timed together, one after the other.
pub(crate) struct Sequence<'a> {
    /// The subject's name.
    pub(crate) name: &'a str,
    /// Nothing happens for so long before.
    pub(crate) idle: Duration,
    /// What is timed.
    pub(crate) timed: Box<dyn Fn() -> Vec<Command> + 'a>,
    /// What comes after, untimed.
    pub(crate) after: Option<Box<dyn Fn() -> Command + 'a>>,
}

/// Every trial once a round, after a warm-up round that does not count.
pub(crate) fn rounds(trials: &[Trial<'_>], count: usize) -> Result<Vec<Series>> {
    let sequences: Vec<Sequence<'_>> = trials
        .iter()
        .map(|trial| Sequence {
            name: trial.name,
            idle: Duration::ZERO,
            timed: Box::new(|| vec![(trial.timed)()]),
            after: trial
                .after
                .as_ref()
                .map(|after| -> Box<dyn Fn() -> Command> { Box::new(after) }),
        })
        .collect();
    sequences_in_rounds(&sequences, count)
}

/// The same for sequences.
pub(crate) fn sequences_in_rounds(all: &[Sequence<'_>], count: usize) -> Result<Vec<Series>> {
    let mut series: Vec<Series> = all
        .iter()
        .map(|sequence| Series {
            name: sequence.name.to_owned(),
            samples: Vec::with_capacity(count),
        })
        .collect();
    for round in 0..=count {
        for (sequence, series) in all.iter().zip(&mut series) {
            settle();
            std::thread::sleep(sequence.idle);
            let mut took = Duration::ZERO;
            for command in &mut (sequence.timed)() {
                took += time(command).with_context(|| sequence.name.to_owned())?;
            }
            if round > 0 {
                series.samples.push(took);
            }
            if let Some(after) = &sequence.after {
                quiet(&mut after())?;
            }
        }
    }
    Ok(series)
}

/// How long the machine has to be quiet, and how long that is waited for.
const QUIET: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits until what the one before has left to the background is done: it is not the next one's. A
/// machine that does not come to rest is measured as it is.
pub(crate) fn settle() {
    let deadline = Instant::now() + PATIENCE;
    let mut before = busy_ticks();
    while Instant::now() < deadline {
        std::thread::sleep(QUIET);
        let now = busy_ticks();
        if now <= before + 1 {
            return;
        }
        before = now;
    }
}

/// What all processors have worked since boot, in the kernel's hundredths of a second (proc_stat(5)).
fn busy_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat.lines().next().unwrap_or_default();
    let mut fields: Vec<u64> = all
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, ...
    fields.drain(3..5.min(fields.len()));
    fields.iter().sum()
}

/// Runs a command to its end and says how long it took.
pub(crate) fn time(command: &mut Command) -> Result<Duration> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let status = child.wait()?;
    let took = start.elapsed();
    if !status.success() {
        let mut text = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut text)?;
        }
        bail!("{command:?} ended with {status}: {}", text.trim());
    }
    Ok(took)
}

/// Runs a command to its end; what it prints is shown only when it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}: {}", output.status, text.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let samples = [5, 1, 3, 2, 4].map(Duration::from_millis).to_vec();
        let series = Series {
            name: "x".into(),
            samples,
        };
        assert!((series.median() - 3.0).abs() < 1e-9);
        assert!((series.quantile(0.9) - 5.0).abs() < 1e-9);
    }
}
