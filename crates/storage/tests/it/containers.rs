//! Records and writable layers.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use storage::{Durability, Record, Storage};
use types::{ContainerId, Digest, ErrorKind};

use crate::support::{Data, Tar, chain, is_root, names};

fn id(byte: u8) -> ContainerId {
    ContainerId::from_random([byte; 32])
}

fn record(byte: u8, name: &str, image: &Digest) -> Record {
    Record {
        id: id(byte),
        name: name.to_owned(),
        image: image.clone(),
        body: "{}".to_owned(),
    }
}

fn with_image() -> (Data, Digest) {
    let data = Data::new();
    let image = data
        .import(&Tar::new().file("etc/motd", b"hello").build(), "base")
        .unwrap();
    (data, image.id)
}

#[test]
fn a_container_is_made_and_removed_whole() {
    let (data, image) = with_image();
    let snapshot = data
        .storage
        .create_container(&record(1, "web", &image), false)
        .unwrap();
    let dir = data.storage.container_dir(&id(1));
    let mount = &snapshot.mounts[0];
    assert_eq!(
        (mount.kind.as_str(), mount.target.to_str()),
        ("overlay", Some("/"))
    );
    let expected = [
        format!("upperdir={}", dir.join("upper").display()),
        format!("workdir={}", dir.join("work").display()),
        "index=off".to_owned(),
        "redirect_dir=off".to_owned(),
        "metacopy=off".to_owned(),
    ];
    assert_eq!(mount.options, expected);
    assert_eq!(
        std::fs::metadata(dir.join("upper"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777,
        0o755
    );
    assert_eq!(
        data.storage.snapshot(&id(1)).unwrap().mounts,
        snapshot.mounts
    );
    assert_eq!(
        data.storage.records().all().unwrap(),
        [record(1, "web", &image)]
    );
    data.assert_clean();

    let throwaway = data
        .storage
        .create_container(&record(2, "tmp", &image), true)
        .unwrap();
    assert_eq!(throwaway.mounts[0].options.last().unwrap(), "volatile");
    assert_eq!(
        data.storage.snapshot(&id(2)).unwrap().mounts,
        throwaway.mounts
    );
    for byte in [1, 2] {
        data.storage
            .remove_container(&id(byte), Durability::Power)
            .unwrap();
        data.storage
            .remove_container(&id(byte), Durability::Power)
            .unwrap();
        assert_eq!(
            data.storage.snapshot(&id(byte)).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
    assert!(data.storage.records().all().unwrap().is_empty());
    data.assert_clean();
}

#[test]
fn a_name_in_use_and_an_unknown_image_leave_nothing() {
    let (data, image) = with_image();
    data.storage
        .create_container(&record(1, "web", &image), false)
        .unwrap();
    let error = data
        .storage
        .create_container(&record(2, "web", &image), false)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        format!(
            "Conflict. The container name \"/web\" is already in use by container {:?}. \
             You have to remove (or rename) that container to be able to reuse that name.",
            id(1).as_str()
        )
    );
    let nothing = Digest::sha256([0; 32]);
    let error = data
        .storage
        .create_container(&record(3, "x", &nothing), true)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(names(&data.root().join("containers")), [id(1).as_str()]);
    data.assert_clean();
}

#[test]
fn records_are_changed_and_renamed() {
    let (data, image) = with_image();
    let records = data.storage.records();
    let first = record(1, "one", &image);
    records.insert(&first, Durability::Process).unwrap();
    records
        .insert(&record(2, "two", &image), Durability::Power)
        .unwrap();
    assert_eq!(
        records
            .insert(&first, Durability::Power)
            .unwrap_err()
            .kind(),
        ErrorKind::Conflict
    );
    let renamed = Record {
        name: "uno".to_owned(),
        body: "{\"v\":2}".to_owned(),
        ..first
    };
    records.update(&renamed, Durability::Process).unwrap();
    let taken = Record {
        name: "two".to_owned(),
        ..renamed.clone()
    };
    assert_eq!(
        records
            .update(&taken, Durability::Power)
            .unwrap_err()
            .kind(),
        ErrorKind::Conflict
    );
    let missing = record(9, "nine", &image);
    let error = records.update(&missing, Durability::Power).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    records.delete(&id(2), Durability::Process).unwrap();
    assert_eq!(records.all().unwrap(), [renamed]);
}

#[test]
fn a_writable_layer_without_a_record_is_dropped_at_the_next_open() {
    let (data, image) = with_image();
    let image = data.storage.image(&image.to_string()).unwrap();
    data.storage.prepare(&id(1), &image, true).unwrap();
    data.storage
        .create_container(&record(2, "kept", &image.id), true)
        .unwrap();
    let root = data.root();
    let Data { dir, storage } = data;
    drop(storage);
    let storage = Storage::open(&root).unwrap();
    assert_eq!(names(&root.join("containers")), [id(2).as_str()]);
    assert!(storage.snapshot(&id(1)).is_err() && storage.snapshot(&id(2)).is_ok());
    crate::support::assert_clean(&root);
    drop(dir);
}

#[test]
fn usage_counts_what_the_layer_takes_once() {
    let (data, image) = with_image();
    data.storage
        .create_container(&record(1, "web", &image), true)
        .unwrap();
    assert_eq!(data.storage.usage(&id(1)).unwrap(), 0);
    let upper = data.storage.container_dir(&id(1)).join("upper");
    std::fs::write(upper.join("a"), vec![1; 100_000]).unwrap();
    std::fs::hard_link(upper.join("a"), upper.join("b")).unwrap();
    std::fs::create_dir(upper.join("d")).unwrap();
    std::fs::write(upper.join("d/c"), vec![1; 50_000]).unwrap();
    let blocks = |path: &str| std::fs::metadata(upper.join(path)).unwrap().blocks() * 512;
    let expected = blocks("a") + blocks("d") + blocks("d/c");
    assert_eq!(data.storage.usage(&id(1)).unwrap(), expected);
    assert_eq!(
        data.storage.usage(&id(7)).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn an_image_without_layers_has_an_empty_one_below() {
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let manifest = br#"[{"Config":"c","RepoTags":["scratch:1"],"Layers":[]}]"#;
    let data = Data::new();
    let archive = Tar::new()
        .file("c", config)
        .file("manifest.json", manifest)
        .build();
    data.storage.load(&mut archive.as_slice()).unwrap();
    assert_eq!(names(&data.top("scratch:1")), [""; 0]);
}

#[test]
fn the_mount_shows_the_image_and_keeps_it_as_it_is() {
    if !is_root() {
        return;
    }
    let (data, image) = with_image();
    let snapshot = data
        .storage
        .create_container(&record(1, "web", &image), true)
        .unwrap();
    let mount = &snapshot.mounts[0];
    let lower: Vec<_> = mount
        .lower
        .iter()
        .map(|dir| dir.display().to_string())
        .collect();
    let options = format!("lowerdir={},{}", lower.join(":"), mount.options.join(","));
    let script = r#"
        set -e
        mkdir "$1/mnt"; mount -t overlay overlay -o "$2" "$1/mnt"; cd "$1/mnt"
        cat etc/motd; echo changed > etc/motd; rm -r etc; mkdir etc; stat -c %a .
    "#;
    let dir = data.dir.path().to_str().unwrap();
    let text = crate::support::run(
        "unshare",
        [
            "-m",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            dir,
            &options,
        ],
    );
    assert_eq!(String::from_utf8(text).unwrap(), "hello755\n");
    assert_eq!(
        std::fs::read(mount.lower[0].join("etc/motd")).unwrap(),
        b"hello"
    );
}

#[test]
fn one_process_has_the_store_at_a_time() {
    let data = Data::new();
    let error = Storage::open(&data.root()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        chain(&error),
        format!(
            "the data root {} is in use by process {}",
            data.root().display(),
            std::process::id()
        )
    );
}

#[test]
fn records_of_networks_stay_until_they_are_removed() {
    let data = Data::new();
    let record = |id: &str, name: &str| storage::NetworkRecord {
        id: id.to_owned(),
        name: name.to_owned(),
        body: format!("{{\"of\":\"{name}\"}}"),
    };
    let networks = data.storage.networks();
    networks.insert(&record("1", "web")).unwrap();
    networks.insert(&record("2", "db")).unwrap();
    assert!(networks.insert(&record("3", "db")).is_err());
    networks.delete("1").unwrap();
    networks.delete("nobody").unwrap();
    assert_eq!(networks.all().unwrap(), [record("2", "db")]);
}
