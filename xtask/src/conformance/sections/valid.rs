//! config.md, Valid values: what is invalid or unsupported MUST be an error.

use std::borrow::Cow;

use anyhow::Result;
use serde_json::Value;

use super::super::suite::{Suite, Test};

/// A value that is none: name, pointer, the value as JSON, the sentence.
type Invalid = (&'static str, &'static str, &'static str, &'static str);

pub(super) fn tests() -> Vec<Test> {
    INVALID.iter().map(test).collect()
}

const INVALID: &[Invalid] = &[
    (
        "root-missing",
        "/root",
        "null",
        "config.md, Root: root is REQUIRED",
    ),
    (
        "root-path-missing",
        "/root",
        "{}",
        "config.md, Root: path is REQUIRED",
    ),
    (
        "root-path-absent",
        "/root/path",
        "\"absent\"",
        "config.md, Root: a directory MUST exist at path",
    ),
    (
        "root-path-file",
        "/root/path",
        "\"config.json\"",
        "config.md, Root: a directory MUST exist at path",
    ),
    (
        "root-readonly-type",
        "/root/readonly",
        "\"yes\"",
        "config.md, Root: readonly is a bool",
    ),
    (
        "mounts-type",
        "/mounts",
        "{}",
        "config.md, Mounts: mounts is an array",
    ),
    (
        "mount-destination-missing",
        "/mounts/0",
        "{\"type\": \"proc\", \"source\": \"proc\"}",
        "config.md, Mounts: destination is REQUIRED",
    ),
    (
        "mount-type-unknown",
        "/mounts/3",
        "{\"destination\": \"/mnt\", \"type\": \"nofs\", \"source\": \"x\"}",
        "config.md, POSIX-platform Mounts: type is a file system that the kernel lists",
    ),
    (
        "mount-source-absent",
        "/mounts/3",
        "{\"destination\": \"/mnt\", \"source\": \"/absent/x\", \"options\": [\"bind\"]}",
        "config.md, Mounts: a bind mount's source is a file or directory",
    ),
    (
        "process-args-empty",
        "/process/args",
        "[]",
        "config.md, Process: at least one entry of args is REQUIRED",
    ),
    (
        "process-args-missing",
        "/process/args",
        "null",
        "config.md, Process: at least one entry of args is REQUIRED",
    ),
    (
        "process-args-type",
        "/process/args",
        "\"/probe\"",
        "config.md, Process: args is an array of strings",
    ),
    (
        "process-cwd-relative",
        "/process/cwd",
        "\"tmp\"",
        "config.md, Process: cwd MUST be an absolute path",
    ),
    (
        "process-cwd-empty",
        "/process/cwd",
        "\"\"",
        "config.md, Process: cwd MUST be an absolute path",
    ),
    (
        "process-env-type",
        "/process/env",
        "{\"A\": \"b\"}",
        "config.md, Process: env is an array of strings",
    ),
    (
        "process-uid-type",
        "/process/user/uid",
        "\"root\"",
        "config.md, User: uid is an int",
    ),
    (
        "process-uid-negative",
        "/process/user/uid",
        "-1",
        "config.md, User: uid is a user id",
    ),
    (
        "rlimit-unknown",
        "/process/rlimits",
        "[{\"type\": \"RLIMIT_TASTE\", \"soft\": 1, \"hard\": 1}]",
        "config.md, POSIX process: rlimit types without a kernel interface MUST be an error",
    ),
    (
        "rlimit-twice",
        "/process/rlimits",
        "[{\"type\": \"RLIMIT_CORE\", \"soft\": 1, \"hard\": 1}, {\"type\": \"RLIMIT_CORE\", \"soft\": 1, \"hard\": 1}]",
        "config.md, POSIX process: duplicated rlimit types MUST be an error",
    ),
    (
        "rlimit-soft-above-hard",
        "/process/rlimits",
        "[{\"type\": \"RLIMIT_CORE\", \"soft\": 2, \"hard\": 1}]",
        "config.md, POSIX process: getrlimit(3) MUST give the configured values, which no kernel does",
    ),
    (
        "oom-score-too-big",
        "/process/oomScoreAdj",
        "1001",
        "config.md, Linux Process: oomScoreAdj MUST be set, and the kernel's values end at 1000",
    ),
    (
        "scheduler-policy",
        "/process/scheduler",
        "{\"policy\": \"SCHED_SOMETIMES\"}",
        "config.md, Linux Process: policy is one of the list",
    ),
    (
        "scheduler-flag",
        "/process/scheduler",
        "{\"policy\": \"SCHED_OTHER\", \"flags\": [\"SCHED_FLAG_OFF\"]}",
        "config.md, Linux Process: flags are of the list",
    ),
    (
        "io-priority-class",
        "/process/ioPriority",
        "{\"class\": \"IOPRIO_CLASS_NICE\", \"priority\": 4}",
        "config.md, Linux Process: class is one of three",
    ),
    (
        "io-priority-level",
        "/process/ioPriority",
        "{\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 8}",
        "config.md, Linux Process: priority is from 0 to 7",
    ),
    (
        "hook-path-relative",
        "/hooks/createRuntime",
        "[{\"path\": \"bin/true\"}]",
        "config.md, POSIX-platform Hooks: path MUST be absolute",
    ),
    (
        "hook-timeout-zero",
        "/hooks/createRuntime",
        "[{\"path\": \"/bin/true\", \"timeout\": 0}]",
        "config.md, POSIX-platform Hooks: timeout MUST be greater than zero",
    ),
    (
        "hook-timeout-negative",
        "/hooks/createRuntime",
        "[{\"path\": \"/bin/true\", \"timeout\": -3}]",
        "config.md, POSIX-platform Hooks: timeout MUST be greater than zero",
    ),
    (
        "namespace-unknown",
        "/linux/namespaces/0",
        "{\"type\": \"weather\"}",
        "config-linux.md, Namespaces: type is one of the list",
    ),
    (
        "namespace-twice",
        "/linux/namespaces/0",
        "{\"type\": \"uts\"}",
        "config-linux.md, Namespaces: duplicated types MUST be an error",
    ),
    (
        "namespace-path-relative",
        "/linux/namespaces/1",
        "{\"type\": \"network\", \"path\": \"proc/self/ns/net\"}",
        "config-linux.md, Namespaces: path MUST be absolute",
    ),
    (
        "namespace-path-absent",
        "/linux/namespaces/1",
        "{\"type\": \"network\", \"path\": \"/absent/net\"}",
        "config-linux.md, Namespaces: the process MUST be placed in the namespace of path",
    ),
    (
        "namespace-path-file",
        "/linux/namespaces/1",
        "{\"type\": \"network\", \"path\": \"/proc/version\"}",
        "config-linux.md, Namespaces: a path without a namespace of that type MUST be an error",
    ),
    (
        "namespace-path-of-other-type",
        "/linux/namespaces/1",
        "{\"type\": \"network\", \"path\": \"/proc/self/ns/uts\"}",
        "config-linux.md, Namespaces: a path without a namespace of that type MUST be an error",
    ),
    (
        "device-type",
        "/linux/devices",
        "[{\"type\": \"x\", \"path\": \"/dev/x\", \"major\": 1, \"minor\": 3}]",
        "config-linux.md, Devices: type is c, b, u or p",
    ),
    (
        "device-without-major",
        "/linux/devices",
        "[{\"type\": \"c\", \"path\": \"/dev/x\"}]",
        "config-linux.md, Devices: major and minor are REQUIRED unless type is p",
    ),
    (
        "cgroup-path-type",
        "/linux/cgroupsPath",
        "7",
        "config-linux.md, Cgroups Path: cgroupsPath is a string",
    ),
    (
        "pids-limit-type",
        "/linux/resources/pids",
        "{\"limit\": \"many\"}",
        "config-linux.md, PIDs: limit is an int64",
    ),
    (
        "memory-limit-type",
        "/linux/resources/memory",
        "{\"limit\": \"1g\"}",
        "config-linux.md, Memory: limit is an int64",
    ),
    (
        "memory-swap-below-limit",
        "/linux/resources/memory",
        "{\"limit\": 33554432, \"swap\": 16777216}",
        "config-linux.md, Memory: swap is the limit of memory and swap together, so no less than limit",
    ),
    (
        "cpus-syntax",
        "/linux/resources/cpu",
        "{\"cpus\": \"first\"}",
        "config-linux.md, CPU: cpus is a list of CPUs",
    ),
    (
        "block-io-weight",
        "/linux/resources/blockIO",
        "{\"weight\": 70000}",
        "config-linux.md, Block IO: weight is a uint16",
    ),
    (
        "hugepage-size",
        "/linux/resources/hugepageLimits",
        "[{\"pageSize\": \"3XB\", \"limit\": 1}]",
        "config-linux.md, Huge page limits: pageSize is a size with a unit",
    ),
    (
        "sysctl-unknown",
        "/linux/sysctl",
        "{\"kernel.absent\": \"1\"}",
        "config-linux.md, Sysctl: a kernel parameter is set; what is none cannot be",
    ),
    (
        "sysctl-value-type",
        "/linux/sysctl",
        "{\"kernel.msgmax\": 4096}",
        "config-linux.md, Sysctl: values are strings, as in the schema",
    ),
    (
        "seccomp-action",
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_LAUGH\"}",
        "config-linux.md, Seccomp: defaultAction is one of the list",
    ),
    (
        "seccomp-action-missing",
        "/linux/seccomp",
        "{\"syscalls\": []}",
        "config-linux.md, Seccomp: defaultAction is REQUIRED",
    ),
    (
        "seccomp-architecture",
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_Z80\"]}",
        "config-linux.md, Seccomp: architectures are of the list",
    ),
    (
        "seccomp-flag",
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"SECCOMP_FILTER_FLAG_RED\"], \"syscalls\": [{\"names\": [\"chmod\"], \"action\": \"SCMP_ACT_ERRNO\"}]}",
        "config-linux.md, Seccomp: flags are of the list",
    ),
    (
        "seccomp-operator",
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"chmod\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_XX\"}]}]}",
        "config-linux.md, Seccomp: op is one of the list",
    ),
    (
        "seccomp-argument-index",
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"chmod\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 6, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}",
        "config-linux.md, Seccomp: index is that of a syscall's argument, of which there are six",
    ),
    (
        "seccomp-names-empty",
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [], \"action\": \"SCMP_ACT_ERRNO\"}]}",
        "config-linux.md, Seccomp: names MUST contain at least one entry",
    ),
    (
        "seccomp-errno-of-kill",
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"chmod\"], \"action\": \"SCMP_ACT_KILL\", \"errnoRet\": 3}]}",
        "config-linux.md, Seccomp: an errnoRet where the action has none MUST be an error",
    ),
    (
        "seccomp-default-errno-of-allow",
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 3, \"syscalls\": [{\"names\": [\"chmod\"], \"action\": \"SCMP_ACT_ERRNO\"}]}",
        "config-linux.md, Seccomp: a defaultErrnoRet where the action has none MUST be an error",
    ),
    (
        "seccomp-metadata-alone",
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerMetadata\": \"x\", \"syscalls\": [{\"names\": [\"chmod\"], \"action\": \"SCMP_ACT_ERRNO\"}]}",
        "config-linux.md, Seccomp: listenerMetadata MUST NOT be set if listenerPath is not",
    ),
    (
        "seccomp-listener-absent",
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"/absent/socket\", \"syscalls\": [{\"names\": [\"chmod\"], \"action\": \"SCMP_ACT_NOTIFY\"}]}",
        "config-linux.md, Seccomp: if sending to the listener's socket fails, an error MUST follow",
    ),
    (
        "rootfs-propagation",
        "/linux/rootfsPropagation",
        "\"sideways\"",
        "config-linux.md, Rootfs Mount Propagation: the value is one of four",
    ),
    (
        "masked-path-relative",
        "/linux/maskedPaths",
        "[\"proc/kcore\"]",
        "config-linux.md, Masked Paths: values MUST be absolute paths",
    ),
    (
        "readonly-path-relative",
        "/linux/readonlyPaths",
        "[\"proc/sys\"]",
        "config-linux.md, Readonly Paths: values MUST be absolute paths",
    ),
    (
        "personality-domain",
        "/linux/personality",
        "{\"domain\": \"SOLARIS\"}",
        "config-linux.md, Personality: domain is LINUX or LINUX32",
    ),
    (
        "personality-flag",
        "/linux/personality",
        "{\"domain\": \"LINUX\", \"flags\": [\"ADDR_NO_RANDOMIZE\"]}",
        "config-linux.md, Personality: no flags are supported",
    ),
    (
        "memory-policy-mode",
        "/linux/memoryPolicy",
        "{\"mode\": \"MPOL_ANYWHERE\", \"nodes\": \"0\"}",
        "config-linux.md, Memory Policy: mode is one of the list",
    ),
    (
        "memory-policy-flag",
        "/linux/memoryPolicy",
        "{\"mode\": \"MPOL_BIND\", \"nodes\": \"0\", \"flags\": [\"MPOL_F_X\"]}",
        "config-linux.md, Memory Policy: flags are of the list",
    ),
    (
        "net-device-absent",
        "/linux/netDevices",
        "{\"absent0\": {}}",
        "config-linux.md, Network Devices: an interface that is not there MUST be an error",
    ),
];

fn test(row: &'static Invalid) -> Test {
    let &(name, pointer, value, says) = row;
    Test {
        name: Cow::Owned(format!("valid/{name}")),
        says: Cow::Owned(format!(
            "{says}; config.md, Valid values: what is invalid MUST be an error"
        )),
        check: Box::new(move |suite| refused(suite, pointer, value)),
    }
}

fn refused(suite: &Suite, pointer: &str, value: &str) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let value: Value = serde_json::from_str(value)?;
    match bundle.config.pointer_mut(pointer) {
        // Elements of arrays are there already.
        Some(place) => *place = value,
        None => {
            bundle.set(pointer, value);
        }
    }
    bundle.refused().map(drop)
}
