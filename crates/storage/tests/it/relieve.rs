//! A disk that fills up, and images that are mounted by themselves.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use storage::{Opened, Storage, Watermarks};
use types::{ContainerId, Platform};

use crate::pull::{Remote, gzip, host, noise};
use crate::support::{Data, Tar, has, is_root, names, run};

fn named(storage: &Storage) -> Vec<String> {
    let images = storage.images().unwrap();
    let mut names: Vec<_> = images
        .iter()
        .map(|image| {
            image
                .references
                .first()
                .map_or_else(String::new, |r| r.familiar())
        })
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_least_needed_goes_first_and_what_is_needed_stays() {
    let data = Data::new();
    for name in ["used", "spared", "old", "unnamed", "young"] {
        data.import(
            &Tar::new()
                .file("f", &noise(50_000, name.len() as u64))
                .file(name, b"")
                .build(),
            name,
        )
        .unwrap();
    }
    data.storage
        .tag("young", &"unnamed".parse().unwrap())
        .unwrap();
    let id = ContainerId::from_random([1; 32]);
    let image = data.storage.image("used").unwrap();
    data.storage.prepare(&id, &image, true).unwrap();
    let mut remote = Remote::default();
    let tar = Tar::new().file("f", &noise(300_000, 1)).build();
    let root = remote.image(&Platform::host().to_string(), &[(&tar, gzip(&tar, 6))]);
    let pull = remote.begin(&data.storage, &root, host());
    remote.bring(&pull).unwrap();
    drop(pull);
    assert_eq!(names(&data.root().join("partial")).len(), 1);
    let spare = |image: &storage::Image| {
        image
            .references
            .iter()
            .any(|r| r.path().ends_with("spared"))
    };
    let relieve = |high, low| {
        let marks = Watermarks { high, low };
        data.storage
            .relieve(marks, &spare, &AtomicBool::new(false))
            .unwrap()
    };

    // No disk is fuller than full.
    let nothing = relieve(100, 0);
    assert!(nothing.removed.is_empty() && nothing.reclaimed == 0);
    assert_eq!(data.storage.images().unwrap().len(), 5);
    // Every disk is fuller than empty.
    let everything = relieve(0, 0);
    assert!(everything.reclaimed > 500_000);
    assert_eq!(named(&data.storage), ["spared:latest", "used:latest"]);
    let removed: Vec<_> = everything
        .removed
        .iter()
        .filter_map(|removed| match removed {
            storage::Removed::Untagged(name) => Some(name.familiar()),
            storage::Removed::Deleted(_) => None,
        })
        .collect();
    assert_eq!(removed, ["old:latest", "unnamed:latest", "young:latest"]);
    assert_eq!(names(&data.root().join("partial")), [""; 0]);
    data.assert_clean();
}

#[test]
fn what_is_being_brought_is_not_collected() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tar = Tar::new().file("f", &noise(300_000, 1)).build();
    let blob = gzip(&tar, 6);
    let root = remote.image(&Platform::host().to_string(), &[(&tar, blob.clone())]);
    let pull = remote.begin(&data.storage, &root, host());
    let layer = pull.missing().unwrap().layers.remove(0);
    let Opened::Ours(mut ingest) = pull.open(&layer).unwrap() else {
        panic!("nobody else brings it");
    };
    ingest.write(&blob[..100_000]).unwrap();
    assert_eq!(data.storage.collect_partial(true).unwrap(), 0);
    drop(ingest);
    assert_eq!(data.storage.collect_partial(false).unwrap(), 0);
    assert!(data.storage.collect_partial(true).unwrap() >= 100_000);
    assert_eq!(names(&data.root().join("partial")), [""; 0]);

    // Nor what was left a moment ago; but what was left two days ago, by whoever comes first.
    let Opened::Ours(ingest) = pull.open(&layer).unwrap() else {
        panic!("nobody else brings it");
    };
    drop(ingest);
    let left = data.root().join("partial").join(layer.digest.hex());
    let file = std::fs::File::options().write(true).open(&left).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(48 * 3600))
        .unwrap();
    data.storage.collect_partial(false).unwrap();
    assert!(!left.exists());
}

#[test]
fn an_image_is_mounted_by_itself() {
    if !is_root() || !has("unshare") {
        return;
    }
    let data = Data::new();
    let mut remote = Remote::default();
    let below = Tar::new().file("a", b"below").file("b", b"gone").build();
    let above = Tar::new().file("a", b"above").file(".wh.b", b"").build();
    let platform = Platform::host().to_string();
    let layers = [(&below[..], gzip(&below, 6)), (&above[..], gzip(&above, 6))];
    for (count, listing) in [(0, "below 0"), (1, "below a b"), (2, "above a")] {
        let root = remote.image(&platform, &layers[..count]);
        let image = remote
            .pull(&data.storage, &root, host(), "x")
            .unwrap()
            .image;
        let mount = data.storage.mount_image(&image).unwrap();
        let script = match mount.kind.as_str() {
            "bind" => format!(
                "mount --bind -o ro {} /mnt && ls /mnt | wc -l",
                mount.source.display()
            ),
            _ => {
                let lower: Vec<_> = mount
                    .lower
                    .iter()
                    .map(|l| l.display().to_string())
                    .collect();
                let options = mount.options.join(",");
                format!(
                    "mount -t overlay overlay -o lowerdir={},{options} /mnt && cat /mnt/a && echo && ls /mnt && ! touch /mnt/new 2>/dev/null",
                    lower.join(":")
                )
            }
        };
        let told = run(
            "unshare",
            ["-m", "--propagation", "private", "sh", "-c", &script],
        );
        let told = String::from_utf8(told).unwrap();
        let words: Vec<_> = told.split_whitespace().collect();
        let expected: Vec<_> = listing.split_whitespace().collect();
        assert_eq!(
            words,
            if count == 0 {
                &expected[1..]
            } else {
                &expected[..]
            }
        );
    }
}
