//! A daemon of one's own: roots in a temporary directory, no helper programs.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a daemon on a busy machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says so when the test cannot run. Not by `eprintln!`, which the harness swallows.
pub(crate) fn is_root() -> bool {
    // Owned by whoever runs this.
    let root =
        std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if !root {
        let _ = writeln!(std::io::stderr(), "SKIP: brigd runs as root only");
    }
    root
}

/// Directories for a daemon.
pub(crate) struct Roots {
    pub(crate) dir: tempfile::TempDir,
}

impl Roots {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for program in ["brig-shim", "brig-init"] {
            let path = dir.path().join(program);
            sys::file::replace(&path, b"#!/bin/false\n", 0o755).expect("a file");
        }
        Self { dir }
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn arguments(&self) -> Vec<String> {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        [
            ("--run-root", at("run")),
            ("--data-root", at("data")),
            ("--shim", at("brig-shim")),
            ("--init", at("brig-init")),
            ("--cgroup-parent", "/brig-test-daemon".to_owned()),
            ("--socket-group", String::new()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brigd"));
        command.args(self.arguments()).stdin(Stdio::null());
        command
    }

    /// The same for a shell.
    pub(crate) fn command_line(&self) -> String {
        let quoted = self.arguments().into_iter().map(|a| format!("'{a}'"));
        let words: Vec<String> = quoted.collect();
        format!("'{}' {}", env!("CARGO_BIN_EXE_brigd"), words.join(" "))
    }
}

/// A daemon that answers; killed when dropped.
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) socket: PathBuf,
    pub(crate) log: PathBuf,
}

impl Daemon {
    /// None when tests like this cannot run here.
    pub(crate) fn start(roots: &Roots) -> Option<Self> {
        is_root().then(|| Self::of(roots.command(), roots).expect("a daemon"))
    }

    pub(crate) fn of(mut command: Command, roots: &Roots) -> Option<Self> {
        let log = roots.dir.path().join("log");
        let file = std::fs::File::create(&log).expect("a log");
        let child = command.stderr(file).spawn().expect("brigd");
        let mut daemon = Self {
            child,
            socket: roots.run().join("brig.sock"),
            log,
        };
        let end = Instant::now() + PATIENCE;
        while UnixStream::connect(&daemon.socket).is_err() {
            let ended = daemon.child.try_wait().expect("a child");
            let log = || std::fs::read_to_string(&daemon.log).unwrap_or_default();
            assert!(ended.is_none(), "brigd ended: {}", log());
            assert!(Instant::now() < end, "brigd does not listen: {}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(daemon)
    }

    pub(crate) fn connect(&self) -> UnixStream {
        connect(&self.socket)
    }

    /// Sends these bytes and reads to the end.
    pub(crate) fn raw(&self, request: &str) -> String {
        raw(&self.socket, request)
    }

    /// Status and message, or body.
    pub(crate) fn ask(&self, request: &str, body: &str) -> String {
        ask(&self.socket, request, body)
    }

    /// Asks it to end; its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pidfd =
            sys::pidfd::open(i32::try_from(self.child.id()).expect("a pid")).expect("a pidfd");
        sys::pidfd::send_signal(pidfd.as_fd(), types::Signal::TERM).expect("a signal");
        self.child.wait().expect("an end").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A daemon that was started with descriptors.
pub(crate) struct Spawned {
    child: sys::spawn::Child,
    socket: PathBuf,
    ended: bool,
}

impl Spawned {
    pub(crate) fn new(child: sys::spawn::Child, socket: PathBuf) -> Self {
        Self {
            child,
            socket,
            ended: false,
        }
    }

    pub(crate) fn ask(&self, request: &str, body: &str) -> String {
        ask(&self.socket, request, body)
    }

    pub(crate) fn terminate(mut self) -> i32 {
        sys::pidfd::send_signal(self.child.pidfd.as_fd(), types::Signal::TERM).expect("a signal");
        self.ended = true;
        wait(&self.child)
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if !self.ended {
            let _ = sys::pidfd::send_signal(self.child.pidfd.as_fd(), types::Signal::KILL);
            wait(&self.child);
        }
    }
}

fn wait(child: &sys::spawn::Child) -> i32 {
    let ended = sys::pidfd::wait(child.pidfd.as_fd()).expect("an end");
    ended.code()
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

fn raw(socket: &Path, request: &str) -> String {
    let mut stream = connect(socket);
    let request = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    stream.write_all(request.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn ask(socket: &Path, request: &str, body: &str) -> String {
    let answer = raw(
        socket,
        &format!(
            "{request} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).unwrap_or_default();
    let message = serde_json::from_str::<serde_json::Value>(body)
        .ok()
        .and_then(|v| v["message"].as_str().map(str::to_owned));
    format!("{status} {}", message.as_deref().unwrap_or(body.trim()))
}
