//! Volumes that are no directory of Brig's own: memory, devices, servers; and mounts that cannot be.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use testkit::{Brig, Client, Output, clients, root, until};

fn create(brig: &Brig, client: Client, name: &str, options: &[&str]) {
    let options: Vec<&str> = options.iter().flat_map(|o| ["-o", o]).collect();
    let all = [&["volume", "create"], options.as_slice(), &[name]].concat();
    brig.with(client, &all).ok();
}

fn run(brig: &Brig, client: Client, flags: &[&str], script: &str) -> Output {
    let all = [
        &["run", "--rm", "--network", "none"],
        flags,
        &["bb", "sh", "-c", script],
    ];
    brig.with(client, &all.concat())
}

fn mountpoint(brig: &Brig, name: &str) -> PathBuf {
    let format = ["volume", "inspect", "-f", "{{.Mountpoint}}", name];
    brig.brig(&format).ok().trim().into()
}

/// Whether something is mounted on the machine at a volume's place.
fn is_mounted(brig: &Brig, name: &str) -> bool {
    let place = mountpoint(brig, name);
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let at = |line: &str| line.split(' ').nth(4) == place.to_str();
    table.lines().any(at)
}

const HOLDS: [&str; 8] = [
    "run",
    "-d",
    "--network",
    "none",
    "-v",
    "memory:/m",
    "--name",
    "holds",
];

#[test]
fn memory_is_shared_while_somebody_runs() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    for client in clients() {
        let options = ["type=tmpfs", "device=tmpfs", "o=size=1m,uid=33,nosuid"];
        create(&brig, client, "memory", &options);
        assert!(!is_mounted(&brig, "memory"));
        let script = "echo first > /m/file; exec sleep 1000";
        let holds = [&HOLDS[..], &["bb", "sh", "-c", script]].concat();
        brig.with(client, &holds).ok();
        let shows = ["-v", "memory:/m"];
        until("what the first container wrote", || {
            let read = run(&brig, client, &shows, "cat /m/file");
            (read.stdout == "first\n").then_some(())
        });
        let look = "stat -c %u /m; df -k /m | tail -1 | awk '{print $2}'; \
            grep ' /m ' /proc/mounts | grep -c nosuid";
        assert_eq!(run(&brig, client, &shows, look).ok(), "33\n1024\n1");
        // Who has it read-only leaves it as it is for others.
        let protected = run(&brig, client, &["-v", "memory:/m:ro"], "touch /m/x");
        assert!(protected.stderr.contains("Read-only"), "{protected}");
        run(&brig, client, &shows, "echo second > /m/second").ok();
        let refused = brig.with(client, &["volume", "rm", "memory"]);
        assert!(refused.fails(1).contains("in use"), "{refused}");
        // What runs keeps it, also while there is no daemon.
        brig.kill_daemon();
        brig.start_daemon();
        assert_eq!(run(&brig, client, &shows, "cat /m/second").ok(), "second");
        brig.with(client, &["rm", "-f", "holds"]).ok();
        until("the end of the mount", || {
            (!is_mounted(&brig, "memory")).then_some(())
        });
        assert_eq!(run(&brig, client, &shows, "ls /m").ok(), "");
        // A start that fails leaves nothing mounted.
        let failed = ["run", "--rm", "-v", "memory:/m", "bb", "/no/such/program"];
        assert_eq!(brig.with(client, &failed).code, 127);
        assert!(!is_mounted(&brig, "memory"));
        brig.with(client, &["volume", "rm", "memory"]).ok();
    }
    brig.finish();
}

#[test]
fn memory_that_nobody_named_goes_with_its_container() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let mount = "type=volume,dst=/m,volume-opt=type=tmpfs,volume-opt=device=tmpfs";
    for client in clients() {
        let shown = run(
            &brig,
            client,
            &["--mount", mount],
            "touch /m/x; grep -c '^tmpfs /m ' /proc/mounts",
        );
        assert_eq!(shown.ok(), "1");
        assert_eq!(brig.brig(&["volume", "ls", "-q"]).ok(), "");
    }
    brig.finish();
}

/// A block device whose bytes are in a file.
struct Loop(String);

impl Loop {
    /// With a file system on it that this machine's kernel has.
    fn new(brig: &Brig, kind: &str) -> Option<Self> {
        let known = fs::read_to_string("/proc/filesystems").unwrap();
        if !known.split_whitespace().any(|word| word == kind) {
            eprintln!("SKIP: this kernel has no {kind}");
            return None;
        }
        let disk = brig.root().join(kind);
        fs::File::create(&disk).unwrap().set_len(512 << 20).unwrap();
        let program = format!("mkfs.{kind}");
        let make = Command::new(&program).arg("-q").arg(&disk).status();
        if !make.is_ok_and(|status| status.success()) {
            eprintln!("SKIP: no {program} here");
            return None;
        }
        let mut losetup = Command::new("losetup");
        let output = losetup.args(["--find", "--show"]).arg(&disk).output();
        let output = output.unwrap();
        if !output.status.success() {
            eprintln!("SKIP: no loop device here");
            return None;
        }
        let name = String::from_utf8(output.stdout).unwrap();
        Some(Self(name.trim().to_owned()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}

#[test]
fn a_device_is_shared() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for kind in ["ext4", "xfs", "btrfs"] {
        if let Some(device) = Loop::new(&brig, kind) {
            device_is_shared(&brig, kind, &device);
        }
    }
    brig.finish();
}

fn device_is_shared(brig: &Brig, kind: &str, device: &Loop) {
    let (kind, option) = (format!("type={kind}"), format!("device={}", device.0));
    for client in clients() {
        create(brig, client, "disk", &[&kind, &option, "o=noatime"]);
        let holds = [
            "run",
            "-d",
            "--name",
            "holds",
            "--network",
            "none",
            "-v",
            "disk:/m",
            "bb",
            "sleep",
            "1000",
        ];
        brig.with(client, &holds).ok();
        run(brig, client, &["-v", "disk:/m"], "echo kept > /m/file").ok();
        let read = brig.with(client, &["exec", "holds", "cat", "/m/file"]);
        assert_eq!(read.ok(), "kept");
        assert!(!is_mounted(brig, "disk"));
        let wrong = brig.brig(&["volume", "clone", "disk", "twin"]);
        assert!(wrong.fails(1).contains("cannot be cloned"), "{wrong}");
        brig.with(client, &["rm", "-f", "holds"]).ok();
        let again = run(brig, client, &["-v", "disk:/m"], "cat /m/file");
        assert_eq!(again.ok(), "kept");
        brig.with(client, &["volume", "rm", "disk"]).ok();
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let options = "o=addr=127.0.0.1,port=1,vers=4,soft,timeo=5,retrans=1";
        let share = ["type=nfs", "device=:/export", options];
        create(&brig, client, "share", &share);
        let refused = run(&brig, client, &["-v", "share:/s"], "true");
        // Without the file system, or without the server.
        let text = refused.fails(125);
        assert!(
            text.contains("nfs") || text.contains(":/export"),
            "{refused}"
        );
        let named = ["type=nfs", "device=:/export", "o=addr=nowhere.invalid"];
        create(&brig, client, "named", &named);
        let refused = run(&brig, client, &["-v", "named:/s"], "true");
        let text = refused.fails(125);
        assert!(
            text.contains("nowhere.invalid") || text.contains("nfs"),
            "{refused}"
        );
        create(&brig, client, "strange", &["type=nosuchfs", "device=none"]);
        let refused = run(&brig, client, &["-v", "strange:/s"], "true");
        assert!(
            refused.fails(125).contains(
                "the volume's type \"nosuchfs\" is no file system that this machine's kernel has"
            ),
            "{refused}"
        );
        assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
        let all = ["volume", "rm", "share", "named", "strange"];
        brig.with(client, &all).ok();
    }
    brig.finish();
}

#[test]
fn mounts_that_cannot_be_are_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let here = brig.root().display().to_string();
    let bind = |rest: &str| format!("type=bind,src={here}{rest}");
    let table = [
        ("type=bind,src=,dst=/m".to_owned(), "source"),
        ("type=bind,dst=/m".to_owned(), "source"),
        (
            "type=bind,src=/no/such/place,dst=/m".to_owned(),
            "bind source path does not exist: /no/such/place",
        ),
        (bind(",dst=/"), "destination can't be '/'"),
        (bind(",dst=m"), "mount path must be absolute"),
        (bind(""), "target is required"),
        (bind(",dst=/m,bind-propagation=odd"), "odd"),
        (bind(",dst=/m,volume-nocopy=true"), "cannot mix 'volume-*'"),
        (bind(",dst=/m,colour=red"), "unexpected key 'colour'"),
        (
            "type=volume,src=v1,dst=/m,volume-subpath=../x".to_owned(),
            "volume-subpath|must be a relative path",
        ),
        (
            "type=volume,src=v1,dst=/m,volume-driver=other".to_owned(),
            "plugin \"other\" not found|other",
        ),
        (
            "type=volume,src=v1,dst=/m,volume-opt=type=tmpfs".to_owned(),
            "missing required option: \"device\"",
        ),
        (
            "type=volume,src=/v1,dst=/m".to_owned(),
            "includes invalid characters",
        ),
        ("type=tmpfs,dst=/m,src=/x".to_owned(), "source|field Source"),
        ("type=tmpfs,dst=/m,tmpfs-size=much".to_owned(), "much"),
        ("type=other,src=v1,dst=/m".to_owned(), "other"),
    ];
    for client in clients() {
        for (mount, reason) in &table {
            let refused = brig.with(
                client,
                &["create", "--pull", "never", "--mount", mount, "bb", "true"],
            );
            assert_ne!(refused.code, 0, "{mount}: {refused}");
            let text = refused.stderr.to_lowercase();
            let told = reason
                .split('|')
                .any(|reason| text.contains(&reason.to_lowercase()));
            assert!(told, "{mount}: {refused}");
        }
        options_that_cannot_be(&brig, client);
        assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
        // Docker makes none before it refuses either; one that is made is nobody's.
        brig.brig(&["volume", "prune", "-af"]).ok();
    }
    brig.finish();
}

/// Of a tmpfs: what is known to be wrong, and what only the kernel knows.
fn options_that_cannot_be(brig: &Brig, client: Client) {
    for (options, said) in [
        ("size=zz", "\"size=zz\": a number of bytes"),
        ("mode=9", "\"mode=9\": an octal number"),
    ] {
        let tmpfs = format!("/m:{options}");
        let refused = brig.with(client, &["create", "--tmpfs", &tmpfs, "bb", "true"]);
        assert!(refused.stderr.contains(said), "{refused}");
    }
    // What only the kernel knows is told in its words.
    let options = [
        "--opt",
        "type=tmpfs",
        "--opt",
        "device=tmpfs",
        "--opt",
        "o=mpol=odd",
    ];
    brig.with(
        client,
        &[&["volume", "create"], &options[..], &["odd"]].concat(),
    )
    .ok();
    let run = [
        "run",
        "--rm",
        "--network",
        "none",
        "-v",
        "odd:/m",
        "bb",
        "true",
    ];
    let refused = brig.with(client, &run);
    let told =
        refused.stderr.contains("mpol=odd: ") && refused.stderr.contains("Bad value for 'mpol'");
    assert!(told, "{refused}");
    brig.with(client, &["volume", "rm", "odd"]).ok();
}
