//! `inspect` and `container inspect`

use api::client::Error;
use serde_json::Value;

use super::Context;
use crate::args::containers::{ContainerInspectArgs, InspectArgs};
use crate::connect::Daemon;
use crate::error::CliError;
use crate::print::shapes::Shape;
use crate::print::system;

pub(super) async fn run(args: InspectArgs, context: Context) -> Result<u8, CliError> {
    let kind = match args.kind.as_deref() {
        None | Some("") => Kind::Any,
        Some("container") => Kind::Container,
        Some("image") => Kind::Image,
        Some("network") => Kind::Network,
        Some("volume") => Kind::Volume,
        Some(other) => {
            return Err(CliError::Invalid(format!(
                "unknown type: {other:?}: must be one of \"config\", \"container\", \"image\", \"network\", \"node\", \"plugin\", \"secret\", \"service\", \"task\", \"volume\""
            )));
        }
    };
    context.daemon.connect().await?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &args.names {
        match one(&context.daemon, name, kind, args.size).await {
            Ok(object) => found.push(object),
            Err(error) => failures.push(error.to_string()),
        }
    }
    system::shaped(&found, &failures, args.format.as_deref())
}

pub(super) async fn containers(
    args: ContainerInspectArgs,
    context: Context,
) -> Result<u8, CliError> {
    context.daemon.connect().await?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &args.names {
        match one(&context.daemon, name, Kind::Container, args.size).await {
            Ok(object) => found.push(object),
            Err(error) => failures.push(error.to_string()),
        }
    }
    system::shaped(&found, &failures, args.format.as_deref())
}

/// Which objects a name may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    Container,
    Image,
    Network,
    Volume,
}

async fn one(
    daemon: &Daemon,
    name: &str,
    kind: Kind,
    size: bool,
) -> Result<(Value, Shape), CliError> {
    let client = &daemon.client;
    if matches!(kind, Kind::Any | Kind::Container) {
        match client.container_inspect_raw(name, size).await {
            Err(error) if kind == Kind::Any && is_missing(&error) => {}
            other => return Ok((other?, Shape::Container)),
        }
    }
    if matches!(kind, Kind::Any | Kind::Image) {
        match client.image_inspect_raw(name, None).await {
            Err(error) if kind == Kind::Any && is_missing(&error) => {}
            other => return Ok((other?, Shape::Image)),
        }
    }
    if matches!(kind, Kind::Any | Kind::Network) {
        match client.network_inspect_raw(name, false).await {
            Err(error) if kind == Kind::Any && is_missing(&error) => {}
            other => return Ok((other?, Shape::Network)),
        }
    }
    match client.volume_inspect_raw(name).await {
        Err(error) if kind == Kind::Any && is_missing(&error) => {
            Err(CliError::Invalid(format!("Error: No such object: {name}")))
        }
        other => Ok((other?, Shape::Volume)),
    }
}

/// A name that is no image reference at all is just not there.
fn is_missing(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 404))
}
