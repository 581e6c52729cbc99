//! Layers kept once: the compressed form goes, and comes back bit for bit.

use std::io::Read;
use std::sync::atomic::AtomicBool;

use storage::{Compacted, Storage};
use types::Platform;

use crate::pull::{Remote, digest, gzip, host, noise};
use crate::support::{Data, Tar, assert_clean, names};

fn words(count: usize) -> Vec<u8> {
    let words = (0..count).map(|i| format!("{} ", (i * i) % 5003));
    words.collect::<String>().into_bytes()
}

/// An archive of everything that a record has to keep: links, devices, holes, long names, attributes.
fn odd_tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let data = words(100_000);
    header.set_size(data.len() as u64);
    header.set_mode(0o4755);
    header.set_uid(3_000_000);
    header.set_gid(7);
    header.set_mtime(5_000_000_000);
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(200));
    let mut with_data = header.clone();
    tar.append_data(&mut with_data, &long, data.as_slice())
        .unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Link);
    link.set_size(0);
    tar.append_link(&mut link, "hard", &long).unwrap();
    let xattr = [("SCHILY.xattr.user.note", b"a\nb".as_slice())];
    tar.append_pax_extensions(xattr).unwrap();
    let mut empty = tar::Header::new_ustar();
    empty.set_size(0);
    tar.append_data(&mut empty, "empty", b"".as_slice())
        .unwrap();
    let mut tar = tar.into_inner().unwrap();
    // What comes after the end belongs to it too.
    tar.extend_from_slice(&[0; 3000]);
    tar
}

fn saved(storage: &Storage, name: &str) -> Vec<u8> {
    let mut archive = Vec::new();
    storage.save(&[name.to_owned()], &mut archive).unwrap();
    archive
}

#[test]
fn what_is_dropped_comes_back_bit_for_bit() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tars = [
        Tar::new().file("a", &words(100_000)).build(),
        odd_tar(),
        Tar::new().dir("x").file("x/plain", &words(1000)).build(),
    ];
    let root = remote.image(
        &Platform::host().to_string(),
        &[
            (&tars[0], gzip(&tars[0], 6)),
            (&tars[1], tars[1].clone()),
            (&tars[2], tars[2].clone()),
        ],
    );
    remote.pull(&data.storage, &root, host(), "pulled").unwrap();
    data.import(&Tar::new().file("own", &words(500_000)).build(), "own")
        .unwrap();
    let before = [saved(&data.storage, "pulled"), saved(&data.storage, "own")];
    let done = data.storage.compact(&AtomicBool::new(false)).unwrap();
    assert_eq!((done.dropped, done.kept), (4, 0));
    assert!(done.reclaimed > 0);
    data.assert_clean();
    // Two manifests and two configurations are left.
    assert_eq!(names(&data.root().join("blobs/sha256")).len(), 4);
    assert_eq!(
        data.storage.compact(&AtomicBool::new(false)).unwrap(),
        Compacted::default()
    );

    let after = [saved(&data.storage, "pulled"), saved(&data.storage, "own")];
    assert!(before == after);
    let push = data.storage.push("pulled", None).unwrap();
    for blob in push.blobs() {
        let name = &blob.descriptor.digest;
        let mut bytes = Vec::new();
        push.open(name, 10)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes, remote.blobs[name][10..], "{name}");
    }
    drop(push);
    // It is here, as far as a pull can tell.
    assert!(
        !remote
            .pull(&data.storage, &root, host(), "pulled")
            .unwrap()
            .fresh
    );
    let root_dir = data.root();
    let Data { dir, storage } = data;
    drop(storage);
    let storage = Storage::open(&root_dir).unwrap();
    assert!(saved(&storage, "pulled") == before[0]);
    storage.remove("pulled", false).unwrap();
    storage.remove("own", false).unwrap();
    assert_clean(&root_dir);
    drop(dir);
}

/// One archive as Docker 28.5 pushes it, with Go's own gzip, and as skopeo does, with pgzip.
const OTHERS: [(&str, &[u8]); 2] = [
    ("docker", include_bytes!("streams/docker.gz")),
    ("skopeo", include_bytes!("streams/skopeo.gz")),
];

#[test]
fn what_others_have_pushed_is_made_again_or_kept() {
    for (name, blob) in OTHERS {
        let mut tar = Vec::new();
        let mut decoder = flate2::read::MultiGzDecoder::new(blob);
        decoder.read_to_end(&mut tar).unwrap();
        let data = Data::new();
        let mut remote = Remote::default();
        let root = remote.image(&Platform::host().to_string(), &[(&tar, blob.to_vec())]);
        remote.pull(&data.storage, &root, host(), name).unwrap();
        let before = saved(&data.storage, name);
        let done = data.storage.compact(&AtomicBool::new(false)).unwrap();
        assert_eq!(done.dropped + done.kept, 1, "{name}");
        let file = data.root().join("blobs/sha256").join(digest(blob).hex());
        assert_eq!(file.exists(), done.kept == 1, "{name}");
        // Docker's is known.
        assert!(done.dropped == 1 || name != "docker");
        let push = data.storage.push(name, None).unwrap();
        let mut again = Vec::new();
        push.open(&digest(blob), 0)
            .unwrap()
            .read_to_end(&mut again)
            .unwrap();
        assert!(again == blob, "{name}");
        drop(push);
        assert!(saved(&data.storage, name) == before, "{name}");
        data.assert_clean();
    }
}

#[test]
fn what_cannot_be_made_again_is_kept() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tar = Tar::new().file("a", &noise(100_000, 3)).build();
    let zstd = zstd::encode_all(tar.as_slice(), 3).unwrap();
    // A name twice: the first file is not there to be told again.
    let twice = Tar::new().file("f", b"one").file("f", b"two").build();
    let root = remote.image(
        &Platform::host().to_string(),
        &[(&tar, zstd), (&twice, gzip(&twice, 6))],
    );
    remote.pull(&data.storage, &root, host(), "x").unwrap();
    let before = saved(&data.storage, "x");
    let done = data.storage.compact(&AtomicBool::new(false)).unwrap();
    assert_eq!((done.dropped, done.kept), (0, 1));
    assert!(data.storage.disk_usage().unwrap().doubled > 50_000);
    data.assert_clean();
    assert!(saved(&data.storage, "x") == before);
}

#[test]
fn content_keeps_the_layer_it_is_made_of() {
    let data = Data::new();
    let mut remote = Remote::default();
    let tar = Tar::new().file("a", b"shared").build();
    let blob = tar.clone();
    let mine = remote.image(&Platform::host().to_string(), &[(&tar, blob.clone())]);
    let other = remote.image("linux/s390x", &[(&tar, blob)]);
    let index = remote.index(&[mine.clone(), other]);
    remote.pull(&data.storage, &mine, host(), "mine").unwrap();
    assert_eq!(
        data.storage
            .compact(&AtomicBool::new(false))
            .unwrap()
            .dropped,
        1
    );
    remote
        .pull(&data.storage, &index, storage::Wanted::All, "all")
        .unwrap();
    data.storage.remove("mine", false).unwrap();
    data.assert_clean();
    let push = data.storage.push("all", None).unwrap();
    let mut bytes = Vec::new();
    push.open(&digest(&tar), 0)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes, tar);
    drop(push);
    data.storage.remove("all", false).unwrap();
    data.assert_clean();
    assert_eq!(names(&data.root().join("layers")), ["0"]);
}
