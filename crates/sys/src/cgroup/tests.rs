//! On the machine's own hierarchies, under a parent of each test's own.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::*;

/// Says on the terminal, past the capturing of tests' output, why a test does nothing.
macro_rules! skip {
    ($($text:tt)*) => {
        let _ = writeln!(std::io::stderr(), $($text)*);
    };
}

/// A cgroup of a test, gone when the test ends, whatever happens.
struct Scratch {
    layout: Layout,
    parent: String,
}

impl Scratch {
    /// None, said aloud, where the test cannot run.
    fn new(test: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip!("SKIP: {test} makes cgroups and needs root");
            return None;
        }
        let parent = format!("/brig-unit-{test}-{}", std::process::id());
        Some(Self {
            layout: Layout::detect().unwrap(),
            parent,
        })
    }

    fn path(&self) -> String {
        format!("{}/nested/box", self.parent)
    }

    fn create(&self, limits: &Limits) -> Result<Cgroup, Error> {
        Cgroup::create(&self.layout, &self.path(), limits)
    }

    fn left(&self) -> Vec<PathBuf> {
        all_dirs(&self.layout, &relative(&self.parent).unwrap())
            .into_iter()
            .map(|d| d.path)
            .filter(|p| p.exists())
            .collect()
    }

    /// The value of a file by its name in version 1 or 2.
    fn value(&self, cgroup: &Cgroup, controller: &str, files: [&str; 2]) -> Option<String> {
        let dir = cgroup
            .controller(v1_name(controller))
            .or_else(|| cgroup.controller(controller))?;
        let file = match dir.version {
            Version::V1 => files[0],
            Version::V2 => files[1],
        };
        Some(read::line(&dir.path.join(file)).unwrap())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Ok(cgroup) = Cgroup::open(&self.layout, &self.parent) {
            let _ = cgroup.kill_all();
            let _ = cgroup.remove();
        }
    }
}

/// A program that runs inside until it is killed.
fn start_inside(cgroup: &Cgroup, shell: &str) -> Child {
    let join = cgroup.join_handles().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", shell]).stdin(Stdio::null());
    command.stdout(Stdio::piped());
    // SAFETY: between fork and exec the closure only calls open and write, which are
    // async-signal-safe, and allocates nothing but short paths; no other thread of the test holds
    // the allocator's lock across fork, which glibc sees to.
    #[allow(unsafe_code, reason = "a test's child must enter before it executes")]
    unsafe {
        command.pre_exec(move || {
            join.enter_v1().map_err(std::io::Error::other)?;
            join.enter_v2().map_err(std::io::Error::other)
        });
    }
    command.spawn().unwrap()
}

/// Waits until the program has said a line.
fn wait_for_line(child: &mut Child) {
    use std::io::BufRead as _;
    let out = child.stdout.as_mut().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(out).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
}

#[test]
fn limits_are_written_and_the_cgroup_removed() {
    let Some(scratch) = Scratch::new("limits") else {
        return;
    };
    let can = scratch.layout.capabilities();
    let mut limits = Limits::default();
    if can.memory {
        limits.memory.limit = Some(64 << 20);
    }
    if can.cpu_quota {
        limits.cpu.quota = Some(50_000);
        limits.cpu.period = Some(100_000);
    }
    if can.pids {
        limits.pids = Some(42);
    }
    if can.cpuset {
        limits.cpu.cpus = Some("0".to_owned());
    }
    let cgroup = scratch.create(&limits).unwrap();
    let table = [
        (
            can.memory,
            "memory",
            ["memory.limit_in_bytes", "memory.max"],
            ["67108864"; 2],
        ),
        (
            can.cpu_quota,
            "cpu",
            ["cpu.cfs_quota_us", "cpu.max"],
            ["50000", "50000 100000"],
        ),
        (can.pids, "pids", ["pids.max"; 2], ["42"; 2]),
        (can.cpuset, "cpuset", ["cpuset.cpus"; 2], ["0"; 2]),
    ];
    for (can, controller, files, expected) in table {
        if can {
            let value = scratch.value(&cgroup, controller, files).unwrap();
            assert!(expected.contains(&value.as_str()), "{controller}: {value}");
        }
    }
    assert!(!cgroup.oom_killed().unwrap());
    cgroup.remove().unwrap();
    cgroup.remove().unwrap();
    assert!(Cgroup::open(&scratch.layout, &scratch.path()).is_err());
}

#[test]
fn a_failing_create_leaves_nothing() {
    let Some(scratch) = Scratch::new("undo") else {
        return;
    };
    let limits = Limits {
        cpu: Cpu {
            cpus: Some("4000-4001".to_owned()),
            ..Cpu::default()
        },
        ..Limits::default()
    };
    let error = scratch.create(&limits).unwrap_err();
    if scratch.layout.capabilities().cpuset {
        let text = error.to_string();
        assert!(
            text.starts_with("cannot write \"4000-4001\" to /"),
            "{text}"
        );
    }
    assert_eq!(scratch.left(), Vec::<PathBuf>::new());
}

#[test]
fn processes_enter_are_counted_frozen_and_killed() {
    let Some(scratch) = Scratch::new("kill") else {
        return;
    };
    let cgroup = scratch.create(&Limits::default()).unwrap();
    let mut child = start_inside(&cgroup, "sleep 1000 & sleep 1000 & echo ready; wait");
    wait_for_line(&mut child);
    let pids = cgroup.pids().unwrap();
    assert_eq!(pids.len(), 3, "{pids:?}");
    assert!(pids.contains(&i32::try_from(child.id()).unwrap()));
    for dir in &cgroup.dirs {
        assert_eq!(dir.pids().unwrap().len(), 3, "{}", dir.path.display());
    }
    cgroup.freeze().unwrap();
    cgroup.thaw().unwrap();
    let of_process = Join::of_process(&scratch.layout, pids[0]).unwrap();
    let direct = cgroup.join_handles().unwrap();
    assert_eq!(of_process.paths(), direct.paths());
    assert!(matches!(
        scratch.create(&Limits::default()),
        Err(Error::Busy { processes: 3, .. })
    ));
    remove_if_empty(&scratch.layout, &scratch.path()).unwrap();
    cgroup.kill_all().unwrap();
    child.wait().unwrap();
    cgroup.remove().unwrap();
}

#[test]
fn frozen_processes_and_cgroups_made_inside_go_too() {
    let Some(scratch) = Scratch::new("inner") else {
        return;
    };
    let cgroup = scratch.create(&Limits::default()).unwrap();
    let mut child = start_inside(&cgroup, "echo ready; exec sleep 1000");
    wait_for_line(&mut child);
    for dir in &cgroup.dirs {
        let inner = dir.path.join("inner/most");
        fs::create_dir_all(&inner).unwrap();
        let cpuset = dir.version == Version::V1 && dir.controllers.iter().any(|c| c == "cpuset");
        if !cpuset {
            read::write(&inner.join("cgroup.procs"), &child.id().to_string()).unwrap();
        }
    }
    cgroup.freeze().unwrap();
    cgroup.kill_all().unwrap();
    child.wait().unwrap();
    cgroup.thaw().unwrap();
    cgroup.remove().unwrap();
    assert!(Cgroup::open(&scratch.layout, &scratch.path()).is_err());
}

/// Which do not tell their processes (cgroups(7), threaded).
#[test]
fn processes_are_found_and_killed_in_threaded_cgroups() {
    let Some(scratch) = Scratch::new("threaded") else {
        return;
    };
    let cgroup = scratch.create(&Limits::default()).unwrap();
    let Some(top) = cgroup.v2().map(|dir| dir.path.clone()) else {
        skip!("SKIP: threaded cgroups are version 2's");
        cgroup.remove().unwrap();
        return;
    };
    let mut child = start_inside(&cgroup, "echo ready; exec sleep 1000");
    wait_for_line(&mut child);
    let inner = top.join("inner");
    fs::create_dir(&inner).unwrap();
    read::write(&inner.join("cgroup.type"), "threaded").unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    read::write(&inner.join("cgroup.threads"), &pid.to_string()).unwrap();
    assert_eq!(read::procs_of(&inner).unwrap(), [pid]);
    cgroup.kill_all().unwrap();
    child.wait().unwrap();
    cgroup.remove().unwrap();
    assert!(Cgroup::open(&scratch.layout, &scratch.path()).is_err());
}

/// What an earlier container of the same name left behind does not count for the next.
#[test]
fn a_cgroup_that_is_left_over_is_made_anew() {
    let Some(scratch) = Scratch::new("anew") else {
        return;
    };
    if !scratch.layout.capabilities().pids {
        skip!("SKIP: no pids controller to leave a limit in");
        return;
    }
    let limits = Limits {
        pids: Some(7),
        ..Limits::default()
    };
    scratch.create(&limits).unwrap();
    let cgroup = scratch.create(&Limits::default()).unwrap();
    let value = scratch.value(&cgroup, "pids", ["pids.max"; 2]);
    assert_eq!(value.as_deref(), Some("max"));
    cgroup.remove().unwrap();
}

/// Version 2 kills at once; here the loop that older kernels and version 1 need is on its own.
#[test]
fn who_forks_all_the_time_is_killed_too() {
    let Some(scratch) = Scratch::new("forks") else {
        return;
    };
    let limits = Limits {
        pids: scratch.layout.capabilities().pids.then_some(50),
        ..Limits::default()
    };
    let mut cgroup = scratch.create(&limits).unwrap();
    let mut child = start_inside(
        &cgroup,
        "exec 2>&-; echo ready; f() { (sleep 0.01; f) & (sleep 0.01; f) & }; f; wait",
    );
    wait_for_line(&mut child);
    if cgroup.dirs.iter().any(|d| d.version == Version::V1) {
        cgroup.dirs.retain(|d| d.version == Version::V1);
    }
    cgroup.kill_all().unwrap();
    assert_eq!(cgroup.pids().unwrap(), Vec::<i32>::new());
    child.wait().unwrap();
    let whole = Cgroup::open(&scratch.layout, &scratch.path()).unwrap();
    whole.remove().unwrap();
}

#[test]
fn the_out_of_memory_killer_is_noticed() {
    let Some(scratch) = Scratch::new("oom") else {
        return;
    };
    let can = scratch.layout.capabilities();
    if !can.memory {
        skip!("SKIP: no memory controller to run out of");
        return;
    }
    let mut limits = Limits::default();
    limits.memory.limit = Some(8 << 20);
    limits.memory.swap = can.swap.then_some(8 << 20);
    let cgroup = scratch.create(&limits).unwrap();
    let mut child = start_inside(&cgroup, "x=12345678; while :; do x=$x$x; done");
    assert!(!child.wait().unwrap().success());
    assert!(cgroup.oom_killed().unwrap());
    cgroup.remove().unwrap();
}

#[test]
fn devices_are_denied_but_for_the_rules() {
    let Some(scratch) = Scratch::new("devices") else {
        return;
    };
    let limits = Limits {
        devices: devices::tests::rules("-a; +c 1:3 rwm; +c 1:5 r"),
        ..Limits::default()
    };
    let cgroup = scratch.create(&limits).unwrap();
    check_devices(&cgroup);
}

/// The new rules hold for what is opened from then on, in either version.
#[test]
fn device_rules_are_replaced() {
    let Some(scratch) = Scratch::new("replace") else {
        return;
    };
    let with = |text: &str| Limits {
        devices: devices::tests::rules(text),
        ..Limits::default()
    };
    let cgroup = scratch.create(&with("-a; +c 1:3 rw; +c 1:7 rw")).unwrap();
    for _ in 0..3 {
        let rules = with("-a; +c 1:3 rwm; +c 1:5 r; -b *:* m");
        cgroup.update(&scratch.layout, &rules).unwrap();
    }
    check_devices(&cgroup);
}

/// The same for the program, where version 1 keeps the devices.
#[test]
fn a_device_program_takes_the_place_of_another() {
    let Some(scratch) = Scratch::new("programs") else {
        return;
    };
    if scratch.layout.v2.is_none() {
        skip!("SKIP: no version 2 hierarchy");
        return;
    }
    let cgroup = scratch.create(&Limits::default()).unwrap();
    let filter = |text: &str| devices::DeviceFilter::new(&devices::tests::rules(text));
    filter("-a; +c 1:3 r").apply(&cgroup).unwrap();
    for _ in 0..70 {
        // More often than a cgroup takes programs.
        filter("-a; +c 1:3 rw; +c 1:5 r").replace(&cgroup).unwrap();
    }
    check_devices(&cgroup);
}

#[test]
fn use_is_counted() {
    let Some(scratch) = Scratch::new("stats") else {
        return;
    };
    let can = scratch.layout.capabilities();
    let limits = Limits {
        pids: can.pids.then_some(77),
        ..Limits::default()
    };
    let cgroup = scratch.create(&limits).unwrap();
    let mut child = start_inside(
        &cgroup,
        "i=0; while [ $i -lt 9999 ]; do i=$((i+1)); done; \
                                           echo ready; exec sleep 1000",
    );
    wait_for_line(&mut child);
    let stats = cgroup.stats().unwrap();
    assert!(stats.cpu.total > 0, "{stats:?}");
    if can.pids {
        assert_eq!((stats.pids.current, stats.pids.limit), (1, Some(77)));
    }
    if can.memory {
        assert!(stats.memory.usage.usage > 0, "{stats:?}");
        assert!(!stats.memory.details.is_empty());
    }
    if can.cpuset {
        assert!(!stats.cpuset.cpus.is_empty() && !stats.cpuset.mems.is_empty());
    }
    cgroup.kill_all().unwrap();
    child.wait().unwrap();
    cgroup.remove().unwrap();
    assert!(cgroup.stats().is_err());
}

/// Version 1 has nothing in a cpuset that somebody has only made the directory of.
#[test]
fn empty_parents_are_filled() {
    let Some(scratch) = Scratch::new("parents") else {
        return;
    };
    for dir in all_dirs(&scratch.layout, &relative(&scratch.parent).unwrap()) {
        fs::create_dir_all(dir.path.join("nested")).unwrap();
    }
    let cgroup = scratch.create(&Limits::default()).unwrap();
    let mut child = start_inside(&cgroup, "echo ready");
    wait_for_line(&mut child);
    child.wait().unwrap();
    cgroup.remove().unwrap();
}

/// Raising and lowering what the kernel checks against each other, in every order.
#[test]
fn limits_that_depend_on_each_other_change_together() {
    let Some(scratch) = Scratch::new("update") else {
        return;
    };
    let can = scratch.layout.capabilities();
    if !can.memory || !can.cpu_quota {
        skip!("SKIP: no memory or cpu controller");
        return;
    }
    let cgroup = scratch.create(&Limits::default()).unwrap();
    for megabytes in [64, 256, 16, -1, 32] {
        let bytes = if megabytes < 0 { -1 } else { megabytes << 20 };
        let mut limits = Limits::default();
        limits.memory.limit = Some(bytes);
        limits.memory.swap = can.swap.then_some(bytes);
        limits.cpu.quota = Some(if megabytes < 0 { -1 } else { megabytes * 1000 });
        limits.cpu.period = Some(if megabytes > 32 { 20_000 } else { 500_000 });
        cgroup.update(&scratch.layout, &limits).unwrap();
        let files = ["memory.limit_in_bytes", "memory.max"];
        let value = scratch.value(&cgroup, "memory", files).unwrap();
        if megabytes > 0 {
            assert_eq!(value, bytes.to_string());
        }
    }
    let mut limits = Limits::default();
    limits.memory.limit = Some(1 << 20);
    limits.memory.check_before_update = true;
    let mut child = start_inside(
        &cgroup,
        "x=12345678; while [ ${#x} -lt 4000000 ]; do x=$x$x; done; echo ready; sleep 1000; :",
    );
    wait_for_line(&mut child);
    let error = cgroup.update(&scratch.layout, &limits).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    cgroup.kill_all().unwrap();
    child.wait().unwrap();
    cgroup.remove().unwrap();
}

#[test]
fn a_threaded_subtree_limits_no_memory() {
    let Some(scratch) = Scratch::new("threaded-memory") else {
        return;
    };
    if scratch.layout.mode() != Mode::Unified {
        skip!("SKIP: threaded subtrees are version 2's");
        return;
    }
    let path = |name: &str| format!("{}/{name}", scratch.parent);
    let none = Limits::default();
    let first = Cgroup::create(&scratch.layout, &path("first"), &none).unwrap();
    let first = &first.v2().unwrap().path;
    // A subtree with controllers for whole processes cannot become threaded.
    let controllers = first.parent().unwrap().join("cgroup.subtree_control");
    for name in read::line(&controllers).unwrap().split(' ') {
        read::write(&controllers, &format!("-{name}")).unwrap();
    }
    read::write(&first.join("cgroup.type"), "threaded").unwrap();
    let mut limits = Limits::default();
    limits.memory.limit = Some(64 << 20);
    let error = Cgroup::create(&scratch.layout, &path("second"), &limits).unwrap_err();
    assert!(matches!(error, Error::Threaded { .. }), "{error}");
    Cgroup::create(&scratch.layout, &path("second"), &none).unwrap();
}

/// `null` may be read and written, `zero` read only, `full` neither.
fn check_devices(cgroup: &Cgroup) {
    let mut child = start_inside(
        cgroup,
        "{ true </dev/null && true >/dev/null && true </dev/zero && ! true >/dev/zero \
         && ! true </dev/full; } 2>&- && echo ready",
    );
    wait_for_line(&mut child);
    assert!(child.wait().unwrap().success());
    cgroup.kill_all().unwrap();
    cgroup.remove().unwrap();
}

/// On a hybrid machine version 1 keeps the devices; the program is tried on the other hierarchy.
#[test]
fn the_device_program_is_obeyed() {
    let Some(scratch) = Scratch::new("program") else {
        return;
    };
    if scratch.layout.v2.is_none() {
        skip!("SKIP: no version 2 hierarchy");
        return;
    }
    let cgroup = scratch.create(&Limits::default()).unwrap();
    let rules = devices::tests::rules("-a; +c 1:3 rw; +c 1:5 r; -c 1:3 m");
    devices::DeviceFilter::new(&rules).apply(&cgroup).unwrap();
    check_devices(&cgroup);
}

#[test]
fn paths_stay_inside() {
    let layout = Layout {
        v1: Vec::new(),
        v2: None,
    };
    for path in ["", "/", "box", "/../box", "/a/./b", "/a//b", "/a/.."] {
        let error = Cgroup::create(&layout, path, &Limits::default()).unwrap_err();
        assert!(matches!(error, Error::InvalidPath(_)), "{path:?}");
    }
}

#[test]
fn parents_come_and_go_while_others_create() {
    let Some(scratch) = Scratch::new("race") else {
        return;
    };
    let scratch = &scratch;
    let worker = |n: usize| {
        for _ in 0..10 {
            let path = format!("{}/box{n}", scratch.parent);
            let cgroup = Cgroup::create(&scratch.layout, &path, &Limits::default()).unwrap();
            cgroup.remove().unwrap();
            remove_if_empty(&scratch.layout, &scratch.parent).unwrap();
        }
    };
    std::thread::scope(|scope| {
        for n in 0..3 {
            scope.spawn(move || worker(n));
        }
    });
}
