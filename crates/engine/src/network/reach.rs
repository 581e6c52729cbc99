//! What of the host a new network may be: its links and addresses, or nothing.

use std::net::IpAddr;

use network::Cidr;
use types::NetworkSpec;

use super::error::NetworkError;
use super::plan;

/// What a network that is asked for may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everything that the host has: its links, its bridges, any addresses.
    Host,
    /// A link of its own with addresses that nobody else has.
    Containers,
}

/// Options by which a network takes something of the host, or is taken for something of it.
const OF_HOST: [(&str, &str); 5] = [
    ("parent", "a link of the host"),
    (plan::NAME, "a device of that name"),
    (plan::HOST4, "a source address of its own choice"),
    (plan::HOST6, "a source address of its own choice"),
    (plan::TRUSTED, "links of the host"),
];

/// Refuses what is more than [`Reach::Containers`].
pub(super) fn check(spec: &NetworkSpec) -> Result<(), NetworkError> {
    let named = |(key, _): &&(&str, &str)| spec.options.get(*key).is_some_and(|v| !v.is_empty());
    if let Some((key, what)) = OF_HOST.iter().find(named) {
        return Err(NetworkError::Beyond(format!("the option {key}, {what}")));
    }
    if spec.pools.iter().all(|pool| pool.subnet.is_empty()) {
        return Ok(());
    }
    let routes = network::host_routes().map_err(NetworkError::network("look for a free subnet"))?;
    spec.pools
        .iter()
        .try_for_each(|pool| subnet(&pool.subnet, &routes))
}

/// Refuses a subnet by which packets for somebody else would come to the network.
fn subnet(text: &str, routes: &[Cidr]) -> Result<(), NetworkError> {
    // What is none is refused by who makes the network, with better words.
    let Ok(subnet) = text.parse::<Cidr>() else {
        return Ok(());
    };
    if !is_private(subnet) {
        let what = format!("the subnet {text}, whose addresses are not private");
        return Err(NetworkError::Beyond(what));
    }
    match routes.iter().find(|route| route.overlaps(subnet)) {
        Some(route) => Err(NetworkError::Beyond(format!(
            "the subnet {text}, parts of which the host has a route to ({route})"
        ))),
        None => Ok(()),
    }
}

/// Whether all its addresses are of those that are nobody's (RFC 1918, 4193, 6598).
fn is_private(subnet: Cidr) -> bool {
    const PRIVATE: [&str; 5] = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
    ];
    let within = |range: &&str| {
        let range = range.parse::<Cidr>();
        let holds = |address: IpAddr| range.as_ref().is_ok_and(|range| range.contains(address));
        holds(subnet.first()) && holds(subnet.last())
    };
    PRIVATE.iter().any(within)
}

#[cfg(test)]
mod tests {
    use types::PoolSpec;

    use super::*;

    #[test]
    fn subnets_are_private_and_nobody_elses() {
        let routes = ["10.1.0.0/16".parse().unwrap()];
        let refused = |text: &str| subnet(text, &routes).map_err(|error| error.to_string());
        for good in ["10.2.0.0/24", "172.31.0.0/16", "fd01::/64", "nonsense"] {
            assert_eq!(refused(good), Ok(()), "{good}");
        }
        for public in ["8.8.8.0/24", "2001:db8::/64", "10.0.0.0/7", "0.0.0.0/0"] {
            let error = refused(public).unwrap_err();
            assert!(error.contains("not private"), "{error}");
        }
        let error = refused("10.0.0.0/8").unwrap_err();
        assert!(error.contains("route to (10.1.0.0/16)"), "{error}");
    }

    #[test]
    fn what_is_the_hosts_is_refused_by_its_option() {
        for (key, _) in OF_HOST {
            let spec = NetworkSpec {
                options: [(key.to_owned(), "x".to_owned())].into(),
                ..NetworkSpec::default()
            };
            let error = check(&spec).unwrap_err().to_string();
            assert!(
                error.contains(key) && error.contains("privileges beyond the default"),
                "{error}"
            );
        }
        let plain = NetworkSpec {
            pools: vec![PoolSpec::default()],
            ..NetworkSpec::default()
        };
        assert!(check(&plain).is_ok());
    }
}
