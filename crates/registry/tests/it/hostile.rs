//! Registries that mean harm, or are broken beyond the protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use registry::{Credentials, Descriptor, Error};
use testkit::registry::{Body, Reply, Server};
use types::ErrorKind;

use crate::support::*;

async fn resolving(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Error {
    let server = Server::start(move |_| reply());
    at(server.address(), "app:1").resolve().await.unwrap_err()
}

async fn fetching(
    layer: &Descriptor,
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> Result<Vec<u8>, Error> {
    let server = Server::start(move |_| reply());
    drain(at(server.address(), "app").blob(layer, 0).await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_of_100_mb_is_refused() {
    let too_long = "it is longer than 4 MiB, the most that a manifest may have";
    let announced = resolving(|| Reply::new(200, "").body(Body::Zeros(100 << 20))).await;
    assert!(
        chain(&announced).ends_with(too_long),
        "{}",
        chain(&announced)
    );
    let endless = resolving(|| Reply::new(200, "").body(Body::Endless(vec![b' '; 65536]))).await;
    assert!(chain(&endless).ends_with(too_long), "{}", chain(&endless));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_that_never_ends_to_come_is_given_up() {
    let server = Server::start(|_| Reply::new(200, "").body(Body::Stalled(vec![b' '; 1000], 10)));
    let repository = anonymous(&stalling_after(1), &format!("{}/app:1", server.address()));
    let error = repository.resolve().await.unwrap_err();
    assert!(matches!(error, Error::Stalled { .. }), "{error}");
    assert!(
        error.to_string().ends_with("sent nothing for 1 seconds"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifests_that_are_none_are_refused_with_the_reason() {
    let deep = format!("{{\"schemaVersion\":2,\"x\":{}", "[".repeat(1_000_000));
    let config = entry(&describe(CONFIG, b"{}"));
    let image = |more: &str| format!("{{\"schemaVersion\":2,\"config\":{config}{more}}}");
    let table = [
        (String::new(), "it is no manifest: EOF"),
        ("<html>".into(), "it is no manifest: expected value"),
        (deep, "it is no manifest: EOF while parsing a list"),
        (
            "{\"schemaVersion\":1,\"fsLayers\":[]}".into(),
            "Docker's image format 1 (schema 1)",
        ),
        (
            "{\"fsLayers\":[]}".into(),
            "Docker's image format 1 (schema 1)",
        ),
        (
            "{\"schemaVersion\":3}".into(),
            "its schemaVersion is 3, 2 is expected",
        ),
        ("{}".into(), "it has no \"schemaVersion\""),
        ("{\"schemaVersion\":2}".into(), "it has no \"config\""),
        (
            image(",\"manifests\":[]"),
            "it lists both layers and manifests",
        ),
        (
            image(",\"mediaType\":\"text/html\""),
            "its media type is \"text/html\"",
        ),
        (
            image(&format!(",\"mediaType\":\"{INDEX}\"")),
            "it has no \"manifests\"",
        ),
        (
            image(",\"layers\":[{\"mediaType\":\"a/b\",\"digest\":\"sha256:../../x\",\"size\":1}]"),
            "it is no manifest: ",
        ),
        (
            image(",\"layers\":[{\"mediaType\":\"a/b\",\"digest\":\"sha384:ab\",\"size\":1}]"),
            "it is no manifest: ",
        ),
        (
            image(&format!(
                ",\"layers\":[{{\"mediaType\":\"a/b\",\"digest\":\"{}\",\"size\":-1}}]",
                digest(b"")
            )),
            "it is no manifest: ",
        ),
    ];
    for (text, why) in table {
        let shown = text.chars().take(80).collect::<String>();
        let error = resolving(move || Reply::new(200, text.clone())).await;
        assert!(matches!(error, Error::Manifest { .. }), "{shown}: {error}");
        assert!(chain(&error).contains(why), "{shown}: {}", chain(&error));
    }
    let other = image("");
    let error =
        resolving(move || Reply::new(200, other.clone()).header("Content-Type", "text/html")).await;
    assert!(
        chain(&error).contains("its media type is \"text/html\""),
        "{}",
        chain(&error)
    );
    let other = image(&format!(",\"mediaType\":\"{MANIFEST}\""));
    let error =
        resolving(move || Reply::new(200, other.clone()).header("Content-Type", INDEX)).await;
    assert!(
        chain(&error).contains("it was sent as"),
        "{}",
        chain(&error)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_digests_and_sizes_of_manifests_are_found() {
    let bytes = manifest(&describe(CONFIG, b"{}"), &[]);
    let wanted = describe(MANIFEST, b"other");
    let served = bytes.clone();
    let server = Server::start(move |_| Reply::new(200, served.to_vec()));
    let repository = at(server.address(), "app");
    let error = repository.manifest(&wanted).await.unwrap_err();
    let said = format!(
        "registry {0} sent a manifest of {0}/app@{1} whose digest is {2}, {1} was asked for",
        server.address(),
        wanted.digest,
        digest(&bytes)
    );
    assert_eq!(error.to_string(), said);
    let mut longer = describe(MANIFEST, &bytes);
    longer.size += 1;
    let error = repository.manifest(&longer).await.unwrap_err();
    assert!(error.to_string().contains("bytes, "), "{error}");
    let lying = bytes.clone();
    let error = resolving(move || {
        let reply = Reply::new(200, lying.to_vec());
        reply.header("Docker-Content-Digest", &digest(b"other").to_string())
    })
    .await;
    assert!(matches!(error, Error::Digest { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_never_brings_more_than_its_size() {
    let layer = noise(1, 100_000);
    let descriptor = describe(LAYER, &layer);
    let bytes = layer.clone();
    let endless = move || Reply::new(200, "").body(Body::Endless(bytes.clone()));
    assert_eq!(fetching(&descriptor, endless).await.unwrap(), layer);
    let longer = fetching(&descriptor, || {
        Reply::new(200, "").body(Body::Zeros(1 << 40))
    })
    .await;
    let error = longer.unwrap_err().to_string();
    assert!(
        error.contains("has a blob of 1099511627776 bytes there, 100000 expected"),
        "{error}"
    );
    let shorter = fetching(&descriptor, || Reply::new(200, vec![0; 10])).await;
    let error = shorter.unwrap_err().to_string();
    assert!(
        error.contains("has a blob of 10 bytes there, 100000 expected"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_that_never_comes_whole_is_given_up() {
    let descriptor = describe(LAYER, &noise(2, 100_000));
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let cut = fetching(&descriptor, move || {
        count.fetch_add(1, Ordering::SeqCst);
        Reply::new(200, "").body(Body::Cut(noise(2, 100_000), 0))
    });
    let error = cut.await.unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_bytes_than_asked_for_are_not_taken() {
    let layer = noise(3, 1000);
    let descriptor = describe(LAYER, &layer);
    let ranges = [
        "bytes 0-999/1000",
        "bytes 501-999/1000",
        "bytes 500-999/2000",
        "nonsense",
    ];
    for range in ranges {
        let bytes = layer.clone();
        let server =
            Server::start(move |_| Reply::new(206, &bytes[500..]).header("Content-Range", range));
        let error = at(server.address(), "app")
            .blob(&descriptor, 500)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{range}: {error}");
    }
    let server = Server::start(|_| Reply::new(416, ""));
    let error = at(server.address(), "app")
        .blob(&descriptor, 500)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("answered 416"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_lead_to_http_only_and_end() {
    let table = [
        (
            "file:///etc/passwd",
            "leads to \"file\", http or https is expected",
        ),
        ("gopher://127.0.0.1/", "leads to \"gopher\""),
        (
            "http://user:secret@127.0.0.1/",
            "has a name or a password in it",
        ),
        ("/v2/again", "redirects more than 10 times"),
    ];
    for (target, why) in table {
        let error = resolving(move || Reply::new(307, "").header("Location", target)).await;
        let text = error.to_string();
        assert!(
            text.contains(why) && !text.contains("secret"),
            "{target}: {text}"
        );
    }
    let nowhere = resolving(|| Reply::new(302, "")).await;
    assert!(
        nowhere.to_string().contains("redirects to nowhere"),
        "{nowhere}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_does_not_take_the_credentials_along() {
    let layer = noise(4, 10_000);
    let bytes = layer.clone();
    let store = Server::start(move |request| ranged(request, &bytes));
    let target = format!("http://{}/signed?token=1", store.address());
    let registry = Server::start(move |request| match request.header("authorization") {
        None => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=x"),
        Some(_) => Reply::new(307, "").header("Location", &target),
    });
    let reference = named(&format!("{}/app", registry.address()));
    let client = configured(&format!(
        "[host.\"{}\".headers]\nX-Secret = \"for the registry\"\n",
        registry.address()
    ));
    let repository = client.repository(&reference, &Credentials::own(ann()));
    let blob = repository.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert!(drain(blob).await.unwrap() == layer);
    for request in store.requests() {
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("x-secret"), None);
    }
    let all = registry.requests();
    assert!(
        all.iter()
            .all(|r| r.header("x-secret") == Some("for the registry"))
    );
}

/// The password must not come to who stands where a redirect leads, whatever they ask for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_a_redirect_leads_to_does_not_learn_who_asks() {
    for basic in [true, false] {
        let realm = Server::start(|_| Reply::new(200, "{\"token\":\"for anybody\"}"));
        let challenge = if basic {
            "Basic realm=x".to_owned()
        } else {
            format!(
                "Bearer realm=\"http://{}/token\",scope=\"a:b:c\"",
                realm.address()
            )
        };
        let layer = noise(5, 1000);
        let bytes = layer.clone();
        let elsewhere = Server::start(move |request| match request.header("authorization") {
            Some("Bearer for anybody") => Reply::new(200, bytes.clone()),
            _ => Reply::new(401, "").header("WWW-Authenticate", &challenge),
        });
        let target = format!("http://{}/b", elsewhere.address());
        let registry = Server::start(move |request| match request.header("authorization") {
            None => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=x"),
            Some(_) => Reply::new(307, "").header("Location", &target),
        });
        let client = configured(&format!(
            "[host.\"{}\".headers]\nX-Secret = \"for its own visitors\"\n",
            elsewhere.address()
        ));
        let reference = named(&format!("{}/app", registry.address()));
        let repository = client.repository(&reference, &Credentials::own(ann()));
        let blob = repository.blob(&describe(LAYER, &layer), 0).await;
        // Who wants a token that anybody gets is given one.
        assert_eq!(blob.is_ok(), !basic);
        for request in elsewhere.requests().iter().chain(&realm.requests()) {
            let said = request.header("authorization");
            assert!(
                said.is_none_or(|said| said == "Bearer for anybody"),
                "{said:?}"
            );
            assert!(!request.target.contains("ann"), "{}", request.target);
            assert_eq!(request.header("x-secret"), None);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_waited_for_if_it_is_not_too_long() {
    let bytes = manifest(&describe(CONFIG, b"{}"), &[]);
    for status in [429, 503] {
        let (first, bytes) = (First::default(), bytes.clone());
        let server = Server::start(move |_| {
            if first.is(1) {
                Reply::new(status, "").header("Retry-After", "1")
            } else {
                sent(&bytes)
            }
        });
        at(server.address(), "app:1").resolve().await.unwrap();
        assert_eq!(server.requests().len(), 2);
    }
    let words = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
    let server = Server::start(move |_| Reply::new(429, words).header("Retry-After", "3600"));
    let error = at(server.address(), "app:1").resolve().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot pull {0}/app:1: registry {0} says toomanyrequests: You have reached your pull rate limit.",
            server.address()
        )
    );
    assert_eq!(
        (error.kind(), server.requests().len()),
        (ErrorKind::Unavailable, 1)
    );
    let Error::TooMany {
        after: Some(after), ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(after.as_secs(), 3600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_registry_is_asked_a_few_times() {
    let server = Server::start(|_| Reply::new(500, ""));
    let error = at(server.address(), "app:1").resolve().await.unwrap_err();
    assert_eq!(server.requests().len(), 3);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_servers_are_bounded_too() {
    type Answer = fn() -> Reply;
    let table: [(Answer, &str); 5] = [
        (
            || Reply::new(200, "").body(Body::Zeros(1 << 30)),
            "a token's answer of more than 256 KiB",
        ),
        (
            || Reply::new(200, "{}"),
            "which gave an answer without a token",
        ),
        (
            || Reply::new(200, "[".repeat(100_000)),
            "which gave an answer that is no token",
        ),
        (
            || Reply::new(200, "{\"token\":\"a\\u0000b\"}"),
            "which gave a token that cannot be in a header",
        ),
        (
            || Reply::new(302, "").header("Location", "http://127.0.0.1:1/"),
            "answered 302",
        ),
    ];
    for (reply, why) in table {
        let realm = Server::start(move |_| reply());
        let challenge = format!(
            "Bearer realm=\"http://{}/token\",service=\"x\"",
            realm.address()
        );
        let server =
            Server::start(move |_| Reply::new(401, "").header("WWW-Authenticate", &challenge));
        let error = at(server.address(), "app:1").resolve().await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    for (realm, why) in [
        ("ftp://a/", "is not http or https"),
        ("nonsense", "is no address"),
    ] {
        let challenge = format!("Bearer realm=\"{realm}\"");
        let server =
            Server::start(move |_| Reply::new(401, "").header("WWW-Authenticate", &challenge));
        let error = at(server.address(), "app:1").resolve().await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_always_wants_another_token_is_refused() {
    let given = AtomicU64::new(0);
    let realm = Server::start(move |_| {
        Reply::new(
            200,
            format!(
                "{{\"token\":\"t{}\"}}",
                given.fetch_add(1, Ordering::SeqCst)
            ),
        )
    });
    let challenge = format!("Bearer realm=\"http://{}/token\"", realm.address());
    let server = Server::start(move |_| Reply::new(401, "").header("WWW-Authenticate", &challenge));
    let error = at(server.address(), "app:1").resolve().await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_without_an_end_are_left() {
    let server = Server::start(|_| {
        Reply::new(200, r#"{"tags":["a","b"]}"#)
            .header("Link", "</v2/app/tags/list?last=b>; rel=\"next\"")
    });
    let error = at(server.address(), "app").all_tags().await.unwrap_err();
    assert!(error.to_string().ends_with("has no end"), "{error}");
    let number = AtomicU64::new(0);
    let server = Server::start(move |_| {
        let next = number.fetch_add(1, Ordering::SeqCst);
        let link = format!("<?page={next}>; rel=next");
        Reply::new(200, r#"{"schemaVersion":2,"manifests":[]}"#).header("Link", &link)
    });
    let error = at(server.address(), "app")
        .referrers(&digest(b""), None)
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with("has no end"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_a_registry_are_safe_to_print() {
    let words = "{\"errors\":[{\"code\":\"X\",\"message\":\"\\u001b[31mred\\nnext line\"}]}";
    let error = resolving(move || Reply::new(400, words)).await;
    assert!(!error.to_string().contains(['\u{1b}', '\n']), "{error:?}");
    let long = format!("{{\"message\":\"{}\"}}", "x".repeat(60_000));
    let error = resolving(move || Reply::new(400, long.clone())).await;
    assert!(error.to_string().len() < 500, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_without_an_end_are_left() {
    let many = resolving(|| {
        let mut reply = Reply::new(200, "");
        reply.headers = vec![("X-More".into(), "and more".into()); 10_000];
        reply
    });
    let error = many.await;
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    let long = resolving(|| Reply::new(200, "").header("X-Long", &"x".repeat(10 << 20)));
    let error = long.await;
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    // As many challenges as fit in: none of them is met more than once.
    let challenges = "Basic a=b, ".repeat(5000);
    let error = resolving(move || Reply::new(401, "").header("WWW-Authenticate", &challenges));
    assert!(matches!(error.await, Error::Denied { .. }));
}
