//! config.md, Linux mount options: the table, option by option.

use std::borrow::Cow;
use std::fs;

use anyhow::Result;

use super::super::find::{Mount, holds, mount_at};
use super::super::suite::{Suite, Test, shell};

pub(super) fn tests() -> Vec<Test> {
    let plain = PLAIN.iter().map(|row| test(row, plain));
    let recursive = RECURSIVE.iter().map(|row| test(row, recursive));
    let propagation = PROPAGATION.iter().map(|row| test(row, propagation));
    plain.chain(recursive).chain(propagation).collect()
}

/// An option, whether it MUST or SHOULD be implemented, the options of the mount before it, and what
/// the kernel then says: `+x` for an option that is there, `-x` for one that is not.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const MUST: &str = "MUST";
const SHOULD: &str = "SHOULD";

/// On a tmpfs of the container's.
const PLAIN: &[Row] = &[
    ("async", MUST, "sync", &["-sync"]),
    ("atime", MUST, "noatime", &["-noatime"]),
    (
        "defaults",
        MUST,
        "",
        &["-ro", "-nosuid", "-nodev", "-noexec"],
    ),
    ("dev", MUST, "nodev", &["-nodev"]),
    ("diratime", MUST, "nodiratime", &["-nodiratime"]),
    ("dirsync", MUST, "", &["+dirsync"]),
    ("exec", MUST, "noexec", &["-noexec"]),
    ("iversion", MUST, "", &[]),
    ("lazytime", MUST, "", &["+lazytime"]),
    ("loud", MUST, "silent", &[]),
    ("noatime", MUST, "", &["+noatime"]),
    ("nodev", MUST, "", &["+nodev"]),
    ("nodiratime", MUST, "", &["+nodiratime"]),
    ("noexec", MUST, "", &["+noexec"]),
    ("noiversion", MUST, "", &[]),
    ("nolazytime", MUST, "lazytime", &["-lazytime"]),
    ("norelatime", MUST, "", &[]),
    ("nostrictatime", MUST, "strictatime", &["+relatime"]),
    ("nosuid", MUST, "", &["+nosuid"]),
    ("nosymfollow", SHOULD, "", &["+nosymfollow"]),
    ("relatime", MUST, "", &["+relatime"]),
    ("ro", MUST, "", &["+ro"]),
    ("rw", MUST, "ro", &["-ro"]),
    ("silent", MUST, "", &[]),
    ("strictatime", MUST, "", &["-relatime", "-noatime"]),
    ("suid", MUST, "nosuid", &["-nosuid"]),
    ("symfollow", SHOULD, "nosymfollow", &["-nosymfollow"]),
    ("sync", MUST, "", &["+sync"]),
];

/// On a recursive bind mount of a tmpfs in a tmpfs, both with the options named before.
const RECURSIVE: &[Row] = &[
    ("ratime", SHOULD, "noatime", &["-noatime"]),
    ("rdev", SHOULD, "nodev", &["-nodev"]),
    ("rdiratime", SHOULD, "nodiratime", &["-nodiratime"]),
    ("rexec", SHOULD, "noexec", &["-noexec"]),
    ("rnoatime", SHOULD, "rw", &["+noatime"]),
    ("rnodev", SHOULD, "dev", &["+nodev"]),
    ("rnodiratime", SHOULD, "rw", &["+nodiratime"]),
    ("rnoexec", SHOULD, "exec", &["+noexec"]),
    ("rnorelatime", SHOULD, "rw", &[]),
    ("rnostrictatime", SHOULD, "rw", &[]),
    ("rnosuid", SHOULD, "suid", &["+nosuid"]),
    ("rnosymfollow", SHOULD, "rw", &["+nosymfollow"]),
    ("rrelatime", SHOULD, "noatime", &["+relatime"]),
    ("rro", SHOULD, "rw", &["+ro"]),
    ("rrw", SHOULD, "ro", &["-ro"]),
    (
        "rstrictatime",
        SHOULD,
        "noatime",
        &["-noatime", "-relatime"],
    ),
    ("rsuid", SHOULD, "nosuid", &["-nosuid"]),
    ("rsymfollow", SHOULD, "nosymfollow", &["-nosymfollow"]),
];

/// On a recursive bind mount of shared mounts: `+x` is a kind of propagation, of the mount below too
/// where the option is recursive.
const PROPAGATION: &[Row] = &[
    ("private", MUST, "", &["-shared", "-master", "-unbindable"]),
    (
        "rprivate",
        MUST,
        "r",
        &["-shared", "-master", "-unbindable"],
    ),
    ("rshared", MUST, "r", &["+shared"]),
    ("rslave", MUST, "r", &["+master"]),
    ("runbindable", MUST, "r", &["+unbindable"]),
    ("shared", MUST, "", &["+shared"]),
    ("slave", MUST, "", &["+master"]),
    ("unbindable", MUST, "", &["+unbindable"]),
];

fn test(row: &'static Row, check: fn(&Suite, &Row) -> Result<()>) -> Test {
    let (option, requirement, ..) = row;
    Test {
        name: Cow::Owned(format!("mount-options/{option}")),
        says: Cow::Owned(format!(
            "config.md, Linux mount options: runtimes {requirement} implement {option}"
        )),
        check: Box::new(move |suite| check(suite, row)),
    }
}

fn compare(mount: &Mount, wanted: &[&str]) -> Result<()> {
    for sign in wanted {
        let (there, option) = (sign.starts_with('+'), &sign[1..]);
        let has = mount.has(option) || mount.data_has(option);
        holds(&format!("{sign} on {}", mount.point), has == there, mount)?;
    }
    Ok(())
}

fn plain(suite: &Suite, row: &Row) -> Result<()> {
    let (option, _, before, wanted) = *row;
    let mut bundle = suite.bundle()?;
    let options: Vec<&str> = [before, option]
        .into_iter()
        .filter(|option| !option.is_empty())
        .collect();
    bundle.mount("tmpfs", "tmpfs", "/mnt", &options);
    compare(&mount_at(&bundle.report()?, "/mnt")?, wanted)
}

/// Gives `work` a bundle with two mounts of the host's, one in the other, bound to /mnt.
fn with_two(
    suite: &Suite,
    flags: &str,
    options: &[&str],
    work: impl Fn([&Mount; 2]) -> Result<()>,
) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let volume = bundle.path().join("volume");
    fs::create_dir(&volume)?;
    let make = "mount -t tmpfs volume \"$0\"; mkdir \"$0/inner\"; mount -t tmpfs inner \"$0/inner\"
        for mount in \"$0\" \"$0/inner\"; do mount -o remount,bind,\"$1\" \"$mount\"; done";
    shell(make, &[&volume, flags.as_ref()])?;
    bundle.mount("none", &volume.display().to_string(), "/mnt", options);
    let report = bundle.report();
    shell("umount \"$0/inner\" \"$0\"", &[&volume])?;
    let report = report?;
    work([
        &mount_at(&report, "/mnt")?,
        &mount_at(&report, "/mnt/inner")?,
    ])
}

fn recursive(suite: &Suite, row: &Row) -> Result<()> {
    let (option, _, before, wanted) = *row;
    with_two(suite, before, &["rbind", option], |mounts| {
        mounts
            .into_iter()
            .try_for_each(|mount| compare(mount, wanted))
    })
}

fn propagation(suite: &Suite, row: &Row) -> Result<()> {
    let (option, _, recursive, wanted) = *row;
    with_two(suite, "rw", &["rbind", option], |mounts| {
        let count = if recursive.is_empty() { 1 } else { 2 };
        for (mount, sign) in mounts[..count]
            .iter()
            .flat_map(|mount| wanted.iter().map(move |sign| (mount, sign)))
        {
            let there = sign.starts_with('+');
            holds(
                &format!("{sign} on {}", mount.point),
                mount.is(&sign[1..]) == there,
                mount,
            )?;
        }
        Ok(())
    })
}
