//! Connections that may go on in the daemon's successor, and when they can.
//!
//! A connection goes to the successor between two requests, or in the middle of an answer that has no end of its own
//! and can be taken up again: never while a request is half read, or an answer half written. While the door is closed
//! ([`Phase::Closing`]) no new request is read, so that sooner or later every connection gets there.
//!
//! All changes of a [`Line`] come from the connection's own task: the reading and writing of its socket, its requests'
//! handler and its answers' bodies are polled there.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use hyper::header::{ACCEPT, HeaderValue};
use hyper::{Method, Uri, Version};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

use crate::access::Peer;

/// A client's connection, without encryption.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

impl Socket {
    fn poll_ready(&self, write: bool, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match (self, write) {
            (Self::Unix(stream), false) => stream.poll_read_ready(context),
            (Self::Unix(stream), true) => stream.poll_write_ready(context),
            (Self::Tcp(stream), false) => stream.poll_read_ready(context),
            (Self::Tcp(stream), true) => stream.poll_write_ready(context),
        }
    }

    fn try_read(&self, into: &mut ReadBuf<'_>) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_read_buf(into),
            Self::Tcp(stream) => stream.try_read_buf(into),
        }
    }

    fn try_write(&self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_write_vectored(pieces),
            Self::Tcp(stream) => stream.try_write_vectored(pieces),
        }
    }

    /// Ends it in both directions, for whoever reads and writes it.
    fn cut(&self) -> io::Result<()> {
        // What family it is of makes no difference to shutdown(2).
        let same = std::os::unix::net::UnixStream::from(self.as_fd().try_clone_to_owned()?);
        same.shutdown(std::net::Shutdown::Both)
    }

    /// Writes all of it.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            std::future::poll_fn(|context| self.poll_ready(true, context)).await?;
            match self.try_write(&[io::IoSlice::new(bytes)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether requests are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// They are.
    Open,
    /// No new one is, until it is open again.
    Closing,
    /// Connections go to the successor.
    Leave,
}

/// All connections of the daemon that its successor may take over.
#[derive(Debug, Clone)]
pub(crate) struct Lines(Arc<All>);

#[derive(Debug)]
struct All {
    phase: watch::Sender<Phase>,
    next: AtomicU64,
    lines: Mutex<HashMap<u64, Weak<Line>>>,
    serving: AtomicUsize,
}

/// A connection that is served, until it ends or has left.
#[derive(Debug)]
pub(crate) struct Serving(Lines);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.serving.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is known of one connection.
#[derive(Debug)]
pub(crate) struct Line {
    number: u64,
    all: Lines,
    /// Of a client that may not do everything.
    narrow: Option<Weak<Socket>>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    recall: Option<Recall>,
    /// Of who waits for the door to open again.
    waker: Option<Waker>,
}

#[derive(Debug)]
enum State {
    /// Nothing of a request has come since the last answer went out.
    Idle,
    /// A request is read or answered since then.
    Asked(Instant),
    /// The answer has no end of its own.
    Streams,
    /// The whole answer is with the connection, not yet with the kernel.
    Answered,
    /// An answer without an end has stopped at this place.
    Parked { position: String, flushed: bool },
    /// The answer has no end, and nobody can take it up: it breaks off.
    Breaks,
}

/// A request whose answer is taken up again.
#[derive(Debug, Clone)]
pub(crate) struct Recall {
    method: Method,
    uri: Uri,
    accept: Option<HeaderValue>,
    chunked: bool,
}

/// The same for the successor to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recalled {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) accept: Option<String>,
    /// Whether the answer is sent in chunks; it ends with the connection otherwise.
    pub(crate) chunked: bool,
    /// Where the answer has stopped, in words of its own.
    pub(crate) position: String,
}

impl Recall {
    pub(crate) fn of<B>(request: &hyper::Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            accept: request.headers().get(ACCEPT).cloned(),
            chunked: request.version() != Version::HTTP_10,
        }
    }

    fn at(&self, position: String) -> Recalled {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        Recalled {
            method: self.method.to_string(),
            uri: self.uri.to_string(),
            accept: self.accept.as_ref().and_then(text),
            chunked: self.chunked,
            position,
        }
    }
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self(Arc::new(All {
            phase: watch::Sender::new(Phase::Open),
            next: AtomicU64::new(0),
            lines: Mutex::default(),
            serving: AtomicUsize::new(0),
        }))
    }

    /// One more is about to be served.
    pub(crate) fn serve(&self) -> Serving {
        self.0.serving.fetch_add(1, Ordering::Relaxed);
        Serving(self.clone())
    }

    /// Whether any is.
    pub(crate) fn serves(&self) -> bool {
        self.0.serving.load(Ordering::Relaxed) > 0
    }

    /// One more connection.
    pub(crate) fn enter(&self, peer: &Peer, socket: &Arc<Socket>) -> Arc<Line> {
        let narrow = !peer.door.policy.is_open();
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let line = Arc::new(Line {
            number,
            all: self.clone(),
            narrow: narrow.then(|| Arc::downgrade(socket)),
            inner: Mutex::new(Inner {
                state: State::Idle,
                recall: None,
                waker: None,
            }),
        });
        lock(&self.0.lines).insert(number, Arc::downgrade(&line));
        line
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.0.phase.borrow()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Phase> {
        self.0.phase.subscribe()
    }

    /// Opens or closes the door, or has all leave.
    pub(crate) fn set(&self, phase: Phase) {
        self.0.phase.send_replace(phase);
        for line in self.known() {
            let waker = line.inner().waker.take();
            waker.into_iter().for_each(Waker::wake);
        }
    }

    fn known(&self) -> Vec<Arc<Line>> {
        let lines = lock(&self.0.lines);
        lines.values().filter_map(Weak::upgrade).collect()
    }

    /// Whether all can go: none is in the middle of anything.
    pub(crate) fn ready(&self) -> bool {
        self.known().iter().all(|line| line.ready())
    }

    /// Cuts the connections of clients that may not do everything, whose request with an end is under way for so long:
    /// they set its pace, and hold up nobody by it.
    pub(crate) fn cut_narrow(&self, longest: Duration) {
        for line in self.known() {
            let under_way = match line.inner().state {
                State::Asked(since) => since.elapsed() >= longest,
                _ => false,
            };
            let socket = line.narrow.as_ref().and_then(Weak::upgrade);
            if let Some(socket) = socket.filter(|_| under_way)
                && let Err(error) = socket.cut()
            {
                tracing::warn!("cannot cut a connection: {error}");
            }
        }
    }

    /// For how long the oldest request is under way that has an end.
    pub(crate) fn oldest(&self) -> Duration {
        let known = self.known();
        let ages = known.iter().filter_map(|line| match line.inner().state {
            State::Asked(since) => Some(since.elapsed()),
            _ => None,
        });
        ages.max().unwrap_or_default()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        lock(&self.all.0.lines).remove(&self.number);
    }
}

impl Line {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    fn closed(&self) -> bool {
        self.all.phase() != Phase::Open
    }

    fn ready(&self) -> bool {
        matches!(
            self.inner().state,
            State::Idle | State::Breaks | State::Parked { flushed: true, .. }
        )
    }

    /// What of a request is under way, for the successor; none if it cannot go there.
    pub(crate) fn leave(&self) -> Option<Option<Recalled>> {
        let inner = self.inner();
        match (&inner.state, &inner.recall) {
            (State::Idle, _) => Some(None),
            (State::Parked { position, .. }, Some(recall)) => {
                Some(Some(recall.at(position.clone())))
            }
            _ => None,
        }
    }

    /// Where an answer without an end has stopped.
    pub(crate) fn position(&self) -> Option<String> {
        match &self.inner().state {
            State::Parked { position, .. } => Some(position.clone()),
            _ => None,
        }
    }

    /// Reads what is there, if more may be read; if not, the reader is woken when it may. In one go: who closes the
    /// door and then looks sees either that nothing was read, or that a request has begun.
    fn read(
        &self,
        context: &Context<'_>,
        read: impl FnOnce() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.inner();
        let idle = matches!(inner.state, State::Idle);
        if idle && self.closed() {
            inner.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = read();
        if idle && matches!(count, Ok(1..)) {
            inner.state = State::Asked(Instant::now());
        }
        Poll::Ready(count)
    }

    /// A request has come.
    pub(crate) fn asked(&self, recall: Recall) {
        let mut inner = self.inner();
        inner.recall = Some(recall);
        if !matches!(inner.state, State::Asked(_)) {
            inner.state = State::Asked(Instant::now());
        }
    }

    /// Its answer has no end, and can be taken up.
    pub(crate) fn streams(&self) {
        self.inner().state = State::Streams;
    }

    /// Its answer has no end, and cannot be taken up.
    pub(crate) fn breaks(&self) {
        self.inner().state = State::Breaks;
    }

    /// Its answer is complete.
    pub(crate) fn answered(&self) {
        self.inner().state = State::Answered;
    }

    /// Whether an answer has to stop here for now; it is woken when it may go on.
    pub(crate) fn parks(&self, position: &str, context: &Context<'_>) -> bool {
        let mut inner = self.inner();
        if !self.closed() {
            inner.state = State::Streams;
            return false;
        }
        if !matches!(inner.state, State::Parked { .. }) {
            inner.state = State::Parked {
                position: position.to_owned(),
                flushed: false,
            };
        }
        inner.waker = Some(context.waker().clone());
        true
    }

    /// Everything that was written is with the kernel.
    pub(crate) fn flushed(&self) {
        let mut inner = self.inner();
        match &mut inner.state {
            State::Answered => inner.state = State::Idle,
            State::Parked { flushed, .. } => *flushed = true,
            _ => {}
        }
    }
}

/// What HTTP is spoken over: a socket, and the line that hears of what passes.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: Arc<Socket>,
    line: Arc<Line>,
}

impl Wire {
    pub(crate) fn new(socket: Arc<Socket>, line: Arc<Line>) -> Self {
        Self { socket, line }
    }

    /// The socket, for who takes the connection over.
    pub(crate) fn into_fd(self) -> io::Result<OwnedFd> {
        match Arc::try_unwrap(self.socket) {
            Ok(Socket::Unix(stream)) => Ok(stream.into_std()?.into()),
            Ok(Socket::Tcp(stream)) => Ok(stream.into_std()?.into()),
            // Its task has not let go of it yet.
            Err(socket) => socket.as_fd().try_clone_to_owned(),
        }
    }

    pub(crate) fn is_unix(&self) -> bool {
        matches!(*self.socket, Socket::Unix(_))
    }

    fn poll_write_pieces(
        &self,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_ready(true, context))?;
            match self.socket.try_write(pieces) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.poll_ready(false, context))?;
            match ready!(self.line.read(context, || self.socket.try_read(into))) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_pieces(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_pieces(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Called when all that was to be written has been.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = sys::socket::shut_down_write(self.socket.as_fd());
        Poll::Ready(done.map_err(io::Error::from))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Values are swapped whole: a panic leaves none half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::access::{Door, Policy, Who};

    /// A connection amid a request, and the client's end of it.
    fn asked(all: &Lines, read_only: bool) -> (Arc<Line>, std::os::unix::net::UnixStream) {
        let (theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        ours.set_nonblocking(true).unwrap();
        let policy = Policy {
            read_only,
            ..Policy::default()
        };
        let name = String::new();
        let peer = Peer {
            door: Arc::new(Door { name, policy }),
            who: Who::Unknown,
        };
        let socket = Arc::new(Socket::Unix(UnixStream::from_std(ours).unwrap()));
        let line = all.enter(&peer, &socket);
        line.asked(Recall::of(&hyper::Request::new(())));
        // Kept for as long as the test runs, as a connection's task would.
        drop(tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(socket);
        }));
        (line, theirs)
    }

    #[tokio::test]
    async fn who_may_not_do_everything_is_not_waited_for_without_end() {
        let all = Lines::new();
        let (_open, mut of_open) = asked(&all, false);
        let (_narrow, mut of_narrow) = asked(&all, true);
        let read = |client: &mut std::os::unix::net::UnixStream| client.read(&mut [0; 1]);
        let waits = Some(io::ErrorKind::WouldBlock);
        all.cut_narrow(Duration::from_secs(3600));
        assert_eq!(read(&mut of_narrow).err().map(|e| e.kind()), waits);
        all.cut_narrow(Duration::ZERO);
        assert_eq!(read(&mut of_narrow).unwrap(), 0);
        assert_eq!(read(&mut of_open).err().map(|e| e.kind()), waits);
    }
}
