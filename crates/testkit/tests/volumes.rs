//! Volumes: named, anonymous, of images, of other containers; parts of them; what is beyond Docker.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::{AtEnd, Brig, Client, Output, busybox_tar, clients, root};

/// An image `vols` with files at `/data`, and volumes at `/data` and `/empty`.
fn import_with_volumes(brig: &Brig) {
    let archive = brig.root().join("vols.tar");
    fs::copy(busybox_tar(), &archive).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir_all(data.join("deep")).unwrap();
    fs::write(data.join("file"), "of the image").unwrap();
    fs::hard_link(data.join("file"), data.join("deep/again")).unwrap();
    symlink("/etc/passwd", data.join("link")).unwrap();
    std::os::unix::fs::chown(&data, Some(33), Some(50)).unwrap();
    std::os::unix::fs::chown(data.join("file"), Some(70), Some(70)).unwrap();
    fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o750)).unwrap();
    // What would lead outside, were it looked up outside.
    symlink("/../../../../../../etc", dir.path().join("out")).unwrap();
    let appended = Command::new("tar")
        .args(["--numeric-owner", "-rf"])
        .arg(&archive)
        .arg("-C")
        .arg(dir.path())
        .args(["./data", "./out"])
        .status();
    assert!(appended.unwrap().success());
    let change = "VOLUME /data /empty";
    let archive = archive.to_str().unwrap();
    brig.brig(&["import", "-c", change, archive, "vols"]).ok();
}

fn mountpoint(brig: &Brig, name: &str) -> PathBuf {
    let format = ["volume", "inspect", "-f", "{{.Mountpoint}}", name];
    brig.brig(&format).ok().trim().into()
}

fn names(brig: &Brig) -> BTreeSet<String> {
    let listed = brig.brig(&["volume", "ls", "-q"]);
    listed.lines().into_iter().map(str::to_owned).collect()
}

fn run(brig: &Brig, client: Client, flags: &[&str], script: &str) -> Output {
    let all = [&["run", "--rm"], flags, &["bb", "sh", "-c", script]].concat();
    brig.with(client, &all)
}

/// Names that a filter leaves, in order.
fn filtered(brig: &Brig, client: Client, filter: &str) -> BTreeSet<String> {
    let listed = brig.with(client, &["volume", "ls", "-q", "--filter", filter]);
    listed.lines().into_iter().map(str::to_owned).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn volumes_are_made_listed_and_removed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let volume = |args: &[&str]| brig.with(client, &[&["volume"], args].concat());
        assert_eq!(volume(&["create", "db"]).ok(), "db");
        let cache = ["create", "--label", "tier=1", "cache"];
        assert_eq!(volume(&cache).ok(), "cache");
        let random = volume(&["create"]).ok().trim().to_owned();
        assert_eq!(random.len(), 64, "{random}");
        assert_eq!(volume(&["create", "db"]).ok(), "db");
        assert_eq!(filtered(&brig, client, "label=tier=1"), set(&["cache"]));
        assert_eq!(filtered(&brig, client, "name=^cache"), set(&["cache"]));
        assert_eq!(filtered(&brig, client, "driver=other"), set(&[]));
        let listed = volume(&["ls"]);
        let heading = listed.lines()[0].starts_with("DRIVER    VOLUME NAME");
        assert!(heading, "{listed}");
        let inspected = volume(&["inspect", "cache"]).json();
        assert_eq!(inspected[0]["Name"], "cache");
        assert_eq!(inspected[0]["Driver"], "local");
        assert_eq!(inspected[0]["Scope"], "local");
        assert_eq!(inspected[0]["Labels"]["tier"], "1");
        // In use it stays.
        let user = ["create", "--name", "user", "-v", "db:/d", "bb", "true"];
        brig.with(client, &user).ok();
        let refused = volume(&["rm", "db"]);
        assert!(refused.fails(1).contains("volume is in use"), "{refused}");
        let dangling = filtered(&brig, client, "dangling=true");
        assert_eq!(dangling, set(&["cache", &random]));
        // Docker 20.10's client speaks a version in which all of them are meant.
        let pruned = volume(&["prune", "-f"]);
        assert!(pruned.ok().contains(&random), "{pruned}");
        assert!(names(&brig).contains("db"));
        brig.with(client, &["rm", "user"]).ok();
        volume(&["rm", "db"]).ok();
        volume(&["rm", "-f", "cache", "never-was"]).ok();
        assert_eq!(names(&brig), set(&[]));
    }
    brig.finish();
}

#[test]
fn what_cannot_be_is_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let volume = |args: &[&str]| brig.with(client, &[&["volume"], args].concat());
        let missing = volume(&["inspect", "none"]);
        let text = missing.fails(1).to_lowercase();
        assert!(text.contains("no such volume"), "{missing}");
        for bad in ["a", "a/b", "..", "a b", &"x".repeat(300)] {
            let refused = volume(&["create", bad]);
            assert_eq!(refused.code, 1, "{bad}: {refused}");
        }
        let driver = volume(&["create", "-d", "other", "xx"]);
        assert!(driver.fails(1).contains("other"), "{driver}");
        let option = volume(&["create", "-o", "colour=red", "xx"]);
        assert!(option.fails(1).contains("colour"), "{option}");
        assert_eq!(names(&brig), set(&[]));
    }
    brig.finish();
}

#[test]
fn two_containers_share_what_outlives_them() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        run(&brig, client, &["-v", "db:/d"], "echo kept > /d/file").ok();
        let read = run(
            &brig,
            client,
            &["-v", "db:/other:ro"],
            "cat /other/file; touch /other/x",
        );
        assert!(
            read.stdout == "kept\n" && read.stderr.contains("Read-only"),
            "{read}"
        );
        let long = "type=volume,source=db,target=/d,readonly";
        let read = run(&brig, client, &["--mount", long], "cat /d/file; touch /d/x");
        assert!(
            read.stdout == "kept\n" && read.stderr.contains("Read-only"),
            "{read}"
        );
        // At once.
        let holds = [
            "run", "-d", "--name", "holds", "-v", "db:/d", "bb", "sleep", "1000",
        ];
        brig.with(client, &holds).ok();
        run(&brig, client, &["-v", "db:/d"], "echo second > /d/second").ok();
        assert_eq!(
            brig.with(client, &["exec", "holds", "cat", "/d/second"])
                .ok(),
            "second"
        );
        let mounts = brig.inspect("holds")["Mounts"].clone();
        let place = mountpoint(&brig, "db");
        assert_eq!(mounts[0]["Type"], "volume");
        assert_eq!(mounts[0]["Name"], "db");
        assert_eq!(mounts[0]["Source"], place.to_str().unwrap());
        assert_eq!(mounts[0]["Destination"], "/d");
        assert_eq!(mounts[0]["Driver"], "local");
        assert_eq!(mounts[0]["Mode"], "z");
        assert_eq!(mounts[0]["RW"], true);
        assert_eq!(brig.inspect("holds")["HostConfig"]["Binds"][0], "db:/d");
        let listed = brig.with(client, &["ps", "-q", "--filter", "volume=db"]);
        assert_eq!(listed.lines().len(), 1, "{listed}");
        brig.with(client, &["rm", "-f", "holds"]).ok();
        brig.with(client, &["volume", "rm", "db"]).ok();
    }
    brig.finish();
}

#[test]
fn volumes_of_images_get_what_is_there() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    import_with_volumes(&brig);
    for client in clients() {
        let create = |name: &str, flags: &[&str], script: &str| {
            let run = [
                &["run", "--name", name],
                flags,
                &["vols", "sh", "-c", script],
            ]
            .concat();
            brig.with(client, &run)
        };
        let look = "stat -c '%u:%g %a' /data; stat -c '%u %h' /data/file; cat /data/deep/again; \
            readlink /data/link; ls /empty | wc -l; echo; echo new > /data/new";
        let shown = create("own", &[], look);
        assert_eq!(shown.ok(), "33:50 750\n70 2\nof the image/etc/passwd\n0");
        let own = names(&brig);
        assert_eq!(own.len(), 2, "{own:?}");
        let volumes = &brig.inspect("own")["Config"]["Volumes"];
        assert!(
            volumes["/data"].is_object() && volumes["/empty"].is_object(),
            "{volumes}"
        );
        // A restart keeps them.
        let again = brig.with(client, &["start", "-a", "own"]);
        assert!(again.code == 0, "{again}");
        // Another one has what this one has.
        let from = ["--volumes-from", "own"];
        assert_eq!(create("other", &from, "cat /data/new").ok(), "new");
        let read_only = ["--volumes-from", "own:ro"];
        let refused = create("third", &read_only, "touch /data/x");
        assert!(refused.stderr.contains("Read-only"), "{refused}");
        assert_eq!(names(&brig), own);
        // What others have stays; with the last one it goes.
        brig.with(client, &["rm", "-v", "own"]).ok();
        assert_eq!(names(&brig), own);
        brig.with(client, &["rm", "-v", "other", "third"]).ok();
        assert_eq!(names(&brig), BTreeSet::new());
    }
    brig.finish();
}

#[test]
fn all_that_others_have_comes_as_asked() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let shared = brig.root().join("shared");
    fs::create_dir(&shared).unwrap();
    let (writable, fixed) = (
        format!("{}:/host", shared.display()),
        format!("{}:/fixed:ro", shared.display()),
    );
    let touch =
        "for d in /v /host /fixed; do touch $d/x 2>/dev/null && echo -n w || echo -n r; done";
    for client in clients() {
        let create = |name: &str, flags: &[&str]| {
            // Docker's clients take it for the image when something is not there.
            let create = ["create", "--pull", "never", "--name", name];
            let image: &[&str] = &["bb", "true"];
            brig.with(client, &[&create[..], flags, image].concat())
        };
        create("one", &["-v", "one:/v", "-v", &writable, "-v", &fixed]).ok();
        create("two", &["-v", "two:/v", "-v", "/own"]).ok();
        let from = |flags: &[&str]| run(&brig, client, flags, touch).ok().to_owned();
        // What is read-only there is so here, whatever is asked for.
        for (mode, expected) in [
            ("one", "wwr"),
            ("one:", "wwr"),
            ("one:rw", "wwr"),
            ("one:z", "wwr"),
            ("one:rw,Z", "wwr"),
            ("one:ro", "rrr"),
            ("one:z,ro", "rrr"),
        ] {
            assert_eq!(
                from(&["--volumes-from", mode]),
                expected,
                "{client:?} {mode}"
            );
        }
        // The last one counts, and what is asked for here before all of them.
        let both = ["--volumes-from", "one", "--volumes-from", "two"];
        run(
            &brig,
            client,
            &both,
            "touch /v/of-two /own/of-two; ls /host",
        )
        .ok();
        assert!(mountpoint(&brig, "two").join("of-two").exists());
        let here = [&both[..], &["-v", "three:/v"]].concat();
        run(&brig, client, &here, "touch /v/of-three; ls /own/of-two").ok();
        assert!(mountpoint(&brig, "three").join("of-three").exists());
        // From one that has it from another.
        create("heir", &["--volumes-from", "two"]).ok();
        let heir = run(&brig, client, &["--volumes-from", "heir"], "ls /v/of-two");
        heir.ok();
        for (bad, why) in [
            ("one:often", "invalid mode: often"),
            ("one:ro,rw", "invalid mode: ro,rw"),
            ("one:ro,nocopy", "invalid mode: ro,nocopy"),
            ("one:rslave", "invalid mode: rslave"),
            ("nobody-here", "No such container: nobody-here"),
        ] {
            let refused = create("bad", &["--volumes-from", bad]);
            assert!(refused.fails(1).contains(why), "{client:?} {refused}");
        }
        brig.with(client, &["rm", "-v", "one", "two", "heir"]).ok();
        let named = ["volume", "rm", "one", "two", "three"];
        brig.with(client, &named).ok();
        assert_eq!(names(&brig), BTreeSet::new());
        fs::remove_file(shared.join("x")).unwrap();
    }
    brig.finish();
}

#[test]
fn volumes_of_a_name_get_what_is_there() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    import_with_volumes(&brig);
    for client in clients() {
        let create = |name: &str, flags: &[&str], script: &str| {
            let run = [
                &["run", "--name", name],
                flags,
                &["vols", "sh", "-c", script],
            ];
            brig.with(client, &run.concat())
        };
        // Into an empty one of a name, unless that is not wanted.
        let first = ["--rm", "-v", "named:/data"];
        assert_eq!(create("x1", &first, "cat /data/file").ok(), "of the image");
        let bare = ["--rm", "-v", "bare:/data:nocopy"];
        assert_eq!(create("x2", &bare, "ls /data | wc -l").ok().trim(), "0");
        let long = [
            "--rm",
            "--mount",
            "type=volume,src=bare2,dst=/data,volume-nocopy",
        ];
        assert_eq!(create("x3", &long, "ls /data | wc -l").ok().trim(), "0");
        // Made beforehand it is filled too; what holds something is left alone.
        brig.with(client, &["volume", "create", "made"]).ok();
        let made = ["--rm", "-v", "made:/data"];
        assert_eq!(
            create("x4", &made, "cat /data/file; rm /data/file").ok(),
            "of the image"
        );
        assert_eq!(
            create("x5", &made, "ls /data/file 2>&1 | wc -l")
                .ok()
                .trim(),
            "1"
        );
        // A link of the image leads nowhere but into the image.
        let out = ["--rm", "-v", "out-of:/out"];
        let copied = create("x6", &out, "true");
        assert_eq!(copied.code, 0, "{copied}");
        assert!(mountpoint(&brig, "out-of").join("passwd").exists());
        let theirs = fs::read_to_string(mountpoint(&brig, "out-of").join("passwd")).unwrap();
        assert!(
            theirs.starts_with("root:x:0:0:root:/root:/bin/sh\nwww:"),
            "{theirs}"
        );
        let left: Vec<String> = names(&brig).into_iter().collect();
        assert_eq!(left, ["bare", "bare2", "made", "named", "out-of"]);
        let remove: Vec<&str> = left.iter().map(String::as_str).collect();
        brig.with(client, &[&["volume", "rm"], remove.as_slice()].concat())
            .ok();
    }
    brig.finish();
}

#[test]
fn a_container_that_goes_takes_its_own_along() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        assert_eq!(
            run(
                &brig,
                client,
                &["-v", "/own", "-v", "kept:/kept"],
                "touch /own/x /kept/x"
            )
            .code,
            0
        );
        assert_eq!(names(&brig), BTreeSet::from(["kept".to_owned()]));
        brig.with(
            client,
            &["create", "--name", "keeps", "-v", "/own", "bb", "true"],
        )
        .ok();
        brig.with(client, &["rm", "keeps"]).ok();
        assert_eq!(names(&brig).len(), 2);
        let all = brig.brig(&["volume", "prune", "-f", "-a"]);
        assert!(all.ok().contains("kept"), "{all}");
        assert_eq!(names(&brig), BTreeSet::new());
    }
    brig.finish();
}

#[test]
fn parts_and_images_are_mounted() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    import_with_volumes(&brig);
    run(
        &brig,
        Client::Brig,
        &["-v", "db:/d"],
        "mkdir -p /d/a/b; echo in > /d/a/b/file; \
        ln -s /etc /d/abs; ln -s ../.. /d/up; ln -s a/b /d/short",
    )
    .ok();
    let mount = |mount: &str, script: &str| run(&brig, Client::Brig, &["--mount", mount], script);
    let part = |path: &str| format!("type=volume,src=db,dst=/m,volume-subpath={path}");
    assert_eq!(mount(&part("a/b"), "cat /m/file").ok(), "in");
    assert_eq!(mount(&part("short"), "cat /m/file").ok(), "in");
    assert_eq!(mount(&part("a/b/file"), "cat /m").ok(), "in");
    for out in ["abs", "up", "abs/passwd", "none", "a/../../..", "/etc"] {
        let refused = mount(&part(out), "ls /m");
        let missing = matches!(out, "none" | "abs/passwd") && refused.code == 127;
        assert!(missing || refused.code == 125, "{out}: {refused}");
    }
    empty_parts_are_filled(&brig);
    assert_eq!(
        mount("type=image,src=vols,dst=/i", "cat /i/data/file").ok(),
        "of the image"
    );
    let written = mount("type=image,src=vols,dst=/i", "echo x > /i/data/file");
    assert!(written.stderr.contains("Read-only"), "{written}");
    let part = "type=image,src=vols,dst=/i,image-subpath=data/deep";
    assert_eq!(mount(part, "cat /i/again").ok(), "of the image");
    let out = mount("type=image,src=vols,dst=/i,image-subpath=out", "ls /i");
    assert_eq!(out.code, 125, "{out}");
    assert_eq!(mount("type=image,src=never,dst=/i", "true").code, 125);
    // The image stays as long as a container mounts it.
    let keep = [
        "create",
        "--name",
        "keep",
        "--mount",
        "type=image,src=vols,dst=/i",
        "bb",
        "true",
    ];
    brig.brig(&keep).ok();
    assert!(brig.brig(&["rmi", "vols"]).fails(1).contains("using"));
    brig.brig(&["rm", "keep"]).ok();
    brig.brig(&["rmi", "vols"]).ok();
    brig.finish();
}

#[test]
fn options_of_the_driver_say_what_is_mounted() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let shared = brig.root().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("file"), "of the host").unwrap();
    let device = format!("device={}", shared.display());
    for client in clients() {
        let create = |name: &str, options: &[&str]| {
            let options: Vec<&str> = options.iter().flat_map(|o| ["-o", o]).collect();
            brig.with(
                client,
                &[&["volume", "create"], options.as_slice(), &[name]].concat(),
            )
        };
        create(
            "memory",
            &["type=tmpfs", "device=tmpfs", "o=size=1m,uid=33"],
        )
        .ok();
        let shown = run(
            &brig,
            client,
            &["-v", "memory:/m"],
            "stat -c %u /m; df -k /m | tail -1 | awk '{print $2}'",
        );
        assert_eq!(shown.ok(), "33\n1024");
        create("bound", &["type=none", "o=bind", &device]).ok();
        assert_eq!(
            run(&brig, client, &["-v", "bound:/m"], "cat /m/file").ok(),
            "of the host"
        );
        let long = format!(
            "type=volume,dst=/m,volume-opt=type=none,volume-opt=o=bind,volume-opt={device}"
        );
        assert_eq!(
            run(&brig, client, &["--mount", &long], "cat /m/file").ok(),
            "of the host"
        );
        create("gone", &["type=none", "o=bind", "device=/no/such/place"]).ok();
        let missing = run(&brig, client, &["-v", "gone:/m:nocopy"], "true");
        // As if a command were not there: Docker's clients go by the words.
        assert!(missing.fails(127).contains("/no/such/place"), "{missing}");
        brig.with(client, &["volume", "rm", "memory", "bound", "gone"])
            .ok();
        assert!(shared.join("file").exists());
    }
    brig.finish();
}

#[test]
fn what_docker_cannot_do() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let state = |brig: &Brig| fs::read_to_string(mountpoint(brig, "db").join("state")).unwrap();
    run(
        &brig,
        Client::Brig,
        &["-v", "db:/d"],
        "echo one > /d/state; chown 70:70 /d/state",
    )
    .ok();
    let archive = brig.root().join("db.tar");
    brig.brig(&["volume", "export", "-o", archive.to_str().unwrap(), "db"])
        .ok();
    brig.brig(&["volume", "snapshot", "db", "first"]).ok();
    brig.brig(&["volume", "clone", "db", "twin"]).ok();
    run(&brig, Client::Brig, &["-v", "db:/d"], "echo two > /d/state").ok();
    assert_eq!(state(&brig), "two\n");
    let twin = mountpoint(&brig, "twin").join("state");
    assert_eq!(fs::read_to_string(&twin).unwrap(), "one\n");
    assert_eq!(fs::metadata(&twin).unwrap().uid(), 70);
    let inspected = brig.brig(&["volume", "inspect", "db"]).json();
    assert_eq!(inspected[0]["Snapshots"][0]["Name"], "first");
    // Not under a container that runs.
    brig.brig(&[
        "run", "-d", "--name", "holds", "-v", "db:/d", "bb", "sleep", "1000",
    ])
    .ok();
    let refused = brig.brig(&["volume", "restore", "db", "first"]);
    assert!(refused.fails(1).contains("holds"), "{refused}");
    let import = [
        "volume",
        "import",
        "--replace",
        "db",
        archive.to_str().unwrap(),
    ];
    assert!(brig.brig(&import).fails(1).contains("holds"));
    brig.brig(&["stop", "-t", "0", "holds"]).ok();
    brig.brig(&["volume", "restore", "db", "first"]).ok();
    assert_eq!(state(&brig), "one\n");
    // Its container finds the new content.
    brig.brig(&["start", "holds"]).ok();
    assert_eq!(brig.brig(&["exec", "holds", "cat", "/d/state"]).ok(), "one");
    let place = mountpoint(&brig, "db");
    assert_eq!(
        brig.inspect("holds")["Mounts"][0]["Source"],
        place.to_str().unwrap()
    );
    assert!(
        brig.brig(&["volume", "rename", "db", "other"])
            .fails(1)
            .contains("in use")
    );
    brig.brig(&["rm", "-f", "holds"]).ok();
    brig.brig(&["volume", "rm", "db", "twin"]).ok();
    brig.finish();
}

#[test]
fn archives_and_names_outlive_the_daemon() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    run(&brig, Client::Brig, &["-v", "db:/d"], "echo one > /d/state").ok();
    let state = |brig: &Brig| fs::read_to_string(mountpoint(brig, "db").join("state")).unwrap();
    let archive = brig.root().join("db.tar");
    let archive = archive.to_str().unwrap();
    brig.brig(&["volume", "export", "-o", archive, "db"]).ok();
    brig.brig(&["volume", "snapshot", "db", "first"]).ok();
    let import = ["volume", "import", "--replace", "db", archive];
    fs::write(mountpoint(&brig, "db").join("state"), "three\n").unwrap();
    assert_eq!(brig.brig(&["volume", "import", "db", archive]).code, 1);
    brig.brig(&import).ok();
    assert_eq!(state(&brig), "one\n");
    brig.brig(&["volume", "import", "fresh", archive]).ok();
    brig.brig(&["volume", "rename", "fresh", "renamed"]).ok();
    // All of it is there after the daemon was killed.
    brig.kill_daemon();
    brig.start_daemon();
    let all = BTreeSet::from(["db", "renamed"].map(str::to_owned));
    assert_eq!(names(&brig), all);
    brig.brig(&["volume", "snapshot", "--rm", "db", "first"])
        .ok();
    let usage = brig.brig(&["system", "df", "-v"]);
    assert!(usage.ok().contains("Local Volumes space usage:"), "{usage}");
    assert!(usage.stdout.contains("renamed"), "{usage}");
    brig.brig(&["system", "check"]).ok();
    brig.brig(&["volume", "rm", "db", "renamed"]).ok();
    brig.finish();
}

#[test]
fn ids_are_translated() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let home = brig.root().join("home-of-1000");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("file"), "mine").unwrap();
    for path in [home.clone(), home.join("file")] {
        std::os::unix::fs::chown(path, Some(1000), Some(1000)).unwrap();
    }
    let text = home.to_str().unwrap();
    let script = "stat -c '%u:%g' /m/file; echo new > /m/made";
    let bound = run(
        &brig,
        Client::Brig,
        &["-v", &format!("{text}:/m:idmap")],
        script,
    );
    if bound.code != 0 && bound.stderr.contains("translate") {
        eprintln!("SKIP: the file system of the temporary directory translates no ids");
        brig.finish();
        return;
    }
    assert_eq!(bound.ok(), "0:0");
    assert_eq!(fs::metadata(home.join("made")).unwrap().uid(), 1000);
    let other = ["-u", "33:50", "-v", &format!("{text}:/m:idmap=1000:1000")];
    assert_eq!(
        run(
            &brig,
            Client::Brig,
            &other,
            "stat -c '%u:%g' /m/file; touch /m/too"
        )
        .ok(),
        "33:50"
    );
    assert_eq!(fs::metadata(home.join("too")).unwrap().gid(), 1000);
    let long = [
        "--mount",
        &format!("type=bind,src={text},dst=/m,bind-idmap"),
    ];
    assert_eq!(
        run(&brig, Client::Brig, &long, "stat -c '%u:%g' /m/file").ok(),
        "0:0"
    );
    // procfs cannot: the reason is told.
    let refused = run(&brig, Client::Brig, &["-v", "/proc:/m:idmap"], "true");
    assert!(refused.fails(125).contains("ids"), "{refused}");
    brig.finish();
}

#[test]
fn a_link_that_flips_leads_nowhere() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    run(
        &brig,
        Client::Brig,
        &["-v", "db:/d"],
        "mkdir /d/part; echo inside > /d/part/file",
    )
    .ok();
    let place = mountpoint(&brig, "db");
    let secret = brig.root().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("file"), "outside").unwrap();
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flips = scope.spawn(|| {
            // A directory, and a link out of the volume, in turns.
            symlink(&secret, place.join("link")).unwrap();
            fs::rename(place.join("part"), place.join("kept")).unwrap();
            while !ends.load(Ordering::Relaxed) {
                fs::rename(place.join("kept"), place.join("part")).unwrap();
                fs::rename(place.join("part"), place.join("kept")).unwrap();
                fs::rename(place.join("link"), place.join("part")).unwrap();
                fs::rename(place.join("part"), place.join("link")).unwrap();
            }
        });
        let end = AtEnd(&ends);
        let mount = "type=volume,src=db,dst=/m,volume-subpath=part";
        for _ in 0..25 {
            let shown = run(&brig, Client::Brig, &["--mount", mount], "cat /m/file");
            assert!(!shown.stdout.contains("outside"), "{shown}");
            let refused = matches!(shown.code, 125 | 127);
            assert!(refused || shown.stdout == "inside\n", "{shown}");
        }
        drop(end);
        flips.join().unwrap();
    });
    // A directory that was replaced is not what a container has.
    brig.brig(&[
        "run", "-d", "--name", "holds", "-v", "db:/d", "bb", "sleep", "1000",
    ])
    .ok();
    let refused = brig.brig(&["run", "--rm", "-v", "db:/proc/1", "bb", "true"]);
    assert!(refused.fails(125).contains("/proc"), "{refused}");
    brig.brig(&["rm", "-f", "holds"]).ok();
    brig.finish();
}

/// With what the image has there, as the whole of an empty volume is.
fn empty_parts_are_filled(brig: &Brig) {
    run(
        brig,
        Client::Brig,
        &["-v", "db:/d"],
        "mkdir /d/empty /d/other; ln -s empty /d/link",
    )
    .ok();
    let of_image = |part: &str, script: &str| {
        let mount = format!("type=volume,src=db,dst=/data,{part}");
        let all = [
            "run",
            "--rm",
            "--network",
            "none",
            "--mount",
            &mount,
            "vols",
            "sh",
            "-c",
            script,
        ];
        brig.brig(&all)
    };
    let none = of_image("volume-subpath=other,volume-nocopy", "ls -A /data");
    assert_eq!(none.ok(), "");
    let filled = of_image(
        "volume-subpath=link",
        "cat /data/file && echo mine > /data/file",
    );
    assert_eq!(filled.ok(), "of the image");
    assert_eq!(
        of_image("volume-subpath=empty", "cat /data/file").ok(),
        "mine"
    );
    assert_eq!(of_image("volume-subpath=a/b", "ls -A /data").ok(), "file");
}
