//! `docker build` by the real plugin: BuildKit's protocols on the daemon's socket.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::registry::Registry;
use testkit::{Brig, Build, Client, kill, processes_naming, root, until};

#[test]
fn an_image_is_built_by_the_plugin_and_runs() {
    let Some(build) = Build::start() else { return };
    build.write(
        "Dockerfile",
        "FROM bb AS base\nARG who=nobody\nRUN echo \"hello $who\" >/greeting\n\
         FROM base AS left\nRUN false\n\
         FROM base\nCOPY a.txt sub/ /files/\nWORKDIR /files\nENV X=y\nLABEL l=m\nCMD [\"cat\", \"/greeting\"]\n",
    );
    build.write("a.txt", "a");
    build.write("sub/b.txt", "b");
    build.write("skip.me", "never sent");
    build.write(".dockerignore", "*.me\n");
    let built = build.build(&["-t", "made", "--build-arg", "who=there", "--label", "n=o"]);
    built.ok();
    assert!(
        built.stderr.contains("naming to docker.io/library/made"),
        "{built}"
    );
    assert_eq!(build.says("made", &[]), "hello there");
    assert_eq!(build.says("made", &["ls"]), "a.txt\nb.txt");
    let shown = build.docker(&["image", "inspect", "made"]).json();
    let config = &shown[0]["Config"];
    assert_eq!(config["WorkingDir"], "/files");
    assert_eq!(config["Labels"]["l"], "m");
    assert_eq!(config["Labels"]["n"], "o");
    // The same again is there already; another argument is another command.
    let again = build.build(&["-t", "again", "--build-arg", "who=there"]);
    again.ok();
    assert!(again.stderr.contains("CACHED"), "{again}");
    let other = build.build(&["-q", "--build-arg", "who=you"]);
    assert_eq!(build.says(other.ok(), &[]), "hello you");
    let target = build.build(&["--target", "left"]);
    assert_ne!(target.code, 0);
    assert!(
        target
            .stderr
            .contains("did not complete successfully: exit code: 1"),
        "{target}"
    );
    assert!(target.stderr.contains(">>> RUN false"), "{target}");
    build.brig.finish();
}

#[test]
fn only_what_has_changed_is_built_again() {
    let Some(build) = Build::start() else { return };
    build.write(
        "Dockerfile",
        "FROM bb\nCOPY one /one\nRUN cat /one /one >/twice\nCOPY two /two\n",
    );
    build.write("one", "1");
    build.write("two", "2");
    build.build(&["-t", "x"]).ok();
    assert_eq!(build.says("x", &["cat", "/twice", "/two"]), "112");
    build.write("two", "other");
    let second = build.build(&["-t", "x"]);
    second.ok();
    assert_eq!(build.says("x", &["cat", "/twice", "/two"]), "11other");
    let cached = second.stderr.matches("CACHED").count();
    assert_eq!(cached, 2, "{second}");
    let fresh = build.build(&["-t", "x", "--no-cache"]);
    fresh.ok();
    assert!(!fresh.stderr.contains("CACHED"), "{fresh}");
    build.brig.finish();
}

#[test]
fn secrets_and_agents_are_lent() {
    let Some(build) = Build::start() else { return };
    build.write(
        "Dockerfile",
        "FROM bb\nRUN --mount=type=secret,id=token,required=true cat /run/secrets/token | wc -c >/length\n\
         RUN --mount=type=secret,id=named,env=NAMED test \"$NAMED\" = fromthere\n\
         RUN --mount=type=ssh test -S \"$SSH_AUTH_SOCK\"\n",
    );
    let secret = build.beside("secret");
    fs::write(&secret, "hush-hush").unwrap();
    let agent = build.beside("agent");
    let listener = UnixListener::bind(&agent).unwrap();
    let token = format!("id=token,src={}", secret.display());
    let ssh = format!("default={}", agent.display());
    let mut command = build.brig.command(
        Client::Docker28,
        &[
            "build",
            "--progress=plain",
            "-t",
            "x",
            "--secret",
            &token,
            "--secret",
            "id=named",
            "--ssh",
            &ssh,
            build.dir(),
        ],
    );
    command.env("named", "fromthere");
    build.brig.finish_command(&mut command).ok();
    drop(listener);
    assert_eq!(build.says("x", &["cat", "/length"]), "9");
    let found = build.says(
        "x",
        &[
            "find", "/", "-xdev", "-name", "token", "-o", "-name", "*agent*",
        ],
    );
    assert_eq!(found, "", "of what was lent something is left");
    let missing = build.build(&["--no-cache"]);
    assert_ne!(missing.code, 0, "{missing}");
    assert!(missing.stderr.contains("token"), "{missing}");
    build.brig.finish();
}

#[test]
fn results_go_where_they_are_wanted() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM scratch\nCOPY --chmod=751 a d/ /d/\n");
    build.write("a", "1");
    build.write("d/b", "22");
    let out = build.beside("out");
    build
        .build(&["-o", &format!("type=local,dest={}", out.display())])
        .ok();
    assert_eq!(fs::read_to_string(out.join("d/a")).unwrap(), "1");
    assert_eq!(fs::read_to_string(out.join("d/b")).unwrap(), "22");
    let tar = build.beside("files.tar");
    build
        .build(&["-o", &format!("type=tar,dest={}", tar.display())])
        .ok();
    let listed = list(&tar);
    assert!(listed.contains("d/a") && listed.contains("d/b"), "{listed}");
    build.docker(&["tag", "bb", "outer:1"]).ok();
    let id = |name: &str| {
        build
            .docker(&["image", "inspect", "-f", "{{.Id}}", name])
            .ok()
            .to_owned()
    };
    for kind in ["oci", "docker"] {
        let tar = build.beside(&format!("{kind}.tar"));
        let output = format!("type={kind},dest={}", tar.display());
        build.build(&["-t", "outer:1", "-o", &output]).ok();
        let listed = list(&tar);
        assert!(listed.contains("index.json"), "{listed}");
        assert!(listed.contains("manifest.json"), "{listed}");
        assert_eq!(id("outer:1"), id("bb"), "an archive takes nobody's name");
        let dangling = build.docker(&["images", "-q", "--filter", "dangling=true"]);
        assert_eq!(dangling.ok(), "", "an archive leaves no image");
        build.docker(&["rmi", "-f", "outer:1"]).ok();
        let loaded = build.docker(&["load", "-i", tar.to_str().unwrap()]);
        assert!(loaded.ok().contains("outer:1"), "{loaded}");
        build.docker(&["rmi", "-f", "outer:1"]).ok();
        build.docker(&["tag", "bb", "outer:1"]).ok();
    }
    let refused = build.build(&["-o", "type=oci,dest=/dev/null,compression=estargz"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(refused.stderr.contains("estargz"), "{refused}");
    build.brig.finish();
}

fn list(tar: &Path) -> String {
    let output = Command::new("tar").arg("-tf").arg(tar).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_wrong_is_shown_in_the_file() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM bb\nCOPI a b\n");
    let parse = build.build(&[]);
    assert_ne!(parse.code, 0);
    assert!(parse.stderr.contains("Dockerfile:2"), "{parse}");
    assert!(parse.stderr.contains(">>> COPI a b"), "{parse}");
    build.write("Dockerfile", "FROM bb\nCOPY nowhere /\n");
    let missing = build.build(&[]);
    assert_ne!(missing.code, 0);
    assert!(missing.stderr.contains(">>> COPY nowhere /"), "{missing}");
    build.write("Dockerfile", "FROM bb\nCMD echo hi\n");
    let warned = build.build(&["-q"]);
    warned.ok();
    let warned = build.build(&[]);
    assert!(warned.stderr.contains("JSONArgsRecommended"), "{warned}");
    let checked = build.build(&["--check"]);
    assert_eq!(checked.code, 1, "{checked}");
    assert!(checked.stdout.contains("JSONArgsRecommended"), "{checked}");
    build.write(
        "Dockerfile",
        "# one does one thing\nFROM bb AS one\nARG n=1\nFROM one AS two\n",
    );
    let targets = build.build(&["--call=targets"]);
    assert!(targets.ok().contains("one"), "{targets}");
    assert!(targets.stdout.contains("does one thing"), "{targets}");
    let outline = build.build(&["--call=outline"]);
    assert!(outline.ok().contains("n "), "{outline}");
    build.brig.finish();
}

#[test]
fn a_build_that_is_given_up_leaves_nothing() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM bb\nRUN echo begun; sleep 98765\n");
    let mut child = build
        .brig
        .command(
            Client::Docker28,
            &["build", "--progress=plain", build.dir()],
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the command of the build", || {
        processes_naming("98765")
            .iter()
            .any(|process| process.command.contains("sleep"))
            .then_some(())
    });
    kill("TERM", child.id());
    let status = child.wait().unwrap();
    assert!(!status.success());
    until("the end of its command", || {
        (!processes_naming("sleep 98765")
            .iter()
            .any(|process| process.command.starts_with("sleep")))
        .then_some(())
    });
    build.brig.expect_nothing_left();
    // One whose client is killed is given up, too.
    let mut child = build
        .brig
        .command(
            Client::Docker28,
            &["build", "--progress=plain", build.dir()],
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the command of the build", || {
        processes_naming("98765")
            .iter()
            .any(|process| process.command.starts_with("sleep"))
            .then_some(())
    });
    for process in processes_naming(build.dir()) {
        kill("KILL", process.pid);
    }
    child.wait().unwrap();
    build.brig.expect_nothing_left();
    build.brig.finish();
}

#[test]
fn the_plugin_knows_its_builder() {
    let Some(build) = Build::start() else { return };
    let inspected = build.docker(&["buildx", "inspect"]);
    assert!(inspected.ok().contains("Driver:"), "{inspected}");
    assert!(inspected.stdout.contains("linux/"), "{inspected}");
    build.write("Dockerfile", "FROM bb\nRUN echo x >/x\nCOPY Dockerfile /\n");
    build.build(&["-t", "x"]).ok();
    let history = build.docker(&["buildx", "history", "ls"]);
    assert!(history.ok().contains("Completed"), "{history}");
    let used = build.docker(&["buildx", "du"]);
    assert!(used.ok().contains("Total:"), "{used}");
    build.docker(&["rmi", "x"]).ok();
    let pruned = build.docker(&["builder", "prune", "-af"]);
    assert!(pruned.ok().contains("Total:"), "{pruned}");
    let again = build.build(&["-t", "x"]);
    again.ok();
    assert!(!again.stderr.contains("CACHED"), "{again}");
    build.brig.finish();
}

#[test]
fn compose_builds() {
    let Some(build) = Build::start() else { return };
    build.write(
        "compose.yaml",
        "name: shop\nservices:\n  web:\n    image: web:1\n    build:\n      context: web\n      args: {who: compose}\n  \
         db:\n    build: {dockerfile_inline: \"FROM bb\\nRUN echo db >/what\"}\n",
    );
    build.write("web/Dockerfile", "FROM bb\nARG who\nRUN echo $who >/what\n");
    let file = build.context.path().join("compose.yaml");
    let built = build.docker(&["compose", "-f", file.to_str().unwrap(), "build"]);
    built.ok();
    assert_eq!(build.says("web:1", &["cat", "/what"]), "compose");
    assert_eq!(build.says("shop-db", &["cat", "/what"]), "db");
    build.brig.finish();
}

#[test]
fn an_image_is_pushed_when_it_is_built() {
    let Some(build) = Build::start() else { return };
    let Some(registry) = Registry::start() else {
        return;
    };
    build.write("Dockerfile", "FROM bb\nRUN echo pushed >/x\n");
    let name = format!("{}/made:1", registry.address());
    build.build(&["--push", "-t", &name]).ok();
    build.docker(&["rmi", &name]).ok();
    build.docker(&["pull", &name]).ok();
    assert_eq!(build.says(&name, &["cat", "/x"]), "pushed");
    build.write(
        "Dockerfile",
        &format!("FROM {name}\nCOPY --from={name} /x /y\n"),
    );
    build.docker(&["rmi", &name]).ok();
    build.build(&["-t", "based"]).ok();
    assert_eq!(build.says("based", &["cat", "/y"]), "pushed");
    build.brig.finish();
}

/// Everything that is no HTTP/2 gets a sentence, and the daemon goes on.
#[test]
fn strangers_are_refused() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let plain = brig.http("POST /grpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(plain.contains("400"), "{plain}");
    assert!(plain.contains("Upgrade: h2c"), "{plain}");
    let upgrade = "Connection: Upgrade, close\r\nUpgrade: h2c\r\n";
    let nameless = brig.http(&format!(
        "POST /session HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n"
    ));
    assert!(nameless.contains("has no name"), "{nameless}");
    for path in ["grpc", "session"] {
        let mut stream = UnixStream::connect(brig.socket()).unwrap();
        let head = format!(
            "POST /{path} HTTP/1.1\r\nHost: x\r\nX-Docker-Expose-Session-Uuid: s\r\n{upgrade}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&[0xff; 4096]).unwrap();
        let mut answer = Vec::new();
        // It may end by a reset, as what was sent is not read.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{answer:?}");
    }
    brig.brig(&["version"]).ok();
    brig.finish();
}
