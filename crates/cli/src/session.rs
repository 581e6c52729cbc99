//! An attached container or exec session, from the moment its connection is handed over to its end:
//! bytes, signals, the window's size, the detach keys, and the exit code even if the daemon dies
//! meanwhile. The streams come from the container's shim and go on without the daemon.

use std::future::{Future, pending};
use std::io;
use std::pin::pin;

use api::client::Hijacked;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use types::Signal;

use crate::connect::Daemon;
use crate::error::CliError;
use crate::stream::{self, Pump, Wiring};
use crate::terminal::{self, Raw};

/// How a session ended for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was received.
    Complete,
    /// The user typed the detach keys.
    Detached,
}

/// Whose session it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target<'a> {
    /// A container: signals may be passed on.
    Container(&'a str),
    /// An exec session: signals cannot be passed on.
    Exec(&'a str),
}

/// What is wanted of a session.
#[derive(Debug)]
pub(crate) struct Wish {
    /// Whether it has a terminal.
    pub(crate) tty: bool,
    /// Whether our standard input is its.
    pub(crate) stdin: bool,
    /// The keys that detach.
    pub(crate) detach_keys: Vec<u8>,
    /// Whether signals are passed on.
    pub(crate) sig_proxy: bool,
}

/// A session whose connection is ours, and whose threads wait for [`Session::begin`].
#[derive(Debug)]
pub(crate) struct Prepared {
    pump: Pump,
    takes_terminal: bool,
}

/// The running session.
#[derive(Debug)]
pub(crate) struct Session {
    pump: Pump,
    _raw: Option<Raw>,
}

impl Prepared {
    /// Takes the connection over.
    pub(crate) fn new(connection: Hijacked, wish: &Wish) -> Result<Self, CliError> {
        let failed = |what| move |source| CliError::Io { what, source };
        let takes_terminal = wish.tty && wish.stdin && terminal::stdin_is_terminal();
        let socket =
            stream::blocking(connection.stream).map_err(failed("take the connection over"))?;
        let pump = Wiring {
            socket,
            early: connection.early.to_vec(),
            tty: wish.tty,
            stdin: wish.stdin,
            detach_keys: takes_terminal.then(|| wish.detach_keys.clone()),
        }
        .start()
        .map_err(failed("start a thread"))?;
        Ok(Self {
            pump,
            takes_terminal,
        })
    }
}

impl Session {
    /// From here on bytes flow.
    pub(crate) fn begin(prepared: Prepared) -> Result<Self, CliError> {
        let Prepared {
            mut pump,
            takes_terminal,
        } = prepared;
        let raw = takes_terminal.then(Raw::enter).transpose();
        let raw = raw.map_err(|source| CliError::Io {
            what: "make the terminal raw",
            source,
        })?;
        pump.release();
        Ok(Self { pump, _raw: raw })
    }

    /// Serves the session until its output has ended.
    pub(crate) async fn serve(
        mut self,
        daemon: &Daemon,
        target: Target<'_>,
        signals: &mut Signals,
    ) -> Result<End, CliError> {
        let mut detached = pin!(typed(&mut self.pump.detached));
        loop {
            tokio::select! {
                biased;
                done = &mut self.pump.output => return match done {
                    Ok(Ok(())) => Ok(End::Complete),
                    Ok(Err(source)) => Err(CliError::Io { what: "copy the container's output", source }),
                    Err(_) => Ok(End::Complete),
                },
                () = &mut detached => return Ok(End::Detached),
                arrived = signals.next() => act(daemon, target, arrived).await?,
            }
        }
    }
}

async fn typed(detached: &mut tokio::sync::oneshot::Receiver<()>) {
    if detached.await.is_err() {
        // Input has ended without the keys: they will not come any more.
        pending::<()>().await;
    }
}

/// A signal came to us.
async fn act(daemon: &Daemon, target: Target<'_>, arrived: Arrived) -> Result<(), CliError> {
    match (arrived, target) {
        (Arrived::Resized, target) => {
            resize(daemon, target).await;
            Ok(())
        }
        (Arrived::ToPassOn(signal), Target::Container(id)) => {
            // It may have ended meanwhile; its exit code says so.
            let _ = daemon
                .client
                .container_kill(id, Some(&signal.to_string()))
                .await;
            Ok(())
        }
        (Arrived::ToPassOn(signal) | Arrived::ToDieOf(signal), _) => {
            let code = u8::try_from(128 + signal.number()).unwrap_or(255);
            Err(CliError::Silent(code))
        }
    }
}

/// Tells the container the size of our terminal.
pub(crate) async fn resize(daemon: &Daemon, target: Target<'_>) {
    if let Some((rows, columns)) = terminal::window() {
        resize_to(daemon, target, [rows, columns]).await;
    }
}

/// Tells the container a size. A container that has ended needs none.
pub(crate) async fn resize_to(daemon: &Daemon, target: Target<'_>, size: [u16; 2]) {
    let _ = match target {
        Target::Container(id) => daemon.client.container_resize(id, size).await,
        Target::Exec(id) => daemon.client.exec_resize(id, size).await,
    };
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// The window changed.
    Resized,
    /// The container is to get it.
    ToPassOn(Signal),
    /// The client is to end of it.
    ToDieOf(Signal),
}

/// The signals the client listens to. Read from a descriptor: a handler for each of some fifty would
/// cost more system calls than the rest of the client.
#[derive(Debug)]
pub(crate) struct Signals {
    /// None when none is listened to.
    arrivals: Option<AsyncFd<sys::event::Signals>>,
    pass_on: bool,
}

/// Signals that are passed on. Not those of the client's own life (SIGCHLD, SIGPIPE, SIGWINCH,
/// SIGURG), of its faults, of a background reader (SIGTTIN, SIGTTOU), nor those nobody can catch.
const PROXIED: [i32; 16] = [1, 2, 3, 10, 12, 14, 15, 16, 18, 20, 24, 25, 26, 27, 29, 30];
/// Signals that end a client which passes none on.
const DEADLY: [i32; 4] = [1, 2, 3, 15];
/// Without the three that C libraries keep for themselves.
const REAL_TIME: std::ops::RangeInclusive<i32> = 35..=64;

impl Signals {
    /// Listens from now on: what arrives before anybody asks is kept. Before any thread is started,
    /// so that none of them is where a signal goes.
    pub(crate) fn listen(pass_on: bool, tty: bool) -> Result<Self, CliError> {
        let wanted = wanted(pass_on, tty)?;
        let arrivals = (!wanted.is_empty()).then(|| take(&wanted)).transpose();
        let arrivals = arrivals.map_err(|source| CliError::Io {
            what: "listen to signals",
            source,
        })?;
        Ok(Self { arrivals, pass_on })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Arrived {
        match self.arrive().await {
            Signal::WINCH => Arrived::Resized,
            number if self.pass_on => Arrived::ToPassOn(number),
            number => Arrived::ToDieOf(number),
        }
    }

    async fn arrive(&self) -> Signal {
        let Some(arrivals) = &self.arrivals else {
            return pending().await;
        };
        loop {
            let Ok(mut ready) = arrivals.readable().await else {
                // The runtime is going down, and nobody waits for an answer.
                return pending().await;
            };
            match arrivals.get_ref().next() {
                Ok(Some(signal)) => return signal,
                Ok(None) | Err(_) => ready.clear_ready(),
            }
        }
    }

    /// Waits for `work` while acting on signals.
    pub(crate) async fn during<T>(
        &mut self,
        daemon: &Daemon,
        target: Target<'_>,
        work: impl Future<Output = T>,
    ) -> Result<T, CliError> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                arrived = self.next() => act(daemon, target, arrived).await?,
            }
        }
    }
}

#[allow(
    deprecated,
    reason = "its successor is unsafe, which this crate is not: the signals keep their descriptor \
              open, and it neither moves out nor changes before the registration is dropped"
)]
fn take(wanted: &[Signal]) -> io::Result<AsyncFd<sys::event::Signals>> {
    let signals = sys::event::Signals::take(Some(wanted), true)?;
    AsyncFd::with_interest(signals, Interest::READABLE)
}

/// What to listen to.
fn wanted(pass_on: bool, tty: bool) -> Result<Vec<Signal>, CliError> {
    let mut numbers: Vec<i32> = if pass_on {
        PROXIED.into_iter().chain(REAL_TIME).collect()
    } else if tty {
        DEADLY.to_vec()
    } else {
        Vec::new()
    };
    if tty {
        numbers.push(Signal::WINCH.number());
    }
    let signals = numbers.into_iter().map(Signal::try_from);
    signals
        .collect::<Result<_, _>>()
        .map_err(|error| CliError::Invalid(error.to_string()))
}
