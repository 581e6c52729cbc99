//! The one loop: events in, to whom they concern.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use shim::log::Writer;
use shim::protocol::{self, ExitRecord, Launch, Notice};
use sys::event::{Event, Interest, Poller, Signals};
use sys::pidfd::Exit;
use sys::socket::{self, Kind};
use sys::spawn;
use types::{ExecId, ProcessRef, Signal};

use crate::backend::{self, Ahead, Backend};
use crate::exit_record;
use crate::failure::Failure;
use crate::joiner::Joiner;
use crate::looker::Looker;
use crate::packer;
use crate::session::{Session, Tools};
use crate::source::{Source, Token};

/// How long clients that do not read may keep this process after its container has ended.
const LINGER: Duration = Duration::from_secs(10);

/// How long those who were told of the end have the processor, before what nobody waits for takes it: the kernel
/// may wake them where this process runs, and lets them wait.
const COURTESY: Duration = Duration::from_micros(100);

/// How long to let a listener alone that cannot accept: usually for want of descriptors, of this
/// process or, which it is never told the end of, of the whole machine.
const BREATH: Duration = Duration::from_millis(100);

/// Exec sessions whose end is remembered for who asks later.
const REMEMBERED: usize = 128;

/// One container and everybody who has to do with it.
pub(crate) struct Server {
    pub(crate) launch: Launch,
    pub(crate) tools: Tools,
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) phase: Phase,
    pub(crate) session: Session,
    pub(crate) execs: Vec<Exec>,
    pub(crate) joiners: Vec<Joiner>,
    pub(crate) looker: Option<Looker>,
    pub(crate) ended: VecDeque<(ExecId, i32)>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) next_number: u32,
    signals: Signals,
    listener: Option<Source>,
    /// When to listen again, after there was no accepting.
    listen_again: Option<Instant>,
    /// The container is to end, started or not.
    pub(crate) shutting_down: bool,
    /// How the container's process ended before anybody had been told that it was started.
    pub(crate) ended_early: Option<Exit>,
    /// What went wrong at the end, when there was nobody to tell.
    trouble: Option<Failure>,
}

/// What the container is doing.
///
/// ```text
///   Empty ─► Created ─► Started ─► Ending ─► Ended
///     └─────────┴──────────┴─────────────────► Ended      (nothing, or no longer, to keep)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// There is none yet.
    Empty,
    /// Its process waits to be started.
    Created(ProcessRef),
    /// Its command runs.
    Started(ProcessRef),
    /// Its process has ended; its output may not have.
    Ending {
        process: ProcessRef,
        started: bool,
        exit: Exit,
        finished: i64,
    },
    /// Nothing is left of it. Clients may still take the last of its output until then.
    Ended { until: Instant },
}

/// An exec session.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: ExecId,
    pub(crate) process: ProcessRef,
    pub(crate) session: Session,
    pub(crate) exit: Option<Exit>,
    /// Its end has been told.
    pub(crate) told: bool,
    /// Nobody has asked for it: it is a look at the container's health.
    pub(crate) look: bool,
}

/// Somebody who calls.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) number: u32,
    pub(crate) source: Source,
    pub(crate) watching: bool,
}

impl Server {
    /// Listens, for a container that is not there yet. Something of it may be.
    pub(crate) fn new(launch: Launch, ahead: Ahead) -> Result<Self, Failure> {
        let poller = Poller::new().map_err(Failure::of("make an epoll set"))?;
        let signals = Signals::take(Some(&[Signal::CHLD]), true);
        let signals = signals.map_err(Failure::of("take signals"))?;
        poller
            .add(&signals, Token::Signals.into(), Interest::READ)
            .map_err(Failure::of("watch signals"))?;
        fail_at(&launch, "shim-listen")?;
        let listener = socket::listen(&launch.dir.join(protocol::SOCKET), Kind::Messages)
            .map_err(Failure::of("listen"))?;
        let mut listener = Source::new(listener, Token::Listener);
        listener.want(&poller, Some(Interest::READ));
        Ok(Self {
            backend: backend::choose(&launch, ahead),
            tools: Tools {
                poller,
                buffer: Vec::new(),
                clock: now,
            },
            phase: Phase::Empty,
            session: Session::new(0, launch.stdin_once),
            execs: Vec::new(),
            joiners: Vec::new(),
            looker: None,
            ended: VecDeque::new(),
            connections: Vec::new(),
            next_number: 1,
            signals,
            listener: Some(listener),
            listen_again: None,
            shutting_down: false,
            ended_early: None,
            trouble: None,
            launch,
        })
    }

    /// Serves until the container has ended and everybody knows.
    pub(crate) fn run(mut self, first: OwnedFd) -> Result<(), Failure> {
        self.add_connection(first);
        self.backend.prepare();
        let mut events = Vec::new();
        while !self.is_over() {
            let limit = self
                .next_look()
                .map(|at| at.saturating_duration_since(Instant::now()));
            let waited = self.tools.poller.wait(limit, &mut events);
            waited.map_err(Failure::of("wait for events"))?;
            for event in &events {
                self.dispatch(*event);
            }
            self.look();
        }
        self.stop_listening();
        self.trouble.map_or(Ok(()), Err)
    }

    fn is_over(&self) -> bool {
        match self.phase {
            // A daemon that died before it created anything left nothing to keep.
            Phase::Empty => self.connections.is_empty(),
            Phase::Ended { until } => {
                let deserted = self.sessions().all(Session::is_deserted);
                deserted || until <= Instant::now()
            }
            Phase::Created(_) | Phase::Started(_) | Phase::Ending { .. } => false,
        }
    }

    fn dispatch(&mut self, event: Event) {
        match Token::from_event(event.token) {
            Some(Token::Signals) => self.reap(),
            Some(Token::Listener) => self.accept(),
            Some(Token::Connection(number)) => self.on_connection(number),
            Some(Token::Joining(number)) => self.on_joiner(number),
            Some(Token::Pipe { session, pipe }) => {
                if let Some((session, tools)) = self.session(session) {
                    session.on_pipe(pipe, tools);
                }
            }
            Some(Token::Client { session, client }) => {
                if let Some((session, tools)) = self.session(session) {
                    session.on_client(client, event, tools);
                }
            }
            None => {}
        }
    }

    /// A session by number, and what it works with. One that is over is not found.
    fn session(&mut self, number: u32) -> Option<(&mut Session, &mut Tools)> {
        let execs = self.execs.iter_mut().map(|exec| &mut exec.session);
        let mut all = std::iter::once(&mut self.session).chain(execs);
        all.find(|session| session.number() == number)
            .map(|session| (session, &mut self.tools))
    }

    fn sessions(&self) -> impl Iterator<Item = &Session> {
        std::iter::once(&self.session).chain(self.execs.iter().map(|exec| &exec.session))
    }

    fn next_look(&self) -> Option<Instant> {
        let linger = match self.phase {
            Phase::Ended { until } => Some(until),
            _ => None,
        };
        self.sessions()
            .filter_map(Session::next_look)
            .chain(linger)
            .chain(self.listen_again)
            .chain(self.next_health())
            .chain(self.joiners.iter().map(Joiner::soonest))
            .min()
    }

    /// Looks at what time has brought, and at what events have completed.
    fn look(&mut self) {
        if self.listen_again.is_some_and(|at| at <= Instant::now()) {
            self.listen_again = None;
            self.listen(Some(Interest::READ));
        }
        self.give_up_late_joiners();
        self.session.look(&mut self.tools);
        for exec in &mut self.execs {
            exec.session.look(&mut self.tools);
        }
        for index in 0..self.execs.len() {
            self.tell_exec(index);
        }
        self.execs
            .retain(|exec| !exec.told || !exec.session.is_over());
        self.see_to_health();
        if let Phase::Ending { exit, finished, .. } = self.phase
            && self.session.is_complete()
        {
            self.finish(exit, finished);
        }
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        match socket::accept(listener, false) {
            Ok(Some(connection)) => self.add_connection(connection),
            Ok(None) => {}
            // Who connects stays in the queue, and the set would tell of that again at once.
            Err(_) => {
                self.listen(None);
                self.listen_again = Some(Instant::now() + BREATH);
            }
        }
    }

    fn listen(&mut self, wanted: Option<Interest>) {
        if let Some(listener) = &mut self.listener {
            listener.want(&self.tools.poller, wanted);
        }
    }

    fn add_connection(&mut self, fd: OwnedFd) {
        let connection = self.connection(fd);
        self.connections.push(connection);
    }

    pub(crate) fn connection(&mut self, fd: OwnedFd) -> Connection {
        let number = self.number();
        let mut source = Source::new(fd, Token::Connection(number));
        source.want(&self.tools.poller, Some(Interest::READ));
        Connection {
            number,
            source,
            watching: false,
        }
    }

    pub(crate) fn number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Reaps every child that has ended: the container's process, those of exec sessions, and
    /// orphans that fell to us.
    fn reap(&mut self) {
        while self.signals.next().is_ok_and(|signal| signal.is_some()) {}
        while let Ok(Some(reaped)) = spawn::reap_any() {
            self.on_end(reaped.pid, reaped.exit);
        }
    }

    fn on_end(&mut self, pid: i32, exit: Exit) {
        match self.phase {
            // Why is told to who starts it: the runtime knows. It may have been told to start by then, and be through.
            Phase::Created(process) if process.pid == pid && !self.shutting_down => {
                self.ended_early = Some(exit);
            }
            Phase::Created(process) if process.pid == pid => self.ending(process, false, exit),
            Phase::Started(process) if process.pid == pid => self.ending(process, true, exit),
            _ => {
                let mut running = self.execs.iter_mut().filter(|exec| exec.exit.is_none());
                if let Some(exec) = running.find(|exec| exec.process.pid == pid) {
                    exec.exit = Some(exit);
                    exec.session.process_ended(&mut self.tools);
                } else {
                    self.joiner_ended(pid, exit);
                }
            }
        }
    }

    pub(crate) fn ending(&mut self, process: ProcessRef, started: bool, exit: Exit) {
        self.phase = Phase::Ending {
            process,
            started,
            exit,
            finished: now(),
        };
        self.session.process_ended(&mut self.tools);
    }

    /// Tells of an exec session's end once its output has been passed on, and only then ends its
    /// client's connection: who sees that end finds the exit code known.
    fn tell_exec(&mut self, index: usize) {
        let exec = &self.execs[index];
        if let (Some(exit), false) = (exec.exit, exec.told)
            && exec.session.is_complete()
        {
            self.close_exec(index, exit);
        }
    }

    fn close_exec(&mut self, index: usize, exit: Exit) {
        let exec = &mut self.execs[index];
        exec.told = true;
        let (id, code) = (exec.id.clone(), exit.code());
        if exec.look {
            let output = exec.session.captured();
            exec.session.close_clients(&mut self.tools);
            self.looked(&id, code, output);
            return;
        }
        self.ended.push_back((id.clone(), code));
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
        self.notify(&Notice::ExecExited { id, code });
        self.execs[index].session.close_clients(&mut self.tools);
    }

    /// The container has ended and its output is in the log: the record, the notice, the clients,
    /// and then what is left of the container, which nobody waits for.
    fn finish(&mut self, exit: Exit, finished: i64) {
        self.session.finish_log(now());
        let oom_killed = self.backend.oom_killed();
        let record = ExitRecord {
            code: exit.code(),
            signal: exit.signal(),
            oom_killed,
            finished,
        };
        let watched = self
            .connections
            .iter()
            .any(|connection| connection.watching);
        self.trouble = exit_record::write(&self.launch.exit_record, &record, watched).err();
        self.notify(&Notice::Exited(record));
        self.session.close_clients(&mut self.tools);
        std::thread::sleep(COURTESY);
        self.end(Instant::now() + LINGER);
    }

    /// Removes what is left of the container and of its exec sessions, and stops to listen. Clients
    /// may take the last of their output until then.
    pub(crate) fn end(&mut self, until: Instant) {
        if let Err(failure) = self.backend.destroy() {
            self.trouble.get_or_insert(failure);
        }
        self.phase = Phase::Ended { until };
        self.turn_joiners_away();
        self.reap();
        for index in 0..self.execs.len() {
            if !self.execs[index].told {
                // Whatever was not our child to reap, the removal of the container killed.
                let exit = self.execs[index]
                    .exit
                    .unwrap_or(Exit::Signal(Signal::KILL.number()));
                self.close_exec(index, exit);
            }
        }
        self.session.close_clients(&mut self.tools);
        self.stop_listening();
        self.connections.clear();
    }

    fn stop_listening(&mut self) {
        self.listen_again = None;
        if let Some(listener) = self.listener.take() {
            drop(listener.take(&self.tools.poller));
            // Gone already if the daemon has removed the directory.
            let _ = std::fs::remove_file(self.launch.dir.join(protocol::SOCKET));
        }
    }

    /// Tells everybody who watches.
    pub(crate) fn notify(&mut self, notice: &Notice) {
        let text = protocol::encode(notice);
        // One who does not read loses the connection, connects anew, and is told then.
        self.connections
            .retain(|c| !c.watching || socket::try_send(&c.source, &text, &[]).is_ok());
    }
}

/// Fails if the launch says so.
pub(crate) fn fail_at(launch: &Launch, step: &str) -> Result<(), Failure> {
    match launch.fail_at.as_deref() == Some(step) {
        true => Err(Failure::new(
            types::ErrorKind::Internal,
            format!("{step}: made to fail"),
        )),
        false => Ok(()),
    }
}

/// Nanoseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Opens the log that the launch asks for.
pub(crate) fn open_log(launch: &Launch) -> Result<Option<Writer>, Failure> {
    let Some(path) = &launch.log else {
        return Ok(None);
    };
    let limits = shim::log::Limits {
        max_size: launch.log_max_size,
        max_files: launch.log_max_files,
        packer: launch
            .log_compress
            .then_some(packer::begin as shim::log::Packer),
    };
    Writer::open(path, limits)
        .map(Some)
        .map_err(Failure::of(format!("open the log {path:?}")))
}
