//! What is said about a build beside its image: where it comes from (SLSA provenance 0.2 and 1), and what is in
//! it, which a scanner says. As BuildKit's attributes `attest:*` ask for it, and in the words that its programs
//! read.

mod definition;
mod provenance;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use types::{Digest, ImageRef, Platform};

pub(crate) use provenance::without_password;
pub use provenance::{Facts, Provenance, Version};

/// The scanner that is asked when none is named, as by BuildKit.
const SCANNER: &str = "docker/buildkit-syft-scanner:stable-1";

/// One statement about an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What kind it is of: an address.
    pub kind: String,
    /// What it says.
    pub predicate: Value,
    /// What it is called as a file.
    pub file: String,
}

impl Statement {
    /// Its document, about things by what they are called and their digests.
    pub fn document(&self, subjects: &[(String, Digest)]) -> Value {
        let subject = |(name, digest): &(String, Digest)| {
            let digest = serde_json::json!({ (digest.algorithm().as_str()): digest.hex() });
            serde_json::json!({ "name": name, "digest": digest })
        };
        serde_json::json!({
            "_type": storage::STATEMENT,
            "predicateType": self.kind,
            "subject": subjects.iter().map(subject).collect::<Vec<_>>(),
            "predicate": self.predicate,
        })
    }
}

/// What a build was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// An image.
    Image {
        /// Its name.
        name: ImageRef,
        /// For which platform.
        platform: Platform,
        /// What it was.
        digest: Digest,
    },
    /// A file from the web.
    Web {
        /// Its address.
        url: String,
        /// What it was.
        digest: Digest,
    },
    /// A repository.
    Repository {
        /// Its address, with what was asked for behind `#`.
        url: String,
        /// The commit.
        commit: String,
    },
    /// A directory of the client's: nobody else can have it.
    Local(String),
}

/// Who says what is in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanner {
    /// The image that is run.
    pub image: String,
    /// What it is told.
    pub parameters: BTreeMap<String, String>,
}

/// What is to be said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Where it comes from.
    pub provenance: Option<Provenance>,
    /// What is in it.
    pub contents: Option<Scanner>,
}

impl Wishes {
    /// Nothing is to be said.
    pub fn is_empty(&self) -> bool {
        self.provenance.is_none() && self.contents.is_none()
    }

    /// Reads attributes of a build. What clients add of their own accord, to be made only where it costs no file
    /// of its own, is left out: an image would be another one each time it is built.
    ///
    /// # Errors
    /// A sentence that names what is not known.
    pub fn read(attributes: &HashMap<String, String>) -> Result<Self, String> {
        let mut wishes = Self::default();
        for (name, text) in attributes {
            let Some(kind) = name.strip_prefix("attest:") else {
                continue;
            };
            let mut pairs = pairs(text);
            let truth = |pairs: &mut BTreeMap<String, String>, name: &str| {
                pairs.remove(name).is_some_and(|value| is_true(&value))
            };
            pairs.remove("type");
            if truth(&mut pairs, "disabled") || truth(&mut pairs, "inline-only") || text == "false"
            {
                continue;
            }
            match kind {
                "provenance" => wishes.provenance = Some(Provenance::read(pairs)?),
                "sbom" => {
                    // Its files are called as the scanner calls them.
                    pairs.remove("filename");
                    let named = pairs.remove("generator");
                    let named = named.filter(|image| !image.is_empty());
                    wishes.contents = Some(Scanner {
                        image: named.unwrap_or_else(|| SCANNER.to_owned()),
                        parameters: pairs,
                    });
                }
                other => {
                    return Err(format!(
                        "the attestation {other} is not known: provenance or sbom is expected"
                    ));
                }
            }
        }
        Ok(wishes)
    }
}

/// `a=b,c`; a value in quotes may hold commas.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|field| field.push(other)),
        }
    }
    let fields = fields.iter().map(|field| field.trim());
    let named = fields.filter(|field| !field.is_empty() && *field != "true");
    let named = named.map(|field| field.split_once('=').unwrap_or((field, "true")));
    named
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// An image's name as package URLs have it.
pub fn package_url(name: &ImageRef, platform: &Platform) -> String {
    let version = match (name.tag(), name.digest()) {
        (Some(tag), _) => format!("@{tag}"),
        (None, _) => String::new(),
    };
    let digest = name
        .digest()
        .map(|digest| format!("digest={digest}&"))
        .unwrap_or_default();
    let platform = platform.to_string().replace('/', "%2F");
    format!(
        "pkg:docker/{}{version}?{digest}platform={platform}",
        name.familiar_name()
    )
}

impl Material {
    /// Its address and what it was by algorithm; none of what nobody else can have.
    fn named(&self) -> Option<Value> {
        let (uri, algorithm, hex) = match self {
            Self::Image {
                name,
                platform,
                digest,
            } => (
                package_url(name, platform),
                digest.algorithm().as_str(),
                digest.hex(),
            ),
            Self::Web { url, digest } => (url.clone(), digest.algorithm().as_str(), digest.hex()),
            Self::Repository { url, commit } => (url.clone(), "sha1", commit.as_str()),
            Self::Local(_) => return None,
        };
        Some(serde_json::json!({ "uri": uri, "digest": { (algorithm): hex } }))
    }
}
