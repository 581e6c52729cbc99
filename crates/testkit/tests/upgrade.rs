//! A daemon that is upgraded in place while clients use it: none notices.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use testkit::{AtEnd, Brig, Client, Output, clients, kill, root, until, within};

/// How often it is upgraded under load, if nobody says otherwise.
const UPGRADES: usize = 20;

/// How often it is upgraded under load.
fn asked_for() -> usize {
    let asked = std::env::var("BRIG_UPGRADES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(UPGRADES)
}

/// Longer than anything takes that is not lost.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often the daemon has been upgraded by now.
fn upgrades(brig: &Brig) -> usize {
    let upgrades = |line: &&str| line.contains("upgraded_from=");
    brig.daemon_log().lines().filter(upgrades).count()
}

/// Upgrades it, and waits until the new one serves.
#[track_caller]
fn upgrade(brig: &Brig) {
    let before = upgrades(brig);
    kill("USR2", brig.daemon_pid());
    within(PATIENCE, "the new daemon", || {
        (upgrades(brig) > before).then_some(())
    });
}

/// A client that stays while the daemon changes.
fn begin(brig: &Brig, client: Client, args: &[&str]) -> Child {
    let mut command = brig.command(client, args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn finished(mut child: Child) -> (Option<i32>, String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    (child.wait().unwrap().code(), out, err)
}

/// One that talks HTTP/1.1 over one connection for as long as it lives.
struct Kept(BufReader<UnixStream>);

impl Kept {
    fn open(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// The status of an answer, and its body, which has a length.
    fn ask(&mut self, request: &str) -> std::io::Result<(u16, String)> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| std::io::Error::other(format!("no answer: {line:?}")))?;
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// What clients do all the time: each round one of it, checked.
fn round(brig: &Brig, client: Client, name: &str) -> Result<(), String> {
    let fine = |output: Output, expected: &str| match output.code == 0 && output.stdout == expected
    {
        true => Ok(()),
        false => Err(output.to_string()),
    };
    let run = ["run", "--rm", "--network", "none", "bb", "echo", "said"];
    fine(brig.with(client, &run), "said\n")?;
    let exec = ["exec", "stays", "echo", "within"];
    fine(brig.with(client, &exec), "within\n")?;
    let create = ["create", "--network", "none", "--name", name, "bb", "true"];
    let created = brig.with(client, &create);
    let id = created.stdout.clone();
    fine(created, &id)?;
    let format = [
        "ps",
        "-aq",
        "--no-trunc",
        "--filter",
        &format!("name=^/{name}$"),
    ];
    fine(brig.with(client, &format), &id)?;
    fine(brig.with(client, &["rm", name]), &format!("{name}\n"))
}

#[test]
fn no_request_fails_while_the_daemon_is_upgraded_again_and_again() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let stays = [
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "stays",
        "bb",
        "sleep",
        "10000",
    ];
    brig.brig(&stays).ok();
    let pid = brig.daemon_pid();
    let done = AtomicBool::new(false);
    let (rounds, requests) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let socket = brig.socket();
    std::thread::scope(|scope| {
        let _end = AtEnd(&done);
        let mut working = Vec::new();
        for (number, client) in clients().into_iter().enumerate() {
            let (brig, done, rounds) = (&brig, &done, &rounds);
            working.push(scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    round(brig, client, &format!("made-{number}"))?;
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, String>(())
            }));
        }
        for number in 0..2 {
            let (socket, done, requests) = (&socket, &done, &requests);
            working.push(scope.spawn(move || {
                let mut kept = Kept::open(socket);
                while !done.load(Ordering::Relaxed) {
                    let request = match number {
                        0 => "GET /v1.44/containers/json?all=1 HTTP/1.1\r\nHost: b\r\n\r\n",
                        _ => "GET /v1.44/containers/stays/json HTTP/1.1\r\nHost: b\r\n\r\n",
                    };
                    let (status, body) = kept.ask(request).map_err(|error| error.to_string())?;
                    if status != 200 || !body.contains("stays") {
                        return Err(format!("{status} {body}"));
                    }
                    requests.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }));
        }
        let some_work = |what: &AtomicUsize,
                         before: usize,
                         working: &[std::thread::ScopedJoinHandle<'_, _>]| {
            within(PATIENCE, "requests between two upgrades", || {
                let ended = working.iter().any(|work| work.is_finished());
                (ended || what.load(Ordering::Relaxed) > before).then_some(())
            });
        };
        for _ in 0..asked_for() {
            let before = (
                rounds.load(Ordering::Relaxed),
                requests.load(Ordering::Relaxed),
            );
            upgrade(&brig);
            some_work(&rounds, before.0, &working);
            some_work(&requests, before.1, &working);
        }
        done.store(true, Ordering::Relaxed);
        for work in working {
            if let Err(failed) = work.join().unwrap() {
                panic!("a request failed: {failed}");
            }
        }
    });
    assert_eq!(upgrades(&brig), asked_for());
    assert_eq!(brig.daemon_pid(), pid);
    assert!(rounds.into_inner() >= asked_for());
    brig.finish();
}

/// The names that a container has, one after the other.
fn name(number: usize) -> String {
    match number {
        0 => "talks".to_owned(),
        number => format!("name{number}"),
    }
}

/// Gives it the next one.
fn rename(brig: &Brig, names: &AtomicUsize) {
    let now = names.fetch_add(1, Ordering::Relaxed);
    brig.brig(&["rename", &name(now), &name(now + 1)]).ok();
}

#[test]
fn answers_without_an_end_go_on_where_they_were() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let script =
            "i=0; while [ ! -e /stop ]; do i=$((i+1)); echo line $i; usleep 2000; done; exit 7";
        // Attached, and so waited for.
        let run = ["run", "--network", "none", "--name", "talks"];
        let attached = begin(
            &brig,
            client,
            &[&run[..], &["bb", "sh", "-c", script]].concat(),
        );
        let id = until("the container", || {
            let running = brig.brig(&["ps", "-q", "--no-trunc", "--filter", "name=talks"]);
            Some(running.ok().to_owned()).filter(|id| !id.is_empty())
        });
        let logs = begin(&brig, client, &["logs", "-f", &id]);
        let waits = begin(&brig, client, &["wait", &id]);
        let filters = ["--filter", "type=container", "--filter", "event=rename"];
        let events = [
            &["events", "--format", "{{.Actor.Attributes.name}}"],
            &filters[..],
        ]
        .concat();
        let mut events = begin(&brig, client, &events);
        let mut told = BufReader::new(events.stdout.take().unwrap());
        // A client that is there hears of a name; which is the first depends on when it came.
        let mut heard = String::new();
        let (names, ready) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let _end = AtEnd(&ready);
            scope.spawn(|| {
                while !ready.load(Ordering::Relaxed) {
                    rename(&brig, &names);
                }
            });
            told.read_line(&mut heard).unwrap();
        });
        for _ in 0..3 {
            upgrade(&brig);
            rename(&brig, &names);
        }
        let last = names.into_inner();
        let mut number: usize = heard.trim().trim_start_matches("name").parse().unwrap();
        while number < last {
            number += 1;
            heard.clear();
            told.read_line(&mut heard).unwrap();
            assert_eq!(
                heard.trim(),
                name(number),
                "an event was lost or told twice"
            );
        }
        // The container may end with it before it has.
        drop(brig.brig(&["exec", &name(last), "touch", "/stop"]));
        let (code, said, err) = finished(attached);
        assert_eq!(code, Some(7), "{err}");
        let lines = said.lines().count();
        let expected: String = (1..=lines).map(|i| format!("line {i}\n")).collect();
        assert_eq!(said, expected);
        let (code, logged, err) = finished(logs);
        assert_eq!(code, Some(0), "{err}");
        assert!(
            logged == expected,
            "a line was lost or told twice: {logged}"
        );
        let (code, waited, err) = finished(waits);
        assert_eq!((code, waited.as_str()), (Some(0), "7\n"), "{err}");
        events.kill().unwrap();
        events.wait().unwrap();
        brig.brig(&["rm", &name(last)]).ok();
    }
    brig.finish();
}

/// What is in memory only goes along: a client that waits for a start, and a session that is not started.
#[test]
fn what_was_begun_before_is_finished_after() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let create = [
        "create",
        "--network",
        "none",
        "--name",
        "later",
        "bb",
        "sh",
        "-c",
        "echo out; exec sleep 1000",
    ];
    brig.brig(&create).ok();
    let mut attached = UnixStream::connect(brig.socket()).unwrap();
    attached.set_read_timeout(Some(PATIENCE)).unwrap();
    let attach = "POST /v1.44/containers/later/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: b\r\n\
                  Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    attached.write_all(attach.as_bytes()).unwrap();
    let mut attached = BufReader::new(attached);
    let mut line = String::new();
    while line.trim_end() != "" || line.is_empty() {
        line.clear();
        attached.read_line(&mut line).unwrap();
    }
    upgrade(&brig);
    brig.brig(&["start", "later"]).ok();
    let mut frame = [0; 12];
    attached.read_exact(&mut frame).unwrap();
    assert_eq!(&frame, b"\x01\0\0\0\0\0\0\x04out\n");
    let mut kept = Kept::open(&brig.socket());
    let body = r#"{"AttachStdout":true,"Cmd":["echo","from before"]}"#;
    let create = format!(
        "POST /v1.44/containers/later/exec HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, made) = kept.ask(&create).unwrap();
    assert_eq!(status, 201, "{made}");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let id = made["Id"].as_str().unwrap();
    upgrade(&brig);
    // By the same connection, which was idle meanwhile.
    let show = format!("GET /v1.44/exec/{id}/json HTTP/1.1\r\nHost: b\r\n\r\n");
    let (status, shown) = kept.ask(&show).unwrap();
    assert_eq!(status, 200, "{shown}");
    assert!(shown.contains("from before"), "{shown}");
    let body = r#"{"Detach":false,"Tty":false}"#;
    let started = brig.http(&format!(
        "POST /v1.44/exec/{id}/start HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\n\
         Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(started.contains("from before\n"), "{started}");
    upgrade(&brig);
    until("its exit code", || {
        let (_, shown) = kept.ask(&show).unwrap();
        (shown.contains(r#""ExitCode":0"#) && shown.contains("from before")).then_some(())
    });
    let told = brig.brig(&[
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "type=daemon",
    ]);
    assert_eq!(told.lines().len(), 3, "{told}");
    brig.finish();
}

/// What a container uses, a line each second, by whatever connection.
struct Watched(BufReader<Box<dyn Read>>);

impl Watched {
    fn open(stream: impl Read + Write + 'static) -> Self {
        let mut stream: Box<dyn ReadWrite> = Box::new(stream);
        let request = "GET /v1.44/containers/busy/stats HTTP/1.1\r\nHost: b\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        Self(BufReader::new(Box::new(stream)))
    }

    /// The next one: when it was looked, when before, and the time used until then and until before.
    fn next(&mut self) -> (String, String, u64, u64) {
        let mut line = String::new();
        // Between them stand the head, and the sizes of chunks.
        while !line.starts_with('{') {
            line.clear();
            assert!(
                self.0.read_line(&mut line).unwrap() > 0,
                "the stream has ended"
            );
        }
        let shown: serde_json::Value = serde_json::from_str(&line).unwrap();
        let time = |what: &str| shown[what].as_str().unwrap().to_owned();
        let used = |what: &str| shown[what]["cpu_usage"]["total_usage"].as_u64().unwrap();
        (
            time("read"),
            time("preread"),
            used("cpu_stats"),
            used("precpu_stats"),
        )
    }
}

trait ReadWrite: Read + Write {}

impl<S: Read + Write> ReadWrite for S {}

#[test]
fn statistics_go_on_and_so_do_connections_by_tcp() {
    if !root() {
        return;
    }
    let mut brig = Brig::prepare(testkit::Setup::default());
    let address = testkit::address();
    let host = format!("tcp://{address}");
    brig.listen_too(&host);
    brig.start_daemon();
    brig.import_busybox();
    let busy = ["--network", "none", "--name", "busy", "bb", "sh", "-c"];
    let script =
        "i=0; while [ ! -e /stop ]; do i=$((i+1)); echo line $i; usleep 100000; done; exit 5";
    brig.brig(&[&["run", "-d"], &busy[..], &[script]].concat())
        .ok();
    let tcp = || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let unix = UnixStream::connect(brig.socket()).unwrap();
    unix.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut streams = [Watched::open(unix), Watched::open(tcp())];
    let mut last: Vec<_> = streams.iter_mut().map(Watched::next).collect();
    let mut idle = tcp();
    let follows = begin(
        &brig,
        Client::Brig,
        &["--host", &host, "logs", "-f", "busy"],
    );
    let waits = begin(&brig, Client::Brig, &["--host", &host, "wait", "busy"]);
    for _ in 0..2 {
        upgrade(&brig);
        for (stream, last) in streams.iter_mut().zip(&mut last) {
            for _ in 0..2 {
                let now = stream.next();
                assert!(now.0 > last.0 && now.1 >= last.0, "{now:?} after {last:?}");
                assert!(now.3 >= last.2 && now.2 >= now.3, "{now:?} after {last:?}");
                *last = now;
            }
        }
    }
    idle.write_all(b"GET /_ping HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    idle.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The container may end with it before it has.
    drop(brig.brig(&["exec", "busy", "touch", "/stop"]));
    let (code, waited, err) = finished(waits);
    assert_eq!((code, waited.as_str()), (Some(0), "5\n"), "{err}");
    let (code, followed, err) = finished(follows);
    assert_eq!(code, Some(0), "{err}");
    let logged = brig.brig(&["logs", "busy"]);
    assert_eq!(followed, logged.stdout);
    brig.finish();
}

#[test]
fn a_program_that_does_not_start_replaces_nothing() {
    if !root() {
        return;
    }
    let mut brig = Brig::prepare(testkit::Setup::default());
    // A program of its own, to be replaced.
    let dir = brig.root().join("programs");
    let from = testkit::program("brigd");
    let from = from.parent().unwrap();
    let copied = Command::new("cp").arg("-r").arg(from).arg(&dir).status();
    assert!(copied.unwrap().success());
    brig.start_program(&dir.join("brigd"));
    brig.import_busybox();
    let replace = |script: &str| {
        let path = dir.join("brigd");
        let put = format!(
            "printf '%s\\n' '#!/bin/sh' '{script}' >brigd.new; chmod +x brigd.new; mv brigd.new {}",
            path.display()
        );
        let put = Command::new("sh")
            .arg("-c")
            .arg(put)
            .current_dir(&dir)
            .status();
        assert!(put.unwrap().success());
    };
    replace("echo brigd: no such key 1>&2; exit 1");
    kill("USR2", brig.daemon_pid());
    until("the refusal", || {
        let log = brig.daemon_log();
        (log.contains("does not take the configuration") && log.contains("no such key"))
            .then_some(())
    });
    let refused = brig.brig(&["system", "upgrade"]);
    assert_eq!(refused.code, 1, "{refused}");
    for word in ["goes on", "does not take the configuration", "no such key"] {
        assert!(refused.stderr.contains(word), "{refused}");
    }
    brig.brig(&["run", "--rm", "--network", "none", "bb", "true"])
        .ok();
    let put = Command::new("cp")
        .arg(from.join("brigd"))
        .arg(dir.join("brigd.good"))
        .status();
    assert!(put.unwrap().success());
    std::fs::rename(dir.join("brigd.good"), dir.join("brigd")).unwrap();
    upgrade(&brig);
    let (before, pid) = (upgrades(&brig), brig.daemon_pid());
    let upgraded = brig.brig(&["system", "upgrade"]);
    let version = brig.brig(&["version", "--format", "{{.Server.Version}}"]);
    let version = version.ok().trim().to_owned();
    let program = dir.join("brigd");
    let expected = format!("{}: {version} -> {version}\n", program.display());
    assert_eq!(
        (upgraded.code, upgraded.stdout.as_str()),
        (0, expected.as_str()),
        "{upgraded}"
    );
    assert_eq!((upgrades(&brig), brig.daemon_pid()), (before + 1, pid));
    brig.brig(&["run", "--rm", "--network", "none", "bb", "true"])
        .ok();
    brig.finish();
}
