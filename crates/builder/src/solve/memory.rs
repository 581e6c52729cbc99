//! What is remembered while a build goes on, whatever number of graphs it solves: which image a name stood
//! for, what was fetched, which results there were, and the caches elsewhere that it may take results from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use storage::{Image, Layers};
use types::{Digest, Platform};

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

    /// What was fetched before.
    pub(super) fn fetched(&self, vertex: &Digest) -> Option<Files> {
        lock(&self.fetched).get(vertex).cloned()
    }

    pub(super) fn fetch(&self, vertex: &Digest, files: &Files) {
        lock(&self.fetched).insert(vertex.clone(), files.clone());
    }
}
