//! config.md, Root.

use anyhow::Result;
use serde_json::json;

use super::super::find::{failed_with, holds, mount_at, same, succeeded};
use super::super::suite::{Row, Suite, Test, table};

pub(super) fn tests() -> Vec<Test> {
    table(TESTS)
}

/// EROFS.
const READ_ONLY: i64 = 30;

const TESTS: &[Row] = &[
    (
        "root/relative",
        "config.md, Root: path may be relative to the bundle",
        relative,
    ),
    (
        "root/absolute",
        "config.md, Root: path may be absolute",
        absolute,
    ),
    (
        "root/other-name",
        "config.md, Root: path need not be rootfs",
        other_name,
    ),
    (
        "root/is-the-root",
        "config.md, Root: it is the container's root file system, and nothing of the host's is seen",
        is_the_root,
    ),
    (
        "root/writable",
        "config.md, Root: readonly is false by default",
        writable,
    ),
    (
        "root/not-readonly",
        "config.md, Root: readonly false",
        not_readonly,
    ),
    (
        "root/readonly",
        "config.md, Root: with readonly the root MUST be read-only inside",
        readonly,
    ),
    (
        "root/readonly-but-mounts",
        "config.md, Root: readonly is of the root, not of the mounts in it",
        readonly_but_mounts,
    ),
    (
        "root/parent-is-root",
        "config.md, Root: nothing is above the root",
        parent_is_root,
    ),
];

fn relative(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/root/path", json!("rootfs"));
    bundle.report().map(drop)
}

fn absolute(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let path = bundle.text_path("rootfs");
    bundle.set("/root/path", json!(path));
    bundle.report().map(drop)
}

fn other_name(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    std::fs::create_dir(bundle.path().join("below"))?;
    std::fs::rename(
        bundle.path().join("rootfs"),
        bundle.path().join("below/other"),
    )?;
    bundle.set("/root/path", json!("below/other"));
    bundle.report().map(drop)
}

fn is_the_root(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.file("mark", "of this root")?;
    let path = bundle.text_path("");
    let done = bundle.ops(&[&["read", "/mark"], &["stat", &path], &["list", "/"]])?;
    same("the mark", &done[0]["ok"], &json!("of this root"))?;
    failed_with(&done[1], 2)
}

fn writable(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.op(&["create", "/new"])?;
    holds(
        "the file is in the root",
        bundle.in_root("new").exists(),
        "nothing",
    )
}

fn not_readonly(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/root/readonly", json!(false));
    bundle.op(&["create", "/new"]).map(drop)
}

fn readonly(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/root/readonly", json!(true));
    let done = bundle.ops(&[&["create", "/new"], &["mkdir", "/etc/new"], &["report"]])?;
    failed_with(&done[0], READ_ONLY)?;
    failed_with(&done[1], READ_ONLY)?;
    let root = mount_at(&done[2]["ok"], "/")?;
    holds("the root's mount is read-only", root.has("ro"), root)
}

fn readonly_but_mounts(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    bundle.set("/root/readonly", json!(true));
    bundle.mount("tmpfs", "tmpfs", "/tmp", &[]);
    let done = bundle.ops(&[&["create", "/tmp/new"]])?;
    succeeded(&done[0])
}

fn parent_is_root(suite: &Suite) -> Result<()> {
    let mut bundle = suite.bundle()?;
    let done = bundle.ops(&[&["stat", "/"], &["stat", "/../.."]])?;
    let inode = |at: usize| [&done[at]["ok"]["inode"], &done[at]["ok"]["device"]].map(Clone::clone);
    same("inode", inode(0), inode(1))
}
