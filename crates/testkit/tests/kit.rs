//! The kit itself: terminals, waiting, looking for leftovers.

use std::process::Command;

use testkit::{Brig, Leftovers, Terminal, processes_naming, root, tables};

#[test]
fn a_terminal_types_and_shows() {
    let mut terminal = Terminal::start(
        Command::new("sh").args(["-c", "stty size; read line; echo got:$line; exit 6"]),
    );
    terminal.expect("24 80");
    terminal.type_in("hello\r");
    terminal.expect("got:hello");
    assert_eq!(terminal.wait(), 6);
}

#[test]
fn a_terminal_is_resized() {
    // Told twice: of the rows, and of the columns. Until both have changed the terminal must stay.
    let script = "trap 'size=$(stty size); echo $size; [ \"$size\" = \"33 101\" ] && exit 0' WINCH; \
                  echo ready; while :; do sleep 0.02; done";
    let mut terminal = Terminal::start(Command::new("sh").args(["-c", script]));
    terminal.expect("ready");
    terminal.resize(33, 101);
    terminal.expect("33 101");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_process_that_names_a_directory_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().display().to_string();
    assert!(Leftovers::find(directory.path(), "/brig-no-such").is_empty());
    let mut child = Command::new("sleep")
        .arg("1000")
        .env("WHERE", &text)
        .spawn()
        .unwrap();
    // Until its execve(2) it has the test's own environment.
    let found = testkit::until("the process", || {
        Some(processes_naming(&text)).filter(|found| !found.is_empty())
    });
    assert_eq!(
        found.iter().map(|p| p.pid).collect::<Vec<_>>(),
        [child.id()]
    );
    assert!(!Leftovers::find(directory.path(), "/brig-no-such").is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Also after a container that every start of the daemon brings back.
#[test]
fn a_test_that_panics_leaves_nothing() {
    if !root() {
        return;
    }
    let (tell, told) = std::sync::mpsc::channel();
    let test = std::thread::spawn(move || {
        let brig = Brig::with_image();
        let run = ["run", "-d", "--restart", "always", "bb", "sleep", "1000"];
        brig.brig(&run).ok();
        let (table, parent) = (&brig.network().table, brig.cgroup_parent());
        assert!(tables().contains(table), "{table}");
        let all = (table.clone(), parent.to_owned(), brig.root().to_owned());
        tell.send(all).unwrap();
        panic!("on purpose");
    });
    let (table, parent, directory) = told.recv().unwrap();
    assert!(test.join().is_err());
    assert!(!tables().contains(&table), "{table}");
    let left = Leftovers::find(&directory, &parent);
    assert!(left.is_empty(), "{left}");
}
