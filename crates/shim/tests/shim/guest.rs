//! A container for one test.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use shim::log::{Line, Reader, Start, Stream};
use shim::{
    AttachOptions, Call, ExitRecord, Filter, Launch, Notice, Program, Reply, Shim, Streams, Watch,
};
use types::{ExecId, ProcessRef};

/// Longer than anything here takes, shorter than a hung test is worth.
pub(crate) const LONG: Duration = Duration::from_secs(60);

const BUSYBOX: [&str; 2] = ["/bin/busybox", "/usr/bin/busybox"];

/// Where this machine has one that needs no library.
fn busybox() -> Option<&'static Path> {
    BUSYBOX
        .into_iter()
        .map(Path::new)
        .find(|path| is_static(path))
}

/// Tells why a test does not run. Not by `eprintln`, whose text is kept from view when a test
/// passes.
pub(crate) fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIP: {why}");
}

pub(crate) const STDIN: Streams = Streams {
    stdin: true,
    stdout: false,
    stderr: false,
};
pub(crate) const OUTPUT: Streams = Streams {
    stdin: false,
    stdout: true,
    stderr: true,
};
pub(crate) const ALL: Streams = Streams {
    stdin: true,
    stdout: true,
    stderr: true,
};

/// Whether this machine can run containers; says why it cannot.
pub(crate) fn can_run() -> bool {
    let missing = [
        (sys::process::user() != 0, "root"),
        (busybox().is_none(), "a static busybox"),
    ]
    .into_iter()
    .find_map(|(missing, what)| missing.then_some(what));
    if let Some(what) = missing {
        skip(&format!("containers need {what}"));
    }
    missing.is_none()
}

/// There, and without a dynamic loader's name in it.
fn is_static(program: &Path) -> bool {
    let text = std::fs::read(program).unwrap_or_default();
    !text.is_empty()
        && !text[..text.len().min(4096)]
            .windows(8)
            .any(|name| name == b"ld-linux")
}

/// One of this crate's programs: as built with this test, or where the tests were carried to.
pub(crate) fn program(built: &str) -> PathBuf {
    let built = PathBuf::from(built);
    let carried = std::env::var_os("BRIG_DIST").filter(|_| !built.exists());
    carried.map_or(built.clone(), |dist| {
        Path::new(&dist).join(built.file_name().unwrap())
    })
}

/// The shim's program.
pub(crate) fn shim_program() -> Program {
    Program::open(&program(env!("CARGO_BIN_EXE_brig-shim")))
}

/// A container to be.
pub(crate) struct Setup {
    args: Vec<String>,
    pub(crate) terminal: bool,
    pub(crate) launch: Launch,
    pub(crate) mounts: Vec<Value>,
    /// Rights beside the usual ones.
    pub(crate) rights: Vec<&'static str>,
}

impl Setup {
    pub(crate) fn new(args: &[&str]) -> Self {
        let launch = Launch {
            log: Some(PathBuf::new()),
            ..Launch::default()
        };
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self {
            args,
            terminal: false,
            launch,
            mounts: Vec::new(),
            rights: Vec::new(),
        }
    }

    pub(crate) fn shell(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }

    pub(crate) fn stdin(mut self) -> Self {
        (self.launch.open_stdin, self.launch.stdin_once) = (true, true);
        self
    }

    pub(crate) fn terminal(mut self) -> Self {
        self.terminal = true;
        self.launch.open_stdin = true;
        self.launch.console_size = [24, 80];
        self
    }

    /// Launches a shim, without a container yet.
    pub(crate) fn launch(self) -> Guest {
        self.launch_by(&shim_program())
    }

    /// The same by a program that may have one waiting.
    pub(crate) fn launch_by(mut self, program: &Program) -> Guest {
        let dir = tempfile::Builder::new()
            .prefix("brig-shim-test-")
            .tempdir()
            .unwrap();
        let id = dir
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .replace('.', "");
        make_rootfs(&dir.path().join("rootfs"));
        let mut config = config(&self.args, self.terminal, &format!("/{id}"), &self.mounts);
        for set in config["process"]["capabilities"]
            .as_object_mut()
            .unwrap()
            .values_mut()
        {
            let rights = self.rights.iter().map(|right| Value::from(*right));
            set.as_array_mut().unwrap().extend(rights);
        }
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        self.launch.id = id;
        self.launch.dir = dir.path().to_owned();
        self.launch.bundle = dir.path().to_owned();
        self.launch.exit_record = dir.path().join("exit.json");
        if self.launch.log == Some(PathBuf::new()) {
            self.launch.log = Some(dir.path().join("log.json"));
        }
        let shim = program.launch(&self.launch).unwrap();
        Guest {
            dir,
            shim,
            launch: self.launch,
        }
    }

    /// With its process at the gate.
    pub(crate) fn create(self) -> Guest {
        self.launch().create()
    }

    /// With its command running.
    pub(crate) fn start(self) -> Guest {
        let guest = self.create();
        guest.start();
        guest
    }
}

pub(crate) fn make_rootfs(rootfs: &Path) {
    for dir in ["bin", "dev", "proc", "sys", "tmp", "etc"] {
        std::fs::create_dir_all(rootfs.join(dir)).unwrap();
    }
    // By a process of its own: a child that another thread starts while a file is open for writing
    // here holds it for a moment too, and what is held so cannot be executed (ETXTBSY).
    let copied = Command::new("cp")
        .arg(busybox().unwrap())
        .arg(env!("CARGO_BIN_EXE_brig-init"))
        .arg(rootfs.join("bin"))
        .status();
    assert!(copied.unwrap().success());
    for applet in APPLETS {
        std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
    }
}

const APPLETS: [&str; 19] = [
    "cat", "dd", "echo", "false", "head", "id", "kill", "ls", "md5sum", "ps", "seq", "sh", "sleep",
    "stty", "true", "tty", "yes", "wc", "mount",
];

/// An OCI configuration.
fn config(args: &[String], terminal: bool, cgroup: &str, more: &[Value]) -> Value {
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
               "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
               "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]}),
    ];
    mounts.extend_from_slice(more);
    let namespaces: Vec<_> = ["pid", "mount", "ipc", "uts", "network"]
        .map(|kind| json!({"type": kind}))
        .into();
    json!({
        "ociVersion": "1.0.2",
        "process": process(args, terminal),
        "root": {"path": "rootfs"},
        "hostname": "guest",
        "mounts": mounts,
        "linux": {"namespaces": namespaces, "cgroupsPath": cgroup,
                  "resources": {"devices": [{"allow": true, "access": "rwm"}]}},
    })
}

/// An OCI process.
pub(crate) fn process(args: &[impl AsRef<str>], terminal: bool) -> Value {
    let args: Vec<_> = args.iter().map(AsRef::as_ref).collect();
    let capabilities = [
        "CAP_KILL",
        "CAP_CHOWN",
        "CAP_SETUID",
        "CAP_SETGID",
        "CAP_SYS_ADMIN",
    ];
    json!({
        "terminal": terminal,
        "user": {"uid": 0, "gid": 0},
        "args": args,
        "env": ["PATH=/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {"bounding": capabilities, "effective": capabilities,
                         "permitted": capabilities},
    })
}

/// A container, its shim, and their directory.
pub(crate) struct Guest {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) shim: Shim,
    pub(crate) launch: Launch,
}

impl Guest {
    pub(crate) fn create(self) -> Self {
        self.create_with(None)
    }

    pub(crate) fn create_with(self, filter: Option<Filter>) -> Self {
        let reply = self.shim.call(&Call::Create { filter }, &[]).unwrap();
        assert!(matches!(reply, Reply::Process(_)), "{reply:?}");
        self
    }

    pub(crate) fn start(&self) -> ProcessRef {
        match self.shim.call(&Call::Start, &[]).unwrap() {
            Reply::Process(process) => process,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn attach(&self, streams: Streams, framed: bool) -> UnixStream {
        self.attach_with(AttachOptions {
            streams,
            framed,
            ..AttachOptions::default()
        })
    }

    pub(crate) fn attach_with(&self, options: AttachOptions) -> UnixStream {
        let (ours, its) = UnixStream::pair().unwrap();
        self.shim
            .call(&Call::Attach(options), &[its.as_fd()])
            .unwrap();
        ours.set_read_timeout(Some(LONG)).unwrap();
        ours
    }

    pub(crate) fn exec(&self, id: u8, args: &[&str], terminal: bool) -> UnixStream {
        let (ours, its) = UnixStream::pair().unwrap();
        let attach = AttachOptions {
            streams: ALL,
            framed: !terminal,
            ..AttachOptions::default()
        };
        self.shim
            .call(&exec_call(id, args, terminal, attach), &[its.as_fd()])
            .unwrap();
        ours.set_read_timeout(Some(LONG)).unwrap();
        ours
    }

    /// Waits for the shim to end, and returns what it recorded.
    pub(crate) fn wait(&self) -> ExitRecord {
        assert!(
            sys::pidfd::ended_within(self.shim.pidfd(), LONG).unwrap(),
            "the shim lives on"
        );
        assert!(self.shim.has_ended());
        let words = std::fs::read_to_string(self.dir.path().join("shim.log")).unwrap_or_default();
        assert_eq!(words, "", "the shim's last words");
        self.record()
    }

    pub(crate) fn record(&self) -> ExitRecord {
        serde_json::from_slice(&std::fs::read(&self.launch.exit_record).unwrap()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        let path = self.launch.log.as_deref().unwrap();
        let mut reader = Reader::open(path, Start::Beginning).unwrap();
        std::iter::from_fn(|| reader.next_line().unwrap()).collect()
    }

    /// What the log holds of one stream.
    pub(crate) fn logged(&self, stream: Stream) -> String {
        let lines = self
            .lines()
            .into_iter()
            .filter(|line| line.stream == stream);
        String::from_utf8(lines.flat_map(|line| line.bytes).collect()).unwrap()
    }

    /// The container's cgroups, wherever this machine has them.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let root = Path::new("/sys/fs/cgroup");
        let below = std::fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        [root.to_owned()]
            .into_iter()
            .chain(below)
            .map(|path| path.join(&self.launch.id))
            .filter(|path| path.exists())
            .collect()
    }
}

impl Drop for Guest {
    /// Nothing stays behind, whatever the test came to.
    fn drop(&mut self) {
        if !self.shim.has_ended() {
            let _ = self.shim.call(&Call::Shutdown, &[]);
            if !sys::pidfd::ended_within(self.shim.pidfd(), LONG).unwrap_or(true) {
                let _ = sys::pidfd::send_signal(self.shim.pidfd(), types::Signal::KILL);
            }
            let _ = sys::pidfd::ended_within(self.shim.pidfd(), LONG);
            self.shim.has_ended();
        }
        if !std::thread::panicking() {
            assert_eq!(self.cgroups(), [] as [PathBuf; 0]);
            assert!(!self.dir.path().join("shim.sock").exists());
        }
    }
}

pub(crate) fn exec_id(number: u8) -> ExecId {
    ExecId::from_random([number; 32])
}

pub(crate) fn exec_call(id: u8, args: &[&str], terminal: bool, attach: AttachOptions) -> Call {
    Call::Exec {
        id: exec_id(id),
        process: process(args, terminal).to_string(),
        attach,
        console_size: if terminal { [24, 80] } else { [0, 0] },
    }
}

/// Waits for a notice.
pub(crate) fn next_notice(watch: &Watch) -> Notice {
    loop {
        if let Some(notice) = watch.try_next().unwrap() {
            return notice;
        }
        sys::process::wait_readable(watch).unwrap();
    }
}

/// Reads until the text has been seen, and not a byte further.
pub(crate) fn read_until(stream: &mut UnixStream, text: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0; 1];
    while !seen.ends_with(text.as_bytes()) {
        let read = stream.read(&mut byte).unwrap();
        assert_eq!(
            read,
            1,
            "it ended after {:?}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

pub(crate) fn read_all(stream: &mut UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

/// Framed output, taken apart: standard output and standard error.
pub(crate) fn unframe(mut bytes: &[u8]) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some((header, rest)) = bytes.split_at_checked(8) {
        let length = u32::from_be_bytes(header[4..].try_into().unwrap());
        let (frame, rest) = rest.split_at(usize::try_from(length).unwrap());
        match header[0] {
            1 => out.extend_from_slice(frame),
            2 => err.extend_from_slice(frame),
            other => panic!("a frame of stream {other}"),
        }
        bytes = rest;
    }
    assert_eq!(bytes, b"", "half a header");
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

/// Sends everything and then no more.
pub(crate) fn send_all(mut stream: &UnixStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
}
