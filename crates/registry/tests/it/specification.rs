//! What the OCI distribution specification 1.1 says about clients, a test for each sentence. The name of
//! its section is in the comment.

use std::sync::{Arc, Mutex};

use registry::{Client, Credentials};
use testkit::registry::{Registry, Reply, Request, Server};

use crate::support::*;

/// "Pulling manifests": "The client SHOULD include an Accept header indicating which manifest content
/// types it supports."
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifests_are_asked_for_with_the_types_that_are_understood() {
    let bytes = manifest(&describe(CONFIG, b"{}"), &[]);
    let server = Server::start(move |_| sent(&bytes));
    at(server.address(), "app:1").resolve().await.unwrap();
    at(server.address(), "app:1").head().await.unwrap();
    for request in server.requests() {
        let accept = request.header("accept").unwrap();
        for kind in [
            MANIFEST,
            INDEX,
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
        ] {
            assert!(accept.contains(kind), "{accept}");
        }
    }
}

/// "Pulling manifests": a client that knows the digest "SHOULD verify that the returned content matches".
/// "Checking if content exists": by HEAD.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn existence_is_asked_by_head() {
    let server = Server::start(|_| Reply::new(404, ""));
    assert!(
        !at(server.address(), "app")
            .has_blob(&describe(LAYER, b"x"))
            .await
            .unwrap()
    );
    assert_eq!(
        server.lines(),
        [format!("HEAD /v2/app/blobs/{}", digest(b"x"))]
    );
}

/// "Determining Support": `/v2/`, whose 401 is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn support_is_determined_at_the_root() {
    let server = Server::start(|_| Reply::new(200, "{}"));
    client()
        .login(server.address(), &Credentials::own(ann()))
        .await
        .unwrap();
    assert_eq!(server.lines(), ["GET /v2/"]);
    let other = Server::start(|_| Reply::new(404, "no registry"));
    let error = client()
        .login(other.address(), &Credentials::own(ann()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("answered 404"), "{error}");
}

/// "POST then PUT": the Location "MUST be used", with what is in it; the digest is added to its query.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_location_of_an_upload_is_used_as_it_is() {
    for location in [
        "/elsewhere?_state=a%2Fb%3D",
        "http://{}/elsewhere?_state=a%2Fb%3D",
    ] {
        let address = Arc::new(Mutex::new(String::new()));
        let own = address.clone();
        let server = Server::start(move |request| match request.method.as_str() {
            "POST" => {
                let location = location.replace("{}", &own.lock().unwrap());
                Reply::new(202, "").header("Location", &location)
            }
            _ => Reply::new(201, ""),
        });
        server.address().clone_into(&mut address.lock().unwrap());
        let bytes = noise(1, 1000);
        at(server.address(), "app")
            .upload(&describe(LAYER, &bytes), source(&bytes))
            .await
            .unwrap();
        let put = server.requests().pop().unwrap();
        let digest = digest(&bytes).to_string().replace(':', "%3A");
        assert_eq!(
            put.target,
            format!("/elsewhere?_state=a%2Fb%3D&digest={digest}")
        );
        assert_eq!(put.header("content-length"), Some("1000"));
        assert_eq!(put.header("content-type"), Some("application/octet-stream"));
        assert_eq!(put.body, bytes);
    }
}

/// A registry that takes chunks, and wants none smaller than `least`.
fn chunked(least: &'static str) -> Server {
    let held = Mutex::new(Vec::new());
    Server::start(move |request: &Request| {
        let mut held = held.lock().unwrap();
        held.extend_from_slice(&request.body);
        let location = format!("/v2/app/blobs/uploads/{}", held.len());
        let reply = |status| Reply::new(status, "").header("Location", &location);
        match request.method.as_str() {
            "POST" => reply(202).header("OCI-Chunk-Min-Length", least),
            "PATCH" => reply(202).header("Range", &format!("0-{}", held.len() - 1)),
            _ => reply(201),
        }
    })
}

/// "Pushing a blob in chunks": Content-Range and Content-Length of each, in order, each to the last
/// Location; the last request has the digest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_are_in_order_and_follow_the_location() {
    let server = chunked("0");
    let mut config = impatient();
    config.limits.upload_chunk = 400;
    let repository = anonymous(
        &Client::new(config).unwrap(),
        &format!("{}/app", server.address()),
    );
    let bytes = noise(2, 1000);
    repository
        .upload(&describe(LAYER, &bytes), source(&bytes))
        .await
        .unwrap();
    let shown: Vec<_> = server
        .requests()
        .iter()
        .map(|r| {
            let range = r.header("content-range").unwrap_or("-").to_owned();
            format!("{} {} {range} {}", r.method, r.path(), r.body.len())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "POST /v2/app/blobs/uploads/ - 0",
            "PATCH /v2/app/blobs/uploads/0 0-399 400",
            "PATCH /v2/app/blobs/uploads/400 400-799 400",
            "PATCH /v2/app/blobs/uploads/800 800-999 200",
            "PUT /v2/app/blobs/uploads/1000 - 0",
        ]
    );
}

/// The same: chunks "SHOULD" be no smaller than `OCI-Chunk-Min-Length` says, except the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smallest_chunk_that_a_registry_takes_is_respected() {
    let server = chunked("700");
    let mut config = impatient();
    config.limits.upload_chunk = 400;
    let repository = anonymous(
        &Client::new(config).unwrap(),
        &format!("{}/app", server.address()),
    );
    let bytes = noise(3, 1000);
    repository
        .upload(&describe(LAYER, &bytes), source(&bytes))
        .await
        .unwrap();
    let sizes: Vec<_> = server.requests().iter().map(|r| r.body.len()).collect();
    assert_eq!(sizes, [0, 700, 300, 0]);
}

/// "Mounting a blob from another repository": 202 means that it has to be uploaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mount_that_is_not_done_is_no_error() {
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Reply::new(202, "").header("Location", "/v2/app/blobs/uploads/1"),
        _ => Reply::new(204, ""),
    });
    let from = named(&format!("{}/other", server.address()));
    let done = at(server.address(), "app")
        .mount(&describe(LAYER, b"x"), &from)
        .await
        .unwrap();
    assert!(!done);
    let digest = digest(b"x").to_string().replace(':', "%3A");
    assert_eq!(
        server.lines(),
        [
            format!("POST /v2/app/blobs/uploads/?mount={digest}&from=other"),
            "DELETE /v2/app/blobs/uploads/1".to_owned(),
        ]
    );
}

/// "Pushing Manifests": the Content-Type is the document's media type.
/// "Pushing Manifests with Subject": with `OCI-Subject` in the answer the registry keeps the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_keeps_referrers_is_not_helped() {
    let subject = describe(MANIFEST, b"subject");
    let named = subject.digest.to_string();
    let server = Server::start(move |_| Reply::new(201, "").header("OCI-Subject", &named));
    let config = describe(CONFIG, b"{}");
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": entry(&config), "layers": [],
        "subject": entry(&subject),
    });
    let repository = at(server.address(), "app");
    repository
        .put_manifest(Some("1"), MANIFEST, document.to_string().into())
        .await
        .unwrap();
    let asked = server.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("content-type"), Some(MANIFEST));
    assert_eq!(asked[0].target, "/v2/app/manifests/1");
}

/// "Listing Referrers": filters that the registry has not applied are applied here; pages are followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn referrers_are_filtered_and_followed() {
    let server = Server::start(|request| {
        let one = |name: &str, kind: &str| {
            let mut one = entry(&describe(MANIFEST, name.as_bytes()));
            one["artifactType"] = kind.into();
            one
        };
        let page = |list: Vec<serde_json::Value>| {
            let index = serde_json::json!({
                "schemaVersion": 2, "mediaType": INDEX, "manifests": list,
            });
            Reply::new(200, index.to_string()).header("Content-Type", INDEX)
        };
        if request.target.contains("page=2") {
            page(vec![one("c", "a/wanted")])
        } else {
            page(vec![one("a", "a/wanted"), one("b", "a/other")])
                .header("Link", "<?page=2>; rel=\"next\"")
        }
    });
    let subject = digest(b"subject");
    let found = at(server.address(), "app")
        .referrers(&subject, Some("a/wanted"))
        .await
        .unwrap();
    let found: Vec<_> = found.into_iter().map(|d| d.digest).collect();
    assert_eq!(found, [digest(b"a"), digest(b"c")]);
    assert_eq!(
        server.lines(),
        [
            format!("GET /v2/app/referrers/{subject}?artifactType=a%2Fwanted"),
            format!("GET /v2/app/referrers/{subject}?page=2"),
        ]
    );
}

/// "Unavailable Referrers API": 404 means the tag of the referrers tag schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_referrers_api_the_tag_is_asked() {
    let server = Server::start(|_| Reply::new(404, ""));
    let subject = digest(b"subject");
    assert!(
        at(server.address(), "app")
            .referrers(&subject, None)
            .await
            .unwrap()
            .is_empty()
    );
    let tag = subject.to_string().replace(':', "-");
    assert_eq!(
        server.lines(),
        [
            format!("GET /v2/app/referrers/{subject}"),
            format!("GET /v2/app/manifests/{tag}"),
        ]
    );
}

/// "Content Discovery": tags come in pages, by `n` and `last` or the `Link`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_come_in_pages() {
    let Some(real) = Registry::start() else {
        return;
    };
    for tag in ["a", "b", "c", "d", "e"] {
        push(&at(real.address(), &format!("app:{tag}")), b"layer").await;
    }
    let upstream = real.address().to_owned();
    // Debian's registry has all tags on one page: this one makes pages of two.
    let server = Server::start(move |request| {
        let reply = testkit::registry::forward(&upstream, request);
        let all: serde_json::Value = serde_json::from_slice(reply.bytes()).unwrap();
        let mut tags: Vec<_> = all["tags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t.as_str().unwrap().to_owned())
            .collect();
        tags.sort();
        let last = request
            .target
            .split("last=")
            .nth(1)
            .and_then(|l| l.split('&').next());
        tags.retain(|tag| last.is_none_or(|last| tag.as_str() > last));
        let more = tags.len() > 2;
        tags.truncate(2);
        let page = Reply::new(
            200,
            serde_json::json!({ "name": "app", "tags": tags }).to_string(),
        );
        match tags.last().filter(|_| more) {
            Some(last) => page.header(
                "Link",
                &format!("</v2/app/tags/list?n=2&last={last}>; rel=\"next\""),
            ),
            None => page,
        }
    });
    let repository = at(server.address(), "app");
    assert_eq!(
        repository.all_tags().await.unwrap(),
        ["a", "b", "c", "d", "e"]
    );
    let page = repository.tags(Some(2), Some("b")).await.unwrap();
    assert_eq!(page.tags, ["c", "d"]);
    let next = repository.tags(None, page.next.as_deref()).await.unwrap();
    assert_eq!((next.tags.len(), next.next), (1, None));
}
