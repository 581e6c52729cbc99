//! commit.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use storage::{Commit, Error, Image, Record, RunConfig};
use sys::dir::{Dir, Node};
use types::{ContainerId, Digest, ErrorKind};

use crate::support::{Data, Tar, is_root};

const PLACES: [&str; 2] = ["/etc/hosts", "/proc"];
const OPAQUE: &str = "trusted.overlay.opaque";

/// A container of an image, whose files nothing is mounted on.
struct Made {
    data: Data,
    id: ContainerId,
    image: Image,
    upper: PathBuf,
    below: Dir,
}

fn made(tar: &[u8]) -> Made {
    let data = Data::new();
    let image = data.import(tar, "base").unwrap();
    let id = ContainerId::from_random([1; 32]);
    let record = Record {
        id: id.clone(),
        name: "web".to_owned(),
        image: image.id.clone(),
        body: "{}".to_owned(),
    };
    data.storage.create_container(&record, false).unwrap();
    let upper = data.storage.container_dir(&id).join("upper");
    let below = Dir::open(&data.top("base")).unwrap();
    Made {
        data,
        id,
        image,
        upper,
        below,
    }
}

impl Made {
    fn commit(&self, name: &str) -> Result<Image, Error> {
        self.commit_with(name, RunConfig::default(), &[])
    }

    fn commit_with(&self, name: &str, config: RunConfig, changes: &[&str]) -> Result<Image, Error> {
        let id: Digest = self.data.storage.commit(&Commit {
            container: self.id.clone(),
            below: &self.below,
            places: &PLACES,
            reference: Some(name.parse().unwrap()),
            author: "Ann".to_owned(),
            comment: "it works".to_owned(),
            created_by: "sh -c work".to_owned(),
            config,
            asked: None,
            changes: changes.iter().map(|change| (*change).to_owned()).collect(),
        })?;
        self.data.storage.image(&id.to_string())
    }

    /// A directory as overlayfs copies it up.
    fn copied_up(&self, path: &str, lower: &Path) {
        let to = self.upper.join(path);
        fs::create_dir(&to).unwrap();
        let of = fs::metadata(lower.join(path)).unwrap();
        fs::set_permissions(&to, of.permissions()).unwrap();
        fs::File::open(&to)
            .unwrap()
            .set_modified(of.modified().unwrap())
            .unwrap();
    }
}

/// All that is below a directory, sorted, with what kind of thing it is.
fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let status = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let kind = match status.mode() & 0o170_000 {
                0o040_000 => "dir",
                0o020_000 => "gone",
                0o120_000 => "link",
                _ => "file",
            };
            found.push(format!("{name} {kind}"));
            if kind == "dir" {
                open.push(path);
            }
        }
    }
    found.sort();
    found
}

fn base() -> Vec<u8> {
    Tar::new()
        .dir("etc/")
        .file("etc/motd", b"hello")
        .file("etc/old", b"old")
        .dir("srv/")
        .file("srv/page", b"page")
        .dir("var/")
        .dir("var/log/")
        .build()
}

#[test]
fn what_has_changed_is_one_layer_more() {
    if !is_root() {
        return;
    }
    let made = made(&base());
    let (upper, lower) = (&made.upper, made.data.top("base"));
    let dir = Dir::open(upper).unwrap();
    // Looked into only, and a place in it.
    made.copied_up("etc", &lower);
    fs::write(upper.join("etc/hosts"), b"").unwrap();
    fs::create_dir(upper.join("proc")).unwrap();
    made.copied_up("var", &lower);
    // New: a set-id program of two names, a link, an attribute.
    fs::create_dir(upper.join("bin")).unwrap();
    fs::write(upper.join("bin/su"), b"#!").unwrap();
    std::os::unix::fs::chown(upper.join("bin/su"), Some(7), Some(3_000_000)).unwrap();
    fs::set_permissions(upper.join("bin/su"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::hard_link(upper.join("bin/su"), upper.join("bin/sudo")).unwrap();
    symlink("su", upper.join("bin/link")).unwrap();
    let inside = Dir::open(&upper.join("bin")).unwrap();
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let key = OsStr::new("security.capability");
    sys::xattr::set(&inside, OsStr::new("su"), key, capability).unwrap();
    // Gone: a file, what never was, and all of a directory.
    let gone = Node::CharDevice(0, 0);
    let etc = Dir::open(&upper.join("etc")).unwrap();
    etc.make_node(OsStr::new("old"), gone).unwrap();
    dir.make_node(OsStr::new("never"), gone).unwrap();
    made.copied_up("srv", &lower);
    sys::xattr::set(&dir, OsStr::new("srv"), OsStr::new(OPAQUE), b"y").unwrap();
    fs::write(upper.join("srv/new"), b"new").unwrap();

    let image = made.commit("new").unwrap();
    assert_eq!(image.layers.len(), 2);
    assert_eq!(image.layers[0], made.image.layers[0]);
    let top = made.data.top("new");
    assert_eq!(
        tree(&top),
        [
            "bin dir",
            "bin/link link",
            "bin/su file",
            "bin/sudo file",
            "etc dir",
            "etc/old gone",
            "srv dir",
            "srv/new file"
        ]
    );
    let su = fs::metadata(top.join("bin/su")).unwrap();
    assert_eq!(
        (su.mode() & 0o7777, su.uid(), su.gid(), su.nlink()),
        (0o6755, 7, 3_000_000, 2)
    );
    let inside = Dir::open(&top.join("bin")).unwrap();
    let kept = sys::xattr::get(&inside, OsStr::new("su"), key).unwrap();
    assert_eq!(kept, capability);
    let top = Dir::open(&top).unwrap();
    let opaque = sys::xattr::get(&top, OsStr::new("srv"), OsStr::new(OPAQUE)).unwrap();
    assert_eq!(opaque, b"y");
    // The same changes are the same layer.
    let again = made.commit("again").unwrap();
    assert_eq!(again.layers, image.layers);
    made.data.assert_clean();
}

#[test]
fn a_configuration_says_how_it_came_to_be() {
    let made = made(&base());
    fs::write(made.upper.join("new"), b"new").unwrap();
    let config = RunConfig {
        cmd: Some(vec!["serve".to_owned()]),
        user: "www".to_owned(),
        ..RunConfig::default()
    };
    let changes = ["ENV A=1", "LABEL x=y\nEXPOSE 80"];
    let image = made.commit_with("new", config, &changes).unwrap();
    let run = image.config.config().as_ref().unwrap();
    assert_eq!(run.cmd().as_deref(), Some(&["serve".to_owned()][..]));
    assert_eq!(run.user().as_deref(), Some("www"));
    assert_eq!(run.env().as_deref(), Some(&["A=1".to_owned()][..]));
    assert_eq!(
        run.exposed_ports().as_deref(),
        Some(&["80/tcp".to_owned()][..])
    );
    assert_eq!(image.config.author().as_deref(), Some("Ann"));
    let history = image.config.history().clone().unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|step| {
            (
                step.created_by().clone(),
                step.comment().clone(),
                step.empty_layer(),
            )
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        told,
        [
            (None, some("Imported from -"), None),
            (some("sh -c work"), some("it works"), None)
        ]
    );
    // It is an image by itself: the other one may go.
    made.data
        .storage
        .remove_container(&made.id, storage::Durability::Process)
        .unwrap();
    made.data.storage.remove("base", false).unwrap();
    assert!(made.data.top("new").join("new").exists());
    let mut archive = Vec::new();
    let names = ["new".to_owned()];
    made.data.storage.save(&names, &mut archive).unwrap();
    let elsewhere = Data::new();
    let loaded = elsewhere.storage.load(&mut archive.as_slice()).unwrap();
    assert_eq!(loaded[0].id, image.id);
    made.data.assert_clean();
}

#[test]
fn who_has_changed_nothing_has_no_layer() {
    let made = made(&base());
    fs::create_dir(made.upper.join("etc")).unwrap();
    fs::write(made.upper.join("etc/hosts"), b"").unwrap();
    let image = made.commit("new").unwrap();
    assert_eq!(image.layers, made.image.layers);
    let history = image.config.history().clone().unwrap();
    assert_eq!(history[1].empty_layer(), Some(true));
    made.data.assert_clean();
}

#[test]
fn what_cannot_be_an_image_leaves_nothing() {
    let made = made(&base());
    let refused = |kind, text: &str, made: &Made, changes: &[&str]| {
        let error = made
            .commit_with("new", RunConfig::default(), changes)
            .unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
        made.data.assert_clean();
    };
    refused(
        ErrorKind::Invalid,
        "invalid change \"COPY a b\": \"COPY\" is not one of CMD, ENTRYPOINT, ENV, EXPOSE, \
         HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR",
        &made,
        &["COPY a b"],
    );
    fs::write(made.upper.join(".wh.x"), b"").unwrap();
    refused(
        ErrorKind::Invalid,
        "file .wh.x cannot be in an image: names that begin with \".wh.\" stand for what is gone; \
         rename it",
        &made,
        &[],
    );
    assert_eq!(made.data.storage.images().unwrap().len(), 1);
    let gone = ContainerId::from_random([2; 32]);
    let made = Made { id: gone, ..made };
    assert_eq!(made.commit("new").unwrap_err().kind(), ErrorKind::NotFound);
}
