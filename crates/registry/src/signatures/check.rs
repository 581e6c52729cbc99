//! Whether an image fulfils its rule: a pure function of the image's name, its manifest, the signatures
//! that were found, and the time.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use types::ImageRef;

use super::bundle::{self, Trusted};
use super::identity::Identity;
use super::key::PublicKey;
use super::openpgp::Keyring;
use super::payload;
use super::policy::{Requirement, Rule, Trust};
use super::rekor::{self, Kind, Logged};

/// So many reasons are said.
const MAX_REASONS: usize = 3;

/// Why an image does not fulfil its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} ({requirement}) is not fulfilled: {why}")]
pub struct Refusal {
    /// Where the requirement stands: `transports.docker["docker.io"][0]`.
    pub place: String,
    /// `signedBy`, `sigstoreSigned` or `reject`.
    pub requirement: &'static str,
    /// What is missing.
    pub why: String,
}

/// What was found of an image's signatures. All of it is a stranger's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures {
    /// Simple signing: OpenPGP messages.
    pub simple: Vec<Bytes>,
    /// Sigstore.
    pub sigstore: Vec<Attached>,
    /// Sigstore, in bundles.
    pub bundles: Vec<Bytes>,
    /// What was found and could not be used, and why.
    pub passed_over: Vec<String>,
}

/// A signature that cosign or skopeo has attached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attached {
    /// What is signed.
    pub payload: Bytes,
    /// `dev.cosignproject.cosign/signature`: base64.
    pub signature: String,
    /// `dev.sigstore.cosign/certificate`: PEM.
    pub certificate: Option<String>,
    /// `dev.sigstore.cosign/chain`: PEM.
    pub chain: Option<String>,
    /// `dev.sigstore.cosign/bundle`: a log's promise.
    pub bundle: Option<String>,
}

/// An image to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// As it was asked for.
    pub image: &'a ImageRef,
    /// The bytes of its manifest or index.
    pub manifest: &'a [u8],
    /// Seconds since 1970.
    pub now: i64,
}

impl Rule<'_> {
    /// Whether an image fulfils all requirements. Each needs one good signature.
    ///
    /// # Errors
    /// The first requirement that it does not fulfil.
    pub fn check(&self, subject: Subject<'_>, found: &Signatures) -> Result<(), Refusal> {
        for (number, requirement) in self.requirements.iter().enumerate() {
            one(requirement, subject, found).map_err(|why| Refusal {
                place: format!("{}[{number}]", self.place),
                requirement: requirement.name(),
                why,
            })?;
        }
        Ok(())
    }
}

impl Rule<'_> {
    /// Whether what can carry no signature fulfils all requirements.
    ///
    /// # Errors
    /// The first requirement that it does not fulfil.
    pub fn check_unsigned(&self) -> Result<(), Refusal> {
        let demanding = |one: &(usize, &Requirement)| *one.1 != Requirement::Anything;
        let first = self.requirements.iter().enumerate().find(demanding);
        first.map_or(Ok(()), |(number, requirement)| {
            Err(Refusal {
                place: format!("{}[{number}]", self.place),
                requirement: requirement.name(),
                why: "it carries no signatures".to_owned(),
            })
        })
    }
}

fn one(requirement: &Requirement, subject: Subject<'_>, found: &Signatures) -> Result<(), String> {
    match requirement {
        Requirement::Anything => Ok(()),
        Requirement::Reject => Err("no image of this name is allowed".to_owned()),
        Requirement::SignedBy { keys, identity } => {
            let tried = found
                .simple
                .iter()
                .map(|one| simple(one, keys, identity, subject));
            any(tried, "simple signing", found)
        }
        Requirement::Sigstore {
            trust,
            rekor,
            identity,
        } => {
            let tried = found.sigstore.iter().map(|one| {
                let signed = sigstore(one, trust, rekor, subject.now);
                signed.and_then(|()| about(&one.payload, payload::COSIGN, subject, identity))
            });
            let bundles = found.bundles.iter().map(|one| {
                unnamed(identity)?;
                let trusted = Trusted { trust, rekor };
                bundle::check(one, subject.manifest, trusted, subject.now)
            });
            any(tried.chain(bundles), "sigstore", found)
        }
    }
}

/// One good one is enough; without one, why each is not.
fn any(
    tried: impl Iterator<Item = Result<(), String>>,
    kind: &str,
    found: &Signatures,
) -> Result<(), String> {
    let mut reasons = Vec::new();
    for one in tried {
        match one {
            Ok(()) => return Ok(()),
            Err(why) => reasons.push(why),
        }
    }
    if reasons.is_empty() {
        let passed: String = found
            .passed_over
            .iter()
            .map(|why| format!("; {why}"))
            .collect();
        return Err(format!("there is no signature of {kind}{passed}"));
    }
    let count = reasons.len();
    reasons.extend(found.passed_over.iter().cloned());
    reasons.dedup();
    let more = reasons.len().saturating_sub(MAX_REASONS);
    reasons.truncate(MAX_REASONS);
    let mut text = reasons.join("; ");
    if more > 0 {
        text += &format!("; and {more} more reasons");
    }
    let what = if count == 1 {
        "the signature is not"
    } else {
        "none of the signatures is"
    };
    Err(format!("{what} good: {text}"))
}

/// Whether a signature that names no image is enough.
fn unnamed(identity: &Identity) -> Result<(), String> {
    if *identity == Identity::Digest {
        return Ok(());
    }
    let problem = "a signature in sigstore's bundle format names no image: it counts where \
                   signedIdentity is matchDigest";
    Err(problem.to_owned())
}

fn about(
    signed: &[u8],
    kind: &str,
    subject: Subject<'_>,
    identity: &Identity,
) -> Result<(), String> {
    payload::check(signed, kind, (subject.image, subject.manifest), identity)
}

fn simple(
    message: &[u8],
    keys: &Keyring,
    identity: &Identity,
    subject: Subject<'_>,
) -> Result<(), String> {
    let signed = keys.open(message, subject.now)?;
    about(&signed, payload::ATOMIC, subject, identity)
}

fn sigstore(one: &Attached, trust: &Trust, rekor: &[PublicKey], now: i64) -> Result<(), String> {
    let signature = BASE64_STANDARD.decode(&one.signature);
    let signature = signature.map_err(|_| "its signature is no base64")?;
    let logged = |signer: &[u8]| {
        let bundle = one
            .bundle
            .as_ref()
            .ok_or("no log promises that it has it")?;
        let logged = Logged {
            kind: Kind::Hashed,
            signer,
            signature: &signature,
            payload: &one.payload,
        };
        rekor::check(rekor, bundle, logged)
    };
    let certificate = || {
        let pem = one
            .certificate
            .as_ref()
            .ok_or("it comes without a certificate")?;
        CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| "its certificate is no PEM")
    };
    let chain = one.chain.as_deref().unwrap_or_default();
    let good = match trust {
        Trust::Keys(keys) => keys
            .iter()
            .find(|key| key.verifies(&one.payload, &signature))
            .map(|key| {
                if rekor.is_empty() {
                    Ok(0)
                } else {
                    logged(key.info())
                }
            })
            .transpose()?
            .is_some(),
        Trust::Fulcio(authority) => {
            let certificate = certificate()?;
            // The key lived for minutes: what counts is that it did when the log saw the signature.
            let at = logged(&certificate)?;
            let key = authority.key(&certificate, chain, at)?;
            key.verifies(&one.payload, &signature)
        }
        Trust::Pki(authority) => {
            let key = authority.key(&certificate()?, chain, now)?;
            key.verifies(&one.payload, &signature)
        }
    };
    if good {
        return Ok(());
    }
    Err(match trust {
        Trust::Keys(_) => "it is not made by a key that is trusted",
        Trust::Fulcio(_) | Trust::Pki(_) => "it is not made by the key of its certificate",
    }
    .to_owned())
}
