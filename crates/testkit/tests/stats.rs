//! `stats`, from the outside: one look and many, of one container and all; and `update`, whose limits it shows.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use serde_json::Value;
use testkit::{Brig, Client, cgroup_setting, clients, root, until};

fn run(brig: &Brig, name: &str, flags: &[&str], command: &str) {
    let start = ["run", "-d", "--name", name];
    brig.brig(&[&start[..], flags, &["bb", "sh", "-c", command]].concat())
        .ok();
}

#[test]
fn every_client_shows_what_a_container_uses() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    run(&brig, "busy", &["-m", "64m"], "while :; do :; done");
    run(&brig, "idle", &["--network", "none"], "exec sleep 1000");
    brig.brig(&["create", "--name", "still", "bb", "true"]).ok();
    for client in clients() {
        let format = "{{.Name}}|{{.MemUsage}}|{{.NetIO}}|{{.PIDs}}|{{.CPUPerc}}";
        let show = |more: &[&str]| {
            let args = [&["stats", "--no-stream", "--format", format], more].concat();
            let mut lines: Vec<String> = brig
                .with(client, &args)
                .ok()
                .lines()
                .map(str::to_owned)
                .collect();
            lines.sort();
            lines
        };
        let lines = show(&[]);
        assert_eq!(lines.len(), 2, "{client:?}: {lines:?}");
        assert!(lines[0].starts_with("busy|"), "{lines:?}");
        assert!(lines[0].contains("/ 64MiB|"), "{lines:?}");
        assert!(lines[0].contains("|1|"), "{lines:?}");
        assert!(!lines[0].ends_with("|0.00%"), "{lines:?}");
        assert!(lines[1].contains("|0B / 0B|1|"), "{lines:?}");
        let lines = show(&["-a"]);
        assert_eq!(lines.len(), 3, "{client:?}: {lines:?}");
        assert_eq!(lines[2], "still|0B / 0B|0B / 0B|0|0.00%");
        assert_eq!(show(&["idle"]).len(), 1);
        let missing = brig.with(client, &["stats", "--no-stream", "missing"]);
        assert!(missing.fails(1).contains("No such container: missing"));
    }
    brig.finish();
}

/// Many looks: the second has the first one beside it, and the stream ends with the container.
#[test]
fn a_stream_goes_on_until_the_container_is_gone() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    run(&brig, "busy", &[], "while :; do :; done");
    let mut stream = UnixStream::connect(brig.socket()).unwrap();
    stream
        .write_all(b"GET /containers/busy/stats HTTP/1.0\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    let looks: Vec<Value> = (&mut lines)
        .filter(|line| line.starts_with('{'))
        .take(2)
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    assert_eq!(looks[0]["preread"], "0001-01-01T00:00:00Z");
    assert_eq!(looks[1]["preread"], looks[0]["read"]);
    assert_eq!(looks[1]["name"], "/busy");
    let used =
        |look: &Value, which: &str| look[which]["cpu_usage"]["total_usage"].as_u64().unwrap();
    assert_eq!(
        used(&looks[1], "precpu_stats"),
        used(&looks[0], "cpu_stats")
    );
    assert!(used(&looks[1], "cpu_stats") > used(&looks[0], "cpu_stats"));
    assert!(looks[1]["networks"]["eth0"]["rx_bytes"].is_u64());
    brig.brig(&["rm", "-f", "busy"]).ok();
    // To its end.
    lines.for_each(drop);
    brig.finish();
}

/// Docker's way of a screen: each look in the place of the last.
#[test]
fn the_screen_is_drawn_again_and_again() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    run(&brig, "busy", &[], "exec sleep 1000");
    let mut client = brig.command(Client::Brig, &["stats"]);
    let mut child = client.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let shown: Vec<String> = lines.take(4).map(|line| line.unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(shown[0].starts_with("\x1b[HCONTAINER ID"), "{shown:?}");
    assert!(shown[1].contains("busy"), "{shown:?}");
    assert!(shown[2].contains("\x1b[HCONTAINER ID"), "{shown:?}");
    brig.finish();
}

#[test]
fn update_changes_what_runs_and_what_is_started_later() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        run(&brig, "web", &["--memory", "64m"], "exec sleep 1000");
        let pid = |brig: &Brig| brig.inspect("web")["State"]["Pid"].as_u64().unwrap();
        let set = |controller: &str, v1: &str, v2: &str| {
            cgroup_setting(pid(&brig), controller, v1, v2).unwrap()
        };
        let said = brig.with(
            client,
            &[
                "update",
                "-m",
                "128m",
                "--memory-swap",
                "256m",
                "--pids-limit",
                "77",
                "web",
            ],
        );
        assert_eq!(said.ok().trim(), "web");
        for _ in 0..2 {
            let memory = set("memory", "memory.limit_in_bytes", "memory.max");
            assert_eq!(memory, (128 << 20).to_string(), "{client:?}");
            assert_eq!(set("pids", "pids.max", "pids.max"), "77");
            let host = &brig.inspect("web")["HostConfig"];
            assert_eq!(
                (&host["Memory"], &host["PidsLimit"]),
                (&(128 << 20).into(), &77.into())
            );
            brig.brig(&["restart", "-t", "0", "web"]).ok();
            until("it runs", || (pid(&brig) != 0).then_some(()));
        }
        let refused = brig.with(client, &["update", "-m", "1m", "web"]);
        assert!(
            refused
                .fails(1)
                .contains("Minimum memory limit allowed is 6MB")
        );
        brig.with(client, &["rm", "-f", "web"]).ok();
    }
    let nothing = brig.brig(&["update", "web"]);
    assert!(
        nothing
            .fails(1)
            .contains("you must provide one or more flags")
    );
    brig.finish();
}
