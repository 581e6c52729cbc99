//! `POST /containers/create` to [`ContainerSpec`].

use std::collections::BTreeSet;

use types::{ContainerSpec, NetworkMode, Platform, RestartPolicy};

use super::{
    Refusal, health, logs, mounts, namespaces, network, refuse, resources, secrets, security,
    storage,
};
use crate::Version;
use crate::wire::{ContainerConfig, ContainerCreateRequest, HostConfig, Words};

/// The longest host name that sethostname(2) takes.
const LONGEST_HOSTNAME: usize = 64;

/// What the client asks for, checked as far as that needs neither image nor machine.
///
/// # Errors
/// Names the field that makes no sense or is not supported.
pub fn container_spec(
    request: ContainerCreateRequest,
    platform: Option<Platform>,
    version: Version,
) -> Result<ContainerSpec, Refusal> {
    let ContainerCreateRequest {
        config,
        host_config: host,
        networking_config,
    } = request;
    refuse::host_config(&host)?;
    check_environment(config.env.as_deref().unwrap_or_default())?;
    let volumes = mounts::volumes(&config)?;
    let mode = match config.network_disabled {
        true => NetworkMode::None,
        false => NetworkMode::parse(&host.network_mode),
    };
    let mac = config.mac_address.clone();
    let mut spec = portable(config)?;
    spec.volumes = volumes;
    spec.networking = network::networking(&mode, &mac, &host, networking_config, version)?;
    spec.network = mode;
    spec.platform = platform;
    spec.mounts = mounts::requests(&host, version)?;
    spec.resources = resources::resources(&host)?;
    spec.namespaces = namespaces::namespaces(&host)?;
    spec.security = security::security(&host)?;
    spec.secrets = secrets::requests(&host.secrets)?;
    spec.log = logs::log_config(&host.log_config)?;
    spec.shm_size = shm_size(host.shm_size)?;
    spec.root_size = storage::root_size(&host.storage_opt)?;
    spec.restart = restart(&host)?;
    on_host(&mut spec, host);
    Ok(spec)
}

/// The half that does not depend on the host.
fn portable(config: ContainerConfig) -> Result<ContainerSpec, Refusal> {
    let says = |words: &Option<Words>| words.as_ref().is_some_and(|words| !words.0.is_empty());
    if config.image.is_empty() && !says(&config.cmd) && !says(&config.entrypoint) {
        return Err(Refusal::Said("no command specified".to_owned()));
    }
    if config.image.is_empty() {
        return Err(Refusal::invalid("Image", "it must be said"));
    }
    Ok(ContainerSpec {
        image: config.image,
        command: config.cmd.map(|w| w.0).filter(|words| !words.is_empty()),
        entrypoint: config.entrypoint.map(|words| words.0),
        env: config.env.unwrap_or_default(),
        working_dir: working_dir(&config.working_dir)?,
        user: said(config.user),
        hostname: hostname("Hostname", config.hostname)?,
        domainname: hostname("Domainname", config.domainname)?,
        labels: config.labels.unwrap_or_default(),
        exposed_ports: exposed_ports(config.exposed_ports.into_keys())?,
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        attach: [
            config.attach_stdin,
            config.attach_stdout,
            config.attach_stderr,
        ],
        stop_signal: match config.stop_signal.as_str() {
            "" => None,
            text => match text.parse::<types::Signal>() {
                Ok(_) => Some(text.to_owned()),
                Err(e) => return Err(Refusal::invalid("StopSignal", e.0)),
            },
        },
        stop_timeout: config.stop_timeout,
        health: health::health_check(config.healthcheck)?,
        ..ContainerSpec::default()
    })
}

/// What of the host's half needs no check.
fn on_host(spec: &mut ContainerSpec, host: HostConfig) {
    spec.groups = host.group_add.unwrap_or_default();
    spec.annotations = host.annotations;
    spec.console_size = host.console_size;
    spec.read_only = host.readonly_rootfs;
    spec.init = host.init;
    spec.runtime = said(host.runtime);
    spec.auto_remove = host.auto_remove;
    spec.sysctls = host.sysctls;
    spec.volumes_from = host.volumes_from.unwrap_or_default();
    spec.volume_driver = said(host.volume_driver).filter(|name| name != "local");
}

fn restart(host: &HostConfig) -> Result<RestartPolicy, Refusal> {
    let asked = &host.restart_policy;
    let policy = RestartPolicy::from_parts(&asked.name, asked.maximum_retry_count);
    let policy = policy.map_err(|error| Refusal::Said(error.to_string()))?;
    match host.auto_remove && policy != RestartPolicy::No {
        true => Err(Refusal::Said(
            "can't create 'AutoRemove' container with restart policy".to_owned(),
        )),
        false => Ok(policy),
    }
}

pub(super) fn said(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn working_dir(text: &str) -> Result<Option<String>, Refusal> {
    match text {
        "" => Ok(None),
        _ if text.starts_with('/') && !text.contains('\0') => {
            Ok(Some(mounts::clean(text).unwrap_or_else(|| "/".to_owned())))
        }
        _ => Err(Refusal::invalid(
            "WorkingDir",
            format!("the working directory '{text}' is invalid, it needs to be an absolute path"),
        )),
    }
}

/// Nothing that would break a line of `/etc/hosts`.
fn hostname(field: &'static str, text: String) -> Result<Option<String>, Refusal> {
    let fits = text.len() <= LONGEST_HOSTNAME;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if fits && text.bytes().all(plain) {
        Ok(said(text))
    } else {
        Err(Refusal::invalid(
            field,
            format!("{text:?}: letters, digits, '.', '-' and '_' are expected, at most 64"),
        ))
    }
}

fn check_environment(env: &[String]) -> Result<(), Refusal> {
    match env
        .iter()
        .find(|e| e.is_empty() || e.starts_with('=') || e.contains('\0'))
    {
        Some(bad) => Err(Refusal::Said(format!(
            "invalid environment variable: {}",
            bad.escape_debug()
        ))),
        None => Ok(()),
    }
}

fn exposed_ports(ports: impl Iterator<Item = String>) -> Result<BTreeSet<String>, Refusal> {
    let is_port = |text: &str| {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let number = |p: &str| p.parse::<u16>().is_ok();
        let range = port.split_once('-').map_or_else(
            || number(port),
            |(first, last)| number(first) && number(last),
        );
        range && ["tcp", "udp", "sctp"].contains(&protocol.to_ascii_lowercase().as_str())
    };
    ports
        .map(|port| {
            if is_port(&port) {
                Ok(port)
            } else {
                Err(Refusal::invalid(
                    "ExposedPorts",
                    format!("{port:?}: port[/tcp|udp|sctp] is expected"),
                ))
            }
        })
        .collect()
}

fn shm_size(size: i64) -> Result<Option<i64>, Refusal> {
    match size {
        0 => Ok(None),
        1.. => Ok(Some(size)),
        _ => Err(Refusal::invalid(
            "HostConfig.ShmSize",
            "SHM size can not be less than 0",
        )),
    }
}
