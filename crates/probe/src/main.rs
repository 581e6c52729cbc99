//! What the conformance suite runs inside containers and as hooks: it says what it sees, as JSON.
//!
//! One static program, so that a root file system needs nothing else. Knows nothing of runtimes and
//! judges nothing: the suite outside compares.
//!
//! ```text
//!   report             everything about this process, one object
//!   wait               the same, then sleeps until it is killed
//!   ops OP...          does one thing after the other, one line of result each
//!   hook FILE NAME     appends what a hook can know to a file; further words say how it ends
//! ```

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod hook;
mod ops;
mod report;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["report", ..] => say(&report::report()),
        ["wait", ..] => {
            say(&report::report());
            forever();
        }
        ["ops", ref list @ ..] => list.iter().for_each(|text| say(&ops::run(text))),
        ["hook", file, name, ref how @ ..] => return hook::run(file, name, how),
        _ => return ExitCode::from(64),
    }
    ExitCode::SUCCESS
}

/// One line, out at once: the next thing may end this process.
fn say(value: &Value) {
    println!("{value}");
    // Whoever closed the other end does not want to know.
    let _ = std::io::stdout().flush();
}

/// Waits to be killed.
fn forever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
