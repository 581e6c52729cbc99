//! TLS with a syslog server, RFC 5425. The files are read for each connection: certificates end.

use std::io;
use std::sync::Arc;

use registry::ClientCertificate;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use types::{ErrorKind, LogConfig};

const ADDRESS: &str = "syslog-address";
const AUTHORITY: &str = "syslog-tls-ca-cert";
const CERTIFICATE: &str = "syslog-tls-cert";
const KEY: &str = "syslog-tls-key";
const SKIP: &str = "syslog-tls-skip-verify";

/// Why there can be no TLS with a server.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("cannot read {path}, which {option} names")]
    Unread {
        /// The option.
        option: &'static str,
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// What is in it.
    #[error("{option} cannot be used: {why}")]
    Unusable {
        /// The option.
        option: &'static str,
        /// Why.
        why: String,
    },
}

impl TlsError {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Whether a log goes by TLS.
pub(super) fn is_asked_for(log: &LogConfig) -> bool {
    log.driver == "syslog"
        && log
            .option(ADDRESS)
            .is_some_and(|address| address.starts_with("tcp+tls://"))
}

/// Refuses files that cannot be used. Blocking.
pub(crate) fn check(log: &LogConfig) -> Result<(), TlsError> {
    match is_asked_for(log) {
        true => Tls::of(log).config().map(drop),
        false => Ok(()),
    }
}

/// What a log says about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tls {
    authority: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    verify: bool,
}

impl Tls {
    pub(super) fn of(log: &LogConfig) -> Self {
        let option = |name: &str| log.option(name).map(str::to_owned);
        Self {
            authority: option(AUTHORITY),
            certificate: option(CERTIFICATE),
            key: option(KEY),
            verify: log.option(SKIP) != Some("true"),
        }
    }

    fn config(&self) -> Result<ClientConfig, TlsError> {
        let read = |option: &'static str, path: &Option<String>| {
            let text = path.as_ref().map(|path| {
                std::fs::read_to_string(path).map_err(|source| TlsError::Unread {
                    option,
                    path: path.clone(),
                    source,
                })
            });
            text.transpose()
        };
        let authorities = read(AUTHORITY, &self.authority)?.into_iter().collect();
        let certificate = read(CERTIFICATE, &self.certificate)?;
        let client = certificate
            .zip(read(KEY, &self.key)?)
            .map(|(certificate, key)| ClientCertificate { certificate, key });
        registry::tls_config(authorities, client, self.verify).map_err(|(what, why)| {
            let option = if what == "authorities" {
                AUTHORITY
            } else {
                CERTIFICATE
            };
            TlsError::Unusable { option, why }
        })
    }

    /// A connection to `HOST:PORT`.
    pub(super) async fn connect(&self, place: &str) -> io::Result<TlsStream<TcpStream>> {
        let tls = self.clone();
        let config = tokio::task::spawn_blocking(move || tls.config()).await?;
        let config = config.map_err(io::Error::other)?;
        let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(io::Error::other)?;
        let stream = TcpStream::connect(place).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_looked_at_before() {
        let log = |options: &[(&str, &str)]| LogConfig {
            driver: "syslog".to_owned(),
            options: options
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let encrypted = (ADDRESS, "tcp+tls://h");
        check(&log(&[encrypted])).unwrap();
        let missing = check(&log(&[encrypted, (AUTHORITY, "/none.pem")]));
        assert_eq!(
            missing.unwrap_err().to_string(),
            "cannot read /none.pem, which syslog-tls-ca-cert names"
        );
        let wrong = check(&log(&[encrypted, (AUTHORITY, "/dev/null")]));
        assert_eq!(
            wrong.unwrap_err().to_string(),
            "syslog-tls-ca-cert cannot be used: there is no certificate (PEM) in it"
        );
        // They are of no use to others.
        check(&log(&[(ADDRESS, "tcp://h"), (AUTHORITY, "/none.pem")])).unwrap();
    }
}
