//! Why a run of a container ended, or why there was none: what is known, and the words for it.

use serde::{Deserialize, Serialize};

use crate::{ExitStatus, Signal};

/// Who asked the engine to end a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// `stop`.
    Stop,
    /// `restart`.
    Restart,
    /// `kill`.
    Kill,
    /// `rm --force`.
    Remove,
    /// Its health, by its action.
    Unhealthy,
}

/// What the engine was asked for, and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// By whom, first.
    pub by: By,
    /// The signals that were sent, by number; each once, in order.
    pub signals: Vec<i32>,
}

/// What is known of an end beside its exit code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// The signal that killed the first process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Where the out-of-memory killer struck: the container's own limit, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<i64>,
    /// The step at which the start failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// What ended a run, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Its command did.
    Exited,
    /// A signal that nobody asked the engine for.
    Signal,
    /// The kernel's out-of-memory killer.
    OutOfMemory,
    /// Somebody asked the engine for it.
    Asked(By),
    /// It was not started.
    NotStarted,
    /// What was running it died.
    Lost,
}

impl Cause {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Signal => "signal",
            Self::OutOfMemory => "oom",
            Self::Asked(by) => by.name(),
            Self::NotStarted => "start-failed",
            Self::Lost => "lost",
        }
    }
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Kill => "kill",
            Self::Remove => "remove",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Who it was, in a sentence.
    fn words(self) -> &'static str {
        match self {
            Self::Stop => "stopped",
            Self::Restart => "stopped to be started anew",
            Self::Kill => "killed by request",
            Self::Remove => "killed to be removed",
            Self::Unhealthy => "ended for being unhealthy",
        }
    }
}

impl Reason {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes that somebody sends a signal. The first who does is who asked, but who only sent one that need
    /// not end anything gives way to who wants the end.
    pub fn note(asked: &mut Option<Asked>, by: By, signal: Signal) {
        let only_sent = |a: &Asked| a.by == By::Kill && !a.signals.contains(&Signal::KILL.number());
        if by != By::Kill && asked.as_ref().is_some_and(only_sent) {
            *asked = None;
        }
        let asked = asked.get_or_insert_with(|| Asked {
            by,
            signals: Vec::new(),
        });
        let number = signal.number();
        if !asked.signals.contains(&number) {
            asked.signals.push(number);
        }
    }
}

impl ExitStatus {
    /// What ended it.
    pub fn cause(&self) -> Cause {
        let reason = &self.reason;
        match &reason.asked {
            _ if reason.step.is_some() => Cause::NotStarted,
            _ if !self.error.is_empty() => Cause::Lost,
            // A signal that did not end it, as one to read its configuration again, asked for no end.
            Some(asked) if reason.signal.is_none_or(|n| asked.signals.contains(&n)) => {
                Cause::Asked(asked.by)
            }
            _ if self.oom_killed && reason.signal == Some(Signal::KILL.number()) => {
                Cause::OutOfMemory
            }
            _ if reason.signal.is_some() => Cause::Signal,
            _ => Cause::Exited,
        }
    }

    /// The end in one sentence, without a full stop.
    pub fn words(&self) -> String {
        let cause = self.cause();
        let sentence = match (cause, &self.reason.asked) {
            (Cause::NotStarted, _) => format!(
                "could not be started, at the step {}: {}",
                self.reason.step.as_deref().unwrap_or_default(),
                self.error
            ),
            (Cause::Lost, _) => format!("given up: {}", self.error),
            (Cause::OutOfMemory, _) => format!("killed by the kernel: {}", self.memory()),
            (Cause::Signal, _) => format!(
                "killed by {}, which nobody asked the engine for",
                self.signal()
            ),
            (Cause::Asked(by), Some(asked)) => self.asked(by, asked),
            (Cause::Exited | Cause::Asked(_), _) => format!("its command ended{}", self.code()),
        };
        match self.oom_killed && cause != Cause::OutOfMemory {
            true => format!(
                "{sentence}; the kernel had killed a process of its own: {}",
                self.memory()
            ),
            false => sentence,
        }
    }

    fn asked(&self, by: By, asked: &Asked) -> String {
        let sent: Vec<String> = asked.signals.iter().map(|n| named(*n)).collect();
        let ended = match self.reason.signal {
            None => format!("its command ended{}", self.code()),
            Some(_) if sent.len() > 1 => format!("{} killed it", self.signal()),
            Some(_) => "that killed it".to_owned(),
        };
        format!("{}: {} was sent, {ended}", by.words(), sent.join(", then "))
    }

    fn signal(&self) -> String {
        self.reason.signal.map(named).unwrap_or_default()
    }

    fn memory(&self) -> String {
        match self.reason.memory {
            Some(limit) => format!("out of memory, of which it may have {}", size(limit)),
            None => {
                "out of memory, of which the machine or a cgroup above it had no more".to_owned()
            }
        }
    }

    /// The code, and what it means by convention.
    fn code(&self) -> String {
        let meaning = match self.code {
            0 => return " well (exit code 0)".to_owned(),
            126 => ": by convention a program was found that cannot be executed".to_owned(),
            127 => ": by convention a program was not found".to_owned(),
            code @ 129..=192 => {
                format!(
                    ": by convention {} has killed a process in it",
                    named(code - 128)
                )
            }
            _ => String::new(),
        };
        format!(" (exit code {}{meaning})", self.code)
    }
}

/// A limit as people set it.
fn size(bytes: i64) -> String {
    match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

fn named(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.to_string(),
        Err(_) => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i32, change: impl FnOnce(&mut ExitStatus)) -> String {
        let mut status = ExitStatus {
            code,
            oom_killed: false,
            finished: 1,
            error: String::new(),
            reason: Reason::default(),
        };
        change(&mut status);
        format!("{}: {}", status.cause().name(), status.words())
    }

    fn asked(by: By, signals: &[i32]) -> Option<Asked> {
        let signals = signals.to_vec();
        Some(Asked { by, signals })
    }

    const EXPECTED: &str = "
exited: its command ended well (exit code 0)
exited: its command ended (exit code 3)
exited: its command ended (exit code 126: by convention a program was found that cannot be executed)
exited: its command ended (exit code 127: by convention a program was not found)
exited: its command ended (exit code 143: by convention SIGTERM has killed a process in it)
signal: killed by SIGSEGV, which nobody asked the engine for
signal: killed by SIGKILL, which nobody asked the engine for
oom: killed by the kernel: out of memory, of which it may have 16 MiB
exited: its command ended (exit code 1); the kernel had killed a process of its own: out of memory, of which the machine \
or a cgroup above it had no more
stop: stopped: SIGTERM was sent, its command ended well (exit code 0)
stop: stopped: SIGTERM was sent, that killed it
unhealthy: ended for being unhealthy: SIGTERM, then SIGKILL was sent, SIGKILL killed it
signal: killed by SIGSEGV, which nobody asked the engine for
start-failed: could not be started, at the step network: no such device
lost: given up: its shim (pid 7) died
";

    #[test]
    fn ends_in_words() {
        let lines = [
            ended(0, |_| {}),
            ended(3, |_| {}),
            ended(126, |_| {}),
            ended(127, |_| {}),
            ended(143, |_| {}),
            ended(139, |s| s.reason.signal = Some(11)),
            ended(137, |s| s.reason.signal = Some(9)),
            ended(137, |s| {
                s.oom_killed = true;
                s.reason.signal = Some(9);
                s.reason.memory = Some(16 << 20);
            }),
            ended(1, |s| s.oom_killed = true),
            ended(0, |s| s.reason.asked = asked(By::Stop, &[15])),
            ended(143, |s| {
                s.reason.asked = asked(By::Stop, &[15]);
                s.reason.signal = Some(15);
            }),
            ended(137, |s| {
                s.reason.asked = asked(By::Unhealthy, &[15, 9]);
                s.reason.signal = Some(9);
            }),
            // It was told to read its configuration again, and died of something else.
            ended(139, |s| {
                s.reason.asked = asked(By::Kill, &[1]);
                s.reason.signal = Some(11);
            }),
            ended(128, |s| {
                s.reason.step = Some("network".to_owned());
                s.error = "no such device".to_owned();
            }),
            ended(137, |s| s.error = "its shim (pid 7) died".to_owned()),
        ];
        assert_eq!(lines.join("\n"), EXPECTED.trim());
    }

    #[test]
    fn the_first_who_asks_is_who_asked() {
        let mut asked = None;
        Reason::note(&mut asked, By::Stop, Signal::TERM);
        Reason::note(&mut asked, By::Kill, Signal::KILL);
        Reason::note(&mut asked, By::Stop, Signal::KILL);
        let expected = Asked {
            by: By::Stop,
            signals: vec![15, 9],
        };
        assert_eq!(asked, Some(expected));
    }
}
