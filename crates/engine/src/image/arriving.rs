//! Bytes that come on the event loop, for a thread that may block.

use std::io::{self, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::Error;

/// Pieces that may be here before they are read.
const AHEAD: usize = 8;

/// What comes: a piece, the end, or why there will be no more.
type Piece = Result<Option<Bytes>, io::Error>;

/// Where pieces go in.
pub(super) struct Feed(mpsc::Sender<Piece>);

impl Feed {
    /// Whether anybody still reads.
    pub(super) async fn give(&self, bytes: Bytes) -> bool {
        self.0.send(Ok(Some(bytes))).await.is_ok()
    }

    /// That was all, or this is why it was not.
    pub(super) async fn end<E>(self, how: Result<(), E>)
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Who does not read any more has failed, and says so.
        let _ = self
            .0
            .send(how.map(|()| None).map_err(io::Error::other))
            .await;
    }
}

/// Where they come out. Without an end that was said, what has come is half of something.
pub(super) struct Arriving {
    pieces: mpsc::Receiver<Piece>,
    piece: Bytes,
    ended: bool,
}

pub(super) fn arriving() -> (Feed, Arriving) {
    let (send, pieces) = mpsc::channel(AHEAD);
    let arriving = Arriving {
        pieces,
        piece: Bytes::new(),
        ended: false,
    };
    (Feed(send), arriving)
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Ok(Some(piece))) => self.piece = piece,
                Some(Ok(None)) => self.ended = true,
                Some(Err(error)) => return Err(error),
                None => return Err(io::Error::other(Error::Interrupted)),
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn half_of_something_is_an_error() {
        let (feed, mut whole) = arriving();
        assert!(feed.give(Bytes::from_static(b"ab")).await);
        assert!(feed.give(Bytes::from_static(b"c")).await);
        feed.end(Ok::<(), io::Error>(())).await;
        let (feed, mut half) = arriving();
        assert!(feed.give(Bytes::from_static(b"ab")).await);
        drop(feed);
        let (feed, mut broken) = arriving();
        feed.end(Err(io::Error::other("on purpose"))).await;
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            whole.read_to_end(&mut bytes).unwrap();
            let half = half.read_exact(&mut [0; 3]).unwrap_err();
            let broken = broken.read(&mut [0; 1]).unwrap_err();
            (bytes, half.to_string(), broken.to_string())
        });
        let (bytes, half, broken) = read.await.unwrap();
        assert_eq!(bytes, b"abc");
        assert_eq!(half, "the transfer was interrupted");
        assert_eq!(broken, "on purpose");
    }
}
