//! Blobs on their way to a registry (distribution specification, "Pushing blobs"): as a whole, or in
//! chunks; taken up again after a cut where the registry says it has them.
//!
//! ```text
//! begin: POST  -> Location          whole:  PUT Location?digest=  with all bytes
//!                                   chunks: PATCH Location with each, then PUT without bytes
//! cut:   GET Location -> Range      goes on with chunks from there; begins anew if it is forgotten
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RANGE,
};
use reqwest::{Body, Method, Response, StatusCode, Url};

use crate::answer::why;
use crate::error::{Action, Error};
use crate::feed::{Feed, Source, Watch};
use crate::push::empty;
use crate::resolve::text;
use crate::session::{Call, Session, is_transient, same_origin};
use crate::{Descriptor, Repository, header};

/// What a registry may name as its smallest chunk: more is sent as a whole.
const LARGEST_CHUNK: u64 = 1 << 30;
/// What is sent at once where a whole blob is too long for something on the way.
const SMALL_CHUNK: u64 = 16 << 20;
/// A registry stores and hashes a whole blob before it answers.
const PATIENCE: u32 = 10;

impl Repository {
    /// Uploads a blob, which is taken up again where it was cut if the registry can.
    ///
    /// # Errors
    /// When it may not be pushed to, when the registry does not take it, or `source` cannot be read.
    pub async fn upload(
        &self,
        descriptor: &Descriptor,
        source: Arc<dyn Source>,
    ) -> Result<(), Error> {
        let what = format!(
            "push blob {} to {}",
            descriptor.digest,
            self.reference.familiar_name()
        );
        let session = self.changing(Action::Push, &what)?;
        let mut upload = Upload {
            repository: self.reference.familiar_name(),
            chunk: session.shared.config.limits.upload_chunk,
            session,
            descriptor,
            source,
            location: None,
            offset: 0,
            resumed: false,
        };
        upload.run().await
    }
}

/// One blob on its way.
#[derive(Debug)]
struct Upload<'a> {
    session: Session,
    repository: String,
    descriptor: &'a Descriptor,
    source: Arc<dyn Source>,
    /// Bytes of a chunk; 0 for all at once.
    chunk: u64,
    /// Where the next request goes; none before the beginning.
    location: Option<Url>,
    /// What the registry has.
    offset: u64,
    /// Whether a cut has been mended: the registry may have got that wrong.
    resumed: bool,
}

/// What one request came to.
#[derive(Debug)]
enum Step {
    /// The blob is there.
    Done,
    /// There is more to send.
    More,
    /// It failed, and may work after a while.
    Again(Error, Duration),
}

impl Upload<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let mut failures = 0;
        loop {
            let before = self.offset;
            match self.step().await? {
                Step::Done => return Ok(()),
                // To have begun is no progress: some begin for ever.
                Step::More if self.offset > before => failures = 0,
                Step::More => {}
                Step::Again(error, wait) => {
                    failures += 1;
                    if failures >= self.session.attempts {
                        return Err(error);
                    }
                    tracing::debug!(%error, offset = self.offset, "taking the upload up again");
                    tokio::time::sleep(wait.max(self.session.backoff(failures))).await;
                    self.ask_how_far().await;
                    if self.offset > before {
                        failures = 0;
                    }
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Step, Error> {
        let Some(location) = self.location.clone() else {
            self.begin().await?;
            return Ok(Step::More);
        };
        let size = self.descriptor.size;
        if self.offset < size && (self.chunk > 0 || self.offset > 0) {
            let most = if self.chunk == 0 { size } else { self.chunk };
            let length = most.min(size - self.offset);
            return self.send(Method::PATCH, location, length).await;
        }
        // An own token of the registry may be in the address; the digest is added to it.
        let mut target = location;
        target
            .query_pairs_mut()
            .append_pair("digest", &self.descriptor.digest.to_string());
        self.send(Method::PUT, target, size - self.offset).await
    }

    async fn begin(&mut self) -> Result<(), Error> {
        let call = empty(Method::POST, self.session.url("/blobs/uploads/")?);
        let response = self.session.send(&call).await?;
        if response.status() != StatusCode::ACCEPTED {
            return Err(self.session.refusal(response).await);
        }
        self.move_on(&response)?;
        self.offset = 0;
        let least = text(&response, "oci-chunk-min-length").and_then(|l| l.parse::<u64>().ok());
        if let Some(least) = least.filter(|_| self.chunk > 0) {
            self.chunk = if least > LARGEST_CHUNK {
                0
            } else {
                self.chunk.max(least)
            };
        }
        Ok(())
    }

    /// The next request goes where this answer says.
    fn move_on(&mut self, response: &Response) -> Result<(), Error> {
        match (response.headers().get(LOCATION), &self.location) {
            (Some(location), _) => {
                self.location = Some(self.session.located(response.url(), location)?);
                Ok(())
            }
            (None, Some(_)) => Ok(()),
            (None, None) => Err(self
                .session
                .broken("takes an upload and does not say where: it sends no Location")),
        }
    }

    /// Sends `length` bytes from the offset on.
    async fn send(&mut self, method: Method, target: Url, length: u64) -> Result<Step, Error> {
        let patch = method == Method::PATCH;
        let known = self.authorization(&target).await?;
        let (feed, watch) = Feed::start(self.source.clone(), self.offset, length);
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("application/octet-stream");
        headers.insert(CONTENT_TYPE, kind);
        if patch {
            let range = format!("{}-{}", self.offset, self.offset + length - 1);
            let range = HeaderValue::from_str(&range);
            headers.insert(
                CONTENT_RANGE,
                range.map_err(|e| self.session.broken(e.to_string()))?,
            );
        }
        if let Some(value) = &known {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let shared = self.session.shared.clone();
        let request = shared.request(&self.session, &target, method).await?;
        let sent = request.headers(headers).body(Body::wrap(feed)).send();
        let answer = tokio::select! {
            answer = sent => answer.map_err(|e| self.session.unreachable(why(e))),
            () = silence(&watch, length, shared.stall()) => Err(self.session.stalled()),
        };
        if let Some(source) = watch.failure() {
            return Err(Error::Source {
                digest: self.descriptor.digest.clone(),
                repository: self.repository.clone(),
                source,
            });
        }
        match answer {
            Err(error) if is_transient(&error) => Ok(Step::Again(error, Duration::ZERO)),
            Err(error) => Err(error),
            Ok(response) => self.settle(response, patch, length, known).await,
        }
    }

    /// Who this is, where it is the registry itself that takes the bytes.
    async fn authorization(&self, target: &Url) -> Result<Option<HeaderValue>, Error> {
        if !same_origin(target, &self.session.url("/")?) {
            return Ok(None);
        }
        self.session.authorization(None, None).await
    }

    async fn settle(
        &mut self,
        response: Response,
        patch: bool,
        length: u64,
        known: Option<HeaderValue>,
    ) -> Result<Step, Error> {
        match response.status().as_u16() {
            200..=299 if patch => {
                self.move_on(&response)?;
                self.advance(&response, length)?;
                Ok(Step::More)
            }
            200..=299 => Ok(Step::Done),
            307 | 308 => {
                self.move_on(&response)?;
                let error = self
                    .session
                    .broken("leads an upload elsewhere again and again");
                Ok(Step::Again(error, Duration::ZERO))
            }
            401 => {
                // The token has ended on the way: with a new one it goes on.
                let header = self
                    .session
                    .answer_challenge(&response, known.as_ref())
                    .await?;
                let error = self.session.refusal(response).await;
                match header {
                    Some(_) => Ok(Step::Again(error, Duration::ZERO)),
                    None => Err(error),
                }
            }
            408 | 416 | 429 | 500..=504 => {
                let wait = self.wait_for(&response);
                let error = self.session.refusal(response).await;
                match wait {
                    Some(wait) => Ok(Step::Again(error, wait)),
                    None => Err(error),
                }
            }
            404 => {
                // The registry has forgotten the session.
                self.location = None;
                self.offset = 0;
                Ok(Step::Again(
                    self.session.refusal(response).await,
                    Duration::ZERO,
                ))
            }
            413 if self.chunk == 0 && self.descriptor.size > SMALL_CHUNK => {
                // Something on the way takes no requests as long as this blob.
                self.chunk = SMALL_CHUNK;
                Ok(Step::Again(
                    self.session.refusal(response).await,
                    Duration::ZERO,
                ))
            }
            400 if self.resumed => {
                // What was put together of parts is not the blob: once more, as a whole.
                (self.location, self.offset, self.resumed) = (None, 0, false);
                Ok(Step::Again(
                    self.session.refusal(response).await,
                    Duration::ZERO,
                ))
            }
            _ => Err(self.session.refusal(response).await),
        }
    }

    /// After a chunk: what the registry says it has, else what was sent.
    fn advance(&mut self, response: &Response, length: u64) -> Result<(), Error> {
        let sent = self.offset + length;
        let said = text(response, RANGE.as_str()).and_then(|range| header::received(&range));
        let has = said.unwrap_or(sent);
        if has > sent || has <= self.offset {
            let why = format!("has {has} bytes of a blob after it was sent {sent}");
            return Err(self.session.broken(why));
        }
        self.offset = has;
        Ok(())
    }

    /// None when it is longer than is waited for.
    fn wait_for(&self, response: &Response) -> Option<Duration> {
        let after = text(response, "retry-after");
        let after = after.and_then(|a| header::retry_after(&a, jiff::Timestamp::now()));
        let after = after.unwrap_or_default();
        let longest = self.session.shared.config.limits.longest_wait_seconds;
        (after <= Duration::from_secs(longest)).then_some(after)
    }

    /// Asks where to go on; from the beginning if that is not to be learnt.
    async fn ask_how_far(&mut self) {
        let known = match self.location.take() {
            Some(location) => self.status(location).await,
            None => None,
        };
        match known {
            Some((location, offset)) if offset <= self.descriptor.size => {
                self.location = Some(location);
                self.offset = offset;
                self.resumed = true;
            }
            _ => self.offset = 0,
        }
    }

    async fn status(&self, location: Url) -> Option<(Url, u64)> {
        let response = self
            .session
            .send(&Call::new(Method::GET, location.clone()))
            .await
            .ok()?;
        if !response.status().is_success() {
            return None;
        }
        let offset = header::received(&text(&response, RANGE.as_str())?)?;
        let next = response.headers().get(LOCATION);
        let next = next.and_then(|next| self.session.located(response.url(), next).ok());
        Some((next.unwrap_or(location), offset))
    }
}

/// Ends when the connection takes nothing for too long, or does not answer when it has taken all.
async fn silence(watch: &Watch, length: u64, stall: Duration) {
    let mut before = 0;
    let mut quiet = 0;
    loop {
        tokio::time::sleep(stall).await;
        let taken = watch.taken.load(Ordering::Relaxed);
        quiet = if taken == before { quiet + 1 } else { 0 };
        if quiet >= if taken >= length { PATIENCE } else { 1 } {
            return;
        }
        before = taken;
    }
}
