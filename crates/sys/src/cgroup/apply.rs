//! Writing the limits of a cgroup.

use super::devices::{DeviceFilter, V1Devices};
use super::layout::is_missing;
use super::plan::{Missing, Version, Write, plan};
use super::{Cgroup, Error, Layout, Limits, read, v1_name};

/// Limits as what will be done about them: all that can be refused beforehand has been.
pub(super) struct Prepared {
    writes: Vec<Write>,
    devices: Devices,
}

/// How device access is restricted here.
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

    pub(super) fn apply(
        &self,
        cgroup: &Cgroup,
        unavailable: Vec<(&'static str, Error)>,
    ) -> Result<(), Error> {
        let mut unavailable = unavailable;
        for write in &self.writes {
            if let Err(error) = cgroup.write(write) {
                // The reason why a controller is not there says more than a missing file.
                let reason = unavailable.iter().position(|(c, _)| *c == write.controller);
                return Err(match (reason, error) {
                    (Some(at), Error::Unsupported { .. }) => unavailable.swap_remove(at).1,
                    (_, error) => error,
                });
            }
        }
        match &self.devices {
            Devices::Free => {}
            Devices::V1(entries) => entries.apply(cgroup)?,
            Devices::V2(filter) => filter.apply(cgroup)?,
        }
        Ok(())
    }
}

impl Cgroup {
    /// Changes the limits of a cgroup that is there. Devices are left as they are.
    pub fn update(&self, layout: &Layout, limits: &Limits) -> Result<(), Error> {
        let writes = plan(limits, |c| layout.version_of(c))?;
        let widen = |w: &&Write| w.file == "memory.memsw.limit_in_bytes";
        // Version 1 keeps memory <= memory and swap at every moment: raising both must begin with
        // the second, lowering both with the first.
        if let Some(swap) = writes.iter().find(widen) {
            let _ = self.write(swap);
        }
        writes.iter().try_for_each(|w| self.write(w))
    }

    fn write(&self, write: &Write) -> Result<(), Error> {
        let dir = match write.controller {
            "" => self.v2(),
            name => self
                .controller(v1_name(name))
                .or_else(|| self.controller(name)),
        };
        let unsupported = || Error::Unsupported {
            limit: write.limit,
            file: write.file.clone(),
        };
        let dir = dir.ok_or_else(unsupported)?;
        match read::write(&dir.path.join(&write.file), &write.value) {
            Err(Error::Write { source, .. }) if is_missing(&source) => {
                // Kernels before 5.0 have the weight without the scheduler's name.
                let old = write.file.replace("blkio.bfq.", "blkio.");
                if old != write.file && dir.path.join(&old).exists() {
                    return read::write(&dir.path.join(&old), &write.value);
                }
                match write.missing {
                    Missing::Ignore => Ok(()),
                    Missing::Refuse => Err(unsupported()),
                }
            }
            other => other,
        }
    }
}
