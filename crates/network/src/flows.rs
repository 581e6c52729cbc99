//! Flows of datagrams that the kernel remembers (connection tracking).
//!
//! Where a flow is led is decided for its first packet. One of UDP has no end but silence: as long as somebody
//! sends, it goes on to a container that is gone, or past one that has come since.

use std::net::IpAddr;

use sys::netlink::{Attributes, Family, Message, Received, Socket};

use crate::error::{Doing, Error};
use crate::ruleset::{Protocol, Published, address_bytes};

/// Messages of ctnetlink (linux/netfilter/nfnetlink_conntrack.h).
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;
/// Bytes of `struct nfgenmsg`.
const GENERAL: usize = 4;
const NESTED: u16 = 0x8000;

/// Attributes of a flow, of one direction of it, and of what is in there.
mod attribute {
    pub(super) const ORIGINAL: u16 = 1;
    pub(super) const REPLY: u16 = 2;
    pub(super) const ID: u16 = 12;
    pub(super) const ZONE: u16 = 18;
    pub(super) const ADDRESSES: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const SOURCE4: u16 = 1;
    pub(super) const SOURCE6: u16 = 3;
    pub(super) const NUMBER: u16 = 1;
    pub(super) const SOURCE_PORT: u16 = 2;
    pub(super) const DESTINATION_PORT: u16 = 3;
}

/// Forgets the flows of the calling thread's namespace that go to these ports of the host or come from these of
/// containers, if they are of UDP: their next packet is led as the rules are now. Does nothing without a port of
/// UDP.
pub fn forget(ports: &[Published]) -> Result<(), Error> {
    let is_udp = |port: &&Published| port.protocol == Protocol::Udp;
    let ports: Vec<&Published> = ports.iter().filter(is_udp).collect();
    if ports.is_empty() {
        return Ok(());
    }
    let doing = || "forget flows to published ports".to_owned();
    let mut socket = Socket::open(Family::Netfilter).doing(doing)?;
    let all = Message::new(GET, 0, &[0; GENERAL]);
    let stale = socket.dump(&all, |flow| {
        let concerned = ports.iter().any(|port| is_about(flow, port));
        concerned.then(|| delete(flow)).flatten()
    });
    for message in stale.doing(doing)? {
        match socket.run(vec![message]) {
            // It has ended by itself.
            Err(error) if error.errno == sys::Errno::NOENT => {}
            answer => answer.doing(doing)?,
        }
    }
    Ok(())
}

fn is_about(flow: &Received<'_>, port: &Published) -> bool {
    let attributes = Attributes::after(flow.body, GENERAL);
    let (first, reply) = (
        attributes.inner(attribute::ORIGINAL),
        attributes.inner(attribute::REPLY),
    );
    let (asked, answering) = (
        first.inner(attribute::PROTOCOL),
        reply.inner(attribute::PROTOCOL),
    );
    if asked.get(attribute::NUMBER) != Some(&[Protocol::Udp.number()][..]) {
        return false;
    }
    let is =
        |of: Attributes<'_>, kind, number: u16| of.get(kind) == Some(&number.to_be_bytes()[..]);
    let kind = match port.target {
        IpAddr::V4(_) => attribute::SOURCE4,
        IpAddr::V6(_) => attribute::SOURCE6,
    };
    let from_container = reply.inner(attribute::ADDRESSES).get(kind)
        == Some(&address_bytes(port.target)[..])
        && is(answering, attribute::SOURCE_PORT, port.target_port);
    let to_host = port.host_port != 0 && is(asked, attribute::DESTINATION_PORT, port.host_port);
    from_container || to_host
}

/// What removes this very flow.
fn delete(flow: &Received<'_>) -> Option<Message> {
    let attributes = Attributes::after(flow.body, GENERAL);
    let mut message = Message::new(DELETE, 0, flow.body.get(..GENERAL)?);
    let original = attributes.get(attribute::ORIGINAL)?;
    message.put(attribute::ORIGINAL | NESTED, original);
    for kind in [attribute::ID, attribute::ZONE] {
        if let Some(value) = attributes.get(kind) {
            message.put(kind, value);
        }
    }
    Some(message)
}
