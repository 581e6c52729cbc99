//! HTTP as Docker's daemon speaks it: routes, versions, errors, bodies, hijacked connections.

pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod hijack;
pub(crate) mod line;
mod origin;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod resumed;
pub(crate) mod router;
pub(crate) mod serve;
pub(crate) mod unread;
pub(crate) mod version;
pub(crate) mod websocket;
