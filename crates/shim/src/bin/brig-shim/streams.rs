//! Standard streams for a process to come: its ends, and ours.

use std::os::fd::OwnedFd;
use std::path::Path;

use runtime::Stdio;
use shim::protocol::Streams;

use crate::failure::Failure;
use crate::session::Ends;

/// Our half of what [`make`] made; complete once the process is there.
#[derive(Debug)]
pub(crate) enum Half {
    /// Our ends of pipes.
    Pipes([Option<OwnedFd>; 3]),
    /// The process brings the master; whether it takes input.
    Terminal { input: bool },
}

impl Half {
    /// With the master that came with the process, if it has a terminal.
    pub(crate) fn complete(self, master: Option<OwnedFd>) -> Ends {
        match (self, master) {
            (Self::Terminal { input }, Some(master)) => Ends::Terminal { master, input },
            (Self::Terminal { .. }, None) => Ends::Pipes {
                stdin: None,
                stdout: None,
                stderr: None,
            },
            (Self::Pipes([stdin, stdout, stderr]), _) => Ends::Pipes {
                stdin,
                stdout,
                stderr,
            },
        }
    }
}

/// A terminal, or a pipe for each stream that is wanted and `/dev/null` for the others.
pub(crate) fn make(
    terminal: bool,
    size: [u16; 2],
    wanted: Streams,
) -> Result<(Stdio, Half), Failure> {
    if terminal {
        return Ok((
            Stdio::Terminal {
                size,
                bare_lines: false,
            },
            Half::Terminal {
                input: wanted.stdin,
            },
        ));
    }
    let (stdin, our_stdin) = end(wanted.stdin, Direction::In)?;
    let (stdout, our_stdout) = end(wanted.stdout, Direction::Out)?;
    let (stderr, our_stderr) = end(wanted.stderr, Direction::Out)?;
    let half = Half::Pipes([our_stdin, our_stdout, our_stderr]);
    Ok((Stdio::Files([stdin, stdout, stderr]), half))
}

enum Direction {
    In,
    Out,
}

fn end(pipe: bool, direction: Direction) -> Result<(OwnedFd, Option<OwnedFd>), Failure> {
    if !pipe {
        let null = sys::fd::open_read_write(Path::new("/dev/null"));
        return Ok((null.map_err(Failure::of("open /dev/null"))?, None));
    }
    let (read, write) = sys::fd::pipe().map_err(Failure::of("make a pipe"))?;
    Ok(match direction {
        Direction::In => (read, Some(write)),
        Direction::Out => (write, Some(read)),
    })
}
