//! Who asked for a build: has its files, its secrets, its agents, and takes what comes of it. The classic
//! API answers from an archive, BuildKit's from a session.

use std::any::Any;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::image::registries::Credentials;
use types::{ImageRef, NetworkMode};

use super::{Blobs, Failure, Files, Known};
use crate::graph::Local;

/// Files of a client in a directory of this machine, exactly those that were asked for.
pub struct Tree {
    /// Where they are.
    pub path: PathBuf,
    /// What has been found out about them; none of files that are not known again.
    pub(super) known: Option<Arc<Known>>,
    /// Keeps them there.
    guard: Box<dyn Any + Send + Sync>,
}

impl Tree {
    /// Files that stay as long as `guard` lives.
    pub fn new(path: impl Into<PathBuf>, guard: impl Any + Send + Sync) -> Self {
        Self {
            path: path.into(),
            known: None,
            guard: Box::new(guard),
        }
    }

    /// The same with what was found out about just these files before, which is not found out again.
    pub fn knowing(self, known: Arc<Known>) -> Self {
        Self {
            known: Some(known),
            ..self
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.guard.is::<()>();
        f.debug_struct("Tree")
            .field("path", &self.path)
            .field("held", &!held)
            .finish()
    }
}

/// Who asked. Every method may block: it is called on a thread that may, never on an event loop's.
pub trait Client: Send + Sync {
    /// The files of a local source, filtered as it says.
    ///
    /// # Errors
    /// When the client has no such directory, or is gone.
    fn files(&self, local: &Local) -> Result<Tree, Failure>;

    /// A secret; none when the client has none of that name.
    ///
    /// # Errors
    /// When the client is gone.
    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// The socket of an agent, to be mounted; none when the client has none of that name.
    ///
    /// # Errors
    /// When the client is gone.
    fn agent(&self, id: &str) -> Result<Option<PathBuf>, Failure>;

    /// As whom a registry is asked for an image.
    ///
    /// # Errors
    /// When the client is gone.
    fn credentials(&self, image: &ImageRef) -> Result<Credentials, Failure>;

    /// What commands reach that are said nothing else about; none is a network like a container's.
    fn network(&self) -> Option<NetworkMode> {
        None
    }

    /// What the client sends under a name, once; none when it sends nothing.
    ///
    /// # Errors
    /// When the client is gone.
    fn upload(&self, _name: &str) -> Result<Option<Box<dyn Read + Send + '_>>, Failure> {
        Ok(None)
    }

    /// What another build of the client's has come to; none when there is none of that name.
    ///
    /// # Errors
    /// When it is none of files.
    fn result(&self, _name: &str) -> Result<Option<Files>, Failure> {
        Ok(None)
    }

    /// A directory of the client with an image layout (OCI); none when it has none of that name.
    ///
    /// # Errors
    /// When the client is gone.
    fn content(&self, _store: &str) -> Result<Option<Arc<dyn Blobs>>, Failure> {
        Ok(None)
    }
}
