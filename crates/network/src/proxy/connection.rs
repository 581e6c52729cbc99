//! One connection passed on as two: bytes move inside the kernel and are never copied out of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::event::{Event, Interest};
use sys::inet;
use sys::{Errno, Result, socket};

/// After so many pipes full it is another connection's turn.
const TURNS: usize = 16;

/// Pipes that are kept for the next who needs one.
const MOST_IDLE: usize = 16;

/// One of the two who speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who has connected.
    Client,
    /// Whom it is passed on to.
    Target,
}

impl Side {
    fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Target => 1,
        }
    }
}

/// Pipes nobody has bytes in. A connection has one only while bytes are on their way.
#[derive(Debug, Default)]
pub struct Pipes(Vec<Pipe>);

#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipes {
    fn take(&mut self) -> Result<Pipe> {
        match self.0.pop() {
            Some(pipe) => Ok(pipe),
            None => inet::pipe().map(|(read, write)| Pipe { read, write }),
        }
    }

    fn put_back(&mut self, pipe: Option<Pipe>) {
        if let Some(pipe) = pipe.filter(|_| self.0.len() < MOST_IDLE) {
            self.0.push(pipe);
        }
    }
}

/// A connection that is passed on.
///
/// ```text
///   connecting ─► both directions open ─► one ended, the other goes on ─► both ended
///       └─ refused: the client's is reset         └─ reset by one: the other's is reset
/// ```
#[derive(Debug)]
pub struct Connection {
    sockets: [OwnedFd; 2],
    /// What comes from the client, and what comes from the target.
    flows: [Flow; 2],
    connecting: bool,
    over: bool,
}

/// Bytes in one direction.
#[derive(Debug, Default)]
struct Flow {
    pipe: Option<Pipe>,
    filled: usize,
    /// Nothing more comes.
    ended: bool,
    waits: Waits,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Waits {
    #[default]
    ToRead,
    ToWrite,
    /// The end has been passed on.
    Done,
}

impl Connection {
    /// Passes an accepted connection on to a socket that is just being connected.
    pub fn new(client: OwnedFd, target: OwnedFd) -> Self {
        for socket in [&client, &target] {
            // Without it small answers come later, which is no reason to refuse the connection.
            let _ = inet::set_up_stream(socket);
        }
        Self {
            sockets: [client, target],
            flows: [Flow::default(), Flow::default()],
            connecting: true,
            over: false,
        }
    }

    /// A side's socket.
    pub fn socket(&self, side: Side) -> BorrowedFd<'_> {
        self.sockets[side.index()].as_fd()
    }

    /// What to be told of a side's socket; none: not even of its end.
    pub fn wants(&self, side: Side) -> Option<Interest> {
        if self.connecting {
            return (side == Side::Target).then_some(Interest::WRITE);
        }
        let (from, to) = (&self.flows[side.index()], &self.flows[1 - side.index()]);
        let interest = Interest {
            read: from.waits == Waits::ToRead,
            write: to.waits == Waits::ToWrite,
        };
        (interest != Interest::default()).then_some(interest)
    }

    /// Whether both directions have come to their end, or the connection has broken.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Moves what can be moved, after an event of one side.
    pub fn go_on(&mut self, side: Side, event: Event, pipes: &mut Pipes) {
        let here = side.index();
        let moved = self.arrive().and_then(|()| {
            if event.readable || event.hung_up {
                self.pump(here, pipes)?;
            }
            if event.writable || event.hung_up {
                self.pump(1 - here, pipes)?;
            }
            Ok(())
        });
        if moved.is_err() {
            self.reset();
        }
        self.over |= self.flows.iter().all(|flow| flow.waits == Waits::Done);
    }

    /// The target has accepted, or not.
    fn arrive(&mut self) -> Result<()> {
        if self.connecting {
            inet::take_error(&self.sockets[1])?;
            self.connecting = false;
        }
        Ok(())
    }

    /// What one side says is told to the other by a reset, as it would have been without us.
    pub fn reset(&mut self) {
        for socket in &self.sockets {
            // Otherwise it ends as if all had been said.
            let _ = inet::reset_on_close(socket);
        }
        self.over = true;
    }

    fn pump(&mut self, from: usize, pipes: &mut Pipes) -> Result<()> {
        let flow = &mut self.flows[from];
        let (from, to) = (&self.sockets[from], &self.sockets[1 - from]);
        for _ in 0..TURNS {
            if flow.waits == Waits::Done {
                return Ok(());
            }
            if flow.filled == 0 && !flow.ended && !flow.fill(from, pipes)? {
                return Ok(());
            }
            if !flow.drain(to, pipes)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Flow {
    /// Whether there was anything: bytes, or the end.
    fn fill(&mut self, from: &OwnedFd, pipes: &mut Pipes) -> Result<bool> {
        self.waits = Waits::ToRead;
        let pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            None => pipes.take()?,
        };
        let read = inet::splice(from, &pipe.write, inet::PIPE)?;
        match read {
            Some(0) => self.ended = true,
            Some(length) => self.filled = length,
            None => {}
        }
        if self.filled > 0 {
            self.pipe = Some(pipe);
        } else {
            pipes.put_back(Some(pipe));
        }
        Ok(read.is_some())
    }

    /// Whether all has been taken.
    fn drain(&mut self, to: &OwnedFd, pipes: &mut Pipes) -> Result<bool> {
        while self.filled > 0
            && let Some(pipe) = &self.pipe
        {
            let Some(length) = inet::splice(&pipe.read, to, self.filled)? else {
                self.waits = Waits::ToWrite;
                return Ok(false);
            };
            self.filled -= length;
        }
        pipes.put_back(self.pipe.take());
        self.waits = Waits::ToRead;
        if self.ended {
            match socket::shut_down_write(to) {
                // Gone altogether.
                Err(error) if error.errno != Errno::NOTCONN => return Err(error),
                _ => self.waits = Waits::Done,
            }
        }
        Ok(true)
    }
}
