//! Sigstore's bundles, version 0.3: one document with a signature and what is needed to verify it, as
//! cosign 3 attaches it (sigstore protobuf-specs, "sigstore_bundle.proto"). What is signed is either the
//! manifest itself or, in an envelope of its own (DSSE), a statement with the manifest's digest.
//!
//! Such a signature names no image.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use serde::de::IgnoredAny;
use types::Algorithm;

use super::key::PublicKey;
use super::policy::Trust;
use crate::manifest::{digest_of, shorten};

/// The media type of a bundle, and what a manifest with one says it is.
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Of what a DSSE envelope holds.
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// What a statement is that says no more than that somebody has signed.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
const STATEMENTS: [&str; 2] = [
    "https://in-toto.io/Statement/v1",
    "https://in-toto.io/Statement/v0.1",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    message_signature: Option<MessageSignature>,
    dsse_envelope: Option<Envelope>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<Certificate>,
    /// By which name its makers know the key: the policy names it itself.
    #[serde(rename = "publicKey")]
    _public_key: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    raw_bytes: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    message_digest: Option<MessageDigest>,
    signature: String,
}

#[derive(Debug, Deserialize)]
struct MessageDigest {
    algorithm: String,
    digest: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Deserialize)]
struct Signature {
    sig: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<StatementSubject>,
    predicate_type: String,
}

#[derive(Debug, Deserialize)]
struct StatementSubject {
    digest: Digests,
}

#[derive(Debug, Deserialize)]
struct Digests {
    sha256: Option<String>,
    sha512: Option<String>,
}

/// Whether a bundle holds a signature for a manifest by who is trusted, at a time in seconds since 1970.
///
/// # Errors
/// Why it does not.
pub(super) fn check(bundle: &[u8], manifest: &[u8], trust: &Trust, now: i64) -> Result<(), String> {
    let bundle: Bundle = serde_json::from_slice(bundle).map_err(unread("the bundle"))?;
    if bundle.media_type != BUNDLE {
        let found = shorten(&bundle.media_type);
        return Err(format!(
            "the bundle is of the type {found:?}, {BUNDLE} is expected"
        ));
    }
    let keys = keys(&bundle.verification_material, trust, now)?;
    match (&bundle.message_signature, &bundle.dsse_envelope) {
        (Some(signature), None) => message(signature, manifest, &keys),
        (None, Some(envelope)) => enveloped(envelope, manifest, &keys),
        _ => Err("the bundle holds no signature, or more than one".to_owned()),
    }
}

/// The keys that a signature may be made by.
fn keys(material: &Material, trust: &Trust, now: i64) -> Result<Vec<PublicKey>, String> {
    match trust {
        Trust::Keys(keys) => Ok(keys.clone()),
        // A key that lived for minutes is good for what a log has seen then.
        Trust::Fulcio(_) => {
            Err("a bundle's log entries are not looked at, which fulcio needs".to_owned())
        }
        Trust::Pki(authority) => {
            let certificate = material.certificate.as_ref();
            let certificate = certificate.ok_or("it comes without a certificate")?;
            let der = decode(&certificate.raw_bytes, "certificate")?;
            let key = authority.key(&CertificateDer::from(der), "", now)?;
            Ok(vec![key])
        }
    }
}

/// The manifest itself is signed.
fn message(signed: &MessageSignature, manifest: &[u8], keys: &[PublicKey]) -> Result<(), String> {
    if let Some(said) = &signed.message_digest {
        let here = digest_of(Algorithm::Sha256, manifest);
        let digest = decode(&said.digest, "digest")?;
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if said.algorithm == "SHA2_256" && hex != here.hex() {
            return Err(format!("it is for sha256:{hex}, this is {here}"));
        }
    }
    verify(keys, manifest, &decode(&signed.signature, "signature")?)
}

/// A statement about the manifest is signed (DSSE protocol, "Pre-Authentication Encoding").
fn enveloped(envelope: &Envelope, manifest: &[u8], keys: &[PublicKey]) -> Result<(), String> {
    let payload = decode(&envelope.payload, "payload")?;
    let kind = &envelope.payload_type;
    let [signature] = envelope.signatures.as_slice() else {
        let count = envelope.signatures.len();
        return Err(format!(
            "the bundle's envelope has {count} signatures, one is expected"
        ));
    };
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    let signed = [head.as_bytes(), &payload].concat();
    verify(keys, &signed, &decode(&signature.sig, "signature")?)?;
    if kind != IN_TOTO {
        let kind = shorten(kind);
        return Err(format!(
            "what is signed is of the type {kind:?}, {IN_TOTO} is expected"
        ));
    }
    about(&payload, manifest)
}

fn verify(keys: &[PublicKey], message: &[u8], signature: &[u8]) -> Result<(), String> {
    let good = keys.iter().any(|key| key.verifies(message, signature));
    good.then_some(())
        .ok_or_else(|| "it is not made by a key that is trusted".to_owned())
}

/// Whether a statement says that this manifest is signed, and not something else about it.
fn about(payload: &[u8], manifest: &[u8]) -> Result<(), String> {
    let statement: Statement = serde_json::from_slice(payload).map_err(unread("what is signed"))?;
    if !STATEMENTS.contains(&statement.kind.as_str()) {
        let kind = shorten(&statement.kind);
        return Err(format!(
            "what is signed is a {kind:?}, {:?} is expected",
            STATEMENTS[0]
        ));
    }
    if statement.predicate_type != SIGNED {
        let found = shorten(&statement.predicate_type);
        return Err(format!(
            "what is signed says {found:?}, {SIGNED:?} is expected"
        ));
    }
    let here = |algorithm| digest_of(algorithm, manifest);
    let is = |said: &Option<String>, algorithm| {
        said.as_ref().is_none_or(|hex| hex == here(algorithm).hex())
    };
    let named = statement.subject.iter().any(|subject| {
        let Digests { sha256, sha512 } = &subject.digest;
        let some = sha256.is_some() || sha512.is_some();
        some && is(sha256, Algorithm::Sha256) && is(sha512, Algorithm::Sha512)
    });
    let this = here(Algorithm::Sha256);
    named
        .then_some(())
        .ok_or_else(|| format!("what is signed is about another manifest, this is {this}"))
}

fn unread(what: &str) -> impl Fn(serde_json::Error) -> String {
    move |error| format!("{what} cannot be read: {}", shorten(&error.to_string()))
}

fn decode(text: &str, what: &str) -> Result<Vec<u8>, String> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map_err(|_| format!("the bundle's {what} is no base64"))
}
