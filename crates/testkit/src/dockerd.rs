//! A Docker of Debian's, with everything of its own.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::output::Output;
use crate::programs::cache;
use crate::{Client, cgroups, root, until};

/// A running daemon of Docker's. It dies with its pid namespace.
#[derive(Debug)]
pub struct Dockerd {
    child: Child,
    socket: PathBuf,
    parent: String,
}

/// What is mounted in its tree, in a mount namespace of its own; then it is the tree's.
const SCRIPT: &str = r#"tree=$0; mount --make-rprivate /; mount --bind "$tree" "$tree"; cd "$tree"
    mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev
    mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp; mkdir -p run/lock var/tmp var/lib/docker
    mount -t tmpfs tmpfs var/lib/docker; ip link set lo up
    exec chroot . dockerd --host=unix:///run/docker.sock --iptables=false --ip6tables=false \
        --exec-opt=native.cgroupdriver=cgroupfs "$@""#;

impl Dockerd {
    /// The one of a suite of Debian, `bookworm` or `sid`, in a network namespace of its own. None where
    /// there is none, which is said.
    pub fn start(suite: &str) -> Option<Self> {
        Self::start_in(suite, &["--net"], &[])
    }

    /// The same, on this machine's loopback, where it makes nothing.
    pub fn start_here(suite: &str) -> Option<Self> {
        Self::start_in(suite, &[], &["--bridge=none", "--ip-forward=false"])
    }

    fn start_in(suite: &str, namespaces: &[&str], flags: &[&str]) -> Option<Self> {
        if !root() {
            return None;
        }
        let tree = cache().join("peers").join(suite);
        if !tree.join(".complete").exists() {
            eprintln!("SKIP: no Docker of Debian {suite} is here (scripts/setup.sh bench)");
            return None;
        }
        let parent = format!("/brig-dockerd-{suite}-{}", std::process::id());
        let child = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "--mount", "--ipc"])
            .args(namespaces)
            .args(["sh", "-ec", SCRIPT])
            .arg(&tree)
            .arg(format!("--cgroup-parent={parent}"))
            .args(flags)
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
        Some(docker)
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs Docker's newest client on it, with a home of its own.
    pub fn docker(&self, home: &Path, words: &[&str]) -> Output {
        let client = Client::Docker28.program().unwrap();
        let host = format!("unix://{}", self.socket.display());
        let mut command = Command::new(client);
        command
            .args(words)
            .env("DOCKER_HOST", host)
            .env("DOCKER_CONFIG", home)
            .stdin(Stdio::null());
        Output::of(&mut command)
    }

    /// Its socket is in a mount namespace where only its processes are.
    fn wait_until_it_answers(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        self.socket = until("dockerd's answer", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("dockerd ended with {status}");
            }
            let inside = fs::read_to_string(&children).ok()?;
            let inside = inside.split_whitespace().next()?;
            let socket = PathBuf::from(format!("/proc/{inside}/root/run/docker.sock"));
            answers(&socket).then_some(socket)
        });
    }
}

fn answers(socket: &Path) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return false;
    };
    let request = "GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        until("the end of Docker's cgroups", || {
            let there = cgroups(&self.parent);
            there.iter().for_each(|top| remove(top));
            cgroups(&self.parent).is_empty().then_some(())
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
