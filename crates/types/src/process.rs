//! How a process is remembered on disk.

use serde::{Deserialize, Serialize};

/// A process that outlives its pid's reuse: in memory a process is a pidfd, on disk it is this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessRef {
    /// The pid in the daemon's own pid namespace.
    pub pid: i32,
    /// Start time in clock ticks since boot: field 22 of `/proc/PID/stat`, proc_pid_stat(5).
    pub started: u64,
}
