//! SELinux's labels of containers, where the daemon is told to use it: what a container's processes and files
//! are called, and what it brings of the machine's files.
//!
//! The policy says in `lxc_contexts` what containers are called; two categories of each one's own keep them
//! apart.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use sys::Errno;
use sys::dir::{Dir, Kind};
use types::{ContainerSpec, Mount, MountKind, MountRequest, NamespaceMode, NetworkMode};

use super::Files;
use super::check::Invalid;
use super::create::random;
use crate::render::{self, Placed};
use crate::{Engine, Error};

/// Only there while SELinux is.
const ENFORCE: &str = "/sys/fs/selinux/enforce";

/// Says which policy there is.
const CONFIG: &str = "/etc/selinux/config";

/// The attribute that holds a file's label.
const ATTRIBUTE: &str = "security.selinux";

/// How many categories a policy has for containers.
const CATEGORIES: u16 = 1024;

/// The level of what several containers share.
const SHARED: &str = "s0";

/// The level of files of containers that are not confined: no other has these categories.
const UNCONFINED: &str = "s0:c1022,c1023";

/// Whose files are never labelled anew: the machine itself would not be able to use them.
const NEVER: [&str; 26] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/passwd",
    "/etc/pki",
    "/etc/shadow",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/var",
    "/var/lib",
    "/var/log",
];

/// What the policy calls containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contexts {
    process: Context,
    file: Context,
}

/// A label in its parts. Without a level where the policy knows none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Context {
    user: String,
    role: String,
    kind: String,
    level: Option<String>,
}

/// How one container is labelled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Labels {
    /// Its processes; empty if they are not confined.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) process: String,
    /// Its files.
    pub(crate) mount: String,
}

impl Contexts {
    /// None where there is no SELinux, or its policy knows no containers.
    pub(crate) fn find() -> Option<Self> {
        fs::metadata(ENFORCE).ok()?;
        let config = fs::read_to_string(CONFIG).unwrap_or_default();
        let policy = value(&config, "SELINUXTYPE").unwrap_or("targeted");
        let path = format!("/etc/selinux/{policy}/contexts/lxc_contexts");
        Self::parse(&fs::read_to_string(path).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        Some(Self {
            process: Context::parse(value(text, "process")?)?,
            file: Context::parse(value(text, "file")?)?,
        })
    }

    /// The labels of a container that is asked for with these options, in Docker's words, and has these
    /// categories if they say nothing of them.
    fn labels(&self, options: &[String], categories: &str) -> Result<Labels, Invalid> {
        let (mut process, mut file) = (self.process.clone(), self.file.clone());
        for context in [&mut process, &mut file] {
            context.set_level(categories);
        }
        for option in options {
            if option == "disable" {
                file.set_level(UNCONFINED);
                return Ok(Labels {
                    process: String::new(),
                    mount: file.to_string(),
                });
            }
            let bad = || Invalid::Label(option.clone());
            let (name, value) = option.split_once(':').ok_or_else(bad)?;
            let value = Some(value).filter(|value| !value.is_empty());
            let value = value.ok_or_else(bad)?.to_owned();
            match name {
                "user" => {
                    process.user.clone_from(&value);
                    file.user = value;
                }
                "role" => process.role = value,
                "type" => process.kind = value,
                "filetype" => file.kind = value,
                "level" => {
                    process.level = Some(value.clone());
                    file.level = Some(value);
                }
                _ => return Err(bad()),
            }
        }
        Ok(Labels {
            process: process.to_string(),
            mount: file.to_string(),
        })
    }
}

impl Context {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ':').map(str::to_owned);
        Some(Self {
            user: parts.next()?,
            role: parts.next()?,
            kind: parts.next()?,
            level: parts.next(),
        })
    }

    /// Where the policy knows levels.
    fn set_level(&mut self, level: &str) {
        if let Some(own) = &mut self.level {
            level.clone_into(own);
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.user, self.role, self.kind)?;
        match &self.level {
            Some(level) => write!(f, ":{level}"),
            None => Ok(()),
        }
    }
}

/// The value of a line `NAME = "VALUE"`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let mut named = pairs.filter(|(own, _)| own.trim() == name);
    named
        .next()
        .map(|(_, value)| value.trim().trim_matches('"'))
}

/// How a new container is labelled; none where that is nobody's business.
pub(crate) fn labels(engine: &Engine, spec: &ContainerSpec) -> Result<Option<Labels>, Error> {
    let asked = &spec.security.labels;
    let Some(contexts) = &engine.host().selinux else {
        return match asked.iter().find(|option| *option != "disable") {
            Some(option) => Err(Invalid::NoSelinux(option.clone()).into()),
            None => Ok(None),
        };
    };
    let options = match asked.as_slice() {
        [] => of_joined(engine, spec)?,
        asked => asked.to_vec(),
    };
    Ok(Some(contexts.labels(&options, &free(engine)?)?))
}

/// What follows from whose namespaces it has: the labels of a container, or none beside the machine's own.
fn of_joined(engine: &Engine, spec: &ContainerSpec) -> Result<Vec<String>, Error> {
    let modes = [&spec.namespaces.ipc, &spec.namespaces.pid];
    if spec.security.privileged || modes.contains(&&NamespaceMode::Host) {
        return Ok(vec!["disable".to_owned()]);
    }
    for mode in modes {
        let NamespaceMode::Container(who) = mode else {
            continue;
        };
        let other = engine.find(who)?;
        let label = other.fixed.selinux.as_ref().map(|labels| &labels.process);
        return Ok(match label.and_then(|label| Context::parse(label)) {
            Some(Context {
                user,
                role,
                kind,
                level,
            }) => {
                let level = level.map(|level| format!("level:{level}"));
                let parts = [
                    format!("user:{user}"),
                    format!("role:{role}"),
                    format!("type:{kind}"),
                ];
                parts.into_iter().chain(level).collect()
            }
            None => vec!["disable".to_owned()],
        });
    }
    Ok(Vec::new())
}

/// Two categories that no container has.
fn free(engine: &Engine) -> Result<String, Error> {
    let all = engine.table().all();
    let labels = all
        .iter()
        .filter_map(|container| container.fixed.selinux.as_ref());
    let parsed = labels.filter_map(|labels| Context::parse(&labels.mount)?.level);
    let taken: BTreeSet<String> = parsed.collect();
    loop {
        let [a, b, c, d] = random::<4>()?;
        let (one, other) = (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]));
        let level = level(one % CATEGORIES, other % CATEGORIES);
        if let Some(level) = level.filter(|level| level != UNCONFINED && !taken.contains(level)) {
            return Ok(level);
        }
    }
}

/// Two categories in their order; one alone tells less.
fn level(one: u16, other: u16) -> Option<String> {
    let (low, high) = (one.min(other), one.max(other));
    (low != high).then(|| format!("s0:c{low},c{high}"))
}

/// Labels what a container that is about to start brings of the machine: its volumes and binds as far as
/// `z` or `Z` says so, and the files that Brig mounts into it.
pub(crate) fn label_mounts(
    labels: &Labels,
    mounts: &[MountRequest],
    placed: &Placed,
) -> Result<(), Error> {
    for mount in mounts {
        let (path, mode) = match &mount.kind {
            MountKind::Bind {
                source, bind_mode, ..
            } => (Path::new(source), bind_mode.as_deref().unwrap_or_default()),
            MountKind::Volume(volume) => {
                let found = placed.mounts.get(&render::plain(&mount.target));
                let Some(found) = found.filter(|found| found.kind == "bind") else {
                    continue;
                };
                let mode = volume.bind_mode.as_deref().filter(|mode| !mode.is_empty());
                (found.source.as_path(), mode.unwrap_or("z"))
            }
            MountKind::Tmpfs { .. } | MountKind::Image { .. } => continue,
        };
        if let Some(shared) = relabels(mode) {
            label(path, &as_asked(&labels.mount, shared))?;
        }
    }
    Ok(())
}

/// Has what is laid of layers be the container's, as its root is: their own labels are those of the store.
pub(crate) fn label_layers(labels: &Labels, mounts: &mut [Mount]) {
    for mount in mounts.iter_mut().filter(|mount| mount.kind == "overlay") {
        mount.options.push(format!("context={}", labels.mount));
    }
}

/// Labels the files that are written anew for each start.
pub(crate) fn label_files(
    labels: &Labels,
    spec: &ContainerSpec,
    files: &Files,
) -> Result<(), Error> {
    let shared = matches!(spec.network, NetworkMode::Container(_));
    let label_of_files = as_asked(&labels.mount, shared);
    for file in [&files.hostname, &files.hosts, &files.resolv_conf] {
        label(file, &label_of_files)?;
    }
    Ok(())
}

/// Whether the mode of a mount asks for labels, and for those of all containers.
fn relabels(mode: &str) -> Option<bool> {
    mode.split(',').find_map(|word| match word {
        "z" => Some(true),
        "Z" => Some(false),
        _ => None,
    })
}

/// The label of files of one container, or of what all containers reach.
fn as_asked(label: &str, shared: bool) -> String {
    match (shared, Context::parse(label)) {
        (true, Some(mut context)) => {
            context.set_level(SHARED);
            context.to_string()
        }
        _ => label.to_owned(),
    }
}

/// Labels a file or directory of the store for one container, or for all.
pub(crate) fn label_own(labels: &Labels, path: &Path, shared: bool) -> Result<(), Error> {
    label(path, &as_asked(&labels.mount, shared))
}

/// Labels a file, or a directory with all that is in it. Links are labelled, and lead nowhere. What goes
/// meanwhile needs none, and what its file system keeps no labels for has none.
fn label(path: &Path, label: &str) -> Result<(), Error> {
    let what = || format!("label {}", path.display());
    let path = fs::canonicalize(path).map_err(Error::io(what()))?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Invalid::Relabel(path.display().to_string()).into());
    };
    if NEVER.iter().any(|never| path == Path::new(never)) {
        return Err(Invalid::Relabel(path.display().to_string()).into());
    }
    let parent = Dir::open(parent).map_err(Error::kernel(what()))?;
    label_below(parent, name, label).map_err(Error::kernel(what()))
}

/// Without recursion, and with no more descriptors than directories are nested: others may have made these.
fn label_below(parent: Dir, name: &OsStr, label: &str) -> sys::Result<()> {
    let mut todo: Vec<(Rc<Dir>, OsString)> = vec![(Rc::new(parent), name.to_owned())];
    while let Some((dir, name)) = todo.pop() {
        let set = sys::xattr::set(&*dir, &name, ATTRIBUTE.as_ref(), label.as_bytes());
        if !is_there(set)? {
            continue;
        }
        match dir.status(&name) {
            Ok(status) if status.kind == Kind::Directory => {}
            Ok(_) => continue,
            Err(error) if error.errno == Errno::NOENT => continue,
            Err(error) => return Err(error),
        }
        let inner = match dir.open_dir(&name) {
            Ok(inner) => Rc::new(inner),
            // It was another a moment ago.
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                continue;
            }
            Err(error) => return Err(error),
        };
        for entry in inner.entries()? {
            let (name, _) = entry?;
            todo.push((Rc::clone(&inner), sys::dir::name(&name).to_owned()));
        }
    }
    Ok(())
}

fn is_there(set: sys::Result<()>) -> sys::Result<bool> {
    match set {
        Ok(()) => Ok(true),
        Err(error) if error.errno == Errno::OPNOTSUPP => Ok(true),
        Err(error) if error.errno == Errno::NOENT => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "process = \"system_u:system_r:container_t:s0\"\n\
        content = \"system_u:object_r:virt_var_lib_t:s0\"\n\
        file = \"system_u:object_r:container_file_t:s0\"\n";

    fn said(options: &[&str]) -> String {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        match Contexts::parse(POLICY)
            .unwrap()
            .labels(&options, "s0:c1,c2")
        {
            Ok(labels) => format!("{} {}", labels.process, labels.mount),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn labels_are_the_policys_with_categories_of_their_own() {
        let table: [(&[&str], &str); 6] = [
            (
                &[],
                "system_u:system_r:container_t:s0:c1,c2 system_u:object_r:container_file_t:s0:c1,c2",
            ),
            (
                &["disable"],
                " system_u:object_r:container_file_t:s0:c1022,c1023",
            ),
            (
                &["type:spc_t", "filetype:own_t"],
                "system_u:system_r:spc_t:s0:c1,c2 system_u:object_r:own_t:s0:c1,c2",
            ),
            (
                &["user:u", "role:r", "level:s0:c7"],
                "u:r:container_t:s0:c7 u:object_r:container_file_t:s0:c7",
            ),
            (
                &["color:red"],
                "--security-opt label=color:red: disable is expected, or user, role, type, level or filetype, \
                 a colon and a value",
            ),
            (
                &["type:"],
                "--security-opt label=type:: disable is expected, or user, role, type, level or filetype, \
                 a colon and a value",
            ),
        ];
        for (options, expected) in table {
            assert_eq!(said(options), expected, "{options:?}");
        }
        assert_eq!(level(7, 3).as_deref(), Some("s0:c3,c7"));
        assert_eq!(level(7, 7), None);
        // A policy without levels.
        let plain = Contexts::parse("process=a:b:c\nfile=a:b:d").unwrap();
        let labels = plain.labels(&[], "s0:c1,c2").unwrap();
        assert_eq!(
            (labels.process.as_str(), labels.mount.as_str()),
            ("a:b:c", "a:b:d")
        );
        assert_eq!(Contexts::parse("process = \"a:b\"\nfile = \"a:b:d\""), None);
    }

    #[test]
    fn what_is_shared_has_no_categories() {
        let own = "u:object_r:t:s0:c1,c2";
        let table = [
            ("z", Some("u:object_r:t:s0")),
            ("ro,Z", Some(own)),
            ("ro", None),
            ("", None),
        ];
        for (mode, expected) in table {
            let label = relabels(mode).map(|shared| as_asked(own, shared));
            assert_eq!(label.as_deref(), expected, "{mode}");
        }
    }

    #[test]
    fn a_tree_is_labelled_and_links_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("inner/most")).unwrap();
        for name in ["outside", "tree/file", "tree/inner/most/file"] {
            sys::file::replace_unsynced(&dir.path().join(name), b"x", 0o644).unwrap();
        }
        std::os::unix::fs::symlink("../outside", tree.join("link")).unwrap();
        let top = Dir::open(dir.path()).unwrap();
        let of = |name: &str| {
            sys::xattr::get(&top, name.as_ref(), ATTRIBUTE.as_ref())
                .map(|value| {
                    String::from_utf8_lossy(&value)
                        .trim_end_matches('\0')
                        .to_owned()
                })
                .ok()
        };
        let before = of("outside");
        match label(&tree, "u:object_r:t:s0") {
            Ok(()) => {}
            // Not root, or a policy that does not know it.
            Err(_) => return,
        }
        if of("tree").is_none() {
            // The file system keeps none.
            return;
        }
        for name in [
            "tree",
            "tree/file",
            "tree/inner",
            "tree/inner/most",
            "tree/inner/most/file",
            "tree/link",
        ] {
            assert_eq!(of(name).as_deref(), Some("u:object_r:t:s0"), "{name}");
        }
        assert_eq!(of("outside"), before);
        for path in ["/", "/usr", "/tmp/../etc"] {
            let refused = label(Path::new(path), "u:object_r:t:s0").unwrap_err();
            assert!(
                refused.to_string().contains("SELinux relabeling of /"),
                "{refused}"
            );
        }
    }
}
