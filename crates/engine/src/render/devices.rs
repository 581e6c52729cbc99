//! Devices: the nodes in /dev and the rules of the device controller.
//!
//! The nodes every container has (null, zero, full, random, urandom, tty, the console, ptmx) are
//! made by the runtime, as the OCI specification wants it; their rules stand here.

use oci_spec::runtime::{LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType};
use types::DeviceRule;

use super::{DeviceKind, Error, HostDevice, RenderInput};

/// Numbers of the devices every container may use: zero, null, full, urandom, random, tty, console,
/// ptmx and the terminals of its own devpts.
const DEFAULT: [(i64, Option<i64>); 9] = [
    (1, Some(5)),
    (1, Some(3)),
    (1, Some(7)),
    (1, Some(9)),
    (1, Some(8)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

pub(super) fn nodes(input: &RenderInput<'_>) -> Vec<LinuxDevice> {
    input.devices.iter().map(node).collect()
}

fn node(device: &HostDevice) -> LinuxDevice {
    let mut node = LinuxDevice::default();
    node.set_path(device.container_path.clone().into());
    node.set_typ(kind(device.kind));
    node.set_major(device.major.into());
    node.set_minor(device.minor.into());
    node.set_file_mode(Some(device.mode & 0o7777));
    node.set_uid(Some(device.uid));
    node.set_gid(Some(device.gid));
    node
}

fn kind(kind: DeviceKind) -> LinuxDeviceType {
    match kind {
        DeviceKind::Char => LinuxDeviceType::C,
        DeviceKind::Block => LinuxDeviceType::B,
        DeviceKind::Fifo => LinuxDeviceType::P,
    }
}

/// Everything is denied but making nodes, which does no harm while opening them is, the usual
/// devices and those asked for. A privileged container may use every device.
pub(super) fn rules(input: &RenderInput<'_>) -> Result<Vec<LinuxDeviceCgroup>, Error> {
    check_permissions(input)?;
    if input.spec.security.privileged {
        return Ok(vec![rule(true, None, None, None, "rwm")]);
    }
    let any = |kind| rule(true, Some(kind), None, None, "m");
    let mut rules = vec![
        rule(false, None, None, None, "rwm"),
        any(LinuxDeviceType::C),
        any(LinuxDeviceType::B),
    ];
    rules.extend(
        DEFAULT.iter().map(|(major, minor)| {
            rule(true, Some(LinuxDeviceType::C), Some(*major), *minor, "rwm")
        }),
    );
    // A named pipe is no device to the controller.
    let devices = input.devices.iter().filter(|d| d.kind != DeviceKind::Fifo);
    rules.extend(devices.map(|d| {
        let (major, minor) = (Some(d.major.into()), Some(d.minor.into()));
        rule(true, Some(kind(d.kind)), major, minor, &d.permissions)
    }));
    rules.extend(input.spec.resources.device_rules.iter().map(asked_rule));
    Ok(rules)
}

fn asked_rule(asked: &DeviceRule) -> LinuxDeviceCgroup {
    let kind = match asked.kind {
        'c' => Some(LinuxDeviceType::C),
        'b' => Some(LinuxDeviceType::B),
        _ => None,
    };
    let (major, minor) = (asked.major.map(i64::from), asked.minor.map(i64::from));
    rule(true, kind, major, minor, &asked.permissions)
}

/// Both the request's and, for devices found by walking a directory, what they inherited from it.
fn check_permissions(input: &RenderInput<'_>) -> Result<(), Error> {
    let asked = input.spec.resources.devices.iter();
    let asked = asked.map(|d| (&d.host_path, &d.permissions));
    let found = input.devices.iter();
    let found = found.map(|d| (&d.container_path, &d.permissions));
    for (path, permissions) in asked.chain(found) {
        let sound = permissions.chars().all(|c| matches!(c, 'r' | 'w' | 'm'));
        if permissions.is_empty() || !sound {
            return Err(Error::DevicePermissions {
                path: path.clone(),
                permissions: permissions.clone(),
            });
        }
    }
    Ok(())
}

fn rule(
    allow: bool,
    kind: Option<LinuxDeviceType>,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(allow);
    rule.set_typ(kind);
    rule.set_major(major);
    rule.set_minor(minor);
    rule.set_access(Some(access.to_owned()));
    rule
}
