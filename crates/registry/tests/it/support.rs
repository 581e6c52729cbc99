//! Clients that do not wait long, and images made of nothing.

use std::io::{self, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use registry::{
    Blob, Client, Config, Credential, Credentials, Descriptor, Error, Repository, Source,
};
use sha2::{Digest as _, Sha256};
use testkit::registry::{PASSWORD, Reply, Request, USER};
use types::{Digest, ImageRef};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A configuration that does not ask often.
pub(crate) fn impatient() -> Config {
    let mut config = Config::default();
    config.limits.attempts = 3;
    config.limits.backoff_milliseconds = 1;
    config.limits.longest_wait_seconds = 3;
    config
}

pub(crate) fn configured(text: &str) -> Client {
    let mut config: Config = toml::from_str(text).unwrap();
    config.limits = impatient().limits;
    Client::new(config).unwrap()
}

pub(crate) fn client() -> Client {
    Client::new(impatient()).unwrap()
}

/// One that takes a silence of so many seconds for the end of a transfer. Only for servers that are
/// silent on purpose: a busy machine's may be so by chance.
pub(crate) fn stalling_after(seconds: u64) -> Client {
    let mut config = impatient();
    config.limits.stall_seconds = seconds;
    Client::new(config).unwrap()
}

/// The repository of a reference, as nobody in particular.
pub(crate) fn anonymous(client: &Client, reference: &str) -> Repository {
    client.repository(&named(reference), &Credentials::anonymous())
}

pub(crate) fn at(address: &str, rest: &str) -> Repository {
    anonymous(&client(), &format!("{address}/{rest}"))
}

pub(crate) fn ann() -> Credential {
    Credential::Password {
        username: USER.into(),
        password: PASSWORD.into(),
    }
}

pub(crate) fn named(reference: &str) -> ImageRef {
    reference.parse().unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::sha256(Sha256::digest(bytes).into())
}

pub(crate) fn describe(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type, digest(bytes), bytes.len() as u64)
}

/// Bytes that do not repeat, always the same for a seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Bytes as a source.
pub(crate) fn source(bytes: &[u8]) -> Arc<dyn Source> {
    let bytes = Bytes::copy_from_slice(bytes);
    Arc::new(move |offset: u64| {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let reader: Box<dyn Read + Send> = Box::new(Cursor::new(bytes.slice(from..)));
        Ok(reader)
    })
}

/// A manifest of a configuration and layers.
pub(crate) fn manifest(config: &Descriptor, layers: &[Descriptor]) -> Bytes {
    let layers: Vec<_> = layers.iter().map(entry).collect();
    let text = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": entry(config), "layers": layers,
        "unknown": { "kept": true },
    });
    Bytes::from(text.to_string())
}

pub(crate) fn entry(descriptor: &Descriptor) -> serde_json::Value {
    serde_json::json!({
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest.to_string(),
        "size": descriptor.size,
    })
}

/// Pushes an image of one layer, and returns what its tag names.
pub(crate) async fn push(repository: &Repository, layer: &[u8]) -> Descriptor {
    let config = b"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    let config_descriptor = describe(CONFIG, config);
    let layer_descriptor = describe(LAYER, layer);
    repository
        .upload(&config_descriptor, source(config))
        .await
        .unwrap();
    repository
        .upload(&layer_descriptor, source(layer))
        .await
        .unwrap();
    let bytes = manifest(&config_descriptor, &[layer_descriptor]);
    let tag = repository.reference().tag().map(str::to_owned);
    repository
        .put_manifest(tag.as_deref(), MANIFEST, bytes)
        .await
        .unwrap()
}

/// All bytes that are left of a blob.
pub(crate) async fn drain(mut blob: Blob) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

/// A chain of errors as people see it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text += &format!(": {source}");
        next = source.source();
    }
    text
}

/// Does something the first so many times it is asked to.
#[derive(Debug, Default)]
pub(crate) struct First(AtomicU64);

impl First {
    pub(crate) fn is(&self, times: u64) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) < times
    }
}

/// A manifest as a registry sends it.
pub(crate) fn sent(bytes: &[u8]) -> Reply {
    Reply::new(200, bytes)
        .header("Content-Type", MANIFEST)
        .header("Docker-Content-Digest", &digest(bytes).to_string())
}

/// The part of a blob that a request asks for.
pub(crate) fn ranged(request: &Request, bytes: &[u8]) -> Reply {
    let from = request.header("range").and_then(|r| {
        r.strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    match from {
        None => Reply::new(200, bytes),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            Reply::new(206, &bytes[from..]).header("Content-Range", &range)
        }
    }
}
