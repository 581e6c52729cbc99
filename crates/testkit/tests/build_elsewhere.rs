//! Builds whose parts are elsewhere: caches in directories and registries, contexts in repositories, archives
//! and image layouts, results that are the same on every machine.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::registry::{Registry, Reply, Request, Server};
use testkit::{Build, Client};

/// A command whose result is another one each time it is run.
const RANDOM: &str = "cat /proc/sys/kernel/random/uuid";

fn option(kind: &str, key: &str, path: &Path, more: &str) -> String {
    format!("type={kind},{key}={}{more}", path.display())
}

#[test]
fn a_cache_in_a_directory_is_found_by_another_daemon() {
    let (Some(one), Some(two)) = (Build::start(), Build::start()) else {
        return;
    };
    // With a file that is not copied, or both stages would have the same layer.
    let file = format!(
        "FROM bb AS first\nRUN {RANDOM} >/one; echo more >/more\nFROM bb\nCOPY --from=first /one /one\n\
         RUN {RANDOM} >/two\n"
    );
    for build in [&one, &two] {
        build.write("Dockerfile", &file);
    }
    let dir = one.beside("cache");
    let to = option("local", "dest", &dir, ",mode=max");
    one.build(&["-t", "x", "--cache-to", &to]).ok();
    assert!(dir.join("index.json").exists());
    let said = one.says("x", &["cat", "/one", "/two"]);
    let from = option("local", "src", &dir, "");
    let second = two.build(&["-t", "x", "--cache-from", &from]);
    second.ok();
    assert_eq!(two.says("x", &["cat", "/one", "/two"]), said, "{second}");
    assert_eq!(second.stderr.matches("CACHED").count(), 3, "{second}");
    // What was secret is in no cache.
    one.write(
        "Secret",
        "FROM bb\nRUN --mount=type=secret,id=s wc -c </run/secrets/s >/length\n",
    );
    let secret = one.beside("secret");
    fs::write(&secret, "hush-hush-hush").unwrap();
    let secret_dir = one.beside("secret-cache");
    let to = option("local", "dest", &secret_dir, ",mode=max");
    let lent = option("file", "src", &secret, "").replace("type=file", "id=s");
    let file = one.context.path().join("Secret");
    one.build(&[
        "-f",
        file.to_str().unwrap(),
        "--secret",
        &lent,
        "--cache-to",
        &to,
    ])
    .ok();
    for place in [&secret_dir, &one.brig.data_root(), &one.brig.run_root()] {
        let found = Command::new("grep")
            .args(["-rl", "hush-hush-hush"])
            .arg(place)
            .output();
        assert_eq!(String::from_utf8_lossy(&found.unwrap().stdout), "");
    }
    // Of the least mode the other stage is no part: its command is run again.
    let least = one.beside("least");
    let to = option("local", "dest", &least, ",mode=min");
    one.build(&["-t", "x", "--cache-to", &to]).ok();
    let size = |dir: &Path| fs::read_dir(dir.join("blobs/sha256")).unwrap().count();
    assert!(size(&least) < size(&dir), "the least has less");
    two.forget("x");
    let from = option("local", "src", &least, "");
    two.build(&["-t", "x", "--cache-from", &from]).ok();
    assert_ne!(two.says("x", &["cat", "/one", "/two"]), said);
    one.brig.finish();
    two.brig.finish();
}

#[test]
fn a_cache_in_a_registry_is_found_by_another_daemon() {
    let (Some(one), Some(two)) = (Build::start(), Build::start()) else {
        return;
    };
    let Some(registry) = Registry::start() else {
        return;
    };
    let file = format!("FROM bb\nRUN {RANDOM} >/one\nCOPY Dockerfile /copy\n");
    for build in [&one, &two] {
        build.write("Dockerfile", &file);
    }
    let place = format!("type=registry,ref={}/cache:1", registry.address());
    one.build(&["-t", "x", "--cache-to", &format!("{place},mode=max")])
        .ok();
    let said = one.says("x", &["cat", "/one"]);
    let second = two.build(&["-t", "x", "--cache-from", &place]);
    second.ok();
    assert_eq!(two.says("x", &["cat", "/one"]), said, "{second}");
    // What is in the image itself is a cache too, for every door.
    let name = format!("{}/made:1", registry.address());
    one.build(&["--push", "-t", &name, "--cache-to", "type=inline"])
        .ok();
    two.forget("x");
    let from = ["--cache-from", &name];
    two.build(&["-t", "x", from[0], from[1]]).ok();
    assert_eq!(two.says("x", &["cat", "/one"]), said);
    two.forget("x");
    if Client::Docker20.program().is_some() {
        let words = ["build", "-t", "x", from[0], from[1], two.dir()];
        let mut classic = two.brig.command(Client::Docker20, &words);
        classic.env("DOCKER_BUILDKIT", "0");
        let classic = two.brig.finish_command(&mut classic);
        assert!(classic.ok().contains("Using cache"), "{classic}");
        assert_eq!(two.says("x", &["cat", "/one"]), said);
    }
    // One that is not there is told of, and nothing more; one that cannot be written fails the build.
    let nowhere = format!("type=registry,ref={}/nowhere:1", registry.address());
    let told = two.build(&["--cache-from", &nowhere]);
    told.ok();
    assert!(told.stderr.contains("importing cache manifest"), "{told}");
    let refused = two.build(&["--cache-to", "type=nothing"]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(
        refused
            .stderr
            .contains("a cache cannot be exported to nothing"),
        "{refused}"
    );
    one.brig.finish();
    two.brig.finish();
}

#[test]
fn the_same_build_is_the_same_image_everywhere() {
    let (Some(one), Some(two)) = (Build::start(), Build::start()) else {
        return;
    };
    two.docker(&["rmi", "bb"]).ok();
    two.load(&one.save("bb"));
    for build in [&one, &two] {
        build.write(
            "Dockerfile",
            "FROM bb AS made\nRUN mkdir -p /out/dir && date >/dev/null && echo x >/out/dir/file \
             && ln /out/dir/file /out/other && ln -s file /out/dir/link\n\
             FROM bb\nCOPY --from=made /out /out\nCOPY --link a /a\nRUN echo y >/y\nLABEL l=m\n",
        );
        build.write("a", "a");
    }
    let make = |build: &Build, more: &str| {
        let mut command = build.brig.command(
            Client::Docker28,
            &[
                "build",
                "--no-cache",
                "--progress=plain",
                "-o",
                &format!("type=image,name=x{more}"),
                build.dir(),
            ],
        );
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        build.brig.finish_command(&mut command).ok();
        build.inspect("x", "{{.Id}} {{.Created}}")
    };
    let first = make(&one, ",rewrite-timestamp=true");
    assert!(first.ends_with("2023-11-14T22:13:20Z"), "{first}");
    assert_eq!(make(&two, ",rewrite-timestamp=true"), first);
    assert_eq!(
        one.says("x", &["stat", "-c", "%Y", "/out/dir/file"]),
        "1700000000"
    );
    assert_eq!(one.says("x", &["cat", "/out/other", "/y", "/a"]), "x\ny\na");
    one.brig.finish();
    two.brig.finish();
}

/// Serves the files of a directory.
fn serve(dir: PathBuf) -> Server {
    Server::start(move |request: &Request| {
        match fs::read(dir.join(request.path().trim_start_matches('/'))) {
            Ok(bytes) => Reply::new(200, bytes),
            Err(_) => Reply::new(404, ""),
        }
    })
}

fn git(dir: &Path, args: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

/// A repository with a branch `other`, as files that a plain web server can serve: `repo.git` in `web`.
fn repository(web: &Path, files: &[(&str, &str)]) {
    let work = web.join("work");
    fs::create_dir_all(&work).unwrap();
    git(&work, &["init", "-q", "-b", "main", "."]);
    for (name, text) in files {
        let path = work.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-q", "-m", "first"]);
    git(&work, &["branch", "other"]);
    git(web, &["clone", "-q", "--bare", "work", "repo.git"]);
    git(&web.join("repo.git"), &["update-server-info"]);
}

fn has_git() -> bool {
    let there = Command::new("git").arg("--version").output().is_ok();
    if !there {
        eprintln!("SKIP: git is not on this machine");
    }
    there
}

#[test]
fn a_repository_is_a_context_and_has_no_say_on_the_host() {
    let Some(build) = Build::start() else { return };
    if !has_git() {
        return;
    }
    let web = build.beside("web");
    let marker = build.beside("marker");
    let touch = format!("touch {}", marker.display());
    repository(
        &web,
        &[
            ("Dockerfile", "FROM bb\nCOPY a /a\n"),
            ("a", "of the repository"),
            ("sub/Dockerfile", "FROM bb\nCOPY b /b\n"),
            ("sub/b", "below"),
            // Whoever has this file as his own configuration runs what it says.
            (
                ".gitconfig",
                &format!(
                    "[core]\n\tfsmonitor = {touch}\n\tsshCommand = {touch}\n[filter \"f\"]\n\tsmudge = {touch}\n\
                     [submodule \"s\"]\n\tupdate = !{touch}\n[alias]\n\trev-parse = !{touch}\n"
                ),
            ),
            (".gitattributes", "* filter=f\n"),
        ],
    );
    let server = serve(web.clone());
    let address = format!("http://{}/repo.git", server.address());
    build.build_of(&["-t", "x"], &address).ok();
    assert_eq!(build.says("x", &["cat", "/a"]), "of the repository");
    build
        .build_of(&["-t", "x"], &format!("{address}#other:sub"))
        .ok();
    assert_eq!(build.says("x", &["cat", "/b"]), "below");
    let missing = build.build_of(&[], &format!("{address}#none"));
    assert_ne!(missing.code, 0, "{missing}");
    assert!(missing.stderr.contains("has no none"), "{missing}");
    build.write("Dockerfile", &format!("FROM bb\nADD {address} /r\n"));
    build.build(&["-t", "x"]).ok();
    assert_eq!(build.says("x", &["cat", "/r/sub/b"]), "below");
    assert!(!marker.exists(), "a repository's configuration was used");
    build.brig.finish();
}

#[test]
fn a_file_from_the_web_has_the_time_that_its_server_says() {
    let Some(build) = Build::start() else { return };
    let server = Server::start(|request: &Request| match request.path() {
        "/dated" => Reply::new(200, "d").header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        "/wrong" => Reply::new(200, "w").header("Last-Modified", "yesterday"),
        _ => Reply::new(200, "u"),
    });
    let address = server.address();
    let adds = ["dated", "wrong", "undated"].map(|name| format!("ADD http://{address}/{name} /\n"));
    build.write("Dockerfile", &format!("FROM bb\n{}", adds.concat()));
    build.build(&["-t", "web"]).ok();
    let times = ["stat", "-c", "%Y", "/dated", "/wrong", "/undated"];
    assert_eq!(build.says("web", &times), "784111777\n0\n0");
    build.brig.finish();
}

/// Two hosts: the second one is asked when the first one sends there.
#[test]
fn a_file_from_the_web_is_asked_for_with_a_secret_of_its_host() {
    let Some(build) = Build::start() else { return };
    let told = |request: &Request| {
        let said = request.header("authorization");
        Reply::new(200, said.unwrap_or("nobody"))
    };
    let other = Server::start(told);
    let away = format!("http://{}/away", other.address());
    let server = Server::start(move |request: &Request| match request.path() {
        "/away" => Reply::new(302, "").header("Location", &away),
        _ => told(request),
    });
    let address = server.address().to_string();
    let (host, _) = address.rsplit_once(':').unwrap();
    let secret = build.write("secret", "of-the-host\n");
    let adds = ["here", "away"].map(|name| format!("ADD http://{address}/{name} /\n"));
    build.write("Dockerfile", &format!("FROM bb\n{}", adds.concat()));
    let id = |kind: &str, of: &str| format!("id=HTTP_AUTH_{kind}_{of},src={}", secret.display());
    let with = |kind: &str, of: &str| {
        let secret = id(kind, of);
        build
            .build(&["--no-cache", "-t", "x", "--secret", &secret])
            .ok();
        build.says("x", &["sh", "-c", "cat /here; echo; cat /away"])
    };
    assert_eq!(with("TOKEN", host), "Bearer of-the-host\nnobody");
    assert_eq!(with("HEADER", &address), "of-the-host\nnobody");
    assert_eq!(with("TOKEN", "elsewhere"), "nobody\nnobody");
    let (header, token) = (id("HEADER", host), id("TOKEN", host));
    let both = ["--secret", &header, "--secret", &token];
    build
        .build(&[&["--no-cache", "-t", "x"], &both[..]].concat())
        .ok();
    assert_eq!(build.says("x", &["cat", "/here"]), "Bearer of-the-host");
    let history = build.brig.brig(&["history", "--no-trunc", "x"]);
    assert!(!history.ok().contains("of-the-host"), "{history}");
    build.brig.finish();
}

#[test]
fn what_is_wrong_with_a_file_from_the_web_is_said_of_its_host() {
    let Some(build) = Build::start() else { return };
    let server = Server::start(|request: &Request| match request.path() {
        "/secret" => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
        _ => Reply::new(404, ""),
    });
    let address = server.address().to_string();
    for (path, said) in [("none", "404"), ("secret", "401")] {
        build.write(
            "Dockerfile",
            &format!("FROM bb\nADD http://{address}/{path} /\n"),
        );
        let output = build.build(&["-t", "x"]);
        assert_ne!(output.code, 0, "{output}");
        let sentence = format!("cannot fetch http://{address}/{path}: {address} answered {said}");
        assert!(output.stderr.contains(&sentence), "{output}");
    }
    build.brig.finish();
}

#[test]
fn archives_are_contexts_from_the_web_and_from_standard_input() {
    let Some(build) = Build::start() else { return };
    let web = build.beside("web");
    fs::create_dir_all(web.join("tree")).unwrap();
    fs::write(web.join("tree/Dockerfile"), "FROM bb\nCOPY f /f\n").unwrap();
    fs::write(web.join("tree/f"), "packed").unwrap();
    fs::write(web.join("Plain"), "FROM bb\nRUN echo plain >/f\n").unwrap();
    let tar = Command::new("tar")
        .args(["-czf", "context.tar.gz", "-C", "tree", "."])
        .current_dir(&web)
        .status();
    assert!(tar.unwrap().success());
    let server = serve(web.clone());
    let at = |name: &str| format!("http://{}/{name}", server.address());
    build.build_of(&["-t", "x"], &at("context.tar.gz")).ok();
    assert_eq!(build.says("x", &["cat", "/f"]), "packed");
    build.build_of(&["-t", "x"], &at("Plain")).ok();
    assert_eq!(build.says("x", &["cat", "/f"]), "plain");
    let given = |args: &[&str], input: &[u8]| {
        let mut all = vec!["build", "--progress=plain", "-t", "x"];
        all.extend(args);
        build.brig.with_input(Client::Docker28, &all, input).ok();
        build.says("x", &["cat", "/f"])
    };
    let archive = fs::read(web.join("context.tar.gz")).unwrap();
    assert_eq!(given(&["-"], &archive), "packed");
    assert_eq!(given(&["-"], b"FROM bb\nRUN echo input >/f\n"), "input");
    build.write("f", "of the context");
    let file = b"FROM bb\nCOPY f /f\n";
    assert_eq!(given(&["-f", "-", build.dir()], file), "of the context");
    build.brig.finish();
}

#[test]
fn a_dockerfile_has_an_address_of_its_own() {
    let Some(build) = Build::start() else { return };
    let web = build.beside("web");
    fs::create_dir(&web).unwrap();
    fs::write(web.join("Other"), "FROM bb\nCOPY here /there\n").unwrap();
    build.write("Dockerfile", "FROM bb\nRUN false\n");
    build.write("here", "from here");
    let server = serve(web.clone());
    let at = |name: &str| format!("http://{}/{name}", server.address());
    for client in [Client::Brig, Client::Docker28] {
        let words = ["build", "-t", "x", "-f", &at("Other"), build.dir()];
        build.brig.with(client, &words).ok();
        assert_eq!(build.says("x", &["cat", "/there"]), "from here");
    }
    let words = ["build", "-f", &at("None"), build.dir()];
    let none = build.brig.with(Client::Brig, &words);
    assert_ne!(none.code, 0, "{none}");
    assert!(none.stderr.contains("404"), "{none}");
    build.brig.finish();
}

#[test]
fn contexts_have_names() {
    let Some(build) = Build::start() else { return };
    build.write("Dockerfile", "FROM bb\nRUN echo layout >/layout\n");
    let tar = build.beside("layout.tar");
    let layout = build.beside("layout");
    fs::create_dir(&layout).unwrap();
    let meta = build.beside("meta.json");
    build
        .build(&[
            "-o",
            &option("oci", "dest", &tar, ""),
            "--metadata-file",
            meta.to_str().unwrap(),
        ])
        .ok();
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(&tar)
        .current_dir(&layout)
        .status();
    assert!(unpacked.unwrap().success());
    let meta: serde_json::Value = serde_json::from_slice(&fs::read(meta).unwrap()).unwrap();
    let digest = meta["containerimage.digest"].as_str().unwrap();
    build.write("dir/d", "of a directory");
    build.write(
        "Dockerfile",
        "FROM base\nCOPY --from=dir d /d\nCOPY --from=image /bin/busybox /copied/busybox\n",
    );
    build.docker(&["builder", "prune", "-af"]).ok();
    let dir = format!("dir={}/dir", build.dir());
    let base = format!("base=oci-layout://{}@{digest}", layout.display());
    build
        .build(&[
            "-t",
            "x",
            "--build-context",
            &dir,
            "--build-context",
            &base,
            "--build-context",
            "image=docker-image://bb",
        ])
        .ok();
    assert_eq!(
        build.says("x", &["cat", "/layout", "/d"]),
        "layout\nof a directory"
    );
    assert_eq!(build.says("x", &["/copied/busybox", "echo", "hi"]), "hi");
    // A target of another target's name, with its configuration.
    build.write(
        "docker-bake.hcl",
        "group \"default\" { targets = [\"app\", \"other\"] }\n\
         target \"lib\" { dockerfile-inline = \"FROM bb\\nENV L=lib\\nRUN echo $L >/lib\" }\n\
         target \"app\" {\n contexts = { lib = \"target:lib\" }\n tags = [\"app\"]\n\
         dockerfile-inline = \"FROM lib\\nRUN cat /lib >/app && echo $L >>/app\"\n}\n\
         target \"other\" {\n tags = [\"other\"]\n dockerfile-inline = \"FROM bb\\nRUN echo o >/o\"\n}\n",
    );
    let file = build.context.path().join("docker-bake.hcl");
    let baked = build.docker(&[
        "buildx",
        "bake",
        "--progress=plain",
        "--allow=fs.read=*",
        "-f",
        file.to_str().unwrap(),
    ]);
    baked.ok();
    assert_eq!(build.says("app", &["cat", "/app"]), "lib\nlib");
    assert_eq!(build.says("other", &["cat", "/o"]), "o");
    build.brig.finish();
}

#[test]
fn other_frontends_are_refused_by_name() {
    let Some(build) = Build::start() else { return };
    build.write(
        "Dockerfile",
        "# syntax=example.org/team/frontend:1\nFROM bb\n",
    );
    let refused = build.build(&[]);
    assert_ne!(refused.code, 0, "{refused}");
    assert!(
        refused.stderr.contains("example.org/team/frontend:1"),
        "{refused}"
    );
    build.write(
        "Dockerfile",
        "# syntax=docker/dockerfile:1.7-labs\nFROM bb\n",
    );
    build.build(&["-q"]).ok();
    build.brig.finish();
}
