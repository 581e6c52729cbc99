//! Images and registries, from the outside: pull, push, login, search; real registries with and without
//! TLS, with basic and with token authentication; Docker's clients and skopeo beside.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]
#![allow(
    clippy::disallowed_methods,
    reason = "test files need not survive a crash"
)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use testkit::registry::{
    Authority, Body, PASSWORD, Registry, RegistrySetup, Server, TokenServer, Tokens, USER, forward,
};
use testkit::{Brig, Client, Setup, clients, kill, root, until};

/// A daemon whose registries are configured by this table, and nothing of this machine's.
fn configured(table: &str) -> Brig {
    let mut brig = Brig::prepare(Setup::default());
    let file = configure(&brig, table);
    brig.set_flags(&["--config", &file]);
    brig.start_daemon();
    brig
}

fn configure(brig: &Brig, table: &str) -> String {
    let certificates = brig.root().join("certs.d");
    let file = brig.root().join("brigd.toml");
    let text = format!("[registries]\ncertificates = [{certificates:?}]\n{table}");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// A daemon with busybox under this name.
fn with_busybox(name: &str) -> Brig {
    let brig = configured("");
    brig.import_busybox();
    brig.brig(&["tag", "bb", name]).ok();
    brig
}

fn id(brig: &Brig, name: &str) -> String {
    let format = ["image", "inspect", "-f", "{{.Id}}", name];
    brig.brig(&format).ok().to_owned()
}

fn log_in(brig: &Brig, client: Client, registry: &str) {
    let words = ["login", "-u", USER, "--password-stdin", registry];
    let done = brig.with_input(client, &words, PASSWORD.as_bytes());
    assert!(done.ok().contains("Login Succeeded"), "{client:?} {done}");
}

#[test]
fn every_client_pushes_and_pulls() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let name = format!("{}/team/bb:v1", registry.address());
    let brig = with_busybox(&name);
    let before = id(&brig, &name);
    for client in clients() {
        let with = |words: &[&str]| brig.with(client, words);
        let pushed = with(&["push", &name]);
        let end = format!("v1: digest: {before} size: ");
        assert!(pushed.ok().contains(&end), "{client:?} {pushed}");
        brig.brig(&["rmi", "-f", &before]).ok();
        let pulled = with(&["pull", &name]);
        let lines = pulled.lines();
        assert_eq!(lines[0], "v1: Pulling from team/bb", "{client:?}");
        assert!(lines.iter().any(|line| line.ends_with(": Pull complete")));
        let digest = format!("Digest: {before}");
        let status = format!("Status: Downloaded newer image for {name}");
        assert_eq!(lines[lines.len() - 3..], [&*digest, &*status, &*name]);
        let again = with(&["pull", &name]);
        let status = format!("Status: Image is up to date for {name}");
        assert!(again.ok().contains(&status), "{client:?} {again}");
        assert_eq!(with(&["pull", "-q", &name]).ok(), name, "{client:?}");
        assert_eq!(id(&brig, &name), before);
        let run = ["run", "--rm", "--network", "none", &name, "echo", "pulled"];
        assert_eq!(with(&run).ok(), "pulled", "{client:?}");
        let by_digest = format!("{}/team/bb@{before}", registry.address());
        with(&["pull", &by_digest]).ok();
        brig.brig(&["tag", &name, "bb"]).ok();
    }
    // The last tag of a repository takes what it is called by digest along.
    let by_digest = format!("{}/team/bb@{before}", registry.address());
    let other = format!("{}/team/bb:v2", registry.address());
    brig.brig(&["tag", &name, &other]).ok();
    assert!(!brig.brig(&["rmi", &other]).ok().contains(&by_digest));
    let gone = brig.brig(&["rmi", &name]);
    assert!(
        gone.ok().contains(&format!("Untagged: {by_digest}")),
        "{gone}"
    );
    brig.brig(&["image", "inspect", &by_digest]).fails(1);
    // And by its id an image goes that is called so by one repository.
    brig.brig(&["rmi", "bb"]).ok();
    brig.brig(&["pull", &name]).ok();
    brig.brig(&["pull", &by_digest]).ok();
    brig.brig(&["rmi", &before]).ok();
    brig.finish();
}

#[test]
fn a_layer_that_the_registry_has_is_not_sent_again() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let name = |repository: &str| format!("{}/{repository}", registry.address());
    let brig = with_busybox(&name("one:v1"));
    brig.brig(&["push", &name("one:v1")]).ok();
    let again = brig.brig(&["push", &name("one:v1")]);
    assert!(again.ok().contains("Layer already exists"), "{again}");
    brig.brig(&["tag", "bb", &name("two:v1")]).ok();
    brig.brig(&["tag", "bb", &name("two:v2")]).ok();
    let mounted = brig.brig(&["push", "-a", &name("two")]);
    assert!(mounted.ok().contains("Mounted from one"), "{mounted}");
    let tags: Vec<_> = mounted
        .lines()
        .into_iter()
        .filter(|l| l.contains(": digest: "))
        .collect();
    assert_eq!(tags.len(), 2, "{mounted}");
    brig.brig(&[
        "rmi",
        "-f",
        "bb",
        &name("one:v1"),
        &name("two:v1"),
        &name("two:v2"),
    ])
    .ok();
    brig.brig(&["pull", "-a", &name("two")]).ok();
    for tag in ["two:v1", "two:v2"] {
        brig.brig(&["image", "inspect", &name(tag)]).ok();
    }
    brig.finish();
}

#[test]
fn run_and_create_pull_what_is_missing() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let name = format!("{}/bb:v1", registry.address());
    let brig = with_busybox(&name);
    brig.brig(&["push", &name]).ok();
    for client in clients() {
        brig.brig(&["rmi", "-f", &name, "bb"]).ok();
        let run = ["run", "--rm", "--network", "none", &name, "echo", "here"];
        let ran = brig.with(client, &run);
        assert_eq!(ran.ok(), "here", "{client:?} {ran}");
        let says = format!("Unable to find image '{name}' locally");
        assert!(ran.stderr.contains(&says), "{client:?} {ran}");
        let run = [
            "run",
            "--rm",
            "--network",
            "none",
            "--pull",
            "always",
            &name,
            "true",
        ];
        let always = brig.with(client, &run);
        assert!(
            always.stderr.contains("Image is up to date"),
            "{client:?} {always}"
        );
        brig.brig(&["rmi", &name]).ok();
        let never = brig.with(client, &["create", "--pull", "never", &name, "true"]);
        assert!(
            never.fails(1).to_lowercase().contains("no such image"),
            "{client:?} {never}"
        );
        let nowhere = format!("{}/nothing:v9", registry.address());
        let missing = brig.with(client, &["run", "--rm", &nowhere, "true"]);
        assert!(
            missing.fails(125).contains("not found"),
            "{client:?} {missing}"
        );
        brig.import_busybox();
    }
    brig.finish();
}

#[test]
fn what_is_not_there_is_said_in_dockers_words() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let brig = configured("");
    let name = format!("{}/no/such:v1", registry.address());
    for client in clients() {
        let pull = brig.with(client, &["pull", &name]);
        let says = format!("manifest for {name} not found: manifest unknown");
        assert!(pull.fails(1).contains(&says), "{client:?} {pull}");
        let push = brig.with(client, &["push", &name]);
        let says = format!("An image does not exist locally with the tag: {name}");
        // Docker's clients leave out the tag or not, as the daemon does.
        assert!(push.fails(1).contains(&says), "{client:?} {push}");
        let upper = brig.with(client, &["pull", "localhost:1/Upper"]);
        assert!(
            upper.fails(1).contains("must be lowercase"),
            "{client:?} {upper}"
        );
        let closed = brig.with(client, &["pull", "127.0.0.1:1/a:v1"]);
        assert!(
            closed.fails(1).contains("127.0.0.1:1"),
            "{client:?} {closed}"
        );
    }
    brig.finish();
}

#[test]
fn a_registry_with_basic_authentication_wants_a_login() {
    let registry = RegistrySetup::default().basic().start();
    let Some(registry) = registry.filter(|_| root()) else {
        return;
    };
    let name = format!("{}/bb:v1", registry.address());
    let brig = with_busybox(&name);
    for client in clients() {
        let refused = brig.with(client, &["push", &name]);
        assert_ne!(refused.code, 0, "{client:?} {refused}");
        let words = ["login", "-u", USER, "--password-stdin", registry.address()];
        let wrong = brig.with_input(client, &words, b"wrong");
        assert_ne!(wrong.code, 0, "{client:?} {wrong}");
        assert!(
            wrong.stderr.to_lowercase().contains("unauthorized"),
            "{client:?} {wrong}"
        );
        log_in(&brig, client, registry.address());
        brig.with(client, &["push", &name]).ok();
        brig.brig(&["rmi", &name]).ok();
        brig.with(client, &["pull", &name]).ok();
        // What Docker's client keeps, ours reads.
        brig.brig(&["pull", &name]).ok();
        brig.with(client, &["logout", registry.address()]).ok();
        let refused = brig.with(client, &["push", &name]);
        assert_ne!(refused.code, 0, "{client:?} {refused}");
    }
    brig.finish();
}

#[test]
fn what_our_client_keeps_is_encrypted() {
    let registry = RegistrySetup::default().basic().start();
    let Some(registry) = registry.filter(|_| root()) else {
        return;
    };
    let brig = configured("");
    log_in(&brig, Client::Brig, registry.address());
    let home = brig.root().join("home");
    let text = files_below(&home);
    assert!(text.contains(registry.address()), "{text}");
    for secret in [PASSWORD, "YW5uOnNlY3JldA"] {
        assert!(!text.contains(secret), "{text}");
    }
    let out = brig.brig(&["logout", registry.address()]);
    assert!(
        out.ok().starts_with("Removing login credentials for "),
        "{out}"
    );
    let out = brig.brig(&["logout", registry.address()]);
    // As with Docker's client, there being none is no failure.
    assert!(
        out.ok().starts_with("Removing login credentials for "),
        "{out}"
    );
    brig.finish();
}

fn files_below(top: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(top).unwrap().flatten() {
        text += &match entry.path() {
            path if path.is_dir() => files_below(&path),
            path => String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned(),
        };
    }
    text
}

#[test]
fn a_registry_with_tokens_gives_them_to_who_logs_in() {
    let Some(tokens) = TokenServer::start(Tokens::default()).filter(|_| root()) else {
        return;
    };
    let Some(registry) = RegistrySetup::default().token(&tokens).start() else {
        return;
    };
    let name = format!("{}/team/bb:v1", registry.address());
    let brig = with_busybox(&name);
    for client in clients() {
        let refused = brig.with(client, &["push", &name]);
        assert_ne!(refused.code, 0, "{client:?} {refused}");
        log_in(&brig, client, registry.address());
        brig.with(client, &["push", &name]).ok();
        brig.brig(&["rmi", &name]).ok();
        brig.with(client, &["pull", &name]).ok();
        brig.with(client, &["logout", registry.address()]).ok();
    }
    brig.finish();
}

#[test]
fn certificates_are_read_again_on_sighup() {
    let (Some(authority), Some(other)) = (Authority::new(), Authority::new()) else {
        return;
    };
    let setup = RegistrySetup::default().mutual_tls(authority.server(), authority.certificate());
    let Some(registry) = setup.start().filter(|_| root()) else {
        return;
    };
    let name = format!("{}/bb:v1", registry.address());
    let brig = with_busybox(&name);
    let directory = brig.root().join("certs.d").join(registry.address());
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("ca.crt"), other.certificate()).unwrap();
    reload(&brig, 1);
    let refused = brig.brig(&["push", &name]);
    assert!(refused.fails(1).contains("certificate"), "{refused}");
    fs::write(directory.join("ca.crt"), authority.certificate()).unwrap();
    reload(&brig, 2);
    let refused = brig.brig(&["push", &name]);
    assert_ne!(refused.code, 0, "without a certificate of ours: {refused}");
    let pair = authority.client();
    fs::write(directory.join("client.cert"), &pair.certificate).unwrap();
    fs::write(directory.join("client.key"), &pair.key).unwrap();
    reload(&brig, 3);
    brig.brig(&["push", &name]).ok();
    // What cannot be used changes nothing.
    configure(&brig, "nonsense = 1\n");
    kill("HUP", brig.daemon_pid());
    until("a word about the mistake", || {
        brig.daemon_log().contains("nonsense").then_some(())
    });
    brig.brig(&["pull", &name]).ok();
    brig.finish();
}

fn reload(brig: &Brig, times: usize) {
    kill("HUP", brig.daemon_pid());
    until("the configuration to be read again", || {
        let log = brig.daemon_log();
        (log.matches("registries are read again").count() == times).then_some(())
    });
}

#[test]
fn mirrors_rewrites_and_blocks_are_configured() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let there = format!("{}/hub/library/bb:v1", registry.address());
    let brig = configured(&format!(
        "[[registries.registry]]\nprefix = \"docker.io\"\nlocation = \"{}/hub\"\n\
         [[registries.registry]]\nprefix = \"evil.example.com\"\nblocked = true\n",
        registry.address()
    ));
    brig.import_busybox();
    brig.brig(&["tag", "bb", &there]).ok();
    brig.brig(&["push", &there]).ok();
    brig.brig(&["rmi", "-f", "bb", &there]).ok();
    assert!(
        brig.brig(&["pull", "bb:v1"])
            .ok()
            .contains("Downloaded newer image for bb:v1")
    );
    let blocked = brig.brig(&["pull", "evil.example.com/a"]);
    assert!(
        blocked.fails(1).contains("blocked by the configuration"),
        "{blocked}"
    );
    brig.finish();
}

/// An image of one layer that does not shrink, in a registry.
fn big(brig: &Brig, name: &str, bytes: usize) {
    let tree = brig.root().join("big");
    fs::create_dir_all(&tree).unwrap();
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..bytes)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .collect();
    fs::write(tree.join("noise"), noise).unwrap();
    let tar = brig.root().join("big.tar");
    let packed = Command::new("tar")
        .arg("-C")
        .arg(&tree)
        .arg("-cf")
        .arg(&tar)
        .arg(".")
        .status();
    assert!(packed.unwrap().success());
    brig.brig(&["import", tar.to_str().unwrap(), name]).ok();
    brig.brig(&["push", name]).ok();
    brig.brig(&["rmi", name]).ok();
}

fn is_layer(request: &testkit::registry::Request) -> bool {
    request.method == "GET" && request.target.contains("/blobs/")
}

/// In front of a registry: long blobs stop half way while `stalls`.
fn stalling(registry: &Registry, stalls: Arc<AtomicBool>) -> Server {
    let upstream = registry.address().to_owned();
    Server::start(move |request| {
        let reply = forward(&upstream, request);
        let bytes = reply.bytes().to_vec();
        if is_layer(request) && bytes.len() > 1_000_000 && stalls.load(Ordering::SeqCst) {
            let half = bytes.len() / 2;
            return reply.body(Body::Stalled(bytes, half));
        }
        reply
    })
}

/// Requests for layers so far: where each began.
fn layers_asked(server: &Server) -> Vec<String> {
    let requests = server.requests();
    let ranges = requests.iter().filter(|r| is_layer(r));
    ranges
        .map(|r| r.header("range").unwrap_or("all").to_owned())
        .collect()
}

#[test]
fn a_pull_after_a_crash_goes_on_where_it_was() {
    let Some(registry) = RegistrySetup::default()
        .proxied()
        .start()
        .filter(|_| root())
    else {
        return;
    };
    let stalls = Arc::new(AtomicBool::new(true));
    let server = stalling(&registry, stalls.clone());
    let mut brig = configured("");
    big(&brig, &format!("{}/big:v1", registry.address()), 6_000_000);
    let name = format!("{}/big:v1", server.address());
    let mut pull = brig.command(Client::Brig, &["pull", &name]);
    let mut pull = pull
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let partials = brig.data_root().join("partial");
    until("half a layer on disk", || {
        let asked = layers_asked(&server).len() > 1;
        (asked && bytes_below(&partials) > 2_500_000).then_some(())
    });
    brig.kill_daemon();
    pull.wait().unwrap();
    stalls.store(false, Ordering::SeqCst);
    brig.start_daemon();
    brig.brig(&["pull", &name]).ok();
    let asked = layers_asked(&server);
    assert!(
        asked
            .iter()
            .any(|range| range.starts_with("bytes=") && range != "bytes=0-"),
        "from the beginning: {asked:?}"
    );
    brig.finish();
}

fn bytes_below(top: &Path) -> u64 {
    let mut sum = 0;
    for entry in fs::read_dir(top).into_iter().flatten().flatten() {
        sum += match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
            // Blocks: room may have been set aside before the bytes came.
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        };
    }
    sum
}

#[test]
fn two_pulls_of_the_same_fetch_it_once() {
    let Some(registry) = RegistrySetup::default()
        .proxied()
        .start()
        .filter(|_| root())
    else {
        return;
    };
    let upstream = registry.address().to_owned();
    let (open, opened) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let server = Server::start({
        let (open, opened) = (open.clone(), opened.clone());
        move |request| {
            if is_layer(request) {
                opened.store(true, Ordering::SeqCst);
                until("the second pull", || {
                    open.load(Ordering::SeqCst).then_some(())
                });
            }
            forward(&upstream, request)
        }
    });
    let brig = configured("");
    big(&brig, &format!("{}/big:v1", registry.address()), 2_000_000);
    let name = format!("{}/big:v1", server.address());
    let pull = || {
        let mut command = brig.command(Client::Brig, &["pull", &name]);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut first = pull();
    until("the first pull", || {
        opened.load(Ordering::SeqCst).then_some(())
    });
    let mut second = pull();
    until("both pulls in the daemon", || {
        let log = brig.daemon_log();
        (log.matches("path=\"/v1.55/images/create\"").count() >= 3).then_some(())
    });
    open.store(true, Ordering::SeqCst);
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    let mut layers: Vec<_> = server
        .lines()
        .into_iter()
        .filter(|line| line.starts_with("GET") && line.contains("/blobs/"))
        .collect();
    let all = layers.len();
    layers.sort();
    layers.dedup();
    assert_eq!(layers.len(), all, "fetched twice: {:?}", server.lines());
    // The registry is told for whom the daemon asks.
    for request in server.requests() {
        let agent = request.header("user-agent").unwrap_or_default();
        let ours = agent.starts_with("brig/");
        assert!(
            ours && agent.contains(" UpstreamClient(Brig-Client/"),
            "{agent}"
        );
    }
    brig.finish();
}

#[test]
fn a_cancelled_pull_stops() {
    let Some(registry) = RegistrySetup::default()
        .proxied()
        .start()
        .filter(|_| root())
    else {
        return;
    };
    let stalls = Arc::new(AtomicBool::new(true));
    let server = stalling(&registry, stalls.clone());
    let brig = configured("");
    big(&brig, &format!("{}/big:v1", registry.address()), 6_000_000);
    let name = format!("{}/big:v1", server.address());
    let mut pull = brig.command(Client::Brig, &["pull", &name]);
    let mut pull = pull
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the layer's request", || {
        (!layers_asked(&server).is_empty()).then_some(())
    });
    kill("TERM", pull.id());
    pull.wait().unwrap();
    let port = server.address().rsplit_once(':').unwrap().1.to_owned();
    until("the connection's end", || {
        let sockets = sockets_of(brig.daemon_pid(), &port);
        (sockets == 0).then_some(())
    });
    stalls.store(false, Ordering::SeqCst);
    brig.brig(&["pull", &name]).ok();
    brig.finish();
}

/// Connections of a process' network to a port of the loopback that it holds open.
fn sockets_of(pid: u32, port: &str) -> usize {
    let wanted = format!(":{:04X}", port.parse::<u16>().unwrap());
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let inodes: Vec<String> = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[2].ends_with(&wanted))
        .map(|fields| format!("socket:[{}]", fields[9]))
        .collect();
    let held = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    held.filter_map(|fd| fs::read_link(fd.path()).ok())
        .filter(|target| inodes.contains(&target.display().to_string()))
        .count()
}

#[test]
fn skopeo_and_brig_read_each_other() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    if !Path::new("/usr/bin/skopeo").exists() {
        eprintln!("SKIP: skopeo is not on this machine (scripts/setup.sh test)");
        return;
    }
    let name = |repository: &str| format!("{}/{repository}", registry.address());
    let brig = with_busybox(&name("ours:v1"));
    let before = id(&brig, &name("ours:v1"));
    brig.brig(&["push", &name("ours:v1")]).ok();
    let skopeo = |from: &str, to: &str| {
        let words = ["copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
        let policy = brig.root().join("policy.json");
        fs::write(
            &policy,
            r#"{"default": [{"type": "insecureAcceptAnything"}]}"#,
        )
        .unwrap();
        let mut command = Command::new("skopeo");
        command
            .arg("--policy")
            .arg(&policy)
            .args(words)
            .args([from, to]);
        brig.finish_command(&mut command).ok();
    };
    let remote = |repository: &str| format!("docker://{}", name(repository));
    skopeo(&remote("ours:v1"), &remote("copied:v1"));
    brig.brig(&["pull", &name("copied:v1")]).ok();
    assert_eq!(id(&brig, &name("copied:v1")), before);
    for kind in ["docker-archive", "oci-archive"] {
        let file = brig.root().join(kind);
        let file = file.to_str().unwrap();
        skopeo(
            &remote("ours:v1"),
            &format!("{kind}:{file}:example.org/{kind}:v1"),
        );
        let loaded = brig.brig(&["load", "-i", file]);
        assert!(loaded.ok().starts_with("Loaded image"), "{kind} {loaded}");
        let saved = brig.root().join(format!("saved-{kind}"));
        let saved = saved.to_str().unwrap();
        brig.brig(&["save", "-o", saved, &name("ours:v1")]).ok();
        skopeo(&format!("{kind}:{saved}"), &remote(&format!("{kind}:v1")));
        brig.brig(&["pull", &name(&format!("{kind}:v1"))]).ok();
        let run = [
            "run",
            "--rm",
            "--network",
            "none",
            &name(&format!("{kind}:v1")),
            "echo",
            kind,
        ];
        assert_eq!(brig.brig(&run).ok(), kind);
    }
    brig.finish();
}

#[test]
fn the_stream_is_dockers() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    let name = format!("{}/team/bb", registry.address());
    let brig = with_busybox(&format!("{name}:v1"));
    brig.brig(&["push", &format!("{name}:v1")]).ok();
    brig.brig(&["rmi", "-f", "bb", &format!("{name}:v1")]).ok();
    let answer = brig.http(&format!(
        "POST /v1.44/images/create?fromImage={name}&tag=v1 HTTP/1.1\r\nHost: x\r\n\
         Connection: close\r\nContent-Length: 0\r\n\r\n"
    ));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let messages: Vec<serde_json::Value> = answer
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(messages[0]["status"], "Pulling from team/bb");
    assert_eq!(messages[0]["id"], "v1");
    assert_eq!(messages[1]["status"], "Pulling fs layer");
    let layer = messages[1]["id"].as_str().unwrap();
    assert_eq!(layer.len(), 12, "{answer}");
    assert!(
        messages[1]["progressDetail"]
            .as_object()
            .unwrap()
            .is_empty()
    );
    let of_layer: Vec<_> = messages.iter().filter(|m| m["id"] == layer).collect();
    assert_eq!(of_layer[of_layer.len() - 1]["status"], "Pull complete");
    let end = &messages[messages.len() - 2..];
    assert!(
        end[0]["status"]
            .as_str()
            .unwrap()
            .starts_with("Digest: sha256:")
    );
    assert!(
        end[1]["status"]
            .as_str()
            .unwrap()
            .starts_with("Status: Downloaded newer image for ")
    );
    let missing = brig.http(&format!(
        "POST /v1.44/images/create?fromImage={name}&tag=v9 HTTP/1.1\r\nHost: x\r\n\
         Connection: close\r\nContent-Length: 0\r\n\r\n"
    ));
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    let distribution = brig.http(&format!(
        "GET /v1.44/distribution/{name}:v1/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ));
    assert!(
        distribution.contains("\"Platforms\":[{\"architecture\":"),
        "{distribution}"
    );
    brig.finish();
}

/// What a proxy does to long blobs that it passes on.
const PROXIES: [&str; 5] = ["delays", "throttles", "cuts", "corrupts", "is honest"];

/// A proxy in front of a registry that does this by its number in [`PROXIES`].
fn proxy(registry: &Registry, does: Arc<AtomicUsize>) -> Server {
    let upstream = registry.address().to_owned();
    let cut = AtomicUsize::new(0);
    Server::start(move |request| {
        let reply = forward(&upstream, request);
        let mut bytes = reply.bytes().to_vec();
        if !is_layer(request) || bytes.len() < 100_000 {
            return reply;
        }
        let half = bytes.len() / 2;
        match PROXIES[does.load(Ordering::SeqCst)] {
            "delays" => {
                std::thread::sleep(Duration::from_millis(300));
                reply
            }
            "throttles" => reply.body(Body::Slow(bytes, 100_000, 10)),
            "cuts" if cut.fetch_add(1, Ordering::SeqCst) < 2 => reply.body(Body::Cut(bytes, half)),
            "corrupts" => {
                bytes[half] ^= 1;
                reply.body(Body::Whole(bytes))
            }
            _ => reply,
        }
    })
}

#[test]
fn what_proxies_do_is_got_over_or_found() {
    let proxied = RegistrySetup::default().proxied().start();
    let Some(registry) = proxied.filter(|_| root()) else {
        return;
    };
    let does = Arc::new(AtomicUsize::new(0));
    let server = proxy(&registry, does.clone());
    let brig = configured("");
    big(&brig, &format!("{}/big:v1", registry.address()), 2_000_000);
    let name = format!("{}/big:v1", server.address());
    for (number, proxy) in PROXIES.into_iter().enumerate() {
        does.store(number, Ordering::SeqCst);
        let pulled = brig.brig(&["pull", &name]);
        let images = brig.brig(&["images", "-q"]);
        if proxy == "corrupts" {
            // Named, and nothing of it is kept.
            let told = pulled.fails(1);
            assert!(told.contains("sha256:"), "{told}");
            assert_eq!(images.ok(), "", "{proxy}");
        } else {
            pulled.ok();
            assert_eq!(images.lines().len(), 1, "{proxy}");
            brig.brig(&["rmi", &name]).ok();
        }
        brig.brig(&["system", "check"]).ok();
    }
    brig.finish();
}
