//! A socket's policy, held against a request: what needs the engine to be decided.

use std::collections::HashMap;

use engine::container::{self, View};
use engine::volume::{self, Backing};
use engine::{Engine, exec};
use types::{ContainerChange, ContainerSpec, ErrorKind, MountKind, MountRequest, VolumeName};

use super::Policy;
use super::policy::{About, about, name_by_id};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::router::Operation as Op;

/// Refuses what a request may not do. What a container is to be is in its body: see [`may_create`].
///
/// What the request names is its id from then on: a name may be another's a moment later.
pub(crate) async fn check(app: &App, operation: Op, call: &mut Call) -> Result<(), Failure> {
    let policy = &call.peer.door.policy;
    policy.allows(operation)?;
    let container = match about(operation) {
        About::ContainerRead => {
            let view = seen(&app.engine, policy, &call.name)?;
            // What is in a directory of the host is there to be read by whoever may mount it.
            if shows_files(operation) {
                volumes(app, policy, &view.resolved.mounts).await?;
                policy.may_read_files(&view)?;
            }
            view
        }
        About::ContainerChange => {
            let view = seen(&app.engine, policy, &call.name)?;
            enter(app, policy, &view).await?;
            view
        }
        About::ExecRead => {
            of_session(app, policy, &call.name).await?;
            return Ok(());
        }
        About::ExecChange => {
            return enter(app, policy, &of_session(app, policy, &call.name).await?).await;
        }
        About::OtherRead => return other(app, operation, policy, &call.name).await,
        About::Pull => return policy.may_pull(call.query.get("fromImage")),
        _ => return Ok(()),
    };
    call.name = container.id.to_string();
    Ok(())
}

fn shows_files(operation: Op) -> bool {
    matches!(
        operation,
        Op::ContainerArchiveGet | Op::ContainerArchiveStat | Op::ContainerExport
    )
}

/// What tells of others' containers though it is about none, or of the host's files.
async fn other(app: &App, operation: Op, policy: &Policy, name: &str) -> Result<(), Failure> {
    let tells = matches!(operation, Op::VolumeExport | Op::DiskUsage);
    if policy.label.is_some() && tells {
        return Err(Failure::new(
            ErrorKind::Forbidden,
            "what others keep is not told through this socket",
        ));
    }
    match (operation, name.parse::<VolumeName>()) {
        (Op::VolumeExport, Ok(name)) => of_host(app, policy, vec![name]).await,
        _ => Ok(()),
    }
}

/// Refuses a container that has more than the socket allows.
async fn enter(app: &App, policy: &Policy, view: &View) -> Result<(), Failure> {
    policy.may_enter(view)?;
    volumes(app, policy, &view.resolved.mounts).await
}

/// Refuses volumes that are there and are of the host, whoever made them.
async fn volumes(app: &App, policy: &Policy, mounts: &[MountRequest]) -> Result<(), Failure> {
    let name = |mount: &MountRequest| match &mount.kind {
        MountKind::Volume(volume) => volume.name.clone(),
        _ => None,
    };
    of_host(app, policy, mounts.iter().filter_map(name).collect()).await
}

async fn of_host(app: &App, policy: &Policy, names: Vec<VolumeName>) -> Result<(), Failure> {
    if policy.host_mounts {
        return Ok(());
    }
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

/// What comes of a verb that gives a container a name. Whose it is already is told to who sees that one only.
pub(crate) async fn naming<T: Send + 'static>(
    app: &App,
    policy: &Policy,
    verb: impl FnOnce(&Engine) -> Result<T, engine::Error> + Send + 'static,
) -> Result<T, Failure> {
    let done = app.blocking(move |engine| match verb(engine) {
        Err(error @ engine::Error::NameTaken { .. }) => Ok(Err(error)),
        other => other.map(Ok),
    });
    done.await?.map_err(|error| match &error {
        engine::Error::NameTaken { name, owner }
            if seen(&app.engine, policy, owner.as_str()).is_err() =>
        {
            let message = format!("Conflict. The container name \"/{name}\" is already in use.");
            Failure::new(ErrorKind::Conflict, message)
        }
        _ => error.into(),
    })
}

async fn of_session(app: &App, policy: &Policy, id: &str) -> Result<View, Failure> {
    let name = id.to_owned();
    let session = app
        .blocking(move |engine| exec::inspect(engine, &name))
        .await?;
    seen(&app.engine, policy, session.container.as_str())
        .map_err(|_| Failure::new(ErrorKind::NotFound, format!("No such exec instance: {id}")))
}

/// Refuses to make of a container what could not have been made through a socket.
pub(crate) async fn may_update(
    app: &App,
    policy: &Policy,
    name: &str,
    change: &ContainerChange,
) -> Result<(), Failure> {
    if policy.is_open() {
        return Ok(());
    }
    policy.may_update(&seen(&app.engine, policy, name)?, change)?;
    volumes(app, policy, &change.mount).await
}

/// Refuses a container that may not be made through a socket, and has it name others by their ids.
pub(crate) async fn may_create(
    app: &App,
    policy: &Policy,
    spec: &mut ContainerSpec,
) -> Result<(), Failure> {
    policy.may_create(spec)?;
    volumes(app, policy, &spec.mounts).await?;
    let mut ids = HashMap::new();
    for other in Policy::shared(spec) {
        // Not as what is missing: clients take that for the image, and go and look for it.
        let view = seen(&app.engine, policy, other)
            .map_err(|failure| Failure::new(ErrorKind::Forbidden, failure.message()))?;
        enter(app, policy, &view).await?;
        ids.insert(other.to_owned(), view.id.to_string());
    }
    name_by_id(spec, |name| ids.get(name).cloned().unwrap_or_default());
    Ok(())
}
