//! `/exec`

use api::convert::detach_keys;
use api::{Version, wire};
use engine::Engine;
use engine::exec::{self, Request, State, View};
use hyper::StatusCode;
use tokio::sync::oneshot;
use types::{ErrorKind, ExecId};

use super::attach::no_socket;
use super::containers::size_query;
use super::run::told as made_known;
use crate::app::App;
use crate::http::body::Body;
use crate::http::error::Failure;
use crate::http::hijack::{self, Client, Framing};
use crate::http::request::Call;
use crate::http::respond::{self, Answer};
use crate::http::unread::Sent;

pub(super) async fn create(app: &App, call: Call) -> Answer {
    if call.query.flag("run") && call.wants_upgrade() && call.policy().is_open() {
        return run(app, call).await;
    }
    let name = call.name.clone();
    let request = asked(call).await?;
    let id = app
        .blocking(move |engine| exec::create(engine, &name, request))
        .await?;
    Ok(respond::json(StatusCode::CREATED, &answer(&id)))
}

/// What is to be run.
async fn asked(call: Call) -> Result<Request, Failure> {
    let peer = call.peer.clone();
    let body: Option<wire::ExecCreateRequest> = Call::json(call.request).await?;
    let body = body.unwrap_or_default();
    if body.cmd.0.is_empty() {
        return Err(Failure::bad_request("No exec command specified"));
    }
    peer.door.policy.may_exec(body.privileged)?;
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Request {
        command: body.cmd.0,
        env: body.env.unwrap_or_default(),
        working_dir: said(body.working_dir),
        user: said(body.user),
        tty: body.tty,
        console_size: first_size((body.tty, body.console_size), call.version),
        privileged: body.privileged,
        attach: [body.attach_stdin, body.attach_stdout, body.attach_stderr],
        detach_keys: match body.detach_keys.as_str() {
            "" => None,
            keys => Some(detach_keys(keys)?),
        },
    })
}

fn answer(id: &ExecId) -> wire::ExecCreateResponse {
    wire::ExecCreateResponse { id: id.to_string() }
}

/// `run=1`: Brig's own way to make a session and to start it by one request, as `brig exec` does. Its answer is that
/// of a start; `GET /exec/{id}/json?wait=1` tells of its end.
async fn run(app: &App, mut call: Call) -> Answer {
    let upgrade = hyper::upgrade::on(&mut call.request);
    let (name, version) = (call.name.clone(), call.version);
    let request = asked(call).await?;
    let framing = Framing::new(request.tty, version);
    let (made, making) = oneshot::channel();
    let (coming, client) = oneshot::channel();
    let (engine, traced) = (app.engine.clone(), app.traced());
    // On one thread, which has the client when it has made the session.
    let working = tokio::task::spawn_blocking(move || {
        let id = traced.run(|| exec::create(&engine, &name, request));
        let known = id.as_ref().ok().cloned();
        let _ = made.send(id);
        let Some(id) = known else { return };
        if let Ok(client) = client.blocking_recv() {
            begin(&engine, &id, [0, 0], client, framing);
        }
        // Whoever waits for its end hears of it although it was refused, or nobody came.
        exec::give_up(&engine, &id);
    });
    app.spawn(async move { drop(working.await) });
    let id = making.await??;
    let mut response = hijack::switching(framing);
    let told = made_known(&answer(&id));
    response.headers_mut().insert(wire::MADE, told);
    app.spawn(async move {
        match hijack::take(upgrade).await {
            // It is not waited for where the daemon is at its end.
            Ok(client) => drop(coming.send(client)),
            Err(error) => tracing::debug!(exec = %id, "a client went away: {error}"),
        }
    });
    Ok(response)
}

pub(super) async fn start(app: &App, mut call: Call) -> Answer {
    let upgrade = call
        .wants_upgrade()
        .then(|| hyper::upgrade::on(&mut call.request));
    let (parts, body) = call.request.into_parts();
    if upgrade.is_none() {
        return start_over_http(app, &call.name, call.version, parts, body).await;
    }
    let request: wire::ExecStartRequest = Call::json(hyper::Request::from_parts(parts, body))
        .await?
        .unwrap_or_default();
    let view = startable(app, &call.name).await?;
    if request.detach {
        return start_detached(app, view.id).await;
    }
    let size = first_size((request.tty, request.console_size), call.version);
    let framing = Framing::new(request.tty, call.version);
    let engine = app.engine.clone();
    if let Some(upgrade) = upgrade {
        app.spawn(async move {
            match hijack::take(upgrade).await {
                Ok(client) => serve(engine, view.id, size, client, framing).await,
                Err(error) => tracing::debug!(exec = %view.id, "a client went away: {error}"),
            }
        });
    }
    Ok(hijack::switching(framing))
}

/// A client that does not ask for an upgrade sends its options only: what follows in the body would
/// be standard input, which needs an upgrade.
async fn start_over_http(
    app: &App,
    name: &str,
    version: Version,
    parts: hyper::http::request::Parts,
    body: Sent,
) -> Answer {
    let request: wire::ExecStartRequest = Call::json(hyper::Request::from_parts(parts, body))
        .await?
        .unwrap_or_default();
    let view = startable(app, name).await?;
    if request.detach {
        return start_detached(app, view.id).await;
    }
    let size = first_size((request.tty, request.console_size), version);
    let framing = Framing::new(request.tty, version);
    let (client, response) = hijack::output_only(framing).map_err(no_socket)?;
    let engine = app.engine.clone();
    app.spawn(serve(engine, view.id, size, client, framing));
    Ok(response)
}

/// How large the terminal is at first, rows and columns: said since API 1.42, where there is one.
fn first_size((tty, size): (bool, Option<[u16; 2]>), version: Version) -> [u16; 2] {
    size.filter(|_| tty && version.has(42)).unwrap_or_default()
}

/// A session that has not been started yet.
async fn startable(app: &App, id: &str) -> Result<View, Failure> {
    let name = id.to_owned();
    let view = app
        .blocking(move |engine| exec::inspect(engine, &name))
        .await?;
    match view.state {
        State::Created => Ok(view),
        State::Running(_) => Err(Failure::new(
            ErrorKind::Conflict,
            format!("Error: Exec command {id} is already running"),
        )),
        State::Exited(_) => Err(Failure::new(
            ErrorKind::Conflict,
            format!("Error: Exec command {id} has already run"),
        )),
    }
}

async fn start_detached(app: &App, id: ExecId) -> Answer {
    app.blocking(move |engine| exec::start(engine, id.as_str(), [0, 0], None))
        .await?;
    Ok(respond::status(StatusCode::OK))
}

/// Starts it with a client attached. The answer's head is out: what goes wrong is said in the stream.
async fn serve(engine: Engine, id: ExecId, size: [u16; 2], client: Client, framing: Framing) {
    let work = move || begin(&engine, &id, size, client, framing);
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!("an exec session was not started: {error}");
    }
}

/// The same, blocking.
fn begin(engine: &Engine, id: &ExecId, size: [u16; 2], client: Client, framing: Framing) {
    let voice = client.socket.try_clone();
    let streams = Some(exec::Client {
        stream: client.socket,
        early: client.early,
        // As who starts it has it, whatever it was made with: so it is with Docker.
        framed: framing.framed,
    });
    let Err(error) = exec::start(engine, id.as_str(), size, streams) else {
        return;
    };
    let reason = error.chain();
    tracing::info!(exec = %id, "{reason}");
    if let Ok(socket) = voice {
        hijack::tell(&socket, framing, &reason);
    }
}

pub(super) async fn resize(app: &App, call: &Call) -> Answer {
    let size = size_query(call)?;
    let name = call.name.clone();
    app.blocking(move |engine| exec::resize(engine, &name, size))
        .await?;
    Ok(respond::status(StatusCode::OK))
}

pub(super) async fn inspect(app: &App, call: &Call) -> Answer {
    let name = call.name.clone();
    if call.query.flag("wait") {
        let end = exec::wait(&app.engine, &name)?;
        // Whoever goes on with it asks for the same.
        let body = Body::later(name, async move {
            respond::json_bytes(&shown(&end.await)).into()
        });
        return Ok(respond::json_stream(body));
    }
    let view = app
        .blocking(move |engine| exec::inspect(engine, &name))
        .await?;
    respond::ok(&shown(&view))
}

fn shown(view: &View) -> wire::ExecInspect {
    let request = &view.request;
    let mut words = request.command.iter().cloned();
    let [open_stdin, open_stdout, open_stderr] = request.attach;
    let (running, exit_code, pid) = match &view.state {
        State::Created => (false, None, 0),
        State::Running(process) => (true, None, process.pid),
        State::Exited(code) => (false, Some(*code), 0),
    };
    wire::ExecInspect {
        id: view.id.to_string(),
        running,
        exit_code,
        process_config: wire::ExecProcessConfig {
            tty: request.tty,
            entrypoint: words.next().unwrap_or_default(),
            arguments: words.collect(),
            privileged: Some(request.privileged),
            user: request.user.clone().unwrap_or_default(),
        },
        open_stdin,
        open_stderr,
        open_stdout,
        can_remove: false,
        container_id: view.container.to_string(),
        detach_keys: String::new(),
        pid,
    }
}
