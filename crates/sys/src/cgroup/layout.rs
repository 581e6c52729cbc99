//! Which cgroup hierarchies this machine has, and what they can limit.

use std::io;
use std::path::{Path, PathBuf};

use super::{Error, read};

/// One mounted hierarchy and the controllers on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Where it is mounted.
    pub(super) mount: PathBuf,
    /// Its controllers; a named v1 hierarchy has `name=...` only.
    pub(super) controllers: Vec<String>,
}

impl Hierarchy {
    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }
}

/// The machine's cgroup hierarchies, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub(super) v1: Vec<Hierarchy>,
    pub(super) v2: Option<Hierarchy>,
}

/// How the hierarchies are set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Version 1 only.
    Legacy,
    /// Version 1 with a version 2 hierarchy beside it.
    Hybrid,
    /// Version 2 only.
    Unified,
}

/// What the machine's cgroups can limit; a front end warns about the rest and drops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Only the unified hierarchy is there, so limits are version 2's.
    pub unified: bool,
    /// Memory.
    pub memory: bool,
    /// Memory and swap together.
    pub swap: bool,
    /// A limit below which reclaim spares the container.
    pub memory_reservation: bool,
    /// Willingness to swap.
    pub memory_swappiness: bool,
    /// Switching the out-of-memory killer off.
    pub oom_kill_disable: bool,
    /// Relative weight of processor time.
    pub cpu_shares: bool,
    /// Processor time per period.
    pub cpu_quota: bool,
    /// Which processors.
    pub cpuset: bool,
    /// Number of processes.
    pub pids: bool,
    /// Relative weight of block I/O.
    pub blkio_weight: bool,
    /// Access to devices.
    pub devices: bool,
}

/// `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC` (statfs(2)).
const MAGIC: [rustix::fs::FsWord; 2] = [0x0027_e0eb, 0x6367_7270];

/// Controllers of version 1 by the names that mount options use.
const V1_CONTROLLERS: [&str; 15] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "debug",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
];

impl Layout {
    /// Reads `/proc/self/mountinfo`.
    pub fn detect() -> Result<Self, Error> {
        let text = read::text(Path::new("/proc/self/mountinfo"))?;
        let mut layout = Self::parse(&text);
        if let Some(v2) = &mut layout.v2 {
            let controllers = read_line(&v2.mount.join("cgroup.controllers"));
            v2.controllers = controllers.split_whitespace().map(str::to_owned).collect();
        }
        if layout.v1.is_empty() && layout.v2.is_none() {
            return Err(Error::NotMounted);
        }
        Ok(layout)
    }

    /// Whether each hierarchy is mounted where it was found: to look takes a tenth of the time that reading
    /// takes.
    pub fn is_there(&self) -> bool {
        let is_cgroup = |hierarchy: &Hierarchy| {
            let found = rustix::fs::statfs(&hierarchy.mount);
            found.is_ok_and(|found| MAGIC.contains(&found.f_type))
        };
        self.v1.iter().chain(&self.v2).all(is_cgroup)
    }

    /// The hierarchies in the text of a mountinfo file. A hierarchy mounted twice counts once; the
    /// mount below `/sys/fs/cgroup` is preferred.
    fn parse(mountinfo: &str) -> Self {
        let mut seen: Vec<(&str, Hierarchy, bool)> = Vec::new();
        for (device, hierarchy, is_v2) in mountinfo.lines().filter_map(parse_line) {
            match seen.iter_mut().find(|(known, ..)| *known == device) {
                None => seen.push((device, hierarchy, is_v2)),
                Some((_, known, _)) => {
                    let usual = |h: &Hierarchy| h.mount.starts_with("/sys/fs/cgroup");
                    if usual(&hierarchy) && !usual(known) {
                        *known = hierarchy;
                    }
                }
            }
        }
        let mut layout = Self {
            v1: Vec::new(),
            v2: None,
        };
        for (_, hierarchy, is_v2) in seen {
            if is_v2 {
                layout.v2 = Some(hierarchy);
            } else {
                layout.v1.push(hierarchy);
            }
        }
        layout
    }

    /// How the hierarchies are set up.
    pub fn mode(&self) -> Mode {
        match (self.v1.is_empty(), &self.v2) {
            (true, _) => Mode::Unified,
            (false, None) => Mode::Legacy,
            (false, Some(_)) => Mode::Hybrid,
        }
    }

    /// 2 when the machine has the unified hierarchy only, else 1.
    pub fn version(&self) -> u8 {
        match self.mode() {
            Mode::Unified => 2,
            Mode::Legacy | Mode::Hybrid => 1,
        }
    }

    /// What can be limited here.
    pub fn capabilities(&self) -> Capabilities {
        match (self.mode(), &self.v2) {
            (Mode::Unified, Some(v2)) => capabilities_v2(v2),
            _ => self.capabilities_v1(),
        }
    }

    fn capabilities_v1(&self) -> Capabilities {
        let has = |controller: &str, file: &str| {
            self.v1
                .iter()
                .any(|h| h.has(controller) && (file.is_empty() || h.mount.join(file).exists()))
        };
        let v2_has = |controller: &str| self.v2.as_ref().is_some_and(|h| h.has(controller));
        // The root has no blkio.bfq.weight, but the scheduler's counters.
        let bfq = has("blkio", "blkio.bfq.io_service_bytes");
        Capabilities {
            unified: false,
            memory: has("memory", "memory.limit_in_bytes") || v2_has("memory"),
            swap: has("memory", "memory.memsw.limit_in_bytes"),
            memory_reservation: has("memory", "memory.soft_limit_in_bytes") || v2_has("memory"),
            memory_swappiness: has("memory", "memory.swappiness"),
            oom_kill_disable: has("memory", "memory.oom_control"),
            cpu_shares: has("cpu", "cpu.shares") || v2_has("cpu"),
            cpu_quota: has("cpu", "cpu.cfs_quota_us") || v2_has("cpu"),
            cpuset: has("cpuset", "") || v2_has("cpuset"),
            pids: has("pids", "") || v2_has("pids"),
            blkio_weight: has("blkio", "blkio.weight") || bfq,
            devices: has("devices", "") || self.v2.is_some(),
        }
    }

    /// The processors and memory nodes that a cpuset can be made of, as in `0-3`; empty when there
    /// is no such controller.
    pub fn available_cpus_and_mems(&self) -> (String, String) {
        let v1 = self.v1.iter().find(|h| h.has("cpuset"));
        let v2 = self.v2.as_ref().filter(|h| h.has("cpuset"));
        let read = |mount: &Path, names: [&str; 2]| {
            let first = |name: &&str| read_line(&mount.join(name));
            names.iter().map(first).find(|s| !s.is_empty())
        };
        let Some(home) = v1.or(v2) else {
            return (String::new(), String::new());
        };
        let value = |names| read(&home.mount, names).unwrap_or_default();
        (
            value(["cpuset.effective_cpus", "cpuset.cpus.effective"]),
            value(["cpuset.effective_mems", "cpuset.mems.effective"]),
        )
    }
}

fn capabilities_v2(v2: &Hierarchy) -> Capabilities {
    let memory = v2.has("memory");
    let cpu = v2.has("cpu");
    Capabilities {
        unified: true,
        memory,
        swap: memory && swap_accounting_v2(),
        memory_reservation: memory,
        memory_swappiness: false,
        oom_kill_disable: false,
        cpu_shares: cpu,
        cpu_quota: cpu,
        cpuset: v2.has("cpuset"),
        pids: v2.has("pids"),
        blkio_weight: v2.has("io"),
        devices: true,
    }
}

/// The root has no `memory.swap.max`, so look where this process is; in the root itself, or where
/// nobody has enabled the memory controller yet, meminfo shows swap unless the kernel is without.
fn swap_accounting_v2() -> bool {
    let own = read_all(Path::new("/proc/self/cgroup"));
    let own = own.lines().find_map(|l| l.strip_prefix("0::/"));
    let own = own.map(|path| Path::new("/sys/fs/cgroup").join(path));
    match own.filter(|dir| dir.join("memory.max").exists()) {
        Some(dir) => dir.join("memory.swap.max").exists(),
        None => read_all(Path::new("/proc/meminfo")).contains("SwapTotal:"),
    }
}

/// Device number, hierarchy, whether it is version 2.
fn parse_line(line: &str) -> Option<(&str, Hierarchy, bool)> {
    let (left, right) = line.split_once(" - ")?;
    let mut right = right.split(' ');
    let is_v2 = match right.next()? {
        "cgroup" => false,
        "cgroup2" => true,
        _ => return None,
    };
    let options = right.nth(1)?;
    let mut left = left.split(' ');
    let device = left.nth(2)?;
    let mount = unescape(left.nth(1)?);
    let controllers = options
        .split(',')
        .filter(|o| !is_v2 && (V1_CONTROLLERS.contains(o) || o.starts_with("name=")))
        .map(str::to_owned)
        .collect();
    Some((device, Hierarchy { mount, controllers }, is_v2))
}

/// Undoes the octal escapes of proc_pid_mountinfo(5).
fn unescape(field: &str) -> PathBuf {
    let mut out = String::new();
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.get(..3).and_then(|o| u8::from_str_radix(o, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out.into()
}

fn read_all(path: &Path) -> String {
    read::text(path).unwrap_or_default()
}

/// The trimmed content of a one-line file; empty when it cannot be read.
fn read_line(path: &Path) -> String {
    read::line(path).unwrap_or_default()
}

/// Whether an error says that the file is not there.
pub(super) fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 master:1 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
42 31 0:29 / /mnt/a\\040b rw,relatime - cgroup cgroup rw,cpu,cpuacct
";

    #[test]
    fn hierarchies_are_read_from_mountinfo() {
        let layout = Layout::parse(HYBRID);
        assert_eq!(layout.mode(), Mode::Hybrid);
        assert_eq!(layout.version(), 1);
        let show: Vec<_> = layout
            .v1
            .iter()
            .map(|h| format!("{} {}", h.mount.display(), h.controllers.join("+")))
            .collect();
        assert_eq!(
            show,
            [
                "/sys/fs/cgroup/cpu,cpuacct cpu+cpuacct",
                "/sys/fs/cgroup/systemd name=systemd"
            ]
        );
        assert_eq!(
            layout.v2.unwrap().mount,
            Path::new("/sys/fs/cgroup/unified")
        );
    }

    #[test]
    fn the_usual_place_wins_and_escapes_are_undone() {
        let text: String = HYBRID.lines().rev().map(|l| format!("{l}\n")).collect();
        let layout = Layout::parse(&text);
        assert_eq!(
            layout.v1[0].mount,
            Path::new("/sys/fs/cgroup/cpu,cpuacct"),
            "{layout:?}"
        );
        assert_eq!(unescape("/mnt/a\\040b\\x"), Path::new("/mnt/a b\\x"));
    }

    #[test]
    fn one_v2_mount_is_unified() {
        let layout = Layout::parse("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        assert_eq!((layout.mode(), layout.version()), (Mode::Unified, 2));
    }

    /// What the kernel says it has put on a hierarchy of version 1 must be known by name here.
    #[test]
    fn every_controller_of_this_machine_is_known() {
        let layout = Layout::detect().unwrap();
        let table = read_all(Path::new("/proc/cgroups"));
        for line in table.lines().filter(|l| !l.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (name, hierarchy) = (words.next().unwrap(), words.next().unwrap());
            let mounted = layout.v1.iter().any(|h| h.has(name));
            assert!(mounted || hierarchy == "0", "{line}");
        }
    }

    #[test]
    fn this_machine_has_cgroups() {
        let layout = Layout::detect().unwrap();
        let (cpus, mems) = layout.available_cpus_and_mems();
        if layout.capabilities().cpuset {
            assert!(cpus.starts_with('0'), "{cpus:?} {mems:?}");
        }
    }
}
