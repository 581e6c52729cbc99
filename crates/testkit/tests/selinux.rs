//! Containers that SELinux confines, with a policy that is enforced. A kernel gives none back that it has been
//! given, so this is for a machine that lives for the test: `cargo xtask vm-test --selinux`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use testkit::{Brig, Client, Output, Setup, clients, root};

/// Containers (`container_t`) read what is the machine's (`base_t`), write to what is theirs
/// (`container_file_t`), and reach nothing whose categories they have not; `spc_t` and the machine do all.
/// What is not named is allowed. Made by secilc of types, levels with 1024 categories and
///
/// ```text
/// (class process (transition dyntransition)) (class file (write read open)) (class dir (relabelto))
/// (allow container_t container_file_t (file (write read open)))
/// (allow container_t base_t (file (read open)))
/// (mlsconstrain (file (write read open)) (or (dom h1 h2) (neq t1 container_t)))
/// ```
///
/// with everything else allowed between `base_t`, `spc_t` and all.
const POLICY: &[u8] = include_bytes!("data/selinux.policy");

const CONTEXTS: &str = "process = \"system_u:system_r:container_t:s0\"\n\
    content = \"system_u:object_r:container_file_t:s0\"\n\
    file = \"system_u:object_r:container_file_t:s0\"\n";

const PROCESS: &str = "system_u:system_r:container_t:s0:c";
const FILE: &str = "system_u:object_r:container_file_t:s0";

/// The policy is all tests': one at a time.
static POLICY_IS_MINE: Mutex<()> = Mutex::new(());

/// Has the policy enforced until it is dropped.
struct Enforced;

impl Enforced {
    /// None where that is not the test's to do.
    fn begin() -> Option<Self> {
        if !Path::new("/sys/fs/selinux/load").exists() {
            eprintln!("SKIP: SELinux is not enabled in this kernel");
            return None;
        }
        if std::env::var_os("BRIG_IN_VM").is_none() {
            eprintln!("SKIP: this machine's policy is not the test's to replace");
            return None;
        }
        fs::create_dir_all("/etc/selinux/brig/contexts").unwrap();
        fs::write("/etc/selinux/config", "SELINUXTYPE=brig\n").unwrap();
        fs::write("/etc/selinux/brig/contexts/lxc_contexts", CONTEXTS).unwrap();
        fs::write("/sys/fs/selinux/load", POLICY).unwrap();
        fs::write("/sys/fs/selinux/enforce", "1").unwrap();
        Some(Self)
    }
}

impl Drop for Enforced {
    fn drop(&mut self) {
        let _ = fs::write("/sys/fs/selinux/enforce", "0");
    }
}

/// The label of a file of the machine.
fn label(path: &Path) -> String {
    let mut getfattr = Command::new("getfattr");
    let words = [
        "--no-dereference",
        "--only-values",
        "-n",
        "security.selinux",
    ];
    let shown = Output::of(getfattr.args(words).arg(path));
    shown.stdout.trim_end_matches('\0').to_owned()
}

/// A directory of the machine's with a file.
fn place(brig: &Brig, name: &str) -> std::path::PathBuf {
    let dir = brig.root().join(name);
    fs::create_dir_all(dir.join("inner")).unwrap();
    fs::write(dir.join("inner/file"), "of the machine\n").unwrap();
    dir
}

fn run(brig: &Brig, client: Client, flags: &[&str], script: &str) -> Output {
    let words = [&["run", "--rm"], flags, &["bb", "sh", "-c", script]].concat();
    brig.with(client, &words)
}

/// Each has categories of its own, sessions in it the same, and inspect says which.
fn containers_are_called_differently(brig: &Brig, client: Client) {
    let mut seen = Vec::new();
    for name in ["one", "other"] {
        brig.with(
            client,
            &["run", "-d", "--name", name, "bb", "sleep", "1000"],
        )
        .ok();
        let shown = brig.inspect(name);
        let process = shown["ProcessLabel"].as_str().unwrap().to_owned();
        let mount = shown["MountLabel"].as_str().unwrap().to_owned();
        assert!(process.starts_with(PROCESS), "{process}");
        let level = process.rsplit_once(":c").unwrap().1;
        assert_eq!(
            mount,
            format!("{FILE}:{}", process.splitn(5, ':').last().unwrap()),
            "{level}"
        );
        for session in [&["exec", name][..], &["exec", "--privileged", name]] {
            let current = ["cat", "/proc/self/attr/current"];
            let said = brig.with(client, &[session, &current[..]].concat());
            assert_eq!(said.ok().trim_end_matches('\0'), process);
        }
        // Its own files, and those that are made for it.
        let uses = "echo x >/file && echo x >/tmp/file && echo x >/dev/shm/file && cat /etc/hosts && echo x >>/etc/hosts";
        brig.with(client, &["exec", name, "sh", "-c", uses]).ok();
        seen.push(process);
    }
    assert_ne!(seen[0], seen[1]);
    brig.with(client, &["rm", "-f", "one", "other"]).ok();
}

/// What the machine has is written to by those who have it labelled for them.
fn binds_are_labelled_as_asked(brig: &Brig, client: Client) {
    let dir = place(brig, &format!("bound-{client:?}"));
    let volume = |mode: &str| format!("{}:/m{mode}", dir.display());
    let before = label(&dir.join("inner/file"));
    let write = "echo mine >/m/inner/file";
    let refused = run(brig, client, &["-v", &volume("")], write);
    assert!(refused.stderr.contains("Permission denied"), "{refused}");
    assert_eq!(label(&dir.join("inner/file")), before);
    run(brig, client, &["-v", &volume(":z")], write).ok();
    for path in ["", "inner", "inner/file"] {
        assert_eq!(label(&dir.join(path)), FILE, "{path}");
    }
    run(brig, client, &["-v", &volume("")], write).ok();
    // One container's own.
    let own = volume(":Z");
    brig.with(
        client,
        &[
            "run", "-d", "--name", "owner", "-v", &own, "bb", "sleep", "1000",
        ],
    )
    .ok();
    let owners = brig.inspect("owner")["MountLabel"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(label(&dir.join("inner/file")), owners);
    brig.with(client, &["exec", "owner", "sh", "-c", write])
        .ok();
    let refused = run(brig, client, &["-v", &volume("")], "cat /m/inner/file");
    assert!(refused.stderr.contains("Permission denied"), "{refused}");
    // Who shares its processes may what it may.
    let joined = ["--pid", "container:owner", "-v", &volume("")];
    run(brig, client, &joined, "cat /m/inner/file").ok();
    brig.with(client, &["rm", "-f", "owner"]).ok();
    let refused = run(brig, client, &["-v", "/usr:/m:z"], "true");
    assert!(
        refused
            .stderr
            .contains("SELinux relabeling of /usr is not allowed"),
        "{refused}"
    );
    assert_eq!(refused.code, 125);
}

/// What is laid of layers and what is mounted later is the container's as well.
fn images_and_what_comes_later_are_labelled(brig: &Brig, client: Client) {
    let image = ["--mount", "type=image,src=bb,dst=/i"];
    run(brig, client, &image, "cat /i/etc/passwd").ok();
    let dir = place(brig, &format!("later-{client:?}"));
    let sleep = ["run", "-d", "--name", "runs", "bb", "sleep", "1000"];
    brig.with(client, &sleep).ok();
    let add = |mount: &str| brig.brig(&["update", "--mount-add", mount, "runs"]);
    let exec = |script: &str| brig.with(client, &["exec", "runs", "sh", "-c", script]);
    add("type=tmpfs,target=/memory").ok();
    exec("echo x >/memory/file").ok();
    add("type=volume,source=shared,target=/volume").ok();
    exec("echo x >/volume/file").ok();
    let image = add("type=image,source=bb,target=/image");
    // Before Linux 6.5 an image is mounted by a start only.
    if !image.stderr.contains("this kernel has no part") {
        image.ok();
        exec("cat /image/etc/passwd").ok();
    }
    add(&format!("type=bind,source={},target=/bound", dir.display())).ok();
    let refused = exec("echo x >/bound/inner/file");
    assert!(refused.stderr.contains("Permission denied"), "{refused}");
    brig.with(client, &["rm", "-f", "runs"]).ok();
    brig.with(client, &["volume", "rm", "shared"]).ok();
}

/// Commands of builds are confined as containers are, and reach what they are given.
fn steps_of_builds_are_confined(brig: &Brig) {
    let context = brig.root().join("context");
    fs::create_dir_all(&context).unwrap();
    fs::write(context.join("file"), "of the context\n").unwrap();
    fs::write(context.join("secret"), "of nobody\n").unwrap();
    let file = "FROM bb AS other\n\
        RUN echo made >/made\n\
        FROM bb\n\
        RUN --mount=type=cache,target=/cache --mount=type=bind,target=/context \\\n\
        --mount=type=secret,id=s --mount=type=bind,from=other,source=/made,target=/made \\\n\
        --mount=type=tmpfs,target=/memory \\\n\
        echo x >/cache/file && echo x >/memory/file && cat /context/file /run/secrets/s /made /etc/hosts && \\\n\
        echo x >>/etc/hosts && tr -d '\\0' </proc/self/attr/current >/label\n";
    fs::write(context.join("Dockerfile"), file).unwrap();
    let secret = format!("id=s,src={}", context.join("secret").display());
    let path = context.display().to_string();
    let build = ["build", "--secret", &secret, "-t", "built", &path];
    brig.brig(&build).ok();
    let said = brig.brig(&["run", "--rm", "built", "cat", "/label"]);
    assert!(said.ok().starts_with(PROCESS), "{said}");
}

/// Volumes are for all who have them.
fn volumes_are_shared(brig: &Brig, client: Client) {
    for word in ["first", "second"] {
        let script = format!("echo {word} >>/m/file && cat /m/file");
        let said = run(brig, client, &["-v", "shared:/m"], &script);
        assert!(said.ok().ends_with(word), "{said}");
    }
    let long = ["--mount", "type=volume,src=shared,dst=/m"];
    assert_eq!(
        run(brig, client, &long, "cat /m/file").ok(),
        "first\nsecond"
    );
    brig.with(client, &["volume", "rm", "shared"]).ok();
}

fn options_say_what_a_container_is_called(brig: &Brig, client: Client) {
    let dir = place(brig, &format!("plain-{client:?}"));
    let bound = format!("{}:/m", dir.display());
    let current = "tr -d '\\0' </proc/self/attr/current; echo x >/m/inner/file";
    let base = "system_u:system_r:base_t:s0-s0:c0.c1023";
    for (flags, expected) in [
        (&["--security-opt", "label=disable"][..], base),
        (&["--privileged"], base),
        (&["--pid", "host"], base),
        (
            &[
                "--security-opt",
                "label=type:spc_t",
                "--security-opt",
                "label=level:s0:c3,c5",
            ],
            "system_u:system_r:spc_t:s0:c3,c5",
        ),
    ] {
        let flags = [flags, &["-v", &bound]].concat();
        assert_eq!(
            run(brig, client, &flags, current).ok(),
            expected,
            "{flags:?}"
        );
    }
    for (option, reason) in [
        ("label=color:red", "disable is expected"),
        ("label=type:nobody_t", "SELinux's policy does not know"),
    ] {
        let refused = run(brig, client, &["--security-opt", option], "true");
        assert!(refused.stderr.contains(reason), "{refused}");
        assert!(refused.code == 125 || refused.code == 126, "{refused}");
    }
}

#[test]
fn containers_are_confined_where_a_policy_is_enforced() {
    if !root() {
        return;
    }
    let _mine = POLICY_IS_MINE
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let Some(enforced) = Enforced::begin() else {
        return;
    };
    let brig = Brig::start_with(Setup {
        flags: vec!["--selinux-enabled".to_owned()],
        ..Setup::default()
    });
    brig.import_busybox();
    let info = brig.brig(&["info", "--format", "{{json .SecurityOptions}}"]);
    assert!(info.ok().contains("name=selinux"), "{info}");
    for client in clients() {
        containers_are_called_differently(&brig, client);
        binds_are_labelled_as_asked(&brig, client);
        volumes_are_shared(&brig, client);
        options_say_what_a_container_is_called(&brig, client);
        images_and_what_comes_later_are_labelled(&brig, client);
    }
    steps_of_builds_are_confined(&brig);
    brig.finish();
    drop(enforced);
}

/// As with a dockerd that is not told to use SELinux, but for labels that somebody asks for.
#[test]
fn without_selinux_nothing_is_labelled_and_labels_are_refused() {
    if !root() {
        return;
    }
    let _mine = POLICY_IS_MINE
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let brig = Brig::with_image();
    for client in clients() {
        let dir = place(&brig, &format!("plain-{client:?}"));
        let before = label(&dir);
        for mode in ["z", "Z"] {
            let bound = format!("{}:/m:{mode}", dir.display());
            run(&brig, client, &["-v", &bound], "cat /m/inner/file").ok();
        }
        assert_eq!(label(&dir), before);
        run(&brig, client, &["--security-opt", "label=disable"], "true").ok();
        let refused = run(
            &brig,
            client,
            &["--security-opt", "label=type:spc_t"],
            "true",
        );
        assert!(refused.fails(125).contains("selinux-enabled"), "{refused}");
    }
    let id = brig
        .brig(&["create", "--security-opt", "label=disable", "bb", "true"])
        .ok()
        .to_owned();
    let shown = brig.inspect(&id);
    assert_eq!(shown["ProcessLabel"], "");
    assert_eq!(
        shown["HostConfig"]["SecurityOpt"],
        serde_json::json!(["label=disable"])
    );
    brig.finish();
}
