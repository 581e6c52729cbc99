//! What is there: records, run directories, shims that answer, exit records.

use std::collections::BTreeSet;
use std::sync::Arc;

use shim::{Asked, Found, State};
use types::ContainerId;

use super::plan::{Facts, ShimFact};
use crate::container::start::EXIT_RECORD;
use crate::record;
use crate::supervise::read_exit;
use crate::table::Container;
use crate::{Engine, Error, clock};

/// Shims that are asked at the same time.
pub(super) const AT_ONCE: usize = 16;

/// Everything observed; the three lists go together.
#[derive(Default)]
pub(super) struct Observed {
    pub(super) facts: Vec<Facts>,
    pub(super) containers: Vec<Option<Arc<Container>>>,
    pub(super) shims: Vec<Option<Found>>,
}

/// Reads the records into memory, and looks at what goes with them.
pub(super) fn observe(engine: &Engine) -> Result<Observed, Error> {
    let mut run_dirs = run_dirs(engine)?;
    let mut observed = Observed::default();
    let (containers, unreadable) = load(engine)?;
    for id in unreadable {
        run_dirs.remove(&id);
    }
    let mut cases = Vec::new();
    for container in containers {
        let (id, run_dir) = (container.id().clone(), run_dirs.remove(container.id()));
        engine.table_mut().insert(container.clone());
        cases.push((id, Some(container), run_dir));
    }
    cases.extend(run_dirs.into_iter().map(|id| (id, None, true)));
    let asked = ask_all(engine, &cases);
    for ((id, container, run_dir), asked) in cases.into_iter().zip(asked) {
        look(engine, &mut observed, &id, container, (run_dir, asked));
    }
    Ok(observed)
}

/// A shim that has answered, and what that means.
type Told = (Option<Found>, ShimFact);

/// A container, its record and whether it has a run directory.
type Case = (ContainerId, Option<Arc<Container>>, bool);

/// Asks all shims there may be. Each answers when the machine lets it, and meanwhile others are asked.
fn ask_all(engine: &Engine, cases: &[Case]) -> Vec<Told> {
    let each = cases.len().div_ceil(AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let asking: Vec<_> = cases
            .chunks(each)
            .map(|cases| scope.spawn(move || ask(engine, cases)))
            .collect();
        let told = asking.into_iter().map(|thread| thread.join());
        told.flat_map(|told| told.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// All are asked before any is heard.
fn ask(engine: &Engine, cases: &[Case]) -> Vec<Told> {
    let begin = |(id, _, run_dir): &Case| run_dir.then(|| Asked::begin(engine.run_dir(id)));
    let asked: Vec<_> = cases.iter().map(begin).collect();
    let hear = |((id, ..), asked): (&Case, Option<_>)| match asked {
        Some(asked) => hear(id, asked),
        None => (None, ShimFact::Gone),
    };
    cases.iter().zip(asked).map(hear).collect()
}

/// The containers, and the ids of records that cannot be read: those are left as they are, and what
/// may run of them too, for a version that can.
fn load(engine: &Engine) -> Result<(Vec<Arc<Container>>, Vec<ContainerId>), Error> {
    let (mut containers, mut unreadable) = (Vec::new(), Vec::new());
    for stored in engine.records().all()? {
        let decoded = record::decode(&stored.id, &stored.body)
            .and_then(|(fixed, status)| Container::new(fixed, status));
        match decoded {
            Ok(container) => containers.push(Arc::new(container)),
            Err(error) => {
                tracing::error!(error = %error.chain(), "a container is passed over");
                unreadable.push(stored.id);
            }
        }
    }
    Ok((containers, unreadable))
}

fn run_dirs(engine: &Engine) -> Result<BTreeSet<ContainerId>, Error> {
    let dir = engine.config().run_root.join("containers");
    let entries = std::fs::read_dir(&dir).map_err(Error::io(format!("read {}", dir.display())))?;
    let id = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    Ok(entries.flatten().filter_map(id).collect())
}

fn look(
    engine: &Engine,
    observed: &mut Observed,
    id: &ContainerId,
    container: Option<Arc<Container>>,
    (run_dir, (shim, fact)): (bool, Told),
) {
    let status = container.as_ref().map(|container| container.status());
    let kept = engine.storage().container_dir(id);
    let boot = status.as_ref().and_then(|status| status.boot.as_ref());
    observed.facts.push(Facts {
        id: id.clone(),
        auto_remove: container.as_ref().is_some_and(|c| c.fixed.spec.auto_remove),
        same_boot: boot == Some(&engine.host().boot),
        run_dir,
        shim: fact,
        shim_pid: status.as_ref().and_then(|s| s.shim).map(|shim| shim.pid),
        exit: container
            .as_ref()
            .and_then(|_| read_exit(&kept.join(EXIT_RECORD))),
        lifecycle: status.map(|status| status.lifecycle),
        now: clock::now(),
    });
    observed.containers.push(container);
    observed.shims.push(shim);
}

fn hear(id: &ContainerId, asked: Result<Asked, shim::Error>) -> Told {
    match asked.and_then(Asked::answer) {
        Ok(found) => {
            let fact = fact(&found.state);
            (Some(found), fact)
        }
        Err(error) if error.is_gone() => (None, ShimFact::Gone),
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(container = %id, error, "a container is not looked after");
            (None, ShimFact::Silent)
        }
    }
}

fn fact(state: &State) -> ShimFact {
    match (state.process, &state.exited) {
        (Some(process), Some(exit)) if state.started => ShimFact::Ended(process, exit.clone()),
        (Some(process), None) if state.started => ShimFact::Started(process),
        _ => ShimFact::Waiting,
    }
}
