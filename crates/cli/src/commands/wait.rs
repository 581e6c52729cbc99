//! `wait`

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::task::JoinSet;

use super::Context;
use crate::args::containers::NamesArgs;
use crate::error::CliError;
use crate::outcome::Question;
use crate::print;

pub(super) async fn run(args: NamesArgs, context: Context) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let daemon = Arc::new(context.daemon);
    let mut failed = 0;
    // All are watched from the start; each is told when it is its turn.
    let mut tasks = JoinSet::new();
    for (n, name) in args.names.iter().enumerate() {
        let (daemon, name) = (Arc::clone(&daemon), name.clone());
        tasks.spawn(async move {
            let question = Question::new(&daemon, &name, false);
            let ended = AtomicBool::new(true);
            let answer = match question.ask(false).await {
                Ok(waiting) => question.answer_number(waiting, &ended).await,
                Err(error) => Err(error),
            };
            (n, answer)
        });
    }
    let mut answers: Vec<_> = args.names.iter().map(|_| None).collect();
    let mut next = 0;
    while let Some(done) = tasks.join_next().await {
        let (n, answer) = done.map_err(|error| CliError::Connection(error.to_string()))?;
        answers[n] = Some(answer);
        while let Some(answer) = answers.get_mut(next).and_then(Option::take) {
            next += 1;
            match answer {
                Ok(code) => print::out(&format!("{code}\n"))?,
                Err(error) => {
                    print::complain(&error.to_string());
                    failed = 1;
                }
            }
        }
    }
    Ok(failed)
}
