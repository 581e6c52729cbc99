//! What is checked before create touches anything. Pure, but for the facts of the machine that come
//! in. Wordings are Docker's.

mod limits;

use std::collections::BTreeSet;

use types::{ContainerSpec, ErrorKind, MountKind, MountRequest, Platform};

pub(super) use limits::{Limit, Machine, limits};

/// What a request says that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are named as in the sentences")]
pub enum Invalid {
    /// Neither the request nor the image has a command.
    #[error("no command specified")]
    NoCommand,
    /// An exec session without a command.
    #[error("No exec command specified")]
    NoExecCommand,
    /// An exec session of somebody whom the container does not know.
    #[error(transparent)]
    ExecUser(#[from] crate::users::UnknownUser),
    /// The stop signal asked for is none.
    #[error("Invalid signal: {0}")]
    StopSignal(String),
    /// The image's stop signal is none.
    #[error("the image's stop signal is invalid: {0}")]
    ImageStopSignal(String),
    /// A platform was asked for that the image is not for.
    #[error(
        "image with reference {image} was found but does not match the specified platform: \
         wanted {wanted}, actual: {actual}"
    )]
    OtherPlatform {
        image: String,
        wanted: String,
        actual: String,
    },
    /// A bind of the daemon's own files that would hold on to what is mounted among them.
    #[error(
        "invalid mount config: must use either propagation mode \"rslave\" or \"rshared\" when mount source is \
         within the daemon root, daemon root: {root:?}, bind mount source: {path:?}, propagation: {propagation:?}"
    )]
    DaemonRoot {
        root: std::path::PathBuf,
        path: String,
        propagation: &'static str,
    },
    /// The working directory is not absolute.
    #[error("the working directory '{0}' is invalid, it needs to be an absolute path")]
    WorkingDir(String),
    /// A variable without a name.
    #[error("invalid environment variable: {0}")]
    Env(String),
    /// A log driver that is not there, or its options.
    #[error(transparent)]
    Log(#[from] types::InvalidLog),
    /// The process 1 that was asked for is not installed.
    #[error("--init: {0} is missing: it is installed beside brigd")]
    NoInit(String),
    /// Two options that exclude each other.
    #[error("conflicting options: {0}")]
    Conflict(&'static str),
    /// A container to share with that is not there.
    #[error("No such container: {who}: only what is there can be shared with")]
    NoOther { who: String },
    /// A container whose volumes are wanted and that is not there.
    #[error("No such container: {0}")]
    NoDonor(String),
    /// A container that shares no memory.
    #[error(
        "container {0}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
    )]
    NotShareable(types::ContainerId),
    /// A runtime that the daemon does not know.
    #[error("unknown or invalid runtime name: {name}: one of {known} is expected")]
    Runtime { name: String, known: String },
    /// A profile where there is none.
    #[error(
        "AppArmor is not enabled on this machine: the profile {0:?} cannot be applied; leave it out \
         or say apparmor=unconfined"
    )]
    NoAppArmor(String),
    /// A label where there are none.
    #[error(
        "--security-opt label={0}: SELinux does not confine containers here: the daemon is not told to \
         (selinux-enabled), or the machine has none; leave it out or say label=disable"
    )]
    NoSelinux(String),
    /// An option of labels that makes no sense.
    #[error(
        "--security-opt label={0}: disable is expected, or user, role, type, level or filetype, a colon and a \
         value"
    )]
    Label(String),
    /// What would be labelled is the machine's.
    #[error("SELinux relabeling of {0} is not allowed: the machine itself needs it as it is")]
    Relabel(String),
    /// Devices that nobody describes.
    #[error(transparent)]
    Devices(#[from] crate::cdi::Unfulfilled),
    /// A device that is described and not there.
    #[error("CDI device injection failed: the device node {path:?}: {reason}")]
    DescribedDevice { path: String, reason: String },
    /// A device whose I/O is to be limited.
    #[error("cannot limit block I/O of {path:?}: {reason}")]
    BlockDevice { path: String, reason: String },
    /// A mount that cannot be.
    #[error("invalid mount config for type \"{kind}\": {reason}")]
    Mount { kind: &'static str, reason: String },
    /// Two mounts at one place.
    #[error("Duplicate mount point: {0}")]
    DuplicateMount(String),
    /// A port that is to go and is not published.
    #[error("container {name} does not publish {port}: {published}")]
    NotPublished {
        name: String,
        port: String,
        published: String,
    },
    /// A port that is to come and is published so already.
    #[error("container {name} publishes {port} already")]
    Published { name: String, port: String },
    /// Something that cannot be had in a user namespace.
    #[error("{0}")]
    UserNamespace(&'static str),
    /// A place at which nothing is mounted that could go.
    #[error("container {name} has no mount on {target}: {mounted}")]
    NotMounted {
        name: String,
        target: String,
        mounted: String,
    },
    /// A negative size.
    #[error("SHM size can not be less than 0")]
    ShmSize,
    /// A limit that cannot be kept.
    #[error("{0}")]
    Limit(Limit),
}

impl Invalid {
    /// [`ErrorKind::Invalid`], but for an image that is not there for a platform: clients pull it then.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::OtherPlatform { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Invalid,
        }
    }
}

/// Everything that can be said of the request alone.
pub(super) fn request(spec: &ContainerSpec) -> Result<(), Invalid> {
    if let Some(dir) = &spec.working_dir
        && !dir.is_empty()
        && !dir.starts_with('/')
    {
        return Err(Invalid::WorkingDir(dir.clone()));
    }
    if let Some(bad) = spec.env.iter().find(|v| v.is_empty() || v.starts_with('=')) {
        return Err(Invalid::Env(bad.clone()));
    }
    if spec.shm_size.is_some_and(|size| size < 0) {
        return Err(Invalid::ShmSize);
    }
    spec.log.check()?;
    mounts(&spec.mounts)
}

/// Whether a profile that is asked for can be had.
pub(super) fn apparmor(spec: &ContainerSpec, there: bool) -> Result<(), Invalid> {
    match &spec.security.apparmor {
        Some(profile) if !there => Err(Invalid::NoAppArmor(profile.clone())),
        _ => Ok(()),
    }
}

/// Whether the image is what was asked for; a warning if it is for another machine and nobody has asked
/// for that: it runs if this one emulates the other.
pub(super) fn platform(
    spec: &ContainerSpec,
    actual: &Platform,
    host: &Platform,
) -> Result<Option<String>, Invalid> {
    if let Some(wanted) = &spec.platform
        && !wanted.runs(actual)
    {
        return Err(Invalid::OtherPlatform {
            image: spec.image.clone(),
            wanted: wanted.to_string(),
            actual: actual.to_string(),
        });
    }
    let foreign = spec.platform.is_none() && !host.runs(actual);
    Ok(foreign.then(|| {
        format!(
            "The requested image's platform ({actual}) does not match the detected host platform \
             ({host}) and no specific platform was requested"
        )
    }))
}

/// Whether these can be mounted together.
pub(super) fn mounts(mounts: &[MountRequest]) -> Result<(), Invalid> {
    let mut targets = BTreeSet::new();
    for mount in mounts {
        let refuse = |reason: String| Invalid::Mount {
            kind: kind(mount),
            reason,
        };
        if mount.target.is_empty() {
            return Err(refuse("field Target must not be empty".to_owned()));
        }
        if !mount.target.starts_with('/') {
            let target = &mount.target;
            return Err(refuse(format!(
                "invalid mount path: '{target}' mount path must be absolute"
            )));
        }
        let clean = clean(&mount.target);
        if clean == "/" {
            return Err(refuse(
                "invalid specification: destination can't be '/'".to_owned(),
            ));
        }
        if let MountKind::Bind { source, .. } = &mount.kind
            && !source.starts_with('/')
        {
            return Err(refuse(format!(
                "invalid mount path: '{source}' mount path must be absolute"
            )));
        }
        if !targets.insert(clean.clone()) {
            return Err(Invalid::DuplicateMount(clean));
        }
    }
    Ok(())
}

pub(super) fn kind(mount: &MountRequest) -> &'static str {
    match mount.kind {
        MountKind::Bind { .. } => "bind",
        MountKind::Tmpfs { .. } => "tmpfs",
        MountKind::Volume(_) => "volume",
        MountKind::Image { .. } => "image",
    }
}

/// An absolute path without empty, `.` and `..` components: to compare, never to open.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tmpfs(target: &str) -> MountRequest {
        MountRequest {
            kind: MountKind::Tmpfs {
                size: None,
                mode: None,
                options: Vec::new(),
                flag_options: None,
            },
            target: target.to_owned(),
            read_only: false,
        }
    }

    fn refusal(change: impl FnOnce(&mut ContainerSpec)) -> String {
        let mut spec = ContainerSpec::default();
        change(&mut spec);
        request(&spec).map_or_else(|error| error.to_string(), |()| "ok".to_owned())
    }

    #[test]
    fn refusals_name_the_field() {
        assert_eq!(refusal(|_| ()), "ok");
        assert_eq!(
            refusal(|s| s.working_dir = Some("tmp".into())),
            "the working directory 'tmp' is invalid, it needs to be an absolute path"
        );
        assert_eq!(
            refusal(|s| s.env = vec!["A".into(), "=x".into()]),
            "invalid environment variable: =x"
        );
        assert_eq!(
            refusal(|s| s.shm_size = Some(-1)),
            "SHM size can not be less than 0"
        );
        assert_eq!(
            refusal(|s| s.log.driver = "splunk".into()),
            "logger: no log driver named 'splunk' is registered"
        );
        assert_eq!(
            refusal(|s| {
                s.log.options.insert("max-sise".into(), "1".into());
            }),
            "unknown log opt 'max-sise' for json-file log driver"
        );
        assert_eq!(
            refusal(|s| s.mounts = vec![tmpfs("/a/../b"), tmpfs("/b/")]),
            "Duplicate mount point: /b"
        );
        assert_eq!(
            refusal(|s| s.mounts = vec![tmpfs("b")]),
            "invalid mount config for type \"tmpfs\": invalid mount path: 'b' mount path must be absolute"
        );
        assert_eq!(
            refusal(|s| s.mounts = vec![tmpfs("/x/..")]),
            "invalid mount config for type \"tmpfs\": invalid specification: destination can't be '/'"
        );
    }

    #[test]
    fn an_image_for_another_machine_is_refused() {
        let host: Platform = "linux/amd64".parse().unwrap();
        let other: Platform = "linux/arm64".parse().unwrap();
        let mut spec = ContainerSpec {
            image: "x".into(),
            ..ContainerSpec::default()
        };
        assert_eq!(platform(&spec, &host, &host), Ok(None));
        assert_eq!(
            platform(&spec, &other, &host).unwrap().as_deref(),
            Some(
                "The requested image's platform (linux/arm64) does not match the detected host \
                 platform (linux/amd64) and no specific platform was requested"
            )
        );
        // Whoever names the platform gets what they asked for, emulated if the machine can.
        spec.platform = Some(other.clone());
        assert_eq!(platform(&spec, &other, &host), Ok(None));
        assert_eq!(
            platform(&spec, &host, &host).unwrap_err().to_string(),
            "image with reference x was found but does not match the specified platform: \
             wanted linux/arm64, actual: linux/amd64"
        );
    }
}
