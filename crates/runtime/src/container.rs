//! A container that runs, or has run.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci_spec::runtime::{Hook, LinuxNamespace, LinuxNamespaceType, LinuxResources, Spec};
use sys::cgroup::{OomWatch, Stats};
use sys::ns::Namespaces;
use types::{ProcessRef, Signal};

use crate::cgroup::{Group, cannot};
use crate::error::{Doing, Error};
use crate::hooks::{self, HookState};
use crate::prepare::{self, Plan, ProcessPlan};
use crate::resctrl::ResctrlPlan;
use crate::saved::SavedDirectory;
use crate::seccomp::Program;
use crate::{CreateRequest, Saved, SharedRoot};

/// A container whose command has been executed.
#[derive(Debug)]
pub struct Container {
    id: String,
    bundle: PathBuf,
    version: String,
    annotations: Option<HashMap<String, String>>,
    poststart: Vec<Hook>,
    poststop: Vec<Hook>,
    process: ProcessRef,
    pidfd: OwnedFd,
    pub(crate) cgroup: Group,
    /// The kinds of its namespaces that are not the host's.
    pub(crate) namespaces: Namespaces,
    /// What its first process was to be, which others take their defaults from.
    pub(crate) first: ProcessPlan,
    /// Its root, if that is not the one of a mount namespace of its own: see [`crate::init::root`].
    pub(crate) directory: Option<PathBuf>,
    /// The same, if it is mounted where others see it.
    shared_root: Option<SharedRoot>,
    /// Its groups of caches and bandwidth.
    pub(crate) resctrl: Option<ResctrlPlan>,
    /// Whether its pid namespace was made for it, so that its first process is the namespace's.
    rules_its_pid_namespace: bool,
    /// Compiled once; every process of the container gets it.
    pub(crate) seccomp: Option<Program>,
    /// Held, so that taking the mounts apart, which waits for the kernel's grace periods, is not
    /// part of the exit of the first process but of [`Container::destroy`].
    pub(crate) mounts: Option<OwnedFd>,
    /// SELinux's label of what is mounted for it.
    pub(crate) mount_label: Option<String>,
    /// The numbers of what was mounted for it, by where that was, as far as this process saw to it.
    pub(crate) mounted: Mutex<BTreeMap<PathBuf, u64>>,
}

impl Container {
    pub(crate) fn new(
        request: &CreateRequest<'_>,
        process: ProcessRef,
        pidfd: OwnedFd,
        cgroup: Group,
        plan: Plan,
        seccomp: Option<Program>,
    ) -> Self {
        let spec = request.spec;
        Self {
            id: request.id.to_owned(),
            bundle: request.bundle.to_owned(),
            version: spec.version().clone(),
            annotations: spec.annotations().clone(),
            poststart: hooks::list(spec, |hooks| hooks.poststart()).to_vec(),
            poststop: hooks::list(spec, |hooks| hooks.poststop()).to_vec(),
            process,
            pidfd,
            cgroup,
            namespaces: plan.namespaces.all(),
            directory: directory(request.bundle, spec),
            shared_root: plan.shared_root,
            resctrl: plan.resctrl,
            first: plan.process,
            rules_its_pid_namespace: plan.namespaces.new.contains(Namespaces::PID),
            seccomp,
            mounts: None,
            mount_label: plan.mount_label,
            mounted: Mutex::default(),
        }
    }

    /// Finds a container that another process created. None if its first process has been reaped:
    /// what is left then is for [`Container::remove_remains`].
    pub fn load(saved: &Saved, spec: &Spec) -> Result<Option<Self>, Error> {
        let opened = sys::proc::open(saved.process);
        let Some(pidfd) = opened.doing(|| format!("find process {}", saved.process.pid))? else {
            return Ok(None);
        };
        let linux = spec.linux().clone().unwrap_or_default();
        let cgroup = Group::recall(saved)?;
        let process = spec.process().clone().unwrap_or_default();
        Ok(Some(Self {
            directory: directory(&saved.bundle, spec),
            shared_root: saved.shared_root.clone(),
            resctrl: crate::resctrl::plan(spec, &saved.id)?,
            first: prepare::first_process(&process, &linux)?,
            id: saved.id.clone(),
            bundle: saved.bundle.clone(),
            version: spec.version().clone(),
            annotations: spec.annotations().clone(),
            poststart: hooks::list(spec, |hooks| hooks.poststart()).to_vec(),
            poststop: hooks::list(spec, |hooks| hooks.poststop()).to_vec(),
            process: saved.process,
            pidfd,
            cgroup,
            namespaces: Namespaces::from_bits_truncate(saved.namespaces),
            rules_its_pid_namespace: false,
            seccomp: crate::seccomp::compile(&linux)?,
            mounts: None,
            mount_label: linux.mount_label().clone(),
            mounted: Mutex::default(),
        }))
    }

    /// What a later process needs to find it again.
    pub fn saved(&self) -> Saved {
        Saved {
            id: self.id.clone(),
            bundle: self.bundle.clone(),
            process: self.process,
            cgroup: self.cgroup.files.path().to_owned(),
            directories: SavedDirectory::all(&self.cgroup.files),
            unit: self.cgroup.unit().map(str::to_owned),
            shared_root: self.shared_root.clone(),
            namespaces: self.namespaces.bits(),
        }
    }

    /// Keeps in mind which mounts were made at its start.
    pub(crate) fn remember_mounts(&self, targets: Vec<PathBuf>, ids: Vec<u64>) {
        let each = targets.into_iter().zip(ids);
        let known = each.filter(|(_, id)| *id != 0);
        let known = known.map(|(target, id)| (crate::later::plain(&target), id));
        self.mounted().extend(known);
    }

    pub(crate) fn mounted(&self) -> MutexGuard<'_, BTreeMap<PathBuf, u64>> {
        self.mounted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn bundle(&self) -> &Path {
        &self.bundle
    }

    /// Its first process.
    pub fn process(&self) -> ProcessRef {
        self.process
    }

    /// A descriptor of the first process: readable when it has ended.
    pub fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Every process in its cgroup, by the caller's pid namespace.
    pub fn pids(&self) -> Result<Vec<i32>, Error> {
        self.cgroup
            .files
            .pids()
            .map_err(|source| cannot("list", source))
    }

    /// Signals the first process.
    pub fn kill(&self, signal: Signal) -> Result<(), Error> {
        sys::pidfd::send_signal(&self.pidfd, signal)
            .doing(|| format!("send {signal} to the container's process"))
    }

    /// Stops every process in its cgroup until [`Container::resume`].
    pub fn pause(&self) -> Result<(), Error> {
        self.cgroup
            .files
            .freeze()
            .map_err(|source| cannot("freeze", source))
    }

    /// Undoes [`Container::pause`].
    pub fn resume(&self) -> Result<(), Error> {
        self.cgroup
            .files
            .thaw()
            .map_err(|source| cannot("thaw", source))
    }

    /// Whether its processes are stopped, by [`Container::pause`] or by somebody else.
    pub fn is_paused(&self) -> bool {
        self.cgroup.files.is_frozen()
    }

    /// Changes the limits of its cgroup to these. They are all it has, so what is to stay must be
    /// among them ([`crate::merge_resources`]); but without device rules access to devices stays.
    pub fn update(&self, resources: &LinuxResources) -> Result<(), Error> {
        self.cgroup.update(resources)
    }

    /// Shares caches and memory bandwidth by other schemas: those of `linux.intelRdt` of this
    /// configuration. A container without a group of resctrl gets one.
    pub fn update_shares(&self, spec: &Spec) -> Result<(), Error> {
        match crate::resctrl::plan(spec, &self.id)? {
            Some(plan) => crate::resctrl::update(&plan, &self.pids()?),
            None => Ok(()),
        }
    }

    /// What it has used.
    pub fn stats(&self) -> Result<Stats, Error> {
        let stats = self.cgroup.files.stats();
        stats.map_err(|source| cannot("read the counts of", source))
    }

    /// Watches for the out-of-memory killer. None where memory is not accounted.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>, Error> {
        let watch = self.cgroup.files.watch_oom();
        watch.map_err(|source| cannot("watch", source))
    }

    /// Whether the out-of-memory killer has struck in its cgroup.
    pub fn oom_killed(&self) -> bool {
        self.cgroup.files.oom_killed().unwrap_or(false)
    }

    /// Kills whatever is left in the cgroup and removes it. After the first process has been reaped.
    pub fn destroy(self) -> Result<(), Error> {
        // The end of the first process of a pid namespace is the end of all: the kernel has killed
        // and reaped them before it let that one be reaped. Looking for them costs a hundred calls.
        if !self.rules_its_pid_namespace || self.cgroup.remove().is_err() {
            self.cgroup.destroy()?;
        }
        if let Some(resctrl) = &self.resctrl {
            crate::resctrl::remove(resctrl)?;
        }
        self.shared_root
            .as_ref()
            .map_or(Ok(()), SharedRoot::remove)?;
        hooks::run_poststop(&self.poststop, self.hook_state());
        Ok(())
    }

    /// Kills and reaps the first process, then destroys.
    pub fn kill_and_destroy(self) -> Result<(), Error> {
        match self.kill(Signal::KILL) {
            // It may have ended, and even have been reaped, by itself.
            Ok(())
            | Err(Error::System {
                source:
                    sys::Error {
                        errno: sys::Errno::SRCH,
                        ..
                    },
                ..
            }) => {}
            Err(error) => return Err(error),
        }
        match sys::pidfd::wait(&self.pidfd) {
            Ok(_) => {}
            // Somebody else's child, or reaped already.
            Err(error) if error.errno == sys::Errno::CHILD => {}
            Err(error) => return Err(error).doing(|| "reap the container's process".to_owned()),
        }
        self.destroy()
    }

    /// Processes of a container, whether its first one is still there or not.
    pub fn remaining(saved: &Saved) -> Result<Vec<i32>, Error> {
        let group = Group::load(saved)?;
        group.files.pids().map_err(|source| cannot("list", source))
    }

    /// Removes what may be left where the maker of a container was killed: what
    /// [`crate::planned_cgroup`] said, with whatever is in it.
    pub fn remove_unfinished(planned: &str) -> Result<(), Error> {
        crate::cgroup::remove_planned(planned)
    }

    /// Removes what is left of a container whose first process is gone.
    pub fn remove_remains(saved: &Saved, spec: &Spec) -> Result<(), Error> {
        Group::remove_remains(saved)?;
        if let Some(resctrl) = crate::resctrl::plan(spec, &saved.id)? {
            crate::resctrl::remove(&resctrl)?;
        }
        let shared = saved.shared_root.as_ref();
        shared.map_or(Ok(()), SharedRoot::remove)?;
        let state = HookState::new(spec, &saved.id, &saved.bundle);
        hooks::run_poststop(hooks::list(spec, |hooks| hooks.poststop()), state);
        Ok(())
    }

    /// Runs the configuration's poststart hooks; one that fails is the container's end. For callers of [`crate::open_gate`]; otherwise
    /// [`crate::Created::start`] has done it.
    pub fn run_poststart_hooks(&self) -> Result<(), Error> {
        if self.poststart.is_empty() {
            return Ok(());
        }
        let state = self.hook_state().json("running", Some(self.process.pid));
        hooks::run(&self.poststart, "poststart", &state, hooks::HERE).inspect_err(|_| {
            // It may have ended by itself.
            let _ = self.kill(Signal::KILL);
        })
    }

    /// Whether its mounts are in a namespace that is neither its own nor the caller's.
    pub(crate) fn shares_joined_mounts(&self) -> bool {
        self.shared_root.is_some() && self.namespaces.contains(Namespaces::MOUNT)
    }

    pub(crate) fn hook_state(&self) -> HookState<'_> {
        HookState {
            version: &self.version,
            id: &self.id,
            bundle: &self.bundle,
            annotations: self.annotations.as_ref(),
        }
    }
}

/// The directory that processes change to where the mounts are not the container's own.
fn directory(bundle: &Path, spec: &Spec) -> Option<PathBuf> {
    let namespaces = spec.linux().as_ref()?.namespaces().iter().flatten();
    let new = |namespace: &LinuxNamespace| {
        let path = namespace.path().as_ref();
        namespace.typ() == LinuxNamespaceType::Mount
            && path.is_none_or(|path| path.as_os_str().is_empty())
    };
    match namespaces.into_iter().any(new) {
        true => None,
        false => Some(bundle.join(spec.root().as_ref()?.path())),
    }
}
