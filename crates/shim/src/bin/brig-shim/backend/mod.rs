//! What makes and ends containers: the runtime in this process, or another one by its command line.

mod foreign;
mod linked;

use std::os::fd::OwnedFd;
use std::path::Path;

use oci_spec::runtime::{LinuxResources, Mount as OciMount, Process, Spec};
use runtime::{CompiledFilter, Groundwork, Joining, Network, Stdio, Word};
use shim::protocol::Launch;
use types::{Mount, ProcessRef, Signal};

use crate::failure::Failure;

/// The life of one container, call by call, in this order: `create`, `start`, any number of `exec`
/// and `kill`, and `destroy` when its first process has been reaped.
pub(crate) trait Backend {
    /// Makes what needs no configuration, while that is being written.
    fn prepare(&mut self) {}

    /// Makes the container; its process waits, but not if the word to go on is there before it is ready. A failure
    /// leaves nothing. A filter takes the place of the configuration's.
    fn create(
        &mut self,
        spec: &Spec,
        filter: Option<&CompiledFilter>,
        stdio: Stdio,
        word: Word<'_>,
    ) -> Result<Made, Failure>;

    /// Lets the command run. A failure leaves nothing.
    fn start(&mut self) -> Result<(), Failure>;

    /// Begins to run another process in the container.
    fn begin_exec(&mut self, process: &Process, stdio: Stdio) -> Result<Begun, Failure>;

    /// Hears, without waiting, what became of it; whether its command has been executed. After a
    /// failure it is to be killed.
    fn advance_exec(&mut self, joining: &mut Joining) -> Result<bool, Failure>;

    /// Signals the first process.
    fn kill(&mut self, signal: Signal) -> Result<(), Failure>;

    /// Changes its limits to these, which are all it has; access to devices stays as it is.
    fn update(&self, resources: &LinuxResources) -> Result<(), Failure>;

    /// Mounts one more while it runs.
    fn mount(&self, mount: &OciMount, given: Option<&Mount>) -> Result<(), Failure>;

    /// Takes away what is mounted last at a path inside.
    fn unmount(&self, target: &Path) -> Result<(), Failure>;

    /// Whether it stands still.
    fn is_frozen(&self) -> bool;

    /// Whether the out-of-memory killer has struck.
    fn oom_killed(&self) -> bool;

    /// Removes what is left of the container, its processes first.
    fn destroy(&mut self) -> Result<(), Failure>;
}

/// A process that was begun.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Its command runs.
    Made(Made),
    /// Somebody in the container may hold it up on its way to its command.
    Joining(Joining),
}

/// A process that was made; this process' child.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) process: ProcessRef,
    /// The master of its terminal, if it has one.
    pub(crate) terminal: Option<OwnedFd>,
}

/// What was made before there was a container.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    pub(crate) network: Option<Network>,
    pub(crate) groundwork: Groundwork,
}

/// The one the launch asks for. Ours may be given what is there already.
pub(crate) fn choose(launch: &Launch, ahead: Ahead) -> Box<dyn Backend> {
    match &launch.foreign_runtime {
        None => Box::new(linked::Linked::new(launch, ahead)),
        Some(binary) => Box::new(foreign::Foreign::new(binary, launch, &launch.dir)),
    }
}
