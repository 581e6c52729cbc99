//! Operations of what this daemon has none of: clusters and plugins. Clients ask for them whatever the
//! daemon is, and are told what Docker tells them when it is in no swarm and has no plugin.

use hyper::StatusCode;
use types::ErrorKind;

use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

/// Everything that a manager of a swarm answers.
pub(super) fn manager() -> Answer {
    Err(Failure::new(
        ErrorKind::Unavailable,
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
         connect this node to swarm and try again.",
    ))
}

/// `POST /swarm/leave`
pub(super) fn leave() -> Answer {
    Err(Failure::new(
        ErrorKind::Unavailable,
        "This node is not part of a swarm",
    ))
}

/// `POST /swarm/init`, `POST /swarm/join`
pub(super) fn join() -> Answer {
    Err(Failure::new(
        ErrorKind::Unavailable,
        "This node cannot be part of a swarm: this version of Brig has no swarm mode",
    ))
}

/// `PUT /volumes/{name}`
pub(super) fn volume() -> Answer {
    Err(Failure::new(
        ErrorKind::Unavailable,
        "volume update only valid for cluster volumes, but swarm is unavailable",
    ))
}

/// `GET /plugins`
pub(super) fn plugins(call: &Call) -> Answer {
    let filters = call.query.filters()?;
    match filters
        .keys()
        .find(|k| !["capability", "enable"].contains(&k.as_str()))
    {
        Some(unknown) => Err(Failure::bad_request(format!("invalid filter '{unknown}'"))),
        None => Ok(respond::json(StatusCode::OK, &[(); 0])),
    }
}

/// Whatever is asked of a plugin.
pub(super) fn plugin(call: &Call) -> Answer {
    Err(Failure::new(
        ErrorKind::NotFound,
        format!("plugin {:?} not found", call.name),
    ))
}

/// What would make one.
pub(super) fn install() -> Answer {
    Err(Failure::new(
        ErrorKind::Unsupported,
        "plugins are not supported by this version of Brig",
    ))
}
