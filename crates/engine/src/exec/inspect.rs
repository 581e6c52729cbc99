//! How an exec session stands.

use shim::{Call, Reply};

use super::{Session, View, ended, find};
use crate::{Engine, Error};

/// How it stands; asks the shim when memory says it runs. Blocking.
pub fn inspect(engine: &Engine, id: &str) -> Result<View, Error> {
    let session = find(engine, id)?;
    // A client asks when its stream has ended, which the shim tells it directly: the notice of the
    // same end may not have been read here yet.
    // Nor may whoever started it have been told that it runs.
    if session.may_run() {
        ask(engine, &session);
    }
    Ok(session.view())
}

fn ask(engine: &Engine, session: &Session) {
    let Ok(container) = engine.find(session.container.as_str()) else {
        return;
    };
    // A shim that is gone has told, or whoever watches it does so.
    let Some(Ok(Reply::State(state))) = container.shim().map(|s| s.call(&Call::State, &[])) else {
        return;
    };
    for (id, code) in state.execs {
        if let Some(code) = code {
            ended(engine, &container, &id, code);
        }
    }
}
