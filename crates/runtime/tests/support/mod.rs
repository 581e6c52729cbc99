//! Bundles to run: a root of one static busybox, and a configuration made of the one `spec` writes.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub(crate) mod running;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// A bundle in a temporary directory, with a name that no other test has.
pub(crate) struct Bundle {
    dir: tempfile::TempDir,
    pub(crate) id: String,
    pub(crate) config: Value,
}

/// Why nothing can be tested here, if so.
pub(crate) fn cannot_run() -> Option<&'static str> {
    if !sys::term::is_root() {
        return Some("SKIP: containers need root");
    }
    if busybox().is_none() {
        return Some("SKIP: no /bin/busybox (Debian: busybox-static)");
    }
    None
}

/// Says past the harness, which keeps to itself what is printed, why a test does not go on.
pub(crate) fn skip(reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{reason}");
}

/// The programs in the root.
const APPLETS: [&str; 34] = [
    "[", "cat", "chmod", "dd", "echo", "env", "false", "grep", "head", "hostname", "id", "ip",
    "kill", "ln", "ls", "mkdir", "mknod", "mount", "ps", "pwd", "readlink", "rm", "sh", "sleep",
    "stat", "stty", "tail", "test", "touch", "tr", "true", "tty", "umount", "wc",
];

fn busybox() -> Option<&'static str> {
    ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|path| Path::new(path).exists())
}

impl Bundle {
    /// Whose command is a shell with this script.
    pub(crate) fn script(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }

    /// Whose command is this.
    pub(crate) fn new(args: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = tempfile::tempdir().unwrap();
        make_root(&dir.path().join("rootfs"));
        let mut config: Value =
            serde_json::from_str(include_str!("../../src/command/template.json")).unwrap();
        // Of one length: none begins as another does.
        let id = format!("brig-runtime-test-{}-{number:04}", std::process::id());
        config["process"]["args"] = json!(args);
        config["process"]["terminal"] = json!(false);
        config["linux"]["cgroupsPath"] = json!(format!("/{id}"));
        Self { dir, id, config }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the root, seen from outside.
    pub(crate) fn in_root(&self, path: &str) -> PathBuf {
        self.path().join("rootfs").join(path)
    }

    /// Where the command keeps its state.
    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub(crate) fn spec(&self) -> oci_spec::runtime::Spec {
        serde_json::from_value(self.config.clone()).unwrap()
    }

    pub(crate) fn write(&self) {
        let text = serde_json::to_vec(&self.config).unwrap();
        sys::file::replace_unsynced(&self.path().join("config.json"), &text, 0o644).unwrap();
    }

    pub(crate) fn mount(&mut self, mount: Value) -> &mut Self {
        self.config["mounts"].as_array_mut().unwrap().push(mount);
        self
    }

    /// The command with these words, `ID` standing for the container's id.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brig-runtime"));
        command
            .arg("--root")
            .arg(self.state())
            .current_dir(self.path());
        command.args(
            words
                .iter()
                .map(|word| if *word == "ID" { &self.id } else { *word }),
        );
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs the bundle and returns what it printed; it must succeed.
    pub(crate) fn run(&self) -> String {
        self.write();
        let output = self.output(&["run", "ID"]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{:?}\n{out}\n{err}", output.status);
        self.assert_nothing_left();
        out
    }

    /// Runs the bundle, which must not succeed; returns what was said about it.
    pub(crate) fn fail(&self) -> String {
        self.write();
        let output = self.output(&["run", "ID"]);
        assert!(!output.status.success(), "{}", text(&output.stdout));
        self.assert_nothing_left();
        text(&output.stderr)
    }

    /// No cgroup and no state.
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new());
        assert!(!self.state().join(&self.id).exists());
    }

    /// Its cgroup's directories.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let top = Path::new("/sys/fs/cgroup");
        let mut candidates = vec![top.join(&self.id)];
        candidates.extend(
            std::fs::read_dir(top)
                .unwrap()
                .flatten()
                .map(|e| e.path().join(&self.id)),
        );
        found.extend(candidates.into_iter().filter(|path| path.is_dir()));
        found
    }
}

/// A test that fails half way leaves nothing either.
impl Drop for Bundle {
    fn drop(&mut self) {
        // What a test has mounted in its own mount namespace keeps the directory from going.
        let table = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
        let points = table.lines().filter_map(|line| line.split(' ').nth(4));
        for point in points.map(Path::new) {
            if point.starts_with(self.path()) {
                let _ = sys::mount::detach(point);
            }
        }
        let path = format!("/{}", self.id);
        let left = sys::cgroup::Layout::detect()
            .and_then(|layout| sys::cgroup::Cgroup::open(&layout, &path));
        if let Ok(cgroup) = left {
            let _ = cgroup.kill_all();
            let _ = cgroup.remove();
        }
    }
}

/// Polls until it holds; fails in the end.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !holds() {
        assert!(std::time::Instant::now() < end, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// The command lines of processes that have to do with a bundle.
pub(crate) fn processes_of(bundle: &Bundle) -> Vec<String> {
    let root = bundle.path().to_str().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = text(&line).replace('\0', " ");
        if line.contains(root) {
            found.push(line);
        }
    }
    found
}

/// A root with busybox, all its programs, and nothing else.
pub(crate) fn make_root(root: &Path) {
    std::fs::create_dir_all(root.join("bin")).unwrap();
    std::fs::create_dir_all(root.join("etc")).unwrap();
    copy_program(busybox().unwrap().as_ref(), &root.join("bin/busybox"));
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
}

/// Copies a program that will be executed.
///
/// By a process of its own: what a thread holds open for writing is also held, for a moment, by the
/// child that another thread starts meanwhile, and until that is gone execve(2) fails with ETXTBSY.
pub(crate) fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status();
    assert!(status.unwrap().success(), "no copy of {}", from.display());
}

/// Writes a script that will be executed; by a process of its own, as [`copy_program`].
pub(crate) fn write_script(path: &Path, script: &str) {
    let words = ["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""];
    let mut shell = Command::new("sh");
    let status = shell.args(words).arg(path).arg(script).status();
    assert!(status.unwrap().success(), "cannot write {}", path.display());
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The line of /proc/PID/status that begins so.
pub(crate) fn status_line<'a>(status: &'a str, name: &str) -> &'a str {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
        .unwrap_or_default()
}

/// Every process that has the container's name in its words: copies of the runtime, and the
/// container's own.
pub(crate) fn processes(bundle: &Bundle) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let words = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    words
        .map(|words| text(&words).replace('\0', " "))
        .filter(|words| words.contains(&bundle.id))
        .collect()
}
