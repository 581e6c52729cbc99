//! Bundles that are wrong: each is refused with a sentence that names what is wrong, with exit code
//! 1, and leaves nothing.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails, and its files are its own"
)]

mod support;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use support::{Bundle, text};

macro_rules! need_containers {
    () => {
        if let Some(reason) = support::cannot_run() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{reason}");
            return;
        }
    };
}

/// Where in the configuration, what is put there, and what is said of it.
const VALUES: &[(&str, &str, &str)] = &[
    // Wrong types.
    (
        "/ociVersion",
        "1",
        "ociVersion: invalid type: integer `1`, expected a string",
    ),
    (
        "/ociVersion",
        "null",
        "ociVersion: invalid type: null, expected a string",
    ),
    ("/process", "[1]", "process"),
    ("/process", "\"sh\"", "process: invalid type: string \"sh\""),
    (
        "/process/args",
        "\"sh\"",
        "process.args: invalid type: string \"sh\", expected a sequence",
    ),
    (
        "/process/args",
        "[\"sh\", 1]",
        "process.args[1]: invalid type: integer `1`, expected a string",
    ),
    (
        "/process/args",
        "{\"0\": \"sh\"}",
        "process.args: invalid type: map, expected a sequence",
    ),
    (
        "/process/env",
        "[null]",
        "process.env[0]: invalid type: null",
    ),
    (
        "/process/cwd",
        "7",
        "process.cwd: invalid type: integer `7`",
    ),
    (
        "/process/terminal",
        "\"yes\"",
        "process.terminal: invalid type: string \"yes\", expected a boolean",
    ),
    (
        "/process/user",
        "0",
        "process.user: invalid type: integer `0`",
    ),
    (
        "/process/user/uid",
        "-1",
        "process.user.uid: invalid value: integer `-1`, expected u32",
    ),
    (
        "/process/user/uid",
        "4294967296",
        "process.user.uid: invalid value: integer `4294967296`",
    ),
    (
        "/process/user/uid",
        "1.5",
        "process.user.uid: invalid type: floating point `1.5`",
    ),
    ("/process/user/uid", "1e400", "number out of range"),
    (
        "/process/user/additionalGids",
        "[-5]",
        "process.user.additionalGids[0]: invalid value",
    ),
    (
        "/process/rlimits",
        "{}",
        "process.rlimits: invalid type: map, expected a sequence",
    ),
    (
        "/process/oomScoreAdj",
        "99999999999",
        "process.oomScoreAdj: invalid value",
    ),
    (
        "/process/capabilities/bounding",
        "\"CAP_KILL\"",
        "process.capabilities.bounding: invalid type",
    ),
    (
        "/process/noNewPrivileges",
        "1",
        "process.noNewPrivileges: invalid type: integer `1`, expected a boolean",
    ),
    (
        "/root",
        "\"rootfs\"",
        "root: invalid type: string \"rootfs\"",
    ),
    ("/root/path", "[]", "root.path: invalid type: sequence"),
    (
        "/linux",
        "[]",
        "linux is a list where an object is expected",
    ),
    (
        "/process/user",
        "[]",
        "process.user is a list where an object is expected",
    ),
    (
        "/hooks",
        "[]",
        "hooks is a list where an object is expected",
    ),
    (
        "/linux/resources/pids",
        "[0]",
        "linux.resources.pids is a list where an object is expected",
    ),
    (
        "/linux/resources/memory",
        "{\"limit\": -2}",
        "linux.resources.memory.limit: -2 is no size",
    ),
    (
        "/root/readonly",
        "0",
        "root.readonly: invalid type: integer `0`, expected a boolean",
    ),
    (
        "/hostname",
        "{}",
        "hostname: invalid type: map, expected a string",
    ),
    (
        "/mounts",
        "{}",
        "mounts: invalid type: map, expected a sequence",
    ),
    ("/mounts/0", "7", "mounts[0]: invalid type: integer `7`"),
    (
        "/mounts/0/options",
        "\"ro\"",
        "mounts[0].options: invalid type: string \"ro\", expected a sequence",
    ),
    ("/linux", "7", "linux: invalid type: integer `7`"),
    (
        "/linux/namespaces",
        "\"pid\"",
        "linux.namespaces: invalid type: string \"pid\", expected a sequence",
    ),
    (
        "/linux/namespaces/0/type",
        "\"planet\"",
        "linux.namespaces[0].type: unknown variant `planet`",
    ),
    (
        "/linux/resources/memory",
        "{\"limit\": \"1g\"}",
        "linux.resources.memory.limit: invalid type: string \"1g\"",
    ),
    (
        "/linux/resources/cpu",
        "{\"shares\": -1}",
        "linux.resources.cpu.shares: invalid value: integer `-1`",
    ),
    (
        "/linux/maskedPaths",
        "\"/proc\"",
        "linux.maskedPaths: invalid type",
    ),
    (
        "/linux/sysctl",
        "[[\"a\", \"b\"]]",
        "linux.sysctl: invalid type: sequence, expected a map",
    ),
    (
        "/linux/sysctl",
        "{\"net.x\": 1}",
        "linux.sysctl.net.x: invalid type: integer `1`, expected a string",
    ),
    (
        "/linux/seccomp",
        "{}",
        "linux.seccomp: missing field `defaultAction`",
    ),
    (
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_MAYBE\"}",
        "linux.seccomp.defaultAction: unknown variant `SCMP_ACT_MAYBE`",
    ),
    (
        "/linux/devices",
        "[{\"path\": \"/dev/x\"}]",
        "linux.devices[0]: missing field `type`",
    ),
    (
        "/hooks",
        "{\"prestart\": {}}",
        "hooks.prestart: invalid type: map, expected a sequence",
    ),
    (
        "/hooks",
        "{\"createRuntime\": [{}]}",
        "hooks.createRuntime[0]: missing field `path`",
    ),
    (
        "/annotations",
        "{\"a\": 1}",
        "annotations.a: invalid type: integer `1`, expected a string",
    ),
    // Right types, wrong values.
    ("/ociVersion", "\"\"", "ociVersion"),
    ("/ociVersion", "\"2.0.0\"", "ociVersion"),
    ("/ociVersion", "\"one\"", "ociVersion"),
    ("/process/args", "[]", "process.args: must name a command"),
    (
        "/process/args",
        "[\"\"]",
        "process.args: must name a command",
    ),
    (
        "/process/args",
        "[\"a\\u0000b\"]",
        "process.args: must not hold a NUL character",
    ),
    (
        "/process/env",
        "[\"A=\\u0000\"]",
        "it must not hold a NUL character",
    ),
    (
        "/process/cwd",
        "\"\"",
        "process.cwd: must be an absolute path",
    ),
    (
        "/process/cwd",
        "\"tmp\"",
        "process.cwd: must be an absolute path",
    ),
    (
        "/process/cwd",
        "\"/a\\u0000b\"",
        "process.cwd: must not hold a NUL character",
    ),
    (
        "/process/user/uid",
        "4294967295",
        "process.user.uid: 4294967295 is no id",
    ),
    (
        "/process/user/gid",
        "4294967295",
        "process.user.gid: 4294967295 is no id",
    ),
    (
        "/process/user/additionalGids",
        "[4294967295]",
        "process.user.additionalGids: 4294967295 is no id",
    ),
    (
        "/process/rlimits",
        "[{\"type\": \"RLIMIT_NOFILE\", \"soft\": 9, \"hard\": 8}]",
        "process.rlimits[RLIMIT_NOFILE]: the soft limit is above the hard one",
    ),
    (
        "/process/rlimits",
        "[{\"type\": \"RLIMIT_CORE\", \"soft\": 1, \"hard\": 1}, {\"type\": \"RLIMIT_CORE\", \"soft\": 1, \"hard\": 1}]",
        "process.rlimits[RLIMIT_CORE]: is there twice",
    ),
    (
        "/process/rlimits",
        "[{\"type\": \"RLIMIT_HEIGHT\", \"soft\": 1, \"hard\": 1}]",
        "RLIMIT_HEIGHT",
    ),
    ("/process/oomScoreAdj", "1001", "oom"),
    ("/process/apparmorProfile", "\"no-such-profile\"", "pparmor"),
    ("/process/selinuxLabel", "\"no:such:label\"", "selinuxLabel"),
    ("/root/path", "\"\"", "root"),
    (
        "/root/path",
        "\"no/such\"",
        "no/such as the root: open_tree: no such file or directory",
    ),
    ("/root/path", "\"config.json\"", "root.path"),
    ("/root/path", "\"a\\u0000b\"", "root"),
    ("/hostname", "\"a\\u0000b\"", "hostname"),
    (
        "/linux/namespaces",
        "[{\"type\": \"pid\"}, {\"type\": \"pid\"}]",
        "linux.namespaces: pid is there twice",
    ),
    ("/linux/namespaces", "[]", "needs a UTS namespace"),
    (
        "/linux/namespaces/0/path",
        "\"/no/such\"",
        "namespace /no/such: open: no such file or directory",
    ),
    ("/linux/namespaces/0/path", "\"/etc/passwd\"", "/etc/passwd"),
    (
        "/linux/namespaces/0/path",
        "\"/proc/self/ns/uts\"",
        "/proc/self/ns/uts",
    ),
    (
        "/linux/uidMappings",
        "[{\"containerID\": -1, \"hostID\": 0, \"size\": 1}]",
        "linux.uidMappings[0].containerID: invalid value",
    ),
    ("/linux/cgroupsPath", "\"/../../etc\"", "cgroup"),
    ("/linux/cgroupsPath", "\"/a\\u0000b\"", "cgroup"),
    (
        "/linux/cgroupsPath",
        "\"a:b:c\"",
        "linux.cgroupsPath: \"a:b:c\" names a unit of systemd",
    ),
    (
        "/linux/rootfsPropagation",
        "\"sideways\"",
        "linux.rootfsPropagation: \"sideways\" is none of",
    ),
    (
        "/linux/sysctl",
        "{\"kernel.panic\": \"1\"}",
        "linux.sysctl.kernel.panic: is the whole machine's",
    ),
    (
        "/linux/sysctl",
        "{\"net.no.such\": \"1\"}",
        "cannot set sysctl net.no.such",
    ),
    (
        "/linux/sysctl",
        "{\"net.ipv4.ip_forward\": \"maybe\"}",
        "cannot set sysctl net.ipv4.ip_forward to \"maybe\"",
    ),
    (
        "/linux/sysctl",
        "{\"net.\\u0000\": \"1\"}",
        "cannot set sysctl net.",
    ),
    (
        "/linux/devices",
        "[{\"path\": \"dev/x\", \"type\": \"c\", \"major\": 1, \"minor\": 3}]",
        "linux.devices[dev/x]: the path must be absolute",
    ),
    (
        "/linux/devices",
        "[{\"path\": \"/\", \"type\": \"c\", \"major\": 1, \"minor\": 3}]",
        "linux.devices[/]: the path must be absolute and name a file",
    ),
    (
        "/linux/devices",
        "[{\"path\": \"/dev/x\", \"type\": \"c\", \"major\": -1, \"minor\": 3}]",
        "linux.devices[/dev/x]: device numbers are not negative",
    ),
    (
        "/linux/devices",
        "[{\"path\": \"/dev/x\", \"type\": \"a\", \"major\": 1, \"minor\": 3}]",
        "linux.devices[/dev/x]: the type must be one of c, b, u, p",
    ),
    ("/linux/resources/cpu", "{\"cpus\": \"0-banana\"}", "cpu"),
    (
        "/linux/resources/cpu",
        "{\"period\": 1, \"quota\": 1}",
        "cpu",
    ),
    (
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"read\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 6, \"value\": 0, \"op\": \"SCMP_CMP_EQ\"}]}]}",
        "argument 6",
    ),
    (
        "/linux/seccomp",
        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 5000}",
        "5000",
    ),
    (
        "/hooks",
        "{\"createRuntime\": [{\"path\": \"bin/true\"}]}",
        "hooks.createRuntime[0].path: must be an absolute path",
    ),
    (
        "/hooks",
        "{\"createRuntime\": [{\"path\": \"/no/such\"}]}",
        "createRuntime hook #0: /no/such: execve: no such file or directory",
    ),
    (
        "/hooks",
        "{\"createRuntime\": [{\"path\": \"/bin/false\"}]}",
        "createRuntime hook #0: /bin/false: exit code 1",
    ),
    (
        "/hooks",
        "{\"createRuntime\": [{\"path\": \"/bin/true\", \"env\": [\"\\u0000\"]}]}",
        "createRuntime hook #0: /bin/true: execve: invalid argument",
    ),
    // Mounts.
    ("/mounts/0", "{}", "mounts[0]: missing field `destination`"),
    (
        "/mounts/0",
        "{\"destination\": \"/x\"}",
        "mounts[/x].type: is missing",
    ),
    (
        "/mounts/0",
        "{\"destination\": \"/x\", \"type\": \"bind\"}",
        "mounts[/x].source: is missing",
    ),
    (
        "/mounts/0",
        "{\"destination\": \"/x\", \"type\": \"bind\", \"source\": \"/no/such\"}",
        "bind /no/such to /x: open_tree: no such file or directory",
    ),
    (
        "/mounts/0",
        "{\"destination\": \"/x\", \"type\": \"cheese\", \"source\": \"x\"}",
        "cannot mount cheese on /x",
    ),
    (
        "/mounts/0",
        "{\"destination\": \"/x\", \"type\": \"tmpfs\", \"source\": \"x\", \"options\": [\"size=banana\"]}",
        "cannot mount tmpfs on /x",
    ),
    (
        "/mounts/0",
        "{\"destination\": \"/x\", \"type\": \"tmpfs\", \"source\": \"x\", \"options\": [\"no-such-option\"]}",
        "cannot mount tmpfs on /x",
    ),
    (
        "/mounts/0",
        "{\"destination\": \"/x\\u0000y\", \"type\": \"tmpfs\", \"source\": \"x\"}",
        "mounts",
    ),
    (
        "/mounts/0",
        "{\"destination\": \"/bin/busybox/x\", \"type\": \"tmpfs\", \"source\": \"x\"}",
        "mount point /bin/busybox/x",
    ),
    (
        "/mounts/0",
        "{\"destination\": \"\", \"type\": \"tmpfs\", \"source\": \"x\"}",
        "mounts",
    ),
];

fn put(config: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        object => object[name] = value,
    }
}

/// Must refuse: one sentence with these words, exit code 1, nothing left.
fn refused(bundle: &Bundle, what: &str, says: &str) -> Result<(), String> {
    let output = bundle.output(&["run", "ID"]);
    bundle.assert_nothing_left();
    // The log quotes quotes.
    let said = text(&output.stderr).replace("\\\"", "\"");
    let lines = said.lines().count();
    if output.status.code() == Some(1) && said.contains(says) && lines == 1 && said.len() < 7000 {
        return Ok(());
    }
    let code = output.status.code();
    Err(format!("{what}\n  wanted {says:?}\n  {code:?} {said:.400}"))
}

fn assert_all(results: impl IntoIterator<Item = Result<(), String>>) {
    let wrong: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn values_are_refused_by_name() {
    need_containers!();
    assert!(VALUES.len() >= 100, "{}", VALUES.len());
    assert_all(VALUES.iter().map(|(pointer, value, says)| {
        let mut bundle = Bundle::new(&["true"]);
        // A number that no type holds is only text.
        let mark = json!("@mark@");
        put(&mut bundle.config, pointer, mark);
        let text = bundle.config.to_string().replace("\"@mark@\"", value);
        std::fs::write(bundle.path().join("config.json"), text).unwrap();
        refused(&bundle, &format!("{pointer} = {value}"), says)
    }));
}

#[test]
fn text_that_is_no_configuration_is_refused() {
    need_containers!();
    let deep = |open: &str, close: &str| {
        format!(
            "{{\"ociVersion\":\"1.0.0\",\"annotations\":{}{}}}",
            open.repeat(5000),
            close.repeat(5000)
        )
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", b"".to_vec(), "EOF while parsing"),
        ("blanks", b" \n\n ".to_vec(), "EOF while parsing"),
        ("a list", b"[]".to_vec(), "a list where an object"),
        ("null", b"null".to_vec(), "invalid type: null"),
        ("a word", b"true".to_vec(), "invalid type: boolean `true`"),
        ("an empty object", b"{}".to_vec(), "ociVersion"),
        ("an open object", b"{\"ociVersion\": \"1.0.0\"".to_vec(), "EOF while parsing an object"),
        ("two documents", b"{\"ociVersion\": \"1.0.0\"}{}".to_vec(), "trailing characters"),
        ("the same name twice", b"{\"ociVersion\": \"1.0.0\", \"ociVersion\": \"1.0.0\"}".to_vec(), "duplicate field `ociVersion`"),
        ("NUL bytes", vec![0; 100], "expected value"),
        ("no UTF-8", b"{\"ociVersion\": \"\xff\xfe\"}".to_vec(), "invalid unicode"),
        ("half a pair", b"{\"ociVersion\": \"\\ud800\"}".to_vec(), "unexpected end of hex escape"),
        ("a byte order mark", "\u{feff}{}".as_bytes().to_vec(), "expected value"),
        ("UTF-16", "{}".encode_utf16().flat_map(u16::to_le_bytes).collect(), "key must be a string"),
        ("a program", b"\x7fELF\x02\x01\x01".to_vec(), "expected value"),
        ("a deep list", deep("[", "]").into_bytes(), "recursion limit exceeded"),
        ("a deep object", deep("{\"a\":", "}").into_bytes(), "recursion limit exceeded"),
        ("deep ignored lists", deep("[", "]").replace("annotations", "x").into_bytes(), "is missing"),
        ("comments", b"// {}\n{}".to_vec(), "expected value"),
        ("only a version", b"{\"ociVersion\": \"1.0.0\"}".to_vec(), "is missing"),
        ("no Linux", b"{\"ociVersion\": \"1.0.0\", \"process\": {\"cwd\": \"/\", \"args\": [\"a\"], \"user\": {}}}".to_vec(), "linux"),
    ];
    assert_all(cases.iter().map(|(what, bytes, says)| {
        let bundle = Bundle::new(&["true"]);
        std::fs::write(bundle.path().join("config.json"), bytes).unwrap();
        refused(&bundle, what, says)
    }));
}

/// Puts something that is no configuration under its name.
type Place = fn(&Path);

#[test]
fn what_is_no_file_is_refused_and_never_waited_for() {
    need_containers!();
    let fifo: Place = |path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let huge: Place = |path| {
        let file = std::fs::File::create(path).unwrap();
        file.set_len(1 << 40).unwrap();
    };
    let cases: [(Place, &str); 9] = [
        (|_| {}, "config.json: open: no such file or directory"),
        (
            |path| std::fs::create_dir(path).unwrap(),
            "config.json is no regular file",
        ),
        (fifo, "config.json is no regular file"),
        (huge, "config.json is longer than 64 MiB"),
        (
            |path| symlink("config.json", path).unwrap(),
            "config.json: open: too many levels of symbolic links",
        ),
        (
            |path| symlink("/no/such", path).unwrap(),
            "config.json: open: no such file or directory",
        ),
        (
            |path| symlink("/dev/zero", path).unwrap(),
            "config.json is no regular file",
        ),
        (
            |path| symlink("/proc/self/mem", path).unwrap(),
            "config.json",
        ),
        (
            |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
            "config.json: open: no such device or address",
        ),
    ];
    assert_all(cases.iter().enumerate().map(|(number, (place, says))| {
        let bundle = Bundle::new(&["true"]);
        place(&bundle.path().join("config.json"));
        refused(&bundle, &format!("case {number}"), says)
    }));
}

#[test]
fn roots_and_sources_that_are_none_are_refused() {
    need_containers!();
    let replace_root: fn(&Bundle) = |bundle| std::fs::remove_dir_all(bundle.in_root("")).unwrap();
    let fifo = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let mut bundle = Bundle::new(&["true"]);
    bundle.write();
    let root = bundle.path().join("rootfs");
    let mut results = Vec::new();
    replace_root(&bundle);
    results.push(refused(
        &bundle,
        "no root",
        "rootfs as the root: open_tree: no such file",
    ));
    symlink("rootfs", &root).unwrap();
    results.push(refused(
        &bundle,
        "a root that is its own link",
        "too many levels of symbolic links",
    ));
    std::fs::remove_file(&root).unwrap();
    fifo(&root);
    results.push(refused(
        &bundle,
        "a FIFO for a root",
        "rootfs is no directory",
    ));
    std::fs::remove_file(&root).unwrap();
    support::make_root(&root);
    for name in ["a", "b"] {
        symlink(
            if name == "a" { "b" } else { "a" },
            bundle.path().join(name),
        )
        .unwrap();
    }
    bundle.mount(json!({"destination": "/x", "type": "bind", "source": "a", "options": ["bind"]}));
    bundle.write();
    results.push(refused(
        &bundle,
        "a source that goes round",
        "too many levels of symbolic links",
    ));
    let long = format!("/{}", "x".repeat(300));
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    *mounts.last_mut().unwrap() = json!({"destination": long, "type": "tmpfs", "source": "x"});
    bundle.write();
    results.push(refused(
        &bundle,
        "a name that is too long",
        "file name too long",
    ));
    let path = bundle.in_root("fifo");
    fifo(&path);
    bundle.config["linux"]["namespaces"][0] = json!({"type": "pid", "path": path});
    let mounts = bundle.config["mounts"].as_array_mut().unwrap();
    mounts.pop();
    bundle.write();
    results.push(refused(&bundle, "a FIFO for a namespace", "rootfs/fifo"));
    assert_all(results);
}

/// The state document is JSON, and the bundle's path is in it.
#[test]
fn a_bundle_has_a_name_of_text() {
    need_containers!();
    for (name, good) in [
        (b" b\xc3\xbcndel\n".as_slice(), true),
        (b"\xff".as_slice(), false),
    ] {
        let bundle = Bundle::new(&["pwd"]);
        let dir = bundle.path().join(std::ffi::OsStr::from_bytes(name));
        std::fs::create_dir(&dir).unwrap();
        bundle.write();
        for file in ["config.json", "rootfs"] {
            std::fs::rename(bundle.path().join(file), dir.join(file)).unwrap();
        }
        let mut command = bundle.command(&["run", "-b"]);
        let output = command.arg(&dir).arg(&bundle.id).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(
            text(&output.stdout),
            if good { "/\n" } else { "" },
            "{said}"
        );
        assert_eq!(said.contains("is no UTF-8"), !good, "{said}");
        bundle.assert_nothing_left();
    }
}

/// Lists beyond all measure end in a refusal, and in time.
#[test]
fn huge_lists_are_refused() {
    need_containers!();
    let mut results = Vec::new();
    let mut check = |what: &str, change: &dyn Fn(&mut Value), says: &str| {
        let mut bundle = Bundle::new(&["true"]);
        change(&mut bundle.config);
        bundle.write();
        results.push(refused(&bundle, what, says));
    };
    // Of one file system all: with thousands of them every cgroup that is made afterwards is slow, until
    // the machine is started again (the kernel never makes its table of shrinkers smaller).
    let mount =
        |n: usize| json!({"destination": format!("/dev/{n}"), "type": "mqueue", "source": "x"});
    check(
        "more mounts than there may be",
        &|config| {
            config["mounts"]
                .as_array_mut()
                .unwrap()
                .extend((0..100_001).map(mount))
        },
        "mounts",
    );
    let word = |n: usize| json!(format!("a{n}"));
    check(
        "many arguments",
        &|config| config["process"]["args"] = (0..300_000).map(word).collect(),
        "executable file not found",
    );
    check(
        "many arguments of a command",
        &|config| {
            config["process"]["args"] = ["true"]
                .map(Value::from)
                .into_iter()
                .chain((0..300_000).map(word))
                .collect();
        },
        "argument list too long",
    );
    let rule = |n: u64| {
        json!({"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": n % 100,
               "args": [{"index": 0, "value": n, "op": "SCMP_CMP_EQ"}]})
    };
    check(
        "ten thousand rules",
        &|config| {
            config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": (0..10_000).map(rule).collect::<Value>()});
        },
        "the kernel takes 4096",
    );
    let namespace = json!({"type": "uts", "path": "/proc/self/ns/uts"});
    check(
        "ten thousand namespaces",
        &|config| config["linux"]["namespaces"] = vec![namespace.clone(); 10_000].into(),
        "uts is there twice",
    );
    let path = "/x".repeat(3000);
    check(
        "a path beyond the kernel's",
        &|config| config["process"]["cwd"] = json!(path),
        "file name too long",
    );
    assert_all(results);
}
