//! A client as the solver sees it: files, secrets, agents and credentials come over its session.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use builder::buildkit::files::{self, Kept, Received};
use builder::graph::Local;
use builder::solve::{Blobs, Client, Failure, Files, Tree};
use buildkit::BytesMessage;
use buildkit::control::VertexStatus;
use buildkit::session as messages;
use buildkit::sync::KNOWN_LIST;
use engine::image::registries::{Credential, Credentials};
use sys::dir::Dir;
use tokio::runtime::Handle;
use tonic::{Code, Status, Streaming};
use types::{ErrorKind, ImageRef};

use super::agent::Socket;
use super::content::Content;
use super::feed::now;
use super::jobs::Job;
use super::sessions::Session;
use super::wire::{self, Blocking};

/// The name by which clients keep what Docker Hub is told.
const HUB: &str = "registry-1.docker.io";

/// The step in which the solver asks for files.
const CONTEXT: &str = "[internal] load build context";
/// How often is told how many have come.
const PACE: Duration = Duration::from_millis(100);

/// A build's client. Its methods are for threads that may block.
pub(super) struct FromSession {
    pub(super) job: Arc<Job>,
    handle: Handle,
    kept: Kept,
    run_root: PathBuf,
    /// They stay as long as the build.
    agents: Mutex<Vec<Socket>>,
}

impl fmt::Debug for FromSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromSession").field(&self.job.name).finish()
    }
}

impl FromSession {
    /// To be made on an event loop, which its calls then wait for.
    pub(super) fn new(job: Arc<Job>, kept: Kept, run_root: PathBuf) -> Self {
        Self {
            job,
            handle: Handle::current(),
            kept,
            run_root,
            agents: Mutex::default(),
        }
    }

    fn session(&self) -> Result<&Session, Failure> {
        let none = || Failure::invalid("the client has no session: it cannot be asked for files");
        self.job.session.as_deref().ok_or_else(none)
    }

    /// The session, if it answers such calls.
    fn answering(&self, method: &str) -> Option<&Session> {
        let session = self.job.session.as_deref();
        session.filter(|session| session.answers(method))
    }

    /// Receives files; `progress` hears how many bytes there were so far.
    pub(super) fn receive(
        &self,
        local: &Local,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Tree, Failure> {
        let session = self.session()?;
        if !session.answers(messages::FILE_SYNC) {
            let sentence = "the client sends no files: its session has no file sync";
            return Err(Failure::invalid(sentence));
        }
        let held = self.kept.take(&key(session, local));
        let held = held.map_err(|error| {
            Failure::internal(format!(
                "cannot make a directory for the client's files: {error}"
            ))
        })?;
        let headers = wire::headers(&[
            ("dir-name", vec![local.name.clone()]),
            ("include-patterns", local.include.clone()),
            ("exclude-patterns", local.exclude.clone()),
            ("followpaths", local.follow.clone()),
            (KNOWN_LIST, vec![held.list().unwrap_or_default().to_owned()]),
        ]);
        let path = messages::FILE_SYNC;
        let wire = Blocking::receiving(&self.job, &self.handle, session, path, headers);
        let mut wire = wire.map_err(|status| self.failure(&status))?;
        let root = Dir::open(&held.path()).map_err(|error| {
            Failure::internal(format!("cannot open {}: {error}", held.path().display()))
        })?;
        let told = &mut |so_far: &Received| progress(so_far.bytes);
        let outcome = files::receive(&root, &mut wire, held.list(), told);
        let received = outcome.map_err(|error| match self.job.cancel.is_cancelled() {
            true => Failure::cancelled(),
            false => Failure::new(error.kind(), error.chain()),
        })?;
        let known = held.received(&received);
        Ok(Tree::new(held.path(), held).knowing(known))
    }

    fn failure(&self, status: &Status) -> Failure {
        if self.job.cancel.is_cancelled() {
            return Failure::cancelled();
        }
        let kind = match status.code() {
            Code::NotFound => ErrorKind::NotFound,
            Code::Unavailable | Code::Cancelled => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        Failure::new(kind, status.message())
    }

    fn ask<Q, A>(&self, session: &Session, path: &'static str, message: Q) -> Result<A, Status>
    where
        Q: prost::Message + Default + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let answer = session.channel.unary(path, message);
        self.handle.block_on(wire::patient(&self.job, answer))
    }
}

/// What tells files apart that wait for the next build: whose, which directory, and which of its files.
fn key(session: &Session, local: &Local) -> String {
    let whose = match session.offer.shared_key.as_str() {
        "" => &session.offer.id,
        key => key,
    };
    let mut parts = vec![whose, local.name.as_str()];
    parts.extend(local.include.iter().map(String::as_str));
    parts.join("\0")
}

impl Client for FromSession {
    fn files(&self, local: &Local) -> Result<Tree, Failure> {
        let feed = &self.job.feed;
        let mut status = VertexStatus {
            id: "transferring context:".to_owned(),
            name: "transferring context:".to_owned(),
            vertex: feed.under_way(CONTEXT).unwrap_or_default(),
            started: Some(now()),
            ..VertexStatus::default()
        };
        let mut told = Instant::now();
        let tree = self.receive(local, &mut |bytes| {
            status.current = i64::try_from(bytes).unwrap_or(i64::MAX);
            if told.elapsed() > PACE {
                told = Instant::now();
                status.timestamp = Some(now());
                feed.status(status.clone());
            }
        })?;
        status.timestamp = Some(now());
        status.completed = Some(now());
        feed.status(status);
        Ok(tree)
    }

    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, Failure> {
        let Some(session) = self.answering(messages::GET_SECRET) else {
            return Ok(None);
        };
        let request = messages::GetSecretRequest {
            id: id.to_owned(),
            ..Default::default()
        };
        match self.ask::<_, messages::GetSecretResponse>(session, messages::GET_SECRET, request) {
            Ok(secret) => Ok(Some(secret.data)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.failure(&status).within(&format!("secret {id}"))),
        }
    }

    fn agent(&self, id: &str) -> Result<Option<PathBuf>, Failure> {
        let Some(session) = self.answering(messages::CHECK_AGENT) else {
            return Ok(None);
        };
        let request = messages::CheckAgentRequest { id: id.to_owned() };
        match self.ask::<_, messages::CheckAgentResponse>(session, messages::CHECK_AGENT, request) {
            Ok(_) => {}
            // Clients say of an agent they have not that it is unset.
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unknown) => {
                return Ok(None);
            }
            Err(status) => return Err(self.failure(&status).within(&format!("ssh {id}"))),
        }
        let _entered = self.handle.enter();
        let socket = Socket::open(&self.run_root, session, id).map_err(|error| {
            Failure::internal(format!("cannot make a socket for the agent {id}: {error}"))
        })?;
        let path = socket.path();
        // Things are added whole.
        let agents = self.agents.lock();
        agents.unwrap_or_else(PoisonError::into_inner).push(socket);
        Ok(Some(path))
    }

    fn upload(&self, name: &str) -> Result<Option<Box<dyn Read + Send + '_>>, Failure> {
        if let Some(posted) = self.job.take_posted() {
            return Ok(Some(Box::new(posted)));
        }
        let Some(session) = self.answering(messages::PULL_UPLOAD) else {
            return Ok(None);
        };
        let headers = wire::headers(&[("urlpath", vec![format!("/{name}")])]);
        let nothing = tokio_stream::pending::<BytesMessage>();
        let opened = session
            .channel
            .both(messages::PULL_UPLOAD, headers, nothing);
        let pieces = self.handle.block_on(wire::patient(&self.job, opened));
        Ok(Some(Box::new(Uploading {
            pieces: pieces.map_err(|status| self.failure(&status))?,
            client: self,
            piece: std::io::Cursor::new(Vec::new()),
        })))
    }

    fn result(&self, name: &str) -> Result<Option<Files>, Failure> {
        let Some(built) = self.job.result_of_any(name) else {
            return Ok(None);
        };
        let none = || Failure::invalid(format!("the result {name} has no files"));
        built.files.clone().map(Some).ok_or_else(none)
    }

    fn content(&self, store: &str) -> Result<Option<Arc<dyn Blobs>>, Failure> {
        let content = Content::open(&self.job, &self.handle, format!("oci:{store}"));
        Ok(content.map(|content| -> Arc<dyn Blobs> { Arc::new(content) }))
    }

    fn credentials(&self, image: &ImageRef) -> Result<Credentials, Failure> {
        let Some(session) = self.answering(messages::CREDENTIALS) else {
            return Ok(Credentials::anonymous());
        };
        let host = match image.domain() {
            "docker.io" => HUB,
            host => host,
        };
        let request = messages::CredentialsRequest {
            host: host.to_owned(),
        };
        let answer: Result<messages::CredentialsResponse, Status> =
            self.ask(session, messages::CREDENTIALS, request);
        let answer = answer.map_err(|status| {
            self.failure(&status)
                .within(&format!("the client's credentials for {host}"))
        })?;
        Ok(match (answer.username, answer.secret) {
            (_, secret) if secret.is_empty() => Credentials::anonymous(),
            (user, token) if user.is_empty() => Credentials::own(Credential::IdentityToken(token)),
            (username, password) => Credentials::own(Credential::Password { username, password }),
        })
    }
}

/// What the client sends of its standard input.
struct Uploading<'a> {
    client: &'a FromSession,
    pieces: Streaming<BytesMessage>,
    piece: std::io::Cursor<Vec<u8>>,
}

impl Read for Uploading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let next = wire::patient(&self.client.job, self.pieces.message());
            match self.client.handle.block_on(next) {
                Ok(Some(piece)) => self.piece = std::io::Cursor::new(piece.data),
                Ok(None) => return Ok(0),
                Err(status) => return Err(std::io::Error::other(status.message().to_owned())),
            }
        }
    }
}
