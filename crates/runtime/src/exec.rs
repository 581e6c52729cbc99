//! Another process in a running container.
//!
//! The copy of the caller that joins is in the container's pid namespace from its first moment, with
//! the caller's program as its /proc/PID/exe. It is undumpable, so nobody there may look into it or
//! follow that link without CAP_SYS_PTRACE over the host, for whom it is not there before it has given
//! up its rights (`init::hidden`); and nothing of the container is executed
//! before the command itself. What remains is the command `#!/proc/self/exe`, by which the kernel
//! would run the caller's own program inside: programs that use this library are therefore executed
//! through a read-only mount (`sys::exe`), by which their file cannot be written (CVE-2019-5736).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use sys::caps::Capabilities;
use sys::cgroup::Join;
use sys::clone::{Child, Clone3};
use sys::ns::Namespaces;
use sys::root::Root;
use types::{ProcessRef, Signal};

use crate::cgroup::Group;
use crate::container::Container;
use crate::create::in_pid_namespace;
use crate::error::{Doing, Error};
use crate::init::steps::{self, Phase, Runs, Step};
use crate::init::{Launch, Outcome, identity, namespaces, scheduling, streams};
use crate::prepare::ProcessPlan;
use crate::protocol::{During, FromInit, MakerEnd, ToInit, channel};
use crate::supervisor::{Supervised, Supervisor};
use crate::{ExecRequest, Executed, Stdio, prepare};

/// How long another process may take to its command. It takes milliseconds unless it is stopped.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a killed one may take to end before it is left to whoever reaps the caller's children.
const FAREWELL: Duration = Duration::from_secs(1);

/// A process on its way into a running container.
struct Joiner<'a> {
    container: &'a Container,
    join: &'a Join,
    /// The root to change to, if it is not the one of the mount namespace.
    root: Option<OwnedFd>,
    launch: Launch<'a>,
}

type JoinStep = fn(&mut Joiner<'_>) -> Outcome;

const fn step(name: &'static str, run: JoinStep) -> Step<JoinStep> {
    Step {
        phase: Phase::Enter,
        name,
        run,
    }
}

/// Up to the point where it is like the first process at its gate.
const JOIN: &[Step<JoinStep>] = &[
    step("first-cpus", |joiner| {
        scheduling::first_cpus(&joiner.launch.process.scheduling)
    }),
    step("enter-cgroup", enter_cgroup),
    step("enter-resource-groups", |joiner| {
        scheduling::enter_resource_groups(&joiner.launch)
    }),
    step("cpus", |joiner| {
        scheduling::cpus(&joiner.launch.process.scheduling)
    }),
    step("oom-score", |joiner| {
        identity::oom_score(&mut joiner.launch)
    }),
    step("allow-limits", allow_limits),
    step("label-file", |joiner| {
        identity::open_label_file(&mut joiner.launch)
    }),
    step("label-keys", |joiner| {
        identity::label_keys(&mut joiner.launch)
    }),
    step("join-namespaces", join_namespaces),
    step("change-root", change_root),
    step("session", session),
    step("keyring", |joiner| {
        crate::init::keyring::join(&mut joiner.launch)
    }),
    step("terminal", terminal),
];

impl Runs for Joiner<'_> {
    fn fail_at(&self) -> Option<&str> {
        self.launch.fail_at
    }
}

/// First, while the host's cgroup files can be written and so that everything after is counted.
fn enter_cgroup(joiner: &mut Joiner<'_>) -> Outcome {
    let entered = joiner.join.enter_v1();
    entered.during(|| "enter the cgroup".to_owned())?;
    if joiner.join.directory().is_none() {
        joiner
            .join
            .enter_v2()
            .during(|| "enter the cgroup".to_owned())?;
    }
    Ok(())
}

/// Before the namespace in which nobody may.
fn allow_limits(joiner: &mut Joiner<'_>) -> Outcome {
    if !joiner.container.namespaces.contains(Namespaces::USER) || sys::process::user() != 0 {
        return Ok(());
    }
    identity::allow_limits(&joiner.launch.process.rlimits)
        .during(|| "raise the hard limits".to_owned())
}

/// All at once, so that there is no moment in some and not in others. The pid namespace was entered
/// by being cloned into it, or the copy that appears will be.
fn join_namespaces(joiner: &mut Joiner<'_>) -> Outcome {
    let mut kinds = joiner.container.namespaces;
    if !joiner.launch.hidden {
        kinds -= Namespaces::PID;
    }
    sys::ns::enter_process(joiner.container.pidfd(), kinds)
        .during(|| "join the container's namespaces".to_owned())?;
    if kinds.contains(Namespaces::USER) {
        namespaces::take_root(joiner.launch.process)
    } else {
        Ok(())
    }
}

/// Where the mounts are not the container's own, their root is not its root.
fn change_root(joiner: &mut Joiner<'_>) -> Outcome {
    let Some(root) = &joiner.root else {
        return Ok(());
    };
    crate::init::root::change_to(root.as_fd())
        .during(|| "change to the container's root".to_owned())
}

fn session(joiner: &mut Joiner<'_>) -> Outcome {
    if joiner.launch.hidden {
        return Ok(());
    }
    sys::process::new_session().during(|| "start a session".to_owned())
}

/// In the container's own devpts, now that its root is ours.
fn terminal(joiner: &mut Joiner<'_>) -> Outcome {
    let Stdio::Terminal { size, bare_lines } = joiner.launch.stdio else {
        return Ok(());
    };
    let root = Root::open(Path::new("/")).during(|| "open the container's root".to_owned())?;
    let terminal = streams::open(&root, *size, *bare_lines)?;
    let channel = &joiner.launch.channel;
    channel
        .send(&FromInit::Ready, &[terminal.master.as_fd()])
        .during(|| "hand the terminal over".to_owned())?;
    joiner.launch.terminal = Some(terminal);
    Ok(())
}

impl Container {
    /// Runs another process in the container's namespaces, root and cgroup. The new process is a
    /// child of the caller, which must have one thread. Waits for its command to be executed, some
    /// milliseconds, and gives it up after 20 seconds.
    pub fn exec(&self, request: ExecRequest<'_>) -> Result<Executed, Error> {
        let process = self.check(&request)?;
        let own = self.cgroup.join_below(request.cgroups)?;
        match self.exec_in(&own, &request, &process) {
            Err(error) if error.is_busy_cgroup() && request.cgroups.is_empty() => {
                let beside = Group::join_beside(self.process().pid)?;
                self.exec_in(&beside, &request, &process)
            }
            answer => answer,
        }
    }

    /// As [`Container::exec`], for callers that have other things to do meanwhile, which is as long
    /// as somebody in the container stops the process: [`Container::advance_exec`] goes on.
    pub fn begin_exec(&self, request: &ExecRequest<'_>) -> Result<Joining, Error> {
        let process = self.check(request)?;
        let own = self.cgroup.join_below(request.cgroups)?;
        let begun = match self.begin_in(&own, request, &process) {
            Err(error) if error.is_busy_cgroup() && request.cgroups.is_empty() => {
                let beside = Group::join_beside(self.process().pid)?;
                self.begin_in(&beside, request, &process)
            }
            answer => answer,
        };
        begun.and_then(Joining::identified)
    }

    /// Hears what the process has to say by now, without waiting; whether its command has been
    /// executed. On failure [`Joining::kill`] is what is left to do.
    ///
    /// Whoever may trace the process may have taken its channel: what is said there is expected once,
    /// and proves nothing about others.
    pub fn advance_exec(&self, joining: &mut Joining) -> Result<bool, Error> {
        loop {
            if joining.deadline() <= Instant::now() {
                return Err(late());
            }
            let spoken = sys::event::readable_within(&joining.maker, Duration::ZERO);
            if !spoken.doing(|| "hear the process".to_owned())? {
                return Ok(false);
            }
            match joining.maker.receive()? {
                Some((FromInit::Ready, mut fds)) if joining.awaits_terminal => {
                    joining.awaits_terminal = false;
                    joining.terminal = fds.pop();
                }
                Some((FromInit::Failed(failure), _)) => return Err(failure.into()),
                Some((FromInit::BornAt { pid }, _)) if joining.awaits_birth => {
                    joining.awaits_birth = false;
                    joining.follow(pid)?;
                }
                Some(message) if message.0.is_listener() => {
                    self.supervise(&joining.maker, &joining.child, message)?;
                }
                Some((answer, _)) => {
                    return Err(Error::Protocol {
                        answer: format!("{answer:?}"),
                    });
                }
                None => return Ok(true),
            }
        }
    }

    fn check(&self, request: &ExecRequest<'_>) -> Result<ProcessPlan, Error> {
        let process = prepare::joining_process(request.process, &self.first)?;
        prepare::warn_of_ambient(&process);
        let wants_terminal = matches!(request.stdio, Stdio::Terminal { .. });
        if process.terminal != wants_terminal {
            let reason = "and the streams the caller gives do not agree";
            return Err(Error::invalid("process.terminal", reason));
        }
        Ok(process)
    }

    fn exec_in(
        &self,
        join: &Join,
        request: &ExecRequest<'_>,
        process: &ProcessPlan,
    ) -> Result<Executed, Error> {
        let mut joining = self.begin_in(join, request, process)?;
        if let Some(meanwhile) = request.meanwhile {
            meanwhile();
        }
        loop {
            let left = joining.deadline().saturating_duration_since(Instant::now());
            let waited = sys::event::readable_within(&joining, left);
            let advanced = waited
                .doing(|| "wait for the process".to_owned())
                .and_then(|_| self.advance_exec(&mut joining));
            match advanced {
                Ok(false) => {}
                Ok(true) => return Ok(joining.finish()),
                Err(error) => {
                    joining.kill_and_reap();
                    return Err(error);
                }
            }
        }
    }

    fn begin_in(
        &self,
        join: &Join,
        request: &ExecRequest<'_>,
        process: &ProcessPlan,
    ) -> Result<Joining, Error> {
        let groups = match &self.resctrl {
            Some(resctrl) => crate::resctrl::open(resctrl)?,
            None => Vec::new(),
        };
        let (maker, init) = channel()?;
        let hidden = self.looks_into_others() && process.scheduling.outlasts_copy();
        let launch = Launch {
            channel: init,
            process,
            resource_groups: &groups,
            seccomp: self.seccomp.as_ref(),
            stdio: &request.stdio,
            terminal: None,
            parent_death_signal: None,
            preserve_fds: request.preserve_fds,
            new_keyring: request.new_keyring,
            label_file: None,
            start_hooks: &[],
            hook_state: self.hook_state(),
            home: None,
            program: None,
            retry_cwd: false,
            hidden,
            bounded: false,
            fail_at: None,
        };
        if self.namespaces.contains(Namespaces::USER) {
            crate::id_maps::give_streams(self.process().pid, process.uid, &request.stdio);
        }
        let joiner = Joiner {
            container: self,
            root: self.open_directory()?,
            join,
            launch,
        };
        let (child, maker) = if self.namespaces.contains(Namespaces::PID) && !hidden {
            in_pid_namespace(self.pidfd(), Namespaces::PID, || spawn(joiner, maker))?
        } else {
            spawn(joiner, maker)?
        };
        Ok(Joining {
            process: None,
            maker,
            child,
            terminal: None,
            awaits_birth: hidden,
            awaits_terminal: matches!(request.stdio, Stdio::Terminal { .. }),
            since: Instant::now(),
        })
    }

    /// Passes the listener of a supervised filter on.
    fn supervise(
        &self,
        maker: &MakerEnd,
        child: &Child,
        message: (FromInit, Vec<OwnedFd>),
    ) -> Result<(), Error> {
        let program = self.seccomp.as_ref();
        let whose = Supervised {
            pid: child.pid,
            pidfd: child.pidfd.as_fd(),
            container: self.hook_state(),
            status: "running",
            first: self.process().pid,
        };
        let supervisor = program.and_then(|program| program.supervisor.as_ref());
        Supervisor::serve(supervisor, maker, message, &whose)
    }
}

impl Container {
    /// Whether its processes may look into any other that they see, whatever its rights
    /// (ptrace(2), "Ptrace access mode checking").
    fn looks_into_others(&self) -> bool {
        let kinds = self.namespaces;
        let own = &self.first.capabilities;
        kinds.contains(Namespaces::PID)
            && !kinds.contains(Namespaces::USER)
            && Capabilities::named("SYS_PTRACE")
                .is_some_and(|right| (own.bounding | own.permitted).contains(right))
    }

    fn open_directory(&self) -> Result<Option<OwnedFd>, Error> {
        let Some(path) = &self.directory else {
            return Ok(None);
        };
        // With what is mounted in it, which is seen in a namespace that the container has joined.
        let seen = format!("/proc/{}/root", self.process().pid);
        let path = match self.shares_joined_mounts() {
            true => Path::new(&seen),
            false => path.as_path(),
        };
        let opened = sys::fd::open_dir(path);
        opened
            .doing(|| format!("open the root {}", path.display()))
            .map(Some)
    }
}

fn spawn(mut joiner: Joiner<'_>, maker: MakerEnd) -> Result<(Child, MakerEnd), Error> {
    let action = || "clone a process for the container".to_owned();
    sys::process::set_dumpable(false).doing(action)?;
    let clone = Clone3 {
        namespaces: Namespaces::empty(),
        cgroup: joiner.join.directory(),
        sibling: false,
    };
    // The copy must not hold the maker's end, or it would never see that the maker is gone.
    let mut maker = Some(maker);
    let child = clone.spawn(|| {
        drop(maker.take());
        match steps::run(JOIN, &mut joiner, |run, joiner| run(joiner)) {
            Ok(()) => joiner.launch.run(),
            Err(failure) => joiner.launch.give_up(failure),
        }
    });
    let child = child.doing(action)?;
    maker
        .map(|maker| (child, maker))
        .ok_or(Error::Injected("clone"))
}

/// A process of a container that has not come to execute its command. Readable when it has
/// something to say: [`Container::advance_exec`] hears it.
#[derive(Debug)]
pub struct Joining {
    maker: MakerEnd,
    child: Child,
    /// Read for callers that have other processes to tell it from.
    process: Option<ProcessRef>,
    terminal: Option<OwnedFd>,
    /// Whether it is yet to appear in the container, as another process.
    awaits_birth: bool,
    /// Whether it is yet to send its terminal.
    awaits_terminal: bool,
    since: Instant,
}

impl Joining {
    /// The process, a child of the caller who began it ([`Container::begin_exec`]).
    pub fn process(&self) -> ProcessRef {
        self.process.unwrap_or(ProcessRef {
            pid: self.child.pid,
            started: 0,
        })
    }

    fn identified(mut self) -> Result<Self, Error> {
        let process = sys::proc::process_ref(self.child.pid);
        match process.doing(|| "read when the process started".to_owned()) {
            Ok(process) => {
                self.process = Some(process);
                Ok(self)
            }
            Err(error) => {
                self.kill_and_reap();
                Err(error)
            }
        }
    }

    /// When it is given up: processes of the container see it, and whoever may signal it may stop
    /// it.
    pub fn deadline(&self) -> Instant {
        self.since + PATIENCE
    }

    /// Once its command has been executed.
    pub fn finish(self) -> Executed {
        Executed {
            pid: self.child.pid,
            pidfd: self.child.pidfd,
            terminal: self.terminal,
        }
    }

    /// Goes on with the copy in which it has appeared, which is the caller's child: nobody else's
    /// process is followed, or killed, because somebody named it.
    fn follow(&mut self, pid: i32) -> Result<(), Error> {
        let action = || "follow the process into the container".to_owned();
        let pidfd = sys::pidfd::open(pid).doing(action)?;
        if !sys::pidfd::is_child(&pidfd).doing(action)? {
            let answer = format!("the birth of process {pid}, which is not the caller's");
            return Err(Error::Protocol { answer });
        }
        let hidden = std::mem::replace(&mut self.child, Child { pid, pidfd });
        // It is at its end, and may have been reaped by who reaps all children.
        if sys::pidfd::ended_within(&hidden.pidfd, FAREWELL).is_ok_and(|ended| ended) {
            let _ = sys::pidfd::wait(&hidden.pidfd);
        }
        if self.process.is_some() {
            self.process = Some(sys::proc::process_ref(pid).doing(action)?);
        }
        self.maker.send(ToInit::Continue)
    }

    /// Ends it; the caller, who reaps its children, reaps it.
    pub fn kill(self) {
        // It may have ended by itself.
        let _ = sys::pidfd::send_signal(&self.child.pidfd, Signal::KILL);
    }

    /// A frozen process does not die before it is thawed: it is left to whoever reaps the caller's
    /// children.
    fn kill_and_reap(self) {
        let _ = sys::pidfd::send_signal(&self.child.pidfd, Signal::KILL);
        if sys::pidfd::ended_within(&self.child.pidfd, FAREWELL).is_ok_and(|ended| ended) {
            let _ = sys::pidfd::wait(&self.child.pidfd);
        }
    }
}

impl AsFd for Joining {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.maker.as_fd()
    }
}

fn late() -> Error {
    Error::Late {
        seconds: PATIENCE.as_secs(),
    }
}
