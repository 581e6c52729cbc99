//! A build from its request to its end: the session, the build, and what is shown of it meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::client::SessionOffer;
use api::grpc::channel::Channel;
use api::grpc::{Code, Status};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use buildkit::control;
use buildkit::control::{
    ListWorkersRequest, ListWorkersResponse, SolveResponse, StatusRequest, StatusResponse,
};

use super::progress::{Mode, Shown};
use super::{Plan, content, failure, metadata, session};
use crate::connect::Daemon;
use crate::error::CliError;
use crate::print;

/// Between two drawings.
const PACE: Duration = Duration::from_millis(100);
/// What names the machine as its containers reach it.
const GATEWAY: &str = "org.mobyproject.buildkit.worker.moby.host-gateway-ip";

/// A new name for a build or a session.
pub(crate) fn name() -> Result<String, CliError> {
    // As long as BuildKit's, which some clients check.
    let bytes = sys::random::bytes::<16>()
        .map_err(|error| CliError::Invalid(format!("cannot get random bytes: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Builds; the exit code.
pub(crate) async fn run(daemon: &Daemon, mut plan: Plan, debug: bool) -> Result<u8, CliError> {
    for warning in &plan.warnings {
        print::complain(warning);
    }
    daemon.connect().await?;
    let control = daemon.client.build_control().await?;
    if plan.host_gateway {
        host_gateway(&control, &mut plan).await?;
    }
    let caches = std::mem::take(&mut plan.lent.caches);
    let lent = Arc::new(std::mem::take(&mut plan.lent));
    let offer = SessionOffer {
        id: name()?,
        shared_key: shared_key(&plan.shared_key),
        methods: session::methods(&lent),
    };
    let opened = daemon.client.build_session(&offer).await?;
    tokio::spawn(opened.serve(move |request| session::answer(lent.clone(), request)));
    plan.request.session = offer.id;
    plan.request.reference = name()?;
    let mut shown = Shown::new(plan.mode);
    let outcome = watched(&control, &plan, &mut shown).await;
    shown.finish(plan.call.is_some(), debug);
    match outcome {
        Ok(answer) => {
            if let Some(cache) = answer.exporter_response.get("cache.manifest") {
                for (dir, tag) in &caches {
                    content::put(dir, cache, tag)?;
                }
            }
            done(&plan, &answer.exporter_response)
        }
        Err(status) => Err(failed(&plan, &status)),
    }
}

/// What tells this directory of this user's from others, in a header.
fn shared_key(directory: &str) -> String {
    let text = format!("{}:{directory}", sys::process::user());
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

async fn host_gateway(control: &Channel, plan: &mut Plan) -> Result<(), CliError> {
    let answer: ListWorkersResponse = control
        .unary(control::LIST_WORKERS, ListWorkersRequest::default())
        .await
        .map_err(|status| refused(&status))?;
    let mut labels = answer.record.iter().map(|worker| &worker.labels);
    let address = labels.find_map(|labels| labels.get(GATEWAY));
    let address = address.ok_or_else(|| {
        CliError::Invalid("unable to derive the IP value for host-gateway".to_owned())
    })?;
    if let Some(hosts) = plan.request.frontend_attrs.get_mut("add-hosts") {
        *hosts = hosts.replace("host-gateway", address);
    }
    Ok(())
}

/// The build, with what happens in it shown until nothing more does.
async fn watched(
    control: &Channel,
    plan: &Plan,
    shown: &mut Shown,
) -> Result<SolveResponse, Status> {
    let solving = control.unary(control::SOLVE, plan.request.clone());
    let mut solving = std::pin::pin!(solving);
    let mut outcome = None;
    let question = StatusRequest {
        reference: plan.request.reference.clone(),
    };
    let asking = control.streaming::<_, StatusResponse>(control::STATUS, question);
    let mut asking = std::pin::pin!(asking);
    // Both are asked at once: the build has its name when the first of them is there.
    let mut stream = loop {
        tokio::select! {
            answer = &mut solving, if outcome.is_none() => outcome = Some(answer),
            stream = &mut asking => break stream,
        }
        if let Some(Err(status)) = &outcome {
            return Err(status.clone());
        }
    };
    let mut ticks = tokio::time::interval(PACE);
    while let Ok(open) = &mut stream {
        tokio::select! {
            answer = &mut solving, if outcome.is_none() => outcome = Some(answer),
            message = open.message() => match message {
                Ok(Some(status)) => shown.update(status),
                Ok(None) | Err(_) => break,
            },
            _ = ticks.tick() => shown.tick(),
        }
    }
    match outcome {
        Some(outcome) => outcome,
        None => solving.await,
    }
}

fn done(plan: &Plan, answer: &HashMap<String, String>) -> Result<u8, CliError> {
    if let Some(call) = &plan.call {
        return call.show(answer, &plan.file);
    }
    let digest = answer.get("containerimage.config.digest");
    let digest = digest.or_else(|| answer.get("containerimage.digest"));
    if let (Some(path), Some(digest)) = (&plan.iidfile, digest) {
        metadata::write(path, digest)?;
    }
    if let Some(path) = &plan.metadata_file {
        let text = metadata::document(answer, &plan.request.reference);
        metadata::write(path, &text)?;
    }
    if plan.quiet
        && let Some(digest) = digest
    {
        print::out(&format!("{digest}\n"))?;
    }
    Ok(0)
}

fn failed(plan: &Plan, status: &Status) -> CliError {
    if plan.mode != Mode::Json {
        let places = failure::places(status);
        if !places.is_empty() {
            print::complain(places.trim_end_matches('\n'));
        }
    }
    CliError::Build(format!(
        "failed to build: failed to solve: {}",
        words(status)
    ))
}

/// A status in words, with gRPC's where that says something.
fn words(status: &Status) -> String {
    let message = status.message();
    match status.code() {
        Code::Unknown => message.to_owned(),
        Code::Cancelled => "Canceled: context canceled".to_owned(),
        code => format!("{}: {message}", code_name(code)),
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "invalid argument",
        Code::NotFound => "not found",
        Code::Unimplemented => "not implemented",
        Code::Unavailable => "unavailable",
        _ => "error",
    }
}

/// The daemon said no to something that is no build.
pub(crate) fn refused(status: &Status) -> CliError {
    CliError::Invalid(words(status))
}
