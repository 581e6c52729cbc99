//! Builds: `POST /build` with an archive, what the cache holds, and giving up.

mod ask;
mod cache;
pub(super) mod named;
mod told;

use std::io::BufReader;
use std::sync::Arc;

use api::wire;
use builder::solve::{
    Ask, Build, Built, Cancel, Failure as Failed, ImageOutput, Memory, Solver, Tree,
};
use builder::solve::{Given, WrittenImage, ignored, leave_out, look_through, read_file};
use builder::{Source, check, plan};
use bytes::Bytes;
use tokio::sync::mpsc;
use types::ImageRef;

pub(super) use cache::{kind_usage, line, prune, records};

use self::ask::{Asked, Remote};
use self::told::{Lines, Telling};
use super::registry_auth;
use crate::app::App;
use crate::http::body::{Body, Upload};
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};
use crate::places::Way;

/// Messages that a slow client may be behind.
const BEHIND: usize = 64;

/// `POST /build`
pub(super) async fn build(app: &Arc<App>, call: Call) -> Answer {
    if call.query.get("version") == Some("2") {
        return super::buildkit::posted::build(app, call);
    }
    let asked = Asked::read(&call)?;
    let credentials = registry_auth::all(&call)?;
    let solver = app.solver.clone();
    let place = app.places.enter(&call.peer, Way::In).await;
    let (mut upload, feed) = Upload::new(call.request.into_body());
    let remote = asked.remote.clone();
    let cancel = Cancel::new();
    let guard = app.classic.enter(&asked.build_id, &cancel);
    let gone = WhenGone(Some(cancel.clone()));
    let given_up = cancel.clone();
    let taking = tokio::task::spawn_blocking({
        let solver = solver.clone();
        move || {
            let tree = match remote {
                Some(remote) => fetch(&solver, &remote, &given_up).inspect(|_| {
                    // An archive that comes beside an address is of no interest.
                    std::io::copy(&mut upload, &mut std::io::sink()).ok();
                }),
                None => solver.unpack(BufReader::with_capacity(64 << 10, &mut upload)),
            };
            drop((upload, place));
            tree
        }
    });
    let (tree, ()) = tokio::join!(taking, feed);
    let tree = tree?.map_err(refused)?;
    let given = Given {
        secrets: asked.secrets.clone(),
        credentials: Box::new(move |image| credentials.of(image)),
        network: asked.network.clone(),
        ..Given::default()
    };
    let mut work = Work {
        solver,
        asked,
        given,
        cancel: cancel.clone(),
        memory: Memory::default(),
    };
    // What cannot be read is refused before anything is told.
    let prepared = tokio::task::spawn_blocking(move || {
        let source = work.prepare(tree)?;
        Ok((work, source))
    });
    let (work, source) = prepared.await?.map_err(refused)?;
    let (send, receive) = mpsc::channel(BEHIND);
    let busy = app.busy.enter();
    let closed = send.clone();
    let working = tokio::task::spawn_blocking(move || {
        let lines = Lines::new(send, work.cancel.clone());
        work.run(source, &lines);
        drop((guard, busy));
    });
    gone.stays();
    app.spawn(async move {
        tokio::select! {
            _ = working => {}
            // The client is gone.
            () = closed.closed() => cancel.cancel(),
        }
    });
    Ok(respond::json_stream(Body::channel(receive)))
}

/// Gives a build up whose client goes before it has sent everything.
struct WhenGone(Option<Cancel>);

impl WhenGone {
    /// From here on somebody else looks whether it goes.
    fn stays(mut self) {
        self.0 = None;
    }
}

impl Drop for WhenGone {
    fn drop(&mut self) {
        if let Some(cancel) = &self.0 {
            cancel.cancel();
        }
    }
}

/// `POST /build/cancel`
pub(super) fn cancel(app: &App, call: &Call) -> Answer {
    let id = call.query.get("id").unwrap_or_default();
    if id.is_empty() {
        return Err(Failure::bad_request("build ID not provided"));
    }
    app.classic.cancel(id);
    respond::no_content()
}

fn refused(failed: Failed) -> Failure {
    Failure::new(failed.kind(), failed.with_excerpt(&failed.message))
}

/// The files that are at an address.
fn fetch(solver: &Solver, remote: &Remote, cancel: &Cancel) -> Result<Tree, Failed> {
    let given = Given::default();
    let ask = Ask {
        client: &given,
        progress: &builder::solve::Silent,
        cancel,
        entitlements: &[],
        memory: &Memory::default(),
    };
    let mut graph = builder::graph::Graph::new();
    let op = builder::graph::Op::Source(remote.origin());
    let vertex = graph.add(op, Vec::new(), None, builder::graph::About::default());
    let wanted = [builder::graph::Output { vertex, index: 0 }];
    let files = solver.solve(&ask, &graph, &wanted)?;
    let tree = match files.first() {
        Some(files) => solver.as_tree(files)?,
        None => return Err(Failed::internal("nothing was fetched")),
    };
    match remote {
        Remote::Git(_) => Ok(tree),
        Remote::Web(_) => {
            let path = tree.path().join(ask::FETCHED);
            let file = std::fs::File::open(&path)
                .map_err(|error| Failed::internal(format!("cannot read the context: {error}")))?;
            if Solver::is_archive(&file) {
                return solver.unpack(BufReader::new(file));
            }
            // As long as a Dockerfile may be, and no longer.
            let text = read_file(tree.path(), ask::FETCHED)?.unwrap_or_default();
            solver.tree_of("Dockerfile", &text)
        }
    }
}

/// One build.
struct Work {
    solver: Solver,
    asked: Asked,
    given: Given,
    cancel: Cancel,
    memory: Memory,
}

impl Work {
    fn run(self, source: Arc<Source>, lines: &Lines) {
        if let Err(failed) = self.build(source, lines) {
            lines.fail(&failed, self.asked.events);
        }
    }

    /// Reads the Dockerfile, and leaves out what is to be.
    fn prepare(&mut self, tree: Tree) -> Result<Arc<Source>, Failed> {
        let asked = &mut self.asked;
        let context = tree.path().to_owned();
        let name = asked.dockerfile.clone();
        let text = match &asked.inline {
            Some(text) => text.clone().into_bytes(),
            None => read_file(&context, &name)?.ok_or_else(|| {
                let sentence = format!("Cannot locate specified Dockerfile: {name}");
                Failed::invalid(sentence)
            })?,
        };
        asked.options.exclude = ignored(&context, &name)?;
        leave_out(&context, &asked.options.exclude)?;
        self.given
            .directories
            .insert("context".to_owned(), Arc::new(tree));
        let shown = name.rsplit('/').next().unwrap_or(&name);
        let source = Arc::new(Source::new(shown, &text));
        look_through(&source)?;
        Ok(source)
    }

    fn build(&self, source: Arc<Source>, lines: &Lines) -> Result<(), Failed> {
        let asked = &self.asked;
        let telling = Telling::new(lines, &source, asked);
        let ask = Ask {
            client: &self.given,
            progress: &telling,
            cancel: &self.cancel,
            entitlements: &asked.entitlements,
            memory: &self.memory,
        };
        if let Some(call) = &asked.call {
            return self.look(&ask, call, &source, lines);
        }
        for name in &asked.cache_from {
            // One that cannot be had is none.
            match self.solver.cache_from(&ask, name) {
                Ok(cache) => self.memory.add_cache(cache),
                Err(failed) if failed.cancelled => return Err(failed),
                Err(failed) => tracing::info!("the cache of {name}: {}", failed.message),
            }
        }
        let build = Build {
            source,
            options: asked.options.clone(),
            platforms: asked.platforms.clone(),
        };
        let built = self.solver.build(&ask, &build)?;
        telling.finish(&built);
        self.output(&ask, &built, lines)
    }

    fn output(&self, ask: &Ask<'_>, built: &[Built], lines: &Lines) -> Result<(), Failed> {
        let asked = &self.asked;
        match asked.output.as_str() {
            "" | "image" => {
                let output = ImageOutput {
                    names: asked.names.clone(),
                    annotations: asked.annotations.clone(),
                    inline_cache: asked.inline_cache(),
                    ..ImageOutput::default()
                };
                let image = self.solver.write_image(ask, built, &output)?;
                told_of(lines, asked, &image);
                Ok(())
            }
            "cacheonly" => Ok(()),
            _ => {
                let mut raw = std::io::BufWriter::with_capacity(48 << 10, lines.raw());
                match built.first().and_then(|built| built.files.as_ref()) {
                    Some(files) => {
                        files.tar(&mut raw)?;
                        std::io::Write::flush(&mut raw)
                            .map_err(|error| Failed::internal(error.to_string()))
                    }
                    None => Err(Failed::invalid("there are no files")),
                }
            }
        }
    }

    /// `--check`, `--call`
    fn look(
        &self,
        ask: &Ask<'_>,
        call: &str,
        source: &Arc<Source>,
        lines: &Lines,
    ) -> Result<(), Failed> {
        let file = builder::dockerfile::parse(source).map_err(|error| {
            let span = error.span();
            Failed::invalid(error.to_string()).at(source, &[span])
        })?;
        if call != "check" {
            lines.aux("brig.targets", &ask::targets(&file));
            return Ok(());
        }
        let mut known = plan::Known::new();
        loop {
            match plan::check(&file, &self.asked.options, &known) {
                plan::Checked::Needs(requests) => known.extend(self.solver.known(ask, &requests)?),
                plan::Checked::Done { findings, error } => {
                    let report = check::Report {
                        source,
                        findings: &findings,
                        error: error.as_ref(),
                    };
                    let shown = serde_json::json!({
                        "text": report.text(),
                        "json": report.json(),
                        "status": report.status(),
                    });
                    lines.aux("brig.check", &shown);
                    return match error {
                        Some(error) => {
                            let span = error.span();
                            Err(Failed::invalid(error.to_string()).at(source, &[span]))
                        }
                        None => Ok(()),
                    };
                }
            }
        }
    }
}

fn told_of(lines: &Lines, asked: &Asked, image: &WrittenImage) {
    let id = image.id.to_string();
    if asked.quiet {
        lines.stream(format!("{id}\n"));
        return;
    }
    lines.send(&wire::Progress {
        aux: Some(serde_json::json!({ "ID": id })),
        ..wire::Progress::default()
    });
    if asked.events {
        let names = asked.names.iter().map(ImageRef::to_string);
        let names: Vec<String> = names.collect();
        let config = image.configs.first().map(ToString::to_string);
        let digest = serde_json::json!({ "id": id, "names": names, "config": config });
        lines.aux("brig.image", &digest);
        return;
    }
    lines.stream(format!("Successfully built {}\n", image.id.short()));
    for name in &asked.names {
        lines.stream(format!("Successfully tagged {}\n", name.familiar()));
    }
}

/// A piece of an answer.
pub(super) type Piece = Result<Bytes, std::io::Error>;
