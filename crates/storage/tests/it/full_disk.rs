//! A disk without room: refused in one sentence, nothing left, and everything works again after.

use std::path::Path;

use storage::{Check, Import, Record, Storage};
use types::{ContainerId, Platform};

use crate::pull::{Remote, gzip, host};
use crate::support::{Tar, assert_clean, chain, has, is_root, run};

/// Set for the process that has a small disk mounted.
const DISK: &str = "STORAGE_TEST_DISK";

/// Bytes that do not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next)
        .flatten()
        .take(size)
        .collect()
}

fn import(storage: &Storage, tar: &[u8], name: &str) -> Result<types::Digest, String> {
    let import = Import {
        reference: Some(name.parse().unwrap()),
        ..Import::default()
    };
    storage
        .import(&mut &tar[..], &import)
        .map_err(|error| chain(&error))
}

/// Not a test of its own: runs on the small disk.
#[test]
fn on_a_small_disk() {
    let Ok(disk) = std::env::var(DISK) else {
        return;
    };
    let disk = Path::new(&disk);
    let root = disk.join("data");
    let storage = Storage::open(&root).unwrap();
    let small = Tar::new().file("f", &noise(300_000)).build();
    import(&storage, &small, "small").unwrap();
    let image = storage.image("small").unwrap();
    let full = |error: &str| assert!(is_full(error), "{error}");

    full(
        &import(
            &storage,
            &Tar::new().file("big", &noise(40 << 20)).build(),
            "big",
        )
        .unwrap_err(),
    );
    assert_clean(&root);

    // A bomb: much more than there is in a few kilobytes.
    let bomb = Tar::new().file("bomb", &vec![0; 64 << 20]).build();
    full(&import(&storage, &gzip(&bomb, 1), "bomb").unwrap_err());
    assert_clean(&root);

    // With a little less room each time, it stops somewhere else.
    let mut failures = 0;
    for room in (0..40).rev() {
        let filler = disk.join("filler");
        fill(&filler, room * 32 * 1024);
        match import(
            &storage,
            &Tar::new().file("f", &noise(200_000)).build(),
            "more",
        ) {
            Ok(_) => drop(std::fs::remove_file(&filler)),
            Err(error) => {
                full(&error);
                failures += 1;
                std::fs::remove_file(&filler).unwrap();
            }
        }
        let id = ContainerId::from_random([room as u8; 32]);
        fill(&filler, 0);
        let record = Record {
            id: id.clone(),
            name: format!("c{room}"),
            image: image.id.clone(),
            body: "x".repeat(100_000),
        };
        if let Err(error) = storage.create_container(&record, room % 2 == 0) {
            full(&chain(&error));
        }
        std::fs::remove_file(&filler).unwrap();
        storage
            .remove_container(&id, storage::Durability::Power)
            .unwrap();
        let _ = storage.remove("more", true);
        assert_clean(&root);
    }
    assert!(failures > 5, "{failures}");
    pulls(&storage, disk);
    assert_eq!(storage.images().unwrap().len(), 1);
    import(&storage, &small, "again").unwrap();
    assert_clean(&root);
}

/// Pulls with less and less room: what fails leaves nothing, and goes on when there is room.
fn pulls(storage: &Storage, disk: &Path) {
    let root = disk.join("data");
    let mut remote = Remote::default();
    let layers = [noise(400_000), noise(150_000)].map(|data| Tar::new().file("f", &data).build());
    let layers = layers.each_ref().map(|tar| (&tar[..], gzip(tar, 1)));
    let image = remote.image(&Platform::host().to_string(), &layers);
    let filler = disk.join("filler");
    let mut failures = 0;
    for room in (0..40).rev() {
        fill(&filler, room * 40 * 1024);
        let pulled = storage
            .pull(&image, &remote.blobs[&image.digest], host())
            .and_then(|pull| {
                remote.bring(&pull)?;
                pull.commit(&["pulled".parse().unwrap()], None)
            });
        std::fs::remove_file(&filler).unwrap();
        if let Err(error) = pulled {
            let text = chain(&error);
            assert!(is_full(&text), "{text}");
            failures += 1;
        }
        if room % 8 == 0 {
            remote.pull(storage, &image, host(), "pulled").unwrap();
        }
        let _ = storage.remove("pulled", true);
        assert_clean(&root);
    }
    assert!(failures > 5, "{failures}");
    storage.collect_partial(true).unwrap();
    let check = Check {
        repair: false,
        runs: &|_| false,
    };
    assert_eq!(storage.check(&check, &mut |_| {}).unwrap().problems, []);
}

/// Whether an error says that there is no room.
pub(crate) fn is_full(error: &str) -> bool {
    let error = error.to_lowercase();
    error.contains("no space left") || error.contains("full")
}

/// Takes all room but `left` bytes.
pub(crate) fn fill(filler: &Path, left: usize) {
    use std::io::Write;
    let mut file = std::fs::File::create(filler).unwrap();
    let block = vec![0; 4096];
    let mut size = 0;
    while file.write_all(&block).is_ok() {
        size += block.len() as u64;
    }
    file.set_len(size.saturating_sub(left as u64)).unwrap();
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    if !is_root() || !has("unshare") {
        return;
    }
    on_small_disk(DISK, "full_disk::on_a_small_disk");
}

/// Runs a test of this program where a small disk is mounted; `variable` says where.
pub(crate) fn on_small_disk(variable: &str, test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = r#"
        mount -t tmpfs -o size=16m tmpfs "$1" && exec "$2" --exact "$3" --nocapture
    "#;
    let this = std::env::current_exe().unwrap();
    let (dir, this) = (dir.path().to_str().unwrap(), this.to_str().unwrap());
    let variable = format!("{variable}={dir}");
    let alone = ["unshare", "-m", "--propagation", "private"];
    let words = ["sh", "-c", script, "sh", dir, this, test];
    run(
        "env",
        [&[variable.as_str()], &alone[..], &words[..]].concat(),
    );
}
