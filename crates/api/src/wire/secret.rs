//! Secrets: Brig's own, without a swarm.

use std::collections::BTreeMap;

use super::{go_struct, is_zero};

go_struct! {
    /// All about a secret but what it says.
    pub struct Secret {
        /// Id.
        #[serde(rename = "ID")]
        pub id: String,
        /// Name.
        pub name: String,
        /// RFC 3339.
        pub created_at: String,
        /// RFC 3339.
        pub updated_at: String,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
    }

    /// The body of `POST /brig/secrets` and of `POST /brig/secrets/{name}/update`.
    pub struct SecretRequest {
        /// Name; of an update empty.
        #[serde(skip_serializing_if = "is_zero")]
        pub name: String,
        /// What it says, in base64.
        pub data: String,
        /// Labels.
        #[serde(skip_serializing_if = "is_zero")]
        pub labels: Option<BTreeMap<String, String>>,
    }
}
