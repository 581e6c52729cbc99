//! Which tests run inside, as the text of a shell script.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::programs::Program;

/// Seconds a test program may take; emulation is some twenty times slower than the machine.
const LIMIT: u32 = 1800;

/// The bounded selection: what knows the cgroup version, from the kernel up to the client. Everything
/// else takes minutes under emulation.
const QUICK: [&str; 6] = [
    "sys::sys",
    "runtime::cgroups",
    "runtime::isolation",
    "runtime::library",
    "runtime::mounts",
    "testkit::limits",
];

/// One test program to run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The program.
    pub(crate) program: Program,
    /// What it is told, as words of a shell.
    words: String,
    /// Seconds that it may take.
    limit: u32,
}

impl Run {
    fn test(program: &Program) -> Self {
        Self {
            program: program.clone(),
            words: "--test-threads=4".to_owned(),
            limit: LIMIT,
        }
    }

    /// This very program, with its conformance suite on the runtime among the built ones.
    pub(crate) fn conformance(dist: &Path, only: Option<&str>) -> Result<Self> {
        let dist = dist.display();
        let mut words = format!(
            "conformance --runtime {dist}/brig-runtime --probe {dist}/conformance-probe --quiet"
        );
        if let Some(only) = only {
            // Writing to a String cannot fail.
            let _ = write!(words, " --only '{}'", only.replace('\'', ""));
        }
        Ok(Self {
            program: Program {
                name: "conformance".to_owned(),
                test: true,
                path: std::env::current_exe().context("this program has no path")?,
            },
            words,
            limit: 4 * LIMIT,
        })
    }
}

/// The programs to run, those closest to the kernel first.
pub(crate) fn select(programs: &[Program], quick: bool, only: Option<&str>) -> Vec<Run> {
    programs
        .iter()
        .filter(|p| p.test && only.is_none_or(|only| p.name.contains(only)))
        .filter(|p| !quick || QUICK.contains(&p.name.as_str()))
        .map(Run::test)
        .collect()
}

/// The script that runs them all and tells the console how each ended, or gives a person a shell.
pub(crate) fn script(runs: &[Run], shell: bool, dist: &Path, cache: &Path) -> String {
    let (dist, cache) = (dist.display(), cache.display());
    let mut text = format!(
        "export BRIG_IN_VM=1 BRIG_DIST={dist} BRIG_CACHE={cache} TERM=dumb RUST_BACKTRACE=0\ncd /tmp\n"
    );
    if shell {
        return text + "setsid -c sh </dev/console >/dev/console 2>&1\n";
    }
    for run in runs {
        let (name, path) = (&run.program.name, run.program.path.display());
        let Run { words, limit, .. } = run;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "echo '@@ begin {name}'");
        let _ = writeln!(
            text,
            "timeout -s KILL {limit} {path} {words}; echo \"@@ end {name} $?\""
        );
    }
    text.push_str("leftovers=$(ls -d /sys/fs/cgroup/*brig* 2>/dev/null)\n");
    text.push_str("[ -z \"$leftovers\" ] || echo \"@@ leftover $leftovers\"\n");
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn program(name: &str, test: bool) -> Program {
        Program {
            name: name.into(),
            test,
            path: PathBuf::from(format!("/t/{name}")),
        }
    }

    #[test]
    fn the_bounded_selection_leaves_out_what_v2_does_not_change() {
        let all = [
            program("sys::sys", true),
            program("shim::brig-shim", false),
            program("storage::import", true),
            program("testkit::limits", true),
            program("testkit::images", true),
        ];
        let names = |quick, only| -> Vec<String> {
            select(&all, quick, only)
                .into_iter()
                .map(|r| r.program.name)
                .collect()
        };
        assert_eq!(names(true, None), ["sys::sys", "testkit::limits"]);
        assert_eq!(
            names(false, Some("im")),
            ["storage::import", "testkit::limits", "testkit::images"]
        );
    }
}
