//! The `process` object of the configuration, for the first process and for those that join.

use oci_spec::runtime::{Capabilities as Names, Linux, LinuxCapabilities, PosixRlimit, Process};
use sys::caps::{Capabilities, Sets};

use super::environment::environment;
use super::scheduling::SchedulingPlan;
use super::{Label, ProcessPlan};
use crate::error::Error;
use crate::warning::warn;

/// Checks and plans the process of the configuration.
pub(crate) fn first_process(asked: &Process, linux: &Linux) -> Result<ProcessPlan, Error> {
    let mut plan = process(asked)?;
    plan.scheduling.add_container(linux)?;
    Ok(plan)
}

/// Warns of ambient capabilities that the kernel will not raise: only what is permitted and
/// inheritable as well can be.
pub(crate) fn warn_of_ambient(plan: &ProcessPlan) {
    let sets = &plan.capabilities;
    for one in (sets.ambient - (sets.permitted & sets.inheritable)).names() {
        warn(|| format!("can't raise ambient capability CAP_{one}: operation not permitted"));
    }
}

/// Checks and plans another process. What it does not say is as the container's first process has
/// it: nobody is less confined by saying nothing.
pub(crate) fn joining_process(asked: &Process, first: &ProcessPlan) -> Result<ProcessPlan, Error> {
    let mut plan = process(asked)?;
    if asked.capabilities().is_none() {
        plan.capabilities = first.capabilities;
    }
    if asked.rlimits().is_none() {
        plan.rlimits.clone_from(&first.rlimits);
    }
    if asked.no_new_privileges().is_none() {
        plan.no_new_privileges = first.no_new_privileges;
    }
    plan.oom_score_adj = plan.oom_score_adj.or(first.oom_score_adj);
    if plan.label.is_none() {
        plan.label.clone_from(&first.label);
    }
    plan.scheduling.inherit(&first.scheduling);
    Ok(plan)
}

fn process(process: &Process) -> Result<ProcessPlan, Error> {
    let args = process.args().clone().unwrap_or_default();
    check(process, &args)?;
    let user = process.user();
    Ok(ProcessPlan {
        args,
        env: environment(process.env().as_deref().unwrap_or_default())?,
        cwd: process.cwd().clone(),
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
        umask: user.umask(),
        rlimits: rlimits(process)?,
        // Without a word about capabilities there are none.
        capabilities: process
            .capabilities()
            .as_ref()
            .map(capabilities)
            .unwrap_or_default(),
        no_new_privileges: process.no_new_privileges().unwrap_or(false),
        oom_score_adj: process.oom_score_adj(),
        terminal: process.terminal().unwrap_or(false),
        label: label(process)?,
        scheduling: SchedulingPlan::of_process(process)?,
    })
}

/// The number that means "leave it as it is" to the kernel, and so is nobody's.
pub(super) const NO_ID: u32 = u32::MAX;

fn check_user(user: &oci_spec::runtime::User) -> Result<(), Error> {
    let groups = user.additional_gids().iter().flatten();
    let ids = [("uid", user.uid()), ("gid", user.gid())].into_iter();
    for (field, id) in ids.chain(groups.map(|gid| ("additionalGids", *gid))) {
        if id == NO_ID {
            let reason = format!("{id} is no id: 0 to {} are", NO_ID - 1);
            return Err(Error::invalid(format!("process.user.{field}"), reason));
        }
    }
    Ok(())
}

fn check(process: &Process, args: &[String]) -> Result<(), Error> {
    if args.is_empty() || args.iter().all(String::is_empty) {
        return Err(Error::invalid("process.args", "must name a command"));
    }
    if !process.cwd().is_absolute() {
        return Err(Error::invalid("process.cwd", "must be an absolute path"));
    }
    if process.cwd().as_os_str().as_encoded_bytes().contains(&0) {
        let reason = "must not hold a NUL character";
        return Err(Error::invalid("process.cwd", reason));
    }
    check_user(process.user())?;
    if args.iter().any(|arg| arg.contains('\0')) {
        return Err(Error::invalid(
            "process.args",
            "must not hold a NUL character",
        ));
    }
    Ok(())
}

fn rlimits(process: &Process) -> Result<Vec<(String, u64, u64)>, Error> {
    let mut all: Vec<(String, u64, u64)> = Vec::new();
    for limit in process.rlimits().iter().flatten() {
        let name = limit_name(limit);
        let field = || format!("process.rlimits[{name}]");
        if all.iter().any(|(known, ..)| *known == name) {
            return Err(Error::invalid(field(), "is there twice"));
        }
        if limit.soft() > limit.hard() {
            return Err(Error::invalid(
                field(),
                "the soft limit is above the hard one",
            ));
        }
        all.push((name, limit.soft(), limit.hard()));
    }
    Ok(all)
}

/// `RLIMIT_NOFILE`, as the specification writes it.
fn limit_name(limit: &PosixRlimit) -> String {
    limit.typ().to_string()
}

fn capabilities(sets: &LinuxCapabilities) -> Sets {
    let set = |names: &Option<Names>| {
        // Every name the type can hold is in our table.
        let known = names
            .iter()
            .flatten()
            .filter_map(|name| Capabilities::named(&name.to_string()));
        known.fold(Capabilities::empty(), |all, one| all | one)
    };
    Sets {
        bounding: set(sets.bounding()),
        effective: set(sets.effective()),
        permitted: set(sets.permitted()),
        inheritable: set(sets.inheritable()),
        ambient: set(sets.ambient()),
    }
}

/// Refused where the kernel has no such module: a container that believes to be confined must be.
fn label(process: &Process) -> Result<Option<Label>, Error> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (
        given(process.apparmor_profile()),
        given(process.selinux_label()),
    ) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Error::invalid(
            "process.selinuxLabel",
            "cannot be set with apparmorProfile",
        )),
        (Some(profile), None) => apparmor(&profile).map(Some),
        (None, Some(label)) => selinux(label).map(Some),
    }
}

fn apparmor(profile: &str) -> Result<Label, Error> {
    let enabled = sys::fd::open_read("/sys/module/apparmor/parameters/enabled".as_ref())
        .and_then(|file| sys::fd::read_to_end(file, 8));
    if !enabled.is_ok_and(|text| text.starts_with(b"Y")) {
        let reason = "AppArmor is not enabled in this kernel";
        return Err(Error::unsupported("process.apparmorProfile", reason));
    }
    // Its own directory is there since Linux 5.8; before that it shares the file of all modules.
    let own = sys::fd::open_path("/proc/thread-self/attr/apparmor/exec".as_ref()).is_ok();
    let file = if own {
        "attr/apparmor/exec"
    } else {
        "attr/exec"
    };
    Ok(Label {
        file,
        value: format!("exec {profile}"),
    })
}

fn selinux(value: String) -> Result<Label, Error> {
    needs_selinux("process.selinuxLabel")?;
    Ok(Label {
        file: "attr/exec",
        value,
    })
}

fn needs_selinux(field: &str) -> Result<(), Error> {
    match sys::fd::open_path("/sys/fs/selinux/enforce".as_ref()) {
        Ok(_) => Ok(()),
        Err(_) => {
            let reason = "SELinux is not enabled in this kernel";
            Err(Error::unsupported(field, reason))
        }
    }
}

/// The label of what is mounted for the container.
pub(super) fn mount_label(linux: &Linux) -> Result<Option<String>, Error> {
    let label = linux.mount_label().clone();
    let label = label.filter(|label| !label.is_empty());
    if label.is_some() {
        needs_selinux("linux.mountLabel")?;
    }
    Ok(label)
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::{PosixRlimitBuilder, PosixRlimitType};

    use super::*;

    #[test]
    fn limits_have_the_names_of_the_kernel() {
        let limit = PosixRlimitBuilder::default()
            .typ(PosixRlimitType::RlimitNofile)
            .soft(1_u64)
            .hard(2_u64)
            .build()
            .unwrap();
        assert_eq!(limit_name(&limit), "RLIMIT_NOFILE");
    }

    #[test]
    fn a_command_is_needed() {
        let mut empty = Process::default();
        empty.set_args(Some(Vec::new()));
        let error = process(&empty).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid configuration: process.args: must name a command"
        );
    }
}
