//! Volumes: one file a verb.

mod change;
mod create;
mod gate;
pub(crate) mod memory;
mod prune;
mod remove;
pub(crate) mod told;
mod transfer;
mod usage;

use types::ErrorKind;

use crate::{Engine, Error};

pub use change::{clone, forget_snapshot, rename, restore, snapshot};
pub use create::{Request, create};
pub(crate) use create::{anonymous, check_driver};
pub(crate) use gate::{Places, busy, gone, known};
pub use prune::{Pruned, prune};
pub use remove::remove;
pub use storage::{ANONYMOUS, Backing, CopiedTree, Volume, VolumeSnapshot};
pub use transfer::{export, import};
pub use usage::{Usage, usage};

/// The one driver there is.
pub const LOCAL: &str = "local";

/// What a request about volumes says that cannot be, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The name cannot be one.
    #[error("create {name}: {problem}")]
    Name {
        /// As it was given.
        name: String,
        /// Why not.
        problem: types::InvalidVolumeName,
    },
    /// Nobody is called so.
    #[error("error looking up volume plugin {0}: plugin \"{0}\" not found: the driver is local")]
    Driver(String),
    /// A container that runs has it.
    #[error("the volume {volume} is in use by the running container {container}: stop that first")]
    Running {
        /// The volume.
        volume: String,
        /// The container's name.
        container: String,
    },
}

impl Refused {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Name { .. } => ErrorKind::Invalid,
            Self::Driver(_) => ErrorKind::NotFound,
            Self::Running { .. } => ErrorKind::Conflict,
        }
    }
}

/// All volumes, by name. Blocking.
pub fn list(engine: &Engine) -> Result<Vec<Volume>, Error> {
    Ok(engine.storage().volumes()?)
}

/// One volume. Blocking.
pub fn inspect(engine: &Engine, name: &str) -> Result<Volume, Error> {
    Ok(engine.storage().volume(name)?)
}
