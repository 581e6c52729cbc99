//! Checkpoint and restore, by the real criu.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Bundle, text};

fn skip(reason: &str) {
    let _ = writeln!(std::io::stderr(), "{reason}");
}

/// The criu that the setup has fetched, or the machine's.
fn criu() -> Option<PathBuf> {
    let cache = std::env::var_os("BRIG_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache"));
    let places = [
        std::env::var_os("BRIG_CRIU").map(PathBuf::from),
        Some(cache.join("tools/criu/bin/criu")),
        Some("/opt/criu/bin/criu".into()),
        Some("/usr/sbin/criu".into()),
    ];
    places.into_iter().flatten().find(|path| path.exists())
}

/// Why nothing can be tested here, if so; otherwise the program.
fn ready() -> Result<PathBuf, String> {
    if let Some(reason) = support::cannot_run() {
        return Err(reason.to_owned());
    }
    let criu = criu().ok_or("SKIP: no criu (scripts/setup.sh test)")?;
    // The machine's programs that criu runs for a container's file systems and network.
    for (program, maker) in [
        ("tar", "GNU tar"),
        ("ip", "iproute2"),
        ("iptables-save", "iptables"),
    ] {
        let version = Command::new(program).arg("-V").output();
        let version = version
            .map(|output| text(&output.stdout))
            .unwrap_or_default();
        let is_it = version.contains(maker) || (program == "tar" && is_gnu_tar());
        if !is_it {
            return Err(format!("SKIP: criu needs {maker} for its {program}"));
        }
    }
    let check = Command::new(&criu).arg("check").output();
    let check = check.map_err(|error| format!("SKIP: criu does not run here: {error}"))?;
    if check.status.success() {
        return Ok(criu);
    }
    let said = text(&check.stdout) + &text(&check.stderr);
    Err(format!("SKIP: criu check says: {}", said.trim()))
}

fn is_gnu_tar() -> bool {
    let version = Command::new("tar").arg("--version").output();
    version.is_ok_and(|output| text(&output.stdout).contains("GNU tar"))
}

macro_rules! need_criu {
    () => {
        match ready() {
            Ok(criu) => criu,
            Err(reason) => return skip(&reason),
        }
    };
}

/// Whether this kernel has what one of criu's features needs.
fn has_feature(criu: &Path, feature: &str) -> bool {
    let mut check = Command::new(criu);
    let output = check
        .args(["check", "--feature", feature])
        .output()
        .unwrap();
    output.status.success() && !text(&output.stderr).contains("is OFF")
}

/// A bundle, and the criu for its commands.
struct Subject {
    bundle: Bundle,
    criu: PathBuf,
}

impl Subject {
    fn new(criu: PathBuf, script: &str) -> Self {
        let bundle = Bundle::script(script);
        std::fs::create_dir(bundle.in_root("tmp")).unwrap();
        bundle.write();
        Self { bundle, criu }
    }

    fn command(&self, words: &[&str]) -> Command {
        let criu = ["--criu", self.criu.to_str().unwrap()];
        let mut command = self.bundle.command(&[&criu, words].concat());
        command.stdout(Stdio::null());
        command
    }

    fn succeed(&self, words: &[&str]) -> String {
        let output = self.command(words).stdout(Stdio::piped()).output().unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}",
            self.told(&text(&output.stderr))
        );
        text(&output.stdout)
    }

    fn refuse(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert!(!output.status.success(), "{words:?}");
        text(&output.stderr)
    }

    /// A verb whose container outlives it must not get a pipe for its errors that the container
    /// keeps; what else it gets is the caller's affair.
    fn detached(&self, command: &mut Command) {
        let path = self.bundle.path().join("errors");
        let file = std::fs::File::create(&path).unwrap();
        let status = command.stderr(file).status().unwrap();
        let said = std::fs::read_to_string(path).unwrap();
        assert!(status.success(), "{}", self.told(&said));
    }

    /// With what criu has to say itself.
    fn told(&self, said: &str) -> String {
        let mut all = said.to_owned();
        for log in ["checkpoint/dump.log", "checkpoint/restore.log"] {
            let text = std::fs::read_to_string(self.bundle.path().join(log)).unwrap_or_default();
            for line in text.lines().filter(|line| line.contains("Error")) {
                all += &format!("\n{log}: {line}");
            }
        }
        all
    }

    fn status(&self) -> String {
        let state: Value = serde_json::from_str(&self.succeed(&["state", "ID"])).unwrap();
        state["status"].as_str().unwrap().to_owned()
    }

    fn delete(&self) {
        self.succeed(&["delete", "-f", "ID"]);
        self.bundle.assert_nothing_left();
    }
}

/// How long an answer may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Counts in memory, and answers each line with the next number.
const COUNTER: &str = "i=0; while read line; do i=$((i+1)); echo $line $i; done";

/// Both ends of what a container reads and what it writes.
struct Pipes {
    to: std::fs::File,
    from: std::fs::File,
    inner: (OwnedFd, OwnedFd),
}

impl Pipes {
    fn new() -> Self {
        let (input, to) = sys::fd::pipe().unwrap();
        let (from, output) = sys::fd::pipe().unwrap();
        Self {
            to: to.into(),
            from: from.into(),
            inner: (input, output),
        }
    }

    fn give<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.stdin(self.inner.0.try_clone().unwrap());
        command.stdout(self.inner.1.try_clone().unwrap())
    }

    fn ask(&mut self, line: &str) -> String {
        self.to.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while byte != *b"\n" {
            let spoken = sys::event::readable_within(&self.from, PATIENCE);
            assert!(spoken.unwrap(), "no answer to {line}");
            self.from.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        text(&answer).trim().to_owned()
    }
}

#[test]
fn what_was_in_memory_is_there_again() {
    let subject = Subject::new(need_criu!(), COUNTER);
    let mut pipes = Pipes::new();
    subject.detached(pipes.give(&mut subject.command(&["run", "-d", "ID"])));
    assert_eq!(pipes.ask("a"), "a 1");
    for round in 2..4 {
        subject.succeed(&["checkpoint", "ID"]);
        // Nothing of it is left but the images.
        subject.bundle.assert_nothing_left();
        subject.detached(pipes.give(&mut subject.command(&["restore", "-d", "ID"])));
        assert_eq!(subject.status(), "running");
        assert_eq!(pipes.ask("b"), format!("b {round}"));
    }
    assert_eq!(subject.succeed(&["exec", "ID", "echo", "ok"]), "ok\n");
    // The root of the restoration was a mount that nobody else saw.
    let root = std::fs::read_dir(subject.bundle.state().join(&subject.bundle.id).join("root"));
    assert_eq!(root.unwrap().count(), 0);
    subject.delete();
    assert!(subject.bundle.in_root("bin/busybox").exists());
}

#[test]
fn a_container_goes_on_after_a_checkpoint_or_elsewhere() {
    let subject = Subject::new(need_criu!(), COUNTER);
    let mut pipes = Pipes::new();
    subject.detached(pipes.give(&mut subject.command(&["run", "-d", "ID"])));
    assert_eq!(pipes.ask("a"), "a 1");
    let words = [
        "checkpoint",
        "--leave-running",
        "--image-path",
        "images",
        "--work-path",
        "work",
        "ID",
    ];
    subject.succeed(&words);
    assert!(subject.bundle.path().join("work/dump.log").exists());
    assert_eq!(pipes.ask("b"), "b 2");
    subject.delete();
    // In the foreground, by another name, from the earlier moment; its end is the command's.
    let other = format!("{}-other", subject.bundle.id);
    let mut words = vec!["restore", "--image-path", "images", "--pid-file", "pid"];
    words.push(&other);
    let mut pipes = Pipes::new();
    let mut command = subject.command(&words);
    let mut child = pipes
        .give(&mut command)
        // A stream that was a file is to be one again.
        .stderr(std::fs::File::create(subject.bundle.path().join("errors")).unwrap())
        .spawn()
        .unwrap();
    drop(command);
    assert_eq!(pipes.ask("c"), "c 2");
    // The container goes on before the command has written everything.
    let state = subject.bundle.state().join(&other).join("state.json");
    support::until("the container is recorded", || state.exists());
    let pid = std::fs::read_to_string(subject.bundle.path().join("pid")).unwrap();
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(cgroups.contains(&subject.bundle.id), "{cgroups}");
    subject.succeed(&["kill", &other, "KILL"]);
    assert_eq!(child.wait().unwrap().code(), Some(137));
    subject.bundle.assert_nothing_left();
}

/// Binds at links and in other binds, whose mount points were lost meanwhile; a process that joined
/// after a restoration; and the cgroup that the configuration names now.
#[test]
fn what_was_bound_or_joined_comes_back() {
    let mut subject = Subject::new(need_criu!(), "sleep 1000");
    let bundle = &mut subject.bundle;
    std::fs::create_dir_all(bundle.in_root("real/place")).unwrap();
    std::os::unix::fs::symlink("/real/place", bundle.in_root("link")).unwrap();
    for (source, target) in [
        ("one", "/link"),
        ("two", "/other"),
        ("three", "/other/inner"),
    ] {
        std::fs::create_dir(bundle.path().join(source)).unwrap();
        bundle.mount(json!({
            "destination": target, "type": "bind", "source": source, "options": ["bind", "rprivate"],
        }));
    }
    bundle.write();
    subject.detached(&mut subject.command(&["run", "-d", "ID"]));
    for _ in 0..2 {
        subject.succeed(&["checkpoint", "ID"]);
        std::fs::remove_dir(subject.bundle.path().join("two/inner")).unwrap();
        subject.detached(&mut subject.command(&["restore", "-d", "ID"]));
        let script = "sleep 1000 </dev/null >/dev/null 2>&1 & touch /link/a /other/inner/a";
        subject.detached(&mut subject.command(&["exec", "ID", "sh", "-c", script]));
    }
    for touched in ["one/a", "three/a"] {
        assert!(subject.bundle.path().join(touched).exists(), "{touched}");
    }
    let ignore = ["--manage-cgroups-mode", "ignore", "ID"];
    subject.succeed(&[&["checkpoint"], &ignore[..]].concat());
    std::fs::remove_dir(subject.bundle.path().join("two/inner")).unwrap();
    subject.detached(&mut subject.command(&[&["restore", "-d"], &ignore[..]].concat()));
    let state: Value = serde_json::from_str(&subject.succeed(&["state", "ID"])).unwrap();
    let cgroups = std::fs::read_to_string(format!("/proc/{}/cgroup", state["pid"])).unwrap();
    assert!(
        cgroups.contains(&format!("/{}\n", subject.bundle.id)),
        "{cgroups}"
    );
    subject.delete();
}

#[test]
fn a_terminal_comes_back() {
    let mut subject = Subject::new(need_criu!(), COUNTER);
    subject.bundle.config["process"]["terminal"] = json!(true);
    subject.bundle.write();
    let path = subject.bundle.path().join("console.sock");
    let listener = sys::socket::listen(&path, sys::socket::Kind::Stream).unwrap();
    let ask = |master: &OwnedFd, line: &str, expected: &str| {
        sys::fd::write_all(master, line.as_bytes()).unwrap();
        let mut said = Vec::with_capacity(256);
        while !text(&said).contains(expected) {
            sys::event::try_read(master, &mut said).unwrap();
        }
    };
    let run = |words: &[&str]| {
        subject.detached(&mut subject.command(words));
        let connection = sys::socket::accept(&listener, false).unwrap().unwrap();
        let mut message = sys::socket::receive(&connection).unwrap().unwrap();
        message.fds.pop().unwrap()
    };
    let master = run(&["run", "-d", "--console-socket", "console.sock", "ID"]);
    ask(&master, "a\n", "a 1");
    subject.succeed(&["checkpoint", "ID"]);
    drop(master);
    let master = run(&["restore", "-d", "--console-socket", "console.sock", "ID"]);
    ask(&master, "b\n", "b 2");
    subject.delete();
}

#[test]
fn memory_is_written_beforehand() {
    let criu = need_criu!();
    if !has_feature(&criu, "mem_dirty_track") {
        return skip("SKIP: this kernel does not track changes of memory");
    }
    let subject = Subject::new(criu, COUNTER);
    let mut pipes = Pipes::new();
    subject.detached(pipes.give(&mut subject.command(&["run", "-d", "ID"])));
    assert_eq!(pipes.ask("a"), "a 1");
    subject.succeed(&["checkpoint", "--pre-dump", "--image-path", "before", "ID"]);
    assert_eq!(pipes.ask("b"), "b 2");
    let words = [
        "checkpoint",
        "--parent-path",
        "../before",
        "--image-path",
        "images",
        "ID",
    ];
    subject.succeed(&words);
    let words = ["restore", "-d", "--image-path", "images", "ID"];
    subject.detached(pipes.give(&mut subject.command(&words)));
    assert_eq!(pipes.ask("c"), "c 3");
    subject.delete();
}

/// Where nobody else listens: an address of this process's own, a port of this call's.
///
/// A port of 127.0.0.1 that was free a moment ago may be somebody else's by now.
fn free_address() -> std::net::SocketAddrV4 {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(20_000);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let own = std::net::Ipv4Addr::new(127, 64 | (high & 63), middle, low);
    let port = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    std::net::SocketAddrV4::new(own, port)
}

/// A criu of its own that ends with the test.
struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(subject: &Subject, words: &[&str]) -> Server {
    let log = std::fs::File::create(subject.bundle.path().join("server.log")).unwrap();
    let mut server = Command::new(&subject.criu);
    server
        .args(words)
        .current_dir(subject.bundle.path().join("checkpoint"));
    Server(server.stdin(Stdio::null()).stdout(log).spawn().unwrap())
}

#[test]
fn memory_is_sent_to_a_page_server() {
    let subject = Subject::new(need_criu!(), COUNTER);
    let mut pipes = Pipes::new();
    subject.detached(pipes.give(&mut subject.command(&["run", "-d", "ID"])));
    assert_eq!(pipes.ask("a"), "a 1");
    std::fs::create_dir(subject.bundle.path().join("checkpoint")).unwrap();
    let to = free_address();
    let (address, port) = (to.ip().to_string(), to.port().to_string());
    // It says that it listens by this descriptor, and ends when it has everything.
    let (read, write) = sys::fd::pipe().unwrap();
    sys::fd::set_close_on_exec(&write, false).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&write).to_string();
    let words = ["page-server", "--address", &address, "--port", &port];
    let words = [&words[..], &["--status-fd", &number, "-D", "."]].concat();
    let mut server = serve(&subject, &words);
    drop(write);
    assert!(sys::event::readable_within(&read, PATIENCE).unwrap());
    let to = to.to_string();
    subject.succeed(&["checkpoint", "--page-server", &to, "ID"]);
    assert!(server.0.wait().unwrap().success());
    subject.detached(pipes.give(&mut subject.command(&["restore", "-d", "ID"])));
    assert_eq!(pipes.ask("b"), "b 2");
    subject.delete();
    let said = subject.refuse(&["checkpoint", "--page-server", "here", "ID"]);
    assert!(said.contains("does not exist") || said.contains("ADDRESS:PORT"));
}

/// The memory stays where it was until somebody wants it: the container is there twice meanwhile.
#[test]
fn memory_is_brought_when_it_is_used() {
    let criu = need_criu!();
    if !has_feature(&criu, "uffd-noncoop") {
        return skip("SKIP: this kernel tells nobody of missing memory");
    }
    if !sys::caps::bounding().contains(sys::caps::Capabilities::named("SYS_RESOURCE").unwrap()) {
        return skip("SKIP: criu needs more pipes than it may have without CAP_SYS_RESOURCE");
    }
    let mut subject = Subject::new(criu, COUNTER);
    let mut pipes = Pipes::new();
    subject.detached(pipes.give(&mut subject.command(&["run", "-d", "ID"])));
    assert_eq!(pipes.ask("a"), "a 1");
    let to = free_address();
    let (address, port) = (to.ip().to_string(), to.port().to_string());
    let to = to.to_string();
    let (read, write) = sys::fd::pipe().unwrap();
    sys::fd::set_close_on_exec(&write, false).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&write).to_string();
    let ways = ["--lazy-pages", "--manage-cgroups-mode", "ignore"];
    let words = ["checkpoint", "--page-server", &to, "--status-fd", &number];
    let words = [&words[..], &ways, &["ID"]].concat();
    let mut checkpoint = subject.command(&words).spawn().unwrap();
    drop(write);
    assert!(sys::event::readable_within(&read, PATIENCE).unwrap());
    let words = ["lazy-pages", "--page-server", "--address", &address];
    let words = [&words[..], &["--port", &port, "-D", "."]].concat();
    let mut server = serve(&subject, &words);
    // The other one has its cgroup still.
    let (first, second) = (
        subject.bundle.id.clone(),
        format!("{}-again", subject.bundle.id),
    );
    subject.bundle.config["linux"]["cgroupsPath"] = json!(format!("/{second}"));
    subject.bundle.write();
    let words = ["restore", "-d", "--work-path", "checkpoint"];
    let words = [&words[..], &ways, &[&second]].concat();
    subject.detached(pipes.give(&mut subject.command(&words)));
    assert_eq!(pipes.ask("b"), "b 2");
    assert!(checkpoint.wait().unwrap().success());
    assert!(server.0.wait().unwrap().success());
    subject.bundle.assert_nothing_left();
    subject.bundle.id = second;
    assert_eq!(pipes.ask("c"), "c 3");
    subject.delete();
    subject.bundle.id = first;
}

#[test]
fn a_network_of_the_host_stays_the_same() {
    let mut subject = Subject::new(need_criu!(), COUNTER);
    let mut owner = Command::new("unshare")
        .args(["--net", "sh", "-c", "echo; exec sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    owner.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let path = format!("/proc/{}/ns/net", owner.id());
    let before = std::fs::read_link(&path).unwrap();
    let namespaces = subject.bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap();
    for namespace in namespaces {
        if namespace["type"] == "network" {
            namespace["path"] = json!(path);
        }
    }
    subject.bundle.write();
    let mut pipes = Pipes::new();
    subject.detached(pipes.give(&mut subject.command(&["run", "-d", "ID"])));
    assert_eq!(pipes.ask("a"), "a 1");
    subject.succeed(&["checkpoint", "ID"]);
    subject.detached(pipes.give(&mut subject.command(&["restore", "-d", "ID"])));
    assert_eq!(pipes.ask("b"), "b 2");
    let state: Value = serde_json::from_str(&subject.succeed(&["state", "ID"])).unwrap();
    let after = std::fs::read_link(format!("/proc/{}/ns/net", state["pid"])).unwrap();
    assert_eq!(after, before);
    subject.delete();
    owner.kill().unwrap();
    owner.wait().unwrap();
}

#[test]
fn what_cannot_be_done_is_told() {
    let subject = Subject::new(need_criu!(), COUNTER);
    subject.detached(&mut subject.command(&["create", "ID"]));
    assert!(
        subject
            .refuse(&["checkpoint", "ID"])
            .contains("created state")
    );
    let words = ["checkpoint", "--manage-cgroups-mode", "hard", "ID"];
    assert!(!subject.refuse(&words).is_empty());
    subject.delete();
    // Without images, and with broken ones.
    assert!(subject.refuse(&["restore", "ID"]).contains("brig.json"));
    subject.bundle.assert_nothing_left();
    let images = subject.bundle.path().join("checkpoint");
    std::fs::create_dir_all(&images).unwrap();
    let note = json!({"namespaces": 0, "mounts": [], "streams": ["", "", ""], "terminal": false});
    sys::file::replace_unsynced(
        &images.join("brig.json"),
        note.to_string().as_bytes(),
        0o600,
    )
    .unwrap();
    let said = subject.refuse(&["restore", "ID"]);
    assert!(
        said.contains("criu failed") && said.contains("restore.log"),
        "{said}"
    );
    subject.bundle.assert_nothing_left();
    let said = text(
        &subject
            .bundle
            .output(&["--criu", "/nowhere/criu", "restore", "ID"])
            .stderr,
    );
    assert!(said.contains("/nowhere/criu is not there"), "{said}");
    subject.bundle.assert_nothing_left();
    assert!(subject.bundle.in_root("bin/busybox").exists());
}
