//! `POST /grpc` and `POST /session`: BuildKit's protocols, for `docker build` with its plugin.
//!
//! A client opens a session, on which it answers; asks for a build by `Control.Solve`; looks on by
//! `Control.Status`; and is, as buildx, the build's own frontend by `LLBBridge`.

mod agent;
mod attest;
mod attributes;
mod caches;
mod client;
mod content;
mod control;
mod disk;
mod feed;
mod frontend;
mod gateway;
mod history;
mod jobs;
mod look;
mod output;
pub(super) mod posted;
mod sessions;
mod solve;
mod status;
mod subrequest;
mod trees;
mod wire;

pub(super) use disk::CLIENT_FILES;

use std::sync::Arc;

use builder::buildkit::files::Kept;
use builder::solve::Solver;
use buildkit::session::{HealthCheckRequest, HealthCheckResponse};
use engine::Engine;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};

use crate::app::App;
use crate::http::body::Body;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};
use crate::http::router::Operation;
use api::grpc::{channel, server};
use history::History;
use jobs::Jobs;
use sessions::{Offer, Sessions};

/// What builds of this daemon share.
#[derive(Debug)]
pub(crate) struct Builds {
    sessions: Sessions,
    jobs: Jobs,
    history: History,
    /// Files of clients that wait for the next build.
    kept: Kept,
    solver: Solver,
}

impl Builds {
    pub(crate) fn new(engine: &Engine, solver: Solver) -> Self {
        agent::clear(&engine.config().run_root);
        Self {
            sessions: Sessions::default(),
            jobs: Jobs::default(),
            history: History::default(),
            kept: kept(engine),
            solver,
        }
    }
}

fn kept(engine: &Engine) -> Kept {
    let storage = engine.storage().clone();
    let root = engine.config().data_root.join("build-files");
    Kept::new(root, move |path| {
        if let Err(error) = storage.throw_away(path) {
            tracing::warn!(%error, "files of clients stay");
        }
    })
}

/// Takes the connection over for HTTP/2.
fn taken_over(call: &mut Call) -> Result<OnUpgrade, Failure> {
    // Docker asks for no `Connection: Upgrade` beside it.
    let wanted = call.request.headers().get(UPGRADE);
    let refused = match wanted.map(|value| value.as_bytes()) {
        Some(b"h2c") => None,
        Some(other) => Some(format!(
            "protocol {} is not supported: h2c is expected",
            String::from_utf8_lossy(other)
        )),
        None => Some("no upgrade: this is answered in HTTP/2 only, with Upgrade: h2c".to_owned()),
    };
    if let Some(sentence) = refused {
        return Err(Failure::bad_request(sentence));
    }
    Ok(hyper::upgrade::on(&mut call.request))
}

fn switching() -> Response<Body> {
    let mut response = respond::status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("h2c"));
    response
}

/// The two connections that stop being HTTP/1.1.
pub(super) fn taken(operation: Operation, app: &Arc<App>, call: Call) -> Answer {
    match operation {
        Operation::Session => session(app, call),
        _ => grpc(app, call),
    }
}

/// `POST /grpc`
fn grpc(app: &Arc<App>, mut call: Call) -> Answer {
    let upgrade = taken_over(&mut call)?;
    let served = app.clone();
    app.spawn(async move {
        match upgrade.await {
            Ok(connection) => {
                let answer = move |request| answer(served.clone(), request);
                server::serve(connection, answer).await;
            }
            Err(error) => tracing::debug!("a client went away: {error}"),
        }
    });
    Ok(switching())
}

/// `POST /session`
fn session(app: &Arc<App>, mut call: Call) -> Answer {
    let upgrade = taken_over(&mut call)?;
    let Some(offer) = Offer::read(call.request.headers()) else {
        let sentence =
            "the session has no name: the header X-Docker-Expose-Session-Uuid is expected";
        return Err(Failure::bad_request(sentence));
    };
    let sessions = app.builds.sessions.clone();
    app.spawn(async move {
        match upgrade.await {
            Ok(connection) => keep(&sessions, offer, connection).await,
            Err(error) => tracing::debug!("a client went away: {error}"),
        }
    });
    Ok(switching())
}

/// Keeps a session until its connection is gone.
async fn keep<I>(sessions: &Sessions, offer: Offer, connection: I)
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    match channel::connect(connection).await {
        Ok((channel, end)) => {
            let id = offer.id.clone();
            let Some(_open) = sessions.add(offer, channel) else {
                tracing::info!("a session {id} is there already, or there are too many");
                return;
            };
            end.await;
        }
        Err(error) => tracing::debug!("a session did not begin: {error}"),
    }
}

/// Answers one call.
async fn answer(app: Arc<App>, request: server::Request) -> server::Response {
    let path = request.uri().path().to_owned();
    tracing::debug!(path, "call");
    let Some((service, method)) = path.trim_start_matches('/').split_once('/') else {
        return server::unknown(&path);
    };
    match service {
        "moby.buildkit.v1.Control" => control::answer(app, method, request).await,
        "moby.buildkit.v1.frontend.LLBBridge" => gateway::answer(app, method, request).await,
        "grpc.health.v1.Health" if method == "Check" => {
            let well = |_: tonic::Request<HealthCheckRequest>| async {
                Ok(HealthCheckResponse { status: 1 })
            };
            server::unary(request, well).await
        }
        _ => server::unknown(&path),
    }
}
