//! Directories with content (OCI image layout 1.0): caches that a build reads and writes, and images that are
//! built from. The daemon asks for what is in them, and has things written there, by digest only.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::grpc::server::{self, Request, Response};
use api::grpc::{ReceiverStream, Status, Streaming};
use buildkit::content::{
    Action, INFO, Info, InfoRequest, InfoResponse, READ, ReadRequest, ReadResponse, STORE, WRITE,
    WriteRequest, WriteResponse,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use types::Digest;

use super::lend::Lent;
use crate::error::CliError;

/// All that is answered.
pub(super) const METHODS: [&str; 3] = [INFO, READ, WRITE];
/// The file that says what is in a directory.
const INDEX: &str = "index.json";
/// Its annotation that names something.
const NAME: &str = "org.opencontainers.image.ref.name";
/// What goes at a time.
const PIECE: usize = 1 << 20;
/// Messages that may wait.
const WAITING: usize = 2;

type Answers<A> = ReceiverStream<Result<A, Status>>;

/// Answers one call.
pub(super) async fn answer(lent: Arc<Lent>, request: Request, path: &str) -> Response {
    let store = request.headers().get(STORE);
    let store = store.and_then(|store| store.to_str().ok()).unwrap_or("");
    let Some(dir) = lent.stores.get(store).cloned() else {
        return server::unknown(&format!("{path} of {store:?}, which was not lent"));
    };
    match path {
        INFO => {
            let info = move |message: api::grpc::Request<InfoRequest>| {
                let told = info(&dir, &message.into_inner().digest);
                async move { told }
            };
            server::unary(request, info).await
        }
        READ => {
            let read = move |message: api::grpc::Request<ReadRequest>| {
                let opened = read(&dir, message.into_inner());
                async move { opened }
            };
            server::streaming(request, read).await
        }
        _ => {
            let write = move |messages: api::grpc::Request<Streaming<WriteRequest>>| {
                let dir = dir.clone();
                async move { Ok(write(dir, messages.into_inner())) }
            };
            server::both(request, write).await
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Status {
    let sentence = format!("{}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::NotFound => Status::not_found(sentence),
        _ => Status::unknown(sentence),
    }
}

fn digest(text: &str) -> Result<Digest, Status> {
    text.parse()
        .map_err(|_| Status::invalid_argument(format!("{text:?} is no digest")))
}

fn blob(dir: &Path, digest: &Digest) -> PathBuf {
    let kind = dir.join("blobs").join(digest.algorithm().as_str());
    kind.join(digest.hex())
}

fn info(dir: &Path, text: &str) -> Result<InfoResponse, Status> {
    let path = blob(dir, &digest(text)?);
    let about = fs::metadata(&path).map_err(|error| failed(&path, &error))?;
    let info = Info {
        digest: text.to_owned(),
        size: i64::try_from(about.len()).unwrap_or(i64::MAX),
    };
    Ok(InfoResponse { info: Some(info) })
}

fn read(dir: &Path, wanted: ReadRequest) -> Result<Answers<ReadResponse>, Status> {
    use std::io::{Seek as _, SeekFrom};
    let path = blob(dir, &digest(&wanted.digest)?);
    let failed = move |error: std::io::Error| failed(&path, &error);
    let path = blob(dir, &digest(&wanted.digest)?);
    let mut file = File::open(path).map_err(&failed)?;
    let mut offset = wanted.offset.max(0);
    file.seek(SeekFrom::Start(offset.unsigned_abs()))
        .map_err(&failed)?;
    let most = match wanted.size {
        0 => u64::MAX,
        size => size.unsigned_abs(),
    };
    let mut file = file.take(most);
    let (send, answers) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut data = Vec::new();
            let piece = file.by_ref().take(PIECE as u64).read_to_end(&mut data);
            let count = piece.as_ref().copied().unwrap_or(0);
            let answer = match piece {
                Ok(0) => return,
                Ok(_) => Ok(ReadResponse { offset, data }),
                Err(error) => Err(failed(error)),
            };
            let broken = answer.is_err();
            // Whoever is gone reads no more.
            if send.blocking_send(answer).is_err() || broken {
                return;
            }
            offset += i64::try_from(count).unwrap_or(0);
        }
    });
    Ok(ReceiverStream::new(answers))
}

/// Content while it is written.
struct Incoming {
    dir: PathBuf,
    path: PathBuf,
    file: File,
    sum: Sha256,
    offset: i64,
    expected: String,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // What was whole has another name by now.
        let _ = fs::remove_file(&self.path);
    }
}

impl Incoming {
    fn begin(dir: &Path) -> Result<Self, Status> {
        let place = dir.join("ingest");
        fs::create_dir_all(&place).map_err(|error| failed(&place, &error))?;
        let name = super::solve::name().map_err(|error| Status::unknown(error.to_string()))?;
        let path = place.join(name);
        let file = File::create_new(&path).map_err(|error| failed(&path, &error))?;
        Ok(Self {
            dir: dir.to_owned(),
            path,
            file,
            sum: Sha256::new(),
            offset: 0,
            expected: String::new(),
        })
    }

    fn take(&mut self, message: WriteRequest) -> Result<WriteResponse, Status> {
        if !message.expected.is_empty() {
            self.expected = message.expected;
        }
        if !message.data.is_empty() {
            if message.offset != self.offset {
                let sentence = format!("byte {} is expected, not {}", self.offset, message.offset);
                return Err(Status::out_of_range(sentence));
            }
            self.sum.update(&message.data);
            let written = self.file.write_all(&message.data);
            written.map_err(|error| failed(&self.path, &error))?;
            self.offset += i64::try_from(message.data.len()).unwrap_or(0);
        }
        if message.action == i32::from(Action::Commit) {
            self.commit()?;
        }
        Ok(WriteResponse {
            action: message.action,
            offset: self.offset,
        })
    }

    /// Only what hashes to its name gets it.
    fn commit(&mut self) -> Result<(), Status> {
        let wanted = digest(&self.expected)?;
        let found = Digest::sha256(std::mem::take(&mut self.sum).finalize().into());
        if found != wanted {
            let sentence = format!("what should be {wanted} is {found}");
            return Err(Status::failed_precondition(sentence));
        }
        let path = blob(&self.dir, &wanted);
        let failed = |error: std::io::Error| failed(&path, &error);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(failed)?;
        }
        fs::rename(&self.path, &path).map_err(failed)
    }
}

fn write(dir: PathBuf, mut messages: Streaming<WriteRequest>) -> Answers<WriteResponse> {
    let (send, answers) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut incoming = None;
        while let Some(message) = messages.message().await.transpose() {
            let dir = dir.clone();
            let held = incoming.take();
            let done = tokio::task::spawn_blocking(move || {
                let mut incoming = match held {
                    Some(incoming) => incoming,
                    None => Incoming::begin(&dir)?,
                };
                let answer = incoming.take(message?)?;
                Ok((incoming, answer))
            });
            let done = done.await;
            let answer = match done.unwrap_or_else(|e| Err(Status::internal(e.to_string()))) {
                Ok((held, answer)) => {
                    incoming = Some(held);
                    Ok(answer)
                }
                Err(status) => Err(status),
            };
            let broken = answer.is_err();
            if send.send(answer).await.is_err() || broken {
                return;
            }
        }
    });
    ReceiverStream::new(answers)
}

/// What a directory has under a name, or the only thing that it has.
///
/// # Errors
/// When it is no directory of that kind, or has nothing of that name.
pub(super) fn find(dir: &Path, tag: Option<&str>) -> Result<Digest, CliError> {
    let path = dir.join(INDEX);
    let wrong = |why: String| CliError::Invalid(format!("{}: {why}", path.display()));
    let text = fs::read(&path).map_err(|error| wrong(crate::error::plain(&error)))?;
    let index: Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let manifests = index["manifests"].as_array().cloned().unwrap_or_default();
    let named =
        |manifest: &&Value| manifest["annotations"][NAME].as_str() == tag.or(Some("latest"));
    let found = match (manifests.iter().find(named), manifests.as_slice(), tag) {
        (Some(found), _, _) => found,
        (None, [only], None) => only,
        _ => {
            let tag = tag.unwrap_or("latest");
            return Err(wrong(format!("there is nothing of the name {tag}")));
        }
    };
    let digest = found["digest"].as_str().unwrap_or_default();
    digest
        .parse()
        .map_err(|_| wrong(format!("{digest:?} is no digest")))
}

/// Names what was written in a directory.
///
/// # Errors
/// When it cannot be written.
pub(super) fn put(dir: &Path, descriptor: &str, tag: &str) -> Result<(), CliError> {
    let wrong = |path: &Path, why: &str| CliError::Invalid(format!("{}: {why}", path.display()));
    let path = dir.join(INDEX);
    let mut manifest: Value =
        serde_json::from_str(descriptor).map_err(|error| wrong(&path, &error.to_string()))?;
    manifest["annotations"] = json!({ NAME: tag });
    let known = fs::read(&path).unwrap_or_default();
    let known: Value = serde_json::from_slice(&known).unwrap_or_default();
    let mut manifests = known["manifests"].as_array().cloned().unwrap_or_default();
    manifests.retain(|known| known["annotations"][NAME] != tag);
    manifests.push(manifest);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    let layout = json!({ "imageLayoutVersion": "1.0.0" });
    for (path, text) in [(dir.join("oci-layout"), layout), (path, index)] {
        let written = sys::file::replace_unsynced(&path, text.to_string().as_bytes(), 0o644);
        written.map_err(|error| wrong(&path, &error.to_string()))?;
    }
    Ok(())
}

/// Attributes of a cache in a directory, which is lent for it: `src` of one that is read, `dest` of one that is
/// written. None of one that is to be read and is not there.
///
/// # Errors
/// When an attribute is missing.
pub(super) fn cache(
    attrs: &mut HashMap<String, String>,
    key: &str,
    lent: &mut Lent,
) -> Result<bool, CliError> {
    let Some(dir) = attrs.get(key).filter(|dir| !dir.is_empty()).cloned() else {
        let verb = if key == "src" { "importer" } else { "exporter" };
        return Err(CliError::Invalid(format!(
            "local cache {verb} requires {key}"
        )));
    };
    let path = PathBuf::from(&dir);
    if key == "src" && !attrs.contains_key("digest") {
        let tag = attrs.get("tag").map(String::as_str);
        match find(&path, tag) {
            Ok(digest) => drop(attrs.insert("digest".to_owned(), digest.to_string())),
            Err(error) => {
                crate::print::complain(&format!("WARNING: local cache import at {error}"));
                return Ok(false);
            }
        }
    }
    if key == "dest" {
        let tag = attrs
            .get("tag")
            .cloned()
            .unwrap_or_else(|| "latest".to_owned());
        lent.caches.push((path.clone(), tag));
    }
    lent.stores.insert(format!("local:{dir}"), path);
    Ok(true)
}

/// An image in a directory as a context: `DIR[:TAG][@DIGEST]`; how the daemon calls it.
///
/// # Errors
/// When there is no such image.
pub(super) fn layout(value: &str, around: &Path, lent: &mut Lent) -> Result<String, CliError> {
    let (named, digest) = match value.rsplit_once('@') {
        Some((named, digest)) => (named, Some(digest.to_owned())),
        None => (value, None),
    };
    let (path, tag) = match named.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (named, None),
    };
    let dir = around.join(path);
    let digest = match digest {
        Some(digest) => digest,
        None => find(&dir, tag)?.to_string(),
    };
    let id = super::solve::name()?;
    lent.stores.insert(format!("oci:{id}"), dir);
    Ok(format!("oci-layout://{id}@{digest}"))
}
