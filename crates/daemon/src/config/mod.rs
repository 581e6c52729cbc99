//! The daemon's configuration: flags over environment over file over defaults.

mod access;
mod defaults;
mod file;
mod flags;
mod nearest;
mod network;
mod programs;
mod registries;
mod runtimes;
mod settings;
mod telemetry;
mod upkeep;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::client::Endpoint;

pub(crate) use access::Access;
pub(crate) use defaults::Defaults;
pub(crate) use file::{FileError, unknown_variable};
pub(crate) use flags::Flags;
use settings::Settings;

/// The file that is read if it is there and no other is named.
pub(crate) const DEFAULT_FILE: &str = "/etc/brig/brigd.toml";

const DATA_ROOT: &str = "/var/lib/brig";
const RUN_ROOT: &str = "/run/brig";
const CGROUP_PARENT: &str = "/brig";
const CDI_SPEC_DIRS: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];
const SOCKET: &str = "brig.sock";
const PATIENCE: &str = "10";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// How registries are reached.
    #[error(transparent)]
    Registries(#[from] registries::Error),
    /// How networks are made.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// Other runtimes.
    #[error(transparent)]
    Runtimes(#[from] runtimes::Error),
    /// Traces.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// Sockets with policies.
    #[error(transparent)]
    Sockets(#[from] access::InvalidSocket),
    /// The signature policy's file.
    #[error("cannot read the signature policy {}", file.display())]
    Unread {
        file: PathBuf,
        source: std::io::Error,
    },
    /// What stands in it.
    #[error("the signature policy {} cannot be used", file.display())]
    Policy {
        file: PathBuf,
        source: engine::image::signatures::InvalidPolicy,
    },
    /// A value that makes no sense.
    #[error("{key} = {value:?} (from {origin}): {expected} is expected")]
    Value {
        key: &'static str,
        value: String,
        origin: Origin,
        expected: &'static str,
    },
    /// A file that is named and cannot be used.
    #[error("{key} = {value:?} (from {origin})")]
    Unusable {
        key: &'static str,
        value: String,
        origin: Origin,
        source: std::io::Error,
    },
    /// A limit that makes no sense.
    #[error("default-ulimit = {value:?} (from {origin})")]
    Ulimit {
        value: String,
        origin: Origin,
        source: types::InvalidUlimit,
    },
    /// Where output cannot go.
    #[error("log-driver and log-opt (from {origin})")]
    Log {
        origin: Origin,
        source: types::InvalidLog,
    },
    /// Ids that containers cannot have.
    #[error("{key} = {value:?} (from {origin}): {why}")]
    UserIds {
        key: &'static str,
        value: String,
        origin: Origin,
        why: engine::user_ids::InvalidIds,
    },
    /// A helper that is not there.
    #[error(
        "{program} was not found beside brigd, in /usr/local/libexec/brig, /usr/libexec/brig or on \
         the PATH; install it or set {key}"
    )]
    Program {
        program: &'static str,
        key: &'static str,
    },
}

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Environment,
    File(PathBuf),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("the command line"),
            Self::Environment => f.write_str("the environment"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("the defaults"),
        }
    }
}

/// The key that only a file has: a table.
pub(crate) const REGISTRIES: &str = "registries";

/// The same.
pub(crate) const NETWORK: &str = "network";

/// The same.
pub(crate) const RUNTIMES: &str = "runtimes";

/// The same.
pub(crate) const SOCKETS: &str = "sockets";

/// The same.
pub(crate) const TELEMETRY: &str = "telemetry";

/// All of these.
const TABLES: [&str; 5] = [NETWORK, REGISTRIES, RUNTIMES, SOCKETS, TELEMETRY];

/// How records are written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// The configuration, complete and checked.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) data_root: PathBuf,
    pub(crate) run_root: PathBuf,
    /// Where it listens.
    pub(crate) hosts: Vec<Endpoint>,
    /// Who besides root may connect; none means the group `brig`, if there is one.
    pub(crate) socket_group: Option<String>,
    /// Who may come in how, and what is told of it.
    pub(crate) access: Access,
    pub(crate) cgroup_parent: String,
    pub(crate) log_level: tracing::Level,
    pub(crate) log_format: LogFormat,
    pub(crate) shim: PathBuf,
    pub(crate) init: PathBuf,
    pub(crate) runtime: Option<PathBuf>,
    /// More of them by name.
    pub(crate) runtimes: BTreeMap<String, PathBuf>,
    /// Where devices are described.
    pub(crate) cdi_spec_dirs: Vec<PathBuf>,
    /// Whether SELinux confines containers, where the machine has it.
    pub(crate) selinux_enabled: bool,
    pub(crate) pid_file: Option<PathBuf>,
    /// What containers have whose creator does not say it.
    pub(crate) defaults: Defaults,
    /// The same of what is completed at each start.
    pub(crate) usual: engine::container::Usual,
    /// What this machine is known by.
    pub(crate) labels: Vec<String>,
    /// How long requests under way are waited for at the end.
    pub(crate) patience: Duration,
    /// What is done for the disk in the background.
    pub(crate) upkeep: engine::image::Upkeep,
    pub(crate) fail_at: Option<String>,
    /// How networks are made.
    pub(crate) network: engine::network::Settings,
    /// How registries are reached.
    pub(crate) registries: engine::image::registries::Config,
    /// Which ids of this machine containers may have.
    pub(crate) user_ids: engine::user_ids::Settings,
    /// What images have to fulfil.
    pub(crate) signature_policy: Option<engine::image::signatures::Policy>,
    /// What is traced and where that goes; or why nothing is.
    pub(crate) telemetry: Result<Option<crate::telemetry::Settings>, telemetry::Ignored>,
    /// The file it was read from, if any.
    pub(crate) file: Option<PathBuf>,
}

/// What one source of settings says.
#[derive(Debug, Clone, Default)]
struct Source(Vec<(Origin, Settings)>);

impl Source {
    /// The first that says it, and where that was.
    fn pick<T: Clone>(&self, get: impl Fn(&Settings) -> &Option<T>) -> Option<(Origin, T)> {
        self.0
            .iter()
            .find_map(|(origin, settings)| Some((origin.clone(), get(settings).as_ref()?.clone())))
    }

    fn or<T: Clone>(
        &self,
        get: impl Fn(&Settings) -> &Option<T>,
        default: impl Into<T>,
    ) -> (Origin, T) {
        self.pick(get)
            .unwrap_or_else(|| (Origin::Default, default.into()))
    }
}

/// Puts the sources together: flags, then the environment, then the file.
pub(crate) fn load(
    flags: &Flags,
    environment: impl Fn(&str) -> Option<String>,
    default_file: &Path,
) -> Result<Config, Error> {
    let from_environment = file::from_environment(&environment);
    let named = flags
        .config
        .clone()
        .or_else(|| environment("BRIGD_CONFIG").map(PathBuf::from));
    let file = match named {
        Some(path) => Some(path),
        None => Some(default_file.to_owned()).filter(|path| path.exists()),
    };
    let mut sources = vec![
        (Origin::Flag, flags.settings()),
        (Origin::Environment, from_environment),
    ];
    if let Some(path) = &file {
        sources.push((Origin::File(path.clone()), file::read(path)?));
    }
    let source = Source(sources);
    let table = source.pick(|s| &s.registries).map(|(_, table)| table);
    let registries = registries::complete(table.as_ref(), &environment)?;
    let table = source.pick(|s| &s.telemetry).map(|(_, table)| table);
    let telemetry = telemetry::complete(table.as_ref(), &environment)?;
    let config = complete(&source, file, registries)?;
    Ok(Config {
        telemetry,
        ..config
    })
}

/// All but what is traced.
fn complete(
    source: &Source,
    file: Option<PathBuf>,
    registries: engine::image::registries::Config,
) -> Result<Config, Error> {
    let run_root = absolute("run-root", source.or(|s| &s.run_root, RUN_ROOT))?;
    let optional = |key, picked: Option<(Origin, PathBuf)>| {
        picked.map(|picked| absolute(key, picked)).transpose()
    };
    let fail_at = source.pick(|s| &s.fail_at).map(|(_, step)| step);
    let access = access::access(source)?;
    Ok(Config {
        data_root: absolute("data-root", source.or(|s| &s.data_root, DATA_ROOT))?,
        hosts: hosts(source, &run_root, access.verifies())?,
        access,
        run_root,
        socket_group: source.pick(|s| &s.socket_group).map(|(_, group)| group),
        cgroup_parent: cgroup_parent(source.or(|s| &s.cgroup_parent, CGROUP_PARENT))?,
        log_level: log_level(source.or(|s| &s.log_level, "info"))?,
        log_format: log_format(source.or(|s| &s.log_format, "text"))?,
        shim: programs::find(
            "brig-shim",
            "shim",
            optional("shim", source.pick(|s| &s.shim))?,
        )?,
        init: programs::find(
            "brig-init",
            "init",
            optional("init", source.pick(|s| &s.init))?,
        )?,
        runtime: optional("runtime", source.pick(|s| &s.runtime))?,
        runtimes: other_runtimes(source)?,
        cdi_spec_dirs: cdi_spec_dirs(source)?,
        selinux_enabled: access::switch("selinux-enabled", source.pick(|s| &s.selinux_enabled))?,
        pid_file: optional("pid-file", source.pick(|s| &s.pid_file))?,
        defaults: defaults::defaults(source)?,
        usual: defaults::usual(source)?,
        labels: labels(source)?,
        patience: patience(source.or(|s| &s.shutdown_timeout, PATIENCE))?,
        upkeep: upkeep::upkeep(source)?,
        fail_at: fail_at.filter(|step| !step.is_empty()),
        network: networks(source)?,
        registries,
        user_ids: user_ids(source)?,
        signature_policy: optional("signature-policy", source.pick(|s| &s.signature_policy))?
            .map(|file| signature_policy(&file))
            .transpose()?,
        telemetry: Ok(None),
        file,
    })
}

/// Runtimes beside the daemon's own, by name.
fn other_runtimes(source: &Source) -> Result<BTreeMap<String, PathBuf>, Error> {
    let flags = source.pick(|s| &s.add_runtime).map(|(_, list)| list);
    let table = source.pick(|s| &s.runtimes).map(|(_, table)| table);
    Ok(runtimes::complete(flags.as_ref(), table.as_ref())?)
}

fn networks(source: &Source) -> Result<engine::network::Settings, Error> {
    // Containers without networks do without it; of the others it is said when they are made.
    let keeper = programs::find("brig-net", "network", None);
    let keeper = keeper.unwrap_or_else(|_| programs::place("brig-net"));
    let table = source.pick(|s| &s.network).map(|(_, table)| table);
    Ok(engine::network::Settings {
        dns: defaults::dns(source)?,
        host_gateway: defaults::host_gateway(source)?,
        ..network::complete(table.as_ref(), keeper)?
    })
}

fn cdi_spec_dirs(source: &Source) -> Result<Vec<PathBuf>, Error> {
    let (origin, dirs) = source.or(
        |s| &s.cdi_spec_dir,
        CDI_SPEC_DIRS.map(str::to_owned).to_vec(),
    );
    // An empty one turns the matter off, as in Docker's daemon.
    let said = dirs.into_iter().filter(|dir| !dir.is_empty());
    said.map(|dir| absolute("cdi-spec-dir", (origin.clone(), dir.into())))
        .collect()
}

/// What cannot be is the fault of the one key that was said, or of the mapping.
fn user_ids(source: &Source) -> Result<engine::user_ids::Settings, Error> {
    let remap = source.pick(|s| &s.userns_remap);
    let pool = source.pick(|s| &s.userns_pool);
    let said = |picked: &Option<(Origin, String)>| picked.as_ref().map(|(_, text)| text.clone());
    let (remap_text, pool_text) = (said(&remap), said(&pool));
    let read = engine::user_ids::Settings::read(remap_text.as_deref(), pool_text.as_deref());
    read.map_err(|why| {
        let (key, picked) = match why {
            engine::user_ids::InvalidIds::Pool => ("userns-pool", pool),
            _ => ("userns-remap", remap),
        };
        let (origin, value) = picked.unwrap_or((Origin::Default, String::new()));
        Error::UserIds {
            key,
            value,
            origin,
            why,
        }
    })
}

fn signature_policy(file: &Path) -> Result<engine::image::signatures::Policy, Error> {
    let text = std::fs::read(file).map_err(|source| Error::Unread {
        file: file.to_owned(),
        source,
    })?;
    let policy = engine::image::signatures::Policy::parse(file, &text, |path| std::fs::read(path));
    policy.map_err(|source| Error::Policy {
        file: file.to_owned(),
        source,
    })
}

fn absolute(key: &'static str, (origin, path): (Origin, PathBuf)) -> Result<PathBuf, Error> {
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::Value {
        key,
        value: path.display().to_string(),
        origin,
        expected: "an absolute path",
    })
}

fn hosts(source: &Source, run_root: &Path, verified: bool) -> Result<Vec<Endpoint>, Error> {
    let Some((origin, texts)) = source.pick(|s| &s.host) else {
        return Ok(vec![Endpoint::Unix(run_root.join(SOCKET))]);
    };
    let parse = |text: &String| {
        let refused = |expected| Error::Value {
            key: "host",
            value: text.clone(),
            origin: origin.clone(),
            expected,
        };
        let endpoint: Endpoint = text
            .parse()
            .map_err(|_| refused("unix:///path or tcp://address:port"))?;
        match &endpoint {
            // Whoever can connect is root on this machine, and TCP alone asks nobody who they are.
            Endpoint::Tcp(address) if !verified && !is_loopback(address) => Err(refused(
                "an address of the loopback, tcp://127.0.0.1:port, or tlsverify beside it,",
            )),
            _ => Ok(endpoint),
        }
    };
    texts.iter().map(parse).collect()
}

fn is_loopback(address: &str) -> bool {
    let parsed: Result<std::net::SocketAddr, _> = address.parse();
    parsed.is_ok_and(|address| address.ip().is_loopback())
}

fn cgroup_parent((origin, value): (Origin, String)) -> Result<String, Error> {
    let plain = value
        .split('/')
        .skip(1)
        .all(|part| !matches!(part, "" | "." | ".."));
    if value.starts_with('/') && plain {
        return Ok(value);
    }
    Err(Error::Value {
        key: "cgroup-parent",
        value,
        origin,
        expected: "an absolute path in the cgroup hierarchy, as in /brig",
    })
}

/// `NAME=VALUE` each; of two values of a name neither would be it.
fn labels(source: &Source) -> Result<Vec<String>, Error> {
    let Some((origin, labels)) = source.pick(|s| &s.label) else {
        return Ok(Vec::new());
    };
    let refused = |value: &String, expected| Error::Value {
        key: "label",
        value: value.clone(),
        origin: origin.clone(),
        expected,
    };
    let mut known: Vec<String> = Vec::new();
    for label in labels {
        let Some((name, _)) = label.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(refused(&label, "NAME=VALUE"));
        };
        let named = |other: &&String| other.split('=').next() == Some(name);
        match known.iter().find(named) {
            Some(other) if *other != label => {
                return Err(refused(&label, "one value of each name"));
            }
            Some(_) => {}
            None => known.push(label),
        }
    }
    Ok(known)
}

fn patience((origin, value): (Origin, String)) -> Result<Duration, Error> {
    let seconds = value.parse().ok().map(Duration::from_secs);
    seconds.ok_or(Error::Value {
        key: "shutdown-timeout",
        value,
        origin,
        expected: "a number of seconds",
    })
}

fn log_level((origin, value): (Origin, String)) -> Result<tracing::Level, Error> {
    value.parse().map_err(|_| Error::Value {
        key: "log-level",
        value,
        origin,
        expected: "error, warn, info, debug or trace",
    })
}

fn log_format((origin, value): (Origin, String)) -> Result<LogFormat, Error> {
    match value.as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Error::Value {
            key: "log-format",
            value,
            origin,
            expected: "text or json",
        }),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    struct Sandbox {
        dir: tempfile::TempDir,
        environment: Vec<(&'static str, String)>,
    }

    impl Sandbox {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let program = |name: &str| {
                let path = dir.path().join(name);
                sys::file::replace(&path, b"", 0o755).unwrap();
                path.display().to_string()
            };
            let environment = vec![
                ("BRIGD_SHIM", program("brig-shim")),
                ("BRIGD_INIT", program("brig-init")),
            ];
            Self { dir, environment }
        }

        fn with(mut self, name: &'static str, value: &str) -> Self {
            self.environment.push((name, value.to_owned()));
            self
        }

        fn file(self, name: &str, text: &str) -> Self {
            let path = self.dir.path().join(name);
            sys::file::replace(&path, text.as_bytes(), 0o644).unwrap();
            let path = path.display().to_string();
            self.with("BRIGD_CONFIG", &path)
        }

        fn load(&self, flags: &[&str]) -> Result<Config, String> {
            let argv = ["brigd"].iter().chain(flags);
            let flags = Flags::try_parse_from(argv).map_err(|e| e.to_string())?;
            let environment = |name: &str| {
                let found = self.environment.iter().rev().find(|(n, _)| *n == name);
                found.map(|(_, value)| value.clone())
            };
            let dir = self.dir.path().display().to_string();
            let none = self.dir.path().join("none.toml");
            load(&flags, environment, &none).map_err(|e| chain(&e).replace(&dir, "DIR"))
        }
    }

    fn chain(error: &dyn std::error::Error) -> String {
        match error.source() {
            Some(source) => format!("{error}: {}", chain(source)),
            None => error.to_string(),
        }
    }

    #[test]
    fn defaults() {
        let config = Sandbox::new().load(&[]).unwrap();
        assert_eq!(config.data_root, Path::new("/var/lib/brig"));
        assert_eq!(config.hosts, [Endpoint::Unix("/run/brig/brig.sock".into())]);
        assert_eq!(config.cgroup_parent, "/brig");
        assert_eq!(config.log_level, tracing::Level::INFO);
        assert_eq!((config.runtime, config.socket_group), (None, None));
    }

    #[test]
    fn flags_over_environment_over_file() {
        let sandbox = Sandbox::new()
            .file(
                "brigd.toml",
                "data-root = \"/file\"\nrun-root = \"/file-run\"\nlog-level = \"warn\"\n",
            )
            .with("BRIGD_DATA_ROOT", "/environment")
            .with("BRIGD_LOG_LEVEL", "debug");
        let config = sandbox.load(&["--log-level", "trace"]).unwrap();
        assert_eq!(config.log_level, tracing::Level::TRACE);
        assert_eq!(config.data_root, Path::new("/environment"));
        assert_eq!(config.hosts, [Endpoint::Unix("/file-run/brig.sock".into())]);
    }

    #[test]
    fn json_says_the_same_as_toml() {
        let toml = Sandbox::new().file(
            "a.toml",
            "host = [\"unix:///a.sock\", \"tcp://127.0.0.1:2375\"]\nsocket-group = \"staff\"\n",
        );
        let json = Sandbox::new().file(
            "a.json",
            r#"{"host": ["unix:///a.sock", "tcp://127.0.0.1:2375"], "socket-group": "staff"}"#,
        );
        for sandbox in [toml, json] {
            let config = sandbox.load(&[]).unwrap();
            assert_eq!(config.socket_group.as_deref(), Some("staff"));
            assert_eq!(
                config.hosts,
                [
                    Endpoint::Unix("/a.sock".into()),
                    Endpoint::Tcp("127.0.0.1:2375".into())
                ]
            );
        }
        let one = Sandbox::new().file("b.toml", "host = \"unix:///b.sock\"\n");
        assert_eq!(one.load(&[]).unwrap().hosts.len(), 1);
    }

    #[test]
    fn mistakes_are_named() {
        let file = |name: &str, text: &str| Sandbox::new().file(name, text).load(&[]).unwrap_err();
        assert_eq!(
            file("a.toml", "# a comment\ndata-rot = \"/x\"\n"),
            "DIR/a.toml, line 2: unknown key \"data-rot\": did you mean \"data-root\"?"
        );
        assert_eq!(
            file("a.json", "{\n  \"host\": \"unix:///a\",\n  \"color\": 1\n}"),
            "DIR/a.json, line 3: unknown key \"color\": the keys are audit-log, blobs, \
             cdi-spec-dir, cgroup-parent, data-root, default-cgroupns-mode, default-init, default-ipc-mode, \
             default-runtime, default-shm-size, default-ulimit, disk-high, disk-low, dns, dns-opt, dns-search, host, \
             host-gateway-ip, init, label, log-driver, log-format, log-level, log-opt, metrics-addr, no-new-privileges, \
             pid-file, run-root, runtime, seccomp-profile, secret-key, selinux-enabled, shim, shutdown-timeout, \
             signature-policy, socket-group, tls, tlscacert, tlscert, tlskey, tlsverify, userns-pool, userns-remap, network, registries, \
             runtimes, sockets, telemetry"
        );
        assert_eq!(
            file("a.toml", "log-level = 3\n"),
            "DIR/a.toml, line 1: log-level is a number: a string is expected"
        );
        assert_eq!(
            file("a.toml", "host = [1]\n"),
            "DIR/a.toml, line 1: host is a list: a string or a list of strings is expected"
        );
        assert_eq!(
            file("a.toml", "log-level = \"loud\"\n"),
            "log-level = \"loud\" (from DIR/a.toml): error, warn, info, debug or trace is expected"
        );
        assert_eq!(
            file("a.yaml", ""),
            "DIR/a.yaml: a configuration file ends in .toml or .json"
        );
        let syntax = file("a.toml", "log-level = \n");
        assert!(syntax.starts_with("DIR/a.toml is no TOML: "), "{syntax}");
        let syntax = file("a.json", "{");
        assert!(syntax.starts_with("DIR/a.json is no JSON: "), "{syntax}");
        let missing = Sandbox::new().load(&["--config", "/nonexistent/a.toml"]);
        assert_eq!(
            missing.unwrap_err(),
            "cannot read /nonexistent/a.toml: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn values_are_checked_wherever_they_come_from() {
        let environment =
            |name, value: &str| Sandbox::new().with(name, value).load(&[]).unwrap_err();
        assert_eq!(
            environment("BRIGD_DATA_ROOT", "relative"),
            "data-root = \"relative\" (from the environment): an absolute path is expected"
        );
        assert_eq!(
            environment("BRIGD_HOST", "tcp://0.0.0.0:2375"),
            "host = \"tcp://0.0.0.0:2375\" (from the environment): an address of the loopback, \
             tcp://127.0.0.1:port, or tlsverify beside it, is expected"
        );
        let flag = Sandbox::new().load(&["--cgroup-parent", "/a/../b"]);
        assert!(flag.unwrap_err().contains("(from the command line)"));
        let flag = Sandbox::new().load(&["--no-such-flag"]).unwrap_err();
        assert!(flag.contains("--no-such-flag"), "{flag}");
    }

    #[test]
    fn an_unknown_variable_of_ours_is_refused() {
        let mistyped = unknown_variable(["PATH", "BRIGD_DATAROOT"].into_iter());
        assert_eq!(
            mistyped.unwrap().to_string(),
            "the environment: unknown variable BRIGD_DATAROOT: did you mean BRIGD_DATA_ROOT?"
        );
        assert!(unknown_variable(["BRIGD_CONFIG", "BRIG_X"].into_iter()).is_none());
    }
}
