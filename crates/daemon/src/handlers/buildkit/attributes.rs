//! What an output is told: its attributes, in BuildKit's words.

use std::collections::{BTreeMap, HashMap};

use builder::solve::{Built, Compression, Failure, MediaTypes, Method};
use types::{ErrorKind, ImageRef, Platform};

/// What Docker's daemon calls images that have no name: they have none.
const MOBY_DANGLING: &str = "moby-dangling";

/// Attributes that would make another output, and are not done: to pass over them would be wrong.
pub(super) fn done_here(kind: &str, attributes: &HashMap<String, String>) -> Result<(), Failure> {
    let no = |value: &str| matches!(value, "0" | "f" | "F" | "false" | "FALSE" | "False");
    for (name, value) in attributes {
        let refused = match name.as_str() {
            "registry.insecure" => !no(value),
            "tar" | "store" => no(value),
            "compression" => value == "estargz",
            name if name.starts_with("annotation") => annotation(name).is_none(),
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

/// What of an image an annotation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Manifest,
    /// What names the manifest in an index.
    ManifestDescriptor,
    Index,
    /// What names the index in an archive.
    IndexDescriptor,
}

/// An annotation's name as an output has it: what it is about, for which platform alone, and its key.
fn annotation(name: &str) -> Option<(Of, Option<Platform>, &str)> {
    let rest = name.strip_prefix("annotation")?;
    let words = [
        ("-manifest-descriptor", Of::ManifestDescriptor),
        ("-manifest", Of::Manifest),
        ("-index-descriptor", Of::IndexDescriptor),
        ("-index", Of::Index),
        ("", Of::Manifest),
    ];
    let mut words = words.into_iter();
    let (of, rest) = words.find_map(|(word, of)| Some((of, rest.strip_prefix(word)?)))?;
    let (platform, rest) = match rest.strip_prefix('[') {
        Some(_) if matches!(of, Of::Index | Of::IndexDescriptor) => return None,
        Some(rest) => {
            let (platform, rest) = rest.split_once(']')?;
            (Some(platform.parse().ok()?), rest)
        }
        None => (None, rest),
    };
    Some((of, platform, rest.strip_prefix('.')?))
}

/// How layers are compressed: `compression`, `compression-level`, `force-compression`.
pub(super) fn compression(attributes: &HashMap<String, String>) -> Result<Compression, Failure> {
    let text = |name: &str| attributes.get(name).map(String::as_str);
    let method = match text("compression") {
        None | Some("" | "gzip") => Method::Gzip,
        Some("zstd") => Method::Zstd,
        Some("uncompressed") => Method::Plain,
        Some(other) => {
            let sentence = format!("compression={other}: gzip, zstd or uncompressed is expected");
            return Err(Failure::invalid(sentence));
        }
    };
    let level = text("compression-level").filter(|level| !level.is_empty());
    let level = level.map(|level| at_most(level, method)).transpose()?;
    Ok(Compression {
        method,
        level: level.flatten(),
        all: flag(attributes, "force-compression")?.unwrap_or(false),
    })
}

/// A level; none where there is none to choose.
fn at_most(level: &str, method: Method) -> Result<Option<u8>, Failure> {
    let highest = method.hardest();
    let expected = highest.unwrap_or(Method::Zstd.hardest().unwrap_or_default());
    let parsed = level.parse().ok().filter(|level| *level <= expected);
    match parsed {
        Some(level) => Ok(highest.map(|_| level)),
        None => {
            let sentence =
                format!("compression-level={level}: a number from 0 to {expected} is expected");
            Err(Failure::invalid(sentence))
        }
    }
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

/// Annotations of something: those for any platform, and those for this one.
pub(super) fn annotations(
    attributes: &HashMap<String, String>,
    of: Of,
    platform: Option<&Platform>,
) -> BTreeMap<String, String> {
    let mut named: Vec<(bool, &str, &String)> = attributes
        .iter()
        .filter_map(|(name, value)| {
            let (about, only, key) = annotation(name)?;
            let fits = only.is_none() || only.as_ref() == platform;
            (about == of && fits).then_some((only.is_some(), key, value))
        })
        .collect();
    // What is said of one platform counts more.
    named.sort();
    let pairs = named.into_iter();
    pairs
        .map(|(_, key, value)| (key.to_owned(), value.clone()))
        .collect()
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
    fn compressions_are_read() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let all: HashMap<String, String> = pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            compression(&all).map_err(|failure| failure.message)
        };
        let zstd = Compression {
            method: Method::Zstd,
            level: Some(19),
            all: true,
        };
        assert_eq!(read(&[]), Ok(Compression::default()));
        let words = [
            ("compression", "zstd"),
            ("compression-level", "19"),
            ("force-compression", "true"),
        ];
        assert_eq!(read(&words), Ok(zstd));
        let plain = read(&[("compression", "uncompressed"), ("compression-level", "3")]);
        assert_eq!(
            plain.map(|how| (how.method, how.level)),
            Ok((Method::Plain, None))
        );
        assert_eq!(
            read(&[("compression-level", "10")]).unwrap_err(),
            "compression-level=10: a number from 0 to 9 is expected"
        );
        assert_eq!(
            read(&[("compression", "zstd"), ("compression-level", "x")]).unwrap_err(),
            "compression-level=x: a number from 0 to 22 is expected"
        );
        assert_eq!(
            read(&[("compression", "lz4")]).unwrap_err(),
            "compression=lz4: gzip, zstd or uncompressed is expected"
        );
    }

    #[test]
    fn what_would_be_another_output_is_refused() {
        let refused = |name: &str, value: &str| {
            let attributes = HashMap::from([(name.to_owned(), value.to_owned())]);
            done_here("image", &attributes).is_err()
        };
        for (name, value) in [
            ("tar", "false"),
            ("compression", "estargz"),
            ("annotation-index[linux/amd64].a", "b"),
            ("annotation-manifest[nonsense/].a", "b"),
            ("annotation-manifest", "b"),
            ("annotation-other.a", "b"),
            ("registry.insecure", "true"),
        ] {
            assert!(refused(name, value), "{name}");
        }
        for (name, value) in [
            ("push-by-digest", "false"),
            ("compression", "gzip"),
            ("compression", "zstd"),
            ("compression-level", "9"),
            ("force-compression", "true"),
            ("annotation-index.a", "b"),
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

    #[test]
    fn annotations_are_those_of_a_platform() {
        let attributes = [
            ("annotation.a", "all"),
            ("annotation-manifest.b", "all"),
            ("annotation[linux/arm64].a", "arm"),
            ("annotation-manifest[linux/arm64].c.d", "arm"),
            ("annotation-manifest-descriptor.e", "named"),
            ("annotation-index.f", "index"),
            ("annotation-index-descriptor.g", "of index"),
        ];
        let pairs = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let attributes = HashMap::from(pairs);
        let of = |of: Of, platform: &str| {
            let platform = platform.parse().ok();
            let all = annotations(&attributes, of, platform.as_ref());
            let all = all.iter().map(|(key, value)| format!("{key}={value}"));
            all.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(Of::Manifest, "linux/amd64"), "a=all b=all");
        assert_eq!(of(Of::Manifest, "linux/arm64"), "a=arm b=all c.d=arm");
        assert_eq!(of(Of::ManifestDescriptor, "linux/amd64"), "e=named");
        assert_eq!(of(Of::Index, ""), "f=index");
        assert_eq!(of(Of::IndexDescriptor, ""), "g=of index");
    }
}
