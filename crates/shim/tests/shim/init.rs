//! `brig-init` as process 1.

use shim::Call;
use shim::log::Stream;
use types::Signal;

use crate::guest::{OUTPUT, Setup, can_run, read_until};

/// The program that tests are built with needs the machine's C library; the one that is shipped does
/// not.
fn with_libraries(args: &[&str]) -> Setup {
    let mut setup = Setup::new(args);
    setup.mounts = ["/usr", "/lib", "/lib64"]
        .into_iter()
        .filter(|dir| std::path::Path::new(dir).exists())
        .map(|dir| {
            serde_json::json!({"destination": dir, "type": "bind", "source": dir,
                               "options": ["rbind", "ro"]})
        })
        .collect();
    setup
}

#[test]
fn init_ends_with_the_codes_of_its_command() {
    if !can_run() {
        return;
    }
    let table: [(&[&str], i32); 4] = [
        (&["brig-init", "--", "sh", "-c", "exit 7"], 7),
        (&["brig-init", "sh", "-c", "kill -9 $$"], 137),
        (&["brig-init", "--", "no-such-command"], 127),
        (&["brig-init", "--", "/etc"], 126),
    ];
    for (args, code) in table {
        let guest = with_libraries(args).start();
        assert_eq!(guest.wait().code, code, "{args:?}");
    }
}

#[test]
fn init_forwards_signals_and_reaps() {
    if !can_run() {
        return;
    }
    let script = "trap 'echo caught; exit 3' TERM; (sh -c 'sleep 0 & exit' &); echo ready $$; \
                  while :; do sleep 0.1; done";
    let guest = with_libraries(&["brig-init", "--", "sh", "-c", script]).create();
    let mut client = guest.attach(OUTPUT, false);
    guest.start();
    assert_ne!(read_until(&mut client, "\n").trim(), "ready 1");
    guest
        .shim
        .call(
            &Call::Kill {
                signal: Signal::TERM,
            },
            &[],
        )
        .unwrap();
    assert_eq!(guest.wait().code, 3);
    assert_eq!(guest.logged(Stream::Stdout).lines().last(), Some("caught"));
}

#[test]
fn init_puts_its_command_into_the_foreground() {
    if !can_run() {
        return;
    }
    // A background process that reads its terminal would be stopped.
    let guest = with_libraries(&["brig-init", "--", "sh", "-c", "read x; echo got $x"])
        .terminal()
        .create();
    let mut client = guest.attach(crate::guest::ALL, false);
    guest.start();
    std::io::Write::write_all(&mut client, b"line\n").unwrap();
    read_until(&mut client, "got line");
    assert_eq!(guest.wait().code, 0);
}
