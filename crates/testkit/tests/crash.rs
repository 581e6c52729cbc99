//! Sudden deaths: of the daemon, of a shim, of a container's first process. Nothing that runs
//! stops, nothing that was written is lost, nothing stays that should go.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use testkit::{Brig, Client, Terminal, clients, kill, root, until};

/// Writes numbered lines until a file appears, then ends with a code.
const COUNTER: &str =
    "i=0; while ! [ -e /tmp/stop ]; do i=$((i+1)); echo $i; done; echo end; exit 3";

#[test]
fn containers_write_on_while_the_daemon_is_dead() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    brig.brig(&["run", "-d", "--name", "writer", "bb", "sh", "-c", COUNTER])
        .ok();
    until("some lines", || {
        (brig.brig(&["logs", "--tail", "1", "writer"]).ok().len() >= 3).then_some(())
    });
    let pid = brig.inspect("writer")["State"]["Pid"].as_u64().unwrap();
    for _ in 0..3 {
        brig.kill_daemon();
        assert!(
            std::path::Path::new(&format!("/proc/{pid}")).exists(),
            "the container died as well"
        );
        brig.start_daemon();
        assert_eq!(
            brig.inspect("writer")["State"]["Pid"].as_u64().unwrap(),
            pid
        );
    }
    // Detached: it may be killed with the container that it ends.
    brig.brig(&["exec", "-d", "writer", "touch", "/tmp/stop"])
        .ok();
    assert_eq!(brig.brig(&["wait", "writer"]).ok(), "3");
    let log = brig.brig(&["logs", "writer"]);
    let lines = log.lines();
    let (last, numbers) = lines.split_last().unwrap();
    assert_eq!(*last, "end");
    assert!(
        numbers
            .iter()
            .map(|n| n.parse::<usize>().unwrap())
            .eq(1..=numbers.len()),
        "lines are missing"
    );
    brig.finish();
}

#[test]
fn what_ended_meanwhile_is_known_afterwards() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let release = "while ! [ -e /mnt/go ]; do sleep 0.02; done; echo leaving; exit $CODE";
    let shared = brig.root().join("shared");
    std::fs::create_dir(&shared).unwrap();
    let volume = format!("{}:/mnt", shared.display());
    for (name, code) in [("seven", "7"), ("zero", "0")] {
        let env = format!("CODE={code}");
        brig.brig(&[
            "run", "-d", "--name", name, "-v", &volume, "-e", &env, "bb", "sh", "-c", release,
        ])
        .ok();
    }
    let gone = [
        "run", "-d", "--rm", "--name", "gone", "-v", &volume, "-e", "CODE=1", "bb", "sh", "-c",
        release,
    ];
    brig.brig(&gone).ok();
    let pids: Vec<_> = ["seven", "zero", "gone"]
        .map(|name| brig.inspect(name)["State"]["Pid"].as_u64().unwrap())
        .into_iter()
        .collect();
    brig.kill_daemon();
    std::fs::File::create(shared.join("go")).unwrap();
    for pid in pids {
        until("the container's end", || {
            (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
        });
    }
    brig.start_daemon();
    for (name, code) in [("seven", 7), ("zero", 0)] {
        brig.wait_for_state(name, "exited");
        assert_eq!(brig.inspect(name)["State"]["ExitCode"], code);
        assert_eq!(brig.brig(&["logs", name]).ok(), "leaving");
    }
    until("--rm is honoured", || {
        (!brig
            .brig(&["ps", "-a", "--format", "{{.Names}}"])
            .ok()
            .contains("gone"))
        .then_some(())
    });
    brig.finish();
}

#[test]
fn how_a_removed_container_ended_is_known_after_a_crash() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let id = brig.brig(&["run", "-d", "--rm", "bb", "sh", "-c", "exit 7"]);
    let id = id.ok();
    until("its removal", || {
        brig.brig(&["ps", "-aq"]).ok().is_empty().then_some(())
    });
    // As if it had been killed before it answered who waits.
    brig.kill_daemon();
    brig.start_daemon();
    for client in clients() {
        assert_eq!(brig.with(client, &["wait", id]).ok(), "7", "{client:?}");
    }
    brig.finish();
}

#[test]
fn attach_and_exec_work_again() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let script = "while read line; do [ $line = quit ] && exit 4; echo got:$line; done";
    brig.brig(&["run", "-d", "-i", "--name", "a1", "bb", "sh", "-c", script])
        .ok();
    brig.brig(&["run", "-d", "-it", "--name", "t1", "bb", "sh"])
        .ok();
    brig.kill_daemon();
    brig.start_daemon();
    for client in clients() {
        assert_eq!(brig.with(client, &["exec", "a1", "echo", "in"]).ok(), "in");
        let mut terminal = Terminal::start(&mut brig.command(client, &["attach", "t1"]));
        terminal.type_in("echo $((6 * 7))\r");
        terminal.expect("42");
        terminal.type_in("\u{10}\u{11}");
        terminal.wait();
    }
    let attached = brig.with_input(Client::Brig, &["attach", "a1"], b"hello\nquit\n");
    assert_eq!(
        (attached.code, attached.stdout.as_str()),
        (4, "got:hello\n")
    );
    brig.finish();
}

#[test]
fn a_session_goes_on_over_the_daemons_death() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let script = "while read line; do echo got:$line; done";
    let mut command = brig.command(
        Client::Brig,
        &["run", "-i", "--name", "s1", "bb", "sh", "-c", script],
    );
    let mut session = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut keyboard = session.stdin.take().unwrap();
    let mut lines = BufReader::new(session.stdout.take().unwrap()).lines();
    keyboard.write_all(b"one\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "got:one");
    brig.kill_daemon();
    keyboard.write_all(b"two\n").unwrap();
    assert_eq!(
        lines.next().unwrap().unwrap(),
        "got:two",
        "the daemon is in the data path"
    );
    drop(keyboard);
    brig.start_daemon();
    brig.wait_for_state("s1", "exited");
    assert_eq!(brig.brig(&["logs", "s1"]).lines(), ["got:one", "got:two"]);
    // Whatever it made of the loss of the daemon, it ended.
    session.wait().unwrap();
    brig.finish();
}

/// The daemon that comes back removes the container before the client can ask how it ended.
#[test]
fn a_client_learns_the_exit_code_of_what_went_meanwhile() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let script = "echo up; read line; exit 9";
    let mut command = brig.command(
        Client::Brig,
        &[
            "run",
            "-i",
            "--rm",
            "--network",
            "none",
            "--name",
            "gone",
            "bb",
            "sh",
            "-c",
            script,
        ],
    );
    let mut session = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keyboard = session.stdin.take().unwrap();
    let mut lines = BufReader::new(session.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "up");
    let pid = brig.inspect("gone")["State"]["Pid"].as_u64().unwrap();
    brig.kill_daemon();
    keyboard.write_all(b"go\n").unwrap();
    until("the container's end", || {
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
    brig.start_daemon();
    assert_eq!(session.wait().unwrap().code(), Some(9));
    assert_eq!(brig.brig(&["ps", "-aq"]).ok(), "");
    brig.finish();
}

#[test]
fn a_killed_shim_is_reported_and_everything_of_it_goes() {
    if !root() {
        return;
    }
    let brig = Brig::with_image();
    let id = brig
        .brig(&[
            "run",
            "-d",
            "--name",
            "orphan",
            "bb",
            "sh",
            "-c",
            "sleep 1000 & sleep 1000",
        ])
        .ok()
        .to_owned();
    kill("KILL", brig.shim_of(&id));
    brig.wait_for_state("orphan", "dead");
    let state = brig.inspect("orphan")["State"].clone();
    assert!(state["Error"].as_str().unwrap().contains("shim"), "{state}");
    assert_ne!(state["ExitCode"], 0, "{state}");
    let mut left = brig.leftovers();
    left.files.clear();
    // The kernel removes them with the namespace, in its own time.
    left.links.clear();
    left.processes
        .retain(|p| !p.contains("brigd") && !p.contains("brig-net"));
    assert!(left.is_empty(), "{left}");
    brig.brig(&["rm", "orphan"]).ok();
    brig.finish();
}

#[test]
fn a_shim_killed_while_the_daemon_is_dead_is_found() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    let id = brig
        .brig(&["run", "-d", "--name", "orphan", "bb", "sleep", "1000"])
        .ok()
        .to_owned();
    let shim = brig.shim_of(&id);
    brig.kill_daemon();
    kill("KILL", shim);
    brig.start_daemon();
    brig.wait_for_state("orphan", "dead");
    assert!(
        brig.inspect("orphan")["State"]["Error"]
            .as_str()
            .unwrap()
            .contains("shim")
    );
    brig.brig(&["start", "orphan"]).ok();
    brig.wait_for_state("orphan", "running");
    brig.finish();
}

#[test]
fn a_stopped_daemon_leaves_containers_running() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    brig.brig(&["run", "-d", "--name", "up", "bb", "sleep", "1000"])
        .ok();
    let pid = brig.inspect("up")["State"]["Pid"].as_u64().unwrap();
    brig.stop_daemon();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    brig.start_daemon();
    assert_eq!(brig.inspect("up")["State"]["Pid"].as_u64().unwrap(), pid);
    brig.brig(&["stop", "-t", "0", "up"]).ok();
    brig.finish();
}

#[test]
fn a_daemon_killed_amid_its_work_opens_again_without_leftovers() {
    if !root() {
        return;
    }
    let mut brig = Brig::with_image();
    // At many different moments of a create and start, wherever they fall on this machine.
    for delay in 0..25_u64 {
        let mut run = brig.command(Client::Brig, &["run", "-d", "bb", "sleep", "1000"]);
        let mut run = run
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_micros(delay * 700));
        brig.kill_daemon();
        run.wait().unwrap();
        brig.start_daemon();
        for id in brig.brig(&["ps", "-aq", "--no-trunc"]).lines() {
            let state = brig.inspect(id)["State"]["Status"].clone();
            assert!(
                ["created", "running", "exited"]
                    .map(Into::into)
                    .contains(&state),
                "{state}"
            );
            brig.brig(&["rm", "-f", id]).ok();
        }
        brig.expect_nothing_left();
    }
    assert_eq!(
        brig.brig(&["run", "--rm", "bb", "echo", "fine"]).ok(),
        "fine"
    );
    brig.finish();
}

#[test]
fn an_import_cut_off_leaves_no_image_and_no_file() {
    if !root() {
        return;
    }
    let mut brig = Brig::start();
    for _ in 0..3 {
        let mut import = brig.command(Client::Brig, &["import", "-", "half"]);
        let mut import = import
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut pipe = import.stdin.take().unwrap();
        let tar = std::fs::read(testkit::busybox_tar()).unwrap();
        pipe.write_all(&tar[..tar.len() / 2]).unwrap();
        brig.kill_daemon();
        drop(pipe);
        import.wait().unwrap();
        brig.start_daemon();
        assert!(brig.brig(&["images", "-q"]).ok().is_empty());
    }
    brig.import_busybox();
    assert_eq!(
        brig.brig(&["run", "--rm", "bb", "echo", "fine"]).ok(),
        "fine"
    );
    brig.finish();
}
