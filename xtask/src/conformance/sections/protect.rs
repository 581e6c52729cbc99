//! config-linux.md, Rootfs Mount Propagation, Masked Paths, Readonly Paths, Mount Label.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::super::find::{errno, failed_with, holds, mount_at, same, succeeded};
use super::super::suite::{Row, Suite, Test, shell, skip, table};

pub(super) fn tests() -> Vec<Test> {
    let mut all = table(TESTS);
    all.extend(PROPAGATION.iter().map(|row| Test {
        name: Cow::Owned(format!("propagation/{}", row.0)),
        says: Cow::Owned(format!(
            "config-linux.md, Rootfs Mount Propagation: {}: {}",
            row.0, row.1
        )),
        check: Box::new(move |suite| propagation(suite, row.0)),
    }));
    all
}

const PROPAGATION: &[(&str, &str)] = &[
    ("shared", "the root belongs to a new peer group"),
    ("slave", "the root receives events from the host"),
    ("private", "the root receives no events"),
    ("unbindable", "the root is private and cannot be bound"),
];

/// EROFS.
const READ_ONLY: i64 = 30;

const TESTS: &[Row] = &[
    (
        "propagation/slave-receives",
        "config-linux.md, Rootfs Mount Propagation: with slave what the host mounts appears in the container",
        |suite| receives(suite, "slave", true),
    ),
    (
        "propagation/private-receives-nothing",
        "config-linux.md, Rootfs Mount Propagation: with private it does not",
        |suite| receives(suite, "private", false),
    ),
    (
        "propagation/unbindable-refuses",
        "config-linux.md, Rootfs Mount Propagation: with unbindable the root cannot be bind mounted",
        unbindable_refuses,
    ),
    (
        "masked/file",
        "config-linux.md, Masked Paths: a file there cannot be read",
        masked_file,
    ),
    (
        "masked/directory",
        "config-linux.md, Masked Paths: a directory there cannot be read",
        masked_directory,
    ),
    (
        "masked/proc",
        "config-linux.md, Masked Paths: they are masked after the mounts, in /proc too",
        masked_proc,
    ),
    (
        "masked/absent",
        "config-linux.md, Masked Paths: what is not there needs no mask",
        |suite| absent(suite, "/linux/maskedPaths"),
    ),
    (
        "masked/with-slash",
        "config-linux.md, Masked Paths: a directory is masked however its path ends",
        masked_with_slash,
    ),
    (
        "masked/exec",
        "config-linux.md, Masked Paths: a process that is exec'd cannot read it either",
        masked_exec,
    ),
    (
        "readonly/directory",
        "config-linux.md, Readonly Paths: the path is read-only inside",
        readonly_directory,
    ),
    (
        "readonly/file",
        "config-linux.md, Readonly Paths: the path is read-only inside, a file too",
        readonly_file,
    ),
    (
        "readonly/proc",
        "config-linux.md, Readonly Paths: they are set after the mounts, in /proc too",
        readonly_proc,
    ),
    (
        "readonly/others",
        "config-linux.md, Readonly Paths: other paths are not",
        readonly_others,
    ),
    (
        "readonly/absent",
        "config-linux.md, Readonly Paths: what is not there needs nothing",
        |suite| absent(suite, "/linux/readonlyPaths"),
    ),
    (
        "mount-label/selinux",
        "config-linux.md, Mount Label: the mounts have the SELinux context",
        mount_label,
    ),
    (
        "mount-label/without-selinux",
        "config-linux.md, Mount Label: it is the context of the mounts; what cannot be set MUST be an error",
        mount_label_alone,
    ),
];

fn propagation(suite: &Suite, kind: &str) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/rootfsPropagation", json!(kind));
    let root = mount_at(&bundle.report()?, "/")?;
    let is = match kind {
        "shared" => root.is("shared"),
        "slave" => root.is("master") && !root.is("shared"),
        "private" => root.is_private(),
        _ => root.is("unbindable"),
    };
    holds(&format!("the root is {kind}"), is, root)
}

fn receives(suite: &Suite, kind: &str, wanted: bool) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/rootfsPropagation", json!(kind));
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    container.first_report()?;
    let point = bundle.in_root("mnt");
    shell("mount -t tmpfs late \"$0\"; : > \"$0/late\"", &[&point])?;
    let said = bundle.call(&[
        "exec",
        &bundle.id,
        "/probe",
        "ops",
        r#"["stat","/mnt/late"]"#,
    ]);
    shell("umount \"$0\"", &[&point])?;
    let said = said?;
    holds("exec works", said.ok(), &said)?;
    let done: serde_json::Value = serde_json::from_str(&said.out)?;
    same(
        "whether the mount is seen",
        done.get("ok").is_some(),
        wanted,
    )
}

fn unbindable_refuses(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/rootfsPropagation", json!("unbindable"));
    for set in ["bounding", "effective", "permitted"] {
        bundle.set(
            &format!("/process/capabilities/{set}"),
            json!(["CAP_SYS_ADMIN"]),
        );
    }
    bundle.args(&[
        "/bin/sh",
        "-c",
        "mount -o bind / /mnt && echo bound || echo refused",
    ]);
    let out = bundle.run()?;
    same("binding the root", out.trim(), "refused")
}

fn masked_file(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("etc/secret", "secret")?;
    bundle.set("/linux/maskedPaths", json!(["/etc/secret"]));
    let done = bundle.ops(&[&["read", "/etc/secret"]])?;
    holds(
        "nothing is read",
        done[0]["ok"].as_str().is_none_or(str::is_empty),
        &done[0],
    )
}

fn masked_directory(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("etc/below/secret", "secret")?;
    bundle.set("/linux/maskedPaths", json!(["/etc/below"]));
    let done = bundle.ops(&[
        &["read", "/etc/below/secret"],
        &["list", "/etc/below"],
        &["create", "/etc/below/new"],
    ])?;
    holds("nothing is read", errno(&done[0]).is_some(), &done[0])?;
    let empty = done[1]["ok"].as_array().is_none_or(Vec::is_empty);
    holds("nothing is listed", empty, &done[1])?;
    holds("nothing is made", errno(&done[2]).is_some(), &done[2])
}

fn masked_with_slash(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("etc/below/secret", "secret")?;
    bundle.set("/linux/maskedPaths", json!(["/etc/below/"]));
    let done = bundle.ops(&[&["read", "/etc/below/secret"]])?;
    holds("nothing is read", errno(&done[0]).is_some(), &done[0])
}

fn masked_proc(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/linux/maskedPaths",
        json!(["/proc/version", "/proc/sys/vm"]),
    );
    let done = bundle.ops(&[&["read", "/proc/version"], &["list", "/proc/sys/vm"]])?;
    holds(
        "nothing is read",
        done[0]["ok"].as_str().is_none_or(str::is_empty),
        &done[0],
    )?;
    holds(
        "nothing is listed",
        done[1]["ok"].as_array().is_none_or(Vec::is_empty),
        &done[1],
    )
}

fn masked_exec(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("etc/secret", "secret")?;
    bundle.set("/linux/maskedPaths", json!(["/etc/secret"]));
    bundle.args(&["/probe", "wait"]);
    let container = bundle.start()?;
    container.first_report()?;
    let said = bundle.call(&[
        "exec",
        &bundle.id,
        "/probe",
        "ops",
        r#"["read","/etc/secret"]"#,
    ])?;
    holds(
        "exec works and reads nothing",
        said.ok() && !said.out.contains("ok\":\"secret"),
        said,
    )
}

fn absent(suite: &Suite, pointer: &str) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set(pointer, json!(["/absent/file", "/proc/absent"]));
    bundle.report().map(drop)
}

fn readonly_directory(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("etc/below/file", "x")?;
    bundle.set("/linux/readonlyPaths", json!(["/etc/below"]));
    let done = bundle.ops(&[
        &["create", "/etc/below/new"],
        &["write", "/etc/below/file", "y"],
        &["read", "/etc/below/file"],
    ])?;
    failed_with(&done[0], READ_ONLY)?;
    failed_with(&done[1], READ_ONLY)?;
    same("the file", &done[2]["ok"], &json!("x"))
}

fn readonly_file(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("etc/file", "x")?;
    bundle.set("/linux/readonlyPaths", json!(["/etc/file"]));
    let done = bundle.ops(&[&["write", "/etc/file", "y"], &["read", "/etc/file"]])?;
    failed_with(&done[0], READ_ONLY)?;
    same("the file", &done[1]["ok"], &json!("x"))
}

fn readonly_proc(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/linux/readonlyPaths", json!(["/proc/sys"]));
    let done = bundle.ops(&[&["write", "/proc/sys/net/ipv4/ip_forward", "0"]])?;
    failed_with(&done[0], READ_ONLY)
}

fn readonly_others(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("etc/below/file", "x")?;
    bundle.set("/linux/readonlyPaths", json!(["/etc/below"]));
    let done = bundle.ops(&[&["create", "/etc/new"], &["create", "/tmp/new"]])?;
    done.iter().try_for_each(succeeded)
}

fn mount_label_alone(suite: &Suite) -> Result<()> {
    if Path::new("/sys/fs/selinux/enforce").exists() {
        return skip("SELinux is on here");
    }
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/linux/mountLabel",
        json!("system_u:object_r:container_file_t:s0"),
    );
    bundle.mount("tmpfs", "tmpfs", "/mnt", &[]);
    bundle.refused().map(drop)
}

fn mount_label(suite: &Suite) -> Result<()> {
    let enabled = Path::new("/sys/fs/selinux/enforce");
    if !enabled.exists() {
        return skip("this kernel runs without SELinux");
    }
    let label = fs::read_to_string("/proc/self/attr/current")?;
    let mut bundle = suite.bundle()?;
    bundle.set(
        "/linux/mountLabel",
        json!("system_u:object_r:container_file_t:s0"),
    );
    bundle.mount("tmpfs", "tmpfs", "/mnt", &[]);
    let mount = mount_at(&bundle.report()?, "/mnt")?;
    let has = mount
        .data
        .iter()
        .any(|option| option.starts_with("context="));
    holds("the mount has a context", has, (label, mount))
}
