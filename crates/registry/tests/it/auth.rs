//! Basic authentication and tokens, with a real registry that checks them.

use registry::{Credential, Credentials, Error};
use testkit::registry::{
    PASSWORD, Registry, RegistrySetup, Reply, Server, TokenServer, Tokens, USER,
};
use types::ErrorKind;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_opens_a_registry_with_basic_authentication() {
    let Some(real) = RegistrySetup::default().basic().start() else {
        return;
    };
    let reference = named(&format!("{}/app:1", real.address()));
    let repository = client().repository(&reference, &Credentials::own(ann()));
    let layer = noise(1, 300_000);
    push(&repository, &layer).await;
    let blob = repository.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert!(drain(blob).await.unwrap() == layer);

    let nobody = at(real.address(), "app:1").resolve().await.unwrap_err();
    assert_eq!(
        nobody.to_string(),
        format!(
            "pull access denied for {}/app, repository does not exist or may require 'docker login': \
             unauthorized: authentication required",
            real.address()
        )
    );
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
    let wrong = Credential::Password {
        username: USER.into(),
        password: "wrong".into(),
    };
    let wrong = client().repository(&reference, &Credentials::own(wrong));
    let error = wrong.resolve().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "registry {}: unauthorized: authentication required",
            real.address()
        )
    );
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_says_whether_the_password_is_right() {
    let Some(real) = RegistrySetup::default().basic().start() else {
        return;
    };
    let login = client()
        .login(real.address(), &Credentials::own(ann()))
        .await
        .unwrap();
    assert_eq!(login.identity_token, None);
    let wrong = Credential::Password {
        username: USER.into(),
        password: format!("{PASSWORD}x"),
    };
    let error = client()
        .login(real.address(), &Credentials::own(wrong.clone()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    let Some(open) = Registry::start() else {
        return;
    };
    client()
        .login(open.address(), &Credentials::own(wrong.clone()))
        .await
        .unwrap();
    let error = client()
        .login("a b", &Credentials::own(wrong.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

/// A registry with a token server.
fn guarded(tokens: Tokens) -> Option<(TokenServer, Registry)> {
    let server = TokenServer::start(tokens)?;
    let real = RegistrySetup::default().token(&server).start()?;
    Some((server, real))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_fetched_for_what_is_done() {
    let Some((server, real)) = guarded(Tokens::default()) else {
        return;
    };
    let reference = named(&format!("{}/app:1", real.address()));
    let repository = client().repository(&reference, &Credentials::own(ann()));
    let layer = noise(2, 300_000);
    push(&repository, &layer).await;
    assert_eq!(server.given(), 1);
    repository.resolve().await.unwrap();
    let blob = repository.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert!(drain(blob).await.unwrap() == layer);
    // One to push, one to pull.
    assert_eq!(server.given(), 2);
    let scopes: Vec<_> = server.requests().iter().map(|r| r.target.clone()).collect();
    assert!(
        scopes[0].contains("scope=repository%3Aapp%3Apull%2Cpush"),
        "{scopes:?}"
    );
    assert!(
        scopes[1].contains("scope=repository%3Aapp%3Apull&"),
        "{scopes:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_fetch_one_token() {
    let Some((server, real)) = guarded(Tokens::default()) else {
        return;
    };
    let reference = named(&format!("{}/app:1", real.address()));
    let repository = client().repository(&reference, &Credentials::own(ann()));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let repository = repository.clone();
            tokio::spawn(async move { repository.head().await.unwrap_err().kind() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), ErrorKind::NotFound);
    }
    assert_eq!(server.given(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_has_ended_is_fetched_anew() {
    let Some((server, real)) = guarded(Tokens {
        life: 1,
        ..Tokens::default()
    }) else {
        return;
    };
    let reference = named(&format!("{}/app:1", real.address()));
    let repository = client().repository(&reference, &Credentials::own(ann()));
    push(&repository, b"layer").await;
    let before = server.given();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while server.given() == before {
        assert!(std::time::Instant::now() < end, "no new token");
        repository.resolve().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anybody_may_pull_where_tokens_are_given_to_anybody() {
    let tokens = Tokens {
        anonymous: true,
        ..Tokens::default()
    };
    let Some((_server, real)) = guarded(tokens) else {
        return;
    };
    let reference = named(&format!("{}/app:1", real.address()));
    push(
        &client().repository(&reference, &Credentials::own(ann())),
        b"layer",
    )
    .await;
    let nobody = at(real.address(), "app:1");
    nobody.resolve().await.unwrap();
    let error = nobody
        .upload(&describe(LAYER, b"x"), source(b"x"))
        .await
        .unwrap_err();
    let text = error.to_string();
    let words = "push access denied for";
    assert!(
        text.starts_with(words) && text.contains("authentication required"),
        "{text}"
    );
    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_token_stands_for_the_password() {
    let Some((server, real)) = guarded(Tokens::default()) else {
        return;
    };
    let login = client()
        .login(real.address(), &Credentials::own(ann()))
        .await
        .unwrap();
    let token = login.identity_token.unwrap();
    let credential = Credential::IdentityToken(token.clone());
    client()
        .login(real.address(), &Credentials::own(credential.clone()))
        .await
        .unwrap();
    let reference = named(&format!("{}/app:1", real.address()));
    push(
        &client().repository(&reference, &Credentials::own(credential)),
        b"layer",
    )
    .await;
    let last = server.requests().pop().unwrap();
    assert_eq!(
        (last.method.as_str(), last.header("authorization")),
        ("POST", None)
    );
    let body = String::from_utf8(last.body).unwrap();
    assert!(body.contains("grant_type=refresh_token"), "{body}");
    let wrong = Credential::IdentityToken("wrong".into());
    let error = client()
        .login(real.address(), &Credentials::own(wrong.clone()))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "registry {}: unauthorized: incorrect username or password",
            real.address()
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_server_may_speak_oauth_only() {
    let realm = Server::start(|request| match request.method.as_str() {
        "POST" => Reply::new(200, "{\"access_token\":\"given\",\"expires_in\":60}"),
        _ => Reply::new(405, ""),
    });
    let challenge = format!("Bearer realm=\"http://{}/token\"", realm.address());
    let server = Server::start(move |request| match request.header("authorization") {
        Some("Bearer given") => Reply::new(200, "{}"),
        _ => Reply::new(401, "").header("WWW-Authenticate", &challenge),
    });
    client()
        .login(server.address(), &Credentials::own(ann()))
        .await
        .unwrap();
    let body = String::from_utf8(realm.requests().pop().unwrap().body).unwrap();
    assert!(
        body.starts_with("grant_type=password&username=ann&password=secret&access_type=offline")
    );
    // Nobody in particular has nothing to show.
    let nobody = client()
        .login(server.address(), &Credentials::anonymous())
        .await;
    assert!(nobody.unwrap_err().to_string().contains("405"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_led_to_where_the_registry_is() {
    let server = Server::start(
        |request| match (request.path(), request.header("authorization")) {
            ("/v2/", _) => Reply::new(301, "").header("Location", "/moved/v2/"),
            (_, None) => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=x"),
            _ => Reply::new(200, "{}"),
        },
    );
    client()
        .login(server.address(), &Credentials::own(ann()))
        .await
        .unwrap();
    assert_eq!(server.lines().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_token_is_sent_as_it_is() {
    let server = Server::start(|request| match request.header("authorization") {
        Some("Bearer given") => sent(&manifest(&describe(CONFIG, b"{}"), &[])),
        _ => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=x"),
    });
    let reference = named(&format!("{}/app:1", server.address()));
    let credentials = Credentials::own(Credential::RegistryToken("given".into()));
    client()
        .repository(&reference, &credentials)
        .resolve()
        .await
        .unwrap();
    assert_eq!(server.lines(), ["GET /v2/app/manifests/1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mounting_asks_for_both_repositories() {
    let Some((server, real)) = guarded(Tokens::default()) else {
        return;
    };
    let reference = |name: &str| named(&format!("{}/{name}", real.address()));
    let whose = Credentials::own(ann());
    let client = client();
    let descriptor = describe(LAYER, b"layer");
    let one = client.repository(&reference("one"), &whose);
    one.upload(&descriptor, source(b"layer")).await.unwrap();
    let two = client.repository(&reference("two"), &whose);
    assert!(two.mount(&descriptor, &reference("one")).await.unwrap());
    let last = server.requests().pop().unwrap().target;
    let both = [
        "scope=repository%3Atwo%3Apull%2Cpush",
        "scope=repository%3Aone%3Apull",
    ];
    assert!(both.iter().all(|scope| last.contains(scope)), "{last}");
}
