//! What of a request's body nobody wanted.
//!
//! A client reads the answer only after it has sent everything: one that is refused and cut off
//! meanwhile sees a broken connection and not the reason. So what is left is read before the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};

/// How much of it is read. Whoever has more to send is cut off.
const MOST: usize = 1 << 20;

/// For how long.
const LONGEST: Duration = Duration::from_secs(10);

/// A request's body, which leaves what was not read of it to [`Unread`].
#[derive(Debug)]
pub(crate) struct Sent {
    body: Option<Incoming>,
    unread: Unread,
}

/// Where the rest of a body is, once who read it has dropped it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unread(Arc<Mutex<Option<Incoming>>>);

impl Sent {
    pub(crate) fn new(body: Incoming) -> (Self, Unread) {
        let unread = Unread::default();
        let sent = Self {
            body: Some(body),
            unread: unread.clone(),
        };
        (sent, unread)
    }
}

impl Sent {
    /// That of a request whose answer is taken up: it was read by the daemon before.
    pub(crate) fn empty() -> Self {
        Self {
            body: None,
            unread: Unread::default(),
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let rest = self.body.take();
        let rest = rest.filter(|body| !hyper::body::Body::is_end_stream(body));
        // It is set once and taken once: nobody can leave it half done.
        *self.unread.0.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = |body: &Incoming| body.size_hint();
        self.body.as_ref().map_or_else(SizeHint::default, hint)
    }
}

impl Unread {
    /// Reads it to its end, if that is near.
    pub(crate) async fn drain(self) {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut rest) = rest else { return };
        let mut read = 0;
        let all = async {
            while let Some(Ok(frame)) = rest.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > MOST {
                    break;
                }
            }
        };
        // A client that does not come to an end loses its connection, and the answer.
        let _ = tokio::time::timeout(LONGEST, all).await;
    }
}
