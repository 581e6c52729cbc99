//! `POST /containers/create?run=1`: Brig's own way to make a container, attach to it and start it by one
//! request, as `brig run` does. Its answer is that of an attach; `POST /containers/{id}/wait?run=1` says how
//! the start went before it waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::Engine;
use engine::container::{self, Awaited, Created};
use hyper::header::HeaderValue;
use serde::Serialize;
use tokio::sync::{oneshot, watch};
use types::{ContainerId, ErrorKind, Lifecycle};

use super::containers::Asked;
use super::{attach, containers};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::hijack::{self, Framing};
use crate::http::request::Call;
use crate::http::respond::{self, Answer};
use crate::telemetry;

/// How long it is remembered why a start failed, for who has yet to ask.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Whether more than a container is wanted. It is made only, as by Docker, where a socket's policy is to be held
/// against each step.
pub(super) fn is_wanted(call: &Call) -> bool {
    call.query.flag("run") && call.wants_upgrade() && call.policy().is_open()
}

/// Makes it and starts it, which goes on when the answer is there; the connection is handed over meanwhile.
pub(super) async fn run(app: &Arc<App>, mut call: Call) -> Answer {
    let upgrade = hyper::upgrade::on(&mut call.request);
    let (version, query) = (call.version, call.query);
    // Whatever is wrong with these words is found before anything is made.
    attach::wanted(&query, true, Framing::new(true, version))?;
    let asked = containers::asked(app, &query, (version, &call.peer), call.request).await?;
    let framing = Framing::new(asked.spec.tty, version);
    let wanted = attach::wanted(&query, asked.spec.open_stdin, framing)?;
    let warning = asked.warning.clone();
    let (coming, awaited) = container::coming();
    let made = make_and_start(app, asked, awaited).await??;
    if let Some(span) = telemetry::current() {
        span.about(made.id.clone());
    }
    let (engine, id) = (app.engine.clone(), made.id.clone());
    app.spawn(async move {
        match hijack::take(upgrade).await {
            Ok(client) => {
                attach::hand_over(&engine, &id, wanted, client, framing).await;
                coming.is_here();
            }
            Err(error) => tracing::debug!(container = %id, "a client went away: {error}"),
        }
    });
    let mut response = hijack::switching(framing);
    let answer = Asked::answer(warning, made);
    response.headers_mut().insert(wire::MADE, told(&answer));
    Ok(response)
}

/// Makes it, answers, and starts it on the same thread.
fn make_and_start(
    app: &Arc<App>,
    asked: Asked,
    client: Awaited,
) -> oneshot::Receiver<Result<Created, engine::Error>> {
    let (answer, answered) = oneshot::channel();
    let (engine, runs, traced) = (app.engine.clone(), app.runs.clone(), app.traced());
    let work = move || {
        let Asked { name, spec, .. } = asked;
        let made = traced.run(|| container::create(&engine, name, spec));
        let id = made.as_ref().ok().map(|made| made.id.clone());
        let run = id.clone().map(|id| runs.begin(id));
        // Where nobody listens any more there is no client to be waited for.
        let _ = answer.send(made);
        let id = id?;
        Some((run?, container::start_for(&engine, id.as_str(), client)))
    };
    let working = tokio::task::spawn_blocking(work);
    let doing = app.clone();
    app.spawn(async move {
        // A panic is seen by who asks how it went.
        if let Ok(Some((run, started))) = working.await {
            run.end(&doing, started.map_err(Failure::from));
        }
    });
    answered
}

/// What a create answers, as a header's value.
pub(super) fn told(made: &impl Serialize) -> HeaderValue {
    let text = STANDARD.encode(respond::json_bytes(made));
    // Base64 has no character that a header may not have.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// How a start went, once it is over. A failure is told with the status that a start has.
type Outcome = Option<Result<(), (hyper::StatusCode, String)>>;

/// Starts under way, and those that failed a moment ago.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs(Arc<Mutex<HashMap<ContainerId, watch::Receiver<Outcome>>>>);

/// One start. Dropped without an end it failed.
#[derive(Debug)]
struct Run {
    runs: Runs,
    id: ContainerId,
    outcome: watch::Sender<Outcome>,
}

impl Runs {
    fn begin(&self, id: ContainerId) -> Run {
        let (outcome, known) = watch::channel(None);
        self.lock().insert(id.clone(), known);
        Run {
            runs: self.clone(),
            id,
            outcome,
        }
    }

    /// Returns when the container has been started, and fails as its start has.
    pub(super) async fn begun(&self, engine: &Engine, id: &str) -> Result<(), Failure> {
        let known = id.parse().ok();
        let known = known.and_then(|id: ContainerId| self.lock().get(&id).cloned());
        let Some(mut outcome) = known else {
            return is_started(engine, id);
        };
        let broken = || (hyper::StatusCode::INTERNAL_SERVER_ERROR, lost(id));
        let over = outcome.wait_for(Option::is_some).await;
        let over = over.map_or(None, |over| over.clone());
        over.unwrap_or_else(|| Err(broken()))
            .map_err(|(status, message)| Failure::with_status(status, message))
    }

    fn forget(&self, id: &ContainerId) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContainerId, watch::Receiver<Outcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a start that nobody remembers: one that went well, or one of a daemon that is no more.
fn is_started(engine: &Engine, id: &str) -> Result<(), Failure> {
    match container::inspect(engine, id) {
        Ok(view) if never_ran(&view.lifecycle) => {
            Err(Failure::new(ErrorKind::Unavailable, lost(id)))
        }
        // That it is gone is for the wait to tell.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A start that a daemon has not lived to see the end of is undone by the next.
fn never_ran(lifecycle: &Lifecycle) -> bool {
    matches!(lifecycle, Lifecycle::Created | Lifecycle::Starting { .. })
}

fn lost(id: &str) -> String {
    format!("container {id} was made, but the daemon ended before it had started it")
}

impl Run {
    /// A start that went well is seen by the container.
    fn end(self, app: &App, started: Result<(), Failure>) {
        let failed = started.is_err();
        let outcome = started.map_err(|failure| (failure.status(), failure.message().to_owned()));
        self.outcome.send_replace(Some(outcome));
        if !failed {
            return self.runs.forget(&self.id);
        }
        let (runs, id) = (self.runs, self.id);
        app.spawn_endless(async move {
            tokio::time::sleep(REMEMBERED).await;
            runs.forget(&id);
        });
    }
}
