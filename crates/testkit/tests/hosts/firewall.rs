//! The machine's own firewall beside ours, and what is said of both.

use testkit::{Brig, Host, Lan, at, root};

use crate::support::{daemon, heard, heard_by, idle, pings, serve, silent, silent_to};

#[test]
fn the_hosts_input_policy_is_obeyed_where_that_is_asked_for() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let iptables = |words: &str| {
        let words: Vec<&str> = ["iptables"]
            .into_iter()
            .chain(words.split_whitespace())
            .collect();
        lan.machine.run(&words).ok();
    };
    iptables("-P INPUT DROP");
    iptables("-A INPUT -i lo -j ACCEPT");
    iptables("-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT");
    let brig = daemon(&lan.machine, "host-policy = true\n");
    serve(
        &brig,
        "web",
        &["-p", "8080:80", "-p", "8081:80,allow=198.51.100.0/24"],
    );
    let refused = brig.brig(&["run", "-d", "--name", "no", "-p", "1:1/sctp", "bb", "true"]);
    assert!(refused.fails(125).contains("host-policy"));
    assert!(heard(&lan.machine, "127.0.0.1:8080").is_some());
    assert!(silent(&lan.client, "198.51.100.1:8080"));
    let told = brig.brig(&["network", "explain", "8080", "--from", at::CLIENT]);
    let words = told.ok().to_owned();
    assert!(words.contains("chain INPUT of table ip filter"), "{words}");
    assert!(
        words.contains("drops what none of its rules accepts"),
        "{words}"
    );
    assert!(
        words.contains("brig-net, a program of this host, passes it on to web"),
        "{words}"
    );
    iptables("-A INPUT -p tcp --dport 8080:8081 -j ACCEPT");
    assert!(heard(&lan.client, "198.51.100.1:8080").is_some());
    // A list of who may use a port holds beside it.
    assert!(heard(&lan.router, "198.51.100.1:8081").is_some());
    assert!(silent(&lan.client, "198.51.100.1:8081"));
    brig.finish();
}

#[test]
fn what_lets_a_packet_through_or_stops_it_is_explained() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    let explain = |words: &[&str]| {
        let words = [&["network", "explain"][..], words].concat();
        brig.brig(&words).ok().to_owned()
    };
    assert!(explain(&["8080"]).contains("8080: nobody has it"));
    serve(&brig, "web", &["-p", "8080:80,allow=203.0.113.0/24"]);
    let said = explain(&["8080", "--from", at::CLIENT]);
    assert!(
        said.contains("container web has it, for its port 80"),
        "{said}"
    );
    assert!(said.contains(", by lan0 to 198.51.100.1:"), "{said}");
    assert!(
        said.contains("allow: 203.0.113.0/24 may use the port"),
        "{said}"
    );
    assert!(
        said.contains("so     it reaches web\n") || said.ends_with("it reaches web"),
        "{said}"
    );
    assert!(heard(&lan.client, "198.51.100.1:8080").is_some());
    let said = explain(&["8080/tcp", "--from", at::ROUTER]);
    assert!(
        said.contains("198.51.100.254 is not on the port's list"),
        "{said}"
    );
    assert!(silent(&lan.router, "198.51.100.1:8080"));
    let said = explain(&["8080", "--from", "127.0.0.1"]);
    assert!(
        said.contains("the host itself reaches every container"),
        "{said}"
    );
    assert!(explain(&["8080/udp"]).contains("8080/udp: nobody has it"));
    // What the machine's administrator drops is dropped, and said.
    lan.machine.run(&["iptables", "-P", "FORWARD", "DROP"]).ok();
    let said = explain(&["8080", "--from", at::CLIENT]);
    assert!(
        said.contains("chain FORWARD of table ip filter (filter forward"),
        "{said}"
    );
    assert!(
        said.contains("if the host's own rules let it through"),
        "{said}"
    );
    assert!(silent(&lan.client, "198.51.100.1:8080"));
    for (words, wanted) in [
        (&["0"][..], "a number from 1 to 65535 is expected"),
        (&["80/icmp"], "a number from 1 to 65535 is expected"),
    ] {
        let refused = brig.brig(&[&["network", "explain"][..], words].concat());
        assert!(refused.fails(1).contains(wanted), "{refused}");
    }
    brig.finish();
}

#[test]
fn networks_are_closed_as_asked() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    brig.brig(&["network", "create", "--internal", "--ipv6", "inside"])
        .ok();
    // Where frames that only cross a bridge are filtered as well, they are translated on the way across it.
    for filtered in ["iptables", "ip6tables"] {
        let filtered = format!("/proc/sys/net/bridge/bridge-nf-call-{filtered}");
        let off = format!("test ! -e {filtered} || echo 0 >{filtered}");
        lan.machine.run(&["sh", "-c", &off]).ok();
    }
    let icc = "com.docker.network.bridge.enable_icc=false";
    brig.brig(&["network", "create", "-o", icc, "apart"]).ok();
    // Nothing of an internal network leads out, neither to the LAN nor to published ports.
    serve(&brig, "hidden", &["--network", "inside"]);
    serve(&brig, "open", &["-p", "8080:80"]);
    idle(&brig, "user", &["--network", "inside"]);
    assert!(heard_by(&brig, "user", "hidden").is_some());
    for away in [at::ROUTER, at::CLIENT, at::ROUTER6] {
        let ping = ["exec", "user", "ping", "-c", "1", "-W", "1", away];
        assert_ne!(brig.brig(&ping).code, 0, "{away}");
    }
    let routes = brig.brig(&["exec", "user", "ip", "route"]).ok().to_owned();
    assert!(!routes.contains("default"), "{routes}");
    // Without icc neighbours do not reach each other; everything else goes on.
    serve(&brig, "one", &["--network", "apart", "-p", "8081:80"]);
    idle(&brig, "two", &["--network", "apart"]);
    let own = crate::support::endpoint(&brig, "one", "apart", "IPAddress");
    assert!(silent_to(&brig, "two", &own));
    assert!(heard_by(&brig, "two", "198.51.100.1:8081").is_some());
    assert!(heard(&lan.client, "198.51.100.1:8081").is_some());
    pings(&brig, "two", at::CLIENT);
    brig.finish();
}

/// Gateways of a network, with brackets around those of version 6.
fn gateways(brig: &Brig, network: &str) -> Vec<String> {
    let shown = brig.brig(&["network", "inspect", network]).json();
    let subnets = shown[0]["IPAM"]["Config"].as_array().unwrap();
    let gateway = |subnet: &serde_json::Value| {
        let text = subnet["Gateway"].as_str().unwrap().to_owned();
        match text.contains(':') {
            true => format!("[{text}]"),
            false => text,
        }
    };
    subnets.iter().map(gateway).collect()
}

/// Addresses of version 6 that a host has of its links, as seen from a container's only interface.
fn of_links(host: &Host) -> Vec<String> {
    let shown = host.ip("-6 -o address show scope link");
    let address = |line: &str| {
        let address = line
            .split_whitespace()
            .nth(3)?
            .split('/')
            .next()?
            .to_owned();
        Some(format!("[{address}%eth0]"))
    };
    shown.lines().filter_map(address).collect()
}

fn published_ports_are_out_of_reach(network: &str) {
    let lan = Lan::new();
    let brig = daemon(&lan.machine, network);
    for (kind, name) in [(&["--internal"][..], "inside"), (&[], "outside")] {
        let create = [&["network", "create", "--ipv6"], kind, &[name]].concat();
        brig.brig(&create).ok();
    }
    // It has no address of version 6: what comes there is passed on by a program of the host.
    serve(&brig, "open", &["-p", "8080:80"]);
    idle(&brig, "kept", &["--network", "inside"]);
    idle(&brig, "free", &["--network", "outside"]);
    let (inside, outside) = (gateways(&brig, "inside"), gateways(&brig, "outside"));
    assert_eq!((inside.len(), outside.len()), (2, 2));
    for gateway in &outside {
        let heard = heard_by(&brig, "free", &format!("{gateway}:8080"));
        assert!(heard.is_some(), "{gateway}");
    }
    for gateway in inside.iter().chain(&of_links(&lan.machine)) {
        let silent = silent_to(&brig, "kept", &format!("{gateway}:8080"));
        assert!(silent, "{gateway}");
    }
    // The host itself is not meant, by whatever address of its own.
    for gateway in &inside {
        let heard = heard(&lan.machine, &format!("{gateway}:8080"));
        assert!(heard.is_some(), "{gateway}");
    }
    brig.finish();
}

#[test]
fn published_ports_are_out_of_an_internal_networks_reach() {
    if root() {
        published_ports_are_out_of_reach("");
    }
}

#[test]
fn and_so_they_are_where_the_hosts_policy_decides() {
    if root() {
        published_ports_are_out_of_reach("host-policy = true\n");
    }
}
