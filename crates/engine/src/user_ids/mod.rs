//! Ids of the host for containers with user namespaces: the daemon's own mapping, and the pool from
//! which each other container takes a range that no other has.
//!
//! What is taken stands in the containers' records and nowhere else, so that it cannot disagree with
//! them: it is free again as soon as the container is gone.

mod plan;
mod subordinate;

use std::fs;
use std::path::Path;

use types::{ErrorKind, IdMaps, IdRange, UserNamespace};

pub use plan::Span;
pub(crate) use plan::plan;

/// Where the pool is if nobody says so: far above all users of a machine, and below the last id.
const USUAL_POOL: Span = Span {
    first: 1 << 31,
    count: (1 << 31) - 65_536,
};

/// Whose subordinate ids are the pool, in this order.
const OWNERS: [&str; 2] = ["brig", "containers"];

/// What Docker calls the user of its default mapping.
const DEFAULT_USER: &str = "dockremap";

/// Which ids of the host containers may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The mapping of all containers that ask for nothing; none is the host's ids.
    pub remap: Option<IdMaps>,
    /// Users for ranges of containers' own.
    pub uids: Vec<Span>,
    /// Groups.
    pub gids: Vec<Span>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            remap: None,
            uids: vec![USUAL_POOL],
            gids: vec![USUAL_POOL],
        }
    }
}

/// Why they cannot be had. Says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIds {
    /// A user or group that is not there.
    #[error(
        "there is no {0} {1:?} on this machine: default, USER, USER:GROUP or their numbers are expected"
    )]
    Unknown(&'static str, String),
    /// A user to whom nothing is subordinate.
    #[error(
        "{1} has no line for {0:?}: one such as {0}:100000:65536 is expected (usermod --add-subuids)"
    )]
    NoRange(String, &'static str),
    /// A pool that is none.
    #[error("FIRST:COUNT is expected, and no id beyond 4294967294")]
    Pool,
}

/// The files of a machine that say so.
#[derive(Debug, Default)]
pub(crate) struct Files {
    passwd: String,
    group: String,
    subuid: String,
    subgid: String,
}

impl Files {
    /// One that is not there is as one that is empty.
    fn read(etc: &Path) -> Self {
        let read = |name: &str| fs::read_to_string(etc.join(name)).unwrap_or_default();
        Self {
            passwd: read("passwd"),
            group: read("group"),
            subuid: read("subuid"),
            subgid: read("subgid"),
        }
    }
}

impl Settings {
    /// From what the daemon is configured with, `default`, `USER[:GROUP]` or nothing, and a pool
    /// `FIRST:COUNT` or nothing; and from the machine's files.
    ///
    /// # Errors
    /// When there is no such user, or nothing is subordinate to it.
    pub fn read(remap: Option<&str>, pool: Option<&str>) -> Result<Self, InvalidIds> {
        Self::of(remap, pool, &Files::read(Path::new("/etc")))
    }

    fn of(remap: Option<&str>, pool: Option<&str>, files: &Files) -> Result<Self, InvalidIds> {
        let (uids, gids) = match pool {
            Some(text) => {
                let span = Span::parse(text).ok_or(InvalidIds::Pool)?;
                (vec![span], vec![span])
            }
            None => of_owners(files),
        };
        let remap = match remap.filter(|text| !text.is_empty()) {
            None => None,
            Some("default") => Some(of_default(files)),
            Some(text) => of_user(text, files)?,
        };
        Ok(Self { remap, uids, gids })
    }
}

/// What is subordinate to the first who has users and groups.
fn of_owners(files: &Files) -> (Vec<Span>, Vec<Span>) {
    let of = |name: &&str| {
        let uids = subordinate::ranges(&files.subuid, name, None);
        let gids = subordinate::ranges(&files.subgid, name, None);
        (!uids.is_empty() && !gids.is_empty()).then_some((uids, gids))
    };
    let found = OWNERS.iter().find_map(of);
    found.unwrap_or_else(|| (vec![USUAL_POOL], vec![USUAL_POOL]))
}

/// Docker makes a user for it. Here it is that user's if somebody has made it, or the beginning of the
/// usual pool.
fn of_default(files: &Files) -> IdMaps {
    let beginning = vec![Span {
        first: USUAL_POOL.first,
        count: types::USUAL_IDS,
    }];
    let of = |text: &str| match subordinate::ranges(text, DEFAULT_USER, None) {
        none if none.is_empty() => beginning.clone(),
        ranges => ranges,
    };
    IdMaps {
        uids: in_a_row(&of(&files.subuid)),
        gids: in_a_row(&of(&files.subgid)),
    }
}

/// None for root, whom Docker does not map either.
fn of_user(text: &str, files: &Files) -> Result<Option<IdMaps>, InvalidIds> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let missing = |kind, name: &str| InvalidIds::Unknown(kind, name.to_owned());
    let (name, uid) =
        subordinate::entry(&files.passwd, user).ok_or_else(|| missing("user", user))?;
    if !group.is_empty() && subordinate::entry(&files.group, group).is_none() {
        return Err(missing("group", group));
    }
    if uid == 0 {
        tracing::warn!("userns-remap: root cannot be mapped to itself: users are not mapped");
        return Ok(None);
    }
    let of = |text: &str, file| match subordinate::ranges(text, &name, Some(uid)) {
        none if none.is_empty() => Err(InvalidIds::NoRange(name.clone(), file)),
        ranges => Ok(in_a_row(&ranges)),
    };
    Ok(Some(IdMaps {
        uids: of(&files.subuid, "/etc/subuid")?,
        gids: of(&files.subgid, "/etc/subgid")?,
    }))
}

/// From 0 on inside.
fn in_a_row(spans: &[Span]) -> Vec<IdRange> {
    let mut inside: u32 = 0;
    let mut all = Vec::new();
    for span in spans {
        let count = span.count.min(u32::MAX - inside);
        if count > 0 {
            all.push(IdRange {
                inside,
                outside: span.first,
                count,
            });
        }
        inside += count;
    }
    all
}

/// Why a container cannot have the ids it asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoIds {
    /// All are taken.
    #[error(
        "no {count} ids in a row are free for the container's user namespace: remove containers, ask \
         for fewer (--userns auto:size=N), or give the daemon more (userns-pool, or /etc/subuid and \
         /etc/subgid)"
    )]
    Exhausted {
        /// How many it wants.
        count: u32,
    },
    /// Ids that are asked for by name belong to the pool.
    #[error("--userns auto: {0} asks for ids of the host from which containers take their own")]
    OfPool(IdRange),
}

impl NoIds {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Exhausted { .. } => ErrorKind::Conflict,
            Self::OfPool(_) => ErrorKind::Invalid,
        }
    }
}

/// What of the request and the daemon's configuration a container's ids come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// They are the host's.
    Host,
    /// The daemon's mapping, or another container's.
    Given(IdMaps),
    /// A range of its own.
    Own(types::AutoIds),
}

impl Settings {
    /// `other` is what the container has whose namespace it shares.
    pub(crate) fn source(&self, asked: &UserNamespace, other: Option<&IdMaps>) -> Source {
        let given = |maps: Option<&IdMaps>| maps.cloned().map(Source::Given);
        match asked {
            UserNamespace::Host => Source::Host,
            UserNamespace::Default => given(self.remap.as_ref()).unwrap_or(Source::Host),
            UserNamespace::Container(_) => given(other).unwrap_or(Source::Host),
            UserNamespace::Private => {
                given(self.remap.as_ref()).unwrap_or_else(|| Source::Own(Default::default()))
            }
            UserNamespace::Auto(ids) => Source::Own(ids.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        Files {
            passwd: "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/:/bin/sh\nbob:x:7:7::/:/\n"
                .to_owned(),
            group: "root:x:0:\nwheel:x:10:\n".to_owned(),
            subuid: "ada:100000:65536\n1000:300000:10\ncontainers:500000:100\n".to_owned(),
            subgid: "ada:200000:65536\ncontainers:600000:100\n".to_owned(),
        }
    }

    fn remap(text: &str) -> Result<Option<IdMaps>, String> {
        let settings = Settings::of(Some(text), None, &files());
        settings.map(|s| s.remap).map_err(|e| e.to_string())
    }

    #[test]
    fn the_daemons_mapping_is_a_users_subordinate_ids() {
        let maps = remap("ada").unwrap().unwrap();
        let texts: Vec<_> = maps.uids.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["0:100000:65536", "65536:300000:10"]);
        assert_eq!(maps.gids[0].to_string(), "0:200000:65536");
        for same in ["1000", "ada:wheel", "1000:10"] {
            assert_eq!(remap(same).unwrap().unwrap(), maps, "{same}");
        }
        assert_eq!(remap("").unwrap(), None);
        assert_eq!(remap("root").unwrap(), None);
        let default = remap("default").unwrap().unwrap();
        assert_eq!(default.uids[0].to_string(), "0:2147483648:65536");
    }

    #[test]
    fn users_without_ids_are_named() {
        assert!(remap("eve").unwrap_err().contains("no user \"eve\""));
        assert!(remap("ada:eve").unwrap_err().contains("no group \"eve\""));
        assert!(
            remap("bob")
                .unwrap_err()
                .contains("/etc/subuid has no line for \"bob\"")
        );
    }

    #[test]
    fn the_pool_is_what_is_said_or_somebodys_or_far_above() {
        let pool = |said: Option<&str>, files: &Files| Settings::of(None, said, files);
        let of_containers = pool(None, &files()).unwrap();
        assert_eq!(of_containers.uids[0].first, 500_000);
        assert_eq!(of_containers.gids[0].first, 600_000);
        let usual = pool(None, &Files::default()).unwrap();
        assert_eq!(usual, Settings::default());
        assert_eq!(pool(Some("7:9"), &files()).unwrap().uids[0].count, 9);
        for wrong in ["7", "7:0", "x:1", "4294967295:1", "1:4294967295"] {
            assert_eq!(
                pool(Some(wrong), &files()),
                Err(InvalidIds::Pool),
                "{wrong}"
            );
        }
    }
}
