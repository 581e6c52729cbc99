//! What a shim is asked until a container runs, one call after the other before the first is answered.

use std::os::fd::AsFd;

use shim::{Call, Calls, Filter, Reply, Shim, Watch};
use types::ProcessRef;

use crate::Error;
use crate::table::{Container, Pending};

/// A container that is being made.
pub(super) struct Making<'a> {
    container: &'a Container,
    calls: Calls<'a>,
    /// What is asked before all else, and answered at once.
    before: usize,
    gate_opens: bool,
}

impl<'a> Making<'a> {
    /// Hands over the clients that wait, so that no byte is missed, asks for notices, and has the container made.
    pub(super) fn begin(
        container: &'a Container,
        shim: &'a Shim,
        clients: Vec<Pending>,
        filter: Option<Filter>,
    ) -> Result<(Self, Watch), Error> {
        let mut calls = shim.calls().map_err(Error::Task)?;
        for client in &clients {
            let call = Call::Attach(client.options.clone());
            calls
                .ask(&call, &[client.client.as_fd()])
                .map_err(Error::Task)?;
        }
        let watch = calls.watch().map_err(Error::Task)?;
        let create = Call::Create { filter };
        calls.ask(&create, &[]).map_err(Error::Task)?;
        let making = Self {
            container,
            calls,
            before: clients.len() + 1,
            gate_opens: false,
        };
        Ok((making, watch))
    }

    /// Has its command run as soon as it is made, unless that was asked for before: nothing that may fail is
    /// left to do.
    pub(super) fn open_gate(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.gate_opens, true) {
            return Ok(());
        }
        self.calls.ask(&Call::Start, &[]).map_err(Error::Task)
    }

    /// Waits until it is made.
    pub(super) fn made(&mut self) -> Result<ProcessRef, Error> {
        for _ in 0..self.before {
            self.calls.answer().map_err(Error::Task)?;
        }
        self.process("create")
    }

    /// Waits until its command runs.
    pub(super) fn started(mut self) -> Result<ProcessRef, Error> {
        self.process("start")
    }

    fn process(&mut self, what: &'static str) -> Result<ProcessRef, Error> {
        match self.calls.answer().map_err(Error::Task)? {
            Reply::Process(process) => Ok(process),
            Reply::Done | Reply::State(_) | Reply::Failed { .. } => Err(Error::Answer {
                what,
                id: self.container.id().clone(),
            }),
        }
    }
}
