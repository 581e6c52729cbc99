//! The daemon dies, the shim dies.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use shim::{Call, Reply, Shim, protocol};
use sys::socket::{self, Kind};
use types::{ErrorKind, Signal};

use crate::guest::{ALL, LONG, Setup, can_run, next_notice, read_until, skip};

/// All connections go as they do when a daemon is killed; a new one finds everything.
#[test]
fn a_new_daemon_finds_what_the_old_one_left() {
    if !can_run() {
        return;
    }
    let mut setup =
        Setup::shell("n=0; while read line; do n=$((n + 1)); echo $n $line; done; exit $n");
    (setup.launch.open_stdin, setup.launch.stdin_once) = (true, true);
    let mut guest = setup.start();
    let mut client = guest.attach(ALL, false);
    client.write_all(b"a\n").unwrap();
    assert_eq!(read_until(&mut client, "\n"), "1 a\n");
    let again = Shim::connect(guest.dir.path().to_owned()).unwrap();
    assert_eq!(again.pid(), guest.shim.pid());
    // The old daemon's connections end here; the client's does not.
    drop(std::mem::replace(&mut guest.shim, again));
    client.write_all(b"b\n").unwrap();
    assert_eq!(read_until(&mut client, "\n"), "2 b\n");
    let watch = guest.shim.watch().unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let shim::Notice::Exited(record) = next_notice(&watch) else {
        panic!()
    };
    assert_eq!(record.code, 2);
    assert_eq!(guest.logged(shim::log::Stream::Stdout), "1 a\n2 b\n");
    guest.wait();
    let absent = Shim::connect(guest.dir.path().to_owned()).unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::Unavailable);
    assert!(absent.is_gone());
}

#[test]
fn a_shim_nobody_gave_a_container_ends_with_its_daemon() {
    if !can_run() {
        return;
    }
    let setup = Setup::new(&["true"]);
    let mut guest = setup.launch();
    // The other connection goes too: there is nothing to come back for.
    let dir = guest.dir.path().to_owned();
    // It answers, so it listens.
    guest.shim.call(&Call::State, &[]).unwrap();
    let again = Shim::connect(dir).unwrap();
    let pidfd = sys::fd::duplicate(guest.shim.pidfd()).unwrap();
    drop(std::mem::replace(&mut guest.shim, again));
    let again = Shim::connect(guest.dir.path().to_owned()).unwrap();
    drop(std::mem::replace(&mut guest.shim, again));
    // The last one stays until the guest goes.
    assert!(!sys::pidfd::ended_within(&pidfd, Duration::ZERO).unwrap());
    guest.shim.call(&Call::Shutdown, &[]).unwrap();
    assert!(sys::pidfd::ended_within(&pidfd, LONG).unwrap());
}

#[test]
fn a_shim_ignores_what_would_stop_a_session() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    for signal in [Signal::HUP, Signal::INT, Signal::TERM, Signal::PIPE] {
        sys::pidfd::send_signal(guest.shim.pidfd(), signal).unwrap();
    }
    guest.shim.call(&Call::State, &[]).unwrap();
    // The container does not inherit that.
    guest
        .shim
        .call(
            &Call::Kill {
                signal: Signal::KILL,
            },
            &[],
        )
        .unwrap();
    assert_eq!(guest.wait().code, 137);
}

#[test]
fn the_container_gets_clean_signals() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["cat", "/proc/self/status"]).start();
    assert_eq!(guest.wait().code, 0);
    let log = guest.logged(shim::log::Stream::Stdout);
    for name in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(
            log.contains(&format!("{name}:\t0000000000000000\n")),
            "{log}"
        );
    }
}

#[test]
fn the_container_dies_with_its_shim() {
    if !can_run() {
        return;
    }
    let guest = Setup::shell("sleep 1000 & sleep 1000").create();
    if guest.launch.foreign_runtime.is_some() {
        return;
    }
    let process = guest.start();
    let pidfd = sys::pidfd::open(process.pid).unwrap();
    sys::pidfd::send_signal(guest.shim.pidfd(), Signal::KILL).unwrap();
    assert!(
        sys::pidfd::ended_within(&pidfd, LONG).unwrap(),
        "the container lives on"
    );
    assert!(sys::pidfd::ended_within(guest.shim.pidfd(), LONG).unwrap());
    guest.shim.has_ended();
    assert_eq!(
        guest.shim.call(&Call::State, &[]).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    // Cgroup and socket are the daemon's to remove then.
    let layout = sys::cgroup::Layout::detect().unwrap();
    let cgroup = sys::cgroup::Cgroup::open(&layout, &format!("/{}", guest.launch.id)).unwrap();
    cgroup.kill_all().unwrap();
    cgroup.remove().unwrap();
    std::fs::remove_file(guest.dir.path().join("shim.sock")).unwrap();
}

#[test]
fn nonsense_is_answered_and_harms_nothing() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let path = guest.dir.path().join("shim.sock");
    let strange = socket::connect(&path, Kind::Messages).unwrap();
    for text in [" ", "{", "{\"call\":\"dance\"}", "@memfd", "[]"] {
        socket::send(&strange, text.as_bytes(), &[]).unwrap();
        let answer = socket::receive(&strange).unwrap().unwrap();
        let answer = String::from_utf8(answer.bytes).unwrap();
        assert!(
            answer.contains("\"failed\"") && answer.contains("\"Invalid\""),
            "{answer}"
        );
    }
    guest.shim.call(&Call::State, &[]).unwrap();
}

/// What a running container costs beside its own memory: pages of the shim's that nobody shares.
#[test]
fn a_shim_at_rest_is_small() {
    if !can_run() {
        return;
    }
    let guest = Setup::shell("seq 1 50000; read line").stdin().create();
    let mut client = guest.attach(ALL, false);
    guest.start();
    read_until(&mut client, "\n50000\n");
    let rollup =
        std::fs::read_to_string(format!("/proc/{}/smaps_rollup", guest.shim.pid())).unwrap();
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))
        .unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes <= 1024, "{kilobytes} kB");
}

/// One that is stopped is asked in vain, but not for ever; when it goes on it answers again.
#[test]
fn a_shim_that_hangs_is_not_waited_for() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let shim = &guest.shim;
    sys::pidfd::send_signal(shim.pidfd(), "STOP".parse().unwrap()).unwrap();
    let limit = Duration::from_millis(20);
    for _ in 0..2 {
        let error = shim.call_within(limit, &Call::State, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the shim (pid {}) has not answered within 20ms", shim.pid())
        );
    }
    sys::pidfd::send_signal(shim.pidfd(), "CONT".parse().unwrap()).unwrap();
    let state = shim.call(&Call::State, &[]).unwrap();
    assert!(matches!(state, Reply::State(s) if s.started));
    shim.call(
        &Call::Kill {
            signal: Signal::KILL,
        },
        &[],
    )
    .unwrap();
    assert_eq!(guest.wait().code, 137);
}

/// Who connects while there are no descriptors is answered when there are some again.
#[test]
fn a_shim_out_of_descriptors_listens_again() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let limit = |soft: u32| {
        let mut prlimit = Command::new("prlimit");
        prlimit.arg(format!("--pid={}", guest.shim.pid()));
        prlimit.arg(format!("--nofile={soft}:")).status()
    };
    if !limit(0).is_ok_and(|status| status.success()) {
        skip("prlimit(1) is needed to take descriptors away");
        return;
    }
    let path = guest.dir.path().join(protocol::SOCKET);
    let client = socket::connect_within(&path, Kind::Messages, Duration::from_millis(300)).unwrap();
    socket::send(&client, &protocol::encode(&Call::State), &[]).unwrap();
    assert_eq!(
        socket::receive(&client).unwrap_err().errno,
        sys::Errno::AGAIN
    );
    // The connection that is there already is served all the while.
    guest.shim.call(&Call::State, &[]).unwrap();
    assert!(limit(1024).unwrap().success());
    socket::set_patience(&client, LONG).unwrap();
    let answer = socket::receive(&client).unwrap().unwrap();
    let answer = protocol::decode::<Reply>(&answer.bytes).unwrap();
    assert!(matches!(answer, Reply::State(state) if state.started));
}

/// By way of a process that is about to be a container's (CVE-2019-5736).
#[test]
fn nobody_writes_to_the_shims_program() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let program = format!("/proc/{}/exe", guest.shim.pid());
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(program);
    let refused = opened.map(drop).unwrap_err().kind();
    // Whoever runs it: the reason is not that it is busy, which ends.
    assert_eq!(refused, std::io::ErrorKind::ReadOnlyFilesystem);
    let call = Call::Kill {
        signal: Signal::KILL,
    };
    guest.shim.call(&call, &[]).unwrap();
    assert_eq!(guest.wait().code, 137);
}
