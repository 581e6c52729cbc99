//! Real signatures: keys of gpg and of sigstore in a directory of the test's own, and a skopeo that signs
//! with them and judges by a policy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::programs::cache;

/// The passphrase of every sigstore key.
const PASSPHRASE: &str = "secret";

/// Keys and signatures. What gpg has started ends, and everything goes, when this is dropped.
#[derive(Debug)]
pub struct Signing {
    directory: TempDir,
}

impl Signing {
    /// None, and a word that says so, where gpg or a new skopeo is missing.
    pub fn start() -> Option<Self> {
        let there = Self::program().exists() && Path::new("/usr/bin/gpg").exists();
        if !there {
            eprintln!("SKIP: gpg or sid's skopeo is not on this machine (scripts/setup.sh test)");
            return None;
        }
        // Sockets of gpg's agent are in it, whose names have to be short.
        let directory = tempfile::Builder::new().prefix("sign-").tempdir().unwrap();
        let signing = Self { directory };
        for name in ["gnupg", "registries.d", "lookaside"] {
            fs::create_dir(signing.path(name)).unwrap();
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(signing.path("gnupg"), mode).unwrap();
        let lookaside = signing.path("lookaside");
        let text = format!(
            "default-docker:\n  lookaside: file://{}\n  use-sigstore-attachments: true\n",
            lookaside.display()
        );
        signing.write("registries.d/default.yaml", text.as_bytes());
        signing.write("passphrase", PASSPHRASE.as_bytes());
        Some(signing)
    }

    fn program() -> PathBuf {
        cache().join("tools/skopeo/bin/skopeo")
    }

    /// A file in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file in the directory.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs gpg with its keys in the directory, and returns what it writes.
    #[track_caller]
    pub fn gpg(&self, words: &[&str]) -> Vec<u8> {
        let mut gpg = Command::new("/usr/bin/gpg");
        gpg.args(["--batch", "--quiet", "--yes", "--pinentry-mode", "loopback"]);
        gpg.args(["--passphrase", "", "--trust-model", "always"])
            .args(words);
        let output = gpg.env("GNUPGHOME", self.path("gnupg")).output().unwrap();
        check("gpg", words, &output);
        output.stdout
    }

    /// Makes a key, such as `rsa2048` or `ed25519`, and exports it to `NAME.gpg`. Returns its fingerprint.
    #[track_caller]
    pub fn key(&self, name: &str, algorithm: &str) -> String {
        self.gpg(&["--quick-generate-key", name, algorithm, "sign", "never"]);
        self.write(&format!("{name}.gpg"), &self.gpg(&["--export", name]));
        self.fingerprint(name)
    }

    /// The fingerprint of a primary key.
    #[track_caller]
    pub fn fingerprint(&self, name: &str) -> String {
        let listed = self.gpg(&["--with-colons", "--list-keys", name]);
        let listed = String::from_utf8(listed).unwrap();
        let line = listed.lines().find_map(|line| line.strip_prefix("fpr:"));
        line.unwrap().trim_matches(':').to_owned()
    }

    /// Makes a key of sigstore: `NAME.private` and `NAME.pub`.
    #[track_caller]
    pub fn sigstore_key(&self, name: &str) {
        let prefix = self.path(name);
        let passphrase = self.path("passphrase");
        let words = ["generate-sigstore-key", "--output-prefix", text(&prefix)];
        let words = [&words[..], &["--passphrase-file", text(&passphrase)]].concat();
        let output = self.skopeo(&words);
        check("skopeo", &words, &output);
    }

    /// Runs skopeo with the keys and the places of signatures of the directory.
    pub fn skopeo(&self, words: &[&str]) -> Output {
        Command::new(Self::program())
            .args(["--registries.d", text(&self.path("registries.d"))])
            .args(words)
            .env("GNUPGHOME", self.path("gnupg"))
            .env("HOME", self.directory.path())
            .output()
            .unwrap()
    }

    /// Copies within registries that speak plain http; `more` are flags, such as `--sign-by KEY`.
    #[track_caller]
    pub fn copy(&self, from: &str, to: &str, more: &[&str]) {
        let passphrase = self.path("passphrase");
        let (from, to) = (format!("docker://{from}"), format!("docker://{to}"));
        let mut words = vec!["--insecure-policy", "copy", "--src-tls-verify=false"];
        words.extend(["--dest-tls-verify=false", "--remove-signatures"]);
        words.extend(more);
        if more.iter().any(|word| word.contains("private-key")) {
            words.extend(["--sign-passphrase-file", text(&passphrase)]);
        }
        words.extend([&*from, &*to]);
        let output = self.skopeo(&words);
        check("skopeo", &words, &output);
    }

    /// Whether skopeo copies an image under a policy, and what it says.
    pub fn judged(&self, policy: &Path, image: &str) -> (bool, String) {
        let to = tempfile::tempdir_in(self.directory.path()).unwrap();
        let (from, to) = (
            format!("docker://{image}"),
            format!("dir:{}", to.path().display()),
        );
        let words = ["--policy", text(policy), "copy", "--src-tls-verify=false"];
        let output = self.skopeo(&[&words[..], &["--remove-signatures", &from, &to]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    }
}

impl Drop for Signing {
    fn drop(&mut self) {
        // Its own agent, by the directory.
        let _ = Command::new("gpgconf")
            .args(["--kill", "gpg-agent"])
            .env("GNUPGHOME", self.path("gnupg"))
            .output();
    }
}

#[track_caller]
fn check(program: &str, words: &[&str], output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words:?}: {said}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
