//! Scanners: images that say what is in another image, by BuildKit's protocol. They see the files below
//! `/run/src/core/sbom` and write statements into `/run/out`.

use serde_json::Value;
use types::Platform;

use super::given::read_up_to;
use super::image::Built;
use super::tree;
use super::{Ask, Failure, Solver};
use crate::attest::{Scanner, Statement};
use crate::graph::{About, Exec, ExecMount, Graph, Image, MountSource, Op, Origin, Output, Pull};
use crate::llb;
use crate::plan::{DEFAULT_PATH, ImageConfig, ImageRequest, KnownImage};

const FILES: &str = "/run/src/core/sbom";
const RESULTS: &str = "/run/out";
/// Bytes of one statement: a bill of materials of a large image has some ten million.
const LONGEST: u64 = 64 << 20;
/// Statements of one scanner.
const MOST: usize = 64;

impl Solver {
    /// What a scanner says about files, which the client has under a name. Files that there are none of say
    /// nothing.
    ///
    /// # Errors
    /// When the scanner cannot be had, fails, or writes what is no statement.
    pub fn scan(
        &self,
        ask: &Ask<'_>,
        scanner: &Scanner,
        (name, built): (&str, &Built),
    ) -> Result<Vec<Statement>, Failure> {
        if built.files.is_none() {
            return Ok(Vec::new());
        }
        let request = ImageRequest {
            reference: scanner.image.clone(),
            layout: false,
            platform: Platform::host(),
        };
        let mut known = self.known(ask, std::slice::from_ref(&request))?;
        let config = match known.remove(&request) {
            Some(KnownImage::Found { config, .. }) => config,
            Some(KnownImage::Unavailable(why)) => {
                return Err(Failure::invalid(format!(
                    "the scanner {}: {why}",
                    scanner.image
                )));
            }
            None => return Err(Failure::internal("a scanner that is not known")),
        };
        let (graph, result) = definition(scanner, &config, (name, &built.platform))?;
        let files = self.solve(ask, &graph, &[result])?;
        let mut found = Vec::new();
        for one in &files {
            found.extend(one.with_root(|root| statements(root, &scanner.image))?);
        }
        if found.is_empty() {
            let sentence = format!("the scanner {} has said nothing", scanner.image);
            return Err(Failure::invalid(sentence));
        }
        Ok(found)
    }
}

fn definition(
    scanner: &Scanner,
    config: &ImageConfig,
    (name, platform): (&str, &Platform),
) -> Result<(Graph, Output), Failure> {
    let mut graph = Graph::new();
    let host = Some(Platform::host());
    let output = |vertex| Output { vertex, index: 0 };
    let image = Op::Source(Origin::Image(Image {
        reference: scanner.image.clone(),
        pull: Pull::Default,
        layers: 0,
    }));
    let root = graph.add(image, Vec::new(), host.clone(), About::default());
    let scanned = Op::Source(Origin::Other {
        identifier: format!("{}{name}", llb::RESULT),
        attributes: Default::default(),
    });
    let scanned = graph.add(scanned, Vec::new(), None, About::default());
    let run = &config.config;
    let args: Vec<String> = [run.entrypoint.as_deref(), run.cmd.as_deref()]
        .into_iter()
        .flatten()
        .flatten()
        .cloned()
        .collect();
    if args.is_empty() {
        let sentence = format!("the scanner {} has no command", scanner.image);
        return Err(Failure::invalid(sentence));
    }
    let mut env = run.env.clone();
    if !env.iter().any(|variable| variable.starts_with("PATH=")) {
        env.push(format!("PATH={DEFAULT_PATH}"));
    }
    env.push(format!("BUILDKIT_SCAN_DESTINATION={RESULTS}/"));
    env.push(format!("BUILDKIT_SCAN_SOURCE={FILES}"));
    let told = scanner.parameters.iter();
    env.extend(told.map(|(name, value)| format!("BUILDKIT_SCAN_{name}={value}")));
    let mount = |target: &str, input, source, output| ExecMount {
        input,
        selector: String::new(),
        target: target.to_owned(),
        output,
        read_only: target == FILES,
        source,
        by_content: None,
    };
    let exec = Exec {
        args,
        env,
        directory: match run.working_dir.as_str() {
            "" => "/".to_owned(),
            directory => directory.to_owned(),
        },
        user: run.user.clone(),
        mounts: vec![
            mount("/", Some(0), MountSource::Files, None),
            mount("/tmp", None, MountSource::Memory(0), None),
            mount(FILES, Some(1), MountSource::Files, None),
            mount(RESULTS, None, MountSource::Files, Some(0)),
        ],
        ..Exec::default()
    };
    let about = About {
        name: format!("[{platform}] generating sbom using {}", scanner.image),
        ..About::default()
    };
    let inputs = vec![output(root), output(scanned)];
    let scan = graph.add(Op::Exec(Box::new(exec)), inputs, host, about);
    Ok((graph, output(scan)))
}

/// What was written: in-toto's statements, about whatever.
fn statements(root: &sys::dir::Dir, scanner: &str) -> Result<Vec<Statement>, Failure> {
    let mut found = Vec::new();
    for name in tree::names(root, RESULTS)?.into_iter().take(MOST) {
        let name = name.to_string_lossy().into_owned();
        if !name.ends_with(".json") {
            continue;
        }
        let wrong = |why: &str| {
            let sentence = format!("the scanner {scanner} has written {name}, which {why}");
            Failure::invalid(sentence)
        };
        let text = read_up_to(root, &name, LONGEST)?.unwrap_or_default();
        let mut said: Value = serde_json::from_slice(&text).map_err(|_| wrong("is no JSON"))?;
        let kind = said["predicateType"].as_str().map(str::to_owned);
        found.push(Statement {
            kind: kind.ok_or_else(|| wrong("is no statement: it has no predicateType"))?,
            predicate: said["predicate"].take(),
            file: name,
        });
    }
    Ok(found)
}
