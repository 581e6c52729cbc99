//! A network that is asked for, made into one that can be made: options read, subnets chosen. Pure
//! but for the routes of the host that come in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::ipam::{Addresses, Pool, choose};
use network::{
    BridgePlan, Cidr, Driver, GatewayMode, IpvlanFlag, IpvlanMode, IpvlanPlan, MacvlanMode,
    MacvlanPlan, NetworkPlan,
};
use types::{NetworkId, NetworkSpec, PoolSpec};

use super::advertise::Advertising;
use super::error::NetworkError;

pub(super) const NAME: &str = "com.docker.network.bridge.name";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const MODE4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
const MODE6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
const INHIBIT: &str = "com.docker.network.bridge.inhibit_ipv4";
pub(super) const TRUSTED: &str = "com.docker.network.bridge.trusted_host_interfaces";
pub(super) const HOST4: &str = "com.docker.network.host_ipv4";
pub(super) const HOST6: &str = "com.docker.network.host_ipv6";
const MTU: &str = "com.docker.network.driver.mtu";
pub(super) const ENABLE4: &str = "com.docker.network.enable_ipv4";
pub(super) const ENABLE6: &str = "com.docker.network.enable_ipv6";
/// The shortest packets that the kernel speaks a version of the protocol with.
const LEAST4: u32 = 68;
const LEAST6: u32 = 1280;
/// Where its containers' ports are published that name no address.
pub(super) const BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
/// What its containers' interfaces are called.
pub(super) const PREFIX: &str = "com.docker.network.container_iface_prefix";

/// What is already taken, and where more is taken from.
pub(super) struct Surroundings<'a> {
    /// Subnets of other networks, by their names.
    pub(super) networks: Vec<(String, Cidr)>,
    /// Routes of the host.
    pub(super) routes: &'a [Cidr],
    /// Where subnets are taken from.
    pub(super) pools: &'a [Pool],
    /// Bridges of other networks, with the networks' names.
    pub(super) bridges: Vec<(String, String)>,
    /// Whether the host has an interface of this name, which then is somebody else's.
    pub(super) link_exists: &'a dyn Fn(&str) -> bool,
}

/// Subnets and plan; what was chosen is written into `spec`.
pub(super) fn plan(
    id: &NetworkId,
    spec: &mut NetworkSpec,
    around: &Surroundings<'_>,
) -> Result<NetworkPlan, NetworkError> {
    versions(spec)?;
    Advertising::of(&spec.options)?;
    let driver = match spec.driver.as_str() {
        "bridge" => Driver::Bridge(bridge(id, spec, around)?),
        "macvlan" => Driver::Macvlan(macvlan(id, spec, around)?),
        "ipvlan" => Driver::Ipvlan(ipvlan(id, spec, around)?),
        other => return Err(NetworkError::Driver(other.to_owned())),
    };
    let mut subnets = match has_addresses(spec)? {
        true => subnets(spec, around)?,
        false => Vec::new(),
    };
    if matches!(driver, Driver::Bridge(_)) {
        one_of_each(&subnets)?;
    }
    for (pool, range) in spec.pools.iter_mut().zip(&mut subnets) {
        if has_no_gateway(&driver, spec.internal, range.subnet()) {
            pool.gateway.clear();
            *range = range.clone().without_gateway();
        }
    }
    let mtu = number(&spec.options, MTU)?;
    let least = match subnets.iter().any(|subnet| !subnet.subnet().is_ipv4()) {
        true => LEAST6,
        false => LEAST4,
    };
    if let Some(bytes) = mtu.filter(|bytes| *bytes < least) {
        let reason = format!("{bytes}: packets of at least {least} bytes are needed");
        return Err(NetworkError::setting(MTU, reason));
    }
    Ok(NetworkPlan {
        name: spec.name.clone(),
        driver,
        subnets: subnets.iter().map(Addresses::gateway).collect(),
        mtu,
        internal: spec.internal,
    })
}

/// Whether its containers have addresses at all: on a link of the machine's somebody else may give them theirs.
fn has_addresses(spec: &NetworkSpec) -> Result<bool, NetworkError> {
    let none = spec.ipam_driver == "null";
    if none && spec.pools.iter().any(|pool| *pool != PoolSpec::default()) {
        let words = "null ipam driver does not handle specific address pool requests";
        return Err(NetworkError::setting("IPAM driver", words));
    }
    if spec.driver != "bridge" {
        let off = spec.ipv4 == Some(false) && !spec.ipv6.unwrap_or(false);
        return Ok(!(none || off && spec.pools.is_empty()));
    }
    match none {
        true => Err(NetworkError::setting(
            "IPAM driver",
            "ipv4 pool is empty: a bridge needs a subnet, which the IPAM driver null gives to none",
        )),
        false => Ok(true),
    }
}

/// A bridge has one subnet of each version.
fn one_of_each(subnets: &[Addresses]) -> Result<(), NetworkError> {
    let count = |ipv4: bool| {
        let of = subnets.iter().filter(|s| s.subnet().is_ipv4() == ipv4);
        of.count()
    };
    match count(true) > 1 || count(false) > 1 {
        true => Err(NetworkError::SeveralSubnets),
        false => Ok(()),
    }
}

/// Whether both addresses of a subnet of two are for containers: nothing on the host has one of them.
pub(super) fn has_no_gateway(driver: &Driver, internal: bool, subnet: Cidr) -> bool {
    let Driver::Bridge(bridge) = driver else {
        return false;
    };
    let (mode, inhibited, pair) = match subnet.is_ipv4() {
        true => (bridge.mode4, bridge.no_address4 && internal, 31),
        false => (bridge.mode6, false, 127),
    };
    subnet.prefix() == pair && (mode == GatewayMode::Isolated || inhibited)
}

/// Which versions of the protocol it has may be said by its options, too.
fn versions(spec: &mut NetworkSpec) -> Result<(), NetworkError> {
    let of = |key| {
        let said = spec.options.contains_key(key);
        said.then(|| flag(&spec.options, key, true)).transpose()
    };
    let (four, six) = (of(ENABLE4)?, of(ENABLE6)?);
    spec.ipv4 = spec.ipv4.or(four);
    spec.ipv6 = spec.ipv6.or(six);
    Ok(())
}

fn bridge(
    id: &NetworkId,
    spec: &NetworkSpec,
    around: &Surroundings<'_>,
) -> Result<BridgePlan, NetworkError> {
    let options = &spec.options;
    let name = match options.get(NAME) {
        Some(name) => name.clone(),
        None => format!("br-{}", id.short()),
    };
    network::bridge::check_name(&name)
        .map_err(|error| NetworkError::setting(NAME, error.to_string()))?;
    let taken = |(bridge, _): &&(String, String)| *bridge == name;
    if let Some((_, owner)) = around.bridges.iter().find(taken) {
        return Err(NetworkError::BridgeTaken {
            network: spec.name.clone(),
            bridge: name,
            owner: owner.clone(),
        });
    }
    let masquerade = flag(options, MASQUERADE, true)?;
    let snat = [HOST4, HOST6].iter().filter_map(|key| {
        let text = options.get(*key)?;
        let parsed = text.parse::<IpAddr>();
        Some(parsed.map_err(|_| NetworkError::setting(*key, format!("{text:?} is no address"))))
    });
    Ok(BridgePlan {
        borrowed: options.contains_key(NAME) && (around.link_exists)(&name),
        icc: flag(options, ICC, true)?,
        mode4: mode(options, MODE4, spec.internal)?,
        mode6: mode(options, MODE6, spec.internal)?,
        masquerade4: masquerade,
        masquerade6: masquerade,
        snat: snat.collect::<Result<_, _>>()?,
        trusted: options
            .get(TRUSTED)
            .map(|names| names.split(':').map(str::to_owned).collect())
            .unwrap_or_default(),
        no_address4: flag(options, INHIBIT, false)?,
        ..BridgePlan::new(name)
    })
}

fn macvlan(
    id: &NetworkId,
    spec: &NetworkSpec,
    around: &Surroundings<'_>,
) -> Result<MacvlanPlan, NetworkError> {
    let options = &spec.options;
    let mode = match options.get("macvlan_mode").map(String::as_str) {
        None | Some("" | "bridge") => MacvlanMode::Bridge,
        Some("private") => MacvlanMode::Private,
        Some("vepa") => MacvlanMode::Vepa,
        Some("passthru") => MacvlanMode::Passthru,
        Some(other) => {
            return Err(NetworkError::setting(
                "macvlan_mode",
                format!(
                    "requested macvlan mode '{other}' is not valid, 'bridge', 'private', 'vepa' or 'passthru' is"
                ),
            ));
        }
    };
    let (parent, parent_is_ours) = parent(spec, around)?;
    Ok(MacvlanPlan {
        parent,
        parent_is_ours,
        dummy: format!("dm-{}", id.short()),
        mode,
    })
}

fn ipvlan(
    id: &NetworkId,
    spec: &NetworkSpec,
    around: &Surroundings<'_>,
) -> Result<IpvlanPlan, NetworkError> {
    const MODE: &str = "ipvlan_mode";
    const FLAG: &str = "ipvlan_flag";
    let refused = |key, text: &str, valid: &str| {
        let words = format!("requested {key} '{text}' is not valid, {valid} is");
        NetworkError::setting(key, words)
    };
    let option = |key| spec.options.get(key).map_or("", String::as_str);
    let mode = match option(MODE) {
        "" | "l2" => IpvlanMode::L2,
        "l3" => IpvlanMode::L3,
        "l3s" => IpvlanMode::L3s,
        other => return Err(refused(MODE, other, "'l2', 'l3' or 'l3s'")),
    };
    let flag = match option(FLAG) {
        "" | "bridge" => IpvlanFlag::Bridge,
        "private" => IpvlanFlag::Private,
        "vepa" => IpvlanFlag::Vepa,
        other => return Err(refused(FLAG, other, "'bridge', 'private' or 'vepa'")),
    };
    let (parent, parent_is_ours) = parent(spec, around)?;
    Ok(IpvlanPlan {
        parent,
        parent_is_ours,
        dummy: format!("di-{}", id.short()),
        mode,
        flag,
    })
}

/// The interface that the network goes out of, if it does, and whether that is still to be made.
fn parent(
    spec: &NetworkSpec,
    around: &Surroundings<'_>,
) -> Result<(Option<String>, bool), NetworkError> {
    let parent = spec.options.get("parent");
    let Some(parent) = parent.filter(|parent| !parent.is_empty()) else {
        return Ok((None, false));
    };
    network::bridge::check_name(parent)
        .map_err(|error| NetworkError::setting("parent", error.to_string()))?;
    if parent == "lo" {
        let words = format!(
            "loopback interface is not a valid {} parent link",
            spec.driver
        );
        return Err(NetworkError::setting("parent", words));
    }
    if spec.internal {
        return Ok((None, false));
    }
    Ok((Some(parent.clone()), !(around.link_exists)(parent)))
}

fn flag(
    options: &BTreeMap<String, String>,
    key: &str,
    default: bool,
) -> Result<bool, NetworkError> {
    match options
        .get(key)
        .map(|text| text.to_ascii_lowercase())
        .as_deref()
    {
        None | Some("") => Ok(default),
        Some("1" | "t" | "true") => Ok(true),
        Some("0" | "f" | "false") => Ok(false),
        Some(other) => Err(NetworkError::setting(
            key,
            format!("{other:?}: true or false is expected"),
        )),
    }
}

fn number(options: &BTreeMap<String, String>, key: &str) -> Result<Option<u32>, NetworkError> {
    match options.get(key).map(String::as_str) {
        None | Some("" | "0") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            NetworkError::setting(key, format!("{text:?}: a number of bytes is expected"))
        }),
    }
}

fn mode(
    options: &BTreeMap<String, String>,
    key: &str,
    internal: bool,
) -> Result<GatewayMode, NetworkError> {
    match options.get(key).map(String::as_str) {
        None | Some("" | "nat") => Ok(GatewayMode::Nat),
        Some("nat-unprotected") => Ok(GatewayMode::NatUnprotected),
        Some("routed") => Ok(GatewayMode::Routed),
        Some("isolated") if internal => Ok(GatewayMode::Isolated),
        Some("isolated") => Err(NetworkError::setting(
            key,
            "gateway mode 'isolated' can only be used for an internal network",
        )),
        Some(other) => Err(NetworkError::setting(
            key,
            format!(
                "unknown gateway mode {other}: nat, nat-unprotected, routed or isolated is expected"
            ),
        )),
    }
}

/// The subnets with their gateways: those asked for, and one of each version that is wanted and has
/// none.
fn subnets(
    spec: &mut NetworkSpec,
    around: &Surroundings<'_>,
) -> Result<Vec<Addresses>, NetworkError> {
    let mut taken: Vec<Cidr> = around.networks.iter().map(|(_, cidr)| *cidr).collect();
    taken.extend(around.routes);
    let given = spec.pools.iter().filter(|pool| !pool.subnet.is_empty());
    let mut versions: Vec<bool> = Vec::new();
    for pool in given.clone() {
        versions.push(parse(&pool.subnet, "subnet")?.is_ipv4());
    }
    let wanted = [
        (true, spec.ipv4.unwrap_or(true)),
        (false, spec.ipv6.unwrap_or(false)),
    ];
    if wanted.iter().all(|(_, wanted)| !wanted) {
        return Err(NetworkError::setting(
            "network",
            "IPv4 or IPv6 must be enabled",
        ));
    }
    let mut pools: Vec<PoolSpec> = given.cloned().collect();
    for (ipv4, wanted) in wanted {
        if wanted && !versions.contains(&ipv4) {
            let subnet = choose(around.pools, ipv4, &taken)?;
            // A gateway or a range may be asked for without its subnet: then it must fit.
            pools.push(PoolSpec {
                subnet: subnet.to_string(),
                ..PoolSpec::default()
            });
        }
    }
    let mut all = Vec::new();
    for pool in &mut pools {
        let addresses = addresses(pool)?;
        clash(addresses.subnet(), around)?;
        pool.gateway = addresses.gateway().address().to_string();
        all.push(addresses);
    }
    if versions.contains(&false) {
        spec.ipv6 = Some(true);
    }
    spec.pools = pools;
    Ok(all)
}

fn clash(subnet: Cidr, around: &Surroundings<'_>) -> Result<(), NetworkError> {
    match around
        .networks
        .iter()
        .find(|(_, other)| other.overlaps(subnet))
    {
        Some((network, other)) => Err(NetworkError::Overlaps {
            subnet: subnet.to_string(),
            other: other.network().to_string(),
            network: network.clone(),
        }),
        None => Ok(()),
    }
}

/// Who has what in a range, as long as nobody has anything.
pub(super) fn addresses(pool: &PoolSpec) -> Result<Addresses, NetworkError> {
    let subnet = parse(&pool.subnet, "subnet")?;
    let gateway = match pool.gateway.as_str() {
        "" => None,
        text => Some(address(text, "gateway")?),
    };
    let range = match pool.ip_range.as_str() {
        "" => None,
        text => Some(parse(text, "ip-range")?),
    };
    let auxiliary = pool.auxiliary.iter().map(|(name, text)| {
        let parsed = address(text, "aux-address")?;
        Ok((name.clone(), parsed))
    });
    let auxiliary: Result<BTreeMap<_, _>, NetworkError> = auxiliary.collect();
    Ok(Addresses::new(subnet, gateway, range, auxiliary?)?)
}

fn parse(text: &str, what: &str) -> Result<Cidr, NetworkError> {
    text.parse()
        .map_err(|error: network::InvalidAddress| NetworkError::setting(what, error.to_string()))
}

fn address(text: &str, what: &str) -> Result<IpAddr, NetworkError> {
    text.parse()
        .map_err(|_| NetworkError::setting(what, format!("{text:?} is no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(change: impl FnOnce(&mut NetworkSpec)) -> Result<(NetworkSpec, NetworkPlan), String> {
        let mut spec = NetworkSpec {
            name: "n".into(),
            driver: "bridge".into(),
            ..NetworkSpec::default()
        };
        change(&mut spec);
        let pools = [
            Pool::new("10.8.0.0/16".parse().unwrap(), 24).unwrap(),
            Pool::new("fd00::/48".parse().unwrap(), 64).unwrap(),
        ];
        let around = Surroundings {
            networks: vec![("old".into(), "10.8.0.1/24".parse().unwrap())],
            routes: &["10.8.1.0/24".parse().unwrap()],
            pools: &pools,
            bridges: vec![("br-old".into(), "old".into())],
            link_exists: &|name| name == "theirs",
        };
        let id = NetworkId::from_random([0xab; 32]);
        let plan = plan(&id, &mut spec, &around).map_err(|error| error.to_string())?;
        Ok((spec, plan))
    }

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn free_subnets_are_chosen_and_written_down() {
        let (spec, plan) = made(|spec| spec.ipv6 = Some(true)).unwrap();
        let subnets: Vec<String> = plan.subnets.iter().map(Cidr::to_string).collect();
        assert_eq!(subnets, ["10.8.2.1/24", "fd00::1/64"]);
        assert_eq!(spec.pools[0].subnet, "10.8.2.0/24");
        assert_eq!(spec.pools[0].gateway, "10.8.2.1");
        let Driver::Bridge(bridge) = plan.driver else {
            panic!()
        };
        assert_eq!(bridge, BridgePlan::new("br-abababababab"));
    }

    #[test]
    fn options_are_dockers() {
        let (_, plan) = made(|spec| {
            spec.internal = true;
            spec.options = options(&[
                (NAME, "theirs"),
                (ICC, "false"),
                (MODE4, "isolated"),
                (MODE6, "routed"),
                (MTU, "1400"),
            ]);
        })
        .unwrap();
        assert_eq!(plan.mtu, Some(1400));
        let Driver::Bridge(bridge) = plan.driver else {
            panic!()
        };
        assert!(bridge.borrowed && !bridge.icc && bridge.masquerade4);
        assert_eq!(
            (bridge.mode4, bridge.mode6),
            (GatewayMode::Isolated, GatewayMode::Routed)
        );
    }

    #[test]
    fn of_two_addresses_none_is_a_gateways_that_nothing_has() {
        let gateway = |subnet: &str, key, value| {
            let (spec, _) = made(|spec| {
                spec.internal = true;
                spec.options = options(&[(key, value)]);
                spec.pools = vec![PoolSpec {
                    subnet: subnet.to_owned(),
                    ..PoolSpec::default()
                }];
            })
            .unwrap();
            spec.pools[0].gateway.clone()
        };
        assert_eq!(gateway("10.9.0.0/31", MODE4, "isolated"), "");
        assert_eq!(gateway("10.9.0.0/31", INHIBIT, "true"), "");
        assert_eq!(gateway("10.9.0.0/31", MODE6, "isolated"), "10.9.0.0");
        assert_eq!(gateway("10.9.0.0/30", MODE4, "isolated"), "10.9.0.1");
    }

    #[test]
    fn ipvlan_has_dockers_modes_and_flags() {
        let of = |pairs: &[(&str, &str)]| {
            made(|spec| {
                spec.driver = "ipvlan".into();
                spec.options = options(pairs);
            })
            .map(|(_, plan)| match plan.driver {
                Driver::Ipvlan(plan) => plan,
                other => panic!("{other:?}"),
            })
        };
        let plain = of(&[("parent", "theirs")]).unwrap();
        assert_eq!(
            (plain.parent.as_deref(), plain.parent_is_ours),
            (Some("theirs"), false)
        );
        assert_eq!(
            (plain.mode, plain.flag),
            (IpvlanMode::L2, IpvlanFlag::Bridge)
        );
        let other = [
            ("ipvlan_mode", "l3s"),
            ("ipvlan_flag", "vepa"),
            ("parent", "theirs.7"),
        ];
        let other = of(&other).unwrap();
        assert!(other.parent_is_ours && other.mode.routes());
        assert_eq!(other.flag, IpvlanFlag::Vepa);
        let alone = of(&[]).unwrap();
        assert_eq!(
            (alone.parent, alone.dummy.as_str()),
            (None, "di-abababababab")
        );
        let refused = of(&[("ipvlan_mode", "l4")]).unwrap_err();
        assert!(
            refused.contains("'l4' is not valid, 'l2', 'l3' or 'l3s' is"),
            "{refused}"
        );
        let refused = of(&[("parent", "lo")]).unwrap_err();
        assert!(
            refused.contains("not a valid ipvlan parent link"),
            "{refused}"
        );
    }

    #[test]
    fn refusals_name_what_is_wrong() {
        let pool = |subnet: &str, gateway: &str| PoolSpec {
            subnet: subnet.into(),
            gateway: gateway.into(),
            ..PoolSpec::default()
        };
        let refused = |change: &dyn Fn(&mut NetworkSpec)| made(|spec| change(spec)).unwrap_err();
        assert_eq!(
            refused(&|s| s.pools = vec![pool("10.8.0.0/16", "")]),
            "invalid pool request: Pool overlaps with other one on this address space: 10.8.0.0/16 \
             overlaps 10.8.0.0/24 of network old"
        );
        assert_eq!(
            refused(&|s| s.driver = "overlay".into()),
            "could not find plugin overlay in v1 plugin registry: plugin \"overlay\" not found"
        );
        assert_eq!(
            refused(&|s| s.options = options(&[(ICC, "perhaps")])),
            "invalid com.docker.network.bridge.enable_icc: \"perhaps\": true or false is expected"
        );
        assert_eq!(
            refused(&|s| s.options = options(&[(NAME, "br-old")])),
            "cannot create network n: the bridge br-old is that of network old: networks have same \
             bridge name"
        );
        assert!(
            refused(&|s| s.pools = vec![pool("10.9.0.5/24", "")])
                .contains("10.9.0.0/24 is the network")
        );
        assert!(refused(&|s| s.pools = vec![pool("10.9.0.0/24", "10.7.0.1")]).contains("10.7.0.1"));
        assert!(refused(&|s| s.ipv4 = Some(false)).contains("must be enabled"));
        assert_eq!(
            refused(&|s| s.pools = vec![pool("10.9.0.0/24", ""), pool("10.9.1.0/24", "")]),
            "bridge driver doesn't support multiple subnets"
        );
        let null = |s: &mut NetworkSpec| s.ipam_driver = "null".into();
        assert!(refused(&null).contains("ipv4 pool is empty"));
        assert!(refused(&|s| s.options = options(&[(MODE4, "isolated")])).contains("internal"));
        assert!(
            refused(&|s| s.options = options(&[(ENABLE4, "false")])).contains("must be enabled")
        );
        let short = |s: &mut NetworkSpec| s.options = options(&[(MTU, "67")]);
        assert!(refused(&short).contains("at least 68 bytes"));
        let shorter =
            |s: &mut NetworkSpec| s.options = options(&[(MTU, "1279"), (ENABLE6, "true")]);
        assert!(refused(&shorter).contains("at least 1280 bytes"));
    }

    #[test]
    fn a_link_of_the_machines_may_have_no_subnet_or_several() {
        let subnets = |driver: &str, change: &dyn Fn(&mut NetworkSpec)| {
            let made = made(|spec| {
                spec.driver = driver.to_owned();
                change(spec);
            });
            made.map(|(_, plan)| plan.subnets.len())
        };
        let pool = |subnet: &str| PoolSpec {
            subnet: subnet.to_owned(),
            ..PoolSpec::default()
        };
        let null = |s: &mut NetworkSpec| s.ipam_driver = "null".into();
        assert_eq!(subnets("macvlan", &null), Ok(0));
        assert_eq!(subnets("ipvlan", &|s| s.ipv4 = Some(false)), Ok(0));
        let two = |s: &mut NetworkSpec| s.pools = vec![pool("10.9.0.0/24"), pool("10.9.1.0/24")];
        assert_eq!(subnets("macvlan", &two), Ok(2));
        let both = |s: &mut NetworkSpec| {
            null(s);
            two(s);
        };
        let refused = subnets("macvlan", &both).unwrap_err();
        assert!(
            refused.contains("does not handle specific address pool"),
            "{refused}"
        );
    }

    #[test]
    fn options_say_which_versions_there_are_where_nothing_else_does() {
        let versions = |change: &dyn Fn(&mut NetworkSpec)| {
            let (_, plan) = made(change).unwrap();
            let mut all: Vec<bool> = plan.subnets.iter().map(|s| s.is_ipv4()).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(
            versions(&|s| s.options = options(&[(ENABLE6, "1")])),
            [false, true]
        );
        let six_alone = options(&[(ENABLE4, "false"), (ENABLE6, "true")]);
        assert_eq!(versions(&|s| s.options = six_alone.clone()), [false]);
        let told = |s: &mut NetworkSpec| {
            s.options = options(&[(ENABLE6, "true")]);
            s.ipv6 = Some(false);
        };
        assert_eq!(versions(&told), [true]);
    }
}
