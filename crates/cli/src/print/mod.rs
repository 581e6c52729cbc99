//! From answers of the daemon to text. Everything here makes strings; [`Out`] alone writes.

pub mod containers;
pub mod contexts;
pub mod disk;
pub mod events;
pub mod images;
pub mod live;
pub mod networks;
mod ports;
pub mod progress;
pub mod registry;
pub mod secrets;
pub mod shapes;
mod shown;
pub mod stats;
pub mod system;
pub mod table;
pub mod template;
pub mod tree;
pub mod units;
pub mod volumes;

use std::io::{self, Write};

use crate::error::CliError;

/// Writes text to standard output.
pub fn out(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let result = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    result.map_err(|source| CliError::Io {
        what: "write to standard output",
        source,
    })
}

/// Writes a line to standard error; nobody can be told if that fails.
pub fn complain(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{line}");
}
