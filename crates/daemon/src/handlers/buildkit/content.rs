//! Stores of content that the client has: caches and image layouts in its directories. For threads that may
//! block.

use std::io::{self, Read};
use std::sync::Arc;

use builder::solve::{Blobs, Failure};
use buildkit::content::{
    Action, INFO, Info, InfoRequest, InfoResponse, READ, ReadRequest, ReadResponse, STORE, WRITE,
    WriteRequest, WriteResponse,
};
use engine::Descriptor;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use types::ErrorKind;

use super::jobs::Job;
use super::sessions::Session;
use super::wire;

/// The longest document.
const LONGEST: u64 = 8 << 20;
/// What goes at a time: clients take messages of 4 MiB.
const PIECE: usize = 1 << 20;

/// A store of the client's.
pub(super) struct Content {
    job: Arc<Job>,
    handle: Handle,
    /// As the client calls it.
    store: String,
}

impl Content {
    /// One of the session's; none if it answers no such calls.
    pub(super) fn open(job: &Arc<Job>, handle: &Handle, store: String) -> Option<Self> {
        let session = job.session.as_deref();
        session.filter(|session| session.answers(READ))?;
        Some(Self {
            job: job.clone(),
            handle: handle.clone(),
            store,
        })
    }

    fn session(&self) -> Result<&Session, Status> {
        let session = self.job.session.as_deref();
        session.ok_or_else(|| Status::unavailable("the client's session is over"))
    }

    fn headers(&self) -> tonic::metadata::MetadataMap {
        wire::headers(&[(STORE, vec![self.store.clone()])])
    }

    /// One message there; the answers.
    fn call<Q, A>(&self, path: &'static str, message: Q) -> Result<Streaming<A>, Status>
    where
        Q: prost::Message + Default + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let session = self.session()?;
        let messages = tokio_stream::once(message);
        let opened = session.channel.both(path, self.headers(), messages);
        self.handle.block_on(wire::patient(&self.job, opened))
    }

    /// What is known of content.
    pub(super) fn info(&self, digest: &str) -> Result<Info, Failure> {
        let request = InfoRequest {
            digest: digest.to_owned(),
        };
        let answers = self.call::<_, InfoResponse>(INFO, request);
        let mut answers = answers.map_err(|status| self.failure(&status))?;
        let answer = self
            .handle
            .block_on(wire::patient(&self.job, answers.message()));
        let answer = answer.map_err(|status| self.failure(&status))?;
        let missing = || Failure::new(ErrorKind::NotFound, format!("the client has no {digest}"));
        answer.and_then(|answer| answer.info).ok_or_else(missing)
    }

    fn read(&self, digest: &str) -> Result<Incoming<'_>, Failure> {
        let request = ReadRequest {
            digest: digest.to_owned(),
            ..ReadRequest::default()
        };
        let answers = self.call::<_, ReadResponse>(READ, request);
        Ok(Incoming {
            content: self,
            answers: answers.map_err(|status| self.failure(&status))?,
            piece: io::Cursor::new(Vec::new()),
        })
    }

    /// Writes content that the client may have already.
    pub(super) fn write(&self, wanted: &Descriptor, from: &mut dyn Read) -> Result<(), Failure> {
        let digest = wanted.digest.to_string();
        if self.info(&digest).is_ok() {
            return Ok(());
        }
        let written = self.sent(wanted, from);
        match written {
            Err(Broken::There(status)) if status.code() == Code::AlreadyExists => Ok(()),
            Err(Broken::There(status)) => Err(self.failure(&status).within(&digest)),
            Err(Broken::Here(error)) => {
                Err(Failure::internal(format!("cannot read {digest}: {error}")))
            }
            Ok(()) => Ok(()),
        }
    }

    fn sent(&self, wanted: &Descriptor, from: &mut dyn Read) -> Result<(), Broken> {
        let total = i64::try_from(wanted.size).unwrap_or(i64::MAX);
        let message = |action: Action, offset: i64, data: Vec<u8>| WriteRequest {
            action: action.into(),
            reference: format!("brig-{}", wanted.digest),
            total,
            expected: wanted.digest.to_string(),
            offset,
            data,
            ..WriteRequest::default()
        };
        let (send, messages) = mpsc::channel(1);
        // Its answer begins when it has something.
        let first = message(Action::Stat, 0, Vec::new());
        let _ = send.try_send(first);
        let opened = self.session()?.channel.both::<WriteRequest, WriteResponse>(
            WRITE,
            self.headers(),
            ReceiverStream::new(messages),
        );
        let mut answers = self.handle.block_on(wire::patient(&self.job, opened))?;
        self.answer(&mut answers)?;
        let mut offset = 0;
        loop {
            let mut data = Vec::new();
            let read = from.take(PIECE as u64).read_to_end(&mut data);
            let count = read.map_err(Broken::Here)?;
            let action = if count == 0 {
                Action::Commit
            } else {
                Action::Write
            };
            let sending = send.send(message(action, offset, data));
            let sent = async { sending.await.map_err(|_| Status::cancelled("")) };
            // Why it takes no more is in its answer.
            let _ = self.handle.block_on(wire::patient(&self.job, sent));
            self.answer(&mut answers)?;
            if count == 0 {
                return Ok(());
            }
            offset += i64::try_from(count).unwrap_or(0);
        }
    }

    fn answer(&self, answers: &mut Streaming<WriteResponse>) -> Result<(), Status> {
        let next = wire::patient(&self.job, answers.message());
        match self.handle.block_on(next)? {
            Some(_) => Ok(()),
            None => Err(Status::unavailable("the client broke off")),
        }
    }

    fn failure(&self, status: &Status) -> Failure {
        if self.job.cancel.is_cancelled() {
            return Failure::cancelled();
        }
        let kind = match status.code() {
            Code::NotFound => ErrorKind::NotFound,
            Code::Unavailable => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        Failure::new(kind, status.message())
    }
}

/// Which side has failed.
enum Broken {
    There(Status),
    Here(io::Error),
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        Self::There(status)
    }
}

impl Blobs for Content {
    fn document(&self, wanted: &Descriptor) -> Result<Vec<u8>, Failure> {
        let digest = wanted.digest.to_string();
        let mut bytes = Vec::new();
        let read = self
            .read(&digest)?
            .take(LONGEST + 1)
            .read_to_end(&mut bytes);
        read.map_err(|error| Failure::internal(format!("cannot read {digest}: {error}")))?;
        if bytes.len() as u64 > LONGEST {
            let sentence = format!("the document {digest} is longer than {LONGEST} bytes");
            return Err(Failure::invalid(sentence));
        }
        use sha2::{Digest as _, Sha256};
        let found = types::Digest::sha256(Sha256::digest(&bytes).into());
        if wanted.digest.algorithm() == found.algorithm() && found != wanted.digest {
            let sentence = format!("what the client has as {digest} is {found}");
            return Err(Failure::invalid(sentence));
        }
        Ok(bytes)
    }

    fn open(&self, wanted: &Descriptor) -> Result<Box<dyn Read + Send + '_>, Failure> {
        Ok(Box::new(self.read(&wanted.digest.to_string())?))
    }
}

/// Content on its way here.
struct Incoming<'a> {
    content: &'a Content,
    answers: Streaming<ReadResponse>,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let next = wire::patient(&self.content.job, self.answers.message());
            match self.content.handle.block_on(next) {
                Ok(Some(answer)) => self.piece = io::Cursor::new(answer.data),
                Ok(None) => return Ok(0),
                Err(status) => return Err(io::Error::other(status.message().to_owned())),
            }
        }
    }
}
