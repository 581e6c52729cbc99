//! Names that only the daemon knows.

use std::time::Duration;

use api::client::{Filters, ImageListQuery, ListQuery};

use crate::args::Globals;
use crate::connect::Daemon;
use crate::contexts;

/// Who types does not wait longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What may stand somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Containers that run.
    Running,
    /// Containers that do not.
    Stopped,
    /// All containers.
    Containers,
    /// Images.
    Images,
    /// Networks.
    Networks,
    /// Secrets.
    Secrets,
    /// Volumes.
    Volumes,
    /// Containers and images.
    Objects,
    /// Contexts.
    Contexts,
    /// Shells.
    Shells,
    /// Something else: the shell offers files.
    Anything,
}

impl Kind {
    /// What a flag takes.
    pub(super) fn of_flag(flag: &str) -> Self {
        match flag {
            "network" | "net" => Self::Networks,
            "volumes-from" | "link" => Self::Containers,
            _ => Self::Anything,
        }
    }

    /// What a verb takes as its word of a number, from 0.
    pub(super) fn of_word(verb: &str, number: usize) -> Self {
        match (verb, number) {
            ("attach" | "kill" | "pause" | "stop" | "top" | "stats" | "port", _) | ("exec", 0) => {
                Self::Running
            }
            ("start", _) => Self::Stopped,
            (
                "commit" | "container inspect" | "cp" | "diff" | "export" | "logs" | "rename"
                | "restart" | "rm" | "unpause" | "update" | "wait",
                _,
            ) => Self::Containers,
            ("run" | "create" | "history" | "tag" | "push", 0) => Self::Images,
            ("image inspect" | "image mount" | "image unmount" | "rmi" | "save" | "pull", _) => {
                Self::Images
            }
            ("inspect", _) => Self::Objects,
            ("network connect" | "network disconnect", 1) => Self::Containers,
            ("network connect" | "network disconnect", 0)
            | ("network inspect" | "network rm", _) => Self::Networks,
            ("volume inspect" | "volume rm", _)
            | (
                "volume clone" | "volume export" | "volume rename" | "volume restore"
                | "volume snapshot",
                0,
            ) => Self::Volumes,
            (
                "context use" | "context inspect" | "context rm" | "context export"
                | "context update",
                _,
            ) => Self::Contexts,
            ("secret inspect" | "secret rm", _) | ("secret update", 0) => Self::Secrets,
            ("completion", 0) => Self::Shells,
            _ => Self::Anything,
        }
    }
}

/// The names there are.
pub(super) fn ask(globals: &Globals, kind: Kind) -> Vec<String> {
    match kind {
        Kind::Anything | Kind::Contexts => return Vec::new(),
        Kind::Shells => return ["bash", "fish", "zsh"].map(str::to_owned).to_vec(),
        _ => {}
    }
    let chosen = contexts::chosen(globals, &|name| std::env::var(name).ok());
    // A question of the shell's starts nothing.
    let there = chosen.is_ok_and(|chosen| match chosen.host.strip_prefix("unix://") {
        Some(path) => std::path::Path::new(path).exists(),
        None => true,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (true, Ok(daemon), Ok(runtime)) = (there, Daemon::find(globals), runtime) else {
        return Vec::new();
    };
    let found =
        runtime.block_on(async { tokio::time::timeout(PATIENCE, names(&daemon, kind)).await });
    runtime.shutdown_background();
    found.ok().and_then(Result::ok).unwrap_or_default()
}

async fn names(daemon: &Daemon, kind: Kind) -> Result<Vec<String>, api::client::Error> {
    match kind {
        Kind::Running => containers(daemon, &["running", "paused"]).await,
        Kind::Stopped => containers(daemon, &["created", "exited"]).await,
        Kind::Containers => containers(daemon, &[]).await,
        Kind::Images => images(daemon).await,
        Kind::Objects => {
            let mut all = containers(daemon, &[]).await?;
            all.extend(images(daemon).await?);
            Ok(all)
        }
        Kind::Networks => {
            let found = daemon.client.network_list(&Filters::new()).await?;
            Ok(found.into_iter().map(|network| network.name).collect())
        }
        Kind::Secrets => {
            let found = daemon.client.secret_list().await?;
            Ok(found.into_iter().map(|secret| secret.name).collect())
        }
        Kind::Volumes => {
            let found = daemon.client.volume_list(&Filters::new()).await?;
            let found = found.volumes.unwrap_or_default();
            Ok(found.into_iter().map(|volume| volume.name).collect())
        }
        Kind::Contexts | Kind::Shells | Kind::Anything => Ok(Vec::new()),
    }
}

async fn containers(daemon: &Daemon, states: &[&str]) -> Result<Vec<String>, api::client::Error> {
    let mut filters = Filters::new();
    if !states.is_empty() {
        let states = states.iter().map(|state| (*state).to_owned());
        filters.insert("status".to_owned(), states.collect());
    }
    let query = ListQuery {
        all: true,
        filters,
        ..ListQuery::default()
    };
    let found = daemon.client.container_list(&query).await?;
    let names = found.into_iter().flat_map(|container| container.names);
    let names = names.map(|name| name.trim_start_matches('/').to_owned());
    // Names of links are not the container's.
    Ok(names.filter(|name| !name.contains('/')).collect())
}

async fn images(daemon: &Daemon) -> Result<Vec<String>, api::client::Error> {
    let found = daemon.client.image_list(&ImageListQuery::default()).await?;
    let names = found.into_iter().flat_map(|image| image.repo_tags);
    let names = names.filter(|name| name != "<none>:<none>");
    Ok(names
        .flat_map(|name| match name.strip_suffix(":latest") {
            Some(short) => vec![short.to_owned(), name.clone()],
            None => vec![name],
        })
        .collect())
}
