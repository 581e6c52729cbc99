//! `restart`: stop, then start.

use std::sync::Arc;

use types::{By, Signal};

use super::{restarts, start, stop};
use crate::table::Container;
use crate::{Engine, Error, event};

/// Stops it if it runs, and starts it.
pub async fn restart(
    engine: &Engine,
    who: &str,
    signal: Option<Signal>,
    timeout: Option<i64>,
) -> Result<(), Error> {
    restart_by(engine, who, (signal, timeout), By::Restart).await
}

/// The same, asked for by somebody.
pub(crate) async fn restart_by(
    engine: &Engine,
    who: &str,
    how: stop::How,
    by: By,
) -> Result<(), Error> {
    let container = engine.find(who)?;
    let held = Held::new(&container);
    restarts::settle(engine, &container).await?;
    if container.lifecycle().is_running() {
        stop::stop_running(engine, &container, how, by).await?;
        event::of_container(engine, &container, "stop");
    }
    let started = {
        let container = container.clone();
        engine.blocking(move |engine| start::start_container(engine, &container))
    };
    let started = started.await;
    drop(held);
    match started {
        // Somebody else was quicker: it runs anew.
        Err(Error::NotModified { .. }) => {}
        started => started?,
    }
    event::of_container(engine, &container, "restart");
    Ok(())
}

/// Keeps a container that goes when it ends from going between the two halves.
struct Held(Arc<Container>);

impl Held {
    fn new(container: &Arc<Container>) -> Self {
        container.live().held = true;
        Self(container.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.live().held = false;
    }
}
