//! How urgently and where a process runs: `scheduler`, `ioPriority`, `execCPUAffinity`,
//! `memoryPolicy` and `personality` of the configuration.

use oci_spec::runtime::{
    IOPriorityClass, Linux, LinuxIOPriority, LinuxMemoryPolicy, LinuxPersonality,
    LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy, MemoryPolicyFlagType,
    MemoryPolicyModeType, Process, Scheduler as Asked,
};
use sys::sched::{Numbers, Scheduler};

use crate::error::Error;

/// What is not the kernel's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SchedulingPlan {
    pub(crate) scheduler: Option<Scheduler>,
    /// Class and level.
    pub(crate) io_priority: Option<(u16, u16)>,
    pub(crate) affinity: Option<Affinity>,
    pub(crate) memory_policy: Option<MemoryPolicy>,
    /// The number of the execution domain.
    pub(crate) personality: Option<u32>,
}

/// CPUs of a process that joins: until it is in the cgroup, and from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Affinity {
    pub(crate) first: Option<Numbers>,
    pub(crate) then: Option<Numbers>,
}

/// MPOL_* with its flags, and the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemoryPolicy {
    pub(crate) mode: u32,
    pub(crate) nodes: Option<Numbers>,
}

impl SchedulingPlan {
    /// Whether a copy of a process can be scheduled like it: SCHED_DEADLINE forbids copies, and
    /// SCHED_FLAG_RESET_ON_FORK lets them be as others (sched(7)).
    pub(crate) fn outlasts_copy(&self) -> bool {
        self.scheduler
            .as_ref()
            .is_none_or(|own| own.policy != DEADLINE && own.flags & RESET_ON_FORK == 0)
    }

    /// What a process asks for itself.
    pub(super) fn of_process(process: &Process) -> Result<Self, Error> {
        let affinity = match process.exec_cpu_affinity() {
            None => None,
            Some(asked) => Some(Affinity {
                first: cpus("initial", asked.initial())?,
                then: cpus("final", asked.cpu_affinity_final())?,
            }),
        };
        Ok(Self {
            scheduler: process.scheduler().as_ref().map(scheduler).transpose()?,
            io_priority: process
                .io_priority()
                .as_ref()
                .map(io_priority)
                .transpose()?,
            affinity,
            memory_policy: None,
            personality: None,
        })
    }

    /// What the container asks for all its processes.
    pub(super) fn add_container(&mut self, linux: &Linux) -> Result<(), Error> {
        let policy = linux.memory_policy().as_ref().map(memory_policy);
        self.memory_policy = policy.transpose()?;
        self.personality = linux.personality().as_ref().map(personality).transpose()?;
        Ok(())
    }

    /// Takes from the container's first process what this one does not ask for, and from the
    /// container what is not a process' to choose.
    pub(super) fn inherit(&mut self, first: &Self) {
        self.scheduler = self.scheduler.or(first.scheduler);
        self.io_priority = self.io_priority.or(first.io_priority);
        self.affinity = self.affinity.take().or_else(|| first.affinity.clone());
        self.memory_policy.clone_from(&first.memory_policy);
        self.personality = first.personality;
    }
}

const OTHER: u32 = 0;
const FIFO: u32 = 1;
const RR: u32 = 2;
const BATCH: u32 = 3;
const ISO: u32 = 4;
const IDLE: u32 = 5;
/// Of sched(7).
pub(crate) const DEADLINE: u32 = 6;
/// Of linux/sched.h.
const RESET_ON_FORK: u64 = 1;

fn scheduler(asked: &Asked) -> Result<Scheduler, Error> {
    let policy = match asked.policy() {
        LinuxSchedulerPolicy::SchedOther => OTHER,
        LinuxSchedulerPolicy::SchedFifo => FIFO,
        LinuxSchedulerPolicy::SchedRr => RR,
        LinuxSchedulerPolicy::SchedBatch => BATCH,
        LinuxSchedulerPolicy::SchedIso => ISO,
        LinuxSchedulerPolicy::SchedIdle => IDLE,
        LinuxSchedulerPolicy::SchedDeadline => DEADLINE,
    };
    let flags = asked.flags().iter().flatten().map(|flag| flag_bit(*flag));
    let priority = asked.priority().unwrap_or(0);
    let scheduler = Scheduler {
        policy,
        flags: flags.fold(0, |all, one| all | one),
        nice: asked.nice().unwrap_or(0),
        priority: u32::try_from(priority)
            .map_err(|_| Error::invalid("process.scheduler.priority", "is negative"))?,
        runtime: asked.runtime().unwrap_or(0),
        deadline: asked.deadline().unwrap_or(0),
        period: asked.period().unwrap_or(0),
    };
    check_scheduler(&scheduler)?;
    Ok(scheduler)
}

fn check_scheduler(asked: &Scheduler) -> Result<(), Error> {
    let field = |name: &str| format!("process.scheduler.{name}");
    let Scheduler {
        policy, priority, ..
    } = *asked;
    if matches!(policy, OTHER | BATCH) && !(-20..=19).contains(&asked.nice) {
        let reason = format!("{} is not between -20 and 19", asked.nice);
        return Err(Error::invalid(field("nice"), reason));
    }
    if priority != 0 && !matches!(policy, FIFO | RR) {
        let reason = "can only be specified for SCHED_FIFO and SCHED_RR";
        return Err(Error::invalid(field("priority"), reason));
    }
    let timed = [
        ("runtime", asked.runtime),
        ("deadline", asked.deadline),
        ("period", asked.period),
    ];
    match timed.into_iter().find(|(_, value)| *value != 0) {
        Some((name, _)) if policy != DEADLINE => Err(Error::invalid(
            field(name),
            "can only be specified for SCHED_DEADLINE",
        )),
        _ => Ok(()),
    }
}

/// SCHED_FLAG_* of linux/sched.h.
fn flag_bit(flag: LinuxSchedulerFlag) -> u64 {
    match flag {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    }
}

fn io_priority(asked: &LinuxIOPriority) -> Result<(u16, u16), Error> {
    let class = match asked.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    match u16::try_from(asked.priority()) {
        Ok(level @ 0..=7) => Ok((class, level)),
        _ => {
            let reason = format!("{} is not between 0 and 7", asked.priority());
            Err(Error::invalid("process.ioPriority.priority", reason))
        }
    }
}

fn cpus(name: &str, list: &Option<String>) -> Result<Option<Numbers>, Error> {
    let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else {
        return Ok(None);
    };
    Numbers::cpus(list).map(Some).ok_or_else(|| {
        let reason = format!("{list:?} is no list of CPUs like 0-3,7");
        Error::invalid(format!("process.execCPUAffinity.{name}"), reason)
    })
}

/// As many as the kernel can have (CONFIG_NODES_SHIFT is at most 10).
const MOST_NODES: u32 = 1024;

fn memory_policy(asked: &LinuxMemoryPolicy) -> Result<MemoryPolicy, Error> {
    // Of numaif.h.
    let mode = match asked.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    let flag = |flag: &MemoryPolicyFlagType| match flag {
        MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
        MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
        MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
    };
    let flags = asked.flags().iter().flatten().map(flag);
    let nodes = match asked.nodes().as_deref().filter(|nodes| !nodes.is_empty()) {
        None => None,
        Some(list) => Some(Numbers::parse(list, MOST_NODES).ok_or_else(|| {
            let reason = format!("invalid memory policy node in {list:?}: a list like 0-3,7");
            Error::invalid("linux.memoryPolicy.nodes", reason)
        })?),
    };
    let mode = flags.fold(mode, |all: u32, one: u32| all | one);
    Ok(MemoryPolicy { mode, nodes })
}

fn personality(asked: &LinuxPersonality) -> Result<u32, Error> {
    if asked
        .flags()
        .as_ref()
        .is_some_and(|flags| !flags.is_empty())
    {
        let reason = "the specification has no flag yet: the list must be empty";
        return Err(Error::unsupported("linux.personality.flags", reason));
    }
    // PER_* of sys/personality.h.
    Ok(match asked.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(process: serde_json::Value) -> Result<SchedulingPlan, String> {
        let mut whole = json!({"cwd": "/", "user": {}});
        whole
            .as_object_mut()
            .unwrap()
            .extend(process.as_object().unwrap().clone());
        let process: Process = serde_json::from_value(whole).unwrap();
        SchedulingPlan::of_process(&process).map_err(|error| error.to_string())
    }

    #[test]
    fn schedulers_are_checked_against_their_policy() {
        let plan = of(json!({"scheduler": {"policy": "SCHED_DEADLINE",
            "flags": ["SCHED_RESET_ON_FORK"], "runtime": 1, "deadline": 2, "period": 3}}));
        let scheduler = plan.unwrap().scheduler.unwrap();
        assert_eq!((scheduler.policy, scheduler.flags), (6, 1));
        let table = [
            (
                json!({"policy": "SCHED_OTHER", "nice": 20}),
                "nice: 20 is not between -20 and 19",
            ),
            (
                json!({"policy": "SCHED_BATCH", "priority": 1}),
                "priority: can only be specified for SCHED_FIFO and SCHED_RR",
            ),
            (
                json!({"policy": "SCHED_RR", "period": 1}),
                "period: can only be specified for SCHED_DEADLINE",
            ),
            (
                json!({"policy": "SCHED_RR", "priority": -1}),
                "priority: is negative",
            ),
        ];
        for (scheduler, reason) in table {
            let told = of(json!({"scheduler": scheduler})).unwrap_err();
            assert_eq!(
                told,
                format!("invalid configuration: process.scheduler.{reason}")
            );
        }
    }

    #[test]
    fn priorities_and_cpus_are_read() {
        let plan = of(
            json!({"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
            "execCPUAffinity": {"initial": "0", "final": "0-1"}}),
        )
        .unwrap();
        assert_eq!(plan.io_priority, Some((2, 4)));
        let affinity = plan.affinity.unwrap();
        assert_eq!(affinity.first, Numbers::cpus("0"));
        assert_eq!(affinity.then, Numbers::cpus("0-1"));
        let wrong = of(json!({"ioPriority": {"class": "IOPRIO_CLASS_RT", "priority": 8}}));
        assert!(wrong.unwrap_err().contains("8 is not between 0 and 7"));
    }

    #[test]
    fn what_a_process_does_not_ask_for_is_the_first_ones() {
        let first = SchedulingPlan {
            io_priority: Some((2, 1)),
            personality: Some(8),
            ..SchedulingPlan::default()
        };
        let mut plan = of(json!({"scheduler": {"policy": "SCHED_BATCH"}})).unwrap();
        plan.inherit(&first);
        assert_eq!(plan.io_priority, Some((2, 1)));
        assert_eq!(plan.personality, Some(8));
        assert_eq!(plan.scheduler.unwrap().policy, BATCH);
    }
}
