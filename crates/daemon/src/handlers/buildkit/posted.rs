//! `POST /build?version=2`: how Docker's clients before buildx ask for a build of BuildKit's. What is asked stands
//! in the query, the files come over a session or with the request, and the answer is lines of JSON with what `Control.Status` tells.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use buildkit::control::{CacheOptions, CacheOptionsEntry, Exporter, SolveRequest, SolveResponse};
use bytes::Bytes;
use prost::Message as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tonic::Status;

use super::solve;
use crate::app::App;
use crate::http::body::{Body, Upload};
use crate::http::error::Failure;
use crate::http::query::Query;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

/// Lines that a slow client may be behind.
const BEHIND: usize = 64;
/// What names the kinds of lines for clients.
const TRACE: &str = "moby.buildkit.trace";
const IMAGE: &str = "moby.image.id";
/// As what the frontend asks for a context that comes with the request.
const POSTED: &str = "http://buildkit-session/posted";
/// What tells builds apart that nobody gives a name.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// An output as the query says it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    attrs: Option<HashMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Limit {
    name: String,
    soft: i64,
    hard: i64,
}

/// Answers one.
pub(in crate::handlers) fn build(app: &Arc<App>, call: Call) -> Answer {
    let request = read(&call.query)?;
    let posted = comes_along(&call.query).then(|| {
        let (upload, feed) = Upload::new(call.request.into_body());
        // It ends with whoever reads, and with the client.
        app.spawn(feed);
        upload
    });
    let (send, receive) = mpsc::channel(BEHIND);
    let (served, busy) = (app.clone(), app.busy.enter());
    app.spawn(async move {
        let ended = {
            let lines = send.clone();
            tokio::select! {
                ended = told(&served, (request, posted), lines) => ended,
                // The client is gone, and with it the build.
                () = send.closed() => return,
            }
        };
        let last = match ended {
            Ok(response) => match response.exporter_response.get("containerimage.digest") {
                Some(id) => json!({ "id": IMAGE, "aux": { "ID": id } }),
                None => return,
            },
            Err(status) => {
                let message = status.message();
                json!({ "errorDetail": { "message": message }, "error": message })
            }
        };
        // Nobody may be there any more.
        let _ = send.send(line(&last)).await;
        drop(busy);
    });
    Ok(respond::json_stream(Body::channel(receive)))
}

type Line = Result<Bytes, std::io::Error>;

fn line(message: &Value) -> Line {
    Ok(Bytes::from(format!("{message}\r\n")))
}

/// Builds, and tells of it to the end.
async fn told(
    app: &Arc<App>,
    (request, posted): (SolveRequest, Option<Upload>),
    lines: mpsc::Sender<Line>,
) -> Result<SolveResponse, Status> {
    let (jobs, name) = (app.builds.jobs.clone(), request.reference.clone());
    let telling = async move {
        let mut feed = jobs.feed(&name).await?.follow();
        while let Some(batch) = feed.next().await {
            let text = BASE64_STANDARD.encode(batch?.encode_to_vec());
            let told = lines.send(line(&json!({ "id": TRACE, "aux": text }))).await;
            if told.is_err() {
                break;
            }
        }
        Ok::<_, Status>(())
    };
    let solving = solve::solve(app.clone(), request, posted);
    tokio::pin!(telling);
    tokio::pin!(solving);
    tokio::select! {
        ended = &mut solving => {
            // One that is refused at once has nothing to tell.
            if ended.is_ok() {
                telling.await?;
            }
            ended
        }
        told = &mut telling => {
            told?;
            solving.await
        }
    }
}

fn bad(sentence: String) -> Failure {
    Failure::bad_request(sentence)
}

/// A parameter whose value is JSON.
fn json<T: DeserializeOwned + Default>(query: &Query, name: &str) -> Result<T, Failure> {
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else {
        return Ok(T::default());
    };
    let read: Option<T> =
        serde_json::from_str(text).map_err(|error| bad(format!("invalid {name}: {error}")))?;
    Ok(read.unwrap_or_default())
}

fn read(query: &Query) -> Result<SolveRequest, Failure> {
    let text = |name: &str| query.get(name).filter(|text| !text.is_empty());
    if query.flag("squash") {
        let sentence = "squash is only supported with experimental mode, which there is none of";
        return Err(Failure::bad_request(sentence));
    }
    let session = text("session").unwrap_or_default();
    if session.is_empty() && !comes_along(query) && text("remote") == Some("client-session") {
        let sentence = "the context is in a session: the parameter session names one of /session";
        return Err(Failure::bad_request(sentence));
    }
    let mut entitlements = Vec::new();
    let mut attributes = attributes(query)?;
    match text("networkmode") {
        None | Some("default" | "bridge") => {}
        Some(mode @ ("host" | "none")) => {
            attributes.insert("force-network-mode".to_owned(), mode.to_owned());
            if mode == "host" {
                entitlements.push("network.host".to_owned());
            }
        }
        Some(other) => {
            return Err(bad(format!(
                "network mode {other} is not supported by builds: default, none or host is expected"
            )));
        }
    }
    let imports: Vec<String> = json(query, "cachefrom")?;
    let imports = imports.into_iter().map(|name| CacheOptionsEntry {
        kind: "registry".to_owned(),
        attrs: HashMap::from([("ref".to_owned(), name)]),
    });
    let name = match text("buildid") {
        Some(name) => name.to_owned(),
        None => format!("posted-{session}-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
    };
    Ok(SolveRequest {
        reference: name,
        session: session.to_owned(),
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: attributes,
        entitlements,
        cache: Some(CacheOptions {
            exports: Vec::new(),
            imports: imports.collect(),
        }),
        exporters: exporters(query)?,
        ..SolveRequest::default()
    })
}

/// Whether the context is the request's body.
fn comes_along(query: &Query) -> bool {
    query.get("remote").unwrap_or_default().is_empty()
}

/// What the Dockerfile's frontend is told.
fn attributes(query: &Query) -> Result<HashMap<String, String>, Failure> {
    let text = |name: &str| query.get(name).filter(|text| !text.is_empty());
    let mut all = HashMap::new();
    let mut set = |name: &str, value: String| drop(all.insert(name.to_owned(), value));
    set(
        "filename",
        text("dockerfile").unwrap_or("Dockerfile").to_owned(),
    );
    match text("remote") {
        Some("client-session") => {}
        None => set("context", POSTED.to_owned()),
        Some(remote) => set("context", remote.to_owned()),
    }
    for (from, to) in [
        ("target", "target"),
        ("platform", "platform"),
        ("cgroupparent", "cgroup-parent"),
        ("shmsize", "shm-size"),
    ] {
        if let Some(value) = text(from).filter(|value| *value != "0") {
            set(to, value.to_owned());
        }
    }
    if query.flag("nocache") {
        set("no-cache", String::new());
    }
    if query.flag("pull") {
        set("image-resolve-mode", "pull".to_owned());
    }
    let args: BTreeMap<String, Option<String>> = json(query, "buildargs")?;
    for (name, value) in args {
        if let Some(value) = value {
            set(&format!("build-arg:{name}"), value);
        }
    }
    let labels: BTreeMap<String, String> = json(query, "labels")?;
    for (name, value) in labels {
        set(&format!("label:{name}"), value);
    }
    let hosts = query.all("extrahosts").flat_map(|all| all.split(','));
    let hosts = hosts.filter(|host| !host.is_empty());
    let hosts: Vec<String> = hosts
        .map(|host| host.replacen(':', "=", usize::from(!host.contains('='))))
        .collect();
    if !hosts.is_empty() {
        set("add-hosts", hosts.join(","));
    }
    let limits: Vec<Limit> = json(query, "ulimits")?;
    let limits = limits
        .iter()
        .map(|one| format!("{}={}:{}", one.name, one.soft, one.hard));
    let limits: Vec<String> = limits.collect();
    if !limits.is_empty() {
        set("ulimit", limits.join(","));
    }
    Ok(all)
}

/// What becomes of the result: an image here, unless something else is said.
fn exporters(query: &Query) -> Result<Vec<Exporter>, Failure> {
    let wanted: Vec<Wanted> = json(query, "outputs")?;
    let names: Vec<&str> = query.all("t").filter(|name| !name.is_empty()).collect();
    let mut all: Vec<Exporter> = wanted
        .into_iter()
        .map(|one| Exporter {
            kind: one.kind,
            attrs: one.attrs.unwrap_or_default(),
        })
        .collect();
    if all.is_empty() {
        all.push(Exporter {
            kind: "moby".to_owned(),
            attrs: HashMap::new(),
        });
    }
    for one in &mut all {
        if one.kind == "cacheonly" || names.is_empty() {
            continue;
        }
        let named = one.attrs.entry("name".to_owned());
        named.or_insert_with(|| names.join(","));
    }
    all.retain(|one| one.kind != "cacheonly");
    Ok(all)
}
