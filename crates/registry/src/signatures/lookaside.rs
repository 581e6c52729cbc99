//! Where signatures of simple signing are kept beside a registry: directories and web servers by scope, as
//! in containers-registries.d(5), and the extension of registries that keep them themselves.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use reqwest::Url;
use serde::Deserialize;
use types::{Digest, ImageRef};

use super::policy::scopes;
use crate::config::InvalidConfig;

/// The scope of everything.
const DEFAULT: &str = "default";
/// What the configuration calls the setting.
const SETTING: &str = "lookaside";

/// One place of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// On this machine.
    File(PathBuf),
    /// On a web server.
    Web(Url),
}

/// Whether every place can be asked.
pub(crate) fn check(places: &BTreeMap<String, String>) -> Result<(), InvalidConfig> {
    for (scope, text) in places {
        let wrong = || {
            let expected = "file:///directory, https://host/path or http://host/path is expected";
            InvalidConfig::new(
                format!("{SETTING}.{scope:?}"),
                format!("{text:?}: {expected}"),
            )
        };
        let url = Url::parse(text).map_err(|_| wrong())?;
        let file = url.scheme() == "file" && url.to_file_path().is_ok();
        let web = matches!(url.scheme(), "http" | "https") && url.password().is_none();
        if !file && !web {
            return Err(wrong());
        }
    }
    Ok(())
}

/// Where the signature with this number, from one on, of a manifest is; none if no place is named for it.
pub(super) fn place(
    places: &BTreeMap<String, String>,
    image: &ImageRef,
    manifest: &Digest,
    number: usize,
) -> Option<Place> {
    let scopes = scopes(image);
    let mut names = scopes.iter().map(String::as_str).chain([DEFAULT]);
    let base = names.find_map(|scope| places.get(scope))?;
    let mut url = Url::parse(base).ok()?;
    let (algorithm, hex) = (manifest.algorithm().as_str(), manifest.hex());
    let path = url.path().trim_end_matches('/');
    url.set_path(&format!(
        "{path}/{}@{algorithm}={hex}/signature-{number}",
        image.path()
    ));
    match url.scheme() {
        "file" => url.to_file_path().ok().map(Place::File),
        _ => Some(Place::Web(url)),
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    signatures: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "schemaVersion")]
    version: u32,
    #[serde(rename = "type")]
    kind: String,
    content: String,
}

/// What a registry that keeps signatures itself answers; others than those of simple signing are left out.
pub(super) fn of_registry(answer: &[u8]) -> Option<Vec<Bytes>> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let simple = answer
        .signatures
        .iter()
        .filter(|entry| entry.version == 2 && entry.kind == "atomic");
    let decoded = simple.map(|entry| BASE64_STANDARD.decode(&entry.content).ok().map(Bytes::from));
    decoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::digest_of;

    #[test]
    fn places_are_found_by_the_nearest_scope() {
        let table = [
            ("default", "file:///var/lib/containers/sigstore"),
            ("r.example", "https://sigs.example/all/"),
            ("r.example/team/app", "https://sigs.example/app?x"),
        ];
        let places = table
            .map(|(scope, url)| (scope.to_owned(), url.to_owned()))
            .into();
        check(&places).unwrap();
        let manifest = digest_of(types::Algorithm::Sha256, b"");
        let find = |image: &str| {
            let found = place(&places, &image.parse().unwrap(), &manifest, 3).unwrap();
            let text = match found {
                Place::File(path) => path.display().to_string(),
                Place::Web(url) => url.to_string(),
            };
            text.replace(manifest.hex(), "HEX")
        };
        assert_eq!(
            find("busybox"),
            "/var/lib/containers/sigstore/library/busybox@sha256=HEX/signature-3"
        );
        assert_eq!(
            find("r.example/x:1"),
            "https://sigs.example/all/x@sha256=HEX/signature-3"
        );
        assert_eq!(
            find("r.example/team/app"),
            "https://sigs.example/app/team/app@sha256=HEX/signature-3?x"
        );
        for bad in ["/var/lib", "ftp://x/", "file://host/x", "https://u:p@x/"] {
            let places = BTreeMap::from([("default".to_owned(), bad.to_owned())]);
            assert!(check(&places).is_err(), "{bad}");
        }
    }
}
