//! The signature policy: what a pull may bring here, and what an archive may. Off unless a file is named.
//!
//! What counts is the manifest whose bytes are stored, before anything of the image is: that of the
//! platform that is pulled (as containers/image has it), or an index that names it, because who signs an
//! index signs what it names. An index that is not signed only tells where that manifest is, and is not kept;
//! with all its platforms it is, when each of its manifests has passed, those that are here already too. Archives carry no signatures, so that a rule which asks for one refuses them.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
pub use registry::signatures::{InvalidPolicy, Refusal};
use registry::signatures::{MAX_SIGNATURE, Rule, Signatures, Subject};
use registry::{Content, Manifest, Repository};
use storage::Descriptor;
use types::{Digest, ImageRef};

use crate::{Engine, Error};

/// What `docker load` takes: either format, and both in one archive.
const ARCHIVES: [&str; 2] = ["docker-archive", "oci-archive"];
/// What `docker import` takes.
const TARBALL: [&str; 1] = ["tarball"];

/// A policy and the file that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    file: PathBuf,
    rules: registry::signatures::Policy,
}

impl Policy {
    /// The text of a file, with the keys that it names read by `read`.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(
        file: &Path,
        text: &[u8],
        read: impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Self, InvalidPolicy> {
        Ok(Self {
            file: file.to_owned(),
            rules: registry::signatures::Policy::parse(text, read)?,
        })
    }

    fn refuse(&self, what: String, source: Refusal) -> Error {
        Error::Untrusted {
            what,
            policy: self.file.clone(),
            source,
        }
    }

    fn archive(&self, what: &str, transports: &[&str]) -> Result<(), Error> {
        let rules = transports.iter().map(|name| self.rules.of_transport(name));
        let refusal = rules
            .map(|rule| rule.check_unsigned())
            .find_map(Result::err);
        refusal.map_or(Ok(()), |refusal| Err(self.refuse(what.to_owned(), refusal)))
    }
}

/// Whether an archive of images may be loaded.
pub(super) fn check_load(engine: &Engine) -> Result<(), Error> {
    let policy = engine.registries().policy();
    policy.map_or(Ok(()), |policy| {
        policy.archive("an archive of images", &ARCHIVES)
    })
}

/// Whether a tar may become an image.
pub(super) fn check_import(engine: &Engine) -> Result<(), Error> {
    let policy = engine.registries().policy();
    policy.map_or(Ok(()), |policy| {
        policy.archive("the content of a tar", &TARBALL)
    })
}

/// What a pull has to get past.
#[derive(Debug)]
pub(super) struct Gate {
    /// None when nothing is asked of the image.
    policy: Option<Arc<Policy>>,
    image: ImageRef,
    /// Everything that is named by what came first is good.
    passed: bool,
    /// What is named by manifests that have passed. Who makes an index says what its entries are, so that
    /// everything else has to pass as a manifest, whatever it is called there.
    named: HashSet<Digest>,
    /// The manifests that have passed.
    judged: HashSet<Digest>,
}

impl Gate {
    /// For an image.
    ///
    /// # Errors
    /// When no image of that name can pass, whatever its signatures.
    pub(super) fn new(policy: Option<Arc<Policy>>, image: &ImageRef) -> Result<Self, Error> {
        let policy = policy.filter(|policy| !policy.rules.of_image(image).accepts_anything());
        let gate = Self {
            passed: policy.is_none(),
            policy,
            image: image.clone(),
            named: HashSet::new(),
            judged: HashSet::new(),
        };
        match &gate.policy {
            Some(policy) if policy.rules.of_image(image).rejects() => {
                let rule = policy.rules.of_image(image);
                gate.judge(policy, &rule, b"", &Signatures::default())?;
                Ok(gate)
            }
            _ => Ok(gate),
        }
    }

    /// Whether nothing is asked.
    pub(super) fn is_open(&self) -> bool {
        self.policy.is_none()
    }

    /// Whether all that the root of the pull names is good, because the root is, or nothing is asked.
    pub(super) fn has_passed(&self) -> bool {
        self.passed
    }

    /// What the pull begins with: an image has to pass, an index may.
    ///
    /// # Errors
    /// [`Error::Untrusted`], and when signatures cannot be fetched.
    pub(super) async fn first(
        &mut self,
        engine: &Engine,
        repository: &Repository,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        let checked = self.check(engine, repository, manifest).await;
        match (checked, &manifest.content) {
            (Ok(()), _) => {
                self.passed = true;
                Ok(())
            }
            (Err(Error::Untrusted { .. }), Content::Index { .. }) => Ok(()),
            (Err(error), _) => Err(error),
        }
    }

    /// Whether a document has to pass as a manifest.
    pub(super) fn judges(&self, document: &Digest) -> bool {
        !self.passed && !self.named.contains(document)
    }

    /// A manifest that an index names.
    ///
    /// # Errors
    /// As [`Gate::first`].
    pub(super) async fn next(
        &mut self,
        engine: &Engine,
        repository: &Repository,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        if let Content::Image { config, .. } = &manifest.content {
            self.check(engine, repository, manifest).await?;
            self.named.insert(config.digest.clone());
            self.judged.insert(manifest.descriptor.digest.clone());
        }
        Ok(())
    }

    /// Those of the manifests of an image that have not passed, wherever they come from.
    pub(super) fn unjudged(&self, manifests: Vec<Descriptor>) -> Vec<Descriptor> {
        let open = |manifest: &Descriptor| !self.passed && !self.judged.contains(&manifest.digest);
        manifests.into_iter().filter(open).collect()
    }

    /// The last look before an image is there: nothing of it may have come by unseen.
    ///
    /// # Errors
    /// [`Error::Untrusted`] when one of its manifests has not passed.
    pub(super) fn last(&self, manifests: Vec<Descriptor>) -> Result<(), Error> {
        match &self.policy {
            Some(policy) if !self.unjudged(manifests).is_empty() => {
                let rule = policy.rules.of_image(&self.image);
                self.judge(policy, &rule, b"", &Signatures::default())
            }
            _ => Ok(()),
        }
    }

    async fn check(
        &self,
        engine: &Engine,
        repository: &Repository,
        manifest: &Manifest,
    ) -> Result<(), Error> {
        let Some(policy) = self.policy.as_ref().filter(|_| !self.passed) else {
            return Ok(());
        };
        let rule = policy.rules.of_image(&self.image);
        let on_disk = |path: PathBuf| {
            let reading = engine.runtime().spawn_blocking(move || read(&path));
            async move {
                let done = reading.await;
                done.unwrap_or_else(|error| Err(io::Error::other(error)))
            }
        };
        let digest = &manifest.descriptor.digest;
        let found = repository.signatures(digest, &rule, on_disk).await?;
        self.judge(policy, &rule, &manifest.bytes, &found)
    }

    fn judge(
        &self,
        policy: &Policy,
        rule: &Rule<'_>,
        manifest: &[u8],
        found: &Signatures,
    ) -> Result<(), Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
        let subject = Subject {
            image: &self.image,
            manifest,
            now,
        };
        let refuse = |refusal| policy.refuse(format!("image {}", self.image.familiar()), refusal);
        rule.check(subject, found).map_err(refuse)
    }
}

/// A signature; none when there is no such file.
fn read(path: &Path) -> io::Result<Option<Bytes>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    // Longer ones are refused by whoever reads them.
    file.take(MAX_SIGNATURE + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes.into()))
}
