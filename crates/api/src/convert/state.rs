//! What a container is doing, in Docker's overlapping words. Derived from [`Lifecycle`] here and
//! nowhere else.

use types::Lifecycle;

use super::time::{human_duration, rfc3339};
use crate::wire::ContainerState;

/// The state as `inspect` shows it.
pub fn container_state(lifecycle: &Lifecycle) -> ContainerState {
    let status = lifecycle.exit_status();
    ContainerState {
        status: state_name(lifecycle).to_owned(),
        running: lifecycle.is_running(),
        paused: false,
        restarting: false,
        oom_killed: status.is_some_and(|s| s.oom_killed),
        dead: matches!(lifecycle, Lifecycle::Dead { .. }),
        pid: lifecycle.process().map_or(0, |process| process.pid),
        exit_code: exit_code(lifecycle),
        error: status.map(|s| s.error.clone()).unwrap_or_default(),
        started_at: rfc3339(started(lifecycle)),
        // A run that never began has an exit code and no end, as with Docker.
        finished_at: rfc3339(
            status
                .filter(|_| was_started(lifecycle))
                .map(|s| s.finished),
        ),
    }
}

/// One word. A container whose command never ran is "created" to Docker, whatever its exit code.
pub fn state_name(lifecycle: &Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Exited { started: None, .. } => "created",
        other => other.name(),
    }
}

/// The exit code of the last run, 0 if there was none.
pub fn exit_code(lifecycle: &Lifecycle) -> i32 {
    lifecycle.exit_status().map_or(0, |status| status.code)
}

fn started(lifecycle: &Lifecycle) -> Option<i64> {
    match lifecycle {
        Lifecycle::Running { started, .. } => Some(*started),
        Lifecycle::Exited { started, .. } | Lifecycle::Dead { started, .. } => *started,
        Lifecycle::Created | Lifecycle::Starting { .. } | Lifecycle::Removing { .. } => None,
    }
}

fn was_started(lifecycle: &Lifecycle) -> bool {
    match lifecycle {
        Lifecycle::Exited { started, .. } => started.is_some(),
        _ => true,
    }
}

/// The state as a listing shows it to people, `now` in nanoseconds since the epoch.
pub fn status_text(lifecycle: &Lifecycle, now: i64) -> String {
    let since = |then: i64| human_duration(now.saturating_sub(then) / 1_000_000_000);
    match lifecycle {
        Lifecycle::Created
        | Lifecycle::Starting { previous: None }
        | Lifecycle::Exited { started: None, .. } => "Created".to_owned(),
        Lifecycle::Running { started, .. } => format!("Up {}", since(*started)),
        Lifecycle::Starting {
            previous: Some(status),
        }
        | Lifecycle::Exited { status, .. } => {
            format!("Exited ({}) {} ago", status.code, since(status.finished))
        }
        Lifecycle::Removing { .. } => "Removal In Progress".to_owned(),
        Lifecycle::Dead { .. } => "Dead".to_owned(),
    }
}
