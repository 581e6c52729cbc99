//! The virtual machine's root disk and initramfs.
//!
//! The disk is an ext4 image filled by `mke2fs -d`, so that nothing has to be mounted here; the
//! initramfs only loads the disk's driver and hands over, because no container root can be pivoted
//! to from an initramfs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Places;
use super::plan::Run;
use super::programs::Program;
use crate::paths;

/// What goes onto the disk besides the system.
#[derive(Debug)]
pub(crate) struct Files<'a> {
    /// Test programs to run.
    pub(crate) runs: &'a [Run],
    /// All programs built; those that are no tests are started by tests.
    pub(crate) programs: &'a [Program],
    /// What the machine runs.
    pub(crate) script: &'a str,
}

/// Programs of this machine that tests start, where they are installed.
const TOOLS: [&str; 20] = [
    "du",
    "mkfs.ext4",
    "mkfs.xfs",
    "ip",
    "nice",
    "ps",
    "tar",
    "gzip",
    "xz",
    "zstd",
    "strace",
    "unshare",
    "nsenter",
    "setpriv",
    "script",
    "find",
    "stat",
    "getfattr",
    "setfattr",
    "systemctl",
];

/// Programs that other programs start: systemd, for the tests of the driver that asks it for cgroups,
/// and a user's bus.
const HIDDEN_TOOLS: [&str; 3] = [
    "/usr/lib/systemd/systemd",
    "/usr/lib/systemd/systemd-executor",
    "/usr/bin/dbus-daemon",
];

/// What systemd's instance for a user begins with, and the bus that it starts (Debian's
/// dbus-user-session).
const OF_USERS: [&str; 12] = [
    "/usr/lib/systemd/user/app.slice",
    "/usr/lib/systemd/user/basic.target",
    "/usr/lib/systemd/user/dbus.service",
    "/usr/lib/systemd/user/dbus.socket",
    "/usr/lib/systemd/user/exit.target",
    "/usr/lib/systemd/user/paths.target",
    "/usr/lib/systemd/user/session.slice",
    "/usr/lib/systemd/user/shutdown.target",
    "/usr/lib/systemd/user/sockets.target",
    "/usr/lib/systemd/user/systemd-exit.service",
    "/usr/lib/systemd/user/timers.target",
    "/usr/share/dbus-1/session.conf",
];

/// That the bus is wanted.
const WANTED: &str = "usr/lib/systemd/user/sockets.target.wants";

/// What the initramfs loads to see its disk. Those that are built in are no files.
const DISK_MODULES: [&str; 3] = ["virtio_pci", "virtio_blk", "ext4"];

/// What containers and tests need; loaded from the disk.
const LATER_MODULES: [&str; 26] = [
    "overlay",
    "virtio-rng",
    "loop",
    "quota_v2",
    "xfs",
    "nfsv4",
    "nfsd",
    // What a kernel with modprobe loads by itself when networks ask for it.
    "veth",
    "bridge",
    "macvlan",
    "ipvlan",
    "8021q",
    "sctp",
    "dummy",
    "sch_tbf",
    "nf_tables",
    "nft_chain_nat",
    "nft_ct",
    "nft_nat",
    "nft_masq",
    "nft_redir",
    "nft_fib_inet",
    "nft_fib_ipv4",
    "nft_fib_ipv6",
    "nft_reject_inet",
    "nft_dup_ipv4",
];

const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /new
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules/order); do /bin/busybox insmod /modules/$module; done
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 100 ]; do /bin/busybox usleep 50000; tries=$((tries + 1)); done
/bin/busybox mount -t ext4 /dev/vda /new || { echo "no root disk"; /bin/busybox poweroff -f; }
/bin/busybox mount --move /dev /new/dev
exec /bin/busybox switch_root /new /sbin/init
"#;

const SECOND_INIT: &str = r#"#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
# Where the kernel was told to have it.
mount -t selinuxfs selinuxfs /sys/fs/selinux 2>/dev/null
mount --make-rshared /
for module in $(cat /modules/order); do insmod /modules/$module 2>/dev/null; done
ip link set lo up
hostname vm
# The tests are not in the root cgroup, as nothing is on a machine with systemd.
mkdir -p /sys/fs/cgroup/tests.scope
echo 0 > /sys/fs/cgroup/tests.scope/cgroup.procs
sh /script
echo "@@ finished"
sync
poweroff -f
"#;

/// Builds the root disk.
pub(crate) fn root_disk(places: &Places, files: &Files<'_>) -> Result<PathBuf> {
    let root = places.work.join("root");
    let _ = fs::remove_dir_all(&root);
    let mut tree = Tree {
        root,
        copied: BTreeSet::new(),
    };
    tree.system()?;
    for (name, program) in TOOLS.iter().filter_map(|name| Some((name, which(name)?))) {
        // busybox' own of that name may be found first.
        let _ = fs::remove_file(tree.root.join("bin").join(name));
        tree.program(&program)?;
    }
    for program in HIDDEN_TOOLS.map(Path::new) {
        if program.exists() {
            tree.program(program)?;
        }
    }
    tree.of_users()?;
    for run in files.runs {
        tree.program(&run.program.path)?;
    }
    for program in files.programs.iter().filter(|p| !p.test) {
        tree.program(&program.path)?;
    }
    for directory in [paths::dist(false), paths::cache().join("tools")] {
        tree.programs_below(&directory)?;
    }
    tree.copy(&paths::cache().join("images/busybox.tar"))?;
    tree.modules(places, &LATER_MODULES)?;
    tree.script("script", files.script)?;
    tree.script("sbin/init", SECOND_INIT)?;
    tree.disk(&places.work.join("root.ext4"))
}

/// Builds the initramfs.
pub(crate) fn initramfs(places: &Places) -> Result<PathBuf> {
    let root = places.work.join("initramfs");
    let _ = fs::remove_dir_all(&root);
    let tree = Tree {
        root,
        copied: BTreeSet::new(),
    };
    tree.copy(Path::new("/bin/busybox"))?;
    tree.modules(places, &DISK_MODULES)?;
    tree.script("init", INIT)?;
    let archive = places.work.join("initramfs.cpio");
    shell(
        &tree.root,
        &format!("find . | cpio -o -H newc --quiet > '{}'", archive.display()),
    )?;
    Ok(archive)
}

/// A directory that becomes a file system.
struct Tree {
    root: PathBuf,
    copied: BTreeSet<PathBuf>,
}

impl Tree {
    /// Directories, busybox under all its names, users.
    fn system(&mut self) -> Result<()> {
        for directory in [
            "bin", "sbin", "usr/bin", "usr/sbin", "etc", "proc", "sys", "dev", "run", "tmp",
            "root", "var/tmp", "var/lib", "lib", "lib64", "usr/lib",
        ] {
            fs::create_dir_all(self.root.join(directory))?;
        }
        fs::set_permissions(self.root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        self.copy(Path::new("/bin/busybox"))?;
        let names = Command::new("/bin/busybox")
            .arg("--list")
            .output()
            .context("no busybox")?;
        for name in String::from_utf8_lossy(&names.stdout)
            .lines()
            .filter(|n| *n != "busybox")
        {
            symlink("/bin/busybox", self.root.join("bin").join(name))?;
        }
        self.text(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
        )?;
        self.text("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n")?;
        self.text("etc/hosts", "127.0.0.1 localhost\n")?;
        self.text("etc/resolv.conf", "")?;
        self.text("etc/machine-id", "0123456789abcdef0123456789abcdef\n")?;
        self.text(
            "etc/os-release",
            "PRETTY_NAME=\"Brig's test machine\"\nID=debian\n",
        )
    }

    /// What a user's systemd has, as far as this machine has it. That the bus is wanted is said by a
    /// link, which alone counts.
    fn of_users(&self) -> Result<()> {
        for file in OF_USERS.map(Path::new).iter().filter(|file| file.exists()) {
            self.copy(file)?;
        }
        let (wanted, unit) = (self.root.join(WANTED), "dbus.socket");
        if !self.root.join("usr/lib/systemd/user").join(unit).exists() {
            return Ok(());
        }
        fs::create_dir_all(&wanted)?;
        symlink(Path::new("..").join(unit), wanted.join(unit)).context("cannot link the bus")
    }

    /// A program at its own path with the libraries that it needs.
    fn program(&mut self, path: &Path) -> Result<()> {
        if !self.copied.insert(path.to_owned()) {
            return Ok(());
        }
        self.copy(path)?;
        // A static program makes ldd fail, and needs nothing.
        let libraries = Command::new("ldd")
            .arg(path)
            .output()
            .context("cannot run ldd")?;
        for line in String::from_utf8_lossy(&libraries.stdout).lines() {
            // Other words with a slash are what ldd complains about.
            let is_file = |word: &&str| word.starts_with('/') && Path::new(word).is_file();
            let library = line.split_whitespace().find(is_file);
            if let Some(library) = library.map(Path::new)
                && self.copied.insert(library.to_owned())
            {
                self.copy(library)?;
            }
        }
        Ok(())
    }

    /// Every executable file below `directory`, if it is there.
    fn programs_below(&mut self, directory: &Path) -> Result<()> {
        let Ok(entries) = fs::read_dir(directory) else {
            return Ok(());
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.programs_below(&entry.path())?;
            } else if kind.is_file() && entry.metadata()?.permissions().mode() & 0o111 != 0 {
                self.program(&entry.path())?;
            }
        }
        Ok(())
    }

    /// A file at its own path; a link's target under the link's name.
    fn copy(&self, path: &Path) -> Result<()> {
        let to = self.root.join(path.strip_prefix("/").unwrap_or(path));
        let parent = to.parent().context("a file has a directory")?;
        fs::create_dir_all(parent)?;
        // busybox's own names give way to the real programs.
        let _ = fs::remove_file(&to);
        fs::copy(path, &to).with_context(|| format!("cannot copy {}", path.display()))?;
        Ok(())
    }

    /// Those of the modules that the kernel does not have built in, after those they need.
    fn modules(&self, places: &Places, names: &[&str]) -> Result<()> {
        let to = self.root.join("modules");
        fs::create_dir_all(&to)?;
        let mut order = Vec::new();
        for name in names {
            with_needs(&places.modules, name, &mut order)?;
        }
        let mut text = String::new();
        for path in &order {
            let name = path.file_name().context("a module has a name")?;
            fs::copy(path, to.join(name))?;
            text.push_str(&format!("{}\n", name.to_string_lossy()));
        }
        self.text("modules/order", &text)
    }

    fn text(&self, path: &str, text: &str) -> Result<()> {
        let path = self.root.join(path);
        let _ = fs::remove_file(&path);
        let mut file = fs::File::create(&path).with_context(|| format!("{}", path.display()))?;
        std::io::Write::write_all(&mut file, text.as_bytes()).context("cannot write")
    }

    fn script(&self, path: &str, text: &str) -> Result<()> {
        self.text(path, text)?;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.root.join(path), mode).context("cannot make it executable")
    }

    /// The tree as an ext4 image with room to work in.
    fn disk(&self, image: &Path) -> Result<PathBuf> {
        let _ = fs::remove_file(image);
        let command = format!(
            "mke2fs -q -t ext4 -E lazy_itable_init=1,lazy_journal_init=1 -d . '{}' 8g",
            image.display()
        );
        shell(&self.root, &command)?;
        Ok(image.to_owned())
    }
}

/// Appends a module after the modules it depends on; nothing if it is built in.
fn with_needs(modules: &Path, name: &str, order: &mut Vec<PathBuf>) -> Result<()> {
    let Some(path) = find(modules, &format!("{name}.ko"))? else {
        return Ok(());
    };
    if order.contains(&path) {
        return Ok(());
    }
    let output = Command::new("modinfo")
        .args(["-F", "depends"])
        .arg(&path)
        .output();
    let needs = output.context("cannot run modinfo")?.stdout;
    for need in String::from_utf8_lossy(&needs)
        .trim()
        .split(',')
        .filter(|n| !n.is_empty())
    {
        with_needs(modules, need, order)?;
    }
    order.push(path);
    Ok(())
}

fn find(directory: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if let Some(found) = find(&entry.path(), name)? {
                return Ok(Some(found));
            }
        } else if entry.file_name().to_string_lossy().replace('-', "_") == name.replace('-', "_") {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|d| d.join(name))
        .find(|p| p.is_file())
}

fn shell(directory: &Path, command: &str) -> Result<()> {
    let status = Command::new("sh")
        .current_dir(directory)
        .args(["-ec", command])
        .status();
    if !status.context("cannot run sh")?.success() {
        bail!("this failed in {}: {command}", directory.display());
    }
    Ok(())
}
