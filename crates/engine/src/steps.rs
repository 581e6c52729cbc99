//! The steps of create and of start by name, so that each can be made to fail on purpose.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use crate::{Config, Error};

/// A step that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Its name.
    pub step: &'static str,
    /// When it had done its work.
    pub at: Instant,
}

thread_local! {
    /// Where the thread is.
    static AT: Cell<&'static str> = const { Cell::new(name::CLAIM) };
    /// What the thread has passed, where somebody asked for that: a verb works on one.
    static SEEN: RefCell<Option<Vec<Passed>>> = const { RefCell::new(None) };
}

/// Calls `work`, a blocking verb, and tells which steps it has passed on this thread.
pub fn watched<T>(work: impl FnOnce() -> T) -> (T, Vec<Passed>) {
    /// Also after a panic: the thread goes on with somebody else's work.
    struct Watching;

    impl Drop for Watching {
        fn drop(&mut self) {
            SEEN.set(None);
        }
    }

    SEEN.set(Some(Vec::new()));
    let watching = Watching;
    let done = work();
    let seen = SEEN.take().unwrap_or_default();
    drop(watching);
    (done, seen)
}

/// From now on the thread is at this step.
pub(crate) fn begin(step: &'static str) {
    AT.set(step);
}

/// The step that a start on this thread is at: the one after that it has passed, in the words of people.
pub(crate) fn under_way() -> &'static str {
    let at = AT.get();
    at.split_once('.').map_or(at, |(_, bare)| bare)
}

/// What comes after a step of a start.
fn after(step: &'static str) -> &'static str {
    let order = START.iter().position(|name| *name == step);
    order.and_then(|at| START.get(at + 1)).unwrap_or(&step)
}

fn note(step: &'static str) {
    AT.set(after(step));
    SEEN.with_borrow_mut(|seen| {
        if let Some(seen) = seen {
            let at = Instant::now();
            seen.push(Passed { step, at });
        }
    });
}

/// Names of the engine's own steps that leave something behind, in their order.
pub(crate) mod name {
    pub(crate) const RESERVE_NAME: &str = "create.reserve-name";
    pub(crate) const USER_IDS: &str = "create.user-ids";
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
    pub(crate) const UPDATE_PORTS: &str = "update.ports";
    pub(crate) const UPDATE_VOLUMES: &str = "update.volumes";
    pub(crate) const UPDATE_MOUNTS: &str = "update.mounts";
    pub(crate) const UPDATE_LIMITS: &str = "update.limits";
    pub(crate) const LEAVE_NAMES: &str = "disconnect.names";
    pub(crate) const LEAVE_INTERFACE: &str = "disconnect.interface";
    pub(crate) const LEAVE_RECORD: &str = "disconnect.record";
    pub(crate) const NETWORK_RECORD: &str = "network-create.record";
    pub(crate) const NETWORK_DEVICE: &str = "network-create.device";
}

/// The steps of a start in their order.
const START: [&str; 16] = [
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
];

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

/// Every step of create, start, `update` and `network disconnect` that [`Config::fail_at`] can name: the engine's own, then those of
/// the shim and its runtime, which a start passes between `start.create` and `start.start`.
pub fn steps() -> Vec<&'static str> {
    let mut steps = vec![
        name::RESERVE_NAME,
        name::USER_IDS,
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
        name::UPDATE_PORTS,
        name::UPDATE_VOLUMES,
        name::UPDATE_MOUNTS,
        name::UPDATE_LIMITS,
        name::LEAVE_NAMES,
        name::LEAVE_INTERFACE,
        name::LEAVE_RECORD,
        name::NETWORK_RECORD,
        name::NETWORK_DEVICE,
    ];
    steps.extend(NETWORK_STEPS);
    steps.extend(shim::protocol::steps());
    steps
}

/// What follows a step's name where not the step is to fail but the daemon is to die.
pub const DIES: char = '!';

/// Passes unless `step` is the one told to fail. Called after the step's work and its undo, so that
/// what the step did has to be undone.
pub(crate) fn passed(config: &Config, step: &'static str) -> Result<(), Error> {
    note(step);
    match &config.fail_at {
        Some(name) if name == step => {
            AT.set(step);
            Err(Error::Injected(step.to_owned()))
        }
        Some(name) if name.strip_suffix(DIES) == Some(step) => std::process::abort(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_seen_only_where_that_is_asked_for() {
        note(name::CLAIM);
        let (done, seen) = watched(|| {
            note(name::BUNDLE);
            note(name::LAUNCH);
            7
        });
        note(name::START);
        let names: Vec<_> = seen.iter().map(|passed| passed.step).collect();
        assert_eq!((done, names), (7, vec!["start.bundle", "start.launch"]));
        assert_eq!(watched(|| ()).1, []);
    }
}
