//! Certificates by `openssl`: an authority and what it signs.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

/// A certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Somebody who signs certificates, whom nobody trusts unless told to.
#[derive(Debug, Clone)]
pub struct Authority {
    own: Pair,
}

impl Authority {
    /// A new one. None, and a word that says so, where `openssl` is missing.
    pub fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            eprintln!("SKIP: openssl is not on this machine (scripts/setup.sh test)");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        // Each by a name of its own: verifiers find authorities by their names.
        let own = directory.path().file_name().unwrap_or_default();
        let subject = format!("/CN=testkit {}", own.display());
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &subject,
            "-keyout",
            &at("key"),
            "-out",
            &at("crt"),
        ]);
        Some(Self {
            own: pair(&at("crt"), &at("key")),
        })
    }

    /// Its own certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.own.certificate
    }

    /// Its own certificate and key.
    pub fn pair(&self) -> &Pair {
        &self.own
    }

    /// A certificate for a server on this machine, `localhost` and `127.0.0.1`.
    pub fn server(&self) -> Pair {
        self.sign(
            "localhost",
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth",
        )
    }

    /// A certificate for a server at an address.
    pub fn server_at(&self, address: Ipv4Addr) -> Pair {
        let extensions = format!("subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth");
        self.sign("server", &extensions)
    }

    /// The same that is good for the current second only.
    pub fn server_for_a_second(&self, address: Ipv4Addr) -> Pair {
        let extensions = format!("subjectAltName=IP:{address}\nextendedKeyUsage=serverAuth");
        self.sign_for("server", &extensions, "0")
    }

    /// A certificate for a client.
    pub fn client(&self) -> Pair {
        self.client_called("client")
    }

    /// The same with a name of its own.
    pub fn client_called(&self, name: &str) -> Pair {
        self.sign(name, "extendedKeyUsage=clientAuth")
    }

    fn sign(&self, name: &str, extensions: &str) -> Pair {
        self.sign_for(name, extensions, "2")
    }

    fn sign_for(&self, name: &str, extensions: &str, days: &str) -> Pair {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        fs::write(at("ca.crt"), &self.own.certificate).unwrap();
        fs::write(at("ca.key"), &self.own.key).unwrap();
        fs::write(at("ext"), extensions).unwrap();
        openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            &at("key"),
            "-out",
            &at("csr"),
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &at("csr"),
            "-CA",
            &at("ca.crt"),
            "-CAkey",
            &at("ca.key"),
            "-set_serial",
            "2",
            "-days",
            days,
            "-extfile",
            &at("ext"),
            "-out",
            &at("crt"),
        ]);
        pair(&at("crt"), &at("key"))
    }
}

fn pair(certificate: &str, key: &str) -> Pair {
    Pair {
        certificate: fs::read_to_string(certificate).unwrap(),
        key: fs::read_to_string(key).unwrap(),
    }
}

pub(super) fn openssl(words: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(words).output().unwrap();
    assert!(
        output.status.success(),
        "openssl {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
