//! What to do about each container, from facts alone. Pure.

use shim::ExitRecord;
use types::{ContainerId, ExitStatus, Lifecycle, ProcessRef, Reason};

/// The exit code of a container that ran when the machine went down, as Docker gives it.
const LOST_WITH_MACHINE: i32 = 255;
/// The exit code of a container whose shim died unseen: it was killed with it.
const KILLED: i32 = 128 + 9;
/// The exit code of a start that came to nothing.
const NOT_STARTED: i32 = 128;

/// The shim of a container, as it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ShimFact {
    /// None listens.
    Gone,
    /// It may be there, and nobody can tell: it does not answer, or cannot be asked.
    Silent,
    /// It waits at the gate, or has not come that far.
    Waiting,
    /// The container's command has been started; its end is told to whoever watches.
    Started(ProcessRef),
    /// The container has ended, and the shim still serves clients what it wrote.
    Ended(ProcessRef, ExitRecord),
}

/// What is known of one container.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    pub(super) id: ContainerId,
    /// What the record says; none if there is a run directory only.
    pub(super) lifecycle: Option<Lifecycle>,
    pub(super) auto_remove: bool,
    /// Whether it was last started since the machine was.
    pub(super) same_boot: bool,
    pub(super) run_dir: bool,
    pub(super) shim: ShimFact,
    /// The pid of the shim that the record knows.
    pub(super) shim_pid: Option<i32>,
    pub(super) exit: Option<ExitRecord>,
    /// The wall clock.
    pub(super) now: i64,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Look after it again: it runs, or its shim tells how it ended.
    Adopt(ProcessRef),
    /// Clean up as soon as its shim has ended by itself.
    AwaitShim,
    /// Have the shim clean up and end.
    EndShim,
    /// Kill what is left in its cgroup, and remove that.
    KillLeftovers,
    /// Record that it ended so.
    RecordExit(ExitStatus),
    /// Record that it is dead.
    RecordLost(ExitStatus),
    /// Remove socket and bundle.
    RemoveRunDir,
    /// Remove record and files.
    Remove,
}

/// What to do about one container, in this order, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) id: ContainerId,
    pub(super) actions: Vec<Action>,
    pub(super) cause: &'static str,
}

pub(super) fn plan(facts: &Facts) -> Plan {
    let (actions, cause) = decide(facts);
    Plan {
        id: facts.id.clone(),
        actions,
        cause,
    }
}

fn decide(facts: &Facts) -> (Vec<Action>, &'static str) {
    if facts.shim == ShimFact::Silent {
        // It may be slow or stopped, and its container in the best of health.
        return (Vec::new(), "nobody can tell of its shim");
    }
    let Some(lifecycle) = &facts.lifecycle else {
        return (clear_away(facts), "no record knows this run directory");
    };
    match (lifecycle, &facts.shim) {
        (Lifecycle::Removing { .. }, _) => {
            let mut actions = clear_away(facts);
            actions.push(Action::Remove);
            (actions, "its removal was interrupted")
        }
        (Lifecycle::Running { .. }, ShimFact::Started(process) | ShimFact::Ended(process, _)) => {
            (vec![Action::Adopt(*process)], "its shim answers")
        }
        (
            Lifecycle::Exited { status, .. }
            | Lifecycle::Dead { status, .. }
            | Lifecycle::Restarting { status, .. },
            ShimFact::Ended(_, exit),
        ) if status.finished == exit.finished => {
            (vec![Action::AwaitShim], "its shim still serves clients")
        }
        (_, ShimFact::Started(process) | ShimFact::Ended(process, _)) => {
            let cause = "its start was carried out but not recorded";
            (vec![Action::Adopt(*process)], cause)
        }
        (Lifecycle::Running { .. }, ShimFact::Gone | ShimFact::Silent | ShimFact::Waiting) => {
            ran(facts)
        }
        (
            Lifecycle::Created
            | Lifecycle::Starting { .. }
            | Lifecycle::Restarting { .. }
            | Lifecycle::Exited { .. }
            | Lifecycle::Dead { .. },
            ShimFact::Gone | ShimFact::Silent | ShimFact::Waiting,
        ) => rested(facts, lifecycle),
    }
}

/// The record says that it runs, and no shim does.
fn ran(facts: &Facts) -> (Vec<Action>, &'static str) {
    let mut actions = clear_away(facts);
    let cause = match (&facts.exit, facts.same_boot) {
        (Some(exit), _) => {
            actions.push(Action::RecordExit(status(exit)));
            "it ended while nobody looked"
        }
        (None, true) => {
            let shim = facts.shim_pid.map(|pid| format!(" (pid {pid})"));
            let error = format!("its shim{} died", shim.unwrap_or_default());
            actions.push(Action::RecordLost(ended(facts, KILLED, &error)));
            "its shim is gone without a word"
        }
        (None, false) => {
            let error = "the machine was restarted while it ran";
            actions.push(Action::RecordExit(ended(facts, LOST_WITH_MACHINE, error)));
            "the machine was restarted while it ran"
        }
    };
    remove_if_it_goes(facts, &mut actions);
    (actions, cause)
}

/// The record says that it does not run. A run directory says that it was being started.
fn rested(facts: &Facts, lifecycle: &Lifecycle) -> (Vec<Action>, &'static str) {
    let known = lifecycle.exit_status().map(|status| status.finished);
    let mut actions = clear_away(facts);
    // Removed at every start: one that the record does not know is of a later run.
    let newer = facts
        .exit
        .as_ref()
        .filter(|exit| Some(exit.finished) != known);
    let started = facts.run_dir || matches!(lifecycle, Lifecycle::Starting { .. });
    let cause = match newer {
        Some(exit) => {
            actions.push(Action::RecordExit(status(exit)));
            "it ran and ended unrecorded"
        }
        None if matches!(lifecycle, Lifecycle::Starting { .. }) => {
            let error = "its start was interrupted";
            actions.push(Action::RecordExit(ended(facts, NOT_STARTED, error)));
            "its start was interrupted"
        }
        None if started => "its start was interrupted",
        None => return (actions, "nothing happened to it"),
    };
    remove_if_it_goes(facts, &mut actions);
    (actions, cause)
}

fn clear_away(facts: &Facts) -> Vec<Action> {
    if !facts.run_dir {
        return match facts.lifecycle {
            Some(Lifecycle::Running { .. }) if facts.same_boot => vec![Action::KillLeftovers],
            _ => Vec::new(),
        };
    }
    let clear = [Action::KillLeftovers, Action::RemoveRunDir];
    match facts.shim {
        ShimFact::Gone | ShimFact::Silent => clear.to_vec(),
        ShimFact::Waiting | ShimFact::Started(_) | ShimFact::Ended(..) => {
            [&[Action::EndShim][..], &clear].concat()
        }
    }
}

fn remove_if_it_goes(facts: &Facts, actions: &mut Vec<Action>) {
    if facts.auto_remove {
        actions.push(Action::Remove);
    }
}

fn status(exit: &ExitRecord) -> ExitStatus {
    ExitStatus {
        code: exit.code,
        oom_killed: exit.oom_killed,
        finished: exit.finished,
        error: String::new(),
        reason: Reason {
            signal: exit.signal,
            ..Reason::default()
        },
    }
}

fn ended(facts: &Facts, code: i32, error: &str) -> ExitStatus {
    ExitStatus {
        code,
        oom_killed: false,
        finished: facts.now,
        error: error.to_owned(),
        reason: Reason::default(),
    }
}

#[cfg(test)]
mod tests;
