//! What a registry has that is no image of this machine: documents and blobs are read, and put there, one by
//! one. What is read is verified by whoever wants it.

use std::io::{self, Read};
use std::sync::Arc;

use registry::{Content, Credentials};
use storage::Descriptor;
use tokio::runtime::Handle;
use types::{Digest, ImageRef};

use super::pull::{descriptor, document, to_registry};
use super::push::{self, Request};
use super::transfer::Transfer;
use crate::{Engine, Error};

/// A repository of a registry.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    repository: registry::Repository,
    runtime: Handle,
}

/// A manifest as it came, verified.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// What names it.
    pub digest: Digest,
    /// The document.
    pub bytes: Vec<u8>,
    /// The configuration; none of an index.
    pub config: Option<Descriptor>,
    /// Its layers, the lowest first; of an index its manifests.
    pub parts: Vec<Descriptor>,
}

impl Elsewhere {
    /// The repository of a reference, as somebody sees it.
    pub fn new(engine: &Engine, reference: &ImageRef, credentials: &Credentials) -> Self {
        Self {
            repository: engine
                .registries()
                .client()
                .repository(reference, credentials),
            runtime: engine.runtime().clone(),
        }
    }

    /// The manifest that the reference names.
    ///
    /// # Errors
    /// When the registry has none, or cannot be reached.
    pub async fn manifest(&self) -> Result<Manifest, Error> {
        Ok(told(self.repository.resolve().await?))
    }

    /// Another manifest of the repository.
    ///
    /// # Errors
    /// When the registry has none, or cannot be reached.
    pub async fn manifest_of(&self, wanted: &Descriptor) -> Result<Manifest, Error> {
        let found = self.repository.manifest(&to_registry(wanted)).await?;
        Ok(told(found))
    }

    /// A small blob.
    ///
    /// # Errors
    /// When it is none, or does not come.
    pub async fn document(&self, wanted: &Descriptor) -> Result<Vec<u8>, Error> {
        document(&self.repository, &to_registry(wanted)).await
    }

    /// A blob, for a thread that may block.
    ///
    /// # Errors
    /// When the registry has it not.
    pub fn blob(&self, wanted: &Descriptor) -> Result<impl Read + Send + use<>, Error> {
        let wanted = to_registry(wanted);
        let blob = self.runtime.block_on(self.repository.blob(&wanted, 0))?;
        Ok(Incoming {
            blob,
            runtime: self.runtime.clone(),
            piece: bytes::Bytes::new(),
        })
    }
}

fn told(manifest: registry::Manifest) -> Manifest {
    let (config, parts) = match &manifest.content {
        Content::Image { config, layers } => (Some(descriptor(config)), layers),
        Content::Index { manifests } => (None, manifests),
    };
    Manifest {
        digest: manifest.descriptor.digest.clone(),
        config,
        parts: parts.iter().map(descriptor).collect(),
        bytes: manifest.bytes.to_vec(),
    }
}

/// A blob on its way.
struct Incoming {
    blob: registry::Blob,
    runtime: Handle,
    piece: bytes::Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            let next = self.runtime.block_on(self.blob.chunk());
            let Some(piece) = next.map_err(io::Error::other)? else {
                return Ok(0);
            };
            self.piece = piece;
        }
        let count = self.piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

/// Puts into a registry what is no image of this machine, or one without its name. It ends when who looks
/// is gone.
///
/// # Errors
/// When the engine is closing.
pub fn put(engine: &Engine, request: Request, what: storage::Push) -> Result<Transfer, Error> {
    push::begin(engine, request, Some(Arc::new(what)))
}
