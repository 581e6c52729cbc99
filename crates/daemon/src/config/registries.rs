//! How registries are reached: the table `registries` of the configuration file, certificates in the
//! directories that Docker reads, and proxies of the environment.

use std::io;
use std::path::{Path, PathBuf};

use engine::image::registries::{Config, HostFile, InvalidConfig, Proxies};
use serde_json::Value;

/// Where certificates of hosts are looked for, `HOST[:PORT]/`: Brig's own directory before Docker's.
const CERTIFICATES: [&str; 2] = ["/etc/brig/certs.d", "/etc/docker/certs.d"];

/// The key in the table that names other directories.
const DIRECTORIES: &str = "certificates";

/// Why there is no configuration of registries.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}: the table registries: {why}", path.display())]
    Table { path: PathBuf, why: String },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}", directory.display())]
    Host {
        directory: PathBuf,
        source: InvalidConfig,
    },
}

/// What a file says about registries, as it stands there.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    /// The file, for messages.
    pub(crate) file: PathBuf,
    /// None when it says nothing.
    pub(crate) value: Option<Value>,
}

/// Everything together: the table, then certificates, then proxies where the table names none.
pub(super) fn complete(
    table: Option<&Table>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Config, Error> {
    let (mut config, directories) = match table {
        Some(table) => parse(table)?,
        None => (Config::default(), None),
    };
    let directories = directories.unwrap_or_else(|| CERTIFICATES.map(PathBuf::from).to_vec());
    // What is read later counts.
    for directory in directories.iter().rev() {
        add_hosts(&mut config, directory)?;
    }
    if config.proxies == Proxies::default() {
        config.proxies = Proxies::from_environment(environment);
    }
    Ok(config)
}

fn parse(table: &Table) -> Result<(Config, Option<Vec<PathBuf>>), Error> {
    let wrong = |why: String| Error::Table {
        path: table.file.clone(),
        why,
    };
    let Some(mut value) = table.value.clone() else {
        return Ok((Config::default(), None));
    };
    let named = value
        .as_object_mut()
        .and_then(|map| map.remove(DIRECTORIES));
    let directories = named
        .map(serde_json::from_value::<Vec<PathBuf>>)
        .transpose();
    let directories = directories.map_err(|_| {
        wrong(format!(
            "{DIRECTORIES} is no list of directories: [\"/etc/brig/certs.d\"] is expected"
        ))
    })?;
    let config = serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
    Ok((config, directories))
}

/// A directory for each host, as Docker and containerd have it.
fn add_hosts(config: &mut Config, directory: &Path) -> Result<(), Error> {
    for path in entries(directory)? {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let Some(host) = name.filter(|_| path.is_dir()) else {
            continue;
        };
        let files = host_files(&path)?;
        let named = |name: &str| std::fs::read_to_string(path.join(name));
        let added = config.add_host_directory(&host, &files, named);
        added.map_err(|source| Error::Host {
            directory: path.clone(),
            source,
        })?;
    }
    Ok(())
}

fn host_files(directory: &Path) -> Result<Vec<HostFile>, Error> {
    const ENDINGS: [&str; 4] = ["crt", "cert", "key", "toml"];
    let wanted = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| ENDINGS.contains(&ending))
    };
    let files = entries(directory)?.into_iter().filter(wanted);
    files
        .map(|path| {
            let name = path.file_name().unwrap_or_default();
            Ok(HostFile {
                name: name.to_string_lossy().into_owned(),
                text: read(&path)?,
            })
        })
        .collect()
}

/// What is in a directory, by name; nothing when it is not there.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read {
        path: directory.to_owned(),
        source,
    };
    let listing = match std::fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let paths = listing.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<_> = paths.collect::<Result<_, _>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(value: Value) -> Table {
        Table {
            file: "/etc/brig/brigd.toml".into(),
            value: Some(value),
        }
    }

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        sys::file::replace(path, text.as_bytes(), 0o644).unwrap();
    }

    #[test]
    fn certificates_are_found_by_host() {
        let dir = tempfile::tempdir().unwrap();
        let host = dir.path().join("r.example.com:5000");
        write(&host.join("ca.crt"), "authority");
        write(&host.join("me.cert"), "certificate");
        write(&host.join("me.key"), "key");
        write(&host.join("README"), "");
        let value = json!({
            "certificates": [dir.path()],
            "insecure": ["10.0.0.0/8"],
            "host": {"r.example.com:5000": {"plain-http": true}},
        });
        let config = complete(Some(&table(value)), |_| None).unwrap();
        let found = &config.hosts["r.example.com:5000"];
        assert!(found.plain_http);
        assert_eq!(found.authorities, ["authority"]);
        assert_eq!(found.client.as_ref().unwrap().key, "key");
        assert_eq!(config.insecure, ["10.0.0.0/8"]);
    }

    #[test]
    fn half_a_certificate_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("r/me.cert"), "certificate");
        let value = json!({"certificates": [dir.path()]});
        let error = complete(Some(&table(value)), |_| None).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("me.cert"), "{source}");
    }

    #[test]
    fn mistakes_are_named() {
        let error = complete(Some(&table(json!({"insecur": []}))), |_| None).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("insecur") && text.contains("brigd.toml"),
            "{text}"
        );
        let error = complete(Some(&table(json!({"certificates": 1}))), |_| None).unwrap_err();
        assert!(
            error.to_string().contains("no list of directories"),
            "{error}"
        );
    }

    #[test]
    fn proxies_come_from_the_environment_unless_the_table_names_some() {
        let environment = |name: &str| (name == "HTTPS_PROXY").then(|| "http://p:1".to_owned());
        let value = json!({"certificates": []});
        let config = complete(Some(&table(value)), environment).unwrap();
        assert_eq!(config.proxies.https, "http://p:1");
        let value = json!({"certificates": [], "proxies": {"https": "http://q:2"}});
        let config = complete(Some(&table(value)), environment).unwrap();
        assert_eq!(config.proxies.https, "http://q:2");
    }
}
