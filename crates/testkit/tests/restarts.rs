//! Containers that are started again by themselves, stand still, get another name, and go together.

#![allow(clippy::unwrap_used, reason = "a test")]

use testkit::{Brig, Client, Output, clients, root, until};

fn create(brig: &Brig, client: Client, name: &str, flags: &[&str], script: &str) -> Output {
    let all = [
        &["run", "-d", "--network", "none", "--name", name],
        flags,
        &["bb", "sh", "-c", script],
    ];
    brig.with(client, &all.concat())
}

fn shown(brig: &Brig, name: &str, field: &str) -> String {
    let format = format!("{{{{{field}}}}}");
    brig.brig(&["inspect", "-f", &format, name])
        .ok()
        .trim()
        .to_owned()
}

fn wait_for(brig: &Brig, name: &str, field: &str, value: &str) {
    until(&format!("{field} of {name} to be {value}"), || {
        (shown(brig, name, field) == value).then_some(())
    });
}

fn count(brig: &Brig, name: &str) -> u32 {
    shown(brig, name, ".RestartCount").parse().unwrap()
}

#[test]
fn what_fails_is_started_again_so_often() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        create(
            &brig,
            client,
            "fails",
            &["--restart", "on-failure:2"],
            "echo run; exit 3",
        )
        .ok();
        wait_for(&brig, "fails", ".State.Status", "exited");
        assert_eq!(count(&brig, "fails"), 2);
        assert_eq!(shown(&brig, "fails", ".State.ExitCode"), "3");
        assert_eq!(brig.with(client, &["logs", "fails"]).lines().len(), 3);
        let policy =
            "{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}";
        let told = brig.with(client, &["inspect", "-f", policy, "fails"]);
        assert_eq!(told.ok(), "on-failure:2");
        // By hand it begins anew.
        brig.with(client, &["start", "fails"]).ok();
        wait_for(&brig, "fails", ".RestartCount", "2");
        wait_for(&brig, "fails", ".State.Status", "exited");
        // What ends well is not started again, and always is.
        create(
            &brig,
            client,
            "ends",
            &["--restart", "on-failure"],
            "exit 0",
        )
        .ok();
        wait_for(&brig, "ends", ".State.Status", "exited");
        assert_eq!(count(&brig, "ends"), 0);
        create(&brig, client, "goes-on", &["--restart", "always"], "exit 0").ok();
        until("the third run", || {
            (count(&brig, "goes-on") >= 2).then_some(())
        });
        // Stopped while it waits or runs, it stays so.
        brig.with(client, &["stop", "-t", "0", "goes-on"]).ok();
        wait_for(&brig, "goes-on", ".State.Status", "exited");
        let at_end = count(&brig, "goes-on");
        brig.with(client, &["rm", "fails", "ends"]).ok();
        assert_eq!(count(&brig, "goes-on"), at_end);
        assert_eq!(shown(&brig, "goes-on", ".State.Status"), "exited");
        brig.with(client, &["rm", "goes-on"]).ok();
    }
    brig.finish();
}

#[test]
fn one_that_waits_is_shown_stopped_killed_and_removed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let fails = || {
            create(
                &brig,
                client,
                "loops",
                &["--restart", "unless-stopped"],
                "exit 5",
            )
        };
        fails().ok();
        // Each wait is twice as long: sooner or later it is seen.
        until("a wait", || {
            (shown(&brig, "loops", ".State.Status") == "restarting").then_some(())
        });
        let listed = brig.with(
            client,
            &["ps", "--filter", "name=loops", "--format", "{{.Status}}"],
        );
        assert!(!listed.ok().is_empty(), "{listed}");
        brig.with(client, &["stop", "loops"]).ok();
        wait_for(&brig, "loops", ".State.Status", "exited");
        assert_eq!(shown(&brig, "loops", ".State.Restarting"), "false");
        brig.with(client, &["rm", "loops"]).ok();
        fails().ok();
        until("a restart", || (count(&brig, "loops") > 0).then_some(()));
        brig.with(client, &["rm", "-f", "loops"]).ok();
        assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
    }
    brig.finish();
}

#[test]
fn policies_hold_over_the_daemons_end() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let client = Client::Brig;
    let sleeps = "exec sleep 1000";
    create(&brig, client, "always", &["--restart", "always"], sleeps).ok();
    create(
        &brig,
        client,
        "unless",
        &["--restart", "unless-stopped"],
        sleeps,
    )
    .ok();
    create(&brig, client, "never", &[], sleeps).ok();
    create(
        &brig,
        client,
        "runs",
        &["--restart", "unless-stopped"],
        sleeps,
    )
    .ok();
    for name in ["always", "unless"] {
        brig.brig(&["kill", name]).ok();
        wait_for(&brig, name, ".State.Status", "exited");
    }
    let pid = shown(&brig, "runs", ".State.Pid");
    brig.kill_daemon();
    brig.start_daemon();
    // Stopped by somebody: only `always` comes back with the daemon. What runs is left alone.
    wait_for(&brig, "always", ".State.Status", "running");
    assert_eq!(shown(&brig, "unless", ".State.Status"), "exited");
    assert_eq!(shown(&brig, "runs", ".State.Pid"), pid);
    // What dies while nobody looks is started again, too.
    let id = shown(&brig, "runs", ".Id");
    let id_of_never = shown(&brig, "never", ".Id");
    brig.kill_daemon();
    for id in [&id, &id_of_never] {
        testkit::kill("KILL", brig.shim_of(id));
    }
    brig.start_daemon();
    wait_for(&brig, "runs", ".State.Status", "running");
    assert_ne!(shown(&brig, "runs", ".State.Pid"), pid);
    assert_ne!(shown(&brig, "never", ".State.Status"), "running");
    brig.finish();
}

#[test]
fn policies_that_cannot_be_are_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        for (policy, reason) in [
            ("sometimes", "unknown policy 'sometimes'"),
            ("always:3", "maximum retry count can"),
            ("on-failure:x", "must be an integer"),
            ("on-failure:-1", "cannot be negative"),
        ] {
            let refused = brig.with(client, &["create", "--restart", policy, "bb"]);
            assert_ne!(refused.code, 0, "{policy}: {refused}");
            // Docker 20.10's client has words of its own.
            let told = refused.stderr.contains(reason) || refused.stderr.contains("retry count");
            assert!(told, "{policy}: {refused}");
        }
        let both = brig.with(client, &["run", "--rm", "--restart", "always", "bb"]);
        assert!(both.fails(125).contains("--restart"), "{both}");
        brig.with(
            client,
            &[
                "run",
                "--rm",
                "--restart",
                "no",
                "--network",
                "none",
                "bb",
                "true",
            ],
        )
        .ok();
        assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
    }
    brig.finish();
}

#[test]
fn a_policy_can_be_changed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        create(&brig, client, "web", &[], "exec sleep 1000").ok();
        let update =
            |policy: &str, name: &str| brig.with(client, &["update", "--restart", policy, name]);
        update("on-failure:2", "web").ok();
        let policy = ".HostConfig.RestartPolicy.Name";
        assert_eq!(shown(&brig, "web", policy), "on-failure");
        // A limit alone does not change it.
        brig.with(client, &["update", "--pids-limit", "50", "web"])
            .ok();
        assert_eq!(shown(&brig, "web", policy), "on-failure");
        brig.with(client, &["rm", "-f", "web"]).ok();
        create(&brig, client, "goes", &["--rm"], "exec sleep 1000").ok();
        let refused = update("always", "goes");
        assert!(refused.fails(1).contains("AutoRemove"), "{refused}");
        brig.with(client, &["rm", "-f", "goes"]).ok();
    }
    brig.finish();
}

#[test]
fn one_whose_shim_dies_is_started_again() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let made = create(
        &brig,
        Client::Brig,
        "web",
        &["--restart", "always"],
        "exec sleep 1000",
    );
    testkit::kill("KILL", brig.shim_of(made.ok().trim()));
    wait_for(&brig, "web", ".RestartCount", "1");
    wait_for(&brig, "web", ".State.Status", "running");
    brig.brig(&["rm", "-f", "web"]).ok();
    brig.finish();
}

#[test]
fn what_is_paused_stands_still() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let script = "n=0; while :; do n=$((n+1)); echo $n > /m; mv /m /n; done";
    for client in clients() {
        create(&brig, client, "counts", &[], script).ok();
        let place = format!("/proc/{}/root/n", shown(&brig, "counts", ".State.Pid"));
        until("the first number", || {
            std::fs::read(&place).ok().filter(|n| !n.is_empty())
        });
        assert_eq!(brig.with(client, &["pause", "counts"]).ok(), "counts");
        let still = std::fs::read(&place).unwrap();
        assert_eq!(shown(&brig, "counts", ".State.Status"), "paused");
        assert_eq!(shown(&brig, "counts", ".State.Running"), "true");
        let listed = brig.with(
            client,
            &["ps", "--format", "{{.Status}}", "--filter", "status=paused"],
        );
        assert!(listed.ok().ends_with("(Paused)"), "{listed}");
        for (args, reason) in [
            (&["pause", "counts"][..], "already paused"),
            (
                &["exec", "counts", "true"],
                "is paused, unpause the container before exec",
            ),
            (
                &["start", "counts"],
                "cannot start a paused container, try unpause instead",
            ),
            (&["rm", "counts"], "container is paused"),
        ] {
            let refused = brig.with(client, args);
            assert!(
                refused.code != 0 && refused.stderr.contains(reason),
                "{args:?}: {refused}"
            );
        }
        // Another daemon finds it as it is.
        brig.kill_daemon();
        brig.start_daemon();
        assert_eq!(shown(&brig, "counts", ".State.Status"), "paused");
        assert_eq!(std::fs::read(&place).unwrap(), still);
        assert_eq!(brig.with(client, &["unpause", "counts"]).ok(), "counts");
        until("the next number", || {
            let now = std::fs::read(&place).unwrap();
            (now != still && !now.is_empty()).then_some(())
        });
        let refused = brig.with(client, &["unpause", "counts"]);
        assert!(refused.fails(1).contains("not paused"), "{refused}");
        // It can be stopped and removed while it stands still.
        brig.with(client, &["pause", "counts"]).ok();
        brig.with(client, &["stop", "-t", "1", "counts"]).ok();
        assert_eq!(shown(&brig, "counts", ".State.Status"), "exited");
        let refused = brig.with(client, &["pause", "counts"]);
        assert!(refused.fails(1).contains("not running"), "{refused}");
        brig.with(client, &["start", "counts"]).ok();
        brig.with(client, &["pause", "counts"]).ok();
        brig.with(client, &["rm", "-f", "counts"]).ok();
    }
    brig.finish();
}

#[test]
fn another_name_is_the_name() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    for client in clients() {
        let sleeps = ["run", "-d", "--name", "first", "bb", "sleep", "1000"];
        brig.with(client, &sleeps).ok();
        brig.with(client, &["create", "--name", "taken", "bb", "true"])
            .ok();
        brig.with(client, &["rename", "first", "second"]).ok();
        assert_eq!(shown(&brig, "second", ".Name"), "/second");
        let gone = brig.with(client, &["inspect", "first"]);
        assert_eq!(gone.code, 1, "{gone}");
        for (new, reason) in [
            ("taken", "already in use"),
            ("second", "same name"),
            ("no/slash", "Invalid container name"),
        ] {
            let refused = brig.with(client, &["rename", "second", new]);
            assert!(refused.fails(1).contains(reason), "{new}: {refused}");
        }
        let missing = brig.with(client, &["rename", "never", "other"]);
        assert!(missing.fails(1).contains("No such container"), "{missing}");
        // The old name is free, and the new one outlives the daemon.
        brig.with(client, &["create", "--name", "first", "bb", "true"])
            .ok();
        brig.kill_daemon();
        brig.start_daemon();
        assert_eq!(shown(&brig, "second", ".State.Status"), "running");
        brig.with(client, &["rm", "-f", "first", "second", "taken"])
            .ok();
    }
    // Those who ask for it by name find it by the new one.
    brig.brig(&["network", "create", "net"]).ok();
    let on = |name: &str| {
        brig.brig(&[
            "run",
            "-d",
            "--network",
            "net",
            "--name",
            name,
            "bb",
            "sleep",
            "1000",
        ])
    };
    on("server").ok();
    on("asks").ok();
    brig.brig(&["rename", "server", "renamed"]).ok();
    until("the new name", || {
        let asked = brig.brig(&["exec", "asks", "nslookup", "-type=a", "renamed"]);
        (asked.code == 0).then_some(())
    });
    let old = brig.brig(&["exec", "asks", "nslookup", "-type=a", "server"]);
    assert_ne!(old.code, 0, "{old}");
    brig.finish();
}

#[test]
fn prune_takes_what_does_not_run() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let create = |name: &str, label: &str| {
            let all = ["create", "--name", name, "--label", label, "bb", "true"];
            assert_eq!(brig.with(client, &all).code, 0);
        };
        create("old", "keep=no");
        create("kept", "keep=yes");
        let runs = [
            "run",
            "-d",
            "--network",
            "none",
            "--name",
            "runs",
            "bb",
            "sleep",
            "1000",
        ];
        brig.with(client, &runs).ok();
        let pruned = brig.with(
            client,
            &["container", "prune", "-f", "--filter", "label!=keep=yes"],
        );
        assert!(pruned.ok().starts_with("Deleted Containers:\n"), "{pruned}");
        assert!(
            pruned.stdout.contains("Total reclaimed space: "),
            "{pruned}"
        );
        let names = brig.with(client, &["ps", "-a", "--format", "{{.Names}}"]);
        let mut left = names.lines();
        left.sort_unstable();
        assert_eq!(left, ["kept", "runs"]);
        let none = brig.with(
            client,
            &["container", "prune", "-f", "--filter", "until=24h"],
        );
        assert_eq!(none.ok(), "Total reclaimed space: 0B");
        let odd = brig.with(
            client,
            &["container", "prune", "-f", "--filter", "colour=red"],
        );
        assert!(odd.fails(1).contains("colour"), "{odd}");
        brig.with(client, &["network", "create", "unused"]).ok();
        let pruned = brig.with(client, &["system", "prune", "-f"]);
        assert!(
            pruned.ok().contains("Deleted Networks:\nunused"),
            "{pruned}"
        );
        assert!(pruned.stdout.contains("Deleted Containers:"), "{pruned}");
        brig.with(client, &["rm", "-f", "runs"]).ok();
    }
    brig.finish();
}
