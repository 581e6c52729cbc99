//! The table that stays.

use network::keeper::Change;
use network::ruleset::{self, Firewall, Protocol, Published, Ruleset};
use network::{BridgePlan, Driver, NetworkPlan};

use crate::host::{Host, cannot_run, until};

fn bridge() -> NetworkPlan {
    NetworkPlan {
        name: "n".to_owned(),
        driver: Driver::Bridge(BridgePlan::new("br-test")),
        subnets: vec!["10.0.0.1/24".parse().unwrap()],
        mtu: None,
        internal: false,
    }
}

fn port(host_port: u16) -> Published {
    Published {
        owner: "web".to_owned(),
        protocol: Protocol::Tcp,
        host: None,
        host_port,
        target: "10.0.0.2".parse().unwrap(),
        target_port: 80,
        bridge: "br-test".to_owned(),
        allow: Vec::new(),
        host_policy: false,
    }
}

fn change(change: ruleset::Change) -> Change {
    Change::Rules { change }
}

#[test]
fn the_table_is_put_back_whoever_takes_it_away() {
    if cannot_run() {
        return;
    }
    let host = Host::new();
    let mut rules = Ruleset::new("brig-test");
    let no_table = change(ruleset::Change::Close(true));
    let refused = host.keeper.apply(&[no_table], &[]).unwrap_err();
    assert!(
        refused.to_string().contains("before there is a table"),
        "{refused}"
    );
    host.apply(&[Change::Ruleset {
        rules: rules.clone(),
    }]);
    let changes = [
        ruleset::Change::AddNetwork(bridge()),
        ruleset::Change::Publish(vec![port(8080)]),
        ruleset::Change::Publish(vec![port(8081)]),
    ];
    host.apply(&changes.clone().map(change));
    for change in &changes {
        rules.change(change);
    }
    let mut kernel = Firewall::open().unwrap();
    assert!(kernel.matches(&rules).unwrap());
    assert_eq!(host.keeper.model().unwrap().rules, Some(rules.clone()));
    kernel.remove("brig-test").unwrap();
    until("the table", || kernel.matches(&rules).unwrap_or(false));
    let status = || host.keeper.status().unwrap();
    assert_eq!(status().restored, 1);
    // Others' tables are nobody's affair, and ours may be changed by us.
    kernel.replace(&Ruleset::new("another")).unwrap();
    host.apply(&[change(ruleset::Change::Unpublish(vec![port(8081)]))]);
    rules.change(&ruleset::Change::Unpublish(vec![port(8081)]));
    assert!(kernel.matches(&rules).unwrap());
    // Part of it only.
    let mut less = rules.clone();
    less.published.clear();
    kernel.replace(&less).unwrap();
    until("the port", || kernel.matches(&rules).unwrap_or(false));
    assert_eq!(status().restored, 2);
    // While none runs, and by a change that finds no table.
    host.kill_keeper();
    kernel.remove("brig-test").unwrap();
    host.keeper.ensure().unwrap();
    assert!(kernel.matches(&rules).unwrap());
    host.apply(&[change(ruleset::Change::RemoveNetwork("br-test".to_owned()))]);
    for id in ["front", "inner"] {
        host.apply(&[Change::NoNetwork { id: id.to_owned() }]);
    }
    assert!(host.keeper.end().unwrap());
    let gone = kernel.matches(&Ruleset::new("brig-test"));
    assert!(!gone.unwrap_or(false));
}
