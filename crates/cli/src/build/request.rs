//! What was typed, made into a request for a build and what is lent to it. The caller's environment and files
//! come in through [`Surroundings`], but for standard input, which is looked at when a word names it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use buildkit::control::{CacheOptions, CacheOptionsEntry, SolveRequest};

use super::call::Call;
use super::content;
use super::input::{self, Input};
use super::keys::Keys;
use super::lend::{self, Lent, Place, place};
use super::output::{self, Exports};
use super::progress::Mode;
use crate::args::build::BuildArgs;
use crate::error::CliError;
use crate::resolve::Surroundings;

/// A build that is about to be asked for.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The request; its names are still to be given.
    pub(crate) request: SolveRequest,
    /// What is lent.
    pub(crate) lent: Lent,
    /// What tells the directory of this build from others.
    pub(crate) shared_key: String,
    /// How it is shown.
    pub(crate) mode: Mode,
    /// The question that is asked instead of a build.
    pub(crate) call: Option<Call>,
    /// The Dockerfile's path as it was typed.
    pub(crate) file: String,
    /// Where the image's id is written to.
    pub(crate) iidfile: Option<String>,
    /// Where the result's facts are written to.
    pub(crate) metadata_file: Option<String>,
    /// Whether nothing but the image's id is printed.
    pub(crate) quiet: bool,
    /// Names for `/etc/hosts` that mean this machine.
    pub(crate) host_gateway: bool,
    /// What was typed and means nothing.
    pub(crate) warnings: Vec<String>,
}

fn invalid(sentence: impl Into<String>) -> CliError {
    CliError::Invalid(sentence.into())
}

/// Reads everything that was typed.
pub(crate) fn plan(args: &BuildArgs, around: &Surroundings<'_>) -> Result<Plan, CliError> {
    let builder = args
        .builder
        .clone()
        .or_else(|| (around.env)("BUILDX_BUILDER"));
    if let Some(name) = builder.filter(|name| !matches!(name.as_str(), "" | "default")) {
        return Err(invalid(format!(
            "no builder {name:?} found: there is one, \"default\""
        )));
    }
    names(args)?;
    let call = Call::read(args)?;
    let mut attributes = attributes(args, around)?;
    let mut lent = Lent::default();
    let shared_key = contexts(args, around, &mut attributes, &mut lent)?;
    for text in &args.secret {
        let (id, secret) = lend::secret(text, around.env)?;
        lent.secrets.insert(id, secret);
    }
    // Behind `=` commas stand between files.
    let agents = args.ssh.iter().flat_map(|text| match text.contains('=') {
        true => vec![text.clone()],
        false => lend::fields(text),
    });
    for text in agents {
        let (id, agent) = lend::agent(&text, around.env)?;
        let socket = match agent {
            lend::Agent::Socket(socket) => socket,
            lend::Agent::Keys(files) => {
                let keys = Keys::hold(&files)?;
                let socket = keys.socket();
                lent.keys.push(keys);
                socket
            }
        };
        lent.agents.insert(id, socket);
    }
    let Exports { exporters, outputs } = match &call {
        Some(_) => Exports::default(),
        None => output::exports(args)?,
    };
    lent.outputs = outputs;
    let cache = caches(args, &mut lent)?;
    if let Some(call) = &call {
        attributes.insert("requestid".to_owned(), call.request().to_owned());
    }
    let request = SolveRequest {
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: attributes,
        cache,
        entitlements: entitlements(args)?,
        exporters,
        ..SolveRequest::default()
    };
    Ok(Plan {
        request,
        lent,
        shared_key,
        mode: Mode::chosen(args, around)?,
        call,
        file: shown(args),
        iidfile: args.iidfile.clone(),
        metadata_file: args.metadata_file.clone(),
        quiet: args.quiet,
        host_gateway: args
            .add_host
            .iter()
            .any(|host| host.ends_with("host-gateway")),
        warnings: warnings(args),
    })
}

/// A name that cannot be given is told of before anything is built.
fn names(args: &BuildArgs) -> Result<(), CliError> {
    for name in &args.tag {
        let read: Result<types::ImageRef, _> = name.parse();
        read.map_err(|error| invalid(format!("invalid tag {name:?}: {error}")))?;
    }
    Ok(())
}

/// The Dockerfile as people know it.
fn shown(args: &BuildArgs) -> String {
    match args
        .file
        .as_deref()
        .filter(|file| !matches!(*file, "" | "-"))
    {
        Some(file) => file.to_owned(),
        None if args.names[0] == "-" || is_remote(&args.names[0]) => "Dockerfile".to_owned(),
        None => types::ignore::clean(&format!("{}/Dockerfile", args.names[0])),
    }
}

type Attributes = HashMap<String, String>;

/// What the frontend is told.
fn attributes(args: &BuildArgs, around: &Surroundings<'_>) -> Result<Attributes, CliError> {
    let mut all = Attributes::new();
    let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
    for text in &args.build_arg {
        let value = match text.split_once('=') {
            Some((name, value)) => Some((name, value.to_owned())),
            None => (around.env)(text).map(|value| (text.as_str(), value)),
        };
        if let Some((name, value)) = value {
            set(&format!("build-arg:{name}"), value);
        }
    }
    for text in &args.label {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        set(&format!("label:{name}"), value.to_owned());
    }
    if let Some(target) = args.target.as_ref().filter(|target| !target.is_empty()) {
        set("target", target.clone());
    }
    match (args.no_cache, args.no_cache_filter.is_empty()) {
        (true, false) => {
            return Err(invalid(
                "--no-cache and --no-cache-filter cannot currently be used together",
            ));
        }
        (true, true) => drop(set("no-cache", String::new())),
        (false, false) => drop(set("no-cache", args.no_cache_filter.join(","))),
        (false, true) => {}
    }
    if args.pull {
        set("image-resolve-mode", "pull".to_owned());
    }
    let platforms = platforms(args, around);
    if !platforms.is_empty() {
        set("platform", platforms);
    }
    if let Some(parent) = &args.cgroup_parent {
        set("cgroup-parent", parent.clone());
    }
    if let Some(size) = args.shm_size.filter(|size| *size > 0) {
        set("shm-size", size.to_string());
    }
    limits(args, &mut set)?;
    attestations(args, &mut set)?;
    if !all.contains_key("build-arg:SOURCE_DATE_EPOCH")
        && let Some(epoch) = (around.env)("SOURCE_DATE_EPOCH")
    {
        all.insert("build-arg:SOURCE_DATE_EPOCH".to_owned(), epoch);
    }
    Ok(all)
}

fn limits(
    args: &BuildArgs,
    set: &mut impl FnMut(&str, String) -> Option<String>,
) -> Result<(), CliError> {
    let limits = args.ulimit.iter();
    let limits: Vec<String> = limits
        .map(|limit| format!("{}={}:{}", limit.name, limit.soft, limit.hard))
        .collect();
    if !limits.is_empty() {
        set("ulimit", limits.join(","));
    }
    match args.network.as_str() {
        "" | "default" => {}
        mode @ ("host" | "none") => drop(set("force-network-mode", mode.to_owned())),
        other => {
            return Err(invalid(format!(
                "network mode {other:?} not supported by buildkit: default, none or host is expected"
            )));
        }
    }
    let hosts = args.add_host.iter().flat_map(|text| text.split(','));
    let hosts = hosts.filter(|host| !host.is_empty()).map(|host| {
        let pair = host.split_once('=').or_else(|| host.split_once(':'));
        let (name, address) = pair
            .filter(|(name, address)| !name.is_empty() && !address.is_empty())
            .ok_or_else(|| invalid(format!("invalid host {host}")))?;
        Ok(format!("{name}={}", address.trim_matches(['[', ']'])))
    });
    let hosts: Vec<String> = hosts.collect::<Result<_, CliError>>()?;
    if !hosts.is_empty() {
        set("add-hosts", hosts.join(","));
    }
    Ok(())
}

fn attestations(
    args: &BuildArgs,
    set: &mut impl FnMut(&str, String) -> Option<String>,
) -> Result<(), CliError> {
    let short = [("provenance", &args.provenance), ("sbom", &args.sbom)];
    let short = short.iter().filter_map(|(kind, value)| {
        let value = value.as_ref()?;
        Some(match crate::args::values::go_bool(value) {
            Ok(true) => format!("type={kind}"),
            Ok(false) => format!("type={kind},disabled=true"),
            Err(_) => format!("type={kind},{value}"),
        })
    });
    let all: Vec<String> = args.attest.iter().cloned().chain(short).collect();
    for text in all {
        let pairs = lend::pairs(&text)?;
        let value = |key: &str| {
            pairs
                .iter()
                .find(|(k, _)| k == key)
                .map(|(_, v)| v.as_str())
        };
        let Some(kind) = value("type") else {
            return Err(invalid(format!(
                "attestation type not specified in {text:?}"
            )));
        };
        if value("disabled") != Some("true") {
            set(&format!("attest:{kind}"), text.clone());
        }
    }
    Ok(())
}

fn platforms(args: &BuildArgs, around: &Surroundings<'_>) -> String {
    let typed = args.platform.iter().flat_map(|text| text.split(','));
    let typed: Vec<&str> = typed
        .map(str::trim)
        .filter(|text| !matches!(*text, "" | "local"))
        .collect();
    match typed.is_empty() {
        false => typed.join(","),
        true if !args.platform.is_empty() => String::new(),
        true => (around.env)("DOCKER_DEFAULT_PLATFORM").unwrap_or_default(),
    }
}

fn entitlements(args: &BuildArgs) -> Result<Vec<String>, CliError> {
    let mut all = Vec::new();
    if args.network == "host" {
        all.push("network.host".to_owned());
    }
    // The name of a device may have an option behind it.
    let several = |text: &String| match text.starts_with("device=") {
        true => vec![text.clone()],
        false => text.split(',').map(str::to_owned).collect(),
    };
    for text in args.allow.iter().flat_map(several) {
        match text.as_str() {
            "network.host" | "security.insecure" | "device" => all.push(text),
            device if device.starts_with("device=") => all.push(text),
            // What a build may read and write here is what was named on the command line.
            fs if fs == "fs" || fs.starts_with("fs.") || fs.starts_with("fs=") => {}
            other => {
                return Err(invalid(format!(
                    "invalid entitlement: {other}: network.host, security.insecure or device[=NAME] is expected"
                )));
            }
        }
    }
    Ok(all)
}

fn caches(args: &BuildArgs, lent: &mut Lent) -> Result<Option<CacheOptions>, CliError> {
    let mut read = |text: &String, key: &str| -> Result<Option<CacheOptionsEntry>, CliError> {
        if !text.contains('=') {
            return Ok(Some(CacheOptionsEntry {
                kind: "registry".to_owned(),
                attrs: HashMap::from([("ref".to_owned(), text.clone())]),
            }));
        }
        let mut attrs: HashMap<String, String> = lend::pairs(text)?.into_iter().collect();
        let kind = attrs
            .remove("type")
            .ok_or_else(|| invalid(format!("type required form> {text:?}")))?;
        if kind == "local" && !content::cache(&mut attrs, key, lent)? {
            return Ok(None);
        }
        Ok(Some(CacheOptionsEntry { kind, attrs }))
    };
    let imports = args.cache_from.iter();
    let imports = imports.filter_map(|text| read(text, "src").transpose());
    let imports: Vec<_> = imports.collect::<Result<_, _>>()?;
    let exports = args.cache_to.iter();
    let exports = exports.filter_map(|text| read(text, "dest").transpose());
    let exports: Vec<_> = exports.collect::<Result<_, _>>()?;
    let some = !imports.is_empty() || !exports.is_empty();
    Ok(some.then_some(CacheOptions { exports, imports }))
}

/// The context, the Dockerfile, and further contexts; answers what tells them from others'.
fn contexts(
    args: &BuildArgs,
    around: &Surroundings<'_>,
    attributes: &mut Attributes,
    lent: &mut Lent,
) -> Result<String, CliError> {
    let word = args.names[0].as_str();
    let file = args.file.as_deref().filter(|file| !file.is_empty());
    let shared_key = match word {
        "-" => standard_input(file, around, attributes, lent)?,
        remote if is_remote(remote) && !around.cwd.join(remote).is_dir() => {
            attributes.insert("context".to_owned(), remote.to_owned());
            match file {
                Some("-") => from_standard_input(attributes, lent)?,
                Some(name) => drop(attributes.insert("filename".to_owned(), name.to_owned())),
                None => {}
            }
            remote.to_owned()
        }
        path => {
            let directory = directory(around, path)?;
            dockerfile(&directory, file, around, attributes, lent)?;
            let key = directory.display().to_string();
            let context = Place::Directory(directory);
            lent.places.insert(place::CONTEXT.to_owned(), context);
            key
        }
    };
    for text in &args.build_context {
        named(text, around, attributes, lent)?;
    }
    Ok(shared_key)
}

fn directory(around: &Surroundings<'_>, path: &str) -> Result<PathBuf, CliError> {
    let full = around.cwd.join(path);
    let missing = || {
        invalid(format!(
            "unable to prepare context: path {path:?} not found"
        ))
    };
    let kind = std::fs::metadata(&full).map_err(|_| missing())?;
    match kind.is_dir() {
        true => Ok(full.components().collect()),
        false => Err(invalid(format!(
            "unable to prepare context: path {path:?} not found: it is no directory"
        ))),
    }
}

fn dockerfile(
    context: &Path,
    file: Option<&str>,
    around: &Surroundings<'_>,
    attributes: &mut Attributes,
    lent: &mut Lent,
) -> Result<(), CliError> {
    let path = match file {
        Some("-") => return from_standard_input(attributes, lent),
        Some(file) if file.starts_with("http://") || file.starts_with("https://") => {
            attributes.insert("filename".to_owned(), file.to_owned());
            // The daemon fetches it.
            lent.places
                .insert(place::DOCKERFILE.to_owned(), Place::Empty);
            return Ok(());
        }
        Some(file) => around.cwd.join(file),
        None => {
            let usual = context.join("Dockerfile");
            let small = context.join("dockerfile");
            if !usual.exists() && small.exists() {
                small
            } else {
                usual
            }
        }
    };
    let directory = path.parent().unwrap_or(context).to_owned();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    attributes.insert("filename".to_owned(), name.into_owned());
    if !directory.is_dir() {
        return Err(invalid(format!(
            "unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat {}: no such file or directory",
            directory.display()
        )));
    }
    let directory = Place::Directory(directory);
    lent.places.insert(place::DOCKERFILE.to_owned(), directory);
    Ok(())
}

/// The Dockerfile is on standard input, the context elsewhere.
fn from_standard_input(attributes: &mut Attributes, lent: &mut Lent) -> Result<(), CliError> {
    given(input::dockerfile()?, attributes, lent);
    Ok(())
}

fn given(bytes: Vec<u8>, attributes: &mut Attributes, lent: &mut Lent) {
    let name = "Dockerfile".to_owned();
    attributes.insert("filename".to_owned(), name.clone());
    let file = Place::File { name, bytes };
    lent.places.insert(place::DOCKERFILE.to_owned(), file);
}

/// The context is standard input.
fn standard_input(
    file: Option<&str>,
    around: &Surroundings<'_>,
    attributes: &mut Attributes,
    lent: &mut Lent,
) -> Result<String, CliError> {
    if file == Some("-") {
        return Err(invalid(
            "invalid argument: can't use stdin for both build context and dockerfile",
        ));
    }
    match input::look()? {
        Input::Dockerfile(bytes) => {
            if file.is_some() {
                return Err(invalid(
                    "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles",
                ));
            }
            given(bytes, attributes, lent);
            lent.places.insert(place::CONTEXT.to_owned(), Place::Empty);
        }
        Input::Archive(begin) => {
            let id = super::solve::name()?;
            let address = format!("http://buildkit-session/{id}");
            attributes.insert("context".to_owned(), address);
            if let Some(file) = file {
                attributes.insert("filename".to_owned(), file.to_owned());
            }
            lent.upload = Mutex::new(Some(begin));
        }
    }
    Ok(format!("{}:-", around.cwd.display()))
}

/// One `--build-context`.
fn named(
    text: &str,
    around: &Surroundings<'_>,
    attributes: &mut Attributes,
    lent: &mut Lent,
) -> Result<(), CliError> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(invalid(format!(
            "invalid context value: {text}, expected key=value"
        )));
    };
    let elsewhere = ["docker-image://", "docker-image:", "target:"];
    let key = format!("context:{name}");
    if let Some(layout) = value.strip_prefix("oci-layout://") {
        attributes.insert(key, content::layout(layout, &around.cwd, lent)?);
        return Ok(());
    }
    if is_remote(value) || elsewhere.iter().any(|scheme| value.starts_with(scheme)) {
        attributes.insert(key, value.to_owned());
        return Ok(());
    }
    let path = around.cwd.join(value);
    if !path.is_dir() {
        return Err(invalid(format!(
            "failed to get build context {name}: {value} is no directory, and no address of a repository, image or archive"
        )));
    }
    let local = match name {
        place::CONTEXT | place::DOCKERFILE => format!("_{name}"),
        name => name.to_owned(),
    };
    attributes.insert(key, format!("local:{local}"));
    lent.places.insert(local, Place::Directory(path));
    Ok(())
}

/// Whether a word is an address and no path.
fn is_remote(word: &str) -> bool {
    const SCHEMES: [&str; 6] = [
        "http://",
        "https://",
        "git://",
        "ssh://",
        "git@",
        "github.com/",
    ];
    SCHEMES.iter().any(|scheme| word.starts_with(scheme))
}

/// Flags that are taken for the sake of scripts.
fn warnings(args: &BuildArgs) -> Vec<String> {
    let given = BTreeMap::from([
        ("compress", args.compress),
        ("cpu-period", args.cpu_period.is_some()),
        ("cpu-quota", args.cpu_quota.is_some()),
        ("cpu-shares", args.cpu_shares.is_some()),
        ("cpuset-cpus", args.cpuset_cpus.is_some()),
        ("cpuset-mems", args.cpuset_mems.is_some()),
        (
            "isolation",
            args.isolation
                .as_deref()
                .is_some_and(|i| !matches!(i, "" | "default")),
        ),
        ("memory", args.memory.is_some()),
        ("memory-swap", args.memory_swap.is_some()),
        ("security-opt", !args.security_opt.is_empty()),
        ("squash", args.squash),
    ]);
    let given = given.into_iter().filter(|(_, given)| *given);
    given
        .map(|(name, _)| format!("WARNING: {name} flag is not implemented."))
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use clap::FromArgMatches as _;

    use super::*;
    use crate::args::{Parsed, parse};

    /// The flags of `brig build LINE .`
    pub(in crate::build) fn typed(line: &str) -> BuildArgs {
        let words = format!("build {line} .");
        let words = words.split_whitespace().map(str::to_owned).collect();
        match parse(&crate::commands::VERBS, words) {
            Ok(Parsed::Run(found)) => BuildArgs::from_arg_matches(&found.matches).unwrap(),
            _ => panic!("{line}"),
        }
    }

    fn told(line: &str) -> String {
        let shown = crate::resolve::tests::with(&[], |around| attributes(&typed(line), around));
        match shown {
            Err(error) => format!("{line}: {error}"),
            Ok(all) => {
                let all: BTreeMap<_, _> = all.into_iter().collect();
                format!("{line}: {all:?}")
            }
        }
    }

    #[test]
    fn the_frontend_is_told() {
        let lines = [
            "",
            "--build-arg a=b --build-arg HOME --build-arg none --label l --label m=n",
            "--target t --pull --no-cache --platform linux/amd64,linux/arm64",
            "--no-cache-filter a --no-cache-filter b --platform local",
            "--no-cache --no-cache-filter a",
            "--network host --shm-size 64m --ulimit nofile=1:2 --cgroup-parent /x",
            "--network web",
            "--add-host a:1.2.3.4 --add-host b=[::1],c:1.1.1.1",
            "--add-host a",
            "--provenance=mode=max --sbom=true --attest type=x,a=b",
            "--provenance=false --attest a=b",
        ];
        insta::assert_snapshot!(lines.map(told).join("\n"));
    }

    #[test]
    fn what_is_an_address() {
        for (word, yes) in [
            (".", false),
            ("https://h/x.git#main", true),
            ("git@h:x/y.git", true),
            ("github.com/a/b", true),
            ("./github.com", false),
        ] {
            assert_eq!(is_remote(word), yes, "{word}");
        }
    }
}
