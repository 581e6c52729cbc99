//! A socket's policy, held against a request: what needs the engine to be decided.

use engine::container::{self, View};
use engine::volume::{self, Backing};
use engine::{Engine, exec};
use types::{ContainerSpec, ErrorKind, MountKind, MountRequest, VolumeName};

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
            enter(app, policy, &seen(&app.engine, policy, &call.name)?).await?;
        }
        About::ExecRead => {
            of_session(app, policy, &call.name).await?;
        }
        About::ExecChange => {
            enter(app, policy, &of_session(app, policy, &call.name).await?).await?;
        }
        About::OtherRead => other(operation, policy)?,
        _ => {}
    }
    Ok(())
}

/// What tells of others' containers though it is about none.
fn other(operation: Operation, policy: &Policy) -> Result<(), Failure> {
    let tells = matches!(operation, Operation::VolumeExport | Operation::DiskUsage);
    if policy.label.is_none() || !tells {
        return Ok(());
    }
    Err(Failure::new(
        ErrorKind::Forbidden,
        "what others keep is not told through this socket",
    ))
}

/// Refuses a container that has more than the socket allows.
async fn enter(app: &App, policy: &Policy, view: &View) -> Result<(), Failure> {
    policy.may_enter(view)?;
    volumes(app, policy, &view.resolved.mounts).await
}

/// Refuses volumes that are there and are of the host, whoever made them.
async fn volumes(app: &App, policy: &Policy, mounts: &[MountRequest]) -> Result<(), Failure> {
    if policy.host_mounts {
        return Ok(());
    }
    let name = |mount: &MountRequest| match &mount.kind {
        MountKind::Volume(volume) => volume.name.clone(),
        _ => None,
    };
    let names: Vec<VolumeName> = mounts.iter().filter_map(name).collect();
    let of_host = app
        .blocking(move |engine| {
            for name in names {
                match volume::inspect(engine, name.as_str()) {
                    Ok(found) if found.backing != Backing::Directory => return Ok(Some(name)),
                    Ok(_) => {}
                    // It will be made, as its container asks for it.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(None)
        })
        .await?;
    match of_host {
        None => Ok(()),
        Some(name) => Err(Failure::new(
            ErrorKind::Forbidden,
            format!(
                "the volume {name} is of the host: mounts of the host are not allowed through this \
                 socket"
            ),
        )),
    }
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
pub(crate) async fn may_create(
    app: &App,
    policy: &Policy,
    spec: &ContainerSpec,
) -> Result<(), Failure> {
    policy.may_create(spec)?;
    volumes(app, policy, &spec.mounts).await?;
    for other in Policy::shared(spec) {
        // Not as what is missing: clients take that for the image, and go and look for it.
        let view = seen(&app.engine, policy, other)
            .map_err(|failure| Failure::new(ErrorKind::Forbidden, failure.message()))?;
        enter(app, policy, &view).await?;
    }
    Ok(())
}
