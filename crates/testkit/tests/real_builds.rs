//! Real Dockerfiles on a real Debian: packages from its mirror, and projects from the registries of their
//! languages. What takes long is asked for by `cargo xtask soak builds`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::{Build, Client, Output, debian_tar};

/// Whom the machine trusts; a registry of its own may be among those.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// A compiler is fetched and installed, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Mirrors hiccup.
const TRIES: usize = 3;

/// A daemon with the Debian that mmdebstrap made, called `debian`, whose mirror this machine reaches.
fn debian() -> Option<Build> {
    let tar = debian_tar()?;
    if !mirror_answers(&tar) {
        return None;
    }
    let build = Build::start()?;
    build
        .docker(&["import", tar.to_str().unwrap(), "debian"])
        .ok();
    Some(build)
}

/// Whether this machine reaches the mirror that the Debian's apt asks.
fn mirror_answers(tar: &Path) -> bool {
    let listed = Command::new("tar")
        .args(["--wildcards", "-xOf"])
        .arg(tar)
        .arg("./etc/apt/sources.list*")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let lines = text.lines().filter(|line| line.starts_with("deb "));
    let mut addresses = lines.filter_map(|line| line.split("://").nth(1)?.split('/').next());
    let Some(host) = addresses.next() else {
        eprintln!("SKIP: the Debian's apt names no mirror");
        return false;
    };
    let host = if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let reached = host.to_socket_addrs().is_ok_and(|mut found| {
        found.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(10)).is_ok())
    });
    if !reached {
        eprintln!("SKIP: the mirror of Debian's packages cannot be reached from this machine");
    }
    reached
}

/// Whether what takes minutes is asked for.
fn patient() -> bool {
    let asked = std::env::var_os("BRIG_REAL_BUILDS").is_some();
    if !asked {
        eprintln!("SKIP: this takes minutes (cargo xtask soak builds)");
    }
    asked
}

/// Builds the context, again if a mirror failed.
#[track_caller]
fn built(build: &Build, client: Client, args: &[&str]) -> Output {
    let mut all = vec!["build", "--progress=plain"];
    all.extend(args);
    let authorities = format!("id=ca,src={AUTHORITIES}");
    if Path::new(AUTHORITIES).exists() {
        all.extend(["--secret", &authorities]);
    }
    all.push(build.dir());
    let run = || Output::within(PATIENCE, &mut build.brig.command(client, &all));
    let mut output = run();
    for _ in 1..TRIES {
        if output.code == 0 {
            break;
        }
        eprintln!("again: {output}");
        output = run();
    }
    output.ok();
    output
}

/// What installs packages and keeps what it has fetched for the next build.
fn packages(names: &str) -> String {
    format!(
        "RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
         --mount=type=cache,target=/var/lib/apt,sharing=locked \
         apt-get update -q && apt-get install -y -q --no-install-recommends {names}\n"
    )
}

#[test]
fn a_package_is_installed_in_a_build() {
    let Some(build) = debian() else { return };
    build.write(
        "Dockerfile",
        "FROM debian AS tools\n\
         RUN apt-get update -q && apt-get install -y -q --no-install-recommends hello\n\
         FROM debian\nCOPY --from=tools /usr/bin/hello /usr/local/bin/hello\n\
         RUN hello >/said\nCMD [\"hello\", \"-g\", \"from the hold\"]\n",
    );
    let first = built(&build, Client::Docker28, &["-t", "hello"]);
    assert!(first.stderr.contains("Setting up hello"), "{first}");
    assert_eq!(build.says("hello", &[]), "from the hold");
    assert_eq!(build.says("hello", &["cat", "/said"]), "Hello, world!");
    let again = built(&build, Client::Brig, &["-t", "again"]);
    assert_eq!(again.stderr.matches("CACHED").count(), 3, "{again}");
    assert_eq!(
        build.inspect("again", "{{.Id}}"),
        build.inspect("hello", "{{.Id}}"),
        "the same steps from the cache are the same image"
    );
    build.brig.finish();
}

const RUST: &str = "FROM build AS made\nWORKDIR /src\nCOPY . .\n\
    RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/root/.cargo/registry --mount=type=cache,target=/src/target \
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --release \
    --target x86_64-unknown-linux-gnu && cp target/x86_64-unknown-linux-gnu/release/app /app\n\
    FROM scratch\nCOPY --from=made /app /app\nENTRYPOINT [\"/app\"]\n";

/// A project with dependencies, cold, warm, and in an image that holds nothing but its program.
#[test]
fn a_rust_project_is_built_from_its_registry() {
    if !patient() {
        return;
    }
    let Some(build) = debian() else { return };
    // Debian 12 has a newer one under another name.
    let names = "gcc libc6-dev $(apt-cache show cargo-web >/dev/null 2>&1 && \
                 echo cargo-web rustc-web || echo cargo rustc)";
    let base = format!("FROM debian AS build\n{}", packages(names));
    build.write("Dockerfile", &format!("{base}{RUST}"));
    build.write(
        "Cargo.toml",
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
         [dependencies]\nserde_json = \"1\"\n",
    );
    build.write(
        "src/main.rs",
        "fn main() { println!(\"{}\", serde_json::json!({ \"said\": \"cold\" })) }\n",
    );
    build.write(".dockerignore", "target\n");
    let cold = built(&build, Client::Docker28, &["-t", "rust"]);
    assert!(cold.stderr.contains("Compiling serde_json"), "{cold}");
    assert_eq!(build.says("rust", &[]), r#"{"said":"cold"}"#);
    build.write(
        "src/main.rs",
        "fn main() { println!(\"{}\", serde_json::json!({ \"said\": \"warm\" })) }\n",
    );
    let warm = built(&build, Client::Brig, &["-t", "rust"]);
    assert!(warm.stderr.contains("Compiling app"), "{warm}");
    assert!(!warm.stderr.contains("Compiling serde_json"), "{warm}");
    assert_eq!(build.says("rust", &[]), r#"{"said":"warm"}"#);
    let size = build.inspect("rust", "{{.Size}}");
    assert!(size.parse::<u64>().unwrap() < 20 << 20, "{size} bytes");
    build.brig.finish();
}

#[test]
fn a_python_project_is_built_from_its_registry() {
    if !patient() {
        return;
    }
    let Some(build) = debian() else { return };
    let file = format!(
        "FROM debian AS python\n{}FROM python AS made\nWORKDIR /srv\nCOPY requirements.txt .\n\
         RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
         --mount=type=cache,target=/root/.cache/pip \
         python3 -m venv /venv && PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
         /venv/bin/pip install -r requirements.txt && echo built >>/root/.cache/pip/builds && \
         wc -l </root/.cache/pip/builds >/venv/builds\n\
         FROM python\nCOPY --from=made /venv /venv\nCOPY app.py /srv/\n\
         CMD [\"/venv/bin/python\", \"/srv/app.py\"]\n",
        packages("python3-venv")
    );
    build.write("Dockerfile", &file);
    build.write("requirements.txt", "six==1.16.0\n");
    build.write(
        "app.py",
        "import six\nprint(six.__version__, six.text_type('built'))\n",
    );
    built(&build, Client::Docker28, &["-t", "python"]);
    assert_eq!(build.says("python", &[]), "1.16.0 built");
    // Another requirement is installed with the cache that the first build has filled.
    build.write("requirements.txt", "six==1.16.0\nidna==3.7\n");
    built(&build, Client::Brig, &["-t", "python"]);
    assert_eq!(build.says("python", &[]), "1.16.0 built");
    assert_eq!(build.says("python", &["cat", "/venv/builds"]), "2");
    build.brig.finish();
}

#[test]
fn a_node_project_is_built_from_its_registry() {
    if !patient() {
        return;
    }
    let Some(build) = debian() else { return };
    let file = format!(
        "FROM debian AS node\n{}FROM node AS made\n{}WORKDIR /srv\nCOPY package.json .\n\
         RUN --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
         --mount=type=cache,target=/root/.npm \
         NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt npm install --no-audit --no-fund\n\
         FROM node\nCOPY --from=made /srv /srv\nCOPY app.js /srv/\nCMD [\"node\", \"/srv/app.js\"]\n",
        packages("nodejs"),
        packages("npm")
    );
    build.write("Dockerfile", &file);
    build.write(
        "package.json",
        r#"{"name": "app", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}}"#,
    );
    build.write(
        "app.js",
        "console.log(require('ms')('2 days'), 'milliseconds')\n",
    );
    built(&build, Client::Docker28, &["-t", "node"]);
    assert_eq!(build.says("node", &[]), "172800000 milliseconds");
    let facts: Vec<String> = fs::read_dir(build.context.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(facts.len(), 3, "a build writes nothing into its context");
    build.brig.finish();
}
