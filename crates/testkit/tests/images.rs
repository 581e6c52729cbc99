//! Images: import, load, save, tag, list, inspect, remove; what they are called; what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

use std::fs;
use std::process::Command;

use testkit::registry::{Body, Reply, Server};
use testkit::{Brig, Client, busybox_tar, clients, root};

#[test]
fn import_reads_every_compression() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let tar = busybox_tar();
    for (suffix, program) in [("gz", "gzip"), ("zst", "zstd"), ("xz", "xz")] {
        let packed = brig.root().join(format!("bb.tar.{suffix}"));
        let to = fs::File::create(&packed).unwrap();
        let done = Command::new(program)
            .arg("-c")
            .arg(&tar)
            .stdout(to)
            .status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("SKIP: {program} is not on this machine");
            continue;
        }
        let name = format!("bb-{suffix}");
        let imported = brig.brig(&["import", packed.to_str().unwrap(), &name]);
        assert!(imported.ok().starts_with("sha256:"), "{imported}");
        assert_eq!(
            brig.brig(&["run", "--rm", &name, "echo", suffix]).ok(),
            suffix
        );
    }
    for client in clients() {
        let bytes = fs::read(&tar).unwrap();
        let from_pipe = brig.with_input(client, &["import", "-", "piped:1"], &bytes);
        assert!(from_pipe.ok().starts_with("sha256:"), "{from_pipe}");
        let changed = [
            "import",
            "-c",
            "CMD [\"echo\",\"changed\"]",
            "-c",
            "ENV A=b",
            tar.to_str().unwrap(),
            "changed",
        ];
        brig.with(client, &changed).ok();
        assert_eq!(
            brig.with(client, &["run", "--rm", "changed"]).ok(),
            "changed"
        );
    }
    brig.finish();
}

#[test]
fn import_fetches_what_an_address_names() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let tar = fs::read(busybox_tar()).unwrap();
    let half = tar.len() / 2;
    let server = Server::start(move |request| match request.target.as_str() {
        "/moved" => Reply::new(302, "").header("Location", "/bb.tar"),
        "/bb.tar" => Reply::new(200, tar.clone()),
        "/cut" => Reply::new(200, "").body(Body::Cut(tar.clone(), half)),
        _ => Reply::new(404, "there is nothing"),
    });
    let url = |path: &str| format!("http://{}/{path}", server.address());
    for client in clients() {
        let import = ["import", "-c", "CMD echo fetched", &url("moved"), "bb:url"];
        let imported = brig.with(client, &import);
        let lines = imported.lines();
        assert_eq!(lines[0], format!("Downloading from {}", url("moved")));
        assert!(lines[1].starts_with("sha256:"), "{client:?} {imported}");
        assert_eq!(brig.brig(&["run", "--rm", "bb:url"]).ok(), "fetched");
        brig.brig(&["rmi", "bb:url"]).ok();
        for (path, says) in [("none", "404"), ("cut", "end of file")] {
            let failed = brig.with(client, &["import", &url(path), "bb:url"]);
            assert!(failed.fails(1).contains(says), "{client:?} {failed}");
        }
        assert_eq!(brig.brig(&["images", "-q"]).ok(), "");
    }
    brig.finish();
}

#[test]
fn save_and_load_carry_an_image_in_both_directions() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let other = Brig::start();
    for client in clients() {
        let file = brig.root().join("saved.tar");
        let file = file.to_str().unwrap();
        brig.with(client, &["tag", "bb", "example.org:5000/team/bb:v1"])
            .ok();
        brig.with(client, &["save", "-o", file, "example.org:5000/team/bb:v1"])
            .ok();
        let loaded = other.with(client, &["load", "-i", file]);
        assert!(
            loaded.ok().contains("example.org:5000/team/bb:v1"),
            "{loaded}"
        );
        let run = [
            "run",
            "--rm",
            "example.org:5000/team/bb:v1",
            "echo",
            "carried",
        ];
        assert_eq!(other.with(client, &run).ok(), "carried");
        let ids = [&brig, &other].map(|at| {
            at.brig(&[
                "image",
                "inspect",
                "-f",
                "{{.Id}}",
                "example.org:5000/team/bb:v1",
            ])
            .ok()
            .to_owned()
        });
        assert_eq!(ids[0], ids[1], "the id changed on the way");
        other.brig(&["rmi", "example.org:5000/team/bb:v1"]).ok();
        fs::remove_file(file).unwrap();
    }
    other.finish();
    brig.finish();
}

#[test]
fn saved_archives_are_both_an_oci_layout_and_dockers() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let (file, unpacked) = (brig.root().join("saved.tar"), brig.root().join("unpacked"));
    brig.brig(&["save", "-o", file.to_str().unwrap(), "bb"])
        .ok();
    fs::create_dir(&unpacked).unwrap();
    let tar = Command::new("tar")
        .arg("-C")
        .arg(&unpacked)
        .arg("-xf")
        .arg(&file)
        .status()
        .unwrap();
    assert!(tar.success());
    let names = ["oci-layout", "index.json", "manifest.json", "blobs/sha256"];
    for name in names {
        assert!(unpacked.join(name).exists(), "no {name}");
    }
    // An archive of the OCI form alone, and one of Docker's old form alone.
    fs::remove_file(unpacked.join("manifest.json")).unwrap();
    let oci = brig.root().join("oci.tar");
    let pack = Command::new("tar")
        .arg("-C")
        .arg(&unpacked)
        .arg("-cf")
        .arg(&oci)
        .arg(".")
        .status();
    assert!(pack.unwrap().success());
    brig.brig(&["rmi", "-f", "bb"]).ok();
    let loaded = brig.brig(&["load", "-i", oci.to_str().unwrap()]);
    assert!(loaded.ok().contains(": bb"), "{loaded}");
    assert_eq!(brig.brig(&["run", "--rm", "bb", "echo", "oci"]).ok(), "oci");
    brig.finish();
}

#[test]
fn references_mean_what_they_mean_to_docker() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let id = brig
        .brig(&["image", "inspect", "-f", "{{.Id}}", "bb"])
        .ok()
        .to_owned();
    let short = id.strip_prefix("sha256:").unwrap()[..12].to_owned();
    for client in clients() {
        let with_digest = format!("bb@{id}");
        let same = [
            "bb",
            "bb:latest",
            "library/bb",
            "docker.io/bb",
            "docker.io/library/bb:latest",
            &id,
            &short,
            &with_digest,
        ];
        for name in same {
            let found = brig.with(client, &["image", "inspect", "-f", "{{.Id}}", name]);
            assert_eq!(found.ok(), id, "{client:?} {name}");
        }
        for name in ["bb:other", "other/bb", "localhost:5000/bb", "BB"] {
            brig.with(client, &["image", "inspect", name]).fails(1);
        }
    }
    brig.finish();
}

#[test]
fn images_are_listed_tagged_and_removed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let with = |args: &[&str]| brig.with(client, args);
        with(&["tag", "bb", "two:v2"]).ok();
        let mut names: Vec<_> = with(&["images", "--format", "{{.Repository}}:{{.Tag}}"])
            .lines()
            .into_iter()
            .map(str::to_owned)
            .collect();
        names.sort();
        assert_eq!(names, ["bb:latest", "two:v2"], "{client:?}");
        let ids = with(&["images", "-q", "--no-trunc"]);
        let mut ids = ids.lines();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let removed = with(&["rmi", "two:v2"]);
        assert!(removed.ok().contains("Untagged: two:v2"), "{removed}");
        with(&["image", "inspect", "two:v2"]).fails(1);
        let none = with(&["rmi", "two:v2"]);
        assert!(
            none.fails(1).to_lowercase().contains("no such image"),
            "{none}"
        );
    }
    brig.finish();
}

#[test]
fn an_image_in_use_stays() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["run", "-d", "--name", "user", "bb", "sleep", "1000"])
        .ok();
    for client in clients() {
        let refused = brig.with(client, &["rmi", "bb"]);
        assert!(refused.fails(1).contains("conflict"), "{refused}");
    }
    brig.brig(&["rm", "-f", "user"]).ok();
    let removed = brig.brig(&["rmi", "bb"]);
    assert!(removed.ok().contains("Deleted: sha256:"), "{removed}");
    brig.finish();
}

#[test]
fn bad_archives_are_refused_and_leave_nothing() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let whole = fs::read(busybox_tar()).unwrap();
    let before = files_below(&brig.data_root());
    for client in clients() {
        let truncated = brig.with_input(client, &["import", "-", "bad"], &whole[..whole.len() / 2]);
        assert_ne!(truncated.code, 0, "{client:?} {truncated}");
        let noise: Vec<u8> = (0..65_536_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let garbage = brig.with_input(client, &["import", "-", "bad"], &noise);
        assert_ne!(garbage.code, 0, "{client:?} {garbage}");
        let no_image = brig.with_input(client, &["load"], &whole);
        assert_ne!(no_image.code, 0, "{client:?} {no_image}");
        let no_file = brig.with(client, &["load", "-i", "/no/such/file"]);
        assert_ne!(no_file.code, 0, "{client:?} {no_file}");
        assert!(
            brig.with(client, &["images", "-q"]).ok().is_empty(),
            "{client:?}"
        );
    }
    assert_eq!(files_below(&brig.data_root()), before);
    brig.finish();
}

#[test]
fn an_image_for_another_architecture_is_told_of() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let foreign = if std::env::consts::ARCH == "aarch64" {
        "linux/amd64"
    } else {
        "linux/arm64"
    };
    let tar = busybox_tar();
    brig.brig(&[
        "import",
        "--platform",
        foreign,
        tar.to_str().unwrap(),
        "foreign",
    ])
    .ok();
    // The machine may know how to run it, as it does here: the programs are its own.
    for client in clients() {
        let run = brig.with(client, &["run", "--rm", "foreign", "echo", "well"]);
        assert_eq!(run.ok(), "well");
        let warned = format!("WARNING: The requested image's platform ({foreign}) does not match");
        assert!(run.stderr.contains(&warned), "{client:?}: {run}");
    }
    brig.finish();
}

#[test]
fn an_image_that_is_not_there_is_named() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    for client in clients() {
        let run = brig.with(client, &["run", "--rm", "localhost:1/nothing:v9", "true"]);
        assert!(run.fails(125).contains("nothing:v9"), "{run}");
        let create = brig.with(client, &["create", "--pull", "never", "nothing:v9", "true"]);
        assert!(
            create.fails(1).contains("No such image") || create.stderr.contains("no such image"),
            "{create}"
        );
    }
    brig.finish();
}

#[test]
fn inspect_shows_an_image_as_docker_does() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let tar = busybox_tar();
    let import = [
        "import",
        "-c",
        "ENV A=b",
        "-c",
        "WORKDIR /srv",
        "-c",
        "USER www",
        "-c",
        "EXPOSE 80",
        "-c",
        "ENTRYPOINT [\"/bin/sh\"]",
        "-c",
        "LABEL k=v",
        "-m",
        "made by hand",
        tar.to_str().unwrap(),
        "full",
    ];
    brig.brig(&import).ok();
    for client in [Client::Brig, Client::Docker28] {
        if client.program().is_none() {
            continue;
        }
        let image = brig.with(client, &["image", "inspect", "full"]).json()[0].clone();
        assert_eq!(image["RepoTags"][0], "full:latest");
        assert_eq!(image["Os"], "linux");
        assert_eq!(image["Config"]["WorkingDir"], "/srv");
        assert_eq!(image["Config"]["User"], "www");
        assert_eq!(image["Config"]["Entrypoint"][0], "/bin/sh");
        assert_eq!(image["Config"]["Labels"]["k"], "v");
        assert!(
            image["Config"]["Env"]
                .as_array()
                .unwrap()
                .contains(&"A=b".into())
        );
        assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), 1);
        assert!(image["Size"].as_u64().unwrap() > 1_000_000);
    }
    brig.finish();
}

/// The files below a directory that hold content, without the database's.
fn files_below(top: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![top.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if !path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("brig.db")
            {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}
