//! `/info`

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::convert::rfc3339;
use api::{Version, wire};
use engine::container::OWN_RUNTIME;
use engine::image::registries;
use types::SeccompProfile;

use super::system::{STORAGE_DRIVER, product_version};
use crate::app::{App, Live};
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

pub(super) async fn info(app: &App, call: &Call) -> Answer {
    let (facts, id) = app
        .blocking(|engine| Ok((engine::system::info(engine), crate::identity::read(engine))))
        .await?;
    let devices = app
        .blocking(|engine| Ok(engine::container::described(engine)))
        .await?;
    let device = |id| wire::DeviceInfo {
        source: "cdi".to_owned(),
        id,
    };
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let limits = Limits::of(&facts.warnings);
    // Rules that the kernel applies to what is bridged are none of ours, and Docker says no.
    let bridge = (!call.version.has(50)).then_some(false);
    let registries = registries::config(&app.engine);
    let live = app.live();
    respond::ok(&wire::Info {
        id,
        containers: count(facts.running + facts.paused + facts.stopped),
        containers_running: count(facts.running),
        containers_paused: count(facts.paused),
        containers_stopped: count(facts.stopped),
        images: count(facts.images),
        driver: STORAGE_DRIVER.to_owned(),
        driver_status: driver_status(&facts.file_system),
        plugins: plugins(),
        memory_limit: limits.has("memory limit"),
        swap_limit: limits.has("swap limit"),
        cpu_cfs_period: limits.has("cpu cfs quota"),
        cpu_cfs_quota: limits.has("cpu cfs quota"),
        cpu_shares: limits.has("cpu shares"),
        cpu_set: limits.has("cpuset"),
        pids_limit: limits.has("pids limit"),
        oom_kill_disable: facts.cgroup_version == 1 && limits.has("oom kill disable"),
        ipv4_forwarding: is_on("/proc/sys/net/ipv4/ip_forward"),
        // Clients of then expect them to be there.
        bridge_nf_iptables: bridge,
        bridge_nf_ip6tables: bridge,
        debug: tracing::enabled!(tracing::Level::DEBUG),
        n_fd: std::fs::read_dir("/proc/self/fd").map_or(0, |files| count(files.count())),
        n_goroutines: std::fs::read_dir("/proc/self/task")
            .map_or(0, |threads| count(threads.count())),
        system_time: rfc3339(Some(crate::clock::now())),
        n_events_listener: count(facts.listeners),
        firewall_backend: firewall(app, call.version),
        http_proxy: without_password(&registries.proxies.http),
        https_proxy: without_password(&registries.proxies.https),
        no_proxy: registries.proxies.no_proxy.clone(),
        registry_config: registry_config(&registries),
        security_options: security_options(facts.apparmor, facts.selinux, app, &live),
        logging_driver: live.defaults.log_driver().to_owned(),
        cgroup_driver: "cgroupfs".to_owned(),
        cgroup_version: facts.cgroup_version.to_string(),
        kernel_version: facts.kernel,
        operating_system: facts.os,
        os_version: facts.os_version,
        os_type: "linux".to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        ncpu: count(facts.cpus),
        mem_total: i64::try_from(facts.memory).unwrap_or(i64::MAX),
        name: facts.hostname,
        // Clients of before do not know the field.
        discovered_devices: match call.version.has(50) {
            true => devices.into_iter().map(device).collect(),
            false => Vec::new(),
        },
        warnings: [facts.warnings, app.warnings.clone()].concat(),
        init_commit: commit(call.version),
        runc_commit: commit(call.version),
        ..constant(app, &live)
    })
}

/// The registry of names without one.
const HUB: &str = "docker.io";

/// What is the same on every machine.
fn constant(app: &App, live: &Live) -> wire::Info {
    let config = app.engine.config();
    let named = |(name, path): (&String, &PathBuf)| {
        let path = path.display().to_string();
        (name.clone(), wire::Runtime { path })
    };
    let own = wire::Runtime {
        path: "brig-runtime".to_owned(),
    };
    let mut runtimes: BTreeMap<_, _> = config.runtimes.named().iter().map(named).collect();
    runtimes.insert(OWN_RUNTIME.to_owned(), own);
    wire::Info {
        docker_root_dir: config.data_root.display().to_string(),
        server_version: product_version(),
        runtimes,
        default_runtime: match live.defaults.runtime() {
            Some(name) => name.to_owned(),
            None => default_runtime(config),
        },
        labels: live.labels.clone(),
        swarm: wire::Swarm {
            local_node_state: "inactive".to_owned(),
            ..wire::Swarm::default()
        },
        cdi_spec_dirs: config
            .cdi_dirs
            .iter()
            .map(|dir| dir.display().to_string())
            .collect(),
        live_restore_enabled: true,
        init_binary: "brig-init".to_owned(),
        default_address_pools: app.engine.config().network.pools.iter().map(pool).collect(),
        index_server_address: "https://index.docker.io/v1/".to_owned(),
        ..wire::Info::default()
    }
}

/// Its name, or its path if it has none.
fn default_runtime(config: &engine::Config) -> String {
    let Some(binary) = &config.foreign_runtime else {
        return OWN_RUNTIME.to_owned();
    };
    let runtimes = config.runtimes.named();
    let named = runtimes.iter().find(|(_, path)| *path == binary);
    named.map_or_else(|| binary.display().to_string(), |(name, _)| name.clone())
}

fn commit(version: Version) -> wire::Commit {
    let expected = (!version.has(49)).then(product_version);
    wire::Commit {
        id: product_version(),
        expected: expected.unwrap_or_default(),
    }
}

fn plugins() -> wire::Plugins {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    wire::Plugins {
        volume: names(&["local"]),
        network: names(&["bridge", "host", "ipvlan", "macvlan", "null"]),
        authorization: None,
        log: names(&["json-file", "local", "none"]),
    }
}

fn pool(pool: &engine::network::Pool) -> wire::AddressPool {
    wire::AddressPool {
        base: pool.base.to_string(),
        size: pool.size.into(),
    }
}

/// What Docker tells of a store on overlayfs.
fn driver_status(file_system: &str) -> Vec<[String; 2]> {
    let backing = ("Backing Filesystem", file_system);
    [
        backing,
        ("Supports d_type", "true"),
        ("Native Overlay Diff", "true"),
    ]
    .map(|(label, value)| [label.to_owned(), value.to_owned()])
    .to_vec()
}

/// Since 1.49, and only while rules are made at all.
fn firewall(app: &App, version: Version) -> Option<wire::FirewallInfo> {
    let made = app.engine.config().network.firewall && version.has(49);
    made.then(|| wire::FirewallInfo {
        driver: "nftables".to_owned(),
    })
}

fn security_options(apparmor: bool, selinux: bool, app: &App, live: &Live) -> Vec<String> {
    let config = app.engine.config();
    let seccomp = match config.usual.seccomp {
        SeccompProfile::Default | SeccompProfile::Builtin => "name=seccomp,profile=builtin",
        SeccompProfile::Unconfined => "name=seccomp,profile=unconfined",
        SeccompProfile::Custom(_) => "name=seccomp,profile=custom",
    };
    let when = |is: bool, option: &'static str| is.then_some(option);
    let all = [
        when(apparmor, "name=apparmor"),
        Some(seccomp),
        Some("name=cgroupns"),
        when(config.user_ids.remap.is_some(), "name=userns"),
        when(selinux, "name=selinux"),
        when(live.defaults.no_new_privileges(), "name=no-new-privileges"),
    ];
    all.into_iter().flatten().map(str::to_owned).collect()
}

/// Docker's view of how registries are reached; what it has no field for is left out.
fn registry_config(config: &registries::Config) -> wire::RegistryConfig {
    let (networks, hosts): (Vec<_>, Vec<_>) = config
        .insecure
        .iter()
        .cloned()
        .partition(|entry| entry.contains('/'));
    // This machine's own registries are never asked for a certificate, as by Docker.
    let own = ["::1/128", "127.0.0.0/8"].map(str::to_owned);
    let mirrors = config.registries.iter().find(|r| r.prefix == HUB);
    let mirrors = mirrors.map_or_else(Vec::new, |hub| {
        let mirrors = hub.mirrors.iter();
        // With the slash that Docker ends them with.
        let location =
            |mirror: &registries::Mirror| format!("{}/", mirror.location.trim_end_matches('/'));
        mirrors.map(location).collect()
    });
    let hub = wire::RegistryIndex {
        mirrors: mirrors.clone(),
        name: HUB.to_owned(),
        official: true,
        secure: true,
    };
    let insecure = |name: String| wire::RegistryIndex {
        mirrors: Vec::new(),
        name,
        official: false,
        secure: false,
    };
    let mut index_configs: BTreeMap<_, _> = hosts
        .into_iter()
        .map(|host| (host.clone(), insecure(host)))
        .collect();
    index_configs.insert(HUB.to_owned(), hub);
    wire::RegistryConfig {
        insecure_registry_cidrs: own.into_iter().chain(networks).collect(),
        index_configs,
        mirrors: Some(mirrors),
    }
}

/// The address of a proxy for everybody to see.
fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://xxxxx:xxxxx@{host}"),
        None => address.to_owned(),
    }
}

/// What the kernel can limit: what no warning denies.
struct Limits<'a>(&'a [String]);

impl<'a> Limits<'a> {
    fn of(warnings: &'a [String]) -> Self {
        Self(warnings)
    }

    fn has(&self, what: &str) -> bool {
        !self.0.iter().any(|warning| warning.contains(what))
    }
}

fn is_on(path: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_proxies_are_not_told() {
        let told = "http://xxxxx:xxxxx@proxy.example.com:8080";
        assert_eq!(
            without_password("http://me:a@b@proxy.example.com:8080"),
            told
        );
        assert_eq!(without_password("http://proxy:80"), "http://proxy:80");
        assert_eq!(without_password(""), "");
    }

    #[test]
    fn registries_are_told_as_docker_tells_them() {
        let mirror = registries::Mirror {
            location: "https://mirror.example.com".to_owned(),
            ..registries::Mirror::default()
        };
        let config = registries::Config {
            registries: vec![registries::Registry {
                prefix: HUB.to_owned(),
                mirrors: vec![mirror],
                ..registries::Registry::default()
            }],
            insecure: vec!["10.0.0.0/8".to_owned(), "reg.example.com:5000".to_owned()],
            ..registries::Config::default()
        };
        let told = registry_config(&config);
        assert_eq!(
            told.insecure_registry_cidrs,
            ["::1/128", "127.0.0.0/8", "10.0.0.0/8"]
        );
        assert_eq!(told.mirrors.unwrap(), ["https://mirror.example.com/"]);
        assert!(told.index_configs[HUB].official && told.index_configs[HUB].secure);
        assert!(!told.index_configs["reg.example.com:5000"].secure);
    }
}
