//! config-linux.md, the controllers: what a limit is in the files of cgroup v1 and v2.

use std::borrow::Cow;
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::super::find::holds;
use super::super::suite::{Row, Suite, Test, skip, table};

pub(super) fn tests() -> Vec<Test> {
    let limits = LIMITS.iter().map(|row| Test {
        name: Cow::Owned(format!("resources/{}", row.name)),
        says: Cow::Owned(format!("config-linux.md, {}", row.says)),
        check: Box::new(move |suite| limit(suite, row)),
    });
    limits.chain(table(TESTS)).collect()
}

/// A limit and what the kernel then says of the cgroup.
#[derive(Debug)]
struct Limit {
    name: &'static str,
    says: &'static str,
    /// `resources`, as JSON; DISK is this machine's first disk.
    resources: &'static str,
    /// On cgroup v1.
    v1: Files,
    /// On cgroup v2.
    v2: Files,
}

/// Controller, file, and a word that must be in it; `<N` is a number below N. None: that version has
/// no such limit.
type Files = &'static [(&'static str, &'static str, &'static str)];

const MIB64: &str = "67108864";
/// The biggest number of pages.
const UNLIMITED: &str = "9223372036854771712";

const LIMITS: &[Limit] = &[
    Limit {
        name: "memory-limit",
        says: "Memory: limit is the limit of memory usage",
        resources: r#"{"memory": {"limit": 67108864}}"#,
        v1: &[("memory", "memory.limit_in_bytes", MIB64)],
        v2: &[("memory", "memory.max", MIB64)],
    },
    Limit {
        name: "memory-unlimited",
        says: "Memory: -1 is unlimited memory",
        resources: r#"{"memory": {"limit": -1}}"#,
        v1: &[("memory", "memory.limit_in_bytes", UNLIMITED)],
        v2: &[("memory", "memory.max", "max")],
    },
    Limit {
        name: "memory-reservation",
        says: "Memory: reservation is the soft limit",
        resources: r#"{"memory": {"reservation": 67108864}}"#,
        v1: &[("memory", "memory.soft_limit_in_bytes", MIB64)],
        v2: &[("memory", "memory.low", MIB64)],
    },
    Limit {
        name: "memory-swap",
        says: "Memory: swap is the limit of memory and swap",
        resources: r#"{"memory": {"limit": 67108864, "swap": 134217728}}"#,
        v1: &[("memory", "memory.memsw.limit_in_bytes", "134217728")],
        v2: &[("memory", "memory.swap.max", MIB64)],
    },
    Limit {
        name: "memory-swap-none",
        says: "Memory: swap is the limit of memory and swap: the same as limit is no swap",
        resources: r#"{"memory": {"limit": 67108864, "swap": 67108864}}"#,
        v1: &[("memory", "memory.memsw.limit_in_bytes", MIB64)],
        v2: &[("memory", "memory.swap.max", "0")],
    },
    Limit {
        name: "memory-swap-unlimited",
        says: "Memory: -1 is unlimited",
        resources: r#"{"memory": {"limit": 67108864, "swap": -1}}"#,
        v1: &[("memory", "memory.memsw.limit_in_bytes", UNLIMITED)],
        v2: &[("memory", "memory.swap.max", "max")],
    },
    Limit {
        name: "memory-kernel-tcp",
        says: "Memory: kernelTCP is the limit of TCP buffers",
        resources: r#"{"memory": {"kernelTCP": 67108864}}"#,
        v1: &[("memory", "memory.kmem.tcp.limit_in_bytes", MIB64)],
        v2: &[],
    },
    Limit {
        name: "memory-swappiness",
        says: "Memory: swappiness is vmscan's parameter",
        resources: r#"{"memory": {"swappiness": 31}}"#,
        v1: &[("memory", "memory.swappiness", "31")],
        v2: &[],
    },
    Limit {
        name: "memory-disable-oom-killer",
        says: "Memory: disableOOMKiller true disables it",
        resources: r#"{"memory": {"disableOOMKiller": true}}"#,
        v1: &[("memory", "memory.oom_control", "oom_kill_disable 1")],
        v2: &[],
    },
    Limit {
        name: "memory-use-hierarchy",
        says: "Memory: useHierarchy true accounts for children as well",
        resources: r#"{"memory": {"useHierarchy": true}}"#,
        v1: &[("memory", "memory.use_hierarchy", "1")],
        v2: &[],
    },
    Limit {
        name: "cpu-shares",
        says: "CPU: shares is the relative share of CPU time",
        resources: r#"{"cpu": {"shares": 512}}"#,
        v1: &[("cpu", "cpu.shares", "512")],
        v2: &[("cpu", "cpu.weight", "<100")],
    },
    Limit {
        name: "cpu-quota",
        says: "CPU: quota is the time in one period",
        resources: r#"{"cpu": {"quota": 50000, "period": 200000}}"#,
        v1: &[
            ("cpu", "cpu.cfs_quota_us", "50000"),
            ("cpu", "cpu.cfs_period_us", "200000"),
        ],
        v2: &[("cpu", "cpu.max", "50000 200000")],
    },
    Limit {
        name: "cpu-quota-alone",
        says: "CPU: quota is the time in one period, the kernel's if none is said",
        resources: r#"{"cpu": {"quota": 30000}}"#,
        v1: &[("cpu", "cpu.cfs_quota_us", "30000")],
        v2: &[("cpu", "cpu.max", "30000 100000")],
    },
    Limit {
        name: "cpu-period-alone",
        says: "CPU: period is how regularly access is given",
        resources: r#"{"cpu": {"period": 50000}}"#,
        v1: &[("cpu", "cpu.cfs_period_us", "50000")],
        v2: &[("cpu", "cpu.max", "max 50000")],
    },
    Limit {
        name: "cpu-quota-unlimited",
        says: "CPU: a quota of -1 is none",
        resources: r#"{"cpu": {"quota": -1}}"#,
        v1: &[("cpu", "cpu.cfs_quota_us", "-1")],
        v2: &[("cpu", "cpu.max", "max")],
    },
    Limit {
        name: "cpu-burst",
        says: "CPU: burst is the time that may be accumulated",
        resources: r#"{"cpu": {"quota": 50000, "period": 100000, "burst": 20000}}"#,
        v1: &[("cpu", "cpu.cfs_burst_us", "20000")],
        v2: &[("cpu", "cpu.max.burst", "20000")],
    },
    Limit {
        name: "cpu-idle",
        says: "CPU: idle 1 is SCHED_IDLE",
        resources: r#"{"cpu": {"idle": 1}}"#,
        v1: &[("cpu", "cpu.idle", "1")],
        v2: &[("cpu", "cpu.idle", "1")],
    },
    Limit {
        name: "cpu-cpus",
        says: "CPU: cpus is the list of CPUs that the container runs on",
        resources: r#"{"cpu": {"cpus": "0"}}"#,
        v1: &[("cpuset", "cpuset.cpus", "0")],
        v2: &[("cpuset", "cpuset.cpus", "0")],
    },
    Limit {
        name: "cpu-mems",
        says: "CPU: mems is the list of memory nodes that the container runs on",
        resources: r#"{"cpu": {"mems": "0"}}"#,
        v1: &[("cpuset", "cpuset.mems", "0")],
        v2: &[("cpuset", "cpuset.mems", "0")],
    },
    Limit {
        name: "pids-limit",
        says: "PIDs: limit is the maximum number of tasks",
        resources: r#"{"pids": {"limit": 77}}"#,
        v1: &[("pids", "pids.max", "77")],
        v2: &[("pids", "pids.max", "77")],
    },
    Limit {
        name: "pids-unlimited",
        says: "PIDs: -1 is unlimited",
        resources: r#"{"pids": {"limit": -1}}"#,
        v1: &[("pids", "pids.max", "max")],
        v2: &[("pids", "pids.max", "max")],
    },
    Limit {
        name: "block-io-weight",
        says: "Block IO: weight is the cgroup's weight",
        resources: r#"{"blockIO": {"weight": 300}}"#,
        v1: &[("blkio", "blkio.weight|blkio.bfq.weight", "300")],
        v2: &[("io", "io.bfq.weight|io.weight", "<10000")],
    },
    Limit {
        name: "block-io-read-bps",
        says: "Block IO: throttleReadBpsDevice is the rate of a device",
        resources: r#"{"blockIO": {"throttleReadBpsDevice": [{DISK, "rate": 1048576}]}}"#,
        v1: &[("blkio", "blkio.throttle.read_bps_device", "1048576")],
        v2: &[("io", "io.max", "rbps=1048576")],
    },
    Limit {
        name: "block-io-write-bps",
        says: "Block IO: throttleWriteBpsDevice is the rate of a device",
        resources: r#"{"blockIO": {"throttleWriteBpsDevice": [{DISK, "rate": 2097152}]}}"#,
        v1: &[("blkio", "blkio.throttle.write_bps_device", "2097152")],
        v2: &[("io", "io.max", "wbps=2097152")],
    },
    Limit {
        name: "block-io-read-iops",
        says: "Block IO: throttleReadIOPSDevice is the rate of a device",
        resources: r#"{"blockIO": {"throttleReadIOPSDevice": [{DISK, "rate": 111}]}}"#,
        v1: &[("blkio", "blkio.throttle.read_iops_device", "111")],
        v2: &[("io", "io.max", "riops=111")],
    },
    Limit {
        name: "block-io-write-iops",
        says: "Block IO: throttleWriteIOPSDevice is the rate of a device",
        resources: r#"{"blockIO": {"throttleWriteIOPSDevice": [{DISK, "rate": 222}]}}"#,
        v1: &[("blkio", "blkio.throttle.write_iops_device", "222")],
        v2: &[("io", "io.max", "wiops=222")],
    },
    Limit {
        name: "hugepages",
        says: "Huge page limits: limit is in bytes, of reservations if supported",
        resources: r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}"#,
        v1: &[("hugetlb", "hugetlb.2MB.rsvd.limit_in_bytes", "4194304")],
        v2: &[("hugetlb", "hugetlb.2MB.rsvd.max", "4194304")],
    },
    Limit {
        name: "network-class",
        says: "Network: classID tags the packets",
        resources: r#"{"network": {"classID": 1048577}}"#,
        v1: &[("net_cls", "net_cls.classid", "1048577")],
        v2: &[],
    },
    Limit {
        name: "network-priorities",
        says: "Network: priorities are by interface",
        resources: r#"{"network": {"priorities": [{"name": "lo", "priority": 5}]}}"#,
        v1: &[("net_prio", "net_prio.ifpriomap", "lo 5")],
        v2: &[],
    },
    Limit {
        name: "rdma",
        says: "RDMA: hcaHandles is the maximum of handles",
        resources: r#"{"rdma": {"mlx5_1": {"hcaHandles": 3}}}"#,
        v1: &[("rdma", "rdma.max", "hca_handle=3")],
        v2: &[("rdma", "rdma.max", "hca_handle=3")],
    },
    Limit {
        name: "unified",
        says: "Unified: each key is a file of the cgroup",
        resources: r#"{"unified": {"memory.high": "33554432", "pids.max": "55"}}"#,
        v1: &[],
        v2: &[
            ("memory", "memory.high", "33554432"),
            ("pids", "pids.max", "55"),
        ],
    },
    Limit {
        name: "unified-unknown",
        says: "Unified: what the runtime does not know MUST be written as well",
        resources: r#"{"unified": {"cgroup.max.depth": "7"}}"#,
        v1: &[],
        v2: &[("pids", "cgroup.max.depth", "7")],
    },
    Limit {
        name: "unified-enables",
        says: "Unified: the controllers that are needed MUST be enabled",
        resources: r#"{"unified": {"cpu.weight": "42"}}"#,
        v1: &[],
        v2: &[("cpu", "cpu.weight", "42")],
    },
];

const TESTS: &[Row] = &[
    (
        "resources/unified-no-controller",
        "config-linux.md, Unified: a controller that is not there MUST be an error",
        unified_no_controller,
    ),
    (
        "resources/unified-on-v1",
        "config-linux.md, Unified: what cannot be converted MUST be an error",
        unified_on_v1,
    ),
    (
        "resources/unified-slash",
        "config-linux.md, Unified: a key is a file of the cgroup, and none of another",
        unified_slash,
    ),
    (
        "resources/pids-holds",
        "config-linux.md, PIDs: limit is the maximum number of tasks, which the kernel holds to",
        pids_holds,
    ),
    (
        "resources/memory-holds",
        "config-linux.md, Memory: limit is the limit of memory usage, beyond which the OOM killer is",
        memory_holds,
    ),
    (
        "resources/cpus-hold",
        "config-linux.md, CPU: cpus is the list of CPUs that the container runs on",
        cpus_hold,
    ),
    (
        "resources/cpus-absent",
        "config.md, Valid values: CPUs that are not there MUST be an error",
        cpus_absent,
    ),
    (
        "resources/several",
        "config-linux.md, Control groups: limits of several controllers hold together",
        several,
    ),
];

/// The numbers of the first disk, as members of an object.
fn disk() -> Result<String> {
    for entry in fs::read_dir("/sys/block")?.flatten() {
        let name = entry.file_name();
        let virtual_ = ["loop", "ram", "zram", "dm-", "sr", "fd"];
        if virtual_
            .iter()
            .any(|kind| name.to_string_lossy().starts_with(kind))
        {
            continue;
        }
        let text = fs::read_to_string(entry.path().join("dev"))?;
        if let Some((major, minor)) = text.trim().split_once(':') {
            return Ok(format!("\"major\": {major}, \"minor\": {minor}"));
        }
    }
    skip("this machine has no disk")
}

fn resources(text: &str) -> Result<Value> {
    let text = if text.contains("DISK") {
        text.replace("DISK", &disk()?)
    } else {
        text.to_owned()
    };
    Ok(serde_json::from_str(&text)?)
}

/// What must be in a file is in it, word by word.
fn said(wanted: &str, text: &str) -> bool {
    if let Some(limit) = wanted.strip_prefix('<') {
        let number = text
            .split_whitespace()
            .last()
            .and_then(|word| word.parse::<u64>().ok());
        return number.is_some_and(|number| {
            limit
                .parse()
                .is_ok_and(|limit: u64| number < limit && number > 0)
        });
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let wanted: Vec<&str> = wanted.split(' ').collect();
    words.windows(wanted.len()).any(|some| some == wanted)
}

fn limit(suite: &Suite, row: &Limit) -> Result<()> {
    let files = if suite.machine.cgroups.is_v2() {
        row.v2
    } else {
        row.v1
    };
    if files.is_empty() {
        return skip("this version of cgroups has no such limit");
    }
    if row.name == "rdma" {
        let device = "/sys/class/infiniband/mlx5_1";
        suite
            .machine
            .need(device, "this machine has no such RDMA device")?;
    }
    if !there(suite, files)? {
        return skip(format!("this kernel has no {}", files[0].1));
    }
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/resources", resources(row.resources)?);
    let container = bundle.create()?;
    for (controller, names, wanted) in files {
        let found: Vec<_> = names
            .split('|')
            .map(|name| container.cgroup_file(controller, name))
            .collect::<Result<_>>()?;
        let path = found.iter().find(|path| path.exists()).unwrap_or(&found[0]);
        let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        holds(
            &format!("{names} holds {wanted}"),
            said(wanted, &text),
            text,
        )?;
    }
    Ok(())
}

/// Whether this kernel has one of the names of each file.
fn there(suite: &Suite, files: Files) -> Result<bool> {
    let look = format!("{}-look", suite.cgroup());
    for (controller, names, _) in files {
        let directory = suite.machine.cgroups.sample(controller, &look)?;
        if !names.split('|').any(|name| directory.join(name).exists()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn unified(suite: &Suite, unified: Value) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/resources/unified", unified);
    bundle.refused().map(drop)
}

fn unified_no_controller(suite: &Suite) -> Result<()> {
    unified(suite, json!({ "weather.max": "1" }))
}

fn unified_slash(suite: &Suite) -> Result<()> {
    if !suite.machine.cgroups.is_v2() {
        return skip("this is cgroup v1");
    }
    unified(suite, json!({ "../cgroup.max.depth": "9" }))
}

fn unified_on_v1(suite: &Suite) -> Result<()> {
    if suite.machine.cgroups.is_v2() {
        return skip("this is cgroup v2");
    }
    unified(suite, json!({ "memory.high": "33554432" }))
}

fn pids_holds(suite: &Suite) -> Result<()> {
    suite.machine.cgroups.directory("pids", "")?;
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/resources/pids", json!({ "limit": 3 }));
    bundle.args(&[
        "/bin/sh",
        "-c",
        "/probe wait & /probe wait & /probe wait & wait",
    ]);
    let container = bundle.start()?;
    // EAGAIN ends the shell, as the third child is the fourth process.
    container.wait()?;
    let reports = container.output().lines().count();
    holds("the third child was not made", reports <= 2, reports)
}

fn memory_holds(suite: &Suite) -> Result<()> {
    suite.machine.cgroups.directory("memory", "")?;
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/linux/resources/memory",
        json!({ "limit": 16_777_216, "swap": 16_777_216 }),
    );
    // Pages of a tmpfs are the container's.
    bundle.mount("tmpfs", "tmpfs", "/mnt", &["size=64m"]);
    bundle.args(&[
        "/bin/sh",
        "-c",
        "/bin/busybox dd if=/dev/zero of=/mnt/file bs=1M count=48 2>/dev/null; echo $?",
    ]);
    let out = bundle.run()?;
    holds("the writer was stopped", out.trim() != "0", out)
}

fn cpus_hold(suite: &Suite) -> Result<()> {
    suite.machine.cgroups.directory("cpuset", "")?;
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/resources/cpu", json!({ "cpus": "0" }));
    let report = bundle.report()?;
    super::super::find::same(
        "CPUs",
        super::super::find::status(&report, "Cpus_allowed_list")?,
        "0",
    )
}

fn cpus_absent(suite: &Suite) -> Result<()> {
    suite.machine.cgroups.directory("cpuset", "")?;
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/resources/cpu", json!({ "cpus": "7777" }));
    bundle.refused().map(drop)
}

fn several(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let all = json!({ "memory": { "limit": 67_108_864 }, "pids": { "limit": 33 }, "cpu": { "shares": 512 } });
    bundle.set("/linux/resources", all);
    let container = bundle.create()?;
    let pids = fs::read_to_string(container.cgroup_file("pids", "pids.max")?)?;
    holds("pids.max is 33", pids.trim() == "33", pids)?;
    let name = if suite.machine.cgroups.is_v2() {
        "memory.max"
    } else {
        "memory.limit_in_bytes"
    };
    let memory = fs::read_to_string(container.cgroup_file("memory", name)?)?;
    holds(name, memory.trim() == MIB64, memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole() {
        assert!(said("rbps=5", "8:0 rbps=5 wbps=max"));
        assert!(!said("rbps=5", "8:0 rbps=50"));
        assert!(said("max 50000", "max 50000\n"));
        assert!(said("<100", "default 59\n"));
        assert!(!said("<100", "100\n"));
    }
}
