//! One engine: how to start it, how to speak to it, how to get rid of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::measure::quiet;
use crate::paths;

/// The image that all run: busybox and nothing else.
pub(crate) const IMAGE: &str = "bb";

/// An engine that answers.
#[derive(Debug)]
pub(crate) struct Subject {
    /// How it is called in the tables.
    pub(crate) name: String,
    /// Its own word on its version.
    pub(crate) version: String,
    /// What its client's command line begins with.
    prefix: Vec<String>,
    /// Its daemon; none has its life in the client.
    pub(crate) daemon: Option<Daemon>,
    /// Names of the processes that it keeps for each container.
    pub(crate) helpers: &'static [&'static str],
    /// Where it keeps images.
    pub(crate) data: PathBuf,
}

/// A daemon that is ended with its subject.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    /// Whether it is asked to end, not made to.
    gentle: bool,
    /// Where its data lies, to be removed.
    scratch: Option<PathBuf>,
    /// How it is started, where its containers outlive it.
    launch: Option<Launch>,
}

/// How a daemon is started, once and again.
#[derive(Debug)]
struct Launch {
    words: Vec<String>,
    log: PathBuf,
    socket: PathBuf,
}

impl Launch {
    fn spawn(&self) -> Result<Child> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        Command::new(&self.words[0])
            .args(&self.words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.words[0]))
    }

    /// Whether its containers are listed.
    fn lists(&self) -> bool {
        let ask = || {
            let mut stream = UnixStream::connect(&self.socket)?;
            stream.write_all(b"GET /containers/json HTTP/1.0\r\nHost: brig\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.0 200"))
    }
}

impl Daemon {
    /// The process that was started, the daemon or its parent.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.gentle {
            let pid = self.child.id().to_string();
            let _ = Command::new("kill").arg(pid).status();
        } else {
            // It is the keeper of a pid namespace, which dies with it.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        remove_cgroups();
        if let Some(scratch) = &self.scratch {
            let _ = fs::remove_dir_all(scratch);
        }
    }
}

/// What clients must find in their environment.
pub(crate) fn environment(command: &mut Command) {
    command.env("BRIG_AUTOSTART", "0");
    // podman's own limits are beyond those of a machine without CAP_SYS_RESOURCE.
    command.env("CONTAINERS_CONF", "/run/containers.conf");
    command.env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1");
}

/// Removes the empty cgroups that a peer left; ours are its own business.
fn remove_cgroups() {
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    for hierarchy in hierarchies {
        let _ = fs::remove_dir(hierarchy.path().join(PEERS_CGROUP));
    }
}

/// Under which the peers' containers live.
const PEERS_CGROUP: &str = "brig-bench-docker";

impl Subject {
    /// A command of its client.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.prefix[0]);
        command.args(&self.prefix[1..]).args(args);
        environment(&mut command);
        command
    }

    /// The same, run to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Result<String> {
        quiet(&mut self.command(args))
    }

    /// Makes an image of an archive.
    pub(crate) fn import(&self, tar: &Path, name: &str) -> Result<()> {
        // An earlier run may have left it.
        let _ = self.run(&["rmi", "-f", name]);
        let tar = fs::File::open(tar).with_context(|| format!("cannot open {}", tar.display()))?;
        let mut import = self.command(&["import", "-", name]);
        let output = import.stdin(tar).output().context("cannot import")?;
        if !output.status.success() {
            bail!("import: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// What removes running containers at once. podman would ask them to stop first, and wait.
    pub(crate) fn remove(&self) -> Vec<&'static str> {
        if self.name.starts_with("podman") {
            vec!["rm", "-f", "-t", "0"]
        } else {
            vec!["rm", "-f"]
        }
    }

    /// Ends the daemon and starts it again; how long it takes from its start until it lists its containers. None of
    /// those whose containers end with it.
    pub(crate) fn restart(&mut self) -> Result<Option<Duration>> {
        let Some(daemon) = &mut self.daemon else {
            return Ok(None);
        };
        let Some(launch) = &daemon.launch else {
            return Ok(None);
        };
        quiet(Command::new("kill").arg(daemon.child.id().to_string()))?;
        daemon.child.wait()?;
        let begun = Instant::now();
        daemon.child = launch.spawn()?;
        while !launch.lists() {
            if begun.elapsed() > Duration::from_secs(60) {
                bail!("{} does not answer any more", self.name);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(Some(begun.elapsed()))
    }

    /// Another client to the same daemon.
    fn through(&self, name: &str, prefix: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            version: self.version.clone(),
            prefix,
            daemon: None,
            helpers: self.helpers,
            data: self.data.clone(),
        }
    }
}

/// Where the measured Brig has what need not survive the machine.
pub(crate) const RUN_ROOT: &str = "/run/brig-bench";

/// A machine as far as networks are concerned: a network namespace, and a process that keeps it.
#[derive(Debug)]
pub(crate) struct Machine(Child);

impl Machine {
    /// One with a loopback only.
    pub(crate) fn new() -> Result<Self> {
        let child = Command::new("unshare")
            .args(["--net", "--kill-child", "sh", "-c"])
            .arg("ip link set lo up && echo up && exec sleep 86400")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot make a network namespace")?;
        let mut machine = Self(child);
        let mut said = [0; 2];
        let mut stdout = machine.0.stdout.take().context("no output")?;
        std::io::Read::read_exact(&mut stdout, &mut said).context("a namespace has no loopback")?;
        Ok(machine)
    }

    /// The process that keeps it.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// A command on it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.pid()))
            .arg(program);
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `program`, on that machine if there is one.
fn on(machine: Option<&Machine>, program: &str) -> Command {
    machine.map_or_else(|| Command::new(program), |machine| machine.command(program))
}

/// Brig, from the release build, in a place of its own; by its own client and by docker's.
pub(crate) fn brig() -> Result<Vec<Subject>> {
    brig_on(None)
}

/// The same on a machine of its own.
pub(crate) fn brig_on(machine: Option<&Machine>) -> Result<Vec<Subject>> {
    let scratch = paths::target().join("bench");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).context("cannot make a place for Brig")?;
    let dist = paths::dist(true);
    let socket = format!("unix://{}", scratch.join("brig.sock").display());
    // It does not outlive a bench that is killed: the next one takes its place.
    let mut command = on(machine, "setpriv");
    command
        .args(["--pdeathsig", "TERM"])
        .arg(dist.join("brigd"))
        .arg("--data-root")
        .arg(scratch.join("data"))
        .args(["--run-root", RUN_ROOT])
        .args(["--host", &socket, "--cgroup-parent", "/brig-bench"]);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let launch = Launch {
        words: words
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        log: scratch.join("log"),
        socket: scratch.join("brig.sock"),
    };
    let child = launch.spawn()?;
    let brig = Subject {
        name: "Brig".to_owned(),
        version: String::new(),
        prefix: vec![
            dist.join("brig").display().to_string(),
            "--host".to_owned(),
            socket.clone(),
        ],
        data: scratch.join("data"),
        daemon: Some(Daemon {
            child,
            gentle: true,
            scratch: Some(scratch),
            launch: Some(launch),
        }),
        helpers: &["brig-shim"],
    };
    let brig = ready(brig)?;
    let docker = paths::cache().join("tools/docker-28/usr/bin/docker");
    let mut all = vec![brig];
    if docker.exists() {
        let prefix = vec![docker.display().to_string(), "--host".to_owned(), socket];
        all.push(all[0].through("Brig, docker's client", prefix));
    }
    Ok(all)
}

/// A peer that cannot be measured, and why.
#[derive(Debug)]
pub(crate) struct Absent {
    /// How it would be called.
    pub(crate) name: String,
    /// Why it is not.
    pub(crate) why: String,
}

/// How an engine of a tree is started, on a machine of its own if there is one.
type Start = fn(&Path, &str, Option<&Machine>) -> Result<Subject>;

/// Docker and podman of one suite of Debian.
pub(crate) fn peers(suite: &str) -> (Vec<Subject>, Vec<Absent>) {
    peers_on(suite, [None, None])
}

/// The same, Docker on the first machine and podman on the other.
pub(crate) fn peers_on(
    suite: &str,
    machines: [Option<&Machine>; 2],
) -> (Vec<Subject>, Vec<Absent>) {
    let root = paths::cache().join("peers").join(suite);
    let mut there = Vec::new();
    let mut absent = Vec::new();
    let made = prepare(&root);
    let starts = [("Docker", docker as Start), ("podman", podman)];
    for ((name, start), machine) in starts.into_iter().zip(machines) {
        let started = match &made {
            Ok(()) => start(&root, suite, machine),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        match started {
            Ok(subject) => there.push(subject),
            Err(error) => {
                absent.push(Absent {
                    name: format!("{name} of {suite}"),
                    why: format!("{error:#}"),
                });
            }
        }
    }
    (there, absent)
}

/// Mounts what a tree needs to be lived in, in this mount namespace only.
pub(crate) fn prepare(root: &Path) -> Result<()> {
    if !root.join(".complete").exists() {
        bail!("there is no {}: run scripts/setup.sh bench", root.display());
    }
    // What is not a mount cannot be made private, which every engine wants of its root.
    let script = r#"mount --bind "$0" "$0"; cd "$0"
        mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev
        mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp; mkdir -p run/lock var/tmp
        [ -e etc/resolv.conf ] || : > etc/resolv.conf
        printf '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n[network]\nfirewall_driver = "iptables"\n' \
            > run/containers.conf"#;
    quiet(Command::new("sh").args(["-ec", script]).arg(root)).map(drop)
}

fn docker(root: &Path, suite: &str, machine: Option<&Machine>) -> Result<Subject> {
    let root_text = root.display().to_string();
    // The loopback, and with it a registry, is this machine's. No bridge and no rule is made there.
    let nothing = ["--iptables=false", "--bridge=none", "--ip-forward=false"];
    let networks: &[&str] = if machine.is_some() { &[] } else { &nothing };
    let child = on(machine, "unshare")
        .args(["--pid", "--fork", "--kill-child", "--mount", "--mount-proc"])
        .arg(format!("--root={root_text}"))
        .args(["dockerd", "--host=unix:///run/docker.sock"])
        .args(networks)
        .arg("--cgroup-parent=/brig-bench-docker")
        .args(["--exec-opt=native.cgroupdriver=cgroupfs"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(
            paths::target().join(format!("dockerd-{suite}.log")),
        )?)
        .spawn()
        .context("cannot start dockerd")?;
    ready(Subject {
        name: "Docker".to_owned(),
        version: String::new(),
        prefix: [
            "chroot",
            &root_text,
            "docker",
            "--host=unix:///run/docker.sock",
        ]
        .map(String::from)
        .into(),
        daemon: Some(Daemon {
            child,
            gentle: false,
            scratch: None,
            launch: None,
        }),
        helpers: &["containerd-shim"],
        data: root.join("var/lib/docker"),
    })
}

fn podman(root: &Path, _suite: &str, machine: Option<&Machine>) -> Result<Subject> {
    let root_text = root.display().to_string();
    let flags = [
        "--cgroup-manager=cgroupfs",
        "--runtime=crun",
        "--events-backend=file",
    ];
    let mut prefix = ["chroot", &root_text, "podman"].map(String::from).to_vec();
    if let Some(machine) = machine {
        let enter = format!("--net=/proc/{}/ns/net", machine.pid());
        prefix.splice(0..0, ["nsenter".to_owned(), enter]);
    }
    prefix.extend(flags.map(String::from));
    ready(Subject {
        name: "podman".to_owned(),
        version: String::new(),
        prefix,
        daemon: None,
        helpers: &["conmon"],
        data: root.join("var/lib/containers"),
    })
}

/// skopeo, which copies images and runs nothing; none where it is not installed.
pub(crate) fn skopeo(data: &Path) -> Option<Subject> {
    let version = quiet(Command::new("skopeo").arg("--version")).ok()?;
    let number = version.split_whitespace().last().unwrap_or("?").to_owned();
    Some(Subject {
        name: format!("skopeo {number}"),
        version,
        prefix: vec!["skopeo".to_owned()],
        daemon: None,
        helpers: &[],
        data: data.to_owned(),
    })
}

/// Waits until it answers, learns its version and gives it the image.
fn ready(mut subject: Subject) -> Result<Subject> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = subject.run(&["ps"]) {
        if Instant::now() > deadline {
            return Err(error.context("it does not answer"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    subject.version = subject.run(&["--version"])?;
    let short = subject
        .version
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    if subject.name != "Brig" {
        let short = short
            .unwrap_or("?")
            .trim_end_matches(',')
            .split('+')
            .next()
            .unwrap_or("?");
        subject.name = format!("{} {short}", subject.name);
    }
    let tar = paths::cache().join("images/busybox.tar");
    if !tar.exists() {
        bail!("no busybox image: run scripts/setup.sh test");
    }
    subject.import(&tar, IMAGE)?;
    Ok(subject)
}
