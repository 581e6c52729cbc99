//! Limits: what the flags write into the control groups of either version, and that they hold.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]
#![allow(clippy::print_stderr, reason = "tests tell why they skip")]

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

/// A block device of this machine: its path and its numbers.
fn disk() -> Option<(String, String)> {
    let disks = std::fs::read_dir("/sys/block").ok()?.flatten();
    let mut disks = disks.filter_map(|disk| {
        let name = disk.file_name().to_str()?.to_owned();
        let path = format!("/dev/{name}");
        let numbers = std::fs::read_to_string(disk.path().join("dev")).ok()?;
        // Those made for one memory or file are not throttled everywhere.
        let real = !["loop", "ram", "zram"]
            .iter()
            .any(|kind| name.starts_with(kind));
        (real && std::fs::metadata(&path).is_ok()).then(|| (path, numbers.trim().to_owned()))
    });
    let found = disks.next();
    if found.is_none() {
        eprintln!("SKIP: this machine has no disk");
    }
    found
}

#[test]
fn block_io_is_limited_and_the_limits_are_changed() {
    let (true, Some((path, numbers))) = (root(), disk()) else {
        return;
    };
    let brig = Brig::with_image();
    for client in clients() {
        let (bytes, reads) = (format!("{path}:1mb"), format!("{path}:77"));
        let run = [
            "run",
            "-d",
            "--name",
            "slow",
            "--device-read-bps",
            &bytes,
            "--device-write-iops",
            &reads,
            "--blkio-weight",
            "300",
            "bb",
            "sleep",
            "1000",
        ];
        let started = brig.with(client, &run);
        started.ok();
        let host = brig.inspect("slow")["HostConfig"].clone();
        assert_eq!(host["BlkioDeviceReadBps"][0]["Path"], path, "{host}");
        assert_eq!(host["BlkioDeviceReadBps"][0]["Rate"], 1 << 20, "{host}");
        let pid = brig.inspect("slow")["State"]["Pid"].as_u64().unwrap();
        let setting = |v1: &str, v2: &str| {
            let controller = if unified_cgroups() { "io" } else { "blkio" };
            cgroup_setting(pid, controller, v1, v2).unwrap_or_default()
        };
        let read = setting("blkio.throttle.read_bps_device", "io.max");
        let written = setting("blkio.throttle.write_iops_device", "io.max");
        if unified_cgroups() {
            assert!(
                read.contains(&format!(
                    "{numbers} rbps=1048576 wbps=max riops=max wiops=77"
                )),
                "{read}"
            );
        } else {
            assert_eq!(
                (read, written),
                (format!("{numbers} 1048576"), format!("{numbers} 77"))
            );
        }
        if started.stderr.contains("Block I/O weight") {
            eprintln!("SKIP: this kernel has no weights of block I/O");
            assert_eq!(host["BlkioWeight"], 0, "{host}");
        } else {
            assert_eq!(host["BlkioWeight"], 300, "{host}");
            brig.with(client, &["update", "--blkio-weight", "500", "slow"])
                .ok();
            assert_eq!(brig.inspect("slow")["HostConfig"]["BlkioWeight"], 500);
        }
        brig.with(client, &["rm", "-f", "slow"]).ok();
        let none = brig.with(
            client,
            &[
                "run",
                "--rm",
                "--device-read-bps",
                "/dev/null:1mb",
                "bb",
                "true",
            ],
        );
        assert!(none.fails(125).contains("/dev/null"), "{none}");
    }
    brig.finish();
}

#[test]
fn limits_of_single_disks_are_changed_by_the_api() {
    let (true, Some((path, numbers))) = (root(), disk()) else {
        return;
    };
    let brig = Brig::with_image();
    brig.brig(&["run", "-d", "--name", "slow", "bb", "sleep", "1000"])
        .ok();
    let body = format!(r#"{{"BlkioDeviceWriteBps": [{{"Path": "{path}", "Rate": 2097152}}]}}"#);
    let answer = brig.http(&format!(
        "POST /v1.55/containers/slow/update HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let pid = brig.inspect("slow")["State"]["Pid"].as_u64().unwrap();
    let controller = if unified_cgroups() { "io" } else { "blkio" };
    let now = cgroup_setting(pid, controller, "blkio.throttle.write_bps_device", "io.max");
    let now = now.unwrap();
    assert!(
        now.starts_with(&numbers) && now.contains("2097152"),
        "{now}"
    );
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
        (&["-m", "1m"], "6mb"),
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
