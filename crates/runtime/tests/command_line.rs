//! The command line flag by flag, and beside runc's own where Debian's is there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use support::{Bundle, text};

macro_rules! need_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            skip(reason);
            return;
        }
    };
}

fn skip(reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{reason}");
}

fn succeed(bundle: &Bundle, words: &[&str]) -> String {
    let output = bundle.output(words);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    text(&output.stdout)
}

fn refuse(bundle: &Bundle, words: &[&str]) -> String {
    let output = bundle.output(words);
    assert!(
        !output.status.success(),
        "{words:?}: {}",
        text(&output.stdout)
    );
    text(&output.stderr)
}

/// A verb whose container outlives it must not get pipes that the container keeps.
fn detached(command: &mut Command) {
    let errors = tempfile::tempfile().unwrap();
    let status = command
        .stdout(Stdio::null())
        .stderr(errors.try_clone().unwrap())
        .status()
        .unwrap();
    assert!(status.success(), "{}", read_back(errors));
}

fn read_back(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek};
    file.rewind().unwrap();
    let mut said = String::new();
    file.read_to_string(&mut said).unwrap();
    said
}

/// A container that sleeps.
fn sleeping() -> Bundle {
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.write();
    detached(&mut bundle.command(&["run", "-d", "ID"]));
    bundle
}

fn delete(bundle: &Bundle) {
    succeed(bundle, &["delete", "--force", "ID"]);
    bundle.assert_nothing_left();
}

fn state(bundle: &Bundle) -> Value {
    serde_json::from_str(&succeed(bundle, &["state", "ID"])).unwrap()
}

/// Debian's newest runc in its own root, where the benchmark's peers are unpacked.
fn runc() -> Option<PathBuf> {
    let cache = std::env::var_os("BRIG_CACHE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache"),
        PathBuf::from,
    );
    let root = cache.join("peers/sid");
    (root.join("usr/sbin/runc").exists() || root.join("usr/bin/runc").exists()).then_some(root)
}

fn runc_output(root: &Path, words: &[&str]) -> Output {
    let mut command = Command::new("chroot");
    command.arg(root).args(["runc", "--root", "/tmp/none"]);
    command.args(words).output().unwrap()
}

/// The message of a line in the text format, without runc's name.
fn message(output: &Output) -> String {
    let said = text(&output.stderr);
    let (_, message) = said.rsplit_once("msg=").unwrap_or_default();
    let message = message.trim().trim_matches('"').replace("\\\"", "\"");
    let message = message.strip_suffix("\\n").unwrap_or(&message);
    message.strip_prefix("runc: ").unwrap_or(message).to_owned()
}

#[test]
fn mistakes_are_answered_as_runc_answers_them() {
    let Some(root) = runc() else {
        return skip("SKIP: no runc to compare with (scripts/setup.sh bench)");
    };
    if !sys::term::is_root() {
        return skip("SKIP: a chroot needs root");
    }
    let bundle = Bundle::new(&["true"]);
    let mistakes: &[&[&str]] = &[
        &["state", "nope"],
        &["start", "nope"],
        &["delete", "nope"],
        &["delete", "--force", "nope"],
        &["delete", "nope", "--force"],
        &["kill", "nope"],
        &["exec", "nope", "true"],
        &["exec"],
        &["state"],
        &["state", "a", "b"],
        &["state", "../x"],
        &["state", "a/b"],
        &["frob"],
        &["--frob"],
        &["run", "--frob", "x"],
        &["spec", "x"],
        &["kill", "a", "b", "c"],
        &["--log-format", "foo", "list"],
        &["run", "-bundle"],
    ];
    for words in mistakes {
        let (theirs, ours) = (runc_output(&root, words), bundle.output(words));
        assert_eq!(ours.status.code(), theirs.status.code(), "{words:?}");
        let (theirs, ours) = (message(&theirs), message(&ours));
        assert!(ours.contains(&theirs), "{words:?}: {ours:?} {theirs:?}");
    }
}

#[test]
fn the_configuration_to_begin_with_is_runcs() {
    let Some(root) = runc() else {
        return skip("SKIP: no runc to compare with (scripts/setup.sh bench)");
    };
    if !sys::term::is_root() {
        return skip("SKIP: a chroot needs root");
    }
    for words in [&["spec"][..], &["spec", "--rootless"]] {
        let theirs = tempfile::tempdir_in(root.join("tmp")).unwrap();
        let inside = Path::new("/tmp").join(theirs.path().file_name().unwrap());
        let (inside, ours) = (inside.to_str().unwrap(), tempfile::tempdir().unwrap());
        let output = runc_output(&root, &[words, &["--bundle", inside]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let bundle = Bundle::new(&["true"]);
        let dir = ours.path().to_str().unwrap();
        succeed(&bundle, &[words, &["--bundle", dir]].concat());
        let read = |dir: &Path| -> Value {
            let text = std::fs::read(dir.join("config.json")).unwrap();
            serde_json::from_slice(&text).unwrap()
        };
        assert_eq!(
            comparable(read(ours.path())),
            comparable(read(theirs.path())),
            "{words:?}"
        );
    }
}

/// Without what is ours: versions, the name, paths hidden on top, and the cgroup namespace, which
/// runc has where it sees version 2 and in its chroot sees nothing.
fn comparable(mut config: Value) -> Value {
    config["ociVersion"] = Value::Null;
    config["hostname"] = Value::Null;
    let linux = &mut config["linux"];
    let list = |value: &mut Value| value.as_array().unwrap().clone();
    let mut masked = list(&mut linux["maskedPaths"]);
    masked.retain(|path| *path != "/proc/interrupts" && *path != "/sys/devices/virtual/powercap");
    masked.sort_by_key(ToString::to_string);
    linux["maskedPaths"] = json!(masked);
    let mut namespaces = list(&mut linux["namespaces"]);
    namespaces.retain(|namespace| namespace["type"] != "cgroup");
    linux["namespaces"] = json!(namespaces);
    config
}

/// The flags of a help, each with its short form and whether it takes a value.
fn flags(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start);
    let flags = lines.filter(|line| line.starts_with("--"));
    let columns = flags.filter_map(|line| line.split("  ").next());
    columns.map(|flag| flag.trim_end().to_owned()).collect()
}

#[test]
fn every_verb_and_flag_of_runc_is_here() {
    let Some(root) = runc() else {
        return skip("SKIP: no runc to compare with (scripts/setup.sh bench)");
    };
    if !sys::term::is_root() {
        return skip("SKIP: a chroot needs root");
    }
    let bundle = Bundle::new(&["true"]);
    let helps = |words: &[&str]| {
        let theirs = runc_output(&root, words);
        assert!(theirs.status.success(), "{words:?}");
        (text(&theirs.stdout), succeed(&bundle, words))
    };
    let (theirs, ours) = helps(&["--help"]);
    let (_, verbs) = theirs.split_once("COMMANDS:\n").unwrap();
    let verbs = verbs.lines().take_while(|line| !line.is_empty());
    let verbs: Vec<_> = verbs
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help,")
        .collect();
    assert!(verbs.len() > 15, "{theirs}");
    let missing = |theirs: &str, ours: &str| -> Vec<String> {
        flags(theirs).difference(&flags(ours)).cloned().collect()
    };
    assert_eq!(missing(&theirs, &ours), [""; 0]);
    for verb in verbs {
        let (theirs, ours) = helps(&[verb, "--help"]);
        assert_eq!(missing(&theirs, &ours), [""; 0], "{verb}");
    }
}

#[test]
fn help_and_version_have_runcs_form() {
    let bundle = Bundle::new(&["true"]);
    for words in [&["--help"][..], &["-h"], &["help"], &[]] {
        let help = succeed(&bundle, words);
        assert!(help.contains("runc - Open Container Initiative runtime"));
        assert!(help.contains("\n   checkpoint ") || help.contains("\n   create "));
    }
    assert!(succeed(&bundle, &["run", "--help"]).contains("--bundle value, -b value"));
    assert!(succeed(&bundle, &["help", "exec"]).contains("runc exec"));
    for words in [&["--version"][..], &["-v"]] {
        let lines = succeed(&bundle, words);
        let lines: Vec<_> = lines.lines().collect();
        assert!(lines[0].contains("runc version "), "{lines:?}");
        assert!(lines[1].starts_with("commit: ") && lines[2].starts_with("spec: 1."));
    }
}

#[test]
fn states_have_runcs_fields() {
    need_containers!();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.config["annotations"] = json!({"b": "2", "a": "1"});
    bundle.write();
    detached(&mut bundle.command(&["create", "ID"]));
    let said = succeed(&bundle, &["state", "ID"]);
    let fields: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("  \"")?.split('"').next())
        .collect();
    let expected = [
        "ociVersion",
        "id",
        "pid",
        "status",
        "bundle",
        "rootfs",
        "created",
        "annotations",
        "owner",
    ];
    assert_eq!(fields, expected);
    let table = succeed(&bundle, &["list"]);
    let words: Vec<_> = table.split_whitespace().collect();
    assert_eq!(
        words[..7],
        [
            "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER", &bundle.id
        ]
    );
    // By number where there is no table of users.
    let owner = words[words.len() - 1];
    assert!(["root", "#0"].contains(&owner), "{table}");
    let listed: Value = serde_json::from_str(&succeed(&bundle, &["list", "-format=json"])).unwrap();
    assert_eq!(
        (&listed[0]["owner"], &listed[0]["status"]),
        (&json!(owner), &json!("created"))
    );
    delete(&bundle);
    assert_eq!(succeed(&bundle, &["list", "-q"]), "");
    let said = refuse(&bundle, &["--root", "/nowhere", "list"]);
    assert!(said.contains("open /nowhere"), "{said}");
}

#[test]
fn descriptors_are_passed_on_and_missed() {
    need_containers!();
    let bundle = Bundle::script("cat /proc/self/fd/3; ls /proc/self/fd | grep -c '^4$'");
    bundle.write();
    // A shell gives the command a third descriptor, and no fourth.
    let shell = |redirection: &str, number: u32| {
        let command = bundle.command(&["run", "--preserve-fds", &number.to_string(), "ID"]);
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("exec \"$@\" {redirection}"), "sh"])
            .args(words)
            .current_dir(bundle.path());
        shell.output().unwrap()
    };
    sys::file::replace_unsynced(&bundle.path().join("three"), b"three\n", 0o644).unwrap();
    let given = shell("3<three 4>&-", 1);
    assert_eq!(text(&given.stdout), "three\n1\n", "{}", text(&given.stderr));
    let missing = shell("3<three 4>&-", 2);
    let said = text(&missing.stderr);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        said.contains("preserved-fd 1 (of 2): descriptor 4 is not open"),
        "{said}"
    );
    bundle.assert_nothing_left();
}

#[test]
fn sockets_of_a_service_manager_are_passed_on() {
    need_containers!();
    let bundle = Bundle::script("echo $LISTEN_FDS $LISTEN_PID; cat <&3; cat <&4");
    bundle.write();
    sys::file::replace_unsynced(&bundle.path().join("a"), b"first ", 0o644).unwrap();
    sys::file::replace_unsynced(&bundle.path().join("b"), b"second\n", 0o644).unwrap();
    let run = |pid: &str| {
        let command = bundle.command(&["run", "--preserve-fds", "1", "ID"]);
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let script = format!("export LISTEN_FDS=1 LISTEN_PID={pid}; exec \"$@\" 3<a 4<b");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, "sh"]).args(words);
        text(&shell.current_dir(bundle.path()).output().unwrap().stdout)
    };
    assert_eq!(run("$$"), "1 1\nfirst second\n");
    // Not for us: only what --preserve-fds names.
    assert_eq!(run("1"), "\nfirst ");
    bundle.assert_nothing_left();
}

#[test]
fn readiness_is_told_to_the_service_manager() {
    need_containers!();
    for verbs in [
        &[&["run", "-d", "ID"][..]][..],
        &[&["create", "ID"], &["start", "ID"]],
    ] {
        let bundle = Bundle::script("test -S $NOTIFY_SOCKET && touch /dev/shm/seen; sleep 1000");
        bundle.write();
        let manager = bundle.path().join("manager.sock");
        let socket = UnixDatagram::bind(&manager).unwrap();
        socket
            .set_read_timeout(Some(std::time::Duration::from_secs(60)))
            .unwrap();
        let (last, first) = verbs.split_last().unwrap();
        for words in first {
            detached(bundle.command(words).env("NOTIFY_SOCKET", &manager));
        }
        let mut waiting = bundle
            .command(last)
            .env("NOTIFY_SOCKET", &manager)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let inside = bundle.state().join(&bundle.id).join("notify/notify.sock");
        let sender = UnixDatagram::unbound().unwrap();
        support::until("the socket is there", || {
            sender.send_to(b"STATUS=x\nREADY=1\n", &inside).is_ok()
        });
        let mut buffer = [0; 64];
        let mut hear = || {
            let length = socket.recv(&mut buffer).unwrap();
            text(&buffer[..length])
        };
        assert_eq!(hear(), "READY=1");
        let main = hear();
        assert!(waiting.wait().unwrap().success());
        assert_eq!(main, format!("MAINPID={}", state(&bundle)["pid"]));
        let seen = succeed(
            &bundle,
            &[
                "exec",
                "ID",
                "sh",
                "-c",
                "until test -e /dev/shm/seen; do :; done; echo yes",
            ],
        );
        assert_eq!(seen, "yes\n");
        delete(&bundle);
    }
}

#[test]
fn processes_go_to_the_pidfd_socket() {
    need_containers!();
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.write();
    let path = bundle.path().join("pidfd.sock");
    let listener = sys::socket::listen(&path, sys::socket::Kind::Stream).unwrap();
    let take = || {
        let connection = sys::socket::accept(&listener, false).unwrap().unwrap();
        let mut message = sys::socket::receive(&connection).unwrap().unwrap();
        message.fds.pop().unwrap()
    };
    let patience = std::time::Duration::from_secs(60);
    detached(&mut bundle.command(&["run", "-d", "--pidfd-socket", "pidfd.sock", "ID"]));
    let first = take();
    detached(&mut bundle.command(&[
        "exec",
        "-d",
        "--pidfd-socket",
        "pidfd.sock",
        "ID",
        "sleep",
        "9",
    ]));
    let second = take();
    sys::pidfd::send_signal(&second, types::Signal::KILL).unwrap();
    assert!(sys::pidfd::ended_within(&second, patience).unwrap());
    assert_eq!(state(&bundle)["status"], "running");
    sys::pidfd::send_signal(&first, types::Signal::KILL).unwrap();
    assert!(sys::pidfd::ended_within(&first, patience).unwrap());
    assert_eq!(state(&bundle)["status"], "stopped");
    succeed(&bundle, &["delete", "ID"]);
    bundle.assert_nothing_left();
}

/// Whoever is told of a failure will not look for what was executed.
#[test]
fn what_cannot_be_handed_out_is_ended() {
    need_containers!();
    let bundle = sleeping();
    let alone = || {
        let pids: Value =
            serde_json::from_str(&succeed(&bundle, &["ps", "-f", "json", "ID"])).unwrap();
        pids.as_array().unwrap().len() == 1
    };
    for flags in [
        ["--pid-file", "missing/pid"].as_slice(),
        &["--pidfd-socket", "missing"],
        &["--tty", "--console-socket", "missing"],
    ] {
        let words = [&["exec", "-d"], flags, &["ID", "sleep", "1000"]].concat();
        // What is executed must not hold the pipes of a command that succeeds by mistake.
        let mut command = bundle.command(&words);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert_eq!(status.unwrap().code(), Some(255), "{words:?}");
        support::until("it has ended", alone);
    }
    delete(&bundle);
}

/// As by runc, which has them looked at by the reader of its flags.
#[test]
fn flags_that_are_no_numbers_are_misused() {
    let bundle = Bundle::new(&["true"]);
    for words in [
        ["exec", "-g", "x", "ID", "true"],
        ["exec", "--preserve-fds", "x", "ID", "true"],
    ] {
        let output = bundle.output(&words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(text(&output.stderr).contains("\\\"x\\\""), "{words:?}");
    }
}

#[test]
fn a_capability_that_nobody_knows_is_warned_of() {
    need_containers!();
    let bundle = sleeping();
    let output = bundle.output(&["exec", "--cap", "CAP_FROB", "ID", "echo", "done"]);
    assert_eq!(text(&output.stdout), "done\n");
    let said = text(&output.stderr);
    assert!(
        said.contains("level=warning") && said.contains("[CAP_FROB]"),
        "{said}"
    );
    delete(&bundle);
}

#[test]
fn containers_have_session_keyrings_of_their_own() {
    need_containers!();
    if !Path::new("/proc/keys").exists() {
        return skip("SKIP: this kernel has no keyrings");
    }
    let keys = |flags: &[&str]| {
        let mut bundle = Bundle::new(&["cat", "/proc/keys"]);
        bundle.config["linux"]["maskedPaths"] = json!([]);
        bundle.write();
        let said = succeed(&bundle, &[&["run"], flags, &["ID"]].concat());
        let name = format!("_ses.{}", bundle.id);
        bundle.assert_nothing_left();
        said.contains(&name)
    };
    assert!(keys(&[]));
    assert!(!keys(&["--no-new-keyring"]));
}

#[test]
fn a_root_is_changed_without_pivoting() {
    need_containers!();
    let bundle = Bundle::script("cut -d' ' -f5 /proc/self/mountinfo; ls -d /bin /boot");
    bundle.write();
    let output = bundle.output(&["run", "--no-pivot", "ID"]);
    let said = text(&output.stdout);
    let points: Vec<_> = said.lines().collect();
    assert!(
        points.contains(&"/dev/shm") && points.contains(&"/bin"),
        "{said}{}",
        text(&output.stderr)
    );
    assert_eq!(points.iter().filter(|point| **point == "/proc").count(), 1);
    assert!(!points.contains(&"/boot"));
    bundle.assert_nothing_left();
}

#[test]
fn what_is_kept_is_deleted_later() {
    need_containers!();
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    succeed(&bundle, &["run", "--keep", "ID"]);
    assert_eq!(state(&bundle)["status"], "stopped");
    assert!(!bundle.cgroups().is_empty());
    succeed(&bundle, &["delete", "ID"]);
    bundle.assert_nothing_left();
}

#[test]
fn a_process_is_executed_below_the_containers_cgroup() {
    need_containers!();
    let bundle = sleeping();
    let refused = refuse(&bundle, &["exec", "--cgroup", "..", "ID", "true"]);
    assert!(
        refused.contains(" .. is not a sub cgroup path"),
        "{refused}"
    );
    let missing = refuse(&bundle, &["exec", "--cgroup", "nonexistent", "ID", "true"]);
    assert!(
        missing.contains(" adding pid ")
            && missing.contains("/nonexistent/cgroup.procs: no such file or directory"),
        "{missing}"
    );
    let unknown = refuse(&bundle, &["exec", "--cgroup", "whaaat:/", "ID", "true"]);
    assert!(unknown.contains("unknown controller "), "{unknown}");
    // In version 1 a new cgroup of the cpuset hierarchy would take no process before it has some.
    let of_pids = |dir: &&PathBuf| dir.starts_with("/sys/fs/cgroup/pids");
    let (dir, sub) = match bundle.cgroups().iter().find(of_pids) {
        Some(dir) => (dir.clone(), "pids:below"),
        None => (bundle.cgroups().remove(0), "below"),
    };
    std::fs::create_dir(dir.join("below")).unwrap();
    let pid_file = bundle.path().join("pid");
    let words = [
        "exec",
        "-d",
        "--pid-file",
        "pid",
        "--cgroup",
        sub,
        "ID",
        "sleep",
        "1000",
    ];
    detached(&mut bundle.command(&words));
    let pid = std::fs::read_to_string(pid_file).unwrap();
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(
        cgroups.contains(&format!("/{}/below\n", bundle.id)),
        "{cgroups}"
    );
    delete(&bundle);
}

#[test]
fn signals_reach_one_or_all() {
    need_containers!();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "pid");
    bundle.write();
    detached(&mut bundle.command(&["run", "-d", "ID"]));
    detached(&mut bundle.command(&["exec", "-d", "--pid-file", "pid", "ID", "sleep", "1000"]));
    let other = std::fs::read_to_string(bundle.path().join("pid")).unwrap();
    let other = sys::pidfd::open(other.parse().unwrap()).unwrap();
    let first = i32::try_from(state(&bundle)["pid"].as_i64().unwrap()).unwrap();
    let first = sys::pidfd::open(first).unwrap();
    let unknown = refuse(&bundle, &["kill", "ID", "FOO"]);
    assert!(unknown.contains("unknown signal \\\"FOO"), "{unknown}");
    succeed(&bundle, &["kill", "ID", "SIGCONT"]);
    succeed(&bundle, &["kill", "--all", "ID", "18"]);
    // Without a pid namespace the end of the first is not the end of the others by itself.
    succeed(&bundle, &["kill", "ID", "KILL"]);
    let patience = std::time::Duration::from_secs(60);
    for pidfd in [&first, &other] {
        assert!(sys::pidfd::ended_within(pidfd.as_fd(), patience).unwrap());
    }
    succeed(&bundle, &["delete", "ID"]);
    bundle.assert_nothing_left();
}

#[test]
fn a_paused_container_is_entered_only_on_demand() {
    need_containers!();
    let bundle = sleeping();
    succeed(&bundle, &["pause", "ID"]);
    let said = refuse(&bundle, &["exec", "ID", "true"]);
    assert!(said.contains("cannot exec in a paused container"), "{said}");
    // Of two words for the same, the last counts.
    assert!(refuse(&bundle, &["start", "ID"]).contains("paused state"));
    delete(&bundle);
}

#[test]
fn a_log_has_the_errors_and_on_demand_more() {
    need_containers!();
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    let debug = bundle.output(&["--debug", "run", "ID"]);
    let said = text(&debug.stderr);
    assert!(
        debug.status.success() && said.contains("level=debug msg="),
        "{said}"
    );
    let logged = bundle.output(&["--debug", "--log", "log", "--log-format=json", "run", "ID"]);
    assert_eq!(text(&logged.stderr), "");
    let log = std::fs::read_to_string(bundle.path().join("log")).unwrap();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "debug");
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
    }
    // With a log, standard error has the bare message.
    let failed = bundle.output(&["--log", "log2", "state", "ID"]);
    let expected = format!("container does not exist: {:?}\n", bundle.id);
    assert_eq!(text(&failed.stderr), expected);
    let log = std::fs::read_to_string(bundle.path().join("log2")).unwrap();
    assert!(
        log.contains("level=error msg=\"container does not exist"),
        "{log}"
    );
}

#[test]
fn nothing_is_left_of_makers_that_were_killed() {
    need_containers!();
    let bundle = Bundle::new(&["sleep", "1000"]);
    bundle.write();
    for round in 0..60_u32 {
        let words: &[&str] = if round % 2 == 0 {
            &["create", "ID"]
        } else {
            &["run", "-d", "ID"]
        };
        let mut command = bundle.command(words);
        let mut maker = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Another moment each time; whichever it is, nothing may be left.
        let moment = std::time::Instant::now() + std::time::Duration::from_micros(150) * round;
        while std::time::Instant::now() < moment {
            std::hint::spin_loop();
        }
        maker.kill().unwrap();
        maker.wait().unwrap();
        delete(&bundle);
    }
    // A copy whose maker died ends by itself, and nobody waits for that.
    support::until("no process is left", || {
        support::processes_of(&bundle).is_empty()
    });
}
