//! What of a container's is not its own, and so is not in its images: mounts and files of the host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};
use sys::cgroup::Directory;

/// Kept beside the images, for the restore.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Outside {
    /// The kinds of its namespaces that are not the host's: CLONE_NEW* flags.
    pub(super) namespaces: u32,
    pub(super) mounts: Vec<OutsideMount>,
    /// The first process' standard streams by CRIU's names; empty for what is the container's own.
    pub(super) streams: [String; 3],
    /// Whether its terminal's other end is to be handed out.
    pub(super) terminal: bool,
}

/// A mount whose source is the host's.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OutsideMount {
    pub(super) target: String,
    pub(super) source: Source,
}

/// Where the source is found again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Source {
    /// Below the source of the configuration's mount with this destination.
    Bind {
        destination: PathBuf,
        below: PathBuf,
    },
    /// The container's cgroup in the hierarchy with this name.
    Cgroup { hierarchy: String },
    /// A device file of the host.
    Device { path: PathBuf },
}

/// A line of /proc/PID/mountinfo, proc_pid_mountinfo(5).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line<'a> {
    id: &'a str,
    device: &'a str,
    root: &'a str,
    target: &'a str,
    kind: &'a str,
}

fn lines(table: &str) -> Vec<Line<'_>> {
    let line = |line| -> Option<Line<'_>> {
        let (fixed, rest) = str::split_once(line, " - ")?;
        let fields: Vec<&str> = fixed.split(' ').collect();
        Some(Line {
            id: fields.first()?,
            device: fields.get(2)?,
            root: fields.get(3)?,
            target: fields.get(4)?,
            kind: rest.split(' ').next()?,
        })
    };
    table.lines().filter_map(line).collect()
}

/// The ids of the mounts that a container sees.
pub(super) fn mount_ids(table: &str) -> BTreeSet<u32> {
    let ids = lines(table).into_iter();
    ids.filter_map(|line| line.id.parse().ok()).collect()
}

/// Mounts whose source is outside, by the container's own mount table.
///
/// `id_at` tells the id of the mount at a path in the container: a destination may be a link, and the
/// table has where that leads.
pub(super) fn mounts(
    table: &str,
    spec: &Spec,
    id_at: impl Fn(&Path) -> Option<u64>,
) -> Vec<OutsideMount> {
    let lines = lines(table);
    let real = |destination: &Path| {
        let id = id_at(destination)?.to_string();
        let line = lines.iter().find(|line| line.id == id)?;
        Some(PathBuf::from(line.target))
    };
    let binds: Vec<Destination> = spec
        .mounts()
        .iter()
        .flatten()
        .map(|mount| Destination {
            real: real(mount.destination()).unwrap_or_else(|| mount.destination().clone()),
            configured: mount.destination().clone(),
            is_bind: is_bind(mount),
        })
        .collect();
    // A file system that is there from its root is the container's, unless it is bound.
    let own: BTreeSet<&str> = lines
        .iter()
        .filter(|line| line.root == "/" || line.target == "/")
        .map(|line| line.device)
        .collect();
    let outside = |line: &Line<'_>| -> Option<OutsideMount> {
        let target = line.target;
        if target == "/" {
            return None;
        }
        let source = match (bind_above(&binds, target), line.kind) {
            (Some((destination, below)), _) => Source::Bind { destination, below },
            (None, "cgroup" | "cgroup2") => Source::Cgroup {
                hierarchy: Path::new(target)
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default(),
            },
            (None, "devtmpfs" | "tmpfs") if !own.contains(line.device) => Source::Device {
                path: PathBuf::from(format!("/dev{}", line.root)),
            },
            _ => return None,
        };
        Some(OutsideMount {
            target: target.to_owned(),
            source,
        })
    };
    lines.iter().filter_map(outside).collect()
}

/// Where a mount of the configuration is.
struct Destination {
    real: PathBuf,
    configured: PathBuf,
    is_bind: bool,
}

pub(super) fn is_bind(mount: &oci_spec::runtime::Mount) -> bool {
    let options = mount.options().as_deref().unwrap_or_default();
    mount.typ().as_deref() == Some("bind")
        || options
            .iter()
            .any(|option| option == "bind" || option == "rbind")
}

/// The bind of the configuration that a mount is, or is part of, and how far below it.
fn bind_above(all: &[Destination], target: &str) -> Option<(PathBuf, PathBuf)> {
    let target = Path::new(target);
    let above = all.iter().filter(|mount| target.starts_with(&mount.real));
    // The longest is the nearest; one in between that is no bind makes it the container's own.
    let nearest = above.max_by_key(|mount| mount.real.components().count())?;
    let nearest = Some(nearest).filter(|mount| mount.is_bind)?;
    let below = target.strip_prefix(&nearest.real).ok()?;
    Some((nearest.configured.clone(), below.to_owned()))
}

/// Where the source of a mount is now. None if the configuration has no such mount any more.
pub(super) fn source_now(
    mount: &OutsideMount,
    spec: &Spec,
    bundle: &Path,
    cgroups: &[Directory],
) -> Option<PathBuf> {
    match &mount.source {
        Source::Device { path } => Some(path.clone()),
        Source::Cgroup { hierarchy } => {
            let named = cgroups.iter().find(|dir| {
                dir.name == *hierarchy || dir.controllers.iter().any(|one| one == hierarchy)
            });
            // A view of all of version 2 has the name of where it is mounted.
            let dir = named.or_else(|| cgroups.iter().find(|dir| dir.version == 2));
            dir.map(|dir| dir.path.clone())
        }
        Source::Bind { destination, below } => {
            let mut mounts = spec.mounts().iter().flatten();
            let found = mounts.find(|mount| mount.destination() == destination)?;
            // CRIU wants a name at its end, and not `.`.
            let source = bundle.join(found.source().as_deref()?);
            let source: PathBuf = source.components().collect();
            Some(if below.as_os_str().is_empty() {
                source
            } else {
                source.join(below)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TABLE: &str = "\
44 55 254:0 /b/rootfs / ro,relatime - ext4 /dev/vda rw
79 44 0:40 / /proc rw,relatime - proc proc rw
80 44 0:41 / /dev rw,nosuid - tmpfs tmpfs rw
89 79 0:6 /null /proc/keys ro - devtmpfs devtmpfs rw
92 79 0:40 /bus /proc/bus ro,relatime - proc proc rw
95 44 254:0 /data /data rw - ext4 /dev/vda rw
96 95 0:77 / /data/sub rw - tmpfs tmpfs rw
97 86 0:29 /c1 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu
98 44 0:46 / /sys/firmware ro - tmpfs tmpfs rw
";

    fn spec() -> Spec {
        let text = json!({
            "ociVersion": "1.0.0",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/data", "type": "none", "source": "data/.", "options": ["rbind"]},
            ],
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn only_what_is_the_hosts_is_outside() {
        let found = mounts(TABLE, &spec(), |_| None);
        let targets: Vec<_> = found.iter().map(|mount| mount.target.as_str()).collect();
        assert_eq!(
            targets,
            ["/proc/keys", "/data", "/data/sub", "/sys/fs/cgroup/cpu"]
        );
    }

    /// It is found by what is mounted there.
    #[test]
    fn a_destination_may_be_a_link() {
        let mut spec = spec();
        let mut all = spec.mounts().clone().unwrap_or_default();
        all[1].set_destination("/link".into());
        spec.set_mounts(Some(all));
        let found = mounts(TABLE, &spec, |path| {
            (path == Path::new("/link")).then_some(95)
        });
        let data = found.iter().find(|mount| mount.target == "/data").unwrap();
        let source = Source::Bind {
            destination: "/link".into(),
            below: PathBuf::new(),
        };
        assert_eq!(data.source, source);
    }

    #[test]
    fn sources_are_found_again() {
        let found = mounts(TABLE, &spec(), |_| None);
        let cgroups = [Directory {
            version: 1,
            name: "cpu,cpuacct".to_owned(),
            controllers: vec!["cpu".to_owned(), "cpuacct".to_owned()],
            path: "/sys/fs/cgroup/cpu,cpuacct/c2".into(),
        }];
        let now = |mount| source_now(mount, &spec(), Path::new("/other"), &cgroups).unwrap();
        let sources: Vec<_> = found.iter().map(now).collect();
        let expected = [
            "/dev/null",
            "/other/data",
            "/other/data/sub",
            "/sys/fs/cgroup/cpu,cpuacct/c2",
        ];
        assert_eq!(sources, expected.map(PathBuf::from));
    }

    #[test]
    fn mounts_have_ids() {
        assert!(mount_ids(TABLE).contains(&92) && !mount_ids(TABLE).contains(&55));
    }
}
