//! A container's writable layer held to a size, and a clear refusal where that cannot be.

use std::path::Path;
use std::process::Command;

use storage::{Durability, Record, Storage};
use types::{ContainerId, ErrorKind};

use crate::support::{Data, Tar, has, has_old, is_root, run, skip};

/// Set for the process that has a disk with project quotas.
const DISK: &str = "STORAGE_TEST_QUOTA_DISK";

fn record(storage: &Storage, number: u8) -> Record {
    Record {
        id: ContainerId::from_random([number; 32]),
        name: format!("c{number}"),
        image: storage.image("x").unwrap().id,
        body: "{}".to_owned(),
    }
}

/// Not a test of its own: runs on the disk with quotas.
#[test]
fn on_a_disk_with_quotas() {
    let Ok(disk) = std::env::var(DISK) else {
        return;
    };
    let root = Path::new(&disk).join("data");
    let storage = Storage::open(&root).unwrap();
    let tar = Tar::new().file("f", &vec![1; 100_000]).build();
    let import = storage::Import {
        reference: Some("x".parse().unwrap()),
        ..storage::Import::default()
    };
    storage.import(&mut tar.as_slice(), &import).unwrap();
    let (small, free) = (record(&storage, 1), record(&storage, 2));
    for record in [&small, &free] {
        storage.create_container(record, false).unwrap();
    }
    storage.limit(&small.id, 1 << 20).unwrap();
    let write = |record: &Record, megabytes: usize| {
        let merged = Path::new(&disk).join("merged");
        std::fs::create_dir_all(&merged).unwrap();
        let mount = storage.snapshot(&record.id).unwrap().mounts.remove(0);
        let lower = mount.lower[0].display().to_string();
        let options = format!("lowerdir={lower},{}", mount.options.join(","));
        run(
            "mount",
            [
                "-t",
                "overlay",
                "overlay",
                "-o",
                &options,
                merged.to_str().unwrap(),
            ],
        );
        let answer = std::fs::write(merged.join("new"), vec![7; megabytes << 20]);
        run("umount", [&merged]);
        answer.map_err(|error| error.raw_os_error().unwrap())
    };
    // EDQUOT or ENOSPC.
    let error = write(&small, 2).unwrap_err();
    assert!([122, 28].contains(&error), "{error}");
    write(&free, 2).unwrap();
    storage
        .remove_container(&small.id, Durability::Power)
        .unwrap();
    // The number goes to the next, and with it another limit.
    storage.create_container(&small, false).unwrap();
    storage.limit(&small.id, 4 << 20).unwrap();
    write(&small, 2).unwrap();
    storage
        .remove_container(&small.id, Durability::Power)
        .unwrap();
    storage.create_container(&small, false).unwrap();
    write(&small, 8).unwrap();
}

/// Runs the test above on a disk of so many megabytes that is made by this.
fn on_a_disk_made_by(make: &[&str], megabytes: u64) {
    if !is_root() || !has("unshare") || !has_old(make[0]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("disk");
    let file = std::fs::File::create(&image).unwrap();
    file.set_len(megabytes << 20).unwrap();
    let made = Command::new(make[0]).args(&make[1..]).arg(&image).status();
    assert!(made.unwrap().success());
    let point = dir.path().join("disk.mounted");
    std::fs::create_dir(&point).unwrap();
    let alone = ["unshare", "-m", "--propagation", "private"];
    let (image, point) = (image.to_str().unwrap(), point.to_str().unwrap());
    let mount = Command::new(alone[0])
        .args(&alone[1..])
        .args(["mount", "-o", "loop,prjquota", image, point])
        .output()
        .unwrap();
    if !mount.status.success() {
        let why = String::from_utf8_lossy(&mount.stderr);
        let why = why.trim();
        return skip(&format!("no file system with project quotas here: {why}"));
    }
    let script = r#"
        mount -o loop,prjquota "$1" "$2" && exec "$3" --exact quota::on_a_disk_with_quotas --nocapture
    "#;
    let this = std::env::current_exe().unwrap();
    let variable = format!("{DISK}={point}");
    let words = [
        "sh",
        "-c",
        script,
        "sh",
        image,
        point,
        this.to_str().unwrap(),
    ];
    run(
        "env",
        [&[variable.as_str()], &alone[..], &words[..]].concat(),
    );
}

#[test]
fn a_layer_is_held_to_its_size() {
    let make = [
        "mkfs.ext4",
        "-q",
        "-O",
        "quota,project",
        "-E",
        "quotatype=prjquota",
    ];
    on_a_disk_made_by(&make, 64);
}

#[test]
fn a_layer_is_held_to_its_size_on_xfs() {
    on_a_disk_made_by(&["mkfs.xfs", "-q"], 512);
}

#[test]
fn a_file_system_without_quotas_is_named() {
    if !is_root() || !has("unshare") {
        return;
    }
    let data = Data::new();
    data.import(&Tar::new().file("f", b"x").build(), "x")
        .unwrap();
    let record = record(&data.storage, 1);
    data.storage.create_container(&record, false).unwrap();
    match data.storage.limit(&record.id, 1 << 20) {
        Ok(()) => skip("the temporary directory is on a file system with project quotas"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            let text = error.to_string();
            assert!(text.contains("project quotas are needed"), "{text}");
        }
    }
}
