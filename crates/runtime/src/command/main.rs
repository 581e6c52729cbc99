//! `brig-runtime`: an OCI runtime with runc's command line, for containerd, podman, CRI-O, and for
//! people. Everything it does with containers is the library's; here are the words, the state
//! directory, and the streams of a container in the foreground.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the edge: this is a command"
)]

mod args;
mod console;
mod failure;
mod foreground;
mod state_file;
mod time;
mod verbs;

use std::process::ExitCode;

use clap::Parser;
use sys::process::Strings;

use args::{Args, Verb};
use failure::Failure;

fn main() -> ExitCode {
    execute_sealed();
    let args = Args::parse();
    match verbs::run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure::report(&failure, &args);
            // runc's: 255 when exec could not run anything, 1 for everything else.
            ExitCode::from(if matches!(args.verb, Verb::Exec(_)) {
                255
            } else {
                1
            })
        }
    }
}

/// Executes this program once more, through a read-only mount, unless it was already: a copy of it
/// will be seen inside the container, and must not be writable from there (`sys::exe`). Where that
/// is not possible, on a kernel too old or without the right to mount, it goes on as it is.
fn execute_sealed() {
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;
    let args: Vec<_> = std::env::args_os().collect();
    // Asked of the words as they are, because this comes before everything that costs time: a word
    // that only looks like a verb seals once in vain.
    let enters = args
        .iter()
        .any(|arg| args::ENTERING.iter().any(|verb| arg == verb));
    if !enters || sys::exe::is_sealed().unwrap_or(true) {
        return;
    }
    let env =
        std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let env: Vec<_> = env.collect();
    let execute = || -> sys::Result<()> {
        let arguments = Strings::new(args.iter().map(|arg| arg.as_bytes()))?;
        let program = sys::exe::open_sealed("/proc/self/exe".as_ref())?;
        sys::process::execute_fd(program.as_fd(), &arguments, &Strings::new(&env)?).map(drop)
    };
    let _ = execute();
}

/// What a verb answers: its exit code.
type Outcome = Result<u8, Failure>;
