//! Which ids a container gets of those that are free. Pure.

use types::{AutoIds, IdMaps, IdRange, USUAL_IDS, meet};

use super::{NoIds, Settings};

/// So many ids in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: u32,
    /// How many; at least one.
    pub count: u32,
}

impl Span {
    /// `FIRST:COUNT`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (first, count) = text.split_once(':')?;
        let span = Self {
            first: first.parse().ok()?,
            count: count.parse().ok().filter(|count| *count > 0)?,
        };
        // The last number is nobody's.
        span.first.checked_add(span.count).map(|_| span)
    }
}

/// The ids of a container that wants a range of its own, when `used` are taken.
pub(crate) fn plan(
    settings: &Settings,
    asked: &AutoIds,
    used: &[&IdMaps],
) -> Result<IdMaps, NoIds> {
    let remap = settings.remap.iter();
    let used: Vec<&IdMaps> = used.iter().copied().chain(remap).collect();
    let size = asked.size.unwrap_or(USUAL_IDS);
    let uids: Vec<IdRange> = used.iter().flat_map(|maps| maps.uids.clone()).collect();
    let gids: Vec<IdRange> = used.iter().flat_map(|maps| maps.gids.clone()).collect();
    Ok(IdMaps {
        uids: ranges(&settings.uids, size, &asked.uids, &uids)?,
        gids: ranges(&settings.gids, size, &asked.gids, &gids)?,
    })
}

/// What is asked for by name, and from the pool what that leaves of the first `size` ids.
fn ranges(
    pool: &[Span],
    size: u32,
    forced: &[IdRange],
    used: &[IdRange],
) -> Result<Vec<IdRange>, NoIds> {
    let of_pool = |one: &&IdRange| {
        pool.iter()
            .any(|span| meet((span.first, span.count), (one.outside, one.count)))
    };
    if let Some(one) = forced.iter().find(of_pool) {
        return Err(NoIds::OfPool(*one));
    }
    let gaps = gaps(size, forced);
    let count = gaps.iter().map(|(_, count)| count).sum();
    let mut outside = match count {
        0 => 0,
        _ => free(pool, count, used).ok_or(NoIds::Exhausted { count })?,
    };
    let mut all = forced.to_vec();
    for (inside, count) in gaps {
        all.push(IdRange {
            inside,
            outside,
            count,
        });
        outside += count;
    }
    all.sort_unstable();
    Ok(all)
}

/// The ids below `size` that none of these has, as first ones and counts.
fn gaps(size: u32, forced: &[IdRange]) -> Vec<(u32, u32)> {
    let mut forced = forced.to_vec();
    forced.sort_unstable();
    let mut gaps = Vec::new();
    let mut at = 0;
    for one in &forced {
        let end = one.inside.min(size);
        if end > at {
            gaps.push((at, end - at));
        }
        at = at.max(one.inside + one.count);
    }
    if size > at {
        gaps.push((at, size - at));
    }
    gaps
}

/// The lowest so many in a row that nobody has.
fn free(pool: &[Span], count: u32, used: &[IdRange]) -> Option<u32> {
    pool.iter().find_map(|span| {
        let last = span.first.checked_add(span.count.checked_sub(count)?)?;
        let mut at = span.first;
        loop {
            let meeting = used
                .iter()
                .filter(|taken| meet((at, count), (taken.outside, taken.count)));
            match meeting.map(|taken| taken.outside + taken.count).max() {
                None => return Some(at),
                Some(after) if after <= last => at = after,
                Some(_) => return None,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(first: u32, count: u32) -> Settings {
        let span = Span { first, count };
        Settings {
            remap: None,
            uids: vec![span],
            gids: vec![span],
        }
    }

    fn texts(ranges: &[IdRange]) -> Vec<String> {
        ranges.iter().map(ToString::to_string).collect()
    }

    fn auto(text: &str) -> AutoIds {
        match types::UserNamespace::parse(text).unwrap() {
            types::UserNamespace::Auto(ids) => ids,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn each_has_its_own_and_what_is_free_is_taken_again() {
        let settings = pool(1000, 250);
        let asked = auto("auto:size=100");
        let first = plan(&settings, &asked, &[]).unwrap();
        assert_eq!(texts(&first.uids), ["0:1000:100"]);
        let second = plan(&settings, &asked, &[&first]).unwrap();
        assert_eq!(texts(&second.gids), ["0:1100:100"]);
        let third = plan(&settings, &asked, &[&second, &first]);
        assert_eq!(third, Err(NoIds::Exhausted { count: 100 }));
        assert_eq!(plan(&settings, &asked, &[&second]).unwrap(), first);
        let small = plan(&settings, &auto("auto:size=50"), &[&first, &second]).unwrap();
        assert_eq!(texts(&small.uids), ["0:1200:50"]);
    }

    #[test]
    fn ids_asked_for_by_name_part_the_range() {
        let settings = pool(1000, 1000);
        let asked = auto("auto:size=10,uidmapping=3:500:2,uidmapping=20:600:1");
        let maps = plan(&settings, &asked, &[]).unwrap();
        let uids = ["0:1000:3", "3:500:2", "5:1003:5", "20:600:1"];
        assert_eq!(texts(&maps.uids), uids);
        assert_eq!(texts(&maps.gids), ["0:1000:10"]);
        let all = plan(&settings, &auto("auto:size=2,uidmapping=0:7:2"), &[]).unwrap();
        assert_eq!(texts(&all.uids), ["0:7:2"]);
        let error = plan(&settings, &auto("auto:uidmapping=0:1999:1"), &[]).unwrap_err();
        assert!(error.to_string().contains("0:1999:1"), "{error}");
    }

    #[test]
    fn the_daemons_mapping_is_nobodys_own() {
        let mut settings = pool(1000, 300);
        let taken = plan(&settings, &auto("auto:size=100"), &[]).unwrap();
        settings.remap = Some(taken);
        let own = plan(&settings, &auto("auto:size=100"), &[]).unwrap();
        assert_eq!(texts(&own.uids), ["0:1100:100"]);
    }
}
