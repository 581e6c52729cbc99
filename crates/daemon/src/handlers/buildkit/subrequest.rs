//! What a frontend is asked for instead of a build: checks, an outline, the targets.

use std::collections::HashMap;

use builder::buildkit::outline;
use builder::check::Report;
use builder::dockerfile::{self, Dockerfile};
use builder::plan::{self, Checked, Known};
use builder::solve::Failure;
use buildkit::gateway;
use serde_json::json;
use tonic::Status;

use super::frontend::{Asked, Definition, not_done};
use super::status::status;

const LINT: &str = "frontend.lint";
const OUTLINE: &str = "frontend.outline";
const TARGETS: &str = "frontend.targets";
const DESCRIBE: &str = "frontend.subrequests.describe";

/// The version of all of them.
const VERSION: &str = "1.0.0";

pub(super) fn answer(
    asked: &Asked,
    request: &str,
    definition: Definition,
) -> Result<gateway::Result, Status> {
    let done = match request {
        LINT => lint(asked, definition),
        OUTLINE => parsed(&definition).and_then(|file| {
            let target = definition.options.target.as_deref();
            let found = outline::outline(&file, &definition.source, target);
            let missing = || {
                let name = target.unwrap_or_default();
                Failure::invalid(format!("target stage {name:?} could not be found"))
            };
            found.map(document).ok_or_else(missing)
        }),
        TARGETS => {
            parsed(&definition).map(|file| document(outline::targets(&file, &definition.source)))
        }
        DESCRIBE => Ok(document(described())),
        other => return Err(not_done(other)),
    };
    let metadata = done.map_err(|failure| status(&failure))?;
    Ok(gateway::Result {
        result: None,
        metadata,
    })
}

type Metadata = HashMap<String, Vec<u8>>;

fn document(json: String) -> Metadata {
    HashMap::from([
        ("result.json".to_owned(), json.into_bytes()),
        ("version".to_owned(), VERSION.as_bytes().to_vec()),
    ])
}

fn parsed(definition: &Definition) -> Result<Dockerfile, Failure> {
    dockerfile::parse(&definition.source).map_err(|error| {
        let span = error.span();
        Failure::invalid(error.to_string()).at(&definition.source, &[span])
    })
}

/// Asks for images until the checks know enough.
fn lint(asked: &Asked, definition: Definition) -> Result<Metadata, Failure> {
    let Definition {
        source, options, ..
    } = definition;
    let file = match dockerfile::parse(&source) {
        Ok(file) => file,
        Err(error) => return Ok(report(&source, &[], Some(&error))),
    };
    let mut known = Known::new();
    loop {
        match plan::check(&file, &options, &known) {
            Checked::Needs(images) => {
                let solver = &asked.app.builds.solver;
                known.extend(asked.ask(|ask| solver.known(ask, &images))?);
            }
            Checked::Done { findings, error } => {
                return Ok(report(&source, &findings, error.as_ref()));
            }
        }
    }
}

fn report(
    source: &builder::Source,
    findings: &[builder::check::Finding],
    error: Option<&dockerfile::Error>,
) -> Metadata {
    let report = Report {
        source,
        findings,
        error,
    };
    let mut metadata = document(report.json());
    metadata.insert("result.txt".to_owned(), report.text().into_bytes());
    let code = report.status().to_string();
    metadata.insert("result.statuscode".to_owned(), code.into_bytes());
    metadata
}

fn described() -> String {
    let requests = [
        (LINT, "Lint a Dockerfile"),
        (OUTLINE, "List all parameters current build target supports"),
        (TARGETS, "List all targets current build supports"),
        (DESCRIBE, "List available subrequest types"),
    ];
    let list: Vec<serde_json::Value> = requests
        .iter()
        .map(|(name, description)| {
            json!({
                "name": name,
                "version": VERSION,
                "type": "rpc",
                "description": description,
                "opts": [],
                "inputs": [],
                "metadata": [{ "name": "result.json" }],
                "refs": [],
            })
        })
        .collect();
    format!("{:#}", serde_json::Value::from(list))
}
