//! The cache as people see it: what is in it, and what of it goes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Failure, Solver};

/// How long who prunes waits for the space to be free.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is kept with a result.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    /// What people see.
    name: String,
    /// How many results there are.
    outputs: usize,
}

pub(super) fn body(name: &str, outputs: usize) -> String {
    let body = Body {
        name: name.to_owned(),
        outputs,
    };
    // A text and a number: nothing that JSON cannot say.
    serde_json::to_string(&body).unwrap_or_default()
}

pub(super) fn outputs(body: &str) -> usize {
    serde_json::from_str::<Body>(body).map_or(1, |body| body.outputs)
}

/// One thing in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What names it.
    pub id: String,
    /// `regular`, or `exec.cachemount` of a directory that stays.
    pub kind: &'static str,
    /// What people see.
    pub description: String,
    /// Bytes that are free without it.
    pub size: u64,
    /// When it was made, nanoseconds since the Unix epoch.
    pub created: i64,
    /// When it was last used.
    pub used: i64,
    /// How often.
    pub uses: u64,
    /// Whether somebody uses it now.
    pub in_use: bool,
    /// Whether an image has it too.
    pub shared: bool,
}

/// What of the cache goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prune {
    /// What images have too.
    pub all: bool,
    /// Only what was not used since, nanoseconds since the Unix epoch.
    pub until: Option<i64>,
    /// So many bytes may stay.
    pub keep: u64,
    /// Only what begins so.
    pub ids: Vec<String>,
    /// Only of this kind.
    pub kinds: Vec<String>,
}

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What named it.
    pub ids: Vec<String>,
    /// Bytes that are free by it.
    pub reclaimed: u64,
}

impl Solver {
    /// All that is in the cache, the longest unused first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn usage(&self) -> Result<Vec<Record>, Failure> {
        let store = self.engine.storage();
        let mut records = Vec::new();
        for result in store.results()? {
            let body: Option<Body> = serde_json::from_str(&result.body).ok();
            let last = result.layers.last();
            let shared = last.map(|layer| store.is_of_image(layer)).transpose()?;
            records.push(Record {
                id: short(&result.key),
                kind: "regular",
                description: body.map(|body| body.name).unwrap_or_default(),
                size: result.size,
                created: result.created,
                used: result.used,
                uses: result.uses,
                in_use: false,
                shared: shared.unwrap_or(false),
            });
        }
        for dir in store.cache_dirs()? {
            records.push(Record {
                kind: "exec.cachemount",
                description: format!("cached mount {}", dir.id.trim_start_matches('/')),
                size: dir.size,
                created: dir.created,
                used: dir.used,
                uses: 0,
                in_use: self.caches().is_busy(&dir.id),
                shared: false,
                id: dir.id,
            });
        }
        records.sort_by_key(|record| record.used);
        Ok(records)
    }

    /// Takes things out of the cache, the longest unused first. What an image has too goes only by
    /// [`Prune::all`]; what is in use never does.
    ///
    /// # Errors
    /// When the store fails.
    pub fn prune(&self, prune: &Prune) -> Result<Pruned, Failure> {
        let records = self.usage()?;
        let mut total: u64 = records.iter().map(|record| record.size).sum();
        let mut pruned = Pruned::default();
        let (mut dirs, mut holds) = (Vec::new(), Vec::new());
        for record in &records {
            if !prune.takes(record) || (prune.keep > 0 && total <= prune.keep) {
                continue;
            }
            let held = match record.kind {
                "regular" => None,
                // Nobody may begin to use it while it goes.
                _ => match self.caches().hold(&record.id) {
                    Some(held) => Some(held),
                    None => continue,
                },
            };
            total -= record.size;
            pruned.ids.push(record.id.clone());
            if !record.shared {
                pruned.reclaimed += record.size;
            }
            if held.is_some() {
                dirs.push(record.id.clone());
            }
            holds.extend(held);
        }
        let store = self.engine.storage();
        let keys = store.results()?.into_iter().map(|result| result.key);
        let keys: Vec<String> = keys
            .filter(|key| pruned.ids.contains(&short(key)))
            .collect();
        store.forget_results(&keys)?;
        store.forget_cache_dirs(&dirs)?;
        // Who prunes wants the space.
        store.wait_for_space(PATIENCE);
        Ok(pruned)
    }
}

impl Prune {
    fn takes(&self, record: &Record) -> bool {
        let begins = |id: &String| record.id.starts_with(id);
        !record.in_use
            && (self.all || !record.shared)
            && self.until.is_none_or(|until| record.used < until)
            && (self.ids.is_empty() || self.ids.iter().any(begins))
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == record.kind))
    }
}

/// A key as people see it.
fn short(key: &str) -> String {
    let (digest, number) = key.split_once('#').unwrap_or((key, "0"));
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    match number {
        "0" => hex.get(..25).unwrap_or(hex).to_owned(),
        number => format!("{}-{number}", hex.get(..25).unwrap_or(hex)),
    }
}
