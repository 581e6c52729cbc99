//! Which places are asked for a reference, in order: a pure function of the configuration.

use std::net::IpAddr;

use types::ImageRef;

use crate::config::{Config, Host, InvalidConfig, Mirror, MirrorUse, Registry};
use crate::error::Error;

/// The name of Docker's registry in references.
pub(crate) const DOCKER: &str = "docker.io";
/// Where it really is.
const DOCKER_API: &str = "registry-1.docker.io";

/// The prefix of all references.
pub(crate) const EVERYTHING: &str = "*";

/// For what a place is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Something that a tag names.
    Tag,
    /// Something that a digest names.
    Digest,
    /// To change something: never a mirror.
    Change,
}

/// How a host is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Security {
    /// TLS with a certificate that is verified.
    Verified,
    /// TLS with any certificate, and plain http when it speaks no TLS.
    Insecure,
    /// Plain http.
    Plain,
}

/// One place to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `host[:port]` as in references and settings.
    pub host: String,
    /// `host[:port]` to connect to.
    pub address: String,
    /// How.
    pub security: Security,
    /// Path of the API, mostly `/v2`.
    pub root: String,
    /// The repository's name there.
    pub repository: String,
    /// Not the registry that the configuration says it is, but one with copies.
    pub mirror: bool,
    /// Whose copies are wanted, for a mirror of every registry (containerd's `ns`).
    pub namespace: Option<String>,
}

/// The places to ask, the first first. Never empty.
pub(crate) fn plan(
    config: &Config,
    reference: &ImageRef,
    need: Need,
) -> Result<Vec<Endpoint>, Error> {
    let repository = reference.repository();
    let rule = rule_for(config, &repository);
    let Some(rule) = rule else {
        return Ok(vec![own(config, reference.domain(), reference.path())]);
    };
    let blocked = || Error::Blocked {
        registry: reference.domain().to_owned(),
        reference: reference.familiar(),
    };
    if rule.blocked {
        return Err(blocked());
    }
    let rest = rest_after(&rule.prefix, &repository);
    let mut endpoints = Vec::new();
    if need != Need::Change {
        let used = rule.mirrors.iter().filter(|mirror| is_used(mirror, need));
        let all = rule.prefix == EVERYTHING;
        endpoints.extend(used.map(|mirror| Endpoint {
            namespace: all.then(|| reference.domain().to_owned()),
            ..at_mirror(config, mirror, rest)
        }));
    }
    if need == Need::Change || !rule.mirrors_only {
        endpoints.push(match &rule.location {
            Some(location) => at(config, location, rest),
            None => own(config, reference.domain(), reference.path()),
        });
    }
    if endpoints.is_empty() {
        return Err(blocked());
    }
    Ok(endpoints)
}

fn is_used(mirror: &Mirror, need: Need) -> bool {
    match mirror.used_for {
        MirrorUse::All => true,
        MirrorUse::Digests => need == Need::Digest,
        MirrorUse::Tags => need == Need::Tag,
    }
}

/// The rule with the longest prefix that fits.
fn rule_for<'a>(config: &'a Config, repository: &str) -> Option<&'a Registry> {
    let fitting = config
        .registries
        .iter()
        .filter(|r| fits(&r.prefix, repository));
    fitting.max_by_key(|r| (!r.prefix.starts_with("*."), r.prefix.len()))
}

fn fits(prefix: &str, repository: &str) -> bool {
    if let Some(domain) = prefix.strip_prefix('*') {
        let host = repository.split('/').next().unwrap_or_default();
        return host.len() > domain.len() && host.ends_with(domain);
    }
    repository
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What comes after the prefix, without a slash before it.
fn rest_after<'a>(prefix: &str, repository: &'a str) -> &'a str {
    if prefix.starts_with('*') {
        return repository.split_once('/').map_or("", |(_, path)| path);
    }
    repository
        .strip_prefix(prefix)
        .unwrap_or(repository)
        .trim_start_matches('/')
}

/// The registry by its own name.
pub(crate) fn own(config: &Config, host: &str, path: &str) -> Endpoint {
    let address = if host == DOCKER { DOCKER_API } else { host };
    Endpoint {
        host: host.to_owned(),
        address: address.to_owned(),
        security: security(config, host),
        root: "/v2".to_owned(),
        repository: path.to_owned(),
        mirror: false,
        namespace: None,
    }
}

/// A location with what came after the prefix.
fn at(config: &Config, location: &str, rest: &str) -> Endpoint {
    let (scheme, place) = split_scheme(location);
    let place = place.trim_end_matches('/');
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let parts = [path, rest].into_iter().filter(|part| !part.is_empty());
    let repository = parts.collect::<Vec<_>>().join("/");
    let mut endpoint = own(config, host, &repository);
    match scheme {
        Some("http") => endpoint.security = Security::Plain,
        Some(_) if endpoint.security == Security::Plain => endpoint.security = Security::Verified,
        _ => {}
    }
    endpoint
}

fn at_mirror(config: &Config, mirror: &Mirror, rest: &str) -> Endpoint {
    let mut endpoint = at(config, &mirror.location, rest);
    if mirror.override_path {
        let (_, place) = split_scheme(&mirror.location);
        let path = place.split_once('/').map_or("", |(_, path)| path);
        endpoint.root = match path.trim_end_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        rest.clone_into(&mut endpoint.repository);
    }
    endpoint.mirror = true;
    endpoint
}

fn split_scheme(location: &str) -> (Option<&str>, &str) {
    match location.split_once("://") {
        Some((scheme, place)) => (Some(scheme), place),
        None => (None, location),
    }
}

/// How a host is spoken to. This machine is trusted without TLS, as Docker does, unless it has been
/// given certificates.
pub(crate) fn security(config: &Config, host: &str) -> Security {
    let known = config.hosts.get(host);
    if known.is_some_and(|host| host.plain_http) {
        return Security::Plain;
    }
    let certified = known.is_some_and(|host| !host.authorities.is_empty() || host.client.is_some());
    let listed = known.is_some_and(|host| host.insecure)
        || config.insecure.iter().any(|entry| covers(entry, host));
    if listed || (is_loopback(host) && !certified) {
        Security::Insecure
    } else {
        Security::Verified
    }
}

/// The host of `host[:port]`, without brackets.
pub(crate) fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

pub(crate) fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name == "localhost"
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether an entry of the list of insecure hosts means `host`.
fn covers(entry: &str, host: &str) -> bool {
    match entry.split_once('/') {
        Some(_) => without_port(host)
            .parse()
            .is_ok_and(|address| network(entry).is_some_and(|net| is_within(address, net))),
        None => entry == host || entry == without_port(host),
    }
}

/// `10.0.0.0/8`.
pub(crate) fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

pub(crate) fn is_within(address: IpAddr, (network, bits): (IpAddr, u8)) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let shift = width - u32::from(bits);
        // A shift by the whole width means every address.
        a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => same(a.to_bits().into(), n.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => same(a.to_bits(), n.to_bits(), 128),
        _ => false,
    }
}

/// Checks every setting that is text.
pub(crate) fn check(config: &Config) -> Result<(), InvalidConfig> {
    for (number, rule) in config.registries.iter().enumerate() {
        check_rule(&format!("registry[{number}]"), rule)?;
        let before = &config.registries[..number];
        if before.iter().any(|other| other.prefix == rule.prefix) {
            let why = format!("{:?} has a rule already", rule.prefix);
            return Err(InvalidConfig::new(
                format!("registry[{number}].prefix"),
                why,
            ));
        }
    }
    for (name, host) in &config.hosts {
        check_host(name, host)?;
    }
    for entry in &config.insecure {
        if !is_host(entry) && network(entry).is_none() {
            return Err(InvalidConfig::new(
                "insecure",
                format!("{entry:?} is no host, host:port or network such as 10.0.0.0/8"),
            ));
        }
    }
    crate::signatures::lookaside::check(&config.lookaside)
}

fn check_rule(place: &str, rule: &Registry) -> Result<(), InvalidConfig> {
    let bare = rule.prefix.strip_prefix("*.").unwrap_or(&rule.prefix);
    let everything = rule.prefix == EVERYTHING;
    let host = bare.split('/').next().unwrap_or_default();
    let starred_path = rule.prefix.starts_with('*') && bare.contains('/');
    if !everything && (!is_host(host) || starred_path || bare.ends_with('/')) {
        let what = "a host, a host with a path, *.domain or * is expected";
        return Err(InvalidConfig::new(
            format!("{place}.prefix"),
            format!("{:?}: {what}", rule.prefix),
        ));
    }
    let mirrors = rule.mirrors.iter().enumerate();
    let mirrors = mirrors.map(|(n, m)| (format!("{place}.mirror[{n}].location"), &m.location));
    let own = rule
        .location
        .iter()
        .map(|l| (format!("{place}.location"), l));
    for (place, location) in mirrors.chain(own) {
        check_location(&place, location)?;
    }
    if rule.mirrors_only && rule.mirrors.is_empty() {
        return Err(InvalidConfig::new(
            format!("{place}.mirrors-only"),
            "there is no mirror, so that nothing could be pulled; use `blocked`",
        ));
    }
    Ok(())
}

fn check_location(place: &str, location: &str) -> Result<(), InvalidConfig> {
    let (scheme, rest) = split_scheme(location);
    let host = rest.split('/').next().unwrap_or_default();
    let odd = rest.contains(['?', '#', '@', ' ']);
    if !matches!(scheme, None | Some("http" | "https")) || !is_host(host) || odd {
        let what = "host[:port][/path] is expected, with http:// or https:// before it or without";
        return Err(InvalidConfig::new(place, format!("{location:?}: {what}")));
    }
    Ok(())
}

fn check_host(name: &str, host: &Host) -> Result<(), InvalidConfig> {
    let place = format!("host.{name:?}");
    if !is_host(name) {
        return Err(InvalidConfig::new(place, "a host or host:port is expected"));
    }
    for (header, value) in &host.headers {
        let named = reqwest::header::HeaderName::from_bytes(header.as_bytes()).is_ok();
        let valued = reqwest::header::HeaderValue::from_str(value).is_ok();
        if !named || !valued {
            let what = format!("{header:?} cannot be a header");
            return Err(InvalidConfig::new(format!("{place}.headers"), what));
        }
    }
    Ok(())
}

/// `host`, `host:port`, `[v6]:port`: what a reference could begin with.
fn is_host(text: &str) -> bool {
    let name = without_port(text);
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    let port = text
        .rsplit_once(':')
        .filter(|_| !text.ends_with(']'))
        .map(|(_, port)| port);
    !name.is_empty() && !text.contains(odd) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests;
