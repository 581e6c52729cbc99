//! `moby.buildkit.v1.Control`

use std::sync::Arc;

use buildkit::BytesMessage;
use buildkit::control::{
    BuildHistoryRequest, BuildkitVersion, DiskUsageRequest, InfoRequest, InfoResponse,
    ListWorkersRequest, ListWorkersResponse, PruneRequest, SolveRequest, StatusRequest,
    UpdateBuildHistoryRequest, UpdateBuildHistoryResponse, WorkerRecord,
};
use buildkit::pb;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use types::Platform;

use super::sessions::Offer;
use super::{disk, keep, solve};
use crate::app::App;
use api::grpc::server::{self, Request, Response};

/// The version of BuildKit whose protocols these are: clients ask for it before they use what is newer.
const VERSION: &str = "v0.25.1";

pub(super) async fn answer(app: Arc<App>, method: &str, request: Request) -> Response {
    let app = &app;
    match method {
        "Solve" => {
            server::unary(request, |message: tonic::Request<SolveRequest>| {
                solve::solve(app.clone(), message.into_inner(), None)
            })
            .await
        }
        "Status" => {
            server::streaming(request, |message: tonic::Request<StatusRequest>| {
                let jobs = app.builds.jobs.clone();
                async move {
                    let feed = jobs.feed(&message.get_ref().reference).await?;
                    Ok(feed.follow())
                }
            })
            .await
        }
        "ListWorkers" => {
            server::unary(request, |_: tonic::Request<ListWorkersRequest>| async {
                let record = vec![worker(app)];
                Ok(ListWorkersResponse { record })
            })
            .await
        }
        "Info" => {
            server::unary(request, |_: tonic::Request<InfoRequest>| async {
                let buildkit_version = Some(version());
                Ok(InfoResponse { buildkit_version })
            })
            .await
        }
        "DiskUsage" => {
            server::unary(request, |message: tonic::Request<DiskUsageRequest>| {
                disk::usage(app.clone(), message.into_inner())
            })
            .await
        }
        "Prune" => {
            server::streaming(request, |message: tonic::Request<PruneRequest>| {
                disk::prune(app.clone(), message.into_inner())
            })
            .await
        }
        _ => session_or_history(app, method, request).await,
    }
}

async fn session_or_history(app: &Arc<App>, method: &str, request: Request) -> Response {
    match method {
        "ListenBuildHistory" => {
            server::streaming(request, |message: tonic::Request<BuildHistoryRequest>| {
                let events = app.builds.history.listen(message.get_ref());
                async { Ok(events) }
            })
            .await
        }
        "UpdateBuildHistory" => {
            server::unary(
                request,
                |message: tonic::Request<UpdateBuildHistoryRequest>| {
                    let updated = app.builds.history.update(message.get_ref());
                    async { updated.map(|()| UpdateBuildHistoryResponse {}) }
                },
            )
            .await
        }
        "Session" => {
            let offer = Offer::read(request.headers());
            server::both(request, move |messages| {
                let (app, offer) = (app.clone(), offer.clone());
                async move { session(&app, offer, messages) }
            })
            .await
        }
        _ => server::unknown(&format!("Control/{method}")),
    }
}

fn version() -> BuildkitVersion {
    BuildkitVersion {
        package: "brig".to_owned(),
        version: VERSION.to_owned(),
        revision: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The machine's one worker. Its label of a snapshotter tells clients that results can be written to
/// archives and registries.
pub(super) fn worker(app: &App) -> WorkerRecord {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let labels = [
        ("executor", "brig"),
        ("hostname", hostname.trim_end()),
        ("network", "host"),
        ("snapshotter", super::super::system::STORAGE_DRIVER),
    ];
    let labels = labels.map(|(name, value)| {
        let name = format!("org.mobyproject.buildkit.worker.{name}");
        (name, value.to_owned())
    });
    WorkerRecord {
        id: "brig".to_owned(),
        labels: labels.into_iter().chain(gateway(app)).collect(),
        platforms: vec![platform(&Platform::host())],
        gc_policy: Vec::new(),
        buildkit_version: Some(version()),
    }
}

/// The host as its containers reach it: what `--add-host name:host-gateway` becomes.
fn gateway(app: &App) -> Option<(String, String)> {
    let address = *engine::network::host_gateways(&app.engine).first()?;
    let name = "org.mobyproject.buildkit.worker.moby.host-gateway-ip";
    Some((name.to_owned(), address.to_string()))
}

pub(super) fn platform(platform: &Platform) -> pb::Platform {
    pb::Platform {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone().unwrap_or_default(),
        ..pb::Platform::default()
    }
}

/// Bytes under way in a session within a call.
const TUNNEL: usize = 256 << 10;
const PIECE: usize = 32 << 10;

/// A session whose connection is a call's two streams.
fn session(
    app: &Arc<App>,
    offer: Option<Offer>,
    messages: tonic::Request<Streaming<BytesMessage>>,
) -> Result<ReceiverStream<Result<BytesMessage, Status>>, Status> {
    let unnamed = || Status::invalid_argument("the session has no name");
    let offer = offer.ok_or_else(unnamed)?;
    let (ours, theirs) = tokio::io::duplex(TUNNEL);
    let (mut read, mut write) = tokio::io::split(theirs);
    let mut messages = messages.into_inner();
    let (send, receive) = mpsc::channel(4);
    app.spawn(async move {
        let inward = async {
            while let Ok(Some(message)) = messages.message().await {
                if write.write_all(&message.data).await.is_err() {
                    break;
                }
            }
            // The end of the client's stream is that of the connection.
            let _ = write.shutdown().await;
        };
        let outward = async {
            loop {
                let mut data = vec![0; PIECE];
                match read.read(&mut data).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => data.truncate(count),
                }
                if send.send(Ok(BytesMessage { data })).await.is_err() {
                    break;
                }
            }
        };
        tokio::join!(inward, outward);
    });
    let sessions = app.builds.sessions.clone();
    app.spawn(async move { keep(&sessions, offer, TokioIo::new(ours)).await });
    Ok(ReceiverStream::new(receive))
}
