//! `Control.Solve`: a build from its request to its outputs.

use std::collections::HashMap;
use std::sync::Arc;

use builder::attest::Wishes;
use builder::solve::Failure;
use buildkit::control::{BuildHistoryRecord, Exporter, SolveRequest, SolveResponse};
use buildkit::gateway::{self, result::Result as Refs};
use tonic::Status;

use super::caches::CacheTo;
use super::jobs::{Job, Running};
use super::status::status;
use super::{attest, frontend, history, output};
use crate::app::App;
use crate::http::body::Upload;

/// What a build's end writes into its record.
type Change = Box<dyn FnOnce(&mut BuildHistoryRecord) + Send>;

/// A build in the history, from its beginning to its end, whatever that is.
struct Recorded {
    app: Arc<App>,
    job: Arc<Job>,
    change: Option<Change>,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let change = self.change.take().unwrap_or_else(|| {
            // Nobody waits for it any more.
            let given_up = Status::cancelled("context canceled");
            Box::new(move |record| record.error = Some(history::reason(&given_up)))
        });
        self.app
            .builds
            .history
            .end(&self.job.name, change, &self.job.feed);
    }
}

/// `posted` is the context if it came with the request.
pub(super) async fn solve(
    app: Arc<App>,
    request: SolveRequest,
    posted: Option<Upload>,
) -> Result<SolveResponse, Status> {
    if request.reference.is_empty() {
        return Err(Status::invalid_argument("the build has no name (Ref)"));
    }
    let session = match request.session.as_str() {
        "" => None,
        id => {
            let found = app.builds.sessions.find(id).await;
            let missing = || Status::not_found(format!("no active session for {id}"));
            Some(found.ok_or_else(missing)?)
        }
    };
    let running =
        app.builds
            .jobs
            .begin(&request.reference, session, request.entitlements.clone())?;
    if let Some(context) = posted {
        running.job.post(context);
    }
    app.builds.history.begin(&request);
    let mut recorded = Recorded {
        app: app.clone(),
        job: running.job.clone(),
        change: None,
    };
    let outcome = attended(&app, &running, &request).await;
    let told = outcome.clone();
    recorded.change = Some(Box::new(move |record| match told {
        Ok(response) => record.exporter_response = response,
        Err(status) => record.error = Some(history::reason(&status)),
    }));
    Ok(SolveResponse {
        exporter_response: outcome?,
    })
}

/// Runs it as long as its client is there.
async fn attended(
    app: &Arc<App>,
    running: &Running,
    request: &SolveRequest,
) -> Result<HashMap<String, String>, Status> {
    let job = &running.job;
    let left = async {
        match &job.session {
            Some(session) => session.over().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = run(app, job, request) => outcome,
        () = left => Err(Status::cancelled("the client's session is over")),
    }
}

async fn run(
    app: &Arc<App>,
    job: &Arc<Job>,
    request: &SolveRequest,
) -> Result<HashMap<String, String>, Status> {
    let caches = request.cache.clone().unwrap_or_default();
    let exports = caches.exports.iter().map(CacheTo::read);
    let exports = exports.collect::<Result<Vec<_>, Failure>>();
    let exports = exports.map_err(|failure| status(&failure))?;
    let exporters = exporters(request);
    output::check(&exporters).map_err(|failure| status(&failure))?;
    let wishes = Wishes::read(&request.frontend_attrs).map_err(Status::invalid_argument)?;
    if wishes.provenance.as_ref().is_some_and(|wish| wish.full) {
        job.memory.remember_definition();
    }
    let started = attest::now();
    super::caches::import(app, job, caches.imports).await;
    job.prepare();
    let result = if request.frontend.is_empty() && request.definition.is_none() {
        // The client is the frontend.
        job.returned().await?
    } else {
        let inner = gateway::SolveRequest {
            definition: request.definition.clone(),
            frontend: request.frontend.clone(),
            frontend_opt: request.frontend_attrs.clone(),
            cache_imports: Vec::new(),
            frontend_inputs: request.frontend_inputs.clone(),
            evaluate: true,
        };
        let answer = frontend::solve(app.clone(), job.clone(), inner).await?;
        answer.result.unwrap_or_default()
    };
    if exporters.is_empty() && exports.is_empty() {
        return Ok(texts(&result));
    }
    let wanted = output::Wanted {
        products: products(job, &result)?,
        exporters,
        caches: exports,
        wishes,
        started,
    };
    let mut response = texts(&result);
    response.extend(output::write(app, job, wanted).await?);
    Ok(response)
}

/// What is to become of the result; older clients know one output only.
fn exporters(request: &SolveRequest) -> Vec<Exporter> {
    if request.exporters.is_empty() && !request.exporter_deprecated.is_empty() {
        return vec![Exporter {
            kind: request.exporter_deprecated.clone(),
            attrs: request.exporter_attrs_deprecated.clone(),
        }];
    }
    request.exporters.clone()
}

/// What a frontend says for the client's programs: the answer of a subrequest.
fn texts(result: &gateway::Result) -> HashMap<String, String> {
    let texts = result.metadata.iter();
    texts
        .filter(|(name, _)| name.starts_with("frontend.") || name.starts_with("result."))
        .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
        .collect()
}

/// The results that a frontend names, and what it says of their images.
fn products(job: &Job, result: &gateway::Result) -> Result<Vec<output::Product>, Status> {
    let named: Vec<(Option<&str>, &str)> = match &result.result {
        None => vec![(None, "")],
        Some(Refs::Ref(one)) => vec![(None, one.id.as_str())],
        Some(Refs::RefDeprecated(one)) => vec![(None, one.as_str())],
        Some(Refs::Refs(map)) => {
            let all = map.refs.iter();
            all.map(|(platform, one)| (Some(platform.as_str()), one.id.as_str()))
                .collect()
        }
        Some(Refs::RefsDeprecated(map)) => {
            let all = map.refs.iter();
            all.map(|(platform, one)| (Some(platform.as_str()), one.as_str()))
                .collect()
        }
    };
    let products = named.into_iter().map(|(platform, name)| {
        let key = match platform {
            Some(platform) => format!("containerimage.config/{platform}"),
            None => "containerimage.config".to_owned(),
        };
        let built = match name {
            "" => None,
            name => Some(job.result(name)?),
        };
        Ok(output::Product {
            platform: platform.map(str::to_owned),
            built,
            config: result.metadata.get(&key).cloned(),
        })
    });
    let mut products: Vec<output::Product> = products.collect::<Result<_, Status>>()?;
    products.sort_by(|a, b| a.platform.cmp(&b.platform));
    Ok(products)
}
