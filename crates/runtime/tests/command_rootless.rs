//! The command for a user without rights: a real one, with a number that nobody has.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use support::text;

/// Nobody's number, on this machine as on most.
const USER: u32 = 54_321;

fn skip(reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{reason}");
}

/// Why nothing can be tested here, if so.
fn cannot_run() -> Option<&'static str> {
    if let Some(reason) = support::cannot_run() {
        return Some(reason);
    }
    let Ok(try_it) = as_user(&["unshare", "--user", "true"]).output() else {
        return Some("SKIP: no setpriv (Debian: util-linux)");
    };
    (!try_it.status.success()).then_some("SKIP: users may make no user namespaces here")
}

/// Words run by the user, who has no group but the own and nothing to gain by execve(2).
fn as_user(words: &[&str]) -> Command {
    let number = USER.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &number, "--regid", &number, "--clear-groups"]);
    command.args(["--bounding-set", "-all", "--inh-caps", "-all"]);
    command.args(words).stdin(Stdio::null());
    command
}

/// The user's bundle, program and runtime directory.
struct Home {
    dir: tempfile::TempDir,
    config: Value,
}

impl Home {
    fn new(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let program = env!("CARGO_BIN_EXE_brig-runtime");
        support::copy_program(program.as_ref(), &path("brig-runtime"));
        support::make_root(&path("rootfs"));
        std::fs::create_dir(path("runtime")).unwrap();
        give(dir.path());
        let home = Self {
            dir,
            config: Value::Null,
        };
        let spec = home.output(&["spec", "--rootless"]);
        assert!(spec.status.success(), "{}", text(&spec.stderr));
        let written = std::fs::read(home.path("config.json")).unwrap();
        let mut config: Value = serde_json::from_slice(&written).unwrap();
        config["process"]["args"] = json!(args);
        config["process"]["terminal"] = json!(false);
        Self { config, ..home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self) {
        let text = serde_json::to_vec(&self.config).unwrap();
        sys::file::replace_unsynced(&self.path("config.json"), &text, 0o644).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let program = self.path("brig-runtime");
        let words = [&[program.to_str().unwrap()], words].concat();
        let mut command = as_user(&words);
        command
            .env("XDG_RUNTIME_DIR", self.path("runtime"))
            .current_dir(self.dir.path());
        command
    }

    fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn succeed(&self, words: &[&str]) -> String {
        let output = self.output(words);
        let said = text(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        text(&output.stdout)
    }

    fn refuse(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert!(!output.status.success(), "{}", text(&output.stdout));
        text(&output.stderr)
    }

    /// A verb whose container outlives it must not get pipes that the container keeps.
    fn detached(&self, words: &[&str]) {
        let mut command = self.command(words);
        let errors = tempfile::NamedTempFile::new().unwrap();
        command
            .stdout(Stdio::null())
            .stderr(errors.reopen().unwrap());
        let status = command.status().unwrap();
        let said = std::fs::read_to_string(errors.path()).unwrap();
        assert!(status.success(), "{words:?}: {said}");
    }

    fn assert_nothing_left(&self) {
        let state = self.path("runtime/brig-runtime");
        assert_eq!(std::fs::read_dir(state).unwrap().count(), 0);
    }
}

/// Makes everything below the user's.
fn give(path: &Path) {
    chown(path, Some(USER), Some(USER)).unwrap();
    let metadata = std::fs::symlink_metadata(path).unwrap();
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_symlink() {
                continue;
            }
            give(&entry.path());
        }
    }
}

#[test]
fn a_user_is_root_of_a_container() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let home = Home::new(&[
        "sh",
        "-c",
        "id; cat /proc/self/uid_map; touch /dev/shm/x; exit 3",
    ]);
    home.write();
    let output = home.output(&["run", "x"]);
    let said = text(&output.stdout);
    let words: Vec<_> = said.split_whitespace().collect();
    let number = USER.to_string();
    assert_eq!(
        words,
        ["uid=0", "gid=0", "0", &number, "1"],
        "{}",
        text(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(3));
    home.assert_nothing_left();
    // Whoever tidies the runtime directory up leaves what is sticky alone.
    let state = std::fs::metadata(home.path("runtime/brig-runtime")).unwrap();
    assert_eq!(state.permissions().mode() & 0o7777, 0o1700);
}

#[test]
fn a_users_container_lives_by_single_commands() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let home = Home::new(&["sleep", "1000"]);
    home.write();
    home.detached(&["create", "x"]);
    home.detached(&["start", "x"]);
    let table = home.succeed(&["list"]);
    assert!(
        table.contains(" running ") && table.ends_with(&format!("#{USER}\n")),
        "{table}"
    );
    let executed = home.output(&["exec", "x", "sh", "-c", "id -u; exit 7"]);
    assert_eq!(text(&executed.stdout), "0\n", "{}", text(&executed.stderr));
    assert_eq!(executed.status.code(), Some(7));
    let terminal = home.succeed(&["exec", "-t", "x", "tty"]);
    assert_eq!(terminal.trim(), "/dev/pts/0");
    let state: Value = serde_json::from_str(&home.succeed(&["state", "x"])).unwrap();
    let pid = i32::try_from(state["pid"].as_i64().unwrap()).unwrap();
    let pidfd = sys::pidfd::open(pid).unwrap();
    home.succeed(&["kill", "x", "KILL"]);
    let patience = std::time::Duration::from_secs(60);
    assert!(sys::pidfd::ended_within(&pidfd, patience).unwrap());
    home.succeed(&["delete", "x"]);
    home.assert_nothing_left();
    home.detached(&["create", "x"]);
    home.succeed(&["delete", "-f", "x"]);
    home.assert_nothing_left();
}

#[test]
fn what_a_user_cannot_have_is_told() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let mut home = Home::new(&["true"]);
    let good = home.config.clone();
    home.config["linux"]["uidMappings"][0]["hostID"] = json!(0);
    home.write();
    assert!(
        home.refuse(&["run", "x"])
            .contains("the caller has no rights")
    );
    home.config = good.clone();
    let namespaces = home.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "user");
    home.write();
    assert!(
        home.refuse(&["run", "x"])
            .contains("rootless container requires user namespaces")
    );
    home.config = good.clone();
    home.config["linux"]["uidMappings"][0]["size"] = json!(2);
    home.write();
    let said = home.refuse(&["run", "x"]);
    assert!(said.contains("newuidmap"), "{said}");
    // Limits need a cgroup, which the user may not make.
    home.config = good;
    home.config["linux"]["resources"] = json!({"pids": {"limit": 5}});
    home.write();
    let said = home.refuse(&["--rootless=false", "run", "x"]);
    assert!(said.contains("cgroup"), "{said}");
    home.assert_nothing_left();
}

/// With the helpers that know from /etc/subuid which ids the user has besides the own: put there,
/// with the user, in a mount namespace of the test's.
#[test]
fn a_user_has_the_ids_of_the_tables() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    if !Path::new("/usr/bin/newuidmap").exists() {
        return skip("SKIP: no newuidmap (Debian: uidmap)");
    }
    let mut home = Home::new(&[
        "sh",
        "-c",
        "cat /proc/self/uid_map /proc/self/gid_map | grep -c 00000",
    ]);
    for (field, first) in [("uidMappings", 700_000), ("gidMappings", 800_000)] {
        home.config["linux"][field] = json!([
            {"containerID": 0, "hostID": USER, "size": 1},
            {"containerID": 1, "hostID": first, "size": 65_535},
        ]);
    }
    home.write();
    let tables = [
        (
            "passwd",
            format!("root:x:0:0::/root:/bin/sh\ntester:x:{USER}:{USER}::/:/bin/sh\n"),
        ),
        ("subuid", "tester:700000:65536\n".to_owned()),
        ("subgid", "tester:800000:65536\n".to_owned()),
    ];
    let mut script = "set -e; ".to_owned();
    for (name, lines) in tables {
        sys::file::replace_unsynced(&home.path(name), lines.as_bytes(), 0o644).unwrap();
        script += &format!("test -e /etc/{name} && mount --bind {name} /etc/{name}; ");
    }
    if !Path::new("/etc/subuid").exists() || !Path::new("/etc/subgid").exists() {
        return skip("SKIP: no /etc/subuid to cover");
    }
    script +=
        &format!("exec setpriv --reuid {USER} --regid {USER} --clear-groups ./brig-runtime run x");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    command
        .env("XDG_RUNTIME_DIR", home.path("runtime"))
        .current_dir(home.dir.path());
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(text(&output.stdout), "2\n", "{}", text(&output.stderr));
    home.assert_nothing_left();
}

/// As runc has it: a cgroup that is named is wanted.
#[test]
fn a_cgroup_that_is_named_is_not_done_without() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let mut home = Home::new(&["true"]);
    home.config["linux"]["cgroupsPath"] = json!("/brig-runtime-test-of-nobody");
    home.write();
    let said = home.refuse(&["run", "x"]);
    assert!(
        said.contains("unable to apply cgroup configuration") && said.contains("permission denied"),
        "{said}"
    );
    home.assert_nothing_left();
}

/// Nor are limits, which nothing but a cgroup keeps.
#[test]
fn limits_are_not_done_without_a_cgroup() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let mut home = Home::new(&["true"]);
    let limits = [
        json!({"pids": {"limit": 5}}),
        json!({"memory": {"limit": 64 << 20}}),
        json!({"cpu": {"shares": 512}}),
        json!({"cpu": {"cpus": "0"}}),
    ];
    for limit in limits {
        home.config["linux"]["resources"] = limit.clone();
        home.write();
        let said = home.refuse(&["run", "x"]);
        let wanted = "rootless needs no limits + no cgrouppath when no permission is granted for \
                      cgroups: permission denied";
        assert!(said.contains(wanted), "{limit}: {said}");
        home.assert_nothing_left();
    }
    // Devices are kept by the user namespace, whatever the rules say.
    home.config["linux"]["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}]});
    home.write();
    home.succeed(&["run", "x"]);
    home.assert_nothing_left();
}

#[test]
fn processes_that_nobody_keeps_together_are_warned_of() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let mut home = Home::new(&["true"]);
    let namespaces = home.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "pid");
    home.config["mounts"] = json!([]);
    home.write();
    let output = home.output(&["run", "x"]);
    let said = text(&output.stderr);
    assert!(
        output.status.success() && said.contains("level=warning") && said.contains("discouraged"),
        "{said}"
    );
    home.assert_nothing_left();
}

#[test]
fn a_user_joins_a_container_of_its_own() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let mut first = Home::new(&["sleep", "1000"]);
    // With clocks of its own, which take a file of the process.
    first.config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1000}});
    let namespaces = first.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "time"}));
    first.write();
    let mut run = first.command(&["run", "-d", "x"]);
    assert!(
        run.stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    let state: Value = serde_json::from_slice(&first.output(&["state", "x"]).stdout).unwrap();
    let path = |kind: &str| format!("/proc/{}/ns/{kind}", state["pid"]);
    let mut second = Home::new(&["sh", "-c", "cat /proc/self/timens_offsets /proc/1/comm"]);
    let linux = &mut second.config["linux"];
    for gone in ["uidMappings", "gidMappings"] {
        linux.as_object_mut().unwrap().remove(gone);
    }
    let namespaces = linux["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| !["user", "pid"].contains(&namespace["type"].as_str().unwrap()));
    for kind in ["user", "pid", "time"] {
        namespaces.push(json!({"type": kind, "path": path(kind)}));
    }
    second.write();
    let output = second.output(&["run", "y"]);
    let said = text(&output.stdout);
    assert!(
        said.contains("boottime         1000         0\n"),
        "{said}{}",
        text(&output.stderr)
    );
    assert!(said.ends_with("\nsleep\n"), "{said}");
    assert!(first.output(&["delete", "--force", "x"]).status.success());
    first.assert_nothing_left();
    second.assert_nothing_left();
}

/// The link to the container's own multiplexer takes its place.
#[test]
fn a_multiplexer_that_is_asked_for_is_the_containers_own() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let mut home = Home::new(&["readlink", "/dev/ptmx"]);
    let device = json!({"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2});
    home.config["linux"]["devices"] = json!([device]);
    home.write();
    let output = home.output(&["run", "x"]);
    assert_eq!(
        text(&output.stdout),
        "pts/ptmx\n",
        "{}",
        text(&output.stderr)
    );
    home.assert_nothing_left();
}

/// Nobody but the machine's root and the container's may look into a process on its way, and the user
/// is the container's.
#[test]
fn a_user_joins_what_waits_for_its_start() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let home = Home::new(&["sleep", "1000"]);
    home.write();
    let mut create = home.command(&["create", "x"]);
    let create = create.stdout(Stdio::null()).stderr(Stdio::null());
    assert!(create.status().unwrap().success());
    let output = home.output(&["exec", "x", "id", "-u"]);
    assert_eq!(text(&output.stdout), "0\n", "{}", text(&output.stderr));
    assert!(home.output(&["delete", "--force", "x"]).status.success());
    home.assert_nothing_left();
}

/// Only a container that nobody else sees into can be joined so early.
#[test]
fn a_user_does_not_join_what_waits_among_others() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let mut home = Home::new(&["sleep", "1000"]);
    home.share_processes();
    home.write();
    home.detached(&["create", "x"]);
    let said = home.refuse(&["exec", "x", "true"]);
    assert!(said.contains("start it first"), "{said}");
    home.detached(&["start", "x"]);
    assert_eq!(home.succeed(&["exec", "x", "id", "-u"]), "0\n");
    home.succeed(&["delete", "--force", "x"]);
    home.assert_nothing_left();
}

/// What can be had of every process of this program that is seen; `seen` tells of each.
const LOOK: &str = r#"for process in /proc/[0-9]*; do
    tr '\0' ' ' 2>/dev/null <$process/cmdline | grep -q "^[^ ]*brig-runtime" || continue
    echo seen
    { tr '\0' '\n' <$process/environ | grep -q "^SECRET=" && echo environment; } 2>/dev/null
    test -e $process/root/$MARKER && echo root
    readlink $process/fd/* 2>/dev/null | grep -q . && echo descriptors
    (: <>$process/mem) 2>/dev/null && echo memory
done
# Whatever the last one was.
true
"#;

impl Home {
    /// Lets the container's processes look into all that its user namespace has power over, and those
    /// that look know a file of the user's that is not in the container.
    fn grant_looking(&mut self) {
        let marker = self.path("config.json");
        let env = self.config["process"]["env"].as_array_mut().unwrap();
        env.push(json!(format!("MARKER={}", marker.display())));
        for set in ["bounding", "effective", "permitted"] {
            self.config["process"]["capabilities"][set] =
                json!(["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"]);
        }
    }

    /// Has the container see the machine's processes.
    fn show_processes(&mut self) {
        let mounts = self.config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != "/proc");
        let options = ["rbind", "nosuid", "nodev", "noexec"];
        let proc =
            json!({"destination": "/proc", "type": "bind", "source": "/proc", "options": options});
        mounts.insert(0, proc);
        let linux = self.config["linux"].as_object_mut().unwrap();
        linux.remove("maskedPaths");
        linux.remove("readonlyPaths");
    }

    /// Has the container's processes be among the machine's.
    fn share_processes(&mut self) {
        let namespaces = self.config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "pid");
        self.show_processes();
    }

    /// Has the container join others' namespaces.
    fn join(&mut self, kinds: &[&str], pid: &Value) {
        let linux = &mut self.config["linux"];
        for gone in ["uidMappings", "gidMappings"] {
            linux.as_object_mut().unwrap().remove(gone);
        }
        let namespaces = linux["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| !kinds.contains(&namespace["type"].as_str().unwrap()));
        for kind in kinds {
            namespaces.push(json!({"type": kind, "path": format!("/proc/{pid}/ns/{kind}")}));
        }
    }

    fn pid(&self, id: &str) -> Value {
        let state: Value = serde_json::from_str(&self.succeed(&["state", id])).unwrap();
        state["pid"].clone()
    }
}

/// Whoever has all power in the container's user namespace has none over its maker.
#[test]
fn the_maker_of_a_users_container_is_closed_to_it() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    for shared in [true, false] {
        let mut home = Home::new(&["sh", "-c", LOOK]);
        home.grant_looking();
        match shared {
            true => home.share_processes(),
            false => home.show_processes(),
        }
        home.write();
        let output = home.command(&["run", "x"]).env("SECRET", "1").output();
        let output = output.unwrap();
        let (said, errors) = (text(&output.stdout), text(&output.stderr));
        assert!(said.lines().any(|line| line == "seen"), "{said}{errors}");
        assert!(said.lines().all(|line| line == "seen"), "{said}{errors}");
        home.assert_nothing_left();
    }
}

/// A container that joins others' namespaces is made before their eyes.
#[test]
fn a_users_container_is_closed_to_those_that_it_joins() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let mut first = Home::new(&["sleep", "1000"]);
    first.grant_looking();
    first.write();
    first.detached(&["run", "-d", "x"]);
    let pid = first.pid("x");
    for verb in ["create", "run"] {
        let mut second = Home::new(&["true"]);
        second.join(&["user", "pid"], &pid);
        // It stays as it is, with the machine's root, while this hook runs.
        let (begun, end) = (second.path("begun"), second.path("end"));
        let script = format!("echo > {}; cat {}", begun.display(), end.display());
        let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", script]});
        second.config["hooks"] = json!({"createRuntime": [hook]});
        second.write();
        for fifo in [&begun, &end] {
            let made = as_user(&["mkfifo", fifo.to_str().unwrap()]).status();
            assert!(made.unwrap().success());
        }
        let mut command = second.command(&[verb, "y"]);
        let command = command.env("SECRET", "1").stdout(Stdio::null());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        // Until the hook has begun.
        std::fs::read(&begun).unwrap();
        let said = first.succeed(&["exec", "x", "sh", "-c", LOOK]);
        // Ends the hook.
        drop(std::fs::File::options().write(true).open(&end).unwrap());
        assert!(child.wait().unwrap().success());
        assert_eq!(said, "seen\n", "{verb}");
        if verb == "create" {
            assert_eq!(first.succeed(&["exec", "x", "sh", "-c", LOOK]), "seen\n");
            second.succeed(&["delete", "--force", "y"]);
        }
        second.assert_nothing_left();
    }
    first.succeed(&["delete", "--force", "x"]);
    first.assert_nothing_left();
}

#[test]
fn a_joined_user_namespace_has_no_clocks_to_move() {
    if let Some(reason) = cannot_run() {
        return skip(reason);
    }
    let first = Home::new(&["sleep", "1000"]);
    first.write();
    first.detached(&["run", "-d", "x"]);
    let mut second = Home::new(&["true"]);
    second.join(&["user"], &first.pid("x"));
    second.config["linux"]["timeOffsets"] = json!({"boottime": {"secs": 1000}});
    let namespaces = second.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "time"}));
    second.write();
    let said = second.refuse(&["run", "y"]);
    assert!(
        said.contains("linux.timeOffsets: a caller without rights"),
        "{said}"
    );
    second.assert_nothing_left();
    first.succeed(&["delete", "--force", "x"]);
    first.assert_nothing_left();
}
