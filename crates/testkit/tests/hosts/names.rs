//! Names, asked for by `dig` inside containers.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;
use testkit::{Brig, Host, Lan, Output, Setup, root, until};

use crate::support::{endpoint, idle};

/// What `dig` needs of the machine inside a container.
const PROGRAMS: [&str; 6] = [
    "-v",
    "/usr:/usr:ro",
    "-v",
    "/lib:/lib:ro",
    "-v",
    "/lib64:/lib64:ro",
];

const DIG: &str = "/usr/bin/dig";

/// Addresses of upstreams, on the router.
const FIRST: &str = "198.51.100.53";
const SECOND: &str = "198.51.100.54";
/// Where nobody is.
const NOBODY: &str = "198.51.100.55";

/// Whether this machine lacks something; says what.
fn cannot_run() -> bool {
    for (program, package) in [(DIG, "bind9-dnsutils"), ("/usr/bin/python3", "python3")] {
        if !Path::new(program).exists() {
            eprintln!("SKIP: no {program} (Debian: {package})");
            return true;
        }
    }
    !root()
}

/// A server of names outside.
struct Upstream {
    process: Child,
    log: PathBuf,
    _directory: TempDir,
}

impl Upstream {
    fn start(host: &Host, address: &str, number: u8, mode: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let script = include_str!("../python/names.py");
        let number = number.to_string();
        let log_path = log.to_str().unwrap();
        let words = ["python3", "-c", script, address, &number, log_path, mode];
        let process = host.command(&words).stdout(Stdio::null()).spawn().unwrap();
        let upstream = Self {
            process,
            log,
            _directory: directory,
        };
        until("a server of names", || {
            upstream.asked("ready").checked_sub(1)
        });
        upstream
    }

    /// How many lines of its log begin so.
    fn asked(&self, what: &str) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|line| line.starts_with(what)).count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A LAN with room for upstreams, and a daemon on its machine that is told of these.
fn daemon(lan: &Lan, resolvers: &str) -> Brig {
    for address in [FIRST, SECOND] {
        lan.router.ip(&format!("address add {address}/24 dev lan0"));
    }
    let brig = Brig::start_with(Setup {
        host: Some(lan.machine.clone()),
        resolvers: Some(resolvers.to_owned()),
        ..Setup::default()
    });
    brig.import_busybox();
    brig
}

/// What `dig` says in a container. It asks the resolver that the container's file names, as long and as often
/// as a loaded machine needs.
fn dig(brig: &Brig, container: &str, words: &str) -> Output {
    let mut all = vec!["exec", container, DIG, "+time=15", "+tries=4"];
    all.extend(words.split_whitespace());
    brig.brig(&all)
}

/// The answers alone.
fn short(brig: &Brig, container: &str, words: &str) -> String {
    dig(brig, container, &format!("+short {words}"))
        .ok()
        .to_owned()
}

/// How many seconds the first answer holds.
fn holds(brig: &Brig, container: &str, name: &str) -> u32 {
    let said = dig(brig, container, &format!("+noall +answer {name} A"));
    let holds = said.ok().split_whitespace().nth(1).map(str::parse);
    holds
        .and_then(Result::ok)
        .unwrap_or_else(|| panic!("{said}"))
}

/// That the code, the flags and the count of answers are these.
#[track_caller]
fn says(output: &Output, parts: &[&str]) {
    let text = output.ok();
    for part in parts {
        assert!(text.contains(part), "no {part:?}: {output}");
    }
}

/// Containers of two versions of the protocol, one of which asks.
fn inhabit(brig: &Brig) {
    brig.brig(&["network", "create", "--ipv6", "shop"]).ok();
    let mut flags = vec!["--network", "shop"];
    flags.extend(PROGRAMS);
    idle(brig, "asker", &flags);
    idle(
        brig,
        "web",
        &[
            "--network",
            "shop",
            "--network-alias",
            "store",
            "--hostname",
            "host7",
        ],
    );
    brig.brig(&["network", "create", "old"]).ok();
    brig.brig(&["network", "connect", "old", "asker"]).ok();
    idle(brig, "four", &["--network", "old"]);
}

/// What is ours: no upstream hears of it.
fn own_names_are_answered(brig: &Brig) {
    let v4 = endpoint(brig, "web", "shop", "IPAddress");
    let v6 = endpoint(brig, "web", "shop", "GlobalIPv6Address");
    let id = brig.inspect("web")["Id"].as_str().unwrap()[..12].to_owned();
    for name in ["web", "store", "host7", "WEB", "web.shop", id.as_str()] {
        assert_eq!(short(brig, "asker", &format!("{name} A")), v4, "{name}");
        assert_eq!(short(brig, "asker", &format!("{name} AAAA")), v6, "{name}");
    }
    assert_eq!(short(brig, "asker", &format!("-x {v4}")), "web.shop.");
    assert_eq!(short(brig, "asker", &format!("-x {v6}")), "web.shop.");
    let fours = endpoint(brig, "four", "old", "IPAddress");
    assert_eq!(short(brig, "asker", "four A"), fours);
    // Of a type that it has not: there is the name, and nothing of it.
    for kind in ["AAAA", "TXT", "MX", "HTTPS"] {
        let said = dig(brig, "asker", &format!("four {kind}"));
        says(&said, &["status: NOERROR", "ANSWER: 0"]);
    }
    let said = dig(brig, "asker", "+tcp web A");
    says(
        &said,
        &["status: NOERROR", "flags: qr aa rd ra", &v4, "(TCP)"],
    );
}

/// EDNS with who speaks it, none with who does not, and not a version of it that nobody knows.
fn edns_is_spoken(brig: &Brig) {
    let said = dig(brig, "asker", "+dnssec web A");
    says(&said, &["EDNS: version: 0, flags: do;"]);
    for name in ["web", "www.test"] {
        let said = dig(brig, "asker", &format!("+bufsize=4096 {name} A"));
        says(&said, &["EDNS: version: 0, flags:; udp: 1232"]);
        let said = dig(brig, "asker", &format!("+noedns {name} A"));
        says(&said, &["status: NOERROR", "ADDITIONAL: 0"]);
        let said = dig(brig, "asker", &format!("+edns=1 +noednsneg {name} A"));
        says(&said, &["status: BADVERS"]);
    }
}

/// A program of the C library's resolver, which looks through the search domains after the name itself.
fn looked_up(brig: &Brig, container: &str, name: &str) -> String {
    let looked = ["exec", container, "/usr/bin/getent", "ahostsv4", name];
    let all = brig.brig(&looked).ok().to_owned();
    all.split_whitespace().next().unwrap_or_default().to_owned()
}

/// An answer that no datagram holds is fetched by a stream, by the resolver as by who asks it.
fn what_is_cut_off_is_fetched(brig: &Brig, upstream: &Upstream) {
    let said = dig(brig, "asker", "+ignore +noedns big.test A");
    says(&said, &["flags: qr tc rd ra", "ANSWER: 0"]);
    let asked = |how| upstream.asked(&format!("{how} big.test A"));
    assert_eq!((asked("udp"), asked("tcp")), (1, 1));
    let said = dig(brig, "asker", "+noedns big.test A");
    says(
        &said,
        &["Truncated, retrying in TCP mode", "ANSWER: 200", "(TCP)"],
    );
    // From the cache.
    assert_eq!((asked("udp"), asked("tcp")), (1, 1));
    let said = dig(brig, "asker", "+bufsize=4096 big.test A");
    says(&said, &["ANSWER: 200", "(UDP)"]);
}

/// What is remembered holds less and less, denials too, and no longer than it was said to.
fn what_is_remembered_ages(brig: &Brig, upstream: &Upstream) {
    let first = holds(brig, "asker", "aging.test");
    assert!(first <= 600, "{first}");
    until("a remembered answer that is older", || {
        (holds(brig, "asker", "aging.test") < first).then_some(())
    });
    assert_eq!(upstream.asked("udp aging.test A "), 1);
    until(
        "an answer that held for two seconds, asked for again",
        || {
            let left = holds(brig, "asker", "short.test");
            assert!(left <= 2, "{left}");
            upstream.asked("udp short.test A ").checked_sub(2)
        },
    );
    for _ in 0..3 {
        let said = dig(brig, "asker", "nobody.test A");
        says(&said, &["status: NXDOMAIN", "SOA", "AUTHORITY: 1"]);
        let said = dig(brig, "asker", "four4.test AAAA");
        says(&said, &["status: NOERROR", "ANSWER: 0", "SOA"]);
    }
    assert_eq!(upstream.asked("udp nobody.test A "), 1);
    assert_eq!(upstream.asked("udp four4.test AAAA "), 1);
}

#[test]
fn dig_is_answered_about_containers_and_the_world() {
    if cannot_run() {
        return;
    }
    let lan = Lan::new();
    let mut brig = daemon(&lan, &format!("nameserver {FIRST}\n"));
    let upstream = Upstream::start(&lan.router, FIRST, 1, "");
    inhabit(&brig);
    own_names_are_answered(&brig);
    assert_eq!(upstream.asked("udp") + upstream.asked("tcp"), 0);
    assert_eq!(short(&brig, "asker", "www.test A"), "192.0.2.1");
    assert_eq!(short(&brig, "asker", "www.test AAAA"), "2001:db8::1");
    assert_eq!(short(&brig, "asker", "-x 192.0.2.1"), "www.test.");
    what_is_cut_off_is_fetched(&brig, &upstream);
    edns_is_spoken(&brig);
    what_is_remembered_ages(&brig, &upstream);
    // And all of it while nobody but the keeper is there.
    let before = upstream.asked("udp fresh.test A ");
    let pid = brig.inspect("asker")["State"]["Pid"].to_string();
    let v4 = endpoint(&brig, "web", "shop", "IPAddress");
    brig.kill_daemon();
    let inside = |words: &str| {
        let net = format!("--net=/proc/{pid}/ns/net");
        let mut all = vec!["nsenter", &net, DIG, "@127.0.0.11", "+short", "+time=15"];
        all.extend(words.split_whitespace());
        lan.machine.run(&all).ok().to_owned()
    };
    assert_eq!(inside("web A"), v4);
    assert_eq!(inside(&format!("-x {v4}")), "web.shop.");
    assert_eq!(inside("fresh.test A"), "192.0.2.1");
    assert_eq!(inside("+tcp +noedns big.test A").lines().count(), 200);
    assert_eq!(upstream.asked("udp fresh.test A "), before + 1);
    brig.start_daemon();
    assert_eq!(short(&brig, "asker", "web A"), v4);
    brig.finish();
}

#[test]
fn the_next_upstream_is_asked_where_one_is_of_no_use() {
    if cannot_run() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan, "nameserver 127.0.0.1\n");
    let good = Upstream::start(&lan.router, SECOND, 2, "");
    let servers = |name: &str, servers: &[&str]| {
        let mut flags = PROGRAMS.to_vec();
        flags.extend(servers.iter().flat_map(|server| ["--dns", server]));
        idle(&brig, name, &flags);
    };
    {
        let failing = Upstream::start(&lan.router, FIRST, 1, "fails");
        servers("failing", &[FIRST, SECOND]);
        assert_eq!(short(&brig, "failing", "one.test A"), "192.0.2.2");
        assert_eq!(
            (failing.asked("udp one.test"), good.asked("udp one.test")),
            (1, 1)
        );
    }
    // Nobody listens there now.
    servers("refused", &[FIRST, SECOND]);
    assert_eq!(short(&brig, "refused", "two.test A"), "192.0.2.2");
    {
        let silent = Upstream::start(&lan.router, FIRST, 3, "silent");
        servers("silent", &[FIRST, SECOND]);
        assert_eq!(short(&brig, "silent", "three.test A"), "192.0.2.2");
        assert!(good.asked("udp three.test") == 1 && silent.asked("udp") <= 1);
    }
    servers("dead", &[NOBODY, SECOND]);
    assert_eq!(short(&brig, "dead", "four.test A"), "192.0.2.2");
    // The resolver itself is not asked what it was asked, neither by the machine nor from inside.
    servers("own", &["127.0.0.11", SECOND]);
    assert_eq!(short(&brig, "own", "own.test A"), "192.0.2.2");
    servers("alone", &["127.0.0.11"]);
    says(&dig(&brig, "alone", "alone.test A"), &["status: SERVFAIL"]);
    brig.brig(&[
        "network",
        "create",
        "-d",
        "macvlan",
        "-o",
        "parent=lan0",
        "lan",
    ])
    .ok();
    let mut flags = PROGRAMS.to_vec();
    flags.extend(["--network", "lan", "--dns", "127.0.0.11"]);
    idle(&brig, "inside", &flags);
    says(
        &dig(&brig, "inside", "inside.test A"),
        &["status: SERVFAIL"],
    );
    // All of no use.
    let _failing = Upstream::start(&lan.router, FIRST, 4, "fails");
    servers("none", &[FIRST, NOBODY]);
    says(&dig(&brig, "none", "five.test A"), &["status: SERVFAIL"]);
    brig.finish();
}

#[test]
fn the_machines_resolvers_and_search_domains_are_followed() {
    if cannot_run() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan, &format!("search test\nnameserver {FIRST}\n"));
    let _first = Upstream::start(&lan.router, FIRST, 1, "");
    let _second = Upstream::start(&lan.router, SECOND, 2, "");
    idle(&brig, "asker", &PROGRAMS);
    let mut flags = PROGRAMS.to_vec();
    flags.extend(["--dns-search", "inner.test", "--dns-option", "ndots:1"]);
    idle(&brig, "other", &flags);
    assert_eq!(looked_up(&brig, "asker", "www"), "192.0.2.1");
    // Who has no address of version 4 asks all the same.
    brig.brig(&["network", "create", "--ipv4=false", "--ipv6", "six"])
        .ok();
    let mut flags = PROGRAMS.to_vec();
    flags.extend(["--network", "six"]);
    idle(&brig, "six", &flags);
    assert_eq!(short(&brig, "six", "www.test A"), "192.0.2.1");
    let said = dig(&brig, "other", "+search +noall +answer www A");
    says(&said, &["www.inner.test.", "192.0.2.1"]);
    brig.set_resolvers(&format!("search test\nnameserver {SECOND}\n"));
    until("the second resolver", || {
        (short(&brig, "asker", "www.test A") == "192.0.2.2").then_some(())
    });
    assert_eq!(looked_up(&brig, "asker", "www"), "192.0.2.2");
    // One that is of no use before one that is.
    brig.set_resolvers(&format!("nameserver {NOBODY}\nnameserver {FIRST}\n"));
    until("the first resolver", || {
        (short(&brig, "asker", "www.test A") == "192.0.2.1").then_some(())
    });
    brig.finish();
}
