//! Bodies of answers, and reading those of requests.

use std::fmt;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::{Frame, SizeHint};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::error::Failure;
use super::line::Line;
use super::unread::Sent;
use crate::busy::Busy;

/// The longest JSON body of a request.
pub(crate) const LONGEST_JSON: usize = 16 << 20;

/// How long a client may take to send one.
const SLOWEST_JSON: Duration = Duration::from_secs(120);

/// Pieces under way between an async body and a blocking reader or writer.
const PIECES: usize = 4;
const PIECE: usize = 64 << 10;

/// How long a client may send nothing amid a body of any length: who has gone quiet for so long keeps a thread, and
/// perhaps a container's files, from others.
const SILENCE: Duration = Duration::from_secs(600);

/// How long a client may go on sending what nobody wants before its connection is cut.
const DRAIN: Duration = Duration::from_secs(30);

type Next = Option<Result<Bytes, io::Error>>;
type NextAt = Option<Result<(Bytes, Then), io::Error>>;
type PollEndless = Box<dyn FnMut(&mut Context<'_>) -> Poll<NextAt> + Send>;
type PollPieces = Box<dyn FnMut(&mut Context<'_>) -> Poll<Next> + Send>;

/// The body of an answer.
pub(crate) struct Body {
    inner: Inner,
    /// The connection that it is sent on, where that hears of it.
    line: Option<Arc<Line>>,
    /// Held while an answer that has an end is under way, so that shutting down waits for it.
    _busy: Option<Busy>,
}

enum Inner {
    Full(Option<Bytes>),
    Pieces(PollPieces),
    Endless {
        /// None after the last piece.
        position: Option<String>,
        poll: PollEndless,
    },
    Breaking(PollPieces),
}

/// Where an answer without an end is after a piece.
#[derive(Debug)]
pub(crate) enum Then {
    At(String),
    /// Where it was before.
    Same,
    /// There is no more.
    End,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Inner::Full(bytes) => f.debug_tuple("Body").field(bytes).finish(),
            _ => f.write_str("Body(..)"),
        }
    }
}

impl Body {
    fn new(inner: Inner) -> Self {
        Self {
            inner,
            line: None,
            _busy: None,
        }
    }

    pub(crate) fn empty() -> Self {
        Self::new(Inner::Full(None))
    }

    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::new(Inner::Full(Some(bytes.into())))
    }

    /// What a future comes to; the answer's head goes out before. Who waits may do so at the daemon's successor, which
    /// is told the position.
    pub(crate) fn later(
        position: String,
        future: impl Future<Output = Bytes> + Send + 'static,
    ) -> Self {
        let mut future = Some(Box::pin(future));
        Self::endless(position, move |context| match &mut future {
            None => Poll::Ready(None),
            Some(waiting) => waiting.as_mut().poll(context).map(|bytes| {
                future = None;
                Some(Ok((bytes, Then::End)))
            }),
        })
    }

    /// Piece by piece and without an end of its own. The daemon's successor takes it up at the position of the piece that
    /// was sent last; in the beginning at this one.
    pub(crate) fn endless(
        position: String,
        poll: impl FnMut(&mut Context<'_>) -> Poll<NextAt> + Send + 'static,
    ) -> Self {
        Self::new(Inner::Endless {
            position: Some(position),
            poll: Box::new(poll),
        })
    }

    /// Piece by piece from a channel, without an end of its own, and by nobody taken up: it breaks off with the daemon.
    pub(crate) fn breaking(mut pieces: mpsc::Receiver<Result<Bytes, io::Error>>) -> Self {
        Self::new(Inner::Breaking(Box::new(move |context| {
            pieces.poll_recv(context)
        })))
    }

    /// Tells the connection what becomes of it.
    pub(crate) fn on(&mut self, line: &Arc<Line>) {
        match self.inner {
            Inner::Endless { .. } => line.streams(),
            Inner::Breaking(_) => line.breaks(),
            Inner::Full(_) | Inner::Pieces(_) => {}
        }
        self.line = Some(line.clone());
    }

    /// Piece by piece.
    pub(crate) fn pieces(
        poll: impl FnMut(&mut Context<'_>) -> Poll<Next> + Send + 'static,
    ) -> Self {
        Self::new(Inner::Pieces(Box::new(poll)))
    }

    /// Piece by piece from a channel.
    pub(crate) fn channel(mut pieces: mpsc::Receiver<Result<Bytes, io::Error>>) -> Self {
        Self::pieces(move |context| pieces.poll_recv(context))
    }

    /// Keeps a shutdown waiting until this has been sent.
    pub(crate) fn keep_busy(mut self, busy: Busy) -> Self {
        self._busy = Some(busy);
        self
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let next = match &mut this.inner {
            Inner::Full(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Inner::Pieces(poll) | Inner::Breaking(poll) => poll(context),
            Inner::Endless { position, poll } => {
                if let (Some(line), Some(position)) = (&this.line, &*position)
                    && line.parks(position, context)
                {
                    return Poll::Pending;
                }
                poll(context).map_ok(|(bytes, then)| {
                    match then {
                        Then::At(next) => *position = Some(next),
                        Then::Same => {}
                        Then::End => *position = None,
                    }
                    bytes
                })
            }
        };
        next.map(|piece| piece.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.inner, Inner::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            _ => SizeHint::default(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.answered();
        }
    }
}

/// A request's JSON body; an empty one is `None`.
pub(crate) async fn json<T: DeserializeOwned>(body: Sent) -> Result<Option<T>, Failure> {
    let bytes = bytes(body).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    api::loose::from_slice(&bytes)
        .map(Some)
        .map_err(|error| Failure::bad_request(unreadable(&bytes, &error)))
}

/// What is wrong with a body, in the words of Go's library where it is no JSON at all.
fn unreadable(body: &[u8], error: &serde_json::Error) -> String {
    let text = error.to_string();
    let line = body
        .split(|byte| *byte == b'\n')
        .nth(error.line().max(1) - 1);
    let column = error.column().max(1) - 1;
    let there = line.and_then(|line| line.get(column));
    let Some(there) = there.map(|byte| char::from(*byte)) else {
        return format!("invalid JSON: {text}");
    };
    let wanted = match text.split(" at line ").next().unwrap_or_default() {
        "trailing characters" => return "unexpected content after JSON".to_owned(),
        "key must be a string" => "looking for beginning of object key string",
        "expected value" => "looking for beginning of value",
        "expected `:`" => "after object key",
        "expected `,` or `}`" => "after object key:value pair",
        "expected `,` or `]`" => "after array element",
        _ => return format!("invalid JSON: {text}"),
    };
    format!("invalid JSON: invalid character {there:?} {wanted}")
}

/// A request's body as it is.
pub(crate) async fn bytes(body: Sent) -> Result<Bytes, Failure> {
    in_time(SLOWEST_JSON, whole(body)).await
}

/// Refuses what takes longer: who sends a byte now and then would hold a connection for ever.
async fn in_time<T>(
    limit: Duration,
    read: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = |_| {
        Failure::with_status(
            StatusCode::REQUEST_TIMEOUT,
            format!(
                "the request's body did not come within {} s",
                limit.as_secs()
            ),
        )
    };
    tokio::time::timeout(limit, read).await.map_err(late)?
}

async fn whole(body: Sent) -> Result<Bytes, Failure> {
    match Limited::new(body, LONGEST_JSON).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Failure::with_status(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request's body is longer than {LONGEST_JSON} bytes"),
        )),
        Err(_) => Err(Failure::bad_request(
            "the connection broke while reading the request's body",
        )),
    }
}

/// A request's body for a blocking reader. Whoever reads it must be on another thread than the one
/// that [`Upload::feed`] runs on.
#[derive(Debug)]
pub(crate) struct Upload {
    /// An empty one is the end: what merely stops coming was cut off, with the client that sent it.
    pieces: mpsc::Receiver<Result<Bytes, io::Error>>,
    current: Bytes,
    state: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    On,
    Ended,
    Failed,
}

impl Upload {
    /// The reader, and what feeds it: to be awaited beside the reading.
    pub(crate) fn new<B>(body: B) -> (Self, impl Future<Output = ()> + Send)
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        Self::within(SILENCE, body)
    }

    fn within<B>(silence: Duration, body: B) -> (Self, impl Future<Output = ()> + Send)
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        let (send, pieces) = mpsc::channel(PIECES);
        let upload = Self {
            pieces,
            current: Bytes::new(),
            state: Reading::On,
        };
        (upload, Self::feed(silence, body, send))
    }

    /// Sends on what arrives. When the reader has given up, the rest is thrown away: a client reads
    /// the answer only after it has sent everything.
    async fn feed<B>(silence: Duration, mut body: B, send: mpsc::Sender<Result<Bytes, io::Error>>)
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        loop {
            let piece = match tokio::time::timeout(silence, body.frame()).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Ok(data),
                    _ => continue,
                },
                Ok(Some(Err(error))) => Err(io::Error::other(error)),
                Err(_) => Err(silent(silence)),
            };
            let broken = piece.is_err();
            let unwanted = send.send(piece).await.is_err();
            if broken {
                return;
            }
            if unwanted {
                let rest = async { while let Some(Ok(_)) = body.frame().await {} };
                // A client that does not come to an end loses its connection, and the answer.
                let _ = tokio::time::timeout(DRAIN, rest).await;
                return;
            }
        }
        // Whoever has read enough does not wait for it.
        let _ = send.send(Ok(Bytes::new())).await;
    }
}

fn silent(silence: Duration) -> io::Error {
    let seconds = silence.as_secs();
    let why = format!("the client has sent nothing for {seconds} s amid the request's body");
    io::Error::new(io::ErrorKind::TimedOut, why)
}

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.state {
                Reading::On => {}
                Reading::Ended => return Ok(0),
                Reading::Failed => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
            match self.pieces.blocking_recv() {
                Some(Ok(end)) if end.is_empty() => self.state = Reading::Ended,
                Some(Ok(bytes)) => self.current = bytes,
                // Neither is an end: half an archive must never pass for a whole one.
                Some(Err(error)) => {
                    self.state = Reading::Failed;
                    return Err(error);
                }
                None => self.state = Reading::Failed,
            }
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// A blocking writer whose bytes become an answer's body.
#[derive(Debug)]
pub(crate) struct Download {
    pieces: mpsc::Sender<Result<Bytes, io::Error>>,
    buffer: BytesMut,
}

impl Download {
    pub(crate) fn new() -> (Self, Body) {
        let (pieces, receiver) = mpsc::channel(PIECES);
        let download = Self {
            pieces,
            buffer: BytesMut::with_capacity(PIECE),
        };
        (download, Body::channel(receiver))
    }

    /// Cuts the answer off: the client sees that it is not whole.
    pub(crate) fn abort(self, error: io::Error) {
        // A client that is gone does not care.
        let _ = self.pieces.blocking_send(Err(error));
    }

    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(PIECE));
        self.pieces
            .blocking_send(Ok(piece.freeze()))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Download {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE - self.buffer.len();
        let length = room.min(bytes.len());
        self.buffer.extend_from_slice(&bytes[..length]);
        if self.buffer.len() == PIECE {
            self.send()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that goes away takes its request with it, and the feed: however much of the archive the
    /// reader has not seen by then, what it has seen is not all.
    #[tokio::test]
    async fn half_of_what_was_sent_is_never_taken_for_all() {
        let read_all = |mut upload: Upload| {
            tokio::task::spawn_blocking(move || {
                let mut read = Vec::new();
                upload.read_to_end(&mut read).map(|_| read)
            })
        };
        let (upload, feed) = Upload::new(http_body_util::Full::new(Bytes::from("all")));
        let (read, ()) = tokio::join!(read_all(upload), feed);
        assert_eq!(read.unwrap().unwrap(), b"all");
        let (upload, feed) = Upload::new(http_body_util::Empty::new());
        let (read, ()) = tokio::join!(read_all(upload), feed);
        assert_eq!(read.unwrap().unwrap(), b"");
        let mut pieces = ["a", "b", "c", "d", "e", "f"].into_iter();
        let body = Body::pieces(move |_| Poll::Ready(pieces.next().map(|piece| Ok(piece.into()))));
        let (upload, feed) = Upload::new(body);
        // As far as it goes while nobody reads.
        assert!(tokio::time::timeout(Duration::ZERO, feed).await.is_err());
        let cut = read_all(upload).await.unwrap().unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn who_goes_quiet_amid_a_body_is_not_waited_for() {
        let mut first = Some(Bytes::from("half"));
        let body = Body::pieces(move |_| match first.take() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None => Poll::Pending,
        });
        let (mut upload, feed) = Upload::within(Duration::from_millis(1), body);
        let read = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            (upload.read_to_end(&mut read).unwrap_err(), read)
        });
        feed.await;
        let (error, read) = read.await.unwrap();
        assert_eq!(
            (error.kind(), read.as_slice()),
            (io::ErrorKind::TimedOut, &b"half"[..])
        );
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_refused() {
        let never = std::future::pending::<Result<(), Failure>>();
        let late = in_time(Duration::from_millis(1), never).await.unwrap_err();
        assert_eq!(late.status(), StatusCode::REQUEST_TIMEOUT);
        let there = in_time(SLOWEST_JSON, async { Ok(7) }).await;
        assert_eq!(there.unwrap(), 7);
    }
}
