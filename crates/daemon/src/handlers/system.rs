//! `/_ping`, `/version`, `/info`

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::convert::rfc3339;
use api::{Version, wire};
use engine::container::OWN_RUNTIME;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA};
use hyper::{Response, StatusCode};
use types::Platform;

use crate::app::App;
use crate::http::body::Body;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

/// The name clients see for what keeps the layers.
pub(super) const STORAGE_DRIVER: &str = "overlayfs";

const PRODUCT: &str = "Brig";

/// What the build says of itself; local builds say nothing.
const COMMIT: Option<&str> = option_env!("BRIG_GIT_COMMIT");
const BUILT: Option<&str> = option_env!("BRIG_BUILD_TIME");
const COMPILER: &str = concat!("rust", env!("CARGO_PKG_RUST_VERSION"));

pub(super) fn ping() -> Response<Body> {
    // To HEAD the server sends the head only.
    let mut response = respond::with_body(StatusCode::OK, Body::full("OK"));
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (PRAGMA, "no-cache"),
        (HeaderName::from_static("swarm"), "inactive"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(super) fn version() -> Answer {
    let platform = Platform::host();
    let kernel = kernel();
    let details = wire::ComponentDetails {
        api_version: Version::MAX.to_string(),
        arch: platform.architecture.clone(),
        build_time: BUILT.unwrap_or_default().to_owned(),
        experimental: "false".to_owned(),
        git_commit: COMMIT.unwrap_or_default().to_owned(),
        go_version: COMPILER.to_owned(),
        kernel_version: kernel.clone(),
        min_api_version: Version::MIN.to_string(),
        os: platform.os.clone(),
    };
    respond::ok(&wire::Version {
        platform: wire::VersionPlatform {
            name: PRODUCT.to_owned(),
        },
        components: vec![wire::Component {
            name: "Engine".to_owned(),
            version: product_version(),
            details: Some(details.clone()),
        }],
        version: product_version(),
        api_version: details.api_version,
        min_api_version: details.min_api_version,
        git_commit: details.git_commit,
        go_version: details.go_version,
        os: platform.os,
        arch: platform.architecture,
        kernel_version: kernel,
        experimental: false,
        build_time: details.build_time,
    })
}

fn product_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

fn kernel() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    read.unwrap_or_default().trim_end().to_owned()
}

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
    let bridge = |table: &str| {
        let path = format!("/proc/sys/net/bridge/bridge-nf-call-{table}");
        (!call.version.has(50)).then(|| is_on(&path))
    };
    respond::ok(&wire::Info {
        id,
        containers: count(facts.running + facts.stopped),
        containers_running: count(facts.running),
        containers_stopped: count(facts.stopped),
        images: count(facts.images),
        driver: STORAGE_DRIVER.to_owned(),
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
        // Clients of then warn when these are absent.
        bridge_nf_iptables: bridge("iptables"),
        bridge_nf_ip6tables: bridge("ip6tables"),
        debug: tracing::enabled!(tracing::Level::DEBUG),
        n_fd: std::fs::read_dir("/proc/self/fd").map_or(0, |files| count(files.count())),
        system_time: rfc3339(Some(crate::clock::now())),
        logging_driver: "json-file".to_owned(),
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
        ..constant(app)
    })
}

/// What is the same on every machine.
fn constant(app: &App) -> wire::Info {
    let config = app.engine.config();
    let named = |(name, path): (&String, &PathBuf)| {
        let path = path.display().to_string();
        (name.clone(), wire::Runtime { path })
    };
    let own = wire::Runtime {
        path: "brig-runtime".to_owned(),
    };
    let mut runtimes: BTreeMap<_, _> = config.runtimes.iter().map(named).collect();
    runtimes.insert(OWN_RUNTIME.to_owned(), own);
    wire::Info {
        docker_root_dir: config.data_root.display().to_string(),
        server_version: product_version(),
        runtimes,
        default_runtime: default_runtime(config),
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
        init_commit: commit(),
        runc_commit: commit(),
        security_options: ["name=seccomp,profile=builtin", "name=cgroupns"]
            .map(str::to_owned)
            .to_vec(),
        index_server_address: "https://index.docker.io/v1/".to_owned(),
        ..wire::Info::default()
    }
}

/// Its name, or its path if it has none.
fn default_runtime(config: &engine::Config) -> String {
    let Some(binary) = &config.foreign_runtime else {
        return OWN_RUNTIME.to_owned();
    };
    let named = config.runtimes.iter().find(|(_, path)| *path == binary);
    named.map_or_else(|| binary.display().to_string(), |(name, _)| name.clone())
}

fn commit() -> wire::Commit {
    wire::Commit {
        id: product_version(),
    }
}

fn plugins() -> wire::Plugins {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    wire::Plugins {
        volume: Vec::new(),
        network: names(&["bridge", "host", "macvlan", "null"]),
        authorization: None,
        log: names(&["json-file", "none"]),
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
