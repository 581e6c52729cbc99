//! What containers have whose creator does not say it.

use std::net::IpAddr;

use api::{Version, wire};
use engine::container::Usual;
use types::{DnsRequest, LogConfig, SeccompProfile, Ulimit};

use super::access::switch;
use super::{Error, Origin, Source, absolute};

/// What is set in a request that leaves it open.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Defaults {
    /// `private` or `shareable`; empty is the engine's own.
    ipc: String,
    /// `private` or `host`; likewise.
    cgroup: String,
    /// Bytes of `/dev/shm`; zero likewise.
    shm_size: i64,
    /// Whether an init is process 1.
    init: bool,
    /// Which runtime, by name; empty is the daemon's own.
    runtime: String,
    /// Whether no program may gain privileges by exec.
    no_new_privileges: bool,
    /// Where output goes.
    log: LogConfig,
}

impl Defaults {
    /// The driver of those who name none.
    pub(crate) fn log_driver(&self) -> &str {
        &self.log.driver
    }

    /// Which runtime runs those who name none, if there is a name for it.
    pub(crate) fn runtime(&self) -> Option<&str> {
        Some(self.runtime.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether no program of those who do not say it may gain privileges.
    pub(crate) fn no_new_privileges(&self) -> bool {
        self.no_new_privileges
    }

    /// Completes what a client of this version asks for.
    pub(crate) fn complete(&self, body: &mut wire::ContainerCreateRequest, version: Version) {
        let host = &mut body.host_config;
        let or = |asked: &mut String, usual: &str| {
            if asked.is_empty() {
                usual.clone_into(asked);
            }
        };
        // Older clients know of no other memory than what can be shared.
        if version.has(40) {
            or(&mut host.ipc_mode, &self.ipc);
        }
        or(&mut host.cgroupns_mode, &self.cgroup);
        if host.shm_size == 0 {
            host.shm_size = self.shm_size;
        }
        or(&mut host.runtime, &self.runtime);
        if self.init {
            host.init.get_or_insert(true);
        }
        if self.no_new_privileges {
            // Before what the client says, of which the last counts.
            let options = host.security_opt.get_or_insert_default();
            options.insert(0, "no-new-privileges".to_owned());
        }
        or(&mut host.log_config.r#type, &self.log.driver);
        if host.log_config.r#type == self.log.driver && !self.log.options.is_empty() {
            let options = host.log_config.config.get_or_insert_default();
            for (name, value) in &self.log.options {
                options.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

pub(super) fn defaults(source: &Source) -> Result<Defaults, Error> {
    Ok(Defaults {
        ipc: one_of(
            "default-ipc-mode",
            source.pick(|s| &s.default_ipc_mode),
            &["private", "shareable"],
            "private or shareable",
        )?,
        cgroup: one_of(
            "default-cgroupns-mode",
            source.pick(|s| &s.default_cgroupns_mode),
            &["private", "host"],
            "private or host",
        )?,
        shm_size: match source.pick(|s| &s.default_shm_size) {
            None => 0,
            Some(said) => shm_size(said)?,
        },
        init: switch("default-init", source.pick(|s| &s.default_init))?,
        runtime: runtime(source)?,
        no_new_privileges: switch("no-new-privileges", source.pick(|s| &s.no_new_privileges))?,
        log: log(source)?,
    })
}

/// What is completed at each start.
pub(super) fn usual(source: &Source) -> Result<Usual, Error> {
    Ok(Usual {
        ulimits: ulimits(source)?,
        seccomp: seccomp(source)?,
    })
}

/// Of two limits of a name the later counts.
fn ulimits(source: &Source) -> Result<Vec<Ulimit>, Error> {
    let Some((origin, texts)) = source.pick(|s| &s.default_ulimit) else {
        return Ok(Vec::new());
    };
    let mut limits: Vec<Ulimit> = Vec::new();
    for text in &texts {
        let limit: Ulimit = text.parse().map_err(|source| Error::Ulimit {
            value: text.clone(),
            origin: origin.clone(),
            source,
        })?;
        limits.retain(|other| other.name != limit.name);
        limits.push(limit);
    }
    Ok(limits)
}

/// Docker's names of its own, or a file in Docker's format.
fn seccomp(source: &Source) -> Result<SeccompProfile, Error> {
    const KEY: &str = "seccomp-profile";
    let Some((origin, value)) = source.pick(|s| &s.seccomp_profile) else {
        return Ok(SeccompProfile::Default);
    };
    match value.as_str() {
        "" | "builtin" => return Ok(SeccompProfile::Default),
        "unconfined" => return Ok(SeccompProfile::Unconfined),
        _ => {}
    }
    let path = absolute(KEY, (origin.clone(), value.clone().into()))?;
    let unusable = |source| Error::Unusable {
        key: KEY,
        value: value.clone(),
        origin: origin.clone(),
        source,
    };
    let text = std::fs::read_to_string(&path).map_err(unusable)?;
    match engine::render::check_filter(&text) {
        Ok(()) => Ok(SeccompProfile::Custom(text)),
        Err(why) => Err(unusable(std::io::Error::other(why))),
    }
}

/// A name that is known, of the daemon's own runtime or of another.
fn runtime(source: &Source) -> Result<String, Error> {
    let Some((origin, value)) = source.pick(|s| &s.default_runtime) else {
        return Ok(String::new());
    };
    let known = super::other_runtimes(source)?;
    match value.is_empty()
        || engine::container::is_own_runtime(&value)
        || known.contains_key(&value)
    {
        true => Ok(value),
        false => Err(Error::Value {
            key: "default-runtime",
            value,
            origin,
            expected: "brig, or a name that add-runtime or the table runtimes gives,",
        }),
    }
}

fn one_of(
    key: &'static str,
    said: Option<(Origin, String)>,
    known: &[&str],
    expected: &'static str,
) -> Result<String, Error> {
    match said {
        None => Ok(String::new()),
        Some((_, value)) if known.contains(&value.as_str()) => Ok(value),
        Some((origin, value)) => Err(Error::Value {
            key,
            value,
            origin,
            expected,
        }),
    }
}

fn shm_size((origin, value): (Origin, String)) -> Result<i64, Error> {
    let bytes = types::parse_bytes(&value).ok().filter(|bytes| *bytes > 0);
    bytes.ok_or(Error::Value {
        key: "default-shm-size",
        value,
        origin,
        expected: "a number of bytes, as in 128m,",
    })
}

fn log(source: &Source) -> Result<LogConfig, Error> {
    let driver = source.pick(|s| &s.log_driver);
    let options = source.pick(|s| &s.log_opt);
    let mut log = LogConfig::default();
    if let Some((_, name)) = &driver {
        log.driver.clone_from(name);
    }
    for option in options.iter().flat_map(|(_, list)| list) {
        let (name, value) = option.split_once('=').ok_or_else(|| Error::Value {
            key: "log-opt",
            value: option.clone(),
            origin: options
                .as_ref()
                .map_or(Origin::Default, |said| said.0.clone()),
            expected: "NAME=VALUE",
        })?;
        log.options.insert(name.to_owned(), value.to_owned());
    }
    let origin = driver.or(options.map(|(origin, _)| (origin, String::new())));
    log.check().map_err(|source| Error::Log {
        origin: origin.map_or(Origin::Default, |(origin, _)| origin),
        source,
    })?;
    Ok(log)
}

/// Where names are looked up.
pub(super) fn dns(source: &Source) -> Result<DnsRequest, Error> {
    let words = |key, picked: Option<(Origin, Vec<String>)>| {
        let (origin, words) = picked.unwrap_or((Origin::Default, Vec::new()));
        let wrong = |word: &&String| word.is_empty() || word.contains(char::is_whitespace);
        match words.iter().find(wrong) {
            Some(word) => Err(Error::Value {
                key,
                value: word.clone(),
                origin,
                expected: "one word",
            }),
            None => Ok(words),
        }
    };
    Ok(DnsRequest {
        servers: addresses("dns", source.pick(|s| &s.dns))?,
        search: words("dns-search", source.pick(|s| &s.dns_search))?,
        options: words("dns-opt", source.pick(|s| &s.dns_opt))?,
    })
}

/// What `host-gateway` is; empty leaves it to the default network.
pub(super) fn host_gateway(source: &Source) -> Result<Vec<IpAddr>, Error> {
    const KEY: &str = "host-gateway-ip";
    let said = source.pick(|s| &s.host_gateway_ip);
    let origin = said.as_ref().map_or(Origin::Default, |said| said.0.clone());
    let all = addresses(KEY, said)?;
    let of_v4 = all.iter().filter(|address| address.is_ipv4()).count();
    match of_v4 > 1 || all.len() - of_v4 > 1 {
        false => Ok(all),
        true => Err(Error::Value {
            key: KEY,
            value: all
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            origin,
            expected: "one address of IPv4 and one of IPv6 at most",
        }),
    }
}

fn addresses(key: &'static str, said: Option<(Origin, Vec<String>)>) -> Result<Vec<IpAddr>, Error> {
    let Some((origin, texts)) = said else {
        return Ok(Vec::new());
    };
    let parse = |text: &String| {
        text.parse().map_err(|_| Error::Value {
            key,
            value: text.clone(),
            origin: origin.clone(),
            expected: "an IP address",
        })
    };
    texts.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;

    fn source(settings: Settings) -> Source {
        Source(vec![(Origin::Flag, settings)])
    }

    fn list(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn what_is_said_stays() {
        let all = defaults(&source(Settings {
            default_ipc_mode: Some("shareable".to_owned()),
            default_cgroupns_mode: Some("host".to_owned()),
            default_shm_size: Some("128m".to_owned()),
            default_init: Some("true".to_owned()),
            default_runtime: Some("brig".to_owned()),
            no_new_privileges: Some("true".to_owned()),
            log_driver: Some("local".to_owned()),
            log_opt: list(&["max-size=1m", "max-file=3"]),
            ..Settings::default()
        }))
        .unwrap();
        let mut body = wire::ContainerCreateRequest::default();
        all.complete(&mut body, Version::MAX);
        let host = &body.host_config;
        assert_eq!((host.init, host.runtime.as_str()), (Some(true), "brig"));
        assert_eq!(host.security_opt.as_ref().unwrap(), &["no-new-privileges"]);
        assert_eq!(host.ipc_mode, "shareable");
        assert_eq!(host.cgroupns_mode, "host");
        assert_eq!(host.shm_size, 128 << 20);
        assert_eq!(host.log_config.r#type, "local");
        assert_eq!(host.log_config.config.as_ref().unwrap()["max-file"], "3");
        let mut body = wire::ContainerCreateRequest::default();
        body.host_config.ipc_mode = "host".to_owned();
        body.host_config.shm_size = 1 << 20;
        body.host_config.init = Some(false);
        body.host_config.runtime = "runc".to_owned();
        body.host_config.log_config.r#type = "json-file".to_owned();
        let before = body.host_config.log_config.clone();
        all.complete(&mut body, Version::MAX);
        assert_eq!(body.host_config.ipc_mode, "host");
        assert_eq!(body.host_config.shm_size, 1 << 20);
        assert_eq!(body.host_config.init, Some(false));
        assert_eq!(body.host_config.runtime, "runc");
        assert_eq!(body.host_config.log_config, before);
        let mut old = wire::ContainerCreateRequest::default();
        all.complete(&mut old, Version::new(1, 39));
        assert_eq!(old.host_config.ipc_mode, "");
    }

    #[test]
    fn what_is_completed_at_each_start_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("profile.json");
        let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;
        sys::file::replace_unsynced(&file, profile.as_bytes(), 0o600).unwrap();
        let read = |limits: &[&str], profile: &str| {
            usual(&source(Settings {
                default_ulimit: list(limits),
                seccomp_profile: Some(profile.to_owned()),
                ..Settings::default()
            }))
        };
        let file = file.to_str().unwrap();
        let all = read(&["nofile=1", "core=0:-1", "nofile=5:6"], file).unwrap();
        let limits = ["core=0:-1", "nofile=5:6"].map(|text| text.parse().unwrap());
        assert_eq!(all.ulimits, limits);
        assert_eq!(all.seccomp, SeccompProfile::Custom(profile.to_owned()));
        let none = read(&["core=0"], "unconfined").unwrap();
        assert_eq!(none.seccomp, SeccompProfile::Unconfined);
        assert_eq!(read(&[], "builtin").unwrap(), Usual::default());
        sys::file::replace_unsynced(file.as_ref(), b"[]", 0o600).unwrap();
        assert!(read(&[], file).is_err());
    }

    #[test]
    fn options_of_the_usual_driver_are_completed() {
        let all = defaults(&source(Settings {
            log_opt: list(&["max-size=1m", "max-file=3"]),
            ..Settings::default()
        }))
        .unwrap();
        let mut body = wire::ContainerCreateRequest::default();
        let asked = ("max-size".to_owned(), "9m".to_owned());
        body.host_config.log_config.config = Some([asked].into());
        all.complete(&mut body, Version::MAX);
        let options = body.host_config.log_config.config.unwrap();
        assert_eq!((&*options["max-size"], &*options["max-file"]), ("9m", "3"));
    }

    fn said(settings: Settings) -> String {
        let source = source(settings);
        let all = defaults(&source)
            .and(usual(&source).map(drop))
            .and(dns(&source).map(drop))
            .and(host_gateway(&source).map(drop));
        let error = all.unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", cause.unwrap_or_default())
    }

    #[test]
    fn mistakes_are_named() {
        let none = Settings::default;
        let text = |word: &str| Some(word.to_owned());
        for (settings, says) in [
            (
                Settings {
                    default_ipc_mode: text("host"),
                    ..none()
                },
                "default-ipc-mode = \"host\" (from the command line): private or shareable is expected",
            ),
            (
                Settings {
                    default_cgroupns_mode: text("x"),
                    ..none()
                },
                "private or host is expected",
            ),
            (
                Settings {
                    default_shm_size: text("0"),
                    ..none()
                },
                "a number of bytes",
            ),
            (
                Settings {
                    log_driver: text("paper"),
                    ..none()
                },
                "'paper'",
            ),
            (
                Settings {
                    log_opt: list(&["max-size"]),
                    ..none()
                },
                "NAME=VALUE is expected",
            ),
            (
                Settings {
                    log_opt: list(&["ink=blue"]),
                    ..none()
                },
                "ink",
            ),
            (
                Settings {
                    dns: list(&["one"]),
                    ..none()
                },
                "dns = \"one\"",
            ),
            (
                Settings {
                    dns_search: list(&["a b"]),
                    ..none()
                },
                "one word is expected",
            ),
            (
                Settings {
                    host_gateway_ip: list(&["10.0.0.1", "10.0.0.2"]),
                    ..none()
                },
                "10.0.0.1, 10.0.0.2",
            ),
        ] {
            let error = said(settings);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn mistakes_about_runtimes_and_limits_are_named() {
        let none = Settings::default;
        let text = |word: &str| Some(word.to_owned());
        for (settings, says) in [
            (
                Settings {
                    default_ulimit: list(&["nofile=2:1"]),
                    ..none()
                },
                "default-ulimit = \"nofile=2:1\" (from the command line): ulimit soft limit must be",
            ),
            (
                Settings {
                    default_runtime: text("kata"),
                    ..none()
                },
                "default-runtime = \"kata\"",
            ),
            (
                Settings {
                    seccomp_profile: text("/nowhere/profile.json"),
                    ..none()
                },
                "No such file",
            ),
            (
                Settings {
                    seccomp_profile: text("profile.json"),
                    ..none()
                },
                "an absolute path is expected",
            ),
            (
                Settings {
                    default_init: text("perhaps"),
                    ..none()
                },
                "true or false is expected",
            ),
        ] {
            let error = said(settings);
            assert!(error.contains(says), "{error}");
        }
    }
}
