//! The signature policy from the outside: off, on, read again, wrong; what is refused leaves nothing.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]
#![allow(
    clippy::disallowed_methods,
    reason = "test files need not survive a crash"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::registry::Registry;
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

/// Files below a directory, by name, those of the database and what is thrown away left out.
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
                false if !name.contains(".db") => all.push(path),
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
