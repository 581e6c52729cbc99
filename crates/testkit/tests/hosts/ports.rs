//! Published ports, from every side.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use testkit::{Brig, Host, Lan, at, root, until};

use crate::support::{daemon, endpoint, heard, heard_by, idle, serve, silent, silent_to};

/// A program that is ended, also by a test that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_port_is_reached_from_everywhere_by_both_versions() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    brig.brig(&["network", "create", "--ipv6", "shop"]).ok();
    brig.brig(&["network", "create", "--ipv6", "street"]).ok();
    serve(&brig, "web", &["--network", "shop", "-p", "8080:80"]);
    idle(&brig, "near", &["--network", "shop"]);
    idle(&brig, "far", &["--network", "street"]);
    let of_machine = format!("{}:8080", at::MACHINE);
    let of_machine6 = format!("[{}]:8080", at::MACHINE6);
    // From outside: who asks is known.
    let said = |who: &str| Some(format!("web {who}"));
    assert_eq!(heard(&lan.client, &of_machine), said(at::CLIENT));
    assert_eq!(heard(&lan.client, &of_machine6), said(at::CLIENT6));
    assert_eq!(heard(&lan.router, &of_machine), said(at::ROUTER));
    // From the machine, by each of its addresses.
    for address in [
        &of_machine,
        &of_machine6,
        "127.0.0.1:8080",
        "[::1]:8080",
        "localhost:8080",
    ] {
        let heard = heard(&lan.machine, address);
        assert!(
            heard.is_some_and(|text| text.starts_with("web ")),
            "{address}"
        );
    }
    // From containers, and from itself.
    for container in ["near", "far", "web"] {
        for address in [&of_machine, &of_machine6] {
            let heard = heard_by(&brig, container, address);
            assert!(
                heard.is_some_and(|text| text.starts_with("web ")),
                "{container} {address}"
            );
        }
    }
    // By other ways it is not reached: not by its own address, from outside or another network.
    let own = endpoint(&brig, "web", "shop", "IPAddress");
    lan.client
        .ip(&format!("route add {own}/32 via 203.0.113.254"));
    lan.router
        .ip(&format!("route add {own}/32 via {}", at::MACHINE));
    assert!(silent(&lan.client, &own));
    assert!(silent_to(&brig, "far", &own));
    assert!(heard_by(&brig, "near", &own).is_some());
    brig.finish();
}

#[test]
fn a_container_of_one_version_is_reached_by_the_other() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    let six = ["network", "create", "--ipv4=false", "--ipv6", "six"];
    brig.brig(&six).ok();
    serve(
        &brig,
        "old",
        &["-p", "8004:80", "-p", "8104:80,allow=2001:db8:2::/64"],
    );
    serve(&brig, "new", &["--network", "six", "-p", "8006:80"]);
    assert_eq!(endpoint(&brig, "new", "six", "IPAddress"), "");
    for (name, port) in [("old", 8004), ("new", 8006)] {
        for address in [at::MACHINE, "[2001:db8:1::1]"] {
            let heard = heard(&lan.client, &format!("{address}:{port}"));
            assert!(
                heard.is_some_and(|text| text.starts_with(name)),
                "{address}:{port}"
            );
        }
        for address in ["127.0.0.1", "[::1]"] {
            let heard = heard(&lan.machine, &format!("{address}:{port}"));
            assert!(
                heard.is_some_and(|text| text.starts_with(name)),
                "{address}:{port}"
            );
        }
    }
    // Who may use it is known also where it is passed on.
    assert!(heard(&lan.client, "[2001:db8:1::1]:8104").is_some());
    assert!(silent(&lan.router, "[2001:db8:1::1]:8104"));
    assert!(heard(&lan.machine, "[::1]:8104").is_some());
    brig.finish();
}

#[test]
fn an_address_and_a_list_say_who_reaches_a_port() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "default-publish-address = \"127.0.0.1\"\n");
    let flags = [
        ["-p", "8001:80"],
        ["-p", "0.0.0.0:8002:80"],
        ["-p", "198.51.100.1:8003:80"],
        ["-p", "0.0.0.0:8004:80,allow=203.0.113.0/24"],
        [
            "-p",
            "0.0.0.0:8005:80,allow=192.0.2.0/24,allow=198.51.100.254",
        ],
        ["-p", "[::1]:8006:80"],
    ];
    serve(&brig, "web", &flags.concat());
    let shown = brig.brig(&["port", "web"]).ok().to_owned();
    assert!(shown.contains("80/tcp -> 127.0.0.1:8001"), "{shown}");
    let machine = |port: u16| format!("{}:{port}", at::MACHINE);
    for (port, client, router, own) in [
        (8001, false, false, false),
        (8002, true, true, true),
        (8003, true, true, true),
        (8004, true, false, true),
        (8005, false, true, true),
        (8006, false, false, false),
    ] {
        for (host, reached) in [
            (&lan.client, client),
            (&lan.router, router),
            (&lan.machine, own),
        ] {
            match reached {
                true => assert!(heard(host, &machine(port)).is_some(), "{port}"),
                false => assert!(silent(host, &machine(port)), "{port}"),
            }
        }
    }
    assert!(heard(&lan.machine, "127.0.0.1:8001").is_some());
    assert!(heard(&lan.machine, "[::1]:8006").is_some());
    assert!(silent(&lan.machine, "127.0.0.1:8003"));
    // An address that the machine does not have is refused by name.
    let refused = brig.brig(&[
        "run",
        "-d",
        "--name",
        "no",
        "-p",
        "192.0.2.9:80:80",
        "bb",
        "true",
    ]);
    let words = refused.fails(125).to_owned();
    assert!(
        words.contains("192.0.2.9: it is no address of this host"),
        "{words}"
    );
    brig.finish();
}

#[test]
fn ranges_ephemeral_ports_and_all_exposed_ones() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    serve(
        &brig,
        "range",
        &["-p", "9000-9002:80-82", "-p", "9100-9105:80"],
    );
    let shown = brig.brig(&["port", "range"]).ok().to_owned();
    for line in [
        "80/tcp -> 0.0.0.0:9000",
        "81/tcp -> 0.0.0.0:9001",
        "82/tcp -> [::]:9002",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(heard(&lan.client, "198.51.100.1:9000").is_some());
    assert!(heard(&lan.client, "198.51.100.1:9100").is_some());
    // The next of a range is taken when one is in use; a port that is another's names it.
    serve(&brig, "second", &["-p", "9100-9105:80"]);
    assert!(heard(&lan.client, "198.51.100.1:9101").is_some_and(|text| text.starts_with("second")));
    let taken = brig.brig(&["run", "-d", "--name", "no", "-p", "9001:1", "bb", "true"]);
    assert!(taken.fails(125).contains("container range has it"));
    let listener = lan
        .machine
        .command(&["busybox", "nc", "-l", "-p", "9500"])
        .spawn();
    let listener = Ended(listener.unwrap());
    let refused = until("a listener of the machine's own", || {
        brig.brig(&["rm", "-f", "no"]);
        let run = [
            "run", "-d", "--name", "no", "-p", "9500:80", "bb", "sleep", "9",
        ];
        let tried = brig.brig(&run);
        (tried.code != 0).then(|| tried.stderr.clone())
    });
    assert!(
        refused.contains(&format!("process {} (", listener.0.id())),
        "{refused}"
    );
    drop(listener);
    // Ports of the kernel's choice.
    serve(
        &brig,
        "any",
        &[
            "-P", "--expose", "80", "--expose", "53/udp", "-p", "80/sctp",
        ],
    );
    let shown = brig.brig(&["port", "any"]).ok().to_owned();
    for inner in ["80/tcp", "53/udp", "80/sctp"] {
        assert!(shown.contains(&format!("{inner} -> 0.0.0.0:")), "{shown}");
    }
    let port = brig.brig(&["port", "any", "80/tcp"]).ok().to_owned();
    let number = port
        .lines()
        .next()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    assert!(heard(&lan.client, &format!("198.51.100.1:{number}")).is_some());
    brig.finish();
}

/// A server in a container's network, on port 90, that answers whoever asks with who that is. None where the
/// kernel has no such protocol.
fn answer(brig: &Brig, container: &str, protocol: (&str, u8)) -> Option<Ended> {
    let pid = brig.inspect(container)["State"]["Pid"].to_string();
    let script = format!(
        "$| = 1; socket(S, AF_INET, {}, {}) or (print(\"no\\n\"), exit);\
         setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1); bind(S, sockaddr_in(90, INADDR_ANY)) or die;\
         sub who {{ inet_ntoa((sockaddr_in(shift))[1]) }}\
         if ({} == 17) {{ print \"up\\n\"; while ($p = recv(S, $_, 99, 0), defined $p) {{ send(S, who($p), 0, $p) }} }}\
         else {{ listen(S, 9) or die; print \"up\\n\"; while ($p = accept(C, S)) {{ syswrite(C, who($p)); close C }} }}",
        protocol.0, protocol.1, protocol.1
    );
    let mut server = Command::new("nsenter")
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .args(["perl", "-MSocket", "-e", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = server.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let server = Ended(server);
    (line.trim() == "up").then_some(server)
}

/// What such a server says to a host that asks from port 7777.
fn asked(host: &Host, protocol: (&str, u8), to: &str, port: u16) -> Option<String> {
    let script = format!(
        "socket(S, AF_INET, {}, {}) or die; setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);\
         {} == 17 and (bind(S, sockaddr_in(7777, INADDR_ANY)) or die); alarm 3;\
         connect(S, sockaddr_in({port}, inet_aton(\"{to}\"))) or die; {} == 17 and send(S, \"who\", 0);\
         defined(sysread(S, $_, 99)) or die; print",
        protocol.0, protocol.1, protocol.1, protocol.1
    );
    let told = host.run(&["perl", "-MSocket", "-e", &script]);
    Some(told.stdout.trim().to_owned()).filter(|said| !said.is_empty())
}

#[test]
fn datagrams_and_sctp_are_led_to_a_container_and_to_the_one_after_it() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    for (name, protocol) in [("udp", ("SOCK_DGRAM", 17)), ("sctp", ("SOCK_STREAM", 132))] {
        let publish = format!("8090:90/{name}");
        idle(&brig, name, &["-p", &publish]);
        let Some(server) = answer(&brig, name, protocol) else {
            eprintln!("SKIP: this kernel has no {name}");
            continue;
        };
        let heard = |host: &Host, to: &str| {
            until(&format!("{name} answers at {to}"), || {
                asked(host, protocol, to, 8090)
            })
        };
        assert_eq!(heard(&lan.client, at::MACHINE), at::CLIENT);
        assert_eq!(heard(&lan.router, at::MACHINE), at::ROUTER);
        for own in [at::MACHINE, "127.0.0.1"] {
            heard(&lan.machine, own);
        }
        // The kernel remembers who asked from where, and who answered then. That is somebody else now.
        drop(server);
        idle(&brig, "guest", &[]);
        brig.brig(&["restart", "-t", "0", name]).ok();
        let server = answer(&brig, name, protocol);
        assert_eq!(heard(&lan.client, at::MACHINE), at::CLIENT);
        drop(server);
        brig.brig(&["rm", "-f", name, "guest"]).ok();
        let gone = asked(&lan.client, protocol, at::MACHINE, 8090);
        assert_eq!(gone, None, "{name}");
    }
    brig.finish();
}

#[test]
fn rules_that_somebody_flushes_are_there_again() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    serve(&brig, "web", &["-p", "8080:80"]);
    let of_machine = format!("{}:8080", at::MACHINE);
    assert!(heard(&lan.client, &of_machine).is_some());
    let gone = testkit::delete_table(&brig.network().table);
    lan.machine.run(&gone).ok();
    let said = until("the port to be published again", || {
        heard(&lan.client, &of_machine)
    });
    assert!(said.starts_with("web"), "{said}");
    brig.finish();
}
