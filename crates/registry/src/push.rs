//! What goes to a registry besides the bytes of blobs: what it has already, and manifests.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode};
use types::{Digest, ImageRef};

use crate::error::{Action, Error};
use crate::resolve::text;
use crate::route::{self, Need};
use crate::session::{Call, Session};
use crate::{Descriptor, Malformed, Manifest, Repository, token};

impl Repository {
    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// [`Error::Denied`] and all others, except that there is none.
    pub async fn has_blob(&self, descriptor: &Descriptor) -> Result<bool, Error> {
        let session = self.changing(Action::Push, &self.to_push())?;
        let url = session.url(&format!("/blobs/{}", descriptor.digest))?;
        let response = session.send(&Call::new(Method::HEAD, url)).await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(session.refusal(response).await),
        }
    }

    /// Lets the repository have a blob that another one of the same registry has. Whether it does now:
    /// a registry need not do it, and then the blob is to be uploaded.
    ///
    /// # Errors
    /// When it may not be pushed to.
    pub async fn mount(&self, descriptor: &Descriptor, from: &ImageRef) -> Result<bool, Error> {
        let mut session = self.changing(Action::Push, &self.to_push())?;
        let other = route::plan(&self.shared.config, from, Need::Change);
        let other = other.ok().and_then(|mut endpoints| endpoints.pop());
        let Some(other) = other.filter(|o| o.address == session.endpoint.address) else {
            return Ok(false);
        };
        if other.repository == session.endpoint.repository {
            return Ok(false);
        }
        session
            .purpose
            .scopes
            .push(token::scope(&other.repository, "pull"));
        let mut url = session.url("/blobs/uploads/")?;
        url.query_pairs_mut()
            .append_pair("mount", &descriptor.digest.to_string())
            .append_pair("from", &other.repository);
        let response = session.send(&empty(Method::POST, url)).await?;
        match response.status() {
            StatusCode::CREATED => Ok(true),
            StatusCode::ACCEPTED => {
                give_up(&session, &response).await;
                Ok(false)
            }
            // It may not be read from there, or this registry knows no mounts: uploading tells.
            _ => Ok(false),
        }
    }

    /// Puts a manifest: under the tag, or under its digest only. Its blobs have to be there. The
    /// referrers list is kept by this client where the registry does not (a manifest with a subject).
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn put_manifest(
        &self,
        tag: Option<&str>,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Descriptor, Error> {
        let session = self.changing(Action::Push, &self.to_push())?;
        let manifest = Manifest::parse(Some(media_type), bytes.clone());
        let manifest = manifest.map_err(|source| unusable(&session, self.familiar(), source))?;
        let digest = manifest.descriptor.digest.to_string();
        let answer = self
            .put(&session, tag.unwrap_or(&digest), media_type, bytes)
            .await?;
        let said = text(&answer, "docker-content-digest").and_then(|d| d.parse::<Digest>().ok());
        // Of another algorithm it may well be.
        let own = &manifest.descriptor.digest;
        if let Some(said) = said.filter(|s| s.algorithm() == own.algorithm() && s != own) {
            return Err(session.broken(format!("has stored the manifest {own} as {said}")));
        }
        if let Some(subject) = &manifest.subject
            && !answer.headers().contains_key("oci-subject")
        {
            self.add_referrer(&session, &subject.digest, &manifest)
                .await?;
        }
        Ok(manifest.descriptor)
    }

    pub(crate) async fn put(
        &self,
        session: &Session,
        named: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Response, Error> {
        let kind = HeaderValue::from_str(media_type);
        let kind = kind.map_err(|e| Error::Invalid(format!("{media_type:?}: {e}")))?;
        let url = session.url(&format!("/manifests/{named}"))?;
        let mut call = Call::new(Method::PUT, url).with(CONTENT_TYPE, kind);
        call.body = Some(bytes);
        let response = session.send(&call).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(session.refusal(response).await)
    }

    pub(crate) fn to_push(&self) -> String {
        format!("push {}", self.familiar())
    }
}

/// A request whose body is empty, and says so: some registries want to hear it.
pub(crate) fn empty(method: Method, url: reqwest::Url) -> Call {
    let mut call = Call::new(method, url);
    call.headers.insert(
        reqwest::header::CONTENT_LENGTH,
        HeaderValue::from_static("0"),
    );
    call
}

/// Ends an upload that is not wanted. That it cannot be ended is no loss: registries forget them.
async fn give_up(session: &Session, response: &Response) {
    let location = response.headers().get(LOCATION);
    let url = location.and_then(|l| session.located(response.url(), l).ok());
    if let Some(url) = url {
        let _ = session.send(&Call::new(Method::DELETE, url)).await;
    }
}

fn unusable(session: &Session, reference: String, source: Malformed) -> Error {
    Error::Manifest {
        reference,
        registry: session.endpoint.host.clone(),
        source,
    }
}
