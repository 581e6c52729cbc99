//! What a command printed and how it ended.

use std::os::unix::process::ExitStatusExt;

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; 128 + n for one killed by signal n.
    pub code: i32,
    /// Standard output, as it came.
    pub stdout: String,
    /// Standard error, as it came.
    pub stderr: String,
}

impl Output {
    pub(crate) fn new(command: String, output: &std::process::Output) -> Self {
        let status = output.status;
        let code = status.code().or_else(|| status.signal().map(|n| 128 + n));
        Self {
            command,
            code: code.unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output without the white space around it; panics unless the command succeeded.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{self}");
        self.stdout.trim()
    }

    /// Standard error without the white space around it; panics unless the command ended so.
    #[track_caller]
    pub fn fails(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self}");
        self.stderr.trim()
    }

    /// Standard output as JSON; panics unless the command succeeded and printed some.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.ok()).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Lines of standard output; panics unless the command succeeded.
    #[track_caller]
    pub fn lines(&self) -> Vec<&str> {
        self.ok().lines().collect()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`{}` ended with {}", self.command, self.code)?;
        writeln!(f, "stdout: {}", self.stdout)?;
        write!(f, "stderr: {}", self.stderr)
    }
}
