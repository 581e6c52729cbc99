//! Binds, volumes, tmpfs and the long form of mounts.

use std::collections::{BTreeSet, HashSet};

use types::{IdMap, MountKind, MountRequest, Propagation, VolumeName, VolumeRequest};

use super::Refusal;
use crate::Version;
use crate::wire::{BindOptions, ContainerConfig, HostConfig, Mount, TmpfsOptions, VolumeOptions};

const BINDS: &str = "HostConfig.Binds";
const MOUNTS: &str = "HostConfig.Mounts";
const TMPFS: &str = "HostConfig.Tmpfs";
const VOLUMES: &str = "Volumes";

/// Paths at which a container has volumes of its own: `-v PATH`.
pub(super) fn volumes(config: &ContainerConfig) -> Result<BTreeSet<String>, Refusal> {
    let paths = config.volumes.iter().flat_map(|volumes| volumes.keys());
    paths.map(|path| target(VOLUMES, path, path)).collect()
}

/// All that is mounted, in the order Docker shows it.
pub(super) fn requests(host: &HostConfig, version: Version) -> Result<Vec<MountRequest>, Refusal> {
    let mut requests = Vec::new();
    for bind in host.binds.iter().flatten() {
        requests.push((BINDS, from_bind(bind, version)?));
    }
    for mount in &host.mounts {
        requests.push((MOUNTS, from_mount(mount, version)?));
    }
    for (target, options) in &host.tmpfs {
        requests.push((TMPFS, from_tmpfs(target, options)?));
    }
    let mut seen = HashSet::new();
    for (field, request) in &requests {
        if !seen.insert(request.target.clone()) {
            return Err(Refusal::invalid(
                field,
                format!("Duplicate mount point: {}", request.target),
            ));
        }
    }
    Ok(requests.into_iter().map(|(_, request)| request).collect())
}

/// An absolute path without `.`, `..` and doubled slashes; none for the root itself.
pub(super) fn clean(path: &str) -> Option<String> {
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
    (!parts.is_empty()).then(|| format!("/{}", parts.join("/")))
}

fn target(field: &'static str, whole: &str, path: &str) -> Result<String, Refusal> {
    let refuse = |reason: &str| {
        Err(Refusal::invalid(
            field,
            format!("invalid mount specification: '{whole}': {reason}"),
        ))
    };
    if !path.starts_with('/') || path.contains('\0') {
        return refuse(&format!(
            "invalid mount path: '{path}' mount path must be absolute"
        ));
    }
    match clean(path) {
        Some(path) => Ok(path),
        None => refuse("destination can't be '/'"),
    }
}

fn source(field: &'static str, path: &str) -> Result<String, Refusal> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(Refusal::invalid(
            field,
            format!("invalid mount source: '{path}' must be an absolute path of the host"),
        ));
    }
    Ok(clean(path).unwrap_or_else(|| "/".to_owned()))
}

/// Before API 1.44 read-only never covered the mounts below.
fn shallow_by_version(read_only: bool, version: Version) -> bool {
    read_only && !version.has(44)
}

/// `source:target[:mode]`, or the target of a volume of the container's own.
fn from_bind(text: &str, version: Version) -> Result<MountRequest, Refusal> {
    let parts: Vec<&str> = text.split(':').collect();
    let (from, to, mode) = match parts[..] {
        [from, to] => (from, to, ""),
        [from, to, mode] => (from, to, mode),
        [to] => {
            return Ok(MountRequest {
                kind: MountKind::Volume(VolumeRequest::default()),
                target: target(BINDS, text, to)?,
                read_only: false,
            });
        }
        // An address of ids has a colon of its own.
        [from, to, mode, group] if mode.contains("idmap=") => {
            return named_bind(text, from, to, &format!("{mode}:{group}"), version);
        }
        _ => {
            return Err(Refusal::invalid(
                BINDS,
                format!("invalid volume specification: '{text}'"),
            ));
        }
    };
    named_bind(text, from, to, mode, version)
}

fn named_bind(
    text: &str,
    from: &str,
    to: &str,
    mode: &str,
    version: Version,
) -> Result<MountRequest, Refusal> {
    let to = target(BINDS, text, to)?;
    if from.is_empty() {
        return Err(Refusal::invalid(
            BINDS,
            format!("invalid volume specification: '{text}'"),
        ));
    }
    let wrong = || {
        Refusal::invalid(
            BINDS,
            format!("invalid volume specification: '{text}': invalid mode: {mode}"),
        )
    };
    let Mode {
        read_only,
        propagation,
        no_copy,
        id_map,
    } = Mode::parse(mode).ok_or_else(wrong)?;
    if !from.starts_with('/') {
        // What is said of binds only.
        if propagation.is_some() || id_map.is_some() {
            return Err(wrong());
        }
        let volume = VolumeRequest {
            name: Some(volume_name(BINDS, from)?),
            no_copy,
            bind_mode: Some(mode.to_owned()),
            ..VolumeRequest::default()
        };
        return Ok(MountRequest {
            kind: MountKind::Volume(volume),
            target: to,
            read_only,
        });
    }
    if no_copy {
        return Err(wrong());
    }
    Ok(MountRequest {
        kind: MountKind::Bind {
            source: source(BINDS, from)?,
            propagation,
            create_source: true,
            recursive: true,
            read_only_non_recursive: shallow_by_version(read_only, version),
            read_only_force_recursive: false,
            bind_mode: Some(mode.to_owned()),
            id_map,
        },
        target: to,
        read_only,
    })
}

/// The mode part of `-v`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// `ro`
    pub read_only: bool,
    /// `rslave`, ...
    pub propagation: Option<Propagation>,
    /// `nocopy`
    pub no_copy: bool,
    /// `idmap` or `idmap=UID:GID`
    pub id_map: Option<IdMap>,
}

impl Mode {
    /// Reads words between commas; none if one is unknown or a second one of its sort.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut access, mut propagation, mut copy, mut id_map) = (None, None, None, None);
        let (mut label, mut consistency) = (None, None);
        for word in text.split(',').filter(|_| !text.is_empty()) {
            let again = match word {
                "ro" | "rw" => access.replace(word == "ro").is_some(),
                // Labels are SELinux's, as with a dockerd that is not told to use it; consistency is
                // Docker Desktop's: nothing to do here.
                "z" | "Z" => label.replace(()).is_some(),
                "consistent" | "cached" | "delegated" | "default" => {
                    consistency.replace(()).is_some()
                }
                "nocopy" => copy.replace(()).is_some(),
                _ if word == "idmap" || word.starts_with("idmap=") => {
                    let map = IdMap::parse(word.strip_prefix("idmap="))?;
                    id_map.replace(map).is_some()
                }
                _ => propagation.replace(Propagation::parse(word)?).is_some(),
            };
            if again {
                return None;
            }
        }
        Some(Self {
            read_only: access.unwrap_or(false),
            propagation,
            no_copy: copy.is_some(),
            id_map,
        })
    }
}

fn volume_name(field: &'static str, name: &str) -> Result<VolumeName, Refusal> {
    let named = |error| Refusal::invalid(field, format!("create {name}: {error}"));
    name.parse::<VolumeName>().map_err(named)
}

/// `--tmpfs target:options`
fn from_tmpfs(to: &str, options: &str) -> Result<MountRequest, Refusal> {
    let words = options.split(',').filter(|word| !word.is_empty());
    Ok(MountRequest {
        kind: MountKind::Tmpfs {
            size: None,
            mode: None,
            options: words.map(str::to_owned).collect(),
            flag_options: Some(options.to_owned()),
        },
        target: target(TMPFS, to, to)?,
        read_only: false,
    })
}

fn from_mount(mount: &Mount, version: Version) -> Result<MountRequest, Refusal> {
    match mount.r#type.as_str() {
        "bind" => long_bind(mount, version),
        "tmpfs" => long_tmpfs(mount),
        "volume" => long_volume(mount, version),
        "image" => long_image(mount),
        "cluster" => Err(Refusal::Unsupported {
            field: MOUNTS,
            instead: "mounts of type bind, volume, tmpfs and image are".into(),
        }),
        other => Err(Refusal::invalid(
            MOUNTS,
            format!("mount type unknown: {other:?}; bind, volume, tmpfs and image are known"),
        )),
    }
}

/// Refuses the options of other types.
fn only(mount: &Mount, own: &str) -> Result<(), Refusal> {
    let said = [
        ("BindOptions", mount.bind_options.is_some()),
        ("VolumeOptions", mount.volume_options.is_some()),
        ("ImageOptions", mount.image_options.is_some()),
        ("TmpfsOptions", mount.tmpfs_options.is_some()),
        ("ClusterOptions", mount.cluster_options.is_some()),
    ];
    match said.into_iter().find(|(name, said)| *said && *name != own) {
        Some((name, _)) => Err(bad(mount, &format!("field {name} must not be specified"))),
        None => Ok(()),
    }
}

fn bad(mount: &Mount, reason: &str) -> Refusal {
    Refusal::invalid(
        MOUNTS,
        format!(
            "invalid mount config for type \"{}\": {reason}",
            mount.r#type
        ),
    )
}

fn long_bind(mount: &Mount, version: Version) -> Result<MountRequest, Refusal> {
    long_target(mount)?;
    only(mount, "BindOptions")?;
    if mount.source.is_empty() {
        return Err(bad(mount, "field Source must not be empty"));
    }
    let BindOptions {
        propagation,
        non_recursive,
        create_mountpoint,
        read_only_non_recursive: shallow,
        read_only_force_recursive: forced,
        id_map,
    } = mount.bind_options.clone().unwrap_or_default();
    let known = Propagation::parse(&propagation);
    if known.is_none() && !propagation.is_empty() {
        return Err(bad(
            mount,
            &format!("invalid propagation mode: {propagation}"),
        ));
    }
    if (shallow || forced) && !mount.read_only {
        return Err(bad(
            mount,
            "options of recursive read-only need a read-only mount",
        ));
    }
    if shallow && forced {
        return Err(bad(
            mount,
            "ReadOnlyNonRecursive and ReadOnlyForceRecursive exclude each other",
        ));
    }
    if forced && known.is_some_and(|p| p != Propagation::Rprivate) {
        return Err(bad(
            mount,
            "ReadOnlyForceRecursive needs the propagation rprivate",
        ));
    }
    Ok(MountRequest {
        kind: MountKind::Bind {
            source: source(MOUNTS, &mount.source)?,
            propagation: known,
            create_source: create_mountpoint,
            recursive: !non_recursive,
            read_only_non_recursive: shallow || shallow_by_version(mount.read_only, version),
            read_only_force_recursive: forced,
            bind_mode: None,
            id_map: match id_map.as_str() {
                "" => None,
                text => Some(IdMap::parse(Some(text)).ok_or_else(|| {
                    bad(
                        mount,
                        &format!("invalid ids {text:?}: auto or UID:GID is expected"),
                    )
                })?),
            },
        },
        target: long_target(mount)?,
        read_only: mount.read_only,
    })
}

fn long_volume(mount: &Mount, version: Version) -> Result<MountRequest, Refusal> {
    only(mount, "VolumeOptions")?;
    let VolumeOptions {
        no_copy,
        labels,
        driver_config,
        subpath,
    } = mount.volume_options.clone().unwrap_or_default();
    let name = match mount.source.as_str() {
        "" => None,
        name => Some(volume_name(MOUNTS, name)?),
    };
    let driver = driver_config.unwrap_or_default();
    // Older clients cannot have meant it.
    let subpath = Some(subpath).filter(|_| version.has(45));
    Ok(MountRequest {
        kind: MountKind::Volume(VolumeRequest {
            name,
            driver: Some(driver.name).filter(|name| !name.is_empty()),
            options: driver.options.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
            no_copy,
            subpath: relative(mount, subpath.unwrap_or_default())?,
            ..VolumeRequest::default()
        }),
        target: long_target(mount)?,
        read_only: mount.read_only,
    })
}

fn long_image(mount: &Mount) -> Result<MountRequest, Refusal> {
    long_target(mount)?;
    only(mount, "ImageOptions")?;
    if mount.source.is_empty() {
        return Err(bad(mount, "field Source must not be empty"));
    }
    let options = mount.image_options.clone().unwrap_or_default();
    Ok(MountRequest {
        kind: MountKind::Image {
            source: mount.source.clone(),
            subpath: relative(mount, options.subpath)?,
        },
        target: long_target(mount)?,
        read_only: true,
    })
}

/// A path that stays within, as far as its text says: links are looked at when it is mounted.
fn relative(mount: &Mount, path: String) -> Result<Option<String>, Refusal> {
    let mut depth = 0_i32;
    let stays = path.split('/').all(|part| {
        depth += match part {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        depth >= 0
    });
    if !stays || path.starts_with('/') || path.contains('\0') {
        return Err(bad(
            mount,
            // Docker says so of images too.
            &format!("subpath must be a relative path within the volume: {path:?}"),
        ));
    }
    Ok(Some(path).filter(|path| !path.is_empty()))
}

fn long_tmpfs(mount: &Mount) -> Result<MountRequest, Refusal> {
    only(mount, "TmpfsOptions")?;
    if !mount.source.is_empty() {
        return Err(bad(mount, "field Source must not be specified"));
    }
    let TmpfsOptions {
        size_bytes,
        mode,
        options,
    } = mount.tmpfs_options.clone().unwrap_or_default();
    if size_bytes < 0 {
        return Err(bad(mount, "SizeBytes must not be negative"));
    }
    let option = |pair: Vec<String>| match pair.as_slice() {
        [name] => Ok(name.clone()),
        [name, value] => Ok(format!("{name}={value}")),
        _ => Err(bad(mount, "options are [name] or [name, value]")),
    };
    Ok(MountRequest {
        kind: MountKind::Tmpfs {
            size: Some(size_bytes).filter(|size| *size > 0),
            mode: Some(mode).filter(|mode| *mode != 0),
            options: options.into_iter().map(option).collect::<Result<_, _>>()?,
            flag_options: None,
        },
        target: long_target(mount)?,
        read_only: mount.read_only,
    })
}

fn long_target(mount: &Mount) -> Result<String, Refusal> {
    if mount.target.is_empty() {
        return Err(bad(mount, "field Target must not be empty"));
    }
    target(MOUNTS, &mount.target, &mount.target)
}
