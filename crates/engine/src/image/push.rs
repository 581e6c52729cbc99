//! `push`: what a reference names here goes to its registry. What the registry has already, in this
//! repository or in another one that is known to have it, is not sent.

use std::io::{self, Read};
use std::sync::Arc;

use registry::{Credentials, Repository};
use storage::PushBlob;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use types::{Digest, ImageRef, Platform};

use super::pull::to_registry;
use super::transfer::{self, Finished, Part, Reporter, Stage, Transfer};
use crate::{Engine, Error};

/// Blobs under way at once.
const AT_ONCE: usize = 5;

/// What to push.
#[derive(Debug, Clone)]
pub struct Request {
    /// What names it, here and there.
    pub reference: ImageRef,
    /// Only the manifest of an index that is for this platform.
    pub platform: Option<Platform>,
    /// As whom.
    pub credentials: Credentials,
}

/// Pushes. It ends when who looks is gone.
pub fn push(engine: &Engine, request: Request) -> Result<Transfer, Error> {
    begin(engine, request, None)
}

/// Pushes what the reference names here, or what is given to be pushed there.
pub(super) fn begin(
    engine: &Engine,
    request: Request,
    given: Option<Arc<storage::Push>>,
) -> Result<Transfer, Error> {
    engine.accepts_work()?;
    let of = engine.clone();
    let work = move |reporter| async move {
        Pusher {
            repository: of
                .registries()
                .client()
                .repository(&request.reference, &request.credentials),
            engine: of,
            request,
            given,
            reporter,
        }
        .run()
        .await
    };
    Ok(transfer::alone(engine.runtime(), work))
}

/// The references of a repository that are here and can be pushed.
pub fn tags_here(engine: &Engine, repository: &ImageRef) -> Result<Vec<ImageRef>, Error> {
    let wanted = repository.repository();
    let images = engine.storage().images()?;
    let mut tags: Vec<ImageRef> = images
        .into_iter()
        .flat_map(|image| image.references)
        .filter(|r| r.repository() == wanted && r.tag().is_some() && r.digest().is_none())
        .collect();
    tags.sort();
    if tags.is_empty() {
        return Err(Error::NothingToPush {
            reference: repository.familiar_name(),
            of: "repository",
        });
    }
    Ok(tags)
}

struct Pusher {
    engine: Engine,
    repository: Repository,
    request: Request,
    /// What is pushed, when it is not what the reference names.
    given: Option<Arc<storage::Push>>,
    reporter: Reporter,
}

impl Pusher {
    async fn run(self) -> Result<Finished, Error> {
        let push = match &self.given {
            Some(given) => given.clone(),
            None => Arc::new(self.named().await?),
        };
        let layers = push.blobs().iter().filter(|blob| is_layer(blob));
        self.reporter.begin(layers.map(part).collect());
        self.blobs(&push).await?;
        self.documents(&push).await?;
        let root = push.root.clone();
        let note = push.incomplete.then(|| {
            format!(
                "Not all multiplatform-content is present and only the available single-platform \
                 image was pushed: {}",
                root.digest
            )
        });
        if self.given.is_none() {
            self.remember(push).await?;
        }
        Ok(Finished {
            digest: root.digest,
            size: root.size,
            fresh: true,
            note,
        })
    }

    /// What the reference names here.
    async fn named(&self) -> Result<storage::Push, Error> {
        let (reference, platform) = (
            self.request.reference.clone(),
            self.request.platform.clone(),
        );
        self.engine
            .blocking(move |engine| {
                let pushed = engine
                    .storage()
                    .push(&reference.to_string(), platform.as_ref());
                pushed.map_err(|error| match error {
                    storage::Error::NoSuchImage(_) => Error::NothingToPush {
                        reference: reference.familiar(),
                        of: "tag",
                    },
                    other => other.into(),
                })
            })
            .await
    }

    /// Which repository has it now, and that it was pushed.
    async fn remember(&self, push: Arc<storage::Push>) -> Result<(), Error> {
        let reference = self.request.reference.clone();
        let remember = move |engine: &Engine| {
            push.pushed(&reference)?;
            super::told::of_reference(engine, "push", &reference);
            Ok(())
        };
        self.engine.blocking(remember).await
    }

    async fn blobs(&self, push: &Arc<storage::Push>) -> Result<(), Error> {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        // Dropped with this future, and every task with it.
        let mut tasks = JoinSet::new();
        for blob in push.blobs() {
            let upload = Upload {
                repository: self.repository.clone(),
                push: push.clone(),
                reporter: self.reporter.clone(),
                blob: blob.clone(),
            };
            let room = room.clone();
            tasks.spawn(async move {
                // It is never closed.
                let _room = room.acquire().await;
                upload.run().await
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(Error::kernel("push a layer"))??;
        }
        Ok(())
    }

    /// After the blobs, which they name; the root last, which gets the tag.
    async fn documents(&self, push: &Arc<storage::Push>) -> Result<(), Error> {
        for document in push.documents() {
            let (push_of, digest) = (push.clone(), document.digest.clone());
            let read = move |_: &Engine| {
                let mut bytes = Vec::new();
                let mut reader = push_of.open(&digest, 0)?;
                let what = format!("read {digest}");
                reader.read_to_end(&mut bytes).map_err(Error::io(what))?;
                Ok(bytes)
            };
            let bytes = self.engine.blocking(read).await?;
            let is_root = document.digest == push.root.digest;
            let tag = self.request.reference.tag().filter(|_| is_root);
            self.repository
                .put_manifest(tag, &document.media_type, bytes.into())
                .await?;
        }
        Ok(())
    }
}

fn part(blob: &PushBlob) -> Part {
    Part {
        digest: blob.descriptor.digest.clone(),
        size: blob.descriptor.size,
        stage: Stage::Waiting,
    }
}

/// A configuration is pushed without a word.
fn is_layer(blob: &PushBlob) -> bool {
    !blob.descriptor.media_type.ends_with("+json")
}

/// One blob on its way.
struct Upload {
    repository: Repository,
    push: Arc<storage::Push>,
    reporter: Reporter,
    blob: PushBlob,
}

impl Upload {
    async fn run(&self) -> Result<(), Error> {
        let wanted = to_registry(&self.blob.descriptor);
        let digest = &wanted.digest;
        if wanted.is_foreign() {
            self.reporter.stage(digest, Stage::Foreign);
            return Ok(());
        }
        if self.repository.has_blob(&wanted).await? {
            self.reporter.stage(digest, Stage::Exists);
            return Ok(());
        }
        for from in self.neighbours() {
            if self.repository.mount(&wanted, &from).await? {
                let stage = Stage::Mounted(from.path().to_owned());
                self.reporter.stage(digest, stage);
                return Ok(());
            }
        }
        self.reporter.stage(digest, Stage::Moving(0));
        let source = source(self.push.clone(), digest.clone(), self.reporter.clone());
        self.repository.upload(&wanted, Arc::new(source)).await?;
        self.reporter.stage(digest, Stage::Done);
        Ok(())
    }

    /// Other repositories of this registry that are known to have it.
    fn neighbours(&self) -> Vec<ImageRef> {
        /// A registry that has none of it is not asked for ever.
        const MOST: usize = 4;
        let own = self.repository.reference();
        let known = self.blob.repositories.iter();
        known
            .filter_map(|name| name.parse::<ImageRef>().ok())
            .filter(|from| from.domain() == own.domain() && from.path() != own.path())
            .take(MOST)
            .collect()
    }
}

fn source(
    push: Arc<storage::Push>,
    digest: Digest,
    reporter: Reporter,
) -> impl Fn(u64) -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'static {
    move |offset| {
        let opened = push.open(&digest, offset).map_err(io::Error::other)?;
        Ok(Box::new(Counted {
            inner: opened,
            read: offset,
            digest: digest.clone(),
            reporter: reporter.clone(),
        }))
    }
}

/// Tells how much has been read.
struct Counted {
    inner: Box<dyn Read + Send>,
    read: u64,
    digest: Digest,
    reporter: Reporter,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read += length as u64;
        self.reporter.stage(&self.digest, Stage::Moving(self.read));
        Ok(length)
    }
}
