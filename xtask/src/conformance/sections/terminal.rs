//! config.md, Process: terminal and consoleSize; config-linux.md, Default Devices: /dev/console.

use std::io::{IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;

use super::super::bundle::{Bundle, last_line};
use super::super::container::Container;
use super::super::find::{holds, same, stat};
use super::super::runtime;
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "terminal/standard-streams",
        "config.md, Process: the pseudoterminal is duplicated on the process's standard streams",
        streams,
    ),
    (
        "terminal/controlling",
        "config.md, Process: with terminal true a terminal is attached to the process",
        controlling,
    ),
    (
        "terminal/works",
        "config.md, Process: what is written to the terminal is read at the other end, and the other way",
        works,
    ),
    (
        "terminal/console",
        "config-linux.md, Default Devices: /dev/console is the pseudoterminal, bind mounted",
        console,
    ),
    (
        "terminal/console-size",
        "config.md, Process: consoleSize is the terminal's size in characters",
        console_size,
    ),
    (
        "terminal/no-console",
        "config-linux.md, Default Devices: /dev/console is set up if terminal is enabled",
        no_console,
    ),
    (
        "terminal/of-user",
        "config.md, Process: the terminal is the process's, whoever its user is",
        of_user,
    ),
];

/// Takes one descriptor with whatever comes with it.
pub(super) fn receive(stream: &UnixStream) -> Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; 65_536];
    let got = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    bytes.truncate(got.bytes);
    let mut all = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            all.extend(fds);
        }
    }
    Ok((bytes, all))
}

/// Creates a container with a terminal and returns the terminal's other end.
fn create<'b, 's>(bundle: &'b mut Bundle<'s>) -> Result<(Container<'b, 's>, std::fs::File)> {
    bundle.set("/process/terminal", json!(true));
    // A socket's path is short.
    let path = bundle.path().join("tty");
    let listener = UnixListener::bind(&path)?;
    let container =
        bundle.create_through(&[], &["--console-socket", &path.display().to_string()])?;
    listener.set_nonblocking(true)?;
    let (stream, _) = listener.accept().context("nobody sent a terminal")?;
    let (_, fds) = receive(&stream)?;
    let Some(master) = fds.into_iter().next() else {
        bail!("the runtime sent no descriptor");
    };
    Ok((container, master.into()))
}

/// All that comes out of a terminal until its last user has gone.
fn read_all(mut master: std::fs::File) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    // A terminal without users gives EIO, and one whose user hangs nothing.
    while ready(&master)
        && let Ok(count @ 1..) = master.read(&mut piece)
    {
        bytes.extend(&piece[..count]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for something to read, not forever.
pub(super) fn ready(source: impl AsFd) -> bool {
    let limit = Timespec::try_from(runtime::limit()).ok();
    let mut one = [PollFd::new(&source, PollFlags::IN)];
    poll(&mut one, limit.as_ref()).is_ok_and(|count| count > 0)
}

/// What the probe reports by its terminal.
fn report(bundle: &mut Bundle<'_>) -> Result<serde_json::Value> {
    let (container, master) = create(bundle)?;
    container.start()?;
    let out = read_all(master);
    container.wait()?;
    container.delete()?;
    last_line(&out).with_context(|| format!("the terminal gave {out:?}"))
}

fn streams(suite: &Suite) -> Result<()> {
    let report = report(&mut suite.bundle()?)?;
    for name in ["0", "1", "2"] {
        let target = report["fds"][name].as_str().unwrap_or_default();
        let terminal = target.starts_with("/dev/pts/") || target == "/dev/console";
        holds(&format!("stream {name} is the terminal"), terminal, target)?;
    }
    Ok(())
}

fn controlling(suite: &Suite) -> Result<()> {
    let report = report(&mut suite.bundle()?)?;
    // Major number 136 is that of pseudoterminals.
    same(
        "controlling terminal's major",
        (stat(&report, 7)? >> 8) & 0xfff,
        136,
    )?;
    same("session", stat(&report, 6)?, 1)
}

fn works(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/bin/sh", "-c", "read word; echo \"got<$word>\""]);
    let (container, mut master) = create(&mut bundle)?;
    container.start()?;
    master.write_all(b"hello\n")?;
    let out = read_all(master);
    holds("the word came back", out.contains("got<hello>"), out)?;
    container.wait()?;
    container.delete()
}

fn ops(suite: &Suite, size: Option<serde_json::Value>, args: &[&str]) -> Result<String> {
    let mut bundle = suite.bundle()?;
    bundle.args(args);
    if let Some(size) = size {
        bundle.set("/process/consoleSize", size);
    }
    let (container, master) = create(&mut bundle)?;
    container.start()?;
    let out = read_all(master);
    container.wait()?;
    container.delete()?;
    Ok(out)
}

fn console(suite: &Suite) -> Result<()> {
    let script =
        "echo to-console > /dev/console; [ -c /dev/console ] && echo is-device; exec /probe report";
    let out = ops(suite, None, &["/bin/sh", "-c", script])?;
    holds(
        "it is a device that writes to the terminal",
        out.contains("to-console") && out.contains("is-device"),
        &out,
    )?;
    let report = last_line(&out).context("no report")?;
    let mount = super::super::find::mount_at(&report, "/dev/console")?;
    same(
        "type of what is mounted there",
        mount.kind.as_str(),
        "devpts",
    )
}

fn console_size(suite: &Suite) -> Result<()> {
    let size = json!({ "height": 33, "width": 77 });
    let out = ops(suite, Some(size), &["/bin/stty", "size"])?;
    same("size", out.trim(), "33 77")
}

fn no_console(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let done = bundle.ops(&[&["stat", "/dev/console"]])?;
    super::super::find::failed_with(&done[0], 2)
}

fn of_user(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    bundle.args(&["/bin/sh", "-c", "echo opened > /dev/tty"]);
    let (container, master) = create(&mut bundle)?;
    container.start()?;
    let out = read_all(master);
    holds("the user can open it", out.contains("opened"), out)?;
    container.wait()?;
    container.delete()
}
