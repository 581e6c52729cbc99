//! Pulls from a real registry, and through connections that break.

use std::sync::Arc;

use registry::Content;
use testkit::registry::{Body, Registry, RegistrySetup, Reply, Request, Server, forward};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pushed_is_pulled_by_tag_and_by_digest() {
    let Some(real) = Registry::start() else {
        return;
    };
    let repository = at(real.address(), "team/app:1");
    let layer = noise(1, 3_000_000);
    let pushed = push(&repository, &layer).await;

    let head = repository.head().await.unwrap();
    assert_eq!((&head.digest, head.size), (&pushed.digest, pushed.size));
    let manifest = repository.resolve().await.unwrap();
    assert_eq!(manifest.descriptor.digest, pushed.digest);
    assert!(manifest.bytes.ends_with(b"\"unknown\":{\"kept\":true}}"));
    let by_digest = at(real.address(), &format!("team/app@{}", pushed.digest));
    assert_eq!(by_digest.resolve().await.unwrap(), manifest);
    assert_eq!(by_digest.head().await.unwrap().digest, pushed.digest);

    let Content::Image { config, layers } = manifest.content else {
        panic!("an index?")
    };
    assert_eq!((config.media_type.as_str(), layers.len()), (CONFIG, 1));
    let whole = repository.blob(&layers[0], 0).await.unwrap();
    assert!(drain(whole).await.unwrap() == layer);
    let rest = repository.blob(&layers[0], 2_999_990).await.unwrap();
    assert!(drain(rest).await.unwrap() == layer[2_999_990..]);
    let nothing = repository.blob(&layers[0], 3_000_000).await.unwrap();
    assert_eq!(drain(nothing).await.unwrap(), b"");
    let beyond = repository.blob(&layers[0], 3_000_001).await.unwrap_err();
    assert!(
        beyond.to_string().contains("there is nothing at 3000001"),
        "{beyond}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_leads_to_its_manifests() {
    let Some(real) = Registry::start() else {
        return;
    };
    let repository = at(real.address(), "multi:1");
    let one = push(&at(real.address(), "multi:amd64"), b"one").await;
    let other = push(&at(real.address(), "multi:arm64"), b"two").await;
    let mut entries = [entry(&one), entry(&other)];
    entries[0]["platform"] = serde_json::json!({ "os": "linux", "architecture": "amd64" });
    entries[1]["platform"] =
        serde_json::json!({ "os": "linux", "architecture": "arm64", "variant": "v8" });
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": entries,
    });
    repository
        .put_manifest(Some("1"), INDEX, index.to_string().into())
        .await
        .unwrap();

    let found = repository.resolve().await.unwrap();
    let Content::Index { manifests } = found.content else {
        panic!("no index?")
    };
    let platforms: Vec<_> = manifests
        .iter()
        .map(|m| m.platform.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let arm = repository.manifest(&manifests[1]).await.unwrap();
    assert_eq!(arm.descriptor.digest, other.digest);
    assert_eq!(arm.descriptor.platform, manifests[1].platform);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_said_in_dockers_words() {
    let Some(real) = Registry::start() else {
        return;
    };
    let address = real.address();
    push(&at(address, "app:1"), b"layer").await;
    let error = at(address, "app:2").resolve().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("manifest for {address}/app:2 not found: manifest unknown: manifest unknown")
    );
    assert_eq!(error.kind(), types::ErrorKind::NotFound);
    let error = at(address, "app:2").head().await.unwrap_err();
    assert!(error.to_string().contains("manifest unknown"), "{error}");
    let missing = describe(LAYER, b"missing");
    let error = at(address, "app:1").blob(&missing, 0).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{address}/app has no blob {}: blob unknown: blob unknown to registry",
            missing.digest
        )
    );
    let error = at(address, "nobody/nothing").all_tags().await.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!(
            "repository {address}/nobody/nothing not found: name unknown"
        )),
        "{error}"
    );
    let nobody = at("127.0.0.1:1", "a").resolve().await.unwrap_err();
    assert_eq!(nobody.kind(), types::ErrorKind::Unavailable);
    assert!(
        nobody
            .to_string()
            .starts_with("cannot pull 127.0.0.1:1/a:latest: registry 127.0.0.1:1: "),
        "{nobody}"
    );
}

/// A real registry behind a server that breaks the transfer of blobs.
async fn behind(
    blob: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
    layer: &[u8],
) -> Option<(Registry, Server)> {
    let real = RegistrySetup::default().proxied().start()?;
    push(&at(real.address(), "app:1"), layer).await;
    let upstream = real.address().to_owned();
    let front = Server::start(move |request| {
        let reply = forward(&upstream, request);
        if request.method == "GET" && request.path().contains("/blobs/") {
            blob(request, reply)
        } else {
            reply
        }
    });
    Some((real, front))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_is_cut_is_taken_up_where_it_ended() {
    let layer = noise(2, 1_000_000);
    let cut = |_: &Request, reply: Reply| {
        let bytes = reply.bytes().to_vec();
        let at = bytes.len().min(300_000);
        if at < bytes.len() {
            reply.body(Body::Cut(bytes, at))
        } else {
            reply
        }
    };
    let Some((_real, front)) = behind(cut, &layer).await else {
        return;
    };
    let repository = at(front.address(), "app:1");
    let blob = repository.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert!(drain(blob).await.unwrap() == layer);
    let asked = front.requests();
    let ranges = asked.iter().filter_map(|r| r.header("range"));
    assert_eq!(
        ranges.collect::<Vec<_>>(),
        ["bytes=300000-", "bytes=600000-", "bytes=900000-"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_stalls_is_cut_and_taken_up() {
    let layer = noise(3, 500_000);
    let first = First::default();
    let stall = move |_: &Request, reply: Reply| {
        let bytes = reply.bytes().to_vec();
        if first.is(1) {
            reply.body(Body::Stalled(bytes, 200_000))
        } else {
            reply
        }
    };
    let Some((_real, front)) = behind(stall, &layer).await else {
        return;
    };
    let repository = anonymous(&stalling_after(3), &format!("{}/app:1", front.address()));
    let blob = repository.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert!(drain(blob).await.unwrap() == layer);
    let asked = front.requests();
    assert!(
        asked
            .iter()
            .any(|r| r.header("range") == Some("bytes=200000-"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_transfer_is_left_alone() {
    let layer = noise(4, 100_000);
    let slow = |_: &Request, reply: Reply| {
        let bytes = reply.bytes().to_vec();
        // Longer than the silence that ends it, and no silence as long.
        reply.body(Body::Slow(bytes, 10_000, 400))
    };
    let Some((_real, front)) = behind(slow, &layer).await else {
        return;
    };
    let repository = anonymous(&stalling_after(3), &format!("{}/app:1", front.address()));
    let blob = repository.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert!(drain(blob).await.unwrap() == layer);
    assert!(front.requests().iter().all(|r| r.header("range").is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_without_ranges_sends_all_again() {
    let layer = Arc::new(noise(5, 400_000));
    let (first, bytes) = (First::default(), layer.clone());
    let server = Server::start(move |_| {
        let reply = Reply::new(200, bytes.to_vec());
        if first.is(1) {
            reply.body(Body::Cut(bytes.to_vec(), 150_000))
        } else {
            reply
        }
    });
    let blob = at(server.address(), "app")
        .blob(&describe(LAYER, &layer), 0)
        .await
        .unwrap();
    assert!(drain(blob).await.unwrap() == *layer);
    let resumed = at(server.address(), "app")
        .blob(&describe(LAYER, &layer), 399_999)
        .await
        .unwrap();
    assert!(drain(resumed).await.unwrap() == layer[399_999..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_without_ranges_that_always_cuts_is_given_up() {
    let layer = Arc::new(noise(8, 400_000));
    let bytes = layer.clone();
    let server =
        Server::start(move |_| Reply::new(200, "").body(Body::Cut(bytes.to_vec(), 150_000)));
    let repository = at(server.address(), "app");
    let blob = repository.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert!(drain(blob).await.is_err());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_blobs_come_side_by_side() {
    let Some(real) = Registry::start() else {
        return;
    };
    let repository = at(real.address(), "app:1");
    let mut tasks = Vec::new();
    for seed in 0..8 {
        let repository = repository.clone();
        tasks.push(tokio::spawn(async move {
            let bytes = noise(seed + 10, 700_000);
            let descriptor = describe(LAYER, &bytes);
            repository
                .upload(&descriptor, source(&bytes))
                .await
                .unwrap();
            let blob = repository.blob(&descriptor, 0).await.unwrap();
            drain(blob).await.unwrap() == bytes
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_not_waited_for_is_not_lost() {
    let layer = noise(6, 300_000);
    let slow = |_: &Request, reply: Reply| {
        let bytes = reply.bytes().to_vec();
        reply.body(Body::Slow(bytes, 30_000, 20))
    };
    let Some((_real, front)) = behind(slow, &layer).await else {
        return;
    };
    let mut blob = at(front.address(), "app:1")
        .blob(&describe(LAYER, &layer), 0)
        .await
        .unwrap();
    let mut all = Vec::new();
    loop {
        let impatient = std::time::Duration::from_millis(3);
        match tokio::time::timeout(impatient, blob.chunk()).await {
            Err(_) => {}
            Ok(chunk) => match chunk.unwrap() {
                Some(chunk) => all.extend_from_slice(&chunk),
                None => break,
            },
        }
    }
    assert_eq!(all, layer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_layer_comes_from_its_maker() {
    let layer = noise(7, 50_000);
    let bytes = layer.clone();
    let maker = Server::start(move |request| ranged(request, &bytes));
    let registry = Server::start(|_| Reply::new(404, ""));
    let media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let mut descriptor = describe(media_type, &layer);
    descriptor.urls = vec![
        "ftp://example.com/x".into(),
        format!("http://{}/layers/x?y=z", maker.address()),
    ];
    let repository = at(registry.address(), "app");
    let blob = repository.blob(&descriptor, 0).await.unwrap();
    assert_eq!(blob.host(), maker.address());
    assert!(drain(blob).await.unwrap() == layer);
    assert_eq!(maker.lines(), ["GET /layers/x?y=z"]);
    // Other layers are not looked for where a manifest says.
    descriptor.media_type = LAYER.into();
    assert!(repository.blob(&descriptor, 0).await.is_err());
    assert_eq!(maker.lines().len(), 1);
}

/// Answers for a part of a blob, at a pace that one connection cannot do anything about.
fn slow_part(request: &Request, blob: &[u8], broken: Option<u64>) -> Reply {
    let bounds = request.header("range").map(|range| {
        let (first, last) = range
            .strip_prefix("bytes=")
            .unwrap()
            .split_once('-')
            .unwrap();
        let last = last.parse::<usize>().unwrap_or(blob.len() - 1);
        (first.parse::<usize>().unwrap(), last)
    });
    let slow = |part: &[u8]| Body::Slow(part.to_vec(), 64 << 10, 4);
    match bounds {
        None => Reply::new(200, "")
            .header("Accept-Ranges", "bytes")
            .body(slow(blob)),
        Some((first, _)) if broken == Some(first as u64) => Reply::new(500, "no"),
        Some((first, last)) => Reply::new(206, "")
            .header(
                "Content-Range",
                &format!("bytes {first}-{last}/{}", blob.len()),
            )
            .body(slow(&blob[first..=last])),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_blob_comes_by_several_connections_where_one_is_slow() {
    let blob = Arc::new(noise(9, 26 << 20));
    let descriptor = describe(LAYER, &blob);
    // Whole; and with a piece that nobody gives.
    for broken in [false, true] {
        let served = blob.clone();
        let broken_at = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let server = Server::start(move |request| {
            let order = std::sync::atomic::Ordering::SeqCst;
            let first = request.header("range").and_then(|range| {
                let range = range.strip_prefix("bytes=")?.split('-').next()?;
                range.parse::<u64>().ok()
            });
            if let Some(first) = first.filter(|_| broken) {
                let _ = broken_at.compare_exchange(0, first, order, order);
            }
            // The first piece that is asked for is refused while it is asked for as a piece.
            let whole = request.header("range").is_some_and(|r| r.ends_with('-'));
            let refused = (!whole && broken).then(|| broken_at.load(order));
            slow_part(request, &served, refused.filter(|at| *at > 0))
        });
        let repository = at(server.address(), "slow:1");
        let fetched = drain(repository.blob(&descriptor, 0).await.unwrap()).await;
        assert!(fetched.unwrap() == *blob, "broken: {broken}");
        let requests = server.requests();
        let piece = |r: &&Request| r.header("range").is_some_and(|r| !r.ends_with('-'));
        let pieces = requests.iter().filter(piece).count();
        assert!(pieces >= 3, "{pieces} pieces, broken: {broken}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_is_kept_where_that_is_wanted_or_all_there_is() {
    let blob = Arc::new(noise(10, 21 << 20));
    let descriptor = describe(LAYER, &blob);
    for (ranges, gives) in [(1, true), (4, false)] {
        let served = blob.clone();
        let server = Server::start(move |_| {
            let reply = Reply::new(200, "").body(Body::Slow(served.to_vec(), 256 << 10, 4));
            match gives {
                true => reply.header("Accept-Ranges", "bytes"),
                false => reply,
            }
        });
        let mut config = impatient();
        config.limits.ranges = ranges;
        let client = registry::Client::new(config).unwrap();
        let repository = anonymous(&client, &format!("{}/slow:1", server.address()));
        let fetched = drain(repository.blob(&descriptor, 0).await.unwrap()).await;
        assert!(fetched.unwrap() == *blob);
        assert!(
            server
                .requests()
                .iter()
                .all(|r| r.header("range").is_none())
        );
    }
}
