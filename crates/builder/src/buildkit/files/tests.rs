//! Files over a wire of memory, between an honest or hostile client and a directory.
#![expect(clippy::disallowed_methods, reason = "a test's own files")]

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::mpsc;

use buildkit::sync::{Packet, PacketKind, Stat};
use sys::dir::Dir;

use super::*;
use crate::solve::Change;

/// A client that says what it was told to say, and what it heard.
#[derive(Default)]
struct Script {
    says: VecDeque<Packet>,
    heard: Vec<Packet>,
}

impl Wire for Script {
    fn next(&mut self) -> Result<Option<Packet>, Error> {
        Ok(self.says.pop_front())
    }

    fn send(&mut self, packet: Packet) -> Result<(), Error> {
        self.heard.push(packet);
        Ok(())
    }
}

/// Two ends of one connection.
struct End {
    into: mpsc::Sender<Packet>,
    from: mpsc::Receiver<Packet>,
}

impl End {
    fn pair() -> (Self, Self) {
        let (a, b) = (mpsc::channel(), mpsc::channel());
        let ours = Self {
            into: a.0,
            from: b.1,
        };
        let theirs = Self {
            into: b.0,
            from: a.1,
        };
        (ours, theirs)
    }
}

impl Wire for End {
    fn next(&mut self) -> Result<Option<Packet>, Error> {
        Ok(self.from.recv().ok())
    }

    fn send(&mut self, packet: Packet) -> Result<(), Error> {
        self.into
            .send(packet)
            .map_err(|_| Error::Gone("gone".into()))
    }
}

fn transfer(from: &Path, to: &Path) -> Received {
    let (mut ours, mut theirs) = End::pair();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let root = Dir::open(from).unwrap();
            send(&[(String::new(), root)], &mut theirs).unwrap();
        });
        receive(&Dir::open(to).unwrap(), &mut ours, None, &mut |_| {}).unwrap()
    })
}

fn file(path: &str) -> Packet {
    stat(path, 0o644)
}

fn stat(path: &str, mode: u32) -> Packet {
    Packet {
        stat: Some(Stat {
            path: path.to_owned(),
            mode,
            ..Stat::default()
        }),
        ..Packet::of(PacketKind::Stat)
    }
}

const DIRECTORY: u32 = 1 << 31 | 0o755;
const LINK: u32 = 1 << 27 | 0o777;

fn link(path: &str, mode: u32, target: &str) -> Packet {
    let mut packet = stat(path, mode);
    packet.stat.as_mut().unwrap().linkname = target.to_owned();
    packet
}

fn data(id: u32, bytes: &[u8]) -> Packet {
    Packet {
        data: bytes.to_vec(),
        ..Packet::numbered(PacketKind::Data, id)
    }
}

fn end() -> Packet {
    Packet::of(PacketKind::Stat)
}

/// What a client that says this is told.
fn error(root: &Path, says: impl IntoIterator<Item = Packet>) -> String {
    let mut script = Script {
        says: says.into_iter().collect(),
        ..Script::default()
    };
    let outcome = receive(&Dir::open(root).unwrap(), &mut script, None, &mut |_| {});
    outcome.unwrap_err().chain()
}

#[test]
fn a_tree_gets_across_and_only_changes_do_again() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = from.path();
    fs::create_dir_all(source.join("d/e")).unwrap();
    fs::write(source.join("a"), "one").unwrap();
    fs::write(source.join("d.txt"), "between").unwrap();
    fs::write(source.join("d/e/big"), vec![7; 200_000]).unwrap();
    fs::write(source.join("empty"), "").unwrap();
    symlink("/etc/passwd", source.join("l")).unwrap();
    fs::set_permissions(source.join("a"), fs::Permissions::from_mode(0o4751)).unwrap();
    let first = transfer(source, to.path());
    assert_eq!((first.told, first.files, first.bytes), (7, 4, 200_010));
    let there = |name: &str| to.path().join(name);
    assert_eq!(fs::read(there("d/e/big")).unwrap(), vec![7; 200_000]);
    assert_eq!(fs::metadata(there("a")).unwrap().mode() & 0o7777, 0o4751);
    assert_eq!(fs::read_link(there("l")).unwrap(), Path::new("/etc/passwd"));
    for name in ["a", "d", "d/e", "d/e/big"] {
        let time = |path: &Path| {
            let about = fs::metadata(path).unwrap();
            (about.mtime(), about.mtime_nsec())
        };
        assert_eq!(time(&source.join(name)), time(&there(name)), "{name}");
    }
    assert!(first.changes.contains(&Change::all("d/e/big")));
    let again = transfer(source, to.path());
    assert_eq!((again.files, again.changes), (0, Vec::new()));
    // What only a directory, a link or a mode tells is a change, too.
    let changes: [(Change, &dyn Fn()); 5] = [
        (Change::own("d/e"), &|| {
            let open = fs::Permissions::from_mode(0o700);
            fs::set_permissions(source.join("d/e"), open).unwrap();
        }),
        (Change::all("l"), &|| {
            fs::remove_file(source.join("l")).unwrap();
            symlink("/etc/group", source.join("l")).unwrap();
        }),
        (Change::all("new"), &|| {
            fs::create_dir(source.join("new")).unwrap();
        }),
        (Change::all("new"), &|| {
            fs::remove_dir(source.join("new")).unwrap();
        }),
        (Change::all("d/e/big"), &|| {
            fs::write(source.join("d/e/big"), vec![8; 200_000]).unwrap();
        }),
    ];
    for (what, change) in changes {
        change();
        let changes = transfer(source, to.path()).changes;
        assert!(changes.contains(&what), "{what:?}: {changes:?}");
        assert_eq!(transfer(source, to.path()).changes, []);
    }
    fs::write(source.join("a"), "other").unwrap();
    fs::remove_dir_all(source.join("d")).unwrap();
    fs::write(source.join("d"), "now a file").unwrap();
    fs::remove_file(source.join("l")).unwrap();
    fs::create_dir(source.join("l")).unwrap();
    assert_eq!(transfer(source, to.path()).files, 2);
    assert_eq!(fs::read_to_string(there("d")).unwrap(), "now a file");
    assert!(there("l").is_dir());
    fs::remove_file(source.join("a")).unwrap();
    transfer(source, to.path());
    assert!(!there("a").exists());
}

#[test]
fn several_trees_are_directories_of_one() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(from.path().join("d")).unwrap();
    fs::write(from.path().join("d/x"), "1").unwrap();
    let root = || Dir::open(from.path()).unwrap();
    let roots = [("b".to_owned(), root()), ("a".to_owned(), root())];
    let (mut ours, mut theirs) = End::pair();
    std::thread::scope(|scope| {
        scope.spawn(move || send(&roots, &mut theirs).unwrap());
        receive(&Dir::open(to.path()).unwrap(), &mut ours, None, &mut |_| {}).unwrap();
    });
    for name in ["a/d/x", "b/d/x"] {
        assert_eq!(fs::read(to.path().join(name)).unwrap(), b"1");
    }
}

#[test]
fn second_names_are_names_of_one_file() {
    let root = tempfile::tempdir().unwrap();
    let mut script = Script {
        says: VecDeque::from([
            file("a"),
            link("b", 0o644, "a"),
            end(),
            data(0, b"x"),
            data(0, b""),
            Packet::of(PacketKind::Finish),
        ]),
        ..Script::default()
    };
    receive(
        &Dir::open(root.path()).unwrap(),
        &mut script,
        None,
        &mut |_| {},
    )
    .unwrap();
    let kinds: Vec<i32> = script.heard.iter().map(|packet| packet.kind).collect();
    assert_eq!(kinds, [1, 3]);
    assert_eq!(fs::metadata(root.path().join("a")).unwrap().nlink(), 2);
}

#[test]
fn nothing_leads_out_of_the_directory() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir(&root).unwrap();
    for path in ["../x", "/x", "a/../../x", "", ".", "a//b", "a/", "x\0y"] {
        let found = error(&root, [file(path)]);
        assert!(found.contains("the path"), "{path:?}: {found}");
    }
    let long = "n".repeat(256);
    assert!(error(&root, [file(&long)]).contains("longer than 255"));
    assert!(error(&root, [file(&"a/".repeat(3000))]).contains("longer than 4096"));
    // What is below a link is below nothing.
    let found = error(&root, [link("l", LINK, ".."), file("l/x")]);
    assert!(found.contains("before its directory"), "{found}");
    // Of an earlier build, too: it is no directory, and becomes one.
    fs::remove_file(root.join("l")).unwrap();
    symlink(outer.path(), root.join("l")).unwrap();
    let mut script = Script {
        says: VecDeque::from([
            stat("l", DIRECTORY),
            file("l/x"),
            end(),
            data(1, b"1"),
            data(1, b""),
        ]),
        ..Script::default()
    };
    receive(&Dir::open(&root).unwrap(), &mut script, None, &mut |_| {}).unwrap();
    assert!(root.join("l/x").exists() && !outer.path().join("x").exists());
    let found = error(&root, [link("long", LINK, &"x".repeat(5000))]);
    assert!(found.contains("longer than 4096"), "{found}");
    let found = error(&root, [link("h", 0o644, "../secret"), end()]);
    assert!(found.contains("leads elsewhere"), "{found}");
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
}

#[test]
fn who_does_not_keep_to_the_protocol_is_told() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let twice = error(root, [file("a"), file("a")]);
    assert!(twice.contains("is there twice"), "{twice}");
    let back = error(root, [stat("a", DIRECTORY), file("b"), file("a/x")]);
    assert!(back.contains("too late"), "{back}");
    assert!(error(root, [data(0, b"x")]).contains("was not asked for"));
    assert!(error(root, [file("a"), data(1, b"x")]).contains("was not asked for"));
    let late = error(root, [file("a"), end(), file("b")]);
    assert!(late.contains("after the last file"), "{late}");
    assert!(error(root, [Packet::of(PacketKind::Finish)]).contains("too early"));
    assert!(error(root, [stat("a", 1 << 31 | 1 << 27)]).contains("no known kind"));
    assert!(error(root, [file("a")]).contains("broke off"));
    let mut odd = Packet::of(PacketKind::Stat);
    odd.kind = 77;
    assert!(error(root, [odd]).contains("a packet of kind 77"));
    let mut failed = Packet::of(PacketKind::Error);
    failed.data = b"no such directory".to_vec();
    assert_eq!(error(root, [failed]), "no such directory");
}

#[test]
fn a_file_that_broke_off_is_asked_for_again() {
    let root = tempfile::tempdir().unwrap();
    let sized = || {
        let mut packet = file("a");
        packet.stat.as_mut().unwrap().size = 2;
        packet
    };
    error(root.path(), [sized(), end(), data(0, b"xy")]);
    assert!(root.path().join("a").exists());
    let mut script = Script {
        says: VecDeque::from([sized(), end(), data(0, b"zw"), data(0, b"")]),
        ..Script::default()
    };
    receive(
        &Dir::open(root.path()).unwrap(),
        &mut script,
        None,
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"zw");
}

#[test]
fn a_list_that_is_known_is_not_told_again() {
    let root = tempfile::tempdir().unwrap();
    let dir = Dir::open(root.path()).unwrap();
    let named = |kind, name: &str| Packet {
        data: name.as_bytes().to_vec(),
        ..Packet::of(kind)
    };
    let receive_from = |known: Option<&str>, says: Vec<Packet>| {
        let mut script = Script {
            says: says.into(),
            ..Script::default()
        };
        let outcome = receive(&dir, &mut script, known, &mut |_| {});
        outcome.map_err(|error| error.chain())
    };
    let first = vec![
        stat("d", DIRECTORY),
        link("d/l", LINK, "x"),
        named(PacketKind::Stat, "one"),
        Packet::of(PacketKind::Finish),
    ];
    let received = receive_from(None, first.clone()).unwrap();
    assert_eq!(
        (received.changes, received.list.as_deref()),
        (
            vec![Change::all("d"), Change::all("d/l"), Change::own("d")],
            Some("one")
        )
    );
    let same = || vec![named(PacketKind::Finish, "one")];
    let received = receive_from(Some("one"), same()).unwrap();
    assert_eq!((received.changes, received.told), (Vec::new(), 0));
    assert_eq!(received.list.as_deref(), Some("one"));
    assert!(root.path().join("d/l").is_symlink());
    // Of a list that is not known, or amid another one, it says nothing.
    for (known, says) in [
        (None, same()),
        (Some("two"), same()),
        (
            Some(""),
            vec![Packet::of(PacketKind::Stat), named(PacketKind::Finish, "")],
        ),
        (
            Some("one"),
            vec![stat("d", DIRECTORY), named(PacketKind::Finish, "one")],
        ),
    ] {
        match (known, receive_from(known, says)) {
            (Some(""), answer) => assert_eq!(answer.unwrap().changes, [Change::all("d")]),
            (known, answer) => {
                let error = answer.unwrap_err();
                assert!(error.contains("it ends too early"), "{known:?}: {error}");
            }
        }
    }
}
