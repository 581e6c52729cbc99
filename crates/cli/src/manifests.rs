//! Manifest lists that are being put together, where Docker's client keeps them and in its form: beside
//! `config.json` a directory `manifests`, in it one for each list, in it a file for each image.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use api::wire::{OciPlatform, RegistryManifest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use types::ImageRef;

use crate::credentials;
use crate::error::CliError;

/// An index as OCI has it.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An index as Docker has it.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// One image of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is, fully qualified.
    #[serde(rename = "Ref")]
    pub reference: String,
    /// What names it.
    #[serde(rename = "Descriptor")]
    pub descriptor: Described,
    /// The manifest as the registry has it, in base64.
    #[serde(rename = "Raw", default, skip_serializing_if = "String::is_empty")]
    pub raw: String,
    /// The same, for people.
    #[serde(
        rename = "SchemaV2Manifest",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub docker: Option<Value>,
    /// The same, for people.
    #[serde(
        rename = "OCIManifest",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub oci: Option<Value>,
}

/// What names a manifest, with what it runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Described {
    /// Media type.
    #[serde(rename = "mediaType")]
    pub media_type: String,
    /// Digest.
    pub digest: String,
    /// Bytes.
    pub size: i64,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<OciPlatform>,
}

impl Entry {
    /// Of what a registry said.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn of(reference: &ImageRef, manifest: &RegistryManifest) -> Result<Self, CliError> {
        let document: Value = serde_json::from_str(&manifest.document)
            .map_err(|error| CliError::Invalid(format!("{reference}: {error}")))?;
        let is_oci = manifest.descriptor.media_type == OCI_MANIFEST;
        let (oci, docker) = match is_oci {
            true => (Some(document), None),
            false => (None, Some(document)),
        };
        Ok(Self {
            reference: reference.to_string(),
            descriptor: Described {
                media_type: manifest.descriptor.media_type.clone(),
                digest: manifest.descriptor.digest.clone(),
                size: manifest.descriptor.size,
                platform: manifest.platform.clone(),
            },
            raw: STANDARD.encode(&manifest.document),
            docker,
            oci,
        })
    }

    /// The manifest as the registry has it.
    ///
    /// # Errors
    /// When the file was changed by somebody.
    pub fn document(&self) -> Result<String, CliError> {
        let bytes = STANDARD.decode(&self.raw).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| CliError::Invalid(format!("{}: it is no manifest", self.reference)))
    }
}

/// Whether what names a manifest names a list of them.
pub fn is_list(media_type: &str) -> bool {
    media_type == OCI_INDEX || media_type == DOCKER_LIST
}

/// The list of these images as it goes to the registry, and its media type: that of the first one's
/// kind, as by Docker's client, which is why both make the same digest of the same images.
pub fn document(entries: &[Entry]) -> (&'static str, String) {
    let first = entries.first().map(|entry| &*entry.descriptor.media_type);
    let media_type = match first {
        Some(OCI_MANIFEST) => OCI_INDEX,
        _ => DOCKER_LIST,
    };
    let manifests = entries.iter().map(|Entry { descriptor, .. }| {
        let mut line = json!({
            "mediaType": descriptor.media_type,
            "size": descriptor.size,
            "digest": descriptor.digest,
        });
        if let Some(platform) = &descriptor.platform {
            line["platform"] = json!(platform);
        }
        line
    });
    let list = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": manifests.collect::<Vec<_>>(),
    });
    (media_type, pretty(&list, b"   "))
}

/// JSON with a line for each value.
pub fn pretty(value: &impl Serialize, indent: &[u8]) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut to = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // A map with string keys always serializes.
    let _ = value.serialize(&mut to);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The directory with the lists.
#[derive(Debug)]
pub struct Lists {
    top: PathBuf,
}

impl Lists {
    /// Finds it; `variable` reads the environment.
    ///
    /// # Errors
    /// When there is no home directory.
    pub fn open(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, CliError> {
        let top = credentials::directory(variable)?.join("manifests");
        Ok(Self { top })
    }

    /// The images of a list, in the order of their names; none when there is no such list.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn list(&self, list: &ImageRef) -> Result<Option<Vec<Entry>>, CliError> {
        let directory = self.directory(list);
        let files = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed(&directory))?,
        };
        let files = files.map(|file| file.map(|file| file.path()));
        let files: Result<Vec<_>, _> = files.collect();
        let mut files = files.map_err(failed(&directory))?;
        files.sort();
        let entries = files.iter().map(|file| read(file));
        let entries: Result<Vec<_>, _> = entries.collect();
        Ok(Some(entries?.into_iter().flatten().collect()))
    }

    /// One image of a list.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get(&self, list: &ImageRef, image: &ImageRef) -> Result<Option<Entry>, CliError> {
        read(&self.directory(list).join(file_name(image)))
    }

    /// Puts an image into a list.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&self, list: &ImageRef, image: &ImageRef, entry: &Entry) -> Result<(), CliError> {
        let directory = self.directory(list);
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o755).create(&directory);
        made.map_err(failed(&directory))?;
        let file = directory.join(file_name(image));
        // A map with string keys always serializes.
        let bytes = serde_json::to_vec(entry).unwrap_or_default();
        sys::file::replace(&file, &bytes, 0o644).map_err(|error| failed(&file)(error.into()))
    }

    /// Forgets a list. Whether there was one.
    ///
    /// # Errors
    /// When the directory cannot be removed.
    pub fn remove(&self, list: &ImageRef) -> Result<bool, CliError> {
        let directory = self.directory(list);
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            other => other.map(|()| true).map_err(failed(&directory)),
        }
    }

    fn directory(&self, list: &ImageRef) -> PathBuf {
        self.top.join(file_name(list))
    }
}

fn read(file: &Path) -> Result<Option<Entry>, CliError> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed(file))?,
    };
    let entry = serde_json::from_str(&text);
    let broken = |error| CliError::Invalid(format!("{}: {error}", file.display()));
    entry.map(Some).map_err(broken)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> CliError {
    let path = path.display().to_string();
    move |source| CliError::File {
        path: path.clone(),
        source,
    }
}

/// A reference as Docker's client names files.
fn file_name(reference: &ImageRef) -> String {
    reference.to_string().replace(':', "-").replace('/', "_")
}

/// Systems and processors that Go knows, and so Docker's client.
const KNOWN: &[(&str, &[&str])] = &[
    ("aix", &["ppc64"]),
    ("android", &["386", "amd64", "arm", "arm64"]),
    ("darwin", &["386", "amd64", "arm", "arm64"]),
    ("dragonfly", &["amd64"]),
    ("freebsd", &["386", "amd64", "arm", "arm64", "riscv64"]),
    ("illumos", &["amd64"]),
    ("ios", &["amd64", "arm64"]),
    ("js", &["wasm"]),
    (
        "linux",
        &[
            "386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le",
            "ppc64", "ppc64le", "riscv64", "s390x",
        ],
    ),
    ("netbsd", &["386", "amd64", "arm", "arm64"]),
    (
        "openbsd",
        &["386", "amd64", "arm", "arm64", "mips64", "riscv64"],
    ),
    ("plan9", &["386", "amd64", "arm"]),
    ("solaris", &["amd64"]),
    ("wasip1", &["wasm"]),
    ("windows", &["386", "amd64", "arm", "arm64"]),
];

/// Whether there is such a system for such a processor.
pub fn is_known(os: &str, architecture: &str) -> bool {
    let system = KNOWN.iter().find(|(known, _)| *known == os);
    system.is_some_and(|(_, processors)| processors.contains(&architecture))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(media_type: &str, variant: &str) -> Entry {
        Entry {
            reference: "localhost:5000/a:amd".to_owned(),
            descriptor: Described {
                media_type: media_type.to_owned(),
                digest: format!("sha256:{}", "0a".repeat(32)),
                size: 527,
                platform: Some(OciPlatform {
                    architecture: "arm64".to_owned(),
                    os: "linux".to_owned(),
                    os_version: "7".to_owned(),
                    os_features: vec!["x".to_owned()],
                    variant: variant.to_owned(),
                }),
            },
            raw: String::new(),
            docker: None,
            oci: None,
        }
    }

    #[test]
    fn a_list_is_written_as_dockers_client_writes_it() {
        let (media_type, text) = document(&[entry(OCI_MANIFEST, "v8")]);
        assert_eq!(media_type, OCI_INDEX);
        insta::assert_snapshot!(text, @r#"
        {
           "schemaVersion": 2,
           "mediaType": "application/vnd.oci.image.index.v1+json",
           "manifests": [
              {
                 "mediaType": "application/vnd.oci.image.manifest.v1+json",
                 "size": 527,
                 "digest": "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a",
                 "platform": {
                    "architecture": "arm64",
                    "os": "linux",
                    "os.version": "7",
                    "os.features": [
                       "x"
                    ],
                    "variant": "v8"
                 }
              }
           ]
        }
        "#);
        let docker = "application/vnd.docker.distribution.manifest.v2+json";
        assert_eq!(document(&[entry(docker, "")]).0, DOCKER_LIST);
    }

    #[test]
    fn lists_are_kept_where_docker_keeps_them() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().to_str().unwrap().to_owned();
        let lists = Lists::open(&|name| (name == "DOCKER_CONFIG").then(|| config.clone()));
        let lists = lists.unwrap();
        let list: ImageRef = "localhost:5000/l:1".parse().unwrap();
        let (one, two): (ImageRef, ImageRef) = (
            "localhost:5000/b".parse().unwrap(),
            "debian".parse().unwrap(),
        );
        assert_eq!(lists.list(&list).unwrap(), None);
        assert!(!lists.remove(&list).unwrap());
        let (first, second) = (entry(OCI_MANIFEST, "v8"), entry(OCI_MANIFEST, "v9"));
        lists.put(&list, &one, &first).unwrap();
        lists.put(&list, &two, &second).unwrap();
        let file = home
            .path()
            .join("manifests/localhost-5000_l-1/localhost-5000_b-latest");
        assert!(file.exists());
        assert_eq!(lists.get(&list, &one).unwrap().unwrap(), first);
        assert_eq!(lists.list(&list).unwrap().unwrap(), [second, first]);
        assert!(lists.remove(&list).unwrap());
        assert_eq!(lists.list(&list).unwrap(), None);
    }

    #[test]
    fn platforms_are_those_of_go() {
        assert!(is_known("linux", "riscv64") && is_known("windows", "amd64"));
        assert!(!is_known("linux", "z80") && !is_known("", ""));
    }
}
