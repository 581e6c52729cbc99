//! `runtime`, linked into this process: no command is executed on the way.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxResources, Mount as OciMount, Process, Spec};
use runtime::{
    CompiledFilter, Container, CreateRequest, Created, ExecRequest, Joining, Network, Stdio, Word,
};
use shim::protocol::Launch;
use types::{Mount, Signal};

use super::{Ahead, Backend, Begun, Made};
use crate::failure::Failure;

/// A container of our own runtime.
#[derive(Debug)]
pub(crate) struct Linked {
    id: String,
    bundle: PathBuf,
    rootfs: Vec<Mount>,
    fail_at: Option<String>,
    ahead: Ahead,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Absent,
    Created(Created),
    Running(Container),
}

impl Linked {
    pub(crate) fn new(launch: &Launch, ahead: Ahead) -> Self {
        Self {
            id: launch.id.clone(),
            bundle: launch.bundle.clone(),
            rootfs: launch.rootfs.clone(),
            fail_at: launch.fail_at.clone(),
            ahead,
            phase: Phase::Absent,
        }
    }

    fn take(&mut self) -> Phase {
        std::mem::replace(&mut self.phase, Phase::Absent)
    }
}

impl Backend for Linked {
    fn prepare(&mut self) {
        self.ahead.groundwork.lay(&self.rootfs);
    }

    fn create(
        &mut self,
        spec: &Spec,
        filter: Option<&CompiledFilter>,
        stdio: Stdio,
        word: Word<'_>,
    ) -> Result<Made, Failure> {
        let mut created = runtime::create(CreateRequest {
            id: &self.id,
            bundle: &self.bundle,
            spec,
            rootfs: &self.rootfs,
            start_at_once: false,
            word: Some(word),
            stdio,
            // Nobody could reap it, read its output or answer for it.
            parent_death_signal: Some(Signal::KILL),
            gate: None,
            network: self.ahead.network.take().or_else(|| Network::begin(spec)),
            filter,
            groundwork: Some(std::mem::take(&mut self.ahead.groundwork)),
            cgroup_driver: runtime::CgroupDriver::Direct,
            rootless: runtime::Rootless::No,
            preserve_fds: 0,
            new_keyring: true,
            no_pivot: false,
            note_mounts_in: None,
            meanwhile: None,
            fail_at: self.fail_at.as_deref(),
        })?;
        let made = Made {
            process: created.process,
            terminal: created.terminal.take(),
        };
        self.phase = Phase::Created(created);
        Ok(made)
    }

    fn start(&mut self) -> Result<(), Failure> {
        match self.take() {
            Phase::Created(created) => {
                self.phase = Phase::Running(created.start()?);
                Ok(())
            }
            phase => {
                self.phase = phase;
                Err(Failure::conflict(
                    "the container is not waiting to be started",
                ))
            }
        }
    }

    fn begin_exec(&mut self, process: &Process, stdio: Stdio) -> Result<Begun, Failure> {
        let Phase::Running(container) = &self.phase else {
            return Err(Failure::conflict("the container is not running"));
        };
        let joining = container.begin_exec(&ExecRequest {
            process,
            stdio,
            preserve_fds: 0,
            new_keyring: true,
            cgroups: &[],
            meanwhile: None,
        })?;
        Ok(Begun::Joining(joining))
    }

    fn advance_exec(&mut self, joining: &mut Joining) -> Result<bool, Failure> {
        let Phase::Running(container) = &self.phase else {
            return Err(Failure::conflict("the container is not running"));
        };
        Ok(container.advance_exec(joining)?)
    }

    fn kill(&mut self, signal: Signal) -> Result<(), Failure> {
        match &self.phase {
            Phase::Created(created) => sys::pidfd::send_signal(created.pidfd(), signal)
                .map_err(Failure::of("signal the container's process")),
            Phase::Running(container) => Ok(container.kill(signal)?),
            Phase::Absent => Err(Failure::conflict("the container is not running")),
        }
    }

    fn update(&self, resources: &LinuxResources) -> Result<(), Failure> {
        let Phase::Running(container) = &self.phase else {
            return Err(Failure::conflict("the container is not running"));
        };
        Ok(container.update(resources)?)
    }

    fn mount(&self, mount: &OciMount, given: Option<&Mount>) -> Result<(), Failure> {
        let Phase::Running(container) = &self.phase else {
            return Err(Failure::conflict("the container is not running"));
        };
        Ok(container.mount(mount, given)?)
    }

    fn unmount(&self, target: &Path) -> Result<(), Failure> {
        let Phase::Running(container) = &self.phase else {
            return Err(Failure::conflict("the container is not running"));
        };
        Ok(container.unmount(target)?)
    }

    fn is_frozen(&self) -> bool {
        matches!(&self.phase, Phase::Running(container) if container.is_paused())
    }

    fn oom_killed(&self) -> bool {
        match &self.phase {
            Phase::Running(container) => container.oom_killed(),
            Phase::Created(_) | Phase::Absent => false,
        }
    }

    fn destroy(&mut self) -> Result<(), Failure> {
        match self.take() {
            Phase::Created(created) => Ok(created.destroy()?),
            Phase::Running(container) => Ok(container.destroy()?),
            Phase::Absent => Ok(()),
        }
    }
}
