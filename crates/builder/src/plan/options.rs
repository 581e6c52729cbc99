//! What a build is told besides its Dockerfile.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use types::Platform;

use super::git::{GitAddress, is_web};
use super::image::ImageConfig;
use crate::check;
use crate::go;
use crate::graph::{About, Graph, Network, Op, Origin, Output, Pull, Resources, Ulimit};
use crate::ignore;

/// An option cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOption(String);

/// Files that a build may be given under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// `local:NAME`: a directory of the client.
    Local(String),
    /// `docker-image://NAME`
    Image(String),
    /// `oci-layout://NAME@DIGEST`
    Layout(String),
    /// A repository.
    Git(GitAddress),
    /// An archive or file on the web.
    Web(String),
    /// `input:NAME`: a result in [`Options::given`].
    Input(String),
}

impl Context {
    /// Reads what stands behind `context:NAME=`.
    ///
    /// # Errors
    /// When it is of no known kind.
    pub fn parse(text: &str) -> Result<Self, InvalidOption> {
        if let Some(git) = GitAddress::parse(text).map_err(InvalidOption)? {
            return Ok(Self::Git(git));
        }
        if is_web(text) {
            return Ok(Self::Web(text.to_owned()));
        }
        let kinds: [Kind; 5] = [
            ("docker-image://", Self::Image),
            ("docker-image:", Self::Image),
            ("oci-layout://", Self::Layout),
            ("local:", Self::Local),
            ("input:", Self::Input),
        ];
        let found = kinds
            .iter()
            .find_map(|(prefix, make)| Some(make(text.strip_prefix(prefix)?.to_owned())));
        found.ok_or_else(|| {
            InvalidOption(format!(
                "unsupported context source {}: docker-image://, oci-layout://, local:, input:, a repository or an http address is expected",
                go::quote(text.split(':').next().unwrap_or_default())
            ))
        })
    }
}

/// What a context's kind is called, and how it is made of the rest.
type Kind = (&'static str, fn(String) -> Context);

/// For which stages the cache is not used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NoCache {
    /// For none.
    #[default]
    Never,
    /// For all.
    Always,
    /// For these.
    Stages(BTreeSet<String>),
}

/// What a build is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The stage to build; none is the last.
    pub target: Option<String>,
    /// Values for `ARG`.
    pub args: BTreeMap<String, String>,
    /// Arguments that were named without a value: only told of, where nothing asks for them.
    pub unset: BTreeSet<String>,
    /// Labels of the result.
    pub labels: BTreeMap<String, String>,
    /// What the result is for.
    pub platform: Platform,
    /// Nobody asked for that platform: it is the builder's.
    pub implicit: bool,
    /// The result is one of several platforms'.
    pub several: bool,
    /// Where it is built.
    pub build_platform: Platform,
    /// Where `COPY` without `--from` copies from.
    pub context: Context,
    /// Further contexts by name.
    pub contexts: BTreeMap<String, Context>,
    /// Results that `input:` names, and the graph they are in.
    pub given: (Graph, BTreeMap<String, Option<Output>>),
    /// The configurations of those that are images.
    pub given_images: BTreeMap<String, ImageConfig>,
    /// For which stages the cache is not used.
    pub no_cache: NoCache,
    /// Whether a registry is asked for an image that is here.
    pub pull: Pull,
    /// The network of `RUN`.
    pub network: Network,
    /// Names for `/etc/hosts`.
    pub hosts: Vec<(String, String)>,
    /// Bytes of `/dev/shm`, 0 for the default.
    pub shm_size: i64,
    /// Limits of processes.
    pub ulimits: Vec<Ulimit>,
    /// The machine's name inside.
    pub hostname: String,
    /// The cgroup above.
    pub cgroup_parent: String,
    /// Limits of each `RUN`.
    pub resources: Option<Resources>,
    /// What `.dockerignore` says, as the client is told.
    pub exclude: Vec<String>,
    /// Checks; none is what the file's directive says.
    pub checks: Option<check::Config>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: None,
            args: BTreeMap::new(),
            unset: BTreeSet::new(),
            labels: BTreeMap::new(),
            platform: Platform::host(),
            implicit: true,
            several: false,
            build_platform: Platform::host(),
            context: Context::Local("context".to_owned()),
            contexts: BTreeMap::new(),
            given: (Graph::new(), BTreeMap::new()),
            given_images: BTreeMap::new(),
            no_cache: NoCache::Never,
            pull: Pull::Default,
            network: Network::Sandbox,
            hosts: Vec::new(),
            shm_size: 0,
            ulimits: Vec::new(),
            hostname: String::new(),
            cgroup_parent: String::new(),
            resources: None,
            exclude: Vec::new(),
            checks: None,
        }
    }
}

impl Options {
    /// Reads the attributes of BuildKit's frontend `dockerfile.v0`. Those about outputs, caches, files and
    /// the frontend itself are not for the planner and passed over.
    ///
    /// # Errors
    /// When a value is not what its attribute takes.
    pub fn from_attributes<'a>(
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, InvalidOption> {
        let mut options = Self::default();
        for (key, value) in attributes {
            options
                .attribute(key, value)
                .map_err(|error| InvalidOption(format!("failed to parse {key}: {error}")))?;
        }
        if let Some(name) = options.args.get("BUILDKIT_SANDBOX_HOSTNAME") {
            name.clone_into(&mut options.hostname);
        }
        Ok(options)
    }

    fn attribute(&mut self, key: &str, value: &str) -> Result<(), InvalidOption> {
        if let Some(name) = key.strip_prefix("build-arg:") {
            self.args.insert(name.to_owned(), value.to_owned());
            return Ok(());
        }
        if let Some(name) = key.strip_prefix("label:") {
            self.labels.insert(name.to_owned(), value.to_owned());
            return Ok(());
        }
        if let Some(name) = key.strip_prefix("input-metadata:") {
            let image = input_image(value)?;
            self.given_images
                .extend(image.map(|image| (name.to_owned(), image)));
            return Ok(());
        }
        if let Some(name) = key.strip_prefix("context:") {
            self.contexts
                .insert(name.to_owned(), Context::parse(value)?);
            return Ok(());
        }
        match key {
            "context" => {
                if let Ok(elsewhere @ (Context::Git(_) | Context::Web(_))) = Context::parse(value) {
                    self.context = elsewhere;
                }
            }
            "contextkey" => {
                if let Context::Local(name) = &mut self.context {
                    value.clone_into(name);
                }
            }
            "target" => self.target = Some(value.to_owned()).filter(|name| !name.is_empty()),
            "platform" => self.platforms(value)?,
            "no-cache" => self.no_cache = no_cache(value),
            "add-hosts" => self.hosts = hosts(value)?,
            "force-network-mode" => self.network = network(value)?,
            "image-resolve-mode" => self.pull = pull(value)?,
            "shm-size" => self.shm_size = number(value)?,
            "ulimit" => self.ulimits = ulimits(value)?,
            "hostname" => value.clone_into(&mut self.hostname),
            "cgroup-parent" => value.clone_into(&mut self.cgroup_parent),
            "multi-platform" => self.several = truth(value)?,
            _ => {}
        }
        Ok(())
    }

    /// One platform; several are planned one by one.
    fn platforms(&mut self, value: &str) -> Result<(), InvalidOption> {
        let mut list = value.split(',').filter(|text| !text.is_empty());
        if let Some(first) = list.next() {
            let parsed = first.parse().map_err(|e| InvalidOption(format!("{e}")))?;
            self.platform = parsed;
            self.implicit = false;
        }
        self.several |= list.next().is_some();
        Ok(())
    }

    /// What the context's files come from, as it is planned too: none of a directory of the client's.
    pub fn context_graph(&self) -> Option<(Graph, Output)> {
        let mut graph = Graph::new();
        let origin = match &self.context {
            Context::Git(git) => Origin::Git(git.clone().origin(self.keeps_git_dir())),
            Context::Web(url) => {
                let output = super::stages::archive(&mut graph, url, None, About::default());
                return Some((graph, output));
            }
            _ => return None,
        };
        let vertex = graph.add(Op::Source(origin), Vec::new(), None, About::default());
        Some((graph, Output { vertex, index: 0 }))
    }

    /// Whether `.git` is a part of repositories.
    pub(super) fn keeps_git_dir(&self) -> bool {
        let said = self.args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
        said.and_then(|text| go::parse_bool(text))
            .unwrap_or_default()
    }

    pub(super) fn skips_cache(&self, stage: Option<&str>) -> bool {
        match &self.no_cache {
            NoCache::Never => false,
            NoCache::Always => true,
            NoCache::Stages(names) => stage
                .is_some_and(|name| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))),
        }
    }

    pub(super) fn ignored(&self) -> Option<ignore::Matcher> {
        let patterns = self.exclude.iter().map(String::as_str);
        ignore::Matcher::new(patterns).ok()
    }
}

/// What is said of an input: bytes by names, one of which is an image's configuration.
fn input_image(value: &str) -> Result<Option<ImageConfig>, InvalidOption> {
    let invalid = |error: String| InvalidOption(format!("metadata cannot be read: {error}"));
    let all: BTreeMap<String, String> =
        serde_json::from_str(value).map_err(|error| invalid(error.to_string()))?;
    let Some(text) = all.get("containerimage.config") else {
        return Ok(None);
    };
    let text = BASE64_STANDARD.decode(text);
    let text = text.map_err(|error| invalid(error.to_string()))?;
    let image = serde_json::from_slice(&text);
    image.map(Some).map_err(|error| invalid(error.to_string()))
}

fn no_cache(value: &str) -> NoCache {
    if value.is_empty() {
        return NoCache::Always;
    }
    NoCache::Stages(
        value
            .split(',')
            .map(|name| name.trim().to_owned())
            .collect(),
    )
}

fn hosts(value: &str) -> Result<Vec<(String, String)>, InvalidOption> {
    let pairs = value
        .split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, address) = pair
                .split_once('=')
                .ok_or_else(|| InvalidOption(format!("invalid key-value pair: {pair}")))?;
            let address = address.trim_matches(['[', ']']);
            if address.parse::<std::net::IpAddr>().is_err() {
                return Err(InvalidOption(format!(
                    "failed to parse IP {}",
                    go::quote(address)
                )));
            }
            Ok((name.to_owned(), address.to_owned()))
        });
    pairs.collect()
}

fn network(value: &str) -> Result<Network, InvalidOption> {
    match value {
        "" | "sandbox" | "default" => Ok(Network::Sandbox),
        "none" => Ok(Network::None),
        "host" => Ok(Network::Host),
        other => Err(InvalidOption(format!("invalid netmode {other}"))),
    }
}

fn pull(value: &str) -> Result<Pull, InvalidOption> {
    match value {
        "" | "default" => Ok(Pull::Default),
        "pull" => Ok(Pull::Always),
        "local" => Ok(Pull::PreferLocal),
        other => Err(InvalidOption(format!(
            "invalid image-resolve-mode: {other}"
        ))),
    }
}

fn number(value: &str) -> Result<i64, InvalidOption> {
    let invalid = || InvalidOption(format!("a number of bytes is expected, not {value}"));
    value.parse().map_err(|_| invalid())
}

fn truth(value: &str) -> Result<bool, InvalidOption> {
    let invalid = || InvalidOption(format!("invalid boolean value {value}"));
    go::parse_bool(value).ok_or_else(invalid)
}

/// `name=soft[:hard],...`
fn ulimits(value: &str) -> Result<Vec<Ulimit>, InvalidOption> {
    let limits = value.split(',').filter(|limit| !limit.is_empty());
    let limits = limits.map(|text| {
        let invalid = || InvalidOption(format!("invalid ulimit argument: {text}"));
        let (name, numbers) = text.split_once('=').ok_or_else(invalid)?;
        let (soft, hard) = numbers.split_once(':').unwrap_or((numbers, numbers));
        Ok(Ulimit {
            name: name.to_owned(),
            soft: soft.parse().map_err(|_| invalid())?,
            hard: hard.parse().map_err(|_| invalid())?,
        })
    });
    limits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_become_options() {
        let options = Options::from_attributes([
            ("target", "a"),
            ("build-arg:X", "1"),
            ("build-arg:BUILDKIT_SANDBOX_HOSTNAME", "h"),
            ("label:l", "m"),
            ("platform", "linux/arm64"),
            ("context:base", "docker-image://debian:12"),
            ("no-cache", "a,b"),
            ("add-hosts", "h=1.2.3.4,i=[::1]"),
            ("force-network-mode", "host"),
            ("image-resolve-mode", "pull"),
            ("shm-size", "64"),
            ("ulimit", "nofile=1:2,core=0"),
            ("filename", "x"),
            ("contextkey", "mine"),
        ])
        .unwrap();
        assert_eq!(options.context, Context::Local("mine".into()));
        let remote = Options::from_attributes([("context", "https://h/a.git#b")]).unwrap();
        assert!(matches!(remote.context, Context::Git(git) if git.reference == "b"));
        assert_eq!(options.platform.to_string(), "linux/arm64");
        assert!(!options.implicit && options.skips_cache(Some("B")) && !options.skips_cache(None));
        assert_eq!(options.contexts["base"], Context::Image("debian:12".into()));
        assert_eq!(options.hosts[1], ("i".into(), "::1".into()));
        assert_eq!(
            (options.ulimits[1].hard, options.hostname.as_str()),
            (0, "h")
        );
    }

    #[test]
    fn wrong_values_are_named() {
        let error = |key, value| {
            Options::from_attributes([(key, value)])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("force-network-mode", "web"),
            "failed to parse force-network-mode: invalid netmode web"
        );
        assert_eq!(
            error("add-hosts", "h=x"),
            "failed to parse add-hosts: failed to parse IP \"x\""
        );
        assert_eq!(
            error("platform", "//"),
            "failed to parse platform: invalid platform \"//\": \"\" is an invalid OS component: \
             os/arch[/variant] is expected, as in linux/arm64"
        );
        assert!(error("context:a", "ftp:x").contains("unsupported context source \"ftp\""));
    }
}
