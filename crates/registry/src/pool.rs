//! Connections: one HTTP client for each way of TLS that hosts are configured with, made when it is
//! first needed. HTTP/1.1 only: layers come side by side, and one connection each is faster than one
//! for all with its shared window.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::redirect;
use tokio::sync::Mutex;

use crate::config::{Config, InvalidConfig};
use crate::proxy;
use crate::route::{Security, security};
use crate::tls::{self, Setup};

/// Connections that nobody uses are closed after so long.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_PER_HOST: usize = 8;

/// The HTTP clients by their TLS.
#[derive(Debug)]
pub(crate) struct Pool {
    proxies: proxy::Chosen,
    user_agent: String,
    connect: Duration,
    clients: Mutex<HashMap<Setup, reqwest::Client>>,
}

impl Pool {
    /// Checks what it is told; connects to nobody.
    pub(crate) fn new(config: &Config) -> Result<Self, InvalidConfig> {
        for name in config.hosts.keys() {
            tls::check(&setup(config, name))
                .map_err(|(what, why)| InvalidConfig::new(format!("host.{name:?}.{what}"), why))?;
        }
        let user_agent = match config.user_agent.as_str() {
            "" => concat!("brig/", env!("CARGO_PKG_VERSION")).to_owned(),
            own => own.to_owned(),
        };
        if reqwest::header::HeaderValue::from_str(&user_agent).is_err() {
            return Err(InvalidConfig::new("user-agent", "it cannot be a header"));
        }
        Ok(Self {
            proxies: proxy::Chosen::new(&config.proxies)?,
            user_agent,
            connect: Duration::from_secs(config.limits.connect_seconds.max(1)),
            clients: Mutex::default(),
        })
    }

    /// What we call ourselves.
    pub(crate) fn agent(&self) -> &str {
        &self.user_agent
    }

    /// The client for a host.
    pub(crate) async fn client(
        &self,
        config: &Config,
        host: &str,
    ) -> Result<reqwest::Client, InvalidConfig> {
        let setup = setup(config, host);
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(&setup) {
            return Ok(client.clone());
        }
        // Reading the system's authorities takes milliseconds that other tasks need not wait for.
        let (name, wanted) = (host.to_owned(), setup.clone());
        let tls = tokio::task::spawn_blocking(move || tls::client_config(&name, &wanted))
            .await
            .map_err(|e| InvalidConfig::new("tls", e.to_string()))??;
        let client = self.build(tls)?;
        clients.insert(setup, client.clone());
        Ok(client)
    }

    fn build(&self, tls: rustls::ClientConfig) -> Result<reqwest::Client, InvalidConfig> {
        let proxies = self.proxies.clone();
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .proxy(reqwest::Proxy::custom(move |url| proxies.of(url)))
            .redirect(redirect::Policy::none())
            .referer(false)
            .http1_only()
            .user_agent(&self.user_agent)
            .connect_timeout(self.connect)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .build()
            .map_err(|e| InvalidConfig::new("client", e.to_string()))
    }
}

/// The TLS of a host. Hosts without settings share one.
fn setup(config: &Config, host: &str) -> Setup {
    let known = config.hosts.get(host);
    Setup {
        authorities: known.map(|h| h.authorities.clone()).unwrap_or_default(),
        client: known.and_then(|h| h.client.clone()),
        verify: security(config, host) == Security::Verified,
    }
}
