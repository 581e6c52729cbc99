//! The systemd driver: the container's cgroup is a transient unit's, asked for over D-Bus
//! (org.freedesktop.systemd1(5), systemd's CGROUP_DELEGATION.md).
//!
//! A scope begins with a process in it. The container's does not exist yet and is to be born in its
//! cgroup, so a [`Keeper`] stands in for it until then.

mod bus;
mod message;
mod properties;
mod value;

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use oci_spec::runtime::LinuxResources;
use sys::cgroup::{Cgroup, Limits};
use sys::clone::{Child, Clone3};

use super::path::UnitName;
use crate::error::{Doing, Error};
use bus::Bus;
use value::{Property, Value};

pub use bus::Failure;

/// Properties a configuration may set by annotations.
const ANNOTATION: &str = "org.systemd.property.";

/// A process that does nothing but keep a scope from being empty.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Closed when the maker is gone, it tells the process to end.
    end: Option<OwnedFd>,
    child: Child,
}

impl Keeper {
    fn new() -> Result<Self, Error> {
        let action = || "keep a place in the unit".to_owned();
        let (wait, end) = sys::fd::pipe().doing(action)?;
        let mut end = Some(end);
        let child = Clone3::default().spawn(|| {
            // The copy of the other end must go, or the end of the maker would not be seen.
            drop(end.take());
            // The maker may have blocked what systemd ends it by.
            let _ = sys::process::reset_signals();
            i32::from(sys::process::wait_readable(&wait).is_err())
        });
        let child = child.doing(action)?;
        Ok(Self { end, child })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.end.take());
        // The container's process has a copy of that end as long as it waits to be started.
        let _ = sys::pidfd::send_signal(&self.child.pidfd, types::Signal::KILL);
        // It has nothing to say.
        let _ = sys::pidfd::wait(&self.child.pidfd);
    }
}

/// What a unit is made for.
pub(crate) struct Request<'a> {
    pub(crate) name: &'a UnitName,
    pub(crate) resources: Option<&'a LinuxResources>,
    pub(crate) annotations: Option<&'a HashMap<String, String>>,
    /// Whether the machine has version 2 only.
    pub(crate) unified: bool,
}

/// A unit that systemd has made.
pub(crate) struct Started {
    /// Its cgroup.
    pub(crate) path: String,
    /// To be dropped when the container's process is in the cgroup. A slice needs none.
    pub(crate) keeper: Option<Keeper>,
}

/// Has systemd make the unit.
pub(crate) fn start(request: &Request<'_>) -> Result<Started, Error> {
    let unit = &request.name.unit;
    let asked = asked(request)?;
    let failed = |failure| systemd_error(format!("start unit {unit}"), failure);
    let mut bus = Bus::connect().map_err(failed)?;
    let is_slice = unit.ends_with(".slice");
    if !is_slice {
        check_free(&mut bus, request.name)?;
    }
    let keeper = if is_slice { None } else { Some(Keeper::new()?) };
    let own = properties::of_unit(request.name, keeper.as_ref().map(|k| k.child.pid));
    let version = bus.version().map_err(failed)?;
    let mut all = own;
    all.extend(limits(request.resources, request.unified, version));
    all.extend(asked);
    match bus.start_transient(unit, &all) {
        // Left over from a container that failed: forgotten, then made again.
        Err(Failure::Refused { name, .. }) if name.ends_with(".UnitExists") => {
            let _ = bus.on_unit("ResetFailedUnit", unit);
            bus.start_transient(unit, &all).map_err(failed)?;
        }
        started => started.map_err(failed)?,
    }
    match bus.control_group(unit) {
        Ok(path) => Ok(Started { path, keeper }),
        Err(failure) => {
            // The unit is of no use without its path.
            drop(keeper);
            let _ = bus.stop(unit);
            Err(failed(failure))
        }
    }
}

/// Refuses a cgroup that is there already and in use or frozen, as where no systemd is asked: it would
/// put the process in, which would not run or not be alone.
fn check_free(bus: &mut Bus, name: &UnitName) -> Result<(), Error> {
    let slice = match (name.slice.as_str(), sys::process::user()) {
        ("", 0) => "system.slice",
        ("", _) => "app.slice",
        (slice, _) => slice,
    };
    // A slice that is not there has nothing in it.
    let Ok(slice) = bus.control_group(slice) else {
        return Ok(());
    };
    let path = format!("{}/{}", slice.trim_end_matches('/'), name.unit);
    let Ok(files) = Cgroup::open(&super::detect()?, &path) else {
        return Ok(());
    };
    let processes = files.pids().map_or(0, |pids| pids.len());
    let path = path.into();
    let source = match processes {
        0 if files.is_frozen() => sys::cgroup::Error::Frozen(path),
        0 => return Ok(()),
        processes => sys::cgroup::Error::Busy { path, processes },
    };
    Err(super::cannot("make", source))
}

/// Tells systemd of changed limits, lest it writes the old ones again.
pub(crate) fn update(unit: &str, resources: &LinuxResources, unified: bool) -> Result<(), Error> {
    let failed = |failure| systemd_error(format!("change unit {unit}"), failure);
    let mut bus = Bus::connect().map_err(failed)?;
    let version = bus.version().map_err(failed)?;
    let mut limits = limits(Some(resources), unified, version);
    limits.retain(|(name, _)| !name.starts_with("Device"));
    if limits.is_empty() {
        return Ok(());
    }
    bus.set_properties(unit, &limits).map_err(failed)
}

/// The limits as systemd can keep them: what it does not know would be lost when it reads its units anew.
pub(crate) fn kept(mut limits: Limits) -> Limits {
    const PERIOD: u64 = 100_000;
    let cpu = &mut limits.cpu;
    let period = cpu.period.filter(|period| *period != 0);
    cpu.quota = cpu
        .quota
        .map(|quota| properties::kept(quota, period.unwrap_or(PERIOD)));
    let idle = limits.unified.get("cpu.idle");
    if idle.is_some_and(|idle| idle.trim() == "1") {
        limits.unified.remove("cpu.weight");
    }
    limits
}

/// Ends the unit and what is left in it. One that is gone is fine: a scope goes by itself when its
/// last process does.
pub(crate) fn stop(unit: &str) -> Result<(), Error> {
    let failed = |failure| systemd_error(format!("stop unit {unit}"), failure);
    let mut bus = Bus::connect().map_err(failed)?;
    match bus.stop(unit) {
        Err(Failure::Refused { name, .. }) if name.ends_with(".NoSuchUnit") => {}
        stopped => stopped.map_err(failed)?,
    }
    // Only one that failed is still there, and would be in the way of the next of this name.
    let _ = bus.on_unit("ResetFailedUnit", unit);
    Ok(())
}

fn limits(resources: Option<&LinuxResources>, unified: bool, version: u32) -> Vec<Property> {
    let target = properties::Target { unified, version };
    resources.map_or_else(Vec::new, |resources| target.limits(resources))
}

fn systemd_error(action: String, source: Failure) -> Error {
    Error::Systemd { action, source }
}

/// Properties asked for by annotations.
fn asked(request: &Request<'_>) -> Result<Vec<Property>, Error> {
    let mut all = Vec::new();
    for (key, text) in request.annotations.into_iter().flatten() {
        let Some(name) = key.strip_prefix(ANNOTATION) else {
            continue;
        };
        let invalid = || {
            let reason =
                format!("{text:?} is no value as in true, 5, uint64 5, 'text', ['a', 'b']");
            Error::invalid(format!("annotations.{key}"), reason)
        };
        let value = Value::parse(text).ok_or_else(invalid)?;
        all.push(value::in_microseconds(name, value).ok_or_else(invalid)?);
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(all)
}
