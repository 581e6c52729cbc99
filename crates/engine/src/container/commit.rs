//! `commit`: an image of what a container has made of its image.

use std::path::Path;

use storage::{Commit, Empty, PLACES, RunConfig};
use sys::dir::Dir;
use types::{Digest, ImageRef, Lifecycle, MountKind, MountRequest};

use super::changes;
use super::pause::go_on;
use super::{View, WrongState, inspect, pause};
use crate::{Engine, Error, event, image};

/// What is made of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// The name it gets.
    pub reference: Option<ImageRef>,
    /// Who made it; empty is who made the image.
    pub author: String,
    /// The message of its history.
    pub comment: String,
    /// Whether the container stands still meanwhile.
    pub pause: bool,
    /// How the image is to run, where that is not as the container does.
    pub config: Option<RunConfig>,
    /// Dockerfile instructions applied to that.
    pub changes: Vec<String>,
}

impl View {
    /// Where it has volumes of its own: asked for, or by its image.
    pub fn own_volumes(&self) -> impl Iterator<Item = &Path> {
        let asked = &self.spec.mounts;
        let own = move |mount: &&MountRequest| {
            matches!(&mount.kind, MountKind::Volume(volume) if volume.own)
                && !asked.iter().any(|asked| asked.target == mount.target)
        };
        let mounts = self.resolved.mounts.iter();
        mounts.filter(own).map(|mount| Path::new(&mount.target))
    }
}

/// Makes one. Blocking.
pub fn commit(engine: &Engine, who: &str, options: CommitOptions) -> Result<Digest, Error> {
    engine.accepts_work()?;
    let container = engine.find(who)?;
    if let Lifecycle::Removing { .. } = container.lifecycle() {
        return Err(WrongState::Removing(container.id().clone()).into());
    }
    let view = inspect(engine, container.id().as_str())?;
    let found = changes::image(engine, &container)?;
    let below = changes::below(engine, &found)?;
    // One that does not run stands still by itself.
    let held = options.pause && pause(engine, container.id().as_str()).is_ok();
    let comment = options.comment.clone();
    let reference = options.reference.clone();
    let name = reference.as_ref().map(ToString::to_string);
    let made = make(engine, &view, &below, options);
    if held {
        go_on(engine, &container)?;
    }
    let made = made?;
    let attributes = [
        ("comment", comment),
        ("imageID", made.to_string()),
        ("imageRef", name.unwrap_or_default()),
    ];
    image::built(engine, &made, reference.as_slice());
    event::of_container_with(engine, &container, "commit", attributes);
    Ok(made)
}

fn make(
    engine: &Engine,
    view: &View,
    below: &Dir,
    options: CommitOptions,
) -> Result<Digest, Error> {
    Ok(engine.storage().commit(&Commit {
        container: view.id.clone(),
        below,
        places: &PLACES,
        reference: options.reference,
        author: options.author,
        comment: options.comment,
        created_by: view.resolved.command.join(" "),
        config: config(view),
        asked: options.config,
        changes: options.changes,
    })?)
}

/// How the container runs, as an image says it.
fn config(view: &View) -> RunConfig {
    let resolved = &view.resolved;
    let some = |words: &Vec<String>| (!words.is_empty()).then(|| words.clone());
    let env = resolved.env.iter().filter(|entry| entry.contains('='));
    let volumes = view.own_volumes();
    RunConfig {
        user: resolved.user.clone(),
        exposed_ports: view
            .exposed
            .iter()
            .map(|port| (port.to_string(), Empty {}))
            .collect(),
        env: env.cloned().collect(),
        entrypoint: some(&resolved.entrypoint),
        cmd: some(&resolved.command),
        healthcheck: None,
        volumes: volumes
            .map(|path| (path.display().to_string(), Empty {}))
            .collect(),
        working_dir: resolved.working_dir.clone(),
        on_build: Vec::new(),
        labels: resolved.labels.clone(),
        stop_signal: match &view.spec.stop_signal {
            Some(text) => text.clone(),
            None if resolved.stop_signal != types::Signal::TERM => resolved.stop_signal.to_string(),
            None => String::new(),
        },
    }
}
