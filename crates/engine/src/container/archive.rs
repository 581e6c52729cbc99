//! `cp`: what is at a path of a container, as an archive, and back. All are blocking.

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use storage::Among;
use sys::Errno;
use sys::dir::{Dir, Kind, Status};
use types::ErrorKind;

use super::paths::{clean, find, follow, split};
use super::rootfs::{self, Access};
use crate::table::Container;
use crate::{Engine, Error, event, render, secret, users};

/// The longest passwd(5) that is read.
const LONGEST_PASSWD: usize = 16 << 20;

/// Why a path of a container cannot be had, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoFile {
    /// There is nothing.
    #[error("Could not find the file {path} in container {who}")]
    Missing {
        /// The path as it was given.
        path: String,
        /// The container as it was named.
        who: String,
    },
    /// It is no directory, and has to be one.
    #[error("extraction point is not a directory")]
    NoDirectory,
    /// Its root is not to be written to.
    #[error("container rootfs is marked read-only")]
    ReadOnlyRoot,
    /// What is mounted there is not.
    #[error("mounted volume is marked read-only")]
    ReadOnlyMount,
    /// It is a secret.
    #[error("{path} of container {who} is a secret: those are not copied")]
    Secret {
        /// The path as it was given.
        path: String,
        /// The container as it was named.
        who: String,
    },
    /// It is mounted only while the container runs.
    #[error(
        "what is mounted at {target} of container {who} can be reached only while it runs; start it first"
    )]
    OnlyRunning {
        /// Where it is mounted.
        target: String,
        /// The container as it was named.
        who: String,
    },
}

impl NoFile {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::NoDirectory => ErrorKind::Invalid,
            Self::ReadOnlyRoot | Self::ReadOnlyMount | Self::Secret { .. } => ErrorKind::Forbidden,
            Self::OnlyRunning { .. } => ErrorKind::Conflict,
        }
    }
}

/// What is at a path.
#[derive(Debug, Clone)]
pub struct PathStat {
    /// The last component of the path that was asked for.
    pub name: String,
    /// What it is; of a link, the link.
    pub status: Status,
    /// Where a link leads in the end.
    pub link_target: String,
}

/// How [`put`] treats what it writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct PutOptions {
    /// Whether a directory may be replaced by something else, and the other way round.
    pub replace: bool,
    /// Whether it becomes the container's user's.
    pub own: bool,
}

/// Looks at a path. A last link is followed only where a slash comes after it.
pub fn stat(engine: &Engine, who: &str, path: &str) -> Result<PathStat, Error> {
    let container = engine.find(who)?;
    rootfs::with(engine, &container, Access::Read, |root, _| {
        refuse_only_running(engine, &container, root, (who, path))?;
        look(root, who, path)
    })
}

/// Looks at a path, tells what is there, and then writes it as an archive.
pub fn get(
    engine: &Engine,
    who: &str,
    path: &str,
    called: Option<String>,
    tell: impl FnOnce(PathStat) -> Option<Box<dyn Write>> + Send,
) -> Result<(), Error> {
    let container = engine.find(who)?;
    rootfs::with(engine, &container, Access::Read, |root, ids| {
        refuse_only_running(engine, &container, root, (who, path))?;
        let stat = look(root, who, path)?;
        let secrets = refuse_secrets(&container, root, (who, path))?;
        let (plain, _) = clean(path);
        let plain = match stat.status.kind {
            // It was asked for as a directory.
            Kind::Directory => follow(root, &plain).map_err(missing(who, path))?,
            _ => plain,
        };
        let called = called.unwrap_or_else(|| match stat.name.as_str() {
            "/" => String::new(),
            name => name.to_owned(),
        });
        let Some(mut out) = tell(stat) else {
            return Ok(());
        };
        event::of_container(engine, &container, "archive-path");
        let (parent, name, _) = find(root, &plain).map_err(missing(who, path))?;
        Ok(storage::archive_without(
            &parent,
            name,
            called.as_bytes(),
            secrets,
            ids,
            &mut out,
        )?)
    })
}

/// Puts what an archive holds into a directory.
pub fn put(
    engine: &Engine,
    who: &str,
    path: &str,
    options: PutOptions,
    archive: &mut (dyn Read + Send),
) -> Result<(), Error> {
    engine.accepts_work()?;
    let container = engine.find(who)?;
    rootfs::with(engine, &container, Access::Write, |root, ids| {
        refuse_only_running(engine, &container, root, (who, path))?;
        let into = follow(root, &clean(path).0).map_err(missing(who, path))?;
        let (_, _, status) = find(root, &into).map_err(missing(who, path))?;
        if status.kind != Kind::Directory {
            return Err(NoFile::NoDirectory.into());
        }
        refuse_read_only(&container, &into)?;
        let among = Among {
            replace: options.replace,
            // Of one without a user, what is in the archive says whose it is.
            owner: match options.own && !container.fixed.resolved.user.is_empty() {
                true => Some(user(root, &container)?),
                false => None,
            },
            ids,
            stay: false,
        };
        let again = root.open_in_root(b".").map_err(missing(who, path))?;
        let stream = std::io::BufReader::with_capacity(128 << 10, archive);
        storage::unpack_among(
            again,
            into.trim_start_matches('/').as_bytes(),
            stream,
            among,
        )?;
        event::of_container(engine, &container, "extract-to-dir");
        Ok(())
    })
}

fn look(root: &Dir, who: &str, path: &str) -> Result<PathStat, Error> {
    let (plain, directory) = clean(path);
    let at = match directory {
        true => follow(root, &plain).map_err(missing(who, path))?,
        false => plain.clone(),
    };
    let (_, _, status) = find(root, &at).map_err(missing(who, path))?;
    if directory && status.kind != Kind::Directory {
        return Err(missing(who, path)(sys::Error {
            call: "fstatat",
            errno: Errno::NOTDIR,
        }));
    }
    let link_target = match status.kind {
        Kind::Symlink => follow(root, &at).map_err(missing(who, path))?,
        _ => String::new(),
    };
    let in_itself = path == "." || path.ends_with("/.") || path == "./" || path.ends_with("/./");
    let name = match (in_itself, plain.as_str()) {
        (true, _) => ".",
        (false, "/") => "/",
        (false, plain) => split(plain).1,
    };
    Ok(PathStat {
        name: name.to_owned(),
        status,
        link_target,
    })
}

/// Nothing is there, or the way there cannot be gone.
fn missing<'a>(who: &'a str, path: &'a str) -> impl Fn(sys::Error) -> Error + use<'a> {
    move |error| match error.errno {
        Errno::NOENT | Errno::NOTDIR => NoFile::Missing {
            path: path.to_owned(),
            who: who.to_owned(),
        }
        .into(),
        _ => Error::kernel(format!("look at {path} in container {who}"))(error),
    }
}

/// What its start alone mounts is nowhere before that.
fn refuse_only_running(
    engine: &Engine,
    container: &Container,
    root: &Dir,
    (who, path): (&str, &str),
) -> Result<(), Error> {
    let at = follow(root, &clean(path).0).map_err(missing(who, path))?;
    match rootfs::only_running(engine, container, &at)? {
        Some(target) => Err(NoFile::OnlyRunning {
            target,
            who: who.to_owned(),
        }
        .into()),
        None => Ok(()),
    }
}

/// The file system of its secrets, what is in which is not copied to anybody.
fn refuse_secrets(
    container: &Container,
    root: &Dir,
    (who, path): (&str, &str),
) -> Result<Option<u64>, Error> {
    let of = || format!("look for the secrets of container {}", container.id());
    let secrets = secret::place::file_system(container, root).map_err(Error::kernel(of()))?;
    let Some(secrets) = secrets else {
        return Ok(None);
    };
    let at = follow(root, &clean(path).0).map_err(missing(who, path))?;
    let (_, _, status) = find(root, &at).map_err(missing(who, path))?;
    match status.identity.0 == secrets && status.kind != Kind::Directory {
        true => Err(NoFile::Secret {
            path: path.to_owned(),
            who: who.to_owned(),
        }
        .into()),
        false => Ok(Some(secrets)),
    }
}

/// What the container itself may not write to, nobody writes to for it.
fn refuse_read_only(container: &Container, path: &str) -> Result<(), NoFile> {
    let inside = |target: &str| {
        let target = render::plain(target);
        path.strip_prefix(target.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            .then_some(target.len())
    };
    let resolved = container.resolved();
    let innermost = resolved
        .mounts
        .iter()
        .filter_map(|mount| Some((inside(&mount.target)?, mount.read_only)))
        .max_by_key(|(length, _)| *length);
    match innermost {
        Some((_, true)) => Err(NoFile::ReadOnlyMount),
        None if container.fixed.spec.read_only => Err(NoFile::ReadOnlyRoot),
        _ => Ok(()),
    }
}

/// The container's user and group.
fn user(root: &Dir, container: &Arc<Container>) -> Result<(u32, u32), Error> {
    let what = || format!("look up the user of container {}", container.id());
    let again = root.open_in_root(b".").map_err(Error::kernel(what()))?;
    let inside = sys::root::Root::new(again.into());
    let read = |path: &str| match inside.read(path, LONGEST_PASSWD) {
        Err(error) if users::means_absent(error.errno) => Ok(String::new()),
        answer => answer
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .map_err(Error::kernel(what())),
    };
    let (passwd, group) = (read(users::PASSWD)?, read(users::GROUP)?);
    let identity = users::identify(&container.fixed.resolved.user, &[], &passwd, &group)?;
    Ok((identity.uid, identity.gid))
}

/// Everything its image and its own layer hold, as an archive.
pub fn export(engine: &Engine, who: &str, out: &mut (dyn Write + Send)) -> Result<(), Error> {
    let container = engine.find(who)?;
    rootfs::with(engine, &container, Access::Bare, |root, _| {
        let here = std::ffi::OsStr::from_bytes(b".");
        let mut out = out;
        storage::archive(root, here, None, &mut out)?;
        event::of_container(engine, &container, "export");
        Ok(())
    })
}
