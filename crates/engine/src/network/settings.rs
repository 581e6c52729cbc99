//! What the daemon's configuration says of networks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use network::Cidr;
use network::ipam::{Pool, default_pools, ula_pool};
use types::DnsRequest;

/// How networks are made on this machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `brig-net`, which keeps ports, names and rules while the daemon does not run.
    pub keeper: PathBuf,
    /// The device of the default network; empty where there is none: containers that name no network are in
    /// none then.
    pub bridge: String,
    /// The nftables table with all rules.
    pub table: String,
    /// Gateway and subnet of the default network, `10.88.0.1/16`; none takes a free one.
    pub subnet: Option<Cidr>,
    /// The same of IPv6; none takes a free one.
    pub subnet_v6: Option<Cidr>,
    /// The part of the default network's subnet that containers get addresses from; none is all of it.
    pub ip_range: Option<Cidr>,
    /// Options that networks have whose creator does not say them, by driver.
    pub default_options: BTreeMap<String, BTreeMap<String, String>>,
    /// Where networks that name no subnet get theirs from.
    pub pools: Vec<Pool>,
    /// Whether the default network has IPv6.
    pub ipv6: bool,
    /// Bytes of the largest packet on the default network; none leaves the kernel's.
    pub mtu: Option<u32>,
    /// Whether containers of the default network reach each other.
    pub icc: bool,
    /// Where ports are published that name no address; none is all of the host's.
    pub publish_address: Option<IpAddr>,
    /// Whether published ports obey the host's own rules for incoming packets.
    pub host_policy: bool,
    /// Whether the host is made to pass packets on, where it does not.
    pub ip_forward: bool,
    /// Whether rules are made at all.
    pub firewall: bool,
    /// Where containers look names up, as far as they do not say it themselves.
    pub dns: DnsRequest,
    /// What `host-gateway` is among a container's hosts; empty is the default network's gateways.
    pub host_gateway: Vec<IpAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
        let mut pools = default_pools();
        pools.push(ula_pool(&machine));
        Self {
            keeper: PathBuf::from("/usr/libexec/brig/brig-net"),
            bridge: "brig0".to_owned(),
            table: "brig".to_owned(),
            subnet: None,
            subnet_v6: None,
            ip_range: None,
            default_options: BTreeMap::new(),
            pools,
            ipv6: false,
            mtu: None,
            icc: true,
            publish_address: None,
            host_policy: false,
            ip_forward: true,
            firewall: true,
            dns: DnsRequest::default(),
            host_gateway: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads [`Settings::subnet`]; why not, in words.
    pub fn set_subnet(&mut self, text: &str) -> Result<(), String> {
        self.subnet = Some(cidr("subnet", text, true)?);
        Ok(())
    }

    /// Reads [`Settings::subnet_v6`]; why not, in words.
    pub fn set_subnet_v6(&mut self, text: &str) -> Result<(), String> {
        self.subnet_v6 = Some(cidr("subnet-v6", text, false)?);
        Ok(())
    }

    /// Reads [`Settings::ip_range`]; why not, in words.
    pub fn set_ip_range(&mut self, text: &str) -> Result<(), String> {
        self.ip_range = Some(cidr("ip-range", text, true)?);
        Ok(())
    }

    /// Reads [`Settings::pools`], each a range and the length of its subnets' prefixes; why not, in
    /// words.
    pub fn set_pools<'a>(
        &mut self,
        pools: impl Iterator<Item = (&'a str, u8)>,
    ) -> Result<(), String> {
        let pool = |(base, size): (&str, u8)| {
            let base: Cidr = base.parse().map_err(|error| format!("pools: {error}"))?;
            Pool::new(base, size).map_err(|error| format!("pools: {error}"))
        };
        self.pools = pools.map(pool).collect::<Result<_, String>>()?;
        Ok(())
    }

    /// Whether there is a default network.
    pub fn has_default(&self) -> bool {
        !self.bridge.is_empty()
    }

    /// What is wrong with names, or beside each other, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.has_default() {
            network::bridge::check_name(&self.bridge)
                .map_err(|error| format!("bridge: {error}"))?;
        }
        if self.subnet_v6.is_some() && !self.ipv6 {
            return Err(
                "subnet-v6: the default network has no IPv6: say ipv6 = true, too".to_owned(),
            );
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        match !self.table.is_empty() && self.table.len() <= 64 && self.table.bytes().all(plain) {
            true => Ok(()),
            false => Err(format!(
                "table: {:?}: letters, digits, '-' and '_' are expected",
                self.table
            )),
        }
    }
}

/// A subnet of one version of the protocol.
fn cidr(key: &str, text: &str, ipv4: bool) -> Result<Cidr, String> {
    let parsed: Result<Cidr, _> = text.parse();
    let cidr = parsed.map_err(|error| format!("{key}: {error}"))?;
    match cidr.is_ipv4() == ipv4 {
        true => Ok(cidr),
        false => {
            let version = if ipv4 { 4 } else { 6 };
            Err(format!(
                "{key}: {text:?}: a subnet of IPv{version} is expected"
            ))
        }
    }
}
