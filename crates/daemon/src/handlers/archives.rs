//! Archives on their way out and in: blocking verbs at the pace of a client.

use std::io::Write as _;

use engine::Engine;
use hyper::StatusCode;
use hyper::header::HeaderValue;

use crate::app::App;
use crate::http::body::{Download, Upload};
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};
use crate::places::Way;

pub(super) const TAR: HeaderValue = HeaderValue::from_static("application/x-tar");

/// An answer that `write` writes. Once the first byte is out a failure can only cut it off: what can be
/// known is asked before. `what` is it about, for the log.
pub(super) async fn send(
    app: &App,
    call: &Call,
    what: String,
    write: impl FnOnce(&Engine, &mut Download) -> Result<(), String> + Send + 'static,
) -> Answer {
    let place = app.places.enter(&call.peer, Way::Out).await;
    let (mut download, body) = Download::new();
    let engine = app.engine.clone();
    // It ends with the client: writing to one that is gone fails.
    tokio::task::spawn_blocking(move || {
        let written = write(&engine, &mut download);
        let flushed = written.and_then(|()| download.flush().map_err(|error| error.to_string()));
        if let Err(reason) = flushed {
            tracing::error!("cannot send {what}: {reason}");
            download.abort(std::io::Error::other(reason));
        }
        drop(place);
    });
    let body = body.keep_busy(app.busy.enter());
    Ok(respond::typed(StatusCode::OK, TAR, body))
}

/// What `read` makes of the request's body.
pub(super) async fn receive<T: Send + 'static>(
    app: &App,
    call: Call,
    read: impl FnOnce(&Engine, &mut Upload) -> Result<T, engine::Error> + Send + 'static,
) -> Result<T, Failure> {
    let place = app.places.enter(&call.peer, Way::In).await;
    let (mut upload, feed) = Upload::new(call.request.into_body());
    let verb = app.blocking(move |engine| {
        let done = read(engine, &mut upload);
        drop(place);
        done
    });
    // The body is read to its end even after a failure, or the client would never see the answer.
    let (done, ()) = tokio::join!(verb, feed);
    done
}
