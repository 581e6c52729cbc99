//! The root of a container that has mounts but no mount namespace for them: it is mounted on itself
//! where its caller is, with all the others inside, so that they can go together.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sys::mount::Mounted;

use crate::error::{Doing, Error};

/// Where it is mounted, and which mount it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedRoot {
    path: PathBuf,
    mount: u64,
}

impl SharedRoot {
    pub(crate) fn new(path: PathBuf, mounted: &Mounted) -> Result<Self, Error> {
        let mount = sys::mount::id(mounted);
        let mount = mount.doing(|| format!("look at the mount for {}", path.display()))?;
        Ok(Self { path, mount })
    }

    /// Takes it away, if it is there: what somebody else has mounted on the same place stays.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let action = || format!("take the mounts off {}", self.path.display());
        let there = match sys::fd::open_path(&self.path) {
            Err(error) if error.errno == sys::Errno::NOENT => return Ok(()),
            answer => answer.doing(action)?,
        };
        if sys::mount::id(&there).doing(action)? == self.mount {
            sys::mount::detach(&self.path).doing(action)?;
        }
        Ok(())
    }
}
