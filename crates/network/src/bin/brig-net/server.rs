//! The loop, and what it holds together.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use network::keeper::{Change, Model, protocol};
use sys::event::{Event, Interest, Poller};
use sys::file::Lock;
use sys::inotify::Changes;
use sys::socket::{self, Kind};

use crate::failure::Failure;
use crate::handover::Taken;
use crate::host::Host;
use crate::ports::Ports;
use crate::resolving::Resolving;
use crate::rules::Rules;
use crate::state::{self, State};
use crate::token::Token;

/// How long to let a listener alone that cannot accept.
const BREATH: Duration = Duration::from_millis(100);

/// Everything that is kept.
pub(crate) struct Server {
    pub(crate) dir: PathBuf,
    pub(crate) poller: Poller,
    pub(crate) model: Model,
    pub(crate) state: State,
    pub(crate) resolving: Resolving,
    pub(crate) ports: Ports,
    pub(crate) rules: Rules,
    pub(crate) host: Host,
    pub(crate) callers: HashMap<u32, OwnedFd>,
    listener: Option<OwnedFd>,
    listen_again: Option<Instant>,
    /// Readable when something in the directory is gone, as it is when all of it goes.
    end: Changes,
    lock: Option<Lock>,
    next_caller: u32,
    /// Nothing is kept any more: it ends when nothing is passed on any more.
    pub(crate) leaving: bool,
}

impl Server {
    /// Goes on where another has left, or where this directory's state says.
    pub(crate) fn begin(dir: PathBuf, lock: Lock, taken: Taken) -> Result<Self, Failure> {
        let mut taken = taken;
        let model = taken.model.take().unwrap_or_else(|| State::load(&dir));
        let poller = Poller::new().map_err(Failure::of("make an epoll set"))?;
        let listener = socket::listen(&dir.join(protocol::SOCKET), Kind::Messages);
        let listener = listener.map_err(Failure::of("listen"))?;
        let end = Changes::of_removals(&dir).map_err(Failure::of(format!("watch {dir:?}")))?;
        let watched = [
            (listener.as_fd(), Token::Listener),
            (end.as_fd(), Token::Directory),
        ];
        for (fd, token) in watched {
            let added = poller.add(fd, token.into(), Interest::READ);
            added.map_err(Failure::of("wait for callers"))?;
        }
        let mut server = Self {
            state: State::begin(&dir, &Model::default())?,
            dir,
            poller,
            model: Model::default(),
            resolving: Resolving::default(),
            ports: Ports::default(),
            rules: Rules::default(),
            host: Host::default(),
            callers: HashMap::new(),
            listener: Some(listener),
            listen_again: None,
            end,
            lock: Some(lock),
            next_caller: 0,
            leaving: false,
        };
        let (left_out, failed) = server.replace(model, &mut taken);
        for failure in left_out.into_iter().chain(failed) {
            server.log(&failure.message);
        }
        Ok(server)
    }

    /// Serves until there is nothing to keep and somebody has said so.
    pub(crate) fn run(mut self, first: Option<OwnedFd>) -> Result<(), Failure> {
        if let Some(first) = first {
            self.add_caller(first);
        }
        let mut events = Vec::new();
        while !(self.leaving && self.ports.passing.connections() == 0) {
            let now = Instant::now();
            let limit = self.deadline().map(|at| at.saturating_duration_since(now));
            let waited = self.poller.wait(limit, &mut events);
            waited.map_err(Failure::of("wait for events"))?;
            let now = Instant::now();
            for event in &events {
                self.dispatch(*event, now);
            }
            self.look(now);
        }
        Ok(())
    }

    fn dispatch(&mut self, event: Event, now: Instant) {
        let poller = &self.poller;
        match Token::from_event(event.token) {
            Some(Token::Listener) => self.accept(now),
            Some(Token::Caller(number)) => self.on_caller(number),
            Some(Token::Directory) => self.on_directory(),
            Some(Token::Host) => self.follow_host(),
            Some(Token::Rules) => {
                if let Some(rules) = &self.model.rules {
                    self.rules.on_news(rules, now);
                }
            }
            Some(Token::Datagrams(number)) => self.resolving.on_datagrams(poller, number, now),
            Some(Token::Streams(number)) => self.resolving.on_streams(poller, number, now),
            Some(Token::Process(number)) => self.on_process(number),
            Some(Token::Stream(number)) => self.resolving.on_stream(poller, number, event, now),
            Some(Token::Upstream { question, attempt }) => {
                self.resolving
                    .on_upstream(poller, (question, attempt), event, now);
            }
            Some(Token::Port(number)) => {
                let rules = self.model.rules.as_ref();
                self.ports.on_port(poller, number, rules, now);
            }
            Some(Token::Passed(number, side)) => {
                self.ports.passing.on_side(poller, number, side, event);
            }
            Some(Token::Session { port, session }) => self.ports.on_session(port, session, now),
            None => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let all = [
            self.resolving.deadline(),
            self.ports.deadline(),
            self.rules.deadline(),
            self.listen_again,
        ];
        all.into_iter().flatten().min()
    }

    fn look(&mut self, now: Instant) {
        self.resolving.look(&self.poller, now);
        self.ports.look(&self.poller, now);
        let word = match &self.model.rules {
            Some(rules) => self.rules.look(rules, now),
            None => None,
        };
        if let Some(word) = word {
            self.log(&word);
        }
        if self.listen_again.is_some_and(|at| at <= now) {
            self.listen_again = None;
            if let Some(listener) = &self.listener {
                // Then nobody new can call, and a new keeper can still be started.
                let _ = self
                    .poller
                    .add(listener, Token::Listener.into(), Interest::READ);
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        let Some(listener) = &self.listener else {
            return;
        };
        match socket::accept(listener, false) {
            Ok(Some(caller)) => self.add_caller(caller),
            Ok(None) => {}
            // Who connects stays in the queue, and the set would tell of that again at once.
            Err(_) => {
                let _ = self.poller.remove(listener);
                self.listen_again = Some(now + BREATH);
            }
        }
    }

    fn add_caller(&mut self, fd: OwnedFd) {
        self.next_caller = self.next_caller.wrapping_add(1);
        let token = Token::Caller(self.next_caller);
        // One that cannot be waited for is not kept: it hears that at once.
        if self.poller.add(&fd, token.into(), Interest::READ).is_ok() {
            self.callers.insert(self.next_caller, fd);
        }
    }

    /// The host's resolvers are these now.
    pub(crate) fn follow_host(&mut self) {
        let resolvers = self.host.read();
        for watch in self.host.watches() {
            // Then a change is not seen, and brigd's next word about settings makes up for it.
            let _ = self.poller.add(watch, Token::Host.into(), Interest::READ);
        }
        if !self
            .resolving
            .resolver
            .upstreams()
            .eq(resolvers.iter().copied())
        {
            self.resolving.resolver.set_upstreams(&resolvers);
        }
    }

    /// Waits for news about nftables, if it did not yet.
    pub(crate) fn watch_rules(&mut self) {
        if let Some(watch) = self.rules.watch() {
            // Already there after the first time.
            let _ = self.poller.add(watch, Token::Rules.into(), Interest::READ);
        }
    }

    /// A container's process has ended, whether or not there is a daemon to say so.
    fn on_process(&mut self, number: u32) {
        let Some(id) = self.resolving.ended(number) else {
            return;
        };
        let networks = self.model.networks.iter();
        let on = networks.filter(|(_, network)| network.endpoints.contains_key(&id));
        let mut changes: Vec<_> = on
            .map(|(network, _)| Change::NoEndpoint {
                network: network.clone(),
                id: id.clone(),
            })
            .collect();
        changes.push(Change::NoView { id });
        if let Err(failure) = self.apply(changes, Vec::new()) {
            self.log(&failure.message);
        }
    }

    /// The run root is gone: so is Brig, from this machine.
    fn on_directory(&mut self) {
        // Nobody can be told if it fails.
        let _ = self.end.drain();
        if self.dir.join(protocol::LOCK).exists() {
            return;
        }
        if let Some(rules) = self.model.rules.take() {
            let _ = self.rules.remove(&rules.table);
        }
        self.leave();
    }

    /// Keeps nothing any more but what is being passed on.
    pub(crate) fn leave(&mut self) {
        self.listener = None;
        self.resolving.abandon();
        self.ports.abandon();
        self.rules = Rules::default();
        self.host = Host::default();
        self.model = Model::default();
        self.lock = None;
        self.leaving = true;
    }

    pub(crate) fn log(&self, text: &str) {
        state::log(&self.dir, text);
    }
}
