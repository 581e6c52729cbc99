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
use super::rekor::{self, Bundled, Kind, Logged};
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
    /// What logs have to say of it.
    #[serde(default)]
    tlog_entries: Vec<Bundled>,
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

/// A signature, and what it is of.
struct Signed {
    message: Vec<u8>,
    signature: Vec<u8>,
    kind: Kind,
    /// What a log keeps the hash of, where it is not the message.
    payload: Option<Vec<u8>>,
}

/// Whose signatures count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trusted<'a> {
    pub(super) trust: &'a Trust,
    /// Keys of logs, one of which must have it; empty is none asked for.
    pub(super) rekor: &'a [PublicKey],
}

/// Whether a bundle holds a signature for a manifest by who is trusted, at a time in seconds since 1970.
///
/// # Errors
/// Why it does not.
pub(super) fn check(
    bundle: &[u8],
    manifest: &[u8],
    trusted: Trusted<'_>,
    now: i64,
) -> Result<(), String> {
    let bundle: Bundle = serde_json::from_slice(bundle).map_err(unread("the bundle"))?;
    if bundle.media_type != BUNDLE {
        let found = shorten(&bundle.media_type);
        return Err(format!(
            "the bundle is of the type {found:?}, {BUNDLE} is expected"
        ));
    }
    let signed = match (&bundle.message_signature, &bundle.dsse_envelope) {
        (Some(signature), None) => message(signature, manifest)?,
        (None, Some(envelope)) => enveloped(envelope)?,
        _ => return Err("the bundle holds no signature, or more than one".to_owned()),
    };
    verify(&bundle.verification_material, &signed, trusted, now)?;
    match &bundle.dsse_envelope {
        Some(envelope) => about(envelope, &signed, manifest),
        None => Ok(()),
    }
}

/// Whether somebody who is trusted has made the signature.
fn verify(
    material: &Material,
    signed: &Signed,
    trusted: Trusted<'_>,
    now: i64,
) -> Result<(), String> {
    let made_by = |key: &PublicKey| key.verifies(&signed.message, &signed.signature);
    let logged = |signer: &[u8]| {
        let logged = Logged {
            kind: signed.kind,
            signer,
            signature: &signed.signature,
            payload: signed.payload.as_ref().unwrap_or(&signed.message),
        };
        rekor::check_bundled(trusted.rekor, &material.tlog_entries, logged)
    };
    let good = match trusted.trust {
        Trust::Keys(keys) => {
            let maker = keys.iter().find(|key| made_by(key));
            let maker = maker.ok_or("it is not made by a key that is trusted")?;
            if !trusted.rekor.is_empty() {
                logged(maker.info())?;
            }
            true
        }
        Trust::Fulcio(authority) => {
            let certificate = certificate(material)?;
            // The key lived for minutes: what counts is that it did when the log saw the signature.
            let at = logged(&certificate)?;
            made_by(&authority.key(&certificate, "", at)?)
        }
        Trust::Pki(authority) => made_by(&authority.key(&certificate(material)?, "", now)?),
    };
    good.then_some(())
        .ok_or_else(|| "it is not made by the key of its certificate".to_owned())
}

fn certificate(material: &Material) -> Result<CertificateDer<'static>, String> {
    let certificate = material.certificate.as_ref();
    let certificate = certificate.ok_or("it comes without a certificate")?;
    decode(&certificate.raw_bytes, "certificate").map(CertificateDer::from)
}

/// The manifest itself is signed.
fn message(signed: &MessageSignature, manifest: &[u8]) -> Result<Signed, String> {
    if let Some(said) = &signed.message_digest {
        let here = digest_of(Algorithm::Sha256, manifest);
        let digest = decode(&said.digest, "digest")?;
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if said.algorithm == "SHA2_256" && hex != here.hex() {
            return Err(format!("it is for sha256:{hex}, this is {here}"));
        }
    }
    Ok(Signed {
        message: manifest.to_vec(),
        signature: decode(&signed.signature, "signature")?,
        kind: Kind::Hashed,
        payload: None,
    })
}

/// A statement about the manifest is signed (DSSE protocol, "Pre-Authentication Encoding").
fn enveloped(envelope: &Envelope) -> Result<Signed, String> {
    let payload = decode(&envelope.payload, "payload")?;
    let kind = &envelope.payload_type;
    let [signature] = envelope.signatures.as_slice() else {
        let count = envelope.signatures.len();
        return Err(format!(
            "the bundle's envelope has {count} signatures, one is expected"
        ));
    };
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    Ok(Signed {
        message: [head.as_bytes(), &payload].concat(),
        signature: decode(&signature.sig, "signature")?,
        kind: Kind::Enveloped,
        payload: Some(payload),
    })
}

/// Whether a statement says that this manifest is signed, and not something else about it.
fn about(envelope: &Envelope, signed: &Signed, manifest: &[u8]) -> Result<(), String> {
    if envelope.payload_type != IN_TOTO {
        let kind = shorten(&envelope.payload_type);
        return Err(format!(
            "what is signed is of the type {kind:?}, {IN_TOTO} is expected"
        ));
    }
    let payload = signed.payload.as_deref().unwrap_or_default();
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
