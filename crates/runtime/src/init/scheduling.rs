//! Where and how urgently the process runs.

use types::ErrorKind;

use super::{Launch, Outcome};
use crate::prepare::{DEADLINE, SchedulingPlan};
use crate::protocol::{During, Failure};

/// Wherever the maker was put.
pub(crate) fn reset_cpus() -> Outcome {
    sys::sched::reset_affinity().during(|| "run on every CPU of the cgroup".to_owned())
}

/// Before anything is executed, whose caches they share.
pub(crate) fn enter_resource_groups(launch: &Launch<'_>) -> Outcome {
    let mut groups = launch.resource_groups.iter();
    groups.try_for_each(|tasks| {
        sys::fd::write_once(tasks, b"0").during(|| "enter a group of resctrl".to_owned())
    })
}

/// Before the cgroup is entered: work of the runtime itself may have to stay off some CPUs.
pub(crate) fn first_cpus(plan: &SchedulingPlan) -> Outcome {
    let Some(cpus) = plan.affinity.as_ref().and_then(|both| both.first.as_ref()) else {
        return Ok(());
    };
    sys::sched::set_affinity(cpus)
        .during(|| "run on the CPUs of execCPUAffinity.initial".to_owned())
}

/// In the cgroup.
pub(crate) fn cpus(plan: &SchedulingPlan) -> Outcome {
    match plan.affinity.as_ref().and_then(|both| both.then.as_ref()) {
        None => reset_cpus(),
        Some(cpus) => sys::sched::set_affinity(cpus)
            .during(|| "run on the CPUs of execCPUAffinity.final".to_owned()),
    }
}

/// After the hooks, which are none of the command's business and could not be cloned by a process
/// with a deadline; while CAP_SYS_NICE is there, and before a filter that may forbid it.
pub(crate) fn set(launch: &mut Launch<'_>) -> Outcome {
    let plan = &launch.process.scheduling;
    if let Some(policy) = &plan.memory_policy {
        sys::sched::set_memory_policy(policy.mode, policy.nodes.as_ref())
            .during(|| "set the memory policy".to_owned())?;
    }
    if let Some(domain) = plan.personality {
        sys::sched::set_personality(domain).during(|| format!("set the personality {domain}"))?;
    }
    if let Some((class, level)) = plan.io_priority {
        sys::sched::set_io_priority(class, level)
            .during(|| format!("set the I/O priority to class {class}, level {level}"))?;
    }
    scheduler(plan)
}

fn scheduler(plan: &SchedulingPlan) -> Outcome {
    let Some(scheduler) = &plan.scheduler else {
        return Ok(());
    };
    sys::sched::set_scheduler(scheduler).map_err(|error| {
        let why = match error.errno {
            // sched_setattr(2): only on all CPUs of the machine can a deadline be kept.
            sys::Errno::PERM if scheduler.policy == DEADLINE => {
                ": process scheduler can't be used together with AllowedCPUs (resources.cpu.cpus)"
            }
            sys::Errno::INVAL => ": this kernel has no such policy, or not with these values",
            _ => "",
        };
        let policy = scheduler.policy;
        let message = format!("cannot set the scheduler policy {policy}: {error}{why}");
        Failure::new(ErrorKind::Invalid, message)
    })
}
