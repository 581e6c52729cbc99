//! Killing everything in a cgroup.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Cgroup, Error, read};

/// How long killed processes may take to go: a big one frees its memory for seconds.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

/// How long freezing may take while killing.
const FREEZING: Duration = Duration::from_millis(50);

/// Waiting a little longer each time, up to a limit.
pub(super) struct Patience {
    until: Instant,
    next: Duration,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self::of(LONGEST)
    }

    pub(super) fn of(time: Duration) -> Self {
        Self {
            until: Instant::now() + time,
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
        let mut round = 0;
        loop {
            let left = self.members()?;
            if left.is_empty() {
                return Ok(());
            }
            self.kill_each(&left, round)?;
            round += 1;
            if !patience.wait() {
                return Err(Error::Unkillable(self.path.clone().into()));
            }
        }
    }

    /// Ids of the processes that any hierarchy counts: one may have been moved out of another.
    fn members(&self) -> Result<HashSet<i32>, Error> {
        let mut members = HashSet::new();
        for dir in &self.dirs {
            members.extend(dir.pids()?);
        }
        Ok(members)
    }

    /// Kills processes one by one. Most die of the first round; who forks away from the list is
    /// frozen for the next ones, as far as that goes quickly: a task that the kernel cannot stop must
    /// not keep the others alive.
    fn kill_each(&self, pids: &HashSet<i32>, round: u32) -> Result<(), Error> {
        if round % 4 == 1 {
            let _ = self.freeze_within(FREEZING);
        }
        self.signal_members(pids)?;
        // Version 1 lets nobody die frozen, whoever froze it. Without a freezer there is nothing to
        // thaw, and a cgroup that is gone has nobody left.
        let _ = self.thaw();
        Ok(())
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
        let members = self.members()?;
        for (pid, handle) in held {
            if members.contains(&pid) {
                // It may be gone already, which is what is wanted.
                let _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        }
        Ok(())
    }
}
