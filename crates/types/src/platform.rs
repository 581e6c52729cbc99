//! Platforms (OCI image index specification, "platform").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is not `os[/arch[/variant]]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform {0:?}: os/arch[/variant] is expected, as in linux/arm64")]
pub struct InvalidPlatform(pub String);

/// Operating system and processor an image is made for, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Go's GOOS: `linux`.
    pub os: String,
    /// Go's GOARCH: `amd64`, `arm64`.
    pub architecture: String,
    /// The processor's variant, `v7` or `v8`, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform this program was compiled for.
    pub fn host() -> Self {
        let (architecture, variant) = normal_arch(std::env::consts::ARCH, None);
        Self {
            os: "linux".to_owned(),
            architecture,
            variant,
        }
    }

    /// Whether an image made for `image` runs on `self`.
    pub fn runs(&self, image: &Self) -> bool {
        self.os == image.os
            && self.architecture == image.architecture
            && (image.variant.is_none() || self.variant.is_none() || self.variant == image.variant)
    }
}

/// Go's name for a processor, from any of the names in use.
fn normal_arch(arch: &str, variant: Option<&str>) -> (String, Option<String>) {
    let (arch, variant) = match (arch, variant) {
        ("x86_64" | "x86-64" | "amd64", _) => ("amd64", None),
        ("i386" | "i686" | "x86" | "386", _) => ("386", None),
        ("aarch64" | "arm64", None | Some("8" | "v8")) => ("arm64", None),
        ("aarch64" | "arm64", variant) => ("arm64", variant),
        ("armhf", _) => ("arm", Some("v7")),
        ("armel", _) => ("arm", Some("v6")),
        ("powerpc64le", variant) => ("ppc64le", variant),
        other => other,
    };
    (arch.to_owned(), variant.map(str::to_owned))
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let invalid = || InvalidPlatform(text.to_owned());
        let parts: Vec<&str> = text.split('/').collect();
        let word = |w: &&str| {
            !w.is_empty()
                && w.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        };
        if !parts.iter().all(word) {
            return Err(invalid());
        }
        let (os, arch, variant) = match parts[..] {
            [os] if os.eq_ignore_ascii_case("linux") => (os, std::env::consts::ARCH, None),
            [os, arch] => (os, arch, None),
            [os, arch, variant] => (os, arch, Some(variant)),
            _ => return Err(invalid()),
        };
        let (architecture, variant) = normal_arch(
            &arch.to_lowercase(),
            variant.map(str::to_lowercase).as_deref(),
        );
        Ok(Self {
            os: os.to_lowercase(),
            architecture,
            variant,
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|v| write!(f, "/{v}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_normalised() {
        let show = |text: &str| text.parse::<Platform>().map(|p| p.to_string());
        assert_eq!(show("linux/x86_64").as_deref(), Ok("linux/amd64"));
        assert_eq!(show("Linux/ARM64/v8").as_deref(), Ok("linux/arm64"));
        assert_eq!(show("linux/arm/v7").as_deref(), Ok("linux/arm/v7"));
        for bad in ["", "linux/", "/amd64", "a/b/c/d", "linux/am d64"] {
            assert!(show(bad).is_err(), "{bad:?}");
        }
    }
}
