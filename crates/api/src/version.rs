//! Versions of the API.

use std::fmt;
use std::str::FromStr;

/// The text is not `major.minor`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid API version {0:?}: major.minor is expected, as in 1.44")]
pub struct InvalidVersion(pub String);

/// A version of the Docker Engine API, as in `/v1.44/containers/json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
}

impl Version {
    /// The newest this product speaks, and what an unversioned path means.
    pub const MAX: Self = Self::new(1, 55);
    /// The oldest it speaks.
    pub const MIN: Self = Self::new(1, 24);

    /// The version `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Whether a client of this version knows what came with `1.minor`.
    pub fn has(self, minor: u16) -> bool {
        self >= Self::new(1, minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self::new(number(major)?, number(minor)?)))
            .ok_or_else(|| InvalidVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_not_by_text() {
        let version = |text: &str| text.parse::<Version>();
        assert!(version("1.9").unwrap() < version("1.41").unwrap());
        assert_eq!(version("1.55"), Ok(Version::MAX));
        assert_eq!(Version::MAX.to_string(), "1.55");
        assert!(Version::new(1, 44).has(44) && !Version::new(1, 43).has(44));
        for bad in ["", "1", "1.", ".1", "1.4.2", "v1.4", "1.+4", "1.99999"] {
            assert!(version(bad).is_err(), "{bad:?}");
        }
    }
}
