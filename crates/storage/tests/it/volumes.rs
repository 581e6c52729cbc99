//! Volumes: their rows and directories, their content copied, archived, kept and brought back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use storage::{Check, Durability, NewVolume, Parts, Record, Remedy, Storage, Volume};
use types::{ContainerId, ErrorKind};

use crate::support::{Data, Tar, assert_clean, chain, has_old, is_root, names, run, skip};

fn new(name: &str) -> NewVolume {
    NewVolume {
        name: name.parse().unwrap(),
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
    }
}

fn with_option(name: &str, key: &str, value: &str) -> NewVolume {
    NewVolume {
        options: BTreeMap::from([(key.to_owned(), value.to_owned())]),
        ..new(name)
    }
}

fn made(storage: &Storage, name: &str) -> Volume {
    storage.create_volume(&new(name)).unwrap()
}

fn record(data: &Data, byte: u8) -> Record {
    let image = match data.storage.image("base") {
        Ok(image) => image,
        Err(_) => data
            .import(&Tar::new().file("f", b"x").build(), "base")
            .unwrap(),
    };
    Record {
        id: ContainerId::from_random([byte; 32]),
        name: format!("c{byte}"),
        image: image.id,
        body: "{}".to_owned(),
    }
}

fn create(data: &Data, byte: u8, volumes: &[(&str, bool)]) -> ContainerId {
    let record = record(data, byte);
    let stage = |(name, own): &(&str, bool)| data.storage.stage_volume(new(name), *own).unwrap();
    let parts = Parts {
        volumes: volumes.iter().map(stage).collect(),
        images: Vec::new(),
    };
    data.storage
        .create_container_with(&record, None, false, parts)
        .unwrap();
    record.id
}

#[test]
fn a_volume_lives_until_it_is_removed() {
    let data = Data::new();
    let volume = made(&data.storage, "db");
    assert_eq!(
        std::fs::metadata(&volume.path).unwrap().mode() & 0o7777,
        0o755
    );
    std::fs::write(volume.path.join("kept"), "text").unwrap();
    // Of the same name it is the same one.
    assert_eq!(made(&data.storage, "db"), volume);
    let root = data.root();
    let Data { storage, dir } = data;
    drop(storage);
    let storage = Storage::open(&root).unwrap();
    let again = storage.volume("db").unwrap();
    assert_eq!(again, volume);
    assert!(again.path.join("kept").exists());
    storage.remove_volume("db").unwrap();
    let error = storage.volume("db").unwrap_err();
    assert_eq!(error.to_string(), "get db: no such volume");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!volume.path.exists());
    assert_clean(&root);
    drop(dir);
}

#[test]
fn a_volume_in_use_stays() {
    let data = Data::new();
    made(&data.storage, "db");
    let id = create(&data, 1, &[("db", false), ("made-with-it", true)]);
    let storage = &data.storage;
    assert_eq!(
        storage.volume("db").unwrap().users,
        std::slice::from_ref(&id)
    );
    let error = storage.remove_volume("db").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("remove db: volume is in use - [{id}]")
    );
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let renamed = storage.rename_volume("db", &"other".parse().unwrap());
    assert_eq!(renamed.unwrap_err().kind(), ErrorKind::Conflict);
    // Without being told so, what was made with a container stays too.
    let second = create(&data, 2, &[("also", true)]);
    storage
        .remove_container(&second, Durability::Power)
        .unwrap();
    storage.volume("also").unwrap();
    // What others have got meanwhile stays.
    let third = create(&data, 3, &[("made-with-it", false), ("third", true)]);
    storage
        .remove_container_with_volumes(&id, Durability::Power)
        .unwrap();
    storage.volume("made-with-it").unwrap();
    storage
        .remove_container_with_volumes(&third, Durability::Power)
        .unwrap();
    let left: Vec<_> = storage.volumes().unwrap();
    let left: Vec<_> = left.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(left, ["also", "db", "made-with-it"]);
    data.assert_clean();
}

#[test]
fn a_container_that_is_not_made_leaves_no_volume() {
    let data = Data::new();
    create(&data, 1, &[]);
    let mut second = record(&data, 2);
    second.name = "c1".to_owned();
    let staged = data.storage.stage_volume(new("fresh"), false).unwrap();
    let parts = Parts {
        volumes: vec![staged],
        images: Vec::new(),
    };
    let error = data
        .storage
        .create_container_with(&second, None, false, parts)
        .unwrap_err();
    assert!(error.to_string().contains("already in use"), "{error}");
    assert!(data.storage.volume("fresh").is_err());
    data.assert_clean();
    assert_eq!(names(&data.root().join("volumes")), [""; 0]);
}

#[test]
fn an_image_that_is_mounted_stays() {
    let data = Data::new();
    let other = data
        .import(&Tar::new().file("g", b"y").build(), "other")
        .unwrap();
    let record = record(&data, 1);
    let parts = Parts {
        volumes: Vec::new(),
        images: vec![other.id.clone()],
    };
    data.storage
        .create_container_with(&record, None, false, parts)
        .unwrap();
    let error = data.storage.remove("other", false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    data.storage
        .remove_container(&record.id, Durability::Power)
        .unwrap();
    data.storage.remove("other", false).unwrap();
}

/// A directory with one of everything.
fn fill(dir: &Path) {
    std::fs::create_dir_all(dir.join("a/b")).unwrap();
    std::fs::write(dir.join("a/file"), "text").unwrap();
    std::fs::hard_link(dir.join("a/file"), dir.join("a/b/again")).unwrap();
    symlink("../../outside", dir.join("a/link")).unwrap();
    let long = format!("{}-ü", "n".repeat(200));
    std::fs::write(dir.join(&long), "long").unwrap();
    symlink("t".repeat(300), dir.join("far")).unwrap();
    std::fs::write(dir.join(".wh.not-a-whiteout"), "stays").unwrap();
    let sparse = std::fs::File::create(dir.join("sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", (1 << 30) - 3).unwrap();
    let mode = std::fs::Permissions::from_mode;
    std::fs::set_permissions(dir.join("a/file"), mode(0o4751)).unwrap();
    std::fs::set_permissions(dir, mode(0o1777)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(dir.join("a/b"), Some(4_000_000), Some(70)).unwrap();
        std::os::unix::fs::lchown(dir.join("a/link"), Some(33), Some(33)).unwrap();
        let set = |key: &str, value: &[u8]| {
            let parent = sys::dir::Dir::open(&dir.join("a")).unwrap();
            sys::xattr::set(&parent, "file".as_ref(), key.as_ref(), value)
        };
        set("trusted.note", b"a\0b\n").unwrap();
        // cap_net_raw=ep (linux/capability.h, struct vfs_cap_data).
        let capability = [
            1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        set("security.capability", &capability).unwrap();
    }
}

/// What tests compare: a line for each name.
fn listing(dir: &Path) -> BTreeSet<String> {
    fn walk(root: &Path, at: &Path, lines: &mut BTreeSet<String>) {
        let status = std::fs::symlink_metadata(at).unwrap();
        let parent = sys::dir::Dir::open(at.parent().unwrap()).unwrap();
        let name = at.file_name().unwrap();
        let keys = sys::xattr::list(&parent, name).unwrap();
        let mut attributes: Vec<_> = keys
            .iter()
            .map(|key| (key, sys::xattr::get(&parent, name, key).unwrap()))
            .collect();
        attributes.sort();
        let content = match status.file_type() {
            kind if kind.is_symlink() => format!("{:?}", std::fs::read_link(at).unwrap()),
            kind if kind.is_file() && status.len() < 1 << 20 => {
                format!("{:?}", std::fs::read(at).unwrap())
            }
            kind if kind.is_file() => format!("{} in few blocks: {}", status.len(), {
                status.blocks() < 4096
            }),
            _ => String::new(),
        };
        lines.insert(format!(
            "{:?} {:o} {}:{} links {} at {}.{} {attributes:?} {content}",
            at.strip_prefix(root).unwrap(),
            status.mode(),
            status.uid(),
            status.gid(),
            if status.is_dir() { 0 } else { status.nlink() },
            status.mtime(),
            status.mtime_nsec(),
        ));
        if status.is_dir() {
            for name in names(at) {
                walk(root, &at.join(name), lines);
            }
        }
    }
    let mut lines = BTreeSet::new();
    walk(dir, dir, &mut lines);
    lines
}

#[test]
fn a_clone_and_an_archive_hold_everything() {
    let data = Data::new();
    let storage = &data.storage;
    let volume = made(storage, "source");
    fill(&volume.path);
    let before = listing(&volume.path);
    storage.clone_volume("source", &new("twin")).unwrap();
    assert_eq!(listing(&storage.volume("twin").unwrap().path), before);
    let mut archive = Vec::new();
    storage.export_volume("source", &mut archive).unwrap();
    assert!(archive.len() < 1 << 20, "{}", archive.len());
    let imported = new("imported");
    storage
        .import_volume(&imported, false, &mut archive.as_slice())
        .unwrap()
        .commit()
        .unwrap();
    let imported_path = storage.volume("imported").unwrap().path;
    assert_eq!(listing(&imported_path), before);
    // The same files make the same archive.
    let mut again = Vec::new();
    storage.export_volume("imported", &mut again).unwrap();
    assert!(again == archive);
    let error = storage.clone_volume("source", &new("twin")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a volume with the name twin exists already"
    );
    // GNU tar reads it.
    let place = data.dir.path().join("gnu");
    std::fs::create_dir(&place).unwrap();
    let file = data.dir.path().join("archive.tar");
    std::fs::write(&file, &archive).unwrap();
    let arguments = ["--xattrs", "--xattrs-include=*", "-xpf"];
    let paths = [file.to_str().unwrap(), "-C", place.to_str().unwrap()];
    run("tar", arguments.iter().chain(&paths));
    if is_root() {
        let plain = |lines: BTreeSet<String>| -> Vec<String> { lines.into_iter().collect() };
        assert_eq!(plain(listing(&place)), plain(before));
    }
    data.assert_clean();
}

#[test]
fn what_is_full_is_replaced_only_when_told() {
    let data = Data::new();
    let storage = &data.storage;
    std::fs::write(made(storage, "db").path.join("old"), "old").unwrap();
    let tar = Tar::new().file("new", b"new").build();
    let import = |replace| storage.import_volume(&new("db"), replace, &mut tar.as_slice());
    let error = import(false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    import(true).unwrap().commit().unwrap();
    let path = storage.volume("db").unwrap().path;
    assert_eq!(names(&path), ["new"]);
    // What is no archive changes nothing.
    // Without what fills the last block up it is one.
    for bad in [&b"not a tar"[..], b"", &tar[..514]] {
        let error = storage
            .import_volume(&new("db"), true, &mut &bad[..])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(names(&path), ["new"]);
    }
    let hostile = Tar::new()
        .symlink("out", "/")
        .file("out/../../escaped", b"x")
        .build();
    let error = storage
        .import_volume(&new("hostile"), true, &mut hostile.as_slice())
        .unwrap_err();
    assert!(chain(&error).contains("leads outside"), "{}", chain(&error));
    let inside = Tar::new()
        .symlink("out", "/etc")
        .file("out/planted-by-a-test", b"x")
        .build();
    // The link leads nowhere but into the volume.
    let answer = storage.import_volume(&new("hostile"), true, &mut inside.as_slice());
    assert!(!Path::new("/etc/planted-by-a-test").exists());
    drop(answer.map(storage::NewContent::commit));
    data.assert_clean();
}

#[test]
fn a_snapshot_brings_content_back() {
    let data = Data::new();
    let storage = &data.storage;
    let file = |name: &str| storage.volume("db").unwrap().path.join(name);
    made(storage, "db");
    std::fs::write(file("state"), "one").unwrap();
    storage.snapshot_volume("db", "first").unwrap();
    std::fs::write(file("state"), "two").unwrap();
    let taken = storage.snapshot_volume("db", "first").unwrap_err();
    assert_eq!(
        taken.to_string(),
        "the volume db has a snapshot first already"
    );
    storage.snapshot_volume("db", "second").unwrap();
    storage
        .restore_volume("db", "first")
        .unwrap()
        .commit()
        .unwrap();
    assert_eq!(std::fs::read_to_string(file("state")).unwrap(), "one");
    storage
        .restore_volume("db", "second")
        .unwrap()
        .commit()
        .unwrap();
    assert_eq!(std::fs::read_to_string(file("state")).unwrap(), "two");
    storage
        .rename_volume("db", &"data".parse().unwrap())
        .unwrap();
    let volume = storage.volume("data").unwrap();
    let kept: Vec<_> = volume.snapshots.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(kept, ["first", "second"]);
    storage.remove_volume_snapshot("data", "first").unwrap();
    let error = storage.restore_volume("data", "first").unwrap_err();
    assert_eq!(error.to_string(), "the volume data has no snapshot first");
    for bad in ["", "a/b", "..\n", &"x".repeat(256)] {
        let error = storage.snapshot_volume("data", bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    // They go with their volume.
    storage.remove_volume("data").unwrap();
    data.assert_clean();
    assert_eq!(names(&data.root().join("volumes")), [""; 0]);
}

#[test]
fn options_say_what_is_mounted() {
    let data = Data::new();
    let storage = &data.storage;
    let options = [
        ("type", "tmpfs"),
        ("device", "tmpfs"),
        ("o", "size=1m,uid=7"),
    ];
    let volume = NewVolume {
        options: options.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..new("memory")
    };
    let mount = storage.create_volume(&volume).unwrap().mount().unwrap();
    assert_eq!(
        (
            mount.kind.as_str(),
            mount.source.to_str(),
            mount.options.join(",")
        ),
        ("tmpfs", Some("tmpfs"), "size=1m,uid=7".to_owned())
    );
    let error = storage.clone_volume("memory", &new("twin")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the volume memory cannot be cloned: its files are where its options say, not in the store"
    );
    let error = storage
        .create_volume(&with_option("x1", "colour", "red"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    data.assert_clean();
}

#[test]
fn a_check_finds_lost_and_strange_directories() {
    let data = Data::new();
    let storage = &data.storage;
    let lost = made(storage, "lost");
    std::fs::remove_dir(&lost.path).unwrap();
    std::fs::create_dir(data.root().join("volumes/not-one")).unwrap();
    let check = |repair| {
        let check = Check {
            repair,
            runs: &|_| false,
        };
        let checked = storage.check(&check, &mut |_| {}).unwrap();
        let problems = checked.problems.into_iter();
        let mut texts: Vec<_> = problems.map(|p| (p.text, p.remedy)).collect();
        texts.sort_by(|a, b| a.0.cmp(&b.0));
        texts
    };
    let found = check(false);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[1].0, "the files of the volume lost are gone");
    assert!(found[0].0.ends_with("volumes/not-one belongs to nothing"));
    assert!(
        check(true)
            .iter()
            .all(|(_, remedy)| *remedy == Remedy::Mended)
    );
    assert_eq!(check(false), []);
    assert!(lost.path.is_dir());
}

/// Set for the process that is killed.
const ROOT: &str = "STORAGE_TEST_VOLUME_ROOT";

/// An archive of files that all hold the same letter.
fn letters(letter: u8) -> Vec<u8> {
    let mut tar = Tar::new().dir("d");
    for i in 0..30 {
        tar = tar.file(&format!("d/{i}"), &vec![letter; 2000]);
    }
    tar.build()
}

/// The one letter of a volume.
fn letter(path: &Path) -> u8 {
    let files = names(&path.join("d"));
    assert_eq!(files.len(), 30, "{}", path.display());
    let mut found = BTreeSet::new();
    for name in files {
        let content = std::fs::read(path.join("d").join(name)).unwrap();
        assert_eq!(content.len(), 2000);
        found.extend(content);
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop_first().unwrap()
}

/// Not a test of its own: changes volumes until it is killed.
#[test]
fn changes_volumes_until_it_is_killed() {
    let Ok(root) = std::env::var(ROOT) else {
        return;
    };
    let storage = Storage::open(Path::new(&root)).unwrap();
    let mut out = std::io::stdout();
    for turn in 0_u32.. {
        let other = b'a' + u8::try_from(turn % 20).unwrap();
        writeln!(out, "turn").unwrap();
        let tar = letters(other);
        storage
            .import_volume(&new("db"), true, &mut tar.as_slice())
            .unwrap()
            .commit()
            .unwrap();
        let _ = storage.remove_volume_snapshot("db", "kept");
        storage.snapshot_volume("db", "kept").unwrap();
        let _ = storage.remove_volume("twin");
        storage.clone_volume("db", &new("twin")).unwrap();
        storage
            .restore_volume("db", "kept")
            .unwrap()
            .commit()
            .unwrap();
    }
}

#[test]
fn a_killed_process_leaves_the_old_or_the_new() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    let storage = Storage::open(&root).unwrap();
    let tar = letters(b'z');
    storage
        .import_volume(&new("db"), false, &mut tar.as_slice())
        .unwrap()
        .commit()
        .unwrap();
    drop(storage);
    for round in 0..8_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "volumes::changes_volumes_until_it_is_killed",
                "--nocapture",
            ])
            .env(ROOT, &root)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut turns = lines.by_ref().filter(|line| {
            let line = line.as_ref().unwrap();
            line.ends_with("turn")
        });
        for _ in 0..=round % 3 {
            turns.next().unwrap().unwrap();
        }
        // Not to wait for anything: to be killed in the middle of something.
        std::thread::sleep(Duration::from_micros(round * 3700));
        child.kill().unwrap();
        child.wait().unwrap();
        let storage = Storage::open(&root).unwrap();
        let mut known = 0;
        for volume in storage.volumes().unwrap() {
            letter(&volume.path);
            known += 1 + volume.snapshots.len();
        }
        assert_eq!(names(&root.join("volumes")).len(), known, "round {round}");
        assert_clean(&root);
    }
}

/// Set for the process that has a disk of its own.
const DISK: &str = "STORAGE_TEST_VOLUME_DISK";

/// Not a test of its own: runs on a disk that shares blocks between files.
#[test]
fn on_a_disk_with_references() {
    let Ok(disk) = std::env::var(DISK) else {
        return;
    };
    let storage = Storage::open(&Path::new(&disk).join("data")).unwrap();
    let volume = made(&storage, "source");
    // More than half of what is left.
    std::fs::write(volume.path.join("large"), vec![7; 200 << 20]).unwrap();
    let copied = storage.clone_volume("source", &new("twin")).unwrap();
    assert_eq!((copied.by_reference, copied.by_bytes), (1, 0));
    storage.snapshot_volume("source", "kept").unwrap();
    std::fs::write(volume.path.join("large"), "gone").unwrap();
    storage
        .restore_volume("source", "kept")
        .unwrap()
        .commit()
        .unwrap();
    let path = storage.volume("source").unwrap().path;
    assert_eq!(
        std::fs::metadata(path.join("large")).unwrap().len(),
        200 << 20
    );
}

/// Not a test of its own: runs on a disk with project quotas.
#[test]
fn on_a_disk_with_quotas() {
    let Ok(disk) = std::env::var(DISK) else {
        return;
    };
    let storage = Storage::open(&Path::new(&disk).join("data")).unwrap();
    // As who has no CAP_SYS_RESOURCE, like containers: ext4 does not hold others to a limit.
    let write = |name: &str, megabytes: usize| {
        let path = storage.volume(name).unwrap().path.join("file");
        let resource = sys::caps::Capabilities::named("SYS_RESOURCE").unwrap();
        let _held = sys::caps::without(resource).unwrap();
        let answer = std::fs::write(&path, vec![7; megabytes << 20]);
        answer.map_err(|error| error.raw_os_error().unwrap())
    };
    storage
        .create_volume(&with_option("small", "size", "1m"))
        .unwrap();
    // EDQUOT or ENOSPC.
    let error = write("small", 2).unwrap_err();
    assert!([122, 28].contains(&error), "{error}");
    made(&storage, "large");
    write("large", 4).unwrap();
    // Also what it is given as a whole is held to the limit.
    let mut archive = Vec::new();
    storage.export_volume("large", &mut archive).unwrap();
    let small = with_option("small", "size", "1m");
    let error = storage
        .import_volume(&small, true, &mut archive.as_slice())
        .unwrap_err();
    assert!(chain(&error).contains("\"file\""), "{}", chain(&error));
    let small = with_option("twin", "size", "1m");
    let error = storage.clone_volume("large", &small).unwrap_err();
    assert!(chain(&error).contains("/file"), "{}", chain(&error));
    std::fs::remove_file(storage.volume("small").unwrap().path.join("file")).unwrap();
    storage.snapshot_volume("small", "kept").unwrap();
    storage
        .restore_volume("small", "kept")
        .unwrap()
        .commit()
        .unwrap();
    let error = write("small", 2).unwrap_err();
    assert!([122, 28].contains(&error), "{error}");
    storage.remove_volume("small").unwrap();
}

/// Runs a test of this file on a disk of its own, in a mount namespace of its own.
fn on_disk(make: &[&str], options: &str, size: u64, test: &str) {
    if !is_root() || !has_old(make[0]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (image, point): (PathBuf, PathBuf) = (dir.path().join("disk"), dir.path().join("point"));
    std::fs::File::create(&image)
        .unwrap()
        .set_len(size)
        .unwrap();
    std::fs::create_dir(&point).unwrap();
    run(make[0], make[1..].iter().chain(&[image.to_str().unwrap()]));
    let script = r#"
        mount -o "$1" "$2" "$3" || exit 77
        exec "$4" --exact "$5" --nocapture
    "#;
    let output = Command::new("unshare")
        .args([
            "-m",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            options,
        ])
        .args([&image, &point])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("volumes::{test}"))
        .env(DISK, &point)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        skip(&format!("no such file system here: {}", error.trim()));
        return;
    }
    assert!(output.status.success(), "{error}");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("1 passed"), "{out}");
}

#[test]
fn clones_and_snapshots_share_blocks() {
    let make = ["mkfs.xfs", "-q", "-m", "reflink=1"];
    on_disk(&make, "loop", 512 << 20, "on_a_disk_with_references");
}

#[test]
fn clones_and_snapshots_share_blocks_on_btrfs() {
    let make = ["mkfs.btrfs", "-q"];
    on_disk(&make, "loop", 512 << 20, "on_a_disk_with_references");
}

#[test]
fn a_volume_is_held_to_its_size() {
    let make = [
        "mkfs.ext4",
        "-q",
        "-O",
        "quota,project",
        "-E",
        "quotatype=prjquota",
    ];
    on_disk(&make, "loop,prjquota", 64 << 20, "on_a_disk_with_quotas");
}

#[test]
fn a_volume_is_held_to_its_size_on_xfs() {
    let make = ["mkfs.xfs", "-q"];
    on_disk(&make, "loop,prjquota", 512 << 20, "on_a_disk_with_quotas");
}

#[test]
fn a_size_that_cannot_be_kept_is_refused() {
    let data = Data::new();
    match data.storage.create_volume(&with_option("x1", "size", "1g")) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            let text = error.to_string();
            assert!(
                text.starts_with("quota size requested but no quota support"),
                "{text}"
            );
            assert!(data.storage.volume("x1").is_err());
        }
        Ok(_) => skip("the temporary directory has project quotas"),
    }
    data.assert_clean();
}
