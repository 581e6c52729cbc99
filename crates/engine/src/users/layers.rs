//! Files of an image read through its layers, without mounting them.
//!
//! Every start needs two small files; an overlay mounted for that would cost more than the rest of
//! the lookup. Each layer is asked by the kernel, links not followed; where a link is met, its
//! target is looked for through all layers again, as it may be in any of them.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use sys::Errno;
use sys::root::Root;
use types::Mount;

use crate::Error;

/// Longest file that is read.
const LONGEST: u64 = 4 << 20;

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// What one pass through the layers found.
enum Found {
    File(Vec<u8>),
    Nothing,
    /// A link on the way: the path it makes of this one.
    Link(PathBuf),
}

/// The text of a file of the root that `mounts` would make; empty if there is none.
pub(crate) fn read_in_layers(mounts: &[Mount], path: &str) -> Result<String, Error> {
    let layers = open_layers(mounts)?;
    let mut path = PathBuf::from(path);
    for _ in 0..MAX_LINKS {
        let failed = || format!("read /{} in the image", path.display());
        match pass(&layers, &path).map_err(Error::kernel(failed()))? {
            Found::File(bytes) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Found::Nothing => return Ok(String::new()),
            Found::Link(target) => path = target,
        }
    }
    Ok(String::new())
}

/// The directories of the root, the uppermost first.
fn open_layers(mounts: &[Mount]) -> Result<Vec<Root>, Error> {
    let Some(root) = mounts.iter().find(|mount| mount.target == Path::new("/")) else {
        return Ok(Vec::new());
    };
    let upper = root
        .options
        .iter()
        .find_map(|option| option.strip_prefix("upperdir="))
        .map(PathBuf::from);
    let bound = (root.kind == "bind").then(|| root.source.clone());
    let dirs = upper.into_iter().chain(bound).chain(root.lower.clone());
    dirs.map(|dir| {
        Root::open(&dir).map_err(Error::kernel(format!("open the layer {}", dir.display())))
    })
    .collect()
}

fn pass(layers: &[Root], path: &Path) -> sys::Result<Found> {
    for layer in layers {
        match layer.open_read_no_symlinks(path) {
            Ok(fd) => return Ok(content(File::from(fd))),
            Err(error) => match error.errno {
                Errno::NOENT if is_opaque(layer, path) => return Ok(Found::Nothing),
                Errno::NOENT => {}
                Errno::LOOP => return link(layer, path),
                // No file: a whiteout (character device 0:0) there or in the place of a directory
                // above, or whatever else an image puts there.
                Errno::INVAL | Errno::NOTDIR => return Ok(Found::Nothing),
                _ => return Err(error),
            },
        }
    }
    Ok(Found::Nothing)
}

/// What is absurdly long or cannot be read says nothing about users.
fn content(file: File) -> Found {
    if !file.metadata().is_ok_and(|m| m.len() <= LONGEST) {
        return Found::Nothing;
    }
    let mut bytes = Vec::new();
    match file.take(LONGEST).read_to_end(&mut bytes) {
        Ok(_) => Found::File(bytes),
        Err(_) => Found::Nothing,
    }
}

/// Whether a directory on the way hides those of the layers below.
fn is_opaque(layer: &Root, path: &Path) -> bool {
    path.ancestors().skip(1).any(|dir| {
        let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
            return false;
        };
        let key = "trusted.overlay.opaque".as_ref();
        layer
            .open_dir(parent)
            .and_then(|parent| sys::xattr::get(&parent, name, key))
            .is_ok_and(|value| value == b"y")
    })
}

/// Replaces the first link on the way by its target.
fn link(layer: &Root, path: &Path) -> sys::Result<Found> {
    let mut way = PathBuf::new();
    let mut rest = path.components();
    while let Some(component) = rest.next() {
        let dir = layer.open_dir(&way)?;
        if let Ok(target) = sys::root::read_link(&dir, component.as_os_str()) {
            let path = way.join(target).join(rest.as_path());
            return Ok(Found::Link(normal(&path)));
        }
        way.push(component);
    }
    Ok(Found::Nothing)
}

/// Without leading slash, `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Layers(tempfile::TempDir);

    impl Layers {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            sys::file::replace(&path, text.as_bytes(), 0o644).unwrap();
        }

        fn dir(&self, path: &str) -> PathBuf {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(&path).unwrap();
            path
        }

        fn read(&self) -> String {
            let mount = Mount {
                kind: "overlay".to_owned(),
                source: "overlay".into(),
                target: "/".into(),
                options: vec![format!("upperdir={}", self.dir("upper").display())],
                lower: vec![self.dir("middle"), self.dir("bottom")],
                subpath: None,
            };
            read_in_layers(&[mount], "etc/passwd").unwrap()
        }
    }

    #[test]
    fn the_uppermost_file_counts() {
        let layers = Layers::new();
        assert_eq!(layers.read(), "");
        layers.file("bottom/etc/passwd", "bottom");
        assert_eq!(layers.read(), "bottom");
        layers.file("middle/etc/passwd", "middle");
        assert_eq!(layers.read(), "middle");
        layers.file("upper/etc/passwd", "upper");
        assert_eq!(layers.read(), "upper");
    }

    #[test]
    fn links_are_followed_through_all_layers_and_never_out() {
        let layers = Layers::new();
        layers.file("bottom/usr/etc/real", "real");
        layers.dir("middle/usr/etc");
        symlink("../real", layers.dir("upper/usr/etc/sub").join("passwd")).unwrap();
        symlink("/usr/etc/sub", layers.dir("upper").join("etc")).unwrap();
        assert_eq!(layers.read(), "real");

        let layers = Layers::new();
        symlink("/etc/passwd", layers.dir("upper/etc").join("passwd")).unwrap();
        assert_eq!(layers.read(), "");
        let layers = Layers::new();
        symlink(
            "../../../../etc/hostname",
            layers.dir("upper/etc").join("passwd"),
        )
        .unwrap();
        assert_eq!(layers.read(), "");
    }

    #[test]
    fn what_was_removed_above_is_not_seen() {
        let layers = Layers::new();
        layers.file("bottom/etc/passwd", "bottom");
        let dir = sys::dir::Dir::open(&layers.dir("middle/etc")).unwrap();
        let whiteout = sys::root::Node {
            kind: sys::root::NodeKind::Character,
            major: 0,
            minor: 0,
            mode: 0,
            uid: 0,
            gid: 0,
        };
        match sys::root::make_node(&dir, "passwd".as_ref(), whiteout) {
            Ok(()) => assert_eq!(layers.read(), ""),
            Err(error) => eprintln!("SKIP: no whiteout can be made: {error}"),
        }
    }

    #[test]
    fn an_opaque_directory_hides_what_is_below() {
        let layers = Layers::new();
        layers.file("bottom/etc/passwd", "bottom");
        layers.dir("middle/etc");
        let parent = sys::fd::open_dir(&layers.dir("middle")).unwrap();
        let key = "trusted.overlay.opaque".as_ref();
        match sys::xattr::set(&parent, "etc".as_ref(), key, b"y") {
            Ok(()) => assert_eq!(layers.read(), ""),
            Err(error) => eprintln!("SKIP: no trusted attribute can be set: {error}"),
        }
    }
}
