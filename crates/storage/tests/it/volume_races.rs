//! Volumes whose content is replaced, or written to, while somebody copies it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use storage::{NewVolume, Parts, Record, Storage};
use sys::dir::Dir;
use types::{ContainerId, ErrorKind};

use crate::support::{Data, Tar, names};

fn new(name: &str) -> NewVolume {
    NewVolume {
        name: name.parse().unwrap(),
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
    }
}

/// An archive of many files that all hold one letter.
fn letters(letter: u8) -> Vec<u8> {
    let tar = (0..20).fold(Tar::new(), |tar, n| {
        tar.file(&format!("{n}"), &[letter; 500])
    });
    tar.build()
}

fn import(storage: &Storage, name: &str, letter: u8) {
    let content = storage.import_volume(&new(name), true, &mut letters(letter).as_slice());
    content.unwrap().commit().unwrap();
}

/// All files are there, and all of one letter.
fn assert_whole(path: &Path) {
    let files = names(path);
    assert_eq!(files.len(), 20, "{}", path.display());
    let contents = files
        .iter()
        .map(|name| std::fs::read(path.join(name)).unwrap());
    assert_eq!(contents.collect::<BTreeSet<_>>().len(), 1);
}

/// Says when it is over.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_copy_is_of_one_content() {
    let data = Data::new();
    let storage = &data.storage;
    import(storage, "db", b'a');
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let replaces = scope.spawn(|| {
            for letter in (b'a'..=b'z').cycle() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                import(storage, "db", letter);
            }
        });
        // Also when what follows panics.
        let over = Ends(&ends);
        for turn in 0..6 {
            let (copy, kept) = (format!("copy{turn}"), format!("kept{turn}"));
            match storage.clone_volume("db", &new(&copy)) {
                Ok(_) => assert_whole(&storage.volume(&copy).unwrap().path),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
            if let Err(error) = storage.snapshot_volume("db", &kept) {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
            }
        }
        drop(over);
        replaces.join().unwrap();
    });
    let kept = storage.volume("db").unwrap().snapshots;
    for snapshot in kept {
        let content = storage.restore_volume("db", &snapshot.name).unwrap();
        content.commit().unwrap();
        assert_whole(&storage.volume("db").unwrap().path);
    }
    data.assert_clean();
}

/// Gives the volume other content as soon as it is written to.
struct Replaces<'a>(Option<&'a Storage>);

impl Write for Replaces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(storage) = self.0.take() {
            import(storage, "db", b'b');
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_archive_of_what_was_replaced_is_not_taken_for_whole() {
    let data = Data::new();
    import(&data.storage, "db", b'a');
    let mut out = Replaces(Some(&data.storage));
    let error = data.storage.export_volume("db", &mut out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the content of the volume db was replaced by somebody else meanwhile"
    );
    assert_whole(&data.storage.volume("db").unwrap().path);
    data.storage.export_volume("db", &mut out).unwrap();
    data.assert_clean();
}

#[test]
fn a_snapshot_that_goes_meanwhile_is_not_brought_back() {
    let data = Data::new();
    let storage = &data.storage;
    import(storage, "db", b'a');
    storage.snapshot_volume("db", "kept").unwrap();
    import(storage, "db", b'b');
    let content = storage.restore_volume("db", "kept").unwrap();
    storage.remove_volume_snapshot("db", "kept").unwrap();
    // Another one of that name is another one.
    storage.snapshot_volume("db", "kept").unwrap();
    assert_eq!(content.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert_whole(&storage.volume("db").unwrap().path);
    data.assert_clean();
}

#[test]
fn what_came_meanwhile_is_not_replaced() {
    let data = Data::new();
    let storage = &data.storage;
    let path = storage.create_volume(&new("db")).unwrap().path;
    let content = storage.import_volume(&new("db"), false, &mut letters(b'a').as_slice());
    let content = content.unwrap();
    std::fs::write(path.join("mine"), "mine").unwrap();
    let error = content.commit().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the volume db is not empty"), "{text}");
    assert_eq!(names(&path), ["mine"]);
    data.assert_clean();
}

#[test]
fn what_came_before_an_image_was_copied_is_not_replaced() {
    let data = Data::new();
    let image = data
        .import(&Tar::new().file("f", b"x").build(), "base")
        .unwrap();
    let storage = &data.storage;
    let path = storage.create_volume(&new("db")).unwrap().path;
    let from = tempfile::tempdir().unwrap();
    std::fs::write(from.path().join("of-the-image"), "x").unwrap();
    let mut staged = storage.stage_volume(new("db"), false).unwrap();
    assert!(staged.wants_content().unwrap());
    staged.fill(&Dir::open(from.path()).unwrap()).unwrap();
    // A container had it, and is gone.
    std::fs::write(path.join("mine"), "mine").unwrap();
    let record = Record {
        id: ContainerId::from_random([1; 32]),
        name: "c1".to_owned(),
        image: image.id,
        body: "{}".to_owned(),
    };
    let parts = Parts {
        volumes: vec![staged],
        images: Vec::new(),
    };
    storage
        .create_container_with(&record, None, false, parts)
        .unwrap();
    let volume = storage.volume("db").unwrap();
    assert_eq!(names(&volume.path), ["mine"]);
    assert_eq!(volume.users, [record.id]);
    data.assert_clean();
}

#[test]
fn a_volume_is_had_by_who_makes_it_while_others_remove_it() {
    const TIMES: usize = 1500;
    let data = Data::new();
    let storage = &data.storage;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // It may be gone already.
                let _ = storage.remove_volume("data");
            }
        });
        let makers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..TIMES {
                        assert_eq!(
                            storage.create_volume(&new("data")).unwrap().name.as_str(),
                            "data"
                        );
                    }
                })
            })
            .collect();
        let ended: Vec<_> = makers.into_iter().map(|maker| maker.join()).collect();
        over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "a maker was refused");
    });
}
