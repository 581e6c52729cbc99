//! A peer's own system: a mount namespace whose root is its tree.
//!
//! chroot(2) would not do: who is in one may make no user namespace.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// What the holder does: the tree becomes the root, the suite's directory is where it was. crun will have
/// no version 2 beside version 1 of cgroups.
const SCRIPT: &str = r#"mount --bind "$1" "$1"; cd "$1"
    mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev
    umount -l sys/fs/cgroup/unified 2>/dev/null || :
    mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp
    mkdir -p ".$0"; mount --bind "$0" ".$0"
    pivot_root . mnt; cd /; "$0/busybox" umount -l /mnt
    echo ready; exec sleep infinity"#;

/// The namespace, held by a process.
#[derive(Debug)]
pub(crate) struct Tree {
    holder: Child,
}

impl Tree {
    /// Makes the namespace. What is mounted on `scratch`, which has a busybox, is seen in it as well.
    pub(crate) fn enter(tree: &Path, scratch: &Path) -> Result<Self> {
        let tree = std::path::absolute(tree)?;
        if !tree.join("usr/bin").exists() {
            bail!(
                "there is no system in {}: run scripts/setup.sh bench",
                tree.display()
            );
        }
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "unchanged", "sh", "-ec", SCRIPT])
            .arg(scratch)
            .arg(&tree)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        let out = holder.stdout.take().context("there is a pipe")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        if line.trim() != "ready" {
            holder.wait()?;
            bail!("{} cannot be made a root", tree.display());
        }
        Ok(Self { holder })
    }

    /// What a command line begins with that is to run in it.
    pub(crate) fn words(&self) -> Vec<String> {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.holder.id());
        vec!["nsenter".to_owned(), namespace]
    }

    /// A process in it, as /proc names it.
    pub(crate) fn process(&self) -> String {
        self.holder.id().to_string()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
