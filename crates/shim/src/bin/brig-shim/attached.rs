//! A client's connection, served until the session ends, the client goes, or its keys detach it.

use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use shim::log::Stream;
use shim::protocol::AttachOptions;
use sys::event::{Interest, Poller};
use sys::socket;

use crate::detach::Detach;
use crate::frame;
use crate::source::{Source, Token};

/// Read from a client at once.
pub(crate) const BLOCK: usize = 64 * 1024;

/// How long output waits for a client that has not read the head of its answer: some 50 ms.
const PATIENCE: (u32, Duration) = (250, Duration::from_micros(200));

/// One client of a session.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) number: u32,
    source: Source,
    options: AttachOptions,
    /// Its bytes still go to standard input.
    pub(crate) reading: bool,
    /// It still takes output.
    writing: bool,
    /// Something was sent to it.
    greeted: bool,
    /// Output that did not fit into its socket.
    pending: Vec<u8>,
    detach: Option<Detach>,
    /// Both directions are closed at its end.
    hung_up: bool,
}

/// What reading from a client came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing is there.
    Nothing,
    /// Bytes for standard input; the buffer holds them.
    Bytes,
    /// It will send no more.
    End,
    /// Its keys detach it; the buffer holds what came before.
    Detached,
}

impl Client {
    pub(crate) fn new(fd: OwnedFd, token: Token, number: u32, options: AttachOptions) -> Self {
        Self {
            number,
            source: Source::new(fd, token),
            reading: options.streams.stdin,
            writing: options.streams.stdout || options.streams.stderr,
            greeted: false,
            pending: Vec::new(),
            detach: None,
            hung_up: false,
            options,
        }
    }

    /// The session has a terminal: keys detach.
    pub(crate) fn on_terminal(&mut self) {
        self.detach = Detach::new(&self.options.detach_keys);
    }

    /// What it had sent before it was handed over.
    pub(crate) fn take_early(&mut self, buffer: &mut Vec<u8>) -> Input {
        buffer.clear();
        buffer.extend_from_slice(&std::mem::take(&mut self.options.early));
        if buffer.is_empty() {
            Input::Nothing
        } else {
            self.scan(buffer)
        }
    }

    /// Whether output waits for it: then its session is not read on.
    pub(crate) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Nothing goes either way any more.
    pub(crate) fn is_done(&self) -> bool {
        !self.reading && !self.writing
    }

    /// Sends output, and keeps what does not fit.
    pub(crate) fn send(&mut self, stream: Stream, bytes: &[u8]) {
        let wanted = match stream {
            Stream::Stdout => self.options.streams.stdout,
            Stream::Stderr => self.options.streams.stderr,
        };
        if !wanted || !self.writing {
            return;
        }
        if !std::mem::replace(&mut self.greeted, true) {
            self.let_head_be_read();
        }
        let header = frame::header(stream, bytes.len());
        let header: &[u8] = if self.options.framed { &header } else { &[] };
        if self.is_behind() {
            self.pending.extend_from_slice(header);
            self.pending.extend_from_slice(bytes);
            return;
        }
        match socket::try_send_parts(&self.source, &[IoSlice::new(header), IoSlice::new(bytes)]) {
            Ok(sent) if sent < header.len() => {
                self.pending.extend_from_slice(&header[sent..]);
                self.pending.extend_from_slice(bytes);
            }
            Ok(sent) => self
                .pending
                .extend_from_slice(&bytes[sent - header.len()..]),
            Err(_) => self.stop_writing(),
        }
    }

    /// Some clients, docker-py among them, read the head of an answer through a buffer and lose what
    /// comes with it. dockerd's output is never as early; here, it waits until the head is read.
    fn let_head_be_read(&self) {
        let (times, pause) = PATIENCE;
        for _ in 0..times {
            match socket::unread_by_peer(&self.source) {
                Ok(1..) => thread::sleep(pause),
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// Sends what waits, as far as it fits.
    pub(crate) fn flush(&mut self) {
        if !self.is_behind() {
            return;
        }
        match socket::try_send_parts(&self.source, &[IoSlice::new(&self.pending)]) {
            Ok(sent) if sent == self.pending.len() => self.pending = Vec::new(),
            Ok(sent) => drop(self.pending.drain(..sent)),
            Err(_) => self.stop_writing(),
        }
    }

    /// The last flush: asks the kernel to take all that waits, so that a slow client holds nobody up.
    pub(crate) fn flush_at_end(&mut self) {
        self.flush();
        if self.is_behind() {
            // What the socket holds already counts too, and the kernel's bookkeeping with it. An
            // ordinary user may not ask for so much; then the client is waited for.
            let _ = socket::reserve_send_buffer(&self.source, 4 * self.pending.len() + (4 << 20));
            self.flush();
        }
    }

    /// Reads what it sends, at most a block.
    pub(crate) fn read(&mut self, buffer: &mut Vec<u8>) -> Input {
        buffer.clear();
        buffer.reserve(BLOCK);
        match socket::try_receive_bytes(&self.source, buffer) {
            Ok(None) => Input::Nothing,
            Ok(Some(0)) | Err(_) => {
                self.reading = false;
                Input::End
            }
            Ok(Some(_)) => self.scan(buffer),
        }
    }

    fn scan(&mut self, buffer: &mut Vec<u8>) -> Input {
        let Some(detach) = &mut self.detach else {
            return Input::Bytes;
        };
        let typed = detach.scan(buffer);
        *buffer = typed.bytes;
        if typed.detached {
            Input::Detached
        } else {
            Input::Bytes
        }
    }

    /// The other end is closed altogether. What it sent before may still wait in its socket.
    pub(crate) fn hang_up(&mut self) {
        self.hung_up = true;
        self.stop_writing();
    }

    fn stop_writing(&mut self) {
        self.writing = false;
        self.pending = Vec::new();
    }

    /// Tells the epoll set what is wanted now; `input_free` says whether standard input has room.
    pub(crate) fn watch(&mut self, poller: &Poller, input_free: bool) {
        let interest = Interest {
            read: self.reading && input_free,
            write: self.is_behind(),
        };
        // A hang-up cannot be masked, and would be told for ever.
        let deaf = self.hung_up && !interest.read;
        self.source.want(poller, (!deaf).then_some(interest));
    }

    /// Ends the connection so that all output arrives. Bytes that were sent to us and never read
    /// would make the kernel tell the client of a reset instead of an end.
    pub(crate) fn close(self, poller: &Poller) {
        let socket = self.source.take(poller);
        if socket::shut_down(&socket).is_ok() {
            let mut unread = Vec::with_capacity(BLOCK);
            while matches!(
                socket::try_receive_bytes(&socket, &mut unread),
                Ok(Some(1..))
            ) {
                unread.clear();
            }
        }
    }
}
