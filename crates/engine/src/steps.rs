//! The steps of create and of start by name, so that each can be made to fail on purpose.

use crate::{Config, Error};

/// Names of the engine's own steps that leave something behind, in their order.
pub(crate) mod name {
    pub(crate) const RESERVE_NAME: &str = "create.reserve-name";
    pub(crate) const RECORD: &str = "create.record";
    pub(crate) const CLAIM: &str = "start.claim";
    pub(crate) const BIND_SOURCES: &str = "start.bind-sources";
    pub(crate) const BUNDLE: &str = "start.bundle";
    pub(crate) const LAUNCH: &str = "start.launch";
    pub(crate) const ADDRESSES: &str = "start.addresses";
    pub(crate) const PORTS: &str = "start.ports";
    pub(crate) const FILES: &str = "start.files";
    pub(crate) const USER: &str = "start.user";
    pub(crate) const RENDER: &str = "start.render";
    pub(crate) const CREATE: &str = "start.create";
    pub(crate) const NETWORK: &str = "start.network";
    pub(crate) const NAMES: &str = "start.names";
    pub(crate) const ATTACH: &str = "start.attach";
    pub(crate) const WATCH: &str = "start.watch";
    pub(crate) const START: &str = "start.start";
    pub(crate) const RUNNING: &str = "start.record";
    pub(crate) const LEAVE_NAMES: &str = "disconnect.names";
    pub(crate) const LEAVE_INTERFACE: &str = "disconnect.interface";
    pub(crate) const LEAVE_RECORD: &str = "disconnect.record";
}

/// Those of [`network::attach`], which a start passes before `start.network`.
const NETWORK_STEPS: [&str; 7] = [
    "network.open",
    "network.link",
    "network.port",
    "network.addresses",
    "network.sysctls",
    "network.bandwidth",
    "network.settle",
];

/// Every step of create, start and `network disconnect` that [`Config::fail_at`] can name: the engine's own, then those of
/// the shim and its runtime, which a start passes between `start.create` and `start.start`.
pub fn steps() -> Vec<&'static str> {
    let mut steps = vec![
        name::RESERVE_NAME,
        name::RECORD,
        name::CLAIM,
        name::BIND_SOURCES,
        name::BUNDLE,
        name::LAUNCH,
        name::ADDRESSES,
        name::PORTS,
        name::FILES,
        name::USER,
        name::RENDER,
        name::CREATE,
        name::NETWORK,
        name::NAMES,
        name::ATTACH,
        name::WATCH,
        name::START,
        name::RUNNING,
        name::LEAVE_NAMES,
        name::LEAVE_INTERFACE,
        name::LEAVE_RECORD,
    ];
    steps.extend(NETWORK_STEPS);
    steps.extend(shim::protocol::steps());
    steps
}

/// Passes unless `step` is the one told to fail. Called after the step's work and its undo, so that
/// what the step did has to be undone.
pub(crate) fn passed(config: &Config, step: &'static str) -> Result<(), Error> {
    match &config.fail_at {
        Some(name) if name == step => Err(Error::Injected(step.to_owned())),
        _ => Ok(()),
    }
}
