//! `wait`: the caller is registered before it returns, so that no end is missed.

use std::future::Future;

use tokio::sync::watch::Receiver;
use types::{ContainerId, ExitStatus};

use super::WaitFor;
use crate::table::Progress;
use crate::{Engine, Error};

/// Resolves who is meant at once; the future ends when it has come about.
///
/// A container that is gone has ended whatever was waited for; `Removed` fails when its removal does.
/// One that went when it ended is known by its full id for a while after.
pub fn wait(
    engine: &Engine,
    who: &str,
    condition: WaitFor,
) -> Result<impl Future<Output = Result<ExitStatus, Error>> + Send + use<>, Error> {
    wait_on(engine, who, condition, None)
}

/// When the last run had ended that somebody who waits knows of; none if it had not, or there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen(pub Option<i64>);

/// Goes on waiting: any other end than the one seen has come since.
pub fn wait_on(
    engine: &Engine,
    who: &str,
    condition: WaitFor,
    seen: Option<Seen>,
) -> Result<impl Future<Output = Result<ExitStatus, Error>> + Send + use<>, Error> {
    let asked = match engine.find(who) {
        Ok(container) => {
            let mut progress = container.progress();
            let first = progress.borrow_and_update().clone();
            let last = first.last.clone();
            let missed = last.filter(|last| seen.is_some_and(|seen| seen.0 != Some(last.finished)));
            match missed {
                Some(last) if condition != WaitFor::Removed => Asked::Gone(last),
                // The future must not keep a container that is gone in memory.
                _ => Asked::There(container.id().clone(), first, progress),
            }
        }
        Err(error @ Error::NoContainer(_)) => Asked::Gone(engine.gone().find(who).ok_or(error)?),
        Err(error) => return Err(error),
    };
    Ok(async move {
        match asked {
            Asked::There(id, first, progress) => until(condition, id, first, progress).await,
            Asked::Gone(status) => Ok(status),
        }
    })
}

/// What is known when the question comes.
enum Asked {
    /// Its id, how far it was then, and how far it gets.
    There(ContainerId, Progress, Receiver<Progress>),
    /// How it ended.
    Gone(ExitStatus),
}

async fn until(
    condition: WaitFor,
    id: ContainerId,
    first: Progress,
    mut progress: Receiver<Progress>,
) -> Result<ExitStatus, Error> {
    let came = move |now: &Progress| came_about(condition, &first, now);
    let answer = match progress.wait_for(|now| came(now).is_some()).await {
        Ok(now) => came(&now),
        // Nobody changes it any more: it is gone.
        Err(_) => None,
    };
    match answer {
        Some(Err(reason)) => Err(Error::NotRemoved { id, reason }),
        Some(Ok(status)) => Ok(status),
        None => Err(Error::NoContainer(id.to_string())),
    }
}

/// What to answer, if it is time to.
fn came_about(
    condition: WaitFor,
    first: &Progress,
    now: &Progress,
) -> Option<Result<ExitStatus, String>> {
    let status = || {
        now.last.clone().unwrap_or(ExitStatus {
            code: 0,
            oom_killed: false,
            finished: 0,
            error: String::new(),
            reason: types::Reason::default(),
        })
    };
    let came = match condition {
        // One whose policy starts it again has ended all the same.
        WaitFor::NotRunning => !now.busy || now.removed || now.ends > first.ends,
        WaitFor::NextExit => now.ends > first.ends || now.removed,
        WaitFor::Removed => {
            if now.not_removed.0 > first.not_removed.0 {
                return Some(Err(now.not_removed.1.clone()));
            }
            now.removed
        }
    };
    came.then(|| Ok(status()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_each_condition_has_come_about() {
        let ended = ExitStatus {
            code: 3,
            oom_killed: false,
            finished: 1,
            error: String::new(),
            reason: types::Reason::default(),
        };
        let created = Progress::default();
        let running = Progress {
            busy: true,
            ..created.clone()
        };
        let exited = Progress {
            ends: 1,
            last: Some(ended),
            ..created.clone()
        };
        let again = Progress {
            busy: true,
            ..exited.clone()
        };
        let removed = Progress {
            removed: true,
            ..exited.clone()
        };
        let kept = Progress {
            not_removed: (1, "why".into()),
            ..exited.clone()
        };
        let states = [&created, &running, &exited, &again, &removed, &kept];
        let row = |condition| {
            let answers = states.map(|now| match came_about(condition, &created, now) {
                None => "-".to_owned(),
                Some(Ok(status)) => status.code.to_string(),
                Some(Err(reason)) => reason,
            });
            answers.join(" ")
        };
        assert_eq!(row(WaitFor::NotRunning), "0 - 3 3 3 3");
        assert_eq!(row(WaitFor::NextExit), "- - 3 3 3 3");
        assert_eq!(row(WaitFor::Removed), "- - - - 3 why");
    }
}
