//! Filters on real calls: every action, and the agent that decides outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Bundle, text};

macro_rules! need_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{reason}");
            return;
        }
    };
}

/// Allows all but mkdir(2), to which this happens.
fn on_mkdir(rule: Value) -> Value {
    let mut rule = rule;
    rule["names"] = json!(["mkdir", "mkdirat", "no_such_call"]);
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64",
            "SCMP_ARCH_MIPS", "SCMP_ARCH_PARISC", "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K"],
        "syscalls": [rule],
    })
}

/// A child of the shell that makes a directory; what became of it.
fn mkdir_under(rule: Value) -> String {
    let mut bundle = Bundle::script("mkdir /dev/shm/x 2>&1; echo $?; ls /dev/shm");
    bundle.config["linux"]["seccomp"] = on_mkdir(rule);
    bundle.run()
}

#[test]
fn every_action_does_what_it_says() {
    need_containers!();
    let refused = |why| format!("mkdir: can't create directory '/dev/shm/x': {why}\n1\n");
    for (rule, expected) in [
        (json!({"action": "SCMP_ACT_ALLOW"}), "0\nx\n".to_owned()),
        (json!({"action": "SCMP_ACT_LOG"}), "0\nx\n".to_owned()),
        (
            json!({"action": "SCMP_ACT_ERRNO"}),
            refused("Operation not permitted"),
        ),
        (
            json!({"action": "SCMP_ACT_ERRNO", "errnoRet": 71}),
            refused("Protocol error"),
        ),
        // Nobody traces it.
        (
            json!({"action": "SCMP_ACT_TRACE", "errnoRet": 7}),
            refused("Function not implemented"),
        ),
    ] {
        assert_eq!(mkdir_under(rule.clone()), expected, "{rule}");
    }
    for action in ["TRAP", "KILL", "KILL_THREAD", "KILL_PROCESS"] {
        let printed = mkdir_under(json!({"action": format!("SCMP_ACT_{action}")}));
        // 128 and SIGSYS; the shell may say what killed its child.
        assert!(printed.ends_with("159\n"), "{action}: {printed}");
    }
}

#[test]
fn all_conditions_of_a_rule_have_to_hold() {
    need_containers!();
    // chmod(path, mode): the mode is the second argument there and the third of fchmodat(2).
    let mut bundle = Bundle::script(
        "touch /dev/shm/x; for m in 700 711 755 4755; do chmod $m /dev/shm/x 2>/dev/null; echo $?; done",
    );
    let refuse = |name: &str, index: u32| {
        json!({"names": [name], "action": "SCMP_ACT_ERRNO", "args": [
            {"index": index, "op": "SCMP_CMP_GT", "value": 0o700},
            {"index": index - 1, "op": "SCMP_CMP_NE", "value": 0},
        ]})
    };
    let set_user = |name: &str, index: u32| {
        json!({"names": [name], "action": "SCMP_ACT_ERRNO", "args": [
            {"index": index, "op": "SCMP_CMP_MASKED_EQ", "value": 0o4000, "valueTwo": 0o4000},
        ]})
    };
    let filter = |rules: [Value; 3]| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules});
    let refused = [
        refuse("chmod", 1),
        refuse("fchmodat", 2),
        refuse("fchmodat2", 2),
    ];
    bundle.config["linux"]["seccomp"] = filter(refused);
    assert_eq!(bundle.run(), "0\n1\n1\n1\n");
    let refused = [
        set_user("chmod", 1),
        set_user("fchmodat", 2),
        set_user("fchmodat2", 2),
    ];
    bundle.config["linux"]["seccomp"] = filter(refused);
    assert_eq!(bundle.run(), "0\n0\n0\n1\n");
}

/// Lists from before a call was known refuse it as they refuse everything: a program that may be
/// executed is executed all the same, though nobody may ask first.
#[test]
fn a_filter_from_before_faccessat2_lets_the_command_run() {
    need_containers!();
    let mut bundle = Bundle::new(&["/bin/echo", "ran"]);
    let old = json!({"names": ["faccessat2"], "action": "SCMP_ACT_ERRNO"});
    bundle.config["linux"]["seccomp"] =
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [old]});
    bundle.config["process"]["noNewPrivileges"] = json!(false);
    assert_eq!(bundle.run(), "ran\n");
    bundle.config["process"]["args"] = json!(["echo", "found"]);
    assert_eq!(bundle.run(), "found\n");
    // What nobody may execute is told from it still, not by the filter's errno.
    File::create(bundle.in_root("bin/note")).unwrap();
    bundle.config["process"]["args"] = json!(["/bin/note"]);
    let said = bundle.fail();
    assert!(
        said.contains("exec: \\\"/bin/note\\\": permission denied"),
        "{said}"
    );
}

/// The agent's end: what it was told and the listener.
struct Agent {
    socket: UnixListener,
    path: PathBuf,
}

impl Agent {
    fn new(bundle: &Bundle) -> Self {
        let path = bundle.path().join("agent.sock");
        let socket = UnixListener::bind(&path).unwrap();
        Self { socket, path }
    }

    /// One message a connection, the descriptor beside its first byte.
    fn hear(&self) -> (Value, OwnedFd) {
        let (mut connection, _) = self.socket.accept().unwrap();
        let mut message = sys::socket::receive(&connection).unwrap().unwrap();
        connection.read_to_end(&mut message.bytes).unwrap();
        let [listener]: [OwnedFd; 1] = message.fds.try_into().unwrap();
        (serde_json::from_slice(&message.bytes).unwrap(), listener)
    }

    fn supervise(&self, bundle: &mut Bundle, names: &[&str], no_new_privileges: bool) {
        bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        bundle.config["annotations"] = json!({"org.example": "yes"});
        bundle.config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": self.path,
            "listenerMetadata": "some \"words\"",
            "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
            "syscalls": [{"names": names, "action": "SCMP_ACT_NOTIFY"}],
        });
        bundle.write();
    }
}

fn begin(bundle: &Bundle, words: &[&str]) -> Child {
    let mut command = bundle.command(words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// A call waits for the agent; without one it fails as on a kernel that does not have it.
fn expect_call_and_go(listener: OwnedFd) {
    assert!(sys::event::readable_within(&listener, Duration::from_secs(60)).unwrap());
    drop(listener);
}

#[test]
fn an_agent_gets_the_listener_and_word_of_the_container() {
    need_containers!();
    for no_new_privileges in [true, false] {
        let mut bundle = Bundle::script("mkdir /dev/shm/x 2>&1");
        let agent = Agent::new(&bundle);
        agent.supervise(&mut bundle, &["mkdir", "mkdirat"], no_new_privileges);
        let child = begin(&bundle, &["run", "ID"]);
        let (told, listener) = agent.hear();
        let pid = told["pid"].as_i64().unwrap();
        let expected = json!({
            "ociVersion": bundle.config["ociVersion"],
            "fds": ["seccompFd"],
            "pid": pid,
            "metadata": "some \"words\"",
            "state": {
                "ociVersion": bundle.config["ociVersion"],
                "id": bundle.id,
                "status": "created",
                "pid": pid,
                "bundle": bundle.path(),
                "annotations": {"org.example": "yes"},
            },
        });
        assert_eq!(told, expected);
        assert!(std::fs::exists(format!("/proc/{pid}")).unwrap());
        expect_call_and_go(listener);
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            text(&output.stdout),
            "mkdir: can't create directory '/dev/shm/x': Function not implemented\n",
            "{}",
            text(&output.stderr)
        );
        bundle.assert_nothing_left();
    }
}

/// The process tells of the listener by a call that may itself be for the agent to decide.
#[test]
fn the_way_to_the_command_may_be_supervised() {
    need_containers!();
    let mut bundle = Bundle::script("mkdir /dev/shm/x 2>&1");
    let agent = Agent::new(&bundle);
    agent.supervise(&mut bundle, &["sendmsg", "mkdir", "mkdirat"], true);
    let child = begin(&bundle, &["run", "ID"]);
    let (told, listener) = agent.hear();
    assert_eq!(told["state"]["id"], json!(bundle.id));
    expect_call_and_go(listener);
    let output = child.wait_with_output().unwrap();
    assert!(text(&output.stdout).contains("Function not implemented"));
    bundle.assert_nothing_left();
}

#[test]
fn who_joins_has_a_listener_of_its_own() {
    need_containers!();
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    let agent = Agent::new(&bundle);
    agent.supervise(&mut bundle, &["mkdir", "mkdirat"], true);
    let file = |name: &str| File::create(bundle.path().join(name)).unwrap();
    let mut create = bundle.command(&["create", "ID"]);
    let created = create.stdout(file("out")).stderr(file("err")).status();
    assert!(created.unwrap().success());
    let start = begin(&bundle, &["start", "ID"]);
    let (told, _held) = agent.hear();
    assert_eq!(told["state"]["status"], json!("created"));
    let output = start.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let first = told["pid"].clone();
    let exec = begin(&bundle, &["exec", "ID", "mkdir", "/dev/shm/x"]);
    let (told, listener) = agent.hear();
    assert_eq!(told["state"]["status"], json!("running"));
    assert_eq!(told["state"]["pid"], first);
    assert_ne!(told["pid"], first);
    expect_call_and_go(listener);
    let output = exec.wait_with_output().unwrap();
    assert!(text(&output.stderr).contains("Function not implemented"));
    assert!(bundle.output(&["delete", "--force", "ID"]).status.success());
    bundle.assert_nothing_left();
}

#[test]
fn without_an_agent_nothing_starts() {
    need_containers!();
    let mut bundle = Bundle::new(&["true"]);
    let agent = Agent::new(&bundle);
    agent.supervise(&mut bundle, &["mkdir"], false);
    let path = agent.path.clone();
    drop(agent);
    let said = bundle.fail();
    let expected = format!("failed to connect with seccomp agent {}", path.display());
    assert!(said.contains(&expected), "{said}");
    // Nobody is asked for where nothing is supervised.
    bundle.config["linux"]["seccomp"]["syscalls"] = json!([]);
    bundle.run();
}

/// Takes the listener and never answers: the way to the command is held up.
#[test]
fn an_agent_that_does_not_answer_fails_the_start() {
    need_containers!();
    for verb in ["run", "start"] {
        let mut bundle = Bundle::new(&["true"]);
        let agent = Agent::new(&bundle);
        agent.supervise(&mut bundle, &["execve"], true);
        if verb == "start" {
            let file = |name: &str| File::create(bundle.path().join(name)).unwrap();
            let mut create = bundle.command(&["create", "ID"]);
            let created = create.stdout(file("out")).stderr(file("err")).status();
            assert!(created.unwrap().success());
        }
        let child = begin(&bundle, &[verb, "ID"]);
        let (_, listener) = agent.hear();
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        let said = text(&output.stderr);
        let expected = format!("the seccomp agent {} does not answer", agent.path.display());
        assert!(said.contains(&expected), "{verb}: {said}");
        drop(listener);
        bundle.output(&["delete", "--force", "ID"]);
        bundle.assert_nothing_left();
    }
}

/// Listens and accepts nothing any more.
#[test]
fn an_agent_that_takes_nobody_fails_the_start() {
    need_containers!();
    let mut bundle = Bundle::new(&["true"]);
    let agent = Agent::new(&bundle);
    agent.supervise(&mut bundle, &["mkdir"], true);
    let kind = sys::socket::Kind::Stream;
    let mut waiting = Vec::new();
    let full = loop {
        let patience = Duration::from_millis(100);
        match sys::socket::connect_within(&agent.path, kind, patience) {
            Ok(connection) => waiting.push(connection),
            Err(error) => break error,
        }
    };
    assert_eq!(full.errno, sys::Errno::AGAIN);
    let said = bundle.fail();
    assert!(
        said.contains("failed to connect with seccomp agent"),
        "{said}"
    );
}

#[test]
fn what_no_filter_can_do_is_refused() {
    need_containers!();
    let mut bundle = Bundle::new(&["true"]);
    for (filter, reason) in [
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_X"]}),
            "SECCOMP_FILTER_FLAG_X",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PDP11"]}),
            "SCMP_ARCH_PDP11",
        ),
        (json!({"defaultAction": "SCMP_ACT_MAYBE"}), "SCMP_ACT_MAYBE"),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]}),
            "SCMP_ACT_NOTIFY cannot be used for the write syscall",
        ),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"],
                "action": "SCMP_ACT_LOG", "args": [{"index": 6, "op": "SCMP_CMP_EQ", "value": 0}]}]}),
            "argument 6",
        ),
    ] {
        bundle.config["linux"]["seccomp"] = filter;
        let said = bundle.fail();
        assert!(said.contains(reason), "{said}");
    }
}
