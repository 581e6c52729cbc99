//! The registry client that the verbs share, and the types in which callers say whom to ask as whom.

use std::sync::{Arc, PoisonError, RwLock};

use oci_spec::image::ImageConfiguration;
pub use registry::{
    ClientCertificate, Config, Content, Credential, Credentials, Descriptor, Found, Host, HostFile,
    InvalidConfig, Limits, Manifest, Mirror, MirrorUse, Proxies, Registry, Search,
};
use types::ImageRef;

use super::signatures::Policy;
use crate::{Engine, Error};

/// The client of the present configuration, and what images have to fulfil: changed together.
#[derive(Debug)]
pub(crate) struct Shared(RwLock<Present>);

#[derive(Debug, Clone)]
struct Present {
    client: registry::Client,
    policy: Option<Arc<Policy>>,
}

impl Shared {
    pub(crate) fn new(config: Config, policy: Option<Policy>) -> Result<Self, Error> {
        Ok(Self(RwLock::new(Present {
            client: registry::Client::new(config)?,
            policy: policy.map(Arc::new),
        })))
    }

    pub(super) fn client(&self) -> registry::Client {
        self.present().client
    }

    /// What images have to fulfil.
    pub(super) fn policy(&self) -> Option<Arc<Policy>> {
        self.present().policy
    }

    fn present(&self) -> Present {
        // It is swapped whole.
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// As whom a registry is asked, and how far it is trusted.
#[derive(Debug, Clone, Default)]
pub struct Asker {
    /// As whom.
    pub credentials: Credentials,
    /// Its certificate is not verified, and plain http will do, whatever the configuration says.
    pub insecure: bool,
}

impl From<Credentials> for Asker {
    fn from(credentials: Credentials) -> Self {
        Self {
            credentials,
            insecure: false,
        }
    }
}

impl Asker {
    /// A repository, asked like that.
    pub(super) fn repository(
        &self,
        engine: &Engine,
        reference: &ImageRef,
    ) -> Result<registry::Repository, Error> {
        let mut client = engine.registries().client();
        if self.insecure {
            let mut config = client.config().clone();
            config.insecure.push(reference.domain().to_owned());
            client = registry::Client::new(config)?;
        }
        Ok(client.repository(reference, &self.credentials))
    }
}

/// From now on registries are asked as this says, and images have to fulfil this; what is under way ends
/// as it began.
pub fn reload(engine: &Engine, config: Config, policy: Option<Policy>) -> Result<(), Error> {
    let present = Shared::new(config, policy)?.present();
    let mut shared = engine
        .registries()
        .0
        .write()
        .unwrap_or_else(PoisonError::into_inner);
    *shared = present;
    Ok(())
}

/// The configuration in force.
pub fn config(engine: &Engine) -> Config {
    engine.registries().client().config().clone()
}

/// Whether credentials are right; a token to use instead of the password, if the registry gave one.
pub async fn login(
    engine: &Engine,
    server: &str,
    credentials: &Credentials,
) -> Result<Option<String>, Error> {
    let login = engine
        .registries()
        .client()
        .login(server, credentials)
        .await?;
    Ok(login.identity_token)
}

/// Repositories by words in their names.
pub async fn search(
    engine: &Engine,
    search: &Search,
    credentials: &Credentials,
) -> Result<Vec<Found>, Error> {
    let client = engine.registries().client();
    Ok(client.search(search, credentials).await?)
}

/// What the registry has under a reference; nothing is kept.
pub async fn manifest(
    engine: &Engine,
    reference: &ImageRef,
    asker: &Asker,
) -> Result<Manifest, Error> {
    Ok(asker.repository(engine, reference)?.resolve().await?)
}

/// The configuration of an image; none of an artifact, which has no configuration that we know.
pub async fn configuration(
    engine: &Engine,
    reference: &ImageRef,
    asker: &Asker,
    config: &Descriptor,
) -> Result<Option<ImageConfiguration>, Error> {
    let repository = asker.repository(engine, reference)?;
    let document = super::pull::document(&repository, config).await?;
    Ok(ImageConfiguration::from_reader(&document[..]).ok())
}

/// Puts a manifest under a reference; what it names has to be there.
pub async fn put_manifest(
    engine: &Engine,
    reference: &ImageRef,
    asker: &Asker,
    media_type: &str,
    document: Vec<u8>,
) -> Result<types::Digest, Error> {
    let repository = asker.repository(engine, reference)?;
    let tag = reference.tag();
    let put = repository.put_manifest(tag, media_type, document.into());
    Ok(put.await?.digest)
}

/// The tags of a repository.
pub async fn tags(
    engine: &Engine,
    repository: &ImageRef,
    credentials: &Credentials,
) -> Result<Vec<ImageRef>, Error> {
    let client = engine.registries().client();
    let tags = client
        .repository(repository, credentials)
        .all_tags()
        .await?;
    // A registry is a stranger: what is no tag is not asked for.
    let tags = tags.iter().filter_map(|tag| repository.with_tag(tag).ok());
    Ok(tags.collect())
}
