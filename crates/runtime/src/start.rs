//! Opening the gate.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use oci_spec::runtime::Spec;
use types::Signal;

use crate::Saved;
use crate::container::Container;
use crate::create::{Created, ended};
use crate::error::{Doing, Error};
use crate::hooks::{self, HookState};
use crate::protocol::{FromInit, MakerEnd, ToInit};
use crate::supervisor::{PATIENCE, Supervised, Supervisor};

impl Created {
    /// Opens the gate and returns when the command has been executed, or says why it was not; then
    /// nothing is left of the container.
    pub fn start(self) -> Result<Container, Error> {
        let started = self
            .open_own_gate()
            .and_then(|()| self.container.run_poststart_hooks());
        match started {
            Ok(()) => Ok(self.container),
            Err(error) => {
                // The first error is the one that says why.
                let _ = self.container.kill_and_destroy();
                Err(error)
            }
        }
    }

    fn open_own_gate(&self) -> Result<(), Error> {
        let container = &self.container;
        let said = match self.is_told {
            true => Ok(()),
            false => self.channel.send(ToInit::Start),
        };
        let program = container.seccomp.as_ref();
        let supervisor = program.and_then(|program| program.supervisor.as_ref());
        let limited = (!self.has_start_hooks).then_some(supervisor).flatten();
        let ends = (said, Some(container.pidfd()), limited);
        hear_out(&self.channel, ends, |message| {
            let whose = Supervised {
                pid: self.process.pid,
                pidfd: container.pidfd().as_fd(),
                container: container.hook_state(),
                status: "created",
                first: self.process.pid,
            };
            Supervisor::serve(supervisor, &self.channel, message, &whose)
        })
    }
}

/// Opens the gate of a container that another process created with [`crate::CreateRequest::gate`]:
/// connects to the socket at `path`, and returns when the command has been executed, or says why it
/// was not.
pub fn open_gate(path: &Path, saved: &Saved, spec: &Spec) -> Result<(), Error> {
    let connection = sys::socket::connect(path, sys::socket::Kind::Messages)
        .doing(|| format!("connect to the gate {}", path.display()))?;
    let channel = MakerEnd::from_fd(connection);
    let said = channel.send(ToInit::Start);
    let supervisor = Supervisor::of(spec);
    let has_hooks = !hooks::list(spec, |hooks| hooks.start_container()).is_empty();
    let limited = supervisor.as_ref().filter(|_| !has_hooks);
    let heard = hear_out(&channel, (said, None, limited), |message| {
        let pid = saved.process.pid;
        let pidfd = sys::proc::open(saved.process).doing(|| format!("find process {pid}"))?;
        let pidfd = pidfd.ok_or_else(|| Error::Ended {
            how: "it is gone".to_owned(),
        })?;
        let whose = Supervised {
            pid,
            pidfd: pidfd.as_fd(),
            container: HookState::new(spec, &saved.id, &saved.bundle),
            status: "created",
            first: pid,
        };
        Supervisor::serve(supervisor.as_ref(), &channel, message, &whose)
    });
    if matches!(heard, Err(Error::Undecided { .. } | Error::Agent { .. })) {
        // It must not run its command later, when the start has failed.
        let process = sys::proc::open(saved.process);
        if let Some(pidfd) = process.doing(|| "find the process".to_owned())? {
            let _ = sys::pidfd::send_signal(pidfd, Signal::KILL);
        }
    }
    heard
}

/// Hears the process out once start was `said` to it; what a supervised filter says goes to
/// `supervise`. From then on it waits for its agent, and this for both: for so long only, if the
/// agent is `limited`, because nothing but the agent can hold the process up.
fn hear_out(
    channel: &MakerEnd,
    (said, pidfd, limited): (Result<(), Error>, Option<&OwnedFd>, Option<&Supervisor>),
    supervise: impl Fn((FromInit, Vec<OwnedFd>)) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut end = None;
    // The process may have ended meanwhile; what it said before is still to be read.
    loop {
        await_word(channel, end, limited)?;
        match (channel.receive()?, &said) {
            (None, Ok(())) => return Ok(()),
            (Some((FromInit::Failed(failure), _)), _) => return Err(failure.into()),
            (Some(message), _) if message.0.is_listener() => {
                supervise(message)?;
                end = limited.map(|_| Instant::now() + PATIENCE);
            }
            (Some((answer, _)), _) => {
                return Err(Error::Protocol {
                    answer: format!("{answer:?}"),
                });
            }
            (None, Err(_)) => break,
        }
    }
    said.map_err(|error| pidfd.map_or(error, ended))
}

fn await_word(
    channel: &MakerEnd,
    end: Option<Instant>,
    agent: Option<&Supervisor>,
) -> Result<(), Error> {
    let Some(end) = end else {
        return Ok(());
    };
    let left = end.saturating_duration_since(Instant::now());
    let spoken = sys::event::readable_within(channel, left);
    match spoken.doing(|| "hear the process".to_owned())? {
        true => Ok(()),
        false => Err(Supervisor::silent(agent)),
    }
}
