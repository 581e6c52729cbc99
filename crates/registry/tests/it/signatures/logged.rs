//! Bundles of whose signatures a log speaks: with a key, and with a key that lived for minutes. The
//! authority and the log are openssl's.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testkit::Signing;

use super::bundles::{BUNDLE, IN_TOTO, SIGNED, Signed, by_digest, envelope, message, statement};
use super::keyless::{EMAIL, ISSUER, authorities, read};
use super::{base64, now, sign};
use crate::support::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a log keeps of a bundle's signature: as `dsse` of what the envelope holds, or as `hashedrekord` of
/// the manifest.
fn record(bundle: &Value, signer: &[u8], manifest: &[u8]) -> Value {
    use base64::Engine as _;
    let enveloped = &bundle["dsseEnvelope"];
    let hash =
        |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex(&Sha256::digest(bytes)) });
    if enveloped.is_object() {
        let payload = enveloped["payload"].as_str().unwrap();
        let payload = base64::prelude::BASE64_STANDARD.decode(payload).unwrap();
        return json!({
            "apiVersion": "0.0.1", "kind": "dsse",
            "spec": {
                "envelopeHash": hash(enveloped.to_string().as_bytes()),
                "payloadHash": hash(&payload),
                "signatures": [{
                    "signature": enveloped["signatures"][0]["sig"], "verifier": base64(signer),
                }],
            },
        });
    }
    json!({
        "apiVersion": "0.0.1", "kind": "hashedrekord",
        "spec": {
            "data": { "hash": hash(manifest) },
            "signature": {
                "content": bundle["messageSignature"]["signature"],
                "publicKey": { "content": base64(signer) },
            },
        },
    })
}

/// A log's entry with its promise, as Rekor gives it.
fn entry(signing: &Signing, record: &Value, at: i64) -> Value {
    let body = base64(record.to_string().as_bytes());
    let log = Sha256::digest(read(signing, "rekor.pub"));
    let canonical = format!(
        "{{\"body\":\"{body}\",\"integratedTime\":{at},\"logID\":\"{}\",\"logIndex\":7}}",
        hex(&log)
    );
    let timestamp = base64(&sign(signing, "rekor.key", canonical.as_bytes()));
    json!({
        "logIndex": "7", "logId": { "keyId": base64(&log) }, "integratedTime": at.to_string(),
        "kindVersion": { "kind": record["kind"], "version": "0.0.1" },
        "inclusionPromise": { "signedEntryTimestamp": timestamp },
        "inclusionProof": { "logIndex": "7", "rootHash": "", "treeSize": "8", "hashes": [] },
        "canonicalizedBody": body,
    })
}

/// A bundle with one entry of a log.
fn logged(mut bundle: Value, entry: Value) -> Value {
    bundle["verificationMaterial"]["tlogEntries"] = json!([entry]);
    bundle
}

/// The same with the certificate of the key that lived for minutes.
fn certified(signing: &Signing, mut bundle: Value) -> Value {
    let pem = String::from_utf8(read(signing, "leaf.pem")).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    bundle["verificationMaterial"]["certificate"] = json!({ "rawBytes": der });
    bundle
}

fn keyless(signing: &Signing, email: &str) -> Value {
    json!({
        "type": "sigstoreSigned",
        "fulcio": {
            "caPath": signing.path("ca.pem"), "oidcIssuer": ISSUER, "subjectEmail": email,
        },
        "rekorPublicKeyPath": signing.path("rekor.pub"),
    })
}

fn enveloped(signing: &Signing, key: &str, manifest: &[u8]) -> Value {
    let statement = statement(SIGNED, &digest(manifest));
    envelope(signing, key, IN_TOTO, &statement)
}

/// Whether a verdict is what is expected: good if `why` is empty, else refused in these words.
fn judged(found: &Result<(), String>, why: &str) -> bool {
    match found {
        Ok(()) => why.is_empty(),
        Err(refused) => !why.is_empty() && refused.contains(why),
    }
}

/// What a case is made of: a bundle without a log, what a log keeps of it, and of another signature.
struct Parts<'a> {
    signing: &'a Signing,
    one: Value,
    kept: Value,
    other: Value,
}

impl Parts<'_> {
    fn with(&self, kept: &Value, at: i64) -> Value {
        let entry = entry(self.signing, kept, at);
        certified(self.signing, logged(self.one.clone(), entry))
    }

    /// A good one with its entry changed.
    fn changed(&self, change: impl Fn(&mut Value)) -> Value {
        let mut bundle = self.with(&self.kept, now());
        change(&mut bundle["verificationMaterial"]["tlogEntries"][0]);
        bundle
    }
}

/// Makes a bundle of a key's for a manifest.
type Form = fn(&Signing, &str, &[u8]) -> Value;

/// How a bundle is made, whom the policy names, and why it does not count.
type Case = (fn(&Parts<'_>) -> Value, &'static str, &'static str);

const CASES: [Case; 9] = [
    (|parts| parts.with(&parts.kept, now()), EMAIL, ""),
    (
        |parts| parts.with(&parts.kept, now()),
        "eve@example.com",
        "its certificate is for",
    ),
    (
        |parts| parts.with(&parts.kept, now() + 10 * 86400),
        EMAIL,
        "its certificate is not good",
    ),
    (
        |parts| parts.changed(|entry| entry["integratedTime"] = json!("1900000000")),
        EMAIL,
        "not signed by a key of rekorPublicKey",
    ),
    (
        |parts| {
            parts.changed(|entry| drop(entry.as_object_mut().unwrap().remove("inclusionPromise")))
        },
        EMAIL,
        "comes without a promise",
    ),
    (
        |parts| certified(parts.signing, parts.one.clone()),
        EMAIL,
        "no log promises",
    ),
    (
        |parts| logged(parts.one.clone(), entry(parts.signing, &parts.kept, now())),
        EMAIL,
        "without a certificate",
    ),
    (
        |parts| parts.with(&parts.other, now()),
        EMAIL,
        "for another signature",
    ),
    (
        |parts| {
            let mut new = parts.kept.clone();
            new["apiVersion"] = json!("0.0.2");
            parts.with(&new, now())
        },
        EMAIL,
        "0.0.1 is expected",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_lived_for_minutes_count_with_a_logs_promise() {
    let Some(signed) = Signed::start() else {
        return;
    };
    let signing = &signed.signing;
    authorities(signing);
    let leaf = read(signing, "leaf.pem");
    let forms: [Form; 2] = [enveloped, message];
    for (form, make) in (0..).zip(forms) {
        for (case, (bundle, email, why)) in (0..).zip(CASES) {
            let name = format!("team/app{form}-{case}:1");
            let (image, manifest) = signed.image(100 + form * 20 + case, &name).await;
            let one = make(signing, "leaf.key", &manifest);
            let other = make(signing, "leaf.key", &manifest);
            let parts = Parts {
                signing,
                kept: record(&one, &leaf, &manifest),
                other: record(&other, &leaf, &manifest),
                one,
            };
            let bundle = bundle(&parts);
            signed.attach(&name, &manifest, BUNDLE, &bundle).await;
            let demand = keyless(signing, email);
            let found = signed.demanded(&image, demand, by_digest()).await;
            assert!(judged(&found, why), "{form} {case} {why:?}: {found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_counts_where_a_log_has_its_signature() {
    let Some(signed) = Signed::start() else {
        return;
    };
    let signing = &signed.signing;
    authorities(signing);
    let (image, manifest) = signed.image(150, "team/app:1").await;
    let mut demand = by_digest();
    demand["rekorPublicKeyPath"] = json!(signing.path("rekor.pub"));
    let one = message(signing, "ann.key", &manifest);
    signed.attach("team/app:1", &manifest, BUNDLE, &one).await;
    let refused = signed.verdict(&image, demand.clone()).await.unwrap_err();
    assert!(
        refused.contains("no log promises that it has it"),
        "{refused}"
    );
    let bob = record(&one, &read(signing, "bob.pub"), &manifest);
    let bundle = logged(one.clone(), entry(signing, &bob, now()));
    signed
        .attach("team/app:1", &manifest, BUNDLE, &bundle)
        .await;
    let refused = signed.verdict(&image, demand.clone()).await.unwrap_err();
    assert!(
        refused.contains("the log's entry is for another key"),
        "{refused}"
    );
    let ann = record(&one, &read(signing, "ann.pub"), &manifest);
    let bundle = logged(one, entry(signing, &ann, now()));
    signed
        .attach("team/app:1", &manifest, BUNDLE, &bundle)
        .await;
    signed.verdict(&image, demand).await.unwrap();
}
