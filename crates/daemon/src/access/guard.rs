//! A socket's policy, held against a request: what needs the engine to be decided.

use engine::container::{self, View};
use engine::{Engine, exec};
use types::{ContainerSpec, ErrorKind};

use super::Policy;
use super::policy::{About, about};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::router::Operation;

/// Refuses what a request may not do. What a container is to be is in its body: see [`may_create`].
pub(crate) async fn check(app: &App, operation: Operation, call: &Call) -> Result<(), Failure> {
    let policy = call.policy();
    policy.allows(operation)?;
    match about(operation) {
        About::ContainerRead => {
            seen(&app.engine, policy, &call.name)?;
        }
        About::ContainerChange => {
            policy.may_enter(&seen(&app.engine, policy, &call.name)?)?;
        }
        About::ExecRead => {
            of_session(app, policy, &call.name).await?;
        }
        About::ExecChange => {
            policy.may_enter(&of_session(app, policy, &call.name).await?)?;
        }
        About::OtherChange => other(operation, call)?,
        _ => {}
    }
    Ok(())
}

/// What is no container's, where only some of it is refused.
fn other(operation: Operation, call: &Call) -> Result<(), Failure> {
    if call.policy().label.is_none() || operation != Operation::ContainerCommit {
        return Ok(());
    }
    Err(Failure::new(
        ErrorKind::Forbidden,
        "commits are not allowed through this socket",
    ))
}

/// The container, if it is there for whoever comes by this socket.
fn seen(engine: &Engine, policy: &Policy, name: &str) -> Result<View, Failure> {
    let view = container::inspect(engine, name)?;
    match policy.sees(&view.spec) {
        true => Ok(view),
        // In the words of one that is not there at all.
        false => Err(Failure::new(
            ErrorKind::NotFound,
            format!("No such container: {name}"),
        )),
    }
}

async fn of_session(app: &App, policy: &Policy, id: &str) -> Result<View, Failure> {
    let name = id.to_owned();
    let session = app
        .blocking(move |engine| exec::inspect(engine, &name))
        .await?;
    seen(&app.engine, policy, session.container.as_str())
        .map_err(|_| Failure::new(ErrorKind::NotFound, format!("No such exec instance: {id}")))
}

/// Refuses a container that may not be made through a socket.
pub(crate) fn may_create(
    engine: &Engine,
    policy: &Policy,
    spec: &ContainerSpec,
) -> Result<(), Failure> {
    policy.may_create(spec)?;
    for other in Policy::shared(spec) {
        // Not as what is missing: clients take that for the image, and go and look for it.
        let view = seen(engine, policy, other)
            .map_err(|failure| Failure::new(ErrorKind::Forbidden, failure.message()))?;
        policy.may_enter(&view)?;
    }
    Ok(())
}
