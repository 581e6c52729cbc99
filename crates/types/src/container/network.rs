//! What a container asks of networks: which ones it joins and how, what it publishes, how it finds
//! names.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::MacAddress;

/// The network a container is in when it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// None was named: the default network.
    #[default]
    Default,
    /// A namespace with loopback only.
    None,
    /// The host's own network.
    Host,
    /// The namespace of another container, by id, name or prefix.
    Container(String),
    /// A network that somebody created, by name or id.
    Named(String),
}

impl NetworkMode {
    /// Reads the words of `--network`: every word is a mode, as networks may have any name.
    pub fn parse(text: &str) -> Self {
        match text {
            "" | "default" | "bridge" => Self::Default,
            "none" => Self::None,
            "host" => Self::Host,
            _ => match text.strip_prefix("container:") {
                Some(who) => Self::Container(who.to_owned()),
                None => Self::Named(text.to_owned()),
            },
        }
    }

    /// The name of the network meant; none when it is another container's.
    pub fn network(&self) -> Option<&str> {
        match self {
            Self::Default => Some("bridge"),
            Self::None => Some("none"),
            Self::Host => Some("host"),
            Self::Container(_) => None,
            Self::Named(name) => Some(name),
        }
    }

    /// Whether the container has a network namespace of its own.
    pub fn is_private(&self) -> bool {
        !matches!(self, Self::Host | Self::Container(_))
    }

    /// Whether it is in networks that can be left and joined: a bridge or another driver's.
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Default | Self::Named(_))
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::None => f.write_str("none"),
            Self::Host => f.write_str("host"),
            Self::Container(who) => write!(f, "container:{who}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// All that a container asks of networks beside its mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Networking {
    /// Networks by name and what is asked of each; the mode's own may be among them.
    pub endpoints: BTreeMap<String, EndpointRequest>,
    /// Ports of the container to be reached on the host.
    pub ports: Vec<PortRequest>,
    /// Whether every exposed port is published on a free port of the host.
    pub publish_all: bool,
    /// Where names are looked up.
    pub dns: DnsRequest,
    /// Lines for `/etc/hosts` as `name:address`; the address may be `host-gateway`.
    pub extra_hosts: Vec<String>,
    /// Containers to be known by another name, `container[:alias]`, on the default network.
    pub links: Vec<String>,
}

/// What is asked of a container's place in one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointRequest {
    /// A fixed address.
    pub ipv4: Option<Ipv4Addr>,
    /// A fixed address.
    pub ipv6: Option<Ipv6Addr>,
    /// Further addresses of the link.
    pub link_local: Vec<IpAddr>,
    /// The hardware address; none lets one be made.
    pub mac_address: Option<MacAddress>,
    /// Further names it is found by in this network.
    pub aliases: Vec<String>,
    /// Containers known to this one by another name, `container[:alias]`.
    pub links: Vec<String>,
    /// Options of the network's driver.
    pub driver_opts: BTreeMap<String, String>,
    /// The network with the highest is the way out.
    pub gw_priority: i64,
}

/// A transport protocol with ports.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP
    #[default]
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl Protocol {
    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no port of a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPort {
    /// The number or range.
    #[error("Invalid containerPort: {0}")]
    Number(String),
    /// The protocol.
    #[error("Invalid proto: {0}")]
    Protocol(String),
}

impl FromStr for Protocol {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(InvalidPort::Protocol(text.to_owned())),
        }
    }
}

/// A port inside a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerPort {
    /// Its number, never 0.
    pub number: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

impl FromStr for ContainerPort {
    type Err = InvalidPort;

    /// `80` or `80/udp`.
    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        Ok(Self {
            number: port_number(number).ok_or_else(|| InvalidPort::Number(number.to_owned()))?,
            protocol: protocol.parse()?,
        })
    }
}

impl TryFrom<String> for ContainerPort {
    type Error = InvalidPort;

    fn try_from(text: String) -> Result<Self, InvalidPort> {
        text.parse()
    }
}

impl From<ContainerPort> for String {
    fn from(port: ContainerPort) -> Self {
        port.to_string()
    }
}

impl fmt::Display for ContainerPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// A port or an inclusive range of ports, `80` or `8000-8010`; 0 is none.
pub fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = (port_number(first)?, port_number(last)?);
    (range.0 <= range.1).then_some(range)
}

fn port_number(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|number| *number != 0)
}

/// A port of a container to be reached on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    /// Inside.
    pub port: ContainerPort,
    /// The host's address; none means the network's or the daemon's default.
    #[serde(default)]
    pub host_ip: Option<IpAddr>,
    /// The host's port, or a range to take a free one of; none lets the kernel choose.
    #[serde(default)]
    pub host_ports: Option<(u16, u16)>,
    /// Sources that may use it, as prefixes; empty means all.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// Where names are looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsRequest {
    /// Servers; empty means the host's.
    pub servers: Vec<IpAddr>,
    /// Search domains; `.` means none; empty means the host's.
    pub search: Vec<String>,
    /// resolv.conf(5) options; empty means the host's.
    pub options: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_words() {
        for word in ["none", "host", "container:web", "web"] {
            assert_eq!(NetworkMode::parse(word).to_string(), word);
        }
        for word in ["", "default", "bridge"] {
            assert_eq!(NetworkMode::parse(word), NetworkMode::Default);
        }
        assert_eq!(NetworkMode::parse("web").network(), Some("web"));
        assert_eq!(NetworkMode::parse("container:web").network(), None);
        assert!(NetworkMode::parse("web").is_connected() && NetworkMode::Default.is_private());
        assert!(!NetworkMode::Host.is_private() && !NetworkMode::None.is_connected());
    }

    #[test]
    fn ports_and_ranges() {
        let port = |text: &str| text.parse::<ContainerPort>().map(|port| port.to_string());
        assert_eq!(port("80"), Ok("80/tcp".into()));
        assert_eq!(port("53/UDP"), Ok("53/udp".into()));
        assert_eq!(port("0"), Err(InvalidPort::Number("0".into())));
        assert_eq!(port("+80"), Err(InvalidPort::Number("+80".into())));
        assert_eq!(port("65536/tcp"), Err(InvalidPort::Number("65536".into())));
        assert_eq!(port("80/http"), Err(InvalidPort::Protocol("http".into())));
        assert_eq!(port_range("80"), Some((80, 80)));
        assert_eq!(port_range("80-82"), Some((80, 82)));
        for bad in ["", "-", "82-80", "0", "0-5", "1-", "1-2-3", "a"] {
            assert_eq!(port_range(bad), None, "{bad}");
        }
    }
}
