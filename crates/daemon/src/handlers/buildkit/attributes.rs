//! What an output is told: its attributes, in BuildKit's words.

use std::collections::{BTreeMap, HashMap};

use builder::solve::{Built, Failure, MediaTypes};
use types::{ErrorKind, ImageRef};

/// What Docker's daemon calls images that have no name: they have none.
const MOBY_DANGLING: &str = "moby-dangling";

/// Attributes that would make another output, and are not done: to pass over them would be wrong.
pub(super) fn done_here(kind: &str, attributes: &HashMap<String, String>) -> Result<(), Failure> {
    let no = |value: &str| matches!(value, "0" | "f" | "F" | "false" | "FALSE" | "False");
    for (name, value) in attributes {
        let refused = match name.as_str() {
            "registry.insecure" => !no(value),
            "tar" | "store" => no(value),
            "compression" => value != "gzip",
            "compression-level" => true,
            _ => false,
        };
        if refused {
            let sentence =
                format!("the output {kind} cannot be had with {name}={value}: leave that out");
            return Err(Failure::new(ErrorKind::Unsupported, sentence));
        }
    }
    Ok(())
}

/// In whose words the image is described: `oci-mediatypes`.
pub(super) fn media_types(attributes: &HashMap<String, String>) -> Result<MediaTypes, Failure> {
    Ok(match flag(attributes, "oci-mediatypes")? {
        Some(false) => MediaTypes::Docker,
        Some(true) | None => MediaTypes::Oci,
    })
}

/// The time that no file of the image may be younger than: what `SOURCE_DATE_EPOCH` says, if times are to be
/// rewritten.
pub(super) fn latest(
    built: &[Built],
    attributes: &HashMap<String, String>,
) -> Result<Option<i64>, Failure> {
    if !truth(attributes, "rewrite-timestamp") {
        return Ok(None);
    }
    let epoch = built.iter().find_map(|one| one.epoch);
    Ok(said_epoch(attributes)?.or(epoch))
}

/// The output's own word for `SOURCE_DATE_EPOCH`, in seconds since 1970.
pub(super) fn said_epoch(attributes: &HashMap<String, String>) -> Result<Option<i64>, Failure> {
    let said = attributes.get("source-date-epoch");
    let said = said.map(|text| {
        text.parse().map_err(|_| {
            let sentence = format!("source-date-epoch={text}: seconds since 1970 are expected");
            Failure::invalid(sentence)
        })
    });
    said.transpose()
}

/// The names of an image, as the client says them.
pub(super) fn names(attributes: &HashMap<String, String>) -> Result<Vec<ImageRef>, Failure> {
    let names = attributes.get("name").map(String::as_str);
    let names = names.unwrap_or_default().split(',');
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    let parsed = names.map(|name| {
        name.parse()
            .map_err(|error: types::InvalidReference| Failure::invalid(error.to_string()))
    });
    parsed.collect()
}

/// Annotations, whose names stand behind one of some words.
pub(super) fn annotations(
    attributes: &HashMap<String, String>,
    words: &[&str],
) -> BTreeMap<String, String> {
    let named = attributes.iter().filter_map(|(key, value)| {
        let mut rest = words.iter().filter_map(|word| key.strip_prefix(word));
        Some((rest.next()?.to_owned(), value.clone()))
    });
    named.collect()
}

pub(super) fn truth(attributes: &HashMap<String, String>, name: &str) -> bool {
    attributes
        .get(name)
        .is_some_and(|value| matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"))
}

/// A word for yes or no; none is neither.
pub(super) fn flag(
    attributes: &HashMap<String, String>,
    name: &str,
) -> Result<Option<bool>, Failure> {
    let read = attributes.get(name).map(|value| match value.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => {
            let sentence =
                format!("non-bool value for {name}: {other:?}: true or false is expected");
            Err(Failure::invalid(sentence))
        }
    });
    read.transpose()
}

/// What an image without a name is called by its digest in: a repository.
pub(super) fn dangling(attributes: &HashMap<String, String>) -> Result<Option<ImageRef>, Failure> {
    let prefix = attributes.get("dangling-name-prefix");
    let prefix = prefix.filter(|prefix| !prefix.is_empty() && *prefix != MOBY_DANGLING);
    let parsed = prefix.map(|prefix| {
        prefix
            .parse()
            .map_err(|error: types::InvalidReference| Failure::invalid(error.to_string()))
    });
    parsed.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_another_output_is_refused() {
        let refused = |name: &str, value: &str| {
            let attributes = HashMap::from([(name.to_owned(), value.to_owned())]);
            done_here("image", &attributes).is_err()
        };
        for (name, value) in [
            ("tar", "false"),
            ("compression", "zstd"),
            ("compression-level", "9"),
            ("registry.insecure", "true"),
        ] {
            assert!(refused(name, value), "{name}");
        }
        for (name, value) in [
            ("push-by-digest", "false"),
            ("compression", "gzip"),
            ("force-compression", "true"),
            ("oci-mediatypes", "false"),
            ("name", "a,b"),
            ("push", "true"),
            ("platform-split", "false"),
            ("name-canonical", "true"),
            ("dangling-name-prefix", "dangling"),
        ] {
            assert!(!refused(name, value), "{name}");
        }
    }
}
