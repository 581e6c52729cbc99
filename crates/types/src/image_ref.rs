//! Image references, parsed as Docker's distribution library does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The text cannot name an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Grammar.
    #[error("invalid reference format: {0:?}")]
    Format(String),
    /// Upper case in a repository's name.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    UpperCase(String),
    /// Longer than a registry takes.
    #[error(
        "invalid reference format: repository name must not be more than 255 characters: {0:?}"
    )]
    TooLong(String),
    /// 64 hexadecimal digits: an id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
}

/// The registry of names that name none.
const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
/// Where the default registry keeps names without a user.
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;

/// A registry, a repository, and a tag or a digest or both.
///
/// Always fully qualified inside; [`ImageRef::familiar`] is the short form people read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageRef {
    /// The registry's host, with its port if there is one: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository inside the registry: `library/debian`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if named or defaulted.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if named.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `docker.io/library/debian`, without tag and digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The same repository with another tag and no digest.
    ///
    /// # Errors
    /// When `tag` is not `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`.
    pub fn with_tag(&self, tag: &str) -> Result<Self, InvalidReference> {
        if !is_tag(tag) {
            return Err(InvalidReference::Format(format!(
                "{}:{tag}",
                self.familiar_name()
            )));
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// What this digest names in the same repository, without a tag.
    #[must_use]
    pub fn at(&self, digest: &Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest.clone()),
            ..self.clone()
        }
    }

    /// The repository as people write it: `debian`, `user/app`, `localhost:5000/app`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.repository();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(rest) if !rest.contains('/') => rest.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// The whole reference as people write it: `debian:latest`.
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    fn with_suffix(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text = format!("{text}:{tag}");
        }
        if let Some(digest) = &self.digest {
            text = format!("{text}@{digest}");
        }
        text
    }
}

impl fmt::Display for ImageRef {
    /// The fully qualified form: `docker.io/library/debian:latest`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.repository()))
    }
}

impl FromStr for ImageRef {
    type Err = InvalidReference;

    /// Fills in the registry, `library/`, and `latest` where neither tag nor digest is named.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let invalid = || InvalidReference::Format(text.to_owned());
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(InvalidReference::LooksLikeId(text.to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| invalid())?)),
            None => (text, None),
        };
        let slash = rest.rfind('/').map_or(0, |i| i + 1);
        let (name, tag) = match rest[slash..].split_once(':') {
            Some((last, tag)) => (&rest[..slash + last.len()], Some(tag)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid());
        }
        let (domain, path) = split_domain(name);
        check_name(text, name, &domain, &path)?;
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, None) => Some(DEFAULT_TAG.to_owned()),
            (None, Some(_)) => None,
        };
        Ok(Self {
            domain,
            path,
            tag,
            digest,
        })
    }
}

fn check_name(text: &str, name: &str, domain: &str, path: &str) -> Result<(), InvalidReference> {
    if name.len() > NAME_MAX {
        return Err(InvalidReference::TooLong(name.to_owned()));
    }
    if !path.is_empty() && path.bytes().any(|b| b.is_ascii_uppercase()) && is_domain(domain) {
        return Err(InvalidReference::UpperCase(path.to_owned()));
    }
    if is_domain(domain) && path.split('/').all(is_component) {
        Ok(())
    } else {
        Err(InvalidReference::Format(text.to_owned()))
    }
}

/// A first component is a registry if it has a dot or a port, is `localhost`, or has upper case.
fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (
                if first == LEGACY_DOMAIN {
                    DEFAULT_DOMAIN
                } else {
                    first
                },
                rest,
            )
        }
        _ => (DEFAULT_DOMAIN, name),
    };
    if domain == DEFAULT_DOMAIN && !path.contains('/') {
        (domain.to_owned(), format!("{OFFICIAL}{path}"))
    } else {
        (domain.to_owned(), path.to_owned())
    }
}

/// `host[:port]` or `[v6]:port`.
fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[').and_then(|d| d.split_once(']')) {
        Some((v6, rest)) => {
            let is_v6 = !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            if !is_v6 {
                return false;
            }
            return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        }
        None => domain
            .split_once(':')
            .map_or((domain, None), |(h, p)| (h, Some(p))),
    };
    port.is_none_or(is_port) && host.split('.').all(is_domain_component)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_domain_component(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('-')
        && !part.ends_with('-')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Lower-case words joined by one dot, one or two underscores, or any number of hyphens.
fn is_component(part: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    if !ends.is_some_and(|(first, last)| is_word(*first) && is_word(*last)) {
        return false;
    }
    part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= TAG_MAX
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

impl TryFrom<String> for ImageRef {
    type Error = InvalidReference;

    fn try_from(text: String) -> Result<Self, InvalidReference> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(reference: ImageRef) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_parse_as_dockers_do() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let table = [
            ("debian", "docker.io/library/debian:latest", "debian:latest"),
            ("debian:12", "docker.io/library/debian:12", "debian:12"),
            ("user/app", "docker.io/user/app:latest", "user/app:latest"),
            (
                "docker.io/debian",
                "docker.io/library/debian:latest",
                "debian:latest",
            ),
            ("index.docker.io/a/b:c", "docker.io/a/b:c", "a/b:c"),
            (
                "localhost/app",
                "localhost/app:latest",
                "localhost/app:latest",
            ),
            (
                "localhost:5000/a/b:1",
                "localhost:5000/a/b:1",
                "localhost:5000/a/b:1",
            ),
            ("Host/app", "Host/app:latest", "Host/app:latest"),
            (
                "[::1]:5000/app",
                "[::1]:5000/app:latest",
                "[::1]:5000/app:latest",
            ),
            (
                "a__b/c-.d".trim_end_matches("-.d"),
                "docker.io/a__b/c:latest",
                "a__b/c:latest",
            ),
        ];
        for (text, full, familiar) in table {
            let parsed: ImageRef = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(
                (parsed.to_string().as_str(), parsed.familiar().as_str()),
                (full, familiar)
            );
        }
        let by_digest: ImageRef = format!("debian@{digest}").parse().unwrap();
        assert_eq!(by_digest.tag(), None);
        assert_eq!(
            by_digest.to_string(),
            format!("docker.io/library/debian@{digest}")
        );
        let both: ImageRef = format!("debian:12@{digest}").parse().unwrap();
        assert_eq!((both.tag(), both.digest().is_some()), (Some("12"), true));
    }

    #[test]
    fn bad_references_are_refused() {
        let long = "a/".repeat(150) + "b";
        for bad in [
            "",
            ":",
            "a:",
            ":a",
            "a//b",
            "/a",
            "a/",
            "Debian",
            "user/App",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a:b:c",
            "a@sha256:00",
            "a@",
            "a b",
            "a:-x",
            "é",
            "localhost:x/a",
            "[::1/a",
            &long,
            &"ab".repeat(32),
            &format!("a:{}", "t".repeat(129)),
        ] {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_parses_parses_again_from_its_own_text(text in "[a-zA-Z0-9_./:@\\[\\]-]{0,40}") {
            if let Ok(parsed) = text.parse::<ImageRef>() {
                proptest::prop_assert_eq!(parsed.to_string().parse(), Ok(parsed.clone()));
                proptest::prop_assert_eq!(parsed.familiar().parse(), Ok(parsed));
            }
        }
    }
}
