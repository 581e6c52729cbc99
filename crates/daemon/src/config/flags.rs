//! The command line.

use std::path::PathBuf;

use clap::Parser;

use super::Settings;

/// The daemon of Brig: runs containers behind Docker's API.
///
/// Settings are taken from the command line, then from variables BRIGD_<KEY>, then from the file,
/// then from the defaults.
#[derive(Debug, Default, Parser)]
#[command(name = "brigd", version)]
pub(crate) struct Flags {
    /// Configuration file, TOML or JSON by its ending [default: /etc/brig/brigd.toml if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where images, layers, records and logs are kept [default: /var/lib/brig]
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,

    /// Where sockets and bundles are kept until the next boot [default: /run/brig]
    #[arg(long, value_name = "DIR")]
    run_root: Option<PathBuf>,

    /// Where to listen: unix:///PATH or tcp://127.0.0.1:PORT; may be repeated
    /// [default: unix://RUN_ROOT/brig.sock]
    #[arg(short = 'H', long, value_name = "HOST")]
    host: Vec<String>,

    /// The group that may use the socket: its members are root on this machine
    /// [default: brig, if there is one]
    #[arg(short = 'G', long, visible_alias = "group", value_name = "GROUP")]
    socket_group: Option<String>,

    /// Encrypt what comes by TCP
    #[arg(long)]
    tls: bool,

    /// The same, and let in only clients whose certificate one of the authorities has signed
    #[arg(long)]
    tlsverify: bool,

    /// The authorities, PEM
    #[arg(long, value_name = "FILE")]
    tlscacert: Option<PathBuf>,

    /// The certificate that clients are shown, PEM
    #[arg(long, value_name = "FILE")]
    tlscert: Option<PathBuf>,

    /// The key of it, PEM
    #[arg(long, value_name = "FILE")]
    tlskey: Option<PathBuf>,

    /// Write down who did what, a line of JSON a request [default: not]
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,

    /// Where Prometheus finds counters of the daemon and of containers, at /metrics [default: nowhere]
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_addr: Option<String>,

    /// The key that secrets are encrypted with [default: beside the data root, DATA_ROOT.key]
    #[arg(long, value_name = "FILE")]
    secret_key: Option<PathBuf>,

    /// The cgroup above those of containers [default: /brig]
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,

    /// What is logged: error, warn, info, debug or trace [default: info]
    #[arg(short = 'l', long, value_name = "LEVEL")]
    log_level: Option<String>,

    /// How it is logged: text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,

    /// The program that keeps one container [default: brig-shim beside brigd]
    #[arg(long, value_name = "FILE")]
    shim: Option<PathBuf>,

    /// The process 1 of --init [default: brig-init beside brigd]
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,

    /// Another OCI runtime, driven by its command line [default: our own, inside the shim]
    #[arg(long, value_name = "FILE")]
    runtime: Option<PathBuf>,

    /// One more, which containers may ask for: NAME=PATH; may be repeated
    #[arg(long, value_name = "NAME=PATH")]
    add_runtime: Vec<String>,

    /// Where devices are described; may be repeated [default: /etc/cdi, /var/run/cdi]
    #[arg(long, value_name = "DIR")]
    cdi_spec_dir: Vec<String>,

    /// Whose subordinate ids all containers have instead of the machine's own: default, USER,
    /// USER:GROUP or their numbers [default: nobody's]
    #[arg(long, value_name = "USER[:GROUP]")]
    userns_remap: Option<String>,

    /// From which ids containers with --userns auto take their own
    /// [default: those subordinate to brig or containers, or 2147483648:2147418112]
    #[arg(long, value_name = "FIRST:COUNT")]
    userns_pool: Option<String>,

    /// What images have to be signed by, as containers-policy.json(5) has it [default: nothing]
    #[arg(long, value_name = "FILE")]
    signature_policy: Option<PathBuf>,

    /// Where to write the daemon's pid
    #[arg(short = 'p', long, visible_alias = "pidfile", value_name = "FILE")]
    pid_file: Option<PathBuf>,

    /// What becomes of a layer's compressed form once it is unpacked: keep, or drop where the same
    /// bytes can be made again [default: keep]
    #[arg(long, value_name = "WHAT")]
    blobs: Option<String>,

    /// Above how much of the disk in use images that no container needs go, in per cent
    /// [default: never]
    #[arg(long, value_name = "PERCENT")]
    disk_high: Option<String>,

    /// Until how much of it is in use [default: 10 below --disk-high]
    #[arg(long, value_name = "PERCENT")]
    disk_low: Option<String>,

    /// Check the configuration, say so, and end
    #[arg(long)]
    pub(crate) validate: bool,

    /// For tests: the step of create or start that fails; `list` prints them all
    #[arg(long, value_name = "STEP", hide = true)]
    pub(crate) fail_at: Option<String>,
}

impl Flags {
    /// What was said.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            data_root: self.data_root.clone(),
            run_root: self.run_root.clone(),
            host: (!self.host.is_empty()).then(|| self.host.clone()),
            socket_group: self.socket_group.clone(),
            cgroup_parent: self.cgroup_parent.clone(),
            log_level: self.log_level.clone(),
            log_format: self.log_format.clone(),
            shim: self.shim.clone(),
            init: self.init.clone(),
            runtime: self.runtime.clone(),
            add_runtime: (!self.add_runtime.is_empty()).then(|| self.add_runtime.clone()),
            cdi_spec_dir: (!self.cdi_spec_dir.is_empty()).then(|| self.cdi_spec_dir.clone()),
            signature_policy: self.signature_policy.clone(),
            pid_file: self.pid_file.clone(),
            blobs: self.blobs.clone(),
            disk_high: self.disk_high.clone(),
            disk_low: self.disk_low.clone(),
            tls: self.tls.then(|| "true".to_owned()),
            tlsverify: self.tlsverify.then(|| "true".to_owned()),
            tlscacert: self.tlscacert.clone(),
            tlscert: self.tlscert.clone(),
            tlskey: self.tlskey.clone(),
            audit_log: self.audit_log.clone(),
            metrics_addr: self.metrics_addr.clone(),
            secret_key: self.secret_key.clone(),
            userns_remap: self.userns_remap.clone(),
            userns_pool: self.userns_pool.clone(),
            fail_at: self.fail_at.clone(),
            registries: None,
            network: None,
            runtimes: None,
            sockets: None,
            telemetry: None,
        }
    }
}
