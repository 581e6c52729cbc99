//! Other people's programs: docker-py as a client of the daemon; podman beside it at the same registry.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]
#![allow(
    clippy::disallowed_methods,
    reason = "test files need not survive a crash"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::registry::{PASSWORD, Registry, RegistrySetup, Reply, Server, USER};
use testkit::{Brig, busybox_tar, docker_py, root};

#[test]
fn docker_py_does_everything_with_images() {
    let (Some(python), true) = (docker_py(), root()) else {
        return;
    };
    let locked = RegistrySetup::default().basic().start();
    let (Some(plain), Some(locked)) = (Registry::start(), locked) else {
        return;
    };
    let tar = busybox_tar();
    let bytes = fs::read(&tar).unwrap();
    let server = Server::start(move |_| Reply::new(200, bytes.clone()));
    let brig = Brig::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docker_py/images.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg(tar)
        .args([plain.address(), locked.address(), USER, PASSWORD])
        .arg(format!("http://{}/bb.tar", server.address()))
        .arg(brig.root())
        .env("DOCKER_HOST", brig.host())
        .env("DOCKER_CONFIG", brig.root().join("home"));
    let done = brig.finish_command(&mut command);
    assert_eq!(done.ok().split(' ').count(), 7, "{done}");
    brig.finish();
}

#[test]
fn docker_py_does_everything_with_networks_and_volumes() {
    let (Some(python), true) = (docker_py(), root()) else {
        return;
    };
    let brig = Brig::with_image();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docker_py/networks.py");
    let mut command = Command::new(python);
    let prefix = brig.network().pool.trim_end_matches(".0/24");
    command
        .arg(script)
        .arg(prefix)
        .env("DOCKER_HOST", brig.host());
    let done = brig.finish_command(&mut command);
    assert_eq!(done.ok().split(' ').count(), 9, "{done}");
    brig.finish();
}

/// Podman with nothing of this machine's.
fn podman(brig: &Brig, words: &[&str]) -> String {
    let at = |name: &str| brig.root().join(name);
    let script = "for dir in /var/lib /dev/shm /run; do mount -t tmpfs tmpfs $dir || exit; done; \
                  exec \"$@\"";
    let mut command = Command::new("unshare");
    command
        .args(["-m", "--propagation", "private", "sh", "-c", script, "sh"])
        .args(["podman", "--storage-driver", "vfs", "--root"])
        .arg(at("podman"))
        .arg("--runroot")
        .arg(at("podman-run"))
        .args(words)
        .env("TMPDIR", brig.root());
    brig.finish_command(&mut command).ok().to_owned()
}

#[test]
fn podman_and_brig_share_a_registry() {
    let Some(registry) = Registry::start().filter(|_| root()) else {
        return;
    };
    if !Path::new("/usr/bin/podman").exists() {
        eprintln!("SKIP: podman is not on this machine (scripts/setup.sh test)");
        return;
    }
    let name = |repository: &str| format!("{}/{repository}", registry.address());
    let brig = Brig::with_image();
    let policy = brig.root().join("policy.json");
    let anything = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
    fs::write(&policy, anything).unwrap();
    let policy = format!("--signature-policy={}", policy.display());
    let ours = name("ours:v1");
    brig.brig(&["tag", "bb", &ours]).ok();
    brig.brig(&["push", &ours]).ok();
    let id = |name: &str| {
        let format = ["image", "inspect", "-f", "{{.Id}}", name];
        brig.brig(&format).ok().to_owned()
    };
    let before = id("bb");
    let config = |name: &str| {
        let manifest = brig.brig(&["manifest", "inspect", name]).json();
        manifest["config"]["digest"].to_string()
    };
    // What we push podman pulls, and pushes again: packed anew, which is its way, and the same image.
    podman(&brig, &["pull", "-q", "--tls-verify=false", &policy, &ours]);
    let digest = podman(&brig, &["image", "inspect", "-f", "{{.Digest}}", &ours]);
    assert_eq!(digest, before);
    let again = format!("docker://{}", name("again:v1"));
    podman(
        &brig,
        &["push", "-q", "--tls-verify=false", &policy, &ours, &again],
    );
    brig.brig(&["pull", &name("again:v1")]).ok();
    assert_eq!(config(&name("again:v1")), config(&ours));
    // What podman makes and pushes we pull and run, and push again as it is.
    let tar = busybox_tar();
    let theirs = name("theirs:v1");
    let import = ["import", "-q", "--change", "CMD echo theirs"];
    podman(
        &brig,
        &[&import[..], &[tar.to_str().unwrap(), &theirs]].concat(),
    );
    let push = ["push", "-q", "--tls-verify=false", &policy];
    let digest_file = brig.root().join("digest");
    let told = format!("--digestfile={}", digest_file.display());
    podman(&brig, &[&push[..], &[&told, &theirs]].concat());
    let digest = fs::read_to_string(&digest_file).unwrap();
    brig.brig(&["pull", &theirs]).ok();
    assert_eq!(id(&theirs), digest.trim());
    let ran = brig.brig(&["run", "--rm", "--network", "none", &theirs]);
    assert_eq!(ran.ok(), "theirs");
    let back = name("back:v1");
    brig.brig(&["tag", &theirs, &back]).ok();
    let pushed = brig.brig(&["push", &back]);
    let says = format!("v1: digest: {} size: ", digest.trim());
    assert!(pushed.ok().contains(&says), "{pushed}");
    // And by archives.
    let (saved, theirs_saved) = (brig.root().join("ours.tar"), brig.root().join("theirs.tar"));
    let (saved, theirs_saved) = (saved.to_str().unwrap(), theirs_saved.to_str().unwrap());
    brig.brig(&["save", "-o", saved, &theirs]).ok();
    let loaded = podman(&brig, &["load", "-q", &policy, "-i", saved]);
    assert!(loaded.contains(&theirs), "{loaded}");
    let format = "--format=oci-archive";
    podman(&brig, &["save", "-q", format, "-o", theirs_saved, &ours]);
    brig.brig(&["rmi", "-f", &ours]).ok();
    let loaded = brig.brig(&["load", "-i", theirs_saved]);
    assert_eq!(loaded.ok(), format!("Loaded image: {ours}"));
    brig.finish();
}
