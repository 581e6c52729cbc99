//! The JSON documents of image archives (OCI image specification; Docker's `manifest.json`), as far
//! as this crate reads or writes them. Fields it does not know are left in the text, which is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use types::Digest;

use crate::error::Error;

/// No honest document is longer; containerd's limit is the same.
pub(crate) const MAX_DOCUMENT: u64 = 8 << 20;
/// overlayfs takes no more layers.
pub(crate) const MAX_LAYERS: usize = 500;

/// Indexes that list indexes.
pub const MAX_NESTING: usize = 3;
/// Marks a signed statement about an image, which stands among images and is none.
pub(crate) const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// Which manifest it is about.
pub(crate) const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
/// What [`REFERENCE_TYPE`] says of a manifest with in-toto documents.
pub(crate) const ATTESTATION: &str = "attestation-manifest";

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The name an image is stored under, of containerd's and Docker's archives.
pub(crate) const FULL_NAME: &str = "io.containerd.image.name";
/// The name by the specification: often only a tag.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// What names content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    /// Where it is fetched from instead of the registry: of layers nobody may give away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    pub(crate) fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// The platform of one of an index's manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub architecture: String,
    pub os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// In the product's words, normalised; none for what no machine is (`unknown`).
    pub(crate) fn parse(&self) -> Option<types::Platform> {
        let variant = self.variant.as_deref().filter(|v| !v.is_empty());
        let variant = variant.map_or(String::new(), |v| format!("/{v}"));
        format!("{}/{}{variant}", self.os, self.architecture)
            .parse()
            .ok()
    }
}

/// An image of one platform.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
}

/// Several manifests.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub schema_version: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    pub manifests: Vec<Descriptor>,
}

/// One image in Docker's `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DockerImage {
    pub config: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub layers: Vec<String>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// A manifest or an index: media types are missing or wrong too often to go by.
#[derive(Debug)]
pub(crate) enum Document {
    Manifest(Manifest),
    Index(Index),
}

/// Whether content of this type is a small document and not a layer.
pub(crate) fn is_document(media_type: &str) -> bool {
    media_type.ends_with("+json") || media_type.ends_with("prettyjws")
}

/// Whether an index says that this is what somebody states about a manifest.
pub(crate) fn is_about(descriptor: &Descriptor, manifest: &Digest) -> bool {
    let said = |name: &str| descriptor.annotations.get(name).map(String::as_str);
    said(REFERENCE_TYPE) == Some(ATTESTATION)
        && said(REFERENCE_DIGEST) == Some(manifest.to_string().as_str())
}

/// What tells them apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    config: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    layers: Option<serde::de::IgnoredAny>,
}

/// Parses a manifest or an index. One that is both at once is refused: readers would disagree about
/// what it says.
pub(crate) fn parse_document(what: &str, text: &[u8]) -> Result<Document, Error> {
    let shape: Shape = parse(what, text)?;
    let as_manifest = shape.config.is_some() || shape.layers.is_some();
    if shape.manifests.is_some() && as_manifest {
        return Err(Error::image(what, "is both a manifest and an index"));
    }
    let is_index = match shape.media_type.as_deref() {
        Some(INDEX | DOCKER_INDEX) => true,
        _ => shape.manifests.is_some(),
    };
    if is_index {
        return parse(what, text).map(Document::Index);
    }
    let manifest: Manifest = parse(what, text)?;
    if manifest.layers.len() > MAX_LAYERS {
        let problem = format!(
            "has {} layers: the most is {MAX_LAYERS}",
            manifest.layers.len()
        );
        return Err(Error::image(what, problem));
    }
    Ok(Document::Manifest(manifest))
}

/// Parses any document.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, text: &[u8]) -> Result<T, Error> {
    let parsed = serde_json::from_slice(text).or_else(|source| match mended(text) {
        Some(value) => serde_json::from_value(value).map_err(|_| source),
        None => Err(source),
    });
    parsed.map_err(|source| Error::Document {
        what: what.to_owned(),
        source,
    })
}

/// The same as others read it: without what is `null`, which Go's library writes for what is empty, with an empty list
/// of layers, and for this machine where a configuration does not say what it is for. None if it was so already.
fn mended(text: &[u8]) -> Option<Value> {
    fn drop_nulls(value: &mut Value) -> bool {
        match value {
            Value::Object(fields) => {
                let before = fields.len();
                let layers = fields.get_mut("diff_ids").filter(|ids| ids.is_null());
                let listed = layers.map(|ids| *ids = Value::Array(Vec::new())).is_some();
                fields.retain(|_, value| !value.is_null());
                let dropped = listed || fields.len() < before;
                in_all(fields.values_mut()) || dropped
            }
            Value::Array(values) => in_all(values.iter_mut()),
            _ => false,
        }
    }
    // In every one of them, not only up to the first that had any.
    fn in_all<'a>(values: impl Iterator<Item = &'a mut Value>) -> bool {
        values.map(drop_nulls).filter(|dropped| *dropped).count() > 0
    }
    let mut value = serde_json::from_slice(text).ok()?;
    let dropped = drop_nulls(&mut value);
    (place(&mut value) || dropped).then_some(value)
}

/// Says of an image's configuration what it is for.
fn place(config: &mut Value) -> bool {
    let Some(fields) = config
        .as_object_mut()
        .filter(|fields| fields.contains_key("rootfs"))
    else {
        return false;
    };
    let here = types::Platform::host();
    let said = [("os", here.os), ("architecture", here.architecture)];
    let missing = said
        .into_iter()
        .filter(|(name, _)| !fields.contains_key(*name))
        .collect::<Vec<_>>();
    for (name, value) in &missing {
        fields.insert((*name).to_owned(), Value::String(value.clone()));
    }
    !missing.is_empty()
}

/// What the image of this configuration runs on; none when it does not say.
pub(crate) fn platform_of(config: &[u8]) -> Option<types::Platform> {
    let platform: Platform = serde_json::from_slice(config).ok()?;
    platform.parse()
}

/// The text of one of ours.
pub(crate) fn print<T: Serialize>(what: &str, document: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(document).map_err(|source| Error::Document {
        what: what.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: &str) -> String {
        format!("sha256:{}", byte.repeat(32))
    }

    #[test]
    fn what_go_writes_as_null_is_empty() {
        let config = br#"{"architecture":"amd64","os":"linux","author":null,
            "config":{"Cmd":null},"rootfs":{"type":"layers","diff_ids":null},"history":null}"#;
        let config: oci_spec::image::ImageConfiguration = parse("c", config).unwrap();
        assert!(config.rootfs().diff_ids().is_empty());
        let bare = br#"{"rootfs":{"type":"layers","diff_ids":[]}}"#;
        let bare: oci_spec::image::ImageConfiguration = parse("c", bare).unwrap();
        assert_eq!(bare.os().to_string(), "linux");
        assert_eq!(
            bare.architecture().to_string(),
            types::Platform::host().architecture
        );
        let error = parse::<oci_spec::image::ImageConfiguration>("c", br#"{"rootfs":null}"#);
        assert_eq!(error.unwrap_err().to_string(), "c cannot be understood");
    }

    #[test]
    fn documents_are_told_apart_by_their_content() {
        let config = format!(r#"{{"digest":"{}","size":2}}"#, digest("0a"));
        let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
        assert!(matches!(
            parse_document("m", manifest.as_bytes()),
            Ok(Document::Manifest(_))
        ));
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{config}],"x":1}}"#);
        assert!(matches!(
            parse_document("i", index.as_bytes()),
            Ok(Document::Index(_))
        ));
        let both = format!(r#"{{"schemaVersion":2,"manifests":[],"config":{config},"layers":[]}}"#);
        let error = parse_document("manifest sha256:1", both.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "manifest sha256:1 is both a manifest and an index"
        );
        let many = format!(r#"[{config}{}]"#, format!(",{config}").repeat(500));
        let many = format!(r#"{{"schemaVersion":2,"config":{config},"layers":{many}}}"#);
        let error = parse_document("m", many.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "m has 501 layers: the most is 500");
    }

    #[test]
    fn bad_documents_are_refused_with_the_place() {
        let error =
            parse_document("index.json", br#"{"manifests":[{"digest":"md5:1"}]}"#).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(error.to_string(), "index.json cannot be understood");
        assert!(source.contains("invalid digest \"md5:1\""), "{source}");
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert!(parse_document("m", &deep).is_err());
        let negative = format!(r#"{{"digest":"{}","size":-1}}"#, digest("00"));
        assert!(parse::<Descriptor>("d", negative.as_bytes()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken_or_refused(
            text in r#"(\{|\}|\[|\]|,|:|"manifests"|"config"|"layers"|"digest"|"size"|[0-9]{1,30}|"schemaVersion"|null|"sha256:[0-9a-f]{64}"){0,40}"#,
        ) {
            let _ = parse_document("x", text.as_bytes());
            let _ = parse::<Vec<DockerImage>>("x", text.as_bytes());
        }
    }
}
