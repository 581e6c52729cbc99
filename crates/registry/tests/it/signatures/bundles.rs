//! Sigstore's bundles as cosign 3 attaches them, made with keys of openssl's.

use serde_json::{Value, json};
use testkit::Signing;
use testkit::registry::Registry;

use super::{base64, openssl, ours, sign};
use crate::support::*;

pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(super) const IN_TOTO: &str = "application/vnd.in-toto+json";
pub(super) const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

fn key(signing: &Signing, name: &str) {
    let file = format!("{name}.key");
    let words = "ecparam -name prime256v1 -genkey -noout -out";
    openssl(
        signing,
        &[words.split(' ').collect(), vec![file.as_str()]].concat(),
    );
    let public = format!("{name}.pub");
    openssl(signing, &["ec", "-in", &file, "-pubout", "-out", &public]);
}

fn bundle(content: (&str, Value)) -> Value {
    let mut bundle = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": "key" }, "tlogEntries": [] },
    });
    bundle[content.0] = content.1;
    bundle
}

/// The manifest itself is signed.
pub(super) fn message(signing: &Signing, key: &str, manifest: &[u8]) -> Value {
    use sha2::Digest as _;
    bundle((
        "messageSignature",
        json!({
            "messageDigest": {
                "algorithm": "SHA2_256", "digest": base64(&sha2::Sha256::digest(manifest)),
            },
            "signature": base64(&sign(signing, key, manifest)),
        }),
    ))
}

/// A statement is signed.
pub(super) fn envelope(signing: &Signing, key: &str, kind: &str, payload: &[u8]) -> Value {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    let signature = sign(signing, key, &[head.as_bytes(), payload].concat());
    bundle((
        "dsseEnvelope",
        json!({
            "payload": base64(payload), "payloadType": kind,
            "signatures": [{ "sig": base64(&signature), "keyid": "" }],
        }),
    ))
}

pub(super) fn statement(predicate: &str, manifest: &types::Digest) -> Vec<u8> {
    json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": predicate, "predicate": {},
        "subject": [{ "digest": { "sha256": manifest.hex() } }],
    })
    .to_string()
    .into_bytes()
}

/// An image, its manifest, and a policy that demands a signature of Ann's.
pub(super) struct Signed {
    registry: Registry,
    pub(super) signing: Signing,
}

impl Signed {
    pub(super) fn start() -> Option<Self> {
        let (registry, signing) = (Registry::start()?, Signing::start()?);
        key(&signing, "ann");
        key(&signing, "bob");
        Some(Self { registry, signing })
    }

    /// Pushes an image, and what refers to it.
    pub(super) async fn image(&self, seed: u64, name: &str) -> (String, Vec<u8>) {
        let repository = at(self.registry.address(), name);
        push(&repository, &noise(seed, 3000)).await;
        let manifest = repository.resolve().await.unwrap();
        (
            format!("{}/{name}", self.registry.address()),
            manifest.bytes.to_vec(),
        )
    }

    pub(super) async fn attach(
        &self,
        name: &str,
        manifest: &[u8],
        media_type: &str,
        bundle: &Value,
    ) {
        let repository = at(self.registry.address(), name);
        let text = bundle.to_string().into_bytes();
        let (config, layer) = (describe(EMPTY, b"{}"), describe(media_type, &text));
        repository.upload(&config, source(b"{}")).await.unwrap();
        repository.upload(&layer, source(&text)).await.unwrap();
        let document = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": media_type,
            "config": entry(&config), "layers": [entry(&layer)],
            "subject": entry(&describe(MANIFEST, manifest)),
        });
        let bytes = bytes::Bytes::from(document.to_string());
        repository
            .put_manifest(None, MANIFEST, bytes)
            .await
            .unwrap();
    }

    pub(super) async fn verdict(&self, image: &str, more: Value) -> Result<(), String> {
        let requirement =
            json!({ "type": "sigstoreSigned", "keyPath": self.signing.path("ann.pub") });
        self.demanded(image, requirement, more).await
    }

    /// The verdict by a requirement with more fields.
    pub(super) async fn demanded(
        &self,
        image: &str,
        mut requirement: Value,
        more: Value,
    ) -> Result<(), String> {
        for (name, value) in more.as_object().unwrap() {
            requirement[name] = value.clone();
        }
        let policy = json!({ "default": [requirement] }).to_string();
        let file = self.signing.write("policy.json", policy.as_bytes());
        ours(&self.signing, &file, image).await
    }
}

pub(super) fn by_digest() -> Value {
    json!({ "signedIdentity": { "type": "matchDigest" } })
}

/// Makes a bundle for a manifest.
type Make<'a> = Box<dyn Fn(&[u8]) -> Value + 'a>;

/// Bundles, and why each does not count; `other` is another image's manifest.
fn cases<'a>(signing: &'a Signing, other: &'a [u8]) -> Vec<(Make<'a>, &'static str)> {
    let good = move |manifest: &[u8]| {
        envelope(
            signing,
            "ann.key",
            IN_TOTO,
            &statement(SIGNED, &digest(manifest)),
        )
    };
    let changed = move |manifest: &[u8]| {
        let mut bundle = good(manifest);
        bundle["dsseEnvelope"]["payload"] = base64(&statement(SIGNED, &digest(other))).into();
        bundle
    };
    vec![
        (Box::new(good), ""),
        (Box::new(move |m| message(signing, "ann.key", m)), ""),
        (
            Box::new(move |m| message(signing, "bob.key", m)),
            "not made by a key that is trusted",
        ),
        (Box::new(move |_| good(other)), "is about another manifest"),
        (
            Box::new(move |_| message(signing, "ann.key", other)),
            "it is for sha256:",
        ),
        (Box::new(changed), "not made by a key that is trusted"),
        (
            Box::new(move |m| {
                let bill = statement("https://spdx.dev/Document", &digest(m));
                envelope(signing, "ann.key", IN_TOTO, &bill)
            }),
            "what is signed says \"https://spdx.dev/Document\"",
        ),
        (
            Box::new(move |m| {
                envelope(
                    signing,
                    "ann.key",
                    "text/plain",
                    &statement(SIGNED, &digest(m)),
                )
            }),
            "is of the type \"text/plain\"",
        ),
        (
            Box::new(move |m| {
                let mut both = good(m);
                both["messageSignature"] =
                    message(signing, "ann.key", m)["messageSignature"].clone();
                both
            }),
            "no signature, or more than one",
        ),
        (
            Box::new(move |m| {
                let mut two = good(m);
                let one = two["dsseEnvelope"]["signatures"][0].clone();
                two["dsseEnvelope"]["signatures"] = json!([one, one]);
                two
            }),
            "has 2 signatures",
        ),
        (Box::new(move |_| json!([])), "the bundle cannot be read"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundles_count_where_a_digest_is_enough() {
    let Some(signed) = Signed::start() else {
        return;
    };
    let (other, other_manifest) = signed.image(60, "team/other:1").await;
    for (number, (make, why)) in (0..).zip(cases(&signed.signing, &other_manifest)) {
        let name = format!("team/app{number}:1");
        let (image, manifest) = signed.image(61 + number, &name).await;
        signed
            .attach(&name, &manifest, BUNDLE, &make(&manifest))
            .await;
        let found = signed.verdict(&image, by_digest()).await;
        let as_said = match &found {
            Ok(()) => why.is_empty(),
            Err(refused) => !why.is_empty() && refused.contains(why),
        };
        assert!(as_said, "{number} {why:?}: {found:?}");
    }
    let refused = signed.verdict(&other, by_digest()).await.unwrap_err();
    assert!(
        refused.contains("there is no signature of sigstore"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundles_name_no_image() {
    let Some(signed) = Signed::start() else {
        return;
    };
    let (image, manifest) = signed.image(80, "team/app:1").await;
    let bundle = message(&signed.signing, "ann.key", &manifest);
    let old = "application/vnd.dev.sigstore.bundle+json;version=0.2";
    signed.attach("team/app:1", &manifest, old, &bundle).await;
    let refused = signed.verdict(&image, by_digest()).await.unwrap_err();
    assert!(
        refused.contains("version=0.2\", application/vnd"),
        "{refused}"
    );
    signed
        .attach("team/app:1", &manifest, BUNDLE, &bundle)
        .await;
    signed.verdict(&image, by_digest()).await.unwrap();
    let refused = signed.verdict(&image, json!({})).await.unwrap_err();
    assert!(
        refused.contains("names no image: it counts where signedIdentity is matchDigest"),
        "{refused}"
    );
}
