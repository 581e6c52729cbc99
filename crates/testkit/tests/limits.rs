//! Limits: what the flags write into the control groups of either version, and that they hold.

#![allow(clippy::unwrap_used, reason = "a test")]

use testkit::{Brig, Client, cgroup_setting, clients, root, unified_cgroups};

/// Flags; controller; file and value in version 1; file and value in version 2.
type Case = (
    &'static [&'static str],
    &'static str,
    (&'static str, &'static str),
    (&'static str, &'static str),
);

const CASES: &[Case] = &[
    (
        &["-m", "64m"],
        "memory",
        ("memory.limit_in_bytes", "67108864"),
        ("memory.max", "67108864"),
    ),
    (
        &["--memory", "1g"],
        "memory",
        ("memory.limit_in_bytes", "1073741824"),
        ("memory.max", "1073741824"),
    ),
    (
        &["--cpus", "0.5"],
        "cpu",
        ("cpu.cfs_quota_us", "50000"),
        ("cpu.max", "50000 100000"),
    ),
    (
        &["--cpus", "1.25"],
        "cpu",
        ("cpu.cfs_quota_us", "125000"),
        ("cpu.max", "125000 100000"),
    ),
    (
        &["--cpu-shares", "512"],
        "cpu",
        ("cpu.shares", "512"),
        ("cpu.weight", "20|59"),
    ),
    (
        &["--cpuset-cpus", "0"],
        "cpuset",
        ("cpuset.cpus", "0"),
        ("cpuset.cpus", "0"),
    ),
    (
        &["--pids-limit", "17"],
        "pids",
        ("pids.max", "17"),
        ("pids.max", "17"),
    ),
    (
        &["--pids-limit", "-1"],
        "pids",
        ("pids.max", "max"),
        ("pids.max", "max"),
    ),
];

#[test]
fn flags_become_settings_of_the_cgroup() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in clients() {
        for (flags, controller, v1, v2) in CASES {
            let args = [
                &["run", "-d", "--name", "l1", "--network", "none"],
                *flags,
                &["bb", "sleep", "1000"],
            ];
            brig.with(client, &args.concat()).ok();
            let pid = brig.inspect("l1")["State"]["Pid"].as_u64().unwrap();
            let value = cgroup_setting(pid, controller, v1.0, v2.0);
            let expected = if unified_cgroups() { v2.1 } else { v1.1 };
            let value = value.unwrap_or_else(|| panic!("{flags:?}: no {controller} for {pid}"));
            // The newest runtimes map shares to weight along another curve: both are right.
            assert!(
                expected.split('|').any(|e| e == value),
                "{client:?} {flags:?}: {value}, not {expected}"
            );
            brig.with(client, &["rm", "-f", "l1"]).ok();
        }
    }
    brig.finish();
}

#[test]
fn swap_is_limited_with_memory() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let run = [
        "run",
        "-d",
        "--name",
        "s1",
        "-m",
        "64m",
        "--memory-swap",
        "96m",
        "bb",
        "sleep",
        "1000",
    ];
    brig.brig(&run).ok();
    let pid = brig.inspect("s1")["State"]["Pid"].as_u64().unwrap();
    match cgroup_setting(
        pid,
        "memory",
        "memory.memsw.limit_in_bytes",
        "memory.swap.max",
    ) {
        Some(value) => assert_eq!(
            value,
            if unified_cgroups() {
                "33554432"
            } else {
                "100663296"
            }
        ),
        None => eprintln!("SKIP: this kernel does not account for swap"),
    }
    brig.finish();
}

#[test]
fn what_takes_more_memory_than_it_may_is_killed_and_said_to_be() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    for client in [Client::Brig, Client::Docker28] {
        if client.program().is_none() {
            continue;
        }
        let eat = [
            "run",
            "--name",
            "glutton",
            "-m",
            "16m",
            "--memory-swap",
            "16m",
            "bb",
            "tail",
            "/dev/zero",
        ];
        brig.with(client, &eat).fails(137);
        let state = brig.inspect("glutton")["State"].clone();
        assert_eq!(state["OOMKilled"], true, "{state}");
        brig.with(client, &["rm", "glutton"]).ok();
    }
    brig.finish();
}

#[test]
fn no_more_processes_than_allowed() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let fork = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done; wait";
    let many = brig.brig(&["run", "--rm", "--pids-limit", "5", "bb", "sh", "-c", fork]);
    assert!(many.code != 0, "{many}");
    assert!(many.stderr.contains("fork"), "{many}");
    brig.finish();
}

#[test]
fn impossible_limits_are_refused() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let cases: &[(&[&str], &str)] = &[
        (&["-m", "1m"], "6"),
        (&["-m", "64m", "--memory-swap", "32m"], "swap"),
        (&["--cpus", "9999"], "cpu"),
        (&["--cpuset-cpus", "9999"], "9999"),
    ];
    for client in clients() {
        for (flags, word) in cases {
            let refused = brig.with(
                client,
                &[&["run", "--rm"], *flags, &["bb", "true"]].concat(),
            );
            assert!(
                refused.fails(125).to_lowercase().contains(word),
                "{flags:?}: {refused}"
            );
        }
        assert!(brig.with(client, &["ps", "-aq"]).ok().is_empty());
    }
    brig.expect_nothing_left();
    brig.finish();
}
