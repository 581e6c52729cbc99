//! Binds, tmpfs and the long form of mounts.

use std::collections::HashSet;

use types::{MountKind, MountRequest, Propagation};

use super::Refusal;
use crate::Version;
use crate::wire::{BindOptions, HostConfig, Mount, TmpfsOptions};

const BINDS: &str = "HostConfig.Binds";
const MOUNTS: &str = "HostConfig.Mounts";
const TMPFS: &str = "HostConfig.Tmpfs";
const NO_VOLUMES: &str = "there are no volumes yet; bind an absolute host path";

fn no_volumes(name: &str) -> Refusal {
    Refusal::Unsupported {
        field: BINDS,
        instead: format!("{name:?} names a volume, and {NO_VOLUMES}").into(),
    }
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

/// `source:target[:mode]`
fn from_bind(text: &str, version: Version) -> Result<MountRequest, Refusal> {
    let parts: Vec<&str> = text.split(':').collect();
    let (from, to, mode) = match parts[..] {
        [from, to] => (from, to, ""),
        [from, to, mode] => (from, to, mode),
        [_] => return Err(no_volumes(text)),
        _ => {
            return Err(Refusal::invalid(
                BINDS,
                format!("invalid volume specification: '{text}'"),
            ));
        }
    };
    let to = target(BINDS, text, to)?;
    if from.is_empty() {
        return Err(Refusal::invalid(
            BINDS,
            format!("invalid volume specification: '{text}'"),
        ));
    }
    if !from.starts_with('/') {
        return Err(no_volumes(from));
    }
    let (read_only, propagation) = bind_mode(mode).ok_or_else(|| {
        Refusal::invalid(
            BINDS,
            format!("invalid volume specification: '{text}': invalid mode: {mode}"),
        )
    })?;
    Ok(MountRequest {
        kind: MountKind::Bind {
            source: source(BINDS, from)?,
            propagation,
            create_source: true,
            recursive: true,
            read_only_non_recursive: shallow_by_version(read_only, version),
            read_only_force_recursive: false,
            bind_mode: Some(mode.to_owned()),
        },
        target: to,
        read_only,
    })
}

/// Read-only or not and the propagation; none if a word is unknown or a second one of its sort.
fn bind_mode(mode: &str) -> Option<(bool, Option<Propagation>)> {
    let (mut access, mut propagation) = (None, None);
    let (mut label, mut consistency) = (false, false);
    if mode.is_empty() {
        return Some((false, None));
    }
    for word in mode.split(',') {
        let again = match word {
            "ro" | "rw" => access.replace(word == "ro").is_some(),
            // Relabelling is for SELinux, consistency for Docker Desktop: nothing to do here.
            "z" | "Z" => std::mem::replace(&mut label, true),
            "consistent" | "cached" | "delegated" | "default" => {
                std::mem::replace(&mut consistency, true)
            }
            _ => propagation.replace(Propagation::parse(word)?).is_some(),
        };
        if again {
            return None;
        }
    }
    Some((access.unwrap_or(false), propagation))
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
        "volume" | "image" | "cluster" => Err(Refusal::Unsupported {
            field: MOUNTS,
            instead: "only mounts of type bind and tmpfs are".into(),
        }),
        other => Err(Refusal::invalid(
            MOUNTS,
            format!("mount type unknown: {other:?}; bind and tmpfs are supported"),
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
        },
        target: long_target(mount)?,
        read_only: mount.read_only,
    })
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
