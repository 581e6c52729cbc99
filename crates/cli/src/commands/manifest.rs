//! What the verbs about manifests share.

use api::client::{Error, ManifestQuery};
use api::wire::{AuthConfig, PushResult, RegistryManifest};
use types::ImageRef;

use super::Context;
use super::pull::credentials;
use crate::error::CliError;
use crate::manifests::Lists;

/// The lists of whoever calls.
pub(super) fn lists() -> Result<Lists, CliError> {
    Lists::open(&|name| std::env::var(name).ok())
}

/// The name of a list or an image.
pub(super) fn parse(what: &str, name: &str) -> Result<ImageRef, CliError> {
    let named = |error: types::InvalidReference| {
        CliError::Invalid(format!("error parsing name for {what} {name}: {error}"))
    };
    name.parse().map_err(named)
}

pub(super) fn no_such(name: &ImageRef) -> CliError {
    CliError::Invalid(format!("No such manifest: {name}"))
}

/// Asks registries, through the daemon, as whoever calls.
pub(super) struct Asking<'a> {
    context: &'a Context,
    insecure: bool,
}

impl<'a> Asking<'a> {
    /// `insecure`: the registry is trusted whatever its certificate.
    pub(super) fn new(context: &'a Context, insecure: bool) -> Self {
        Self { context, insecure }
    }

    fn query(&self, reference: &ImageRef) -> ManifestQuery {
        ManifestQuery {
            name: reference.to_string(),
            insecure: self.insecure,
        }
    }

    fn auth(reference: &ImageRef) -> Result<AuthConfig, CliError> {
        Ok(credentials()?.of(reference)?)
    }

    /// What a registry has under a reference.
    pub(super) async fn manifest(
        &self,
        reference: &ImageRef,
    ) -> Result<RegistryManifest, CliError> {
        let client = &self.context.daemon.client;
        let auth = Self::auth(reference)?;
        match client.manifest(&self.query(reference), &auth).await {
            // Who has to log in first is told so, not that there is nothing.
            Err(Error::Refused { message, .. }) if message.contains("manifest unknown") => {
                Err(CliError::Invalid(format!("no such manifest: {reference}")))
            }
            other => Ok(other?),
        }
    }

    /// Puts a manifest there.
    pub(super) async fn put(
        &self,
        reference: &ImageRef,
        media_type: &str,
        document: &str,
    ) -> Result<PushResult, CliError> {
        let client = &self.context.daemon.client;
        let (query, auth) = (self.query(reference), Self::auth(reference)?);
        Ok(client
            .manifest_put(&query, media_type, document, &auth)
            .await?)
    }

    /// Lets a repository have an image of another one.
    pub(super) async fn copy(&self, to: &ImageRef, from: &ImageRef) -> Result<(), CliError> {
        let client = &self.context.daemon.client;
        let (query, auth) = (self.query(to), Self::auth(to)?);
        let from = from.to_string();
        client.manifest_copy(&query, &from, &auth).await?;
        Ok(())
    }
}

/// The image of this digest in the repository of a reference.
pub(super) fn by_digest(reference: &ImageRef, digest: &str) -> Result<ImageRef, CliError> {
    parse("manifest", &format!("{}@{digest}", reference.repository()))
}
