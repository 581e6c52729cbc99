//! What a rule is made of: each expression reads registers, writes them or decides.

use crate::netlink::Message;

use super::{Verdict, put_verdict};

/// One step of a rule. A comparison that fails ends the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "registers `to` and `from` say themselves")]
pub enum Expression {
    /// About the packet's way.
    Meta { key: MetaKey, to: u32 },
    /// About its connection.
    Ct { key: CtKey, to: u32 },
    /// Bytes of the network header.
    Network { offset: u32, length: u32, to: u32 },
    /// Bytes of the transport header; ends the rule where there is none, as in a later fragment.
    Transport { offset: u32, length: u32, to: u32 },
    /// The type of the destination address as the routes have it (RTN_*).
    DestinationType { to: u32 },
    /// By which interface an answer to the source would leave, its number, among the routes by the one that the
    /// packet came by; zero if there is none.
    WayToSource { to: u32 },
    /// Keeps the bits of a mask.
    Mask { register: u32, mask: Vec<u8> },
    /// Compares with a constant.
    Compare {
        from: u32,
        how: Compare,
        with: Vec<u8>,
    },
    /// Looks into a set or a map.
    Lookup { set: String, from: u32, how: Lookup },
    /// Loads a constant.
    Load { to: u32, bytes: Vec<u8> },
    /// Decides.
    Verdict(Verdict),
    /// Counts.
    Counter,
    /// Translates the destination, to the address and perhaps the port in registers.
    DestinationNat {
        ipv4: bool,
        address: u32,
        port: Option<u32>,
    },
    /// Translates the source.
    SourceNat { ipv4: bool, address: u32 },
    /// Translates the source to an address of the interface it leaves by.
    Masquerade,
    /// Translates the destination to this host itself and the port in a register.
    Redirect { port: u32 },
    /// Sends a copy by way of the neighbour and the interface (its index) in registers.
    Duplicate { to: u32, interface: u32 },
}

/// What is known of a packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaKey {
    /// NFPROTO_IPV4 or NFPROTO_IPV6, one byte.
    Version = 15,
    /// The transport protocol, one byte.
    Protocol = 16,
    /// The name of the interface it came by, 16 bytes.
    InInterface = 6,
    /// The name of the interface it leaves by, 16 bytes.
    OutInterface = 7,
    /// The group of the interface it came by, a number of 32 bits (ip-link(8)).
    InGroup = 21,
    /// The group of the interface it leaves by.
    OutGroup = 22,
}

/// What is known of a packet's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtKey {
    /// Bits: 2 established, 4 related, 8 new.
    State = 0,
    /// Bits: 32 its destination was translated.
    Status = 2,
    /// The destination of its first packet, before any translation, version 4.
    FirstDestination4 = 20,
    /// The same for version 6.
    FirstDestination6 = 22,
    /// The port of that destination.
    FirstPort = 12,
}

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Equal.
    Equal = 0,
    /// Not equal.
    NotEqual = 1,
}

/// What to do with what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// The rule ends if the key is not there.
    Is,
    /// The rule ends if the key is there.
    IsNot,
    /// Its value goes to a register.
    To(u32),
    /// Its value is the verdict.
    Verdict,
}

/// NFT_REG32_00.
const REGISTERS: u32 = 8;
/// NFT_REG_VERDICT.
const VERDICT: u32 = 0;
const IPV4: u32 = 2;
const IPV6: u32 = 10;

impl Expression {
    /// The name by which the kernel knows it.
    fn name(&self) -> &'static str {
        match self {
            Self::Meta { .. } => "meta",
            Self::Ct { .. } => "ct",
            Self::Network { .. } | Self::Transport { .. } => "payload",
            Self::DestinationType { .. } | Self::WayToSource { .. } => "fib",
            Self::Mask { .. } => "bitwise",
            Self::Compare { .. } => "cmp",
            Self::Lookup { .. } => "lookup",
            Self::Load { .. } | Self::Verdict(_) => "immediate",
            Self::Counter => "counter",
            Self::DestinationNat { .. } | Self::SourceNat { .. } => "nat",
            Self::Masquerade => "masq",
            Self::Redirect { .. } => "redir",
            Self::Duplicate { .. } => "dup",
        }
    }

    pub(super) fn put(&self, message: &mut Message) {
        message.put_text(1, self.name());
        message.nest(2, |inner| self.put_values(inner));
    }

    fn put_values(&self, to: &mut Message) {
        match self {
            Self::Meta { key, to: register } => {
                to.put_be32(1, REGISTERS + register);
                to.put_be32(2, *key as u32);
            }
            Self::Ct { key, to: register } => {
                to.put_be32(1, REGISTERS + register);
                to.put_be32(2, *key as u32);
                if !matches!(key, CtKey::State | CtKey::Status) {
                    // IP_CT_DIR_ORIGINAL.
                    to.put(3, &[0]);
                }
            }
            Self::Network {
                offset,
                length,
                to: register,
            } => put_payload(to, 1, *offset, *length, *register),
            Self::Transport {
                offset,
                length,
                to: register,
            } => put_payload(to, 2, *offset, *length, *register),
            Self::DestinationType { to: register } => {
                to.put_be32(1, REGISTERS + register);
                // NFT_FIB_RESULT_ADDRTYPE of NFTA_FIB_F_DADDR.
                to.put_be32(2, 3);
                to.put_be32(3, 2);
            }
            Self::WayToSource { to: register } => {
                to.put_be32(1, REGISTERS + register);
                // NFT_FIB_RESULT_OIF of NFTA_FIB_F_SADDR and NFTA_FIB_F_IIF.
                to.put_be32(2, 1);
                to.put_be32(3, 1 | 8);
            }
            Self::Mask { register, mask } => put_mask(to, *register, mask),
            Self::Compare { from, how, with } => {
                to.put_be32(1, REGISTERS + from);
                to.put_be32(2, *how as u32);
                to.nest(3, |data| data.put(1, with));
            }
            Self::Lookup { set, from, how } => put_lookup(to, set, *from, *how),
            Self::Load {
                to: register,
                bytes,
            } => {
                to.put_be32(1, REGISTERS + register);
                to.nest(2, |data| data.put(1, bytes));
            }
            Self::Verdict(verdict) => {
                to.put_be32(1, VERDICT);
                to.nest(2, |data| put_verdict(data, verdict));
            }
            Self::Counter | Self::Masquerade => {}
            Self::DestinationNat {
                ipv4,
                address,
                port,
            } => put_nat(to, 1, *ipv4, *address, *port),
            Self::SourceNat { ipv4, address } => put_nat(to, 0, *ipv4, *address, None),
            Self::Redirect { port } => to.put_be32(1, REGISTERS + port),
            Self::Duplicate {
                to: address,
                interface,
            } => {
                to.put_be32(1, REGISTERS + address);
                to.put_be32(2, REGISTERS + interface);
            }
        }
    }
}

fn put_payload(to: &mut Message, base: u32, offset: u32, length: u32, register: u32) {
    to.put_be32(1, REGISTERS + register);
    to.put_be32(2, base);
    to.put_be32(3, offset);
    to.put_be32(4, length);
}

fn put_mask(to: &mut Message, register: u32, mask: &[u8]) {
    to.put_be32(1, REGISTERS + register);
    to.put_be32(2, REGISTERS + register);
    to.put_be32(3, u32::try_from(mask.len()).unwrap_or(u32::MAX));
    to.nest(4, |data| data.put(1, mask));
    to.nest(5, |data| data.put(1, &vec![0; mask.len()]));
}

fn put_lookup(to: &mut Message, set: &str, from: u32, how: Lookup) {
    to.put_text(1, set);
    to.put_be32(2, REGISTERS + from);
    match how {
        Lookup::Is => {}
        Lookup::IsNot => to.put_be32(5, 1),
        Lookup::To(register) => to.put_be32(3, REGISTERS + register),
        Lookup::Verdict => to.put_be32(3, VERDICT),
    }
}

fn put_nat(to: &mut Message, kind: u32, ipv4: bool, address: u32, port: Option<u32>) {
    to.put_be32(1, kind);
    to.put_be32(2, if ipv4 { IPV4 } else { IPV6 });
    to.put_be32(3, REGISTERS + address);
    if let Some(port) = port {
        to.put_be32(5, REGISTERS + port);
    }
}
