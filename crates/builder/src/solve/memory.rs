//! What is remembered while a build goes on, whatever number of graphs it solves: which image a name stood
//! for, what was fetched, which results there were, and the caches elsewhere that it may take results from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use storage::{Image, Layers};
use types::{Digest, Platform};

use crate::attest::Material;
use crate::graph::{Graph, Output};

use super::elsewhere::CacheFrom;
use super::files::Files;
use super::progress::Time;
use super::run::lock;

/// One build's.
#[derive(Debug, Default)]
pub struct Memory {
    caches: Mutex<Vec<Arc<CacheFrom>>>,
    steps: Mutex<Vec<Step>>,
    images: Mutex<HashMap<(String, Platform), Image>>,
    fetched: Mutex<HashMap<Digest, Files>>,
    materials: Mutex<Vec<Material>>,
    /// All that was solved, if somebody wants to know.
    definition: Mutex<Option<Graph>>,
}

/// What a step has come to.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// What it is found by.
    pub(super) key: String,
    /// Its results.
    pub(super) results: Vec<Layers>,
    /// When they were made.
    pub(super) created: Time,
}

impl Memory {
    /// A cache elsewhere that results may be taken from from now on.
    pub fn add_cache(&self, cache: CacheFrom) {
        lock(&self.caches).push(Arc::new(cache));
    }

    pub(super) fn caches(&self) -> Vec<Arc<CacheFrom>> {
        lock(&self.caches).clone()
    }

    pub(super) fn note(&self, step: Step) {
        let mut steps = lock(&self.steps);
        if !steps.iter().any(|known| known.key == step.key) {
            steps.push(step);
        }
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        lock(&self.steps).clone()
    }

    /// The image that a name has stood for before in this build: its configuration and its files are one
    /// image's, though the name may mean another by now.
    pub(super) fn image(&self, name: &str, platform: &Platform) -> Option<Image> {
        let key = (name.to_owned(), platform.clone());
        lock(&self.images).get(&key).cloned()
    }

    pub(super) fn pin(&self, name: &str, platform: &Platform, image: &Image) {
        let key = (name.to_owned(), platform.clone());
        lock(&self.images).insert(key, image.clone());
    }

    /// Something that the build was made of.
    pub(super) fn made_of(&self, material: Material) {
        let mut materials = lock(&self.materials);
        if !materials.contains(&material) {
            materials.push(material);
        }
    }

    /// What the build was made of so far.
    pub fn materials(&self) -> Vec<Material> {
        lock(&self.materials).clone()
    }

    /// From now on what is solved is remembered.
    pub fn remember_definition(&self) {
        lock(&self.definition).get_or_insert_with(Graph::new);
    }

    pub(super) fn define(&self, graph: &Graph, results: &[Output]) {
        if let Some(all) = lock(&self.definition).as_mut() {
            all.join(graph, results);
        }
    }

    /// What was solved since that was asked for.
    pub fn definition(&self) -> Option<Graph> {
        lock(&self.definition).clone()
    }

    /// What was fetched before.
    pub(super) fn fetched(&self, vertex: &Digest) -> Option<Files> {
        lock(&self.fetched).get(vertex).cloned()
    }

    pub(super) fn fetch(&self, vertex: &Digest, files: &Files) {
        lock(&self.fetched).insert(vertex.clone(), files.clone());
    }
}
