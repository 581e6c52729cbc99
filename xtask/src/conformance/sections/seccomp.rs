//! config-linux.md, Seccomp, The Container Process State.

use std::borrow::Cow;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::super::bundle::Bundle;
use super::super::find::{errno, failed_with, holds, same, status, succeeded};
use super::super::suite::{Row, Suite, Test, table};
use super::terminal::{ready, receive};

pub(super) fn tests() -> Vec<Test> {
    let mut all = table(TESTS);
    all.extend(OPERATORS.iter().map(|row| Test {
        name: Cow::Owned(format!("seccomp/{}", row.name)),
        says: Cow::Owned(format!(
            "config-linux.md, Seccomp: {} compares an argument with value",
            row.op
        )),
        check: Box::new(move |suite| operator(suite, row)),
    }));
    all.extend(FLAGS.iter().map(|name| Test {
        name: Cow::Owned(format!(
            "seccomp/flag-{}",
            name.to_lowercase().replace('_', "-")
        )),
        says: Cow::Owned(format!(
            "config-linux.md, Seccomp: SECCOMP_FILTER_FLAG_{name} is a flag"
        )),
        check: Box::new(move |suite| flag(suite, name)),
    }));
    all
}

const TESTS: &[Row] = &[
    (
        "seccomp/unset",
        "config-linux.md, Seccomp: seccomp is OPTIONAL",
        unset,
    ),
    (
        "seccomp/filter-mode",
        "config-linux.md, Seccomp: the process has a filter",
        filter_mode,
    ),
    (
        "seccomp/without-no-new-privileges",
        "config-linux.md, Seccomp: the process has a filter, with noNewPrivileges or without",
        without_no_new_privileges,
    ),
    (
        "seccomp/without-newer-calls",
        "config-linux.md, Seccomp: a list that knows no newer calls lets the program run, with noNewPrivileges or without",
        without_newer_calls,
    ),
    (
        "seccomp/errno",
        "config-linux.md, Seccomp: SCMP_ACT_ERRNO gives EPERM by default",
        |suite| errno_is(suite, json!({ "action": "SCMP_ACT_ERRNO" }), 1),
    ),
    (
        "seccomp/errno-of-its-own",
        "config-linux.md, Seccomp: errnoRet is the errno to use",
        |suite| {
            errno_is(
                suite,
                json!({ "action": "SCMP_ACT_ERRNO", "errnoRet": 77 }),
                77,
            )
        },
    ),
    (
        "seccomp/errno-zero",
        "config-linux.md, Seccomp: errnoRet 0 is an errno to use: the call does nothing and succeeds",
        errno_zero,
    ),
    (
        "seccomp/trace",
        "config-linux.md, Seccomp: SCMP_ACT_TRACE without a tracer gives ENOSYS, as seccomp(2) says",
        |suite| errno_is(suite, json!({ "action": "SCMP_ACT_TRACE" }), 38),
    ),
    (
        "seccomp/allow",
        "config-linux.md, Seccomp: SCMP_ACT_ALLOW lets the call through",
        |suite| let_through(suite, "SCMP_ACT_ALLOW"),
    ),
    (
        "seccomp/log",
        "config-linux.md, Seccomp: SCMP_ACT_LOG lets the call through and logs it",
        |suite| let_through(suite, "SCMP_ACT_LOG"),
    ),
    (
        "seccomp/kill",
        "config-linux.md, Seccomp: SCMP_ACT_KILL kills what makes the call",
        |suite| killed(suite, "SCMP_ACT_KILL", &["mkdir", "/tmp/x"], 31),
    ),
    (
        "seccomp/kill-process",
        "config-linux.md, Seccomp: SCMP_ACT_KILL_PROCESS kills the process, whichever thread makes the call",
        |suite| {
            killed(
                suite,
                "SCMP_ACT_KILL_PROCESS",
                &["thread", "mkdir", "/tmp/x"],
                31,
            )
        },
    ),
    (
        "seccomp/kill-thread",
        "config-linux.md, Seccomp: SCMP_ACT_KILL_THREAD kills the thread that makes the call",
        kill_thread,
    ),
    (
        "seccomp/trap",
        "config-linux.md, Seccomp: SCMP_ACT_TRAP sends SIGSYS",
        |suite| killed(suite, "SCMP_ACT_TRAP", &["mkdir", "/tmp/x"], 31),
    ),
    (
        "seccomp/default-errno",
        "config-linux.md, Seccomp: defaultAction is for all calls without a rule, with defaultErrnoRet",
        default_errno,
    ),
    (
        "seccomp/default-errno-unset",
        "config-linux.md, Seccomp: defaultErrnoRet is EPERM if not specified",
        default_errno_unset,
    ),
    (
        "seccomp/several-names",
        "config-linux.md, Seccomp: names may be several",
        several_names,
    ),
    (
        "seccomp/several-rules",
        "config-linux.md, Seccomp: each entry of syscalls holds",
        several_rules,
    ),
    (
        "seccomp/several-arguments",
        "config-linux.md, Seccomp: the arguments of one entry hold together",
        several_arguments,
    ),
    (
        "seccomp/alternatives",
        "config-linux.md, Seccomp: entries of the same syscall with other arguments hold each",
        alternatives,
    ),
    (
        "seccomp/architecture",
        "config-linux.md, Seccomp: architectures are those whose calls are filtered",
        |suite| architecture(suite, json!([NATIVE])),
    ),
    (
        "seccomp/several-architectures",
        "config-linux.md, Seccomp: architectures may be several",
        |suite| {
            architecture(
                suite,
                json!([
                    "SCMP_ARCH_X86_64",
                    "SCMP_ARCH_X86",
                    "SCMP_ARCH_X32",
                    "SCMP_ARCH_AARCH64",
                    "SCMP_ARCH_ARM"
                ]),
            )
        },
    ),
    (
        "seccomp/no-architecture",
        "config-linux.md, Seccomp: architectures is OPTIONAL",
        |suite| architecture(suite, Value::Null),
    ),
    (
        "seccomp/exec",
        "config-linux.md, Seccomp: a process that is exec'd has the filter as well",
        exec,
    ),
    (
        "seccomp/listener-ignored",
        "config-linux.md, Seccomp: listenerPath is ignored without SCMP_ACT_NOTIFY",
        listener_ignored,
    ),
    (
        "seccomp/notify",
        "config-linux.md, Seccomp: SCMP_ACT_NOTIFY asks the listener; without one any more the call is ENOSYS",
        |suite| listened(suite, |_| Ok(())),
    ),
    (
        "seccomp/notify-descriptor",
        "config-linux.md, Seccomp: seccompFd is the descriptor that seccomp(2) returned",
        |suite| listened(suite, descriptor),
    ),
    (
        "seccomp/notify-fds",
        "config-linux.md, The Container Process State: fds names the descriptors in their order",
        |suite| {
            listened(suite, |got| {
                same("fds", &got.state["fds"], &json!(["seccompFd"]))
            })
        },
    ),
    (
        "seccomp/notify-version",
        "config-linux.md, The Container Process State: ociVersion is REQUIRED",
        |suite| {
            listened(suite, |got| {
                holds(
                    "it is a string",
                    got.state["ociVersion"].is_string(),
                    &got.state,
                )
            })
        },
    ),
    (
        "seccomp/notify-pid",
        "config-linux.md, The Container Process State: pid is the process's as the runtime sees it",
        |suite| listened(suite, |got| same("pid", &got.state["pid"], &json!(got.pid))),
    ),
    (
        "seccomp/notify-metadata",
        "config-linux.md, The Container Process State: metadata is listenerMetadata",
        |suite| {
            listened(suite, |got| {
                same("metadata", &got.state["metadata"], &json!("opaque=1"))
            })
        },
    ),
    (
        "seccomp/notify-state",
        "config-linux.md, The Container Process State: state is the container's",
        |suite| {
            listened(suite, |got| {
                same("id", &got.state["state"]["id"], &json!(got.id))
            })
        },
    ),
    (
        "seccomp/notify-closed",
        "config-linux.md, Seccomp: the connection MUST be closed after one state",
        |suite| {
            listened(suite, |got| {
                holds("the connection was closed", got.closed, "it stayed open")
            })
        },
    ),
];

#[cfg(target_arch = "x86_64")]
const NATIVE: &str = "SCMP_ARCH_X86_64";
#[cfg(not(target_arch = "x86_64"))]
const NATIVE: &str = "SCMP_ARCH_AARCH64";

const FLAGS: &[&str] = &["TSYNC", "LOG", "SPEC_ALLOW"];

/// A bundle whose filter allows all but has one rule more, for making a directory if it names none.
fn with_rule(suite: &Suite, rule: Value) -> Result<Bundle<'_>> {
    with_rules(suite, &[rule])
}

fn with_rules<'s>(suite: &'s Suite, rules: &[Value]) -> Result<Bundle<'s>> {
    let mut bundle = suite.bundle()?;
    let mut rules = rules.to_vec();
    for rule in &mut rules {
        if rule.get("names").is_none() {
            rule["names"] = json!(["mkdir", "mkdirat"]);
        }
    }
    let filter =
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": [NATIVE], "syscalls": rules });
    bundle.set("/linux/seccomp", filter);
    Ok(bundle)
}

const MAKE: &[&str] = &["mkdir", "/tmp/x"];

fn unset(suite: &Suite) -> Result<()> {
    same(
        "Seccomp",
        status(&suite.bundle()?.report()?, "Seccomp")?,
        "0",
    )
}

fn filter_mode(suite: &Suite) -> Result<()> {
    let mut bundle = with_rule(suite, json!({ "action": "SCMP_ACT_ERRNO" }))?;
    same("Seccomp", status(&bundle.report()?, "Seccomp")?, "2")
}

fn without_no_new_privileges(suite: &Suite) -> Result<()> {
    let mut bundle = with_rule(suite, json!({ "action": "SCMP_ACT_ERRNO" }))?;
    bundle.set("/process/noNewPrivileges", json!(false));
    let done = bundle.ops(&[MAKE, &["report"]])?;
    failed_with(&done[0], 1)?;
    same("NoNewPrivs", status(&done[1]["ok"], "NoNewPrivs")?, "0")
}

/// As a list of the calls of some years ago, which gives every other one EPERM.
fn without_newer_calls(suite: &Suite) -> Result<()> {
    let newer = [
        "clone3",
        "close_range",
        "faccessat2",
        "openat2",
        "pidfd_open",
        "execveat",
    ];
    for no_new_privileges in [true, false] {
        let mut bundle = suite.bundle()?;
        let rule = json!({ "names": newer, "action": "SCMP_ACT_ERRNO" });
        let filter = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule] });
        bundle.set("/linux/seccomp", filter);
        bundle.set("/process/noNewPrivileges", json!(no_new_privileges));
        let report = bundle.report()?;
        same("Seccomp", status(&report, "Seccomp")?, "2")?;
    }
    Ok(())
}

fn errno_is(suite: &Suite, rule: Value, wanted: i64) -> Result<()> {
    let done = with_rule(suite, rule)?.ops(&[MAKE])?;
    failed_with(&done[0], wanted)
}

fn errno_zero(suite: &Suite) -> Result<()> {
    let mut bundle = with_rule(suite, json!({ "action": "SCMP_ACT_ERRNO", "errnoRet": 0 }))?;
    let done = bundle.ops(&[MAKE, &["stat", "/tmp/x"]])?;
    succeeded(&done[0])?;
    failed_with(&done[1], 2)
}

fn let_through(suite: &Suite, action: &str) -> Result<()> {
    let done = with_rule(suite, json!({ "action": action }))?.ops(&[MAKE, &["stat", "/tmp/x"]])?;
    done.iter().try_for_each(succeeded)
}

/// A child of the probe's makes the call, so that the probe can tell how that ends.
fn child(bundle: &mut Bundle<'_>, op: &[&str]) -> Result<Value> {
    let mut words = vec!["child"];
    words.extend(op);
    bundle.op(&words)
}

fn killed(suite: &Suite, action: &str, op: &[&str], signal: i64) -> Result<()> {
    let ended = child(&mut with_rule(suite, json!({ "action": action }))?, op)?;
    same("signal", &ended["signal"], &json!(signal))
}

fn kill_thread(suite: &Suite) -> Result<()> {
    let mut bundle = with_rule(suite, json!({ "action": "SCMP_ACT_KILL_THREAD" }))?;
    let ended = child(&mut bundle, &["thread", "mkdir", "/tmp/x"])?;
    same("signal", &ended["signal"], &Value::Null)?;
    let out = ended["out"].as_str().unwrap_or_default();
    holds("the other thread goes on", out.contains("killed"), out)
}

/// What the runtime and the probe need; nothing that makes directories or seeks.
const NEEDED: &str = "access arch_prctl brk capget capset chdir clock_gettime clock_nanosleep clone clone3 \
    close close_range connect dup dup2 dup3 epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 execve \
    execveat exit exit_group faccessat faccessat2 fchdir fcntl fstat fstatfs futex getcwd getdents64 getegid \
    geteuid getgid getpgrp getpid getppid getrandom getrlimit gettid getuid ioctl kill lstat madvise mmap \
    mprotect mremap munmap nanosleep newfstatat open openat openat2 pipe pipe2 poll ppoll prctl pread64 \
    prlimit64 read readlink readlinkat recvfrom recvmsg restart_syscall rseq rt_sigaction rt_sigprocmask \
    rt_sigreturn sched_getaffinity sched_yield seccomp sendmsg sendto set_robust_list set_tid_address \
    setgid setgroups setresgid setresuid setuid sigaltstack socket stat statx tgkill umask uname unlink \
    unlinkat wait4 waitid write writev";

fn with_default(suite: &Suite, errno: Option<u32>, wanted: i64) -> Result<()> {
    let names: Vec<&str> = NEEDED.split_whitespace().collect();
    let mut filter = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "architectures": [NATIVE],
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    });
    if let Some(errno) = errno {
        filter["defaultErrnoRet"] = json!(errno);
    }
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/seccomp", filter);
    let done = bundle.ops(&[MAKE])?;
    failed_with(&done[0], wanted)
}

fn default_errno(suite: &Suite) -> Result<()> {
    with_default(suite, Some(38), 38)
}

fn default_errno_unset(suite: &Suite) -> Result<()> {
    with_default(suite, None, 1)
}

fn several_names(suite: &Suite) -> Result<()> {
    let names = [
        "mkdir",
        "mkdirat",
        "chmod",
        "fchmodat",
        "symlink",
        "symlinkat",
    ];
    let mut bundle = with_rule(suite, json!({ "names": names, "action": "SCMP_ACT_ERRNO" }))?;
    let done = bundle.ops(&[
        MAKE,
        &["chmod", "/etc", "700"],
        &["symlink", "a", "/tmp/b"],
        &["stat", "/etc"],
    ])?;
    done[..3].iter().try_for_each(|one| failed_with(one, 1))?;
    succeeded(&done[3])
}

fn several_rules(suite: &Suite) -> Result<()> {
    let symlinks =
        json!({ "names": ["symlink", "symlinkat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 12 });
    let rules = [
        json!({ "action": "SCMP_ACT_ERRNO", "errnoRet": 11 }),
        symlinks,
    ];
    let done = with_rules(suite, &rules)?.ops(&[MAKE, &["symlink", "a", "/tmp/b"]])?;
    failed_with(&done[0], 11)?;
    failed_with(&done[1], 12)
}

/// Rules for lseek, whose second argument the probe chooses and whose third is 0, or 2 from the end.
fn seek_rule(args: Value) -> Value {
    json!({ "names": ["lseek"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99, "args": args })
}

fn seek(suite: &Suite, rules: &[Value], ops: &[&[&str]]) -> Result<Vec<bool>> {
    let done = with_rules(suite, rules)?.ops(ops)?;
    Ok(done.iter().map(|one| errno(one) == Some(99)).collect())
}

fn several_arguments(suite: &Suite) -> Result<()> {
    let both = seek_rule(json!([
        { "index": 1, "value": 7, "op": "SCMP_CMP_EQ" }, { "index": 2, "value": 0, "op": "SCMP_CMP_EQ" },
    ]));
    let refused = seek(
        suite,
        &[both],
        &[&["seek", "7"], &["seek", "8"], &["seek-from-end", "0"]],
    )?;
    same("which are refused", refused, [true, false, false])
}

fn alternatives(suite: &Suite) -> Result<()> {
    let of = |value: u64| seek_rule(json!([{ "index": 1, "value": value, "op": "SCMP_CMP_EQ" }]));
    let refused = seek(
        suite,
        &[of(7), of(9)],
        &[&["seek", "7"], &["seek", "8"], &["seek", "9"]],
    )?;
    same("which are refused", refused, [true, false, true])
}

/// A comparison, and for which offsets it holds.
#[derive(Debug)]
struct Operator {
    name: &'static str,
    op: &'static str,
    value: u64,
    second: u64,
    matching: &'static [&'static str],
    others: &'static [&'static str],
}

/// More than 32 bits.
const BIG: u64 = 0x1_0000_0005;

const OPERATORS: &[Operator] = &[
    Operator {
        name: "operator-eq",
        op: "SCMP_CMP_EQ",
        value: 5,
        second: 0,
        matching: &["5"],
        others: &["4", "6", "4294967301"],
    },
    Operator {
        name: "operator-ne",
        op: "SCMP_CMP_NE",
        value: 5,
        second: 0,
        matching: &["4", "6", "4294967301"],
        others: &["5"],
    },
    Operator {
        name: "operator-lt",
        op: "SCMP_CMP_LT",
        value: 5,
        second: 0,
        matching: &["0", "4"],
        others: &["5", "6", "4294967296"],
    },
    Operator {
        name: "operator-le",
        op: "SCMP_CMP_LE",
        value: 5,
        second: 0,
        matching: &["4", "5"],
        others: &["6", "4294967297"],
    },
    Operator {
        name: "operator-ge",
        op: "SCMP_CMP_GE",
        value: 5,
        second: 0,
        matching: &["5", "6", "4294967296"],
        others: &["4", "0"],
    },
    Operator {
        name: "operator-gt",
        op: "SCMP_CMP_GT",
        value: 5,
        second: 0,
        matching: &["6", "4294967296"],
        others: &["5", "0"],
    },
    Operator {
        name: "operator-masked-eq",
        op: "SCMP_CMP_MASKED_EQ",
        value: 0xf0,
        second: 0x30,
        matching: &["48", "63", "304"],
        others: &["64", "0"],
    },
    Operator {
        name: "operator-eq-64-bits",
        op: "SCMP_CMP_EQ",
        value: BIG,
        second: 0,
        matching: &["4294967301"],
        others: &["5", "8589934597"],
    },
    Operator {
        name: "operator-ne-64-bits",
        op: "SCMP_CMP_NE",
        value: BIG,
        second: 0,
        matching: &["5", "8589934597"],
        others: &["4294967301"],
    },
    Operator {
        name: "operator-lt-64-bits",
        op: "SCMP_CMP_LT",
        value: BIG,
        second: 0,
        matching: &["4294967300", "7"],
        others: &["4294967301", "8589934592"],
    },
    Operator {
        name: "operator-le-64-bits",
        op: "SCMP_CMP_LE",
        value: BIG,
        second: 0,
        matching: &["4294967301", "7"],
        others: &["4294967302", "8589934592"],
    },
    Operator {
        name: "operator-ge-64-bits",
        op: "SCMP_CMP_GE",
        value: BIG,
        second: 0,
        matching: &["4294967301", "8589934592"],
        others: &["4294967300", "7"],
    },
    Operator {
        name: "operator-gt-64-bits",
        op: "SCMP_CMP_GT",
        value: BIG,
        second: 0,
        matching: &["4294967302", "8589934592"],
        others: &["4294967301", "7"],
    },
    Operator {
        name: "operator-masked-eq-64-bits",
        op: "SCMP_CMP_MASKED_EQ",
        value: 0x3_0000_0000,
        second: 0x1_0000_0000,
        matching: &["4294967296", "4294967300"],
        others: &["1", "8589934592", "12884901888"],
    },
];

fn operator(suite: &Suite, row: &Operator) -> Result<()> {
    let mut arg = json!({ "index": 1, "value": row.value, "op": row.op });
    if row.second != 0 {
        arg["valueTwo"] = json!(row.second);
    }
    let offsets: Vec<&str> = row.matching.iter().chain(row.others).copied().collect();
    let ops: Vec<[&str; 2]> = offsets.iter().map(|offset| ["seek", *offset]).collect();
    let ops: Vec<&[&str]> = ops.iter().map(|op| &op[..]).collect();
    let refused = seek(suite, &[seek_rule(json!([arg]))], &ops)?;
    for (at, offset) in offsets.iter().enumerate() {
        let wanted = at < row.matching.len();
        same(
            &format!("whether {offset} matches {} {}", row.op, row.value),
            refused[at],
            wanted,
        )?;
    }
    Ok(())
}

fn architecture(suite: &Suite, list: Value) -> Result<()> {
    let mut bundle = with_rule(suite, json!({ "action": "SCMP_ACT_ERRNO" }))?;
    match list {
        Value::Null => bundle.config["linux"]["seccomp"]
            .as_object_mut()
            .and_then(|map| map.remove("architectures"))
            .map(drop)
            .unwrap_or_default(),
        list => {
            bundle.set("/linux/seccomp/architectures", list);
        }
    }
    let done = bundle.ops(&[MAKE])?;
    failed_with(&done[0], 1)
}

fn flag(suite: &Suite, name: &str) -> Result<()> {
    let mut bundle = with_rule(suite, json!({ "action": "SCMP_ACT_ERRNO" }))?;
    bundle.set(
        "/linux/seccomp/flags",
        json!([format!("SECCOMP_FILTER_FLAG_{name}")]),
    );
    let done = bundle.ops(&[MAKE])?;
    failed_with(&done[0], 1)
}

fn exec(suite: &Suite) -> Result<()> {
    let mut bundle = with_rule(suite, json!({ "action": "SCMP_ACT_ERRNO", "errnoRet": 55 }))?;
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    container.first_report()?;
    let said = bundle.call(&[
        "exec",
        &bundle.id,
        "/probe",
        "ops",
        &json!(MAKE).to_string(),
    ])?;
    holds("exec works", said.ok(), &said)?;
    failed_with(&serde_json::from_str(&said.out)?, 55)
}

fn listener_ignored(suite: &Suite) -> Result<()> {
    let mut bundle = with_rule(suite, json!({ "action": "SCMP_ACT_ERRNO" }))?;
    bundle.set("/linux/seccomp/listenerPath", json!("/absent/socket"));
    bundle.report().map(drop)
}

/// What a listener was sent.
#[derive(Debug)]
struct Listened {
    state: Value,
    fds: Vec<OwnedFd>,
    /// Whether the connection was closed at once.
    closed: bool,
    /// The container's process and its name.
    pid: u32,
    id: String,
}

/// Runs a container whose calls go to a listener that gives up, and looks at what that was sent.
fn listened(suite: &Suite, look: impl Fn(&Listened) -> Result<()>) -> Result<()> {
    let mut bundle = with_rule(suite, json!({ "action": "SCMP_ACT_NOTIFY" }))?;
    let path = bundle.text_path("seccomp");
    let listener = UnixListener::bind(&path)?;
    bundle.set("/linux/seccomp/listenerPath", json!(path));
    bundle.set("/linux/seccomp/listenerMetadata", json!("opaque=1"));
    bundle.args(&["/probe", "ops", &json!(MAKE).to_string()]);
    let container = bundle.create()?;
    container.start()?;
    holds("somebody connected", ready(&listener), &path)?;
    let (stream, _) = listener.accept()?;
    let (mut bytes, fds) = receive(&stream)?;
    // The rest, if it was more than one message, and the end.
    let mut closed = false;
    while ready(&stream) {
        let (more, _) = receive(&stream)?;
        closed = more.is_empty();
        bytes.extend(more);
        if closed {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let state =
        serde_json::from_str(&text).with_context(|| format!("the listener was sent {text:?}"))?;
    let got = Listened {
        state,
        fds,
        closed,
        pid: container.pid,
        id: bundle.id.clone(),
    };
    look(&got)?;
    drop(got);
    container.wait()?;
    let done = super::super::bundle::last_line(&container.output()).context("no result")?;
    failed_with(&done, 38)
}

fn descriptor(got: &Listened) -> Result<()> {
    same("descriptors", got.fds.len(), 1)?;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", got.fds[0].as_raw_fd()))?;
    holds(
        "it is seccomp's",
        link.to_string_lossy().contains("seccomp notify"),
        link,
    )
}
