//! `checkpoint`: a container's processes written to images.

use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime::{CgroupsMode, CheckpointRequest, Container, CriuOptions};

use super::ID;
use crate::Outcome;
use crate::failure::{Doing, Failure, OnFile};
use crate::global::Global;
use crate::listen;
use crate::state_file::{Place, Status};
use crate::words::{Flag, Verb, Words};

pub(super) const VERB: Verb = Verb {
    name: "checkpoint",
    usage: ID,
    about: "write a container's processes to images, by criu",
    flags: &[
        IMAGE_PATH,
        WORK_PATH,
        Flag::value(
            "parent-path",
            "earlier images, of which only the changes are written",
        ),
        Flag::switch("leave-running", "let the container go on"),
        TCP_ESTABLISHED,
        Flag::switch(
            "tcp-skip-in-flight",
            "leave out TCP connections that are being made",
        ),
        Flag::switch("skip-in-flight", "the same").hidden(),
        Flag::switch("link-remap", "link unlinked files again for the images"),
        EXT_UNIX_SK,
        SHELL_JOB,
        LAZY_PAGES,
        Flag::value(
            "status-fd",
            "descriptor told when lazy pages can be asked for",
        ),
        Flag::value("page-server", "ADDRESS:PORT to which memory is sent"),
        FILE_LOCKS,
        Flag::switch("pre-dump", "memory only, of a container that goes on"),
        CGROUPS_MODE,
        EMPTY_NS,
        AUTO_DEDUP,
    ],
    arguments: (1, 1),
    interleaved: true,
    enters: false,
    run: checkpoint,
};

pub(super) const IMAGE_PATH: Flag = Flag::value(
    "image-path",
    "directory for the images (default: ./checkpoint)",
);
pub(super) const WORK_PATH: Flag = Flag::value("work-path", "directory for logs and work files");
pub(super) const TCP_ESTABLISHED: Flag =
    Flag::switch("tcp-established", "take open TCP connections along");
pub(super) const EXT_UNIX_SK: Flag = Flag::switch("ext-unix-sk", "unix sockets may lead outside");
pub(super) const SHELL_JOB: Flag = Flag::switch("shell-job", "the terminal may be one outside");
pub(super) const LAZY_PAGES: Flag = Flag::switch("lazy-pages", "bring memory when it is used");
pub(super) const FILE_LOCKS: Flag = Flag::switch("file-locks", "take file locks along");
pub(super) const CGROUPS_MODE: Flag = Flag::value(
    "manage-cgroups-mode",
    "soft, full, strict or ignore (default: soft)",
);
pub(super) const EMPTY_NS: Flag =
    Flag::value("empty-ns", "namespace whose contents are left out: network");
pub(super) const AUTO_DEDUP: Flag = Flag::switch(
    "auto-dedup",
    "drop pages that are in a later image from the earlier",
);

/// How long killed processes may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

fn checkpoint(global: &Global, words: &Words) -> Outcome {
    let place = Place::of(&global.root, words.id()?)?;
    let record = place.read()?;
    if matches!(record.status(), Status::Created | Status::Stopped) {
        let reason = format!(
            "Container cannot be checkpointed in {} state",
            record.status().name()
        );
        return Err(Failure::Refused(reason));
    }
    let missing = || Failure::NoContainer(place.id.clone());
    let container = record.container()?.ok_or_else(missing)?;
    let images = images(words)?;
    let status = status_fd(words)?;
    let (pre_dump, leave_running) = (words.has("pre-dump"), words.has("leave-running"));
    let server = words.text("page-server")?.map(page_server).transpose()?;
    container.checkpoint(&CheckpointRequest {
        spec: &record.spec,
        bundle: &record.saved.bundle,
        images: &images,
        parent: parent(words, &images)?,
        pre_dump,
        leave_running,
        link_remap: words.has("link-remap"),
        skip_in_flight: words.has("tcp-skip-in-flight") || words.has("skip-in-flight"),
        page_server: server.as_ref().map(|(address, port)| (&**address, *port)),
        status_fd: status.as_ref().map(AsFd::as_fd),
        options: options(global, words)?,
    })?;
    if !pre_dump && !leave_running {
        sys::pidfd::ended_within(container.pidfd(), PATIENCE).doing("wait for the end")?;
        Container::remove_remains(&record.saved, &record.spec)?;
        place.release()?;
    }
    Ok(0)
}

/// The directory of the images.
pub(super) fn images(words: &Words) -> Result<PathBuf, Failure> {
    let path = words.path("image-path").unwrap_or(Path::new("checkpoint"));
    std::path::absolute(path).map_err(|error| Failure::Usage(format!("--image-path: {error}")))
}

/// The earlier images, by the path that leads to them from these.
fn parent<'a>(words: &'a Words, images: &Path) -> Result<Option<&'a str>, Failure> {
    let Some(parent) = words.text("parent-path")? else {
        return Ok(None);
    };
    let refused = |why: &str| Failure::Usage(format!("invalid --parent-path {parent:?}: {why}"));
    if Path::new(parent).is_absolute() {
        return Err(refused(
            "a path that is relative to --image-path is expected",
        ));
    }
    // These images' directory need not be there yet, and is no link then.
    let up = Path::new(parent).strip_prefix("..").ok();
    let there = match (up, images.parent()) {
        (Some(rest), Some(above)) if !images.exists() => above.join(rest),
        _ => images.join(parent),
    };
    match there.is_dir() {
        true => Ok(Some(parent)),
        false => Err(refused(
            "there is no such directory, seen from --image-path",
        )),
    }
}

/// What checkpoint and restore have in common.
pub(super) fn options<'a>(
    global: &'a Global,
    words: &'a Words,
) -> Result<CriuOptions<'a>, Failure> {
    Ok(CriuOptions {
        program: global.criu.as_deref(),
        work: words.path("work-path"),
        tcp_established: words.has("tcp-established"),
        external_unix_sockets: words.has("ext-unix-sk"),
        shell_job: words.has("shell-job"),
        file_locks: words.has("file-locks"),
        lazy_pages: words.has("lazy-pages"),
        auto_dedup: words.has("auto-dedup"),
        cgroups: cgroups_mode(words.text("manage-cgroups-mode")?)?,
        empty_namespaces: empty_namespaces(&words.all("empty-ns")?)?,
    })
}

fn cgroups_mode(word: Option<&str>) -> Result<CgroupsMode, Failure> {
    Ok(match word {
        None | Some("" | "soft") => CgroupsMode::Soft,
        Some("full") => CgroupsMode::Full,
        Some("strict") => CgroupsMode::Strict,
        Some("ignore") => CgroupsMode::Ignore,
        Some(other) => {
            let message = format!(
                "Invalid manage-cgroups-mode value: {other}: soft, full, strict or ignore is expected"
            );
            return Err(Failure::Usage(message));
        }
    })
}

fn empty_namespaces(names: &[&str]) -> Result<u32, Failure> {
    let mut all = sys::ns::Namespaces::empty();
    for name in names {
        match *name {
            "network" => all |= sys::ns::Namespaces::NETWORK,
            other => {
                let message = format!("namespace {other:?} is not supported: network is");
                return Err(Failure::Usage(message));
            }
        }
    }
    Ok(all.bits())
}

/// `ADDRESS:PORT`.
fn page_server(text: &str) -> Result<(String, u16), Failure> {
    let wrong = || {
        let message =
            format!("--page-server {text:?}: use --page-server ADDRESS:PORT to specify server");
        Failure::Usage(message)
    };
    let (address, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let bare = address.trim_matches(['[', ']']);
    let known = bare.is_empty()
        || bare.parse::<Ipv6Addr>().is_ok()
        || format!("{bare}:0").parse::<SocketAddr>().is_ok();
    match known {
        true => Ok((bare.to_owned(), port)),
        false => Err(wrong()),
    }
}

/// A descriptor that the caller has opened for this.
fn status_fd(words: &Words) -> Result<Option<OwnedFd>, Failure> {
    match words.number::<i32>("status-fd")? {
        None | Some(-1) => Ok(None),
        Some(number) => {
            listen::check_open("status-fd", number)?;
            let path = PathBuf::from(format!("/proc/self/fd/{number}"));
            sys::fd::open_write(&path).map(Some).on_file("open", &path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_an_address_and_a_port() {
        let read = |text| page_server(text).ok();
        assert_eq!(read("10.0.0.1:27"), Some(("10.0.0.1".to_owned(), 27)));
        assert_eq!(read("[::1]:27"), Some(("::1".to_owned(), 27)));
        assert_eq!(read(":27"), Some((String::new(), 27)));
        for wrong in ["27", "10.0.0.1:", "10.0.0.1:x", "10.0.0:99999", "a b:1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn modes_have_names() {
        assert_eq!(cgroups_mode(None).unwrap(), CgroupsMode::Soft);
        assert_eq!(cgroups_mode(Some("strict")).unwrap(), CgroupsMode::Strict);
        assert!(cgroups_mode(Some("hard")).is_err());
        assert_eq!(empty_namespaces(&["network"]).unwrap(), 0x4000_0000);
        assert!(empty_namespaces(&["pid"]).is_err());
    }
}
