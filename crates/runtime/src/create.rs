//! The maker's side of a create: everything checked, one clone3(2), the cgroup made before or, in
//! version 1, meanwhile, and the wait until the copy is ready.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use oci_spec::runtime::{Linux, Spec};
use sys::ahead::NetworkAhead;
use sys::cgroup::{Cgroup, Join, Layout};
use sys::clone::{Child, Clone3};
use sys::mount::Mounted;
use sys::ns::Namespaces;
use types::ProcessRef;

use crate::cgroup::{Awaited, CgroupDriver, Group, Made};
use crate::container::Container;
use crate::error::{Doing, Error};
use crate::hooks::{self, HookState};
use crate::init::{Init, Launch, identity};
use crate::prepare::{self, Plan};
use crate::protocol::{FromInit, InitEnd, MakerEnd, ToInit, channel};
use crate::resctrl::ResctrlPlan;
use crate::seccomp::Program;
use crate::usher;
use crate::{CreateRequest, SharedRoot, Stdio, Word};

/// A container whose namespaces, mounts and cgroup are made; its process waits at the gate.
#[derive(Debug)]
pub struct Created {
    /// Its first process.
    pub process: ProcessRef,
    /// The master of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
    pub(crate) container: Container,
    pub(crate) channel: MakerEnd,
    /// Whether the process was told already to start.
    pub(crate) is_told: bool,
    /// Whether hooks run between its last filter and its command, for as long as they like.
    pub(crate) has_start_hooks: bool,
}

/// The maker's steps, in order.
pub(crate) const STEPS: &[&str] = &[
    "configuration",
    "filter",
    "root-mount",
    "bind-sources",
    "cgroup",
    "resource-groups",
    "cgroup-views",
    "clone",
    "id-maps",
    "net-devices",
    "awaited-cgroup",
    "run-maker-hooks",
    "created",
];

/// Makes namespaces, root, devices and cgroup, and leaves the process waiting at the gate.
/// On failure nothing is left: no mount, no cgroup, no process.
///
/// The caller must have one thread. It becomes undumpable (`PR_SET_DUMPABLE`), and stays so: from
/// the moment its copy is in a container, nobody there may look into it.
pub fn create(request: CreateRequest<'_>) -> Result<Created, Error> {
    let mut undo = Undo::default();
    let container = HookState::new(request.spec, request.id, request.bundle);
    let poststop = hooks::list(request.spec, |hooks| hooks.poststop());
    make(request, &mut undo).inspect_err(|_| {
        // The hooks that were to follow its end do so, if there was anything to end: a process that
        // waits for its cgroup is nothing yet.
        let began = undo.child.is_some() && undo.cgroup.is_some();
        undo.run();
        if began {
            hooks::run_poststop(poststop, container);
        }
    })
}

/// What has to go when a later step fails.
#[derive(Debug, Default)]
struct Undo {
    cgroup: Option<Group>,
    /// A cgroup of which only a part is there.
    awaited: Option<Awaited>,
    resctrl: Option<ResctrlPlan>,
    shared_root: Option<SharedRoot>,
    child: Option<Child>,
}

impl Undo {
    /// The last made first. What fails here is left out of the report: the first error is the one
    /// that says why.
    fn run(&mut self) {
        if let Some(child) = self.child.take() {
            let _ = sys::pidfd::send_signal(&child.pidfd, types::Signal::KILL);
            let _ = sys::pidfd::wait(&child.pidfd);
        }
        if let Some(root) = self.shared_root.take() {
            let _ = root.remove();
        }
        if let Some(resctrl) = self.resctrl.take() {
            let _ = crate::resctrl::remove(&resctrl);
        }
        drop(self.awaited.take());
        if let Some(cgroup) = self.cgroup.take() {
            let _ = cgroup.destroy();
        }
    }
}

/// Fails where a test wants it.
fn at(request: &CreateRequest<'_>, step: &'static str) -> Result<(), Error> {
    if request.fail_at == Some(step) {
        Err(Error::Injected(step))
    } else {
        Ok(())
    }
}

/// What is known and opened before anything is made.
fn planned(
    request: &mut CreateRequest<'_>,
    undo: &mut Undo,
) -> Result<(Plan, Option<Program>, Option<NetworkAhead>), Error> {
    at(request, "configuration")?;
    let mut plan = prepare::plan(request)?;
    let at_once = !plan.devices_to_move.is_empty();
    let ahead = match request.network.take() {
        Some(network) => crate::network::use_made(&mut plan.namespaces, network, at_once)?,
        None => None,
    };
    check_stdio(&plan, &request.stdio)?;
    let default = Linux::default();
    let linux = request.spec.linux().as_ref().unwrap_or(&default);
    at(request, "filter")?;
    let seccomp = crate::seccomp::given_or_compiled(request.filter, linux)?;
    at(request, "root-mount")?;
    plan.open_root(request)?;
    if let Some(root) = &plan.shared_root {
        undo.shared_root = Some(root.clone());
        request
            .note_mounts_in
            .map_or(Ok(()), |dir| root.note(dir))?;
    }
    at(request, "bind-sources")?;
    prepare::sources(&mut plan, request.bundle)?;
    Ok((plan, seccomp, ahead))
}

fn make(mut request: CreateRequest<'_>, undo: &mut Undo) -> Result<Created, Error> {
    let (mut plan, seccomp, ahead) = planned(&mut request, undo)?;
    at(&request, "cgroup")?;
    let layout = layout(&mut request)?;
    let awaited = begin_cgroup(&request, &plan, &layout, undo)?;
    let made = match awaited {
        Some(_) => None,
        None => Some(cgroup(&request, &layout)?),
    };
    undo.cgroup = made.as_ref().map(|made| made.group.clone());
    at(&request, "resource-groups")?;
    if let Some(resctrl) = &plan.resctrl {
        undo.resctrl = Some(resctrl.clone());
        plan.resource_groups = crate::resctrl::make(resctrl)?;
    }
    at(&request, "cgroup-views")?;
    let join = doors(&mut plan, made.as_ref(), undo)?;
    at(&request, "clone")?;
    let (maker, init) = channel()?;
    let gate = request.gate.take();
    let start_hooks = hooks::list(request.spec, |hooks| hooks.start_container());
    let has_start_hooks = !start_hooks.is_empty();
    let (mut is_told, word) = telling(&request, &plan, gate.as_ref());
    let (child, maker) = clone(
        &request,
        &plan,
        (&join, awaited.as_ref(), ahead.as_ref()),
        seccomp.as_ref(),
        (maker, init),
        gate,
    )?;
    let process = ProcessRef {
        pid: child.pid,
        started: 0,
    };
    if undo.awaited.is_some() || ahead.is_some() {
        // Both have something to do now. Where it may run for good it finds out by itself, later.
        let _ = sys::sched::begin_elsewhere(process.pid);
    }
    let pidfd = child.pidfd.as_fd();
    let pidfd = sys::fd::duplicate(pidfd).doing(|| "keep the process' descriptor".to_owned());
    undo.child = Some(child);
    let pidfd = pidfd?;
    at(&request, "id-maps")?;
    set_oom_score(&plan, process.pid)?;
    map_ids(&plan, process.pid, &maker, &request.stdio)?;
    at(&request, "net-devices")?;
    crate::net_devices::move_in(&plan, process.pid)?;
    at(&request, "awaited-cgroup")?;
    let cgroup = finish_cgroup(made, undo, &maker)?;
    if is_told {
        // It reads this when it is ready: no hand-over between two processors is waited for. If it
        // has ended by now, what it said of that is still to be read.
        let _ = maker.send(ToInit::Start);
    }
    // While the copy works: what can be done now need not be done while it waits to be started.
    if plan.namespaces.has(Namespaces::USER) && plan.owns_cgroup() && sys::process::user() == 0 {
        crate::id_maps::give_cgroup(process.pid, &cgroup.group.files)?;
    }
    drop((join, ahead));
    if let Some(meanwhile) = request.meanwhile {
        meanwhile();
    }
    let (cgroup, _keeper) = (cgroup.group, cgroup.keeper);
    let process = sys::proc::process_ref(process.pid)
        .doing(|| "read when the container's process started".to_owned())?;
    let targets: Vec<PathBuf> = plan.mounts.iter().map(|m| m.target.clone()).collect();
    let mut container = Container::new(&request, process, pidfd, cgroup, plan, seccomp);
    is_told |= hear(&maker, word)?;
    let mut fds = await_ready(&request, &maker, &container, targets)?;
    let terminal = container.first.terminal.then(|| fds.pop()).flatten();
    container.mounts = fds.pop();
    at(&request, "created")?;
    Ok(Created {
        process,
        terminal,
        container,
        channel: maker,
        is_told,
        has_start_hooks,
    })
}

/// The machine's hierarchies, as they were found before if they are where they were.
fn layout(request: &mut CreateRequest<'_>) -> Result<Layout, Error> {
    let known = request.groundwork.take().and_then(|laid| laid.layout);
    let known = known.filter(Layout::is_there);
    known.map_or_else(crate::cgroup::detect, Ok)
}

fn has_maker_hooks(spec: &Spec) -> bool {
    let all = hooks::of_maker(spec);
    all.iter().any(|(_, list)| !list.is_empty())
}

/// Begins with a cgroup that the process need not find there, if that spares time: where the process
/// sees the host's directories until its own root is there, and has the rights to enter by itself.
fn begin_cgroup(
    request: &CreateRequest<'_>,
    plan: &Plan,
    layout: &Layout,
    undo: &mut Undo,
) -> Result<Option<Cgroup>, Error> {
    let namespaces = &plan.namespaces;
    let joined = [Namespaces::PID, Namespaces::CGROUP];
    if request.cgroup_driver != CgroupDriver::Direct
        || request.rootless.holds()
        || !namespaces.has_own_mounts()
        || namespaces.has(Namespaces::USER)
        || joined.iter().any(|kind| namespaces.joined(*kind).is_some())
        || !plan.devices_to_move.is_empty()
    {
        return Ok(None);
    }
    let begun = Awaited::begin(layout, request.spec, request.id)?;
    Ok(begun.map(|(awaited, planned)| {
        undo.awaited = Some(awaited);
        planned
    }))
}

/// What of the cgroup is there to enter; and to be shown, unless the process will see to that itself.
fn doors(plan: &mut Plan, made: Option<&Made>, undo: &Undo) -> Result<Join, Error> {
    match (made, &undo.awaited) {
        (Some(made), _) => {
            prepare::cgroup_views(&mut plan.mounts, &made.group.files)?;
            made.group.join_handles()
        }
        (None, Some(awaited)) => awaited.join_handles(),
        (None, None) => Err(Error::Injected("cgroup-views")),
    }
}

/// The cgroup, all of it; a process that awaits it is told so.
fn finish_cgroup(made: Option<Made>, undo: &mut Undo, maker: &MakerEnd) -> Result<Made, Error> {
    if let Some(made) = made {
        return Ok(made);
    }
    let Some(awaited) = &mut undo.awaited else {
        return Err(Error::Injected("awaited-cgroup"));
    };
    let group = awaited.finish()?;
    undo.cgroup = Some(group.clone());
    let join = group.join_handles()?;
    // If it has ended by now, what it said of that is still to be read.
    let _ = maker.send_with(ToInit::Continue, &join.v1_doors());
    Ok(Made {
        group,
        keeper: None,
    })
}

/// Without rights a container may do without, unless its configuration names one, which is only asked
/// about when there are none.
fn cgroup(request: &CreateRequest<'_>, layout: &Layout) -> Result<Made, Error> {
    let place = (request.id, request.cgroup_driver);
    let make = |optional| crate::cgroup::make(layout, request.spec, place, optional);
    make(false).or_else(|error| {
        if request.rootless.holds() && !names_cgroup(request.spec) {
            make(true)
        } else {
            Err(error)
        }
    })
}

fn names_cgroup(spec: &Spec) -> bool {
    let linux = spec.linux().as_ref();
    let path = linux.and_then(|linux| linux.cgroups_path().as_ref());
    path.is_some_and(|path| !path.as_os_str().is_empty())
}

fn check_stdio(plan: &Plan, stdio: &Stdio) -> Result<(), Error> {
    match (plan.process.terminal, stdio) {
        (true, Stdio::Terminal { .. }) | (false, Stdio::Inherit | Stdio::Files(_)) => Ok(()),
        (true, _) => Err(Error::invalid(
            "process.terminal",
            "is set, but the caller gives files",
        )),
        (false, _) => Err(Error::invalid(
            "process.terminal",
            "is not set, but the caller wants one",
        )),
    }
}

/// Clones. Of the two ends of the channel the copy keeps one and this process the other.
fn clone(
    request: &CreateRequest<'_>,
    plan: &Plan,
    (join, awaited, network): (&Join, Option<&Cgroup>, Option<&NetworkAhead>),
    seccomp: Option<&Program>,
    (maker, init): (MakerEnd, InitEnd),
    gate: Option<OwnedFd>,
) -> Result<(Child, MakerEnd), Error> {
    let init = Init {
        plan,
        join,
        born_in_cgroup: join.directory().is_some(),
        awaited,
        network,
        in_cgroup: false,
        gate,
        signals: None,
        maker_hooks: has_maker_hooks(request.spec),
        create_hooks: hooks::list(request.spec, |hooks| hooks.create_container()),
        no_pivot: request.no_pivot,
        root: None,
        own_mounts: Vec::new(),
        mount_ids: Vec::new(),
        to_close: Vec::new(),
        proc: None,
        mounts: None,
        launch: Launch {
            channel: init,
            process: &plan.process,
            resource_groups: &plan.resource_groups,
            seccomp,
            stdio: &request.stdio,
            terminal: None,
            parent_death_signal: request.parent_death_signal,
            preserve_fds: request.preserve_fds,
            new_keyring: request.new_keyring,
            label_file: None,
            start_hooks: hooks::list(request.spec, |hooks| hooks.start_container()),
            hook_state: HookState::new(request.spec, request.id, request.bundle),
            home: None,
            program: None,
            retry_cwd: false,
            hidden: false,
            bounded: plan.namespaces.has(Namespaces::USER),
            fail_at: request.fail_at,
        },
    };
    let clone = Clone3 {
        namespaces: init.born_in(),
        cgroup: join.directory(),
        sibling: false,
    };
    set_undumpable(plan)?;
    if plan.namespaces.has(Namespaces::USER) && sys::process::user() == 0 {
        identity::allow_limits(&plan.process.rlimits)
            .doing(|| "raise the hard limits".to_owned())?;
    }
    if plan.namespaces.need_usher() {
        return usher::spawn(clone, init, maker);
    }
    let spawn = || spawn(clone, init, maker);
    match plan.namespaces.joined(Namespaces::PID) {
        Some(namespace) => in_pid_namespace(namespace, Namespaces::PID, spawn),
        None => spawn(),
    }
}

/// From here on nobody in the container may look into this process or its copy. An unprivileged
/// maker may write the id maps of a copy only that is as open as any process of its user's: that one
/// closes itself as soon as they are written, and is alone in its namespaces until then.
fn set_undumpable(plan: &Plan) -> Result<(), Error> {
    let open = plan.namespaces.id_maps.is_some() && sys::process::user() != 0;
    sys::process::set_dumpable(open).doing(|| "close /proc to others".to_owned())
}

fn spawn(clone: Clone3<'_>, init: Init<'_>, maker: MakerEnd) -> Result<(Child, MakerEnd), Error> {
    // The copy must not hold the maker's end, or it would never see that the maker is gone.
    let mut maker = Some(maker);
    let child = clone.spawn(|| {
        drop(maker.take());
        init.run()
    });
    let child = child.doing(|| "clone the container's process".to_owned())?;
    maker
        .map(|maker| (child, maker))
        .ok_or(Error::Injected("clone"))
}

/// Clones with the caller's children going to another pid namespace, which is undone at once.
pub(crate) fn in_pid_namespace<T>(
    namespace: impl AsFd,
    kinds: Namespaces,
    clone: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let action = || "enter the container's pid namespace".to_owned();
    let own = sys::ns::open_own(Namespaces::PID).doing(action)?;
    sys::ns::enter(namespace, kinds).doing(action)?;
    let made = clone();
    match sys::ns::enter(own, Namespaces::PID) {
        // Who has entered a user namespace before (`nest_again`) has no right to the one outside,
        // and is there to make this one process.
        Err(error) if error.errno == sys::Errno::PERM => {}
        answer => answer.doing(|| "return to the own pid namespace".to_owned())?,
    }
    made
}

/// Of a process that may not lower it itself, being in a user namespace.
fn set_oom_score(plan: &Plan, pid: i32) -> Result<(), Error> {
    let Some(score) = plan.process.oom_score_adj else {
        return Ok(());
    };
    if !plan.namespaces.has(Namespaces::USER) {
        return Ok(());
    }
    sys::fd::open_write(format!("/proc/{pid}/oom_score_adj").as_ref())
        .and_then(|file| sys::fd::write_once(file, score.to_string().as_bytes()))
        .doing(|| format!("set oom_score_adj to {score}"))
}

/// Only a process outside may map more than its own id, and give away what belongs to one outside.
fn map_ids(plan: &Plan, pid: i32, maker: &MakerEnd, stdio: &Stdio) -> Result<(), Error> {
    if let Some(maps) = &plan.namespaces.id_maps {
        crate::id_maps::write(pid, maps)?;
    }
    if plan.namespaces.has(Namespaces::USER) {
        crate::id_maps::give_streams(pid, plan.process.uid, stdio);
    }
    if plan.namespaces.id_maps.is_none() {
        return Ok(());
    }
    sys::process::set_dumpable(false).doing(|| "close /proc to others".to_owned())?;
    maker.send(ToInit::Continue)
}

/// Whether it is told to start at once; if not, whose word may come while it works. Who has to ask for something waits
/// for another answer.
fn telling<'a>(
    request: &CreateRequest<'a>,
    plan: &Plan,
    gate: Option<&OwnedFd>,
) -> (bool, Option<Word<'a>>) {
    let is_asked = has_maker_hooks(request.spec) || plan.may_ask();
    if gate.is_some() || is_asked {
        return (false, None);
    }
    let word = request.word.filter(|_| !request.start_at_once);
    (request.start_at_once, word)
}

/// Waits until the copy says something, and passes the word on if that is there before; whether it was.
fn hear(maker: &MakerEnd, word: Option<Word<'_>>) -> Result<bool, Error> {
    let Some(word) = word else {
        return Ok(false);
    };
    let spoken = sys::process::wait_readable_of(maker, word.source);
    let spoken = spoken.doing(|| "wait for the container's process".to_owned())?;
    if spoken || !(word.is_start)(word.source) {
        return Ok(false);
    }
    // If it has ended by now, what it said of that is still to be read.
    let _ = maker.send(ToInit::Start);
    Ok(true)
}

/// Hears the copy out until it is ready, and what was mounted at these places; returns what comes along.
fn await_ready(
    request: &CreateRequest<'_>,
    maker: &MakerEnd,
    container: &Container,
    targets: Vec<PathBuf>,
) -> Result<Vec<OwnedFd>, Error> {
    loop {
        match maker.receive()? {
            Some((FromInit::Mounted { ids }, fds)) => {
                container.remember_mounts(targets, ids);
                return Ok(fds);
            }
            Some((FromInit::Failed(failure), _)) => return Err(failure.into()),
            Some((FromInit::AtHooks, _)) => {
                at(request, "run-maker-hooks")?;
                let state = HookState::new(request.spec, request.id, request.bundle);
                let state = state.json("creating", Some(container.process().pid));
                for (point, list) in hooks::of_maker(request.spec) {
                    hooks::run(list, point, &state, (Some(request.bundle), &[]))?;
                }
                maker.send(ToInit::Continue)?;
            }
            Some((FromInit::Translate { below }, fds)) => translate(maker, fds, below)?,
            Some((answer, _)) => {
                return Err(Error::Protocol {
                    answer: format!("{answer:?}"),
                });
            }
            None => return Err(ended(container.pidfd())),
        }
    }
}

/// Does to a mount of the container what takes rights over the file system that is mounted.
fn translate(maker: &MakerEnd, fds: Vec<OwnedFd>, below: bool) -> Result<(), Error> {
    let Ok([mount, namespace]) = <[OwnedFd; 2]>::try_from(fds) else {
        let answer = "a mount to translate that did not come along".to_owned();
        return Err(Error::Protocol { answer });
    };
    let mapped = Mounted::from_fd(mount).map_ids(namespace.as_fd(), below);
    mapped.doing(|| "translate the ids of a mount of the container".to_owned())?;
    maker.send(ToInit::Continue)
}

/// The copy ended without a word.
pub(crate) fn ended(pidfd: &OwnedFd) -> Error {
    let how = match sys::pidfd::wait(pidfd) {
        Ok(sys::pidfd::Exit::Code(code)) => format!("exit code {code}"),
        Ok(sys::pidfd::Exit::Signal(9)) => {
            "killed by signal 9, which a memory limit that is too low does".to_owned()
        }
        Ok(sys::pidfd::Exit::Signal(signal)) => format!("killed by signal {signal}"),
        Err(error) => error.to_string(),
    };
    Error::Ended { how }
}

impl Created {
    /// A descriptor of the first process: readable when it has ended (pidfd_open(2)).
    pub fn pidfd(&self) -> &OwnedFd {
        self.container.pidfd()
    }

    /// What a later process needs to find the container again.
    pub fn saved(&self) -> crate::Saved {
        self.container.saved()
    }

    /// Kills the waiting process and removes what was made.
    pub fn destroy(self) -> Result<(), Error> {
        self.container.kill_and_destroy()
    }
}
