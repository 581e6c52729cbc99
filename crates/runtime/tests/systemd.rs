//! The systemd driver, with a real systemd: the first process of a pid namespace, with a cgroup
//! namespace, mounts and units of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Bundle, text};
use sys::cgroup::{Cgroup, Layout, Limits};

/// Where the distributions install it.
const PLACES: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// How long it may take to be there.
const PATIENCE: Duration = Duration::from_secs(120);

/// A systemd that ends with the test.
struct Systemd {
    /// unshare(1), whose end is the end of the pid namespace.
    outer: Child,
    pid: i32,
    cgroup: Cgroup,
    _dir: tempfile::TempDir,
}

impl Systemd {
    /// None, said aloud, where there is none to be had.
    fn start(name: &str) -> Option<Self> {
        let say = |reason: &str| {
            let _ = writeln!(std::io::stderr(), "SKIP: {reason}");
        };
        if let Some(reason) = support::cannot_run() {
            let _ = writeln!(std::io::stderr(), "{reason}");
            return None;
        }
        let Some(program) = PLACES.into_iter().find(|path| Path::new(path).exists()) else {
            say("systemd is not installed");
            return None;
        };
        let layout = Layout::detect().unwrap();
        let path = format!("/brig-systemd-{name}-{}", std::process::id());
        let cgroup = Cgroup::create(&layout, &path, &Limits::default()).unwrap();
        let named = |d: &sys::cgroup::Directory| d.controllers.iter().any(|c| c == "name=systemd");
        if layout.version() == 1 && !cgroup.directories().iter().any(named) {
            say("no hierarchy of version 1 is systemd's");
            cgroup.remove().unwrap();
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let script = script(&cgroup, dir.path(), program, layout.version());
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let outer = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let outer = outer.unwrap();
        let mut systemd = Self {
            outer,
            pid: 0,
            cgroup,
            _dir: dir,
        };
        systemd.wait();
        Some(systemd)
    }

    /// Takes unshare(1) out of the cgroup before systemd begins: in version 2 there are no processes
    /// where controllers are to be enabled for what is below.
    fn let_begin(&self) {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("0::"));
        let mut unified = self.cgroup.directories().into_iter();
        let unified = unified.rfind(|dir| dir.version == 2);
        if let (Some(own), Some(directory)) = (own, unified) {
            let depth = Path::new(self.cgroup.path()).iter().skip(1).count();
            let mount = directory.path.ancestors().nth(depth).unwrap();
            let file = mount.join(own.trim_start_matches('/')).join("cgroup.procs");
            let file = std::fs::OpenOptions::new().write(true).open(file);
            let written = write!(file.unwrap(), "{}", self.outer.id());
            written.unwrap();
        }
        std::fs::File::create(self._dir.path().join("go")).unwrap();
    }

    /// Until it can be spoken to.
    fn wait(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(pid) = child_of(self.outer.id()) {
                if self.pid != pid {
                    self.pid = pid;
                    self.let_begin();
                }
                if self
                    .inside(&["test", "-S", "/run/systemd/private"])
                    .status
                    .success()
                {
                    return;
                }
            }
            let log = self._dir.path().join("log");
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(self.outer.try_wait().unwrap().is_none(), "{}", log());
            assert!(Instant::now() < until, "{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs a program beside it.
    fn inside(&self, words: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid.to_string(), "-m", "-p", "-C", "--"]);
        let output = command.args(words).stdin(Stdio::null()).output();
        output.unwrap()
    }

    /// Runs the command with the systemd driver.
    fn runtime(&self, bundle: &Bundle, words: &[&str]) -> Output {
        let program = env!("CARGO_BIN_EXE_brig-runtime");
        let root = bundle.state();
        let root = root.to_str().unwrap();
        let words = [&[program, "--systemd-cgroup", "--root", root], words].concat();
        self.inside(&words)
    }

    fn succeed(&self, bundle: &Bundle, words: &[&str]) -> String {
        let output = self.runtime(bundle, words);
        let said = text(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        text(&output.stdout)
    }

    fn run(&self, bundle: &Bundle) {
        bundle.write();
        let state = bundle.state();
        // In a shell, because the container keeps what it is given as output.
        let words = [
            "sh",
            "-c",
            "exec \"$@\" >/dev/null 2>\"$0\"",
            &bundle.path().join("err").display().to_string(),
            env!("CARGO_BIN_EXE_brig-runtime"),
            "--systemd-cgroup",
            "--root",
            state.to_str().unwrap(),
            "run",
            "-d",
            "-b",
            bundle.path().to_str().unwrap(),
            &bundle.id,
        ];
        let status = self.inside(&words).status;
        let said = std::fs::read_to_string(bundle.path().join("err")).unwrap();
        assert!(status.success(), "{said}");
    }

    fn property(&self, unit: &str, name: &str) -> String {
        let output = self.inside(&["systemctl", "show", "-P", name, unit]);
        text(&output.stdout).trim().to_owned()
    }

    /// Directories of a cgroup of its, as the test sees them.
    fn directories(&self, path: &str) -> Vec<PathBuf> {
        let all = self.cgroup.directories().into_iter();
        let all = all.map(|dir| dir.path.join(path.trim_start_matches('/')));
        all.filter(|dir| dir.is_dir()).collect()
    }

    fn value(&self, path: &str, names: [&str; 2]) -> String {
        let dirs = self.directories(path);
        let files = dirs.iter().flat_map(|dir| names.map(|name| dir.join(name)));
        let file = files.into_iter().find(|file| file.exists()).unwrap();
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        let _ = self.cgroup.kill_all();
        let _ = self.cgroup.remove();
    }
}

/// Enters the cgroup while it can be seen, then makes the namespaces, what they need, and systemd.
fn script(cgroup: &Cgroup, dir: &Path, program: &str, version: u8) -> String {
    let units = dir.join("units");
    std::fs::create_dir(&units).unwrap();
    std::fs::create_dir(dir.join("none")).unwrap();
    for unit in [
        "default",
        "basic",
        "sysinit",
        "shutdown",
        "umount",
        "final",
        "rescue",
        "emergency",
    ] {
        let text = "[Unit]\nDefaultDependencies=no\n";
        let path = units.join(format!("{unit}.target"));
        sys::file::replace_unsynced(&path, text.as_bytes(), 0o644).unwrap();
    }
    let go = dir.join("go");
    let mut inner = format!(
        "set -e\nwhile ! test -e '{}'; do sleep 0.02; done\n\
         mount --make-rprivate /\nmount -t proc proc /proc\nmount -t tmpfs tmpfs /run\n",
        go.display()
    );
    // It may change nothing of the machine's, like the presets of a first boot.
    for dir in ["/etc", "/usr", "/var"] {
        writeln!(inner, "mount --bind {dir} {dir}").unwrap();
        writeln!(inner, "mount -o remount,bind,ro {dir}").unwrap();
    }
    // Over the machine's own: what is seen there is not this one's.
    inner.push_str("mount -t tmpfs tmpfs /sys/fs/cgroup\n");
    if version == 2 {
        inner.push_str("mount -t cgroup2 cgroup2 /sys/fs/cgroup\n");
    } else {
        for one in cgroup.directories() {
            let (name, controllers) = (&one.name, one.controllers.join(","));
            let options = match (one.version, controllers.contains('=')) {
                (1, false) => format!("-t cgroup -o '{controllers}'"),
                (1, true) => format!("-t cgroup -o 'none,{controllers}'"),
                _ => "-t cgroup2".to_owned(),
            };
            writeln!(inner, "mkdir '/sys/fs/cgroup/{name}'").unwrap();
            writeln!(inner, "mount {options} cgroup '/sys/fs/cgroup/{name}'").unwrap();
        }
    }
    writeln!(
        inner,
        "export container=test SYSTEMD_UNIT_PATH='{}' SYSTEMD_GENERATOR_PATH='{none}' \
         SYSTEMD_ENVIRONMENT_GENERATOR_PATH='{none}'\n\
         exec {program} --system --log-target=console --show-status=0",
        units.display(),
        none = dir.join("none").display(),
    )
    .unwrap();
    sys::file::replace_unsynced(&dir.join("inner"), inner.as_bytes(), 0o644).unwrap();
    let mut outer = String::new();
    for one in cgroup.directories() {
        let file = if one.version == 1 {
            "tasks"
        } else {
            "cgroup.procs"
        };
        writeln!(outer, "echo 0 >'{}/{file}' || exit 1", one.path.display()).unwrap();
    }
    let inner = dir.join("inner").display().to_string();
    // By its path: the shell of some systems has a smaller one built in.
    outer + "exec /usr/bin/unshare -C -m -p -f --kill-child sh '" + &inner + "'"
}

/// The child of a process.
fn child_of(parent: u32) -> Option<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.into_iter().find(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        after.split_whitespace().nth(1) == Some(&parent.to_string())
    })
}

fn bundle(path: &str) -> Bundle {
    let mut bundle = Bundle::new(&["sleep", "1000"]);
    bundle.config["linux"]["cgroupsPath"] = json!(path);
    bundle.config["linux"]["resources"] = json!({
        "devices": [{"allow": false, "access": "rwm"}],
        "memory": {"limit": 64 << 20},
        "pids": {"limit": 50},
        "cpu": {"quota": 50_000, "period": 100_000},
    });
    bundle.config["annotations"] = json!({"org.systemd.property.TimeoutStopSec": "uint64 7"});
    bundle
}

#[test]
fn a_scope_lives_as_long_as_its_container() {
    let Some(systemd) = Systemd::start("scope") else {
        return;
    };
    let bundle = bundle("machine.slice:brig:scope");
    let (unit, path) = ("brig-scope.scope", "/machine.slice/brig-scope.scope");
    // Twice, as what is left of the first would be in the way of the second.
    for _ in 0..2 {
        systemd.run(&bundle);
        let state: Value =
            serde_json::from_str(&systemd.succeed(&bundle, &["state", &bundle.id])).unwrap();
        assert_eq!(state["status"], "running");
        assert_eq!(systemd.property(unit, "ActiveState"), "active");
        assert_eq!(systemd.property(unit, "ControlGroup"), path);
        assert_eq!(systemd.property(unit, "Slice"), "machine.slice");
        assert_eq!(systemd.property(unit, "TimeoutStopUSec"), "7s");
        assert_eq!(systemd.property(unit, "TasksMax"), "50");
        assert_eq!(systemd.property(unit, "CPUQuotaPerSecUSec"), "500ms");
        let memory = systemd.value(path, ["memory.limit_in_bytes", "memory.max"]);
        assert_eq!(memory, (64 << 20).to_string());
        // Only the container's process is left inside.
        let processes = systemd.succeed(&bundle, &["ps", "-f", "json", &bundle.id]);
        let processes: Vec<i32> = serde_json::from_str(&processes).unwrap();
        assert_eq!(processes.len(), 1, "{processes:?}");

        let words = [
            "update",
            "--pids-limit",
            "20",
            "--memory",
            "32M",
            &bundle.id,
        ];
        systemd.succeed(&bundle, &words);
        assert_eq!(systemd.property(unit, "TasksMax"), "20");
        assert_eq!(systemd.value(path, ["pids.max"; 2]), "20");
        // What systemd cannot keep is not in the files either: its next reload would change it.
        systemd.succeed(&bundle, &["update", "--cpu-quota", "12500", &bundle.id]);
        assert_eq!(systemd.property(unit, "CPUQuotaPerSecUSec"), "130ms");
        let quota = systemd.value(path, ["cpu.cfs_quota_us", "cpu.max"]);
        assert_eq!(quota.split(' ').next(), Some("13000"));
        systemd.succeed(&bundle, &["pause", &bundle.id]);
        systemd.succeed(&bundle, &["resume", &bundle.id]);

        systemd.succeed(&bundle, &["delete", "-f", &bundle.id]);
        assert_ne!(systemd.property(unit, "ActiveState"), "active");
        assert_eq!(systemd.directories(path), Vec::<PathBuf>::new());
    }
}

#[test]
fn what_systemd_refuses_leaves_nothing() {
    let Some(systemd) = Systemd::start("refuse") else {
        return;
    };
    let mut bad = bundle("machine.slice:brig:refuse");
    bad.config["annotations"] = json!({"org.systemd.property.NoSuchThing": "true"});
    bad.write();
    let path = bad.path().display().to_string();
    let output = systemd.runtime(&bad, &["run", "-b", &path, &bad.id]);
    let said = text(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("cannot start unit brig-refuse.scope"),
        "{said}"
    );
    assert!(said.contains("NoSuchThing"), "{said}");

    // The unit is there already when this one is refused.
    let mut bad = bundle("machine.slice:brig:refuse");
    bad.config["linux"]["resources"]["cpu"]["cpus"] = json!("4000");
    bad.write();
    let path = bad.path().display().to_string();
    let output = systemd.runtime(&bad, &["run", "-b", &path, &bad.id]);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    let cgroup = "/machine.slice/brig-refuse.scope";
    assert_eq!(systemd.directories(cgroup), Vec::<PathBuf>::new());
    assert_ne!(
        systemd.property("brig-refuse.scope", "ActiveState"),
        "active"
    );
}

/// The error of a container that may not be there.
fn refused(systemd: &Systemd, path: &str) -> String {
    let bundle = bundle(path);
    bundle.write();
    let dir = bundle.path().display().to_string();
    let output = systemd.runtime(&bundle, &["run", "-b", &dir, &bundle.id]);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    text(&output.stderr)
}

#[test]
fn a_scope_that_is_somebody_elses_is_left_alone() {
    let Some(systemd) = Systemd::start("used") else {
        return;
    };
    let (path, unit) = ("machine.slice:brig:used", "brig-used.scope");
    let first = bundle(path);
    systemd.run(&first);
    let said = refused(&systemd, path);
    assert!(said.contains("container's cgroup is not empty"), "{said}");
    assert_eq!(systemd.property(unit, "ActiveState"), "active");

    // While its slice is there.
    if let [slice] = &systemd.directories("/machine.slice")[..]
        && slice.join("cgroup.freeze").exists()
    {
        let frozen = slice.join("brig-frozen.scope");
        std::fs::create_dir(&frozen).unwrap();
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(frozen.join("cgroup.freeze"));
        file.unwrap().write_all(b"1").unwrap();
        let said = refused(&systemd, "machine.slice:brig:frozen");
        assert!(said.contains("unexpectedly frozen"), "{said}");
        std::fs::remove_dir(&frozen).unwrap();
    }
    systemd.succeed(&first, &["delete", "-f", &first.id]);
}

#[test]
fn systemd_is_told_what_is_asked_for_by_files() {
    let Some(systemd) = Systemd::start("files") else {
        return;
    };
    if Layout::detect().unwrap().version() != 2 {
        let _ = writeln!(std::io::stderr(), "SKIP: `unified` is for cgroup v2");
        return;
    }
    let mut bundle = bundle("machine.slice:brig:files");
    let files = json!({"memory.min": "131072", "pids.max": "42", "memory.swap.max": "20971520"});
    bundle.config["linux"]["resources"]["unified"] = files;
    systemd.run(&bundle);
    let (unit, path) = ("brig-files.scope", "/machine.slice/brig-files.scope");
    assert_eq!(systemd.property(unit, "MemoryMin"), "131072");
    assert_eq!(systemd.property(unit, "TasksMax"), "42");
    assert_eq!(systemd.value(path, ["memory.min"; 2]), "131072");
    systemd.succeed(&bundle, &["delete", "-f", &bundle.id]);
}

#[test]
fn without_systemd_the_driver_says_so() {
    if let Some(reason) = support::cannot_run() {
        let _ = writeln!(std::io::stderr(), "{reason}");
        return;
    }
    if Path::new("/run/systemd/private").exists() {
        let _ = writeln!(std::io::stderr(), "SKIP: this machine is systemd's");
        return;
    }
    let bundle = bundle("machine.slice:brig:none");
    bundle.write();
    let output = bundle.output(&["--systemd-cgroup", "run", "ID"]);
    let said = text(&output.stderr);
    assert!(said.contains("is systemd running?"), "{said}");
    let wrong = self::bundle("/a/path");
    wrong.write();
    let output = wrong.output(&["--systemd-cgroup", "run", "ID"]);
    let said = text(&output.stderr);
    assert!(said.contains("SLICE:PREFIX:NAME is expected"), "{said}");
}
