//! The flags of the verbs about networks, and the values that `run` shares with them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clap::Args;
use types::{EndpointRequest, MacAddress};

use super::containers::{FORMAT_LIST, FORMAT_ONE};
use super::values::{BadValue, KeyValue, filter, go_int, key_value, label};

/// `network create`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkCreateArgs {
    /// Containers may join it by hand
    #[arg(long)]
    pub attachable: bool,
    /// Address that is never given out, NAME=address
    #[arg(long, value_name = "map", value_parser = key_value)]
    pub aux_address: Vec<KeyValue>,
    /// Network whose settings are copied
    #[arg(long, value_name = "string")]
    pub config_from: Option<String>,
    /// Only lend settings to other networks
    #[arg(long)]
    pub config_only: bool,
    /// Driver of the network: bridge, macvlan or ipvlan
    #[arg(short, long, value_name = "string", default_value = "bridge")]
    pub driver: String,
    /// The host's own address in a subnet
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    pub gateway: Vec<String>,
    /// Make it the cluster's way in
    #[arg(long)]
    pub ingress: bool,
    /// Nothing of it leads out
    #[arg(long)]
    pub internal: bool,
    /// Part of a subnet that addresses are given out of
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    pub ip_range: Vec<String>,
    /// Who gives out addresses
    #[arg(long, value_name = "string", default_value = "default")]
    pub ipam_driver: String,
    /// Option of that, NAME=value
    #[arg(long, value_name = "map", value_parser = key_value)]
    pub ipam_opt: Vec<KeyValue>,
    /// Whether it has IPv4 (default true)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "bool", value_parser = super::values::go_bool)]
    pub ipv4: Option<bool>,
    /// Whether it has IPv6
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "bool", value_parser = super::values::go_bool)]
    pub ipv6: Option<bool>,
    /// Label, KEY=value
    #[arg(long, value_name = "list", value_parser = label)]
    pub label: Vec<String>,
    /// Option of the driver, NAME=value
    #[arg(short, long, value_name = "map", value_parser = key_value)]
    pub opt: Vec<KeyValue>,
    /// How far it reaches: local
    #[arg(long, value_name = "string")]
    pub scope: Option<String>,
    /// Subnet, as in 10.1.2.0/24
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    pub subnet: Vec<String>,
    /// Its name.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `network connect`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkConnectArgs {
    /// Further name it is found by in this network
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    pub alias: Vec<String>,
    /// Option of the network's driver, NAME=value
    #[arg(long, value_name = "strings", value_delimiter = ',', value_parser = driver_opt)]
    pub driver_opt: Vec<KeyValue>,
    /// The network with the highest is the way out
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub gw_priority: Option<i64>,
    /// IPv4 address
    #[arg(long, value_name = "string", value_parser = ipv4)]
    pub ip: Option<Ipv4Addr>,
    /// IPv6 address
    #[arg(long, value_name = "string", value_parser = ipv6)]
    pub ip6: Option<Ipv6Addr>,
    /// Container known by another name, CONTAINER[:ALIAS]
    #[arg(long, value_name = "list", value_parser = link)]
    pub link: Vec<String>,
    /// Further address of the link
    #[arg(long, value_name = "strings", value_delimiter = ',', value_parser = address)]
    pub link_local_ip: Vec<IpAddr>,
    /// The network and the container.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `network disconnect`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkDisconnectArgs {
    /// Even if the container is gone
    #[arg(short, long)]
    pub force: bool,
    /// The network and the container.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `network explain`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkExplainArgs {
    /// Who sends: an address (default somebody outside, and this host itself)
    #[arg(long, value_name = "address", value_parser = address)]
    pub from: Option<IpAddr>,
    /// The port.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `network inspect`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkInspectArgs {
    /// How to print
    #[arg(short, long, value_name = "string", help = FORMAT_ONE)]
    pub format: Option<String>,
    /// More for finding faults
    #[arg(short, long)]
    pub verbose: bool,
    /// The networks.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `network ls`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkLsArgs {
    /// Only networks of which this holds, NAME=value
    #[arg(short, long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_LIST)]
    pub format: Option<String>,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `network rm`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkRmArgs {
    /// Say nothing of networks that are not there
    #[arg(short, long)]
    pub force: bool,
    /// The networks.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `network prune`.
#[derive(Debug, Clone, Default, Args)]
pub struct NetworkPruneArgs {
    /// Only networks of which this holds, NAME=value
    #[arg(long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// One `--network`: which, and what is asked of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkFlag {
    /// A name, an id or a mode.
    pub target: String,
    /// What is asked.
    pub request: EndpointRequest,
}

/// `web`, or `name=web,alias=a,ip=10.1.2.3,...`.
pub fn network(text: &str) -> Result<NetworkFlag, BadValue> {
    if !text.contains('=') {
        return Ok(NetworkFlag {
            target: text.to_owned(),
            request: EndpointRequest::default(),
        });
    }
    let mut flag = NetworkFlag::default();
    for field in super::mount::csv(text)? {
        let (key, value) = field
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| BadValue(format!("invalid field {field}")))?;
        set(&mut flag, &key.trim().to_ascii_lowercase(), value.trim())?;
    }
    if flag.target.is_empty() {
        return Err(BadValue("network name/id is not specified".to_owned()));
    }
    Ok(flag)
}

fn set(flag: &mut NetworkFlag, key: &str, value: &str) -> Result<(), BadValue> {
    let request = &mut flag.request;
    match key {
        "name" => flag.target = value.to_owned(),
        "alias" => request.aliases.push(value.to_owned()),
        "ip" => request.ipv4 = Some(ipv4(value)?),
        "ip6" => request.ipv6 = Some(ipv6(value)?),
        "mac-address" => request.mac_address = Some(mac(value)?),
        "link-local-ip" => request.link_local.push(address(value)?),
        "driver-opt" => {
            let (name, value) = driver_opt(value)?;
            request.driver_opts.insert(name, value);
        }
        "gw-priority" => {
            request.gw_priority = value
                .parse()
                .map_err(|_| BadValue(format!("invalid gw-priority: {value:?} is no number")))?;
        }
        _ => return Err(BadValue(format!("invalid field key {key}"))),
    }
    Ok(())
}

/// `NAME=value`.
pub fn driver_opt(text: &str) -> Result<KeyValue, BadValue> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(BadValue(
            "invalid key value pair format in driver options".to_owned(),
        )),
    }
}

/// An IPv4 address.
pub fn ipv4(text: &str) -> Result<Ipv4Addr, BadValue> {
    text.parse()
        .map_err(|_| BadValue(format!("{text:?} is no IPv4 address")))
}

/// An IPv6 address.
pub fn ipv6(text: &str) -> Result<Ipv6Addr, BadValue> {
    text.parse()
        .map_err(|_| BadValue(format!("{text:?} is no IPv6 address")))
}

/// An address.
pub fn address(text: &str) -> Result<IpAddr, BadValue> {
    text.trim()
        .parse()
        .map_err(|_| BadValue(format!("IP address is not correctly formatted: {text}")))
}

/// A hardware address.
pub fn mac(text: &str) -> Result<MacAddress, BadValue> {
    text.parse()
        .map_err(|_| BadValue(format!("{text} is not a valid mac address")))
}

/// `CONTAINER[:ALIAS]`.
pub fn link(text: &str) -> Result<String, BadValue> {
    let parts: Vec<&str> = text.split(':').collect();
    if text.is_empty() {
        return Err(BadValue("empty string specified for links".to_owned()));
    }
    if parts.len() > 2 || parts.iter().any(|part| part.is_empty()) {
        return Err(BadValue(format!("bad format for links: {text}")));
    }
    Ok(text.to_owned())
}

/// `NAME:address` or `NAME=address`, as `NAME:address`.
pub fn add_host(text: &str) -> Result<String, BadValue> {
    let bad = || BadValue(format!("bad format for add-host: {text:?}"));
    let (name, address) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .ok_or_else(bad)?;
    if name.is_empty() {
        return Err(bad());
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    if bare != "host-gateway" && bare.parse::<IpAddr>().is_err() {
        return Err(BadValue(format!(
            "invalid IP address in add-host: {bare:?}"
        )));
    }
    Ok(format!("{name}:{bare}"))
}

/// A search domain; `.` is none.
pub fn search_domain(text: &str) -> Result<String, BadValue> {
    let text = text.trim();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let bare = text.trim_end_matches('.');
    let sound = text == "." || bare.len() <= 255 && bare.split('.').all(label);
    if sound {
        Ok(text.to_owned())
    } else {
        Err(BadValue(format!("{text} is not a valid domain")))
    }
}

/// Options by name.
pub fn options(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_in_the_long_form() {
        let flag = network(
            "name=web,alias=a,alias=b,ip=10.1.2.3,ip6=fd00::3,mac-address=02:00:00:00:00:03,\
             link-local-ip=169.254.0.9,driver-opt=com.docker.network.endpoint.ifname=lan0,\
             gw-priority=-2",
        )
        .unwrap();
        assert_eq!(flag.target, "web");
        let request = flag.request;
        assert_eq!(request.aliases, ["a", "b"]);
        assert_eq!(request.ipv4, Some([10, 1, 2, 3].into()));
        assert_eq!(request.gw_priority, -2);
        assert_eq!(
            request.driver_opts["com.docker.network.endpoint.ifname"],
            "lan0"
        );
        let quoted = network("name=a,\"driver-opt=x=1,y=2\",ip=10.0.0.1").unwrap();
        assert_eq!(quoted.request.driver_opts["x"], "1,y=2");
        let refused = |text| network(text).unwrap_err().to_string();
        assert_eq!(refused("alias=a"), "network name/id is not specified");
        assert_eq!(refused("name=a,colour=b"), "invalid field key colour");
        assert_eq!(refused("name=a,b"), "invalid field b");
        assert_eq!(refused("name=a,ip=b"), "\"b\" is no IPv4 address");
    }

    #[test]
    fn hosts_links_and_domains() {
        assert_eq!(add_host("db:10.0.0.1").unwrap(), "db:10.0.0.1");
        assert_eq!(add_host("db=[fd00::1]").unwrap(), "db:fd00::1");
        assert_eq!(add_host("db:fd00::1").unwrap(), "db:fd00::1");
        assert_eq!(add_host("up=host-gateway").unwrap(), "up:host-gateway");
        let refused = |text| add_host(text).unwrap_err().to_string();
        assert_eq!(refused("db"), "bad format for add-host: \"db\"");
        assert_eq!(refused("db:x"), "invalid IP address in add-host: \"x\"");
        assert!(link("db").is_ok() && link("db:data").is_ok());
        assert_eq!(
            link("a:b:c").unwrap_err().to_string(),
            "bad format for links: a:b:c"
        );
        assert!(search_domain(".").is_ok() && search_domain("lan.example.").is_ok());
        assert_eq!(
            search_domain("a b").unwrap_err().to_string(),
            "a b is not a valid domain"
        );
    }
}
