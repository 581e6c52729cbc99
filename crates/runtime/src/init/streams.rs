//! Terminal, standard streams, and no other descriptor.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use sys::event::Signals;
use sys::pty::Terminal;
use sys::root::Kind;

use super::{Init, Launch, Outcome};
use crate::Stdio;
use crate::protocol::During;

/// After /dev/pts was mounted, in which it is made, and before the host's root goes, because its
/// other end is bound to /dev/console.
pub(crate) fn terminal(init: &mut Init<'_>) -> Outcome {
    let Stdio::Terminal { size, bare_lines } = init.launch.stdio else {
        return Ok(());
    };
    let action = || "open a terminal in /dev/pts".to_owned();
    let root = init.root()?;
    let terminal = open(root, *size, *bare_lines)?;
    let console = root.make_file("/dev/console").during(action)?;
    super::mounts::refuse_on_proc(&console, "/dev/console".as_ref())?;
    let slave = sys::mount::bind_fd(&terminal.slave, false).during(action)?;
    slave
        .attach(&console)
        .during(|| "bind the terminal to /dev/console".to_owned())?;
    init.launch.terminal = Some(terminal);
    Ok(())
}

/// Opens a terminal of the devpts inside `root`.
pub(crate) fn open(
    root: &sys::root::Root,
    [rows, columns]: [u16; 2],
    bare_lines: bool,
) -> Result<Terminal, crate::protocol::Failure> {
    let terminal = Terminal::open(root).during(|| "open a terminal in /dev/pts".to_owned())?;
    if (rows, columns) != (0, 0) {
        sys::pty::set_size(&terminal.master, rows, columns)
            .during(|| "set the terminal's size".to_owned())?;
    }
    if bare_lines {
        sys::pty::leave_line_ends(&terminal.slave)
            .during(|| "set the terminal's ends of lines".to_owned())?;
    }
    Ok(terminal)
}

/// Before the gate, where the process may wait for long: whoever called the maker and reads its
/// output to the end, as containerd does, must not wait with it.
pub(crate) fn let_go(init: &mut Init<'_>) -> Outcome {
    if init.gate.is_none() || init.launch.terminal.is_none() {
        return Ok(());
    }
    let Some(streams) = init.launch.given_streams() else {
        return Ok(());
    };
    sys::process::set_standard_streams(streams)
        .during(|| "let go of the maker's streams".to_owned())
}

/// After the hooks, which are none of the command's business.
pub(crate) fn attach(launch: &mut Launch<'_>) -> Outcome {
    let action = || "attach the standard streams".to_owned();
    if let Some(streams) = launch.given_streams() {
        sys::process::set_standard_streams(streams).during(action)?;
    }
    if !launch.hidden {
        take_terminal(launch)?;
    }
    if launch.process.uid != 0 {
        give_streams_to(launch.process.uid);
    }
    Ok(())
}

/// As the leader of a session.
pub(super) fn take_terminal(launch: &Launch<'_>) -> Outcome {
    if launch.terminal.is_none() {
        return Ok(());
    }
    sys::pty::make_controlling(std::io::stdin())
        .during(|| "make the terminal the session's".to_owned())
}

/// Lets the user open /dev/stdout and its like again, by name. What cannot be given away, a file of
/// a read-only file system or of another user namespace, stays as it is: it can be used all the
/// same, only not reopened.
fn give_streams_to(uid: u32) {
    let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for stream in [input.as_fd(), output.as_fd(), error.as_fd()] {
        // The null device belongs to the whole machine.
        if sys::root::kind(stream) != Ok(Kind::CharacterDevice(1, 3)) {
            let _ = sys::fd::give_to(stream, uid);
        }
    }
}

/// Closes what is not needed from the gate on.
pub(crate) fn close_unneeded(
    launch: &Launch<'_>,
    gate: &OwnedFd,
    signals: Option<&Signals>,
) -> Outcome {
    let label = launch.label_file.as_ref().map(AsFd::as_fd);
    let streams = launch.given_streams();
    let signals = signals.map(AsFd::as_fd);
    let always = [launch.channel.as_fd(), gate.as_fd()];
    let keep: Vec<_> = [label, signals]
        .into_iter()
        .flatten()
        .chain(always)
        .chain(streams.into_iter().flatten())
        .collect();
    sys::process::close_all_but(first_other(launch), &keep)
        .during(|| "close the descriptors of the host".to_owned())
}

/// The first descriptor that the command is not to have.
fn first_other(launch: &Launch<'_>) -> RawFd {
    3 + RawFd::try_from(launch.preserve_fds.min(1 << 16)).unwrap_or_default()
}

/// After the streams were copied from their descriptors, and before the first path of the container
/// is used: a command or working directory like /proc/self/fd/7 must find nothing of the host's
/// (CVE-2024-21626). Closed now and not on execve(2), for the same reason.
pub(crate) fn close_others(launch: &mut Launch<'_>) -> Outcome {
    let label = launch.label_file.as_ref().map(AsFd::as_fd);
    let keep: Vec<_> = [Some(launch.channel.as_fd()), label]
        .into_iter()
        .flatten()
        .collect();
    sys::process::close_all_but(first_other(launch), &keep)
        .during(|| "close the descriptors of the host".to_owned())
}
