//! `system upgrade`

use std::time::{Duration, Instant};

use api::client::Error;
use api::wire::UpgradeState;

use super::Context;
use crate::args::containers::NamesArgs;
use crate::error::CliError;
use crate::print;

/// Between two looks at what came of it.
const LOOK: Duration = Duration::from_millis(100);

/// How long the daemon may not answer on end: a connection with TLS ends with the program that keeps it, and the next
/// one opens its store before it answers.
const SILENCE: Duration = Duration::from_secs(60);

/// What is to be seen of an upgrade.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Done,
    Failed,
    Nothing,
}

pub(super) async fn run(_: NamesArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let client = &context.daemon.client;
    let asked = client.system_upgrade().await?;
    let mut heard = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let now = match client.system_upgrade_state().await {
            Ok(now) => now,
            Err(error) if is_break(&error) && heard.elapsed() < SILENCE => continue,
            Err(error) => return Err(error.into()),
        };
        heard = Instant::now();
        match seen(&asked, &now) {
            Seen::Done => {
                let (old, new) = (&asked.version, &now.version);
                print::out(&format!("{}: {old} -> {new}\n", now.program))?;
                return Ok(0);
            }
            Seen::Failed => return Err(failed(&asked, &now)),
            Seen::Nothing => {}
        }
    }
}

/// Whether it says nothing but that a connection is gone.
fn is_break(error: &Error) -> bool {
    matches!(
        error,
        Error::Connect { .. } | Error::Http(_) | Error::Stream(_)
    )
}

fn seen(asked: &UpgradeState, now: &UpgradeState) -> Seen {
    if now.instance != asked.instance {
        Seen::Done
    } else if now.failed >= asked.asked {
        Seen::Failed
    } else {
        Seen::Nothing
    }
}

fn failed(asked: &UpgradeState, now: &UpgradeState) -> CliError {
    CliError::Invalid(format!("brigd {} goes on: {}", asked.version, now.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_instance_is_an_upgrade_and_a_failure_is_of_this_one_or_later() {
        let state = |instance: &str, asked, failed| UpgradeState {
            instance: instance.to_owned(),
            asked,
            failed,
            ..UpgradeState::default()
        };
        let asked = state("a", 3, 2);
        assert_eq!(seen(&asked, &state("a", 3, 2)), Seen::Nothing);
        assert_eq!(seen(&asked, &state("a", 4, 3)), Seen::Failed);
        assert_eq!(seen(&asked, &state("b", 0, 0)), Seen::Done);
    }
}
