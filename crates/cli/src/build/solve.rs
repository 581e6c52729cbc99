//! A build from its request to its end: the session, the build, and what is shown of it meanwhile.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::client::SessionOffer;
use api::grpc::channel::Channel;
use api::grpc::{Code, Status};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use buildkit::control;
use buildkit::control::{
    ListWorkersRequest, ListWorkersResponse, SolveResponse, StatusRequest, StatusResponse,
};

use super::interrupt::{self, Interrupt};
use super::progress::{Mode, Shown};
use super::{Plan, content, failure, metadata, session};
use crate::connect::Daemon;
use crate::error::CliError;
use crate::print;

/// Between two drawings.
const PACE: Duration = Duration::from_millis(100);
/// What names the machine as its containers reach it.
const GATEWAY: &str = "org.mobyproject.buildkit.worker.moby.host-gateway-ip";

/// How long is looked on after a build was given up.
const PATIENCE: Duration = Duration::from_secs(5);

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
    let mut interrupt = Interrupt::listen();
    let mut shown = Shown::new(plan.mode);
    let outcome = watched(&control, &plan, &mut shown, &mut interrupt).await;
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
        Err(status) => {
            let error = failed(&plan, &status);
            match interrupt.come {
                true => {
                    print::complain(&error.to_string());
                    Err(CliError::Silent(interrupt::CODE))
                }
                false => Err(error),
            }
        }
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

/// A build that is waited for; nothing when it has ended, or is not waited for any more.
struct Solving<F>(Option<Pin<Box<F>>>);

impl<T, F: Future<Output = T>> Solving<F> {
    /// What has come of it, once.
    async fn answer(&mut self) -> T {
        let Some(solving) = &mut self.0 else {
            return std::future::pending().await;
        };
        let answer = solving.await;
        self.0 = None;
        answer
    }
}

fn given_up() -> Status {
    Status::cancelled("context canceled")
}

/// The build, with what happens in it shown until nothing more does. Who is interrupted gives it up, and shows
/// what becomes of it; who is again does not wait for that.
async fn watched(
    control: &Channel,
    plan: &Plan,
    shown: &mut Shown,
    interrupt: &mut Interrupt,
) -> Result<SolveResponse, Status> {
    let mut solving = Solving(Some(Box::pin(
        control.unary(control::SOLVE, plan.request.clone()),
    )));
    let mut outcome = None;
    let question = StatusRequest {
        reference: plan.request.reference.clone(),
    };
    let asking = control.streaming::<_, StatusResponse>(control::STATUS, question);
    let mut asking = std::pin::pin!(asking);
    // Both are asked at once: the build has its name when the first of them is there.
    let mut stream = loop {
        tokio::select! {
            answer = solving.answer() => outcome = Some(answer),
            stream = &mut asking => break stream,
            () = interrupt.next() => return Err(given_up()),
        }
        if let Some(Err(status)) = &outcome {
            return Err(status.clone());
        }
    };
    let mut ticks = tokio::time::interval(PACE);
    let mut until = None;
    while let Ok(open) = &mut stream {
        tokio::select! {
            answer = solving.answer() => outcome = Some(answer),
            message = open.message() => match message {
                Ok(Some(status)) => shown.update(status),
                Ok(None) | Err(_) => break,
            },
            _ = ticks.tick() => shown.tick(),
            () = interrupt.next() => {
                if until.replace(Instant::now() + PATIENCE).is_some() {
                    break;
                }
                // The daemon hears that nobody waits for the answer.
                solving.0 = None;
                outcome = Some(Err(given_up()));
            }
        }
        if until.is_some_and(|until| Instant::now() > until) {
            break;
        }
    }
    tokio::select! {
        answer = solving.answer() => outcome = Some(answer),
        () = interrupt.next() => return Err(given_up()),
        () = std::future::ready(()), if outcome.is_some() => {}
    }
    outcome.unwrap_or_else(|| Err(given_up()))
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
        // The one that Docker's client says as gRPC does.
        Code::Unavailable => "Unavailable",
        _ => "error",
    }
}

/// The daemon said no to something that is no build.
pub(crate) fn refused(status: &Status) -> CliError {
    CliError::Invalid(words(status))
}
