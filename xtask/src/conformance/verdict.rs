//! How tests end, and how many how.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::known;
use super::suite::{Skip, Suite, Test};

/// Counts, printed as the last line.
#[derive(Debug, Default)]
pub(crate) struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
    deviates: usize,
    runtime: String,
}

impl Count {
    /// Whether the runtime does not conform.
    pub(crate) fn failed(&self) -> bool {
        self.failed > 0
    }

    fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Skipped(_) => self.skipped += 1,
            Verdict::Deviates(..) => self.deviates += 1,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            deviates,
            runtime,
        } = self;
        write!(
            f,
            "conformance: {passed} passed, {failed} failed, {skipped} skipped, {deviates} deviate ({runtime})"
        )
    }
}

/// How one test ended.
#[derive(Debug)]
enum Verdict {
    Passed,
    Failed(String),
    Skipped(String),
    /// A peer's known disagreement with the specification: why, and what was seen.
    Deviates(&'static str, String),
}

/// Runs the tests, some at once, and prints a line for each.
pub(crate) fn run_all(suite: &Suite, tests: &[Test], jobs: usize, quiet: bool) -> Count {
    let next = AtomicUsize::new(0);
    let count = Mutex::new(Count {
        runtime: suite.runtime.version.clone(),
        ..Count::default()
    });
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = judge(suite, test);
                    let mut count = match count.lock() {
                        Ok(count) => count,
                        Err(broken) => broken.into_inner(),
                    };
                    count.add(&verdict);
                    print(test, &verdict, quiet);
                }
            });
        }
    });
    match count.into_inner() {
        Ok(count) => count,
        Err(broken) => broken.into_inner(),
    }
}

fn judge(suite: &Suite, test: &Test) -> Verdict {
    let Err(error) = (test.check)(suite) else {
        return Verdict::Passed;
    };
    if let Some(skip) = error.downcast_ref::<Skip>() {
        return Verdict::Skipped(skip.to_string());
    }
    let seen = format!("{error:#}");
    match known::disagreement(&suite.runtime, &test.name) {
        Some(why) => Verdict::Deviates(why, seen),
        None => Verdict::Failed(seen),
    }
}

fn print(test: &Test, verdict: &Verdict, quiet: bool) {
    let Test { name, says, .. } = test;
    match verdict {
        Verdict::Passed if quiet => {}
        Verdict::Passed => println!("PASS {name}"),
        Verdict::Skipped(why) => println!("SKIP {name}: {why}"),
        Verdict::Failed(seen) => println!("FAIL {name}: {seen}\n     {says}"),
        Verdict::Deviates(why, seen) => {
            println!("DEVIATES {name}: {why}\n     {says}\n     seen: {seen}")
        }
    }
}
