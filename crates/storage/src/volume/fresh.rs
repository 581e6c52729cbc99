//! A volume's directory that nothing names yet: whoever is killed before it has a row leaves what the
//! next open throws away.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sys::caps::{Capabilities, Without};
use sys::dir::Dir;

use super::copy::{self, CopiedTree, Failure};
use super::options::Backing;
use crate::error::Error;
use crate::paths::DATA;
use crate::store::Store;

/// Projects of volumes are numbered from here, each by its directory's number: away from those of
/// containers and of administrators.
const FIRST_PROJECT: u32 = 0x4256_0000;

/// The directory; thrown away unless it is kept.
#[derive(Debug)]
pub(crate) struct Fresh {
    store: Arc<Store>,
    pub(crate) number: u64,
    kept: bool,
    limited: bool,
}

impl Fresh {
    /// An empty one, which may grow to `size` bytes.
    pub(crate) fn make(store: &Arc<Store>, size: Option<u64>) -> Result<Self, Error> {
        let fresh = Self {
            number: store.next_volume(),
            store: Arc::clone(store),
            kept: false,
            limited: size.is_some(),
        };
        let path = store.paths.volume(fresh.number);
        let failed = |path| Error::file("create", path);
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o710).create(&path).map_err(failed(&path))?;
        let data = fresh.path();
        builder.create(&data).map_err(failed(&data))?;
        // Whatever the daemon's umask is.
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755))
            .map_err(Error::file("change the permissions of", &data))?;
        if let Some(bytes) = size {
            fresh.limit(bytes)?;
        }
        Ok(fresh)
    }

    /// Where its files are.
    pub(crate) fn path(&self) -> PathBuf {
        self.store.paths.volume(self.number).join(DATA)
    }

    /// Limits what it may take on disk.
    fn limit(&self, bytes: u64) -> Result<(), Error> {
        let path = self.path();
        let dir = Dir::open(&path).map_err(Error::file("open", &path))?;
        if !sys::quota::enforced(&dir) {
            return Err(Error::NoVolumeQuota(self.store.paths.root.clone()));
        }
        let project = project(self.number);
        sys::quota::set_limit(&dir, project, bytes)
            .and_then(|()| sys::quota::set_project(&dir, project))
            .map_err(Error::file("limit the size of", &path))
    }

    /// What it is given meanwhile by this thread is held to its limit: ext4 lets who has CAP_SYS_RESOURCE
    /// go beyond it.
    pub(crate) fn held(&self) -> Result<Option<Without>, Error> {
        match self.limited {
            true => held(&self.path()),
            false => Ok(None),
        }
    }

    /// Fills it, and waits until that would survive a power cut.
    pub(crate) fn fill(&self, from: &Dir) -> Result<CopiedTree, Error> {
        let path = self.path();
        let to = Dir::open(&path).map_err(Error::file("open", &path))?;
        let copied = {
            let _held = self.held()?;
            tree(from, &to)?
        };
        self.sync()?;
        Ok(copied)
    }

    /// Waits until everything in it would survive a power cut.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let path = self.path();
        let dir = Dir::open(&path).map_err(Error::file("open", &path))?;
        dir.sync_file_system().map_err(Error::file("write", &path))
    }

    /// A row names it now.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

/// What this thread writes to the volume at a path is held to its limit, if it has one.
pub(crate) fn held(path: &Path) -> Result<Option<Without>, Error> {
    let resource = Capabilities::named("SYS_RESOURCE");
    let held = resource.map(sys::caps::without).transpose();
    held.map_err(Error::file("hold to its size", path))
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.kept {
            discard(&self.store, self.number);
        }
    }
}

/// Throws away a directory that no row names any more.
pub(crate) fn discard(store: &Store, number: u64) {
    let path = store.paths.volume(number);
    if let Ok(dir) = Dir::open(&path.join(DATA)) {
        let project = project(number);
        if sys::quota::project(&dir).is_ok_and(|of| of == project) {
            // What stays counts for nobody: numbers are not given twice.
            let _ = sys::quota::set_limit(&dir, project, 0);
        }
    }
    // What stays is removed at the next open.
    let _ = store.trash.discard(&path);
}

fn project(number: u64) -> u32 {
    FIRST_PROJECT.wrapping_add(u32::try_from(number).unwrap_or(0))
}

/// Copies a tree into a directory of a volume.
pub(crate) fn tree(from: &Dir, to: &Dir) -> Result<CopiedTree, Error> {
    copy::tree(from, to).map_err(|Failure { path, source }| Error::Place {
        action: "copy",
        entry: format!("/{}", String::from_utf8_lossy(&path)),
        source,
    })
}

/// The files of a volume, mounted for nobody else where that is needed.
pub(crate) fn open(backing: &Backing, directory: &Path) -> Result<Dir, Error> {
    let mount = backing.mount(directory)?;
    let path = mount.source.clone();
    let failed = || Error::file("mount the volume's", &path);
    let unknown = |error: &sys::Error| error.call == "fsopen" && error.errno == sys::Errno::NODEV;
    if mount.kind == "bind" {
        return Dir::open(&path).map_err(failed());
    }
    let parameter = |option: &'_ String| match option.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (option.clone(), None),
    };
    let of_mount = [
        "ro", "rw", "nosuid", "nodev", "noexec", "noatime", "relatime",
    ];
    let options = mount
        .options
        .iter()
        .filter(|o| !of_mount.contains(&o.as_str()));
    let owned: Vec<_> = options.map(parameter).collect();
    let parameters: Vec<_> = owned
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect();
    let source = path.to_str();
    let none = sys::mount::Attributes::empty();
    let mounted = match sys::mount::file_system(&mount.kind, source, &parameters, none) {
        Err(error) if unknown(&error) => return Err(Error::NoFileSystem(mount.kind)),
        answer => answer.map_err(failed())?,
    };
    Dir::from(mounted.into_fd())
        .open_dir(std::ffi::OsStr::new("."))
        .map_err(failed())
}
