//! `POST /containers/{id}/attach`, and the same by WebSocket: `GET /containers/{id}/attach/ws`

use api::convert::detach_keys;
use engine::container::{self, Attach};
use engine::{AttachOptions, Engine, Streams};
use types::ContainerId;

use crate::app::App;
use crate::http::error::Failure;
use crate::http::hijack::{self, Client, Framing};
use crate::http::query::Query;
use crate::http::request::Call;
use crate::http::respond::Answer;
use crate::http::websocket;

/// Ctrl-P Ctrl-Q.
const DETACH: [u8; 2] = [16, 17];

pub(super) fn attach(app: &App, mut call: Call) -> Answer {
    let view = container::check_attach(&app.engine, &call.name)?;
    let framing = Framing::new(view.spec.tty, call.version);
    let attach = wanted(&call.query, view.spec.open_stdin, framing)?;
    // A start that comes in from now on waits until the engine has the connection.
    let handover = app.handovers.begin(view.id.clone());
    let engine = app.engine.clone();
    if !call.wants_upgrade() {
        let through = hijack::through_http(call.request.into_body(), framing);
        let (client, response) = through.map_err(no_socket)?;
        app.spawn(async move {
            hand_over(&engine, &view.id, attach, client, framing).await;
            drop(handover);
        });
        return Ok(response);
    }
    let upgrade = hyper::upgrade::on(&mut call.request);
    app.spawn(async move {
        match hijack::take(upgrade).await {
            Ok(client) => hand_over(&engine, &view.id, attach, client, framing).await,
            Err(error) => tracing::debug!(container = %view.id, "a client went away: {error}"),
        }
        drop(handover);
    });
    Ok(hijack::switching(framing))
}

/// Both streams of output come as they are, in frames of the WebSocket's.
pub(super) fn attach_ws(app: &App, mut call: Call) -> Answer {
    let view = container::check_attach(&app.engine, &call.name)?;
    let framing = Framing::new(true, call.version);
    let attach = wanted(&call.query, view.spec.open_stdin, framing)?;
    let response = websocket::accept(call.request.headers())
        .ok_or_else(|| Failure::bad_request("a WebSocket's handshake is expected (RFC 6455)"))?;
    let handover = app.handovers.begin(view.id.clone());
    let engine = app.engine.clone();
    let upgrade = hyper::upgrade::on(&mut call.request);
    app.spawn(async move {
        match websocket::take(upgrade).await {
            Ok(socket) => {
                let client = Client {
                    socket,
                    early: Vec::new(),
                };
                hand_over(&engine, &view.id, attach, client, framing).await;
            }
            Err(error) => tracing::debug!(container = %view.id, "a client went away: {error}"),
        }
        drop(handover);
    });
    Ok(response)
}

pub(super) fn no_socket(error: std::io::Error) -> Failure {
    Failure::new(
        types::ErrorKind::Internal,
        format!("cannot make a socket for the client's streams: {error}"),
    )
}

pub(super) async fn hand_over(
    engine: &Engine,
    id: &ContainerId,
    mut attach: Attach,
    client: Client,
    framing: Framing,
) {
    let voice = client.socket.try_clone();
    attach.options.early = client.early;
    if let Err(error) = container::attach(engine, id.as_str(), attach, client.socket).await {
        tracing::error!(container = %id, "attach failed: {}", error.chain());
        if let Ok(socket) = voice {
            hijack::tell(&socket, framing, &error.chain());
        }
    }
}

pub(super) fn wanted(query: &Query, open_stdin: bool, framing: Framing) -> Result<Attach, Failure> {
    let flag = |name| query.flag(name);
    Ok(Attach {
        options: AttachOptions {
            streams: Streams {
                stdin: flag("stdin") && open_stdin,
                stdout: flag("stdout"),
                stderr: flag("stderr"),
            },
            framed: framing.framed,
            detach_keys: match query.get("detachKeys") {
                Some(keys) => detach_keys(keys)?,
                None => DETACH.to_vec(),
            },
            early: Vec::new(),
        },
        logs: flag("logs"),
        stream: flag("stream"),
    })
}
