//! `POST /containers/create?run=1`: one request makes a container, attaches to it and starts it, and its end is
//! missed by nobody, however early it comes.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use testkit::{Brig, Client, Setup, root};

/// A run by the API: what the header says was made, and all that came over the connection.
fn run(brig: &Brig, words: &str, body: &str) -> (Value, String) {
    let path = format!("containers/create?run=1&stream=1&stdout=1&stderr=1{words}");
    let answer = ask(brig, &path, body);
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{answer}");
    (made(head), rest.to_owned())
}

/// What the header says was made.
fn made(head: &str) -> Value {
    let made = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("brig-made").then_some(value)
    });
    let made = STANDARD.decode(made.unwrap()).unwrap();
    serde_json::from_slice(&made).unwrap()
}

/// All that comes over a connection that is asked for.
fn ask(brig: &Brig, path: &str, body: &str) -> String {
    let mut connection = UnixStream::connect(brig.socket()).unwrap();
    let request = format!(
        "POST /v1.55/{path} HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The answer to a wait for what a run has come to: status and body.
fn wait(brig: &Brig, made: &Value, condition: &str) -> (String, Value) {
    let id = made["Id"].as_str().unwrap();
    let answer = brig.http(&format!(
        "POST /v1.55/containers/{id}/wait?run=1&condition={condition} HTTP/1.1\r\nHost: b\r\n\
         Connection: close\r\n\r\n"
    ));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().to_owned();
    let json = body.lines().find(|line| line.starts_with('{'));
    (
        status,
        serde_json::from_str(json.unwrap_or("null")).unwrap(),
    )
}

#[test]
fn an_end_is_told_however_late_it_is_asked_for() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let body = r#"{"Image":"bb","Cmd":["sh","-c","echo said; exit 3"]}"#;
    let (made, output) = run(&brig, "&name=box", body);
    assert_eq!(output, "\x01\0\0\0\0\0\0\x05said\n");
    let (status, answer) = wait(&brig, &made, "next-exit");
    assert_eq!((status.as_str(), &answer["StatusCode"]), ("200", &3.into()));
    assert_eq!(brig.inspect("box")["Id"], made["Id"]);
    brig.brig(&["rm", "box"]).ok();

    let body =
        r#"{"Image":"bb","Cmd":["sh","-c","exit 4"],"HostConfig":{"AutoRemove":true},"Tty":true}"#;
    let (made, output) = run(&brig, "", body);
    assert_eq!(output, "");
    let (status, answer) = wait(&brig, &made, "removed");
    assert_eq!((status.as_str(), &answer["StatusCode"]), ("200", &4.into()));
    assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
    brig.finish();
}

/// Who has read all output, and asks by another connection, is not told that it runs still.
#[test]
fn an_end_is_known_to_who_has_read_everything() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let script = "echo said; exit 7";
    let create = [
        "create",
        "--name",
        "box",
        "--network",
        "none",
        "bb",
        "sh",
        "-c",
        script,
    ];
    for _ in 0..20 {
        brig.brig(&create).ok();
        let mut connection = UnixStream::connect(brig.socket()).unwrap();
        let attach = "POST /v1.55/containers/box/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: b\r\n\
                      Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
        connection.write_all(attach.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        brig.brig(&["start", "box"]).ok();
        let mut output = String::new();
        connection.read_to_string(&mut output).unwrap();
        assert_eq!(output, "\x01\0\0\0\0\0\0\x05said\n");
        let answer = brig.http(
            "GET /v1.55/containers/box/json HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
        );
        let (_, json) = answer.split_once("\r\n\r\n").unwrap();
        let state = serde_json::from_str::<Value>(json).unwrap()["State"].clone();
        assert_eq!(
            (&state["Status"], &state["ExitCode"]),
            (&"exited".into(), &7.into())
        );
        brig.brig(&["rm", "box"]).ok();
    }
    brig.finish();
}

#[test]
fn a_start_that_fails_is_told_to_who_waits() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let (made, output) = run(&brig, "", r#"{"Image":"bb","Cmd":["nosuch"]}"#);
    assert_eq!(output, "");
    let told = [0, 1].map(|_| wait(&brig, &made, "next-exit"));
    let started = brig.http(&format!(
        "POST /v1.55/containers/{}/start HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
        made["Id"].as_str().unwrap()
    ));
    assert!(started.contains("nosuch"), "{started}");
    for (status, answer) in told {
        let message = answer["message"].as_str().unwrap();
        assert!(
            started.starts_with(&format!("HTTP/1.1 {status} ")),
            "{status}: {started}"
        );
        assert!(message.contains("nosuch"), "{message}");
    }
    for (words, code, said) in [
        (&["nosuch"][..], 127, "nosuch"),
        (&["/etc"], 126, "/etc"),
        (&["true"], 0, ""),
    ] {
        let ran = brig.brig(&[&["run", "--rm", "bb"], words].concat());
        assert_eq!(ran.code, code, "{ran}");
        assert!(ran.stderr.contains(said), "{ran}");
    }
    brig.brig(&["rm", made["Id"].as_str().unwrap()]).ok();
    assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
    brig.finish();
}

/// Nothing is made of a request with words that mean nothing.
#[test]
fn nothing_is_made_of_a_request_that_is_wrong() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let body = r#"{"Image":"bb","Cmd":["true"]}"#;
    for words in [
        "run=1&stdout=1&stream=1&detachKeys=nonsense",
        "run=1&name=-",
    ] {
        let answer = brig.http(&format!(
            "POST /v1.55/containers/create?{words} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\
             Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    // Who takes no connection gets what Docker answers: a container, and no more.
    let answer = brig.http(&format!(
        "POST /v1.55/containers/create?run=1&name=box HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(brig.inspect("box")["State"]["Status"], "created");
    brig.brig(&["rm", "box"]).ok();
    assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
    brig.finish();
}

/// Clients that go away amid their request, sooner and later: what is made of it runs as a whole or not at all, and
/// whoever asks is told which.
#[test]
fn clients_that_go_away_leave_nothing_half_done() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let body = r#"{"Image":"bb","Cmd":["true"],"NetworkDisabled":true}"#;
    for turn in 0..12 {
        let name = format!("box-{turn}");
        let mut connection = UnixStream::connect(brig.socket()).unwrap();
        let request = format!(
            "POST /v1.55/containers/create?run=1&stream=1&stdout=1&name={name} HTTP/1.1\r\nHost: b\r\n\
             Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(turn * 3));
        drop(connection);
    }
    for turn in 0..12 {
        let name = format!("box-{turn}");
        // Of a request that was not read to its end there is nothing.
        let found = brig.brig(&[
            "ps",
            "-aq",
            "--no-trunc",
            "--filter",
            &format!("name=^/{name}$"),
        ]);
        let Some(id) = found.lines().first().map(ToString::to_string) else {
            continue;
        };
        let (status, answer) = wait(&brig, &serde_json::json!({ "Id": id }), "not-running");
        let state = brig.inspect(&name)["State"]["Status"].clone();
        match status.as_str() {
            "200" => assert_eq!(
                (&answer["StatusCode"], &state),
                (&0.into(), &"exited".into())
            ),
            _ => {
                let message = answer["message"].as_str().unwrap_or_default();
                assert!(message.contains("went away"), "{status} {answer}");
                assert_eq!((status.as_str(), &state), ("503", &"created".into()));
            }
        }
        brig.brig(&["rm", &name]).ok();
    }
    // What has come since it was looked for.
    testkit::until("an end of what is made", || {
        let left = brig.brig(&["ps", "-aq"]);
        let left = left.lines();
        brig.brig(&[&["rm", "-f"][..], &left].concat());
        left.is_empty().then_some(())
    });
    brig.finish();
}

/// The daemon dies while it starts what it has made: the client says so, and whoever asks the next daemon.
#[test]
fn a_daemon_that_dies_in_between_is_told_of() {
    if !root() {
        return;
    }
    let mut brig = Brig::prepare(Setup::default());
    brig.start_daemon();
    brig.import_busybox();
    for step in ["start.bundle!", "start.create!"] {
        brig.stop_daemon();
        brig.set_flags(&["--fail-at", step]);
        brig.start_daemon();
        let failed = brig.brig(&["run", "--name", "box", "bb", "echo", "said"]);
        assert_eq!(failed.code, 125, "{step}: {failed}");
        brig.kill_daemon();
        brig.set_flags(&[]);
        brig.start_daemon();
        let made = brig.inspect("box");
        let (status, answer) = wait(&brig, &made, "next-exit");
        // Once it was made nothing keeps its command from running, to an end that its shim has seen.
        let ran = status == "200" && answer["StatusCode"] == 0;
        let never_ran = status == "503" && failed.stdout.is_empty();
        assert!(
            never_ran || ran && step == "start.create!",
            "{step}: {status} {answer} {failed}"
        );
        brig.brig(&["rm", "-f", "box"]).ok();
    }
    brig.finish();
}

/// The same of an exec session, whose end is told when it has come.
#[test]
fn a_session_is_made_and_started_by_one_request() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["run", "-d", "--name", "box", "bb", "sleep", "1000"])
        .ok();
    let ended = |made: &Value| -> Value {
        let id = made["Id"].as_str().unwrap();
        let answer = brig.http(&format!(
            "GET /v1.55/exec/{id}/json?wait=1 HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"
        ));
        let json = answer.lines().find(|line| line.starts_with('{'));
        serde_json::from_str(json.unwrap()).unwrap()
    };
    let body = r#"{"AttachStdout":true,"AttachStderr":true,"Cmd":["sh","-c","echo said; exit 3"]}"#;
    let (made, output) = run_in(&brig, body);
    assert_eq!(output, "\x01\0\0\0\0\0\0\x05said\n");
    let session = ended(&made);
    assert_eq!(
        (&session["Running"], &session["ExitCode"]),
        (&false.into(), &3.into())
    );

    // What cannot be started is told where its output would be, and has ended.
    let (made, output) = run_in(&brig, r#"{"AttachStderr":true,"Cmd":["nosuch"]}"#);
    assert!(output.contains("nosuch"), "{output}");
    assert_eq!(ended(&made)["ExitCode"], 127);

    // Which container, and whether it can be: as status codes, before anything is made.
    brig.brig(&["stop", "-t", "0", "box"]).ok();
    for (who, status) in [("box", 409), ("nosuch", 404)] {
        let answer = brig.http(&format!(
            "POST /v1.55/containers/{who}/exec?run=1 HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\
             Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    brig.brig(&["rm", "box"]).ok();
    brig.finish();
}

fn run_in(brig: &Brig, body: &str) -> (Value, String) {
    let answer = ask(brig, "containers/box/exec?run=1", body);
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{answer}");
    (made(head), rest.to_owned())
}

/// The exit code of a session is had although the daemon died while it ran.
#[test]
fn an_exit_code_outlives_the_daemon() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    brig.brig(&["run", "-d", "--name", "box", "bb", "sleep", "1000"])
        .ok();
    let words = [
        "exec",
        "box",
        "sh",
        "-c",
        "touch /begun; sleep 2; echo said; exit 7",
    ];
    let mut client = brig.command(Client::Brig, &words);
    let client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let client = client.unwrap();
    testkit::until("the command has begun", || {
        let looked = brig.brig(&["exec", "box", "test", "-e", "/begun"]);
        (looked.code == 0).then_some(())
    });
    brig.kill_daemon();
    brig.start_daemon();
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "said\n");
    brig.brig(&["rm", "-f", "box"]).ok();
    brig.finish();
}
