//! Signatures made by gpg, skopeo and openssl, judged here and by skopeo: the verdicts are the same.

mod bundles;
mod hostile;
mod keyless;
mod logged;
mod verdicts;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use registry::signatures::{Policy, Subject};
use registry::{Client, Credentials};
use serde_json::{Value, json};
use testkit::Signing;

use crate::support::*;

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// The verdict on an image, or why there is none.
async fn ours(signing: &Signing, policy: &Path, image: &str) -> Result<(), String> {
    judge(signing, policy, image, true).await
}

/// The same, with or without a place of signatures beside the registry.
async fn judge(signing: &Signing, policy: &Path, image: &str, beside: bool) -> Result<(), String> {
    let policy = Policy::parse(&std::fs::read(policy).unwrap(), |path| std::fs::read(path));
    let policy = policy.map_err(|error| error.to_string())?;
    let mut config = impatient();
    let lookaside = format!("file://{}", signing.path("lookaside").display());
    if beside {
        config.lookaside = BTreeMap::from([("default".to_owned(), lookaside)]);
    }
    let client = Client::new(config).unwrap();
    let image = named(image);
    let repository = client.repository(&image, &Credentials::anonymous());
    let manifest = repository.resolve().await.map_err(|error| chain(&error))?;
    let rule = policy.of_image(&image);
    let read = |path| async move {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    };
    let found = repository
        .signatures(&manifest.descriptor.digest, &rule, read)
        .await;
    let found = found.map_err(|error| chain(&error))?;
    let subject = Subject {
        image: &image,
        manifest: &manifest.bytes,
        now: now(),
    };
    rule.check(subject, &found)
        .map_err(|error| error.to_string())
}

/// The verdict here, which has to be skopeo's too.
async fn both(signing: &Signing, policy: &Value, image: &str) -> Result<(), String> {
    let file = signing.write("policy.json", policy.to_string().as_bytes());
    let ours = ours(signing, &file, image).await;
    let (theirs, said) = signing.judged(&file, image);
    assert_eq!(
        ours.is_ok(),
        theirs,
        "{image} {policy}: {ours:?}, skopeo: {said}"
    );
    ours
}

/// Both accept, or both refuse and the reason here has these words in it.
async fn expect(signing: &Signing, policy: &Value, image: &str, why: &str) {
    let found = both(signing, policy, image).await;
    let as_said = match &found {
        Ok(()) => why.is_empty(),
        Err(refused) => !why.is_empty() && refused.contains(why),
    };
    assert!(as_said, "{image} {policy} {why:?}: {found:?}");
}

/// A policy that demands this of everything.
fn demand(requirement: Value) -> Value {
    json!({ "default": [requirement] })
}

/// Runs openssl in the directory of a test.
fn openssl(signing: &Signing, words: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(words)
        .current_dir(signing.path(""))
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words:?}: {said}");
    output.stdout
}

/// Signs as cosign does, with a key in PEM.
fn sign(signing: &Signing, key: &str, message: &[u8]) -> Vec<u8> {
    signing.write("message", message);
    openssl(signing, &["dgst", "-sha256", "-sign", key, "message"])
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

/// What cosign signs.
fn payload(image: &str, manifest: &types::Digest) -> Vec<u8> {
    json!({
        "critical": {
            "identity": { "docker-reference": image },
            "image": { "docker-manifest-digest": manifest.to_string() },
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string()
    .into_bytes()
}

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// Attaches signatures to a manifest as cosign does: what is signed, and annotations.
async fn attach(image: &str, manifest: &types::Digest, signatures: &[(Vec<u8>, Value)]) {
    let tag = format!("{}.sig", manifest.to_string().replace(':', "-"));
    let tagged = named(image).with_tag(&tag).unwrap();
    let repository = anonymous(&client(), &tagged.to_string());
    let config =
        b"{\"architecture\":\"\",\"os\":\"\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    let config_descriptor = describe(CONFIG, config);
    repository
        .upload(&config_descriptor, source(config))
        .await
        .unwrap();
    let mut layers = Vec::new();
    let mut uploaded = std::collections::HashSet::new();
    for (payload, annotations) in signatures {
        let descriptor = describe(SIMPLE_SIGNING, payload);
        if uploaded.insert(descriptor.digest.clone()) {
            repository
                .upload(&descriptor, source(payload))
                .await
                .unwrap();
        }
        let mut entry = entry(&descriptor);
        entry["annotations"] = annotations.clone();
        layers.push(entry);
    }
    let document = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": entry(&config_descriptor),
        "layers": layers,
    });
    let bytes = Bytes::from(document.to_string());
    repository
        .put_manifest(Some(&tag), MANIFEST, bytes)
        .await
        .unwrap();
}
