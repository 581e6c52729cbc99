//! Ids are types: a container's cannot be passed where an exec session's is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id: 64 lower-case hexadecimal digits are expected")]
pub struct InvalidId(pub String);

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Length of the form shown to people, in hexadecimal digits.
            pub const SHORT: usize = 12;

            /// The id made of 32 random bytes; the caller brings the randomness.
            pub fn from_random(bytes: [u8; 32]) -> Self {
                Self(hex(&bytes))
            }

            /// All 64 digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first twelve digits, as listings show them.
            pub fn short(&self) -> &str {
                &self.0[..Self::SHORT]
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId(text.to_owned()))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }
    };
}

id_type!(
    /// Names one container for good; 64 hexadecimal digits as in Docker's API.
    ContainerId
);
id_type!(
    /// Names one network for good.
    NetworkId
);
id_type!(
    /// Names a container's place in one network, anew at each start.
    EndpointId
);
id_type!(
    /// Names one exec session of a container.
    ExecId
);

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_64_lower_case_hex_digits() {
        let id = ContainerId::from_random([0xab; 32]);
        assert_eq!(id.as_str(), "ab".repeat(32));
        assert_eq!(id.short(), "abababababab");
        assert_eq!(id.as_str().parse(), Ok(id));
        for bad in [
            "",
            "ab",
            &"AB".repeat(32),
            &"g0".repeat(32),
            &"ab".repeat(33),
        ] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad:?}");
        }
    }
}
