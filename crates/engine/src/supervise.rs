//! One task per running container: hears of its end and of the ends of its exec sessions, records
//! them, and cleans up.
//!
//! Owned by [`Engine::watch`]. It reads two descriptors: the connection on which the shim tells what
//! happened, and the shim's pidfd, for the case that it dies without a word.
//!
//! At an end: record first, then wake those who wait, then clean away what may take its time.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shim::{ExitRecord, Notice, Shim, Watch};
use storage::Durability;
use sys::cgroup::Cgroup;
use types::{Change, ContainerId, ErrorKind, ExitStatus, Lifecycle, ProcessRef, Reason, Signal};

use crate::container::start::{EXIT_RECORD, cgroup_path};
use crate::container::{remove, restarts};
use crate::health::Looked;
use crate::network::releases::Release;
use crate::readable::Readable;
use crate::table::Container;
use crate::{Engine, Error, clock, event, exec, forward, health, network, volume};

/// How long a shim may go on serving clients after its container has ended.
const SHIM_DRAIN: Duration = Duration::from_secs(60);

/// The exit code of a container whose end nobody saw: it was killed with its shim.
const KILLED: i32 = 128 + 9;

/// How the watch over a run ended.
#[derive(Debug)]
enum End {
    /// The shim told.
    Exited(ExitRecord),
    /// The shim is gone.
    ShimDied,
}

/// Watches a running container until it ends.
pub(crate) fn begin(engine: &Engine, container: Arc<Container>, shim: Arc<Shim>, watch: Watch) {
    {
        let mut live = container.live();
        live.shim = Some(shim.clone());
        live.serves_clients = true;
    }
    container.set_clean(false);
    health::begin(engine, &container, &shim);
    forward::begin(engine, &container);
    let task = {
        let engine = engine.clone();
        async move {
            match watch_until_end(&engine, &container, &shim, watch).await {
                Ok(End::Exited(record)) => {
                    conclude(
                        &engine,
                        &container,
                        &shim,
                        Change::Exited(status_of(&record)),
                    );
                }
                Ok(End::ShimDied) => died(&engine, &container, &shim).await,
                Err(error) => tracing::error!(
                    container = %container.id(), error = %error.chain(),
                    "cannot watch a container any more"
                ),
            }
        }
    };
    engine.watch(task);
}

async fn watch_until_end(
    engine: &Engine,
    container: &Arc<Container>,
    shim: &Shim,
    watch: Watch,
) -> Result<End, Error> {
    let failed = || Error::io(format!("watch container {}", container.id()));
    let pidfd = duplicate(shim).and_then(Readable::new).map_err(failed())?;
    let watch = Readable::new(watch).map_err(failed())?;
    let mut looks = Vec::new();
    loop {
        tokio::select! {
            // What was told before the shim's end comes before it.
            biased;
            told = watch.read(|watch| next(engine, container, watch, &mut looks)) => {
                let told = told.map_err(failed())?;
                for look in looks.drain(..) {
                    health::take(engine, container, look).await;
                }
                match told {
                    Ok(Some(record)) => return Ok(End::Exited(record)),
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
            ended = pidfd.ready() => {
                ended.map_err(failed())?;
                break;
            }
        }
    }
    // The connection may close a moment before the process is gone, and the other way round.
    pidfd.ready().await.map_err(failed())?;
    match next(engine, container, watch.get(), &mut looks) {
        Ok(Some(record)) => Ok(End::Exited(record)),
        Ok(None) | Err(_) => Ok(End::ShimDied),
    }
}

fn duplicate(shim: &Shim) -> io::Result<OwnedFd> {
    shim.pidfd().try_clone_to_owned()
}

/// Takes all notices that are there; stops at the container's own end.
fn next(
    engine: &Engine,
    container: &Container,
    watch: &Watch,
    looks: &mut Vec<Looked>,
) -> Result<Option<ExitRecord>, shim::Error> {
    loop {
        match watch.try_next() {
            Ok(Some(Notice::Exited(record))) => return Ok(Some(record)),
            Ok(Some(Notice::ExecExited { id, code })) => exec::ended(engine, container, &id, code),
            Ok(Some(Notice::Looked {
                probed,
                status,
                failing,
            })) => looks.push(Looked {
                probed,
                status,
                failing,
            }),
            Ok(None) => return Ok(None),
            Err(error) => {
                if error.kind() != ErrorKind::Unavailable {
                    tracing::warn!(container = %container.id(), %error, "unexpected notice");
                }
                return Err(error);
            }
        }
    }
}

/// Records an end, wakes those who wait for it, and has what is left cleaned away.
fn conclude(engine: &Engine, container: &Arc<Container>, shim: &Arc<Shim>, change: Change) {
    let (told, all_told) = tokio::sync::oneshot::channel::<()>();
    let release = releasing(engine, container);
    let task = {
        let (engine, container, shim) = (engine.clone(), container.clone(), shim.clone());
        async move {
            drop(all_told.await);
            clean_up(&engine, &container, shim, release).await;
        }
    };
    // Known as under way before anybody is told that the end has come.
    engine.clean(task);
    let change = restarts::after(engine, container, change);
    let run = ran(container);
    end(engine, container, change);
    restarts::begin(engine, container, run);
    if container.fixed.spec.auto_remove && !container.live().held {
        remove::forget_ended(engine, container);
    }
    drop(told);
}

/// How long the run has lasted by now.
fn ran(container: &Container) -> Duration {
    let started = match container.lifecycle() {
        Lifecycle::Running { started, .. } => started,
        _ => return Duration::ZERO,
    };
    let nanos = clock::now().saturating_sub(started);
    Duration::from_nanos(nanos.try_into().unwrap_or(0))
}

/// Cleans up after a run whose end is known, as soon as its shim has served its last client.
pub(crate) fn await_shim(engine: &Engine, container: &Arc<Container>, shim: &Arc<Shim>) {
    container.set_clean(false);
    let (engine, container, shim) = (engine.clone(), container.clone(), shim.clone());
    let cleaner = engine.clone();
    let release = releasing(&engine, &container);
    cleaner.clean(async move { clean_up(&engine, &container, shim, release).await });
}

/// The shim ended without a notice: what it left on disk, or that it is lost.
async fn died(engine: &Engine, container: &Arc<Container>, shim: &Arc<Shim>) {
    let pid = shim.pid();
    let lost = {
        let container = container.clone();
        engine.blocking(move |engine| Ok(lost(engine, &container, pid)))
    };
    match lost.await {
        Ok(change) => conclude(engine, container, shim, change),
        Err(error) => tracing::error!(container = %container.id(), error = %error.chain(),
            "cannot look after a container whose shim died"),
    }
}

/// Kills what a dead shim left behind, and says how the container ended.
pub(crate) fn lost(engine: &Engine, container: &Container, pid: i32) -> Change {
    if let Err(error) = kill_leftovers(engine, container) {
        tracing::warn!(container = %container.id(), error = %error.chain(),
            "cannot kill what a shim left behind");
    }
    let kept = engine.storage().container_dir(container.id());
    match read_exit(&kept.join(EXIT_RECORD)) {
        Some(record) => Change::Exited(status_of(&record)),
        None => Change::Lost(ExitStatus {
            code: KILLED,
            oom_killed: false,
            finished: clock::now(),
            error: format!("its shim (pid {pid}) died"),
            reason: Reason::default(),
        }),
    }
}

/// Kills the container's processes and removes its cgroup. Its first process by itself too, in case
/// the cgroup cannot be read.
pub(crate) fn kill_leftovers(engine: &Engine, container: &Container) -> Result<(), Error> {
    if let Some(process) = container.lifecycle().process() {
        kill_process(process)?;
    }
    let path = cgroup_path(engine, &container.fixed.spec, container.id());
    remove_cgroup(engine, &path)
}

/// Kills all in a cgroup and removes it, if it is there.
pub(crate) fn remove_cgroup(engine: &Engine, path: &str) -> Result<(), Error> {
    let cgroup = match Cgroup::open(&engine.host().cgroups, path) {
        Ok(cgroup) => cgroup,
        Err(sys::cgroup::Error::File { source, .. })
            if source.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(());
        }
        Err(error) => return Err(Error::kernel(format!("open the cgroup {path}"))(error)),
    };
    cgroup
        .kill_all()
        .and_then(|()| cgroup.remove())
        .map_err(Error::kernel(format!("remove the cgroup {path}")))
}

/// SIGKILL to that very process, if it is still there.
pub(crate) fn kill_process(process: ProcessRef) -> Result<(), Error> {
    signal_process(process, Signal::KILL).map(drop)
}

/// A signal to that very process; false if it is gone.
pub(crate) fn signal_process(process: ProcessRef, signal: Signal) -> Result<bool, Error> {
    let failed = || format!("send {signal} to process {}", process.pid);
    let Some(pidfd) = sys::proc::open(process).map_err(Error::kernel(failed()))? else {
        return Ok(false);
    };
    match sys::pidfd::send_signal(&pidfd, signal) {
        Err(error) if error.errno == sys::Errno::SRCH => Ok(false),
        answer => answer.map(|()| true).map_err(Error::kernel(failed())),
    }
}

/// The record a shim left, if it did.
pub(crate) fn read_exit(path: &Path) -> Option<ExitRecord> {
    let text = std::fs::read(path).ok()?;
    serde_json::from_slice(&text).ok()
}

pub(crate) fn status_of(record: &ExitRecord) -> ExitStatus {
    ExitStatus {
        code: record.code,
        oom_killed: record.oom_killed,
        finished: record.finished,
        error: String::new(),
        reason: Reason {
            signal: record.signal,
            ..Reason::default()
        },
    }
}

/// An end with what is known of it here: who asked for it, and how much memory it might have.
pub(crate) fn explained(container: &Container, mut change: Change) -> Change {
    let Some(status) = change.status_mut() else {
        return change;
    };
    let asked = container.live().asked.take();
    status.reason.asked = asked.or(status.reason.asked.take());
    if status.oom_killed {
        let limit = container.spec().resources.memory;
        status.reason.memory = limit.filter(|limit| *limit > 0);
    }
    change
}

/// Records an end. It is a fact even where it cannot be written: memory has it in any case, and the
/// exit record on disk tells the next daemon.
pub(crate) fn end(engine: &Engine, container: &Arc<Container>, change: Change) {
    let run = ran(container);
    let change = explained(container, change);
    let tell = || tell_end(engine, container, &change, run);
    let keep = Some((engine.records(), Durability::Process));
    // What goes now needs no last words: a crash finds it running, its shim gone, and removes it.
    let goes = container.fixed.spec.auto_remove && !container.live().held;
    let written = container.step_and_tell(keep.filter(|_| !goes), change.clone(), tell);
    if let Err(error) = written {
        tracing::error!(container = %container.id(), error = %error.chain(),
            "cannot record the end of a container");
        drop(container.step_and_tell(None, change.clone(), tell));
    }
    volume::memory::release(engine, &container.resolved().mounts);
    exec::ended_with(engine, container);
}

/// A start that failed is no end of anything that ran.
fn tell_end(engine: &Engine, container: &Container, change: &Change, run: Duration) {
    let (Change::Exited(status) | Change::Again(status) | Change::Lost(status)) = change else {
        return;
    };
    if status.oom_killed {
        event::of_container(engine, container, "oom");
    }
    let more = [
        ("execDuration", run.as_secs().to_string()),
        ("exitCode", status.code.to_string()),
        // Docker's knows no such word.
        ("exitReason", in_line(&status.words())),
    ];
    network::told::of_run(engine, container, "disconnect");
    volume::told::unmounted(engine, container);
    event::of_container_with(engine, container, "die", more);
}

/// As attributes of events can be in a line, where they stand in parentheses with commas between them.
fn in_line(words: &str) -> String {
    let plain = words.replace(", ", "; ").replace(" (", ": ");
    plain.replace(['(', ')'], "")
}

/// Of a container that has an interface of its own: what it has there is about to be free.
fn releasing(engine: &Engine, container: &Container) -> Option<Release> {
    let connected = container.fixed.spec.network.is_connected();
    connected.then(|| engine.networks().releases.begin(container.id()))
}

/// Has its ports free before its shim has served its last client.
async fn unpublish(engine: &Engine, container: &Arc<Container>, release: Option<&Release>) {
    let Some(release) = release else {
        return;
    };
    if !container.status().ports.is_empty() {
        let container = container.clone();
        let work = move |engine: &Engine| network::attach::unpublish(engine, &container);
        if let Err(error) = engine.blocking(work).await {
            tracing::warn!(error = %error.chain(), "cannot let go of a container's ports");
            return;
        }
    }
    release.ports_are_free();
}

/// What may take its time: until here everybody who waited has been answered.
async fn clean_up(
    engine: &Engine,
    container: &Arc<Container>,
    shim: Arc<Shim>,
    release: Option<Release>,
) {
    unpublish(engine, container, release.as_ref()).await;
    if let Err(error) = shim_ends(&shim).await {
        tracing::warn!(container = %container.id(), error = %error.chain(), "a shim does not end");
    }
    let work = {
        let container = container.clone();
        engine.blocking(move |engine| {
            // Reaps it if it is ours.
            shim.has_ended();
            if let Err(error) = network::attach::release(engine, &container) {
                tracing::warn!(container = %container.id(), error = %error.chain(),
                    "cannot let go of a container's networks");
            }
            drop(release);
            // A shim that was killed amid its end leaves what it was about to remove.
            kill_leftovers(engine, &container)?;
            remove::remove_run_dir(engine, container.id())?;
            drop_shim(&container, &shim);
            match container.lifecycle() {
                // The answer to `wait` must not be taken back by a power cut.
                Lifecycle::Exited { .. }
                | Lifecycle::Dead { .. }
                | Lifecycle::Restarting { .. } => container.flush(engine.records()),
                _ => Ok(()),
            }
        })
    };
    if let Err(error) = work.await {
        tracing::warn!(container = %container.id(), error = %error.chain(),
            "cannot clean up after a container");
    }
    container.set_clean(true);
}

fn drop_shim(container: &Container, shim: &Arc<Shim>) {
    let mut live = container.live();
    if live.shim.as_ref().is_some_and(|s| Arc::ptr_eq(s, shim)) {
        live.no_shim();
    }
}

async fn shim_ends(shim: &Shim) -> Result<(), Error> {
    let failed = || Error::io(format!("wait for the shim with pid {}", shim.pid()));
    let pidfd = duplicate(shim).and_then(Readable::new).map_err(failed())?;
    if let Ok(ended) = tokio::time::timeout(SHIM_DRAIN, pidfd.ready()).await {
        return ended.map_err(failed());
    }
    sys::pidfd::send_signal(shim.pidfd(), Signal::KILL).map_err(Error::kernel("kill a shim"))?;
    pidfd.ready().await.map_err(failed())
}

/// Where a step says in its run directory which cgroup it has, when that is not below the engine's own.
pub(crate) const CGROUP_FILE: &str = "cgroup";

/// Kills and removes what belongs to no record: a cgroup left by an older run.
pub(crate) fn remove_orphan_cgroup(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    if let Ok(path) = std::fs::read_to_string(engine.run_dir(id).join(CGROUP_FILE)) {
        return remove_cgroup(engine, &path);
    }
    let spec = types::ContainerSpec::default();
    remove_cgroup(engine, &cgroup_path(engine, &spec, id))
}
