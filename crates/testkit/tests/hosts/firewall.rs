//! The machine's own firewall beside ours, and what is said of both.

use testkit::{Lan, at, root};

use crate::support::{daemon, heard, heard_by, idle, serve, silent};

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
    let filtered = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    let off = format!("test ! -e {filtered} || echo 0 >{filtered}");
    lan.machine.run(&["sh", "-c", &off]).ok();
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
    assert!(crate::support::silent_to(&brig, "two", &own));
    assert!(heard_by(&brig, "two", "198.51.100.1:8081").is_some());
    assert!(heard(&lan.client, "198.51.100.1:8081").is_some());
    let ping = ["exec", "two", "ping", "-c", "1", "-W", "5", at::CLIENT];
    brig.brig(&ping).ok();
    brig.finish();
}
