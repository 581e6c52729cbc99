//! What the daemon asks for, one function a call.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use oci_spec::runtime::{LinuxResources, Mount, Process, Spec};
use runtime::{CompiledFilter, Word};
use shim::protocol::{self, AttachOptions, Call, Filter, Notice, Reply, State, Streams};
use sys::pidfd::Exit;
use sys::socket;
use types::{ErrorKind, ExecId, ProcessRef, Signal};

use crate::backend::Begun;
use crate::failure::Failure;
use crate::joiner::Joiner;
use crate::looker::Looker;
use crate::server::{Connection, Exec, Phase, Server, fail_at, open_log};
use crate::session::Ends;
use crate::session::Session;
use crate::streams;

/// Longer than any configuration, seccomp profile included.
const CONFIG_LIMIT: usize = 16 << 20;

/// Without its filter no container is made.
fn compiled(filter: &Filter) -> Result<CompiledFilter, Failure> {
    let broken = || Failure::new(ErrorKind::Invalid, "the compiled filter is none".to_owned());
    filter.compiled().ok_or_else(broken)
}

/// Whether the next call is to start what is being made. It is answered in its turn.
fn is_start(caller: BorrowedFd<'_>) -> bool {
    let mut room = [0; 64];
    let there = socket::peek(caller, &mut room).ok();
    let call = there.and_then(|length| protocol::decode::<Call>(&room[..length]).ok());
    matches!(call, Some(Call::Start))
}

/// Exec sessions at one time. Each keeps a few descriptors and buffers in this one process.
const MAX_EXECS: usize = 1000;

impl Server {
    /// A call has come, or the caller has gone.
    pub(crate) fn on_connection(&mut self, number: u32) {
        let Some(index) = self.connections.iter().position(|c| c.number == number) else {
            return;
        };
        // Out of the list while it is answered: the answer may end everybody else's connection.
        let mut connection = self.connections.swap_remove(index);
        if self.converse(&mut connection).is_some() {
            self.connections.push(connection);
        } else {
            drop(connection.source.take(&self.tools.poller));
        }
    }

    /// None ends the connection.
    fn converse(&mut self, connection: &mut Connection) -> Option<()> {
        let message = match socket::try_receive(&connection.source) {
            Err(error) if error.errno == sys::Errno::AGAIN => return Some(()),
            message => message.ok().flatten()?,
        };
        let call = protocol::decode::<Call>(&message.bytes);
        if let (Ok(Call::Watch), [_, ..]) = (&call, &message.fds[..]) {
            return self.watch_on(connection, message.fds);
        }
        let watch = matches!(call, Ok(Call::Watch));
        let answer = call
            .map_err(|error| Failure::new(ErrorKind::Invalid, error.to_string()))
            .and_then(|call| self.answer(call, message.fds, connection));
        let reply = match answer {
            // Comes when the process has come to its command.
            Ok(None) => return Some(()),
            Ok(Some(reply)) => reply,
            Err(failure) => failure.into(),
        };
        connection.reply(&reply)?;
        if watch {
            connection.watching = true;
            self.tell_past(connection)?;
        }
        Some(())
    }

    /// Notices go to a connection that has come along.
    fn watch_on(&mut self, caller: &Connection, fds: Vec<OwnedFd>) -> Option<()> {
        for fd in fds {
            let mut watcher = self.connection(fd);
            watcher.watching = true;
            if self.tell_past(&watcher).is_some() {
                self.connections.push(watcher);
            }
        }
        caller.reply(&Reply::Done)
    }

    /// None if the answer comes later.
    fn answer(
        &mut self,
        call: Call,
        fds: Vec<OwnedFd>,
        caller: &Connection,
    ) -> Result<Option<Reply>, Failure> {
        let client = fds.into_iter().next();
        let reply = match call {
            Call::Create { filter } => self.create(filter.as_ref(), caller),
            Call::Start => self.start(),
            Call::Attach(options) => self.attach(client, options),
            Call::Exec {
                id,
                process,
                attach,
                console_size,
            } => {
                let client = client.map(|fd| (fd, attach));
                return self.exec(caller.number, id, &process, client, console_size);
            }
            Call::Kill { signal } => self.kill(signal),
            Call::Resize { exec, size } => self.resize(exec.as_ref(), size),
            Call::Update { resources } => self.update(&resources),
            Call::Mount { mount, given } => self.mount(&mount, given.as_ref()),
            Call::Unmount { target } => self.unmount(&target),
            Call::Health(plan) => Ok(self.look_after(plan)),
            Call::State => Ok(Reply::State(self.state())),
            Call::Watch => Ok(Reply::Done),
            Call::Shutdown => self.shut_down(),
        };
        reply.map(Some)
    }

    fn create(&mut self, filter: Option<&Filter>, caller: &Connection) -> Result<Reply, Failure> {
        if self.phase != Phase::Empty {
            return Err(Failure::conflict("the container has been created already"));
        }
        let logged = self.launch.log.as_ref().is_some_and(|path| path.exists());
        let answer = self.try_create(filter, caller);
        if answer.is_err() {
            self.end(Instant::now());
            if let (false, Some(path)) = (logged, &self.launch.log) {
                // Ours, and empty. It may not have come that far.
                let _ = std::fs::remove_file(path);
            }
        }
        answer
    }

    fn try_create(
        &mut self,
        filter: Option<&Filter>,
        caller: &Connection,
    ) -> Result<Reply, Failure> {
        fail_at(&self.launch, "shim-config")?;
        let filter = filter.map(compiled).transpose()?;
        let spec = self.read_spec()?;
        fail_at(&self.launch, "shim-log")?;
        let log = open_log(&self.launch)?;
        fail_at(&self.launch, "shim-streams")?;
        let terminal = spec.process().as_ref().is_some_and(has_terminal);
        let wanted = Streams {
            stdin: self.launch.open_stdin,
            stdout: true,
            stderr: true,
        };
        let (stdio, half) = streams::make(terminal, self.launch.console_size, wanted)?;
        let word = Word {
            source: caller.source.as_fd(),
            is_start,
        };
        let made = self.backend.create(&spec, filter.as_ref(), stdio, word)?;
        self.session.set_log(log);
        self.session
            .connect(half.complete(made.terminal), &mut self.tools);
        self.phase = Phase::Created(made.process);
        Ok(Reply::Process(made.process))
    }

    fn read_spec(&self) -> Result<Spec, Failure> {
        let path = self.launch.bundle.join("config.json");
        let what = format!("read {path:?}");
        let text = sys::fd::open_read(&path)
            .and_then(|file| sys::fd::read_to_end(file, CONFIG_LIMIT))
            .map_err(Failure::of(&what))?;
        serde_json::from_slice(&text).map_err(Failure::of(&what))
    }

    fn start(&mut self) -> Result<Reply, Failure> {
        let Phase::Created(process) = self.phase else {
            return Err(Failure::conflict(
                "the container is not waiting to be started",
            ));
        };
        let started = fail_at(&self.launch, "shim-start")
            .and_then(|()| self.backend.start())
            .and_then(|()| fail_at(&self.launch, "shim-started"));
        if let Err(failure) = started {
            self.end(Instant::now());
            return Err(failure);
        }
        self.phase = Phase::Started(process);
        if let Some(exit) = self.ended_early.take() {
            self.ending(process, true, exit);
        }
        Ok(Reply::Process(process))
    }

    fn attach(
        &mut self,
        client: Option<OwnedFd>,
        options: AttachOptions,
    ) -> Result<Reply, Failure> {
        let client = client.ok_or_else(no_client)?;
        match self.phase {
            Phase::Empty | Phase::Created(_) | Phase::Started(_) => {
                self.session.attach(client, options, &mut self.tools);
                Ok(Reply::Done)
            }
            Phase::Ending { .. } | Phase::Ended { .. } => Err(ended()),
        }
    }

    fn exec(
        &mut self,
        caller: u32,
        id: ExecId,
        process: &str,
        client: Option<(OwnedFd, AttachOptions)>,
        size: [u16; 2],
    ) -> Result<Option<Reply>, Failure> {
        if !matches!(self.phase, Phase::Started(_)) {
            return Err(Failure::conflict("the container is not running"));
        }
        let joins = self.joiners.iter().any(|joiner| joiner.id == id);
        if joins || self.execs.iter().any(|exec| exec.id == id) {
            return Err(Failure::conflict(
                "the exec session has been started already",
            ));
        }
        if self.execs.len() + self.joiners.len() >= MAX_EXECS {
            return Err(Failure::conflict(&format!(
                "the container has {MAX_EXECS} exec sessions, which is the most at one time"
            )));
        }
        let process: Process = serde_json::from_str(process).map_err(|e| {
            Failure::new(ErrorKind::Invalid, format!("the process is not OCI's: {e}"))
        })?;
        let wanted = client
            .as_ref()
            .map(|(_, options)| options.streams)
            .unwrap_or_default();
        let (stdio, half) = streams::make(has_terminal(&process), size, wanted)?;
        match self.backend.begin_exec(&process, stdio)? {
            Begun::Made(made) => {
                let ends = half.complete(made.terminal);
                Ok(Some(self.add_exec(id, client, ends, made.process, None)))
            }
            Begun::Joining(joining) => {
                self.add_joiner(Joiner {
                    number: 0,
                    caller,
                    id,
                    client,
                    half,
                    joining,
                    exit: None,
                    ask: None,
                });
                Ok(None)
            }
        }
    }

    /// A session of a process whose command runs, or has run to its end already.
    pub(crate) fn add_exec(
        &mut self,
        id: ExecId,
        client: Option<(OwnedFd, AttachOptions)>,
        ends: Ends,
        process: ProcessRef,
        exit: Option<Exit>,
    ) -> Reply {
        let mut session = Session::new(self.number(), true);
        let look = self.is_look(&id);
        if look {
            session.capture();
        }
        if let Some((fd, options)) = client {
            session.attach(fd, options, &mut self.tools);
        }
        session.connect(ends, &mut self.tools);
        if exit.is_some() {
            session.process_ended(&mut self.tools);
        }
        self.execs.push(Exec {
            id,
            process,
            session,
            exit,
            told: false,
            look,
        });
        Reply::Process(process)
    }

    fn kill(&mut self, signal: Signal) -> Result<Reply, Failure> {
        match self.phase {
            Phase::Created(_) | Phase::Started(_) => {
                self.backend.kill(signal)?;
                Ok(Reply::Done)
            }
            Phase::Empty | Phase::Ending { .. } | Phase::Ended { .. } => {
                Err(Failure::conflict("the container is not running"))
            }
        }
    }

    fn resize(&mut self, exec: Option<&ExecId>, size: [u16; 2]) -> Result<Reply, Failure> {
        let session = match exec {
            None => &self.session,
            Some(id) => {
                let exec = self.execs.iter().find(|exec| exec.id == *id);
                &exec
                    .ok_or_else(|| Failure::conflict("the exec session is not running"))?
                    .session
            }
        };
        let terminal = session
            .terminal()
            .ok_or_else(|| Failure::conflict("it has no terminal"))?;
        sys::pty::set_size(terminal, size[0], size[1])
            .map_err(Failure::of("change the terminal's size"))?;
        Ok(Reply::Done)
    }

    fn update(&self, resources: &str) -> Result<Reply, Failure> {
        if !matches!(self.phase, Phase::Started(_)) {
            return Err(Failure::conflict("the container is not running"));
        }
        let resources: LinuxResources = serde_json::from_str(resources).map_err(|e| {
            Failure::new(ErrorKind::Invalid, format!("the limits are not OCI's: {e}"))
        })?;
        self.backend.update(&resources)?;
        Ok(Reply::Done)
    }

    fn mount(&self, mount: &str, given: Option<&types::Mount>) -> Result<Reply, Failure> {
        if !matches!(self.phase, Phase::Started(_)) {
            return Err(Failure::conflict("the container is not running"));
        }
        let mount: Mount = serde_json::from_str(mount).map_err(|e| {
            Failure::new(ErrorKind::Invalid, format!("the mount is not OCI's: {e}"))
        })?;
        self.backend.mount(&mount, given)?;
        Ok(Reply::Done)
    }

    fn unmount(&self, target: &Path) -> Result<Reply, Failure> {
        if !matches!(self.phase, Phase::Started(_)) {
            return Err(Failure::conflict("the container is not running"));
        }
        self.backend.unmount(target)?;
        Ok(Reply::Done)
    }

    fn state(&self) -> State {
        let (process, started) = match self.phase {
            Phase::Empty | Phase::Ended { .. } => (None, false),
            Phase::Created(process) => (Some(process), false),
            Phase::Started(process) => (Some(process), true),
            Phase::Ending {
                process, started, ..
            } => (Some(process), started),
        };
        let running = self.execs.iter().filter(|exec| !exec.told && !exec.look);
        let running = running.map(|exec| (exec.id.clone(), None));
        let ended = self
            .ended
            .iter()
            .map(|(id, code)| (id.clone(), Some(*code)));
        // Once the container has ended nobody is answered any more: the record is on disk then.
        State {
            process,
            started,
            exited: None,
            execs: running.chain(ended).collect(),
        }
    }

    /// What a new watcher may have missed.
    fn tell_past(&self, connection: &Connection) -> Option<()> {
        for (id, code) in &self.ended {
            let notice = Notice::ExecExited {
                id: id.clone(),
                code: *code,
            };
            socket::try_send(&connection.source, &protocol::encode(&notice), &[]).ok()?;
        }
        for notice in self.looker.iter().flat_map(Looker::past) {
            socket::try_send(&connection.source, &protocol::encode(&notice), &[]).ok()?;
        }
        Some(())
    }

    fn shut_down(&mut self) -> Result<Reply, Failure> {
        self.shutting_down = true;
        match self.phase {
            Phase::Empty => self.end(Instant::now()),
            // The end is told and recorded as any other.
            Phase::Created(_) | Phase::Started(_) => {
                if self.backend.kill(Signal::KILL).is_err() {
                    // It has ended and been reaped already, waiting for a start.
                    self.end(Instant::now());
                }
            }
            Phase::Ending { .. } | Phase::Ended { .. } => {}
        }
        Ok(Reply::Done)
    }
}

fn has_terminal(process: &Process) -> bool {
    process.terminal().unwrap_or(false)
}

fn no_client() -> Failure {
    Failure::new(ErrorKind::Invalid, "no client's socket came along")
}

fn ended() -> Failure {
    Failure::conflict("the container has ended")
}
