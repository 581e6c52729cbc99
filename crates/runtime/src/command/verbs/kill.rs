//! `kill`: a signal to the first process, or to all.

use types::Signal;

use runtime::Container;

use crate::Outcome;
use crate::failure::{Doing, Failure};
use crate::global::Global;
use crate::state_file::{Place, Record, Status};
use crate::words::{Flag, Verb, Words};

pub(super) const VERB: Verb = Verb {
    name: "kill",
    usage: "<container-id> [signal]",
    about: "send a signal (default: TERM) to a container's first process",
    flags: &[Flag::switch("all", "to all of its processes")
        .short("a")
        .hidden()],
    arguments: (1, 2),
    interleaved: true,
    enters: false,
    run: kill,
};

fn kill(global: &Global, words: &Words) -> Outcome {
    let place = Place::of(&global.root, words.id()?)?;
    let record = place.read()?;
    let word = words.word(1)?;
    if word == Some("0") {
        // As kill(2) has it: only whether there is anybody to be sent one.
        let found = words.has("all") || living(&record)?.is_some();
        return if found { Ok(0) } else { Err(not_running()) };
    }
    let signal = signal(word)?;
    // Without a pid namespace of its own the end of the first process is nobody else's.
    let all = words.has("all") || (signal == Signal::KILL && !record.saved.has_pid_namespace());
    if all {
        signal_all(&record, signal, words.has("all"))?;
    } else {
        let container = living(&record)?.ok_or_else(not_running)?;
        container.kill(signal)?;
    }
    // In version 1 a frozen process does not die before it is thawed.
    if signal == Signal::KILL
        && record.status() == Status::Paused
        && let Some(container) = record.container()?
    {
        container.resume()?;
    }
    Ok(0)
}

/// The container, unless its first process has ended.
fn living(record: &Record) -> Result<Option<Container>, Failure> {
    if record.status() == Status::Stopped {
        return Ok(None);
    }
    record.container()
}

/// runc's word; containerd and podman take it for a container that is gone.
fn not_running() -> Failure {
    Failure::Refused("container not running".to_owned())
}

fn signal_all(record: &Record, signal: Signal, tolerant: bool) -> Result<(), Failure> {
    let pids = Container::remaining(&record.saved)?;
    if pids.is_empty() && !tolerant {
        return Err(not_running());
    }
    for pid in pids {
        // One that has ended meanwhile needs no signal.
        let Ok(pidfd) = sys::pidfd::open(pid) else {
            continue;
        };
        match sys::pidfd::send_signal(pidfd, signal) {
            Err(error) if error.errno != sys::Errno::SRCH => {
                return Err(error).doing("send the signal");
            }
            _ => {}
        }
    }
    Ok(())
}

fn signal(word: Option<&str>) -> Result<Signal, Failure> {
    let word = word.filter(|word| !word.is_empty()).unwrap_or("TERM");
    word.parse().map_err(|_| {
        let message = format!("unknown signal {word:?}: a name as in TERM or a number is expected");
        Failure::Usage(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        let number = |word| signal(word).map(Signal::number).ok();
        assert_eq!(number(None), Some(15));
        assert_eq!(number(Some("")), Some(15));
        assert_eq!(number(Some("SIGkill")), Some(9));
        assert_eq!(number(Some("hup")), Some(1));
        assert_eq!(number(Some("10")), Some(10));
        assert_eq!(number(Some("FOO")), None);
    }
}
