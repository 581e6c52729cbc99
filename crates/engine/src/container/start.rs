//! `start`: a list of steps, each with its undo beside it.
//!
//! ```text
//!   claim      Starting, in memory: nobody else may start it
//!   sources    directories that -v may make
//!   bundle     run directory
//!   launch     the shim is spawned, and gets ready while the next three go on here
//!   addresses  of every network, in memory; with them what leads out and what is published
//!   ports      begin to be reserved on the host, which is to be done when render is
//!   files      hosts, hostname, resolv.conf
//!   user       looked up in the image's layers
//!   render     config.json
//!   create     clients that wait are handed to the shim, notices are asked for; then namespaces, root, cgroup.
//!              Its process waits at the gate, unless nothing is left to do there
//!   network    its interfaces, in its namespace
//!   names      with the rules that lead to its ports; both while the shim creates, if that has a namespace at hand
//!   attach     clients that came meanwhile are handed over, too
//!   watch      an exit is heard of
//!   start      the gate opens
//!   record     Running
//! ```
//!
//! A failure undoes them backwards and leaves `Exited` with the reason, as Docker does.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, TryLockError};
use std::time::Duration;

use oci_spec::runtime::{LinuxNamespaceType, LinuxSeccomp, Spec};
use shim::{Call, Filter, Launch, Shim, Watch};
use storage::Durability;
use types::{
    Change, ContainerId, ContainerSpec, ErrorKind, ExitStatus, Lifecycle, Mount, MountRequest,
    ProcessRef, Reason, Signal,
};

use super::making::Making;
use super::{
    Awaited, Files, WrongState, block_devices, described, devices, files, mounts, namespaces,
    remove, runtimes, selinux, volumes,
};
use crate::network;
use crate::network::attach::Filled;
use crate::network::place::Placement;
use crate::network::record::{Endpoint, Ports};
use crate::record::Status;
use crate::render::{self, Identity, Joined, Placed, RenderInput};
use crate::steps::{self, name as step};
use crate::supervise;
use crate::table::Container;
use crate::undo::Stack;
use crate::{Engine, Error, clock, event, health, secret, users, volume};

/// How long a shim told to end may take before it is killed.
const SHIM_END: Duration = Duration::from_secs(10);

/// Name of the exit record in the container's directory.
pub(crate) const EXIT_RECORD: &str = "exit.json";

/// Starts a container named by id, prefix or name. `NotModified` when it runs. Blocking.
pub fn start(engine: &Engine, who: &str) -> Result<(), Error> {
    engine.accepts_work()?;
    let container = engine.find(who)?;
    start_container(engine, &container)
}

/// The same for a client that is yet to be handed over: its container is not made before. Blocking.
pub fn start_for(engine: &Engine, who: &str, client: Awaited) -> Result<(), Error> {
    engine.accepts_work()?;
    let container = engine.find(who)?;
    claim(engine, &container, Starter::Request)?;
    claimed(engine, &container, Some(client))
}

/// Who wants a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Starter {
    /// A request.
    Request,
    /// A restart policy, after an end: not if it was stopped meanwhile.
    Policy,
    /// A daemon that has come up.
    Daemon,
}

pub(super) fn start_container(engine: &Engine, container: &Arc<Container>) -> Result<(), Error> {
    claim(engine, container, Starter::Request)?;
    claimed(engine, container, None)
}

/// The start of one that is started by itself: it counts how often that was.
pub(super) fn start_again(
    engine: &Engine,
    container: &Arc<Container>,
    by: Starter,
) -> Result<(), Error> {
    engine.accepts_work()?;
    claim(engine, container, by)?;
    claimed(engine, container, None)
}

fn claimed(
    engine: &Engine,
    container: &Arc<Container>,
    client: Option<Awaited>,
) -> Result<(), Error> {
    let mut undo = Stack::new();
    steps::begin(step::CLAIM);
    match run(engine, container, client, &mut undo) {
        Ok(Started {
            shim,
            watch,
            secrets,
        }) => {
            undo.keep();
            secret::place::again(engine, container, secrets);
            volume::told::mounted(engine, container);
            network::told::of_run(engine, container, "connect");
            network::advertise::begin(engine, container, None);
            event::of_container(engine, container, "start");
            supervise::begin(engine, container.clone(), shim, watch);
            network::links::follow(engine, container);
            engine.prepare_shim();
            Ok(())
        }
        Err(error) => {
            undo.unwind();
            failed(engine, container, &error);
            Err(error)
        }
    }
}

/// Only in memory: a start that a crash interrupts is seen by what it left in the run directory.
fn claim(engine: &Engine, container: &Arc<Container>, by: Starter) -> Result<(), Error> {
    refuse(container, &container.lifecycle(), by)?;
    let by_itself = by != Starter::Request;
    // Who writes to its files may take long, and nobody waits for that who is asked for a start.
    let _files = match container.writing_files.try_lock() {
        Ok(files) => files,
        Err(TryLockError::WouldBlock) if by_itself => crate::table::lock(&container.writing_files),
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            return Err(WrongState::BeingWritten(container.id().clone()).into());
        }
    };
    // What the last run left is still being cleaned away: a matter of milliseconds.
    let mut progress = container.progress();
    if !progress.borrow().clean {
        let clean = progress.wait_for(|p| p.clean || p.removed);
        drop(engine.runtime().block_on(clean));
    }
    container.change(None, |status| {
        refuse(container, &status.lifecycle, by)?;
        let refused = |r| WrongState::refused(&container.fixed, &r);
        Ok(Status {
            lifecycle: status.lifecycle.on(Change::Start).map_err(refused)?,
            boot: Some(engine.host().boot.clone()),
            restarts: if by_itself { status.restarts + 1 } else { 0 },
            health: None,
            stopped: false,
            ..status
        })
    })?;
    {
        let mut live = container.live();
        live.asked = None;
        if !by_itself {
            live.waited = Duration::ZERO;
        }
    }
    container.set_clean(false);
    health::reset(container);
    Ok(())
}

fn refuse(container: &Container, lifecycle: &Lifecycle, by: Starter) -> Result<(), Error> {
    let unchanged = |state| Error::NotModified {
        id: container.id().clone(),
        state,
    };
    match lifecycle {
        Lifecycle::Running { paused: true, .. } => Err(WrongState::StartPaused.into()),
        Lifecycle::Restarting { .. } if by != Starter::Request => Ok(()),
        // To Docker it runs.
        Lifecycle::Restarting { .. } | Lifecycle::Running { .. } => Err(unchanged("running")),
        Lifecycle::Exited { .. } if by == Starter::Policy => Err(unchanged("stopped")),
        Lifecycle::Starting { .. } => Err(WrongState::Starting(container.id().clone()).into()),
        Lifecycle::Removing { .. } => Err(WrongState::Removing(container.id().clone()).into()),
        Lifecycle::Created | Lifecycle::Exited { .. } | Lifecycle::Dead { .. } => Ok(()),
    }
}

/// What a start has made.
struct Started {
    shim: Arc<Shim>,
    watch: Watch,
    /// How often secrets had been replaced when it was given its own.
    secrets: u64,
}

fn run<'a>(
    engine: &'a Engine,
    container: &'a Arc<Container>,
    client: Option<Awaited>,
    undo: &mut Stack<'a>,
) -> Result<Started, Error> {
    engine.passed(step::CLAIM)?;
    let mounts = container.resolved().into_owned().mounts;
    make_sources(engine, &mounts, undo)?;
    let dir = make_bundle(engine, container, undo)?;
    let mut snapshot = engine.storage().snapshot(container.id())?;
    let placed = volumes::place(engine, &mounts)?;
    let runtime = runtimes::binary(engine.config(), &container.fixed.spec)?;
    let mut more = volumes::beyond_configuration(runtime.as_deref(), &placed)?;
    if container.fixed.ids.is_some()
        && let Some(root) = snapshot.mounts.first_mut()
    {
        root.options.push(render::IDMAP.to_owned());
    }
    label(
        container,
        &mounts,
        (&mut snapshot.mounts, &mut more),
        &placed,
    )?;
    snapshot.mounts.extend(more);
    let shim = launch(engine, container, &dir, &snapshot.mounts, undo)?;
    // Its networks neither come nor go until the record says what it has of them.
    let _order = crate::table::lock(&container.networking);
    let mut placement = place(engine, container, undo)?;
    let reserving = network::reserve::reserve(engine, container, &placement, undo);
    let reserving = reserving.map_err(Error::at_start)?;
    let files = write_files(engine, container, &placement)?;
    let identity = find_user(engine, container, &snapshot.mounts)?;
    let joined = namespaces::joined(engine, container)?;
    let (config, filter) = configuration(
        engine,
        container,
        &files,
        identity,
        (&placed, &joined, runtime),
    )?;
    write_config(engine, &dir, &config)?;
    reserving.finish(&mut placement).map_err(Error::at_start)?;
    client.map_or(Ok(()), |client| client.wait(engine, container))?;
    let pending = std::mem::take(&mut container.live().pending);
    let (mut making, watch) = Making::begin(container, &shim, pending, filter)?;
    let mut filled = fill_ahead(engine, container, &shim, &placement, &config)?;
    if let Some(filled) = &mut filled {
        let introduced = network::attach::introduce(engine, container, filled, &placement, undo);
        introduced.map_err(Error::at_start)?;
    }
    if needs_nothing_at_gate(&container.fixed.spec, &joined, filled.as_ref()) {
        making.open_gate()?;
    }
    let process = making.made()?;
    namespaces::check_joined(&joined)?;
    engine.passed(step::CREATE)?;
    let secrets = secret::place::files(engine, container, process)?;
    let filled = connect(engine, container, process, &placement, (filled, undo))?;
    hand_over_clients(engine, container, &shim)?;
    engine.passed(step::WATCH)?;
    making.open_gate()?;
    let settling = filled
        .as_ref()
        .map(|filled| network::attach::settle(engine, container, process, filled));
    let process = making.started()?;
    engine.passed(step::START)?;
    let endpoints = filled.as_ref().map(Filled::endpoints).unwrap_or_default();
    record(
        engine,
        container,
        process,
        &shim,
        (endpoints, placement.ports),
    )?;
    if let Some(settling) = settling {
        settling.finish();
    }
    Ok(Started {
        shim,
        watch,
        secrets,
    })
}

fn make_sources<'a>(
    engine: &Engine,
    requests: &[MountRequest],
    undo: &mut Stack<'a>,
) -> Result<(), Error> {
    mounts::check_sources(requests)?;
    let made = mounts::make_sources(requests)?;
    undo.push(step::BIND_SOURCES, move || {
        mounts::remove_sources(&made);
        Ok(())
    });
    engine.passed(step::BIND_SOURCES)
}

/// Has SELinux call its files what they are to be called.
fn label(
    container: &Container,
    mounts: &[MountRequest],
    (rootfs, more): (&mut [Mount], &mut [Mount]),
    placed: &Placed,
) -> Result<(), Error> {
    let Some(labels) = &container.fixed.selinux else {
        return Ok(());
    };
    selinux::label_layers(labels, rootfs);
    selinux::label_layers(labels, more);
    selinux::label_mounts(labels, mounts, placed)
}

fn make_bundle<'a>(
    engine: &'a Engine,
    container: &'a Container,
    undo: &mut Stack<'a>,
) -> Result<PathBuf, Error> {
    let dir = engine.run_dir(container.id());
    // Left by a crash: whoever made it is gone, or this container could not be started.
    remove::remove_run_dir(engine, container.id())?;
    let made = DirBuilder::new().mode(0o700).create(&dir);
    made.map_err(Error::io(format!("make the bundle {}", dir.display())))?;
    undo.push(step::BUNDLE, || {
        remove::remove_run_dir(engine, container.id())
    });
    namespaces::make_shm(container, &dir)?;
    engine.passed(step::BUNDLE)?;
    Ok(dir)
}

fn launch<'a>(
    engine: &'a Engine,
    container: &'a Container,
    dir: &Path,
    rootfs: &[Mount],
    undo: &mut Stack<'a>,
) -> Result<Arc<Shim>, Error> {
    let spec = &container.fixed.spec;
    let kept = engine.storage().container_dir(container.id());
    let exit_record = kept.join(EXIT_RECORD);
    forget_exit(&exit_record)?;
    let launch = Launch {
        id: container.id().to_string(),
        dir: dir.to_owned(),
        bundle: dir.to_owned(),
        rootfs: rootfs.to_vec(),
        exit_record,
        log: super::written_log(engine, container),
        open_stdin: spec.open_stdin,
        stdin_once: spec.stdin_once,
        console_size: spec.console_size,
        foreign_runtime: runtimes::binary(engine.config(), spec)?,
        fail_at: engine.config().fail_at.clone(),
        ..log_limits(spec)
    };
    let shim = engine.shim().launch(&launch).map_err(Error::Task)?;
    let shim = Arc::new(shim);
    undo.push(step::LAUNCH, {
        let shim = shim.clone();
        move || {
            container.live().no_shim();
            end_shim(engine, Some(container), &shim)
        }
    });
    container.live().shim = Some(shim.clone());
    engine.passed(step::LAUNCH)?;
    Ok(shim)
}

/// The part of the launch that the log's options say.
fn log_limits(spec: &ContainerSpec) -> Launch {
    let limits = spec.log.limits();
    Launch {
        log_max_size: limits.max_size,
        log_max_files: limits.max_files,
        log_compress: spec.log.compresses(),
        ..Launch::default()
    }
}

/// The last run's exit record would be taken for this one's.
fn forget_exit(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let what = format!("remove the exit record {}", path.display());
            Err(Error::io(what)(error))
        }
        _ => Ok(()),
    }
}

/// Has a shim clean up whatever it made, and end; kills what does not.
pub(crate) fn end_shim(
    engine: &Engine,
    container: Option<&Container>,
    shim: &Shim,
) -> Result<(), Error> {
    // One that has failed ends by itself, and may be gone before it answers; or somebody has killed it,
    // and what it had made is still there.
    let (ends, gone) = match shim.call(&Call::Shutdown, &[]) {
        Ok(_) => (true, false),
        Err(error) => {
            let gone = error.kind() == ErrorKind::Unavailable;
            (gone, gone)
        }
    };
    let wait = |limit| {
        sys::pidfd::ended_within(shim.pidfd(), limit).map_err(Error::kernel("wait for a shim"))
    };
    if !wait(if ends { SHIM_END } else { Duration::ZERO })? {
        sys::pidfd::send_signal(shim.pidfd(), Signal::KILL)
            .map_err(Error::kernel("kill a shim"))?;
        if let Some(container) = container {
            supervise::kill_leftovers(engine, container)?;
        }
        wait(SHIM_END)?;
    } else if let (Some(container), true) = (container, gone) {
        supervise::kill_leftovers(engine, container)?;
    }
    // Reaps it if it is ours.
    shim.has_ended();
    Ok(())
}

fn write_files(
    engine: &Engine,
    container: &Container,
    placement: &Placement,
) -> Result<Files, Error> {
    let dir = engine.storage().container_dir(container.id());
    let (spec, labels) = (&container.fixed.spec, &container.fixed.selinux);
    let files = match namespaces::names(engine, container)? {
        // Those of the container whose network it has.
        Some(other) => files::paths(&engine.storage().container_dir(other.id())),
        None => {
            let addresses = network::files::of_placement(placement);
            network::files::write(engine, container, &dir, &addresses)?
        }
    };
    if let Some(labels) = labels {
        selinux::label_files(labels, spec, &files)?;
    }
    engine.passed(step::FILES)?;
    Ok(files)
}

fn find_user(engine: &Engine, container: &Container, rootfs: &[Mount]) -> Result<Identity, Error> {
    let fixed = &container.fixed;
    let passwd = users::read_in_layers(rootfs, users::PASSWD)?;
    let group = users::read_in_layers(rootfs, users::GROUP)?;
    let identity = users::identify(&fixed.resolved.user, &fixed.spec.groups, &passwd, &group)?;
    engine.passed(step::USER)?;
    Ok(identity)
}

fn configuration(
    engine: &Engine,
    container: &Container,
    files: &Files,
    identity: Identity,
    (placed, joined, runtime): (&Placed, &Joined, Option<PathBuf>),
) -> Result<(Spec, Option<Filter>), Error> {
    let fixed = &container.fixed;
    let asked = engine.config().usual.complete(container.spec());
    let (described, more) = described::edits(engine, &fixed.spec)?;
    let mut devices = devices::devices(&fixed.spec)?;
    devices.extend(more);
    let input = RenderInput {
        id: &fixed.id,
        spec: &asked,
        resolved: &network::links::resolved(engine, container),
        identity,
        files,
        devices,
        described,
        cgroup_path: cgroup_path(engine, &fixed.spec, &fixed.id),
        block_devices: block_devices::resolve(&asked.resources.block_io)?,
        joined: joined.clone(),
        init: &engine.config().init,
        host: engine.host().facts.clone(),
        placed,
        ids: fixed.ids.as_ref(),
    };
    let mut spec = render::spec(&input)?;
    let filter = confine(
        engine,
        &mut spec,
        render::filter(&input)?,
        runtime.is_some(),
    );
    secret::place::add(engine, &fixed.spec, &mut spec)?;
    if let Some(labels) = &fixed.selinux {
        render::label(&mut spec, &labels.process, &labels.mount);
    }
    Ok((spec, filter))
}

/// The filter as it travels to the shim; where another runtime, or somebody who decides about calls, needs to read
/// it, it is in the configuration.
pub(super) fn confine(
    engine: &Engine,
    config: &mut Spec,
    filter: Option<Arc<LinuxSeccomp>>,
    foreign: bool,
) -> Option<Filter> {
    let filter = filter?;
    let compiled = match foreign {
        true => None,
        false => engine.shim().filters.compiled(&filter),
    };
    if let (None, Some(linux)) = (&compiled, config.linux_mut()) {
        linux.set_seccomp(Some(Arc::unwrap_or_clone(filter)));
    }
    compiled
}

fn write_config(engine: &Engine, dir: &Path, config: &Spec) -> Result<(), Error> {
    let text = serde_json::to_vec(config).map_err(|source| Error::Encode {
        what: "a container's configuration",
        source,
    })?;
    let path = dir.join("config.json");
    sys::file::replace_unsynced(&path, &text, 0o600)
        .map_err(Error::kernel(format!("write {}", path.display())))?;
    engine.passed(step::RENDER)
}

/// Fills the network namespace that the shim has made before, while it makes all the rest. Where
/// parameters of the network are asked for, which the runtime sets, they come before the interfaces.
pub(super) fn fill_ahead(
    engine: &Engine,
    container: &Container,
    shim: &Shim,
    placement: &Placement,
    config: &Spec,
) -> Result<Option<Filled>, Error> {
    // Not kept where it is not used: it is a namespace that would outlive the container's.
    let made = shim.take_network();
    let spec = &container.fixed.spec;
    let sets = spec.sysctls.keys().any(|name| name.starts_with("net"));
    if !spec.network.is_connected() || sets || !has_new_network(config) {
        return Ok(None);
    }
    let fill = |namespace| network::attach::fill(engine, container, namespace, placement);
    made.map(fill).transpose().map_err(Error::at_start)
}

/// Whether a network namespace is made for it that may be there before.
fn has_new_network(config: &Spec) -> bool {
    let linux = config.linux().as_ref();
    let all = linux.and_then(|linux| linux.namespaces().as_ref());
    let mut is_new = false;
    for namespace in all.into_iter().flatten() {
        match namespace.typ() {
            LinuxNamespaceType::User => return false,
            LinuxNamespaceType::Network => is_new = namespace.path().is_none(),
            _ => {}
        }
    }
    is_new
}

/// Addresses in all networks; nothing of a container that is in none.
fn place<'a>(
    engine: &'a Engine,
    container: &'a Container,
    undo: &mut Stack<'a>,
) -> Result<Placement, Error> {
    if !container.fixed.spec.network.is_connected() {
        return Ok(Placement::default());
    }
    let placement = network::place::place(engine, container).map_err(Error::at_start)?;
    let taken = network::place::taken(&placement);
    undo.push(step::ADDRESSES, move || {
        network::place::give_back(taken);
        Ok(())
    });
    engine.passed(step::ADDRESSES)?;
    Ok(placement)
}

/// Fills the network namespace of the process at the gate.
fn connect<'a>(
    engine: &'a Engine,
    container: &'a Container,
    process: ProcessRef,
    placement: &Placement,
    (filled, undo): (Option<Filled>, &mut Stack<'a>),
) -> Result<Option<Filled>, Error> {
    if !container.fixed.spec.network.is_connected() {
        return Ok(None);
    }
    network::attach::attach(engine, container, process, placement, (filled, undo))
        .map(Some)
        .map_err(Error::at_start)
}

/// Whether nothing is done to the process at the gate, and so nothing can fail there.
pub(super) fn needs_nothing_at_gate(
    spec: &ContainerSpec,
    joined: &Joined,
    filled: Option<&Filled>,
) -> bool {
    let has_network = filled.is_some() || !spec.network.is_connected();
    has_network && spec.secrets.is_empty() && joined.processes.is_empty()
}

/// Clients that attached while the container was made. One that cannot be handed over has gone away.
fn hand_over_clients(engine: &Engine, container: &Container, shim: &Shim) -> Result<(), Error> {
    let pending = {
        let mut live = container.live();
        live.serves_clients = true;
        std::mem::take(&mut live.pending)
    };
    for client in pending {
        let call = Call::Attach(client.options);
        shim.call(&call, &[client.client.as_fd()])
            .map_err(Error::Task)?;
    }
    engine.passed(step::ATTACH)
}

fn record(
    engine: &Engine,
    container: &Container,
    process: ProcessRef,
    shim: &Shim,
    (networks, ports): (BTreeMap<String, Endpoint>, Ports),
) -> Result<(), Error> {
    let keep = Some((engine.records(), Durability::Process));
    engine.passed(step::RUNNING)?;
    container.change(keep, |status| {
        let started = Change::Started {
            process,
            at: clock::now(),
        };
        let refused = |r| WrongState::refused(&container.fixed, &r);
        Ok(Status {
            lifecycle: status.lifecycle.on(started).map_err(refused)?,
            shim: sys::proc::process_ref(shim.pid()).ok(),
            networks,
            ports,
            ..status
        })
    })?;
    Ok(())
}

/// Leaves the reason behind, or nothing at all of a container that goes when it ends.
fn failed(engine: &Engine, container: &Arc<Container>, error: &Error) {
    let status = ExitStatus {
        code: match error.kind() {
            ErrorKind::CommandNotFound => 127,
            ErrorKind::NotExecutable => 126,
            _ => 128,
        },
        oom_killed: false,
        finished: clock::now(),
        error: error.chain(),
        reason: Reason {
            step: Some(steps::under_way().to_owned()),
            ..Reason::default()
        },
    };
    container.live().pending.clear();
    container.set_clean(true);
    supervise::end(engine, container, Change::Failed(status));
    if container.fixed.spec.auto_remove {
        remove::forget_ended(engine, container);
    }
}

/// The container's own cgroup.
pub(crate) fn cgroup_path(engine: &Engine, spec: &ContainerSpec, id: &ContainerId) -> String {
    let asked = spec.resources.cgroup_parent.as_deref();
    let parent = asked
        .filter(|parent| !parent.is_empty())
        .unwrap_or(&engine.config().cgroup_parent);
    format!("/{}/{id}", parent.trim_matches('/'))
}
