//! More commands in a running container: exec, attach, top.

#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(
    clippy::disallowed_methods,
    reason = "a file of a cgroup is written as it is"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Stdio;

use testkit::{Brig, cgroup_of, clients, root, unified_cgroups, until};

fn running() -> Brig {
    let brig = Brig::with_image();
    let run = [
        "run",
        "-d",
        "--name",
        "box",
        "-e",
        "OWN=1",
        "-w",
        "/tmp",
        "--hostname",
        "ship",
        "bb",
        "sleep",
        "1000",
    ];
    brig.brig(&run).ok();
    brig
}

#[test]
fn a_command_runs_inside_with_flags_of_its_own() {
    if !root() {
        return;
    }
    let brig = running();
    let cases: &[(&[&str], &str, &str)] = &[
        (&[], "hostname; pwd; echo $OWN", "ship /tmp 1"),
        (&["-e", "MORE=2"], "echo $OWN$MORE", "12"),
        (&["-w", "/etc"], "pwd", "/etc"),
        (&["-u", "www"], "id -u; id -G", "33 33 29"),
        (&["-u", "7:8"], "id -u; id -g", "7 8"),
        (
            &[],
            "grep CapEff /proc/self/status | cut -f2; grep '^Seccomp:' /proc/self/status | cut -f2",
            "00000000a80425fb 2",
        ),
        (&[], "cat /proc/self/cgroup | cut -d: -f3 | sort -u", "/"),
        (&["-t"], "tty", "/dev/pts/0"),
    ];
    for client in clients() {
        for (flags, script, expected) in cases {
            let args = [&["exec"], *flags, &["box", "sh", "-c", script]].concat();
            let output = brig.with(client, &args);
            let shown = output.ok().split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(shown, *expected, "{client:?} {flags:?} {script}");
        }
        let full = brig.with(
            client,
            &[
                "exec",
                "--privileged",
                "box",
                "grep",
                "CapEff",
                "/proc/self/status",
            ],
        );
        assert!(!full.ok().contains("a80425fb"), "{full}");
    }
    brig.finish();
}

#[test]
fn it_ends_as_the_command_ends() {
    if !root() {
        return;
    }
    let brig = running();
    let cases: &[(&[&str], i32)] = &[
        (&["true"], 0),
        (&["sh", "-c", "exit 42"], 42),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["no-such-command"], 127),
        (&["/etc"], 126),
    ];
    for client in clients() {
        for (words, code) in cases {
            let ended = brig.with(client, &[&["exec", "box"], *words].concat());
            assert_eq!(ended.code, *code, "{client:?} {words:?}: {ended}");
        }
        let input = brig.with_input(client, &["exec", "-i", "box", "cat"], b"through a pipe");
        assert_eq!(input.ok(), "through a pipe");
        brig.with(client, &["exec", "-d", "box", "touch", "/detached"])
            .ok();
        until("the detached command", || {
            (brig.with(client, &["exec", "box", "rm", "/detached"]).code == 0).then_some(())
        });
        let nobody = brig.with(client, &["exec", "nobody", "true"]);
        assert!(
            nobody.fails(1).to_lowercase().contains("no such container"),
            "{nobody}"
        );
        let user = brig.with(client, &["exec", "-u", "stranger", "box", "true"]);
        assert!(user.code != 0 && user.stderr.contains("stranger"), "{user}");
    }
    brig.brig(&["kill", "box"]).ok();
    brig.brig(&["wait", "box"]).ok();
    let stopped = brig.brig(&["exec", "box", "true"]);
    assert!(stopped.fails(1).contains("not running"), "{stopped}");
    brig.finish();
}

#[test]
fn sessions_end_with_the_container() {
    if !root() {
        return;
    }
    let brig = running();
    let mut session = brig.command(
        testkit::Client::Brig,
        &["exec", "box", "sh", "-c", "echo in; sleep 1000"],
    );
    let mut session = session
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(session.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "in");
    brig.brig(&["rm", "-f", "box"]).ok();
    assert_eq!(session.wait().unwrap().code(), Some(137));
    brig.finish();
}

/// Where a container's processes are frozen: a file, and what is written to it to freeze and to thaw them.
fn freezer(brig: &Brig, name: &str) -> (PathBuf, [&'static str; 2]) {
    let pid = brig.inspect(name)["State"]["Pid"].as_u64().unwrap();
    let group = cgroup_of(pid, "freezer").unwrap();
    match unified_cgroups() {
        true => (group.join("cgroup.freeze"), ["1", "0"]),
        false => (group.join("freezer.state"), ["FROZEN", "THAWED"]),
    }
}

/// As between the daemon's look at its record and the first step of the process.
#[test]
fn a_container_that_is_frozen_meanwhile_is_told_of() {
    if !root() {
        return;
    }
    let brig = running();
    let (file, [frozen, thawed]) = freezer(&brig, "box");
    for client in clients() {
        std::fs::write(&file, frozen).unwrap();
        let refused = brig.with(client, &["exec", "box", "true"]);
        std::fs::write(&file, thawed).unwrap();
        assert!(
            refused.code != 0 && refused.stderr.contains("the container is paused"),
            "{refused}"
        );
        brig.with(client, &["exec", "box", "true"]).ok();
    }
    brig.finish();
}

#[test]
fn a_session_is_not_started_in_a_paused_container() {
    if !root() {
        return;
    }
    let brig = running();
    let post = |path: &str, body: &str| {
        let length = body.len();
        brig.http(&format!(
            "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    let made = post("/containers/box/exec", r#"{"Cmd":["true"]}"#);
    let (_, body) = made.split_once("\r\n\r\n").unwrap();
    let made: serde_json::Value = serde_json::from_str(body).unwrap();
    let start = format!("/exec/{}/start", made["Id"].as_str().unwrap());
    brig.brig(&["pause", "box"]).ok();
    let refused = post(&start, r#"{"Detach":true}"#);
    assert!(
        refused.starts_with("HTTP/1.0 409") || refused.starts_with("HTTP/1.1 409"),
        "{refused}"
    );
    assert!(
        refused.contains("is paused, unpause the container before exec"),
        "{refused}"
    );
    brig.brig(&["unpause", "box"]).ok();
    let started = post(&start, r#"{"Detach":true}"#);
    assert!(started.contains(" 200 "), "{started}");
    brig.finish();
}

#[test]
fn attach_joins_what_runs() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let script =
            "echo before; while read line; do [ $line = quit ] && exit 9; echo got:$line; done";
        brig.with(
            client,
            &["run", "-d", "-i", "--name", "a1", "bb", "sh", "-c", script],
        )
        .ok();
        until("the first line", || {
            brig.with(client, &["logs", "a1"])
                .ok()
                .contains("before")
                .then_some(())
        });
        let mut attach = brig.command(client, &["attach", "a1"]);
        let mut attach = attach
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keyboard = attach.stdin.take().unwrap();
        let mut lines = BufReader::new(attach.stdout.take().unwrap()).lines();
        keyboard.write_all(b"one\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "got:one");
        // Of a container that was detached, the standard input outlives its clients.
        keyboard.write_all(b"quit\n").unwrap();
        assert_eq!(attach.wait().unwrap().code(), Some(9), "{client:?}");
        assert!(brig.with(client, &["logs", "a1"]).ok().contains("got:one"));
        brig.with(client, &["rm", "a1"]).ok();
    }
    brig.finish();
}

#[test]
fn top_shows_the_processes() {
    if !root() {
        return;
    }
    let brig = running();
    for client in clients() {
        let top = brig.with(client, &["top", "box"]);
        let lines = top.lines();
        assert!(
            lines[0].contains("PID") && lines[0].contains("CMD"),
            "{top}"
        );
        assert_eq!(lines.len(), 2, "{top}");
        assert!(lines[1].contains("sleep 1000"), "{top}");
        let chosen = brig.with(client, &["top", "box", "-o", "pid,args"]);
        assert!(chosen.lines()[0].contains("PID"), "{chosen}");
    }
    brig.finish();
}

/// Whether output is framed is said by who starts a session, whatever it was made with: so it is with Docker.
#[test]
fn who_starts_a_session_says_whether_it_is_framed() {
    if !root() {
        return;
    }
    let brig = running();
    let post = |path: &str, headers: &str, body: &str| {
        brig.http(&format!(
            "POST /v1.55{path} HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    for (made, started, expected) in [
        (true, false, "\x01\0\0\0\0\0\0\x06said\r\n"),
        (true, true, "said\r\n"),
        (false, true, "said\n"),
        (false, false, "\x01\0\0\0\0\0\0\x05said\n"),
    ] {
        let body = format!(r#"{{"AttachStdout":true,"Tty":{made},"Cmd":["echo","said"]}}"#);
        let create = post("/containers/box/exec", "Connection: close\r\n", &body);
        let (_, created) = create.split_once("\r\n\r\n").unwrap();
        let created: serde_json::Value = serde_json::from_str(created).unwrap();
        let path = format!("/exec/{}/start", created["Id"].as_str().unwrap());
        let body = format!(r#"{{"Detach":false,"Tty":{started}}}"#);
        let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
        let answer = post(&path, upgrade, &body);
        let (head, output) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(output, expected, "{made} {started}");
        let kind = if started { "raw" } else { "multiplexed" };
        let kind = format!("application/vnd.docker.{kind}-stream");
        assert!(head.contains(&kind), "{head}");
    }
    brig.finish();
}
