//! Docker's helper protocol: `docker-credential-NAME get|store|erase`, words on standard input, JSON on
//! standard output (docker-credential-helpers, "Development").

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Stdio};

use api::wire::AuthConfig;
use serde_json::{Value, json};

use super::Error;

/// What a helper says when it has nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user that stands for an identity token.
const TOKEN: &str = "<token>";

/// What the helper has for a server.
pub(super) fn get(name: &str, server: &str, path: &str) -> Result<Option<AuthConfig>, Error> {
    let answer = match ask(name, "get", server, path)? {
        Ok(answer) => answer,
        Err(said) if said.contains(NOT_FOUND) => return Ok(None),
        Err(said) => return Err(failed(name, "get", said)),
    };
    let json: Value = serde_json::from_str(&answer)
        .map_err(|error| failed(name, "get", format!("its answer is no JSON: {error}")))?;
    let field = |field: &str| json[field].as_str().unwrap_or_default().to_owned();
    let (username, secret) = (field("Username"), field("Secret"));
    let mut auth = AuthConfig {
        server_address: server.to_owned(),
        ..AuthConfig::default()
    };
    if username == TOKEN {
        auth.identity_token = secret;
    } else {
        auth.username = username;
        auth.password = secret;
    }
    Ok(Some(auth))
}

/// Has the helper keep them.
pub(super) fn store(name: &str, auth: &AuthConfig, path: &str) -> Result<(), Error> {
    let (username, secret) = match auth.identity_token.as_str() {
        "" => (auth.username.as_str(), auth.password.as_str()),
        token => (TOKEN, token),
    };
    let words = json!({
        "ServerURL": auth.server_address,
        "Username": username,
        "Secret": secret,
    });
    let done = ask(name, "store", &words.to_string(), path)?;
    done.map(drop).map_err(|said| failed(name, "store", said))
}

/// Has the helper forget them.
pub(super) fn erase(name: &str, server: &str, path: &str) -> Result<(), Error> {
    match ask(name, "erase", server, path)? {
        Err(said) if !said.contains(NOT_FOUND) => Err(failed(name, "erase", said)),
        _ => Ok(()),
    }
}

fn failed(name: &str, verb: &'static str, why: String) -> Error {
    Error::Helper {
        program: program(name),
        verb,
        why,
    }
}

fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// What it answered, or what it said when it failed.
fn ask(
    name: &str,
    verb: &'static str,
    words: &str,
    path: &str,
) -> Result<Result<String, String>, Error> {
    let broken = |error: std::io::Error| failed(name, verb, error.to_string());
    if name.contains('/') {
        return Err(failed(name, verb, "its name is a path".to_owned()));
    }
    let file = std::env::split_paths(&OsString::from(path))
        .map(|dir| dir.join(program(name)))
        .find(|file| file.is_file());
    let file = file.ok_or_else(|| failed(name, verb, "it is not on the PATH".to_owned()))?;
    let mut child = Command::new(file)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(broken)?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read has its reasons, which it tells.
        let _ = writeln!(input, "{words}");
    }
    let output = child.wait_with_output().map_err(broken)?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(match output.status.success() {
        true => Ok(text),
        false => Err(text),
    })
}
