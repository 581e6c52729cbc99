//! Platforms (OCI image index specification, "platform").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is not `os[/arch[/variant]]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlatform {
    /// Grammar.
    #[error("invalid platform {0:?}: os/arch[/variant] is expected, as in linux/arm64")]
    Format(String),
    /// The first of its words.
    #[error(
        "invalid platform {text:?}: {os:?} is an invalid OS component: os/arch[/variant] is expected, \
         as in linux/arm64"
    )]
    System {
        /// All of it.
        text: String,
        /// The word.
        os: String,
    },
    /// A single word that is neither.
    #[error(
        "invalid platform {0:?}: unknown operating system or architecture: os/arch[/variant] is \
         expected, as in linux/arm64"
    )]
    Unknown(String),
}

/// Words that say an operating system when they stand alone (Go's GOOS).
const SYSTEMS: [&str; 18] = [
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "macos",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

/// Words that say a processor when they stand alone (Go's GOARCH).
const PROCESSORS: [&str; 17] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc",
    "ppc64", "ppc64le", "riscv64", "s390x", "sparc", "sparc64", "wasm",
];

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

/// The system that a single word means: itself, or Linux where it is a processor.
fn alone_system(word: &str) -> Result<&str, InvalidPlatform> {
    if is_one_of(&SYSTEMS, word) {
        return Ok(word);
    }
    match is_one_of(&PROCESSORS, &normal_arch(&word.to_lowercase(), None).0) {
        true => Ok("linux"),
        false => Err(InvalidPlatform::Unknown(word.to_owned())),
    }
}

/// The processor that a single word means: itself, or this machine's where it is a system.
fn alone_processor(word: &str) -> &str {
    match is_one_of(&SYSTEMS, word) {
        true => std::env::consts::ARCH,
        false => word,
    }
}

fn is_one_of(known: &[&str], word: &str) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let invalid = || InvalidPlatform::Format(text.to_owned());
        let parts: Vec<&str> = text.split('/').collect();
        let word = |w: &&str| {
            !w.is_empty()
                && w.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        };
        if let Some(os) = parts.first().filter(|os| !word(os)) {
            return Err(InvalidPlatform::System {
                text: text.to_owned(),
                os: (*os).to_owned(),
            });
        }
        if !parts.iter().all(word) {
            return Err(invalid());
        }
        let (os, arch, variant) = match parts[..] {
            [alone] => (alone_system(alone)?, alone_processor(alone), None),
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
        let host = Platform::host().architecture;
        assert_eq!(show("LINUX"), Ok(format!("linux/{host}")));
        assert_eq!(show("aarch64").as_deref(), Ok("linux/arm64"));
        assert_eq!(show("armhf").as_deref(), Ok("linux/arm/v7"));
        for (bad, why) in [
            (
                "nintendo64",
                "\"nintendo64\": unknown operating system or architecture",
            ),
            ("/", "\"/\": \"\" is an invalid OS component"),
            ("  ", "\"  \": \"  \" is an invalid OS component"),
        ] {
            let said = show(bad).unwrap_err().to_string();
            assert!(
                said.starts_with(&format!("invalid platform {why}")),
                "{said}"
            );
        }
        for bad in ["", "linux/", "/amd64", "a/b/c/d", "linux/am d64"] {
            assert!(show(bad).is_err(), "{bad:?}");
        }
    }
}
