//! What a build is lent: directories, secrets, agents, and places for what it gives back; and how flags
//! say so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

pub(crate) use super::files::Place;
use super::keys::Keys;
use crate::error::CliError;

pub(crate) mod place {
    //! The names under which the daemon asks for a build's own two directories.

    /// The context.
    pub(crate) const CONTEXT: &str = "context";
    /// Where the Dockerfile is.
    pub(crate) const DOCKERFILE: &str = "dockerfile";
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    /// In a file.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
}

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// To a file.
    File(PathBuf),
    /// Into a directory.
    Directory(PathBuf),
    /// To standard output.
    Stdout,
}

/// All that is lent.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    /// Directories, by the names under which the daemon asks for them.
    pub(crate) places: BTreeMap<String, Place>,
    /// Secrets by their ids.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// Sockets of agents by their ids.
    pub(crate) agents: BTreeMap<String, PathBuf>,
    /// Agents of our own, for keys in files.
    pub(crate) keys: Vec<Keys>,
    /// Directories with content, by the names under which the daemon asks for them.
    pub(crate) stores: BTreeMap<String, PathBuf>,
    /// Those of them that a cache is written to, and what it is called there.
    pub(crate) caches: Vec<(PathBuf, String)>,
    /// Where the request's outputs go, those that come to the client.
    pub(crate) outputs: Vec<Option<Output>>,
    /// The beginning of an archive on standard input; taken once. A plain mutex: held to take it.
    pub(crate) upload: Mutex<Option<Vec<u8>>>,
}

/// The fields of a flag's value: comma-separated, with quotes as in CSV.
pub(crate) fn fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(last) = fields.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                last.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => last.push(c),
        }
    }
    fields
}

/// Fields that are `key=value`, keys in small letters.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, CliError> {
    let pair = |field: String| match field.split_once('=') {
        Some((key, value)) => Ok((key.trim().to_lowercase(), value.to_owned())),
        None => Err(CliError::Invalid(format!(
            "invalid value {field}: a field has to be key=value"
        ))),
    };
    fields(text).into_iter().map(pair).collect()
}

/// One `--secret`.
pub(crate) fn secret(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, Secret), CliError> {
    let (mut id, mut kind, mut file, mut env) = (String::new(), String::new(), None, None);
    for (key, value) in pairs(text)? {
        match key.as_str() {
            "id" => id = value,
            "type" if matches!(value.as_str(), "file" | "env") => kind = value,
            "type" => {
                return Err(CliError::Invalid(format!(
                    "unsupported secret type {value:?}: file or env is expected"
                )));
            }
            "source" | "src" => file = Some(value),
            "env" => env = Some(value),
            other => {
                return Err(CliError::Invalid(format!(
                    "unexpected key '{other}' in '{other}={value}': id, type, source (src) or env is expected"
                )));
            }
        }
    }
    if id.is_empty() {
        return Err(CliError::Invalid(format!(
            "secret {text:?} has no id: id=NAME is expected"
        )));
    }
    if kind == "env" && env.is_none() {
        env = file.take();
    }
    let found = match (file, env) {
        (Some(path), _) => Secret::File(path.into()),
        (None, Some(name)) => Secret::Variable(name),
        (None, None) if kind != "file" && variable(&id).is_some() => Secret::Variable(id.clone()),
        (None, None) => Secret::File(id.clone().into()),
    };
    if let Secret::File(path) = &found {
        std::fs::metadata(path).map_err(|source| {
            CliError::Invalid(format!(
                "failed to stat {}: {}",
                path.display(),
                crate::error::plain(&source)
            ))
        })?;
    }
    Ok((id, found))
}

/// What an `--ssh` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Agent {
    /// The socket of one.
    Socket(PathBuf),
    /// Keys that one is to hold.
    Keys(Vec<PathBuf>),
}

/// One `--ssh`.
pub(crate) fn agent(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, Agent), CliError> {
    let (id, path) = text.split_once('=').unwrap_or((text, ""));
    let path = match path {
        "" => variable("SSH_AUTH_SOCK")
            .filter(|path| !path.is_empty())
            .ok_or_else(|| {
                CliError::Invalid(format!(
                    "invalid empty ssh agent socket for {id}: make sure SSH_AUTH_SOCK is set"
                ))
            })?,
        path => path.to_owned(),
    };
    let is_socket = |path: &str| {
        let found = std::fs::metadata(path).map_err(|source| {
            CliError::Invalid(format!(
                "failed to stat ssh agent {path}: {}",
                crate::error::plain(&source)
            ))
        })?;
        Ok(std::os::unix::fs::FileTypeExt::is_socket(
            &found.file_type(),
        ))
    };
    let paths: Vec<&str> = path.split(',').collect();
    let sockets: Vec<bool> = paths
        .iter()
        .map(|path| is_socket(path))
        .collect::<Result<_, CliError>>()?;
    match (paths.as_slice(), sockets.as_slice()) {
        ([socket], [true]) => Ok((id.to_owned(), Agent::Socket(socket.into()))),
        (keys, sockets) if !sockets.contains(&true) => {
            let keys = keys.iter().map(PathBuf::from).collect();
            Ok((id.to_owned(), Agent::Keys(keys)))
        }
        _ => Err(CliError::Invalid(format!(
            "invalid ssh {text}: one socket of an agent or files with keys are expected"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        assert_eq!(fields("type=local,dest=a"), ["type=local", "dest=a"]);
        assert_eq!(fields(r#"a,"b=c,d",e"#), ["a", "b=c,d", "e"]);
        assert_eq!(fields(r#""a""b""#), [r#"a"b"#]);
    }

    #[test]
    fn secrets_are_in_files_and_variables() {
        let variable = |name: &str| (name == "TOKEN").then(|| "x".to_owned());
        let read = |text: &str| match secret(text, &variable) {
            Ok((id, found)) => format!("{id} {found:?}"),
            Err(error) => error.to_string(),
        };
        let lines = [
            "id=a,src=/dev/null",
            "id=a,source=/dev/null",
            "id=TOKEN",
            "id=a,env=TOKEN",
            "type=env,id=a,src=TOKEN",
            "id=/dev/null",
            "id=a,src=/no/such",
            "src=/dev/null",
            "id=a,kind=b",
            "a",
        ];
        insta::assert_snapshot!(lines.map(read).join("\n"), @r#"
        a File("/dev/null")
        a File("/dev/null")
        TOKEN Variable("TOKEN")
        a Variable("TOKEN")
        a Variable("TOKEN")
        /dev/null File("/dev/null")
        failed to stat /no/such: no such file or directory
        secret "src=/dev/null" has no id: id=NAME is expected
        unexpected key 'kind' in 'kind=b': id, type, source (src) or env is expected
        invalid value a: a field has to be key=value
        "#);
    }
}
