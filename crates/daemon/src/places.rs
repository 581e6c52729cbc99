//! Places for work that goes on only as fast as a client reads or writes.
//!
//! Such work keeps a thread, and threads for blocking work are as many as [`THREADS`]. Without a bound
//! whoever may read one container's files, and does not read them, would leave none for anybody else's
//! start or stop. Those who wait for a place keep no thread.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::Peer;

/// Threads for blocking work, of all kinds together.
pub(crate) const THREADS: usize = 1024;

/// Archives that go out, and as many that come in, at a time: by all sockets that allow everything, and by
/// all that do not.
const OPEN: usize = 128;
const NARROW: usize = 64;

/// Pulls at a time, likewise: a registry, which may be whoever asks for the pull, sets their pace. One takes
/// a thread for each of the six layers that come at once.
const OPEN_PULLS: usize = 48;
const NARROW_PULLS: usize = 16;

/// Which way the bytes go. One who waits for a place to send to us may be waited for by one of ours who
/// sends, as with `save | load`: the two never wait for the same places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
    /// From a registry.
    Pull,
}

/// All places.
#[derive(Debug)]
pub(crate) struct Places {
    open: Ways,
    narrow: Ways,
}

#[derive(Debug)]
struct Ways {
    coming: Arc<Semaphore>,
    going: Arc<Semaphore>,
    pulls: Arc<Semaphore>,
}

/// One that is taken; free again when it is dropped, which is to be when the thread has done its work.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

impl Ways {
    fn of(archives: usize, pulls: usize) -> Self {
        Self {
            coming: Arc::new(Semaphore::new(archives)),
            going: Arc::new(Semaphore::new(archives)),
            pulls: Arc::new(Semaphore::new(pulls)),
        }
    }
}

impl Places {
    pub(crate) fn new() -> Self {
        Self {
            open: Ways::of(OPEN, OPEN_PULLS),
            narrow: Ways::of(NARROW, NARROW_PULLS),
        }
    }

    /// The next place that is free.
    pub(crate) async fn enter(&self, peer: &Peer, way: Way) -> Place {
        let ways = match peer.door.policy.is_open() {
            true => &self.open,
            false => &self.narrow,
        };
        let places = match way {
            Way::In => &ways.coming,
            Way::Out => &ways.going,
            Way::Pull => &ways.pulls,
        };
        let permit = places.clone().acquire_owned().await;
        // Nobody closes the semaphores.
        Place(permit.unwrap_or_else(|_| unreachable!("places are never closed")))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::access::{Door, Policy, Who};

    fn peer(read_only: bool) -> Peer {
        let policy = Policy {
            read_only,
            ..Policy::default()
        };
        let name = String::new();
        Peer {
            door: Arc::new(Door { name, policy }),
            who: Who::Unknown,
        }
    }

    #[tokio::test]
    async fn who_fills_a_narrow_socket_is_in_nobody_elses_way() {
        let places = Places::new();
        let (narrow, open) = (peer(true), peer(false));
        let mut taken = Vec::new();
        for _ in 0..NARROW {
            taken.push(places.enter(&narrow, Way::Out).await);
        }
        let mut waits = pin!(places.enter(&narrow, Way::Out));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        drop(places.enter(&narrow, Way::In).await);
        drop(places.enter(&open, Way::Out).await);
        taken.pop();
        assert!(matches!(waits.poll(&mut context), Poll::Ready(_)));
    }

    #[test]
    fn a_quarter_of_the_threads_is_left() {
        let taken = 2 * (OPEN + NARROW) + 6 * (OPEN_PULLS + NARROW_PULLS);
        assert!(taken <= THREADS / 4 * 3, "{taken}");
    }
}
