//! How many bytes a second an endpoint may receive and send.

use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};
use sys::Errno;
use sys::netlink::{Attributes, Family, Message, Socket, flag};
use types::{Bandwidth, Rate};

use crate::attach::Attachment;
use crate::error::{Doing, Error};
use crate::link;

/// What has passed an endpoint, in its own view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Bytes that came.
    pub bytes_in: u64,
    /// Packets that came.
    pub packets_in: u64,
    /// Packets that came broken.
    pub errors_in: u64,
    /// Packets that came and were dropped; by a limit among others.
    pub dropped_in: u64,
    /// Bytes that were sent.
    pub bytes_out: u64,
    /// Packets that were sent.
    pub packets_out: u64,
    /// Packets that could not be sent.
    pub errors_out: u64,
    /// Packets that were to be sent and were dropped; by a limit among others.
    pub dropped_out: u64,
}

/// The bytes that may go at once.
fn bucket(rate: Rate) -> u32 {
    const LEAST: u64 = 64 << 10;
    let burst = rate.burst.unwrap_or((rate.bytes / 20).max(LEAST));
    u32::try_from(burst).unwrap_or(u32::MAX)
}

/// Bytes that wait for their turn before others are dropped: 50 ms of the rate, a burst at least.
fn queue(rate: Rate) -> u32 {
    let wait = u32::try_from(rate.bytes / 20).unwrap_or(u32::MAX);
    wait.max(bucket(rate)).max(128 << 10)
}

/// What the endpoint receives is shaped where the host sends it, what it sends where it sends it.
pub(crate) fn set(
    attachment: &Attachment,
    namespace: impl AsFd,
    limits: &Bandwidth,
) -> Result<(), Error> {
    let doing = || format!("limit the bandwidth of {}", attachment.interface);
    let mut inside = Socket::open_in(&namespace, Family::Route).doing(doing)?;
    let index = link::find(&mut inside, &attachment.interface)
        .doing(doing)?
        .index;
    let set = |socket: &mut Socket, index, rate| match rate {
        Some(rate) => socket.run(vec![tbf(index, rate)]),
        None => match socket.run(vec![no_limit(index)]) {
            // There was none.
            Err(error) if [Errno::NOENT, Errno::INVAL].contains(&error.errno) => Ok(()),
            answer => answer,
        },
    };
    match &attachment.host {
        Some((_, host_index)) => {
            let mut host = Socket::open(Family::Route).doing(doing)?;
            set(&mut host, *host_index, limits.ingress).doing(doing)?;
        }
        None if limits.ingress.is_some() => {
            return Err(Error::Invalid(format!(
                "the ingress of {} cannot be limited: its packets come without passing the host, as on all networks \
                 of the drivers macvlan and ipvlan; its egress can be",
                attachment.interface
            )));
        }
        None => {}
    }
    set(&mut inside, index, limits.egress).doing(doing)
}

/// None if the interface is gone: the container may leave the network at any moment.
pub(crate) fn read(
    attachment: &Attachment,
    namespace: impl AsFd,
) -> Result<Option<Counters>, Error> {
    match read_of_both_ends(attachment, namespace) {
        Err(Error::Netlink { source, .. }) if source.errno == Errno::NODEV => Ok(None),
        counters => counters,
    }
}

/// What waits for a limit and is dropped is counted by the limit, not by the interface.
fn read_of_both_ends(
    attachment: &Attachment,
    namespace: impl AsFd,
) -> Result<Option<Counters>, Error> {
    let doing = || format!("read the counters of {}", attachment.interface);
    let mut inside = Socket::open_in(namespace, Family::Route).doing(doing)?;
    let own = link::find(&mut inside, &attachment.interface).doing(doing)?;
    let limited_out = limited(&mut inside, own.index).doing(doing)?;
    let mut counters = match &attachment.host {
        None => Counters::of(own.statistics),
        Some(_) => {
            let mut host = Socket::open(Family::Route).doing(doing)?;
            let Some(index) = attachment.find(&mut host)? else {
                return Ok(None);
            };
            let found = link::get(&mut host, index).doing(doing)?;
            let mut counters = Counters::of(found.statistics).seen_from_the_other_end();
            counters.dropped_in += limited(&mut host, index).doing(doing)?;
            counters
        }
    };
    counters.dropped_out += limited_out;
    Ok(Some(counters))
}

/// Packets that the limit on an interface has dropped.
fn limited(socket: &mut Socket, index: u32) -> sys::netlink::Result<u64> {
    const GET_QDISC: u16 = 38;
    const STATISTICS: u16 = 7;
    const QUEUE: u16 = 3;
    /// Bytes of `struct tcmsg`.
    const FIXED: usize = 20;
    let message = Message::new(GET_QDISC, 0, &header(index, 0));
    let dropped = socket.dump(&message, |message| {
        let of = message.body.get(4..8)?.first_chunk()?;
        let queue = Attributes::after(message.body, FIXED)
            .inner(STATISTICS)
            .get(QUEUE)?;
        // Length, bytes that wait, dropped.
        let dropped = queue.get(8..12)?.first_chunk()?;
        (u32::from_ne_bytes(*of) == index).then(|| u64::from(u32::from_ne_bytes(*dropped)))
    })?;
    Ok(dropped.into_iter().sum())
}

impl Counters {
    fn of(statistics: Option<link::Statistics>) -> Self {
        let own = statistics.unwrap_or_default();
        Self {
            bytes_in: own.bytes_in,
            packets_in: own.packets_in,
            errors_in: own.errors_in,
            dropped_in: own.dropped_in,
            bytes_out: own.bytes_out,
            packets_out: own.packets_out,
            errors_out: own.errors_out,
            dropped_out: own.dropped_out,
        }
    }

    fn seen_from_the_other_end(self) -> Self {
        Self {
            bytes_in: self.bytes_out,
            packets_in: self.packets_out,
            errors_in: self.errors_out,
            dropped_in: self.dropped_out,
            bytes_out: self.bytes_in,
            packets_out: self.packets_in,
            errors_out: self.errors_in,
            dropped_out: self.dropped_in,
        }
    }
}

const NEW_QDISC: u16 = 36;
const DELETE_QDISC: u16 = 37;
const ROOT: u32 = 0xffff_ffff;
const KIND: u16 = 1;
const OPTIONS: u16 = 2;

/// `struct tcmsg`.
fn header(index: u32, handle: u32) -> Vec<u8> {
    let words = [0, index, handle, ROOT, 0];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A token bucket on an interface (tc-tbf(8)), in the place of what limited it before.
fn tbf(index: u32, rate: Rate) -> Message {
    const PARAMETERS: u16 = 1;
    const RATE64: u16 = 4;
    const BURST: u16 = 6;
    let mut message = Message::new(
        NEW_QDISC,
        flag::CREATE | flag::REPLACE,
        &header(index, 1 << 16),
    );
    message.put_text(KIND, "tbf");
    message.nest(OPTIONS, |options| {
        options.put(PARAMETERS, &parameters(rate));
        options.put_u32(BURST, bucket(rate));
        if u32::try_from(rate.bytes).is_err() {
            options.put(RATE64, &rate.bytes.to_ne_bytes());
        }
    });
    message
}

/// `struct tc_tbf_qopt`: rate, peak rate, bytes that may wait, time to fill the bucket, the same of the peak.
fn parameters(rate: Rate) -> Vec<u8> {
    /// TC_LINKLAYER_ETHERNET.
    const ETHERNET: u8 = 1;
    let bytes = u32::try_from(rate.bytes).unwrap_or(u32::MAX);
    let rate_spec = |rate: u32| {
        let [a, b, c, d] = rate.to_ne_bytes();
        [0, ETHERNET, 0, 0, 0, 0, 0, 0, a, b, c, d]
    };
    [
        &rate_spec(bytes)[..],
        &rate_spec(0),
        &queue(rate).to_ne_bytes(),
        &[0; 8],
    ]
    .concat()
}

fn no_limit(index: u32) -> Message {
    Message::new(DELETE_QDISC, 0, &header(index, 0))
}
