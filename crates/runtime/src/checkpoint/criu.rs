//! CRIU as a servant: `criu swrk`, spoken to over a socket by its rpc.proto.
//!
//! ```text
//!   we ── Request + options ──►  criu
//!     ◄── Notify + script ─────  as often as there is something to be done meanwhile
//!     ── Notify, done ────────►
//!     ◄── Response ────────────  and it ends
//! ```

use std::ffi::OsStr;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use sys::spawn::{Child, Spawn};

use super::protobuf::{Value, Writer, fields};
use crate::error::{Doing, Error};

/// `criu_req_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Dump = 1,
    Restore = 2,
    PreDump = 4,
}

/// `criu_req_type.NOTIFY`.
const NOTIFY: u64 = 6;

/// A moment of CRIU's work at which something can be done.
#[derive(Debug)]
pub(super) struct Moment {
    /// Its name: `setup-namespaces`, `orphan-pts-master`, `post-restore`.
    pub(super) script: String,
    /// The first process, by the caller's pid namespace, if it is there.
    pub(super) pid: Option<i32>,
    /// What came with it.
    pub(super) fd: Option<OwnedFd>,
}

/// A CRIU that waits for its request.
#[derive(Debug)]
pub(super) struct Criu {
    socket: OwnedFd,
    child: Child,
    output: std::fs::File,
}

/// The descriptor at which CRIU finds the first of those it is given.
pub(super) const FIRST_FD: i32 = 4;

/// Where it may be besides the path: Debian has it where only root looks.
const MORE: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

impl Criu {
    /// Starts it; `fds` are [`FIRST_FD`] and on there.
    pub(super) fn start(program: Option<&Path>, fds: &[BorrowedFd<'_>]) -> Result<Self, Error> {
        let action = || "start criu".to_owned();
        let (socket, theirs) = sys::socket::pair(sys::socket::Kind::Messages).doing(action)?;
        let output = std::fs::File::from(sys::fd::memory_file("criu").doing(action)?);
        let null = sys::fd::open_read("/dev/null".as_ref()).doing(action)?;
        let mut all = vec![null.as_fd(), output.as_fd(), output.as_fd(), theirs.as_fd()];
        all.extend_from_slice(fds);
        let name = program.map_or(OsStr::new("criu"), Path::as_os_str);
        let path = match std::env::var_os("PATH") {
            Some(mut path) => {
                path.push(":");
                path.push(MORE);
                path
            }
            None => MORE.into(),
        };
        let env = [[b"PATH=", path.as_encoded_bytes()].concat()];
        let env = env.map(|entry| {
            use std::os::unix::ffi::OsStringExt;
            std::ffi::OsString::from_vec(entry)
        });
        let spawn = Spawn::search(name, &path, ["criu", "swrk", "3"])
            .and_then(|spawn| spawn.env(env))
            .doing(action)?;
        let child = spawn.fds(&all).spawn().map_err(|error| match error.errno {
            sys::Errno::NOENT => Error::Criu {
                reason: format!(
                    "{} is not there (Debian: criu; --criu says where else it is)",
                    name.display()
                ),
            },
            _ => Error::Criu {
                reason: format!("cannot run {}: {error}", name.display()),
            },
        })?;
        Ok(Self {
            socket,
            child,
            output,
        })
    }

    /// Has it do its work; the pid of what it restored. `log` is named when it fails.
    pub(super) fn serve(
        mut self,
        request: Request,
        options: &Writer,
        log: &Path,
        mut at: impl FnMut(Moment) -> Result<(), Error>,
    ) -> Result<Option<i32>, Error> {
        let mut message = Writer::default();
        message.number(1, request as u64).message(2, options);
        let answer = self
            .send(&message)
            .and_then(|()| self.hear_out(request, log, &mut at));
        // With our end closed it ends, whatever it was doing.
        let Self { socket, child, .. } = self;
        drop(socket);
        let reaped = sys::pidfd::wait(&child.pidfd);
        let answer = answer?;
        reaped.doing(|| "reap criu".to_owned())?;
        Ok(answer)
    }

    fn hear_out(
        &mut self,
        request: Request,
        log: &Path,
        at: &mut impl FnMut(Moment) -> Result<(), Error>,
    ) -> Result<Option<i32>, Error> {
        loop {
            let message = sys::socket::receive(&self.socket);
            let Some(mut message) = message.doing(|| "hear from criu".to_owned())? else {
                return Err(self.failed("it ended without an answer", log));
            };
            let Some(answer) = Answer::read(&message.bytes) else {
                return Err(self.failed("its answer is malformed", log));
            };
            if answer.kind == NOTIFY {
                let done = at(Moment {
                    script: answer.script,
                    pid: answer.pid,
                    fd: message.fds.pop(),
                });
                self.acknowledge(done.is_ok())?;
                done?;
                continue;
            }
            if answer.kind != request as u64 || !answer.success {
                return Err(self.failed(&answer.message, log));
            }
            return Ok(answer.restored);
        }
    }

    fn acknowledge(&self, done: bool) -> Result<(), Error> {
        let mut message = Writer::default();
        message.number(1, NOTIFY).number(3, done.into());
        self.send(&message)
    }

    fn send(&self, message: &Writer) -> Result<(), Error> {
        sys::socket::send(&self.socket, message.as_bytes(), &[])
            .doing(|| "write to criu".to_owned())
    }

    /// Its own last words are in its log.
    fn failed(&mut self, message: &str, log: &Path) -> Error {
        let mut said = String::new();
        // What it said is all there is to tell, and may be nothing.
        let _ = self.output.seek(SeekFrom::Start(0));
        let _ = Read::by_ref(&mut self.output)
            .take(4096)
            .read_to_string(&mut said);
        let logged = first_error(log);
        let said = said.trim();
        let answered = without_complaint(message);
        let why = [&answered, &logged, said, "it does not say why"];
        let why = why.into_iter().find(|text| !text.is_empty());
        let log = log.display();
        Error::Criu {
            reason: format!("{} (log file: {log})", why.unwrap_or_default()),
        }
    }
}

/// The first line of a log that tells of an error: the later ones say only that it failed.
fn first_error(log: &Path) -> String {
    let text = sys::fd::open_read(log)
        .and_then(|file| sys::fd::read_to_end(file, 64 << 20))
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut errors = text.lines().filter_map(|line| line.split_once("Error "));
    errors
        .find(|(_, error)| !error.contains(COMPLAINT))
        .map(|(_, error)| error.to_owned())
        .unwrap_or_default()
}

/// It would like more descriptors, says that among its errors, and goes on without.
const COMPLAINT: &str = "RLIMIT_NOFILE";

fn without_complaint(message: &str) -> String {
    let lines = message.lines().filter(|line| !line.contains(COMPLAINT));
    lines.collect::<Vec<_>>().join("\n")
}

/// `criu_resp`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    kind: u64,
    success: bool,
    restored: Option<i32>,
    script: String,
    pid: Option<i32>,
    message: String,
}

impl Answer {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut answer = Self::default();
        for (field, value) in fields(bytes)? {
            match (field, value) {
                (1, Value::Number(kind)) => answer.kind = kind,
                (2, Value::Number(success)) => answer.success = success != 0,
                (4, Value::Bytes(restore)) => {
                    answer.restored = fields(restore)?.first().and_then(number);
                }
                (5, Value::Bytes(notify)) => {
                    for part in fields(notify)? {
                        match part {
                            (1, Value::Bytes(script)) => answer.script = text(script),
                            (2, _) => answer.pid = number(&part),
                            _ => {}
                        }
                    }
                }
                (9, Value::Bytes(message)) => answer.message = text(message),
                _ => {}
            }
        }
        Some(answer)
    }
}

fn number((_, value): &(u64, Value<'_>)) -> Option<i32> {
    match value {
        Value::Number(number) => i32::try_from(*number).ok(),
        Value::Bytes(_) => None,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Where CRIU's images are, and where its log goes.
#[derive(Debug)]
pub(super) struct Directories {
    pub(super) images: OwnedFd,
    pub(super) work: OwnedFd,
    pub(super) log: PathBuf,
}

impl Directories {
    /// Makes those that are not there.
    pub(super) fn open(images: &Path, work: Option<&Path>, log: &str) -> Result<Self, Error> {
        let work = work.unwrap_or(images);
        let open = |path: &Path| {
            use std::os::unix::fs::DirBuilderExt;
            let mut builder = std::fs::DirBuilder::new();
            // What cannot be made cannot be opened either.
            let _ = builder.recursive(true).mode(0o700).create(path);
            sys::fd::open_dir(path).doing(|| format!("open {}", path.display()))
        };
        Ok(Self {
            images: open(images)?,
            work: open(work)?,
            log: work.join(log),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stops_nothing_is_no_reason() {
        let message =
            "Error (util.c:1): rlimit: Can't setup RLIMIT_NOFILE\nError (net.c:2): no tun";
        assert_eq!(without_complaint(message), "Error (net.c:2): no tun");
        assert_eq!(without_complaint("RLIMIT_NOFILE"), "");
    }

    #[test]
    fn answers_are_read() {
        let mut notify = Writer::default();
        notify.text(1, "post-restore").number(2, 42);
        let mut message = Writer::default();
        message.number(1, NOTIFY).number(2, 1).message(5, &notify);
        let answer = Answer::read(message.as_bytes()).unwrap();
        assert_eq!(
            (answer.kind, answer.script.as_str(), answer.pid),
            (NOTIFY, "post-restore", Some(42))
        );
        let mut restore = Writer::default();
        restore.number(1, 7);
        let mut message = Writer::default();
        message.number(1, 2).number(2, 1).message(4, &restore);
        let answer = Answer::read(message.as_bytes()).unwrap();
        assert_eq!((answer.success, answer.restored), (true, Some(7)));
        assert_eq!(Answer::read(b"\x08"), None);
    }
}
