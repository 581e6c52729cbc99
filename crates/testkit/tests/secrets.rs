//! Secrets: given as files in memory or as variables, changed while containers run, shown nowhere.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::path::Path;

use testkit::{Brig, Client, root};

const TIDE: &str = "tide-at-noon-4711";
const EBB: &str = "ebb-at-six-4711";

/// Whether a text is in any file below a directory.
fn is_in(dir: &Path, text: &str) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let (path, kind) = (entry.path(), entry.file_type());
        match kind {
            Ok(kind) if kind.is_dir() => is_in(&path, text),
            Ok(kind) if kind.is_file() => {
                let bytes = fs::read(&path).unwrap_or_default();
                bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            }
            _ => false,
        }
    })
}

#[track_caller]
fn keep(brig: &Brig, words: &[&str], text: &str) {
    brig.with_input(Client::Brig, words, text.as_bytes()).ok();
}

#[test]
fn secrets_are_given_and_shown_nowhere() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    keep(
        &brig,
        &["secret", "create", "--label", "a=b", "tide", "-"],
        TIDE,
    );
    let listed = brig.brig(&["secret", "ls", "--format", "{{.Name}} {{.Labels}}"]);
    assert_eq!(listed.ok(), "tide a=b");
    let run = [
        "run",
        "-d",
        "--name",
        "sea",
        "--secret",
        "tide",
        "--secret",
        "tide,target=key,uid=1000,gid=1001,mode=0400",
        "--secret",
        "tide,type=env,target=TIDE",
        "bb",
        "sleep",
        "1000",
    ];
    brig.brig(&run).ok();
    let inside = |script: &str| {
        brig.brig(&["exec", "sea", "sh", "-c", script])
            .ok()
            .to_owned()
    };
    assert_eq!(
        inside("cat /run/secrets/tide; echo; echo $TIDE"),
        format!("{TIDE}\n{TIDE}")
    );
    assert_eq!(
        inside("stat -c '%u %g %a' /run/secrets/key /run/secrets/tide"),
        "1000 1001 400\n0 0 444"
    );
    assert_eq!(inside("stat -f -c %T /run/secrets"), "tmpfs");
    assert_eq!(
        inside("tr '\\0' '\\n' </proc/1/environ | grep -c ^TIDE="),
        "1"
    );

    // Nowhere else.
    let inspect = brig.brig(&["inspect", "sea"]);
    assert!(
        inspect.ok().contains("\"Secrets\"") && !inspect.ok().contains(TIDE),
        "{inspect}"
    );
    brig.brig(&["commit", "sea", "kept"]).ok();
    let history = brig.brig(&["history", "--no-trunc", "kept"]);
    let image = brig.brig(&["image", "inspect", "kept"]);
    assert!(!history.ok().contains(TIDE) && !image.ok().contains(TIDE));
    let found = brig.brig(&[
        "run",
        "--rm",
        "kept",
        "sh",
        "-c",
        "cat /run/secrets/* 2>/dev/null; env",
    ]);
    assert!(!found.ok().contains(TIDE), "{found}");
    let told = brig.brig(&["events", "--since", "1", "--until", "0s"]);
    assert!(!told.ok().contains(TIDE), "{told}");
    assert!(!brig.daemon_log().contains(TIDE));
    assert!(!is_in(&brig.data_root(), TIDE), "it is on disk as it is");
    let secret = brig.brig(&["secret", "inspect", "tide"]);
    assert!(!secret.ok().contains(TIDE), "{secret}");
    let in_use = brig.brig(&["secret", "rm", "tide"]);
    assert!(
        in_use.fails(1).contains("in use by container sea"),
        "{in_use}"
    );
    brig.brig(&["rm", "-f", "sea"]).ok();
    brig.brig(&["rmi", "kept"]).ok();
    brig.brig(&["secret", "rm", "tide"]).ok();
    assert_eq!(brig.brig(&["secret", "ls", "-q"]).ok(), "");
    brig.finish();
}

#[test]
fn a_secret_changes_in_what_runs_and_outlives_the_daemon() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    keep(&brig, &["secret", "create", "tide"], TIDE);
    let run = [
        "run",
        "-d",
        "--name",
        "sea",
        "--read-only",
        "--secret",
        "tide",
        "bb",
        "sleep",
        "1000",
    ];
    brig.brig(&run).ok();
    brig.kill_daemon();
    brig.start_daemon();
    keep(&brig, &["secret", "update", "tide", "-"], EBB);
    let read = ["exec", "sea", "cat", "/run/secrets/tide"];
    assert_eq!(brig.brig(&read).ok(), EBB);
    brig.brig(&["restart", "-t", "0", "sea"]).ok();
    assert_eq!(brig.brig(&read).ok(), EBB);
    brig.finish();
}

#[test]
fn what_cannot_be_is_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let refused = |words: &[&str], why: &str| {
        let output = brig.with_input(Client::Brig, words, b"x");
        assert_ne!(output.code, 0, "{output}");
        assert!(output.stderr.contains(why), "{why}: {output}");
    };
    refused(&["secret", "create", "a/b"], "invalid secret name");
    refused(
        &["run", "--secret", "none", "bb", "true"],
        "No such secret: none",
    );
    refused(&["secret", "rm", "none"], "No such secret: none");
    refused(&["secret", "update", "none"], "No such secret: none");
    keep(&brig, &["secret", "create", "tide"], TIDE);
    refused(&["secret", "create", "tide"], "exists already");
    let outside = ["run", "--secret", "tide,target=/etc/tide", "bb", "true"];
    refused(&outside, "the name of a file in /run/secrets is expected");
    refused(
        &["run", "--secret", "tide,mode=rw", "bb", "true"],
        "a number is expected",
    );
    assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
    brig.finish();
}
