//! From a tag or a digest to a manifest.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use types::Digest;

use crate::error::{Action, Error};
use crate::manifest::{self, MAX_MANIFEST, essence};
use crate::route::Need;
use crate::session::{Call, Session};
use crate::{Descriptor, Malformed, Manifest, Repository};

/// Every manifest that is understood, and the first format of Docker too: a registry that has only that
/// is to send it, so that it can be refused by its name.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1, */*;q=0.1";
const DIGEST: &str = "docker-content-digest";

impl Repository {
    /// What the reference's digest or tag names now, without fetching it (HEAD): what a registry that
    /// counts pulls does not count.
    ///
    /// # Errors
    /// [`Error::NoManifest`], [`Error::Denied`] and all others.
    pub async fn head(&self) -> Result<Descriptor, Error> {
        let named = self.named();
        let mut tries = self.tries(self.need(), Action::Pull, &self.to_pull())?;
        while let Some(session) = tries.next() {
            match head(&session, &named).await {
                Ok(Some(descriptor)) => return Ok(descriptor),
                // It says no without words, or does not say everything: the whole question tells more.
                Ok(None) => match self.fetch(&session, &named, None).await {
                    Ok(manifest) => return Ok(manifest.descriptor),
                    Err(error) => tries.failed(&session, error)?,
                },
                Err(error) => tries.failed(&session, error)?,
            }
        }
        Err(self.nobody())
    }

    /// The manifest or index that the reference's digest or tag names, in one request.
    ///
    /// # Errors
    /// As [`Repository::head`], and when what came is no manifest or not the one of that digest.
    pub async fn resolve(&self) -> Result<Manifest, Error> {
        self.find(&self.named(), self.need(), None).await
    }

    /// The manifest of a descriptor, as of an index's entry.
    ///
    /// # Errors
    /// As [`Repository::resolve`].
    pub async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        let named = descriptor.digest.to_string();
        self.find(&named, Need::Digest, Some(descriptor)).await
    }

    pub(crate) async fn find(
        &self,
        named: &str,
        need: Need,
        expected: Option<&Descriptor>,
    ) -> Result<Manifest, Error> {
        let mut tries = self.tries(need, Action::Pull, &self.to_pull())?;
        while let Some(session) = tries.next() {
            match self.fetch(&session, named, expected).await {
                Ok(manifest) => return Ok(manifest),
                Err(error) => tries.failed(&session, error)?,
            }
        }
        Err(self.nobody())
    }

    /// Fetches one manifest from one place and verifies it.
    pub(crate) async fn fetch(
        &self,
        session: &Session,
        named: &str,
        expected: Option<&Descriptor>,
    ) -> Result<Manifest, Error> {
        let response = session.send(&ask(session, Method::GET, named)?).await?;
        if response.status() != StatusCode::OK {
            return Err(self.no_manifest(session, response, named).await);
        }
        let kind = text(&response, CONTENT_TYPE.as_str());
        let claimed = text(&response, DIGEST);
        let malformed = |source| self.malformed(session, named, source);
        let too_long = response
            .content_length()
            .is_some_and(|length| length > MAX_MANIFEST);
        if too_long {
            return Err(malformed(Malformed::TooLong));
        }
        let read = session.document(response, MAX_MANIFEST, "a manifest").await;
        let bytes = match read {
            Err(Error::Protocol { .. }) => return Err(malformed(Malformed::TooLong)),
            other => other?,
        };
        let wanted = named.parse().ok();
        self.verify(session, named, &bytes, wanted.as_ref())?;
        if let (None, Some(Ok(claimed))) = (&wanted, claimed.map(|c| c.parse::<Digest>())) {
            self.verify(session, named, &bytes, Some(&claimed))?;
        }
        let mut manifest = Manifest::parse(kind.as_deref(), bytes).map_err(malformed)?;
        if let Some(size) = expected
            .map(|e| e.size)
            .filter(|s| *s != manifest.descriptor.size)
        {
            let found = manifest.descriptor.size;
            return Err(
                session.broken(format!("sent a manifest of {found} bytes, {size} expected"))
            );
        }
        if let Some(digest) = wanted {
            manifest.descriptor.digest = digest;
        }
        if let Some(expected) = expected {
            manifest.descriptor.platform.clone_from(&expected.platform);
        }
        Ok(manifest)
    }

    fn verify(
        &self,
        session: &Session,
        named: &str,
        bytes: &[u8],
        expected: Option<&Digest>,
    ) -> Result<(), Error> {
        let Some(expected) = expected else {
            return Ok(());
        };
        let found = manifest::digest_of(expected.algorithm(), bytes);
        if found == *expected {
            return Ok(());
        }
        Err(Error::Digest {
            reference: self.reference_of(named),
            registry: session.endpoint.host.clone(),
            expected: expected.clone(),
            found,
        })
    }

    fn malformed(&self, session: &Session, named: &str, source: Malformed) -> Error {
        Error::Manifest {
            reference: self.reference_of(named),
            registry: session.endpoint.host.clone(),
            source,
        }
    }

    async fn no_manifest(&self, session: &Session, response: Response, named: &str) -> Error {
        match session.refusal(response).await {
            Error::Refused {
                status: 404, said, ..
            } => Error::NoManifest {
                reference: self.reference_of(named),
                said,
            },
            other => other,
        }
    }

    /// The tag or digest that the reference names; the digest if both.
    fn named(&self) -> String {
        let digest = self.reference.digest().map(ToString::to_string);
        digest.unwrap_or_else(|| self.reference.tag().unwrap_or("latest").to_owned())
    }

    fn need(&self) -> Need {
        match self.reference.digest() {
            Some(_) => Need::Digest,
            None => Need::Tag,
        }
    }

    pub(crate) fn to_pull(&self) -> String {
        format!("pull {}", self.familiar())
    }

    fn reference_of(&self, named: &str) -> String {
        let sign = if named.contains(':') { '@' } else { ':' };
        format!("{}{sign}{named}", self.reference.familiar_name())
    }

    /// For the type only: there is always one place, whose error is returned.
    pub(crate) fn nobody(&self) -> Error {
        Error::Invalid(format!(
            "there is no registry to ask for {}",
            self.familiar()
        ))
    }
}

/// A descriptor without the document, if the registry says all of it.
async fn head(session: &Session, named: &str) -> Result<Option<Descriptor>, Error> {
    let response = session.send(&ask(session, Method::HEAD, named)?).await?;
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        return Err(session.refusal(response).await);
    }
    let kind = text(&response, CONTENT_TYPE.as_str());
    let digest = text(&response, DIGEST).and_then(|d| d.parse::<Digest>().ok());
    let size = text(&response, "content-length").and_then(|l| l.parse::<u64>().ok());
    let whole = kind
        .zip(digest)
        .zip(size)
        .filter(|_| response.status() == StatusCode::OK);
    let Some(((kind, digest), size)) = whole else {
        return Ok(None);
    };
    let kind = essence(&kind).to_owned();
    let named_otherwise = named.parse::<Digest>().is_ok_and(|named| named != digest);
    let usable = manifest::is_understood(&kind) && size <= MAX_MANIFEST && !named_otherwise;
    Ok(usable.then(|| Descriptor::new(kind, digest, size)))
}

fn ask(session: &Session, method: Method, named: &str) -> Result<Call, Error> {
    let url = session.url(&format!("/manifests/{named}"))?;
    Ok(Call::new(method, url).with(ACCEPT, HeaderValue::from_static(ACCEPTED)))
}

pub(crate) fn text(response: &Response, name: &str) -> Option<String> {
    response
        .headers()
        .get(name)?
        .to_str()
        .ok()
        .map(str::to_owned)
}
