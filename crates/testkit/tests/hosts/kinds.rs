//! Networks of each kind.

use testkit::{Brig, Client, Lan, at, clients, root};

use crate::support::{daemon, endpoint, heard, heard_by, idle, pings, serve, silent};

/// Who gets addresses from somebody else on a link has none of ours.
fn addresses_may_be_somebody_elses(brig: &Brig) {
    let bare = [
        "network",
        "create",
        "-d",
        "macvlan",
        "-o",
        "parent=lan0",
        "--ipam-driver",
        "null",
    ];
    for client in clients() {
        brig.with(client, &[&bare[..], &["bare"]].concat()).ok();
        idle(brig, "bare", &["--network", "bare"]);
        let links = brig.brig(&["exec", "bare", "ip", "-o", "address", "show", "eth0"]);
        assert!(!links.ok().contains("inet "), "{client:?}: {links}");
        assert_eq!(endpoint(brig, "bare", "bare", "IPAddress"), "");
        brig.brig(&["rm", "-f", "bare"]).ok();
        brig.brig(&["network", "rm", "bare"]).ok();
    }
}

#[test]
fn macvlan_containers_are_on_the_lan() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    let create = [
        "network",
        "create",
        "-d",
        "macvlan",
        "-o",
        "parent=lan0",
        "--subnet",
        "198.51.100.0/24",
        "--gateway",
        at::ROUTER,
        "--ip-range",
        "198.51.100.64/27",
        "--aux-address",
        "host=198.51.100.64",
        "lan",
    ];
    brig.brig(&create).ok();
    serve(&brig, "one", &["--network", "lan", "--ip", "198.51.100.70"]);
    idle(&brig, "two", &["--network", "lan"]);
    // Known to the LAN by addresses of their own, without any port published.
    let said = heard(&lan.client, "198.51.100.70");
    assert_eq!(said, Some(format!("one {}", at::CLIENT)));
    assert!(heard_by(&brig, "two", "one").is_some());
    let address = endpoint(&brig, "two", "lan", "IPAddress");
    let last: u8 = address.rsplit('.').next().unwrap().parse().unwrap();
    assert!((65..96).contains(&last) && last != 70, "{address}");
    pings(&brig, "two", at::CLIENT);
    addresses_may_be_somebody_elses(&brig);
    // A tag that nobody has made is made, and goes.
    let tagged = [
        "network",
        "create",
        "-d",
        "macvlan",
        "-o",
        "parent=lan0.7",
        "tagged",
    ];
    brig.brig(&tagged).ok();
    let run = [
        "run",
        "-d",
        "--name",
        "three",
        "--network",
        "tagged",
        "bb",
        "sleep",
        "1000",
    ];
    let three = brig.brig(&run);
    let tags = !three.stderr.contains("Unknown device type");
    if tags {
        three.ok();
    } else {
        eprintln!("SKIP: this kernel has no 802.1Q");
    }
    for driver in ["macvlan", "ipvlan"] {
        for parent in ["parent=nobody0", "parent=nobody0.7"] {
            let create = ["network", "create", "-d", driver, "-o", parent, "astray"];
            let refused = brig.brig(&create);
            let reason = "the host has no interface nobody0";
            assert!(refused.fails(1).contains(reason), "{refused}");
        }
    }
    let made = |links: Vec<String>| links.iter().any(|link| link == "lan0.7");
    assert_eq!(made(lan.machine.links()), tags);
    brig.finish();
    assert!(!made(lan.machine.links()));
}

/// Whether a container could be run in an ipvlan network; says if the kernel has no such thing.
fn has_ipvlan(brig: &Brig) -> bool {
    brig.brig(&["network", "create", "-d", "ipvlan", "probe"])
        .ok();
    let tried = brig.brig(&["run", "--rm", "--network", "probe", "bb", "true"]);
    let missing = tried.stderr.contains("Unknown device type");
    if missing {
        eprintln!("SKIP: this kernel has no ipvlan");
    } else {
        tried.ok();
    }
    brig.brig(&["network", "rm", "probe"]).ok();
    !missing
}

#[test]
fn ipvlan_containers_are_on_the_lan_or_behind_the_machine() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    let create = |words: &str| {
        let words: Vec<&str> = words.split_whitespace().collect();
        let create = ["network", "create", "-d", "ipvlan", "-o", "parent=lan0"];
        brig.brig(&[&create, &words[..]].concat())
    };
    // What cannot be is said before anything is made.
    let wrong = create("-o ipvlan_mode=l4 no");
    assert!(wrong.fails(1).contains("'l2', 'l3' or 'l3s' is"), "{wrong}");
    let l2 = "--subnet 198.51.100.0/24 --gateway 198.51.100.254 --ip-range 198.51.100.64/27 flat";
    create(l2).ok();
    let mac = ["--network", "flat", "--mac-address", "02:11:22:33:44:55"];
    let refused = brig.brig(&[&["create"][..], &mac, &["bb", "true"]].concat());
    assert!(
        refused.fails(1).contains("do not support custom mac"),
        "{refused}"
    );
    if !has_ipvlan(&brig) {
        brig.finish();
        return;
    }
    serve(&brig, "one", &["--network", "flat"]);
    idle(&brig, "two", &["--network", "flat"]);
    let own = endpoint(&brig, "one", "flat", "IPAddress");
    let said = heard(&lan.client, &own);
    assert_eq!(said, Some(format!("one {}", at::CLIENT)));
    assert!(heard_by(&brig, "two", "one").is_some());
    pings(&brig, "two", at::CLIENT);
    let macs = brig.brig(&["exec", "one", "cat", "/sys/class/net/eth0/address"]);
    assert_eq!(endpoint(&brig, "one", "flat", "MacAddress"), macs.ok());
    brig.brig(&["network", "disconnect", "flat", "two"]).ok();
    brig.brig(&["rm", "-f", "one", "two"]).ok();
    brig.brig(&["network", "rm", "flat"]).ok();
    // Routed: no gateway, and the router has to know where they are.
    create("-o ipvlan_mode=l3 --subnet 10.94.0.0/24 --subnet 10.93.0.0/24 behind").ok();
    lan.router.ip("route add 10.94.0.0/24 via 198.51.100.1");
    serve(&brig, "one", &["--network", "behind"]);
    idle(&brig, "two", &["--network", "behind"]);
    let own = endpoint(&brig, "one", "behind", "IPAddress");
    assert_eq!(
        heard(&lan.client, &own),
        Some(format!("one {}", at::CLIENT))
    );
    assert!(heard_by(&brig, "two", "one").is_some());
    let route = brig.brig(&["exec", "two", "ip", "route"]).ok().to_owned();
    assert!(route.contains("default dev eth0"), "{route}");
    assert_eq!(endpoint(&brig, "one", "behind", "Gateway"), "");
    brig.finish();
    assert!(
        !lan.machine
            .links()
            .iter()
            .any(|link| link.starts_with("di-"))
    );
}

#[test]
fn gateway_modes_say_how_the_outside_comes_in() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    let mode = |mode: &str| format!("com.docker.network.bridge.gateway_mode_ipv4={mode}");
    let routed = ["--subnet", "10.99.1.0/24", "-o", &mode("routed"), "routed"];
    brig.brig(&[&["network", "create"][..], &routed].concat())
        .ok();
    let open = [
        "--subnet",
        "10.99.2.0/24",
        "-o",
        &mode("nat-unprotected"),
        "open",
    ];
    brig.brig(&[&["network", "create"][..], &open].concat())
        .ok();
    let isolated = ["--internal", "-o", &mode("isolated"), "alone"];
    brig.brig(&[&["network", "create"][..], &isolated].concat())
        .ok();
    lan.router.ip("route add 10.99.0.0/16 via 198.51.100.1");
    serve(&brig, "direct", &["--network", "routed", "-p", "80"]);
    serve(&brig, "shut", &["--network", "routed"]);
    serve(&brig, "bare", &["--network", "open"]);
    let own = |name: &str, network: &str| endpoint(&brig, name, network, "IPAddress");
    // Published ports are reached at the container's own address, others are not.
    let said = heard(&lan.client, &own("direct", "routed"));
    assert_eq!(said, Some(format!("direct {}", at::CLIENT)));
    assert!(silent(&lan.client, &own("shut", "routed")));
    let said = heard(&lan.client, &own("bare", "open"));
    assert_eq!(said, Some(format!("bare {}", at::CLIENT)));
    // Nothing of the host's is taken for it: another one may have the same port.
    serve(&brig, "second", &["--network", "routed", "-p", "8080:80"]);
    serve(&brig, "third", &["--network", "routed", "-p", "8080:80"]);
    for name in ["second", "third"] {
        let said = heard(&lan.client, &own(name, "routed"));
        assert_eq!(said, Some(format!("{name} {}", at::CLIENT)));
        let shown = &brig.inspect(name)["NetworkSettings"]["Ports"]["80/tcp"];
        let routed = serde_json::json!([{"HostIp": "0.0.0.0", "HostPort": ""}]);
        assert_eq!(*shown, routed, "{name}");
    }
    brig.brig(&["update", "--publish-rm", "8080:80", "second"])
        .ok();
    assert!(silent(&lan.client, &own("second", "routed")));
    assert!(heard(&lan.client, &own("third", "routed")).is_some());
    // The container comes from its own address too: nothing is translated.
    pings(&brig, "direct", at::CLIENT);
    // An isolated network has no address of the host's.
    idle(&brig, "user", &["--network", "alone"]);
    serve(&brig, "friend", &["--network", "alone"]);
    assert!(heard_by(&brig, "user", "friend").is_some());
    let bridges = lan.machine.ip("-o -4 address");
    let subnet = own("user", "alone");
    let start = subnet.rsplit_once('.').unwrap().0;
    assert!(!bridges.contains(start), "{bridges} has {start}");
    brig.finish();
}

#[test]
fn an_endpoint_is_as_it_is_asked_for() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    brig.brig(&["network", "create", "--subnet", "10.99.5.0/24", "a"])
        .ok();
    let b = [
        "network",
        "create",
        "--ipv6",
        "--subnet",
        "10.99.6.0/24",
        "--subnet",
    ];
    brig.brig(&[&b[..], &["fd00:99:6::/64", "b"]].concat()).ok();
    let on_a = "name=a,ip=10.99.5.9,mac-address=02:42:0a:63:05:09,alias=first,\
                driver-opt=com.docker.network.endpoint.ifname=lan5";
    let on_b = "name=b,ip=10.99.6.9,ip6=fd00:99:6::9,gw-priority=7,link-local-ip=169.254.9.9,\
                \"driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,\
                net.ipv6.conf.IFNAME.accept_ra=0\"";
    idle(&brig, "web", &["--network", on_a, "--network", on_b]);
    let shown = brig.brig(&["exec", "web", "ip", "address"]).ok().to_owned();
    for part in [
        "lan5",
        "10.99.5.9/24",
        "02:42:0a:63:05:09",
        "10.99.6.9/24",
        "fd00:99:6::9/64",
        "169.254.9.9/16",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let route = brig.brig(&["exec", "web", "ip", "route"]).ok().to_owned();
    assert!(route.contains("default via 10.99.6.1"), "{route}");
    let martians = "cat /proc/sys/net/ipv4/conf/eth0/log_martians";
    assert_eq!(brig.brig(&["exec", "web", "sh", "-c", martians]).ok(), "1");
    // Both networks know it, each by its own names.
    idle(&brig, "user", &["--network", "a"]);
    for name in ["first", "web"] {
        pings(&brig, "user", name);
    }
    // The way out follows: to the other network when this one is left, and back.
    brig.brig(&["network", "disconnect", "b", "web"]).ok();
    let route = brig.brig(&["exec", "web", "ip", "route"]).ok().to_owned();
    assert!(route.contains("default via 10.99.5.1 dev lan5"), "{route}");
    let again = [
        "network",
        "connect",
        "--gw-priority",
        "9",
        "--ip",
        "10.99.6.7",
        "b",
        "web",
    ];
    brig.brig(&again).ok();
    let route = brig.brig(&["exec", "web", "ip", "route"]).ok().to_owned();
    assert!(route.contains("default via 10.99.6.1"), "{route}");
    // What was asked for is there again after a restart.
    brig.brig(&["restart", "-t", "0", "web"]).ok();
    assert_eq!(endpoint(&brig, "web", "b", "IPAddress"), "10.99.6.7");
    assert_eq!(
        endpoint(&brig, "web", "a", "MacAddress"),
        "02:42:0a:63:05:09"
    );
    brig.finish();
}

#[test]
fn settings_of_an_interface_are_said_as_clients_say_them() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    brig.brig(&["network", "create", "a"]).ok();
    // Docker's client writes the word for the name in small letters; other words are refused.
    let sysctls =
        |what: &str| format!("name=a,\"driver-opt=com.docker.network.endpoint.sysctls={what}\"");
    for client in clients()
        .into_iter()
        .filter(|client| *client != Client::Docker20)
    {
        let forwarding = sysctls("net.ipv4.conf.IFNAME.log_martians=1");
        let cat = ["bb", "cat", "/proc/sys/net/ipv4/conf/eth0/log_martians"];
        let run = ["run", "--rm", "--network", &forwarding];
        assert_eq!(brig.with(client, &[&run[..], &cat].concat()).ok(), "1");
        for wrong in [
            "kernel.pid_max=1",
            "net.ipv4.conf.all.log_martians=1",
            "rubbish",
        ] {
            let wrong = sysctls(wrong);
            let refused = brig.with(client, &["run", "--rm", "--network", &wrong, "bb", "true"]);
            let words = refused.fails(125).to_owned();
            assert!(
                words.contains("unrecognised network interface sysctl"),
                "{words}"
            );
        }
    }
    brig.finish();
}

/// With packets that are too short for IPv6 the kernel does not speak it on an interface, and none is needed.
#[test]
fn packets_may_be_short() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    let mtu = ["--opt", "com.docker.network.driver.mtu=600"];
    brig.brig(&[&["network", "create"], &mtu[..], &["narrow"]].concat())
        .ok();
    idle(&brig, "one", &["--network", "narrow"]);
    idle(&brig, "other", &["--network", "narrow"]);
    let shown = brig.brig(&["exec", "one", "ip", "address", "show", "eth0"]);
    assert!(shown.ok().contains("mtu 600"), "{shown}");
    assert!(!shown.ok().contains("inet6"), "{shown}");
    pings(&brig, "one", "other");
    brig.finish();
}

#[test]
fn version_6_has_addresses_of_this_machines_own() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "ipv6 = true\n");
    brig.brig(&["network", "create", "--ipv6", "dual"]).ok();
    brig.brig(&["network", "create", "--ipv6", "--ipv4=false", "six"])
        .ok();
    for network in ["dual", "six", "bridge"] {
        serve(&brig, network, &["--network", network]);
        let address = endpoint(&brig, network, network, "GlobalIPv6Address");
        assert!(address.starts_with("fd"), "{network}: {address:?}");
        assert!(
            heard(&lan.machine, &format!("[{address}]")).is_some(),
            "{network}"
        );
        pings(&brig, network, at::CLIENT6);
    }
    // Also where new interfaces are to be without: Docker's have it where their network does.
    let default = "net.ipv6.conf.default.disable_ipv6=1";
    idle(&brig, "user", &["--network", "six", "--sysctl", default]);
    assert!(heard_by(&brig, "user", "six").is_some());
    let off = "name=six,driver-opt=com.docker.network.endpoint.sysctls=net.ipv6.conf.IFNAME.disable_ipv6=1";
    idle(&brig, "without", &["--network", off]);
    let shown = brig.brig(&["exec", "without", "ip", "address", "show", "eth0"]);
    assert!(!shown.ok().contains("inet6"), "{shown}");
    brig.finish();
}

#[test]
fn a_thousand_networks_have_a_subnet_each() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let pools = "pools = [{ base = \"10.96.0.0/12\", size = 24 }]\n";
    let brig = daemon(&lan.machine, pools);
    let create = |number: usize| {
        let body = format!("{{\"Name\":\"n{number}\"}}");
        let answer = brig.http(&format!(
            "POST /networks/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    };
    (0..1000).for_each(create);
    let all = brig.brig(&["network", "ls", "-q", "--filter", "type=custom"]);
    assert_eq!(all.lines().len(), 1000);
    let words: Vec<String> = (0..1000).map(|number| format!("n{number}")).collect();
    let inspect: Vec<&str> = ["network", "inspect"]
        .into_iter()
        .chain(words.iter().map(String::as_str))
        .collect();
    let shown = brig.brig(&inspect).json();
    let mut subnets: Vec<String> = shown
        .as_array()
        .unwrap()
        .iter()
        .map(|network| network["IPAM"]["Config"][0]["Subnet"].to_string())
        .collect();
    subnets.sort();
    subnets.dedup();
    assert_eq!(subnets.len(), 1000);
    // The last is a network like any other.
    serve(&brig, "web", &["--network", "n999", "-p", "8080:80"]);
    assert!(heard(&lan.client, &format!("{}:8080", at::MACHINE)).is_some());
    brig.brig(&["rm", "-f", "web"]).ok();
    brig.brig(&["network", "prune", "-f"]).ok();
    let links = lan.machine.links();
    assert!(
        !links.iter().any(|link| link.starts_with("br-")),
        "{links:?}"
    );
    brig.finish();
}
