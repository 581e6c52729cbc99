//! Where a peer does other than the specification says. What the suite says of Brig's own runtime is
//! never explained away here.

use super::runtime::Runtime;

/// Tests that a runtime fails for one reason.
#[derive(Debug)]
struct Known {
    /// The runtime's name, and what its version begins with; nothing is every version.
    runtime: (&'static str, &'static str),
    /// Why, in one sentence.
    why: &'static str,
    /// The tests.
    tests: &'static [&'static str],
}

const RUNC: (&str, &str) = ("runc", "");
const RUNC_1_1: (&str, &str) = ("runc", "1.1");
const CRUN: (&str, &str) = ("crun", "");
const CRUN_1_8: (&str, &str) = ("crun", "1.8");

const KNOWN: &[Known] = &[
    Known {
        runtime: RUNC,
        why: "it never looks at ociVersion",
        tests: &[
            "config/version-missing",
            "config/version-not-semver",
            "config/version-other-major",
            "config/version-too-short",
        ],
    },
    Known {
        runtime: CRUN,
        why: "of ociVersion it looks at the beginning only, if at all",
        tests: &[
            "config/version-not-semver",
            "config/version-other-major",
            "config/version-too-short",
        ],
    },
    Known {
        runtime: CRUN_1_8,
        why: "it knows the versions up to 1.1 and no later ones of the same major",
        tests: &["config/version-1.2.1"],
    },
    Known {
        runtime: RUNC,
        why: "it takes what its JSON decoder takes, and checks little of it",
        tests: &[
            "config/annotation-empty-key",
            "valid/rlimit-twice",
            "valid/device-without-major",
            "valid/masked-path-relative",
            "valid/readonly-path-relative",
            "valid/personality-flag",
            "valid/seccomp-action-missing",
            "valid/seccomp-names-empty",
            "valid/seccomp-metadata-alone",
        ],
    },
    Known {
        runtime: CRUN,
        why: "it converts or leaves out a value of another type, and checks few of the others",
        tests: &[
            "config/annotation-empty-key",
            "valid/rlimit-twice",
            "valid/device-without-major",
            "valid/masked-path-relative",
            "valid/readonly-path-relative",
            "valid/personality-flag",
            "valid/seccomp-names-empty",
            "valid/seccomp-metadata-alone",
            "valid/root-readonly-type",
            "valid/process-args-type",
            "valid/process-args-missing",
            "valid/process-cwd-relative",
            "valid/process-env-type",
            "valid/process-uid-type",
            "valid/hook-timeout-zero",
            "valid/device-type",
            "valid/memory-limit-type",
            "valid/pids-limit-type",
            "valid/cgroup-path-type",
            "valid/seccomp-flag",
            "valid/rootfs-propagation",
            "start/no-process",
        ],
    },
    Known {
        runtime: CRUN_1_8,
        why: "it does not look for duplicates",
        tests: &["valid/namespace-twice"],
    },
    Known {
        runtime: CRUN_1_8,
        why: "a signal that it does not know is signal 0",
        tests: &["kill/no-signal"],
    },
    Known {
        runtime: RUNC,
        why: "it ignores an errnoRet that the action has no use for",
        tests: &[
            "valid/seccomp-errno-of-kill",
            "valid/seccomp-default-errno-of-allow",
        ],
    },
    Known {
        runtime: RUNC,
        why: "it deletes a created container as it does a stopped one",
        tests: &["delete/created"],
    },
    Known {
        runtime: CRUN,
        why: "it deletes a created container as it does a stopped one",
        tests: &["delete/created"],
    },
    Known {
        runtime: RUNC,
        why: "it gives the option to the file system, which refuses it",
        tests: &["mount-options/defaults", "features/mount-options"],
    },
    Known {
        runtime: RUNC_1_1,
        why: "it has the option, and makes of it flags that the kernel refuses",
        tests: &["mount-options/ratime", "mount-options/rnostrictatime"],
    },
    Known {
        runtime: RUNC_1_1,
        why: "it gives a tmpfs the mode of the directory below",
        tests: &["mounts/tmpfs-mode"],
    },
    Known {
        runtime: RUNC_1_1,
        why: "it has no idmapped mounts, and does not say so",
        tests: &[
            "mounts/idmap",
            "mounts/ridmap",
            "mounts/idmap-without-option",
            "mounts/idmap-without-mappings",
            "mounts/idmap-half",
            "user-namespace/idmapped-volume",
        ],
    },
    Known {
        runtime: CRUN_1_8,
        why: "it maps the mount and not those below",
        tests: &["mounts/ridmap"],
    },
    Known {
        runtime: CRUN,
        why: "an option that clears a flag does not clear what an earlier one set",
        tests: &[
            "mount-options/async",
            "mount-options/atime",
            "mount-options/dev",
            "mount-options/diratime",
            "mount-options/exec",
            "mount-options/nostrictatime",
            "mount-options/rw",
            "mount-options/suid",
        ],
    },
    Known {
        runtime: CRUN,
        why: "it does not know the option and gives it to the file system",
        tests: &[
            "mount-options/iversion",
            "mount-options/loud",
            "mount-options/noiversion",
            "mount-options/nosymfollow",
            "mount-options/silent",
            "mount-options/symfollow",
            "mount-options/rnosymfollow",
            "features/mount-options",
        ],
    },
    Known {
        runtime: CRUN,
        why: "it gives mount_setattr(2) a time of access without saying that it is to be changed",
        tests: &[
            "mount-options/ratime",
            "mount-options/rdiratime",
            "mount-options/rnoatime",
            "mount-options/rnodiratime",
            "mount-options/rnostrictatime",
            "mount-options/rstrictatime",
        ],
    },
    Known {
        runtime: CRUN,
        why: "without rootfsPropagation it makes all mounts private after it made them",
        tests: &[
            "mount-options/shared",
            "mount-options/rshared",
            "mount-options/slave",
            "mount-options/rslave",
            "mount-options/unbindable",
            "mount-options/runbindable",
        ],
    },
    Known {
        runtime: RUNC,
        why: "it makes the mount that the root is on private before it binds the root",
        tests: &["propagation/slave", "propagation/slave-receives"],
    },
    Known {
        runtime: CRUN,
        why: "it makes the mount that the root is on private before it binds the root",
        tests: &["propagation/slave", "propagation/slave-receives"],
    },
    Known {
        runtime: RUNC_1_1,
        why: "it leaves the root private whatever was asked for, unless the root is a mount",
        tests: &[
            "propagation/shared",
            "propagation/unbindable",
            "propagation/unbindable-refuses",
        ],
    },
    Known {
        runtime: RUNC,
        why: "it fails where the kernel refuses a capability",
        tests: &["capabilities/not-granted"],
    },
    Known {
        runtime: CRUN,
        why: "it fails where the kernel refuses a capability",
        tests: &["capabilities/not-granted"],
    },
    Known {
        runtime: RUNC_1_1,
        why: "it is older than scheduler, ioPriority, execCPUAffinity, time namespaces and domainname",
        tests: &[
            "scheduler/batch",
            "scheduler/idle",
            "scheduler/nice",
            "scheduler/nice-default",
            "scheduler/reset-on-fork",
            "scheduler/fifo",
            "scheduler/rr",
            "scheduler/deadline",
            "io-priority/be",
            "io-priority/idle",
            "io-priority/rt",
            "affinity/final",
            "affinity/invalid",
            "valid/scheduler-policy",
            "valid/scheduler-flag",
            "valid/io-priority-class",
            "valid/io-priority-level",
            "namespaces/time-new",
            "namespaces/time-joined",
            "namespaces/time-monotonic",
            "namespaces/time-boottime",
            "namespaces/time-uptime",
            "domainname/set",
            "resources/cpu-burst",
            "resources/cpu-idle",
            "personality/linux32",
            "valid/personality-domain",
            "seccomp/flag-tsync",
            "seccomp/flag-log",
            "seccomp/flag-spec-allow",
        ],
    },
    Known {
        runtime: CRUN_1_8,
        why: "it is older than scheduler, ioPriority and the limits that came with them",
        tests: &[
            "scheduler/batch",
            "scheduler/idle",
            "scheduler/nice",
            "scheduler/nice-default",
            "scheduler/reset-on-fork",
            "scheduler/fifo",
            "scheduler/rr",
            "scheduler/deadline",
            "io-priority/be",
            "io-priority/idle",
            "io-priority/rt",
            "valid/scheduler-policy",
            "valid/scheduler-flag",
            "valid/io-priority-class",
            "valid/io-priority-level",
            "resources/cpu-burst",
        ],
    },
    Known {
        runtime: CRUN,
        why: "it has no execCPUAffinity, and does not say so",
        tests: &["affinity/final", "affinity/invalid"],
    },
    Known {
        runtime: RUNC,
        why: "memoryPolicy and netDevices came with 1.4; before, they are ignored",
        tests: &[
            "memory-policy/bind",
            "memory-policy/interleave",
            "memory-policy/preferred",
            "memory-policy/local",
            "memory-policy/static-nodes",
            "valid/memory-policy-mode",
            "valid/memory-policy-flag",
            "valid/net-device-absent",
            "net-devices/moved",
            "net-devices/renamed",
            "net-devices/keeps-mtu",
            "net-devices/keeps-address",
            "net-devices/name-in-use",
        ],
    },
    Known {
        runtime: CRUN_1_8,
        why: "it is older than memoryPolicy, netDevices and the check of resctrl, and ignores them",
        tests: &[
            "memory-policy/bind",
            "memory-policy/interleave",
            "memory-policy/preferred",
            "memory-policy/local",
            "memory-policy/static-nodes",
            "valid/memory-policy-mode",
            "valid/memory-policy-flag",
            "valid/net-device-absent",
            "net-devices/moved",
            "net-devices/renamed",
            "net-devices/keeps-mtu",
            "net-devices/keeps-address",
            "net-devices/name-in-use",
            "intel-rdt/not-mounted",
        ],
    },
    Known {
        runtime: CRUN_1_8,
        why: "it makes the process of another pid namespace before the time namespace is there",
        tests: &[
            "namespaces/time-new",
            "namespaces/time-joined",
            "namespaces/time-monotonic",
            "namespaces/time-boottime",
            "namespaces/time-uptime",
        ],
    },
    Known {
        runtime: CRUN,
        why: "it joins a time namespace in a process that cannot be in it",
        tests: &["namespaces/time-joined"],
    },
    Known {
        runtime: RUNC_1_1,
        why: "it wants mappings for a user namespace that has its own already",
        tests: &["namespaces/user-joined"],
    },
    Known {
        runtime: RUNC,
        why: "it calls poststart hooks as part of create, before the program runs",
        tests: &[
            "hooks/at-create",
            "hooks/order-of-kinds",
            "hooks/state-poststart",
        ],
    },
    Known {
        runtime: CRUN_1_8,
        why: "it lets the program go before it calls the poststart hooks, and ignores their failure",
        tests: &[
            "hooks/at-start",
            "hooks/order-of-kinds",
            "hooks/poststart-fails",
        ],
    },
    Known {
        runtime: CRUN,
        why: "it calls poststart hooks while the program's startContainer hooks may still run",
        tests: &["hooks/order-of-kinds", "hooks/at-start"],
    },
    Known {
        runtime: RUNC,
        why: "its start is over before the startContainer hooks are",
        tests: &["hooks/start-container-fails"],
    },
    Known {
        runtime: CRUN,
        why: "its start is over before the startContainer hooks are",
        tests: &["hooks/start-container-fails"],
    },
    Known {
        runtime: RUNC,
        why: "a hook without env has the runtime's environment",
        tests: &["hooks/no-env"],
    },
    Known {
        runtime: CRUN,
        why: "a hook without env has the runtime's environment",
        tests: &["hooks/no-env"],
    },
    Known {
        runtime: RUNC,
        why: "a poststop hook that fails makes delete fail, and the next ones are not called",
        tests: &["hooks/poststop-fails"],
    },
    Known {
        runtime: CRUN,
        why: "it does not call poststop hooks after a failed create",
        tests: &["hooks/failure-runs-poststop"],
    },
    Known {
        runtime: CRUN,
        why: "the states of its hooks are created and a starting of its own",
        tests: &[
            "hooks/state-create-runtime",
            "hooks/state-create-container",
            "hooks/state-start-container",
        ],
    },
    Known {
        runtime: RUNC,
        why: "a file where a device should be is taken for it",
        tests: &["devices/exists-as-file", "devices/exists-as-other"],
    },
    Known {
        runtime: CRUN,
        why: "a file where a device should be is taken for it",
        tests: &["devices/exists-as-file", "devices/exists-as-other"],
    },
    Known {
        runtime: RUNC,
        why: "it needs /proc in the container for itself",
        tests: &["devices/links-without-proc"],
    },
    Known {
        runtime: CRUN,
        why: "on cgroup v1 it writes the rules as they are, and the kernel takes -1 for no number and keeps exceptions",
        tests: &[
            "allowed-devices/minus-one",
            "allowed-devices/deny-after-allow",
        ],
    },
    Known {
        runtime: RUNC,
        why: "it ignores kernelTCP since kernel memory limits are gone",
        tests: &["resources/memory-kernel-tcp"],
    },
    Known {
        runtime: CRUN_1_8,
        why: "it writes a number that the file does not take",
        tests: &["resources/cpu-quota-unlimited", "resources/pids-unlimited"],
    },
    Known {
        runtime: CRUN_1_8,
        why: "it knows one of the two names of the file",
        tests: &["resources/block-io-weight"],
    },
    Known {
        runtime: CRUN,
        why: "it keeps compiled filters by what they match and forgets errnoRet, so one with another comes back",
        tests: &[
            "seccomp/errno-of-its-own",
            "seccomp/errno-zero",
            "seccomp/exec",
            "seccomp/trace",
            "seccomp/several-rules",
            "seccomp/default-errno",
            "seccomp/default-errno-unset",
            "seccomp/errno",
        ],
    },
    Known {
        runtime: CRUN,
        why: "it connects to the listener without an action that needs it",
        tests: &["seccomp/listener-ignored"],
    },
    Known {
        runtime: ("crun", "1.2"),
        why: "its /dev/console is no mount",
        tests: &["terminal/console"],
    },
    Known {
        runtime: ("crun", "1.2"),
        why: "it ignores a profile where the kernel has no AppArmor",
        tests: &["apparmor/profile-absent"],
    },
    Known {
        runtime: CRUN,
        why: "it ignores a mount label where the kernel has no SELinux",
        tests: &["mount-label/without-selinux"],
    },
];

/// Why this runtime is known to fail this test, if so.
pub(crate) fn disagreement(runtime: &Runtime, test: &str) -> Option<&'static str> {
    let (name, number) = (runtime.name.as_str(), runtime.number());
    KNOWN
        .iter()
        .filter(|known| known.runtime.0 == name && number.starts_with(known.runtime.1))
        .find(|known| known.tests.contains(&test))
        .map(|known| known.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_of_our_own_and_of_no_test() {
        let tests = super::super::sections::all();
        for known in KNOWN {
            assert!(["runc", "crun"].contains(&known.runtime.0), "{known:?}");
            for name in known.tests {
                assert!(tests.iter().any(|test| test.name == *name), "{name}");
            }
        }
    }
}
