//! Logs: how many lines a second a container can write before the log holds it up.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::engines::{name, owns_containers, words};
use super::measure::{Series, time};
use super::report::{Page, Table};
use super::subject::{self, IMAGE, Subject};

/// Lines that a container writes, and their text.
const LINES: usize = 5_000_000;
const TEXT: &str = "a line of a log as programs write them, some sixty bytes long";

/// Measures those with containers of their own; `count` rounds.
pub(super) fn measure(all: &[Subject], count: usize, page: &mut Page) -> Result<()> {
    let owners: Vec<&Subject> = all.iter().filter(|s| owns_containers(s)).collect();
    let mut table = Table::new("Logs, lines a second, in millions (median)");
    table.columns(owners.iter().map(|subject| subject.name.clone()));
    for driver in ["none", "json-file", "local"] {
        let cells = owners.iter().map(|subject| cell(subject, driver, count));
        let what = format!("`--log-driver {driver}`");
        table.text(&what, cells.collect::<Result<_>>()?);
    }
    page.table(table);
    Ok(())
}

fn cell(subject: &Subject, driver: &str, count: usize) -> Result<String> {
    // podman's only file is in a form of its own, and has this name.
    if driver == "local" && subject.name.starts_with("podman") {
        return Ok(String::new());
    }
    let samples: Result<Vec<Duration>> = (0..=count)
        .map(|_| time(&mut written(subject, driver)))
        .collect();
    // The first one warms up.
    let series = Series::of(name(subject), samples?.split_off(1));
    #[expect(clippy::cast_precision_loss, reason = "some millions")]
    let lines = LINES as f64 / series.median() / 1000.0;
    Ok(format!("{lines:.2}"))
}

/// A container that writes them all, from its start until it is removed.
fn written(subject: &Subject, driver: &str) -> Command {
    let write = format!("yes {TEXT} | head -n {LINES}");
    let run = ["run", "-d", "--network", "none", "--log-driver", driver];
    let run = [&run[..], &[IMAGE, "sh", "-c", &write]].concat();
    let script = format!(
        "id=$({}) && {} $id >/dev/null && {} $id",
        words(subject, &run),
        words(subject, &["wait"]),
        words(subject, &subject.remove())
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    subject::environment(&mut shell);
    shell
}
