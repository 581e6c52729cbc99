//! Whose ids a container's users have: its user namespace, and how ids inside and outside meet.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which user namespace a container is in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserNamespace {
    /// Nothing was said: as the daemon is configured.
    #[default]
    Default,
    /// One of its own.
    Private,
    /// The host's.
    Host,
    /// That of another container, by id, name or prefix.
    Container(String),
    /// One of its own, with ids that nobody else has.
    Auto(AutoIds),
}

/// What `auto` is to look like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoIds {
    /// How many ids; none is [`USUAL_IDS`].
    pub size: Option<u32>,
    /// Users that are to be these of the host.
    pub uids: Vec<IdRange>,
    /// Groups that are to be these of the host.
    pub gids: Vec<IdRange>,
}

/// Ids that a container of its own range has, if nothing else is said.
pub const USUAL_IDS: u32 = 65_536;

/// Lines that the kernel takes in one map, user_namespaces(7).
const MOST_RANGES: usize = 340;

/// Ids inside that are as many ids outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IdRange {
    /// The first inside.
    pub inside: u32,
    /// The first outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl IdRange {
    /// `INSIDE:OUTSIDE:COUNT`; the count may be left out and is one then.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?} {why}: CONTAINER:HOST:COUNT is expected");
        let numbers: Option<Vec<u32>> = text.split(':').map(|part| part.parse().ok()).collect();
        let numbers = numbers.ok_or_else(|| wrong("holds something that is no id"))?;
        let (inside, outside, count) = match numbers.as_slice() {
            [inside, outside] => (*inside, *outside, 1),
            [inside, outside, count] => (*inside, *outside, *count),
            _ => return Err(wrong("is no mapping")),
        };
        let ends = [inside, outside].map(|first| first.checked_add(count));
        match (count, ends) {
            (0, _) => Err(wrong("maps nothing")),
            (_, [Some(_), Some(_)]) => Ok(Self {
                inside,
                outside,
                count,
            }),
            _ => Err(wrong("goes beyond the last id, 4294967294")),
        }
    }
}

impl fmt::Display for IdRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.inside, self.outside, self.count)
    }
}

/// Whether so many ids from one on and so many from another on have any in common.
pub fn meet(one: (u32, u32), other: (u32, u32)) -> bool {
    let end = |(first, count): (u32, u32)| u64::from(first) + u64::from(count);
    u64::from(one.0) < end(other) && u64::from(other.0) < end(one)
}

impl UserNamespace {
    /// Reads what flags and the API say: `host`, `private`, `container:NAME` and
    /// `auto[:size=N,uidmapping=C:H:N,gidmapping=C:H:N]`.
    ///
    /// # Errors
    /// One sentence: what is wrong and what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" => Self::Default,
            "private" => Self::Private,
            "host" => Self::Host,
            "auto" => Self::Auto(AutoIds::default()),
            _ => match text.split_once(':') {
                Some(("container", who)) if !who.is_empty() => Self::Container(who.to_owned()),
                Some(("auto", options)) => Self::Auto(AutoIds::parse(options)?),
                _ => {
                    let accepted = "host, private, auto[:OPTIONS] or container:NAME is expected";
                    return Err(format!("{text:?} is none: {accepted}"));
                }
            },
        })
    }

    /// The container whose it is.
    pub fn container(&self) -> Option<&str> {
        match self {
            Self::Container(who) => Some(who),
            _ => None,
        }
    }
}

impl fmt::Display for UserNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => Ok(()),
            Self::Private => f.write_str("private"),
            Self::Host => f.write_str("host"),
            Self::Container(who) => write!(f, "container:{who}"),
            Self::Auto(ids) => ids.fmt(f),
        }
    }
}

impl AutoIds {
    fn parse(options: &str) -> Result<Self, String> {
        let mut ids = Self::default();
        for option in options.split(',') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let of = |why: String| format!("auto, {name}: {why}");
            match name {
                "size" => {
                    let size: Option<u32> = value.parse().ok().filter(|size| *size > 0);
                    let why = || of(format!("{value:?} is no number of ids, at least 1"));
                    ids.size = Some(size.ok_or_else(why)?);
                }
                "uidmapping" => ids.uids.push(IdRange::parse(value).map_err(of)?),
                "gidmapping" => ids.gids.push(IdRange::parse(value).map_err(of)?),
                _ => {
                    return Err(format!(
                        "auto has no option {option:?}: size=N, uidmapping=CONTAINER:HOST:COUNT and \
                         gidmapping=CONTAINER:HOST:COUNT are accepted"
                    ));
                }
            }
        }
        check_forced("uidmapping", &ids.uids)?;
        check_forced("gidmapping", &ids.gids)?;
        Ok(ids)
    }
}

/// What the kernel would refuse.
fn check_forced(name: &str, ranges: &[IdRange]) -> Result<(), String> {
    // Each may part the rest in two.
    if 2 * ranges.len() >= MOST_RANGES {
        let most = (MOST_RANGES - 1) / 2;
        return Err(format!("auto, {name}: there are more than {most}"));
    }
    for (at, one) in ranges.iter().enumerate() {
        let meets = |other: &&IdRange| {
            meet((one.inside, one.count), (other.inside, other.count))
                || meet((one.outside, one.count), (other.outside, other.count))
        };
        if let Some(other) = ranges[..at].iter().find(meets) {
            return Err(format!("auto, {name}: {other} and {one} overlap"));
        }
    }
    Ok(())
}

impl fmt::Display for AutoIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("auto")?;
        let size = self.size.map(|size| format!("size={size}"));
        let named = |name: &'static str, ranges: &[IdRange]| {
            let all = ranges.iter().map(move |range| format!("{name}={range}"));
            all.collect::<Vec<_>>()
        };
        let all = size.into_iter().chain(named("uidmapping", &self.uids));
        for (at, option) in all.chain(named("gidmapping", &self.gids)).enumerate() {
            let mark = if at == 0 { ':' } else { ',' };
            write!(f, "{mark}{option}")?;
        }
        Ok(())
    }
}

/// Users and groups of a container, and what they are outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// Users.
    pub uids: Vec<IdRange>,
    /// Groups.
    pub gids: Vec<IdRange>,
}

/// What ids are that are none inside: nobody's (/proc/sys/kernel/overflowuid).
const NOBODY: u32 = 65_534;

impl IdMaps {
    /// What a user and a group of the container are outside; none if one of them is not mapped.
    pub fn outside(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        Some((outside(&self.uids, uid)?, outside(&self.gids, gid)?))
    }

    /// What an owner and a group outside are in the container: nobody if they are not mapped.
    pub fn inside(&self, uid: u32, gid: u32) -> (u32, u32) {
        let of = |ranges: &[IdRange], id: u32| {
            let mut all = ranges.iter();
            all.find_map(|range| place(id, range.outside, range.count).map(|at| range.inside + at))
                .unwrap_or(NOBODY)
        };
        (of(&self.uids, uid), of(&self.gids, gid))
    }
}

fn outside(ranges: &[IdRange], id: u32) -> Option<u32> {
    let mut all = ranges.iter();
    all.find_map(|range| place(id, range.inside, range.count).map(|at| range.outside + at))
}

fn place(id: u32, first: u32, count: u32) -> Option<u32> {
    id.checked_sub(first).filter(|at| *at < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_shown() {
        for text in [
            "",
            "host",
            "private",
            "container:web",
            "auto",
            "auto:size=4096",
            "auto:size=10,uidmapping=1:1000:1,uidmapping=3:2000:2,gidmapping=0:5:1",
        ] {
            assert_eq!(UserNamespace::parse(text).unwrap().to_string(), text);
        }
        let short = UserNamespace::parse("auto:uidmapping=7:8").unwrap();
        assert_eq!(short.to_string(), "auto:uidmapping=7:8:1");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, why) in [
            ("hosts", "\"hosts\" is none: host, private"),
            ("container:", "\"container:\" is none"),
            ("auto:", "auto has no option \"\""),
            ("auto:sise=3", "auto has no option \"sise=3\""),
            ("auto:size=0", "auto, size: \"0\" is no number of ids"),
            ("auto:size=many", "\"many\" is no number"),
            ("auto:uidmapping=1", "\"1\" is no mapping"),
            ("auto:uidmapping=1:x:1", "holds something that is no id"),
            (
                "auto:gidmapping=1:1:0",
                "gidmapping: \"1:1:0\" maps nothing",
            ),
            ("auto:uidmapping=1:4294967295:2", "goes beyond the last id"),
            (
                "auto:uidmapping=0:1000:5,uidmapping=4:2000:1",
                "uidmapping: 0:1000:5 and 4:2000:1 overlap",
            ),
            ("auto:uidmapping=0:1000:5,uidmapping=9:1004:1", "overlap"),
        ] {
            let error = UserNamespace::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn ids_go_both_ways() {
        let range = |inside, outside, count| IdRange {
            inside,
            outside,
            count,
        };
        let maps = IdMaps {
            uids: vec![range(0, 100_000, 10), range(10, 1000, 1)],
            gids: vec![range(0, 200_000, 10)],
        };
        assert_eq!(maps.outside(0, 0), Some((100_000, 200_000)));
        assert_eq!(maps.outside(10, 9), Some((1000, 200_009)));
        assert_eq!(maps.outside(10, 10), None);
        assert_eq!(maps.inside(100_003, 200_004), (3, 4));
        assert_eq!(maps.inside(1000, 0), (10, NOBODY));
    }
}
