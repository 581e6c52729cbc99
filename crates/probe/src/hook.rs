//! A hook that leaves a trace: one line a call, appended to a file.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use serde_json::json;

use crate::report;

/// Writes what this hook sees, then does what `how` says: `fail`, `sleep`, or nothing more.
pub(crate) fn run(file: &str, name: &str, how: &[&str]) -> ExitCode {
    let mut stdin = String::new();
    let read = std::io::stdin().read_to_string(&mut stdin);
    let line = json!({
        "hook": name, "stdin": stdin, "stdin_error": read.err().map(|error| error.to_string()),
        "args": report::args(), "env": report::environment(), "cwd": report::cwd(),
        "namespaces": report::links("/proc/self/ns"),
        "cgroup": fs::read_to_string("/proc/self/cgroup").ok(),
        // What a path leads to tells on which side of pivot_root(2) this runs.
        "sees": how.iter().filter(|word| word.starts_with('/'))
            .map(|path| (*path, fs::metadata(path).is_ok())).collect::<std::collections::BTreeMap<_, _>>(),
    });
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    if how.contains(&"sleep") {
        crate::forever();
    }
    if written.is_err() || how.contains(&"fail") {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
