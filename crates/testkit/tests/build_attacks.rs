//! What strangers' files, addresses, repositories and caches try with a builder: to write on the machine, to read
//! from it, to have their commands run there, or to be taken for somebody else's result.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::registry::{Reply, Request, Server};
use testkit::{Build, Client, Output};

fn brig(build: &Build, args: &[&str], context: &str) -> Output {
    let mut all = vec!["build", "--progress=plain"];
    all.extend(args);
    all.push(context);
    build.brig.with(Client::Brig, &all)
}

/// Files of the machine that no build may have or change.
fn guarded(build: &Build) -> PathBuf {
    let host = build.beside("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("guarded"), "of-the-machine").unwrap();
    fs::write(host.join("Dockerfile"), "FROM bb\nCOPY . /all\n").unwrap();
    host
}

#[track_caller]
fn untouched(host: &Path) {
    let names = fs::read_dir(host).unwrap().count();
    let text = fs::read_to_string(host.join("guarded")).unwrap();
    assert_eq!((names, text.as_str()), (2, "of-the-machine"));
}

fn grep(text: &str, places: &[&Path]) -> String {
    let found = Command::new("grep")
        .args(["-rla", text])
        .args(places)
        .output();
    String::from_utf8_lossy(&found.unwrap().stdout).into_owned()
}

#[test]
fn an_address_leads_to_the_web_only() {
    let Some(build) = Build::start() else { return };
    let host = guarded(&build);
    let target = format!("file://{}/guarded", host.display());
    let there = target.clone();
    let server = Server::start(move |request: &Request| match request.path() {
        "/file" => Reply::new(302, "").header("Location", &there),
        "/self" => Reply::new(302, "").header("Location", "/self"),
        _ => Reply::new(404, ""),
    });
    for address in [
        target,
        format!("http://{}/file", server.address()),
        format!("http://{}/self", server.address()),
        format!("ftp://{}/file", server.address()),
    ] {
        build.write("Dockerfile", &format!("FROM bb\nADD {address} /f\n"));
        for client in [Client::Brig, Client::Docker28] {
            let words = ["build", "--progress=plain", "-t", "x", build.dir()];
            let output = build.brig.with(client, &words);
            assert_ne!(output.code, 0, "{address}: {output}");
            assert!(!output.stderr.contains("of-the-machine"), "{output}");
        }
        // As a context it is no better.
        let output = brig(&build, &["-t", "x"], &address);
        assert_ne!(output.code, 0, "{address}: {output}");
    }
    untouched(&host);
    build.brig.finish();
}

/// A symbolic link of an image, or of an archive, on the way to where files are put.
#[test]
fn links_on_the_way_lead_nowhere_on_the_machine() {
    let Some(build) = Build::start() else { return };
    let host = guarded(&build);
    build.write("f", "planted");
    let tar = build.beside("planted");
    fs::create_dir(&tar).unwrap();
    symlink(&host, tar.join("way")).unwrap();
    let pack = |args: &[&str]| {
        let archive = build.context.path().join("planted.tar");
        let mut command = Command::new("tar");
        command
            .arg("--append")
            .arg("--file")
            .arg(archive)
            .args(args);
        Output::of(command.current_dir(&tar)).ok().to_owned()
    };
    pack(&["way"]);
    fs::remove_file(tar.join("way")).unwrap();
    fs::create_dir(tar.join("way")).unwrap();
    fs::write(tar.join("way/planted"), "planted").unwrap();
    pack(&["way/planted"]);
    let above = format!("--transform=s,^,{}/,", "../".repeat(20));
    let planted = tar.join("way/planted");
    pack(&["--absolute-names", &above, planted.to_str().unwrap()]);
    let host_text = host.display();
    build.write(
        "Dockerfile",
        &format!(
            "FROM bb AS base\nRUN ln -s {host_text} /way && ln -s {host_text}/guarded /file && \
             mkdir /up && ln -s ../../../../../../../../../..{host_text} /up/way\n\
             FROM base AS copied\nCOPY f /way/planted\nCOPY f /file\nCOPY f /up/way/more\n\
             FROM base AS made\nWORKDIR /way/below\nRUN echo x >f\n\
             FROM base AS mounted\nRUN --mount=type=tmpfs,target=/way/t --mount=type=cache,target=/up/way/c true\n\
             FROM base AS added\nADD planted.tar /\n\
             FROM base AS linked\nCOPY --link f /way/planted\n\
             FROM base AS parents\nCOPY --from=base --parents /way/./ /got/\n"
        ),
    );
    for target in ["copied", "made", "mounted", "added", "linked", "parents"] {
        let image = format!("{target}:1");
        // Whether it can be built is another matter: nothing may come of it here.
        let output = brig(&build, &["--target", target, "-t", &image], build.dir());
        untouched(&host);
        let look = ["run", "--rm", "--network=none", &image, "grep", "-r"];
        let words = [
            &look[..],
            &["of-the-machine", "/way", "/up", "/got", "/all"],
        ]
        .concat();
        let seen = build.brig.with(Client::Brig, &words);
        assert!(
            !seen.stdout.contains("of-the-machine"),
            "{target}: {output}{seen}"
        );
    }
    untouched(&host);
    build.brig.finish();
}

fn git(dir: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command
        .args(["-c", "user.name=t", "-c", "user.email=t@t"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    Output::of(&mut command).ok();
}

/// What stands behind `#` of a repository's address, and links and modules in it.
#[test]
fn a_repository_gets_nothing_of_the_machine() {
    let Some(build) = Build::start() else { return };
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("SKIP: git is not on this machine");
        return;
    }
    let host = guarded(&build);
    let marker = build.beside("marker");
    let (web, work) = (build.beside("web"), build.beside("web/work"));
    fs::create_dir_all(&work).unwrap();
    git(&work, &["init", "-q", "-b", "main", "."]);
    fs::write(work.join("Dockerfile"), "FROM bb\nCOPY . /all\n").unwrap();
    symlink(&host, work.join("link")).unwrap();
    symlink("../../../../../../../../../../../", work.join("up")).unwrap();
    let modules = format!(
        "[submodule \"a\"]\n\tpath = a\n\turl = ext::sh -c touch% {0}\n[submodule \"b\"]\n\tpath = b\n\turl = {1}\n",
        marker.display(),
        host.display()
    );
    fs::write(work.join(".gitmodules"), modules).unwrap();
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "-m", "first"]);
    git(&web, &["clone", "-q", "--bare", "work", "repo.git"]);
    git(&web.join("repo.git"), &["update-server-info"]);
    let server = Server::start(move |request: &Request| {
        match fs::read(web.join(request.path().trim_start_matches('/'))) {
            Ok(bytes) => Reply::new(200, bytes),
            Err(_) => Reply::new(404, ""),
        }
    });
    let address = format!("http://{}/repo.git", server.address());
    let touch = format!("touch {}", marker.display());
    let inside = host.strip_prefix("/").unwrap().display().to_string();
    for part in [
        format!("#--upload-pack={touch}"),
        format!("#-u{touch}"),
        "#main:..".to_owned(),
        format!("#main:../../../../../../../../{inside}"),
        "#main:link".to_owned(),
        format!("#main:up/{inside}"),
        "#main".to_owned(),
    ] {
        let output = brig(&build, &["-t", "x"], &format!("{address}{part}"));
        if output.code == 0 {
            // The checkout's own files, whatever was asked for.
            let look = [
                "run",
                "--rm",
                "--network=none",
                "x",
                "grep",
                "-r",
                "of-the-machine",
                "/all",
            ];
            let seen = build.brig.with(Client::Brig, &look);
            assert!(!seen.stdout.contains("of-the-machine"), "{part}: {seen}");
        }
        assert!(
            !output.stderr.contains("of-the-machine"),
            "{part}: {output}"
        );
        assert!(!marker.exists(), "{part}: a command was run on the machine");
    }
    let extended = format!("ext::sh -c {touch}");
    for context in [&extended, &format!("{extended}.git#main")] {
        assert_ne!(brig(&build, &[], context).code, 0);
        build.write(
            "Dockerfile",
            &format!("FROM bb\nADD [\"{context}\", \"/r\"]\n"),
        );
        assert_ne!(brig(&build, &[], build.dir()).code, 0);
        assert!(!marker.exists(), "{context}");
    }
    untouched(&host);
    build.brig.finish();
}

#[test]
fn a_secret_is_in_nothing_that_a_build_says_or_leaves() {
    let Some(build) = Build::start() else { return };
    // Put together, so that no file but the secret has it.
    let hidden = ["hush", "and", "nobody", "hears"].join("-");
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, &hidden).unwrap();
    build.write(
        "Dockerfile",
        "FROM bb\nRUN --mount=type=secret,id=s --mount=type=secret,id=s,env=S \
         test \"$S\" = \"$(cat /run/secrets/s)\" && wc -c </run/secrets/s >/length\n",
    );
    let lent = format!("id=s,src={}", secret.display());
    let (out, cache, metadata) = (
        build.beside("out"),
        build.beside("cache"),
        build.beside("metadata"),
    );
    let to = format!("type=local,dest={}", out.display());
    let cache = format!("type=local,dest={},mode=max", cache.display());
    let metadata = format!("--metadata-file={}", metadata.display());
    let said = ["--secret", &lent, "--provenance=mode=max", &metadata];
    let image = [&said[..], &["-t", "x", "--no-cache"]].concat();
    let files = [&said[..], &["-o", &to, "--no-cache"]].concat();
    for words in [&image, &files] {
        let output = build.build(&[&words[..], &["--cache-to", &cache]].concat());
        for output in [brig(&build, words, build.dir()), output] {
            output.ok();
            assert!(!format!("{output}").contains(&hidden), "{output}");
        }
    }
    assert_eq!(
        fs::read_to_string(out.join("length")).unwrap(),
        format!("{}\n", hidden.len())
    );
    build.save("x");
    let places = [build.brig.root(), build.context.path()];
    assert_eq!(grep(&hidden, &places), "");
    build.brig.finish();
}

/// A cache of somebody else's whose parts are not what their names say.
#[test]
fn a_forged_cache_is_no_cache() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM bb\nRUN echo right >/said\n");
    let dir = build.beside("cache");
    let to = format!("type=local,dest={},mode=max", dir.display());
    let from = format!("type=local,src={}", dir.display());
    build.build(&["-t", "x", "--cache-to", &to]).ok();
    let blobs = || fs::read_dir(dir.join("blobs/sha256")).unwrap();
    let all: Vec<(PathBuf, Vec<u8>)> = blobs()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    assert!(all.len() >= 3, "{all:?}");
    for (path, bytes) in &all {
        // Another of the blobs, and the same with a byte changed.
        let other = all.iter().find(|(other, _)| other != path).unwrap();
        let mut changed = bytes.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        for forged in [&changed, &other.1] {
            fs::write(path, forged).unwrap();
            build.forget("x");
            let words = ["-t", "x", "--cache-from", &from];
            let output = build.build(&words);
            output.ok();
            assert_eq!(build.says("x", &["cat", "/said"]), "right", "{output}");
        }
        fs::write(path, bytes).unwrap();
    }
    // Whole again it is one.
    build.forget("x");
    let output = build.build(&["-t", "x", "--cache-from", &from]);
    output.ok();
    assert!(output.stderr.contains("CACHED"), "{output}");
    build.brig.finish();
}
