//! Every flag of `run`, seen from inside the container.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use std::fs;

use testkit::{Brig, clients, root};

/// Flags with spaces between, a shell script to run inside, what it prints.
type Case = (&'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    ("-e A=b --env C=d", "echo $A-$C", "b-d"),
    ("-w /tmp", "pwd", "/tmp"),
    ("--workdir /made/here", "pwd", "/made/here"),
    ("-u 33", "id -u; id -g", "33 33"),
    ("-u www", "id -u; id -g; id -G", "33 33 33 29"),
    ("--user 33:50", "id -u; id -g", "33 50"),
    ("-u 1234:4321", "id -u; id -g", "1234 4321"),
    ("--group-add audio --group-add 777", "id -G", "0 29 777"),
    (
        "--hostname ship",
        "hostname; cat /etc/hostname",
        "ship ship",
    ),
    ("-h ship", "cat /etc/hostname", "ship"),
    (
        "--read-only",
        "touch /x 2>&1 | grep -o 'Read-only.*'",
        "Read-only file system",
    ),
    (
        "--tmpfs /t:size=1m,mode=1770",
        "stat -c '%a' /t; df -k /t | tail -1 | awk '{print $2}'",
        "1770 1024",
    ),
    (
        "--mount type=tmpfs,target=/t,tmpfs-size=1m",
        "df -k /t | tail -1 | awk '{print $2}'",
        "1024",
    ),
    (
        "--shm-size 8m",
        "df -k /dev/shm | tail -1 | awk '{print $2}'",
        "8192",
    ),
    ("--ulimit nofile=64:128", "ulimit -n; ulimit -Hn", "64 128"),
    ("--ulimit core=0", "ulimit -c", "0"),
    (
        "--sysctl net.ipv4.ip_unprivileged_port_start=77",
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
        "77",
    ),
    (
        "--sysctl kernel.msgmax=4096",
        "cat /proc/sys/kernel/msgmax",
        "4096",
    ),
    ("--oom-score-adj 500", "cat /proc/self/oom_score_adj", "500"),
    ("--network none", "ls /sys/class/net", "lo"),
    (
        "--cap-drop ALL",
        "grep CapEff /proc/self/status | cut -f2",
        "0000000000000000",
    ),
    (
        "--cap-drop all --cap-add CHOWN",
        "grep CapEff /proc/self/status | cut -f2",
        "0000000000000001",
    ),
    (
        "--cap-add SYS_TIME",
        "grep CapEff /proc/self/status | cut -f2",
        "00000000aa0425fb",
    ),
    (
        "--security-opt no-new-privileges",
        "grep NoNewPrivs /proc/self/status | cut -f2",
        "1",
    ),
    (
        "--security-opt seccomp=unconfined",
        "grep '^Seccomp:' /proc/self/status | cut -f2",
        "0",
    ),
    (
        "--device /dev/zero:/dev/nought:r",
        "head -c 4 /dev/nought | wc -c",
        "4",
    ),
    (
        "--init",
        "grep -c brig-init /proc/1/cmdline || cat /proc/1/comm",
        "1",
    ),
    (
        "--device-cgroup-rule c|10:200|rwm",
        "mknod /tun c 10 200; cat /tun 2>&1 | grep -c 'not permitted'; true",
        "0",
    ),
    (
        "--hostname plain",
        "mknod /tun c 10 200; cat /tun 2>&1 | grep -c 'not permitted'; true",
        "1",
    ),
    ("--label a=b", "true", ""),
    ("--entrypoint /bin/echo", "-", "-c -"),
    ("-t", "tty", "/dev/pts/0"),
];

#[test]
fn each_flag_does_what_it_does_in_docker() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let mut wrong = Vec::new();
        for (flags, script, expected) in CASES {
            let mut args = vec!["run", "--rm"];
            // A space within a value.
            let flags: Vec<String> = flags.split(' ').map(|w| w.replace('|', " ")).collect();
            args.extend(flags.iter().map(String::as_str));
            let flags = flags.join(" ");
            if !flags.contains("--entrypoint") {
                args.extend(["--entrypoint", "sh"]);
            }
            args.extend(["bb", "-c", script]);
            let output = brig.with(client, &args);
            let shown = output
                .stdout
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            if output.code != 0 || shown != *expected {
                wrong.push(format!("{flags:?}: wanted {expected:?}, got {output}"));
            }
        }
        assert!(wrong.is_empty(), "{client:?}:\n{}", wrong.join("\n"));
    }
    brig.finish();
}

#[test]
fn environment_files_are_read() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let file = brig.root().join("env");
    fs::write(
        &file,
        "# a comment\nA=one\nB=two words\n\nEMPTY=\nNOT_SET\n",
    )
    .unwrap();
    for client in clients() {
        let run = [
            "run",
            "--rm",
            "--env-file",
            file.to_str().unwrap(),
            "-e",
            "A=over",
            "bb",
            "env",
        ];
        let shown = brig.with(client, &run);
        let lines = shown.lines();
        for expected in ["A=over", "B=two words", "EMPTY="] {
            assert!(lines.contains(&expected), "{client:?} {expected}: {shown}");
        }
        assert!(!lines.iter().any(|l| l.starts_with("NOT_SET")), "{shown}");
    }
    brig.finish();
}

#[test]
fn directories_of_the_host_are_bound() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let shared = brig.root().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("file"), "from the host").unwrap();
    let shared = shared.to_str().unwrap();
    for client in clients() {
        let run = |flags: &[&str], script: &str| {
            brig.with(
                client,
                &[&["run", "--rm"], flags, &["bb", "sh", "-c", script]].concat(),
            )
        };
        let volume = format!("{shared}:/mnt/it");
        assert_eq!(
            run(&["-v", &volume], "cat /mnt/it/file").ok(),
            "from the host"
        );
        run(&["-v", &volume], "echo back > /mnt/it/answer").ok();
        assert_eq!(
            fs::read_to_string(format!("{shared}/answer")).unwrap(),
            "back\n"
        );
        let read_only = run(&["-v", &format!("{volume}:ro")], "echo no > /mnt/it/answer");
        assert!(
            read_only.code != 0 && read_only.stderr.contains("Read-only"),
            "{read_only}"
        );
        let mount = format!("type=bind,source={shared},target=/m,readonly");
        let mounted = run(&["--mount", &mount], "cat /m/file; touch /m/x");
        assert!(
            mounted.code != 0 && mounted.stdout == "from the host",
            "{mounted}"
        );
        for propagation in [
            "rprivate", "rslave", "rshared", "private", "slave", "shared",
        ] {
            let bound = run(
                &["-v", &format!("{volume}:{propagation}")],
                "cat /proc/self/mountinfo",
            );
            if bound.code != 0 && bound.stderr.contains("not a shared") {
                eprintln!("SKIP: the machine's mounts are private: no {propagation}");
                continue;
            }
            let line = bound
                .lines()
                .into_iter()
                .find(|l| l.contains(" /mnt/it "))
                .unwrap()
                .to_owned();
            let slave = propagation.ends_with("slave");
            assert!(
                !slave || line.contains("master:") || !host_shares(),
                "{propagation}: {line}"
            );
            assert!(
                !propagation.ends_with("private") || !line.contains("shared:"),
                "{propagation}: {line}"
            );
        }
        let missing = run(
            &["--mount", "type=bind,source=/no/such/place,target=/m"],
            "true",
        );
        assert!(missing.fails(125).contains("/no/such/place"), "{missing}");
    }
    brig.finish();
}

/// Whether the machine's own root is a shared mount.
fn host_shares() -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    table
        .lines()
        .any(|line| line.contains(" / / ") && line.contains("shared:"))
}

#[test]
fn the_hosts_network_is_the_hosts() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for client in clients() {
        let reach = [
            "run",
            "--rm",
            "--network",
            "host",
            "bb",
            "nc",
            "127.0.0.1",
            &port,
            "-e",
            "true",
        ];
        brig.with(client, &reach).ok();
        let alone = [
            "run",
            "--rm",
            "--network",
            "none",
            "bb",
            "nc",
            "127.0.0.1",
            &port,
            "-e",
            "true",
        ];
        brig.with(client, &alone).fails(1);
    }
    brig.finish();
}

#[test]
fn privileged_takes_the_fences_away() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let look = "grep '^Seccomp:' /proc/self/status; grep CapEff /proc/self/status; ls /dev; mount -t tmpfs t /mnt 2>&1 || mkdir /mnt && mount -t tmpfs t /mnt && echo mounted";
        let open = brig.with(
            client,
            &["run", "--rm", "--privileged", "bb", "sh", "-c", look],
        );
        let own = fs::read_to_string("/proc/self/status").unwrap();
        let full = own
            .lines()
            .find_map(|l| l.strip_prefix("CapBnd:"))
            .unwrap()
            .trim();
        assert!(open.ok().contains("Seccomp:\t0"), "{open}");
        assert!(open.stdout.contains(full), "{full}: {open}");
        assert!(open.stdout.contains("mounted"), "{open}");
    }
    brig.finish();
}

#[test]
fn a_seccomp_profile_of_the_users_is_obeyed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let profile = brig.root().join("profile.json");
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":95}]}"#;
    fs::write(&profile, text).unwrap();
    let option = format!("seccomp={}", profile.display());
    for client in clients() {
        let run = [
            "run",
            "--rm",
            "--security-opt",
            &option,
            "bb",
            "mkdir",
            "/x",
        ];
        let refused = brig.with(client, &run);
        assert!(refused.fails(1).contains("not supported"), "{refused}");
    }
    brig.finish();
}

#[test]
fn cgroup_parents_are_chosen() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let parent = format!("{}/deep", brig.cgroup_parent());
    for client in clients() {
        let run = [
            "run",
            "--rm",
            "--cgroup-parent",
            &parent,
            "-d",
            "--name",
            "low",
            "bb",
            "sleep",
            "1000",
        ];
        brig.with(client, &run).ok();
        let pid = brig.inspect("low")["State"]["Pid"].to_string();
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert!(groups.contains(&format!("{parent}/")), "{groups}");
        brig.with(client, &["rm", "-f", "low"]).ok();
    }
    // A parent that somebody names is theirs, and stays.
    for directory in testkit::cgroups(&parent) {
        fs::remove_dir(directory).unwrap();
    }
    brig.finish();
}

#[test]
fn labels_and_settings_are_shown_by_inspect() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        let create = [
            "create",
            "--name",
            "all",
            "--label",
            "a=b",
            "-m",
            "64m",
            "--cpus",
            "0.5",
            "--pids-limit",
            "33",
            "--hostname",
            "ship",
            "-w",
            "/tmp",
            "-u",
            "33:50",
            "--stop-signal",
            "USR1",
            "--stop-timeout",
            "3",
            "--cap-add",
            "SYS_TIME",
            "--read-only",
            "--init",
            "--network",
            "none",
            "bb",
            "sleep",
            "9",
        ];
        brig.with(client, &create).ok();
        let shown = brig.with(client, &["inspect", "all"]).json()[0].clone();
        let (config, host) = (&shown["Config"], &shown["HostConfig"]);
        assert_eq!(config["Labels"]["a"], "b");
        assert_eq!(config["Hostname"], "ship");
        assert_eq!(config["WorkingDir"], "/tmp");
        assert_eq!(config["User"], "33:50");
        assert_eq!(config["StopSignal"], "USR1");
        assert_eq!(config["StopTimeout"], 3);
        assert_eq!(config["Cmd"][0], "sleep");
        assert_eq!(host["Memory"], 64 << 20);
        assert_eq!(host["NanoCpus"], 500_000_000);
        assert_eq!(host["PidsLimit"], 33);
        assert_eq!(host["ReadonlyRootfs"], true);
        assert_eq!(host["Init"], true);
        assert_eq!(host["NetworkMode"], "none");
        assert_eq!(shown["Name"], "/all");
        assert_eq!(shown["Path"], "sleep");
        assert_eq!(shown["Args"][0], "9");
        brig.with(client, &["rm", "all"]).ok();
    }
    brig.finish();
}
