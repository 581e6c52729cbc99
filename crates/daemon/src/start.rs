//! The composition root: everything is built here, in the order of what needs what, and taken down
//! backwards.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::client::Endpoint;
use clap::Parser;
use engine::Engine;
use engine::container::Runtimes;
use sys::file::Lock;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::accept::{Connections, Entrance};
use crate::access::audit::Audit;
use crate::access::tls;
use crate::app::App;
use crate::config::{self, Config, Flags};
use crate::http::line::Phase;
use crate::http::resumed;
use crate::http::serve::Left;
use crate::shutdown::{self, Asked, LAST_WORDS, Signals};
use crate::telemetry::{self, Collector, Telemetry};
use crate::upgrade::{self, Leaving, Legacy};
use crate::upgrades::Upgrades;
use crate::{accept, log, metrics, notify, places, rest, socket};

/// Threads that run the event loop: they only pass things on.
const MOST_WORKERS: usize = 4;

/// Pages of a stack are used only when touched; the deepest are those of image archives.
const STACK: usize = 1 << 20;

/// Malloc keeps a pool a thread by default: with threads that come and go that is mere waste.
const ARENAS: usize = 2;

/// How long connections may take to leave on a machine that has other work.
const TO_LEAVE: Duration = Duration::from_secs(10);

/// Descriptors wanted: a few a container.
const DESCRIPTORS: u64 = 1 << 20;

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error("another brigd uses {}: stop it, or choose another --{key}", path.display())]
    Locked { path: PathBuf, key: &'static str },
    #[error("cannot prepare {}", path.display())]
    Root { path: PathBuf, source: io::Error },
    #[error("cannot lock {}", path.display())]
    Lock { path: PathBuf, source: sys::Error },
    #[error("cannot write {}", path.display())]
    PidFile { path: PathBuf, source: sys::Error },
    #[error(transparent)]
    Socket(#[from] socket::Error),
    #[error("cannot encrypt connections")]
    Tls(#[from] tls::Error),
    #[error("cannot open the audit log {}", path.display())]
    Audit { path: PathBuf, source: io::Error },
    #[error("cannot show metrics at {address}")]
    Metrics {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot trace requests")]
    Telemetry(#[from] telemetry::CollectorError),
    #[error("{0}")]
    Engine(String),
    #[error("cannot take over from another daemon")]
    Upgrade(#[from] upgrade::Error),
    #[error("cannot start the event loop")]
    Runtime(#[source] io::Error),
    #[error("no step is called {0:?}; --fail-at list names them")]
    Step(String),
}

/// Runs the daemon until it is told to stop.
pub fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// The last word, on standard error: whoever started the daemon looks there.
#[expect(
    clippy::print_stderr,
    reason = "the daemon may not log yet, or not any more"
)]
fn complain(error: &dyn std::error::Error) {
    eprintln!("brigd: {}", chain(error));
}

/// All layers in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn run(flags: &Flags) -> Result<(), Error> {
    if flags.fail_at.as_deref() == Some("list") {
        list_steps();
        return Ok(());
    }
    let mut legacy = upgrade::found()?;
    let program = upgrade::program()?;
    let config = read_config(flags)?;
    if flags.validate {
        valid();
        return Ok(());
    }
    let level = log::start(config.log_level, config.log_format);
    prepare_process();
    let locks = lock_roots(&config, std::mem::take(&mut legacy.locks))?;
    write_pid(&config)?;
    let upgrades = Upgrades::new(program.clone()).map_err(|error| Error::Runtime(error.into()))?;
    let upgrades = Arc::new(upgrades);
    let runtime = runtime()?;
    let result = loop {
        match runtime.block_on(serve(flags, (&config, &level), &upgrades, legacy)) {
            Ok(End::Stopped) => break Ok(()),
            Ok(End::Leaving(leaving)) => legacy = replaced(&program, *leaving, &locks, &upgrades)?,
            Err(error) => break Err(error),
        }
    };
    if let Some(path) = &config.pid_file {
        // It may have been taken away already.
        let _ = std::fs::remove_file(path);
    }
    // Blocking work that is left belongs to requests that were cut off: it is not waited for.
    runtime.shutdown_background();
    result
}

/// How serving came to its end.
enum End {
    Stopped,
    /// Another program goes on with this.
    Leaving(Box<Leaving>),
}

/// Becomes the new program; if that fails, what it would have found, for this one to go on with.
fn replaced(
    program: &Path,
    leaving: Leaving,
    locks: &[Lock; 2],
    upgrades: &Upgrades,
) -> Result<Legacy, Error> {
    let handover = upgrade::hand_over(leaving, locks)?;
    let error = upgrade::execute(program, &handover);
    goes_on(&error, upgrades);
    let mut legacy = upgrade::read(handover)?;
    // They are still held.
    legacy.locks.clear();
    Ok(legacy)
}

/// No other program has taken this one's place.
fn goes_on(error: &upgrade::Error, upgrades: &Upgrades) {
    let why = chain(error);
    tracing::error!("this daemon goes on: {why}");
    upgrades.failed(why);
}

/// In Docker's words.
#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn valid() {
    println!("configuration OK");
}

#[expect(clippy::print_stdout, reason = "it is what was asked for")]
fn list_steps() {
    for step in engine::steps() {
        println!("{step}");
    }
}

fn read_config(flags: &Flags) -> Result<Config, Error> {
    let names: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    if let Some(error) = config::unknown_variable(names.iter().map(String::as_str)) {
        return Err(config::Error::from(error).into());
    }
    let config = config::load(
        flags,
        |name| std::env::var(name).ok(),
        Path::new(config::DEFAULT_FILE),
    )?;
    match &config.fail_at {
        Some(step) if !engine::steps().contains(&step.trim_end_matches(engine::DIES)) => {
            Err(Error::Step(step.clone()))
        }
        _ => Ok(config),
    }
}

/// Settings of the process itself. None of them is worth not starting for.
fn prepare_process() {
    sys::memory::limit_arenas(ARENAS);
    if let Err(error) = sys::rlimit::raise("NOFILE", DESCRIPTORS) {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}

/// One daemon a data root and a run root; the locks of the daemon before this one are this one's.
fn lock_roots(config: &Config, inherited: Vec<OwnedFd>) -> Result<[Lock; 2], Error> {
    if let Ok(both) = <[OwnedFd; 2]>::try_from(inherited) {
        return Ok(both.map(Lock::adopt));
    }
    let failed = |path: &PathBuf| {
        let path = path.clone();
        move |source| Error::Root { path, source }
    };
    socket::make_dir(&config.run_root).map_err(failed(&config.run_root))?;
    socket::make_private_dir(&config.data_root).map_err(failed(&config.data_root))?;
    let roots = [
        (&config.run_root, "run-root", "brigd.pid"),
        (&config.data_root, "data-root", "brigd.lock"),
    ];
    let [run, data] = roots.map(|(root, key, name)| {
        let path = root.join(name);
        let lock = Lock::take(&path).map_err(|source| Error::Lock {
            path: path.clone(),
            source,
        })?;
        lock.ok_or_else(|| Error::Locked {
            path: root.clone(),
            key,
        })
    });
    Ok([run?, data?])
}

fn write_pid(config: &Config) -> Result<(), Error> {
    let Some(path) = &config.pid_file else {
        return Ok(());
    };
    let pid = format!("{}\n", std::process::id());
    sys::file::replace_unsynced(path, pid.as_bytes(), 0o644).map_err(|source| Error::PidFile {
        path: path.clone(),
        source,
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.clamp(2, MOST_WORKERS))
        .max_blocking_threads(places::THREADS)
        .thread_stack_size(STACK)
        .thread_name("brigd")
        .enable_all()
        .build()
        .map_err(Error::Runtime)
}

async fn serve(
    flags: &Flags,
    (config, level): (&Config, &log::Level),
    upgrades: &Arc<Upgrades>,
    mut legacy: Legacy,
) -> Result<End, Error> {
    let mut signals = Signals::new().map_err(Error::Runtime)?;
    let tls = config.access.tls.as_ref().map(tls::acceptor).transpose()?;
    let entrances = accept::entrances(config, std::mem::take(&mut legacy.listeners)).await?;
    let metrics = listen_for_metrics(config, legacy.metrics.take()).await?;
    let audit = open_audit(config)?;
    let (said, told) = watch::channel(false);
    let (telemetry, sending) = begin_telemetry(config, told)?.unzip();
    let sending = sending.map(tokio::spawn);
    let engine = open_engine(config).await?;
    engine.take_over(std::mem::take(&mut legacy.engine));
    let warnings = exposed(config);
    warnings.iter().for_each(|line| tracing::warn!("{line}"));
    let upgrades = upgrades.clone();
    let app = App::new(
        engine.clone(),
        warnings,
        config,
        (audit, telemetry),
        upgrades,
    );
    let app = Arc::new(app);
    let open = Open::new(&app, entrances, tls, metrics, &mut legacy);
    let manager = std::env::var_os("NOTIFY_SOCKET");
    notify::notify(manager.as_deref(), "READY=1");
    announce(config, &engine, legacy.from.as_deref());
    app.spawn_endless(rest::when_idle(app.busy.clone()));
    loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            () = app.upgrades.asked() => Asked::Upgrade,
        };
        match asked {
            Asked::Reload => {
                reload(flags, level, &app);
                app.audit.iter().for_each(Audit::reopen);
            }
            Asked::Stop => break,
            Asked::Upgrade => match may_leave(&app).await {
                Ok(()) => {
                    let leaving = Box::new(open.leave(&app).await);
                    let _ = said.send(true);
                    if let Some(sending) = sending {
                        drop(sending.await);
                    }
                    return Ok(End::Leaving(leaving));
                }
                Err(error) => goes_on(&error, &app.upgrades),
            },
        }
    }
    tracing::info!("stopping; containers go on");
    notify::notify(manager.as_deref(), "STOPPING=1");
    open.close(&app).await;
    let _ = said.send(true);
    if let Some(sending) = sending {
        // It has an end of its own.
        drop(sending.await);
    }
    engine.close().await;
    Ok(End::Stopped)
}

/// Until all that is under way has come to its end, and the door is closed.
async fn may_leave(app: &App) -> Result<(), upgrade::Error> {
    let program = app.upgrades.program();
    tracing::info!("{} is to take over", program.display());
    upgrade::check(program).await?;
    upgrade::close_door(app).await
}

/// Everything that is served.
struct Open {
    stop: watch::Sender<bool>,
    accepting: JoinSet<(Option<Entrance>, Connections)>,
    metrics: JoinSet<TcpListener>,
}

impl Open {
    fn new(
        app: &Arc<App>,
        entrances: Vec<Entrance>,
        tls: Option<TlsAcceptor>,
        metrics: Option<TcpListener>,
        legacy: &mut Legacy,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut open = Self {
            stop,
            accepting: JoinSet::new(),
            metrics: JoinSet::new(),
        };
        let doors: Vec<_> = entrances.iter().map(|one| one.door.clone()).collect();
        let mut known = JoinSet::new();
        for left in legacy.connections(&doors) {
            let serving = app.lines.serve();
            let go_on = resumed::go_on(app.clone(), left, stopping.clone());
            known.spawn(async move {
                let left = go_on.await;
                drop(serving);
                left
            });
        }
        for entrance in entrances {
            let accept = accept::accept(app.clone(), entrance, tls.clone(), stopping.clone());
            open.accepting.spawn(accept);
        }
        let mut stopped = stopping.clone();
        open.accepting.spawn(async move {
            // Its sender lives as long as anything is served.
            let _ = stopped.wait_for(|stop| *stop).await;
            (None, known)
        });
        if let Some(listener) = metrics {
            let serve = metrics::serve(app.clone(), listener, stopping);
            open.metrics.spawn(serve);
        }
        open
    }

    /// Ends everything, what has an end after that.
    async fn close(mut self, app: &Arc<App>) {
        let _ = self.stop.send(true);
        let mut connections = JoinSet::new();
        while let Some(Ok((_, mut of_listener))) = self.accepting.join_next().await {
            connections.spawn(async move { while of_listener.join_next().await.is_some() {} });
        }
        shutdown::finish(app, &self.stop, connections).await;
    }

    /// Lets go of everything as it is.
    async fn leave(mut self, app: &Arc<App>) -> Leaving {
        app.lines.set(Phase::Leave);
        let _ = self.stop.send(true);
        let (mut entrances, mut connections) = (Vec::new(), Vec::new());
        while let Some(Ok((entrance, mut of_listener))) = self.accepting.join_next().await {
            entrances.extend(entrance);
            connections.extend(all_left(app, &mut of_listener).await);
        }
        let metrics = self.metrics.join_next().await.and_then(Result::ok);
        app.close().await;
        tracing::info!(connections = connections.len(), "another program goes on");
        Leaving {
            entrances,
            connections,
            metrics,
            engine: app.engine.leave().await,
        }
    }
}

/// Those that leave, however long they take to be run; those that are encrypted stay behind, and break off.
async fn all_left(app: &App, connections: &mut Connections) -> Vec<Left> {
    let begun = Instant::now();
    let mut all = Vec::new();
    loop {
        match tokio::time::timeout(LAST_WORDS, connections.join_next()).await {
            Ok(Some(left)) => all.extend(left.ok().flatten()),
            Ok(None) => return all,
            Err(_) if app.lines.serves() && begun.elapsed() < TO_LEAVE => {}
            Err(_) => return all,
        }
    }
}

async fn listen_for_metrics(
    config: &Config,
    inherited: Option<OwnedFd>,
) -> Result<Option<TcpListener>, Error> {
    let Some(address) = config.access.metrics else {
        return Ok(None);
    };
    let inherited = inherited.and_then(|fd| TcpListener::from_std(fd.into()).ok());
    let inherited = inherited.filter(|one| {
        let own = one.local_addr();
        own.is_ok_and(|own| own.ip() == address.ip() && [own.port(), 0].contains(&address.port()))
    });
    let listener = match inherited {
        Some(listener) => Ok(listener),
        None => metrics::listen(address).await,
    };
    let listener = listener.map_err(|source| Error::Metrics { address, source })?;
    let shown = listener.local_addr().unwrap_or(address);
    tracing::info!("metrics are shown at http://{shown}/metrics");
    Ok(Some(listener))
}

fn open_audit(config: &Config) -> Result<Option<Audit>, Error> {
    let Some(path) = &config.access.audit_log else {
        return Ok(None);
    };
    let failed = |source| Error::Audit {
        path: path.clone(),
        source,
    };
    Audit::open(path).map(Some).map_err(failed)
}

/// Where traces go, and the task that sends them.
fn begin_telemetry(
    config: &Config,
    stop: watch::Receiver<bool>,
) -> Result<Option<(Telemetry, impl Future<Output = ()> + Send + 'static)>, Error> {
    let settings = match &config.telemetry {
        Ok(settings) => settings,
        // Variables that others have, too, and that may be meant for them.
        Err(ignored) => {
            tracing::warn!("requests are not traced: {ignored}");
            return Ok(None);
        }
    };
    let Some(settings) = settings else {
        return Ok(None);
    };
    let collector = Collector::new(settings)?;
    tracing::info!("requests are traced, for {}", settings.endpoint);
    Ok(Some(Telemetry::new(settings, collector, stop)))
}

async fn open_engine(config: &Config) -> Result<Engine, Error> {
    let config = engine::Config {
        data_root: config.data_root.clone(),
        run_root: config.run_root.clone(),
        cgroup_parent: config.cgroup_parent.clone(),
        shim: config.shim.clone(),
        init: config.init.clone(),
        foreign_runtime: config.runtime.clone(),
        runtimes: Runtimes::new(config.runtimes.clone()),
        cdi_dirs: config.cdi_spec_dirs.clone(),
        selinux: config.selinux_enabled,
        usual: config.usual.clone(),
        network: config.network.clone(),
        registries: config.registries.clone(),
        upkeep: config.upkeep,
        signature_policy: config.signature_policy.clone(),
        secret_key: config.access.secret_key.clone(),
        user_ids: config.user_ids.clone(),
        fail_at: config.fail_at.clone(),
    };
    Engine::open(config)
        .await
        .map_err(|error| Error::Engine(error.chain()))
}

/// Where everybody who gets through may do everything.
fn exposed(config: &Config) -> Vec<String> {
    let how = match &config.access.tls {
        Some(files) if files.authorities.is_some() => return Vec::new(),
        Some(_) => "without client certificates",
        None => "without encryption",
    };
    let hosts = config.hosts.iter();
    let tcp = hosts.filter(|host| matches!(host, Endpoint::Tcp(_)));
    tcp.map(|host| {
        format!(
            "WARNING: API is accessible on {host} {how}: \
             access to it is equivalent to root access on this machine"
        )
    })
    .collect()
}

fn announce(config: &Config, engine: &Engine, from: Option<&str>) {
    let version = env!("CARGO_PKG_VERSION");
    if let Some(from) = from {
        engine::event::upgraded(engine, &crate::identity::read(engine), from, version);
    }
    let hosts: Vec<String> = config.hosts.iter().map(ToString::to_string).collect();
    let file = config
        .file
        .as_ref()
        .map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    tracing::info!(
        version,
        upgraded_from = from,
        config = file,
        data_root = %config.data_root.display(),
        "listening on {}",
        hosts.join(" and ")
    );
}

/// SIGHUP: the level of logging, how registries are reached, what images have to be signed by, other
/// runtimes, and what new containers have and `info` tells are read again, the rest needs a restart. A
/// mistake leaves everything as it was.
fn reload(flags: &Flags, level: &log::Level, app: &App) {
    let stays = |why: String| tracing::error!("the configuration stays as it was: {why}");
    let config = match read_config(flags) {
        Ok(config) => config,
        Err(error) => return stays(chain(&error)),
    };
    let engine = &app.engine;
    let (registries, policy) = (config.registries.clone(), config.signature_policy.clone());
    if let Err(error) = engine::image::registries::reload(engine, registries, policy) {
        return stays(error.chain());
    }
    let filter = tracing::level_filters::LevelFilter::from_level(config.log_level);
    // It fails only when logging has been taken down.
    let _ = level.reload(filter);
    app.reload(&config);
    engine::event::reloaded(engine, &crate::identity::read(engine));
    tracing::info!(
        "log level is {}, registries are read again, and so is the signature policy, with runtimes, labels, \
         shutdown-timeout and what containers have by default; other settings need a restart",
        config.log_level
    );
}
