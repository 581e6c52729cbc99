//! The options of the driver `local`: what a volume is made of. Pure, but for a server's address that
//! is looked up when it is mounted.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use types::Mount;

use crate::error::Error;

/// What is mounted where a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// A directory of the store.
    Directory,
    /// A directory of the host.
    Bind {
        /// Absolute.
        path: PathBuf,
        /// With what is mounted below it.
        recursive: bool,
        /// Options of the mount.
        options: Vec<String>,
    },
    /// A file system, mounted anew for each container.
    FileSystem {
        /// `nfs`, `tmpfs`, `ext4`, ...
        kind: String,
        /// A block device, or what the file system takes for one.
        device: String,
        /// Options as in fstab(5).
        options: Vec<String>,
    },
}

/// What options say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) backing: Backing,
    /// What it may take on disk, in bytes.
    pub(crate) size: Option<u64>,
}

/// Reads options as Docker's driver does: `type`, `o`, `device` and `size`.
pub(crate) fn plan(options: &BTreeMap<String, String>) -> Result<Plan, Error> {
    const KNOWN: [&str; 4] = ["device", "o", "size", "type"];
    if let Some(other) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        let known = KNOWN.join(", ");
        return Err(invalid(format!(
            "invalid option: {other:?}: the driver \"local\" knows {known}"
        )));
    }
    let get = |key: &str| options.get(key).map(String::as_str).unwrap_or_default();
    let size = match options.get("size") {
        None => None,
        Some(text) => {
            let bytes = types::parse_bytes(text).ok().filter(|bytes| *bytes > 0);
            let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
            let wrong = || {
                invalid(format!(
                    "invalid size: {text:?}: as 512m or 10g is expected"
                ))
            };
            Some(bytes.ok_or_else(wrong)?)
        }
    };
    let (kind, device, words) = (get("type"), get("device"), words(get("o")));
    if kind.is_empty() && device.is_empty() && words.is_empty() {
        let backing = Backing::Directory;
        return Ok(Plan { backing, size });
    }
    if size.is_some() {
        return Err(invalid(
            "the option \"size\" is for volumes without type, o and device: a file system has its own"
                .to_owned(),
        ));
    }
    let backing = mounted(kind, device, words)?;
    Ok(Plan { backing, size })
}

fn mounted(kind: &str, device: &str, words: Vec<String>) -> Result<Backing, Error> {
    if device.is_empty() {
        return Err(invalid("missing required option: \"device\"".to_owned()));
    }
    let is_bind = |word: &&String| matches!(word.as_str(), "bind" | "rbind");
    let bind = words.iter().find(is_bind).cloned();
    if let Some(bind) = bind {
        if !device.starts_with('/') {
            return Err(invalid(format!(
                "invalid option \"device\": {device:?}: a bind takes an absolute path of the host"
            )));
        }
        return Ok(Backing::Bind {
            path: device.into(),
            recursive: bind == "rbind",
            options: words.into_iter().filter(|word| !is_bind(&word)).collect(),
        });
    }
    if kind.is_empty() || kind == "none" {
        return Err(invalid("missing required option: \"type\"".to_owned()));
    }
    Ok(Backing::FileSystem {
        kind: kind.to_owned(),
        device: device.to_owned(),
        options: words,
    })
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(',').filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn invalid(problem: String) -> Error {
    Error::VolumeOptions(problem)
}

impl Backing {
    /// What mounts it; `directory` is the store's own.
    ///
    /// # Errors
    /// When the address of a server cannot be found.
    pub(crate) fn mount(&self, directory: &Path) -> Result<Mount, Error> {
        let bind = |source: &Path, recursive: bool, more: &[String]| {
            let first = if recursive { "rbind" } else { "bind" };
            Mount {
                kind: "bind".to_owned(),
                source: source.to_owned(),
                target: "/".into(),
                options: [&[first.to_owned()], more].concat(),
                lower: Vec::new(),
                subpath: None,
            }
        };
        Ok(match self {
            Self::Directory => bind(directory, false, &[]),
            Self::Bind {
                path,
                recursive,
                options,
            } => bind(path, *recursive, options),
            Self::FileSystem {
                kind,
                device,
                options,
            } => Mount {
                kind: kind.clone(),
                source: device.into(),
                options: options
                    .iter()
                    .map(|option| with_address(option))
                    .collect::<Result<_, _>>()?,
                ..bind(directory, false, &[])
            },
        })
    }
}

/// Kernels know servers by address only.
fn with_address(option: &str) -> Result<String, Error> {
    let Some(name) = option.strip_prefix("addr=") else {
        return Ok(option.to_owned());
    };
    if name.parse::<IpAddr>().is_ok() {
        return Ok(option.to_owned());
    }
    let unknown = || {
        invalid(format!(
            "the server {name:?} of the volume's option addr is not known"
        ))
    };
    let mut found = (name, 0).to_socket_addrs().map_err(|_| unknown())?;
    let address = found.next().ok_or_else(unknown)?;
    Ok(format!("addr={}", address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(pairs: &[(&str, &str)]) -> String {
        let options = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        match plan(&options) {
            Ok(Plan { backing, size }) => format!("{pairs:?} -> {backing:?} {size:?}"),
            Err(error) => format!("{pairs:?} -> {error}"),
        }
    }

    #[test]
    fn options() {
        let lines = [
            show(&[]),
            show(&[("size", "10m")]),
            show(&[("size", "much")]),
            show(&[
                ("type", "tmpfs"),
                ("device", "tmpfs"),
                ("o", "size=1m,uid=5"),
            ]),
            show(&[("type", "none"), ("device", "/srv"), ("o", "bind,ro")]),
            show(&[("device", "srv"), ("o", "bind")]),
            show(&[("device", "/srv")]),
            show(&[("type", "nfs")]),
            show(&[("type", "ext4"), ("device", "/dev/x"), ("size", "1g")]),
            show(&[("colour", "red")]),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        [] -> Directory None
        [("size", "10m")] -> Directory Some(10485760)
        [("size", "much")] -> invalid size: "much": as 512m or 10g is expected
        [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,uid=5")] -> FileSystem { kind: "tmpfs", device: "tmpfs", options: ["size=1m", "uid=5"] } None
        [("type", "none"), ("device", "/srv"), ("o", "bind,ro")] -> Bind { path: "/srv", recursive: false, options: ["ro"] } None
        [("device", "srv"), ("o", "bind")] -> invalid option "device": "srv": a bind takes an absolute path of the host
        [("device", "/srv")] -> missing required option: "type"
        [("type", "nfs")] -> missing required option: "device"
        [("type", "ext4"), ("device", "/dev/x"), ("size", "1g")] -> the option "size" is for volumes without type, o and device: a file system has its own
        [("colour", "red")] -> invalid option: "colour": the driver "local" knows device, o, size, type
        "#);
    }

    #[test]
    fn servers_are_told_by_address() {
        let address = |text: &str| with_address(text);
        assert_eq!(address("addr=10.0.0.1").unwrap(), "addr=10.0.0.1");
        assert_eq!(address("vers=4").unwrap(), "vers=4");
        assert!(address("addr=").is_err());
    }
}
