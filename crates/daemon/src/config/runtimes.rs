//! Other OCI runtimes that containers may ask for by name: `--add-runtime` and the table `runtimes`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::programs;
use super::registries::Table;

/// Why a runtime cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub(crate) struct Error {
    place: String,
    why: String,
}

/// A runtime as it is written: its path, or a table as Docker's daemon has it.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a path, or a table with a path, is expected")]
enum Written {
    Path(PathBuf),
    Table(WrittenTable),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTable {
    path: PathBuf,
}

/// Those of the file, and over them those of the flags.
pub(super) fn complete(
    flags: Option<&Vec<String>>,
    table: Option<&Table>,
) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut all = BTreeMap::new();
    if let Some(Table {
        file,
        value: Some(value),
    }) = table
    {
        let wrong = |why: String| Error {
            place: format!("{}: the table runtimes", file.display()),
            why,
        };
        for (name, path) in of_table(value).map_err(wrong)? {
            let path = check(&name, &path).map_err(wrong)?;
            all.insert(name, path);
        }
    }
    for text in flags.into_iter().flatten() {
        let wrong = |why: String| Error {
            place: format!("--add-runtime {text}"),
            why,
        };
        let (name, path) = text
            .split_once('=')
            .ok_or_else(|| wrong("NAME=PATH is expected".to_owned()))?;
        let path = check(name, path.as_ref()).map_err(wrong)?;
        all.insert(name.to_owned(), path);
    }
    Ok(all)
}

fn of_table(value: &Value) -> Result<BTreeMap<String, PathBuf>, String> {
    let written = BTreeMap::<String, Written>::deserialize(value);
    let written = written.map_err(|error| error.to_string())?;
    let path = |written| match written {
        Written::Path(path) | Written::Table(WrittenTable { path }) => path,
    };
    Ok(written
        .into_iter()
        .map(|(name, written)| (name, path(written)))
        .collect())
}

/// The program's path. A bare name is looked up on the PATH, as by Docker.
fn check(name: &str, path: &Path) -> Result<PathBuf, String> {
    if name.is_empty() || name == engine::container::OWN_RUNTIME {
        return Err(format!(
            "the runtime {name:?}: a name other than {:?}, which is Brig's own, is expected",
            engine::container::OWN_RUNTIME
        ));
    }
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let refused = |why| Err(format!("the runtime {name}: {} {why}", path.display()));
    if path.components().count() != 1 {
        return refused("is neither an absolute path nor a program's name");
    }
    match programs::on_path(path) {
        Some(found) => Ok(found),
        None => refused("was not found on the PATH"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(flags: &[&str], value: Value) -> Result<String, String> {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let table = Table {
            file: "/b.toml".into(),
            value: Some(value),
        };
        let all = complete(Some(&flags), Some(&table)).map_err(|error| error.to_string())?;
        let line = |(name, path): (String, PathBuf)| format!("{name}={}", path.display());
        Ok(all.into_iter().map(line).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn runtimes_are_named_by_flags_and_files() {
        let table = json!({"crun": "/usr/bin/crun", "runc": {"path": "/usr/sbin/runc"}});
        assert_eq!(
            read(&["crun=/opt/crun", "kata=/opt/kata"], table).unwrap(),
            "crun=/opt/crun kata=/opt/kata runc=/usr/sbin/runc"
        );
        let found = read(&["shell=sh"], json!({})).unwrap();
        assert!(
            found.starts_with("shell=/") && found.ends_with("/sh"),
            "{found}"
        );
        for (flags, table, says) in [
            (
                vec!["crun"],
                json!({}),
                "--add-runtime crun: NAME=PATH is expected",
            ),
            (
                vec!["crun=no-such-program"],
                json!({}),
                "the runtime crun: no-such-program was not found on the PATH",
            ),
            (
                vec!["crun=bin/crun"],
                json!({}),
                "the runtime crun: bin/crun is neither an absolute path nor a program's name",
            ),
            (vec![], json!({"brig": "/x"}), "which is Brig's own"),
            (
                vec![],
                json!({"x": {"runtimeType": "y"}}),
                "/b.toml: the table runtimes: ",
            ),
        ] {
            let error = read(&flags, table).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
