//! Through whom a request goes (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` as Go's programs read them).

use std::net::IpAddr;

use reqwest::Url;

use crate::config::{InvalidConfig, Proxies};
use crate::route::{is_loopback, is_within, network};

/// The proxies, read once.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    http: Option<Url>,
    https: Option<Url>,
    direct: Vec<Direct>,
}

/// An entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Direct {
    Everything,
    Network(IpAddr, u8),
    /// A domain with all below it (`itself`), or only what is below it.
    Domain {
        name: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Chosen {
    /// Reads the settings.
    pub(crate) fn new(proxies: &Proxies) -> Result<Self, InvalidConfig> {
        Ok(Self {
            http: address("proxies.http", &proxies.http)?,
            https: address("proxies.https", &proxies.https)?,
            direct: proxies.no_proxy.split(',').filter_map(direct).collect(),
        })
    }

    /// The proxy for an address; none is a direct connection. This machine is never behind a proxy.
    pub(crate) fn of(&self, url: &Url) -> Option<Url> {
        let proxy = match url.scheme() {
            "https" => self.https.as_ref(),
            _ => self.http.as_ref(),
        }?;
        let host = url.host_str()?;
        let port = url.port_or_known_default();
        let direct = is_loopback(host) || self.direct.iter().any(|d| d.covers(host, port));
        (!direct).then(|| proxy.clone())
    }
}

fn address(place: &str, text: &str) -> Result<Option<Url>, InvalidConfig> {
    if text.is_empty() {
        return Ok(None);
    }
    // Without a scheme it is an http proxy, as everywhere.
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    // Not the text itself in the sentence: it may hold a password.
    let what = "http://host:port, https://host:port or socks5://host:port is expected";
    let refused = || InvalidConfig::new(place, what);
    let mut url = Url::parse(&whole).map_err(|_| refused())?;
    if url.scheme() == "socks5" {
        // It is the proxy that looks names up, as with Go's programs.
        url.set_scheme("socks5h").map_err(|()| refused())?;
    }
    let known = matches!(url.scheme(), "http" | "https" | "socks5h");
    if !known || url.host_str().is_none_or(str::is_empty) {
        return Err(refused());
    }
    Ok(Some(url))
}

fn direct(entry: &str) -> Option<Direct> {
    let entry = entry.trim().to_ascii_lowercase();
    if entry.is_empty() {
        return None;
    }
    if entry == "*" {
        return Some(Direct::Everything);
    }
    if let Some((address, bits)) = network(&entry) {
        return Some(Direct::Network(address, bits));
    }
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Some(Direct::Network(
            address,
            if address.is_ipv4() { 32 } else { 128 },
        ));
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (entry.as_str(), None),
    };
    let below = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
    Some(Direct::Domain {
        name: below.unwrap_or(name).to_owned(),
        itself: below.is_none(),
        port,
    })
}

impl Direct {
    fn covers(&self, host: &str, port: Option<u16>) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match self {
            Self::Everything => true,
            Self::Network(network, bits) => bare
                .parse()
                .is_ok_and(|address| is_within(address, (*network, *bits))),
            Self::Domain {
                port: Some(only), ..
            } if port != Some(*only) => false,
            Self::Domain { name, itself, .. } => match bare.strip_suffix(name.as_str()) {
                Some("") => *itself,
                Some(rest) => rest.ends_with('.'),
                None => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_the_proxy() {
        let chosen = Chosen::new(&Proxies {
            http: "proxy.example.com:3128".into(),
            https: "http://user:secret@tunnel.example.com:3129".into(),
            no_proxy: "example.org, .below.net,port.net:5000,10.0.0.0/8, 192.0.2.1,fd00::/8".into(),
        })
        .unwrap();
        let table = [
            ("http://a.com/", Some("proxy.example.com")),
            ("https://a.com/", Some("tunnel.example.com")),
            ("https://example.org/", None),
            ("https://a.example.org/", None),
            ("https://notexample.org/", Some("tunnel.example.com")),
            ("https://below.net/", Some("tunnel.example.com")),
            ("https://a.below.net/", None),
            ("https://port.net:5000/", None),
            ("https://port.net/", Some("tunnel.example.com")),
            ("https://10.9.9.9/", None),
            ("https://192.0.2.1/", None),
            ("https://192.0.2.2/", Some("tunnel.example.com")),
            ("https://[fd00::1]/", None),
            ("https://localhost:5000/", None),
            ("http://127.0.0.1/", None),
        ];
        for (url, expected) in table {
            let proxy = chosen.of(&Url::parse(url).unwrap());
            assert_eq!(proxy.as_ref().and_then(Url::host_str), expected, "{url}");
        }
    }

    #[test]
    fn all_may_be_direct_and_a_bad_proxy_is_refused_without_its_password() {
        let mut proxies = Proxies {
            http: "p:1".into(),
            no_proxy: "*".into(),
            ..Proxies::default()
        };
        let chosen = Chosen::new(&proxies).unwrap();
        assert_eq!(chosen.of(&Url::parse("http://a/").unwrap()), None);
        proxies.https = "ftp://user:secret@x".into();
        let error = Chosen::new(&proxies).unwrap_err().to_string();
        assert!(
            error.contains("proxies.https") && !error.contains("secret"),
            "{error}"
        );
    }

    #[test]
    fn the_environment_is_read_in_either_case() {
        let proxies = Proxies::from_environment(|name| match name {
            "http_proxy" => Some("low".into()),
            "HTTPS_PROXY" => Some("high".into()),
            "https_proxy" => Some("low".into()),
            _ => None,
        });
        assert_eq!(
            (proxies.http.as_str(), proxies.https.as_str()),
            ("low", "high")
        );
    }
}
