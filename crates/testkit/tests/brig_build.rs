//! `brig build`: what its flags say, what it shows, what it leaves.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::{Brig, Client, Output, docker_plugin, kill, processes_naming, root, until};

/// A daemon and a directory to build from.
struct Build {
    brig: Brig,
    context: tempfile::TempDir,
}

impl Build {
    fn start() -> Option<Self> {
        root().then(|| Self {
            brig: Brig::with_image(),
            context: tempfile::tempdir().unwrap(),
        })
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.context.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn dir(&self) -> &str {
        self.context.path().to_str().unwrap()
    }

    /// A place beside the context.
    fn beside(&self, name: &str) -> PathBuf {
        self.brig.root().join(name)
    }

    /// Builds the context, with words between the verb and the directory.
    #[track_caller]
    fn build(&self, args: &[&str]) -> Output {
        let mut all = vec!["build"];
        all.extend(args);
        all.push(self.dir());
        self.brig.brig(&all)
    }

    #[track_caller]
    fn says(&self, image: &str, command: &[&str]) -> String {
        let mut all = vec!["run", "--rm", "--network=none", image];
        all.extend(command);
        self.brig.brig(&all).ok().to_owned()
    }
}

/// How many files of contexts something is written down of.
fn written_down(build: &Build) -> Vec<PathBuf> {
    let entries = fs::read_dir(build.brig.data_root().join("build-files")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "known"))
        .collect()
}

#[test]
fn what_is_known_of_a_context_outlives_the_daemon_and_believes_no_change() {
    let Some(mut build) = Build::start() else {
        return;
    };
    build.write("Dockerfile", "FROM bb\nCOPY in /in\n");
    build.write("in/a", "one");
    build.write("in/b", "b");
    build.build(&["-t", "made"]).ok();
    let cached = |build: &Build| {
        let again = build.build(&["--progress=plain", "-t", "made"]);
        again.ok();
        again.stderr.contains("CACHED")
    };
    until("the context's files are left", || {
        (!written_down(&build).is_empty()).then_some(())
    });
    build.brig.stop_daemon();
    build.brig.start_daemon();
    assert!(cached(&build));
    // Of the same length, while no daemon looks, and after it was killed.
    for (text, kill) in [("two", false), ("six", true)] {
        match kill {
            true => build.brig.kill_daemon(),
            false => build.brig.stop_daemon(),
        }
        build.write("in/a", text);
        build.brig.start_daemon();
        assert!(!cached(&build), "{text}");
        assert_eq!(build.says("made", &["cat", "/in/a"]), text);
        assert!(cached(&build), "{text}");
    }
    // What is written is damaged, or files are others than those it is about.
    build.brig.stop_daemon();
    for path in written_down(&build) {
        fs::write(path, "no such thing").unwrap();
    }
    build.brig.start_daemon();
    assert!(cached(&build));
    build.brig.stop_daemon();
    let files = written_down(&build).into_iter();
    for mut path in files.map(|path| path.with_extension("")) {
        fs::remove_dir_all(&path).unwrap();
        fs::create_dir(&path).unwrap();
        path.push("other");
        fs::write(path, "").unwrap();
    }
    build.brig.start_daemon();
    assert!(cached(&build));
    assert_eq!(build.says("made", &["ls", "/in"]), "a\nb");
    build.brig.finish();
}

#[test]
fn an_image_is_built_and_runs() {
    let Some(build) = Build::start() else { return };
    build.write(
        "Dockerfile",
        "FROM bb AS base\nARG who=nobody\nRUN echo \"hello $who\" >/greeting\n\
         FROM base AS left\nRUN echo before; false\n\
         FROM base\nCOPY a.txt sub/ link /files/\nWORKDIR /files\nENV X=y\nLABEL l=m\nCMD [\"cat\", \"/greeting\"]\n",
    );
    build.write("a.txt", "a");
    build.write("sub/b.txt", "b");
    build.write("skip.me", "never sent");
    build.write("kept.me", "taken back");
    symlink("kept.me", build.context.path().join("link")).unwrap();
    build.write(".dockerignore", "# not these\n*.me\n!kept.me\n");
    let built = build.build(&["-t", "made", "--build-arg", "who=there", "--label", "n=o"]);
    built.ok();
    assert!(
        built.stderr.contains("naming to docker.io/library/made"),
        "{built}"
    );
    assert!(built.stderr.contains("transferring context:"), "{built}");
    assert_eq!(build.says("made", &[]), "hello there");
    assert_eq!(build.says("made", &["ls"]), "a.txt\nb.txt\nlink");
    assert_eq!(build.says("made", &["cat", "link"]), "taken back");
    let shown = build.brig.brig(&["image", "inspect", "made"]).json();
    let config = &shown[0]["Config"];
    assert_eq!(config["WorkingDir"], "/files");
    assert_eq!(config["Labels"]["n"], "o");
    // The same again is there already, by each of its names; another argument is another command.
    for verb in [
        &["image", "build"][..],
        &["builder", "build"],
        &["buildx", "build"],
    ] {
        let mut all = verb.to_vec();
        all.extend([
            "-t",
            "again",
            "-t",
            "other:2",
            "--build-arg",
            "who=there",
            build.dir(),
        ]);
        let again = build.brig.brig(&all);
        again.ok();
        assert!(again.stderr.contains("CACHED"), "{again}");
        assert_eq!(build.says("other:2", &[]), "hello there");
    }
    let other = build.build(&["-q", "--build-arg", "who=you"]);
    assert_eq!(other.stderr, "", "{other}");
    assert!(other.ok().starts_with("sha256:"), "{other}");
    assert_eq!(build.says(other.ok(), &[]), "hello you");
    let target = build.build(&["--target", "left"]);
    assert_eq!(target.code, 1, "{target}");
    for part in [
        " > [left 1/1] RUN echo before; false:\n",
        "before\n------\n",
        ">>> RUN echo before; false",
        "ERROR: failed to build: failed to solve: process \"/bin/sh -c echo before; false\" did not complete successfully: exit code: 1",
    ] {
        assert!(target.stderr.contains(part), "{part}: {target}");
    }
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
    build.write("two", "other");
    let second = build.build(&["-t", "x"]);
    second.ok();
    assert_eq!(build.says("x", &["cat", "/twice", "/two"]), "11other");
    assert_eq!(second.stderr.matches("CACHED").count(), 2, "{second}");
    let fresh = build.build(&["-t", "x", "--no-cache"]);
    assert!(!fresh.stderr.contains("CACHED"), "{fresh}");
    fresh.ok();
    build.brig.finish();
}

/// A context of more files than one thread is left to list, built again and again: whatever was done to it
/// meanwhile is in the next image, and what was done to what is left out is not.
#[test]
fn whatever_has_changed_in_a_context_is_found() {
    let Some(build) = Build::start() else { return };
    for number in 0..600 {
        build.write(&format!("tree/{}/{number}", number % 30), "old");
    }
    build.write(".dockerignore", "tree/out\n");
    build.write("Dockerfile", "FROM bb\nCOPY tree /tree\n");
    let cached = |tag: &str| {
        let output = build.build(&["--progress=plain", "-t", tag]);
        output.ok();
        output.stderr.contains("CACHED")
    };
    let says = |command: &str| build.says("x", &["sh", "-c", command]);
    assert!(!cached("x"));
    // Nothing is told twice, however often.
    assert!(cached("x") && cached("x"));
    let all = says("find /tree | wc -l");
    assert_eq!(all, "631");
    build.write("tree/7/37", "new");
    assert!(!cached("x"));
    assert_eq!(says("cat /tree/7/37 /tree/7/67"), "newold");
    assert!(cached("x"));
    // The same length, another mode only, one file less, a directory more, a link elsewhere.
    let path = |name: &str| build.context.path().join(name);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(path("tree/29/29"), mode).unwrap();
    assert!(!cached("x"));
    assert_eq!(says("stat -c %a /tree/29/29"), "700");
    fs::remove_file(path("tree/0/0")).unwrap();
    fs::create_dir(path("tree/0/0")).unwrap();
    symlink("here", path("tree/link")).unwrap();
    assert!(!cached("x"));
    assert_eq!(says("test -d /tree/0/0 && readlink /tree/link"), "here");
    fs::remove_file(path("tree/link")).unwrap();
    symlink("over", path("tree/link")).unwrap();
    assert!(!cached("x"));
    assert_eq!(says("readlink /tree/link"), "over");
    build.write("tree/out/a", "1");
    assert!(cached("x"));
    // Another list of the same context, and back: what is left out of it is not taken for removed.
    build.write(".dockerignore", "tree/out\ntree/link\n");
    assert!(!cached("x"));
    assert_eq!(says("find /tree -type l"), "");
    build.write(".dockerignore", "tree/out\n");
    assert!(cached("x"));
    assert_eq!(says("readlink /tree/link"), "over");
    // A cache that is emptied takes the files along, and what was said of them.
    build.brig.brig(&["rmi", "-f", "x"]).ok();
    let pruned = build.brig.brig(&["builder", "prune", "-af"]);
    assert!(pruned.ok().contains("build-files"), "{pruned}");
    assert!(!cached("x"));
    assert_eq!(says("cat /tree/7/37"), "new");
    build.brig.finish();
}

#[test]
fn dockerfiles_and_contexts_come_from_everywhere() {
    let Some(build) = Build::start() else { return };
    build.write("other.file", "FROM bb\nCOPY a /a\nCOPY --from=more m /m\n");
    build.write("a", "1");
    build.write("more/m", "2");
    let more = format!("more={}/more", build.dir());
    let file = format!("{}/other.file", build.dir());
    build
        .build(&["-t", "x", "-f", &file, "--build-context", &more])
        .ok();
    assert_eq!(build.says("x", &["cat", "/a", "/m"]), "12");
    // On standard input: the file, the file with a context, and an archive.
    let text = b"FROM bb\nRUN echo in >/in\n";
    let brig = |args: &[&str], input: &[u8]| build.brig.with_input(Client::Brig, args, input);
    brig(&["build", "-t", "y", "-"], text).ok();
    assert_eq!(build.says("y", &["cat", "/in"]), "in");
    brig(
        &["build", "-t", "z", "-f", "-", build.dir()],
        b"FROM bb\nCOPY a /a\n",
    )
    .ok();
    assert_eq!(build.says("z", &["cat", "/a"]), "1");
    let both = brig(&["build", "-f", "-", "-"], text);
    assert!(both.stderr.contains("can't use stdin for both"), "{both}");
    let none = build.brig.brig(&["build", "/no/such"]);
    assert_eq!(none.code, 1);
    assert_eq!(
        none.stderr,
        "ERROR: failed to build: unable to prepare context: path \"/no/such\" not found\n"
    );
    fs::remove_file(build.context.path().join("other.file")).unwrap();
    let no_file = build.build(&[]);
    assert!(
        no_file.stderr.ends_with(
            "ERROR: failed to build: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory\n"
        ),
        "{no_file}"
    );
    build.brig.finish();
}

#[test]
fn secrets_and_agents_are_lent() {
    let Some(build) = Build::start() else { return };
    build.write(
        "Dockerfile",
        "FROM bb\nRUN --mount=type=secret,id=token,required=true cat /run/secrets/token | wc -c >/length\n\
         RUN --mount=type=secret,id=named,env=NAMED test \"$NAMED\" = fromthere\n\
         RUN --mount=type=ssh test -S \"$SSH_AUTH_SOCK\"\n\
         RUN --mount=type=ssh stat -c '%a %u %g' \"$SSH_AUTH_SOCK\" >/agent\n\
         RUN --mount=type=ssh,target=/a,mode=0640,uid=7,gid=8 stat -c '%a %u %g' /a >>/agent\n",
    );
    let secret = build.beside("secret");
    fs::write(&secret, "hush-hush").unwrap();
    let agent = build.beside("agent");
    let listener = UnixListener::bind(&agent).unwrap();
    let token = format!("id=token,src={}", secret.display());
    let ssh = format!("default={}", agent.display());
    let words = [
        "build",
        "-t",
        "x",
        "--secret",
        &token,
        "--secret",
        "id=named",
        "--ssh",
        &ssh,
        build.dir(),
    ];
    let mut command = build.brig.command(Client::Brig, &words);
    command.env("named", "fromthere");
    build.brig.finish_command(&mut command).ok();
    drop(listener);
    assert_eq!(build.says("x", &["cat", "/length"]), "9");
    assert_eq!(build.says("x", &["cat", "/agent"]), "600 0 0\n640 7 8");
    keys_are_lent(&build);
    let missing = build.build(&["--no-cache"]);
    assert_eq!(missing.code, 1, "{missing}");
    assert!(missing.stderr.contains("token"), "{missing}");
    build.brig.finish();
}

/// Keys in files, without an agent of the user's.
#[track_caller]
fn keys_are_lent(build: &Build) {
    let key = build.beside("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIP: OpenSSH's client is not on this machine: no keys in files");
        return;
    }
    let file = "FROM bb\nRUN --mount=type=ssh,id=own test -S \"$SSH_AUTH_SOCK\"\n";
    let file = build.write("Keys", file);
    let file = file.to_str().unwrap();
    let lent = format!("own={0},{0}", key.display());
    build.build(&["-f", file, "--ssh", &lent]).ok();
    let none = build.build(&["-f", file, "--ssh", &format!("own={file}")]);
    assert_eq!(none.code, 1, "{none}");
    assert!(none.stderr.contains("cannot be lent"), "{none}");
}

#[test]
fn results_go_where_they_are_wanted() {
    let Some(build) = Build::start() else { return };
    build.write(
        "Dockerfile",
        "FROM bb AS make\nRUN mkdir /l && ln -s a /l/link\nFROM scratch\nCOPY --chmod=751 a d/ /d/\nCOPY --from=make /l /l\n",
    );
    build.write("a", "1");
    build.write("d/b", "22");
    let out = build.beside("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("stays"), "s").unwrap();
    build.build(&["-o", out.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(out.join("d/a")).unwrap(), "1");
    assert_eq!(fs::read_to_string(out.join("d/b")).unwrap(), "22");
    assert_eq!(fs::read_to_string(out.join("stays")).unwrap(), "s");
    assert_eq!(fs::read_link(out.join("l/link")).unwrap(), Path::new("a"));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(out.join("d/a")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o7777, 0o751);
    // Over what is there already.
    build.write("a", "other");
    build.build(&["-o", out.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(out.join("d/a")).unwrap(), "other");
    // Several at once, one of them on standard output.
    let tar = build.beside("image.tar");
    let archive = format!("type=oci,dest={}", tar.display());
    let stdout = fs::File::create(build.beside("files.tar")).unwrap();
    let words = [
        "build",
        "-t",
        "made:1",
        "-o",
        &archive,
        "-o",
        "-",
        "-o",
        "type=image",
        build.dir(),
    ];
    let status = build
        .brig
        .command(Client::Brig, &words)
        .stdout(stdout)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(list(&tar).contains("index.json"));
    assert!(list(&build.beside("files.tar")).contains("d/a"));
    build.brig.brig(&["image", "inspect", "made:1"]).ok();
    let wrong = build.build(&["-o", "type=nothing"]);
    assert!(
        wrong.stderr.contains("\"nothing\" could not be found"),
        "{wrong}"
    );
    let untold = build.build(&["--push"]);
    assert_eq!(
        untold.stderr,
        "ERROR: failed to build: tag is needed when pushing to registry\n"
    );
    build.brig.finish();
}

fn list(tar: &Path) -> String {
    let output = Command::new("tar").arg("-tf").arg(tar).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_came_of_it_is_written_down() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM bb\nLABEL a=b\n");
    let (id, facts) = (build.beside("id"), build.beside("facts"));
    let words = [
        "-t",
        "x",
        "--iidfile",
        id.to_str().unwrap(),
        "--metadata-file",
        facts.to_str().unwrap(),
    ];
    build.build(&words).ok();
    let shown = build.brig.brig(&["image", "inspect", "-f", "{{.Id}}", "x"]);
    assert_eq!(fs::read_to_string(id).unwrap(), shown.ok().trim());
    let facts: serde_json::Value = serde_json::from_slice(&fs::read(facts).unwrap()).unwrap();
    assert_eq!(facts["containerimage.digest"], shown.ok().trim());
    assert_eq!(facts["image.name"], "x");
    let json = build.build(&["--progress=rawjson", "--no-cache"]);
    json.ok();
    for line in json.stderr.lines() {
        let document: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(document.is_object(), "{line}");
    }
    assert!(json.stderr.contains("\"vertexes\""), "{json}");
    build.brig.finish();
}

#[test]
fn questions_are_answered() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM bb\nCOPI a b\n");
    let parse = build.build(&[]);
    assert_eq!(parse.code, 1);
    assert!(parse.stderr.contains("Dockerfile:2\n"), "{parse}");
    assert!(parse.stderr.contains("   2 | >>> COPI a b\n"), "{parse}");
    build.write("Dockerfile", "FROM bb\nCMD echo hi\n");
    let warned = build.build(&[]);
    assert!(
        warned
            .stderr
            .contains(" 1 warning found (use brig --debug to expand):\n - JSONArgsRecommended"),
        "{warned}"
    );
    let checked = build.build(&["--check"]);
    assert_eq!(checked.code, 1, "{checked}");
    assert!(
        checked
            .stdout
            .starts_with("Check complete, 1 warning has been found!\n"),
        "{checked}"
    );
    assert!(checked.stdout.contains("JSONArgsRecommended"), "{checked}");
    build.write(
        "Dockerfile",
        "# one does one thing\nFROM bb AS one\nARG n=1\nFROM one AS two\n",
    );
    let targets = build.build(&["--call=targets"]);
    assert_eq!(
        targets.ok(),
        "TARGET        DESCRIPTION\none           does one thing\ntwo (default)"
    );
    let outline = build.build(&["--call=outline"]);
    assert!(outline.ok().contains("BUILD ARG"), "{outline}");
    let clean = build.build(&["--check"]);
    assert_eq!(clean.ok(), "Check complete, no warnings found.");
    build.brig.finish();
}

#[test]
fn a_build_that_is_given_up_leaves_nothing() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM bb\nRUN echo begun; sleep 97531\n");
    let child = build
        .brig
        .command(Client::Brig, &["build", "--progress=plain", build.dir()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let sleeps = || {
        processes_naming("97531")
            .iter()
            .any(|process| process.command.starts_with("sleep"))
    };
    until("the command of the build", || sleeps().then_some(()));
    kill("TERM", child.id());
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{said}");
    // What was under way is shown to its end.
    for words in ["CANCELED", "begun", "context canceled"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    until("the end of its command", || (!sleeps()).then_some(()));
    build.brig.expect_nothing_left();
    build.brig.finish();
}

/// What Docker's plugin and `brig` say of the same builds.
#[test]
fn it_says_what_dockers_plugin_says() {
    let Some(build) = Build::start() else { return };
    let Some(plugin) = docker_plugin("buildx") else {
        return;
    };
    let into = build.brig.root().join("home/cli-plugins");
    fs::create_dir_all(&into).unwrap();
    symlink(&plugin, into.join(plugin.file_name().unwrap())).unwrap();
    let files = [
        ("FROM bb\nRUN echo hi; false\n", &[][..]),
        ("FROM bb\nCOPY nowhere /\n", &[]),
        ("FROM bb\nCOPI a b\n", &[]),
        ("FROM bb\n", &["--target=none"]),
        (
            "# a\nFROM bb AS one\nARG n=1\nFROM one AS two\n",
            &["--call=targets"],
        ),
        (
            "# one is it\nFROM bb AS one\nARG n=1\n# x is x\nARG x=y\n",
            &["--call=outline"],
        ),
        ("FROM bb\nCMD echo hi\n", &["--check"]),
        ("FROM bb\n", &["--check"]),
        ("FROM bb\nCMD [\"a\"]\n", &["-q"]),
    ];
    for (file, flags) in files {
        build.write("Dockerfile", file);
        let mut words = vec!["build"];
        words.extend(flags);
        words.push(build.dir());
        let theirs = build.brig.with(Client::Docker28, &words);
        let ours = build.brig.with(Client::Brig, &words);
        assert_eq!(ours.stdout, theirs.stdout, "{words:?} {file}\n{theirs}");
        assert_eq!(ours.code, theirs.code, "{words:?} {file}\n{theirs}");
        if theirs.code != 0 {
            // Of what is shown on the way only the end is the same each time.
            let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
            assert_eq!(
                last(&ours.stderr),
                last(&theirs.stderr),
                "{words:?} {file}\n{theirs}\n{ours}"
            );
        }
    }
    build.brig.finish();
}

#[test]
fn a_name_that_cannot_be_given_is_refused_before_anything_is_built() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM bb\nRUN echo begun >&2\n");
    let expected = "invalid reference format: repository name (library/A) must be lowercase";
    for words in [
        &["-t", "A:b"][..],
        &["-t", "fine", "-o", "type=image,name=A:b"],
    ] {
        let refused = build.build(words);
        assert_eq!(refused.code, 1, "{refused}");
        assert!(refused.stderr.contains(expected), "{refused}");
        assert!(!refused.stderr.contains("begun"), "{refused}");
    }
    assert_eq!(build.brig.brig(&["images", "-q", "fine"]).ok(), "");
    build.brig.finish();
}
