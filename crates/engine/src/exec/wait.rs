//! The end of an exec session.

use std::future::Future;

use super::{Progress, View, find};
use crate::{Engine, Error};

/// How it stands once it has ended, or could not be started.
pub fn wait(engine: &Engine, id: &str) -> Result<impl Future<Output = View> + use<>, Error> {
    let session = find(engine, id)?;
    Ok(async move {
        let mut state = session.state.subscribe();
        // It cannot go while it is held here.
        let _ = state
            .wait_for(|state| matches!(state, Progress::Exited(_)))
            .await;
        session.view()
    })
}
