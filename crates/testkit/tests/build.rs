//! Builds by the classic API: Docker's own client, docker-py, and requests as they are on the wire.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]
#![allow(
    clippy::disallowed_methods,
    reason = "files of a test need not survive a crash"
)]

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use testkit::{Brig, Client, Output, docker_py, root, until};

/// Docker's client without BuildKit, if this machine has it.
fn classic() -> Option<Client> {
    if !root() {
        return None;
    }
    if Client::Docker20.program().is_none() {
        eprintln!("SKIP: docker 20.10 is not on this machine (scripts/setup.sh test)");
        return None;
    }
    Some(Client::Docker20)
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn context(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), files);
    dir
}

fn build(brig: &Brig, client: Client, dir: &Path, more: &[&str]) -> Output {
    let mut words = vec!["build"];
    words.extend(more);
    words.push(dir.to_str().unwrap());
    let mut command = brig.command(client, &words);
    command.env("DOCKER_BUILDKIT", "0");
    brig.finish_command(&mut command)
}

fn image_id(brig: &Brig, name: &str) -> String {
    let output = brig.brig(&["image", "inspect", "--format", "{{.Id}}", name]);
    output.ok().trim().to_owned()
}

/// Steps leave neither a run directory nor a file that is being written.
#[track_caller]
fn nothing_of_a_step(brig: &Brig) {
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect()
    };
    let (run, tmp) = (
        brig.run_root().join("containers"),
        brig.data_root().join("tmp"),
    );
    until("the end of what a step had", || {
        (names(&run).is_empty() && names(&tmp).is_empty()).then_some(())
    });
}

const INSTRUCTIONS: &str = r#"ARG base=bb
FROM ${base} AS first
MAINTAINER somebody
SHELL ["/bin/sh", "-e", "-c"]
ARG who=nobody
ENV GREETING="hello $who" OTHER=o
LABEL kind=test "with space"="a b"
WORKDIR /srv
WORKDIR app
RUN echo "$GREETING" > said && pwd > where
RUN ["/bin/sh", "-c", "echo exec > form"]
RUN <<EOT
  echo one > doc
  echo two >> doc
EOT
COPY --chown=7:8 --chmod=640 data/a.txt /copied/
COPY data/*.txt data/sub /many/
COPY <<EOT /inline
text of $who
EOT
ADD archive.tar /unpacked/
RUN --mount=type=tmpfs,target=/mnt/t --network=none \
    --mount=type=bind,source=data,target=/mnt/b cat /mnt/b/a.txt > /bound && test ! -e /mnt/b/none
RUN --mount=type=cache,target=/cache echo kept >> /cache/list
RUN --mount=type=cache,target=/cache cp /cache/list /from-cache
USER 9:10
RUN id -u > /tmp/uid
FROM bb
COPY --from=first / /first
COPY --link data/a.txt /linked
EXPOSE 80 53/udp
VOLUME /data
ENTRYPOINT ["/bin/cat"]
CMD ["/linked"]
HEALTHCHECK --interval=5s CMD true
STOPSIGNAL SIGINT
ONBUILD RUN echo triggered > /triggered
"#;

#[test]
fn every_instruction_does_what_it_says() {
    let Some(client) = classic() else { return };
    let brig = Brig::with_image();
    let dir = context(&[
        ("Dockerfile", INSTRUCTIONS),
        ("data/a.txt", "a\n"),
        ("data/b.txt", "b\n"),
        ("data/none", "left out\n"),
        ("data/sub/c", "c\n"),
        (".dockerignore", "data/none\n"),
        ("inner/deep", "deep\n"),
    ]);
    let archive = std::process::Command::new("tar")
        .args(["-cf", "archive.tar", "inner"])
        .current_dir(dir.path())
        .status();
    assert!(archive.unwrap().success());
    let output = build(
        &brig,
        client,
        dir.path(),
        &["-t", "all", "--build-arg", "who=you"],
    );
    let text = output.ok();
    assert!(
        text.contains("Step 1/") && text.contains("Successfully tagged all:latest"),
        "{text}"
    );
    let script = "cd /first; cat srv/app/said srv/app/where srv/app/form srv/app/doc inline bound \
                  from-cache tmp/uid unpacked/inner/deep; stat -c '%n %a %u:%g' copied/a.txt; \
                  ls many; ls /first/mnt /first/cache 2>&1 | wc -l";
    let run = brig.brig(&["run", "--rm", "--entrypoint", "sh", "all", "-c", script]);
    let expected = "hello you\n/srv/app\nexec\none\ntwo\ntext of you\na\nkept\n9\ndeep\n\
                    copied/a.txt 640 7:8\na.txt\nb.txt\nc\n";
    assert!(run.ok().starts_with(expected), "{}", run.ok());
    assert_eq!(brig.brig(&["run", "--rm", "all"]).ok(), "a");
    let config = &brig.brig(&["image", "inspect", "all"]).json()[0]["Config"];
    assert_eq!(
        config["ExposedPorts"],
        serde_json::json!({"53/udp": {}, "80/tcp": {}})
    );
    assert_eq!(config["StopSignal"], "SIGINT");
    assert_eq!(config["Volumes"], serde_json::json!({"/data": {}}));
    let derived = context(&[("Dockerfile", "FROM all\nRUN cat /triggered > /again\n")]);
    build(&brig, client, derived.path(), &["-t", "derived"]).ok();
    let run = brig.brig(&["run", "--rm", "derived", "/again"]);
    assert_eq!(run.ok(), "triggered");
    nothing_of_a_step(&brig);
    brig.finish();
}

#[test]
fn what_has_not_changed_comes_from_the_cache() {
    let Some(client) = classic() else { return };
    let mut brig = Brig::with_image();
    let file = "FROM bb\nRUN echo 1 > /one\nCOPY f /f\nRUN cat /f > /two\n";
    let dir = context(&[("Dockerfile", file), ("f", "first")]);
    let hits = |output: &Output| output.ok().matches("Using cache").count();
    assert_eq!(hits(&build(&brig, client, dir.path(), &["-t", "a"])), 0);
    let id = image_id(&brig, "a");
    // Other times and another directory are the same files; a restart and a crash change nothing.
    brig.kill_daemon();
    brig.start_daemon();
    let again = context(&[("Dockerfile", file), ("f", "first")]);
    assert_eq!(hits(&build(&brig, client, again.path(), &["-t", "b"])), 3);
    assert_eq!(image_id(&brig, "b"), id);
    write(dir.path(), &[("f", "second")]);
    assert_eq!(hits(&build(&brig, client, dir.path(), &["-t", "c"])), 1);
    assert_eq!(
        brig.brig(&["run", "--rm", "c", "cat", "/two"]).ok(),
        "second"
    );
    assert_eq!(hits(&build(&brig, client, dir.path(), &["--no-cache"])), 0);
    let usage = brig.with(
        client,
        &["system", "df", "--format", "{{.Type}} {{.TotalCount}}"],
    );
    assert!(usage.ok().contains("Build Cache"), "{}", usage.ok());
    let pruned = brig.with(client, &["builder", "prune", "--all", "--force"]);
    assert!(pruned.ok().contains("Total"), "{}", pruned.ok());
    assert_eq!(hits(&build(&brig, client, dir.path(), &[])), 0);
    assert_eq!(
        brig.brig(&["run", "--rm", "c", "cat", "/two"]).ok(),
        "second"
    );
    brig.finish();
}

#[test]
fn a_dockerfile_comes_by_itself_and_arguments_that_nothing_asks_for_are_told() {
    let Some(client) = classic() else { return };
    let brig = Brig::with_image();
    // The client puts the file into its archive, which then ends with the bytes of the last one.
    for files in [
        &[("f", "there")][..],
        &[("f", "there"), (".dockerignore", "left\n"), ("left", "out")],
    ] {
        let dir = context(files);
        let words = ["build", "-t", "piped", "--build-arg", "a=1"];
        let more = ["--build-arg", "b=2", "--build-arg", "c=3", "-f", "-"];
        // This one has no value: the environment of the client has none for it.
        let mut words = [&words[..], &more, &["--build-arg", "unset_here"]].concat();
        words.push(dir.path().to_str().unwrap());
        let file = brig.root().join("piped");
        fs::write(&file, "FROM bb\nARG b\nCOPY . /d/\nRUN ls /d\n").unwrap();
        let mut command = brig.command(client, &words);
        command.env("DOCKER_BUILDKIT", "0");
        command.stdin(fs::File::open(&file).unwrap());
        let built = brig.finish_command(&mut command);
        let text = built.ok();
        let warned = "[Warning] One or more build-args [a c unset_here] were not consumed\n";
        assert!(text.contains(warned), "{text}");
        let listed = brig.brig(&["run", "--rm", "--network=none", "piped", "ls", "/d"]);
        assert_eq!(listed.ok(), "f");
    }
    brig.finish();
}

#[test]
fn directories_are_made_where_links_lead() {
    let Some(client) = classic() else { return };
    let brig = Brig::with_image();
    let file = "FROM bb\nRUN ln -s /../../made/by /link && ln -s sub/x /made-rel && ln -s /tree /t\n\
                COPY f /link/\nCOPY f /made-rel/in/f\nWORKDIR /t/work\nCOPY d /t2\nRUN ln -s /far/away /t3\n\
                COPY d /t3\n";
    let dir = context(&[("Dockerfile", file), ("f", "f"), ("d/g", "g")]);
    build(&brig, client, dir.path(), &["-t", "led"]).ok();
    let says = |words: &[&str]| {
        let all = [&["run", "--rm", "--network=none", "led"], words].concat();
        brig.brig(&all).ok().to_owned()
    };
    let files = [
        "/made/by/f",
        "/sub/x/in/f",
        "/tree/work",
        "/t2/g",
        "/far/away/g",
    ];
    assert_eq!(says(&[&["ls", "-d"][..], &files].concat()), {
        let mut files = files;
        files.sort_unstable();
        files.join("\n")
    });
    assert_eq!(says(&["readlink", "/t3"]), "/far/away");
    // One that leads to itself leads nowhere.
    write(
        dir.path(),
        &[(
            "Dockerfile",
            "FROM bb\nRUN ln -s a /b && ln -s b /a\nCOPY f /a/\n",
        )],
    );
    let failed = build(&brig, client, dir.path(), &[]);
    assert_ne!(failed.code, 0, "{failed}");
    brig.finish();
}

#[test]
fn what_fails_is_said_with_its_place_and_leaves_nothing() {
    let Some(client) = classic() else { return };
    let brig = Brig::with_image();
    for (file, expected) in [
        ("FROM bb\nRUN exit 3\n", "returned a non-zero code: 3"),
        ("FROM bb\nCOPY none /\n", "\"/none\": not found"),
        (
            "FROM bb\nRUNN x\n",
            "dockerfile parse error on line 2: unknown instruction: RUNN",
        ),
        ("FROM bb\nCOPY --chown=who f /\n", "unable to find user who"),
        (
            "FROM bb\nRUN --network=host true\n",
            "network.host is not allowed",
        ),
        (
            "FROM bb\nRUN --security=insecure true\n",
            "security.insecure is not allowed",
        ),
    ] {
        let dir = context(&[("Dockerfile", file), ("f", "")]);
        let output = build(&brig, client, dir.path(), &[]);
        assert!(output.code != 0, "{file}");
        assert!(
            output.stderr.contains(expected),
            "{file}: {}",
            output.stderr
        );
        assert!(output.stderr.contains(">>>"), "{file}: {}", output.stderr);
    }
    let dir = context(&[("Dockerfile", "FROM bb\nRUN true\n")]);
    let nowhere = build(&brig, client, dir.path(), &["--network", "some"]);
    assert!(
        nowhere.stderr.contains("network some not found"),
        "{}",
        nowhere.stderr
    );
    nothing_of_a_step(&brig);
    brig.finish();
}

/// A build whose command never ends, and which has begun.
fn endless(brig: &Brig, client: Client, dir: &Path) -> Child {
    let words = ["build", "-t", "never", dir.to_str().unwrap()];
    let mut command = brig.command(client, &words);
    command.env("DOCKER_BUILDKIT", "0").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let run = brig.run_root().join("containers");
    until("a step that runs", || {
        let mut entries = fs::read_dir(&run).into_iter().flatten().flatten();
        entries
            .any(|e| e.path().join("shim.sock").exists())
            .then_some(())
    });
    child
}

#[test]
fn who_goes_away_or_crashes_leaves_nothing_of_a_build() {
    let Some(client) = classic() else { return };
    let mut brig = Brig::with_image();
    let file = "FROM bb\nRUN echo done > /done\nRUN sleep 100000\n";
    let dir = context(&[("Dockerfile", file)]);
    let ready = context(&[("Dockerfile", "FROM bb\nRUN echo done > /done\n")]);
    build(&brig, client, ready.path(), &[]).ok();
    let mut child = endless(&brig, client, dir.path());
    child.kill().unwrap();
    child.wait().unwrap();
    nothing_of_a_step(&brig);
    let mut child = endless(&brig, client, dir.path());
    brig.kill_daemon();
    child.wait().unwrap();
    brig.start_daemon();
    nothing_of_a_step(&brig);
    let again = build(&brig, client, ready.path(), &[]);
    assert!(again.ok().contains("Using cache"), "{}", again.ok());
    brig.finish();
}

/// Sends a build whose Dockerfile stands in the request, and no file.
fn wire(brig: &Brig, dockerfile: &str, headers: &str) -> String {
    let encoded: String = dockerfile
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    let body = "\0".repeat(1024);
    brig.http(&format!(
        "POST /build?t=wire&dockerfileinline={encoded} HTTP/1.1\r\nHost: d\r\n{headers}\
         Content-Type: application/x-tar\r\nContent-Length: 1024\r\nConnection: close\r\n\r\n{body}"
    ))
}

#[test]
fn a_secret_is_in_no_layer_no_cache_and_no_log() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    // {"key":"dmVyeS1zZWNyZXQ="}, which is very-secret
    let header = "X-Brig-Secrets: eyJrZXkiOiJkbVZ5ZVMxelpXTnlaWFE9In0=\r\n";
    let file = "FROM bb\nRUN --mount=type=secret,id=key wc -c < /run/secrets/key > /length\n\
                RUN --mount=type=secret,id=key,env=KEY test \"$KEY\" = \"$(printf 'very-%s' secret)\"\n";
    let answer = wire(&brig, file, header);
    assert!(
        answer.contains("Successfully tagged wire:latest"),
        "{answer}"
    );
    assert_eq!(
        brig.brig(&["run", "--rm", "wire", "cat", "/length"]).ok(),
        "11"
    );
    let show = brig.brig(&["run", "--rm", "wire", "ls", "/run"]);
    assert!(show.code != 0 || show.ok().is_empty(), "{}", show.stdout);
    nothing_of_a_step(&brig);
    let found = std::process::Command::new("grep")
        .args(["-rla", "very-secret"])
        .arg(brig.root())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let missing = wire(
        &brig,
        "FROM bb\nRUN --mount=type=secret,id=no,required true\n",
        "",
    );
    assert!(missing.contains("secret no: not found"), "{missing}");
    brig.finish();
}

/// CVE-2024-23651: a mount's source must not lead out of what it is in.
#[test]
fn a_mount_of_a_part_leads_nowhere_else() {
    let Some(client) = classic() else { return };
    let brig = Brig::with_image();
    let outside = context(&[("guarded", "outside")]);
    let file = "FROM bb\nRUN --mount=type=bind,source=link,target=/m cat /m/guarded\n";
    let dir = context(&[("Dockerfile", file)]);
    std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
    let output = build(&brig, client, dir.path(), &[]);
    assert!(
        output.code != 0 && !output.stdout.contains("outside"),
        "{}",
        output.stdout
    );
    nothing_of_a_step(&brig);
    brig.finish();
}

/// CVE-2024-23652: places for mounts are taken away in the layer, wherever its links lead.
#[test]
fn a_place_for_a_mount_is_not_taken_away_on_the_host() {
    let Some(client) = classic() else { return };
    let brig = Brig::with_image();
    let host = context(&[("y/.keep", ""), ("z", "")]);
    fs::remove_file(host.path().join("y/.keep")).unwrap();
    let file = format!(
        "FROM bb\nRUN --mount=type=tmpfs,target=/x/y --mount=type=cache,target=/x/c \
         mkdir /w && (cd /w && umount /x/y 2>/dev/null; mv /x /gone 2>/dev/null; ln -s {0} /x 2>/dev/null; true)\n\
         RUN mkdir -p /v && ln -s {0} /v/x\n\
         RUN --mount=type=tmpfs,target=/v/x/y true\n",
        host.path().display()
    );
    let dir = context(&[("Dockerfile", file.as_str())]);
    build(&brig, client, dir.path(), &[]);
    assert!(host.path().join("y").is_dir() && host.path().join("z").exists());
    nothing_of_a_step(&brig);
    brig.finish();
}

/// CVE-2024-23653: privileges are had by who was given them only.
#[test]
fn a_command_has_no_more_privileges_than_a_container() {
    let Some(client) = classic() else { return };
    let brig = Brig::with_image();
    let file =
        "FROM bb\nRUN grep -E 'Cap(Eff|Bnd)|Seccomp:|NoNewPrivs' /proc/self/status > /caps\n";
    let dir = context(&[("Dockerfile", file)]);
    build(&brig, client, dir.path(), &["-t", "caps"]).ok();
    let inside = brig.brig(&["run", "--rm", "caps", "cat", "/caps"]);
    let same = "grep -E 'Cap(Eff|Bnd)|Seccomp:|NoNewPrivs' /proc/self/status";
    let container = brig.brig(&["run", "--rm", "bb", "sh", "-c", same]);
    assert_eq!(inside.ok(), container.ok());
    brig.finish();
}

#[test]
fn names_that_are_no_text_stay_what_they_are() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let Some(client) = classic() else { return };
    let brig = Brig::with_image();
    let file = "FROM bb\nCOPY d /all\nCOPY d/caf* /some/\nRUN rm /all/caf*9 2>/dev/null; ls /some | wc -l >/count\n";
    let dir = context(&[("Dockerfile", file)]);
    fs::create_dir(dir.path().join("d")).unwrap();
    for name in [&b"caf\xe8"[..], b"caf\xe9"] {
        fs::write(dir.path().join("d").join(OsStr::from_bytes(name)), name).unwrap();
    }
    build(&brig, client, dir.path(), &["-t", "names"]).ok();
    let script =
        "cat /count; cd /some; for f in *; do printf '%s' \"$f\" | cmp - \"$f\" && echo same; done";
    let run = brig.brig(&["run", "--rm", "names", "sh", "-c", script]);
    assert_eq!(run.ok(), "2\nsame\nsame");
    // Other names are other files, also to the cache.
    fs::rename(
        dir.path().join("d").join(OsStr::from_bytes(b"caf\xe9")),
        dir.path().join("d").join(OsStr::from_bytes(b"caf\xea")),
    )
    .unwrap();
    build(&brig, client, dir.path(), &["-t", "names"]).ok();
    let list = brig.brig(&[
        "run",
        "--rm",
        "names",
        "sh",
        "-c",
        "cd /some; printf %s * | od -An -tx1",
    ]);
    assert!(list.ok().contains("ea"), "{}", list.ok());
    brig.finish();
}

#[test]
fn docker_py_builds() {
    let (Some(python), true) = (docker_py(), root()) else {
        return;
    };
    let brig = Brig::with_image();
    let dir = context(&[
        (
            "Dockerfile",
            "FROM bb\nARG A\nRUN echo $A > /a\nCOPY f /f\n",
        ),
        ("f", "f"),
    ]);
    let script = include_str!("python/builds.py");
    let mut command = std::process::Command::new(python);
    command.args(["-c", script, dir.path().to_str().unwrap()]);
    command.env("DOCKER_HOST", brig.host());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && text.ends_with("all is well\n"),
        "{text}{errors}"
    );
    brig.finish();
}
