//! From a Dockerfile to images: plans until all base images are known, solves, and writes what came of it
//! into the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::{Assembly, Compression, Layers, MediaTypes, Method, Part};
use types::{Decimals, Digest, ImageRef, Platform};

use super::progress::{Event, VertexState};
use super::run::{Run, now};
use super::{Ask, Failure, Files, Solver, elsewhere, sources};
use crate::attest::{Statement, package_url};
use crate::check::Finding;
use crate::dockerfile::Dockerfile;
use crate::graph::Pull;
use crate::plan::{self, History, ImageConfig, ImageRequest, Known, KnownImage, Options, Outcome};
use crate::source::Source;

/// A Dockerfile to be built.
#[derive(Debug, Clone)]
pub struct Build {
    /// The file.
    pub source: Arc<Source>,
    /// What the build is told; of several platforms it is planned for each.
    pub options: Options,
    /// For which platforms; none is what `options` say.
    pub platforms: Vec<Platform>,
}

/// What was built for a platform.
#[derive(Debug, Clone)]
pub struct Built {
    /// Which.
    pub platform: Platform,
    /// Its files; none of an empty image.
    pub files: Option<Files>,
    /// Its configuration; layers and times are put in when it is written.
    pub image: ImageConfig,
    /// The base's configuration as it was.
    pub base: Option<ImageConfig>,
    /// `SOURCE_DATE_EPOCH`, in seconds.
    pub epoch: Option<i64>,
    /// What checks have found.
    pub findings: Vec<Finding>,
    /// Arguments that were given and that nothing asks for.
    pub unused: Vec<String>,
}

/// Annotations of an image for one platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// Of its manifest.
    pub manifest: BTreeMap<String, String>,
    /// Of what names that in an index.
    pub descriptor: BTreeMap<String, String>,
}

/// How an image is written.
#[derive(Debug, Clone, Default)]
pub struct ImageOutput {
    /// What it is called.
    pub names: Vec<ImageRef>,
    /// Repositories in which it is called by its digest, too.
    pub by_digest: Vec<ImageRef>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Further ones for each of what was built, in its order; nothing of what has none.
    pub described: Vec<Described>,
    /// Annotations of the index.
    pub index_annotations: BTreeMap<String, String>,
    /// An index is made of one platform too.
    pub index: bool,
    /// The configuration says by what its layers are found: a cache for others.
    pub inline_cache: bool,
    /// No file of the layers that were built is younger, in seconds since the Unix epoch.
    pub latest: Option<i64>,
    /// What is said about each of what was built, in its order; nothing of what has no place here.
    pub statements: Vec<Vec<Statement>>,
    /// What its parts are called. Docker's words have no place for annotations and statements: an image with
    /// some is described in the others.
    pub types: MediaTypes,
    /// How the layers are compressed.
    pub compression: Compression,
}

/// An image that was written.
#[derive(Debug, Clone)]
pub struct WrittenImage {
    /// What names it.
    pub id: Digest,
    /// The type of what that is the digest of.
    pub media_type: String,
    /// Its bytes.
    pub size: u64,
    /// The configurations, one a platform.
    pub configs: Vec<Digest>,
}

impl WrittenImage {
    /// Whether it is an index, and not a manifest.
    pub fn is_index(&self) -> bool {
        self.media_type.contains("index") || self.media_type.contains("manifest.list")
    }
}

/// Looks whether a Dockerfile can be read.
///
/// # Errors
/// What is wrong with it, with its place.
pub fn look_through(source: &Arc<Source>) -> Result<(), Failure> {
    crate::dockerfile::parse(source)
        .map(drop)
        .map_err(|error| wrong(source, error))
}

impl Solver {
    /// Builds a Dockerfile.
    ///
    /// # Errors
    /// What is wrong with the file, with its place; what fails.
    pub fn build(&self, ask: &Ask<'_>, build: &Build) -> Result<Vec<Built>, Failure> {
        let file = crate::dockerfile::parse(&build.source);
        let file = file.map_err(|error| wrong(&build.source, error))?;
        frontend(&file, &build.options)?;
        let mut platforms: Vec<Option<&Platform>> = build.platforms.iter().map(Some).collect();
        if platforms.is_empty() {
            platforms.push(None);
        }
        let several = platforms.len() > 1;
        let mut all = Vec::new();
        for platform in platforms {
            let mut options = build.options.clone();
            options.several |= several;
            if let Some(platform) = platform {
                options.platform = platform.clone();
                options.implicit = false;
            }
            all.push(self.one(ask, &build.source, &file, &options)?);
        }
        let settled = self.engine.storage().settle_results();
        if let Err(error) = settled {
            tracing::warn!(%error, "results of a build may be lost in a power cut");
        }
        Ok(all)
    }

    fn one(
        &self,
        ask: &Ask<'_>,
        source: &Arc<Source>,
        file: &Dockerfile,
        options: &Options,
    ) -> Result<Built, Failure> {
        let mut known = Known::new();
        let plan = loop {
            let planned = plan::plan(file, options, &known);
            match planned.map_err(|error| wrong(source, error))? {
                Outcome::Planned(plan) => break plan,
                Outcome::Needs(requests) => {
                    known.extend(self.known_by(ask, &requests, options.pull)?);
                }
            }
        };
        for finding in &plan.findings {
            ask.progress.tell(Event::Warning(finding.clone()));
        }
        let run = Run::new(self, ask, Some(source.clone()));
        let results: Vec<_> = plan.result.into_iter().collect();
        let files = run.run(&plan.graph, &results)?;
        Ok(Built {
            platform: plan.platform,
            files: files.into_iter().next(),
            image: plan.image,
            base: plan.base,
            epoch: plan.epoch,
            findings: plan.findings,
            unused: plan.unused,
        })
    }

    /// Configurations of images, which are brought here for that.
    ///
    /// # Errors
    /// When the build was given up; an image that cannot be had is [`KnownImage::Unavailable`].
    pub fn known(&self, ask: &Ask<'_>, requests: &[ImageRequest]) -> Result<Known, Failure> {
        self.known_by(ask, requests, Pull::Default)
    }

    fn known_by(
        &self,
        ask: &Ask<'_>,
        requests: &[ImageRequest],
        wish: Pull,
    ) -> Result<Known, Failure> {
        let run = Run::new(self, ask, None);
        let mut known = Known::new();
        for request in requests {
            let name = format!("[internal] load metadata for {}", request.reference);
            let mut told = VertexState {
                digest: super::digest::text(&name),
                name,
                inputs: Vec::new(),
                cached: false,
                started: Some(now()),
                completed: None,
                error: None,
                spans: Vec::new(),
                group: None,
            };
            run.tell(Event::Vertex(told.clone()));
            let found = config(&run, &told.digest, request, wish);
            told.completed = Some(now());
            told.error = found.as_ref().err().map(|failure| failure.message.clone());
            run.tell(Event::Vertex(told));
            let image = match found {
                Ok(config) => KnownImage::Found {
                    digest: None,
                    config: Box::new(config),
                },
                Err(failure) if failure.cancelled => return Err(failure),
                Err(failure) => KnownImage::Unavailable(failure.message),
            };
            known.insert(request.clone(), image);
        }
        Ok(known)
    }

    /// Writes what was built as one image.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn write_image(
        &self,
        ask: &Ask<'_>,
        built: &[Built],
        output: &ImageOutput,
    ) -> Result<WrittenImage, Failure> {
        let run = Run::new(self, ask, None);
        let mut parts = Vec::new();
        for (number, one) in built.iter().enumerate() {
            let layers = match &one.files {
                Some(files) => run.layers_of(files)?,
                None => Layers::default(),
            };
            let layers = match output.latest {
                Some(latest) => run.until(one, &layers, latest)?,
                None => layers,
            };
            let mut config = finished(one, &layers);
            if output.inline_cache {
                self.say_inline(ask, &mut config, &layers)?;
            }
            let config = serde_json::to_vec(&config).map_err(|error| {
                Failure::internal(format!("cannot write a configuration: {error}"))
            })?;
            parts.push(Part {
                config,
                base: of_base(one, &layers),
                layers,
                platform: one.platform.clone(),
                annotations: output.annotations_of(number),
                described: output.descriptor_of(number),
                statements: output.statements_of(number),
                subjects: output.subjects(&one.platform),
            });
        }
        let assembled = self.engine.storage().assemble(&Assembly {
            parts,
            index: output.index,
            annotations: output.index_annotations.clone(),
            names: output.names.clone(),
            by_digest: output.by_digest.clone(),
            types: output.types(),
            compression: output.compression,
        })?;
        engine::image::built(&self.engine, &assembled.id, &output.names);
        Ok(WrittenImage {
            id: assembled.id,
            media_type: assembled.media_type,
            size: assembled.size,
            configs: assembled.configs,
        })
    }
}

impl ImageOutput {
    fn types(&self) -> MediaTypes {
        // Docker's words know no other compression than gzip.
        if self.compression.method == Method::Zstd {
            return MediaTypes::Oci;
        }
        let plain = self.annotations.is_empty()
            && self
                .described
                .iter()
                .all(|one| *one == Described::default())
            && self.index_annotations.is_empty()
            && self.statements.iter().all(Vec::is_empty);
        match plain {
            true => self.types,
            false => MediaTypes::Oci,
        }
    }

    fn annotations_of(&self, number: usize) -> BTreeMap<String, String> {
        let own = self.described.get(number);
        let own = own.map(|one| one.manifest.clone()).unwrap_or_default();
        self.annotations.clone().into_iter().chain(own).collect()
    }

    fn descriptor_of(&self, number: usize) -> BTreeMap<String, String> {
        let own = self.described.get(number);
        own.map(|one| one.descriptor.clone()).unwrap_or_default()
    }

    fn statements_of(&self, number: usize) -> Vec<(String, serde_json::Value)> {
        let statements = self.statements.get(number).into_iter().flatten();
        let pairs = statements.map(|one| (one.kind.clone(), one.predicate.clone()));
        pairs.collect()
    }

    /// What statements call the image for a platform; BuildKit's word where it has no name.
    fn subjects(&self, platform: &Platform) -> Vec<String> {
        let names = self.names.iter();
        let mut all: Vec<String> = names.map(|name| package_url(name, platform)).collect();
        if all.is_empty() {
            all.push("_".to_owned());
        }
        all
    }
}

impl Run<'_> {
    /// The layers with those above the base's made again, so that none of their files is younger.
    fn until(&self, built: &Built, layers: &Layers, latest: i64) -> Result<Layers, Failure> {
        let below = of_base(built, layers);
        let mut rewritten = layers.first(below);
        for at in below..layers.len() {
            self.check()?;
            let layer = self.store().layer_until(layers, at, latest)?;
            rewritten = rewritten.with(&layer);
        }
        Ok(rewritten)
    }
}

/// How many layers are the base's.
fn of_base(built: &Built, layers: &Layers) -> usize {
    let theirs = built.base.iter().flat_map(|base| &base.rootfs.diff_ids);
    let both = layers.ids().zip(theirs);
    both.take_while(|(ours, theirs)| ours.to_string() == **theirs)
        .count()
}

/// Which frontend a Dockerfile asks for. There is one; other names of it are let be.
fn frontend(file: &Dockerfile, options: &Options) -> Result<(), Failure> {
    let asked = options.args.get("BUILDKIT_SYNTAX").map(String::as_str);
    let asked = asked.filter(|name| !name.is_empty());
    let Some(name) = asked.or_else(|| file.directive("syntax")) else {
        return Ok(());
    };
    let image = name.split_whitespace().next().unwrap_or_default();
    let path = image.split('@').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.starts_with("dockerfile") {
        return Ok(());
    }
    let sentence = format!(
        "the Dockerfile asks for the frontend {image}, which cannot be run: only docker/dockerfile \
         can be asked for, which is built in"
    );
    Err(Failure::new(types::ErrorKind::Unsupported, sentence))
}

fn wrong(source: &Arc<Source>, error: crate::dockerfile::Error) -> Failure {
    let span = error.span();
    Failure::invalid(error.to_string()).at(source, &[span])
}

fn config(
    run: &Run<'_>,
    vertex: &Digest,
    request: &ImageRequest,
    wish: Pull,
) -> Result<ImageConfig, Failure> {
    if request.layout {
        return elsewhere::layout_config(run, &request.reference, &request.platform);
    }
    let reference = sources::parse(&request.reference)?;
    let image = sources::resolve(run, vertex, &reference, &request.platform, wish)?;
    let text = run.store().config_text(&image)?;
    serde_json::from_str(&text).map_err(|error| {
        let sentence = format!(
            "the configuration of {} cannot be understood: {error}",
            request.reference
        );
        Failure::invalid(sentence)
    })
}

/// The configuration with its layers and times.
fn finished(built: &Built, layers: &Layers) -> ImageConfig {
    let mut image = built.image.clone();
    let created = match built.epoch {
        Some(seconds) => rfc3339(seconds.saturating_mul(1_000_000_000)),
        // The same steps from the cache are the same image.
        None => match (
            built.files.as_ref().and_then(|files| files.made),
            &built.base,
        ) {
            (Some(made), _) => rfc3339(made),
            (None, Some(base)) if base.created.is_some() => {
                base.created.clone().unwrap_or_default()
            }
            (None, _) => rfc3339(now()),
        },
    };
    image.created = Some(created.clone());
    "layers".clone_into(&mut image.rootfs.kind);
    image.rootfs.diff_ids = layers.ids().map(Digest::to_string).collect();
    let known = built.base.as_ref().map_or(0, |base| base.history.len());
    for line in image.history.iter_mut().skip(known) {
        line.created.get_or_insert_with(|| created.clone());
    }
    balance(&mut image.history, layers.len(), &created);
    image
}

/// A base may say less about its layers than it has: each layer has its line.
fn balance(history: &mut Vec<History>, layers: usize, created: &str) {
    let told = history.iter().filter(|line| !line.empty_layer).count();
    for _ in told..layers {
        let line = History {
            created: Some(created.to_owned()),
            ..History::default()
        };
        history.insert(0, line);
    }
}

/// A time as RFC 3339 writes it, in UTC.
fn rfc3339(nanos: i64) -> String {
    types::rfc3339(nanos, Decimals::Nine).to_string()
}
