//! `/images`

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Version, wire};
use engine::{Asked, Engine, Image, ImageUsage, Import, Variant, image};
use hyper::StatusCode;
use types::{Digest, ErrorKind, ImageRef, Platform};

use super::image_filter::{Filter, PruneFilter};
use super::{archives, image_view, progress, transfers};
use crate::app::App;
use crate::http::body::Body;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

pub(super) async fn list(app: &App, call: &Call) -> Answer {
    let filters = call.query.filters()?;
    let version = call.version;
    let manifests = version.has(47) && call.query.flag("manifests");
    let shared = call.query.flag("shared-size");
    let lines = app
        .blocking(move |engine| {
            let filter = match Filter::read(engine, filters) {
                Ok(filter) => filter,
                Err(failure) => return Ok(Err(failure)),
            };
            let mut lines = Vec::new();
            let mut images = image::list(engine)?;
            // As Docker's: by when they were made, and not by when they came here.
            images.sort_by_key(|(image, _)| Reverse(image_view::created(image)));
            for (image, containers) in images {
                let Some(shown) = filter.takes(&image) else {
                    continue;
                };
                let mut line = image_view::summary(&image, &shown, containers, version);
                match complete(engine, &image, &mut line, version, manifests) {
                    Ok(()) => lines.push(line),
                    Err(_) if is_gone(engine, &image) => {}
                    Err(error) => return Err(error),
                }
            }
            if shared {
                share(engine, &mut lines)?;
            }
            Ok(Ok(lines))
        })
        .await?;
    respond::ok(&lines?)
}

/// What is asked of each image by itself.
fn complete(
    engine: &Engine,
    image: &Image,
    line: &mut wire::ImageSummary,
    version: Version,
    manifests: bool,
) -> Result<(), engine::Error> {
    if version.has(48) {
        let descriptor = image::descriptor(engine, &image.id)?;
        line.descriptor = Some(image_view::descriptor(&descriptor));
    }
    if manifests {
        line.manifests = Some(variants(engine, image)?);
    }
    Ok(())
}

/// Whether somebody has removed it since it was listed.
fn is_gone(engine: &Engine, image: &Image) -> bool {
    let found = image::inspect(engine, &image.id.to_string());
    found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn variants(engine: &Engine, image: &Image) -> Result<Vec<wire::ManifestSummary>, engine::Error> {
    let mut users: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    for (container, manifest) in image::manifests(engine)? {
        let of = users.entry(manifest.digest.clone()).or_default();
        of.push(container);
    }
    let variants = image::variants(engine, image)?;
    let shown = |variant: &Variant| {
        let mut users = users.remove(&variant.descriptor.digest).unwrap_or_default();
        users.sort();
        image_view::manifest(variant, users)
    };
    Ok(variants.iter().map(shown).collect())
}

/// What names the manifest that an image is on the platform that was asked for, and that platform.
fn on_platform(engine: &Engine, image: &Image) -> Result<wire::Descriptor, engine::Error> {
    let variants = image::variants(engine, image)?;
    let mut of = variants.into_iter();
    match of.find(|variant| variant.descriptor.digest == image.manifest) {
        Some(variant) => Ok(image_view::manifest_descriptor(&engine::Descriptor {
            platform: variant.platform,
            ..variant.descriptor
        })),
        None => Ok(image_view::descriptor(&image::descriptor(
            engine, &image.id,
        )?)),
    }
}

/// Says of each how much it shares with others.
fn share(engine: &Engine, lines: &mut [wire::ImageSummary]) -> Result<(), engine::Error> {
    let usage = image::usage(engine)?;
    for line in lines {
        let of = |image: &&(ImageUsage, usize)| image.0.id.to_string() == line.id;
        if let Some((image, _)) = usage.images.iter().find(of) {
            line.shared_size = i64::try_from(image.shared).unwrap_or(i64::MAX);
        }
    }
    Ok(())
}

/// Compose 1.x, in Python, speaks the newest version that there is and still expects what has gone since.
fn is_old_compose(call: &Call) -> bool {
    let agent = call.request.headers().get(hyper::header::USER_AGENT);
    agent.is_some_and(|agent| agent.as_bytes().starts_with(b"docker-compose/1."))
}

pub(super) async fn inspect(app: &App, call: &Call) -> Answer {
    let platform = transfers::platform_json(call)?;
    let manifests = call.version.has(48) && call.query.flag("manifests");
    if manifests && platform.is_some() {
        return Err(Failure::bad_request(
            "conflicting options: manifests and platform options cannot both be set",
        ));
    }
    let (name, version) = (call.name.clone(), call.version);
    let old_compose = is_old_compose(call);
    let answer = app
        .blocking(move |engine| {
            let image = image::inspect_on(engine, &name, platform.as_ref())?;
            let mut answer = image_view::inspect(&image, version);
            if old_compose {
                answer.container_config = Some(answer.config.clone());
            }
            if version.has(48) {
                answer.descriptor = Some(match &platform {
                    None => image_view::descriptor(&image::descriptor(engine, &image.id)?),
                    Some(_) => on_platform(engine, &image)?,
                });
            }
            if manifests {
                answer.manifests = Some(variants(engine, &image)?);
            }
            Ok(answer)
        })
        .await?;
    respond::ok(&answer)
}

/// What is said about an image: its provenance, its bill of materials.
pub(super) async fn attestations(app: &App, call: &Call) -> Answer {
    let mut platforms = transfers::platforms(call, "platform")?;
    if platforms.len() > 1 {
        return Err(Failure::bad_request(
            "multiple platform values are not supported: one is expected",
        ));
    }
    let kinds = call.query.all("type").filter(|kind| !kind.is_empty());
    let asked = Asked {
        platform: platforms.pop(),
        predicates: kinds.map(str::to_owned).collect(),
        texts: call.query.flag("statement"),
    };
    let name = call.name.clone();
    let found = app
        .blocking(move |engine| image::statements(engine, &name, &asked))
        .await?;
    let shown: Result<Vec<_>, _> = found.into_iter().map(image_view::statement).collect();
    let broken = |error| {
        Failure::new(
            ErrorKind::Internal,
            format!("a statement is no JSON: {error}"),
        )
    };
    let shown = shown.map_err(broken)?;
    respond::ok(&shown)
}

pub(super) async fn tag(app: &App, call: &Call) -> Answer {
    let target = target(call)?.ok_or_else(|| {
        Failure::bad_request("invalid reference format: repo must name a repository")
    })?;
    let source = call.name.clone();
    app.blocking(move |engine| image::tag(engine, &source, &target))
        .await?;
    Ok(respond::status(StatusCode::CREATED))
}

/// What `repo` and `tag` name.
pub(super) fn target(call: &Call) -> Result<Option<ImageRef>, Failure> {
    let Some(repository) = call.query.get("repo") else {
        return Ok(None);
    };
    let named: ImageRef = repository.parse()?;
    if named.digest().is_some() {
        return Err(Failure::bad_request(format!(
            "refusing to create a tag with a digest reference: {repository}"
        )));
    }
    if named.familiar_name() == "sha256" {
        return Err(Failure::bad_request(
            "refusing to create an ambiguous tag using digest algorithm as name",
        ));
    }
    Ok(Some(match call.query.get("tag") {
        Some(tag) => named.with_tag(tag)?,
        None => named,
    }))
}

pub(super) async fn remove(app: &App, call: &Call) -> Answer {
    let (name, force) = (call.name.clone(), call.query.flag("force"));
    if name.trim().is_empty() {
        return Err(Failure::bad_request("image name cannot be blank"));
    }
    let platforms = transfers::platforms(call, "platforms")?;
    let removed = app
        .blocking(move |engine| match platforms.as_slice() {
            [] => image::remove(engine, &name, force),
            platforms => image::remove_platforms(engine, &name, platforms),
        })
        .await?;
    let items: Vec<_> = removed.iter().map(image_view::removed).collect();
    respond::ok(&items)
}

pub(super) async fn history(app: &App, call: &Call) -> Answer {
    let (name, platform) = (call.name.clone(), transfers::platform_json(call)?);
    let (image, sizes) = app
        .blocking(move |engine| {
            let image = image::inspect_on(engine, &name, platform.as_ref())?;
            let sizes = image::layer_sizes(engine, &image)?;
            Ok((image, sizes))
        })
        .await?;
    respond::ok(&image_view::history(&image, &sizes))
}

pub(super) async fn prune(app: &App, call: &Call) -> Answer {
    let filters = call.query.filters()?;
    let filter = PruneFilter::read(filters)?;
    let pruned = app
        .blocking(move |engine| {
            image::prune(engine, filter.all, |image| {
                filter.takes(&image_view::labels(image), image_view::created(image))
            })
        })
        .await?;
    let items: Vec<_> = pruned.removed.iter().map(image_view::removed).collect();
    respond::ok(&wire::ImagesPruned {
        images_deleted: (!items.is_empty()).then_some(items),
        space_reclaimed: pruned.reclaimed,
    })
}

/// Import, or pull.
pub(super) async fn create(app: &Arc<App>, call: Call) -> Answer {
    match (call.query.get("fromImage"), call.query.get("fromSrc")) {
        (Some(_), _) => transfers::pull(app, &call).await,
        (None, Some("-")) => import(app, call).await,
        (None, Some(url)) => import_from(app, &call, url).await,
        (None, None) => Err(Failure::bad_request("fromImage or fromSrc must be said")),
    }
}

fn import_of(call: &Call) -> Result<Import, Failure> {
    Ok(Import {
        reference: target(call)?,
        platform: call
            .query
            .get("platform")
            .map(str::parse::<Platform>)
            .transpose()?,
        message: call.query.get("message").unwrap_or_default().to_owned(),
        changes: call.query.all("changes").map(str::to_owned).collect(),
    })
}

/// What the daemon fetches itself. Given up when the client goes.
async fn import_from(app: &App, call: &Call, url: &str) -> Answer {
    let id = image::import_from(&app.engine, url, import_of(call)?).await?;
    let lines = [format!("Downloading from {url}"), id.to_string()];
    let lines = lines.map(|status| {
        respond::json_bytes(&wire::Progress {
            status,
            ..wire::Progress::default()
        })
    });
    Ok(respond::json_stream(Body::full(lines.concat())))
}

async fn import(app: &App, call: Call) -> Answer {
    let import = import_of(&call)?;
    let id = archives::receive(app, call, move |engine, archive| {
        image::import(engine, archive, &import)
    })
    .await?;
    let message = wire::Progress {
        status: id.to_string(),
        ..wire::Progress::default()
    };
    Ok(respond::json_stream(Body::full(respond::json_bytes(
        &message,
    ))))
}

pub(super) async fn load(app: &App, call: Call) -> Answer {
    let platforms = one_platform(&call)?;
    let loaded = archives::receive(app, call, move |engine, archive| {
        image::load(engine, archive, &platforms)
    });
    let loaded = match loaded.await {
        Ok(loaded) => loaded,
        // What is wrong with the archive is said within the answer, as clients expect it.
        Err(failure) if failure.status() == StatusCode::BAD_REQUEST => {
            let told = progress::failure(failure.message().to_owned());
            return Ok(respond::json_stream(Body::full(respond::json_bytes(&told))));
        }
        Err(failure) => return Err(failure),
    };
    let mut body = Vec::new();
    for loaded in loaded {
        let stream = match &loaded.reference {
            Some(reference) => format!("Loaded image: {}\n", reference.familiar()),
            None => format!("Loaded image ID: {}\n", loaded.id),
        };
        body.extend(respond::json_bytes(&wire::Progress {
            stream,
            ..wire::Progress::default()
        }));
    }
    Ok(respond::json_stream(Body::full(body)))
}

pub(super) async fn save(app: &App, call: &Call) -> Answer {
    let names: Vec<String> = call.query.all("names").map(str::to_owned).collect();
    if names.is_empty() {
        return Err(Failure::bad_request("names must be said"));
    }
    save_names(app, call, names, one_platform(call)?).await
}

/// The platforms to save or load: before API 1.52 there was one at most.
fn one_platform(call: &Call) -> Result<Vec<Platform>, Failure> {
    let platforms = transfers::platforms(call, "platform")?;
    if platforms.len() > 1 && !call.version.has(52) {
        let words = "multiple platform parameters not supported";
        return Err(Failure::bad_request(words));
    }
    Ok(platforms)
}

pub(super) async fn save_one(app: &App, call: &Call) -> Answer {
    save_names(app, call, vec![call.name.clone()], one_platform(call)?).await
}

fn check_saved(engine: &Engine, name: &str, platforms: &[Platform]) -> Result<(), engine::Error> {
    image::inspect(engine, name)?;
    platforms
        .iter()
        .try_for_each(|platform| image::inspect_on(engine, name, Some(platform)).map(drop))
}

async fn save_names(
    app: &App,
    call: &Call,
    names: Vec<String>,
    platforms: Vec<Platform>,
) -> Answer {
    let (wanted, of) = (names.clone(), platforms.clone());
    app.blocking(move |engine| {
        image::saved_names(engine, &wanted)?
            .iter()
            .try_for_each(|name| check_saved(engine, name, &of))
    })
    .await?;
    let what = format!("images {}", names.join(" "));
    archives::send(app, call, what, move |engine, out| {
        image::save(engine, &names, &platforms, &BTreeMap::new(), out)
            .map_err(|error| error.chain())
    })
    .await
}
