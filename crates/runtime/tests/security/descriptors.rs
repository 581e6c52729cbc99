//! CVE-2024-21626, CVE-2016-9962: descriptors and working directories of the machine.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::attacker;
use crate::help::{await_file, call, delete, grant, inside, start, treasure, writable};
use crate::support::{Bundle, text};

/// Descriptors of the machine's root, which execve(2) keeps: what a careless caller leaves open.
fn leak() -> Vec<File> {
    let open = |_| {
        let file = File::open("/").unwrap();
        sys::fd::set_close_on_exec(file.as_fd(), false).unwrap();
        file
    };
    (0..8).map(open).collect()
}

fn close(leaked: Vec<File>) {
    for file in &leaked {
        sys::fd::set_close_on_exec(file.as_fd(), true).unwrap();
    }
}

/// Every way to name a descriptor that might be open.
fn ways() -> Vec<String> {
    let mut ways: Vec<String> = (3..24).map(|n| format!("/proc/self/fd/{n}")).collect();
    for way in [
        "/proc/thread-self/fd/7",
        "/proc/self/fd/7/../../..",
        "/proc/1/fd/7",
        "/dev/fd/8",
        "/proc/self/cwd/proc/self/fd/9",
        "/link",
    ] {
        ways.push(way.to_owned());
    }
    ways
}

#[test]
fn no_working_directory_leads_out() {
    need_containers!();
    let (dir, file) = treasure();
    let up = format!(
        "{}{}",
        "../".repeat(16),
        file.strip_prefix("/").unwrap().display()
    );
    let mut bundle = writable(&format!("pwd; cat {up} && echo escaped"));
    symlink("/proc/self/fd/7", bundle.in_root("link")).unwrap();
    let leaked = leak();
    for cwd in ways() {
        bundle.config["process"]["cwd"] = json!(cwd);
        bundle.write();
        let output = bundle.output(&["run", "ID"]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            !out.contains("escaped") && !out.contains("untouched"),
            "{cwd}: {out}"
        );
        // Some are made as directories inside, before the link of their name is.
        let inside = out.starts_with('/') && err.contains("can't open");
        assert!(inside || err.contains("working directory"), "{cwd}: {err}");
        bundle.assert_nothing_left();
    }
    close(leaked);
    drop(dir);
}

#[test]
fn a_process_that_joins_has_no_directory_of_the_machine() {
    need_containers!();
    let (_dir, file) = treasure();
    let up = format!(
        "{}{}",
        "../".repeat(16),
        file.strip_prefix("/").unwrap().display()
    );
    let bundle = writable("sleep 1000");
    symlink("/proc/self/fd/7", bundle.in_root("link")).unwrap();
    start(&bundle);
    let leaked = leak();
    for cwd in ways() {
        let words = [
            "exec",
            "--cwd",
            &cwd,
            "ID",
            "sh",
            "-c",
            &format!("cat {up}"),
        ];
        let output = bundle.output(&words);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(255), "{cwd}: {out}");
        assert!(err.contains("working directory"), "{cwd}: {err}");
    }
    // And none that the command could use.
    assert_eq!(inside(&bundle, &["ls", "/proc/self/fd"]), "0\n1\n2\n3\n");
    close(leaked);
    delete(&bundle);
}

/// What was asked to be passed on is passed on, but is no working directory.
#[test]
fn a_passed_descriptor_is_no_working_directory() {
    need_containers!();
    let mut bundle = Bundle::new(&["pwd"]);
    bundle.config["process"]["cwd"] = json!("/proc/self/fd/3");
    bundle.write();
    let script = "exec 3</; exec \"$0\" --root state run --preserve-fds 1 \"$1\"";
    let output = std::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_brig-runtime"), &bundle.id])
        .current_dir(bundle.path())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(said.contains("working directory /proc/self/fd/3"), "{said}");
    bundle.assert_nothing_left();
}

#[test]
fn no_command_is_found_by_a_descriptor_of_the_machine() {
    need_containers!();
    let leaked = leak();
    for number in 3..24 {
        let command = format!("/proc/self/fd/{number}/bin/sh");
        let said = Bundle::new(&[&command, "-c", "echo escaped"]).fail();
        assert!(said.contains(&format!("stat {command}")), "{said}");
    }
    close(leaked);
}

#[test]
fn a_joining_process_cannot_be_looked_into() {
    need_containers!();
    let (_dir, file) = treasure();
    let mut bundle = Bundle::new(&[]);
    attacker::command(&mut bundle, "peek", file.to_str().unwrap());
    start(&bundle);
    await_file(&bundle.in_root("ready"));
    for _ in 0..100 {
        assert_eq!(
            call(&bundle, &["exec", "ID", "true"]),
            (Some(0), String::new())
        );
    }
    std::fs::write(bundle.in_root("over"), "").unwrap();
    let report = await_file(&bundle.in_root("found"));
    let (joiners, found) = report.split_once('\n').unwrap();
    assert_ne!(joiners, "0", "the attacker saw nobody join");
    for found in found.lines().filter(|line| !line.is_empty()) {
        // The streams of the command itself, once it is executed.
        let stream =
            found == "/dev/null" || found.ends_with(" (deleted)") || found.contains("/.tmp");
        assert!(stream, "the attacker found {found}");
    }
    delete(&bundle);
}

/// Whoever may look into others, because of CAP_SYS_PTRACE, sees of one that joins what it has
/// itself. Under a filter that knows neither clone3(2) nor faccessat2(2), too.
#[test]
fn who_traces_a_joining_process_gains_nothing() {
    need_containers!();
    let own = [
        "CAP_SYS_PTRACE",
        "CAP_KILL",
        "CAP_DAC_OVERRIDE",
        "CAP_SETPCAP",
    ];
    for (filtered, gains_nothing) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut bundle = Bundle::new(&[]);
        attacker::command(&mut bundle, "trace", "THE_CALLER");
        grant(&mut bundle, &own);
        bundle.config["process"]["noNewPrivileges"] = json!(gains_nothing);
        if filtered {
            let unknown = json!({"names": ["clone3", "faccessat2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38});
            bundle.config["linux"]["seccomp"] =
                json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [unknown]});
        }
        start(&bundle);
        await_file(&bundle.in_root("ready"));
        for _ in 0..100 {
            let mut exec = bundle.command(&["exec", "ID", "true"]);
            let output = exec.env("A", "SECRET_OF_THE_CALLER").output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
        std::fs::write(bundle.in_root("over"), "").unwrap();
        let report = await_file(&bundle.in_root("found"));
        let (joiners, found) = report.split_once('\n').unwrap();
        assert_ne!(joiners, "0", "the attacker saw nobody join");
        let mut rights = 0;
        for found in found.lines().filter(|line| !line.is_empty()) {
            // Four rights, the filter, its standard streams, and its channel.
            rights += usize::from(found.starts_with("CapPrm"));
            let known = found == "CapPrm:\t0000000000080122"
                || found == format!("Seccomp:\t{}", if filtered { 2 } else { 0 })
                || found == "/dev/null"
                || found.starts_with("pipe:")
                || found.starts_with("socket:");
            assert!(known, "the attacker found {found}");
        }
        assert_eq!(rights, 1, "{found}");
        delete(&bundle);
    }
}

/// Who has taken the channel of one that joins cannot have the runtime follow, or kill, a process of the
/// machine.
#[test]
fn who_speaks_for_a_joining_process_harms_nobody_else() {
    need_containers!();
    let mut victim = std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap();
    let mut bundle = Bundle::new(&[]);
    attacker::command(&mut bundle, "forge", &victim.id().to_string());
    let own = [
        "CAP_SYS_PTRACE",
        "CAP_KILL",
        "CAP_DAC_OVERRIDE",
        "CAP_SETPCAP",
    ];
    grant(&mut bundle, &own);
    start(&bundle);
    await_file(&bundle.in_root("ready"));
    for _ in 0..100 {
        // It may fail, for a reason that is told.
        let output = bundle.output(&["exec", "ID", "true"]);
        assert!(output.status.success() || !output.stderr.is_empty());
    }
    std::fs::write(bundle.in_root("over"), "").unwrap();
    assert_ne!(
        await_file(&bundle.in_root("found")),
        "0\n",
        "it took no channel"
    );
    assert_eq!(victim.try_wait().unwrap(), None, "the victim ended");
    victim.kill().unwrap();
    victim.wait().unwrap();
    delete(&bundle);
}

/// What a process has by being one: a session, a terminal, a place among the others, and an end.
#[test]
fn who_joins_beside_a_tracer_is_like_any_other() {
    need_containers!();
    let mut bundle = writable("sleep 1000");
    grant(&mut bundle, &["CAP_SYS_PTRACE", "CAP_KILL"]);
    start(&bundle);
    let script = "cut -d' ' -f6 /proc/$$/stat; echo $$; cat /proc/$$/cgroup; exit 7";
    crate::help::applets(&bundle, &["cut"]);
    let output = bundle.output(&["exec", "ID", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    let mut lines = out.lines();
    let (session, own) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(session == own && own != "0", "{out}");
    assert!(lines.all(|line| line.ends_with(":/")), "{out}");
    let output = bundle.output(&["exec", "ID", "no-such-command"]);
    assert_eq!(output.status.code(), Some(255));
    let said = text(&output.stderr);
    assert!(
        said.contains("executable file not found in $PATH"),
        "{said}"
    );
    delete(&bundle);
}
