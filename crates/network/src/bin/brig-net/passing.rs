//! Connections and datagrams that are passed on through ports.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use network::Cidr;
use network::proxy::{self, Connection, Pipes, Sessions, Side};
use network::ruleset::Ruleset;
use sys::event::{Event, Interest, Poller};
use sys::inet::{self, Transport};

use crate::token::{Token, watch};

/// Connections accepted in one go.
const TURN: usize = 64;

/// Connections at one time. More wait in the listener's queue.
const MOST: usize = 20_000;

/// How often it is looked for clients that have been silent for long.
const SWEEP: Duration = Duration::from_secs(15);

/// All that is passed on.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    connections: HashMap<u32, Passed>,
    sessions: HashMap<u32, Sessions>,
    pipes: Pipes,
    next: u32,
    next_sweep: Option<Instant>,
    room: Vec<u8>,
}

#[derive(Debug)]
struct Passed {
    connection: Connection,
    watched: [Option<Interest>; 2],
}

/// What came of accepting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// All who waited.
    All,
    /// No more can be: for want of descriptors or of room.
    Stuck,
}

impl Passing {
    /// Takes who waits at a listener, to pass them on.
    pub(crate) fn accept(
        &mut self,
        poller: &Poller,
        listener: impl AsFd,
        target: SocketAddr,
        users: Users<'_>,
    ) -> Accepted {
        for _ in 0..TURN {
            if self.connections.len() >= MOST {
                return Accepted::Stuck;
            }
            match inet::accept(&listener) {
                Ok(Some(client))
                    if !inet::peer_address(&client).is_ok_and(|from| users.may(from)) =>
                {
                    // As if nobody listened.
                    let _ = inet::reset_on_close(&client);
                }
                Ok(Some(client)) => self.begin(poller, client, target),
                Ok(None) => return Accepted::All,
                Err(_) => return Accepted::Stuck,
            }
        }
        Accepted::All
    }

    fn begin(&mut self, poller: &Poller, client: OwnedFd, target: SocketAddr) {
        let Ok(to) = inet::connecting(Transport::Tcp, target) else {
            // As if the target had refused it.
            let _ = inet::reset_on_close(&client);
            return;
        };
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let passed = Passed {
            connection: Connection::new(client, to),
            watched: [None; 2],
        };
        self.connections.insert(number, passed);
        self.settle(poller, number);
    }

    /// A side of a connection has something, or room.
    pub(crate) fn on_side(&mut self, poller: &Poller, number: u32, side: Side, event: Event) {
        if let Some(passed) = self.connections.get_mut(&number) {
            passed.connection.go_on(side, event, &mut self.pipes);
            self.settle(poller, number);
        }
    }

    /// Waits for what a connection waits for, or forgets it.
    fn settle(&mut self, poller: &Poller, number: u32) {
        let Some(passed) = self.connections.get_mut(&number) else {
            return;
        };
        if passed.connection.is_over() {
            self.connections.remove(&number);
            return;
        }
        for (index, side) in [Side::Client, Side::Target].into_iter().enumerate() {
            let wanted = passed.connection.wants(side);
            let (fd, before) = (passed.connection.socket(side), &mut passed.watched[index]);
            watch(poller, fd, Token::Passed(number, side), before, wanted);
        }
    }

    /// Passes on what has come to a port as datagrams.
    pub(crate) fn on_datagrams(
        &mut self,
        poller: &Poller,
        number: u32,
        port: impl AsFd,
        (target, users): (SocketAddr, Users<'_>),
        now: Instant,
    ) {
        self.room.resize(usize::from(u16::MAX), 0);
        let sessions = self.sessions.entry(number);
        let sessions = sessions.or_insert_with(|| Sessions::new(target));
        // What is wrong with one datagram is no reason to leave the others.
        let may = |client| users.may(client);
        let _ = sessions.from_clients(port, now, &mut self.room, may, |session, fd| {
            let token = Token::Session {
                port: number,
                session,
            };
            // Without it answers stay where they are until the client asks again.
            let _ = poller.add(fd, token.into(), Interest::READ);
        });
        self.next_sweep.get_or_insert(now + SWEEP);
    }

    /// Passes on what a target has sent to one client.
    pub(crate) fn on_session(&mut self, number: u32, session: u32, port: impl AsFd, now: Instant) {
        self.room.resize(usize::from(u16::MAX), 0);
        if let Some(sessions) = self.sessions.get_mut(&number) {
            sessions.from_target(session, port, now, &mut self.room);
        }
    }

    /// A port is passed on no more. Connections through it go on.
    pub(crate) fn forget_port(&mut self, number: u32) {
        self.sessions.remove(&number);
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next_sweep
    }

    /// Forgets clients that have been silent for long.
    pub(crate) fn look(&mut self, now: Instant) {
        if self.next_sweep.is_none_or(|at| at > now) {
            return;
        }
        for sessions in self.sessions.values_mut() {
            sessions.look(now);
        }
        self.sessions.retain(|_, sessions| !sessions.is_empty());
        self.next_sweep = (!self.sessions.is_empty()).then(|| now + SWEEP);
        if self.sessions.is_empty() {
            self.room = Vec::new();
        }
    }
}

/// Who may use a port that is passed on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Users<'a> {
    /// The port's list; empty: everybody.
    pub(crate) allow: &'a [Cidr],
    /// The table, where there is one: it never sees what is passed on, which comes from this host then.
    pub(crate) rules: Option<&'a Ruleset>,
}

impl Users<'_> {
    /// Whether somebody may; the host itself always may.
    fn may(&self, client: SocketAddr) -> bool {
        let address = client.ip().to_canonical();
        let came_by = |bridge: &str| match client {
            SocketAddr::V6(client) => inet::interface(bridge) == Some(client.scope_id()),
            SocketAddr::V4(_) => false,
        };
        let kept = (self.rules).is_some_and(|rules| rules.keeps_inside(address, came_by));
        (!kept && proxy::may_use(address, self.allow)) || network::is_own(address)
    }
}
