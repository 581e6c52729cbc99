//! `POST /containers/create?run=1`: Brig's own way to make a container, attach to it and start it by one
//! request, as `brig run` does. Its answer is that of an attach; `POST /containers/{id}/wait?run=1` says how
//! the start went before it waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{Engine, container};
use hyper::header::HeaderValue;
use tokio::sync::watch;
use types::{ContainerId, ErrorKind, Lifecycle};

use super::{attach, containers};
use crate::app::App;
use crate::http::error::Failure;
use crate::http::hijack::{self, Framing};
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

/// How long it is remembered why a start failed, for who has yet to ask.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Whether more than a container is wanted. It is made only, as by Docker, where a socket's policy is to be held
/// against each step.
pub(super) fn is_wanted(call: &Call) -> bool {
    call.query.flag("run") && call.wants_upgrade() && call.policy().is_open()
}

/// Makes it and hands the connection over; then starts it, which goes on when the answer is there.
pub(super) async fn run(app: &Arc<App>, mut call: Call) -> Answer {
    let upgrade = hyper::upgrade::on(&mut call.request);
    let (version, query) = (call.version, call.query);
    // Whatever is wrong with these words is found before anything is made.
    attach::wanted(&query, true, Framing::new(true, version))?;
    let made = containers::make(app, &query, (version, &call.peer), call.request).await?;
    let view = container::check_attach(&app.engine, &made.id)?;
    let framing = Framing::new(view.spec.tty, version);
    let wanted = attach::wanted(&query, view.spec.open_stdin, framing)?;
    let run = app.runs.begin(view.id.clone());
    let doing = app.clone();
    app.spawn(async move {
        let started = match hijack::take(upgrade).await {
            Ok(client) => {
                attach::hand_over(&doing.engine, &view.id, wanted, client, framing).await;
                let id = view.id.clone();
                let start = move |engine: &Engine| container::start(engine, id.as_str());
                doing.blocking(start).await
            }
            Err(error) => Err(Failure::new(
                ErrorKind::Unavailable,
                format!("the client of container {} went away: {error}", view.id),
            )),
        };
        run.end(&doing, started);
    });
    let mut response = hijack::switching(framing);
    response.headers_mut().insert(wire::MADE, told(&made));
    Ok(response)
}

/// What a create answers, as a header's value.
fn told(made: &wire::ContainerCreateResponse) -> HeaderValue {
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
