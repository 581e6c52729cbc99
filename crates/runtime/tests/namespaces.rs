//! Namespaces of all eight kinds, made and joined.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use serde_json::{Value, json};
use support::running::Running;
use support::{Bundle, text};

/// Skips visibly where there can be no containers.
macro_rules! needs_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            return support::skip(reason);
        }
    };
}

const HOST_ID: u32 = 100_000;

/// Adds a namespace, in the place of one of the same kind.
fn set(bundle: &mut Bundle, namespace: Value) {
    let all = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    all.retain(|known| known["type"] != namespace["type"]);
    all.push(namespace);
}

fn remove(bundle: &mut Bundle, kind: &str) {
    let all = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    all.retain(|known| known["type"] != kind);
}

/// Gives the root to the user that is root in the container.
fn give_away(bundle: &Bundle) {
    std::fs::set_permissions(bundle.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for dir in ["", "proc", "dev", "sys"] {
        let dir = bundle.in_root(dir);
        std::fs::create_dir_all(&dir).unwrap();
        chown(dir, Some(HOST_ID), Some(HOST_ID)).unwrap();
    }
}

/// With a user namespace in which the host's 100000 is this id.
fn with_user_namespace(mut bundle: Bundle, id: u32, size: u32) -> Bundle {
    set(&mut bundle, json!({"type": "user"}));
    for name in ["uidMappings", "gidMappings"] {
        bundle.config["linux"][name] =
            json!([{"containerID": id, "hostID": HOST_ID, "size": size}]);
    }
    give_away(&bundle);
    bundle
}

fn offsets() -> Value {
    json!({"monotonic": {"secs": 7881, "nanosecs": 2_718_281},
        "boottime": {"secs": 1337, "nanosecs": 3_141_519}})
}

const MOVED: &str = "monotonic 7881 2718281\nboottime 1337 3141519\n";

/// The kernel aligns the columns.
const SHOW_OFFSETS: &str = "tr -s ' ' < /proc/self/timens_offsets";

fn has_time_namespaces() -> bool {
    let has = std::path::Path::new("/proc/self/ns/time").exists();
    if !has {
        support::skip("SKIP: this kernel has no time namespaces");
    }
    has
}

#[test]
fn clocks_are_moved_and_stay_so_for_who_joins() {
    needs_containers!();
    if !has_time_namespaces() {
        return;
    }
    let mut bundle = Bundle::script(SHOW_OFFSETS);
    set(&mut bundle, json!({"type": "time"}));
    assert_eq!(bundle.run(), "monotonic 0 0\nboottime 0 0\n");
    bundle.config["linux"]["timeOffsets"] = offsets();
    assert_eq!(bundle.run(), MOVED);
    let running = Running::new(bundle);
    let script = format!("{SHOW_OFFSETS}; readlink /proc/self/ns/time; readlink /proc/1/ns/time");
    let said = running.succeed(json!({"args": ["sh", "-c", script]}));
    let links: Vec<_> = said.strip_prefix(MOVED).unwrap().lines().collect();
    assert_eq!(links[0], links[1]);
    let mut other = Bundle::script("readlink /proc/self/ns/time");
    let path = format!("/proc/{}/ns/time", running.pid());
    set(&mut other, json!({"type": "time", "path": path}));
    assert_eq!(other.run().trim(), links[0]);
}

#[test]
fn clocks_of_a_user_namespace_are_moved() {
    needs_containers!();
    if !has_time_namespaces() {
        return;
    }
    let mut bundle = with_user_namespace(Bundle::script(SHOW_OFFSETS), 0, 65_536);
    set(&mut bundle, json!({"type": "time"}));
    bundle.config["linux"]["timeOffsets"] = offsets();
    assert_eq!(bundle.run(), MOVED);
}

#[test]
fn namespaces_that_cannot_be_are_told() {
    needs_containers!();
    let told = |change: &dyn Fn(&mut Bundle)| {
        let mut bundle = Bundle::new(&["true"]);
        change(&mut bundle);
        bundle.fail()
    };
    type Change<'a> = &'a dyn Fn(&mut Bundle);
    let table: [(Change<'_>, &str); 7] = [
        (
            &|bundle| bundle.config["linux"]["timeOffsets"] = offsets(),
            "linux.timeOffsets: can be set in a new time namespace only",
        ),
        (
            &|bundle| {
                set(bundle, json!({"type": "time"}));
                bundle.config["linux"]["timeOffsets"] = json!({"realtime": {"secs": 1}});
            },
            "linux.timeOffsets.realtime: there is no such clock",
        ),
        (
            &|bundle| {
                set(
                    bundle,
                    json!({"type": "network", "path": "/proc/self/ns/uts"}),
                )
            },
            "/proc/self/ns/uts leads to uts, where a net namespace is asked for",
        ),
        (
            &|bundle| set(bundle, json!({"type": "ipc", "path": "/dev/null"})),
            "/dev/null leads to no namespace, where a ipc namespace is asked for",
        ),
        (
            &|bundle| set(bundle, json!({"type": "pid", "path": "proc/self/ns/pid"})),
            "the path proc/self/ns/pid is not absolute",
        ),
        (
            &|bundle| {
                let all = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
                all.push(json!({"type": "uts"}));
            },
            "linux.namespaces: uts is there twice",
        ),
        (
            &|bundle| {
                bundle.config["linux"]["uidMappings"] =
                    json!([{"containerID": 0, "hostID": 1, "size": 1}]);
            },
            "linux.uidMappings: needs a user namespace in linux.namespaces",
        ),
    ];
    for (change, reason) in table {
        let said = told(change);
        assert!(said.contains(reason), "{said}");
    }
}

/// What is the caller's own is joined already, and nothing may be changed in it.
#[test]
fn own_namespaces_by_path_are_not_the_containers() {
    needs_containers!();
    let mut bundle = Bundle::script("readlink /proc/self/ns/uts; readlink /proc/self/ns/user");
    for kind in ["uts", "user"] {
        set(
            &mut bundle,
            json!({"type": kind, "path": format!("/proc/self/ns/{kind}")}),
        );
    }
    bundle.config["hostname"] = json!("");
    let own = |kind| std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
    let expected = format!("{}\n{}\n", own("uts").display(), own("user").display());
    assert_eq!(bundle.run(), expected);
    bundle.config["hostname"] = json!("other");
    assert!(bundle.fail().contains("hostname: would change the host's"));
}

#[test]
fn who_joins_a_user_namespace_is_its_root() {
    needs_containers!();
    let bundle = with_user_namespace(Bundle::new(&["true"]), 0, 65_536);
    let running = Running::new(bundle);
    let script = "id -u; tr -s ' ' < /proc/self/uid_map; readlink /proc/self/ns/user; hostname";
    let said = running.succeed(json!({"args": ["sh", "-c", script]}));
    let link = std::fs::read_link(format!("/proc/{}/ns/user", running.pid())).unwrap();
    let expected = format!("0\n 0 100000 65536\n{}\nbrig\n", link.display());
    assert_eq!(said, expected);
    let user = json!({"uid": 7, "gid": 8, "additionalGids": [9]});
    let said = running.succeed(json!({"args": ["sh", "-c", "id -u; id -G"], "user": user}));
    assert_eq!(said, "7\n8 9\n");
    let status = format!("/proc/{}/status", running.pid());
    let status = std::fs::read_to_string(status).unwrap();
    assert_eq!(
        support::status_line(&status, "Uid"),
        ["100000"; 4].join("\t")
    );
}

#[test]
fn a_user_namespace_without_root_runs_what_it_has() {
    needs_containers!();
    let mut bundle = with_user_namespace(Bundle::script("id -u; id -g"), 1000, 1);
    bundle.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    bundle.config["mounts"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .for_each(|mount| {
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
        });
    assert_eq!(bundle.run(), "1000\n1000\n");
    let running = Running::new(bundle);
    let user = json!({"uid": 1000, "gid": 1000});
    assert_eq!(
        running.succeed(json!({"args": ["id", "-u"], "user": user})),
        "1000\n"
    );
    let (succeeded, said) = running.exec(json!({"args": ["true"], "user": {"uid": 5}}));
    assert!(!succeeded);
    assert!(
        said.contains("cannot become") || said.contains("become root"),
        "{said}"
    );
}

fn path_of(running: &Running, kind: &str) -> String {
    format!("/proc/{}/ns/{kind}", running.pid())
}

fn links(running: &Running, kinds: &[&str]) -> String {
    let link = |kind: &&str| {
        let link = std::fs::read_link(path_of(running, kind)).unwrap();
        format!("{}\n", link.display())
    };
    kinds.iter().map(link).collect()
}

#[test]
fn a_joined_user_namespace_owns_the_new_ones() {
    needs_containers!();
    let first = Running::new(with_user_namespace(Bundle::new(&["true"]), 0, 65_536));
    let mut second = Bundle::script("readlink /proc/self/ns/user; id -u; hostname");
    set(
        &mut second,
        json!({"type": "user", "path": path_of(&first, "user")}),
    );
    give_away(&second);
    let expected = format!("{}0\nbrig\n", links(&first, &["user"]));
    assert_eq!(second.run(), expected);
    let running = Running::new(second);
    let said = running.succeed(json!({"args": ["sh", "-c", "id -u; hostname"]}));
    assert_eq!(said, "0\nbrig\n");
}

#[test]
fn namespaces_are_joined_into_a_user_namespace() {
    needs_containers!();
    let kinds = ["net", "ipc", "uts", "pid"];
    let script = "for kind in net ipc uts pid; do readlink /proc/self/ns/$kind; done; id -u";
    let join = |first: &Running, bundle: &mut Bundle| {
        for (name, kind) in ["network", "ipc", "uts", "pid"].iter().zip(kinds) {
            set(bundle, json!({"type": name, "path": path_of(first, kind)}));
        }
        bundle.config["hostname"] = json!("");
        // In a network and pid namespace of others these file systems may not be mounted anew.
        bundle.mount(
            json!({"destination": "/host", "type": "bind", "source": "/proc",
            "options": ["rbind"]}),
        );
        let mounts = bundle.config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| {
            !["sysfs", "proc", "mqueue", "cgroup"].contains(&mount["type"].as_str().unwrap())
        });
        std::fs::create_dir_all(bundle.in_root("host")).unwrap();
        bundle.config["linux"]["maskedPaths"] = json!([]);
        bundle.config["linux"]["readonlyPaths"] = json!([]);
        bundle.config["process"]["args"] = json!(["sh", "-c", script.replace("/proc/", "/host/")]);
    };
    // Those of the machine's own user namespace, into a new one.
    let first = Running::new(Bundle::new(&["true"]));
    let mut second = with_user_namespace(Bundle::new(&["true"]), 0, 65_536);
    join(&first, &mut second);
    assert_eq!(second.run(), format!("{}0\n", links(&first, &kinds)));
    // And into one that is joined as well, and does not own them.
    let other = Running::new(with_user_namespace(Bundle::new(&["true"]), 0, 65_536));
    let user = json!({"type": "user", "path": path_of(&other, "user")});
    let mut third = Bundle::new(&["true"]);
    set(&mut third, user.clone());
    give_away(&third);
    join(&first, &mut third);
    assert_eq!(third.run(), format!("{}0\n", links(&first, &kinds)));
    // And that does own them.
    let mut fourth = Bundle::new(&["true"]);
    set(&mut fourth, user);
    give_away(&fourth);
    join(&other, &mut fourth);
    assert_eq!(fourth.run(), format!("{}0\n", links(&other, &kinds)));
}

/// Without what may only be done with mounts of one's own.
fn without_mounts(bundle: &mut Bundle) {
    bundle.config["mounts"] = json!([]);
    bundle.config["linux"]["maskedPaths"] = json!([]);
    bundle.config["linux"]["readonlyPaths"] = json!([]);
    bundle.config["root"]["readonly"] = json!(false);
}

#[test]
fn without_mounts_the_table_of_others_is_left_alone() {
    needs_containers!();
    let mut bundle = Bundle::script("pwd; ls /");
    remove(&mut bundle, "mount");
    without_mounts(&mut bundle);
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(bundle.run(), "/\nbin\ndev\netc\n");
    let running = Running::new(bundle);
    let said = running.succeed(json!({"args": ["ls", "/"], "cwd": "/bin"}));
    assert_eq!(said, "bin\ndev\netc\n");
    let id = running.bundle.path().to_str().unwrap().to_owned();
    let after = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!after.contains(&id) && !before.contains(&id));
}

/// How many mounts of the bundle are seen here.
fn mounts_seen(bundle: &Bundle) -> usize {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = bundle.path().join("rootfs");
    let of_bundle = |line: &&str| line.contains(root.to_str().unwrap());
    table.lines().filter(of_bundle).count()
}

/// As with runc, but for what is left.
#[test]
fn mounts_are_made_where_the_caller_is() {
    needs_containers!();
    let mut bundle = Bundle::script("cat /proc/self/comm; cat /proc/kcore; touch /x");
    remove(&mut bundle, "mount");
    bundle.write();
    let output = bundle.output(&["run", "ID"]);
    assert_eq!(text(&output.stdout), "cat\n");
    assert!(text(&output.stderr).contains("Read-only file system"));
    assert_eq!(mounts_seen(&bundle), 0);
    // One that fails half way.
    let mut fails = Bundle::new(&["true"]);
    remove(&mut fails, "mount");
    fails.mount(json!({"destination": "/x", "type": "no-such-type", "source": "x"}));
    fails.fail();
    assert_eq!(mounts_seen(&fails), 0);
    // And one that others join, with the terminal that takes a mount.
    let running = Running::new(bundle);
    assert!(mounts_seen(&running.bundle) > 3);
    let said = running.succeed(json!({"args": ["cat", "/proc/self/comm"]}));
    assert_eq!(said, "cat\n");
    assert!(
        running
            .bundle
            .output(&["delete", "-f", "ID"])
            .status
            .success()
    );
    assert_eq!(mounts_seen(&running.bundle), 0);
}

/// Those of the one below could not go without those of the other.
#[test]
fn a_root_has_the_mounts_of_one_container_only() {
    needs_containers!();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    remove(&mut bundle, "mount");
    bundle.write();
    let said = |words: &[&str]| {
        // What is left behind must not hold a pipe.
        let file = bundle.path().join("said");
        let err = std::fs::File::create(&file).unwrap();
        let mut command = bundle.command(words);
        let status = command
            .stdout(std::process::Stdio::null())
            .stderr(err)
            .status();
        (
            status.unwrap().success(),
            std::fs::read_to_string(&file).unwrap(),
        )
    };
    let done = || (true, String::new());
    assert_eq!(said(&["create", "ID"]), done());
    let mounts = mounts_seen(&bundle);
    let other = format!("{}-other", bundle.id);
    let path = bundle.path().join("config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config.replace(&bundle.id, &other);
    sys::file::replace_unsynced(&path, config.as_bytes(), 0o644).unwrap();
    let (created, error) = said(&["create", &other]);
    assert!(
        !created && error.contains(&format!("container {} ", bundle.id)),
        "{error}"
    );
    assert_eq!(mounts_seen(&bundle), mounts);
    // One that nobody could know of.
    let state = bundle.path().join("state-of-others");
    let state = state.to_str().unwrap();
    assert_eq!(said(&["--root", state, "create", &other]), done());
    let (deleted, error) = said(&["delete", "--force", "ID"]);
    assert!(!deleted && error.contains("mounted on top"), "{error}");
    assert_eq!(
        said(&["--root", state, "delete", "--force", &other]),
        done()
    );
    assert_eq!(mounts_seen(&bundle), mounts);
    assert_eq!(said(&["delete", "--force", "ID"]), done());
    assert_eq!(mounts_seen(&bundle), 0);
    bundle.assert_nothing_left();
}

/// They go with the namespace.
#[test]
fn mounts_are_made_in_a_namespace_that_is_joined() {
    needs_containers!();
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "sleep", "1000"]);
    let mut other = unshare.spawn().unwrap();
    let path = format!("/proc/{}/ns/mnt", other.id());
    let own = std::fs::read_link("/proc/self/ns/mnt").unwrap();
    let is_apart = || std::fs::read_link(&path).is_ok_and(|link| link != own);
    support::until("a mount namespace of its own", is_apart);
    let mut bundle = Bundle::new(&[]);
    set(&mut bundle, json!({"type": "mount", "path": path}));
    let running = Running::new(bundle);
    let said = running.succeed(json!({"args": ["cat", "/proc/self/comm"]}));
    assert_eq!(said, "cat\n");
    assert_eq!(mounts_seen(&running.bundle), 0);
    let table = format!("/proc/{}/mountinfo", other.id());
    let root = running.bundle.in_root("").display().to_string();
    let mounts = || {
        std::fs::read_to_string(&table)
            .unwrap()
            .matches(&root)
            .count()
    };
    let before = mounts();
    assert!(before > 3);
    let delete = running.bundle.output(&["delete", "--force", "ID"]);
    assert!(delete.status.success(), "{}", text(&delete.stderr));
    assert_eq!(mounts(), before);
    drop(running);
    other.kill().unwrap();
    other.wait().unwrap();
}

/// They are the machine's files, run with the machine's rights.
#[test]
fn hooks_of_the_container_are_not_taken_from_another_one() {
    needs_containers!();
    let first = Running::new(Bundle::new(&["true"]));
    let mut bundle = Bundle::new(&["true"]);
    set(
        &mut bundle,
        json!({"type": "mount", "path": path_of(&first, "mnt")}),
    );
    bundle.config["hooks"] = json!({"createContainer": [{"path": "/bin/sh"}]});
    let said = bundle.fail();
    assert!(said.contains("hooks.createContainer"), "{said}");
}

#[test]
fn a_mount_namespace_is_joined() {
    needs_containers!();
    let first = Running::new(Bundle::new(&["true"]));
    let mut bundle = Bundle::script("ls /");
    set(
        &mut bundle,
        json!({"type": "mount", "path": path_of(&first, "mnt")}),
    );
    without_mounts(&mut bundle);
    assert_eq!(bundle.run(), "bin\ndev\netc\n");
    let second = Running::new(bundle);
    assert_eq!(links(&second, &["mnt"]), links(&first, &["mnt"]));
    let said = second.succeed(json!({"args": ["ls", "/"]}));
    assert_eq!(said, "bin\ndev\netc\n");
}

/// Runs the words with another root than that of the mount namespace, which `prepare` makes of `$1`;
/// what was printed, and the error.
fn run_in_changed_root(bundle: &Bundle, prepare: &str, verbs: &str) -> (String, String) {
    let new_root = tempfile::tempdir().unwrap();
    // The test's own files are below directories that a bind mount of / does not have.
    let script = format!(
        "set -e; {prepare}; cd {bundle}; exec chroot \"$1\" sh -c 'set -e; cd {bundle}; \
         r=\"{runtime} --root {state}\"; {verbs}'",
        bundle = bundle.path().display(),
        runtime = env!("CARGO_BIN_EXE_brig-runtime"),
        state = bundle.state().display(),
    );
    let script = script.replace("ID", &bundle.id);
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .args([&script, "sh"])
        .arg(new_root.path())
        .output()
        .unwrap();
    (text(&output.stdout), text(&output.stderr))
}

const CHANGED_ROOTS: [&str; 3] = [
    "mount --rbind / \"$1\"",
    // Seen by others as far as it goes: what is mounted in the container must not be.
    "mount --rbind / \"$1\"; mount --make-rshared /",
    // A directory that is no mount point itself.
    "mount -t tmpfs none \"$1\"; mkdir \"$1/deep\"; cd /; for name in *; do \
     if [ -h \"$name\" ]; then cp -P \"$name\" \"$1/deep/\"; elif [ -d \"$name\" ]; then \
     mkdir \"$1/deep/$name\"; mount --rbind \"$name\" \"$1/deep/$name\"; fi; done; \
     set -- \"$1/deep\"",
];

/// Where something is mounted, by the lines of /proc/mounts among those that were printed.
fn places(printed: &str) -> Vec<&str> {
    printed
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .collect()
}

/// Whoever joins such a container must not land in the machine's own root.
#[test]
fn a_changed_root_is_left_for_the_containers() {
    needs_containers!();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.config["root"]["readonly"] = json!(false);
    bundle.write();
    let elsewhere = Running::new(Bundle::new(&["true"]));
    let usual = elsewhere.succeed(json!({"args": ["cat", "/proc/mounts"]}));
    let usual = places(&usual);
    assert!(usual.contains(&"/") && usual.contains(&"/proc"));
    let verbs = "$r run -d ID <&- >out 2>&1; $r exec ID ls /; $r exec ID cat /proc/mounts; \
                 $r exec ID readlink /proc/1/root; $r delete -f ID; ! grep -q ID /proc/mounts";
    for prepare in CHANGED_ROOTS {
        let (printed, said) = run_in_changed_root(&bundle, prepare, verbs);
        let first = "bin\ndev\netc\nproc\nsys\n";
        assert!(printed.starts_with(first), "{prepare}: {printed}{said}");
        assert!(printed.ends_with("\n/\n"), "{prepare}: {printed}{said}");
        // Nothing of the machine's is left: the container's root, and what lies in it.
        assert_eq!(places(&printed), usual, "{prepare}");
        bundle.assert_nothing_left();
    }
}
