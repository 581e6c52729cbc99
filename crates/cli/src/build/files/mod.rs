//! Files on their way to and from the daemon, by BuildKit's file sync: whoever has files tells of each in
//! order, whoever wants them asks for those it has not.

mod follow;
mod receive;
mod select;
mod send;
#[cfg(test)]
mod tests;
mod walk;

use std::pin::Pin;
use std::task::{Context, Poll};

use api::grpc::{Status, Stream};
use buildkit::sync::Packet;
use tokio::sync::mpsc;

pub(crate) use receive::receive;
pub(crate) use select::Wanted;
pub(crate) use send::{Place, send};

/// Packets that go out together: one by one they would cost more than what they tell.
pub(super) const TOGETHER: usize = 128;
/// And bytes of files.
const TOGETHER_BYTES: usize = 256 << 10;
/// So many of these may wait for the daemon.
const WAITING: usize = 16;

/// A path of parts, in the place of another one.
fn join(above: &str, name: &str, path: &mut String) {
    path.clear();
    if !above.is_empty() {
        path.push_str(above);
        path.push('/');
    }
    path.push_str(name);
}

/// What comes out of a thread that sends packets.
pub(crate) struct Packets {
    receiver: mpsc::Receiver<Vec<Packet>>,
    current: std::vec::IntoIter<Packet>,
}

/// Where such a thread puts them.
pub(crate) type Out = mpsc::Sender<Vec<Packet>>;

impl Packets {
    /// A way for packets.
    pub(crate) fn channel() -> (Out, Self) {
        let (send, receiver) = mpsc::channel(WAITING);
        let packets = Self {
            receiver,
            current: Vec::new().into_iter(),
        };
        (send, packets)
    }
}

impl Stream for Packets {
    type Item = Result<Packet, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(packet) = self.current.next() {
                return Poll::Ready(Some(Ok(packet)));
            }
            match self.receiver.poll_recv(context) {
                Poll::Ready(Some(packets)) => self.current = packets.into_iter(),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
