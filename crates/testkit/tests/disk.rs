//! What containers and images may take on the disk, from the outside.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(
    clippy::disallowed_methods,
    reason = "test files need not survive a crash"
)]

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
fn a_disk_above_its_mark_is_relieved_of_what_nobody_needs() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let used = std::process::Command::new("df")
        .args(["--output=pcent"])
        .arg(brig.data_root())
        .output()
        .unwrap();
    let used: String = String::from_utf8(used.stdout)
        .unwrap()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    if used.parse::<u8>().unwrap() < 3 {
        eprintln!("SKIP: less than 3 % of the disk are used: no mark is below");
        return;
    }
    // Of the two images a container needs one; and a pull has left something, days ago.
    brig.brig(&["create", "--name", "needs", "bb", "true"]).ok();
    let archive = brig.root().join("other.tar");
    fs::write(&archive, [0; 1024]).unwrap();
    brig.brig(&["import", archive.to_str().unwrap(), "other"])
        .ok();
    let left = brig.data_root().join("partial").join("a".repeat(64));
    fs::write(&left, b"half").unwrap();
    let days = std::time::Duration::from_secs(3 * 24 * 3600);
    let file = fs::File::options().write(true).open(&left).unwrap();
    file.set_modified(std::time::SystemTime::now() - days)
        .unwrap();
    let names = || {
        let listed = brig.brig(&["images", "--format", "{{.Repository}}"]);
        listed.ok().trim().to_owned()
    };
    assert_eq!(names(), "other\nbb");
    brig.stop_daemon();
    brig.set_flags(&["--disk-high", "2", "--disk-low", "1"]);
    brig.start_daemon();
    let names = || brig.brig(&["images", "--format", "{{.Repository}}"]);
    until("what nobody needs goes", || {
        (names().ok().trim() == "bb").then_some(())
    });
    until("what a pull has left goes", || {
        (!left.exists()).then_some(())
    });
    brig.brig(&["rm", "needs"]).ok();
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
