//! A container's files as a new image: its image's layers, as they are, and one more of what its own
//! layer changes.
//!
//! What changed is told as an archive by one thread, and taken as an import takes one: unpacked,
//! hashed and compressed at the same time. Nothing is held in memory but the way to where it is.

mod diff;

use std::sync::Arc;

use rusqlite::OptionalExtension;
use serde::Deserialize;
use types::{Algorithm, Digest, Platform};

use super::changes;
use super::config::{Configuration, DockerConfig, History, RootFs};
use super::documents::{self, Descriptor, Document, MAX_LAYERS, Manifest};
use super::import::{join, receive, write};
use crate::Commit;
use crate::clock;
use crate::compress::Format;
use crate::content;
use crate::error::Error;
use crate::gc::parse_digest;
use crate::image::MediaTypes;
use crate::layer::{Unpacked, gave_up};
use crate::pipe;
use crate::snapshot::UPPER;
use crate::stage::{NewImage, NewManifest, Stage};
use crate::store::Store;
use crate::temp::Blob;

/// What the new image keeps of a configuration.
#[derive(Debug, Deserialize)]
struct Base {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    author: String,
    #[serde(default)]
    history: Option<Vec<History>>,
    rootfs: RootFs,
}

/// What a container was made from.
struct Parent {
    manifest: Manifest,
    base: Base,
    docker: DockerConfig,
}

/// Makes it.
pub(crate) fn commit(store: &Arc<Store>, commit: &Commit<'_>) -> Result<Digest, Error> {
    if let Some(name) = commit.reference.as_ref().filter(|r| r.digest().is_some()) {
        return Err(Error::TagWithDigest(name.clone()));
    }
    let mut run = commit
        .asked
        .clone()
        .unwrap_or_else(|| commit.config.clone());
    changes::apply(&mut run, &commit.changes)?;
    run.complete(&commit.config);
    let mut stage = Stage::new(store);
    let Parent {
        manifest,
        mut base,
        docker,
    } = Parent::of(store, commit)?;
    run.healthcheck = run.healthcheck.or(docker.healthcheck);
    hold(&mut stage, &manifest, &base)?;
    let mut layers: Vec<Descriptor> = manifest.layers.into_iter().map(of_ours).collect();
    let mut content: Vec<Digest> = layers
        .iter()
        .filter(|layer| layer.urls.is_empty())
        .map(|layer| layer.digest.clone())
        .collect();
    let made = layer(store, commit)?;
    let empty_layer = made.is_none();
    if let Some((layer, blob)) = made {
        let media_type = Format::Gzip.media_type().unwrap_or_default();
        stage.add_content(&blob, media_type, Some(&layer.diff_id))?;
        base.rootfs.diff_ids.push(layer.diff_id.clone());
        stage.add_layer(layer)?;
        layers.push(Descriptor::new(media_type, blob.digest.clone(), blob.size));
        content.push(blob.digest.clone());
    }
    let (text, platform) = configuration(commit, base, run, empty_layer)?;
    publish(store, stage, commit, (layers, content), (text, platform))
}

impl Parent {
    fn of(store: &Arc<Store>, commit: &Commit<'_>) -> Result<Self, Error> {
        let sql = "SELECT manifest FROM snapshots WHERE container = ?1";
        let digest: Option<String> = store.read(|db| {
            let mut query = db.prepare_cached(sql)?;
            let id = [commit.container.as_str()];
            Ok(query.query_row(id, |row| row.get(0)).optional()?)
        })?;
        let digest = digest.ok_or_else(|| Error::NoContainer(commit.container.clone()))?;
        let digest = parse_digest(digest)?;
        let what = format!("manifest {digest}");
        let text = content::text(store, &what, &digest)?;
        let Document::Manifest(manifest) = documents::parse_document(&what, &text)? else {
            return Err(Error::image(what, "is an index"));
        };
        let what = format!("configuration {}", manifest.config.digest);
        let text = content::text(store, &what, &manifest.config.digest)?;
        let base: Base = documents::parse(&what, &text)?;
        if base.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(Error::image(
                what,
                "does not have the layers of its manifest",
            ));
        }
        if manifest.layers.len() == MAX_LAYERS {
            let problem = format!("has {MAX_LAYERS} layers, and no image has more");
            return Err(Error::image(format!("image {digest}"), problem));
        }
        let docker = DockerConfig::of(&String::from_utf8_lossy(&text));
        Ok(Self {
            manifest,
            base,
            docker,
        })
    }
}

/// What is taken over stays, whatever becomes of the image it comes from.
fn hold(stage: &mut Stage, manifest: &Manifest, base: &Base) -> Result<(), Error> {
    for layer in manifest.layers.iter().filter(|layer| layer.urls.is_empty()) {
        if !stage.has_content(&layer.digest)? {
            return Err(Error::Missing(format!("content {}", layer.digest)));
        }
    }
    for diff_id in &base.rootfs.diff_ids {
        if !stage.has_layer(diff_id)? {
            return Err(Error::Missing(format!("layer {diff_id}")));
        }
    }
    Ok(())
}

fn of_ours(mut layer: Descriptor) -> Descriptor {
    layer.media_type = MediaTypes::Oci.layer(&layer.media_type).to_owned();
    layer
}

/// What the container has changed; nothing if that is nothing.
fn layer(store: &Arc<Store>, commit: &Commit<'_>) -> Result<Option<(Unpacked, Blob)>, Error> {
    let path = store.paths.container(&commit.container).join(UPPER);
    let upper = sys::dir::Dir::open(&path).map_err(Error::file("open", &path))?;
    std::thread::scope(|scope| {
        let (mut sender, mut receiver) = pipe::pipe();
        let teller = scope.spawn(move || {
            let any = diff::write(&upper, commit.below, commit.places, &mut sender)?;
            sender.finish().map_err(Error::Output)?;
            Ok(any)
        });
        let received = receive(store, &mut receiver);
        drop(receiver);
        match (received, join(teller)) {
            (Err(error), Err(cause)) if gave_up(&error) => Err(cause),
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok((layer, blob, _)), Ok(any)) => Ok(any.then_some((layer, blob))),
        }
    })
}

/// The text of the new image's configuration, and its platform.
fn configuration(
    commit: &Commit<'_>,
    base: Base,
    run: crate::RunConfig,
    empty_layer: bool,
) -> Result<(Vec<u8>, Platform), Error> {
    let host = Platform::host();
    let said = |text: String, host: &String| match text.is_empty() {
        true => host.clone(),
        false => text,
    };
    let architecture = said(base.architecture, &host.architecture);
    let os = said(base.os, &host.os);
    let author = match commit.author.is_empty() {
        true => base.author,
        false => commit.author.clone(),
    };
    let created = clock::rfc3339_now();
    let mut history = base.history.unwrap_or_default();
    history.push(History {
        created: Some(created.clone()),
        created_by: commit.created_by.clone(),
        author: author.clone(),
        comment: commit.comment.clone(),
        empty_layer,
    });
    let config = Configuration {
        architecture: &architecture,
        author: &author,
        variant: base.variant.as_deref(),
        config: run,
        created: &created,
        history,
        os: &os,
        rootfs: base.rootfs,
    };
    let text = documents::print("the configuration", &config)?;
    let platform = documents::platform_of(&text).unwrap_or(host);
    Ok((text, platform))
}

fn publish(
    store: &Arc<Store>,
    mut stage: Stage,
    commit: &Commit<'_>,
    (layers, mut content): (Vec<Descriptor>, Vec<Digest>),
    (text, platform): (Vec<u8>, Platform),
) -> Result<Digest, Error> {
    let config = write(store, &text, Algorithm::Sha256)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: documents::MANIFEST.to_owned(),
        config: Descriptor::new(documents::CONFIG, config.digest.clone(), config.size),
        layers,
    };
    let manifest = documents::print("the manifest", &manifest)?;
    let manifest = write(store, &manifest, Algorithm::Sha256)?;
    let id = manifest.digest.clone();
    content.extend([id.clone(), config.digest.clone()]);
    let parsed: Base = documents::parse("the configuration", &text)?;
    let image = NewImage {
        id: id.clone(),
        manifest: NewManifest {
            digest: id.clone(),
            config: String::from_utf8_lossy(&text).into_owned(),
            layers: parsed.rootfs.diff_ids,
            platform: Some(platform),
        },
        content,
    };
    stage.add_content(&config, documents::CONFIG, None)?;
    stage.add_content(&manifest, documents::MANIFEST, None)?;
    let name = commit.reference.iter();
    let names: Vec<_> = name.map(|name| (name.clone(), id.clone())).collect();
    stage.publish(&[image], &names, &[])?;
    Ok(id)
}
