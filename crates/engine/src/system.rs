//! What the machine and this engine are.

use crate::Engine;

/// Facts for `info`.
#[derive(Debug, Clone, Default)]
pub struct Info {
    /// Containers that run.
    pub running: usize,
    /// Containers that are frozen.
    pub paused: usize,
    /// Containers that do neither.
    pub stopped: usize,
    /// Images.
    pub images: usize,
    /// Kernel release.
    pub kernel: String,
    /// PRETTY_NAME of os-release(5).
    pub os: String,
    /// VERSION_ID of os-release(5).
    pub os_version: String,
    /// Processors.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Host name.
    pub hostname: String,
    /// 1, or 2 when the machine has the unified hierarchy only.
    pub cgroup_version: u8,
    /// Whether AppArmor is on.
    pub apparmor: bool,
    /// Whether SELinux confines containers.
    pub selinux: bool,
    /// Who listens to events.
    pub listeners: usize,
    /// What the store's file system is called: `extfs`.
    pub file_system: String,
    /// What limits this kernel cannot keep, in Docker's words.
    pub warnings: Vec<String>,
}

/// The machine and this engine. Blocking.
pub fn info(engine: &Engine) -> Info {
    let host = engine.host();
    let containers = engine.table().all();
    let count = |is: fn(&types::Lifecycle) -> bool| {
        let containers = containers.iter();
        containers
            .filter(|container| is(&container.lifecycle()))
            .count()
    };
    let paused = count(types::Lifecycle::is_paused);
    let running = count(types::Lifecycle::is_running) - paused;
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let release = [read("/etc/os-release"), read("/usr/lib/os-release")].concat();
    Info {
        running,
        paused,
        stopped: containers.len() - running - paused,
        images: engine.storage().images().map_or(0, |images| images.len()),
        kernel: host.kernel.clone(),
        os: release_field(&release, "PRETTY_NAME")
            .unwrap_or("Linux")
            .to_owned(),
        os_version: release_field(&release, "VERSION_ID")
            .unwrap_or_default()
            .to_owned(),
        cpus: host.cpus,
        memory: memory_total(&read("/proc/meminfo")),
        hostname: read("/proc/sys/kernel/hostname").trim_end().to_owned(),
        cgroup_version: host.cgroups.version(),
        apparmor: host.apparmor,
        selinux: host.selinux.is_some(),
        listeners: engine.events().readers(),
        file_system: file_system(&engine.config().data_root),
        warnings: warnings(&host.facts.cgroups),
    }
}

/// Docker's name of the file system that a directory is on: by its number in statfs(2), or that number.
fn file_system(directory: &std::path::Path) -> String {
    let magic = std::fs::File::open(directory).ok();
    let magic = magic.and_then(|opened| sys::root::file_system_magic(opened).ok());
    match magic {
        Some(0xEF53) => "extfs".to_owned(),
        Some(0x5846_5342) => "xfs".to_owned(),
        Some(0x9123_683E) => "btrfs".to_owned(),
        Some(0x2FC1_2FC1) => "zfs".to_owned(),
        Some(0xF2F5_2010) => "f2fs".to_owned(),
        Some(0x0102_1994) => "tmpfs".to_owned(),
        Some(0x794C_7630) => "overlayfs".to_owned(),
        Some(other) => format!("{other:#x}"),
        None => "<unknown>".to_owned(),
    }
}

/// A field of os-release(5), without its quotes.
fn release_field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix('=');
    let value = text.lines().find_map(value)?;
    Some(value.trim().trim_matches(['"', '\'']))
}

/// `MemTotal` of proc_meminfo(5), in bytes.
fn memory_total(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

fn warnings(cgroups: &sys::cgroup::Capabilities) -> Vec<String> {
    [
        (cgroups.memory, "WARNING: No memory limit support"),
        (cgroups.swap, "WARNING: No swap limit support"),
        (
            cgroups.oom_kill_disable || cgroups.unified,
            "WARNING: No oom kill disable support",
        ),
        (cgroups.cpu_quota, "WARNING: No cpu cfs quota support"),
        (cgroups.cpu_shares, "WARNING: No cpu shares support"),
        (cgroups.cpuset, "WARNING: No cpuset support"),
        (cgroups.pids, "WARNING: No pids limit support"),
    ]
    .into_iter()
    .filter(|(supported, _)| !supported)
    .map(|(_, warning)| warning.to_owned())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let text = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID='12'\n";
        assert_eq!(
            release_field(text, "PRETTY_NAME"),
            Some("Debian GNU/Linux 12")
        );
        assert_eq!(release_field(text, "VERSION_ID"), Some("12"));
        assert_eq!(release_field(text, "ID"), None);
        assert_eq!(
            memory_total("MemTotal:       2048 kB\nMemFree: 1 kB\n"),
            2 << 20
        );
    }

    #[test]
    fn what_is_missing_is_warned_of() {
        let none = sys::cgroup::Capabilities::default();
        assert_eq!(warnings(&none).len(), 7);
        let unified = sys::cgroup::Capabilities {
            unified: true,
            ..none
        };
        assert_eq!(warnings(&unified).len(), 6);
    }
}
