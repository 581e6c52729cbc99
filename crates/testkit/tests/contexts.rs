//! Contexts, completion, the manual's pages, and daemons that are reached through programs.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::process::Command;

use testkit::{Brig, Client, Output, Terminal, root};

/// A client that is told of no daemon but by the words.
fn plain(brig: &Brig, client: Client, words: &[&str]) -> Command {
    let mut command = brig.command(client, words);
    command.env_remove("BRIG_HOST").env_remove("DOCKER_HOST");
    command
}

fn asked(brig: &Brig, client: Client, words: &[&str]) -> Output {
    brig.finish_command(&mut plain(brig, client, words))
}

#[test]
fn both_clients_have_the_same_contexts() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let host = format!("host={}", brig.host());
    let made = asked(
        &brig,
        Client::Brig,
        &[
            "context",
            "create",
            "mine",
            "--description",
            "d",
            "--docker",
            &host,
        ],
    );
    assert_eq!(made.ok(), "mine");
    assert_eq!(made.stderr, "Successfully created context \"mine\"\n");
    let ours = asked(&brig, Client::Brig, &["--context", "mine", "images", "-q"]);
    assert_ne!(ours.ok(), "");
    if Client::Docker28.program().is_some() {
        let theirs = asked(
            &brig,
            Client::Docker28,
            &["--context", "mine", "images", "-q"],
        );
        assert_eq!(theirs.ok(), ours.ok());
        asked(
            &brig,
            Client::Docker28,
            &["context", "create", "theirs", "--docker", &host],
        )
        .ok();
        asked(&brig, Client::Docker28, &["context", "use", "theirs"]).ok();
        for words in [
            &["context", "show"][..],
            &["context", "inspect", "mine"],
            &["context", "ls", "-q"],
        ] {
            let (a, b) = (
                asked(&brig, Client::Brig, words),
                asked(&brig, Client::Docker28, words),
            );
            assert_eq!(a.ok(), b.ok());
        }
    }
    asked(&brig, Client::Brig, &["context", "use", "mine"]).ok();
    asked(&brig, Client::Brig, &["images", "-q"]).ok();
    let in_use = asked(&brig, Client::Brig, &["context", "rm", "mine"]);
    assert_eq!(
        in_use.fails(1),
        "context \"mine\" is in use, set -f flag to force remove"
    );
    let file = brig.root().join("mine.tar");
    let file = file.to_str().unwrap();
    asked(&brig, Client::Brig, &["context", "export", "mine", file]).ok();
    asked(&brig, Client::Brig, &["context", "import", "copy", file]).ok();
    let shown = [
        "context",
        "inspect",
        "-f",
        "{{.Endpoints.docker.Host}}",
        "copy",
    ];
    assert_eq!(asked(&brig, Client::Brig, &shown).ok(), brig.host());
    let mut named = plain(&brig, Client::Brig, &["images", "-q"]);
    named.env("DOCKER_CONTEXT", "copy");
    brig.finish_command(&mut named).ok();
    let missing = asked(&brig, Client::Brig, &["-c", "nosuch", "ps"]);
    assert!(
        missing.fails(1).starts_with(
            "Failed to initialize: unable to resolve docker endpoint: context \"nosuch\": context not found"
        ),
        "{missing}"
    );
    brig.finish();
}

#[test]
fn a_daemon_behind_ssh_is_a_daemon_like_others() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    // What ssh(1) does with its last word, on this machine.
    let bin = brig.root().join("bin");
    fs::create_dir(&bin).unwrap();
    let ssh = bin.join("ssh");
    let script = "#!/bin/sh\nfor word; do last=$word; done\nexec sh -c \"$last\"\n";
    let made = Command::new("sh")
        .args([
            "-c",
            "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"",
            "sh",
            script,
        ])
        .arg(&ssh)
        .status()
        .unwrap();
    assert!(made.success());
    let ours = Client::Brig.program().unwrap();
    std::os::unix::fs::symlink(&ours, bin.join("brig")).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let host = format!("ssh://somebody@there{}", brig.socket().display());
    let far = |words: &[&str]| {
        let mut all = vec!["-H", &host];
        all.extend(words);
        let mut command = plain(&brig, Client::Brig, &all);
        command.env("PATH", &path);
        brig.finish_command(&mut command)
    };
    assert_eq!(far(&["run", "--rm", "bb", "echo", "far"]).ok(), "far");
    far(&["run", "-d", "--name", "web", "bb", "sleep", "1000"]).ok();
    assert_eq!(far(&["exec", "web", "echo", "in"]).ok(), "in");
    far(&["rm", "-f", "web"]).ok();
    let context = tempfile::tempdir().unwrap();
    fs::write(context.path().join("Dockerfile"), "FROM bb\nRUN true\n").unwrap();
    far(&["build", "-q", context.path().to_str().unwrap()]).ok();
    brig.finish();
}

#[test]
fn words_are_completed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["create", "--name", "waiting", "bb", "true"])
        .ok();
    brig.brig(&["network", "create", "netto"]).ok();
    brig.brig(&["volume", "create", "volt"]).ok();
    let complete = |words: &[&str]| {
        let mut all = vec!["__complete"];
        all.extend(words);
        brig.brig(&all).ok().to_owned()
    };
    assert_eq!(complete(&["start", "wai"]), "waiting");
    assert_eq!(complete(&["stop", "wai"]), "");
    assert_eq!(complete(&["run", "--network", "net"]), "netto");
    assert_eq!(complete(&["volume", "rm", "v"]), "volt");
    assert_eq!(complete(&["run", "b"]), "bb\nbb:latest");
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            brig.brig(&["completion", shell])
                .ok()
                .contains("__complete")
        );
    }
    let script = brig.root().join("brig.bash");
    fs::write(&script, brig.brig(&["completion", "bash"]).stdout).unwrap();
    let program = Client::Brig.program().unwrap();
    let line = format!(
        ". {}; COMP_WORDS=({} start wai); COMP_CWORD=2; _brig; echo \"${{COMPREPLY[*]}}\"",
        script.display(),
        program.display()
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &line]).env("BRIG_HOST", brig.host());
    assert_eq!(brig.finish_command(&mut bash).ok(), "waiting");
    let pages = brig.root().join("man");
    brig.brig(&["man", pages.to_str().unwrap()]).ok();
    let page = fs::read_to_string(pages.join("brig-container-run.1")).unwrap();
    assert!(page.starts_with(".TH \"BRIG-CONTAINER-RUN\"") && page.contains("\\fB\\-\\-name\\fR"));
    brig.brig(&["rm", "waiting"]).ok();
    brig.finish();
}

#[test]
fn all_containers_are_seen_at_once() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let command = [
        "run",
        "-d",
        "--name",
        "webby",
        "bb",
        "sh",
        "-c",
        "echo greetings; exec sleep 1000",
    ];
    brig.brig(&command).ok();
    let mut terminal = Terminal::start(&mut brig.command(Client::Brig, &["top"]));
    terminal.expect("webby");
    // Wide enough for all columns, now that the command is there.
    terminal.resize(24, 120);
    terminal.type_in("l");
    terminal.expect("greetings");
    terminal.type_in("k");
    terminal.expect("webby killed");
    terminal.expect("Exited (137)");
    terminal.type_in("q");
    assert_eq!(terminal.wait(), 0);
    brig.brig(&["rm", "webby"]).ok();
    brig.finish();
}
