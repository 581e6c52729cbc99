//! Health: looks by command and from outside, what they come to, and what is done about it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;
use testkit::{Brig, Client, clients, root, until};

const OFTEN: [&str; 4] = ["--health-interval", "50ms", "--health-timeout", "20s"];

/// Starts a container that sleeps.
fn run(brig: &Brig, client: Client, name: &str, flags: &[&str]) {
    let start = ["run", "-d", "--name", name];
    let args = [&start[..], &OFTEN, flags, &["bb", "sleep", "1000"]].concat();
    brig.with(client, &args).ok();
}

fn health(brig: &Brig, name: &str) -> Value {
    brig.inspect(name)["State"]["Health"].clone()
}

fn wait_for(brig: &Brig, name: &str, status: &str) -> Value {
    until(&format!("{name} to be {status}"), || {
        Some(health(brig, name)).filter(|health| health["Status"] == status)
    })
}

/// What is known when somebody has looked for the first time.
fn first_look(brig: &Brig, name: &str) -> Value {
    until("the first look", || {
        let looked = |h: &Value| h["Log"].as_array().is_some_and(|log| !log.is_empty());
        Some(health(brig, name)).filter(looked)
    })
}

/// The events about its health.
fn changes(brig: &Brig, name: &str) -> Vec<String> {
    let past = [
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--format",
        "{{.Action}}",
    ];
    let filter = format!("container={name}");
    let told = brig.brig(&[&past[..], &["-f", "event=health_status", "-f", &filter]].concat());
    told.lines().into_iter().map(str::to_owned).collect()
}

#[test]
fn a_command_says_how_a_container_is() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for (number, client) in clients().into_iter().enumerate() {
        let name = format!("h{number}");
        let look = "echo looked; echo badly >&2; test -e /well";
        let often = ["--health-retries", "2", "--health-start-period", "1h"];
        let flags = [&["--health-cmd", look], &often[..]].concat();
        run(&brig, client, &name, &flags);
        let starting = first_look(&brig, &name);
        // Within the start period failures do not count.
        assert_eq!(
            (&starting["Status"], &starting["FailingStreak"]),
            (&"starting".into(), &0.into())
        );
        let look = &starting["Log"][0];
        assert_eq!(
            (&look["ExitCode"], &look["Output"]),
            (&1.into(), &"looked\nbadly\n".into())
        );
        assert!(
            look["Start"].is_string() && look["End"].is_string(),
            "{look}"
        );
        let shown = |brig: &Brig| {
            let ps = [
                "ps",
                "--format",
                "{{.Status}}",
                "-f",
                &format!("name={name}"),
            ];
            brig.with(client, &ps).ok().to_owned()
        };
        assert!(
            shown(&brig).ends_with(" (health: starting)"),
            "{}",
            shown(&brig)
        );
        brig.with(client, &["exec", &name, "touch", "/well"]).ok();
        let well = wait_for(&brig, &name, "healthy");
        assert_eq!(well["FailingStreak"], 0);
        assert!(shown(&brig).ends_with(" (healthy)"), "{}", shown(&brig));
        let listed = |status: &str| {
            let filter = format!("health={status}");
            brig.with(
                client,
                &["ps", "-q", "-f", &filter, "-f", &format!("name={name}")],
            )
            .ok()
            .len()
        };
        assert_eq!(
            (listed("healthy"), listed("unhealthy"), listed("none")),
            (12, 0, 0)
        );
        brig.with(client, &["exec", &name, "rm", "/well"]).ok();
        let ill = wait_for(&brig, &name, "unhealthy");
        assert!(ill["FailingStreak"].as_i64().unwrap() >= 2);
        until("five looks", || {
            (health(&brig, &name)["Log"].as_array().unwrap().len() == 5).then_some(())
        });
        assert!(shown(&brig).ends_with(" (unhealthy)"), "{}", shown(&brig));
        assert_eq!(
            changes(&brig, &name),
            ["health_status: healthy", "health_status: unhealthy"]
        );
        brig.with(client, &["stop", "-t", "0", &name]).ok();
        assert!(!shown(&brig).contains("health"));
        brig.with(client, &["rm", &name]).ok();
    }
    brig.finish();
}

#[test]
fn an_image_says_how_to_look() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let tar = testkit::busybox_tar();
    let change = r#"HEALTHCHECK --interval=50ms --retries=1 CMD ["test", "-e", "/well"]"#;
    brig.brig(&["import", "-c", change, tar.to_str().unwrap(), "bb"])
        .ok();
    let start = |name: &str, flags: &[&str]| {
        let run = ["run", "-d", "--name", name];
        brig.brig(&[&run[..], flags, &["bb", "sleep", "1000"]].concat())
            .ok();
    };
    start("ill", &[]);
    wait_for(&brig, "ill", "unhealthy");
    let config = brig.inspect("ill")["Config"]["Healthcheck"].clone();
    let expected = serde_json::json!({"Test": ["CMD", "test", "-e", "/well"], "Interval": 50_000_000, "Retries": 1});
    assert_eq!(config, expected);
    // What is said beside it takes the place of its part.
    start("well", &["--health-cmd", "true"]);
    wait_for(&brig, "well", "healthy");
    for (number, client) in clients().into_iter().enumerate() {
        let name = format!("none{number}");
        brig.with(
            client,
            &[
                "run",
                "-d",
                "--name",
                &name,
                "--no-healthcheck",
                "bb",
                "sleep",
                "1000",
            ],
        )
        .ok();
        assert_eq!(health(&brig, &name), Value::Null);
        let both = [
            "create",
            "--no-healthcheck",
            "--health-cmd",
            "true",
            "bb",
            "true",
        ];
        assert!(
            brig.with(client, &both)
                .stderr
                .contains("--no-healthcheck conflicts with --health-* options")
        );
        let bad = [
            "create",
            "--health-cmd",
            "true",
            "--health-interval",
            "1us",
            "bb",
            "true",
        ];
        assert!(
            brig.with(client, &bad)
                .stderr
                .contains("Interval in Healthcheck cannot be less than 1ms")
        );
    }
    brig.finish();
}

#[test]
fn looks_end_in_time_are_cut_and_rest_while_it_stands_still() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let slow = [
        "--health-cmd",
        "echo begun; sleep 1000",
        "--health-timeout",
        "1s",
        "--health-retries",
        "1",
    ];
    run(&brig, Client::Brig, "slow", &slow);
    let ill = wait_for(&brig, "slow", "unhealthy");
    assert_eq!(ill["Log"][0]["ExitCode"], -1);
    // On a busy machine one may not come as far as to say something.
    until("a look that was cut when it had begun", || {
        let log = health(&brig, "slow")["Log"].clone();
        let cut = "Health check exceeded timeout (1s): begun\n";
        log.as_array()?
            .iter()
            .find(|look| look["Output"] == cut)
            .map(drop)
    });
    run(
        &brig,
        Client::Brig,
        "long",
        &["--health-cmd", "head -c 9000 /dev/zero | tr '\\0' x"],
    );
    let long = wait_for(&brig, "long", "healthy");
    let output = long["Log"][0]["Output"].as_str().unwrap();
    assert!(
        output.len() == 4099 && output.ends_with("x..."),
        "{}",
        output.len()
    );
    // The sessions of looks are nobody's.
    assert_eq!(
        brig.inspect("long")["ExecIDs"]
            .as_array()
            .map_or(0, |ids| ids.len().saturating_sub(1)),
        0
    );

    run(&brig, Client::Brig, "still", &["--health-cmd", "true"]);
    wait_for(&brig, "still", "healthy");
    brig.brig(&["pause", "still"]).ok();
    let last = |brig: &Brig| {
        let log = health(brig, "still")["Log"].clone();
        log.as_array().unwrap().last().unwrap()["Start"].clone()
    };
    let looks_elsewhere = || {
        let streak = || health(&brig, "slow")["FailingStreak"].as_i64().unwrap();
        let before = streak();
        until("two more looks at another one", || {
            (streak() >= before + 2).then_some(())
        });
    };
    // One may have been under way.
    looks_elsewhere();
    let rests = last(&brig);
    looks_elsewhere();
    assert_eq!(last(&brig), rests);
    brig.brig(&["unpause", "still"]).ok();
    let before = last(&brig);
    until("a look after it went on", || {
        (last(&brig) != before).then_some(())
    });

    // The next daemon goes on with what was known.
    brig.kill_daemon();
    brig.start_daemon();
    assert_eq!(health(&brig, "still")["Status"], "healthy");
    assert_eq!(health(&brig, "slow")["Status"], "unhealthy");
    until("a look of the new daemon", || {
        (!health(&brig, "still")["Log"].as_array().unwrap().is_empty()).then_some(())
    });
    brig.finish();
}

#[test]
fn an_unhealthy_container_is_restarted_stopped_or_killed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let ill = [
        "--health-cmd",
        "test -e /well",
        "--health-retries",
        "2",
        "--stop-timeout",
        "0",
        "--health-action",
    ];
    run(
        &brig,
        Client::Brig,
        "again",
        &[&ill[..], &["restart:2"]].concat(),
    );
    let restarts = |name: &str| {
        let args = [
            "events",
            "--since",
            "1h",
            "--until",
            "0s",
            "-f",
            "event=restart",
            "-f",
        ];
        let filter = format!("container={name}");
        let told = brig.brig(&[&args[..], &[&filter, "--format", "{{.Action}}"]].concat());
        told.lines().len()
    };
    until("two restarts", || (restarts("again") == 2).then_some(()));
    // Its budget is spent: it stays as it is.
    wait_for(&brig, "again", "unhealthy");
    until("more looks", || {
        (health(&brig, "again")["FailingStreak"].as_i64().unwrap() > 5).then_some(())
    });
    assert_eq!(
        (restarts("again"), &brig.inspect("again")["State"]["Status"]),
        (2, &"running".into())
    );
    run(
        &brig,
        Client::Brig,
        "stops",
        &[&ill[..], &["stop", "--restart", "always"]].concat(),
    );
    brig.wait_for_state("stops", "exited");
    run(
        &brig,
        Client::Brig,
        "killed",
        &[&ill[..], &["kill"]].concat(),
    );
    brig.wait_for_state("killed", "exited");
    assert_eq!(brig.inspect("killed")["State"]["ExitCode"], 137);
    let bad = brig.brig(&[
        "create",
        "--health-cmd",
        "x",
        "--health-action",
        "cure",
        "bb",
        "true",
    ]);
    assert!(
        bad.stderr.contains("invalid health action \"cure\""),
        "{bad}"
    );
    brig.finish();
}

#[test]
fn pages_and_ports_are_looked_at_from_within_the_network() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let serve = "mkdir /w; echo fine > /w/ok; sleep 0.3; exec httpd -f -p 127.0.0.1:8080 -h /w";
    let looks = [
        (
            "page",
            &["--health-http", ":8080/ok"][..],
            "healthy",
            "HTTP/1.1 200 OK\nfine\n",
        ),
        (
            "nopage",
            &["--health-http", "http://localhost:8080/no"],
            "unhealthy",
            "HTTP/1.1 404 Not Found",
        ),
        (
            "port",
            &["--health-tcp", "8080"],
            "healthy",
            "127.0.0.1:8080 takes connections",
        ),
        (
            "noport",
            &["--health-tcp", "127.0.0.1:8081"],
            "unhealthy",
            "cannot connect to 127.0.0.1:8081: ",
        ),
        (
            "nogrpc",
            &["--health-grpc", "8080"],
            "unhealthy",
            "the server does not answer with HTTP/2",
        ),
    ];
    for (name, flags, status, output) in looks {
        let start = ["run", "-d", "--name", name, "--network", "none"];
        let args = [&start[..], &OFTEN, flags, &["bb", "sh", "-c", serve]].concat();
        brig.brig(&args).ok();
        wait_for(&brig, name, status);
        let told = until("a look that says so", || {
            let log = health(&brig, name)["Log"].clone();
            let last = log.as_array()?.last()?["Output"].as_str()?.to_owned();
            last.starts_with(output).then_some(last)
        });
        assert!(told.starts_with(output), "{name}: {told}");
    }
    brig.finish();
}

/// A server that says what it is told to, to each that asks.
fn grpc_server(status: u8) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 24 + 9];
            stream.read_exact(&mut asked).unwrap();
            assert!(asked.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
            let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            let head = [0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
            let data = [0, 0, 7, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 8, status];
            let _ = stream.write_all(&[&settings[..], &head, &data].concat());
            // Until the client has seen it.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    port
}

#[test]
fn grpc_servers_say_whether_they_serve() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for (name, number, status, output) in [
        ("serves", 1, "healthy", "SERVING"),
        ("rests", 2, "unhealthy", "NOT_SERVING (status 2)"),
    ] {
        let server = format!("{}/my.service", grpc_server(number));
        run(
            &brig,
            Client::Brig,
            name,
            &["--network", "host", "--health-grpc", &server],
        );
        let seen = wait_for(&brig, name, status);
        assert_eq!(seen["Log"][0]["Output"], output);
    }
    brig.finish();
}

#[test]
fn it_is_looked_after_while_the_daemon_is_away() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let flags = [
        "--health-cmd",
        "echo look >> /looks; test -e /well",
        "--health-interval",
        "100ms",
        "--health-retries",
        "2",
    ];
    let words = ["run", "-d", "--name", "alone"];
    let words = [&words[..], &flags, &["bb", "sleep", "1000"]].concat();
    brig.brig(&words).ok();
    wait_for(&brig, "alone", "unhealthy");
    let pid = brig.inspect("alone")["State"]["Pid"].as_u64().unwrap();
    let inside = std::path::PathBuf::from(format!("/proc/{pid}/root"));
    brig.kill_daemon();
    let looks = || std::fs::read_to_string(inside.join("looks")).unwrap().len();
    let before = looks();
    std::fs::write(inside.join("well"), "").unwrap();
    until("looks without a daemon", || {
        (looks() > before + 15).then_some(())
    });
    brig.start_daemon();
    // It is known without another look, and told of.
    let known = wait_for(&brig, "alone", "healthy");
    assert_eq!(known["Log"].as_array().unwrap().len(), 5, "{known}");
    assert_eq!(known["FailingStreak"], 0);
    until("the change to be told", || {
        let told = changes(&brig, "alone");
        told.last()
            .is_some_and(|last| last.ends_with("healthy"))
            .then_some(())
    });
    brig.finish();
}
