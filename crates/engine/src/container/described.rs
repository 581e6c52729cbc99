//! Devices that others describe ([`crate::cdi`]), for one container.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use types::ContainerSpec;

use super::check::Invalid;
use super::devices::numbers;
use crate::Engine;
use crate::cdi::{Edits, Grants, Node, Registry, Unfulfilled, Wanted};
use crate::render::{DeviceKind, HostDevice};

/// What the container gets, and the devices among it as they are on this machine.
pub(super) fn edits(
    engine: &Engine,
    spec: &ContainerSpec,
) -> Result<(Edits, Vec<HostDevice>), Invalid> {
    let requests = &spec.resources.cdi;
    if requests.is_empty() {
        return Ok((Edits::default(), Vec::new()));
    }
    let registry = Registry::read(&engine.config().cdi_dirs);
    let mut edits = registry.edits(requests)?;
    let nodes = std::mem::take(&mut edits.device_nodes);
    let devices = nodes.iter().map(node).collect::<Result<_, _>>()?;
    Ok((edits, devices))
}

/// The names of all that are described.
pub fn described(engine: &Engine) -> Vec<String> {
    let registry = Registry::read(&engine.config().cdi_dirs);
    registry.names().map(str::to_owned).collect()
}

/// What a command of a build gets of what it asks for: whole names, for the step's resources.
///
/// # Errors
/// When something required is not described, and when `entitlements` do not allow what is.
pub fn for_build(
    engine: &Engine,
    wanted: &[Wanted<'_>],
    entitlements: &[String],
) -> Result<Vec<String>, Unfulfilled> {
    let grants = Grants::read(entitlements)?;
    Registry::read(&engine.config().cdi_dirs).for_build(wanted, &grants)
}

fn node(node: &Node) -> Result<HostDevice, Invalid> {
    let path = node.host_path.as_deref().unwrap_or(&node.path);
    let refuse = |reason: String| Invalid::DescribedDevice {
        path: path.to_owned(),
        reason,
    };
    let on_host = std::fs::metadata(path);
    let kind = match (node.kind.as_deref(), &on_host) {
        (Some("b"), _) => DeviceKind::Block,
        (Some("c" | "u"), _) => DeviceKind::Char,
        (Some("p"), _) => DeviceKind::Fifo,
        (_, Ok(metadata)) if metadata.file_type().is_block_device() => DeviceKind::Block,
        (_, Ok(metadata)) if metadata.file_type().is_char_device() => DeviceKind::Char,
        (_, Ok(metadata)) if metadata.file_type().is_fifo() => DeviceKind::Fifo,
        (_, Ok(_)) => return Err(refuse("it is no device".to_owned())),
        (_, Err(error)) => return Err(refuse(error.to_string())),
    };
    let (major, minor) = match (node.major, node.minor, &on_host) {
        (Some(major), minor, _) if major != 0 => (major, minor.unwrap_or(0)),
        (_, _, Ok(metadata)) => numbers(metadata.rdev()),
        (_, _, Err(_)) if kind == DeviceKind::Fifo => (0, 0),
        (_, _, Err(error)) => return Err(refuse(error.to_string())),
    };
    let mode = on_host.as_ref().map_or(0o666, |metadata| metadata.mode());
    Ok(HostDevice {
        container_path: node.path.clone(),
        kind,
        major,
        minor,
        mode: node.file_mode.unwrap_or(mode) & 0o7777,
        uid: node.uid.unwrap_or(0),
        gid: node.gid.unwrap_or(0),
        permissions: match node.permissions.as_deref() {
            None | Some("") => "rwm".to_owned(),
            Some(permissions) => permissions.to_owned(),
        },
    })
}
