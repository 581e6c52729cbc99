//! What is signed: a short document with the image's name and its manifest's digest, the same for simple
//! signing (containers-signature(5)) and for cosign, but for its type.

use serde::Deserialize;
use serde::de::IgnoredAny;
use types::{Digest, ImageRef};

use super::identity::Identity;
use crate::manifest::{digest_of, shorten};

/// The type of simple signing.
pub(super) const ATOMIC: &str = "atomic container signature";
/// The type of cosign.
pub(super) const COSIGN: &str = "cosign container image signature";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    /// Who made it and when: nobody's word.
    #[serde(rename = "optional")]
    _optional: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    #[serde(rename = "type")]
    kind: String,
    image: Image,
    identity: SignedIdentity,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedIdentity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

/// Whether a payload, whose signature has been verified, is about this image.
///
/// # Errors
/// What it is about instead.
pub(super) fn check(
    payload: &[u8],
    kind: &str,
    (image, manifest): (&ImageRef, &[u8]),
    identity: &Identity,
) -> Result<(), String> {
    let parsed: Payload = serde_json::from_slice(payload).map_err(|error| {
        format!(
            "what is signed cannot be read: {}",
            shorten(&error.to_string())
        )
    })?;
    let Critical {
        kind: found,
        image: signed,
        identity: name,
    } = parsed.critical;
    if found != kind {
        return Err(format!(
            "what is signed is a {:?}, {kind:?} is expected",
            shorten(&found)
        ));
    }
    if !identity.accepts(image, &name.reference) {
        return Err(format!("it is for {:?}", shorten(&name.reference)));
    }
    let digest: Digest = signed.digest.parse().map_err(|_| {
        format!(
            "it is for {:?}, which is no digest",
            shorten(&signed.digest)
        )
    })?;
    let here = digest_of(digest.algorithm(), manifest);
    if here != digest {
        return Err(format!("it is for the manifest {digest}, this is {here}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: &str, name: &str, digest: &str, more: &str) -> String {
        format!(
            "{{\"critical\":{{\"type\":\"{kind}\",\"image\":{{\"docker-manifest-digest\":\"{digest}\"}},\
             \"identity\":{{\"docker-reference\":\"{name}\"}}}},\"optional\":null{more}}}"
        )
    }

    #[test]
    fn what_is_signed_has_to_be_this_image() {
        let image = "r.example/a:1".parse().unwrap();
        let manifest = b"{}";
        let digest = digest_of(types::Algorithm::Sha256, manifest).to_string();
        let other = digest_of(types::Algorithm::Sha256, b"").to_string();
        let ask = |text: &str| {
            let identity = Identity::RepoDigestOrExact;
            check(text.as_bytes(), COSIGN, (&image, manifest), &identity)
                .map_err(|why| why.replace(&digest, "HERE").replace(&other, "OTHER"))
        };
        let good = text(COSIGN, "r.example/a:1", &digest, "");
        assert_eq!(ask(&good), Ok(()));
        let table = [
            (
                text(ATOMIC, "r.example/a:1", &digest, ""),
                "\"cosign container image signature\" is expected",
            ),
            (
                text(COSIGN, "r.example/b:1", &digest, ""),
                "it is for \"r.example/b:1\"",
            ),
            (
                text(COSIGN, "r.example/a:1", &other, ""),
                "it is for the manifest OTHER, this is HERE",
            ),
            (
                text(COSIGN, "r.example/a:1", "x", ""),
                "it is for \"x\", which is no digest",
            ),
            (
                text(COSIGN, "r.example/a:1", &digest, ",\"more\":1"),
                "unknown field `more`",
            ),
            (
                text(COSIGN, "r.example/a:1", &digest, ",\"optional\":1"),
                "duplicate field `optional`",
            ),
            (
                good.replace("\"image\":", "\"image\":{},\"image\":"),
                "missing field",
            ),
            (format!("{good} {{}}"), "trailing characters"),
            ("[".repeat(100_000), "what is signed cannot be read"),
            (String::new(), "what is signed cannot be read"),
        ];
        for (text, why) in table {
            let found = ask(&text).unwrap_err();
            assert!(found.contains(why), "{text:.200}: {found}");
        }
    }
}
