//! Datagrams passed on: each client has a socket of its own towards the target, as long as either
//! says anything.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use sys::Result;
use sys::inet::{self, Transport};

/// After so long without a word a client is forgotten.
pub const IDLE: Duration = Duration::from_secs(90);

/// Clients of one port at one time. The one that has been silent for longest makes room.
const MOST: usize = 1000;

/// Datagrams taken in one go.
const TURN: usize = 64;

/// The clients of one port.
#[derive(Debug)]
pub struct Sessions {
    target: SocketAddr,
    by_client: HashMap<SocketAddr, u32>,
    sessions: HashMap<u32, Session>,
    next: u32,
}

#[derive(Debug)]
struct Session {
    client: SocketAddr,
    socket: OwnedFd,
    last: Instant,
}

impl Sessions {
    /// Of a port whose datagrams go to this target.
    pub fn new(target: SocketAddr) -> Self {
        Self {
            target,
            by_client: HashMap::new(),
            sessions: HashMap::new(),
            next: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The socket of a session.
    pub fn socket(&self, number: u32) -> Option<BorrowedFd<'_>> {
        self.sessions.get(&number).map(|s| s.socket.as_fd())
    }

    /// Passes on what clients have sent to the port, of those who may; `opened` hears of each new session. A datagram
    /// for which there is no room is lost, as any may be.
    pub fn from_clients(
        &mut self,
        port: impl AsFd,
        now: Instant,
        room: &mut [u8],
        may: impl Fn(SocketAddr) -> bool,
        mut opened: impl FnMut(u32, BorrowedFd<'_>),
    ) -> Result<()> {
        for _ in 0..TURN {
            let Some((length, from)) = inet::receive_datagram(&port, room)? else {
                return Ok(());
            };
            let Some(client) = from else {
                continue;
            };
            let number = match self.by_client.get(&client) {
                Some(number) => *number,
                None if !may(client) => continue,
                None => self.open(client, now, &mut opened)?,
            };
            if let Some(session) = self.sessions.get_mut(&number) {
                session.last = now;
                // What a target that is not there refuses was lost before too.
                let _ = inet::send_datagram(&session.socket, &room[..length], None);
            }
        }
        Ok(())
    }

    fn open(
        &mut self,
        client: SocketAddr,
        now: Instant,
        opened: &mut impl FnMut(u32, BorrowedFd<'_>),
    ) -> Result<u32> {
        if self.sessions.len() >= MOST {
            let silent = self.sessions.iter().min_by_key(|(_, session)| session.last);
            if let Some(number) = silent.map(|(number, _)| *number) {
                self.close(number);
            }
        }
        let socket = inet::connecting(Transport::Udp, self.target)?;
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        opened(number, socket.as_fd());
        let session = Session {
            client,
            socket,
            last: now,
        };
        self.by_client.insert(client, number);
        self.sessions.insert(number, session);
        Ok(number)
    }

    /// Passes on what the target has sent to one client.
    pub fn from_target(&mut self, number: u32, port: impl AsFd, now: Instant, room: &mut [u8]) {
        let Some(session) = self.sessions.get_mut(&number) else {
            return;
        };
        for _ in 0..TURN {
            match inet::receive_datagram(&session.socket, room) {
                Ok(Some((length, _))) => {
                    session.last = now;
                    let to = Some(session.client);
                    // A client that is gone hears nothing.
                    let _ = inet::send_datagram(&port, &room[..length], to);
                }
                // An error is that of a datagram sent before: told once, and the next may arrive.
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Forgets clients that have been silent for long. Their sockets are closed by it.
    pub fn look(&mut self, now: Instant) {
        let silent = self.sessions.iter().filter(|(_, s)| s.last + IDLE <= now);
        for number in silent.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.close(number);
        }
    }

    /// When the next will have been silent for too long.
    pub fn deadline(&self) -> Option<Instant> {
        self.sessions
            .values()
            .map(|session| session.last + IDLE)
            .min()
    }

    fn close(&mut self, number: u32) {
        if let Some(session) = self.sessions.remove(&number) {
            self.by_client.remove(&session.client);
        }
    }
}
