//! `exec`, its first half: a session is made, nothing runs yet.

use types::ExecId;

use super::start::check_user;
use super::{Request, Session, remember, tell};
use crate::container::{Invalid, WrongState, create::random};
use crate::{Engine, Error};

/// Makes a session. `Conflict` when the container does not run.
pub fn create(engine: &Engine, who: &str, request: Request) -> Result<ExecId, Error> {
    engine.accepts_work()?;
    let container = engine.find(who)?;
    if container.lifecycle().is_paused() {
        let who = who.to_owned();
        return Err(WrongState::StandsStill { who, what: "exec" }.into());
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
    // It is looked up again when it starts; now whoever asks has the answer as a status.
    if session.request.user.is_some() {
        check_user(&container, &session).map_err(|error| match error {
            Error::User(unknown) => Invalid::ExecUser(unknown).into(),
            other => other,
        })?;
    }
    tell(engine, &container, &session, "exec_create");
    remember(engine, &container, session);
    Ok(id)
}
