//! Conversions between the wire and Brig's own words, as tables.

use std::collections::BTreeMap;

use api::Version;
use api::convert::{container_spec, create_request, host_config_shown, mount_points};
use api::wire::ContainerCreateRequest;
use serde_json::{Value, json};
use types::{
    ContainerSpec, DeviceRequest, LogConfig, MountKind, MountRequest, NetworkMode, Propagation,
    Resources, SeccompProfile, Security, Ulimit,
};

const PLAIN: &str = include_str!("fixtures/docker-28-create-plain.json");
const EVERYTHING: &str = include_str!("fixtures/docker-28-create-everything.json");
const PRIVILEGED: &str = include_str!("fixtures/docker-28-create-privileged-none.json");
const UNCONFINED: &str = include_str!("fixtures/docker-28-create-host-unconfined.json");

fn read(body: &str) -> ContainerCreateRequest {
    serde_json::from_str(body).expect("a body that a client sent")
}

fn spec_of(request: ContainerCreateRequest) -> Result<ContainerSpec, String> {
    container_spec(request, None, Version::MAX).map_err(|e| e.to_string())
}

/// The plain request of Docker's client with some fields changed.
fn with(changes: &Value) -> ContainerCreateRequest {
    let mut body: Value = serde_json::from_str(PLAIN).expect("JSON");
    merge(&mut body, changes);
    serde_json::from_value(body).expect("a request")
}

fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(into.entry(key).or_insert(Value::Null), change);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

#[test]
fn what_dockers_client_sends_by_default_asks_for_nothing_special() {
    let expected = ContainerSpec {
        image: "debian".into(),
        command: Some(vec!["true".into()]),
        attach: [false, true, true],
        ..ContainerSpec::default()
    };
    assert_eq!(spec_of(read(PLAIN)), Ok(expected));
}

#[test]
fn privileged_without_network() {
    let spec = spec_of(read(PRIVILEGED)).expect("accepted");
    assert!(spec.security.privileged && spec.auto_remove);
    assert_eq!(spec.network, NetworkMode::None);
}

#[test]
fn the_host_network_unconfined_and_without_a_log() {
    let request = read(UNCONFINED);
    let spec = spec_of(request).expect("accepted");
    assert_eq!(spec.network, NetworkMode::Host);
    assert_eq!(spec.security.seccomp, SeccompProfile::Unconfined);
    assert_eq!(spec.log.driver, "none");
    assert_eq!(spec.resources.memory_swappiness, Some(0));
    assert!(spec.resources.oom_kill_disable);
}

fn bind(
    source: &str,
    target: &str,
    mode: Option<&str>,
    propagation: Option<Propagation>,
) -> MountRequest {
    MountRequest {
        kind: MountKind::Bind {
            source: source.into(),
            propagation,
            create_source: mode.is_some(),
            recursive: true,
            read_only_non_recursive: false,
            read_only_force_recursive: false,
            bind_mode: mode.map(str::to_owned),
            id_map: None,
        },
        target: target.into(),
        read_only: true,
    }
}

fn tmpfs(
    target: &str,
    size: Option<i64>,
    mode: Option<u32>,
    options: &[&str],
    flag: Option<&str>,
) -> MountRequest {
    MountRequest {
        kind: MountKind::Tmpfs {
            size,
            mode,
            options: options.iter().map(|o| (*o).to_owned()).collect(),
            flag_options: flag.map(str::to_owned),
        },
        target: target.into(),
        read_only: false,
    }
}

#[test]
fn every_flag_of_this_version_arrives() {
    let mut request = read(EVERYTHING);
    request.host_config.port_bindings = None;
    request.host_config.binds = Some(vec!["/a:/b:ro".into()]);
    let spec = spec_of(request).expect("accepted");
    let map = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let expected = ContainerSpec {
        image: "debian".into(),
        command: Some(vec!["x".into(), "y".into()]),
        entrypoint: Some(vec!["/e".into()]),
        env: vec!["A=b".into()],
        working_dir: Some("/w".into()),
        user: Some("1:2".into()),
        groups: vec!["5".into()],
        hostname: Some("h".into()),
        labels: map("a", "b"),
        exposed_ports: ["80/tcp".to_owned()].into(),
        tty: true,
        open_stdin: true,
        stdin_once: true,
        attach: [true; 3],
        stop_signal: Some("INT".into()),
        stop_timeout: Some(3),
        mounts: vec![
            bind("/a", "/b", Some("ro"), None),
            bind("/x", "/y", None, Some(Propagation::Rslave)),
            tmpfs("/t", Some(1 << 20), Some(0o700), &[], None),
            tmpfs("/run", None, None, &["size=64m"], Some("size=64m")),
        ],
        read_only: true,
        shm_size: Some(32 << 20),
        init: Some(true),
        auto_remove: true,
        sysctls: map("net.ipv4.ip_forward", "1"),
        resources: Resources {
            memory: Some(64 << 20),
            memory_swap: Some(128 << 20),
            nano_cpus: Some(1_500_000_000),
            cpu_shares: Some(512),
            cpuset_cpus: Some("0".into()),
            pids_limit: Some(50),
            ulimits: vec![Ulimit {
                name: "nofile".into(),
                soft: 10,
                hard: 20,
            }],
            devices: vec![DeviceRequest {
                host_path: "/dev/null".into(),
                container_path: "/dev/null".into(),
                permissions: "rwm".into(),
            }],
            oom_score_adj: Some(5),
            cgroup_parent: Some("/x".into()),
            ..Resources::default()
        },
        security: Security {
            cap_add: vec!["CAP_NET_ADMIN".into()],
            cap_drop: vec!["ALL".into()],
            no_new_privileges: Some(true),
            seccomp: SeccompProfile::Custom(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#.into()),
            ..Security::default()
        },
        ..ContainerSpec::default()
    };
    assert_eq!(spec, expected);
}

#[test]
fn a_spec_survives_the_way_over_the_wire() {
    let mut everything = read(EVERYTHING);
    everything.host_config.port_bindings = None;
    everything.host_config.binds = Some(vec!["/a:/b:ro".into(), "/c:/d".into()]);
    let mut special = spec_of(with(&json!({
        "Entrypoint": [""],
        "Env": ["BARE"],
        "HostConfig": {
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "MaskedPaths": [],
            "Mounts": [
                {"Type": "bind", "Source": "/s", "Target": "/1", "ReadOnly": true,
                 "BindOptions": {"NonRecursive": true, "CreateMountpoint": true,
                                 "ReadOnlyForceRecursive": true}},
                {"Type": "tmpfs", "Target": "/2", "ReadOnly": true,
                 "TmpfsOptions": {"Options": [["exec"], ["uid", "5"]]}},
            ],
            "Tmpfs": {"/3": ""},
            "SecurityOpt": ["seccomp=unconfined"],
            "MemorySwappiness": 60,
        },
    })))
    .expect("accepted");
    assert_eq!(special.entrypoint, Some(vec![String::new()]));
    special.console_size = [24, 80];
    special.stop_timeout = Some(-1);
    special.annotations.insert("a".into(), "b".into());
    for spec in [
        spec_of(read(PLAIN)).expect("accepted"),
        spec_of(read(PRIVILEGED)).expect("accepted"),
        spec_of(everything).expect("accepted"),
        special,
    ] {
        let text = serde_json::to_string(&create_request(&spec)).expect("JSON");
        assert_eq!(spec_of(read(&text)), Ok(spec));
    }
}

/// What a client may say, and the field that is refused.
const UNSUPPORTED: &[(&str, &str)] = &[
    (
        r#"{"HostConfig": {"Mounts": [{"Type": "cluster", "Target": "/x"}]}}"#,
        "HostConfig.Mounts",
    ),
    (r#"{"HostConfig": {"Cgroup": "x"}}"#, "HostConfig.Cgroup"),
    (
        r#"{"HostConfig": {"Isolation": "hyperv"}}"#,
        "HostConfig.Isolation",
    ),
    (
        r#"{"HostConfig": {"KernelMemory": 1}}"#,
        "HostConfig.KernelMemory",
    ),
    (
        r#"{"HostConfig": {"KernelMemoryTCP": 1}}"#,
        "HostConfig.KernelMemoryTCP",
    ),
    (r#"{"HostConfig": {"CpuCount": 1}}"#, "HostConfig.CpuCount"),
    (
        r#"{"HostConfig": {"CpuPercent": 1}}"#,
        "HostConfig.CpuPercent",
    ),
    (
        r#"{"HostConfig": {"IOMaximumIOps": 1}}"#,
        "HostConfig.IOMaximumIOps",
    ),
    (
        r#"{"HostConfig": {"IOMaximumBandwidth": 1}}"#,
        "HostConfig.IOMaximumBandwidth",
    ),
];

#[test]
fn what_is_not_honoured_is_refused_by_name() {
    for (changes, field) in UNSUPPORTED {
        let changes: Value = serde_json::from_str(changes).expect(field);
        let refused = spec_of(with(&changes)).expect_err(field);
        let sentence = format!("{field} is not supported by this version of Brig: ");
        assert!(refused.starts_with(&sentence), "{changes}: {refused}");
    }
}

/// What a client may say, and the sentence that refuses it.
const SENSELESS: &[(&str, &str)] = &[
    (r#"{"Image": ""}"#, "invalid Image: it must be said"),
    (
        r#"{"Healthcheck": {"Test": ["X", "x"]}}"#,
        "invalid Healthcheck.Test: [\"X\", \"x\"]: NONE, or CMD, CMD-SHELL, HTTP, TCP or GRPC and what it \
         takes is expected",
    ),
    (
        r#"{"Healthcheck": {"Interval": 5}}"#,
        "Interval in Healthcheck cannot be less than 1ms",
    ),
    (
        r#"{"WorkingDir": "x"}"#,
        "invalid WorkingDir: the working directory 'x' is invalid, it needs to be an \
         absolute path",
    ),
    (
        r#"{"Hostname": "a b"}"#,
        "invalid Hostname: \"a b\": letters, digits, '.', '-' and '_' are expected, at most \
         64",
    ),
    (r#"{"Env": ["=x"]}"#, "invalid environment variable: =x"),
    (r#"{"StopSignal": "FOO"}"#, "invalid StopSignal: FOO"),
    (
        r#"{"ExposedPorts": {"x/tcp": {}}}"#,
        "invalid ExposedPorts: \"x/tcp\": port[/tcp|udp|sctp] is expected",
    ),
    (
        r#"{"HostConfig": {"PidMode": "shareable"}}"#,
        "invalid PID mode: shareable",
    ),
    (
        r#"{"HostConfig": {"IpcMode": "container:"}}"#,
        "invalid IPC mode: container:",
    ),
    (
        r#"{"HostConfig": {"UTSMode": "container:x"}}"#,
        "invalid UTS mode: container:x",
    ),
    (
        r#"{"HostConfig": {"CgroupnsMode": "none"}}"#,
        "invalid cgroup namespace mode: none: host or private is expected",
    ),
    (
        r#"{"HostConfig": {"UsernsMode": "keep-id"}}"#,
        "invalid user namespace mode: \"keep-id\" is none: host, private, auto[:OPTIONS] or \
         container:NAME is expected",
    ),
    (
        r#"{"HostConfig": {"BlkioWeight": 9}}"#,
        "Range of blkio weight is from 10 to 1000",
    ),
    (
        r#"{"HostConfig": {"BlkioDeviceReadBps": [{"Path": "sda", "Rate": 1}]}}"#,
        "bad format for device path: \"sda\": an absolute path is expected, as /dev/sda",
    ),
    (
        r#"{"HostConfig": {"DeviceCgroupRules": ["c 1 r"]}}"#,
        "invalid device cgroup rule format: 'c 1 r': TYPE MAJOR:MINOR PERMISSIONS is expected, as \
         in 'c 42:* rmw'",
    ),
    (
        r#"{"HostConfig": {"DeviceRequests": [{"Count": 1, "DeviceIDs": ["x"]}]}}"#,
        "cannot set both Count and DeviceIDs on device request",
    ),
    (
        r#"{"HostConfig": {"Memory": 1}}"#,
        "invalid HostConfig.Memory: Minimum memory limit allowed is 6MB",
    ),
    (
        r#"{"HostConfig": {"Memory": 9000000, "MemorySwap": 8000000}}"#,
        "invalid HostConfig.MemorySwap: Minimum memoryswap limit should be larger than \
         memory limit, see usage",
    ),
    (
        r#"{"HostConfig": {"MemorySwap": 8000000}}"#,
        "invalid HostConfig.MemorySwap: You should always set the Memory limit when using \
         Memoryswap limit, see usage",
    ),
    (
        r#"{"HostConfig": {"MemorySwappiness": 101}}"#,
        "invalid HostConfig.MemorySwappiness: 101: valid memory swappiness range is 0-100",
    ),
    (
        r#"{"HostConfig": {"NanoCpus": 1000000000, "CpuQuota": 5000}}"#,
        "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
    ),
    (
        r#"{"HostConfig": {"CpuPeriod": 5}}"#,
        "invalid HostConfig.CpuPeriod: CPU cfs period can not be less than 1ms (i.e. 1000) \
         or larger than 1s (i.e. 1000000)",
    ),
    (
        r#"{"HostConfig": {"CpusetCpus": "1-x"}}"#,
        "Invalid value 1-x for cpuset cpus: numbers and ranges are expected, as in 0-2,4",
    ),
    (
        r#"{"HostConfig": {"ShmSize": -1}}"#,
        "invalid HostConfig.ShmSize: SHM size can not be less than 0",
    ),
    (
        r#"{"HostConfig": {"OomScoreAdj": 1001}}"#,
        "Invalid value 1001, range for oom score adj is [-1000, 1000]",
    ),
    (
        r#"{"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 9, "Hard": 8}]}}"#,
        "invalid HostConfig.Ulimits: nofile: ulimit soft limit must be less than or equal \
         to hard limit: 9 > 8",
    ),
    (
        r#"{"HostConfig": {"Devices": [{"PathOnHost": "/dev/x", "CgroupPermissions": "rr"}]}}"#,
        "invalid HostConfig.Devices: /dev/x: invalid device mode: rr; some of rwm are \
         expected",
    ),
    (
        r#"{"HostConfig": {"RestartPolicy": {"Name": "sometimes"}}}"#,
        "invalid restart policy: unknown policy 'sometimes'; use one of 'no', \
         'always', 'on-failure', or 'unless-stopped'",
    ),
    (
        r#"{"HostConfig": {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 2}}}"#,
        "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    ),
    (
        r#"{"HostConfig": {"Binds": ["/a:b"]}}"#,
        "invalid HostConfig.Binds: invalid mount specification: '/a:b': invalid mount path: \
         'b' mount path must be absolute",
    ),
    (
        r#"{"HostConfig": {"Binds": ["/a:/"]}}"#,
        "invalid HostConfig.Binds: invalid mount specification: '/a:/': destination can't \
         be '/'",
    ),
    (
        r#"{"HostConfig": {"Binds": ["/a:/b:rx"]}}"#,
        "invalid HostConfig.Binds: invalid volume specification: '/a:/b:rx': invalid mode: rx",
    ),
    (
        r#"{"HostConfig": {"Binds": ["/a:/b:ro,rw"]}}"#,
        "invalid HostConfig.Binds: invalid volume specification: '/a:/b:ro,rw': invalid \
         mode: ro,rw",
    ),
    (
        r#"{"HostConfig": {"Binds": ["/a:/b:c:d"]}}"#,
        "invalid HostConfig.Binds: invalid volume specification: '/a:/b:c:d'",
    ),
    (
        r#"{"HostConfig": {"Binds": ["/a:/b", "/c:/x/../b/"]}}"#,
        "invalid HostConfig.Binds: Duplicate mount point: /b",
    ),
    (
        r#"{"HostConfig": {"Binds": ["/a:/b"], "Tmpfs": {"/b": ""}}}"#,
        "invalid HostConfig.Tmpfs: Duplicate mount point: /b",
    ),
    (
        r#"{"HostConfig": {"Mounts": [{"Type": "bind", "Target": "/b"}]}}"#,
        "invalid HostConfig.Mounts: invalid mount config for type \"bind\": field Source \
         must not be empty",
    ),
    (
        r#"{"HostConfig": {"Mounts": [{"Type": "bind", "Source": "/b"}]}}"#,
        "invalid HostConfig.Mounts: invalid mount config for type \"bind\": field Target \
         must not be empty",
    ),
    (
        r#"{"HostConfig": {"Mounts": [{"Type": "tmpfs", "Target": "/b", "BindOptions": {}}]}}"#,
        "invalid HostConfig.Mounts: invalid mount config for type \"tmpfs\": field \
         BindOptions must not be specified",
    ),
    (
        r#"{"HostConfig": {"Mounts": [{"Type": "odd", "Target": "/b"}]}}"#,
        "invalid HostConfig.Mounts: mount type unknown: \"odd\"; bind, volume, tmpfs and image are known",
    ),
    (
        r#"{"HostConfig": {"Binds": ["/a:/b:nocopy"]}}"#,
        "invalid HostConfig.Binds: invalid volume specification: '/a:/b:nocopy': invalid mode: \
         nocopy",
    ),
    (
        r#"{"HostConfig": {"Binds": ["db:/b:rslave"]}}"#,
        "invalid HostConfig.Binds: invalid volume specification: 'db:/b:rslave': invalid mode: \
         rslave",
    ),
    (
        r#"{"HostConfig": {"Binds": ["a/b:/b"]}}"#,
        "invalid HostConfig.Binds: create a/b: \"a/b\" includes invalid characters for a local \
         volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a \
         host directory, use absolute path",
    ),
    (
        r#"{"HostConfig": {"Mounts": [{"Type": "volume", "Source": "db", "Target": "/b", "VolumeOptions": {"Subpath": "a/../../c"}}]}}"#,
        "invalid HostConfig.Mounts: invalid mount config for type \"volume\": subpath must be a \
         relative path within the volume: \"a/../../c\"",
    ),
    (
        r#"{"HostConfig": {"Mounts": [{"Type": "image", "Target": "/b"}]}}"#,
        "invalid HostConfig.Mounts: invalid mount config for type \"image\": field Source must \
         not be empty",
    ),
    (
        r#"{"HostConfig": {"SecurityOpt": ["nonsense"]}}"#,
        "invalid --security-opt 1: \"nonsense\"",
    ),
    (
        r#"{"HostConfig": {"SecurityOpt": ["a=b"]}}"#,
        "invalid --security-opt 2: \"a=b\"",
    ),
    (
        r#"{"HostConfig": {"SecurityOpt": ["seccomp=/etc/x"]}}"#,
        "invalid HostConfig.SecurityOpt: seccomp=/etc/x: unconfined, builtin or the text of \
         a profile is expected; clients read the file",
    ),
    (
        r#"{"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "x"}}}}"#,
        "invalid value 'x' for log opt 'max-size'",
    ),
    (
        r#"{"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"size": "x"}}}}"#,
        "unknown log opt 'size' for json-file log driver",
    ),
];

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    for (changes, sentence) in SENSELESS {
        let changes: Value = serde_json::from_str(changes).expect(sentence);
        assert_eq!(
            spec_of(with(&changes)).map(drop),
            Err((*sentence).to_owned()),
            "{changes}"
        );
    }
}

#[test]
fn what_amounts_to_nothing_is_taken() {
    let host = |change: Value| json!({ "HostConfig": change });
    for changes in [
        json!({"Healthcheck": null, "Volumes": null, "Labels": null}),
        json!({"Unknown": 1, "HostConfig": {"Unknown": [1]}}),
        host(Value::Null),
        host(json!({"RestartPolicy": {"Name": ""}})),
        host(json!({"PortBindings": {"80/tcp": null}})),
        host(json!({"PortBindings": {"80/tcp": []}})),
        host(json!({"NetworkMode": "bridge"})),
        host(json!({"PidMode": "default", "IpcMode": "", "CgroupnsMode": null})),
        host(json!({"DeviceRequests": [], "DeviceCgroupRules": null, "BlkioWeightDevice": []})),
        host(json!({"Isolation": "default", "Runtime": "", "VolumeDriver": "local"})),
        host(json!({"SecurityOpt": ["apparmor=unconfined"]})),
        host(json!({"PidsLimit": 0, "MemorySwappiness": -1, "OomKillDisable": false})),
    ] {
        let spec = spec_of(with(&changes)).unwrap_or_else(|e| panic!("{changes}: {e}"));
        assert_eq!(Ok(spec), spec_of(read(PLAIN)), "{changes}");
    }
}

#[test]
fn old_clients_mean_shallow_read_only() {
    let request = with(&json!({"HostConfig": {"Binds": ["/a:/b:ro", "/a:/c"]}}));
    let shallow = |version| -> Vec<bool> {
        container_spec(request.clone(), None, version)
            .expect("accepted")
            .mounts
            .iter()
            .map(|m| match m.kind {
                MountKind::Bind {
                    read_only_non_recursive,
                    ..
                } => read_only_non_recursive,
                _ => false,
            })
            .collect()
    };
    assert_eq!(shallow(Version::new(1, 43)), [true, false]);
    assert_eq!(shallow(Version::new(1, 44)), [false, false]);
}

#[test]
fn inspect_shows_dockers_defaults() {
    let spec = spec_of(with(&json!({"HostConfig": {
        "Binds": ["/a:/b:ro,rslave", "db:/d:nocopy"],
        "Mounts": [
            {"Type": "tmpfs", "Target": "/t"},
            {"Type": "volume", "Source": "kept", "Target": "/k", "ReadOnly": true},
            {"Type": "image", "Source": "other", "Target": "/i"},
        ],
        "Tmpfs": {"/u": "size=1m"},
    }})))
    .expect("accepted");
    let shown = host_config_shown(&spec);
    assert_eq!(
        (
            shown.network_mode.as_str(),
            shown.shm_size,
            shown.log_config.r#type.as_str()
        ),
        ("bridge", 64 << 20, "json-file")
    );
    assert_eq!(
        shown.binds,
        Some(
            ["/a:/b:ro,rslave", "db:/d:nocopy"]
                .map(str::to_owned)
                .into()
        )
    );
    assert_eq!(shown.tmpfs["/u"], "size=1m");
    let points: Vec<String> = mount_points(&spec.mounts, |name| format!("/volumes/{name}"))
        .iter()
        .map(|p| serde_json::to_string(p).expect("JSON"))
        .collect();
    assert_eq!(
        points,
        [
            r#"{"Type":"bind","Source":"/a","Destination":"/b","Mode":"ro,rslave","RW":false,"Propagation":"rslave"}"#,
            r#"{"Type":"volume","Name":"db","Source":"/volumes/db","Destination":"/d","Driver":"local","Mode":"nocopy","RW":true,"Propagation":""}"#,
            r#"{"Type":"tmpfs","Source":"","Destination":"/t","Mode":"","RW":true,"Propagation":""}"#,
            r#"{"Type":"volume","Name":"kept","Source":"/volumes/kept","Destination":"/k","Driver":"local","Mode":"z","RW":false,"Propagation":""}"#,
            r#"{"Type":"image","Source":"other","Destination":"/i","Mode":"","RW":false,"Propagation":""}"#,
        ]
    );
    assert_eq!(LogConfig::default().driver, "json-file");
}

/// What is written has dockerd's names and order: Docker's client writes the same structs.
#[test]
fn the_request_has_the_fields_of_dockers_client() {
    for body in [PLAIN, PRIVILEGED] {
        let theirs: Value = serde_json::from_str(body).expect("JSON");
        let ours = serde_json::to_value(read(body)).expect("JSON");
        let keys = |v: &Value| -> Vec<String> {
            v.as_object()
                .map(|m| m.keys().cloned().collect())
                .unwrap_or_default()
        };
        assert_eq!(keys(&ours), keys(&theirs));
        assert_eq!(keys(&ours["HostConfig"]), keys(&theirs["HostConfig"]));
        assert_eq!(ours["HostConfig"], theirs["HostConfig"]);
    }
}
