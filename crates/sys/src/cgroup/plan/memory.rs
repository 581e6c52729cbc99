//! Limits of memory.

use super::{Missing, Plan, Version, amount, convert};
use crate::cgroup::Error;
use crate::cgroup::limits::Memory;

impl<F: Fn(&str) -> Option<Version>> Plan<F> {
    pub(super) fn memory(&mut self, memory: &Memory) -> Result<(), Error> {
        if let Some(limit) = memory.limit.filter(|l| *l != 0) {
            let files = ["memory.limit_in_bytes", "memory.max"];
            self.put(("memory", "memory"), files, |v| amount(limit, v))?;
        }
        self.swap(memory)?;
        if let Some(reservation) = memory.reservation.filter(|r| *r != 0) {
            let files = ["memory.soft_limit_in_bytes", "memory.low"];
            self.put(("memory", "memory reservation"), files, |v| {
                amount(reservation, v)
            })?;
        }
        self.kernel_tcp(memory)?;
        // All ones is what is left of a -1, which says nothing.
        if let Some(swappiness) = memory.swappiness.filter(|s| *s != u64::MAX) {
            if swappiness > 100 {
                return Err(Error::Invalid {
                    limit: "memory swappiness",
                    reason: format!("{swappiness} is not between 0 and 100"),
                });
            }
            let files = ["memory.swappiness", ""];
            self.put(("memory", "memory swappiness"), files, |_| {
                swappiness.to_string()
            })?;
        }
        if memory.disable_oom_killer {
            let files = ["memory.oom_control", ""];
            self.put(("memory", "the out-of-memory killer"), files, |_| {
                "1".to_owned()
            })?;
        }
        Ok(())
    }

    /// Version 2 counts it as memory like all other; unlimited is what it is there.
    fn kernel_tcp(&mut self, memory: &Memory) -> Result<(), Error> {
        let unified = (self.version)("memory") == Some(Version::V2);
        match memory.kernel_tcp.unwrap_or(0) {
            0 => Ok(()),
            ..0 if unified => Ok(()),
            limit => self.put(
                ("memory", "kernel memory for TCP"),
                ["memory.kmem.tcp.limit_in_bytes", ""],
                |version| amount(limit, version),
            ),
        }
    }

    /// After the memory limit, which version 1 does not let exceed this one.
    fn swap(&mut self, memory: &Memory) -> Result<(), Error> {
        let limit = memory.limit.unwrap_or(0);
        let swap = match memory.swap.unwrap_or(0) {
            0 if limit == -1 => -1,
            swap => swap,
        };
        if swap == 0 {
            return Ok(());
        }
        let alone = convert::swap_alone(limit, swap)?;
        let files = ["memory.memsw.limit_in_bytes", "memory.swap.max"];
        self.put(("memory", "swap"), files, |version| match version {
            Version::V1 => swap.to_string(),
            Version::V2 => amount(alone, version),
        })?;
        // Without swap there is nothing to limit: none and unlimited are kept by doing nothing.
        let trivial = alone == -1 || alone == 0;
        self.if_missing(
            |write| match trivial && (write.file == "memory.swap.max" || swap == -1) {
                true => Missing::Ignore,
                false => Missing::Refuse,
            },
        );
        Ok(())
    }
}
