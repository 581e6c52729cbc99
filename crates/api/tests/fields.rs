//! Every field of a request for a container, by its name in the specification: what a client sets is
//! taken over, or refused, or is of no effect for a reason that stands here. Nothing is ignored by
//! oversight.

#![allow(clippy::expect_used, reason = "a test")]

use api::Version;
use api::convert::container_spec;
use serde_json::{Value, json};
use types::ContainerSpec;

/// A field and something that it may be.
type Field = (&'static str, fn() -> Value);

const CONFIG: &[Field] = &[
    ("Hostname", || json!("ship")),
    ("Domainname", || json!("sea")),
    ("User", || json!("1:2")),
    ("AttachStdin", || json!(true)),
    ("AttachStdout", || json!(true)),
    ("AttachStderr", || json!(true)),
    ("ExposedPorts", || json!({"80/tcp": {}})),
    ("Tty", || json!(true)),
    ("OpenStdin", || json!(true)),
    ("StdinOnce", || json!(true)),
    ("Env", || json!(["A=b"])),
    ("Cmd", || json!(["false"])),
    ("Healthcheck", || json!({"Test": ["CMD", "true"]})),
    ("Image", || json!("other")),
    ("Volumes", || json!({"/v": {}})),
    ("WorkingDir", || json!("/tmp")),
    ("Entrypoint", || json!(["/bin/sh"])),
    ("NetworkDisabled", || json!(true)),
    ("Labels", || json!({"a": "b"})),
    ("StopSignal", || json!("USR1")),
    ("StopTimeout", || json!(3)),
];

const HOST: &[Field] = &[
    ("CpuShares", || json!(512)),
    ("Memory", || json!(64 << 20)),
    ("CgroupParent", || json!("/x")),
    ("BlkioWeight", || json!(300)),
    (
        "BlkioWeightDevice",
        || json!([{"Path": "/dev/x", "Weight": 300}]),
    ),
    (
        "BlkioDeviceReadBps",
        || json!([{"Path": "/dev/x", "Rate": 1}]),
    ),
    (
        "BlkioDeviceWriteBps",
        || json!([{"Path": "/dev/x", "Rate": 1}]),
    ),
    (
        "BlkioDeviceReadIOps",
        || json!([{"Path": "/dev/x", "Rate": 1}]),
    ),
    (
        "BlkioDeviceWriteIOps",
        || json!([{"Path": "/dev/x", "Rate": 1}]),
    ),
    ("CpuPeriod", || json!(5000)),
    ("CpuQuota", || json!(5000)),
    ("CpuRealtimePeriod", || json!(5000)),
    ("CpuRealtimeRuntime", || json!(5000)),
    ("CpusetCpus", || json!("0")),
    ("CpusetMems", || json!("0")),
    ("Devices", || json!([{"PathOnHost": "/dev/null"}])),
    ("DeviceCgroupRules", || json!(["c 1:3 r"])),
    (
        "DeviceRequests",
        || json!([{"Driver": "cdi", "DeviceIDs": ["a.com/b=c"]}]),
    ),
    ("KernelMemory", || json!(1)),
    ("KernelMemoryTCP", || json!(1)),
    ("MemoryReservation", || json!(64 << 20)),
    ("MemorySwap", || json!(64 << 20)),
    ("MemorySwappiness", || json!(7)),
    ("NanoCpus", || json!(500_000_000)),
    ("OomKillDisable", || json!(true)),
    ("Init", || json!(true)),
    ("PidsLimit", || json!(7)),
    (
        "Ulimits",
        || json!([{"Name": "nofile", "Soft": 1, "Hard": 2}]),
    ),
    ("CpuCount", || json!(1)),
    ("CpuPercent", || json!(1)),
    ("IOMaximumIOps", || json!(1)),
    ("IOMaximumBandwidth", || json!(1)),
    ("Binds", || json!(["/a:/b"])),
    ("LogConfig", || json!({"Type": "none"})),
    ("NetworkMode", || json!("none")),
    ("PortBindings", || json!({"80/tcp": [{"HostPort": "80"}]})),
    ("RestartPolicy", || json!({"Name": "always"})),
    ("AutoRemove", || json!(true)),
    ("VolumeDriver", || json!("other")),
    ("VolumesFrom", || json!(["web"])),
    ("Mounts", || json!([{"Type": "tmpfs", "Target": "/t"}])),
    ("ConsoleSize", || json!([24, 80])),
    ("Annotations", || json!({"a": "b"})),
    ("CapAdd", || json!(["SYS_TIME"])),
    ("CapDrop", || json!(["CHOWN"])),
    ("CgroupnsMode", || json!("host")),
    ("Dns", || json!(["10.0.0.1"])),
    ("DnsOptions", || json!(["rotate"])),
    ("DnsSearch", || json!(["sea"])),
    ("ExtraHosts", || json!(["a:10.0.0.1"])),
    ("GroupAdd", || json!(["audio"])),
    ("IpcMode", || json!("host")),
    ("Cgroup", || json!("container:x")),
    ("Links", || json!(["web:w"])),
    ("OomScoreAdj", || json!(7)),
    ("PidMode", || json!("host")),
    ("Privileged", || json!(true)),
    ("PublishAllPorts", || json!(true)),
    ("ReadonlyRootfs", || json!(true)),
    ("SecurityOpt", || json!(["no-new-privileges"])),
    ("StorageOpt", || json!({"size": "1g"})),
    ("Tmpfs", || json!({"/t": ""})),
    ("UTSMode", || json!("host")),
    ("UsernsMode", || json!("host")),
    ("ShmSize", || json!(1 << 20)),
    ("Sysctls", || json!({"net.core.somaxconn": "7"})),
    ("Runtime", || json!("crun")),
    ("Isolation", || json!("hyperv")),
    ("MaskedPaths", || json!(["/proc/x"])),
    ("ReadonlyPaths", || json!(["/proc/x"])),
];

/// Fields of one mount, with what else such a mount needs.
const MOUNTS: &[Field] = &[
    ("Source", || json!({"Type": "volume", "Source": "vol"})),
    ("ReadOnly", || json!({"Type": "volume", "ReadOnly": true})),
    ("BindOptions.Propagation", || {
        bind(json!({"Propagation": "rslave"}))
    }),
    ("BindOptions.NonRecursive", || {
        bind(json!({"NonRecursive": true}))
    }),
    ("BindOptions.CreateMountpoint", || {
        bind(json!({"CreateMountpoint": true}))
    }),
    ("BindOptions.ReadOnlyNonRecursive", || {
        bind(json!({"ReadOnlyNonRecursive": true}))
    }),
    ("BindOptions.ReadOnlyForceRecursive", || {
        bind(json!({"ReadOnlyForceRecursive": true}))
    }),
    ("VolumeOptions.NoCopy", || volume(json!({"NoCopy": true}))),
    ("VolumeOptions.Labels", || {
        volume(json!({"Labels": {"a": "b"}}))
    }),
    ("VolumeOptions.DriverConfig", || {
        volume(json!({"DriverConfig": {"Options": {"o": "x"}}}))
    }),
    ("VolumeOptions.Subpath", || volume(json!({"Subpath": "x"}))),
    (
        "ImageOptions.Subpath",
        || json!({"Type": "image", "Source": "bb", "ImageOptions": {"Subpath": "x"}}),
    ),
    ("TmpfsOptions.SizeBytes", || {
        tmpfs(json!({"SizeBytes": 4096}))
    }),
    ("TmpfsOptions.Mode", || tmpfs(json!({"Mode": 0o700}))),
    ("TmpfsOptions.Options", || {
        tmpfs(json!({"Options": [["exec"]]}))
    }),
];

/// Of no effect, and why.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("ArgsEscaped", "it is for Windows"),
    ("OnBuild", "it is for builds upon an image"),
    ("Shell", "it is for builds upon an image"),
    ("ContainerIDFile", "the client has written it"),
    ("Mounts.Consistency", "it is for Docker Desktop"),
];

fn bind(options: Value) -> Value {
    json!({"Type": "bind", "Source": "/a", "ReadOnly": true, "BindOptions": options})
}

fn volume(options: Value) -> Value {
    json!({"Type": "volume", "Source": "vol", "VolumeOptions": options})
}

fn tmpfs(options: Value) -> Value {
    json!({"Type": "tmpfs", "TmpfsOptions": options})
}

fn asked(config: &Value) -> Result<ContainerSpec, String> {
    let mut request = json!({"Image": "debian", "Cmd": ["true"]});
    let fields = config.as_object().expect("an object").clone();
    request.as_object_mut().expect("an object").extend(fields);
    let request = serde_json::from_value(request).expect("a request");
    container_spec(request, None, Version::MAX).map_err(|refusal| refusal.to_string())
}

#[test]
fn what_is_set_is_taken_over_or_refused() {
    let nothing = asked(&json!({}));
    let config = CONFIG
        .iter()
        .map(|(name, value)| (*name, json!({*name: value()})));
    let host = HOST
        .iter()
        .map(|(name, value)| (*name, json!({"HostConfig": {*name: value()}})));
    for (name, request) in config.chain(host) {
        assert_ne!(asked(&request), nothing, "{name} is ignored");
    }
}

#[test]
fn what_is_set_of_mounts_is_taken_over_or_refused() {
    let one = |mut mount: Value| {
        mount["Target"] = json!("/t");
        asked(&json!({"HostConfig": {"Mounts": [mount]}}))
    };
    for (name, mount) in MOUNTS {
        let mut without = mount();
        let (group, field) = name.split_once('.').unwrap_or(("", name));
        let fields = match group {
            "" => &mut without,
            group => &mut without[group],
        };
        fields.as_object_mut().expect("fields").remove(field);
        assert_ne!(one(mount()), one(without), "{name} is ignored");
    }
}

#[test]
fn every_field_of_the_specification_is_in_the_table() {
    let known = |name: &str| {
        let listed = |table: &[Field]| table.iter().any(|(field, _)| *field == name);
        listed(CONFIG) || listed(HOST) || WITHOUT_EFFECT.iter().any(|(field, _)| *field == name)
    };
    let fields = include_str!("fixtures/create-fields.txt");
    let missing: Vec<&str> = fields
        .split_whitespace()
        .filter(|name| !known(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
