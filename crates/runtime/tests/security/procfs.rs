//! CVE-2025-52881, CVE-2019-16884: a /proc that is none, and writes meant for the kernel that land
//! elsewhere.

use serde_json::json;

use crate::help::{await_file, bind, delete, inside, start, without_mounts, writable};
use crate::support::Bundle;

/// What the runtime writes goes to the machine's /proc, from which the image is out of sight.
#[test]
fn an_image_with_a_proc_of_files_gets_no_write() {
    need_containers!();
    let mut bundle = writable("cat /proc/sys/kernel/shmmni /proc/self/oom_score_adj; sleep 1000");
    without_mounts(&mut bundle, &["/proc"]);
    for dir in ["proc/sys/kernel", "proc/self", "proc/thread-self", "proc/1"] {
        std::fs::create_dir_all(bundle.in_root(dir)).unwrap();
    }
    let fakes = [
        "proc/sys/kernel/shmmni",
        "proc/self/oom_score_adj",
        "proc/thread-self/oom_score_adj",
        "proc/1/oom_score_adj",
    ];
    for fake in fakes {
        std::fs::write(bundle.in_root(fake), "fake\n").unwrap();
    }
    bundle.config["linux"]["sysctl"] = json!({"kernel.shmmni": "77"});
    bundle.config["process"]["oomScoreAdj"] = json!(321);
    start(&bundle);
    for fake in fakes {
        let text = std::fs::read_to_string(bundle.in_root(fake)).unwrap();
        assert_eq!(text, "fake\n", "{fake}");
    }
    let record = std::fs::read(bundle.state().join(&bundle.id).join("state.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let pid = record["saved"]["process"]["pid"].as_i64().unwrap();
    let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    assert_eq!(score, "321\n");
    delete(&bundle);
}

/// The container's first process has put files in the place of /proc; who joins writes nothing
/// there.
#[test]
fn a_process_that_joins_writes_to_no_fake() {
    need_containers!();
    let mut bundle = writable(
        "mount -t tmpfs fake /proc && mkdir -p /proc/self/attr /proc/thread-self/attr && \
         for f in self/oom_score_adj thread-self/oom_score_adj thread-self/attr/exec; do \
         echo fake > /proc/$f; done; echo yes > /ready; while :; do sleep 1; done",
    );
    crate::help::grant(&mut bundle, &["CAP_SYS_ADMIN"]);
    start(&bundle);
    await_file(&bundle.in_root("ready"));
    let process = json!({
        "args": ["sh", "-c", "cat /proc/self/oom_score_adj /proc/thread-self/oom_score_adj"],
        "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"], "oomScoreAdj": 123,
    });
    std::fs::write(bundle.path().join("process.json"), process.to_string()).unwrap();
    let printed = inside_with(&bundle);
    assert_eq!(printed, "fake\nfake\n");
    delete(&bundle);
}

fn inside_with(bundle: &Bundle) -> String {
    let output = bundle.output(&["exec", "-p", "process.json", "ID"]);
    let said = crate::support::text(&output.stderr);
    assert!(output.status.success(), "{said}");
    crate::support::text(&output.stdout)
}

/// Mounts on files of /proc could swallow a security label or show a lie; those few that only tell
/// about the machine's size are let through.
#[test]
fn only_harmless_files_of_proc_are_covered() {
    need_containers!();
    let targets = [
        ("/proc/uptime", true),
        ("/proc/self/attr/exec", false),
        ("/proc/self/../self/attr/current", false),
        ("/proc/sys/kernel/core_pattern", false),
        ("/proc/self/mountinfo", false),
        ("/proc/sysrq-trigger", false),
        ("//proc/./1/comm", false),
    ];
    for (target, allowed) in targets {
        let mut bundle = Bundle::new(&["cat", "/proc/uptime"]);
        std::fs::write(bundle.path().join("source"), "covered\n").unwrap();
        bundle.mount(bind("source", target));
        if allowed {
            assert_eq!(bundle.run(), "covered\n");
        } else {
            let said = bundle.fail();
            assert!(said.contains("/proc"), "{target}: {said}");
        }
    }
}

#[test]
fn a_first_process_without_proc_can_be_joined() {
    need_containers!();
    let mut bundle = writable("umount -l /proc && echo yes > /ready; sleep 1000");
    crate::help::grant(&mut bundle, &["CAP_SYS_ADMIN"]);
    start(&bundle);
    await_file(&bundle.in_root("ready"));
    assert_eq!(inside(&bundle, &["pwd"]), "/\n");
    delete(&bundle);
}
