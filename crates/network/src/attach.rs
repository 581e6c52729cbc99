//! Puts an endpoint into a namespace, and takes it out.
//!
//! Nothing here waits for the kernel to forget something: a pair of interfaces is made with one message where
//! its ends belong, never moved. Both ends are asked for once at the end, which makes the kernel see that they
//! are connected; without that a command that is fast loses its first packet and waits a second.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use serde::{Deserialize, Serialize};
use sys::Errno;
use sys::netlink::{Family, Message, Socket};
use types::Bandwidth;

use crate::address::{Cidr, Mac};
use crate::bandwidth::{self, Counters};
use crate::bridge::{check_name, missing_is_well};
use crate::error::{Doing, Error};
use crate::link::{self, Child, Veth};
use crate::outlet::{self, Outlet};
use crate::plan::{BridgePlan, Driver, EndpointPlan, InterfaceName, NetworkPlan};

/// The names at which [`attach`] can be made to fail, in order.
pub const STEPS: [&str; 7] = [
    "open",
    "link",
    "port",
    "addresses",
    "sysctls",
    "bandwidth",
    "settle",
];

/// An endpoint that is in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The interface's name inside.
    pub interface: String,
    /// Its link-layer address.
    pub mac: Mac,
    /// Name and number of the other end, on the host; none with macvlan and ipvlan.
    pub host: Option<(String, u32)>,
}

/// Puts an endpoint of a network into a namespace whose loopback interface is up. The calling thread enters it
/// for a moment. After an error nothing of it is left.
pub fn attach(
    namespace: BorrowedFd<'_>,
    network: &NetworkPlan,
    endpoint: &EndpointPlan,
    fail_at: Option<&str>,
) -> Result<Attachment, Error> {
    let mut attaching = Attaching::open(namespace, network, endpoint, fail_at)?;
    let attachment = attaching.make_link()?;
    match attaching.finish(&attachment) {
        Ok(()) => Ok(attachment),
        Err(error) => {
            // What is reported is why it failed.
            let _ = attachment.detach(namespace);
            Err(error)
        }
    }
}

impl Attachment {
    /// Takes the endpoint out of its namespace; one that is not there any more is no error. The kernel takes its
    /// time (10 to 30 ms): not for the path of a request. When a namespace ends, the kernel removes its
    /// endpoints by itself.
    pub fn detach(&self, namespace: impl AsFd) -> Result<(), Error> {
        let doing = || format!("remove the interface {}", self.interface);
        let mut socket = match self.host {
            Some(_) => Socket::open(Family::Route),
            None => Socket::open_in(namespace, Family::Route),
        };
        let socket = socket
            .as_mut()
            .map_err(|error| error.clone())
            .doing(doing)?;
        let Some(index) = self.find(socket)? else {
            return Ok(());
        };
        missing_is_well(socket.run(vec![link::delete(index)])).doing(doing)
    }

    /// Removes the host's end if it is still there, when the namespace may be gone already. With macvlan
    /// and ipvlan there is none.
    pub fn clear(&self) -> Result<(), Error> {
        let Some((name, _)) = &self.host else {
            return Ok(());
        };
        let doing = || format!("remove the interface {name}");
        let mut socket = Socket::open(Family::Route).doing(doing)?;
        match self.find(&mut socket)? {
            Some(index) => missing_is_well(socket.run(vec![link::delete(index)])).doing(doing),
            None => Ok(()),
        }
    }

    /// Sets other limits, while packets pass. Of an interface that is gone nothing passes any more.
    pub fn limit(&self, namespace: impl AsFd, limits: &Bandwidth) -> Result<(), Error> {
        match bandwidth::set(self, namespace, limits) {
            Err(Error::Netlink { source, .. }) if source.errno == Errno::NODEV => Ok(()),
            answer => answer,
        }
    }

    /// What has passed, in the endpoint's view; none of an interface that is gone.
    pub fn counters(&self, namespace: impl AsFd) -> Result<Option<Counters>, Error> {
        bandwidth::read(self, namespace)
    }

    /// The number of the end that this is known by, if that is still what it was: numbers and names are used
    /// again.
    pub(crate) fn find(&self, socket: &mut Socket) -> Result<Option<u32>, Error> {
        let name = self.host.as_ref().map_or(&self.interface, |(name, _)| name);
        let found = match link::find(socket, name) {
            Err(error) if error.errno == Errno::NODEV => return Ok(None),
            found => found.doing(|| format!("look for the interface {name}"))?,
        };
        let same = match self.host {
            Some((_, index)) => found.index == index,
            None => found.mac == Some(self.mac),
        };
        Ok(same.then_some(found.index))
    }
}

/// Makes these the default routes of a namespace, in the place of those it has: for when networks come and go
/// while it runs. Each gateway has to be on the link of the interface beside it.
pub fn set_gateways(namespace: impl AsFd, gateways: &[(String, IpAddr)]) -> Result<(), Error> {
    let doing = || "set the default routes".to_owned();
    let mut socket = Socket::open_in(namespace, Family::Route).doing(doing)?;
    for old in link::default_routes(&mut socket).doing(doing)? {
        match socket.run(vec![old]) {
            Err(error) if error.errno == Errno::SRCH => {}
            answer => answer.doing(doing)?,
        }
    }
    for (interface, gateway) in gateways {
        let doing = || format!("set the default route by {gateway} on {interface}");
        let found = link::find(&mut socket, interface).doing(doing)?;
        let route = default_route(found.index, *gateway);
        socket.run(vec![route]).doing(doing)?;
    }
    Ok(())
}

fn default_route(index: u32, gateway: IpAddr) -> Message {
    let via = (!gateway.is_unspecified()).then_some(gateway);
    link::add_route(index, everything(gateway), via)
}

/// All addresses of this one's version.
fn everything(like: IpAddr) -> Cidr {
    let unspecified = match like {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0_u8; 16]),
    };
    Cidr::new(unspecified, 0).unwrap_or(Cidr::host(like))
}

struct Attaching<'a> {
    namespace: BorrowedFd<'a>,
    network: &'a NetworkPlan,
    endpoint: &'a EndpointPlan,
    fail_at: Option<&'a str>,
    host: Socket,
    inside: Socket,
}

impl<'a> Attaching<'a> {
    fn open(
        namespace: BorrowedFd<'a>,
        network: &'a NetworkPlan,
        endpoint: &'a EndpointPlan,
        fail_at: Option<&'a str>,
    ) -> Result<Self, Error> {
        fail(fail_at, "open")?;
        let doing = || format!("attach to network {}", network.name);
        Ok(Self {
            host: Socket::open(Family::Route).doing(doing)?,
            inside: Socket::open_in(namespace, Family::Route).doing(doing)?,
            namespace,
            network,
            endpoint,
            fail_at,
        })
    }

    /// The first try takes the name at its word.
    fn make_link(&mut self) -> Result<Attachment, Error> {
        fail(self.fail_at, "link")?;
        let mac = match (self.endpoint.mac, self.endpoint.addresses.first()) {
            (Some(mac), _) => mac,
            (None, Some(first)) => Mac::of(first.address()),
            (None, None) => {
                let random = sys::random::bytes().doing(|| "make up an address".to_owned())?;
                Mac::local(random)
            }
        };
        let mut name = match &self.endpoint.interface {
            InterfaceName::Exact(name) => name.clone(),
            InterfaceName::Numbered(prefix, number) => format!("{prefix}{number}"),
        };
        check_name(&name)?;
        // Another one may be attached at the same time and take a name.
        for _ in 0..8 {
            match self.make_link_named(&name, mac) {
                Err(Error::Netlink { source, .. }) if source.errno == Errno::EXIST => {
                    name = self.another_name(&name)?;
                }
                made => return made,
            }
        }
        Err(Error::Conflict(format!(
            "error renaming interface: there is an interface {name} already: file exists"
        )))
    }

    fn make_link_named(&mut self, name: &str, mac: Mac) -> Result<Attachment, Error> {
        let host = match &self.network.driver {
            Driver::Bridge(bridge) => Some(self.make_veth(bridge, name, mac)?),
            Driver::Macvlan(plan) => {
                let new = |child: &Child<'_>| link::new_macvlan(child, plan.mode, mac);
                return self.make_child(plan.into(), name, new);
            }
            Driver::Ipvlan(plan) => {
                let new = |child: &Child<'_>| link::new_ipvlan(child, plan.mode, plan.flag);
                return self.make_child(plan.into(), name, new);
            }
        };
        Ok(Attachment {
            interface: name.to_owned(),
            mac,
            host,
        })
    }

    /// An interface on one of the host's.
    fn make_child(
        &mut self,
        outlet: Outlet<'_>,
        name: &str,
        new: impl Fn(&Child<'_>) -> Message,
    ) -> Result<Attachment, Error> {
        let doing = || format!("make the interface {name} of network {}", self.network.name);
        // Before Linux 6.14 the name must be nobody's on the host either, where an eth0 is likely.
        let passing = random_name("child").doing(doing)?;
        let child = Child {
            parent: outlet::parent(&mut self.host, outlet)?,
            inside: &passing,
            mtu: self.network.mtu,
            namespace: self.namespace,
        };
        self.host.run(vec![new(&child)]).doing(doing)?;
        let made = link::find(&mut self.inside, &passing).doing(doing)?;
        let renamed = self.inside.run(vec![link::rename(made.index, name)]);
        if renamed.is_err() {
            // What is reported is why it failed.
            let _ = self.inside.run(vec![link::delete(made.index)]);
        }
        renamed.doing(doing)?;
        Ok(Attachment {
            interface: name.to_owned(),
            // It may be the parent's.
            mac: made.mac.unwrap_or(Mac([0; 6])),
            host: None,
        })
    }

    fn make_veth(
        &mut self,
        bridge: &BridgePlan,
        inside: &str,
        mac: Mac,
    ) -> Result<(String, u32), Error> {
        let doing = || format!("connect {inside} with the bridge {}", bridge.name);
        let found = link::find(&mut self.host, &bridge.name).doing(doing)?;
        let name = random_name("veth").doing(doing)?;
        let veth = Veth {
            name: &name,
            bridge: found.index,
            mtu: self.network.mtu,
            inside,
            mac,
            namespace: self.namespace,
        };
        self.host.run(vec![link::new_veth(&veth)]).doing(doing)?;
        let made = link::find(&mut self.host, &name).doing(doing)?;
        Ok((name, made.index))
    }

    /// After a name that is taken: the first number that is free.
    fn another_name(&mut self, taken: &str) -> Result<String, Error> {
        let links = link::list(&mut self.inside).doing(|| "list interfaces".to_owned())?;
        let is_taken = |name: &str| links.iter().any(|link| link.name == name);
        match &self.endpoint.interface {
            InterfaceName::Exact(name) if is_taken(name) => Err(Error::Conflict(format!(
                "error renaming interface: there is an interface {name} already: file exists"
            ))),
            InterfaceName::Numbered(prefix, number) if is_taken(taken) => {
                let mut names = (*number..).map(|number| format!("{prefix}{number}"));
                Ok(names.find(|name| !is_taken(name)).unwrap_or_default())
            }
            // It was the other end's name, which is random.
            _ => Ok(taken.to_owned()),
        }
    }

    fn finish(&mut self, attachment: &Attachment) -> Result<(), Error> {
        let doing = || format!("set up {}", attachment.interface);
        fail(self.fail_at, "port")?;
        if let (Driver::Bridge(bridge), Some((_, index))) = (&self.network.driver, &attachment.host)
        {
            let hairpin = bridges_are_filtered();
            if !bridge.icc || hairpin {
                let port = link::set_port(*index, !bridge.icc, hairpin);
                self.host.run(vec![port]).doing(doing)?;
            }
        }
        fail(self.fail_at, "addresses")?;
        let inside = link::find(&mut self.inside, &attachment.interface).doing(doing)?;
        if self.endpoint.addresses.iter().any(|a| !a.is_ipv4()) {
            self.speak_ipv6(attachment)?;
        }
        let messages = setup(inside.index, self.endpoint);
        self.inside.run(messages).doing(doing)?;
        fail(self.fail_at, "sysctls")?;
        self.set_sysctls(attachment)?;
        fail(self.fail_at, "bandwidth")?;
        if self.endpoint.bandwidth != Bandwidth::default() {
            bandwidth::set(attachment, self.namespace, &self.endpoint.bandwidth)?;
        }
        fail(self.fail_at, "settle")?;
        link::get(&mut self.inside, inside.index).doing(doing)?;
        if let Some((_, index)) = &attachment.host {
            link::get(&mut self.host, *index).doing(doing)?;
        }
        Ok(())
    }

    /// Where a container's parameters say that new interfaces are without IPv6, one that has addresses of it is not
    /// meant.
    fn speak_ipv6(&self, attachment: &Attachment) -> Result<(), Error> {
        let interface = attachment.interface.replace('.', "/");
        let name = format!("net.ipv6.conf.{interface}.disable_ipv6");
        let speak = || match sys::sysctl::get(&name) {
            Ok(disabled) if disabled == "1" => sys::sysctl::set(&name, "0"),
            _ => Ok(()),
        };
        let done = sys::ns::within(self.namespace, speak);
        done.and_then(|done| done)
            .doing(|| format!("turn {name} off"))
    }

    fn set_sysctls(&self, attachment: &Attachment) -> Result<(), Error> {
        if self.endpoint.sysctls.is_empty() {
            return Ok(());
        }
        // A dot in the name is no separator.
        let interface = attachment.interface.replace('.', "/");
        let set = || {
            for (name, value) in &self.endpoint.sysctls {
                if !name.starts_with("net.") {
                    return Err(Error::Invalid(format!(
                        "{name} is no setting of an interface: those begin with net."
                    )));
                }
                let name = name.replace("IFNAME", &interface);
                sys::sysctl::set(&name, value).doing(|| format!("set {name} to {value}"))?;
            }
            Ok(())
        };
        sys::ns::within(self.namespace, set).doing(|| "enter the network namespace".to_owned())?
    }
}

/// A name for an interface that nobody else is likely to have.
fn random_name(prefix: &str) -> sys::Result<String> {
    let number = u32::from_ne_bytes(sys::random::bytes()?);
    Ok(format!("{prefix}{:07x}", number >> 4))
}

fn fail(fail_at: Option<&str>, step: &'static str) -> Result<(), Error> {
    if fail_at == Some(step) {
        return Err(Error::Injected(step));
    }
    Ok(())
}

/// Whether packets that only cross a bridge are translated as well (br_netfilter, which other engines load). Then
/// a container that uses its own published port has its packet handed back by the port it came by.
fn bridges_are_filtered() -> bool {
    sys::sysctl::get("net.bridge.bridge-nf-call-iptables").is_ok_and(|value| value == "1")
}

/// What is to be said inside, in order.
fn setup(index: u32, endpoint: &EndpointPlan) -> Vec<Message> {
    /// `net.ipv4.conf.*.arp_notify`: who knew the address by another interface learns of this one.
    const ARP_NOTIFY: u16 = 22;
    let (v4, v6): (Vec<Cidr>, Vec<Cidr>) = endpoint
        .addresses
        .iter()
        .partition(|address| address.is_ipv4());
    let mut messages = vec![link::configure4(index, &[(ARP_NOTIFY, 1)])];
    if v6.is_empty() {
        messages.push(link::no_version_6(index));
    }
    messages.extend(
        v4.into_iter()
            .map(|address| link::add_address(index, address)),
    );
    messages.push(link::up(index));
    messages.extend(
        v6.into_iter()
            .map(|address| link::add_address(index, address)),
    );
    let routes = endpoint.routes.iter();
    messages.extend(routes.map(|route| link::add_route(index, route.to, route.via)));
    let gateways = endpoint.gateways.iter();
    messages.extend(gateways.map(|gateway| default_route(index, *gateway)));
    messages
}
