//! Networks and ports by the thousand: a change costs what it changes, and the table stays what the model says.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::IpAddr;

use network::ruleset::{Change, Firewall, Published};
use network::{BridgePlan, Cidr, Driver, GatewayMode, NetworkPlan, Ruleset};
use support::{cannot_run, cidr, published};

fn subnet(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [10, high, low, 1]
}

/// Every third is internal, and every seventh routed.
fn plan(number: u16) -> NetworkPlan {
    let mut bridge = BridgePlan::new(format!("br{number}"));
    if number.is_multiple_of(7) {
        bridge.mode4 = GatewayMode::Routed;
    }
    NetworkPlan {
        name: format!("net{number}"),
        driver: Driver::Bridge(bridge),
        subnets: vec![Cidr::new(subnet(number).into(), 24).unwrap()],
        mtu: None,
        internal: number.is_multiple_of(3),
    }
}

/// A port into the network of this number, of every fifth for some sources only.
fn port(number: u16) -> Published {
    let [a, b, c, _] = subnet(number);
    let target = IpAddr::from([a, b, c, 2]).to_string();
    let mut port = published(20_000 + number, &target, 80, &format!("br{number}"));
    if number.is_multiple_of(5) {
        port.allow = vec![cidr("192.0.2.0/24")];
    }
    port
}

/// The model and the kernel's table.
struct Kept {
    firewall: Firewall,
    rules: Ruleset,
}

impl Kept {
    fn change(&mut self, change: Change) {
        // As many messages to the kernel as for the first one.
        let messages = self.rules.batch(&change).len();
        assert!(messages < 80, "{change:?}");
        self.firewall.change(&self.rules, &change).unwrap();
        self.rules.change(&change);
    }

    fn matches(&mut self) -> bool {
        self.firewall.matches(&self.rules).unwrap()
    }
}

#[test]
fn a_thousand_networks_come_change_and_go_one_by_one() {
    if cannot_run() {
        return;
    }
    let machine = support::namespace();
    sys::ns::within(&machine, come_change_and_go).unwrap();
}

fn come_change_and_go() {
    let mut kept = Kept {
        firewall: Firewall::open().unwrap(),
        rules: Ruleset::new("brig-test"),
    };
    kept.firewall.replace(&kept.rules).unwrap();
    for number in 0..1000 {
        kept.change(Change::AddNetwork(plan(number)));
    }
    for number in 0..500 {
        kept.change(Change::Publish(vec![port(number)]));
    }
    kept.change(Change::Close(true));
    assert!(kept.matches());
    // Networks that become another kind take their ports along to other sets.
    for number in 0..20 {
        let mut other = plan(number + 1);
        other.subnets = plan(number).subnets;
        if let Driver::Bridge(bridge) = &mut other.driver {
            bridge.name = format!("br{number}");
        }
        kept.change(Change::AddNetwork(other));
    }
    assert!(kept.matches());
    for number in 10..300 {
        kept.change(Change::RemoveNetwork(format!("br{number}")));
    }
    for number in 300..500 {
        kept.change(Change::Unpublish(vec![port(number)]));
    }
    kept.change(Change::Close(false));
    let left = (kept.rules.networks.len(), kept.rules.published.len());
    assert_eq!(left, (710, 10));
    assert!(kept.matches());
    kept.firewall.replace(&kept.rules).unwrap();
    assert!(kept.matches());
}
