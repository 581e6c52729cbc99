//! What others write, changed at random: whatever comes, it is taken or refused with a sentence, and
//! never panics, hangs or grows. `cargo xtask fuzz` runs these for as long as one likes.
#![allow(clippy::print_stdout, reason = "a long run says what it has done")]

use std::os::fd::AsFd;
use std::path::Path;

use oci_spec::runtime::Spec;
use serde_json::{Value, json};

#[path = "../tests/support/mutate.rs"]
mod mutate;

use crate::error::Error;
use crate::protocol::{FromInit, ToInit, channel};
use crate::{CgroupDriver, CreateRequest, Rootless, Stdio, prepare};
use mutate::{bytes, value, with_seeds};

/// A configuration that says something about everything.
fn rich() -> Value {
    let mut config: Value = serde_json::from_str(include_str!("command/template.json")).unwrap();
    let device = json!({"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0});
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    let linux = &mut config["linux"];
    linux["devices"] = json!([device]);
    linux["uidMappings"] = map.clone();
    linux["gidMappings"] = map;
    linux["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "user"}));
    linux["sysctl"] = json!({"net.ipv4.ip_forward": "1", "kernel.shmmni": "1"});
    linux["cgroupsPath"] = json!("/fuzz/x");
    linux["rootfsPropagation"] = json!("rslave");
    linux["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [{"names": ["read", "socket"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": 3, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]}]});
    linux["resources"] = json!({
        "devices": [{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}],
        "memory": {"limit": 1 << 30, "swap": 1 << 31, "reservation": 1 << 29, "swappiness": 10},
        "cpu": {"shares": 100, "quota": 1000, "period": 10000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 10}, "unified": {"memory.high": "max"},
        "blockIO": {"weight": 10, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}]},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 1}],
        "network": {"classID": 1, "priorities": [{"name": "lo", "priority": 1}]},
        "rdma": {"x": {"hcaHandles": 1, "hcaObjects": 2}}});
    let process = &mut config["process"];
    process["user"] = json!({"uid": 1, "gid": 2, "umask": 18, "additionalGids": [3, 4]});
    process["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 4});
    process["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": 3});
    process["execCPUAffinity"] = json!({"initial": "0-1", "final": "1"});
    process["oomScoreAdj"] = json!(10);
    process["consoleSize"] = json!({"height": 10, "width": 20});
    let hook = json!([{"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 3}]);
    config["hooks"] = json!({"createRuntime": hook, "poststop": hook});
    config["annotations"] = json!({"a": "b"});
    config
}

/// Reads and plans as `create` does before it touches anything; what it is refused with.
fn plan(spec: &Spec) -> Result<(), Error> {
    let request = CreateRequest {
        id: "fuzz",
        bundle: Path::new("/no/such/bundle"),
        spec,
        rootfs: &[],
        stdio: Stdio::Inherit,
        parent_death_signal: None,
        gate: None,
        start_at_once: false,
        word: None,
        cgroup_driver: CgroupDriver::Direct,
        rootless: Rootless::No,
        preserve_fds: 0,
        new_keyring: true,
        no_pivot: false,
        network: None,
        filter: None,
        groundwork: None,
        note_mounts_in: None,
        meanwhile: None,
        fail_at: None,
    };
    prepare::plan(&request)?;
    let linux = spec.linux().clone().unwrap_or_default();
    crate::seccomp::compile(&linux)?;
    crate::planned_cgroup(spec, "fuzz", CgroupDriver::Direct)?;
    // Told another way, and so refused mostly.
    let _ = crate::planned_cgroup(spec, "fuzz", CgroupDriver::Systemd);
    Ok(())
}

fn check(text: &[u8]) {
    match crate::parse_spec(text) {
        Ok(spec) => {
            if let Err(error) = plan(&spec) {
                assert!(!error.to_string().is_empty());
            }
            // What is understood is understood the same way when it has been written down.
            let written = serde_json::to_vec(&spec).unwrap();
            let again = crate::parse_spec(&written).unwrap();
            assert_eq!(again, spec);
        }
        Err(error) => assert!(error.to_string().len() < text.len() + 1000),
    }
}

#[test]
fn any_configuration_is_planned_or_refused() {
    let rich = rich();
    let text = rich.to_string();
    // The corpus is good: nothing of it is refused before the mutations begin.
    let spec = crate::parse_spec(text.as_bytes()).unwrap();
    plan(&spec).unwrap();
    with_seeds(3000, "configurations", |random| {
        let changed = match random.below(4) {
            0 => bytes(random, text.as_bytes()),
            1 => {
                let changed = value(random, &rich).to_string();
                bytes(random, changed.as_bytes())
            }
            _ => value(random, &rich).to_string().into_bytes(),
        };
        check(&changed);
    });
}

#[test]
fn any_message_is_understood_or_refused() {
    let (from_init, to_init) = (
        [
            FromInit::Born { pid: 1 },
            FromInit::AtHooks,
            FromInit::Ready,
            FromInit::Mounted { ids: vec![1, 2] },
            FromInit::Failed(crate::protocol::Failure::new(
                types::ErrorKind::Invalid,
                "a \"reason\"",
            )),
        ]
        .map(|message| serde_json::to_vec(&message).unwrap()),
        [ToInit::Continue, ToInit::Start].map(|message| serde_json::to_vec(&message).unwrap()),
    );
    with_seeds(3000, "messages", |random| {
        let (maker, init) = channel().unwrap();
        let mut text = match random.below(2) {
            0 => random.pick(&from_init).clone(),
            _ => random.pick(&to_init).clone(),
        };
        if random.below(8) > 0 {
            text = bytes(random, &text);
        }
        let passed: Vec<_> = (0..random.below(4)).map(|_| maker.as_fd()).collect();
        // An empty message is an end of stream, which is one of the things that may come.
        if sys::socket::send(&init, &text, &passed).is_ok()
            && let Ok(Some((message, fds))) = maker.receive()
        {
            assert!(fds.len() <= passed.len());
            let again: FromInit =
                serde_json::from_slice(&serde_json::to_vec(&message).unwrap()).unwrap();
            assert_eq!(again, message);
        }
        if sys::socket::send(&maker, &text, &[]).is_ok()
            && let Ok(Some((message, _))) = init.receive()
        {
            let known = [ToInit::Continue, ToInit::Start].contains(&message);
            assert!(known, "{message:?}");
        }
    });
}
