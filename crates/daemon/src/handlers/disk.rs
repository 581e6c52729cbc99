//! `/system/df`

use std::collections::HashMap;

use api::wire;
use engine::image::{self, Usage};
use engine::{Engine, container};
use serde_json::Value;

use super::{build, container_view, image_view, volumes};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

/// Kinds that `type` may name.
const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];

pub(super) async fn usage(app: &App, call: &Call) -> Answer {
    let asked: Vec<String> = call.query.all("type").map(str::to_owned).collect();
    if let Some(other) = asked.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(Failure::bad_request(format!(
            "unknown object type: {other}: one of {} is expected",
            KINDS.join(", ")
        )));
    }
    let version = call.version;
    let (usage, images) = app
        .blocking(move |engine| {
            let usage = image::usage(engine)?;
            let images = images(engine, &usage, version)?;
            Ok((usage, images))
        })
        .await?;
    let containers = containers(&app.engine, &usage, version);
    let volumes = match asked.is_empty() || asked.iter().any(|kind| kind == "volume") {
        true => app.blocking(engine::volume::usage).await?,
        false => Vec::new(),
    };
    let volumes: Vec<_> = volumes.iter().map(volumes::line).collect();
    let verbose = call.query.flag("verbose");
    let wants = |kind: &str| asked.is_empty() || asked.iter().any(|a| a == kind);
    let builds = match wants("build-cache") {
        true => build::records(app).await?,
        false => Vec::new(),
    };
    let mut answer = wire::DiskUsage::default();
    if version.has(52) {
        let some = |kind, sums: wire::KindUsage| wants(kind).then_some(sums);
        answer.image_usage = some("image", image_sums(&usage, &images, verbose));
        answer.container_usage = some("container", container_sums(&containers, verbose));
        answer.volume_usage = some(
            "volume",
            wire::KindUsage {
                items: items(&volumes, verbose),
                ..volumes::sums(&volumes)
            },
        );
        answer.build_cache_usage = some("build-cache", build::kind_usage(&builds, verbose));
    }
    if !version.has(53) {
        answer.layers_size = wants("image").then(|| bytes(usage.total()));
        answer.images = wants("image").then_some(images);
        answer.containers = wants("container").then_some(containers);
        answer.volumes = wants("volume").then_some(volumes);
        answer.build_cache = wants("build-cache").then(|| builds.iter().map(build::line).collect());
    }
    respond::ok(&answer)
}

fn bytes(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Each image, with what it takes on disk.
fn images(
    engine: &Engine,
    usage: &Usage,
    version: api::Version,
) -> Result<Vec<wire::ImageSummary>, engine::Error> {
    let by_id: HashMap<_, _> = usage.images.iter().map(|(u, _)| (&u.id, u)).collect();
    let mut lines = Vec::new();
    for (image, users) in image::list(engine)? {
        let mut line = image_view::summary(&image, &image.references, users, version);
        line.containers = count(users);
        if let Some(usage) = by_id.get(&image.id) {
            line.size = bytes(usage.size);
            line.shared_size = bytes(usage.shared);
        }
        lines.push(line);
    }
    Ok(lines)
}

/// Each container, with what its own layer takes.
fn containers(
    engine: &Engine,
    usage: &Usage,
    version: api::Version,
) -> Vec<wire::ContainerSummary> {
    let now = crate::clock::now();
    let lines = container::list(engine).map(|view| {
        let mut line = container_view::summary(&view, version, now);
        let own = usage.containers.iter().find(|of| of.id == view.id);
        line.size_rw = own.map(|own| bytes(own.layer));
        line
    });
    lines.collect()
}

fn items<T: serde::Serialize>(lines: &[T], verbose: bool) -> Option<Vec<Value>> {
    // Wire types are maps with string keys: they always serialize.
    let value = |line| serde_json::to_value(line).unwrap_or_default();
    verbose.then(|| lines.iter().map(value).collect())
}

fn image_sums(usage: &Usage, lines: &[wire::ImageSummary], verbose: bool) -> wire::KindUsage {
    let active = usage.images.iter().filter(|(_, users)| *users > 0).count();
    wire::KindUsage {
        active_count: count(active),
        total_count: count(usage.images.len()),
        reclaimable: bytes(usage.reclaimable()),
        total_size: bytes(usage.total()),
        items: items(lines, verbose),
    }
}

fn container_sums(lines: &[wire::ContainerSummary], verbose: bool) -> wire::KindUsage {
    let size = |line: &wire::ContainerSummary| line.size_rw.unwrap_or_default();
    let running = |line: &&wire::ContainerSummary| {
        matches!(line.state.as_str(), "running" | "paused" | "restarting")
    };
    let idle = lines.iter().filter(|line| !running(line));
    wire::KindUsage {
        active_count: count(lines.iter().filter(running).count()),
        total_count: count(lines.len()),
        reclaimable: idle.map(size).sum(),
        total_size: lines.iter().map(size).sum(),
        items: items(lines, verbose),
    }
}
