//! Bridges: made with their addresses, and removed.

use sys::Errno;
use sys::netlink::{Family, Message, Socket};

use crate::address::{Cidr, Mac};
use crate::error::{Doing, Error};
use crate::link::{self, Found};
use crate::outlet::{self, Outlet};
use crate::plan::{BridgePlan, Driver, GatewayMode, NetworkPlan};

/// Longest name of an interface, in bytes.
pub const LONGEST_NAME: usize = sys::link::LONGEST_NAME;

/// Numbers of `net.ipv4.conf.*` settings (IPV4_DEVCONF_*).
mod setting {
    /// Packets from 127.0.0.0/8 may leave by it, and answers to them come back.
    pub(super) const ROUTE_LOCALNET: u16 = 26;
    pub(super) const SEND_REDIRECTS: u16 = 6;
}

/// Makes a network's bridge in the calling thread's namespace, or gives the one that is there what is missing.
/// Nothing has to be made for networks of other drivers. Its rules ([`crate::ruleset`]) must keep others from what
/// listens on the host's 127.0.0.0/8, which published ports need to be passed on from there.
pub fn make(network: &NetworkPlan) -> Result<(), Error> {
    make_with(network, true)
}

/// As [`make`], for a host on which no rules are made: what listens on 127.0.0.0/8 is for the host alone.
pub fn make_unguarded(network: &NetworkPlan) -> Result<(), Error> {
    make_with(network, false)
}

fn make_with(network: &NetworkPlan, guarded: bool) -> Result<(), Error> {
    let Driver::Bridge(bridge) = &network.driver else {
        return Ok(());
    };
    check_name(&bridge.name)?;
    let doing = || {
        format!(
            "make the bridge {} of network {}",
            bridge.name, network.name
        )
    };
    let mut socket = Socket::open(Family::Route).doing(doing)?;
    let (found, made) = match find_bridge(&mut socket, bridge)? {
        Some(found) => (found, false),
        None => (create(&mut socket, network, bridge)?, true),
    };
    if bridge.borrowed {
        return Ok(());
    }
    let done = fill(&mut socket, (network, bridge), &found, guarded);
    if done.is_err() && made {
        // What is reported is why it failed.
        let _ = socket.run(vec![link::delete(found.index)]);
    }
    done
}

/// Removes a network's bridge, unless it is somebody else's, or the parent that was made for a network of
/// another driver. One that is not there is no error.
pub fn remove(network: &NetworkPlan) -> Result<(), Error> {
    let bridge = match &network.driver {
        Driver::Bridge(bridge) if bridge.borrowed => return Ok(()),
        Driver::Bridge(bridge) => bridge,
        Driver::Macvlan(plan) => return remove_outlet(network, plan.into()),
        Driver::Ipvlan(plan) => return remove_outlet(network, plan.into()),
    };
    let doing = || {
        format!(
            "remove the bridge {} of network {}",
            bridge.name, network.name
        )
    };
    let mut socket = Socket::open(Family::Route).doing(doing)?;
    match find_bridge(&mut socket, bridge)? {
        Some(found) => missing_is_well(socket.run(vec![link::delete(found.index)])).doing(doing),
        None => Ok(()),
    }
}

fn remove_outlet(network: &NetworkPlan, outlet: Outlet<'_>) -> Result<(), Error> {
    let socket = Socket::open(Family::Route);
    let mut socket = socket.doing(|| format!("remove network {}", network.name))?;
    outlet::remove_parent(&mut socket, outlet)
}

/// Whether a name can be an interface's (dev_valid_name of the kernel).
pub fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=LONGEST_NAME).contains(&name.len()) && name != "." && name != "..";
    let clean = !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c == '\0');
    if fits && clean {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{name:?} cannot be the name of an interface: it has 1 to {LONGEST_NAME} bytes, no space, \
         slash or colon"
    )))
}

pub(crate) fn missing_is_well(answer: sys::netlink::Result<()>) -> sys::netlink::Result<()> {
    match answer {
        Err(error) if error.errno == Errno::NODEV => Ok(()),
        answer => answer,
    }
}

/// The bridge, if there is one; something else of that name is in the way.
fn find_bridge(socket: &mut Socket, bridge: &BridgePlan) -> Result<Option<Found>, Error> {
    let found = match link::find(socket, &bridge.name) {
        Err(error) if error.errno == Errno::NODEV => None,
        answer => Some(answer.doing(|| format!("look for the interface {}", bridge.name))?),
    };
    match found {
        Some(found) if found.kind.as_deref() != Some("bridge") => Err(Error::Conflict(format!(
            "the interface {} is there already, and is no bridge",
            bridge.name
        ))),
        None if bridge.borrowed => Err(Error::Invalid(format!(
            "there is no bridge {}, which was to be used as it is",
            bridge.name
        ))),
        found => Ok(found),
    }
}

fn create(socket: &mut Socket, network: &NetworkPlan, bridge: &BridgePlan) -> Result<Found, Error> {
    let doing = || {
        format!(
            "make the bridge {} of network {}",
            bridge.name, network.name
        )
    };
    let mac = Mac::local(sys::random::bytes().doing(doing)?);
    let new = link::new_bridge(&bridge.name, mac, network.mtu);
    socket.run(vec![new]).doing(doing)?;
    link::find(socket, &bridge.name).doing(doing)
}

fn fill(
    socket: &mut Socket,
    (network, bridge): (&NetworkPlan, &BridgePlan),
    found: &Found,
    guarded: bool,
) -> Result<(), Error> {
    let doing = || format!("set up the bridge {}", bridge.name);
    let speaks6 = network.subnets.iter().any(|subnet| !subnet.is_ipv4());
    link::distrust(&bridge.name, speaks6).doing(doing)?;
    let settings = [
        (setting::ROUTE_LOCALNET, u32::from(guarded)),
        (setting::SEND_REDIRECTS, 0),
    ];
    let has = link::addresses(socket).doing(doing)?;
    let wanted = addresses(network, bridge);
    let mut messages = vec![
        link::join_group(found.index),
        link::configure4(found.index, &settings),
    ];
    if !wanted.iter().any(|address| !address.is_ipv4()) {
        messages.push(link::no_version_6(found.index));
    }
    messages.push(link::up(found.index));
    let missing = wanted
        .iter()
        .filter(|address| !has.contains(&(found.index, **address)));
    messages.extend(missing.map(|address| link::add_address(found.index, *address)));
    run(socket, messages, network, bridge)
}

fn run(
    socket: &mut Socket,
    messages: Vec<Message>,
    network: &NetworkPlan,
    bridge: &BridgePlan,
) -> Result<(), Error> {
    socket.run(messages).doing(|| {
        format!(
            "set up the bridge {} of network {}",
            bridge.name, network.name
        )
    })
}

/// The addresses the bridge itself has: the gateways'.
fn addresses(network: &NetworkPlan, bridge: &BridgePlan) -> Vec<Cidr> {
    let has = |subnet: &&Cidr| {
        if subnet.is_ipv4() {
            !bridge.no_address4 && bridge.mode4 != GatewayMode::Isolated
        } else {
            bridge.mode6 != GatewayMode::Isolated
        }
    };
    let real = |subnet: &&Cidr| subnet.network() != **subnet || subnet.prefix() >= 31;
    network
        .subnets
        .iter()
        .filter(has)
        .filter(real)
        .copied()
        .collect()
}
