//! `cargo xtask soak` and `cargo xtask fuzz`: the tests of `make test` that can go on for as long as
//! one likes, told to by their environment.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::paths;

/// What the command line of `soak` says.
#[derive(Debug, clap::Args)]
pub(crate) struct Soak {
    /// What to run: runtime, store, network, upgrade, chaos, or builds.
    what: Subject,
    /// How many containers, or interfaces, eight at a time; how often the store is killed, the daemon upgraded.
    #[arg(long, default_value_t = 10_000)]
    rounds: usize,
    /// For how long chaos goes on.
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
}

/// What can be soaked.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Subject {
    Runtime,
    Store,
    Network,
    Upgrade,
    Chaos,
    Builds,
}

/// What the command line of `fuzz` says.
#[derive(Debug, clap::Args)]
pub(crate) struct Fuzz {
    /// For how long each target is run.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// For the runtime: makes many containers, then kills the runtime at each of its system calls. For a machine on which
/// nobody else makes containers meanwhile: what the kernel holds is compared. For the store: kills who
/// works in it at random moments. Networks: interfaces, addresses and ports come and go. Upgrade: the daemon is
/// replaced while clients use it; needs the debug build. Chaos: eight clients of a daemon do at random what clients do, while it
/// and shims are killed; needs the debug build. Builds: projects of several languages with what they depend on,
/// from their registries, and contexts of many and large files; needs the debug build, too.
pub(crate) fn soak(args: &Soak) -> Result<()> {
    if let Subject::Chaos = args.what {
        let seconds = args.seconds.to_string();
        let seconds = [("BRIG_CHAOS_SECONDS", seconds.as_str())];
        return tests(&["-p", "testkit", "--test", "chaos"], &[], &seconds);
    }
    if let Subject::Builds = args.what {
        let asked = [("BRIG_REAL_BUILDS", "1")];
        let files = ["real_builds", "same_builds", "build_faults"];
        return files.iter().try_for_each(|file| {
            let what = ["-p", "testkit", "--test", file];
            tests(&what, &["--test-threads=1"], &asked)
        });
    }
    let rounds = args.rounds.to_string();
    if let Subject::Store = args.what {
        let rounds = [("STORAGE_TEST_CRASH_ROUNDS", rounds.as_str())];
        return tests(
            &["-p", "storage", "--test", "it"],
            &["a_killed_process"],
            &rounds,
        );
    }
    if let Subject::Network = args.what {
        let rounds = [("BRIG_ATTACHMENTS", rounds.as_str())];
        let what = ["-p", "network", "--test", "lifecycle"];
        return tests(&what, &["many_come"], &rounds);
    }
    if let Subject::Upgrade = args.what {
        let rounds = [("BRIG_UPGRADES", rounds.as_str())];
        let what = ["-p", "testkit", "--test", "upgrade"];
        return tests(&what, &["no_request_fails"], &rounds);
    }
    let rounds = [("BRIG_SOAK_ROUNDS", rounds.as_str())];
    tests(&["-p", "runtime", "--test", "soak"], &[], &rounds)?;
    tests(
        &["-p", "runtime", "--test", "killed"],
        &["--test-threads=1"],
        &[("BRIG_SOAK", "1")],
    )
}

/// Changes at random what others write: configurations, messages, records, filters, layers, manifests,
/// Dockerfiles.
pub(crate) fn fuzz(args: &Fuzz) -> Result<()> {
    let seconds = args.seconds.to_string();
    let seconds = [("BRIG_FUZZ_SECONDS", seconds.as_str())];
    tests(&["-p", "runtime", "--lib"], &["fuzz::"], &seconds)?;
    tests(&["-p", "runtime", "--test", "fuzz"], &["any_"], &seconds)?;
    tests(&["-p", "registry", "--lib"], &["fuzz::"], &seconds)?;
    tests(&["-p", "builder", "--lib"], &["fuzz::"], &seconds)?;
    tests(&["-p", "storage", "--test", "it"], &["fuzz::"], &seconds)?;
    tests(
        &["-p", "sys", "--lib"],
        &["programs_answer_as_the_rules_say"],
        &seconds,
    )
}

fn tests(what: &[&str], filter: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let status = Command::new("cargo")
        .arg("test")
        .args(what)
        .args(["--", "--nocapture"])
        .args(filter)
        .envs(environment.iter().copied())
        .current_dir(paths::repository())
        .status()
        .context("cannot run cargo")?;
    if status.success() {
        Ok(())
    } else {
        bail!("cargo test {}: {status}", what.join(" "))
    }
}
