//! What the store says it takes is what du(1) says.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use storage::{Error, Wanted};
use types::{ContainerId, Platform};

use crate::pull::{Remote, gzip, host, noise};
use crate::support::{Data, Tar, has, is_root, run};

/// What du(1) counts in these directories, without the directories themselves.
fn du(dirs: &[&Path]) -> u64 {
    dirs.iter()
        .map(|dir| {
            let count = |args: &[&str]| -> u64 {
                let output = run("du", args.iter().copied().chain([dir.to_str().unwrap()]));
                let text = String::from_utf8(output).unwrap();
                text.split_whitespace().next().unwrap().parse().unwrap()
            };
            let own =
                std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(dir).unwrap()) * 512;
            count(&["-s", "-B1"]) - own
        })
        .sum()
}

#[test]
fn usage_agrees_with_du_to_the_block() {
    if !is_root() || !has("du") {
        return;
    }
    let data = Data::new();
    let mut remote = Remote::default();
    let base = Tar::new()
        .dir("d")
        .file("d/a", &noise(123_457, 1))
        .link("d/b", "d/a")
        .symlink("l", &"x".repeat(90))
        .file("empty", b"")
        .build();
    let top = |seed| Tar::new().file("t", &noise(50_000, seed)).build();
    let platform = Platform::host().to_string();
    for (seed, name) in [(7, "one"), (8, "two")] {
        let top = top(seed);
        let layers = [(&base[..], gzip(&base, 6)), (&top[..], top.clone())];
        let root = remote.image(&platform, &layers);
        remote.pull(&data.storage, &root, host(), name).unwrap();
    }
    let check = || {
        let usage = data.storage.disk_usage().unwrap();
        let root = data.root();
        assert_eq!(usage.content, du(&[&root.join("blobs/sha256")]));
        // The directories of the store itself, and layer 0, are nobody's: six of them.
        let own = [
            "blobs",
            "blobs/sha256",
            "blobs/sha512",
            "layers",
            "layers/0",
            "layers/0/diff",
        ];
        let own = own.map(|dir| {
            std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(root.join(dir)).unwrap())
                * 512
        });
        let whole = run(
            "du",
            ["-scB1", "blobs", "layers"].map(|word| match word {
                "blobs" | "layers" => root.join(word).display().to_string(),
                flag => flag.to_owned(),
            }),
        );
        let whole = String::from_utf8(whole).unwrap();
        let whole = whole
            .lines()
            .last()
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap();
        let told = usage.content + usage.layers + own.iter().sum::<u64>();
        assert_eq!(whole, told.to_string());
        let one = &usage.images[0];
        assert_eq!(one.size, one.shared + one.unique);
        let all = usage.images[0].shared + usage.images.iter().map(|i| i.unique).sum::<u64>();
        assert_eq!(all, usage.content + usage.layers);
        usage
    };
    let before = check();
    assert!(before.images[0].shared > 100_000 && before.images[0].unique > 100_000);
    assert_eq!(check().images, before.images);
    data.storage.compact(&AtomicBool::new(false)).unwrap();
    let after = check();
    assert!(after.content < before.content / 2);
    assert_eq!(after.doubled, 0);

    let id = ContainerId::from_random([3; 32]);
    let image = data.storage.image("one").unwrap();
    let snapshot = data.storage.prepare(&id, &image, true).unwrap();
    drop(snapshot);
    let dir = data.storage.container_dir(&id);
    std::fs::write(dir.join("upper/f"), noise(10_000, 4)).unwrap();
    std::fs::write(dir.join("log"), noise(5000, 4)).unwrap();
    let usage = check();
    let container = &usage.containers[0];
    let of_du: u64 = du(&[&dir])
        + std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&dir).unwrap()) * 512;
    assert_eq!(container.layer + container.files, of_du);
}

#[test]
fn images_that_go_one_after_the_other_free_all_there_was() {
    if !is_root() || !has("du") {
        return;
    }
    let data = Data::new();
    let mut remote = Remote::default();
    let base = Tar::new().file("a", &noise(200_000, 1)).build();
    let platform = Platform::host().to_string();
    for (seed, name) in [(7, "one"), (8, "two")] {
        let top = Tar::new().file("t", &noise(50_000, seed)).build();
        let layers = [(&base[..], gzip(&base, 6)), (&top[..], top.clone())];
        let root = remote.image(&platform, &layers);
        remote.pull(&data.storage, &root, host(), name).unwrap();
    }
    let all = data.storage.disk_usage().unwrap();
    let mut freed = 0;
    for name in ["one", "two"] {
        let image = data.storage.image(name).unwrap();
        let usage = data.storage.image_usage(&image.id).unwrap();
        freed += usage.unique;
        data.storage.remove(name, false).unwrap();
        let left = data.storage.disk_usage().unwrap();
        assert_eq!(left.content + left.layers + freed, all.content + all.layers);
    }
    assert_eq!(freed, all.content + all.layers);
}

#[test]
fn an_image_of_several_platforms_is_described_and_unpacked_when_needed() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tar = |text: &str| Tar::new().file("f", text.as_bytes()).build();
    let (ours, theirs) = (tar("ours"), tar("theirs"));
    let other: Platform = "linux/s390x".parse().unwrap();
    let mine = remote.image(&Platform::host().to_string(), &[(&ours, gzip(&ours, 6))]);
    let foreign = remote.image(&other.to_string(), &[(&theirs, gzip(&theirs, 6))]);
    let root = remote.index(&[foreign.clone(), mine.clone()]);
    let pulled = remote.pull(&data.storage, &root, host(), "x").unwrap();
    let variants = data.storage.variants(&pulled.image).unwrap();
    let told: Vec<_> = variants
        .iter()
        .map(|v| {
            (
                v.platform.clone().unwrap() == other,
                v.available,
                v.unpacked,
            )
        })
        .collect();
    assert_eq!(told, [(true, false, false), (false, true, true)]);
    assert_eq!(data.storage.layer_sizes(&pulled.image).unwrap(), [4]);
    assert_eq!(data.storage.descriptor(&root.digest).unwrap(), root);
    let error = data.storage.image_on("x", &other).unwrap_err();
    assert!(matches!(error, Error::Missing(_)), "{error}");

    remote.pull(&data.storage, &root, Wanted::All, "x").unwrap();
    let there = data.storage.image_on("x", &other).unwrap();
    assert_eq!(
        (&there.id, &there.manifest),
        (&root.digest, &foreign.digest)
    );
    let record = storage::Record {
        id: ContainerId::from_random([5; 32]),
        name: "c".to_owned(),
        image: there.id.clone(),
        body: "{}".to_owned(),
    };
    let snapshot = data
        .storage
        .create_container_on(&record, &there.manifest, true)
        .unwrap();
    let lower = &snapshot.mounts[0].lower[0];
    assert_eq!(std::fs::read(lower.join("f")).unwrap(), b"theirs");
    let again = data.storage.snapshot(&record.id).unwrap();
    assert_eq!(again.mounts[0].lower, snapshot.mounts[0].lower);
    // What runs when nobody names a platform is still this machine's.
    assert_eq!(data.storage.image("x").unwrap().manifest, mine.digest);
    assert!(
        data.storage
            .variants(&there)
            .unwrap()
            .iter()
            .all(|v| v.available && v.unpacked)
    );
    data.assert_clean();
}

#[test]
fn an_image_of_several_platforms_is_saved_and_loaded_by_platform() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tar = |text: &str| Tar::new().file("f", text.as_bytes()).build();
    let (ours, theirs) = (tar("ours"), tar("theirs"));
    let other: Platform = "linux/s390x".parse().unwrap();
    let mine = remote.image(&Platform::host().to_string(), &[(&ours, gzip(&ours, 6))]);
    let foreign = remote.image(&other.to_string(), &[(&theirs, gzip(&theirs, 6))]);
    let root = remote.index(&[mine.clone(), foreign.clone()]);
    remote.pull(&data.storage, &root, Wanted::All, "x").unwrap();
    let save = |platforms: &[Platform]| {
        let mut archive = Vec::new();
        let names = ["x".to_owned()];
        data.storage
            .save_platforms(
                &names,
                platforms,
                &std::collections::BTreeMap::new(),
                &mut archive,
            )
            .unwrap();
        archive
    };
    let load = |archive: &[u8], platforms: &[Platform]| {
        let into = Data::new();
        into.storage
            .load_platforms(&mut &archive[..], platforms)
            .unwrap();
        into.assert_clean();
        let image = into.storage.image("x").unwrap();
        let here = into.storage.variants(&image).unwrap();
        let here = here
            .iter()
            .filter(|v| v.available)
            .map(|v| v.descriptor.digest.clone());
        (
            image.id.clone(),
            image.manifest.clone(),
            here.collect::<Vec<_>>(),
        )
    };
    let (both, one) = (save(&[]), save(std::slice::from_ref(&other)));
    assert!(one.len() < both.len());
    let (mine, foreign) = (mine.digest, foreign.digest);
    let all = vec![mine.clone(), foreign.clone()];
    assert_eq!(load(&both, &[]), (root.digest.clone(), mine.clone(), all));
    assert_eq!(
        load(&one, &[]),
        (root.digest.clone(), foreign.clone(), vec![foreign.clone()])
    );
    let only_other = load(&both, std::slice::from_ref(&other));
    assert_eq!(
        only_other,
        (root.digest.clone(), foreign.clone(), vec![foreign])
    );
    let host = Platform::host();
    let only_host = load(&both, std::slice::from_ref(&host));
    assert_eq!(only_host, (root.digest, mine.clone(), vec![mine]));
    let mut archive = Vec::new();
    let arm: Platform = "linux/arm/v6".parse().unwrap();
    let error = data
        .storage
        .save_platforms(
            &["x".to_owned()],
            &[arm],
            &std::collections::BTreeMap::new(),
            &mut archive,
        )
        .unwrap_err();
    assert!(matches!(error, Error::NoPlatform { .. }), "{error}");
    assert!(archive.is_empty());
}
