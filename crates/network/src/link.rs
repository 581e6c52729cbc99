//! The messages of rtnetlink(7) that networks need: what they say, not when they are sent.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use sys::netlink::{Attributes, Message, Received, Result, Socket, flag};

use crate::address::{Cidr, Mac};
use crate::plan::{IpvlanFlag, IpvlanMode, MacvlanMode};
use crate::ruleset::address_bytes;

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

/// Bytes of `struct ifinfomsg`.
const LINK: usize = 16;
/// Bytes of `struct ifaddrmsg`.
const ADDRESS: usize = 8;
/// Bytes of `struct rtmsg`.
const ROUTE: usize = 12;

/// Attributes of links (linux/if_link.h).
mod attribute {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const NAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const PARENT: u16 = 5;
    pub(super) const MASTER: u16 = 10;
    pub(super) const INFO: u16 = 18;
    pub(super) const STATISTICS: u16 = 23;
    pub(super) const FAMILIES: u16 = 26;
    pub(super) const GROUP: u16 = 27;
    pub(super) const NAMESPACE: u16 = 28;
    pub(super) const QUEUES_OUT: u16 = 31;
    pub(super) const QUEUES_IN: u16 = 32;
    pub(super) const INFO_KIND: u16 = 1;
    pub(super) const INFO_DATA: u16 = 2;
    pub(super) const INFO_PORT_KIND: u16 = 4;
    pub(super) const INFO_PORT_DATA: u16 = 5;
}

/// The group of interfaces that all bridges are in that any daemon makes: its rules tell them from those of
/// strangers. "brig".
pub(crate) const GROUP: u32 = 0x6272_6967;

const UP: u32 = 1;
pub(crate) const IPV4: u8 = 2;
pub(crate) const IPV6: u8 = 10;

/// What is known of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) mac: Option<Mac>,
    /// `bridge`, `veth` and so on; none for hardware.
    pub(crate) kind: Option<String>,
    pub(crate) mtu: u32,
    /// Packets and bytes, in and out, and what was lost, as `struct rtnl_link_stats64` has them.
    pub(crate) statistics: Option<Statistics>,
}

/// What passed an interface, in its own view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    pub(crate) packets_in: u64,
    pub(crate) packets_out: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) errors_in: u64,
    pub(crate) errors_out: u64,
    pub(crate) dropped_in: u64,
    pub(crate) dropped_out: u64,
}

fn header(index: u32, flags: u32, change: u32) -> [u8; LINK] {
    let mut header = [0; LINK];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

/// Asks for one link by its name.
pub(crate) fn find(socket: &mut Socket, name: &str) -> Result<Found> {
    let mut message = Message::new(GET_LINK, 0, &header(0, 0, 0));
    message.put_text(attribute::NAME, name);
    socket.ask(message, read)
}

/// Asks for one link by its number.
pub(crate) fn get(socket: &mut Socket, index: u32) -> Result<Found> {
    socket.ask(Message::new(GET_LINK, 0, &header(index, 0, 0)), read)
}

/// All links of the namespace.
pub(crate) fn list(socket: &mut Socket) -> Result<Vec<Found>> {
    let message = Message::new(GET_LINK, 0, &header(0, 0, 0));
    socket.dump(&message, |message| Some(read(message)))
}

fn read(message: &Received<'_>) -> Found {
    let index = message.body.get(4..8).and_then(|bytes| bytes.first_chunk());
    let attributes = Attributes::after(message.body, LINK);
    let mac = attributes.get(attribute::ADDRESS);
    Found {
        index: index.map_or(0, |bytes| u32::from_ne_bytes(*bytes)),
        name: attributes.text(attribute::NAME).unwrap_or_default(),
        mac: mac.and_then(|bytes| bytes.try_into().ok()).map(Mac),
        kind: attributes.inner(attribute::INFO).text(attribute::INFO_KIND),
        mtu: attributes.number(attribute::MTU).unwrap_or_default(),
        statistics: attributes.get(attribute::STATISTICS).map(read_statistics),
    }
}

fn read_statistics(bytes: &[u8]) -> Statistics {
    let field = |number: usize| {
        let bytes = bytes.get(number * 8..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    Statistics {
        packets_in: field(0),
        packets_out: field(1),
        bytes_in: field(2),
        bytes_out: field(3),
        errors_in: field(4),
        errors_out: field(5),
        dropped_in: field(6),
        dropped_out: field(7),
    }
}

/// A new bridge. Ports forward at once; it takes no part in the spanning tree.
pub(crate) fn new_bridge(name: &str, mac: Mac, mtu: Option<u32>) -> Message {
    const FORWARD_DELAY: u16 = 1;
    const SPANNING_TREE: u16 = 5;
    let mut message = Message::new(NEW_LINK, flag::CREATE | flag::EXCLUSIVE, &header(0, 0, 0));
    message.put_text(attribute::NAME, name);
    message.put(attribute::ADDRESS, &mac.0);
    if let Some(mtu) = mtu {
        message.put_u32(attribute::MTU, mtu);
    }
    message.nest(attribute::INFO, |info| {
        info.put_text(attribute::INFO_KIND, "bridge");
        info.nest(attribute::INFO_DATA, |data| {
            data.put_u32(FORWARD_DELAY, 0);
            data.put_u32(SPANNING_TREE, 0);
        });
    });
    message
}

/// Two ends of a cable.
#[derive(Debug)]
pub(crate) struct Veth<'a> {
    pub(crate) name: &'a str,
    pub(crate) bridge: u32,
    pub(crate) mtu: Option<u32>,
    pub(crate) inside: &'a str,
    pub(crate) mac: Mac,
    pub(crate) namespace: BorrowedFd<'a>,
}

/// A new pair: this end up and on the bridge, the other made where it belongs, down.
pub(crate) fn new_veth(veth: &Veth<'_>) -> Message {
    const PEER: u16 = 1;
    let mut message = Message::new(NEW_LINK, flag::CREATE | flag::EXCLUSIVE, &header(0, UP, UP));
    message.put_text(attribute::NAME, veth.name);
    message.put_u32(attribute::MASTER, veth.bridge);
    one_queue(&mut message, veth.mtu);
    message.nest(attribute::INFO, |info| {
        info.put_text(attribute::INFO_KIND, "veth");
        info.nest(attribute::INFO_DATA, |data| {
            data.nest_after(PEER, &header(0, 0, 0), |peer| {
                peer.put_text(attribute::NAME, veth.inside);
                peer.put(attribute::ADDRESS, &veth.mac.0);
                peer.put(
                    attribute::NAMESPACE,
                    &veth.namespace.as_raw_fd().to_ne_bytes(),
                );
                one_queue(peer, veth.mtu);
            });
        });
    });
    message
}

/// The kernel would make as many queues as the machine may ever have processors, and use one.
fn one_queue(message: &mut Message, mtu: Option<u32>) {
    message.put_u32(attribute::QUEUES_OUT, 1);
    message.put_u32(attribute::QUEUES_IN, 1);
    if let Some(mtu) = mtu {
        message.put_u32(attribute::MTU, mtu);
    }
}

/// Puts a link into [`GROUP`].
pub(crate) fn join_group(index: u32) -> Message {
    let mut message = Message::new(NEW_LINK, 0, &header(index, 0, 0));
    message.put_u32(attribute::GROUP, GROUP);
    message
}

/// Settings of a port of a bridge. `isolated`: it reaches no other such port. `hairpin`: what came by it may
/// leave by it.
pub(crate) fn set_port(index: u32, isolated: bool, hairpin: bool) -> Message {
    const HAIRPIN: u16 = 4;
    const ISOLATED: u16 = 33;
    let mut message = Message::new(NEW_LINK, 0, &header(index, 0, 0));
    message.nest(attribute::INFO, |info| {
        info.put_text(attribute::INFO_PORT_KIND, "bridge");
        info.nest(attribute::INFO_PORT_DATA, |data| {
            data.put(ISOLATED, &[u8::from(isolated)]);
            data.put(HAIRPIN, &[u8::from(hairpin)]);
        });
    });
    message
}

/// An interface on one of the host's, made in a namespace.
#[derive(Debug)]
pub(crate) struct Child<'a> {
    pub(crate) parent: u32,
    pub(crate) inside: &'a str,
    pub(crate) mtu: Option<u32>,
    pub(crate) namespace: BorrowedFd<'a>,
}

fn new_child(child: &Child<'_>) -> Message {
    let mut message = Message::new(NEW_LINK, flag::CREATE | flag::EXCLUSIVE, &header(0, 0, 0));
    message.put_text(attribute::NAME, child.inside);
    message.put_u32(attribute::PARENT, child.parent);
    message.put(
        attribute::NAMESPACE,
        &child.namespace.as_raw_fd().to_ne_bytes(),
    );
    if let Some(mtu) = child.mtu {
        message.put_u32(attribute::MTU, mtu);
    }
    message
}

/// With a link-layer address of its own.
pub(crate) fn new_macvlan(child: &Child<'_>, mode: MacvlanMode, mac: Mac) -> Message {
    const MODE: u16 = 1;
    let number = match mode {
        MacvlanMode::Private => 1,
        MacvlanMode::Vepa => 2,
        MacvlanMode::Bridge => 4,
        MacvlanMode::Passthru => 8,
    };
    let mut message = new_child(child);
    // With passthru the parent's address is the container's.
    if mode != MacvlanMode::Passthru {
        message.put(attribute::ADDRESS, &mac.0);
    }
    message.nest(attribute::INFO, |info| {
        info.put_text(attribute::INFO_KIND, "macvlan");
        info.nest(attribute::INFO_DATA, |data| data.put_u32(MODE, number));
    });
    message
}

/// With its parent's link-layer address.
pub(crate) fn new_ipvlan(child: &Child<'_>, mode: IpvlanMode, flag: IpvlanFlag) -> Message {
    const MODE: u16 = 1;
    const FLAGS: u16 = 2;
    let mode: u16 = match mode {
        IpvlanMode::L2 => 0,
        IpvlanMode::L3 => 1,
        IpvlanMode::L3s => 2,
    };
    let flag: u16 = match flag {
        IpvlanFlag::Bridge => 0,
        IpvlanFlag::Private => 1,
        IpvlanFlag::Vepa => 2,
    };
    let mut message = new_child(child);
    message.nest(attribute::INFO, |info| {
        info.put_text(attribute::INFO_KIND, "ipvlan");
        info.nest(attribute::INFO_DATA, |data| {
            data.put(MODE, &mode.to_ne_bytes());
            data.put(FLAGS, &flag.to_ne_bytes());
        });
    });
    message
}

/// A VLAN of an interface.
pub(crate) fn new_vlan(name: &str, parent: u32, tag: u16) -> Message {
    const TAG: u16 = 1;
    let mut message = new_down(name);
    message.put_u32(attribute::PARENT, parent);
    message.nest(attribute::INFO, |info| {
        info.put_text(attribute::INFO_KIND, "vlan");
        info.nest(attribute::INFO_DATA, |data| {
            data.put(TAG, &tag.to_ne_bytes())
        });
    });
    message
}

/// An interface that leads nowhere.
pub(crate) fn new_dummy(name: &str) -> Message {
    let mut message = new_down(name);
    message.nest(attribute::INFO, |info| {
        info.put_text(attribute::INFO_KIND, "dummy")
    });
    message
}

fn new_down(name: &str) -> Message {
    let flags = flag::CREATE | flag::EXCLUSIVE;
    let mut message = Message::new(NEW_LINK, flags, &header(0, 0, 0));
    message.put_text(attribute::NAME, name);
    message
}

/// Has this host not believe the routers that containers say they are: to be done before the interface is
/// up. Without `speaks6` the host does not speak IPv6 there at all.
pub(crate) fn distrust(name: &str, speaks6: bool) -> sys::Result<()> {
    let name = name.replace('.', "/");
    let disable = if speaks6 { "0" } else { "1" };
    for (setting, value) in [("accept_ra", "0"), ("disable_ipv6", disable)] {
        let setting = format!("net.ipv6.conf.{name}.{setting}");
        let done = match sys::sysctl::get(&setting) {
            Ok(has) if has == value => Ok(()),
            Ok(_) => sys::sysctl::set(&setting, value),
            Err(error) => Err(error),
        };
        match done {
            // A kernel without IPv6.
            Err(error) if error.errno == sys::Errno::NOENT => {}
            done => done?,
        }
    }
    Ok(())
}

pub(crate) fn up(index: u32) -> Message {
    Message::new(NEW_LINK, 0, &header(index, UP, UP))
}

/// Another name for an interface that is down.
pub(crate) fn rename(index: u32, name: &str) -> Message {
    let mut message = Message::new(NEW_LINK, 0, &header(index, 0, 0));
    message.put_text(attribute::NAME, name);
    message
}

pub(crate) fn delete(index: u32) -> Message {
    Message::new(DELETE_LINK, 0, &header(index, 0, 0))
}

/// Settings of an interface that are `net.ipv4.conf.*` elsewhere, by their numbers (IPV4_DEVCONF_*).
pub(crate) fn configure4(index: u32, settings: &[(u16, u32)]) -> Message {
    const CONFIGURATION: u16 = 1;
    let mut message = Message::new(NEW_LINK, 0, &header(index, 0, 0));
    message.nest(attribute::FAMILIES, |families| {
        families.nest(u16::from(IPV4), |family| {
            family.nest(CONFIGURATION, |settings_of| {
                for (number, value) in settings {
                    settings_of.put_u32(*number, *value);
                }
            });
        });
    });
    message
}

/// No address of version 6 is made up for the interface: without one it does not speak it. Nor does it on a
/// kernel that is told not to (ipv6.disable=1), or where packets are too short for it.
pub(crate) fn no_version_6(index: u32) -> Message {
    const GENERATION: u16 = 8;
    const NONE: u8 = 1;
    let mut message = Message::new(NEW_LINK, 0, &header(index, 0, 0));
    message.nest(attribute::FAMILIES, |families| {
        families.nest(u16::from(IPV6), |family| family.put(GENERATION, &[NONE]));
    });
    message.sparing(sys::Errno::AFNOSUPPORT)
}

/// An address, used at once: nobody else is asked whether they have it.
pub(crate) fn add_address(index: u32, address: Cidr) -> Message {
    const PERMANENT: u8 = 0x80;
    const UNASKED: u8 = 0x02;
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    const BROADCAST: u16 = 4;
    const LINK_SCOPE: u8 = 253;
    let ipv4 = address.is_ipv4();
    let family = if ipv4 { IPV4 } else { IPV6 };
    let flags = if ipv4 { PERMANENT } else { PERMANENT | UNASKED };
    let scope = if is_link_local(address.address()) {
        LINK_SCOPE
    } else {
        0
    };
    let [a, b, c, d] = index.to_ne_bytes();
    let fixed = [family, address.prefix(), flags, scope, a, b, c, d];
    let mut message = Message::new(NEW_ADDRESS, flag::CREATE | flag::EXCLUSIVE, &fixed);
    let bytes = address_bytes(address.address());
    message.put(LOCAL, &bytes);
    message.put(ADDRESS, &bytes);
    if ipv4 && address.prefix() < 31 {
        message.put(BROADCAST, &address_bytes(address.last()));
    }
    message
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// A route of the main table; `None` in `via` means that they are on the link.
pub(crate) fn add_route(index: u32, to: Cidr, via: Option<IpAddr>) -> Message {
    const DESTINATION: u16 = 1;
    const INTERFACE: u16 = 4;
    const GATEWAY: u16 = 5;
    const MAIN: u8 = 254;
    const STATIC: u8 = 4;
    const UNICAST: u8 = 1;
    const LINK_SCOPE: u8 = 253;
    let family = if to.is_ipv4() { IPV4 } else { IPV6 };
    let scope = if via.is_none() && to.is_ipv4() {
        LINK_SCOPE
    } else {
        0
    };
    let fixed = [
        family,
        to.prefix(),
        0,
        0,
        MAIN,
        STATIC,
        scope,
        UNICAST,
        0,
        0,
        0,
        0,
    ];
    let mut message = Message::new(NEW_ROUTE, flag::CREATE | flag::EXCLUSIVE, &fixed);
    if to.prefix() > 0 {
        message.put(DESTINATION, &address_bytes(to.first()));
    }
    message.put_u32(INTERFACE, index);
    if let Some(via) = via {
        message.put(GATEWAY, &address_bytes(via));
    }
    message
}

/// Where the namespace's routes lead, of all tables, default routes left out.
pub(crate) fn destinations(socket: &mut Socket) -> Result<Vec<Cidr>> {
    const DESTINATION: u16 = 1;
    let mut all = Vec::new();
    for family in [IPV4, IPV6] {
        let mut fixed = [0; ROUTE];
        fixed[0] = family;
        let message = Message::new(GET_ROUTE, 0, &fixed);
        all.extend(socket.dump(&message, |message| {
            let prefix = *message.body.get(1)?;
            let address = Attributes::after(message.body, ROUTE).get(DESTINATION)?;
            Cidr::new(read_address(address)?, prefix).filter(|cidr| cidr.prefix() > 0)
        })?);
    }
    Ok(all)
}

/// By which interface what is sent to an address leaves, and the address that it comes from.
pub(crate) fn route_to(socket: &mut Socket, to: IpAddr) -> Result<(Option<u32>, Option<IpAddr>)> {
    const DESTINATION: u16 = 1;
    const INTERFACE: u16 = 4;
    const PREFERRED_SOURCE: u16 = 7;
    let mut fixed = [0; ROUTE];
    (fixed[0], fixed[1]) = match to {
        IpAddr::V4(_) => (IPV4, 32),
        IpAddr::V6(_) => (IPV6, 128),
    };
    let mut message = Message::new(GET_ROUTE, 0, &fixed);
    message.put(DESTINATION, &address_bytes(to));
    socket.ask(message, |message| {
        let attributes = Attributes::after(message.body, ROUTE);
        let source = attributes.get(PREFERRED_SOURCE).and_then(read_address);
        (attributes.number(INTERFACE), source)
    })
}

/// Messages that remove the default routes of the main table.
pub(crate) fn default_routes(socket: &mut Socket) -> Result<Vec<Message>> {
    const INTERFACE: u16 = 4;
    const GATEWAY: u16 = 5;
    const PRIORITY: u16 = 6;
    const DELETE_ROUTE: u16 = 25;
    const MAIN: u8 = 254;
    let mut all = Vec::new();
    for family in [IPV4, IPV6] {
        let mut fixed = [0; ROUTE];
        fixed[0] = family;
        all.extend(socket.dump(&Message::new(GET_ROUTE, 0, &fixed), |message| {
            let fixed = message.body.get(..ROUTE)?;
            // Length of the destination, table, type.
            if (fixed[1], fixed[4], fixed[7]) != (0, MAIN, 1) || fixed[0] != family {
                return None;
            }
            let mut delete = Message::new(DELETE_ROUTE, 0, fixed);
            for (kind, value) in Attributes::after(message.body, ROUTE) {
                if [INTERFACE, GATEWAY, PRIORITY].contains(&kind) {
                    delete.put(kind, value);
                }
            }
            Some(delete)
        })?);
    }
    Ok(all)
}

/// Addresses of the namespace's interfaces, with the interface's number.
pub(crate) fn addresses(socket: &mut Socket) -> Result<Vec<(u32, Cidr)>> {
    const LOCAL: u16 = 2;
    let message = Message::new(GET_ADDRESS, 0, &[0; ADDRESS]);
    socket.dump(&message, |message| {
        let prefix = *message.body.get(1)?;
        let index = u32::from_ne_bytes(*message.body.get(4..8)?.first_chunk()?);
        let attributes = Attributes::after(message.body, ADDRESS);
        let address = attributes.get(LOCAL).or_else(|| attributes.get(1))?;
        Some((index, Cidr::new(read_address(address)?, prefix)?))
    })
}

fn read_address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}
