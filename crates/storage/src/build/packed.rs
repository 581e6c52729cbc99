//! Layers on their way elsewhere and back: what they are packed into, and layers that come from a stream.

use std::io::{BufReader, Read};
use std::sync::{Arc, Mutex};

use types::{Algorithm, Digest};

use super::{Layer, Layers};
use crate::compress::{Format, MAGIC};
use crate::error::Error;
use crate::image::{content_of, documents, write};
use crate::layer;
use crate::paths::DIFF;
use crate::push::Push;
use crate::stage::Stage;
use crate::store::Store;
use crate::{Descriptor, Storage};

const BUFFER: usize = 64 << 10;

/// What layers are packed into, held: one descriptor a layer, in their order.
#[derive(Debug)]
pub struct Packed {
    store: Arc<Store>,
    stage: Stage,
    descriptors: Vec<Descriptor>,
}

impl Packed {
    /// What names the content, one a layer.
    pub fn descriptors(&self) -> &[Descriptor] {
        &self.descriptors
    }

    /// The layers with a document about them as an image that no name is for: a manifest (OCI image
    /// specification) whose configuration is the document. It goes when what is returned is dropped.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn with_config(mut self, media_type: &str, config: &[u8]) -> Result<Push, Error> {
        let config = write(&self.store, config, Algorithm::Sha256)?;
        self.stage.add_content(&config, media_type, None)?;
        let named = |descriptor: &Descriptor| {
            let digest = descriptor.digest.clone();
            documents::Descriptor::new(&descriptor.media_type, digest, descriptor.size)
        };
        let config = documents::Descriptor::new(media_type, config.digest, config.size);
        let manifest = documents::Manifest {
            schema_version: 2,
            media_type: documents::MANIFEST.to_owned(),
            config: config.clone(),
            layers: self.descriptors.iter().map(named).collect(),
        };
        let text = documents::print("the manifest", &manifest)?;
        let manifest = write(&self.store, &text, Algorithm::Sha256)?;
        let root =
            documents::Descriptor::new(documents::MANIFEST, manifest.digest.clone(), manifest.size);
        self.stage
            .add_content(&manifest, documents::MANIFEST, None)?;
        // Content is read by its row.
        self.stage.publish(&[], &[], &[])?;
        let mut blobs: Vec<Descriptor> = vec![Descriptor::from(&config)];
        for descriptor in self.descriptors {
            if !blobs.contains(&descriptor) {
                blobs.push(descriptor);
            }
        }
        Push::of(
            &self.store,
            Descriptor::from(&root),
            blobs,
            Mutex::new(self.stage),
        )
    }
}

impl Storage {
    /// Packs layers, as they are in registries.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn pack(&self, layers: &Layers) -> Result<Packed, Error> {
        let mut stage = Stage::new(&self.store);
        let mut descriptors = Vec::new();
        for diff_id in layers.ids() {
            let descriptor = content_of(&self.store, &mut stage, diff_id)?;
            descriptors.push(Descriptor::from(&descriptor));
        }
        Ok(Packed {
            store: Arc::clone(&self.store),
            stage,
            descriptors,
        })
    }

    /// Unpacks a layer, compressed or not, which must be the one that is `wanted`.
    ///
    /// # Errors
    /// When the stream breaks, is another layer, and when the disk is full.
    pub fn receive_layer(
        &self,
        mut stream: impl Read + Send,
        wanted: &Digest,
    ) -> Result<Layers, Error> {
        let mut start = Vec::with_capacity(MAGIC);
        let head = stream.by_ref().take(MAGIC as u64).read_to_end(&mut start);
        head.map_err(Error::Input)?;
        let format = Format::of(&start);
        let whole = std::io::Cursor::new(start).chain(stream);
        let whole = BufReader::with_capacity(BUFFER, whole);
        let unpacked = layer::unpack(&self.store, whole, format, wanted.algorithm())?;
        if unpacked.diff_id != *wanted {
            let problem = format!("is {} instead", unpacked.diff_id);
            return Err(Error::image(format!("layer {wanted}"), problem));
        }
        self.held(unpacked)
    }

    /// A layer with the same files of which none is younger than `latest`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn layer_until(&self, layers: &Layers, at: usize, latest: i64) -> Result<Layers, Error> {
        let layer = layers.0.get(at);
        let layer = layer.ok_or_else(|| Error::Missing(format!("layer {at}")))?;
        let unpacked = layer::repack(&self.store, &layer.dir, latest)?;
        self.held(unpacked)
    }

    fn held(&self, unpacked: layer::Unpacked) -> Result<Layers, Error> {
        let diff_id = unpacked.diff_id.clone();
        let mut lease = Stage::new(&self.store);
        lease.add_layer(unpacked)?;
        let (number, size) = lease.layer(&diff_id)?;
        Ok(Layers(vec![Arc::new(Layer {
            dir: self.store.paths.layer(number).join(DIFF),
            diff_id,
            size,
            _lease: lease,
        })]))
    }
}
