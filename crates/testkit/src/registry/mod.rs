//! Registries for tests: a real one (Debian's `docker-registry`) on a loopback port of its own with
//! storage of its own, a token server that it trusts, and servers that misbehave.

mod certificates;
mod http;
mod server;
mod token;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub use certificates::{Authority, Pair};
pub use http::{Body, Reply, Request};
pub use server::{Server, forward};
pub use token::{TokenServer, Tokens};

use crate::programs::cache;

/// The user whom registries with basic authentication and token servers know.
pub const USER: &str = "ann";
/// Her password.
pub const PASSWORD: &str = "secret";
/// [`PASSWORD`] as htpasswd has it, bcrypt with the smallest cost.
const HTPASSWD: &str = "ann:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";

/// How a registry is to be.
#[derive(Debug, Default)]
pub struct RegistrySetup {
    tls: Option<(Pair, Option<String>)>,
    basic: bool,
    token: Option<(String, String)>,
    proxied: bool,
    deletes: bool,
}

/// A real registry. It ends, and its storage goes, when this is dropped.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    address: String,
    directory: tempfile::TempDir,
}

impl RegistrySetup {
    /// With TLS by a certificate for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn tls(mut self, pair: Pair) -> Self {
        self.tls = Some((pair, None));
        self
    }

    /// With TLS, for clients with a certificate of `authority` (PEM) only.
    #[must_use]
    pub fn mutual_tls(mut self, pair: Pair, authority: &str) -> Self {
        self.tls = Some((pair, Some(authority.to_owned())));
        self
    }

    /// For [`USER`] with [`PASSWORD`] only.
    #[must_use]
    pub fn basic(mut self) -> Self {
        self.basic = true;
        self
    }

    /// For those with a token of this server.
    #[must_use]
    pub fn token(mut self, server: &TokenServer) -> Self {
        self.token = Some((server.realm(), server.certificate().to_owned()));
        self
    }

    /// Behind a [`Server`] that forwards: addresses that it sends are relative, so that clients come back
    /// by the same way.
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// With removal of manifests and blobs.
    #[must_use]
    pub fn deletes(mut self) -> Self {
        self.deletes = true;
        self
    }

    /// Starts it. None, and a word that says so, where the program is missing.
    pub fn start(self) -> Option<Registry> {
        let Some(program) = program() else {
            eprintln!("SKIP: docker-registry is not on this machine (scripts/setup.sh test)");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.yml");
        fs::write(&config, self.config(directory.path())).unwrap();
        let mut child = Command::new(program)
            .arg("serve")
            .arg(&config)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = listening(&mut child);
        Some(Registry {
            child,
            address,
            directory,
        })
    }

    fn config(&self, directory: &Path) -> String {
        let root = directory.join("storage");
        let mut text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: {}}}\n",
            root.display(),
            self.deletes
        );
        text += &format!(
            "http:\n  addr: 127.0.0.1:0\n  relativeurls: {}\n",
            self.proxied
        );
        if let Some((pair, clients)) = &self.tls {
            let file = |name: &str, text: &str| write(directory, name, text);
            let certificate = file("tls.crt", &pair.certificate);
            let key = file("tls.key", &pair.key);
            text += &format!("  tls:\n    certificate: {certificate}\n    key: {key}\n");
            if let Some(authority) = clients {
                let authority = file("clients.crt", authority);
                text += &format!("    clientcas: [{authority}]\n");
            }
        }
        if self.basic {
            let file = write(directory, "htpasswd", HTPASSWD);
            text += &format!("auth:\n  htpasswd: {{realm: registry, path: {file}}}\n");
        }
        if let Some((realm, certificate)) = &self.token {
            let file = write(directory, "token.crt", certificate);
            text += &format!(
                "auth:\n  token: {{realm: \"{realm}\", service: registry, issuer: testkit, rootcertbundle: {file}}}\n"
            );
        }
        text
    }
}

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

impl Registry {
    /// A registry as it comes: plain http, for everybody.
    pub fn start() -> Option<Self> {
        RegistrySetup::default().start()
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it keeps everything (`docker/registry/v2` below it).
    pub fn storage(&self) -> PathBuf {
        self.directory.path().join("storage")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log until it says where the registry listens; goes on reading, so that it never waits for
/// a reader.
fn listening(child: &mut Child) -> String {
    let log = child.stderr.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = Vec::new();
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find([',', '"']).unwrap_or(rest.len());
                let _ = sender.send(Ok(rest[..end].to_owned()));
            }
            if lines.len() < 50 {
                lines.push(line);
            }
        }
        let _ = sender.send(Err(lines.join("\n")));
    });
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Ok(Ok(address)) => address,
        Ok(Err(log)) => panic!("docker-registry has ended: {log}"),
        Err(_) => panic!("docker-registry does not say where it listens"),
    }
}

fn program() -> Option<PathBuf> {
    let name = "usr/bin/docker-registry";
    let places = [
        cache().join("tools/docker-registry").join(name),
        Path::new("/").join(name),
    ];
    places.into_iter().find(|path| path.exists())
}
