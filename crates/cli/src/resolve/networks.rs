//! `network create`: flags to a network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use types::{NetworkSpec, PoolSpec};

use crate::args::networks::{NetworkCreateArgs, options};
use crate::error::CliError;

/// The network that is asked for.
pub fn create(args: &NetworkCreateArgs) -> Result<NetworkSpec, CliError> {
    let name = args.names.first().cloned().unwrap_or_default();
    Ok(NetworkSpec {
        name,
        driver: args.driver.clone(),
        scope: args.scope.clone().unwrap_or_default(),
        ipv4: args.ipv4,
        ipv6: args.ipv6,
        internal: args.internal,
        attachable: args.attachable,
        ingress: args.ingress,
        config_only: args.config_only,
        config_from: args.config_from.clone().filter(|name| !name.is_empty()),
        ipam_driver: args.ipam_driver.clone(),
        ipam_options: Some(options(&args.ipam_opt)),
        pools: pools(args)?,
        options: options(&args.opt),
        labels: labels(&args.label),
    })
}

fn labels(labels: &[String]) -> BTreeMap<String, String> {
    let pair = |label: &String| {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        (key.to_owned(), value.to_owned())
    };
    labels.iter().map(pair).collect()
}

fn invalid(text: String) -> CliError {
    CliError::Invalid(text)
}

/// Which range, gateway and address belongs to which subnet is said by the addresses.
fn pools(args: &NetworkCreateArgs) -> Result<Vec<PoolSpec>, CliError> {
    let mut pools: Vec<PoolSpec> = Vec::new();
    for subnet in &args.subnet {
        let (address, length) = prefix(subnet).ok_or_else(|| {
            invalid(format!(
                "invalid subnet {subnet}: address/length is expected, as in 10.1.2.0/24"
            ))
        })?;
        let overlaps = |pool: &PoolSpec| {
            prefix(&pool.subnet).is_some_and(|(other, of)| within(address, other, of.min(length)))
        };
        if pools.iter().any(overlaps) {
            return Err(invalid(
                "multiple overlapping subnet configuration is not supported".to_owned(),
            ));
        }
        pools.push(PoolSpec {
            subnet: subnet.clone(),
            ..PoolSpec::default()
        });
    }
    for range in &args.ip_range {
        let pool = of(
            &mut pools,
            range,
            "ip-range",
            prefix(range).map(|(ip, _)| ip),
        )?;
        if !pool.ip_range.is_empty() {
            let subnet = &pool.subnet;
            return Err(invalid(format!(
                "cannot configure multiple ranges ({range}, {}) on the same subnet ({subnet})",
                pool.ip_range
            )));
        }
        pool.ip_range.clone_from(range);
    }
    for gateway in &args.gateway {
        let pool = of(&mut pools, gateway, "gateway", gateway.parse().ok())?;
        if !pool.gateway.is_empty() {
            let subnet = &pool.subnet;
            return Err(invalid(format!(
                "cannot configure multiple gateways ({gateway}, {}) for the same subnet ({subnet})",
                pool.gateway
            )));
        }
        pool.gateway.clone_from(gateway);
    }
    for (name, address) in &args.aux_address {
        let pool = of(&mut pools, address, "aux-address", address.parse().ok())?;
        pool.auxiliary.insert(name.clone(), address.clone());
    }
    Ok(pools)
}

fn of<'a>(
    pools: &'a mut [PoolSpec],
    text: &str,
    what: &str,
    address: Option<IpAddr>,
) -> Result<&'a mut PoolSpec, CliError> {
    let address =
        address.ok_or_else(|| invalid(format!("invalid {what} {text}: an address is expected")))?;
    if pools.is_empty() {
        return Err(invalid(format!(
            "every ip-range or gateway must have a corresponding subnet: {what} {text} has none"
        )));
    }
    let holds = |pool: &&mut PoolSpec| {
        prefix(&pool.subnet).is_some_and(|(base, length)| within(address, base, length))
    };
    pools
        .iter_mut()
        .find(holds)
        .ok_or_else(|| invalid(format!("no matching subnet for {what} {text}")))
}

fn prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let (address, length) = (address.parse::<IpAddr>().ok()?, length.parse::<u8>().ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (length <= most).then_some((address, length))
}

/// Whether the first `length` bits are the same.
fn within(address: IpAddr, base: IpAddr, length: u8) -> bool {
    let bits = |address| match address {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let difference = bits(address) ^ bits(base);
    address.is_ipv4() == base.is_ipv4() && difference.leading_zeros() >= u32::from(length)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::args::{Parsed, parse};
    use crate::commands::VERBS;

    fn made(line: &str) -> Result<NetworkSpec, String> {
        let words = line.split_whitespace().map(str::to_owned).collect();
        let Ok(Parsed::Run(invocation)) = parse(&VERBS, words) else {
            panic!("{line} is not understood");
        };
        let args = NetworkCreateArgs::from_arg_matches(&invocation.matches).unwrap();
        create(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_find_their_subnets() {
        let spec = made(
            "network create --subnet 10.1.0.0/16 --subnet fd00::/64 --gateway fd00::1 \
             --gateway 10.1.0.9 --ip-range 10.1.2.0/24 --aux-address router=10.1.0.2 \
             --label a=b --label c -o parent=eth0 -d macvlan --ipv6 --internal n",
        )
        .unwrap();
        let show = |pool: &PoolSpec| format!("{pool:?}");
        assert_eq!(
            spec.pools.iter().map(show).collect::<Vec<_>>(),
            [
                "PoolSpec { subnet: \"10.1.0.0/16\", ip_range: \"10.1.2.0/24\", \
                 gateway: \"10.1.0.9\", auxiliary: {\"router\": \"10.1.0.2\"} }",
                "PoolSpec { subnet: \"fd00::/64\", ip_range: \"\", gateway: \"fd00::1\", \
                 auxiliary: {} }",
            ]
        );
        assert_eq!(
            (spec.ipv4, spec.ipv6, spec.internal),
            (None, Some(true), true)
        );
        assert_eq!((spec.name.as_str(), spec.driver.as_str()), ("n", "macvlan"));
    }

    #[test]
    fn mistakes_are_named() {
        for (flags, sentence) in [
            (
                "--subnet 10.1.0.0/16,10.1.2.0/24",
                "multiple overlapping subnet configuration is not supported",
            ),
            (
                "--gateway 10.1.0.1",
                "every ip-range or gateway must have a corresponding subnet: gateway 10.1.0.1 has none",
            ),
            (
                "--subnet 10.1.0.0/16 --gateway 10.2.0.1",
                "no matching subnet for gateway 10.2.0.1",
            ),
            (
                "--subnet 10.1.0.0",
                "invalid subnet 10.1.0.0: address/length is expected, as in 10.1.2.0/24",
            ),
        ] {
            let line = format!("network create {flags} n");
            assert_eq!(made(&line).unwrap_err(), sentence, "{flags}");
        }
    }
}
