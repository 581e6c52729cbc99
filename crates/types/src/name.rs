//! Container names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text cannot name a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
pub struct InvalidName(pub String);

/// A container's name, without the leading slash that Docker's API shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerName(String);

impl ContainerName {
    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerName {
    type Err = InvalidName;

    /// Accepts one leading slash, as Docker's API does.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let bare = text.strip_prefix('/').unwrap_or(text);
        let mut bytes = bare.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let valid = first
            && bare.len() >= 2
            && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if valid {
            Ok(Self(bare.to_owned()))
        } else {
            Err(InvalidName(text.to_owned()))
        }
    }
}

impl TryFrom<String> for ContainerName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ContainerName> for String {
    fn from(name: ContainerName) -> Self {
        name.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_dockers_rule() {
        for good in ["web", "/web", "a1", "A.b_c-d", "0x"] {
            assert!(good.parse::<ContainerName>().is_ok(), "{good:?}");
        }
        for bad in [
            "", "a", "/", "-web", "_web", "we b", "web/x", "wéb", "//web",
        ] {
            assert!(bad.parse::<ContainerName>().is_err(), "{bad:?}");
        }
        assert_eq!("/web".parse::<ContainerName>().unwrap().as_str(), "web");
    }
}
