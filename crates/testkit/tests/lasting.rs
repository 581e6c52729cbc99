//! Networks while daemons are killed and containers come and go.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use testkit::{AtEnd, Brig, Setup, root, until};

/// Longer than anything takes that is not lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// A web server with one page, on port 80.
fn serve(brig: &Brig, name: &str, flags: &[&str]) {
    let script = "mkdir /www; echo served >/www/page; exec httpd -f -p 80 -h /www";
    let mut words = vec!["run", "-d", "--name", name];
    words.extend(flags);
    words.extend(["bb", "sh", "-c", script]);
    brig.brig(&words).ok();
}

fn port(brig: &Brig, container: &str) -> u16 {
    let shown = brig.brig(&["port", container, "80"]).ok().to_owned();
    let first = shown.lines().next().unwrap_or_default();
    first.rsplit(':').next().unwrap().parse().unwrap()
}

/// One request on a connection of its own.
fn request(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /page HTTP/1.0\r\n\r\n")?;
    stream.shutdown(Shutdown::Write)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn no_request_is_lost_while_the_daemon_is_killed_and_started() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    serve(&brig, "web", &["-p", "80"]);
    let number = port(&brig, "web");
    let gateway = format!("{}.1:{number}", brig.network().subnet);
    let ways: Vec<SocketAddr> = vec![
        ([127, 0, 0, 1], number).into(),
        gateway.parse().unwrap(),
        (std::net::Ipv6Addr::LOCALHOST, number).into(),
    ];
    let served = |address| request(address).is_ok_and(|text| text.contains("served"));
    until("the server", || served(ways[0]).then_some(()));
    let over = AtomicBool::new(false);
    let counts: Vec<AtomicUsize> = ways.iter().map(|_| AtomicUsize::new(0)).collect();
    let lost = std::thread::scope(|scope| {
        let asks = |(address, count): (SocketAddr, &AtomicUsize)| {
            let mut lost = Vec::new();
            while !over.load(Ordering::Acquire) {
                match request(address) {
                    Ok(text) if text.contains("served") => {}
                    other => lost.push(format!("{address}: {other:?}")),
                }
                count.fetch_add(1, Ordering::AcqRel);
            }
            lost
        };
        let clients: Vec<_> = ways
            .iter()
            .zip(&counts)
            .map(|(address, count)| scope.spawn(move || asks((*address, count))))
            .collect();
        let more = |than: usize| {
            let before: Vec<usize> = counts.iter().map(|c| c.load(Ordering::Acquire)).collect();
            until("more requests", || {
                let now = counts.iter().map(|c| c.load(Ordering::Acquire));
                let enough = now.zip(&before).all(|(now, before)| now >= before + than);
                enough.then_some(())
            });
        };
        let end = AtEnd(&over);
        for _ in 0..4 {
            brig.kill_daemon();
            more(20);
            brig.start_daemon();
            more(20);
        }
        drop(end);
        let lost = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap());
        lost.collect::<Vec<_>>()
    });
    assert_eq!(lost, Vec::<String>::new());
    brig.finish();
}

/// How many containers have a port each.
const MANY: usize = 200;

/// Starts them, each with a page that says who it is of, and says where they are.
fn serve_many(brig: &Brig) -> Vec<(String, u16)> {
    let script = "mkdir /www; hostname >/www/page; exec httpd -f -p 80 -h /www";
    let names: Vec<String> = (0..MANY).map(|number| format!("web{number}")).collect();
    std::thread::scope(|scope| {
        for share in names.chunks(MANY / 4) {
            scope.spawn(move || {
                for name in share {
                    let flags = ["run", "-d", "--name", name, "--hostname", name, "-p", "80"];
                    brig.brig(&[&flags[..], &["bb", "sh", "-c", script]].concat())
                        .ok();
                }
            });
        }
    });
    let listed = brig.brig(&["ps", "--no-trunc", "--format", "{{.Names}} {{.Ports}}"]);
    let all = listed.lines().into_iter().map(|line| {
        let (name, ports) = line.split_once(' ').unwrap();
        let port = ports.split("->").next().unwrap().rsplit(':').next();
        (name.to_owned(), port.unwrap().parse().unwrap())
    });
    all.collect()
}

#[test]
fn ports_of_hundreds_of_containers_are_reached_while_the_daemon_is_killed() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let all = serve_many(&brig);
    let mut ports: Vec<u16> = all.iter().map(|(_, port)| *port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), MANY);
    let hosts: [std::net::IpAddr; 3] = [
        [127, 0, 0, 1].into(),
        format!("{}.1", brig.network().subnet).parse().unwrap(),
        std::net::Ipv6Addr::LOCALHOST.into(),
    ];
    let answers = |name: &str, text: &str| text.lines().last() == Some(name);
    for (name, port) in &all {
        until(&format!("{name} to serve"), || {
            let text = request((hosts[0], *port).into()).ok()?;
            answers(name, &text).then_some(())
        });
    }
    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let lost = std::thread::scope(|scope| {
        let asks = |host: std::net::IpAddr| {
            let mut lost = Vec::new();
            for (name, port) in all.iter().cycle() {
                if over.load(Ordering::Acquire) {
                    break;
                }
                match request((host, *port).into()) {
                    Ok(text) if answers(name, &text) => {}
                    other => lost.push(format!("{name} at {host}: {other:?}")),
                }
                count.fetch_add(1, Ordering::AcqRel);
            }
            lost
        };
        let clients: Vec<_> = hosts
            .map(|host| scope.spawn(move || asks(host)))
            .into_iter()
            .collect();
        let end = AtEnd(&over);
        // Each is asked by each way at least once while no daemon runs, and once more while one starts.
        let more = || {
            let enough = count.load(Ordering::Acquire) + 3 * MANY;
            until("more requests", || {
                (count.load(Ordering::Acquire) >= enough).then_some(())
            });
        };
        for _ in 0..2 {
            brig.kill_daemon();
            more();
            brig.start_daemon();
            more();
        }
        drop(end);
        let lost = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap());
        lost.collect::<Vec<_>>()
    });
    assert_eq!(lost, Vec::<String>::new());
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    brig.brig(&[&["rm", "-f"], &names[..]].concat()).ok();
    // Whose they were they are free again.
    let again = brig.brig(&[
        "run",
        "--rm",
        "-p",
        &format!("{}:80", ports[0]),
        "bb",
        "true",
    ]);
    again.ok();
    brig.finish();
}

#[test]
fn names_are_answered_while_no_daemon_runs() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    brig.brig(&["network", "create", "shop"]).ok();
    serve(&brig, "web", &["--network", "shop"]);
    let script = "while :; do if nslookup web >/dev/null 2>&1; then echo known; \
                  else echo lost; fi; done";
    let run = [
        "run",
        "-d",
        "--name",
        "asker",
        "--network",
        "shop",
        "bb",
        "sh",
        "-c",
        script,
    ];
    let id = brig.brig(&run).ok().to_owned();
    let directory = brig.data_root().join("containers").join(&id);
    let is_log = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "log");
    let log = until("a log", || {
        let entries = std::fs::read_dir(&directory).ok()?;
        entries.flatten().map(|entry| entry.path()).find(is_log)
    });
    let told = || std::fs::read_to_string(&log).unwrap_or_default();
    let more = || {
        let before = told().lines().count();
        until("more answers", || {
            (told().lines().count() > before + 10).then_some(())
        });
    };
    more();
    brig.kill_daemon();
    more();
    brig.start_daemon();
    more();
    let text = told();
    assert!(!text.contains("lost"), "{text}");
    brig.finish();
}

#[test]
fn networks_come_and_go_while_containers_start_and_stop() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for network in ["a", "b"] {
        brig.brig(&["network", "create", network]).ok();
    }
    let create = [
        "create",
        "--name",
        "cc",
        "--network",
        "a",
        "-p",
        "80",
        "bb",
        "sleep",
        "1000",
    ];
    brig.brig(&create).ok();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..8 {
                brig.brig(&["start", "cc"]);
                brig.brig(&["stop", "-t", "0", "cc"]);
            }
        });
        scope.spawn(|| {
            for _ in 0..16 {
                brig.brig(&["network", "connect", "b", "cc"]);
                brig.brig(&["network", "disconnect", "b", "cc"]);
            }
        });
    });
    // Whatever came first, it is whole now.
    brig.brig(&["network", "disconnect", "-f", "b", "cc"]);
    brig.brig(&["start", "cc"]).ok();
    let links = brig
        .brig(&["exec", "cc", "ls", "/sys/class/net"])
        .ok()
        .to_owned();
    // Modules of the kernel may add others to every namespace, tunl0 and the like.
    let ours: Vec<&str> = (links.lines())
        .filter(|name| name.starts_with("eth"))
        .collect();
    assert_eq!(ours, ["eth0"], "{links}");
    brig.brig(&["network", "connect", "b", "cc"]).ok();
    for network in ["a", "b"] {
        let shown = brig.brig(&["network", "inspect", network]).json();
        let containers = shown[0]["Containers"].as_object().unwrap();
        assert_eq!(containers.len(), 1, "{network}: {shown}");
        // Gateway and container, as of an address that was lost there would be one more.
        let usage = &shown[0]["Status"]["IPAM"]["Subnets"];
        let subnets = usage.as_object().unwrap();
        assert!(
            subnets.values().all(|subnet| subnet["IPsInUse"] == 2),
            "{network}: {usage}"
        );
    }
    brig.finish();
}

#[test]
fn a_connect_that_fails_leaves_the_container_as_it_was() {
    if !root() {
        return;
    }
    let mut brig = Brig::prepare(Setup::default());
    brig.start_daemon();
    brig.import_busybox();
    for network in ["a", "b"] {
        brig.brig(&["network", "create", network]).ok();
    }
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
    brig.brig(&run).ok();
    let state = |brig: &Brig| {
        let links = brig
            .brig(&["exec", "cc", "ip", "-o", "link"])
            .ok()
            .to_owned();
        let route = brig.brig(&["exec", "cc", "ip", "route"]).ok().to_owned();
        let networks = brig.inspect("cc")["NetworkSettings"]["Networks"].clone();
        let shown = brig.brig(&["network", "inspect", "b"]).json();
        let of_b = (shown[0]["Containers"].clone(), shown[0]["Status"].clone());
        (links.lines().count(), route, networks, of_b)
    };
    let before = state(&brig);
    for step in [
        "network.open",
        "network.link",
        "network.port",
        "network.addresses",
        "network.settle",
        "start.network",
        "start.names",
        "start.record",
    ] {
        brig.stop_daemon();
        brig.set_flags(&["--fail-at", step]);
        brig.start_daemon();
        let failed = brig.brig(&["network", "connect", "--alias", "sea", "b", "cc"]);
        assert!(
            failed.fails(1).contains("was told to fail"),
            "{step}: {failed}"
        );
        assert_eq!(state(&brig), before, "{step}");
        let asked = brig.brig(&["exec", "cc", "nslookup", "sea"]);
        assert!(!asked.stdout.contains("Name:"), "{step}: {asked}");
    }
    brig.stop_daemon();
    brig.set_flags(&[]);
    brig.start_daemon();
    brig.brig(&["network", "connect", "b", "cc"]).ok();
    brig.finish();
}

#[test]
fn a_start_that_fails_gives_its_port_back() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    // Its network is there, so that a port of a known number is published as early as it can be.
    serve(&brig, "first", &[]);
    let at = testkit::address();
    let publish = format!("{at}:80");
    let run = ["run", "-d", "--name", "web", "-p", &publish, "bb"];
    let httpd = "mkdir /www; echo served >/www/page; exec httpd -f -p 80 -h /www";
    let run = [&run[..], &["sh", "-c", httpd]].concat();
    for step in [
        "start.ports",
        "start.files",
        "start.user",
        "start.render",
        "start.create",
        "start.names",
        "start.start",
    ] {
        brig.stop_daemon();
        brig.set_flags(&["--fail-at", step]);
        brig.start_daemon();
        let failed = brig.brig(&run);
        assert!(failed.fails(125).contains("was told to fail"), "{failed}");
        let number = at.port().to_string();
        let told = brig.brig(&["network", "explain", &number]).ok().to_owned();
        assert!(told.contains("nobody has it"), "{step}: {told}");
        // It is not kept for anybody either.
        until("the port to be free", || {
            std::net::TcpListener::bind(at).ok()
        });
        brig.brig(&["rm", "-f", "web"]).ok();
    }
    brig.stop_daemon();
    brig.set_flags(&[]);
    brig.start_daemon();
    brig.brig(&run).ok();
    until("the server", || {
        let text = request(at.into()).ok()?;
        text.contains("served").then_some(())
    });
    brig.finish();
}

#[test]
fn a_bridge_is_one_networks() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let name = format!("{}n", brig.network().bridge);
    let option = format!("com.docker.network.bridge.name={name}");
    let create = ["network", "create", "-o", &option];
    brig.brig(&[&create[..], &["one"]].concat()).ok();
    let refused = brig.brig(&[&create[..], &["two"]].concat());
    let words = refused.fails(1);
    assert!(words.contains("is that of network one"), "{words}");
    let default = format!("com.docker.network.bridge.name={}", brig.network().bridge);
    let refused = brig.brig(&["network", "create", "-o", &default, "three"]);
    let words = refused.fails(1);
    assert!(words.contains("is that of network bridge"), "{words}");
    brig.finish();
}
