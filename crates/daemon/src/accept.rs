//! Connections as they come in: who is there, and TLS before anything else where that is asked for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use api::client::Endpoint;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::access::{Door, Peer, Who, tls};
use crate::app::App;
use crate::config::Config;
use crate::http::line::{Phase, Socket};
use crate::http::serve::{self, Left};
use crate::socket::{self, Listener};
use crate::upgrade::Inherited;

/// A listening socket, and what holds for those who come by it.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) listener: Listener,
    pub(crate) door: Arc<Door>,
    /// As the configuration names it; none of one that a service manager has opened.
    pub(crate) host: Option<String>,
    /// Places for those who have not shown who they are.
    handshakes: Arc<Semaphore>,
}

/// As many handshakes at a time, for each socket: none of them is anybody's yet.
const HANDSHAKES: usize = 256;

impl Entrance {
    fn new((listener, host): Opened, door: Arc<Door>) -> Self {
        Self {
            listener,
            door,
            host,
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
        }
    }
}

/// What came in by an entrance and leaves for the daemon's successor.
pub(crate) type Connections = JoinSet<Option<Left>>;

/// All sockets: those that a service manager has opened, or those of the configuration, and with either
/// those that have a policy. What the daemon before this one has left is used where it is wanted. Must be called within
/// a tokio runtime.
pub(crate) async fn entrances(
    config: &Config,
    mut inherited: Vec<Inherited>,
) -> Result<Vec<Entrance>, socket::Error> {
    let passed = passed(&mut inherited)?;
    let group = config.socket_group.as_deref();
    let door = Arc::new(Door::default());
    let mut all: Vec<Entrance> = Vec::new();
    let open: Vec<Opened> = match passed.is_empty() {
        true => open_all(&config.hosts, group, ("", &mut inherited)).await?,
        false => passed
            .into_iter()
            .map(|listener| (listener, None))
            .collect(),
    };
    let opened = open.into_iter();
    all.extend(opened.map(|opened| Entrance::new(opened, door.clone())));
    for socket in &config.access.sockets {
        let group = socket.group.as_deref().or(group);
        let hosts = std::slice::from_ref(&socket.host);
        let opened = open_all(hosts, group, (&socket.door.name, &mut inherited)).await?;
        let door = Arc::new(socket.door.clone());
        let opened = opened.into_iter();
        all.extend(opened.map(|opened| Entrance::new(opened, door.clone())));
    }
    Ok(all)
}

/// A socket, and what the configuration calls it.
type Opened = (Listener, Option<String>);

/// Those that a service manager has opened, for this daemon or the one before it.
fn passed(inherited: &mut Vec<Inherited>) -> Result<Vec<Listener>, socket::Error> {
    let mut passed = socket::adopt(sys::activation::sockets())?;
    let known = inherited.extract_if(.., |one| one.host.is_none());
    for one in known.collect::<Vec<_>>() {
        passed.push(one.listen()?);
    }
    Ok(passed)
}

/// Opens what is not open yet.
async fn open_all(
    hosts: &[Endpoint],
    group: Option<&str>,
    (door, inherited): (&str, &mut Vec<Inherited>),
) -> Result<Vec<Opened>, socket::Error> {
    let mut opened = Vec::new();
    for host in hosts {
        let name = host.to_string();
        let is_it = |one: &Inherited| one.door == door && one.host.as_ref() == Some(&name);
        let listener = match inherited.iter().position(is_it) {
            Some(place) => {
                let listener = inherited.swap_remove(place).listen()?;
                socket::regroup(&listener, host, group)?;
                Some(listener)
            }
            None => socket::listen(std::slice::from_ref(host), group)
                .await?
                .pop(),
        };
        opened.extend(listener.map(|listener| (listener, Some(name))));
    }
    Ok(opened)
}

/// Accepts until told to stop; hands back the entrance, and the connections that are open then.
pub(crate) async fn accept(
    app: Arc<App>,
    entrance: Entrance,
    tls: Option<TlsAcceptor>,
    mut stopping: watch::Receiver<bool>,
) -> (Option<Entrance>, Connections) {
    let mut connections = JoinSet::new();
    let stop = stopping.clone();
    let mut phase = app.lines.changes();
    loop {
        let open = *phase.borrow_and_update() == Phase::Open;
        let accepted = tokio::select! {
            accepted = next(&entrance, tls.as_ref(), &app, &stop, &mut connections), if open => accepted,
            _ = phase.changed() => continue,
            _ = stopping.wait_for(|stop| *stop) => return (Some(entrance), connections),
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
    connections: &mut Connections,
) -> io::Result<()> {
    let (app, stop) = (app.clone(), stop.clone());
    let door = entrance.door.clone();
    match &entrance.listener {
        Listener::Unix { listener, .. } => {
            let stream = listener.accept().await?.0;
            let who = process(&stream);
            let peer = Arc::new(Peer { door, who });
            let socket = Arc::new(Socket::Unix(stream));
            connections.spawn(plain(app, socket, peer, stop));
        }
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let Some(tls) = tls.cloned() else {
                let who = Who::Address(address);
                let peer = Arc::new(Peer { door, who });
                let socket = Arc::new(Socket::Tcp(stream));
                connections.spawn(plain(app, socket, peer, stop));
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
                None
            });
        }
    }
    Ok(())
}

/// Serves a connection that is not encrypted; it counts from now on, whenever it comes to run.
fn plain(
    app: Arc<App>,
    socket: Arc<Socket>,
    peer: Arc<Peer>,
    stop: watch::Receiver<bool>,
) -> impl Future<Output = Option<Left>> {
    let serving = app.lines.serve();
    async move {
        let left = serve::socket(app, socket, peer, stop).await;
        drop(serving);
        left
    }
}

pub(crate) fn process(stream: &UnixStream) -> Who {
    stream
        .peer_cred()
        .map_or(Who::Unknown, |peer| Who::Process {
            pid: peer.pid(),
            uid: peer.uid(),
            gid: peer.gid(),
        })
}
