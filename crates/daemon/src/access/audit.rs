//! Who did what: a line of JSON a request, in a file that only grows.
//!
//! Paths are written without their query, which may hold a build's arguments; bodies and headers are
//! never looked at. Pings are left out, for clients send one before every command.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api::convert::rfc3339;
use serde::Serialize;

use super::{Peer, Who};
use crate::clock;

/// The file.
#[derive(Debug)]
pub(crate) struct Audit {
    path: PathBuf,
    // A std lock: held for one write, never across an await.
    file: Mutex<File>,
}

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) peer: &'a Peer,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    /// Why it was not served.
    pub(crate) error: Option<&'a str>,
    /// From its head to the head of the answer.
    pub(crate) took: Duration,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket: &'a str,
    #[serde(flatten)]
    who: Shown<'a>,
    method: &'a str,
    path: &'a str,
    status: u16,
    microseconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// What is known of the other end.
#[derive(Debug, Default, Serialize)]
struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
}

impl Audit {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(append(path)?),
        })
    }

    /// Opens the file anew: whoever turns logs over has moved it away. One that cannot be opened leaves
    /// the old one in use.
    pub(crate) fn reopen(&self) {
        match append(&self.path) {
            Ok(file) => *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file,
            Err(error) => {
                tracing::error!("cannot open the audit log {}: {error}", self.path.display());
            }
        }
    }

    pub(crate) fn tell(&self, entry: &Entry<'_>) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // In one write: lines of several daemons do not mix in a file that is appended to.
        if let Err(error) = file.write_all(&line(entry, clock::now())) {
            tracing::error!(
                "cannot write the audit log {}: {error}",
                self.path.display()
            );
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn line(entry: &Entry<'_>, now: i64) -> Vec<u8> {
    let line = Line {
        time: rfc3339(Some(now)),
        socket: &entry.peer.door.name,
        who: shown(&entry.peer.who),
        method: entry.method,
        path: entry.path,
        status: entry.status,
        microseconds: entry.took.as_micros().try_into().unwrap_or(u64::MAX),
        error: entry.error,
    };
    crate::http::respond::json_bytes(&line)
}

fn shown(who: &Who) -> Shown<'_> {
    match who {
        Who::Process { pid, uid, gid } => Shown {
            pid: *pid,
            uid: Some(*uid),
            gid: Some(*gid),
            ..Shown::default()
        },
        Who::Address(address) => Shown {
            address: Some(address.to_string()),
            ..Shown::default()
        },
        Who::Certificate {
            address,
            name,
            digest,
        } => Shown {
            address: Some(address.to_string()),
            name: name.as_deref(),
            certificate: Some(digest),
            ..Shown::default()
        },
        Who::Unknown => Shown::default(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Door;
    use super::*;

    fn said(who: Who, door: &str, error: Option<&str>) -> String {
        let door = Door {
            name: door.to_owned(),
            ..Door::default()
        };
        let peer = Peer {
            door: Arc::new(door),
            who,
        };
        let entry = Entry {
            peer: &peer,
            method: "POST",
            path: "/v1.55/containers/web/stop",
            status: 204,
            error,
            took: Duration::from_micros(1234),
        };
        String::from_utf8(line(&entry, 0)).unwrap()
    }

    #[test]
    fn lines_say_who_did_what() {
        let user = Who::Process {
            pid: Some(7),
            uid: 1000,
            gid: 100,
        };
        assert_eq!(
            said(user, "", None),
            "{\"time\":\"1970-01-01T00:00:00Z\",\"pid\":7,\"uid\":1000,\"gid\":100,\"method\":\"POST\",\
             \"path\":\"/v1.55/containers/web/stop\",\"status\":204,\"microseconds\":1234}\n"
        );
        let certified = Who::Certificate {
            address: "127.0.0.1:80".parse().unwrap(),
            name: Some("alice".to_owned()),
            digest: "ab".to_owned(),
        };
        let line = said(certified, "ci", Some("no"));
        for part in [
            "\"socket\":\"ci\"",
            "\"address\":\"127.0.0.1:80\",\"name\":\"alice\",\"certificate\":\"ab\"",
            "\"error\":\"no\"",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}
