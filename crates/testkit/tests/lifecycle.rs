//! A container's life, through every client: run, create, start, stop, kill, restart, wait, rm, ps.

use testkit::{Brig, Client, clients, root};

#[test]
fn run_prints_what_the_command_prints_and_ends_as_it_ends() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let hello = brig.with(
            client,
            &["run", "--rm", "--network", "none", "bb", "echo", "hello"],
        );
        assert_eq!(hello.ok(), "hello", "{client:?}");
        let cases: &[(&[&str], i32)] = &[
            (&["bb", "true"], 0),
            (&["bb", "false"], 1),
            (&["bb", "sh", "-c", "exit 42"], 42),
            (&["bb", "sh", "-c", "kill -TERM $$; sleep 9"], 143),
            (&["bb", "sh", "-c", "kill -9 $$"], 137),
            (&["bb", "/no/such/command"], 127),
            (&["bb", "no-such-command"], 127),
            (&["bb", "/etc"], 126),
            (&["bb", "/etc/passwd"], 126),
        ];
        for (words, code) in cases {
            let args = [&["run", "--rm", "--network", "none"], *words].concat();
            let ended = brig.with(client, &args);
            // A first process ignores signals it has no handler for.
            let accepted = if *code > 128 {
                vec![*code, 0]
            } else {
                vec![*code]
            };
            assert!(
                accepted.contains(&ended.code),
                "{client:?} {words:?}: {ended}"
            );
        }
        let split = brig.with(
            client,
            &["run", "--rm", "bb", "sh", "-c", "echo out; echo err >&2"],
        );
        assert_eq!(split.ok(), "out");
        assert!(split.stderr.contains("err\n"), "{split}");
    }
    assert!(
        brig.brig(&["ps", "-aq"]).ok().is_empty(),
        "--rm left a container"
    );
    brig.finish();
}

#[test]
fn run_says_nothing_that_was_not_asked_for() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for network in ["bridge", "none"] {
        let silent = brig.brig(&["run", "--rm", "--network", network, "bb", "true"]);
        silent.ok();
        assert_eq!(silent.stderr, "", "{network}");
    }
    brig.finish();
}

#[test]
fn run_detached_prints_the_id_and_goes_on() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let run = [
            "run",
            "-d",
            "--name",
            "web",
            "--network",
            "none",
            "bb",
            "sleep",
            "1000",
        ];
        let id = brig.with(client, &run).ok().to_owned();
        assert_eq!(id.len(), 64, "{id}");
        assert!(id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        let shown = brig.with(
            client,
            &["ps", "--format", "{{.ID}} {{.Names}} {{.Image}} {{.State}}"],
        );
        assert_eq!(shown.ok(), format!("{} web bb running", &id[..12]));
        let stopped = brig.with(client, &["stop", "-t", "0", "web"]);
        assert_eq!(stopped.ok(), "web");
        assert!(brig.with(client, &["ps", "-q"]).ok().is_empty());
        assert_eq!(brig.with(client, &["ps", "-aq"]).ok(), &id[..12]);
        let state = brig.inspect("web")["State"].clone();
        assert_eq!(state["ExitCode"], 137);
        assert_eq!(state["Status"], "exited");
        assert_eq!(brig.with(client, &["rm", "web"]).ok(), "web");
        assert!(brig.with(client, &["ps", "-aq"]).ok().is_empty());
    }
    brig.finish();
}

#[test]
fn run_steps_one_by_one_through_each_client() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let with = |args: &[&str]| brig.with(client, args);
        with(&[
            "create",
            "--name",
            "c1",
            "--network",
            "none",
            "bb",
            "sh",
            "-c",
            "echo up; exec sleep 1000",
        ])
        .ok();
        assert_eq!(brig.inspect("c1")["State"]["Status"], "created");
        assert_eq!(with(&["start", "c1"]).ok(), "c1");
        brig.wait_for_state("c1", "running");
        with(&["start", "c1"]).ok();
        let first = brig.inspect("c1")["State"]["Pid"].as_u64();
        assert_eq!(with(&["restart", "-t", "0", "c1"]).ok(), "c1");
        let second = brig.inspect("c1")["State"]["Pid"].as_u64();
        assert_ne!(first, second);
        assert!(second > Some(0));
        assert_eq!(with(&["kill", "c1"]).ok(), "c1");
        assert_eq!(with(&["wait", "c1"]).ok(), "137");
        let again = with(&["kill", "c1"]);
        assert!(again.fails(1).contains("not running"), "{again}");
        with(&["stop", "c1"]).ok();
        with(&["rm", "c1"]).ok();
        let gone = with(&["start", "c1"]);
        assert!(
            gone.fails(1).to_lowercase().contains("no such container"),
            "{gone}"
        );
    }
    brig.finish();
}

#[test]
fn stop_sends_the_signal_asked_for_and_then_kills() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let polite = "trap 'echo bye; exit 7' USR1; echo ready; while :; do sleep 0.05; done";
    let run = [
        "run",
        "-d",
        "--name",
        "polite",
        "--stop-signal",
        "USR1",
        "bb",
        "sh",
        "-c",
        polite,
    ];
    brig.brig(&run).ok();
    wait_for_log(&brig, "polite", "ready");
    brig.brig(&["stop", "-t", "100", "polite"]).ok();
    assert_eq!(brig.inspect("polite")["State"]["ExitCode"], 7);
    assert!(brig.brig(&["logs", "polite"]).ok().contains("bye"));

    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let run = [
        "run",
        "-d",
        "--name",
        "deaf",
        "--stop-timeout",
        "1",
        "bb",
        "sh",
        "-c",
        deaf,
    ];
    brig.brig(&run).ok();
    wait_for_log(&brig, "deaf", "ready");
    brig.brig(&["stop", "deaf"]).ok();
    assert_eq!(brig.inspect("deaf")["State"]["ExitCode"], 137);
    brig.finish();
}

#[test]
fn kill_sends_any_signal_by_name_or_number() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let script = "trap 'echo got-hup' HUP; trap 'echo got-usr1' USR1; echo ready; while :; do sleep 0.02; done";
    brig.brig(&["run", "-d", "--name", "k1", "bb", "sh", "-c", script])
        .ok();
    wait_for_log(&brig, "k1", "ready");
    brig.brig(&["kill", "-s", "HUP", "k1"]).ok();
    wait_for_log(&brig, "k1", "got-hup");
    brig.brig(&["kill", "--signal", "SIGUSR1", "k1"]).ok();
    wait_for_log(&brig, "k1", "got-usr1");
    let odd = brig.brig(&["kill", "-s", "SIGWRONG", "k1"]);
    assert!(
        odd.fails(1).to_lowercase().contains("invalid signal"),
        "{odd}"
    );
    brig.brig(&["kill", "-s", "9", "k1"]).ok();
    assert_eq!(brig.brig(&["wait", "k1"]).ok(), "137");
    brig.finish();
}

#[test]
fn names_are_unique_and_freed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        brig.with(client, &["create", "--name", "one", "bb", "true"])
            .ok();
        let taken = brig.with(client, &["run", "--name", "one", "bb", "true"]);
        assert!(taken.fails(125).contains("already in use"), "{taken}");
        let bad = brig.with(client, &["create", "--name", "no/slash", "bb", "true"]);
        assert!(bad.fails(1).to_lowercase().contains("name"), "{bad}");
        brig.with(client, &["rm", "one"]).ok();
        brig.with(client, &["run", "--rm", "--name", "one", "bb", "true"])
            .ok();
    }
    brig.finish();
}

#[test]
fn rm_refuses_what_runs_unless_forced() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        brig.with(
            client,
            &["run", "-d", "--name", "busy", "bb", "sleep", "1000"],
        )
        .ok();
        let refused = brig.with(client, &["rm", "busy"]);
        assert!(refused.fails(1).contains("running"), "{refused}");
        brig.with(client, &["rm", "-f", "busy"]).ok();
        brig.expect_nothing_left();
    }
    brig.finish();
}

#[test]
fn wait_answers_for_what_ends_and_what_ended() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&[
        "run",
        "-d",
        "--name",
        "w1",
        "bb",
        "sh",
        "-c",
        "read line; exit 5",
    ])
    .ok();
    assert_eq!(
        brig.brig(&["wait", "w1"]).ok(),
        "5",
        "standard input of -d is at its end"
    );
    brig.brig(&[
        "run",
        "-d",
        "--name",
        "x1",
        "bb",
        "sh",
        "-c",
        "sleep 0.3; exit 6",
    ])
    .ok();
    let waiter = brig.command(Client::Brig, &["wait", "x1"]);
    assert_eq!(brig.finish_command(&mut { waiter }).ok(), "6");
    assert_eq!(brig.brig(&["wait", "w1", "x1"]).lines(), ["5", "6"]);
    brig.finish();
}

#[test]
fn ps_filters_and_formats() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    brig.brig(&[
        "run", "-d", "--name", "up", "--label", "tier=web", "bb", "sleep", "1000",
    ])
    .ok();
    brig.brig(&[
        "run", "--name", "down", "--label", "tier=db", "bb", "sh", "-c", "exit 3",
    ])
    .fails(3);
    brig.brig(&["create", "--name", "new", "bb", "true"]).ok();
    for client in clients() {
        let cases: &[(&[&str], &str)] = &[
            (&["--filter", "status=exited"], "down"),
            (&["--filter", "status=created"], "new"),
            (&["--filter", "label=tier=web"], "up"),
            (&["-a", "--filter", "label=tier"], "down up"),
            (&["-a", "--filter", "name=ow"], "down"),
            (&["-a", "--filter", "exited=3"], "down"),
            (&["-a"], "new down up"),
            (&["-n", "1"], "new"),
            (&["-l"], "new"),
        ];
        for (flags, names) in cases {
            let args = [&["ps", "--format", "{{.Names}}"], *flags].concat();
            let shown = brig.with(client, &args).lines().join(" ");
            assert_eq!(shown, *names, "{client:?} {flags:?}");
        }
        let table = brig.with(client, &["ps", "-a"]);
        assert!(table.ok().starts_with("CONTAINER ID"), "{table}");
        assert!(table.ok().contains("Exited (3)"), "{table}");
        let bad = brig.with(client, &["ps", "--filter", "nonsense=1"]);
        assert!(bad.fails(1).contains("nonsense"), "{bad}");
    }
    brig.finish();
}

#[track_caller]
fn wait_for_log(brig: &Brig, container: &str, text: &str) {
    testkit::until(&format!("{text:?} in the log of {container}"), || {
        brig.brig(&["logs", container])
            .ok()
            .contains(text)
            .then_some(())
    });
}
