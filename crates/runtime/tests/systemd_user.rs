//! The systemd driver for a user without rights, with a real manager of that user's: in namespaces
//! of its own and a cgroup of version 2 that is the user's. And who is asked by root of a user
//! namespace.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::Read;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::text;

/// Nobody's number, on this machine as on most.
const USER: u32 = 54_321;

const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// The hierarchy of version 2 where this machine has it.
fn unified() -> Option<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table.lines().find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

/// Why nothing can be tested here, if so.
fn cannot_run() -> Option<&'static str> {
    if let Some(reason) = support::cannot_run() {
        return Some(reason);
    }
    if !SYSTEMD.iter().any(|path| Path::new(path).exists()) {
        return Some("SKIP: systemd is not installed");
    }
    let tools = Command::new("setpriv").arg("--version").output();
    if tools.is_err() {
        return Some("SKIP: no setpriv (Debian: util-linux)");
    }
    match unified() {
        Some(_) => None,
        None => Some("SKIP: no cgroup2 is mounted"),
    }
}

/// Directories of a cgroup that go with the test, and everything that is in them.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        let name = format!("brig-systemd-user-{}", std::process::id());
        let path = unified().unwrap().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fn remove(dir: &Path) {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    remove(&entry.path());
                }
            }
            let _ = std::fs::remove_dir(dir);
        }
        support::until("the cgroup is gone", || {
            remove(&self.0);
            !self.0.exists()
        });
    }
}

/// What runs as the first process of namespaces of its own: shows the cgroup alone, as a machine
/// with version 2 does, gives a part of it to the user, and starts the manager there.
const SCRIPT: &str = r#"
set -e
exec 2>&1
mount --make-rprivate /
# What is mounted below goes with it.
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/systemd/system /run/user/$USER_ID
mkdir -p /sys/fs/cgroup/user/manager
chown -R $USER_ID:$USER_ID /run/user/$USER_ID /sys/fs/cgroup/user $DIR
# A bus serves nobody whom the machine does not know.
cp /etc/passwd $DIR/passwd
echo "brig-test:x:$USER_ID:$USER_ID::$DIR:/bin/sh" >> $DIR/passwd
mount --bind $DIR/passwd /etc/passwd
echo $$ > /sys/fs/cgroup/user/manager/cgroup.procs
export XDG_RUNTIME_DIR=/run/user/$USER_ID HOME=$DIR
unset DBUS_SESSION_BUS_ADDRESS
# Programs with a path are util-linux's, where a shell has others of those names in itself.
as_user() { /usr/bin/setpriv --reuid $USER_ID --regid $USER_ID --clear-groups "$@"; }
as_user $SYSTEMD --user --unit=basic.target > $DIR/log 2>&1 &
tries=0
until [ -S $XDG_RUNTIME_DIR/systemd/private ]; do
    kill -0 $! && [ $tries -lt 6000 ] || { cat $DIR/log; exit 1; }
    tries=$((tries + 1)); sleep 0.01
done
cd $DIR
brig="as_user ./brig-runtime --systemd-cgroup --rootless=false"
as_user ./brig-runtime spec --rootless
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"sleep", "1000"/' config.json
# By the user's bus, and by the manager's own socket where there is none.
for bus in $XDG_RUNTIME_DIR/bus /nowhere; do
export DBUS_SESSION_BUS_ADDRESS=unix:path=$bus
$brig run -d web > out 2>&1 < /dev/null || { cat out; exit 1; }
echo unit $(as_user systemctl --user show -P ActiveState brig-web.scope)
group=$(as_user systemctl --user show -P ControlGroup brig-web.scope)
echo processes $(wc -l < /sys/fs/cgroup$group/cgroup.procs)
echo exec $($brig exec web sh -c 'cat /proc/self/cgroup' | tail -n 1)
$brig pause web
echo frozen $(grep -c '^frozen 1' /sys/fs/cgroup$group/cgroup.events)
$brig resume web
$brig delete --force web
echo unit $(as_user systemctl --user show -P ActiveState brig-web.scope)
[ ! -e /sys/fs/cgroup$group ] && echo gone
done
echo bus $(as_user systemctl --user show -P ActiveState dbus.service)
"#;

#[test]
fn a_users_manager_makes_the_cgroup() {
    if let Some(reason) = cannot_run() {
        return support::skip(reason);
    }
    let dir = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_brig-runtime");
    support::copy_program(program.as_ref(), &dir.path().join("brig-runtime"));
    support::make_root(&dir.path().join("rootfs"));
    chown(dir.path(), Some(USER), Some(USER)).unwrap();
    let tree = Tree::new();
    let systemd = SYSTEMD.iter().find(|path| Path::new(path).exists());
    // Into the cgroup first, so that it is the root of the cgroup namespace.
    let enter = "echo $$ > \"$0/cgroup.procs\"; exec /usr/bin/unshare --mount --pid --cgroup --fork \
                 --kill-child --mount-proc sh -c \"$1\"";
    let output = Command::new("sh")
        .args(["-c", enter])
        .arg(&tree.0)
        .arg(SCRIPT)
        .env("USER_ID", USER.to_string())
        .env("DIR", dir.path())
        .env("SYSTEMD", systemd.unwrap())
        .output()
        .unwrap();
    let printed = text(&output.stdout);
    let each = "unit active\nprocesses 1\nexec 0::/\nfrozen 1\nunit inactive\ngone\n";
    // Where Debian's dbus-user-session is, it is the bus that was spoken to.
    let has_bus = Path::new("/usr/lib/systemd/user/dbus.socket").exists();
    let state = if has_bus { "active" } else { "inactive" };
    let expected = format!("{each}{each}bus {state}\n");
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    assert_eq!(printed, expected, "{}\n{log}", text(&output.stderr));
}

/// What runs in a user namespace: with the systemd of a machine of its own, or without (a tmpfs hides
/// that of this machine).
const IN_USER_NAMESPACE: &str = r#"
set -e
mount -t tmpfs none /run
[ "$BOOTED" = no ] || mkdir -p /run/systemd/system
cd "$DIR"
./brig-runtime spec
sed -i 's/"terminal": true/"terminal": false/' config.json
exec ./brig-runtime --systemd-cgroup --rootless=false --root "$DIR/state" run web
"#;

/// What the runtime says first, and to whom, when root of a user namespace runs it whose ids are
/// others outside.
fn first_words(booted: &str) -> (&'static str, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let program = env!("CARGO_BIN_EXE_brig-runtime");
    support::copy_program(program.as_ref(), &path("brig-runtime"));
    support::make_root(&path("rootfs"));
    let bus = |name| {
        let bus = UnixListener::bind(path(name)).unwrap();
        bus.set_nonblocking(true).unwrap();
        chown(path(name), Some(USER), Some(USER)).unwrap();
        (name, bus)
    };
    let buses = [bus("system"), bus("bus")];
    chown(dir.path(), Some(USER), Some(USER)).unwrap();
    let user = USER.to_string();
    let mut child = Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
        .args(["unshare", "--user", "--map-root-user", "--mount"])
        .args(["sh", "-c", IN_USER_NAMESPACE])
        .envs([("BOOTED", booted), ("DBUS_SESSION_BUS_ADDRESS", "")])
        .env("DIR", dir.path())
        .env("XDG_RUNTIME_DIR", dir.path())
        .env(
            "DBUS_SYSTEM_BUS_ADDRESS",
            format!("unix:path={}", path("system").display()),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut met = None;
    support::until("the runtime asks, or gives up", || {
        met = buses
            .iter()
            .find_map(|(name, bus)| Some((*name, bus.accept().ok()?.0)));
        met.is_some() || child.try_wait().unwrap().is_some()
    });
    let Some((name, mut line)) = met else {
        panic!("{}", text(&child.wait_with_output().unwrap().stderr));
    };
    line.set_nonblocking(false).unwrap();
    let mut words = [0; 64];
    let count = line.read(&mut words).unwrap();
    // It gets no answer, and gives up.
    drop((line, buses));
    assert!(!child.wait_with_output().unwrap().status.success());
    (name, text(&words[..count]))
}

/// As in LXC, where root is somebody else outside, and may have a bus of the user's as well.
#[test]
fn root_of_a_machine_in_a_user_namespace_asks_its_own_systemd() {
    if let Some(reason) = support::cannot_run() {
        return support::skip(reason);
    }
    let words = |id: &str| {
        let id: String = id.bytes().map(|b| format!("{b:02x}")).collect();
        format!("\0AUTH EXTERNAL {id}\r\nBEGIN\r\n")
    };
    assert_eq!(first_words("yes"), ("system", words("0")));
    // Of somebody outside's.
    assert_eq!(first_words("no"), ("bus", words(&USER.to_string())));
}
