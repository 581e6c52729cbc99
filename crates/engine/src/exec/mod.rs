//! Exec sessions: their data, and one file a verb.
//!
//! Sessions live in memory only. The shim knows which processes run, so that a restart of the daemon
//! finds them again; what they were asked is forgotten then.

mod create;
mod inspect;
mod resize;
mod start;
mod wait;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use types::{ContainerId, ExecId, ProcessRef};

use crate::table::Container;
use crate::{Engine, Error, event};

pub use create::create;
pub use inspect::inspect;
pub use resize::resize;
pub(crate) use start::process_of_look;
pub use start::{Client, give_up, start};
pub use wait::wait;

/// Sessions of one container that are remembered after their end.
const REMEMBERED: usize = 64;

/// The exit code of a session whose end nobody told: it was killed with its container.
const KILLED: i32 = 128 + 9;

/// What to run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<String>,
    /// None means the container's.
    pub working_dir: Option<String>,
    /// None means the container's.
    pub user: Option<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// How large the terminal is at first, rows and columns, unless its start says so; nobody says where they are 0.
    pub console_size: [u16; 2],
    /// Whether it gets all privileges.
    pub privileged: bool,
    /// Which streams are attached: stdin, stdout, stderr.
    pub attach: [bool; 3],
    /// The bytes that detach; none means Ctrl-P Ctrl-Q.
    pub detach_keys: Option<Vec<u8>>,
}

/// A session as it is now.
#[derive(Debug, Clone)]
pub struct View {
    /// Its id.
    pub id: ExecId,
    /// The container.
    pub container: ContainerId,
    /// What was asked for.
    pub request: Request,
    /// What it came to.
    pub state: State,
}

/// What a session is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not started.
    Created,
    /// Its process runs.
    Running(ProcessRef),
    /// It ended, or could not be started: 126 or 127 then.
    Exited(i32),
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: ExecId,
    pub(crate) container: ContainerId,
    pub(crate) request: Request,
    state: watch::Sender<Progress>,
}

/// [`State`], and what nobody else needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    Created,
    Starting,
    Running(ProcessRef),
    Exited(i32),
}

impl Session {
    fn new(id: ExecId, container: ContainerId, request: Request) -> Self {
        Self {
            id,
            container,
            request,
            state: watch::Sender::new(Progress::Created),
        }
    }

    fn state(&self) -> State {
        match *self.state.borrow() {
            Progress::Created | Progress::Starting => State::Created,
            Progress::Running(process) => State::Running(process),
            Progress::Exited(code) => State::Exited(code),
        }
    }

    /// Goes on, if it is where it goes on from; whether it was.
    fn go_on(&self, from: impl FnOnce(&Progress) -> bool, to: Progress) -> bool {
        self.state.send_if_modified(|state| {
            let goes = from(state);
            if goes {
                *state = to;
            }
            goes
        })
    }

    /// Takes the right to start it: who calls second is refused.
    fn claim(&self) -> bool {
        self.go_on(|state| *state == Progress::Created, Progress::Starting)
    }

    /// Its process runs, unless its end was heard of before.
    fn running(&self, process: ProcessRef) {
        let from = |state: &Progress| *state == Progress::Starting;
        self.go_on(from, Progress::Running(process));
    }

    /// False if its end was known.
    fn exited(&self, code: i32) -> bool {
        let from = |state: &Progress| !matches!(state, Progress::Exited(_));
        self.go_on(from, Progress::Exited(code))
    }

    fn has_ended(&self) -> bool {
        matches!(*self.state.borrow(), Progress::Exited(_))
    }

    /// Whether it was started and is not known to have ended.
    fn may_run(&self) -> bool {
        matches!(
            *self.state.borrow(),
            Progress::Starting | Progress::Running(_)
        )
    }

    fn view(&self) -> View {
        View {
            id: self.id.clone(),
            container: self.container.clone(),
            request: self.request.clone(),
            state: self.state(),
        }
    }
}

fn find(engine: &Engine, id: &str) -> Result<Arc<Session>, Error> {
    let missing = || Error::NoExec(id.to_owned());
    let parsed: ExecId = id.parse().map_err(|_| missing())?;
    engine.execs().get(&parsed).cloned().ok_or_else(missing)
}

/// Makes a session known, and forgets the oldest that have ended when there are many.
fn remember(engine: &Engine, container: &Container, session: Session) {
    let session = Arc::new(session);
    let mut execs = engine.execs();
    let mut live = container.live();
    execs.insert(session.id.clone(), session.clone());
    live.execs.push(session.id.clone());
    let mut excess = live.execs.len().saturating_sub(REMEMBERED);
    live.execs.retain(|id| {
        let ended = execs.get(id).is_none_or(|session| session.has_ended());
        let forget = excess > 0 && ended;
        if forget {
            excess -= 1;
            execs.remove(id);
        }
        !forget
    });
}

/// A session that a shim knows and this daemon does not: it was started by the one before.
pub(crate) fn adopt(engine: &Engine, container: &Container, id: ExecId, code: Option<i32>) {
    let session = Session::new(id, container.id().clone(), Request::default());
    session.state.send_replace(match code {
        Some(code) => Progress::Exited(code),
        // Only the shim knows its process.
        None => Progress::Running(ProcessRef { pid: 0, started: 0 }),
    });
    remember(engine, container, session);
}

/// A session as the next engine is told of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    id: ExecId,
    container: ContainerId,
    request: Request,
    /// None of one that has not been started, or runs: its shim knows it then.
    code: Option<i32>,
}

/// All sessions.
pub(crate) fn remembered(engine: &Engine) -> Vec<Remembered> {
    let sessions: Vec<Arc<Session>> = engine.execs().values().cloned().collect();
    let remembered = |session: Arc<Session>| Remembered {
        id: session.id.clone(),
        container: session.container.clone(),
        request: session.request.clone(),
        code: match session.state() {
            State::Exited(code) => Some(code),
            State::Created | State::Running(_) => None,
        },
    };
    sessions.into_iter().map(remembered).collect()
}

/// Takes over the sessions of an engine before this one. What shims say of them is newer.
pub(crate) fn take_over(engine: &Engine, sessions: Vec<Remembered>) {
    for remembered in sessions {
        let Remembered {
            id,
            container,
            request,
            code,
        } = remembered;
        let known = engine
            .execs()
            .get(&id)
            .map(|known| known.state.borrow().clone());
        let is_known = known.is_some();
        let state = known
            .or(code.map(Progress::Exited))
            .unwrap_or(Progress::Created);
        let session = Arc::new(Session {
            id: id.clone(),
            container: container.clone(),
            request,
            state: watch::Sender::new(state),
        });
        engine.execs().insert(id.clone(), session);
        match engine.find(container.as_str()) {
            Ok(container) if !is_known => container.live().execs.push(id),
            Ok(_) => {}
            // Remembered for a while, as if it had been here when its container went.
            Err(_) => engine.ownerless_execs().push_back(id),
        }
    }
}

/// The shim told the end of a session.
pub(crate) fn ended(engine: &Engine, container: &Container, id: &ExecId, code: i32) {
    let session = engine.execs().get(id).cloned();
    if let Some(session) = session
        && session.exited(code)
    {
        tell_end(engine, container, id, code);
    }
}

/// Tells that a session is made or started.
fn tell(engine: &Engine, container: &Container, session: &Session, what: &str) {
    let command = &session.request.command;
    let (program, args) = command.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
    let action = format!("{what}: {program} {}", args.join(" "));
    let more = [("execID", session.id.to_string())];
    event::of_container_with(engine, container, action, more);
}

fn tell_end(engine: &Engine, container: &Container, id: &ExecId, code: i32) {
    let more = [("execID", id.to_string()), ("exitCode", code.to_string())];
    event::of_container_with(engine, container, "exec_die", more);
}

/// Tells of a look at the container's health by a command, as Docker does: the shim has run it.
pub(crate) fn tell_look(engine: &Engine, container: &Container, command: Vec<String>, code: i32) {
    let Ok(bytes) = sys::random::bytes() else {
        return;
    };
    let session = look(container, ExecId::from_random(bytes), command);
    tell(engine, container, &session, "exec_create");
    tell(engine, container, &session, "exec_start");
    tell_end(engine, container, &session.id, code);
}

/// A session that looks at the container's health.
fn look(container: &Container, id: ExecId, command: Vec<String>) -> Session {
    let request = Request {
        command,
        ..Request::default()
    };
    Session::new(id, container.id().clone(), request)
}

/// The sessions of a container that have not ended.
pub(crate) fn of(engine: &Engine, container: &Container) -> Vec<ExecId> {
    let mut ids = container.live().execs.clone();
    if !ids.is_empty() {
        let execs = engine.execs();
        ids.retain(|id| execs.get(id).is_some_and(|session| !session.has_ended()));
    }
    ids
}

/// The container has ended, and with it all that ran in it.
pub(crate) fn ended_with(engine: &Engine, container: &Container) {
    let sessions: Vec<Arc<Session>> = {
        let ids = container.live().execs.clone();
        let execs = engine.execs();
        ids.iter().filter_map(|id| execs.get(id).cloned()).collect()
    };
    for session in sessions {
        let started = session.may_run();
        if session.exited(KILLED) && started {
            tell_end(engine, container, &session.id, KILLED);
        }
    }
}

/// The container is gone. Its sessions are remembered for a while: their clients ask how they ended.
pub(crate) fn forget(engine: &Engine, container: &Container) {
    let ids = std::mem::take(&mut container.live().execs);
    let mut execs = engine.execs();
    let mut ownerless = engine.ownerless_execs();
    ownerless.extend(ids);
    while ownerless.len() > REMEMBERED {
        if let Some(id) = ownerless.pop_front() {
            execs.remove(&id);
        }
    }
}
