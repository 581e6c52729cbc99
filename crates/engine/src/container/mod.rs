//! Containers: their data, and one file a verb.

mod archive;
mod attach;
mod block_devices;
mod changed;
mod changes;
mod check;
mod commit;
pub(crate) mod create;
mod described;
mod devices;
mod files;
mod inspect;
mod kill;
mod list;
mod log_details;
mod logs;
mod making;
mod mounts;
mod names;
mod namespaces;
mod order;
mod paths;
mod pause;
mod prune;
pub(crate) mod remount;
pub(crate) mod remove;
mod rename;
mod resize;
mod resolve;
mod restart;
pub(crate) mod restarts;
pub(crate) mod rootfs;
mod runtimes;
pub(crate) mod selinux;
pub(crate) mod start;
mod stats;
pub mod step;
mod stop;
mod top;
mod update;
mod user_ids;
mod usual;
mod volumes;
mod wait;

use std::collections::BTreeMap;
use std::path::PathBuf;

use types::{
    ContainerId, ContainerName, ContainerPort, ContainerSpec, Digest, ErrorKind, ExecId, Health,
    HealthCheck, ImageRef, Lifecycle, MountKind, MountRequest, ProcessRef, Refused, Signal,
    VolumeName,
};

use crate::network::{self, EndpointView, Place, PublishedPort};
use crate::record::Fixed;
use crate::table::Container;
use crate::{Engine, Error, health};

pub use archive::{NoFile, PathStat, PutOptions, export, get, put, stat};
pub use sys::dir::Kind as FileKind;

pub use attach::{Awaited, Coming, attach, check_attach, coming};
pub use changes::{ChangeKind, PathChange, changes};
pub use check::Invalid;
pub use commit::{CommitOptions, commit};
pub use create::create;
pub use described::{described, for_build};
pub(crate) use files::write as write_files;
pub use inspect::{inspect, inspect_settled, size};
pub use kill::kill;
pub(crate) use kill::kill_by;
pub use list::list;
pub use log_details::{log_attributes, log_tag};
pub use logs::{LogError, logs};
pub(crate) use logs::{LogReading, read_all};
pub use pause::{pause, unpause};
pub use prune::{Pruned, prune};
pub use remove::{remove, remove_with_volumes};
pub use rename::rename;
pub use resize::resize;
pub use restart::restart;
pub(crate) use restart::restart_by;
pub use runtimes::{OWN_RUNTIME, Runtimes, is_own_runtime};
pub use start::{start, start_for};
pub use stats::{Sample, Usage, stats};
pub use stop::stop;
pub(crate) use stop::stop_by;
pub use top::{TopError, top};
pub use update::update;
pub use usual::Usual;
pub use wait::{Seen, wait, wait_on};

/// What [`create`] made.
#[derive(Debug, Clone)]
pub struct Created {
    /// The new container.
    pub id: ContainerId,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A container as it is now; what listings and `inspect` are made from.
#[derive(Debug, Clone)]
pub struct View {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// In a listing: by what names other containers know it, as `/other/name`.
    pub linked_as: Vec<String>,
    /// Nanoseconds since the Unix epoch.
    pub created: i64,
    /// What was asked for, as it was asked.
    pub spec: ContainerSpec,
    /// What that came to with the image's configuration merged in.
    pub resolved: Resolved,
    /// The image.
    pub image: Digest,
    /// The reference that named it then, if one did.
    pub image_ref: Option<ImageRef>,
    /// What SELinux calls its processes and its files; empty where it does not.
    pub labels: [String; 2],
    /// What it is doing.
    pub lifecycle: Lifecycle,
    /// How well it is, if anybody looks.
    pub health: Option<Health>,
    /// How often it was started again by a policy.
    pub restarts: u32,
    /// The log file, if there is one.
    pub log_path: Option<PathBuf>,
    /// Files mounted into it.
    pub files: Files,
    /// Exec sessions that are known.
    pub execs: Vec<ExecId>,
    /// Where its volumes are on the host.
    pub places: BTreeMap<VolumeName, PathBuf>,
    /// The networks it is in, by name.
    pub networks: Vec<EndpointView>,
    /// The ports that it says it listens on, its image's among them.
    pub exposed: Vec<ContainerPort>,
    /// What of them is published while it runs.
    pub ports: Vec<PublishedPort>,
}

/// What a container's process comes to: the request over the image's configuration.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Resolved {
    /// The entry point.
    pub entrypoint: Vec<String>,
    /// The command, or the entry point's arguments.
    pub command: Vec<String>,
    /// The environment.
    pub env: Vec<String>,
    /// The working directory.
    pub working_dir: String,
    /// `user[:group]`; empty is root.
    pub user: String,
    /// The host name.
    pub hostname: String,
    /// Labels, the image's among them.
    pub labels: BTreeMap<String, String>,
    /// Ports that its image says it listens on.
    #[serde(default)]
    pub exposed_ports: std::collections::BTreeSet<String>,
    /// The signal that asks it to stop.
    pub stop_signal: Signal,
    /// Seconds between that and SIGKILL; negative waits for ever.
    pub stop_timeout: i64,
    /// All that is mounted, with names for volumes that had none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountRequest>,
    /// How to see whether it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// Its image's shell; empty means `/bin/sh -c`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

/// Files of the host mounted into a container.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// `/etc/hostname`
    pub hostname: PathBuf,
    /// `/etc/hosts`
    pub hosts: PathBuf,
    /// `/etc/resolv.conf`
    pub resolv_conf: PathBuf,
}

/// What [`wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// That it does not run.
    NotRunning,
    /// The next time it ends.
    NextExit,
    /// That it is gone.
    Removed,
}

/// What an attaching client wants.
#[derive(Debug, Clone, Default)]
pub struct Attach {
    /// Streams, framing and what the client already sent.
    pub options: shim::AttachOptions,
    /// Whether what the log holds comes first.
    pub logs: bool,
    /// Whether what comes from now on follows.
    pub stream: bool,
}

/// Which lines of a log.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Whether to wait for more.
    pub follow: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Nanoseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Nanoseconds since the Unix epoch.
    pub until: Option<i64>,
    /// This many from the end; none means all.
    pub tail: Option<usize>,
}

/// A piece of a log: a line with its newline, or a part of a long one.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// Whether it came on standard error.
    pub stderr: bool,
    /// Nanoseconds since the Unix epoch.
    pub time: i64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A log being read. Dropping it ends the reading.
pub type LogLines = tokio::sync::mpsc::Receiver<Result<Vec<LogLine>, Error>>;

/// The processes of a container as ps(1) shows them.
#[derive(Debug, Clone)]
pub struct Top {
    /// Column titles.
    pub titles: Vec<String>,
    /// A row a process.
    pub processes: Vec<Vec<String>>,
}

/// What a container's state does not allow, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongState {
    /// Its command would have to run.
    #[error("container {0} is not running")]
    NotRunning(ContainerId),
    /// The same of one whose processes or IPC another container is to share.
    #[error(
        "failed to join {kind} namespace: cannot join {kind} of a non running container: container {id} is not running"
    )]
    CannotJoin {
        /// `PID` or `IPC`
        kind: &'static str,
        /// The container that does not run.
        id: ContainerId,
    },
    /// The same, when a signal was to be sent.
    #[error("cannot kill container: {who}: container {id} is not running")]
    CannotKill {
        /// As it was named.
        who: String,
        /// The container.
        id: ContainerId,
    },
    /// It stands still already.
    #[error("container {0} is already paused")]
    Paused(ContainerId),
    /// It runs, and stands still.
    #[error("cannot start a paused container, try unpause instead")]
    StartPaused,
    /// It does not stand still.
    #[error("container {0} is not paused")]
    NotPaused(ContainerId),
    /// It stands still.
    #[error("Container {who} is paused, unpause the container before {what}")]
    StandsStill {
        /// The container as it was named.
        who: String,
        /// `exec`
        what: &'static str,
    },
    /// It will be started again by itself.
    #[error("container {0} is restarting, wait until the container is running")]
    Restarting(ContainerId),
    /// The new name is the one it has.
    #[error("Renaming a container with the same name as its current name")]
    SameName,
    /// It may not run when it is removed.
    #[error(
        "cannot remove container \"/{name}\": container is {state}: \
         stop the container before removing or force remove"
    )]
    CannotRemove {
        /// The container.
        name: ContainerName,
        /// What it is doing.
        state: &'static str,
    },
    /// Somebody else is removing it.
    #[error("removal of container {0} is already in progress")]
    Removing(ContainerId),
    /// Somebody else is starting it.
    #[error("container {0} is being started")]
    Starting(ContainerId),
    /// Somebody copies files into it.
    #[error("files are being copied into container {0}: start it when that is done")]
    BeingWritten(ContainerId),
    /// Nobody is there any more for whom it was made and started.
    #[error("the client of container {0} went away")]
    ClientGone(ContainerId),
    /// It goes when it ends, and so cannot be started again.
    #[error("Restart policy cannot be updated because AutoRemove is enabled for the container {0}")]
    AutoRemoves(ContainerId),
    /// An exec session is started once.
    #[error("exec session {0} has already been started")]
    ExecStarted(ExecId),
    /// Its process would have to run.
    #[error("exec process {0} is not running")]
    ExecNotRunning(ExecId),
    /// Any other change that its life cycle does not know.
    #[error("container {id} is {state}: it cannot {change}")]
    Refused {
        /// The container.
        id: ContainerId,
        /// What it is doing.
        state: &'static str,
        /// What was wanted.
        change: &'static str,
    },
}

impl WrongState {
    /// [`ErrorKind::Conflict`], but for a name, for namespaces that cannot be joined and for who has gone.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::SameName => ErrorKind::Invalid,
            Self::CannotJoin { .. } => ErrorKind::Internal,
            Self::ClientGone(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Conflict,
        }
    }

    pub(crate) fn refused(fixed: &Fixed, refused: &Refused) -> Self {
        Self::Refused {
            id: fixed.id.clone(),
            state: refused.state,
            change: refused.change,
        }
    }
}

/// Whether this run of a container has ended, be it only a moment ago and not recorded yet.
pub(crate) fn has_ended(container: &Container, run: Option<ProcessRef>) -> bool {
    let there = run.filter(|_| container.lifecycle().process() == run);
    there.is_none_or(sys::proc::is_ending)
}

/// What cannot be done with a run because it has ended meanwhile is told as that.
pub(crate) fn or_ended<T>(
    container: &Container,
    run: Option<ProcessRef>,
    done: Result<T, Error>,
) -> Result<T, Error> {
    match done {
        Err(error)
            if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable)
                && has_ended(container, run) =>
        {
            Err(WrongState::NotRunning(container.id().clone()).into())
        }
        done => done,
    }
}

/// The file that a container's log is written to, if any.
pub(crate) fn written_log(engine: &Engine, container: &Container) -> Option<PathBuf> {
    let dir = engine.storage().container_dir(container.id());
    let writes = container.fixed.spec.log.writes();
    writes.then(|| dir.join(format!("{}-json.log", container.id())))
}

/// The same, if it may be read: what is only on its way to a server may not.
pub(crate) fn log_path(engine: &Engine, container: &Container) -> Option<PathBuf> {
    let path = written_log(engine, container);
    path.filter(|_| container.fixed.spec.log.keeps())
}

/// A container as the outside sees it.
pub(crate) fn view(engine: &Engine, container: &Container) -> View {
    let status = container.status();
    let fixed = &container.fixed;
    let resolved = container.resolved().into_owned();
    let dir = engine.storage().container_dir(container.id());
    let mut spec = ContainerSpec {
        restart: container.restart_policy(),
        ..container.spec().into_owned()
    };
    if !spec.networking.links.is_empty() {
        spec.networking.links = network::links::shown(engine, container);
    }
    engine.config().usual.limit(&mut spec.resources);
    View {
        id: fixed.id.clone(),
        name: container.name(),
        linked_as: Vec::new(),
        created: fixed.created,
        spec,
        places: places(engine, &resolved.mounts),
        resolved,
        image: fixed.image.clone(),
        image_ref: fixed.image_ref.clone(),
        labels: fixed
            .selinux
            .clone()
            .map_or_else(Default::default, |labels| [labels.process, labels.mount]),
        lifecycle: status.lifecycle,
        health: health::of(container),
        restarts: status.restarts,
        // Of other drivers it is nobody's but ours.
        log_path: log_path(engine, container).filter(|_| fixed.spec.log.driver == "json-file"),
        files: files::paths(&dir),
        execs: crate::exec::of(engine, container),
        exposed: network::exposed(fixed),
        ports: status.ports.shown,
        networks: status
            .networks
            .into_iter()
            .map(|(name, endpoint)| EndpointView {
                name,
                names: network::attach::names(container, &endpoint),
                network: endpoint.network,
                place: endpoint.live.as_ref().map(Place::of),
                request: endpoint.request,
            })
            .collect(),
    }
}

fn places(engine: &Engine, mounts: &[MountRequest]) -> BTreeMap<VolumeName, PathBuf> {
    let names = mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Volume(volume) => volume.name.as_ref(),
        _ => None,
    });
    let placed = names.filter_map(|name| Some((name.clone(), engine.places().of(name)?)));
    placed.collect()
}
