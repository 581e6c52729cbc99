//! Verbs that take several names: each name is printed when it is done, each failure is told, and
//! one failure makes the exit code 1.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::connect::Daemon;
use crate::error::CliError;
use crate::print;

/// How it went with a name that does not count as a failure.
pub(super) enum Done {
    /// The name is printed.
    Named,
    /// There was nothing to do, for this reason.
    Passed(CliError),
}

impl From<()> for Done {
    fn from((): ()) -> Self {
        Self::Named
    }
}

/// One name after the other.
pub(super) async fn in_turn<F>(
    names: &[String],
    mut act: impl FnMut(String) -> F,
) -> Result<u8, CliError>
where
    F: Future<Output = Result<(), CliError>>,
{
    let mut code = 0;
    for name in names {
        code |= told(name, act(name.clone()).await)?;
    }
    Ok(code)
}

/// All names at once: each may take as long as a container takes to end. They are told in order.
pub(super) async fn at_once<F, T>(
    daemon: Daemon,
    names: &[String],
    act: impl Fn(Arc<Daemon>, String) -> F,
) -> Result<u8, CliError>
where
    F: Future<Output = Result<T, CliError>> + Send + 'static,
    T: Into<Done> + Send + 'static,
{
    let daemon = Arc::new(daemon);
    let mut tasks = JoinSet::new();
    for (n, name) in names.iter().enumerate() {
        let work = act(Arc::clone(&daemon), name.clone());
        tasks.spawn(async move { (n, work.await) });
    }
    let mut results: Vec<_> = names.iter().map(|_| None).collect();
    let (mut code, mut next) = (0, 0);
    while let Some(done) = tasks.join_next().await {
        let (n, result) = done.map_err(|error| CliError::Connection(error.to_string()))?;
        results[n] = Some(result);
        while let Some(result) = results.get_mut(next).and_then(Option::take) {
            code |= told(&names[next], result)?;
            next += 1;
        }
    }
    Ok(code)
}

fn told(name: &str, result: Result<impl Into<Done>, CliError>) -> Result<u8, CliError> {
    match result.map(Into::into) {
        Ok(Done::Named) => print::out(&format!("{name}\n")).map(|()| 0),
        Ok(Done::Passed(reason)) => {
            print::complain(&reason.to_string());
            Ok(0)
        }
        Err(error) => {
            print::complain(&error.to_string());
            Ok(1)
        }
    }
}
