//! Blobs on their way here.

use bytes::Bytes;

use crate::{Descriptor, Error, Repository};

/// A blob on its way here. A cut or stalled connection is taken up again where it ended; what comes is
/// never more than the descriptor's size, and its end before that is an error. The digest is for who
/// stores it to verify.
#[derive(Debug)]
pub struct Blob {
    repository: Repository,
    offset: u64,
}

impl Repository {
    /// Begins to fetch a blob from `offset`, which is less than or equal to its size.
    ///
    /// # Errors
    /// [`Error::NoBlob`] and all others.
    pub async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<Blob, Error> {
        let _ = descriptor;
        Ok(Blob {
            repository: self.clone(),
            offset,
        })
    }
}

impl Blob {
    /// The next bytes; none at the end. May be dropped and called again (as in `select!`).
    ///
    /// # Errors
    /// When the registry does not give the rest, however often it is asked.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        Err(self.repository.pending())
    }

    /// Where the next chunk begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}
