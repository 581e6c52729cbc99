//! Daemons on TCP that show certificates and ask for them: Brig's client as Docker's.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::registry::{Authority, Pair};
use testkit::{Brig, Client, Output, Setup, Terminal, address, clients, root, until};

/// A directory with `ca.pem`, `cert.pem` and `key.pem`, as clients look for them.
struct Keys {
    dir: tempfile::TempDir,
}

impl Keys {
    /// Whose daemons are trusted, and who the client is.
    fn new(trusted: &Authority, own: Option<&Pair>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = Self { dir };
        fs::write(keys.file("ca.pem"), trusted.certificate()).unwrap();
        if let Some(own) = own {
            fs::write(keys.file("cert.pem"), &own.certificate).unwrap();
            fs::write(keys.file("key.pem"), &own.key).unwrap();
        }
        keys
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// A daemon that listens on TCP too, and whom its clients are.
struct Far {
    brig: Brig,
    address: SocketAddrV4,
    ours: Authority,
    _keys: Keys,
}

impl Far {
    /// None where there is no openssl, or no root.
    fn start(certificate: impl Fn(&Authority, SocketAddrV4) -> Pair) -> Option<Self> {
        if !root() {
            return None;
        }
        let ours = Authority::new()?;
        let address = address();
        let shown = certificate(&ours, address);
        let keys = Keys::new(&ours, Some(&shown));
        let file = |name: &str| keys.file(name).display().to_string();
        let flags = [
            format!("--host=tcp://{address}"),
            "--tlsverify".to_owned(),
            format!("--tlscacert={}", file("ca.pem")),
            format!("--tlscert={}", file("cert.pem")),
            format!("--tlskey={}", file("key.pem")),
        ];
        let brig = Brig::start_with(Setup {
            flags: flags.to_vec(),
            ..Setup::default()
        });
        Some(Self {
            brig,
            address,
            ours,
            _keys: keys,
        })
    }

    /// Somebody whom the daemon knows.
    fn alice(&self) -> Keys {
        Keys::new(&self.ours, Some(&self.ours.client_called("alice")))
    }

    /// A client with these keys, which it is told of by the environment.
    fn command(&self, client: Client, keys: &Keys, words: &[&str]) -> Command {
        let mut command = self.brig.command(client, words);
        command
            .env_remove("BRIG_HOST")
            .env("DOCKER_HOST", format!("tcp://{}", self.address))
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", keys.path());
        command
    }

    fn run(&self, client: Client, keys: &Keys, words: &[&str]) -> Output {
        self.brig
            .finish_command(&mut self.command(client, keys, words))
    }

    #[track_caller]
    fn refused(&self, keys: &Keys, why: &str) {
        for client in clients() {
            let refused = self.run(client, keys, &["ps"]);
            assert_eq!(refused.code, 1, "{refused}");
            if client == Client::Brig {
                assert!(refused.stderr.contains(why), "{why}: {refused}");
            }
        }
        let run = self.run(Client::Brig, keys, &["run", "bb", "true"]);
        assert!(run.fails(125).contains(why), "{why}: {run}");
    }
}

fn for_its_address(authority: &Authority, address: SocketAddrV4) -> Pair {
    authority.server_at(*address.ip())
}

#[test]
fn streams_go_through_it_as_through_a_socket() {
    let Some(far) = Far::start(for_its_address) else {
        return;
    };
    let brig = &far.brig;
    brig.import_busybox();
    let keys = far.alice();
    for client in clients() {
        let run = |words: &[&str]| far.run(client, &keys, words);
        assert_eq!(run(&["run", "--rm", "bb", "echo", "by TLS"]).ok(), "by TLS");
        run(&["run", "-d", "--name", "web", "bb", "sleep", "1000"]).ok();
        assert_eq!(run(&["exec", "web", "sh", "-c", "exit 7"]).code, 7);
        // More than any buffer on the way holds, there and back; and the end of the input is an end.
        let bytes = vec![b'x'; 3 << 20];
        let words = ["exec", "-i", "web", "wc", "-c"];
        let mut count = far.command(client, &keys, &words);
        assert_eq!(piped(&mut count, &bytes), (3 << 20).to_string() + "\n");
        let words = ["run", "--rm", "-i", "bb", "cat"];
        let mut cat = far.command(client, &keys, &words);
        assert_eq!(piped(&mut cat, &bytes).len(), bytes.len());
        let exec = ["exec", "-it", "web", "sh"];
        let mut terminal = Terminal::start(&mut far.command(client, &keys, &exec));
        // Some clients tell the size only after the start.
        terminal
            .type_in("while ! stty size 2>/dev/null | grep '24 80'; do sleep 0.1; done; exit 3\r");
        assert_eq!(terminal.wait(), 3);
        run(&["rm", "-f", "web"]).ok();
        run(&["run", "-d", "--name", "log", "bb", "echo", "written"]).ok();
        assert_eq!(run(&["logs", "-f", "log"]).ok(), "written");
        run(&["rm", "log"]).ok();
    }
    far.brig.finish();
}

/// What a command answers to bytes.
fn piped(command: &mut Command, bytes: &[u8]) -> String {
    use std::io::Write as _;
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || pipe.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn builds_go_through_it() {
    let Some(far) = Far::start(for_its_address) else {
        return;
    };
    far.brig.import_busybox();
    let keys = far.alice();
    let context = tempfile::tempdir().unwrap();
    let file = "FROM bb\nCOPY word /word\nRUN test \"$(cat /word)\" = sent\n";
    fs::write(context.path().join("Dockerfile"), file).unwrap();
    fs::write(context.path().join("word"), "sent").unwrap();
    let path = context.path().to_str().unwrap();
    far.run(Client::Brig, &keys, &["build", "-t", "built", path])
        .ok();
    let words = ["run", "--rm", "built", "cat", "/word"];
    assert_eq!(far.run(Client::Brig, &keys, &words).ok(), "sent");
    // What comes back comes over the session.
    let out = context.path().join("out");
    let kind = format!("type=local,dest={}", out.display());
    let words = ["build", "--output", &kind, path];
    far.run(Client::Brig, &keys, &words).ok();
    assert_eq!(fs::read_to_string(out.join("word")).unwrap(), "sent");
    far.brig.finish();
}

#[test]
fn who_is_not_who_it_should_be_is_told_so() {
    let Some(far) = Far::start(for_its_address) else {
        return;
    };
    let theirs = Authority::new().unwrap();
    let alice = far.ours.client_called("alice");
    far.refused(
        &Keys::new(&theirs, Some(&alice)),
        "no authority that is trusted has signed it",
    );
    far.refused(
        &Keys::new(&far.ours, None),
        "it wants a certificate of the client",
    );
    far.refused(
        &Keys::new(&far.ours, Some(&theirs.client_called("mallory"))),
        "none of its authorities has signed the client's certificate",
    );
    // Without a word of TLS the daemon is not understood, and does not understand.
    let host = format!("tcp://{}", far.address);
    let mut plain = far.brig.command(Client::Brig, &["-H", &host, "ps"]);
    let plain = far.brig.finish_command(plain.env_remove("BRIG_HOST"));
    assert_eq!(plain.code, 1, "{plain}");
    files_that_are_none(&far);
    far.brig.finish();
}

/// Whatever is wrong with a file is said before anybody is asked.
fn files_that_are_none(far: &Far) {
    let keys = far.alice();
    let without = |name: &str| {
        fs::remove_file(keys.file(name)).unwrap();
        far.run(Client::Brig, &keys, &["ps"]).fails(1).to_owned()
    };
    let alone = without("key.pem");
    assert!(
        alone.contains("is of no use without its key (--tlskey)"),
        "{alone}"
    );
    let missing = without("ca.pem");
    let sentence = format!(
        "Failed to initialize: unable to resolve docker endpoint: open {}: no such file or directory",
        keys.file("ca.pem").display()
    );
    assert_eq!(missing, sentence);
    fs::write(keys.file("ca.pem"), "nothing of the kind").unwrap();
    let none = far.run(Client::Brig, &keys, &["ps"]);
    assert!(
        none.fails(1)
            .contains("there is no certificate (PEM) in it"),
        "{none}"
    );
}

#[test]
fn a_daemon_of_another_name_is_not_spoken_with() {
    let other = |authority: &Authority, _| authority.server_at([192, 0, 2, 1].into());
    let Some(far) = Far::start(other) else {
        return;
    };
    let keys = far.alice();
    let why = format!("it is for 192.0.2.1, not for {}", far.address.ip());
    let named = far.run(Client::Brig, &keys, &["ps"]);
    assert!(named.fails(1).contains("not for"), "{why}: {named}");
    far.refused(&keys, "the daemon's certificate is refused: it is for");
    // Unless that is all the same.
    let host = format!("tcp://{}", far.address);
    let file = |name: &str| keys.file(name).display().to_string();
    for client in clients() {
        let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
        let mut command = far.brig.command(
            client,
            &[
                "-H",
                &host,
                "--tls",
                "--tlscacert",
                &ca,
                "--tlscert",
                &cert,
                "--tlskey",
                &key,
                "ps",
                "-q",
            ],
        );
        command.env_remove("DOCKER_HOST").env_remove("BRIG_HOST");
        far.brig.finish_command(&mut command).ok();
    }
    far.brig.finish();
}

#[test]
fn a_certificate_that_has_expired_is_none() {
    let short =
        |authority: &Authority, address: SocketAddrV4| authority.server_for_a_second(*address.ip());
    let Some(far) = Far::start(short) else {
        return;
    };
    let keys = far.alice();
    until("the end of the certificate", || {
        let refused = far.run(Client::Brig, &keys, &["ps"]);
        refused.stderr.contains("it has expired").then_some(())
    });
    far.refused(&keys, "it has expired");
    far.brig.finish();
}

#[test]
fn contexts_carry_keys_and_certificates() {
    let Some(far) = Far::start(for_its_address) else {
        return;
    };
    let keys = far.alice();
    let file = |name: &str| keys.file(name).display().to_string();
    let configuration = tempfile::tempdir().unwrap();
    let asked = |client: Client, words: &[&str]| {
        let mut command = far.brig.command(client, words);
        command
            .env_remove("DOCKER_HOST")
            .env_remove("BRIG_HOST")
            .env("DOCKER_CONFIG", configuration.path());
        far.brig.finish_command(&mut command)
    };
    let host = format!("host=tcp://{}", far.address);
    let own = format!("cert={},key={}", file("cert.pem"), file("key.pem"));
    let right = format!("{host},ca={},{own}", file("ca.pem"));
    let anyone = format!("{host},skip-tls-verify=true,{own}");
    let plain = [&host[..], &own].join(",");
    for (maker, name, endpoint) in [
        (Client::Brig, "right", &right),
        (Client::Brig, "anyone", &anyone),
        // The machine's authorities have not signed it.
        (Client::Brig, "system", &plain),
    ] {
        asked(maker, &["context", "create", name, "--docker", endpoint]).ok();
    }
    // Flags are the context that has no file, and may be made one that has.
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let flags = [
        "-H",
        host.strip_prefix("host=").unwrap(),
        "--tlsverify",
        "--tlscacert",
        &ca,
        "--tlscert",
        &cert,
        "--tlskey",
        &key,
    ];
    let create = ["context", "create", "flags", "--from", "default"];
    asked(Client::Brig, &[&flags[..], &create].concat()).ok();
    for client in clients() {
        for name in ["right", "anyone", "flags"] {
            asked(client, &["--context", name, "ps", "-q"]).ok();
        }
        let refused = asked(client, &["--context", "system", "ps"]);
        assert_eq!(refused.code, 1, "{refused}");
    }
    let exported = configuration.path().join("right.tar");
    let exported = exported.to_str().unwrap();
    asked(Client::Brig, &["context", "export", "right", exported]).ok();
    asked(Client::Brig, &["context", "import", "again", exported]).ok();
    asked(Client::Brig, &["--context", "again", "ps", "-q"]).ok();
    same_as_docker(&asked, &flags);
    far.brig.finish();
}

/// What is told of contexts is what Docker's client tells.
fn same_as_docker(asked: &impl Fn(Client, &[&str]) -> Output, flags: &[&str]) {
    if Client::Docker28.program().is_none() {
        return;
    }
    let default = [flags, &["context", "inspect", "default"]].concat();
    for words in [
        &["context", "inspect", "right", "anyone", "flags"][..],
        &default,
    ] {
        let ours = asked(Client::Brig, words);
        let docker = asked(Client::Docker28, words);
        // Docker's has the names of the files in an order that is another each time.
        let sorted = |told: &str| {
            let mut lines: Vec<String> = told.lines().map(|l| l.replace(',', "")).collect();
            lines.sort_unstable();
            lines
        };
        assert_eq!(sorted(ours.ok()), sorted(docker.ok()), "{words:?}");
    }
}
