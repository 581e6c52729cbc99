//! Brig's own: the directories that builds keep by name (`RUN --mount=type=cache`) as things of their own.
//! Their names are paths more often than not, so they stand in the query.

use std::io::BufReader;
use std::sync::Arc;

use api::convert::rfc3339;
use serde_json::json;

use crate::app::App;
use crate::handlers::archives;
use crate::http::body::Upload;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};
use crate::http::router::Operation;
use crate::places::Way;

const BUFFER: usize = 64 << 10;

fn name(call: &Call) -> Result<String, Failure> {
    let name = call.query.get("name").filter(|name| !name.is_empty());
    let unnamed = || Failure::bad_request("the query has no name: name=ID is expected");
    name.map(str::to_owned).ok_or_else(unnamed)
}

/// All that is asked of them.
pub(in crate::handlers) async fn answer(operation: Operation, app: Arc<App>, call: Call) -> Answer {
    match operation {
        Operation::CacheExport => export(&app, &call).await,
        Operation::CacheImport => import(&app, call).await,
        Operation::CacheLimit => limit(&app, &call).await,
        Operation::CacheRemove => remove(&app, &call).await,
        _ => list(&app).await,
    }
}

/// `GET /brig/build/caches`
async fn list(app: &App) -> Answer {
    let solver = app.solver.clone();
    let all = tokio::task::spawn_blocking(move || solver.named_caches()).await?;
    let all = all.map_err(super::refused)?;
    let line = |cache: &builder::solve::NamedCache| {
        json!({
            "Name": cache.id,
            "Size": cache.size,
            "Limit": cache.limit,
            "InUse": cache.in_use,
            "CreatedAt": rfc3339(Some(cache.created)),
            "LastUsedAt": rfc3339(Some(cache.used)),
        })
    };
    respond::ok(&all.iter().map(line).collect::<Vec<_>>())
}

/// `GET /brig/build/caches/archive`
async fn export(app: &App, call: &Call) -> Answer {
    let (solver, name) = (app.solver.clone(), name(call)?);
    let (asked, wanted) = (solver.clone(), name.clone());
    let there = tokio::task::spawn_blocking(move || asked.has_cache(&wanted)).await?;
    there.map_err(super::refused)?;
    archives::send(app, call, format!("cache {name}"), move |_, out| {
        solver
            .export_cache(&name, out)
            .map_err(|failed| failed.message)
    })
    .await
}

/// `POST /brig/build/caches/archive`
async fn import(app: &Arc<App>, call: Call) -> Answer {
    let (solver, name) = (app.solver.clone(), name(&call)?);
    let replace = call.query.flag("replace");
    let place = app.places.enter(&call.peer, Way::In).await;
    let (mut upload, feed) = Upload::new(call.request.into_body());
    let taking = tokio::task::spawn_blocking(move || {
        let archive = BufReader::with_capacity(BUFFER, &mut upload);
        let taken = solver.import_cache(&name, replace, archive);
        // The body is read to its end even after a failure, or the client would never see the answer.
        std::io::copy(&mut upload, &mut std::io::sink()).ok();
        drop(place);
        taken
    });
    let (taken, ()) = tokio::join!(taking, feed);
    taken?.map_err(super::refused)?;
    respond::no_content()
}

/// `POST /brig/build/caches/limit`
async fn limit(app: &App, call: &Call) -> Answer {
    let (solver, name) = (app.solver.clone(), name(call)?);
    let bytes = call
        .query
        .number::<u64>("bytes")?
        .filter(|bytes| *bytes > 0);
    let done = tokio::task::spawn_blocking(move || solver.limit_cache(&name, bytes)).await?;
    done.map_err(super::refused)?;
    respond::no_content()
}

/// `DELETE /brig/build/caches`
async fn remove(app: &App, call: &Call) -> Answer {
    let (solver, name) = (app.solver.clone(), name(call)?);
    let done = tokio::task::spawn_blocking(move || solver.remove_cache(&name)).await?;
    done.map_err(super::refused)?;
    respond::no_content()
}
