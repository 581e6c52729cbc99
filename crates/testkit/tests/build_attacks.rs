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
        "/web" => Reply::new(302, "").header("Location", "/plain"),
        "/plain" => Reply::new(200, "of-the-web"),
        _ => Reply::new(404, ""),
    });
    // What is not followed to the machine is followed on the web.
    let web = format!("http://{}/web", server.address());
    build.write("Dockerfile", &format!("FROM bb\nADD {web} /f\n"));
    for client in [Client::Brig, Client::Docker28] {
        let words = ["build", "--no-cache", "-t", "web", build.dir()];
        build.brig.with(client, &words).ok();
        assert_eq!(build.says("web", &["cat", "/f"]), "of-the-web");
    }
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

/// An archive with a link that leads to a directory, and a file below the link; `up`, and one far above.
fn planted(build: &Build, to: &Path, up: bool) {
    let archive = build.context.path().join("planted.tar");
    let tar = build.beside("planted");
    for old in [&tar, &archive] {
        let _ = fs::remove_dir_all(old).or_else(|_| fs::remove_file(old));
    }
    fs::create_dir(&tar).unwrap();
    let pack = |args: &[&str]| {
        let mut command = Command::new("tar");
        command.arg("--append").arg("--file").arg(&archive);
        Output::of(command.args(args).current_dir(&tar)).ok();
    };
    symlink(to, tar.join("way")).unwrap();
    pack(&["way"]);
    fs::remove_file(tar.join("way")).unwrap();
    fs::create_dir(tar.join("way")).unwrap();
    fs::write(tar.join("way/planted"), "planted").unwrap();
    pack(&["way/planted"]);
    if up {
        let above = format!("--transform=s,^,{}/,", "../".repeat(20));
        let planted = tar.join("way/planted");
        pack(&["--absolute-names", &above, planted.to_str().unwrap()]);
    }
}

/// Steps that write through links to a directory.
fn through_links(build: &Build, to: &str) {
    build.write("f", "planted");
    build.write(
        "Dockerfile",
        &format!(
            "FROM bb AS base\nRUN mkdir /inside && echo -n of-the-image >/inside/guarded\n\
             RUN ln -s {to} /way && ln -s {to}/guarded /file && \
             mkdir /up && ln -s ../../../../../../../../../..{to} /up/way\n\
             FROM base AS copied\nCOPY f /way/planted\nCOPY f /file\nCOPY f /up/way/more\n\
             FROM base AS made\nWORKDIR /way/below\nRUN echo -n x >f\n\
             FROM base AS mounted\n\
             RUN --mount=type=tmpfs,target=/way/t --mount=type=cache,target=/up/way/c touch /way/t/x /up/way/c/x\n\
             FROM base AS added\nADD planted.tar /\n\
             FROM base AS linked\nCOPY --link f /way/planted\n\
             FROM base AS parents\nCOPY --from=base --parents /way/./ /got/\n"
        ),
    );
}

/// A symbolic link of an image, or of an archive, on the way to where files are put.
#[test]
fn links_on_the_way_lead_nowhere_on_the_machine() {
    let Some(build) = Build::start() else { return };
    let host = guarded(&build);
    // Where the links lead to a directory of the image, files get there: each of them is a way.
    through_links(&build, "/inside");
    planted(&build, Path::new("/inside"), false);
    for (target, path, text) in [
        ("copied", "/inside/planted", "planted"),
        ("copied", "/inside/guarded", "planted"),
        ("copied", "/inside/more", "planted"),
        ("made", "/inside/below/f", "x"),
        ("mounted", "/inside/guarded", "of-the-image"),
        ("added", "/way/planted", "planted"),
        ("linked", "/way/planted", "planted"),
        ("parents", "/inside/guarded", "of-the-image"),
    ] {
        brig(&build, &["--target", target, "-t", target], build.dir()).ok();
        assert_eq!(build.says(target, &["cat", path]), text, "{target}");
    }
    through_links(&build, host.to_str().unwrap());
    planted(&build, &host, true);
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

fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .args(["-c", "user.name=t", "-c", "user.email=t@t"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    Output::of(&mut command).ok().to_owned()
}

/// A repository with one file, and its commit.
fn repository(dir: &Path, text: &str) -> String {
    fs::create_dir_all(dir).unwrap();
    git(dir, &["init", "-q", "-b", "main", "."]);
    fs::write(dir.join("own"), text).unwrap();
    commit(dir)
}

fn commit(dir: &Path) -> String {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "-m", "more"]);
    git(dir, &["rev-parse", "HEAD"])
}

/// Adds a module to a repository's index.
fn module(dir: &Path, path: &str, commit: &str, url: &str) {
    let file = dir.join(".gitmodules");
    let mut text = fs::read_to_string(&file).unwrap_or_default();
    text.push_str(&format!(
        "[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n"
    ));
    fs::write(&file, text).unwrap();
    fs::create_dir_all(dir.join(path)).unwrap();
    let entry = format!("160000,{commit},{path}");
    git(dir, &["update-index", "--add", "--cacheinfo", &entry]);
    git(dir, &["add", ".gitmodules"]);
    git(dir, &["commit", "-q", "-m", "a module"]);
}

/// A repository on the web: a plain branch; one with a module of the web's; one each with a module that runs a
/// command, or is a repository of the machine; and one with links to the machine.
fn repositories(build: &Build, host: &Path, marker: &Path) -> Server {
    let (web, work) = (build.beside("web"), build.beside("web/work"));
    let private = build.beside("private");
    let hidden = repository(&private, "of-the-machine");
    let own = repository(&web.join("module"), "of-the-module");
    git(&web, &["clone", "-q", "--bare", "module", "module.git"]);
    git(&web.join("module.git"), &["update-server-info"]);
    let served = web.clone();
    let server = Server::start(move |request: &Request| {
        match fs::read(served.join(request.path().trim_start_matches('/'))) {
            Ok(bytes) => Reply::new(200, bytes),
            Err(_) => Reply::new(404, ""),
        }
    });
    repository(&work, "own");
    fs::write(work.join("Dockerfile"), "FROM bb\nCOPY . /all\n").unwrap();
    fs::create_dir(work.join("below")).unwrap();
    fs::copy(work.join("Dockerfile"), work.join("below/Dockerfile")).unwrap();
    commit(&work);
    git(&work, &["branch", "plain"]);
    git(&work, &["checkout", "-q", "-b", "modules"]);
    let web_module = format!("http://{}/module.git", server.address());
    module(&work, "m", &own, &web_module);
    // One of a bad address each: the first that cannot be had ends a build.
    let runs = format!("ext::sh -c touch% {}", marker.display());
    let path = private.display().to_string();
    for (branch, url) in [
        ("runs", runs),
        ("path", path.clone()),
        ("file", format!("file://{path}")),
        ("option", "--upload-pack=true".to_owned()),
    ] {
        git(&work, &["checkout", "-q", "-b", branch, "plain"]);
        module(&work, "a", &hidden, &url);
    }
    git(&work, &["checkout", "-q", "main"]);
    symlink(host, work.join("link")).unwrap();
    symlink("../../../../../../../../../../../", work.join("up")).unwrap();
    commit(&work);
    git(&web, &["clone", "-q", "--bare", "work", "repo.git"]);
    git(&web.join("repo.git"), &["update-server-info"]);
    server
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
    let server = repositories(&build, &host, &marker);
    let address = format!("http://{}/repo.git", server.address());
    // What is a repository's own, and a module's on the web, comes.
    for (part, path, text) in [
        ("#plain", "/all/own", "own"),
        ("#plain:below", "/all/Dockerfile", "FROM bb\nCOPY . /all"),
        ("#modules", "/all/m/own", "of-the-module"),
    ] {
        brig(&build, &["-t", "own"], &format!("{address}{part}")).ok();
        assert_eq!(build.says("own", &["cat", path]), text, "{part}");
    }
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
        "#runs".to_owned(),
        "#path".to_owned(),
        "#file".to_owned(),
        "#option".to_owned(),
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
