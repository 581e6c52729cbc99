//! Ports and addresses that go from one container to the next, and the order in which containers are started.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;

use testkit::{Brig, Client, clients, root, until};

/// Often enough that a race is lost now and then.
const ROUNDS: usize = 15;

fn run(brig: &Brig, client: Client, name: &str, flags: &[&str]) {
    let words = [
        &["run", "-d", "--name", name],
        flags,
        &["bb", "sleep", "1000"],
    ];
    brig.with(client, &words.concat()).ok();
}

#[test]
fn a_port_goes_from_one_container_to_the_next() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let at = testkit::address();
    let publish = format!("{at}:80");
    let flags = ["-p", &publish];
    for client in clients() {
        for round in 0..ROUNDS {
            let ends: &[&str] = match round % 3 {
                0 => &["stop", "-t", "0"],
                1 => &["kill"],
                _ => &["rm", "-f"],
            };
            run(&brig, client, "one", &flags);
            brig.with(client, &[ends, &["one"]].concat()).ok();
            run(&brig, client, "two", &flags);
            brig.with(client, &["stop", "-t", "0", "two"]).ok();
            // Not a container's alone: it is anybody's.
            drop(TcpListener::bind(at).unwrap());
            brig.with(client, &["rm", "-f", "one", "two"]).ok();
        }
        // Nor is it told of an end that comes by itself.
        for _ in 0..ROUNDS {
            let short = ["run", "--rm", "-p", &publish, "bb", "true"];
            brig.with(client, &short).ok();
        }
    }
    // Who has it and goes on running is named.
    run(&brig, Client::Brig, "has-it", &flags);
    let refused = brig.brig(&["run", "-p", &publish, "bb", "true"]);
    let words = refused.fails(125);
    assert!(words.contains("has-it"), "{words}");
    brig.finish();
}

#[test]
fn a_port_does_not_wait_for_a_client_that_does_not_read() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let publish = format!("{}:80", testkit::address());
    let script = "while true; do echo more than anybody reads; done";
    let words = [
        "run", "--name", "talks", "-p", &publish, "bb", "sh", "-c", script,
    ];
    let mut command = brig.command(Client::Brig, &words);
    // Its output is a pipe that is read once and not again.
    let mut client = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = client.stdout.take().unwrap();
    output.read_exact(&mut [0; 5]).unwrap();
    brig.brig(&["kill", "talks"]).ok();
    run(&brig, Client::Brig, "next", &["-p", &publish]);
    drop(output);
    client.wait().unwrap();
    brig.finish();
}

#[test]
fn an_address_that_is_asked_for_goes_from_one_container_to_the_next() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let base = brig.network().pool.rsplit_once('.').unwrap().0.to_owned();
    let subnet = format!("{base}.128/25");
    brig.brig(&["network", "create", "--subnet", &subnet, "n"])
        .ok();
    let ip = format!("{base}.200");
    let flags = ["--network", "n", "--ip", &ip];
    for _ in 0..ROUNDS {
        run(&brig, Client::Brig, "one", &flags);
        brig.brig(&["stop", "-t", "0", "one"]).ok();
        run(&brig, Client::Brig, "two", &flags);
        brig.brig(&["rm", "-f", "two"]).ok();
        brig.brig(&["start", "one"]).ok();
        brig.brig(&["rm", "-f", "one"]).ok();
    }
    run(&brig, Client::Brig, "has-it", &flags);
    let refused = brig.brig(&["run", "--network", "n", "--ip", &ip, "bb", "true"]);
    assert!(refused.fails(125).contains("already in use"), "{refused}");
    brig.finish();
}

/// When it was started, in text that is ordered as time is.
fn begun(brig: &Brig, name: &str) -> String {
    let time = brig.inspect(name)["State"]["StartedAt"].clone();
    let time = time.as_str().unwrap().trim_end_matches('Z').to_owned();
    let (second, rest) = time.split_once('.').unwrap_or((&time, ""));
    format!("{second}.{rest:0<9}")
}

/// What is needed is made last, so that the order in which they were made is not that in which they start.
#[test]
fn containers_are_started_after_those_they_need() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let again = ["--restart", "always"];
    run(&brig, Client::Brig, "base", &again);
    for (name, flag, value) in [
        ("net", "--network", "container:base"),
        ("pids", "--pid", "container:net"),
        ("memory", "--ipc", "container:shares"),
        ("files", "--volumes-from", "holds"),
        ("linked", "--link", "late:other"),
    ] {
        let needed = value.split(':').next_back().unwrap();
        match name {
            "memory" => run(
                &brig,
                Client::Brig,
                "shares",
                &[&again[..], &["--ipc", "shareable"]].concat(),
            ),
            "files" => run(
                &brig,
                Client::Brig,
                "holds",
                &[&again[..], &["-v", "/held"]].concat(),
            ),
            "linked" => run(&brig, Client::Brig, "late", &again),
            _ => assert!(brig.inspect(needed)["State"]["Running"].as_bool().unwrap()),
        }
        run(
            &brig,
            Client::Brig,
            name,
            &[&again[..], &[flag, value]].concat(),
        );
    }
    let all = [
        "base", "net", "pids", "shares", "memory", "holds", "files", "late", "linked",
    ];
    // The machine goes down: containers, shims and the daemon with them.
    let shim = |name| brig.shim_of(brig.inspect(name)["Id"].as_str().unwrap());
    let shims = all.map(shim);
    brig.kill_daemon();
    for shim in shims {
        testkit::kill("KILL", shim);
    }
    brig.start_daemon();
    for name in all {
        brig.wait_for_state(name, "running");
        let run = brig.inspect(name);
        assert_eq!(run["State"]["Error"], "", "{name}");
    }
    for (first, then) in [
        ("base", "net"),
        ("net", "pids"),
        ("shares", "memory"),
        ("holds", "files"),
        ("late", "linked"),
    ] {
        assert!(
            begun(&brig, first) < begun(&brig, then),
            "{then} came before {first}"
        );
    }
    // They have what they needed.
    let link = |name: &str, which: &str| {
        let path = format!("/proc/self/ns/{which}");
        brig.brig(&["exec", name, "readlink", &path])
            .ok()
            .to_owned()
    };
    assert_eq!(link("base", "net"), link("net", "net"));
    assert_eq!(link("net", "pid"), link("pids", "pid"));
    assert_eq!(link("shares", "ipc"), link("memory", "ipc"));
    until("the name of the link", || {
        let asked = brig.brig(&["exec", "linked", "ping", "-c", "1", "-W", "5", "other"]);
        (asked.code == 0).then_some(())
    });
    brig.finish();
}
