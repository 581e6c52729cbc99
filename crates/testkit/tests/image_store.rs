//! The store, from the outside: platforms, mounts, what is pruned, found damaged and mended.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(
    clippy::disallowed_methods,
    reason = "test files need not survive a crash"
)]

use std::fs;
use std::path::Path;

use testkit::registry::Registry;
use testkit::{Brig, Client, clients, root};

fn with_busybox(name: &str) -> Brig {
    let brig = Brig::start();
    brig.import_busybox();
    brig.brig(&["tag", "bb", name]).ok();
    brig
}

fn id(brig: &Brig, name: &str) -> String {
    let format = ["image", "inspect", "-f", "{{.Id}}", name];
    brig.brig(&format).ok().to_owned()
}

#[test]
fn history_search_and_manifests_are_shown() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let name = format!("{}/team/bb:v1", registry.address());
    let brig = with_busybox(&name);
    brig.brig(&["push", &name]).ok();
    for client in clients() {
        let history = brig.with(
            client,
            &[
                "history",
                "--no-trunc",
                "--format",
                "{{.ID}} {{.Size}}",
                &name,
            ],
        );
        let line = history.lines()[0];
        assert!(line.starts_with(&id(&brig, &name)), "{client:?} {history}");
        assert!(line.ends_with("MB"), "{client:?} {history}");
        let df = brig.with(
            client,
            &["system", "df", "--format", "{{.Type}} {{.TotalCount}}"],
        );
        assert!(df.lines().contains(&"Images 1"), "{client:?} {df}");
    }
    let manifest = brig.brig(&["manifest", "inspect", &name]).json();
    assert_eq!(manifest["schemaVersion"], 2);
    let found = brig.brig(&[
        "search",
        "--format",
        "{{.Name}}",
        &format!("{}/bb", registry.address()),
    ]);
    assert!(found.ok().contains("team/bb"), "{found}");
    brig.finish();
}

#[test]
fn prune_removes_what_nothing_uses() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    for client in clients() {
        brig.import_busybox();
        brig.brig(&["create", "--name", "user", "bb", "true"]).ok();
        brig.brig(&[
            "import",
            "-m",
            "another",
            testkit::busybox_tar().to_str().unwrap(),
            "other",
        ])
        .ok();
        let kept = brig.with(client, &["image", "prune", "-f"]);
        assert!(
            kept.ok().contains("Total reclaimed space: 0B"),
            "{client:?} {kept}"
        );
        let gone = brig.with(client, &["image", "prune", "-a", "-f"]);
        assert!(
            gone.ok().contains("untagged: other:latest"),
            "{client:?} {gone}"
        );
        assert!(gone.ok().contains("deleted: sha256:"), "{client:?} {gone}");
        brig.brig(&["image", "inspect", "bb"]).ok();
        brig.brig(&["image", "inspect", "other"]).fails(1);
        brig.brig(&["rm", "user"]).ok();
        brig.brig(&["rmi", "-f", "bb"]).ok();
    }
    brig.finish();
}

/// An index of two platforms in a registry, made with skopeo's words: both are the same busybox.
fn index(brig: &Brig, registry: &Registry, repository: &str) -> [String; 2] {
    let tar = testkit::busybox_tar();
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let mut entries = Vec::new();
    let mut digests = Vec::new();
    for (arch, tag) in [(arch, "own"), ("s390x", "other")] {
        let name = format!("{}/{repository}:{tag}", registry.address());
        let platform = format!("linux/{arch}");
        let import = [
            "import",
            "--platform",
            &platform,
            tar.to_str().unwrap(),
            &name,
        ];
        brig.brig(&import).ok();
        brig.brig(&["push", &name]).ok();
        let shown = brig.brig(&["manifest", "inspect", "-v", &name]).json();
        let descriptor = &shown["Descriptor"];
        digests.push(descriptor["digest"].as_str().unwrap().to_owned());
        entries.push(serde_json::json!({
            "mediaType": descriptor["mediaType"],
            "digest": descriptor["digest"],
            "size": descriptor["size"],
            "platform": {"os": "linux", "architecture": arch},
        }));
        brig.brig(&["rmi", &name]).ok();
    }
    let media_type = "application/vnd.oci.image.index.v1+json";
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type, "manifests": entries,
    })
    .to_string();
    let answer = brig.http(&format!(
        "PUT /brig/manifests/{}/{repository}:v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{document}",
        registry.address(),
        document.len()
    ));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    [digests.remove(0), digests.remove(0)]
}

#[test]
fn platforms_are_chosen() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let brig = Brig::start();
    index(&brig, &registry, "multi");
    let name = format!("{}/multi:v1", registry.address());
    brig.brig(&["pull", &name]).ok();
    let format = ["image", "inspect", "-f", "{{.Architecture}}"];
    let architecture = |more: &[&str]| brig.brig(&[&format, more].concat()).ok().to_owned();
    assert_ne!(architecture(&[&name]), "s390x");
    let other = brig.brig(&["image", "inspect", "--platform", "linux/s390x", &name]);
    assert_ne!(other.code, 0, "it has not been pulled: {other}");
    brig.brig(&["pull", "--platform", "linux/s390x", &name])
        .ok();
    assert_eq!(architecture(&["--platform", "linux/s390x", &name]), "s390x");
    assert_ne!(architecture(&[&name]), "s390x");
    let none = brig.brig(&["pull", "--platform", "linux/riscv64", &name]);
    assert!(none.fails(1).contains("linux/riscv64"), "{none}");
    // One that is for no other platform comes all the same, and it is said.
    let single = format!("{}/multi:other", registry.address());
    for client in clients() {
        let warned = brig.with(client, &["pull", "--platform", "linux/riscv64", &single]);
        let why = format!(
            "WARNING: image with reference {single} was found but its platform (linux/s390x) does \
             not match the specified platform (linux/riscv64)"
        );
        assert!(warned.ok().contains(&why), "{client:?} {warned}");
        brig.brig(&["rmi", &single]).ok();
    }
    // All of it goes to another repository, with the same digest.
    brig.brig(&["rmi", &name]).ok();
    brig.brig(&["pull", "--all-platforms", &name]).ok();
    let before = id(&brig, &name);
    let copy = format!("{}/copy:v1", registry.address());
    brig.brig(&["tag", &name, &copy]).ok();
    let pushed = brig.brig(&["push", &copy]);
    assert!(
        pushed.ok().contains(&format!("digest: {before} ")),
        "{pushed}"
    );
    let file = brig.root().join("one.tar");
    let file = file.to_str().unwrap();
    brig.brig(&["save", "--platform", "linux/s390x", "-o", file, &name])
        .ok();
    brig.finish();
}

#[test]
fn one_platform_goes_and_the_others_stay() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let brig = Brig::start();
    let [own, other] = index(&brig, &registry, "multi");
    let name = format!("{}/multi:v1", registry.address());
    for client in clients() {
        if client == Client::Docker20 {
            continue;
        }
        brig.brig(&["pull", "--all-platforms", &name]).ok();
        let rmi = |platform| brig.with(client, &["rmi", "--platform", platform, &name]);
        let none = rmi("linux/riscv64");
        assert!(none.fails(1).contains("linux/riscv64"), "{client:?} {none}");
        let user = [
            "create",
            "--network",
            "none",
            "--name",
            "user",
            &name,
            "true",
        ];
        brig.brig(&user).ok();
        let host = brig.brig(&["image", "inspect", "-f", "{{.Architecture}}", &name]);
        let host = format!("linux/{}", host.ok());
        let used = rmi(&host);
        assert!(used.fails(1).contains("is using it"), "{client:?} {used}");
        brig.brig(&["rm", "user"]).ok();
        let removed = rmi(&host);
        assert_eq!(removed.ok(), format!("Deleted: {own}"), "{client:?}");
        // What is left is what the name means now.
        let format = ["image", "inspect", "-f", "{{.Architecture}}", &name];
        assert_eq!(brig.brig(&format).ok(), "s390x");
        let last = rmi("linux/s390x");
        assert!(last.fails(1).contains("last platform"), "{client:?} {last}");
        brig.brig(&["system", "check"]).ok();
        brig.brig(&["pull", "--platform", &host, &name]).ok();
        let removed = rmi("linux/s390x");
        assert_eq!(removed.ok(), format!("Deleted: {other}"), "{client:?}");
        assert_eq!(format!("linux/{}", brig.brig(&format).ok()), host);
        brig.brig(&["system", "check"]).ok();
        brig.brig(&["rmi", &name]).ok();
    }
    brig.finish();
}

/// Without colours, which Docker's client has even where there is no terminal.
fn plain(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}

#[test]
fn the_tree_is_that_of_dockers_client() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let brig = Brig::start();
    index(&brig, &registry, "multi");
    let name = format!("{}/multi:v1", registry.address());
    brig.brig(&["pull", "--all-platforms", &name]).ok();
    brig.brig(&["tag", &name, "multi:another"]).ok();
    let user = [
        "create",
        "--network",
        "none",
        "--name",
        "user",
        &name,
        "true",
    ];
    brig.brig(&user).ok();
    let tree = brig.brig(&["images", "--tree"]);
    assert!(tree.ok().contains("└─ linux/s390x"), "{tree}");
    if clients().contains(&Client::Docker28) {
        let theirs = brig.with(Client::Docker28, &["images", "--tree"]);
        let theirs = plain(&theirs.stdout);
        let (warning, theirs) = theirs.split_once('\n').unwrap();
        assert!(warning.contains("experimental"), "{warning}");
        assert_eq!(tree.stdout, theirs);
    }
    let both = brig.brig(&["images", "--tree", "-q"]);
    assert!(both.fails(1).contains("--quiet"), "{both}");
    brig.finish();
}

#[test]
fn an_image_is_mounted_and_stays_meanwhile() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    brig.import_busybox();
    let place = brig.brig(&["image", "mount", "bb"]).ok().to_owned();
    assert_eq!(brig.brig(&["image", "mount", "bb"]).ok(), place);
    assert!(Path::new(&place).join("bin/busybox").exists(), "{place}");
    assert!(fs::write(Path::new(&place).join("x"), "").is_err());
    let list = brig.brig(&["image", "mount"]);
    assert!(list.ok().contains(&place), "{list}");
    let refused = brig.brig(&["rmi", "-f", "bb"]);
    assert!(refused.fails(1).contains("image is mounted"), "{refused}");
    brig.brig(&["image", "unmount", "bb"]).ok();
    let again = brig.brig(&["image", "unmount", "bb"]);
    assert!(again.fails(1).contains("is not mounted"), "{again}");
    assert!(!Path::new(&place).exists());
    brig.brig(&["rmi", "bb"]).ok();
    brig.finish();
}

#[test]
fn what_is_damaged_is_found_and_pulled_again() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let name = format!("{}/bb:v1", registry.address());
    let brig = with_busybox(&name);
    brig.brig(&["push", &name]).ok();
    brig.brig(&["rmi", "-f", "bb", &name]).ok();
    brig.brig(&["pull", &name]).ok();
    let whole = brig.brig(&["system", "check"]);
    assert!(whole.ok().ends_with(": 0 problems"), "{whole}");
    let biggest = largest_blob(&brig.data_root().join("blobs"));
    let mut bytes = fs::read(&biggest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&biggest, bytes).unwrap();
    let broken = brig.brig(&["system", "check"]);
    assert_eq!(broken.code, 1, "{broken}");
    let mended = brig.brig(&["system", "check", "--repair"]);
    assert_eq!(mended.code, 0, "{mended}");
    let whole = brig.brig(&["system", "check"]);
    assert!(whole.ok().ends_with(": 0 problems"), "{whole}");
    let run = ["run", "--rm", "--network", "none", &name, "echo", "whole"];
    assert_eq!(brig.brig(&run).ok(), "whole");
    brig.finish();
}

fn largest_blob(top: &Path) -> std::path::PathBuf {
    let mut open = vec![top.to_owned()];
    let mut largest = (0, top.to_owned());
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let (path, length) = (entry.path(), entry.metadata().unwrap().len());
            if path.is_dir() {
                open.push(path);
            } else if length > largest.0 {
                largest = (length, path);
            }
        }
    }
    largest.1
}

/// An OCI layout of one image whose configuration and layer are named by SHA-512: an archive to load.
fn layout_by_sha512(brig: &Brig, name: &str) -> String {
    let place = brig.root().join("layout");
    let put = |algorithm: &str, bytes: &[u8]| {
        let blobs = place.join("blobs").join(algorithm);
        fs::create_dir_all(&blobs).unwrap();
        let file = blobs.join("new");
        fs::write(&file, bytes).unwrap();
        let sum = tool(&format!("{algorithm}sum"), &[file.to_str().unwrap()]);
        let digits = sum.split_whitespace().next().unwrap().to_owned();
        fs::rename(file, blobs.join(&digits)).unwrap();
        (format!("{algorithm}:{digits}"), bytes.len())
    };
    let described = |kind: &str, (digest, size): (String, usize)| {
        let media_type = format!("application/vnd.oci.image.{kind}");
        serde_json::json!({ "mediaType": media_type, "digest": digest, "size": size })
    };
    let layer = put("sha512", &fs::read(testkit::busybox_tar()).unwrap());
    let config = serde_json::json!({
        "architecture": std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64"),
        "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [layer.0] },
    });
    let config = put("sha512", config.to_string().as_bytes());
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", config), "layers": [described("layer.v1.tar", layer)],
    });
    let manifest = put("sha256", manifest.to_string().as_bytes());
    let mut named = described("manifest.v1+json", manifest);
    named["annotations"] = serde_json::json!({ "io.containerd.image.name": name });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [named] });
    fs::write(place.join("index.json"), index.to_string()).unwrap();
    let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
    fs::write(place.join("oci-layout"), version).unwrap();
    let archive = brig.root().join("layout.tar").display().to_string();
    tool(
        "tar",
        &["-C", place.to_str().unwrap(), "-cf", &archive, "."],
    );
    archive
}

fn tool(name: &str, words: &[&str]) -> String {
    let output = std::process::Command::new(name)
        .args(words)
        .output()
        .unwrap();
    assert!(output.status.success(), "{name} {words:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_named_by_sha512_goes_to_a_registry_and_comes_back() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let brig = Brig::start();
    let name = format!("{}/long:1", registry.address());
    let archive = layout_by_sha512(&brig, &name);
    brig.brig(&["load", "-i", &archive]).ok();
    let shown = |brig: &Brig| {
        let format = "{{.Id}} {{.RootFS.Layers}}";
        let shown = brig.brig(&["image", "inspect", "-f", format, &name]);
        shown.ok().to_owned()
    };
    let before = shown(&brig);
    assert!(before.contains("[sha512:"), "{before}");
    brig.brig(&["push", &name]).ok();
    brig.brig(&["rmi", &name]).ok();
    brig.brig(&["pull", &name]).ok();
    assert_eq!(shown(&brig), before);
    let ran = brig.brig(&["run", "--rm", "--network", "none", &name, "echo", "here"]);
    assert_eq!(ran.ok().trim(), "here");
    brig.brig(&["system", "check"]).ok();
    brig.finish();
}
