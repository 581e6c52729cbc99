//! Beside skopeo: what one pushes the other pulls.

use std::path::Path;
use std::process::Command;

use registry::Content;
use testkit::registry::Registry;

use crate::support::*;

/// Runs skopeo. None, and a word that says so, where it is missing.
fn skopeo(words: &[&str]) -> Option<String> {
    if !Path::new("/usr/bin/skopeo").exists() {
        eprintln!("SKIP: skopeo is not on this machine (scripts/setup.sh test)");
        return None;
    }
    let output = Command::new("skopeo")
        .arg("--insecure-policy")
        .args(words)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "skopeo {words:?}: {}",
        text(&output.stderr)
    );
    Some(text(&output.stdout))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skopeo_pulls_what_is_pushed_here() {
    let Some(real) = Registry::start() else {
        return;
    };
    let pushed = push(&at(real.address(), "app:1"), &noise(1, 200_000)).await;
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (
        format!("docker://{}/app:1", real.address()),
        format!("dir:{}", directory.path().display()),
    );
    if skopeo(&["copy", "--src-tls-verify=false", &from, &to]).is_none() {
        return;
    }
    let manifest = std::fs::read(directory.path().join("manifest.json")).unwrap();
    assert_eq!(digest(&manifest), pushed.digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_skopeo_pushes_is_pulled_here() {
    let Some(real) = Registry::start() else {
        return;
    };
    push(&at(real.address(), "app:1"), &noise(2, 200_000)).await;
    let from = format!("docker://{}/app:1", real.address());
    for (format, media_type) in [
        (
            "v2s2",
            "application/vnd.docker.distribution.manifest.v2+json",
        ),
        ("oci", MANIFEST),
    ] {
        let to = format!("docker://{}/copy:{format}", real.address());
        let words = [
            "copy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            "--format",
            format,
            &from,
            &to,
        ];
        if skopeo(&words).is_none() {
            return;
        }
        let repository = at(real.address(), &format!("copy:{format}"));
        let found = repository.resolve().await.unwrap();
        assert_eq!(found.descriptor.media_type, media_type);
        let Content::Image { layers, .. } = found.content else {
            panic!("an index?")
        };
        let blob = repository.blob(&layers[0], 0).await.unwrap();
        assert_eq!(digest(&drain(blob).await.unwrap()), layers[0].digest);
    }
    let mut tags = at(real.address(), "copy").all_tags().await.unwrap();
    tags.sort();
    assert_eq!(tags, ["oci", "v2s2"]);
}
