//! An image that comes piece by piece from somewhere else: what has to be brought ([`plan`]), and
//! taking it in ([`ingest`]), with what a pull before has left ([`partial`]).

mod ingest;
mod partial;
mod plan;

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use types::{Digest, ImageRef, Platform};

use crate::image::documents::{self, MAX_DOCUMENT};
use crate::image::layers::{self, Job};
use crate::image::{diff_ids, pair, query};
use crate::stage::{NewImage, NewManifest, Stage};
use crate::store::Store;
use crate::{Descriptor, Error, Image};
pub use ingest::Ingest;
pub use partial::Busy;
pub(crate) use partial::Partials;
pub(crate) use plan::best;
pub use plan::choose;
use plan::{Chosen, Needs, Plan};

/// Which manifests of an index are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The one for this platform, with what its builder states about it where that can be had.
    Platform(Platform),
    /// The one for this platform and nothing else.
    Alone(Platform),
    /// All; unpacked is the one for this machine, or the first.
    All,
}

/// What a pull has to bring next.
#[derive(Debug, Clone, Default)]
pub struct Missing {
    /// Manifests and configurations: for [`Pull::document`].
    pub documents: Vec<Descriptor>,
    /// Layers: for [`Pull::open`].
    pub layers: Vec<Descriptor>,
}

/// A layer of the image that is pulled.
#[derive(Debug, Clone)]
pub struct Layer {
    /// What names it.
    pub descriptor: Descriptor,
    /// Whether it need not be brought.
    pub here: bool,
}

/// What can be done about content that a pull needs.
#[derive(Debug)]
pub enum Opened {
    /// Nothing: it is here.
    Here,
    /// Bring it.
    Ours(Box<Ingest>),
    /// Wait: another pull is bringing it.
    Busy(Busy),
}

/// A finished pull.
#[derive(Debug)]
pub struct Committed {
    /// The image.
    pub image: Image,
    /// Whether anything is new: the image, a name of it, or some of its content.
    pub fresh: bool,
}

/// An image on its way in. What it has brought or found stays as long as it lives; dropped before it
/// is committed, received layers are kept for the next pull, for a while.
#[derive(Debug)]
pub struct Pull {
    shared: Arc<Shared>,
}

/// What a pull and those who bring its layers share.
#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    /// A std mutex, held while a file is moved, by threads that may block.
    stage: Mutex<Stage>,
    /// Likewise, held while a document is parsed.
    plan: Mutex<Plan>,
}

impl Shared {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins a pull of what `root` names.
pub(crate) fn begin(
    store: &Arc<Store>,
    root: &Descriptor,
    document: &[u8],
    wanted: Wanted,
) -> Result<Pull, Error> {
    let pull = Pull {
        shared: Arc::new(Shared {
            store: Arc::clone(store),
            stage: Mutex::new(Stage::resumable(store)),
            plan: Mutex::new(Plan::new(root.clone(), wanted)),
        }),
    };
    pull.document(root, document)?;
    Ok(pull)
}

impl Pull {
    /// What has to be brought next. More of it becomes known with each document, so that it is asked
    /// again until there is nothing.
    ///
    /// # Errors
    /// [`Error::NoPlatform`], when a document contradicts another, and when the database fails.
    pub fn missing(&self) -> Result<Missing, Error> {
        let needs = self.needs()?;
        let mut layers = Vec::new();
        let mut stage = self.shared.stage();
        for layer in needs.layers {
            if !stage.has_content(&layer.digest)? {
                layers.push(layer);
            }
        }
        Ok(Missing {
            documents: needs.missing,
            layers,
        })
    }

    /// All layers of the manifest that will be unpacked, as far as it is known, the lowest first.
    ///
    /// # Errors
    /// As [`Pull::missing`].
    pub fn layers(&self) -> Result<Vec<Layer>, Error> {
        let chosen = self.needs()?.chosen;
        let mut stage = self.shared.stage();
        let mut layers = Vec::new();
        for descriptor in chosen.map_or_else(Vec::new, |chosen| chosen.layers) {
            let here = stage.has_content(&descriptor.digest)?;
            layers.push(Layer { descriptor, here });
        }
        Ok(layers)
    }

    /// All manifests that will be part of the image, as far as they are known: those that have been
    /// brought, and those that were here.
    ///
    /// # Errors
    /// As [`Pull::missing`].
    pub fn manifests(&self) -> Result<Vec<Descriptor>, Error> {
        Ok(self.needs()?.manifests)
    }

    /// Does without what cannot be had: true for a statement about the image and what it is made of, which
    /// is not needed then. What the image is made of is.
    ///
    /// # Errors
    /// As [`Pull::missing`].
    pub fn leave_out(&self, digest: &Digest) -> Result<bool, Error> {
        self.shared.plan().leave_out(digest)
    }

    /// The manifest that will be unpacked.
    pub(crate) fn chosen(&self) -> Result<Digest, Error> {
        let chosen = self.needs()?.chosen;
        let missing = || Error::Missing("the manifest of the image".to_owned());
        Ok(chosen.ok_or_else(missing)?.digest)
    }

    /// Takes in a manifest or a configuration.
    ///
    /// # Errors
    /// When it is not what its descriptor says, cannot be understood, and when the disk is full.
    pub fn document(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        self.shared.plan().add(descriptor, bytes)?;
        let blob = crate::image::write(&self.shared.store, bytes, descriptor.digest.algorithm())?;
        let media_type = &descriptor.media_type;
        self.shared.stage().add_content(&blob, media_type, None)
    }

    /// Opens a layer to be brought.
    ///
    /// # Errors
    /// When it is larger than the disk has room for, and when the disk or the database fails.
    pub fn open(&self, layer: &Descriptor) -> Result<Opened, Error> {
        if self.shared.stage().has_content(&layer.digest)? {
            return Ok(Opened::Here);
        }
        let claim = match partial::claim(&self.shared.store, &layer.digest) {
            Ok(claim) => claim,
            Err(busy) => return Ok(Opened::Busy(busy)),
        };
        // Another may have finished it meanwhile.
        if self.shared.stage().has_content(&layer.digest)? {
            return Ok(Opened::Here);
        }
        let unpack = self.unpacks(&layer.digest)?;
        let ingest = Ingest::open(&self.shared, layer, claim, unpack)?;
        Ok(Opened::Ours(Box::new(ingest)))
    }

    /// Makes it an image, with these names, in one transaction. `repository` is where it came from.
    ///
    /// # Errors
    /// [`Error::Missing`] when something was not brought, when a layer is not what the configuration
    /// says, and when the disk is full; the image is not there then.
    pub fn commit(self, names: &[ImageRef], repository: Option<&str>) -> Result<Committed, Error> {
        let needs = self.needs()?;
        let root = self.shared.plan().root().digest.clone();
        let missing = self.missing()?;
        if let Some(first) = missing.documents.iter().chain(&missing.layers).next() {
            return Err(Error::Missing(format!("content {}", first.digest)));
        }
        let manifest = self.manifest(needs.chosen.as_ref(), &root)?;
        let all = needs.documents.iter().chain(&needs.layers);
        let content: Vec<_> = all.map(|descriptor| descriptor.digest.clone()).collect();
        let before = self.before(&root, names)?;
        let sources: Vec<_> = repository
            .iter()
            .flat_map(|name| content.iter().map(|d| (d.clone(), (*name).to_owned())))
            .collect();
        let image = NewImage {
            id: root.clone(),
            manifest,
            content,
        };
        let names: Vec<_> = names.iter().map(|n| (n.clone(), root.clone())).collect();
        self.shared.stage().publish(&[image], &names, &sources)?;
        let image = query::find(&self.shared.store, &root.to_string())?;
        let fresh = before
            .is_none_or(|before| (before.size, &before.layers) != (image.size, &image.layers));
        Ok(Committed { image, fresh })
    }

    /// The image as it was, when it had all these names.
    fn before(&self, id: &Digest, names: &[ImageRef]) -> Result<Option<Image>, Error> {
        match query::find(&self.shared.store, &id.to_string()) {
            Ok(image) => {
                let named = names.iter().all(|name| image.references.contains(name));
                Ok(named.then_some(image))
            }
            Err(Error::NoSuchImage(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The manifest that was chosen, its layers unpacked: those that came as files were on arrival.
    fn manifest(&self, chosen: Option<&Chosen>, root: &Digest) -> Result<NewManifest, Error> {
        let what = format!("image {root}");
        let missing = || Error::Missing(format!("the manifest of {what}"));
        let chosen = chosen.ok_or_else(missing)?;
        let config = chosen.config.as_ref().ok_or_else(missing)?;
        let blobs = chosen.layers.iter().map(|layer| layer.digest.clone());
        let layers = pair(&what, diff_ids(&what, config.as_bytes())?, blobs.collect())?;
        let mut jobs = Vec::new();
        for (diff_id, digest) in &layers {
            let seen = jobs.iter().any(|job: &Job| job.diff_id == *diff_id);
            if !seen && !self.shared.stage().has_layer(diff_id)? {
                jobs.push(Job {
                    what: format!("layer {digest} of {what}"),
                    diff_id: diff_id.clone(),
                    file: self.shared.stage().file(digest)?,
                });
            }
        }
        for layer in layers::unpack(&self.shared.store, jobs)? {
            self.shared.stage().add_layer(layer)?;
        }
        Ok(NewManifest {
            digest: chosen.digest.clone(),
            config: config.clone(),
            layers: layers.into_iter().map(|(diff_id, _)| diff_id).collect(),
            platform: documents::platform_of(config.as_bytes()),
        })
    }

    /// What is needed, with the documents that are here already.
    fn needs(&self) -> Result<Needs, Error> {
        loop {
            let needs = self.shared.plan().needs()?;
            let mut found = false;
            for document in &needs.missing {
                found |= self.take_up(document)?;
            }
            if !found {
                return Ok(needs);
            }
        }
    }

    /// Uses a document that is here already.
    fn take_up(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let file = {
            let mut stage = self.shared.stage();
            if !stage.has_content(&descriptor.digest)? {
                return Ok(false);
            }
            stage.file(&descriptor.digest)?
        };
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&file)
            .and_then(|file| file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes));
        read.map_err(Error::file("read", &file))?;
        self.shared.plan().add(descriptor, &bytes)?;
        Ok(true)
    }

    /// The layer that this content is to become, if any of the chosen manifest; and what its diff id
    /// has to be, if the configuration is here.
    fn unpacks(&self, digest: &Digest) -> Result<Option<Option<Digest>>, Error> {
        let Some(chosen) = self.shared.plan().needs()?.chosen else {
            return Ok(None);
        };
        let position = chosen.layers.iter().position(|l| l.digest == *digest);
        let Some(position) = position else {
            return Ok(None);
        };
        let Some(config) = &chosen.config else {
            return Ok(Some(None));
        };
        let diff_ids = diff_ids("the image", config.as_bytes())?;
        let diff_id = diff_ids.into_iter().nth(position);
        let unpacked = match &diff_id {
            Some(diff_id) => self.shared.stage().has_layer(diff_id)?,
            None => false,
        };
        Ok((!unpacked).then_some(diff_id))
    }
}
