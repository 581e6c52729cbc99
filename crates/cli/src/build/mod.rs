//! `build`: the client's half of BuildKit's protocols. [`request`] makes a request of what was typed,
//! [`session`] answers what the daemon asks meanwhile (files, secrets, credentials, agents, outputs),
//! [`progress`] shows what happens, [`failure`] why it went wrong.

mod agent;
mod call;
mod content;
pub(crate) mod failure;
mod files;
mod input;
mod interrupt;
mod keys;
pub(crate) mod lend;
mod metadata;
mod output;
pub(crate) mod progress;
mod request;
mod session;
pub(crate) mod solve;

pub(crate) use request::{Plan, plan};
