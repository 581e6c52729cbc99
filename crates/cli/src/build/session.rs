//! What the daemon asks of the client while it builds.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::grpc::server::{self, Request, Response};
use api::grpc::{Status, Streaming};
use buildkit::BytesMessage;
use buildkit::session as methods;
use buildkit::session::{
    CheckAgentRequest, CheckAgentResponse, CredentialsRequest, CredentialsResponse,
    GetSecretRequest, GetSecretResponse, HealthCheckRequest, HealthCheckResponse,
};
use buildkit::sync::{KNOWN_LIST, Packet};

use super::files::{self, Packets, Wanted};
use super::lend::{Lent, Secret};
use super::{agent, content, input, output};
use crate::credentials::{Credentials, server_of};

/// All that is answered.
pub(super) fn methods(lent: &Lent) -> Vec<&'static str> {
    let mut all = vec![
        methods::HEALTH,
        methods::FILE_SYNC,
        methods::CREDENTIALS,
        methods::PULL_UPLOAD,
    ];
    if !lent.secrets.is_empty() {
        all.push(methods::GET_SECRET);
    }
    if !lent.agents.is_empty() {
        all.extend([methods::CHECK_AGENT, methods::FORWARD_AGENT]);
    }
    if !lent.stores.is_empty() {
        all.extend(content::METHODS);
    }
    if lent.outputs.iter().any(Option::is_some) {
        all.push(methods::FILE_SEND);
    }
    all
}

/// Answers one call.
pub(super) async fn answer(lent: Arc<Lent>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    match path.as_str() {
        methods::HEALTH => {
            let well = |_: api::grpc::Request<HealthCheckRequest>| async {
                Ok(HealthCheckResponse { status: 1 })
            };
            server::unary(request, well).await
        }
        methods::FILE_SYNC => {
            let sync = move |messages| sync(lent.clone(), messages);
            server::both(request, sync).await
        }
        methods::CREDENTIALS => {
            let ask = |message: api::grpc::Request<CredentialsRequest>| {
                let host = message.into_inner().host;
                async move { blocking(move || credentials(&host)).await }
            };
            server::unary(request, ask).await
        }
        methods::GET_SECRET => {
            let ask = move |message: api::grpc::Request<GetSecretRequest>| {
                let (lent, id) = (lent.clone(), message.into_inner().id);
                async move { blocking(move || secret(&lent.secrets, &id)).await }
            };
            server::unary(request, ask).await
        }
        _ => more(lent, request, &path).await,
    }
}

async fn more(lent: Arc<Lent>, request: Request, path: &str) -> Response {
    match path {
        methods::CHECK_AGENT => {
            let check = move |message: api::grpc::Request<CheckAgentRequest>| {
                let known = agent::socket(&lent, &message.get_ref().id).map(drop);
                async move { known.map(|()| CheckAgentResponse {}) }
            };
            server::unary(request, check).await
        }
        methods::FORWARD_AGENT => {
            let forward = move |messages: api::grpc::Request<Streaming<BytesMessage>>| {
                agent::forward(lent.clone(), messages)
            };
            server::both(request, forward).await
        }
        methods::PULL_UPLOAD => {
            let pull = move |messages: api::grpc::Request<Streaming<BytesMessage>>| {
                input::upload(lent.clone(), messages)
            };
            server::both(request, pull).await
        }
        methods::FILE_SEND => output::take(lent, request).await,
        path if content::METHODS.contains(&path) => content::answer(lent, request, path).await,
        path => server::unknown(path),
    }
}

/// Does what may block on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Status::internal(error.to_string()))?
}

/// `FileSync.DiffCopy`
async fn sync(
    lent: Arc<Lent>,
    messages: api::grpc::Request<Streaming<Packet>>,
) -> Result<Packets, Status> {
    let values = |name: &str| values(messages.metadata(), name);
    let name = values("dir-name").pop().unwrap_or_default();
    let Some(place) = lent.places.get(&name).cloned() else {
        return Err(Status::not_found(format!(
            "no access allowed to dir {name:?}"
        )));
    };
    let wanted = Wanted {
        include: values("include-patterns"),
        exclude: values("exclude-patterns"),
        follow: values("followpaths"),
        known: values(KNOWN_LIST).pop(),
    };
    let mut messages = messages.into_inner();
    let (out, packets) = Packets::channel();
    let (asked, receiver) = std::sync::mpsc::channel();
    tokio::spawn(async move {
        while let Ok(Some(packet)) = messages.message().await {
            if asked.send(packet).is_err() {
                break;
            }
        }
    });
    tokio::task::spawn_blocking(move || files::send(&place, &wanted, &out, &receiver));
    Ok(packets)
}

/// Headers of a name; what is no plain text is escaped in them.
fn values(headers: &api::grpc::MetadataMap, name: &str) -> Vec<String> {
    let escaped = headers.get(format!("{name}-encoded")).is_some();
    let texts = headers.get_all(name).iter();
    let texts = texts.filter_map(|value| value.to_str().ok());
    texts
        .map(|text| match escaped {
            true => api::grpc::unescape(text),
            false => text.to_owned(),
        })
        .collect()
}

fn credentials(host: &str) -> Result<CredentialsResponse, Status> {
    let found = Credentials::open(&|name| std::env::var(name).ok())
        .and_then(|credentials| credentials.of_server(&server_of(host)));
    let auth = found.map_err(|error| Status::unknown(error.to_string()))?;
    Ok(match auth.identity_token.is_empty() {
        false => CredentialsResponse {
            username: String::new(),
            secret: auth.identity_token,
        },
        true => CredentialsResponse {
            username: auth.username,
            secret: auth.password,
        },
    })
}

fn secret(secrets: &BTreeMap<String, Secret>, id: &str) -> Result<GetSecretResponse, Status> {
    let missing = || Status::not_found(format!("secret {id}: not found"));
    let data = match secrets.get(id).ok_or_else(missing)? {
        Secret::File(path) => std::fs::read(path)
            .map_err(|error| Status::unknown(format!("{}: {error}", path.display())))?,
        Secret::Variable(name) => std::env::var_os(name)
            .map(std::os::unix::ffi::OsStringExt::into_vec)
            .ok_or_else(missing)?,
    };
    Ok(GetSecretResponse { data })
}
