//! A step of a build: a command on somebody's files, isolated as a container's, that is no container.
//! Nothing is recorded, so nobody lists it; what it had is gone when it ends, however it ends.
//!
//! Its run directory is the evidence by which the next engine finds what a crash leaves of it.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use oci_spec::runtime::{MountBuilder, Spec};
use shim::{AttachOptions, Call, ExitRecord, Filter, Launch, Notice, Shim, Streams, Watch};
use types::{
    ContainerId, ContainerSpec, Digest, IdMaps, Mount, NetworkMode, Resources, Security, Signal,
};

use super::check::{self, Machine};
use super::create::random;
use super::making::Making;
use super::selinux::{self, Labels};
use super::start::{
    EXIT_RECORD, cgroup_path, confine, end_shim, fill_ahead, needs_nothing_at_gate,
};
use super::{Files, Resolved, described, devices, namespaces, remove, user_ids};
use crate::network::{self, place::Placement};
use crate::record::{Fixed, Status};
use crate::render::{self, Identity, Joined, Placed, RenderInput};
use crate::steps::name as step_name;
use crate::table::{Container, Pending, lock};
use crate::undo::Stack;
use crate::user_ids::Source;
use crate::{Engine, Error, clock, supervise, users};

/// Bytes of a frame's heading: the stream, three of nothing, the length.
const HEADING: usize = 8;
/// What a step has written is read in pieces no longer.
const PIECE: usize = 32 << 10;

/// Gives work up from outside. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Given>);

#[derive(Debug, Default)]
struct Given {
    up: AtomicBool,
    /// Whoever has to be ended for it.
    steps: Mutex<Vec<(u64, Arc<Shim>)>>,
}

impl Cancel {
    /// Nobody has given up yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives up: steps that run are killed, none is begun.
    pub fn cancel(&self) {
        self.0.up.store(true, Ordering::SeqCst);
        for (_, shim) in lock(&self.0.steps).iter() {
            kill(shim);
        }
    }

    /// Whether somebody has.
    pub fn is_cancelled(&self) -> bool {
        self.0.up.load(Ordering::SeqCst)
    }

    /// Has `shim` killed when somebody gives up, until what is returned is dropped.
    fn guard(&self, shim: &Arc<Shim>) -> Guard<'_> {
        let mut steps = lock(&self.0.steps);
        let number = steps.last().map_or(0, |(number, _)| number + 1);
        steps.push((number, shim.clone()));
        drop(steps);
        // Given up before it was known here.
        if self.is_cancelled() {
            kill(shim);
        }
        Guard(self, number)
    }
}

struct Guard<'a>(&'a Cancel, u64);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        lock(&self.0.0.steps).retain(|(number, _)| *number != self.1);
    }
}

/// One that cannot be reached has ended, or is ended by the undoing of its launch.
fn kill(shim: &Shim) {
    let call = Call::Kill {
        signal: Signal::KILL,
    };
    let _ = shim.call(&call, &[]);
}

/// What is executed.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Its root.
    pub root: Vec<Mount>,
    /// The command.
    pub args: Vec<String>,
    /// `NAME=value`
    pub env: Vec<String>,
    /// Where; made if it is not there.
    pub directory: String,
    /// `user[:group]`; empty is root.
    pub user: String,
    /// The machine's name inside; empty is one of its own.
    pub hostname: String,
    /// What it reaches.
    pub network: NetworkMode,
    /// `name:address`
    pub hosts: Vec<String>,
    /// With every privilege.
    pub privileged: bool,
    /// Limits.
    pub resources: Resources,
    /// What else it sees.
    pub mounts: Vec<StepMount>,
}

/// Something that a step sees beside its root.
#[derive(Debug, Clone)]
pub struct StepMount {
    /// Where.
    pub target: String,
    /// What.
    pub source: StepSource,
    /// Nothing can be written.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone)]
pub enum StepSource {
    /// A socket of the client's on the machine, for this step alone.
    Socket {
        /// Where it is.
        path: PathBuf,
        /// Its owner.
        owner: (u32, u32),
        /// Its mode: who may not write to it cannot connect.
        mode: u32,
    },
    /// What a [`Mount`] says; its target is the step's to say.
    Given(Mount),
    /// Memory, at most so many bytes; 0 is half of the machine's.
    Memory(i64),
    /// A file in memory that nobody keeps.
    Secret {
        /// What is in it.
        bytes: Vec<u8>,
        /// Its owner.
        owner: (u32, u32),
        /// Its mode.
        mode: u32,
    },
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The exit code; 128 + n for death by signal n.
    pub code: i32,
    /// Whether the out-of-memory killer struck.
    pub oom_killed: bool,
}

/// Runs a step to its end; `out` is told what it writes, 1 for standard output and 2 for standard error.
/// Blocking.
///
/// # Errors
/// When it cannot be begun, as the start of a container; a command that fails is none.
pub fn run(
    engine: &Engine,
    step: &Step,
    cancel: &Cancel,
    out: &mut dyn FnMut(u8, &[u8]),
) -> Result<Ended, Error> {
    engine.accepts_work()?;
    let container = draft(engine, step)?;
    let mut undo = Stack::new();
    let ended = execute(engine, &container, step, cancel, out, &mut undo);
    // Of a step nothing stays, whatever came of it.
    undo.unwind();
    engine.prepare_shim();
    ended
}

/// The container that it would be.
fn draft(engine: &Engine, step: &Step) -> Result<Container, Error> {
    let id = ContainerId::from_random(random()?);
    let mut spec = ContainerSpec {
        network: step.network.clone(),
        resources: step.resources.clone(),
        security: Security {
            privileged: step.privileged,
            ..Security::default()
        },
        auto_remove: true,
        ..ContainerSpec::default()
    };
    spec.networking.extra_hosts.clone_from(&step.hosts);
    let ids = ids(engine, &spec)?;
    // Limits that this machine cannot keep are dropped, as those of containers are.
    check::limits(&mut spec.resources, &Machine::of(engine.host()))?;
    let networks = network::networks_of(engine, &mut spec)?;
    let hostname = match (&step.hostname, &spec.network) {
        (name, _) if !name.is_empty() => name.clone(),
        (_, NetworkMode::Host) => engine.host().name.clone(),
        _ => id.short().to_owned(),
    };
    let name = format!("build-{}", id.short());
    let fixed = Fixed {
        name: name
            .parse()
            .map_err(Error::kernel("make a name for the step"))?,
        created: clock::now(),
        resolved: resolved(step, hostname),
        image: Digest::sha256([0; 32]),
        image_ref: None,
        ids,
        selinux: selinux::labels(engine, &spec)?,
        spec,
        id,
    };
    let status = Status {
        networks,
        ..Status::created()
    };
    Container::new(fixed, status)
}

/// Whose ids it has: those of all containers that ask for nothing.
fn ids(engine: &Engine, spec: &ContainerSpec) -> Result<Option<IdMaps>, Error> {
    let source = user_ids::of(engine, spec)?;
    user_ids::check(engine, spec, &source)?;
    match source {
        Source::Given(ids) => Ok(Some(ids)),
        // Nobody's own are for a step.
        Source::Host | Source::Own(_) => Ok(None),
    }
}

fn resolved(step: &Step, hostname: String) -> Resolved {
    Resolved {
        entrypoint: Vec::new(),
        command: step.args.clone(),
        // What a step leaves behind is the same on every machine.
        env: ["HOSTNAME".to_owned()]
            .into_iter()
            .chain(step.env.iter().cloned())
            .collect(),
        working_dir: step.directory.clone(),
        user: step.user.clone(),
        hostname,
        labels: Default::default(),
        exposed_ports: Default::default(),
        stop_signal: Signal::KILL,
        stop_timeout: 0,
        mounts: Vec::new(),
        health: None,
        shell: Vec::new(),
    }
}

fn execute<'a>(
    engine: &'a Engine,
    container: &'a Container,
    step: &Step,
    cancel: &'a Cancel,
    out: &mut dyn FnMut(u8, &[u8]),
    undo: &mut Stack<'a>,
) -> Result<Ended, Error> {
    let dir = make_dir(engine, container, undo)?;
    let ids = container.fixed.ids.as_ref();
    let secrets = write_secrets(&dir, &step.mounts, ids)?;
    let mut root = step.root.clone();
    if let (Some(_), Some(root)) = (ids, root.first_mut()) {
        root.options.push(render::IDMAP.to_owned());
    }
    root.extend(given(&step.mounts));
    if let Some(labels) = &container.fixed.selinux {
        selinux::label_layers(labels, &mut root);
        label_mounts(labels, &step.mounts, &secrets)?;
    }
    let shim = launch(engine, container, &dir, root, undo)?;
    let placement = place(engine, container, undo)?;
    let files = write_files(engine, container, &dir, &placement)?;
    let identity = identify(container, &step.root)?;
    let joined = namespaces::joined(engine, container)?;
    let (mut spec, filter) = configuration(engine, container, &files, (identity, &joined))?;
    mount(&mut spec, &step.mounts, &secrets, ids.is_some());
    if ids.is_some() && !can_translate_memory(engine) {
        let own = [&files.hosts, &files.hostname, &files.resolv_conf];
        keep_ids(&mut spec, &own.map(PathBuf::as_path));
    }
    if let Some(labels) = &container.fixed.selinux {
        selinux::label_files(labels, &container.fixed.spec, &files)?;
        render::label(&mut spec, &labels.process, &labels.mount);
    }
    write_spec(&dir, &spec)?;
    let (output, client) = output()?;
    let (mut making, watch) = Making::begin(container, &shim, vec![client], filter)?;
    let mut filled = fill_ahead(engine, container, &shim, &placement, &spec)?;
    if let Some(filled) = &mut filled {
        network::attach::introduce(engine, container, filled, &placement, undo)?;
    }
    if needs_nothing_at_gate(&container.fixed.spec, &joined, filled.as_ref()) {
        making.open_gate()?;
    }
    let process = making.made()?;
    namespaces::check_joined(&joined)?;
    let filled = match placement.endpoints.is_empty() {
        true => None,
        false => {
            let filled = (filled, undo);
            Some(network::attach::attach(
                engine, container, process, &placement, filled,
            )?)
        }
    };
    let _guard = cancel.guard(&shim);
    making.open_gate()?;
    let started = making.started()?;
    if let Some(filled) = &filled {
        network::attach::settle(engine, container, started, filled);
    }
    tracing::debug!(pid = started.pid, "a step of a build runs");
    read_output(output, out).map_err(Error::io("read what a step of a build writes"))?;
    let record = ended(&watch, &shim)?;
    Ok(Ended {
        code: record.code,
        oom_killed: record.oom_killed,
    })
}

fn make_dir<'a>(
    engine: &'a Engine,
    container: &'a Container,
    undo: &mut Stack<'a>,
) -> Result<PathBuf, Error> {
    let dir = engine.run_dir(container.id());
    let made = DirBuilder::new().mode(0o700).create(&dir);
    made.map_err(Error::io(format!("make the bundle {}", dir.display())))?;
    undo.push(step_name::BUNDLE, || {
        remove::remove_run_dir(engine, container.id())
    });
    if container.fixed.spec.resources.cgroup_parent.is_some() {
        let path = cgroup_path(engine, &container.fixed.spec, container.id());
        let file = dir.join(supervise::CGROUP_FILE);
        sys::file::replace_unsynced(&file, path.as_bytes(), 0o600)
            .map_err(Error::kernel("leave word of a step's cgroup"))?;
    }
    Ok(dir)
}

/// Writes secrets to files of the run directory, which is in memory and goes with the step; they, and sockets
/// of the client's, get the owners that they have outside.
fn write_secrets(
    dir: &Path,
    mounts: &[StepMount],
    ids: Option<&IdMaps>,
) -> Result<Vec<Option<PathBuf>>, Error> {
    let outside = |(uid, gid)| match ids {
        None => Ok((uid, gid)),
        Some(ids) => ids.outside(uid, gid).ok_or_else(|| {
            let sentence = format!("{uid}:{gid} is not among the ids of containers (userns-remap)");
            Error::io("give a secret its owner")(std::io::Error::other(sentence))
        }),
    };
    let mut paths = Vec::new();
    for (number, mount) in mounts.iter().enumerate() {
        if let StepSource::Socket { path, owner, mode } = &mount.source {
            let (uid, gid) = outside(*owner)?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(*mode);
            std::os::unix::fs::lchown(path, Some(uid), Some(gid))
                .and_then(|()| std::fs::set_permissions(path, mode))
                .map_err(Error::io(format!("give away {}", path.display())))?;
        }
        let StepSource::Secret { bytes, owner, mode } = &mount.source else {
            paths.push(None);
            continue;
        };
        let path = dir.join(format!("secret-{number}"));
        let failed = || Error::io(format!("write a secret to {}", path.display()));
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let mut file = file.map_err(failed())?;
        std::io::Write::write_all(&mut file, bytes).map_err(failed())?;
        let owner = outside(*owner)?;
        std::os::unix::fs::fchown(&file, Some(owner.0), Some(owner.1)).map_err(failed())?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(*mode);
        file.set_permissions(mode).map_err(failed())?;
        paths.push(Some(path));
    }
    Ok(paths)
}

/// Has SELinux let the step reach what it is given: caches and other stages' files are all steps', secrets its own.
fn label_mounts(
    labels: &Labels,
    mounts: &[StepMount],
    secrets: &[Option<PathBuf>],
) -> Result<(), Error> {
    for (mount, secret) in mounts.iter().zip(secrets) {
        match (&mount.source, secret) {
            (StepSource::Socket { path, .. }, _) => selinux::label_own(labels, path, true)?,
            (StepSource::Given(given), _) if given.kind == "bind" => {
                selinux::label_own(labels, &given.source, true)?;
            }
            (_, Some(path)) => selinux::label_own(labels, path, false)?,
            _ => {}
        }
    }
    Ok(())
}

/// What a configuration cannot say.
fn given(mounts: &[StepMount]) -> impl Iterator<Item = Mount> + '_ {
    mounts.iter().filter_map(|mount| match &mount.source {
        StepSource::Given(given) => Some(Mount {
            target: mount.target.clone().into(),
            ..given.clone()
        }),
        _ => None,
    })
}

fn launch<'a>(
    engine: &'a Engine,
    container: &'a Container,
    dir: &Path,
    rootfs: Vec<Mount>,
    undo: &mut Stack<'a>,
) -> Result<Arc<Shim>, Error> {
    let launch = Launch {
        id: container.id().to_string(),
        dir: dir.to_owned(),
        bundle: dir.to_owned(),
        rootfs,
        exit_record: dir.join(EXIT_RECORD),
        foreign_runtime: engine.config().foreign_runtime.clone(),
        fail_at: engine.config().fail_at.clone(),
        ..Launch::default()
    };
    let shim = Arc::new(engine.shim().launch(&launch).map_err(Error::Task)?);
    undo.push(step_name::LAUNCH, {
        let shim = shim.clone();
        move || {
            end_shim(engine, None, &shim)?;
            let path = cgroup_path(engine, &container.fixed.spec, container.id());
            supervise::remove_cgroup(engine, &path)
        }
    });
    Ok(shim)
}

fn place<'a>(
    engine: &'a Engine,
    container: &'a Container,
    undo: &mut Stack<'a>,
) -> Result<Placement, Error> {
    if !container.fixed.spec.network.is_connected() {
        return Ok(Placement::default());
    }
    let placement = network::place::place(engine, container)?;
    let taken = network::place::taken(&placement);
    undo.push(step_name::ADDRESSES, move || {
        network::place::give_back(taken);
        Ok(())
    });
    Ok(placement)
}

fn identify(container: &Container, root: &[Mount]) -> Result<Identity, Error> {
    let passwd = users::read_in_layers(root, users::PASSWD)?;
    let group = users::read_in_layers(root, users::GROUP)?;
    let user = &container.fixed.resolved.user;
    Ok(users::identify(user, &[], &passwd, &group)?)
}

/// Its own, or those of the container whose network it has.
fn write_files(
    engine: &Engine,
    container: &Container,
    dir: &Path,
    placement: &Placement,
) -> Result<Files, Error> {
    if let Some(other) = namespaces::names(engine, container)? {
        let dir = engine.storage().container_dir(other.id());
        return Ok(super::files::paths(&dir));
    }
    let addresses = network::files::of_placement(placement);
    network::files::write(engine, container, dir, &addresses)
}

fn configuration(
    engine: &Engine,
    container: &Container,
    files: &Files,
    (identity, joined): (Identity, &Joined),
) -> Result<(Spec, Option<Filter>), Error> {
    let fixed = &container.fixed;
    let (described, more) = described::edits(engine, &fixed.spec)?;
    let mut devices = devices::devices(&fixed.spec)?;
    devices.extend(more);
    let input = RenderInput {
        id: &fixed.id,
        spec: &fixed.spec,
        resolved: &fixed.resolved,
        identity,
        files,
        devices,
        cgroup_path: cgroup_path(engine, &fixed.spec, &fixed.id),
        block_devices: BTreeMap::new(),
        joined: joined.clone(),
        described,
        init: &engine.config().init,
        host: engine.host().facts.clone(),
        placed: &Placed::default(),
        ids: fixed.ids.as_ref(),
    };
    let mut spec = render::spec(&input)?;
    let foreign = engine.config().foreign_runtime.is_some();
    let filter = confine(engine, &mut spec, render::filter(&input)?, foreign);
    Ok((spec, filter))
}

/// Whether this kernel translates the ids of files that are in memory, where a step's own are.
fn can_translate_memory(engine: &Engine) -> bool {
    engine.host().facts.kernel >= (6, 3)
}

/// Files that everybody may read stay whose they are.
fn keep_ids(spec: &mut Spec, files: &[&Path]) {
    let mut all = spec.mounts().clone().unwrap_or_default();
    let own = |mount: &&mut oci_spec::runtime::Mount| {
        let source = mount.source().as_deref();
        source.is_some_and(|source| files.contains(&source))
    };
    for mount in all.iter_mut().filter(own) {
        let options = mount.options().iter().flatten();
        let options = options.filter(|option| *option != render::IDMAP);
        mount.set_options(Some(options.cloned().collect()));
    }
    spec.set_mounts(Some(all));
}

/// Adds the step's own mounts, in their order. Who comes later lies above.
fn mount(spec: &mut Spec, mounts: &[StepMount], secrets: &[Option<PathBuf>], translate: bool) {
    let mut all = spec.mounts().clone().unwrap_or_default();
    for (mount, secret) in mounts.iter().zip(secrets) {
        let access = if mount.read_only { "ro" } else { "rw" };
        let mut options = vec![access.to_owned(), "nosuid".to_owned(), "nodev".to_owned()];
        let (kind, source) = match &mount.source {
            StepSource::Socket { path, .. } => ("bind", path.clone()),
            StepSource::Secret { .. } => ("bind", secret.clone().unwrap_or_default()),
            StepSource::Given(given) => ("bind", given.source.clone()),
            StepSource::Memory(size) => {
                if *size > 0 {
                    options.push(format!("size={size}"));
                }
                ("tmpfs", "tmpfs".into())
            }
        };
        if kind == "bind" {
            // A program of another stage may be executed with what it is.
            options.truncate(1);
            options.push("bind".to_owned());
        }
        if translate && matches!(mount.source, StepSource::Given(_)) {
            options.push(render::IDMAP.to_owned());
        }
        let made = MountBuilder::default()
            .destination(&mount.target)
            .typ(kind)
            .source(source)
            .options(options)
            .build();
        // Nothing of it is missing.
        if let Ok(made) = made {
            all.retain(|known| known.destination() != made.destination());
            all.push(made);
        }
    }
    spec.set_mounts(Some(all));
}

fn write_spec(dir: &Path, spec: &Spec) -> Result<(), Error> {
    let text = serde_json::to_vec(spec).map_err(|source| Error::Encode {
        what: "a step's configuration",
        source,
    })?;
    let path = dir.join("config.json");
    sys::file::replace_unsynced(&path, &text, 0o600)
        .map_err(Error::kernel(format!("write {}", path.display())))
}

fn output() -> Result<(UnixStream, Pending), Error> {
    let (ours, its) = UnixStream::pair().map_err(Error::io("make a socket for a step's output"))?;
    let options = AttachOptions {
        streams: Streams {
            stdin: false,
            stdout: true,
            stderr: true,
        },
        framed: true,
        ..AttachOptions::default()
    };
    let client = Pending {
        client: its,
        options,
    };
    Ok((ours, client))
}

/// Reads frames until the shim closes the stream.
fn read_output(mut from: UnixStream, out: &mut dyn FnMut(u8, &[u8])) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let mut heading = [0; HEADING];
        match from.read_exact(&mut heading) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            answer => answer?,
        }
        let [stream, _, _, _, length @ ..] = heading;
        let mut left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(0);
        while left > 0 {
            let count = left.min(PIECE);
            from.read_exact(&mut piece[..count])?;
            out(stream, &piece[..count]);
            left -= count;
        }
    }
}

/// Waits for its end, which comes about with that of its output.
fn ended(watch: &Watch, shim: &Shim) -> Result<ExitRecord, Error> {
    loop {
        match watch.try_next().map_err(Error::Task)? {
            Some(Notice::Exited(record)) => return Ok(record),
            Some(Notice::ExecExited { .. } | Notice::Looked { .. }) => {}
            None => {
                let patience = std::time::Duration::from_secs(1);
                sys::event::readable_within(watch, patience)
                    .map_err(Error::kernel(format!("wait for the shim {}", shim.pid())))?;
            }
        }
    }
}
