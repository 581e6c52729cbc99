//! What a request for a build asks for: Docker's parameters, and Brig's own.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use builder::dockerfile::Dockerfile;
use builder::graph::{Http, Network, Origin, Pull, Resources, Ulimit};
use builder::plan::{Context, GitAddress, NoCache, Options};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use types::{ErrorKind, ImageRef, NetworkMode, Platform};

use crate::http::error::Failure;
use crate::http::query::Query;
use crate::http::request::Call;

/// What a file that was fetched is called.
pub(super) const FETCHED: &str = "context";
/// Secrets of Brig's own client: they are in no archive, for that is written to the disk.
const SECRETS: &str = "x-brig-secrets";

/// Where the context is instead of in the request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Remote {
    Git(Box<GitAddress>),
    Web(String),
}

impl Remote {
    fn read(text: &str) -> Result<Self, Failure> {
        if let Some(git) = GitAddress::parse(text).map_err(Failure::bad_request)? {
            return Ok(Self::Git(Box::new(git)));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Web(text.to_owned()));
        }
        Err(Failure::bad_request(format!(
            "invalid remote context {text}: the address of a repository or of a file is expected"
        )))
    }

    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Git(git) => Origin::Git(git.clone().origin(false)),
            Self::Web(url) => Origin::Http(Http {
                url: url.clone(),
                filename: Some(FETCHED.to_owned()),
                ..Http::default()
            }),
        }
    }
}

/// A request for a build.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) remote: Option<Remote>,
    pub(super) dockerfile: String,
    /// The Dockerfile's text, if it is no file of the context.
    pub(super) inline: Option<String>,
    pub(super) names: Vec<ImageRef>,
    pub(super) quiet: bool,
    pub(super) build_id: String,
    pub(super) platforms: Vec<Platform>,
    pub(super) options: Options,
    /// A network of somebody's, or another container's, for commands that say no other.
    pub(super) network: Option<NetworkMode>,
    pub(super) entitlements: Vec<String>,
    pub(super) secrets: BTreeMap<String, Vec<u8>>,
    /// `check` or `targets` instead of a build.
    pub(super) call: Option<String>,
    /// `image`, `tar` or `cacheonly`.
    pub(super) output: String,
    pub(super) annotations: BTreeMap<String, String>,
    /// Told in events, for who draws them.
    pub(super) events: bool,
    /// Images whose caches may be used.
    pub(super) cache_from: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireUlimit {
    name: String,
    soft: i64,
    hard: i64,
}

impl Asked {
    pub(super) fn read(call: &Call) -> Result<Self, Failure> {
        let query = &call.query;
        refuse(query)?;
        let text = |name: &str| query.get(name).filter(|text| !text.is_empty());
        let names = query.all("t").filter(|name| !name.is_empty());
        let names: Vec<ImageRef> = names.map(named).collect::<Result<_, _>>()?;
        let remote = text("remote").filter(|remote| *remote != "client-session");
        let remote = remote.map(Remote::read).transpose()?;
        let platforms = query.all("platform").flat_map(|all| all.split(','));
        let platforms = platforms.filter(|text| !text.is_empty()).map(str::parse);
        let mut entitlements: Vec<String> = query.all("allow").map(str::to_owned).collect();
        // It was asked for with the build, and not by a file of which nobody knows whose it is.
        if text("networkmode") == Some("host") {
            entitlements.push("network.host".to_owned());
        }
        Ok(Self {
            remote,
            dockerfile: text("dockerfile").unwrap_or("Dockerfile").to_owned(),
            inline: text("dockerfileinline").map(str::to_owned),
            names,
            quiet: query.flag("q"),
            build_id: text("buildid").unwrap_or_default().to_owned(),
            platforms: platforms.collect::<Result<_, _>>()?,
            options: options(query)?,
            network: network(query).1,
            entitlements,
            secrets: secrets(call)?,
            call: text("call").map(str::to_owned),
            output: text("output").unwrap_or_default().to_owned(),
            annotations: pairs(query, "annotations")?,
            events: query.flag("events"),
            cache_from: json(query, "cachefrom")?,
        })
    }

    /// Whether the image is to be a cache for others too.
    pub(super) fn inline_cache(&self) -> bool {
        let said = self.options.args.get("BUILDKIT_INLINE_CACHE");
        said.is_some_and(|value| {
            matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True")
        })
    }
}

fn named(text: &str) -> Result<ImageRef, Failure> {
    let name: ImageRef = text.parse()?;
    if name.digest().is_some() {
        let sentence =
            format!("invalid tag {text}: a name with a digest cannot be given to an image");
        return Err(Failure::bad_request(sentence));
    }
    Ok(name)
}

/// What is not done.
fn refuse(query: &Query) -> Result<(), Failure> {
    if query.flag("squash") {
        let sentence = "squash is only supported with experimental mode, which there is none of";
        return Err(Failure::bad_request(sentence));
    }
    if let Some(isolation) = query
        .get("isolation")
        .filter(|i| !["", "default"].contains(i))
    {
        let sentence = format!("isolation {isolation} is of another system: default is expected");
        return Err(Failure::bad_request(sentence));
    }
    let security = query
        .all("securityopt")
        .find(|option| !matches!(*option, "" | "null" | "[]"));
    if let Some(option) = security {
        let sentence =
            format!("security options of builds cannot be changed: {option} is not expected");
        return Err(Failure::bad_request(sentence));
    }
    Ok(())
}

/// A parameter whose value is JSON.
fn json<T: DeserializeOwned + Default>(query: &Query, name: &str) -> Result<T, Failure> {
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else {
        return Ok(T::default());
    };
    let read: Option<T> = serde_json::from_str(text)
        .map_err(|error| Failure::bad_request(format!("invalid {name}: {error}")))?;
    Ok(read.unwrap_or_default())
}

fn pairs(query: &Query, name: &str) -> Result<BTreeMap<String, String>, Failure> {
    json(query, name)
}

fn options(query: &Query) -> Result<Options, Failure> {
    let args: BTreeMap<String, Option<String>> = json(query, "buildargs")?;
    // One without a value sets nothing: the client's environment is not known here.
    let (set, unset): (BTreeMap<_, _>, BTreeMap<_, _>) =
        args.into_iter().partition(|(_, value)| value.is_some());
    let set = set
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let limits: Vec<WireUlimit> = json(query, "ulimits")?;
    let limits = limits.into_iter().map(|limit| Ulimit {
        name: limit.name,
        soft: limit.soft,
        hard: limit.hard,
    });
    let stages = query.all("nocachefilter").filter(|stage| !stage.is_empty());
    let stages: std::collections::BTreeSet<String> = stages.map(str::to_owned).collect();
    let mut contexts = BTreeMap::new();
    for (name, text) in pairs(query, "contexts")? {
        let context =
            Context::parse(&text).map_err(|error| Failure::bad_request(error.to_string()))?;
        contexts.insert(name, context);
    }
    let text = |name: &str| query.get(name).filter(|text| !text.is_empty());
    let mut options = Options {
        target: text("target").map(str::to_owned),
        args: set.collect(),
        unset: unset.into_keys().collect(),
        labels: pairs(query, "labels")?,
        contexts,
        no_cache: match (query.flag("nocache"), stages.is_empty()) {
            (true, _) => NoCache::Always,
            (false, false) => NoCache::Stages(stages),
            (false, true) => NoCache::Never,
        },
        pull: match query.flag("pull") {
            true => Pull::Always,
            false => Pull::Default,
        },
        network: network(query).0,
        hosts: hosts(query)?,
        shm_size: query.number("shmsize")?.unwrap_or(0),
        ulimits: limits.collect(),
        cgroup_parent: text("cgroupparent").unwrap_or_default().to_owned(),
        resources: resources(query)?,
        ..Options::default()
    };
    if let Some(name) = options.args.get("BUILDKIT_SANDBOX_HOSTNAME") {
        options.hostname.clone_from(name);
    }
    Ok(options)
}

/// What commands reach, and which network it is if not one that every machine has.
fn network(query: &Query) -> (Network, Option<NetworkMode>) {
    match NetworkMode::parse(query.get("networkmode").unwrap_or_default()) {
        NetworkMode::Default => (Network::Sandbox, None),
        NetworkMode::None => (Network::None, None),
        NetworkMode::Host => (Network::Host, None),
        other => (Network::Sandbox, Some(other)),
    }
}

fn hosts(query: &Query) -> Result<Vec<(String, String)>, Failure> {
    let lines = query.all("extrahosts").flat_map(|all| all.split(','));
    let lines = lines.filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let pair = line.split_once(['=', ':']);
        let (name, address) = pair
            .ok_or_else(|| Failure::bad_request(format!("bad format for add-host: \"{line}\"")))?;
        Ok((name.to_owned(), address.trim_matches(['[', ']']).to_owned()))
    };
    lines.map(pair).collect()
}

fn resources(query: &Query) -> Result<Option<Resources>, Failure> {
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let resources = Resources {
        memory: query.number("memory")?.unwrap_or(0),
        memory_swap: query.number("memswap")?.unwrap_or(0),
        cpu_shares: query.number("cpushares")?.unwrap_or(0),
        cpu_period: query.number("cpuperiod")?.unwrap_or(0),
        cpu_quota: query.number("cpuquota")?.unwrap_or(0),
        cpus: text("cpusetcpus"),
        memory_nodes: text("cpusetmems"),
    };
    Ok((resources != Resources::default()).then_some(resources))
}

fn secrets(call: &Call) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let Some(header) = call.request.headers().get(SECRETS) else {
        return Ok(BTreeMap::new());
    };
    let wrong = || {
        Failure::new(
            ErrorKind::Invalid,
            "invalid X-Brig-Secrets header: JSON in base64 is expected",
        )
    };
    let text = STANDARD.decode(header.as_bytes()).map_err(|_| wrong())?;
    let all: BTreeMap<String, String> = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let decoded = all.into_iter().map(|(id, text)| {
        let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
        Ok((id, bytes))
    });
    decoded.collect()
}

/// The stages that can be built, for `--call=targets`.
pub(super) fn targets(file: &Dockerfile) -> serde_json::Value {
    let last = file.stages.len().saturating_sub(1);
    let stages = file.stages.iter().enumerate().map(|(index, stage)| {
        let description = stage.comments.first();
        serde_json::json!({
            "name": stage.name,
            "base": stage.base,
            "default": index == last,
            "description": description,
        })
    });
    serde_json::Value::Array(stages.collect())
}
