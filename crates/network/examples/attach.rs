//! What an attachment costs, part by part, in a namespace of its own: `cargo run --release -p network --example
//! attach [ROUNDS]`, as root.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use network::ruleset::{Change, Firewall, Protocol, Published, Ruleset};
use network::{BridgePlan, Driver, EndpointPlan, InterfaceName, NetworkPlan, attach, bridge};
use sys::netlink::{Family, Socket};
use sys::ns::{self, Namespaces, within};
use types::{Bandwidth, Rate};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let rounds: usize = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 300,
    };
    let machine = namespace()?;
    ns::enter(&machine, Namespaces::NETWORK)?;
    let net = plan()?;
    bridge::make(&net)?;
    let mut firewall = Firewall::open()?;
    let mut rules = Ruleset::new("brig-bench");
    rules.change(&Change::AddNetwork(net.clone()));
    let thousand: Result<_, Failure> = (1000..2000).map(published).collect();
    rules.change(&Change::Publish(thousand?));
    let started = Instant::now();
    firewall.replace(&rules)?;
    println!("the whole table with 1000 ports: {:?}", started.elapsed());
    let mut times = Times::default();
    // Kept until the end: what the kernel does when a namespace goes would be measured otherwise.
    let mut kept = Vec::new();
    for _ in 0..rounds {
        kept.push(one(&net, &mut firewall, &mut rules, &mut times)?);
    }
    times.print();
    Ok(())
}

fn one(
    net: &NetworkPlan,
    firewall: &mut Firewall,
    rules: &mut Ruleset,
    times: &mut Times,
) -> Result<OwnedFd, Failure> {
    let container = times.of("make the namespace", namespace)?;
    times.of("open a socket here", || Ok(Socket::open(Family::Route)?))?;
    times.of("open a socket inside", || {
        Ok(Socket::open_in(&container, Family::Route)?)
    })?;
    let endpoint = endpoint()?;
    let attached = times.of("attach", || {
        Ok(attach(container.as_fd(), net, &endpoint, None)?)
    })?;
    let port = vec![published(8080)?];
    let publish = Change::Publish(port.clone());
    times.of("publish a port beside 1000", || {
        firewall.change(rules, &publish)?;
        rules.change(&publish);
        Ok(())
    })?;
    let unpublish = Change::Unpublish(port);
    times.of("unpublish it", || {
        firewall.change(rules, &unpublish)?;
        rules.change(&unpublish);
        Ok(())
    })?;
    times.of("redirect names inside", || {
        Ok(network::ruleset::redirect_names(
            &container, "brig", 1053, 1053,
        )?)
    })?;
    let rate = Some(Rate {
        bytes: 10 << 20,
        burst: None,
    });
    let limits = Bandwidth {
        ingress: rate,
        egress: rate,
    };
    times.of("limit it", || Ok(attached.limit(&container, &limits)?))?;
    times.of("read its counters", || Ok(attached.counters(&container)?))?;
    Ok(container)
}

fn namespace() -> Result<OwnedFd, Failure> {
    let own = ns::open_own(Namespaces::NETWORK)?;
    ns::unshare(Namespaces::NETWORK)?;
    sys::loopback::bring_up()?;
    let made = ns::open_own(Namespaces::NETWORK)?;
    ns::enter(own, Namespaces::NETWORK)?;
    within(&made, || ())?;
    Ok(made)
}

fn plan() -> Result<NetworkPlan, Failure> {
    Ok(NetworkPlan {
        name: "bench".to_owned(),
        driver: Driver::Bridge(BridgePlan::new("br0")),
        subnets: vec!["172.30.0.1/16".parse()?],
        mtu: None,
        internal: false,
    })
}

fn endpoint() -> Result<EndpointPlan, Failure> {
    Ok(EndpointPlan {
        interface: InterfaceName::default(),
        mac: None,
        addresses: vec!["172.30.0.2/16".parse()?],
        gateways: vec!["172.30.0.1".parse()?],
        routes: Vec::new(),
        sysctls: Vec::new(),
        bandwidth: Bandwidth::default(),
    })
}

fn published(port: u16) -> Result<Published, Failure> {
    Ok(Published {
        owner: "bench".to_owned(),
        protocol: Protocol::Tcp,
        host: None,
        host_port: port,
        target: "172.30.0.2".parse()?,
        target_port: 80,
        bridge: "br0".to_owned(),
        allow: Vec::new(),
        host_policy: false,
    })
}

/// Microseconds of each part, in the order in which they came first.
#[derive(Default)]
struct Times(Vec<(&'static str, Vec<u128>)>);

impl Times {
    fn of<T>(
        &mut self,
        name: &'static str,
        part: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let done = part()?;
        let taken = started.elapsed().as_micros();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, times)) => times.push(taken),
            None => self.0.push((name, vec![taken])),
        }
        Ok(done)
    }

    fn print(mut self) {
        println!(
            "{:28} {:>8} {:>8} {:>8}",
            "microseconds", "least", "median", "p90"
        );
        for (name, times) in &mut self.0 {
            times.sort_unstable();
            let at = |share: usize| times.get(times.len() * share / 100).copied();
            let (least, median, p90) = (at(0), at(50), at(90));
            let text = |value: Option<u128>| value.unwrap_or_default().to_string();
            println!(
                "{name:28} {:>8} {:>8} {:>8}",
                text(least),
                text(median),
                text(p90)
            );
        }
    }
}
