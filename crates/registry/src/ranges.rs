//! The rest of a long blob by several connections at once, where one is what is slow: pieces are fetched
//! ahead, kept in memory, and handed on in their order.
//!
//! Whoever hashes and unpacks needs the bytes in order, so that the pieces that are ahead have to wait
//! somewhere: there are few, they are small, and all blobs share one number of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

use crate::error::Error;

/// Bytes of a piece.
pub(crate) const PIECE: u64 = 2 << 20;
/// Pieces that may be in memory, of all blobs together.
pub(crate) const PIECES: usize = 12;
/// A blob with less left is not worth more connections.
const LONG: u64 = 16 << 20;
/// After so many bytes it is looked at who is slow.
const LOOK: u64 = 4 << 20;
/// A connection that brings so much in a second is left alone.
const FAST: u64 = 64 << 20;

/// Who waits for whom: the connection for this machine, or this machine for the connection.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Counts bytes that came after so much waiting. Whether more connections would help.
    pub(crate) fn count(&mut self, bytes: usize, waited: Duration, left: u64) -> bool {
        self.bytes += bytes as u64;
        self.waited += waited;
        if self.bytes < LOOK {
            return false;
        }
        let verdict = would_help(self.bytes, self.since.elapsed(), self.waited, left);
        *self = Self::new();
        verdict
    }
}

fn would_help(bytes: u64, took: Duration, waited: Duration, left: u64) -> bool {
    let slow = u128::from(bytes) * 1000 < u128::from(FAST) * took.as_millis();
    left >= LONG && slow && waited * 4 >= took * 3
}

/// A piece that is being fetched.
#[derive(Debug)]
struct Piece {
    bytes: mpsc::UnboundedReceiver<Result<Bytes, Error>>,
    task: AbortHandle,
    /// Its place in memory.
    _room: OwnedSemaphorePermit,
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is fetched ahead, in order.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    pieces: VecDeque<Piece>,
    /// Where the next piece begins.
    next: u64,
}

impl Ahead {
    pub(crate) fn new(from: u64) -> Self {
        Self {
            pieces: VecDeque::new(),
            next: from,
        }
    }

    /// Begins as many pieces as there is room for; `fetch` brings the bytes between two offsets.
    pub(crate) fn fill<F>(
        &mut self,
        room: &Arc<Semaphore>,
        most: usize,
        end: u64,
        fetch: impl Fn(u64, u64, mpsc::UnboundedSender<Result<Bytes, Error>>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.pieces.len() < most && self.next < end {
            let Ok(room) = Arc::clone(room).try_acquire_owned() else {
                return;
            };
            let to = end.min(self.next + PIECE);
            let (send, bytes) = mpsc::unbounded_channel();
            let task = tokio::spawn(fetch(self.next, to, send)).abort_handle();
            self.pieces.push_back(Piece {
                bytes,
                task,
                _room: room,
            });
            self.next = to;
        }
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The next bytes in order; none when nothing is under way. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        while let Some(piece) = self.pieces.front_mut() {
            if let Some(bytes) = piece.bytes.recv().await {
                return Some(bytes);
            }
            self.pieces.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_are_for_slow_ones() {
        let (second, left) = (Duration::from_secs(1), 100 << 20);
        let most = Duration::from_millis(900);
        assert!(would_help(10 << 20, second, most, left));
        // The end is near, the connection is fast, this machine is the slow one.
        assert!(!would_help(10 << 20, second, most, 1 << 20));
        assert!(!would_help(90 << 20, second, most, left));
        assert!(!would_help(10 << 20, second, second / 2, left));
    }

    #[tokio::test]
    async fn pieces_come_in_order_and_are_few() {
        let (room, end) = (Arc::new(Semaphore::new(3)), 5 * PIECE + 7);
        let fetch = |from: u64, to: u64, send: mpsc::UnboundedSender<Result<Bytes, Error>>| async move {
            // The later ones are there first.
            for _ in 0..(end - from) / PIECE {
                tokio::task::yield_now().await;
            }
            let _ = send.send(Ok(Bytes::from(format!("{from}-{to};"))));
        };
        let mut ahead = Ahead::new(0);
        let mut text = String::new();
        loop {
            ahead.fill(&room, 8, end, fetch);
            assert!(ahead.pieces.len() <= 3);
            match ahead.next().await {
                Some(bytes) => text += std::str::from_utf8(&bytes.unwrap()).unwrap(),
                None => break,
            }
        }
        let offsets = (0..6).map(|n| format!("{}-{};", n * PIECE, end.min((n + 1) * PIECE)));
        assert_eq!(text, offsets.collect::<String>());
        drop(ahead);
        assert_eq!(room.available_permits(), 3);
    }
}
