//! How large a directory that builds keep may become. It is said in a file beside its data.

use std::io::ErrorKind;
use std::path::PathBuf;

use sys::dir::Dir;

use super::mounts::number;
use crate::error::Error;
use crate::paths::DATA;
use crate::{Storage, usage};

/// The file that says it, in bytes.
const LIMIT: &str = "limit";

impl Storage {
    /// Says how many bytes a directory that builds keep may have; none is any number. False when there is no
    /// such directory.
    ///
    /// # Errors
    /// When the disk or the database fails.
    pub fn limit_cache_dir(&self, id: &str, bytes: Option<u64>) -> Result<bool, Error> {
        let Some(dir) = self.place_of_cache(id)? else {
            return Ok(false);
        };
        let path = dir.join(LIMIT);
        match bytes {
            Some(bytes) => sys::file::replace_unsynced(&path, bytes.to_string().as_bytes(), 0o600)
                .map_err(Error::file("write", &path))?,
            None => match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::file("remove", &path)(error));
                }
                _ => {}
            },
        }
        Ok(true)
    }

    /// Empties a directory that has become larger than it may be. Whether it was.
    ///
    /// # Errors
    /// When the disk or the database fails.
    pub fn empty_cache_dir_if_full(&self, id: &str) -> Result<bool, Error> {
        let Some(dir) = self.place_of_cache(id)? else {
            return Ok(false);
        };
        let path = dir.join(DATA);
        let (Some(limit), Ok(data)) = (read(&dir), Dir::open(&path)) else {
            return Ok(false);
        };
        if usage::below(data, &path)? <= limit {
            return Ok(false);
        }
        self.store.trash.discard(&path)?;
        Ok(true)
    }

    fn place_of_cache(&self, id: &str) -> Result<Option<PathBuf>, Error> {
        let number = number(&self.store.state(), id)?;
        Ok(number.map(|number| self.store.paths.cache(number.cast_unsigned())))
    }
}

/// What is said beside a directory's data. What cannot be read says nothing.
pub(super) fn read(dir: &std::path::Path) -> Option<u64> {
    let text = std::fs::read_to_string(dir.join(LIMIT)).ok()?;
    text.trim().parse().ok()
}
