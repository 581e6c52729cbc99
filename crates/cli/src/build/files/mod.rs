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

use api::buildkit::Packet;
use api::grpc::{Status, Stream};
use tokio::sync::mpsc;

pub(crate) use receive::receive;
pub(crate) use select::Wanted;
pub(crate) use send::{Place, send};

/// Packets that go out together: one by one they would cost more than what they tell.
pub(super) const TOGETHER: usize = 128;
/// So many of these may wait for the daemon.
const WAITING: usize = 16;

/// Go's bits of a mode.
mod mode {
    use sys::dir::Kind;

    pub(super) const DIRECTORY: u32 = 1 << 31;
    pub(super) const SYMLINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;
    const FIFO: u32 = 1 << 25;
    const SOCKET: u32 = 1 << 24;
    const SETUID: u32 = 1 << 23;
    const SETGID: u32 = 1 << 22;
    const CHARACTER: u32 = 1 << 21;
    const STICKY: u32 = 1 << 20;
    const IRREGULAR: u32 = 1 << 19;
    /// What makes a file something else than regular.
    pub(super) const KIND: u32 =
        DIRECTORY | SYMLINK | DEVICE | FIFO | SOCKET | CHARACTER | IRREGULAR;

    /// A file's mode as Go counts it.
    pub(super) fn go(kind: Kind, permissions: u32) -> u32 {
        let bit = |unix: u32, go: u32| if permissions & unix == 0 { 0 } else { go };
        let kind = match kind {
            Kind::Directory => DIRECTORY,
            Kind::Symlink => SYMLINK,
            Kind::Fifo => FIFO,
            Kind::Socket => SOCKET,
            Kind::CharDevice => DEVICE | CHARACTER,
            Kind::BlockDevice => DEVICE,
            Kind::File => 0,
            Kind::Unknown => IRREGULAR,
        };
        let bits = bit(0o4000, SETUID) | bit(0o2000, SETGID) | bit(0o1000, STICKY);
        kind | (permissions & 0o777) | bits
    }

    /// Permission bits as the kernel has them.
    pub(super) fn permissions(go: u32) -> u32 {
        let bit = |mode: u32, unix: u32| if go & mode == 0 { 0 } else { unix };
        (go & 0o777) | bit(SETUID, 0o4000) | bit(SETGID, 0o2000) | bit(STICKY, 0o1000)
    }
}

/// A path of parts.
fn join(above: &str, name: &str) -> String {
    match above {
        "" => name.to_owned(),
        above => format!("{above}/{name}"),
    }
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
