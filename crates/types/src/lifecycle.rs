//! The one state machine of a container.
//!
//! ```text
//!              Start             Started
//!   Created ─────────► Starting ─────────► Running
//!      ▲                  │                   │
//!      │                  │ Failed            │ Exited
//!      │                  ▼                   ▼
//!      └── (never)      Exited ◄───────────────        Exited ── Start ──► Starting
//!
//!   Pause and Unpause: of Running, which stays that.
//!   Again (it ended, and its policy starts it anew): from Running to Restarting, which Start takes to
//!   Starting and Halt to Exited.
//!   Remove: from Created, Exited and Dead to Removing.
//!   Lost (the shim died without a word): from Starting and Running to Dead.
//!   RemoveFailed: from Removing to Dead, from where Remove may be tried again.
//! ```
//!
//! Docker's overlapping booleans are derived from this in `api`, nowhere else.

use serde::{Deserialize, Serialize};

use crate::{ProcessRef, Reason};

/// How a container's first process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// The exit code; 128 + n for death by signal n.
    pub code: i32,
    /// Whether the kernel's out-of-memory killer struck inside the container.
    #[serde(default)]
    pub oom_killed: bool,
    /// When, in nanoseconds since the Unix epoch.
    pub finished: i64,
    /// Why the container never ran or was given up, for people; empty after a normal end.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "Reason::is_empty")]
    pub reason: Reason,
}

/// What a container is doing. Persisted; each state carries exactly the data it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Lifecycle {
    /// Made, never started.
    Created,
    /// Somebody is starting it; nobody else may.
    Starting {
        /// The end of the last run, if there was one: what it falls back to after a crash.
        previous: Option<ExitStatus>,
        /// Whether nobody asked for it: its policy did.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
    },
    /// Its command runs.
    Running {
        /// Its first process.
        process: ProcessRef,
        /// When, in nanoseconds since the Unix epoch.
        started: i64,
        /// Whether it stands still.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        paused: bool,
    },
    /// Its command has ended, and will be started again by itself in a while.
    Restarting {
        /// When the ended run began; none if that is not known.
        started: Option<i64>,
        /// How it ended.
        status: ExitStatus,
    },
    /// Its command has ended, or could not be started.
    Exited {
        /// When the ended run began; none if the command never ran.
        started: Option<i64>,
        /// How it ended.
        status: ExitStatus,
    },
    /// Being removed; comes back as `Dead` if that fails.
    Removing {
        /// The end of the last run, if there was one.
        status: Option<ExitStatus>,
    },
    /// Given up: its shim died or its removal failed. It can only be removed or started again.
    Dead {
        /// When the last run began, where known.
        started: Option<i64>,
        /// What is known of the end; `error` says why.
        status: ExitStatus,
    },
}

/// What can happen to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody wants to start it.
    Start,
    /// Its command runs.
    Started {
        /// Its first process.
        process: ProcessRef,
        /// Nanoseconds since the Unix epoch.
        at: i64,
    },
    /// It could not be started.
    Failed(ExitStatus),
    /// Its command ended.
    Exited(ExitStatus),
    /// Its command ended, and is to be started again by itself.
    Again(ExitStatus),
    /// It is not to be started again after all.
    Halt,
    /// Its processes were made to stand still.
    Pause,
    /// They go on.
    Unpause,
    /// Its shim is gone and left no exit record.
    Lost(ExitStatus),
    /// Somebody wants to remove it.
    Remove,
    /// Removing it failed.
    RemoveFailed(ExitStatus),
}

/// A change that this state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the container is {state}: it cannot {change}")]
pub struct Refused {
    /// The state's name as Docker shows it.
    pub state: &'static str,
    /// What was wanted.
    pub change: &'static str,
}

impl Lifecycle {
    /// The state after `change`, or why there is none. Total: every pair is decided here.
    pub fn on(self, change: Change) -> Result<Self, Refused> {
        use Change as C;
        match (self, change) {
            (Self::Created, C::Start) => Ok(Self::Starting {
                previous: None,
                again: false,
            }),
            (Self::Restarting { status, .. }, C::Start) => Ok(Self::Starting {
                previous: Some(status),
                again: true,
            }),
            (Self::Exited { status, .. } | Self::Dead { status, .. }, C::Start) => {
                Ok(Self::Starting {
                    previous: Some(status),
                    again: false,
                })
            }
            (Self::Starting { .. }, C::Started { process, at }) => Ok(Self::Running {
                process,
                started: at,
                paused: false,
            }),
            (Self::Starting { .. }, C::Failed(status)) => Ok(Self::Exited {
                started: None,
                status,
            }),
            (Self::Running { started, .. }, C::Exited(status)) => Ok(Self::Exited {
                started: Some(started),
                status,
            }),
            (Self::Running { started, .. }, C::Again(status)) => Ok(Self::Restarting {
                started: Some(started),
                status,
            }),
            (Self::Restarting { started, status }, C::Halt) => Ok(Self::Exited { started, status }),
            (running @ Self::Running { paused: false, .. }, C::Pause) => Ok(running.paused(true)),
            (running @ Self::Running { paused: true, .. }, C::Unpause) => Ok(running.paused(false)),
            (Self::Running { started, .. }, C::Lost(status)) => Ok(Self::Dead {
                started: Some(started),
                status,
            }),
            (Self::Starting { .. }, C::Lost(status)) => Ok(Self::Dead {
                started: None,
                status,
            }),
            (Self::Created, C::Remove) => Ok(Self::Removing { status: None }),
            (Self::Exited { status, .. } | Self::Dead { status, .. }, C::Remove) => {
                Ok(Self::Removing {
                    status: Some(status),
                })
            }
            (Self::Removing { .. }, C::RemoveFailed(status)) => Ok(Self::Dead {
                started: None,
                status,
            }),
            (
                state @ (Self::Created
                | Self::Starting { .. }
                | Self::Running { .. }
                | Self::Restarting { .. }
                | Self::Exited { .. }
                | Self::Removing { .. }
                | Self::Dead { .. }),
                change,
            ) => Err(Refused {
                state: state.name(),
                change: change.name(),
            }),
        }
    }

    /// The same, standing still or not.
    fn paused(mut self, still: bool) -> Self {
        if let Self::Running { paused, .. } = &mut self {
            *paused = still;
        }
        self
    }

    /// The state's name as Docker's API shows it.
    pub fn name(&self) -> &'static str {
        match self {
            // Docker knows no "starting": it shows such a container as created.
            Self::Starting { again: true, .. } => "restarting",
            Self::Created | Self::Starting { previous: None, .. } => "created",
            Self::Starting {
                previous: Some(_), ..
            }
            | Self::Exited { .. } => "exited",
            Self::Running { paused: true, .. } => "paused",
            Self::Running { paused: false, .. } => "running",
            Self::Restarting { .. } => "restarting",
            Self::Removing { .. } => "removing",
            Self::Dead { .. } => "dead",
        }
    }

    /// Whether its command runs.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }

    /// Whether it runs and stands still.
    pub fn is_paused(&self) -> bool {
        matches!(self, Self::Running { paused: true, .. })
    }

    /// Whether it is to be started again by itself, or just is.
    pub fn is_restarting(&self) -> bool {
        matches!(
            self,
            Self::Restarting { .. } | Self::Starting { again: true, .. }
        )
    }

    /// The running command's first process.
    pub fn process(&self) -> Option<ProcessRef> {
        match self {
            Self::Running { process, .. } => Some(*process),
            _ => None,
        }
    }

    /// How the last run ended, if one did.
    pub fn exit_status(&self) -> Option<&ExitStatus> {
        match self {
            Self::Exited { status, .. }
            | Self::Dead { status, .. }
            | Self::Restarting { status, .. } => Some(status),
            Self::Starting { previous, .. } => previous.as_ref(),
            Self::Removing { status } => status.as_ref(),
            Self::Created | Self::Running { .. } => None,
        }
    }
}

impl Change {
    /// The end that it tells of.
    pub fn status_mut(&mut self) -> Option<&mut ExitStatus> {
        match self {
            Self::Failed(status)
            | Self::Exited(status)
            | Self::Again(status)
            | Self::Lost(status)
            | Self::RemoveFailed(status) => Some(status),
            Self::Start
            | Self::Started { .. }
            | Self::Halt
            | Self::Pause
            | Self::Unpause
            | Self::Remove => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "be started",
            Self::Started { .. } => "become running",
            Self::Failed(_) => "fail to start",
            Self::Exited(_) => "exit",
            Self::Again(_) => "be started again",
            Self::Halt => "be kept from starting again",
            Self::Pause => "be paused",
            Self::Unpause => "go on",
            Self::Lost(_) => "be lost",
            Self::Remove => "be removed",
            Self::RemoveFailed(_) => "fail to be removed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> ExitStatus {
        ExitStatus {
            code: 3,
            oom_killed: false,
            finished: 2,
            error: String::new(),
            reason: Reason::default(),
        }
    }

    fn states() -> Vec<(&'static str, Lifecycle)> {
        let process = ProcessRef { pid: 7, started: 1 };
        vec![
            ("Created", Lifecycle::Created),
            (
                "Starting",
                Lifecycle::Starting {
                    previous: None,
                    again: false,
                },
            ),
            (
                "Running",
                Lifecycle::Running {
                    process,
                    started: 1,
                    paused: false,
                },
            ),
            (
                "Running paused",
                Lifecycle::Running {
                    process,
                    started: 1,
                    paused: true,
                },
            ),
            (
                "Restarting",
                Lifecycle::Restarting {
                    started: Some(1),
                    status: status(),
                },
            ),
            (
                "Exited",
                Lifecycle::Exited {
                    started: Some(1),
                    status: status(),
                },
            ),
            ("Removing", Lifecycle::Removing { status: None }),
            (
                "Dead",
                Lifecycle::Dead {
                    started: None,
                    status: status(),
                },
            ),
        ]
    }

    fn changes() -> Vec<Change> {
        let process = ProcessRef { pid: 7, started: 1 };
        vec![
            Change::Start,
            Change::Started { process, at: 1 },
            Change::Failed(status()),
            Change::Exited(status()),
            Change::Again(status()),
            Change::Halt,
            Change::Pause,
            Change::Unpause,
            Change::Lost(status()),
            Change::Remove,
            Change::RemoveFailed(status()),
        ]
    }

    fn variant(state: &Lifecycle) -> String {
        format!("{state:?}")
            .split([' ', '{'])
            .next()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn every_state_times_every_change() {
        let mut table = Vec::new();
        for (name, state) in states() {
            let row: Vec<String> = changes()
                .into_iter()
                .map(|change| {
                    state
                        .clone()
                        .on(change)
                        .map_or("-".into(), |next| variant(&next))
                })
                .collect();
            table.push(format!("{name}: {}", row.join(" ")));
        }
        // Columns: Start Started Failed Exited Again Halt Pause Unpause Lost Remove RemoveFailed.
        assert_eq!(
            table,
            [
                "Created: Starting - - - - - - - - Removing -",
                "Starting: - Running Exited - - - - - Dead - -",
                "Running: - - - Exited Restarting - Running - Dead - -",
                "Running paused: - - - Exited Restarting - - Running Dead - -",
                "Restarting: Starting - - - - Exited - - - - -",
                "Exited: Starting - - - - - - - - Removing -",
                "Removing: - - - - - - - - - - Dead",
                "Dead: Starting - - - - - - - - Removing -",
            ]
        );
    }

    #[test]
    fn a_refusal_names_state_and_wish() {
        let refused = states()[2].1.clone().on(Change::Remove).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the container is running: it cannot be removed"
        );
    }
}
