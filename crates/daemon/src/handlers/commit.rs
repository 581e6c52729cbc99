//! `/commit`

use api::wire;
use engine::container::{self, CommitOptions};
use engine::{Empty, Healthcheck, RunConfig};
use hyper::StatusCode;

use super::images::target;
use crate::app::App;
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

pub(super) async fn commit(app: &App, call: Call) -> Answer {
    let query = &call.query;
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let reference = target(&call)?;
    // Docker's clients send `null`.
    let body: Option<Option<wire::ContainerConfig>> = Call::json(call.request).await?;
    let who = text("container");
    if who.is_empty() {
        return Err(Failure::bad_request(
            "invalid container name or ID: value is empty",
        ));
    }
    let mut options = CommitOptions {
        reference,
        author: text("author"),
        comment: text("comment"),
        // Unless it is told not to.
        pause: query.get("pause").is_none() || query.flag("pause"),
        config: None,
        changes: query.all("changes").map(str::to_owned).collect(),
    };
    options.config = body.flatten().map(run_config);
    let id = app
        .blocking(move |engine| container::commit(engine, &who, options))
        .await?;
    let answer = wire::CommitResponse { id: id.to_string() };
    Ok(respond::json(StatusCode::CREATED, &answer))
}

/// What of a container's configuration is an image's.
fn run_config(config: wire::ContainerConfig) -> RunConfig {
    let words = |words: Option<wire::Words>| words.map(|words| words.0);
    let set = |keys: Vec<String>| keys.into_iter().map(|key| (key, Empty {})).collect();
    RunConfig {
        user: config.user,
        exposed_ports: set(config.exposed_ports.into_keys().collect()),
        env: config.env.unwrap_or_default(),
        entrypoint: words(config.entrypoint),
        cmd: words(config.cmd),
        healthcheck: config.healthcheck.map(|check| Healthcheck {
            test: check.test,
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        volumes: set(config.volumes.unwrap_or_default().into_keys().collect()),
        working_dir: config.working_dir,
        on_build: config.on_build.unwrap_or_default(),
        labels: config.labels.unwrap_or_default(),
        stop_signal: config.stop_signal,
    }
}
