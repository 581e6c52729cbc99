//! Method and path to operation. Every operation of Docker's API is listed: what this version does
//! not do is answered as such, and only what nobody knows is "not found".

use hyper::Method;
use percent_encoding::percent_decode_str;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Ping,
    Version,
    Info,
    ContainerList,
    ContainerCreate,
    ContainerInspect,
    ContainerTop,
    ContainerLogs,
    ContainerResize,
    ContainerStart,
    ContainerStop,
    ContainerRestart,
    ContainerKill,
    ContainerAttach,
    ContainerAttachWs,
    ContainerWait,
    ContainerRemove,
    ContainerRename,
    ContainerPause,
    ContainerUnpause,
    ContainerPrune,
    ContainerArchiveStat,
    ContainerArchiveGet,
    ContainerArchivePut,
    ContainerExport,
    ContainerChanges,
    ContainerCommit,
    Build,
    BuildCancel,
    BuildPrune,
    /// Brig's own, as the four that follow.
    CacheList,
    CacheExport,
    CacheImport,
    CacheLimit,
    CacheRemove,
    ExecCreate,
    ExecStart,
    ExecResize,
    ExecInspect,
    ImageList,
    ImageCreate,
    ImageLoad,
    ImageSave,
    ImageSaveOne,
    ImageInspect,
    ImageTag,
    ImageRemove,
    DiskUsage,
    Events,
    ImageHistory,
    ImageAttestations,
    ImagePush,
    ImagePrune,
    ImageSearch,
    Auth,
    Distribution,
    /// Brig's own: the manifest that a registry has under a reference.
    Manifest,
    /// Brig's own: gives a registry a manifest.
    ManifestPut,
    /// Brig's own: an image from one repository of a registry to another one.
    ManifestCopy,
    /// Brig's own, as the five that follow.
    SystemCheck,
    SystemUpgrade,
    SystemUpgradeState,
    MountList,
    ImageMount,
    ImageUnmount,
    VolumeList,
    VolumeCreate,
    VolumeInspect,
    VolumeRemove,
    ContainerStats,
    ContainerUpdate,
    VolumePrune,
    /// Brig's own, as the six that follow.
    VolumeExport,
    VolumeImport,
    VolumeClone,
    VolumeRename,
    VolumeSnapshot,
    VolumeSnapshotRemove,
    VolumeRestore,
    NetworkList,
    NetworkInspect,
    NetworkCreate,
    NetworkRemove,
    NetworkConnect,
    NetworkDisconnect,
    NetworkPrune,
    NetworkExplain,
    /// Brig's own, as the four that follow.
    SecretList,
    SecretCreate,
    SecretUpdate,
    SecretInspect,
    SecretRemove,
    /// Everything that a manager of a swarm does.
    Swarm,
    /// What would make this a node of one.
    SwarmJoin,
    SwarmLeave,
    /// Of a cluster's volumes.
    VolumeUpdate,
    PluginList,
    /// Whatever is done with a plugin that is there.
    Plugin,
    /// What would bring one.
    PluginInstall,
    /// BuildKit's calls.
    Grpc,
    /// What a client answers while it builds.
    Session,
    Options,
    /// Docker has it, this version does not.
    Unsupported,
}

use Operation as Op;

/// A pattern: `{}` is one segment, `{*}` one or more, as images' names are. Of two that match the
/// earlier one counts.
const ROUTES: &[(&str, &str, Operation)] = &[
    ("GET", "/_ping", Op::Ping),
    ("HEAD", "/_ping", Op::Ping),
    ("GET", "/version", Op::Version),
    ("GET", "/info", Op::Info),
    ("GET", "/containers/json", Op::ContainerList),
    ("POST", "/containers/create", Op::ContainerCreate),
    ("GET", "/containers/{*}/json", Op::ContainerInspect),
    ("GET", "/containers/{}/top", Op::ContainerTop),
    ("GET", "/containers/{}/logs", Op::ContainerLogs),
    ("POST", "/containers/{}/resize", Op::ContainerResize),
    ("POST", "/containers/{}/start", Op::ContainerStart),
    ("POST", "/containers/{}/stop", Op::ContainerStop),
    ("POST", "/containers/{}/restart", Op::ContainerRestart),
    ("POST", "/containers/{}/kill", Op::ContainerKill),
    ("POST", "/containers/{}/attach", Op::ContainerAttach),
    ("POST", "/containers/{}/wait", Op::ContainerWait),
    ("DELETE", "/containers/{*}", Op::ContainerRemove),
    ("POST", "/containers/{}/exec", Op::ExecCreate),
    ("POST", "/exec/{}/start", Op::ExecStart),
    ("POST", "/exec/{}/resize", Op::ExecResize),
    ("GET", "/exec/{}/json", Op::ExecInspect),
    ("GET", "/images/json", Op::ImageList),
    ("POST", "/images/create", Op::ImageCreate),
    ("POST", "/images/load", Op::ImageLoad),
    ("GET", "/images/get", Op::ImageSave),
    ("GET", "/images/search", Op::ImageSearch),
    ("POST", "/images/prune", Op::ImagePrune),
    ("GET", "/images/{*}/get", Op::ImageSaveOne),
    ("GET", "/images/{*}/json", Op::ImageInspect),
    ("POST", "/images/{*}/tag", Op::ImageTag),
    ("DELETE", "/images/{*}", Op::ImageRemove),
    ("GET", "/images/{*}/history", Op::ImageHistory),
    ("GET", "/images/{*}/attestations", Op::ImageAttestations),
    ("POST", "/images/{*}/push", Op::ImagePush),
    ("GET", "/containers/{}/changes", Op::ContainerChanges),
    ("GET", "/containers/{}/export", Op::ContainerExport),
    ("GET", "/containers/{}/stats", Op::ContainerStats),
    ("GET", "/containers/{}/attach/ws", Op::ContainerAttachWs),
    ("GET", "/containers/{}/archive", Op::ContainerArchiveGet),
    ("HEAD", "/containers/{}/archive", Op::ContainerArchiveStat),
    ("PUT", "/containers/{}/archive", Op::ContainerArchivePut),
    ("GET", "/containers/{}/checkpoints", Op::Unsupported),
    ("POST", "/containers/{}/checkpoints", Op::Unsupported),
    ("DELETE", "/containers/{}/checkpoints/{}", Op::Unsupported),
    ("POST", "/containers/{}/update", Op::ContainerUpdate),
    ("POST", "/containers/{}/rename", Op::ContainerRename),
    ("POST", "/containers/{}/pause", Op::ContainerPause),
    ("POST", "/containers/{}/unpause", Op::ContainerUnpause),
    ("POST", "/containers/prune", Op::ContainerPrune),
    ("POST", "/commit", Op::ContainerCommit),
    ("POST", "/build", Op::Build),
    ("POST", "/build/prune", Op::BuildPrune),
    ("POST", "/build/cancel", Op::BuildCancel),
    ("GET", "/brig/build/caches", Op::CacheList),
    ("DELETE", "/brig/build/caches", Op::CacheRemove),
    ("GET", "/brig/build/caches/archive", Op::CacheExport),
    ("POST", "/brig/build/caches/archive", Op::CacheImport),
    ("POST", "/brig/build/caches/limit", Op::CacheLimit),
    ("POST", "/session", Op::Session),
    ("POST", "/grpc", Op::Grpc),
    ("POST", "/auth", Op::Auth),
    ("GET", "/events", Op::Events),
    ("GET", "/system/df", Op::DiskUsage),
    ("GET", "/distribution/{*}/json", Op::Distribution),
    ("GET", "/brig/manifests/{*}", Op::Manifest),
    ("PUT", "/brig/manifests/{*}", Op::ManifestPut),
    ("POST", "/brig/manifests/{*}", Op::ManifestCopy),
    ("POST", "/brig/system/check", Op::SystemCheck),
    ("POST", "/brig/system/upgrade", Op::SystemUpgrade),
    ("GET", "/brig/system/upgrade", Op::SystemUpgradeState),
    ("GET", "/brig/mounts", Op::MountList),
    ("POST", "/brig/mounts/{*}", Op::ImageMount),
    ("DELETE", "/brig/mounts/{*}", Op::ImageUnmount),
    ("GET", "/networks", Op::NetworkList),
    ("GET", "/networks/{}", Op::NetworkInspect),
    ("DELETE", "/networks/{}", Op::NetworkRemove),
    ("POST", "/networks/create", Op::NetworkCreate),
    ("POST", "/networks/prune", Op::NetworkPrune),
    ("GET", "/brig/networks/explain", Op::NetworkExplain),
    ("POST", "/networks/{}/connect", Op::NetworkConnect),
    ("POST", "/networks/{}/disconnect", Op::NetworkDisconnect),
    ("GET", "/volumes", Op::VolumeList),
    ("POST", "/volumes/create", Op::VolumeCreate),
    ("POST", "/volumes/prune", Op::VolumePrune),
    ("GET", "/volumes/{*}", Op::VolumeInspect),
    ("PUT", "/volumes/{*}", Op::VolumeUpdate),
    ("DELETE", "/volumes/{*}", Op::VolumeRemove),
    ("GET", "/brig/volumes/{}/archive", Op::VolumeExport),
    ("POST", "/brig/volumes/{}/archive", Op::VolumeImport),
    ("POST", "/brig/volumes/{}/clone", Op::VolumeClone),
    ("POST", "/brig/volumes/{}/rename", Op::VolumeRename),
    ("POST", "/brig/volumes/{}/snapshots", Op::VolumeSnapshot),
    (
        "DELETE",
        "/brig/volumes/{}/snapshots",
        Op::VolumeSnapshotRemove,
    ),
    ("POST", "/brig/volumes/{}/restore", Op::VolumeRestore),
    ("GET", "/brig/secrets", Op::SecretList),
    ("POST", "/brig/secrets", Op::SecretCreate),
    ("POST", "/brig/secrets/{}/update", Op::SecretUpdate),
    ("GET", "/brig/secrets/{}", Op::SecretInspect),
    ("DELETE", "/brig/secrets/{}", Op::SecretRemove),
    ("GET", "/plugins", Op::PluginList),
    ("GET", "/plugins/privileges", Op::PluginInstall),
    ("POST", "/plugins/pull", Op::PluginInstall),
    ("POST", "/plugins/create", Op::PluginInstall),
    ("GET", "/plugins/{*}/json", Op::Plugin),
    ("DELETE", "/plugins/{*}", Op::Plugin),
    ("POST", "/plugins/{*}/enable", Op::Plugin),
    ("POST", "/plugins/{*}/disable", Op::Plugin),
    ("POST", "/plugins/{*}/upgrade", Op::Plugin),
    ("POST", "/plugins/{*}/push", Op::Plugin),
    ("POST", "/plugins/{*}/set", Op::Plugin),
    ("GET", "/swarm", Op::Swarm),
    ("POST", "/swarm/init", Op::SwarmJoin),
    ("POST", "/swarm/join", Op::SwarmJoin),
    ("POST", "/swarm/leave", Op::SwarmLeave),
    ("POST", "/swarm/update", Op::Swarm),
    ("GET", "/swarm/unlockkey", Op::Swarm),
    ("POST", "/swarm/unlock", Op::Swarm),
    ("GET", "/nodes", Op::Swarm),
    ("GET", "/nodes/{}", Op::Swarm),
    ("DELETE", "/nodes/{}", Op::Swarm),
    ("POST", "/nodes/{}/update", Op::Swarm),
    ("GET", "/services", Op::Swarm),
    ("POST", "/services/create", Op::Swarm),
    ("GET", "/services/{}", Op::Swarm),
    ("DELETE", "/services/{}", Op::Swarm),
    ("POST", "/services/{}/update", Op::Swarm),
    ("GET", "/services/{}/logs", Op::Swarm),
    ("GET", "/tasks", Op::Swarm),
    ("GET", "/tasks/{}", Op::Swarm),
    ("GET", "/tasks/{}/logs", Op::Swarm),
    ("GET", "/secrets", Op::Swarm),
    ("POST", "/secrets/create", Op::Swarm),
    ("GET", "/secrets/{}", Op::Swarm),
    ("DELETE", "/secrets/{}", Op::Swarm),
    ("POST", "/secrets/{}/update", Op::Swarm),
    ("GET", "/configs", Op::Swarm),
    ("POST", "/configs/create", Op::Swarm),
    ("GET", "/configs/{}", Op::Swarm),
    ("DELETE", "/configs/{}", Op::Swarm),
    ("POST", "/configs/{}/update", Op::Swarm),
];

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    /// With braces for what is named.
    pub(crate) pattern: &'static str,
    /// What stands for the pattern's braces.
    pub(crate) name: String,
    /// The version prefix without its `v`, as it was written.
    pub(crate) version: Option<String>,
}

/// Finds the operation; none is "page not found".
pub(crate) fn route(method: &Method, path: &str) -> Option<Route> {
    let segments: Option<Vec<String>> = path.strip_prefix('/')?.split('/').map(decode).collect();
    let segments = segments?;
    let (version, rest) = match segments.split_first() {
        Some((first, rest)) if is_version(first) => (Some(first[1..].to_owned()), rest),
        _ => (None, segments.as_slice()),
    };
    if *method == Method::OPTIONS {
        return Some(Route {
            operation: Op::Options,
            pattern: "*",
            name: String::new(),
            version,
        });
    }
    // `/networks/` is `/networks`, as with Docker.
    let rest = match rest {
        [first, last] if first == "networks" && last.is_empty() => &rest[..1],
        rest => rest,
    };
    ROUTES
        .iter()
        .filter(|(verb, _, _)| *verb == method.as_str())
        .find_map(|(_, pattern, operation)| {
            Some(Route {
                operation: *operation,
                pattern,
                name: matches(pattern, rest)?,
                version: version.clone(),
            })
        })
}

/// `v1.44`
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    })
}

/// None if it is no text: nothing here has such a name.
fn decode(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!text.contains('\0')).then(|| text.into_owned())
}

/// What the pattern's first braces stand for, if the pattern matches.
fn matches(pattern: &str, segments: &[String]) -> Option<String> {
    let pattern: Vec<&str> = pattern[1..].split('/').collect();
    let Some(star) = pattern.iter().position(|p| *p == "{*}") else {
        let same = pattern.len() == segments.len()
            && pattern.iter().zip(segments).all(|(p, s)| fits(p, s));
        let name = pattern.iter().position(|p| *p == "{}");
        return same.then(|| name.map_or_else(String::new, |i| segments[i].clone()));
    };
    let tail = pattern.len() - star - 1;
    if segments.len() < pattern.len() {
        return None;
    }
    let (before, rest) = segments.split_at(star);
    let (name, after) = rest.split_at(rest.len() - tail);
    let fits_all = |patterns: &[&str], segments: &[String]| {
        patterns.iter().zip(segments).all(|(p, s)| fits(p, s))
    };
    let same = fits_all(&pattern[..star], before) && fits_all(&pattern[star + 1..], after);
    let name = name.join("/");
    (same && !name.is_empty()).then_some(name)
}

fn fits(pattern: &str, segment: &str) -> bool {
    match pattern {
        "{}" => !segment.is_empty(),
        word => word == segment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(method: &str, path: &str) -> String {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        match route(&method, path) {
            None => "-".to_owned(),
            Some(route) => format!(
                "{:?} {} {}",
                route.operation,
                route.name,
                route.version.as_deref().unwrap_or("-")
            ),
        }
    }

    #[test]
    fn paths_find_their_operation() {
        let table = [
            ("GET", "/_ping", "Ping  -"),
            ("HEAD", "/_ping", "Ping  -"),
            ("GET", "/v1.44/_ping", "Ping  1.44"),
            ("GET", "/containers/json", "ContainerList  -"),
            ("GET", "/v1.24/containers/json", "ContainerList  1.24"),
            ("GET", "/v9/containers/json", "ContainerList  9"),
            ("GET", "/containers/json/json", "ContainerInspect json -"),
            ("GET", "/containers/web/json", "ContainerInspect web -"),
            (
                "GET",
                "/containers/web/db/json",
                "ContainerInspect web/db -",
            ),
            ("DELETE", "/containers/web", "ContainerRemove web -"),
            // A link.
            ("DELETE", "/containers/web/db", "ContainerRemove web/db -"),
            ("DELETE", "/containers//web/db", "ContainerRemove /web/db -"),
            ("POST", "/exec/ab/start", "ExecStart ab -"),
            ("GET", "/images/json", "ImageList  -"),
            ("GET", "/images/a/b/c:d/json", "ImageInspect a/b/c:d -"),
            ("GET", "/images/a%2Fb/json", "ImageInspect a/b -"),
            ("GET", "/images/json/json", "ImageInspect json -"),
            ("GET", "/images/get", "ImageSave  -"),
            ("GET", "/images/h:5/a/get", "ImageSaveOne h:5/a -"),
            ("POST", "/images/x/y/tag", "ImageTag x/y -"),
            (
                "DELETE",
                "/images/x/y@sha256:0",
                "ImageRemove x/y@sha256:0 -",
            ),
            ("GET", "/networks/", "NetworkList  -"),
            ("OPTIONS", "/anything/at/all", "Options  -"),
            ("POST", "/containers/json", "-"),
            ("PATCH", "/containers/json", "-"),
            ("GET", "/containers//json", "-"),
            ("GET", "/images//json", "-"),
            ("GET", "/", "-"),
            ("GET", "/v1.44", "-"),
            ("GET", "/vx/containers/json", "-"),
            ("GET", "containers/json", "-"),
            ("GET", "/containers/%ff/json", "-"),
            ("GET", "/containers/%00/json", "-"),
        ];
        for (method, path, expected) in table {
            assert_eq!(show(method, path), expected, "{method} {path}");
        }
    }

    /// The operations of Docker's API by name: each is known.
    #[test]
    fn every_operation_of_the_api_is_known() {
        let operations = include_str!("../../tests/fixtures/api-operations.txt");
        let mut known = 0;
        for line in operations.lines() {
            let (method, path) = line.split_once(' ').unwrap();
            let path = path.replace("{id}", "x").replace("{name}", "x");
            let path = format!("/v1.55{path}");
            assert_ne!(show(method, &path), "-", "{line}");
            known += 1;
        }
        assert_eq!(known, 108);
    }

    /// A method and a path whose names are all the same.
    fn nameless(method: &str, path: &str) -> String {
        let segments = path.split('/').map(|segment| match segment {
            name if name.starts_with('{') => "{}",
            word => word,
        });
        format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
    }

    /// What is no operation of Docker's API is in `docs/api.md`, and what is there is an operation.
    #[test]
    fn operations_of_our_own_are_written_down() {
        let dockers = include_str!("../../tests/fixtures/api-operations.txt").lines();
        let page = include_str!("../../../../docs/api.md").split('`').skip(1);
        let page = page.step_by(2).filter(|code| code.contains(" /"));
        let read = |line: &'static str| {
            let line = line.split('?').next().unwrap_or_default();
            let (method, path) = line.split_once(' ').unwrap();
            nameless(method, path)
        };
        let dockers: Vec<String> = dockers.map(read).collect();
        let page: Vec<String> = page.map(read).collect();
        let ours = ROUTES
            .iter()
            // Experiments of Docker's are refused.
            .filter(|(_, _, operation)| *operation != Op::Unsupported)
            .map(|(method, path, _)| nameless(method, path));
        let ours: Vec<String> = ours.filter(|route| !dockers.contains(route)).collect();
        let untold: Vec<_> = ours.iter().filter(|route| !page.contains(route)).collect();
        assert!(untold.is_empty(), "not in docs/api.md: {untold:?}");
        let unknown = |told: &&String| !ours.contains(told) && !dockers.contains(told);
        let unknown: Vec<_> = page.iter().filter(unknown).collect();
        assert!(unknown.is_empty(), "in docs/api.md only: {unknown:?}");
        assert!(ours.len() > 20, "{ours:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_path_panics(path in "[/a-z{}%.0-9*]{0,30}") {
            let _ = route(&Method::GET, &path);
        }
    }
}
