//! What is said about a build's images: where they come from, and what is in them.

use std::collections::HashMap;
use std::time::SystemTime;

use builder::attest::{Facts, Statement};
use builder::solve::{Built, Failure};

use super::output::{Wanted, Writer};

/// Nanoseconds since the Unix epoch.
pub(super) fn now() -> i64 {
    let passed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = passed.map_or(0, |passed| passed.as_nanos());
    i64::try_from(nanos).unwrap_or_default()
}

/// What is said about each of the images.
pub(super) fn statements(
    writer: &Writer,
    wanted: &Wanted,
    built: &[Built],
) -> Result<Vec<Vec<Statement>>, Failure> {
    let mut all = Vec::new();
    for one in built {
        let mut said = Vec::new();
        if let Some(scanner) = &wanted.wishes.contents {
            said.extend(contents(writer, scanner, one)?);
        }
        // Last, for it says when all of it was done.
        if wanted.wishes.provenance.is_some() {
            said.extend(provenance(writer, wanted));
        }
        all.push(said);
    }
    Ok(all)
}

fn contents(
    writer: &Writer,
    scanner: &builder::attest::Scanner,
    built: &Built,
) -> Result<Vec<Statement>, Failure> {
    let kept = writer.job.keep(built.clone());
    let name = kept.map_err(|status| Failure::internal(status.message()))?;
    let solver = &writer.app.builds.solver;
    writer.ask(|ask| solver.scan(ask, scanner, (&name, built)))
}

fn provenance(writer: &Writer, wanted: &Wanted) -> Option<Statement> {
    let wish = wanted.wishes.provenance.as_ref()?;
    let job = &writer.job;
    let nothing = (String::new(), HashMap::new());
    let (frontend, attributes) = job.heard().unwrap_or(&nothing);
    let source = job.feed.source();
    let graph = job.memory.definition();
    Some(wish.statement(&Facts {
        frontend,
        attributes,
        materials: &job.memory.materials(),
        source: source.as_deref(),
        graph: graph.as_ref(),
        id: &job.name,
        started: wanted.started,
        finished: now(),
    }))
}
