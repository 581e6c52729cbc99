//! `/auth`, `/images/search`, `/distribution`, and Brig's own `/brig/manifests`.

use api::wire;
use engine::image;
use engine::image::registries::{self, Asker, Content, Credentials, Found, Manifest, Search};
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use types::{ErrorKind, ImageRef};

use super::registry_auth::{self, credential, credentials};
use crate::app::App;
use crate::http::body;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

/// How Docker calls its own registry where people log in.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

pub(super) async fn auth(app: &App, call: Call) -> Answer {
    let agent = registry_auth::agent(&call);
    // Whatever it says that it is, as with Docker.
    let auth: Option<wire::AuthConfig> = body::json(call.request.into_body()).await?;
    let auth = auth.unwrap_or_default();
    let server = match auth.server_address.as_str() {
        "" => DOCKER_HUB,
        server => server,
    };
    let credentials = Credentials::own(credential(&auth)).for_client(&agent);
    let login = registries::login(&app.engine, host_of(server), &credentials).await;
    let token = login.map_err(|error| {
        let failure = Failure::from(error);
        // Docker's clients ask again only after 401.
        match failure.status() {
            StatusCode::FORBIDDEN => Failure::new(ErrorKind::Unauthorized, failure.message()),
            _ => failure,
        }
    })?;
    respond::ok(&wire::AuthResponse {
        status: "Login Succeeded".to_owned(),
        identity_token: token.unwrap_or_default(),
    })
}

/// A server as people log in to it: `https://host:port/v1/` is `host:port`.
fn host_of(server: &str) -> &str {
    if server == DOCKER_HUB {
        return "docker.io";
    }
    let bare = server
        .strip_prefix("https://")
        .or_else(|| server.strip_prefix("http://"))
        .unwrap_or(server);
    bare.split('/').next().unwrap_or(bare)
}

pub(super) async fn search(app: &App, call: &Call) -> Answer {
    /// As Docker's.
    const DEFAULT: u32 = 25;
    let credentials = credentials(call);
    let term = call
        .query
        .get("term")
        .ok_or_else(|| Failure::bad_request("term must be said"))?;
    let limit = call.query.number::<u32>("limit")?.unwrap_or(DEFAULT);
    if !(1..=100).contains(&limit) {
        return Err(Failure::bad_request(format!(
            "limit {limit} is outside the range of [1, 100]"
        )));
    }
    let filter = SearchFilter::read(call)?;
    let search = Search {
        term: term.to_owned(),
        limit,
    };
    let found = registries::search(&app.engine, &search, &credentials).await?;
    let lines: Vec<_> = found
        .into_iter()
        .filter(|found| filter.takes(found))
        .map(line)
        .collect();
    respond::ok(&lines)
}

fn line(found: Found) -> wire::SearchResult {
    wire::SearchResult {
        star_count: i64::try_from(found.stars).unwrap_or(i64::MAX),
        is_official: found.official,
        name: found.name,
        is_automated: found.automated,
        description: found.description,
    }
}

/// Which of those found are shown.
#[derive(Debug, Default)]
struct SearchFilter {
    official: Option<bool>,
    automated: Option<bool>,
    stars: u64,
}

impl SearchFilter {
    fn read(call: &Call) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for (key, values) in call.query.filters()? {
            let value = values.first().map(String::as_str).unwrap_or_default();
            let invalid = || Failure::bad_request(format!("invalid filter '{key}={value}'"));
            match key.as_str() {
                "is-official" => filter.official = Some(value.parse().map_err(|_| invalid())?),
                "is-automated" => filter.automated = Some(value.parse().map_err(|_| invalid())?),
                "stars" => filter.stars = value.parse().map_err(|_| invalid())?,
                _ => return Err(Failure::bad_request(format!("invalid filter '{key}'"))),
            }
        }
        Ok(filter)
    }

    fn takes(&self, found: &Found) -> bool {
        self.official.is_none_or(|wanted| found.official == wanted)
            && self
                .automated
                .is_none_or(|wanted| found.automated == wanted)
            && found.stars >= self.stars
    }
}

pub(super) async fn distribution(app: &App, call: &Call) -> Answer {
    let (reference, asker) = (reference(call)?, Asker::from(credentials(call)));
    let manifest = registries::manifest(&app.engine, &reference, &asker).await?;
    let platforms = match &manifest.content {
        Content::Index { .. } => platforms(&manifest.bytes),
        Content::Image { .. } => {
            let platform = platform(&app.engine, &reference, &asker, &manifest).await?;
            platform.into_iter().collect()
        }
    };
    respond::ok(&wire::DistributionInspect {
        descriptor: descriptor(&manifest.descriptor),
        platforms,
    })
}

/// The platforms that an index names, in its own words.
fn platforms(index: &[u8]) -> Vec<wire::OciPlatform> {
    let index: serde_json::Value = serde_json::from_slice(index).unwrap_or_default();
    let manifests = index["manifests"].as_array().into_iter().flatten();
    let platforms = manifests.filter_map(|manifest| manifest.get("platform"));
    platforms
        .filter_map(|platform| serde_json::from_value(platform.clone()).ok())
        .collect()
}

/// What an image says that it runs on, in its own words.
async fn platform(
    engine: &engine::Engine,
    reference: &ImageRef,
    asker: &Asker,
    manifest: &Manifest,
) -> Result<Option<wire::OciPlatform>, Failure> {
    let Content::Image { config, .. } = &manifest.content else {
        return Ok(None);
    };
    let config = registries::configuration(engine, reference, asker, config).await?;
    Ok(config.map(|config| wire::OciPlatform {
        architecture: config.architecture().to_string(),
        os: config.os().to_string(),
        os_version: config.os_version().clone().unwrap_or_default(),
        os_features: config.os_features().clone().unwrap_or_default(),
        variant: config.variant().clone().unwrap_or_default(),
    }))
}

fn descriptor(of: &registries::Descriptor) -> wire::Descriptor {
    wire::Descriptor {
        media_type: of.media_type.clone(),
        digest: of.digest.to_string(),
        size: i64::try_from(of.size).unwrap_or(i64::MAX),
        annotations: None,
        platform: None,
    }
}

fn reference(call: &Call) -> Result<ImageRef, Failure> {
    Ok(call.name.parse()?)
}

/// Brig's own verbs about manifests may be told to trust a registry.
fn asker(call: &Call) -> Result<Asker, Failure> {
    Ok(Asker {
        credentials: credentials(call),
        insecure: call.query.flag("insecure"),
    })
}

pub(super) async fn manifest(app: &App, call: &Call) -> Answer {
    let (reference, asker) = (reference(call)?, asker(call)?);
    let manifest = registries::manifest(&app.engine, &reference, &asker).await?;
    let platform = match call.query.flag("platform") {
        true => platform(&app.engine, &reference, &asker, &manifest).await?,
        false => None,
    };
    respond::ok(&wire::RegistryManifest {
        descriptor: descriptor(&manifest.descriptor),
        document: String::from_utf8_lossy(&manifest.bytes).into_owned(),
        platform,
    })
}

pub(super) async fn put_manifest(app: &App, call: Call) -> Answer {
    let (reference, asker) = (reference(&call)?, asker(&call)?);
    let media_type = call.request.headers().get(CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let media_type = media_type
        .ok_or_else(|| Failure::bad_request("Content-Type must name the manifest's media type"))?
        .to_owned();
    let document = body::bytes(call.request.into_body()).await?;
    let put = registries::put_manifest(
        &app.engine,
        &reference,
        &asker,
        &media_type,
        document.to_vec(),
    );
    let digest = put.await?;
    respond::ok(&wire::PushResult {
        tag: reference.tag().unwrap_or_default().to_owned(),
        digest: digest.to_string(),
        size: i64::try_from(document.len()).unwrap_or(i64::MAX),
    })
}

/// An image to this repository from another one of its registry.
pub(super) async fn copy_manifest(app: &App, call: &Call) -> Answer {
    let (to, asker) = (reference(call)?, asker(call)?);
    let from = call.query.get("from");
    let from = from.ok_or_else(|| Failure::bad_request("from must name an image"))?;
    let digest = image::copy(&app.engine, &from.parse()?, &to, &asker).await?;
    respond::ok(&wire::PushResult {
        tag: String::new(),
        digest: digest.to_string(),
        size: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_hosts() {
        for (server, host) in [
            (DOCKER_HUB, "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("https://r.example.com/v1/", "r.example.com"),
            ("http://r:80", "r:80"),
        ] {
            assert_eq!(host_of(server), host);
        }
    }
}
