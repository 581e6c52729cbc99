//! Caches elsewhere: those that the client names are read before the build, and written after it. A registry
//! and a directory of the client's can hold one, and an image has it in itself.

use std::collections::HashMap;
use std::sync::Arc;

use builder::solve::{Ask, Blobs as _, Built, CacheFrom, CacheMode, Failure};
use buildkit::content::{READ, WRITE};
use buildkit::control::CacheOptionsEntry;
use engine::Descriptor;
use tokio::runtime::Handle;
use types::{Digest, ErrorKind, ImageRef};

use super::client::FromSession;
use super::content::Content;
use super::frontend::Step;
use super::jobs::Job;
use crate::app::App;

/// Kinds of caches.
const EXPECTED: &str = "registry, local or inline is expected";

/// Where one is written.
pub(super) struct CacheTo {
    mode: CacheMode,
    ignore_error: bool,
    place: Place,
}

enum Place {
    Inline,
    Registry(ImageRef),
    /// A store of the client's.
    Local(String),
}

impl CacheTo {
    /// Reads what the client asks for.
    pub(super) fn read(entry: &CacheOptionsEntry) -> Result<Self, Failure> {
        let text = |name: &str| {
            entry
                .attrs
                .get(name)
                .map(String::as_str)
                .unwrap_or_default()
        };
        let mode = match text("mode") {
            "" | "min" => CacheMode::Min,
            "max" => CacheMode::Max,
            other => {
                let sentence = format!("cache export mode {other}: min or max is expected");
                return Err(Failure::invalid(sentence));
            }
        };
        let compression = text("compression");
        if !matches!(compression, "" | "gzip") {
            let sentence = format!(
                "a cache cannot be exported with compression={compression}: gzip is expected"
            );
            return Err(Failure::new(ErrorKind::Unsupported, sentence));
        }
        let place = match entry.kind.as_str() {
            "inline" => Place::Inline,
            "registry" => Place::Registry(reference(entry)?),
            "local" => Place::Local(store(entry, "dest")),
            other => return Err(unknown("exported to", other)),
        };
        Ok(Self {
            mode,
            ignore_error: text("ignore-error") == "true",
            place,
        })
    }

    pub(super) fn is_inline(&self) -> bool {
        matches!(self.place, Place::Inline)
    }
}

fn unknown(what: &str, kind: &str) -> Failure {
    let sentence = format!("a cache cannot be {what} {kind}: {EXPECTED}");
    Failure::new(ErrorKind::Unsupported, sentence)
}

/// The names that one may have, one behind the other in older clients.
fn reference(entry: &CacheOptionsEntry) -> Result<ImageRef, Failure> {
    let name = entry.attrs.get("ref").map(String::as_str);
    let name = name.unwrap_or_default();
    name.parse()
        .map_err(|error: types::InvalidReference| Failure::invalid(error.to_string()))
}

fn store(entry: &CacheOptionsEntry, name: &str) -> String {
    let dir = entry.attrs.get(name).map(String::as_str);
    format!("local:{}", dir.unwrap_or_default())
}

/// Reads the caches that a build may take results from. One that cannot be had is told of, and no more.
pub(super) async fn import(app: &Arc<App>, job: &Arc<Job>, entries: Vec<CacheOptionsEntry>) {
    if entries.is_empty() {
        return;
    }
    let client = FromSession::new(
        job.clone(),
        app.builds.kept.clone(),
        app.engine.config().run_root.clone(),
    );
    let (app, job) = (app.clone(), job.clone());
    let handle = Handle::current();
    // A panic in it is told of by the daemon's hook.
    let _ = tokio::task::spawn_blocking(move || {
        for entry in entries {
            let shown = match entry.kind.as_str() {
                "registry" => entry.attrs.get("ref").cloned().unwrap_or_default(),
                other => other.to_owned(),
            };
            let step = Step::of(&job, format!("importing cache manifest from {shown}"));
            let read = one(&app, &job, &handle, &client, &entry);
            if let Ok(cache) = step.end(&job, read) {
                job.memory.add_cache(cache);
            }
        }
    })
    .await;
}

fn one(
    app: &App,
    job: &Arc<Job>,
    handle: &Handle,
    client: &FromSession,
    entry: &CacheOptionsEntry,
) -> Result<CacheFrom, Failure> {
    match entry.kind.as_str() {
        "registry" => {
            let reference = reference(entry)?;
            let ask = ask(job, client);
            app.builds.solver.cache_from(&ask, &reference.to_string())
        }
        "local" => {
            let content = Content::open(job, handle, store(entry, "src"));
            let content = content.ok_or_else(|| no_stores(READ))?;
            let digest = entry.attrs.get("digest").map(String::as_str);
            let digest: Digest = digest.unwrap_or_default().parse().map_err(|_| {
                Failure::invalid("the local cache has no digest: its index.json names none")
            })?;
            let root = content.document(&Descriptor {
                media_type: String::new(),
                digest,
                size: 0,
                urls: Vec::new(),
                platform: None,
            })?;
            CacheFrom::read(&root, Arc::new(content))
        }
        other => Err(unknown("imported from", other)),
    }
}

fn no_stores(method: &str) -> Failure {
    let sentence = format!("the client has no stores of content: its session has no {method}");
    Failure::invalid(sentence)
}

fn ask<'a>(job: &'a Job, client: &'a FromSession) -> Ask<'a> {
    Ask {
        client,
        progress: job.feed.as_ref(),
        cancel: &job.cancel,
        entitlements: &job.entitlements,
        memory: &job.memory,
    }
}

/// Writes the caches that the client asks for; what it is told of them. On a thread that may block.
pub(super) fn export(
    app: &App,
    client: &FromSession,
    handle: &Handle,
    caches: &[CacheTo],
    built: &[Built],
) -> Result<HashMap<String, String>, Failure> {
    let mut response = HashMap::new();
    let job = &client.job;
    for cache in caches.iter().filter(|cache| !cache.is_inline()) {
        let shown = match &cache.place {
            Place::Registry(_) => "exporting cache to registry",
            _ => "exporting cache to client directory",
        };
        let step = Step::of(job, shown.to_owned());
        let written = write(app, client, handle, cache, built, &step);
        match step.end(job, written) {
            Ok(manifest) => drop(response.insert("cache.manifest".to_owned(), manifest)),
            Err(error) if cache.ignore_error && !error.cancelled => {
                tracing::warn!("a cache was not exported: {}", error.message);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(response)
}

/// What names the cache, for programs.
fn write(
    app: &App,
    client: &FromSession,
    handle: &Handle,
    cache: &CacheTo,
    built: &[Built],
    step: &Step,
) -> Result<String, Failure> {
    let (job, solver) = (&client.job, &app.builds.solver);
    let ask = ask(job, client);
    step.tell(job, "preparing build cache for export".to_owned());
    let made = solver.cache_to(&ask, built, cache.mode)?;
    let root = serde_json::json!({
        "mediaType": made.root.media_type,
        "digest": made.root.digest.to_string(),
        "size": made.root.size,
    });
    match &cache.place {
        Place::Registry(reference) => solver.put(&ask, reference, made)?,
        Place::Local(store) => {
            let content = Content::open(job, handle, store.clone());
            let content = content.ok_or_else(|| no_stores(WRITE))?;
            let blobs = made.blobs().iter().map(|blob| &blob.descriptor);
            for wanted in blobs.chain(made.documents()) {
                step.tell(job, format!("writing {}", wanted.digest));
                let opened = made.open(&wanted.digest, 0);
                let mut from = opened.map_err(Failure::from)?;
                content.write(wanted, &mut from)?;
            }
        }
        Place::Inline => {}
    }
    Ok(root.to_string())
}
