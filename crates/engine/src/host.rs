//! Facts of the machine, read once when the engine opens.

use std::path::Path;

use sys::cgroup::Layout;

use crate::Error;
use crate::container::selinux::Contexts;
use crate::render::HostFacts;

/// What this machine is.
#[derive(Debug)]
pub(crate) struct Host {
    /// The cgroup hierarchies.
    pub(crate) cgroups: Layout,
    /// What rendering asks.
    pub(crate) facts: HostFacts,
    /// Processors of this machine.
    pub(crate) cpus: usize,
    /// Processors and memory nodes, as in `0-2,4`.
    pub(crate) available: (String, String),
    /// Whether real-time scheduling can be limited, which is version 1's only.
    pub(crate) realtime: bool,
    /// Whether AppArmor is there to confine.
    pub(crate) apparmor: bool,
    /// What SELinux calls containers, if it is to confine them.
    pub(crate) selinux: Option<Contexts>,
    /// Identifies this boot.
    pub(crate) boot: String,
    /// The host's own name.
    pub(crate) name: String,
    /// Kernel release, uname(2).
    pub(crate) kernel: String,
}

impl Host {
    pub(crate) fn detect(selinux: bool) -> Result<Self, Error> {
        let cgroups = Layout::detect().map_err(Error::kernel("find the cgroup hierarchies"))?;
        let kernel = read("/proc/sys/kernel/osrelease")?;
        let facts = HostFacts {
            cgroups: cgroups.capabilities(),
            kernel: version(&kernel),
            arch: std::env::consts::ARCH,
            last_capability: read("/proc/sys/kernel/cap_last_cap")?
                .parse()
                .unwrap_or_default(),
            bounding: bounding(&read("/proc/self/status")?),
            thermal_throttle: thermal_throttle(),
        };
        Ok(Self {
            facts,
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            available: cgroups.available_cpus_and_mems(),
            realtime: ["cpu", "cpu,cpuacct"]
                .iter()
                .any(|dir| Path::new(&format!("/sys/fs/cgroup/{dir}/cpu.rt_period_us")).exists()),
            apparmor: read("/sys/module/apparmor/parameters/enabled").is_ok_and(|on| on == "Y"),
            selinux: selinux.then(Contexts::find).flatten(),
            boot: sys::proc::boot_id().map_err(Error::kernel("read this machine's boot id"))?,
            name: read("/proc/sys/kernel/hostname")?,
            cgroups,
            kernel,
        })
    }
}

fn read(path: &str) -> Result<String, Error> {
    std::fs::read_to_string(path)
        .map(|text| text.trim_end().to_owned())
        .map_err(Error::io(format!("read {path}")))
}

/// Directories that tell how hot each processor is.
fn thermal_throttle() -> Vec<String> {
    let cpus = std::fs::read_dir("/sys/devices/system/cpu");
    let mut found: Vec<String> = cpus
        .into_iter()
        .flatten()
        .flatten()
        .map(|cpu| cpu.path().join("thermal_throttle"))
        .filter(|path| path.is_dir())
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    found.sort();
    found
}

/// Major and minor of a release such as `6.1.0-13-amd64`.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|digits| digits.parse().unwrap_or_default());
    (
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    )
}

/// The bounding set in `/proc/PID/status`; full when it is not told.
fn bounding(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_and_capabilities() {
        assert_eq!(version("6.1.0-13-amd64"), (6, 1));
        assert_eq!(version("6.18+"), (6, 18));
        assert_eq!(
            bounding("Name:\tx\nCapBnd:\t00000000a80425fb\n"),
            0xa804_25fb
        );
    }
}
