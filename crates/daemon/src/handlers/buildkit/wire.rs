//! Files over a session, for the thread that reads and writes them.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use builder::buildkit::files::{Error, Wire};
use buildkit::sync::Packet;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::Stream as _;
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::{Status, Streaming};

use super::jobs::Job;
use super::sessions::Session;

/// Packets under way to a client that reads slowly.
const UNDER_WAY: usize = 16;
/// Packets of a client that are handed on together, and bytes: one by one, each would wake the thread that
/// takes them.
const TOGETHER: usize = 256;
const TOGETHER_BYTES: usize = 1 << 20;
/// So many such bundles wait for that thread.
const BUNDLES: usize = 4;

/// Of a client's reason for not going on.
const LONGEST_REASON: usize = 4096;

/// Go's query escape, but for the plus that it makes of a space: both sides read `%20`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Where packets for the client go.
enum Out {
    /// Requests: they must go out though nobody reads yet.
    Free(mpsc::UnboundedSender<Packet>),
    /// Files: they wait for the client.
    Held(mpsc::Sender<Packet>),
}

/// A stream of packets. Its methods are for threads that may block.
pub(super) struct Blocking<'a> {
    job: &'a Job,
    handle: Handle,
    out: Option<Out>,
    packets: In,
    reading: AbortHandle,
}

/// Where packets of the client come from.
enum In {
    /// Requests, which are read though nobody takes them yet.
    Free(mpsc::UnboundedReceiver<Result<Packet, Status>>),
    /// Files, which wait for whoever takes them.
    Held {
        bundles: mpsc::Receiver<Result<Vec<Packet>, Status>>,
        current: std::vec::IntoIter<Packet>,
    },
}

impl In {
    async fn next(&mut self) -> Result<Option<Packet>, Status> {
        match self {
            Self::Free(packets) => packets.recv().await.transpose(),
            Self::Held { bundles, current } => loop {
                if let Some(packet) = current.next() {
                    return Ok(Some(packet));
                }
                match bundles.recv().await.transpose()? {
                    Some(bundle) => *current = bundle.into_iter(),
                    None => return Ok(None),
                }
            },
        }
    }

    /// One that is there already.
    fn ready(&mut self) -> Option<Packet> {
        match self {
            Self::Free(_) => None,
            Self::Held { current, .. } => current.next(),
        }
    }
}

/// Hands packets on, as many together as there are.
async fn hand_on(mut stream: Streaming<Packet>, to: mpsc::Sender<Result<Vec<Packet>, Status>>) {
    while let Some(first) = stream.message().await.transpose() {
        let (bundle, end) = bundle(first, &mut stream).await;
        // Whoever takes them may be gone.
        if !bundle.is_empty() && to.send(Ok(bundle)).await.is_err() {
            return;
        }
        match end {
            None => {}
            Some(Ok(())) => return,
            Some(Err(status)) => {
                let _ = to.send(Err(status)).await;
                return;
            }
        }
    }
}

/// A packet with those that are there already, and how the stream has ended if it has.
async fn bundle(
    first: Result<Packet, Status>,
    stream: &mut Streaming<Packet>,
) -> (Vec<Packet>, Option<Result<(), Status>>) {
    let (mut bundle, mut bytes) = (Vec::new(), 0);
    let mut next = Poll::Ready(Some(first));
    loop {
        match next {
            Poll::Pending => return (bundle, None),
            Poll::Ready(None) => return (bundle, Some(Ok(()))),
            Poll::Ready(Some(Err(status))) => return (bundle, Some(Err(status))),
            Poll::Ready(Some(Ok(packet))) => {
                bytes += packet.encoded_len();
                bundle.push(packet);
            }
        }
        if bundle.len() == TOGETHER || bytes >= TOGETHER_BYTES {
            return (bundle, None);
        }
        next = poll_fn(|context| Poll::Ready(Pin::new(&mut *stream).poll_next(context))).await;
    }
}

impl Drop for Blocking<'_> {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl<'a> Blocking<'a> {
    /// To receive files.
    pub(super) fn receiving(
        job: &'a Job,
        handle: &Handle,
        session: &Session,
        path: &'static str,
        headers: MetadataMap,
    ) -> Result<Self, Status> {
        let (send, requests) = mpsc::unbounded_channel();
        let requests = UnboundedReceiverStream::new(requests);
        let opened = session.channel.both(path, headers, requests);
        let stream = handle.block_on(patient(job, opened))?;
        let (bundled, bundles) = mpsc::channel(BUNDLES);
        let reading = handle.spawn(hand_on(stream, bundled));
        Ok(Self {
            job,
            handle: handle.clone(),
            out: Some(Out::Free(send)),
            packets: In::Held {
                bundles,
                current: Vec::new().into_iter(),
            },
            reading: reading.abort_handle(),
        })
    }

    /// To send files.
    pub(super) fn sending(
        job: &'a Job,
        handle: &Handle,
        session: &Session,
        path: &'static str,
        headers: MetadataMap,
    ) -> Self {
        let (send, files) = mpsc::channel(UNDER_WAY);
        // Whoever gets files says nothing before it has some: its answer begins late. And what it asks
        // for is read at once: it might read no files while nobody does.
        let (asked, packets) = mpsc::unbounded_channel();
        let channel = session.channel.clone();
        let reading = handle.spawn(async move {
            let opened = channel.both(path, headers, ReceiverStream::new(files));
            let mut stream: Streaming<Packet> = match opened.await {
                Ok(stream) => stream,
                Err(status) => {
                    // Who sends may be gone.
                    let _ = asked.send(Err(status));
                    return;
                }
            };
            while let Some(packet) = stream.message().await.transpose() {
                let packet = packet.and_then(plain);
                let broken = packet.is_err();
                if asked.send(packet).is_err() || broken {
                    return;
                }
            }
        });
        Self {
            job,
            handle: handle.clone(),
            out: Some(Out::Held(send)),
            packets: In::Free(packets),
            reading: reading.abort_handle(),
        }
    }

    /// Waits until the client has taken all.
    pub(super) fn close(mut self) -> Result<(), Error> {
        self.out = None;
        while self.next()?.is_some() {}
        Ok(())
    }
}

/// What whoever gets files may say: that it wants one, that it has all, that it cannot go on.
fn plain(mut packet: Packet) -> Result<Packet, Status> {
    use buildkit::sync::PacketKind;
    packet.stat = None;
    match PacketKind::try_from(packet.kind) {
        Ok(PacketKind::Request | PacketKind::Finish) => packet.data.clear(),
        Ok(PacketKind::Error) => packet.data.truncate(LONGEST_REASON),
        _ => {
            return Err(Status::invalid_argument(
                "the client sends what it should get",
            ));
        }
    }
    packet.data.shrink_to_fit();
    Ok(packet)
}

/// The answer, unless the build is given up before.
pub(super) async fn patient<T>(
    job: &Job,
    answer: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::select! {
        answer = answer => answer,
        () = job.given_up() => Err(Status::cancelled("context canceled")),
    }
}

impl Wire for Blocking<'_> {
    fn next(&mut self) -> Result<Option<Packet>, Error> {
        if let Some(packet) = self.packets.ready() {
            return Ok(Some(packet));
        }
        let next = self.handle.block_on(patient(self.job, self.packets.next()));
        next.map_err(|status| gone(&status))
    }

    fn send(&mut self, packet: Packet) -> Result<(), Error> {
        let sent = match &self.out {
            Some(Out::Free(out)) => out.send(packet).is_ok(),
            Some(Out::Held(out)) => {
                let sending = async {
                    let sent = out.send(packet).await;
                    sent.map_err(|_| Status::cancelled(""))
                };
                self.handle.block_on(patient(self.job, sending)).is_ok()
            }
            None => false,
        };
        if sent {
            return Ok(());
        }
        // Why is said where it reads.
        match self.next() {
            Err(error) => Err(error),
            Ok(_) => Err(Error::Gone("the client broke off".to_owned())),
        }
    }
}

fn gone(status: &Status) -> Error {
    Error::Gone(status.message().to_owned())
}

/// Headers of a call. What is no plain text is escaped, and said to be.
pub(super) fn headers(values: &[(&str, Vec<String>)]) -> MetadataMap {
    let mut headers = MetadataMap::new();
    for (name, texts) in values {
        let Ok(key) = MetadataKey::from_bytes(name.as_bytes()) else {
            continue;
        };
        let plain = texts
            .iter()
            .all(|text| text.bytes().all(|b| (0x20..0x7f).contains(&b)));
        for text in texts {
            let text = match plain {
                true => text.clone(),
                false => utf8_percent_encode(text, ESCAPED).to_string(),
            };
            if let Ok(value) = MetadataValue::try_from(text) {
                headers.append(key.clone(), value);
            }
        }
        let said = MetadataKey::from_bytes(format!("{name}-encoded").as_bytes());
        if let (false, Ok(said)) = (plain, said) {
            headers.insert(said, MetadataValue::from_static("1"));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_text_is_escaped() {
        let made = headers(&[
            ("dir-name", vec!["context".to_owned()]),
            ("include-patterns", vec!["a b%".to_owned(), "ü".to_owned()]),
        ]);
        assert_eq!(made.get("dir-name").unwrap(), "context");
        assert!(made.get("dir-name-encoded").is_none());
        let all: Vec<&str> = made
            .get_all("include-patterns")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert_eq!(all, ["a%20b%25", "%C3%BC"]);
        assert_eq!(made.get("include-patterns-encoded").unwrap(), "1");
    }
}
