//! `/containers`

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use api::convert::{self, container_spec};
use api::{Version, wire};
use engine::Engine;
use engine::container::{self, Created, Seen, View, WaitFor};
use hyper::StatusCode;
use types::{ContainerName, ErrorKind, Platform, Signal};

use super::container_filter::{Filter, PruneFilter};
use super::{container_view, image_view};
use crate::access::{Peer, guard};
use crate::app::App;
use crate::http::body::Body;
use crate::http::error::Failure;
use crate::http::query::Query;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};
use crate::http::unread::Sent;
use crate::telemetry;

pub(super) async fn create(app: &App, call: Call) -> Answer {
    let made = make(app, &call.query, (call.version, &call.peer), call.request).await?;
    Ok(respond::json(StatusCode::CREATED, &made))
}

/// A container that is to be made.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) name: Option<ContainerName>,
    pub(super) spec: types::ContainerSpec,
    /// What is to be told of how it was asked for.
    pub(super) warning: Option<String>,
}

impl Asked {
    /// What is answered when it is there.
    pub(super) fn answer(warning: Option<String>, made: Created) -> wire::ContainerCreateResponse {
        wire::ContainerCreateResponse {
            id: made.id.to_string(),
            warnings: warning.into_iter().chain(made.warnings).collect(),
        }
    }
}

/// Makes what the request's body describes.
async fn make(
    app: &App,
    query: &Query,
    (version, peer): (Version, &Peer),
    request: hyper::Request<Sent>,
) -> Result<wire::ContainerCreateResponse, Failure> {
    let asked = asked(app, query, (version, peer), request).await?;
    let Asked {
        name,
        spec,
        warning,
    } = asked;
    let verb = move |engine: &Engine| container::create(engine, name, spec);
    let created = guard::naming(app, &peer.door.policy, verb).await?;
    if let Some(span) = telemetry::current() {
        span.about(created.id.clone());
    }
    Ok(Asked::answer(warning, created))
}

/// What the request's body describes.
pub(super) async fn asked(
    app: &App,
    query: &Query,
    (version, peer): (Version, &Peer),
    request: hyper::Request<Sent>,
) -> Result<Asked, Failure> {
    let name = query
        .get("name")
        .map(str::parse::<ContainerName>)
        .transpose()?;
    let platform = query
        .get("platform")
        .map(str::parse::<Platform>)
        .transpose()?;
    let body: Option<wire::ContainerCreateRequest> = Call::json(request).await?;
    let says =
        |body: &wire::ContainerCreateRequest| body.config != wire::ContainerConfig::default();
    let mut body = body.filter(says).ok_or_else(|| {
        Failure::bad_request("config cannot be empty in order to create a container")
    })?;
    app.live().defaults.complete(&mut body, version);
    let moved = convert::move_sysctls(&mut body, version)?;
    let mut spec = container_spec(body, platform, version)?;
    // Older clients know of no other memory than what can be shared.
    if !version.has(40) && spec.namespaces.ipc == types::NamespaceMode::Default {
        spec.namespaces.ipc = types::NamespaceMode::Shareable;
    }
    if !peer.door.policy.is_open() {
        guard::may_create(app, &peer.door.policy, &mut spec).await?;
    }
    Ok(Asked {
        name,
        spec,
        warning: moved,
    })
}

pub(super) async fn start(app: &App, call: Call) -> Answer {
    let keys = call.query.get("detachKeys");
    keys.map(convert::detach_keys).transpose()?;
    if call.query.get("checkpoint").is_some() {
        return Err(Failure::new(
            ErrorKind::Unsupported,
            "checkpoint is not supported by this version of Brig: leave it out",
        ));
    }
    if app.handovers.any() {
        let id = container::inspect(&app.engine, &call.name)?.id;
        app.handovers.settled(&id).await;
    }
    let name = call.name;
    app.blocking(move |engine| container::start(engine, &name))
        .await?;
    respond::no_content()
}

pub(super) async fn stop(app: &App, call: &Call) -> Answer {
    let (signal, timeout) = stop_query(call)?;
    let (engine, name) = (app.engine.clone(), call.name.clone());
    app.finish(async move { container::stop(&engine, &name, signal, timeout).await })
        .await?;
    respond::no_content()
}

pub(super) async fn restart(app: &App, call: &Call) -> Answer {
    let (signal, timeout) = stop_query(call)?;
    let (engine, name) = (app.engine.clone(), call.name.clone());
    app.finish(async move { container::restart(&engine, &name, signal, timeout).await })
        .await?;
    respond::no_content()
}

fn stop_query(call: &Call) -> Result<(Option<Signal>, Option<i64>), Failure> {
    Ok((signal(call)?, call.query.number("t")?))
}

fn signal(call: &Call) -> Result<Option<Signal>, Failure> {
    Ok(call.query.get("signal").map(str::parse).transpose()?)
}

pub(super) async fn kill(app: &App, call: &Call) -> Answer {
    let signal = signal(call)?;
    let (engine, name) = (app.engine.clone(), call.name.clone());
    app.finish(async move { container::kill(&engine, &name, signal).await })
        .await?;
    respond::no_content()
}

pub(super) async fn remove(app: &App, call: &Call) -> Answer {
    if call.query.flag("link") {
        let link = call.name.clone();
        app.blocking(move |engine| engine::network::unlink(engine, &link))
            .await?;
        return respond::no_content();
    }
    let (force, volumes) = (call.query.flag("force"), call.query.flag("v"));
    let (engine, name) = (app.engine.clone(), call.name.clone());
    app.finish(async move {
        match volumes {
            true => container::remove_with_volumes(&engine, &name, force).await,
            false => container::remove(&engine, &name, force).await,
        }
    })
    .await?;
    respond::no_content()
}

pub(super) async fn rename(app: &App, call: &Call) -> Answer {
    let new = call.query.get("name").unwrap_or_default();
    if new.is_empty() || new == "/" {
        return Err(Failure::bad_request(
            "Neither old nor new names may be empty",
        ));
    }
    let (who, new) = (call.name.clone(), new.parse::<ContainerName>()?);
    let verb = move |engine: &Engine| container::rename(engine, &who, new);
    guard::naming(app, call.policy(), verb).await?;
    respond::no_content()
}

pub(super) async fn pause(app: &App, call: &Call) -> Answer {
    let who = call.name.clone();
    app.blocking(move |engine| container::pause(engine, &who))
        .await?;
    respond::no_content()
}

pub(super) async fn unpause(app: &App, call: &Call) -> Answer {
    let who = call.name.clone();
    app.blocking(move |engine| container::unpause(engine, &who))
        .await?;
    respond::no_content()
}

pub(super) async fn prune(app: &App, call: &Call) -> Answer {
    let filter = PruneFilter::read(call.query.filters()?)?;
    let (engine, peer) = (app.engine.clone(), call.peer.clone());
    let takes = move |view: &View| peer.door.policy.sees(&view.spec) && filter.takes(view);
    let pruned = app
        .finish(async move { container::prune(&engine, takes).await })
        .await?;
    respond::ok(&wire::ContainersPruned {
        containers_deleted: Some(pruned.removed.iter().map(ToString::to_string).collect()),
        space_reclaimed: pruned.reclaimed,
    })
}

/// Who is waited for, and when its last run ended before that.
fn waits_at(app: &App, who: &str) -> String {
    match container::inspect(&app.engine, who) {
        Ok(view) => {
            let last = view.lifecycle.exit_status().map(|status| status.finished);
            let last = last.map_or_else(|| "-".to_owned(), |time| time.to_string());
            format!("{} {last}", view.id)
        }
        // It is gone, and its answer comes at once.
        Err(_) => format!("{who} -"),
    }
}

/// The head goes out at once: a client that has it knows that no end will be missed.
pub(super) async fn wait(app: &App, call: &Call) -> Answer {
    let condition = match call.query.get("condition") {
        None | Some("not-running") => WaitFor::NotRunning,
        Some("next-exit") => WaitFor::NextExit,
        Some("removed") => WaitFor::Removed,
        Some(other) => {
            return Err(Failure::bad_request(format!(
                "invalid condition: \"{other}\": not-running, next-exit or removed is expected"
            )));
        }
    };
    let resumed = call.resumes();
    let who = resumed.map_or(call.name.as_str(), |(id, _)| id);
    let seen = resumed.map(|(_, seen)| Seen(seen.parse().ok()));
    // Whatever end it has come to since it was made is the one that is waited for.
    let is_of_run = call.query.flag("run");
    let seen = seen.or(is_of_run.then_some(Seen(None)));
    let end = container::wait_on(&app.engine, who, condition, seen)?;
    if is_of_run && resumed.is_none() {
        app.runs.begun(&app.engine, &call.name).await?;
    }
    let position = match resumed {
        Some((id, seen)) => format!("{id} {seen}"),
        None if is_of_run => format!("{} -", call.name),
        None => waits_at(app, &call.name),
    };
    let body = Body::later(position, async move {
        let answer = match end.await {
            Ok(status) => wire::ContainerWaitResponse {
                status_code: i64::from(status.code),
                error: None,
            },
            Err(error) => wire::ContainerWaitResponse {
                status_code: -1,
                error: Some(wire::WaitError {
                    message: error.chain(),
                }),
            },
        };
        respond::json_bytes(&answer).into()
    });
    Ok(respond::json_stream(body))
}

pub(super) async fn inspect(app: &App, call: &Call) -> Answer {
    let view = container::inspect_settled(&app.engine, &call.name).await?;
    let mut inspect = container_view::inspect(&view, call.version);
    if call.version.has(48) {
        let id = view.id.clone();
        let manifest = app
            .blocking(move |engine| engine::image::manifest_of(engine, &id))
            .await?;
        inspect.image_manifest_descriptor = manifest.as_ref().map(image_view::manifest_descriptor);
    }
    if call.query.flag("size") {
        let (writable, root) = sizes(app, &inspect.id, &inspect.image).await?;
        inspect.size_rw = Some(writable);
        inspect.size_root_fs = Some(root);
    }
    respond::ok(&inspect)
}

/// Bytes in the writable layer, and those with the image's.
async fn sizes(app: &App, id: &str, image: &str) -> Result<(i64, i64), Failure> {
    let (id, image) = (id.to_owned(), image.to_owned());
    let (writable, image) = app
        .blocking(move |engine| {
            let writable = container::size(engine, &id)?;
            // An image may be removed by force before its containers.
            let image = match engine::image::inspect(engine, &image) {
                Err(error) if error.kind() == ErrorKind::NotFound => 0,
                image => image?.size,
            };
            Ok((writable, image))
        })
        .await?;
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    Ok((number(writable), number(writable.saturating_add(image))))
}

pub(super) async fn list(app: &App, call: &Call) -> Answer {
    let limit = call.query.number::<i64>("limit")?.unwrap_or(0);
    let limit = usize::try_from(limit).unwrap_or(0);
    let all = call.query.flag("all") || limit > 0;
    let filter = Filter::read(&app.engine, call.query.filters()?).await?;
    let wanted = |view: &View| {
        let lives = view.lifecycle.is_running() || view.lifecycle.is_restarting();
        (all || filter.names_states() || lives)
            && call.policy().sees(&view.spec)
            && filter.takes(view)
    };
    let limit = if limit > 0 { limit } else { usize::MAX };
    let now = crate::clock::now();
    let mut lines: Vec<_> = container::list(&app.engine)
        .filter(wanted)
        .take(limit)
        .map(|view| container_view::summary(&view, call.version, now))
        .collect();
    name_images(app, call.version, &mut lines).await?;
    if call.query.flag("size") {
        for line in &mut lines {
            match sizes(app, &line.id, &line.image_id).await {
                Ok((writable, root)) => {
                    line.size_rw = Some(writable);
                    line.size_root_fs = Some(root);
                }
                // It went meanwhile, and is still listed as it was when that was asked for.
                Err(failure) if failure.status() == StatusCode::NOT_FOUND => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    respond::ok(&lines)
}

/// Says of each what its image is called by now, and by what manifest it is named.
async fn name_images(
    app: &App,
    version: Version,
    lines: &mut [wire::ContainerSummary],
) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    let names: BTreeSet<String> = lines.iter().map(|line| line.image.clone()).collect();
    let (meant, manifests) = app
        .blocking(move |engine| {
            let id = |name: String| {
                let image = engine::image::inspect(engine, &name);
                (name, image.ok().map(|image| image.id.to_string()))
            };
            let meant: BTreeMap<_, _> = names.into_iter().map(id).collect();
            let manifests = match version.has(48) {
                true => engine::image::manifests(engine)?,
                false => HashMap::new(),
            };
            Ok((meant, manifests))
        })
        .await?;
    for line in lines {
        // The name is another image's by now, or nobody's.
        if meant.get(&line.image).cloned().flatten().as_ref() != Some(&line.image_id) {
            line.image.clone_from(&line.image_id);
        }
        let manifest = manifests.get(&line.id).map(Arc::as_ref);
        line.image_manifest_descriptor = manifest.map(image_view::manifest_descriptor);
    }
    Ok(())
}

pub(super) async fn top(app: &App, call: &Call) -> Answer {
    let name = call.name.clone();
    let args = call.query.get("ps_args").unwrap_or("-ef").to_owned();
    let top = app
        .blocking(move |engine| container::top(engine, &name, &args))
        .await?;
    respond::ok(&wire::ContainerTop {
        processes: top.processes,
        titles: top.titles,
    })
}

pub(super) async fn update(app: &App, call: Call) -> Answer {
    let Call {
        name,
        request,
        peer,
        version,
        ..
    } = call;
    let body: Option<wire::ContainerUpdateRequest> = Call::json(request).await?;
    let mut body = body.unwrap_or_default();
    // Older clients said what nobody listened to.
    if !version.has(40) {
        body.host_config.pids_limit = None;
    }
    let change = convert::container_change(&body, version)?;
    guard::may_update(app, &peer.door.policy, &name, &change).await?;
    let warnings = app
        .blocking(move |engine| container::update(engine, &name, &change))
        .await?;
    respond::ok(&wire::ContainerUpdateResponse {
        warnings: Some(warnings).filter(|warnings| !warnings.is_empty()),
    })
}

pub(super) async fn resize(app: &App, call: &Call) -> Answer {
    let size = size_query(call)?;
    let name = call.name.clone();
    app.blocking(move |engine| container::resize(engine, &name, size))
        .await?;
    Ok(respond::status(StatusCode::OK))
}

/// Rows and columns.
pub(super) fn size_query(call: &Call) -> Result<[u16; 2], Failure> {
    let side = |name, word| {
        let text = call.query.get(name).unwrap_or_default();
        side(text)
            .map_err(|why| Failure::bad_request(format!("invalid resize {word} {text:?}: {why}")))
    };
    Ok([side("h", "height")?, side("w", "width")?])
}

/// What is wrong with it is told as Go's library does. What no terminal is as large as is cut.
fn side(text: &str) -> Result<u16, &'static str> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("invalid syntax");
    }
    let side: u32 = text.parse().map_err(|_| "value out of range")?;
    Ok(u16::try_from(side).unwrap_or(u16::MAX))
}
