//! What several attacks need.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Bundle, text};

/// A bundle whose command is this script and whose root can be written.
pub(crate) fn writable(script: &str) -> Bundle {
    let mut bundle = Bundle::script(script);
    bundle.config["root"]["readonly"] = json!(false);
    bundle
}

/// More programs than every root has.
pub(crate) fn applets(bundle: &Bundle, names: &[&str]) {
    for name in names {
        symlink("busybox", bundle.in_root("bin").join(name)).unwrap();
    }
}

/// Gives the command these capabilities, all others taken away.
pub(crate) fn grant(bundle: &mut Bundle, names: &[&str]) {
    for set in ["bounding", "effective", "permitted"] {
        bundle.config["process"]["capabilities"][set] = json!(names);
    }
}

/// A bind mount from the bundle's directory.
pub(crate) fn bind(source: &str, target: &str) -> Value {
    json!({"destination": target, "source": source, "type": "bind", "options": ["rbind", "rw"]})
}

/// Takes the mounts with these targets out of the configuration.
pub(crate) fn without_mounts(bundle: &mut Bundle, targets: &[&str]) {
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !targets.contains(&mount["destination"].as_str().unwrap()));
}

/// Runs a verb; its streams are no pipes, so that a container may outlive it.
pub(crate) fn call(bundle: &Bundle, words: &[&str]) -> (Option<i32>, String) {
    let said = tempfile::NamedTempFile::new().unwrap();
    let status = bundle
        .command(words)
        .stdout(Stdio::null())
        .stderr(said.reopen().unwrap())
        .status()
        .unwrap();
    let said = std::fs::read_to_string(said.path()).unwrap();
    (status.code(), said)
}

/// Starts a container that goes on alone.
pub(crate) fn start(bundle: &Bundle) {
    bundle.write();
    assert_eq!(call(bundle, &["run", "-d", "ID"]), (Some(0), String::new()));
}

/// Ends it.
pub(crate) fn delete(bundle: &Bundle) {
    assert_eq!(
        call(bundle, &["delete", "-f", "ID"]),
        (Some(0), String::new())
    );
    bundle.assert_nothing_left();
}

/// What a command in a running container prints; it must succeed.
pub(crate) fn inside(bundle: &Bundle, words: &[&str]) -> String {
    let all: Vec<&str> = ["exec", "ID"].iter().chain(words).copied().collect();
    let output = bundle.output(&all);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    text(&output.stdout)
}

/// Waits for a file that the container makes.
pub(crate) fn await_file(path: &Path) -> String {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if let Ok(text) = std::fs::read_to_string(path)
            && text.ends_with('\n')
        {
            return text;
        }
        assert!(
            std::time::Instant::now() < patience,
            "{} did not come",
            path.display()
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// A directory of the machine that no container may reach, with a file in it.
pub(crate) fn treasure() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("treasure");
    std::fs::write(&file, "untouched\n").unwrap();
    (dir, file)
}

/// Nothing but the untouched file is in it, and nothing is mounted on it.
pub(crate) fn assert_untouched(dir: &Path) {
    let names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["treasure"]);
    let read = std::fs::read_to_string(dir.join("treasure")).unwrap();
    assert_eq!(read, "untouched\n");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(dir.to_str().unwrap()), "{mounts}");
}

/// Why something was not tried.
pub(crate) fn say(reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{reason}");
}
