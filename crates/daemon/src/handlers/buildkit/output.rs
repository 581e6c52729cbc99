//! What becomes of a build's result: an image here, in a registry or in an archive; files in an archive or
//! a directory of the client's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use builder::attest::{Statement, Wishes};
use builder::plan::ImageConfig;
use builder::solve::{Ask, Built, Client as _, Described, Failure, ImageOutput, WrittenImage};
use buildkit::BytesMessage;
use buildkit::control::Exporter;
use buildkit::session::FILE_SEND;
use engine::image::{self, push};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use types::{Digest, ImageRef, Platform};

use super::attest;
use super::attributes::{
    Of, annotations, compression, dangling, done_here, flag, latest, media_types, names, truth,
};
use super::caches::{self, CacheTo};
use super::client::FromSession;
use super::frontend::{Step, of_files};
use super::gateway::broken;
use super::jobs::Job;
use super::sessions::Session;
use super::status::status;
use super::wire;
use crate::app::App;

/// Pieces under way to a client that reads slowly.
const PIECES: usize = 8;
const PIECE: usize = 64 << 10;

/// What names an image's configuration for programs.
const CONFIG: &str = "containerimage.config.digest";

/// Which of the client's outputs it is, by its number.
pub(super) const EXPORTER: &str = "buildkit-attachable-exporter-id";

/// A result for one platform.
#[derive(Debug)]
pub(super) struct Product {
    /// None if there is only one.
    pub(super) platform: Option<String>,
    /// None is an empty file system.
    pub(super) built: Option<Arc<Built>>,
    /// The image's configuration, where the frontend says one.
    pub(super) config: Option<Vec<u8>>,
}

/// What is wanted of a build.
pub(super) struct Wanted {
    pub(super) products: Vec<Product>,
    pub(super) exporters: Vec<Exporter>,
    pub(super) caches: Vec<CacheTo>,
    /// What is to be said about its images.
    pub(super) wishes: Wishes,
    /// When it began, nanoseconds since the Unix epoch.
    pub(super) started: i64,
}

/// Whether outputs can be what is wanted, as far as that can be said before there is anything to write.
pub(super) fn check(exporters: &[Exporter]) -> Result<(), Failure> {
    for Exporter { kind, attrs } in exporters {
        match kind.as_str() {
            "moby" | "image" | "oci" | "docker" => {
                Called::read(attrs)?;
                media_types(attrs)?;
                compression(attrs)?;
            }
            "tar" | "local" => {}
            other => return Err(unknown(other)),
        }
        done_here(kind, attrs)?;
    }
    Ok(())
}

fn unknown(kind: &str) -> Failure {
    Failure::invalid(format!(
        "exporter {kind:?} could not be found: image, oci, docker, tar or local is expected"
    ))
}

pub(super) type Response = HashMap<String, String>;

/// Whether an image is a cache for others, and what is said about each platform of it.
type More<'a> = (bool, &'a [Vec<Statement>]);

pub(super) async fn write(
    app: &Arc<App>,
    job: &Arc<Job>,
    wanted: Wanted,
) -> Result<Response, Status> {
    let run_root = app.engine.config().run_root.clone();
    let client = FromSession::new(job.clone(), app.builds.kept.clone(), run_root);
    let writer = Writer {
        app: app.clone(),
        job: job.clone(),
        client,
        handle: Handle::current(),
    };
    let done = tokio::task::spawn_blocking(move || writer.all(&wanted));
    let done = done.await.map_err(|error| broken(&error))?;
    done.map_err(|failure| status(&failure))
}

/// Writes outputs, on a thread that may block.
pub(super) struct Writer {
    pub(super) app: Arc<App>,
    pub(super) job: Arc<Job>,
    client: FromSession,
    pub(super) handle: Handle,
}

impl Writer {
    fn all(&self, wanted: &Wanted) -> Result<Response, Failure> {
        let built = wanted.products.iter().map(complete);
        let built: Vec<Built> = built.collect::<Result<_, _>>()?;
        let inline = wanted.caches.iter().any(CacheTo::is_inline);
        let said = self.said(wanted, &built)?;
        let mut response = Response::new();
        for (index, exporter) in wanted.exporters.iter().enumerate() {
            let attributes = &exporter.attrs;
            let name = match exporter.kind.as_str() {
                "moby" | "image" => "exporting to image",
                "oci" => "exporting to oci image format",
                "docker" => "exporting to docker image format",
                "tar" => "exporting to client tarball",
                "local" => "exporting to client directory",
                other => return Err(unknown(other)),
            };
            let step = Step::of(&self.job, name.to_owned());
            let done = match exporter.kind.as_str() {
                "moby" | "image" => self.image(&step, &built, attributes, (inline, &said)),
                "oci" | "docker" => {
                    self.archive(&step, &built, (attributes, (inline, &said)), index)
                }
                "tar" => self.tar(
                    &self.with_said(&built, &said, attributes)?,
                    attributes,
                    index,
                ),
                _ => self.local(
                    &self.with_said(&built, &said, attributes)?,
                    attributes,
                    index,
                ),
            };
            response.extend(step.end(&self.job, done)?);
        }
        let told = caches::export(
            &self.app,
            &self.client,
            &self.handle,
            &wanted.caches,
            &built,
        );
        response.extend(told?);
        Ok(response)
    }

    /// What is said about each of the results.
    fn said(&self, wanted: &Wanted, built: &[Built]) -> Result<Vec<Vec<Statement>>, Failure> {
        if wanted.wishes.is_empty() || wanted.exporters.is_empty() {
            return Ok(Vec::new());
        }
        attest::statements(self, wanted, built)
    }

    pub(super) fn ask<T>(
        &self,
        act: impl FnOnce(&Ask<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        act(&Ask {
            client: &self.client,
            progress: self.job.feed.as_ref(),
            cancel: &self.job.cancel,
            entitlements: &self.job.entitlements,
            memory: &self.job.memory,
        })
    }

    fn image(
        &self,
        step: &Step,
        built: &[Built],
        attributes: &HashMap<String, String>,
        inline: More<'_>,
    ) -> Result<Response, Failure> {
        let called = Called::read(attributes)?;
        let written = self.written(step, built, (attributes, inline), &called)?;
        for name in called.names.iter().cloned().chain(called.at(&written.id)) {
            step.tell(&self.job, format!("naming to {name}"));
        }
        match called.push_by_digest {
            true => self.push_by_digest(step, &called.repositories, &written)?,
            false if truth(attributes, "push") => {
                for name in &called.names {
                    self.push(step, name)?;
                }
            }
            false => {}
        }
        let mut response = response(&written, attributes);
        if let ([], Some(name)) = (called.names.as_slice(), called.at(&written.id).next()) {
            response.insert("image.name".to_owned(), name.to_string());
        }
        // Clients take it for the image's id, which here is the other digest.
        response.remove(CONFIG);
        Ok(response)
    }

    fn written(
        &self,
        step: &Step,
        built: &[Built],
        (attributes, (inline, said)): (&HashMap<String, String>, More<'_>),
        called: &Called,
    ) -> Result<WrittenImage, Failure> {
        let index = built.len() > 1 || said.iter().any(|one| !one.is_empty());
        if !index {
            without_index(attributes)?;
        }
        let output = ImageOutput {
            inline_cache: inline,
            latest: latest(built, attributes)?,
            names: called.names.clone(),
            by_digest: called.by_digest.clone(),
            annotations: BTreeMap::new(),
            described: built.iter().map(|one| described(one, attributes)).collect(),
            index,
            index_annotations: annotations(attributes, Of::Index, None),
            statements: said.to_vec(),
            types: media_types(attributes)?,
            compression: compression(attributes)?,
        };
        let solver = &self.app.builds.solver;
        let written = self.ask(|ask| solver.write_image(ask, built, &output))?;
        step.tell(&self.job, "exporting layers".to_owned());
        step.tell(&self.job, format!("writing image {}", written.id));
        Ok(written)
    }

    fn push_by_digest(
        &self,
        step: &Step,
        names: &[ImageRef],
        written: &WrittenImage,
    ) -> Result<(), Failure> {
        let [name] = names else {
            let sentence = "push-by-digest goes to one repository: exactly one name is expected";
            return Err(Failure::invalid(sentence));
        };
        let digest = format!("{}@{}", name.repository(), written.id);
        let there: ImageRef = digest
            .parse()
            .map_err(|error: types::InvalidReference| Failure::invalid(error.to_string()))?;
        let storage = self.app.engine.storage();
        let content = storage.push(&written.id.to_string(), None)?;
        let solver = &self.app.builds.solver;
        self.ask(|ask| solver.put(ask, &there, content))?;
        step.tell(&self.job, format!("pushing {there}"));
        Ok(())
    }

    fn push(&self, step: &Step, name: &ImageRef) -> Result<(), Failure> {
        let request = push::Request {
            reference: name.clone(),
            platform: None,
            credentials: self.client.credentials(name)?,
        };
        let mut transfer = push::push(&self.app.engine, request)?;
        let ended = async {
            tokio::select! {
                ended = transfer.ended() => ended.map_err(Failure::from),
                () = self.job.given_up() => Err(Failure::cancelled()),
            }
        };
        self.handle.block_on(ended)?;
        step.tell(&self.job, format!("pushing {name}"));
        Ok(())
    }

    /// An image as an archive. It is one here for as long as that takes: then names are whose they were.
    fn archive(
        &self,
        step: &Step,
        built: &[Built],
        (attributes, inline): (&HashMap<String, String>, More<'_>),
        index: usize,
    ) -> Result<Response, Failure> {
        let engine = &self.app.engine;
        let called = Called {
            names: names(attributes)?,
            ..Called::default()
        };
        let names = &called.names;
        let known: BTreeSet<String> = image::list(engine)?
            .into_iter()
            .map(|(image, _)| image.id.to_string())
            .collect();
        let owners: Vec<Option<String>> = names
            .iter()
            .map(|name| image::inspect(engine, &name.to_string()).ok())
            .map(|image| image.map(|image| image.id.to_string()))
            .collect();
        let written = self.written(step, built, (attributes, inline), &called)?;
        step.tell(&self.job, "sending tarball".to_owned());
        let id = written.id.to_string();
        let mut saved: Vec<String> = names.iter().map(ToString::to_string).collect();
        if saved.is_empty() {
            saved.push(id.clone());
        }
        let response = response(&written, attributes);
        let top = top(&written, built, attributes);
        let sent = self.send(index, &response, |out| {
            image::save(engine, &saved, &[], &top, out).map_err(Failure::from)
        });
        for (name, owner) in names.iter().zip(owners) {
            let back = match owner {
                Some(owner) => image::tag(engine, &owner, name),
                None => image::remove(engine, &name.to_string(), false).map(drop),
            };
            if let Err(error) = back {
                tracing::warn!(
                    "{name} stays with what was built for an archive: {}",
                    error.chain()
                );
            }
        }
        if !known.contains(&id) {
            // It went with its last name, or goes now, unless somebody has begun to use it.
            let _ = image::remove(engine, &id, false);
        }
        sent.map(|()| response)
    }

    pub(super) fn session(&self) -> Result<&Session, Failure> {
        let session = self.job.session.as_deref();
        let session = session.filter(|session| session.answers(FILE_SEND));
        session.ok_or_else(|| {
            Failure::invalid("the client takes no files: its session has no file send")
        })
    }

    /// Gives the client one file.
    pub(super) fn send(
        &self,
        index: usize,
        about: &Response,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let session = self.session()?;
        let mut values = vec![(EXPORTER.to_owned(), vec![index.to_string()])];
        for (name, value) in about {
            values.push((format!("exporter-md-{name}"), vec![value.clone()]));
        }
        let values: Vec<(&str, Vec<String>)> = values
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let (pieces, stream) = mpsc::channel(PIECES);
        let channel = session.channel.clone();
        let headers = wire::headers(&values);
        // Its answer begins when it has something.
        let taking = self.handle.spawn(async move {
            let opened = channel.both::<BytesMessage, BytesMessage>(
                FILE_SEND,
                headers,
                ReceiverStream::new(stream),
            );
            let mut answers = opened.await?;
            while answers.message().await?.is_some() {}
            Ok(())
        });
        let mut out = Pieces {
            job: &self.job,
            handle: &self.handle,
            pieces,
            buffer: Vec::with_capacity(PIECE),
        };
        let written = write(&mut out);
        let flushed = written.and_then(|()| {
            let flushed = out.flush();
            flushed.map_err(|error| Failure::internal(error.to_string()))
        });
        drop(out);
        let aborter = taking.abort_handle();
        let taken = async { taking.await.map_err(|error| broken(&error))? };
        match self.handle.block_on(wire::patient(&self.job, taken)) {
            Ok(()) => flushed,
            // The client has all it wants already.
            Err(status) if status.code() == Code::AlreadyExists => Ok(()),
            Err(_) if self.job.cancel.is_cancelled() => {
                aborter.abort();
                Err(Failure::cancelled())
            }
            // Why the client broke off is the better reason.
            Err(status) => {
                let why = status.message();
                let sentence = format!("the client cannot take the output: {why}");
                Err(Failure::invalid(sentence))
            }
        }
    }
}

/// What an image is called.
#[derive(Debug, Default)]
struct Called {
    names: Vec<ImageRef>,
    /// Repositories in which it is called by its digest, too.
    by_digest: Vec<ImageRef>,
    /// It is pushed by its digest alone, into one of these.
    push_by_digest: bool,
    repositories: Vec<ImageRef>,
}

impl Called {
    fn read(attributes: &HashMap<String, String>) -> Result<Self, Failure> {
        let names = names(attributes)?;
        let push = truth(attributes, "push");
        match dangling(attributes)?.filter(|_| names.is_empty()) {
            Some(repository) => Ok(Self {
                push_by_digest: push || truth(attributes, "push-by-digest"),
                repositories: vec![repository.clone()],
                by_digest: vec![repository],
                names,
            }),
            // By its digest alone it has no name, here and there.
            None if truth(attributes, "push-by-digest") => Ok(Self {
                push_by_digest: true,
                repositories: names,
                ..Self::default()
            }),
            None => {
                let canonical = flag(attributes, "name-canonical")?.unwrap_or(false);
                let by_digest = if canonical { names.clone() } else { Vec::new() };
                Ok(Self {
                    names,
                    by_digest,
                    ..Self::default()
                })
            }
        }
    }

    /// Its names by its digest.
    fn at(&self, id: &Digest) -> impl Iterator<Item = ImageRef> {
        self.by_digest.iter().map(|name| name.at(id))
    }
}

/// Annotations of an image for one platform.
fn described(built: &Built, attributes: &HashMap<String, String>) -> Described {
    let platform = Some(&built.platform);
    Described {
        manifest: annotations(attributes, Of::Manifest, platform),
        descriptor: annotations(attributes, Of::ManifestDescriptor, platform),
    }
}

/// Refuses annotations of an index, which an image for one platform is not.
fn without_index(attributes: &HashMap<String, String>) -> Result<(), Failure> {
    let mut both = [Of::Index, Of::IndexDescriptor].into_iter();
    match both.find_map(|of| annotations(attributes, of, None).into_keys().next()) {
        Some(key) => Err(Failure::invalid(format!(
            "index annotations not supported for single platform export: {key}"
        ))),
        None => Ok(()),
    }
}

/// Annotations of what names an image in an archive: an index, or the only manifest.
fn top(
    written: &WrittenImage,
    built: &[Built],
    attributes: &HashMap<String, String>,
) -> BTreeMap<String, String> {
    match (built, written.is_index()) {
        ([only], false) => described(only, attributes).descriptor,
        _ => annotations(attributes, Of::IndexDescriptor, None),
    }
}

/// What programs are told of an image.
fn response(written: &WrittenImage, attributes: &HashMap<String, String>) -> Response {
    let descriptor = serde_json::json!({
        "mediaType": written.media_type,
        "digest": written.id.to_string(),
        "size": written.size,
    });
    let mut response = Response::from([
        ("containerimage.digest".to_owned(), written.id.to_string()),
        (
            "containerimage.descriptor".to_owned(),
            BASE64_STANDARD.encode(descriptor.to_string()),
        ),
    ]);
    if let [config] = written.configs.as_slice() {
        response.insert(CONFIG.to_owned(), config.to_string());
    }
    if let Some(name) = attributes.get("name").filter(|name| !name.is_empty()) {
        response.insert("image.name".to_owned(), name.clone());
    }
    response
}

/// A writer whose bytes become messages.
struct Pieces<'a> {
    job: &'a Job,
    handle: &'a Handle,
    pieces: mpsc::Sender<BytesMessage>,
    buffer: Vec<u8>,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..length]);
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let data = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        let sending = async {
            let sent = self.pieces.send(BytesMessage { data }).await;
            sent.map_err(|_| Status::cancelled(""))
        };
        // A client may give up and still not read.
        let sent = self.handle.block_on(wire::patient(self.job, sending));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// A result with its image's configuration.
fn complete(product: &Product) -> Result<Built, Failure> {
    let platform = match &product.platform {
        None => Platform::host(),
        Some(text) => text
            .parse()
            .map_err(|error| Failure::invalid(format!("{error}")))?,
    };
    let mut built = match &product.built {
        Some(built) => Built::clone(built),
        None => of_files(None),
    };
    if product.platform.is_some() {
        built.platform = platform;
    }
    if let Some(config) = &product.config {
        let config: ImageConfig = serde_json::from_slice(config)
            .map_err(|error| Failure::invalid(format!("the image's configuration: {error}")))?;
        built.image = config;
    }
    Ok(built)
}
