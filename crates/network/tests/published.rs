//! Published ports: who reaches them, by which address, and as whom.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::os::fd::AsFd;

use network::ruleset::{Change, Protocol, Published};
use support::{
    CLIENT, CLIENT6, MACHINE, MACHINE6, World, cannot_run, cidr, datagrams, endpoint, ip, listen,
    network, not_reached, published, reached,
};

const SUBNETS: [&str; 2] = ["172.30.0.1/24", "fd00:30::1/64"];

#[test]
fn a_port_is_reached_from_everywhere_with_the_source_kept() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = network("br0", &SUBNETS);
    world.add(&net);
    let one = world.container(&net, &endpoint(&["172.30.0.2/24"], &["172.30.0.1"]));
    let two = world.container(&net, &endpoint(&["172.30.0.3/24"], &["172.30.0.1"]));
    let server = listen(&one, 80);
    assert!(not_reached(&server, &world.client, MACHINE, 8080));
    world.publish(published(8080, "172.30.0.2", 80, "br0"));
    let from = |who: &dyn AsFd, to| reached(&server, who.as_fd(), to, 8080);
    assert_eq!(from(&world.client, MACHINE).as_deref(), Some(CLIENT));
    assert_eq!(from(&world.machine, MACHINE).as_deref(), Some(MACHINE));
    // The kernel gives what comes from 127.0.0.1 the bridge's address.
    assert_eq!(
        from(&world.machine, "127.0.0.1").as_deref(),
        Some("172.30.0.1")
    );
    assert_eq!(
        from(&world.machine, "127.8.8.8").as_deref(),
        Some("172.30.0.1")
    );
    // By way of the host from its own network, and from itself.
    assert_eq!(from(&two, MACHINE).as_deref(), Some("172.30.0.1"));
    assert_eq!(from(&one, MACHINE).as_deref(), Some("172.30.0.1"));
    assert_eq!(from(&two, "172.30.0.1").as_deref(), Some("172.30.0.1"));
    // No longer published: new connections are not let in.
    let port = published(8080, "172.30.0.2", 80, "br0");
    world.change(Change::Unpublish(vec![port]));
    assert!(not_reached(&server, &world.client, MACHINE, 8080));
    assert!(not_reached(&server, &world.machine, "127.0.0.1", 8080));
}

#[test]
fn a_port_is_reached_where_bridges_are_filtered() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    if !support::filter_bridges(true) {
        support::skip("SKIP: br_netfilter is not loaded");
        return;
    }
    let net = network("br0", &SUBNETS);
    world.add(&net);
    let inside = |address, address6| endpoint(&[address, address6], &["172.30.0.1", "fd00:30::1"]);
    let one = world.container(&net, &inside("172.30.0.2/24", "fd00:30::2/64"));
    let two = world.container(&net, &inside("172.30.0.3/24", "fd00:30::3/64"));
    let server = listen(&one, 80);
    world.publish(published(8080, "172.30.0.2", 80, "br0"));
    world.publish(published(8080, "fd00:30::2", 80, "br0"));
    let from = |who: &dyn AsFd, to| reached(&server, who.as_fd(), to, 8080);
    assert_eq!(from(&world.client, MACHINE).as_deref(), Some(CLIENT));
    assert_eq!(from(&world.client, MACHINE6).as_deref(), Some(CLIENT6));
    assert!(from(&world.machine, "127.0.0.1").is_some());
    assert!(from(&two, MACHINE).is_some());
    assert!(from(&two, MACHINE6).is_some());
    assert!(from(&one, MACHINE).is_some());
    assert!(from(&one, MACHINE6).is_some());
    assert!(reached(&server, &two, "172.30.0.2", 80).is_some());
}

#[test]
fn a_port_is_reached_by_version_6() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = network("br0", &SUBNETS);
    world.add(&net);
    let inside = endpoint(&["fd00:30::2/64"], &["fd00:30::1"]);
    let one = world.container(&net, &inside);
    let two = world.container(&net, &endpoint(&["fd00:30::3/64"], &["fd00:30::1"]));
    let server = listen(&one, 80);
    world.publish(published(8080, "fd00:30::2", 80, "br0"));
    let from = |who: &dyn AsFd, to| reached(&server, who.as_fd(), to, 8080);
    assert_eq!(from(&world.client, MACHINE6).as_deref(), Some(CLIENT6));
    assert_eq!(from(&world.machine, MACHINE6).as_deref(), Some(MACHINE6));
    assert_eq!(from(&two, MACHINE6).as_deref(), Some("fd00:30::1"));
    assert_eq!(from(&one, MACHINE6).as_deref(), Some("fd00:30::1"));
    // ::1 is not for the kernel to translate: a proxy has it, or nobody.
    assert!(not_reached(&server, &world.machine, "::1", 8080));
    // The outside is reached as the machine.
    let outside = listen(&world.client, 90);
    assert_eq!(
        reached(&outside, &one, CLIENT6, 90).as_deref(),
        Some(MACHINE6)
    );
}

#[test]
fn an_address_of_the_host_is_that_address_only() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = network("br0", &SUBNETS);
    world.add(&net);
    let one = world.container(&net, &endpoint(&["172.30.0.2/24"], &["172.30.0.1"]));
    let (first, second) = (listen(&one, 80), listen(&one, 81));
    let at = |host: &str, port| Published {
        host: Some(ip(host)),
        ..published(8080, "172.30.0.2", port, "br0")
    };
    world.publish(at("127.0.0.1", 80));
    assert!(reached(&first, &world.machine, "127.0.0.1", 8080).is_some());
    assert!(not_reached(&first, &world.machine, MACHINE, 8080));
    assert!(not_reached(&first, &world.client, MACHINE, 8080));
    world.publish(at(MACHINE, 81));
    assert_eq!(
        reached(&second, &world.client, MACHINE, 8080).as_deref(),
        Some(CLIENT)
    );
    assert!(reached(&first, &world.machine, "127.0.0.1", 8080).is_some());
}

#[test]
fn nobody_outside_reaches_the_loopback_addresses() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = network("br0", &SUBNETS);
    world.add(&net);
    let one = world.container(&net, &endpoint(&["172.30.0.2/24"], &["172.30.0.1"]));
    let server = listen(&one, 80);
    let own = listen(&world.machine, 7000);
    world.publish(Published {
        host: Some(ip("127.0.0.1")),
        ..published(8080, "172.30.0.2", 80, "br0")
    });
    // Somebody on the LAN, and a container, send packets to 127.0.0.1 by way of the machine (CVE-2020-8558).
    for (who, via) in [(world.client.as_fd(), MACHINE), (one.as_fd(), "172.30.0.1")] {
        sys::ns::within(who, || {
            for setting in ["all", "eth0"] {
                sys::sysctl::set(&format!("net.ipv4.conf.{setting}.route_localnet"), "1").unwrap();
            }
            let loopback = sys::netlink::Message::new(25, 0, &loopback_route(255, 2, 8));
            let loopback = loopback.with(1, &[127, 0, 0, 0]);
            let mut socket = sys::netlink::Socket::open(sys::netlink::Family::Route).unwrap();
            socket.run(vec![loopback]).unwrap();
            for address in [[127, 0, 0, 1], [127, 255, 255, 255]] {
                let broadcast = address[3] == 255;
                let kind = if broadcast { 3 } else { 2 };
                let own = sys::netlink::Message::new(25, 0, &loopback_route(255, kind, 32));
                socket.run(vec![own.with(1, &address)]).unwrap();
            }
            let to = cidr("127.0.0.0/8");
            let via = Some(ip(via));
            network_route(&mut socket, to, via);
        })
        .unwrap();
    }
    assert!(not_reached(&own, &world.client, "127.0.0.1", 7000));
    assert!(not_reached(&own, &one, "127.0.0.1", 7000));
    assert!(not_reached(&server, &world.client, "127.0.0.1", 8080));
    // Even where the administrator lets the machine route such packets.
    sys::sysctl::set("net.ipv4.conf.eth0.route_localnet", "1").unwrap();
    assert!(not_reached(&server, &world.client, "127.0.0.1", 8080));
}

/// `struct rtmsg` of a route in this table, of this type.
fn loopback_route(table: u8, kind: u8, prefix: u8) -> [u8; 12] {
    [2, prefix, 0, 0, table, 0, 255, kind, 0, 0, 0, 0]
}

fn network_route(
    socket: &mut sys::netlink::Socket,
    to: network::Cidr,
    via: Option<std::net::IpAddr>,
) {
    let find = sys::netlink::Message::new(18, 0, &[0; 16]).with(3, b"eth0\0");
    let index = socket
        .ask(find, |found| {
            u32::from_ne_bytes(*found.body[4..8].first_chunk().unwrap())
        })
        .unwrap();
    let std::net::IpAddr::V4(via) = via.unwrap() else {
        panic!("version 4");
    };
    let mut route =
        sys::netlink::Message::new(24, 0x600, &[2, to.prefix(), 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
    route.put(1, &[127, 0, 0, 0]);
    route.put_u32(4, index);
    route.put(5, &via.octets());
    socket.run(vec![route]).unwrap();
}

#[test]
fn a_list_says_who_may_use_a_port() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = network("br0", &SUBNETS);
    world.add(&net);
    let one = world.container(&net, &endpoint(&["172.30.0.2/24"], &["172.30.0.1"]));
    let server = listen(&one, 80);
    let allowing = |ranges: &[&str]| Published {
        allow: ranges.iter().map(|range| cidr(range)).collect(),
        ..published(8080, "172.30.0.2", 80, "br0")
    };
    world.publish(allowing(&["198.51.100.128/25"]));
    world.publish(published(8081, "172.30.0.2", 80, "br0"));
    assert!(not_reached(&server, &world.client, MACHINE, 8080));
    assert!(reached(&server, &world.client, MACHINE, 8081).is_some());
    // The host itself always may.
    assert!(reached(&server, &world.machine, MACHINE, 8080).is_some());
    assert!(reached(&server, &world.machine, "127.0.0.1", 8080).is_some());
    world.publish(allowing(&["198.51.100.128/25", "198.51.100.2/32"]));
    assert!(reached(&server, &world.client, MACHINE, 8080).is_some());
    world.publish(allowing(&["::/0"]));
    assert!(not_reached(&server, &world.client, MACHINE, 8080));
    // Where the host's own rules decide, nothing is translated past them.
    world.publish(Published {
        host_policy: true,
        ..published(8081, "172.30.0.2", 80, "br0")
    });
    assert!(not_reached(&server, &world.client, MACHINE, 8081));
}

#[test]
fn datagrams_are_translated_both_ways() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = network("br0", &SUBNETS);
    world.add(&net);
    let one = world.container(&net, &endpoint(&["172.30.0.2/24"], &["172.30.0.1"]));
    let server = datagrams(&one, "0.0.0.0:53");
    world.publish(Published {
        protocol: Protocol::Udp,
        ..published(5353, "172.30.0.2", 53, "br0")
    });
    for (who, at, seen) in [
        (&world.client, MACHINE, CLIENT),
        (&world.machine, "127.0.0.1", "172.30.0.1"),
    ] {
        let client = datagrams(who, "0.0.0.0:0");
        client.connect((at, 5353)).unwrap();
        client.send(b"question").unwrap();
        let mut buffer = [0; 16];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.ip()), (&b"question"[..], ip(seen)));
        server.send_to(b"answer", from).unwrap();
        // The client takes answers only from whom it asked.
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"answer");
    }
}

#[test]
fn a_range_of_a_thousand_ports_comes_and_goes_at_once() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = network("br0", &SUBNETS);
    world.add(&net);
    let one = world.container(&net, &endpoint(&["172.30.0.2/24"], &["172.30.0.1"]));
    let server = listen(&one, 20_999);
    let range: Vec<_> = (20_000..21_000)
        .map(|port| published(port, "172.30.0.2", port, "br0"))
        .collect();
    world.change(Change::Publish(range.clone()));
    assert!(reached(&server, &world.client, MACHINE, 20_999).is_some());
    // The whole table in one go, as large as it is.
    world.firewall.replace(&world.rules).unwrap();
    assert!(world.firewall.matches(&world.rules).unwrap());
    world.change(Change::Unpublish(range));
    assert!(world.rules.published.is_empty());
    assert!(not_reached(&server, &world.client, MACHINE, 20_999));
}
