//! A writable layer of a step: a directory among what is being written, until it is committed.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::Mount;

use super::{Layer, Layers};
use crate::Storage;
use crate::error::Error;
use crate::layer;
use crate::paths::DIFF;
use crate::snapshot::{UPPER, WORK};
use crate::stage::Stage;
use crate::store::Store;

/// A writable layer above others, thrown away unless it is committed. A crash leaves nothing of it.
#[derive(Debug)]
pub struct Draft {
    store: Arc<Store>,
    below: Layers,
    /// Directories below, the uppermost first.
    lower: Vec<PathBuf>,
    dir: PathBuf,
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What stays is removed at the next open.
        let _ = self.store.trash.discard(&self.dir);
    }
}

impl Storage {
    /// A writable layer above `below`.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn draft(&self, below: &Layers) -> Result<Draft, Error> {
        self.draft_on(below, below.dirs())
    }

    /// A writable layer above a directory that is no layer, which is to stay as long as the draft.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn draft_above(&self, dir: &Path) -> Result<Draft, Error> {
        self.draft_on(&Layers::default(), vec![dir.to_owned()])
    }

    fn draft_on(&self, below: &Layers, lower: Vec<PathBuf>) -> Result<Draft, Error> {
        let dir = self.store.temporary_dir()?;
        let draft = Draft {
            store: Arc::clone(&self.store),
            below: below.clone(),
            lower,
            dir,
        };
        for (name, mode) in [(UPPER, 0o755), (WORK, 0o700)] {
            let path = draft.dir.join(name);
            DirBuilder::new()
                .mode(mode)
                .create(&path)
                .map_err(Error::file("create", &path))?;
            // Whatever the daemon's umask is.
            std::fs::set_permissions(&path, Permissions::from_mode(mode))
                .map_err(Error::file("change the permissions of", &path))?;
        }
        Ok(draft)
    }

    /// An empty directory of the store's file system, which goes when what is returned is dropped.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn scratch(&self) -> Result<Draft, Error> {
        self.draft(&Layers::default())
    }
}

impl Draft {
    /// What mounts it: one overlay at `/`.
    pub fn mount(&self) -> Mount {
        let option = |name: &str, dir: &str| format!("{name}={}", self.dir.join(dir).display());
        let empty = self.store.paths.layer(crate::paths::EMPTY_LAYER).join(DIFF);
        let mut lower = self.lower.clone();
        if lower.is_empty() {
            lower.push(empty);
        }
        Mount {
            kind: "overlay".to_owned(),
            source: "overlay".into(),
            target: "/".into(),
            options: vec![
                option("upperdir", UPPER),
                option("workdir", WORK),
                "index=off".to_owned(),
                "redirect_dir=off".to_owned(),
                "metacopy=off".to_owned(),
                // What a crash leaves of it is thrown away.
                "volatile".to_owned(),
            ],
            lower,
            subpath: None,
        }
    }

    /// Where the layer's own files are.
    pub fn upper(&self) -> PathBuf {
        self.dir.join(UPPER)
    }

    /// The layers it stands on.
    pub fn below(&self) -> &Layers {
        &self.below
    }

    /// Lets it be mounted once more.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn again(&self) -> Result<(), Error> {
        let mark = self.dir.join(WORK).join("work/incompat");
        match std::fs::remove_dir_all(&mark) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", &mark)(error))
            }
            _ => Ok(()),
        }
    }

    /// Makes it a layer: those below with it on top.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn commit(self) -> Result<Layers, Error> {
        let layer = layer::pack(&self.store, &self.upper())?;
        let diff_id = layer.diff_id.clone();
        let mut lease = Stage::new(&self.store);
        lease.add_layer(layer)?;
        let (number, size) = lease.layer(&diff_id)?;
        let own = Layers(vec![Arc::new(Layer {
            dir: self.store.paths.layer(number).join(DIFF),
            diff_id,
            size,
            _lease: lease,
        })]);
        Ok(self.below.with(&own))
    }
}
