//! Bodies of requests and answers that are too long to hold.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};

use super::Error;

const PIECE: usize = 64 << 10;

/// The body of a request.
pub struct Body(Inner);

enum Inner {
    Full(Option<Bytes>),
    Reader {
        reader: Pin<Box<dyn AsyncRead + Send>>,
        buffer: BytesMut,
    },
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Full(bytes) => f.debug_tuple("Body").field(bytes).finish(),
            Inner::Reader { .. } => f.write_str("Body(..)"),
        }
    }
}

impl Body {
    /// Nothing.
    pub fn empty() -> Self {
        Self(Inner::Full(None))
    }

    /// These bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Inner::Full(Some(bytes.into())))
    }

    /// What comes out of a reader: a file, standard input, a pipe.
    pub fn reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Self(Inner::Reader {
            reader: Box::pin(reader),
            buffer: BytesMut::new(),
        })
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.get_mut().0 {
            Inner::Full(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Inner::Reader { reader, buffer } => {
                buffer.resize(PIECE, 0);
                let mut read = ReadBuf::new(buffer);
                match reader.as_mut().poll_read(context, &mut read) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
                    Poll::Ready(Ok(())) => {
                        let length = read.filled().len();
                        let bytes = buffer.split_to(length).freeze();
                        Poll::Ready((length > 0).then(|| Ok(Frame::data(bytes))))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Inner::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Inner::Reader { .. } => SizeHint::default(),
        }
    }
}

/// The body of an answer, piece by piece.
#[derive(Debug)]
pub struct Chunks {
    body: Incoming,
}

impl Chunks {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body }
    }

    /// The next piece; none at the end.
    ///
    /// # Errors
    /// When the connection breaks before the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.body.frame().await {
            // Anything but data is a trailer, of which Docker's API has none.
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// An answer that is a stream of bytes, with the type it says it has.
#[derive(Debug)]
pub struct Download {
    /// `Content-Type`
    pub content_type: String,
    /// The bytes.
    pub chunks: Chunks,
}
