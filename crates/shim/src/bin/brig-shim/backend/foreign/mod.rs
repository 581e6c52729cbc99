//! Another OCI runtime, driven by its command line as containerd and podman drive it.
//!
//! It gets a bundle of its own in the shim's directory, with the root mounted there in a mount
//! namespace of the shim's own, so that nothing is left on the host when the shim dies:
//!
//! ```text
//!   DIR/foreign/config.json    the specification, its root.path pointing here
//!   DIR/foreign/rootfs         the root
//!   DIR/foreign/state          the runtime's own state (--root)
//! ```
//!
//! The container's process is made by a child that ends; it falls to the shim as the subreaper.

mod command;
mod rootfs;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxResources, Mount as OciMount, Process, Spec};
use runtime::{CompiledFilter, Joining, Stdio, Word};
use shim::protocol::Launch;
use sys::cgroup::{Cgroup, Layout};
use types::{ErrorKind, Mount, ProcessRef, Signal};

use self::command::Command;
use super::{Backend, Begun, Made};
use crate::failure::Failure;

/// A container of another runtime.
#[derive(Debug)]
pub(crate) struct Foreign {
    command: Command,
    id: String,
    bundle: PathBuf,
    mounts: Vec<Mount>,
    rootfs: Option<rootfs::Mounted>,
    cgroup: Option<PathBuf>,
    process: Option<OwnedFd>,
}

impl Foreign {
    pub(crate) fn new(binary: &Path, launch: &Launch, dir: &Path) -> Self {
        Self {
            command: Command::new(binary, dir.join("foreign")),
            id: launch.id.clone(),
            bundle: launch.bundle.clone(),
            mounts: launch.rootfs.clone(),
            rootfs: None,
            cgroup: None,
            process: None,
        }
    }

    fn try_create(&mut self, spec: &Spec, stdio: Stdio) -> Result<Made, Failure> {
        let dir = self.command.dir.clone();
        rootfs::enter_own_namespace()?;
        std::fs::create_dir_all(dir.join("rootfs")).map_err(Failure::of("make a bundle"))?;
        let root = match self.mounts.is_empty() {
            // A relative path starts at the bundle it was written for.
            true => spec
                .root()
                .as_ref()
                .map(|root| self.bundle.join(root.path())),
            false => {
                self.rootfs = Some(rootfs::mount(&self.mounts, dir.join("rootfs"))?);
                Some(dir.join("rootfs"))
            }
        };
        self.write_config(root.as_deref())?;
        self.cgroup = spec
            .linux()
            .as_ref()
            .and_then(|linux| linux.cgroups_path().clone());
        let made = self
            .command
            .make(&["create", "--bundle", "."], &self.id, stdio)?;
        let pidfd = sys::pidfd::open(made.process.pid).map_err(Failure::of("open the process"))?;
        self.process = Some(pidfd);
        Ok(made)
    }

    /// The bundle's configuration, word for word but for the root.
    fn write_config(&self, root: Option<&Path>) -> Result<(), Failure> {
        let path = self.bundle.join("config.json");
        let text = std::fs::read(&path).map_err(Failure::of("read the configuration"))?;
        let mut config: serde_json::Value =
            serde_json::from_slice(&text).map_err(Failure::of("read the configuration"))?;
        if let Some(root) = root.and_then(Path::to_str) {
            config["root"]["path"] = root.into();
        }
        let text = config.to_string();
        sys::file::replace_unsynced(
            &self.command.dir.join("config.json"),
            text.as_bytes(),
            0o600,
        )
        .map_err(Failure::of("write the configuration"))
    }

    fn own_cgroup(&self) -> Option<Cgroup> {
        let path = self.cgroup.as_ref()?.to_str()?;
        Cgroup::open(&Layout::detect().ok()?, path).ok()
    }

    /// The root is unmounted before anything is removed: what is below it is the container's.
    fn clean(&mut self) -> Result<(), Failure> {
        if let Some(rootfs) = self.rootfs.take() {
            rootfs.unmount()?;
        }
        self.command.clean()
    }
}

impl Backend for Foreign {
    fn create(
        &mut self,
        spec: &Spec,
        filter: Option<&CompiledFilter>,
        stdio: Stdio,
        _word: Word<'_>,
    ) -> Result<Made, Failure> {
        if filter.is_some() {
            let reason = "another runtime takes its filter from the configuration";
            return Err(Failure::new(ErrorKind::Invalid, reason));
        }
        self.try_create(spec, stdio).inspect_err(|_| {
            // What is told is why it could not be made, not what of it could not be removed.
            let _ = self.command.run(&["delete", "--force", &self.id]);
            let _ = self.clean();
        })
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.command.run(&["start", &self.id])
    }

    fn begin_exec(&mut self, process: &Process, stdio: Stdio) -> Result<Begun, Failure> {
        let file = self.command.dir.join("process.json");
        let text = serde_json::to_vec(process).map_err(Failure::of("write the process"))?;
        sys::file::replace_unsynced(&file, &text, 0o600)
            .map_err(Failure::of("write the process"))?;
        let arguments = ["exec", "--detach", "--process", "process.json"];
        let made = self.command.make(&arguments, &self.id, stdio)?;
        Ok(Begun::Made(made))
    }

    fn advance_exec(&mut self, _joining: &mut Joining) -> Result<bool, Failure> {
        // The other runtime has waited for it.
        Ok(true)
    }

    fn kill(&mut self, signal: Signal) -> Result<(), Failure> {
        let process = self
            .process
            .as_ref()
            .ok_or_else(|| Failure::conflict("the container is not running"))?;
        sys::pidfd::send_signal(process, signal).map_err(Failure::of("signal the container"))
    }

    fn update(&self, resources: &LinuxResources) -> Result<(), Failure> {
        let text = serde_json::to_vec(resources).map_err(Failure::of("write the limits"))?;
        let file = self.command.dir.join("resources.json");
        sys::file::replace_unsynced(&file, &text, 0o600)
            .map_err(Failure::of("write the limits"))?;
        self.command
            .run(&["update", "--resources", "resources.json", &self.id])
    }

    fn mount(&self, _: &OciMount, _: Option<&Mount>) -> Result<(), Failure> {
        Err(alone())
    }

    fn unmount(&self, _: &Path) -> Result<(), Failure> {
        Err(alone())
    }

    fn is_frozen(&self) -> bool {
        self.own_cgroup().is_some_and(|cgroup| cgroup.is_frozen())
    }

    fn oom_killed(&self) -> bool {
        let cgroup = self.own_cgroup();
        cgroup.is_some_and(|cgroup| cgroup.oom_killed().unwrap_or(false))
    }

    fn destroy(&mut self) -> Result<(), Failure> {
        if self.process.take().is_none() {
            return Ok(());
        }
        let deleted = self.command.run(&["delete", "--force", &self.id]);
        self.clean().and(deleted)
    }
}

/// Its command line has no word for it.
fn alone() -> Failure {
    Failure::new(
        ErrorKind::Unsupported,
        "mounts come and go with Brig's own runtime only while a container runs",
    )
}

/// The process with this pid, as it is remembered.
fn process_ref(pid: i32) -> Result<ProcessRef, Failure> {
    sys::proc::process_ref(pid).map_err(Failure::of("look at the process"))
}
