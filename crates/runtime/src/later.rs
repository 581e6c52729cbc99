//! Mounts that come and go while a container runs.
//!
//! What is mounted is cloned, or made, where the machine's paths lead. A copy of the caller then enters
//! the container's mount namespace (and with it the user namespace, if the container has one of its own:
//! it can do there no more than the container's root) and attaches it: at a place that the kernel looks up
//! inside the container's root, by a descriptor, so that no link and no rename leads anywhere else. The
//! copy executes nothing, is undumpable, and stays in the caller's pid namespace, where the container does
//! not see it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use oci_spec::runtime::Mount as SpecMount;
use sys::clone::{Child, Clone3};
use sys::ns::Namespaces;
use sys::root::Root;
use types::{ErrorKind, Mount, Signal};

use crate::container::Container;
use crate::error::{Doing, Error};
use crate::init::{Outcome, mounts, namespaces};
use crate::prepare;
use crate::protocol::{During, Failure, FromInit, InitEnd, MakerEnd, channel};

/// How long it may take. What is looked up may lie on a file system that the container itself serves.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a copy may take to end once it has said its last.
const FAREWELL: Duration = Duration::from_secs(1);

impl Container {
    /// Mounts one more: as the specification says it, or what is given in its place. The caller must
    /// have one thread. Waits for it, ten seconds at most.
    pub fn mount(&self, mount: &SpecMount, given: Option<&Mount>) -> Result<(), Error> {
        let label = self.mount_label.as_deref();
        let plan = prepare::later(self.bundle(), mount, (given, label))?;
        let nested = self.namespaces.contains(Namespaces::USER);
        let made =
            self.inside(|root, channel| mounts::later(root, &plan, channel, nested, label))?;
        let mut mounted = self.mounted();
        match made {
            Some(id) => mounted.insert(plain(mount.destination()), id),
            None => mounted.remove(&plain(mount.destination())),
        };
        Ok(())
    }

    /// Takes away what was mounted at a path inside, by [`Container::mount`] or at the start. One that is in
    /// use stays, and so does another one that is there by now, because the container has moved directories:
    /// that is [`ErrorKind::Conflict`], and where nothing is mounted [`ErrorKind::NotFound`].
    pub fn unmount(&self, target: &Path) -> Result<(), Error> {
        let known = self.mounted().get(&plain(target)).copied();
        self.inside(|root, _| unmount(root, target, known).map(|()| None))?;
        self.mounted().remove(&plain(target));
        Ok(())
    }

    /// Does something in the container's mount namespace; the number of what was mounted, if anything was.
    fn inside(
        &self,
        act: impl FnOnce(&Root, &InitEnd) -> Result<Option<u64>, Failure>,
    ) -> Result<Option<u64>, Error> {
        if !self.namespaces.contains(Namespaces::MOUNT) || self.directory.is_some() {
            let reason = "the container has no mount namespace of its own";
            return Err(Error::unsupported("mounts", reason));
        }
        let action = || "clone a process for the container's mounts".to_owned();
        let (maker, init) = channel()?;
        sys::process::set_dumpable(false).doing(action)?;
        // The copy must not hold the maker's end, or it would never see that the maker is gone.
        let mut maker = Some(maker);
        let slot = &mut maker;
        let child = Clone3::default().spawn(move || {
            drop(slot.take());
            let done = self.enter().and_then(|root| act(&root, &init));
            let said = match done {
                Ok(made) => FromInit::Mounted {
                    ids: made.into_iter().collect(),
                },
                Err(failure) => FromInit::Failed(failure),
            };
            i32::from(init.send(&said, &[]).is_err())
        });
        let child = child.doing(action)?;
        let heard = maker.map_or(Err(Error::Injected("clone")), |maker| hear(&maker));
        end(&child);
        heard
    }

    /// The container's root, from inside.
    fn enter(&self) -> Result<Root, Failure> {
        let kinds = self.namespaces & (Namespaces::MOUNT | Namespaces::USER);
        let action = || "enter the container's mounts".to_owned();
        sys::ns::enter_process(self.pidfd(), kinds).during(action)?;
        if kinds.contains(Namespaces::USER) {
            namespaces::take_root(&self.first)?;
        }
        Root::open(Path::new("/")).during(action)
    }
}

fn unmount(root: &Root, target: &Path, known: Option<u64>) -> Outcome {
    let shown = target.display();
    let action = || format!("unmount {shown}");
    let nothing = || {
        let message = format!("nothing is mounted on {shown} in the container");
        Failure::new(ErrorKind::NotFound, message)
    };
    let (parent, name) = split(target).ok_or_else(nothing)?;
    let parent = match root.open_dir(parent) {
        Err(error) if error.errno == sys::Errno::NOENT => return Err(nothing()),
        parent => parent.during(action)?,
    };
    refuse_kernels(&parent, target)?;
    let above = sys::mount::id(&parent).during(action)?;
    match sys::mount::id_at(&parent, name) {
        Ok(id) if id != above && known.is_some_and(|known| known != id) => {
            return Err(Failure::new(
                ErrorKind::Conflict,
                format!(
                    "what was mounted on {shown} is elsewhere in the container by now, and something else is there"
                ),
            ));
        }
        Ok(id) if id != above => {}
        Ok(_) => return Err(nothing()),
        Err(error) if error.errno == sys::Errno::NOENT => return Err(nothing()),
        Err(error) => return Err(error).during(action),
    }
    sys::process::change_dir_to(&parent).during(action)?;
    match sys::mount::unmount(Path::new(name)) {
        Err(error) if error.errno == sys::Errno::BUSY => Err(Failure::new(
            ErrorKind::Conflict,
            format!("{shown} is in use in the container, or something is mounted below it"),
        )),
        answer => answer.during(action),
    }
}

/// The container may have put a link to `/proc` where a directory was: what a start has laid over files of
/// the kernel, to hide them or to have them read only, stays.
fn refuse_kernels(parent: &OwnedFd, target: &Path) -> Outcome {
    let action = || format!("look at what {} is in", target.display());
    let magic = sys::root::file_system_magic(parent).during(action)?;
    if ![sys::root::PROC_MAGIC, sys::root::SYSFS_MAGIC].contains(&magic) {
        return Ok(());
    }
    let message = format!(
        "cannot unmount {}: it is inside /proc or /sys in the container",
        target.display()
    );
    Err(Failure::new(ErrorKind::Invalid, message))
}

/// A path without what does not change where it leads: the same place has one name.
pub(crate) fn plain(target: &Path) -> PathBuf {
    Path::new("/").join(target).components().collect()
}

/// The directory of a path, and its last name.
fn split(target: &Path) -> Option<(&Path, &OsStr)> {
    match target.components().next_back()? {
        Component::Normal(name) => Some((target.parent()?, name)),
        _ => None,
    }
}

fn hear(maker: &MakerEnd) -> Result<Option<u64>, Error> {
    let spoken = sys::event::readable_within(maker.as_fd(), PATIENCE);
    if !spoken.doing(|| "wait for the mount".to_owned())? {
        return Err(Error::Late {
            seconds: PATIENCE.as_secs(),
        });
    }
    match maker.receive()? {
        Some((FromInit::Mounted { ids }, _)) => Ok(ids.first().copied()),
        Some((FromInit::Failed(failure), _)) => Err(Error::Inside {
            kind: failure.kind,
            message: failure.message,
        }),
        Some((answer, _)) => Err(Error::Protocol {
            answer: format!("{answer:?}"),
        }),
        None => Err(Error::Ended {
            how: "in the midst of its mounts".to_owned(),
        }),
    }
}

/// It has nothing left to do, or too much; whoever reaps the caller's children may have been first.
fn end(child: &Child) {
    let _ = sys::pidfd::send_signal(&child.pidfd, Signal::KILL);
    if sys::pidfd::ended_within(&child.pidfd, FAREWELL).is_ok_and(|ended| ended) {
        let _ = sys::pidfd::wait(&child.pidfd);
    }
}
