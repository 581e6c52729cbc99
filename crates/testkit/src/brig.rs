//! A daemon of a test's own.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};

use tempfile::TempDir;

use crate::hosts::Host;
use crate::leftovers::{Leftovers, cgroups, children};
use crate::network::Network;
use crate::output::{Output, words};
use crate::processes::{kill, processes_naming};
use crate::programs::{Client, program};
use crate::tables;
use crate::wait::until;
use crate::{busybox_tar, wait::within};

/// How a daemon is started.
#[derive(Debug, Default)]
pub struct Setup {
    /// Flags beside those that keep it apart.
    pub flags: Vec<String>,
    /// Environment beside the test's own.
    pub environment: Vec<(String, String)>,
    /// Lines of the configuration's part `[network]`, beside those that keep it apart.
    pub network: String,
    /// The host that the daemon runs on, if it is not this machine.
    pub host: Option<Arc<Host>>,
    /// What the daemon sees as the machine's `/etc/resolv.conf`, if it is not the machine's: see
    /// [`Brig::set_resolvers`].
    pub resolvers: Option<String>,
}

/// A running daemon with everything of its own.
#[derive(Debug)]
pub struct Brig {
    root: TempDir,
    parent: String,
    network: Network,
    setup: Setup,
    daemon: Option<Child>,
}

impl Brig {
    /// Starts a daemon and waits until it answers.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(Setup::default())
    }

    /// Starts a daemon with the busybox image in it, called `bb`.
    #[track_caller]
    pub fn with_image() -> Self {
        let brig = Self::start();
        brig.import_busybox();
        brig
    }

    /// As [`Brig::start`], with flags and environment.
    #[track_caller]
    pub fn start_with(setup: Setup) -> Self {
        let mut brig = Self::prepare(setup);
        brig.start_daemon();
        brig
    }

    /// Everything but the daemon.
    pub fn prepare(setup: Setup) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEPT: Once = Once::new();
        SWEPT.call_once(tables::sweep);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let parent = format!("/brig-test-{}-{number}", std::process::id());
        let root = tempfile::Builder::new().prefix("brig-").tempdir().unwrap();
        for directory in ["home", "run"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        if let Some(text) = &setup.resolvers {
            fs::write(root.path().join("resolv.conf"), text).unwrap();
        }
        let network = Network::new(number);
        let own = network.config();
        // What is said once more takes the place of what keeps daemons apart.
        let said = |line: &&str| {
            let key = line.split(" = ").next().unwrap_or_default();
            !setup
                .network
                .lines()
                .any(|other| other.starts_with(&format!("{key} = ")))
        };
        let lines: Vec<&str> = own.lines().filter(said).collect();
        let config = format!("{}\n{}", lines.join("\n"), setup.network);
        fs::write(root.path().join("brigd.toml"), config).unwrap();
        Self {
            root,
            parent,
            network,
            setup,
            daemon: None,
        }
    }

    /// Has the daemon listen there too, from its next start on.
    pub fn listen_too(&mut self, host: &str) {
        self.setup.flags.extend(["--host".into(), host.into()]);
    }

    /// Imports the busybox image as `bb`.
    #[track_caller]
    pub fn import_busybox(&self) {
        let tar = busybox_tar();
        self.brig(&["import", tar.to_str().unwrap(), "bb"]).ok();
    }

    /// Starts the daemon, again if it ran before, and waits until it answers.
    #[track_caller]
    pub fn start_daemon(&mut self) {
        self.start_program(&program("brigd"));
    }

    /// As [`Brig::start_daemon`], of another file than the one that is tested everywhere.
    #[track_caller]
    pub fn start_program(&mut self, brigd: &Path) {
        assert!(self.daemon.is_none(), "the daemon runs already");
        self.daemon = Some(self.command_of(brigd).spawn().unwrap());
        let socket = self.socket();
        let daemon = self.daemon.as_mut().unwrap();
        let died = within(
            std::time::Duration::from_secs(60),
            "an answer of the daemon",
            || {
                if ping(&socket) {
                    return Some(None);
                }
                daemon.try_wait().unwrap().map(Some)
            },
        );
        if let Some(status) = died {
            panic!("brigd ended with {status}:\n{}", self.daemon_log());
        }
    }

    /// The command that starts the daemon, its log going to [`Brig::daemon_log`].
    pub fn daemon_command(&self) -> Command {
        self.command_of(&program("brigd"))
    }

    fn command_of(&self, brigd: &Path) -> Command {
        let log = self.root.path().join("brigd.log");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let brigd = match &self.setup.resolvers {
            Some(_) => self.behind_resolvers(brigd),
            None => Command::new(brigd),
        };
        let mut command = match &self.setup.host {
            Some(host) => host.place(&brigd),
            None => brigd,
        };
        command
            .arg("--data-root")
            .arg(self.data_root())
            .arg("--run-root")
            .arg(self.run_root())
            .arg("--host")
            .arg(self.host())
            .args(["--cgroup-parent", &self.parent, "--log-level", "debug"]);
        command.args(&self.setup.flags);
        self.environment(&mut command);
        command
            .env("BRIGD_CONFIG", self.config_file())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command
    }

    /// The daemon with a file of its own in the place of the machine's resolvers.
    fn behind_resolvers(&self, brigd: &Path) -> Command {
        let script = "mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]);
        command.arg(self.root.path().join("resolv.conf")).arg(brigd);
        command
    }

    /// Says which resolvers the machine has, to a daemon that was set up with [`Setup::resolvers`].
    #[track_caller]
    pub fn set_resolvers(&self, text: &str) {
        assert!(self.setup.resolvers.is_some(), "they are the machine's");
        fs::write(self.root.path().join("resolv.conf"), text).unwrap();
    }

    fn environment(&self, command: &mut Command) {
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("DOCKER_") || text.starts_with("BRIG") {
                command.env_remove(name);
            }
        }
        let home = self.root.path().join("home");
        command
            .env("HOME", &home)
            .env("DOCKER_CONFIG", &home)
            .env("DOCKER_HOST", self.host())
            .env("BRIG_HOST", self.host())
            .env("DOCKER_CLI_HINTS", "false")
            .env("BRIG_AUTOSTART", "0")
            .envs(
                self.setup
                    .environment
                    .iter()
                    .map(|(name, value)| (name, value)),
            );
    }

    /// Changes the flags of the daemon's next start.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.setup.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// The directory everything of this daemon is under.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The daemon's `--data-root`.
    pub fn data_root(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// The daemon's `--run-root`.
    pub fn run_root(&self) -> PathBuf {
        self.root.path().join("run")
    }

    /// The daemon's `--host`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The socket the daemon listens on.
    pub fn socket(&self) -> PathBuf {
        self.run_root().join("brig.sock")
    }

    /// The daemon's `--cgroup-parent`.
    pub fn cgroup_parent(&self) -> &str {
        &self.parent
    }

    /// The daemon's configuration file, unless `--config` names another.
    pub fn config_file(&self) -> PathBuf {
        self.root.path().join("brigd.toml")
    }

    /// The daemon's networks.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The daemon's process id.
    pub fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    /// What the daemon logged.
    pub fn daemon_log(&self) -> String {
        fs::read_to_string(self.root.path().join("brigd.log")).unwrap_or_default()
    }

    /// A client's command, with standard input at its end. `None` when this machine has no such
    /// client.
    pub fn try_command(&self, client: Client, args: &[&str]) -> Option<Command> {
        let mut command = Command::new(client.program()?);
        command.args(args).stdin(Stdio::null());
        self.environment(&mut command);
        Some(command)
    }

    /// As [`Brig::try_command`], for a client that [`crate::clients`] named.
    #[track_caller]
    pub fn command(&self, client: Client, args: &[&str]) -> Command {
        self.try_command(client, args)
            .unwrap_or_else(|| panic!("no {client:?} here"))
    }

    /// Runs a client.
    #[track_caller]
    pub fn with(&self, client: Client, args: &[&str]) -> Output {
        self.finish_command(&mut self.command(client, args))
    }

    /// Runs our own client.
    #[track_caller]
    pub fn brig(&self, args: &[&str]) -> Output {
        self.with(Client::Brig, args)
    }

    /// Runs a client with something to read.
    #[track_caller]
    pub fn with_input(&self, client: Client, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(client, args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // A reader that ended early is the caller's business.
            let _ = pipe.write_all(&input);
        });
        let output = Output::of_child(words(&command), child);
        writer.join().unwrap();
        output
    }

    /// Runs a prepared command to its end.
    #[track_caller]
    pub fn finish_command(&self, command: &mut Command) -> Output {
        Output::of(command)
    }

    /// Sends one request as it stands and reads everything until the daemon closes.
    pub fn http(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// `inspect` of one container.
    #[track_caller]
    pub fn inspect(&self, container: &str) -> serde_json::Value {
        let mut all = self.brig(&["inspect", container]).json();
        all[0].take()
    }

    /// The shim that holds a container.
    #[track_caller]
    pub fn shim_of(&self, id: &str) -> u32 {
        let found = processes_naming(id)
            .into_iter()
            .find(|p| p.command.contains("brig-shim"));
        found.unwrap_or_else(|| panic!("no shim holds {id}")).pid
    }

    /// Waits until a container has a state.
    #[track_caller]
    pub fn wait_for_state(&self, container: &str, state: &str) {
        until(&format!("{container} {state}"), || {
            let shown = self.brig(&["inspect", "-f", "{{.State.Status}}", container]);
            (shown.ok() == state).then_some(())
        });
    }

    /// Ends the daemon at once, as a crash does.
    pub fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// Ends the daemon as a service manager does, and expects success.
    #[track_caller]
    pub fn stop_daemon(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        kill("TERM", daemon.id());
        let status = until("the daemon's end", || daemon.try_wait().unwrap());
        assert!(
            status.success(),
            "brigd ended with {status}:\n{}",
            self.daemon_log()
        );
    }

    /// What this daemon and its containers have on the machine now.
    pub fn leftovers(&self) -> Leftovers {
        Leftovers {
            links: self.network.ports(),
            ..Leftovers::find(self.root.path(), &self.parent)
        }
    }

    /// Removes every container, ends the daemon, and panics when anything is left.
    #[track_caller]
    pub fn finish(mut self) {
        let all = self.brig(&["ps", "--all", "--quiet", "--no-trunc"]);
        for id in all.lines() {
            self.brig(&["rm", "--force", id]).ok();
        }
        let networks = self.brig(&["network", "ls", "--quiet", "--filter", "type=custom"]);
        for id in networks.lines() {
            self.brig(&["network", "rm", id]).ok();
        }
        self.stop_daemon();
        self.expect_nothing_left();
        let links = match &self.setup.host {
            Some(host) => {
                let mut links = host.links();
                links.retain(|link| *link == self.network.bridge);
                links
            }
            None => self.network.links(),
        };
        assert_eq!(links, Vec::<String>::new(), "links are left");
    }

    /// Panics when anything but an idle daemon is left.
    #[track_caller]
    pub fn expect_nothing_left(&self) {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let mut left = self.leftovers();
            let runs = self.daemon.is_some();
            let idle = |p: &String| p.contains("brigd") || runs && p.contains("brig-net");
            left.processes.retain(|p| !idle(p));
            if left.is_empty() {
                return;
            }
            let patient = std::time::Instant::now() < end;
            assert!(
                patient,
                "left behind:\n{left}\nthe daemon's log:\n{}",
                self.daemon_log()
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for Brig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.daemon_log());
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let root = self.root.path().display().to_string();
        for process in processes_naming(&root) {
            kill("KILL", process.pid);
        }
        for top in cgroups(&self.parent) {
            remove_cgroup(&top);
        }
        self.take_down_networks();
    }
}

impl Brig {
    /// Has a daemon find that nothing runs, and end: it takes down what it made of networks. What would be started
    /// again is removed, and nothing is as the test wanted it to be.
    fn take_down_networks(&mut self) {
        if !self.run_root().join("net.state").exists() {
            return;
        }
        self.setup.flags.clear();
        self.setup.environment.clear();
        let Ok(mut daemon) = self.daemon_command().spawn() else {
            return;
        };
        let socket = self.socket();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !ping(&socket) && std::time::Instant::now() < end {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        self.remove_all();
        kill("TERM", daemon.id());
        // It may have been dead already.
        let _ = daemon.wait();
        if self.setup.host.is_none() {
            tables::remove(&self.network.table);
        }
    }

    /// Whatever there is of containers and networks; nothing of it is expected.
    fn remove_all(&self) {
        for (list, remove) in [
            (&["ps", "--all", "--quiet"][..], &["rm", "--force"][..]),
            (
                &["network", "ls", "--quiet", "--filter", "type=custom"],
                &["network", "rm"],
            ),
        ] {
            let Ok(listed) = self.command(Client::Brig, list).output() else {
                return;
            };
            for id in String::from_utf8_lossy(&listed.stdout).lines() {
                let _ = self
                    .command(Client::Brig, remove)
                    .arg(id)
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status();
            }
        }
    }
}

/// Kills what is in a cgroup and below, and removes it.
fn remove_cgroup(path: &Path) {
    for child in children(path) {
        remove_cgroup(&child);
    }
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while path.is_dir() && std::time::Instant::now() < end {
        let pids = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
        for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
            kill("KILL", pid);
        }
        if fs::remove_dir(path).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn ping(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return false;
    };
    let asked = stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: brig\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.contains(" 200 ")
}
