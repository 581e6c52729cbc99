//! Word of a container's readiness to the service manager outside (sd_notify(3)): the container gets
//! a socket of its own, and READY=1 is passed on from there, with the process to watch.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder, Spec};

use crate::failure::{Failure, OnFile};

/// Where the container finds its socket's directory.
const INSIDE: &str = "/run/notify";
const NAME: &str = "notify.sock";

/// The service manager's socket and the container's directory for its own.
#[derive(Debug)]
pub(crate) struct Notify {
    /// A path, or a name after an `@`.
    manager: String,
    dir: PathBuf,
}

/// The container's socket, bound.
#[derive(Debug)]
pub(crate) struct Bound {
    socket: UnixDatagram,
    manager: String,
}

impl Notify {
    /// If a service manager waits for word. The state directory of the container is given.
    pub(crate) fn wanted(place: &Path) -> Option<Self> {
        let manager = std::env::var("NOTIFY_SOCKET").ok()?;
        (!manager.is_empty()).then(|| Self {
            manager,
            dir: place.join("notify"),
        })
    }

    /// Makes the directory, and has the container see it. Any user in there may reach it.
    pub(crate) fn prepare(&self, spec: &mut Spec) -> Result<(), Failure> {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        let made = std::fs::DirBuilder::new().mode(0o755).create(&self.dir);
        made.on_file("make", &self.dir)?;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&self.dir, open).on_file("change the mode of", &self.dir)?;
        let mut mounts = spec.mounts().clone().unwrap_or_default();
        mounts.push(self.mount()?);
        spec.set_mounts(Some(mounts));
        super::verbs::add_environment(spec, [format!("NOTIFY_SOCKET={INSIDE}/{NAME}")]);
        Ok(())
    }

    fn mount(&self) -> Result<Mount, Failure> {
        let options = ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned);
        let mount = MountBuilder::default()
            .destination(INSIDE)
            .typ("bind")
            .source(&self.dir)
            .options(options)
            .build();
        mount.map_err(|error| Failure::Usage(format!("NOTIFY_SOCKET: {error}")))
    }

    /// Before the container's command runs.
    pub(crate) fn bind(self) -> Result<Bound, Failure> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.dir.join(NAME);
        let dir = sys::fd::open_dir(&self.dir).on_file("open", &self.dir)?;
        // The path itself may be longer than a socket's address.
        let short = sys::fd::proc_path(dir.as_fd()).join(NAME);
        let socket = UnixDatagram::bind(&short).on_file("bind", &path)?;
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&path, open).on_file("change the mode of", &path)?;
        socket.set_nonblocking(true).on_file("prepare", &path)?;
        Ok(Bound {
            socket,
            manager: self.manager,
        })
    }
}

impl Bound {
    /// Reads what the container has said; true once it is ready and the manager knows, with the
    /// process to watch if that is not the one the manager started.
    pub(crate) fn forward(&self, main: Option<i32>) -> Result<bool, Failure> {
        let mut buffer = [0_u8; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let Some(ready) = ready_line(&buffer[..length]) else {
                continue;
            };
            self.tell(ready)?;
            if let Some(pid) = main {
                self.tell(format!("MAINPID={pid}").as_bytes())?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Waits until the container is ready or has ended.
    pub(crate) fn wait(&self, pidfd: impl AsFd, pid: i32) -> Result<(), Failure> {
        use sys::event::{Interest, Poller};

        use crate::failure::Doing;
        let poller = Poller::new().doing("wait for the container")?;
        let watch = |fd: BorrowedFd<'_>, token| poller.add(fd, token, Interest::READ);
        watch(pidfd.as_fd(), 0)
            .and_then(|()| watch(self.as_fd(), 1))
            .doing("wait for the container")?;
        let mut events = Vec::new();
        loop {
            poller
                .wait(None, &mut events)
                .doing("wait for the container")?;
            if self.forward(Some(pid))? || events.iter().any(|event| event.token == 0) {
                return Ok(());
            }
        }
    }

    fn tell(&self, message: &[u8]) -> Result<(), Failure> {
        let address = address(&self.manager);
        address
            .and_then(|address| self.socket.send_to_addr(message, &address))
            .map(drop)
            .on_file("notify", Path::new(&self.manager))
    }
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn address(name: &str) -> std::io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

/// The line that says so.
fn ready_line(message: &[u8]) -> Option<&[u8]> {
    let mut lines = message.split(|byte| *byte == b'\n');
    lines.find(|line| line.starts_with(b"READY="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readiness_is_passed_on() {
        assert_eq!(
            ready_line(b"STATUS=up\nREADY=1\nMAINPID=7"),
            Some(&b"READY=1"[..])
        );
        assert_eq!(ready_line(b"STATUS=READY=1"), None);
    }
}
