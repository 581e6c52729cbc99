//! `events`: what is told, in which order, to whom; what was told before; filters and forms.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use serde_json::Value;
use testkit::{AtEnd, Brig, Client, clients, kill, now, root, until};

/// What happened since the daemon began, by these filters.
fn past(brig: &Brig, client: Client, more: &[&str]) -> String {
    past_until(brig, client, &now(), more)
}

/// What had happened at that moment, whatever has since.
fn past_until(brig: &Brig, client: Client, until: &str, more: &[&str]) -> String {
    let args = [&["events", "--since", "1h", "--until", until], more].concat();
    brig.with(client, &args).ok().to_owned()
}

/// The same, as actions only.
fn actions(brig: &Brig, more: &[&str]) -> Vec<String> {
    let format = ["--format", "{{.Action}}"];
    let text = past(brig, Client::Brig, &[more, &format].concat());
    text.lines().map(str::to_owned).collect()
}

/// All that can happen to one.
fn live(brig: &Brig, client: Client, name: &str) {
    let with = |args: &[&str]| drop(brig.with(client, args).ok().to_owned());
    with(&[
        "run",
        "-d",
        "--name",
        name,
        "-l",
        "tier=front",
        "bb",
        "sleep",
        "1000",
    ]);
    with(&["pause", name]);
    with(&["unpause", name]);
    with(&["exec", name, "true", "now"]);
    with(&["top", name]);
    with(&["update", "-m", "64m", "--memory-swap", "64m", name]);
    with(&[
        "cp",
        &format!("{name}:/etc/."),
        brig.root().join("copy").to_str().unwrap(),
    ]);
    with(&["rename", name, "other"]);
    with(&["restart", "-t", "0", "other"]);
    with(&["kill", "-s", "HUP", "other"]);
    with(&["stop", "-t", "0", "other"]);
    with(&["rm", "other"]);
}

#[test]
fn the_life_of_a_container_is_told_in_order() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let of = |name: &str| {
        actions(
            &brig,
            &["-f", "type=container", "-f", &format!("container={name}")],
        )
    };
    for (number, client) in clients().into_iter().enumerate() {
        let name = format!("run{number}");
        brig.with(client, &["run", "--rm", "--name", &name, "bb", "true"])
            .ok();
        assert_eq!(
            of(&name),
            ["create", "attach", "start", "die", "destroy"],
            "{client:?}"
        );
        live(&brig, client, &format!("life{number}"));
        until("the end of the exec to be told", || {
            let told = actions(&brig, &["-f", "event=exec_die"]);
            (told.len() > number).then_some(())
        });
        let id = "label=tier=front";
        let told = actions(&brig, &["-f", "type=container", "-f", id]);
        let told = &told[told.iter().rposition(|action| action == "create").unwrap()..];
        // The end of the exec is heard of beside what is done meanwhile.
        let told: Vec<&str> = told
            .iter()
            .map(String::as_str)
            .filter(|a| *a != "exec_die")
            .collect();
        let expected = [
            "create",
            "start",
            "pause",
            "unpause",
            "exec_create: true now",
            "exec_start: true now",
            "top",
            "update",
            "archive-path",
            "rename",
            "kill",
            "kill",
            "die",
            "stop",
            "start",
            "restart",
            "kill",
            "kill",
            "kill",
            "die",
            "stop",
            "destroy",
        ];
        assert_eq!(told, expected, "{client:?}");
    }
    brig.finish();
}

#[test]
fn what_is_told_says_what_dockers_does() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&[
        "run", "--name", "e1", "-l", "a=b", "bb", "sh", "-c", "exit 3",
    ])
    .fails(3);
    brig.brig(&["rename", "e1", "e2"]).ok();
    brig.brig(&["rm", "e2"]).ok();
    let told = past(
        &brig,
        Client::Brig,
        &["--format", "json", "-f", "type=container"],
    );
    let told: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let id = told[0]["Actor"]["ID"].as_str().unwrap();
    let attributes = |action: &str| {
        let event = told.iter().find(|event| event["Action"] == action).unwrap();
        assert_eq!(
            (&event["scope"], &event["Actor"]["ID"]),
            (&"local".into(), &id.into())
        );
        event["Actor"]["Attributes"].clone()
    };
    assert_eq!(
        attributes("start"),
        serde_json::json!({"a": "b", "image": "bb", "name": "e1"})
    );
    let die = attributes("die");
    assert_eq!(
        (&die["exitCode"], &die["name"]),
        (&"3".into(), &"e1".into())
    );
    assert!(die["execDuration"].is_string());
    assert_eq!(attributes("rename")["oldName"], "/e1");
    assert_eq!(attributes("destroy")["name"], "e2");
    let times: Vec<i64> = told
        .iter()
        .map(|event| event["timeNano"].as_i64().unwrap())
        .collect();
    assert!(times.is_sorted() && told[0]["time"] == times[0] / 1_000_000_000);
    brig.finish();
}

#[test]
fn volumes_are_told_of_once() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["volume", "create", "data"]).ok();
    brig.brig(&["volume", "create", "data"]).ok();
    let mounted = ["run", "--rm", "-v", "data:/d", "-v", "/own", "bb", "true"];
    brig.brig(&mounted).ok();
    brig.brig(&["volume", "rm", "data"]).ok();
    brig.brig(&["volume", "prune", "-f"]).ok();
    let of = |more: &[&str]| actions(&brig, &[&["-f", "type=volume"], more].concat());
    let data = of(&["-f", "volume=data"]);
    assert_eq!(data, ["create", "mount", "unmount", "destroy"]);
    // Those of the container's own, which go with it, and the prune.
    assert_eq!(
        of(&[]).iter().filter(|action| *action == "create").count(),
        2
    );
    assert_eq!(
        of(&[]).iter().filter(|action| *action == "destroy").count(),
        2
    );
    assert_eq!(of(&[]).last().unwrap(), "prune");
    brig.finish();
}

#[test]
fn every_client_prints_the_same() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["run", "--rm", "--name", "e1", "-l", "say=<&>", "bb", "true"])
        .ok();
    brig.brig(&["container", "prune", "-f"]).ok();
    let formats = [
        &[][..],
        &[
            "--format",
            "{{.Type}} {{.Action}} {{.Actor.ID}} {{json .Actor.Attributes}} {{.TimeNano}}",
        ],
        &[
            "--format",
            "{{.Time}}\t{{.Scope}} {{.Actor.Attributes.name}}",
        ],
        &["-f", "event=die", "-f", "event=start"],
        &["-f", "label=say"],
        &["-f", "container=nobody"],
    ];
    let moment = now();
    for more in formats {
        let all: Vec<String> = clients()
            .into_iter()
            .map(|client| past_until(&brig, client, &moment, more))
            .collect();
        assert!(all.iter().all(|text| *text == all[0]), "{more:?}: {all:#?}");
        assert_eq!(all[0].is_empty(), more.last() == Some(&"container=nobody"));
    }
    for client in clients() {
        let told = past(
            &brig,
            client,
            &["-f", "type=container", "-f", "event=start"],
        );
        assert!(
            told.contains(" container start ") && told.ends_with(", name=e1, say=<&>)"),
            "{told}"
        );
        let unknown = brig.with(client, &["events", "--until", "0s", "-f", "colour=red"]);
        assert!(
            unknown.fails(1).contains("invalid filter 'colour'"),
            "{unknown}"
        );
        let turned = brig.with(client, &["events", "--since", "5", "--until", "3"]);
        assert!(
            turned
                .fails(1)
                .contains("`since` time (5) cannot be after `until` time (3)")
        );
    }
    brig.finish();
}

#[test]
fn events_come_as_they_happen() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        // With a beginning in the past, so that nothing happens before it listens.
        let since = [
            "events",
            "--since",
            "1h",
            "-f",
            "type=container",
            "-f",
            "event=create",
        ];
        let args = [
            &since[..],
            &[
                "-f",
                "container=live",
                "--format",
                "{{.Actor.Attributes.name}}",
            ],
        ]
        .concat();
        let mut follow = brig
            .command(client, &args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
        let name = format!("live-{client:?}")
            .to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "");
        brig.with(client, &["create", "--name", &name, "bb", "true"])
            .ok();
        assert!(lines.any(|line| line.unwrap() == name), "{client:?}");
        follow.kill().unwrap();
        follow.wait().unwrap();
    }
    brig.finish();
}

#[test]
fn the_past_reaches_over_restarts_of_the_daemon() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    brig.brig(&["run", "--rm", "--name", "before", "bb", "true"])
        .ok();
    let told = |brig: &Brig| past(brig, Client::Brig, &["-f", "container=before"]);
    let before = told(&brig);
    assert_eq!(before.lines().count(), 5, "{before}");
    brig.stop_daemon();
    brig.start_daemon();
    assert_eq!(told(&brig), before);
    brig.brig(&["run", "--rm", "--name", "before2", "bb", "true"])
        .ok();
    let more = told(&brig);
    assert!(
        more.starts_with(&before) && more.lines().count() == 10,
        "{more}"
    );
    // What was told a moment before a kill may be lost, not what was told earlier.
    brig.kill_daemon();
    brig.start_daemon();
    assert!(told(&brig).starts_with(&before));
    brig.finish();
}

/// The head comes at once, and what old versions and new ones get.
#[test]
fn the_stream_is_what_each_version_of_the_api_knows() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&["create", "--name", "e1", "bb", "true"]).ok();
    let ask = |version: &str, accept: &str| {
        let mut stream = UnixStream::connect(brig.socket()).unwrap();
        let filters = "%7B%22type%22%3A%5B%22container%22%5D%7D";
        let request = format!(
            "GET /{version}/events?until=1&filters={filters} HTTP/1.0\r\nAccept: {accept}\r\n\r\n"
        );
        // Until 1970: everything is later, nothing is told, the answer ends.
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = text
            .lines()
            .find(|l| l.to_lowercase().starts_with("content-type"))
            .unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(ask("v1.44", "*/*"), "application/json");
    assert_eq!(ask("v1.52", "application/json-seq"), "application/json-seq");
    assert_eq!(ask("v1.52", "*/*"), "application/x-ndjson");
    assert_eq!(ask("v1.55", "*/*"), "application/jsonl");
    let mut stream = UnixStream::connect(brig.socket()).unwrap();
    stream
        .write_all(b"GET /v1.44/events?since=1 HTTP/1.0\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    let first = lines.find(|line| line.contains("\"create\"")).unwrap();
    let event: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(
        (&event["status"], &event["from"]),
        (&"create".into(), &"bb".into())
    );
    assert_eq!(event["id"], event["Actor"]["ID"]);
    brig.finish();
}

#[test]
fn who_hears_of_an_end_finds_it() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let words = [
        "events",
        "--filter",
        "event=die",
        "--format",
        "{{.Actor.ID}}",
    ];
    let mut listening = brig.command(Client::Brig, &words);
    let mut listening = listening.stdout(Stdio::piped()).spawn().unwrap();
    let mut heard = BufReader::new(listening.stdout.take().unwrap()).lines();
    // Until it listens, ends are not heard of.
    let stop = std::sync::atomic::AtomicBool::new(false);
    let ends = std::thread::scope(|scope| {
        let listener = listening.id();
        let (stopped, brig) = (&stop, &brig);
        let runs = scope.spawn(move || {
            let _deaf = KillAtEnd(listener);
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                brig.brig(&["run", "-d", "bb", "sh", "-c", "exit 7"]).ok();
            }
        });
        let halt = AtEnd(&stop);
        let ends: Vec<String> = heard
            .by_ref()
            .take(10)
            .map(|id| {
                let id = id.unwrap();
                // At once: compose takes one that still runs for one that is restarted.
                let request = format!("GET /containers/{id}/json HTTP/1.0\r\n\r\n");
                brig.http(&request)
            })
            .collect();
        drop(halt);
        runs.join().unwrap();
        ends
    });
    listening.wait().unwrap();
    assert_eq!(ends.len(), 10);
    for end in ends {
        assert!(
            end.contains("\"Status\":\"exited\"") && end.contains("\"ExitCode\":7"),
            "{end}"
        );
    }
    brig.finish();
}

/// Ends a process at the end, also when that is a panic: who reads from it would wait for ever.
struct KillAtEnd(u32);

impl Drop for KillAtEnd {
    fn drop(&mut self) {
        kill("KILL", self.0);
    }
}
