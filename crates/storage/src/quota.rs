//! Limits on what a container's writable layer takes on disk: a project for each, where the file
//! system counts and limits by project.

use rusqlite::params;
use sys::dir::Dir;
use types::ContainerId;

use crate::Durability;
use crate::error::Error;
use crate::snapshot::{UPPER, WORK};
use crate::store::Store;

/// Projects of containers are numbered from here, away from what administrators number.
const FIRST: u32 = 0x4252_0000;

/// Limits the writable layer of a container, which is empty yet.
pub(crate) fn limit(store: &Store, id: &ContainerId, bytes: u64) -> Result<(), Error> {
    let containers = store.paths.containers();
    let dir = Dir::open(&containers).map_err(Error::file("open", &containers))?;
    if !sys::quota::enforced(&dir) {
        return Err(Error::NoQuota(store.paths.root.clone()));
    }
    let project = take_project(store, id)?;
    let path = store.paths.container(id);
    let answer = sys::quota::set_limit(&dir, project, bytes).and_then(|()| {
        // Both, because nothing is moved from one project into another.
        [UPPER, WORK]
            .iter()
            .try_for_each(|name| sys::quota::set_project(Dir::open(&path.join(name))?, project))
    });
    answer.map_err(Error::file("limit the size of", &path))
}

/// The lowest number that nobody has.
fn take_project(store: &Store, id: &ContainerId) -> Result<u32, Error> {
    let sql = "UPDATE snapshots SET project = (
            SELECT min(free) FROM (
                SELECT ?2 AS free UNION SELECT project + 1 FROM snapshots WHERE project NOT NULL
            ) WHERE free NOT IN (SELECT project FROM snapshots WHERE project NOT NULL))
        WHERE container = ?1 RETURNING project";
    let project: Option<i64> = store.write(Durability::Power, |tx| {
        let mut query = tx.prepare_cached(sql)?;
        let mut rows = query.query(params![id.as_str(), FIRST])?;
        let row = rows.next()?;
        Ok(row.map(|row| row.get(0)).transpose()?)
    })?;
    let project = project.ok_or_else(|| Error::NoContainer(id.clone()))?;
    u32::try_from(project).map_err(|_| Error::Record {
        what: "project",
        text: project.to_string(),
    })
}

/// Lifts the limit of a project whose container goes.
pub(crate) fn lift(store: &Store, project: Option<i64>) {
    let Some(project) = project.and_then(|project| u32::try_from(project).ok()) else {
        return;
    };
    // What stays is set anew by whoever gets the number next.
    if let Ok(dir) = Dir::open(&store.paths.containers()) {
        let _ = sys::quota::set_limit(dir, project, 0);
    }
}
