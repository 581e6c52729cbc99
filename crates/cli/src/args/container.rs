//! The flags of `run` and `create`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clap::{ArgAction, Args};
use types::{BlockRate, CdiRequest, DeviceRule, MacAddress, PortRequest, Rate, Ulimit};

use super::devices::{bps_device, device_rule, gpus, iops_device, weight_device};
use super::networks::{
    NetworkFlag, add_host, address, ipv4, ipv6, link, mac, network, search_domain,
};
use super::publish::publish;
use super::secrets::{SecretFlag, secret};
use super::values::{
    EnvFlag, KeyValue, Stream, TypedMount, bytes, cpus, duration, env, expose, go_int, key_value,
    label, memory_swap, mount, rate, storage_opt, stream, ulimit,
};

/// What a container is to be, as it was typed.
#[derive(Debug, Clone, Default, Args)]
pub struct ContainerFlags {
    /// Line for /etc/hosts, HOST:address; the address may be host-gateway
    #[arg(long, value_name = "list", value_parser = add_host)]
    pub add_host: Vec<String>,
    /// Annotation handed to the OCI runtime
    #[arg(long, value_name = "map", value_parser = key_value)]
    pub annotation: Vec<KeyValue>,
    /// Which of STDIN, STDOUT and STDERR to attach
    #[arg(short, long, value_name = "list", value_parser = stream)]
    pub attach: Vec<Stream>,
    /// Weight of its share of block I/O, 10 to 1000; 0 is not said
    #[arg(long, value_name = "uint16")]
    pub blkio_weight: Option<u16>,
    /// The same for one device, PATH:WEIGHT
    #[arg(long, value_name = "list", value_parser = weight_device)]
    pub blkio_weight_device: Vec<BlockRate>,
    /// Linux capability to add
    #[arg(long, value_name = "list")]
    pub cap_add: Vec<String>,
    /// Linux capability to take away
    #[arg(long, value_name = "list")]
    pub cap_drop: Vec<String>,
    /// Cgroup under which the container's own is made
    #[arg(long, value_name = "string")]
    pub cgroup_parent: Option<String>,
    /// Cgroup namespace: host or private
    #[arg(long, value_name = "string")]
    pub cgroupns: Option<String>,
    /// File that receives the container's id; it must not exist
    #[arg(long, value_name = "string")]
    pub cidfile: Option<String>,
    /// Period of the scheduler's bandwidth limit, in microseconds
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub cpu_period: Option<i64>,
    /// Processor time allowed in each period, in microseconds
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub cpu_quota: Option<i64>,
    /// Period of the limit of real-time scheduling, in microseconds (cgroup v1 only)
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub cpu_rt_period: Option<i64>,
    /// Real-time scheduling allowed in each period, in microseconds (cgroup v1 only)
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub cpu_rt_runtime: Option<i64>,
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
    /// Device of the host to give to the container, or one that is described: vendor.com/class=name
    #[arg(long, value_name = "list")]
    pub device: Vec<String>,
    /// Rule for devices as in cgroup v1's devices.allow, as in 'c 42:* rmw'
    #[arg(long, value_name = "list", value_parser = device_rule)]
    pub device_cgroup_rule: Vec<DeviceRule>,
    /// Most that it may read from a device in a second, PATH:BYTES
    #[arg(long, value_name = "list", value_parser = bps_device)]
    pub device_read_bps: Vec<BlockRate>,
    /// Most reads from a device in a second, PATH:NUMBER
    #[arg(long, value_name = "list", value_parser = iops_device)]
    pub device_read_iops: Vec<BlockRate>,
    /// Most that it may write to a device in a second, PATH:BYTES
    #[arg(long, value_name = "list", value_parser = bps_device)]
    pub device_write_bps: Vec<BlockRate>,
    /// Most writes to a device in a second, PATH:NUMBER
    #[arg(long, value_name = "list", value_parser = iops_device)]
    pub device_write_iops: Vec<BlockRate>,
    /// Server that names are asked of
    #[arg(long, value_name = "list", value_parser = address)]
    pub dns: Vec<IpAddr>,
    /// Option of resolv.conf(5)
    #[arg(long, alias = "dns-opt", value_name = "list")]
    pub dns_option: Vec<String>,
    /// Domain that names are searched in
    #[arg(long, value_name = "list", value_parser = search_domain)]
    pub dns_search: Vec<String>,
    /// NIS domain name inside
    #[arg(long, value_name = "string")]
    pub domainname: Option<String>,
    /// Replaces the image's entry point; empty removes it
    #[arg(long, value_name = "string")]
    pub entrypoint: Option<String>,
    /// Environment variable, NAME=value, or NAME to pass yours on
    #[arg(short, long, value_name = "list", value_parser = env)]
    pub env: Vec<EnvFlag>,
    /// File of environment variables
    #[arg(long, value_name = "list")]
    pub env_file: Vec<String>,
    /// Port the container listens on, as PORT or FIRST-LAST, perhaps with /tcp or /udp
    #[arg(long, value_name = "list", value_parser = expose)]
    pub expose: Vec<Vec<String>>,
    /// GPUs to give to it: all, a number, or driver=,count=,device=,capabilities=,options=
    #[arg(long, value_name = "gpu-request", value_parser = gpus)]
    pub gpus: Vec<CdiRequest>,
    /// Supplementary group of the command
    #[arg(long, value_name = "list")]
    pub group_add: Vec<String>,
    /// What is done when it is unhealthy: none, restart[:N], stop, kill (default "none")
    #[arg(long, value_name = "string")]
    pub health_action: Option<String>,
    /// Command in it that ends with 0 if it works
    #[arg(long, value_name = "string")]
    pub health_cmd: Option<String>,
    /// gRPC server in it that says it serves, [ADDRESS:]PORT[/SERVICE]
    #[arg(long, value_name = "string")]
    pub health_grpc: Option<String>,
    /// Page of it that is there if it works, as http://localhost:8080/health or :8080/health
    #[arg(long, value_name = "string")]
    pub health_http: Option<String>,
    /// From one look to the next (default 30s)
    #[arg(long, value_name = "duration", value_parser = duration)]
    pub health_interval: Option<i64>,
    /// Failures in a row that make it unhealthy (default 3)
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub health_retries: Option<i64>,
    /// From one look to the next within the start period (default 5s)
    #[arg(long, value_name = "duration", value_parser = duration)]
    pub health_start_interval: Option<i64>,
    /// How long after the start failures do not count (default 0s)
    #[arg(long, value_name = "duration", value_parser = duration)]
    pub health_start_period: Option<i64>,
    /// Port of it that takes connections if it works, [ADDRESS:]PORT
    #[arg(long, value_name = "string")]
    pub health_tcp: Option<String>,
    /// The most that one look may take (default 30s)
    #[arg(long, value_name = "duration", value_parser = duration)]
    pub health_timeout: Option<i64>,
    /// Host name inside
    #[arg(short = 'h', long, value_name = "string")]
    pub hostname: Option<String>,
    /// Run a small init as process 1 that forwards signals and reaps processes
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "bool", value_parser = super::values::go_bool)]
    pub init: Option<bool>,
    /// Keep standard input open even if nobody is attached
    #[arg(short, long)]
    pub interactive: bool,
    /// IPv4 address
    #[arg(long, value_name = "string", value_parser = ipv4)]
    pub ip: Option<Ipv4Addr>,
    /// IPv6 address
    #[arg(long, value_name = "string", value_parser = ipv6)]
    pub ip6: Option<Ipv6Addr>,
    /// IPC namespace: none, private, shareable, host or container:NAME
    #[arg(long, value_name = "string")]
    pub ipc: Option<String>,
    /// Label, KEY=value
    #[arg(short, long, value_name = "list", value_parser = label)]
    pub label: Vec<String>,
    /// File of labels, one a line
    #[arg(long, value_name = "list")]
    pub label_file: Vec<String>,
    /// Container known by another name, CONTAINER[:ALIAS]
    #[arg(long, value_name = "list", value_parser = link)]
    pub link: Vec<String>,
    /// Further address of the link
    #[arg(long, value_name = "list", value_parser = address)]
    pub link_local_ip: Vec<IpAddr>,
    /// Log driver: json-file, local, journald, syslog, gelf, fluentd or none
    #[arg(long, value_name = "string")]
    pub log_driver: Option<String>,
    /// Option of the log driver, NAME=value
    #[arg(long, value_name = "list")]
    pub log_opt: Vec<String>,
    /// Hardware address
    #[arg(long, value_name = "string", value_parser = mac)]
    pub mac_address: Option<MacAddress>,
    /// Most memory it may use
    #[arg(short, long, value_name = "bytes", value_parser = bytes)]
    pub memory: Option<i64>,
    /// Memory under which reclaim spares it
    #[arg(long, value_name = "bytes", value_parser = bytes)]
    pub memory_reservation: Option<i64>,
    /// Most memory and swap together: '-1' lifts the limit on swap
    #[arg(long, value_name = "bytes", value_parser = memory_swap)]
    pub memory_swap: Option<i64>,
    /// Willingness to swap, 0 to 100 (cgroup v1 only) (default -1)
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub memory_swappiness: Option<i64>,
    /// Mount a directory of the host, a volume, an image or a tmpfs, as type=...,source=...,target=...
    #[arg(long, value_name = "mount", value_parser = mount)]
    pub mount: Vec<TypedMount>,
    /// Name of the container
    #[arg(long, value_name = "string")]
    pub name: Option<String>,
    /// Most that it may send on each network, RATE[:BURST] as in 8mbit
    #[arg(long, value_name = "rate", value_parser = rate)]
    pub net_egress: Option<Rate>,
    /// Most that it may receive on each network, RATE[:BURST] as in 8mbit
    #[arg(long, value_name = "rate", value_parser = rate)]
    pub net_ingress: Option<Rate>,
    /// Network to connect to: a name, bridge, none, host or container:NAME
    #[arg(long, visible_alias = "net", value_name = "network", value_parser = network)]
    pub network: Vec<NetworkFlag>,
    /// Further name it is found by in its network
    #[arg(long, alias = "net-alias", value_name = "list")]
    pub network_alias: Vec<String>,
    /// Do not look at its health, whatever its image says
    #[arg(long)]
    pub no_healthcheck: bool,
    /// Turn the out-of-memory killer off (cgroup v1 only)
    #[arg(long)]
    pub oom_kill_disable: bool,
    /// How eagerly the out-of-memory killer picks it (-1000 to 1000)
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub oom_score_adj: Option<i64>,
    /// PID namespace: host or container:NAME
    #[arg(long, value_name = "string")]
    pub pid: Option<String>,
    /// Most processes it may have (-1 for no limit)
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub pids_limit: Option<i64>,
    /// Platform of the image, as os/arch or os/arch/variant
    #[arg(long, value_name = "string")]
    pub platform: Option<String>,
    /// Give it every privilege
    #[arg(long)]
    pub privileged: bool,
    /// Port to be reached on the host, [ADDRESS:][PORT]:PORT[/PROTOCOL][,allow=PREFIX]
    #[arg(short, long, value_name = "list", value_parser = publish)]
    pub publish: Vec<Vec<PortRequest>>,
    /// Publish every exposed port on a free port of the host
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// When to pull the image ("always", "missing", "never") (default "missing")
    #[arg(long, value_name = "string")]
    pub pull: Option<String>,
    /// Say nothing about pulling
    #[arg(short, long)]
    pub quiet: bool,
    /// Make its root read-only
    #[arg(long)]
    pub read_only: bool,
    /// When to start it again after it has ended: no, always, unless-stopped, on-failure[:N] (default "no")
    #[arg(long, value_name = "string")]
    pub restart: Option<String>,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// Runtime that runs it, by its name in the daemon's configuration
    #[arg(long, value_name = "string")]
    pub runtime: Option<String>,
    /// Give it a secret, as NAME[,type=mount|env][,target=...][,uid=...][,gid=...][,mode=...]
    #[arg(long, value_name = "secret", value_parser = secret)]
    pub secret: Vec<SecretFlag>,
    /// Security option: no-new-privileges, seccomp=FILE|unconfined, apparmor=PROFILE,
    /// systempaths=unconfined, writable-cgroups
    #[arg(long, value_name = "list")]
    pub security_opt: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "bytes", value_parser = bytes)]
    pub shm_size: Option<i64>,
    /// Option of what keeps its root: size=BYTES is the most it may take on disk
    #[arg(long, value_name = "list", value_parser = storage_opt)]
    pub storage_opt: Vec<i64>,
    /// Signal that asks it to stop
    #[arg(long, value_name = "string")]
    pub stop_signal: Option<String>,
    /// Seconds between that signal and SIGKILL
    #[arg(long, value_name = "int", value_parser = go_int)]
    pub stop_timeout: Option<i64>,
    /// Kernel parameter of its namespaces, NAME=value
    #[arg(long, value_name = "map", value_parser = super::values::sysctl)]
    pub sysctl: Vec<KeyValue>,
    /// Mount a tmpfs, as PATH or PATH:OPTIONS
    #[arg(long, value_name = "list")]
    pub tmpfs: Vec<String>,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Resource limit, NAME=soft[:hard]
    #[arg(long, value_name = "ulimit", value_parser = ulimit)]
    pub ulimit: Vec<Ulimit>,
    /// User the command runs as (format: <name|uid>[:<group|gid>])
    #[arg(short, long, value_name = "string")]
    pub user: Option<String>,
    /// User namespace: host
    #[arg(long, value_name = "string")]
    pub userns: Option<String>,
    /// UTS namespace: host
    #[arg(long, value_name = "string")]
    pub uts: Option<String>,
    /// Mount a volume or a directory of the host, as [SOURCE:]TARGET[:OPTIONS]
    #[arg(short, long, value_name = "list")]
    pub volume: Vec<String>,
    /// Driver of volumes that have to be made (local)
    #[arg(long, value_name = "string")]
    pub volume_driver: Option<String>,
    /// Mount what another container has mounted, as CONTAINER[:ro]
    #[arg(long, value_name = "list")]
    pub volumes_from: Vec<String>,
    /// Working directory inside
    #[arg(short, long, value_name = "string")]
    pub workdir: Option<String>,
    /// The image, then the command and its arguments
    #[arg(hide = true, trailing_var_arg = true, action = ArgAction::Append)]
    pub words: Vec<String>,
}

/// `create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// The container.
    #[command(flatten)]
    pub container: ContainerFlags,
}

/// `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The container.
    #[command(flatten)]
    pub container: ContainerFlags,
    /// Leave it in the background and print its id
    #[arg(short, long)]
    pub detach: bool,
    /// Keys that detach from the container
    #[arg(long, value_name = "string")]
    pub detach_keys: Option<String>,
    /// Pass signals on to the command (default true)
    #[arg(long, default_value = "true")]
    pub sig_proxy: bool,
}
