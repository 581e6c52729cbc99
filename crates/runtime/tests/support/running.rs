//! A container that others join.

use serde_json::{Value, json};

use super::{Bundle, text};

/// A container that waits, for others to join; ends with the value.
pub(crate) struct Running {
    pub(crate) bundle: Bundle,
}

impl Running {
    pub(crate) fn new(mut bundle: Bundle) -> Self {
        bundle.config["process"]["args"] = json!(["sleep", "1000"]);
        bundle.write();
        let mut command = bundle.command(&["run", "--detach", "ID"]);
        command.stdout(std::process::Stdio::null());
        // Not a pipe: the container holds it as long as it lives.
        let told = bundle.path().join("told");
        command.stderr(std::fs::File::create(&told).unwrap());
        let succeeded = command.status().unwrap().success();
        assert!(succeeded, "{}", std::fs::read_to_string(told).unwrap());
        Self { bundle }
    }

    /// Of its first process.
    pub(crate) fn pid(&self) -> String {
        let state = self.bundle.output(&["state", "ID"]);
        let state: Value = serde_json::from_slice(&state.stdout).unwrap();
        state["pid"].to_string()
    }

    /// Runs a process made of these properties; what it printed, on both streams.
    pub(crate) fn exec(&self, process: Value) -> (bool, String) {
        self.exec_with(&[], process)
    }

    /// The same with flags of `exec`.
    pub(crate) fn exec_with(&self, flags: &[&str], process: Value) -> (bool, String) {
        let mut whole = json!({"cwd": "/", "user": {}, "env": ["PATH=/bin"]});
        let entries = process.as_object().unwrap().clone();
        whole.as_object_mut().unwrap().extend(entries);
        let path = self.bundle.path().join("process.json");
        sys::file::replace_unsynced(&path, whole.to_string().as_bytes(), 0o644).unwrap();
        let process = ["--process", path.to_str().unwrap(), "ID"];
        let words: Vec<_> = ["exec"]
            .iter()
            .chain(flags)
            .chain(&process)
            .copied()
            .collect();
        let mut command = self.bundle.command(&words);
        if flags.contains(&"--detach") {
            command.stdout(std::process::Stdio::null());
            command.stderr(std::process::Stdio::null());
        }
        let output = command.output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        (output.status.success(), said)
    }

    /// The same of a process that must succeed.
    pub(crate) fn succeed(&self, process: Value) -> String {
        let (succeeded, said) = self.exec(process);
        assert!(succeeded, "{said}");
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let deleted = self.bundle.output(&["delete", "--force", "ID"]);
        assert!(deleted.status.success() || std::thread::panicking());
        if !std::thread::panicking() {
            self.bundle.assert_nothing_left();
        }
    }
}
