//! A Docker of Debian's, with everything of its own.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use testkit::{busybox_tar, root, until};

use super::http::send;

/// A running daemon. It dies with its pid namespace.
pub(crate) struct Docker {
    child: Child,
    socket: PathBuf,
    parent: String,
}

/// What is mounted in its tree, in a mount namespace of its own; then it is the tree's.
const SCRIPT: &str = r#"mount --make-rprivate /; mount --bind "$0" "$0"; cd "$0"
    mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev
    mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp; mkdir -p run/lock var/tmp var/lib/docker
    mount -t tmpfs tmpfs var/lib/docker; ip link set lo up
    exec chroot . dockerd --host=unix:///run/docker.sock --iptables=false --ip6tables=false \
        --exec-opt=native.cgroupdriver=cgroupfs --cgroup-parent="$1""#;

impl Docker {
    /// None where there is none, which is said.
    pub(crate) fn start() -> Option<Self> {
        if !root() {
            return None;
        }
        let tree = testkit::cache().join("peers/sid");
        if !tree.join(".complete").exists() {
            eprintln!("SKIP: no Docker of Debian's is here (scripts/setup.sh bench)");
            return None;
        }
        let parent = format!("/brig-contract-{}", std::process::id());
        let child = Command::new("unshare")
            .args([
                "--pid",
                "--fork",
                "--kill-child",
                "--mount",
                "--net",
                "--ipc",
            ])
            .args(["sh", "-ec", SCRIPT])
            .arg(&tree)
            .arg(&parent)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut docker = Self {
            child,
            socket: PathBuf::new(),
            parent,
        };
        docker.wait_until_it_answers();
        docker.import();
        Some(docker)
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its socket is in a mount namespace where only its processes are.
    fn wait_until_it_answers(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        self.socket = until("dockerd's answer", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("dockerd ended with {status}");
            }
            let inside = fs::read_to_string(&children).ok()?;
            let socket = PathBuf::from(format!(
                "/proc/{}/root/run/docker.sock",
                inside.split_whitespace().next()?
            ));
            UnixStream::connect(&socket).ok()?;
            Some(socket)
        });
        until("dockerd's ping", || {
            (send(&self.socket, "GET", "/_ping", "", None).status == 200).then_some(())
        });
    }

    fn import(&self) {
        let tar = fs::read(busybox_tar()).unwrap();
        let target = "/images/create?fromSrc=-&repo=bb&tag=latest";
        assert_eq!(
            send(&self.socket, "POST", target, "", Some(&tar)).status,
            200
        );
        until("the image", || {
            (send(&self.socket, "GET", "/images/bb/json", "", None).status == 200).then_some(())
        });
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        until("the end of Docker's cgroups", || {
            testkit::cgroups(&self.parent)
                .iter()
                .for_each(|top| remove(top));
            testkit::cgroups(&self.parent).is_empty().then_some(())
        });
    }
}

/// A cgroup and those below it, which are empty by now.
fn remove(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
}
