//! Dockerfile + options -> graph and image: pure.
//!
//! What a base image says (variables, triggers, platform) decides what is planned, and asking a registry is
//! no job of a planner: [`plan`] says which images it has to know, is told, and is called again. A trigger
//! may name a further image, so that may happen more than once.

mod args;
mod copy;
mod dispatch;
mod expose;
mod git;
mod image;
mod options;
mod run;
mod stages;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::{BTreeSet, HashMap};

use types::Platform;

pub use git::GitAddress;
pub use image::{DEFAULT_PATH, History, ImageConfig, Names, Rootfs, RunConfig};
pub use options::{Context, InvalidOption, NoCache, Options};

use crate::check::{self, Checks, Finding};
use crate::dockerfile::{Dockerfile, Error};
use crate::expand::{Env, Expander};
use crate::graph::{About, Graph, Local, Op, Origin, Output};
use crate::source::Span;
use unit::Unit;

/// An image whose configuration the planner has to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageRequest {
    /// Fully qualified; `name@digest` in a layout.
    pub reference: String,
    /// In a directory of the client.
    pub layout: bool,
    /// For which platform.
    pub platform: Platform,
}

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownImage {
    /// It is there.
    Found {
        /// Its manifest's digest, to pin it.
        digest: Option<String>,
        /// Its configuration.
        config: Box<ImageConfig>,
    },
    /// It cannot be had, and why: fails a build, not a check.
    Unavailable(String),
}

/// The images known so far.
pub type Known = HashMap<ImageRequest, KnownImage>;

/// What planning has come to.
#[derive(Debug)]
pub enum Outcome {
    /// These have to be known first.
    Needs(Vec<ImageRequest>),
    /// This is to be done.
    Planned(Box<Plan>),
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// The operations.
    pub graph: Graph,
    /// The one whose files are the image's; none for an empty image.
    pub result: Option<Output>,
    /// The image's configuration. Times are none unless `SOURCE_DATE_EPOCH` says one; layers are the
    /// base's until there are others.
    pub image: ImageConfig,
    /// The base's configuration as it was.
    pub base: Option<ImageConfig>,
    /// What it is for.
    pub platform: Platform,
    /// What checks have found.
    pub findings: Vec<Finding>,
    /// `SOURCE_DATE_EPOCH`, in seconds.
    pub epoch: Option<i64>,
    /// Arguments that were given and that nothing asks for, in order.
    pub unused: Vec<String>,
}

/// Plans a build.
///
/// # Errors
/// The first thing that cannot be done, with its place; a finding, where the checks are to fail the build.
pub fn plan(file: &Dockerfile, options: &Options, known: &Known) -> Result<Outcome, Error> {
    let mut planner = Planner::new(file, options, known, false)?;
    let Some(target) = planner.run()? else {
        return Ok(Outcome::Needs(planner.needs()));
    };
    planner.finish(target)
}

/// What checking has come to.
#[derive(Debug)]
pub enum Checked {
    /// These have to be known first.
    Needs(Vec<ImageRequest>),
    /// What was found, and what would fail.
    Done {
        /// By line.
        findings: Vec<Finding>,
        /// Why the file cannot be built.
        error: Option<Error>,
    },
}

/// Looks for what a build would warn of, in every stage unless one is the target.
pub fn check(file: &Dockerfile, options: &Options, known: &Known) -> Checked {
    let mut planner = match Planner::new(file, options, known, options.target.is_none()) {
        Ok(planner) => planner,
        Err(error) => {
            return Checked::Done {
                findings: Vec::new(),
                error: Some(error),
            };
        }
    };
    planner.lenient = true;
    match planner.run() {
        Ok(None) => Checked::Needs(planner.needs()),
        Ok(Some(_)) => Checked::Done {
            findings: planner.checks.into_findings(),
            error: None,
        },
        Err(error) => Checked::Done {
            findings: planner.checks.into_findings(),
            error: Some(error),
        },
    }
}

/// All words that variables become, and all environments of commands, are together no longer: a small
/// file must not fill the memory of whoever plans it.
const MOST_BYTES: usize = 64 << 20;

/// All that planning changes.
struct Planner<'a> {
    file: &'a Dockerfile,
    options: &'a Options,
    known: &'a Known,
    expander: Expander,
    checks: Checks,
    config: check::Config,
    /// Every stage is planned, whether needed or not.
    all: bool,
    /// An image that cannot be had is taken for an empty one.
    lenient: bool,
    /// Variables before the first stage.
    globals: Env,
    /// `ARG` before the first stage.
    declared: BTreeSet<String>,
    /// Arguments that an `ARG` anywhere has asked for.
    taken: BTreeSet<String>,
    epoch: Option<i64>,
    units: Vec<Unit>,
    by_name: HashMap<String, usize>,
    graph: Graph,
    context: Option<Output>,
    /// What is read of the context.
    context_paths: BTreeSet<String>,
    ignored: Option<crate::ignore::Matcher>,
    /// How many bytes variables may still become.
    left: usize,
    needs: Vec<ImageRequest>,
}

impl<'a> Planner<'a> {
    fn new(
        file: &'a Dockerfile,
        options: &'a Options,
        known: &'a Known,
        all: bool,
    ) -> Result<Self, Error> {
        let config = match &options.checks {
            Some(config) => config.clone(),
            None => check::Config::parse(file.directive("check").unwrap_or_default())
                .map_err(|error| Error::new(Span::default(), error.to_string()))?,
        };
        let mut checks = Checks::new(config.clone());
        check::file(file, &mut checks);
        let mut planner = Self {
            file,
            options,
            known,
            expander: Expander::new(file.escape),
            checks,
            config,
            all,
            lenient: false,
            globals: Env::new(),
            declared: BTreeSet::new(),
            taken: BTreeSet::new(),
            epoch: None,
            units: Vec::new(),
            by_name: HashMap::new(),
            graph: options.given.0.clone(),
            context: None,
            context_paths: BTreeSet::new(),
            ignored: options.ignored().filter(|matcher| !matcher.is_empty()),
            left: MOST_BYTES,
            needs: Vec::new(),
        };
        planner.make_globals()?;
        Ok(planner)
    }

    /// The target's unit, none when images have to be known first.
    fn run(&mut self) -> Result<Option<usize>, Error> {
        self.make_units()?;
        let target = self.target()?;
        self.link()?;
        let Some(reachable) = self.resolve(target)? else {
            return Ok(None);
        };
        self.make_context()?;
        for index in 0..self.units.len() {
            if !self.units[index].done && (self.all || reachable.contains(&index)) {
                self.dispatch(index)?;
            }
        }
        Ok(Some(target))
    }

    /// Counts what has grown out of variables.
    fn spend(&mut self, bytes: usize, span: Span) -> Result<(), Error> {
        let left = self.left.checked_sub(bytes).ok_or_else(|| {
            let sentence = format!(
                "the file's variables become more than {MOST_BYTES} bytes of words and environments"
            );
            Error::new(span, sentence)
        })?;
        self.left = left;
        Ok(())
    }

    fn needs(self) -> Vec<ImageRequest> {
        let mut needs: Vec<ImageRequest> = Vec::new();
        for need in self.needs {
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
        needs
    }

    /// Where files come from that no stage has.
    fn make_context(&mut self) -> Result<(), Error> {
        let context = self.options.context.clone();
        let about = About {
            name: "[internal] load build context".to_owned(),
            ..About::default()
        };
        let loaded = self.load(
            &context,
            &self.options.platform.clone(),
            about,
            Span::default(),
        )?;
        self.context = loaded.root;
        Ok(())
    }

    fn finish(mut self, target: usize) -> Result<Outcome, Error> {
        let unit = std::mem::take(&mut self.units[target]);
        let unused = self.unused();
        let findings = self.checks.into_findings();
        if let Some(sentence) = check::violation(&findings).filter(|_| self.config.error) {
            return Err(Error::new(findings[0].span, sentence));
        }
        let mut image = unit.image;
        for (name, value) in &self.options.labels {
            image.config.labels.insert(name.clone(), value.clone());
        }
        let platform = if self.options.implicit {
            image.platform().unwrap_or(self.options.platform.clone())
        } else {
            self.options.platform.clone()
        };
        platform.os.clone_into(&mut image.os);
        platform.architecture.clone_into(&mut image.architecture);
        image.variant = platform.variant.clone().unwrap_or_default();
        let wanted: Vec<Output> = unit.root.into_iter().collect();
        let follow = follow(&self.context_paths);
        let main = match &self.options.context {
            Context::Local(name) => Some(name.clone()),
            _ => None,
        };
        let (graph, results) = self.graph.rebuilt(&wanted, |op| {
            if let Op::Source(Origin::Local(local)) = op
                && Some(&local.name) == main.as_ref()
            {
                local.follow.clone_from(&follow);
            }
        });
        Ok(Outcome::Planned(Box::new(Plan {
            graph,
            result: results.first().copied(),
            image,
            base: unit.base_image,
            platform,
            findings,
            epoch: self.epoch,
            unused,
        })))
    }

    /// A directory of the client, with what is left out of it.
    fn local(&mut self, name: &str, about: About) -> Output {
        let main = matches!(&self.options.context, Context::Local(main) if main == name);
        let local = Local {
            name: name.to_owned(),
            exclude: if main {
                self.options.exclude.clone()
            } else {
                Vec::new()
            },
            shared_key: name.to_owned(),
            ..Local::default()
        };
        self.source(Origin::Local(local), None, about)
    }

    fn source(&mut self, origin: Origin, platform: Option<Platform>, about: About) -> Output {
        let op = Op::Source(origin);
        let vertex = self.graph.add(op, Vec::new(), platform, about);
        Output { vertex, index: 0 }
    }
}

/// Paths for a client: none when all is read.
fn follow(paths: &BTreeSet<String>) -> Vec<String> {
    if paths.contains("/") {
        return Vec::new();
    }
    let paths = paths.iter().map(|path| path.trim_start_matches('/'));
    paths.map(str::to_owned).collect()
}
