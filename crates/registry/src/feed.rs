//! Bytes on their way from a reader that blocks to a connection that does not: a thread of the
//! runtime's reads ahead by a few chunks.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// One read, and one chunk.
const CHUNK: usize = 256 << 10;
/// How many chunks are read ahead.
const AHEAD: usize = 4;

/// Bytes that can be read again from any offset, on a thread that may block.
pub trait Source: Send + Sync + 'static {
    /// A reader that begins at `offset`.
    ///
    /// # Errors
    /// When they cannot be read.
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>>;
}

impl fmt::Debug for dyn Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl<F> Source for F
where
    F: Fn(u64) -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'static,
{
    fn open(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        self(offset)
    }
}

/// What is known of a feed besides its bytes.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// How many bytes the connection has taken.
    pub taken: AtomicU64,
    /// Why the reader could not go on.
    failure: Mutex<Option<io::Error>>,
}

impl Watch {
    /// Why the reader could not go on, once.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn fail(&self, error: io::Error) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// A request's body of a known length.
#[derive(Debug)]
pub(crate) struct Feed {
    chunks: mpsc::Receiver<Bytes>,
    left: u64,
    watch: Arc<Watch>,
}

impl Feed {
    /// Starts to read `length` bytes from `offset` on.
    pub(crate) fn start(source: Arc<dyn Source>, offset: u64, length: u64) -> (Self, Arc<Watch>) {
        let (sender, chunks) = mpsc::channel(AHEAD);
        let watch = Arc::new(Watch::default());
        let feed = Self {
            chunks,
            left: length,
            watch: watch.clone(),
        };
        let reader = watch.clone();
        // Ends by itself when the body is dropped, because then nobody receives.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = pump(source.as_ref(), offset, length, &sender) {
                reader.fail(error);
            }
        });
        (feed, watch)
    }
}

fn pump(
    source: &dyn Source,
    offset: u64,
    length: u64,
    sender: &mpsc::Sender<Bytes>,
) -> io::Result<()> {
    let mut reader = source.open(offset)?;
    let mut left = length;
    while left > 0 {
        let most = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        let mut chunk = vec![0; most];
        let filled = fill(&mut reader, &mut chunk)?;
        if filled == 0 {
            let what = format!("it ends {left} bytes too early");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        chunk.truncate(filled);
        left -= filled as u64;
        if sender.blocking_send(chunk.into()).is_err() {
            break;
        }
    }
    Ok(())
}

/// Reads until the chunk is full or there is no more.
fn fill(reader: &mut dyn Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match reader.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl Body for Feed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let Some(chunk) = ready!(self.chunks.poll_recv(context)) else {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, "it could not be read");
            return Poll::Ready(Some(Err(error)));
        };
        self.left = self.left.saturating_sub(chunk.len() as u64);
        self.watch
            .taken
            .fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
