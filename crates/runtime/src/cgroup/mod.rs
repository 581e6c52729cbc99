//! The container's cgroup: what the configuration says of it, who makes it, and what is done with it
//! while the container lives.

mod awaited;
mod limits;
mod path;
mod planned;
mod sub;
mod systemd;
mod update;

use oci_spec::runtime::{Linux, LinuxResources, Spec};
use sys::cgroup::{Cgroup, Denied, Join, Layout, Limits, Mode};

use crate::Saved;
use crate::error::Error;
use crate::saved::SavedDirectory;
use path::Place;
use systemd::Keeper;

pub(crate) use awaited::Awaited;
pub use planned::planned;
pub(crate) use planned::remove_planned;
pub use systemd::Failure as SystemdFailure;
pub use update::merge as merge_resources;

/// Who makes cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CgroupDriver {
    /// This library, in the file system.
    #[default]
    Direct,
    /// systemd, asked over D-Bus; `linux.cgroupsPath` is `SLICE:PREFIX:NAME` then.
    Systemd,
}

/// The cgroup of a container, and the unit it is of if systemd made it. Without rights to make any
/// it has part in no hierarchy, and an empty path.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) files: Cgroup,
    unit: Option<String>,
}

/// A cgroup that was just made.
pub(crate) struct Made {
    pub(crate) group: Group,
    /// To be dropped when the container's process is inside.
    pub(crate) keeper: Option<Keeper>,
}

/// Makes the cgroup and limits it. With `optional` it may be missing where the caller has no right
/// to make one, unless a limit needs it.
pub(crate) fn make(
    layout: &Layout,
    spec: &Spec,
    (id, driver): (&str, CgroupDriver),
    optional: bool,
) -> Result<Made, Error> {
    let default = Linux::default();
    let linux = spec.linux().as_ref().unwrap_or(&default);
    let place = path::place(linux, id, driver)?;
    let limits = match linux.resources() {
        Some(resources) => limits::limits(resources, layout.mode())?,
        None => Limits::default(),
    };
    let made = match place {
        Place::Path(path) => {
            let denied = match optional {
                true => Denied::LeaveOut,
                false => Denied::Refuse,
            };
            let files = Cgroup::create_where_allowed(layout, &path, &limits, denied)
                .map_err(|source| cannot("make", source))?;
            Made {
                group: Group { files, unit: None },
                keeper: None,
            }
        }
        Place::Unit(name) => {
            let request = systemd::Request {
                name: &name,
                resources: linux.resources().as_ref(),
                annotations: spec.annotations().as_ref(),
                unified: layout.mode() == Mode::Unified,
            };
            make_unit(layout, &request, &systemd::kept(limits))?
        }
    };
    if let Some(owner) = path::owner(spec) {
        let given = made.group.files.give_to(owner);
        given
            .map_err(|source| cannot("hand over", source))
            .inspect_err(|_| {
                // The first error is the one that says why.
                let _ = made.group.destroy();
            })?;
    }
    Ok(made)
}

fn make_unit(
    layout: &Layout,
    request: &systemd::Request<'_>,
    limits: &Limits,
) -> Result<Made, Error> {
    let started = systemd::start(request)?;
    let unit = &request.name.unit;
    match Cgroup::adopt(layout, &started.path, limits) {
        Ok(files) => Ok(Made {
            group: Group {
                files,
                unit: Some(unit.clone()),
            },
            keeper: started.keeper,
        }),
        Err(source) => {
            // The first error is the one that says why.
            drop(started.keeper);
            let _ = systemd::stop(unit);
            Err(cannot("limit", source))
        }
    }
}

impl Group {
    /// Finds it again by what [`crate::Saved`] keeps.
    pub(crate) fn load(saved: &Saved) -> Result<Self, Error> {
        let unit = saved.unit.clone();
        let files = match saved.cgroup.as_str() {
            "" => Cgroup::nowhere(),
            path => Cgroup::open(&detect()?, path).map_err(|source| cannot("open", source))?,
        };
        Ok(Self { files, unit })
    }

    /// Looks its directories up anew.
    fn found_again(&self) -> Result<Self, Error> {
        let path = self.files.path();
        let files = Cgroup::open(&detect()?, path).map_err(|source| cannot("open", source))?;
        Ok(Self {
            files,
            unit: self.unit.clone(),
        })
    }

    /// The same of a container that runs: its directories are where they were.
    pub(crate) fn recall(saved: &Saved) -> Result<Self, Error> {
        if saved.directories.is_empty() {
            return Self::load(saved);
        }
        let known = saved.directories.iter().map(SavedDirectory::known);
        Ok(Self {
            files: Cgroup::known(&saved.cgroup, known),
            unit: saved.unit.clone(),
        })
    }

    /// Removes what is left of it, if anything is.
    pub(crate) fn remove_remains(saved: &Saved) -> Result<(), Error> {
        match Self::load(saved) {
            Ok(group) => group.destroy(),
            Err(error) if is_missing(&error) => saved.unit.as_deref().map_or(Ok(()), systemd::stop),
            Err(error) => Err(error),
        }
    }

    /// The unit it is of, if systemd made it.
    pub(crate) fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    pub(crate) fn join_handles(&self) -> Result<Join, Error> {
        self.files
            .join_handles()
            .map_err(|source| cannot("open", source))
    }

    /// Kills whatever is left inside, and removes it.
    pub(crate) fn destroy(&self) -> Result<(), Error> {
        self.files
            .kill_all()
            .map_err(|source| cannot("empty", source))?;
        self.remove()
    }

    /// Removes it, with nobody left inside.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        if let Some(unit) = &self.unit {
            systemd::stop(unit)?;
        }
        self.files
            .remove()
            .map_err(|source| cannot("remove", source))
    }

    /// Changes its limits to these; devices are left as they are when `resources` has none.
    pub(crate) fn update(&self, resources: &LinuxResources) -> Result<(), Error> {
        let layout = detect()?;
        let limits = limits::limits(resources, layout.mode())?;
        let limits = match self.unit {
            Some(_) => systemd::kept(limits),
            None => limits,
        };
        let change = || {
            let changed = self.files.update(&layout, &limits);
            changed.map_err(|source| cannot("change", source))
        };
        // First where it is looked at what is used by now: systemd would have the kernel kill for it.
        change()?;
        let Some(unit) = &self.unit else {
            return Ok(());
        };
        systemd::update(unit, resources, layout.mode() == Mode::Unified)?;
        // It has no zeros for some: what was asked for has the last word.
        change()
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Cgroup { source: sys::cgroup::Error::File { source, .. }, .. }
        if source.kind() == std::io::ErrorKind::NotFound)
}

/// What the machine has.
pub(crate) fn detect() -> Result<Layout, Error> {
    Layout::detect().map_err(|source| cannot("find a place for", source))
}

pub(crate) fn cannot(action: &'static str, source: sys::cgroup::Error) -> Error {
    Error::Cgroup { action, source }
}
