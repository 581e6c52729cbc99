//! Images.

use std::collections::BTreeMap;

use super::{Empty, GraphDriver, Healthcheck, OciPlatform, go_struct, is_zero};

go_struct! {
    /// A line of `GET /images/json`.
    pub struct ImageSummary {
        /// Containers made from it; -1 is not counted.
        pub containers: i64,
        /// Seconds since the epoch.
        pub created: i64,
        /// Id.
        pub id: String,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// The image it was built upon, by the classic builder.
        pub parent_id: String,
        /// What names it; from API 1.48.
        #[serde(skip_serializing_if = "is_zero")]
        pub descriptor: Option<Descriptor>,
        /// `name@digest`
        pub repo_digests: Vec<String>,
        /// `name:tag`
        pub repo_tags: Vec<String>,
        /// Bytes shared with others; -1 is not counted.
        pub shared_size: i64,
        /// Bytes.
        pub size: i64,
        /// Bytes; before API 1.44.
        #[serde(skip_serializing_if = "is_zero")]
        pub virtual_size: i64,
        /// What an index lists, when asked for; from API 1.47.
        #[serde(skip_serializing_if = "is_zero")]
        pub manifests: Option<Vec<ManifestSummary>>,
    }

    /// A manifest of an image.
    pub struct ManifestSummary {
        /// Its digest.
        #[serde(rename = "ID")]
        pub id: String,
        /// What names it.
        pub descriptor: Descriptor,
        /// Whether all of it is here.
        pub available: bool,
        /// Bytes.
        pub size: ManifestSize,
        /// `image`, `attestation` or `unknown`
        pub kind: String,
        /// What an image is for.
        #[serde(skip_serializing_if = "is_zero")]
        pub image_data: Option<ManifestImage>,
        /// What a statement is about.
        #[serde(skip_serializing_if = "is_zero")]
        pub attestation_data: Option<ManifestAttestation>,
    }

    /// What a manifest's statements are about.
    pub struct ManifestAttestation {
        /// The digest of another manifest.
        #[serde(rename = "For")]
        pub about: String,
    }

    /// Bytes of a manifest.
    pub struct ManifestSize {
        /// All.
        pub total: i64,
        /// Compressed.
        pub content: i64,
    }

    /// What a manifest's image is for.
    pub struct ManifestImage {
        /// The platform.
        pub platform: OciPlatform,
        /// Containers made from it.
        pub containers: Vec<String>,
        /// Bytes.
        pub size: UnpackedSize,
    }

    /// Bytes of unpacked layers.
    pub struct UnpackedSize {
        /// All.
        pub unpacked: i64,
    }

    /// An OCI descriptor.
    pub struct Descriptor {
        /// Media type.
        #[serde(rename = "mediaType")]
        pub media_type: String,
        /// Digest.
        #[serde(rename = "digest")]
        pub digest: String,
        /// Bytes.
        #[serde(rename = "size")]
        pub size: i64,
        /// What is said beside it.
        #[serde(rename = "annotations", skip_serializing_if = "is_zero")]
        pub annotations: Option<BTreeMap<String, String>>,
        /// What a manifest runs on.
        #[serde(rename = "platform", skip_serializing_if = "is_zero")]
        pub platform: Option<OciPlatform>,
    }

    /// The answer to `GET /images/{name}/json`.
    pub struct ImageInspect {
        /// Id.
        pub id: String,
        /// `name:tag`
        pub repo_tags: Vec<String>,
        /// `name@digest`
        pub repo_digests: Vec<String>,
        /// The image it was built upon, by the classic builder; before API 1.52.
        #[serde(skip_serializing_if = "is_zero")]
        pub parent: Option<String>,
        /// The last history entry's comment.
        pub comment: String,
        /// RFC 3339.
        pub created: String,
        /// Docker's version that built it; before API 1.52.
        #[serde(skip_serializing_if = "is_zero")]
        pub docker_version: Option<String>,
        /// Author.
        pub author: String,
        /// What containers from it run.
        pub config: ImageConfig,
        /// What the container had that it was made from; before API 1.45, and for Compose of before that.
        #[serde(skip_serializing_if = "is_zero")]
        pub container_config: Option<ImageConfig>,
        /// Processor.
        pub architecture: String,
        /// Processor's variant.
        #[serde(skip_serializing_if = "is_zero")]
        pub variant: String,
        /// Operating system.
        pub os: String,
        /// Bytes.
        pub size: i64,
        /// Bytes; before API 1.44.
        #[serde(skip_serializing_if = "is_zero")]
        pub virtual_size: i64,
        /// Before API 1.52.
        #[serde(skip_serializing_if = "is_zero")]
        pub graph_driver: Option<GraphDriver>,
        /// Layers.
        #[serde(rename = "RootFS")]
        pub root_fs: ImageRootFs,
        /// Facts about this copy.
        pub metadata: ImageMetadata,
        /// What names it; from API 1.48.
        #[serde(skip_serializing_if = "is_zero")]
        pub descriptor: Option<Descriptor>,
        /// What an index lists, when asked for; from API 1.48.
        #[serde(skip_serializing_if = "is_zero")]
        pub manifests: Option<Vec<ManifestSummary>>,
    }

    /// What containers from an image run.
    pub struct ImageConfig {
        /// `user[:group]`
        #[serde(skip_serializing_if = "is_zero")]
        pub user: String,
        /// Ports it listens on.
        #[serde(skip_serializing_if = "is_zero")]
        pub exposed_ports: BTreeMap<String, Empty>,
        /// `NAME=value`
        #[serde(skip_serializing_if = "is_zero")]
        pub env: Vec<String>,
        /// Entry point.
        #[serde(skip_serializing_if = "is_zero")]
        pub entrypoint: Vec<String>,
        /// Command.
        #[serde(skip_serializing_if = "is_zero")]
        pub cmd: Vec<String>,
        /// Paths that get a volume of their own.
        #[serde(skip_serializing_if = "is_zero")]
        pub volumes: BTreeMap<String, Empty>,
        /// Working directory.
        #[serde(skip_serializing_if = "is_zero")]
        pub working_dir: String,
        /// Labels.
        #[serde(skip_serializing_if = "is_zero")]
        pub labels: BTreeMap<String, String>,
        /// Signal that asks to stop.
        #[serde(skip_serializing_if = "is_zero")]
        pub stop_signal: String,
        /// How health is checked.
        #[serde(skip_serializing_if = "is_zero")]
        pub healthcheck: Option<Healthcheck>,
        /// Instructions for builds upon it.
        #[serde(skip_serializing_if = "is_zero")]
        pub on_build: Vec<String>,
        /// Shell of the shell form.
        #[serde(skip_serializing_if = "is_zero")]
        pub shell: Vec<String>,
    }

    /// An image's layers.
    pub struct ImageRootFs {
        /// `layers`
        pub r#type: String,
        /// Diff ids, the lowest first.
        #[serde(skip_serializing_if = "is_zero")]
        pub layers: Vec<String>,
    }

    /// Facts about this copy of an image.
    pub struct ImageMetadata {
        /// RFC 3339.
        pub last_tag_time: String,
    }

    /// What removing an image did: one of the two.
    pub struct ImageDeleteItem {
        /// Content that is gone.
        #[serde(skip_serializing_if = "is_zero")]
        pub deleted: String,
        /// A reference that is gone.
        #[serde(skip_serializing_if = "is_zero")]
        pub untagged: String,
    }

    /// A line of `GET /images/{name}/history`.
    pub struct HistoryItem {
        /// The image at this point, or `<missing>`.
        pub id: String,
        /// Seconds since the epoch.
        pub created: i64,
        /// What made it.
        pub created_by: String,
        /// References.
        pub tags: Option<Vec<String>>,
        /// Bytes.
        pub size: i64,
        /// Comment.
        pub comment: String,
    }

    /// The answer to `POST /images/prune`.
    pub struct ImagesPruned {
        /// What is gone.
        pub images_deleted: Option<Vec<ImageDeleteItem>>,
        /// Bytes.
        pub space_reclaimed: u64,
    }
}

/// A line of the answer to `GET /images/{name}/attestations`.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttestationStatement {
    /// What names it.
    pub descriptor: Descriptor,
    /// The kind of it: an address.
    pub predicate_type: String,
    /// Its text as it is, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<Box<serde_json::value::RawValue>>,
}
