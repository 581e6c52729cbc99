//! The default filter: Docker's, as rules of our own.
//!
//! What is not named is refused with EPERM. The groups are by what the calls are about; a call that
//! some kernel or machine does not have does no harm here.

use oci_spec::runtime::{LinuxSeccompAction, LinuxSeccompOperator};

use super::{Argument, Entry, When};

/// Files by path and by descriptor: opening, reading, writing, closing.
#[rustfmt::skip]
const FILES: &[&str] = &[
    "access", "faccessat", "faccessat2", "open", "openat", "openat2", "creat", "close",
    "close_range", "read", "readv", "pread64", "preadv", "preadv2", "write", "writev",
    "pwrite64", "pwritev", "pwritev2", "lseek", "_llseek", "dup", "dup2", "dup3", "fcntl",
    "fcntl64", "ioctl", "flock", "pipe", "pipe2", "splice", "tee", "vmsplice", "sendfile",
    "sendfile64", "copy_file_range", "readahead", "fadvise64", "fadvise64_64", "fallocate",
    "ftruncate", "ftruncate64", "truncate", "truncate64", "fsync", "fdatasync", "sync",
    "syncfs", "sync_file_range", "name_to_handle_at", "memfd_create",
];

/// What is known about a file, its name and its owner; directories.
#[rustfmt::skip]
const METADATA: &[&str] = &[
    "stat", "stat64", "lstat", "lstat64", "fstat", "fstat64", "fstatat64", "newfstatat",
    "statx", "statfs", "statfs64", "fstatfs", "fstatfs64", "statmount", "listmount", "chmod",
    "fchmod", "fchmodat", "fchmodat2", "chown", "chown32", "lchown", "lchown32", "fchown",
    "fchown32", "fchownat", "utime", "utimes", "futimesat", "utimensat", "utimensat_time64",
    "umask", "link", "linkat", "symlink", "symlinkat", "readlink", "readlinkat", "rename",
    "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "mknod",
    "mknodat", "getdents", "getdents64", "getcwd", "chdir", "fchdir",
];

/// Extended attributes.
#[rustfmt::skip]
const ATTRIBUTES: &[&str] = &[
    "getxattr", "getxattrat", "lgetxattr", "fgetxattr", "setxattr", "setxattrat", "lsetxattr",
    "fsetxattr", "listxattr", "listxattrat", "llistxattr", "flistxattr", "removexattr",
    "removexattrat", "lremovexattr", "fremovexattr",
];

/// Waiting for descriptors, watching files, asynchronous I/O.
#[rustfmt::skip]
const EVENTS: &[&str] = &[
    "select", "_newselect", "pselect6", "pselect6_time64", "poll", "ppoll", "ppoll_time64",
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_wait",
    "epoll_wait_old", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "signalfd",
    "signalfd4", "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch",
    "fanotify_mark", "io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents",
    "io_pgetevents", "io_pgetevents_time64",
];

/// Sockets, but for making one, which has conditions.
#[rustfmt::skip]
const SOCKETS: &[&str] = &[
    "socketcall", "socketpair", "bind", "listen", "accept", "accept4", "connect", "shutdown",
    "getsockname", "getpeername", "getsockopt", "setsockopt", "send", "sendto", "sendmsg",
    "sendmmsg", "recv", "recvfrom", "recvmsg", "recvmmsg", "recvmmsg_time64",
];

/// System V and POSIX message queues, semaphores, shared memory.
#[rustfmt::skip]
const IPC: &[&str] = &[
    "ipc", "msgget", "msgctl", "msgsnd", "msgrcv", "semget", "semctl", "semop", "semtimedop",
    "semtimedop_time64", "shmget", "shmctl", "shmat", "shmdt", "mq_open", "mq_unlink",
    "mq_notify", "mq_getsetattr", "mq_timedsend", "mq_timedsend_time64", "mq_timedreceive",
    "mq_timedreceive_time64",
];

/// Address space.
#[rustfmt::skip]
const MEMORY: &[&str] = &[
    "brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "msync", "madvise", "mincore",
    "mlock", "mlock2", "mlockall", "munlock", "munlockall", "mseal", "remap_file_pages",
    "map_shadow_stack", "memfd_secret", "membarrier", "pkey_alloc", "pkey_free",
    "pkey_mprotect", "cachestat", "process_mrelease",
];

/// Processes and threads, but for clone, which has conditions.
#[rustfmt::skip]
const PROCESSES: &[&str] = &[
    "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "waitpid",
    "getpid", "getppid", "gettid", "getpgid", "getpgrp", "setpgid", "getsid", "setsid",
    "pidfd_open", "prctl", "set_tid_address", "set_thread_area", "get_thread_area",
    "set_robust_list", "get_robust_list", "rseq", "restart_syscall", "getcpu", "uretprobe",
    "riscv_hwprobe",
];

/// Limits, priorities, scheduling.
#[rustfmt::skip]
const LIMITS: &[&str] = &[
    "getrlimit", "ugetrlimit", "setrlimit", "prlimit64", "getrusage", "times", "getpriority",
    "setpriority", "ioprio_get", "ioprio_set", "sched_yield", "sched_getaffinity",
    "sched_setaffinity", "sched_getattr", "sched_setattr", "sched_getparam", "sched_setparam",
    "sched_getscheduler", "sched_setscheduler", "sched_get_priority_max",
    "sched_get_priority_min", "sched_rr_get_interval", "sched_rr_get_interval_time64",
];

/// Futexes.
#[rustfmt::skip]
const FUTEXES: &[&str] = &[
    "futex", "futex_time64", "futex_wait", "futex_waitv", "futex_wake", "futex_requeue",
];

/// Signals.
#[rustfmt::skip]
const SIGNALS: &[&str] = &[
    "kill", "tkill", "tgkill", "pidfd_send_signal", "pause", "sigaltstack", "sigprocmask",
    "sigreturn", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo",
    "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64",
    "rt_tgsigqueueinfo",
];

/// Users, groups, capabilities, and giving up rights.
#[rustfmt::skip]
const IDENTITY: &[&str] = &[
    "getuid", "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid", "getegid32",
    "getresuid", "getresuid32", "getresgid", "getresgid32", "getgroups", "getgroups32",
    "setuid", "setuid32", "setgid", "setgid32", "setreuid", "setreuid32", "setregid",
    "setregid32", "setresuid", "setresuid32", "setresgid", "setresgid32", "setfsuid",
    "setfsuid32", "setfsgid", "setfsgid32", "setgroups", "setgroups32", "capget", "capset",
    "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
];

/// Clocks and timers. Setting the clock needs a capability that the kernel checks itself.
#[rustfmt::skip]
const TIME: &[&str] = &[
    "time", "gettimeofday", "clock_gettime", "clock_gettime64", "clock_getres",
    "clock_getres_time64", "clock_nanosleep", "clock_nanosleep_time64", "clock_adjtime",
    "clock_adjtime64", "adjtimex", "nanosleep", "alarm", "getitimer", "setitimer",
    "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64",
    "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime",
    "timerfd_gettime64", "timerfd_settime", "timerfd_settime64",
];

/// The machine.
#[rustfmt::skip]
const SYSTEM: &[&str] = &[
    "uname", "sysinfo", "getrandom",
];

/// Allowed to everybody.
const ALWAYS: [&[&str]; 14] = [
    FILES, METADATA, ATTRIBUTES, EVENTS, SOCKETS, IPC, MEMORY, PROCESSES, LIMITS, FUTEXES, SIGNALS,
    IDENTITY, TIME, SYSTEM,
];

/// Allowed to those who have a capability, which the kernel asks for as well, mostly.
const BY_CAPABILITY: [(&str, &[&str]); 15] = [
    ("CAP_BPF", &["bpf"]),
    ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
    ("CAP_PERFMON", &["perf_event_open"]),
    ("CAP_SYSLOG", &["syslog"]),
    ("CAP_SYS_ADMIN", ADMINISTRATION),
    ("CAP_SYS_BOOT", &["reboot"]),
    ("CAP_SYS_CHROOT", &["chroot"]),
    (
        "CAP_SYS_MODULE",
        &["delete_module", "finit_module", "init_module"],
    ),
    (
        "CAP_SYS_NICE",
        &[
            "get_mempolicy",
            "mbind",
            "set_mempolicy",
            "set_mempolicy_home_node",
        ],
    ),
    ("CAP_SYS_PACCT", &["acct"]),
    ("CAP_SYS_PTRACE", OTHER_PROCESSES),
    ("CAP_SYS_PTRACE", TRACING),
    ("CAP_SYS_RAWIO", &["ioperm", "iopl"]),
    (
        "CAP_SYS_TIME",
        &["clock_settime", "clock_settime64", "settimeofday", "stime"],
    ),
    ("CAP_SYS_TTY_CONFIG", &["vhangup"]),
];

/// Namespaces, mounts and the rest of what an administrator does.
#[rustfmt::skip]
const ADMINISTRATION: &[&str] = &[
    "clone", "clone3", "unshare", "setns",
    "mount", "umount", "umount2", "mount_setattr", "move_mount", "open_tree",
    "fsconfig", "fsmount", "fsopen", "fspick", "quotactl", "quotactl_fd",
    "sethostname", "setdomainname", "syslog", "bpf", "perf_event_open", "fanotify_init",
    "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr",
];

/// Looking into other processes.
const OTHER_PROCESSES: &[&str] = &["kcmp", "pidfd_getfd", "process_madvise"];

/// The same; since Linux 4.8 a tracer cannot get round a filter any more.
const TRACING: &[&str] = &["process_vm_readv", "process_vm_writev", "ptrace"];

/// Calls of single machines, by Go's names of these.
const BY_MACHINE: [(&[&str], &[&str]); 6] = [
    (&["amd64", "x32"], &["arch_prctl"]),
    (&["amd64", "x32", "x86"], &["modify_ldt"]),
    (
        &["arm", "arm64"],
        &[
            "arm_fadvise64_64",
            "arm_sync_file_range",
            "breakpoint",
            "cacheflush",
            "set_tls",
            "sync_file_range2",
        ],
    ),
    (&["ppc64le"], &["swapcontext", "sync_file_range2"]),
    (&["riscv64"], &["riscv_flush_icache"]),
    (
        &["s390", "s390x"],
        &[
            "s390_pci_mmio_read",
            "s390_pci_mmio_write",
            "s390_runtime_instr",
        ],
    ),
];

/// Personalities that only change what uname(2) and friends say: Linux, Linux on 32 bits, each also
/// saying 2.6, and asking for the one in force.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// AF_ALG, the kernel's ciphers, has had holes; AF_VSOCK reaches the host of a virtual machine.
const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

const ENOSYS: u32 = 38;

/// The rules, each with the condition on which it is part of the filter.
pub(super) fn entries() -> Vec<Entry> {
    let allow = |names: &[&str]| Entry::new(names, LinuxSeccompAction::ScmpActAllow);
    let mut entries: Vec<Entry> = ALWAYS.iter().map(|names| allow(names)).collect();
    entries.push(allow(TRACING).when(When {
        min_kernel: Some((4, 8)),
        ..When::default()
    }));
    for (capability, names) in BY_CAPABILITY {
        entries.push(allow(names).when(When {
            capabilities: vec![capability.to_owned()],
            ..When::default()
        }));
    }
    for (machines, names) in BY_MACHINE {
        entries.push(allow(names).when(When {
            machines: machines.iter().map(|m| (*m).to_owned()).collect(),
            ..When::default()
        }));
    }
    entries.extend(with_arguments());
    entries.extend(cloning());
    entries
}

/// Calls that are allowed with some arguments only.
fn with_arguments() -> impl Iterator<Item = Entry> {
    use LinuxSeccompOperator::{ScmpCmpEq, ScmpCmpGt, ScmpCmpLt};
    let families = [
        (AF_ALG, ScmpCmpLt),
        (AF_ALG + 1, ScmpCmpEq),
        (AF_VSOCK, ScmpCmpGt),
    ];
    let sockets = families.map(|(family, operator)| ("socket", family, operator));
    let personalities = PERSONALITIES.map(|p| ("personality", p, ScmpCmpEq));
    sockets
        .into_iter()
        .chain(personalities)
        .map(|(name, value, operator)| {
            Entry::new(&[name], LinuxSeccompAction::ScmpActAllow)
                .argument(argument(0, value, operator))
        })
}

/// Without the right to make namespaces, clone(2) is allowed where its flags ask for none. Those of
/// clone3(2) lie in memory, where a filter cannot look; ENOSYS makes programs try clone(2) instead.
fn cloning() -> [Entry; 3] {
    let s390 = || vec!["s390".to_owned(), "s390x".to_owned()];
    let admin = || vec!["CAP_SYS_ADMIN".to_owned()];
    let flags = |index| argument(index, NEW_NAMESPACES, LinuxSeccompOperator::ScmpCmpMaskedEq);
    let clone = || Entry::new(&["clone"], LinuxSeccompAction::ScmpActAllow);
    let mut clone3 = Entry::new(&["clone3"], LinuxSeccompAction::ScmpActErrno);
    clone3.errno = Some(ENOSYS);
    [
        clone().argument(flags(0)).unless(When {
            capabilities: admin(),
            machines: s390(),
            min_kernel: None,
        }),
        // On s390 the first two arguments are the other way round.
        clone()
            .argument(flags(1))
            .when(When {
                machines: s390(),
                ..When::default()
            })
            .unless(When {
                capabilities: admin(),
                ..When::default()
            }),
        clone3.unless(When {
            capabilities: admin(),
            ..When::default()
        }),
    ]
}

fn argument(index: usize, value: u64, op: LinuxSeccompOperator) -> Argument {
    Argument {
        index,
        value,
        value_two: 0,
        op,
    }
}
