//! A user's profile, in the JSON that Docker and podman read.

use std::path::PathBuf;

use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag};
use serde::Deserialize;

use super::{Argument, Entry, Place, When, architectures, rules};
use crate::render::Error;

/// Lists may be null, which is how Go writes empty ones. Fields that say nothing to a filter,
/// comments among them, are passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: Option<LinuxSeccompAction>,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<Arch>>,
    arch_map: Option<Vec<MachineEntry>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    #[serde(default)]
    listener_path: String,
    #[serde(default)]
    listener_metadata: String,
    syscalls: Option<Vec<Call>>,
}

/// A machine and those whose programs it runs too. By name: profiles speak of machines that we have
/// never heard of.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MachineEntry {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    #[serde(default)]
    name: String,
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<Argument>>,
    includes: Option<Conditions>,
    excludes: Option<Conditions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conditions {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

pub(super) fn filter(json: &str, place: Place<'_>) -> Result<Option<LinuxSeccomp>, Error> {
    let profile: Profile = serde_json::from_str(json).map_err(|e| Error::Seccomp(e.to_string()))?;
    let calls = profile.syscalls.unwrap_or_default();
    let Some(action) = profile.default_action else {
        return match calls.is_empty() {
            true => Ok(None),
            false => Err(refused("defaultAction is missing")),
        };
    };
    let entries: Result<Vec<Entry>, Error> = calls.into_iter().map(entry).collect();
    let machines = machines(
        profile.architectures.unwrap_or_default(),
        &profile.arch_map.unwrap_or_default(),
        place,
    )?;
    let mut filter = LinuxSeccomp::default();
    filter.set_default_action(action);
    filter.set_default_errno_ret(profile.default_errno_ret);
    filter.set_architectures(Some(machines).filter(|m| !m.is_empty()));
    filter.set_flags(profile.flags.filter(|f| !f.is_empty()));
    let path = Some(profile.listener_path).filter(|p| !p.is_empty());
    filter.set_listener_path(path.map(PathBuf::from));
    filter.set_listener_metadata(Some(profile.listener_metadata).filter(|m| !m.is_empty()));
    filter.set_syscalls(Some(rules(entries?, place)?));
    Ok(Some(filter))
}

/// Why this is no profile, as far as that can be said without a container.
pub(super) fn check(json: &str) -> Result<(), Error> {
    let profile: Profile = serde_json::from_str(json).map_err(|e| refused(e.to_string()))?;
    let calls = profile.syscalls.unwrap_or_default();
    if profile.default_action.is_none() && !calls.is_empty() {
        return Err(refused("defaultAction is missing"));
    }
    calls
        .into_iter()
        .map(entry)
        .try_for_each(|entry| entry.map(drop))
}

fn refused(reason: impl Into<String>) -> Error {
    Error::Seccomp(reason.into())
}

/// The list of the profile, or this machine's line of its map.
fn machines(list: Vec<Arch>, map: &[MachineEntry], place: Place<'_>) -> Result<Vec<Arch>, Error> {
    if !list.is_empty() && !map.is_empty() {
        return Err(refused(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or \
             'archMap'",
        ));
    }
    let parse = |name: &String| name.parse::<Arch>().ok();
    let own = architectures(place.host).first().copied();
    let line = map
        .iter()
        .find(|line| own.is_some() && parse(&line.architecture) == own);
    let Some(line) = line else { return Ok(list) };
    let subs = line.sub_architectures.iter().flatten();
    let all = std::iter::once(&line.architecture).chain(subs);
    Ok(all.filter_map(parse).collect())
}

fn entry(call: Call) -> Result<Entry, Error> {
    let mut names = call.names.unwrap_or_default();
    if !call.name.is_empty() {
        if !names.is_empty() {
            return Err(refused(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
            ));
        }
        names.push(call.name);
    }
    Ok(Entry {
        names,
        action: call.action,
        errno: call.errno_ret,
        arguments: call.args.unwrap_or_default(),
        includes: when(call.includes)?,
        excludes: when(call.excludes)?,
    })
}

fn when(conditions: Option<Conditions>) -> Result<When, Error> {
    let conditions = conditions.unwrap_or_default();
    let version = conditions.min_kernel.filter(|v| !v.is_empty());
    Ok(When {
        capabilities: conditions.caps.unwrap_or_default(),
        machines: conditions.arches.unwrap_or_default(),
        min_kernel: version.as_deref().map(kernel).transpose()?,
    })
}

fn kernel(text: &str) -> Result<(u32, u32), Error> {
    let parse = || {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    parse().ok_or_else(|| {
        refused(format!(
            "minKernel {text:?} is no kernel version; major.minor is expected"
        ))
    })
}
