//! The real `brigd`, without containers: what it answers, whom it refuses, how it ends.

mod support;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::Duration;

use api::Version;
use api::client::{Body, Client, Endpoint, Error, ImageListQuery, ImportQuery};
use support::{Daemon, Roots, is_root};

/// Request, body, and what it is answered with.
const ANSWERS: &[(&str, &str, &str)] = &[
    ("GET /_ping", "", "200 OK"),
    ("GET /v1.55/_ping", "", "200 OK"),
    ("GET /containers/json", "", "200 []"),
    ("GET /v1.24/images/json", "", "200 []"),
    (
        "GET /v1.23/containers/json",
        "",
        "400 client version 1.23 is too old. Minimum supported API version is 1.24, please \
             upgrade your client to a newer version",
    ),
    (
        "GET /v1.99/containers/json",
        "",
        "400 client version 1.99 is too new. Maximum supported API version is 1.55",
    ),
    ("GET /nothing", "", "404 page not found"),
    ("POST /containers/json", "", "404 page not found"),
    (
        "GET /images/nosuch/attestations",
        "",
        "404 No such image: nosuch:latest",
    ),
    (
        "GET /containers/nosuch/json",
        "",
        "404 No such container: nosuch",
    ),
    (
        "POST /containers/nosuch/start",
        "",
        "404 No such container: nosuch",
    ),
    (
        "POST /containers/nosuch/kill?signal=FOO",
        "",
        "400 Invalid signal: FOO",
    ),
    (
        "POST /containers/nosuch/wait?condition=never",
        "",
        "400 invalid condition: \"never\": not-running, next-exit or removed is expected",
    ),
    (
        "POST /containers/nosuch/resize?h=x&w=1",
        "",
        "400 invalid resize height \"x\": invalid syntax",
    ),
    (
        "GET /containers/nosuch/logs",
        "",
        "400 Bad parameters: you must choose at least one stream",
    ),
    (
        "GET /containers/json?filters=%7B%22nane%22%3A%5B%22x%22%5D%7D",
        "",
        "400 invalid filter 'nane'",
    ),
    (
        "GET /images/json?filters=%7B%22color%22%3A%5B%22x%22%5D%7D",
        "",
        "400 invalid filter 'color'",
    ),
    (
        "POST /containers/create",
        "",
        "400 config cannot be empty in order to create a container",
    ),
    (
        "POST /containers/create",
        "{",
        "400 invalid JSON: EOF while parsing an object at line 1 column 1",
    ),
    (
        "POST /containers/create?name=-x",
        "{}",
        "400 Invalid container name (-x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
    ),
    (
        "POST /containers/create",
        r#"{"Image":"nosuch","HostConfig":{"CpuCount":1}}"#,
        "501 HostConfig.CpuCount is not supported by this version of Brig: it is for Windows \
             containers; leave it out",
    ),
    (
        "POST /containers/create",
        r#"{"Image":"nosuch","HostConfig":{"PortBindings":{"http/tcp":[]}}}"#,
        "400 invalid port specification: \"http/tcp\"",
    ),
    (
        "POST /networks/create",
        r#"{"Name":"bridge"}"#,
        "403 operation is not permitted on predefined bridge network",
    ),
    (
        "POST /containers/create",
        r#"{"Image":"nosuch"}"#,
        "404 No such image: nosuch:latest",
    ),
    (
        "POST /images/create?fromImage=NoSuch&tag=1",
        "",
        "400 invalid reference format: repository name (library/NoSuch) must be lowercase",
    ),
    ("GET /images/search", "", "400 term must be said"),
    (
        "GET /system/df?type=nosuch",
        "",
        "400 unknown object type: nosuch: one of container, image, volume, build-cache is expected",
    ),
    (
        "POST /images/prune?filters=%7B%22color%22%3A%5B%22red%22%5D%7D",
        "",
        "400 invalid filter 'color'",
    ),
    (
        "POST /exec/nosuch/start",
        "{}",
        "404 No such exec instance: nosuch",
    ),
];

#[test]
fn answers_are_dockers() {
    let roots = Roots::new();
    let Some(daemon) = Daemon::start(&roots) else {
        return;
    };
    for (request, body, expected) in ANSWERS {
        assert_eq!(daemon.ask(request, body), *expected, "{request} {body}");
    }
}

#[test]
fn every_answer_is_signed() {
    let roots = Roots::new();
    let Some(daemon) = Daemon::start(&roots) else {
        return;
    };
    for path in ["/_ping", "/nothing", "/v1.23/info"] {
        let answer = daemon.raw(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        for header in [
            "\r\nApi-Version: 1.55\r\n",
            "\r\nOstype: linux\r\n",
            "\r\nDocker-Experimental: false\r\n",
            "\r\nServer: Brig/",
        ] {
            assert!(answer.contains(header), "{path}: {answer}");
        }
    }
    let head = daemon.raw("HEAD /_ping HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"));
}

#[test]
fn a_body_of_another_kind_or_too_long_is_refused() {
    let roots = Roots::new();
    let Some(daemon) = Daemon::start(&roots) else {
        return;
    };
    let typed = daemon.raw(
        "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\
         Content-Length: 2\r\n\r\n{}",
    );
    assert!(
        typed.starts_with("HTTP/1.1 400 ")
            && typed.contains(
                "unsupported Content-Type header (text/plain): must be 'application/json'"
            ),
        "{typed}"
    );
    let untyped =
        daemon.raw("POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    assert!(
        untyped.starts_with("HTTP/1.1 400 ")
            && untyped.contains("malformed Content-Type header (): mime: no media type"),
        "{untyped}"
    );
    let long = "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n";
    let mut socket = daemon.connect();
    socket.write_all(long.as_bytes()).unwrap();
    let piece = vec![b' '; 1 << 20];
    // The daemon hangs up when it has read enough.
    while socket.write_all(&piece).is_ok() {}
    assert_eq!(daemon.ask("GET /_ping", ""), "200 OK");
}

/// More than a socket holds: an answer that does not wait for it would cut it off.
#[test]
fn who_is_refused_may_end_first() {
    let roots = Roots::new();
    let Some(daemon) = Daemon::start(&roots) else {
        return;
    };
    let body = " ".repeat(800 << 10);
    for (request, status) in [
        ("POST /containers/create?name=-x", "400 "),
        ("POST /v1.23/containers/create", "400 "),
        ("POST /nothing", "404 "),
        ("POST /containers/nosuch/start", "404 "),
    ] {
        let answer = daemon.ask(request, &body);
        assert!(answer.starts_with(status), "{request}: {answer}");
    }
}

#[test]
fn the_typed_client_and_the_daemon_understand_each_other() {
    let roots = Roots::new();
    let Some(daemon) = Daemon::start(&roots) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Client::new(Endpoint::Unix(daemon.socket.clone()));
        assert_eq!(client.ping().await.unwrap().api_version, "1.55");
        assert_eq!(
            client.daemon_version().await.unwrap().components[0].name,
            "Engine"
        );
        assert_eq!(client.info().await.unwrap().os_type, "linux");
        let query = ImageListQuery::default();
        assert!(client.image_list(&query).await.unwrap().is_empty());
        let error = client.container_wait("nosuch", None).await.unwrap_err();
        assert!(
            matches!(&error, Error::Refused { status: 404, message }
                if message == "No such container: nosuch"),
            "{error:?}"
        );
        // Far more than any buffer between the two holds, and no tar at its very beginning.
        let garbage = std::io::Cursor::new(vec![b'x'; 8 << 20]);
        let import = ImportQuery::default();
        let error = client.image_import(&import, Body::reader(garbage)).await;
        assert!(error.unwrap_err().status().is_some_and(|s| s == 400));
        let garbage = std::io::Cursor::new(vec![b'x'; 8 << 20]);
        let told = client.image_load(Body::reader(garbage), true, &[]).await;
        let told = told.unwrap().next().await.unwrap().unwrap();
        assert!(told.error_detail.is_some(), "{told:?}");
        let old = Client::new(Endpoint::Unix(daemon.socket.clone())).pin(Version::new(1, 23));
        assert_eq!(old.info().await.unwrap_err().status(), Some(400));
        let nobody = Client::new(Endpoint::Unix("/nonexistent/brig.sock".into()));
        assert!(nobody.ping().await.unwrap_err().is_connect());
    });
}

#[test]
fn roots_and_sockets_have_one_daemon() {
    let roots = Roots::new();
    let Some(daemon) = Daemon::start(&roots) else {
        return;
    };
    let second = roots.command().output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    let expected = format!(
        "brigd: another brigd uses {}: stop it, or choose another --run-root\n",
        roots.run().display()
    );
    assert_eq!(said, expected);

    let others = Roots::new();
    let host = format!("unix://{}", daemon.socket.display());
    let third = others.command().args(["--host", &host]).output().unwrap();
    let said = String::from_utf8(third.stderr).unwrap();
    assert!(
        said.ends_with("stop it, or choose another --host\n") && third.status.code() == Some(1),
        "{said}"
    );
    assert_eq!(daemon.ask("GET /_ping", ""), "200 OK");
}

#[test]
fn a_daemon_that_was_killed_leaves_nothing_in_the_way() {
    let roots = Roots::new();
    let Some(mut daemon) = Daemon::start(&roots) else {
        return;
    };
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    assert!(daemon.socket.exists());
    let again = Daemon::start(&roots).expect("root");
    assert_eq!(again.ask("GET /_ping", ""), "200 OK");
}

#[test]
fn sigterm_ends_it_and_takes_its_socket_away() {
    let roots = Roots::new();
    let Some(daemon) = Daemon::start(&roots) else {
        return;
    };
    // A connection on which nothing is asked does not hold it up.
    let _idle = daemon.connect();
    let socket = daemon.socket.clone();
    assert_eq!(daemon.terminate(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_bad_configuration_is_refused_before_anything_is_made() {
    if !is_root() {
        return;
    }
    let roots = Roots::new();
    let file = roots.dir.path().join("brigd.toml");
    sys::file::replace(&file, b"log-levle = \"info\"\n", 0o644).unwrap();
    let output = roots.command().arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "brigd: {}, line 1: unknown key \"log-levle\": did you mean \"log-level\"?\n",
        file.display()
    );
    assert_eq!(said, expected);
    assert!(!roots.run().exists() && !roots.data().exists());

    let steps = roots
        .command()
        .args(["--fail-at", "list"])
        .output()
        .unwrap();
    let steps = String::from_utf8(steps.stdout).unwrap();
    assert!(steps.lines().count() > 5, "{steps}");
    let wrong = roots.command().args(["--fail-at", "nosuch"]).output();
    let said = String::from_utf8(wrong.unwrap().stderr).unwrap();
    assert_eq!(
        said,
        "brigd: no step is called \"nosuch\"; --fail-at list names them\n"
    );
}

#[test]
fn a_service_manager_passes_the_socket_and_is_told() {
    if !is_root() {
        return;
    }
    let roots = Roots::new();
    let dir = roots.dir.path();
    let socket = dir.join("passed.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let manager = UnixDatagram::bind(dir.join("notify")).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let log = std::fs::File::create(dir.join("log")).unwrap();
    // The shell puts in the pid that is not known before.
    let script = format!("LISTEN_PID=$$ exec {}", roots.command_line());
    let child = sys::spawn::Spawn::new("/bin/sh".as_ref(), ["sh", "-c", &script])
        .unwrap()
        .env([
            "LISTEN_FDS=1".to_owned(),
            format!("NOTIFY_SOCKET={}", dir.join("notify").display()),
        ])
        .unwrap()
        .fds(&[null.as_fd(), log.as_fd(), log.as_fd(), listener.as_fd()])
        .spawn()
        .unwrap();
    let daemon = support::Spawned::new(child, socket);
    let mut buffer = [0; 64];
    let length = manager.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1");
    assert_eq!(daemon.ask("GET /_ping", ""), "200 OK");
    assert_eq!(daemon.terminate(), 0);
    let length = manager.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"STOPPING=1");
    // It is the manager's: it stays.
    assert!(dir.join("passed.sock").exists());
}

#[test]
fn the_log_can_be_json() {
    if !is_root() {
        return;
    }
    let roots = Roots::new();
    let mut command = roots.command();
    command.args(["--log-format", "json"]);
    let daemon = Daemon::of(command, &roots).expect("root");
    let log = daemon.log.clone();
    daemon.ask("GET /nothing", "");
    assert_eq!(daemon.terminate(), Some(0));
    let mut text = String::new();
    std::fs::File::open(log)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let line = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .find(|line| line["request"] == "GET /nothing")
        .expect("the refusal is logged");
    assert_eq!(
        (line["level"].as_str(), line["status"].as_u64()),
        (Some("info"), Some(404))
    );
}
