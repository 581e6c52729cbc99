//! What the keeper is told: plain data, and how a change changes it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use types::ProcessRef;

use crate::address::Cidr;
use crate::ruleset::{self, Protocol, Ruleset};

/// All that a keeper keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// What holds for all.
    pub settings: Settings,
    /// The names on each network, by its id.
    pub networks: BTreeMap<String, Network>,
    /// Who asks, and what each may see, by container id.
    pub views: BTreeMap<String, View>,
    /// Reserved ports, by container id.
    pub ports: BTreeMap<String, Vec<Reservation>>,
    /// The nftables table, which is put back when somebody changes it. None: there is none.
    pub rules: Option<Ruleset>,
}

/// What holds for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The file that names the host's resolvers (resolv.conf(5)). Followed when it changes.
    pub resolv_conf: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
        }
    }
}

/// The names on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Its name: `NAME.NETWORK` is answered as `NAME` is.
    pub name: String,
    /// Nothing is asked outside for who is on internal networks only.
    pub internal: bool,
    /// Who is on it, by container id.
    pub endpoints: BTreeMap<String, Endpoint>,
}

/// Names that mean one container on one network. A name may be that of several containers: all
/// their addresses are told, in an order that goes round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// Name, aliases, short id. The first is what its addresses are called.
    pub names: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// What one container sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// The networks that it is on, the one to look in first first.
    pub networks: Vec<String>,
    /// Names that mean something to this container only: its links.
    pub links: Vec<Endpoint>,
    /// Resolvers of its own (`--dns`); none means the host's.
    pub upstreams: Vec<Upstream>,
    /// A name without a dot that nobody here has is not asked outside: the container's own `ndots`
    /// makes it ask again, with a search domain.
    pub single_labels_stay: bool,
    /// The container's process. Its namespace is where the sockets are made anew if they are lost,
    /// and when it ends the view ends.
    pub process: Option<ProcessRef>,
    /// The ports of its two sockets, for datagrams and for streams. Filled in by the keeper.
    pub ports: [u16; 2],
}

/// A resolver that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Upstream {
    /// Where it is.
    pub address: SocketAddr,
    /// It is asked from inside the container's namespace: a loopback address means the container
    /// itself, and on a macvlan the host cannot reach who the container can.
    #[serde(default)]
    pub inside: bool,
}

/// A port of the host's, the same one on each address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Of which protocol.
    pub protocol: Protocol,
    /// The lowest port to take; zero takes any that is free.
    pub first: u16,
    /// The highest to take.
    pub last: u16,
    /// The container's port: two of them never share one of the host's.
    pub inner: u16,
    /// On which addresses.
    pub listen: Vec<Listen>,
    /// Who may use it where it is passed on; empty: everybody. The host itself always may.
    #[serde(default)]
    pub allow: Vec<Cidr>,
    /// The port that was taken. Filled in by the keeper; a keeper that resumes takes it again.
    #[serde(default)]
    pub port: u16,
}

/// One address of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// The host's address; unspecified means all of its family.
    pub address: IpAddr,
    /// What comes here is passed on by the keeper to this address, for what the kernel's rules do
    /// not lead there. Otherwise the port is only kept from others.
    pub to: Option<SocketAddr>,
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Change {
    /// Settings are these.
    Settings {
        /// All of them.
        settings: Settings,
    },
    /// A network is this, names and all.
    Network {
        /// Its id.
        id: String,
        /// All of it.
        network: Network,
    },
    /// A network is no more.
    NoNetwork {
        /// Its id.
        id: String,
    },
    /// A container has these names on a network.
    Endpoint {
        /// The network's id.
        network: String,
        /// The container's id.
        id: String,
        /// All of it.
        endpoint: Endpoint,
    },
    /// A container is on a network no more.
    NoEndpoint {
        /// The network's id.
        network: String,
        /// The container's id.
        id: String,
    },
    /// A container sees this. The first time, and whenever its namespace is another, its two sockets
    /// come along: for datagrams and listening for streams, made inside its namespace.
    View {
        /// The container's id.
        id: String,
        /// All of it.
        view: View,
        /// Whether the sockets come along.
        sockets: bool,
    },
    /// A container asks no more.
    NoView {
        /// The container's id.
        id: String,
    },
    /// A container reserves a port. Said again in the same words, it is the same port.
    Reserve {
        /// The container's id.
        id: String,
        /// What it wants.
        reservation: Reservation,
    },
    /// The table is this, all of it.
    Ruleset {
        /// All of it.
        rules: Ruleset,
    },
    /// The table changes. There must be one.
    Rules {
        /// How.
        change: ruleset::Change,
    },
    /// A container does not need this one any more, as it was reserved.
    Unreserve {
        /// The container's id.
        id: String,
        /// What it wanted.
        reservation: Reservation,
    },
    /// A container needs none of its ports any more.
    Release {
        /// The container's id.
        id: String,
    },
}

impl Model {
    /// Whether there is nothing to keep: no container, no network.
    pub fn is_empty(&self) -> bool {
        let rules = self.rules.as_ref();
        let networks = rules.is_some_and(|rules| !rules.networks.is_empty());
        self.views.is_empty() && self.ports.is_empty() && self.networks.is_empty() && !networks
    }

    /// Makes a change. Of a container on a network that is not there, nothing is remembered.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Settings { settings } => self.settings = settings,
            Change::Network { id, network } => drop(self.networks.insert(id, network)),
            Change::NoNetwork { id } => drop(self.networks.remove(&id)),
            Change::Endpoint {
                network,
                id,
                endpoint,
            } => {
                if let Some(network) = self.networks.get_mut(&network) {
                    network.endpoints.insert(id, endpoint);
                }
            }
            Change::NoEndpoint { network, id } => {
                if let Some(network) = self.networks.get_mut(&network) {
                    network.endpoints.remove(&id);
                }
            }
            Change::View {
                id,
                mut view,
                sockets,
            } => {
                if let Some(known) = self.views.get(&id).filter(|_| !sockets) {
                    view.ports = known.ports;
                }
                self.views.insert(id, view);
            }
            Change::NoView { id } => drop(self.views.remove(&id)),
            Change::Reserve { id, reservation } => {
                let all = self.ports.entry(id).or_default();
                if !all.iter().any(|known| known.is_same(&reservation)) {
                    all.push(reservation);
                }
            }
            Change::Ruleset { rules } => self.rules = Some(rules),
            Change::Rules { change } => {
                if let Some(rules) = &mut self.rules {
                    rules.change(&change);
                }
            }
            Change::Unreserve { id, reservation } => {
                let all = self.ports.entry(id.clone()).or_default();
                all.retain(|known| !known.is_same(&reservation));
                if all.is_empty() {
                    self.ports.remove(&id);
                }
            }
            Change::Release { id } => drop(self.ports.remove(&id)),
        }
    }
}

impl Reservation {
    /// Whether the same is wanted, whatever was taken.
    pub fn is_same(&self, other: &Self) -> bool {
        let wanted = |r: &Self| (r.protocol, r.first, r.last, r.inner);
        wanted(self) == wanted(other) && self.listen == other.listen && self.allow == other.allow
    }
}
