//! An engine of one test: roots in a temporary directory, a cgroup parent of its own, the real shim,
//! and an image of busybox.

#![allow(dead_code, reason = "each test program uses a part of this")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use engine::container::{self, View, WaitFor};
use engine::{AttachOptions, Config, Engine, Error, Import, Streams, image};
use testkit::Leftovers;
use types::{ContainerName, ContainerSpec, ExitStatus, Lifecycle, NetworkMode};

/// The name the image gets.
pub const IMAGE: &str = "busybox";

/// How long something may take that takes milliseconds when nothing is wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An engine and what it works in.
pub struct House {
    pub engine: Engine,
    pub root: PathBuf,
    pub parent: String,
    keep: Option<tempfile::TempDir>,
    /// Whether another house goes on with the same roots.
    left: bool,
}

/// Why containers cannot be run here, said aloud.
pub fn can_run() -> bool {
    if !testkit::root() {
        return false;
    }
    let there = busybox().is_some();
    if !there {
        // Not by eprintln, which the test harness keeps to itself.
        let words = "SKIP: no static busybox at /bin/busybox (package busybox-static)";
        writeln!(std::io::stderr(), "{words}").unwrap();
    }
    there
}

/// Only a static one runs without the libraries of its machine.
fn busybox() -> Option<Vec<u8>> {
    let bytes = std::fs::read("/bin/busybox").ok()?;
    // The name of an interpreter is in the first page of a dynamic program.
    let head = &bytes[..bytes.len().min(4096)];
    let dynamic = head
        .windows(11)
        .any(|w| w == b"/lib64/ld-l" || w == b"/lib/ld-lin");
    (!dynamic).then_some(bytes)
}

/// The shim: of the programs built for the tests, or built now.
pub fn shim() -> PathBuf {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        if let Some(dist) = std::env::var_os("BRIG_DIST") {
            return Path::new(&dist).join("brig-shim");
        }
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "shim", "--bins"])
            .status();
        assert!(
            built.expect("cargo runs").success(),
            "cannot build the shim"
        );
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join("brig-shim")
    })
    .clone()
}

fn image_tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let header = |kind, mode, size| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header
    };
    for dir in ["bin", "dev", "etc", "home", "proc", "root", "sys", "tmp"] {
        let mut header = header(tar::EntryType::Directory, 0o755, 0);
        tar.append_data(&mut header, dir, &[][..]).unwrap();
    }
    let mut file = |path: &str, mode, bytes: &[u8]| {
        let mut header = header(tar::EntryType::Regular, mode, bytes.len() as u64);
        tar.append_data(&mut header, path, bytes).unwrap();
    };
    file("bin/busybox", 0o755, &busybox().unwrap());
    file("bin/plain", 0o644, b"no program");
    file(
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/home:/bin/sh\n",
    );
    file(
        "etc/group",
        0o644,
        b"root:x:0:\nwww:x:33:\nvideo:x:44:www\n",
    );
    for name in [
        "sh", "true", "false", "cat", "echo", "id", "sleep", "env", "pwd", "hostname", "ls",
        "kill", "stty", "seq", "touch", "mkdir", "grep",
    ] {
        let mut header = header(tar::EntryType::Symlink, 0o777, 0);
        tar.append_link(&mut header, format!("bin/{name}"), "busybox")
            .unwrap();
    }
    tar.into_inner().unwrap()
}

/// What a test asks for: this command, no network.
pub fn spec(command: &[&str]) -> ContainerSpec {
    ContainerSpec {
        image: IMAGE.to_owned(),
        command: Some(command.iter().map(|&word| word.to_owned()).collect()),
        network: NetworkMode::None,
        ..ContainerSpec::default()
    }
}

/// The same in a shell.
pub fn shell(script: &str) -> ContainerSpec {
    spec(&["sh", "-c", script])
}

impl House {
    pub async fn new() -> Self {
        Self::failing_at(None).await
    }

    pub async fn failing_at(fail_at: Option<&str>) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let mut house = Self::open(keep.path(), fail_at).await;
        house.keep = Some(keep);
        let import = Import {
            reference: Some(IMAGE.parse().unwrap()),
            changes: vec!["ENV PATH=/bin".to_owned(), "CMD [\"true\"]".to_owned()],
            ..Import::default()
        };
        image::import(&house.engine, &mut image_tar().as_slice(), &import).unwrap();
        house
    }

    /// Opens an engine on roots that may have been used before.
    pub async fn open(root: &Path, fail_at: Option<&str>) -> Self {
        let name = root.file_name().unwrap().to_str().unwrap();
        let parent = format!("/brig-test{}", name.replace('.', "-"));
        let config = Config {
            data_root: root.join("data"),
            run_root: root.join("run"),
            cgroup_parent: parent.clone(),
            shim: shim(),
            init: shim().with_file_name("brig-init"),
            foreign_runtime: None,
            runtimes: container::Runtimes::default(),
            cdi_dirs: Vec::new(),
            selinux: false,
            network: engine::network::Settings::default(),
            registries: image::registries::Config::default(),
            upkeep: image::Upkeep::default(),
            signature_policy: None,
            secret_key: None,
            usual: container::Usual::default(),
            user_ids: engine::user_ids::Settings::default(),
            fail_at: fail_at.map(str::to_owned),
        };
        Self {
            engine: Engine::open(config)
                .await
                .unwrap_or_else(|e| panic!("{}", e.chain())),
            root: root.to_owned(),
            parent,
            keep: None,
            left: false,
        }
    }

    /// Closes the engine and opens another one on the same roots.
    pub async fn reopened(self) -> Self {
        Self::reopen(self.closed().await).await
    }

    /// Closes the engine; the roots stay, for another process too.
    pub async fn closed(mut self) -> tempfile::TempDir {
        self.engine.close().await;
        self.left = true;
        self.keep.take().unwrap()
    }

    /// Opens an engine on roots that were used before.
    pub async fn reopen(root: tempfile::TempDir) -> Self {
        let mut house = Self::open(root.path(), None).await;
        house.keep = Some(root);
        house
    }

    pub fn create(&self, name: &str, spec: ContainerSpec) -> Result<String, Error> {
        let name: ContainerName = name.parse().unwrap();
        container::create(&self.engine, Some(name), spec).map(|made| made.id.to_string())
    }

    pub async fn start(&self, who: &str) -> Result<(), Error> {
        let (engine, who) = (self.engine.clone(), who.to_owned());
        tokio::task::spawn_blocking(move || container::start(&engine, &who))
            .await
            .unwrap()
    }

    /// Creates and starts.
    pub async fn run(&self, name: &str, spec: ContainerSpec) -> String {
        let id = self
            .create(name, spec)
            .unwrap_or_else(|e| panic!("{}", e.chain()));
        self.start(&id)
            .await
            .unwrap_or_else(|e| panic!("{}", e.chain()));
        id
    }

    /// Creates, starts, waits for the end, and returns exit code and log.
    pub async fn output(&self, spec: ContainerSpec) -> (i32, String) {
        let id = container::create(&self.engine, None, spec)
            .unwrap_or_else(|e| panic!("{}", e.chain()))
            .id
            .to_string();
        let ended = container::wait(&self.engine, &id, WaitFor::NextExit).unwrap();
        self.start(&id)
            .await
            .unwrap_or_else(|e| panic!("{}", e.chain()));
        let status = within(ended).await.unwrap();
        (status.code, self.log(&id).await)
    }

    pub async fn wait(&self, who: &str, condition: WaitFor) -> ExitStatus {
        within(container::wait(&self.engine, who, condition).unwrap())
            .await
            .unwrap()
    }

    /// The whole log, standard error marked.
    pub async fn log(&self, who: &str) -> String {
        let query = container::LogQuery {
            stdout: true,
            stderr: true,
            ..container::LogQuery::default()
        };
        let mut lines = container::logs(&self.engine, who, query).unwrap();
        let mut text = String::new();
        while let Some(batch) = within(lines.recv()).await {
            for line in batch.unwrap() {
                if line.stderr {
                    text.push('!');
                }
                text.push_str(std::str::from_utf8(&line.bytes).unwrap());
            }
        }
        text
    }

    pub fn inspect(&self, who: &str) -> View {
        container::inspect(&self.engine, who).unwrap()
    }

    pub fn lifecycle(&self, who: &str) -> Lifecycle {
        self.inspect(who).lifecycle
    }

    /// Attaches to all three streams, unframed. Our end of the connection.
    pub async fn attach(&self, who: &str) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let streams = Streams {
            stdin: true,
            stdout: true,
            stderr: true,
        };
        let attach = container::Attach {
            options: AttachOptions {
                streams,
                ..AttachOptions::default()
            },
            logs: false,
            stream: true,
        };
        container::attach(&self.engine, who, attach, theirs)
            .await
            .unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        ours
    }

    /// Removes all containers and checks that nothing is left of them anywhere.
    pub async fn finish(self) {
        for view in container::list(&self.engine) {
            match container::remove(&self.engine, view.id.as_str(), true).await {
                Ok(()) | Err(Error::NoContainer(_)) => {}
                Err(error) => panic!("{}", error.chain()),
            }
        }
        self.nothing_left().await;
    }

    /// Checks that no container is known and nothing of one is on the machine.
    pub async fn nothing_left(&self) {
        self.engine.settle().await;
        assert_eq!(container::list(&self.engine).count(), 0);
        let left = Leftovers::find(&self.root, &self.parent);
        assert!(left.is_empty(), "left behind:\n{left}");
        // Those of other tests, which run beside this one, go away in a moment.
        testkit::until("no child is left unreaped", || {
            (zombies() == 0).then_some(())
        });
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        // For tests that failed: by force, and quietly.
        for process in testkit::processes_naming(&self.root.display().to_string()) {
            testkit::kill("KILL", process.pid);
        }
        let layout = sys::cgroup::Layout::detect().unwrap();
        if let Ok(cgroup) = sys::cgroup::Cgroup::open(&layout, &self.parent) {
            drop(cgroup.kill_all());
            drop(cgroup.remove());
        }
    }
}

/// Awaits what must not take for ever.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it takes for ever")
}

/// Everything a connection carries until it is closed.
pub fn rest(mut stream: UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Children of this process that have ended and that nobody has reaped.
fn zombies() -> usize {
    let own = std::process::id().to_string();
    let stats = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let dead = |stat: &String| {
        let mut fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_ascii_whitespace();
        fields.next() == Some("Z") && fields.next() == Some(&own)
    };
    stats.filter(dead).count()
}
