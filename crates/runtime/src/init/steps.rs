//! What a process does on its way into a container, in order. The order is the point: each step
//! opens with why it stands where it does.

use types::ErrorKind;

use super::{Init, Launch, Outcome, command, devices, gate, identity, mounts, namespaces, protect};
use super::{hidden, home, keyring, root, scheduling, streams};
use crate::protocol::Failure;

/// Where on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Cgroup and namespaces; the file system is still the host's.
    Enter,
    /// The root is assembled and becomes `/`.
    Root,
    /// Ready; waits to be started.
    Gate,
    /// From full rights to those of the command, and to the command.
    Launch,
}

impl Phase {
    /// What fails when a step of it does.
    fn failed(self) -> &'static str {
        match self {
            Self::Enter => "cannot enter the container",
            Self::Root => "cannot assemble the container's root",
            Self::Gate => "cannot wait for the start",
            Self::Launch => "cannot start the container's command",
        }
    }
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<F> {
    pub(crate) phase: Phase,
    pub(crate) name: &'static str,
    pub(crate) run: F,
}

const fn step<F: Copy>(phase: Phase, name: &'static str, run: F) -> Step<F> {
    Step { phase, name, run }
}

/// A step of the first process.
pub(crate) type InitStep = fn(&mut Init<'_>) -> Outcome;

/// A step of any process.
pub(crate) type LaunchStep = fn(&mut Launch<'_>) -> Outcome;

/// The first process, up to the gate.
pub(crate) const CREATE: &[Step<InitStep>] = &[
    step(Phase::Enter, "parent-death", |init| {
        identity::parent_death(&mut init.launch)
    }),
    step(Phase::Enter, "enter-cgroup", namespaces::enter_cgroup),
    step(Phase::Enter, "enter-resource-groups", |init| {
        scheduling::enter_resource_groups(&init.launch)
    }),
    step(Phase::Enter, "cpus", namespaces::cpus),
    step(Phase::Enter, "oom-score", |init| {
        identity::oom_score(&mut init.launch)
    }),
    step(Phase::Enter, "join-namespaces", namespaces::join),
    step(Phase::Enter, "make-namespaces", namespaces::unshare),
    step(Phase::Enter, "clocks", namespaces::clocks),
    step(Phase::Enter, "become-root", namespaces::become_root),
    step(
        Phase::Enter,
        "own-cgroup-namespace",
        namespaces::own_cgroup_namespace,
    ),
    step(Phase::Enter, "session", namespaces::session),
    step(Phase::Enter, "label-keys", |init| {
        identity::label_keys(&mut init.launch)
    }),
    step(Phase::Enter, "keyring", |init| {
        keyring::join(&mut init.launch)
    }),
    step(Phase::Enter, "host-name", namespaces::host_name),
    step(
        Phase::Enter,
        "join-awaited-namespaces",
        namespaces::join_awaited,
    ),
    step(Phase::Enter, "loopback", namespaces::loopback),
    step(Phase::Root, "propagation", root::cut_propagation),
    step(Phase::Root, "root", root::attach),
    step(Phase::Root, "mount-table-link", root::mount_table_link),
    step(Phase::Root, "mounts", mounts::all),
    step(Phase::Root, "working-directory", root::working_directory),
    step(Phase::Root, "devices", devices::files),
    step(Phase::Root, "device-links", devices::links),
    step(
        Phase::Root,
        "enter-awaited-cgroup",
        namespaces::enter_awaited_cgroup,
    ),
    step(Phase::Root, "terminal", streams::terminal),
    step(Phase::Root, "maker-hooks", gate::maker_hooks),
    step(Phase::Root, "create-hooks", gate::create_hooks),
    step(Phase::Root, "sysctl", protect::sysctl),
    step(Phase::Root, "label-file", |init| {
        identity::open_label_file(&mut init.launch)
    }),
    step(Phase::Root, "masked-paths", protect::masked_paths),
    step(Phase::Root, "read-only-paths", protect::read_only_paths),
    step(Phase::Root, "read-only-mounts", mounts::read_only),
    step(Phase::Root, "read-only-root", root::read_only),
    step(Phase::Root, "switch-root", root::switch),
    step(Phase::Root, "own-root", root::own),
    step(Phase::Root, "root-propagation", root::set_propagation),
    step(Phase::Gate, "look-for-command", command::look),
    step(Phase::Gate, "let-go-of-streams", streams::let_go),
    step(Phase::Gate, "heed-signals", gate::heed_signals),
    step(Phase::Gate, "ready", gate::ready),
    step(Phase::Gate, "gate", gate::wait),
];

/// Any process, from the gate until it has no more rights than its command.
pub(crate) const LAUNCH: &[Step<LaunchStep>] = &[
    step(Phase::Launch, "streams", streams::attach),
    step(Phase::Launch, "close-descriptors", streams::close_others),
    step(
        Phase::Launch,
        "enter-working-directory",
        command::enter_working_directory,
    ),
    step(Phase::Launch, "home", home::find),
    step(Phase::Launch, "signals", identity::signals),
    step(Phase::Launch, "limits", identity::limits),
    step(Phase::Launch, "scheduling", scheduling::set),
    step(Phase::Launch, "label", identity::label),
    step(Phase::Launch, "early-seccomp", identity::early_seccomp),
    step(Phase::Launch, "bounding-set", identity::bounding_set),
    step(Phase::Launch, "user", identity::user),
    step(Phase::Launch, "capabilities", identity::capabilities),
    step(
        Phase::Launch,
        "no-new-privileges",
        identity::no_new_privileges,
    ),
    step(
        Phase::Launch,
        "user-working-directory",
        command::retry_working_directory,
    ),
    step(Phase::Launch, "parent-death-again", identity::parent_death),
    step(Phase::Launch, "find-command", command::find),
    step(Phase::Launch, "hidden-seccomp", identity::hidden_seccomp),
];

/// The rest, where everybody in the container may see it.
pub(crate) const EXECUTE: &[Step<LaunchStep>] = &[
    step(Phase::Launch, "become-known", hidden::become_known),
    step(Phase::Launch, "late-seccomp", identity::late_seccomp),
    step(Phase::Launch, "start-hooks", gate::start_hooks),
    step(Phase::Launch, "execute", command::execute),
];

/// The names of all tables in the order in which a container goes through them.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CREATE
        .iter()
        .map(|step| step.name)
        .chain(LAUNCH.iter().chain(EXECUTE).map(|step| step.name))
}

/// What the tables run on.
pub(crate) trait Runs {
    /// The step that a test wants to fail.
    fn fail_at(&self) -> Option<&str>;
}

impl Runs for Init<'_> {
    fn fail_at(&self) -> Option<&str> {
        self.launch.fail_at
    }
}

impl Runs for Launch<'_> {
    fn fail_at(&self) -> Option<&str> {
        self.fail_at
    }
}

/// Runs a table up to the first failure, which gets the step's name.
pub(crate) fn run<F: Copy, T: Runs>(
    table: &[Step<F>],
    on: &mut T,
    call: impl Fn(F, &mut T) -> Outcome,
) -> Outcome {
    for step in table {
        let outcome = if on.fail_at() == Some(step.name) {
            Err(Failure::new(ErrorKind::Internal, "it was told to fail"))
        } else {
            call(step.run, on)
        };
        outcome.map_err(|failure| Failure {
            phase: step.phase.failed().to_owned(),
            step: step.name.to_owned(),
            ..failure
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_come_in_order_and_names_once() {
        let phases: Vec<_> = CREATE.iter().map(|step| step.phase).collect();
        assert!(phases.is_sorted());
        let last = LAUNCH.iter().chain(EXECUTE);
        assert!(last.into_iter().all(|step| step.phase == Phase::Launch));
        let mut names: Vec<_> = names().collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
