//! A machine that was no router.

use testkit::{Host, Lan, at, root, until};

use crate::support::{daemon, heard, idle, pings, serve};

const FORWARD: &str = "net.ipv4.ip_forward";

#[test]
fn a_machine_becomes_a_router_for_its_containers_only() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    // Somebody who would be reached if the machine were a router.
    let inner = Host::new();
    let cable = ("lan1", &["192.0.2.1/24"][..]);
    lan.machine
        .connect(cable, &inner, ("eth0", &["192.0.2.2/24"]));
    inner.ip("route add default via 192.0.2.1");
    lan.router.ip("route add 192.0.2.0/24 via 198.51.100.1");
    let passed_on = || {
        let ping = ["busybox", "ping", "-c", "1", "-W", "1", "192.0.2.2"];
        lan.client.run(&ping).code == 0
    };
    let mut brig = daemon(&lan.machine, "");
    assert_eq!(lan.machine.setting(FORWARD), "0");
    idle(&brig, "web", &[]);
    assert_eq!(lan.machine.setting(FORWARD), "1");
    assert!(!passed_on());
    // The next daemon still knows, also when no container is left.
    brig.kill_daemon();
    brig.start_daemon();
    assert!(!passed_on());
    brig.brig(&["rm", "-f", "web"]).ok();
    brig.kill_daemon();
    brig.start_daemon();
    brig.brig(&["run", "--rm", "bb", "true"]).ok();
    assert!(!passed_on());
    // Another daemon finds it on, and is the last one.
    let other = daemon(&lan.machine, "");
    serve(&other, "twin", &["-p", "8080:80"]);
    // Each lets pass what is the other's.
    serve(&brig, "web", &["-p", "8090:80"]);
    for (brig, name, port) in [(&other, "twin", 8080), (&brig, "web", 8090)] {
        let said = heard(&lan.client, &format!("{}:{port}", at::MACHINE));
        assert_eq!(said, Some(format!("{name} {}", at::CLIENT)));
        pings(brig, name, at::CLIENT);
    }
    assert!(!passed_on());
    brig.finish();
    assert_eq!(lan.machine.setting(FORWARD), "1");
    assert!(!passed_on());
    other.finish();
    assert_eq!(lan.machine.setting(FORWARD), "0");
}

#[test]
fn other_engines_on_the_machine_are_let_be() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    idle(&brig, "web", &[]);
    // Their networks are their own to look after, in both directions.
    let guest = Host::new();
    let cable = ("docker0", &["192.0.2.1/24"][..]);
    lan.machine
        .connect(cable, &guest, ("eth0", &["192.0.2.2/24"]));
    guest.ip("route add default via 192.0.2.1");
    lan.router.ip("route add 192.0.2.0/24 via 198.51.100.1");
    for (host, to) in [(&guest, "203.0.113.2"), (&lan.client, "192.0.2.2")] {
        let ping = ["busybox", "ping", "-c", "1", "-W", "5", to];
        until(to, || (host.run(&ping).code == 0).then_some(()));
    }
    brig.finish();
}

#[test]
fn a_router_stays_one() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    lan.machine.set(FORWARD, "1");
    let brig = daemon(&lan.machine, "");
    idle(&brig, "web", &[]);
    brig.finish();
    assert_eq!(lan.machine.setting(FORWARD), "1");
}

#[test]
fn without_rules_the_last_daemon_is_known_too() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let one = daemon(&lan.machine, "firewall = false\n");
    let other = daemon(&lan.machine, "firewall = false\n");
    idle(&one, "first", &[]);
    idle(&other, "second", &[]);
    assert_eq!(lan.machine.setting(FORWARD), "1");
    one.finish();
    assert_eq!(lan.machine.setting(FORWARD), "1");
    other.finish();
    assert_eq!(lan.machine.setting(FORWARD), "0");
}
