//! What is damaged is found, and mended from what is not.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use storage::{Check, Checked, Descriptor, Remedy, Storage};
use types::{ContainerId, Platform};

use crate::pull::{Remote, digest, gzip, host, noise};
use crate::support::{Data, Tar, is_root, names, run};

fn check(storage: &Storage, repair: bool) -> Checked {
    let check = Check {
        repair,
        runs: &|_| false,
    };
    let mut last = 0;
    let checked = storage
        .check(&check, &mut |at| {
            assert!(at.done <= at.total);
            last = at.done;
        })
        .unwrap();
    assert_eq!(last + 1, checked.blobs + checked.layers);
    checked
}

fn told(checked: &Checked) -> Vec<Remedy> {
    checked
        .problems
        .iter()
        .map(|problem| problem.remedy)
        .collect()
}

struct Pulled {
    data: Data,
    remote: Remote,
    root: Descriptor,
    tars: [Vec<u8>; 2],
}

impl Pulled {
    fn new() -> Self {
        let data = Data::new();
        let mut remote = Remote::default();
        let tars = [
            Tar::new()
                .dir("d")
                .file("d/f", &noise(50_000, 1))
                .symlink("d/l", "f")
                .link("d/h", "d/f")
                .file(".wh.gone", b"")
                .build(),
            // One that cannot be told again from its files.
            Tar::new()
                .file("twice", b"one")
                .file("twice", b"second")
                .dir("e")
                .build(),
        ];
        let root = remote.image(
            &Platform::host().to_string(),
            &[(&tars[0], tars[0].clone()), (&tars[1], gzip(&tars[1], 6))],
        );
        remote.pull(&data.storage, &root, host(), "x").unwrap();
        Self {
            data,
            remote,
            root,
            tars,
        }
    }

    fn storage(&self) -> &Storage {
        &self.data.storage
    }

    fn layer(&self, i: usize) -> PathBuf {
        let id = ContainerId::from_random([8; 32]);
        let image = self.storage().image("x").unwrap();
        let snapshot = self.storage().prepare(&id, &image, true).unwrap();
        self.storage().discard(&id).unwrap();
        snapshot.mounts[0].lower[1 - i].clone()
    }

    fn blob(&self, bytes: &[u8]) -> PathBuf {
        self.data
            .root()
            .join("blobs/sha256")
            .join(digest(bytes).hex())
    }

    fn whole(&self) {
        let checked = check(self.storage(), false);
        assert_eq!(checked.problems, []);
        assert_eq!(checked.images, 1);
        self.data.assert_clean();
    }
}

fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn blobs_are_made_again_from_layers_and_records() {
    let pulled = Pulled::new();
    pulled.whole();
    damage(&pulled.blob(&pulled.tars[0]));
    let config = pulled
        .remote
        .blobs
        .values()
        .find(|b| b.starts_with(b"{\"architecture\""));
    std::fs::remove_file(pulled.blob(config.unwrap())).unwrap();
    let found = check(pulled.storage(), false);
    assert_eq!(told(&found), [Remedy::Repair; 2]);
    assert_eq!(found.problems[0].images[0].familiar(), "x:latest");
    assert_eq!(told(&check(pulled.storage(), true)), [Remedy::Mended; 2]);
    pulled.whole();
}

#[test]
fn what_nobody_has_comes_with_the_next_pull() {
    let pulled = Pulled::new();
    let packed = gzip(&pulled.tars[1], 6);
    damage(&pulled.blob(&packed));
    damage(&pulled.blob(&pulled.remote.blobs[&pulled.root.digest]));
    let found = check(pulled.storage(), true);
    assert_eq!(told(&found), [Remedy::PullAgain; 2]);
    let again: Vec<_> = found.pull_again().iter().map(|r| r.familiar()).collect();
    assert_eq!(again, ["x:latest"]);
    assert_eq!(told(&check(pulled.storage(), false)), [Remedy::Repair; 2]);
    let pull = pulled.remote.begin(pulled.storage(), &pulled.root, host());
    let missing = pull.missing().unwrap();
    assert_eq!(missing.layers.len(), 1);
    pulled.remote.bring(&pull).unwrap();
    pull.commit(&["x".parse().unwrap()], None).unwrap();
    pulled.whole();
}

#[test]
fn layers_are_unpacked_again() {
    if !is_root() {
        return;
    }
    type Damage = fn(&Path);
    let damages: [(usize, &str, Damage); 9] = [
        (0, "hashes to", |dir| damage_and_keep_time(&dir.join("d/f"))),
        (0, "\"d/f\" has the mode", |dir| {
            drop(run("chmod", ["777", dir.join("d/f").to_str().unwrap()]))
        }),
        (0, "\"d\" has the owner", |dir| {
            drop(run("chown", ["7", dir.join("d").to_str().unwrap()]))
        }),
        (0, "\"gone\" is not there", |dir| {
            std::fs::remove_file(dir.join("gone")).unwrap()
        }),
        (0, "\"more\" is not in the archive", |dir| {
            std::fs::write(dir.join("more"), b"x").unwrap()
        }),
        (0, "is shorter", |dir| {
            std::fs::write(dir.join("d/f"), b"x").unwrap()
        }),
        (0, "cannot read", |dir| {
            std::fs::remove_file(dir.parent().unwrap().join("record")).unwrap()
        }),
        (1, "\"twice\" has other data", |dir| {
            damage_and_keep_time(&dir.join("twice"))
        }),
        (1, "\"e\" is not there", |dir| {
            std::fs::remove_dir(dir.join("e")).unwrap()
        }),
    ];
    for (layer, words, damage) in damages {
        let pulled = Pulled::new();
        damage(&pulled.layer(layer));
        let found = check(pulled.storage(), false);
        assert_eq!(found.problems.len(), 1, "{words}: {:?}", found.problems);
        assert!(
            found.problems[0].text.contains(words),
            "{words}: {:?}",
            found.problems
        );
        assert_eq!(
            told(&check(pulled.storage(), true)),
            [Remedy::Mended],
            "{words}"
        );
        pulled.whole();
    }
}

fn damage_and_keep_time(file: &Path) {
    let before = std::fs::metadata(file).unwrap().modified().unwrap();
    damage(file);
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_modified(before).unwrap();
}

#[test]
fn a_layer_below_a_running_container_is_left_alone() {
    let pulled = Pulled::new();
    let id = ContainerId::from_random([4; 32]);
    let record = storage::Record {
        id: id.clone(),
        name: "c".to_owned(),
        image: pulled.root.digest.clone(),
        body: "{}".to_owned(),
    };
    pulled.storage().create_container(&record, false).unwrap();
    std::fs::write(pulled.layer(0).join("more"), b"x").unwrap();
    let busy = |container: &ContainerId| *container == id;
    let checked = Check {
        repair: true,
        runs: &busy,
    };
    let found = pulled.storage().check(&checked, &mut |_| {}).unwrap();
    assert_eq!(told(&found), [Remedy::InUse]);
    assert_eq!(told(&check(pulled.storage(), true)), [Remedy::Mended]);
    pulled.whole();
}

#[test]
fn content_kept_as_a_layer_is_lost_with_it_and_strangers_go() {
    let pulled = Pulled::new();
    assert_eq!(
        pulled
            .storage()
            .compact(&AtomicBool::new(false))
            .unwrap()
            .dropped,
        1
    );
    pulled.whole();
    std::fs::remove_file(pulled.layer(0).join("d/f")).unwrap();
    let stranger = pulled.data.root().join("blobs/sha256/stranger");
    std::fs::write(&stranger, b"x").unwrap();
    let found = check(pulled.storage(), true);
    assert_eq!(
        told(&found),
        [Remedy::PullAgain, Remedy::PullAgain, Remedy::Mended]
    );
    assert!(!stranger.exists());
    pulled
        .remote
        .pull(pulled.storage(), &pulled.root, host(), "x")
        .unwrap();
    pulled.whole();
    assert_eq!(names(&pulled.data.root().join("partial")), [""; 0]);
}
