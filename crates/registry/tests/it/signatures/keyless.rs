//! Keys that live for minutes: an authority that certifies them and a log that dates them, both made by
//! openssl as Fulcio and Rekor make theirs; and an authority of one's own.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testkit::Signing;
use testkit::registry::Registry;

use super::{attach, base64, both, demand, now, openssl, payload, sign};
use crate::support::*;

pub(super) const ISSUER: &str = "https://accounts.example.com";
pub(super) const EMAIL: &str = "ann@example.com";

/// `ca.pem`, `leaf.pem` and `leaf.key`, `rekor.pub` and `rekor.key`.
pub(super) fn authorities(signing: &Signing) {
    let curve = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let own = [
        "req",
        "-x509",
        "-days",
        "2",
        "-subj",
        "/CN=fulcio",
        "-keyout",
        "ca.key",
    ];
    openssl(signing, &[&own[..], &curve, &["-out", "ca.pem"]].concat());
    let asked = [
        "req", "-new", "-subj", "/CN=x", "-keyout", "leaf.key", "-out", "leaf.csr",
    ];
    openssl(signing, &[&asked[..], &curve].concat());
    let issuer: String = ISSUER.bytes().map(|byte| format!(":{byte:02x}")).collect();
    let extensions = format!(
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n\
         subjectAltName=email:{EMAIL},DNS:build.example.com\n\
         1.3.6.1.4.1.57264.1.1=DER{issuer}\n"
    );
    signing.write("extensions", extensions.as_bytes());
    let signed = [
        "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
    ];
    let more = [
        "-CAcreateserial",
        "-days",
        "1",
        "-extfile",
        "extensions",
        "-out",
        "leaf.pem",
    ];
    openssl(signing, &[&signed[..], &more].concat());
    let key = [
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        "rekor.key",
    ];
    openssl(signing, &key);
    openssl(
        signing,
        &["ec", "-in", "rekor.key", "-pubout", "-out", "rekor.pub"],
    );
}

pub(super) fn read(signing: &Signing, name: &str) -> Vec<u8> {
    std::fs::read(signing.path(name)).unwrap()
}

/// What a log promises to have at a time.
fn promise(signing: &Signing, signature: &[u8], payload: &[u8], at: i64) -> Value {
    let hash: String = Sha256::digest(payload)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let body = json!({
        "apiVersion": "0.0.1", "kind": "hashedrekord",
        "spec": {
            "data": { "hash": { "algorithm": "sha256", "value": hash } },
            "signature": {
                "content": base64(signature),
                "publicKey": { "content": base64(&read(signing, "leaf.pem")) },
            },
        },
    });
    let body = base64(body.to_string().as_bytes());
    let canonical = format!(
        "{{\"body\":\"{body}\",\"integratedTime\":{at},\"logID\":\"c0ffee\",\"logIndex\":7}}"
    );
    let timestamp = base64(&sign(signing, "rekor.key", canonical.as_bytes()));
    let payload: Value = serde_json::from_str(&canonical).unwrap();
    json!({ "SignedEntryTimestamp": timestamp, "Payload": payload })
}

fn annotations(signing: &Signing, signature: &[u8], promise: &Value) -> Value {
    json!({
        "dev.cosignproject.cosign/signature": base64(signature),
        "dev.sigstore.cosign/certificate": String::from_utf8(read(signing, "leaf.pem")).unwrap(),
        "dev.sigstore.cosign/chain": String::from_utf8(read(signing, "ca.pem")).unwrap(),
        "dev.sigstore.cosign/bundle": promise.to_string(),
    })
}

fn fulcio(signing: &Signing, issuer: &str, email: &str) -> Value {
    demand(json!({
        "type": "sigstoreSigned",
        "fulcio": { "caPath": signing.path("ca.pem"), "oidcIssuer": issuer, "subjectEmail": email },
        "rekorPublicKeyPath": signing.path("rekor.pub"),
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certified_keys_are_judged_as_skopeo_judges_them() {
    let (Some(registry), Some(signing)) = (Registry::start(), Signing::start()) else {
        return;
    };
    authorities(&signing);
    let image = format!("{}/team/app:1", registry.address());
    let manifest = push(&at(registry.address(), "team/app:1"), &noise(30, 3000))
        .await
        .digest;
    let signed = payload(&image, &manifest);
    let signature = sign(&signing, "leaf.key", &signed);
    let good = promise(&signing, &signature, &signed, now());
    let mut tampered = good.clone();
    tampered["Payload"]["logIndex"] = json!(8);
    let mut more = good.clone();
    more["Payload"]["more"] = json!(8);
    let late = promise(&signing, &signature, &signed, now() + 10 * 86400);
    let early = promise(&signing, &signature, &signed, 86400);
    let other = promise(&signing, &signature, b"other", now());
    let stolen = promise(&signing, b"other", &signed, now());
    let policy = fulcio(&signing, ISSUER, EMAIL);
    let table = [
        (&good, &policy, ""),
        (
            &good,
            &fulcio(&signing, "https://other.example", EMAIL),
            "is expected",
        ),
        (
            &good,
            &fulcio(&signing, ISSUER, "eve@example.com"),
            "its certificate is for",
        ),
        (&tampered, &policy, "not signed by a key of rekorPublicKey"),
        (&more, &policy, "cannot be read"),
        (&late, &policy, "its certificate is not good"),
        (&early, &policy, "its certificate is not good"),
        (&other, &policy, "for other content"),
        (&stolen, &policy, "for another signature"),
        (&json!({}), &policy, "cannot be read"),
    ];
    for (promise, policy, why) in table {
        let annotations = annotations(&signing, &signature, promise);
        attach(&image, &manifest, &[(signed.clone(), annotations)]).await;
        let found = both(&signing, policy, &image).await;
        assert_eq!(
            found.is_ok(),
            why.is_empty(),
            "{promise} {policy} {found:?}"
        );
        assert!(
            found.is_ok() || found.as_ref().is_err_and(|e| e.contains(why)),
            "{why}: {found:?}"
        );
    }
    // Another authority of the same name.
    let annotations = annotations(&signing, &signature, &good);
    attach(&image, &manifest, &[(signed.clone(), annotations)]).await;
    both(&signing, &policy, &image).await.unwrap();
    openssl(
        &signing,
        &[
            "req",
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=fulcio",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ],
    );
    let refused = both(&signing, &policy, &image).await.unwrap_err();
    assert!(refused.contains("its certificate is not good"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_of_ones_own_is_judged_as_skopeo_judges_it() {
    let (Some(registry), Some(signing)) = (Registry::start(), Signing::start()) else {
        return;
    };
    authorities(&signing);
    let image = format!("{}/team/app:1", registry.address());
    let manifest = push(&at(registry.address(), "team/app:1"), &noise(31, 3000))
        .await
        .digest;
    let signed = payload(&image, &manifest);
    let signature = sign(&signing, "leaf.key", &signed);
    let annotations = annotations(&signing, &signature, &json!({}));
    attach(&image, &manifest, &[(signed, annotations)]).await;
    let pki = |more: Value| {
        let mut pki = json!({ "caRootsPath": signing.path("ca.pem") });
        for (name, value) in more.as_object().unwrap() {
            pki[name] = value.clone();
        }
        demand(json!({ "type": "sigstoreSigned", "pki": pki }))
    };
    let table = [
        (pki(json!({ "subjectEmail": EMAIL })), true),
        (pki(json!({ "subjectHostname": "build.example.com" })), true),
        (
            pki(json!({ "subjectEmail": EMAIL, "subjectHostname": "build.example.com" })),
            true,
        ),
        (pki(json!({ "subjectEmail": "eve@example.com" })), false),
        (
            pki(json!({ "subjectHostname": "other.example.com" })),
            false,
        ),
        (
            pki(json!({ "subjectEmail": EMAIL, "caIntermediatesPath": signing.path("ca.pem") })),
            true,
        ),
        // Nobody is named.
        (pki(json!({})), false),
    ];
    for (policy, good) in table {
        let found = both(&signing, &policy, &image).await;
        assert_eq!(found.is_ok(), good, "{policy} {found:?}");
    }
}
