//! What may be done through a socket: everything, or less.

use engine::container::View;
use engine::network::Reach;
use types::{
    ContainerChange, ContainerSpec, ErrorKind, MountKind, MountRequest, NamespaceMode, NetworkMode,
    SeccompProfile, UserNamespace,
};

use crate::http::error::Failure;
use crate::http::router::Operation as Op;

/// What is allowed. Each condition narrows what is left by the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Nothing may be changed.
    pub(crate) read_only: bool,
    /// Only containers with this label are there: its name, and its value if that matters.
    pub(crate) label: Option<(String, Option<String>)>,
    /// Directories of the host may be mounted.
    pub(crate) host_mounts: bool,
    /// Containers may have more than the default privileges.
    pub(crate) privileged: bool,
    /// The usual filter of system calls is no more than the default: it may be where that is a file's.
    pub(crate) usual_filter: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            read_only: false,
            label: None,
            host_mounts: true,
            privileged: true,
            usual_filter: true,
        }
    }
}

/// Log drivers that connect to nothing that a request names.
const HARMLESS_LOGS: [&str; 4] = ["json-file", "local", "journald", "none"];

/// What an operation is about, as far as policies care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// Nothing that anybody has to be kept from: versions, pings.
    Everybody,
    /// Looks at one container; the path names it.
    ContainerRead,
    /// Changes one container or runs something in it.
    ContainerChange,
    /// An exec session; the path names it.
    ExecRead,
    ExecChange,
    /// Lists that are filtered by the policy.
    Listed,
    /// Makes a container: looked at once its body has been read.
    Create,
    /// Removes containers that are listed.
    Prune,
    /// Brings an image.
    Pull,
    /// Has the daemon ask a registry, at whatever address the request names.
    Registry,
    /// Looks at what is no container.
    OtherRead,
    /// Changes what is no container.
    OtherChange,
    /// Runs a stranger's commands, or mounts in the host's name.
    Build,
}

/// What an operation is about.
pub(crate) fn about(operation: Op) -> About {
    match operation {
        Op::Ping | Op::Version | Op::Info | Op::Options | Op::Unsupported => About::Everybody,
        Op::Auth | Op::Distribution | Op::ImageSearch | Op::Manifest => About::Registry,
        Op::ContainerInspect
        | Op::ContainerTop
        | Op::ContainerLogs
        | Op::ContainerWait
        | Op::ContainerArchiveStat
        | Op::ContainerArchiveGet
        | Op::ContainerExport
        | Op::ContainerChanges
        | Op::ContainerStats => About::ContainerRead,
        Op::ContainerResize
        | Op::ContainerStart
        | Op::ContainerStop
        | Op::ContainerRestart
        | Op::ContainerKill
        | Op::ContainerAttach
        | Op::ContainerAttachWs
        | Op::ContainerRemove
        | Op::ContainerRename
        | Op::ContainerPause
        | Op::ContainerUnpause
        | Op::ContainerArchivePut
        | Op::ContainerUpdate
        | Op::ExecCreate => About::ContainerChange,
        Op::ExecInspect => About::ExecRead,
        Op::ExecStart | Op::ExecResize => About::ExecChange,
        Op::ContainerList | Op::Events => About::Listed,
        Op::ContainerCreate => About::Create,
        Op::ContainerPrune => About::Prune,
        Op::ImageCreate => About::Pull,
        other => about_others(other),
    }
}

fn about_others(operation: Op) -> About {
    match operation {
        Op::ImageList
        | Op::ImageInspect
        | Op::ImageHistory
        | Op::ImageSave
        | Op::ImageSaveOne
        | Op::DiskUsage
        | Op::MountList
        | Op::SystemUpgradeState
        | Op::VolumeList
        | Op::VolumeInspect
        | Op::VolumeExport
        | Op::NetworkList
        | Op::NetworkInspect
        | Op::NetworkExplain
        | Op::SecretList
        | Op::SecretInspect
        | Op::PluginList
        | Op::Swarm => About::OtherRead,
        Op::Build
        | Op::Grpc
        | Op::Session
        | Op::ImageMount
        | Op::ImageUnmount
        | Op::CacheExport
        | Op::CacheImport => About::Build,
        // Whatever comes to be is a change until somebody says otherwise.
        _ => About::OtherChange,
    }
}

impl Policy {
    /// Whether it keeps nobody from anything.
    pub(crate) fn is_open(&self) -> bool {
        let Self {
            read_only, label, ..
        } = self;
        !read_only && label.is_none() && self.host_mounts && self.privileged
    }

    /// Refuses what is not allowed whatever it is done with.
    pub(crate) fn allows(&self, operation: Op) -> Result<(), Failure> {
        let about = about(operation);
        if self.read_only && about.changes() {
            return Err(refused("only looking is allowed through this socket"));
        }
        if self.read_only && about == About::Registry {
            return Err(refused(
                "registries are not asked through this socket, which only looks at what is here",
            ));
        }
        if self.label.is_some() && matches!(about, About::OtherChange) {
            return Err(refused(
                "only containers may be changed through this socket",
            ));
        }
        let narrow = self.label.is_some() || !self.host_mounts || !self.privileged;
        if narrow && about == About::Build {
            return Err(refused("builds are not allowed through this socket"));
        }
        Ok(())
    }

    /// Whether a container is there for whoever comes by this socket.
    pub(crate) fn sees(&self, spec: &ContainerSpec) -> bool {
        self.sees_labels(|name| spec.labels.get(name).map(String::as_str))
    }

    /// The same of anything with labels.
    pub(crate) fn sees_labels<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        let Some((name, value)) = &self.label else {
            return true;
        };
        get(name).is_some_and(|has| value.as_deref().is_none_or(|value| value == has))
    }

    /// Whether a container that is there may be changed or entered: one that has more than this socket
    /// allows would lend it to whoever enters it.
    pub(crate) fn may_enter(&self, view: &View) -> Result<(), Failure> {
        // With what came of --volumes-from.
        self.check(&view.spec, &view.resolved.mounts)
    }

    /// Whether such a container may be made.
    pub(crate) fn may_create(&self, spec: &ContainerSpec) -> Result<(), Failure> {
        if !self.sees(spec) {
            return Err(refused(&format!(
                "a container made through this socket has the label {}: add it",
                self.label_text()
            )));
        }
        if self.label.is_some() && !spec.secrets.is_empty() {
            return Err(refused("secrets are not given through this socket"));
        }
        self.check(spec, &spec.mounts)
    }

    /// Whether a container that may be entered may be changed so.
    pub(crate) fn may_update(&self, view: &View, change: &ContainerChange) -> Result<(), Failure> {
        let spec = ContainerSpec {
            labels: change.labels_of(&view.spec.labels),
            resources: change.resources.clone(),
            ..view.spec.clone()
        };
        if !self.sees(&spec) {
            return Err(refused(&format!(
                "a container that is changed through this socket keeps the label {}",
                self.label_text()
            )));
        }
        self.check(&spec, &change.mount)
    }

    /// Whether the files of a container that is there may be read.
    pub(crate) fn may_read_files(&self, view: &View) -> Result<(), Failure> {
        let mounts = &view.resolved.mounts;
        match mounts.iter().find(|mount| of_host(mount)) {
            Some(mount) if !self.host_mounts => Err(refused(&format!(
                "{} is of the host: mounts of the host are not allowed through this socket",
                mount.target
            ))),
            _ => Ok(()),
        }
    }

    /// Whether an image may come, which has the name that it has where it comes from; one that is made of
    /// an archive gets whatever name is asked for.
    pub(crate) fn may_pull(&self, from: Option<&str>) -> Result<(), Failure> {
        match from.unwrap_or_default() {
            "" if self.label.is_some() => Err(refused(
                "only containers may be changed through this socket: images may be pulled, not imported",
            )),
            _ => Ok(()),
        }
    }

    fn label_text(&self) -> String {
        match &self.label {
            Some((name, Some(value))) => format!("{name}={value}"),
            Some((name, None)) => name.clone(),
            None => String::new(),
        }
    }

    fn check(&self, spec: &ContainerSpec, mounts: &[MountRequest]) -> Result<(), Failure> {
        let narrow = !self.host_mounts || !self.privileged;
        let log = spec.log.driver.as_str();
        if narrow && !HARMLESS_LOGS.contains(&log) {
            return Err(refused(&format!(
                "the log driver {log}, by which the daemon connects to sockets that it is told, is not \
                 allowed through this socket"
            )));
        }
        if !self.host_mounts
            && let Some(mount) = mounts.iter().find(|mount| of_host(mount))
        {
            return Err(refused(&format!(
                "{} would be of the host: mounts of the host are not allowed through this socket",
                mount.target
            )));
        }
        if !self.host_mounts && spec.volume_driver.as_deref().is_some_and(|d| d != "local") {
            return Err(refused(
                "volume drivers are not allowed through this socket",
            ));
        }
        match privileges(spec, self.usual_filter).filter(|_| !self.privileged) {
            Some(what) => Err(refused(&format!(
                "{what}: privileges beyond the default are not allowed through this socket"
            ))),
            None => Ok(()),
        }
    }

    /// Whether a session may be made in a container that may be entered.
    pub(crate) fn may_exec(&self, privileged: bool) -> Result<(), Failure> {
        match privileged && !self.privileged {
            true => Err(refused(
                "privileged: privileges beyond the default are not allowed through this socket",
            )),
            false => Ok(()),
        }
    }

    /// Whether a volume may be made: what a local one's options name may be a directory of the host.
    pub(crate) fn may_create_volume(&self, driver: &str, has_options: bool) -> Result<(), Failure> {
        let local = matches!(driver, "" | "local");
        match !self.host_mounts && (has_options || !local) {
            true => Err(refused(
                "volumes with options: mounts of the host are not allowed through this socket",
            )),
            false => Ok(()),
        }
    }

    /// What networks that are made may be of.
    pub(crate) fn reach(&self) -> Reach {
        match self.privileged {
            true => Reach::Host,
            false => Reach::Containers,
        }
    }

    /// Containers that another one shares something with have to be there too.
    pub(crate) fn shared(spec: &ContainerSpec) -> Vec<&str> {
        let namespaces = [&spec.namespaces.pid, &spec.namespaces.ipc];
        let joined = namespaces.into_iter().filter_map(NamespaceMode::container);
        let joined = joined.chain(spec.namespaces.user.container());
        let network = match &spec.network {
            NetworkMode::Container(who) => Some(who.as_str()),
            _ => None,
        };
        let volumes = spec.volumes_from.iter();
        let volumes = volumes.map(|from| from.split(':').next().unwrap_or_default());
        let endpoints = spec.networking.endpoints.iter();
        let links = endpoints.flat_map(|(_, endpoint)| &endpoint.links);
        let links = spec.networking.links.iter().chain(links);
        let links = links.map(|link| link.split(':').next().unwrap_or_default());
        joined
            .chain(network)
            .chain(volumes)
            .chain(links.map(|name| name.trim_start_matches('/')))
            .collect()
    }
}

impl About {
    fn changes(self) -> bool {
        matches!(
            self,
            Self::ContainerChange
                | Self::ExecChange
                | Self::Create
                | Self::Prune
                | Self::Pull
                | Self::OtherChange
                | Self::Build
        )
    }
}

/// Has what is shared with other containers named by their ids: a name may be another's a moment later.
pub(crate) fn name_by_id(spec: &mut ContainerSpec, id: impl Fn(&str) -> String) {
    for mode in [&mut spec.namespaces.pid, &mut spec.namespaces.ipc] {
        if let NamespaceMode::Container(who) = mode {
            *who = id(who);
        }
    }
    if let UserNamespace::Container(who) = &mut spec.namespaces.user {
        *who = id(who);
    }
    if let NetworkMode::Container(who) = &mut spec.network {
        *who = id(who);
    }
    for from in &mut spec.volumes_from {
        let (who, mode) = from.split_once(':').unwrap_or((from, ""));
        let colon = if mode.is_empty() { "" } else { ":" };
        *from = format!("{}{colon}{mode}", id(who));
    }
    let endpoints = spec.networking.endpoints.iter_mut();
    let links = endpoints.flat_map(|(_, endpoint)| &mut endpoint.links);
    for link in spec.networking.links.iter_mut().chain(links) {
        let (who, alias) = link.split_once(':').unwrap_or((link, link));
        *link = format!("{}:{alias}", id(who.trim_start_matches('/')));
    }
}

/// Whether a mount shows files of the host. What a local volume's options name is one as well.
fn of_host(mount: &MountRequest) -> bool {
    match &mount.kind {
        MountKind::Bind { .. } => true,
        MountKind::Volume(volume) => {
            names_something(volume.options.keys())
                || volume.driver.as_deref().is_some_and(|d| d != "local")
        }
        MountKind::Image { .. } | MountKind::Tmpfs { .. } => false,
    }
}

/// Whether a volume's options say what it is; a size alone does not.
pub(crate) fn names_something<'a>(mut options: impl Iterator<Item = &'a String>) -> bool {
    options.any(|name| name != "size")
}

/// What a container has beyond the default, if anything.
fn privileges(spec: &ContainerSpec, usual_filter: bool) -> Option<&'static str> {
    let security = &spec.security;
    let filtered = match security.seccomp {
        SeccompProfile::Default => true,
        SeccompProfile::Builtin => usual_filter,
        _ => false,
    };
    let namespaces = &spec.namespaces;
    let host = |mode: &NamespaceMode| mode.is_host();
    let found = [
        (security.privileged, "privileged"),
        (!security.cap_add.is_empty(), "added capabilities"),
        (!filtered, "another seccomp profile"),
        (security.apparmor.is_some(), "another AppArmor profile"),
        (!security.labels.is_empty(), "other labels of SELinux"),
        (security.writable_cgroups, "writable cgroups"),
        (security.masked_paths.is_some(), "unmasked paths"),
        (
            security.readonly_paths.is_some(),
            "writable paths of the kernel",
        ),
        (host(&namespaces.pid), "the host's processes"),
        (host(&namespaces.ipc), "the host's IPC"),
        (host(&namespaces.uts), "the host's name"),
        (host(&namespaces.cgroup), "the host's cgroups"),
        (names_users(&namespaces.user), "users of the host"),
        (spec.network == NetworkMode::Host, "the host's network"),
        (!spec.resources.devices.is_empty(), "devices"),
        (!spec.resources.device_rules.is_empty(), "rules for devices"),
        (!spec.resources.cdi.is_empty(), "devices"),
        (spec.resources.cgroup_parent.is_some(), "another cgroup"),
        (spec.runtime.is_some(), "another runtime"),
        (
            spec.resources.oom_score_adj.is_some_and(|score| score < 0),
            "a share in memory that others lose theirs for",
        ),
        (
            spec.resources.cpu_rt_runtime.is_some_and(|time| time != 0),
            "real-time scheduling",
        ),
        (
            spec.resources.ulimits.iter().any(|of| of.name == "rtprio"),
            "real-time scheduling",
        ),
    ];
    found
        .into_iter()
        .find(|(has, _)| *has)
        .map(|(_, what)| what)
}

/// Whether it is said which of the host's users are its own.
fn names_users(mode: &UserNamespace) -> bool {
    match mode {
        UserNamespace::Host => true,
        UserNamespace::Auto(ids) => !ids.uids.is_empty() || !ids.gids.is_empty(),
        UserNamespace::Default | UserNamespace::Private | UserNamespace::Container(_) => false,
    }
}

fn refused(why: &str) -> Failure {
    Failure::new(ErrorKind::Forbidden, why)
}
