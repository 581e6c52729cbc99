//! Every flag of the verbs about networks, said by each client.

use serde_json::{Value, json};
use testkit::{Brig, Client, Lan, clients, root};

use crate::support::{daemon, idle, pings};

fn network(brig: &Brig, name: &str) -> Value {
    brig.brig(&["network", "inspect", name]).json()[0].take()
}

fn create(brig: &Brig, client: Client, words: &str) {
    let words: Vec<&str> = words.split_whitespace().collect();
    brig.with(client, &[&["network", "create"], &words[..]].concat())
        .ok();
}

/// What is asked for is what is shown.
fn what_create_is_told_is_kept(brig: &Brig, client: Client) {
    create(
        brig,
        client,
        "--attachable --driver bridge --internal --scope local --label tier=web --label plain \
         --ipam-driver default --ipam-opt own=1 --ipv6 --opt com.docker.network.driver.mtu=1400 \
         --subnet 10.98.0.0/16 --ip-range 10.98.7.0/24 --gateway 10.98.7.254 --aux-address router=10.98.7.1 \
         --subnet fd00:98::/64 --gateway fd00:98::7 full",
    );
    let full = network(brig, "full");
    for (key, value) in [
        ("Attachable", json!(true)),
        ("Driver", json!("bridge")),
        ("Internal", json!(true)),
        ("Scope", json!("local")),
        ("Labels", json!({"tier": "web", "plain": ""})),
        ("EnableIPv6", json!(true)),
        ("Ingress", json!(false)),
        ("ConfigOnly", json!(false)),
    ] {
        assert_eq!(full[key], value, "{client:?} {key}: {full}");
    }
    assert_eq!(full["Options"]["com.docker.network.driver.mtu"], "1400");
    assert_eq!(full["IPAM"]["Driver"], "default");
    assert_eq!(full["IPAM"]["Options"], json!({"own": "1"}));
    // Docker's clients send them in whatever order.
    let [four, six] = ["10.98.0.0/16", "fd00:98::/64"].map(|subnet| {
        let mut all = full["IPAM"]["Config"].as_array().unwrap().iter();
        let found = all.find(|config| config["Subnet"] == subnet);
        found.unwrap_or_else(|| panic!("{full}")).clone()
    });
    assert_eq!(four["IPRange"], "10.98.7.0/24");
    assert_eq!(four["Gateway"], "10.98.7.254");
    let auxiliary = &four["AuxiliaryAddresses"];
    assert_eq!(auxiliary["router"], "10.98.7.1", "{four}");
    assert_eq!(six["Gateway"], "fd00:98::7");
    // The first of the range, which in a subnet as large is an address like others.
    idle(brig, "user", &["--network", "full"]);
    let shown = brig.inspect("user")["NetworkSettings"]["Networks"]["full"].clone();
    assert_eq!(shown["IPAddress"], "10.98.7.0", "{client:?}");
    let link = brig.brig(&["exec", "user", "ip", "link", "show", "eth0"]);
    assert!(link.ok().contains("mtu 1400"), "{link}");
    brig.with(client, &["rm", "-f", "user"]).ok();
}

fn settings_are_lent(brig: &Brig, client: Client) {
    create(brig, client, "--config-only --subnet 10.97.0.0/24 lender");
    let lender = network(brig, "lender");
    assert_eq!(lender["ConfigOnly"], true, "{client:?}: {lender}");
    create(brig, client, "--config-from lender borrower");
    let borrower = network(brig, "borrower");
    assert_eq!(borrower["ConfigFrom"]["Network"], "lender");
    assert_eq!(borrower["IPAM"]["Config"][0]["Subnet"], "10.97.0.0/24");
    let refused = brig.with(
        client,
        &["run", "--rm", "--network", "lender", "bb", "true"],
    );
    assert!(
        refused.fails(125).contains("configuration network"),
        "{refused}"
    );
    let refused = brig.with(client, &["network", "rm", "lender"]);
    assert!(refused.fails(1).contains("lender"), "{refused}");
}

fn a_place_is_as_connect_is_told(brig: &Brig, client: Client) {
    create(
        brig,
        client,
        "--subnet 10.96.0.0/24 --ipv6 --subnet fd00:96::/64 street",
    );
    idle(brig, "shop", &["--network", "street"]);
    idle(brig, "guest", &[]);
    let mut connect = vec![
        "network",
        "connect",
        "--alias",
        "one",
        "--alias",
        "two",
        "--ip",
        "10.96.0.9",
        "--ip6",
        "fd00:96::9",
        "--link",
        "shop:store",
        "--link-local-ip",
        "169.254.96.9",
    ];
    // Docker's client of Debian 12 does not know it yet.
    let new = client != Client::Docker20;
    if new {
        connect.extend(["--gw-priority", "7"]);
    }
    connect.extend(["--driver-opt", "com.docker.network.endpoint.ifname=lan7"]);
    connect.extend(["street", "guest"]);
    brig.with(client, &connect).ok();
    let place = brig.inspect("guest")["NetworkSettings"]["Networks"]["street"].clone();
    assert_eq!(place["IPAddress"], "10.96.0.9", "{client:?}: {place}");
    assert_eq!(place["GlobalIPv6Address"], "fd00:96::9");
    assert_eq!(place["IPAMConfig"]["LinkLocalIPs"], json!(["169.254.96.9"]));
    assert_eq!(place["Links"], json!(["shop:store"]));
    let aliases = place["Aliases"].as_array().unwrap();
    assert!(
        ["one", "two"]
            .iter()
            .all(|alias| aliases.contains(&json!(alias)))
    );
    let addresses = brig.brig(&["exec", "guest", "ip", "address", "show", "lan7"]);
    let shown = addresses.ok();
    for own in ["10.96.0.9/24", "fd00:96::9/64", "169.254.96.9/16"] {
        assert!(shown.contains(own), "{client:?} {own}: {shown}");
    }
    let route = brig.brig(&["exec", "guest", "ip", "route"]).ok().to_owned();
    let leads = route.contains("default via 10.96.0.1 dev lan7");
    assert!(leads || !new, "{client:?}: {route}");
    pings(brig, "guest", "store");
    for alias in ["one", "two"] {
        pings(brig, "shop", alias);
    }
    brig.with(client, &["network", "disconnect", "street", "guest"])
        .ok();
    // One that is gone leaves with force only.
    let gone = ["network", "disconnect", "street", "nobody"];
    assert!(brig.with(client, &gone).fails(1).contains("nobody"));
    let force = ["network", "disconnect", "--force", "street", "nobody"];
    brig.with(client, &force).ok();
}

#[test]
fn every_flag_of_every_client_is_obeyed_or_refused() {
    if !root() {
        return;
    }
    let lan = Lan::new();
    let brig = daemon(&lan.machine, "");
    for client in clients() {
        what_create_is_told_is_kept(&brig, client);
        settings_are_lent(&brig, client);
        a_place_is_as_connect_is_told(&brig, client);
        // What a cluster would be needed for, and what is nobody's.
        for (words, reason) in [
            ("--ingress no", "cluster"),
            ("--scope swarm no", "cluster"),
            ("--driver overlay no", "overlay"),
            ("--ipam-driver other no", "other"),
            ("--config-from nobody no", "nobody"),
            ("--subnet 10.95.0.7/24 no", "10.95.0.0/24"),
        ] {
            let words: Vec<&str> = words.split_whitespace().collect();
            let refused = brig.with(client, &[&["network", "create"], &words[..]].concat());
            assert!(
                refused.fails(1).contains(reason),
                "{client:?} {words:?}: {refused}"
            );
        }
        let filters = [
            ("driver=bridge", 4),
            ("label=tier=web", 1),
            ("name=ful", 1),
            ("scope=local", 7),
            ("type=custom", 4),
            ("type=builtin", 3),
        ];
        for (filter, count) in filters {
            let listed = brig.with(client, &["network", "ls", "-q", "--filter", filter]);
            assert_eq!(listed.lines().len(), count, "{client:?} {filter}: {listed}");
        }
        brig.with(client, &["rm", "-f", "shop", "guest"]).ok();
        let pruned = brig.with(
            client,
            &["network", "prune", "-f", "--filter", "label=tier"],
        );
        assert!(pruned.ok().contains("full"), "{client:?}: {pruned}");
        brig.with(client, &["network", "rm", "borrower", "lender", "street"])
            .ok();
        let mut again = vec!["network", "rm", "street"];
        if client != Client::Docker20 {
            again.insert(2, "--force");
            brig.with(client, &again).ok();
        }
    }
    brig.finish();
}
