//! `create`: make a container whose command waits.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use runtime::{CreateRequest, Created, Network, Saved, SharedRoot, Stdio};
use sys::ahead::NetworkAhead;
use types::{Decimals, rfc3339};

use super::{ID, add_environment, flags, trace};
use crate::failure::{Failure, OnFile};
use crate::global::Global;
use crate::listen::Passed;
use crate::log::Log;
use crate::notify::Notify;
use crate::state_file::{self, Place, Record, VERSION};
use crate::words::{Verb, Words};
use crate::{Outcome, console};

pub(super) const VERB: Verb = Verb {
    name: "create",
    usage: ID,
    about: "make a container; its command waits for start",
    flags: &[
        flags::BUNDLE,
        flags::CONSOLE_SOCKET,
        flags::PIDFD_SOCKET,
        flags::PID_FILE,
        flags::NO_PIVOT,
        flags::NO_NEW_KEYRING,
        flags::PRESERVE_FDS,
    ],
    arguments: (1, 1),
    interleaved: true,
    enters: true,
    run: create,
};

fn create(global: &Global, words: &Words) -> Outcome {
    let making = Making::read(words)?;
    let place = Place::of(&global.root, making.id)?;
    let mut bundle = Bundle::open(making.bundle)?;
    console::check(true, bundle.wants_terminal(), making.console_socket)?;
    place.claim()?;
    let made = bundle
        .adapt(&making, &place)
        .and_then(|_| make_waiting(global, &place, &making, bundle));
    made.inspect_err(|_| {
        // The first error is the one that says why.
        let _ = place.release();
    })
}

fn make_waiting(
    global: &Global,
    place: &Place,
    making: &Making<'_>,
    mut bundle: Bundle,
) -> Outcome {
    let gate = place.gate();
    let listener = sys::socket::listen(&gate, sys::socket::Kind::Messages);
    let listener = listener.on_file("listen on", &gate)?;
    let created = bundle.create(global, place, making, Some(listener))?;
    trace(&global.log, created.process.pid, "waits for its start");
    match finish(place, making, bundle, &created) {
        Ok(()) => Ok(0),
        Err(failure) => {
            created.destroy()?;
            Err(failure)
        }
    }
}

fn finish(
    place: &Place,
    making: &Making<'_>,
    bundle: Bundle,
    created: &Created,
) -> Result<(), Failure> {
    making.hand_out(created)?;
    place.write(&record(making, bundle, created.saved(), false))
}

/// What was typed for `create` and `run`.
pub(super) struct Making<'a> {
    pub(super) id: &'a str,
    pub(super) bundle: &'a Path,
    pub(super) console_socket: Option<&'a Path>,
    pidfd_socket: Option<&'a Path>,
    pid_file: Option<&'a Path>,
    passed: Passed,
    no_pivot: bool,
    new_keyring: bool,
}

impl<'a> Making<'a> {
    /// Must come before anything is opened; see [`Passed::look`].
    pub(super) fn read(words: &'a Words) -> Result<Self, Failure> {
        Ok(Self {
            passed: Passed::look(words.number("preserve-fds")?.unwrap_or(0))?,
            id: words.id()?,
            bundle: words.path("bundle").unwrap_or(Path::new(".")),
            console_socket: words.path("console-socket"),
            pidfd_socket: words.path("pidfd-socket"),
            pid_file: words.path("pid-file"),
            no_pivot: words.has("no-pivot"),
            new_keyring: !words.has("no-new-keyring"),
        })
    }

    /// Sends terminal and process where the command line says, and writes the pid file.
    pub(super) fn hand_out(&self, created: &Created) -> Result<(), Failure> {
        if let (Some(socket), Some(master)) = (self.console_socket, &created.terminal) {
            console::send(socket, master)?;
        }
        if let Some(socket) = self.pidfd_socket {
            console::send_process(socket, created.pidfd())?;
        }
        write_pid(self.pid_file, created.process.pid)
    }
}

pub(super) fn write_pid(path: Option<&Path>, pid: i32) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    sys::file::replace_unsynced(path, pid.to_string().as_bytes(), 0o644).on_file("write", path)
}

pub(super) fn record(making: &Making<'_>, bundle: Bundle, saved: Saved, started: bool) -> Record {
    Record {
        version: VERSION,
        saved,
        spec: bundle.spec,
        created: rfc3339(crate::time::now(), Decimals::Nine).to_string(),
        started,
        paused: false,
        new_keyring: making.new_keyring,
        nested: bundle.nested,
    }
}

/// Gives a user without rights those of the container's root, and has this program be executed once
/// more (true): a container that waits for its start can be joined by its user only then. That is for
/// containers of which nobody else sees anything, and not for `run`, where nothing waits, and this
/// program may stay as long as the container: others might join its namespaces.
pub(crate) fn nest(verb: &Verb, words: &Words) -> Result<bool, Failure> {
    if sys::process::user() == 0 || verb.name != VERB.name {
        return Ok(false);
    }
    // What is wrong with the words is told before what is wrong with the bundle.
    let making = Making::read(words)?;
    let spec = Bundle::open(making.bundle)?.spec;
    if !runtime::is_apart(&spec) {
        return Ok(false);
    }
    runtime::nest(&spec)?;
    Ok(true)
}

/// Begins with what takes longest in a container that is likely to be made: whether it may be is found
/// out later.
pub(crate) fn begin(verb: &Verb, words: &Words) -> Option<NetworkAhead> {
    let makes = [VERB.name, super::run::VERB.name].contains(&verb.name);
    if !makes || sys::process::user() != 0 {
        return None;
    }
    let bundle = words.path("bundle").unwrap_or(Path::new("."));
    let text = read_configuration(&bundle.join("config.json")).ok()?;
    runtime::begin_network(&text)
}

/// A bundle and its configuration.
pub(super) struct Bundle {
    pub(super) dir: PathBuf,
    pub(super) spec: Spec,
    /// Whether this program entered the container's user namespace for want of rights.
    nested: bool,
    /// A network that was begun with.
    network: Option<Network>,
}

impl Bundle {
    pub(super) fn open(dir: &Path) -> Result<Self, Failure> {
        let dir = std::path::absolute(dir)
            .map_err(|error| Failure::Usage(format!("--bundle: {error}")))?;
        if dir.to_str().is_none() {
            let reason = "is no UTF-8, which a path in the container's state must be";
            return Err(Failure::Usage(format!("--bundle: {dir:?} {reason}")));
        }
        let path = dir.join("config.json");
        let text = read_configuration(&path)?;
        let spec =
            runtime::parse_spec(&text).map_err(|source| Failure::Malformed { path, source })?;
        Ok(Self {
            dir,
            spec,
            nested: false,
            network: NetworkAhead::passed_on().map(Network::Ahead),
        })
    }

    pub(super) fn wants_terminal(&self) -> bool {
        let process = self.spec.process().as_ref();
        process
            .and_then(|process| process.terminal())
            .unwrap_or(false)
    }

    pub(super) fn has_pid_namespace(&self) -> bool {
        self.has_namespace(LinuxNamespaceType::Pid)
    }

    fn has_namespace(&self, kind: LinuxNamespaceType) -> bool {
        let linux = self.spec.linux().as_ref();
        let namespaces = linux.and_then(|linux| linux.namespaces().as_ref());
        let mut namespaces = namespaces.into_iter().flatten();
        namespaces.any(|namespace| namespace.typ() == kind)
    }

    /// Refuses a root that another container's mounts are on, where all are seen by everybody: on
    /// top of each other they could not be taken away one by one.
    fn check_root(&self, global: &Global) -> Result<(), Failure> {
        let Some(root) = self.spec.root().as_ref() else {
            return Ok(());
        };
        if self.has_namespace(LinuxNamespaceType::Mount) {
            return Ok(());
        }
        let root = self.dir.join(root.path());
        for other in state_file::all(&global.root)? {
            // What is wrong with the others' state is no matter of this one.
            let noted = SharedRoot::noted(&other.dir).ok().flatten();
            if noted.is_some_and(|noted| noted.is_at(&root)) {
                return Err(Failure::Refused(format!(
                    "the mounts of container {} are on the root {}: delete that one first, or give \
                     this one a mount namespace in linux.namespaces",
                    other.id,
                    root.display()
                )));
            }
        }
        Ok(())
    }

    /// Gives a user without rights those of the container's root, unless it has them ([`nest`]), and
    /// adds what the caller's service manager has for the container.
    pub(super) fn adapt(
        &mut self,
        making: &Making<'_>,
        place: &Place,
    ) -> Result<Option<Notify>, Failure> {
        self.nested = true;
        if crate::is_nested() {
            self.check_apart()?;
        } else if sys::process::user() != 0 {
            runtime::nest(&self.spec)?;
        } else {
            self.nested = false;
        }
        if self.nested {
            runtime::settle(&mut self.spec);
        }
        add_environment(&mut self.spec, making.passed.environment());
        let notify = Notify::wanted(&place.dir);
        if let Some(notify) = &notify {
            notify.prepare(&mut self.spec)?;
        }
        Ok(notify)
    }

    /// The file may have changed since this program was executed for what it said.
    fn check_apart(&self) -> Result<(), Failure> {
        if runtime::is_apart(&self.spec) {
            return Ok(());
        }
        let reason = "has changed meanwhile, and asks for other namespaces: try again";
        Err(Failure::Refused(format!(
            "{}/config.json {reason}",
            self.dir.display()
        )))
    }

    /// Makes the container, after its place was told what will be there.
    pub(super) fn create(
        &mut self,
        global: &Global,
        place: &Place,
        making: &Making<'_>,
        gate: Option<OwnedFd>,
    ) -> Result<Created, Failure> {
        // Nobody waits for `run`'s container but itself.
        let start_at_once = gate.is_none();
        let verb = if start_at_once { "run" } else { "create" };
        self.check_root(global)?;
        place.intend(&runtime::planned_cgroup(
            &self.spec,
            making.id,
            global.driver,
        )?)?;
        let stdio = if self.wants_terminal() {
            terminal(&self.spec, making.console_socket.is_none())
        } else {
            Stdio::Inherit
        };
        if let Some(flags) = runtime::seccomp_flags(&self.spec) {
            let message = format!("seccomp filter flags: {flags}");
            global.log.debug(&message);
        }
        let made = runtime::create(CreateRequest {
            id: making.id,
            bundle: &self.dir,
            spec: &self.spec,
            rootfs: &[],
            stdio,
            parent_death_signal: None,
            gate,
            start_at_once,
            word: None,
            network: self.network.take(),
            filter: None,
            groundwork: None,
            cgroup_driver: global.driver,
            rootless: global.rootless,
            preserve_fds: making.passed.count(),
            new_keyring: making.new_keyring,
            no_pivot: making.no_pivot,
            note_mounts_in: Some(&place.dir),
            meanwhile: Some(crate::let_go_of_seal),
            fail_at: None,
        });
        let made = made.map_err(|error| Failure::of_init(verb, error))?;
        warn_of_loose_processes(&global.log, &made.saved());
        Ok(made)
    }
}

/// In runc's words: without a cgroup and a pid namespace of its own nobody knows which processes are
/// the container's.
fn warn_of_loose_processes(log: &Log, saved: &Saved) {
    if saved.cgroup.is_empty() && !saved.has_pid_namespace() {
        log.warning(
            "Creating a rootless container with no cgroup and no private pid namespace. \
             Such configuration is strongly discouraged, as it is impossible to properly kill all \
             container's processes",
        );
    }
}

/// At most 64 MiB, and of a regular file: others may never come to an end.
fn read_configuration(path: &Path) -> Result<Vec<u8>, Failure> {
    let refused = |why: &str| Failure::Refused(format!("{} {why}", path.display()));
    sys::fd::read_regular(path, 64 << 20).or_else(|error| match error.errno {
        sys::Errno::INVAL | sys::Errno::ISDIR => Err(refused("is no regular file")),
        sys::Errno::FBIG => Err(refused("is longer than 64 MiB")),
        _ => Err(error).on_file("read", path),
    })
}

/// A terminal of the size the configuration or the user's own terminal has.
fn terminal(spec: &Spec, bare_lines: bool) -> Stdio {
    let configured = spec.process().as_ref().and_then(size_of);
    let size = configured.unwrap_or_else(own_size);
    Stdio::Terminal { size, bare_lines }
}

/// The size a process is to find.
pub(super) fn size_of(process: &oci_spec::runtime::Process) -> Option<[u16; 2]> {
    let number = |n: u64| u16::try_from(n).unwrap_or(0);
    let size = process.console_size()?;
    Some([number(size.height()), number(size.width())])
}

pub(super) fn own_size() -> [u16; 2] {
    sys::term::window_size(std::io::stdin()).map_or([0, 0], |(rows, columns)| [rows, columns])
}
