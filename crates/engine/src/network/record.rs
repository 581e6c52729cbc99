//! What is kept of a network, and of a container's place in one.

use network::keeper::Reservation;
use network::{Attachment, Cidr, NetworkPlan, Published};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use types::{ContainerPort, EndpointId, EndpointRequest, NetworkId, NetworkSpec};

use crate::Error;

/// The version this engine writes.
const VERSION: u32 = 1;

/// A network, for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: NetworkId,
    /// Nanoseconds since the Unix epoch.
    pub(crate) created: i64,
    /// As it was asked for, with the subnets that were chosen.
    pub(crate) spec: NetworkSpec,
    /// How it is made; none of those that are not made: `host`, `none` and those that only lend.
    pub(crate) plan: Option<NetworkPlan>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    version: u32,
    network: T,
}

pub(crate) fn encode(record: &Record) -> Result<String, Error> {
    let envelope = Envelope {
        version: VERSION,
        network: record,
    };
    serde_json::to_string(&envelope).map_err(|source| Error::Encode {
        what: "a network's record",
        source,
    })
}

/// The reverse of [`encode`]; why not, in words.
pub(crate) fn decode(body: &str) -> Result<Record, String> {
    let read: Envelope<serde_json::Value> =
        serde_json::from_str(body).map_err(|error| error.to_string())?;
    if read.version > VERSION {
        let found = read.version;
        return Err(format!(
            "it has version {found}, written by a newer program; {VERSION} is the newest known"
        ));
    }
    serde_json::from_value(read.network).map_err(|error| error.to_string())
}

/// A container's place in a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// None where none was known by the name when it was asked for: a start looks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<NetworkId>,
    pub(crate) request: EndpointRequest,
    /// What it has while the container runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) live: Option<Live>,
}

/// What an endpoint has while its container runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Live {
    pub(crate) id: EndpointId,
    /// Each with its subnet's prefix.
    pub(crate) addresses: Vec<Cidr>,
    /// Of the network, of each version at most one.
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) attachment: Attachment,
}

/// What of a container is published while it runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// As it is shown.
    pub(crate) shown: Vec<PublishedPort>,
    /// As the keeper has reserved them.
    pub(crate) reserved: Vec<Reservation>,
    /// As the rules lead there.
    pub(crate) rules: Vec<Published>,
}

impl Ports {
    pub(crate) fn is_empty(&self) -> bool {
        self.reserved.is_empty() && self.rules.is_empty()
    }
}

/// A port that is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Inside.
    pub port: ContainerPort,
    /// The host's address; unspecified is all of its version.
    pub host_ip: IpAddr,
    /// The host's port; zero where nothing of the host's is taken, because packets are routed to the container.
    pub host_port: u16,
    /// Sources that may use it; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

impl Live {
    pub(crate) fn ipv4(&self) -> Option<Cidr> {
        self.addresses.iter().copied().find(|a| a.is_ipv4())
    }

    pub(crate) fn ipv6(&self) -> Option<Cidr> {
        self.addresses.iter().copied().find(|a| !a.is_ipv4())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::record::tests::keeps;

    /// As of containers.
    #[test]
    fn records_on_disk_are_read_for_ever() {
        let text = include_str!("../../tests/fixtures/records/networks.json");
        let records: Vec<Value> = serde_json::from_str(text).unwrap();
        for (number, record) in records.iter().enumerate() {
            let read = decode(&record.to_string());
            let read = read.unwrap_or_else(|error| panic!("record {number}: {error}"));
            let again: Value = serde_json::from_str(&encode(&read).unwrap()).unwrap();
            assert!(keeps(&again, record), "record {number}: {again:#}");
            assert!(number > 0 || again == *record, "not everything: {again:#}");
        }
    }
}
