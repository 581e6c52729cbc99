//! kill -9 at any moment, also while the disk is full, leaves a store that opens, and in which everything
//! that was said to be done is done.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use storage::{Check, Durability, Import, Opened, Record, Storage, Watermarks};
use types::{ContainerId, Platform};

use crate::full_disk::{fill, is_full, on_small_disk};
use crate::pull::{Remote, gzip, host};
use crate::support::{Tar, assert_clean, chain, has, is_root, names};

/// Set for the process that is killed.
const ROOT: &str = "STORAGE_TEST_CRASH_ROOT";
const SEED: &str = "STORAGE_TEST_CRASH_SEED";
/// Set for the process that has a small disk mounted here.
const DISK: &str = "STORAGE_TEST_CRASH_DISK";
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
        "relieve", "push", "prune",
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

/// An operation ends well, or the disk is full.
type Done = Result<(), storage::Error>;

/// Pulls an image of two layers, or stops in the middle of the second.
fn pull(storage: &Storage, number: &str, cut: bool) -> Done {
    let mut remote = Remote::default();
    let layers = [tar(number), tar(&format!("{number}.top"))];
    let layers = layers.each_ref().map(|tar| (&tar[..], gzip(tar, 1)));
    let root = remote.image(&Platform::host().to_string(), &layers);
    let pull = storage.pull(&root, &remote.blobs[&root.digest], host())?;
    if !cut {
        remote.bring(&pull)?;
        let name = format!("image:{number}").parse().unwrap();
        return pull.commit(&[name], Some("localhost/image")).map(drop);
    }
    for layer in pull.missing()?.layers {
        if let Opened::Ours(mut ingest) = pull.open(&layer)? {
            let rest = &remote.blobs[&layer.digest][usize::try_from(ingest.offset()).unwrap()..];
            ingest.write(&rest[..rest.len() / 2])?;
        }
    }
    Ok(())
}

/// Reads all that a registry would be sent, and remembers that it has it.
fn push(storage: &Storage, name: &str) -> Done {
    let push = storage.push(name, None)?;
    let blobs = push.blobs().iter().map(|blob| &blob.descriptor);
    for part in blobs.chain(push.documents()) {
        let mut bytes = Vec::new();
        let read = std::io::Read::read_to_end(&mut push.open(&part.digest, 0)?, &mut bytes);
        assert_eq!(read.unwrap() as u64, part.size);
        assert_eq!(crate::pull::digest(&bytes), part.digest);
    }
    push.pushed(&name.parse().unwrap())
}

/// Removes the images that nothing names.
fn prune(storage: &Storage) -> Done {
    let users = storage.records().all()?;
    for image in storage.images()? {
        let used = users.iter().any(|record| record.image == image.id);
        if image.references.is_empty() && !used {
            storage.remove(&image.id.to_string(), false)?;
        }
    }
    Ok(())
}

fn create(storage: &Storage, number: &str) -> Done {
    let name = format!("image:{number}");
    let records = storage.records().all()?;
    let image = match storage.image(&name) {
        Ok(image) if records.iter().all(|r| r.id != container(number)) => image.id,
        _ => return Ok(()),
    };
    let record = Record {
        id: container(number),
        name,
        image,
        body: "{}".to_owned(),
    };
    storage.create_container(&record, number == "0").map(drop)
}

fn perform(storage: &Storage, archive: &[u8], operation: &str) -> Done {
    let (verb, number) = operation.split_once(' ').unwrap();
    let name = format!("image:{number}");
    let here = storage.image(&name).is_ok();
    match verb {
        "import" => {
            let reference = Some(name.parse().unwrap());
            let import = Import {
                reference,
                ..Import::default()
            };
            let tar = tar(number);
            storage.import(&mut tar.as_slice(), &import).map(drop)
        }
        "load" => storage.load(&mut &archive[..]).map(drop),
        "tag" if here => storage.tag(&name, &format!("tagged:{number}").parse().unwrap()),
        "untag" if here => storage.remove(&name, true).map(drop),
        "create" => create(storage, number),
        "pull" | "cut" => pull(storage, number, verb == "cut"),
        "push" if here => push(storage, &name),
        "prune" => prune(storage),
        "compact" => storage.compact(&AtomicBool::new(false)).map(drop),
        "relieve" => {
            let marks = Watermarks { high: 0, low: 0 };
            // Only one goes, or there would be nothing for the others.
            let spare =
                |image: &storage::Image| !image.references.iter().any(|r| r.familiar() == name);
            let relieved = storage.relieve(marks, &spare, &AtomicBool::new(false));
            relieved.map(drop)
        }
        "drop" => storage.remove_container(&container(number), Durability::Process),
        _ => Ok(()),
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
    let small = std::env::var(DISK).is_ok();
    let mut out = std::io::stdout();
    let mut say = |text: String| {
        writeln!(out, "{text}").unwrap();
        out.flush().unwrap();
    };
    let archive = std::fs::read(Path::new(&root).with_extension("archive")).unwrap();
    let storage = match Storage::open(Path::new(&root)) {
        Err(error) if small && is_full(&chain(&error)) => return say("full".to_owned()),
        opened => opened.unwrap(),
    };
    say("ready".to_owned());
    loop {
        let operation = operation(&mut random);
        say(format!("begin {operation}"));
        let done = perform(&storage, &archive, &operation).map_err(|error| chain(&error));
        let full = |error: &String| small && is_full(error);
        assert!(
            done.as_ref().err().is_none_or(full),
            "{operation}: {done:?}"
        );
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

/// Kills who works in the store at random moments, and looks at what is left while nobody fills the disk.
fn kill_at_random<'a>(
    root: &Path,
    rounds: u64,
    calm: &dyn Fn() -> Option<std::sync::MutexGuard<'a, ()>>,
) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let mut child = spawn(root, random.below(u64::MAX - 1) + 1);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        for _ in 0..5 + random.below(30) {
            // Who finds no room to begin with is gone.
            said.extend(lines.next().map(Result::unwrap));
        }
        // Not to wait for anything: to be killed in the middle of something.
        std::thread::sleep(Duration::from_micros(random.below(15_000)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        said.extend(lines.map_while(Result::ok));
        // It was killed, or had found no room to begin with.
        assert!(
            status.code().is_none_or(|code| code == 0),
            "round {round}: {said:?}"
        );
        let _calm = calm();

        let storage = Storage::open(root).unwrap();
        assert_clean(root);
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
        // What was said to be done is; what was begun may be.
        if said.last().is_some_and(|last| last.starts_with("done ")) {
            assert_eq!(Some(now.as_str()), done, "round {round}");
        }
    }
}

/// Removes everything: no space is lost.
fn empty(root: &Path) {
    let storage = Storage::open(root).unwrap();
    for record in storage.records().all().unwrap() {
        storage
            .remove_container(&record.id, Durability::Power)
            .unwrap();
    }
    for image in storage.images().unwrap() {
        storage.remove(&image.id.to_string(), true).unwrap();
    }
    storage.collect_partial(true).unwrap();
    assert_clean(root);
    assert_eq!(names(&root.join("blobs/sha256")), [""; 0]);
    assert_eq!(names(&root.join("partial")), [""; 0]);
    assert_eq!(names(&root.join("layers")), ["0"]);
}

fn rounds() -> u64 {
    std::env::var(ROUNDS_VARIABLE).map_or(ROUNDS, |n| n.parse().unwrap())
}

#[test]
fn a_killed_process_leaves_a_whole_store() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    std::fs::write(root.with_extension("archive"), archive(dir.path())).unwrap();
    kill_at_random(&root, rounds(), &|| None);
    empty(&root);
}

/// Not a test of its own: runs where the small disk is.
#[test]
fn on_a_disk_that_fills() {
    let Ok(disk) = std::env::var(DISK) else {
        return;
    };
    let (disk, elsewhere) = (Path::new(&disk), tempfile::tempdir().unwrap());
    let root = disk.join("data");
    std::fs::write(root.with_extension("archive"), archive(elsewhere.path())).unwrap();
    // Held by whoever fills the disk or needs it to have room.
    let filling = std::sync::Mutex::new(());
    let (ended, filler) = (AtomicBool::new(false), disk.join("filler"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(0x2545_f491_4f6c_dd1d);
            while !ended.load(Ordering::Relaxed) {
                let pause = Duration::from_micros(random.below(20_000));
                let lock = filling.lock().unwrap();
                fill(&filler, random.below(400_000) as usize);
                std::thread::sleep(pause);
                std::fs::remove_file(&filler).unwrap();
                drop(lock);
                std::thread::sleep(pause);
            }
        });
        // An assertion that fails ends the other thread, too.
        let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            kill_at_random(&root, rounds(), &|| filling.lock().ok());
        }));
        ended.store(true, Ordering::Relaxed);
        whole.unwrap();
    });
    empty(&root);
}

#[test]
fn a_killed_process_on_a_full_disk_leaves_a_whole_store() {
    if !is_root() || !has("unshare") {
        return;
    }
    on_small_disk(DISK, "crash::on_a_disk_that_fills");
}
