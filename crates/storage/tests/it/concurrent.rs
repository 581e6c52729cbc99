//! Many at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use storage::{Durability, Import, Record};
use types::{ContainerId, ErrorKind};

use crate::support::{Data, Tar};

#[test]
fn the_same_layer_at_once_is_there_once() {
    let data = Data::new();
    let mut tar = Tar::new();
    for i in 0..200 {
        tar = tar.file(&format!("d{}/f{i}", i % 7), &vec![b'x'; i * 37]);
    }
    let tar = tar.build();
    std::thread::scope(|scope| {
        for i in 0..6 {
            let (data, tar) = (&data, &tar);
            scope.spawn(move || data.import(tar, &format!("same:{i}")).unwrap());
        }
    });
    let images = data.storage.images().unwrap();
    assert_eq!(images.len(), 6);
    assert!(images.iter().all(|image| image.layers == images[0].layers));
    assert_eq!(crate::support::names(&data.root().join("layers")).len(), 2);
    data.assert_clean();
}

#[test]
fn names_move_and_go_while_containers_come_and_go() {
    let data = Data::new();
    let tars: Vec<_> = (0..3)
        .map(|i| Tar::new().file(&format!("f{i}"), b"x").build())
        .collect();
    let archive = {
        let other = Data::new();
        other.import(&tars[0], "name:0").unwrap();
        other.import(&tars[1], "name:1").unwrap();
        let mut archive = Vec::new();
        let names = ["name:0", "name:1"].map(str::to_owned);
        other.storage.save(&names, &mut archive).unwrap();
        archive
    };
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0_u8..4 {
            let (data, tars, archive, made) = (&data, &tars, &archive, &made);
            scope.spawn(move || {
                for round in 0_u8..25 {
                    let i = usize::from(round + worker) % 3;
                    let name = format!("name:{i}");
                    match (round + worker) % 4 {
                        0 => {
                            let reference = Some(name.parse().unwrap());
                            let import = Import {
                                reference,
                                ..Import::default()
                            };
                            data.storage
                                .import(&mut tars[i].as_slice(), &import)
                                .unwrap();
                        }
                        1 => drop(data.storage.load(&mut archive.as_slice()).unwrap()),
                        2 => {
                            let target = format!("other:{i}").parse().unwrap();
                            let _ = data.storage.tag(&name, &target);
                            let _ = data
                                .storage
                                .save(std::slice::from_ref(&name), &mut Vec::new());
                        }
                        _ => drop(data.storage.remove(&name, round % 2 == 0)),
                    }
                    let Ok(image) = data.storage.image(&name) else {
                        continue;
                    };
                    let id = ContainerId::from_random([worker * 50 + round; 32]);
                    let record = Record {
                        id: id.clone(),
                        name: format!("c-{worker}-{round}"),
                        image: image.id,
                        body: String::new(),
                    };
                    match data.storage.create_container(&record, true) {
                        Ok(snapshot) => {
                            // Whatever happens to the image, its files are there.
                            let lower = &snapshot.mounts[0].lower;
                            assert_eq!(crate::support::names(&lower[0]).len(), 1);
                            made.fetch_add(1, Ordering::Relaxed);
                            data.storage
                                .remove_container(&id, Durability::Process)
                                .unwrap();
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
                    }
                }
            });
        }
    });
    assert!(made.load(Ordering::Relaxed) > 0);
    data.assert_clean();
    for image in data.storage.images().unwrap() {
        data.storage.remove(&image.id.to_string(), true).unwrap();
    }
    data.assert_clean();
    assert!(crate::support::names(&data.root().join("blobs/sha256")).is_empty());
}

#[test]
fn a_reader_that_stops_leaves_nothing() {
    struct Stops(usize);
    impl std::io::Read for Stops {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            let tar = Tar::new().file("big", &vec![7; 1 << 20]).build();
            let start = tar.len() - self.0.min(tar.len());
            let count = into.len().min(self.0 - 1024).min(tar.len() - start);
            into[..count].copy_from_slice(&tar[start..start + count]);
            self.0 = if self.0 - count <= 1024 {
                0
            } else {
                self.0 - count
            };
            Ok(count)
        }
    }
    let data = Data::new();
    let size = Tar::new().file("big", &vec![7; 1 << 20]).build().len();
    let error = data
        .storage
        .import(&mut Stops(size), &Import::default())
        .unwrap_err();
    assert_eq!(
        crate::support::chain(&error),
        "cannot read the archive: connection reset"
    );
    let error = data.storage.load(&mut Stops(size)).unwrap_err();
    assert_eq!(
        crate::support::chain(&error),
        "cannot read the archive: connection reset"
    );
    data.assert_clean();
}
