//! `brig-init [--] COMMAND [ARGUMENT...]`: process 1 of a container with `--init`.
//!
//! Runs the command as its child, in the foreground of the terminal if there is one; passes every
//! signal on to it; reaps what falls to process 1; ends with the command's exit code, 128 + n for
//! death by signal n.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use sys::event::Signals;
use sys::pidfd;
use sys::spawn::{self, Child, Spawn};
use sys::{Errno, Error};
use types::Signal;

/// As execvp(3) where the environment names no path.
const PATH: &str = "/usr/local/bin:/bin:/usr/bin";

fn main() -> ExitCode {
    let mut command: Vec<OsString> = std::env::args_os().skip(1).collect();
    if command.first().is_some_and(|first| first == "--") {
        command.remove(0);
    }
    if command.is_empty() {
        complain("usage: brig-init [--] COMMAND [ARGUMENT...]");
        return ExitCode::from(2);
    }
    let started = Signals::take(None, false).and_then(|signals| Ok((signals, start(&command)?)));
    match started.and_then(|(signals, child)| tend(&signals, &child)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&format!("{}: {error}", command[0].display()));
            ExitCode::from(exit_code_of(error))
        }
    }
}

fn start(command: &[OsString]) -> Result<Child, Error> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
    let env = std::env::vars_os().map(|(name, value)| {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend(value.into_vec());
        OsString::from_vec(entry)
    });
    Spawn::search(&command[0], &path, command)?
        .env(env)?
        .foreground()
        .spawn()
}

/// Until the command ends.
fn tend(signals: &Signals, child: &Child) -> Result<u8, Error> {
    loop {
        match signals.next()? {
            Some(Signal::CHLD) => {
                while let Some(reaped) = spawn::reap_any()? {
                    if reaped.pid == child.pid {
                        return Ok(u8::try_from(reaped.exit.code()).unwrap_or(u8::MAX));
                    }
                }
            }
            // It may have ended meanwhile: then SIGCHLD is next.
            Some(signal) => drop(pidfd::send_signal(&child.pidfd, signal)),
            None => {}
        }
    }
}

/// As a shell tells it.
fn exit_code_of(error: Error) -> u8 {
    match error.errno {
        Errno::NOENT => 127,
        _ => 126,
    }
}

fn complain(text: &str) {
    // The container's standard error, the only place to tell; it may be closed.
    let _ = writeln!(std::io::stderr(), "brig-init: {text}");
}
