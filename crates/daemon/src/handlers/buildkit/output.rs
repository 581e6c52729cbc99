//! What becomes of a build's result: an image here, in a registry or in an archive; files in an archive or
//! a directory of the client's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use builder::attest::{Statement, Wishes};
use builder::buildkit::BytesMessage;
use builder::buildkit::control::Exporter;
use builder::buildkit::files;
use builder::buildkit::session::FILE_SEND;
use builder::plan::ImageConfig;
use builder::solve::{Ask, Built, Client as _, Failure, Files, ImageOutput, WrittenImage};
use engine::image::{self, push};
use sys::dir::Dir;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use types::{ErrorKind, ImageRef, Platform};

use super::attest;
use super::caches::{self, CacheTo};
use super::client::FromSession;
use super::frontend::{Step, of_files};
use super::gateway::broken;
use super::jobs::Job;
use super::sessions::Session;
use super::status::status;
use super::wire::{self, Blocking};
use crate::app::App;

/// Pieces under way to a client that reads slowly.
const PIECES: usize = 8;
const PIECE: usize = 64 << 10;

/// What names an image's configuration for programs.
const CONFIG: &str = "containerimage.config.digest";

/// Which of the client's outputs it is, by its number.
const EXPORTER: &str = "buildkit-attachable-exporter-id";

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

type Response = HashMap<String, String>;

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
    handle: Handle,
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
                other => {
                    return Err(Failure::invalid(format!(
                        "exporter {other:?} could not be found: image, oci, docker, tar or local is expected"
                    )));
                }
            };
            done_here(&exporter.kind, attributes)?;
            let step = Step::of(&self.job, name.to_owned());
            let done = match exporter.kind.as_str() {
                "moby" | "image" => self.image(&step, &built, attributes, (inline, &said)),
                "oci" | "docker" => {
                    self.archive(&step, &built, (attributes, (inline, &said)), index)
                }
                "tar" => self.tar(&self.with_said(&built, &said, attributes)?, index),
                _ => self.local(&self.with_said(&built, &said, attributes)?, index),
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

    /// Results with what is said about each as files among its own.
    fn with_said(
        &self,
        built: &[Built],
        said: &[Vec<Statement>],
        attributes: &HashMap<String, String>,
    ) -> Result<Vec<Built>, Failure> {
        let prefix = attributes.get("attestation-prefix");
        let prefix = prefix.map_or("", String::as_str);
        let solver = &self.app.builds.solver;
        let mut all = built.to_vec();
        for (one, said) in all.iter_mut().zip(said) {
            let about = (prefix, said_epoch(attributes)?.or(one.epoch));
            one.files = Some(solver.with_statements(one.files.as_ref(), said, about)?);
        }
        Ok(all)
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
        let by_digest = truth(attributes, "push-by-digest");
        let names = names(attributes)?;
        // By its digest alone it has no name, here and there.
        let own = if by_digest { Vec::new() } else { names.clone() };
        let written = self.written(step, built, (attributes, inline), own.clone())?;
        for name in &own {
            step.tell(&self.job, format!("naming to {name}"));
        }
        match by_digest {
            true => self.push_by_digest(step, &names, &written)?,
            false if truth(attributes, "push") => {
                for name in &names {
                    self.push(step, name)?;
                }
            }
            false => {}
        }
        let mut response = response(&written, attributes);
        // Clients take it for the image's id, which here is the other digest.
        response.remove(CONFIG);
        Ok(response)
    }

    fn written(
        &self,
        step: &Step,
        built: &[Built],
        (attributes, (inline, said)): (&HashMap<String, String>, More<'_>),
        names: Vec<ImageRef>,
    ) -> Result<WrittenImage, Failure> {
        let output = ImageOutput {
            inline_cache: inline,
            latest: latest(built, attributes)?,
            names,
            annotations: annotations(attributes, &["annotation.", "annotation-manifest."]),
            index_annotations: annotations(attributes, &["annotation-index."]),
            index: built.len() > 1,
            statements: said.to_vec(),
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
        let names = names(attributes)?;
        let known: BTreeSet<String> = image::list(engine)?
            .into_iter()
            .map(|(image, _)| image.id.to_string())
            .collect();
        let owners: Vec<Option<String>> = names
            .iter()
            .map(|name| image::inspect(engine, &name.to_string()).ok())
            .map(|image| image.map(|image| image.id.to_string()))
            .collect();
        let written = self.written(step, built, (attributes, inline), names.clone())?;
        step.tell(&self.job, "sending tarball".to_owned());
        let id = written.id.to_string();
        let mut saved: Vec<String> = names.iter().map(ToString::to_string).collect();
        if saved.is_empty() {
            saved.push(id.clone());
        }
        let response = response(&written, attributes);
        let sent = self.send(index, &response, |out| {
            image::save(engine, &saved, &[], out).map_err(Failure::from)
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

    /// Files as an archive.
    fn tar(&self, built: &[Built], index: usize) -> Result<Response, Failure> {
        let [one] = built else {
            let sentence = "the output tar holds one platform: use local, oci or image for several";
            return Err(Failure::invalid(sentence));
        };
        self.send(index, &Response::new(), |out| match &one.files {
            Some(files) => files.tar(out),
            None => out
                .write_all(&[0; 1024])
                .map_err(|error| Failure::internal(error.to_string())),
        })?;
        Ok(Response::new())
    }

    /// Files in a directory of the client's: of several platforms each in a directory of its own.
    fn local(&self, built: &[Built], index: usize) -> Result<Response, Failure> {
        let session = self.session()?;
        let headers = wire::headers(&[(EXPORTER, vec![index.to_string()])]);
        let mut wire = Blocking::sending(&self.job, &self.handle, session, FILE_SEND, headers);
        let below = |one: &Built| match built.len() {
            1 => String::new(),
            _ => one.platform.to_string().replace('/', "_"),
        };
        let trees: Vec<(String, Option<&Files>)> = built
            .iter()
            .map(|one| (below(one), one.files.as_ref()))
            .collect();
        self.send_trees(&trees, &mut Vec::new(), &mut wire)?;
        wire.close().map_err(|error| self.unsent(&error))?;
        Ok(Response::new())
    }

    /// Opens one root after the other, and sends them when all are open.
    fn send_trees(
        &self,
        trees: &[(String, Option<&Files>)],
        roots: &mut Vec<(String, Dir)>,
        wire: &mut Blocking<'_>,
    ) -> Result<(), Failure> {
        match trees.split_first() {
            None => files::send(roots, wire).map_err(|error| self.unsent(&error)),
            Some(((_, None), rest)) => self.send_trees(rest, roots, wire),
            Some(((name, Some(one)), rest)) => one.with_root(|root| {
                let root = root.open_dir(OsStr::new("."));
                let root = root.map_err(|error| Failure::internal(error.to_string()))?;
                roots.push((name.clone(), root));
                self.send_trees(rest, roots, wire)
            }),
        }
    }

    fn unsent(&self, error: &files::Error) -> Failure {
        match self.job.cancel.is_cancelled() {
            true => Failure::cancelled(),
            false => Failure::new(error.kind(), error.chain()),
        }
    }

    fn session(&self) -> Result<&Session, Failure> {
        let session = self.job.session.as_deref();
        let session = session.filter(|session| session.answers(FILE_SEND));
        session.ok_or_else(|| {
            Failure::invalid("the client takes no files: its session has no file send")
        })
    }

    /// Gives the client one file.
    fn send(
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

/// Attributes that would make another output, and are not done: to pass over them would be wrong.
fn done_here(kind: &str, attributes: &HashMap<String, String>) -> Result<(), Failure> {
    let no = |value: &str| matches!(value, "0" | "f" | "F" | "false" | "FALSE" | "False");
    for (name, value) in attributes {
        let refused = match name.as_str() {
            "registry.insecure" => !no(value),
            "tar" | "store" => no(value),
            "compression" => value != "gzip",
            "dangling-name-prefix" | "platform-split" => true,
            _ => false,
        };
        if refused {
            let sentence =
                format!("the output {kind} cannot be had with {name}={value}: leave that out");
            return Err(Failure::new(ErrorKind::Unsupported, sentence));
        }
    }
    Ok(())
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

/// The time that no file of the image may be younger than: what `SOURCE_DATE_EPOCH` says, if times are to be
/// rewritten.
fn latest(built: &[Built], attributes: &HashMap<String, String>) -> Result<Option<i64>, Failure> {
    if !truth(attributes, "rewrite-timestamp") {
        return Ok(None);
    }
    let epoch = built.iter().find_map(|one| one.epoch);
    Ok(said_epoch(attributes)?.or(epoch))
}

/// The output's own word for `SOURCE_DATE_EPOCH`, in seconds since 1970.
fn said_epoch(attributes: &HashMap<String, String>) -> Result<Option<i64>, Failure> {
    let said = attributes.get("source-date-epoch");
    let said = said.map(|text| {
        text.parse().map_err(|_| {
            let sentence = format!("source-date-epoch={text}: seconds since 1970 are expected");
            Failure::invalid(sentence)
        })
    });
    said.transpose()
}

/// The names of an image, as the client says them.
fn names(attributes: &HashMap<String, String>) -> Result<Vec<ImageRef>, Failure> {
    let names = attributes.get("name").map(String::as_str);
    let names = names.unwrap_or_default().split(',');
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    let parsed = names.map(|name| {
        name.parse()
            .map_err(|error: types::InvalidReference| Failure::invalid(error.to_string()))
    });
    parsed.collect()
}

/// Annotations, whose names stand behind one of some words.
fn annotations(attributes: &HashMap<String, String>, words: &[&str]) -> BTreeMap<String, String> {
    let named = attributes.iter().filter_map(|(key, value)| {
        let mut rest = words.iter().filter_map(|word| key.strip_prefix(word));
        Some((rest.next()?.to_owned(), value.clone()))
    });
    named.collect()
}

fn truth(attributes: &HashMap<String, String>, name: &str) -> bool {
    attributes
        .get(name)
        .is_some_and(|value| matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_another_output_is_refused() {
        let refused = |name: &str, value: &str| {
            let attributes = HashMap::from([(name.to_owned(), value.to_owned())]);
            done_here("image", &attributes).is_err()
        };
        for (name, value) in [
            ("tar", "false"),
            ("compression", "zstd"),
            ("registry.insecure", "true"),
            ("platform-split", "false"),
        ] {
            assert!(refused(name, value), "{name}");
        }
        for (name, value) in [
            ("push-by-digest", "false"),
            ("compression", "gzip"),
            ("name", "a,b"),
            ("push", "true"),
        ] {
            assert!(!refused(name, value), "{name}");
        }
    }
}
