//! Signatures of somebody else, of something else, cut, old, endless and too many: none is good, none
//! costs much, and skopeo says the same where it can be asked.

use serde_json::json;
use testkit::Signing;
use testkit::registry::{Registry, Reply, Server};
use types::Digest;

use super::{attach, base64, both, demand, expect, openssl, ours, payload, sign};
use crate::support::*;

fn start() -> Option<(Registry, Signing)> {
    Some((Registry::start()?, Signing::start()?))
}

fn gpg(signing: &Signing) -> serde_json::Value {
    let key = signing.path("ann.gpg");
    demand(json!({ "type": "signedBy", "keyType": "GPGKeys", "keyPath": key }))
}

fn sigstore(signing: &Signing) -> serde_json::Value {
    demand(json!({ "type": "sigstoreSigned", "keyPath": signing.path("ann.pub") }))
}

/// A key of sigstore as openssl has it.
fn key(signing: &Signing) {
    let make = [
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        "ann.key",
    ];
    openssl(signing, &make);
    openssl(
        signing,
        &["ec", "-in", "ann.key", "-pubout", "-out", "ann.pub"],
    );
}

/// Pushes an image of its own.
async fn image(registry: &Registry, seed: u64, name: &str) -> (String, Digest) {
    let pushed = push(&at(registry.address(), name), &noise(seed, 3000)).await;
    (format!("{}/{name}", registry.address()), pushed.digest)
}

/// What simple signing signs.
fn atomic(image: &str, manifest: &Digest) -> Vec<u8> {
    let text = String::from_utf8(payload(image, manifest)).unwrap();
    let text = text.replace(
        "cosign container image signature",
        "atomic container signature",
    );
    text.replace("\"optional\":null", "\"optional\":{}")
        .into_bytes()
}

/// Puts a signature beside the registry.
fn lay(signing: &Signing, repository: &str, manifest: &Digest, number: usize, bytes: &[u8]) {
    let (algorithm, hex) = (manifest.algorithm().as_str(), manifest.hex());
    let name = format!("lookaside/{repository}@{algorithm}={hex}/signature-{number}");
    signing.write(&name, bytes);
}

/// Has Ann sign; `how` is `--sign`, and flags before it.
fn by_ann(signing: &Signing, message: &[u8], how: &[&str]) -> Vec<u8> {
    let file = signing.write("message", message);
    let words = ["--local-user", "ann", "--output", "-"];
    signing.gpg(&[&words, how, &[file.to_str().unwrap()]].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simple_signatures_of_others_are_not_good() {
    let Some((registry, signing)) = start() else {
        return;
    };
    // It is old, so that it can have signed something long ago.
    let make = ["--quick-generate-key", "ann", "rsa2048", "sign", "never"];
    signing.gpg(&[&["--faked-system-time", "20200101T000000"], &make[..]].concat());
    signing.write("ann.gpg", &signing.gpg(&["--export", "ann"]));
    let (app, digest) = image(&registry, 40, "team/app:1").await;
    let (other, other_digest) = image(&registry, 41, "team/other:1").await;
    let sign = |message: &[u8]| by_ann(&signing, message, &["--sign"]);
    let own = atomic(&app, &digest);
    let good = sign(&own);
    let then = [
        "--faked-system-time",
        "20200201T000000",
        "--default-sig-expire",
        "10d",
        "--sign",
    ];
    let expired = by_ann(&signing, &own, &then);
    let detached = by_ann(&signing, &own, &["--detach-sign"]);
    // Not packed, so that what is changed is what is signed, and not the name of the file.
    let mut changed = by_ann(&signing, &own, &["--compress-algo", "none", "--sign"]);
    let signed = changed.windows(8).position(|word| word == b"critical");
    changed[signed.unwrap()] ^= 1;
    let policy = gpg(&signing);
    let table = [
        (good.clone(), ""),
        (expired, "has expired"),
        (sign(&atomic(&other, &digest)), "it is for \""),
        (sign(&atomic(&app, &other_digest)), "this is"),
        (
            sign(&payload(&app, &digest)),
            "\"atomic container signature\" is expected",
        ),
        (good[..good.len() - 9].to_vec(), "not good"),
        (good[..9].to_vec(), "not good"),
        (changed, "not good"),
        (Vec::new(), "not good"),
        (noise(7, 5000), "not good"),
        (own.clone(), "not good"),
        (detached, "not good"),
        (sign("[".repeat(200_000).as_bytes()), "cannot be read"),
        (sign(&vec![b' '; 8 << 20]), "more than a MiB"),
    ];
    for (signature, why) in table {
        lay(&signing, "team/app", &digest, 1, &signature);
        expect(&signing, &policy, &app, why).await;
    }
    // One good one among bad ones is enough, wherever it stands.
    lay(&signing, "team/app", &digest, 2, &good);
    both(&signing, &policy, &app).await.unwrap();
    // Good for its own image, it is carried to another.
    lay(&signing, "team/other", &other_digest, 1, &good);
    both(&signing, &policy, &other).await.unwrap_err();
    // Longer than any is looked at.
    lay(&signing, "team/app", &digest, 1, &vec![0; 2 << 20]);
    let file = signing.write("policy.json", policy.to_string().as_bytes());
    ours(&signing, &file, &app).await.unwrap();
    // gpg takes SHA-1; here it is too weak.
    let weak = by_ann(&signing, &own, &["--digest-algo", "SHA1", "--sign"]);
    lay(&signing, "team/app", &digest, 1, &weak);
    lay(&signing, "team/app", &digest, 2, &weak);
    assert!(ours(&signing, &file, &app).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_gone_sign_nothing() {
    let Some((registry, signing)) = start() else {
        return;
    };
    let (app, digest) = image(&registry, 42, "team/app:1").await;
    let sign = |name: &str, more: &[&str]| {
        let file = signing.write("message", &atomic(&app, &digest));
        let words = ["--local-user", name, "--output", "-", "--sign"];
        signing.gpg(&[more, &words, &[file.to_str().unwrap()]].concat())
    };
    // A key of 2020 that lived for a month.
    let then = ["--faked-system-time", "20200101T000000"];
    let make = ["--quick-generate-key", "old", "rsa2048", "sign", "1m"];
    signing.gpg(&[&then[..], &make].concat());
    let by_old = sign("old", &then);
    // One that was taken back; gpg keeps the words for that with the key.
    let lost = signing.key("lost", "rsa2048");
    let by_lost = sign("lost", &[]);
    let revocation = signing.path(&format!("gnupg/openpgp-revocs.d/{lost}.rev"));
    let text = std::fs::read_to_string(revocation).unwrap();
    let armor = text[text.find(":-----BEGIN").unwrap() + 1..].to_owned();
    let file = signing.write("revocation", armor.as_bytes());
    signing.gpg(&["--import", file.to_str().unwrap()]);
    for (name, signature, why) in [
        ("old", by_old, "has expired"),
        ("lost", by_lost, "is revoked"),
    ] {
        signing.write("ann.gpg", &signing.gpg(&["--export", name]));
        lay(&signing, "team/app", &digest, 1, &signature);
        let refused = both(&signing, &gpg(&signing), &app).await.unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attached_signatures_of_others_are_not_good() {
    let Some((registry, signing)) = start() else {
        return;
    };
    key(&signing);
    let (app, digest) = image(&registry, 43, "team/app:1").await;
    let (other, other_digest) = image(&registry, 44, "team/other:1").await;
    let by = |message: Vec<u8>| {
        let signature = sign(&signing, "ann.key", &message);
        (
            message,
            json!({ "dev.cosignproject.cosign/signature": base64(&signature) }),
        )
    };
    let good = by(payload(&app, &digest));
    let bare = (good.0.clone(), json!({}));
    let garbage = (
        good.0.clone(),
        json!({ "dev.cosignproject.cosign/signature": "%%%" }),
    );
    let swapped = (payload(&other, &digest), good.1.clone());
    let policy = sigstore(&signing);
    let table = [
        (vec![good.clone()], ""),
        (vec![], "there is no signature"),
        (vec![bare.clone()], "no annotation"),
        (vec![garbage.clone()], "no base64"),
        (vec![swapped.clone()], "not made by a key"),
        (vec![by(payload(&other, &digest))], "it is for \""),
        (vec![by(payload(&app, &other_digest))], "this is"),
        (vec![by("[".repeat(100_000).into_bytes())], "cannot be read"),
        (vec![by(b"{}".to_vec())], "cannot be read"),
        (vec![bare, garbage, swapped, good.clone()], ""),
    ];
    for (number, (signatures, why)) in table.into_iter().enumerate() {
        attach(&app, &digest, &signatures).await;
        let found = both(&signing, &policy, &app).await;
        assert_eq!(found.is_ok(), why.is_empty(), "{number} {found:?}");
        assert!(
            found.is_ok() || found.as_ref().is_err_and(|e| e.contains(why)),
            "{number} {found:?}"
        );
    }
    // Those of the image, carried to another repository.
    attach(&other, &other_digest, std::slice::from_ref(&good)).await;
    both(&signing, &policy, &other).await.unwrap_err();
    // Thousands: the first ones are looked at.
    let bad = by(payload(&other, &digest));
    let mut thousands = vec![bad; 3000];
    thousands.push(good.clone());
    attach(&app, &digest, &thousands).await;
    let file = signing.write("policy.json", policy.to_string().as_bytes());
    let refused = ours(&signing, &file, &app).await.unwrap_err();
    assert!(
        refused.contains("none of the signatures is good"),
        "{refused}"
    );
    thousands.swap(0, 3000);
    attach(&app, &digest, &thousands).await;
    ours(&signing, &file, &app).await.unwrap();
}

/// A registry that says of its signature whatever it likes.
fn liar(layer: serde_json::Value, sent: Vec<u8>) -> (Server, Digest) {
    let config = describe(CONFIG, b"{}");
    let image = manifest(&config, &[]);
    let digest = digest(&image);
    let signatures = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": entry(&config), "layers": [layer],
    });
    let signatures = signatures.to_string().into_bytes();
    let server = Server::start(move |request| match request.path() {
        path if path.ends_with(".sig") => crate::support::sent(&signatures),
        path if path.contains("/manifests/") => crate::support::sent(&image),
        path if path.contains("/blobs/") => Reply::new(200, sent.clone()),
        _ => Reply::new(404, ""),
    });
    (server, digest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_or_not_itself_is_not_good() {
    let Some(signing) = Signing::start() else {
        return;
    };
    key(&signing);
    let annotations = json!({ "dev.cosignproject.cosign/signature": "AAAA" });
    let layer = |size: u64| {
        json!({
            "mediaType": super::SIMPLE_SIGNING, "digest": digest(b"what").to_string(),
            "size": size, "annotations": annotations,
        })
    };
    let file = signing.write("policy.json", sigstore(&signing).to_string().as_bytes());
    let (server, _) = liar(layer(100 << 20), vec![0; 1000]);
    let image = format!("{}/app:1", server.address());
    let refused = ours(&signing, &file, &image).await.unwrap_err();
    assert!(refused.contains("one is for 104857600 bytes"), "{refused}");
    let asked = server.lines().iter().any(|line| line.contains("/blobs/"));
    assert!(!asked, "what is too long is not asked for");
    let (server, _) = liar(layer(4), b"that".to_vec());
    let image = format!("{}/app:1", server.address());
    let refused = ours(&signing, &file, &image).await.unwrap_err();
    assert!(refused.contains("not what its digest says"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_fails_is_no_registry_without_signatures() {
    let Some(signing) = Signing::start() else {
        return;
    };
    key(&signing);
    let image = manifest(&describe(CONFIG, b"{}"), &[]);
    let server = Server::start(move |request| match request.path() {
        path if path.ends_with(".sig") => Reply::new(500, ""),
        path if path.contains("/manifests/") => sent(&image),
        _ => Reply::new(404, ""),
    });
    let file = signing.write("policy.json", sigstore(&signing).to_string().as_bytes());
    let image = format!("{}/app:1", server.address());
    let failed = ours(&signing, &file, &image).await.unwrap_err();
    assert!(failed.contains("500"), "{failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_that_a_registry_keeps_are_found() {
    let Some(signing) = Signing::start() else {
        return;
    };
    signing.key("ann", "rsa2048");
    let document = manifest(&describe(CONFIG, b"{}"), &[]);
    let digest = digest(&document);
    let content = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let (kept, path) = (
        content.clone(),
        format!("/extensions/v2/team/app/signatures/{digest}"),
    );
    let server = Server::start(move |request| match request.path() {
        "/v2/" => Reply::new(200, "").header("X-Registry-Supports-Signatures", "1"),
        asked if asked == path => Reply::new(200, kept.lock().unwrap().clone()),
        asked if asked.contains("/manifests/") => sent(&document),
        _ => Reply::new(404, ""),
    });
    let image = format!("{}/team/app:1", server.address());
    let file = signing.write("message", &atomic(&image, &digest));
    let words = [
        "--local-user",
        "ann",
        "--output",
        "-",
        "--sign",
        file.to_str().unwrap(),
    ];
    let signature = signing.gpg(&words);
    let policy = signing.write("policy.json", gpg(&signing).to_string().as_bytes());
    let entry = |kind: &str, bytes: &[u8]| {
        let content = base64(bytes);
        let name = format!("{digest}@0");
        json!({ "schemaVersion": 2, "name": name, "type": kind, "content": content })
    };
    let table = [
        (
            json!({ "signatures": [entry("atomic", &signature)] }).to_string(),
            true,
        ),
        (
            json!({ "signatures": [entry("atomic", b"x"), entry("atomic", &signature)] })
                .to_string(),
            true,
        ),
        (
            json!({ "signatures": [entry("other", &signature)] }).to_string(),
            false,
        ),
        (json!({ "signatures": [] }).to_string(), false),
        ("[".repeat(100_000), false),
    ];
    // No lookaside is configured here: the registry itself is asked.
    for (answer, good) in table {
        content.lock().unwrap().clone_from(&answer);
        let found = super::judge(&signing, &policy, &image, false).await;
        assert_eq!(found.is_ok(), good, "{answer:.200} {found:?}");
    }
}
