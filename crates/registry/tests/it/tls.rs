//! TLS to a real registry: authorities, client certificates, hosts that are called insecure.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use registry::{Client, ClientCertificate, Config, Host};
use testkit::registry::{Authority, Registry, RegistrySetup};

use crate::support::*;

fn with_host(address: &str, host: Host) -> Client {
    let mut config: Config = impatient();
    config.hosts = BTreeMap::from([(address.to_owned(), host)]);
    Client::new(config).unwrap()
}

fn trusting(authority: &Authority) -> Host {
    Host {
        authorities: vec![authority.certificate().to_owned()],
        ..Host::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_trusted_for_its_host() {
    let Some(authority) = Authority::new() else {
        return;
    };
    let Some(real) = RegistrySetup::default().tls(authority.server()).start() else {
        return;
    };
    let client = with_host(real.address(), trusting(&authority));
    let repository = anonymous(&client, &format!("{}/app:1", real.address()));
    let layer = noise(1, 500_000);
    push(&repository, &layer).await;
    let blob = repository.blob(&describe(LAYER, &layer), 0).await.unwrap();
    assert!(drain(blob).await.unwrap() == layer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_authoritys_certificate_is_refused() {
    let (Some(authority), Some(other)) = (Authority::new(), Authority::new()) else {
        return;
    };
    let Some(real) = RegistrySetup::default().tls(authority.server()).start() else {
        return;
    };
    let client = with_host(real.address(), trusting(&other));
    let error = anonymous(&client, &format!("{}/app:1", real.address()))
        .resolve()
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("its certificate is signed by an unknown authority"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_machine_is_trusted_with_any_certificate_and_without_tls() {
    let Some(authority) = Authority::new() else {
        return;
    };
    let Some(secure) = RegistrySetup::default().tls(authority.server()).start() else {
        return;
    };
    let Some(plain) = Registry::start() else {
        return;
    };
    for real in [secure, plain] {
        push(&at(real.address(), "app:1"), b"layer").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_way_down_to_http() {
    let (Some(authority), Some(real)) = (Authority::new(), Registry::start()) else {
        return;
    };
    let client = with_host(real.address(), trusting(&authority));
    let error = anonymous(&client, &format!("{}/app:1", real.address()))
        .resolve()
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("server gave HTTP response to HTTPS client"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_is_shown() {
    let Some(authority) = Authority::new() else {
        return;
    };
    let setup = RegistrySetup::default().mutual_tls(authority.server(), authority.certificate());
    let Some(real) = setup.start() else { return };
    let mut host = trusting(&authority);
    let without = with_host(real.address(), host.clone());
    let name = format!("{}/app:1", real.address());
    assert!(anonymous(&without, &name).resolve().await.is_err());
    let pair = authority.client();
    host.client = Some(ClientCertificate {
        certificate: pair.certificate,
        key: pair.key,
    });
    push(
        &anonymous(&with_host(real.address(), host), &name),
        b"layer",
    )
    .await;
}

#[test]
fn certificates_that_are_none_are_refused_before_they_are_needed() {
    let mut config = Config::default();
    let host = Host {
        authorities: vec!["nonsense".into()],
        ..Host::default()
    };
    config.hosts.insert("reg.example.com".into(), host);
    let error = Client::new(config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid registry configuration: host.\"reg.example.com\".authorities: \
         there is no certificate (PEM) in it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_may_come_back_with_tls_and_without() {
    let Some(authority) = Authority::new() else {
        return;
    };
    let Some(secure) = RegistrySetup::default().tls(authority.server()).start() else {
        return;
    };
    let Some(plain) = Registry::start() else {
        return;
    };
    // One address in front of both, in turn.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("{}/app:1", listener.local_addr().unwrap());
    let behind = Arc::new(Mutex::new(plain.address().to_owned()));
    let target = behind.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let target = target.lock().unwrap().clone();
            let server = TcpStream::connect(target).unwrap();
            let (mut a, mut b) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let (mut c, mut d) = (server, client);
            std::thread::spawn(move || std::io::copy(&mut a, &mut b));
            std::thread::spawn(move || std::io::copy(&mut c, &mut d));
        }
    });
    let mut config = impatient();
    config.limits.attempts = 4;
    let client = Client::new(config).unwrap();
    for address in [plain.address(), secure.address(), plain.address()] {
        push(&at(address, "app:1"), b"layer").await;
        address.clone_into(&mut behind.lock().unwrap());
        let repository = anonymous(&client, &name);
        // Connections that were kept lead to the one before; the first requests may tell so.
        let mut last = None;
        for _ in 0..10 {
            last = repository.resolve().await.err();
            if last.is_none() {
                break;
            }
        }
        assert!(last.is_none(), "{address}: {last:?}");
    }
}
