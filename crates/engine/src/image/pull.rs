//! `pull`: what a registry has under a reference comes here. All layers at once, each unpacked while it
//! arrives; what an earlier pull has left is not fetched again.

use std::sync::Arc;
use std::time::Duration;

use registry::{Credentials, Manifest, Repository};
use storage::{Committed, Ingest, Opened, Wanted};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use types::{ImageRef, Platform};

use super::signatures::{Gate, Policy};
use super::transfer::{Finished, Part, Reporter, Stage, Transfer};
use crate::{Engine, Error};

/// Layers under way at once: enough to fill a link, few enough for memory.
const AT_ONCE: usize = 6;

/// Pieces between the network and who unpacks.
const PIECES: usize = 8;

/// How long another pull's layer is waited for before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What to pull.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// A tag or a digest; a digest goes first.
    pub reference: ImageRef,
    /// For which platform; none is this machine's.
    pub platform: Option<Platform>,
    /// Every platform of it.
    pub all_platforms: bool,
    /// As whom.
    pub credentials: Credentials,
}

impl Request {
    fn wanted(&self) -> Wanted {
        match &self.platform {
            _ if self.all_platforms => Wanted::All,
            Some(platform) => Wanted::Platform(platform.clone()),
            None => Wanted::Platform(Platform::host()),
        }
    }
}

/// Pulls, or joins who pulls the same already. It ends when the last who looks is gone.
pub fn pull(engine: &Engine, request: Request) -> Result<Transfer, Error> {
    engine.accepts_work()?;
    let policy = engine.registries().policy();
    let key = Key(request.clone(), policy.clone());
    let work = {
        let (engine, request) = (engine.clone(), request.clone());
        move |reporter| async move {
            Puller {
                gate: Gate::new(policy, &request.reference)?,
                repository: engine
                    .registries()
                    .client()
                    .repository(&request.reference, &request.credentials),
                engine,
                request,
                reporter,
            }
            .run()
            .await
        }
    };
    Ok(engine.pulls().join(engine.runtime(), key, work))
}

/// Who pulls the same under the same policy does it together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key(Request, Option<Arc<Policy>>);

struct Puller {
    engine: Engine,
    repository: Repository,
    gate: Gate,
    request: Request,
    reporter: Reporter,
}

impl Puller {
    async fn run(self) -> Result<Finished, Error> {
        let (engine, reference) = (self.engine.clone(), self.request.reference.clone());
        let finished = self.bring().await?;
        let told = move |engine: &Engine| {
            super::told::of_reference(engine, "pull", &reference);
            Ok(())
        };
        engine.blocking(told).await?;
        Ok(finished)
    }

    async fn bring(mut self) -> Result<Finished, Error> {
        if let Some(finished) = self.up_to_date().await? {
            self.reporter.begin(Vec::new());
            return Ok(finished);
        }
        let manifest = self.root().await?;
        let root = descriptor(&manifest.descriptor);
        let (document, wanted) = (manifest.bytes.clone(), self.request.wanted());
        let pull = self
            .engine
            .blocking({
                let root = root.clone();
                move |engine| Ok(engine.storage().pull(&root, &document, wanted)?)
            })
            .await?;
        let pull = Arc::new(pull);
        self.documents(&pull).await?;
        self.gate.last(self.manifests(&pull).await?)?;
        let parts = self.parts(&pull).await?;
        self.reporter.begin(parts);
        self.layers(&pull).await?;
        let committed = self.commit(pull).await?;
        Ok(Finished {
            digest: root.digest,
            size: root.size,
            fresh: committed.fresh,
            note: self.other_platform(&committed.image),
        })
    }

    /// Said as Docker says it: an image that is for one platform comes whichever is asked for.
    fn other_platform(&self, image: &storage::Image) -> Option<String> {
        let wanted = self.request.platform.as_ref()?;
        let found = super::platform(&image.config);
        let index = image.id != image.manifest;
        (!index && !self.request.all_platforms && !wanted.runs(&found)).then(|| {
            format!(
                "WARNING: image with reference {} was found but its platform ({found}) does not \
                 match the specified platform ({wanted})",
                self.request.reference
            )
        })
    }

    /// What the image is made of: what the reference names. An index that has not passed is not kept, so
    /// that nothing else of it can be used later: then it is what it has for the platform, and that has to
    /// pass, whether it is here or not.
    async fn root(&mut self) -> Result<Manifest, Error> {
        let mut manifest = self.repository.resolve().await?;
        let (engine, repository) = (&self.engine, &self.repository);
        self.gate.first(engine, repository, &manifest).await?;
        let Wanted::Platform(platform) = self.request.wanted() else {
            return Ok(manifest);
        };
        for _ in 0..=storage::MAX_NESTING {
            if self.gate.has_passed() {
                break;
            }
            let index = descriptor(&manifest.descriptor);
            let named = storage::choose(&index, &manifest.bytes, &platform)?;
            manifest = repository.manifest(&to_registry(&named)).await?;
            self.gate.first(engine, repository, &manifest).await?;
        }
        // Still an index, nested deeper than is looked.
        self.gate.last(vec![descriptor(&manifest.descriptor)])?;
        Ok(manifest)
    }

    /// All manifests that the image will have, as far as they are known.
    async fn manifests(
        &self,
        pull: &Arc<storage::Pull>,
    ) -> Result<Vec<storage::Descriptor>, Error> {
        let asked = pull.clone();
        let known = self.engine.blocking(move |_| Ok(asked.manifests()?));
        known.await
    }

    /// Whether what the reference names here is what it names there: a question that registries do not
    /// count.
    async fn up_to_date(&self) -> Result<Option<Finished>, Error> {
        // What is here may have come when nothing was asked of it.
        let judged = !self.gate.is_open();
        if judged || self.request.platform.is_some() || self.request.all_platforms {
            return Ok(None);
        }
        let name = self.request.reference.to_string();
        let found = self
            .engine
            .blocking(move |engine| match engine.storage().image(&name) {
                Ok(image) => Ok(Some(image)),
                Err(error) if error.kind() == types::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            });
        let Some(image) = found.await? else {
            return Ok(None);
        };
        let there = self.repository.head().await?;
        let host = Platform::host();
        let same = there.digest == image.id
            && image.references.contains(&self.request.reference)
            && host.runs(&super::platform(&image.config));
        Ok(same.then_some(Finished {
            digest: there.digest,
            size: there.size,
            fresh: false,
            note: None,
        }))
    }

    /// Manifests of an index, and configurations: which layers there are is known after them.
    async fn documents(&mut self, pull: &Arc<storage::Pull>) -> Result<(), Error> {
        loop {
            let asked = pull.clone();
            let missing = self.engine.blocking(move |_| Ok(asked.missing()?)).await?;
            self.known(pull).await?;
            if missing.documents.is_empty() {
                return Ok(());
            }
            for wanted in missing.documents {
                let bytes = match self.document(&wanted).await {
                    Err(error) if left_out(&self.engine, pull, &wanted.digest, &error).await? => {
                        // What else it needs is not missing any more.
                        break;
                    }
                    other => other?,
                };
                let pull = pull.clone();
                let taken = move |_: &Engine| Ok(pull.document(&wanted, &bytes)?);
                self.engine.blocking(taken).await?;
            }
        }
    }

    /// Manifests that were here have to pass like those that come.
    async fn known(&mut self, pull: &Arc<storage::Pull>) -> Result<(), Error> {
        if self.gate.has_passed() {
            return Ok(());
        }
        for known in self.gate.unjudged(self.manifests(pull).await?) {
            let manifest = self.repository.manifest(&to_registry(&known)).await?;
            let (engine, repository) = (&self.engine, &self.repository);
            self.gate.next(engine, repository, &manifest).await?;
        }
        Ok(())
    }

    async fn document(&mut self, wanted: &storage::Descriptor) -> Result<Vec<u8>, Error> {
        if is_manifest(&wanted.media_type) || self.gate.judges(&wanted.digest) {
            let manifest = self.repository.manifest(&to_registry(wanted)).await?;
            let (engine, repository) = (&self.engine, &self.repository);
            self.gate.next(engine, repository, &manifest).await?;
            return Ok(manifest.bytes.to_vec());
        }
        document(&self.repository, &to_registry(wanted)).await
    }

    async fn parts(&self, pull: &Arc<storage::Pull>) -> Result<Vec<Part>, Error> {
        let asked = pull.clone();
        let known = self
            .engine
            .blocking(move |_| Ok((asked.layers()?, asked.missing()?.layers)));
        let (layers, missing) = known.await?;
        let mut parts: Vec<Part> = Vec::new();
        let chosen = layers
            .into_iter()
            .map(|layer| (layer.descriptor, layer.here));
        // What is stated about it is no layer, and none that Docker tells of.
        let others = missing
            .into_iter()
            .filter(|descriptor| !descriptor.media_type.contains("in-toto"))
            .map(|descriptor| (descriptor, false));
        for (descriptor, here) in chosen.chain(others) {
            if parts.iter().any(|part| part.digest == descriptor.digest) {
                continue;
            }
            let stage = if here { Stage::Exists } else { Stage::Waiting };
            parts.push(Part {
                digest: descriptor.digest,
                size: descriptor.size,
                stage,
            });
        }
        Ok(parts)
    }

    async fn layers(&self, pull: &Arc<storage::Pull>) -> Result<(), Error> {
        let asked = pull.clone();
        let missing = self.engine.blocking(move |_| Ok(asked.missing()?)).await?;
        let room = Arc::new(Semaphore::new(AT_ONCE));
        // Dropped with this future, and every task with it.
        let mut tasks = JoinSet::new();
        for descriptor in missing.layers {
            let layer = Layer {
                engine: self.engine.clone(),
                repository: self.repository.clone(),
                pull: pull.clone(),
                reporter: self.reporter.clone(),
                descriptor,
            };
            let room = room.clone();
            tasks.spawn(async move {
                // It is never closed.
                let _room = room.acquire().await;
                layer.bring().await
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(Error::kernel("bring a layer"))??;
        }
        Ok(())
    }

    async fn commit(&self, pull: Arc<storage::Pull>) -> Result<Committed, Error> {
        // The layers' tasks, which had the others, have ended.
        let pull = Arc::into_inner(pull).ok_or(Error::Closing)?;
        let reference = self.request.reference.clone();
        self.engine
            .blocking(move |_| {
                let repository = reference.repository();
                let name = by_digest(&reference);
                Ok(pull.commit(&[name], Some(&repository))?)
            })
            .await
    }
}

/// A blob that fits into memory.
pub(super) async fn document(
    repository: &Repository,
    wanted: &registry::Descriptor,
) -> Result<Vec<u8>, Error> {
    let mut blob = repository.blob(wanted, 0).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        if bytes.len() + chunk.len() > LONGEST_DOCUMENT {
            return Err(Error::LongDocument {
                digest: wanted.digest.clone(),
                most: LONGEST_DOCUMENT,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The longest configuration that is taken.
const LONGEST_DOCUMENT: usize = 8 << 20;

/// A reference with a digest is kept without its tag, which may mean something else by now.
fn by_digest(reference: &ImageRef) -> ImageRef {
    let Some(digest) = reference.digest() else {
        return reference.clone();
    };
    let text = format!("{}@{digest}", reference.repository());
    text.parse().unwrap_or_else(|_| reference.clone())
}

fn is_manifest(media_type: &str) -> bool {
    media_type.contains("manifest") || media_type.contains("image.index")
}

/// One layer on its way.
struct Layer {
    engine: Engine,
    repository: Repository,
    pull: Arc<storage::Pull>,
    reporter: Reporter,
    descriptor: storage::Descriptor,
}

/// What the one who receives hears from the one who fetches.
enum Piece {
    Bytes(bytes::Bytes),
    /// That was all: without it what has arrived is half a layer.
    End,
}

impl Layer {
    async fn bring(&self) -> Result<(), Error> {
        let digest = &self.descriptor.digest;
        let mut again = true;
        loop {
            let (pull, descriptor) = (self.pull.clone(), self.descriptor.clone());
            let opened = self.engine.blocking(move |_| Ok(pull.open(&descriptor)?));
            match opened.await? {
                Opened::Here => {
                    self.reporter.stage(digest, Stage::Done);
                    return Ok(());
                }
                Opened::Busy(busy) => {
                    let wait = move |_: &Engine| Ok(busy.wait(LOOK_AGAIN));
                    self.engine.blocking(wait).await?;
                }
                Opened::Ours(ingest) => {
                    let resumed = ingest.offset() > 0;
                    match self.receive(*ingest).await {
                        Err(error)
                            if left_out(&self.engine, &self.pull, digest, &error).await? =>
                        {
                            self.reporter.stage(digest, Stage::Done);
                            return Ok(());
                        }
                        // What was there from before may have been bad: once from the beginning.
                        Err(Error::Storage(error)) if resumed && again && is_damage(&error) => {
                            again = false;
                        }
                        other => {
                            other?;
                            self.reporter.stage(digest, Stage::Done);
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Fetches on the event loop; hashes, unpacks and writes on a thread.
    async fn receive(&self, ingest: Ingest) -> Result<(), Error> {
        let (send, receive) = mpsc::channel(PIECES);
        let offset = ingest.offset();
        let writing = self.engine.blocking(move |_| write(ingest, receive));
        let (fetched, written) = tokio::join!(self.fetch(offset, send), writing);
        // A store that fails makes the fetching end: its reason is the one.
        match written {
            Err(Error::Interrupted) => fetched.and(Err(Error::Interrupted)),
            Err(error) => Err(error),
            Ok(()) => fetched,
        }
    }

    async fn fetch(&self, offset: u64, send: mpsc::Sender<Piece>) -> Result<(), Error> {
        let digest = &self.descriptor.digest;
        let mut here = offset;
        self.reporter.stage(digest, Stage::Moving(here));
        if here < self.descriptor.size {
            let wanted = to_registry(&self.descriptor);
            let mut blob = self.repository.blob(&wanted, offset).await?;
            while let Some(bytes) = blob.chunk().await? {
                here += bytes.len() as u64;
                if send.send(Piece::Bytes(bytes)).await.is_err() {
                    return Ok(());
                }
                self.reporter.stage(digest, Stage::Moving(here));
            }
        }
        self.reporter.stage(digest, Stage::Moved);
        // Whoever does not take it any more has failed, and says so.
        let _ = send.send(Piece::End).await;
        Ok(())
    }
}

fn write(mut ingest: Ingest, mut pieces: mpsc::Receiver<Piece>) -> Result<(), Error> {
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Bytes(bytes)) => ingest.write(&bytes)?,
            Some(Piece::End) => return Ok(ingest.finish()?),
            // Given up: what has come stays for the next pull.
            None => return Err(Error::Interrupted),
        }
    }
}

/// Whether this is what somebody states about the image, and nobody has it: the image comes without.
async fn left_out(
    engine: &Engine,
    pull: &Arc<storage::Pull>,
    digest: &types::Digest,
    error: &Error,
) -> Result<bool, Error> {
    let Error::Registry(registry::Error::NoManifest { .. } | registry::Error::NoBlob { .. }) =
        error
    else {
        return Ok(false);
    };
    let (pull, digest) = (Arc::clone(pull), digest.clone());
    let left_out = move |_: &Engine| Ok(pull.leave_out(&digest)?);
    engine.blocking(left_out).await
}

fn is_damage(error: &storage::Error) -> bool {
    matches!(
        error,
        storage::Error::Damaged { .. } | storage::Error::WrongSize { .. }
    )
}

pub(super) fn descriptor(from: &registry::Descriptor) -> storage::Descriptor {
    storage::Descriptor {
        media_type: from.media_type.clone(),
        digest: from.digest.clone(),
        size: from.size,
        urls: from.urls.clone(),
        platform: from.platform.clone(),
    }
}

pub(super) fn to_registry(from: &storage::Descriptor) -> registry::Descriptor {
    let mut descriptor =
        registry::Descriptor::new(from.media_type.clone(), from.digest.clone(), from.size);
    descriptor.urls.clone_from(&from.urls);
    descriptor
}
