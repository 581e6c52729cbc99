//! `exec`, its second half: the process is run by the shim, which serves the client as well.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use oci_spec::runtime::PosixRlimit;
use serde::Deserialize;
use shim::{AttachOptions, Call, Reply, Streams};
use types::{ErrorKind, ExecId, ProcessRef};

use super::{Session, find, look, tell};
use crate::container::{WrongState, or_ended};
use crate::render::{self, ExecInput, Identity};
use crate::table::Container;
use crate::{Engine, Error, network, secret, users};

/// Ctrl-P Ctrl-Q.
const DETACH_KEYS: [u8; 2] = [16, 17];

/// Longest passwd(5) or group(5) that is read.
const LONGEST: usize = 4 << 20;

/// Who is attached to a session from its start.
#[derive(Debug)]
pub struct Client {
    /// Its connection.
    pub stream: UnixStream,
    /// What it had already sent.
    pub early: Vec<u8>,
    /// Whether its output is framed with Docker's 8-byte headers, also what a terminal says.
    pub framed: bool,
}

/// Starts it; a client is served by the shim. Blocking.
pub fn start(
    engine: &Engine,
    id: &str,
    console_size: [u16; 2],
    client: Option<Client>,
) -> Result<(), Error> {
    engine.accepts_work()?;
    let session = find(engine, id)?;
    let container = engine.find(session.container.as_str())?;
    if container.lifecycle().is_paused() {
        let who = container.id().to_string();
        return Err(WrongState::StandsStill { who, what: "exec" }.into());
    }
    if !session.claim() {
        return Err(WrongState::ExecStarted(session.id.clone()).into());
    }
    tell(engine, &container, &session, "exec_start");
    let first = container.lifecycle().process();
    let console_size = match console_size {
        [0, 0] => session.request.console_size,
        said => said,
    };
    let begun = run(engine, &container, &session, console_size, client);
    match or_ended(&container, first, begun) {
        Ok(process) => {
            session.running(process);
            Ok(())
        }
        Err(error) => {
            session.exited(match error.kind() {
                ErrorKind::CommandNotFound => 127,
                _ => 126,
            });
            Err(error)
        }
    }
}

/// Ends a session that nobody starts any more.
pub fn give_up(engine: &Engine, id: &ExecId) {
    let session = engine.execs().get(id).cloned();
    if let Some(session) = session.filter(|session| session.claim()) {
        session.exited(126);
    }
}

fn run(
    engine: &Engine,
    container: &Container,
    session: &Session,
    console_size: [u16; 2],
    client: Option<Client>,
) -> Result<ProcessRef, Error> {
    let stopped = || WrongState::NotRunning(container.id().clone());
    let first = container.lifecycle().process().ok_or_else(stopped)?;
    let shim = container.shim().ok_or_else(stopped)?;
    let identity = identity(container, session, first)?;
    let process = process(engine, container, session, console_size, identity)?;
    let (stream, attach) = match client {
        None => (None, AttachOptions::default()),
        Some(client) => {
            let options = attach(session, client.early, client.framed);
            (Some(client.stream), options)
        }
    };
    let call = Call::Exec {
        id: session.id.clone(),
        process,
        attach,
        console_size,
    };
    let fds: Vec<BorrowedFd<'_>> = stream.iter().map(AsFd::as_fd).collect();
    match shim.call(&call, &fds) {
        Ok(Reply::Process(process)) => Ok(process),
        Ok(_) => Err(Error::Answer {
            what: "exec",
            id: container.id().clone(),
        }),
        // Its end is heard of by who watches it.
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(stopped().into()),
        Err(error) => Err(Error::Exec(error)),
    }
}

/// The OCI `process` object of a command that looks at the container's health.
pub(crate) fn process_of_look(
    engine: &Engine,
    container: &Container,
    command: Vec<String>,
) -> Result<String, Error> {
    let stopped = || WrongState::NotRunning(container.id().clone());
    let first = container.lifecycle().process().ok_or_else(stopped)?;
    let session = look(container, ExecId::from_random([0; 32]), command);
    let identity = identity(container, &session, first)?;
    process(engine, container, &session, [0; 2], identity)
}

fn attach(session: &Session, early: Vec<u8>, framed: bool) -> AttachOptions {
    let [stdin, stdout, stderr] = session.request.attach;
    let keys = session.request.detach_keys.clone();
    AttachOptions {
        streams: Streams {
            stdin,
            stdout,
            stderr,
        },
        framed,
        detach_keys: keys.unwrap_or_else(|| DETACH_KEYS.to_vec()),
        early,
    }
}

/// Refuses a user that the container does not know.
pub(super) fn check_user(container: &Container, session: &Session) -> Result<(), Error> {
    let stopped = || WrongState::NotRunning(container.id().clone());
    let first = container.lifecycle().process().ok_or_else(stopped)?;
    identity(container, session, first).map(drop)
}

/// Who the process is, by the container's own files as they are now: its root is mounted, and the
/// kernel resolves in it.
fn identity(
    container: &Container,
    session: &Session,
    first: ProcessRef,
) -> Result<Identity, Error> {
    let fixed = &container.fixed;
    let (user, groups) = match &session.request.user {
        Some(user) if !user.is_empty() => (user.as_str(), &[][..]),
        _ => (fixed.resolved.user.as_str(), fixed.spec.groups.as_slice()),
    };
    let root = sys::proc::open_root(first).map_err(Error::kernel(format!(
        "open the root of container {}",
        fixed.id
    )))?;
    let root = root.ok_or_else(|| WrongState::NotRunning(fixed.id.clone()))?;
    let read = |path: &str| match root.read(path, LONGEST) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if users::means_absent(error.errno) => Ok(String::new()),
        Err(error) => Err(Error::kernel(format!("read /{path} in the container"))(
            error,
        )),
    };
    let (passwd, group) = (read(users::PASSWD)?, read(users::GROUP)?);
    Ok(users::identify(user, groups, &passwd, &group)?)
}

fn process(
    engine: &Engine,
    container: &Container,
    session: &Session,
    console_size: [u16; 2],
    identity: Identity,
) -> Result<String, Error> {
    let (fixed, request) = (&container.fixed, &session.request);
    let mut env = secret::place::variables(engine, &fixed.spec)?;
    env.extend(request.env.iter().cloned());
    let mut process = render::exec(&ExecInput {
        spec: &fixed.spec,
        resolved: &network::links::resolved(engine, container),
        identity,
        command: &request.command,
        env: &env,
        working_dir: request.working_dir.as_deref(),
        tty: request.tty,
        console_size,
        privileged: request.privileged,
        host: &engine.host().facts,
    })?;
    process.set_rlimits(limits(engine, container)?);
    serde_json::to_string(&process).map_err(|source| Error::Encode {
        what: "a process",
        source,
    })
}

/// Those that the container was started with: the daemon may have been told others since.
fn limits(engine: &Engine, container: &Container) -> Result<Option<Vec<PosixRlimit>>, Error> {
    #[derive(Deserialize)]
    struct Config {
        process: Process,
    }
    #[derive(Deserialize)]
    struct Process {
        rlimits: Option<Vec<PosixRlimit>>,
    }
    let path = engine.run_dir(container.id()).join("config.json");
    let read = || -> io::Result<Config> { Ok(serde_json::from_slice(&std::fs::read(&path)?)?) };
    let config = read().map_err(Error::io(format!("read {}", path.display())))?;
    Ok(config.process.rlimits)
}
