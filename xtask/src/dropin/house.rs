//! A Debian tree as the root of mount, pid and network namespaces of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::paths;

/// All cgroups of the engines are below it.
pub(crate) const CGROUP: &str = "brig-dropin";

/// Where the runtime is inside.
pub(crate) const RUNTIME: &str = "/run/house/brig-runtime";

/// What is kept on the tree's disk would outlive the namespaces: everything is on file systems of
/// memory. The tree has no umount(8) of its own, so busybox lets the old root go.
const FURNISH: &str = r#"set -e
    root=$0 runtime=$1 image=$2 busybox=$3
    mount --bind "$root" "$root"; cd "$root"
    mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev
    # podman makes what it misses: in a place of its own, not beside the real hierarchies.
    if ! grep -q " /sys/fs/cgroup cgroup2 " /proc/mounts; then
        mount -t tmpfs tmpfs run; mkdir run/cgroup
        mount -t tmpfs tmpfs run/cgroup
        for hierarchy in /sys/fs/cgroup/*; do
            mountpoint -q "$hierarchy" || continue
            mkdir "run/cgroup/${hierarchy##*/}"
            mount --bind "$hierarchy" "run/cgroup/${hierarchy##*/}"
        done
        mount --move run/cgroup sys/fs/cgroup
        umount run
    fi
    for place in run tmp var/tmp var/lib; do mount -t tmpfs tmpfs $place; done
    mkdir -p run/lock run/house/old var/lib/containers tmp/bb
    cp "$runtime" run/house/brig-runtime
    cp "$busybox" run/house/busybox
    cp "$image" run/house/busybox.tar
    tar xf "$image" -C tmp/bb; chmod 755 tmp/bb tmp/bb/bin
    printf '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n' \
        > run/containers.conf
    ip link set lo up
    pivot_root . run/house/old; cd /
    /run/house/busybox umount -l /run/house/old
    echo ready
    exec /run/house/busybox sleep 100000"#;

/// The namespaces, held by a process that does nothing.
#[derive(Debug)]
pub(crate) struct House {
    keeper: Child,
    /// The first process inside.
    first: String,
    /// Patterns of the cgroups to be removed with it.
    cgroups: Vec<&'static str>,
}

/// podman's own cgroups, whatever it is told.
const PODMANS: &str = "libpod_parent";

/// Cgroups that are not there yet are the house's when it is left.
fn cgroups() -> Vec<&'static str> {
    let there = |name: &str| {
        let hierarchies = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
        let mut places = hierarchies.flatten().map(|hierarchy| hierarchy.path());
        places.any(|place| place.join(name).exists())
            || Path::new("/sys/fs/cgroup").join(name).exists()
    };
    let mut all = vec![CGROUP];
    all.extend(Some(PODMANS).filter(|name| !there(name)));
    all
}

impl House {
    /// Fails where the tree or what goes into it is missing.
    pub(crate) fn open(suite: &str, runtime: &Path) -> Result<Self> {
        let tree = paths::cache().join("peers").join(suite);
        if !tree.join(".complete").exists() {
            bail!("there is no {}: run scripts/setup.sh bench", tree.display());
        }
        let image = paths::cache().join("images/busybox.tar");
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
        let busybox = busybox.into_iter().find(|path| path.exists());
        let busybox = busybox.context("there is no /bin/busybox")?;
        let cgroups = cgroups();
        let mut keeper = Command::new("setpriv")
            // Who kills this program ends the house.
            .args(["--pdeathsig", "KILL", "unshare"])
            .args([
                "--mount",
                "--propagation",
                "private",
                "--net",
                "--pid",
                "--fork",
            ])
            .args(["--kill-child", "sh", "-c", FURNISH])
            .args([&tree, runtime, &image, busybox])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run unshare")?;
        let mut line = String::new();
        let output = keeper.stdout.take().context("the keeper has no output")?;
        let read = std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line);
        let children = format!("/proc/{0}/task/{0}/children", keeper.id());
        let first = std::fs::read_to_string(children).unwrap_or_default();
        let first = first.trim().to_owned();
        let house = Self {
            keeper,
            first,
            cgroups,
        };
        if read.is_err() || line.trim() != "ready" {
            bail!("the tree {} cannot be made a root", tree.display());
        }
        Ok(house)
    }

    /// The words of a command that runs these inside.
    pub(crate) fn words(&self, words: &[&str]) -> Vec<String> {
        let enter = [
            "nsenter",
            "--target",
            &self.first,
            "--mount",
            "--pid",
            "--net",
            "--",
        ];
        let environment = [
            "env",
            "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/tmp",
            "TERM=dumb",
            "CONTAINERS_CONF=/run/containers.conf",
            "PODMAN_IGNORE_CGROUPSV1_WARNING=1",
        ];
        let all = enter.iter().chain(&environment).chain(words);
        all.map(|word| (*word).to_owned()).collect()
    }

    fn command(&self, words: &[&str]) -> Command {
        let words = self.words(words);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command
    }

    /// Runs a command inside to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words).output().context("cannot run nsenter")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{words:?} ended with {}: {}", output.status, said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a daemon, which ends with the house, and waits until it answers.
    pub(crate) fn daemon(&self, words: &[&str], answers: &[&str]) -> Result<()> {
        let log = std::fs::File::create(paths::target().join("dropin.log"))?;
        let mut daemon = self
            .command(words)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", words[0]))?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = self.run(answers) {
            if let Some(status) = daemon.try_wait()? {
                bail!("{} ended with {status}", words[0]);
            }
            if Instant::now() > deadline {
                return Err(error.context("it does not answer"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // With its parent the first process of the pid namespace ends, and with that one all.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        // The first process is reaped when all the others are: cgroups are empty then.
        let first = Path::new("/proc").join(&self.first);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.first.is_empty() && first.exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        for cgroup in &self.cgroups {
            let find = ["/sys/fs/cgroup", "-depth", "-type", "d", "-path"];
            let pattern = format!("*/{cgroup}*");
            let sweep = Command::new("find")
                .args(find)
                .arg(pattern)
                .arg("-delete")
                .output();
            // Nothing to be swept is no failure of what was tested.
            drop(sweep);
        }
    }
}
