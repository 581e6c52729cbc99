//! A cgroup that is made while the container's first process is busy with its mounts.
//!
//! Version 1 has a directory to make in each of ten hierarchies, of which the one that counts memory
//! alone takes half a millisecond. Version 2 has one, and a process is born in it, so it must be there.

use oci_spec::runtime::{Linux, Spec};
use sys::cgroup::{Cgroup, Join, Layout, Limits, Making, Mode};

use super::path::{self, Place};
use super::{CgroupDriver, Group, cannot, limits};
use crate::error::Error;

/// A cgroup of which a process knows where it will be. Removed when this is dropped unfinished.
#[derive(Debug)]
pub(crate) struct Awaited(Making);

impl Awaited {
    /// Begins, and says where it will be; nothing where it is to be there before the process.
    pub(crate) fn begin(
        layout: &Layout,
        spec: &Spec,
        id: &str,
    ) -> Result<Option<(Self, Cgroup)>, Error> {
        if layout.mode() == Mode::Unified {
            return Ok(None);
        }
        let default = Linux::default();
        let linux = spec.linux().as_ref().unwrap_or(&default);
        let Place::Path(path) = path::place(linux, id, CgroupDriver::Direct)? else {
            return Ok(None);
        };
        let limits = match linux.resources() {
            Some(resources) => limits::limits(resources, layout.mode())?,
            None => Limits::default(),
        };
        let making = |source| cannot("make", source);
        let planned = Cgroup::planned(layout, &path).map_err(making)?;
        let begun = Making::begin(layout, &path, &limits).map_err(making)?;
        Ok(Some((Self(begun), planned)))
    }

    /// What the process is born in.
    pub(crate) fn join_handles(&self) -> Result<Join, Error> {
        self.0
            .join_handles()
            .map_err(|source| cannot("open", source))
    }

    /// Makes the rest, and limits it.
    pub(crate) fn finish(&mut self) -> Result<Group, Error> {
        let files = self.0.finish().map_err(|source| cannot("make", source))?;
        Ok(Group { files, unit: None })
    }
}
