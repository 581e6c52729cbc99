//! config.md, Linux Process: scheduler, ioPriority, execCPUAffinity.

use std::borrow::Cow;

use anyhow::Result;
use serde_json::{Value, json};

use super::super::container::until;
use super::super::find::{holds, same, stat, status};
use super::super::machine::numbers;
use super::super::suite::{Row, Suite, Test, skip, table};

pub(super) fn tests() -> Vec<Test> {
    let mut all = table(TESTS);
    all.extend(POLICIES.iter().map(policy_test));
    all.extend(CLASSES.iter().map(class_test));
    all
}

const TESTS: &[Row] = &[
    (
        "scheduler/nice",
        "config.md, Linux Process: nice is the process's nice value",
        nice,
    ),
    (
        "scheduler/nice-default",
        "config.md, Linux Process: nice is 0 if not set",
        nice_default,
    ),
    (
        "scheduler/reset-on-fork",
        "config.md, Linux Process: SCHED_FLAG_RESET_ON_FORK is a flag",
        reset_on_fork,
    ),
    (
        "scheduler/deadline",
        "config.md, Linux Process: runtime, deadline and period are those of SCHED_DEADLINE",
        deadline,
    ),
    (
        "affinity/final",
        "config.md, Linux Process: final is the list of CPUs that an exec'd process runs on",
        affinity_final,
    ),
    (
        "affinity/not-of-init",
        "config.md, Linux Process: execCPUAffinity is not for the container's init",
        affinity_not_of_init,
    ),
    (
        "affinity/initial",
        "config.md, Linux Process: with initial alone the process ends on the container's CPUs, or on initial if those allow",
        affinity_initial,
    ),
    (
        "affinity/invalid",
        "config.md, Valid values: what is no list of CPUs MUST be an error",
        affinity_invalid,
    ),
];

/// Policies: name, number in the kernel, fields, the capability that it needs.
type Policy = (&'static str, i64, &'static str, bool);

const POLICIES: &[Policy] = &[
    ("SCHED_OTHER", 0, "{}", false),
    ("SCHED_BATCH", 3, "{}", false),
    ("SCHED_IDLE", 5, "{}", false),
    ("SCHED_FIFO", 1, "{\"priority\": 7}", true),
    ("SCHED_RR", 2, "{\"priority\": 9}", true),
];

fn policy_test(row: &'static Policy) -> Test {
    let short = row.0.trim_start_matches("SCHED_").to_lowercase();
    Test {
        name: Cow::Owned(format!("scheduler/{short}")),
        says: Cow::Owned(format!(
            "config.md, Linux Process: policy {} is the process's, with its priority",
            row.0
        )),
        check: Box::new(move |suite| policy(suite, row)),
    }
}

/// CAP_SYS_NICE.
const NICE: u32 = 23;

fn policy(suite: &Suite, row: &Policy) -> Result<()> {
    let &(name, number, fields, realtime) = row;
    let mut scheduler: Value = serde_json::from_str(fields)?;
    scheduler["policy"] = json!(name);
    let mut bundle = suite.bundle()?;
    bundle.set("/process/scheduler", scheduler.clone());
    if realtime {
        suite.machine.need_capability(NICE, "CAP_SYS_NICE")?;
        realtime_time(suite, &mut bundle.config)?;
    }
    let report = bundle.report()?;
    same("policy", stat(&report, 41)?, number)?;
    let priority = scheduler["priority"].as_i64().unwrap_or(0);
    same("priority", stat(&report, 40)?, priority)
}

/// On cgroup v1 a new cgroup has no realtime time of its own, and its parent must have some first.
fn realtime_time(suite: &Suite, config: &mut Value) -> Result<()> {
    if suite.machine.cgroups.is_v2() {
        return Ok(());
    }
    let own = suite.machine.cgroups.directory("cpu", "")?;
    if own.join("cpu.rt_runtime_us").exists() {
        // In the root cgroup there is time.
        let Some(linux) = config["linux"].as_object_mut() else {
            return Ok(());
        };
        linux.remove("cgroupsPath");
        return skip("cgroup v1 gives new cgroups no realtime time");
    }
    Ok(())
}

fn with_scheduler(suite: &Suite, scheduler: Value) -> Result<Value> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/scheduler", scheduler);
    bundle.report()
}

fn nice(suite: &Suite) -> Result<()> {
    let report = with_scheduler(suite, json!({ "policy": "SCHED_OTHER", "nice": 11 }))?;
    same("nice", stat(&report, 19)?, 11)
}

fn nice_default(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/scheduler", json!({ "policy": "SCHED_BATCH" }));
    let container = bundle.create_through(&["nice", "-n", "5"], &[])?;
    container.start()?;
    container.wait()?;
    same("nice", stat(&container.first_report()?, 19)?, 0)
}

fn reset_on_fork(suite: &Suite) -> Result<()> {
    let flags = ["SCHED_FLAG_RESET_ON_FORK"];
    let report = with_scheduler(suite, json!({ "policy": "SCHED_BATCH", "flags": flags }))?;
    same("policy", stat(&report, 41)?, 3)
}

fn deadline(suite: &Suite) -> Result<()> {
    suite.machine.need_capability(NICE, "CAP_SYS_NICE")?;
    let mut bundle = suite.bundle()?;
    realtime_time(suite, &mut bundle.config)?;
    let scheduler = json!({
        "policy": "SCHED_DEADLINE", "runtime": 10_000_000, "deadline": 100_000_000, "period": 100_000_000,
    });
    bundle.set("/process/scheduler", scheduler);
    same("policy", stat(&bundle.report()?, 41)?, 6)
}

/// Classes: name, level, what ionice(1) calls it.
type Class = (&'static str, u32, &'static str);

const CLASSES: &[Class] = &[
    ("IOPRIO_CLASS_BE", 6, "best-effort: prio 6"),
    ("IOPRIO_CLASS_IDLE", 0, "idle"),
    ("IOPRIO_CLASS_RT", 2, "realtime: prio 2"),
];

fn class_test(row: &'static Class) -> Test {
    let short = row.0.trim_start_matches("IOPRIO_CLASS_").to_lowercase();
    Test {
        name: Cow::Owned(format!("io-priority/{short}")),
        says: Cow::Owned(format!(
            "config.md, Linux Process: ioPriority of class {} is the process's",
            row.0
        )),
        check: Box::new(move |suite| class(suite, row)),
    }
}

fn class(suite: &Suite, row: &Class) -> Result<()> {
    let &(name, level, wanted) = row;
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/process/ioPriority",
        json!({ "class": name, "priority": level }),
    );
    bundle.args(&["/bin/ionice", "-p", "1"]);
    let out = bundle.run()?;
    holds(wanted, out.trim().starts_with(wanted), out)
}

/// What `exec` of the probe in a container with this affinity may run on.
fn exec_affinity(suite: &Suite, affinity: Value) -> Result<Vec<u32>> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    bundle.set("/process/execCPUAffinity", affinity);
    let container = bundle.start()?;
    container.first_report()?;
    let said = bundle.call(&["exec", &bundle.id, "/probe", "report"])?;
    holds("exec works", said.ok(), &said)?;
    let report: Value = serde_json::from_str(&said.out)?;
    Ok(numbers(status(&report, "Cpus_allowed_list")?))
}

/// The last processor of several.
fn last_processor(suite: &Suite) -> Result<u32> {
    match suite.machine.processors[..] {
        [_, .., last] => Ok(last),
        _ => skip("this machine has one processor"),
    }
}

fn affinity_final(suite: &Suite) -> Result<()> {
    let last = last_processor(suite)?;
    let seen = exec_affinity(suite, json!({ "initial": "0", "final": last.to_string() }))?;
    same("CPUs", seen, [last])
}

fn affinity_initial(suite: &Suite) -> Result<()> {
    let last = last_processor(suite)?;
    let seen = exec_affinity(suite, json!({ "initial": last.to_string() }))?;
    holds(
        "the CPU of initial is among them",
        seen.contains(&last),
        seen,
    )
}

fn affinity_not_of_init(suite: &Suite) -> Result<()> {
    let last = last_processor(suite)?;
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/process/execCPUAffinity",
        json!({ "initial": "0", "final": last.to_string() }),
    );
    let report = bundle.report()?;
    let seen = numbers(status(&report, "Cpus_allowed_list")?);
    same("CPUs", seen, suite.machine.processors.clone())
}

fn affinity_invalid(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.args(&["/probe", "wait"]);
    bundle.set("/process/execCPUAffinity", json!({ "initial": "some" }));
    let said = bundle.try_create(&[], &[])?;
    if !said.ok() {
        return Ok(());
    }
    let container = super::super::container::Container::new(&bundle).created(&said)?;
    container.start()?;
    until("the program to run", || Ok(Some(container.first_report()?)))?;
    let said = bundle.call(&["exec", &bundle.id, "/probe", "report"])?;
    holds("create or exec gives an error", !said.ok(), said)
}
