//! What is said to and of registries.

use serde_json::Value;

use super::{Descriptor, go_struct, is_zero};

go_struct! {
    /// Who somebody is to a registry: the header `X-Registry-Auth` and the body of `POST /auth`.
    pub struct AuthConfig {
        /// The user.
        #[serde(rename = "username", skip_serializing_if = "is_zero")]
        pub username: String,
        /// The password, or an access token.
        #[serde(rename = "password", skip_serializing_if = "is_zero")]
        pub password: String,
        /// `user:password` in base64, in files.
        #[serde(rename = "auth", skip_serializing_if = "is_zero")]
        pub auth: String,
        /// The registry.
        #[serde(rename = "serveraddress", skip_serializing_if = "is_zero")]
        pub server_address: String,
        /// A refresh token.
        #[serde(rename = "identitytoken", skip_serializing_if = "is_zero")]
        pub identity_token: String,
        /// A bearer token to send as it is.
        #[serde(rename = "registrytoken", skip_serializing_if = "is_zero")]
        pub registry_token: String,
    }

    /// The answer to `POST /auth`.
    pub struct AuthResponse {
        /// `Login Succeeded`
        pub status: String,
        /// A token to use instead of the password.
        pub identity_token: String,
    }

    /// A line of `GET /images/search`.
    pub struct SearchResult {
        /// How many like it.
        #[serde(rename = "star_count")]
        pub star_count: i64,
        /// One of Docker's own library.
        #[serde(rename = "is_official")]
        pub is_official: bool,
        /// Its name.
        #[serde(rename = "name")]
        pub name: String,
        /// Built by the registry.
        #[serde(rename = "is_automated")]
        pub is_automated: bool,
        /// What its owner says of it.
        #[serde(rename = "description")]
        pub description: String,
    }

    /// The answer to `GET /distribution/{name}/json`.
    pub struct DistributionInspect {
        /// What names it.
        pub descriptor: Descriptor,
        /// What it runs on.
        pub platforms: Vec<OciPlatform>,
    }

    /// A platform as OCI writes it.
    pub struct OciPlatform {
        /// Processor.
        #[serde(rename = "architecture")]
        pub architecture: String,
        /// Operating system.
        #[serde(rename = "os")]
        pub os: String,
        /// Its version.
        #[serde(rename = "os.version", skip_serializing_if = "is_zero")]
        pub os_version: String,
        /// What it has to have.
        #[serde(rename = "os.features", skip_serializing_if = "is_zero")]
        pub os_features: Vec<String>,
        /// Processor's variant.
        #[serde(rename = "variant", skip_serializing_if = "is_zero")]
        pub variant: String,
    }

    /// A manifest as a registry has it; Brig's own.
    pub struct RegistryManifest {
        /// What names it.
        pub descriptor: Descriptor,
        /// The document, as it is.
        pub document: String,
        /// What an image runs on, when asked for.
        #[serde(skip_serializing_if = "is_zero")]
        pub platform: Option<OciPlatform>,
    }

    /// What a check of the store found; Brig's own.
    pub struct CheckReport {
        /// Blobs looked at.
        pub blobs: i64,
        /// Layers looked at.
        pub layers: i64,
        /// Images.
        pub images: i64,
        /// What is wrong.
        pub problems: Vec<CheckProblem>,
    }

    /// Something that is wrong in the store.
    pub struct CheckProblem {
        /// One sentence.
        pub text: String,
        /// `repair`, `mended`, `pull-again`, `in-use` or `none`
        pub remedy: String,
        /// Images it is part of.
        pub images: Vec<String>,
    }

    /// Where an image is mounted; Brig's own.
    pub struct ImageMount {
        /// The image.
        pub id: String,
        /// What names it.
        pub repo_tags: Vec<String>,
        /// The directory.
        pub mountpoint: String,
    }

    /// What ends a push, for programs.
    pub struct PushResult {
        /// The tag.
        pub tag: String,
        /// What it means now.
        pub digest: String,
        /// Bytes.
        pub size: i64,
    }
}

impl From<&types::Platform> for OciPlatform {
    fn from(platform: &types::Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            os_version: String::new(),
            os_features: Vec::new(),
            variant: platform.variant.clone().unwrap_or_default(),
        }
    }
}

impl PushResult {
    /// As `aux` of a message.
    pub fn to_value(&self) -> Value {
        // A map with string keys always serializes.
        serde_json::to_value(self).unwrap_or_default()
    }
}
