//! Counters of the daemon and of containers for Prometheus, at `/metrics` of an address of their own.

mod containers;
mod text;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::app::App;
use crate::http::body::Body;
use crate::http::respond;
use text::{Kind, Text};

/// What requests came to since the daemon has started.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    served: AtomicU64,
    failed: AtomicU64,
    microseconds: AtomicU64,
}

impl Requests {
    pub(crate) fn count(&self, took: Duration, failed: bool) {
        let counter = if failed { &self.failed } else { &self.served };
        counter.fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(took, Ordering::Relaxed);
    }

    fn write(&self, text: &mut Text) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut requests = text.family("brig_requests", Kind::Counter, "Requests of the API.");
        requests.value(&[("result", "ok")], count(&self.served));
        requests.value(&[("result", "error")], count(&self.failed));
        let seconds = Duration::from_micros(count(&self.microseconds)).as_secs_f64();
        text.family(
            "brig_request_seconds",
            Kind::Counter,
            "Time from the heads of requests to the heads of their answers.",
        )
        .value(&[], seconds);
    }
}

/// How long a client may take for a request's head.
const HEAD: Duration = Duration::from_secs(10);

/// So many clients at once: one is the rule.
const CLIENTS: usize = 16;

/// Listens.
pub(crate) async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until told to stop; hands back the socket.
pub(crate) async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> TcpListener {
    let clients = Arc::new(Semaphore::new(CLIENTS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return listener,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, mostly: others are about to give some back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // One too many is let go of.
        if let Ok(permit) = clients.clone().try_acquire_owned() {
            let app = app.clone();
            connections.spawn(async move {
                connection(app, stream).await;
                drop(permit);
            });
        }
    }
}

async fn connection(app: Arc<App>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(answer(&app, &request).await) }
    });
    // A client that goes away has had its answer.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(app: &App, request: &Request<Incoming>) -> Response<Body> {
    if request.uri().path() != "/metrics" {
        return respond::status(StatusCode::NOT_FOUND);
    }
    if *request.method() != Method::GET {
        return respond::status(StatusCode::METHOD_NOT_ALLOWED);
    }
    const MEDIA_TYPE: HeaderValue =
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let engine = app.engine.clone();
    let looked = tokio::task::spawn_blocking(move || containers::look(&engine));
    let Ok(looked) = looked.await else {
        return respond::status(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut text = Text::default();
    text.family("brig_info", Kind::Gauge, "The daemon.")
        .value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    app.requests.write(&mut text);
    containers::write(&looked, &mut text);
    respond::typed(StatusCode::OK, MEDIA_TYPE, Body::full(text.finish()))
}
