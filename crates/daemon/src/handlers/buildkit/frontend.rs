//! The frontend `dockerfile.v0`, and definitions in LLB: what is asked for becomes results that the build
//! keeps under names.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use builder::buildkit::error;
use builder::graph::{About, Graph, Http, Local, Op, Origin, Output};
use builder::llb;
use builder::plan::{Context, ImageConfig, ImageRequest, KnownImage, Options};
use builder::solve::{Ask, Build, Built, Failure, Files, read_in as read_in_root};
use builder::{Source, ignore};
use buildkit::control::{Vertex, VertexStatus};
use buildkit::gateway::{
    self, Ref, RefMap, ResolveImageConfigRequest, ResolveImageConfigResponse, SolveRequest,
    SolveResponse, result::Result as Refs,
};
use buildkit::pb;
use sha2::{Digest as _, Sha256};
use sys::root::Root;
use tonic::{Code, Status};
use types::Platform;

use super::client::FromSession;
use super::feed::now;
use super::gateway::broken;
use super::jobs::Job;
use super::status::{detailed, status};
use super::subrequest;
use crate::app::App;

/// The longest Dockerfile and ignore file.
const LONGEST_FILE: usize = 16 << 20;
/// What a context is called that was fetched and is one file.
const FETCHED: &str = "context";

/// What the frontend is told, and what of it has been read.
pub(super) struct Asked {
    pub(super) app: Arc<App>,
    pub(super) client: FromSession,
    pub(super) attributes: HashMap<String, String>,
    inputs: HashMap<String, pb::Definition>,
}

impl Asked {
    pub(super) fn attribute<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        let value = self.attributes.get(name).map(String::as_str);
        value.filter(|v| !v.is_empty()).unwrap_or(otherwise)
    }

    pub(super) fn job(&self) -> &Job {
        &self.client.job
    }

    /// Does something with the solver for this client.
    pub(super) fn ask<T>(
        &self,
        act: impl FnOnce(&Ask<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let job = self.job();
        act(&Ask {
            client: &self.client,
            progress: job.feed.as_ref(),
            cancel: &job.cancel,
            entitlements: &job.entitlements,
            memory: &job.memory,
        })
    }
}

/// A Dockerfile with what is asked of it.
pub(super) struct Definition {
    pub(super) source: Arc<Source>,
    pub(super) options: Options,
    pub(super) platforms: Vec<Platform>,
}

/// `LLBBridge.Solve`
pub(super) async fn solve(
    app: Arc<App>,
    job: Arc<Job>,
    request: SolveRequest,
) -> Result<SolveResponse, Status> {
    job.prepared().await;
    job.hear(&request.frontend, &request.frontend_opt);
    let run_root = app.engine.config().run_root.clone();
    let asked = Asked {
        client: FromSession::new(job, app.builds.kept.clone(), run_root),
        app,
        attributes: request.frontend_opt,
        inputs: request.frontend_inputs,
    };
    let (frontend, definition) = (request.frontend, request.definition);
    let done = tokio::task::spawn_blocking(move || match frontend.as_str() {
        "dockerfile.v0" => dockerfile(&asked),
        "" => match definition {
            Some(definition) => definition_in_llb(&asked, definition),
            None => Ok(gateway::Result::default()),
        },
        "gateway.v0" => elsewhere(&asked),
        other => Err(Status::unimplemented(format!(
            "frontend {other} is not supported: dockerfile.v0 or a definition in LLB is expected"
        ))),
    });
    let result = done.await.map_err(|error| broken(&error))??;
    Ok(SolveResponse {
        result: Some(result),
    })
}

/// A frontend that is an image. Those of the Dockerfile's language are this one.
fn elsewhere(asked: &Asked) -> Result<gateway::Result, Status> {
    let source = asked.attribute("source", "");
    if source.contains("docker/dockerfile") {
        return dockerfile(asked);
    }
    Err(Status::unimplemented(format!(
        "frontend {source:?} is an image: only docker/dockerfile is supported, which is built in"
    )))
}

fn dockerfile(asked: &Asked) -> Result<gateway::Result, Status> {
    let definition = definition(asked).map_err(|failure| status(&failure))?;
    match asked.attributes.get("requestid") {
        Some(request) => subrequest::answer(asked, request, definition),
        None => build(asked, definition).map_err(|failure| status(&failure)),
    }
}

fn build(asked: &Asked, definition: Definition) -> Result<gateway::Result, Failure> {
    let several = definition.platforms.len() > 1 || definition.options.several;
    let build = Build {
        source: definition.source,
        options: definition.options,
        platforms: definition.platforms,
    };
    let solver = &asked.app.builds.solver;
    let built = asked.ask(|ask| solver.build(ask, &build))?;
    results(asked.job(), built, several)
}

/// Keeps what was built, and says what it is.
fn results(job: &Job, built: Vec<Built>, several: bool) -> Result<gateway::Result, Failure> {
    let mut metadata = HashMap::new();
    let mut refs = HashMap::new();
    let mut platforms = Vec::new();
    for one in built {
        let platform = one.platform.to_string();
        let config = serde_json::to_vec(&one.image);
        let config = config.map_err(|e| Failure::internal(e.to_string()))?;
        let key = match several {
            true => format!("containerimage.config/{platform}"),
            false => "containerimage.config".to_owned(),
        };
        metadata.insert(key, config);
        platforms.push(serde_json::json!({
            "ID": platform,
            "Platform": {
                "architecture": one.platform.architecture,
                "os": one.platform.os,
                "variant": one.platform.variant,
            },
        }));
        let empty = one.files.is_none();
        let id = job
            .keep(one)
            .map_err(|status| Failure::internal(status.message()))?;
        // What the client may build on: the result itself.
        let def = (!empty).then(|| llb::of_result(&id));
        refs.insert(platform, Ref { id, def });
    }
    if several {
        let list = serde_json::json!({ "Platforms": platforms });
        metadata.insert("refs.platforms".to_owned(), list.to_string().into_bytes());
        return Ok(gateway::Result {
            result: Some(Refs::Refs(RefMap { refs })),
            metadata,
        });
    }
    Ok(gateway::Result {
        result: refs.into_values().next().map(Refs::Ref),
        metadata,
    })
}

/// A definition's one result.
fn definition_in_llb(asked: &Asked, definition: pb::Definition) -> Result<gateway::Result, Status> {
    let read = llb::read(definition).map_err(|e| Status::invalid_argument(e.to_string()))?;
    let solver = &asked.app.builds.solver;
    let files = match read.result {
        None => None,
        Some(result) => {
            let files = asked.ask(|ask| solver.solve(ask, &read.graph, &[result]));
            let mut files = files.map_err(|failure| status(&failure))?;
            files.pop()
        }
    };
    let empty = files.is_none();
    let id = asked.job().keep(of_files(files))?;
    let def = (!empty).then(|| llb::of_result(&id));
    Ok(gateway::Result {
        result: Some(Refs::Ref(Ref { id, def })),
        metadata: HashMap::new(),
    })
}

/// Files about whose image nothing is said.
pub(super) fn of_files(files: Option<Files>) -> Built {
    let platform = Platform::host();
    Built {
        image: ImageConfig::empty(&platform),
        platform,
        files,
        base: None,
        epoch: None,
        findings: Vec::new(),
        unused: Vec::new(),
    }
}

/// Reads the Dockerfile, what its context leaves out, and the options.
fn definition(asked: &Asked) -> Result<Definition, Failure> {
    let pairs = asked.attributes.iter();
    let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
    let mut options =
        Options::from_attributes(pairs).map_err(|error| Failure::invalid(error.to_string()))?;
    let elsewhere = options.context_graph();
    let elsewhere = elsewhere.filter(|_| !asked.attributes.contains_key("dockerfilekey"));
    let (source, beside) = match from_web(asked.attribute("filename", "")).or(elsewhere) {
        Some((graph, files)) => (read_elsewhere(asked, &graph, files)?, None),
        None => read_dockerfile(asked)?,
    };
    let source = Arc::new(source);
    options.given = given(asked)?;
    if let Context::Local(name) = &options.context {
        options.exclude = read_ignored(asked, name, (&source, beside))?;
    }
    let wanted = asked.attribute("platform", "").split(',');
    let wanted = wanted.filter(|text| !text.is_empty());
    let platforms = wanted.map(|text| {
        let parsed: Result<Platform, _> = text.parse();
        parsed.map_err(|error| Failure::invalid(error.to_string()))
    });
    let platforms = platforms.collect::<Result<_, _>>()?;
    Ok(Definition {
        source,
        options,
        platforms,
    })
}

/// A Dockerfile that has an address of its own; none of a file's name.
fn from_web(address: &str) -> Option<(Graph, Output)> {
    if !address.starts_with("https://") && !address.starts_with("http://") {
        return None;
    }
    let mut graph = Graph::new();
    let origin = Origin::Http(Http {
        url: address.to_owned(),
        filename: Some(FETCHED.to_owned()),
        ..Http::default()
    });
    let about = About::default();
    let vertex = graph.add(Op::Source(origin), Vec::new(), None, about);
    Some((graph, Output { vertex, index: 0 }))
}

/// What a Dockerfile is called: the last part of an address without what stands behind `?` and `#`.
fn name_of(file: &str) -> &str {
    if from_web(file).is_none() {
        return file;
    }
    let path = file.split(['?', '#']).next().unwrap_or(file);
    let name = path.rsplit('/').next().unwrap_or(path);
    if name.is_empty() { "Dockerfile" } else { name }
}

type Given = (Graph, BTreeMap<String, Option<Output>>);

/// Definitions that the client names.
fn given(asked: &Asked) -> Result<Given, Failure> {
    let mut graph = Graph::new();
    let mut outputs = BTreeMap::new();
    for (name, definition) in &asked.inputs {
        let read = llb::read(definition.clone())
            .map_err(|error| Failure::invalid(format!("input {name}: {error}")))?;
        let output = match read.result {
            None => None,
            Some(result) => graph.join(&read.graph, &[result]).pop(),
        };
        outputs.insert(name.clone(), output);
    }
    Ok((graph, outputs))
}

/// The Dockerfile, from the directory that the client keeps it in, and the ignore file that is beside it for it
/// alone.
fn read_dockerfile(asked: &Asked) -> Result<(Source, Option<Vec<u8>>), Failure> {
    let filename = asked.attribute("filename", "Dockerfile");
    let name = asked.attribute("dockerfilekey", "dockerfile");
    let names = ignore::candidates(filename);
    let wanted = vec![filename.to_owned(), names[0].clone()];
    let local = Local {
        name: name.to_owned(),
        include: wanted.clone(),
        follow: wanted,
        shared_key: "dockerfile".to_owned(),
        ..Local::default()
    };
    let step = Step::begin(
        asked,
        format!("[internal] load build definition from {filename}"),
    );
    let received = step.receive(asked, &local, "transferring dockerfile");
    let text = received.and_then(|tree| {
        let text = read_in(tree.path(), filename)?;
        let text = text.ok_or_else(|| {
            Failure::invalid(format!(
                "failed to read dockerfile: open {filename}: no such file or directory"
            ))
        })?;
        Ok((text, read_in(tree.path(), &names[0])?))
    });
    let (text, beside) = step.end(asked.job(), text)?;
    let source = Source::new(filename, &text);
    asked
        .job()
        .feed
        .define(&step.digest, Arc::new(source.clone()));
    Ok((source, beside))
}

/// The Dockerfile of a context that is no directory of the client's. An address of a file that is no archive
/// is that of the Dockerfile itself.
fn read_elsewhere(asked: &Asked, graph: &Graph, files: Output) -> Result<Source, Failure> {
    let filename = name_of(asked.attribute("filename", "Dockerfile"));
    let step = Step::begin(
        asked,
        format!("[internal] load build definition from {filename}"),
    );
    let solver = &asked.app.builds.solver;
    let read = asked.ask(|ask| solver.solve(ask, graph, &[files]));
    let read = read.and_then(|files| {
        let files = files.into_iter().next();
        let none = || Failure::internal("the context has no files");
        files.ok_or_else(none)?.with_root(|root| {
            let text = match read_in_root(root, filename)? {
                None => read_in_root(root, FETCHED)?,
                text => text,
            };
            text.ok_or_else(|| {
                let sentence = format!("failed to read dockerfile: the context has no {filename}");
                Failure::invalid(sentence)
            })
        })
    });
    let text = step.end(asked.job(), read)?;
    let source = Source::new(filename, &text);
    asked
        .job()
        .feed
        .define(&step.digest, Arc::new(source.clone()));
    Ok(source)
}

/// What is left out of the context: by the file beside the Dockerfile, else by one in the context.
fn read_ignored(
    asked: &Asked,
    context: &str,
    (source, beside): (&Source, Option<Vec<u8>>),
) -> Result<Vec<String>, Failure> {
    let [_, common] = ignore::candidates(source.name());
    let step = Step::begin(asked, "[internal] load .dockerignore".to_owned());
    let found = match beside {
        Some(found) => Ok(Some(found)),
        None => {
            let local = Local {
                name: context.to_owned(),
                include: vec![common.clone()],
                follow: vec![common.clone()],
                ..Local::default()
            };
            let received = step.receive(asked, &local, "transferring context");
            received.and_then(|tree| read_in(tree.path(), &common))
        }
    };
    let found = step.end(asked.job(), found)?;
    let patterns = ignore::read(&found.unwrap_or_default());
    let checked = ignore::Matcher::new(patterns.iter().map(String::as_str));
    checked.map_err(|error| Failure::invalid(format!("error parsing .dockerignore: {error}")))?;
    Ok(patterns)
}

/// A file in a received directory. Links are followed as far as they stay inside: the client has sent where
/// they lead.
fn read_in(root: &std::path::Path, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    let read = Root::open(root).and_then(|root| root.read(path, LONGEST_FILE));
    match read {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.errno == sys::Errno::NOENT => Ok(None),
        Err(error) => Err(Failure::invalid(format!("failed to read {path}: {error}"))),
    }
}

/// A step of the frontend's own, as people see it.
pub(super) struct Step {
    digest: String,
    vertex: Vertex,
}

impl Step {
    pub(super) fn begin(asked: &Asked, name: String) -> Self {
        Self::of(asked.job(), name)
    }

    pub(super) fn of(job: &Job, name: String) -> Self {
        let hash = Sha256::digest(format!("{}\0{name}", job.name).as_bytes());
        let digest = types::Digest::sha256(hash.into()).to_string();
        let vertex = Vertex {
            digest: digest.clone(),
            name,
            started: Some(now()),
            ..Vertex::default()
        };
        job.feed.vertex(vertex.clone());
        Self { digest, vertex }
    }

    /// Receives files, and tells how much has come.
    fn receive(
        &self,
        asked: &Asked,
        local: &Local,
        what: &str,
    ) -> Result<builder::solve::Tree, Failure> {
        let mut status = VertexStatus {
            id: format!("{what}:"),
            name: format!("{what}:"),
            vertex: self.digest.clone(),
            started: Some(now()),
            ..VertexStatus::default()
        };
        let feed = &asked.job().feed;
        let tree = asked.client.receive(local, &mut |bytes| {
            status.current = i64::try_from(bytes).unwrap_or(i64::MAX);
        })?;
        status.timestamp = Some(now());
        status.completed = Some(now());
        feed.status(status);
        Ok(tree)
    }

    pub(super) fn tell(&self, job: &Job, what: String) {
        job.feed.status(VertexStatus {
            id: what.clone(),
            name: what,
            vertex: self.digest.clone(),
            timestamp: Some(now()),
            started: Some(now()),
            completed: Some(now()),
            ..VertexStatus::default()
        });
    }

    /// It is over, and how.
    pub(super) fn end<T>(&self, job: &Job, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let mut vertex = self.vertex.clone();
        vertex.completed = Some(now());
        if let Err(failure) = &outcome {
            vertex.error.clone_from(&failure.message);
        }
        job.feed.vertex(vertex);
        outcome
    }
}

/// `LLBBridge.ResolveImageConfig`
pub(super) async fn resolve(
    app: Arc<App>,
    job: Arc<Job>,
    request: ResolveImageConfigRequest,
) -> Result<ResolveImageConfigResponse, Status> {
    let platform = match request.platform {
        None => Platform::host(),
        Some(platform) => Platform {
            os: platform.os,
            architecture: platform.architecture,
            variant: Some(platform.variant).filter(|variant| !variant.is_empty()),
        },
    };
    let wanted = ImageRequest {
        reference: request.reference.clone(),
        layout: false,
        platform,
    };
    let run_root = app.engine.config().run_root.clone();
    let asked = Asked {
        client: FromSession::new(job, app.builds.kept.clone(), run_root),
        app,
        attributes: HashMap::new(),
        inputs: HashMap::new(),
    };
    let done = tokio::task::spawn_blocking(move || {
        let solver = &asked.app.builds.solver;
        let known = asked.ask(|ask| solver.known(ask, std::slice::from_ref(&wanted)));
        let mut known = known.map_err(|failure| status(&failure))?;
        match known.remove(&wanted) {
            Some(KnownImage::Found { digest, config }) => Ok((digest, config)),
            Some(KnownImage::Unavailable(why)) => Err(Status::not_found(why)),
            None => Err(Status::not_found(format!("no image {}", wanted.reference))),
        }
    });
    let (digest, config) = done.await.map_err(|error| broken(&error))??;
    let config = serde_json::to_vec(&config).map_err(|e| Status::internal(e.to_string()))?;
    Ok(ResolveImageConfigResponse {
        digest: digest.unwrap_or_default(),
        config,
        reference: request.reference,
    })
}

/// Something that this frontend does not do.
pub(super) fn not_done(name: &str) -> Status {
    let sentence = format!("unsupported request {name}");
    detailed(
        Code::Unimplemented,
        &sentence,
        vec![error::subrequest(name)],
    )
}
