//! The container's cgroup: what the configuration says of it, and who makes it.

mod limits;
mod path;

use oci_spec::runtime::Linux;
use sys::cgroup::{Cgroup, Layout, Limits};

use crate::error::Error;

use path::Place;

/// Who makes cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CgroupDriver {
    /// This library, in the file system.
    #[default]
    Direct,
    /// systemd, asked over D-Bus; `linux.cgroupsPath` is `SLICE:PREFIX:NAME` then.
    Systemd,
}

/// Makes the cgroup and limits it.
pub(crate) fn make(linux: &Linux, id: &str, driver: CgroupDriver) -> Result<Cgroup, Error> {
    let place = path::place(linux, id, driver)?;
    let limits = match linux.resources() {
        Some(resources) => limits::limits(resources)?,
        None => Limits::default(),
    };
    let layout = Layout::detect().map_err(|source| cannot("find a place for", source))?;
    match place {
        Place::Path(path) => {
            Cgroup::create(&layout, &path, &limits).map_err(|source| cannot("make", source))
        }
        Place::Unit(name) => Err(Error::unsupported(
            "linux.cgroupsPath",
            format!("{} in {:?} is systemd's to make", name.unit, name.slice),
        )),
    }
}

pub(crate) fn cannot(action: &'static str, source: sys::cgroup::Error) -> Error {
    Error::Cgroup { action, source }
}
