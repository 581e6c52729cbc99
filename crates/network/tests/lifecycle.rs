//! Endpoints come and go: nothing is left behind, whatever fails and however often.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::time::Instant;

use network::ipam::Addresses;
use network::ruleset::{Change, Firewall, Ruleset};
use network::{
    Attachment, Cidr, Driver, EndpointPlan, InterfaceName, NetworkPlan, Route, STEPS, attach,
    bridge, host_routes, set_gateways,
};
use support::{
    CLIENT, MACHINE, PATIENCE, World, cannot_run, cidr, connect, endpoint, ip, listen, namespace,
    network, published, reached,
};

/// Names of the interfaces of the calling thread's namespace.
fn interfaces() -> BTreeSet<String> {
    let mut socket = sys::netlink::Socket::open(sys::netlink::Family::Route).unwrap();
    let links = sys::netlink::Message::new(18, 0, &[0; 16]);
    let names = socket.dump(&links, |link| {
        sys::netlink::Attributes::after(link.body, 16).text(3)
    });
    names.unwrap().into_iter().collect()
}

fn inside(namespace: impl AsFd) -> BTreeSet<String> {
    sys::ns::within(namespace, interfaces).unwrap()
}

/// A machine of this thread's own.
fn machine() -> std::os::fd::OwnedFd {
    let machine = namespace();
    sys::ns::enter(&machine, sys::ns::Namespaces::NETWORK).unwrap();
    support::filter_bridges(false);
    machine
}

/// An endpoint that passes every step.
fn full(address: &str) -> EndpointPlan {
    let rate = types::Rate {
        bytes: 1 << 20,
        burst: None,
    };
    EndpointPlan {
        sysctls: vec![(
            "net.ipv4.conf.IFNAME.log_martians".to_owned(),
            "1".to_owned(),
        )],
        bandwidth: types::Bandwidth {
            ingress: Some(rate),
            egress: Some(rate),
        },
        ..endpoint(&[address], &["172.30.0.1"])
    }
}

#[test]
fn nothing_is_left_whichever_step_fails() {
    if cannot_run() {
        return;
    }
    let _machine = machine();
    let net = support::network_with("br0", &["172.30.0.1/24"], |bridge| bridge.icc = false);
    bridge::make(&net).unwrap();
    let before = interfaces();
    let container = namespace();
    for step in STEPS {
        let plan = full("172.30.0.2/24");
        let error = attach(container.as_fd(), &net, &plan, Some(step)).unwrap_err();
        assert_eq!(error.to_string(), format!("step {step} was told to fail"));
        assert_eq!(interfaces(), before, "{step}");
        assert_eq!(inside(&container).len(), 1, "{step}");
    }
    let attachment = attach(container.as_fd(), &net, &full("172.30.0.2/24"), None).unwrap();
    assert_eq!(interfaces().len(), before.len() + 1);
    let setting = || sys::sysctl::get("net.ipv4.conf.eth0.log_martians");
    assert_eq!(sys::ns::within(&container, setting).unwrap().unwrap(), "1");
    attachment.detach(&container).unwrap();
    attachment.detach(&container).unwrap();
    attachment.clear().unwrap();
    assert_eq!(interfaces(), before);
    bridge::remove(&net).unwrap();
    bridge::remove(&net).unwrap();
    assert!(!interfaces().contains("br0"));
}

#[test]
fn what_is_wrong_is_said_and_leaves_nothing() {
    if cannot_run() {
        return;
    }
    let _machine = machine();
    let net = network("br0", &["172.30.0.1/24"]);
    let container = namespace();
    let refused = |net: &NetworkPlan, plan: &EndpointPlan| {
        let error = attach(container.as_fd(), net, plan, None).unwrap_err();
        assert_eq!(inside(&container).len(), 1, "{error}");
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    };
    let plain = endpoint(&["172.30.0.2/24"], &[]);
    let missing = refused(&net, &plain);
    assert!(
        missing.starts_with("cannot connect eth0 with the bridge br0: netlink: no such device"),
        "{missing}"
    );
    bridge::make(&net).unwrap();
    let named = |name: &str| EndpointPlan {
        interface: InterfaceName::Exact(name.to_owned()),
        ..plain.clone()
    };
    assert_eq!(
        refused(&net, &named("lo")),
        "error renaming interface: there is an interface lo already: file exists"
    );
    assert!(refused(&net, &named("a/b")).contains("cannot be the name of an interface"));
    let far = refused(&net, &endpoint(&["172.30.0.2/24"], &["10.9.9.9"]));
    assert!(
        far.starts_with("cannot set up eth0: netlink: network is unreachable"),
        "{far}"
    );
    let setting = EndpointPlan {
        sysctls: vec![("kernel.hostname".to_owned(), "x".to_owned())],
        ..plain.clone()
    };
    assert!(refused(&net, &setting).contains("no setting of an interface"));
    let lost = NetworkPlan {
        driver: Driver::Macvlan(network::MacvlanPlan {
            parent: Some("eth7".to_owned()),
            parent_is_ours: false,
            dummy: String::new(),
            mode: network::MacvlanMode::Bridge,
        }),
        ..net.clone()
    };
    assert!(refused(&lost, &plain).starts_with("the host has no interface eth7"));
    assert_eq!(
        bridge::make(&network("lo", &[])).unwrap_err().to_string(),
        "the interface lo is there already, and is no bridge"
    );
    let borrowed = support::network_with("br7", &[], |bridge| bridge.borrowed = true);
    assert!(
        bridge::make(&borrowed)
            .unwrap_err()
            .to_string()
            .contains("there is no bridge br7")
    );
}

#[test]
fn a_container_has_several_networks() {
    if cannot_run() {
        return;
    }
    let world = World::new();
    let first = network("br0", &["172.30.0.1/24", "fd00:30::1/64"]);
    let second = network("br1", &["172.31.0.1/24"]);
    for net in [&first, &second] {
        bridge::make(net).unwrap();
    }
    let mut world = world;
    world.change(Change::AddNetwork(first.clone()));
    world.change(Change::AddNetwork(second.clone()));
    let one = world.container(
        &first,
        &endpoint(&["172.30.0.2/24", "fd00:30::2/64"], &["172.30.0.1"]),
    );
    let mut plan = endpoint(&["172.31.0.2/24", "169.254.7.7/16"], &[]);
    plan.mac = Some("02:42:ac:1f:00:02".parse().unwrap());
    plan.routes.push(Route {
        to: cidr("10.77.0.0/16"),
        via: Some(ip("172.31.0.1")),
    });
    let other = attach(one.as_fd(), &second, &plan, None).unwrap();
    assert_eq!(
        (other.interface.as_str(), other.mac),
        ("eth1", plan.mac.unwrap())
    );
    plan.interface = InterfaceName::Exact("data".to_owned());
    plan.addresses = vec![cidr("172.31.0.3/24")];
    plan.routes.clear();
    let third = attach(one.as_fd(), &second, &plan, None).unwrap();
    let names = inside(&one);
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["data", "eth0", "eth1", "lo"]
    );
    third.detach(&one).unwrap();
    // The default route moves to the other network, and back.
    let outside = listen(&world.client, 90);
    let gateway = |interface: &str, address: &str| {
        set_gateways(&one, &[(interface.to_owned(), ip(address))]).unwrap();
    };
    assert_eq!(
        reached(&outside, &one, CLIENT, 90).as_deref(),
        Some(MACHINE)
    );
    gateway("eth1", "172.31.0.1");
    assert_eq!(
        reached(&outside, &one, CLIENT, 90).as_deref(),
        Some(MACHINE)
    );
    other.detach(&one).unwrap();
    assert!(connect(&one, CLIENT, 90, support::SILENCE).is_none());
    gateway("eth0", "172.30.0.1");
    assert_eq!(
        reached(&outside, &one, CLIENT, 90).as_deref(),
        Some(MACHINE)
    );
    // What an attachment was is kept on disk.
    let text = serde_json::to_string(&one.attachment).unwrap();
    assert_eq!(
        serde_json::from_str::<Attachment>(&text).unwrap(),
        one.attachment
    );
}

/// A few hundred here; the environment asks for ten thousand.
fn rounds() -> usize {
    let asked = std::env::var("BRIG_ATTACHMENTS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(300)
}

#[test]
fn many_come_and_go_eight_at_a_time_and_nothing_is_left() {
    if cannot_run() {
        return;
    }
    let machine = machine();
    let net = network("br0", &["172.30.0.1/22"]);
    bridge::make(&net).unwrap();
    let before = interfaces();
    let mut firewall = Firewall::open().unwrap();
    let mut rules = Ruleset::new("brig-test");
    rules.change(&Change::AddNetwork(net.clone()));
    firewall.replace(&rules).unwrap();
    let addresses = Addresses::new(cidr("172.30.0.0/22"), None, None, BTreeMap::new()).unwrap();
    let shared = std::sync::Mutex::new((addresses, rules, firewall, BTreeSet::<Cidr>::new()));
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (net, shared, machine) = (&net, &shared, &machine);
            scope.spawn(move || {
                sys::ns::enter(machine, sys::ns::Namespaces::NETWORK).unwrap();
                for round in 0..rounds() / 8 {
                    come_and_go(net, shared, worker * 10_000 + round);
                }
            });
        }
    });
    let (addresses, rules, mut firewall, held) = shared.into_inner().unwrap();
    assert_eq!(
        (addresses.in_use(), held.len(), rules.published.len()),
        (0, 0, 0)
    );
    assert!(firewall.matches(&rules).unwrap());
    // The kernel removes the last interfaces after their namespaces, in its own time.
    let deadline = Instant::now() + PATIENCE;
    while interfaces() != before {
        assert!(Instant::now() < deadline, "{:?}", interfaces());
        std::thread::yield_now();
    }
}

type Shared = (Addresses, Ruleset, Firewall, BTreeSet<Cidr>);

fn come_and_go(net: &NetworkPlan, shared: &std::sync::Mutex<Shared>, number: usize) {
    let address = {
        let mut shared = shared.lock().unwrap();
        let address = shared.0.take().unwrap();
        assert!(shared.3.insert(address), "{address} handed out twice");
        address
    };
    let port = u16::try_from(10_000 + number % 50_000).unwrap();
    let port = published(port, &address.address().to_string(), 80, "br0");
    let container = namespace();
    let plan = endpoint(&[&address.to_string()], &["172.30.0.1"]);
    let attachment = attach(container.as_fd(), net, &plan, None).unwrap();
    let change = |change: Change| {
        let (_, rules, firewall, _) = &mut *shared.lock().unwrap();
        firewall.change(rules, &change).unwrap();
        rules.change(&change);
    };
    change(Change::Publish(vec![port.clone()]));
    change(Change::Unpublish(vec![port]));
    if number.is_multiple_of(4) {
        attachment.detach(&container).unwrap();
        assert_eq!(inside(&container).len(), 1);
    }
    drop(container);
    let mut shared = shared.lock().unwrap();
    shared.3.remove(&address);
    assert!(shared.0.give_back(address.address()));
}

#[test]
fn somebody_flushes_the_table_and_it_is_put_back() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = network("br0", &["172.30.0.1/24"]);
    world.add(&net);
    let one = world.container(&net, &endpoint(&["172.30.0.2/24"], &["172.30.0.1"]));
    let server = listen(&one, 80);
    let mut watch = world.firewall.watch().unwrap();
    world.publish(published(8080, "172.30.0.2", 80, "br0"));
    // What we do ourselves is no news, nor is what others do to their tables.
    let mut other = Firewall::open().unwrap();
    other.replace(&Ruleset::new("theirs")).unwrap();
    assert!(!watch.drain("brig-test").unwrap());
    other.remove("brig-test").unwrap();
    assert!(sys::event::readable_within(&watch, PATIENCE).unwrap());
    assert!(watch.drain("brig-test").unwrap());
    assert!(!world.firewall.matches(&world.rules).unwrap());
    assert!(support::not_reached(&server, &world.client, MACHINE, 8080));
    world.firewall.replace(&world.rules).unwrap();
    assert!(world.firewall.matches(&world.rules).unwrap());
    assert!(!watch.drain("brig-test").unwrap());
    assert!(reached(&server, &world.client, MACHINE, 8080).is_some());
    // One element is enough.
    other
        .change(
            &world.rules,
            &Change::Unpublish(world.rules.published.clone()),
        )
        .unwrap();
    assert!(watch.drain("brig-test").unwrap());
    assert!(!world.firewall.matches(&world.rules).unwrap());
    // A table that is gone is removed without complaint.
    world.firewall.remove("brig-test").unwrap();
    world.firewall.remove("brig-test").unwrap();
}

#[test]
fn routes_and_addresses_of_the_host_are_known() {
    if cannot_run() {
        return;
    }
    let world = World::new();
    bridge::make(&network("br0", &["172.30.0.1/24", "fd00:30::1/64"])).unwrap();
    let routes = host_routes().unwrap();
    for range in [
        "198.51.100.0/24",
        "172.30.0.0/24",
        "fd00:30::/64",
        "2001:db8::/64",
        "127.0.0.0/8",
    ] {
        assert!(
            routes.contains(&cidr(range)),
            "{range} is not among {routes:?}"
        );
    }
    assert!(!routes.iter().any(|route| route.prefix() == 0));
    let pools = network::ipam::default_pools();
    assert!(network::ipam::choose(&pools, true, &routes).is_ok());
    drop(world);
}

#[test]
fn limits_are_set_changed_and_counted() {
    if cannot_run() {
        return;
    }
    let mut world = World::new();
    let net = network("br0", &["172.30.0.1/24"]);
    world.add(&net);
    let one = world.container(&net, &full("172.30.0.2/24"));
    let server = listen(&one, 80);
    let none = types::Bandwidth::default();
    one.attachment.limit(&one, &none).unwrap();
    one.attachment.limit(&one, &none).unwrap();
    let before = one.attachment.counters(&one).unwrap().unwrap();
    assert!(reached(&server, &world.machine, "172.30.0.2", 80).is_some());
    let after = one.attachment.counters(&one).unwrap().unwrap();
    assert!(after.bytes_in > before.bytes_in && after.bytes_out > before.bytes_out);
    assert!(after.packets_in > before.packets_in && after.packets_out > before.packets_out);
    // More than fits the bucket and the queue is dropped, and that is counted.
    let rate = Some(types::Rate {
        bytes: 1000,
        burst: Some(3000),
    });
    let slow = types::Bandwidth {
        ingress: rate,
        egress: rate,
    };
    one.attachment.limit(&one, &slow).unwrap();
    for (from, to) in [
        (&world.machine, "172.30.0.2:9000"),
        (&one.namespace, "172.30.0.1:9000"),
    ] {
        // What a sender's own buffer holds is about as much as the queue.
        for _ in 0..8 {
            let socket = support::datagrams(from, "0.0.0.0:0");
            socket.set_nonblocking(true).unwrap();
            for _ in 0..200 {
                // That a queue is full is no error of the sender's, or ENOBUFS.
                let _ = socket.send_to(&[0; 1000], to);
            }
        }
    }
    let dropped = one.attachment.counters(&one).unwrap().unwrap();
    assert!(dropped.dropped_in > after.dropped_in, "{dropped:?}");
    assert!(dropped.dropped_out > after.dropped_out, "{dropped:?}");
    one.attachment.limit(&one, &none).unwrap();
    assert!(reached(&server, &world.machine, "172.30.0.2", 80).is_some());
}

#[test]
fn macvlan_containers_are_on_the_lan() {
    if cannot_run() {
        return;
    }
    let world = World::new();
    let on = |parent: Option<&str>, mode| NetworkPlan {
        driver: Driver::Macvlan(network::MacvlanPlan {
            parent: parent.map(str::to_owned),
            parent_is_ours: false,
            dummy: "dm-test".to_owned(),
            mode,
        }),
        ..network("mv", &["198.51.100.0/24"])
    };
    let net = on(Some("eth0"), network::MacvlanMode::Bridge);
    let plan = endpoint(&["198.51.100.50/24", "2001:db8::50/64"], &[support::ROUTER]);
    bridge::make(&net).unwrap();
    let one = world.container(&net, &plan);
    let two = world.container(&net, &endpoint(&["198.51.100.51/24"], &[support::ROUTER]));
    let (server, outside) = (listen(&one, 80), listen(&world.client, 90));
    assert_eq!(
        reached(&server, &world.client, "198.51.100.50", 80).as_deref(),
        Some(CLIENT)
    );
    assert_eq!(
        reached(&outside, &one, CLIENT, 90).as_deref(),
        Some("198.51.100.50")
    );
    assert!(reached(&server, &two, "198.51.100.50", 80).is_some());
    assert!(one.attachment.counters(&one).unwrap().unwrap().bytes_in > 0);
    one.attachment
        .limit(&one, &types::Bandwidth::default())
        .unwrap();
    for container in [&one, &two] {
        container.attachment.detach(container).unwrap();
        assert_eq!(inside(container).len(), 1);
    }
    // By themselves, or by the switch, which may send back what came by the same port.
    for mode in [network::MacvlanMode::Private, network::MacvlanMode::Vepa] {
        let alone = on(Some("eth0"), mode);
        let one = world.container(&alone, &endpoint(&["198.51.100.52/24"], &[]));
        let two = world.container(&alone, &endpoint(&["198.51.100.53/24"], &[]));
        let server = listen(&one, 80);
        if mode == network::MacvlanMode::Private {
            assert!(support::not_reached(&server, &two, "198.51.100.52", 80));
        }
        assert!(reached(&server, &world.client, "198.51.100.52", 80).is_some());
        for step in STEPS {
            let container = namespace();
            let failed = attach(container.as_fd(), &alone, &endpoint(&[], &[]), Some(step));
            assert!(failed.is_err());
            assert_eq!(inside(&container).len(), 1, "{step}");
        }
        for container in [&one, &two] {
            container.attachment.detach(container).unwrap();
        }
    }
    // One that has the parent for itself has its address.
    let whole = on(Some("eth0"), network::MacvlanMode::Passthru);
    let one = world.container(&whole, &endpoint(&["198.51.100.54/24"], &[]));
    let other = namespace();
    assert!(attach(other.as_fd(), &whole, &endpoint(&[], &[]), None).is_err());
    assert_eq!(inside(&other).len(), 1);
    let server = listen(&one, 80);
    assert!(reached(&server, &world.client, "198.51.100.54", 80).is_some());
    one.attachment.detach(&one).unwrap();
    assert_eq!(inside(&one).len(), 1);
    bridge::remove(&net).unwrap();
    assert!(interfaces().contains("eth0"));
}

/// Runs ip(8) in a namespace.
fn ip_in(namespace: impl AsFd, words: &str) {
    let mut ip = std::process::Command::new("ip");
    ip.args(words.split(' '));
    let done = sys::ns::within(namespace, || ip.status());
    assert!(done.unwrap().unwrap().success(), "ip {words}");
}

#[test]
fn ipvlan_containers_share_their_parents_address() {
    if cannot_run() {
        return;
    }
    let world = World::new();
    let on = |mode, flag, subnet: &str| NetworkPlan {
        driver: Driver::Ipvlan(network::IpvlanPlan {
            parent: Some("eth0".to_owned()),
            parent_is_ours: false,
            dummy: "di-test".to_owned(),
            mode,
            flag,
        }),
        ..network("iv", &[subnet])
    };
    let lan = "198.51.100.0/24";
    let flat = on(network::IpvlanMode::L2, network::IpvlanFlag::Bridge, lan);
    let plan = |address: &str, gateway: &str| endpoint(&[address], &[gateway]);
    let probe = namespace();
    let tried = attach(probe.as_fd(), &flat, &endpoint(&[], &[]), None);
    match tried {
        Err(network::Error::Netlink { source, .. }) if source.errno == sys::Errno::OPNOTSUPP => {
            support::skip("SKIP: this kernel has no ipvlan");
            assert_eq!(inside(&probe).len(), 1);
            return;
        }
        tried => tried.unwrap().detach(&probe).unwrap(),
    }
    for step in STEPS {
        let failed = attach(probe.as_fd(), &flat, &endpoint(&[], &[]), Some(step));
        assert!(failed.is_err());
        assert_eq!(inside(&probe).len(), 1, "{step}");
    }
    let one = world.container(&flat, &plan("198.51.100.50/24", support::ROUTER));
    let two = world.container(&flat, &plan("198.51.100.51/24", support::ROUTER));
    assert_eq!(one.attachment.mac, two.attachment.mac);
    let (server, outside) = (listen(&one, 80), listen(&world.client, 90));
    let seen = reached(&server, &world.client, "198.51.100.50", 80);
    assert_eq!(seen.as_deref(), Some(CLIENT));
    let seen = reached(&outside, &one, CLIENT, 90);
    assert_eq!(seen.as_deref(), Some("198.51.100.50"));
    assert!(reached(&server, &two, "198.51.100.50", 80).is_some());
    for container in [&one, &two] {
        container.attachment.detach(container).unwrap();
        assert_eq!(inside(container).len(), 1);
    }
    // Routed: without a gateway, and who is outside knows the way.
    for mode in [network::IpvlanMode::L3, network::IpvlanMode::L3s] {
        let routed = on(mode, network::IpvlanFlag::Bridge, "10.94.0.0/24");
        let one = world.container(&routed, &plan("10.94.0.2/24", "0.0.0.0"));
        let two = world.container(&routed, &plan("10.94.0.3/24", "0.0.0.0"));
        let way = format!("route replace 10.94.0.0/24 via {MACHINE}");
        ip_in(&world.client, &way);
        let server = listen(&one, 80);
        let seen = reached(&server, &world.client, "10.94.0.2", 80);
        assert_eq!(seen.as_deref(), Some(CLIENT), "{mode:?}");
        assert!(reached(&server, &two, "10.94.0.2", 80).is_some());
        let seen = reached(&outside, &two, CLIENT, 90);
        assert_eq!(seen.as_deref(), Some("10.94.0.3"), "{mode:?}");
        for container in [&one, &two] {
            container.attachment.detach(container).unwrap();
        }
    }
    bridge::remove(&flat).unwrap();
    assert!(interfaces().contains("eth0"));
}
