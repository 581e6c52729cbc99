//! `run` and `create`: flags to a specification.

use types::{
    Bandwidth, BlockIo, CdiRequest, ContainerName, ContainerSpec, ImageRef, LogConfig, Platform,
    Resources, RestartPolicy, Security, Signal,
};

use super::{Surroundings, env, health, keys, mounts, namespaces, network, secrets, security};
use crate::args::container::{ContainerFlags, RunArgs};
use crate::args::values::Stream;
use crate::error::CliError;

/// Everything `run` is about to do.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// The container.
    pub spec: ContainerSpec,
    /// Its name; none lets the daemon choose.
    pub name: Option<String>,
    /// Whether it stays in the background.
    pub detach: bool,
    /// Which streams the client takes part in.
    pub attach: Attach,
    /// The keys that detach.
    pub detach_keys: Vec<u8>,
    /// Whether signals are passed on.
    pub sig_proxy: bool,
    /// Where its id is written.
    pub cidfile: Option<String>,
    /// When its image is pulled.
    pub pull: Pull,
    /// Whether nothing is said about pulling.
    pub quiet: bool,
}

/// Which standard streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attach {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

impl Attach {
    /// Whether any of them.
    pub fn any(self) -> bool {
        self.stdin || self.stdout || self.stderr
    }
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pull {
    /// Always.
    Always,
    /// When it is missing.
    #[default]
    Missing,
    /// Never.
    Never,
}

/// The plan of `run`.
pub fn run(args: &RunArgs, around: &Surroundings<'_>) -> Result<RunPlan, CliError> {
    let mut plan = create(&args.container, around)?;
    plan.detach = args.detach;
    plan.detach_keys = keys::detach_keys(args.detach_keys.as_deref())?;
    plan.sig_proxy = args.sig_proxy;
    if args.detach {
        if !args.container.attach.is_empty() {
            return Err(CliError::Invalid(
                "conflicting options: cannot specify both --attach and --detach".to_owned(),
            ));
        }
        plan.attach = Attach::default();
        plan.spec.attach = [false; 3];
        plan.spec.stdin_once = false;
    }
    Ok(plan)
}

/// The plan of `create`: the same, with nothing attached yet.
pub fn create(flags: &ContainerFlags, around: &Surroundings<'_>) -> Result<RunPlan, CliError> {
    let pull = pull(flags.pull.as_deref())?;
    if let Some(name) = &flags.name {
        name.parse::<ContainerName>().map_err(invalid)?;
    }
    let attach = attach(flags);
    Ok(RunPlan {
        spec: spec(flags, attach, around)?,
        name: flags.name.clone(),
        detach: false,
        attach,
        detach_keys: keys::DEFAULT.to_vec(),
        sig_proxy: true,
        cidfile: flags.cidfile.clone(),
        pull,
        quiet: flags.quiet,
    })
}

fn invalid(error: impl std::error::Error) -> CliError {
    CliError::Invalid(error.to_string())
}

fn pull(text: Option<&str>) -> Result<Pull, CliError> {
    match text.unwrap_or_default() {
        "always" => Ok(Pull::Always),
        "missing" | "" => Ok(Pull::Missing),
        "never" => Ok(Pull::Never),
        other => Err(CliError::Invalid(format!(
            "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
        ))),
    }
}

/// `-a` names streams; without it output is attached, and input with `-i`.
fn attach(flags: &ContainerFlags) -> Attach {
    let named = |stream| flags.attach.contains(&stream);
    let all = flags.attach.is_empty();
    Attach {
        stdin: flags.interactive || named(Stream::Stdin),
        stdout: all || named(Stream::Stdout),
        stderr: all || named(Stream::Stderr),
    }
}

fn spec(
    flags: &ContainerFlags,
    attach: Attach,
    around: &Surroundings<'_>,
) -> Result<ContainerSpec, CliError> {
    let (image, command) = flags
        .words
        .split_first()
        .ok_or_else(|| CliError::Invalid("an image is required".to_owned()))?;
    if !is_id(image) {
        image.parse::<ImageRef>().map_err(invalid)?;
    }
    let mounts = mounts::mounts(flags, &around.cwd)?;
    let (network, networking) = network::networking(flags)?;
    Ok(ContainerSpec {
        image: image.clone(),
        platform: platform(flags.platform.as_deref())?,
        command: (!command.is_empty()).then(|| command.to_vec()),
        // An empty one takes the image's away, and its command with it.
        entrypoint: flags.entrypoint.clone().map(|text| vec![text]),
        env: env::environment(&flags.env_file, &flags.env, around)?,
        working_dir: flags.workdir.clone(),
        user: flags.user.clone().filter(|user| !user.is_empty()),
        groups: flags.group_add.clone(),
        hostname: flags.hostname.clone(),
        domainname: flags.domainname.clone(),
        labels: env::labels(&flags.label_file, &flags.label, around)?,
        annotations: flags.annotation.iter().cloned().collect(),
        tty: flags.tty,
        open_stdin: flags.interactive,
        stdin_once: flags.interactive && attach.stdin,
        exposed_ports: network::exposed(flags),
        attach: [attach.stdin, attach.stdout, attach.stderr],
        console_size: match around.window {
            Some((rows, columns)) if flags.tty => [rows, columns],
            _ => [0, 0],
        },
        stop_signal: stop_signal(flags.stop_signal.as_deref())?,
        stop_timeout: flags.stop_timeout,
        mounts: mounts.mounts,
        volumes: mounts.volumes,
        volumes_from: flags.volumes_from.clone(),
        volume_driver: flags.volume_driver.clone().filter(|name| !name.is_empty()),
        read_only: flags.read_only,
        shm_size: flags.shm_size.filter(|size| *size != 0),
        root_size: flags.storage_opt.last().copied().filter(|size| *size != 0),
        network,
        networking,
        namespaces: namespaces::namespaces(flags)?,
        init: flags.init,
        runtime: flags.runtime.clone().filter(|name| !name.is_empty()),
        auto_remove: flags.rm,
        restart: restart(flags)?,
        sysctls: flags.sysctl.iter().cloned().collect(),
        resources: resources(flags)?,
        security: privileges(flags, around)?,
        secrets: secrets::requests(&flags.secret),
        log: log(flags)?,
        health: health::check(flags)?,
    })
}

/// A whole id, which is no reference; the beginning of one reads as a name.
fn is_id(image: &str) -> bool {
    let digits = image.strip_prefix("sha256:").unwrap_or(image);
    digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

fn platform(text: Option<&str>) -> Result<Option<Platform>, CliError> {
    text.filter(|text| !text.is_empty())
        .map(|text| {
            text.parse().map_err(|error| {
                CliError::Invalid(format!("error parsing specified platform: {error}"))
            })
        })
        .transpose()
}

/// As it was written, once it is known to be one.
fn stop_signal(text: Option<&str>) -> Result<Option<String>, CliError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let _: Signal = text.parse().map_err(invalid)?;
    Ok(Some(text.to_owned()))
}

fn resources(flags: &ContainerFlags) -> Result<Resources, CliError> {
    let (described, paths): (Vec<_>, Vec<_>) = flags
        .device
        .iter()
        .partition(|text| mounts::is_described(text));
    let devices = paths.into_iter().map(|text| mounts::device(text));
    let devices = devices.collect::<Result<_, _>>()?;
    let mut cdi = flags.gpus.clone();
    if !described.is_empty() {
        cdi.push(CdiRequest {
            driver: "cdi".to_owned(),
            ids: described.into_iter().cloned().collect(),
            ..CdiRequest::default()
        });
    }
    let unsigned = |name: &str, value: Option<i64>| match value {
        None | Some(0) => Ok(None),
        Some(value) => u64::try_from(value)
            .map(Some)
            .map_err(|_| CliError::Invalid(format!("--{name} cannot be negative: {value}"))),
    };
    let swappiness = match flags.memory_swappiness {
        None | Some(-1) => None,
        Some(value @ 0..=100) => u8::try_from(value).ok(),
        Some(value) => {
            return Err(CliError::Invalid(format!(
                "invalid value: {value}. Valid memory swappiness range is 0-100"
            )));
        }
    };
    let score = match flags.oom_score_adj {
        None => None,
        Some(value @ -1000..=1000) => i32::try_from(value).ok(),
        Some(value) => {
            return Err(CliError::Invalid(format!(
                "Invalid value {value}, range for oom score adj is [-1000, 1000]"
            )));
        }
    };
    let said = |value: Option<i64>| value.filter(|value| *value != 0);
    Ok(Resources {
        memory: said(flags.memory),
        memory_swap: said(flags.memory_swap),
        memory_reservation: said(flags.memory_reservation),
        memory_swappiness: swappiness,
        oom_kill_disable: flags.oom_kill_disable,
        nano_cpus: said(flags.cpus),
        cpu_shares: unsigned("cpu-shares", flags.cpu_shares)?,
        cpu_period: unsigned("cpu-period", flags.cpu_period)?,
        cpu_quota: said(flags.cpu_quota),
        cpuset_cpus: flags.cpuset_cpus.clone().filter(|set| !set.is_empty()),
        cpuset_mems: flags.cpuset_mems.clone().filter(|set| !set.is_empty()),
        pids_limit: said(flags.pids_limit),
        ulimits: flags.ulimit.clone(),
        devices,
        device_rules: flags.device_cgroup_rule.clone(),
        cdi,
        block_io: block_io(flags)?,
        cpu_rt_period: unsigned("cpu-rt-period", flags.cpu_rt_period)?,
        cpu_rt_runtime: said(flags.cpu_rt_runtime),
        oom_score_adj: score,
        cgroup_parent: flags.cgroup_parent.clone().filter(|dir| !dir.is_empty()),
        bandwidth: Bandwidth::default().changed(Bandwidth {
            ingress: flags.net_ingress,
            egress: flags.net_egress,
        }),
    })
}

fn block_io(flags: &ContainerFlags) -> Result<BlockIo, CliError> {
    let weight = flags.blkio_weight.filter(|weight| *weight != 0);
    if weight.is_some_and(|weight| !(10..=1000).contains(&weight)) {
        return Err(CliError::Invalid(
            "Range of blkio weight is from 10 to 1000".to_owned(),
        ));
    }
    Ok(BlockIo {
        weight,
        weight_device: flags.blkio_weight_device.clone(),
        read_bps: flags.device_read_bps.clone(),
        write_bps: flags.device_write_bps.clone(),
        read_iops: flags.device_read_iops.clone(),
        write_iops: flags.device_write_iops.clone(),
    })
}

fn privileges(flags: &ContainerFlags, around: &Surroundings<'_>) -> Result<Security, CliError> {
    let mut security = Security {
        privileged: flags.privileged,
        cap_add: capabilities(&flags.cap_add),
        cap_drop: capabilities(&flags.cap_drop),
        ..Security::default()
    };
    security::options(&flags.security_opt, &mut security, around)?;
    Ok(security)
}

/// As `inspect` shows them: `CAP_SYS_TIME`, each once.
fn capabilities(names: &[String]) -> Vec<String> {
    let mut all: Vec<String> = names
        .iter()
        .map(|name| match name.trim().to_ascii_uppercase() {
            name if name == "ALL" || name.starts_with("CAP_") => name,
            name => format!("CAP_{name}"),
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Where no driver is named, the daemon has one.
fn log(flags: &ContainerFlags) -> Result<LogConfig, CliError> {
    let mut log = LogConfig {
        driver: flags.log_driver.clone().unwrap_or_default(),
        ..LogConfig::default()
    };
    if log.driver == "none" && !flags.log_opt.is_empty() {
        return Err(CliError::Invalid(
            "invalid logging opts for driver none".to_owned(),
        ));
    }
    for option in &flags.log_opt {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        log.options.insert(key.to_owned(), value.to_owned());
    }
    Ok(log)
}

/// How it begins what is said of a policy that is none by its grammar.
pub(crate) const MALFORMED_POLICY: &str = "invalid restart policy format";

/// What `--restart` says. Of Docker's programs the client sees whether it can be one, and the daemon which there are.
pub(crate) fn restart_policy(text: &str) -> Result<RestartPolicy, CliError> {
    text.parse().map_err(|error: types::InvalidRestartPolicy| {
        let message = error.to_string();
        match message.starts_with(MALFORMED_POLICY) {
            true => CliError::Invalid(message),
            false => CliError::Daemon {
                message,
                kind: types::ErrorKind::Invalid,
            },
        }
    })
}

fn restart(flags: &ContainerFlags) -> Result<RestartPolicy, CliError> {
    let policy = flags.restart.as_deref().map(restart_policy).transpose()?;
    let policy = policy.unwrap_or_default();
    match flags.rm && policy != RestartPolicy::No {
        true => Err(CliError::Invalid(
            "conflicting options: cannot specify both --restart and --rm".to_owned(),
        )),
        false => Ok(policy),
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::super::tests::with;
    use super::*;
    use crate::args::{Parsed, parse};
    use crate::commands::VERBS;

    fn plan(line: &str) -> Result<RunPlan, CliError> {
        let words = line.split_whitespace().map(str::to_owned).collect();
        let Ok(Parsed::Run(invocation)) = parse(&VERBS, words) else {
            panic!("{line} is not understood");
        };
        let args = RunArgs::from_arg_matches(&invocation.matches).unwrap();
        with(&[], |around| run(&args, around))
    }

    /// What the plan says that an empty one does not.
    fn said(line: &str) -> String {
        let spec = plan(line).unwrap().spec;
        let value = |spec: &ContainerSpec| serde_json::to_value(spec).unwrap();
        // The daemon knows which driver is meant where none is named.
        let nothing = ContainerSpec {
            log: LogConfig {
                driver: String::new(),
                ..LogConfig::default()
            },
            ..ContainerSpec::default()
        };
        let (ours, nothing) = (value(&spec), value(&nothing));
        let differ = ours
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, field)| nothing.get(name.as_str()) != Some(field))
            .map(|(name, field)| format!("{name}: {}", less(field, &nothing[name.as_str()])));
        format!("$ brig {line}\n{}\n", differ.collect::<Vec<_>>().join("\n"))
    }

    /// Without the fields of an object that say nothing.
    fn less(field: &serde_json::Value, nothing: &serde_json::Value) -> serde_json::Value {
        let mut field = field.clone();
        if let (Some(fields), Some(nothing)) = (field.as_object_mut(), nothing.as_object()) {
            fields.retain(|name, value| nothing.get(name) != Some(value));
        }
        field
    }

    #[test]
    fn flags_become_a_specification() {
        let told = [
            "run debian",
            "run -it --rm debian sh -c true",
            "run -d -i --name web --entrypoint= debian",
            "run -a stdout -e A=1 -e HOME -w /srv -u 1:2 --hostname h debian",
            "run -m 64m --memory-swap -1 --cpus 1.5 -c 512 --cpuset-cpus 0-1 --pids-limit 5 --ulimit nofile=1:2 debian",
            "run --cap-add SYS_TIME --cap-drop ALL --security-opt no-new-privileges --privileged --read-only debian",
            "run --network host --init --stop-signal INT --stop-timeout 3 --shm-size 1g --oom-score-adj 5 debian",
            "run --sysctl net.x=1 --tmpfs /t:size=1m --device /dev/null --group-add 5 --cgroup-parent /x --log-driver none debian",
            "run --platform linux/arm64 --label a=b --annotation c=d --expose 80 debian",
        ]
        .map(said)
        .join("\n");
        insta::assert_snapshot!(told, @r#"
        $ brig run debian
        image: "debian"
        attach: [false,true,true]

        $ brig run -it --rm debian sh -c true
        image: "debian"
        command: ["sh","-c","true"]
        tty: true
        open_stdin: true
        stdin_once: true
        attach: [true,true,true]
        console_size: [24,80]
        auto_remove: true

        $ brig run -d -i --name web --entrypoint= debian
        image: "debian"
        entrypoint: [""]
        open_stdin: true

        $ brig run -a stdout -e A=1 -e HOME -w /srv -u 1:2 --hostname h debian
        image: "debian"
        env: ["A=1","HOME=/root"]
        working_dir: "/srv"
        user: "1:2"
        hostname: "h"
        attach: [false,true,false]

        $ brig run -m 64m --memory-swap -1 --cpus 1.5 -c 512 --cpuset-cpus 0-1 --pids-limit 5 --ulimit nofile=1:2 debian
        image: "debian"
        attach: [false,true,true]
        resources: {"memory":67108864,"memory_swap":-1,"nano_cpus":1500000000,"cpu_shares":512,"cpuset_cpus":"0-1","pids_limit":5,"ulimits":[{"name":"nofile","soft":1,"hard":2}]}

        $ brig run --cap-add SYS_TIME --cap-drop ALL --security-opt no-new-privileges --privileged --read-only debian
        image: "debian"
        attach: [false,true,true]
        read_only: true
        security: {"privileged":true,"cap_add":["CAP_SYS_TIME"],"cap_drop":["ALL"],"no_new_privileges":true}

        $ brig run --network host --init --stop-signal INT --stop-timeout 3 --shm-size 1g --oom-score-adj 5 debian
        image: "debian"
        attach: [false,true,true]
        stop_signal: "INT"
        stop_timeout: 3
        shm_size: 1073741824
        network: "host"
        init: true
        resources: {"oom_score_adj":5}

        $ brig run --sysctl net.x=1 --tmpfs /t:size=1m --device /dev/null --group-add 5 --cgroup-parent /x --log-driver none debian
        image: "debian"
        groups: ["5"]
        attach: [false,true,true]
        mounts: [{"kind":{"type":"tmpfs","size":null,"mode":null,"options":[],"flag_options":"size=1m"},"target":"/t","read_only":false}]
        sysctls: {"net.x":"1"}
        resources: {"devices":[{"host_path":"/dev/null","container_path":"/dev/null","permissions":"rwm"}],"cgroup_parent":"/x"}
        log: {"driver":"none"}

        $ brig run --platform linux/arm64 --label a=b --annotation c=d --expose 80 debian
        image: "debian"
        platform: {"os":"linux","architecture":"arm64"}
        labels: {"a":"b"}
        exposed_ports: ["80/tcp"]
        annotations: {"c":"d"}
        attach: [false,true,true]
        "#);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let told = [
            "run -d -a stdout debian",
            "run --pull sometimes debian",
            "run --name /- debian",
            "run --platform x/ debian",
            "run --stop-signal FOO debian",
            "run --network none --network mine debian",
            "run --network mine --network mine debian",
            "run --network name=mine,ip=10.0.0.1 --ip 10.0.0.2 debian",
            "run --network= debian",
            "run --memory-swappiness 101 debian",
            "run --oom-score-adj 5000 debian",
            "run --cpu-shares -1 debian",
            "run --detach-keys xx debian",
            "run --env-file /no debian",
            "run --log-driver none --log-opt a=b debian",
            "run Upper true",
            "run bb:b@d true",
        ]
        .map(|line| format!("{line} -> {}", plan(line).unwrap_err()))
        .join("\n");
        insta::assert_snapshot!(told, @r#"
        run -d -a stdout debian -> conflicting options: cannot specify both --attach and --detach
        run --pull sometimes debian -> invalid pull option: 'sometimes': must be one of "always", "missing" or "never"
        run --name /- debian -> Invalid container name (/-), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed
        run --platform x/ debian -> error parsing specified platform: invalid platform "x/": os/arch[/variant] is expected, as in linux/arm64
        run --stop-signal FOO debian -> Invalid signal: FOO
        run --network none --network mine debian -> conflicting options: cannot attach both user-defined and non-user-defined network-modes
        run --network mine --network mine debian -> network "mine" is specified multiple times
        run --network name=mine,ip=10.0.0.1 --ip 10.0.0.2 debian -> conflicting options: cannot specify both --ip and per-network IPv4 address
        run --network= debian -> no name set for network
        run --memory-swappiness 101 debian -> invalid value: 101. Valid memory swappiness range is 0-100
        run --oom-score-adj 5000 debian -> Invalid value 5000, range for oom score adj is [-1000, 1000]
        run --cpu-shares -1 debian -> --cpu-shares cannot be negative: -1
        run --detach-keys xx debian -> invalid detach keys (xx): Unknown character: 'xx'
        run --env-file /no debian -> open /no: no such file or directory
        run --log-driver none --log-opt a=b debian -> invalid logging opts for driver none
        run Upper true -> invalid reference format: repository name (library/Upper) must be lowercase
        run bb:b@d true -> invalid reference format: "bb:b@d"
        "#);
    }
}
