//! config-linux.md, Sysctl, Personality, Memory Policy, Network Devices, IntelRdt; config.md,
//! Linux Process: AppArmor and SELinux.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::super::bundle::Bundle;
use super::super::find::{failed_with, holds, same, text};
use super::super::suite::{Row, Suite, Test, shell, skip, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "sysctl/network",
        "config-linux.md, Sysctl: kernel parameters are set for the container: of its network",
        |suite| {
            sysctl(
                suite,
                "net.ipv4.ip_forward",
                "1",
                "/proc/sys/net/ipv4/ip_forward",
            )
        },
    ),
    (
        "sysctl/network-other",
        "config-linux.md, Sysctl: kernel parameters are set for the container: of its network",
        |suite| {
            sysctl(
                suite,
                "net.core.somaxconn",
                "256",
                "/proc/sys/net/core/somaxconn",
            )
        },
    ),
    (
        "sysctl/ipc",
        "config-linux.md, Sysctl: kernel parameters are set for the container: of its IPC",
        |suite| sysctl(suite, "kernel.msgmax", "4321", "/proc/sys/kernel/msgmax"),
    ),
    (
        "sysctl/mqueue",
        "config-linux.md, Sysctl: kernel parameters are set for the container: of its message queues",
        |suite| {
            sysctl(
                suite,
                "fs.mqueue.msg_max",
                "21",
                "/proc/sys/fs/mqueue/msg_max",
            )
        },
    ),
    (
        "sysctl/with-slash",
        "config-linux.md, Sysctl: names are as sysctl(8) takes them, with dots or slashes",
        |suite| {
            sysctl(
                suite,
                "net/ipv4/ip_forward",
                "1",
                "/proc/sys/net/ipv4/ip_forward",
            )
        },
    ),
    (
        "sysctl/with-readonly-proc",
        "config-linux.md, Sysctl: they are set although the path is read-only inside",
        sysctl_readonly,
    ),
    (
        "sysctl/not-the-hosts",
        "config-linux.md, Sysctl: they are for the container, not for the host",
        sysctl_not_the_hosts,
    ),
    (
        "personality/linux32",
        "config-linux.md, Personality: LINUX32 shows a 32 bit CPU",
        |suite| personality(suite, "LINUX32", true),
    ),
    (
        "personality/linux",
        "config-linux.md, Personality: LINUX is the domain as it is",
        |suite| personality(suite, "LINUX", false),
    ),
    (
        "memory-policy/bind",
        "config-linux.md, Memory Policy: mode and nodes are the process's policy",
        |suite| {
            memory_policy(
                suite,
                json!({ "mode": "MPOL_BIND", "nodes": "0" }),
                "bind:0",
            )
        },
    ),
    (
        "memory-policy/interleave",
        "config-linux.md, Memory Policy: mode and nodes are the process's policy",
        |suite| {
            memory_policy(
                suite,
                json!({ "mode": "MPOL_INTERLEAVE", "nodes": "0" }),
                "interleave:0",
            )
        },
    ),
    (
        "memory-policy/preferred",
        "config-linux.md, Memory Policy: mode and nodes are the process's policy",
        |suite| {
            memory_policy(
                suite,
                json!({ "mode": "MPOL_PREFERRED", "nodes": "0" }),
                "prefer:0",
            )
        },
    ),
    (
        "memory-policy/local",
        "config-linux.md, Memory Policy: mode is the process's policy, MPOL_LOCAL without nodes",
        |suite| memory_policy(suite, json!({ "mode": "MPOL_LOCAL" }), "local"),
    ),
    (
        "memory-policy/static-nodes",
        "config-linux.md, Memory Policy: flags are the policy's",
        |suite| {
            memory_policy(
                suite,
                json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"] }),
                "bind=static:0",
            )
        },
    ),
    (
        "net-devices/moved",
        "config-linux.md, Network Devices: the runtime MUST move the interface into the container's network namespace",
        moved,
    ),
    (
        "net-devices/renamed",
        "config-linux.md, Network Devices: name is the interface's new name inside",
        renamed,
    ),
    (
        "net-devices/keeps-mtu",
        "config-linux.md, Network Devices: the interface's attributes MUST be kept, as the MTU",
        keeps_mtu,
    ),
    (
        "net-devices/keeps-address",
        "config-linux.md, Network Devices: the interface's attributes MUST be kept, as global addresses",
        keeps_address,
    ),
    (
        "net-devices/name-in-use",
        "config-linux.md, Network Devices: a name that the namespace has already MUST be an error",
        name_in_use,
    ),
    (
        "intel-rdt/not-mounted",
        "config-linux.md, IntelRdt: if no resctrl file system is mounted, an error MUST follow",
        rdt_not_mounted,
    ),
    (
        "intel-rdt/schemata",
        "config-linux.md, IntelRdt: the container's process MUST be written to the tasks of closID",
        rdt_schemata,
    ),
    (
        "apparmor/profile-absent",
        "config.md, Linux Process: apparmorProfile is the process's profile; what cannot be set MUST be an error",
        apparmor_absent,
    ),
    (
        "apparmor/unconfined",
        "config.md, Linux Process: apparmorProfile is the process's profile, as unconfined",
        apparmor_unconfined,
    ),
    (
        "selinux/label-without-selinux",
        "config.md, Linux Process: selinuxLabel is the process's label; what cannot be set MUST be an error",
        selinux,
    ),
];

fn sysctl(suite: &Suite, name: &str, value: &str, path: &str) -> Result<()> {
    suite
        .machine
        .need(path, "this kernel has no such parameter")?;
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/sysctl", json!({ name: value }));
    let found = bundle.op(&["read", path])?;
    same(name, found.as_str().map(str::trim), Some(value))
}

fn sysctl_readonly(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/sysctl", json!({ "net.ipv4.ip_forward": "1" }));
    bundle.set("/linux/readonlyPaths", json!(["/proc/sys"]));
    let path = "/proc/sys/net/ipv4/ip_forward";
    let done = bundle.ops(&[&["read", path], &["write", path, "0"]])?;
    same(
        "the value",
        done[0]["ok"].as_str().map(str::trim),
        Some("1"),
    )?;
    failed_with(&done[1], 30)
}

/// A parameter of the host's network must be an error where the network is the host's, or be left.
fn sysctl_not_the_hosts(suite: &Suite) -> Result<()> {
    let path = "/proc/sys/net/ipv4/ip_default_ttl";
    let before = std::fs::read_to_string(path)?;
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/sysctl", json!({ "net.ipv4.ip_default_ttl": "33" }));
    bundle.report()?;
    same("the host's value", std::fs::read_to_string(path)?, before)
}

fn personality(suite: &Suite, domain: &str, narrow: bool) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/personality", json!({ "domain": domain }));
    bundle.args(&["/bin/uname", "-m"]);
    let machine = bundle.run()?;
    let is_narrow = ["i386", "i486", "i586", "i686", "armv8l"].contains(&machine.trim());
    holds(
        &format!("{domain} shows the machine as it says"),
        is_narrow == narrow,
        machine,
    )
}

fn memory_policy(suite: &Suite, policy: Value, wanted: &str) -> Result<()> {
    suite.machine.need(
        "/proc/self/numa_maps",
        "this kernel knows no memory policies",
    )?;
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/memoryPolicy", policy);
    let report = bundle.report()?;
    let maps = text(&report, "numa")?;
    let first = maps.lines().next().unwrap_or_default();
    let seen = first.split(' ').nth(1).unwrap_or_default();
    same("policy", seen, wanted)
}

/// Two ends of a cable in the suite's own network, named after the bundle: one to be moved.
fn cable(bundle: &Bundle<'_>) -> Result<[String; 2]> {
    let ends = ["x", "y"].map(|end| format!("{}{end}", bundle.id));
    let line = "ip link add \"$0\" mtu 1400 type veth peer name \"$1\"";
    match shell(line, &[Path::new(&ends[0]), Path::new(&ends[1])]) {
        Ok(()) => Ok(ends),
        Err(error) => skip(format!(
            "no pair of network interfaces can be made here: {error}"
        )),
    }
}

fn moved(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let [moved, other] = cable(&bundle)?;
    bundle.set("/linux/netDevices", json!({ moved.as_str(): {} }));
    let report = bundle.report()?;
    let inside = report["interfaces"]
        .as_array()
        .is_some_and(|all| all.contains(&json!(moved)));
    holds("it is inside", inside, &report["interfaces"])?;
    let outside = std::fs::read_to_string("/proc/net/dev")?;
    holds(
        "it is not outside",
        !outside.contains(&format!("{moved}:")),
        other,
    )
}

fn renamed(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let [moved, _] = cable(&bundle)?;
    bundle.set("/linux/netDevices", json!({ moved: { "name": "inside0" } }));
    let report = bundle.report()?;
    let inside = report["interfaces"]
        .as_array()
        .is_some_and(|all| all.contains(&json!("inside0")));
    holds("it is inside by that name", inside, &report["interfaces"])
}

/// What ip(8) of the container says of an interface.
fn shown(bundle: &mut Bundle<'_>) -> Result<String> {
    bundle.args(&["/bin/ip", "addr", "show", "inside0"]);
    bundle.run()
}

fn keeps_mtu(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let [moved, _] = cable(&bundle)?;
    bundle.set("/linux/netDevices", json!({ moved: { "name": "inside0" } }));
    let out = shown(&mut bundle)?;
    holds("the MTU is 1400", out.contains("mtu 1400"), out)
}

fn keeps_address(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let [moved, _] = cable(&bundle)?;
    shell("ip addr add 192.0.2.7/24 dev \"$0\"", &[Path::new(&moved)])?;
    bundle.set("/linux/netDevices", json!({ moved: { "name": "inside0" } }));
    let out = shown(&mut bundle)?;
    holds("the address is there", out.contains("192.0.2.7/24"), out)
}

fn name_in_use(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let [moved, _] = cable(&bundle)?;
    bundle.set("/linux/netDevices", json!({ moved: { "name": "lo" } }));
    bundle.refused().map(drop)
}

fn resctrl() -> bool {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(2) == Some("resctrl"))
}

fn rdt_not_mounted(suite: &Suite) -> Result<()> {
    if resctrl() {
        return skip("resctrl is mounted here");
    }
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/linux/intelRdt",
        json!({ "closID": "group", "l3CacheSchema": "L3:0=f" }),
    );
    bundle.refused().map(drop)
}

fn rdt_schemata(suite: &Suite) -> Result<()> {
    if !resctrl() {
        return skip("no resctrl file system is mounted here");
    }
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/intelRdt", json!({ "closID": bundle.id.clone() }));
    // A group that is not there, without a schema for it.
    bundle.refused().map(drop)
}

fn apparmor_absent(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/process/apparmorProfile",
        json!("no-such-profile-of-conformance"),
    );
    bundle.refused().map(drop)
}

fn apparmor_unconfined(suite: &Suite) -> Result<()> {
    suite.machine.need(
        "/sys/kernel/security/apparmor",
        "this kernel runs without AppArmor",
    )?;
    let mut bundle = suite.bundle()?;
    bundle.set("/process/apparmorProfile", json!("unconfined"));
    let report = bundle.report()?;
    holds(
        "the process is unconfined",
        text(&report, "label")?.starts_with("unconfined"),
        &report["label"],
    )
}

fn selinux(suite: &Suite) -> Result<()> {
    if Path::new("/sys/fs/selinux/enforce").exists() {
        return skip("SELinux is on here");
    }
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/process/selinuxLabel",
        json!("system_u:system_r:container_t:s0"),
    );
    bundle.refused().map(drop)
}
