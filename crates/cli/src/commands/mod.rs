//! One verb, one file; and the table of all verbs.

pub mod absent;
mod attach;
mod build;
mod builder_prune;
mod buildx;
mod check;
mod commit;
mod completion;
mod container_prune;
mod context_create;
mod context_inspect;
mod context_ls;
mod context_rm;
mod context_transfer;
mod context_use;
mod cp;
mod create;
mod df;
mod dial_stdio;
mod diff;
mod events;
mod exec;
mod export;
mod history;
mod image_inspect;
mod image_mount;
mod image_prune;
mod images;
mod import;
mod info;
mod inspect;
mod kill;
mod load;
mod login;
mod logout;
mod logs;
mod logs_merged;
mod man;
mod manifest;
mod manifest_annotate;
mod manifest_create;
mod manifest_inspect;
mod manifest_push;
mod manifest_rm;
mod many;
mod network_connect;
mod network_create;
mod network_explain;
mod network_inspect;
mod network_ls;
mod network_prune;
mod network_rm;
mod pause;
mod port;
mod ps;
mod pull;
mod push;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod search;
mod secret_create;
mod secret_ls;
mod start;
mod stats;
mod stop;
mod system_prune;
mod tag;
mod top;
mod top_live;
mod unpause;
mod update;
mod upgrade;
mod version;
mod volume_change;
mod volume_create;
mod volume_inspect;
mod volume_ls;
mod volume_prune;
mod volume_rm;
mod volume_transfer;
mod wait;

pub(crate) use load::stdin;

use std::future::Future;
use std::os::fd::AsFd as _;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Command, FromArgMatches};

use crate::args::build as b;
use crate::args::builds as d;
use crate::args::container::{CreateArgs, RunArgs};
use crate::args::containers as c;
use crate::args::contexts as x;
use crate::args::images as i;
use crate::args::networks as n;
use crate::args::registry as r;
use crate::args::secrets as s;
use crate::args::volumes as v;
use crate::args::{Arity, Globals, Invocation, Verb};
use crate::connect::Daemon;
use crate::error::{CliError, Manner};
use crate::resolve::Surroundings;
use crate::terminal;

/// What every verb is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// The daemon; not connected yet.
    pub(crate) daemon: Daemon,
    /// Whether more is to be said than usual.
    pub(crate) debug: bool,
}

impl Context {
    /// Seconds since the epoch.
    pub(crate) fn now() -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|d| i64::try_from(d.as_secs()).ok())
            .unwrap_or_default()
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn now_exactly() -> i128 {
        let age = SystemTime::now().duration_since(UNIX_EPOCH);
        age.map_or(0, |age| i128::try_from(age.as_nanos()).unwrap_or(i128::MAX))
    }

    /// Calls `use_them` with the caller's environment and files.
    pub(crate) fn surroundings<T>(
        use_them: impl FnOnce(&Surroundings<'_>) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let cwd = std::env::current_dir().map_err(|source| CliError::Io {
            what: "find the working directory",
            source,
        })?;
        use_them(&Surroundings {
            env: &|name| std::env::var(name).ok(),
            read: &|path| std::fs::read_to_string(path),
            cwd,
            window: terminal::window(),
        })
    }
}

/// Standard output as a file.
pub(crate) fn stdout() -> std::io::Result<std::fs::File> {
    let owned = std::io::stdout().as_fd().try_clone_to_owned();
    owned.map(Into::into)
}

/// How a verb reports its failures.
pub(crate) fn manner(verb: &Verb) -> Manner {
    match verb.name() {
        "run" => Manner::Runs,
        "exec" | "start" => Manner::Execs,
        _ => Manner::Plain,
    }
}

/// Flags of a derived struct.
fn flags<A: Args>(command: Command) -> Command {
    A::augment_args(command)
}

/// Reads the flags and runs the verb on a runtime of one thread.
fn enter<A, F>(
    invocation: &mut Invocation,
    verb: impl FnOnce(A, Context) -> F,
) -> Result<u8, CliError>
where
    A: FromArgMatches,
    F: Future<Output = Result<u8, CliError>>,
{
    let args = A::from_arg_matches_mut(&mut invocation.matches)
        .map_err(|error| CliError::Invalid(error.to_string()))?;
    served(&invocation.globals, |context| verb(args, context))
}

/// Runs what needs the daemon on a runtime of one thread.
fn served<F>(globals: &Globals, verb: impl FnOnce(Context) -> F) -> Result<u8, CliError>
where
    F: Future<Output = Result<u8, CliError>>,
{
    let context = Context {
        daemon: Daemon::find(globals)?,
        debug: globals.tells_requests(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // A signal that came to one of the others would end the client instead of being passed on.
        .on_thread_start(|| {
            // Without it they are as they were before.
            let _ = sys::event::leave_signals();
        })
        .build()
        .map_err(|source| CliError::Io {
            what: "start the runtime",
            source,
        })?;
    let result = runtime.block_on(verb(context));
    // A thread may still wait for input that never comes.
    runtime.shutdown_background();
    result
}

macro_rules! verb {
    ($names:expr, $usage:expr, $about:expr, $arity:expr, $args:ty, $run:path) => {
        Verb {
            names: &$names,
            usage: $usage,
            about: $about,
            arity: $arity,
            flags: flags::<$args>,
            run: |mut invocation| enter::<$args, _>(&mut invocation, $run),
        }
    };
}

/// Reads the flags of a verb that needs no daemon, and runs it.
fn here<A: FromArgMatches>(
    invocation: &mut Invocation,
    verb: impl FnOnce(A, &Globals) -> Result<u8, CliError>,
) -> Result<u8, CliError> {
    let args = A::from_arg_matches_mut(&mut invocation.matches)
        .map_err(|error| CliError::Invalid(error.to_string()))?;
    verb(args, &invocation.globals)
}

/// A variable of the environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A verb that needs no daemon.
macro_rules! local {
    ($names:expr, $usage:expr, $about:expr, $arity:expr, $args:ty, $run:path) => {
        Verb {
            names: &$names,
            usage: $usage,
            about: $about,
            arity: $arity,
            flags: flags::<$args>,
            run: |mut invocation| here::<$args>(&mut invocation, $run),
        }
    };
}

const CONTAINERS: &str = "CONTAINER [CONTAINER...]";
const OPTIONS_CONTAINERS: &str = "[OPTIONS] CONTAINER [CONTAINER...]";

/// All verbs, by name.
#[rustfmt::skip]
pub static VERBS: [Verb; 98] = [
    verb!(["container attach", "attach"], "[OPTIONS] CONTAINER", "Attach your standard streams to a running container", Arity::Exactly(1), c::AttachArgs, attach::run),
    verb!(["container commit", "commit"], "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]", "Make an image of what a container has changed", Arity::Between(1, 2), c::CommitArgs, commit::run),
    verb!(["container cp", "cp"], "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tbrig cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH", "Copy files between this machine and a container, or two containers", Arity::Exactly(2), c::CpArgs, cp::run),
    verb!(["container create", "create"], "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create a container without starting it", Arity::AtLeast(1), CreateArgs, create::run),
    verb!(["container diff", "diff"], "CONTAINER", "Show which files a container has changed", Arity::Exactly(1), c::NamesArgs, diff::run),
    verb!(["container exec", "exec"], "[OPTIONS] CONTAINER COMMAND [ARG...]", "Run a command in a running container", Arity::AtLeast(2), c::ExecArgs, exec::run),
    verb!(["container export", "export"], "[OPTIONS] CONTAINER", "Write a container's files to a tar archive (on standard output by default)", Arity::Exactly(1), c::ExportArgs, export::run),
    verb!(["container inspect"], OPTIONS_CONTAINERS, "Show all about one or more containers", Arity::AtLeast(1), c::ContainerInspectArgs, inspect::containers),
    verb!(["container kill", "kill"], OPTIONS_CONTAINERS, "Send a signal to one or more running containers", Arity::AtLeast(1), c::KillArgs, kill::run),
    verb!(["container logs", "logs"], "[OPTIONS] CONTAINER [CONTAINER...]", "Show what containers wrote", Arity::AtLeast(1), c::LogsArgs, logs::run),
    verb!(["container ls", "container list", "container ps", "ps"], "[OPTIONS]", "List containers", Arity::None, c::PsArgs, ps::run),
    verb!(["container pause", "pause"], CONTAINERS, "Make all processes of one or more containers stand still", Arity::AtLeast(1), c::NamesArgs, pause::run),
    verb!(["container port", "port"], "CONTAINER [PRIVATE_PORT[/PROTO]]", "Show where a container's ports are published", Arity::Between(1, 2), c::NamesArgs, port::run),
    verb!(["container prune"], "[OPTIONS]", "Remove all containers that do not run", Arity::None, c::ContainerPruneArgs, container_prune::run),
    verb!(["container rename", "rename"], "CONTAINER NEW_NAME", "Give a container another name", Arity::Exactly(2), c::NamesArgs, rename::run),
    verb!(["container restart", "restart"], OPTIONS_CONTAINERS, "Stop and start one or more containers", Arity::AtLeast(1), c::StopArgs, restart::run),
    verb!(["container rm", "container remove", "rm"], OPTIONS_CONTAINERS, "Remove one or more containers", Arity::AtLeast(1), c::RmArgs, rm::run),
    verb!(["container run", "run"], "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create a container from an image and start it", Arity::AtLeast(1), RunArgs, run::run),
    verb!(["container start", "start"], OPTIONS_CONTAINERS, "Start one or more containers that exist", Arity::AtLeast(1), c::StartArgs, start::run),
    verb!(["container stats", "stats"], "[OPTIONS] [CONTAINER...]", "Show what containers use, as they use it", Arity::AtLeast(0), c::StatsArgs, stats::run),
    verb!(["container stop", "stop"], OPTIONS_CONTAINERS, "Stop one or more running containers", Arity::AtLeast(1), c::StopArgs, stop::run),
    verb!(["container top", "top"], "[CONTAINER [ps OPTIONS]]", "Show the processes of a container, or live what all of them use", Arity::AtLeast(0), c::TopArgs, top::run),
    verb!(["container unpause", "unpause"], CONTAINERS, "Let the processes of one or more containers go on", Arity::AtLeast(1), c::NamesArgs, unpause::run),
    verb!(["container update", "update"], OPTIONS_CONTAINERS, "Change the limits of one or more containers", Arity::AtLeast(1), c::UpdateArgs, update::run),
    verb!(["container wait", "wait"], CONTAINERS, "Wait until one or more containers end, then print their exit codes", Arity::AtLeast(1), c::NamesArgs, wait::run),
    local!(["context create"], "[OPTIONS] CONTEXT", "Give a daemon a name", Arity::Exactly(1), x::ContextCreateArgs, context_create::create),
    local!(["context export"], "CONTEXT [FILE|-]", "Write a context to a tar archive", Arity::Between(1, 2), c::NamesArgs, context_transfer::export),
    local!(["context import"], "CONTEXT FILE|-", "Make a context of such an archive", Arity::Exactly(2), c::NamesArgs, context_transfer::import),
    local!(["context inspect"], "[OPTIONS] [CONTEXT] [CONTEXT...]", "Show all about one or more contexts", Arity::AtLeast(0), x::ContextInspectArgs, context_inspect::run),
    local!(["context ls", "context list"], "[OPTIONS]", "List contexts", Arity::None, x::ContextLsArgs, context_ls::run),
    local!(["context rm", "context remove"], "[OPTIONS] CONTEXT [CONTEXT...]", "Remove one or more contexts", Arity::AtLeast(1), x::ContextRmArgs, context_rm::run),
    local!(["context show"], "", "Print the name of the context in use", Arity::None, c::NamesArgs, context_use::show),
    local!(["context update"], "[OPTIONS] CONTEXT", "Change a context", Arity::Exactly(1), x::ContextUpdateArgs, context_create::update),
    local!(["context use"], "CONTEXT", "Use a context from now on", Arity::Exactly(1), c::NamesArgs, context_use::run),
    local!(["completion"], "bash|zsh|fish", "Print what makes a shell complete brig's words", Arity::Exactly(1), c::NamesArgs, completion::run),
    local!(["man"], "DIRECTORY", "Write the pages of the manual", Arity::Exactly(1), c::NamesArgs, man::run),
    verb!(["builder prune"], "[OPTIONS]", "Remove what builds keep", Arity::None, d::BuilderPruneArgs, builder_prune::run),
    verb!(["buildx du"], "[OPTIONS]", "Show what builds keep", Arity::None, d::BuildxDuArgs, buildx::du),
    verb!(["buildx inspect"], "[OPTIONS] [NAME]", "Show all about the builder", Arity::AtMost(1), d::BuildxArgs, buildx::inspect),
    verb!(["buildx ls"], "[OPTIONS]", "List builders: there is one", Arity::None, d::BuildxArgs, buildx::ls),
    verb!(["buildx prune"], "[OPTIONS]", "Remove what builds keep", Arity::None, d::BuildxPruneArgs, builder_prune::buildx),
    verb!(["buildx use"], "[OPTIONS] NAME", "Use a builder: there is one", Arity::Exactly(1), d::BuildxArgs, buildx::choose),
    verb!(["buildx version"], "", "Show the version", Arity::None, c::NamesArgs, buildx::tell_version),
    verb!(["image build", "build", "builder build", "buildx build", "buildx b"], "[OPTIONS] PATH | URL | -", "Build an image from a Dockerfile", Arity::Exactly(1), b::BuildArgs, build::run),
    verb!(["image history", "history"], "[OPTIONS] IMAGE", "Show how an image was made", Arity::Exactly(1), i::HistoryArgs, history::run),
    verb!(["image import", "import"], "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]", "Make an image of a root file system's tar archive", Arity::Between(1, 2), i::ImportArgs, import::run),
    verb!(["image inspect"], "[OPTIONS] IMAGE [IMAGE...]", "Show all about one or more images", Arity::AtLeast(1), i::ImageInspectArgs, image_inspect::run),
    verb!(["image load", "load"], "[OPTIONS]", "Load images from an archive or standard input", Arity::None, i::LoadArgs, load::run),
    verb!(["image ls", "image list", "images"], "[OPTIONS] [REPOSITORY[:TAG]]", "List images", Arity::AtMost(1), i::ImagesArgs, images::run),
    verb!(["image mount"], "[OPTIONS] [IMAGE...]", "Mount images read-only, or list those mounted", Arity::AtLeast(0), i::ImageMountArgs, image_mount::run),
    verb!(["image prune"], "[OPTIONS]", "Remove images that nothing uses", Arity::None, i::ImagePruneArgs, image_prune::run),
    verb!(["image pull", "pull"], "[OPTIONS] NAME[:TAG|@DIGEST]", "Bring an image from a registry", Arity::Exactly(1), i::PullArgs, pull::run),
    verb!(["image push", "push"], "[OPTIONS] NAME[:TAG]", "Bring an image to a registry", Arity::Exactly(1), i::PushArgs, push::run),
    verb!(["image rm", "image remove", "rmi"], "[OPTIONS] IMAGE [IMAGE...]", "Remove one or more images", Arity::AtLeast(1), i::RmiArgs, rmi::run),
    verb!(["image save", "save"], "[OPTIONS] IMAGE [IMAGE...]", "Save one or more images to an archive (on standard output by default)", Arity::AtLeast(1), i::SaveArgs, save::run),
    verb!(["image tag", "tag"], "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", "Give an image another name", Arity::Exactly(2), c::NamesArgs, tag::run),
    verb!(["image unmount", "image umount"], "[OPTIONS] [IMAGE...]", "Unmount images", Arity::AtLeast(0), i::ImageUnmountArgs, image_mount::unmount),
    verb!(["inspect"], "[OPTIONS] NAME|ID [NAME|ID...]", "Show all about containers and images", Arity::AtLeast(1), c::InspectArgs, inspect::run),
    verb!(["login"], "[OPTIONS] [SERVER]", "Log in to a registry", Arity::AtMost(1), r::LoginArgs, login::run),
    verb!(["logout"], "[SERVER]", "Log out of a registry", Arity::AtMost(1), c::NamesArgs, logout::run),
    verb!(["manifest annotate"], "[OPTIONS] MANIFEST_LIST MANIFEST", "Say what an image of a manifest list is for", Arity::Exactly(2), r::ManifestAnnotateArgs, manifest_annotate::run),
    verb!(["manifest create"], "MANIFEST_LIST MANIFEST [MANIFEST...]", "Begin a manifest list, to annotate and push it", Arity::AtLeast(2), r::ManifestCreateArgs, manifest_create::run),
    verb!(["manifest inspect"], "[OPTIONS] [MANIFEST_LIST] MANIFEST", "Show a manifest, or a list of them", Arity::Between(1, 2), r::ManifestInspectArgs, manifest_inspect::run),
    verb!(["manifest push"], "[OPTIONS] MANIFEST_LIST", "Bring a manifest list to its registry", Arity::Exactly(1), r::ManifestPushArgs, manifest_push::run),
    verb!(["manifest rm"], "MANIFEST_LIST [MANIFEST_LIST...]", "Forget manifest lists that are here", Arity::AtLeast(1), c::NamesArgs, manifest_rm::run),
    verb!(["network connect"], "[OPTIONS] NETWORK CONTAINER", "Put a container into a network", Arity::Exactly(2), n::NetworkConnectArgs, network_connect::run),
    verb!(["network create"], "[OPTIONS] NETWORK", "Create a network", Arity::Exactly(1), n::NetworkCreateArgs, network_create::run),
    verb!(["network disconnect"], "[OPTIONS] NETWORK CONTAINER", "Take a container out of a network", Arity::Exactly(2), n::NetworkDisconnectArgs, network_connect::disconnect),
    verb!(["network explain"], "[OPTIONS] PORT[/PROTOCOL]", "Show who has a port, and which rule lets packets through or stops them", Arity::Exactly(1), n::NetworkExplainArgs, network_explain::run),
    verb!(["network inspect"], "[OPTIONS] NETWORK [NETWORK...]", "Show all about one or more networks", Arity::AtLeast(1), n::NetworkInspectArgs, network_inspect::run),
    verb!(["network ls", "network list"], "[OPTIONS]", "List networks", Arity::None, n::NetworkLsArgs, network_ls::run),
    verb!(["network prune"], "[OPTIONS]", "Remove networks that nothing uses", Arity::None, n::NetworkPruneArgs, network_prune::run),
    verb!(["network rm", "network remove"], "[OPTIONS] NETWORK [NETWORK...]", "Remove one or more networks", Arity::AtLeast(1), n::NetworkRmArgs, network_rm::run),
    verb!(["search"], "[OPTIONS] TERM", "Search a registry for images", Arity::Exactly(1), r::SearchArgs, search::run),
    verb!(["secret create"], "[OPTIONS] SECRET [file|-]", "Keep a secret, from a file or standard input", Arity::Between(1, 2), s::SecretCreateArgs, secret_create::run),
    verb!(["secret inspect"], "[OPTIONS] SECRET [SECRET...]", "Show all about one or more secrets but what they say", Arity::AtLeast(1), s::SecretInspectArgs, secret_ls::inspect),
    verb!(["secret ls", "secret list"], "[OPTIONS]", "List secrets", Arity::None, s::SecretLsArgs, secret_ls::run),
    verb!(["secret rm", "secret remove"], "SECRET [SECRET...]", "Forget one or more secrets", Arity::AtLeast(1), c::NamesArgs, secret_ls::rm),
    verb!(["secret update"], "SECRET [file|-]", "Have a secret say something else, also in containers that run", Arity::Between(1, 2), s::SecretUpdateArgs, secret_create::update),
    verb!(["system check"], "[OPTIONS]", "Check whether everything stored is whole", Arity::None, i::CheckArgs, check::run),
    verb!(["system df"], "[OPTIONS]", "Show what images and containers take on disk", Arity::None, i::DfArgs, df::run),
    verb!(["system dial-stdio"], "", "Pass the daemon's connection on over standard input and output", Arity::None, c::NamesArgs, dial_stdio::run),
    verb!(["system events", "events"], "[OPTIONS]", "Show what happens, as it happens", Arity::None, c::EventsArgs, events::run),
    verb!(["system info", "info"], "[OPTIONS]", "Show facts about the daemon and its machine", Arity::None, i::FormatArgs, info::run),
    verb!(["system prune"], "[OPTIONS]", "Remove what nothing uses", Arity::None, c::SystemPruneArgs, system_prune::run),
    verb!(["system upgrade"], "", "Have the installed program take the place of the daemon that runs", Arity::None, c::NamesArgs, upgrade::run),
    verb!(["version"], "[OPTIONS]", "Show the versions of client and daemon", Arity::None, i::FormatArgs, version::run),
    verb!(["volume clone"], "VOLUME NEW_VOLUME", "Make a volume with the content of another one", Arity::Exactly(2), c::NamesArgs, volume_change::clone),
    verb!(["volume create"], "[OPTIONS] [VOLUME]", "Make a volume", Arity::AtMost(1), v::VolumeCreateArgs, volume_create::run),
    verb!(["volume export"], "[OPTIONS] VOLUME", "Write a volume's files to a tar archive (on standard output by default)", Arity::Exactly(1), v::VolumeExportArgs, volume_transfer::export),
    verb!(["volume import"], "[OPTIONS] VOLUME [file|-]", "Make a volume of a tar archive", Arity::Between(1, 2), v::VolumeImportArgs, volume_transfer::import),
    verb!(["volume inspect"], "[OPTIONS] VOLUME [VOLUME...]", "Show all about one or more volumes", Arity::AtLeast(1), v::VolumeInspectArgs, volume_inspect::run),
    verb!(["volume ls", "volume list"], "[OPTIONS]", "List volumes", Arity::None, v::VolumeLsArgs, volume_ls::run),
    verb!(["volume prune"], "[OPTIONS]", "Remove volumes that nothing uses", Arity::None, v::VolumePruneArgs, volume_prune::run),
    verb!(["volume rename"], "VOLUME NEW_NAME", "Give a volume another name", Arity::Exactly(2), c::NamesArgs, volume_change::rename),
    verb!(["volume restore"], "VOLUME SNAPSHOT", "Bring back what a snapshot of a volume kept", Arity::Exactly(2), c::NamesArgs, volume_change::restore),
    verb!(["volume rm", "volume remove"], "[OPTIONS] VOLUME [VOLUME...]", "Remove one or more volumes", Arity::AtLeast(1), v::VolumeRmArgs, volume_rm::run),
    verb!(["volume snapshot"], "[OPTIONS] VOLUME SNAPSHOT", "Keep what a volume holds now under a name", Arity::Exactly(2), v::VolumeSnapshotArgs, volume_change::snapshot),
];
