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

/// An OCI layout that is being made.
struct Layout {
    place: std::path::PathBuf,
}

impl Layout {
    fn new(brig: &Brig) -> Self {
        let place = brig.root().join("layout");
        Self { place }
    }

    /// Adds content; what it is named by.
    fn put(&self, algorithm: &str, bytes: &[u8]) -> (String, usize) {
        let blobs = self.place.join("blobs").join(algorithm);
        fs::create_dir_all(&blobs).unwrap();
        let file = blobs.join("new");
        fs::write(&file, bytes).unwrap();
        let sum = tool(&format!("{algorithm}sum"), &[file.to_str().unwrap()]);
        let digits = sum.split_whitespace().next().unwrap().to_owned();
        fs::rename(file, blobs.join(&digits)).unwrap();
        (format!("{algorithm}:{digits}"), bytes.len())
    }

    /// Adds a manifest of a configuration, all of it a busybox named by an algorithm.
    fn busybox(&self, algorithm: &str) -> serde_json::Value {
        let layer = self.put(algorithm, &fs::read(testkit::busybox_tar()).unwrap());
        let config = serde_json::json!({
            "architecture": architecture(), "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": [layer.0] },
        });
        let config = self.put(algorithm, config.to_string().as_bytes());
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described("config.v1+json", config),
            "layers": [described("layer.v1.tar", layer)],
        });
        described(
            "manifest.v1+json",
            self.put("sha256", manifest.to_string().as_bytes()),
        )
    }

    /// An archive of all of it, in which this is the image of a name.
    fn archive(self, name: &str, mut image: serde_json::Value) -> String {
        image["annotations"] = serde_json::json!({ "io.containerd.image.name": name });
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": [image] });
        fs::write(self.place.join("index.json"), index.to_string()).unwrap();
        let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(self.place.join("oci-layout"), version).unwrap();
        let place = self.place.display().to_string();
        let archive = format!("{place}.tar");
        tool("tar", &["-C", &place, "-cf", &archive, "."]);
        archive
    }
}

fn architecture() -> String {
    let here = std::env::consts::ARCH;
    here.replace("x86_64", "amd64").replace("aarch64", "arm64")
}

fn described(kind: &str, (digest, size): (String, usize)) -> serde_json::Value {
    let media_type = match kind.starts_with("application/") {
        true => kind.to_owned(),
        false => format!("application/vnd.oci.image.{kind}"),
    };
    serde_json::json!({ "mediaType": media_type, "digest": digest, "size": size })
}

/// An image whose configuration and layer are named by SHA-512: an archive to load.
fn layout_by_sha512(brig: &Brig, name: &str) -> String {
    let layout = Layout::new(brig);
    let image = layout.busybox("sha512");
    layout.archive(name, image)
}

const PROVENANCE: &str = "https://slsa.dev/provenance/v0.2";
const BILL: &str = "https://spdx.dev/Document";

/// An index of an image and what a builder says about it, as BuildKit writes it.
fn layout_with_statements(brig: &Brig, name: &str) -> String {
    let layout = Layout::new(brig);
    let mut image = layout.busybox("sha256");
    image["platform"] = serde_json::json!({ "os": "linux", "architecture": architecture() });
    let statement = |predicate: &str| {
        let text = serde_json::json!({
            "_type": "https://in-toto.io/Statement/v0.1", "predicateType": predicate,
            "subject": [], "predicate": { "of": predicate, "count": 1.0 },
        });
        let text = layout.put("sha256", text.to_string().as_bytes());
        let mut layer = described("application/vnd.in-toto+json", text);
        layer["annotations"] = serde_json::json!({ "in-toto.io/predicate-type": predicate });
        layer
    };
    let config = layout.put(
        "sha256",
        b"{\"architecture\":\"unknown\",\"os\":\"unknown\"}",
    );
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", config),
        "layers": [statement(PROVENANCE), statement(BILL)],
    });
    let mut beside = described(
        "manifest.v1+json",
        layout.put("sha256", manifest.to_string().as_bytes()),
    );
    beside["platform"] = serde_json::json!({ "os": "unknown", "architecture": "unknown" });
    beside["annotations"] = serde_json::json!({
        "vnd.docker.reference.digest": image["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    });
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [image, beside],
    });
    let index = layout.put("sha256", index.to_string().as_bytes());
    layout.archive(name, described("index.v1+json", index))
}

/// The body of an answer, and its status before it.
fn get(brig: &Brig, target: &str) -> (String, serde_json::Value) {
    let answer = brig.http(&format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().to_owned();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn statements_about_an_image_are_shown() {
    if !root() {
        return;
    }
    let brig = with_busybox("plain:1");
    let archive = layout_with_statements(&brig, "docker.io/library/stated:1");
    brig.brig(&["load", "-i", &archive]).ok();
    let ask = |more: &str| get(&brig, &format!("/v1.55/images/stated:1/attestations{more}"));
    let (status, all) = ask("");
    assert_eq!(status, "200", "{all}");
    let kinds = |list: &serde_json::Value| -> Vec<String> {
        let of = |one: &serde_json::Value| one["PredicateType"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(of).collect()
    };
    assert_eq!(kinds(&all), [PROVENANCE, BILL]);
    let descriptor = &all[0]["Descriptor"];
    assert_eq!(descriptor["mediaType"], "application/vnd.in-toto+json");
    assert_eq!(
        descriptor["annotations"]["in-toto.io/predicate-type"],
        PROVENANCE
    );
    assert_eq!(all[0].get("Statement"), None);
    let (_, bill) = ask(&format!("?statement=true&type={BILL}"));
    assert_eq!(kinds(&bill), [BILL]);
    let statement = &bill[0]["Statement"];
    assert_eq!(statement["predicate"]["of"], BILL);
    assert_eq!(statement["predicate"]["count"].to_string(), "1.0");
    let (status, told) =
        ask("?platform=%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22s390x%22%7D");
    assert_eq!(status, "404", "{told}");
    let (status, told) = ask("?platform=linux/amd64&platform=linux/arm64");
    assert_eq!(status, "400", "{told}");
    let (status, none) = get(&brig, "/v1.55/images/plain:1/attestations");
    assert_eq!((status.as_str(), none), ("200", serde_json::json!([])));
    let (status, told) = get(&brig, "/v1.55/images/nosuch/attestations");
    assert_eq!(status, "404");
    assert_eq!(told["message"], "No such image: nosuch:latest");
    // A listing says which manifest they are about.
    let (_, shown) = get(&brig, "/v1.55/images/stated:1/json?manifests=true");
    let manifests = &shown["Manifests"];
    assert_eq!(manifests[1]["Kind"], "attestation");
    assert_eq!(manifests[1]["AttestationData"]["For"], manifests[0]["ID"]);
    brig.finish();
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
fn statements_come_with_their_image() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let brig = Brig::start();
    let name = format!("{}/stated:1", registry.address());
    let archive = layout_with_statements(&brig, &name);
    brig.brig(&["load", "-i", &archive]).ok();
    let before = id(&brig, &name);
    brig.brig(&["push", &name]).ok();
    let stated = || {
        let target = format!("/v1.55/images/{name}/attestations?statement=true");
        let (_, all) = get(&brig, &target);
        all.as_array().unwrap().len()
    };
    let saved = brig.root().join("saved.tar");
    let saved = saved.to_str().unwrap();
    let platform = format!("linux/{}", architecture());
    for client in clients() {
        brig.with(client, &["rmi", &name]).ok();
        brig.with(client, &["pull", &name]).ok();
        assert_eq!((id(&brig, &name), stated()), (before.clone(), 2));
        // All of it is here, so that all of it is pushed.
        let copy = format!("{}/copy:1", registry.address());
        brig.with(client, &["tag", &name, &copy]).ok();
        let pushed = brig.with(client, &["push", &copy]);
        let all = format!("digest: {before} ");
        assert!(pushed.ok().contains(&all), "{client:?} {pushed}");
        brig.with(client, &["rmi", &copy]).ok();
    }
    brig.brig(&["save", "--platform", &platform, "-o", saved, &name])
        .ok();
    brig.brig(&["rmi", &name]).ok();
    brig.brig(&["load", "-i", saved]).ok();
    assert_eq!((id(&brig, &name), stated()), (before.clone(), 2));
    // A registry that has lost one of them has the image all the same.
    brig.brig(&["rmi", &name]).ok();
    let lost = tool(
        "grep",
        &["-rlF", BILL, registry.storage().to_str().unwrap()],
    );
    for file in lost.lines().filter(|file| statement(file)) {
        fs::remove_file(file).unwrap();
    }
    brig.brig(&["pull", &name]).ok();
    assert_eq!((id(&brig, &name), stated()), (before, 0));
    let ran = brig.brig(&["run", "--rm", "--network", "none", &name, "echo", "here"]);
    assert_eq!(ran.ok().trim(), "here");
    brig.brig(&["system", "check"]).ok();
    brig.finish();
}

/// Whether a file of a registry is a statement, not the manifest that names it.
fn statement(file: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.contains("predicateType"))
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
