//! What a developer of Brig runs and a user never sees: house rules as a test, tests in a virtual
//! machine, measurements beside other engines.
//!
//! Knows the product only by its sources and its command lines: depends on none of its crates.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool: it prints"
)]

mod bench;
mod conformance;
mod dropin;
mod long;
mod paths;
mod tidy;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "Checks, tests and measurements of Brig's sources"
)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check the rules that no compiler knows.
    Tidy,
    /// Run tests on Debian's kernel with cgroup v2 only, in a virtual machine.
    VmTest(vm::Args),
    /// Hold an OCI runtime to the sentences of runtime-spec.
    Conformance(conformance::Args),
    /// Let podman, containerd and Docker run their containers on brig-runtime.
    Dropin(dropin::Args),
    /// Make containers for long, and look for what is left of them.
    Soak(long::Soak),
    /// Change at random what Brig reads, for a while.
    Fuzz(long::Fuzz),
    /// Measure Brig beside other engines and runtimes.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Tidy => tidy::run(),
        Task::VmTest(args) => vm::run(&args),
        Task::Conformance(args) => conformance::run(&args),
        Task::Dropin(args) => dropin::run(&args),
        Task::Soak(args) => long::soak(&args),
        Task::Fuzz(args) => long::fuzz(&args),
        Task::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
