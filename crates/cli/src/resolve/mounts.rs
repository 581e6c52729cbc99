//! `-v`, `--mount`, `--tmpfs` and `--device`.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use api::convert::Mode;
use types::{DeviceRequest, MountKind, MountRequest, VolumeName, VolumeRequest};

use crate::args::container::ContainerFlags;
use crate::error::CliError;

/// What is mounted.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    /// What was said of a source.
    pub(super) mounts: Vec<MountRequest>,
    /// Where there are to be volumes that nobody names: `-v PATH`.
    pub(super) volumes: BTreeSet<String>,
}

/// All mounts: `-v`, then `--tmpfs`, then `--mount`, no two at one place.
pub(super) fn mounts(flags: &ContainerFlags, cwd: &Path) -> Result<Mounts, CliError> {
    let mut mounts = Vec::new();
    let mut volumes = BTreeSet::new();
    for text in &flags.volume {
        match text.contains(':') {
            true => mounts.push(volume(text, cwd)?),
            false => drop(volumes.insert(target(text, text)?)),
        }
    }
    for text in &flags.tmpfs {
        mounts.push(tmpfs(text)?);
    }
    mounts.extend(typed_mounts(&flags.mount, cwd));
    for (n, mount) in mounts.iter().enumerate() {
        let same = |other: &MountRequest| {
            clean(Path::new(&other.target)) == clean(Path::new(&mount.target))
        };
        if mounts[..n].iter().any(same) {
            return Err(CliError::Invalid(format!(
                "Duplicate mount point: {}",
                mount.target
            )));
        }
    }
    Ok(Mounts { mounts, volumes })
}

/// An absolute path inside.
fn target(text: &str, target: &str) -> Result<String, CliError> {
    let invalid =
        |why: &str| CliError::Invalid(format!("invalid volume specification: '{text}': {why}"));
    if !target.starts_with('/') {
        return Err(invalid(&format!(
            "invalid mount path: '{target}' mount path must be absolute"
        )));
    }
    if clean(Path::new(target)) == Path::new("/") {
        return Err(invalid("destination can't be '/'"));
    }
    Ok(target.to_owned())
}

/// `source:target[:mode]`.
fn volume(text: &str, cwd: &Path) -> Result<MountRequest, CliError> {
    let invalid =
        |why: &str| CliError::Invalid(format!("invalid volume specification: '{text}': {why}"));
    let parts: Vec<&str> = text.split(':').collect();
    if parts.contains(&"") {
        return Err(CliError::Invalid(format!(
            "invalid spec: {text}: empty section between colons"
        )));
    }
    let (source, target, mode) = match parts[..] {
        [source, target] => (source, target, String::new()),
        [source, target, mode] => (source, target, mode.to_owned()),
        // The ids of idmap=UID:GID.
        [source, target, mode, group] if mode.contains("idmap=") => {
            (source, target, format!("{mode}:{group}"))
        }
        _ => return Err(invalid("too many colons")),
    };
    let target = self::target(text, target)?;
    let wrong = || CliError::Invalid(format!("invalid mode: {mode}"));
    let Mode {
        read_only,
        propagation,
        no_copy,
        id_map,
    } = Mode::parse(&mode).ok_or_else(wrong)?;
    if !source.starts_with(['/', '.', '~']) {
        if propagation.is_some() || id_map.is_some() {
            return Err(wrong());
        }
        let name = source.parse::<VolumeName>();
        let name =
            name.map_err(|problem| CliError::Invalid(format!("create {source}: {problem}")))?;
        let volume = VolumeRequest {
            name: Some(name),
            no_copy,
            bind_mode: Some(mode),
            ..VolumeRequest::default()
        };
        return Ok(MountRequest {
            kind: MountKind::Volume(volume),
            target,
            read_only,
        });
    }
    if no_copy {
        return Err(wrong());
    }
    Ok(MountRequest {
        kind: MountKind::Bind {
            source: absolute(source, cwd),
            propagation,
            create_source: true,
            recursive: true,
            read_only_non_recursive: false,
            read_only_force_recursive: false,
            bind_mode: Some(mode),
            id_map,
        },
        target,
        read_only,
    })
}

/// `--mount`, whose relative sources are the caller's.
pub fn typed_mounts(typed: &[MountRequest], cwd: &Path) -> Vec<MountRequest> {
    let own = |typed: &MountRequest| {
        let mut mount = typed.clone();
        if let MountKind::Bind { source, .. } = &mut mount.kind {
            *source = absolute(source, cwd);
        }
        mount
    };
    typed.iter().map(own).collect()
}

/// `target[:options]`. The options are the daemon's to judge.
fn tmpfs(text: &str) -> Result<MountRequest, CliError> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    if !target.starts_with('/') {
        return Err(CliError::Invalid(format!(
            "invalid mount path: '{target}' mount path must be absolute"
        )));
    }
    Ok(MountRequest {
        kind: MountKind::Tmpfs {
            size: None,
            mode: None,
            options: Vec::new(),
            flag_options: Some(options.to_owned()),
        },
        target: target.to_owned(),
        read_only: false,
    })
}

/// `host[:container[:permissions]]`.
/// Whether `--device` names no path but a device that somebody describes: `vendor.com/class=name`.
pub(super) fn is_described(text: &str) -> bool {
    let named = text.split_once('=').is_some_and(|(kind, name)| {
        !name.is_empty()
            && kind
                .split_once('/')
                .is_some_and(|(vendor, class)| !vendor.is_empty() && !class.is_empty())
    });
    named && !text.starts_with('/')
}

pub(super) fn device(text: &str) -> Result<DeviceRequest, CliError> {
    const ALL: &str = "rwm";
    let is_mode = |mode: &str| {
        !mode.is_empty()
            && mode.bytes().all(|b| ALL.as_bytes().contains(&b))
            && (1..mode.len()).all(|n| !mode[..n].contains(&mode[n..=n]))
    };
    let invalid = || CliError::Invalid(format!("invalid device specification: {text}"));
    let parts: Vec<&str> = text.split(':').collect();
    let (host, inside, mode) = match parts[..] {
        [host] => (host, host, ALL),
        [host, mode] if is_mode(mode) => (host, host, mode),
        [host, inside] => (host, inside, ALL),
        [host, inside, mode] if is_mode(mode) => (host, inside, mode),
        [_, _, mode] => {
            return Err(CliError::Invalid(format!("bad mode specified: {mode}")));
        }
        _ => return Err(invalid()),
    };
    if !host.starts_with('/') || !inside.starts_with('/') {
        return Err(CliError::Invalid(format!("{text} is not an absolute path")));
    }
    Ok(DeviceRequest {
        host_path: host.to_owned(),
        container_path: inside.to_owned(),
        permissions: mode.to_owned(),
    })
}

/// `./x` and `../x` become absolute; what is absolute stays as it was written.
fn absolute(path: &str, cwd: &Path) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        clean(&cwd.join(path)).to_string_lossy().into_owned()
    }
}

/// Without `.`, `..` and doubled slashes, by text alone.
fn clean(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut out, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match volume(text, Path::new("/home/me")) {
            Ok(mount) => format!("{text} -> {mount:?}"),
            Err(error) => format!("{text} -> {error}"),
        }
    }

    #[test]
    fn volumes() {
        let lines = [
            "/a:/b",
            "./a:/b:ro",
            "../a/./c:/b:rslave,ro",
            "/a:/b:z,cached",
            "/a:/b:zz",
            "/a:/b:ro,rw",
            "/a:/b:",
            "/a:b",
            "/a:/",
            ":/b",
            "data:/b",
            "data:/b:ro,nocopy",
            "data:/b:rslave",
            "da/ta:/b",
            "/a:/b:nocopy",
            "/a:/b:idmap",
            "/a:/b:idmap=1000:100,ro",
            "/a:/b:idmap=x",
            "/a:/b:ro:x",
        ]
        .map(show);
        insta::assert_snapshot!(lines.join("\n"), @r#"
        /a:/b -> MountRequest { kind: Bind { source: "/a", propagation: None, create_source: true, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: Some(""), id_map: None }, target: "/b", read_only: false }
        ./a:/b:ro -> MountRequest { kind: Bind { source: "/home/me/a", propagation: None, create_source: true, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: Some("ro"), id_map: None }, target: "/b", read_only: true }
        ../a/./c:/b:rslave,ro -> MountRequest { kind: Bind { source: "/home/a/c", propagation: Some(Rslave), create_source: true, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: Some("rslave,ro"), id_map: None }, target: "/b", read_only: true }
        /a:/b:z,cached -> MountRequest { kind: Bind { source: "/a", propagation: None, create_source: true, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: Some("z,cached"), id_map: None }, target: "/b", read_only: false }
        /a:/b:zz -> invalid mode: zz
        /a:/b:ro,rw -> invalid mode: ro,rw
        /a:/b: -> invalid spec: /a:/b:: empty section between colons
        /a:b -> invalid volume specification: '/a:b': invalid mount path: 'b' mount path must be absolute
        /a:/ -> invalid volume specification: '/a:/': destination can't be '/'
        :/b -> invalid spec: :/b: empty section between colons
        data:/b -> MountRequest { kind: Volume(VolumeRequest { name: Some(VolumeName("data")), own: false, driver: None, options: {}, labels: {}, no_copy: false, subpath: None, bind_mode: Some("") }), target: "/b", read_only: false }
        data:/b:ro,nocopy -> MountRequest { kind: Volume(VolumeRequest { name: Some(VolumeName("data")), own: false, driver: None, options: {}, labels: {}, no_copy: true, subpath: None, bind_mode: Some("ro,nocopy") }), target: "/b", read_only: true }
        data:/b:rslave -> invalid mode: rslave
        da/ta:/b -> create da/ta: "da/ta" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path
        /a:/b:nocopy -> invalid mode: nocopy
        /a:/b:idmap -> MountRequest { kind: Bind { source: "/a", propagation: None, create_source: true, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: Some("idmap"), id_map: Some(Owner) }, target: "/b", read_only: false }
        /a:/b:idmap=1000:100,ro -> MountRequest { kind: Bind { source: "/a", propagation: None, create_source: true, recursive: true, read_only_non_recursive: false, read_only_force_recursive: false, bind_mode: Some("idmap=1000:100,ro"), id_map: Some(Ids(1000, 100)) }, target: "/b", read_only: true }
        /a:/b:idmap=x -> invalid mode: idmap=x
        /a:/b:ro:x -> invalid volume specification: '/a:/b:ro:x': too many colons
        "#);
    }

    #[test]
    fn devices() {
        let lines = [
            "/dev/null",
            "/dev/null:/dev/x",
            "/dev/null:r",
            "/dev/null:/dev/x:rw",
            "/dev/null:/dev/x:rr",
            "null",
            "/dev/null:x",
            "/a:/b:r:w",
        ]
        .map(|text| match device(text) {
            Ok(d) => format!(
                "{text} -> {} {} {}",
                d.host_path, d.container_path, d.permissions
            ),
            Err(error) => format!("{text} -> {error}"),
        });
        insta::assert_snapshot!(lines.join("\n"), @r#"
        /dev/null -> /dev/null /dev/null rwm
        /dev/null:/dev/x -> /dev/null /dev/x rwm
        /dev/null:r -> /dev/null /dev/null r
        /dev/null:/dev/x:rw -> /dev/null /dev/x rw
        /dev/null:/dev/x:rr -> bad mode specified: rr
        null -> null is not an absolute path
        /dev/null:x -> /dev/null:x is not an absolute path
        /a:/b:r:w -> invalid device specification: /a:/b:r:w
        "#);
    }

    #[test]
    fn one_place_takes_one_mount() {
        let flags = ContainerFlags {
            volume: vec!["/a:/b".into()],
            tmpfs: vec!["/b/:size=1m".into()],
            ..ContainerFlags::default()
        };
        let error = mounts(&flags, Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "Duplicate mount point: /b/");
    }
}
