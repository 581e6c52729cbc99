//! Connections as they come in: who is there, and TLS before anything else where that is asked for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::access::{Door, Peer, Who, tls};
use crate::app::App;
use crate::config::Config;
use crate::http::serve;
use crate::socket::{self, Listener};

/// A listening socket, and what holds for those who come by it.
#[derive(Debug)]
pub(crate) struct Entrance {
    listener: Listener,
    door: Arc<Door>,
    /// Places for those who have not shown who they are.
    handshakes: Arc<Semaphore>,
}

/// As many handshakes at a time, for each socket: none of them is anybody's yet.
const HANDSHAKES: usize = 256;

impl Entrance {
    fn new(listener: Listener, door: Arc<Door>) -> Self {
        Self {
            listener,
            door,
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
        }
    }
}

/// All sockets: those that a service manager has opened, or those of the configuration, and with either
/// those that have a policy. Must be called within a tokio runtime.
pub(crate) async fn entrances(config: &Config) -> Result<Vec<Entrance>, socket::Error> {
    let passed = sys::activation::sockets();
    let group = config.socket_group.as_deref();
    let open = match passed.is_empty() {
        true => socket::listen(&config.hosts, group).await?,
        false => socket::adopt(passed)?,
    };
    let door = Arc::new(Door::default());
    let of = |listener| Entrance::new(listener, door.clone());
    let mut all: Vec<Entrance> = open.into_iter().map(of).collect();
    for socket in &config.access.sockets {
        let group = socket.group.as_deref().or(group);
        let listeners = socket::listen(std::slice::from_ref(&socket.host), group).await?;
        let door = Arc::new(socket.door.clone());
        let listeners = listeners.into_iter();
        all.extend(listeners.map(|listener| Entrance::new(listener, door.clone())));
    }
    Ok(all)
}

/// Accepts until told to stop; hands back the connections that are open then.
pub(crate) async fn accept(
    app: Arc<App>,
    entrance: Entrance,
    tls: Option<TlsAcceptor>,
    mut stopping: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let stop = stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = next(&entrance, tls.as_ref(), &app, &stop, &mut connections) => accepted,
            _ = stopping.wait_for(|stop| *stop) => return connections,
        };
        while connections.try_join_next().is_some() {}
        if let Err(error) = accepted {
            // Out of descriptors, mostly: others are about to give some back.
            tracing::error!("cannot accept a connection: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The next connection, served by a task of its own.
async fn next(
    entrance: &Entrance,
    tls: Option<&TlsAcceptor>,
    app: &Arc<App>,
    stop: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) -> io::Result<()> {
    let (app, stop) = (app.clone(), stop.clone());
    let door = entrance.door.clone();
    match &entrance.listener {
        Listener::Unix { listener, .. } => {
            let stream = listener.accept().await?.0;
            let who = process(&stream);
            let peer = Arc::new(Peer { door, who });
            connections.spawn(serve::connection(app, stream, peer, stop));
        }
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let Some(tls) = tls.cloned() else {
                let who = Who::Address(address);
                let peer = Arc::new(Peer { door, who });
                connections.spawn(serve::connection(app, stream, peer, stop));
                return Ok(());
            };
            // Whoever dawdles over a handshake keeps nobody else from coming in; and one too many of those
            // is let go of, before anything is done for it.
            let Ok(place) = entrance.handshakes.clone().try_acquire_owned() else {
                tracing::debug!(
                    "{address} is let go of: {HANDSHAKES} others are at their handshakes"
                );
                return Ok(());
            };
            connections.spawn(async move {
                let accepted = tls::accept(&tls, stream).await;
                drop(place);
                match accepted {
                    Ok((stream, who)) => {
                        let peer = Arc::new(Peer { door, who });
                        serve::connection(app, stream, peer, stop).await;
                    }
                    Err(error) => tracing::info!("TLS with {address} failed: {error}"),
                }
            });
        }
    }
    Ok(())
}

fn process(stream: &UnixStream) -> Who {
    stream
        .peer_cred()
        .map_or(Who::Unknown, |peer| Who::Process {
            pid: peer.pid(),
            uid: peer.uid(),
            gid: peer.gid(),
        })
}
