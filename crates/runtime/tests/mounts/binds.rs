//! Bind mounts: attributes, propagation, sources and targets.

use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::Path;

use serde_json::json;
use sys::mount::{Attributes, Change, Propagation};

use crate::support::{self, Bundle};
use crate::{
    assert_options, bind, in_user_namespace, mapped, propagate, run_translated, tmpfs,
    with_own_mounts,
};

/// Source's options, the bind's, and what the mount must and must not have.
type Case<'a> = (&'a str, &'a str, &'a str, &'a str);

fn words(text: &str) -> Vec<&str> {
    text.split(',').filter(|word| !word.is_empty()).collect()
}

fn attributes(options: &str) -> Change {
    let mut change = Change {
        // Neither way of the others.
        clear: Attributes::NO_ATIME | Attributes::NO_DIR_ATIME,
        ..Change::default()
    };
    for option in words(options) {
        change.set |= match option {
            "ro" => Attributes::READ_ONLY,
            "nosuid" => Attributes::NO_SUID,
            "nodev" => Attributes::NO_DEV,
            "noexec" => Attributes::NO_EXEC,
            "noatime" => Attributes::NO_ATIME,
            "nodiratime" => Attributes::NO_DIR_ATIME,
            "strictatime" => Attributes::STRICT_ATIME,
            "nosymfollow" => Attributes::NO_SYMLINK_FOLLOW,
            _ => Attributes::empty(),
        };
    }
    change.clear -= change.set;
    change
}

/// What `/proc/self/mounts` says of a bind of a tmpfs, or why there is none.
fn bound(source: &str, options: &str, user_namespace: bool) -> Result<String, String> {
    let mut bundle = Bundle::new(&["cat", "/proc/self/mounts"]);
    let dir = bundle.path().join("source");
    let mounted = tmpfs(&dir);
    mounted.change(attributes(source), false).unwrap();
    bundle.mount(bind("/mnt", &dir, &words(options)));
    if user_namespace {
        in_user_namespace(&mut bundle);
    }
    bundle.write();
    let output = bundle.output(&["run", "ID"]);
    bundle.assert_nothing_left();
    drop(mounted);
    sys::mount::detach(&dir).unwrap();
    if output.status.success() {
        Ok(support::text(&output.stdout))
    } else {
        Err(support::text(&output.stderr))
    }
}

/// config.md, "Linux mount options": "runtimes SHOULD implement" mount(8)'s; where that is at odds
/// with itself this is what runc does.
#[test]
fn who_names_an_attribute_of_a_bind_names_all() {
    need_containers!();
    let cases: [Case<'_>; 13] = [
        ("ro,noexec,nodiratime", "bind", "ro,noexec,nodiratime", "rw"),
        ("ro,noexec", "bind,rprivate", "ro,noexec", "rw"),
        (
            "ro,noexec,nodiratime",
            "bind,dev",
            "rw,nodiratime",
            "ro,noexec",
        ),
        ("ro", "bind,nosuid,nodev", "rw,nosuid,nodev", "ro"),
        ("ro", "bind,rw,nosuid", "rw,nosuid", "ro"),
        (
            "nosuid,nodev,noexec,noatime",
            "bind,dev,suid,exec,atime",
            "rw,noatime",
            "nosuid,nodev,noexec",
        ),
        (
            "nodev,nosuid,noexec,noatime",
            "bind,ro",
            "ro,noatime",
            "nosuid,nodev,noexec",
        ),
        (
            "nodev,nosymfollow",
            "bind,ro,symfollow",
            "ro",
            "nodev,nosymfollow",
        ),
        ("noatime", "bind,relatime", "relatime", "noatime"),
        (
            "noatime",
            "bind,nodiratime",
            "nodiratime,relatime",
            "noatime",
        ),
        (
            "nodiratime",
            "bind,strictatime",
            "rw",
            "nodiratime,relatime,noatime",
        ),
        (
            "noatime",
            "bind,nodiratime,strictatime",
            "nodiratime",
            "noatime,relatime",
        ),
        ("nosuid,noexec", "bind,remount,ro", "ro,nosuid,noexec", "rw"),
    ];
    with_own_mounts(move || {
        for (source, options, wanted, unwanted) in cases {
            let case = format!("{source} with {options}");
            let mounts = bound(source, options, false).unwrap();
            assert_options(&mounts, "/mnt", &words(wanted), &words(unwanted), &case);
        }
    });
}

#[test]
fn a_user_namespace_takes_nothing_off_a_bind() {
    need_containers!();
    let cases: [Case<'_>; 6] = [
        ("ro,noexec,nodiratime", "bind", "ro,noexec,nodiratime", "rw"),
        ("ro,noexec", "bind,dev", "ro,noexec", "rw"),
        ("ro", "bind,nosuid,nodev", "ro,nosuid,nodev", "rw"),
        (
            "nodev,nosuid,noexec",
            "bind,ro",
            "ro,nosuid,nodev,noexec",
            "rw",
        ),
        ("nodev,nosymfollow", "bind,rw", "rw,nodev", "nosymfollow"),
        ("noatime", "bind,atime", "noatime", "relatime"),
    ];
    let refused = [
        ("ro", "bind,rw"),
        ("nodev,nosuid", "bind,dev,suid"),
        ("nodiratime", "bind,strictatime"),
        ("noatime", "bind,relatime"),
        ("relatime", "bind,noatime"),
    ];
    with_own_mounts(move || {
        for (source, options, wanted, unwanted) in cases {
            let case = format!("{source} with {options}");
            let mounts = bound(source, options, true).unwrap();
            assert_options(&mounts, "/mnt", &words(wanted), &words(unwanted), &case);
        }
        for (source, options) in refused {
            let said = bound(source, options, true).unwrap_err();
            assert!(said.contains("error mounting on /mnt"), "{said}");
            assert!(said.contains("operation not permitted"), "{said}");
        }
    });
}

#[test]
fn recursive_options_reach_the_mounts_below() {
    need_containers!();
    let pairs: [(&str, &str, &[&str], &[&str]); 9] = [
        ("rro", "rrw", &["ro"], &["rw"]),
        ("rnosuid", "rsuid", &["nosuid"], &[]),
        ("rnodev", "rdev", &["nodev"], &[]),
        ("rnoexec", "rexec", &["noexec"], &[]),
        ("rnoatime", "ratime", &["noatime"], &["relatime"]),
        ("rrelatime", "rstrictatime", &["relatime"], &[]),
        ("rnodiratime", "rdiratime", &["nodiratime"], &[]),
        ("rnosymfollow", "rsymfollow", &["nosymfollow"], &[]),
        ("rstrictatime", "rnostrictatime", &[], &["relatime"]),
    ];
    with_own_mounts(move || {
        for (on, off, with, without) in pairs {
            let mut bundle = Bundle::new(&["cat", "/proc/self/mounts"]);
            let top = bundle.path().join("source");
            let (_top, _below) = (tmpfs(&top), tmpfs(&top.join("below")));
            bundle.mount(bind("/on", &top, &["rbind", "rprivate", on]));
            bundle.mount(bind("/off", &top, &["rbind", "rprivate", on, off]));
            let mounts = bundle.run();
            for path in ["/on", "/on/below"] {
                assert_options(&mounts, path, with, without, on);
            }
            for path in ["/off", "/off/below"] {
                assert_options(&mounts, path, without, with, off);
            }
        }
    });
}

#[test]
fn mount_points_are_found_by_absolute_links_inside() {
    need_containers!();
    let mut bundle = Bundle::script("cat /proc/self/mounts; ls /real/conf/stack /file");
    std::fs::create_dir_all(bundle.in_root("real/conf")).unwrap();
    symlink("/real/conf", bundle.in_root("conf")).unwrap();
    symlink("/real/there/not", bundle.in_root("file")).unwrap();
    let options = ["ro", "nodev", "nosuid"];
    bundle.mount(json!({"destination": "/conf/stack", "type": "tmpfs", "options": options}));
    sys::file::replace_unsynced(&bundle.path().join("one"), b"", 0o644).unwrap();
    bundle.mount(bind("/file", Path::new("one"), &["bind", "ro"]));
    let mounts = bundle.run();
    assert_options(&mounts, "/real/conf/stack", &["ro", "nodev"], &[], "tmpfs");
    assert_options(&mounts, "/real/there/not", &["ro"], &[], "file");
}

#[test]
fn propagation_of_binds_is_what_was_asked_for() {
    need_containers!();
    let cases = [
        ("rprivate", ""),
        ("private", ""),
        ("rslave", "master:"),
        ("shared", "shared:"),
        ("rshared", "shared:"),
        ("unbindable", "unbindable"),
        // None asked for: what the host mounts comes in, and nothing goes out.
        ("bind", "master:"),
    ];
    with_own_mounts(move || {
        for (option, expected) in cases {
            let mut bundle = Bundle::new(&["cat", "/proc/self/mountinfo"]);
            let source = bundle.path().join("source");
            let _source = tmpfs(&source);
            propagate(&source, Propagation::Shared);
            bundle.mount(bind("/mnt", &source, &["rbind", option]));
            let table = bundle.run();
            let line = table.lines().find(|l| l.split(' ').nth(4) == Some("/mnt"));
            let field = line.unwrap().split(' ').nth(6).unwrap();
            let field = if field == "-" { "" } else { field };
            assert!(field.starts_with(expected), "{option}: {field}");
            assert_eq!(field.is_empty(), expected.is_empty(), "{option}: {field}");
        }
    });
}

#[test]
fn sources_need_not_be_open_to_the_containers_root() {
    need_containers!();
    let mut bundle = Bundle::script("cat /one/file /two");
    in_user_namespace(&mut bundle);
    let closed = bundle.path().join("closed");
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&closed)
        .unwrap();
    std::fs::create_dir(closed.join("dir")).unwrap();
    for name in ["dir/file", "two"] {
        sys::file::replace_unsynced(&closed.join(name), b"inside\n", 0o644).unwrap();
    }
    bundle.mount(bind("/one", &closed.join("dir"), &["bind"]));
    bundle.mount(bind("/two", &closed.join("two"), &["bind", "ro"]));
    assert_eq!(bundle.run(), "inside\ninside\n");
}

/// config.md, "Mounts": "The runtime MUST mount entries in the listed order": a source may be what an
/// earlier one has put into the root.
#[test]
fn sources_in_the_root_are_those_of_earlier_mounts() {
    need_containers!();
    for translated in [false, true] {
        let mut bundle = Bundle::script("cat /final/x/y/file /final/file; stat -c %u /final/file");
        let [a, b] = ["a", "b"].map(|name| bundle.path().join(name));
        std::fs::create_dir_all(a.join("x")).unwrap();
        std::fs::create_dir_all(b.join("y")).unwrap();
        for (dir, text) in [(&a, "a\n"), (&b.join("y"), "b\n")] {
            sys::file::replace_unsynced(&dir.join("file"), text.as_bytes(), 0o644).unwrap();
        }
        let root = bundle.in_root("");
        bundle.mount(bind("/mnt", &a, &["rbind", "rprivate"]));
        bundle.mount(bind("/mnt/x", &b, &["rbind", "rprivate"]));
        // The root's own path as its caller has it.
        let target = root.join("final");
        let last = bind(target.to_str().unwrap(), &root.join("mnt"), &["rbind"]);
        let last = match translated {
            true => mapped(last, &[[0, 50, 1]], &[[0, 50, 1]]),
            false => last,
        };
        bundle.mount(last);
        let Some(printed) = run_translated(&bundle) else {
            return;
        };
        let owner = if translated { 50 } else { 0 };
        assert_eq!(printed, format!("b\na\n{owner}\n"));
    }
}
