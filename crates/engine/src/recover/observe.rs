//! What is there: records, run directories, shims that answer, exit records.

use std::collections::BTreeSet;
use std::sync::Arc;

use shim::{Call, Reply, Shim, State};
use types::ContainerId;

use super::plan::{Facts, ShimFact};
use crate::container::start::EXIT_RECORD;
use crate::record;
use crate::supervise::read_exit;
use crate::table::Container;
use crate::{Engine, Error, clock};

/// Everything observed; the three lists go together.
pub(super) struct Observed {
    pub(super) facts: Vec<Facts>,
    pub(super) containers: Vec<Option<Arc<Container>>>,
    pub(super) shims: Vec<Option<(Arc<Shim>, State)>>,
}

/// Reads the records into memory, and looks at what goes with them.
pub(super) fn observe(engine: &Engine) -> Result<Observed, Error> {
    let mut run_dirs = run_dirs(engine)?;
    let mut observed = Observed {
        facts: Vec::new(),
        containers: Vec::new(),
        shims: Vec::new(),
    };
    let (containers, unreadable) = load(engine)?;
    for id in unreadable {
        run_dirs.remove(&id);
    }
    for container in containers {
        let run_dir = run_dirs.remove(container.id());
        look(
            engine,
            &mut observed,
            container.id(),
            Some(&container),
            run_dir,
        );
        engine.table_mut().insert(container);
    }
    for id in run_dirs {
        look(engine, &mut observed, &id, None, true);
    }
    Ok(observed)
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
    container: Option<&Arc<Container>>,
    run_dir: bool,
) {
    let (shim, fact) = match run_dir {
        true => ask(engine, id),
        false => (None, ShimFact::Gone),
    };
    let status = container.map(|container| container.status());
    let kept = engine.storage().container_dir(id);
    let boot = status.as_ref().and_then(|status| status.boot.as_ref());
    observed.facts.push(Facts {
        id: id.clone(),
        auto_remove: container.is_some_and(|c| c.fixed.spec.auto_remove),
        same_boot: boot == Some(&engine.host().boot),
        run_dir,
        shim: fact,
        shim_pid: status.as_ref().and_then(|s| s.shim).map(|shim| shim.pid),
        exit: container.and_then(|_| read_exit(&kept.join(EXIT_RECORD))),
        lifecycle: status.map(|status| status.lifecycle),
        now: clock::now(),
    });
    observed.containers.push(container.cloned());
    observed.shims.push(shim);
}

fn ask(engine: &Engine, id: &ContainerId) -> (Option<(Arc<Shim>, State)>, ShimFact) {
    let asked = Shim::connect(engine.run_dir(id)).and_then(|shim| {
        let reply = shim.call(&Call::State, &[])?;
        Ok((shim, reply))
    });
    match asked {
        Ok((shim, Reply::State(state))) => {
            let fact = fact(&state);
            (Some((Arc::new(shim), state)), fact)
        }
        Err(error @ shim::Error::Silent { .. }) => {
            tracing::error!(container = %id, %error, "a container is not looked after");
            (None, ShimFact::Silent)
        }
        Ok(_) | Err(_) => (None, ShimFact::Gone),
    }
}

fn fact(state: &State) -> ShimFact {
    match (state.process, &state.exited) {
        (Some(process), Some(exit)) if state.started => ShimFact::Ended(process, exit.clone()),
        (Some(process), None) if state.started => ShimFact::Started(process),
        _ => ShimFact::Waiting,
    }
}
