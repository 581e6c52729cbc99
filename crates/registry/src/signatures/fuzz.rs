//! What signers and strangers write, changed at random: it is taken or refused, never panics, and a
//! signature over changed bytes is never good.

use serde_json::json;
use types::ImageRef;

use super::bundle::Trusted;
use super::certificate::Authority;
use super::identity::Identity;
use super::key::PublicKey;
use super::openpgp::Keyring;
use super::policy::Trust;
use super::rekor::{self, Kind, Logged};
use super::{Policy, payload};
use crate::fuzz::mutate::{bytes, value, with_seeds};

const CASES: u64 = 1000;

/// A public key of ed25519, and a message that it has signed, by gpg.
const KEYRING: &[u8] = include_bytes!("fixtures/ann.gpg");
const MESSAGE: &[u8] = include_bytes!("fixtures/message.gpg");
const SIGNED: &[u8] = br#"{"critical":{"identity":{"docker-reference":"a.b/c:1"},"image":{"docker-manifest-digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"type":"atomic container signature"},"optional":{}}"#;
/// An authority, a certificate of its, and a key, by openssl.
const ROOT: &[u8] = include_bytes!("fixtures/ca.pem");
const LEAF: &[u8] = include_bytes!("fixtures/leaf.pem");
const KEY: &[u8] = include_bytes!("fixtures/key.pub");

/// When the fixtures were good.
const THEN: i64 = 1_900_000_000;

#[test]
fn any_message_is_opened_whole_or_refused() {
    let keyring = Keyring::parse(KEYRING).unwrap();
    assert_eq!(keyring.open(MESSAGE, THEN).as_deref(), Ok(SIGNED));
    with_seeds(CASES, "signed messages", |random| {
        let message = bytes(random, MESSAGE);
        if let Ok(signed) = keyring.open(&message, THEN) {
            assert_eq!(signed, SIGNED);
        }
    });
}

#[test]
fn any_keyring_is_taken_or_refused() {
    with_seeds(CASES, "keyrings", |random| {
        if let Ok(keyring) = Keyring::parse(&bytes(random, KEYRING))
            && let Ok(signed) = keyring.open(MESSAGE, THEN)
        {
            assert_eq!(signed, SIGNED);
        }
    });
}

#[test]
fn any_certificate_is_taken_or_refused() {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let roots = super::certificate::from_pem(ROOT).unwrap();
    let leaf = CertificateDer::from_pem_slice(LEAF).unwrap();
    let authority = Authority {
        roots,
        intermediates: Vec::new(),
        issuer: Some("https://accounts.example.com".to_owned()),
        email: Some("ann@example.com".to_owned()),
        hostname: None,
    };
    authority.key(&leaf, "", THEN).unwrap();
    with_seeds(CASES, "certificates", |random| {
        let changed = CertificateDer::from(bytes(random, &leaf));
        let taken = authority.key(&changed, "", THEN).is_ok();
        assert!(!taken || changed == leaf);
        let _ = PublicKey::from_info(&bytes(random, KEY));
        let _ = PublicKey::from_pem(&bytes(random, KEY));
    });
}

#[test]
fn any_policy_and_any_document_is_taken_or_refused() {
    let policy = json!({
        "default": [{"type": "reject"}],
        "transports": {"docker": {"docker.io": [
            {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/a", "keyPaths": ["/a"], "keyData": "eA==",
             "signedIdentity": {"type": "remapIdentity", "prefix": "a.b", "signedPrefix": "c.d"}},
            {"type": "sigstoreSigned", "keyPath": "/a", "keyDatas": ["eA=="], "rekorPublicKeyPath": "/a",
             "fulcio": {"caPath": "/a", "oidcIssuer": "a", "subjectEmail": "b"},
             "signedIdentity": {"type": "exactReference", "dockerReference": "a.b/c:1"}},
        ]}},
    });
    let promise = json!({
        "SignedEntryTimestamp": "eA==",
        "Payload": {"body": "e30=", "integratedTime": 1, "logID": "a", "logIndex": 1},
    });
    let bundle = json!({
        "mediaType": super::bundle::BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": "a"}, "tlogEntries": [{
            "logIndex": "1", "logId": {"keyId": "eA=="}, "integratedTime": "1",
            "inclusionPromise": {"signedEntryTimestamp": "eA=="}, "canonicalizedBody": "e30=",
        }]},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": "eA=="}, "signature": "eA==",
        },
        "dsseEnvelope": {
            "payload": "e30=", "payloadType": "a", "signatures": [{"sig": "eA==", "keyid": ""}],
        },
    });
    let image: ImageRef = "a.b/c:1".parse().unwrap();
    let key = PublicKey::from_pem(KEY).unwrap();
    with_seeds(CASES, "policies", |random| {
        let text = value(random, &policy).to_string();
        let text = bytes(random, text.as_bytes());
        let parsed = Policy::parse(&text, |_| Ok(KEYRING.to_vec()));
        if let Ok(policy) = parsed {
            let _ = policy.of_image(&image);
        }
        let text = bytes(random, SIGNED);
        let identity = Identity::Repository;
        let _ = payload::check(&text, payload::ATOMIC, (&image, b"{}"), &identity);
        let text = value(random, &promise).to_string();
        let logged = Logged {
            kind: Kind::Hashed,
            signer: b"",
            signature: b"",
            payload: b"",
        };
        assert!(rekor::check(std::slice::from_ref(&key), &text, logged).is_err());
        let trust = Trust::Keys(vec![key.clone()]);
        let text = value(random, &bundle).to_string();
        let text = bytes(random, text.as_bytes());
        let rekor = std::slice::from_ref(&key);
        let trusted = Trusted {
            trust: &trust,
            rekor,
        };
        assert!(super::bundle::check(&text, b"{}", trusted, THEN).is_err());
        let text = bytes(random, promise.to_string().as_bytes());
        let _ = super::lookaside::of_registry(&text);
    });
}
