//! One run of the other runtime's command.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use runtime::Stdio;
use serde::Deserialize;
use sys::socket::{self, Kind};
use sys::spawn::Spawn;
use types::ErrorKind;

use super::process_ref;
use crate::backend::Made;
use crate::failure::Failure;

const PID: &str = "pid";
const CONSOLE: &str = "console.sock";
const LOG: &str = "log.json";

/// How to run it.
#[derive(Debug)]
pub(crate) struct Command {
    binary: PathBuf,
    /// Its working directory, and where everything about the container is kept.
    pub(crate) dir: PathBuf,
}

/// A line of its log.
#[derive(Deserialize)]
struct Entry {
    level: Option<String>,
    msg: String,
}

impl Command {
    pub(crate) fn new(binary: &Path, dir: PathBuf) -> Self {
        Self {
            binary: binary.to_owned(),
            dir,
        }
    }

    /// Runs a command that makes nothing: its streams are `/dev/null`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<(), Failure> {
        let null = sys::fd::open_read_write(Path::new("/dev/null"));
        let null = null.map_err(Failure::of("open /dev/null"))?;
        self.wait_for(arguments, [null.as_fd(), null.as_fd(), null.as_fd()])
    }

    /// Runs a command that makes a process with these streams.
    pub(crate) fn make(&self, arguments: &[&str], id: &str, stdio: Stdio) -> Result<Made, Failure> {
        let mut all = arguments.to_vec();
        all.extend(["--pid-file", PID]);
        let terminal = match stdio {
            Stdio::Files(files) => {
                all.push(id);
                let [stdin, stdout, stderr] = &files;
                self.wait_for(&all, [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])?;
                None
            }
            Stdio::Terminal { size, .. } => {
                all.extend(["--console-socket", CONSOLE, id]);
                Some(self.make_terminal(&all, size)?)
            }
            Stdio::Inherit => {
                return Err(Failure::conflict("our own streams are not for a container"));
            }
        };
        Ok(Made {
            process: process_ref(self.read_pid()?)?,
            terminal,
        })
    }

    /// The runtime connects to a socket of ours and sends the terminal's master there.
    fn make_terminal(&self, arguments: &[&str], size: [u16; 2]) -> Result<OwnedFd, Failure> {
        let path = self.dir.join(CONSOLE);
        let listener = socket::listen(&path, Kind::Stream).map_err(Failure::of("listen"))?;
        let ran = self.run(arguments);
        let _ = std::fs::remove_file(&path);
        ran?;
        let connection = socket::accept(&listener, false).map_err(Failure::of("accept"))?;
        let message = connection.map(socket::receive).transpose();
        let message = message
            .map_err(Failure::of("receive the terminal"))?
            .flatten();
        let master = message.and_then(|message| message.fds.into_iter().next());
        let master = master
            .ok_or_else(|| Failure::new(ErrorKind::Internal, "the runtime has sent no terminal"))?;
        if size != [0, 0] {
            sys::pty::set_size(&master, size[0], size[1])
                .map_err(Failure::of("set the terminal's size"))?;
        }
        Ok(master)
    }

    fn wait_for(&self, arguments: &[&str], streams: [BorrowedFd<'_>; 3]) -> Result<(), Failure> {
        let log = self.dir.join(LOG);
        let _ = std::fs::remove_file(&log);
        let name = self.binary.display();
        let command: Vec<OsString> = [self.binary.as_os_str()]
            .into_iter()
            .chain(["--root", "state", "--log", LOG, "--log-format", "json"].map(AsRef::as_ref))
            .chain(arguments.iter().map(AsRef::as_ref))
            .map(OsString::from)
            .collect();
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let exit = Spawn::new(&self.binary, command)
            .and_then(|spawn| spawn.env([path]))
            .and_then(|spawn| spawn.dir(&self.dir))
            .and_then(|spawn| spawn.fds(&streams).spawn())
            .and_then(|child| sys::pidfd::wait(&child.pidfd))
            .map_err(Failure::of(format!("run {name}")))?;
        if exit.code() == 0 {
            return Ok(());
        }
        let why = last_error(&log).unwrap_or_else(|| format!("exit code {}", exit.code()));
        Err(Failure::new(
            kind_of(&why),
            format!("{name} {}: {why}", arguments[0]),
        ))
    }

    fn read_pid(&self) -> Result<i32, Failure> {
        let text = std::fs::read_to_string(self.dir.join(PID));
        let text = text.map_err(Failure::of("read the pid file"))?;
        text.trim()
            .parse()
            .map_err(Failure::of("read the pid file"))
    }

    /// Removes what the runtime and we have left. The root is not mounted any more.
    pub(crate) fn clean(&self) -> Result<(), Failure> {
        // Never more than an empty directory: if the root is still there after all, this fails.
        let rootfs = std::fs::remove_dir(self.dir.join("rootfs"));
        absent_is_fine(rootfs).map_err(Failure::of("remove the bundle's root"))?;
        absent_is_fine(std::fs::remove_dir_all(&self.dir)).map_err(Failure::of("remove the bundle"))
    }
}

fn last_error(log: &Path) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let entries = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Entry>(line).ok());
    let mut errors = entries.filter(|entry| entry.level.as_deref().is_none_or(|l| l == "error"));
    errors.next_back().map(|entry| entry.msg)
}

/// There is nothing but the text to go by.
fn kind_of(message: &str) -> ErrorKind {
    let message = message.to_ascii_lowercase();
    match message.as_str() {
        m if m.contains("not found in $path") => ErrorKind::CommandNotFound,
        m if m.contains("exec") && m.contains("no such file") => ErrorKind::CommandNotFound,
        m if m.contains("permission denied") => ErrorKind::NotExecutable,
        _ => ErrorKind::Internal,
    }
}

fn absent_is_fine(answer: std::io::Result<()>) -> std::io::Result<()> {
    match answer {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_runc_and_crun_are_classified() {
        let table = [
            (
                "exec: \"nope\": executable file not found in $PATH",
                ErrorKind::CommandNotFound,
            ),
            (
                "executable file `nope` not found in $PATH: No such file or directory",
                ErrorKind::CommandNotFound,
            ),
            (
                "exec: \"/etc\": permission denied",
                ErrorKind::NotExecutable,
            ),
            ("cgroups: cannot find cgroup mount", ErrorKind::Internal),
        ];
        for (message, kind) in table {
            assert_eq!(kind_of(message), kind, "{message}");
        }
    }
}
