//! Daemons that are reached through a program: ssh(1) for `ssh://`.
//!
//! The program has one end of a pair of sockets as its standard input and output, so that what is at the
//! other end is a connection like every other: it can be closed by halves and handed over.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use api::client::Dialer;
use sys::spawn::Spawn;

use crate::error::CliError;

/// What the other machine runs: its own client, or Docker's where that is what it has.
const THERE: &str = "if command -v brig >/dev/null 2>&1; then exec brig system dial-stdio; else exec docker system dial-stdio; fi";

/// `ssh://[user@]host[:port][/socket]`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ssh {
    user: Option<String>,
    host: String,
    port: Option<u16>,
    socket: Option<String>,
}

impl Ssh {
    fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("ssh://").unwrap_or(text);
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err("plain-text password is not supported".to_owned());
        }
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let port = port.parse().map_err(|_| format!("invalid port {port:?}"))?;
                (host, Some(port))
            }
            _ => (place, None),
        };
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() {
            return Err("no host specified".to_owned());
        }
        // It would be taken for a flag.
        if host.starts_with('-') || user.is_some_and(|user| user.starts_with('-')) {
            return Err(format!("invalid host {host:?}"));
        }
        if path.contains(['?', '#']) {
            return Err(format!("extra query or fragment after the path {path:?}"));
        }
        Ok(Self {
            user: user.map(str::to_owned).filter(|user| !user.is_empty()),
            host: host.to_owned(),
            port,
            socket: Some(path.to_owned()).filter(|path| path.len() > 1),
        })
    }

    fn words(&self) -> Vec<String> {
        let mut words = vec![
            "ssh".to_owned(),
            "-o".to_owned(),
            "ConnectTimeout=30".to_owned(),
            "-T".to_owned(),
        ];
        if let Some(user) = &self.user {
            words.extend(["-l".to_owned(), user.clone()]);
        }
        if let Some(port) = self.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        words.extend(["--".to_owned(), self.host.clone()]);
        words.push(match &self.socket {
            None => THERE.to_owned(),
            Some(path) => {
                let quoted = path.replace('\'', r"'\''");
                format!("export BRIG_HOST='unix://{quoted}' DOCKER_HOST='unix://{quoted}'; {THERE}")
            }
        });
        words
    }
}

/// What connects to the daemon of an address of ssh.
pub(crate) fn ssh(host: &str) -> Result<Dialer, CliError> {
    let ssh = Ssh::parse(host)
        .map_err(|why| CliError::Invalid(format!("unable to parse docker host `{host}`: {why}")))?;
    let words = ssh.words();
    Ok(Dialer::new(host, Arc::new(move || through(&words))))
}

/// A connection through a program.
fn through(words: &[String]) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let path = std::env::var("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path)
        .map(|dir| dir.join(&words[0]))
        .find(|file| file.is_file());
    let program = program.ok_or_else(|| {
        let sentence = format!("there is no {} on the PATH", words[0]);
        io::Error::new(io::ErrorKind::NotFound, sentence)
    })?;
    let environment: Vec<std::ffi::OsString> = std::env::vars_os()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        })
        .collect();
    let stderr = io::stderr();
    // It ends when the connection does: nobody waits for it.
    Spawn::new(&program, words)
        .and_then(|spawn| spawn.env(environment))
        .and_then(|spawn| {
            spawn
                .fds(&[theirs.as_fd(), theirs.as_fd(), stderr.as_fd()])
                .spawn()
        })
        .map_err(io::Error::other)?;
    Ok(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_ssh() {
        let words = |text: &str| match Ssh::parse(text) {
            Ok(ssh) => ssh.words()[4..].join(" ").replace(THERE, "..."),
            Err(why) => why,
        };
        let lines = [
            "ssh://me@there",
            "ssh://there:2222",
            "ssh://me@[::1]:22",
            "ssh://there/run/it's.sock",
            "ssh://me:secret@there",
            "ssh://",
            "ssh://-oProxyCommand=x",
            "ssh://there:port",
        ];
        insta::assert_snapshot!(lines.map(words).join("\n"), @r#"
        -l me -- there ...
        -p 2222 -- there ...
        -l me -p 22 -- ::1 ...
        -- there export BRIG_HOST='unix:///run/it'\''s.sock' DOCKER_HOST='unix:///run/it'\''s.sock'; ...
        plain-text password is not supported
        no host specified
        invalid host "-oProxyCommand=x"
        invalid port "port"
        "#);
    }
}
