//! The bare OCI runtimes on one bundle.
//!
//! ```text
//!   subjects    which runtimes there are, and how each is called
//!   bundle      what they run
//!   calls       system calls, counted by strace(1)
//!   breakdown   where the time goes, by the kernel's tracepoints and perf(1)
//! ```

mod breakdown;
mod bundle;
mod calls;
mod subjects;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::Args;
use super::measure::{Sequence, Series, quiet, sequences_in_rounds};
use super::report::{Page, Table};
use crate::paths;
use subjects::Runtime;

/// The container's id; nobody else's commands have it as a word.
const ID: &str = "brig-bench-runtimes";

/// Long enough for the kernel to forget that cgroups were changed a moment ago.
const IDLE: Duration = Duration::from_millis(60);

/// Measures all runtimes that are there.
pub(crate) fn measure(args: &Args, page: &mut Page) -> Result<()> {
    let scratch = paths::target().join("bench-runtimes");
    let _ = fs::remove_dir_all(&scratch);
    let (all, absent) = subjects::all(args.alone)?;
    for (name, error) in absent {
        page.absent(&name, &format!("{error:#}"));
    }
    let profile = bundle::profile()?;
    let plain = bundle::make(&scratch.join("brig-plain"), None, &["true"])?;
    let filtered = bundle::make(&scratch.join("brig-filtered"), Some(&profile), &["true"])?;
    let nothing = bundle::make(&scratch.join("brig-nothing"), None, &["/bin/nothing"])?;
    let sleeping = bundle::make(&scratch.join("brig-sleeping"), None, &["sleep", "3600"])?;
    let bench = Bench {
        plain: Placed::new(&all, &plain)?,
        filtered: Placed::new(&all, &filtered)?,
        nothing: Placed::new(&all, &nothing)?,
        sleeping: Placed::new(&all, &sleeping)?,
        all,
        rounds: args.rounds,
    };
    page.table(bench.times()?);
    page.table(bench.inside()?);
    page.table(bench.weights()?);
    match breakdown::table(&bench.all[0], &bench.plain.0[0]) {
        Ok(table) => page.table(table),
        Err(error) => page.absent("where the time of a run goes", &format!("{error:#}")),
    }
    page.versions(
        bench
            .all
            .iter()
            .map(|r| (r.name.as_str(), r.version.as_str())),
    );
    let _ = fs::remove_dir_all(&scratch);
    Ok(())
}

/// Where each runtime sees a bundle.
struct Placed(Vec<String>);

impl Placed {
    fn new(all: &[Runtime], bundle: &Path) -> Result<Self> {
        all.iter()
            .map(|runtime| runtime.place(bundle))
            .collect::<Result<_>>()
            .map(Self)
    }
}

struct Bench {
    all: Vec<Runtime>,
    plain: Placed,
    filtered: Placed,
    nothing: Placed,
    sleeping: Placed,
    rounds: usize,
}

impl Bench {
    fn times(&self) -> Result<Table> {
        let mut table = Table::new("OCI runtimes, milliseconds (median, 90th percentile)");
        table.add(
            "`run`, default specification",
            self.run(&self.plain, Duration::ZERO)?,
        );
        table.add(
            "`run`, with Docker's seccomp profile",
            self.run(&self.filtered, Duration::ZERO)?,
        );
        table.add(
            "`run`, after 60 ms of idleness",
            self.run(&self.plain, IDLE)?,
        );
        table.add(
            "`run` of a program that does nothing",
            self.run(&self.nothing, Duration::ZERO)?,
        );
        table.add("`create`, `start` and `delete`", self.in_three()?);
        table.add("`exec` of `true`", self.exec("true", |_| true)?);
        Ok(table)
    }

    /// What is only in the container.
    fn inside(&self) -> Result<Table> {
        let mut table = Table::new("OCI runtimes, joining, milliseconds");
        table.add(
            "`exec` of a program that does nothing",
            self.exec("/bin/nothing", Runtime::lands_inside)?,
        );
        Ok(table)
    }

    /// What has no time: calls, size, and what stays.
    fn weights(&self) -> Result<Table> {
        let mut table = Table::new("OCI runtimes, what they take");
        table.columns(self.all.iter().map(|runtime| runtime.name.clone()));
        for (what, bundles) in [
            ("system calls of a `run`", &self.plain),
            ("the same with Docker's seccomp profile", &self.filtered),
        ] {
            let count = |(runtime, bundle): (&Runtime, &String)| {
                let words = ["run", "--bundle", bundle, ID];
                calls::count(runtime, &words).unwrap_or_else(|error| format!("{error:#}"))
            };
            table.text(what, self.all.iter().zip(&bundles.0).map(count).collect());
        }
        let size = |runtime: &Runtime| match fs::metadata(&runtime.program) {
            Ok(metadata) => (metadata.len() / 1024).to_string(),
            Err(error) => error.to_string(),
        };
        table.text("program, KiB", self.all.iter().map(size).collect());
        let mut stays = Vec::new();
        for (runtime, bundle) in self.all.iter().zip(&self.sleeping.0) {
            stays.push(detached(runtime, bundle)?.to_string());
        }
        table.text("memory beside a detached container, KiB", stays);
        Ok(table)
    }

    fn run(&self, bundles: &Placed, idle: Duration) -> Result<Vec<Series>> {
        let all: Vec<Sequence<'_>> = self
            .all
            .iter()
            .zip(&bundles.0)
            .map(|(runtime, bundle)| Sequence {
                name: &runtime.name,
                idle,
                timed: Box::new(|| vec![runtime.command(&["run", "--bundle", bundle, ID])]),
                after: None,
            })
            .collect();
        sequences_in_rounds(&all, self.rounds)
    }

    fn in_three(&self) -> Result<Vec<Series>> {
        let all: Vec<Sequence<'_>> = self
            .all
            .iter()
            .zip(&self.plain.0)
            .map(|(runtime, bundle)| Sequence {
                name: &runtime.name,
                idle: Duration::ZERO,
                timed: Box::new(|| {
                    vec![
                        runtime.command(&["create", "--bundle", bundle, ID]),
                        runtime.command(&["start", ID]),
                        runtime.command(&["delete", "--force", ID]),
                    ]
                }),
                after: None,
            })
            .collect();
        sequences_in_rounds(&all, self.rounds)
    }

    fn exec(&self, program: &str, whom: fn(&Runtime) -> bool) -> Result<Vec<Series>> {
        let bundles = self.all.iter().zip(&self.sleeping.0);
        let chosen: Vec<_> = bundles.filter(|(runtime, _)| whom(runtime)).collect();
        for (runtime, bundle) in &chosen {
            start(runtime, bundle)?;
        }
        let all: Vec<_> = chosen
            .iter()
            .map(|(runtime, _)| exec_in(runtime, program))
            .collect();
        let series = sequences_in_rounds(&all, self.rounds);
        for (runtime, _) in &chosen {
            stop(runtime)?;
        }
        series
    }
}

fn exec_in<'a>(runtime: &'a Runtime, program: &'a str) -> Sequence<'a> {
    Sequence {
        name: &runtime.name,
        idle: Duration::ZERO,
        timed: Box::new(|| vec![runtime.command(&["exec", &runtime.own_id(ID), program])]),
        after: None,
    }
}

fn start(runtime: &Runtime, bundle: &str) -> Result<()> {
    let id = runtime.own_id(ID);
    let words = ["run", "--detach", "--bundle", bundle, &id];
    // Its streams are the container's: with a pipe this would wait for the container's end.
    let mut command = runtime.command(&words);
    super::measure::time(&mut command).map(drop)
}

fn stop(runtime: &Runtime) -> Result<()> {
    quiet(&mut runtime.command(&["delete", "--force", &runtime.own_id(ID)])).map(drop)
}

/// KiB of the processes of the runtime that stay while a container runs detached.
fn detached(runtime: &Runtime, bundle: &str) -> Result<u64> {
    start(runtime, bundle)?;
    let weight = super::memory::pss_of_word(&runtime.own_id(ID));
    stop(runtime)?;
    weight
}
