//! An attached container's bytes: standard input to it, its output to ours.
//!
//! Two threads, because reads of standard input and writes to standard output block and must not
//! be made non-blocking: the descriptors are shared with whoever started us. The input thread
//! ends with the program; the output thread is joined through [`Pump::output`].

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;

use api::client::Stream;
use api::stream::{Decoder, Source};
use tokio::sync::oneshot;

use crate::resolve::keys::Watch;

/// The connection for threads that wait on it. From here on it is bytes, and a half that is closed: what
/// family the socket is of makes no difference.
pub(crate) fn blocking(stream: Stream) -> io::Result<UnixStream> {
    let socket = match stream {
        Stream::Unix(socket) => socket.into_std()?,
        Stream::Tcp(socket) => OwnedFd::from(socket.into_std()?).into(),
    };
    socket.set_nonblocking(false)?;
    Ok(socket)
}

/// Most of a pipe at a time.
const CHUNK: usize = 64 * 1024;

/// What is connected to what.
pub(crate) struct Wiring {
    /// The connection, no longer speaking HTTP.
    pub(crate) socket: UnixStream,
    /// What the server sent with its answer's head.
    pub(crate) early: Vec<u8>,
    /// Whether output is one stream as a terminal's, or framed.
    pub(crate) tty: bool,
    /// Whether standard input is sent.
    pub(crate) stdin: bool,
    /// The keys that detach; none looks for no keys.
    pub(crate) detach_keys: Option<Vec<u8>>,
}

/// The threads' ends. Nothing is read or written before [`Pump::release`].
#[derive(Debug)]
pub(crate) struct Pump {
    /// One word for each thread.
    held: Vec<mpsc::Sender<()>>,
    /// The output has ended, or could not be written.
    pub(crate) output: oneshot::Receiver<io::Result<()>>,
    /// The detach keys were typed. Closed without a message when input ends.
    pub(crate) detached: oneshot::Receiver<()>,
}

impl Wiring {
    /// Starts the threads, which wait.
    pub(crate) fn start(self) -> io::Result<Pump> {
        let (output_done, output) = oneshot::channel();
        let (detach, detached) = oneshot::channel();
        let mut held = Vec::new();
        if self.stdin {
            let socket = self.socket.try_clone()?;
            let keys = self.detach_keys;
            spawn("stdin", &mut held, move || {
                if send_input(&socket, io::stdin().lock(), keys) {
                    // Nobody listens any more if the container ended meanwhile.
                    let _ = detach.send(());
                }
            })?;
        }
        let (socket, early, tty) = (self.socket, self.early, self.tty);
        spawn("output", &mut held, move || {
            let _ = output_done.send(receive(socket, &early, tty));
        })?;
        Ok(Pump {
            held,
            output,
            detached,
        })
    }
}

impl Pump {
    /// From here on bytes flow.
    pub(crate) fn release(&mut self) {
        for held in self.held.drain(..) {
            // One that has ended for want of a thread's memory needs no word.
            let _ = held.send(());
        }
    }
}

/// A thread that works when it is released, and ends if it never is.
fn spawn(
    name: &str,
    held: &mut Vec<mpsc::Sender<()>>,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let (release, released) = mpsc::channel();
    held.push(release);
    // The threads read and write, they need no deep stack.
    let builder = thread::Builder::new()
        .name(name.to_owned())
        .stack_size(256 * 1024);
    let work = move || {
        if released.recv().is_ok() {
            work();
        }
    };
    builder.spawn(work).map(drop)
}

/// Sends input until it ends, then closes the connection's half so that the container sees the
/// end too. True if the detach keys were typed.
fn send_input(mut socket: &UnixStream, mut input: impl Read, keys: Option<Vec<u8>>) -> bool {
    let mut watch = keys.map(Watch::new);
    let mut buffer = vec![0; CHUNK];
    let mut kept = Vec::new();
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let (bytes, detach): (&[u8], bool) = match &mut watch {
            None => (&buffer[..read], false),
            Some(watch) => {
                kept.clear();
                let detach = watch.filter(&buffer[..read], &mut kept);
                (&kept, detach)
            }
        };
        // A container that ended takes no more; its exit is told elsewhere.
        if socket.write_all(bytes).is_err() {
            return detach;
        }
        if detach {
            return true;
        }
    }
    let _ = socket.shutdown(Shutdown::Write);
    false
}

fn receive(mut socket: UnixStream, early: &[u8], tty: bool) -> io::Result<()> {
    // Standard output is buffered by lines; a file of its own for the descriptor is not.
    let file = |fd: io::Result<OwnedFd>| fd.map(std::fs::File::from);
    let out = file(io::stdout().as_fd().try_clone_to_owned())?;
    let err = file(io::stderr().as_fd().try_clone_to_owned())?;
    let mut sink = Sink::new(!tty, out, err);
    sink.feed(early)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => sink.feed(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The other end is gone: what there was has been written.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Sorts output to standard output and standard error.
pub(crate) struct Sink<O, E> {
    /// None takes everything as output, as with a terminal.
    decoder: Option<Decoder>,
    out: O,
    err: E,
}

impl<O: Write, E: Write> Sink<O, E> {
    /// Output that is `framed` or not.
    pub(crate) fn new(framed: bool, out: O, err: E) -> Self {
        Self {
            decoder: framed.then(Decoder::default),
            out,
            err,
        }
    }

    /// Writes what `bytes` carry; frames may be cut anywhere.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(decoder) = &mut self.decoder else {
            self.out.write_all(bytes)?;
            return self.out.flush();
        };
        decoder.push(bytes);
        while let Some(frame) = decoder
            .next()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
        {
            match frame.source {
                Source::Stdin | Source::Stdout => {
                    self.out.write_all(&frame.bytes)?;
                    self.out.flush()?;
                }
                Source::Stderr | Source::Daemon => {
                    self.err.write_all(&frame.bytes)?;
                    self.err.flush()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_sorted_and_terminals_are_not() {
        let mut bytes = Vec::new();
        api::stream::encode(Source::Stdout, b"out", &mut bytes);
        api::stream::encode(Source::Stderr, b"err", &mut bytes);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        Sink::new(true, &mut out, &mut err).feed(&bytes).unwrap();
        assert_eq!((out.as_slice(), err.as_slice()), (&b"out"[..], &b"err"[..]));

        let mut all = Vec::new();
        Sink::new(false, &mut all, Vec::new()).feed(&bytes).unwrap();
        assert_eq!(all, bytes);
    }

    #[test]
    fn input_ends_with_a_half_close_and_keys_detach() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        assert!(!send_input(&ours, &b"hello"[..], None));
        let mut got = String::new();
        theirs.read_to_string(&mut got).unwrap();
        assert_eq!(got, "hello");

        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert!(send_input(&ours, &b"hi\x10\x11x"[..], Some(vec![16, 17])));
    }
}
