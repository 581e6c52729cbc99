//! overlayfs with any number of layers.
#![allow(
    unsafe_code,
    reason = "mount(2) with data has no safe wrapper that takes any bytes"
)]

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::error::{Errno, Error, Result, check};
use crate::fd;
use crate::mount::{Attributes, Context, Mounted};

/// What an overlay is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Read-only directories, the uppermost first.
    pub lower: Vec<PathBuf>,
    /// Other parameters, `upperdir` and `workdir` among them.
    pub parameters: Vec<(String, Option<String>)>,
    /// Of the mount.
    pub attributes: Attributes,
}

/// fsconfig(2) takes values of at most 255 bytes.
const MAX_VALUE: usize = 255;

/// Whether this kernel makes overlays detached, with the layers given one by one (Linux 6.5). Where
/// it does not, [`Overlay::mount_at`] is for a mount namespace of one's own.
pub fn can_be_detached() -> bool {
    kernel_version() >= (6, 5)
}

/// Major and minor version of the running kernel.
fn kernel_version() -> (u32, u32) {
    let name = rustix::system::uname();
    let mut numbers = name
        .release()
        .to_str()
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

impl Overlay {
    /// Mounts it, detached.
    pub fn mount(&self) -> Result<Mounted> {
        let context = Context::open("overlay")?;
        context.set("source", Some("overlay"))?;
        // Held until the mount is made: long paths are named through them.
        let mut open = Vec::new();
        for lower in &self.lower {
            let value = short_name(lower, &mut open)?;
            context.set("lowerdir+", Some(&value))?;
        }
        for (name, value) in &self.parameters {
            let value = match value {
                Some(value) if value.len() > MAX_VALUE => {
                    Some(short_name(Path::new(value), &mut open)?)
                }
                value => value.clone(),
            };
            context.set(name, value.as_deref())?;
        }
        context.mount(self.attributes)
    }

    /// Mounts it on a directory, by mount(2). All parameters together must fit a page, so every
    /// layer is named by the number of a descriptor, which allows for about two hundred.
    pub fn mount_at(&self, target: &Path) -> Result<Mounted> {
        let mut open = Vec::new();
        let mut data = String::new();
        for lower in &self.lower {
            data.push_str(if data.is_empty() { "lowerdir=" } else { ":" });
            data.push_str(&name_by_fd(lower, &mut open)?);
        }
        for (name, value) in &self.parameters {
            data.push(',');
            data.push_str(name);
            match (name.as_str(), value) {
                ("upperdir" | "workdir", Some(path)) => {
                    data.push('=');
                    data.push_str(&name_by_fd(Path::new(path), &mut open)?);
                }
                // A label has commas of its own.
                (_, Some(value)) if value.contains(',') => {
                    data.push_str(&format!("=\"{value}\""));
                }
                (_, Some(value)) => {
                    data.push('=');
                    data.push_str(value);
                }
                (_, None) => {}
            }
        }
        mount(target, &data)?;
        let mounted = Mounted::from_fd(fd::open_path(target)?);
        let change = crate::mount::Change {
            set: self.attributes,
            ..crate::mount::Change::default()
        };
        if !change.is_empty() {
            mounted.change(change, false)?;
        }
        Ok(mounted)
    }
}

fn short_name(path: &Path, open: &mut Vec<OwnedFd>) -> Result<String> {
    match path.to_str() {
        Some(text) if text.len() <= MAX_VALUE => Ok(text.to_owned()),
        _ => name_by_fd(path, open),
    }
}

fn name_by_fd(path: &Path, open: &mut Vec<OwnedFd>) -> Result<String> {
    let dir = fd::open_path(path)?;
    let name = fd::proc_path(dir.as_fd()).to_string_lossy().into_owned();
    open.push(dir);
    Ok(name)
}

fn mount(target: &Path, data: &str) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let invalid = |_| Error {
        call: "mount",
        errno: Errno::INVAL,
    };
    let target = CString::new(target.as_os_str().as_bytes()).map_err(invalid)?;
    let data = CString::new(data).map_err(invalid)?;
    // SAFETY: all four pointers are NUL-terminated strings that live until the call returns;
    // overlayfs takes its data as a string (mount(2), legacy file system context).
    let answer = unsafe {
        libc::mount(
            c"overlay".as_ptr(),
            target.as_ptr(),
            c"overlay".as_ptr(),
            0,
            data.as_ptr().cast(),
        )
    };
    check("mount", answer.into()).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::mount::tests::with_own_mounts;

    /// Layers of which each holds its number, below a directory with a name this long.
    fn overlay(dir: &Path, layers: usize, long: usize) -> Overlay {
        let base = dir.join("x".repeat(long));
        let make = |name: &str| {
            let path = base.join(name);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let layer = |number: usize| {
            let path = make(&number.to_string());
            crate::file::replace_unsynced(&path.join("top"), number.to_string().as_bytes(), 0o644)
                .unwrap();
            path
        };
        let text = |path: PathBuf| Some(path.to_str().unwrap().to_owned());
        Overlay {
            lower: (0..layers).map(layer).collect(),
            parameters: vec![
                ("upperdir".to_owned(), text(make("upper"))),
                ("workdir".to_owned(), text(make("work"))),
            ],
            attributes: Attributes::NO_DEV,
        }
    }

    fn check(target: &Path, overlay: &Overlay) {
        assert_eq!(fs::read_to_string(target.join("top")).unwrap(), "0");
        fs::File::create(target.join("new")).unwrap();
        let upper = overlay.parameters[0].1.as_deref().unwrap();
        assert!(Path::new(upper).join("new").exists());
        let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let line = table
            .lines()
            .find(|l| l.contains(target.to_str().unwrap()))
            .unwrap();
        assert!(line.contains("nodev") && line.contains("overlay"), "{line}");
    }

    #[test]
    fn many_layers_with_long_names_are_mounted_detached() {
        with_own_mounts(|dir| {
            if !can_be_detached() {
                crate::error::skip("SKIP: this kernel mounts overlays only at a path");
                return;
            }
            for (layers, long) in [(100, 10), (3, 250)] {
                let dir = dir.join(long.to_string());
                let overlay = overlay(&dir, layers, long);
                let target = dir.join("target");
                fs::create_dir(&target).unwrap();
                let mounted = overlay.mount().unwrap();
                mounted.attach(fd::open_path(&target).unwrap()).unwrap();
                check(&target, &overlay);
            }
        });
    }

    #[test]
    fn many_layers_with_long_names_are_mounted_at_a_path() {
        with_own_mounts(|dir| {
            for (layers, long) in [(100, 10), (3, 250)] {
                let dir = dir.join(long.to_string());
                let overlay = overlay(&dir, layers, long);
                let target = dir.join("target");
                fs::create_dir(&target).unwrap();
                overlay.mount_at(&target).unwrap();
                check(&target, &overlay);
            }
        });
    }
}
