//! A container's processes brought back from images.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{Mount, Spec};
use sys::mount::{Change, Propagation};
use sys::ns::Namespaces;
use sys::root::Root;

use super::criu::{Criu, Directories, FIRST_FD, Moment, Request};
use super::dump::{joined_key, joined_paths, root_of};
use super::outside::{Outside, is_bind, source_now};
use super::protobuf::Writer;
use super::{CgroupsMode, CriuOptions, NOTE};
use crate::cgroup::Group;
use crate::error::{Doing, Error};
use crate::hooks::{self, HookState};
use crate::{CgroupDriver, Container, Saved, SavedDirectory};

/// What [`restore`] needs.
#[derive(Debug)]
pub struct RestoreRequest<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The bundle.
    pub bundle: &'a Path,
    /// The configuration (config.json).
    pub spec: &'a Spec,
    /// The directory with the images.
    pub images: &'a Path,
    /// An empty directory that is the container's, for its root to be mounted on where only the
    /// caller sees it.
    pub root: &'a Path,
    /// Who makes the cgroup.
    pub cgroup_driver: CgroupDriver,
    /// The security module's profile to use instead of the one in the images, as TYPE:NAME.
    pub lsm_profile: Option<&'a str>,
    /// The security module's context of mounts to use instead.
    pub lsm_mount_context: Option<&'a str>,
    /// How it is done.
    pub options: CriuOptions<'a>,
}

/// A container that runs again.
#[derive(Debug)]
pub struct Restored {
    /// The container, whose first process is a child of the caller.
    pub container: Container,
    /// The master of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
}

/// The log's name.
const LOG: &str = "restore.log";

/// Brings a container back. The caller's own standard streams take the places of those that the
/// container had from outside. The caller stays in a mount namespace of its own, and must have one
/// thread. On failure nothing is left.
pub fn restore(request: &RestoreRequest<'_>) -> Result<Restored, Error> {
    let outside = read_note(request.images)?;
    let _root = MountedRoot::new(request)?;
    // Only now: CRIU mounts in the working directory, which has to be of its mount namespace.
    let directories = Directories::open(request.images, request.options.work, LOG)?;
    make_mount_points(request)?;
    let place = (request.id, request.cgroup_driver);
    let made = crate::cgroup::make(&crate::cgroup::detect()?, request.spec, place, false)?;
    // Until the container's processes are in the cgroup.
    let (group, _keeper) = (made.group, made.keeper);
    bring_back(request, &directories, &outside, &group).inspect_err(|_| {
        // The first error is the one that says why.
        let _ = group.destroy();
    })
}

fn bring_back(
    request: &RestoreRequest<'_>,
    directories: &Directories,
    outside: &Outside,
    group: &Group,
) -> Result<Restored, Error> {
    let joined = open_joined(request.spec)?;
    let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let mut fds = vec![input.as_fd(), output.as_fd(), error.as_fd()];
    fds.extend(joined.iter().map(|(fd, _)| fd.as_fd()));
    let options = options(request, directories, outside, group, &joined)?;
    let criu = Criu::start(request.options.program, &fds)?;
    let mut terminal = None;
    let pid = criu.serve(Request::Restore, &options, &directories.log, |moment| {
        at(request, moment, group, &mut terminal)
    });
    let Some(pid) = pid? else {
        let reason = "it names no process that it has restored".to_owned();
        return Err(Error::Criu { reason });
    };
    let process = sys::proc::process_ref(pid);
    let saved = Saved {
        id: request.id.to_owned(),
        bundle: request.bundle.to_owned(),
        process: process.doing(|| "read when the process started".to_owned())?,
        cgroup: group.files.path().to_owned(),
        directories: SavedDirectory::all(&group.files),
        unit: group.unit().map(str::to_owned),
        shared_root: None,
        namespaces: outside.namespaces | clocks_of(pid)?,
    };
    let container = Container::load(&saved, request.spec)?;
    container
        .map(|container| Restored {
            container,
            terminal,
        })
        .ok_or_else(|| Error::Ended {
            how: "right after its restoration".to_owned(),
        })
}

/// The flag of a time namespace if the process is in one of its own: CRIU makes one, so that clocks go
/// on from where they were.
fn clocks_of(pid: i32) -> Result<u32, Error> {
    let path = format!("/proc/{pid}/ns/time");
    let action = || "look at the clocks of the process".to_owned();
    let opened = match sys::ns::open(Path::new(&path)) {
        // A kernel without.
        Err(error) if error.errno == sys::Errno::NOENT => return Ok(0),
        answer => answer.doing(action)?,
    };
    let is_own = sys::ns::is_own(&opened, Namespaces::TIME).doing(action)?;
    Ok(if is_own { 0 } else { Namespaces::TIME.bits() })
}

fn at(
    request: &RestoreRequest<'_>,
    moment: Moment,
    group: &Group,
    terminal: &mut Option<OwnedFd>,
) -> Result<(), Error> {
    match moment.script.as_str() {
        "orphan-pts-master" => *terminal = moment.fd,
        "setup-namespaces" => {
            // Who is to leave cgroups alone does not put it into the container's. The others come from
            // it, and so come along.
            if let (CgroupsMode::Ignore, Some(pid)) = (request.options.cgroups, moment.pid) {
                let added = group.files.add(pid);
                added.map_err(|source| crate::cgroup::cannot("enter", source))?;
            }
            let state = HookState::new(request.spec, request.id, request.bundle);
            let state = state.json("creating", moment.pid);
            for (point, list) in hooks::of_maker(request.spec) {
                hooks::run(list, point, &state, (Some(request.bundle), &[]))?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The namespaces of the host that the container is in, with CRIU's names for them.
fn open_joined(spec: &Spec) -> Result<Vec<(OwnedFd, &'static str)>, Error> {
    joined_paths(spec)
        .map(|(path, name)| {
            let opened = sys::ns::open(path);
            let opened = opened.doing(|| format!("open namespace {}", path.display()))?;
            Ok((opened, joined_key(name)))
        })
        .collect()
}

fn options(
    request: &RestoreRequest<'_>,
    directories: &Directories,
    outside: &Outside,
    group: &Group,
    joined: &[(OwnedFd, &'static str)],
) -> Result<Writer, Error> {
    let mut options = Writer::default();
    let first = u64::from(FIRST_FD.unsigned_abs());
    let common = &request.options;
    common.write(directories, LOG, request.spec, &mut options);
    options
        .text(13, &request.root.to_string_lossy())
        .flag(26, true);
    let mut cgroup = Writer::default();
    cgroup.text(2, group.files.path());
    options.message(25, &cgroup);
    let mut inherit = |key: &str, fd: u64| {
        let mut one = Writer::default();
        one.text(1, key).number(2, fd);
        options.message(27, &one);
    };
    let mut seen = Vec::new();
    for (stream, fd) in outside.streams.iter().zip(first..) {
        if !stream.is_empty() && !seen.contains(&stream) {
            inherit(stream, fd);
            seen.push(stream);
        }
    }
    for ((_, key), fd) in joined.iter().zip(first + 3..) {
        inherit(key, fd);
    }
    let cgroups = group.files.directories();
    for mount in &outside.mounts {
        let source = source_now(mount, request.spec, request.bundle, &cgroups);
        let source = source.ok_or_else(|| {
            let target = &mount.target;
            let reason = format!("there is no source for {target}, which the images need");
            Error::invalid("mounts", reason)
        })?;
        options.text(37, &format!("mnt[{}]:{}", mount.target, source.display()));
    }
    if let Some(profile) = request.lsm_profile {
        options.text(53, profile);
    }
    if let Some(context) = request.lsm_mount_context {
        options.text(63, context);
    }
    Ok(options)
}

/// The root as CRIU wants it: a mount. It is one in a mount namespace of the caller's, and only for
/// as long as CRIU needs it, so that nobody takes what is in it for the directory's.
struct MountedRoot<'a>(&'a Path);

impl<'a> MountedRoot<'a> {
    fn new(request: &RestoreRequest<'a>) -> Result<Self, Error> {
        let root = root_of(request.spec, request.bundle)?;
        let action = || format!("mount {} for the restoration", root.display());
        sys::ns::unshare(Namespaces::MOUNT).doing(action)?;
        // Nothing is seen outside; but what is bound from there has to be tied to it as it was.
        let receiving = Change {
            propagation: Some(Propagation::Slave),
            ..Change::default()
        };
        sys::mount::change(Path::new("/"), receiving, true).doing(action)?;
        let mounted = sys::mount::bind(&root, true).doing(action)?;
        let target = sys::fd::open_path(request.root).doing(action)?;
        mounted.attach(target).doing(action)?;
        Ok(Self(request.root))
    }
}

impl Drop for MountedRoot<'_> {
    fn drop(&mut self) {
        // Whoever removes the directory finds out if this should have failed: a mount point cannot
        // be removed.
        let _ = sys::mount::detach(self.0);
    }
}

/// They are there from the first time, unless the bundle is another. What cannot be made may be
/// there all the same; if not, CRIU says so.
fn make_mount_points(request: &RestoreRequest<'_>) -> Result<(), Error> {
    let root = Root::open(request.root).doing(|| "open the root".to_owned())?;
    // CRIU puts the old root there for a moment.
    let _ = root.make_dirs("/tmp");
    let mounts = request.spec.mounts().as_deref().unwrap_or_default();
    let source = |mount: &Mount| Some(request.bundle.join(mount.source().as_deref()?));
    for mount in mounts {
        let target = mount.destination();
        let above = mounts.iter().filter(|other| {
            target != other.destination() && target.starts_with(other.destination())
        });
        let nearest = above.max_by_key(|other| other.destination().components().count());
        let is_file = source(mount).is_some_and(|source| source.is_file());
        let _ = match nearest {
            None => make_mount_point(&root, target, is_file),
            // In the source of a bind, which is the host's; other file systems are in the images.
            Some(bind) if is_bind(bind) => {
                let below = target.strip_prefix(bind.destination()).unwrap_or(target);
                let source = source(bind).and_then(|source| Root::open(&source).ok());
                source.map_or(Ok(()), |source| make_mount_point(&source, below, is_file))
            }
            Some(_) => Ok(()),
        };
    }
    Ok(())
}

fn make_mount_point(root: &Root, path: &Path, is_file: bool) -> sys::Result<()> {
    match is_file {
        true => root.make_file(path).map(drop),
        false => root.make_dirs(path).map(drop),
    }
}

fn read_note(images: &Path) -> Result<Outside, Error> {
    let path = images.join(NOTE);
    let text = sys::fd::open_read(&path)
        .and_then(|file| sys::fd::read_to_end(file, 16 << 20))
        .doing(|| format!("read {}, which a checkpoint leaves", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| Error::Criu {
        reason: format!("{} is malformed: {error}", path.display()),
    })
}
