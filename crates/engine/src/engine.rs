//! What the verbs share.
//!
//! Background tasks, all owned by the engine and ended by [`Engine::close`]:
//! - `watchers`: one per running container ([`crate::supervise`]), one for the disk
//!   ([`crate::image::keep`]) and one that writes events ([`crate::event::keep`]); aborted, as recovery takes up their work.
//! - `cleaners`: files and run directories of what has ended; awaited for a while.

use std::collections::{HashMap, VecDeque};
use std::fs::{DirBuilder, Permissions};
use std::future::Future;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use std::time::Duration;

use ::network::keeper::Keeper;
use shim::Program;
use storage::{Records, Storage};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use types::{ContainerId, ExecId};

use crate::event::Ring;
use crate::exec::Session;
use crate::gone::Gone;
use crate::host::Host;
use crate::image::{Transfers, pull, registries};
use crate::network::forwarding::Mark;
use crate::network::table::Networks;
use crate::run_root;
use crate::secret::Vault;
use crate::table::{Container, Table, lock};
use crate::volume::Places;
use crate::{Config, Error, container, event, network, recover, steps, volume};

/// How long closing waits for what is cleaned away. A shim may go on serving its clients for longer;
/// the next engine cleans up after it.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Everything the verbs share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

/// An engine that does not keep itself: for what goes on for ever.
#[derive(Debug)]
pub(crate) struct Weak(std::sync::Weak<Inner>);

impl Weak {
    /// The engine, if anybody has it still.
    pub(crate) fn upgrade(&self) -> Option<Engine> {
        self.0.upgrade().map(|inner| Engine { inner })
    }
}

#[derive(Debug)]
struct Inner {
    config: Config,
    storage: Storage,
    records: Records,
    host: Host,
    /// The program of the shims, opened once.
    shim: Program,
    table: RwLock<Table>,
    execs: Mutex<HashMap<ExecId, Arc<Session>>>,
    /// Those whose container is gone, the oldest first.
    ownerless_execs: Mutex<VecDeque<ExecId>>,
    gone: Mutex<Gone>,
    events: Ring,
    registries: registries::Shared,
    pulls: Transfers<pull::Key>,
    networks: Networks,
    vault: Vault,
    places: Places,
    runtime: Handle,
    watchers: Mutex<JoinSet<()>>,
    cleaners: Mutex<JoinSet<()>>,
    closing: AtomicBool,
    /// Whether a shim is about to be prepared.
    preparing: AtomicBool,
}

impl Engine {
    /// Opens the store, takes back what runs, finishes what a crash interrupted. Must be called
    /// within a tokio runtime, which it uses for what it watches.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let runtime = Handle::current();
        let opening = runtime.clone();
        runtime
            .spawn_blocking(move || {
                let engine = Self::build(config, opening)?;
                network::recover::load(&engine)?;
                recover::recover(&engine)?;
                network::recover::recover(&engine)?;
                volume::memory::recover(&engine)?;
                container::restarts::resume(&engine);
                crate::forward::resume(&engine);
                engine.prepare_shim();
                engine.watch(crate::image::keep(engine.weak()));
                engine.watch(event::keep(engine.weak(), engine.events().reader(false)));
                Ok(engine)
            })
            .await
            .map_err(Error::kernel("open the engine"))?
    }

    fn build(config: Config, runtime: Handle) -> Result<Self, Error> {
        make_containers_dir(&config.run_root)?;
        let storage = Storage::open(&config.data_root)?;
        run_root::claim(&config.run_root, &config.data_root)?;
        let path = config.run_root.join("gone");
        let keeper = Keeper::new(config.network.keeper.clone(), config.run_root.clone());
        let host = Host::detect(config.selinux)?;
        let mark = Mark::new(&host.boot, &config.run_root)?;
        let gone = Gone::open(&path).map_err(Error::io(format!("read {}", path.display())))?;
        Ok(Self {
            inner: Arc::new(Inner {
                records: storage.records(),
                places: Places::read(&storage)?,
                storage,
                host,
                shim: Program::open(&config.shim),
                registries: registries::Shared::new(
                    config.registries.clone(),
                    config.signature_policy.clone(),
                )?,
                pulls: Transfers::default(),
                networks: Networks::new(config.network.clone(), keeper, mark),
                events: Ring::new(event::read(&config.run_root)),
                vault: Vault::new(&config.data_root, config.secret_key.as_deref()),
                config,
                table: RwLock::default(),
                execs: Mutex::default(),
                ownerless_execs: Mutex::default(),
                gone: Mutex::new(gone),
                runtime,
                watchers: Mutex::default(),
                cleaners: Mutex::default(),
                closing: AtomicBool::new(false),
                preparing: AtomicBool::new(false),
            }),
        })
    }

    /// The configuration it was opened with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Secrets.
    pub(crate) fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    /// Lets go of all containers, which go on running.
    pub async fn close(&self) {
        self.let_go().await;
        if let Err(error) = self.blocking(network::recover::leave).await {
            tracing::warn!(error = %error.chain(), "cannot take networks down");
        }
        if let Err(error) = self.blocking(Self::remove_cgroup_parent).await {
            tracing::warn!(error = %error.chain(), "cannot remove the containers' cgroup");
        }
    }

    /// Ends what goes on in the background, and writes down what is not written down yet.
    pub(crate) async fn let_go(&self) {
        self.inner.closing.store(true, Ordering::Release);
        let mut watchers = std::mem::take(&mut *lock(&self.inner.watchers));
        watchers.shutdown().await;
        let mut cleaners = std::mem::take(&mut *lock(&self.inner.cleaners));
        let dismissed = self.blocking(|engine| engine.shim().dismiss().map_err(Error::Task));
        if let Err(error) = dismissed.await {
            tracing::warn!(error = %error.chain(), "cannot end the shim that waits");
        }
        let clean = async { while cleaners.join_next().await.is_some() {} };
        if tokio::time::timeout(CLOSE_PATIENCE, clean).await.is_err() {
            cleaners.shutdown().await;
        }
        if let Err(error) = event::write(&self.config().run_root, self.events()) {
            tracing::warn!("the next daemon will not know some events: {error}");
        }
        self.networks().unwatch();
    }

    /// Unless a container runs, or another engine's.
    fn remove_cgroup_parent(&self) -> Result<(), Error> {
        let parent = &self.config().cgroup_parent;
        sys::cgroup::remove_if_empty(&self.host().cgroups, parent)
            .map_err(Error::kernel(format!("remove the cgroup {parent}")))
    }

    /// Waits until what is cleaned away in the background at this moment is gone.
    pub async fn settle(&self) {
        let mut cleaners = std::mem::take(&mut *lock(&self.inner.cleaners));
        while cleaners.join_next().await.is_some() {}
    }

    pub(crate) fn weak(&self) -> Weak {
        Weak(Arc::downgrade(&self.inner))
    }

    /// The store, for who makes images of its layers.
    pub fn storage(&self) -> &Storage {
        &self.inner.storage
    }

    pub(crate) fn records(&self) -> &Records {
        &self.inner.records
    }

    pub(crate) fn host(&self) -> &Host {
        &self.inner.host
    }

    pub(crate) fn shim(&self) -> &Program {
        &self.inner.shim
    }

    /// Has a shim wait for the next start, in the background: not having one costs that start half a
    /// millisecond and nothing else. Not at once: who has started a container first has what it wants, and
    /// a command that ends at once its end.
    pub(crate) fn prepare_shim(&self) {
        const AFTERWARDS: Duration = Duration::from_millis(3);
        let inner = &self.inner;
        if inner.closing.load(Ordering::Acquire) || inner.preparing.swap(true, Ordering::AcqRel) {
            return;
        }
        let engine = self.clone();
        let work = move || {
            engine.inner.preparing.store(false, Ordering::Release);
            let id = ContainerId::from_random([0; 32]);
            let length = engine.run_dir(&id).as_os_str().len();
            if let Err(error) = engine.shim().prepare(length) {
                tracing::debug!("no shim waits for the next start: {error}");
            }
        };
        inner.runtime.spawn(async move {
            tokio::time::sleep(AFTERWARDS).await;
            // Nobody waits for it.
            drop(tokio::task::spawn_blocking(work));
        });
    }

    /// Where its tasks run.
    pub fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    pub(crate) fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.inner
            .table
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.inner
            .table
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn execs(&self) -> MutexGuard<'_, HashMap<ExecId, Arc<Session>>> {
        lock(&self.inner.execs)
    }

    pub(crate) fn ownerless_execs(&self) -> MutexGuard<'_, VecDeque<ExecId>> {
        lock(&self.inner.ownerless_execs)
    }

    /// The networks.
    pub(crate) fn networks(&self) -> &Networks {
        &self.inner.networks
    }

    /// How registries are asked.
    pub(crate) fn registries(&self) -> &registries::Shared {
        &self.inner.registries
    }

    /// Where volumes are.
    pub(crate) fn places(&self) -> &Places {
        &self.inner.places
    }

    /// The pulls under way.
    pub(crate) fn pulls(&self) -> &Transfers<pull::Key> {
        &self.inner.pulls
    }

    /// What happened.
    pub(crate) fn events(&self) -> &Ring {
        &self.inner.events
    }

    /// How containers ended that went when they ended.
    pub(crate) fn gone(&self) -> MutexGuard<'_, Gone> {
        lock(&self.inner.gone)
    }

    /// Who is meant: a full id, a name or a unique prefix.
    pub(crate) fn find(&self, who: &str) -> Result<Arc<Container>, Error> {
        let found = self.table().find(who);
        match found {
            Err(Error::NoContainer(_)) => {
                network::links::find(self, who).ok_or_else(|| Error::NoContainer(who.to_owned()))
            }
            found => found,
        }
    }

    /// Socket and bundle of a container.
    pub(crate) fn run_dir(&self, id: &ContainerId) -> PathBuf {
        self.config().run_root.join("containers").join(id.as_str())
    }

    /// Refuses new work while the engine is being closed.
    pub(crate) fn accepts_work(&self) -> Result<(), Error> {
        if self.inner.closing.load(Ordering::Acquire) {
            return Err(Error::Closing);
        }
        Ok(())
    }

    /// Passes unless the step is the one told to fail.
    pub(crate) fn passed(&self, step: &'static str) -> Result<(), Error> {
        steps::passed(self.config(), step)
    }

    /// Runs what watches a container, until it ends or the engine is closed.
    pub(crate) fn watch(&self, task: impl Future<Output = ()> + Send + 'static) {
        spawn(&self.inner.watchers, &self.inner.runtime, task);
    }

    /// Runs what cleans up; closing waits for it.
    pub(crate) fn clean(&self, task: impl Future<Output = ()> + Send + 'static) {
        spawn(&self.inner.cleaners, &self.inner.runtime, task);
    }

    /// Runs blocking work away from the event loop.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let engine = self.clone();
        let done = self.inner.runtime.spawn_blocking(move || work(&engine));
        done.await.map_err(Error::kernel("run a task"))?
    }
}

/// Where containers' run directories are made. Their configurations hold environments, and so
/// secrets: nobody else may look in, also where an older version let them.
fn make_containers_dir(run_root: &Path) -> Result<(), Error> {
    let dir = run_root.join("containers");
    std::fs::create_dir_all(run_root)
        .and_then(|()| DirBuilder::new().recursive(true).mode(0o700).create(&dir))
        .and_then(|()| std::fs::set_permissions(&dir, Permissions::from_mode(0o700)))
        .map_err(Error::io(format!("make the directory {}", dir.display())))
}

fn spawn(
    tasks: &Mutex<JoinSet<()>>,
    runtime: &Handle,
    task: impl Future<Output = ()> + Send + 'static,
) {
    let mut tasks = lock(tasks);
    // Those that have ended are let go of here, so that the set stays as small as what runs.
    while tasks.try_join_next().is_some() {}
    tasks.spawn_on(task, runtime);
}
