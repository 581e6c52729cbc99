//! kill -9 at any moment leaves a store that opens, and in which everything that was said to be done
//! is done.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use storage::{Check, Durability, Import, Opened, Record, Storage, Watermarks};
use types::{ContainerId, Platform};

use crate::pull::{Remote, gzip, host};
use crate::support::{Tar, assert_clean, names};

/// Set for the process that is killed.
const ROOT: &str = "STORAGE_TEST_CRASH_ROOT";
const SEED: &str = "STORAGE_TEST_CRASH_SEED";
/// How often, when it is not this many times.
const ROUNDS: u64 = 60;
const ROUNDS_VARIABLE: &str = "STORAGE_TEST_CRASH_ROUNDS";

/// xorshift: repeatable, and random enough to be somewhere else each round.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// One thing done to the store, as text: the verb and what it is about.
fn operation(random: &mut Random) -> String {
    let verbs = [
        "import", "load", "tag", "untag", "create", "drop", "pull", "pull", "cut", "compact",
        "relieve",
    ];
    let verb = verbs[usize::try_from(random.below(verbs.len() as u64)).unwrap()];
    format!("{verb} {}", random.below(4))
}

fn tar(number: &str) -> Vec<u8> {
    let mut tar = Tar::new().dir("d");
    for i in 0..40 {
        tar = tar.file(&format!("d/{number}.{i}"), &vec![b'x'; 3000 * (i % 5)]);
    }
    tar.build()
}

fn container(number: &str) -> ContainerId {
    ContainerId::from_random([number.parse().unwrap(); 32])
}

/// Pulls an image of two layers, or stops in the middle of the second.
fn pull(storage: &Storage, number: &str, cut: bool) {
    let mut remote = Remote::default();
    let layers = [tar(number), tar(&format!("{number}.top"))];
    let layers = layers.each_ref().map(|tar| (&tar[..], gzip(tar, 1)));
    let root = remote.image(&Platform::host().to_string(), &layers);
    let pull = remote.begin(storage, &root, host());
    if !cut {
        remote.bring(&pull).unwrap();
        let name = format!("image:{number}").parse().unwrap();
        drop(pull.commit(&[name], Some("localhost/image")).unwrap());
        return;
    }
    for layer in pull.missing().unwrap().layers {
        if let Opened::Ours(mut ingest) = pull.open(&layer).unwrap() {
            let rest = &remote.blobs[&layer.digest][usize::try_from(ingest.offset()).unwrap()..];
            ingest.write(&rest[..rest.len() / 2]).unwrap();
        }
    }
}

fn perform(storage: &Storage, archive: &[u8], operation: &str) {
    let (verb, number) = operation.split_once(' ').unwrap();
    let name = format!("image:{number}");
    let records = storage.records();
    let exists = records
        .all()
        .unwrap()
        .iter()
        .any(|r| r.id == container(number));
    match verb {
        "import" => {
            let reference = Some(name.parse().unwrap());
            let import = Import {
                reference,
                ..Import::default()
            };
            storage
                .import(&mut tar(number).as_slice(), &import)
                .unwrap();
        }
        "load" => drop(storage.load(&mut &archive[..]).unwrap()),
        "tag" => drop(storage.tag(&name, &format!("tagged:{number}").parse().unwrap())),
        "untag" => drop(storage.remove(&name, true)),
        "create" if !exists => {
            if let Ok(image) = storage.image(&name) {
                let (image, body) = (image.id, "{}".to_owned());
                let record = Record {
                    id: container(number),
                    name: name.clone(),
                    image,
                    body,
                };
                storage.create_container(&record, number == "0").unwrap();
            }
        }
        "pull" | "cut" => pull(storage, number, verb == "cut"),
        "compact" => drop(storage.compact(&AtomicBool::new(false)).unwrap()),
        "relieve" => {
            let marks = Watermarks { high: 0, low: 0 };
            // Only one goes, or there would be nothing for the others.
            let spare =
                |image: &storage::Image| !image.references.iter().any(|r| r.familiar() == name);
            drop(
                storage
                    .relieve(marks, &spare, &AtomicBool::new(false))
                    .unwrap(),
            );
        }
        "drop" => storage
            .remove_container(&container(number), Durability::Process)
            .unwrap(),
        _ => {}
    }
}

/// Names and containers, to compare.
fn contents(storage: &Storage) -> BTreeSet<String> {
    let images = storage.images().unwrap();
    let names = images.iter().flat_map(|image| {
        image
            .references
            .iter()
            .map(|name| format!("{} {}", name.familiar(), image.id))
    });
    let records = storage.records().all().unwrap();
    names
        .chain(records.iter().map(|record| record.name.clone()))
        .collect()
}

/// Not a test of its own: the process that works until it is killed. It says what it is about to do,
/// and after it what the store then holds.
#[test]
fn worker() {
    let Ok(root) = std::env::var(ROOT) else {
        return;
    };
    let mut random = Random(std::env::var(SEED).unwrap().parse().unwrap());
    let storage = Storage::open(Path::new(&root)).unwrap();
    let archive = std::fs::read(Path::new(&root).with_extension("archive")).unwrap();
    let mut out = std::io::stdout();
    let mut say = |text: String| {
        writeln!(out, "{text}").unwrap();
        out.flush().unwrap();
    };
    say("ready".to_owned());
    loop {
        let operation = operation(&mut random);
        say(format!("begin {operation}"));
        perform(&storage, &archive, &operation);
        say(format!("done {:?}", contents(&storage)));
    }
}

fn spawn(root: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::worker",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROOT, root)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// An archive of two images.
fn archive(dir: &Path) -> Vec<u8> {
    let storage = Storage::open(&dir.join("source")).unwrap();
    for number in ["7", "8"] {
        let reference = Some(format!("loaded:{number}").parse().unwrap());
        let import = Import {
            reference,
            ..Import::default()
        };
        storage
            .import(&mut tar(number).as_slice(), &import)
            .unwrap();
    }
    let mut archive = Vec::new();
    let names = ["loaded:7", "loaded:8"].map(str::to_owned);
    storage.save(&names, &mut archive).unwrap();
    archive
}

#[test]
fn a_killed_process_leaves_a_whole_store() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::write(root.with_extension("archive"), archive(dir.path())).unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let rounds = std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |n| n.parse().unwrap());
    for round in 0..rounds {
        let mut child = spawn(&root, random.below(u64::MAX - 1) + 1);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        for _ in 0..5 + random.below(30) {
            said.push(lines.next().unwrap().unwrap());
        }
        // Not to wait for anything: to be killed in the middle of something.
        std::thread::sleep(Duration::from_micros(random.below(15_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(lines.map_while(Result::ok));

        let storage = Storage::open(&root).unwrap();
        assert_clean(&root);
        let check = Check {
            repair: false,
            runs: &|_| false,
        };
        let checked = storage.check(&check, &mut |_| {}).unwrap();
        assert_eq!(checked.problems, [], "round {round}");
        let now = format!("{:?}", contents(&storage));
        let done = said
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix("done "));
        let last = said.last().unwrap();
        // What was said to be done is; what was begun may be.
        if !last.starts_with("begin ") {
            assert_eq!(Some(now.as_str()), done, "round {round}");
        }
    }
    let storage = Storage::open(&root).unwrap();
    for record in storage.records().all().unwrap() {
        storage
            .remove_container(&record.id, Durability::Power)
            .unwrap();
    }
    for image in storage.images().unwrap() {
        storage.remove(&image.id.to_string(), true).unwrap();
    }
    storage.collect_partial(true).unwrap();
    assert_clean(&root);
    // No space is lost.
    assert_eq!(names(&root.join("blobs/sha256")), [""; 0]);
    assert_eq!(names(&root.join("partial")), [""; 0]);
    assert_eq!(names(&root.join("layers")), ["0"]);
}
