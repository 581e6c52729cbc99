//! The process-to-be: from clone3(2) to execve(2).
//!
//! Runs in a copy of the caller that has one thread and full rights, which nobody in the container
//! may look into: the caller was made undumpable, so /proc/PID of this copy is closed to processes
//! without CAP_SYS_PTRACE over the host, and no descriptor of the host is left open when the
//! container's own paths are first used (CVE-2016-9962, CVE-2024-21626).

pub(crate) mod command;
pub(crate) mod copy_up;
pub(crate) mod devices;
pub(crate) mod gate;
pub(crate) mod hidden;
pub(crate) mod home;
pub(crate) mod identity;
pub(crate) mod keyring;
pub(crate) mod mounts;
pub(crate) mod namespaces;
mod no_pivot;
pub(crate) use no_pivot::mount_points;
pub(crate) mod protect;
pub(crate) mod root;
pub(crate) mod scheduling;
pub(crate) mod steps;
pub(crate) mod streams;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use oci_spec::runtime::Hook;
use sys::ahead::NetworkAhead;
use sys::cgroup::{Cgroup, Join};
use sys::event::Signals;
use sys::mount::Mounted;
use sys::ns::Namespaces;
use sys::pty::Terminal;
use sys::root::Root;
use types::{ErrorKind, Signal};

use crate::Stdio;
use crate::hooks::HookState;
use crate::prepare::{MountPlan, Plan, ProcessPlan};
use crate::protocol::{Failure, FromInit, InitEnd};
use crate::seccomp::Program;

/// The first process of a container while it is being made.
pub(crate) struct Init<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) join: &'a Join,
    /// Set when clone3(2) has put the process into its version 2 cgroup.
    pub(crate) born_in_cgroup: bool,
    /// The cgroup, if its maker says when it is there.
    pub(crate) awaited: Option<&'a Cgroup>,
    /// The network that is being made.
    pub(crate) network: Option<&'a NetworkAhead>,
    /// Whether this process is in its cgroup, all of it.
    pub(crate) in_cgroup: bool,
    pub(crate) gate: Option<OwnedFd>,
    /// Those that end it while it waits at a gate of its own.
    pub(crate) signals: Option<Signals>,
    /// Whether the maker has hooks to run before the old root goes.
    pub(crate) maker_hooks: bool,
    /// Hooks to run in the container's namespaces, from the host's files.
    pub(crate) create_hooks: &'a [Hook],
    pub(crate) no_pivot: bool,
    pub(crate) root: Option<Root>,
    /// Numbers of the file systems that were mounted for the container ([`sys::mount::id`]).
    pub(crate) own_mounts: Vec<u64>,
    /// The same of each mount of the plan; zero for one that is more than one.
    pub(crate) mount_ids: Vec<u64>,
    /// Those that are yet to become read-only.
    pub(crate) to_close: Vec<(Mounted, &'a MountPlan)>,
    /// The procfs mounted on /proc: what is in it is found by this, wherever somebody who may write to
    /// the root has moved its directory meanwhile.
    pub(crate) proc: Option<Root>,
    /// The own mount namespace, opened while the host's /proc was there.
    pub(crate) mounts: Option<OwnedFd>,
    pub(crate) launch: Launch<'a>,
}

/// A process about to execute its command: the first one, or one that joined.
pub(crate) struct Launch<'a> {
    pub(crate) channel: InitEnd,
    pub(crate) process: &'a ProcessPlan,
    /// Where to write `0`, to be in the groups of resctrl.
    pub(crate) resource_groups: &'a [OwnedFd],
    pub(crate) seccomp: Option<&'a Program>,
    pub(crate) stdio: &'a Stdio,
    pub(crate) terminal: Option<Terminal>,
    pub(crate) parent_death_signal: Option<Signal>,
    pub(crate) preserve_fds: u32,
    pub(crate) new_keyring: bool,
    /// Open for the label while the host's /proc was there.
    pub(crate) label_file: Option<OwnedFd>,
    /// Hooks to run in the container, from its files, before the command.
    pub(crate) start_hooks: &'a [Hook],
    pub(crate) hook_state: HookState<'a>,
    /// `HOME=` and where that is, where the environment lacks it.
    pub(crate) home: Option<String>,
    /// The command, once found.
    pub(crate) program: Option<PathBuf>,
    /// The working directory could not be entered with full rights; the user may be able to.
    pub(crate) retry_cwd: bool,
    /// It is in no process listing of the container yet, and appears as a copy: see [`hidden`].
    pub(crate) hidden: bool,
    /// It has been in a user namespace from its first moment: the maker does what takes rights outside.
    pub(crate) bounded: bool,
    pub(crate) fail_at: Option<&'a str>,
}

impl Init<'_> {
    /// The namespaces that clone3(2) makes. A joined pid namespace is entered by being born in it; that
    /// of cgroups is made later, because its root is where its maker is, and so is one whose clocks are
    /// moved first. While the maker makes the cgroup, this process makes all that it can by itself.
    pub(crate) fn born_in(&self) -> Namespaces {
        let namespaces = &self.plan.namespaces;
        let mut born_in = namespaces.new - Namespaces::CGROUP;
        if namespaces.clocks.is_some() {
            born_in -= Namespaces::TIME;
        }
        match self.awaited {
            Some(_) => born_in & (Namespaces::PID | Namespaces::TIME),
            None => born_in,
        }
    }

    /// The root being assembled. There from the step that makes it.
    pub(crate) fn root(&self) -> Result<&Root, Failure> {
        let missing = || Failure::new(ErrorKind::Internal, "there is no root yet");
        self.root.as_ref().ok_or_else(missing)
    }

    /// All of it. Ends the process if it executed nothing.
    pub(crate) fn run(mut self) -> ! {
        match steps::run(steps::CREATE, &mut self, |run, init| run(init)) {
            Ok(()) => self.launch.run(),
            Err(failure) => self.launch.give_up(failure),
        }
    }
}

impl Launch<'_> {
    /// Runs the last steps. Ends the process if it executed nothing.
    pub(crate) fn run(mut self) -> ! {
        match steps::run(steps::LAUNCH, &mut self, |run, launch| run(launch)) {
            Err(failure) => self.give_up(failure),
            Ok(()) if self.hidden => self.appear(),
            Ok(()) => self.execute(),
        }
    }

    fn execute(mut self) -> ! {
        let failure = match steps::run(steps::EXECUTE, &mut self, |run, launch| run(launch)) {
            Err(failure) => failure,
            Ok(()) => Failure::new(ErrorKind::Internal, "the last step did nothing"),
        };
        self.give_up(failure)
    }

    /// Tells the maker why; if it is gone there is nobody to tell. Ends here, dropping nothing: the
    /// descriptors that are owned in this copy may be closed already.
    pub(crate) fn give_up(&self, failure: Failure) -> ! {
        let code = failure.kind.exit_code();
        let _ = self.channel.send(&FromInit::Failed(failure), &[]);
        sys::process::exit_now(code.into())
    }

    /// The streams given by descriptor.
    pub(crate) fn given_streams(&self) -> Option<[BorrowedFd<'_>; 3]> {
        match (self.stdio, &self.terminal) {
            (_, Some(terminal)) => Some([terminal.slave.as_fd(); 3]),
            (Stdio::Files([input, output, error]), None) => {
                Some([input.as_fd(), output.as_fd(), error.as_fd()])
            }
            _ => None,
        }
    }
}

/// What a step answers.
pub(crate) type Outcome = Result<(), Failure>;
