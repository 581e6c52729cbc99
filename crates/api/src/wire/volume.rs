//! Volumes.

use std::collections::BTreeMap;

use super::{go_struct, is_zero};

go_struct! {
    /// A volume as listings and `inspect` show it.
    pub struct Volume {
        /// RFC 3339.
        #[serde(skip_serializing_if = "is_zero")]
        pub created_at: String,
        /// `local`
        pub driver: String,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// The directory on the host.
        pub mountpoint: String,
        /// Name.
        pub name: String,
        /// The driver's options.
        pub options: Option<BTreeMap<String, String>>,
        /// `local`
        pub scope: String,
        /// Brig's own: what was kept of earlier content.
        #[serde(skip_serializing_if = "is_zero")]
        pub snapshots: Option<Vec<VolumeSnapshot>>,
        /// In `GET /system/df` only.
        #[serde(skip_serializing_if = "is_zero")]
        pub usage_data: Option<VolumeUsage>,
    }

    /// Earlier content of a volume.
    pub struct VolumeSnapshot {
        /// Name.
        pub name: String,
        /// RFC 3339.
        pub created_at: String,
    }

    /// What a volume takes.
    pub struct VolumeUsage {
        /// Containers that have it.
        pub ref_count: i64,
        /// Bytes; -1 where nobody knows.
        pub size: i64,
    }

    /// The answer to `GET /volumes`.
    pub struct VolumeList {
        /// The volumes.
        pub volumes: Option<Vec<Volume>>,
        /// What could not be looked at.
        pub warnings: Option<Vec<String>>,
    }

    /// The body of `POST /volumes/create`.
    pub struct VolumeCreateRequest {
        /// Its name; empty has one made up.
        pub name: String,
        /// Who keeps it; empty is `local`.
        pub driver: String,
        /// The driver's options.
        pub driver_opts: Option<BTreeMap<String, String>>,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// Swarm only.
        #[serde(skip_serializing_if = "is_zero")]
        pub cluster_volume_spec: Option<serde_json::Value>,
    }

    /// The answer to `POST /volumes/prune`.
    pub struct VolumesPruned {
        /// Names.
        pub volumes_deleted: Option<Vec<String>>,
        /// Bytes.
        pub space_reclaimed: u64,
    }

    /// Brig's own: how a volume's content was copied.
    pub struct VolumeCopied {
        /// Files that share their blocks with the original until one of them is changed.
        pub by_reference: u64,
        /// Files whose bytes were copied.
        pub by_bytes: u64,
    }
}
