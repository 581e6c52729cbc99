//! Ends and successors.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

use network::keeper::{Change, Keeper, Listen, Reservation};
use network::ruleset::{Firewall, Protocol, Ruleset};
use simple_dns::TYPE;

use crate::host::{Host, PATIENCE, cannot_run, pid, program, until};
use crate::upstream::Upstream;

/// A port that is kept on version 4 and passed on version 6.
fn reserve(host: &Host, to: std::net::SocketAddr) -> u16 {
    let listen = vec![
        Listen {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            to: None,
        },
        Listen {
            address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            to: Some(to),
        },
    ];
    let reservation = Reservation {
        allow: Vec::new(),
        protocol: Protocol::Tcp,
        first: 0,
        last: 0,
        inner: 80,
        listen,
        port: 0,
    };
    let id = "id-web".to_owned();
    host.apply(&[Change::Reserve { id, reservation }])[0]
}

/// Whether a connection through the port arrives and says something.
fn passes(server: &TcpListener, port: u16) -> (TcpStream, TcpStream) {
    let mut client = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
    let (mut served, _) = server.accept().unwrap();
    says(&mut client, &mut served);
    (client, served)
}

fn says(client: &mut TcpStream, served: &mut TcpStream) {
    let mut room = [0; 5];
    client.write_all(b"hello").unwrap();
    served.read_exact(&mut room).unwrap();
    served.write_all(&room).unwrap();
    client.read_exact(&mut room).unwrap();
    assert_eq!(&room, b"hello");
}

#[test]
fn a_keeper_that_was_killed_has_a_successor_that_knows_all() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let _upstream = Upstream::start("127.0.0.1", Ipv4Addr::new(192, 0, 2, 1));
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let web = host.container("web", &["10.0.0.2"], &["front"]);
    let port = reserve(&host, server.local_addr().unwrap());
    drop(passes(&server, port));
    for _ in 0..3 {
        let before = host.keeper.model().unwrap();
        let first = host.pid();
        host.kill_keeper();
        assert!(host.keeper.wait_for_end(Some(PATIENCE)).unwrap());
        // Nothing is said again: the next call starts it.
        assert_eq!(host.keeper.model().unwrap(), before);
        assert_ne!(host.pid(), first);
        assert_eq!(web.ask("web", TYPE::A), "NoError 10.0.0.2");
        assert_eq!(web.ask_by_stream("www.test", TYPE::A), "NoError 192.0.2.1");
        assert!(TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_err());
        drop(passes(&server, port));
    }
}

#[test]
fn one_of_another_build_takes_over_without_a_gap() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let web = host.container("web", &["10.0.0.2"], &["front"]);
    let port = reserve(&host, server.local_addr().unwrap());
    host.apply(&[Change::Ruleset {
        rules: Ruleset::new("brig-test"),
    }]);
    let (mut client, mut served) = passes(&server, port);
    let (old, before) = (host.pid(), host.keeper.model().unwrap());
    let newer = host.dir.path().join("brig-net");
    std::fs::copy(program(), &newer).unwrap();
    let successor = Keeper::new(newer, host.net());
    successor.ensure().unwrap();
    assert_ne!(host.pid(), old);
    assert_eq!(successor.model().unwrap(), before);
    assert_eq!(web.ask("web", TYPE::A), "NoError 10.0.0.2");
    drop(passes(&server, port));
    assert!(TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_err());
    assert!(
        Firewall::open()
            .unwrap()
            .matches(&Ruleset::new("brig-test"))
            .unwrap()
    );
    // What the old one passes on it passes on to its end, and ends then.
    let old = sys::pidfd::open(old).unwrap();
    says(&mut client, &mut served);
    drop((client, served));
    assert!(sys::pidfd::ended_within(&old, PATIENCE).unwrap());
    // The same build is left alone.
    let now = host.pid();
    successor.ensure().unwrap();
    assert_eq!(host.pid(), now);
}

#[test]
fn it_ends_when_nothing_is_kept_or_its_directory_goes() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    assert!(!host.keeper.end().unwrap(), "networks are still kept");
    for id in ["front", "inner"] {
        host.apply(&[Change::NoNetwork { id: id.to_owned() }]);
    }
    assert!(host.keeper.end().unwrap());
    assert_eq!(pid(&host.net()), None);
    assert!(host.keeper.end().unwrap());
    host.apply(&[Change::Ruleset {
        rules: Ruleset::new("brig-test"),
    }]);
    let mut kernel = Firewall::open().unwrap();
    assert!(kernel.matches(&Ruleset::new("brig-test")).unwrap());
    let last = sys::pidfd::open(host.pid()).unwrap();
    std::fs::remove_dir_all(host.net()).unwrap();
    assert!(sys::pidfd::ended_within(&last, PATIENCE).unwrap());
    let gone = kernel.matches(&Ruleset::new("brig-test"));
    assert!(!gone.unwrap_or(false));
}

#[test]
fn a_model_is_replaced_as_a_whole() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let web = host.container("web", &["10.0.0.2"], &["front"]);
    let db = host.container("db", &["10.0.0.3"], &["front"]);
    let port = reserve(&host, server.local_addr().unwrap());
    let mut model = host.keeper.model().unwrap();
    model.views.remove("id-db");
    let front = model.networks.get_mut("front").unwrap();
    front.endpoints.get_mut("id-web").unwrap().addresses = vec!["10.0.0.9".parse().unwrap()];
    host.keeper.replace(&model).unwrap();
    assert_eq!(host.keeper.model().unwrap(), model);
    assert_eq!(web.ask("web", TYPE::A), "NoError 10.0.0.9");
    drop(passes(&server, port));
    model.ports.clear();
    host.keeper.replace(&model).unwrap();
    until("the port's end", || {
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
    });
    drop(db);
}
