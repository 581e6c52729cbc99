//! Limits of processor time, and which processors.

use super::{Missing, Plan, Version, amount, convert};
use crate::cgroup::Error;
use crate::cgroup::limits::Cpu;

impl<F: Fn(&str) -> Option<Version>> Plan<F> {
    pub(super) fn cpu(&mut self, cpu: &Cpu) -> Result<(), Error> {
        self.idle(cpu)?;
        // The kernel takes no weight for what is idle.
        if cpu.idle != Some(1) {
            self.shares(cpu)?;
        }
        self.real_time(cpu)?;
        self.bandwidth(cpu)?;
        if let Some(burst) = cpu.burst {
            let files = ["cpu.cfs_burst_us", "cpu.max.burst"];
            self.put(("cpu", "CPU burst"), files, |_| burst.to_string())?;
            // Kernels before 5.14 have none; a container does well without.
            self.if_missing(|_| Missing::Ignore);
        }
        Ok(())
    }

    fn idle(&mut self, cpu: &Cpu) -> Result<(), Error> {
        match cpu.idle {
            None => Ok(()),
            Some(idle) => self.put(("cpu", "CPU idle"), ["cpu.idle"; 2], |_| idle.to_string()),
        }
    }

    fn shares(&mut self, cpu: &Cpu) -> Result<(), Error> {
        let Some(shares) = cpu.shares.filter(|s| *s != 0) else {
            return Ok(());
        };
        // Version 1 would take another number without a word.
        if (self.version)("cpu") == Some(Version::V1) && !(2..=262_144).contains(&shares) {
            let (which, bound) = match shares {
                0..2 => ("minimum", 2),
                _ => ("maximum", 262_144),
            };
            return Err(Error::Invalid {
                limit: "CPU shares",
                reason: format!("the {which} allowed cpu-shares is {bound}, not {shares}"),
            });
        }
        let files = ["cpu.shares", "cpu.weight"];
        self.put(("cpu", "CPU shares"), files, |version| match version {
            Version::V1 => shares.to_string(),
            Version::V2 => convert::weight_of_shares(shares).to_string(),
        })
    }

    fn real_time(&mut self, cpu: &Cpu) -> Result<(), Error> {
        if let Some(period) = cpu.realtime_period.filter(|p| *p != 0) {
            let files = ["cpu.rt_period_us", ""];
            self.put(("cpu", "CPU real-time period"), files, |_| {
                period.to_string()
            })?;
        }
        if let Some(runtime) = cpu.realtime_runtime.filter(|r| *r != 0) {
            let files = ["cpu.rt_runtime_us", ""];
            self.put(("cpu", "CPU real-time runtime"), files, |_| {
                runtime.to_string()
            })?;
        }
        Ok(())
    }

    fn bandwidth(&mut self, cpu: &Cpu) -> Result<(), Error> {
        let quota = cpu.quota.filter(|q| *q != 0);
        let period = cpu.period.filter(|p| *p != 0);
        if quota.is_none() && period.is_none() {
            return Ok(());
        }
        if (self.version)("cpu") != Some(Version::V1) {
            return self.put(("cpu", "CPU quota"), ["", "cpu.max"], |version| {
                let quota = amount(quota.unwrap_or(-1), version);
                match period {
                    Some(period) => format!("{quota} {period}"),
                    None => quota,
                }
            });
        }
        // The period first: a quota is checked against it.
        if let Some(period) = period {
            self.put(
                ("cpu", "CPU period"),
                ["cpu.cfs_period_us", "cpu.max"],
                |_| period.to_string(),
            )?;
        }
        if let Some(quota) = quota {
            self.put(
                ("cpu", "CPU quota"),
                ["cpu.cfs_quota_us", "cpu.max"],
                |_| quota.max(-1).to_string(),
            )?;
        }
        Ok(())
    }

    pub(super) fn cpuset(&mut self, cpu: &Cpu) -> Result<(), Error> {
        let sets = [
            ("CPU set", "cpuset.cpus", &cpu.cpus),
            ("memory node set", "cpuset.mems", &cpu.mems),
        ];
        for (limit, file, set) in sets {
            if let Some(set) = set.as_ref().filter(|s| !s.is_empty()) {
                self.put(("cpuset", limit), [file; 2], |_| set.clone())?;
            }
        }
        Ok(())
    }
}
