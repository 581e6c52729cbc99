//! Manifests and indexes (OCI image specification 1.1; Docker's image manifest v2 schema 2 and manifest
//! list): which blobs an image is made of. The bytes are kept as they came, with what is not known here.

use std::collections::BTreeMap;

use bytes::Bytes;
use oci_spec::image as oci;
use serde::Deserialize;
use sha2::{Digest as _, Sha256, Sha512};
use types::{Algorithm, Digest, ErrorKind, Platform};

/// The longest manifest, of the distribution specification ("Pushing Manifests"): 4 MiB.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1";

/// What names content: its type, digest and size (OCI image specification, "Descriptors").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type, as written.
    pub media_type: String,
    /// What the bytes hash to.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// Where else they may be fetched: of foreign layers.
    pub urls: Vec<String>,
    /// The platform an index's manifest is for; none also for what no machine is (`unknown/unknown`).
    pub platform: Option<Platform>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The type of an artifact.
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// One with the three fields that every descriptor has.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            platform: None,
            annotations: BTreeMap::new(),
            artifact_type: None,
        }
    }

    /// Whether this is a layer that its maker does not want in registries, `nondistributable` or
    /// `foreign`: it is fetched but not pushed.
    pub fn is_foreign(&self) -> bool {
        self.media_type
            .starts_with("application/vnd.oci.image.layer.nondistributable.")
            || self
                .media_type
                .starts_with("application/vnd.docker.image.rootfs.foreign.")
    }

    fn of(wire: &oci::Descriptor) -> Result<Self, Malformed> {
        let digest = wire.digest().to_string();
        Ok(Self {
            media_type: wire.media_type().to_string(),
            digest: digest
                .parse()
                .map_err(|_| Malformed::Digest(shorten(&digest)))?,
            size: wire.size(),
            urls: wire.urls().clone().unwrap_or_default(),
            platform: wire.platform().as_ref().and_then(platform),
            annotations: wire
                .annotations()
                .clone()
                .unwrap_or_default()
                .into_iter()
                .collect(),
            artifact_type: wire.artifact_type().as_ref().map(ToString::to_string),
        })
    }
}

fn platform(wire: &oci::Platform) -> Option<Platform> {
    let variant = wire.variant().as_deref().filter(|v| !v.is_empty());
    let variant = variant.map_or(String::new(), |v| format!("/{v}"));
    let text = format!("{}/{}{variant}", wire.os(), wire.architecture());
    if text.starts_with("unknown/") {
        return None;
    }
    text.parse().ok()
}

/// What a manifest lists.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one a manifest, and it is not moved about"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An image of one platform, or an artifact.
    Image {
        /// Its configuration.
        config: Descriptor,
        /// Its layers, the lowest first.
        layers: Vec<Descriptor>,
    },
    /// An index, or Docker's manifest list.
    Index {
        /// Manifests, in the order of preference.
        manifests: Vec<Descriptor>,
    },
}

/// A manifest or index whose digest and size have been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Type, digest and size of the bytes.
    pub descriptor: Descriptor,
    /// The document as it came.
    pub bytes: Bytes,
    /// What it lists.
    pub content: Content,
    /// What it is attached to.
    pub subject: Option<Descriptor>,
}

/// Why bytes are no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No JSON, or not the fields.
    #[error("it is no manifest: {0}")]
    Json(String),
    /// Docker's first format, whose images cannot be verified.
    #[error(
        "it is in Docker's image format 1 (schema 1), which no current engine reads: pull and push it \
         with an old one, or build it again"
    )]
    Schema1,
    /// Another version.
    #[error("its schemaVersion is {0}, 2 is expected")]
    Version(u64),
    /// Neither an image nor an index.
    #[error("its media type is {0:?}, an image manifest or index of OCI or Docker is expected")]
    MediaType(String),
    /// The header and the document say different things.
    #[error("it was sent as {header:?} and says of itself that it is {document:?}")]
    Disagree {
        /// What the header says.
        header: String,
        /// What the document says.
        document: String,
    },
    /// Both an image and an index.
    #[error("it lists both layers and manifests")]
    Ambiguous,
    /// Lacks what makes it one.
    #[error("it has no {0:?}")]
    Lacks(&'static str),
    /// A digest that cannot be verified.
    #[error(
        "{0:?} in it is no digest: sha256:<64 hex digits> or sha512:<128 hex digits> is expected"
    )]
    Digest(String),
    /// Above the limit.
    #[error("it is longer than 4 MiB, the most that a manifest may have")]
    TooLong,
}

impl Malformed {
    /// What a caller may do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Schema1 | Self::Version(_) | Self::MediaType(_) => ErrorKind::Unsupported,
            _ => ErrorKind::Internal,
        }
    }
}

/// Both formats in one: which one it is is checked afterwards, because they can be mixed up on purpose.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<oci::Descriptor>,
    layers: Option<Vec<oci::Descriptor>>,
    manifests: Option<Vec<oci::Descriptor>>,
    subject: Option<oci::Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// Reads a document. `header` is the media type it was sent as, if that is known.
    ///
    /// # Errors
    /// When it is not a manifest or index of OCI or Docker (schema 2), or is too long.
    pub fn parse(header: Option<&str>, bytes: Bytes) -> Result<Self, Malformed> {
        if bytes.len() as u64 > MAX_MANIFEST {
            return Err(Malformed::TooLong);
        }
        let header = header.map(essence).filter(|h| is_specific(h));
        if header.is_some_and(|h| h.starts_with(SCHEMA_1)) {
            return Err(Malformed::Schema1);
        }
        let wire: Wire =
            serde_json::from_slice(&bytes).map_err(|e| Malformed::Json(shorten(&e.to_string())))?;
        check_version(&wire)?;
        let media_type = media_type(header, &wire)?;
        let content = content(&media_type, &wire)?;
        let mut descriptor = Descriptor::new(
            media_type,
            digest_of(Algorithm::Sha256, &bytes),
            bytes.len() as u64,
        );
        descriptor.annotations = wire.annotations.unwrap_or_default();
        descriptor.artifact_type = wire.artifact_type;
        let subject = wire.subject.as_ref().map(Descriptor::of).transpose()?;
        Ok(Self {
            descriptor,
            bytes,
            content,
            subject,
        })
    }
}

/// Whether this is the type of a manifest that can be read.
pub(crate) fn is_understood(media_type: &str) -> bool {
    matches!(media_type, IMAGE | INDEX | DOCKER_IMAGE | DOCKER_LIST)
}

/// A media type without its parameters.
pub(crate) fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Some registries send every document as plain JSON.
fn is_specific(media_type: &str) -> bool {
    !matches!(
        media_type,
        "" | "application/json" | "text/plain" | "application/octet-stream" | "binary/octet-stream"
    )
}

fn check_version(wire: &Wire) -> Result<(), Malformed> {
    match wire.schema_version {
        Some(2) => Ok(()),
        Some(1) => Err(Malformed::Schema1),
        None if wire.fs_layers.is_some() => Err(Malformed::Schema1),
        None => Err(Malformed::Lacks("schemaVersion")),
        Some(other) => Err(Malformed::Version(other)),
    }
}

fn media_type(header: Option<&str>, wire: &Wire) -> Result<String, Malformed> {
    let document = wire.media_type.as_deref().filter(|m| !m.is_empty());
    match (header, document) {
        (Some(header), Some(document)) if header != document => Err(Malformed::Disagree {
            header: shorten(header),
            document: shorten(document),
        }),
        (_, Some(known)) | (Some(known), None) => Ok(known.to_owned()),
        (None, None) if wire.manifests.is_some() => Ok(INDEX.to_owned()),
        (None, None) => Ok(IMAGE.to_owned()),
    }
}

fn content(media_type: &str, wire: &Wire) -> Result<Content, Malformed> {
    let all = |list: &Option<Vec<oci::Descriptor>>| -> Result<Vec<_>, Malformed> {
        list.iter().flatten().map(Descriptor::of).collect()
    };
    if wire.manifests.is_some() && (wire.layers.is_some() || wire.config.is_some()) {
        return Err(Malformed::Ambiguous);
    }
    match media_type {
        IMAGE | DOCKER_IMAGE => Ok(Content::Image {
            config: Descriptor::of(wire.config.as_ref().ok_or(Malformed::Lacks("config"))?)?,
            layers: all(&wire.layers)?,
        }),
        INDEX | DOCKER_LIST if wire.config.is_some() || wire.layers.is_some() => {
            Err(Malformed::Lacks("manifests"))
        }
        INDEX | DOCKER_LIST => Ok(Content::Index {
            manifests: all(&wire.manifests)?,
        }),
        other => Err(Malformed::MediaType(shorten(other))),
    }
}

/// A stranger's text, short enough for a sentence.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 200;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain("...".chars()).collect()
}

/// What `bytes` hash to.
pub(crate) fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    match algorithm {
        Algorithm::Sha256 => Digest::sha256(Sha256::digest(bytes).into()),
        Algorithm::Sha512 => sha512(bytes),
    }
}

fn sha512(bytes: &[u8]) -> Digest {
    use std::fmt::Write as _;
    let mut text = String::from("sha512:");
    for byte in Sha512::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text.parse()
        .unwrap_or_else(|_| Digest::sha256(Sha256::digest(bytes).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(more: &str) -> String {
        let digest = digest_of(Algorithm::Sha512, b"x");
        format!("{{\"mediaType\":\"a/b\",\"digest\":\"{digest}\",\"size\":1{more}}}")
    }

    fn parse(header: Option<&str>, text: &str) -> Result<Manifest, Malformed> {
        Manifest::parse(header, Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_type_is_taken_from_wherever_it_is_said() {
        let image = format!(
            "{{\"schemaVersion\":2,\"config\":{},\"layers\":null}}",
            entry("")
        );
        let index = "{\"schemaVersion\":2,\"manifests\":[]}";
        let named = |kind: &str| image.replacen('{', &format!("{{\"mediaType\":\"{kind}\","), 1);
        let table = [
            (None, image.clone(), IMAGE),
            (
                Some("application/json; charset=utf-8"),
                index.to_owned(),
                INDEX,
            ),
            (Some(DOCKER_IMAGE), image.clone(), DOCKER_IMAGE),
            (Some("text/plain"), named(DOCKER_IMAGE), DOCKER_IMAGE),
            (Some(DOCKER_LIST), index.to_owned(), DOCKER_LIST),
        ];
        for (header, text, expected) in table {
            let found = parse(header, &text).map(|m| m.descriptor.media_type);
            assert_eq!(found.as_deref(), Ok(expected), "{header:?} {text}");
        }
        let first = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        assert_eq!(parse(Some(first), &image), Err(Malformed::Schema1));
        assert!(matches!(
            parse(Some(INDEX), &named(IMAGE)),
            Err(Malformed::Disagree { .. })
        ));
    }

    #[test]
    fn platforms_are_those_of_machines() {
        let with = |platform: &str| entry(&format!(",\"platform\":{platform}"));
        let text = format!(
            "{{\"schemaVersion\":2,\"manifests\":[{},{},{},{}]}}",
            with(r#"{"os":"linux","architecture":"arm","variant":"v7"}"#),
            with(r#"{"os":"windows","architecture":"amd64","os.version":"10","variant":""}"#),
            with(r#"{"os":"unknown","architecture":"unknown"}"#),
            entry("")
        );
        let Ok(Content::Index { manifests }) = parse(None, &text).map(|m| m.content) else {
            panic!("no index")
        };
        let shown = manifests
            .iter()
            .map(|m| m.platform.as_ref().map(ToString::to_string));
        let expected = [Some("linux/arm/v7"), Some("windows/amd64"), None, None];
        assert_eq!(
            shown.collect::<Vec<_>>(),
            expected.map(|p| p.map(str::to_owned))
        );
        assert_eq!(manifests[3].digest.algorithm(), Algorithm::Sha512);
    }

    #[test]
    fn foreign_layers_are_known() {
        let digest = digest_of(Algorithm::Sha256, b"");
        let is = |kind: &str| Descriptor::new(kind, digest.clone(), 0).is_foreign();
        assert!(is(
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
        ));
        assert!(is(
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        ));
        assert!(!is("application/vnd.oci.image.layer.v1.tar+gzip"));
    }
}
