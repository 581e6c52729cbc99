//! `create`: make a container whose command waits.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oci_spec::runtime::Spec;
use runtime::{CreateRequest, Created, Saved, Stdio};

use crate::Outcome;
use crate::args::{Args, Create};
use crate::console;
use crate::failure::{Failure, OnFile};
use crate::state_file::{Place, Record, VERSION};

pub(crate) fn create(args: &Args, create: &Create) -> Outcome {
    let place = Place::of(&args.root, &create.id)?;
    place.claim()?;
    make_waiting(&place, create).inspect_err(|_| {
        // The first error is the one that says why.
        let _ = place.release();
    })
}

fn make_waiting(place: &Place, create: &Create) -> Outcome {
    let gate = place.gate();
    let listener = sys::socket::listen(&gate, sys::socket::Kind::Messages);
    let bundle = Bundle::open(create)?;
    let created = bundle.create(create, Some(listener.on_file("listen on", &gate)?))?;
    match finish(place, create, bundle.spec, &created) {
        Ok(()) => Ok(0),
        Err(failure) => {
            place.release()?;
            created.destroy()?;
            Err(failure)
        }
    }
}

fn finish(place: &Place, create: &Create, spec: Spec, created: &Created) -> Result<(), Failure> {
    hand_out(
        create,
        created.saved().process.pid,
        created.terminal.as_ref(),
    )?;
    place.write(&record(spec, created.saved(), false))
}

/// Writes the pid file and sends the terminal where the command line says.
pub(super) fn hand_out(
    create: &Create,
    pid: i32,
    terminal: Option<&OwnedFd>,
) -> Result<(), Failure> {
    if let (Some(socket), Some(master)) = (&create.console_socket, terminal) {
        console::send(socket, master)?;
    }
    write_pid(create.pid_file.as_deref(), pid)
}

pub(super) fn write_pid(path: Option<&Path>, pid: i32) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    sys::file::replace_unsynced(path, pid.to_string().as_bytes(), 0o644).on_file("write", path)
}

pub(super) fn record(spec: Spec, saved: Saved, started: bool) -> Record {
    let created = crate::time::rfc3339(SystemTime::now());
    Record {
        version: VERSION,
        saved,
        spec,
        created,
        started,
        paused: false,
    }
}

/// A bundle and its configuration.
pub(super) struct Bundle {
    pub(super) dir: PathBuf,
    pub(super) spec: Spec,
}

impl Bundle {
    pub(super) fn open(create: &Create) -> Result<Self, Failure> {
        let dir = std::path::absolute(&create.bundle)
            .map_err(|error| Failure::Usage(format!("--bundle: {error}")))?;
        let path = dir.join("config.json");
        let text = sys::fd::open_read(&path)
            .and_then(|file| sys::fd::read_to_end(file, 64 << 20))
            .on_file("read", &path)?;
        let spec =
            runtime::parse_spec(&text).map_err(|source| Failure::Malformed { path, source })?;
        Ok(Self { dir, spec })
    }

    pub(super) fn wants_terminal(&self) -> bool {
        self.spec
            .process()
            .as_ref()
            .and_then(|process| process.terminal())
            .unwrap_or(false)
    }

    pub(super) fn create(
        &self,
        create: &Create,
        gate: Option<OwnedFd>,
    ) -> Result<Created, Failure> {
        let detached = gate.is_some();
        if detached && self.wants_terminal() && create.console_socket.is_none() {
            let reason = "process.terminal is set: --console-socket must say where it is to go";
            return Err(Failure::Usage(reason.to_owned()));
        }
        let stdio = if self.wants_terminal() {
            terminal(&self.spec)
        } else {
            Stdio::Inherit
        };
        Ok(runtime::create(CreateRequest {
            id: &create.id,
            bundle: &self.dir,
            spec: &self.spec,
            rootfs: &[],
            stdio,
            parent_death_signal: None,
            gate,
            cgroup_driver: runtime::CgroupDriver::Direct,
            preserve_fds: create.preserve_fds,
            fail_at: None,
        })?)
    }
}

/// A terminal of the size the configuration or the user's own terminal has.
fn terminal(spec: &Spec) -> Stdio {
    let configured = spec
        .process()
        .as_ref()
        .and_then(|process| process.console_size());
    let number = |n: u64| u16::try_from(n).unwrap_or(0);
    let size = match configured {
        Some(size) => [number(size.height()), number(size.width())],
        None => own_size(),
    };
    Stdio::Terminal { size }
}

pub(super) fn own_size() -> [u16; 2] {
    sys::term::window_size(std::io::stdin()).map_or([0, 0], |(rows, columns)| [rows, columns])
}
