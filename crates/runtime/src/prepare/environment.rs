//! The environment of a process: each name once, and a home to go to.

use std::collections::BTreeSet;

use crate::error::Error;

/// The environment as the process gets it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `NAME=value`, each name once.
    pub(crate) entries: Vec<String>,
    /// HOME is not set, or to nothing: it is to be what the container's users file says.
    pub(crate) lacks_home: bool,
}

/// The last entry of a name counts, as a shell would have it. An empty HOME is none: it has been
/// the habit of runtimes to fill it in, and programs rely on it.
pub(super) fn environment(asked: &[String]) -> Result<Environment, Error> {
    let mut entries = Vec::with_capacity(asked.len() + 1);
    let mut seen = BTreeSet::new();
    let mut lacks_home = true;
    for entry in asked.iter().rev() {
        let name = name(entry)?;
        if !seen.insert(name) {
            continue;
        }
        if name == "HOME" {
            if entry.len() == "HOME=".len() {
                continue;
            }
            lacks_home = false;
        }
        entries.push(entry.clone());
    }
    entries.reverse();
    Ok(Environment {
        entries,
        lacks_home,
    })
}

fn name(entry: &str) -> Result<&str, Error> {
    let wrong = |reason: &str| {
        let reason = format!("invalid environment variable {entry:?}: {reason}");
        Error::invalid("process.env", reason)
    };
    match entry.split_once('=') {
        _ if entry.contains('\0') => Err(wrong("it must not hold a NUL character")),
        None => Err(wrong("missing '='")),
        Some(("", _)) => Err(wrong("its name is empty")),
        Some((name, _)) => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[&str]) -> Result<(String, bool), String> {
        let entries: Vec<_> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        environment(&entries)
            .map(|made| (made.entries.join(" "), made.lacks_home))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let table: [(&[&str], &str, bool); 5] = [
            (&["A=1", "B=2", "A=3"], "B=2 A=3", true),
            (&["ONE=two", "ONE="], "ONE=", true),
            (&["HOME=/x"], "HOME=/x", false),
            (&["HOME=/x", "HOME="], "", true),
            (&[], "", true),
        ];
        for (asked, made, lacks_home) in table {
            assert_eq!(of(asked), Ok((made.to_owned(), lacks_home)), "{asked:?}");
        }
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        assert_eq!(
            of(&["PATH"]).unwrap_err(),
            "invalid configuration: process.env: invalid environment variable \"PATH\": missing '='"
        );
        assert!(of(&["=x"]).unwrap_err().ends_with("its name is empty"));
        assert!(of(&["A=\0"]).unwrap_err().contains("NUL"));
    }
}
