//! Requests that are none: what is sent wrong is refused, whoever sends it loses no more than a connection,
//! and everybody else is served meanwhile and after.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use testkit::{Brig, root};

/// Sends bytes, and says that there are no more; what comes back until the daemon has closed.
fn sent(brig: &Brig, bytes: &[u8]) -> String {
    asked(brig, bytes, true)
}

/// The same, and whether it is said that there are no more: a client that means to be answered does not.
fn asked(brig: &Brig, bytes: &[u8], ends: bool) -> String {
    let mut stream = UnixStream::connect(brig.socket()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    // A daemon that has heard enough closes before all is sent.
    let _ = stream.write_all(bytes);
    if ends {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn refused(brig: &Brig, what: &str, bytes: &[u8], statuses: &[u16]) {
    let answer = sent(brig, bytes);
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
    let fits = status.is_none_or(|status| statuses.contains(&status));
    assert!(fits, "{what}: {answer}");
    assert!(!answer.contains("panicked"), "{what}: {answer}");
    let ping = asked(
        brig,
        b"GET /_ping HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
        false,
    );
    assert!(ping.starts_with("HTTP/1.1 200"), "after {what}: {ping}");
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn json(path: &str, body: &[u8]) -> Vec<u8> {
    let headers = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    post(path, &headers, body)
}

#[test]
fn what_is_no_http_costs_a_connection() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let flood = |count: usize, length: usize| {
        let mut head = "GET /version HTTP/1.1\r\nHost: b\r\n".to_owned();
        for number in 0..count {
            let _ = write!(head, "X-{number}: {}\r\n", "x".repeat(length));
        }
        head + "\r\n"
    };
    refused(
        &brig,
        "many headers",
        flood(5000, 1).as_bytes(),
        &[400, 431],
    );
    refused(
        &brig,
        "a long header",
        flood(1, 1 << 20).as_bytes(),
        &[400, 431],
    );
    let long = format!("GET /{} HTTP/1.1\r\nHost: b\r\n\r\n", "x".repeat(1 << 20));
    refused(&brig, "a long path", long.as_bytes(), &[400, 414, 431]);
    for (what, text) in [
        ("noise", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03"),
        ("no version", "GET /version\r\n\r\n"),
        ("a future version", "GET /version HTTP/9.9\r\n\r\n"),
        (
            "a header without a colon",
            "GET /version HTTP/1.1\r\nHost b\r\n\r\n",
        ),
        ("half a request", "GET /version HT"),
        ("HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ] {
        refused(&brig, what, text.as_bytes(), &[400, 404, 505]);
    }
    for (what, headers, body) in [
        ("a negative length", "Content-Length: -1\r\n", ""),
        ("a length that is none", "Content-Length: x\r\n", "{}"),
        (
            "two lengths",
            "Content-Length: 2\r\nContent-Length: 3\r\n",
            "{}",
        ),
        (
            "a length beyond all",
            "Content-Length: 99999999999999999999\r\n",
            "{}",
        ),
        ("more promised than sent", "Content-Length: 100\r\n", "{}"),
        (
            "a chunk that is none",
            "Transfer-Encoding: chunked\r\n",
            "zz\r\n{}\r\n",
        ),
        (
            "a chunk beyond all",
            "Transfer-Encoding: chunked\r\n",
            "ffffffffffffffff\r\n{}",
        ),
        (
            "no last chunk",
            "Transfer-Encoding: chunked\r\n",
            "2\r\n{}\r\n",
        ),
    ] {
        let request = post("/containers/create", headers, body.as_bytes());
        refused(&brig, what, &request, &[400, 413]);
    }
    brig.finish();
}

#[test]
fn bodies_that_make_no_sense_are_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let create = "/v1.55/containers/create";
    let deep = "[".repeat(200_000);
    let deep_object = "{\"HostConfig\":".repeat(100_000);
    for body in [
        "{",
        "nonsense",
        "[]",
        "\"text\"",
        "{\"Image\":5}",
        "{\"Image\":\"bb\",\"Cmd\":5}",
        "{\"Image\":\"bb\",\"Cmd\":[5]}",
        "{\"Image\":\"bb\",\"Env\":{}}",
        "{\"Image\":\"bb\",\"Labels\":[1]}",
        "{\"Image\":\"bb\",\"HostConfig\":7}",
        "{\"Image\":\"bb\",\"HostConfig\":{\"Memory\":\"much\"}}",
        "{\"Image\":\"bb\",\"HostConfig\":{\"Memory\":1e400}}",
        "{\"Image\":\"bb\",\"HostConfig\":{\"Memory\":99999999999999999999}}",
        "{\"Image\":\"bb\",\"HostConfig\":{\"PidsLimit\":1.5}}",
        "{\"Image\":\"bb\",\"HostConfig\":{\"Binds\":\"/:/\"}}",
        "{\"Image\":\"bb\",\"HostConfig\":{\"PortBindings\":{\"x/tcp\":[]}}}",
        "{\"Image\":\"bb\",\"NetworkingConfig\":{\"EndpointsConfig\":5}}",
        "{\"Image\":\"bb\"}{\"Image\":\"bb\"}",
        &deep,
        &deep_object,
    ] {
        let what: String = body.chars().take(80).collect();
        refused(&brig, &what, &json(create, body.as_bytes()), &[400]);
    }
    refused(
        &brig,
        "no text",
        &json(create, b"{\"Image\":\"\xff\xfe\"}"),
        &[400],
    );
    let long = vec![b' '; 17 << 20];
    refused(&brig, "a long body", &json(create, &long), &[413]);
    let plain = post(
        create,
        "Content-Type: text/plain\r\nContent-Length: 2\r\n",
        b"{}",
    );
    refused(&brig, "another kind", &plain, &[400]);
    assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
    brig.finish();
}

#[test]
fn filters_that_repeat_for_ever_are_answered() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["create", "--name", "abb", "bb", "true"]).ok();
    let long = "b*".repeat(10_000);
    let path = format!("/containers/json?all=1&filters={{%22name%22:[%22{long}%22]}}");
    let request = format!("GET {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n");
    let answer = asked(&brig, request.as_bytes(), false);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("/abb"), "{answer}");
    brig.finish();
}

#[test]
fn connections_that_are_taken_over_wrongly_hurt_nobody() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["run", "-di", "--name", "echoer", "bb", "cat"])
        .ok();
    brig.brig(&["create", "--name", "still", "bb", "cat"]).ok();
    let upgrade = "Upgrade: tcp\r\nConnection: Upgrade\r\n";
    let ask = |method: &str, path: &str, more: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: b\r\n{upgrade}{more}\r\n")
    };
    // Where nothing is taken over the words mean nothing.
    let request = ask("GET", "/version", "").replace("Connection: Upgrade", "Connection: close");
    let version = asked(&brig, request.as_bytes(), false);
    assert!(version.starts_with("HTTP/1.1 200"), "{version}");
    let attach = "/containers/echoer/attach?stream=1&stdin=1&stdout=1";
    for (what, request) in [
        ("an unknown protocol", ask("POST", "/grpc", "")),
        ("a session without a name", ask("POST", "/session", "")),
        (
            "somebody who is not there",
            ask("POST", "/containers/nobody/attach?stream=1", ""),
        ),
        (
            "an exec that is not there",
            ask("POST", "/exec/nobody/start", "Content-Length: 2\r\n") + "{}",
        ),
        (
            "a socket that is none",
            ask("GET", "/containers/echoer/attach/ws", ""),
        ),
    ] {
        refused(&brig, what, request.as_bytes(), &[400, 404]);
    }
    // Taken over, and gone at once: with noise, with another request, with nothing.
    for more in ["", "\0\0\0\0", "GET /version HTTP/1.1\r\n\r\n"] {
        let mut stream = UnixStream::connect(brig.socket()).unwrap();
        stream
            .write_all((ask("POST", attach, "") + more).as_bytes())
            .unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 101");
    }
    // Many that never say anything are in nobody's way.
    let idle: Vec<UnixStream> = (0..300)
        .map(|_| UnixStream::connect(brig.socket()).unwrap())
        .collect();
    let names = brig.brig(&["ps", "-a", "--format", "{{.Names}}"]);
    assert_eq!(names.lines().len(), 2);
    drop(idle);
    assert_eq!(brig.inspect("echoer")["State"]["Running"], true);
    assert!(!brig.daemon_log().contains("panicked"));
    brig.finish();
}

/// As Go's library has it, in which Docker's daemon is written.
#[test]
fn fields_have_names_in_any_case() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let body = r#"{"image": "bb", "CMD": ["echo", "hi"], "hostconfig": {"MEMORY": 33554432},
        "labels": {"Image": "kept", "cmd": "kept"}}"#;
    let request = format!(
        "POST /v1.44/containers/create?name=any HTTP/1.1\r\nHost: brig\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = brig.http(&request);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let made = brig.inspect("any");
    assert_eq!(made["Config"]["Cmd"], serde_json::json!(["echo", "hi"]));
    assert_eq!(made["HostConfig"]["Memory"], 33_554_432);
    let labels = serde_json::json!({ "Image": "kept", "cmd": "kept" });
    assert_eq!(made["Config"]["Labels"], labels);
    brig.finish();
}
