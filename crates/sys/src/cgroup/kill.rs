//! Killing everything in a cgroup.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Cgroup, Dir, Error, read};

/// How long killed processes may take to go: a big one frees its memory for seconds.
const LONGEST: Duration = Duration::from_secs(10);

/// Waiting a little longer each time, up to a limit.
pub(super) struct Patience {
    until: Instant,
    next: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            until: Instant::now() + LONGEST,
            next: Duration::from_micros(50),
        }
    }

    /// Waits; false when the time is up.
    pub(super) fn wait(&mut self) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        std::thread::sleep(self.next);
        self.next = (self.next * 2).min(Duration::from_millis(5));
        true
    }
}

impl Cgroup {
    /// Kills every process in it and below, and returns when there is none.
    pub fn kill_all(&self) -> Result<(), Error> {
        if let Some(v2) = self.v2() {
            // Kernels from 5.14 do it in one go and let no fork escape. Older ones have no such
            // file, a removed cgroup neither; the loop below sees to both.
            let _ = read::write(&v2.path.join("cgroup.kill"), "1");
        }
        let mut patience = Patience::new();
        loop {
            let dirs: Vec<&Dir> = self.dirs.iter().collect();
            let mut left = HashSet::new();
            for dir in dirs {
                left.extend(dir.pids()?);
            }
            if left.is_empty() {
                return Ok(());
            }
            self.kill_each(&left)?;
            if !patience.wait() {
                return Err(Error::Unkillable(self.path.clone().into()));
            }
        }
    }

    /// Kills processes one by one; frozen meanwhile, so that none forks away from the list.
    fn kill_each(&self, pids: &HashSet<i32>) -> Result<(), Error> {
        // What cannot be frozen is killed all the same, in as many rounds as it takes.
        let frozen = self.freeze().is_ok();
        let killed = self.signal_members(pids);
        if frozen {
            self.thaw()?;
        }
        killed
    }

    /// Signals those that are still members once each is held by a descriptor: a number that was
    /// given to another process in between is not among them any more.
    fn signal_members(&self, pids: &HashSet<i32>) -> Result<(), Error> {
        let held: Vec<(i32, OwnedFd)> = pids
            .iter()
            .filter_map(|pid| {
                let handle = pidfd_open(Pid::from_raw(*pid)?, PidfdFlags::empty()).ok()?;
                Some((*pid, handle))
            })
            .collect();
        let mut members = HashSet::new();
        for dir in &self.dirs {
            members.extend(dir.pids()?);
        }
        for (pid, handle) in held {
            if members.contains(&pid) {
                // It may be gone already, which is what is wanted.
                let _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        }
        Ok(())
    }
}
