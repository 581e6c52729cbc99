//! config.md, Mounts.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::super::bundle::Bundle;
use super::super::find::{failed_with, holds, mount_at, mounts, same, succeeded};
use super::super::suite::{Row, Suite, Test, shell, skip, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

const TESTS: &[Row] = &[
    (
        "mounts/order",
        "config.md, Mounts: the entries MUST be mounted in the listed order: a later one covers an earlier",
        order,
    ),
    (
        "mounts/order-nested",
        "config.md, Mounts: the entries MUST be mounted in the listed order: one may be in another",
        order_nested,
    ),
    (
        "mounts/order-hidden",
        "config.md, Mounts: the entries MUST be mounted in the listed order: an outer one after an inner hides it",
        order_hidden,
    ),
    (
        "mounts/bind-directory",
        "config.md, Mounts: source may be a directory of a bind mount",
        bind_directory,
    ),
    (
        "mounts/bind-file",
        "config.md, Mounts: source may be a file of a bind mount",
        bind_file,
    ),
    (
        "mounts/bind-relative-source",
        "config.md, Mounts: a bind mount's source may be relative to the bundle",
        bind_relative_source,
    ),
    (
        "mounts/bind-by-option-only",
        "config.md, Mounts: a mount is a bind mount if bind is among its options, whatever its type says",
        |suite| bind_of_type(suite, "none"),
    ),
    (
        "mounts/bind-type-listed",
        "config.md, Mounts: a mount is a bind mount if bind is among its options, whatever its type says",
        |suite| bind_of_type(suite, "tmpfs"),
    ),
    (
        "mounts/bind-not-recursive",
        "config.md, Linux mount options: bind is a bind mount, without what is mounted below",
        |suite| below(suite, "bind", false),
    ),
    (
        "mounts/rbind",
        "config.md, Linux mount options: rbind is a recursive bind mount, with what is mounted below",
        |suite| below(suite, "rbind", true),
    ),
    (
        "mounts/bind-writes-through",
        "config.md, Linux mount options: a bind mount shows the source itself",
        bind_writes_through,
    ),
    (
        "mounts/bind-readonly",
        "config.md, Linux mount options: ro holds for a bind mount, and not for its source",
        bind_readonly,
    ),
    (
        "mounts/destination-relative",
        "config.md, Mounts: a relative destination MUST be taken as relative to /",
        destination_relative,
    ),
    (
        "mounts/destination-link",
        "config.md, Mounts: destination is a path inside the container, and so is where a link there leads",
        destination_link,
    ),
    (
        "mounts/tmpfs-size",
        "config.md, Linux mount options: unknown options SHOULD be given to the file system",
        |suite| tmpfs_data(suite, "size=64k"),
    ),
    (
        "mounts/tmpfs-inodes",
        "config.md, Linux mount options: unknown options SHOULD be given to the file system",
        |suite| tmpfs_data(suite, "nr_inodes=77"),
    ),
    (
        "mounts/tmpfs-mode",
        "config.md, Linux mount options: unknown options SHOULD be given to the file system",
        tmpfs_mode,
    ),
    (
        "mounts/unknown-data",
        "config.md, Linux mount options: unknown options SHOULD be given to the file system, which refuses what it does not know",
        unknown_data,
    ),
    (
        "mounts/no-source",
        "config.md, Mounts: source is OPTIONAL",
        no_source,
    ),
    (
        "mounts/no-options",
        "config.md, Mounts: options is OPTIONAL",
        no_options,
    ),
    (
        "mounts/overlay",
        "config.md, POSIX-platform Mounts: type is any file system that the kernel lists",
        overlay,
    ),
    (
        "mounts/mqueue",
        "config.md, POSIX-platform Mounts: type is any file system that the kernel lists",
        mqueue,
    ),
    (
        "mounts/proc-options",
        "config.md, Linux mount options: unknown options SHOULD be given to the file system",
        proc_options,
    ),
    (
        "mounts/remount",
        "config.md, Linux mount options: remount MUST be implemented",
        remount,
    ),
    (
        "mounts/tmpcopyup",
        "config.md, Linux mount options: tmpcopyup copies the contents up to a tmpfs",
        tmpcopyup,
    ),
    (
        "mounts/idmap",
        "config.md, Linux mount options: with idmap the mount MUST have the mount's own mapping applied",
        idmap,
    ),
    (
        "mounts/idmap-without-option",
        "config.md, POSIX-platform Mounts: uidMappings and gidMappings convert the ids, with or without the option",
        idmap_without_option,
    ),
    (
        "mounts/ridmap",
        "config.md, Linux mount options: with ridmap the mapping is applied recursively",
        ridmap,
    ),
    (
        "mounts/idmap-without-mappings",
        "config.md, Linux mount options: idmap without mappings and without a user namespace MUST be an error",
        idmap_without_mappings,
    ),
    (
        "mounts/idmap-half",
        "config.md, POSIX-platform Mounts: uidMappings MUST come with gidMappings",
        idmap_half,
    ),
];

/// A directory of the bundle with a file in it that holds the directory's name.
fn volume(bundle: &Bundle<'_>, name: &str) -> Result<String> {
    let path = bundle.path().join(name);
    fs::create_dir(&path)?;
    std::io::Write::write_all(&mut fs::File::create(path.join("name"))?, name.as_bytes())?;
    Ok(path.display().to_string())
}

fn order(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    for name in ["first", "second"] {
        let source = volume(&bundle, name)?;
        bundle.mount("none", &source, "/mnt", &["bind"]);
    }
    same("name", bundle.op(&["read", "/mnt/name"])?, json!("second"))
}

fn order_nested(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let outer = volume(&bundle, "outer")?;
    fs::create_dir(bundle.path().join("outer/inner"))?;
    let inner = volume(&bundle, "inner")?;
    bundle.mount("none", &outer, "/mnt", &["bind"]);
    bundle.mount("none", &inner, "/mnt/inner", &["bind"]);
    same(
        "name",
        bundle.op(&["read", "/mnt/inner/name"])?,
        json!("inner"),
    )
}

fn order_hidden(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    fs::create_dir(bundle.in_root("mnt/inner"))?;
    let inner = volume(&bundle, "inner")?;
    bundle.mount("none", &inner, "/mnt/inner", &["bind"]);
    bundle.mount("tmpfs", "tmpfs", "/mnt", &[]);
    let done = bundle.ops(&[&["stat", "/mnt/inner"]])?;
    failed_with(&done[0], 2)
}

fn bind_directory(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let source = volume(&bundle, "volume")?;
    bundle.mount("bind", &source, "/mnt", &["bind"]);
    same("name", bundle.op(&["read", "/mnt/name"])?, json!("volume"))
}

fn bind_file(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let source = volume(&bundle, "volume")? + "/name";
    bundle.file("etc/name", "covered")?;
    bundle.mount("bind", &source, "/etc/name", &["bind"]);
    same("name", bundle.op(&["read", "/etc/name"])?, json!("volume"))
}

fn bind_relative_source(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    volume(&bundle, "volume")?;
    bundle.mount("bind", "volume", "/mnt", &["bind"]);
    same("name", bundle.op(&["read", "/mnt/name"])?, json!("volume"))
}

fn bind_of_type(suite: &Suite, kind: &str) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let source = volume(&bundle, "volume")?;
    bundle.mount(kind, &source, "/mnt", &["bind", "ro"]);
    same("name", bundle.op(&["read", "/mnt/name"])?, json!("volume"))
}

fn below(suite: &Suite, option: &str, seen: bool) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let source = volume(&bundle, "volume")?;
    fs::create_dir(bundle.path().join("volume/inner"))?;
    let inner = bundle.path().join("volume/inner");
    shell("mount -t tmpfs inner \"$0\"; : > \"$0/below\"", &[&inner])?;
    bundle.mount("bind", &source, "/mnt", &[option]);
    let done = bundle.ops(&[&["stat", "/mnt/inner/below"]]);
    shell("umount \"$0\"", &[&inner])?;
    same(
        "whether the mount below is seen",
        done?[0].get("ok").is_some(),
        seen,
    )
}

fn bind_writes_through(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let source = volume(&bundle, "volume")?;
    bundle.mount("bind", &source, "/mnt", &["bind", "rw"]);
    bundle.op(&["create", "/mnt/new"])?;
    holds(
        "the file is in the source",
        Path::new(&source).join("new").exists(),
        source,
    )
}

fn bind_readonly(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let source = volume(&bundle, "volume")?;
    bundle.mount("bind", &source, "/mnt", &["bind", "ro"]);
    let done = bundle.ops(&[&["create", "/mnt/new"]])?;
    failed_with(&done[0], 30)?;
    fs::File::create(Path::new(&source).join("new")).map(drop)?;
    Ok(())
}

fn destination_relative(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/process/cwd", json!("/tmp"));
    bundle.mount("tmpfs", "tmpfs", "mnt", &[]);
    mount_at(&bundle.report()?, "/mnt").map(drop)
}

fn destination_link(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    fs::create_dir(bundle.in_root("real"))?;
    symlink("/real", bundle.in_root("link"))?;
    bundle.mount("tmpfs", "tmpfs", "/link", &[]);
    mount_at(&bundle.report()?, "/real").map(drop)
}

fn tmpfs_data(suite: &Suite, option: &str) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.mount("tmpfs", "tmpfs", "/mnt", &["nosuid", option]);
    let mount = mount_at(&bundle.report()?, "/mnt")?;
    holds(
        option,
        mount.kind == "tmpfs" && mount.data_has(option),
        mount,
    )
}

fn tmpfs_mode(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.mount("tmpfs", "tmpfs", "/mnt", &["mode=1750"]);
    same(
        "mode",
        bundle.op(&["stat", "/mnt"])?["mode"].as_u64(),
        Some(0o1750),
    )
}

fn unknown_data(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.mount("tmpfs", "tmpfs", "/mnt", &["taste=sweet"]);
    bundle.refused().map(drop)
}

fn no_source(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.push("/mounts", json!({ "destination": "/mnt", "type": "tmpfs" }));
    mount_at(&bundle.report()?, "/mnt").map(drop)
}

fn no_options(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.push(
        "/mounts",
        json!({ "destination": "/mnt", "type": "tmpfs", "source": "x" }),
    );
    bundle.op(&["create", "/mnt/new"]).map(drop)
}

fn overlay(suite: &Suite) -> Result<()> {
    let lists = fs::read_to_string("/proc/filesystems")?;
    if !lists.contains("overlay") {
        return skip("this kernel has no overlay");
    }
    let mut bundle = suite.bundle()?;
    let lower = volume(&bundle, "lower")?;
    let upper = volume(&bundle, "upper")?;
    let work = volume(&bundle, "work")?;
    fs::remove_file(Path::new(&upper).join("name"))?;
    fs::remove_file(Path::new(&work).join("name"))?;
    let options = [
        format!("lowerdir={lower}"),
        format!("upperdir={upper}"),
        format!("workdir={work}"),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    bundle.mount("overlay", "overlay", "/mnt", &options);
    let done = bundle.ops(&[&["read", "/mnt/name"], &["create", "/mnt/new"]])?;
    same("name", &done[0]["ok"], &json!("lower"))?;
    succeeded(&done[1])?;
    holds(
        "what is new is in the upper layer",
        Path::new(&upper).join("new").exists(),
        upper,
    )
}

fn mqueue(suite: &Suite) -> Result<()> {
    let mount = mount_at(&suite.bundle()?.report()?, "/dev/mqueue")?;
    same("type", mount.kind.as_str(), "mqueue")
}

fn proc_options(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.push("/mounts/0/options", json!("hidepid=2"));
    let mount = mount_at(&bundle.report()?, "/proc")?;
    let hidden = mount.data_has("hidepid=invisible") || mount.data_has("hidepid=2");
    holds("proc has the option", hidden, mount)
}

fn remount(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.mount("tmpfs", "tmpfs", "/mnt", &["nosuid"]);
    bundle.mount("tmpfs", "tmpfs", "/mnt", &["remount", "ro", "nosuid"]);
    let report = bundle.report()?;
    let here = mounts(&report)?
        .into_iter()
        .filter(|mount| mount.point == "/mnt");
    let here: Vec<_> = here.collect();
    let readonly = here
        .iter()
        .all(|mount| mount.has("ro") || mount.data_has("ro"));
    holds(
        "there is one mount, read-only",
        here.len() == 1 && readonly,
        here,
    )
}

fn tmpcopyup(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("etc/below/name", "copied")?;
    bundle.mount("tmpfs", "tmpfs", "/etc", &["tmpcopyup"]);
    let done = bundle.ops(&[&["read", "/etc/below/name"], &["report"]])?;
    same("the file", &done[0]["ok"], &json!("copied"))?;
    same(
        "type",
        mount_at(&done[1]["ok"], "/etc")?.kind.as_str(),
        "tmpfs",
    )
}

/// A directory that root owns, bound with ids moved by 5000.
fn mapped(bundle: &mut Bundle<'_>, options: &[&str]) -> Result<()> {
    let source = volume(bundle, "volume")?;
    chown(Path::new(&source).join("name"), Some(7), Some(8))?;
    let ids = json!([{ "containerID": 0, "hostID": 5000, "size": 1000 }]);
    let mount = json!({
        "destination": "/mnt", "source": source, "options": options,
        "uidMappings": ids, "gidMappings": ids,
    });
    bundle.push("/mounts", mount);
    Ok(())
}

/// Whom the mapped file belongs to, inside.
fn owner(found: &Value) -> [Option<u64>; 2] {
    ["uid", "gid"].map(|name| found[name].as_u64())
}

fn idmap(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    mapped(&mut bundle, &["bind", "idmap"])?;
    let found = bundle.op(&["stat", "/mnt/name"])?;
    same("owner", owner(&found), [Some(5007), Some(5008)])
}

fn idmap_without_option(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    mapped(&mut bundle, &["bind"])?;
    let found = bundle.op(&["stat", "/mnt/name"])?;
    same("owner", owner(&found), [Some(5007), Some(5008)])
}

fn ridmap(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    mapped(&mut bundle, &["rbind", "ridmap"])?;
    // Of the same file system: not every one can be mapped by every kernel.
    let other = volume(&bundle, "other")?;
    let inner = bundle.path().join("volume/inner");
    fs::create_dir(&inner)?;
    shell("mount --bind \"$1\" \"$0\"", &[&inner, Path::new(&other)])?;
    let done = bundle.ops(&[&["stat", "/mnt/name"], &["stat", "/mnt/inner/name"]]);
    shell("umount \"$0\"", &[&inner])?;
    let done = done?;
    same("owner", owner(&done[0]["ok"]), [Some(5007), Some(5008)])?;
    same(
        "owner below",
        owner(&done[1]["ok"]),
        [Some(5000), Some(5000)],
    )
}

fn idmap_without_mappings(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let source = volume(&bundle, "volume")?;
    bundle.mount("none", &source, "/mnt", &["bind", "idmap"]);
    bundle.refused().map(drop)
}

fn idmap_half(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let source = volume(&bundle, "volume")?;
    let ids = json!([{ "containerID": 0, "hostID": 5000, "size": 1000 }]);
    let mount = json!({
        "destination": "/mnt", "source": source, "options": ["bind", "idmap"], "uidMappings": ids,
    });
    bundle.push("/mounts", mount);
    bundle.refused().map(drop)
}
