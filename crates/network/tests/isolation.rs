//! Who does not reach whom: networks, containers, the outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::os::fd::AsFd;

use network::ruleset::{Change, Published};
use network::{GatewayMode, NetworkPlan, Route};
use support::{
    CLIENT, MACHINE, ROUTER, World, cannot_run, cidr, connect, endpoint, ip, listen, network,
    network_with, not_reached, published, reached,
};

/// A container of each of two networks; the client and the router have routes to both.
fn two_networks(
    world: &mut World,
    first: &NetworkPlan,
    second: &NetworkPlan,
) -> [support::Container; 2] {
    world.add(first);
    world.add(second);
    let route_to = |subnet: &str| {
        sys::ns::within(&world.client, || {
            let mut socket = sys::netlink::Socket::open(sys::netlink::Family::Route).unwrap();
            let route =
                sys::netlink::Message::new(24, 0x600, &[2, 24, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
            let octets = |text: &str| match ip(text) {
                std::net::IpAddr::V4(v4) => v4.octets(),
                std::net::IpAddr::V6(_) => panic!("version 4"),
            };
            let route = route.with(1, &octets(subnet)).with(5, &octets(MACHINE));
            socket.run(vec![route]).unwrap();
        })
        .unwrap();
    };
    route_to("172.30.0.0");
    route_to("172.31.0.0");
    [
        world.container(first, &endpoint(&["172.30.0.2/24"], &["172.30.0.1"])),
        world.container(second, &endpoint(&["172.31.0.2/24"], &["172.31.0.1"])),
    ]
}

#[test]
fn networks_reach_each_other_by_published_ports_only() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let (first, second) = (
        network("br0", &["172.30.0.1/24"]),
        network("br1", &["172.31.0.1/24"]),
    );
    let [one, two] = two_networks(&mut world, &first, &second);
    let server = listen(&one, 80);
    world.publish(published(8080, "172.30.0.2", 80, "br0"));
    assert!(not_reached(&server, &two, "172.30.0.2", 80));
    assert!(reached(&server, &two, MACHINE, 8080).is_some());
    // Who is outside and has a route reaches what is published, and not by the container's address.
    assert!(not_reached(&server, &world.client, "172.30.0.2", 80));
    assert!(reached(&server, &world.client, MACHINE, 8080).is_some());
    // The host does.
    assert!(reached(&server, &world.machine, "172.30.0.2", 80).is_some());
    // The outside is reached as the machine.
    let outside = listen(&world.client, 90);
    assert_eq!(
        reached(&outside, &one, CLIENT, 90).as_deref(),
        Some(MACHINE)
    );
    // A network that goes takes its ports along.
    world.change(Change::RemoveNetwork("br0".to_owned()));
    assert!(world.rules.published.is_empty());
}

#[test]
fn containers_without_icc_do_not_reach_each_other() {
    if cannot_run() {
        return;
    }
    for filtered in [false, true] {
        let mut world = World::new();
        if filtered && !support::filter_bridges(true) {
            support::skip("SKIP: br_netfilter is not loaded");
            return;
        }
        let net = network_with("br0", &["172.30.0.1/24"], |bridge| bridge.icc = false);
        world.add(&net);
        let one = world.container(&net, &endpoint(&["172.30.0.2/24"], &["172.30.0.1"]));
        let two = world.container(&net, &endpoint(&["172.30.0.3/24"], &["172.30.0.1"]));
        let server = listen(&one, 80);
        world.publish(published(8080, "172.30.0.2", 80, "br0"));
        assert!(not_reached(&server, &two, "172.30.0.2", 80));
        assert!(reached(&server, &world.client, MACHINE, 8080).is_some());
        assert!(reached(&server, &world.machine, "172.30.0.2", 80).is_some());
        let outside = listen(&world.client, 90);
        assert!(reached(&outside, &two, CLIENT, 90).is_some());
        if !filtered {
            assert!(reached(&server, &two, MACHINE, 8080).is_some());
        }
    }
}

#[test]
fn an_internal_network_reaches_nobody_but_the_host() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let first = NetworkPlan {
        internal: true,
        ..network("br0", &["172.30.0.1/24"])
    };
    let second = network("br1", &["172.31.0.1/24"]);
    let [one, two] = two_networks(&mut world, &first, &second);
    let peer = world.container(&first, &endpoint(&["172.30.0.3/24"], &[]));
    let server = listen(&one, 80);
    assert!(reached(&server, &peer, "172.30.0.2", 80).is_some());
    assert!(reached(&server, &world.machine, "172.30.0.2", 80).is_some());
    assert!(not_reached(&server, &two, "172.30.0.2", 80));
    assert!(not_reached(&server, &world.client, "172.30.0.2", 80));
    for (who, to) in [(&world.client, CLIENT), (&two.namespace, "172.31.0.2")] {
        let outside = listen(who, 90);
        assert!(not_reached(&outside, &one, to, 90));
    }
    // Not even by what the other network has published.
    let other = listen(&two, 80);
    world.publish(published(8080, "172.31.0.2", 80, "br1"));
    assert!(not_reached(&other, &one, MACHINE, 8080));
}

#[test]
fn gateway_modes_say_how_the_outside_comes_in() {
    if cannot_run() {
        return;
    }
    // Mode, then: an open port that is not published, a published one by the container's address, by the
    // host's.
    let table = [
        (GatewayMode::Nat, [false, false, true]),
        (GatewayMode::NatUnprotected, [true, true, true]),
        (GatewayMode::Routed, [false, true, false]),
    ];
    for (mode, wanted) in table {
        let mut world = World::new();
        let first = network_with("br0", &["172.30.0.1/24"], |bridge| bridge.mode4 = mode);
        let second = network("br1", &["172.31.0.1/24"]);
        let [one, two] = two_networks(&mut world, &first, &second);
        let (plain, open) = (listen(&one, 79), listen(&one, 80));
        let host_port = if mode == GatewayMode::Routed { 0 } else { 8080 };
        world.publish(published(host_port, "172.30.0.2", 80, "br0"));
        let tries = [
            (&plain, "172.30.0.2", 79),
            (&open, "172.30.0.2", 80),
            (&open, MACHINE, 8080),
        ];
        for ((server, to, port), wanted) in tries.into_iter().zip(wanted) {
            let message = format!("{mode:?} {to} {port}");
            if wanted {
                let seen = reached(server, &world.client, to, port);
                assert_eq!(seen.as_deref(), Some(CLIENT), "{message}");
            } else {
                assert!(not_reached(server, &world.client, to, port), "{message}");
            }
        }
        assert!(not_reached(&plain, &two, "172.30.0.2", 79), "{mode:?}");
        // As whom the outside is reached.
        let outside = listen(&world.client, 90);
        let seen = reached(&outside, &one, CLIENT, 90);
        let wanted = if mode == GatewayMode::Routed {
            "172.30.0.2"
        } else {
            MACHINE
        };
        assert_eq!(seen.as_deref(), Some(wanted), "{mode:?}");
    }
}

#[test]
fn an_isolated_network_has_no_way_to_the_host() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = NetworkPlan {
        internal: true,
        ..network_with("br0", &["172.30.0.1/24"], |bridge| {
            bridge.mode4 = GatewayMode::Isolated;
            bridge.mode6 = GatewayMode::Isolated;
        })
    };
    world.add(&net);
    let one = world.container(&net, &endpoint(&["172.30.0.2/24"], &[]));
    let two = world.container(&net, &endpoint(&["172.30.0.3/24"], &[]));
    let server = listen(&one, 80);
    assert!(reached(&server, &two, "172.30.0.2", 80).is_some());
    assert!(connect(&world.machine, "172.30.0.2", 80, support::SILENCE).is_none());
    let own = listen(&world.machine, 90);
    assert!(not_reached(&own, &one, "172.30.0.1", 90));
}

#[test]
fn who_is_kept_inside_is_not_believed_to_be_elsewhere() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let inside = NetworkPlan {
        internal: true,
        ..network("br0", &["172.30.0.1/24"])
    };
    let open = network("br1", &["172.31.0.1/24"]);
    world.add(&inside);
    world.add(&open);
    // Of itself the kernel may be as suspicious about all networks.
    for interface in ["all", "br0", "br1"] {
        sys::sysctl::set(&format!("net.ipv4.conf.{interface}.rp_filter"), "0").unwrap();
    }
    let server = support::datagrams(&world.machine, "0.0.0.0:53");
    let say = |net: &NetworkPlan, own: &str, gateway: &str, word: &str| {
        let plan = endpoint(&[own, "198.18.7.7/32"], &[gateway]);
        let container = world.container(net, &plan);
        for source in ["198.18.7.7:0", "0.0.0.0:0"] {
            let socket = support::datagrams(&container, source);
            let text = format!("{word} {source}");
            socket.send_to(text.as_bytes(), (gateway, 53)).unwrap();
        }
        container
    };
    let _containers = [
        say(&inside, "172.30.0.2/24", "172.30.0.1", "inside"),
        say(&open, "172.31.0.2/24", "172.31.0.1", "open"),
    ];
    let mut heard = Vec::new();
    for _ in 0..3 {
        let mut buffer = [0; 64];
        let (length, _) = server.recv_from(&mut buffer).unwrap();
        heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    heard.sort();
    let wanted = ["inside 0.0.0.0:0", "open 0.0.0.0:0", "open 198.18.7.7:0"];
    assert_eq!(heard, wanted);
}

#[test]
fn a_trusted_interface_reaches_containers_directly() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let first = network_with("br0", &["172.30.0.1/24"], |bridge| {
        bridge.trusted = vec!["eth0".to_owned()];
    });
    let second = network_with("br1", &["172.31.0.1/24"], |bridge| {
        bridge.snat = vec![ip("198.51.100.77")];
    });
    let [one, two] = two_networks(&mut world, &first, &second);
    let server = listen(&one, 80);
    assert_eq!(
        reached(&server, &world.client, "172.30.0.2", 80).as_deref(),
        Some(CLIENT)
    );
    assert!(not_reached(&server, &two, "172.30.0.2", 80));
    // A list of who may use a published port is for strangers.
    world.publish(Published {
        allow: vec![cidr("192.0.2.0/24")],
        ..published(8080, "172.30.0.2", 80, "br0")
    });
    assert!(reached(&server, &world.client, MACHINE, 8080).is_some());
    assert!(not_reached(&server, &two, MACHINE, 8080));
    // The other one leaves with an address that was chosen for it; answers to it are lost here.
    let outside = support::datagrams(&world.client, "0.0.0.0:90");
    let inside = support::datagrams(&two, "0.0.0.0:0");
    inside.send_to(b"x", (CLIENT, 90)).unwrap();
    let (_, from) = outside.recv_from(&mut [0; 4]).unwrap();
    assert_eq!(from.ip(), ip("198.51.100.77"));
}

/// Takes an interface out of the group that those of containers are in.
fn make_strange(interface: &str) {
    const NAME: u16 = 3;
    const GROUP: u16 = 27;
    let mut socket = sys::netlink::Socket::open(sys::netlink::Family::Route).unwrap();
    let mut message = sys::netlink::Message::new(16, 0, &[0; 16]);
    message.put_text(NAME, interface);
    message.put_u32(GROUP, 0);
    socket.run(vec![message]).unwrap();
}

#[test]
fn the_host_routes_for_nobody_else() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = network("br0", &["172.30.0.1/24"]);
    world.add(&net);
    let one = world.container(&net, &endpoint(&["172.30.0.2/24"], &["172.30.0.1"]));
    // A second LAN behind the machine.
    let (island, lan) = (support::namespace(), network("lan2", &["203.0.113.254/24"]));
    network::bridge::make(&lan).unwrap();
    make_strange("lan2");
    let plan = endpoint(&["203.0.113.5/24"], &["203.0.113.254"]);
    network::attach(island.as_fd(), &lan, &plan, None).unwrap();
    let mut client = endpoint(&["198.51.100.3/24"], &[]);
    client.routes.push(Route {
        to: cidr("203.0.113.0/24"),
        via: Some(ip(MACHINE)),
    });
    let outside = support::namespace();
    sys::ns::within(&world.router, || {
        let lan = network("lan", &["198.51.100.254/24"]);
        network::attach(outside.as_fd(), &lan, &client, None).unwrap();
    })
    .unwrap();
    let server = listen(&island, 80);
    // Such a host is a router, until it is told that it was none before.
    assert!(connect(&outside, "203.0.113.5", 80, support::PATIENCE).is_some());
    let _ = server.accept();
    world.change(Change::Close(true));
    assert!(not_reached(&server, &outside, "203.0.113.5", 80));
    let inside = listen(&one, 80);
    world.publish(published(8080, "172.30.0.2", 80, "br0"));
    assert!(reached(&inside, &world.client, MACHINE, 8080).is_some());
    let beyond = listen(&world.router, 90);
    assert_eq!(reached(&beyond, &one, ROUTER, 90).as_deref(), Some(MACHINE));
    assert!(world.rules.closed);
}

#[test]
fn who_is_in_the_way_of_a_port_is_known() {
    let mut rules = network::Ruleset::new("t");
    let at = |host: Option<&str>, port| Published {
        host: host.map(ip),
        ..published(port, "172.30.0.2", 80, "br0")
    };
    rules.change(&Change::Publish(vec![
        at(Some("10.0.0.1"), 80),
        at(None, 90),
    ]));
    assert!(rules.in_the_way(&at(Some("10.0.0.1"), 80)).is_some());
    assert!(rules.in_the_way(&at(None, 80)).is_some());
    assert!(rules.in_the_way(&at(Some("10.0.0.2"), 80)).is_none());
    assert!(rules.in_the_way(&at(Some("10.0.0.2"), 90)).is_some());
    assert!(rules.in_the_way(&at(None, 91)).is_none());
}
