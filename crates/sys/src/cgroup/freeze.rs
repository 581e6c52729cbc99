//! Stopping and continuing everything in a cgroup.

use std::time::Duration;

use super::kill::{LONGEST, Patience};
use super::plan::Version;
use super::{Cgroup, Dir, Error, Layout, read, relative};

/// Version 1's file.
const STATE: &str = "freezer.state";
/// Version 2's.
const FREEZE: &str = "cgroup.freeze";

impl Cgroup {
    /// Stops every process in it and below, and returns when they stand still.
    pub fn freeze(&self) -> Result<(), Error> {
        self.freeze_within(LONGEST)
    }

    pub(super) fn freeze_within(&self, time: Duration) -> Result<(), Error> {
        let dir = self.freezer()?;
        let mut patience = Patience::of(time);
        loop {
            // Version 1 has to be told again when a task forked in between.
            set(dir, true)?;
            if is_frozen(dir)? {
                return Ok(());
            }
            if !patience.wait() {
                set(dir, false)?;
                return Err(Error::File {
                    action: "freeze cgroup",
                    path: dir.path.clone(),
                    source: std::io::ErrorKind::TimedOut.into(),
                });
            }
        }
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<(), Error> {
        set(self.freezer()?, false)
    }

    /// Whether those of the cgroup at `path` are told to stand still, without a look at its other hierarchies. False
    /// without a freezer, an error without such a cgroup.
    pub fn stands_still(layout: &Layout, path: &str) -> Result<bool, Error> {
        let relative = relative(path)?;
        let v1 = layout.v1.iter().find(|h| h.has("freezer"));
        let (hierarchy, file) = match (v1, &layout.v2) {
            (Some(v1), _) => (v1, STATE),
            (None, Some(v2)) => (v2, FREEZE),
            (None, None) => return Ok(false),
        };
        let state = read::line(&hierarchy.mount.join(relative).join(file))?;
        Ok(is_told(&state))
    }

    /// Whether they are told to stand still. False without a freezer.
    pub fn is_frozen(&self) -> bool {
        self.freezer().is_ok_and(|dir| is_set(&dir.path))
    }

    /// Version 1's freezer where there is one: on a hybrid machine it surely holds the processes.
    fn freezer(&self) -> Result<&Dir, Error> {
        self.controller("freezer")
            .or_else(|| self.v2())
            .ok_or_else(|| Error::Unsupported {
                limit: "freezing",
                file: "freezer controller".to_owned(),
            })
    }
}

/// Whether a cgroup of either version is told to stand still; not if it is not there.
pub(super) fn is_set(dir: &std::path::Path) -> bool {
    let told = |name: &str| read::line(&dir.join(name)).is_ok_and(|state| is_told(&state));
    told(FREEZE) || told(STATE)
}

/// By what either file holds.
fn is_told(state: &str) -> bool {
    matches!(state, "1" | "FROZEN" | "FREEZING")
}

fn set(dir: &Dir, frozen: bool) -> Result<(), Error> {
    let (file, value) = match (dir.version, frozen) {
        (Version::V1, true) => (STATE, "FROZEN"),
        (Version::V1, false) => (STATE, "THAWED"),
        (Version::V2, true) => (FREEZE, "1"),
        (Version::V2, false) => (FREEZE, "0"),
    };
    read::write(&dir.path.join(file), value)
}

fn is_frozen(dir: &Dir) -> Result<bool, Error> {
    Ok(match dir.version {
        Version::V1 => read::line(&dir.path.join(STATE))? == "FROZEN",
        Version::V2 => read::text(&dir.path.join("cgroup.events"))?
            .lines()
            .any(|l| l == "frozen 1"),
    })
}
