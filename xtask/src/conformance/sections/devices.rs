//! config-linux.md, Devices, Default Devices, Allowed Device list; runtime-linux.md, Dev symbolic links.

use std::borrow::Cow;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::super::find::{errno, failed_with, holds, same, succeeded};
use super::super::suite::{Row, Suite, Test, shell, skip, table};

pub(super) fn tests() -> Vec<Test> {
    let mut all = table(TESTS);
    all.extend(DEFAULT.iter().map(|row| Test {
        name: Cow::Owned(format!("devices/default-{}", row.0)),
        says: Cow::Owned(format!(
            "config-linux.md, Default Devices: the runtime MUST supply /dev/{}",
            row.0
        )),
        check: Box::new(move |suite| default(suite, row)),
    }));
    all.extend(LINKS.iter().map(|row| Test {
        name: Cow::Owned(format!("devices/link-{}", row.0)),
        says: Cow::Owned(format!(
            "runtime-linux.md, Dev symbolic links: the runtime MUST create /dev/{}",
            row.0
        )),
        check: Box::new(move |suite| link(suite, row)),
    }));
    all
}

/// A name and its numbers.
const DEFAULT: &[(&str, u64, u64)] = &[
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

const TESTS: &[Row] = &[
    (
        "devices/default-ptmx",
        "config-linux.md, Default Devices: /dev/ptmx is a bind mount of or a link to the container's /dev/pts/ptmx",
        ptmx,
    ),
    (
        "devices/default-without-dev-mount",
        "config-linux.md, Default Devices: the runtime MUST supply them, with or without a mount on /dev",
        without_dev_mount,
    ),
    (
        "devices/links-without-proc",
        "runtime-linux.md, Dev symbolic links: they are made if the source exists after the mounts",
        links_without_proc,
    ),
    (
        "devices/character",
        "config-linux.md, Devices: a device of type c MUST be available, with its mode and owner",
        character,
    ),
    (
        "devices/unbuffered",
        "config-linux.md, Devices: type u is one of the types, an unbuffered character device",
        unbuffered,
    ),
    (
        "devices/block",
        "config-linux.md, Devices: a device of type b MUST be available",
        block,
    ),
    (
        "devices/fifo",
        "config-linux.md, Devices: a device of type p MUST be available; it has no numbers",
        fifo,
    ),
    (
        "devices/elsewhere",
        "config-linux.md, Devices: path MAY be anywhere, notably outside of /dev",
        elsewhere,
    ),
    (
        "devices/exists-as-file",
        "config-linux.md, Devices: a file at path that does not match MUST be an error",
        exists_as_file,
    ),
    (
        "devices/exists-as-other",
        "config-linux.md, Devices: a file at path that does not match MUST be an error, another device too",
        exists_as_other,
    ),
    (
        "devices/mode-is-not-masked",
        "config-linux.md, Devices: fileMode is the device's mode, whatever the umask",
        mode_not_masked,
    ),
    (
        "allowed-devices/deny-all",
        "config-linux.md, Allowed Device list: allow false denies: unset type and numbers mean all",
        |suite| {
            access(
                suite,
                json!([{ "allow": false, "access": "rwm" }]),
                [false, false],
            )
        },
    ),
    (
        "allowed-devices/deny-all-by-type-a",
        "config-linux.md, Allowed Device list: type a is all",
        |suite| {
            access(
                suite,
                json!([{ "allow": false, "type": "a", "access": "rwm" }]),
                [false, false],
            )
        },
    ),
    (
        "allowed-devices/allow-one",
        "config-linux.md, Allowed Device list: allow true allows the device of these numbers",
        |suite| {
            access(
                suite,
                json!([deny(), allow(Some(7), Some(0), "rwm")]),
                [true, true],
            )
        },
    ),
    (
        "allowed-devices/allow-another",
        "config-linux.md, Allowed Device list: allow true allows the device of these numbers, and no other",
        |suite| {
            access(
                suite,
                json!([deny(), allow(Some(7), Some(1), "rwm")]),
                [false, false],
            )
        },
    ),
    (
        "allowed-devices/allow-read",
        "config-linux.md, Allowed Device list: access is a composition: r is read",
        |suite| {
            access(
                suite,
                json!([deny(), allow(Some(7), Some(0), "r")]),
                [true, false],
            )
        },
    ),
    (
        "allowed-devices/allow-write",
        "config-linux.md, Allowed Device list: access is a composition: w is write",
        |suite| {
            access(
                suite,
                json!([deny(), allow(Some(7), Some(0), "w")]),
                [false, true],
            )
        },
    ),
    (
        "allowed-devices/any-minor",
        "config-linux.md, Allowed Device list: an unset minor means all",
        |suite| {
            access(
                suite,
                json!([deny(), allow(Some(7), None, "rw")]),
                [true, true],
            )
        },
    ),
    (
        "allowed-devices/any-number",
        "config-linux.md, Allowed Device list: unset numbers mean all",
        |suite| {
            access(
                suite,
                json!([deny(), allow(None, None, "rw")]),
                [true, true],
            )
        },
    ),
    (
        "allowed-devices/minus-one",
        "config-linux.md, Allowed Device list: -1 is what stands for all in the schema's int64",
        |suite| {
            access(
                suite,
                json!([deny(), allow(Some(7), Some(-1), "rw")]),
                [true, true],
            )
        },
    ),
    (
        "allowed-devices/order",
        "config-linux.md, Allowed Device list: entries MUST be applied in the listed order: a later one wins",
        |suite| {
            access(
                suite,
                json!([allow(Some(7), Some(0), "rw"), deny()]),
                [false, false],
            )
        },
    ),
    (
        "allowed-devices/deny-after-allow",
        "config-linux.md, Allowed Device list: entries MUST be applied in the listed order: part may be denied again",
        deny_after_allow,
    ),
    (
        "allowed-devices/defaults-work",
        "config-linux.md, Default Devices: the runtime MUST supply them, whatever the list denies",
        defaults_work,
    ),
];

fn default(suite: &Suite, &(name, major, minor): &(&str, u64, u64)) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let path = format!("/dev/{name}");
    let done = bundle.ops(&[&["stat", &path], &["open", &path, "r"]])?;
    let found = &done[0]["ok"];
    same("kind", &found["kind"], &json!("character"))?;
    same(
        "numbers",
        [found["major"].as_u64(), found["minor"].as_u64()],
        [Some(major), Some(minor)],
    )?;
    same("mode", found["mode"].as_u64(), Some(0o666))?;
    // There is no controlling terminal to open.
    if name != "tty" {
        succeeded(&done[1])?;
    }
    Ok(())
}

fn link(suite: &Suite, &(name, target): &(&str, &str)) -> Result<()> {
    let path = format!("/dev/{name}");
    same(
        "target",
        suite.bundle()?.op(&["readlink", &path])?,
        json!(target),
    )
}

fn ptmx(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let done = bundle.ops(&[
        &["stat", "/dev/ptmx"],
        &["stat", "/dev/pts/ptmx"],
        &["open", "/dev/ptmx", "rw"],
    ])?;
    same("inode", &done[0]["ok"]["inode"], &done[1]["ok"]["inode"])?;
    same("device", &done[0]["ok"]["device"], &done[1]["ok"]["device"])?;
    succeeded(&done[2])
}

fn without_dev_mount(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let keep = |mount: &Value| {
        !mount["destination"]
            .as_str()
            .unwrap_or_default()
            .starts_with("/dev")
    };
    if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
        mounts.retain(keep);
    }
    let done = bundle.ops(&[&["open", "/dev/null", "rw"], &["open", "/dev/zero", "r"]])?;
    done.iter().try_for_each(succeeded)
}

fn links_without_proc(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    if let Some(mounts) = bundle.config["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["destination"] != "/proc");
    }
    // A link that leads nowhere is what some make; none is what the sentence says. Both leave the
    // container usable.
    let done = bundle.ops(&[&["stat", "/dev/fd"]])?;
    failed_with(&done[0], 2)
}

/// Adds a device and says what it is inside.
fn made(suite: &Suite, device: Value) -> Result<Value> {
    let mut bundle = suite.bundle()?;
    let path = device["path"].as_str().unwrap_or_default().to_owned();
    bundle.push("/linux/devices", device);
    bundle.op(&["lstat", &path])
}

fn numbers(found: &Value) -> [Option<u64>; 2] {
    ["major", "minor"].map(|name| found[name].as_u64())
}

fn character(suite: &Suite) -> Result<()> {
    let found = made(
        suite,
        json!({
            "type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 7, "gid": 8,
        }),
    )?;
    same("kind", &found["kind"], &json!("character"))?;
    same("numbers", numbers(&found), [Some(10), Some(229)])?;
    same("mode", found["mode"].as_u64(), Some(0o640))?;
    same(
        "owner",
        [found["uid"].as_u64(), found["gid"].as_u64()],
        [Some(7), Some(8)],
    )
}

fn unbuffered(suite: &Suite) -> Result<()> {
    let found = made(
        suite,
        json!({ "type": "u", "path": "/dev/mine", "major": 1, "minor": 3, "fileMode": 0o666 }),
    )?;
    same("kind", &found["kind"], &json!("character"))
}

fn block(suite: &Suite) -> Result<()> {
    let found = made(
        suite,
        json!({ "type": "b", "path": "/dev/loop77", "major": 7, "minor": 77, "fileMode": 0o600 }),
    )?;
    same("kind", &found["kind"], &json!("block"))?;
    same("numbers", numbers(&found), [Some(7), Some(77)])
}

fn fifo(suite: &Suite) -> Result<()> {
    let found = made(
        suite,
        json!({ "type": "p", "path": "/dev/pipe", "fileMode": 0o620 }),
    )?;
    same("kind", &found["kind"], &json!("fifo"))?;
    same("mode", found["mode"].as_u64(), Some(0o620))
}

fn elsewhere(suite: &Suite) -> Result<()> {
    let found = made(
        suite,
        json!({ "type": "c", "path": "/var/device", "major": 1, "minor": 3, "fileMode": 0o666 }),
    )?;
    same("numbers", numbers(&found), [Some(1), Some(3)])
}

fn mode_not_masked(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.push(
        "/linux/devices",
        json!({ "type": "c", "path": "/dev/mine", "major": 1, "minor": 3, "fileMode": 0o622 }),
    );
    bundle.args(&["/probe", "ops", r#"["lstat","/dev/mine"]"#]);
    let container = bundle.create_through(&["sh", "-c", "umask 077; exec \"$@\"", "sh"], &[])?;
    container.start()?;
    container.wait()?;
    same(
        "mode",
        container.first_report()?["ok"]["mode"].as_u64(),
        Some(0o622),
    )
}

fn exists_as_file(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("var/device", "a file")?;
    bundle.push(
        "/linux/devices",
        json!({ "type": "c", "path": "/var/device", "major": 1, "minor": 3 }),
    );
    bundle.refused().map(drop)
}

fn exists_as_other(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    shell("mknod \"$0\" c 1 5", &[&bundle.in_root("var/device")])?;
    bundle.push(
        "/linux/devices",
        json!({ "type": "c", "path": "/var/device", "major": 1, "minor": 3 }),
    );
    bundle.refused().map(drop)
}

/// The entry that denies everything.
fn deny() -> Value {
    json!({ "allow": false, "access": "rwm" })
}

fn allow(major: Option<i64>, minor: Option<i64>, access: &str) -> Value {
    let mut entry = json!({ "allow": true, "type": "b", "access": access });
    if let Some(major) = major {
        entry["major"] = json!(major);
    }
    if let Some(minor) = minor {
        entry["minor"] = json!(minor);
    }
    entry
}

/// Whether opening a block device for reading and for writing is let through. EPERM is the list's;
/// any other result is the driver's.
fn access(suite: &Suite, rules: Value, wanted: [bool; 2]) -> Result<()> {
    suite.machine.cgroups.directory("devices", "")?;
    let mut bundle = suite.bundle()?;
    let node = bundle.in_root("var/device");
    shell("mknod \"$0\" b 7 0", &[Path::new(&node)])?;
    bundle.set("/linux/resources/devices", rules);
    let done = bundle.ops(&[&["open", "/var/device", "r"], &["open", "/var/device", "w"]])?;
    let through = |at: usize| errno(&done[at]) != Some(1);
    same(
        "whether reading and writing are let through",
        [through(0), through(1)],
        wanted,
    )
}

fn deny_after_allow(suite: &Suite) -> Result<()> {
    let again = json!({ "allow": false, "type": "b", "major": 7, "minor": 0, "access": "w" });
    let done = access(
        suite,
        json!([deny(), allow(Some(7), None, "rw"), again]),
        [true, false],
    );
    match done {
        Err(error)
            if !suite.machine.cgroups.is_v2() && error.to_string().contains("create failed") =>
        {
            skip("cgroup v1 knows no exceptions from a rule, and the runtime says so")
        }
        done => done,
    }
}

fn defaults_work(suite: &Suite) -> Result<()> {
    suite.machine.cgroups.directory("devices", "")?;
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/resources/devices", json!([deny()]));
    let paths = [
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
        "/dev/ptmx",
    ];
    let ops: Vec<[&str; 3]> = paths.iter().map(|path| ["open", *path, "r"]).collect();
    let ops: Vec<&[&str]> = ops.iter().map(|op| &op[..]).collect();
    let done = bundle.ops(&ops)?;
    holds(
        "all can be opened",
        done.iter().all(|one| errno(one).is_none()),
        &done,
    )
}
