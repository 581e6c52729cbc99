//! A table inside a container's own namespace, which takes what is sent to the resolver's address to the
//! ports where it really listens.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use sys::nft::{Chain, Compare, Expression, Hook, MetaKey, Place, Rule, Table};

use super::{Firewall, Protocol};
use crate::error::Error;

/// Where containers find their resolver.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// Makes what a namespace sends to port 53 of 127.0.0.11 arrive at these ports of it, by UDP and TCP. `table` is
/// the name of the nftables table in that namespace, which is replaced.
pub fn redirect_names(namespace: impl AsFd, table: &str, udp: u16, tcp: u16) -> Result<(), Error> {
    let rules = vec![rule(Protocol::Udp, udp), rule(Protocol::Tcp, tcp)];
    let chain = Chain {
        name: "output".to_owned(),
        hook: Some(Hook {
            nat: true,
            place: Place::Output,
            priority: -100,
        }),
        rules,
    };
    Firewall::open_in(namespace)?.put_table(&Table {
        name: table.to_owned(),
        sets: Vec::new(),
        chains: vec![chain],
    })
}

fn rule(protocol: Protocol, port: u16) -> Rule {
    let equal = |from, with: Vec<u8>| Expression::Compare {
        from,
        how: Compare::Equal,
        with,
    };
    Rule {
        comment: format!("{} to the resolver", protocol.name()),
        expressions: vec![
            Expression::Meta {
                key: MetaKey::Version,
                to: 0,
            },
            equal(0, vec![2]),
            Expression::Meta {
                key: MetaKey::Protocol,
                to: 0,
            },
            equal(0, vec![protocol.number()]),
            Expression::Network {
                offset: 16,
                length: 4,
                to: 0,
            },
            equal(0, RESOLVER.octets().to_vec()),
            Expression::Transport {
                offset: 2,
                length: 2,
                to: 0,
            },
            equal(0, 53_u16.to_be_bytes().to_vec()),
            Expression::Load {
                to: 0,
                bytes: RESOLVER.octets().to_vec(),
            },
            Expression::Load {
                to: 1,
                bytes: port.to_be_bytes().to_vec(),
            },
            Expression::DestinationNat {
                ipv4: true,
                address: 0,
                port: Some(1),
            },
        ],
    }
}
