//! `/brig/secrets`

use api::convert::rfc3339;
use api::wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::secret::{self, Secret};
use hyper::StatusCode;

use crate::app::App;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

pub(super) async fn list(app: &App) -> Answer {
    let all = app.blocking(secret::list).await?;
    let shown: Vec<_> = all.iter().map(view).collect();
    respond::ok(&shown)
}

pub(super) async fn create(app: &App, call: Call) -> Answer {
    let (request, data) = read(call).await?;
    let labels = request.labels.unwrap_or_default();
    let made = app
        .blocking(move |engine| secret::create(engine, &request.name, labels, &data))
        .await?;
    Ok(respond::json(StatusCode::CREATED, &view(&made)))
}

pub(super) async fn update(app: &App, call: Call) -> Answer {
    let name = call.name.clone();
    let (_, data) = read(call).await?;
    app.blocking(move |engine| secret::update(engine, &name, &data))
        .await?;
    respond::no_content()
}

pub(super) async fn inspect(app: &App, call: &Call) -> Answer {
    let name = call.name.clone();
    let found = app
        .blocking(move |engine| secret::inspect(engine, &name))
        .await?;
    respond::ok(&view(&found))
}

pub(super) async fn remove(app: &App, call: &Call) -> Answer {
    let name = call.name.clone();
    app.blocking(move |engine| secret::remove(engine, &name))
        .await?;
    respond::no_content()
}

/// The request, and what the secret is to say.
async fn read(call: Call) -> Result<(wire::SecretRequest, Vec<u8>), Failure> {
    let body: Option<wire::SecretRequest> = Call::json(call.request).await?;
    let body = body.unwrap_or_default();
    let data = STANDARD
        .decode(&body.data)
        .map_err(|_| Failure::bad_request("invalid Data: base64 is expected"))?;
    Ok((body, data))
}

fn view(secret: &Secret) -> wire::Secret {
    wire::Secret {
        id: secret.id.clone(),
        name: secret.name.clone(),
        created_at: rfc3339(Some(secret.created)),
        updated_at: rfc3339(Some(secret.updated)),
        labels: Some(secret.labels.clone()),
    }
}
