//! The promise of a Rekor log that it has a signature (a signed entry timestamp): in cosign's annotation
//! `dev.sigstore.cosign/bundle`, or among the entries of a sigstore bundle.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::{self, SectionKind};
use serde::Deserialize;
use serde_json::value::RawValue;
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

/// A log's entry as a sigstore bundle has it (sigstore protobuf-specs, "sigstore_rekor.proto").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundled {
    log_index: Number,
    log_id: LogId,
    integrated_time: Option<Number>,
    inclusion_promise: Option<Promise>,
    canonicalized_body: String,
}

/// What JSON of protobuf has as text; numbers are taken, too.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Plain(i64),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Promise {
    signed_entry_timestamp: String,
}

/// What the log has; what it is depends on its kind.
#[derive(Debug, Deserialize)]
struct Record {
    #[serde(rename = "apiVersion")]
    version: String,
    kind: String,
    spec: Box<RawValue>,
}

/// A hash that a key has signed. What else is said there is not needed.
#[derive(Debug, Deserialize)]
struct Hashed {
    data: Data,
    signature: Signature,
}

/// An envelope whose payload a key has signed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Enveloped {
    payload_hash: Hash,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Debug, Deserialize)]
struct EnvelopeSignature {
    signature: String,
    verifier: String,
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

/// How a log keeps what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The hash of what is signed.
    Hashed,
    /// The hash of what an envelope (DSSE) holds.
    Enveloped,
}

/// What the log has to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logged<'a> {
    pub(super) kind: Kind,
    /// DER of the key or the certificate.
    pub(super) signer: &'a [u8],
    pub(super) signature: &'a [u8],
    /// What is signed, or what is in the envelope.
    pub(super) payload: &'a [u8],
}

/// When a log of one of these keys has taken the signature in, in seconds since 1970.
///
/// # Errors
/// Why its promise is none, or is about something else.
pub(super) fn check(keys: &[PublicKey], bundle: &str, logged: Logged<'_>) -> Result<i64, String> {
    let bundle: Bundle = serde_json::from_str(bundle).map_err(unread("promise"))?;
    let timestamp = decode(&bundle.timestamp, "timestamp")?;
    promised(keys, &bundle.entry, &timestamp, logged)
}

/// The same for the entries of a sigstore bundle: one good one is enough.
///
/// # Errors
/// Why the last of them is not good.
pub(super) fn check_bundled(
    keys: &[PublicKey],
    entries: &[Bundled],
    logged: Logged<'_>,
) -> Result<i64, String> {
    let mut found = Err("no log promises that it has it".to_owned());
    for entry in entries {
        found = bundled(keys, entry, logged);
        if found.is_ok() {
            break;
        }
    }
    found
}

fn bundled(keys: &[PublicKey], entry: &Bundled, logged: Logged<'_>) -> Result<i64, String> {
    let (Some(promise), Some(time)) = (&entry.inclusion_promise, &entry.integrated_time) else {
        let why = "the log's entry comes without a promise (inclusionPromise) of when it was taken in, \
                   and a proof of inclusion is not looked at";
        return Err(why.to_owned());
    };
    let log = decode(&entry.log_id.key_id, "name")?;
    let signed = Entry {
        // As the log has signed it, whatever letters the bundle is written in.
        body: BASE64_STANDARD.encode(decode(&entry.canonicalized_body, "entry")?),
        time: number(time)?,
        log: log.iter().map(|byte| format!("{byte:02x}")).collect(),
        index: number(&entry.log_index)?,
    };
    let timestamp = decode(&promise.signed_entry_timestamp, "timestamp")?;
    promised(keys, &signed, &timestamp, logged)
}

fn number(number: &Number) -> Result<i64, String> {
    match number {
        Number::Plain(number) => Ok(*number),
        Number::Text(text) => text
            .parse()
            .map_err(|_| format!("the log's entry has {:?} for a number", shorten(text))),
    }
}

fn promised(
    keys: &[PublicKey],
    entry: &Entry,
    timestamp: &[u8],
    logged: Logged<'_>,
) -> Result<i64, String> {
    let signed = canonical(entry)?;
    if !keys
        .iter()
        .any(|key| key.verifies(signed.as_bytes(), timestamp))
    {
        return Err("the log's promise is not signed by a key of rekorPublicKey".to_owned());
    }
    let body = decode(&entry.body, "entry")?;
    let record: Record = serde_json::from_slice(&body).map_err(unread("entry"))?;
    compare(&record, logged)?;
    Ok(entry.time)
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

/// What an entry says: who has signed what, as it is there, and by which signature.
struct Claim {
    signer: String,
    signature: String,
    hash: Hash,
}

fn compare(record: &Record, logged: Logged<'_>) -> Result<(), String> {
    let claim = claim(record, logged.kind)?;
    let key = decode(&claim.signer, "key")?;
    let signer = pem::from_buf(&mut &*key).ok().flatten();
    let known = |kind| matches!(kind, SectionKind::PublicKey | SectionKind::Certificate);
    if signer.is_none_or(|(kind, der)| !known(kind) || der != logged.signer) {
        return Err("the log's entry is for another key".to_owned());
    }
    if decode(&claim.signature, "signature")? != logged.signature {
        return Err("the log's entry is for another signature".to_owned());
    }
    let hash: String = Sha256::digest(logged.payload)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    if claim.hash.algorithm != "sha256" || claim.hash.value != hash {
        return Err("the log's entry is for other content".to_owned());
    }
    Ok(())
}

fn claim(record: &Record, wanted: Kind) -> Result<Claim, String> {
    let kind = match wanted {
        Kind::Hashed => "hashedrekord",
        Kind::Enveloped => "dsse",
    };
    if (record.kind.as_str(), record.version.as_str()) != (kind, "0.0.1") {
        let (found, version) = (shorten(&record.kind), shorten(&record.version));
        return Err(format!(
            "the log's entry is a {found:?} {version:?}, {kind} 0.0.1 is expected"
        ));
    }
    let spec = record.spec.get();
    if wanted == Kind::Hashed {
        let Hashed { data, signature } = serde_json::from_str(spec).map_err(unread("entry"))?;
        return Ok(Claim {
            signer: signature.public_key.content,
            signature: signature.content,
            hash: data.hash,
        });
    }
    let envelope: Enveloped = serde_json::from_str(spec).map_err(unread("entry"))?;
    let [signature] = <[_; 1]>::try_from(envelope.signatures).map_err(|all| {
        format!(
            "the log's entry has {} signatures, one is expected",
            all.len()
        )
    })?;
    Ok(Claim {
        signer: signature.verifier,
        signature: signature.signature,
        hash: envelope.payload_hash,
    })
}

fn unread(what: &str) -> impl Fn(serde_json::Error) -> String {
    move |error| {
        let error = shorten(&error.to_string());
        format!("the log's {what} cannot be read: {error}")
    }
}

fn decode(text: &str, what: &str) -> Result<Vec<u8>, String> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map_err(|_| format!("the log's {what} is no base64"))
}
