//! What a vertex has made: layers of the store, or a directory of the client's.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{Archive, Layers, Storage};
use sys::dir::{Dir, Kind as FileKind};
use sys::mount::{Attributes, Change, Propagation};
use sys::ns::Namespaces;
use sys::overlay::Overlay;
use types::Mount;

use super::tree::{self, Filter};
use super::{Failure, Time, Tree};

/// Files that stay as long as this or a clone of it lives.
#[derive(Debug, Clone)]
pub struct Files {
    pub(super) store: Storage,
    /// A directory to mount on, where the kernel wants one.
    pub(super) place: PathBuf,
    pub(super) kind: Kind,
    /// When they were made, as far as that is known: of what comes from the cache when that was filled.
    pub(super) made: Option<Time>,
}

/// Where they are.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Layers(Layers),
    Tree(Arc<Tree>),
    /// Files of a tree upon others, if there are any.
    Upon(Arc<Tree>, Option<Box<Kind>>),
}

impl Kind {
    /// Directories in overlayfs's form, the uppermost first.
    fn dirs(&self) -> Vec<PathBuf> {
        match self {
            Self::Layers(layers) => layers.dirs(),
            Self::Tree(tree) => vec![tree.path.clone()],
            Self::Upon(tree, below) => {
                let mut dirs = vec![tree.path.clone()];
                dirs.extend(below.iter().flat_map(|below| below.dirs()));
                dirs
            }
        }
    }
}

impl Files {
    /// Their layers; none of files that are not in the store.
    pub fn layers(&self) -> Option<&Layers> {
        match &self.kind {
            Kind::Layers(layers) => Some(layers),
            Kind::Tree(_) | Kind::Upon(..) => None,
        }
    }

    /// Directories in overlayfs's form, the uppermost first.
    pub(super) fn dirs(&self) -> Vec<PathBuf> {
        self.kind.dirs()
    }

    /// What mounts them read-only.
    pub fn mount(&self) -> Mount {
        self.store.mount_dirs(self.dirs())
    }

    /// Calls `work` with their root, mounted for it alone.
    ///
    /// # Errors
    /// What `work` returns, and when they cannot be mounted.
    pub fn with_root<T: Send>(
        &self,
        work: impl FnOnce(&Dir) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        with_mounts(&[self.mount()], &self.place, |roots| work(&roots[0]))
    }

    /// Writes all of them as a tar archive.
    ///
    /// # Errors
    /// When something cannot be read, or the archive not be written.
    pub fn tar(&self, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        tar(&[(String::new(), Some(self))], out)
    }

    /// Paths of all that is no directory, from the root on.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn paths(&self) -> Result<Vec<String>, Failure> {
        self.with_root(|root| {
            let mut paths = Vec::new();
            tree::walk(root, &Filter::default(), &mut |found| {
                if found.status.kind != FileKind::Directory {
                    paths.push(found.path.to_owned());
                }
                Ok(())
            })?;
            Ok(paths)
        })
    }
}

/// Writes files as one tar archive: each below a directory of a name, or of none.
///
/// # Errors
/// When something cannot be read, or the archive not be written.
pub fn tar(
    trees: &[(String, Option<&Files>)],
    out: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let mut archive = Archive::default();
    for (name, files) in trees {
        let Some(files) = files else { continue };
        let (archive, out) = (&mut archive, &mut *out);
        files.with_root(|root| Ok(archive.add(root, name, out)?))?;
    }
    Ok(archive.end(out)?)
}

/// Calls `work` with the roots of mounts that nobody else sees.
pub(super) fn with_mounts<T: Send>(
    mounts: &[Mount],
    place: &Path,
    work: impl FnOnce(&[Dir]) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let failed = |error: sys::Error| Failure::internal(format!("cannot mount the files: {error}"));
    if sys::overlay::can_be_detached() {
        let mut held = Vec::new();
        let mut roots = Vec::new();
        for mount in mounts {
            let (root, mounted) = detached(mount).map_err(failed)?;
            roots.push(root);
            held.push(mounted);
        }
        return work(&roots);
    }
    std::thread::scope(|scope| {
        // A thread of its own: a mount namespace cannot be left behind by one that is used again.
        let thread = scope.spawn(|| {
            leave().map_err(failed)?;
            let roots: sys::Result<Vec<Dir>> =
                mounts.iter().map(|mount| attached(mount, place)).collect();
            work(&roots.map_err(failed)?)
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn leave() -> sys::Result<()> {
    sys::ns::unshare(Namespaces::MOUNT)?;
    let untied = Change {
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    sys::mount::change_fd(Dir::open(Path::new("/"))?, untied, true)
}

type Held = Option<sys::mount::Mounted>;

fn detached(mount: &Mount) -> sys::Result<(Dir, Held)> {
    if mount.kind == "bind" {
        return Ok((Dir::open(&mount.source)?, None));
    }
    let mounted = overlay(mount).mount()?;
    let root = Dir::open_at(&mounted)?;
    Ok((root, Some(mounted)))
}

fn attached(mount: &Mount, place: &Path) -> sys::Result<Dir> {
    if mount.kind == "bind" {
        return Dir::open(&mount.source);
    }
    overlay(mount).mount_at(place)?;
    Dir::open(place)
}

fn overlay(mount: &Mount) -> Overlay {
    let read_only = mount.options.iter().any(|option| option == "ro");
    let options = mount.options.iter().filter(|option| *option != "ro");
    let parameter = |option: &String| match option.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (option.clone(), None),
    };
    Overlay {
        lower: mount.lower.clone(),
        parameters: options.map(parameter).collect(),
        attributes: if read_only {
            Attributes::READ_ONLY
        } else {
            Attributes::empty()
        },
    }
}
