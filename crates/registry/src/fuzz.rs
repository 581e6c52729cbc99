//! What registries and other programs write, changed at random: whatever comes, it is taken or refused
//! with a sentence, and never panics, hangs or grows. `cargo xtask fuzz` runs these for as long as one
//! likes.
#![allow(clippy::print_stdout, reason = "a long run says what it has done")]

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Value, json};

// The same changes that the runtime's documents are put to.
#[path = "../../runtime/tests/support/mutate.rs"]
pub(crate) mod mutate;

use crate::config::Config;
use crate::hosts::HostFile;
use crate::manifest::digest_of;
use crate::session::resolve_location;
use crate::{Content, Manifest, answer, header, route, tags, token};
use mutate::{Random, bytes, value, with_seeds};

const CASES: u64 = 1000;

fn descriptor() -> Value {
    json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 12,
        "digest": format!("sha256:{}", "0a".repeat(32)), "urls": ["https://example.com/x"],
        "annotations": {"a": "b"}, "artifactType": "a/b", "data": "e30=",
        "platform": {"os": "linux", "architecture": "arm", "variant": "v7", "os.version": "1"},
    })
}

fn documents() -> [Value; 3] {
    [
        json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(), "layers": [descriptor(), descriptor()], "subject": descriptor(),
            "artifactType": "a/b", "annotations": {"a": "b"},
        }),
        json!({
            "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
            "manifests": [descriptor(), descriptor()],
        }),
        json!({"schemaVersion": 1, "fsLayers": [{"blobSum": "x"}], "history": [], "signatures": []}),
    ]
}

/// What holds of everything that is taken for a manifest.
fn check(manifest: &Manifest) {
    let Manifest {
        descriptor,
        bytes,
        content,
        ..
    } = manifest;
    assert_eq!(descriptor.size, bytes.len() as u64);
    assert_eq!(
        descriptor.digest,
        digest_of(descriptor.digest.algorithm(), bytes)
    );
    let again = Manifest::parse(Some(&descriptor.media_type), bytes.clone()).unwrap();
    assert_eq!(again, *manifest);
    let listed = match content {
        Content::Image { layers, .. } => layers.len(),
        Content::Index { manifests } => manifests.len(),
    };
    assert!(listed <= bytes.len());
}

#[test]
fn any_manifest_is_taken_or_refused() {
    let documents = documents();
    with_seeds(CASES, "manifests", |random| {
        let mut document = random.pick(&documents).clone();
        for _ in 0..=random.below(4) {
            document = value(random, &document);
        }
        let mut text = document.to_string().into_bytes();
        if random.below(3) == 0 {
            text = bytes(random, &text);
        }
        let kinds = [
            None,
            Some("application/json"),
            document["mediaType"].as_str(),
        ];
        match Manifest::parse(*random.pick(&kinds), Bytes::from(text)) {
            Ok(manifest) => check(&manifest),
            Err(error) => assert!(error.to_string().len() < 1000),
        }
    });
}

fn text(random: &mut Random, samples: &[&str]) -> String {
    let sample = random.pick(samples).as_bytes();
    String::from_utf8_lossy(&bytes(random, sample)).into_owned()
}

#[test]
fn any_header_is_read_or_passed_over() {
    let challenges = [
        r#"Bearer realm="https://auth.example.com/token",service="reg",scope="repository:a:pull b:c:d""#,
        r#"Basic realm="x", Bearer realm="\"y", error=z, Digest a=b"#,
    ];
    let links = [r#"</v2/a/tags/list?last=b&n=2>; rel="next", <x>; rel=prev; title="a,b""#];
    let ranges = ["bytes 5-9/10", "0-1023", "bytes=0-1/*"];
    let times = ["120", "Fri, 20 Nov 2026 10:00:07 GMT"];
    let locations = [
        "/v2/x?y=z#f",
        "https://reg:5000/a",
        "http://cdn.example.net/b?sig=1",
        "//x/y",
    ];
    let base = Url::parse("https://reg:5000/v2/a/").unwrap();
    let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
    with_seeds(CASES, "headers", |random| {
        let found = header::challenges(&text(random, &challenges));
        assert!(found.len() <= 64);
        if let Some(target) = header::next(&text(random, &links)) {
            // Of another host nothing is taken.
            let _ = tags::question(&base, target);
        }
        let sample = text(random, &ranges);
        if let Some(range) = header::content_range(&sample) {
            assert!(range.first <= range.last);
        }
        let _ = header::received(&sample);
        let _ = header::retry_after(&text(random, &times), now);
        if let Ok(url) = resolve_location(&base, &text(random, &locations)) {
            assert_eq!(url.scheme(), "https");
            assert!(url.username().is_empty() && url.password().is_none());
        }
    });
}

#[test]
fn any_answer_is_read_or_passed_over() {
    let samples = [
        r#"{"errors":[{"code":"DENIED","message":"no","detail":{"a":[1]}}],"message":"x"}"#,
        r#"{"token":"abc","access_token":"d","expires_in":300,"refresh_token":"e"}"#,
    ];
    with_seeds(CASES, "answers", |random| {
        let body = text(random, &samples);
        let said = answer::parse(body.as_bytes());
        assert!(!said.text.contains(char::is_control) && said.text.len() < 10_000);
        if let Ok(answer) = token::Answer::parse(body.as_bytes()) {
            let _ = answer.token(std::time::Instant::now());
        }
    });
}

#[test]
fn any_configuration_is_taken_or_refused() {
    let settings = [r#"
        insecure = ["10.0.0.0/8", "reg:5000"]
        [proxies]
        https = "http://user:pass@proxy:3128"
        no-proxy = "a.example.com,.b,10.0.0.0/8"
        [[registry]]
        prefix = "*.example.com"
        location = "http://other:80/x"
        [[registry.mirror]]
        location = "m.example.com/y"
        override-path = true
        [host."reg:5000"]
        headers = { a = "b" }
    "#];
    let hosts = [
        "server = \"https://a\"\nca = [\"x\"]\n[host.\"https://b/v2\"]\ncapabilities = [\"pull\"]\nclient = [[\"c\", \"k\"]]\n",
    ];
    with_seeds(CASES, "configurations", |random| {
        let mut config: Config = toml::from_str(&text(random, &settings)).unwrap_or_default();
        let files = [HostFile {
            name: "hosts.toml".into(),
            text: text(random, &hosts),
        }];
        let read = |path: &str| Ok(path.to_owned());
        let _ = config.add_host_directory("reg.example.com", &files, read);
        if route::check(&config).is_ok() {
            let reference = "reg.example.com/a/b:c".parse().unwrap();
            let planned = route::plan(&config, &reference, route::Need::Tag);
            assert!(planned.map_or(true, |places| !places.is_empty()));
        }
    });
}
