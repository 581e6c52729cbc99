//! What everything takes on disk.

use serde_json::Value;

use super::{ContainerSummary, ImageSummary, Volume, go_struct, is_zero};

go_struct! {
    /// The answer to `GET /system/df`: lists before API 1.53, sums from 1.52.
    pub struct DiskUsage {
        /// Bytes of images.
        #[serde(skip_serializing_if = "is_zero")]
        pub layers_size: Option<i64>,
        /// Images.
        #[serde(skip_serializing_if = "is_zero")]
        pub images: Option<Vec<ImageSummary>>,
        /// Containers.
        #[serde(skip_serializing_if = "is_zero")]
        pub containers: Option<Vec<ContainerSummary>>,
        /// Volumes.
        #[serde(skip_serializing_if = "is_zero")]
        pub volumes: Option<Vec<Volume>>,
        /// What builds keep.
        #[serde(skip_serializing_if = "is_zero")]
        pub build_cache: Option<Vec<Value>>,
        /// Images.
        #[serde(skip_serializing_if = "is_zero")]
        pub image_usage: Option<KindUsage>,
        /// Containers.
        #[serde(skip_serializing_if = "is_zero")]
        pub container_usage: Option<KindUsage>,
        /// Volumes.
        #[serde(skip_serializing_if = "is_zero")]
        pub volume_usage: Option<KindUsage>,
        /// What builds keep.
        #[serde(skip_serializing_if = "is_zero")]
        pub build_cache_usage: Option<KindUsage>,
    }

    /// The sums of one kind.
    pub struct KindUsage {
        /// How many are in use.
        pub active_count: i64,
        /// How many there are.
        pub total_count: i64,
        /// Bytes that would be free without those that are not in use.
        pub reclaimable: i64,
        /// Bytes.
        pub total_size: i64,
        /// Each of them, when asked for.
        #[serde(skip_serializing_if = "is_zero")]
        pub items: Option<Vec<Value>>,
    }
}
