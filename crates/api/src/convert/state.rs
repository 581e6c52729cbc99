//! What a container is doing, in Docker's overlapping words. Derived from [`Lifecycle`] here and
//! nowhere else.

use types::{ExitStatus, Health, HealthStatus, Lifecycle, Signal};

use super::health::health_shown;
use super::time::{human_duration, rfc3339};
use crate::wire::{ContainerState, ExitReason};

/// The state as `inspect` shows it.
pub fn container_state(lifecycle: &Lifecycle, health: Option<&Health>) -> ContainerState {
    let status = lifecycle.exit_status();
    ContainerState {
        status: state_name(lifecycle).to_owned(),
        // One that waits to be started again counts as running to Docker.
        running: lifecycle.is_running() || lifecycle.is_restarting(),
        paused: lifecycle.is_paused(),
        restarting: lifecycle.is_restarting(),
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
        health: health.map(health_shown),
        exit_reason: ended(lifecycle).map(exit_reason),
    }
}

/// The end of the last run, of a container that does not run.
fn ended(lifecycle: &Lifecycle) -> Option<&ExitStatus> {
    match lifecycle {
        Lifecycle::Exited { status, .. }
        | Lifecycle::Dead { status, .. }
        | Lifecycle::Restarting { status, .. } => Some(status),
        _ => None,
    }
}

fn exit_reason(status: &ExitStatus) -> ExitReason {
    let signal = status.reason.signal.map(Signal::try_from);
    ExitReason {
        cause: status.cause().name().to_owned(),
        signal: signal
            .and_then(Result::ok)
            .map(|signal| signal.to_string())
            .unwrap_or_default(),
        memory_limit: status.reason.memory,
        step: status.reason.step.clone().unwrap_or_default(),
        words: status.words(),
    }
}

/// What ended the last run, in one sentence; empty if none has ended.
pub fn exit_words(lifecycle: &Lifecycle) -> String {
    ended(lifecycle).map(ExitStatus::words).unwrap_or_default()
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
        Lifecycle::Exited { started, .. }
        | Lifecycle::Dead { started, .. }
        | Lifecycle::Restarting { started, .. } => *started,
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
pub fn status_text(lifecycle: &Lifecycle, health: Option<&Health>, now: i64) -> String {
    let since = |then: i64| human_duration(now.saturating_sub(then) / 1_000_000_000);
    match lifecycle {
        Lifecycle::Created
        | Lifecycle::Starting { previous: None, .. }
        | Lifecycle::Exited { started: None, .. } => "Created".to_owned(),
        Lifecycle::Running {
            started, paused, ..
        } => {
            let more = match (paused, health.map(|health| health.status)) {
                (true, _) => " (Paused)".to_owned(),
                (false, Some(HealthStatus::Starting)) => " (health: starting)".to_owned(),
                (false, Some(status)) => format!(" ({})", status.name()),
                (false, None) => String::new(),
            };
            format!("Up {}{more}", since(*started))
        }
        Lifecycle::Restarting { status, .. }
        | Lifecycle::Starting {
            previous: Some(status),
            again: true,
        } => {
            format!(
                "Restarting ({}) {} ago",
                status.code,
                since(status.finished)
            )
        }
        Lifecycle::Starting {
            previous: Some(status),
            again: false,
        }
        | Lifecycle::Exited { status, .. } => {
            format!("Exited ({}) {} ago", status.code, since(status.finished))
        }
        Lifecycle::Removing { .. } => "Removal In Progress".to_owned(),
        Lifecycle::Dead { .. } => "Dead".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use types::ProcessRef;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn status() -> ExitStatus {
        ExitStatus {
            code: 137,
            oom_killed: true,
            finished: 100 * SECOND,
            error: "why".to_owned(),
            reason: types::Reason::default(),
        }
    }

    fn show(lifecycle: &Lifecycle) -> String {
        let s = container_state(lifecycle, None);
        let words = [
            (s.running, "running"),
            (s.paused, "paused"),
            (s.restarting, "restarting"),
            (s.oom_killed, "oom"),
            (s.dead, "dead"),
        ];
        let set: Vec<&str> = words
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, w)| *w)
            .collect();
        format!(
            "{} [{}] pid={} code={} error={:?} {} {} | {}",
            s.status,
            set.join(" "),
            s.pid,
            s.exit_code,
            s.error,
            s.started_at,
            s.finished_at,
            status_text(lifecycle, None, 160 * SECOND)
        )
    }

    #[test]
    fn dockers_words_for_every_state() {
        let process = ProcessRef { pid: 7, started: 1 };
        let table = [
            Lifecycle::Created,
            Lifecycle::Starting {
                previous: None,
                again: false,
            },
            Lifecycle::Starting {
                previous: Some(status()),
                again: false,
            },
            Lifecycle::Running {
                process,
                paused: false,
                started: 40 * SECOND,
            },
            Lifecycle::Exited {
                started: Some(40 * SECOND),
                status: status(),
            },
            Lifecycle::Exited {
                started: None,
                status: status(),
            },
            Lifecycle::Removing { status: None },
            Lifecycle::Dead {
                started: None,
                status: status(),
            },
        ];
        let never = "0001-01-01T00:00:00Z";
        let end = "1970-01-01T00:01:40Z";
        let begin = "1970-01-01T00:00:40Z";
        let expected = [
            format!("created [] pid=0 code=0 error=\"\" {never} {never} | Created"),
            format!("created [] pid=0 code=0 error=\"\" {never} {never} | Created"),
            format!(
                "exited [oom] pid=0 code=137 error=\"why\" {never} {end} | \
                 Exited (137) About a minute ago"
            ),
            format!("running [running] pid=7 code=0 error=\"\" {begin} {never} | Up 2 minutes"),
            format!(
                "exited [oom] pid=0 code=137 error=\"why\" {begin} {end} | \
                 Exited (137) About a minute ago"
            ),
            format!("created [oom] pid=0 code=137 error=\"why\" {never} {never} | Created"),
            format!("removing [] pid=0 code=0 error=\"\" {never} {never} | Removal In Progress"),
            format!("dead [oom dead] pid=0 code=137 error=\"why\" {never} {end} | Dead"),
        ];
        for (lifecycle, line) in table.iter().zip(expected) {
            assert_eq!(show(lifecycle), line);
        }
    }
}
