//! The standard streams of one process, the container's first or an exec session's: output to the
//! log and to every attached client, input from every attached client.
//!
//! Backpressure: while output waits for a client, the process' output is not read; while input
//! waits for the process, its clients' input is not read. Nothing here grows with what flows.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use shim::log::{Stream, Writer};
use shim::protocol::AttachOptions;
use sys::event::{self, Interest, Poller};

use crate::attached::{BLOCK, Client, Input};
use crate::captured::Captured;
use crate::source::{Pipe, Source, Token};

/// How long output is waited for after the process has ended and its pipes are empty: another
/// process may hold them, for ever if it likes.
const GRACE: Duration = Duration::from_millis(500);

/// When a terminal that no program has open is looked at again.
const REVISIT: Duration = Duration::from_millis(100);

/// Blocks read from one pipe, at most, at the moment its process has ended. A pipe holds fewer; who
/// still fills it may be another process.
const LAST_BLOCKS: usize = 32;

/// Full blocks in a row after which a pipe is made larger.
const BUSY: u32 = 8;
const BUSY_SIZE: usize = 256 * 1024;

/// Our ends of a process' standard streams.
#[derive(Debug)]
pub(crate) enum Ends {
    /// Pipes; what is missing is `/dev/null`.
    Pipes {
        stdin: Option<OwnedFd>,
        stdout: Option<OwnedFd>,
        stderr: Option<OwnedFd>,
    },
    /// The master of its terminal, and whether it takes input.
    Terminal { master: OwnedFd, input: bool },
}

/// What everything here works with.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) poller: Poller,
    /// Room for one read. Empty between two reads; its memory is kept, touched as far as the longest
    /// read went.
    pub(crate) buffer: Vec<u8>,
    pub(crate) clock: fn() -> i64,
}

#[derive(Debug)]
struct Output {
    source: Source,
    pipe: Pipe,
    /// Full reads in a row.
    busy: u32,
    /// A terminal that nobody has open: not to be read before then.
    revisit: Option<Instant>,
}

#[derive(Debug)]
enum Stdin {
    /// The process is not there yet: clients' bytes wait in their sockets.
    Waiting,
    /// A pipe or terminal, and what did not fit into it.
    Open {
        source: Source,
        pending: Vec<u8>,
        closing: bool,
    },
    /// There is none. What clients send is dropped.
    Closed,
}

/// One process' standard streams.
#[derive(Debug)]
pub(crate) struct Session {
    number: u32,
    outputs: [Option<Output>; 2],
    stdin: Stdin,
    /// Standard input ends with the first client's.
    stdin_once: bool,
    terminal: bool,
    clients: Vec<Client>,
    next_client: u32,
    log: Option<Writer>,
    /// The beginning of the output, of a session that is asked for it.
    captured: Option<Captured>,
    /// When the process ended, and how long output is waited for.
    deadline: Option<Instant>,
    /// Output still goes somewhere. Otherwise it is read and dropped, so that whoever holds a pipe
    /// of an ended session is not killed by it.
    served: bool,
}

impl Session {
    /// Before there is a process; clients may attach already.
    pub(crate) fn new(number: u32, stdin_once: bool) -> Self {
        Self {
            number,
            outputs: [None, None],
            stdin: Stdin::Waiting,
            stdin_once,
            terminal: false,
            clients: Vec::new(),
            next_client: 0,
            log: None,
            captured: None,
            deadline: None,
            served: true,
        }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Keeps the beginning of the output.
    pub(crate) fn capture(&mut self) {
        self.captured = Some(Captured::default());
    }

    /// What was kept.
    pub(crate) fn captured(&self) -> String {
        self.captured
            .as_ref()
            .map(Captured::text)
            .unwrap_or_default()
    }

    pub(crate) fn set_log(&mut self, log: Option<Writer>) {
        self.log = log;
    }

    /// The process is there.
    pub(crate) fn connect(&mut self, ends: Ends, tools: &mut Tools) {
        match ends {
            Ends::Pipes {
                stdin,
                stdout,
                stderr,
            } => {
                self.outputs = [
                    stdout.map(|fd| self.output(fd, Pipe::Stdout)),
                    stderr.map(|fd| self.output(fd, Pipe::Stderr)),
                ];
                self.stdin = self.input(stdin);
            }
            Ends::Terminal { master, input } => {
                // Watched apart from its output, so that each can be left out of the epoll set.
                let copy = input.then(|| sys::fd::duplicate(&master).ok()).flatten();
                self.outputs[0] = Some(self.output(master, Pipe::Stdout));
                self.stdin = self.input(copy);
                self.terminal = true;
                self.clients.iter_mut().for_each(Client::on_terminal);
            }
        }
        self.serve_early(tools);
        self.watch(tools);
    }

    fn output(&self, fd: OwnedFd, pipe: Pipe) -> Output {
        // Should it fail, reads wait for output one at a time, and still in order.
        let _ = sys::fd::set_nonblocking(&fd, true);
        let source = Source::new(
            fd,
            Token::Pipe {
                session: self.number,
                pipe,
            },
        );
        Output {
            source,
            pipe,
            busy: 0,
            revisit: None,
        }
    }

    fn input(&self, fd: Option<OwnedFd>) -> Stdin {
        let Some(fd) = fd else {
            return Stdin::Closed;
        };
        let _ = sys::fd::set_nonblocking(&fd, true);
        let token = Token::Pipe {
            session: self.number,
            pipe: Pipe::Stdin,
        };
        Stdin::Open {
            source: Source::new(fd, token),
            pending: Vec::new(),
            closing: false,
        }
    }

    /// Serves a client from now on.
    pub(crate) fn attach(&mut self, fd: OwnedFd, options: AttachOptions, tools: &mut Tools) {
        let number = self.next_client;
        self.next_client += 1;
        let token = Token::Client {
            session: self.number,
            client: number,
        };
        let mut client = Client::new(fd, token, number, options);
        if self.terminal {
            client.on_terminal();
        }
        self.clients.push(client);
        if !matches!(self.stdin, Stdin::Waiting) {
            self.serve_early(tools);
        }
        self.watch(tools);
    }

    /// The master of the terminal.
    pub(crate) fn terminal(&self) -> Option<BorrowedFd<'_>> {
        let output = self.outputs[0].as_ref().filter(|_| self.terminal)?;
        Some(output.source.as_fd())
    }

    /// Something happened to one of the process' ends.
    pub(crate) fn on_pipe(&mut self, pipe: Pipe, tools: &mut Tools) {
        match pipe {
            Pipe::Stdout => drop(self.read_output(0, tools)),
            Pipe::Stderr => drop(self.read_output(1, tools)),
            Pipe::Stdin => self.write_input(&[]),
        }
        self.watch(tools);
    }

    /// Something happened to a client.
    pub(crate) fn on_client(&mut self, number: u32, event: event::Event, tools: &mut Tools) {
        let Some(index) = self
            .clients
            .iter()
            .position(|client| client.number == number)
        else {
            return;
        };
        if event.writable {
            self.clients[index].flush();
        }
        if event.hung_up {
            self.clients[index].hang_up();
        }
        if event.readable && self.clients[index].reading {
            let mut buffer = std::mem::take(&mut tools.buffer);
            let input = self.clients[index].read(&mut buffer);
            self.take_input(index, input, &buffer, tools);
            tools.buffer = buffer;
        }
        self.watch(tools);
    }

    fn serve_early(&mut self, tools: &mut Tools) {
        for index in (0..self.clients.len()).rev() {
            let mut buffer = Vec::new();
            let input = self.clients[index].take_early(&mut buffer);
            self.take_input(index, input, &buffer, tools);
        }
    }

    fn take_input(&mut self, index: usize, input: Input, bytes: &[u8], tools: &Tools) {
        match input {
            Input::Nothing => {}
            Input::Bytes => self.write_input(bytes),
            Input::Detached => {
                self.write_input(bytes);
                self.clients.remove(index).close(&tools.poller);
            }
            Input::End => self.end_input(),
        }
    }

    /// A client has sent its last byte.
    fn end_input(&mut self) {
        // A terminal cannot be closed in one direction.
        if !self.stdin_once || self.terminal {
            return;
        }
        match &mut self.stdin {
            Stdin::Open {
                pending, closing, ..
            } if !pending.is_empty() => *closing = true,
            Stdin::Open { .. } => self.stdin = Stdin::Closed,
            Stdin::Waiting | Stdin::Closed => {}
        }
    }

    /// Writes to the process after what already waits for it, as far as it goes.
    fn write_input(&mut self, bytes: &[u8]) {
        let Stdin::Open {
            source,
            pending,
            closing,
        } = &mut self.stdin
        else {
            return;
        };
        let written = if pending.is_empty() {
            let written = event::try_write(&source, bytes);
            pending.extend_from_slice(&bytes[*written.as_ref().unwrap_or(&0)..]);
            written
        } else {
            pending.extend_from_slice(bytes);
            let written = event::try_write(&source, pending);
            pending.drain(..*written.as_ref().unwrap_or(&0));
            written
        };
        if pending.is_empty() {
            *pending = Vec::new();
        }
        // The process has closed its end, or input ended and all of it has been delivered.
        if written.is_err() || (*closing && pending.is_empty()) {
            self.stdin = Stdin::Closed;
        }
    }

    fn input_free(&self) -> bool {
        match &self.stdin {
            Stdin::Waiting => false,
            Stdin::Open { pending, .. } => pending.is_empty(),
            Stdin::Closed => true,
        }
    }

    /// Reads at most a block of output and passes it on. Whether there may be more at once.
    fn read_output(&mut self, index: usize, tools: &mut Tools) -> bool {
        let Some(output) = &mut self.outputs[index] else {
            return false;
        };
        let mut buffer = std::mem::take(&mut tools.buffer);
        buffer.clear();
        buffer.reserve(BLOCK);
        let read = event::try_read(&output.source, &mut buffer);
        let more = match read {
            Ok(Some(0)) => self.output_ended(index, tools),
            Ok(Some(length)) => {
                output.note_load(length);
                self.deliver(index, &buffer, (tools.clock)());
                true
            }
            Ok(None) => false,
            Err(_) => self.close_output(index, tools),
        };
        tools.buffer = buffer;
        more
    }

    fn deliver(&mut self, index: usize, bytes: &[u8], now: i64) {
        if !self.served {
            return;
        }
        let stream = if index == 0 {
            Stream::Stdout
        } else {
            Stream::Stderr
        };
        if let Some(log) = &mut self.log {
            log.write(stream, bytes, now);
        }
        if let Some(captured) = &mut self.captured {
            captured.take(bytes);
        }
        for client in &mut self.clients {
            client.send(stream, bytes);
        }
    }

    /// A terminal that nobody has open may be opened again as long as its process lives.
    fn output_ended(&mut self, index: usize, tools: &Tools) -> bool {
        if !self.terminal || self.deadline.is_some() {
            return self.close_output(index, tools);
        }
        if let Some(output) = &mut self.outputs[index] {
            output.revisit = Some(Instant::now() + REVISIT);
        }
        false
    }

    fn close_output(&mut self, index: usize, tools: &Tools) -> bool {
        if let Some(output) = self.outputs[index].take() {
            drop(output.source.take(&tools.poller));
        }
        false
    }

    /// The process has ended: takes what its pipes hold, whether clients keep up or not. What other
    /// processes may still write is waited for a little.
    pub(crate) fn process_ended(&mut self, tools: &mut Tools) {
        self.deadline = Some(Instant::now() + GRACE);
        for index in 0..self.outputs.len() {
            if let Some(output) = &mut self.outputs[index] {
                output.revisit = None;
            }
            for _ in 0..LAST_BLOCKS {
                if !self.read_output(index, tools) {
                    break;
                }
            }
        }
        self.watch(tools);
    }

    /// The process has ended and all its output has been passed on.
    pub(crate) fn is_complete(&self) -> bool {
        let all_read = || self.outputs.iter().all(Option::is_none);
        self.deadline
            .is_some_and(|at| all_read() || at <= Instant::now())
    }

    /// When something is to be looked at without an event.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        let deadline = self.deadline.filter(|_| self.served);
        let revisits = self
            .outputs
            .iter()
            .flatten()
            .filter_map(|output| output.revisit);
        revisits.chain(deadline).min()
    }

    /// Looks at what is due.
    pub(crate) fn look(&mut self, tools: &mut Tools) {
        let now = Instant::now();
        for output in self.outputs.iter_mut().flatten() {
            output.revisit = output.revisit.filter(|at| *at > now);
        }
        self.watch(tools);
    }

    /// Writes the last of the log.
    pub(crate) fn finish_log(&mut self, now: i64) {
        if let Some(log) = &mut self.log {
            log.finish(now);
        }
        self.log = None;
    }

    /// Sends clients the last of the output, and ends the connections of those that took it all.
    pub(crate) fn close_clients(&mut self, tools: &mut Tools) {
        self.served = false;
        self.stdin = Stdin::Closed;
        for client in &mut self.clients {
            client.flush_at_end();
            client.reading = false;
        }
        self.watch(tools);
    }

    /// No client is left.
    pub(crate) fn is_deserted(&self) -> bool {
        self.clients.is_empty()
    }

    /// Nothing of it is left to look after.
    pub(crate) fn is_over(&self) -> bool {
        !self.served && self.is_deserted() && self.outputs.iter().all(Option::is_none)
    }

    fn is_behind(&self) -> bool {
        self.clients.iter().any(Client::is_behind)
    }

    /// Lets go of clients that are done, and tells the epoll set what is wanted of the rest.
    fn watch(&mut self, tools: &mut Tools) {
        let Tools { poller, .. } = tools;
        for index in (0..self.clients.len()).rev() {
            let client = &self.clients[index];
            if client.is_done() || (!self.served && !client.is_behind()) {
                self.clients.remove(index).close(poller);
            }
        }
        let (behind, free) = (self.is_behind(), self.input_free());
        for output in self.outputs.iter_mut().flatten() {
            let read = (!behind || !self.served) && output.revisit.is_none();
            output.source.want(poller, read.then_some(Interest::READ));
        }
        for client in &mut self.clients {
            client.watch(poller, free);
        }
        if let Stdin::Open {
            source, pending, ..
        } = &mut self.stdin
        {
            source.want(poller, (!pending.is_empty()).then_some(Interest::WRITE));
        }
    }
}

impl Output {
    /// A pipe that is always full is made larger: fewer, longer turns.
    fn note_load(&mut self, length: usize) {
        self.busy = if length >= BLOCK { self.busy + 1 } else { 0 };
        if self.busy == BUSY && self.pipe == Pipe::Stdout {
            // Refused for a terminal, and where pipes have used up what the kernel allows.
            let _ = event::set_pipe_size(&self.source, BUSY_SIZE);
        }
    }
}
