//! A client whose things are all here already: the archive that the classic API takes, unpacked.

use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::image::registries::Credentials;
use storage::Among;
use sys::dir::{Dir, Kind};
use types::{ErrorKind, ImageRef, NetworkMode};

use super::tree::{self, failed, locate};
use super::{Client, Failure, Files, Solver, Tree, copy};
use crate::graph::Local;
use crate::ignore::{self, Above, Matcher};

/// The longest Dockerfile and ignore file.
const LONGEST: u64 = 16 << 20;

/// As whom a registry is asked.
type Asked = Box<dyn Fn(&ImageRef) -> Credentials + Send + Sync>;

/// What a client has given.
pub struct Given {
    /// Directories by name; `context` is the build's.
    pub directories: BTreeMap<String, Arc<Tree>>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Sockets of agents by name.
    pub agents: BTreeMap<String, PathBuf>,
    /// As whom registries are asked.
    pub credentials: Asked,
    /// What commands reach that are said nothing else about.
    pub network: Option<NetworkMode>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            directories: BTreeMap::new(),
            secrets: BTreeMap::new(),
            agents: BTreeMap::new(),
            credentials: Box::new(|_| Credentials::anonymous()),
            network: None,
        }
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given")
            .field("directories", &self.directories)
            .finish_non_exhaustive()
    }
}

impl Client for Given {
    fn network(&self) -> Option<NetworkMode> {
        self.network.clone()
    }

    fn files(&self, local: &Local) -> Result<Tree, Failure> {
        let tree = self.directories.get(&local.name).ok_or_else(|| {
            let sentence = format!("the client has given no directory {}", local.name);
            Failure::new(ErrorKind::NotFound, sentence)
        })?;
        Ok(Tree::new(tree.path(), tree.clone()))
    }

    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.secrets.get(id).cloned())
    }

    fn agent(&self, id: &str) -> Result<Option<PathBuf>, Failure> {
        Ok(self.agents.get(id).cloned())
    }

    fn credentials(&self, image: &ImageRef) -> Result<Credentials, Failure> {
        Ok((self.credentials)(image))
    }
}

impl Solver {
    /// Unpacks an archive, compressed or not, whose files become root's.
    ///
    /// # Errors
    /// When the stream breaks or is no archive, and when the disk is full.
    pub fn unpack(&self, archive: impl BufRead + Send) -> Result<Tree, Failure> {
        let draft = self.engine.storage().scratch()?;
        let path = draft.upper();
        let root = Dir::open(&path).map_err(failed("open", "the context"))?;
        let among = Among {
            replace: true,
            owner: Some((0, 0)),
            ids: None,
            stay: true,
        };
        storage::unpack_among(root, b"", archive, among)?;
        Ok(Tree::new(path, draft))
    }

    /// Files that a source has given, as a directory.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn as_tree(&self, files: &Files) -> Result<Tree, Failure> {
        match files.dirs().as_slice() {
            [dir] => Ok(Tree::new(dir, files.clone())),
            _ => Err(Failure::internal("the files are of several layers")),
        }
    }

    /// One file with these bytes as a directory.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn tree_of(&self, name: &str, bytes: &[u8]) -> Result<Tree, Failure> {
        let draft = self.engine.storage().scratch()?;
        let path = draft.upper();
        let written = sys::file::replace_unsynced(&path.join(name), bytes, 0o644);
        written.map_err(failed("write", name))?;
        Ok(Tree::new(path, draft))
    }
}

/// Reads a file of a directory, whose links lead nowhere out of it; none if it is not there.
///
/// # Errors
/// When it cannot be read, or is too long.
pub fn read_file(directory: &Path, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    let root = Dir::open(directory).map_err(failed("open", "the context"))?;
    read_in(&root, path)
}

/// Reads a file below a root, whose links lead nowhere out of it; none if it is not there.
///
/// # Errors
/// When it cannot be read, or is too long.
pub fn read_in(root: &Dir, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    read_up_to(root, path, LONGEST)
}

/// The same, with another limit.
pub(super) fn read_up_to(root: &Dir, path: &str, longest: u64) -> Result<Option<Vec<u8>>, Failure> {
    let Some(place) = locate(root, path, true)? else {
        return Ok(None);
    };
    let file = place
        .dir
        .open_regular(&place.name)
        .map_err(failed("open", path))?;
    let mut bytes = Vec::new();
    let read = std::io::Read::read_to_end(&mut std::io::Read::take(file, longest + 1), &mut bytes);
    read.map_err(|error| Failure::internal(format!("cannot read {path}: {error}")))?;
    if bytes.len() as u64 > longest {
        return Err(Failure::invalid(format!(
            "{path} is longer than {longest} bytes"
        )));
    }
    Ok(Some(bytes))
}

/// The patterns of a directory's ignore file, that of the Dockerfile first.
///
/// # Errors
/// When it cannot be read.
pub fn ignored(directory: &Path, dockerfile: &str) -> Result<Vec<String>, Failure> {
    for name in ignore::candidates(dockerfile) {
        if let Some(text) = read_file(directory, &name)? {
            return Ok(ignore::read(&text));
        }
    }
    Ok(Vec::new())
}

/// Removes from a directory what patterns leave out.
///
/// # Errors
/// When a pattern is wrong, or something cannot be removed.
pub fn leave_out(directory: &Path, patterns: &[String]) -> Result<(), Failure> {
    let matcher = Matcher::new(patterns.iter().map(String::as_str))
        .map_err(|error| Failure::invalid(format!("the ignore file: {error}")))?;
    if matcher.is_empty() {
        return Ok(());
    }
    let root = Dir::open(directory).map_err(failed("open", "the context"))?;
    clear(&root, "", &matcher, &Above::default(), 0).map(drop)
}

/// Whether anything is left.
fn clear(
    dir: &Dir,
    path: &str,
    matcher: &Matcher,
    above: &Above,
    depth: usize,
) -> Result<bool, Failure> {
    if depth > tree::MAX_DEPTH {
        return Err(tree::too_deep(path));
    }
    let mut left = false;
    for name in tree::names(dir, path)? {
        let shown = name.to_string_lossy();
        let below = match path {
            "" => shown.into_owned(),
            path => format!("{path}/{shown}"),
        };
        let (out, here) = matcher.walk(&below, above);
        let status = dir.status(&name).map_err(failed("look at", &below))?;
        if !out && status.kind != Kind::Directory {
            left = true;
            continue;
        }
        if status.kind == Kind::Directory && !(out && matcher.prunes(&below)) {
            let inner = dir.open_dir(&name).map_err(failed("open", &below))?;
            let kept = clear(&inner, &below, matcher, &here, depth + 1)?;
            if kept || !out {
                left = true;
                continue;
            }
        }
        copy::remove_all(dir, &name, &below)?;
    }
    Ok(left)
}
