//! After a restart of the daemon: what is there is observed, compared with the records, and put in
//! order.
//!
//! ```text
//!   observe   records, run directories, shims, exit records  ─►  facts
//!   plan      facts ─► what to do about each container, and why      (pure)
//!   apply     does it, and decides nothing
//! ```
//!
//! A run directory is the evidence that a start was under way: it is made before anything of a run
//! and removed after everything of it. Cgroups are only ever removed for an id that this engine has
//! a record or a run directory of: the parent cgroup may hold those of another engine.

mod apply;
mod observe;
mod plan;

use crate::container::remount;
use crate::{Engine, Error};

/// Takes back what runs, finishes what a crash interrupted. Blocking.
pub(crate) fn recover(engine: &Engine) -> Result<(), Error> {
    let observed = observe::observe(engine)?;
    let plan: Vec<_> = observed.facts.iter().map(plan::plan).collect();
    apply::apply(engine, observed, plan);
    remount::recover(engine);
    Ok(())
}
