//! Networks from the outside: names, ports, addresses, isolation, and what is left of them.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use testkit::{Brig, Client, clients, root, until};

/// Answers every connection to port 80 with a word.
fn serve(brig: &Brig, name: &str, flags: &[&str]) {
    let script = format!("while :; do echo {name} | nc -l -p 80; done");
    let mut args = vec!["run", "-d", "--name", name];
    args.extend(flags);
    args.extend(["bb", "sh", "-c", &script]);
    brig.brig(&args).ok();
}

/// What is said at an address, once somebody listens there.
fn said(address: SocketAddr) -> String {
    until(&format!("an answer of {address}"), || {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    })
}

/// What a container hears from another one's port 80.
fn heard(brig: &Brig, from: &str, whom: &str) -> String {
    until(&format!("{from} hears {whom}"), || {
        let command = format!("nc -w 5 {whom} 80 </dev/null");
        let out = brig.brig(&["exec", from, "sh", "-c", &command]);
        let text = out.stdout.trim().to_owned();
        Some(text).filter(|text| !text.is_empty())
    })
}

fn address(brig: &Brig, container: &str, network: &str) -> String {
    let inspect = brig.inspect(container);
    let endpoint = &inspect["NetworkSettings"]["Networks"][network];
    endpoint["IPAddress"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn port(brig: &Brig, container: &str, inside: &str) -> u16 {
    let out = brig.brig(&["port", container, inside]).ok().to_owned();
    let first = out.lines().next().unwrap_or_default();
    first
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap()
}

#[test]
fn containers_find_each_other_by_name() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["network", "create", "shop"]).ok();
    serve(
        &brig,
        "web",
        &["--network", "shop", "--network-alias", "front"],
    );
    let sleep = ["--network", "shop", "bb", "sleep", "1000"];
    brig.brig(&[&["run", "-d", "--name", "user"][..], &sleep].concat())
        .ok();
    for name in ["web", "front", "web.shop"] {
        assert_eq!(heard(&brig, "user", name), "web", "{name}");
    }
    // On the default network too.
    serve(&brig, "old", &[]);
    brig.brig(&["run", "-d", "--name", "olduser", "bb", "sleep", "1000"])
        .ok();
    assert_eq!(heard(&brig, "olduser", "old"), "old");
    // Networks are apart.
    let web = address(&brig, "web", "shop");
    let command = format!("nc -w 1 {web} 80 </dev/null");
    let out = brig.brig(&["exec", "olduser", "sh", "-c", &command]);
    assert_eq!(out.stdout.trim(), "");
    brig.finish();
}

#[test]
fn a_published_port_is_reached_from_the_host() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    serve(&brig, "web", &["-p", "80"]);
    let number = port(&brig, "web", "80");
    assert_eq!(said(([127, 0, 0, 1], number).into()), "web");
    // By an address of the host, which is the network's gateway here.
    let gateway: SocketAddr = format!("{}.1:{number}", brig.network().subnet)
        .parse()
        .unwrap();
    assert_eq!(said(gateway), "web");
    // From itself by the host's address.
    let own = format!("nc -w 5 {} {number} </dev/null", gateway.ip());
    let heard = until("an answer to itself", || {
        let out = brig.brig(&["exec", "web", "sh", "-c", &own]);
        Some(out.stdout.trim().to_owned()).filter(|text| !text.is_empty())
    });
    assert_eq!(heard, "web");
    let ps = brig.brig(&["ps", "--format", "{{.Ports}}"]).ok().to_owned();
    assert!(ps.contains(&format!("0.0.0.0:{number}->80/tcp")), "{ps}");
    // A port in use is refused with the name of who has it, and nothing is left of the attempt.
    let taken = format!("{number}:80");
    let refused = brig.brig(&[
        "run", "-d", "--name", "late", "-p", &taken, "bb", "sleep", "9",
    ]);
    let words = refused.fails(125);
    assert!(words.contains("container web has it"), "{words}");
    brig.brig(&["rm", "late"]).ok();
    brig.finish();
}

#[test]
fn traffic_goes_on_while_the_daemon_is_killed() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    brig.brig(&["network", "create", "shop"]).ok();
    serve(&brig, "web", &["--network", "shop", "-p", "80"]);
    let user = [
        "run",
        "-d",
        "--name",
        "user",
        "--network",
        "shop",
        "bb",
        "sleep",
        "1000",
    ];
    brig.brig(&user).ok();
    let number = port(&brig, "web", "80");
    let address_before = address(&brig, "web", "shop");
    brig.kill_daemon();
    assert_eq!(said(([127, 0, 0, 1], number).into()), "web");
    brig.start_daemon();
    assert_eq!(address(&brig, "web", "shop"), address_before);
    assert_eq!(said(([127, 0, 0, 1], number).into()), "web");
    assert_eq!(heard(&brig, "user", "web"), "web");
    // Its address is not handed out again.
    let late = [
        "run",
        "-d",
        "--name",
        "late",
        "--network",
        "shop",
        "bb",
        "sleep",
        "1000",
    ];
    brig.brig(&late).ok();
    assert_ne!(address(&brig, "late", "shop"), address_before);
    brig.finish();
}

#[test]
fn networks_are_joined_and_left_while_a_container_runs() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        brig.with(client, &["network", "create", "a"]).ok();
        brig.with(client, &["network", "create", "--internal", "b"])
            .ok();
        let run = [
            "run",
            "-d",
            "--name",
            "cc",
            "--network",
            "a",
            "bb",
            "sleep",
            "1000",
        ];
        brig.with(client, &run).ok();
        brig.with(client, &["network", "connect", "--alias", "sea", "b", "cc"])
            .ok();
        let links = brig
            .with(client, &["exec", "cc", "ls", "/sys/class/net"])
            .ok()
            .to_owned();
        assert!(links.contains("eth1"), "{client:?}: {links}");
        let again = brig
            .with(client, &["network", "connect", "b", "cc"])
            .fails(1)
            .to_owned();
        assert!(again.contains("already exists in network b"), "{again}");
        let used = brig
            .with(client, &["network", "rm", "b"])
            .fails(1)
            .to_owned();
        assert!(used.contains("has active endpoints"), "{used}");
        assert!(used.contains("\"cc\""), "{used}");
        brig.with(client, &["network", "disconnect", "b", "cc"])
            .ok();
        let links = brig
            .with(client, &["exec", "cc", "ls", "/sys/class/net"])
            .ok()
            .to_owned();
        assert!(!links.contains("eth1"), "{client:?}: {links}");
        brig.with(client, &["rm", "-f", "cc"]).ok();
        brig.with(client, &["network", "rm", "a", "b"]).ok();
    }
    brig.finish();
}

#[test]
fn addresses_are_chosen_and_kept_apart() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let pool = brig.network().pool.clone();
    let base = pool.rsplit_once('.').unwrap().0.to_owned();
    let subnet = format!("{base}.128/25");
    let create = ["network", "create", "--subnet", &subnet, "fixed"];
    brig.brig(&create).ok();
    let wanted = format!("{base}.200");
    let mac = "02:42:00:00:00:c8";
    let flags = ["--network", "fixed", "--ip", &wanted, "--mac-address", mac];
    brig.brig(
        &[
            &["run", "-d", "--name", "one"][..],
            &flags,
            &["bb", "sleep", "1000"],
        ]
        .concat(),
    )
    .ok();
    let inspect = brig.inspect("one");
    let endpoint = &inspect["NetworkSettings"]["Networks"]["fixed"];
    assert_eq!(endpoint["IPAddress"], *wanted);
    assert_eq!(endpoint["MacAddress"], *mac);
    let taken = brig.brig(&["run", "--network", "fixed", "--ip", &wanted, "bb", "true"]);
    assert!(taken.fails(125).contains("Address already in use"));
    let default = brig
        .brig(&["run", "--rm", "--ip", "10.1.2.3", "bb", "true"])
        .fails(125)
        .to_owned();
    assert!(default.contains("user defined networks only"), "{default}");
    let overlap = brig
        .brig(&["network", "create", "--subnet", &subnet, "again"])
        .fails(1)
        .to_owned();
    assert!(overlap.contains("Pool overlaps"), "{overlap}");
    brig.finish();
}

#[test]
fn a_network_is_shared_or_absent() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    serve(&brig, "web", &["--hostname", "shown"]);
    let run = ["run", "--rm", "--network", "container:web", "bb"];
    let own = brig
        .brig(&[&run[..], &["cat", "/etc/hosts"]].concat())
        .ok()
        .to_owned();
    assert!(own.contains(&address(&brig, "web", "bridge")), "{own}");
    let heard = until("an answer on the loopback", || {
        let ask = ["sh", "-c", "nc -w 5 127.0.0.1 80 </dev/null"];
        let out = brig.brig(&[&run[..], &ask].concat());
        Some(out.stdout.trim().to_owned()).filter(|text| !text.is_empty())
    });
    assert_eq!(heard, "web");
    let host = [
        "run",
        "--rm",
        "--network",
        "host",
        "-p",
        "80:80",
        "bb",
        "true",
    ];
    let discarded = brig.brig(&host);
    discarded.ok();
    let words = "Published ports are discarded when using host network mode";
    assert!(discarded.stderr.contains(words), "{discarded}");
    let none = brig.brig(&[
        "run",
        "--rm",
        "--network",
        "none",
        "bb",
        "ls",
        "/sys/class/net",
    ]);
    assert_eq!(none.ok(), "lo");
    let conflict = brig.brig(&[
        "run",
        "--network",
        "container:web",
        "-p",
        "80",
        "bb",
        "true",
    ]);
    assert!(conflict.fails(125).contains("conflicting options"));
    let nobody = brig.brig(&["network", "connect", "nope", "nobody"]);
    assert!(
        nobody.fails(1).contains("network nope not found"),
        "{nobody}"
    );
    let missing = brig
        .brig(&["run", "--network", "nope", "bb", "true"])
        .fails(125)
        .to_owned();
    assert!(missing.contains("network nope not found"), "{missing}");
    brig.finish();
}

/// As with Docker: what is not there when a container is made may be there when it is started.
#[test]
fn a_network_may_come_after_its_container() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let create = ["create", "--name", "early", "--network", "later"];
        brig.with(client, &[&create[..], &["bb", "sleep", "1000"]].concat())
            .ok();
        let shown = &brig.inspect("early")["NetworkSettings"]["Networks"]["later"];
        assert_eq!(shown["NetworkID"], "", "{client:?}");
        let refused = brig.with(client, &["start", "early"]).fails(1).to_owned();
        let words = "failed to set up container networking: network later not found";
        assert_eq!(refused.matches("failed to set up").count(), 1, "{refused}");
        assert!(refused.contains(words), "{client:?}: {refused}");
        let id = brig.with(client, &["network", "create", "later"]);
        let id = id.ok().to_owned();
        brig.with(client, &["start", "early"]).ok();
        let shown = &brig.inspect("early")["NetworkSettings"]["Networks"]["later"];
        assert_eq!(shown["NetworkID"], id, "{client:?}");
        let look = ["run", "--rm", "--network", "later", "bb"];
        let found = brig.with(client, &[&look[..], &["nslookup", "early"]].concat());
        assert!(found.ok().contains("Address"), "{client:?}");
        let kept = brig.with(client, &["network", "rm", "later"]);
        assert!(kept.fails(1).contains("has active endpoints"), "{kept}");
        brig.with(client, &["rm", "-f", "early"]).ok();
        brig.with(client, &["network", "rm", "later"]).ok();
    }
    brig.finish();
}

#[test]
fn a_bridge_has_one_subnet_of_each_version() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let create = ["network", "create", "--subnet", "10.97.1.0/24"];
    for client in clients() {
        let two = [&create[..], &["--subnet", "10.97.2.0/24", "two"]].concat();
        let refused = brig.with(client, &two).fails(1).to_owned();
        let words = "bridge driver doesn't support multiple subnets";
        assert!(refused.contains(words), "{client:?}: {refused}");
        let null = ["network", "create", "--ipam-driver", "null", "bare"];
        let refused = brig.with(client, &null).fails(1).to_owned();
        assert!(
            refused.contains("ipv4 pool is empty"),
            "{client:?}: {refused}"
        );
    }
    brig.finish();
}

#[test]
fn networks_are_listed_shown_and_pruned() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    for client in clients() {
        let create = ["network", "create", "--label", "tier=web", "shop"];
        let id = brig.with(client, &create).ok().to_owned();
        let again = brig.with(client, &create).fails(1).to_owned();
        assert!(
            again.contains("network with name shop already exists"),
            "{again}"
        );
        let names = brig
            .with(client, &["network", "ls", "--format", "{{.Name}}"])
            .ok()
            .to_owned();
        assert_eq!(names, "bridge\nhost\nnone\nshop", "{client:?}");
        let filter = ["network", "ls", "-q", "--no-trunc", "-f", "label=tier=web"];
        assert_eq!(brig.with(client, &filter).ok(), id);
        let shown = brig.with(client, &["network", "inspect", "shop"]).json();
        let network: &Value = &shown[0];
        assert_eq!(network["Driver"], "bridge");
        assert!(
            network["IPAM"]["Config"][0]["Gateway"].is_string(),
            "{network}"
        );
        let gone = brig
            .with(client, &["network", "prune", "-f"])
            .ok()
            .to_owned();
        assert!(gone.contains("shop"), "{gone}");
        let refused = brig
            .with(client, &["network", "rm", "bridge"])
            .fails(1)
            .to_owned();
        assert!(
            refused.contains("bridge is a pre-defined network"),
            "{refused}"
        );
        let missing = brig
            .with(client, &["network", "inspect", "shop"])
            .fails(1)
            .to_owned();
        // Docker 20.10 has words of its own.
        assert!(missing.contains("shop"), "{missing}");
    }
    brig.finish();
}

#[test]
fn hosts_and_resolver_files_say_what_was_asked() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let flags = [
        "--add-host",
        "db:10.9.8.7",
        "--add-host",
        "up:host-gateway",
        "--dns-search",
        "lan.example",
        "--dns-option",
        "timeout:1",
        "--hostname",
        "me",
    ];
    let run = |file: &str| {
        let args = [&["run", "--rm"][..], &flags, &["bb", "cat", file]].concat();
        brig.with(Client::Brig, &args).ok().to_owned()
    };
    let hosts = run("/etc/hosts");
    assert!(hosts.contains("10.9.8.7\tdb"), "{hosts}");
    let gateway = format!("{}.1\tup", brig.network().subnet);
    assert!(hosts.contains(&gateway), "{hosts}");
    assert!(hosts.lines().any(|line| line.ends_with("\tme")), "{hosts}");
    assert_eq!(
        run("/etc/resolv.conf"),
        "nameserver 127.0.0.11\nsearch lan.example\noptions timeout:1 ndots:0"
    );
    brig.finish();
}

#[test]
fn a_name_that_nobody_has_is_answered_at_once() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let run = [
        "run",
        "--rm",
        "--dns",
        "127.0.0.1",
        "bb",
        "nslookup",
        "nobody.invalid",
    ];
    // Nobody listens at that server: the answer says so, or is none, but it comes.
    let out = brig.brig(&run);
    assert!(!out.stdout.contains("Address 1: 10."), "{out}");
    brig.finish();
}

#[test]
fn a_request_with_a_body_of_its_own_shape() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let body = r#"{"Name":"raw","Driver":"bridge","EnableIPv6":true}"#;
    let request = format!(
        "POST /v1.44/networks/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = brig.http(&request);
    if !std::path::Path::new("/proc/net/if_inet6").exists() {
        // A kernel that is told `ipv6.disable=1`.
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("IPv6 is asked for"), "{answer}");
        return brig.finish();
    }
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let mut stream = std::os::unix::net::UnixStream::connect(brig.socket()).unwrap();
    stream
        .write_all(b"GET /v1.44/networks/raw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("\"EnableIPv6\":true"), "{text}");
    assert!(!text.contains("EnableIPv4"), "{text}");
    brig.finish();
}

#[test]
fn what_happens_to_networks_is_told() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for (number, client) in clients().into_iter().enumerate() {
        let (net, who) = (format!("net{number}"), format!("who{number}"));
        let with = |args: &[&str]| drop(brig.with(client, args).ok().to_owned());
        with(&["network", "create", &net]);
        with(&[
            "run",
            "-d",
            "--name",
            &who,
            "--network",
            &net,
            "bb",
            "sleep",
            "1000",
        ]);
        with(&["network", "connect", "bridge", &who]);
        with(&["network", "disconnect", "bridge", &who]);
        with(&["rm", "-f", &who]);
        let events = |format: &str| {
            let ask = [
                "events",
                "--since",
                "1h",
                "--until",
                "0s",
                "-f",
                "type=network",
                "--format",
                format,
            ];
            brig.brig(&ask).ok().to_owned()
        };
        let of = |name: &str| {
            let all = events("{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}");
            let is = |line: &&str| line.contains(name);
            all.lines()
                .filter(is)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        until("the container to have left", || {
            let told = of(&net);
            let words = ["create", "connect", "disconnect"];
            let wanted = words.map(|word| format!("{word} {net} bridge"));
            (told == wanted).then_some(())
        });
        let bridge = of("bridge bridge").len();
        assert_eq!(bridge, 2 * (number + 1), "{client:?}");
        with(&["network", "prune", "-f"]);
        let told = of(&net);
        assert_eq!(told.last().unwrap(), &format!("destroy {net} bridge"));
        let last = events("{{.Action}} {{.Actor.Attributes.reclaimed}}");
        assert_eq!(last.lines().last(), Some("prune 0"));
    }
    brig.finish();
}

/// Whether a neighbour hears that two addresses are now another container's, without asking.
fn hears_of_the_next(brig: &Brig, network: &str, options: &[&str]) -> bool {
    const ADDRESSES: [&str; 2] = ["10.97.5.9", "fd00:97:5::9"];
    const MACS: [&str; 2] = ["02:42:0a:61:05:01", "02:42:0a:61:05:02"];
    let mut args = vec!["network", "create", "--ipv6", "--subnet", "10.97.5.0/24"];
    args.extend(["--subnet", "fd00:97:5::/64"]);
    args.extend(options);
    args.push(network);
    brig.brig(&args).ok();
    let run = |name: &str, flags: &[&str]| {
        let mut args = vec!["run", "-d", "--name", name, "--network", network];
        args.extend(flags);
        args.extend(["bb", "sleep", "1000"]);
        brig.brig(&args).ok();
    };
    let had = |mac: &str| {
        ADDRESSES.iter().all(|address| {
            let known = brig.brig(&["exec", "who", "ip", "neigh", "show", address]);
            known.stdout.contains(mac)
        })
    };
    let addressed = |mac| {
        [
            "--ip",
            ADDRESSES[0],
            "--ip6",
            ADDRESSES[1],
            "--mac-address",
            mac,
        ]
    };
    run("who", &[]);
    run("before", &addressed(MACS[0]));
    for address in ADDRESSES {
        until("an answer", || {
            let ping = brig.brig(&["exec", "who", "ping", "-c", "1", "-W", "1", address]);
            (ping.code == 0).then_some(())
        });
    }
    assert!(had(MACS[0]), "who asks knows the first");
    brig.brig(&["rm", "-f", "before"]).ok();
    run("after", &addressed(MACS[1]));
    let mut heard = false;
    for _ in 0..20 {
        heard = heard || had(MACS[1]);
        std::thread::sleep(Duration::from_millis(50));
    }
    brig.brig(&["rm", "-f", "who", "after"]).ok();
    brig.brig(&["network", "rm", network]).ok();
    heard
}

#[test]
fn neighbours_hear_whose_an_address_is_now() {
    const TIMES: &str = "com.docker.network.advertise_addr_nmsgs";
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    assert!(hears_of_the_next(&brig, "told", &[]));
    let silent = format!("{TIMES}=0");
    assert!(!hears_of_the_next(&brig, "silent", &["-o", &silent]));
    let many = format!("{TIMES}=4");
    let refused = brig.brig(&["network", "create", "-o", &many, "loud"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains(TIMES), "{}", refused.stderr);
    brig.finish();
}

#[test]
fn ports_go_with_the_network_that_leads_out() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for (name, flags) in [
        ("inner", &["--internal"][..]),
        ("first", &[]),
        ("second", &[]),
    ] {
        brig.brig(&[&["network", "create"], flags, &[name]].concat())
            .ok();
    }
    serve(&brig, "web", &["--network", "inner", "-p", "127.0.0.1::80"]);
    let published = || brig.brig(&["port", "web"]).ok().to_owned();
    assert_eq!(published(), "", "nothing leads to an internal network");
    let answers = |by: &str| {
        let address = SocketAddr::from(([127, 0, 0, 1], port(&brig, "web", "80")));
        assert_eq!(said(address), "web", "by {by}");
    };
    brig.brig(&["network", "connect", "first", "web"]).ok();
    answers("first");
    let before = published();
    brig.brig(&["network", "connect", "second", "web"]).ok();
    assert_eq!(published(), before, "what leads there already stays");
    brig.brig(&["network", "disconnect", "first", "web"]).ok();
    answers("second");
    brig.brig(&["network", "disconnect", "second", "web"]).ok();
    assert_eq!(published(), "");
    brig.brig(&["network", "connect", "first", "web"]).ok();
    answers("first again");
    brig.brig(&["rm", "-f", "web"]).ok();
    for name in ["inner", "first", "second"] {
        brig.brig(&["network", "rm", name]).ok();
    }
    brig.finish();
}
