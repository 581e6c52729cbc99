//! A client on a real terminal, driven as a person would.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::wait::until;

/// A command that runs on a pseudo terminal of its own.
#[derive(Debug)]
pub struct Terminal {
    script: Child,
    keyboard: Option<ChildStdin>,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts a shell command on a terminal of 24 rows and 80 columns.
    ///
    /// `script` makes the terminal: it is on every Debian, and needs no call into the kernel here.
    pub fn start(command: &mut Command) -> Self {
        let words: Vec<String> = [command.get_program()]
            .into_iter()
            .chain(command.get_args())
            .map(|word| quote(&word.to_string_lossy()))
            .collect();
        let line = format!("stty rows 24 cols 80; exec {}", words.join(" "));
        let mut script = Command::new("script");
        script.args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &line,
            "/dev/null",
        ]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        script.env("SHELL", "/bin/sh").env("TERM", "xterm");
        script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut script = script
            .spawn()
            .unwrap_or_else(|error| panic!("script: {error}"));
        let keyboard = script.stdin.take();
        let mut output = script.stdout.take().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&screen);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                shown
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
        Self {
            script,
            keyboard,
            screen,
        }
    }

    /// Types.
    pub fn type_in(&mut self, keys: &str) {
        let keyboard = self.keyboard.as_mut().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    /// Waits for a text on the screen.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        let came = self.shows_within(Duration::from_secs(60), text);
        assert!(came, "{text:?} never came; the screen: {:?}", self.screen());
    }

    /// Whether a text comes to the screen in this time.
    pub fn shows_within(&self, limit: Duration, text: &str) -> bool {
        let end = Instant::now() + limit;
        loop {
            let late = Instant::now() > end;
            let shows = self.screen().contains(text);
            if shows || late {
                return shows;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything that came so far.
    pub fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// Changes the size of the window, as dragging its corner does.
    pub fn resize(&self, rows: u16, columns: u16) {
        let pid = self.script.id();
        let children = until("the command on the terminal", || {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            let first = children.split_whitespace().next()?.to_owned();
            Some(first)
        });
        let size = format!("stty rows {rows} cols {columns} < /proc/{children}/fd/0");
        let status = Command::new("sh").args(["-c", &size]).status().unwrap();
        assert!(status.success(), "{size}");
    }

    /// Waits for the command's end, and gives its exit code.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let status = until("the end of the command on the terminal", || {
            self.script.try_wait().unwrap()
        });
        status.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
