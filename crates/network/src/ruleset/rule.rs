//! Rules put together of their parts.

use std::net::IpAddr;

use sys::nft::{Compare, CtKey, Expression, Lookup, MetaKey, Rule, Verdict, interface_key};

use crate::address::{Cidr, to_number};

/// Expressions of one rule, one after the other.
#[derive(Debug, Default)]
pub(super) struct Build(Vec<Expression>);

/// Bits of a connection's status: its destination was translated (IPS_DST_NAT).
const TRANSLATED: u32 = 1 << 5;
/// Bits of a connection's state: established or related.
const KNOWN: u32 = 2 | 4;
/// RTN_LOCAL.
const LOCAL: u32 = 2;

impl Build {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn then(mut self, expression: Expression) -> Self {
        self.0.push(expression);
        self
    }

    fn compare(self, how: Compare, with: Vec<u8>) -> Self {
        self.then(Expression::Compare { from: 0, how, with })
    }

    pub(super) fn version(self, ipv4: bool) -> Self {
        let number = if ipv4 { 2 } else { 10 };
        self.meta(MetaKey::Version, 0)
            .compare(Compare::Equal, vec![number])
    }

    pub(super) fn meta(self, key: MetaKey, to: u32) -> Self {
        self.then(Expression::Meta { key, to })
    }

    /// It came by this interface.
    pub(super) fn came_by(self, name: &str) -> Self {
        self.meta(MetaKey::InInterface, 0)
            .compare(Compare::Equal, interface_key(name))
    }

    /// It leaves by this interface.
    pub(super) fn leaves_by(self, name: &str) -> Self {
        self.meta(MetaKey::OutInterface, 0)
            .compare(Compare::Equal, interface_key(name))
    }

    /// It leaves by another one.
    pub(super) fn leaves_by_other_than(self, name: &str) -> Self {
        self.meta(MetaKey::OutInterface, 0)
            .compare(Compare::NotEqual, interface_key(name))
    }

    /// The interface's name begins so.
    pub(super) fn interface_begins(self, key: MetaKey, prefix: &str) -> Self {
        self.meta(key, 0)
            .compare(Compare::Equal, prefix.as_bytes().to_vec())
    }

    /// The interface is not in a group of interfaces.
    pub(super) fn group_is_not(self, key: MetaKey, group: u32) -> Self {
        self.meta(key, 0)
            .compare(Compare::NotEqual, group.to_ne_bytes().to_vec())
    }

    /// The interface is in a set.
    pub(super) fn interface_in(self, key: MetaKey, set: &str) -> Self {
        self.meta(key, 0).lookup(set, Lookup::Is)
    }

    /// The interface is not in a set.
    pub(super) fn interface_not_in(self, key: MetaKey, set: &str) -> Self {
        self.meta(key, 0).lookup(set, Lookup::IsNot)
    }

    pub(super) fn lookup(self, set: &str, how: Lookup) -> Self {
        self.then(Expression::Lookup {
            set: set.to_owned(),
            from: 0,
            how,
        })
    }

    /// The destination is an address of this host.
    pub(super) fn for_this_host(self) -> Self {
        self.then(Expression::DestinationType { to: 0 })
            .compare(Compare::Equal, LOCAL.to_ne_bytes().to_vec())
    }

    /// What goes to the source would not leave by the interface that the packet came by: it is from elsewhere.
    pub(super) fn pretends(self) -> Self {
        self.then(Expression::WayToSource { to: 0 })
            .compare(Compare::Equal, vec![0; 4])
    }

    /// The connection is known, or comes of a known one.
    pub(super) fn known(self) -> Self {
        self.bits(CtKey::State, KNOWN)
    }

    /// The connection's destination was translated.
    pub(super) fn translated(self) -> Self {
        self.bits(CtKey::Status, TRANSLATED)
    }

    fn bits(self, key: CtKey, bits: u32) -> Self {
        self.then(Expression::Ct { key, to: 0 })
            .then(Expression::Mask {
                register: 0,
                mask: bits.to_ne_bytes().to_vec(),
            })
            .compare(Compare::NotEqual, vec![0; 4])
    }

    /// The source lies within, and is of that version.
    pub(super) fn from(self, range: Cidr) -> Self {
        self.address_within(range, true)
    }

    /// The destination lies within, and is of that version.
    pub(super) fn to(self, range: Cidr) -> Self {
        self.address_within(range, false)
    }

    fn address_within(self, range: Cidr, source: bool) -> Self {
        let (offset, length) = address_place(range.is_ipv4(), source);
        let build = self.version(range.is_ipv4());
        if range.prefix() == 0 {
            return build;
        }
        let mask = range.start() ^ range.end();
        let mask = octets(range.is_ipv4(), !mask);
        build
            .then(Expression::Network {
                offset,
                length,
                to: 0,
            })
            .then(Expression::Mask { register: 0, mask })
            .compare(Compare::Equal, octets(range.is_ipv4(), range.start()))
    }

    /// The protocol in register 0, behind it the destination address if wanted, and the port.
    pub(super) fn destination(self, ipv4: bool, address: bool) -> Self {
        let (offset, length) = address_place(ipv4, false);
        let mut build = self.version(ipv4).meta(MetaKey::Protocol, 0);
        let mut port = 1;
        if address {
            build = build.then(Expression::Network {
                offset,
                length,
                to: 1,
            });
            port += length / 4;
        }
        build.then(Expression::Transport {
            offset: 2,
            length: 2,
            to: port,
        })
    }

    /// The same of the connection's first packet, before anything was translated.
    pub(super) fn first_destination(self, ipv4: bool, address: bool) -> Self {
        let (_, length) = address_place(ipv4, false);
        let mut build = self.version(ipv4).meta(MetaKey::Protocol, 0);
        let mut port = 1;
        if address {
            let key = if ipv4 {
                CtKey::FirstDestination4
            } else {
                CtKey::FirstDestination6
            };
            build = build.then(Expression::Ct { key, to: 1 });
            port += length / 4;
        }
        build.then(Expression::Ct {
            key: CtKey::FirstPort,
            to: port,
        })
    }

    /// The protocol is ICMP of this version.
    pub(super) fn icmp(self, ipv4: bool) -> Self {
        let number = if ipv4 { 1 } else { 58 };
        self.version(ipv4)
            .meta(MetaKey::Protocol, 0)
            .compare(Compare::Equal, vec![number])
    }

    /// The destination becomes the address and port that a map leads to.
    pub(super) fn translate_by(self, map: &str, ipv4: bool) -> Rule0 {
        let (_, length) = address_place(ipv4, false);
        let build = self.lookup(map, Lookup::To(0));
        Rule0(build.then(Expression::DestinationNat {
            ipv4,
            address: 0,
            port: Some(length / 4),
        }))
    }

    pub(super) fn verdict_by(self, map: &str) -> Rule0 {
        Rule0(self.lookup(map, Lookup::Verdict))
    }

    pub(super) fn masquerade(self) -> Rule0 {
        Rule0(self.then(Expression::Masquerade))
    }

    /// The source becomes this address.
    pub(super) fn come_from(self, address: IpAddr) -> Rule0 {
        let bytes = address_bytes(address);
        let build = self.then(Expression::Load { to: 0, bytes });
        Rule0(build.then(Expression::SourceNat {
            ipv4: address.is_ipv4(),
            address: 0,
        }))
    }

    pub(super) fn accept(self) -> Rule0 {
        self.decide(Verdict::Accept)
    }

    pub(super) fn drop(self) -> Rule0 {
        self.decide(Verdict::Drop)
    }

    pub(super) fn back(self) -> Rule0 {
        self.decide(Verdict::Return)
    }

    pub(super) fn jump(self, chain: &str) -> Rule0 {
        self.decide(Verdict::Jump(chain.to_owned()))
    }

    fn decide(self, verdict: Verdict) -> Rule0 {
        Rule0(self.then(Expression::Verdict(verdict)))
    }
}

/// A rule that says nothing of itself yet.
#[derive(Debug)]
pub(super) struct Rule0(Build);

impl Rule0 {
    pub(super) fn because(self, comment: impl Into<String>) -> Rule {
        Rule {
            comment: comment.into(),
            expressions: self.0.0,
        }
    }
}

/// Offset and length of an address in the network header.
fn address_place(ipv4: bool, source: bool) -> (u32, u32) {
    match (ipv4, source) {
        (true, true) => (12, 4),
        (true, false) => (16, 4),
        (false, true) => (8, 16),
        (false, false) => (24, 16),
    }
}

fn octets(ipv4: bool, number: u128) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let from = if ipv4 { 12 } else { 0 };
    bytes.get(from..).unwrap_or_default().to_vec()
}

pub(crate) fn address_bytes(address: IpAddr) -> Vec<u8> {
    octets(address.is_ipv4(), to_number(address))
}
