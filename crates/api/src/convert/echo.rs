//! [`ContainerSpec`] to the wire: what a client sends, and what `inspect` shows.

use types::{
    ContainerSpec, MountKind, MountRequest, NetworkMode, Rate, Resources, SeccompProfile, Security,
    VolumeName, VolumeRequest,
};

use super::{block_io, devices, health, namespaces, network, secrets, storage};
use crate::wire::{
    BindOptions, ContainerConfig, ContainerCreateRequest, DriverConfig, Empty, HostConfig,
    ImageOptions, LogConfig, Mount, MountPoint, NetRate, RestartPolicy, TmpfsOptions, Ulimit,
    VolumeOptions, Words,
};

/// The driver of volumes.
const LOCAL: &str = "local";

const DEFAULT_SHM: i64 = 64 << 20;

/// The request that asks for this container.
pub fn create_request(spec: &ContainerSpec) -> ContainerCreateRequest {
    ContainerCreateRequest {
        config: config(spec),
        host_config: host_config(spec),
        networking_config: network::endpoints(&spec.networking),
    }
}

/// A container's network as it is shown: the default one by its name.
pub fn network_mode_shown(mode: &NetworkMode) -> String {
    match mode {
        NetworkMode::Default => "bridge".to_owned(),
        mode => mode.to_string(),
    }
}

/// The host's half as `inspect` shows it: with the defaults that dockerd writes in.
pub fn host_config_shown(spec: &ContainerSpec) -> HostConfig {
    let shown = host_config(spec);
    HostConfig {
        network_mode: network_mode_shown(&spec.network),
        cgroupns_mode: or(shown.cgroupns_mode, "private"),
        ipc_mode: or(shown.ipc_mode, "private"),
        shm_size: spec.shm_size.unwrap_or(DEFAULT_SHM),
        runtime: or(shown.runtime, "brig"),
        memory_swap: match (shown.memory, shown.memory_swap) {
            (1.., 0) => shown.memory.saturating_mul(2),
            (_, swap) => swap,
        },
        ..shown
    }
}

fn or(text: String, default: &str) -> String {
    match text.as_str() {
        "" => default.to_owned(),
        _ => text,
    }
}

fn config(spec: &ContainerSpec) -> ContainerConfig {
    let [attach_stdin, attach_stdout, attach_stderr] = spec.attach;
    ContainerConfig {
        hostname: text(&spec.hostname),
        domainname: text(&spec.domainname),
        user: text(&spec.user),
        attach_stdin,
        attach_stdout,
        attach_stderr,
        exposed_ports: spec
            .exposed_ports
            .iter()
            .map(|port| (port.clone(), Empty {}))
            .collect(),
        tty: spec.tty,
        open_stdin: spec.open_stdin,
        stdin_once: spec.stdin_once,
        env: some(&spec.env),
        cmd: spec.command.clone().map(Words),
        image: spec.image.clone(),
        volumes: (!spec.volumes.is_empty()).then(|| {
            let paths = spec.volumes.iter();
            paths.map(|path| (path.clone(), Empty {})).collect()
        }),
        working_dir: text(&spec.working_dir),
        entrypoint: spec.entrypoint.as_ref().map(|words| Words(words.clone())),
        labels: Some(spec.labels.clone()),
        stop_signal: spec.stop_signal.clone().unwrap_or_default(),
        stop_timeout: spec.stop_timeout,
        healthcheck: spec.health.as_ref().map(health::health_check_shown),
        ..ContainerConfig::default()
    }
}

fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let networking = &spec.networking;
    let mut host = HostConfig {
        binds: some(&binds(&spec.mounts)),
        log_config: LogConfig {
            r#type: spec.log.driver.clone(),
            config: Some(spec.log.options.clone()),
        },
        network_mode: spec.network.to_string(),
        port_bindings: Some(network::port_bindings(&networking.ports)),
        publish_all_ports: networking.publish_all,
        restart_policy: RestartPolicy {
            name: spec.restart.name().to_owned(),
            maximum_retry_count: spec.restart.times().into(),
        },
        auto_remove: spec.auto_remove,
        volumes_from: some(&spec.volumes_from),
        volume_driver: text(&spec.volume_driver),
        console_size: spec.console_size,
        annotations: spec.annotations.clone(),
        dns: Some(
            networking
                .dns
                .servers
                .iter()
                .map(ToString::to_string)
                .collect(),
        ),
        dns_options: Some(networking.dns.options.clone()),
        dns_search: Some(networking.dns.search.clone()),
        extra_hosts: some(&networking.extra_hosts),
        links: some(&networking.links),
        group_add: some(&spec.groups),
        readonly_rootfs: spec.read_only,
        tmpfs: spec.mounts.iter().filter_map(tmpfs_flag).collect(),
        shm_size: spec.shm_size.unwrap_or(0),
        storage_opt: storage::options(spec.root_size),
        sysctls: spec.sysctls.clone(),
        mounts: spec.mounts.iter().filter_map(long_mount).collect(),
        init: spec.init,
        runtime: text(&spec.runtime),
        ..HostConfig::default()
    };
    namespaces::show(&spec.namespaces, &mut host);
    add_security(&mut host, &spec.security);
    add_resources(&mut host, &spec.resources);
    host.secrets = secrets::references(&spec.secrets);
    host
}

fn add_security(host: &mut HostConfig, security: &Security) {
    let mut options = Vec::new();
    match security.no_new_privileges {
        Some(true) => options.push("no-new-privileges".to_owned()),
        Some(false) => options.push("no-new-privileges=false".to_owned()),
        None => {}
    }
    match &security.seccomp {
        SeccompProfile::Default => {}
        SeccompProfile::Builtin => options.push("seccomp=builtin".to_owned()),
        SeccompProfile::Unconfined => options.push("seccomp=unconfined".to_owned()),
        SeccompProfile::Custom(text) => options.push(format!("seccomp={text}")),
    }
    options.extend(
        security
            .apparmor
            .iter()
            .map(|name| format!("apparmor={name}")),
    );
    options.extend(security.labels.iter().map(|label| format!("label={label}")));
    if security.writable_cgroups {
        options.push("writable-cgroups=true".to_owned());
    }
    host.security_opt = some(&options);
    host.privileged = security.privileged;
    host.cap_add = some(&security.cap_add);
    host.cap_drop = some(&security.cap_drop);
    host.masked_paths.clone_from(&security.masked_paths);
    host.readonly_paths.clone_from(&security.readonly_paths);
}

pub(super) fn add_resources(host: &mut HostConfig, asked: &Resources) {
    let signed = |number: Option<u64>| number.map_or(0, |n| i64::try_from(n).unwrap_or(i64::MAX));
    host.cpu_shares = signed(asked.cpu_shares);
    host.memory = asked.memory.unwrap_or(0);
    host.nano_cpus = asked.nano_cpus.unwrap_or(0);
    host.cgroup_parent = asked.cgroup_parent.clone().unwrap_or_default();
    block_io::show(&asked.block_io, host);
    host.cpu_realtime_period = signed(asked.cpu_rt_period);
    host.cpu_realtime_runtime = asked.cpu_rt_runtime.unwrap_or(0);
    host.cpu_period = signed(asked.cpu_period);
    host.cpu_quota = asked.cpu_quota.unwrap_or(0);
    host.cpuset_cpus = asked.cpuset_cpus.clone().unwrap_or_default();
    host.cpuset_mems = asked.cpuset_mems.clone().unwrap_or_default();
    host.devices = Some(asked.devices.iter().map(devices::show_device).collect());
    host.device_cgroup_rules = some(
        &asked
            .device_rules
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
    );
    let requests = asked.cdi.iter().map(devices::show_request);
    host.device_requests = (!asked.cdi.is_empty()).then(|| requests.collect());
    host.memory_reservation = asked.memory_reservation.unwrap_or(0);
    host.memory_swap = asked.memory_swap.unwrap_or(0);
    host.memory_swappiness = asked.memory_swappiness.map(i64::from);
    host.oom_kill_disable = Some(asked.oom_kill_disable);
    // What an update has lifted is nothing to clients.
    host.pids_limit = asked.pids_limit.map(|limit| limit.max(0));
    host.ulimits = Some(asked.ulimits.iter().map(ulimit).collect());
    host.oom_score_adj = i64::from(asked.oom_score_adj.unwrap_or(0));
    host.net_ingress = asked.bandwidth.ingress.map(net_rate);
    host.net_egress = asked.bandwidth.egress.map(net_rate);
}

fn net_rate(rate: Rate) -> NetRate {
    NetRate {
        rate: rate.bytes,
        burst: rate.burst.unwrap_or_default(),
    }
}

fn ulimit(limit: &types::Ulimit) -> Ulimit {
    Ulimit {
        name: limit.name.clone(),
        hard: limit.hard,
        soft: limit.soft,
    }
}

/// What came as `-v`.
fn binds(mounts: &[MountRequest]) -> Vec<String> {
    let bind = |mount: &MountRequest| {
        let (source, mode) = match &mount.kind {
            MountKind::Bind {
                source,
                bind_mode: Some(mode),
                ..
            } => (source.as_str(), mode),
            MountKind::Volume(VolumeRequest {
                name: Some(name),
                bind_mode: Some(mode),
                ..
            }) => (name.as_str(), mode),
            _ => return None,
        };
        Some(match mode.as_str() {
            "" => format!("{source}:{}", mount.target),
            mode => format!("{source}:{}:{mode}", mount.target),
        })
    };
    mounts.iter().filter_map(bind).collect()
}

/// What came as `--tmpfs`.
fn tmpfs_flag(mount: &MountRequest) -> Option<(String, String)> {
    match &mount.kind {
        MountKind::Tmpfs {
            flag_options: Some(options),
            ..
        } => Some((mount.target.clone(), options.clone())),
        _ => None,
    }
}

/// What came as `--mount`.
pub(super) fn long_mount(mount: &MountRequest) -> Option<Mount> {
    let long = Mount {
        target: mount.target.clone(),
        read_only: mount.read_only,
        ..Mount::default()
    };
    match &mount.kind {
        MountKind::Bind {
            source,
            bind_mode: None,
            ..
        } => Some(Mount {
            r#type: "bind".to_owned(),
            source: source.clone(),
            bind_options: bind_options(&mount.kind),
            ..long
        }),
        MountKind::Volume(volume) if volume.bind_mode.is_none() => Some(Mount {
            r#type: "volume".to_owned(),
            source: volume
                .name
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            volume_options: volume_options(volume),
            ..long
        }),
        MountKind::Image { source, subpath } => Some(Mount {
            r#type: "image".to_owned(),
            source: source.clone(),
            image_options: subpath.clone().map(|subpath| ImageOptions { subpath }),
            ..long
        }),
        MountKind::Tmpfs {
            size,
            mode,
            options,
            flag_options: None,
        } => {
            let split = |option: &String| option.splitn(2, '=').map(str::to_owned).collect();
            let options = TmpfsOptions {
                size_bytes: size.unwrap_or(0),
                mode: mode.unwrap_or(0),
                options: options.iter().map(split).collect(),
            };
            Some(Mount {
                r#type: "tmpfs".to_owned(),
                tmpfs_options: (options != TmpfsOptions::default()).then_some(options),
                ..long
            })
        }
        _ => None,
    }
}

fn volume_options(volume: &VolumeRequest) -> Option<VolumeOptions> {
    let driver = DriverConfig {
        name: text(&volume.driver),
        options: (!volume.options.is_empty()).then(|| volume.options.clone()),
    };
    let options = VolumeOptions {
        no_copy: volume.no_copy,
        labels: (!volume.labels.is_empty()).then(|| volume.labels.clone()),
        driver_config: (driver != DriverConfig::default()).then_some(driver),
        subpath: text(&volume.subpath),
    };
    (options != VolumeOptions::default()).then_some(options)
}

fn bind_options(kind: &MountKind) -> Option<BindOptions> {
    let MountKind::Bind {
        propagation,
        create_source,
        recursive,
        read_only_non_recursive,
        read_only_force_recursive,
        id_map,
        ..
    } = kind
    else {
        return None;
    };
    let options = BindOptions {
        propagation: propagation
            .map(|p| p.as_str().to_owned())
            .unwrap_or_default(),
        non_recursive: !recursive,
        create_mountpoint: *create_source,
        read_only_non_recursive: *read_only_non_recursive,
        read_only_force_recursive: *read_only_force_recursive,
        id_map: id_map.map(|ids| ids.to_string()).unwrap_or_default(),
    };
    (options != BindOptions::default()).then_some(options)
}

/// Mounts as `inspect` and listings show them. What came as `--tmpfs` is in the host's half only,
/// as with Docker. `place` says where a volume is on the host.
pub fn mount_points(
    mounts: &[MountRequest],
    place: impl Fn(&VolumeName) -> String,
) -> Vec<MountPoint> {
    let point = |mount: &MountRequest| match &mount.kind {
        MountKind::Bind {
            source,
            propagation,
            bind_mode,
            ..
        } => Some(MountPoint {
            r#type: "bind".to_owned(),
            source: source.clone(),
            destination: mount.target.clone(),
            mode: bind_mode.clone().unwrap_or_default(),
            rw: !mount.read_only,
            propagation: propagation.map_or("rprivate", |p| p.as_str()).to_owned(),
            ..MountPoint::default()
        }),
        MountKind::Volume(volume) => Some(MountPoint {
            r#type: "volume".to_owned(),
            name: volume
                .name
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            source: volume.name.as_ref().map(&place).unwrap_or_default(),
            destination: mount.target.clone(),
            driver: volume.driver.clone().unwrap_or_else(|| LOCAL.to_owned()),
            mode: match volume.bind_mode.as_deref() {
                Some(mode) if !mode.is_empty() => mode.to_owned(),
                // As dockerd has it, where labels are shared unless somebody says otherwise.
                _ if !volume.own => "z".to_owned(),
                _ => String::new(),
            },
            rw: !mount.read_only,
            ..MountPoint::default()
        }),
        MountKind::Image { source, .. } => Some(MountPoint {
            r#type: "image".to_owned(),
            source: source.clone(),
            destination: mount.target.clone(),
            ..MountPoint::default()
        }),
        MountKind::Tmpfs {
            flag_options: None, ..
        } => Some(MountPoint {
            r#type: "tmpfs".to_owned(),
            destination: mount.target.clone(),
            rw: !mount.read_only,
            ..MountPoint::default()
        }),
        MountKind::Tmpfs { .. } => None,
    };
    mounts.iter().filter_map(point).collect()
}
