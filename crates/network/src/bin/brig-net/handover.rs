//! One keeper takes over from another: of an older program, and without a port left alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use network::keeper::protocol::{self, Socket};
use network::keeper::{Call, Model, Reply, message};
use sys::socket::{self, Kind};

use crate::failure::Failure;
use crate::server::Server;

/// How long the other one may take to say what it has.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was handed over.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) model: Option<Model>,
    pub(crate) sockets: HashMap<Socket, OwnedFd>,
}

impl Taken {
    /// The two sockets of a view, if both came.
    pub(crate) fn view(&mut self, id: &str) -> Option<[OwnedFd; 2]> {
        let view = || id.to_owned();
        let datagrams = self.sockets.remove(&Socket::Datagrams { view: view() })?;
        let streams = self.sockets.remove(&Socket::Streams { view: view() })?;
        Some([datagrams, streams])
    }

    /// The sockets of a reservation, by the place of their address.
    pub(crate) fn ports(
        &mut self,
        owner: &str,
        number: usize,
        count: usize,
    ) -> Vec<Option<OwnedFd>> {
        let places = (0..count).map(|listen| Socket::Port {
            owner: owner.to_owned(),
            number,
            listen,
        });
        places.map(|place| self.sockets.remove(&place)).collect()
    }
}

/// Takes over from the keeper that runs, if one does. One that dies meanwhile leaves what it has
/// written down.
pub(crate) fn take_over(dir: &Path) -> Result<Taken, Failure> {
    let path = dir.join(protocol::SOCKET);
    let Ok(other) = socket::connect_within(&path, Kind::Messages, PATIENCE) else {
        return Ok(Taken::default());
    };
    let failed = || "take over from another keeper";
    socket::send(&other, &message::encode(&Call::HandOver), &[]).map_err(Failure::of(failed()))?;
    let mut taken = Taken::default();
    while let Ok(Some(message)) = socket::receive(&other) {
        match message::decode(&message.bytes).map_err(Failure::of(failed()))? {
            Reply::Model { model } => taken.model = Some(*model),
            Reply::Sockets { sockets } => {
                taken.sockets.extend(sockets.into_iter().zip(message.fds))
            }
            Reply::Failed { kind, message } => return Err(Failure::new(kind, message)),
            _ => break,
        }
    }
    Ok(taken)
}

impl Server {
    /// Gives everything to who calls, and keeps only what is being passed on.
    pub(crate) fn hand_over(&mut self, to: &OwnedFd) -> Result<(), Failure> {
        let failed = || "hand over";
        // Messages with descriptors are few and taken at once; who does not take them is dead.
        socket::set_patience(to, PATIENCE).map_err(Failure::of(failed()))?;
        let model = Box::new(self.model.clone());
        let send = |reply: &Reply, fds: &[BorrowedFd<'_>]| {
            socket::send(to, &message::encode(reply), fds).map_err(Failure::of(failed()))
        };
        send(&Reply::Model { model }, &[])?;
        let all = self.all_sockets();
        for part in all.chunks(socket::MAX_FDS) {
            let sockets = part.iter().map(|(name, _)| name.clone()).collect();
            let fds: Vec<_> = part.iter().map(|(_, fd)| *fd).collect();
            send(&Reply::Sockets { sockets }, &fds)?;
        }
        drop(all);
        self.leave();
        send(&Reply::Done, &[])
    }

    fn all_sockets(&self) -> Vec<(Socket, BorrowedFd<'_>)> {
        let mut all = Vec::new();
        for id in self.model.views.keys() {
            if let Some([datagrams, streams]) = self.resolving.sockets(id) {
                all.push((Socket::Datagrams { view: id.clone() }, datagrams));
                all.push((Socket::Streams { view: id.clone() }, streams));
            }
        }
        for (owner, reservations) in &self.model.ports {
            for (number, reservation) in reservations.iter().enumerate() {
                for (listen, place) in reservation.listen.iter().enumerate() {
                    let address = SocketAddr::new(place.address, reservation.port);
                    let fd = self.ports.socket(owner, reservation.protocol, address);
                    let name = Socket::Port {
                        owner: owner.clone(),
                        number,
                        listen,
                    };
                    all.extend(fd.map(|fd| (name, fd)));
                }
            }
        }
        all
    }
}
