//! `exec`, its first half: a session is made, nothing runs yet.

use types::ExecId;

use super::{Request, Session, remember, tell};
use crate::container::{Invalid, WrongState, create::random};
use crate::{Engine, Error};

/// Makes a session. `Conflict` when the container does not run.
pub fn create(engine: &Engine, who: &str, request: Request) -> Result<ExecId, Error> {
    engine.accepts_work()?;
    let container = engine.find(who)?;
    if container.lifecycle().is_paused() {
        let id = container.id().clone();
        return Err(WrongState::StandsStill { id, what: "exec" }.into());
    }
    if container.lifecycle().is_restarting() {
        return Err(WrongState::Restarting(container.id().clone()).into());
    }
    if !container.lifecycle().is_running() {
        return Err(WrongState::NotRunning(container.id().clone()).into());
    }
    if request.command.is_empty() {
        return Err(Invalid::NoExecCommand.into());
    }
    if let Some(bad) = request
        .env
        .iter()
        .find(|v| v.is_empty() || v.starts_with('='))
    {
        return Err(Invalid::Env(bad.clone()).into());
    }
    let id = ExecId::from_random(random()?);
    let session = Session::new(id.clone(), container.id().clone(), request);
    tell(engine, &container, &session, "exec_create");
    remember(engine, &container, session);
    Ok(id)
}
