//! Statements about an image: in-toto documents that stand beside it in its index, in manifests that say
//! by an annotation which manifest they are about (BuildKit, "Image attestation storage").

use std::collections::BTreeMap;
use std::sync::Arc;

use types::{Digest, Platform};

use super::documents::{self, Document, Index, MAX_NESTING, Manifest, is_about};
use super::{query, variants};
use crate::content;
use crate::descriptor::Descriptor;
use crate::error::Error;
use crate::pull::best;
use crate::stage::Stage;
use crate::store::Store;

/// What a layer's statement is about, beside it.
pub(super) const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
pub(super) const IN_TOTO: &str = "application/vnd.in-toto+json";
/// What is read of the statements about one image, together: bytes, of which a bill of materials of a large image has
/// some ten million; and how many they are, of which there are two or three.
const MOST: Room = Room {
    bytes: 64 << 20,
    statements: 4096,
};

/// What may be read yet.
#[derive(Debug, Clone, Copy)]
struct Room {
    bytes: u64,
    statements: usize,
}

/// One statement.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What names it.
    pub descriptor: Descriptor,
    /// What is said beside it.
    pub annotations: BTreeMap<String, String>,
    /// The kind of it: an address.
    pub predicate: String,
    /// Its text, if that was asked for.
    pub text: Option<String>,
}

/// Which statements are wanted.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// About the manifest for this platform; the host's if none is named.
    pub platform: Option<Platform>,
    /// Of one of these kinds; of any if none is named.
    pub predicates: Vec<String>,
    /// With their texts.
    pub texts: bool,
}

/// The statements about an image that are here.
pub(crate) fn statements(
    store: &Arc<Store>,
    name: &str,
    asked: &Asked,
) -> Result<Vec<Statement>, Error> {
    let image = query::find(store, name)?;
    // Nothing of it is collected meanwhile.
    let mut stage = Stage::new(store);
    let root = variants::descriptor(store, &image.id)?;
    let host = Platform::host();
    let platform = asked.platform.as_ref().unwrap_or(&host);
    let Document::Index(index) = document(store, &root.digest)? else {
        return alone(store, name, asked).map(|()| Vec::new());
    };
    let (index, about) = manifest_for(store, &mut stage, index, platform)?.ok_or_else(|| {
        let there = index_platforms(store, &root.digest).unwrap_or_default();
        Error::NoPlatform {
            what: format!("image {name}"),
            platform: platform.clone(),
            there,
        }
    })?;
    let mut found = Vec::new();
    let mut room = MOST;
    for descriptor in index.manifests.iter().filter(|one| is_about(one, &about)) {
        // What was not brought with the image is nowhere.
        if !stage.has_content(&descriptor.digest)? {
            continue;
        }
        if let Document::Manifest(manifest) = document(store, &descriptor.digest)? {
            read(store, &mut stage, &manifest, asked, (&mut room, &mut found))?;
        }
    }
    Ok(found)
}

/// An image without an index has no statements; it has to be for the platform that was named.
fn alone(store: &Arc<Store>, name: &str, asked: &Asked) -> Result<(), Error> {
    match &asked.platform {
        Some(platform) => variants::on_platform(store, name, platform).map(drop),
        None => Ok(()),
    }
}

fn document(store: &Arc<Store>, digest: &Digest) -> Result<Document, Error> {
    let what = format!("manifest {digest}");
    documents::parse_document(&what, &content::text(store, &what, digest)?)
}

/// The manifest for a platform, and the index that names it: statements stand beside it there.
fn manifest_for(
    store: &Arc<Store>,
    stage: &mut Stage,
    mut index: Index,
    platform: &Platform,
) -> Result<Option<(Index, Digest)>, Error> {
    for _ in 0..=MAX_NESTING {
        let Some(digest) = best(&index, platform).map(|best| best.digest.clone()) else {
            return Ok(None);
        };
        if !stage.has_content(&digest)? {
            return Ok(Some((index, digest)));
        }
        match document(store, &digest)? {
            Document::Manifest(_) => return Ok(Some((index, digest))),
            Document::Index(inner) => index = inner,
        }
    }
    Ok(None)
}

fn index_platforms(store: &Arc<Store>, digest: &Digest) -> Option<String> {
    let Ok(Document::Index(index)) = document(store, digest) else {
        return None;
    };
    let parse = |one: &documents::Descriptor| one.platform.as_ref()?.parse();
    let mut all: Vec<_> = index.manifests.iter().filter_map(parse).collect();
    all.dedup();
    let all: Vec<_> = all.iter().map(Platform::to_string).collect();
    Some(all.join(", "))
}

fn read(
    store: &Arc<Store>,
    stage: &mut Stage,
    manifest: &Manifest,
    asked: &Asked,
    (room, found): (&mut Room, &mut Vec<Statement>),
) -> Result<(), Error> {
    for layer in manifest.layers.iter().filter(|l| l.media_type == IN_TOTO) {
        let Some(predicate) = layer.annotations.get(PREDICATE_TYPE) else {
            continue;
        };
        if !asked.predicates.is_empty() && !asked.predicates.contains(predicate) {
            continue;
        }
        let text = match asked.texts && stage.has_content(&layer.digest)? {
            true => Some(text(store, &layer.digest, room)?),
            false => None,
        };
        room.take_one(&layer.digest)?;
        found.push(Statement {
            descriptor: Descriptor::from(layer),
            annotations: layer.annotations.clone(),
            predicate: predicate.clone(),
            text,
        });
    }
    Ok(())
}

impl Room {
    fn take_one(&mut self, digest: &Digest) -> Result<(), Error> {
        let left = self.statements.checked_sub(1);
        self.statements = left.ok_or_else(|| {
            let problem = format!(
                "is one more than the {} that are read about an image",
                MOST.statements
            );
            Error::image(format!("statement {digest}"), problem)
        })?;
        Ok(())
    }
}

/// Its text, which takes its share of the room.
fn text(store: &Arc<Store>, digest: &Digest, room: &mut Room) -> Result<String, Error> {
    let what = format!("statement {digest}");
    let bytes = content::text_within(store, &what, digest, room.bytes)?;
    room.bytes -= bytes.len() as u64;
    String::from_utf8(bytes).map_err(|_| Error::image(what, "is not text in UTF-8"))
}
