//! Mounts, devices and the root, looked at from inside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::Bundle;
use sys::mount::{Attributes, Change, Mounted, Propagation};

/// Ends the test with a visible reason where containers cannot run.
macro_rules! need_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            skip(reason);
            return;
        }
    };
}

fn skip(reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{reason}");
}

/// Runs with mounts of its own, which no other test and not the machine sees.
fn with_own_mounts(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        sys::ns::unshare(sys::ns::Namespaces::MOUNT).unwrap();
        propagate(Path::new("/"), Propagation::Private);
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn propagate(path: &Path, propagation: Propagation) {
    let change = Change {
        propagation: Some(propagation),
        ..Change::default()
    };
    sys::mount::change(path, change, true).unwrap();
}

/// A new tmpfs on a directory, which is made.
fn tmpfs(path: &Path) -> Mounted {
    std::fs::create_dir_all(path).unwrap();
    let mounted =
        sys::mount::file_system("tmpfs", Some("tmpfs"), &[], Attributes::empty()).unwrap();
    mounted.attach(sys::fd::open_path(path).unwrap()).unwrap();
    mounted
}

fn bind(target: &str, source: &Path, options: &[&str]) -> Value {
    json!({"destination": target, "type": "bind", "source": source, "options": options})
}

/// Ids of a container's users on the machine.
const FIRST_ID: u32 = 100_000;

fn in_user_namespace(bundle: &mut Bundle) {
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "user"}));
    for name in ["uidMappings", "gidMappings"] {
        bundle.config["linux"][name] =
            json!([{"containerID": 0, "hostID": FIRST_ID, "size": 65536}]);
    }
    let owner = format!("{FIRST_ID}:{FIRST_ID}");
    let mut chown = Command::new("chown");
    chown.args(["-hR", &owner]).arg(bundle.in_root(""));
    assert!(chown.status().unwrap().success());
}

fn without_namespace(bundle: &mut Bundle, kind: &str) {
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != kind);
}

fn without_mounts_below(bundle: &mut Bundle, top: &str) {
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with(top));
}

/// The options of the mount at a path, of the text of /proc/self/mounts.
fn options_of<'a>(mounts: &'a str, path: &str) -> Vec<&'a str> {
    let line = mounts
        .lines()
        .rfind(|line| line.split(' ').nth(1) == Some(path));
    let line = line.unwrap_or_else(|| panic!("no {path} in\n{mounts}"));
    line.split(' ').nth(3).unwrap().split(',').collect()
}

fn assert_options(mounts: &str, path: &str, wanted: &[&str], unwanted: &[&str], case: &str) {
    let options = options_of(mounts, path);
    for option in wanted {
        assert!(options.contains(option), "{case}: no {option}: {options:?}");
    }
    for option in unwanted {
        assert!(!options.contains(option), "{case}: {option}: {options:?}");
    }
}

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
fn options_of_every_file_system_reach_it() {
    need_containers!();
    let mut bundle = Bundle::new(&["cat", "/proc/self/mounts"]);
    let options = [
        "defaults", "sync", "dirsync", "lazytime", "silent", "iversion", "async", "sync", "nosuid",
    ];
    bundle.mount(json!({"destination": "/mnt", "type": "tmpfs", "options": options}));
    let wanted = ["sync", "dirsync", "lazytime", "nosuid"];
    assert_options(&bundle.run(), "/mnt", &wanted, &["noexec"], "tmpfs");
}

#[test]
fn a_remount_changes_what_is_there() {
    need_containers!();
    let mut bundle = Bundle::script("cat /proc/self/mounts; df -k /mnt | tail -n 1");
    symlink("busybox", bundle.in_root("bin/df")).unwrap();
    bundle.mount(json!({"destination": "/mnt", "type": "tmpfs", "options": ["size=4m"]}));
    let options = ["remount", "ro", "noexec", "size=1m"];
    bundle.mount(json!({"destination": "/mnt", "options": options}));
    let printed = bundle.run();
    assert_options(
        &printed,
        "/mnt",
        &["ro", "noexec", "size=1024k"],
        &[],
        "remount",
    );
    let nothing_there = json!({"destination": "/etc", "options": ["remount", "ro"]});
    bundle.mount(nothing_there);
    let said = bundle.fail();
    assert!(said.contains("cannot change the mount on /etc"), "{said}");
}

#[test]
fn the_root_is_no_mount_point() {
    need_containers!();
    for target in ["/", "/.", "//", ""] {
        let mut bundle = Bundle::new(&["true"]);
        bundle.mount(json!({"destination": target, "type": "tmpfs"}));
        let said = bundle.fail();
        assert!(said.contains(".destination: is the root"), "{said}");
    }
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

/// Owners of the files in /mnt and below, as the container sees them.
const OWNERS: &str = "stat -c '%n %u:%g' /mnt/* 2>&1";

/// A source with files of several owners.
fn owned_files(bundle: &Bundle) -> std::path::PathBuf {
    let source = bundle.path().join("source");
    std::fs::create_dir(&source).unwrap();
    for (name, uid, gid) in [("a", 0, 0), ("b", 1, 2), ("c", 1000, 1000)] {
        let path = source.join(name);
        sys::file::replace_unsynced(&path, b"", 0o644).unwrap();
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
    }
    source
}

/// Runs it, unless the file system of the test's directory cannot translate ids.
fn run_translated(bundle: &Bundle) -> Option<String> {
    bundle.write();
    let output = bundle.output(&["run", "ID"]);
    bundle.assert_nothing_left();
    let said = support::text(&output.stderr);
    if said.contains("translate the ids") && said.contains("nvalid argument") {
        skip("SKIP: the file system of the temporary directory translates no ids");
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(support::text(&output.stdout))
}

fn mapped(mut mount: Value, uids: &[[u32; 3]], gids: &[[u32; 3]]) -> Value {
    let maps = |all: &[[u32; 3]]| -> Vec<Value> {
        let one = |[container, host, size]: &[u32; 3]| json!({"containerID": container, "hostID": host, "size": size});
        all.iter().map(one).collect()
    };
    mount["uidMappings"] = json!(maps(uids));
    mount["gidMappings"] = json!(maps(gids));
    mount
}

/// config.md: "uidMappings ... The format is the same as user namespace mappings."
#[test]
fn a_mount_translates_ids_by_its_own_mappings() {
    need_containers!();
    let mut bundle = Bundle::script(OWNERS);
    let source = owned_files(&bundle);
    let mount = bind("/mnt", &source, &["bind"]);
    bundle.mount(mapped(
        mount,
        &[[0, 5000, 100], [1000, 7, 1]],
        &[[0, 6000, 1], [2, 9, 1]],
    ));
    let Some(printed) = run_translated(&bundle) else {
        return;
    };
    // What no mapping names belongs to nobody.
    assert_eq!(printed, "/mnt/a 5000:6000\n/mnt/b 5001:9\n/mnt/c 7:65534\n");
}

#[test]
fn a_mount_translates_ids_as_the_user_namespace_does() {
    need_containers!();
    for option in ["idmap", "ridmap"] {
        let mut bundle = Bundle::script(OWNERS);
        let source = owned_files(&bundle);
        in_user_namespace(&mut bundle);
        bundle.mount(bind("/mnt", &source, &["rbind", option]));
        let Some(printed) = run_translated(&bundle) else {
            return;
        };
        assert_eq!(printed, "/mnt/a 0:0\n/mnt/b 1:2\n/mnt/c 1000:1000\n");
    }
}

#[test]
fn translations_of_mounts_below_are_asked_for() {
    need_containers!();
    for (option, owner) in [("idmap", "1:1"), ("ridmap", "501:501")] {
        with_own_mounts(move || {
            let mut bundle = Bundle::script("stat -c %u:%g /mnt/a /mnt/below/a");
            let top = bundle.path().join("source");
            let (_top, _below) = (tmpfs(&top), tmpfs(&top.join("below")));
            for path in [top.join("a"), top.join("below/a")] {
                sys::file::replace_unsynced(&path, b"", 0o644).unwrap();
                std::os::unix::fs::chown(&path, Some(1), Some(1)).unwrap();
            }
            let mount = bind("/mnt", &top, &["rbind", option]);
            bundle.mount(mapped(mount, &[[0, 500, 10]], &[[0, 500, 10]]));
            if let Some(printed) = run_translated(&bundle) {
                assert_eq!(printed, format!("501:501\n{owner}\n"), "{option}");
            }
        });
    }
}

#[test]
fn impossible_translations_are_refused() {
    need_containers!();
    let one = json!([{"containerID": 0, "hostID": 5, "size": 1}]);
    let refused = |mount: Value, why: &str| {
        let mut bundle = Bundle::new(&["true"]);
        bundle.mount(mount);
        let said = bundle.fail();
        assert!(said.contains(why), "{said}");
    };
    let mut half = bind("/mnt", Path::new("rootfs"), &["bind"]);
    half["uidMappings"] = one.clone();
    refused(half, "go together");
    refused(
        bind("/mnt", Path::new("rootfs"), &["bind", "idmap"]),
        "needs uidMappings and gidMappings, or a user namespace",
    );
    refused(
        json!({"destination": "/mnt", "type": "tmpfs", "uidMappings": one, "gidMappings": one}),
        "only a bind mount translates ids",
    );
}

/// The fields of the root's line in mountinfo that tell its propagation.
fn root_propagation(bundle: &Bundle) -> String {
    let table = bundle.run();
    let line = table
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"));
    let fields = line.unwrap().split(' ').skip(6);
    let fields: Vec<_> = fields.take_while(|field| *field != "-").collect();
    fields.join(" ")
}

/// config-linux.md, "Rootfs Mount Propagation".
#[test]
fn the_root_has_the_propagation_asked_for() {
    need_containers!();
    let cases = [
        (None, ""),
        (Some("private"), ""),
        (Some("rprivate"), ""),
        (Some("slave"), "master:"),
        (Some("rslave"), "master:"),
        (Some("shared"), "shared:"),
        (Some("rshared"), "shared:"),
        (Some("unbindable"), "unbindable"),
    ];
    with_own_mounts(move || {
        for (asked, expected) in cases {
            let mut bundle = Bundle::new(&["cat", "/proc/self/mountinfo"]);
            // The root is on a mount that is shared with others of the machine.
            let root = bundle.in_root("");
            let itself = sys::mount::bind(&root, false).unwrap();
            itself.attach(sys::fd::open_path(&root).unwrap()).unwrap();
            propagate(&root, Propagation::Shared);
            let table = || std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
            let before = table();
            if let Some(asked) = asked {
                bundle.config["linux"]["rootfsPropagation"] = json!(asked);
            }
            let got = root_propagation(&bundle);
            assert!(got.starts_with(expected), "{asked:?}: {got:?}");
            assert_eq!(got.is_empty(), expected.is_empty(), "{asked:?}: {got:?}");
            // What the container mounts in its root stays there.
            assert_eq!(table(), before, "{asked:?}");
            sys::mount::detach(&root).unwrap();
        }
    });
    let mut bundle = Bundle::new(&["true"]);
    bundle.config["linux"]["rootfsPropagation"] = json!("sideways");
    assert!(bundle.fail().contains("linux.rootfsPropagation"));
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
fn a_bound_dev_is_known_below_a_recursive_bind_too() {
    need_containers!();
    with_own_mounts(|| {
        let mut bundle = Bundle::new(&["true"]);
        without_mounts_below(&mut bundle, "/dev");
        // The host's /dev, as a mount below what is bound; the image leads there by a link.
        let outer = bundle.path().join("outer");
        let _dev = tmpfs(&outer.join("dev"));
        std::fs::create_dir(outer.join("dev/pts")).unwrap();
        sys::file::replace_unsynced(&outer.join("dev/ptmx"), b"the host's", 0o600).unwrap();
        bundle.mount(bind("/outer", &outer, &["rbind"]));
        symlink("/outer/dev", bundle.in_root("dev")).unwrap();
        bundle.mount(json!({"destination": "/dev/pts", "type": "devpts"}));
        bundle.run();
        let mut names: Vec<_> = std::fs::read_dir(outer.join("dev"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["ptmx", "pts"]);
        assert_eq!(
            std::fs::read(outer.join("dev/ptmx")).unwrap(),
            b"the host's"
        );
    });
}

#[test]
fn a_read_only_dev_has_its_devices() {
    need_containers!();
    let mut bundle = Bundle::script("cat /proc/self/mounts; ls /dev; ls -l /dev/ptmx >/dev/null");
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    let dev = mounts
        .iter_mut()
        .find(|m| m["destination"] == "/dev")
        .unwrap();
    dev["options"].as_array_mut().unwrap().push(json!("ro"));
    let printed = bundle.run();
    assert_options(&printed, "/dev", &["ro"], &["rw"], "/dev");
    assert!(printed.contains("urandom\n"), "{printed}");
}

/// config-linux.md, "Devices".
#[test]
fn devices_of_every_kind_are_made_anywhere() {
    need_containers!();
    let mut bundle = Bundle::script(
        "stat -c '%n %F %a %u:%g %t:%T' /dev/blk /opt/chr /opt/raw /opt/deep/pipe /dev/zero; \
         ls -lLn /dev/ptmx | cut -c1-10",
    );
    symlink("busybox", bundle.in_root("bin/cut")).unwrap();
    bundle.config["linux"]["devices"] = json!([
        {"path": "/dev/blk", "type": "b", "major": 7, "minor": 3, "fileMode": 0o640, "uid": 3, "gid": 4},
        {"path": "/opt/chr", "type": "c", "major": 1, "minor": 3, "fileMode": 0o1777},
        {"path": "/opt/raw", "type": "u", "major": 1, "minor": 5},
        {"path": "/opt/deep/pipe", "type": "p", "major": 0, "minor": 0, "fileMode": 0o600},
        // The usual ones may be asked for.
        {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o600, "gid": 9},
        {"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2},
    ]);
    bundle.config["process"]["terminal"] = json!(false);
    let expected = "/dev/blk block special file 640 3:4 7:3\n\
        /opt/chr character special file 1777 0:0 1:3\n\
        /opt/raw character special file 666 0:0 1:5\n\
        /opt/deep/pipe fifo 600 0:0 0:0\n\
        /dev/zero character special file 600 0:9 1:5\n\
        crw-rw-rw-\n";
    assert_eq!(bundle.run(), expected);
    assert!(
        bundle
            .in_root("opt/deep/pipe")
            .symlink_metadata()
            .unwrap()
            .file_type()
            .is_fifo()
    );
}

#[test]
fn devices_in_a_user_namespace_are_the_hosts() {
    need_containers!();
    let mut bundle = Bundle::script(
        "head -c 4 /dev/zero | wc -c; echo x > /dev/null; stat -c '%n %t:%T' /dev/null /dev/mine",
    );
    in_user_namespace(&mut bundle);
    let outside = bundle.path().join("outside");
    sys::file::replace_unsynced(&outside, b"", 0o644).unwrap();
    bundle.config["linux"]["devices"] =
        json!([{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5}]);
    // Only the host's own files can be bound.
    let said = bundle.fail();
    assert!(said.contains("cannot bind the device /dev/mine"), "{said}");
    bundle.config["linux"]["devices"] = json!([]);
    bundle.config["process"]["args"][2] =
        json!("head -c 4 /dev/zero | wc -c; echo x > /dev/null; stat -c '%n %t:%T' /dev/null");
    assert_eq!(bundle.run(), "4\n/dev/null 1:3\n");
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

#[test]
fn what_a_user_namespace_may_not_mount_is_bound() {
    need_containers!();
    let mut bundle = Bundle::script(
        "cat /proc/self/mounts; ls /sys/kernel >/dev/null && echo sys; \
         touch /sys/kernel/x 2>/dev/null || echo closed; echo $$ > /dev/null; \
         test -d /proc/self && echo proc",
    );
    in_user_namespace(&mut bundle);
    // Of neither kind has the container one of its own.
    without_namespace(&mut bundle, "network");
    without_namespace(&mut bundle, "pid");
    let printed = bundle.run();
    assert!(printed.ends_with("sys\nclosed\nproc\n"), "{printed}");
    assert_options(
        &printed,
        "/sys",
        &["ro", "nosuid", "nodev", "noexec"],
        &[],
        "/sys",
    );
}

#[test]
fn with_the_machines_network_sysfs_is_mounted_all_the_same() {
    need_containers!();
    let mut bundle = Bundle::script("ls -d /sys/class/net/lo; cat /proc/self/mounts");
    without_namespace(&mut bundle, "network");
    let printed = bundle.run();
    assert!(printed.starts_with("/sys/class/net/lo\n"), "{printed}");
    assert_options(&printed, "/sys", &["ro"], &[], "/sys");
}

#[test]
fn the_terminal_is_not_bound_on_a_file_of_proc() {
    need_containers!();
    let mut bundle = Bundle::new(&["true"]);
    // An image's own /dev, in which the console is a link.
    without_mounts_below(&mut bundle, "/dev/shm");
    without_mounts_below(&mut bundle, "/dev/mqueue");
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["destination"] != "/dev");
    std::fs::create_dir(bundle.in_root("dev")).unwrap();
    symlink("/proc/version", bundle.in_root("dev/console")).unwrap();
    bundle.config["process"]["terminal"] = json!(true);
    let said = bundle.fail();
    assert!(
        said.contains("cannot mount on /dev/console: it is inside /proc"),
        "{said}"
    );
}

#[test]
fn cgroup_mounts_are_read_only_when_asked_for() {
    need_containers!();
    for own_namespace in [true, false] {
        let mut bundle = Bundle::new(&["cat", "/proc/self/mounts"]);
        without_namespace(&mut bundle, "cgroup");
        if own_namespace {
            let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.push(json!({"type": "cgroup"}));
        }
        let printed = bundle.run();
        let places: Vec<_> = printed
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|path| path.starts_with("/sys/fs/cgroup"))
            .collect();
        assert!(!places.is_empty(), "{printed}");
        for place in places {
            assert_options(
                &printed,
                place,
                &["ro", "nosuid", "nodev", "noexec"],
                &["rw"],
                place,
            );
        }
    }
}

#[test]
fn masked_directories_are_one_file_system() {
    need_containers!();
    let mut bundle = Bundle::script("stat -c %d /a /b /c; touch /b/x 2>/dev/null || echo closed");
    for name in ["a", "b", "c"] {
        std::fs::create_dir(bundle.in_root(name)).unwrap();
    }
    bundle.config["linux"]["maskedPaths"] = json!(["/a", "/b", "/c"]);
    let printed = bundle.run();
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 4, "{printed}");
    assert!(
        lines[0] == lines[1] && lines[1] == lines[2] && lines[3] == "closed",
        "{printed}"
    );
}

/// config-linux.md, "Masked Paths" and "Readonly Paths": "The values MUST be absolute paths in the
/// container namespace."
#[test]
fn masked_and_read_only_paths_are_absolute() {
    need_containers!();
    for field in ["maskedPaths", "readonlyPaths"] {
        let mut bundle = Bundle::new(&["true"]);
        bundle.config["linux"][field] = json!(["/proc/keys", "proc/kcore"]);
        let said = bundle.fail();
        assert!(said.contains("is no absolute path"), "{said}");
    }
}

#[test]
fn a_tmpfs_has_the_mode_of_what_it_covers() {
    need_containers!();
    let mut bundle = Bundle::script("stat -c %a /there /said /new /new/deep");
    for name in ["there", "said"] {
        let mut made = std::fs::DirBuilder::new();
        made.mode(0o710).create(bundle.in_root(name)).unwrap();
    }
    let tmpfs = |target: &str, options: Value| json!({"destination": target, "type": "tmpfs", "options": options});
    bundle.mount(tmpfs("/there", json!([])));
    bundle.mount(tmpfs("/said", json!(["mode=1500"])));
    bundle.mount(tmpfs("/new/deep", json!([])));
    assert_eq!(bundle.run(), "710\n1500\n755\n1777\n");
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
