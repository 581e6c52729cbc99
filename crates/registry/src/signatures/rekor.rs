//! The promise of a Rekor log that it has a signature: cosign's annotation `dev.sigstore.cosign/bundle`
//! with a signed entry timestamp.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::{self, SectionKind};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::key::PublicKey;
use crate::manifest::shorten;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    #[serde(rename = "SignedEntryTimestamp")]
    timestamp: String,
    #[serde(rename = "Payload")]
    entry: Entry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    body: String,
    #[serde(rename = "integratedTime")]
    time: i64,
    #[serde(rename = "logID")]
    log: String,
    #[serde(rename = "logIndex")]
    index: i64,
}

/// What the log has: a hash that a key has signed. What else is said there is not needed.
#[derive(Debug, Deserialize)]
struct Record {
    #[serde(rename = "apiVersion")]
    version: String,
    kind: String,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
struct Spec {
    data: Data,
    signature: Signature,
}

#[derive(Debug, Deserialize)]
struct Data {
    hash: Hash,
}

#[derive(Debug, Deserialize)]
struct Hash {
    algorithm: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    content: String,
    public_key: Content,
}

#[derive(Debug, Deserialize)]
struct Content {
    content: String,
}

/// What the log has to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logged<'a> {
    /// DER of the key or the certificate.
    pub(super) signer: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) payload: &'a [u8],
}

/// When a log of one of these keys has taken the signature in, in seconds since 1970.
///
/// # Errors
/// Why its promise is none, or is about something else.
pub(super) fn check(keys: &[PublicKey], bundle: &str, logged: Logged<'_>) -> Result<i64, String> {
    let bundle: Bundle = serde_json::from_str(bundle).map_err(|error| {
        format!(
            "the log's promise cannot be read: {}",
            shorten(&error.to_string())
        )
    })?;
    let timestamp = decode(&bundle.timestamp, "timestamp")?;
    let signed = canonical(&bundle.entry)?;
    if !keys
        .iter()
        .any(|key| key.verifies(signed.as_bytes(), &timestamp))
    {
        return Err("the log's promise is not signed by a key of rekorPublicKey".to_owned());
    }
    let body = decode(&bundle.entry.body, "entry")?;
    let record: Record = serde_json::from_slice(&body).map_err(|error| {
        format!(
            "the log's entry cannot be read: {}",
            shorten(&error.to_string())
        )
    })?;
    compare(&record, logged)?;
    Ok(bundle.entry.time)
}

/// RFC 8785: what the log has signed. The two texts need nothing escaped, or they are refused.
fn canonical(entry: &Entry) -> Result<String, String> {
    let Entry {
        body,
        time,
        log,
        index,
    } = entry;
    let plain = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/=-_".contains(&b))
    };
    if !plain(body) || !plain(log) {
        return Err("the log's promise cannot be read: base64 is expected".to_owned());
    }
    Ok(format!(
        "{{\"body\":\"{body}\",\"integratedTime\":{time},\"logID\":\"{log}\",\"logIndex\":{index}}}"
    ))
}

fn compare(record: &Record, logged: Logged<'_>) -> Result<(), String> {
    let Record {
        version,
        kind,
        spec,
    } = record;
    if (kind.as_str(), version.as_str()) != ("hashedrekord", "0.0.1") {
        let (kind, version) = (shorten(kind), shorten(version));
        return Err(format!(
            "the log's entry is a {kind:?} {version:?}, hashedrekord 0.0.1 is expected"
        ));
    }
    let key = decode(&spec.signature.public_key.content, "key")?;
    let signer = pem::from_buf(&mut &*key).ok().flatten();
    let known = |kind| matches!(kind, SectionKind::PublicKey | SectionKind::Certificate);
    if signer.is_none_or(|(kind, der)| !known(kind) || der != logged.signer) {
        return Err("the log's entry is for another key".to_owned());
    }
    if decode(&spec.signature.content, "signature")? != logged.signature {
        return Err("the log's entry is for another signature".to_owned());
    }
    let hash: String = Sha256::digest(logged.payload)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let found = &spec.data.hash;
    if found.algorithm != "sha256" || found.value != hash {
        return Err("the log's entry is for other content".to_owned());
    }
    Ok(())
}

fn decode(text: &str, what: &str) -> Result<Vec<u8>, String> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map_err(|_| format!("the log's {what} is no base64"))
}
