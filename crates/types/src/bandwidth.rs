//! How many bytes a second may pass.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parse_bytes;

/// Limits of what comes and goes. `Default` has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// What comes.
    pub ingress: Option<Rate>,
    /// What is sent.
    pub egress: Option<Rate>,
}

/// A rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Bytes a second in the long run; zero, in a change, lifts the limit.
    pub bytes: u64,
    /// Bytes that may go at once after a silence; `None`: what a twentieth of a second lets through, 64 KiB at
    /// least.
    pub burst: Option<u64>,
}

/// The text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid rate: '{text}': {reason}")]
pub struct InvalidRate {
    text: String,
    reason: &'static str,
}

impl Rate {
    /// 1 kbit/s: with less nothing that people wait for arrives.
    const LEAST: u64 = 125;
    /// A packet of any usual network, or none would ever pass.
    const LEAST_BURST: u64 = 2048;
    /// What the kernel counts a bucket in.
    const MOST_BURST: u64 = u32::MAX as u64;

    /// Whether it is no limit: the word of a change that lifts one.
    pub fn lifts(self) -> bool {
        self.bytes == 0
    }

    /// Why it cannot be kept.
    pub fn fault(self) -> Option<&'static str> {
        match self.burst {
            _ if self.lifts() => None,
            _ if self.bytes < Self::LEAST => Some("at least 1kbit is expected"),
            Some(burst) if !(Self::LEAST_BURST..=Self::MOST_BURST).contains(&burst) => {
                Some("a burst from 2k to 4g is expected")
            }
            _ => None,
        }
    }
}

impl Bandwidth {
    /// What stays of it, changed by `by`: what that does not say stays, a rate of zero lifts a limit.
    #[must_use]
    pub fn changed(self, by: Self) -> Self {
        let one = |old: Option<Rate>, new: Option<Rate>| new.or(old).filter(|rate| !rate.lifts());
        Self {
            ingress: one(self.ingress, by.ingress),
            egress: one(self.egress, by.egress),
        }
    }
}

/// `RATE[:BURST]`. A rate is in bits with `bit`, `kbit`, `mbit`, `gbit` (powers of 1000), else in bytes as every size
/// is (powers of 1024); a burst is in bytes. `0` is no limit.
impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let refused = |reason| InvalidRate {
            text: text.to_owned(),
            reason,
        };
        let (rate, burst) = match text.split_once(':') {
            Some((rate, burst)) => (rate, Some(burst)),
            None => (text, None),
        };
        let size = |text: &str| parse_bytes(text).ok().and_then(|n| u64::try_from(n).ok());
        let expected = "RATE[:BURST] is expected, as in 8mbit, 1m (bytes a second) or 8mbit:64k";
        let rate = Self {
            bytes: bits(rate)
                .map(|bits| bits / 8)
                .or_else(|| size(rate))
                .ok_or_else(|| refused(expected))?,
            burst: burst
                .map(|text| size(text).ok_or_else(|| refused(expected)))
                .transpose()?,
        };
        match rate.fault() {
            Some(reason) => Err(refused(reason)),
            None => Ok(rate),
        }
    }
}

/// `8mbit`, `1.5gbit`; none is another unit.
fn bits(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let number = lower.strip_suffix("bit")?;
    let (number, power) = match number.as_bytes().last()? {
        b'k' => (&number[..number.len() - 1], 3),
        b'm' => (&number[..number.len() - 1], 6),
        b'g' => (&number[..number.len() - 1], 9),
        _ => (number, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > power {
        return None;
    }
    format!("{whole}{fraction:0<power$}").parse().ok()
}

/// As it is typed, in bytes a second.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes)?;
        match self.burst {
            Some(burst) => write!(f, ":{burst}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_bits_or_bytes() {
        let read = |text: &str| {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string().parse(), Ok(rate), "{text}");
            rate.to_string()
        };
        let cases = [
            ("8mbit", "1000000"),
            ("8Mbit", "1000000"),
            ("1.5gbit", "187500000"),
            ("800kbit:64k", "100000:65536"),
            ("1m", "1048576"),
            ("512KiB:4096", "524288:4096"),
            ("8000bit", "1000"),
            ("0", "0"),
        ];
        for (text, shown) in cases {
            assert_eq!(read(text), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        let refused = |text: &str| text.parse::<Rate>().unwrap_err().to_string();
        let expected = "RATE[:BURST] is expected, as in 8mbit, 1m (bytes a second) or 8mbit:64k";
        for text in [
            "", "fast", "-1", "8mbps", "1mbit:", "1mbit:x", "1:2:3", ".5mbit", "0.5bit",
        ] {
            assert_eq!(refused(text), format!("invalid rate: '{text}': {expected}"));
        }
        assert!(refused("100").ends_with("at least 1kbit is expected"));
        assert!(refused("8mbit:100").ends_with("a burst from 2k to 4g is expected"));
        assert!(refused("8mbit:5g").ends_with("a burst from 2k to 4g is expected"));
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let rate = |bytes| Some(Rate { bytes, burst: None });
        let both = Bandwidth {
            ingress: rate(1000),
            egress: rate(2000),
        };
        let change = Bandwidth {
            ingress: rate(0),
            egress: None,
        };
        assert_eq!(
            both.changed(change),
            Bandwidth {
                ingress: None,
                egress: rate(2000)
            }
        );
        assert_eq!(both.changed(Bandwidth::default()), both);
    }
}
