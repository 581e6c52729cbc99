//! Walks of real directories.

use std::fs;
use std::os::unix::fs::symlink;

use sys::dir::Dir;

use super::select::{Selection, Wanted};
use super::walk::walk;

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "a/x",
        "a/y/z",
        "b.txt",
        "a-b",
        "keep/me",
        "skip/it",
        "skip/but/this",
    ] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        sys::file::replace(&path, name.as_bytes(), 0o640).unwrap();
    }
    symlink("a/y", dir.path().join("link")).unwrap();
    symlink("/b.txt", dir.path().join("a/up")).unwrap();
    dir
}

fn told(wanted: &Wanted) -> String {
    let dir = tree();
    let root = Dir::open(dir.path()).unwrap();
    let selection = Selection::new(&root, wanted).unwrap();
    let list = walk(&root, &selection).unwrap();
    let paths = list.files().map(|stat| {
        assert_eq!((stat.uid, stat.gid), (0, 0));
        stat.path
    });
    paths.collect::<Vec<_>>().join(" ")
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn everything_in_order() {
    assert_eq!(
        told(&Wanted::default()),
        "a a/up a/x a/y a/y/z a-b b.txt keep keep/me link skip skip/but skip/but/this skip/it"
    );
}

#[test]
fn what_is_left_out_and_taken_back() {
    let wanted = Wanted {
        exclude: list(&["skip", "**/z", "*.txt", "!skip/but"]),
        ..Wanted::default()
    };
    assert_eq!(
        told(&wanted),
        "a a/up a/x a/y a-b keep keep/me link skip skip/but skip/but/this"
    );
}

#[test]
fn what_is_wanted_only() {
    let include = |texts: &[&str]| {
        told(&Wanted {
            include: list(texts),
            ..Wanted::default()
        })
    };
    assert_eq!(include(&["b.txt", "none"]), "b.txt");
    assert_eq!(include(&["a/y"]), "a a/y a/y/z");
    assert_eq!(include(&["*/me"]), "keep keep/me");
}

#[test]
fn links_are_followed() {
    let follow = |texts: &[&str]| {
        told(&Wanted {
            follow: list(texts),
            ..Wanted::default()
        })
    };
    assert_eq!(follow(&["link/z"]), "a a/y a/y/z link");
    assert_eq!(follow(&["a/u*"]), "a a/up b.txt");
    assert_eq!(follow(&["a/up"]), "a a/up b.txt");
    assert_eq!(follow(&["../../b.txt"]), "b.txt");
    assert!(follow(&["."]).starts_with("a a/up a/x"));
}
