//! Directories that builds keep by name, as things of their own: listed, taken out, brought in, limited,
//! removed. While one of that happens no build has the directory.

use std::ffi::OsStr;
use std::io::{BufRead, Write};

use storage::Among;
use sys::dir::Dir;
use types::ErrorKind;

use super::caches::Lease;
use super::tree::failed;
use super::{Failure, Solver};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCache {
    /// What `--mount=type=cache,id=` says, or where it is mounted.
    pub id: String,
    /// Bytes on disk.
    pub size: u64,
    /// How many it may have; one that has more is empty for the next build.
    pub limit: Option<u64>,
    /// When it was made, nanoseconds since the Unix epoch.
    pub created: i64,
    /// When it was last used.
    pub used: i64,
    /// Whether a build has it now.
    pub in_use: bool,
}

fn missing(id: &str) -> Failure {
    Failure::new(
        ErrorKind::NotFound,
        format!("no cache of builds is called {id}"),
    )
}

impl Solver {
    /// All of them, the longest unused first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn named_caches(&self) -> Result<Vec<NamedCache>, Failure> {
        let all = self.engine.storage().cache_dirs()?.into_iter();
        let all = all.map(|dir| NamedCache {
            in_use: self.caches().is_busy(&dir.id),
            id: dir.id,
            size: dir.size,
            limit: dir.limit,
            created: dir.created,
            used: dir.used,
        });
        Ok(all.collect())
    }

    /// As builds call it: what they are told to call `deps` is `/deps`.
    fn name(&self, id: &str) -> Result<String, Failure> {
        let known = self.engine.storage().cache_dirs()?;
        let is = |name: &str| known.iter().any(|dir| dir.id == name);
        Ok(match id.starts_with('/') || is(id) {
            true => id.to_owned(),
            false => format!("/{id}"),
        })
    }

    /// Has one for itself.
    fn alone(&self, id: &str) -> Result<Lease, Failure> {
        self.caches().hold(id).ok_or_else(|| {
            let sentence = format!("a build uses the cache {id}: wait for its end");
            Failure::new(ErrorKind::Conflict, sentence)
        })
    }

    /// Whether there is one, for who answers before it is read.
    ///
    /// # Errors
    /// When there is none.
    pub fn has_cache(&self, id: &str) -> Result<(), Failure> {
        let name = self.name(id)?;
        let known = self.engine.storage().cache_dirs()?;
        match known.iter().any(|dir| dir.id == name) {
            true => Ok(()),
            false => Err(missing(id)),
        }
    }

    /// Writes one as a tar archive.
    ///
    /// # Errors
    /// When there is none, when a build has it, and when the archive cannot be written.
    pub fn export_cache(&self, id: &str, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let name = self.name(id)?;
        let _held = self.alone(&name)?;
        let path = self.engine.storage().cache_dir(&name)?;
        let path = path.ok_or_else(|| missing(id))?;
        let root = Dir::open(&path).map_err(failed("open", id))?;
        Ok(storage::archive(&root, OsStr::new("."), None, out)?)
    }

    /// Makes one of a tar archive, compressed or not; one that is there is replaced if that is asked for.
    ///
    /// # Errors
    /// When it is there, when a build has it, and when the archive is none.
    pub fn import_cache(
        &self,
        id: &str,
        replace: bool,
        archive: impl BufRead + Send,
    ) -> Result<(), Failure> {
        if id.is_empty() {
            return Err(Failure::invalid("a cache of builds needs a name"));
        }
        let name = self.name(id)?;
        let _held = self.alone(&name)?;
        let store = self.engine.storage();
        let there = store.cache_dir(&name)?.is_some();
        if there && !replace {
            let sentence = format!("there is a cache {id} already: say replace, or remove it");
            return Err(Failure::new(ErrorKind::Conflict, sentence));
        }
        let draft = store.scratch()?;
        let root = Dir::open(&draft.upper()).map_err(failed("open", id))?;
        storage::unpack_among(root, b"", archive, Among::default())?;
        if there {
            store.forget_cache_dirs(std::slice::from_ref(&name))?;
        }
        store.add_cache_dir(&name, &draft)?;
        Ok(())
    }

    /// Says how many bytes one may have; none is any number.
    ///
    /// # Errors
    /// When there is none.
    pub fn limit_cache(&self, id: &str, bytes: Option<u64>) -> Result<(), Failure> {
        match self
            .engine
            .storage()
            .limit_cache_dir(&self.name(id)?, bytes)?
        {
            true => Ok(()),
            false => Err(missing(id)),
        }
    }

    /// Removes one.
    ///
    /// # Errors
    /// When there is none, and when a build has it.
    pub fn remove_cache(&self, id: &str) -> Result<(), Failure> {
        self.has_cache(id)?;
        let name = self.name(id)?;
        let _held = self.alone(&name)?;
        Ok(self.engine.storage().forget_cache_dirs(&[name])?)
    }
}
