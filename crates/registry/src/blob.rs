//! Blobs on their way here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{ACCEPT_RANGES, CONTENT_RANGE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::mpsc;

use crate::answer::why;
use crate::error::{Action, Error};
use crate::ranges::{Ahead, PIECE, Pace};
use crate::route::Need;
use crate::session::{Call, Session};
use crate::transmit::name_of;
use crate::{Descriptor, Repository, header};

/// A connection that brings less than this before it breaks was no progress.
const PROGRESS: u64 = 64 << 10;

/// A blob on its way here. Where one connection is slow, the rest of a long one comes by several. A cut or
/// stalled connection is taken up again where it ended; what comes is
/// never more than the descriptor's size, and its end before that is an error. The digest is for who
/// stores it to verify.
#[derive(Debug)]
pub struct Blob {
    descriptor: Descriptor,
    repository: String,
    /// Where it may be had; the first one is asked.
    places: VecDeque<Place>,
    offset: u64,
    response: Option<Response>,
    /// Bytes of the response that are not wanted, of a registry that knows no ranges.
    skip: u64,
    /// What the response has brought.
    brought: u64,
    /// How often in a row there was no progress.
    failures: u32,
    /// Where it ends for this connection: others bring what follows.
    end: u64,
    /// Whether it is a piece of one that comes by several connections.
    piece: bool,
    /// Whether it may not come by more than one connection.
    alone: bool,
    pace: Pace,
    ahead: Option<Ahead>,
}

/// One place that may have it.
#[derive(Debug, Clone)]
struct Place {
    session: Session,
    url: Url,
}

impl Repository {
    /// Begins to fetch a blob from `offset`, which is less than or equal to its size.
    ///
    /// # Errors
    /// [`Error::NoBlob`] and all others.
    pub async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<Blob, Error> {
        if offset > descriptor.size {
            let Descriptor { digest, size, .. } = descriptor;
            return Err(Error::Invalid(format!(
                "blob {digest} has {size} bytes, there is nothing at {offset}"
            )));
        }
        let mut blob = Blob {
            descriptor: descriptor.clone(),
            repository: self.reference.familiar_name(),
            places: self.places(descriptor)?,
            offset,
            response: None,
            skip: 0,
            brought: 0,
            failures: 0,
            end: descriptor.size,
            piece: false,
            alone: false,
            pace: Pace::new(),
            ahead: None,
        };
        if offset < descriptor.size {
            blob.connect().await?;
        }
        Ok(blob)
    }

    fn places(&self, descriptor: &Descriptor) -> Result<VecDeque<Place>, Error> {
        let what = format!("fetch blob {} of {}", descriptor.digest, self.familiar());
        let mut tries = self.tries(Need::Digest, Action::Pull, &what)?;
        let mut places = VecDeque::new();
        while let Some(session) = tries.next() {
            let url = session.url(&format!("/blobs/{}", descriptor.digest))?;
            places.push_back(Place { session, url });
        }
        if descriptor.is_foreign() {
            let last = places.back().map(|place| place.session.clone());
            let foreign = descriptor.urls.iter().take(8);
            let foreign = foreign.filter_map(|url| foreign_place(last.as_ref()?, url));
            places.extend(foreign.collect::<Vec<_>>());
        }
        Ok(places)
    }
}

/// Where the maker of a foreign layer says it is: nobody is told there who asks.
fn foreign_place(session: &Session, url: &str) -> Option<Place> {
    let url = Url::parse(url).ok()?;
    let plain = url.scheme() == "http" && session.shared.may_be_plain(&url);
    if url.scheme() != "https" && !plain {
        return None;
    }
    let session = session.guest_of(&name_of(&url));
    Some(Place { session, url })
}

impl Blob {
    /// The next bytes; none at the end. May be dropped and called again (as in `select!`).
    ///
    /// # Errors
    /// When the registry does not give the rest, however often it is asked.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.offset == self.end {
                self.response = None;
                if self.ahead.is_none() {
                    return Ok(None);
                }
                match self.next_ahead().await {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => continue,
                }
            }
            let Some(response) = &mut self.response else {
                self.connect().await?;
                continue;
            };
            let stall = self.places[0].session.shared.stall();
            let asked = Instant::now();
            let error = match tokio::time::timeout(stall, response.chunk()).await {
                Ok(Ok(Some(bytes))) => match self.take(bytes) {
                    Some(bytes) => {
                        self.look(bytes.len(), asked.elapsed());
                        return Ok(Some(bytes));
                    }
                    None => continue,
                },
                Ok(Ok(None)) => self
                    .session()
                    .unreachable("the connection was closed early"),
                Ok(Err(error)) => self.session().unreachable(why(error)),
                Err(_) => self.session().stalled(),
            };
            self.cut(error).await?;
        }
    }

    /// Lets others bring what follows, if this connection is what is slow.
    fn look(&mut self, bytes: usize, waited: Duration) {
        let most = self.session().shared.config.limits.ranges;
        if self.alone || self.ahead.is_some() || most < 2 || self.skip > 0 {
            return;
        }
        let left = self.end - self.offset;
        if !self.pace.count(bytes, waited, left) || !self.gives_ranges() {
            return;
        }
        // This connection brings the next piece, as it is under way.
        let from = self.offset + PIECE;
        let mut ahead = Ahead::new(from);
        self.fill(&mut ahead);
        if !ahead.is_empty() {
            tracing::debug!(
                offset = self.offset,
                "fetching the rest by several connections"
            );
            self.end = from;
            self.ahead = Some(ahead);
        }
    }

    fn gives_ranges(&self) -> bool {
        self.response.as_ref().is_some_and(|response| {
            let said = response.headers().get(ACCEPT_RANGES);
            response.status() == StatusCode::PARTIAL_CONTENT
                || said.is_some_and(|units| units.as_bytes() == b"bytes")
        })
    }

    fn fill(&self, ahead: &mut Ahead) {
        let shared = &self.session().shared;
        // One comes by the connection that was there before.
        let most = shared.config.limits.ranges as usize - 1;
        ahead.fill(
            &shared.room,
            most,
            self.descriptor.size,
            |from, to, send| self.piece(from, to).bring(send),
        );
    }

    /// A piece of it.
    fn piece(&self, from: u64, to: u64) -> Self {
        Self {
            descriptor: self.descriptor.clone(),
            repository: self.repository.clone(),
            places: self.places.iter().take(1).cloned().collect(),
            offset: from,
            response: None,
            skip: 0,
            brought: 0,
            failures: 0,
            end: to,
            piece: true,
            alone: true,
            pace: Pace::new(),
            ahead: None,
        }
    }

    async fn bring(mut self, send: mpsc::UnboundedSender<Result<Bytes, Error>>) {
        loop {
            let (piece, last) = match self.chunk().await {
                Ok(Some(bytes)) => (Ok(bytes), false),
                Ok(None) => return,
                Err(error) => (Err(error), true),
            };
            if send.send(piece).is_err() || last {
                return;
            }
        }
    }

    /// The next bytes of those that others bring. When they bring no more, this one goes on by itself.
    async fn next_ahead(&mut self) -> Option<Bytes> {
        if let Some(mut ahead) = self.ahead.take() {
            self.fill(&mut ahead);
            self.ahead = Some(ahead);
        }
        let next = match &mut self.ahead {
            Some(ahead) => ahead.next().await,
            None => None,
        };
        match next {
            Some(Ok(bytes)) => {
                self.offset += bytes.len() as u64;
                self.end = self.offset;
                return Some(bytes);
            }
            Some(Err(error)) => {
                tracing::debug!(offset = self.offset, %error, "going on by one connection");
                self.alone = true;
            }
            None => {}
        }
        self.ahead = None;
        self.end = self.descriptor.size;
        self.pace = Pace::new();
        None
    }

    /// Where the next chunk begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Who sends it: for [`Repository::avoiding`] when the bytes turn out to be wrong.
    pub fn host(&self) -> &str {
        &self.session().endpoint.host
    }

    /// There is always a place: the last one is never removed.
    fn session(&self) -> &Session {
        &self.places[0].session
    }

    /// What is wanted of the bytes that came.
    fn take(&mut self, mut bytes: Bytes) -> Option<Bytes> {
        let skipped = usize::try_from(self.skip).map_or(bytes.len(), |s| s.min(bytes.len()));
        self.skip -= skipped as u64;
        let mut wanted = bytes.split_off(skipped);
        let rest = self.end - self.offset;
        wanted.truncate(usize::try_from(rest).unwrap_or(usize::MAX));
        self.offset += wanted.len() as u64;
        // What had been here before is no progress.
        self.brought += wanted.len() as u64;
        if self.brought >= PROGRESS {
            self.failures = 0;
        }
        (!wanted.is_empty()).then_some(wanted)
    }

    /// The connection has ended too early: the error when there have been too many of them.
    async fn cut(&mut self, error: Error) -> Result<(), Error> {
        self.response = None;
        self.failures += 1;
        let most = self.session().shared.config.limits.attempts.max(1);
        if self.failures >= most {
            return self.next_place(error);
        }
        tracing::debug!(offset = self.offset, %error, "taking the transfer up again");
        if self.brought < PROGRESS {
            tokio::time::sleep(self.session().backoff(self.failures)).await;
        }
        Ok(())
    }

    fn next_place(&mut self, error: Error) -> Result<(), Error> {
        if self.places.len() == 1 {
            return Err(error);
        }
        tracing::debug!(host = self.host(), %error, "asking the next place");
        if matches!(error, Error::Connection { .. } | Error::Stalled { .. }) {
            self.session()
                .shared
                .set_down(&self.session().endpoint.address);
        }
        self.places.pop_front();
        self.failures = 0;
        Ok(())
    }

    /// Asks for the bytes from the offset on, in one place after the other.
    async fn connect(&mut self) -> Result<(), Error> {
        loop {
            match self.ask().await {
                Ok((response, skip)) => {
                    self.response = Some(response);
                    self.skip = skip;
                    self.brought = 0;
                    return Ok(());
                }
                Err(error) => self.next_place(error)?,
            }
        }
    }

    /// The answer with the bytes, and how many of them are not wanted.
    async fn ask(&self) -> Result<(Response, u64), Error> {
        let Place { session, url } = &self.places[0];
        let mut call = Call::new(Method::GET, url.clone());
        if self.offset > 0 || self.piece {
            let last = match self.end < self.descriptor.size {
                true => (self.end - 1).to_string(),
                false => String::new(),
            };
            let range = HeaderValue::from_str(&format!("bytes={}-{last}", self.offset));
            call = call.with(RANGE, range.map_err(|e| session.broken(e.to_string()))?);
        }
        let response = session.send(&call).await?;
        match response.status() {
            StatusCode::OK if self.piece => {
                Err(session.broken("was asked for a part of a blob and sent all of it"))
            }
            StatusCode::OK => self.whole(&response).map(|()| (response, self.offset)),
            StatusCode::PARTIAL_CONTENT => self.part(&response).map(|()| (response, 0)),
            _ => Err(self.refusal(response).await),
        }
    }

    fn whole(&self, response: &Response) -> Result<(), Error> {
        self.check_size(response.content_length())
    }

    fn part(&self, response: &Response) -> Result<(), Error> {
        let range = response.headers().get(CONTENT_RANGE);
        let range = range
            .and_then(|r| r.to_str().ok())
            .and_then(header::content_range);
        let Some(range) = range.filter(|range| range.first == self.offset) else {
            let offset = self.offset;
            let why = format!("was asked for bytes from {offset} on and sent others");
            return Err(self.session().broken(why));
        };
        self.check_size(range.size)
    }

    fn check_size(&self, found: Option<u64>) -> Result<(), Error> {
        match found {
            Some(found) if found != self.descriptor.size => {
                let size = self.descriptor.size;
                let why = format!("has a blob of {found} bytes there, {size} expected");
                Err(self.session().broken(why))
            }
            _ => Ok(()),
        }
    }

    async fn refusal(&self, response: Response) -> Error {
        match self.session().refusal(response).await {
            Error::Refused {
                status: 404, said, ..
            } => Error::NoBlob {
                repository: self.repository.clone(),
                digest: self.descriptor.digest.clone(),
                said,
            },
            other => other,
        }
    }
}
