//! Hardware addresses of links.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is no hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid MAC address {0:?}: six pairs of hexadecimal digits are expected, as in 02:42:ac:11:00:02"
)]
pub struct InvalidMac(pub String);

/// The hardware address of an Ethernet link.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress(pub [u8; 6]);

impl FromStr for MacAddress {
    type Err = InvalidMac;

    /// Pairs between colons or hyphens.
    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let refused = || InvalidMac(text.to_owned());
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2);
            let part = part.ok_or_else(refused)?;
            if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(refused());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| refused())?;
        }
        match parts.next() {
            Some(_) => Err(refused()),
            None => Ok(Self(bytes)),
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MacAddress({self})")
    }
}

impl TryFrom<String> for MacAddress {
    type Error = InvalidMac;

    fn try_from(text: String) -> Result<Self, InvalidMac> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_pairs_of_digits() {
        let mac: MacAddress = "02:42:AC-11:00:02".replace('-', ":").parse().unwrap();
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        assert_eq!("02-42-ac-11-00-02".parse(), Ok(mac));
        for bad in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "2:42:ac:11:00:02",
            "+2:42:ac:11:00:02",
            "0g:42:ac:11:00:02",
            "02:42-ac:11:00:02",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad:?}");
        }
    }
}
