//! The daemon: how it is configured, what it refuses, how it is started by itself.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};

use serde_json::json;
use testkit::{Brig, Client, Setup, Terminal, clients, kill, processes_naming, root, until};

/// A daemon that must not start: what it said, in one line.
fn refused(brig: &Brig, prepare: impl FnOnce(&mut Command)) -> String {
    let mut command = brig.daemon_command();
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    prepare(&mut command);
    let mut child = command.spawn().unwrap();
    until("the daemon's refusal", || child.try_wait().unwrap());
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert!(!status.success(), "it did start and end");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn unknown_keys_are_refused_by_name() {
    if !root() {
        return;
    }
    let brig = Brig::prepare(Setup::default());
    let cases = [
        ("config.toml", "data-rot = \"/x\"\n", "data-rot"),
        ("config.json", "{\"data-rot\": \"/x\"}", "data-rot"),
        ("broken.toml", "data-root = \n", "broken.toml"),
        ("broken.json", "{\"data-root\"", "broken.json"),
        ("type.toml", "log-level = 7\n", "log-level"),
    ];
    for (name, text, word) in cases {
        let file = brig.root().join(name);
        fs::write(&file, text).unwrap();
        let said = refused(&brig, |command| {
            command.arg("--config").arg(&file);
        });
        assert!(said.contains(word), "{name}: {said}");
    }
    let missing = refused(&brig, |command| {
        command.args(["--config", "/no/such/file.toml"]);
    });
    assert!(missing.contains("/no/such/file.toml"), "{missing}");
    let flag = refused(&brig, |command| {
        command.arg("--no-such-flag");
    });
    assert!(flag.contains("--no-such-flag"), "{flag}");
    brig.expect_nothing_left();
}

#[test]
fn everything_works_over_tcp_and_a_warning_says_who_else_may() {
    if !root() {
        return;
    }
    let host = format!("tcp://{}", testkit::address());
    let mut brig = Brig::prepare(Setup::default());
    brig.listen_too(&host);
    brig.start_daemon();
    brig.import_busybox();
    for client in clients() {
        let through = |words: &[&str], input: &[u8]| {
            brig.with_input(client, &[&["-H", &host], words].concat(), input)
        };
        let run = ["run", "--rm", "-i", "--network", "none", "bb"];
        let streams = [&run[..], &["sh", "-c", "cat; echo err >&2; exit 5"]].concat();
        let ran = through(&streams, b"in and out");
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (5, "in and out", "err\n"),
            "{client:?}"
        );
        through(
            &[
                "run",
                "-dit",
                "--name",
                "t1",
                "--network",
                "none",
                "bb",
                "sh",
            ],
            b"",
        )
        .ok();
        let exec = through(&["exec", "-i", "t1", "sh", "-c", "cat; exit 3"], b"more");
        assert_eq!((exec.code, exec.stdout.as_str()), (3, "more"), "{client:?}");
        // Docker's clients do not come to their end over TCP when the keys are typed: what their copying
        // answers is not the error that they look for.
        if client == Client::Brig {
            let words = ["-H", &host, "attach", "t1"];
            let mut terminal = Terminal::start(&mut brig.command(client, &words));
            terminal.type_in("echo $((6 * 7))\r");
            terminal.expect("42");
            terminal.type_in("\u{10}\u{11}");
            terminal.wait();
        }
        through(&["rm", "-f", "t1"], b"").ok();
        let info = through(&["info"], b"");
        assert!(
            info.stderr.contains("without encryption"),
            "{client:?}: {}",
            info.stderr
        );
    }
    assert!(brig.daemon_log().contains("equivalent to root access"));
    brig.finish();
}

#[test]
fn a_socket_far_down_is_reached() {
    if !root() {
        return;
    }
    let mut brig = Brig::prepare(Setup::default());
    let deep = brig.root().join("d".repeat(60)).join("e".repeat(60));
    let host = format!("unix://{}", deep.join("far.sock").display());
    brig.listen_too(&host);
    brig.start_daemon();
    brig.import_busybox();
    // Docker's own clients cannot.
    let words = [
        "-H",
        &host,
        "run",
        "--rm",
        "-i",
        "--network",
        "none",
        "bb",
        "cat",
    ];
    assert_eq!(brig.with_input(Client::Brig, &words, b"here").ok(), "here");
    brig.finish();
}

#[test]
fn the_client_says_as_much_as_it_is_asked_to() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    for flags in [&["-D"][..], &["-l", "debug"], &["--log-level=debug"]] {
        let told = brig.brig(&[flags, &["ps"]].concat());
        assert_eq!(
            told.stderr, "brig: GET /containers/json: 200 OK\n",
            "{flags:?}"
        );
    }
    assert_eq!(brig.brig(&["-l", "error", "ps"]).stderr, "");
    brig.finish();
}

#[test]
fn a_socket_of_somebody_elses_is_left_alone() {
    if !root() {
        return;
    }
    let brig = Brig::prepare(Setup::default());
    let socket = brig.socket();
    let listener = UnixListener::bind(&socket).unwrap();
    let said = refused(&brig, |_| {});
    assert!(said.contains("brig.sock"), "{said}");
    assert!(
        std::os::unix::net::UnixStream::connect(&socket).is_ok(),
        "the socket was taken away"
    );
    drop(listener);
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "precious").unwrap();
    let said = refused(&brig, |_| {});
    assert!(said.contains("brig.sock"), "{said}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

#[test]
fn two_daemons_do_not_share_a_data_root() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let said = refused(&brig, |command| {
        command
            .arg("--host")
            .arg(format!("unix://{}/other.sock", brig.root().display()));
    });
    assert!(
        said.contains("data") || said.contains("run") || said.contains("another"),
        "{said}"
    );
    assert_eq!(
        brig.brig(&["run", "--rm", "bb", "echo", "alive"]).ok(),
        "alive"
    );
    brig.finish();
}

#[test]
fn a_dead_daemons_socket_is_taken_over() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    brig.kill_daemon();
    assert!(brig.socket().exists());
    let dead = brig.brig(&["ps"]);
    assert!(dead.fails(1).contains("brig.sock"), "{dead}");
    brig.start_daemon();
    brig.brig(&["ps"]).ok();
    brig.stop_daemon();
    assert!(
        !brig.socket().exists(),
        "a stopped daemon leaves its socket"
    );
    brig.expect_nothing_left();
}

#[test]
fn the_client_starts_a_daemon_and_says_so() {
    if !root() {
        return;
    }
    let brig = Brig::prepare(Setup::default());
    let started = |autostart: &str| {
        let mut command = brig.command(Client::Brig, &["ps", "-q"]);
        command.env("BRIG_AUTOSTART", autostart);
        command
            .env("BRIGD_DATA_ROOT", brig.data_root())
            .env("BRIGD_RUN_ROOT", brig.run_root());
        command
            .env("BRIGD_HOST", brig.host())
            .env("BRIGD_CONFIG", brig.config_file())
            .env("BRIGD_CGROUP_PARENT", brig.cgroup_parent());
        brig.finish_command(&mut command)
    };
    let told = started("0");
    assert!(told.fails(1).contains("brigd"), "{told}");
    assert!(processes_naming(brig.root().to_str().unwrap()).is_empty());
    let first = started("1");
    assert_eq!(first.ok(), "");
    assert_eq!(first.stderr.lines().count(), 1, "{first}");
    assert!(first.stderr.contains("brigd"), "{first}");
    let second = started("1");
    assert_eq!((second.ok(), second.stderr.as_str()), ("", ""));
    brig.import_busybox();
    for client in clients() {
        assert_eq!(
            brig.with(client, &["run", "--rm", "bb", "echo", "hi"]).ok(),
            "hi"
        );
    }
    let daemons = processes_naming(brig.root().to_str().unwrap());
    for daemon in daemons.iter().filter(|p| p.command.contains("brigd")) {
        kill("TERM", daemon.pid);
        until("the daemon's end", || (!daemon.alive()).then_some(()));
    }
    brig.expect_nothing_left();
}

#[test]
fn version_and_info_tell_what_a_client_asks() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let version = brig.with(
            client,
            &["version", "--format", "{{.Server.Version}} {{.Server.Os}}"],
        );
        assert!(version.ok().ends_with(" linux"), "{version}");
        let info = brig.with(
            client,
            &[
                "info",
                "--format",
                "{{.Images}} {{.Containers}} {{.CgroupVersion}} {{.NCPU}}",
            ],
        );
        let words: Vec<_> = info.ok().split_whitespace().map(str::to_owned).collect();
        assert_eq!(&words[..2], ["1", "0"], "{info}");
        assert_eq!(words[2], if testkit::unified_cgroups() { "2" } else { "1" });
        assert!(words[3].parse::<usize>().unwrap() > 0);
        brig.with(client, &["info"]).ok();
        brig.with(client, &["version"]).ok();
    }
    brig.finish();
}

#[test]
fn http_is_answered_as_docker_answers() {
    if !root() {
        return;
    }
    let brig = Brig::start();
    let ask = |line: &str| {
        brig.http(&format!(
            "{line} HTTP/1.1\r\nHost: b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        ))
    };
    let cases = [
        ("GET /_ping", " 200 "),
        ("HEAD /_ping", " 200 "),
        ("GET /v1.24/_ping", " 200 "),
        ("GET /v1.55/version", " 200 "),
        ("GET /v1.12/version", " 400 "),
        ("GET /v9.99/version", " 400 "),
        ("GET /v1.47/no/such/page", " 404 "),
        ("GET /v1.47/containers/nobody/json", " 404 "),
        ("GET /v1.47/images/nothing/json", " 404 "),
        ("POST /v1.47/containers/nobody/start", " 404 "),
        ("DELETE /v1.47/images/nothing", " 404 "),
        ("GET /v1.47/containers/json?filters=nonsense", " 400 "),
        ("PUT /v1.47/containers/json", " 40"),
    ];
    for (line, status) in cases {
        let answer = ask(line);
        let first = answer.lines().next().unwrap_or_default();
        assert!(first.contains(status), "{line}: {answer}");
        if status.starts_with(" 4") {
            assert!(answer.contains("{\"message\":"), "{line}: {answer}");
        }
    }
    let ping = ask("GET /_ping").to_lowercase();
    for header in [
        "api-version: 1.",
        "ostype: linux",
        "docker-experimental: false",
    ] {
        assert!(ping.contains(header), "{header}: {ping}");
    }
    let body = "{\"Image\": 5";
    let broken = format!(
        "POST /v1.47/containers/create HTTP/1.1\r\nHost: b\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert!(brig.http(&broken).contains(" 400 "));
    brig.finish();
}

#[test]
fn containers_have_what_the_daemon_is_told() {
    if !root() {
        return;
    }
    let flags = "--dns 10.1.2.3 --dns-search example.com --dns-opt timeout:3 --host-gateway-ip 10.9.9.9 \
        --default-ipc-mode shareable --default-cgroupns-mode host --default-shm-size 16m --log-driver local \
        --log-opt max-size=1m --log-opt max-file=7";
    let brig = Brig::start_with(Setup {
        flags: flags.split_whitespace().map(str::to_owned).collect(),
        ..Setup::default()
    });
    brig.import_busybox();
    for client in clients() {
        let run = |more: &[&str], file: &str| {
            let said = brig.with(
                client,
                &[&["run", "--rm"], more, &["bb", "cat", file]].concat(),
            );
            said.ok().to_owned()
        };
        assert_eq!(
            run(&["--network", "none"], "/etc/resolv.conf"),
            "nameserver 10.1.2.3\nsearch example.com\noptions timeout:3"
        );
        assert_eq!(
            run(
                &["--network", "none", "--dns", "10.4.4.4"],
                "/etc/resolv.conf"
            ),
            "nameserver 10.4.4.4\nsearch example.com\noptions timeout:3"
        );
        assert!(run(&[], "/etc/resolv.conf").contains("search example.com"));
        let hosts = run(
            &["--network", "none", "--add-host", "up:host-gateway"],
            "/etc/hosts",
        );
        assert!(hosts.contains("10.9.9.9\tup"), "{hosts}");
        let shown = |name: &str, flags: &[&str]| {
            let create = [&["create", "--name", name], flags, &["bb", "true"]].concat();
            brig.with(client, &create).ok();
            let host = brig.inspect(name)["HostConfig"].clone();
            brig.with(client, &["rm", name]).ok();
            ["IpcMode", "CgroupnsMode", "ShmSize", "LogConfig"].map(|key| host[key].clone())
        };
        let options = json!({ "max-size": "1m", "max-file": "7" });
        let log = json!({ "Type": "local", "Config": options });
        assert_eq!(
            shown("usual", &[]),
            [json!("shareable"), json!("host"), json!(16 << 20), log]
        );
        let own = "--ipc private --cgroupns private --shm-size 32m --log-driver json-file";
        let own: Vec<&str> = own.split(' ').collect();
        let log = json!({ "Type": "json-file", "Config": {} });
        assert_eq!(
            shown("own", &own),
            [json!("private"), json!("private"), json!(32 << 20), log]
        );
    }
    let info = brig.brig(&["info", "--format", "{{.LoggingDriver}}"]);
    assert_eq!(info.ok(), "local");
    brig.finish();
}

#[test]
fn limits_filters_and_runtimes_of_containers_are_the_daemons_to_say() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("profile.json");
    let refuses = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["chmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO" }],
    });
    fs::write(&profile, refuses.to_string()).unwrap();
    let flags = format!(
        "--default-ulimit nofile=42:64 --default-ulimit core=0 --default-init --no-new-privileges \
         --seccomp-profile {} --add-runtime nothing=false --default-runtime runc --label rack=7",
        profile.display()
    );
    let mut brig = Brig::start_with(Setup {
        flags: flags.split_whitespace().map(str::to_owned).collect(),
        ..Setup::default()
    });
    brig.import_busybox();
    for client in clients() {
        let run = |flags: &[&str], script: &str| {
            let run = ["run", "--rm", "--network", "none"];
            let all = [&run, flags, &["bb", "sh", "-c", script]].concat();
            brig.with(client, &all)
        };
        let limits = "ulimit -n; ulimit -Hn; ulimit -c; grep NoNewPrivs /proc/self/status; cat /proc/1/comm; true";
        let told = |limits: &str, no_new: &str, first: &str| {
            format!("{limits}\nNoNewPrivs:\t{no_new}\n{first}")
        };
        let said = run(&[], limits);
        assert_eq!(
            said.ok(),
            told("42\n64\n0", "1", "docker-init"),
            "{client:?}"
        );
        let own = [
            "--ulimit=nofile=50",
            "--init=false",
            "--security-opt=no-new-privileges=false",
        ];
        assert_eq!(
            run(&own, limits).ok(),
            told("50\n50\n0", "0", "sh"),
            "{client:?}"
        );
        let change = "touch /f && chmod 600 /f";
        assert!(run(&[], change).fails(1).contains("not permitted"));
        for other in ["--security-opt=seccomp=unconfined", "--privileged"] {
            run(&[other], change).ok();
        }
        // Docker's old client takes it for a file.
        if matches!(client, Client::Brig) {
            run(&["--security-opt=seccomp=builtin"], change).ok();
        }
        let unknown = run(&["--runtime=kata"], "true");
        assert!(unknown.fails(125).contains("kata"), "{unknown}");
        let foreign = run(&["--runtime=nothing"], "true");
        assert!(foreign.fails(125).contains("bin/false"), "{foreign}");
    }
    of_one_that_runs(&mut brig);
    brig.finish();
}

/// What is completed at each start is as the daemon is told by then.
fn of_one_that_runs(brig: &mut Brig) {
    brig.brig(&[
        "run",
        "-d",
        "--name",
        "kept",
        "--network",
        "none",
        "bb",
        "sleep",
        "600",
    ])
    .ok();
    let exec = ["exec", "kept", "sh", "-c", "ulimit -n"];
    assert_eq!(brig.brig(&exec).ok(), "42");
    let limits = "{{range .HostConfig.Ulimits}}{{.Name}}={{.Soft}} {{end}}{{.HostConfig.Runtime}}";
    let limits = ["inspect", "--format", limits, "kept"];
    assert_eq!(brig.brig(&limits).ok(), "nofile=42 core=0 runc");
    let info = "{{.DefaultRuntime}} {{json .Labels}} {{json .SecurityOptions}}";
    let info = brig.brig(&["info", "--format", info]);
    for part in [
        "runc [\"rack=7\"]",
        "profile=custom",
        "name=no-new-privileges",
    ] {
        assert!(info.ok().contains(part), "{info}");
    }
    brig.stop_daemon();
    brig.set_flags(&["--default-ulimit", "nofile=43"]);
    brig.start_daemon();
    assert_eq!(brig.brig(&limits).ok(), "nofile=43 runc");
    // What runs keeps those that it was started with.
    assert_eq!(brig.brig(&exec).ok(), "42");
    brig.brig(&["restart", "-t", "0", "kept"]).ok();
    assert_eq!(brig.brig(&exec).ok(), "43");
    brig.brig(&["rm", "-f", "kept"]).ok();
}

/// What Docker's daemon reads again, and what new containers have.
#[test]
fn some_of_the_configuration_is_read_again() {
    if !root() {
        return;
    }
    let mut brig = Brig::prepare(Setup::default());
    let file = brig.config_file();
    let networks = fs::read_to_string(&file).unwrap();
    let configure = |keys: &str| fs::write(&file, format!("{keys}\n{networks}")).unwrap();
    configure("label = [\"rack=7\"]\ndefault-shm-size = \"1m\"");
    brig.start_daemon();
    brig.import_busybox();
    let info = "{{json .Labels}} {{.DefaultRuntime}} {{.LoggingDriver}} {{json .Runtimes}}";
    let info = ["info", "--format", info];
    assert_eq!(
        brig.brig(&info).ok(),
        "[\"rack=7\"] brig json-file {\"brig\":{\"path\":\"brig-runtime\"}}"
    );
    let create = |name: &str| {
        let format =
            "{{.HostConfig.ShmSize}} {{.HostConfig.LogConfig.Type}} {{.HostConfig.Runtime}}";
        brig.brig(&["create", "--name", name, "--network=none", "bb", "true"])
            .ok();
        brig.brig(&["inspect", "--format", format, name])
            .ok()
            .to_owned()
    };
    assert_eq!(create("before"), "1048576 json-file brig");
    let read_again = |word: &str| {
        kill("HUP", brig.daemon_pid());
        until(word, || brig.daemon_log().contains(word).then_some(()));
    };
    let changed = "label = [\"rack=8\"]\ndefault-shm-size = \"2m\"\nlog-driver = \"local\"\n\
                   default-runtime = \"nothing\"\nruntimes = { nothing = \"/bin/false\" }";
    configure(changed);
    read_again("are read again");
    let told = brig.brig(&info);
    assert_eq!(
        told.ok(),
        "[\"rack=8\"] nothing local {\"brig\":{\"path\":\"brig-runtime\"},\"nothing\":{\"path\":\"/bin/false\"}}"
    );
    assert_eq!(create("after"), "2097152 local nothing");
    // One mistake leaves all of it as it is.
    let wrong = "label = [\"rack=9\"]\ndefault-shm-size = \"none\"";
    configure(wrong);
    read_again("stays as it was");
    assert_eq!(brig.brig(&info).ok(), told.ok());
    brig.brig(&["rm", "before", "after"]).ok();
    brig.finish();
}

#[test]
fn there_may_be_no_default_network() {
    if !root() {
        return;
    }
    let brig = Brig::start_with(Setup {
        network: "bridge = \"none\"".to_owned(),
        ..Setup::default()
    });
    brig.import_busybox();
    let names = brig.brig(&["network", "ls", "--format", "{{.Name}}"]);
    assert_eq!(names.lines(), ["host", "none"]);
    assert!(
        brig.brig(&["network", "inspect", "bridge"])
            .fails(1)
            .contains("not found")
    );
    for client in clients() {
        let run = |flags: &[&str], script: &str| {
            brig.with(
                client,
                &[&["run", "--rm"], flags, &["bb", "sh", "-c", script]].concat(),
            )
        };
        for flags in [&[][..], &["-p", "8080:80"], &["--network", "bridge"]] {
            assert_eq!(
                run(flags, "ls /sys/class/net").ok(),
                "lo",
                "{client:?} {flags:?}"
            );
        }
        brig.with(client, &["network", "create", "mine"]).ok();
        let devices = run(&["--network", "mine"], "ls /sys/class/net");
        assert_eq!(devices.ok(), "eth0\nlo", "{client:?}");
        brig.with(client, &["network", "rm", "mine"]).ok();
    }
    brig.finish();
}

/// The one that there was goes, and who was made for it is told.
#[test]
fn the_default_network_may_be_taken_away() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    brig.brig(&["create", "--name", "old", "bb", "true"]).ok();
    brig.brig(&["run", "--rm", "bb", "true"]).ok();
    // What belonged to the container goes in its time.
    let links = until("the bridge alone", || {
        let links = brig.network().links();
        (links.len() == 1).then_some(links)
    });
    // One that is told to stop takes it along.
    brig.kill_daemon();
    assert_eq!(brig.network().links(), links);
    let file = brig.config_file();
    let text = fs::read_to_string(&file).unwrap();
    let keys = text
        .lines()
        .map(|line| match line.starts_with("bridge = ") {
            true => "bridge = \"none\"",
            false => line,
        });
    fs::write(&file, keys.collect::<Vec<_>>().join("\n")).unwrap();
    brig.start_daemon();
    assert!(brig.network().links().is_empty());
    let started = brig.brig(&["start", "old"]);
    let why = "this daemon has no default network any more";
    assert!(started.fails(1).contains(why), "{started}");
    assert_eq!(
        brig.brig(&["run", "--rm", "bb", "ls", "/sys/class/net"])
            .ok(),
        "lo"
    );
    // It may come back.
    fs::write(&file, text).unwrap();
    brig.stop_daemon();
    brig.start_daemon();
    brig.brig(&["start", "-a", "old"]).ok();
    brig.brig(&["rm", "old"]).ok();
    brig.finish();
}
