//! Files of containers: `cp` both ways, `export`, `diff`; and those who try to lead them astray.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command;

use testkit::{Brig, Client, Output, clients, root, until};

fn start(brig: &Brig, client: Client, name: &str, flags: &[&str], script: &str) {
    let all = [
        &["run", "-d", "--network", "none", "--name", name],
        flags,
        &["bb", "sh", "-c", script],
    ];
    brig.with(client, &all.concat()).ok();
}

/// A container that has run its script: it says so.
fn ready(brig: &Brig, client: Client, name: &str, flags: &[&str], script: &str) {
    start(
        brig,
        client,
        name,
        flags,
        &format!("{script}; echo ready; exec sleep 1000"),
    );
    until("the container's files", || {
        let logged = brig.brig(&["logs", name]);
        logged.stdout.contains("ready").then_some(())
    });
}

fn inside(brig: &Brig, name: &str, script: &str) -> String {
    brig.brig(&["exec", name, "sh", "-c", script])
        .ok()
        .to_owned()
}

#[test]
fn files_go_out_and_in() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let dir = brig.root().join("files");
    for client in clients() {
        let cp = |from: &str, to: &str| brig.with(client, &["cp", from, to]);
        fs::create_dir_all(dir.join("in/deep")).unwrap();
        fs::create_dir(dir.join("out")).unwrap();
        fs::write(dir.join("in/file"), "text").unwrap();
        fs::write(dir.join("in/deep/other"), "other").unwrap();
        symlink("file", dir.join("in/link")).unwrap();
        std::os::unix::fs::chown(dir.join("in/file"), Some(33), Some(50)).unwrap();
        fs::set_permissions(dir.join("in/file"), PermissionsExt::from_mode(0o640)).unwrap();
        let at = |name: &str| dir.join(name).display().to_string();
        let script = "mkdir /d /e; echo made > /d/made; ln -s /d /to-d; ln -s nowhere /broken; \
            dd if=/dev/zero of=/d/holes bs=1 count=1 seek=10M 2>/dev/null";
        ready(&brig, client, "web", &[], script);
        // A directory that is there gets it; one that is not there becomes it.
        cp(&at("in"), "web:/d").ok();
        let listed = inside(
            &brig,
            "web",
            "cd /d/in; stat -c '%n %u:%g %a' file; readlink link; cat deep/other",
        );
        assert_eq!(listed, "file 33:50 640\nfile\nother");
        cp(&at("in"), "web:/new").ok();
        assert_eq!(inside(&brig, "web", "cat /new/file"), "text");
        cp(&format!("{}/.", at("in")), "web:/e").ok();
        assert_eq!(inside(&brig, "web", "ls /e"), "deep\nfile\nlink");
        cp(&at("in/file"), "web:/renamed").ok();
        assert_eq!(inside(&brig, "web", "cat /renamed"), "text");
        // Links of the destination are followed, inside.
        cp(&at("in/file"), "web:/to-d").ok();
        assert_eq!(inside(&brig, "web", "cat /d/file"), "text");
        cp("web:/d/made", &at("out")).ok();
        assert_eq!(fs::read_to_string(dir.join("out/made")).unwrap(), "made\n");
        cp("web:/d", &at("whole")).ok();
        assert_eq!(
            fs::read_to_string(dir.join("whole/in/deep/other")).unwrap(),
            "other"
        );
        let holes = fs::metadata(dir.join("whole/holes")).unwrap();
        assert_eq!(holes.len(), (10 << 20) + 1);
        // Docker's client fills them.
        if client == Client::Brig {
            assert!(holes.blocks() < 1024, "{} blocks", holes.blocks());
        }
        cp("web:/d/.", &at("out")).ok();
        assert_eq!(
            fs::read_link(dir.join("out/in/link")).unwrap().to_str(),
            Some("file")
        );
        cp("web:/to-d", &at("link")).ok();
        assert_eq!(
            fs::read_link(dir.join("link")).unwrap().to_str(),
            Some("/d")
        );
        brig.with(client, &["cp", "-L", "web:/to-d", &at("followed")])
            .ok();
        assert!(dir.join("followed/made").exists());
        // Through pipes.
        let archive = brig.finish_command(&mut brig.command(client, &["cp", "web:/d/made", "-"]));
        assert!(archive.stdout.contains("made\0"), "{archive}");
        let back = brig.with_input(client, &["cp", "-", "web:/e"], archive.stdout.as_bytes());
        assert_eq!(back.code, 0, "{back}");
        assert_eq!(inside(&brig, "web", "cat /e/made"), "made");
        brig.with(client, &["rm", "-f", "web"]).ok();
        fs::remove_dir_all(&dir).unwrap();
    }
    brig.finish();
}

#[test]
fn what_does_not_run_has_files_too() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let dir = brig.root().join("files");
    for client in clients() {
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("file"), "text").unwrap();
        let file = dir.join("file").display().to_string();
        let out = dir.join("out").display().to_string();
        let bind = format!("{}:/bound", dir.display());
        let create = [
            "create",
            "--name",
            "rests",
            "--network",
            "none",
            "-v",
            "db:/data",
            "-v",
            &bind,
            "bb",
            "cat",
            "/file",
            "/data/file",
        ];
        brig.with(client, &create).ok();
        // Before its first start; into a volume that it has, too.
        brig.with(client, &["cp", &file, "rests:/file"]).ok();
        brig.with(client, &["cp", &file, "rests:/data/"]).ok();
        brig.with(client, &["cp", "rests:/bound/file", &out]).ok();
        assert_eq!(fs::read_to_string(&out).unwrap(), "text");
        let shown = brig.with(client, &["start", "-a", "rests"]);
        assert_eq!(shown.ok(), "texttext");
        brig.with(client, &["cp", "rests:/data/file", &out]).ok();
        let refused = brig.with(client, &["cp", "rests:/never", &out]);
        assert!(refused.fails(1).contains("/never"), "{refused}");
        brig.with(client, &["rm", "rests"]).ok();
        brig.with(client, &["volume", "rm", "db"]).ok();
        fs::remove_dir_all(&dir).unwrap();
    }
    brig.finish();
}

/// Where it will work is there before its first start, as with Docker.
#[test]
fn the_working_directory_is_copied_to_before_the_first_start() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let file = brig.root().join("file");
    fs::write(&file, "text").unwrap();
    let file = file.display().to_string();
    for client in clients() {
        let create = "create --name rests --network none -w /srv/app bb sh -c";
        let create: Vec<&str> = create.split(' ').chain(["pwd; cat file"]).collect();
        brig.with(client, &create).ok();
        brig.with(client, &["cp", &file, "rests:/srv/app/"]).ok();
        let shown = brig.with(client, &["start", "-a", "rests"]);
        assert_eq!(shown.ok(), "/srv/app\ntext");
        // What it has taken away since stays away.
        brig.with(client, &["rm", "rests"]).ok();
        let create = "run --name rests --network none -w /srv/app bb rmdir /srv/app";
        let create: Vec<&str> = create.split(' ').collect();
        brig.with(client, &create).ok();
        let gone = brig.with(client, &["cp", &file, "rests:/srv/app/"]);
        assert_ne!(gone.code, 0, "{gone}");
        brig.with(client, &["rm", "rests"]).ok();
    }
    brig.finish();
}

/// An archive leads below what is mounted in a container, whatever directory it is put into.
#[test]
fn what_is_mounted_in_one_that_rests_is_not_written_to() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let (host, tree) = (brig.root().join("host"), brig.root().join("tree"));
    let (flat, device) = (brig.root().join("flat"), brig.root().join("device"));
    for dir in [&host, &tree.join("bound"), &flat, &device.join("data")] {
        fs::create_dir_all(dir).unwrap();
    }
    fs::write(host.join("file"), "of the machine").unwrap();
    fs::write(tree.join("bound/file"), "of the archive").unwrap();
    fs::write(flat.join("bound"), "a file in its place").unwrap();
    fs::write(device.join("data/file"), "text").unwrap();
    let from = host.display();
    for client in clients() {
        for mode in ["ro", "rw"] {
            let (bind, volume) = (format!("{from}:/bound:{mode}"), "elsewhere:/data");
            let make = ["volume", "create", "-o", "type=tmpfs", "-o", "device=none"];
            brig.with(client, &[&make[..], &["elsewhere"]].concat())
                .ok();
            let create = ["create", "--name", "rests", "-v", &bind, "-v", volume];
            brig.with(client, &[&create[..], &["bb", "true"]].concat())
                .ok();
            let put = |tree: &std::path::Path| {
                let tree = format!("{}/.", tree.display());
                brig.with(client, &["cp", &tree, "rests:/"])
            };
            let copied = put(&tree);
            let expected = match mode {
                "ro" => {
                    assert!(copied.fails(1).contains("ead-only"), "{copied}");
                    "of the machine"
                }
                _ => {
                    copied.ok();
                    "of the archive"
                }
            };
            let is = || fs::read_to_string(host.join("file")).unwrap();
            assert_eq!(is(), expected);
            put(&flat).fails(1);
            assert_eq!(is(), expected);
            // The API's default, which the clients do not use.
            let archive = Command::new("tar")
                .args(["--format=ustar", "-cC", flat.to_str().unwrap(), "bound"])
                .output();
            let archive = String::from_utf8(archive.unwrap().stdout).unwrap();
            let answer = brig.http(&format!(
                "PUT /containers/rests/archive?path=/ HTTP/1.1\r\nHost: brig\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{archive}",
                archive.len()
            ));
            assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
            assert_eq!(is(), expected);
            // What is not mounted now is not written to by mistake.
            put(&device).fails(1);
            let into = [device.join("data/file").display().to_string()];
            let refused = brig.with(client, &["cp", &into[0], "rests:/data/"]);
            assert_ne!(refused.code, 0, "{refused}");
            fs::write(host.join("file"), "of the machine").unwrap();
            brig.with(client, &["rm", "rests"]).ok();
            brig.with(client, &["volume", "rm", "elsewhere"]).ok();
        }
    }
    brig.finish();
}

#[test]
fn what_is_not_to_be_written_is_not() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let file = brig.root().join("file");
    fs::write(&file, "text").unwrap();
    let file = file.display().to_string();
    for client in clients() {
        let flags = ["--read-only", "-v", "db:/rw", "-v", "db:/ro:ro"];
        ready(&brig, client, "closed", &flags, "mkdir /rw/d");
        let cp = |to: &str| brig.with(client, &["cp", &file, to]);
        assert!(
            cp("closed:/etc")
                .fails(1)
                .contains("container rootfs is marked read-only")
        );
        assert!(
            cp("closed:/ro")
                .fails(1)
                .contains("mounted volume is marked read-only")
        );
        cp("closed:/rw").ok();
        assert_eq!(inside(&brig, "closed", "cat /rw/file"), "text");
        for (to, reason) in [
            ("closed:/rw/file/x", "closed"),
            ("closed:/rw/no/such", "closed"),
            ("closed:/rw/d/file/", "no such directory"),
        ] {
            let refused = cp(to);
            let text = refused.fails(1).to_lowercase();
            let told = [reason, "not a directory", "no such", "could not find"];
            assert!(
                told.iter().any(|reason| text.contains(reason)),
                "{to}: {refused}"
            );
        }
        // A directory is not replaced by a file, nor the other way round.
        let dir = brig.root().join("d");
        fs::write(&dir, "a file").unwrap();
        let refused = brig.with(client, &["cp", dir.to_str().unwrap(), "closed:/rw"]);
        assert!(
            refused.fails(1).contains("cannot overwrite directory"),
            "{refused}"
        );
        brig.with(client, &["rm", "-f", "closed"]).ok();
        brig.with(client, &["volume", "rm", "db"]).ok();
        fs::remove_file(&dir).unwrap();
    }
    brig.finish();
}

/// A link that flips between a directory of the container and one of the machine, `..` and links that
/// lead out, mounts on procfs (CVE-2018-15664 and its kin): nothing of the machine is read or written.
#[test]
fn links_lead_nowhere_out() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let secret = brig.root().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("file"), "of the machine").unwrap();
    let (machine, out) = (secret.display().to_string(), brig.root().join("got"));
    let mine = brig.root().join("mine");
    fs::write(&mine, "mine").unwrap();
    let (mine, got) = (mine.display().to_string(), out.display().to_string());
    let script = format!(
        "mkdir -p /a/d '{machine}'; echo of the container > '{machine}/file'; \
         echo of the container > /a/d/file; ln -s '{machine}' /out; ln -s ../../../../../..{machine} /up; \
         ln -s '{machine}' /a/link; ln -s /proc/1/root /magic; ln -s /proc/self/cwd /cwd; touch /ready; \
         while :; do mv /a/d /a/kept; mv /a/link /a/d; mv /a/d /a/link; mv /a/kept /a/d; done"
    );
    for client in clients() {
        start(&brig, client, "hostile", &[], &script);
        until("the script", || {
            (brig.brig(&["exec", "hostile", "ls", "/ready"]).code == 0).then_some(())
        });
        let cp = |from: &str, to: &str| brig.with(client, &["cp", from, to]);
        for path in ["/out/file", "/up/file", "/../../..", "/magic/etc", "/cwd/x"] {
            let copied = cp(&format!("hostile:{path}/."), &got);
            drop(copied);
            let copied = cp(&format!("hostile:{path}"), &got);
            if copied.code == 0 && out.is_file() {
                assert_eq!(
                    fs::read_to_string(&out).unwrap(),
                    "of the container\n",
                    "{path}"
                );
            }
            assert!(!out.join("secret").exists());
            let _ = fs::remove_file(&out);
            let _ = fs::remove_dir_all(&out);
        }
        for _ in 0..5 {
            let read = cp("hostile:/a/d/file", &got);
            if read.code == 0 {
                // It may be the one that was copied in below.
                let text = fs::read_to_string(&out).unwrap();
                assert!(
                    ["of the container\n", "mine"].contains(&text.as_str()),
                    "{text}"
                );
                fs::remove_file(&out).unwrap();
            }
            drop(cp(&mine, "hostile:/a/d/file"));
            drop(cp(&mine, "hostile:/a/d/planted"));
            drop(cp(&mine, "hostile:/out/planted"));
            drop(cp(&mine, "hostile:/up/planted"));
            assert_eq!(
                fs::read_to_string(secret.join("file")).unwrap(),
                "of the machine"
            );
            assert!(!secret.join("planted").exists());
        }
        brig.with(client, &["rm", "-f", "hostile"]).ok();
    }
    // The same of an archive that brings its own links.
    let hostile = brig.root().join("hostile.tar");
    let made = Command::new("sh")
        .arg("-c")
        .arg("mkdir x && ln -s \"$1\" x/out && tar -cf \"$2\" -C x out && rm x/out && mkdir x/out && \
            echo planted > x/out/planted && tar -rf \"$2\" -C x out/planted && rm -r x")
        .args(["sh", &machine])
        .arg(&hostile)
        .current_dir(brig.root())
        .status();
    assert!(made.unwrap().success());
    brig.brig(&["create", "--name", "rests", "bb", "true"]).ok();
    let archive = fs::read(&hostile).unwrap();
    drop(brig.with_input(Client::Brig, &["cp", "-", "rests:/"], &archive));
    assert!(!secret.join("planted").exists());
    brig.finish();
}

/// What a container puts in the place of libraries is loaded by nobody (CVE-2019-14271).
#[test]
fn nothing_of_a_container_is_run() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let file = brig.root().join("file");
    fs::write(&file, "text").unwrap();
    for client in clients() {
        let script = "mkdir -p /lib /lib64 /etc; for l in libnss_files.so.2 libc.so.6 ld.so.preload; do \
            echo '#!/bin/sh' > /lib/$l; echo touch /ran >> /lib/$l; chmod 755 /lib/$l; done; \
            echo /lib/libnss_files.so.2 > /etc/ld.so.preload; echo 'passwd: evil' > /etc/nsswitch.conf";
        ready(&brig, client, "hostile", &["-u", "0"], script);
        let copied = brig.with(
            client,
            &["cp", "-a", file.to_str().unwrap(), "hostile:/copied"],
        );
        assert_eq!(copied.code, 0, "{copied}");
        assert_eq!(
            inside(&brig, "hostile", "ls /ran 2>/dev/null; cat /copied"),
            "text"
        );
        brig.with(client, &["rm", "-f", "hostile"]).ok();
    }
    brig.finish();
}

fn names(archive: &Output, brig: &Brig) -> Vec<String> {
    let path = brig.root().join("export.tar");
    assert_eq!(archive.code, 0, "{archive}");
    let listed = Command::new("tar").arg("-tf").arg(&path).output().unwrap();
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn all_files_are_exported_and_changes_are_told() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let archive = brig.root().join("export.tar").display().to_string();
    for client in clients() {
        let script = "echo new > /new; mkdir /dir; echo x > /dir/x; rm /etc/group; echo >> /etc/passwd; \
            echo of a volume > /data/file";
        ready(&brig, client, "web", &["-v", "db:/data"], script);
        let told = brig.with(client, &["diff", "web"]);
        let told = told.ok();
        for line in [
            "A /new",
            "A /dir",
            "A /dir/x",
            "C /etc",
            "D /etc/group",
            "C /etc/passwd",
            "A /data",
        ] {
            assert!(told.lines().any(|told| told == line), "{line} in {told}");
        }
        assert!(!told.contains("/data/file"), "{told}");
        let exported = brig.with(client, &["export", "-o", &archive, "web"]);
        let names = names(&exported, &brig);
        for name in ["new", "dir/", "dir/x", "etc/passwd", "bin/busybox"] {
            assert!(
                names.iter().any(|other| other == name),
                "{name} in {names:?}"
            );
        }
        for name in ["etc/group", "data/file", "proc/1", "./"] {
            assert!(
                !names.iter().any(|other| other.starts_with(name)),
                "{name} in {names:?}"
            );
        }
        assert_eq!(fs::metadata(&archive).unwrap().mode() & 0o777, 0o600);
        // It is an image's files.
        brig.with(client, &["import", &archive, "again"]).ok();
        let again = ["run", "--rm", "--network", "none", "again", "cat", "/new"];
        assert_eq!(brig.with(client, &again).ok(), "new");
        let missing = brig.with(client, &["export", "never"]);
        assert!(missing.fails(1).contains("No such container"), "{missing}");
        brig.with(client, &["rm", "-f", "web"]).ok();
        brig.with(client, &["volume", "rm", "db"]).ok();
        brig.with(client, &["rmi", "again"]).ok();
        fs::remove_file(&archive).unwrap();
    }
    brig.finish();
}

#[test]
fn between_containers() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    ready(
        &brig,
        Client::Brig,
        "from",
        &[],
        "mkdir /d; echo text > /d/file; chown 5:6 /d/file",
    );
    ready(&brig, Client::Brig, "into", &[], "true");
    brig.brig(&["cp", "from:/d", "into:/copied"]).ok();
    brig.brig(&["cp", "from:/d/file", "into:/tmp-file"]).ok();
    let shown = inside(
        &brig,
        "into",
        "cat /copied/file /tmp-file; stat -c %u:%g /copied/file",
    );
    assert_eq!(shown, "text\ntext\n5:6");
    brig.finish();
}

/// It would be replaced by a file, for everybody on the machine.
#[test]
fn nothing_is_copied_over_what_is_no_file() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["create", "--name", "c1", "bb", "true"]).ok();
    let pipe = brig.root().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let refused = brig.brig(&["cp", "c1:/bin/sh", pipe.to_str().unwrap()]);
    assert!(
        refused
            .fails(1)
            .contains("must be a directory or a regular file"),
        "{refused}"
    );
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(
        &fs::metadata(&pipe).unwrap().file_type()
    ));
    brig.finish();
}
