//! The program itself where no daemon is needed: what it says when there is none, and how it ends.

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};

fn brig(host: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brig"));
    command
        .args(words)
        .env("BRIG_HOST", host)
        .env("BRIG_AUTOSTART", "0")
        .stdin(Stdio::null());
    command
}

fn said(output: &Output) -> (String, Option<i32>) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (text, output.status.code())
}

#[test]
fn without_a_daemon_it_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let host = format!("unix://{}/brig.sock", dir.path().display());
    let (text, code) = said(&brig(&host, &["ps"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(
        text.contains("Cannot connect to the Brig daemon") && text.contains("BRIG_AUTOSTART"),
        "{text}"
    );
    let (text, code) = said(&brig(&host, &["run", "x"]).output().unwrap());
    assert_eq!(code, Some(125));
    assert!(text.starts_with("brig: Cannot connect"), "{text}");
    // Nothing was made beside the socket that is not there.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_socket_of_another_name_starts_no_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let host = format!("unix://{}/other.sock", dir.path().display());
    let output = brig(&host, &["ps"])
        .env_remove("BRIG_AUTOSTART")
        .output()
        .unwrap();
    let (text, code) = said(&output);
    assert_eq!(code, Some(1));
    assert!(text.contains("only for a socket named brig.sock"), "{text}");
}

#[test]
fn somebody_elses_socket_is_told_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("brig.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let stranger = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        std::io::Write::write_all(&mut stream, b"500 what do you want\r\n").unwrap();
    });
    let host = format!("unix://{}", path.display());
    let (text, code) = said(&brig(&host, &["ps"]).output().unwrap());
    stranger.join().unwrap();
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with("what answers at the daemon's address is no daemon"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_daemon_that_dies_at_once_is_quoted() {
    if !sys::term::is_root() {
        eprintln!("SKIP: a_daemon_that_dies_at_once_is_quoted: only root starts daemons");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let script = "#!/bin/sh\necho \"the root is $BRIGD_RUN_ROOT\"\necho 'no good' >&2\nexit 3\n";
    // By a process of its own: a child that another thread starts while a file is open for writing
    // here holds it for a moment too, and what is held so cannot be executed (ETXTBSY).
    let make = "cp \"$1\" \"$0\" && printf %s \"$2\" > \"$0/brigd\" && chmod 755 \"$0/brigd\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", make]).arg(&bin);
    shell.args([env!("CARGO_BIN_EXE_brig"), script]);
    assert!(shell.status().unwrap().success());
    let run = dir.path().join("run");
    let output = Command::new(bin.join("brig"))
        .arg("ps")
        .env("BRIG_HOST", format!("unix://{}/brig.sock", run.display()))
        .env_remove("BRIG_AUTOSTART")
        .output()
        .unwrap();
    let (text, code) = said(&output);
    assert_eq!(code, Some(1));
    let quoted = format!("the root is {}\nno good\n", run.display());
    assert!(
        text.contains("ended with status 3") && text.ends_with(&quoted),
        "{text}"
    );
}

#[test]
fn output_that_nobody_reads_ends_it_quietly() {
    let mut child = brig("unix:///nosuch/x.sock", &["--help"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stderr, b"");
    assert!(matches!(output.status.code(), Some(0 | 141)), "{output:?}");
}
