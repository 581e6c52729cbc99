//! Writing the limits of a cgroup.

use std::io;
use std::path::Path;

use super::create::Unavailable;
use super::devices::{DeviceFilter, V1Devices};
use super::layout::is_missing;
use super::plan::{Missing, Version, Write, plan};
use super::{Cgroup, Dir, Error, Layout, Limits, read, v1_name};

/// Limits as what will be done about them: all that can be refused beforehand has been.
#[derive(Debug)]
pub(super) struct Prepared {
    writes: Vec<Write>,
    devices: Devices,
}

/// How device access is restricted here.
#[derive(Debug)]
enum Devices {
    Free,
    V1(V1Devices),
    V2(DeviceFilter),
}

impl Prepared {
    pub(super) fn new(layout: &Layout, limits: &Limits) -> Result<Self, Error> {
        let rules = &limits.devices;
        let devices = if rules.is_empty() {
            Devices::Free
        } else if layout.v1.iter().any(|h| h.has("devices")) {
            Devices::V1(V1Devices::new(rules)?)
        } else if layout.v2.is_some() {
            Devices::V2(DeviceFilter::new(rules))
        } else {
            return Err(Error::Unsupported {
                limit: "device access",
                file: "devices controller".to_owned(),
            });
        };
        Ok(Self {
            writes: plan(limits, |c| layout.version_of(c))?,
            devices,
        })
    }

    /// Whether a limit needs this version 2 controller.
    pub(super) fn needs(&self, controller: &str, layout: &Layout) -> bool {
        layout.version_of(controller) == Some(Version::V2)
            && self.writes.iter().any(|w| w.controller == controller)
    }

    /// Whether a limit needs one of the version 2 controllers that know no threads, cgroups(7).
    pub(super) fn needs_domain(&self, layout: &Layout) -> bool {
        ["memory", "io", "hugetlb", "rdma", "misc"]
            .iter()
            .any(|c| self.needs(c, layout))
    }

    /// To a cgroup that was just made. What it has by itself is not written.
    pub(super) fn apply(
        &self,
        cgroup: &Cgroup,
        unavailable: Vec<Unavailable>,
    ) -> Result<(), Error> {
        let is_fresh = |w: &Write| cgroup.dir_of(w).is_some_and(|dir| dir.fresh);
        let news = self
            .writes
            .iter()
            .filter(|w| !(w.is_default() && is_fresh(w)));
        let left_out = self.devices_are_left_out(cgroup, &unavailable);
        write_all(cgroup, news, unavailable)?;
        match &self.devices {
            Devices::V1(entries) if !left_out => entries.apply(cgroup),
            Devices::V2(filter) if !left_out => filter.apply(cgroup),
            _ => Ok(()),
        }
    }

    /// Whether access to devices cannot be restricted for want of rights. Who has none may use no
    /// device that is not open to everybody, so nothing is lost.
    fn devices_are_left_out(&self, cgroup: &Cgroup, unavailable: &[Unavailable]) -> bool {
        match &self.devices {
            Devices::Free => false,
            Devices::V1(_) => unavailable.iter().any(|u| u.concerns("devices")),
            Devices::V2(_) => cgroup.v2().is_none() && !unavailable.is_empty(),
        }
    }
}

/// The kernel checks some values against others: a period against the quota, memory against memory
/// and swap. What it finds invalid may be valid when the rest is written, and is tried once more.
fn write_all<'a>(
    cgroup: &Cgroup,
    writes: impl Iterator<Item = &'a Write>,
    mut unavailable: Vec<Unavailable>,
) -> Result<(), Error> {
    let mut again = Vec::new();
    for write in writes {
        match cgroup.write(write) {
            Ok(()) => {}
            Err(Error::Write { source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {
                again.push(write);
            }
            Err(error) => {
                // The reason why a controller is not there says more than a missing file.
                let reason = unavailable
                    .iter()
                    .position(|u| u.concerns(write.controller));
                return Err(match (reason, error) {
                    (Some(at), Error::Unsupported { .. }) => unavailable.swap_remove(at).reason,
                    (_, error) => error,
                });
            }
        }
    }
    again.into_iter().try_for_each(|w| cgroup.write(w))
}

impl Cgroup {
    /// Changes the limits of a cgroup that is there. Without device rules access to devices is left
    /// as it is, otherwise the old rules are replaced.
    pub fn update(&self, layout: &Layout, limits: &Limits) -> Result<(), Error> {
        let prepared = Prepared::new(layout, limits)?;
        if limits.memory.check_before_update {
            self.check_memory(limits)?;
        }
        write_all(self, prepared.writes.iter(), Vec::new())?;
        match &prepared.devices {
            Devices::Free => Ok(()),
            Devices::V1(entries) => entries.change(self),
            Devices::V2(filter) => filter.replace(self),
        }
    }

    /// Refuses limits below what is in use, where the kernel would make room by killing.
    fn check_memory(&self, limits: &Limits) -> Result<(), Error> {
        let Some(dir) = self.v2().filter(|d| d.has("memory")) else {
            return Ok(());
        };
        let current = |name: &str| -> Result<i64, Error> {
            match read::line(&dir.path.join(name)) {
                Ok(text) => Ok(text.parse().unwrap_or(i64::MAX)),
                Err(Error::File { source, .. }) if is_missing(&source) => Ok(0),
                Err(error) => Err(error),
            }
        };
        // In runc's words, which people search for.
        let refuse = |what, asked: i64, used: i64| Error::Invalid {
            limit: "update",
            reason: format!("rejecting {what} limit {asked} <= usage {used}"),
        };
        let memory = current("memory.current")?;
        let together = memory.saturating_add(current("memory.swap.current")?);
        let asked = |value: Option<i64>| value.filter(|v| *v > 0);
        if let Some(swap) = asked(limits.memory.swap).filter(|s| together > *s) {
            return Err(refuse("memory+swap", swap, together));
        }
        match asked(limits.memory.limit).filter(|l| memory > *l) {
            Some(limit) => Err(refuse("memory", limit, memory)),
            None => Ok(()),
        }
    }

    fn dir_of(&self, write: &Write) -> Option<&Dir> {
        match write.controller {
            "" => self.v2(),
            name => self
                .controller(v1_name(name))
                .or_else(|| self.controller(name)),
        }
    }

    fn write(&self, write: &Write) -> Result<(), Error> {
        let unsupported = || Error::Unsupported {
            limit: write.limit,
            file: write.file.clone(),
        };
        let dir = self.dir_of(write).ok_or_else(unsupported)?;
        match read::write(&dir.path.join(&write.file), &write.value) {
            Err(Error::Write { source, .. }) if is_missing(&source) => match &write.missing {
                Missing::Ignore => Ok(()),
                Missing::Refuse => Err(unsupported()),
                Missing::Instead(file, value) => match read::write(&dir.path.join(file), value) {
                    Err(Error::Write { source, .. }) if is_missing(&source) => Err(unsupported()),
                    other => other,
                },
            },
            Err(Error::Write { source, .. }) if is_below_use(write, &source) => {
                Err(below_use(&dir.path, write))
            }
            other => other,
        }
    }
}

/// Version 1 cannot make the room that a new limit needs.
fn is_below_use(write: &Write, error: &io::Error) -> bool {
    write.file == "memory.limit_in_bytes" && error.raw_os_error() == Some(libc::EBUSY)
}

fn below_use(dir: &Path, write: &Write) -> Error {
    let read = |name| read::line(&dir.join(name)).unwrap_or_default();
    Error::Invalid {
        limit: "memory limit",
        reason: format!(
            "{} cannot be kept: {} is in use, {} was at most",
            write.value,
            read("memory.usage_in_bytes"),
            read("memory.max_usage_in_bytes"),
        ),
    }
}
