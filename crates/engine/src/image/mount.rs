//! `image mount`: an image's files, read-only, in a directory below the run root. The directory is the
//! record: there is none after a reboot, as there is no mount.

use std::path::{Path, PathBuf};

use storage::Image;
use sys::mount::{Attributes, Change, Mounted};
use sys::overlay::Overlay;
use sys::root::Root;
use types::{Digest, Mount, Platform};

use crate::{Engine, Error};

/// Mounts an image, or finds where it is mounted.
pub fn mount(engine: &Engine, name: &str, platform: Option<&Platform>) -> Result<PathBuf, Error> {
    engine.accepts_work()?;
    let image = super::inspect_on(engine, name, platform)?;
    let place = place(engine, &image.id);
    if sys::mount::is_root(&place) {
        return Ok(place);
    }
    let what = || format!("mount image {name}");
    std::fs::create_dir_all(&place).map_err(Error::io(what()))?;
    let mount = engine.storage().mount_image(&image)?;
    match attach(&mount, &place) {
        Ok(()) => Ok(place),
        Err(error) => {
            // It is empty, and the failure itself is what matters.
            let _ = std::fs::remove_dir(&place);
            Err(Error::kernel(what())(error))
        }
    }
}

/// Takes the mount away.
pub fn unmount(engine: &Engine, name: &str) -> Result<(), Error> {
    let image = super::inspect(engine, name)?;
    let place = place(engine, &image.id);
    if !sys::mount::is_root(&place) {
        return Err(Error::NotMounted(name.to_owned()));
    }
    let what = || format!("unmount image {name}");
    sys::mount::detach(&place).map_err(Error::kernel(what()))?;
    std::fs::remove_dir(&place).map_err(Error::io(what()))
}

/// Every image that is mounted, and where.
pub fn mounted(engine: &Engine) -> Result<Vec<(Image, PathBuf)>, Error> {
    let images = engine.storage().images()?;
    let mounted = images.into_iter().filter_map(|image| {
        let place = place(engine, &image.id);
        sys::mount::is_root(&place).then_some((image, place))
    });
    Ok(mounted.collect())
}

/// Where this image is mounted, if it is.
pub(super) fn of(engine: &Engine, id: &Digest) -> Option<PathBuf> {
    Some(place(engine, id)).filter(|place| sys::mount::is_root(place))
}

/// An image's files for reading by this process: mounted for nobody else, and gone with the result.
pub(crate) fn open(engine: &Engine, image: &Image) -> Result<Root, Error> {
    let mount = engine.storage().mount_image(image)?;
    let what = || format!("read the image {}", image.id.short());
    if mount.kind == "bind" {
        return Root::open(&mount.source).map_err(Error::kernel(what()));
    }
    if sys::overlay::can_be_detached() {
        let mounted = overlay(&mount).mount().map_err(Error::kernel(what()))?;
        return Ok(Root::new(mounted.into_fd()));
    }
    // Older kernels mount it at a path only, where others see it for a moment.
    let name = types::ContainerId::from_random(crate::container::create::random()?);
    let place = engine.config().run_root.join("images").join(name.short());
    std::fs::create_dir_all(&place).map_err(Error::io(what()))?;
    let mounted = overlay(&mount).mount_at(&place);
    let gone = match &mounted {
        Ok(_) => sys::mount::detach(&place),
        Err(_) => Ok(()),
    };
    // It is empty by now, or the failure itself is what matters.
    let _ = std::fs::remove_dir(&place);
    let mounted = mounted.map_err(Error::kernel(what()))?;
    gone.map_err(Error::kernel(what()))?;
    Ok(Root::new(mounted.into_fd()))
}

fn place(engine: &Engine, id: &Digest) -> PathBuf {
    let name = id.to_string().replace(':', "-");
    engine.config().run_root.join("images").join(name)
}

fn attach(mount: &Mount, place: &Path) -> sys::Result<()> {
    let mounted = made(mount, place)?;
    let Some(mounted) = mounted else {
        return Ok(());
    };
    let target = sys::dir::Dir::open(place)?;
    mounted.attach(target)
}

/// The mount, detached; none where this kernel attaches it at once.
fn made(mount: &Mount, place: &Path) -> sys::Result<Option<Mounted>> {
    if mount.kind == "bind" {
        let mounted = sys::mount::bind(&mount.source, false)?;
        let change = Change {
            set: Attributes::READ_ONLY,
            ..Change::default()
        };
        mounted.change(change, false)?;
        return Ok(Some(mounted));
    }
    let overlay = overlay(mount);
    if sys::overlay::can_be_detached() {
        return overlay.mount().map(Some);
    }
    overlay.mount_at(place).map(|_| None)
}

fn overlay(mount: &Mount) -> Overlay {
    let parameters = mount.options.iter().filter(|option| *option != "ro");
    let parameter = |option: &String| match option.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (option.clone(), None),
    };
    Overlay {
        lower: mount.lower.clone(),
        parameters: parameters.map(parameter).collect(),
        attributes: Attributes::READ_ONLY,
    }
}
