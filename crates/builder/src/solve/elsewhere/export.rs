//! What a build has come to, as a cache for others.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::image::elsewhere;
use engine::image::push::Request;
use storage::{Descriptor, Layers, Push};
use types::{Decimals, Digest, ImageRef, rfc3339};

use super::super::memory::Step;
use super::super::run::Run;
use super::super::{Ask, Built, Failure, Solver};
use super::{About, CONFIG_TYPE, Config, INLINE, Layer, Outcome, Own, Record, record_digest};
use crate::plan::ImageConfig;

/// Which steps a cache has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// Those whose files are in the result.
    #[default]
    Min,
    /// All of them.
    Max,
}

impl Solver {
    /// What the build has come to, as content to be put elsewhere; it goes when that is dropped.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn cache_to(
        &self,
        ask: &Ask<'_>,
        built: &[Built],
        mode: CacheMode,
    ) -> Result<Push, Failure> {
        let run = Run::new(self, ask, None);
        let mut of_result = Vec::new();
        for files in built.iter().filter_map(|one| one.files.as_ref()) {
            of_result.push(run.layers_of(files)?);
        }
        let all = ask.memory.steps();
        let steps = match mode {
            CacheMode::Max => all,
            CacheMode::Min => within(all, &of_result),
        };
        let mut nodes = Nodes::default();
        let config = nodes.config(steps);
        let packed = run.store().pack(&nodes.layers)?;
        let config = described(config, packed.descriptors());
        let text = print(&config)?;
        Ok(packed.with_config(CONFIG_TYPE, &text)?)
    }

    /// Puts content into a registry.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub fn put(&self, ask: &Ask<'_>, reference: &ImageRef, what: Push) -> Result<(), Failure> {
        let request = Request {
            reference: reference.clone(),
            platform: None,
            credentials: ask.client.credentials(reference)?,
        };
        let mut transfer = elsewhere::put(&self.engine, request, what)?;
        super::super::sources::wait(self, ask, async {
            transfer.ended().await.map(drop).map_err(Failure::from)
        })
    }

    /// Has an image say in its own configuration by what its layers are found.
    pub(in crate::solve) fn say_inline(
        &self,
        ask: &Ask<'_>,
        image: &mut ImageConfig,
        layers: &Layers,
    ) -> Result<(), Failure> {
        let steps = within(ask.memory.steps(), std::slice::from_ref(layers));
        let mut nodes = Nodes::default();
        let config = nodes.config(steps);
        let packed = self.engine.storage().pack(&nodes.layers)?;
        let text = print(&described(config, packed.descriptors()))?;
        let text = BASE64_STANDARD.encode(text);
        image.other.insert(INLINE.to_owned(), text.into());
        Ok(())
    }
}

/// Steps all of whose files are in one of some results.
fn within(steps: Vec<Step>, results: &[Layers]) -> Vec<Step> {
    let results: Vec<HashSet<&Digest>> = results
        .iter()
        .map(|layers| layers.ids().collect())
        .collect();
    let is_in = |layers: &Layers| {
        let mut results = results.iter();
        results.any(|result| layers.ids().all(|id| result.contains(id)))
    };
    let steps = steps.into_iter();
    steps
        .filter(|step| step.results.iter().all(is_in))
        .collect()
}

fn print(config: &Config) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(config)
        .map_err(|error| Failure::internal(format!("cannot write a cache's document: {error}")))
}

/// Layers by where they stand: what is on the same layers is one.
#[derive(Default)]
struct Nodes {
    /// In the order of their numbers.
    layers: Layers,
    known: HashMap<(i64, Digest), i64>,
    parents: Vec<i64>,
}

impl Nodes {
    /// The number of the uppermost layer of a chain.
    fn add(&mut self, chain: &Layers) -> i64 {
        let mut below = -1;
        for (at, diff_id) in chain.ids().enumerate() {
            let next = i64::try_from(self.parents.len()).unwrap_or(i64::MAX);
            let number = *self.known.entry((below, diff_id.clone())).or_insert(next);
            if number == next {
                self.parents.push(below);
                let rest = chain.above(&chain.first(at));
                let own = rest.unwrap_or_default().first(1);
                self.layers = self.layers.with(&own);
            }
            below = number;
        }
        below
    }

    fn config(&mut self, mut steps: Vec<Step>) -> Config {
        // The same steps are the same document, in whatever order they were done.
        steps.sort_by(|a, b| a.key.cmp(&b.key));
        let mut records = Vec::new();
        for step in steps {
            let outputs = step.results.len();
            for (number, chain) in step.results.iter().enumerate() {
                let Ok(layer) = usize::try_from(self.add(chain)) else {
                    continue;
                };
                records.push(Record {
                    digest: record_digest(&step.key, number),
                    results: vec![Outcome {
                        layer,
                        created_at: Some(rfc3339(step.created, Decimals::Nine).to_string()),
                    }],
                    brig: Some(Own {
                        outputs,
                        created: step.created,
                    }),
                });
            }
        }
        let layers = self.layers.ids().zip(&self.parents);
        let layers = layers.map(|(diff_id, parent)| Layer {
            blob: String::new(),
            parent: *parent,
            annotations: Some(About {
                media_type: String::new(),
                diff_id: diff_id.to_string(),
                size: 0,
            }),
        });
        Config {
            layers: layers.collect(),
            records,
        }
    }
}

/// With what the layers are packed into.
fn described(mut config: Config, descriptors: &[Descriptor]) -> Config {
    for (layer, descriptor) in config.layers.iter_mut().zip(descriptors) {
        layer.blob = descriptor.digest.to_string();
        if let Some(about) = &mut layer.annotations {
            about.media_type.clone_from(&descriptor.media_type);
            about.size = descriptor.size;
        }
    }
    config
}
