//! The power goes at any moment, and the store opens again: what was promised to survive that is there
//! and whole, what was durably removed is not back, and the rest is as it was at one moment since.
//!
//! The store lies on an ext4 whose disk is a file on an xfs, and a copy of that file by reference, made
//! in one step, is what the disk holds if the power goes then: what ext4 keeps in memory is not in it.
//! What a disk was given counts as kept, so this does not show whether its cache is flushed too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sha2::Digest as _;
use storage::{Check, Durability, Import, Record, Storage};
use types::ContainerId;

use crate::pull::{Remote, gzip, host};
use crate::support::{Tar, assert_clean, has, has_old, is_root, names, run, skip, top};

/// Set for the process that has file systems of its own.
const DIR: &str = "STORAGE_TEST_POWER_DIR";
/// Set for the process that works on the store.
const ROOT: &str = "STORAGE_TEST_POWER_ROOT";
const CUTS: usize = 8;

/// xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = self.below(from.len().max(1) as u64) as usize;
        from.get(index).copied()
    }
}

/// One thing to do to the store. `object` is an image or a container and is never used again for
/// another; `detail` is the image that a container is made of, or the version of a record.
#[derive(Debug, Clone, Copy)]
struct Operation {
    verb: &'static str,
    object: u64,
    detail: u64,
    durability: Durability,
}

const VERBS: [&str; 8] = [
    "import", "pull", "untag", "create", "update", "remove", "compact", "fold",
];

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verb,
            object,
            detail,
            durability,
        } = self;
        write!(f, "{verb} {object} {detail} {durability:?}")
    }
}

impl Operation {
    fn parse(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let durability = match words[3] {
            "Power" => Durability::Power,
            _ => Durability::Process,
        };
        Self {
            verb: VERBS.into_iter().find(|verb| *verb == words[0]).unwrap(),
            object: words[1].parse().unwrap(),
            detail: words[2].parse().unwrap(),
            durability,
        }
    }

    fn perform(&self, storage: &Storage, root: &Path) {
        let id = container(self.object);
        match self.verb {
            "import" => import(storage, self.object),
            "pull" => pull(storage, self.object),
            "compact" => drop(storage.compact(&AtomicBool::new(false)).unwrap()),
            "untag" => drop(storage.remove(&image(self.object), false).unwrap()),
            "create" => {
                let record = record(storage, self.object, self.detail, 0);
                let throwaway = self.durability == Durability::Process;
                storage.create_container(&record, throwaway).unwrap();
            }
            "update" => {
                let all = storage.records().all().unwrap();
                let mut record = all.into_iter().find(|record| record.id == id).unwrap();
                record.body = body(self.detail);
                storage.records().update(&record, self.durability).unwrap();
            }
            "remove" => storage.remove_container(&id, self.durability).unwrap(),
            _ => fold(root),
        }
    }
}

/// Folds the log into the database, as the store does now and then: the next commit then begins the
/// log anew, over what is in it.
fn fold(root: &Path) {
    let connection = rusqlite::Connection::open(root.join("brig.db")).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        .unwrap();
}

fn image(number: u64) -> String {
    format!("image:{number}")
}

fn container(number: u64) -> ContainerId {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    ContainerId::from_random(bytes)
}

/// Sometimes of more than one page of the database.
fn body(version: u64) -> String {
    format!("{version} {}", "x".repeat(3000 * (version % 3) as usize))
}

fn record(storage: &Storage, number: u64, of: u64, version: u64) -> Record {
    Record {
        id: container(number),
        name: number.to_string(),
        image: storage.image(&image(of)).unwrap().id,
        body: body(version),
    }
}

/// The files of an image, none like another image's.
fn files(number: u64) -> BTreeMap<String, Vec<u8>> {
    let file = |i: usize| {
        (
            format!("{i}"),
            format!("{number}.{i} ").repeat(500 * (i % 6)),
        )
    };
    (0..20)
        .map(file)
        .map(|(name, text)| (name, text.into_bytes()))
        .collect()
}

fn archive(number: u64) -> Vec<u8> {
    let mut tar = Tar::new().dir("d");
    for (name, bytes) in files(number) {
        tar = tar.file(&format!("d/{name}"), &bytes);
    }
    tar.build()
}

/// As somebody else compressed it: once compacted, it is made again by a recipe.
fn pull(storage: &Storage, number: u64) {
    let tar = archive(number);
    let mut remote = Remote::default();
    let root = remote.image(
        &types::Platform::host().to_string(),
        &[(&tar[..], gzip(&tar, 6))],
    );
    let pulled = remote.pull(storage, &root, host(), &image(number));
    drop(pulled.unwrap());
}

fn import(storage: &Storage, number: u64) {
    let import = Import {
        reference: Some(image(number).parse().unwrap()),
        ..Import::default()
    };
    storage
        .import(&mut archive(number).as_slice(), &import)
        .unwrap();
}

/// What is in the store: images, and containers with their images and versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Contents {
    images: BTreeSet<u64>,
    containers: BTreeMap<u64, (u64, u64)>,
}

impl Contents {
    fn apply(&mut self, operation: &Operation) {
        let Operation { object, detail, .. } = *operation;
        match operation.verb {
            "import" | "pull" => drop(self.images.insert(object)),
            "untag" => drop(self.images.remove(&object)),
            "create" => drop(self.containers.insert(object, (detail, 0))),
            "update" => self.containers.get_mut(&object).unwrap().1 = detail,
            "remove" => drop(self.containers.remove(&object)),
            _ => {}
        }
    }

    /// Reads a store.
    fn of(storage: &Storage) -> Self {
        let images = storage.images().unwrap();
        let number = |id: &types::Digest| -> u64 {
            let image = images.iter().find(|image| image.id == *id).unwrap();
            let name = image.references[0].familiar();
            name.strip_prefix("image:").unwrap().parse().unwrap()
        };
        let container = |record: Record| {
            let version = record.body.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(record.body, body(version));
            (
                record.name.parse().unwrap(),
                (number(&record.image), version),
            )
        };
        let records = storage.records().all().unwrap();
        Self {
            images: images.iter().map(|image| number(&image.id)).collect(),
            containers: records.into_iter().map(container).collect(),
        }
    }

    /// What can be done now, of one verb.
    fn choose(&self, verb: &'static str, number: u64, random: &mut Random) -> Option<Operation> {
        let images: Vec<_> = self.images.iter().copied().collect();
        let containers: Vec<_> = self.containers.keys().copied().collect();
        let used = |image: &u64| self.containers.values().any(|(of, _)| of == image);
        let unused: Vec<_> = images
            .iter()
            .copied()
            .filter(|image| !used(image))
            .collect();
        let mut durability = [Durability::Power, Durability::Process][random.below(2) as usize];
        if ["import", "pull", "untag"].contains(&verb) {
            durability = Durability::Power;
        }
        let (object, detail) = match verb {
            "import" | "pull" => (number, 0),
            "untag" => (random.pick(&unused)?, 0),
            "create" => (number, random.pick(&images)?),
            "update" => (random.pick(&containers)?, number),
            "remove" => (random.pick(&containers)?, 0),
            _ => {
                durability = Durability::Process;
                (0, 0)
            }
        };
        Some(Operation {
            verb,
            object,
            detail,
            durability,
        })
    }
}

/// Not a test of its own: the process that works until the power goes.
#[test]
fn worker() {
    let Ok(root) = std::env::var(ROOT) else {
        return;
    };
    let root = Path::new(&root);
    let storage = Storage::open(root).unwrap();
    let mut out = std::io::stdout();
    let mut say = |text: &str| {
        writeln!(out, "{text}").unwrap();
        out.flush().unwrap();
    };
    say("ready");
    for line in std::io::stdin().lines() {
        Operation::parse(&line.unwrap()).perform(&storage, root);
        say("done");
    }
}

/// The process that works, and all that it was told.
struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    random: Random,
    told: Vec<Operation>,
    /// How many of these it said to be done.
    done: usize,
    /// Before each of these, and after the last.
    moments: Vec<Contents>,
}

impl Worker {
    fn spawn(root: &Path, seed: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "power::worker",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROOT, root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
        // The harness has its own words before that, on the same line.
        let ready = answers.any(|line| line.unwrap().ends_with("ready"));
        assert!(ready, "it does not open a new store");
        Self {
            orders: child.stdin.take().unwrap(),
            child,
            answers,
            random: Random(seed),
            told: Vec::new(),
            done: 0,
            moments: vec![Contents::default()],
        }
    }

    /// Has it do one of these; whether it can be done now.
    fn tell(&mut self, verb: &'static str, durability: Option<Durability>) -> bool {
        let now = self.moments.last().unwrap();
        let number = self.told.len() as u64;
        let Some(mut operation) = now.choose(verb, number, &mut self.random) else {
            return false;
        };
        operation.durability = durability.unwrap_or(operation.durability);
        let mut next = now.clone();
        next.apply(&operation);
        writeln!(self.orders, "{operation}").unwrap();
        self.told.push(operation);
        self.moments.push(next);
        true
    }

    fn tell_something(&mut self) {
        // A handful of images, so that removing them does not come last.
        let crowded = self.moments.last().unwrap().images.len() > 6;
        let verbs = match crowded {
            true => [
                "untag", "remove", "remove", "update", "create", "fold", "compact",
            ],
            false => [
                "import", "pull", "untag", "create", "update", "remove", "compact",
            ],
        };
        while let Some(verb) = self.random.pick(&verbs) {
            if self.tell(verb, None) {
                return;
            }
        }
    }

    /// Waits until all but so many are done.
    fn wait(&mut self, but: usize) {
        while self.done + but < self.told.len() {
            assert_eq!(self.answers.next().unwrap().unwrap(), "done");
            self.done += 1;
        }
    }

    /// Where the store may be: from the last promise on, to the last thing that may have been begun.
    fn allowed(&self) -> &[Contents] {
        let promised = |operation: &Operation| operation.durability == Durability::Power;
        let kept = self.told[..self.done].iter().rposition(promised);
        &self.moments[kept.map_or(0, |index| index + 1)..]
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A disk to cut the power of, in memory: nothing here waits for a real one.
struct Disk(PathBuf);

impl Disk {
    /// None, with a word that says so, where the kernel cannot do it.
    fn new(dir: &Path) -> Option<Self> {
        let disk = Self(dir.to_owned());
        for name in ["below", "now", "then"] {
            std::fs::create_dir(dir.join(name)).unwrap();
        }
        let below = disk.path("below.xfs");
        File::create(&below).unwrap().set_len(512 << 20).unwrap();
        run("mkfs.xfs", ["-q", "-m", "reflink=1", &below]);
        let mount = ["-t", "xfs", "-o", "loop", &below, &disk.path("below")];
        let output = Command::new("mount").args(mount).output().unwrap();
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            skip(&format!("no xfs on a loop device here: {}", why.trim()));
            return None;
        }
        let image = disk.path("below/now");
        File::create(&image).unwrap().set_len(96 << 20).unwrap();
        run("mkfs.ext4", ["-q", &image]);
        run(
            "mount",
            ["-t", "ext4", "-o", "loop", &image, &disk.path("now")],
        );
        Some(disk)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().unwrap()
    }

    /// What is there after the power goes now; given back at the end.
    fn cut(&self, look: impl FnOnce(&Path)) {
        let (now, then) = (self.path("below/now"), self.path("below/then"));
        run("cp", ["--reflink=always", &now, &then]);
        run(
            "mount",
            ["-t", "ext4", "-o", "loop", &then, &self.path("then")],
        );
        look(&self.0.join("then"));
        run("umount", [self.path("then")]);
        std::fs::remove_file(then).unwrap();
    }
}

impl Drop for Disk {
    /// With the mount goes its loop device.
    fn drop(&mut self) {
        for name in ["then", "now", "below"] {
            // What is not mounted need not be unmounted, and the rest goes with the namespace.
            let umount = Command::new("umount").arg(self.path(name)).output();
            drop(umount);
        }
    }
}

/// All files are those that were brought, whole.
fn assert_whole(storage: &Storage, root: &Path, contents: &Contents) {
    let blobs = root.join("blobs/sha256");
    for name in names(&blobs) {
        let hash = sha2::Sha256::digest(std::fs::read(blobs.join(&name)).unwrap());
        assert_eq!(types::Digest::sha256(hash.into()).hex(), name);
    }
    for number in &contents.images {
        let dir = top(storage, &image(*number)).join("d");
        let read = |name: String| (name.clone(), std::fs::read(dir.join(name)).unwrap());
        let found: BTreeMap<_, _> = names(&dir).into_iter().map(read).collect();
        assert!(found == files(*number), "the layer of image {number}");
    }
    for number in contents.containers.keys() {
        let id = container(*number);
        storage.snapshot(&id).unwrap();
        for (dir, expected) in [("upper", 0o755), ("work", 0o700)] {
            let status = std::fs::metadata(storage.container_dir(&id).join(dir)).unwrap();
            assert_eq!(
                status.permissions().mode() & 0o7777,
                expected,
                "{dir} of {number}"
            );
        }
    }
}

/// Opens what the power cut left, looks at everything, and goes on with it.
fn assert_survives(root: &Path, worker: &Worker, cut: &str) {
    let storage = Storage::open(root).unwrap();
    let found = Contents::of(&storage);
    let allowed = worker.allowed();
    assert!(
        allowed.contains(&found),
        "{cut}: {found:?}\nis none of {allowed:?}\nafter {:?}, of which {} were done",
        worker.told,
        worker.done
    );
    assert_whole(&storage, root, &found);
    let check = Check {
        repair: false,
        runs: &|_| false,
    };
    let checked = storage.check(&check, &mut |_| {}).unwrap();
    assert_eq!(checked.problems, [], "{cut}");
    assert_clean(root);
    import(&storage, u64::MAX);
    let new = record(&storage, u64::MAX, u64::MAX, 0);
    storage.create_container(&new, false).unwrap();
    assert_clean(root);
}

/// Not a test of its own: runs where it may mount.
#[test]
fn on_a_disk() {
    let Some(disk) = std::env::var_os(DIR).and_then(|dir| Disk::new(Path::new(&dir))) else {
        return;
    };
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = seed.unwrap().as_nanos() as u64;
    let unsynced = disk.0.join("now/unsynced");
    let mut lost = 0;
    let mut worker = Worker::spawn(&disk.0.join("now/data"), seed);
    for verb in ["import", "pull", "create", "create"] {
        assert!(worker.tell(verb, Some(Durability::Power)));
    }
    let promises = ["create", "pull", "update", "import"];
    for cut in 0..CUTS {
        for _ in 0..4 + worker.random.below(16) {
            worker.tell_something();
        }
        if cut % 2 == 0 {
            // Right after a promise, with nothing behind it that would bring it to the disk.
            worker.tell("create", Some(Durability::Power));
            if cut % 4 == 0 {
                worker.tell("fold", None);
            }
            worker.tell(promises[cut / 2 % 4], Some(Durability::Power));
            worker.wait(0);
            std::fs::write(&unsynced, [1; 5000]).unwrap();
        } else {
            // In the middle of something.
            let but = worker.random.below(4) as usize;
            worker.wait(but);
            std::thread::sleep(Duration::from_micros(worker.random.below(5000)));
        }
        disk.cut(|then| {
            let kept = std::fs::metadata(then.join("unsynced"));
            lost += usize::from(cut % 2 == 0 && kept.map_or(0, |file| file.len()) == 0);
            assert_survives(
                &then.join("data"),
                &worker,
                &format!("seed {seed}, cut {cut}"),
            );
        });
        worker.wait(0);
        // Next time it is a new file again.
        let _ = std::fs::remove_file(&unsynced);
    }
    assert!(lost > 0, "the power was never cut");
}

#[test]
fn a_power_cut_takes_nothing_that_was_promised() {
    let there = is_root()
        && ["unshare", "losetup"].iter().all(|program| has(program))
        && ["mkfs.xfs", "mkfs.ext4"]
            .iter()
            .all(|program| has_old(program));
    if !there {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=512m tmpfs "$1" && exec "$2" --exact power::on_a_disk --nocapture"#;
    // Mounts and loop devices go with the namespace, whatever happens.
    let status = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", script, "sh"])
        .args([dir.path(), &std::env::current_exe().unwrap()])
        .env(DIR, dir.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}
