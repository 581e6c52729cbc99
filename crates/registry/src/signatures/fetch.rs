//! Bringing what is said to be signatures: attached as cosign and skopeo do it, from a web server beside
//! the registry, or from a registry that keeps them itself. Bounded, and not believed.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use reqwest::{Method, StatusCode, Url};
use types::Digest;

use super::bundle::BUNDLE;
use super::check::{Attached, Signatures};
use super::lookaside::{self, Place};
use super::policy::Rule;
use crate::error::{Action, Error};
use crate::manifest::{digest_of, shorten};
use crate::route::Need;
use crate::session::{Call, Session};
use crate::transmit::name_of;
use crate::{Content, Descriptor, Manifest, Repository};

/// More signatures of one image are not looked at.
const MAX_SIGNATURES: usize = 128;
/// The longest signature and the longest thing that is signed; both have a few hundred bytes.
pub const MAX_SIGNATURE: u64 = 1 << 20;
/// All that a registry that keeps signatures may answer.
const MAX_ANSWER: u64 = 4 << 20;
/// Manifests that refer to an image and are looked into.
const MAX_REFERRERS: usize = 32;

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const COSIGN_ARTIFACT: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// Of any version.
const BUNDLES: &str = "application/vnd.dev.sigstore.bundle";

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const LOG: &str = "dev.sigstore.cosign/bundle";

impl Repository {
    /// The signatures of a manifest that a rule looks at. `read` brings those that are files on this
    /// machine, none where there is no such file, and need not bring more than [`MAX_SIGNATURE`] and one
    /// byte of each.
    ///
    /// # Errors
    /// When somebody cannot be asked; that there are none is no error.
    pub async fn signatures<F>(
        &self,
        manifest: &Digest,
        rule: &Rule<'_>,
        read: impl Fn(PathBuf) -> F,
    ) -> Result<Signatures, Error>
    where
        F: Future<Output = io::Result<Option<Bytes>>>,
    {
        let mut found = Signatures::default();
        if rule.wants_sigstore() {
            self.attached_signatures(manifest, &mut found).await?;
        }
        if !rule.wants_simple() {
            return Ok(found);
        }
        if self.lookaside(manifest, 1).is_none() {
            found.simple = self.kept_signatures(manifest).await?;
            return Ok(found);
        }
        for number in 1..=MAX_SIGNATURES {
            let signature = match self.lookaside(manifest, number) {
                None => None,
                Some(Place::Web(url)) => self.lookaside_signature(&url).await?,
                Some(Place::File(path)) => {
                    let failed = |source| Error::Signature {
                        path: path.clone(),
                        source,
                    };
                    read(path.clone()).await.map_err(failed)?
                }
            };
            match signature {
                None => break,
                Some(long) if long.len() as u64 > MAX_SIGNATURE => {
                    found
                        .passed_over
                        .push("one is longer than a MiB".to_owned());
                }
                Some(signature) => found.simple.push(signature),
            }
        }
        Ok(found)
    }

    /// The sigstore signatures of a manifest: those under its tag `sha256-HEX.sig`, and those that refer
    /// to it.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    async fn attached_signatures(
        &self,
        manifest: &Digest,
        found: &mut Signatures,
    ) -> Result<(), Error> {
        let tag = format!("{}.sig", manifest.to_string().replace(':', "-"));
        match self.find(&tag, Need::Tag, None).await {
            Ok(signatures) => self.take(&signatures, found).await?,
            Err(error) => nothing_there(error)?,
        }
        let referrers = self.referrers(manifest, None).await?;
        let of_signatures = |one: &&Descriptor| {
            let kind = one.artifact_type.as_deref().unwrap_or_default();
            kind == COSIGN_ARTIFACT || kind.starts_with(BUNDLES)
        };
        for referrer in referrers.iter().filter(of_signatures).take(MAX_REFERRERS) {
            match self.manifest(referrer).await {
                Ok(signatures) => self.take(&signatures, found).await?,
                Err(error) => nothing_there(error)?,
            }
        }
        Ok(())
    }

    async fn take(&self, manifest: &Manifest, found: &mut Signatures) -> Result<(), Error> {
        let Content::Image { layers, .. } = &manifest.content else {
            found
                .passed_over
                .push("what stands for signatures is an index".to_owned());
            return Ok(());
        };
        for layer in layers {
            let kind = layer.media_type.as_str();
            if kind.starts_with(BUNDLES) && kind != BUNDLE {
                let why = format!("one is a {:?}, {BUNDLE} is understood", shorten(kind));
                found.passed_over.push(why);
            }
            if kind != SIMPLE_SIGNING && kind != BUNDLE {
                continue;
            }
            if found.sigstore.len() + found.bundles.len() == MAX_SIGNATURES {
                let why = format!("those after the first {MAX_SIGNATURES} are not looked at");
                found.passed_over.push(why);
                return Ok(());
            }
            let taken = match kind {
                BUNDLE => self.signed(layer).await?.map(|one| found.bundles.push(one)),
                _ => self
                    .attached(layer)
                    .await?
                    .map(|one| found.sigstore.push(one)),
            };
            if let Err(why) = taken {
                found.passed_over.push(why);
            }
        }
        Ok(())
    }

    /// One signature, or why it is none.
    async fn attached(&self, layer: &Descriptor) -> Result<Result<Attached, String>, Error> {
        let text = |name: &str| layer.annotations.get(name).cloned();
        let Some(signature) = text(SIGNATURE) else {
            return Ok(Err(format!("one has no annotation {SIGNATURE}")));
        };
        let payload = match self.signed(layer).await? {
            Ok(payload) => payload,
            Err(why) => return Ok(Err(why)),
        };
        Ok(Ok(Attached {
            payload,
            signature,
            certificate: text(CERTIFICATE),
            chain: text(CHAIN),
            bundle: text(LOG),
        }))
    }

    /// What is signed, or a bundle; or why it cannot be had.
    async fn signed(&self, layer: &Descriptor) -> Result<Result<Bytes, String>, Error> {
        if layer.size > MAX_SIGNATURE {
            let size = layer.size;
            return Ok(Err(format!(
                "one is for {size} bytes, at most {MAX_SIGNATURE} are looked at"
            )));
        }
        let mut blob = match self.blob(layer, 0).await {
            Ok(blob) => blob,
            Err(error) => {
                nothing_there(error)?;
                return Ok(Err("what one is for is missing".to_owned()));
            }
        };
        let mut payload = Vec::new();
        while let Some(bytes) = blob.chunk().await? {
            payload.extend_from_slice(&bytes);
        }
        if digest_of(layer.digest.algorithm(), &payload) != layer.digest {
            return Ok(Err("what one is for is not what its digest says".to_owned()));
        }
        Ok(Ok(payload.into()))
    }

    /// Where the configuration says that the signature with this number of a manifest is, from one on.
    /// None when it names no place for this repository.
    fn lookaside(&self, manifest: &Digest, number: usize) -> Option<Place> {
        let places = &self.shared.config.lookaside;
        lookaside::place(places, &self.reference, manifest, number)
    }

    /// A signature from a web server; none when it has none there.
    ///
    /// # Errors
    /// When the server cannot be asked.
    async fn lookaside_signature(&self, place: &Url) -> Result<Option<Bytes>, Error> {
        let session = self.beside()?.guest_of(&name_of(place));
        let mut call = Call::new(Method::GET, place.clone());
        // Its scheme is the one that was said.
        call.led = true;
        let response = session.send(&call).await?;
        match response.status() {
            StatusCode::OK => {
                let read = session.document(response, MAX_SIGNATURE, "a signature");
                read.await.map(Some)
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(session.refusal(response).await),
        }
    }

    /// The signatures of simple signing that the registry itself keeps, if it is one that does.
    ///
    /// # Errors
    /// When the registry cannot be asked, or answers nonsense.
    async fn kept_signatures(&self, manifest: &Digest) -> Result<Vec<Bytes>, Error> {
        const SUPPORTS: &str = "x-registry-supports-signatures";
        let session = self.beside()?;
        let at = |path: &str| {
            let mut url = session.url("/")?;
            url.set_path(path);
            Ok::<_, Error>(Call::new(Method::GET, url))
        };
        let response = session.send(&at("/v2/")?).await?;
        let supports = response.headers().get(SUPPORTS);
        if supports.is_none_or(|value| value != "1") {
            return Ok(Vec::new());
        }
        let repository = &session.endpoint.repository;
        let path = format!("/extensions/v2/{repository}/signatures/{manifest}");
        let response = session.send(&at(&path)?).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(Vec::new()),
            _ => return Err(session.refusal(response).await),
        }
        let answer = session.document(response, MAX_ANSWER, "signatures").await?;
        let kept = lookaside::of_registry(&answer);
        let mut kept = kept.ok_or_else(|| session.broken("sent signatures that cannot be read"))?;
        kept.truncate(MAX_SIGNATURES);
        Ok(kept)
    }

    /// The first place that would be asked for the image.
    fn beside(&self) -> Result<Session, Error> {
        let what = format!("fetch signatures of {}", self.familiar());
        let mut tries = self.tries(Need::Digest, Action::Pull, &what)?;
        tries.next().ok_or_else(|| self.nobody())
    }
}

/// That there is nothing is an answer; everything else is a failure.
fn nothing_there(error: Error) -> Result<(), Error> {
    match error {
        Error::NoManifest { .. } | Error::NoRepository { .. } | Error::NoBlob { .. } => Ok(()),
        other => Err(other),
    }
}
