//! Reserved ports, and what is passed on through them.

use std::io::{Read, Write};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket,
};
use std::process::Command;
use std::time::Duration;

use network::keeper::{Change, Listen, Reservation};
use network::ruleset::{self, Protocol, Ruleset};
use network::{BridgePlan, Driver, NetworkPlan};
use sys::ns;
use types::ErrorKind;

use crate::host::{Host, PATIENCE, cannot_run, until};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
const ONE: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn reservation(ports: (u16, u16), listen: &[(IpAddr, Option<SocketAddr>)]) -> Reservation {
    let listen = listen.iter().map(|(address, to)| Listen {
        address: *address,
        to: *to,
    });
    Reservation {
        allow: Vec::new(),
        protocol: Protocol::Tcp,
        first: ports.0,
        last: ports.1,
        inner: 80,
        listen: listen.collect(),
        port: 0,
    }
}

fn reserve(id: &str, reservation: Reservation) -> Change {
    Change::Reserve {
        id: id.to_owned(),
        reservation,
    }
}

fn is_free(address: IpAddr, port: u16) -> bool {
    TcpListener::bind((address, port)).is_ok()
}

fn refused(host: &Host, changes: &[Change]) -> (ErrorKind, String) {
    let error = host.keeper.apply(changes, &[]).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_reserved_port_is_kept_and_who_has_it_is_told() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let both = |port: u16| reservation((port, port), &[(V4, None), (V6, None)]);
    assert_eq!(host.apply(&[reserve("web", both(8080))]), [8080]);
    assert_eq!(
        host.apply(&[reserve("web", both(8080))]),
        [8080],
        "said again"
    );
    assert!(!is_free(V4, 8080) && !is_free(ONE, 8080));
    let (kind, text) = refused(&host, &[reserve("db", both(8080))]);
    assert_eq!(kind, ErrorKind::Conflict);
    assert_eq!(
        text,
        "port 8080/tcp of 0.0.0.0 is taken: container web has it"
    );
    let other = TcpListener::bind("127.0.0.1:8090").unwrap();
    // All or nothing: 8089 is given back.
    let (kind, text) = refused(
        &host,
        &[reserve("db", both(8089)), reserve("db", both(8090))],
    );
    let me = format!(
        "port 8090/tcp of 0.0.0.0 is taken: process {} (",
        std::process::id()
    );
    assert_eq!(kind, ErrorKind::Conflict);
    assert!(text.starts_with(&me), "{text}");
    assert!(is_free(V4, 8089));
    // A range goes on behind what is taken.
    let range = |first, last| reservation((first, last), &[(V4, None), (V6, None)]);
    assert_eq!(host.apply(&[reserve("db", range(8090, 8092))]), [8091]);
    let (_, text) = refused(&host, &[reserve("x", range(8090, 8091))]);
    assert!(
        text.starts_with("no port from 8090 to 8091 is free: port 8090/tcp"),
        "{text}"
    );
    // Any port is one that is free on both; two containers have two.
    let any = host.apply(&[reserve("a", both(0)), reserve("b", both(0))]);
    assert!(any[0] != any[1] && any[0] > 1023 && !is_free(V4, any[0]) && !is_free(ONE, any[0]));
    let far = reservation((80, 80), &[("203.0.113.9".parse().unwrap(), None)]);
    let (kind, text) = refused(&host, &[reserve("x", far)]);
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(text.ends_with("it is no address of this host"), "{text}");
    for id in ["web", "db", "a", "b"] {
        host.apply(&[Change::Release { id: id.to_owned() }]);
    }
    assert!(is_free(V4, 8080) && is_free(ONE, 8091));
    assert_eq!(host.keeper.status().unwrap().ports, 0);
    drop(other);
}

#[test]
fn other_protocols_have_ports_too() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let of = |protocol, to| Reservation {
        allow: Vec::new(),
        protocol,
        ..reservation((5353, 5353), &[(V4, None), (V6, to)])
    };
    host.apply(&[
        reserve("dns", of(Protocol::Tcp, None)),
        reserve("dns", of(Protocol::Udp, None)),
    ]);
    assert!(UdpSocket::bind("127.0.0.1:5353").is_err());
    let (_, text) = refused(&host, &[reserve("x", of(Protocol::Udp, None))]);
    assert_eq!(
        text,
        "port 5353/udp of 0.0.0.0 is taken: container dns has it"
    );
    host.apply(&[reserve("sctp", of(Protocol::Sctp, None))]);
    let to = Some("10.0.0.2:1".parse().unwrap());
    let (kind, text) = refused(&host, &[reserve("x", of(Protocol::Sctp, to))]);
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(text.contains("sctp cannot be passed on"), "{text}");
}

/// A port of `[::1]` that leads to this address.
fn passing(host: &Host, protocol: Protocol, to: SocketAddr) -> SocketAddr {
    let reservation = Reservation {
        allow: Vec::new(),
        protocol,
        ..reservation((0, 0), &[(ONE, Some(to))])
    };
    let port = host.apply(&[reserve("web", reservation)])[0];
    SocketAddr::new(ONE, port)
}

fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from + length)
        .map(|n| (n % 251).to_le_bytes()[0])
        .collect()
}

const PIECE: usize = 251 * 1024;

/// Sends so many pieces, and the end.
fn send(mut stream: &TcpStream, pieces: usize) {
    let piece = pattern(0, PIECE);
    for _ in 0..pieces {
        stream.write_all(&piece).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Receives to the end, and says how much that was.
fn receive(mut stream: &TcpStream) -> usize {
    let (mut room, expected) = (vec![0; PIECE], pattern(0, 2 * PIECE));
    let mut total = 0;
    loop {
        let length = stream.read(&mut room).unwrap();
        if length == 0 {
            return total;
        }
        let at = total % 251;
        assert!(
            room[..length] == expected[at..at + length],
            "bytes differ near {total}"
        );
        total += length;
    }
}

#[test]
fn hundreds_of_megabytes_pass_both_ways_and_each_ends_by_itself() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = passing(&host, Protocol::Tcp, server.local_addr().unwrap());
    let (up, down) = (1000, 1200);
    let client = TcpStream::connect(port).unwrap();
    let (served, _) = server.accept().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| send(&client, up));
        scope.spawn(|| send(&served, down));
        let received = scope.spawn(|| receive(&served));
        assert_eq!(receive(&client), down * PIECE);
        assert_eq!(received.join().unwrap(), up * PIECE);
    });
    // One direction long after the other's end.
    let client = TcpStream::connect(port).unwrap();
    let (served, _) = server.accept().unwrap();
    send(&client, 1);
    assert_eq!(receive(&served), PIECE);
    std::thread::scope(|scope| {
        scope.spawn(|| send(&served, 100));
        assert_eq!(receive(&client), 100 * PIECE);
    });
    drop((client, served));
    until("the end of both", || {
        host.keeper.status().unwrap().connections == 0
    });
}

#[test]
fn who_is_not_there_refuses_and_who_breaks_off_is_heard() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = passing(&host, Protocol::Tcp, server.local_addr().unwrap());
    // A reset passes from one side to the other.
    let mut client = TcpStream::connect(port).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let (served, _) = server.accept().unwrap();
    sys::inet::reset_on_close(&served).unwrap();
    drop(served);
    let error = client.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    drop(server);
    let mut client = TcpStream::connect(port).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let error = client.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    until("the end of all", || {
        host.keeper.status().unwrap().connections == 0
    });
    // And a port that is released refuses by itself.
    let id = "web".to_owned();
    host.apply(&[Change::Release { id }]);
    let error = TcpStream::connect(port).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn hundreds_of_connections_at_once_cost_no_thread() {
    if cannot_run() {
        return;
    }
    sys::rlimit::raise("NOFILE", 4096).unwrap();
    let host = Host::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = passing(&host, Protocol::Tcp, server.local_addr().unwrap());
    let mut pairs = Vec::new();
    for _ in 0..600 {
        let client = TcpStream::connect(port).unwrap();
        let (served, _) = server.accept().unwrap();
        pairs.push((client, served));
    }
    assert_eq!(host.keeper.status().unwrap().connections, 600);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", host.pid())).unwrap();
    assert_eq!(tasks.count(), 1);
    for (client, _) in &mut pairs {
        client.write_all(b"ping").unwrap();
    }
    // A client that takes nothing holds up nobody else.
    let (slow, mut to_slow) = pairs.pop().unwrap();
    to_slow.set_nonblocking(true).unwrap();
    while to_slow.write(&[1; 65536]).is_ok() {}
    for (_, served) in &mut pairs {
        let mut room = [0; 4];
        served.read_exact(&mut room).unwrap();
        served.write_all(b"pong").unwrap();
    }
    for (client, _) in &mut pairs {
        let mut room = [0; 4];
        client.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"pong");
    }
    drop((pairs, slow, to_slow));
    until("the end of all", || {
        host.keeper.status().unwrap().connections == 0
    });
}

#[test]
fn datagrams_pass_and_each_client_is_known_by_a_port_of_its_own() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = passing(&host, Protocol::Udp, server.local_addr().unwrap());
    let mut room = [0; 100];
    let mut seen = Vec::new();
    let clients: Vec<_> = (0..5)
        .map(|_| UdpSocket::bind("[::1]:0").unwrap())
        .collect();
    for (n, client) in clients.iter().enumerate() {
        let text = format!("question {n}");
        client
            .set_read_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        client.connect(port).unwrap();
        // What is lost is said again.
        until("an answer", || {
            client.send(text.as_bytes()).unwrap();
            server
                .set_read_timeout(Some(Duration::from_secs(1)))
                .unwrap();
            let Ok((length, from)) = server.recv_from(&mut room) else {
                return false;
            };
            // Of the one before, who was slow and has said it twice.
            if &room[..length] != text.as_bytes() {
                return false;
            }
            seen.push(from);
            server.send_to(&room[..length], from).unwrap();
            client
                .recv(&mut room)
                .is_ok_and(|length| &room[..length] == text.as_bytes())
        });
    }
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

/// What a server hears first, of what is said to it over and over, but for what was said `before`.
fn first_heard(server: &UdpSocket, before: &[&str], say: impl Fn()) -> String {
    server
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let mut heard = String::new();
    until("a word", || {
        say();
        let mut room = [0; 100];
        let Ok(length) = server.recv(&mut room) else {
            return false;
        };
        heard = String::from_utf8_lossy(&room[..length]).into_owned();
        !before.contains(&heard.as_str())
    });
    heard
}

#[test]
fn datagrams_are_passed_on_for_who_may() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let other = host.container("other", &["10.9.0.2"], &["front"]);
    let cable = format!(
        "ip link add eth0 type veth peer name v0 netns {} && \
         ip address add 10.9.0.2/24 dev eth0 && ip link set eth0 up",
        host.pid()
    );
    assert_eq!(other.run(&host, &cable), "");
    let own = "ip address add 10.9.0.1/24 dev v0 && ip link set v0 up";
    let own = Command::new("sh").args(["-c", own]).status();
    assert!(own.unwrap().success());
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let gateway = IpAddr::from([10, 9, 0, 1]);
    let port = |owner: &str, allow: &[&str]| {
        let reservation = Reservation {
            allow: allow.iter().map(|range| range.parse().unwrap()).collect(),
            protocol: Protocol::Udp,
            ..reservation((0, 0), &[(gateway, Some(server.local_addr().unwrap()))])
        };
        let port = host.apply(&[reserve(owner, reservation)])[0];
        SocketAddr::new(gateway, port)
    };
    let (listed, open) = (port("listed", &["203.0.113.0/24"]), port("open", &[]));
    let outside = ns::within(&other.namespace, || UdpSocket::bind("10.9.0.2:0"));
    let outside = outside.unwrap().unwrap();
    let inside = UdpSocket::bind("10.9.0.1:0").unwrap();
    // Lost where it cannot be sent yet, and said again.
    let say = |who: &UdpSocket, word: &str, to| drop(who.send_to(word.as_bytes(), to));
    let heard = first_heard(&server, &[], || {
        say(&outside, "not on the list", listed);
        say(&outside, "open to all", open);
    });
    assert_eq!(heard, "open to all");
    let heard = first_heard(&server, &["open to all"], || {
        say(&inside, "the host itself", listed);
    });
    assert_eq!(heard, "the host itself");
    // What nothing leaves does not use the host's program to leave.
    let mut rules = Ruleset::new("brig-test");
    rules.change(&ruleset::Change::AddNetwork(NetworkPlan {
        name: "kept".to_owned(),
        driver: Driver::Bridge(BridgePlan::new("v0")),
        subnets: vec!["10.9.0.1/24".parse().unwrap()],
        mtu: None,
        internal: true,
    }));
    host.apply(&[Change::Ruleset { rules }]);
    let fresh = port("fresh", &[]);
    let before = ["open to all", "the host itself"];
    let heard = first_heard(&server, &before, || {
        say(&outside, "kept inside", fresh);
        say(&inside, "the host again", fresh);
    });
    assert_eq!(heard, "the host again");
}
