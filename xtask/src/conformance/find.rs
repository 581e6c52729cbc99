//! Finding things in what the probe reports, and saying what is not as it should be.

use std::fmt::Debug;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The two must be the same.
pub(crate) fn same<T: PartialEq<U> + Debug, U: Debug>(
    what: &str,
    seen: T,
    wanted: U,
) -> Result<()> {
    if seen == wanted {
        return Ok(());
    }
    bail!("{what}: {seen:?}, not {wanted:?}")
}

/// This must hold; `seen` is what is said if not.
pub(crate) fn holds(what: &str, is: bool, seen: impl Debug) -> Result<()> {
    if is {
        return Ok(());
    }
    bail!("not so: {what}; seen: {seen:?}")
}

/// A text in a report, without the ends of lines around it.
pub(crate) fn text<'a>(report: &'a Value, name: &str) -> Result<&'a str> {
    let text = report[name].as_str();
    Ok(text
        .with_context(|| format!("no {name} in the report"))?
        .trim())
}

/// A line of the report's `/proc/self/status`.
pub(crate) fn status<'a>(report: &'a Value, name: &str) -> Result<&'a str> {
    text(&report["status"], name)
}

/// A field of the report's `/proc/self/stat`, counted as proc_pid_stat(5) does.
pub(crate) fn stat(report: &Value, number: usize) -> Result<i64> {
    let all = text(report, "stat")?;
    let after = all.rsplit(") ").next().unwrap_or_default();
    // The first field after the name in brackets is the third.
    let field = after.split(' ').nth(number - 3);
    let field = field.and_then(|field| field.parse().ok());
    field.with_context(|| format!("no field {number} in {all:?}"))
}

/// The errno of a result of the probe's; none if it succeeded.
pub(crate) fn errno(result: &Value) -> Option<i64> {
    result["errno"].as_i64()
}

/// An operation of the probe's must have failed with this errno.
pub(crate) fn failed_with(result: &Value, wanted: i64) -> Result<()> {
    same(
        &format!("errno of {}", result["op"]),
        errno(result),
        Some(wanted),
    )
}

/// An operation of the probe's must have succeeded.
pub(crate) fn succeeded(result: &Value) -> Result<()> {
    match result.get("ok") {
        Some(_) => Ok(()),
        None => bail!("{}: {}", result["op"], result["why"]),
    }
}

/// A line of mountinfo: proc_pid_mountinfo(5).
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    /// Where.
    pub(crate) point: String,
    /// Options of the mount.
    pub(crate) options: Vec<String>,
    /// Its propagation: `shared:N`, `master:N`, `unbindable`.
    pub(crate) peers: Vec<String>,
    /// Kind of file system.
    pub(crate) kind: String,
    /// Options of the file system.
    pub(crate) data: Vec<String>,
}

impl Mount {
    /// Whether the mount has this option.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|has| has == option)
    }

    /// Whether the file system has it.
    pub(crate) fn data_has(&self, option: &str) -> bool {
        self.data.iter().any(|has| has == option)
    }

    /// Whether its propagation is of this kind.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.peers.iter().any(|peer| peer.starts_with(kind))
    }

    /// Whether it takes no part in propagation.
    pub(crate) fn is_private(&self) -> bool {
        !["shared", "master", "unbindable"]
            .iter()
            .any(|kind| self.is(kind))
    }

    fn parse(line: &str) -> Option<Self> {
        let (mount, source) = line.split_once(" - ")?;
        let mount: Vec<&str> = mount.split(' ').collect();
        let source: Vec<&str> = source.split(' ').collect();
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        Some(Self {
            point: (*mount.get(4)?).to_owned(),
            options: list(mount.get(5)?),
            peers: mount[6..].iter().map(|peer| (*peer).to_owned()).collect(),
            kind: (*source.first()?).to_owned(),
            data: list(source.get(2)?),
        })
    }
}

/// The mounts of a report, in their order.
pub(crate) fn mounts(report: &Value) -> Result<Vec<Mount>> {
    let all = text(report, "mountinfo")?;
    Ok(all.lines().filter_map(Mount::parse).collect())
}

/// The mount that covers all others at a path.
pub(crate) fn mount_at(report: &Value, point: &str) -> Result<Mount> {
    let all = mounts(report)?;
    let found = all.iter().rev().find(|mount| mount.point == point);
    found.cloned().with_context(|| {
        let points: Vec<&str> = all.iter().map(|mount| mount.point.as_str()).collect();
        format!("nothing is mounted on {point}, only on {points:?}")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mounts_are_read() {
        let report = json!({ "mountinfo": "1 2 0:3 / / rw shared:7 - ext4 /dev/x rw\n\
            3 1 0:4 /a /b ro,nosuid - tmpfs none rw,size=1k\n" });
        let root = mount_at(&report, "/").map(|m| (m.is("shared"), m.is_private(), m.kind));
        assert_eq!(root.ok(), Some((true, false, "ext4".to_owned())));
        let b = mount_at(&report, "/b").map(|m| (m.has("nosuid"), m.data_has("size=1k")));
        assert_eq!(b.ok(), Some((true, true)));
        assert!(mount_at(&report, "/c").is_err());
    }

    #[test]
    fn stat_is_counted_behind_the_name() {
        let report = json!({ "stat": "7 (a) b) S 1 2 3 4" });
        assert_eq!(stat(&report, 4).ok(), Some(1));
        assert_eq!(stat(&report, 5).ok(), Some(2));
    }
}
