//! Reserved ports: sockets that keep a port from others, and those that pass on what comes there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use network::keeper::{Listen, Reservation};
use network::ruleset::{Protocol, Ruleset};
use network::{Cidr, holder};
use sys::Errno;
use sys::event::{Interest, Poller};
use sys::inet::{self, Transport};
use types::ErrorKind;

use crate::failure::Failure;
use crate::passing::{Accepted, Passing, Users};
use crate::token::{Token, watch};

/// Ports of the kernel's choice that are tried until one is free on all addresses.
const TRIES: usize = 64;

/// How long a listener is let alone that cannot accept.
const BREATH: Duration = Duration::from_millis(100);

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    held: HashMap<u32, Port>,
    next: u32,
    pub(crate) passing: Passing,
    /// Listeners that could not accept, and until when they are let alone.
    stuck: Vec<u32>,
    listen_again: Option<Instant>,
}

#[derive(Debug)]
struct Port {
    owner: String,
    protocol: Protocol,
    address: SocketAddr,
    to: Option<SocketAddr>,
    /// Who is passed on; empty: everybody.
    allow: Vec<Cidr>,
    /// None where the kernel has no such protocol: then it is kept by this table alone.
    socket: Option<OwnedFd>,
    watched: Option<Interest>,
}

/// What was taken for one reservation, so that it can be given back.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) port: u16,
    numbers: Vec<u32>,
}

impl Ports {
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Takes a port on all addresses of a reservation, the one that it had before if it had one.
    /// `sockets` are those handed over, by the place of their address.
    pub(crate) fn reserve(
        &mut self,
        poller: &Poller,
        owner: &str,
        wanted: &Reservation,
        sockets: Vec<Option<OwnedFd>>,
    ) -> Result<Taken, Failure> {
        check(wanted)?;
        let mut sockets = sockets;
        sockets.resize_with(wanted.listen.len(), || None);
        if wanted.port != 0 {
            return self.take(poller, owner, wanted, wanted.port, sockets);
        }
        if wanted.first == 0 {
            return self.take_any(poller, owner, wanted);
        }
        let mut first = None;
        for port in wanted.first..=wanted.last {
            match self.take(poller, owner, wanted, port, Vec::new()) {
                Err(failure) if failure.kind == ErrorKind::Conflict => {
                    first.get_or_insert(failure);
                }
                answer => return answer,
            }
        }
        let why = first.map_or(String::new(), |failure| failure.message);
        Err(match wanted.first == wanted.last {
            true => Failure::conflict(why),
            false => Failure::conflict(format!(
                "no port from {} to {} is free: {why}, and so on",
                wanted.first, wanted.last
            )),
        })
    }

    /// A port of the kernel's choice on the first address, if it is free on the others too.
    fn take_any(
        &mut self,
        poller: &Poller,
        owner: &str,
        wanted: &Reservation,
    ) -> Result<Taken, Failure> {
        let mut last = None;
        for _ in 0..TRIES {
            let first = SocketAddr::new(wanted.listen[0].address, 0);
            let chosen = match inet::bound(transport(wanted.protocol), first, false) {
                // Nobody of this host has one: any will do that another protocol has free.
                Err(error) if error.errno == Errno::PROTONOSUPPORT => {
                    inet::bound(Transport::Tcp, first, false)
                }
                bound => bound,
            };
            let chosen = chosen
                .and_then(inet::local_address)
                .map_err(Failure::of(format!("find a free port of {}", first.ip())))?;
            // Nobody else is given it so soon: the kernel chooses at random.
            match self.take(poller, owner, wanted, chosen.port(), Vec::new()) {
                Err(failure) if failure.kind == ErrorKind::Conflict => last = Some(failure),
                answer => return answer,
            }
        }
        Err(last.unwrap_or_else(|| Failure::conflict("no port is free")))
    }

    /// The same port on all addresses, or none.
    fn take(
        &mut self,
        poller: &Poller,
        owner: &str,
        wanted: &Reservation,
        port: u16,
        sockets: Vec<Option<OwnedFd>>,
    ) -> Result<Taken, Failure> {
        let mut numbers = Vec::new();
        let mut sockets = sockets.into_iter();
        for listen in &wanted.listen {
            let known = sockets.next().flatten();
            match self.take_one(owner, wanted, listen, port, known) {
                Ok(number) => numbers.push(number),
                Err(failure) => {
                    self.give_back(&Taken { port, numbers });
                    return Err(failure);
                }
            }
        }
        for number in &numbers {
            self.watch(poller, *number, Some(Interest::READ));
        }
        Ok(Taken { port, numbers })
    }

    fn take_one(
        &mut self,
        owner: &str,
        wanted: &Reservation,
        listen: &Listen,
        port: u16,
        known: Option<OwnedFd>,
    ) -> Result<u32, Failure> {
        let protocol = wanted.protocol;
        let address = SocketAddr::new(listen.address, port);
        if let Some(other) = self.in_the_way(protocol, address) {
            return Err(Failure::conflict(format!(
                "port {port}/{} of {} is taken: container {} has it",
                protocol.name(),
                listen.address,
                other.owner
            )));
        }
        let socket = match known {
            Some(socket) => Some(socket),
            None => bind(protocol, address, listen.to.is_some())?,
        };
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let port = Port {
            owner: owner.to_owned(),
            protocol,
            address,
            to: listen.to,
            allow: wanted.allow.clone(),
            socket,
            watched: None,
        };
        self.held.insert(number, port);
        Ok(number)
    }

    fn in_the_way(&self, protocol: Protocol, wanted: SocketAddr) -> Option<&Port> {
        self.held.values().find(|port| {
            let (has, wants) = (port.address.ip(), wanted.ip());
            let all = has.is_unspecified() || wants.is_unspecified();
            port.protocol == protocol
                && port.address.port() == wanted.port()
                && (has == wants || all && has.is_ipv4() == wants.is_ipv4())
        })
    }

    /// Undoes [`Ports::reserve`].
    pub(crate) fn give_back(&mut self, taken: &Taken) {
        for number in &taken.numbers {
            self.remove(*number);
        }
    }

    /// Gives up all ports of a container. Connections through them go on.
    pub(crate) fn release(&mut self, owner: &str) {
        let of_owner = self.held.iter().filter(|(_, port)| port.owner == owner);
        for number in of_owner.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.remove(number);
        }
    }

    /// Gives up the one that was taken for a reservation. Connections through it go on.
    pub(crate) fn release_one(&mut self, owner: &str, wanted: &Reservation, taken: u16) {
        let is = |port: &Port| {
            let address = port.address;
            let listens = wanted.listen.iter();
            port.owner == owner
                && port.protocol == wanted.protocol
                && address.port() == taken
                && listens
                    .into_iter()
                    .any(|listen| listen.address == address.ip())
        };
        let found = self.held.iter().filter(|(_, port)| is(port));
        for number in found.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u32) {
        self.held.remove(&number);
        self.passing.forget_port(number);
    }

    /// The socket that a container has for a protocol and address.
    pub(crate) fn socket(
        &self,
        owner: &str,
        protocol: Protocol,
        address: SocketAddr,
    ) -> Option<BorrowedFd<'_>> {
        let is = |port: &&Port| {
            port.owner == owner && port.protocol == protocol && port.address == address
        };
        let port = self.held.values().find(is)?;
        port.socket.as_ref().map(AsFd::as_fd)
    }

    /// Forgets all ports and keeps what is being passed on.
    pub(crate) fn abandon(&mut self) {
        self.held.clear();
    }

    /// Tells of what comes to a port that is passed on.
    fn watch(&mut self, poller: &Poller, number: u32, wanted: Option<Interest>) {
        if let Some(port) = self.held.get_mut(&number)
            && let (Some(socket), Some(_)) = (&port.socket, port.to)
        {
            watch(
                poller,
                socket,
                Token::Port(number),
                &mut port.watched,
                wanted,
            );
        }
    }

    /// Somebody connects, or has sent a datagram; `rules` is the table that such a one would be judged by.
    pub(crate) fn on_port(
        &mut self,
        poller: &Poller,
        number: u32,
        rules: Option<&Ruleset>,
        now: Instant,
    ) {
        let Some(port) = self.held.get(&number) else {
            return;
        };
        let (Some(socket), Some(to)) = (&port.socket, port.to) else {
            return;
        };
        let users = Users {
            allow: &port.allow,
            rules,
        };
        match port.protocol {
            Protocol::Udp => {
                let to = (to, users);
                self.passing.on_datagrams(poller, number, socket, to, now);
            }
            Protocol::Tcp | Protocol::Sctp => {
                if self.passing.accept(poller, socket, to, users) == Accepted::Stuck {
                    self.watch(poller, number, None);
                    self.stuck.push(number);
                    self.listen_again = Some(now + BREATH);
                }
            }
        }
    }

    /// The target of datagrams has answered.
    pub(crate) fn on_session(&mut self, number: u32, session: u32, now: Instant) {
        if let Some(socket) = self.held.get(&number).and_then(|port| port.socket.as_ref()) {
            self.passing.on_session(number, session, socket, now);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let both = [self.listen_again, self.passing.deadline()];
        both.into_iter().flatten().min()
    }

    pub(crate) fn look(&mut self, poller: &Poller, now: Instant) {
        self.passing.look(now);
        if self.listen_again.is_some_and(|at| at <= now) {
            self.listen_again = None;
            for number in std::mem::take(&mut self.stuck) {
                self.watch(poller, number, Some(Interest::READ));
            }
        }
    }
}

fn check(wanted: &Reservation) -> Result<(), Failure> {
    let passed_on = wanted.listen.iter().any(|listen| listen.to.is_some());
    if wanted.listen.is_empty() {
        return Err(Failure::invalid("a port is reserved on no address"));
    }
    if wanted.first > wanted.last {
        return Err(Failure::invalid(format!(
            "the ports {}-{} end before they begin",
            wanted.first, wanted.last
        )));
    }
    if passed_on && wanted.protocol == Protocol::Sctp {
        return Err(Failure::new(
            ErrorKind::Unsupported,
            "a port of protocol sctp cannot be passed on from one address to another: publish it on \
             an address of the version that the container has",
        ));
    }
    Ok(())
}

fn transport(protocol: Protocol) -> Transport {
    match protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
        Protocol::Sctp => Transport::Sctp,
    }
}

/// A socket that has the port. None if the kernel has no such protocol.
fn bind(
    protocol: Protocol,
    address: SocketAddr,
    listens: bool,
) -> Result<Option<OwnedFd>, Failure> {
    let transport = transport(protocol);
    let first = inet::bound(transport, address, false);
    let bound = match first {
        // It may be connections only that have ended and linger on.
        Err(error) if error.errno == Errno::ADDRINUSE && protocol != Protocol::Udp => {
            inet::bound(transport, address, true)
        }
        answer => answer,
    };
    let bound = bound.and_then(|socket| {
        if listens && protocol == Protocol::Tcp {
            inet::listen(&socket)?;
        }
        Ok(socket)
    });
    match bound {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.errno == Errno::PROTONOSUPPORT => Ok(None),
        Err(error) => Err(refusal(protocol, address, error)),
    }
}

fn refusal(protocol: Protocol, address: SocketAddr, error: sys::Error) -> Failure {
    let (port, name, ip) = (address.port(), protocol.name(), address.ip());
    match error.errno {
        Errno::ADDRINUSE => {
            let who = holder::find(protocol, address);
            let who = who.unwrap_or_else(|| "a process that is not to be seen".to_owned());
            Failure::conflict(format!("port {port}/{name} of {ip} is taken: {who} has it"))
        }
        Errno::ADDRNOTAVAIL => Failure::invalid(format!(
            "port {port}/{name} cannot be published on {ip}: it is no address of this host"
        )),
        _ => Failure::of(format!("reserve port {port}/{name} of {ip}"))(error),
    }
}
