//! From full rights to those of the command. The order is forced: what needs rights before what
//! takes them away, and each filter after what it might forbid.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use sys::caps::{Capabilities, Sets};
use types::ErrorKind;

use super::{Launch, Outcome, gate};
use crate::prepare::Label;
use crate::protocol::{During, Failure, FromInit, ToInit};

/// First of all, so that no copy of a dead maker goes on building; and again after the change of
/// user, which makes the kernel forget it. A maker that died before the first call is noticed at
/// the gate.
pub(crate) fn parent_death(launch: &mut Launch<'_>) -> Outcome {
    let Some(signal) = launch.parent_death_signal else {
        return Ok(());
    };
    sys::process::set_parent_death_signal(Some(signal))
        .during(|| "ask for a signal when the maker dies".to_owned())
}

/// Before the user namespace, in which nobody may lower it, and while the host's /proc is there. Who is
/// born in one has it from the maker.
pub(crate) fn oom_score(launch: &mut Launch<'_>) -> Outcome {
    let Some(score) = launch.process.oom_score_adj else {
        return Ok(());
    };
    if launch.bounded {
        return Ok(());
    }
    let written = sys::fd::open_write(Path::new("/proc/thread-self/oom_score_adj"))
        .and_then(|file| sys::fd::write_once(file, score.to_string().as_bytes()));
    written.during(|| format!("set oom_score_adj to {score}"))
}

/// While the host's /proc is there, which no image can fake.
pub(crate) fn open_label_file(launch: &mut Launch<'_>) -> Outcome {
    let Some(label) = &launch.process.label else {
        return Ok(());
    };
    let path = Path::new("/proc/thread-self").join(label.file);
    let file = sys::fd::open_write(&path).during(|| format!("open {}", path.display()))?;
    launch.label_file = Some(file);
    Ok(())
}

/// While the host's /proc is there, and before there are keys: the command shall be allowed its own.
/// Until the next execve(2), which is the command's.
pub(crate) fn label_keys(launch: &mut Launch<'_>) -> Outcome {
    let label = launch.process.label.as_ref().and_then(Label::of_keys);
    let Some(label) = label.filter(|_| launch.new_keyring) else {
        return Ok(());
    };
    sys::fd::open_write(Path::new("/proc/thread-self/attr/keycreate"))
        .and_then(|file| sys::fd::write_once(&file, label.as_bytes()))
        .map_err(|error| refused_label(label, error))
}

/// Before anything of the container's runs in this process: it may rely on the usual dispositions.
pub(crate) fn signals(launch: &mut Launch<'_>) -> Outcome {
    sys::process::set_umask(launch.process.umask.unwrap_or(0o022));
    sys::process::reset_signals().during(|| "reset the signals".to_owned())
}

/// Before CAP_SYS_RESOURCE is given up, which is needed to raise a hard limit.
pub(crate) fn limits(launch: &mut Launch<'_>) -> Outcome {
    for (name, soft, hard) in &launch.process.rlimits {
        sys::rlimit::set(name, *soft, *hard).during(|| format!("set {name} to {soft}:{hard}"))?;
    }
    Ok(())
}

/// Before the user namespace, in which nobody may raise a hard limit: [`limits`] says what holds.
pub(crate) fn allow_limits(limits: &[(String, u64, u64)]) -> sys::Result<()> {
    let mut all = limits.iter();
    all.try_for_each(|(name, _, hard)| sys::rlimit::allow(name, *hard))
}

/// While this process may still write to it; the module acts on the next execve(2).
pub(crate) fn label(launch: &mut Launch<'_>) -> Outcome {
    let (Some(label), Some(file)) = (&launch.process.label, &launch.label_file) else {
        return Ok(());
    };
    sys::fd::write_once(file, label.value.as_bytes()).map_err(|error| refused(label, error))
}

/// AppArmor does not find a profile that nobody has loaded; SELinux takes only what its policy knows.
fn refused(label: &Label, error: sys::Error) -> Failure {
    let message = match (error.errno, label.profile()) {
        (sys::Errno::NOENT, Some(profile)) => format!(
            "process.apparmorProfile: AppArmor has no profile {profile:?}: \
             it must be loaded before (apparmor_parser)"
        ),
        (_, Some(profile)) => format!("cannot apply AppArmor's profile {profile:?}: {error}"),
        (_, None) => return refused_label(&label.value, error),
    };
    let kind = match error.errno {
        sys::Errno::NOENT | sys::Errno::INVAL => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    };
    Failure::new(kind, message)
}

/// SELinux's.
fn refused_label(label: &str, error: sys::Error) -> Failure {
    let (kind, message) = match error.errno {
        sys::Errno::INVAL => (
            ErrorKind::Invalid,
            format!("process.selinuxLabel: SELinux's policy does not know {label:?}"),
        ),
        _ => (
            ErrorKind::Internal,
            format!("cannot apply SELinux's label {label:?}: {error}"),
        ),
    };
    Failure::new(kind, message)
}

/// Without no_new_privs only CAP_SYS_ADMIN may install a filter, so it has to be done before that
/// is given up, and the filter has to allow the rest of the way.
pub(crate) fn early_seccomp(launch: &mut Launch<'_>) -> Outcome {
    if launch.process.no_new_privileges {
        Ok(())
    } else {
        seccomp(launch)
    }
}

/// With no_new_privs anybody may, so it is done as late as possible: the filter need only allow
/// execve(2).
pub(crate) fn late_seccomp(launch: &mut Launch<'_>) -> Outcome {
    if launch.process.no_new_privileges && !launch.hidden {
        seccomp(launch)
    } else {
        Ok(())
    }
}

/// But before somebody may look into this process, who could have it make calls that he may not make.
pub(crate) fn hidden_seccomp(launch: &mut Launch<'_>) -> Outcome {
    if launch.process.no_new_privileges && launch.hidden {
        seccomp(launch)
    } else {
        Ok(())
    }
}

fn seccomp(launch: &Launch<'_>) -> Outcome {
    let Some(program) = launch.seccomp else {
        return Ok(());
    };
    let action = || "install the system call filter".to_owned();
    let Some(listener) = program.install().during(action)? else {
        return Ok(());
    };
    let told = if program.sends_are_supervised {
        let number = listener.as_raw_fd();
        launch.channel.write(&FromInit::ListenerAt { number })
    } else {
        let fds = [listener.as_fd()];
        launch.channel.send(&FromInit::Listener, &fds)
    };
    told.during(|| "hand over the filter's listener".to_owned())?;
    gate::expect(&launch.channel, ToInit::Continue)
}

/// Before the change of user, after which CAP_SETPCAP may be gone. What the caller itself does not
/// have is left out silently, as other runtimes do: a container asks for what is usual, and not
/// every machine allows all of it.
pub(crate) fn bounding_set(launch: &mut Launch<'_>) -> Outcome {
    let sets = launch.process.capabilities;
    sys::caps::limit_bounding(sets.bounding).during(|| "limit the bounding set".to_owned())?;
    sys::caps::keep_on_user_change(true).during(|| "keep the capabilities".to_owned())
}

/// Groups before the group and the user last: each change takes away the right to the one before.
pub(crate) fn user(launch: &mut Launch<'_>) -> Outcome {
    let process = launch.process;
    set_groups(&process.groups)?;
    sys::process::set_group(process.gid).during(|| format!("become group {}", process.gid))?;
    sys::process::set_user(process.uid).during(|| format!("become user {}", process.uid))
}

fn set_groups(groups: &[u32]) -> Outcome {
    if groups.is_empty() {
        return super::namespaces::drop_groups().during(|| "drop the groups".to_owned());
    }
    sys::process::set_groups(groups).map_err(|error| {
        let why = match error.errno {
            sys::Errno::PERM => ": the user namespace denies setgroups(2)",
            sys::Errno::INVAL => ": the user namespace does not map one of them",
            _ => "",
        };
        let message = format!("cannot set process.user.additionalGids: {error}{why}");
        Failure::new(ErrorKind::Invalid, message)
    })
}

/// After the change of user, which has cleared the effective set.
pub(crate) fn capabilities(launch: &mut Launch<'_>) -> Outcome {
    let sets = launch.process.capabilities;
    let own = sys::caps::permitted().during(|| "read the capabilities".to_owned())?;
    let sets = possible(sets, own);
    sys::caps::set(&sets).during(|| "set the capabilities".to_owned())
}

/// What can be had of what is asked for: nothing that the caller does not have, and ambient only
/// what is permitted and inheritable as well.
fn possible(sets: Sets, own: Capabilities) -> Sets {
    let mut sets = sets.limited_to(own);
    sets.effective &= sets.permitted;
    sets.ambient &= sets.permitted & sets.inheritable;
    sets
}

/// After the capabilities, and before the filter that needs it.
pub(crate) fn no_new_privileges(launch: &mut Launch<'_>) -> Outcome {
    if !launch.process.no_new_privileges {
        return Ok(());
    }
    sys::process::set_no_new_privileges().during(|| "set no_new_privs".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_is_not_there_is_named() {
        let told = |file, value: &str, errno| {
            let value = value.to_owned();
            let error = sys::Error {
                call: "write",
                errno,
            };
            refused(&Label { file, value }, error).message
        };
        assert_eq!(
            told("attr/apparmor/exec", "exec web", sys::Errno::NOENT),
            "process.apparmorProfile: AppArmor has no profile \"web\": \
             it must be loaded before (apparmor_parser)"
        );
        assert_eq!(
            told("attr/exec", "exec web", sys::Errno::ACCES),
            "cannot apply AppArmor's profile \"web\": write: permission denied"
        );
        assert_eq!(
            told("attr/exec", "a:b:c:d", sys::Errno::INVAL),
            "process.selinuxLabel: SELinux's policy does not know \"a:b:c:d\""
        );
    }

    #[test]
    fn nobody_gets_what_the_caller_has_not() {
        let [chown, kill] = ["CHOWN", "KILL"].map(|name| Capabilities::named(name).unwrap());
        let all = chown | kill;
        let asked = Sets {
            bounding: all,
            effective: all,
            permitted: all,
            inheritable: kill,
            ambient: all,
        };
        let got = possible(asked, chown);
        assert_eq!(
            got,
            Sets {
                bounding: chown,
                effective: chown,
                permitted: chown,
                ..Sets::default()
            }
        );
    }
}
