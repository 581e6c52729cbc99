//! `/containers/{id}/archive`, `export` and `changes`.

use api::convert::rfc3339;
use api::wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::container::{self, ChangeKind, PathStat, PutOptions};
use hyper::StatusCode;
use hyper::header::HeaderValue;
use tokio::sync::oneshot;

use super::archives::{self, TAR};
use crate::app::App;
use crate::http::body::Download;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};
use crate::places::Way;

/// What is at the path, base64 of JSON.
const STAT: &str = "x-docker-container-path-stat";

fn path(call: &Call) -> Result<String, Failure> {
    let path = call.query.get("path").filter(|path| !path.is_empty());
    let missing = || Failure::bad_request("bad parameter: 'path' cannot be empty");
    path.map(str::to_owned).ok_or_else(missing)
}

fn kind(kind: container::FileKind) -> wire::FileKind {
    use container::FileKind as Kind;
    match kind {
        Kind::File => wire::FileKind::File,
        Kind::Directory => wire::FileKind::Directory,
        Kind::Symlink => wire::FileKind::Symlink,
        Kind::CharDevice => wire::FileKind::CharDevice,
        Kind::BlockDevice => wire::FileKind::BlockDevice,
        Kind::Fifo => wire::FileKind::Fifo,
        Kind::Socket => wire::FileKind::Socket,
        Kind::Unknown => wire::FileKind::Other,
    }
}

fn header(stat: &PathStat) -> Result<HeaderValue, Failure> {
    let status = &stat.status;
    let (seconds, nanos) = status.modified;
    let time = seconds
        .checked_mul(1_000_000_000)
        .and_then(|time| time.checked_add(nanos.into()));
    let text = respond::json_bytes(&wire::PathStat {
        name: stat.name.clone(),
        size: i64::try_from(status.size).unwrap_or(i64::MAX),
        mode: wire::go_mode(kind(status.kind), status.mode),
        mtime: rfc3339(Some(time.unwrap_or(0))),
        link_target: stat.link_target.clone(),
    });
    HeaderValue::from_str(&STANDARD.encode(text))
        .map_err(|error| Failure::new(types::ErrorKind::Internal, error.to_string()))
}

pub(super) async fn stat(app: &App, call: &Call) -> Answer {
    let (who, path) = (call.name.clone(), path(call)?);
    let stat = app
        .blocking(move |engine| container::stat(engine, &who, &path))
        .await?;
    let mut response = respond::status(StatusCode::OK);
    response.headers_mut().insert(STAT, header(&stat)?);
    Ok(response)
}

/// The head says what is there, so it waits for that; what fails later can only cut the answer off.
pub(super) async fn get(app: &App, call: &Call) -> Answer {
    let (who, path) = (call.name.clone(), path(call)?);
    // Brig's own: what it is called in the archive.
    let called = call.query.get("called").map(str::to_owned);
    let place = app.places.enter(&call.peer, Way::Out).await;
    let (download, body) = Download::new();
    let (told, tells) = oneshot::channel();
    let engine = app.engine.clone();
    let work = tokio::task::spawn_blocking(move || {
        let mut out = Some(download);
        let mut shared = None;
        let done = container::get(&engine, &who, &path, called, |stat| {
            let (writer, end) = Shared::of(out.take()?);
            shared = Some(end);
            told.send(stat).ok()?;
            Some(Box::new(writer))
        });
        drop(place);
        match (done, shared) {
            (Err(error), Some(end)) => {
                let reason = error.chain();
                tracing::error!(container = who, path, "copying failed: {reason}");
                end.abort(reason);
                Ok(())
            }
            (done, end) => {
                if let Some(end) = end {
                    end.finish();
                }
                done
            }
        }
    });
    let Ok(stat) = tells.await else {
        // It failed before there was anything to tell.
        work.await??;
        return Err(Failure::new(
            types::ErrorKind::Internal,
            "nothing was found and nothing failed",
        ));
    };
    let body = body.keep_busy(app.busy.enter());
    let mut response = respond::typed(StatusCode::OK, TAR, body);
    response.headers_mut().insert(STAT, header(&stat)?);
    Ok(response)
}

/// A download whose writer goes where its end cannot be told.
struct Shared(std::sync::Arc<std::sync::Mutex<Option<Download>>>);

/// Its end.
struct End(std::sync::Arc<std::sync::Mutex<Option<Download>>>);

impl Shared {
    fn of(download: Download) -> (Self, End) {
        let shared = std::sync::Arc::new(std::sync::Mutex::new(Some(download)));
        (Self(shared.clone()), End(shared))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Download) -> std::io::Result<T>) -> std::io::Result<T> {
        let mut held = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match held.as_mut() {
            Some(download) => act(download),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.with(|download| download.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.with(Download::flush)
    }
}

impl End {
    fn take(self) -> Option<Download> {
        let mut held = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        held.take()
    }

    fn abort(self, reason: String) {
        if let Some(download) = self.take() {
            download.abort(std::io::Error::other(reason));
        }
    }

    fn finish(self) {
        if let Some(mut download) = self.take() {
            // A client that is gone does not care.
            let _ = std::io::Write::flush(&mut download);
        }
    }
}

pub(super) async fn put(app: &App, call: Call) -> Answer {
    let (who, path) = (call.name.clone(), path(&call)?);
    let options = PutOptions {
        replace: !call.query.flag("noOverwriteDirNonDir"),
        own: call.query.flag("copyUIDGID"),
    };
    archives::receive(app, call, move |engine, archive| {
        container::put(engine, &who, &path, options, archive)
    })
    .await?;
    Ok(respond::status(StatusCode::OK))
}

pub(super) async fn export(app: &App, call: &Call) -> Answer {
    let who = container::inspect(&app.engine, &call.name)?.id.to_string();
    archives::send(app, call, format!("container {who}"), move |engine, out| {
        container::export(engine, &who, out).map_err(|error| error.chain())
    })
    .await
}

pub(super) async fn changes(app: &App, call: &Call) -> Answer {
    let who = call.name.clone();
    let changes = app
        .blocking(move |engine| container::changes(engine, &who))
        .await?;
    let changes = changes.into_iter().map(|change| wire::PathChange {
        path: change.path,
        kind: match change.kind {
            ChangeKind::Modified => 0,
            ChangeKind::Added => 1,
            ChangeKind::Deleted => 2,
        },
    });
    let changes: Vec<_> = changes.collect();
    respond::ok(&(!changes.is_empty()).then_some(changes))
}
