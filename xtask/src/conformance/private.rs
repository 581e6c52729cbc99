//! Namespaces of the suite's own: whatever a runtime leaves is gone with the suite, and what it does wrong
//! to the "host" stays in here.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Set once this program runs in them: the directory for the bundles.
const INSIDE: &str = "BRIG_CONFORMANCE_INSIDE";

/// The first process in the pid namespace. It takes over orphans, waits for the suite, and cleans up
/// after it: a runtime may kill every process that it can reach, but not this one.
const FIRST: &str = r#"dir=$(mktemp -d "${TMPDIR:-/tmp}/brig-conformance-XXXXXX") || exit
    trap : INT TERM
    BRIG_CONFORMANCE_INSIDE=$dir "$@"
    status=$?
    [ $status -le 128 ] || echo "the suite was ended by signal $((status - 128))" >&2
    kill -9 -1 2>/dev/null
    umount -l "$dir" 2>/dev/null
    find /sys/fs/cgroup -depth -type d -path "*/*${dir##*/}*" -exec rmdir {} \; 2>/dev/null
    rm -rf "$dir"
    exit $status"#;

/// Runs this program again in them, once, and returns the directory for the bundles there. The first
/// call returns only with an error.
pub(crate) fn enter() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os(INSIDE) {
        return Ok(directory.into());
    }
    if !root()? {
        bail!("containers need root: run this as root");
    }
    let error = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--net", "--uts"])
        .args([
            "--ipc",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            FIRST,
            "sh",
        ])
        .args(std::env::args_os())
        .exec();
    Err(error).context("cannot run unshare")
}

fn root() -> Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status").context("no /proc")?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    Ok(ids.is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}
