//! Connections: one task each, its requests one after the other.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use types::ErrorKind;

use super::body::Body;
use super::error::Failure;
use super::line::{Line, Phase, Recall, Recalled, Socket, Wire};
use super::origin;
use super::query::Query;
use super::request::Call;
use super::respond::{self, Answer};
use super::resumed::Resume;
use super::router::{self, Operation, Route};
use super::unread::Sent;
use super::version;
use crate::access::audit::{Audit, Entry};
use crate::access::{Peer, guard};
use crate::app::App;
use crate::handlers;
use crate::telemetry::{self, Span};

/// How long a client may take for a request's head, the wait for its first byte included.
const HEAD: Duration = Duration::from_secs(120);

/// The longest head of a request.
const LONGEST_HEAD: usize = 64 << 10;

/// A connection that goes on in the daemon's successor.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) socket: Arc<Socket>,
    pub(crate) peer: Arc<Peer>,
    /// The request whose answer is to be gone on with, if one is under way.
    pub(crate) recalled: Option<Recalled>,
}

/// Serves one connection until it ends, is handed over, or leaves for the daemon's successor; after `stop` only what is
/// under way.
pub(crate) async fn socket(
    app: Arc<App>,
    socket: Arc<Socket>,
    peer: Arc<Peer>,
    mut stop: watch::Receiver<bool>,
) -> Option<Left> {
    let line = app.lines.enter(&peer, &socket);
    let mut phase = app.lines.changes();
    let kept = Arc::downgrade(&socket);
    let wire = Wire::new(socket, line.clone());
    let (lines, whose) = (app.lines.clone(), peer.clone());
    let mut connection = pin!(http(app, wire, peer, Some(line.clone())));
    tokio::select! {
        biased;
        _ = connection.as_mut() => return None,
        _ = phase.wait_for(|phase| *phase == Phase::Leave) => {}
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    if lines.phase() == Phase::Leave {
        let (recalled, socket) = (line.leave()?, kept.upgrade()?);
        return Some(Left {
            socket,
            peer: whose,
            recalled,
        });
    }
    let _ = connection.await;
    None
}

/// The same for a connection that is encrypted: it does not leave, for nobody else could read it.
pub(crate) async fn connection<S>(
    app: Arc<App>,
    stream: S,
    peer: Arc<Peer>,
    mut stop: watch::Receiver<bool>,
) where
    S: Send + Unpin + 'static,
    TokioIo<S>: Read + Write,
{
    let mut connection = pin!(http(app, stream, peer, None));
    tokio::select! {
        // A client that goes away, or sends what is no HTTP, has had its answer.
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// HTTP, spoken over a stream.
fn http<S>(
    app: Arc<App>,
    stream: S,
    peer: Arc<Peer>,
    line: Option<Arc<Line>>,
) -> UpgradeableConnection<
    TokioIo<S>,
    impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send>,
>
where
    S: Send + Unpin + 'static,
    TokioIo<S>: Read + Write,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, peer, line) = (app.clone(), peer.clone(), line.clone());
        if let Some(line) = &line {
            line.asked(Recall::of(&request));
        }
        async move {
            let mut response = answer(app, peer, request).await;
            // Of one that is taken over nobody hears any more.
            if let Some(line) = line
                && response.status() != StatusCode::SWITCHING_PROTOCOLS
            {
                response.body_mut().on(&line);
            }
            Ok::<_, Infallible>(response)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
}

/// The answer to one request, signed, whatever happens on the way.
async fn answer(app: Arc<App>, peer: Arc<Peer>, request: Request<Incoming>) -> Response<Body> {
    let busy = app.busy.enter();
    let begun = Instant::now();
    let what = format!("{} {}", request.method(), request.uri().path());
    let mut given_up = GivenUp::unless_answered(&app, &peer, &what, begun);
    let span = app.telemetry.as_ref().and_then(|telemetry| {
        telemetry.begin(request.method(), request.uri().path(), request.headers())
    });
    given_up.span.clone_from(&span);
    let (parts, body) = request.into_parts();
    let (body, unread) = Sent::new(body);
    let request = Request::from_parts(parts, body);
    let work = caught(dispatch(app.clone(), peer.clone(), request));
    let worked = match &span {
        None => work.await,
        Some(span) => telemetry::within(span.clone(), work).await,
    };
    let result = match worked {
        Ok(result) => result,
        Err(Panicked) => Err(Failure::new(
            ErrorKind::Internal,
            "internal error: the request's handler panicked",
        )),
    };
    drop(busy);
    given_up.answered();
    app.requests.count(begun.elapsed(), result.is_err());
    if let (Some(telemetry), Some(span)) = (&app.telemetry, &span) {
        let (status, error) = outcome(&result);
        telemetry.end(span, status.as_u16(), error);
    }
    if let Some(audit) = &app.audit {
        audited(audit, &peer, &what, &result, begun.elapsed());
    }
    let mut response = match result {
        Ok(response) => response,
        Err(failure) => {
            log(&what, &failure);
            respond::failure(&failure)
        }
    };
    respond::sign(&mut response);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        unread.drain().await;
    }
    response
}

/// A client that goes away before its answer: its request is dropped here, but what it has begun may come to
/// its end all the same. It is counted and written down as any other.
struct GivenUp {
    app: Arc<App>,
    peer: Arc<Peer>,
    what: String,
    begun: Instant,
    span: Option<Arc<Span>>,
    answered: bool,
}

impl GivenUp {
    fn unless_answered(app: &Arc<App>, peer: &Arc<Peer>, what: &str, begun: Instant) -> Self {
        Self {
            app: app.clone(),
            peer: peer.clone(),
            what: what.to_owned(),
            begun,
            span: None,
            answered: false,
        }
    }

    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let took = self.begun.elapsed();
        self.app.requests.count(took, true);
        if let (Some(telemetry), Some(span)) = (&self.app.telemetry, &self.span) {
            telemetry.end(span, gone().as_u16(), None);
        }
        if let Some(audit) = &self.app.audit {
            let gone = Failure::with_status(gone(), "the client went away");
            audited(audit, &self.peer, &self.what, &Err(gone), took);
        }
    }
}

/// The status that nobody is sent: no number of HTTP's own says so, many servers write this one down.
fn gone() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

/// Writes down who did what. Pings are left out, for clients send one before every command.
fn audited(audit: &Audit, peer: &Peer, what: &str, result: &Answer, took: Duration) {
    let (method, path) = what.split_once(' ').unwrap_or_default();
    if path.ends_with("/_ping") {
        return;
    }
    let (status, error) = outcome(result);
    audit.tell(&Entry {
        peer,
        method,
        path,
        status: status.as_u16(),
        error,
        took,
    });
}

fn outcome(result: &Answer) -> (StatusCode, Option<&str>) {
    match result {
        Ok(response) => (response.status(), None),
        Err(failure) => (failure.status(), Some(failure.message())),
    }
}

/// Errors are logged here and nowhere else.
fn log(what: &str, failure: &Failure) {
    let (status, message) = (failure.status().as_u16(), failure.message());
    match status {
        500 => tracing::error!(status, request = what, "{message}"),
        _ => tracing::info!(status, request = what, "{message}"),
    }
}

pub(super) async fn dispatch(app: Arc<App>, peer: Arc<Peer>, request: Request<Sent>) -> Answer {
    origin::check(&peer, request.headers())?;
    let uri = request.uri();
    let Some(route) = router::route(request.method(), uri.path()) else {
        return Err(Failure::new(ErrorKind::NotFound, "page not found"));
    };
    if let Some(span) = app.telemetry.as_ref().and_then(|_| telemetry::current()) {
        tell(&span, &app, &route);
    }
    let version = version::negotiate(route.version.as_deref())?;
    let query = Query::parse(uri.query().unwrap_or_default())?;
    tracing::debug!(method = %request.method(), path = uri.path(), "request");
    let resume = request.extensions().get::<Resume>();
    // By the id, for it may have another name by now.
    let name = resume.and_then(|resume| resume.0.split_once(' '));
    let name = name.map_or(route.name, |(id, _)| id.to_owned());
    let mut call = Call {
        version,
        name,
        query,
        peer,
        request,
    };
    if !call.policy().is_open() {
        guard::check(&app, route.operation, &mut call).await?;
    }
    match route.operation {
        Operation::Unsupported => Err(unsupported(&call)),
        Operation::Options => Ok(respond::status(StatusCode::OK)),
        operation => handlers::handle(operation, app, call).await,
    }
}

/// What a trace says of the request.
fn tell(span: &Span, app: &App, route: &Route) {
    span.routed(route.pattern);
    if route.pattern.starts_with("/containers/{")
        && let Ok(view) = engine::container::inspect(&app.engine, &route.name)
    {
        span.about(view.id);
    }
}

fn unsupported(call: &Call) -> Failure {
    let path = call.request.uri().path();
    Failure::new(
        ErrorKind::Unsupported,
        format!(
            "{} {path} is not supported by this version of Brig",
            call.request.method()
        ),
    )
}

/// A handler panicked; what it said is on standard error.
struct Panicked;

/// Runs a future; a panic in it ends this one request only.
fn caught<F: Future>(future: F) -> impl Future<Output = Result<F::Output, Panicked>> {
    struct Caught<F>(Pin<Box<F>>);

    impl<F: Future> Future for Caught<F> {
        type Output = Result<F::Output, Panicked>;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
            let future = self.0.as_mut();
            // After a panic the future is dropped and never looked at again.
            match std::panic::catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
                Ok(poll) => poll.map(Ok),
                Err(_) => Poll::Ready(Err(Panicked)),
            }
        }
    }

    Caught(Box::pin(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_request_only() {
        assert!(caught(async { panic!("on purpose") }).await.is_err());
        assert!(caught(async { 1 }).await.is_ok_and(|n| n == 1));
    }
}
