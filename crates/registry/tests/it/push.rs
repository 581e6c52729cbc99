//! Pushes to a real registry, and to ones that break off.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use registry::{Client, Source};
use testkit::registry::{Registry, RegistrySetup, Reply, Request, Server, forward};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_is_there_after_its_upload_and_not_before() {
    let Some(real) = Registry::start() else {
        return;
    };
    let repository = at(real.address(), "app");
    for bytes in [noise(1, 2_000_000), Vec::new()] {
        let descriptor = describe(LAYER, &bytes);
        assert!(!repository.has_blob(&descriptor).await.unwrap());
        repository
            .upload(&descriptor, source(&bytes))
            .await
            .unwrap();
        assert!(repository.has_blob(&descriptor).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_make_the_same_blob() {
    let Some(real) = Registry::start() else {
        return;
    };
    let mut config = impatient();
    config.limits.upload_chunk = 300_000;
    let repository = anonymous(
        &Client::new(config).unwrap(),
        &format!("{}/app", real.address()),
    );
    let bytes = noise(2, 1_000_000);
    let descriptor = describe(LAYER, &bytes);
    repository
        .upload(&descriptor, source(&bytes))
        .await
        .unwrap();
    let blob = repository.blob(&descriptor, 0).await.unwrap();
    assert!(drain(blob).await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_is_mounted_from_another_repository_of_the_registry() {
    let Some(real) = Registry::start() else {
        return;
    };
    let bytes = noise(3, 10_000);
    let descriptor = describe(LAYER, &bytes);
    at(real.address(), "one")
        .upload(&descriptor, source(&bytes))
        .await
        .unwrap();
    let other = at(real.address(), "two");
    assert!(!other.has_blob(&descriptor).await.unwrap());
    let from = |text: &str| named(&format!("{}/{text}", real.address()));
    assert!(other.mount(&descriptor, &from("one")).await.unwrap());
    assert!(other.has_blob(&descriptor).await.unwrap());
    let missing = describe(LAYER, b"missing");
    assert!(!other.mount(&missing, &from("one")).await.unwrap());
    assert!(
        !other
            .mount(&descriptor, &named("other.example.com/one"))
            .await
            .unwrap()
    );
    // What was begun in vain is not left behind.
    let uploads = real
        .storage()
        .join("docker/registry/v2/repositories/two/_uploads");
    let begun = std::fs::read_dir(uploads).into_iter().flatten();
    let left = begun.filter(|one| one.as_ref().unwrap().path().join("data").exists());
    let left = left.count();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_is_not_what_it_says_is_not_taken() {
    let Some(real) = Registry::start() else {
        return;
    };
    let bytes = noise(4, 10_000);
    let mut wrong = describe(LAYER, b"other");
    wrong.size = bytes.len() as u64;
    let error = at(real.address(), "app")
        .upload(&wrong, source(&bytes))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("digest invalid") && text.contains(&wrong.digest.to_string()),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_fails_is_named() {
    let Some(real) = Registry::start() else {
        return;
    };
    let repository = at(real.address(), "app");
    let descriptor = describe(LAYER, &noise(5, 10_000));
    let unreadable: Arc<dyn Source> = Arc::new(|_: u64| Err(io::Error::other("the disk is gone")));
    let error = repository
        .upload(&descriptor, unreadable)
        .await
        .unwrap_err();
    assert_eq!(
        chain(&error),
        format!(
            "cannot read {} to push it to {}/app: the disk is gone",
            descriptor.digest,
            real.address()
        )
    );
    let error = repository
        .upload(&descriptor, source(&noise(5, 9_000)))
        .await
        .unwrap_err();
    assert!(
        chain(&error).ends_with("it ends 1000 bytes too early"),
        "{}",
        chain(&error)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_whose_blobs_are_missing_is_not_taken() {
    let Some(real) = Registry::start() else {
        return;
    };
    let bytes = manifest(&describe(CONFIG, b"{}"), &[describe(LAYER, b"missing")]);
    let repository = at(real.address(), "app");
    let error = repository
        .put_manifest(Some("1"), MANIFEST, bytes)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("manifest blob unknown"),
        "{error}"
    );
    let nonsense = repository
        .put_manifest(Some("1"), MANIFEST, "[]".into())
        .await
        .unwrap_err();
    assert!(
        chain(&nonsense).contains("it is no manifest"),
        "{}",
        chain(&nonsense)
    );
}

/// A registry that takes uploads and hears only a part of the first transfers.
#[derive(Default)]
struct Deaf {
    held: Mutex<Vec<u8>>,
    forgets: AtomicBool,
}

impl Deaf {
    fn answer(&self, request: &Request, first: &First) -> Reply {
        let mut held = self.held.lock().unwrap();
        let location =
            |reply: Reply| reply.header("Location", "/v2/app/blobs/uploads/1?state=a%2Fb");
        match request.method.as_str() {
            "POST" => {
                held.clear();
                location(Reply::new(202, ""))
            }
            "PUT" | "PATCH" if first.is(1) => {
                // It has lost what came after the first 1000 bytes.
                held.extend_from_slice(&request.body[..1000]);
                Reply::new(503, "").header("Retry-After", "0")
            }
            "GET" if self.forgets.load(Ordering::SeqCst) => Reply::new(404, ""),
            "GET" => {
                location(Reply::new(204, "")).header("Range", &format!("0-{}", held.len() - 1))
            }
            "PATCH" => {
                let start = format!("{}-", held.len());
                assert!(request.header("content-range").unwrap().starts_with(&start));
                held.extend_from_slice(&request.body);
                location(Reply::new(202, "")).header("Range", &format!("0-{}", held.len() - 1))
            }
            "PUT" => {
                held.extend_from_slice(&request.body);
                let whole = request
                    .target
                    .contains(&digest(&held).to_string().replace(':', "%3A"));
                Reply::new(if whole { 201 } else { 400 }, "")
            }
            other => panic!("{other} {}", request.target),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_cut_goes_on_where_the_registry_says() {
    let (deaf, first) = (Arc::new(Deaf::default()), First::default());
    let own = deaf.clone();
    let server = Server::start(move |request| own.answer(request, &first));
    let bytes = noise(6, 50_000);
    at(server.address(), "app")
        .upload(&describe(LAYER, &bytes), source(&bytes))
        .await
        .unwrap();
    assert_eq!(*deaf.held.lock().unwrap(), bytes);
    let methods: Vec<_> = server.requests().into_iter().map(|r| r.method).collect();
    assert_eq!(methods, ["POST", "PUT", "GET", "PATCH", "PUT"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_the_registry_has_forgotten_begins_anew() {
    let (deaf, first) = (Arc::new(Deaf::default()), First::default());
    deaf.forgets.store(true, Ordering::SeqCst);
    let own = deaf.clone();
    let server = Server::start(move |request| own.answer(request, &first));
    let bytes = noise(7, 50_000);
    at(server.address(), "app")
        .upload(&describe(LAYER, &bytes), source(&bytes))
        .await
        .unwrap();
    assert_eq!(*deaf.held.lock().unwrap(), bytes);
    let methods: Vec<_> = server.requests().into_iter().map(|r| r.method).collect();
    assert_eq!(methods, ["POST", "PUT", "GET", "POST", "PUT"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_registry_takes_up_an_upload_behind_a_proxy_that_cuts() {
    let Some(real) = RegistrySetup::default().proxied().start() else {
        return;
    };
    let (upstream, first) = (real.address().to_owned(), First::default());
    let front = Server::start(move |request| {
        let transfer = matches!(request.method.as_str(), "PUT" | "PATCH");
        if transfer && request.body.len() > 1 && first.is(1) {
            // Half of it reaches the registry, as a chunk; the client hears of a broken gateway.
            let mut half = request.clone();
            half.method = "PATCH".into();
            half.body.truncate(request.body.len() / 2);
            half.target = half.target.split("&digest=").next().unwrap().to_owned();
            forward(&upstream, &half);
            return Reply::new(502, "");
        }
        forward(&upstream, request)
    });
    let bytes = noise(8, 600_000);
    let repository = at(front.address(), "app");
    repository
        .upload(&describe(LAYER, &bytes), source(&bytes))
        .await
        .unwrap();
    let blob = repository.blob(&describe(LAYER, &bytes), 0).await.unwrap();
    assert!(drain(blob).await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_takes_no_long_requests_gets_short_ones() {
    let Some(real) = RegistrySetup::default().proxied().start() else {
        return;
    };
    let upstream = real.address().to_owned();
    let front = Server::start(move |request| {
        if request.body.len() > 17 << 20 {
            return Reply::new(413, "");
        }
        forward(&upstream, request)
    });
    let bytes = noise(10, 20 << 20);
    let descriptor = describe(LAYER, &bytes);
    let repository = at(front.address(), "app");
    repository
        .upload(&descriptor, source(&bytes))
        .await
        .unwrap();
    assert!(
        at(real.address(), "app")
            .has_blob(&descriptor)
            .await
            .unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_never_takes_a_blob_is_given_up() {
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Reply::new(202, "").header("Location", "/v2/app/blobs/uploads/1"),
        "GET" => Reply::new(204, "").header("Range", "0-0"),
        _ => Reply::new(500, ""),
    });
    let bytes = noise(9, 1000);
    let error = at(server.address(), "app")
        .upload(&describe(LAYER, &bytes), source(&bytes))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot push blob {} to {1}/app: registry {1} answered 500: 500 Internal Server Error",
            digest(&bytes),
            server.address()
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn referrers_are_kept_under_a_tag_where_the_registry_keeps_none() {
    let Some(real) = Registry::start() else {
        return;
    };
    let repository = at(real.address(), "app:1");
    let subject = push(&repository, b"layer").await;
    assert!(
        repository
            .referrers(&subject.digest, None)
            .await
            .unwrap()
            .is_empty()
    );
    for kind in [
        "application/vnd.example.sbom",
        "application/vnd.example.signature",
    ] {
        let config = describe("application/vnd.oci.empty.v1+json", b"{}");
        repository.upload(&config, source(b"{}")).await.unwrap();
        let artifact = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
            "config": entry(&config), "layers": [], "subject": entry(&subject),
            "annotations": { "a": "b" },
        });
        for _ in 0..2 {
            // Twice is no more than once.
            repository
                .put_manifest(None, MANIFEST, artifact.to_string().into())
                .await
                .unwrap();
        }
    }
    let all = repository.referrers(&subject.digest, None).await.unwrap();
    assert_eq!(all.len(), 2);
    let kind = "application/vnd.example.sbom";
    let some = repository
        .referrers(&subject.digest, Some(kind))
        .await
        .unwrap();
    assert_eq!(some.len(), 1);
    assert_eq!(some[0].artifact_type.as_deref(), Some(kind));
    assert_eq!(some[0].annotations["a"], "b");
    let artifact = repository.manifest(&some[0]).await.unwrap();
    assert_eq!(artifact.subject.unwrap().digest, subject.digest);
}
