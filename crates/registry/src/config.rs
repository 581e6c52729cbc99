//! What the client is told, as plain data: the `[registries]` part of the daemon's configuration. It is
//! checked as a whole when a client is made of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use types::ErrorKind;

/// Everything that a client is told. The default is what Docker does without a configuration: each
/// registry by itself, https, and plain http to this machine only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Rules for references by prefix; the longest prefix that fits is taken.
    #[serde(rename = "registry")]
    pub registries: Vec<Registry>,
    /// How single hosts are reached, by `host` or `host:port`.
    #[serde(rename = "host")]
    pub hosts: BTreeMap<String, Host>,
    /// Hosts (`host`, `host:port`) and networks (`10.0.0.0/8`) whose certificate is not verified, and
    /// with which plain http is tried when they speak no TLS. Docker's `insecure-registries`.
    pub insecure: Vec<String>,
    /// Where signatures of simple signing are kept: `file://`, `http://` or `https://` by what is signed
    /// (`host/repository`, what is above it, `*.domain`), or by `default`.
    pub lookaside: BTreeMap<String, String>,
    /// Through whom to connect.
    pub proxies: Proxies,
    /// How long and how often is tried.
    pub limits: Limits,
    /// Sent as `User-Agent`; empty is `brig/VERSION`.
    pub user_agent: String,
}

/// A rule for all references below a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registry {
    /// `docker.io`, `ghcr.io/owner`, `quay.io/owner/image`, `*.example.com` for every host
    /// below it, or `*` for all. A mirror of all is told whose copy is wanted (`ns`, as by containerd).
    pub prefix: String,
    /// What the prefix is replaced by: `proxy.example.com/hub`. References keep their name.
    #[serde(default)]
    pub location: Option<String>,
    /// Refused, whatever is asked of it.
    #[serde(default)]
    pub blocked: bool,
    /// Tried in order before the registry itself, for pulls only.
    #[serde(default, rename = "mirror")]
    pub mirrors: Vec<Mirror>,
    /// Only the mirrors are asked, the registry itself never, for pulls.
    #[serde(default)]
    pub mirrors_only: bool,
}

/// A place that has copies of what is below a registry's prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mirror {
    /// What the prefix is replaced by: `mirror.example.com:5000`, `mirror.example.com/hub`, or with
    /// `http://` or `https://` before it.
    pub location: String,
    /// For what it is asked.
    #[serde(default)]
    pub used_for: MirrorUse,
    /// The path of `location` is the root of the API, where `/v2` would be, and no part of names (the
    /// `override_path` of `hosts.toml`).
    #[serde(default)]
    pub override_path: bool,
}

/// For what a mirror is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MirrorUse {
    /// For everything that is pulled.
    #[default]
    All,
    /// For what is named by digest only: tags are asked of the registry itself.
    Digests,
    /// For tags only.
    Tags,
}

/// How one host is reached.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Host {
    /// Plain http, https is not tried.
    pub plain_http: bool,
    /// As if it was in [`Config::insecure`].
    pub insecure: bool,
    /// Certificates of further authorities to trust, PEM, beside the system's.
    pub authorities: Vec<String>,
    /// Who this machine is to it, for TLS.
    pub client: Option<ClientCertificate>,
    /// Sent with every request to it.
    pub headers: BTreeMap<String, String>,
}

impl fmt::Debug for Host {
    /// Headers may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("plain_http", &self.plain_http)
            .field("insecure", &self.insecure)
            .field("authorities", &self.authorities.len())
            .field("client", &self.client)
            .field("headers", &self.headers.keys())
            .finish()
    }
}

/// A certificate and its key.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientCertificate {
    /// The certificate and those above it, PEM.
    pub certificate: String,
    /// Its key, PEM, not encrypted.
    pub key: String,
}

impl fmt::Debug for ClientCertificate {
    /// The key is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}

/// Through whom to connect.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Proxies {
    /// For http: `http://[user:password@]host:port`, or `socks5://`.
    pub http: String,
    /// For https, by a tunnel.
    pub https: String,
    /// Hosts that are reached directly, separated by commas: `example.com` with all below it,
    /// `.example.com`, `host:port`, addresses, networks (`10.0.0.0/8`), `*`.
    pub no_proxy: String,
}

impl fmt::Debug for Proxies {
    /// The addresses may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &!self.http.is_empty())
            .field("https", &!self.https.is_empty())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

impl Proxies {
    /// What `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say, in either case; `variable` reads one.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .or_else(|| variable(&name.to_lowercase()))
                .unwrap_or_default()
        };
        Self {
            http: either("HTTP_PROXY"),
            https: either("HTTPS_PROXY"),
            no_proxy: either("NO_PROXY"),
        }
    }
}

/// How long and how often is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Seconds until a connection with its TLS must stand.
    pub connect_seconds: u64,
    /// Seconds without a byte after which a transfer is cut and taken up again.
    pub stall_seconds: u64,
    /// How often a request that is safe to repeat is made; a transfer may fail this often in a row
    /// without progress. Docker's `max-download-attempts`.
    pub attempts: u32,
    /// The longest a `Retry-After` is waited for, seconds; more is an error at once.
    pub longest_wait_seconds: u64,
    /// Milliseconds before the first repetition; doubled each time.
    pub backoff_milliseconds: u64,
    /// Uploads are sent in chunks of so many bytes; 0 sends each blob as a whole.
    pub upload_chunk: u64,
    /// How many pieces of one long blob may come at once where one connection is slow; 0 and 1 leave
    /// it with one connection.
    pub ranges: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_seconds: 15,
            stall_seconds: 30,
            attempts: 5,
            longest_wait_seconds: 60,
            backoff_milliseconds: 250,
            upload_chunk: 0,
            ranges: 4,
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid registry configuration: {place}: {why}")]
pub struct InvalidConfig {
    pub(crate) place: String,
    pub(crate) why: String,
}

impl InvalidConfig {
    pub(crate) fn new(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            why: why.into(),
        }
    }

    /// Always [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}
