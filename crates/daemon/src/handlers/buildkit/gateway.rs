//! `moby.buildkit.v1.frontend.LLBBridge`: the frontend of a build that is under way, which here is the client
//! itself. It names the build in a header.

use std::sync::Arc;

use buildkit::control::VertexWarning;
use buildkit::gateway::{
    ApiCap, EvaluateRequest, EvaluateResponse, InputsRequest, InputsResponse, PingRequest,
    PongResponse, ReadDirRequest, ReadFileRequest, ResolveImageConfigRequest, ReturnRequest,
    ReturnResponse, SolveRequest, StatFileRequest, WarnRequest, WarnResponse,
};
use tonic::Status;

use super::jobs::Job;
use super::{control, frontend, look, status};
use crate::app::App;
use api::grpc::server::{self, Request, Response};

/// What says which build it is about.
const BUILD: &str = "buildkit-controlapi-buildid";

/// What frontends may ask for.
const FRONTEND: [&str; 14] = [
    "solve.base",
    "solve.inlinereturn",
    "resolveimage",
    "resolveimage.resolvemode",
    "readfile",
    "return",
    "returnmap",
    "readdir",
    "statfile",
    "importcaches",
    "proto.refarray",
    "frontend.inputs",
    "frontend.caps",
    "gateway.solve.metadata",
];
const FRONTEND_MORE: [&str; 4] = [
    "reference.output",
    "gateway.solve.evaluate",
    "gateway.evaluate",
    "gateway.warnings",
];

/// What definitions may hold.
const LLB: [&str; 52] = [
    "source.image",
    "source.image.resolvemode",
    "source.image.layerlimit",
    "source.local",
    "source.local.unique",
    "source.local.sessionid",
    "source.local.includepatterns",
    "source.local.followpaths",
    "source.local.excludepatterns",
    "source.local.sharedkeyhint",
    "source.local.differ",
    "source.git",
    "source.git.keepgitdir",
    "source.git.fullurl",
    "source.git.subdir",
    "source.git.checksum",
    "source.http",
    "source.http.checksum",
    "source.http.perm",
    "source.http.uidgid",
    "source.buildop.llbfilename",
    "exec.meta.base",
    "exec.meta.cgroup.parent",
    "exec.meta.network",
    "exec.meta.proxyenv",
    "exec.meta.security",
    "exec.meta.setsdefaultpath",
    "exec.meta.ulimit",
    "exec.mount.bind",
    "exec.mount.bind.readwrite-nooutput",
    "exec.mount.cache",
    "exec.mount.cache.sharing",
    "exec.mount.selector",
    "exec.mount.tmpfs",
    "exec.mount.tmpfs.size",
    "exec.mount.secret",
    "exec.mount.ssh",
    "exec.secretenv",
    "exec.validexitcode",
    "file.base",
    "file.rm.wildcard",
    "file.copy.includeexcludepatterns",
    "file.copy.alwaysreplaceexistingdestpaths",
    "file.copy.modestring",
    "file.symlink.create",
    "constraints",
    "platform",
    "meta.ignorecache",
    "meta.description",
    "meta.exportcache",
    "mergeop",
    "diffop",
];
const LLB_MORE: [&str; 3] = [
    "exporter.multiple",
    "exporter.image.annotations",
    "exporter.image.attestations",
];

pub(super) async fn answer(app: Arc<App>, method: &str, request: Request) -> Response {
    let name = request.headers().get(BUILD);
    let name = name.and_then(|name| name.to_str().ok());
    let name = name.unwrap_or_default().to_owned();
    let job = match app.builds.jobs.find(&name).await {
        Ok(job) => job,
        Err(status) => return status.into_http(),
    };
    match method {
        "Ping" => {
            server::unary(request, |_: tonic::Request<PingRequest>| async {
                Ok(pong(&app))
            })
            .await
        }
        "Solve" => {
            server::unary(request, |message: tonic::Request<SolveRequest>| {
                frontend::solve(app.clone(), job.clone(), message.into_inner())
            })
            .await
        }
        "Return" => {
            server::unary(request, |message: tonic::Request<ReturnRequest>| {
                returned(&job, message.into_inner());
                async { Ok(ReturnResponse {}) }
            })
            .await
        }
        "Inputs" => {
            server::unary(request, |_: tonic::Request<InputsRequest>| async {
                Ok(InputsResponse::default())
            })
            .await
        }
        "Warn" => {
            server::unary(request, |message: tonic::Request<WarnRequest>| {
                job.feed.warn(warning(message.into_inner()));
                async { Ok(WarnResponse {}) }
            })
            .await
        }
        _ => files(&app, job, method, request).await,
    }
}

/// What is asked of results.
async fn files(app: &Arc<App>, job: Arc<Job>, method: &str, request: Request) -> Response {
    match method {
        "ReadFile" => {
            server::unary(request, |message: tonic::Request<ReadFileRequest>| {
                look::read_file(job.clone(), message.into_inner())
            })
            .await
        }
        "ReadDir" => {
            server::unary(request, |message: tonic::Request<ReadDirRequest>| {
                look::read_dir(job.clone(), message.into_inner())
            })
            .await
        }
        "StatFile" => {
            server::unary(request, |message: tonic::Request<StatFileRequest>| {
                look::stat_file(job.clone(), message.into_inner())
            })
            .await
        }
        "Evaluate" => {
            // A result is there before it has a name.
            server::unary(request, |message: tonic::Request<EvaluateRequest>| {
                let found = job.result(&message.get_ref().reference);
                async { found.map(|_| EvaluateResponse {}) }
            })
            .await
        }
        "ResolveImageConfig" => {
            server::unary(
                request,
                |message: tonic::Request<ResolveImageConfigRequest>| {
                    frontend::resolve(app.clone(), job.clone(), message.into_inner())
                },
            )
            .await
        }
        _ => server::unknown(&format!("LLBBridge/{method}")),
    }
}

fn pong(app: &App) -> PongResponse {
    let caps = |lists: [&[&str]; 2]| {
        let names = lists.into_iter().flatten();
        let caps = names.map(|name| ApiCap {
            id: (*name).to_owned(),
            enabled: true,
        });
        caps.collect()
    };
    PongResponse {
        frontend_api_caps: caps([&FRONTEND, &FRONTEND_MORE]),
        llb_caps: caps([&LLB, &LLB_MORE]),
        workers: vec![control::worker(app)],
    }
}

fn returned(job: &Job, message: ReturnRequest) {
    job.finish(match message.error {
        Some(error) => Err(status::given_back(error)),
        None => Ok(message.result.unwrap_or_default()),
    });
}

fn warning(message: WarnRequest) -> VertexWarning {
    VertexWarning {
        vertex: message.digest,
        level: message.level,
        short: message.short,
        detail: message.detail,
        url: message.url,
        info: message.info,
        ranges: message.ranges,
    }
}

/// Why a build is over that nobody gave up.
pub(super) fn broken(error: &tokio::task::JoinError) -> Status {
    match error.is_cancelled() {
        true => Status::unavailable("the daemon is shutting down"),
        false => Status::internal("internal error: a task panicked"),
    }
}
