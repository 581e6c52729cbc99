//! Network devices moved into containers: from a network namespace that each test makes, in which a
//! shell makes the devices and runs the container.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::process::Command;

use serde_json::json;
use support::{Bundle, text};

/// Runs a script in a network namespace of its own, `$RUN` being what runs the bundle; whether it
/// succeeded, and what was said on both streams.
fn run(bundle: &Bundle, script: &str) -> Option<(bool, String)> {
    let cannot = support::cannot_run();
    let no_ip = || Command::new("ip").arg("-V").output().is_err();
    let reason = cannot.or_else(|| no_ip().then_some("SKIP: no ip (Debian: iproute2)"));
    if let Some(reason) = reason {
        support::skip(reason);
        return None;
    }
    bundle.write();
    let runtime = format!(
        "{} --root {} run {}",
        env!("CARGO_BIN_EXE_brig-runtime"),
        bundle.state().display(),
        bundle.id
    );
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", script])
        .env("RUN", runtime)
        .current_dir(bundle.path())
        .output()
        .unwrap();
    bundle.assert_nothing_left();
    let said = text(&output.stdout) + &text(&output.stderr);
    if said.contains("Unknown device type") {
        support::skip("SKIP: this kernel has no veth devices");
        return None;
    }
    Some((output.status.success(), said))
}

// Duplicate detection is switched off by file: busybox' ip has no word for it.
const MAKE: &str = "set -e; ip link add brig0 type veth peer name brig1; \
    ip addr add 10.9.8.7/24 dev brig0; ip addr add 169.254.1.1/32 scope link dev brig0; \
    ip link set brig0 mtu 1400 up; echo 0 > /proc/sys/net/ipv6/conf/brig0/accept_dad; ip -6 addr add fd00:9::7/64 dev brig0;";

#[test]
fn a_device_goes_with_its_addresses() {
    let mut bundle = Bundle::script("ip -o addr show dev brig0; ip -o link show dev brig0");
    bundle.config["linux"]["netDevices"] = json!({"brig0": {}});
    let script = format!("{MAKE} $RUN; ! ip link show brig0 2>/dev/null");
    let Some((succeeded, said)) = run(&bundle, &script) else {
        return;
    };
    assert!(succeeded, "{said}");
    assert!(said.contains("inet 10.9.8.7/24"), "{said}");
    assert!(said.contains("inet6 fd00:9::7/64"), "{said}");
    // Valid on the machine it was on.
    assert!(!said.contains("169.254.1.1"), "{said}");
    assert!(said.contains("mtu 1400") && said.contains(",UP"), "{said}");
}

#[test]
fn a_device_is_renamed_on_its_way() {
    let mut bundle = Bundle::script("ip -o addr show dev inside0");
    bundle.config["linux"]["netDevices"] =
        json!({"brig0": {"name": "inside0"}, "brig1": {"name": "inside1"}});
    let Some((succeeded, said)) = run(&bundle, &format!("{MAKE} $RUN")) else {
        return;
    };
    assert!(succeeded, "{said}");
    assert!(said.contains("inet 10.9.8.7/24"), "{said}");
}

#[test]
fn a_device_goes_into_a_joined_namespace_and_stays() {
    let mut bundle = Bundle::script("ip -o addr show dev brig0");
    bundle.config["linux"]["netDevices"] = json!({"brig0": {}});
    // A process that holds the namespace; the configuration can name it only afterwards.
    let script = format!(
        "{MAKE} mkfifo here hold; unshare --net sh -c 'echo $$ > here; read x < hold' & \
         pid=$(cat here); sed -i \"s,@,/proc/$pid/ns/net,\" config.json; \
         $RUN; nsenter --target $pid --net ip -o addr show dev brig0; echo > hold; wait"
    );
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "network");
    namespaces.push(json!({"type": "network", "path": "@"}));
    let Some((succeeded, said)) = run(&bundle, &script) else {
        return;
    };
    assert!(succeeded, "{said}");
    assert_eq!(said.matches("inet 10.9.8.7/24").count(), 2, "{said}");
}

#[test]
fn a_device_goes_into_a_user_namespace() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let mut bundle = Bundle::script("ip -o addr show dev brig0");
    bundle.config["linux"]["netDevices"] = json!({"brig0": {}});
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "user"}));
    for name in ["uidMappings", "gidMappings"] {
        bundle.config["linux"][name] =
            json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    }
    std::fs::set_permissions(bundle.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for dir in ["", "proc", "dev", "sys"] {
        let dir = bundle.in_root(dir);
        std::fs::create_dir_all(&dir).unwrap();
        if sys::term::is_root() {
            chown(dir, Some(100_000), Some(100_000)).unwrap();
        }
    }
    let Some((succeeded, said)) = run(&bundle, &format!("{MAKE} $RUN")) else {
        return;
    };
    assert!(succeeded, "{said}");
    assert!(said.contains("inet 10.9.8.7/24"), "{said}");
}

#[test]
fn devices_that_cannot_be_moved_are_told() {
    let mut bundle = Bundle::new(&["true"]);
    bundle.config["linux"]["netDevices"] = json!({"brig7": {}});
    let Some((succeeded, said)) = run(&bundle, "$RUN") else {
        return;
    };
    assert!(!succeeded);
    let expected =
        "cannot move the network device brig7 into the container: netlink: no such device";
    assert!(said.contains(expected), "{said}");
    bundle.config["linux"]["netDevices"] = json!({"brig0": {"name": "a/b"}});
    let (_, said) = run(&bundle, "$RUN").unwrap();
    assert!(
        said.contains("\\\"a/b\\\" is no name of a network device"),
        "{said}"
    );
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "network");
    bundle.config["linux"]["netDevices"] = json!({"brig0": {}});
    let (succeeded, said) = run(&bundle, "$RUN").unwrap();
    assert!(!succeeded);
    assert!(
        said.contains("unable to move network devices without a NET namespace"),
        "{said}"
    );
}
