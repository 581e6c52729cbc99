//! Processes on their way to the command of an exec session. Somebody in the container may hold them
//! up, which must not hold up this one thread: who asked for them is answered when they are there.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use runtime::Joining;
use shim::protocol::{self, AttachOptions, Reply};
use sys::event::Interest;
use sys::pidfd::Exit;
use sys::socket;
use types::ExecId;

use crate::failure::Failure;
use crate::server::{Connection, Server};
use crate::source::Token;
use crate::streams::Half;

/// The caller of a look at the container's health: no connection has this number.
pub(crate) const NOBODY: u32 = 0;

/// After how long it is asked whether the container stands still, and how long after that again: a process
/// that is frozen with it says nothing.
const BREATH: Duration = Duration::from_millis(100);

/// One of them, and what becomes of it.
#[derive(Debug)]
pub(crate) struct Joiner {
    pub(crate) number: u32,
    /// The connection to answer.
    pub(crate) caller: u32,
    pub(crate) id: ExecId,
    pub(crate) client: Option<(OwnedFd, AttachOptions)>,
    pub(crate) half: Half,
    pub(crate) joining: Joining,
    /// Who has been reaped: the command's process, or the one that went before it.
    pub(crate) exit: Option<(i32, Exit)>,
    /// When it is asked whether the container stands still. Never of a look: it is not made then.
    pub(crate) ask: Option<Instant>,
}

impl Joiner {
    /// When somebody is to be answered who has waited for long enough.
    pub(crate) fn soonest(&self) -> Instant {
        let deadline = self.joining.deadline();
        self.ask.map_or(deadline, |ask| ask.min(deadline))
    }
}

impl Connection {
    /// None if the caller does not take it, which ends the connection.
    pub(crate) fn reply(&self, reply: &Reply) -> Option<()> {
        socket::try_send(&self.source, &protocol::encode(reply), &[]).ok()
    }
}

impl Server {
    pub(crate) fn add_joiner(&mut self, mut joiner: Joiner) {
        joiner.number = self.number();
        joiner.ask = (joiner.caller != NOBODY).then(|| Instant::now() + BREATH);
        let token = Token::Joining(joiner.number).into();
        let watched = self
            .tools
            .poller
            .add(joiner.joining.as_fd(), token, Interest::READ);
        match watched {
            Ok(()) => self.joiners.push(joiner),
            Err(error) => self.refuse(joiner, Failure::of("watch a process")(error)),
        }
    }

    /// It has something to say, or its command runs.
    pub(crate) fn on_joiner(&mut self, number: u32) {
        let found = self.joiners.iter().position(|j| j.number == number);
        let Some(mut joiner) = found.map(|index| self.joiners.swap_remove(index)) else {
            return;
        };
        match self.backend.advance_exec(&mut joiner.joining) {
            Ok(false) => self.joiners.push(joiner),
            Ok(true) => self.admit(joiner),
            Err(failure) => self.refuse(joiner, failure),
        }
    }

    fn admit(&mut self, joiner: Joiner) {
        let _ = self.tools.poller.remove(joiner.joining.as_fd());
        let process = joiner.joining.process();
        let executed = joiner.joining.finish();
        let own = joiner.exit.filter(|(pid, _)| *pid == process.pid);
        let exit = own.map(|(_, exit)| exit);
        let ends = joiner.half.complete(executed.terminal);
        let reply = self.add_exec(joiner.id, joiner.client, ends, process, exit);
        self.answer_later(joiner.caller, &reply);
    }

    fn refuse(&mut self, joiner: Joiner, failure: Failure) {
        let _ = self.tools.poller.remove(joiner.joining.as_fd());
        joiner.joining.kill();
        if joiner.caller == NOBODY {
            return self.look_failed(&joiner.id, failure);
        }
        self.answer_later(joiner.caller, &Reply::from(failure));
    }

    /// Who has gone meanwhile finds the session by its id when it comes again.
    fn answer_later(&mut self, caller: u32, reply: &Reply) {
        let found = self.connections.iter().position(|c| c.number == caller);
        let Some(index) = found else { return };
        if self.connections[index].reply(reply).is_none() {
            let connection = self.connections.swap_remove(index);
            drop(connection.source.take(&self.tools.poller));
        }
    }

    pub(crate) fn give_up_late_joiners(&mut self) {
        let now = Instant::now();
        self.turn_frozen_away(now);
        let late = self.joiners.iter();
        let late = late.filter(|joiner| joiner.joining.deadline() <= now);
        let late: Vec<_> = late.map(|joiner| joiner.number).collect();
        for number in late {
            // The backend, which has set the deadline, says that it is late.
            self.on_joiner(number);
        }
    }

    /// Where the container was frozen while they were on their way, nobody knows when they will be there. A process
    /// that is frozen may end no earlier than it goes on.
    fn turn_frozen_away(&mut self, now: Instant) {
        let due = |joiner: &Joiner| joiner.ask.is_some_and(|ask| ask <= now);
        if !self.joiners.iter().any(due) {
            return;
        }
        let frozen = self.backend.is_frozen();
        for mut joiner in std::mem::take(&mut self.joiners) {
            if !due(&joiner) {
                self.joiners.push(joiner);
            } else if frozen {
                let what = "the container is paused, unpause it before exec";
                self.refuse(joiner, Failure::conflict(what));
            } else {
                joiner.ask = Some(now + BREATH);
                self.joiners.push(joiner);
            }
        }
    }

    /// A command can be so short that its end is heard of first.
    pub(crate) fn joiner_ended(&mut self, pid: i32, exit: Exit) {
        let mut joiners = self.joiners.iter_mut();
        if let Some(joiner) = joiners.find(|joiner| joiner.joining.process().pid == pid) {
            joiner.exit = Some((pid, exit));
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn turn_away(&mut self, id: &ExecId) {
        let found = self.joiners.iter().position(|joiner| joiner.id == *id);
        if let Some(joiner) = found.map(|index| self.joiners.swap_remove(index)) {
            self.refuse(joiner, Failure::conflict("it takes too long"));
        }
    }

    /// The container is gone.
    pub(crate) fn turn_joiners_away(&mut self) {
        for joiner in std::mem::take(&mut self.joiners) {
            self.refuse(joiner, Failure::conflict("the container has ended"));
        }
    }
}
