//! A store in a temporary directory, and archives to feed it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use storage::{Error, Image, Import, Storage};

/// A store of its own.
pub(crate) struct Data {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) storage: Storage,
}

impl Data {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(&dir.path().join("data")).unwrap();
        Self { dir, storage }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn import(&self, tar: &[u8], name: &str) -> Result<Image, Error> {
        let import = Import {
            reference: Some(name.parse().unwrap()),
            ..Import::default()
        };
        let id = self.storage.import(&mut &tar[..], &import)?;
        self.storage.image(&id.to_string())
    }

    /// The unpacked top layer of an image.
    pub(crate) fn top(&self, name: &str) -> PathBuf {
        top(&self.storage, name)
    }

    /// Asserts that rows and files match, both ways, and that nothing is on its way.
    pub(crate) fn assert_clean(&self) {
        assert_clean(&self.root());
    }
}

/// The unpacked top layer of an image.
pub(crate) fn top(storage: &Storage, name: &str) -> PathBuf {
    let image = storage.image(name).unwrap();
    let id = types::ContainerId::from_random([9; 32]);
    let snapshot = storage.prepare(&id, &image, true).unwrap();
    storage.discard(&id).unwrap();
    snapshot.mounts[0].lower[0].clone()
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Every row has its file, every file has its row.
pub(crate) fn assert_clean(root: &Path) {
    let db = rusqlite::Connection::open(root.join("brig.db")).unwrap();
    let column = |sql: &str| {
        let mut query = db.prepare(sql).unwrap();
        let rows = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let mut values: Vec<_> = rows.map(Result::unwrap).collect();
        values.sort();
        values
    };
    let blobs = column("SELECT substr(digest, 8) FROM content WHERE kept = 0");
    assert_eq!(names(&root.join("blobs/sha256")), blobs, "blobs");
    assert_eq!(names(&root.join("tmp")), [""; 0], "temporary files");
    let containers = column("SELECT container FROM snapshots");
    assert_eq!(names(&root.join("containers")), containers, "containers");
    let numbers = "SELECT CAST(number AS TEXT) FROM volumes
        UNION SELECT CAST(number AS TEXT) FROM volume_snapshots";
    let mut volumes: Vec<_> = column(numbers)
        .iter()
        .map(|n| base_36(n.parse().unwrap()))
        .collect();
    volumes.sort();
    assert_eq!(names(&root.join("volumes")), volumes, "volumes");
    let mut layers: Vec<_> = column("SELECT CAST(number AS TEXT) FROM layers")
        .iter()
        .map(|n| base_36(n.parse().unwrap()))
        .collect();
    layers.push("0".to_owned());
    layers.sort();
    assert_eq!(names(&root.join("layers")), layers, "layers");
    for (orphans, sql) in [
        (
            "content",
            "SELECT digest FROM content WHERE digest NOT IN (SELECT digest FROM image_content)",
        ),
        (
            "layers",
            "SELECT diff_id FROM layers WHERE diff_id NOT IN (SELECT diff_id FROM image_layers)
                AND diff_id NOT IN (SELECT diff_id FROM content WHERE kept = 1)",
        ),
    ] {
        assert_eq!(column(sql), [""; 0], "{orphans} that no image keeps");
    }
    let ok: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(ok, "ok");
}

fn base_36(mut number: u64) -> String {
    let mut text = String::new();
    loop {
        text.insert(0, char::from_digit((number % 36) as u32, 36).unwrap());
        number /= 36;
        if number == 0 {
            return text;
        }
    }
}

/// The error and all its sources in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Says why a test does nothing, past the harness, which shows what tests print only if they fail.
pub(crate) fn skip(why: &str) {
    use std::io::Write;
    let mut out = std::io::stderr();
    writeln!(out, "SKIP: {why}").unwrap();
}

/// Whether a program is there; says so when a test has to do without.
pub(crate) fn has(program: &str) -> bool {
    answers(program, "--version")
}

/// As [`has`], of a program that knows short options only.
pub(crate) fn has_old(program: &str) -> bool {
    answers(program, "-V")
}

fn answers(program: &str, option: &str) -> bool {
    let there = Command::new(program)
        .arg(option)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        skip(&format!("{program} is not installed"));
    }
    there
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        skip("owners, devices and mounts need root");
    }
    root
}

/// Runs a program and returns what it prints.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Vec<u8> {
    let output = Command::new(program).args(args).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {error}");
    output.stdout
}

/// Runs a program where what it leaves outside of its arguments' directories goes with it.
pub(crate) fn run_alone(program: &str, args: &[&str]) -> Vec<u8> {
    let script = "for dir in /var/lib /dev/shm /run; do mount -t tmpfs tmpfs $dir || exit; done; exec \"$@\"";
    let alone = [
        "-m",
        "--propagation",
        "private",
        "sh",
        "-c",
        script,
        "sh",
        program,
    ];
    run("unshare", alone.iter().chain(args))
}

/// What a tar archive is made of.
pub(crate) struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    /// Adds an entry; `name` goes in as it is, whatever it says.
    pub(crate) fn entry(
        mut self,
        kind: tar::EntryType,
        name: &str,
        link: &str,
        data: &[u8],
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_600_000_000);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(tar::EntryType::Regular, name, "", data)
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.entry(tar::EntryType::Directory, name, "", b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Symlink, name, target, b"")
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Link, name, target, b"")
    }

    pub(crate) fn build(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}
