//! Addresses with a prefix, and addresses of the link layer.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address and how many of its leading bits name its network: `10.0.0.1/24`. Host bits may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// What is no address, or no address with a prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct InvalidAddress {
    text: String,
    wanted: &'static str,
}

const WANTED_CIDR: &str =
    "an address with the length of its prefix, such as 10.1.0.0/16 or fd00:1::/64";
const WANTED_MAC: &str = "a link-layer address of one interface, such as 02:42:ac:11:00:02";

impl Cidr {
    /// `None` when the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= bits(address)).then_some(Self { address, prefix })
    }

    /// One address: /32 or /128.
    pub fn host(address: IpAddr) -> Self {
        Self {
            address,
            prefix: bits(address),
        }
    }

    /// The address as it was given.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Bits of the prefix.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether it is one of version 4.
    pub fn is_ipv4(self) -> bool {
        self.address.is_ipv4()
    }

    /// The first address of its network.
    pub fn first(self) -> IpAddr {
        from_number(self.start(), self.is_ipv4())
    }

    /// The last address of its network: the broadcast address of version 4.
    pub fn last(self) -> IpAddr {
        from_number(self.end(), self.is_ipv4())
    }

    /// The same without host bits.
    pub fn network(self) -> Self {
        Self {
            address: self.first(),
            prefix: self.prefix,
        }
    }

    /// Whether an address lies within.
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4()
            && (self.start()..=self.end()).contains(&to_number(address))
    }

    /// Whether two networks have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.is_ipv4() == other.is_ipv4()
            && self.start() <= other.end()
            && other.start() <= self.end()
    }

    pub(crate) fn start(self) -> u128 {
        to_number(self.address) & !self.host_mask()
    }

    pub(crate) fn end(self) -> u128 {
        to_number(self.address) | self.host_mask()
    }

    /// Ones where the host is named.
    fn host_mask(self) -> u128 {
        let host = u32::from(bits(self.address) - self.prefix);
        1_u128.checked_shl(host).map_or(u128::MAX, |one| one - 1)
    }
}

/// Bits of an address of its version.
pub(crate) fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

pub(crate) fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// Wraps where a number is too big for version 4.
pub(crate) fn from_number(number: u128, ipv4: bool) -> IpAddr {
    if ipv4 {
        let [.., a, b, c, d] = number.to_be_bytes();
        Ipv4Addr::new(a, b, c, d).into()
    } else {
        Ipv6Addr::from(number).into()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
            let prefix = prefix.parse().ok().filter(|_| digits)?;
            Self::new(address.parse().ok()?, prefix)
        });
        parsed.ok_or_else(|| InvalidAddress {
            text: text.to_owned(),
            wanted: WANTED_CIDR,
        })
    }
}

impl TryFrom<String> for Cidr {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

/// The address of an Ethernet interface, EUI-48: `02:42:ac:11:00:02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// A locally administered address of one interface, made of these bytes.
    pub fn local(mut bytes: [u8; 6]) -> Self {
        bytes[0] = (bytes[0] & 0xfc) | 0x02;
        Self(bytes)
    }

    /// The one that belongs to an address: whoever gets the address next has it too, so that nobody who
    /// remembers the two together asks in vain.
    pub fn of(address: IpAddr) -> Self {
        let (kind, [a, b, c, d]) = match address {
            IpAddr::V4(v4) => (0x42, v4.octets()),
            IpAddr::V6(v6) => {
                let [.., a, b, c, d] = v6.octets();
                (0x43, [a, b, c, d])
            }
        };
        Self([0x02, kind, a, b, c, d])
    }

    /// Whether an interface can have it: not the address of a group, not all zero.
    pub fn is_of_one(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = InvalidAddress;

    /// Two digits a byte, parted by colons or dashes.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        let good = bytes.iter_mut().all(|byte| {
            let part = parts.next().filter(|part| {
                part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit())
            });
            part.and_then(|part| u8::from_str_radix(part, 16).ok())
                .inspect(|read| *byte = *read)
                .is_some()
        });
        let mac = Self(bytes);
        if good && parts.next().is_none() && mac.is_of_one() {
            return Ok(mac);
        }
        Err(InvalidAddress {
            text: text.to_owned(),
            wanted: WANTED_MAC,
        })
    }
}

impl TryFrom<String> for Mac {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_a_first_and_a_last_address() {
        let table = [
            ("10.1.2.3/24", "10.1.2.0", "10.1.2.255"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.3"),
            ("10.1.2.3/0", "0.0.0.0", "255.255.255.255"),
            ("fd00::5/64", "fd00::", "fd00::ffff:ffff:ffff:ffff"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ];
        for (text, first, last) in table {
            let cidr = cidr(text);
            assert_eq!(cidr.first().to_string(), first);
            assert_eq!(cidr.last().to_string(), last);
            assert_eq!(cidr.to_string(), text);
        }
    }

    #[test]
    fn networks_overlap_when_they_share_an_address() {
        assert!(cidr("10.0.0.0/8").overlaps(cidr("10.255.0.0/16")));
        assert!(!cidr("10.0.0.0/8").overlaps(cidr("11.0.0.0/8")));
        assert!(!cidr("0.0.0.0/0").overlaps(cidr("::/0")));
        assert!(cidr("10.0.0.0/8").contains("10.1.2.3".parse().unwrap()));
        assert!(!cidr("::/0").contains("10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn what_is_no_address_is_refused_in_one_sentence() {
        let error = "10.0.0.0".parse::<Cidr>().unwrap_err().to_string();
        assert_eq!(
            error,
            "\"10.0.0.0\" is not an address with the length of its prefix, such as 10.1.0.0/16 or fd00:1::/64"
        );
        for bad in [
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/+8",
            "/8",
            "10.0.0.0/",
        ] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mac_is_of_one_interface() {
        let mac: Mac = "02-42-AC-11-00-02".parse().unwrap();
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        for bad in [
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "2:42:ac:11:00:02",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "02:42:ac:11:00:+2",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
        assert!(Mac::local([255; 6]).is_of_one());
        let of = |address: &str| Mac::of(address.parse().unwrap()).to_string();
        assert_eq!(of("172.17.0.2"), "02:42:ac:11:00:02");
        assert_eq!(of("fd00:1::1:2"), "02:43:00:01:00:02");
    }
}
