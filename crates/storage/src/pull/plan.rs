//! What a pull needs, from what its documents say. Pure: nothing is fetched, read or written here.

use std::collections::{HashMap, HashSet};

use types::{Digest, Platform};

use super::Wanted;
use crate::Descriptor;
use crate::error::Error;
use crate::image::documents::{
    self, Document, Index, MAX_DOCUMENT, MAX_NESTING, Manifest, REFERENCE_TYPE, is_about,
};

/// Bytes of all documents of one image: they are kept until it is committed.
const MAX_DOCUMENTS: u64 = 16 << 20;
/// Everything an image names: far above any honest one's, and what it costs is known.
const MAX_CONTENT: usize = 20_000;

/// The documents that are here.
#[derive(Debug)]
pub(super) struct Plan {
    root: Descriptor,
    wanted: Wanted,
    documents: HashMap<Digest, Known>,
    bytes: u64,
    /// Statements that nobody has.
    left_out: HashSet<Digest>,
}

/// A document's content.
#[derive(Debug)]
enum Known {
    Manifest(Box<Manifest>),
    Index(Index),
    Config(String),
}

/// What is needed as far as the documents tell.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Documents that are not here.
    pub missing: Vec<Descriptor>,
    /// Those that are.
    pub documents: Vec<Descriptor>,
    /// Those of them that are manifests.
    pub manifests: Vec<Descriptor>,
    /// All layers, each once.
    pub layers: Vec<Descriptor>,
    /// The manifest to be unpacked.
    pub chosen: Option<Chosen>,
    /// Those of all documents that are configurations.
    configs: HashSet<Digest>,
    seen: HashMap<Digest, Role>,
    /// What only a statement needs, with that statement's manifest.
    optional: HashMap<Digest, Digest>,
}

/// As what a digest is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A manifest or an index.
    Document,
    /// What a manifest has: a configuration or a layer, or both, as of artifacts that have neither.
    Part,
}

/// The manifest to be unpacked.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub digest: Digest,
    pub layers: Vec<Descriptor>,
    /// Its configuration's text, once it is here.
    pub config: Option<String>,
}

impl Plan {
    pub(super) fn new(root: Descriptor, wanted: Wanted) -> Self {
        Self {
            root,
            wanted,
            documents: HashMap::new(),
            bytes: 0,
            left_out: HashSet::new(),
        }
    }

    pub(super) fn root(&self) -> &Descriptor {
        &self.root
    }

    /// Adds a document. What it is tells its place, not its media type.
    pub(super) fn add(&mut self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        let what = format!("document {}", descriptor.digest);
        self.check(&what, descriptor, bytes)?;
        let known = if self.needs()?.configs.contains(&descriptor.digest) {
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|_| Error::image(&what, "is not text in UTF-8"))?;
            Known::Config(text)
        } else {
            match documents::parse_document(&what, bytes)? {
                Document::Manifest(manifest) => Known::Manifest(Box::new(manifest)),
                Document::Index(index) => Known::Index(index),
            }
        };
        self.bytes += bytes.len() as u64;
        self.documents.insert(descriptor.digest.clone(), known);
        Ok(())
    }

    fn check(&self, what: &str, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        let size = bytes.len() as u64;
        if size != descriptor.size {
            return Err(Error::WrongSize {
                what: what.to_owned(),
                found: size,
                expected: descriptor.size,
            });
        }
        if size > MAX_DOCUMENT || self.bytes + size > MAX_DOCUMENTS {
            let problem = format!(
                "makes the documents too large: {MAX_DOCUMENT} bytes each and {MAX_DOCUMENTS} \
                 together are accepted"
            );
            return Err(Error::image(what, problem));
        }
        let found = crate::hash::digest_of(descriptor.digest.algorithm(), bytes);
        if found == descriptor.digest {
            return Ok(());
        }
        Err(Error::Damaged {
            what: what.to_owned(),
            found,
        })
    }

    /// Does without the statement that needs this; false where something else does.
    pub(super) fn leave_out(&mut self, digest: &Digest) -> Result<bool, Error> {
        let statement = self.needs()?.optional.remove(digest);
        Ok(statement.is_some_and(|statement| self.left_out.insert(statement)))
    }

    /// What is needed as far as is known.
    pub(super) fn needs(&self) -> Result<Needs, Error> {
        let mut needs = Needs::default();
        self.walk(&self.root, 0, true, &mut needs)?;
        Ok(needs)
    }

    fn walk(
        &self,
        descriptor: &Descriptor,
        depth: usize,
        choose: bool,
        needs: &mut Needs,
    ) -> Result<(), Error> {
        if !needs.take(descriptor, Role::Document)? {
            return Ok(());
        }
        match self.documents.get(&descriptor.digest) {
            None => needs.missing.push(descriptor.clone()),
            Some(Known::Config(_)) => {
                let what = format!("manifest {}", descriptor.digest);
                return Err(Error::image(what, "is a configuration too"));
            }
            Some(Known::Manifest(manifest)) => {
                needs.documents.push(descriptor.clone());
                needs.manifests.push(descriptor.clone());
                self.manifest(descriptor, manifest, choose, needs)?;
            }
            Some(Known::Index(_)) if depth == MAX_NESTING => {
                let what = format!("index {}", descriptor.digest);
                return Err(Error::image(what, "is nested too deeply"));
            }
            Some(Known::Index(index)) => {
                needs.documents.push(descriptor.clone());
                self.index(descriptor, index, depth, choose, needs)?;
            }
        }
        Ok(())
    }

    fn manifest(
        &self,
        descriptor: &Descriptor,
        manifest: &Manifest,
        choose: bool,
        needs: &mut Needs,
    ) -> Result<(), Error> {
        let config = Descriptor::from(&manifest.config);
        let text = match self.documents.get(&config.digest) {
            Some(Known::Config(text)) => Some(text.clone()),
            _ => None,
        };
        if needs.take(&config, Role::Part)? {
            needs.configs.insert(config.digest.clone());
            match text {
                Some(_) => needs.documents.push(config),
                None => needs.missing.push(config),
            }
        }
        let layers: Vec<_> = manifest.layers.iter().map(Descriptor::from).collect();
        for layer in &layers {
            if needs.take(layer, Role::Part)? {
                needs.layers.push(layer.clone());
            }
        }
        if choose && needs.chosen.is_none() {
            needs.chosen = Some(Chosen {
                digest: descriptor.digest.clone(),
                layers,
                config: text,
            });
        }
        Ok(())
    }

    fn index(
        &self,
        descriptor: &Descriptor,
        index: &Index,
        depth: usize,
        choose: bool,
        needs: &mut Needs,
    ) -> Result<(), Error> {
        let host = Platform::host();
        let (platform, all) = match &self.wanted {
            Wanted::Platform(platform) | Wanted::Alone(platform) => (platform, false),
            Wanted::All => (&host, true),
        };
        let best = choose.then(|| best(index, platform)).flatten();
        if let Some(best) = best {
            self.walk(&Descriptor::from(best), depth + 1, true, needs)?;
            if matches!(self.wanted, Wanted::Platform(_)) {
                let said = index.manifests.iter().filter(|m| is_about(m, &best.digest));
                said.map(Descriptor::from)
                    .try_for_each(|statement| self.statement(&statement, needs))?;
            }
        }
        if all {
            let first = choose && best.is_none();
            for manifest in &index.manifests {
                let choose = first && needs.chosen.is_none() && is_image(manifest);
                self.walk(&Descriptor::from(manifest), depth + 1, choose, needs)?;
            }
        } else if choose && best.is_none() {
            return Err(no_platform(descriptor, index, platform));
        }
        Ok(())
    }

    /// A statement about what is chosen: it comes with it where it can be had.
    fn statement(&self, descriptor: &Descriptor, needs: &mut Needs) -> Result<(), Error> {
        let digest = &descriptor.digest;
        if self.left_out.contains(digest) || !needs.take(descriptor, Role::Document)? {
            return Ok(());
        }
        needs.optional.insert(digest.clone(), digest.clone());
        match self.documents.get(digest) {
            None => needs.missing.push(descriptor.clone()),
            Some(Known::Manifest(manifest)) => {
                for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
                    if !needs.seen.contains_key(&part.digest) {
                        needs.optional.insert(part.digest.clone(), digest.clone());
                    }
                }
                needs.documents.push(descriptor.clone());
                needs.manifests.push(descriptor.clone());
                self.manifest(descriptor, manifest, false, needs)?;
            }
            // It says what no statement says.
            Some(Known::Index(_) | Known::Config(_)) => {}
        }
        Ok(())
    }
}

impl Needs {
    /// Counts content in; false when it has been before.
    fn take(&mut self, descriptor: &Descriptor, role: Role) -> Result<bool, Error> {
        let what = || format!("content {}", descriptor.digest);
        match self.seen.get(&descriptor.digest) {
            Some(before) if *before == role => return Ok(false),
            // Read as one of the two, it would be missing as the other.
            Some(_) => {
                let problem = "is named as a manifest, and as a part of one";
                return Err(Error::image(what(), problem));
            }
            None => {}
        }
        if self.seen.len() == MAX_CONTENT {
            let problem = format!("is one too many: the most is {MAX_CONTENT} for one image");
            return Err(Error::image(what(), problem));
        }
        self.seen.insert(descriptor.digest.clone(), role);
        Ok(true)
    }
}

/// What an index, which is `document`, has for this platform: a manifest, or an index that has it. Of an
/// index that shall not be kept itself.
///
/// # Errors
/// [`Error::NoPlatform`], and when the document is no index.
pub fn choose(
    root: &Descriptor,
    document: &[u8],
    platform: &Platform,
) -> Result<Descriptor, Error> {
    let what = format!("document {}", root.digest);
    match documents::parse_document(&what, document)? {
        Document::Manifest(_) => Err(Error::image(&what, "is no index")),
        Document::Index(index) => best(&index, platform)
            .map(Descriptor::from)
            .ok_or_else(|| no_platform(root, &index, platform)),
    }
}

/// The manifest of an index that is for this platform: one that says just that, one that runs there,
/// or the only one that says nothing.
pub(crate) fn best<'a>(index: &'a Index, platform: &Platform) -> Option<&'a documents::Descriptor> {
    let images = || index.manifests.iter().filter(|manifest| is_image(manifest));
    let on = |manifest: &documents::Descriptor| {
        let platform = manifest.platform.as_ref();
        platform.and_then(documents::Platform::parse)
    };
    let exact = images().find(|manifest| on(manifest).as_ref() == Some(platform));
    let runs = || images().find(|manifest| on(manifest).is_some_and(|p| platform.runs(&p)));
    let mut silent = images().filter(|manifest| manifest.platform.is_none());
    exact
        .or_else(runs)
        .or_else(|| match (silent.next(), silent.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        })
}

/// Whether it is not a signed statement about an image, which stands among images.
fn is_image(manifest: &documents::Descriptor) -> bool {
    !manifest.annotations.contains_key(REFERENCE_TYPE)
}

fn no_platform(descriptor: &Descriptor, index: &Index, platform: &Platform) -> Error {
    let platforms = index.manifests.iter().filter(|manifest| is_image(manifest));
    let mut there: Vec<_> = platforms
        .filter_map(|manifest| manifest.platform.as_ref()?.parse())
        .map(|platform| platform.to_string())
        .collect();
    there.sort();
    there.dedup();
    Error::NoPlatform {
        what: format!("index {}", descriptor.digest),
        platform: platform.clone(),
        there: there.join(", "),
    }
}
