//! The signature policy from the outside: off, on, read again, wrong; what is refused leaves nothing.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]
#![allow(
    clippy::disallowed_methods,
    reason = "test files need not survive a crash"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::registry::{Registry, Reply, Server, forward};
use testkit::{Brig, Setup, Signing, clients, kill, program, root, until};

/// A daemon with a policy, a registry with three images, and keys.
struct Stage {
    brig: Brig,
    registry: Registry,
    signing: Signing,
}

impl Stage {
    fn new() -> Option<Self> {
        if !root() {
            return None;
        }
        let (registry, signing) = (Registry::start()?, Signing::start()?);
        let mut brig = Brig::prepare(Setup::default());
        let policy = brig.root().join("policy.json");
        fs::write(
            &policy,
            r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
        )
        .unwrap();
        let file = brig.root().join("brigd.toml");
        let certificates = brig.root().join("certs.d");
        let lookaside = signing.path("lookaside");
        let text = format!(
            "signature-policy = {policy:?}\n[registries]\ncertificates = [{certificates:?}]\n\
             lookaside = {{ default = \"file://{}\" }}\n",
            lookaside.display()
        );
        fs::write(&file, text).unwrap();
        brig.set_flags(&["--config", file.to_str().unwrap()]);
        brig.start_daemon();
        brig.import_busybox();
        let stage = Self {
            brig,
            registry,
            signing,
        };
        stage.publish();
        Some(stage)
    }

    /// Three names of busybox: nobody's, Ann's by gpg, and Ann's by sigstore.
    fn publish(&self) {
        let key = self.signing.key("ann", "rsa2048");
        self.signing.sigstore_key("ann");
        let plain = self.name("plain:1");
        self.brig.brig(&["tag", "bb", &plain]).ok();
        self.brig.brig(&["push", &plain]).ok();
        self.signing
            .copy(&plain, &self.name("gpg:1"), &["--sign-by", &key]);
        let private = self.signing.path("ann.private").display().to_string();
        let how = ["--sign-by-sigstore-private-key", &private];
        self.signing.copy(&plain, &self.name("cosign:1"), &how);
        self.forget();
    }

    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.registry.address())
    }

    /// No image is here any more.
    fn forget(&self) {
        let ids = self.brig.brig(&["images", "-aq"]);
        for id in ids.ok().split_whitespace() {
            self.brig.brig(&["rmi", "-f", id]);
        }
    }

    fn policy_file(&self) -> PathBuf {
        self.brig.root().join("policy.json")
    }

    /// Says what is demanded of everything from the registry, and has it read.
    fn demand(&self, requirement: &str) {
        let address = self.registry.address();
        let text = format!(
            "{{\"default\":[{{\"type\":\"reject\"}}],\
             \"transports\":{{\"docker\":{{\"{address}\":[{requirement}]}}}}}}"
        );
        self.policy(&text, "and so is the signature policy");
    }

    /// Has a policy read, and waits for the daemon's word about it.
    fn policy(&self, text: &str, word: &str) {
        fs::write(self.policy_file(), text).unwrap();
        let before = self.brig.daemon_log().matches(word).count();
        kill("HUP", self.brig.daemon_pid());
        until("a word about the policy", || {
            (self.brig.daemon_log().matches(word).count() > before).then_some(())
        });
    }

    fn gpg(&self) -> String {
        let key = self.signing.path("ann.gpg");
        format!("{{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":{key:?}}}")
    }

    fn sigstore(&self) -> String {
        let key = self.signing.path("ann.pub");
        format!("{{\"type\":\"sigstoreSigned\",\"keyPath\":{key:?}}}")
    }
}

/// Files below a directory, by name, but for the database's, what is thrown away, and what the daemon calls
/// itself, which it makes up when first asked.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut rest = vec![directory.to_owned()];
    while let Some(next) = rest.pop() {
        // It may have gone meanwhile.
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            match path.is_dir() {
                true if name != "trash" => rest.push(path),
                false if !name.contains(".db") && name != "engine-id" => all.push(path),
                _ => {}
            }
        }
    }
    all.sort();
    all
}

#[test]
fn what_is_not_signed_as_demanded_is_refused_and_leaves_nothing() {
    let Some(stage) = Stage::new() else {
        return;
    };
    let brig = &stage.brig;
    let data = brig.data_root();
    let before = files(&data);
    stage.demand(&stage.gpg());
    let plain = stage.name("plain:1");
    let policy = stage.policy_file().display().to_string();
    for client in clients() {
        let refused = brig.with(client, &["pull", &plain]);
        assert_eq!(refused.code, 1, "{client:?} {refused}");
        let place = format!(
            "transports.docker[{:?}][0] (signedBy)",
            stage.registry.address()
        );
        for word in [
            &plain,
            &policy,
            &place,
            "there is no signature of simple signing",
        ] {
            assert!(
                refused.stderr.contains(word),
                "{client:?} {word}: {refused}"
            );
        }
        let run = brig.with(
            client,
            &["run", "--rm", "--network", "none", &plain, "true"],
        );
        assert_eq!(run.code, 125, "{client:?} {run}");
    }
    let digest = brig.brig(&["pull", &stage.name("cosign:1")]);
    assert!(
        digest.stderr.contains("no signature of simple signing"),
        "{digest}"
    );
    assert_eq!(brig.brig(&["images", "-aq"]).ok(), "");
    until("what has come to be gone", || {
        (files(&data) == before).then_some(())
    });
    // The same image under the name that Ann has signed, and by its digest.
    let good = stage.name("gpg:1");
    for client in clients() {
        brig.with(client, &["pull", &good]).ok();
        let run = brig.with(
            client,
            &["run", "--rm", "--network", "none", &good, "echo", "good"],
        );
        assert_eq!(run.ok(), "good");
        // It is looked at again when it is here already.
        stage.demand(&stage.sigstore());
        let refused = brig.with(client, &["pull", &good]);
        assert!(
            refused.stderr.contains("no signature of sigstore"),
            "{refused}"
        );
        stage.demand(&stage.gpg());
    }
    let format = ["image", "inspect", "-f", "{{index .RepoDigests 0}}", &good];
    let by_digest = brig.brig(&format).ok().to_owned();
    stage.forget();
    brig.brig(&["pull", &by_digest]).ok();
    stage.forget();
    stage.demand(&stage.sigstore());
    brig.brig(&["pull", &stage.name("cosign:1")]).ok();
    stage.brig.finish();
}

#[test]
fn a_wrong_policy_changes_nothing_and_starts_nothing() {
    let Some(mut stage) = Stage::new() else {
        return;
    };
    stage.demand(&stage.gpg());
    let plain = stage.name("plain:1");
    let wrong = "the configuration stays as it was";
    stage.policy(r#"{"default":[{"type":"insecureAcceptAnythin"}]}"#, wrong);
    let log = stage.brig.daemon_log();
    assert!(
        log.contains("default[0]: the type \"insecureAcceptAnythin\" is not known"),
        "{log}"
    );
    stage.policy("{}", wrong);
    // The one before is in force.
    let refused = stage.brig.brig(&["pull", &plain]);
    assert!(
        refused
            .stderr
            .contains("is not allowed by the signature policy"),
        "{refused}"
    );
    let config = stage.brig.root().join("brigd.toml");
    let root = stage.brig.root().join("second");
    let started = Command::new(program("brigd"))
        .args(["--config", config.to_str().unwrap()])
        .args(["--data-root", root.join("data").to_str().unwrap()])
        .args(["--run-root", root.join("run").to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&started.stderr);
    assert!(
        !started.status.success() && said.contains("missing field `default`"),
        "{said}"
    );
    fs::remove_file(stage.policy_file()).unwrap();
    kill("HUP", stage.brig.daemon_pid());
    until("a word about the file", || {
        stage
            .brig
            .daemon_log()
            .contains("cannot read the signature policy")
            .then_some(())
    });
    stage.brig.brig(&["pull", &plain]).fails(1);
    stage.brig.set_flags(&[]);
    stage.brig.finish();
}

#[test]
fn archives_are_taken_as_their_transports_say() {
    let Some(stage) = Stage::new() else {
        return;
    };
    let brig = &stage.brig;
    stage.demand(r#"{"type":"insecureAcceptAnything"}"#);
    let plain = stage.name("plain:1");
    brig.brig(&["pull", &plain]).ok();
    let archive = brig.root().join("image.tar").display().to_string();
    brig.brig(&["save", "-o", &archive, &plain]).ok();
    let tar = brig.root().join("root.tar").display().to_string();
    fs::write(&tar, [0; 1024]).unwrap();
    let refused = brig.brig(&["load", "-i", &archive]);
    let place = "default[0] (reject)";
    assert!(
        refused.code == 1 && refused.stderr.contains(place),
        "{refused}"
    );
    let refused = brig.brig(&["import", &tar, "made:1"]);
    assert!(
        refused.code == 1 && refused.stderr.contains(place),
        "{refused}"
    );
    let accept = r#"{"":[{"type":"insecureAcceptAnything"}]}"#;
    let text = |transports: &str| {
        format!(r#"{{"default":[{{"type":"reject"}}],"transports":{{{transports}}}}}"#)
    };
    let word = "and so is the signature policy";
    stage.policy(&text(&format!("\"docker-archive\":{accept}")), word);
    brig.brig(&["load", "-i", &archive]).fails(1);
    let all = format!("\"docker-archive\":{accept},\"oci-archive\":{accept},\"tarball\":{accept}");
    stage.policy(&text(&all), word);
    brig.brig(&["load", "-i", &archive]).ok();
    brig.brig(&["import", &tar, "made:1"]).ok();
    stage.brig.finish();
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// Asks a registry by hand; the body of its answer.
fn ask(address: &str, head: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.0\r\nHost: {address}\r\nAccept: {MANIFESTS}\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let good = answer.starts_with(b"HTTP/1.0 20") || answer.starts_with(b"HTTP/1.1 20");
    assert!(good, "{head}: {}", String::from_utf8_lossy(&answer));
    answer.split_off(end + 4)
}

impl Stage {
    fn digest(&self, bytes: &[u8]) -> String {
        let file = self.signing.write("bytes", bytes);
        let sum = Command::new("sha256sum").arg(file).output().unwrap().stdout;
        format!("sha256:{}", String::from_utf8_lossy(&sum[..64]))
    }

    /// An index of an image like `plain:1` for this machine, and of one for another kind of machine.
    fn index(&self, number: u32) -> serde_json::Value {
        let address = self.registry.address();
        let manifest = ask(address, "GET /v2/plain/manifests/1", "", b"");
        let document: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let kind = document["mediaType"].as_str().unwrap();
        let (own, other) = match std::env::consts::ARCH {
            "aarch64" => ("arm64", "amd64"),
            _ => ("amd64", "arm64"),
        };
        let entries = [own, other].map(|architecture| {
            let mut named = document.clone();
            named["annotations"] = serde_json::json!({ "for": format!("{architecture} {number}") });
            let bytes = named.to_string().into_bytes();
            let digest = self.digest(&bytes);
            ask(
                address,
                &format!("PUT /v2/plain/manifests/{digest}"),
                kind,
                &bytes,
            );
            serde_json::json!({
                "mediaType": kind, "digest": digest, "size": bytes.len(),
                "platform": { "os": "linux", "architecture": architecture },
            })
        });
        serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries })
    }

    /// Tags an index of its own.
    fn tag_index(&self, number: u32, tag: &str) -> String {
        let head = format!("PUT /v2/plain/manifests/{tag}");
        let index = self.index(number).to_string();
        ask(self.registry.address(), &head, INDEX, index.as_bytes());
        self.name(&format!("plain:{tag}"))
    }
}

#[test]
fn an_index_is_as_good_as_its_signature_or_its_manifests() {
    let Some(stage) = Stage::new() else {
        return;
    };
    let brig = &stage.brig;
    let key = stage.signing.fingerprint("ann");
    let tags = ["none", "whole", "own"].into_iter().zip(1..);
    let [none, whole, own] = tags
        .map(|(tag, number)| stage.tag_index(number, tag))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    // The index alone, as cosign signs; and what is for this machine alone.
    let index = ["--multi-arch", "index-only", "--sign-by", &key];
    stage.signing.copy(&whole, &whole, &index);
    let named = ["--sign-by", &key, "--sign-identity", &own];
    stage.signing.copy(&own, &stage.name("plain:copy"), &named);
    stage.demand(&stage.gpg());
    let refused = brig.brig(&["pull", &none]);
    let word = "is not allowed by the signature policy";
    assert!(refused.stderr.contains(word), "{refused}");
    brig.brig(&["pull", &own]).ok();
    stage.forget();
    // What is for other machines is not signed.
    let refused = brig.brig(&["pull", "--all-platforms", &own]);
    assert!(refused.stderr.contains(word), "{refused}");
    assert_eq!(brig.brig(&["images", "-aq"]).ok(), "");
    brig.brig(&["pull", &whole]).ok();
    stage.forget();
    brig.brig(&["pull", "--all-platforms", &whole]).ok();
    stage.brig.finish();
}

/// Who makes an index may call a manifest anything.
#[test]
fn a_manifest_under_another_name_is_judged_too() {
    let Some(stage) = Stage::new() else {
        return;
    };
    let mut index = stage.index(7);
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let address = stage.registry.address().to_owned();
    let manifest = ask(
        &address,
        &format!("GET /v2/plain/manifests/{digest}"),
        "",
        b"",
    );
    index["manifests"][0]["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
    let (index, blob) = (index.to_string(), format!("/v2/plain/blobs/{digest}"));
    let liar = Server::start(move |request| match request.path() {
        "/v2/plain/manifests/1" => Reply::new(200, index.clone()).header("Content-Type", INDEX),
        path if path == blob => Reply::new(200, manifest.clone()),
        _ => forward(&address, request),
    });
    let key = stage.gpg();
    let text = format!("{{\"default\":[{key}]}}");
    let image = format!("{}/plain:1", liar.address());
    // Without a policy it can be had.
    stage.brig.brig(&["pull", &image]).ok();
    stage.forget();
    stage.policy(&text, "and so is the signature policy");
    let refused = stage.brig.brig(&["pull", &image]);
    assert!(
        refused
            .stderr
            .contains("is not allowed by the signature policy"),
        "{refused}"
    );
    assert_eq!(stage.brig.brig(&["images", "-aq"]).ok(), "");
    stage.brig.finish();
}

/// What is here already, because it was good under another name, is judged like what comes.
#[test]
fn an_index_cannot_rename_what_is_here() {
    let Some(stage) = Stage::new() else {
        return;
    };
    let brig = &stage.brig;
    let old = stage.name("gpg:1");
    stage.demand(&stage.gpg());
    brig.brig(&["pull", &old]).ok();
    let address = stage.registry.address();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = ask(address, "GET /v2/gpg/manifests/1", "", b"");
    let document: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [{
            "mediaType": document["mediaType"].as_str().unwrap_or(kind),
            "digest": stage.digest(&manifest), "size": manifest.len(),
        }],
    });
    let body = index.to_string();
    ask(address, "PUT /v2/gpg/manifests/2", INDEX, body.as_bytes());
    let new = stage.name("gpg:2");
    for more in [&[][..], &["--all-platforms"]] {
        let refused = brig.brig(&[&["pull"], more, &[new.as_str()]].concat());
        assert!(
            refused.code == 1
                && refused
                    .stderr
                    .contains("is not allowed by the signature policy"),
            "{more:?} {refused}"
        );
    }
    brig.brig(&["image", "inspect", &new]).fails(1);
    // Where it counts, the manifest is kept and not the index that nobody signed.
    let repository = r#""signedIdentity":{"type":"matchRepository"}}"#;
    stage.demand(&stage.gpg().replace('}', &format!(",{repository}")));
    brig.brig(&["pull", &new]).ok();
    let id = |name: &str| {
        let format = ["image", "inspect", "-f", "{{.Id}}", name];
        brig.brig(&format).ok().to_owned()
    };
    assert_eq!(id(&new), id(&old));
    stage.brig.finish();
}
