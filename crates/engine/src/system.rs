//! What the machine and this engine are.

use crate::Engine;

/// Facts for `info`.
#[derive(Debug, Clone, Default)]
pub struct Info {
    /// Containers that run.
    pub running: usize,
    /// Containers that do not.
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
    /// What limits this kernel cannot keep, in Docker's words.
    pub warnings: Vec<String>,
}

/// The machine and this engine. Blocking.
pub fn info(_engine: &Engine) -> Info {
    todo!()
}
