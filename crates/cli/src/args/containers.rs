//! The flags of the verbs about containers that exist.

use clap::{ArgAction, Args};

use types::{PortRequest, Rate};

use super::publish::publish;
use super::values::{
    EnvFlag, KeyValue, TypedMount, bytes, cpus, env, filter, go_int, label, memory_swap, mount,
    name, rate,
};

/// How `--format` is explained wherever it may print a table.
pub const FORMAT_LIST: &str = "How to print:\n'table':            columns with headings (default)\n\
     'table TEMPLATE':   columns made by a Go template\n'json':             one JSON object a line\n\
     'TEMPLATE':         a Go template";
/// The same where there is no table.
pub const FORMAT_ONE: &str =
    "How to print:\n'json':             JSON\n'TEMPLATE':         a Go template";

/// Verbs that take only names.
#[derive(Debug, Clone, Args)]
pub struct NamesArgs {
    /// The objects.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `start`.
#[derive(Debug, Clone, Args)]
pub struct StartArgs {
    /// Attach to its output and pass signals on
    #[arg(short, long)]
    pub attach: bool,
    /// Keys that detach from the container
    #[arg(long, value_name = "string")]
    pub detach_keys: Option<String>,
    /// Attach to its standard input too
    #[arg(short, long)]
    pub interactive: bool,
    /// The containers.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `stop` and `restart`.
#[derive(Debug, Clone, Args)]
pub struct StopArgs {
    /// Signal that asks it to stop
    #[arg(short, long, value_name = "string")]
    pub signal: Option<String>,
    /// Seconds to wait before SIGKILL (-1 for ever)
    #[arg(short, long, visible_alias = "time", value_name = "int", value_parser = go_int)]
    pub timeout: Option<i64>,
    /// The containers.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `commit`.
#[derive(Debug, Clone, Args)]
pub struct CommitArgs {
    /// Author (such as "Ann <ann@example.com>")
    #[arg(short, long, value_name = "string")]
    pub author: Option<String>,
    /// Dockerfile instruction to apply to the image; may be repeated
    #[arg(short, long, value_name = "list")]
    pub change: Vec<String>,
    /// Comment kept in the image's history
    #[arg(short, long, value_name = "string")]
    pub message: Option<String>,
    /// Leave the container running meanwhile
    #[arg(long)]
    pub no_pause: bool,
    /// Have the container stand still meanwhile (default true)
    #[arg(short, long, default_value = "true")]
    pub pause: bool,
    /// The container and the name.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `kill`.
#[derive(Debug, Clone, Args)]
pub struct KillArgs {
    /// Signal to send (SIGKILL if none is named)
    #[arg(short, long, value_name = "string")]
    pub signal: Option<String>,
    /// The containers.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `rm`.
#[derive(Debug, Clone, Args)]
pub struct RmArgs {
    /// Remove it even if it runs (SIGKILL)
    #[arg(short, long)]
    pub force: bool,
    /// Remove a link, CONTAINER/ALIAS, and no container
    #[arg(short, long)]
    pub link: bool,
    /// Remove its anonymous volumes too
    #[arg(short, long)]
    pub volumes: bool,
    /// The containers.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// File to write to, instead of standard output
    #[arg(short, long, value_name = "string")]
    pub output: Option<String>,
    /// The container.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `cp`.
#[derive(Debug, Clone, Args)]
pub struct CpArgs {
    /// Give what is copied to the container's user
    #[arg(short, long)]
    pub archive: bool,
    /// Copy what a link in the source leads to
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Say nothing when it is done
    #[arg(short, long)]
    pub quiet: bool,
    /// Source and destination.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `container prune`.
#[derive(Debug, Clone, Args)]
pub struct ContainerPruneArgs {
    /// Only containers of which this holds, NAME=value: until, label, label!
    #[arg(long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// Do not ask first
    #[arg(short, long)]
    pub force: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `system prune`.
#[derive(Debug, Clone, Args)]
pub struct SystemPruneArgs {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Only what this holds of, NAME=value: until, label, label!
    #[arg(long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// Do not ask first
    #[arg(short, long)]
    pub force: bool,
    /// Anonymous volumes too
    #[arg(long)]
    pub volumes: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `ps`.
#[derive(Debug, Clone, Default, Args)]
pub struct PsArgs {
    /// List all containers, not only those that run
    #[arg(short, long)]
    pub all: bool,
    /// Only containers of which this holds, NAME=value
    #[arg(short, long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_LIST)]
    pub format: Option<String>,
    /// The n newest containers, whatever their state (default -1)
    #[arg(short = 'n', long, value_name = "int", value_parser = go_int)]
    pub last: Option<i64>,
    /// The newest container, whatever its state
    #[arg(short, long)]
    pub latest: bool,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
    /// Only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Show sizes
    #[arg(short, long)]
    pub size: bool,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `logs`.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// Show the attributes that the log driver was told to keep
    #[arg(long)]
    pub details: bool,
    /// Go on as the container writes
    #[arg(short, long)]
    pub follow: bool,
    /// Only lines in which this pattern is found, of those that are shown otherwise
    #[arg(long, value_name = "pattern")]
    pub grep: Option<String>,
    /// From this time on ("2013-01-02T13:23:37Z", or "42m" for 42 minutes ago)
    #[arg(long, value_name = "string")]
    pub since: Option<String>,
    /// So many lines from the end (default "all")
    #[arg(short = 'n', long, value_name = "string")]
    pub tail: Option<String>,
    /// Show when each line was written
    #[arg(short, long)]
    pub timestamps: bool,
    /// Up to this time ("2013-01-02T13:23:37Z", or "42m" for 42 minutes ago)
    #[arg(long, value_name = "string")]
    pub until: Option<String>,
    /// The containers.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `events`.
#[derive(Debug, Clone, Args)]
pub struct EventsArgs {
    /// Only events of which this holds, NAME=value
    #[arg(short, long, value_name = "filter", value_parser = filter)]
    pub filter: Vec<KeyValue>,
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_ONE)]
    pub format: Option<String>,
    /// From this time on ("2013-01-02T13:23:37Z", or "42m" for 42 minutes ago)
    #[arg(long, value_name = "string")]
    pub since: Option<String>,
    /// Up to this time, then end
    #[arg(long, value_name = "string")]
    pub until: Option<String>,
    /// Nothing may stand here.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `exec`.
#[derive(Debug, Clone, Args)]
pub struct ExecArgs {
    /// Leave it in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Keys that detach from the command
    #[arg(long, value_name = "string")]
    pub detach_keys: Option<String>,
    /// Environment variable, NAME=value, or NAME to pass yours on
    #[arg(short, long, value_name = "list", value_parser = env)]
    pub env: Vec<EnvFlag>,
    /// File of environment variables
    #[arg(long, value_name = "list")]
    pub env_file: Vec<String>,
    /// Keep standard input open even if nobody is attached
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command every privilege
    #[arg(long)]
    pub privileged: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// User it runs as (format: <name|uid>[:<group|gid>])
    #[arg(short, long, value_name = "string")]
    pub user: Option<String>,
    /// Working directory inside
    #[arg(short, long, value_name = "string")]
    pub workdir: Option<String>,
    /// The container, then the command and its arguments.
    #[arg(hide = true, trailing_var_arg = true, action = ArgAction::Append)]
    pub words: Vec<String>,
}

/// `attach`.
#[derive(Debug, Clone, Args)]
pub struct AttachArgs {
    /// Keys that detach from the container
    #[arg(long, value_name = "string")]
    pub detach_keys: Option<String>,
    /// Leave standard input alone
    #[arg(long)]
    pub no_stdin: bool,
    /// Pass signals on to the command (default true)
    #[arg(long, default_value = "true")]
    pub sig_proxy: bool,
    /// The container.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `update`.
#[derive(Debug, Clone, Default, Args)]
pub struct UpdateArgs {
    /// Weight of its share of block I/O, 10 to 1000
    #[arg(long, value_name = "uint16")]
    pub blkio_weight: Option<u16>,
    /// Period of the limit of real-time scheduling, in microseconds (cgroup v1 only)
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub cpu_rt_period: Option<i64>,
    /// Real-time scheduling allowed in each period, in microseconds (cgroup v1 only)
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub cpu_rt_runtime: Option<i64>,
    /// Period of the scheduler's bandwidth limit, in microseconds
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub cpu_period: Option<i64>,
    /// Processor time allowed in each period, in microseconds
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub cpu_quota: Option<i64>,
    /// Weight of its share of the processors, 1024 being usual
    #[arg(short = 'c', long, value_name = "int", value_parser = go_int)]
    pub cpu_shares: Option<i64>,
    /// Processors' worth of time it may use
    #[arg(long, value_name = "decimal", value_parser = cpus)]
    pub cpus: Option<i64>,
    /// Processors it may run on (0-3, 0,1)
    #[arg(long, value_name = "string")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes it may use (0-3, 0,1)
    #[arg(long, value_name = "string")]
    pub cpuset_mems: Option<String>,
    /// Set a variable, for what is executed in it from now on and for its next start
    #[arg(long, value_name = "list", value_parser = env)]
    pub env_add: Vec<EnvFlag>,
    /// Take a variable away, for what is executed in it from now on and for its next start
    #[arg(long, value_name = "list", value_parser = name)]
    pub env_rm: Vec<String>,
    /// Set a label
    #[arg(long, value_name = "list", value_parser = label)]
    pub label_add: Vec<String>,
    /// Take a label away
    #[arg(long, value_name = "list", value_parser = name)]
    pub label_rm: Vec<String>,
    /// Most memory it may use
    #[arg(short, long, value_name = "bytes", value_parser = bytes)]
    pub memory: Option<i64>,
    /// Memory under which reclaim spares it
    #[arg(long, value_name = "bytes", value_parser = bytes)]
    pub memory_reservation: Option<i64>,
    /// Most memory and swap together: '-1' lifts the limit on swap
    #[arg(long, value_name = "bytes", value_parser = memory_swap)]
    pub memory_swap: Option<i64>,
    /// Mount a directory, a volume or a file system in memory, also in a container that runs
    #[arg(long, value_name = "mount", value_parser = mount)]
    pub mount_add: Vec<TypedMount>,
    /// Path inside at which nothing is to be mounted any more
    #[arg(long, value_name = "path")]
    pub mount_rm: Vec<String>,
    /// Most that it may send on each network, RATE[:BURST] as in 8mbit; 0 lifts the limit
    #[arg(long, value_name = "rate", value_parser = rate)]
    pub net_egress: Option<Rate>,
    /// Most that it may receive on each network, RATE[:BURST] as in 8mbit; 0 lifts the limit
    #[arg(long, value_name = "rate", value_parser = rate)]
    pub net_ingress: Option<Rate>,
    /// Most processes it may have (-1 for no limit)
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub pids_limit: Option<i64>,
    /// Publish a port, also of a container that runs
    #[arg(long, value_name = "list", value_parser = publish)]
    pub publish_add: Vec<Vec<PortRequest>>,
    /// Publish a port no longer, as in 8080:80/tcp or 80
    #[arg(long, value_name = "list", value_parser = publish)]
    pub publish_rm: Vec<Vec<PortRequest>>,
    /// When it is started again by itself (no, on-failure[:max-retries], always, unless-stopped)
    #[arg(long, value_name = "string")]
    pub restart: Option<String>,
    /// The containers.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `stats`.
#[derive(Debug, Clone, Default, Args)]
pub struct StatsArgs {
    /// Show all containers, not only those that run
    #[arg(short, long)]
    pub all: bool,
    /// How to print
    #[arg(long, value_name = "string", help = FORMAT_LIST)]
    pub format: Option<String>,
    /// Show one look and end
    #[arg(long)]
    pub no_stream: bool,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
    /// The containers; none is those that run.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `top`.
#[derive(Debug, Clone, Args)]
pub struct TopArgs {
    /// The container, then options of ps(1).
    #[arg(hide = true, trailing_var_arg = true, action = ArgAction::Append)]
    pub words: Vec<String>,
}

/// `inspect` and `container inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// How to print
    #[arg(short, long, value_name = "string", help = FORMAT_ONE)]
    pub format: Option<String>,
    /// Show sizes, if it is a container
    #[arg(short, long)]
    pub size: bool,
    /// Only objects of this type: container, image, network or volume
    #[arg(long = "type", value_name = "string")]
    pub kind: Option<String>,
    /// The objects.
    #[arg(hide = true)]
    pub names: Vec<String>,
}

/// `container inspect`.
#[derive(Debug, Clone, Args)]
pub struct ContainerInspectArgs {
    /// How to print
    #[arg(short, long, value_name = "string", help = FORMAT_ONE)]
    pub format: Option<String>,
    /// Show sizes
    #[arg(short, long)]
    pub size: bool,
    /// The containers.
    #[arg(hide = true)]
    pub names: Vec<String>,
}
