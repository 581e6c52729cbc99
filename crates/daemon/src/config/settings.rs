//! The settings that the file, the environment and the command line all have: one table, by which
//! the three are read. `docs/configuration.md` says the same to people, which a test holds it to.

use std::path::PathBuf;

use super::registries::Table;

/// A file or an environment: asked for a key, it has a value, none, or one of a wrong type.
pub(super) trait Says {
    /// Why a value cannot be taken.
    type Wrong;

    fn text(&self, key: &'static str) -> Result<Option<String>, Self::Wrong>;

    /// A number as text: what it may be is looked at later.
    fn number(&self, key: &'static str) -> Result<Option<String>, Self::Wrong>;

    /// `true` or `false`; text for the same reason.
    fn switch(&self, key: &'static str) -> Result<Option<String>, Self::Wrong>;

    fn list(&self, key: &'static str) -> Result<Option<Vec<String>>, Self::Wrong>;

    fn path(&self, key: &'static str) -> Result<Option<PathBuf>, Self::Wrong> {
        Ok(self.text(key)?.map(PathBuf::from))
    }
}

/// What a flag says, if it stands on the command line.
pub(crate) trait Flag {
    type Value;

    fn said(&self) -> Option<Self::Value>;
}

impl<T: Clone> Flag for Option<T> {
    type Value = T;

    fn said(&self) -> Option<T> {
        self.clone()
    }
}

impl Flag for Vec<String> {
    type Value = Self;

    fn said(&self) -> Option<Self> {
        (!self.is_empty()).then(|| self.clone())
    }
}

impl Flag for bool {
    type Value = String;

    fn said(&self) -> Option<String> {
        self.then(|| "true".to_owned())
    }
}

macro_rules! settings {
    ($($(#[$about:meta])* $field:ident: $kind:ident $flag:ty = $key:literal;)*) => {
        /// The same names as keys of a file, flags and (`BRIGD_DATA_ROOT`) variables.
        pub(crate) const KEYS: &[&str] = &[$($key),*];

        /// Settings as one source gives them.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(crate) struct Settings {
            $(pub(crate) $field: Option<<$flag as Flag>::Value>,)*
            /// `NAME=PATH`; the command line alone says it so.
            pub(crate) add_runtime: Option<Vec<String>>,
            /// The command line and the environment only.
            pub(crate) fail_at: Option<String>,
            /// A table, which only a file can hold.
            pub(crate) registries: Option<Table>,
            /// The same.
            pub(crate) network: Option<Table>,
            /// The same.
            pub(crate) runtimes: Option<Table>,
            /// The same.
            pub(crate) sockets: Option<Table>,
            /// The same.
            pub(crate) telemetry: Option<Table>,
        }

        /// A flag a setting.
        #[derive(Debug, Default, clap::Args)]
        pub(super) struct SettingFlags {
            $($(#[$about])* #[arg(long = $key)] $field: $flag,)*
        }

        impl SettingFlags {
            /// What was said.
            pub(super) fn settings(&self) -> Settings {
                Settings {
                    $($field: self.$field.said(),)*
                    ..Settings::default()
                }
            }
        }

        impl Settings {
            /// What a source says of each key.
            pub(super) fn of<S: Says>(source: &S) -> Result<Self, S::Wrong> {
                Ok(Self {
                    $($field: source.$kind($key)?,)*
                    ..Self::default()
                })
            }
        }
    };
}

// The order is that of `--help`.
settings! {
    /// Where images, layers, records and logs are kept [default: /var/lib/brig]
    #[arg(value_name = "DIR")]
    data_root: path Option<PathBuf> = "data-root";
    /// Where sockets and bundles are kept until the next boot [default: /run/brig]
    #[arg(value_name = "DIR")]
    run_root: path Option<PathBuf> = "run-root";
    /// Where to listen: unix:///PATH or tcp://127.0.0.1:PORT; may be repeated
    /// [default: unix://RUN_ROOT/brig.sock]
    #[arg(short = 'H', value_name = "HOST")]
    host: list Vec<String> = "host";
    /// The group that may use the socket: its members are root on this machine
    /// [default: brig, if there is one]
    #[arg(short = 'G', visible_alias = "group", value_name = "GROUP")]
    socket_group: text Option<String> = "socket-group";
    /// Encrypt what comes by TCP
    tls: switch bool = "tls";
    /// Have SELinux confine containers, where the machine has it
    selinux_enabled: switch bool = "selinux-enabled";
    /// The same, and let in only clients whose certificate one of the authorities has signed
    tlsverify: switch bool = "tlsverify";
    /// The authorities, PEM
    #[arg(value_name = "FILE")]
    tlscacert: path Option<PathBuf> = "tlscacert";
    /// The certificate that clients are shown, PEM
    #[arg(value_name = "FILE")]
    tlscert: path Option<PathBuf> = "tlscert";
    /// The key of it, PEM
    #[arg(value_name = "FILE")]
    tlskey: path Option<PathBuf> = "tlskey";
    /// Write down who did what, a line of JSON a request [default: not]
    #[arg(value_name = "FILE")]
    audit_log: path Option<PathBuf> = "audit-log";
    /// Where Prometheus finds counters of the daemon and of containers, at /metrics [default: nowhere]
    #[arg(value_name = "ADDRESS:PORT")]
    metrics_addr: text Option<String> = "metrics-addr";
    /// The key that secrets are encrypted with [default: beside the data root, DATA_ROOT.key]
    #[arg(value_name = "FILE")]
    secret_key: path Option<PathBuf> = "secret-key";
    /// The cgroup above those of containers [default: /brig]
    #[arg(value_name = "PATH")]
    cgroup_parent: text Option<String> = "cgroup-parent";
    /// What is logged: error, warn, info, debug or trace [default: info]
    #[arg(short = 'l', value_name = "LEVEL")]
    log_level: text Option<String> = "log-level";
    /// How it is logged: text or json [default: text]
    #[arg(value_name = "FORMAT")]
    log_format: text Option<String> = "log-format";
    /// The program that keeps one container [default: brig-shim beside brigd]
    #[arg(value_name = "FILE")]
    shim: path Option<PathBuf> = "shim";
    /// The process 1 of --init [default: brig-init beside brigd]
    #[arg(value_name = "FILE")]
    init: path Option<PathBuf> = "init";
    /// Another OCI runtime, driven by its command line [default: our own, inside the shim]
    #[arg(value_name = "FILE")]
    runtime: path Option<PathBuf> = "runtime";
    /// Where devices are described; may be repeated [default: /etc/cdi, /var/run/cdi]
    #[arg(value_name = "DIR")]
    cdi_spec_dir: list Vec<String> = "cdi-spec-dir";
    /// What images have to be signed by, as containers-policy.json(5) has it [default: nothing]
    #[arg(value_name = "FILE")]
    signature_policy: path Option<PathBuf> = "signature-policy";
    /// What this machine is known by in `info`; may be repeated
    #[arg(value_name = "NAME=VALUE")]
    label: list Vec<String> = "label";
    /// For how long a daemon that is to end waits for the requests under way [default: 10]
    #[arg(value_name = "SECONDS")]
    shutdown_timeout: number Option<String> = "shutdown-timeout";
    /// Where to write the daemon's pid
    #[arg(short = 'p', visible_alias = "pidfile", value_name = "FILE")]
    pid_file: path Option<PathBuf> = "pid-file";
    /// What becomes of a layer's compressed form once it is unpacked: keep, or drop where the same
    /// bytes can be made again [default: keep]
    #[arg(value_name = "WHAT")]
    blobs: text Option<String> = "blobs";
    /// Above how much of the disk in use images that no container needs go, in per cent
    /// [default: never]
    #[arg(value_name = "PERCENT")]
    disk_high: number Option<String> = "disk-high";
    /// Until how much of it is in use [default: 10 below --disk-high]
    #[arg(value_name = "PERCENT")]
    disk_low: number Option<String> = "disk-low";
    /// Whose subordinate ids all containers have instead of the machine's own: default, USER,
    /// USER:GROUP or their numbers [default: nobody's]
    #[arg(value_name = "USER[:GROUP]")]
    userns_remap: text Option<String> = "userns-remap";
    /// From which ids containers with --userns auto take their own
    /// [default: those subordinate to brig or containers, or 2147483648:2147418112]
    #[arg(value_name = "FIRST:COUNT")]
    userns_pool: text Option<String> = "userns-pool";
    /// Where containers look names up that do not say it themselves; may be repeated
    /// [default: as the machine does]
    #[arg(value_name = "ADDRESS")]
    dns: list Vec<String> = "dns";
    /// Where they look for names without a dot; may be repeated [default: as the machine does]
    #[arg(value_name = "DOMAIN")]
    dns_search: list Vec<String> = "dns-search";
    /// Options of their resolv.conf(5); may be repeated [default: as the machine has them]
    #[arg(visible_alias = "dns-option", value_name = "OPTION")]
    dns_opt: list Vec<String> = "dns-opt";
    /// What `host-gateway` is in --add-host, an address of IPv4 and one of IPv6
    /// [default: the gateways of the default network]
    #[arg(value_name = "ADDRESS")]
    host_gateway_ip: list Vec<String> = "host-gateway-ip";
    /// Whether others may share the memory of containers: private or shareable [default: private]
    #[arg(value_name = "MODE")]
    default_ipc_mode: text Option<String> = "default-ipc-mode";
    /// The cgroup namespace of containers: private or host [default: private]
    #[arg(value_name = "MODE")]
    default_cgroupns_mode: text Option<String> = "default-cgroupns-mode";
    /// Bytes of their /dev/shm, as in 128m [default: 64m]
    #[arg(value_name = "BYTES")]
    default_shm_size: number Option<String> = "default-shm-size";
    /// A limit of their processes; may be repeated
    #[arg(value_name = "NAME=SOFT[:HARD]")]
    default_ulimit: list Vec<String> = "default-ulimit";
    /// Whether an init is process 1 of those that do not say it
    default_init: switch bool = "default-init";
    /// Which runtime runs those that name none: brig, or one of --add-runtime [default: --runtime]
    #[arg(value_name = "NAME")]
    default_runtime: text Option<String> = "default-runtime";
    /// Which system calls they may make: builtin, unconfined or a file [default: builtin]
    #[arg(value_name = "PROFILE")]
    seccomp_profile: text Option<String> = "seccomp-profile";
    /// Have no program in them gain privileges by exec, unless they ask for it
    no_new_privileges: switch bool = "no-new-privileges";
    /// Where their output goes [default: json-file]
    #[arg(value_name = "DRIVER")]
    log_driver: text Option<String> = "log-driver";
    /// An option of that driver; may be repeated
    #[arg(value_name = "NAME=VALUE")]
    log_opt: list Vec<String> = "log-opt";
}

#[cfg(test)]
mod tests {
    use super::super::TABLES;
    use super::*;

    /// The page is a table of the keys, and says of which tables there are.
    #[test]
    fn the_page_has_every_key_and_no_other() {
        let page = include_str!("../../../../docs/configuration.md");
        let start = page.find("| key, flag `--KEY`").unwrap();
        let rows = page[start..].lines().skip(2);
        let rows = rows.take_while(|line| line.starts_with('|'));
        let mut told: Vec<&str> = rows
            .flat_map(|row| {
                let cell = row.split('|').nth(1).unwrap_or_default();
                // What stands in parentheses is a short form of the one before.
                let cell = cell.split('(').next().unwrap_or_default();
                cell.split('`').skip(1).step_by(2)
            })
            .collect();
        told.sort_unstable();
        let mut keys = KEYS.to_vec();
        keys.sort_unstable();
        assert_eq!(told, keys);
        for table in TABLES {
            assert!(page.contains(&format!("`{table}`")), "{table}");
        }
    }

    #[test]
    fn a_flag_a_key() {
        use clap::CommandFactory as _;
        let command = super::super::Flags::command();
        for key in KEYS {
            let flag = command
                .get_arguments()
                .find(|arg| arg.get_long() == Some(key));
            assert!(flag.is_some_and(|flag| flag.get_help().is_some()), "{key}");
        }
    }
}
