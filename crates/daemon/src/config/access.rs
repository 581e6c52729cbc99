//! Who may come in, and what is told of it: TLS, sockets with policies, the audit log, metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use api::client::Endpoint;
use serde::Deserialize;
use serde_json::Value;
use types::SeccompProfile;

use super::registries::Table;
use super::{Error, Origin, Source, absolute};
use crate::access::{Door, Policy, tls};

/// Why there is no such socket.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub(crate) struct InvalidSocket {
    place: String,
    why: String,
}

/// Everything about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// On TCP.
    pub(crate) tls: Option<tls::Files>,
    /// Where requests are written down.
    pub(crate) audit_log: Option<PathBuf>,
    /// The key of the secrets.
    pub(crate) secret_key: Option<PathBuf>,
    /// Where counters are shown.
    pub(crate) metrics: Option<SocketAddr>,
    /// Sockets beside those of `host`.
    pub(crate) sockets: Vec<Socket>,
}

/// A socket with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Socket {
    pub(crate) host: Endpoint,
    pub(crate) group: Option<String>,
    pub(crate) door: Door,
}

impl Access {
    /// Whether clients on TCP have to show who they are.
    pub(crate) fn verifies(&self) -> bool {
        let authorities = self.tls.as_ref().map(|files| &files.authorities);
        authorities.is_some_and(Option::is_some)
    }
}

/// A socket as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    host: String,
    group: Option<String>,
    #[serde(default)]
    read_only: bool,
    label: Option<String>,
    #[serde(default = "yes")]
    host_mounts: bool,
    #[serde(default = "yes")]
    privileged: bool,
}

fn yes() -> bool {
    true
}

pub(super) fn access(source: &Source) -> Result<Access, Error> {
    let path = |key, picked: Option<(Origin, PathBuf)>| {
        picked.map(|picked| absolute(key, picked)).transpose()
    };
    let table = source.pick(|s| &s.sockets).map(|(_, table)| table);
    Ok(Access {
        tls: tls_files(source)?,
        audit_log: path("audit-log", source.pick(|s| &s.audit_log))?,
        secret_key: path("secret-key", source.pick(|s| &s.secret_key))?,
        metrics: metrics(source)?,
        sockets: match table {
            None => Vec::new(),
            Some(table) => sockets(&table, usual_filter(source)?)?,
        },
    })
}

/// Whether what containers have by default is not less than the usual.
fn usual_filter(source: &Source) -> Result<bool, Error> {
    let filter = super::defaults::usual(source)?.seccomp;
    Ok(!matches!(filter, SeccompProfile::Custom(_)))
}

fn metrics(source: &Source) -> Result<Option<SocketAddr>, Error> {
    let Some((origin, text)) = source.pick(|s| &s.metrics_addr) else {
        return Ok(None);
    };
    // What Docker's daemon takes without an address is every address.
    let full = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.clone(),
    };
    full.parse().map(Some).map_err(|_| Error::Value {
        key: "metrics-addr",
        value: text,
        origin,
        expected: "an address and a port, as in 127.0.0.1:9323,",
    })
}

pub(super) fn switch(key: &'static str, picked: Option<(Origin, String)>) -> Result<bool, Error> {
    let Some((origin, value)) = picked else {
        return Ok(false);
    };
    match value.as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Error::Value {
            key,
            value,
            origin,
            expected: "true or false",
        }),
    }
}

fn tls_files(source: &Source) -> Result<Option<tls::Files>, Error> {
    let verify = switch("tlsverify", source.pick(|s| &s.tlsverify))?;
    if !verify && !switch("tls", source.pick(|s| &s.tls))? {
        return Ok(None);
    }
    let file = |key: &'static str, picked: Option<(Origin, PathBuf)>| {
        let picked = picked.ok_or(Error::Value {
            key: if verify { "tlsverify" } else { "tls" },
            value: "true".to_owned(),
            origin: Origin::Default,
            expected: key,
        });
        absolute(key, picked?)
    };
    Ok(Some(tls::Files {
        certificate: file("tlscert", source.pick(|s| &s.tlscert))?,
        key: file("tlskey", source.pick(|s| &s.tlskey))?,
        authorities: match verify {
            true => Some(file("tlscacert", source.pick(|s| &s.tlscacert))?),
            false => None,
        },
    }))
}

fn sockets(table: &Table, usual_filter: bool) -> Result<Vec<Socket>, InvalidSocket> {
    let place = |name: &str| format!("{}: the table sockets{name}", table.file.display());
    let value = table.value.as_ref().unwrap_or(&Value::Null);
    let named = BTreeMap::<String, Value>::deserialize(value).map_err(|error| InvalidSocket {
        place: place(""),
        why: error.to_string(),
    })?;
    let read = |(name, value): (String, Value)| {
        socket(&name, &value, usual_filter).map_err(|why| InvalidSocket {
            place: place(&format!(".{name}")),
            why,
        })
    };
    named.into_iter().map(read).collect()
}

fn socket(name: &str, value: &Value, usual_filter: bool) -> Result<Socket, String> {
    let written = Written::deserialize(value).map_err(|error| error.to_string())?;
    let host: Endpoint = written
        .host
        .parse()
        .map_err(|error: api::client::InvalidEndpoint| error.to_string())?;
    if !matches!(host, Endpoint::Unix(_)) {
        return Err(format!(
            "host = {:?}: a socket with a policy is a file: unix:///path is expected",
            written.host
        ));
    }
    let label = written.label.map(|label| match label.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (label, None),
    });
    if label.as_ref().is_some_and(|(name, _)| name.is_empty()) {
        return Err("label: name=value is expected".to_owned());
    }
    Ok(Socket {
        host,
        group: written.group,
        door: Door {
            name: name.to_owned(),
            policy: Policy {
                read_only: written.read_only,
                label,
                host_mounts: written.host_mounts,
                privileged: written.privileged,
                usual_filter,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Settings;
    use super::*;

    fn read(settings: Settings) -> Result<Access, String> {
        access(&Source(vec![(Origin::Flag, settings)])).map_err(|error| error.to_string())
    }

    fn of_table(value: Value) -> Result<Access, String> {
        read(Settings {
            sockets: Some(Table {
                file: "/f".into(),
                value: Some(value),
            }),
            ..Settings::default()
        })
    }

    #[test]
    fn sockets_have_policies() {
        let written = json!({
            "all": {"host": "unix:///a"},
            "ci": {
                "host": "unix:///b", "group": "ci", "read-only": true, "label": "team=ci",
                "host-mounts": false, "privileged": false,
            },
        });
        let sockets = of_table(written).unwrap().sockets;
        assert!(sockets[0].door.policy.is_open() && sockets[0].door.name == "all");
        let strict = Policy {
            read_only: true,
            label: Some(("team".to_owned(), Some("ci".to_owned()))),
            host_mounts: false,
            privileged: false,
            usual_filter: true,
        };
        assert_eq!(sockets[1].door.policy, strict);
        assert_eq!(sockets[1].group.as_deref(), Some("ci"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (value, why) in [
            (
                json!({"ci": {}}),
                "/f: the table sockets.ci: missing field `host`",
            ),
            (
                json!({"ci": {"host": "tcp://127.0.0.1:1"}}),
                "/f: the table sockets.ci: host = \"tcp://127.0.0.1:1\": a socket with a policy is a \
                 file: unix:///path is expected",
            ),
            (
                json!({"ci": {"host": "unix:///a", "label": "=x"}}),
                "/f: the table sockets.ci: label: name=value is expected",
            ),
        ] {
            assert_eq!(of_table(value).unwrap_err(), why);
        }
        let wrong = of_table(json!({"ci": {"host": "unix:///a", "readonly": true}})).unwrap_err();
        assert!(wrong.contains("unknown field `readonly`"), "{wrong}");
    }

    #[test]
    fn tls_takes_its_files() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read(Settings::default()).unwrap().tls, None);
        let mut settings = Settings {
            tlsverify: some("true"),
            tlscert: Some("/c".into()),
            tlskey: Some("/k".into()),
            ..Settings::default()
        };
        assert_eq!(
            read(settings.clone()).unwrap_err(),
            "tlsverify = \"true\" (from the defaults): tlscacert is expected"
        );
        settings.tlscacert = Some("/a".into());
        let access = read(settings.clone()).unwrap();
        assert!(access.verifies());
        settings.tlsverify = None;
        settings.tls = some("true");
        let access = read(settings).unwrap();
        assert!(!access.verifies() && access.tls.is_some());
    }

    #[test]
    fn metrics_are_shown_somewhere() {
        let metrics = |text: &str| {
            let settings = Settings {
                metrics_addr: Some(text.to_owned()),
                ..Settings::default()
            };
            read(settings).map(|access| access.metrics.map(|address| address.to_string()))
        };
        assert_eq!(
            metrics("127.0.0.1:9323").unwrap().unwrap(),
            "127.0.0.1:9323"
        );
        assert_eq!(metrics(":9323").unwrap().unwrap(), "0.0.0.0:9323");
        assert!(metrics("9323").is_err());
    }
}
