//! The same Dockerfiles and contexts built by Docker's BuildKit, by buildah, and here: the same files with the
//! same modes, owners and times in the same layers, and the same configurations.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod cases;
mod image;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Build, Dockerd, Output, busybox_tar, docker_plugin};

use cases::{CASES, Case};

/// What can build.
trait Builder {
    /// Builds a context under a name.
    fn build(&self, context: &Path, words: &[&str]) -> Output;
    /// Saves what was built.
    fn save(&self, name: &str, to: &Path) -> Output;
}

struct Ours<'a>(&'a Build);

impl Builder for Ours<'_> {
    fn build(&self, context: &Path, words: &[&str]) -> Output {
        let mut all = vec!["--network=none"];
        all.extend(words);
        self.0.build_of(&all, context.to_str().unwrap())
    }

    fn save(&self, name: &str, to: &Path) -> Output {
        self.0.docker(&["save", "-o", to.to_str().unwrap(), name])
    }
}

struct Docker {
    daemon: Dockerd,
    home: PathBuf,
}

impl Docker {
    fn start(home: PathBuf) -> Option<Self> {
        let plugin = docker_plugin("buildx")?;
        fs::create_dir_all(home.join("cli-plugins")).unwrap();
        symlink(&plugin, home.join("cli-plugins/docker-buildx")).unwrap();
        let daemon = Dockerd::start("sid")?;
        let tar = busybox_tar();
        daemon
            .docker(&home, &["import", tar.to_str().unwrap(), "bb"])
            .ok();
        Some(Self { daemon, home })
    }
}

impl Builder for Docker {
    fn build(&self, context: &Path, words: &[&str]) -> Output {
        let mut all = vec!["build", "--progress=plain", "--network=none"];
        all.extend(words);
        all.push(context.to_str().unwrap());
        self.daemon.docker(&self.home, &all)
    }

    fn save(&self, name: &str, to: &Path) -> Output {
        let words = ["save", "-o", to.to_str().unwrap(), name];
        self.daemon.docker(&self.home, &words)
    }
}

/// Buildah in podman, with nothing of this machine's.
struct Buildah {
    root: PathBuf,
}

impl Buildah {
    fn start(root: PathBuf) -> Option<Self> {
        if !Path::new("/usr/bin/podman").exists() {
            eprintln!("SKIP: podman is not on this machine (scripts/setup.sh test)");
            return None;
        }
        fs::create_dir_all(&root).unwrap();
        // Other users' commands are run below it.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(root.parent().unwrap(), open).unwrap();
        let policy = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
        fs::write(root.join("policy.json"), policy).unwrap();
        let buildah = Self { root };
        let tar = busybox_tar();
        buildah
            .podman(&["import", "-q", tar.to_str().unwrap(), "localhost/bb"])
            .ok();
        Some(buildah)
    }

    fn podman(&self, words: &[&str]) -> Output {
        let script = "for dir in /var/lib /dev/shm /run; do mount -t tmpfs tmpfs $dir || exit; done; \
                      exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["-m", "--propagation", "private", "sh", "-c", script, "sh"])
            .args(["podman", "--storage-driver", "vfs", "--root"])
            .arg(self.root.join("store"))
            .arg("--runroot")
            .arg(self.root.join("run"))
            .args(words)
            .env("TMPDIR", &self.root)
            .stdin(std::process::Stdio::null());
        Output::of(&mut command)
    }
}

impl Builder for Buildah {
    fn build(&self, context: &Path, words: &[&str]) -> Output {
        let policy = format!("--signature-policy={}/policy.json", self.root.display());
        let mut all = vec!["build", "--isolation=chroot", "--layers", "--format=docker"];
        all.extend(["--network=host", "--pull=never", &policy]);
        all.extend(words);
        all.push(context.to_str().unwrap());
        self.podman(&all)
    }

    fn save(&self, name: &str, to: &Path) -> Output {
        let name = format!("localhost/{name}");
        self.podman(&["save", "-q", "-o", to.to_str().unwrap(), &name])
    }
}

/// Builds a case and says what came of it, one line a fact.
fn outcome(
    builder: &dyn Builder,
    case: &Case,
    context: &Path,
    work: &Path,
) -> Result<image::Image, Output> {
    let name = format!("same-{}", case.name);
    for (number, text) in case.before.iter().enumerate() {
        let file = work.join("Before");
        fs::write(&file, text).unwrap();
        let before = format!("same-{}-{number}", case.name);
        let words = ["-f", file.to_str().unwrap(), "-t", &before];
        let built = builder.build(context, &words);
        if built.code != 0 {
            return Err(built);
        }
    }
    let file = work.join("Dockerfile");
    fs::write(&file, case.file).unwrap();
    let mut words = vec!["-f", file.to_str().unwrap(), "-t", &name];
    words.extend(case.words);
    let built = builder.build(context, &words);
    if built.code != 0 {
        return Err(built);
    }
    let saved = work.join("saved.tar");
    let _ = fs::remove_file(&saved);
    let told = builder.save(&name, &saved);
    if told.code != 0 {
        return Err(told);
    }
    let read = image::read(&saved, &work.join("unpacked"));
    Ok(read)
}

/// What only one of two lists has.
fn differences(ours: &[String], theirs: &[String]) -> Vec<String> {
    let only = |these: &[String], those: &[String], mark: char| {
        let lone = these.iter().filter(|line| !those.contains(line));
        lone.map(|line| format!("{mark} {line}"))
            .collect::<Vec<_>>()
    };
    let mut found = only(ours, theirs, '+');
    found.extend(only(theirs, ours, '-'));
    found
}

#[test]
fn docker_builds_the_same() {
    if !patient() {
        return;
    }
    let Some(build) = Build::start() else { return };
    let Some(docker) = Docker::start(build.beside("docker-home")) else {
        return;
    };
    let context = cases::context();
    let work = build.beside("work");
    fs::create_dir(&work).unwrap();
    let mut wrong = Vec::new();
    for case in CASES.iter().filter(|case| asked(case)) {
        let theirs = match outcome(&docker, case, context.path(), &work) {
            Ok(theirs) => theirs,
            Err(refused) if case.docker => {
                wrong.push(format!("{}: Docker cannot build it: {refused}", case.name));
                continue;
            }
            Err(_) => {
                eprintln!("{}: not compared: Docker does not know it", case.name);
                continue;
            }
        };
        match outcome(&Ours(&build), case, context.path(), &work) {
            Ok(ours) => {
                let found = differences(&ours.lines(), &theirs.lines());
                if !found.is_empty() {
                    wrong.push(format!("{}:\n{}", case.name, found.join("\n")));
                }
            }
            Err(refused) => wrong.push(format!("{}: {refused}", case.name)),
        }
    }
    assert!(
        wrong.is_empty(),
        "what is ours (+) is not Docker's (-):\n{}",
        wrong.join("\n\n")
    );
    drop(docker);
    build.brig.finish();
}

#[test]
fn buildah_builds_the_same() {
    if !patient() {
        return;
    }
    let Some(build) = Build::start() else { return };
    let Some(buildah) = Buildah::start(build.beside("buildah")) else {
        return;
    };
    let context = cases::context();
    let work = build.beside("work");
    fs::create_dir(&work).unwrap();
    let mut wrong = Vec::new();
    for case in CASES.iter().filter(|case| asked(case) && case.buildah) {
        let theirs = match outcome(&buildah, case, context.path(), &work) {
            Ok(theirs) => theirs,
            Err(refused) => {
                wrong.push(format!("{}: buildah cannot build it: {refused}", case.name));
                continue;
            }
        };
        match outcome(&Ours(&build), case, context.path(), &work) {
            Ok(ours) => {
                let found = differences(&ours.result(), &theirs.result());
                if !found.is_empty() {
                    wrong.push(format!("{}:\n{}", case.name, found.join("\n")));
                }
            }
            Err(refused) => wrong.push(format!("{}: {refused}", case.name)),
        }
    }
    assert!(
        wrong.is_empty(),
        "what is ours (+) is not buildah's (-):\n{}",
        wrong.join("\n\n")
    );
    build.brig.finish();
}

/// Whether what takes minutes is asked for.
fn patient() -> bool {
    let asked = std::env::var_os("BRIG_REAL_BUILDS").is_some();
    if !asked {
        eprintln!("SKIP: this takes minutes (cargo xtask soak builds)");
    }
    asked
}

/// `BRIG_CASE` names one that is looked at alone.
fn asked(case: &Case) -> bool {
    std::env::var("BRIG_CASE").map_or(true, |name| name == case.name)
}
