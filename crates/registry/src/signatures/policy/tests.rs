//! What a policy file may say, and what is wrong with one.

use std::io;
use std::path::Path;

use super::*;

/// A key that openssl made.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEi54Zc4G6jm/p/W1xSgrsW8LgR4iT
TzHobSoN8/VKViL74X6ZmFv/1l4iWBR8XhRTCX4Hz6xEaX79whVX+O+Eyw==
-----END PUBLIC KEY-----
";

fn read(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("/key.pub") => Ok(KEY.into()),
        Some("/none.pub") => Ok(b"nothing".to_vec()),
        Some("/two.pub") => Ok(KEY.repeat(2).into()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    }
}

fn parse(text: &str) -> Result<Policy, String> {
    Policy::parse(text.as_bytes(), read).map_err(|error| error.to_string())
}

/// A policy with one requirement.
fn one(requirement: &str) -> Result<Policy, String> {
    parse(&format!("{{\"default\":[{requirement}]}}"))
}

#[test]
fn scopes_go_from_the_image_up_to_its_domains() {
    let of = |image: &str| scopes(&image.parse().unwrap()).join(" ");
    assert_eq!(
        of("busybox"),
        "docker.io/library/busybox:latest docker.io/library/busybox docker.io/library docker.io *.io"
    );
    assert_eq!(
        of("reg.eu.example.com:5000/a/b:1"),
        "reg.eu.example.com:5000/a/b:1 reg.eu.example.com:5000/a/b reg.eu.example.com:5000/a \
         reg.eu.example.com:5000 *.eu.example.com *.example.com *.com"
    );
    let digest = format!("sha256:{}", "ab".repeat(32));
    assert!(
        of(&format!("localhost/a:1@{digest}"))
            .starts_with(&format!("localhost/a@{digest} localhost/a localhost"))
    );
}

#[test]
fn the_place_of_a_rule_is_known() {
    let policy = parse(
        r#"{"default": [{"type": "reject"}], "transports": {
            "docker": {"": [{"type": "reject"}], "docker.io": [{"type": "insecureAcceptAnything"}]},
            "tarball": {"": [{"type": "insecureAcceptAnything"}]}}}"#,
    )
    .unwrap();
    let of = |image: &str| policy.of_image(&image.parse().unwrap()).place;
    assert_eq!(of("busybox"), "transports.docker[\"docker.io\"]");
    assert_eq!(of("quay.io/x"), "transports.docker[\"\"]");
    assert_eq!(policy.of_transport("oci-archive").place, "default");
    assert!(policy.of_transport("tarball").accepts_anything());
    assert!(policy.of_transport("oci-archive").rejects());
}

/// Each is refused, in these words.
fn refused<T: AsRef<str>>(table: &[(T, &str)]) {
    for (requirement, why) in table {
        let requirement = requirement.as_ref();
        let found = one(requirement).unwrap_err();
        let said = found.starts_with("default[0]: ") && found.contains(why);
        assert!(said, "{requirement}: {found}");
    }
}

fn sigstore(more: &str) -> String {
    format!(r#"{{"type":"sigstoreSigned"{more}}}"#)
}

#[test]
fn mistakes_in_requirements_are_named() {
    refused(&[
        (
            r#"{"type":"insecureAcceptAnythin"}"#,
            "the type \"insecureAcceptAnythin\" is not known",
        ),
        (
            r#"{"type":"reject","keyPath":"/x"}"#,
            "the field \"keyPath\" is not known: type are",
        ),
        (r#"{"type":"reject","type":"reject"}"#, "duplicate field"),
        (r#"{"typ":"reject"}"#, "missing field `type`"),
        ("[]", "invalid length 0"),
        (r#"{"type":"signedBy"}"#, "keyType is missing"),
        (
            r#"{"type":"signedBy","keyType":"signedByGPGKeys","keyPath":"/x"}"#,
            "\"GPGKeys\" is expected",
        ),
        (
            r#"{"type":"signedBy","keyType":"GPGKeys"}"#,
            "no key is named",
        ),
        (
            r#"{"type":"signedBy","keyType":"GPGKeys","keyPath":"/no.gpg"}"#,
            "keyPath /no.gpg: entity not found",
        ),
        (
            r#"{"type":"signedBy","keyType":"GPGKeys","keyPath":"/key.pub"}"#,
            "keyPath /key.pub: it is no OpenPGP data",
        ),
        (
            r#"{"type":"signedBy","keyType":"GPGKeys","keyData":""}"#,
            "keyData: it holds no OpenPGP public key",
        ),
        (
            r#"{"type":"signedBy","keyType":"GPGKeys","keyPaths":[]}"#,
            "keyPaths is empty",
        ),
    ]);
}

#[test]
fn mistakes_in_keys_are_named() {
    refused(&[
        (
            sigstore(""),
            "one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki is expected",
        ),
        (
            sigstore(r#","keyPath":"key.pub""#),
            "keyPath key.pub: an absolute path is expected",
        ),
        (
            sigstore(r#","keyPath":"/none.pub""#),
            "keyPath /none.pub: it holds no public key",
        ),
        (
            sigstore(r#","keyPath":"/two.pub""#),
            "it holds more than one public key",
        ),
        (sigstore(r#","keyData":"%""#), "keyData is no base64"),
        (
            sigstore(r#","keyPath":"/key.pub","keyData":"eA==""#),
            "only one of keyPath, keyPaths, keyData or keyDatas",
        ),
        (
            sigstore(r#","keyPath":"/key.pub","keyType":"GPGKeys""#),
            "the field \"keyType\" is not known",
        ),
        (
            sigstore(r#","fulcio":{"oidcIssuer":"a","subjectEmail":"b","caData":"eA=="}"#),
            "fulcio is there without a key of a log",
        ),
        (
            sigstore(
                r#","rekorPublicKeyPath":"/key.pub","fulcio":{"oidcIssuer":"a","subjectEmail":"b"}"#,
            ),
            "fulcio: no authority is named",
        ),
        (
            sigstore(
                r#","rekorPublicKeyPath":"/key.pub","fulcio":{"subjectEmail":"b","caPath":"/key.pub"}"#,
            ),
            "fulcio: missing field `oidcIssuer`",
        ),
        (
            sigstore(
                r#","rekorPublicKeyPath":"/key.pub","fulcio":{"oidcIssuer":"a","subjectEmail":"b","caPath":"/key.pub"}"#,
            ),
            "fulcio: caPath /key.pub: it holds no certificate",
        ),
        (
            sigstore(r#","pki":{"caRootsPath":"/key.pub","subject":"x"}"#),
            "pki: the field \"subject\" is not known",
        ),
    ]);
}

#[test]
fn mistakes_in_identities_are_named() {
    let identity = |more: &str| {
        sigstore(&format!(
            r#","keyPath":"/key.pub","signedIdentity":{{{more}}}"#
        ))
    };
    refused(&[
        (
            identity(r#""type":"matchAll""#),
            "signedIdentity: the type \"matchAll\" is not known",
        ),
        (
            identity(r#""type":"exactReference","dockerReference":"busybox""#),
            "a reference with a tag or a digest is expected",
        ),
        (
            identity(r#""type":"exactReference""#),
            "dockerReference is missing",
        ),
        (
            identity(r#""type":"exactRepository","dockerRepository":"busybox:1""#),
            "a repository without a tag or a digest is expected",
        ),
        (
            identity(r#""type":"remapIdentity","prefix":"a.b/","signedPrefix":"c.d""#),
            "prefix is \"a.b/\"",
        ),
        (
            identity(r#""type":"matchExact","prefix":"a.b""#),
            "the field \"prefix\" is not known",
        ),
    ]);
}

#[test]
fn mistakes_in_the_file_are_named() {
    let table = [
        ("", "it is no policy: EOF"),
        ("{}", "it is no policy: missing field `default`"),
        (r#"{"default":[]}"#, "default: there is no requirement"),
        (
            r#"{"default":[{"type":"reject"}],"more":1}"#,
            "it is no policy: unknown field `more`",
        ),
        (
            r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a":[],"a":[]}}}"#,
            "the field \"a\" is there twice",
        ),
        (
            r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a":[1]}}}"#,
            "transports.docker[\"a\"][0]: ",
        ),
    ];
    for (text, why) in table {
        let found = parse(text).unwrap_err();
        assert!(
            found.starts_with(why) || found.contains(why),
            "{text}: {found}"
        );
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
}

#[test]
fn what_needs_no_file_is_read_without_one() {
    let good = [
        r#"{"type":"insecureAcceptAnything"}"#,
        r#"{"type":"sigstoreSigned","keyPath":"/key.pub"}"#,
        r#"{"type":"sigstoreSigned","keyPaths":["/key.pub","/key.pub"],"signedIdentity":{"type":"matchExact"}}"#,
        r#"{"type":"sigstoreSigned","keyPath":"/key.pub","rekorPublicKeyPaths":["/key.pub"]}"#,
        r#"{"type":"sigstoreSigned","keyPath":"/key.pub","signedIdentity":
            {"type":"remapIdentity","prefix":"localhost:5000/a","signedPrefix":"docker.io/library"}}"#,
    ];
    for requirement in good {
        one(requirement).unwrap();
    }
}
