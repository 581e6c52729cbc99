//! Statements as files: what is said about a result that is no image stands in it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use sys::dir::{Dir, Kind as FileKind};
use types::Digest;

use super::files::Kind;
use super::tree::{self, Filter, Found, failed};
use super::{Failure, Files, Solver, Tree};
use crate::attest::Statement;

/// Nobody but the owner reads them, as BuildKit has it.
const MODE: u32 = 0o600;
const BUFFER: usize = 128 << 10;

/// How documents stand among files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// Their names begin so.
    pub prefix: &'a str,
    /// What tells them apart from those of another platform in the same directory: `linux_amd64`.
    pub platform: Option<&'a str>,
    /// Their time, in seconds since 1970.
    pub epoch: Option<i64>,
}

impl Said<'_> {
    /// `provenance.linux_amd64.json`
    fn name(&self, file: &str) -> String {
        let prefix = self.prefix;
        match (self.platform, file.rsplit_once('.')) {
            (None, _) => format!("{prefix}{file}"),
            (Some(platform), None) => format!("{prefix}{file}.{platform}"),
            (Some(platform), Some((stem, kind))) => format!("{prefix}{stem}.{platform}.{kind}"),
        }
    }
}

impl Solver {
    /// Files with documents among them that say something about each regular one.
    ///
    /// # Errors
    /// When two documents have one name, a file cannot be read, or the disk is full.
    pub fn with_statements(
        &self,
        files: Option<&Files>,
        statements: &[Statement],
        how: &Said<'_>,
    ) -> Result<Files, Failure> {
        let subjects = match files {
            Some(files) => files.with_root(subjects)?,
            None => Vec::new(),
        };
        let storage = self.engine.storage();
        let draft = storage.scratch()?;
        let above = draft.upper();
        let root = Dir::open(&above).map_err(failed("open", "a directory for statements"))?;
        let mut names = BTreeSet::new();
        for statement in statements {
            let name = how.name(&statement.file);
            if name.contains(['/', '\0']) {
                let sentence = format!(
                    "the attestation cannot be called {name:?}: a name without / is expected"
                );
                return Err(Failure::invalid(sentence));
            }
            if !names.insert(name.clone()) {
                let sentence = format!("two attestations would be called {name}");
                return Err(Failure::invalid(sentence));
            }
            let text = serde_json::to_vec_pretty(&statement.document(&subjects));
            let text = text.map_err(|error| Failure::internal(error.to_string()))?;
            let written = sys::file::replace_unsynced(&above.join(&name), &text, MODE);
            written.map_err(failed("write", &name))?;
            if let Some(epoch) = how.epoch {
                let set = root.set_modified(name.as_ref(), (epoch, 0));
                set.map_err(failed("set the time of", &name))?;
            }
        }
        if let Some(epoch) = how.epoch {
            let set = root.set_modified(".".as_ref(), (epoch, 0));
            set.map_err(failed("set the time of", "/"))?;
        }
        let tree = Arc::new(Tree::new(above, draft));
        let below = files.map(|files| Box::new(files.kind.clone()));
        Ok(Files {
            store: storage.clone(),
            place: self.place(),
            kind: Kind::Upon(tree, below),
            made: files.and_then(|files| files.made),
        })
    }
}

/// Every regular file by its path and what is in it.
fn subjects(root: &Dir) -> Result<Vec<(String, Digest)>, Failure> {
    let mut all = Vec::new();
    tree::walk(root, &Filter::default(), &mut |found| {
        if found.status.kind == FileKind::File {
            all.push((found.path.to_owned(), content(found)?));
        }
        Ok(())
    })?;
    Ok(all)
}

fn content(found: &Found<'_>) -> Result<Digest, Failure> {
    let file = found.dir.open_regular(found.name);
    let mut file = file.map_err(failed("open", found.path))?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest::sha256(sum.finalize().into())),
            Ok(count) => sum.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                let sentence = format!("cannot read {}: {error}", found.path);
                return Err(Failure::internal(sentence));
            }
        }
    }
}
