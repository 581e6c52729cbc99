//! Limits, counts and the life of a container's cgroup, through the command.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Bundle, text};
use sys::cgroup::{Cgroup, Layout, Limits};

macro_rules! skip {
    ($($text:tt)*) => {{
        let _ = writeln!(std::io::stderr(), $($text)*);
        return;
    }};
}

macro_rules! need_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            skip!("{reason}");
        }
    };
}

fn succeed(bundle: &Bundle, words: &[&str]) -> String {
    let output = bundle.output(words);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    text(&output.stdout)
}

fn refuse(bundle: &Bundle, words: &[&str]) -> String {
    let output = bundle.output(words);
    assert!(!output.status.success(), "{words:?} succeeded");
    // As it was before it became a value in a line of the log.
    text(&output.stderr).replace("\\\"", "\"")
}

/// Runs it in the background; what it prints goes nowhere.
fn run(bundle: &Bundle) {
    bundle.write();
    let mut command = bundle.command(&["run", "-d", "ID"]);
    let errors = std::fs::File::create(bundle.path().join("err")).unwrap();
    let status = command.stdout(Stdio::null()).stderr(errors).status();
    let said = std::fs::read_to_string(bundle.path().join("err")).unwrap();
    assert!(status.unwrap().success(), "{said}");
}

fn end(bundle: &Bundle) {
    succeed(bundle, &["delete", "-f", "ID"]);
    bundle.assert_nothing_left();
}

/// The content of a file of the container's cgroup, by its name in version 1 or 2.
fn value(bundle: &Bundle, names: [&str; 2]) -> String {
    let files = bundle.cgroups();
    let files = files
        .iter()
        .flat_map(|dir| names.map(|name| dir.join(name)));
    let found: Vec<PathBuf> = files.filter(|file| file.exists()).collect();
    let file = found.first().unwrap_or_else(|| panic!("no {names:?}"));
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

fn layout() -> Layout {
    Layout::detect().unwrap()
}

/// Whether the usual controllers are there.
fn can_limit() -> bool {
    let can = layout().capabilities();
    can.memory && can.pids && can.cpu_quota && can.cpuset
}

#[test]
fn limits_change_while_it_runs() {
    need_containers!();
    if !can_limit() {
        skip!("SKIP: not all of the memory, pids, cpu and cpuset controllers are there");
    }
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.config["linux"]["resources"] = json!({
        "devices": [{"allow": false, "access": "rwm"}],
        "memory": {"limit": 64 << 20},
        "pids": {"limit": 50},
        "cpu": {"quota": 50_000, "period": 100_000},
    });
    run(&bundle);
    let memory = |bundle: &Bundle| value(bundle, ["memory.limit_in_bytes", "memory.max"]);
    let quota = |bundle: &Bundle| value(bundle, ["cpu.cfs_quota_us", "cpu.max"]);
    let pids = |bundle: &Bundle| value(bundle, ["pids.max"; 2]);
    assert_eq!(memory(&bundle), (64 << 20).to_string());
    let words = [
        "update",
        "--memory",
        "32M",
        "--pids-limit=20",
        "--cpu-quota",
        "20000",
        "--cpu-share",
        "512",
        "--cpuset-cpus",
        "0",
        "ID",
    ];
    succeed(&bundle, &words);
    assert_eq!(memory(&bundle), (32 << 20).to_string());
    assert_eq!(pids(&bundle), "20");
    assert!(["20000", "20000 100000"].contains(&quota(&bundle).as_str()));
    assert!(["512", "59"].contains(&value(&bundle, ["cpu.shares", "cpu.weight"]).as_str()));
    assert_eq!(value(&bundle, ["cpuset.cpus"; 2]), "0");
    // The devices are as they were.
    let devices = succeed(
        &bundle,
        &["exec", "ID", "sh", "-c", "echo >/dev/null && echo ok"],
    );
    assert_eq!(devices, "ok\n");

    update_by_document(
        &bundle,
        &json!({"pids": {"limit": -1}, "memory": {"limit": -1}}),
    );
    assert_eq!(pids(&bundle), "max");
    assert!(["max", "9223372036854771712"].contains(&memory(&bundle).as_str()));
    assert!(["20000", "20000 100000"].contains(&quota(&bundle).as_str()));

    // What fails half way is taken back.
    let said = refuse(
        &bundle,
        &["update", "--pids-limit", "7", "--cpuset-cpus", "4000", "ID"],
    );
    assert!(said.contains("cannot write"), "{said}");
    assert_eq!(pids(&bundle), "max");
    end(&bundle);
}

fn update_by_document(bundle: &Bundle, resources: &Value) {
    let mut command = bundle.command(&["update", "--resources", "-", "ID"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(resources.to_string().as_bytes()).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
}

fn has_resctrl() -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.contains(" - resctrl ")
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    need_containers!();
    let bundle = Bundle::new(&["sleep", "1000"]);
    run(&bundle);
    let table: [(&[&str], &str); 7] = [
        (&["--memory", "lots"], "invalid value \"lots\" for memory"),
        (&["--pids-limit", "x"], "invalid value \"x\""),
        (&["--cpu-quota", "1e3"], "invalid value \"1e3\""),
        (&["--resources", "/nowhere"], "/nowhere"),
        (
            &["--l3-cache-schema", "L3:0=f"],
            "no resctrl file system is mounted",
        ),
        (
            &["--mem-bw-schema", "L3:0=f"],
            "linux.intelRdt.memBwSchema: must be one line that begins with MB:",
        ),
        (&["--frob", "1"], "frob"),
    ];
    for (words, expected) in table {
        if words[0] == "--l3-cache-schema" && has_resctrl() {
            support::skip("SKIP: resctrl is mounted here, and its schemas are this machine's");
            continue;
        }
        let words: Vec<&str> = [&["update"], words, &["ID"]].concat();
        let said = refuse(&bundle, &words);
        assert!(said.contains(expected), "{words:?}: {said}");
    }
    end(&bundle);
    assert!(refuse(&bundle, &["update", "--memory", "1M", "ID"]).contains("does not exist"));
}

#[test]
fn use_is_reported_as_json() {
    need_containers!();
    let bundle = Bundle::new(&["sleep", "1000"]);
    run(&bundle);
    let line = succeed(&bundle, &["events", "--stats", "ID"]);
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["type"], "stats");
    assert_eq!(event["id"], json!(bundle.id));
    let data = &event["data"];
    if layout().capabilities().pids {
        assert_eq!(data["pids"]["current"], 1);
    }
    assert!(
        data["cpu"]["usage"]["total"].as_u64().unwrap() > 0,
        "{line}"
    );
    if layout().capabilities().memory {
        assert!(
            data["memory"]["usage"]["usage"].as_u64().unwrap() > 0,
            "{line}"
        );
        assert!(!data["memory"]["raw"].as_object().unwrap().is_empty());
    }
    let said = refuse(&bundle, &["events", "--interval", "0s", "ID"]);
    assert!(said.contains("must be greater than 0"), "{said}");
    end(&bundle);
}

#[test]
fn running_out_of_memory_is_an_event() {
    need_containers!();
    let can = layout().capabilities();
    if !can.memory {
        skip!("SKIP: no memory controller to run out of");
    }
    let eat = "while ! test -e /go; do sleep 0.05; done; \
               sh -c 'x=12345678; while :; do x=$x$x; done'; exec sleep 1000";
    let mut bundle = Bundle::script(eat);
    let mut memory = json!({"limit": 16 << 20});
    if can.swap {
        memory["swap"] = json!(16 << 20);
    }
    bundle.config["linux"]["resources"] = json!({"memory": memory});
    run(&bundle);
    let mut command = bundle.command(&["events", "--interval", "50ms", "ID"]);
    let mut events = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("{\"type\":\"stats\""), "{first}");
    // It watches: now is the time.
    std::fs::File::create(bundle.in_root("go")).unwrap();
    let oom = json!({"type": "oom", "id": bundle.id}).to_string();
    assert!(lines.any(|line| line.unwrap() == oom), "no {oom}");
    end(&bundle);
    assert!(events.wait().unwrap().success());
}

#[test]
fn processes_are_listed() {
    need_containers!();
    let bundle = Bundle::new(&["sleep", "1000"]);
    run(&bundle);
    let pids: Vec<i32> =
        serde_json::from_str(&succeed(&bundle, &["ps", "-f", "json", "ID"])).unwrap();
    let [pid] = pids[..] else {
        panic!("{pids:?}");
    };
    let table = succeed(&bundle, &["ps", "ID"]);
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.contains("sleep 1000") && table.contains(&pid.to_string()));
    if Path::new("/bin/ps").exists() {
        let table = succeed(&bundle, &["ps", "ID", "-e", "-o", "pid,comm"]);
        let rows: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows, [["PID", "COMMAND"], [&pid.to_string(), "sleep"]]);
        let said = refuse(&bundle, &["ps", "ID", "-e", "-o", "comm"]);
        assert!(said.contains("PID field"), "{said}");
    }
    end(&bundle);
}

/// A process in the container's cgroup before the container is, gone with the test.
struct Squatter(std::process::Child);

impl Squatter {
    fn new(cgroup: &Cgroup) -> Self {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        cgroup.add(i32::try_from(child.id()).unwrap()).unwrap();
        Self(child)
    }
}

impl Drop for Squatter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_cgroup_in_use_or_frozen_is_refused() {
    need_containers!();
    let bundle = Bundle::new(&["true"]);
    bundle.write();
    let cgroup = Cgroup::create(&layout(), &format!("/{}", bundle.id), &Limits::default()).unwrap();
    let squatter = Squatter::new(&cgroup);
    let said = refuse(&bundle, &["run", "ID"]);
    assert!(
        said.contains("container's cgroup is not empty: 1 process(es) found"),
        "{said}"
    );
    drop(squatter);
    cgroup.freeze().unwrap();
    let said = refuse(&bundle, &["run", "ID"]);
    assert!(
        said.contains("container's cgroup unexpectedly frozen"),
        "{said}"
    );
    cgroup.thaw().unwrap();
    bundle.run();
}

#[test]
fn files_of_version_2_are_set_by_name() {
    need_containers!();
    let with = |unified: Value| {
        let mut bundle = Bundle::new(&["sleep", "1000"]);
        bundle.config["linux"]["resources"] = json!({"unified": unified});
        bundle
    };
    if layout().version() == 1 {
        let said = with(json!({"pids.max": "5"})).fail();
        assert!(
            said.contains("invalid configuration: linux.resources.unified"),
            "{said}"
        );
        skip!("SKIP: the rest needs version 2 alone");
    }
    let said = with(json!({"no.such": "1"})).fail();
    assert!(said.contains("no.such"), "{said}");
    let said = with(json!({"../memory.high": "1"})).fail();
    assert!(said.contains("is not a file as in memory.high"), "{said}");
    let bundle = with(json!({"pids.max": "33", "memory.high": "10485760"}));
    run(&bundle);
    assert_eq!(value(&bundle, ["pids.max"; 2]), "33");
    assert_eq!(value(&bundle, ["memory.high"; 2]), "10485760");
    end(&bundle);
}

/// Its directories made and given to the container's root, whose own mounts go there.
fn own(bundle: &Bundle, root: u32) {
    use std::os::unix::fs::{PermissionsExt, chown};
    for dir in ["proc", "dev", "sys"] {
        std::fs::create_dir_all(bundle.in_root(dir)).unwrap();
    }
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bundle.path(), open).unwrap();
    chown(bundle.in_root(""), Some(root), Some(root)).unwrap();
}

#[test]
fn a_user_namespace_manages_its_own_cgroup() {
    need_containers!();
    if layout().version() == 1 {
        skip!("SKIP: version 1 is not safe to hand over");
    }
    let mut bundle = Bundle::script(
        "cd /sys/fs/cgroup && mkdir inner && echo 0 >inner/cgroup.procs && cat /proc/self/cgroup; \
         echo 1 >pids.max || echo kept",
    );
    own(&bundle, 100_000);
    let linux = &mut bundle.config["linux"];
    let namespaces = linux["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({"type": "user"}));
    if !namespaces.iter().any(|n| n["type"] == "cgroup") {
        namespaces.push(json!({"type": "cgroup"}));
    }
    linux["uidMappings"] = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    linux["gidMappings"] = linux["uidMappings"].clone();
    for mount in bundle.config["mounts"].as_array_mut().unwrap() {
        if mount["type"] == "cgroup" {
            mount["options"] = json!(["nosuid", "noexec", "nodev"]);
        }
    }
    let out = bundle.run();
    assert!(
        out.starts_with("0::/inner\n") && out.ends_with("kept\n"),
        "{out}"
    );
}
