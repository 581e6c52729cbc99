//! What a command printed and how it ended.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longer than any command of a test takes, even under emulation.
const PATIENCE: Duration = Duration::from_secs(180);

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
    /// Runs a command to its end. One that never ends is killed, and the test with it.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        Self::within(PATIENCE, command)
    }

    /// The same, for what takes longer.
    #[track_caller]
    pub fn within(patience: Duration, command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let words = words(command);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{words}: {error}"));
        Self::collected(patience, words, child)
    }

    /// As [`Output::of`], of a command that was started with pipes.
    #[track_caller]
    pub(crate) fn of_child(command: String, child: Child) -> Self {
        Self::collected(PATIENCE, command, child)
    }

    #[track_caller]
    fn collected(patience: Duration, command: String, mut child: Child) -> Self {
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let status = end(patience, &command, &mut child);
        let text = |reader: JoinHandle<Vec<u8>>| {
            let bytes = reader.join().unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let code = status.code().or_else(|| status.signal().map(|n| 128 + n));
        Self {
            command,
            code: code.unwrap_or(-1),
            stdout: text(stdout),
            stderr: text(stderr),
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

/// The words of a command, for messages.
pub(crate) fn words(command: &Command) -> String {
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    let words: Vec<_> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

#[track_caller]
fn end(patience: Duration, command: &str, child: &mut Child) -> ExitStatus {
    let end = Instant::now() + patience;
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("`{command}` did not end within {} s", patience.as_secs());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
