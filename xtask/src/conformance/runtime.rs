//! The program under test.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::tree::Tree;
use anyhow::{Context as _, Result, bail};

/// A runtime and how it is started.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// Its command line up to the first word of its own.
    prefix: Vec<String>,
    /// The system it is run in, if it is not this one.
    tree: Option<Tree>,
    /// The name in its version, as `runc`.
    pub(crate) name: String,
    /// The first line of its version.
    pub(crate) version: String,
}

/// What a call of the runtime gave.
#[derive(Debug)]
pub(crate) struct Said {
    status: ExitStatus,
    /// Its standard output.
    pub(crate) out: String,
    /// The file that its standard output went to; what a container writes is appended there.
    pub(crate) out_path: PathBuf,
    /// Its standard error, without the ends of lines around it.
    pub(crate) err: String,
}

impl Said {
    /// Whether it ended with 0.
    pub(crate) fn ok(&self) -> bool {
        self.status.success()
    }
}

/// A call that is about to be made.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// Where the runtime keeps its state.
    pub(crate) state: &'a Path,
    /// Its words after the global flags.
    pub(crate) words: &'a [&'a str],
    /// Where what it writes is kept, and with it what a container that it leaves behind writes.
    pub(crate) keep: &'a Path,
    /// Its working directory.
    pub(crate) directory: &'a Path,
    /// A program to run it by, with its first words.
    pub(crate) through: &'a [&'a str],
}

impl Runtime {
    /// Asks the program for its version.
    pub(crate) fn find(program: &Path, tree: Option<Tree>) -> Result<Self> {
        let mut prefix = tree.as_ref().map_or(Vec::new(), Tree::words);
        prefix.push(program.display().to_string());
        let output = Command::new(&prefix[0])
            .args(&prefix[1..])
            .arg("--version")
            .output()
            .with_context(|| format!("cannot run {}", prefix.join(" ")))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some(version) = text.lines().next().filter(|_| output.status.success()) else {
            bail!("{} --version printed no version", prefix.join(" "));
        };
        Ok(Self {
            name: version.split(' ').next().unwrap_or(version).to_owned(),
            version: version.to_owned(),
            prefix,
            tree,
        })
    }

    /// Whether it is started in a tree of its own.
    pub(crate) fn in_tree(&self) -> bool {
        self.tree.is_some()
    }

    /// The namespace with this name of /proc/PID/ns that it runs in.
    pub(crate) fn namespace(&self, name: &str) -> Result<String> {
        let process = self.tree.as_ref().map_or("self".to_owned(), Tree::process);
        let link = std::fs::read_link(format!("/proc/{process}/ns/{name}"))?;
        Ok(link.to_string_lossy().into_owned())
    }

    /// The number in its version, as `1.3.3`.
    pub(crate) fn number(&self) -> &str {
        let numeric = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        self.version.split(' ').find(numeric).unwrap_or_default()
    }

    /// Makes a call and waits for its end.
    ///
    /// Output goes to files: a container that outlives the call would keep a pipe open.
    pub(crate) fn call(&self, call: &Call<'_>) -> Result<Said> {
        let name = file_name(call.words);
        let (out, err) = (
            call.keep.join(format!("{name}.out")),
            call.keep.join(format!("{name}.err")),
        );
        let mut command = self.command(call);
        command
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?);
        let mut child = command.spawn().context("cannot start the runtime")?;
        let deadline = Instant::now() + limit();
        let mut pause = Duration::from_micros(500);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                bail!(
                    "`{}` did not end within {:?}",
                    call.words.join(" "),
                    limit()
                );
            }
            std::thread::sleep(pause);
            pause = (pause * 3 / 2).min(Duration::from_millis(20));
        };
        Ok(Said {
            status,
            out: read(&out),
            out_path: out,
            err: read(&err).trim().to_owned(),
        })
    }

    fn command(&self, call: &Call<'_>) -> Command {
        let words = call.through.iter().map(|word| (*word).to_owned());
        let mut all = words.chain(self.prefix.iter().cloned());
        let mut command = Command::new(all.next().unwrap_or_default());
        command
            .args(all)
            .arg("--root")
            .arg(call.state)
            .args(call.words);
        command.current_dir(call.directory);
        command
    }
}

/// A name that no other call has.
fn file_name(words: &[&str]) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{number}-{}", words.first().unwrap_or(&"none"))
}

/// How long a call may take: longer than any does, in an emulated machine too.
pub(crate) fn limit() -> Duration {
    Duration::from_secs(120)
}

/// A file's text, as far as it is one.
pub(crate) fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
