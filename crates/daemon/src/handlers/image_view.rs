//! Images as the API shows them.

use std::collections::BTreeMap;

use api::Version;
use api::convert::rfc3339;
use api::wire;
use engine::{Image, Removed, Statement, Variant};
use types::ImageRef;

use super::system::STORAGE_DRIVER;

/// When it was made, in nanoseconds since the epoch; when it came here if it does not say.
pub(super) fn created(image: &Image) -> i64 {
    let said = image.config.created().as_ref();
    let time = said.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    time.and_then(|time| i64::try_from(time.as_nanosecond()).ok())
        .unwrap_or(image.added)
}

pub(super) fn labels(image: &Image) -> BTreeMap<String, String> {
    let labels = image
        .config
        .config()
        .as_ref()
        .and_then(|c| c.labels().clone());
    labels.into_iter().flatten().collect()
}

/// A line of a listing with those references that are to be shown.
pub(super) fn summary(
    image: &Image,
    shown: &[ImageRef],
    containers: usize,
    version: Version,
) -> wire::ImageSummary {
    let labels = labels(image);
    let size = i64::try_from(image.size).unwrap_or(i64::MAX);
    let (mut repo_tags, mut repo_digests) = (tags(shown), digests(image, shown));
    if repo_tags.is_empty() && !version.has(43) {
        repo_tags.push("<none>:<none>".to_owned());
        repo_digests.push("<none>@<none>".to_owned());
    }
    wire::ImageSummary {
        containers: if version.has(51) {
            i64::try_from(containers).unwrap_or(i64::MAX)
        } else {
            -1
        },
        created: created(image).div_euclid(1_000_000_000),
        id: image.id.to_string(),
        labels: (!labels.is_empty()).then_some(labels),
        repo_digests,
        repo_tags,
        shared_size: -1,
        size,
        virtual_size: if version.has(44) { 0 } else { size },
        ..wire::ImageSummary::default()
    }
}

/// `name:tag`
fn tags(references: &[ImageRef]) -> Vec<String> {
    references
        .iter()
        .filter(|r| r.tag().is_some() && r.digest().is_none())
        .map(ImageRef::familiar)
        .collect()
}

/// `name@digest`, each name once.
fn digests(image: &Image, references: &[ImageRef]) -> Vec<String> {
    let mut all: Vec<String> = references
        .iter()
        .map(|r| format!("{}@{}", r.familiar_name(), image.id))
        .collect();
    all.sort();
    all.dedup();
    all
}

pub(super) fn descriptor(of: &engine::Descriptor) -> wire::Descriptor {
    wire::Descriptor {
        media_type: of.media_type.clone(),
        digest: of.digest.to_string(),
        size: number(of.size),
        annotations: None,
        platform: None,
    }
}

/// The descriptor of a manifest, with what it runs on.
pub(super) fn manifest_descriptor(of: &engine::Descriptor) -> wire::Descriptor {
    wire::Descriptor {
        platform: of.platform.as_ref().map(wire::OciPlatform::from),
        ..descriptor(of)
    }
}

/// A statement about an image.
pub(super) fn statement(
    statement: Statement,
) -> Result<wire::AttestationStatement, serde_json::Error> {
    let text = statement.text.map(serde_json::value::RawValue::from_string);
    let annotations = statement.annotations;
    Ok(wire::AttestationStatement {
        descriptor: wire::Descriptor {
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..descriptor(&statement.descriptor)
        },
        predicate_type: statement.predicate,
        statement: text.transpose()?,
    })
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A manifest of an image, and the containers that were made from it.
pub(super) fn manifest(variant: &Variant, containers: Vec<String>) -> wire::ManifestSummary {
    let platform = variant.platform.as_ref().filter(|_| !variant.statement);
    wire::ManifestSummary {
        id: variant.descriptor.digest.to_string(),
        descriptor: descriptor(&variant.descriptor),
        available: variant.available,
        size: wire::ManifestSize {
            total: number(variant.content + variant.layers),
            content: number(variant.content),
        },
        kind: match (variant.statement, platform) {
            (true, _) => "attestation",
            (false, Some(_)) => "image",
            (false, None) => "unknown",
        }
        .to_owned(),
        image_data: platform.map(|platform| wire::ManifestImage {
            platform: platform.into(),
            containers,
            size: wire::UnpackedSize {
                unpacked: number(variant.layers),
            },
        }),
        attestation_data: variant
            .about
            .as_ref()
            .map(|about| wire::ManifestAttestation {
                about: about.to_string(),
            }),
    }
}

/// The answer to `inspect`.
pub(super) fn inspect(image: &Image, version: Version) -> wire::ImageInspect {
    let config = &image.config;
    let size = i64::try_from(image.size).unwrap_or(i64::MAX);
    let comment = config
        .history()
        .iter()
        .flatten()
        .last()
        .and_then(|entry| entry.comment().clone());
    let legacy = !version.has(52);
    wire::ImageInspect {
        id: image.id.to_string(),
        repo_tags: tags(&image.references),
        repo_digests: digests(image, &image.references),
        parent: legacy.then(String::new),
        comment: comment.unwrap_or_default(),
        created: rfc3339(Some(created(image))),
        docker_version: legacy.then(String::new),
        author: config.author().clone().unwrap_or_default(),
        config: image_config(image),
        container_config: (!version.has(45)).then(|| image_config(image)),
        architecture: config.architecture().to_string(),
        variant: config.variant().clone().unwrap_or_default(),
        os: config.os().to_string(),
        size,
        virtual_size: if version.has(44) { 0 } else { size },
        graph_driver: legacy.then(|| wire::GraphDriver {
            data: None,
            name: STORAGE_DRIVER.to_owned(),
        }),
        root_fs: wire::ImageRootFs {
            r#type: "layers".to_owned(),
            layers: config.rootfs().diff_ids().clone(),
        },
        metadata: wire::ImageMetadata {
            last_tag_time: rfc3339(Some(image.added)),
        },
        descriptor: None,
        manifests: None,
    }
}

fn image_config(image: &Image) -> wire::ImageConfig {
    let docker = &image.docker;
    let shown = wire::ImageConfig {
        healthcheck: docker.healthcheck.as_ref().map(|check| wire::Healthcheck {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
            ..wire::Healthcheck::default()
        }),
        on_build: docker.on_build.clone(),
        shell: docker.shell.clone(),
        ..wire::ImageConfig::default()
    };
    let Some(config) = image.config.config() else {
        return shown;
    };
    let set = |names: &Option<Vec<String>>| {
        let names = names.iter().flatten();
        names.map(|n| (n.clone(), wire::Empty {})).collect()
    };
    let list = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    wire::ImageConfig {
        user: text(config.user()),
        exposed_ports: set(config.exposed_ports()),
        env: list(config.env()),
        entrypoint: list(config.entrypoint()),
        cmd: list(config.cmd()),
        volumes: set(config.volumes()),
        working_dir: text(config.working_dir()),
        labels: labels(image),
        stop_signal: text(config.stop_signal()),
        ..shown
    }
}

/// The steps that made an image, the newest first.
pub(super) fn history(image: &Image, layer_sizes: &[u64]) -> Vec<wire::HistoryItem> {
    let seconds = |text: &Option<String>| {
        let time = text
            .as_ref()
            .and_then(|t| t.parse::<jiff::Timestamp>().ok());
        time.map_or(0, jiff::Timestamp::as_second)
    };
    let mut sizes = layer_sizes.iter();
    let steps = image.config.history().iter().flatten();
    let mut items: Vec<_> = steps
        .map(|step| {
            let empty = step.empty_layer().unwrap_or(false);
            let size = if empty { None } else { sizes.next() };
            wire::HistoryItem {
                id: "<missing>".to_owned(),
                created: seconds(step.created()),
                created_by: step.created_by().clone().unwrap_or_default(),
                tags: None,
                size: i64::try_from(size.copied().unwrap_or_default()).unwrap_or(i64::MAX),
                comment: step.comment().clone().unwrap_or_default(),
            }
        })
        .collect();
    items.reverse();
    if let Some(newest) = items.first_mut() {
        newest.id = image.id.to_string();
        let tags = tags(&image.references);
        newest.tags = (!tags.is_empty()).then_some(tags);
    }
    items
}

/// One thing that removing an image did.
pub(super) fn removed(removed: &Removed) -> wire::ImageDeleteItem {
    match removed {
        Removed::Untagged(reference) => wire::ImageDeleteItem {
            untagged: reference.familiar(),
            ..wire::ImageDeleteItem::default()
        },
        Removed::Deleted(digest) => wire::ImageDeleteItem {
            deleted: digest.to_string(),
            ..wire::ImageDeleteItem::default()
        },
    }
}
