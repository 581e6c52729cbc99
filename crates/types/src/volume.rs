//! Names of volumes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
const MAX: usize = 255;

/// The text cannot name a volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVolumeName {
    /// Fewer than two characters.
    #[error("volume name is too short, names should be at least two alphanumeric characters")]
    Short,
    /// More than 255.
    #[error("volume name is too long, names have at most {MAX} characters")]
    Long,
    /// Others than letters, digits, `_`, `.` and `-`, or none of the first two at the beginning.
    #[error(
        "{0:?} includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use \
         absolute path"
    )]
    Characters(String),
}

/// A volume's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumeName(String);

impl VolumeName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a volume that nobody named: 64 hexadecimal digits of the caller's randomness.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(crate::id::hex(&bytes))
    }
}

impl FromStr for VolumeName {
    type Err = InvalidVolumeName;

    fn from_str(text: &str) -> Result<Self, InvalidVolumeName> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let valid =
            first && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        match text.len() {
            0 | 1 => Err(InvalidVolumeName::Short),
            _ if !valid => Err(InvalidVolumeName::Characters(text.to_owned())),
            2..=MAX => Ok(Self(text.to_owned())),
            _ => Err(InvalidVolumeName::Long),
        }
    }
}

impl TryFrom<String> for VolumeName {
    type Error = InvalidVolumeName;

    fn try_from(text: String) -> Result<Self, InvalidVolumeName> {
        text.parse()
    }
}

impl From<VolumeName> for String {
    fn from(name: VolumeName) -> Self {
        name.0
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_dockers_rule() {
        let long = "a".repeat(255);
        for good in ["db", "db.data_1-x", "00", &long] {
            assert_eq!(good.parse::<VolumeName>().unwrap().as_str(), good);
        }
        let too_long = "a".repeat(256);
        for (bad, why) in [
            ("", "too short"),
            ("a", "too short"),
            ("a/b", "invalid characters"),
            ("../x", "invalid characters"),
            ("..", "invalid characters"),
            (".hidden", "invalid characters"),
            ("-x", "invalid characters"),
            ("a b", "invalid characters"),
            ("a\nb", "invalid characters"),
            ("a\0b", "invalid characters"),
            ("däta", "invalid characters"),
            (&too_long, "too long"),
        ] {
            let error = bad.parse::<VolumeName>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad:?}: {error}");
        }
    }
}
