//! What containers and images may take on the disk, from the outside.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::PathBuf;

use testkit::{Brig, clients, root, until};

/// The layer's compressed form: the largest file that the store has.
fn layer_blob(brig: &Brig) -> PathBuf {
    let blobs = fs::read_dir(brig.data_root().join("blobs/sha256")).unwrap();
    let paths = blobs.map(|entry| entry.unwrap().path());
    paths
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap()
}

fn saved(brig: &Brig) -> Vec<u8> {
    let file = brig.root().join("saved.tar");
    brig.brig(&["save", "-o", file.to_str().unwrap(), "bb"])
        .ok();
    fs::read(file).unwrap()
}

#[test]
fn compressed_layers_go_where_they_are_not_wanted() {
    if !root() {
        return;
    }
    let mut brig = Brig::start();
    brig.import_busybox();
    let (before, blob) = (saved(&brig), layer_blob(&brig));
    brig.stop_daemon();
    brig.set_flags(&["--blobs", "drop"]);
    brig.start_daemon();
    until("the compressed layer goes", || {
        (!blob.exists()).then_some(())
    });
    assert!(saved(&brig) == before);
    brig.finish();
}

#[test]
fn a_root_is_held_to_its_size_or_that_is_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let create = |option: &str| {
            let words = ["create", "--name", "small", "--storage-opt", option];
            brig.with(client, &[&words[..], &["bb", "true"]].concat())
        };
        let made = create("size=64m");
        if made.code == 0 {
            let limit = &brig.inspect("small")["HostConfig"]["StorageOpt"]["size"];
            assert_eq!(limit, "67108864", "{client:?}");
            brig.brig(&["rm", "small"]).ok();
        } else {
            assert!(
                made.stderr.contains("project quotas are needed"),
                "{client:?} {made}"
            );
        }
        for (option, why) in [("size=much", "much"), ("inodes=5", "size")] {
            let refused = create(option);
            assert!(
                refused.code != 0 && refused.stderr.contains(why),
                "{client:?} {refused}"
            );
        }
        let all = brig.brig(&["ps", "-a", "--format", "{{.Names}}"]);
        assert_eq!(all.ok(), "", "{client:?}");
    }
    brig.finish();
}
