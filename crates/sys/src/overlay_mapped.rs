//! overlayfs over layers whose ids are translated (Linux 5.19).
//!
//! An overlay takes its layers by paths in the mount namespace of whoever mounts it, and cannot be
//! translated itself. So each layer is cloned and translated here, detached, and a copy of this process
//! puts them side by side in a mount namespace of its own, mounts the overlay there, and hands it back.
//! The namespace goes with that copy, and the overlay keeps what it is made of.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::clone::Clone3;
use crate::error::{Errno, Error, Named, Result};
use crate::mount::{self, Attributes, Change, Mounted, Propagation};
use crate::ns::Namespaces;
use crate::overlay::{self, Overlay};
use crate::root::Root;
use crate::socket::{self, Kind};
use crate::{fd, pidfd, process};

/// Where the container's own layer is, among the others.
const OWN: &str = "own";
/// Where the overlay is for a moment.
const WHOLE: &str = "whole";

/// An overlay and the user namespace that translates the ids of its layers.
#[derive(Debug)]
pub struct Mapped<'a> {
    /// What is mounted. `upperdir` and `workdir` are in one directory, which is root's.
    pub overlay: &'a Overlay,
    /// The part of it that is wanted: a path in it; none is all.
    pub part: Option<&'a Path>,
    /// Whose ids its files are to have.
    pub namespace: BorrowedFd<'a>,
    /// A directory in which nobody else mounts anything now. Nothing becomes of it.
    pub place: &'a Path,
}

impl Mapped<'_> {
    /// Mounts it, detached. The caller must have one thread, as for [`Clone3::spawn`].
    ///
    /// EINVAL of `mount_setattr` means that the file system of a layer does not translate ids.
    pub fn mount(&self) -> Result<Mounted> {
        let layers = self.layers()?;
        let (ours, its) = socket::pair(Kind::Messages)?;
        let clone = Clone3 {
            namespaces: Namespaces::MOUNT,
            ..Clone3::default()
        };
        let mut ends = Some((ours, its));
        let child = clone.spawn(|| {
            let Some((ours, its)) = ends.take() else {
                return 1;
            };
            drop(ours);
            i32::from(tell(&its, self.assemble(&layers)).is_err())
        })?;
        let Some((ours, its)) = ends else {
            return Err(GONE);
        };
        drop(its);
        let heard = hear(&ours);
        pidfd::wait(&child.pidfd)?;
        heard.map(Mounted::from_fd)
    }

    /// The layers, translated, with their names; the own one last.
    fn layers(&self) -> Result<Vec<(String, Mounted)>> {
        let translated = |path: &Path| {
            let layer = mount::bind(path, false)?;
            layer.map_ids(self.namespace, false)?;
            Ok(layer)
        };
        let mut all = Vec::new();
        for (number, lower) in self.overlay.lower.iter().enumerate() {
            all.push((number.to_string(), translated(lower)?));
        }
        if let Some((dir, _)) = self.own("upperdir")? {
            all.push((OWN.to_owned(), translated(dir)?));
        }
        Ok(all)
    }

    /// The directory that a parameter's is in, and its name there.
    fn own(&self, name: &str) -> Result<Option<(&Path, &OsStr)>> {
        let mut all = self.overlay.parameters.iter();
        let Some((_, Some(path))) = all.find(|(known, _)| known == name) else {
            return Ok(None);
        };
        let path = Path::new(path);
        let parts = path.parent().zip(path.file_name());
        parts.map(Some).ok_or(Error {
            call: "open_tree",
            errno: Errno::INVAL,
        })
    }

    /// In the copy.
    fn assemble(&self, layers: &[(String, Mounted)]) -> Result<Mounted> {
        let private = Change {
            propagation: Some(Propagation::Private),
            ..Change::default()
        };
        mount::change_fd(fd::open_path(Path::new("/"))?, private, true)?;
        let memory = mount::file_system("tmpfs", Some("layers"), &[], Attributes::empty())?;
        memory.attach(fd::open_path(self.place)?)?;
        let place = Root::open(self.place)?;
        for (name, layer) in layers {
            layer.attach(place.make_dirs(name)?)?;
        }
        let overlay = self.moved()?;
        // What overlayfs makes for itself it makes as whoever mounts it, who has to be one of those that
        // the layers know: their root.
        let own = layers.last().filter(|(name, _)| name == OWN);
        match own {
            None => self.mounted(&place, &overlay),
            Some((_, layer)) => {
                let root = rustix::fs::fstat(layer.as_fd()).named("fstat")?;
                process::making_files_as(root.st_uid, root.st_gid, || {
                    self.mounted(&place, &overlay)
                })?
            }
        }
    }

    fn mounted(&self, place: &Root, overlay: &Overlay) -> Result<Mounted> {
        let whole = place.make_dirs(WHOLE)?;
        if overlay::can_be_detached() {
            let mounted = overlay.mount()?;
            if self.part.is_none() {
                return Ok(mounted);
            }
            mounted.attach(whole)?;
        } else {
            overlay.mount_at(&self.place.join(WHOLE))?;
        }
        let whole = Root::open(&self.place.join(WHOLE))?;
        let part = self.part.unwrap_or(Path::new("."));
        mount::bind_fd(whole.open_beneath(part)?, false)
    }

    /// The overlay of the layers where they are now.
    fn moved(&self) -> Result<Overlay> {
        let here = |name: &str| self.place.join(name);
        let mut overlay = self.overlay.clone();
        for (number, lower) in overlay.lower.iter_mut().enumerate() {
            *lower = here(&number.to_string());
        }
        for (name, value) in &mut overlay.parameters {
            if matches!(name.as_str(), "upperdir" | "workdir") {
                let own = self.own(name)?.map(|(_, own)| here(OWN).join(own));
                *value = own.map(text).transpose()?;
            }
        }
        Ok(overlay)
    }
}

fn text(path: PathBuf) -> Result<String> {
    path.into_os_string().into_string().map_err(|_| Error {
        call: "fsconfig",
        errno: Errno::INVAL,
    })
}

/// The copy has ended without a word.
const GONE: Error = Error {
    call: "clone3",
    errno: Errno::SRCH,
};

/// The calls that fail where it is assembled.
const CALLS: [&str; 8] = [
    "mount",
    "fsconfig",
    "fsmount",
    "move_mount",
    "mount_setattr",
    "open_tree",
    "openat2",
    "fsopen",
];

/// One descriptor, or the number of an error and that of the call.
fn tell(line: &OwnedFd, made: Result<Mounted>) -> Result<()> {
    match made {
        Ok(mounted) => socket::send(line, b"mounted", &[mounted.as_fd()]),
        Err(error) => {
            let call = CALLS.iter().position(|call| *call == error.call);
            let call = u8::try_from(call.unwrap_or_default()).unwrap_or_default();
            let mut told = vec![call];
            told.extend(error.errno.0.to_ne_bytes());
            socket::send(line, &told, &[])
        }
    }
}

fn hear(line: &OwnedFd) -> Result<OwnedFd> {
    let mut message = socket::receive(line)?.ok_or(GONE)?;
    if let Some(mounted) = message.fds.pop() {
        return Ok(mounted);
    }
    let [call, errno @ ..] = message.bytes.as_slice() else {
        return Err(GONE);
    };
    let errno = <[u8; 4]>::try_from(errno).map_err(|_| GONE)?;
    Err(Error {
        call: CALLS.get(usize::from(*call)).unwrap_or(&CALLS[0]),
        errno: Errno(i32::from_ne_bytes(errno)),
    })
}
