//! What networks refuse, in Docker's words where clients know them.

use types::ErrorKind;

/// Why a network verb was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are named as in the sentences")]
pub enum NetworkError {
    /// Nothing is known by this id, name or prefix.
    #[error("network {0} not found")]
    NotFound(String),
    /// The default network was there when the container was made.
    #[error(
        "network bridge not found: this daemon has no default network any more (bridge = \"none\"): \
         make the container again, in another network or in none"
    )]
    NoDefault,
    /// Two names that a container knows networks by are one network's.
    #[error("network {0} is asked for by two names")]
    Twice(String),
    /// The container whose network is asked for.
    #[error("No such container: {0}")]
    NoContainer(String),
    /// The beginning of several ids.
    #[error("network {0} is ambiguous: it is the beginning of several ids")]
    Ambiguous(String),
    /// The name is another network's.
    #[error("network with name {0} already exists")]
    Exists(String),
    /// The name is that of a network that is always there.
    #[error("operation is not permitted on predefined {0} network")]
    Predefined(String),
    /// One that is always there cannot be removed.
    #[error("{0} is a pre-defined network and cannot be removed")]
    CannotRemove(String),
    /// A name that is none.
    #[error(
        "invalid network name {0:?}: text is expected, without characters that control terminals"
    )]
    Name(String),
    /// A driver of which there is one network only.
    #[error("only one instance of \"{0}\" network is allowed")]
    OneInstance(&'static str),
    /// A driver that is not there.
    #[error("could not find plugin {0} in v1 plugin registry: plugin \"{0}\" not found")]
    Driver(String),
    /// The container that another is to be linked to.
    #[error("could not get container for {0}: No such container: {0}")]
    NoLinked(String),
    /// It is there and does not run.
    #[error("Cannot link to a non running container: /{container} AS /{own}/{alias}")]
    LinkedRests {
        container: String,
        own: String,
        alias: String,
    },
    /// It has no place where it could be reached by the link.
    #[error(
        "cannot link to container {0}: it is not in the default network, whose links these are"
    )]
    LinkedElsewhere(String),
    /// The link that is to be taken away.
    #[error("no such link: /{container}/{alias}")]
    NoLink { container: String, alias: String },
    /// What a cluster would be needed for.
    #[error("{0} needs a cluster, and this machine is none of one: leave it out")]
    Cluster(&'static str),
    /// A setting that makes no sense.
    #[error("invalid {what}: {reason}")]
    Setting { what: String, reason: String },
    /// Its addresses are another network's.
    #[error(
        "invalid pool request: Pool overlaps with other one on this address space: {subnet} \
         overlaps {other} of network {network}"
    )]
    Overlaps {
        subnet: String,
        other: String,
        network: String,
    },
    /// More than a bridge can have.
    #[error("bridge driver doesn't support multiple subnets")]
    SeveralSubnets,
    /// What a network of containers alone has no part in.
    #[error("{0}: privileges beyond the default are not allowed")]
    Beyond(String),
    /// Its device is another network's.
    #[error(
        "cannot create network {network}: the bridge {bridge} is that of network {owner}: networks \
         have same bridge name"
    )]
    BridgeTaken {
        network: String,
        bridge: String,
        owner: String,
    },
    /// A network that only lends its settings.
    #[error("configuration network \"{0}\" cannot be used by containers")]
    ConfigOnly(String),
    /// Whose settings were to be borrowed.
    #[error("{0} is not a configuration network")]
    NotConfigOnly(String),
    /// Who is in it.
    #[error("error while removing network: network {network} has active endpoints ({users})")]
    InUse { network: String, users: String },
    /// Who borrows its settings.
    #[error("configuration network \"{network}\" is in use by network {user}")]
    Lends { network: String, user: String },
    /// It is in it already.
    #[error("endpoint with name {container} already exists in network {network}")]
    AlreadyIn { container: String, network: String },
    /// It is not in it.
    #[error("container {container} is not connected to the network {network}")]
    NotIn { container: String, network: String },
    /// The host's network is not left and not joined.
    #[error("container cannot be disconnected from host network or connected to host network")]
    Host,
    /// No network is no network beside others.
    #[error(
        "container cannot be connected to multiple networks with one of the networks in private \
         (none) mode"
    )]
    None,
    /// It has another's network.
    #[error(
        "container sharing network namespace with another container or host cannot be connected \
         to any other network"
    )]
    Shared,
    /// Fixed addresses in the default network.
    #[error("user specified IP address is supported on user defined networks only")]
    StaticOnDefault,
    /// A fixed address in none of the subnets.
    #[error("invalid endpoint settings: no configured subnet contains IP address {0}")]
    NoSubnet(String),
    /// Another has it.
    #[error("Address already in use: {address} of network {network}")]
    AddressTaken { address: String, network: String },
    /// Two options that exclude each other.
    #[error("conflicting options: {0}")]
    Conflict(&'static str),
    /// Somebody has the port.
    #[error("{0}: port is already allocated")]
    PortTaken(String),
    /// No packet from outside comes to it by a bridge.
    #[error(
        "nothing of container {0} can be published: it is in no network of driver bridge that leads out"
    )]
    NoWayIn(String),
    /// The container whose network is shared does not run.
    #[error("cannot join network namespace of a non running container: container {0} is {1}")]
    NotRunning(String, &'static str),
    /// Its run is over, or was never begun.
    #[error("the container's process has ended")]
    Ended,
    /// Addresses.
    #[error(transparent)]
    Addresses(#[from] network::ipam::Error),
    /// The kernel.
    #[error("cannot {what}")]
    Network {
        what: String,
        source: network::Error,
    },
    /// Ports and names.
    #[error("cannot {what}")]
    Keeper {
        what: String,
        source: network::keeper::Error,
    },
}

impl NetworkError {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) | Self::NoDefault | Self::Driver(_) | Self::NoLink { .. } => {
                ErrorKind::NotFound
            }
            Self::Exists(_) | Self::NotRunning(..) | Self::PortTaken(_) | Self::Ended => {
                ErrorKind::Conflict
            }
            Self::Predefined(_)
            | Self::CannotRemove(_)
            | Self::OneInstance(_)
            | Self::Overlaps { .. }
            | Self::BridgeTaken { .. }
            | Self::SeveralSubnets
            | Self::Beyond(_)
            | Self::InUse { .. }
            | Self::Lends { .. }
            | Self::AlreadyIn { .. }
            | Self::AddressTaken { .. } => ErrorKind::Forbidden,
            Self::NotIn { .. } | Self::LinkedRests { .. } => ErrorKind::Internal,
            Self::Ambiguous(_)
            | Self::Twice(_)
            | Self::NoContainer(_)
            | Self::NoLinked(_)
            | Self::LinkedElsewhere(_)
            | Self::Name(_)
            | Self::Cluster(_)
            | Self::Setting { .. }
            | Self::ConfigOnly(_)
            | Self::NotConfigOnly(_)
            | Self::Host
            | Self::None
            | Self::Shared
            | Self::StaticOnDefault
            | Self::NoSubnet(_)
            | Self::NoWayIn(_)
            | Self::Conflict(_) => ErrorKind::Invalid,
            Self::Addresses(error) => error.kind(),
            Self::Network { source, .. } => source.kind(),
            Self::Keeper { source, .. } => source.kind(),
        }
    }

    pub(crate) fn setting(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Setting {
            what: what.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn network(what: impl Into<String>) -> impl FnOnce(network::Error) -> Self {
        let what = what.into();
        move |source| Self::Network { what, source }
    }

    pub(crate) fn keeper(what: impl Into<String>) -> impl FnOnce(network::keeper::Error) -> Self {
        let what = what.into();
        move |source| Self::Keeper { what, source }
    }
}
