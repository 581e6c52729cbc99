//! What only swarms, plugins and checkpoints have. The daemon is asked all the same: it says why there is none,
//! in Docker's words.

use types::ErrorKind;

use super::Context;
use crate::args::absent::flags;
use crate::args::{Arity, Invocation, Verb};
use crate::error::CliError;
use crate::print;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// The daemon, with a method and a path; `{}` is the first word.
    Ask(&'static str, &'static str),
    /// The daemon, for the plugins there are.
    Plugins,
    /// Nobody: it is an experiment of Docker's.
    Experiment,
}

use Way::{Ask, Experiment, Plugins};

pub(super) fn run(mut invocation: Invocation, way: Way) -> Result<u8, CliError> {
    let names: Vec<String> = invocation
        .matches
        .remove_many("names")
        .into_iter()
        .flatten()
        .collect();
    let quiet = invocation.matches.try_get_one::<bool>("quiet");
    let quiet = quiet.ok().flatten().copied().unwrap_or_default();
    let name = invocation.name.clone();
    super::served(&invocation.globals, async move |context| {
        asked(context, &name, &names, way, quiet).await
    })
}

async fn asked(
    context: Context,
    verb: &str,
    names: &[String],
    way: Way,
    quiet: bool,
) -> Result<u8, CliError> {
    let word = names.first().map_or("", String::as_str);
    let client = &context.daemon.client;
    let (method, path) = match way {
        Experiment => {
            return Err(CliError::Invalid(format!(
                "brig {verb} is only supported on a Docker daemon with experimental features enabled"
            )));
        }
        Plugins => {
            context.daemon.connect().await?;
            client.ask("GET", "/plugins", "").await?;
            if !quiet {
                print::out("ID        NAME      DESCRIPTION   ENABLED\n")?;
            }
            return Ok(0);
        }
        Ask(method, path) => (method, path),
    };
    context.daemon.connect().await?;
    if verb.ends_with("inspect") {
        // What was found is a list of nothing.
        print::out("[]\n")?;
    }
    client.ask(method, path, word).await?;
    Err(CliError::Daemon {
        message: format!("this client has no {verb}: the daemon is not one of Brig's"),
        kind: ErrorKind::Unsupported,
    })
}

const SWARM: &str = "Of swarms: there is none";
const PLUGINS: &str = "Of plugins: there are none";
const CHECKPOINTS: &str = "Of checkpoints: there are none";

macro_rules! absent {
    ($help:expr, $names:expr, $usage:expr, $about:expr, $arity:expr, $flags:expr, $way:expr) => {
        Verb {
            names: &$names,
            usage: $usage,
            about: $about,
            arity: $arity,
            flags: |command| flags(command, $flags, $help),
            run: |invocation| run(invocation, $way),
        }
    };
}

const SERVICE: &str = "--cap-add=list --cap-drop=list --config=config --constraint=list --container-label=list --credential-spec=credential-spec -d/--detach --dns=list --dns-option=list --dns-search=list --endpoint-mode=string --entrypoint=command -e/--env=list --env-file=list --generic-resource=list --group=list --health-cmd=string --health-interval=duration --health-retries=int --health-start-interval=duration --health-start-period=duration --health-timeout=duration --host=list --hostname=string --init --isolation=string -l/--label=list --limit-cpu=decimal --limit-memory=bytes --limit-pids=int --log-driver=string --log-opt=list --max-concurrent=uint --memory-swap=bytes --memory-swappiness=int --mode=string --mount=mount --name=string --network=network --no-healthcheck --no-resolve-image --oom-score-adj=int --placement-pref=pref -p/--publish=port -q/--quiet --read-only --replicas=uint --replicas-max-per-node=uint --reserve-cpu=decimal --reserve-memory=bytes --restart-condition=string --restart-delay=duration --restart-max-attempts=uint --restart-window=duration --rollback-delay=duration --rollback-failure-action=string --rollback-max-failure-ratio=float --rollback-monitor=duration --rollback-order=string --rollback-parallelism=uint --secret=secret --stop-grace-period=duration --stop-signal=string --sysctl=list -t/--tty --ulimit=ulimit --update-delay=duration --update-failure-action=string --update-max-failure-ratio=float --update-monitor=duration --update-order=string --update-parallelism=uint -u/--user=string --with-registry-auth -w/--workdir=string";
const SERVICE_UPDATE: &str = "--args=command --cap-add=list --cap-drop=list --config-add=config --config-rm=list --constraint-add=list --constraint-rm=list --container-label-add=list --container-label-rm=list --credential-spec=credential-spec -d/--detach --dns-add=list --dns-option-add=list --dns-option-rm=list --dns-rm=list --dns-search-add=list --dns-search-rm=list --endpoint-mode=string --entrypoint=command --env-add=list --env-rm=list --force --generic-resource-add=list --generic-resource-rm=list --group-add=list --group-rm=list --health-cmd=string --health-interval=duration --health-retries=int --health-start-interval=duration --health-start-period=duration --health-timeout=duration --host-add=list --host-rm=list --hostname=string --image=string --init --isolation=string --label-add=list --label-rm=list --limit-cpu=decimal --limit-memory=bytes --limit-pids=int --log-driver=string --log-opt=list --max-concurrent=uint --memory-swap=bytes --memory-swappiness=int --mount-add=mount --mount-rm=list --network-add=network --network-rm=list --no-healthcheck --no-resolve-image --oom-score-adj=int --placement-pref-add=pref --placement-pref-rm=pref --publish-add=port --publish-rm=port -q/--quiet --read-only --replicas=uint --replicas-max-per-node=uint --reserve-cpu=decimal --reserve-memory=bytes --restart-condition=string --restart-delay=duration --restart-max-attempts=uint --restart-window=duration --rollback --rollback-delay=duration --rollback-failure-action=string --rollback-max-failure-ratio=float --rollback-monitor=duration --rollback-order=string --rollback-parallelism=uint --secret-add=secret --secret-rm=list --stop-grace-period=duration --stop-signal=string --sysctl-add=list --sysctl-rm=list -t/--tty --ulimit-add=ulimit --ulimit-rm=list --update-delay=duration --update-failure-action=string --update-max-failure-ratio=float --update-monitor=duration --update-order=string --update-parallelism=uint -u/--user=string --with-registry-auth -w/--workdir=string";
const SWARM_CHANGE: &str = "--autolock --cert-expiry=duration --dispatcher-heartbeat=duration --external-ca=external-ca --max-snapshots=uint --snapshot-interval=uint --task-history-limit=int";
const LIST: &str = "-f/--filter=filter --format=string -q/--quiet";
const ONE: &str = "-f/--format=string --pretty";

/// All of them, by name.
#[rustfmt::skip]
pub static VERBS: [Verb; 46] = [
    absent!(CHECKPOINTS, ["checkpoint create"], "[OPTIONS] CONTAINER CHECKPOINT", "Create a checkpoint of a running container", Arity::Exactly(2), "--checkpoint-dir=string --leave-running", Experiment),
    absent!(CHECKPOINTS, ["checkpoint ls", "checkpoint list"], "[OPTIONS] CONTAINER", "List checkpoints of a container", Arity::Exactly(1), "--checkpoint-dir=string", Experiment),
    absent!(CHECKPOINTS, ["checkpoint rm", "checkpoint remove"], "[OPTIONS] CONTAINER CHECKPOINT", "Remove a checkpoint", Arity::Exactly(2), "--checkpoint-dir=string", Experiment),
    absent!(SWARM, ["config create"], "[OPTIONS] CONFIG file|-", "Create a config of a file or standard input", Arity::Exactly(2), "-l/--label=list --template-driver=string", Ask("GET", "/configs")),
    absent!(SWARM, ["config inspect"], "[OPTIONS] CONFIG [CONFIG...]", "Show all about one or more configs", Arity::AtLeast(1), ONE, Ask("GET", "/configs/{}")),
    absent!(SWARM, ["config ls", "config list"], "[OPTIONS]", "List configs", Arity::None, LIST, Ask("GET", "/configs")),
    absent!(SWARM, ["config rm", "config remove"], "CONFIG [CONFIG...]", "Remove one or more configs", Arity::AtLeast(1), "", Ask("DELETE", "/configs/{}")),
    absent!(SWARM, ["node demote"], "NODE [NODE...]", "Demote one or more nodes from manager in the swarm", Arity::AtLeast(1), "", Ask("GET", "/nodes/{}")),
    absent!(SWARM, ["node inspect"], "[OPTIONS] self|NODE [NODE...]", "Show all about one or more nodes", Arity::AtLeast(1), ONE, Ask("GET", "/nodes/{}")),
    absent!(SWARM, ["node ls", "node list"], "[OPTIONS]", "List nodes in the swarm", Arity::None, LIST, Ask("GET", "/nodes")),
    absent!(SWARM, ["node promote"], "NODE [NODE...]", "Promote one or more nodes to manager in the swarm", Arity::AtLeast(1), "", Ask("GET", "/nodes/{}")),
    absent!(SWARM, ["node ps"], "[OPTIONS] [NODE...]", "List tasks running on one or more nodes", Arity::AtLeast(0), "-f/--filter=filter --format=string --no-resolve --no-trunc -q/--quiet", Ask("GET", "/tasks")),
    absent!(SWARM, ["node rm", "node remove"], "[OPTIONS] NODE [NODE...]", "Remove one or more nodes from the swarm", Arity::AtLeast(1), "-f/--force", Ask("DELETE", "/nodes/{}")),
    absent!(SWARM, ["node update"], "[OPTIONS] NODE", "Change a node", Arity::Exactly(1), "--availability=string --label-add=list --label-rm=list --role=string", Ask("GET", "/nodes/{}")),
    absent!(PLUGINS, ["plugin create"], "[OPTIONS] PLUGIN PLUGIN-DATA-DIR", "Create a plugin of a root file system and a configuration", Arity::Exactly(2), "--compress", Ask("POST", "/plugins/create?name={}")),
    absent!(PLUGINS, ["plugin disable"], "[OPTIONS] PLUGIN", "Disable a plugin", Arity::Exactly(1), "-f/--force", Ask("POST", "/plugins/{}/disable")),
    absent!(PLUGINS, ["plugin enable"], "[OPTIONS] PLUGIN", "Enable a plugin", Arity::Exactly(1), "--timeout=int", Ask("POST", "/plugins/{}/enable?timeout=30")),
    absent!(PLUGINS, ["plugin inspect"], "[OPTIONS] PLUGIN [PLUGIN...]", "Show all about one or more plugins", Arity::AtLeast(1), "-f/--format=string", Ask("GET", "/plugins/{}/json")),
    absent!(PLUGINS, ["plugin install"], "[OPTIONS] PLUGIN [KEY=VALUE...]", "Install a plugin", Arity::AtLeast(1), "--alias=string --disable --grant-all-permissions", Ask("GET", "/plugins/privileges?remote={}")),
    absent!(PLUGINS, ["plugin ls", "plugin list"], "[OPTIONS]", "List plugins", Arity::None, "-f/--filter=filter --format=string --no-trunc -q/--quiet", Plugins),
    absent!(PLUGINS, ["plugin push"], "PLUGIN[:TAG]", "Bring a plugin to a registry", Arity::Exactly(1), "", Ask("POST", "/plugins/{}/push")),
    absent!(PLUGINS, ["plugin rm", "plugin remove"], "[OPTIONS] PLUGIN [PLUGIN...]", "Remove one or more plugins", Arity::AtLeast(1), "-f/--force", Ask("DELETE", "/plugins/{}")),
    absent!(PLUGINS, ["plugin set"], "PLUGIN KEY=VALUE [KEY=VALUE...]", "Change settings of a plugin", Arity::AtLeast(2), "", Ask("GET", "/plugins/{}/json")),
    absent!(PLUGINS, ["plugin upgrade"], "[OPTIONS] PLUGIN [REMOTE]", "Upgrade a plugin", Arity::Between(1, 2), "--grant-all-permissions --skip-remote-check", Ask("GET", "/plugins/{}/json")),
    absent!(SWARM, ["service create"], "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create a service", Arity::AtLeast(1), SERVICE, Ask("GET", "/services")),
    absent!(SWARM, ["service inspect"], "[OPTIONS] SERVICE [SERVICE...]", "Show all about one or more services", Arity::AtLeast(1), ONE, Ask("GET", "/services/{}")),
    absent!(SWARM, ["service logs"], "[OPTIONS] SERVICE|TASK", "Show what a service or task wrote", Arity::Exactly(1), "--details -f/--follow --no-resolve --no-task-ids --no-trunc --raw --since=string -n/--tail=string -t/--timestamps", Ask("GET", "/services/{}")),
    absent!(SWARM, ["service ls", "service list"], "[OPTIONS]", "List services", Arity::None, LIST, Ask("GET", "/services")),
    absent!(SWARM, ["service ps"], "[OPTIONS] SERVICE [SERVICE...]", "List the tasks of one or more services", Arity::AtLeast(1), "-f/--filter=filter --format=string --no-resolve --no-trunc -q/--quiet", Ask("GET", "/services")),
    absent!(SWARM, ["service rm", "service remove"], "SERVICE [SERVICE...]", "Remove one or more services", Arity::AtLeast(1), "", Ask("DELETE", "/services/{}")),
    absent!(SWARM, ["service rollback"], "[OPTIONS] SERVICE", "Revert changes to a service's configuration", Arity::Exactly(1), "-d/--detach -q/--quiet", Ask("GET", "/services/{}")),
    absent!(SWARM, ["service scale"], "SERVICE=REPLICAS [SERVICE=REPLICAS...]", "Scale one or more services", Arity::AtLeast(1), "-d/--detach", Ask("GET", "/services")),
    absent!(SWARM, ["service update"], "[OPTIONS] SERVICE", "Change a service", Arity::Exactly(1), SERVICE_UPDATE, Ask("GET", "/services/{}")),
    absent!(SWARM, ["stack config"], "[OPTIONS]", "Print the final configuration", Arity::None, "-c/--compose-file=strings --skip-interpolation", Ask("GET", "/services")),
    absent!(SWARM, ["stack deploy", "stack up"], "[OPTIONS] STACK", "Deploy a stack", Arity::Exactly(1), "-c/--compose-file=strings -d/--detach --prune -q/--quiet --resolve-image=string --with-registry-auth", Ask("GET", "/services")),
    absent!(SWARM, ["stack ls", "stack list"], "[OPTIONS]", "List stacks", Arity::None, "--format=string", Ask("GET", "/services")),
    absent!(SWARM, ["stack ps"], "[OPTIONS] STACK", "List the tasks in the stack", Arity::Exactly(1), "-f/--filter=filter --format=string --no-resolve --no-trunc -q/--quiet", Ask("GET", "/tasks")),
    absent!(SWARM, ["stack rm", "stack remove", "stack down"], "[OPTIONS] STACK [STACK...]", "Remove one or more stacks", Arity::AtLeast(1), "-d/--detach", Ask("GET", "/services")),
    absent!(SWARM, ["stack services"], "[OPTIONS] STACK", "List the services in the stack", Arity::Exactly(1), LIST, Ask("GET", "/services")),
    absent!(SWARM, ["swarm ca"], "[OPTIONS]", "Show and rotate the root CA", Arity::None, "--ca-cert=pem-file --ca-key=pem-file --cert-expiry=duration -d/--detach --external-ca=external-ca -q/--quiet --rotate", Ask("GET", "/swarm")),
    absent!(SWARM, ["swarm init"], "[OPTIONS]", "Begin a swarm", Arity::None, "--advertise-addr=string --autolock --availability=string --cert-expiry=duration --data-path-addr=string --data-path-port=uint32 --default-addr-pool=ipNetSlice --default-addr-pool-mask-length=uint32 --dispatcher-heartbeat=duration --external-ca=external-ca --force-new-cluster --listen-addr=node-addr --max-snapshots=uint --snapshot-interval=uint --task-history-limit=int", Ask("POST", "/swarm/init")),
    absent!(SWARM, ["swarm join"], "[OPTIONS] HOST:PORT", "Join a swarm", Arity::Exactly(1), "--advertise-addr=string --availability=string --data-path-addr=string --listen-addr=node-addr --token=string", Ask("POST", "/swarm/join")),
    absent!(SWARM, ["swarm join-token"], "[OPTIONS] (worker|manager)", "Manage join tokens", Arity::Exactly(1), "-q/--quiet --rotate", Ask("GET", "/swarm")),
    absent!(SWARM, ["swarm leave"], "[OPTIONS]", "Leave the swarm", Arity::None, "-f/--force", Ask("POST", "/swarm/leave")),
    absent!(SWARM, ["swarm unlock-key"], "[OPTIONS]", "Manage the unlock key", Arity::None, "-q/--quiet --rotate", Ask("GET", "/swarm")),
    absent!(SWARM, ["swarm update"], "[OPTIONS]", "Change the swarm", Arity::None, SWARM_CHANGE, Ask("GET", "/swarm")),
];
