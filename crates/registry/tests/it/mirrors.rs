//! Mirrors, rewrites, blocks and proxies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use testkit::registry::{Authority, Registry, RegistrySetup, Reply, Server, forward};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_is_asked_first_and_the_registry_when_it_has_not() {
    let (Some(real), Some(copy)) = (Registry::start(), Registry::start()) else {
        return;
    };
    let layer = noise(1, 100_000);
    push(&at(real.address(), "team/app:1"), &layer).await;
    push(&at(real.address(), "team/app:2"), b"only there").await;
    push(&at(copy.address(), "cached/team/app:1"), &layer).await;
    let upstream = real.address().to_owned();
    let front = Server::start(move |request| forward(&upstream, request));
    let client = configured(&format!(
        "[[registry]]\nprefix = \"{}\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:1\"\n\
         [[registry.mirror]]\nlocation = \"{}/cached\"\n",
        front.address(),
        copy.address()
    ));
    let repository = anonymous(&client, &format!("{}/team/app:1", front.address()));
    repository.resolve().await.unwrap();
    let blob = repository.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert_eq!(blob.host(), copy.address());
    assert!(drain(blob).await.unwrap() == layer);
    assert!(front.requests().is_empty(), "{:?}", front.lines());
    anonymous(&client, &format!("{}/team/app:2", front.address()))
        .resolve()
        .await
        .unwrap();
    assert_eq!(front.lines(), ["GET /v2/team/app/manifests/2"]);
    // A push goes to the registry itself.
    let error = repository
        .upload(&describe(LAYER, b"new"), source(b"new"))
        .await;
    assert!(error.is_ok());
    assert!(
        !at(copy.address(), "cached/team/app")
            .has_blob(&describe(LAYER, b"new"))
            .await
            .unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_breaks_off_is_replaced_by_the_next() {
    let layer = noise(2, 200_000);
    let (bytes, same) = (layer.clone(), layer.clone());
    let broken = Server::start(move |request| {
        let reply = ranged(request, &bytes);
        let rest = reply.bytes().to_vec();
        let some = rest.len().min(1000);
        reply.body(testkit::registry::Body::Cut(rest, some))
    });
    let good = Server::start(move |request| ranged(request, &same));
    let client = configured(&format!(
        "[[registry]]\nprefix = \"reg.example.com\"\nmirrors-only = true\n\
         [[registry.mirror]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"\n",
        broken.address(),
        good.address()
    ));
    let repository = anonymous(&client, "reg.example.com/app:1");
    let blob = repository.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert!(drain(blob).await.unwrap() == layer);
    assert!(good.requests()[0].header("range").is_some());
    // Who has sent wrong bytes can be left out.
    let other = repository.avoiding(broken.address());
    let blob = other.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert_eq!(blob.host(), good.address());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_manifests_of_a_mirror_are_not_believed() {
    let Some(real) = Registry::start() else {
        return;
    };
    let pushed = push(&at(real.address(), "app:1"), b"layer").await;
    let forged = manifest(&describe(CONFIG, b"{}"), &[]);
    let mirror = Server::start(move |_| Reply::new(200, forged.to_vec()));
    let client = configured(&format!(
        "[[registry]]\nprefix = \"{}\"\n[[registry.mirror]]\nlocation = \"http://{}\"\nused-for = \"digests\"\n",
        real.address(),
        mirror.address()
    ));
    let repository = anonymous(
        &client,
        &format!("{}/app@{}", real.address(), pushed.digest),
    );
    assert_eq!(
        repository.resolve().await.unwrap().descriptor.digest,
        pushed.digest
    );
    assert_eq!(mirror.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_gets_no_credentials_of_the_registry() {
    let mirror = Server::start(|_| Reply::new(401, "").header("WWW-Authenticate", "Basic realm=x"));
    let client = configured(&format!(
        "[[registry]]\nprefix = \"reg.example.com\"\nmirrors-only = true\n\
         [[registry.mirror]]\nlocation = \"{}\"\n",
        mirror.address()
    ));
    let whose = registry::Credentials::own(ann());
    let reference = named("reg.example.com/app:1");
    assert!(
        client
            .repository(&reference, &whose)
            .resolve()
            .await
            .is_err()
    );
    assert!(
        mirror
            .requests()
            .iter()
            .all(|r| r.header("authorization").is_none())
    );
    let whose = whose.with(mirror.address(), ann());
    assert!(
        client
            .repository(&reference, &whose)
            .resolve()
            .await
            .is_err()
    );
    assert!(
        mirror
            .requests()
            .iter()
            .any(|r| r.header("authorization").is_some())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_is_rewritten_for_pushes_too_and_may_be_blocked() {
    let Some(real) = Registry::start() else {
        return;
    };
    let client = configured(&format!(
        "[[registry]]\nprefix = \"reg.example.com/team\"\nlocation = \"{}/moved\"\n\
         [[registry]]\nprefix = \"bad.example.com\"\nblocked = true\n",
        real.address()
    ));
    push(&anonymous(&client, "reg.example.com/team/app:1"), b"layer").await;
    at(real.address(), "moved/app:1").resolve().await.unwrap();
    let error = anonymous(&client, "bad.example.com/app")
        .resolve()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "bad.example.com/app:latest: access to registry bad.example.com is blocked by the configuration"
    );
    assert_eq!(error.kind(), types::ErrorKind::Forbidden);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_through_the_proxy() {
    let bytes = manifest(&describe(CONFIG, b"{}"), &[]);
    let proxy = Server::start(move |_| sent(&bytes));
    let client = configured(&format!(
        "[proxies]\nhttp = \"http://ben:pass@{}\"\nno-proxy = \"direct.example.com\"\n\
         [host.\"reg.example.com\"]\nplain-http = true\n",
        proxy.address()
    ));
    anonymous(&client, "reg.example.com/app:1")
        .resolve()
        .await
        .unwrap();
    let asked = proxy.requests();
    assert_eq!(asked[0].target, "http://reg.example.com/v2/app/manifests/1");
    assert_eq!(
        asked[0].header("proxy-authorization"),
        Some("Basic YmVuOnBhc3M=")
    );
}

/// A proxy that makes one kind of tunnel: to `target`, whoever is asked for. Returns its address and
/// how it was asked.
fn tunnel(target: String) -> (String, std::sync::mpsc::Receiver<Vec<String>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(&target).unwrap();
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.trim().to_owned());
            }
            if sender.send(head).is_err() {
                // The test is over.
                break;
            }
            (&client)
                .write_all(b"HTTP/1.1 200 Connected\r\n\r\n")
                .unwrap();
            let (mut from, mut to) = (server.try_clone().unwrap(), client);
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || std::io::copy(&mut reader, &mut &server));
        }
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_goes_through_the_proxy_in_a_tunnel() {
    let Some(authority) = Authority::new() else {
        return;
    };
    let Some(real) = RegistrySetup::default().tls(authority.server()).start() else {
        return;
    };
    push(&at(real.address(), "app:1"), b"layer").await;
    let (proxy, asked) = tunnel(real.address().to_owned());
    let client = configured(&format!(
        "insecure = [\"reg.example.com\"]\n[proxies]\nhttps = \"ben:pass@{proxy}\"\n"
    ));
    anonymous(&client, "reg.example.com/app:1")
        .resolve()
        .await
        .unwrap();
    let head = asked.recv().unwrap();
    assert_eq!(head[0], "CONNECT reg.example.com:443 HTTP/1.1");
    let whose = head
        .iter()
        .find(|line| line.to_lowercase().starts_with("proxy-authorization"));
    assert!(whose.unwrap().ends_with("Basic YmVuOnBhc3M="), "{head:?}");
}

fn next(mut stream: &TcpStream, count: u8) -> Vec<u8> {
    let mut bytes = vec![0; usize::from(count)];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// A SOCKS5 proxy (RFC 1928) for one connection: to `target`, whatever name is asked for. Returns its
/// address and the name.
fn socks(target: String) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let methods = next(&client, 2)[1];
        next(&client, methods);
        client.write_all(&[5, 0]).unwrap();
        let head = next(&client, 5);
        assert_eq!(head[3], 3, "a name is expected");
        let name = String::from_utf8(next(&client, head[4])).unwrap();
        next(&client, 2);
        sender.send(name).unwrap();
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        let server = TcpStream::connect(target).unwrap();
        let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut client, &mut &server);
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_looked_up_behind_a_socks_proxy() {
    let bytes = manifest(&describe(CONFIG, b"{}"), &[]);
    let server = Server::start(move |_| sent(&bytes));
    let (proxy, asked) = socks(server.address().to_owned());
    let client = configured(&format!(
        "[proxies]\nhttp = \"socks5://{proxy}\"\n[host.\"reg.example.com\"]\nplain-http = true\n"
    ));
    anonymous(&client, "reg.example.com/app:1")
        .resolve()
        .await
        .unwrap();
    assert_eq!(asked.recv().unwrap(), "reg.example.com");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_may_be_the_root_of_a_mirrors_api() {
    let bytes = manifest(&describe(CONFIG, b"{}"), &[]);
    let mirror = Server::start(move |_| sent(&bytes));
    let client = configured(&format!(
        "[[registry]]\nprefix = \"docker.io\"\n[[registry.mirror]]\nlocation = \"http://{}/api/hub/\"\noverride-path = true\n",
        mirror.address()
    ));
    anonymous(&client, "debian").resolve().await.unwrap();
    assert_eq!(
        mirror.lines(),
        ["GET /api/hub/library/debian/manifests/latest"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_of_everything_is_told_whose_copy_is_wanted() {
    let bytes = manifest(&describe(CONFIG, b"{}"), &[]);
    let mirror = Server::start(move |_| sent(&bytes));
    let client = configured(&format!(
        "[[registry]]\nprefix = \"*\"\n[[registry.mirror]]\nlocation = \"{}\"\n",
        mirror.address()
    ));
    for reference in ["debian", "reg.example.com:5000/a/b:c"] {
        anonymous(&client, reference).resolve().await.unwrap();
    }
    assert_eq!(
        mirror.lines(),
        [
            "GET /v2/library/debian/manifests/latest?ns=docker.io",
            "GET /v2/a/b/manifests/c?ns=reg.example.com%3A5000",
        ]
    );
}
