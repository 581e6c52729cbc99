//! `attach`: the client's connection is handed to the shim, and the daemon is out of the way.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use shim::log::{Reader, Start, Stream};
use shim::{Call, Shim};
use tokio::sync::oneshot;
use types::{ErrorKind, Lifecycle};

use super::{Attach, View, WrongState, log_path, view};
use crate::table::{Container, Pending};
use crate::{Engine, Error, event};

/// Hands a client's connection to the container's shim, or keeps it until the container is started.
pub async fn attach(
    engine: &Engine,
    who: &str,
    attach: Attach,
    client: UnixStream,
) -> Result<(), Error> {
    let container = engine.find(who)?;
    event::of_container(engine, &container, "attach");
    if !attach.logs {
        // Before a start there is nobody to be handed to: nothing to wait for.
        let pending = Pending {
            client,
            options: attach.options,
        };
        return match hand_over(&container, attach.stream.then_some(pending)) {
            None => Ok(()),
            Some((shim, pending)) => {
                let work = move |_: &Engine| call(&container, &shim, &pending);
                engine.blocking(work).await
            }
        };
    }
    engine
        .blocking(move |engine| {
            past(engine, &container, &attach, &client)?;
            let pending = Pending {
                client,
                options: attach.options,
            };
            match hand_over(&container, attach.stream.then_some(pending)) {
                None => Ok(()),
                Some((shim, pending)) => call(&container, &shim, &pending),
            }
        })
        .await
}

/// A client that is on its way while its container is being started for it. Dropped: it went away.
#[derive(Debug)]
pub struct Coming(oneshot::Sender<()>);

/// How long it may be on its way.
const TO_COME: Duration = Duration::from_secs(10);

/// What a start waits for before it has the container made.
#[derive(Debug)]
pub struct Awaited(oneshot::Receiver<()>);

/// Both sides of a client to come.
pub fn coming() -> (Coming, Awaited) {
    let (here, awaited) = oneshot::channel();
    (Coming(here), Awaited(awaited))
}

impl Coming {
    /// It has been [attached](attach).
    pub fn is_here(self) {
        // A start that has failed meanwhile waits for nobody.
        let _ = self.0.send(());
    }
}

impl Awaited {
    /// Blocking; no longer than a client takes that reads what it is answered.
    pub(super) fn wait(self, engine: &Engine, container: &Container) -> Result<(), Error> {
        let here = async { tokio::time::timeout(TO_COME, self.0).await };
        match engine.runtime().block_on(here) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(WrongState::ClientGone(container.id().clone()).into()),
        }
    }
}

/// Checks, before the connection is upgraded, that `attach` would work.
pub fn check_attach(engine: &Engine, who: &str) -> Result<View, Error> {
    let container = engine.find(who)?;
    if let Lifecycle::Removing { .. } = container.lifecycle() {
        return Err(WrongState::Removing(container.id().clone()).into());
    }
    Ok(view(engine, &container))
}

/// The shim to hand the client to, or nothing: then it waits for the start.
fn hand_over(container: &Container, client: Option<Pending>) -> Option<(Arc<Shim>, Pending)> {
    let client = client?;
    let mut live = container.live();
    match (&live.shim, live.serves_clients) {
        (Some(shim), true) => Some((shim.clone(), client)),
        _ => {
            live.pending.push(client);
            None
        }
    }
}

fn call(container: &Container, shim: &Shim, pending: &Pending) -> Result<(), Error> {
    let call = Call::Attach(pending.options.clone());
    match shim.call(&call, &[pending.client.as_fd()]) {
        Ok(_) => Ok(()),
        // It has just ended: the client sees the end of its stream.
        Err(error) if error.kind() == ErrorKind::Unavailable => Ok(()),
        Err(source) => Err(Error::Shim {
            what: "attach to",
            id: container.id().clone(),
            source,
        }),
    }
}

/// How long a log waits for a client that has not read the head of its answer: some 50 ms.
const PATIENCE: (u32, Duration) = (250, Duration::from_micros(200));

/// Some clients, docker-py among them, lose what comes together with the head of an answer. What a log
/// holds is there at once, and so it waits until the head is read.
fn let_head_be_read(client: &UnixStream) {
    let (times, pause) = PATIENCE;
    for _ in 0..times {
        match sys::socket::unread_by_peer(client) {
            Ok(1..) => std::thread::sleep(pause),
            Ok(0) | Err(_) => return,
        }
    }
}

/// Writes what the log holds to the client. One that has gone away is no error.
fn past(
    engine: &Engine,
    container: &Container,
    attach: &Attach,
    mut client: &UnixStream,
) -> Result<(), Error> {
    let Some(path) = log_path(engine, container) else {
        return Ok(());
    };
    let mut reader = match Reader::open(&path, Start::Beginning) {
        // The stream goes on where the log ends.
        Ok(reader) if attach.stream => reader,
        Ok(reader) => reader.as_it_was(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::Logs(super::LogError::Read(error))),
    };
    let_head_be_read(client);
    let options = &attach.options;
    while let Some(line) = reader
        .next_line()
        .map_err(|error| Error::Logs(super::LogError::Read(error)))?
    {
        let (wanted, number) = match line.stream {
            Stream::Stdout => (options.streams.stdout, 1),
            Stream::Stderr => (options.streams.stderr, 2),
        };
        if !wanted {
            continue;
        }
        let length = u32::try_from(line.bytes.len()).unwrap_or(u32::MAX);
        let header = [&[number, 0, 0, 0][..], &length.to_be_bytes()].concat();
        let header = if options.framed { &header[..] } else { &[] };
        if client.write_all(&[header, &line.bytes].concat()).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
