//! The library as the shim uses it. Not run by the usual harness, because that has threads and the
//! library wants none: every test is a function here, run one after the other.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program without the usual harness"
)]

mod support;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use runtime::{Container, CreateRequest, Created, Error, ExecRequest, Stdio};
use serde_json::json;
use support::{Bundle, text};
use types::{ErrorKind, Mount, Signal};

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    (
        "a_container_lives_and_leaves_nothing",
        a_container_lives_and_leaves_nothing,
    ),
    ("a_start_may_be_told_ahead", a_start_may_be_told_ahead),
    (
        "a_failure_at_any_step_leaves_nothing",
        a_failure_at_any_step_leaves_nothing,
    ),
    (
        "an_overlay_is_seen_only_inside",
        an_overlay_is_seen_only_inside,
    ),
    (
        "a_terminal_is_the_containers_own",
        a_terminal_is_the_containers_own,
    ),
    ("a_process_joins", a_process_joins),
    (
        "a_stopped_joiner_holds_nobody_up",
        a_stopped_joiner_holds_nobody_up,
    ),
    (
        "a_joined_terminal_has_its_size",
        a_joined_terminal_has_its_size,
    ),
    (
        "what_cannot_be_executed_is_told",
        what_cannot_be_executed_is_told,
    ),
    (
        "an_unopened_gate_ends_with_its_maker",
        an_unopened_gate_ends_with_its_maker,
    ),
    (
        "a_container_dies_with_its_maker",
        a_container_dies_with_its_maker,
    ),
    (
        "namespaces_are_joined_by_path",
        namespaces_are_joined_by_path,
    ),
    ("a_user_namespace_maps_ids", a_user_namespace_maps_ids),
    (
        "layers_have_the_ids_of_the_user_namespace",
        layers_have_the_ids_of_the_user_namespace,
    ),
    ("too_much_memory_is_noticed", too_much_memory_is_noticed),
    ("hooks_run_at_their_points", hooks_run_at_their_points),
    (
        "a_saved_container_is_found_again",
        a_saved_container_is_found_again,
    ),
    ("starts_are_timed", starts_are_timed),
];

fn main() {
    if let Some(reason) = support::cannot_run() {
        eprintln!("{reason}");
        return;
    }
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let mut count = 0;
    for (name, test) in TESTS {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            println!("test {name} ...");
            test();
            assert_no_children(name);
            count += 1;
        }
    }
    println!("{count} tests passed");
}

/// No process of ours is left, running or dead.
fn assert_no_children(what: &str) {
    let pid = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    assert_eq!(children, "", "{what} left a process");
}

/// Files for the standard streams, and where the output can be read.
fn files() -> (Stdio, File) {
    let file = tempfile::tempfile().unwrap();
    let null = File::open("/dev/null").unwrap();
    let output = || OwnedFd::from(file.try_clone().unwrap());
    (Stdio::Files([null.into(), output(), output()]), file)
}

fn read(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    text(&bytes)
}

fn terminal(size: [u16; 2]) -> Stdio {
    let bare_lines = false;
    Stdio::Terminal { size, bare_lines }
}

fn create(bundle: &Bundle, stdio: Stdio) -> Result<Created, Error> {
    create_with(bundle, stdio, &[], None, false)
}

fn create_with(
    bundle: &Bundle,
    stdio: Stdio,
    rootfs: &[Mount],
    fail_at: Option<&str>,
    start_at_once: bool,
) -> Result<Created, Error> {
    let spec = bundle.spec();
    runtime::create(CreateRequest {
        id: &bundle.id,
        bundle: bundle.path(),
        spec: &spec,
        rootfs,
        stdio,
        parent_death_signal: Some(Signal::KILL),
        gate: None,
        start_at_once,
        word: None,
        network: None,
        filter: None,
        groundwork: None,
        cgroup_driver: runtime::CgroupDriver::Direct,
        rootless: runtime::Rootless::No,
        preserve_fds: 0,
        new_keyring: true,
        no_pivot: false,
        note_mounts_in: None,
        meanwhile: None,
        fail_at,
    })
}

fn running(bundle: &Bundle) -> Container {
    create(bundle, files().0).unwrap().start().unwrap()
}

fn end(container: Container) {
    container.kill(Signal::KILL).unwrap();
    sys::pidfd::wait(container.pidfd()).unwrap();
    container.destroy().unwrap();
}

/// Runs to the end; the exit code and what was printed.
fn run(bundle: &Bundle, rootfs: &[Mount]) -> (i32, String) {
    let (stdio, output) = files();
    let container = create_with(bundle, stdio, rootfs, None, false)
        .unwrap()
        .start()
        .unwrap();
    let code = sys::pidfd::wait(container.pidfd()).unwrap().code();
    container.destroy().unwrap();
    bundle.assert_nothing_left();
    (code, read(output))
}

/// Runs a command in a container; the exit code and what was printed.
fn exec(container: &Container, args: &[&str]) -> (i32, String) {
    let (stdio, output) = files();
    let process = process(args, false);
    let executed = container
        .exec(ExecRequest {
            process: &process,
            stdio,
            preserve_fds: 0,
            new_keyring: true,
            cgroups: &[],
            meanwhile: None,
        })
        .unwrap();
    (
        sys::pidfd::wait(&executed.pidfd).unwrap().code(),
        read(output),
    )
}

fn process(args: &[&str], terminal: bool) -> oci_spec::runtime::Process {
    serde_json::from_value(json!({
        "args": args, "cwd": "/", "user": {"uid": 0, "gid": 0}, "terminal": terminal,
        "env": ["PATH=/bin"], "noNewPrivileges": true,
        "capabilities": {"bounding": [], "effective": [], "permitted": []},
    }))
    .unwrap()
}

fn a_container_lives_and_leaves_nothing() {
    let bundle = Bundle::script("echo $$; exit 7");
    let (stdio, output) = files();
    let created = create(&bundle, stdio).unwrap();
    assert!(sys::proc::is_alive(created.process));
    assert!(!bundle.cgroups().is_empty());
    let container = created.start().unwrap();
    assert_eq!(sys::pidfd::wait(container.pidfd()).unwrap().code(), 7);
    container.destroy().unwrap();
    assert_eq!(read(output), "1\n");
    bundle.assert_nothing_left();
}

fn a_start_may_be_told_ahead() {
    let mut bundle = Bundle::script("echo $$; exit 7");
    let at_once = |bundle: &Bundle| {
        let (stdio, output) = files();
        (create_with(bundle, stdio, &[], None, true), output)
    };
    let (created, output) = at_once(&bundle);
    let created = created.unwrap();
    // Nobody has called start.
    assert_eq!(sys::pidfd::wait(created.pidfd()).unwrap().code(), 7);
    assert_eq!(read(output), "1\n");
    created.start().unwrap().destroy().unwrap();
    // What goes wrong is told by start all the same.
    bundle.config["process"]["args"] = json!(["/not/there"]);
    let error = at_once(&bundle).0.unwrap().start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandNotFound);
    bundle.assert_nothing_left();
    // With hooks in between it waits.
    bundle.config["process"]["args"] = json!(["true"]);
    let hook = json!([{"path": "/bin/true", "args": ["true"]}]);
    bundle.config["hooks"] = json!({"createRuntime": hook});
    let created = at_once(&bundle).0.unwrap();
    assert!(sys::proc::is_alive(created.process));
    created.destroy().unwrap();
    bundle.assert_nothing_left();
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap()
}

fn a_failure_at_any_step_leaves_nothing() {
    for step in runtime::steps() {
        let mut bundle = Bundle::new(&["true"]);
        bundle.config["hooks"] = json!({"createRuntime": [{"path": "/bin/true"}]});
        bundle.config["linux"]["resources"]["pids"] = json!({"limit": 10});
        let (descriptors, before) = (open_descriptors(), mounts());
        let failure = create_with(&bundle, files().0, &[], Some(step), false)
            .and_then(Created::start)
            .err()
            .unwrap_or_else(|| panic!("step {step} did not fail"));
        assert!(
            failure.to_string().contains(step),
            "{failure:?} does not name {step}"
        );
        assert_eq!(failure.kind(), ErrorKind::Internal, "{step}");
        bundle.assert_nothing_left();
        assert_no_children(step);
        assert_eq!(open_descriptors(), descriptors, "{step} left a descriptor");
        // Other tests on the machine mount too; what is ours has the bundle's path in it.
        let ours = bundle.path().to_str().unwrap();
        assert!(
            !mounts().contains(ours) && !before.contains(ours),
            "{step} left a mount"
        );
    }
}

fn overlay(bundle: &Bundle, layers: usize) -> Vec<Mount> {
    let dir = |name: &str| {
        let dir = bundle.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    };
    let mut lower = vec![bundle.path().join("rootfs")];
    for number in 0..layers {
        let layer = dir(&format!("layer{number}"));
        sys::file::replace_unsynced(&layer.join("top"), number.to_string().as_bytes(), 0o644)
            .unwrap();
        lower.insert(0, layer);
    }
    vec![Mount {
        kind: "overlay".to_owned(),
        source: "overlay".into(),
        target: "/".into(),
        options: vec![
            format!("upperdir={}", dir("upper").display()),
            format!("workdir={}", dir("work").display()),
        ],
        lower,
        subpath: None,
    }]
}

fn an_overlay_is_seen_only_inside() {
    let mut bundle = Bundle::script("cat /top; echo; echo new > /written; grep ' / ' /proc/mounts");
    bundle.config["root"]["readonly"] = json!(false);
    let rootfs = overlay(&bundle, 40);
    let (code, printed) = run(&bundle, &rootfs);
    assert_eq!(code, 0, "{printed}");
    assert!(printed.starts_with("39\noverlay / overlay rw"), "{printed}");
    assert_eq!(
        std::fs::read_to_string(bundle.path().join("upper/written")).unwrap(),
        "new\n"
    );
    assert!(!bundle.in_root("written").exists());
    // The image has no mount table: the container's layer gets one, and the image does not.
    let link = bundle.path().join("upper/etc/mtab");
    assert_eq!(
        std::fs::read_link(link).unwrap(),
        std::path::Path::new("/proc/mounts")
    );
    assert!(!bundle.in_root("etc/mtab").exists());
    let (stdio, _) = files();
    let created = create_with(&bundle, stdio, &rootfs, None, false).unwrap();
    assert!(!mounts().contains(bundle.path().to_str().unwrap()));
    created.destroy().unwrap();
    bundle.assert_nothing_left();
}

/// Files of the image and of the layer above are the container's root's, and on the disk still the
/// machine's; outside, nobody's who is root.
fn layers_have_the_ids_of_the_user_namespace() {
    let script = "stat -c %u:%g /top /bin; echo new > /written; \
        mkdir /dir; stat -c %u:%g /written /mnt/top; \
        : >> /proc/self/fd/1 && echo again; cat /proc/self/oom_score_adj; \
        ulimit -Hn; \
        touch /mnt/x 2>/dev/null || echo closed; mknod /dir/sda b 8 0 2>/dev/null || echo refused";
    let mut bundle = Bundle::script(script);
    bundle.config["root"]["readonly"] = json!(false);
    bundle.config["process"]["oomScoreAdj"] = json!(17);
    bundle.config["process"]["rlimits"] =
        json!([{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}]);
    let namespaces = &mut bundle.config["linux"]["namespaces"];
    namespaces
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "user"}));
    for name in ["uidMappings", "gidMappings"] {
        bundle.config["linux"][name] =
            json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    }
    let image = json!({"destination": "/mnt", "type": "overlay", "source": "overlay",
        "options": ["ro", "idmap"]});
    bundle.mount(image);
    let mut rootfs = overlay(&bundle, 3);
    rootfs[0].options.push("idmap".to_owned());
    let mut lower = rootfs[0].lower.clone();
    lower.remove(0);
    rootfs.push(Mount {
        kind: "overlay".to_owned(),
        source: "overlay".into(),
        target: "/mnt".into(),
        options: vec!["ro".to_owned()],
        lower,
        subpath: None,
    });
    let (code, printed) = run(&bundle, &rootfs);
    let expected = "0:0\n0:0\n0:0\n0:0\nagain\n17\n128\nclosed\nrefused\n";
    assert_eq!((code, printed.as_str()), (0, expected));
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &str| {
        let status = std::fs::symlink_metadata(bundle.path().join("upper").join(path)).unwrap();
        (status.uid(), status.gid())
    };
    assert_eq!((owner("written"), owner("dir")), ((0, 0), (0, 0)));
    assert!(!mounts().contains(bundle.path().to_str().unwrap()));
    let left = std::fs::read_dir(bundle.path()).unwrap();
    assert!(left.flatten().all(|entry| entry.file_name() != "own"));
}

/// Everything a terminal says until its last program has ended.
fn read_terminal(master: &OwnedFd) -> String {
    let mut bytes = Vec::with_capacity(1024);
    while let Ok(Some(1..)) = sys::event::try_read(master, &mut bytes) {
        bytes.reserve(1024);
    }
    text(&bytes).replace('\r', "")
}

fn a_terminal_is_the_containers_own() {
    let mut bundle = Bundle::script("tty; stty size; stat -c %t:%T /dev/console; ls -1 /dev/pts");
    bundle.config["process"]["terminal"] = json!(true);
    let mut created = create(&bundle, terminal([33, 77])).unwrap();
    let master = created.terminal.take().unwrap();
    let container = created.start().unwrap();
    let said = read_terminal(&master);
    assert_eq!(said, "/dev/pts/0\n33 77\n88:0\n0\nptmx\n");
    sys::pidfd::wait(container.pidfd()).unwrap();
    container.destroy().unwrap();
}

fn a_process_joins() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = running(&bundle);
    let (code, printed) = exec(
        &container,
        &[
            "sh",
            "-c",
            "hostname; id -u; cat /proc/1/comm; ls /proc/self/fd | wc -l; exit 9",
        ],
    );
    // Three streams and the directory that ls reads.
    assert_eq!((code, printed.as_str()), (9, "brig\n0\nsleep\n4\n"));
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];
    let script = "for kind in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$kind; done";
    let of_first: String = kinds
        .iter()
        .map(|kind| {
            let link = format!("/proc/{}/ns/{kind}", container.process().pid);
            format!("{}\n", std::fs::read_link(link).unwrap().display())
        })
        .collect();
    assert_eq!(exec(&container, &["sh", "-c", script]), (0, of_first));
    let (_, cgroup) = exec(&container, &["cat", "/proc/self/cgroup"]);
    assert!(cgroup.lines().all(|line| line.ends_with(":/")), "{cgroup}");
    let (_, status) = exec(&container, &["cat", "/proc/self/status"]);
    assert_eq!(support::status_line(&status, "CapBnd"), "0000000000000000");
    assert_eq!(support::status_line(&status, "NoNewPrivs"), "1");
    end(container);
    bundle.assert_nothing_left();
}

/// As somebody in the container may stop it, and here a frozen cgroup does.
fn a_stopped_joiner_holds_nobody_up() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = running(&bundle);
    let (stdio, output) = files();
    let process = process(&["echo", "here"], false);
    let mut request = ExecRequest {
        process: &process,
        stdio,
        preserve_fds: 0,
        new_keyring: true,
        cgroups: &[],
        meanwhile: None,
    };
    container.pause().unwrap();
    let mut joining = container.begin_exec(&request).unwrap();
    request.stdio = files().0;
    let given_up = container.begin_exec(&request).unwrap();
    assert!(!container.advance_exec(&mut joining).unwrap());
    let pidfd = sys::proc::open(given_up.process()).unwrap().unwrap();
    given_up.kill();
    container.resume().unwrap();
    while !container.advance_exec(&mut joining).unwrap() {
        assert!(sys::event::readable_within(&joining, Duration::from_secs(60)).unwrap());
    }
    let executed = joining.finish();
    assert_eq!(sys::pidfd::wait(&executed.pidfd).unwrap().code(), 0);
    assert_eq!(read(output), "here\n");
    assert_eq!(sys::pidfd::wait(&pidfd).unwrap().code(), 128 + 9);
    end(container);
    bundle.assert_nothing_left();
}

fn a_joined_terminal_has_its_size() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = running(&bundle);
    let process = process(&["sh", "-c", "tty; stty size"], true);
    let request = ExecRequest {
        process: &process,
        stdio: terminal([5, 6]),
        preserve_fds: 0,
        new_keyring: true,
        cgroups: &[],
        meanwhile: None,
    };
    let executed = container.exec(request).unwrap();
    let said = read_terminal(&executed.terminal.unwrap());
    assert_eq!(said, "/dev/pts/0\n5 6\n");
    sys::pidfd::wait(&executed.pidfd).unwrap();
    end(container);
}

fn what_cannot_be_executed_is_told() {
    let told = |args: &[&str]| {
        let bundle = Bundle::new(args);
        sys::file::replace_unsynced(&bundle.in_root("etc/text"), b"hello", 0o644).unwrap();
        sys::file::replace_unsynced(&bundle.in_root("bin/garbage"), b"\x7fELF", 0o755).unwrap();
        sys::file::replace_unsynced(&bundle.in_root("bin/script"), b"#!/no/such\n", 0o755).unwrap();
        let error = create(&bundle, files().0).unwrap().start().unwrap_err();
        bundle.assert_nothing_left();
        (error.kind(), error.to_string())
    };
    use ErrorKind::{CommandNotFound, NotExecutable};
    let table: [(&[&str], ErrorKind, &str); 7] = [
        (
            &["nothing"],
            CommandNotFound,
            "exec: \"nothing\": executable file not found in $PATH",
        ),
        (
            &["/no"],
            CommandNotFound,
            "exec: \"/no\": stat /no: no such file or directory",
        ),
        (
            &["/etc"],
            NotExecutable,
            "exec: \"/etc\": is a directory: permission denied",
        ),
        (
            &["/etc/text"],
            NotExecutable,
            "exec: \"/etc/text\": permission denied",
        ),
        (
            &["/etc/text/x"],
            CommandNotFound,
            "exec: \"/etc/text/x\": stat /etc/text/x: not a directory",
        ),
        (
            &["garbage"],
            NotExecutable,
            "exec /bin/garbage: exec format error",
        ),
        (
            &["script"],
            CommandNotFound,
            "exec /bin/script: no such file or directory",
        ),
    ];
    for (args, kind, message) in table {
        assert_eq!(told(args), (kind, message.to_owned()));
    }
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = running(&bundle);
    let request = ExecRequest {
        process: &process(&["nothing"], false),
        stdio: files().0,
        preserve_fds: 0,
        new_keyring: true,
        cgroups: &[],
        meanwhile: None,
    };
    let error = container.exec(request).unwrap_err();
    assert_eq!(error.kind(), CommandNotFound);
    end(container);
}

fn an_unopened_gate_ends_with_its_maker() {
    let bundle = Bundle::new(&["true"]);
    let created = create(&bundle, files().0).unwrap();
    let saved = created.saved();
    let pidfd = sys::fd::duplicate(created.pidfd()).unwrap();
    drop(created);
    sys::pidfd::wait(&pidfd).unwrap();
    Container::remove_remains(&saved, &bundle.spec()).unwrap();
    bundle.assert_nothing_left();
}

fn a_container_dies_with_its_maker() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let (reader, writer) = sys::fd::pipe().unwrap();
    let clone = sys::clone::Clone3::default();
    let maker = clone
        .spawn(|| {
            let container = running(&bundle);
            let saved = serde_json::to_vec(&container.saved()).unwrap();
            File::from(writer).write_all(&saved).unwrap();
            sys::process::exit_now(0)
        })
        .unwrap();
    let mut bytes = Vec::new();
    File::from(reader).read_to_end(&mut bytes).unwrap();
    let saved: runtime::Saved = serde_json::from_slice(&bytes).unwrap();
    sys::pidfd::wait(&maker.pidfd).unwrap();
    if let Some(pidfd) = sys::proc::open(saved.process).unwrap() {
        assert!(sys::pidfd::ended_within(&pidfd, Duration::from_secs(60)).unwrap());
    }
    Container::remove_remains(&saved, &bundle.spec()).unwrap();
    bundle.assert_nothing_left();
}

fn namespaces_are_joined_by_path() {
    let first = Bundle::new(&["sleep", "1000"]);
    let container = running(&first);
    let mut second = Bundle::script("hostname; cat /proc/1/comm");
    let path = |kind: &str| format!("/proc/{}/ns/{kind}", container.process().pid);
    second.config["linux"]["namespaces"] = json!([
        {"type": "mount"}, {"type": "cgroup"},
        {"type": "pid", "path": path("pid")}, {"type": "uts", "path": path("uts")},
        {"type": "ipc", "path": path("ipc")}, {"type": "network", "path": path("net")},
    ]);
    second.config["hostname"] = json!("");
    assert_eq!(run(&second, &[]), (0, "brig\nsleep\n".to_owned()));
    end(container);
}

fn a_user_namespace_maps_ids() {
    let script = "cat /proc/self/uid_map | tr -s ' '; id -u; touch /tmp/x; cat /dev/null; hostname";
    let mut bundle = Bundle::script(script);
    bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "user"}));
    for name in ["uidMappings", "gidMappings"] {
        bundle.config["linux"][name] =
            json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    }
    bundle.mount(json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}));
    std::fs::create_dir(bundle.in_root("tmp")).unwrap();
    for dir in ["proc", "dev", "sys"] {
        std::fs::create_dir_all(bundle.in_root(dir)).unwrap();
    }
    // The temporary directory is its maker's alone; the container's root is somebody else now.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(bundle.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(bundle.in_root(""), Some(100_000), Some(100_000)).unwrap();
    let (code, printed) = run(&bundle, &[]);
    assert_eq!((code, printed.as_str()), (0, " 0 100000 65536\n0\nbrig\n"));
}

fn too_much_memory_is_noticed() {
    let mut bundle = Bundle::script("head -c 200000000 /dev/zero | tail -c 150000000 > /dev/null");
    let limit = 32 << 20;
    bundle.config["linux"]["resources"]["memory"] = json!({"limit": limit});
    let (stdio, _) = files();
    let container = create(&bundle, stdio).unwrap().start().unwrap();
    assert!(!container.oom_killed());
    sys::pidfd::wait(container.pidfd()).unwrap();
    assert!(container.oom_killed());
    container.destroy().unwrap();
    bundle.assert_nothing_left();
}

fn hooks_run_at_their_points() {
    let mut bundle = Bundle::new(&["true"]);
    let log = bundle.path().join("log");
    let hook = |point: &str| {
        let script = format!("read state; echo {point} \"$state\" >> {}", log.display());
        json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}])
    };
    bundle.config["hooks"] = json!({
        "prestart": hook("prestart"), "createRuntime": hook("createRuntime"),
        "createContainer": hook("createContainer"), "poststart": hook("poststart"),
        "poststop": hook("poststop"),
        "startContainer": [{"path": "/bin/true", "args": ["true"]}],
    });
    assert_eq!(run(&bundle, &[]).0, 0);
    let log = std::fs::read_to_string(log).unwrap();
    let points: Vec<_> = log
        .lines()
        .map(|line| {
            let (point, state) = line.split_once(' ').unwrap();
            let state: serde_json::Value = serde_json::from_str(state).unwrap();
            assert_eq!(state["id"], json!(bundle.id));
            format!("{point} {}", state["status"].as_str().unwrap())
        })
        .collect();
    let expected = [
        "prestart creating",
        "createRuntime creating",
        "createContainer creating",
        "poststart running",
        "poststop stopped",
    ];
    assert_eq!(points, expected);
    let failing = json!([{"path": "/bin/sh", "args": ["sh", "-c", "echo no; exit 3"]}]);
    bundle.config["hooks"] = json!({"createRuntime": failing});
    let error = create(&bundle, files().0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error running createRuntime hook #0: /bin/sh: exit code 3: no"
    );
    bundle.config["hooks"] =
        json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "99"], "timeout": 1}]});
    let error = create(&bundle, files().0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error running createRuntime hook #0: /bin/sleep: took longer than 1 s"
    );
    bundle.assert_nothing_left();
}

fn a_saved_container_is_found_again() {
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = running(&bundle);
    let saved = container.saved();
    let found = Container::load(&saved, &bundle.spec()).unwrap().unwrap();
    assert_eq!(exec(&found, &["hostname"]), (0, "brig\n".to_owned()));
    assert_eq!(found.pids().unwrap(), [container.process().pid]);
    end(container);
    assert!(Container::load(&saved, &bundle.spec()).unwrap().is_none());
}

/// No assertion: a line to look at.
fn starts_are_timed() {
    let bundle = Bundle::new(&["true"]);
    let mut times: Vec<Duration> = (0..30)
        .map(|_| {
            let begin = Instant::now();
            assert_eq!(run(&bundle, &[]).0, 0);
            begin.elapsed()
        })
        .collect();
    times.sort();
    let (least, median) = (times[0], times[times.len() / 2]);
    println!("create, start, wait, destroy: {least:?} at least, {median:?} median");
    let bundle = Bundle::new(&["sleep", "1000"]);
    let container = running(&bundle);
    let mut times: Vec<Duration> = (0..30)
        .map(|_| {
            let begin = Instant::now();
            assert_eq!(exec(&container, &["true"]).0, 0);
            begin.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "exec, wait: {:?} at least, {:?} median",
        times[0],
        times[times.len() / 2]
    );
    end(container);
}
