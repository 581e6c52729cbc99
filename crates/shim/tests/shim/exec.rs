//! Further processes in a container.

use std::io::Write;

use shim::{AttachOptions, Call, Notice, Reply};
use types::ErrorKind;

use crate::guest::{
    ALL, Setup, can_run, exec_call, exec_id, next_notice, read_all, read_until, send_all, unframe,
};

#[test]
fn an_exec_session_has_streams_and_an_exit_code() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let watch = guest.shim.watch().unwrap();
    let mut client = guest.exec(1, &["sh", "-c", "cat; echo err >&2; exit 5"], false);
    send_all(&client, b"through");
    assert_eq!(
        unframe(&read_all(&mut client)),
        ("through".into(), "err\n".into())
    );
    // The notice was sent before the end that has just been seen.
    let notice = watch.try_next().unwrap();
    assert_eq!(
        notice,
        Some(Notice::ExecExited {
            id: exec_id(1),
            code: 5
        })
    );
    let Reply::State(state) = guest.shim.call(&Call::State, &[]).unwrap() else {
        panic!()
    };
    assert_eq!(state.execs, [(exec_id(1), Some(5))]);
    assert!(state.started && state.process.is_some() && state.exited.is_none());
    // The log is the container's alone.
    assert_eq!(guest.lines(), []);
    // Who watches only now is told too.
    let late = guest.shim.watch().unwrap();
    assert_eq!(
        next_notice(&late),
        Notice::ExecExited {
            id: exec_id(1),
            code: 5
        }
    );
}

/// Where the container may look into others, two processes go the way that one goes elsewhere: the
/// end of the first is not the session's, and the session's is not missed however short it is.
#[test]
fn a_session_beside_a_tracer_ends_once_and_with_its_own_code() {
    if !can_run() {
        return;
    }
    let mut setup = Setup::new(&["sleep", "1000"]);
    setup.rights = vec!["CAP_SYS_PTRACE"];
    let guest = setup.start();
    let watch = guest.shim.watch().unwrap();
    for number in 1..40 {
        let mut client = guest.exec(number, &["sh", "-c", "echo out; exit 9"], false);
        assert_eq!(unframe(&read_all(&mut client)).0, "out\n");
        let ended = Notice::ExecExited {
            id: exec_id(number),
            code: 9,
        };
        assert_eq!(next_notice(&watch), ended);
    }
    let mut client = guest.exec(40, &["sh", "-c", "tty; stty size"], true);
    let said = String::from_utf8(read_all(&mut client)).unwrap();
    assert!(said.starts_with("/dev/pts/"), "{said}");
    let ended = Notice::ExecExited {
        id: exec_id(40),
        code: 0,
    };
    assert_eq!(next_notice(&watch), ended);
}

#[test]
fn an_exec_session_without_a_client_runs_too() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let watch = guest.shim.watch().unwrap();
    let call = exec_call(
        2,
        &["sh", "-c", "cat; echo lost; exit 3"],
        false,
        AttachOptions::default(),
    );
    guest.shim.call(&call, &[]).unwrap();
    assert_eq!(
        next_notice(&watch),
        Notice::ExecExited {
            id: exec_id(2),
            code: 3
        }
    );
}

#[test]
fn a_process_left_behind_does_not_keep_the_client() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let script = "(echo late; echo > /tmp/late; sleep 1000) & \
                  until [ -e /tmp/late ]; do sleep 0.01; done; echo soon";
    let mut client = guest.exec(3, &["sh", "-c", script], false);
    let (out, _) = unframe(&read_all(&mut client));
    assert_eq!(out, "late\nsoon\n");
    // Whoever holds the pipe of a session that is over may go on writing.
    let script = "(echo $$; while sleep 0.05; do echo x || exit; done) & exit 0";
    read_all(&mut guest.exec(4, &["sh", "-c", script], false));
    let ps = unframe(&read_all(&mut guest.exec(5, &["ps"], false))).0;
    assert!(ps.contains("sleep 1000"), "{ps}");
}

#[test]
fn a_command_that_does_not_exist_is_said_before_anything_runs() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let call = exec_call(6, &["/no/such"], false, AttachOptions::default());
    let error = guest.shim.call(&call, &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{error}");
    // Nor does it harm what runs.
    assert_eq!(
        unframe(&read_all(&mut guest.exec(7, &["echo", "well"], false))).0,
        "well\n"
    );
}

#[test]
fn a_session_dies_with_its_container() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let watch = guest.shim.watch().unwrap();
    let mut client = guest.exec(8, &["sh", "-c", "echo up; sleep 1000"], false);
    let mut header = [0; 8];
    std::io::Read::read_exact(&mut client, &mut header).unwrap();
    guest
        .shim
        .call(
            &Call::Kill {
                signal: types::Signal::KILL,
            },
            &[],
        )
        .unwrap();
    let notices = [next_notice(&watch), next_notice(&watch)];
    assert!(
        notices.contains(&Notice::ExecExited {
            id: exec_id(8),
            code: 137
        }),
        "{notices:?}"
    );
    assert_eq!(read_all(&mut client), b"up\n");
    assert_eq!(guest.wait().code, 137);
}

#[test]
fn a_session_with_a_terminal_is_interactive() {
    if !can_run() {
        return;
    }
    let guest = Setup::new(&["sleep", "1000"]).start();
    let (ours, its) = std::os::unix::net::UnixStream::pair().unwrap();
    let attach = AttachOptions {
        streams: ALL,
        ..AttachOptions::default()
    };
    let call = exec_call(9, &["sh"], true, attach);
    guest
        .shim
        .call(&call, &[std::os::fd::AsFd::as_fd(&its)])
        .unwrap();
    drop(its);
    let mut client = ours;
    client.write_all(b"tty && stty size; exit 4\n").unwrap();
    let seen = read_until(&mut client, "24 80");
    assert!(seen.contains("/dev/"), "{seen}");
    let watch = guest.shim.watch().unwrap();
    assert_eq!(
        next_notice(&watch),
        Notice::ExecExited {
            id: exec_id(9),
            code: 4
        }
    );
}
