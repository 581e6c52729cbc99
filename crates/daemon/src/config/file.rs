//! The configuration file, TOML or JSON, and the environment.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::nearest::nearest;
use super::registries::Table;
use super::settings::{KEYS, Says, Settings};
use super::{NETWORK, REGISTRIES, RUNTIMES, SOCKETS, TABLES, TELEMETRY};

/// Variables beside those of the keys.
const OTHER_VARIABLES: [&str; 2] = ["BRIGD_CONFIG", "BRIGD_FAIL_AT"];

/// Why a file or a variable is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: a configuration file ends in .toml or .json")]
    Ending { path: PathBuf },
    #[error("{path} is no TOML: {reason}")]
    Toml { path: PathBuf, reason: String },
    #[error("{path} is no JSON")]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{place}: unknown key {key:?}: {hint}")]
    UnknownKey {
        place: String,
        key: String,
        hint: String,
    },
    #[error("{place}: {key} is {found}: {expected} is expected")]
    Type {
        place: String,
        key: &'static str,
        found: &'static str,
        expected: &'static str,
    },
    #[error("the environment: unknown variable {name}: {hint}")]
    UnknownVariable { name: String, hint: String },
}

/// Reads a file whose ending says what it is.
pub(super) fn read(path: &Path) -> Result<Settings, FileError> {
    let path_buf = || path.to_owned();
    let ending = path.extension().and_then(|ending| ending.to_str());
    if !matches!(ending, Some("toml" | "json")) {
        return Err(FileError::Ending { path: path_buf() });
    }
    let text = std::fs::read_to_string(path).map_err(|source| FileError::Read {
        path: path_buf(),
        source,
    })?;
    let values: Map<String, Value> = if ending == Some("json") {
        serde_json::from_str(&text).map_err(|source| FileError::Json {
            path: path_buf(),
            source,
        })?
    } else {
        toml::from_str(&text).map_err(|error| FileError::Toml {
            path: path_buf(),
            reason: one_line(&error, &text),
        })?
    };
    File {
        path,
        text: &text,
        values,
    }
    .settings()
}

/// The parser's message without its picture of the line.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text[..start].matches('\n').count() + 1;
    format!("line {line}: {}", error.message().replace('\n', ", "))
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    values: Map<String, Value>,
}

impl File<'_> {
    fn settings(&self) -> Result<Settings, FileError> {
        if let Some(key) = self.values.keys().find(|k| !is_key(k)) {
            return Err(FileError::UnknownKey {
                place: self.place(key),
                key: key.clone(),
                hint: hint(key),
            });
        }
        Ok(Settings {
            registries: self.table(REGISTRIES),
            network: self.table(NETWORK),
            runtimes: self.table(RUNTIMES),
            sockets: self.table(SOCKETS),
            telemetry: self.table(TELEMETRY),
            ..Settings::of(self)?
        })
    }

    fn table(&self, key: &str) -> Option<Table> {
        self.values.get(key).map(|value| Table {
            file: self.path.to_owned(),
            value: Some(value.clone()),
        })
    }

    fn wrong_type(&self, key: &'static str, found: &Value, expected: &'static str) -> FileError {
        FileError::Type {
            place: self.place(key),
            key,
            found: match found {
                Value::Null => "null",
                Value::Bool(_) => "true or false",
                Value::Number(_) => "a number",
                Value::String(_) => "a string",
                Value::Array(_) => "a list",
                Value::Object(_) => "a table",
            },
            expected,
        }
    }

    /// The file, and the line where the key stands if it can be found.
    fn place(&self, key: &str) -> String {
        let stands = |line: &str| {
            let line = line.trim_start().trim_start_matches('[');
            let rest = line.strip_prefix(key).or_else(|| {
                line.trim_start_matches(['{', ' '])
                    .strip_prefix('"')?
                    .strip_prefix(key)?
                    .strip_prefix('"')
            });
            rest.is_some_and(|rest| rest.trim_start().starts_with(['=', ':', ']', '.']))
        };
        match self.text.lines().position(stands) {
            Some(index) => format!("{}, line {}", self.path.display(), index + 1),
            None => self.path.display().to_string(),
        }
    }
}

impl Says for File<'_> {
    type Wrong = FileError;

    fn text(&self, key: &'static str) -> Result<Option<String>, Self::Wrong> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong_type(key, other, "a string")),
        }
    }

    /// A number, or a string that is to be one.
    fn number(&self, key: &'static str) -> Result<Option<String>, Self::Wrong> {
        match self.values.get(key) {
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            None => Ok(None),
            Some(other) => Err(self.wrong_type(key, other, "a number")),
        }
    }

    fn switch(&self, key: &'static str) -> Result<Option<String>, Self::Wrong> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(on.to_string())),
            Some(other) => Err(self.wrong_type(key, other, "true or false")),
        }
    }

    fn list(&self, key: &'static str) -> Result<Option<Vec<String>>, Self::Wrong> {
        let wrong = |value| self.wrong_type(key, value, "a string or a list of strings");
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(vec![text.clone()])),
            Some(list @ Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(list)))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(wrong(other)),
        }
    }
}

fn is_key(key: &str) -> bool {
    TABLES.contains(&key) || KEYS.contains(&key)
}

fn hint(key: &str) -> String {
    let mut keys = KEYS.to_vec();
    keys.sort_unstable();
    match nearest(key, keys.iter().copied().chain(TABLES)) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("the keys are {}, {}", keys.join(", "), TABLES.join(", ")),
    }
}

/// The name of a key's variable: `BRIGD_DATA_ROOT`.
fn variable(key: &str) -> String {
    format!("BRIGD_{}", key.replace('-', "_").to_uppercase())
}

/// What the variables say. An empty one says nothing.
pub(super) fn from_environment(get: impl Fn(&str) -> Option<String>) -> Settings {
    let fail_at = get("BRIGD_FAIL_AT");
    let Ok(settings) = Settings::of(&Environment(get));
    Settings {
        fail_at,
        ..settings
    }
}

struct Environment<F>(F);

impl<F: Fn(&str) -> Option<String>> Says for Environment<F> {
    /// A variable is text, whatever is meant.
    type Wrong = Infallible;

    fn text(&self, key: &'static str) -> Result<Option<String>, Infallible> {
        let value = (self.0)(&variable(key));
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn number(&self, key: &'static str) -> Result<Option<String>, Infallible> {
        self.text(key)
    }

    fn switch(&self, key: &'static str) -> Result<Option<String>, Infallible> {
        self.text(key)
    }

    fn list(&self, key: &'static str) -> Result<Option<Vec<String>>, Infallible> {
        let items = |text: String| text.split(',').map(|item| item.trim().to_owned()).collect();
        Ok(self.text(key)?.map(items))
    }
}

/// A variable that looks like one of ours and is none.
pub(crate) fn unknown_variable<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<FileError> {
    let known: Vec<String> = KEYS
        .iter()
        .map(|key| variable(key))
        .chain(OTHER_VARIABLES.map(str::to_owned))
        .collect();
    let name = names.find(|name| name.starts_with("BRIGD_") && !known.iter().any(|k| k == name))?;
    let hint = match nearest(name, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("the variables are {}", known.join(", ")),
    };
    Some(FileError::UnknownVariable {
        name: name.to_owned(),
        hint,
    })
}
