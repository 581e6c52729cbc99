//! The smaller limits: processes, huge pages, RDMA, network, and files by their own name.

use super::{Missing, Plan, Version, amount};
use crate::cgroup::limits::{Limits, Rdma};
use crate::cgroup::{Error, V2_CONTROLLERS};

impl<F: Fn(&str) -> Option<Version>> Plan<F> {
    pub(super) fn pids(&mut self, pids: Option<i64>) -> Result<(), Error> {
        let Some(limit) = pids else { return Ok(()) };
        if limit < 0 && (self.version)("pids").is_none() {
            return Ok(());
        }
        let limit = if limit == 0 { 1 } else { limit };
        self.put(("pids", "number of processes"), ["pids.max"; 2], |_| {
            amount(limit, Version::V2)
        })
    }

    pub(super) fn hugetlb(&mut self, limits: &[(String, u64)]) -> Result<(), Error> {
        for (size, bytes) in limits {
            if size.is_empty() || !size.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(Error::Invalid {
                    limit: "huge page size",
                    reason: format!("{size:?} is not a size as in 2MB"),
                });
            }
            for counted in ["", "rsvd."] {
                let (v1, v2) = (
                    format!("hugetlb.{size}.{counted}limit_in_bytes"),
                    format!("hugetlb.{size}.{counted}max"),
                );
                self.put(("hugetlb", "huge pages"), [&v1, &v2], |_| bytes.to_string())?;
            }
            // Kernels before 5.7 count what is used, but not what is reserved.
            self.if_missing(|_| Missing::Ignore);
        }
        Ok(())
    }

    pub(super) fn rdma(&mut self, limits: &[Rdma]) -> Result<(), Error> {
        for one in limits {
            if one.device.is_empty() || one.device.contains(char::is_whitespace) {
                return Err(Error::Invalid {
                    limit: "RDMA device",
                    reason: format!("{:?} is not a name as in mlx5_1", one.device),
                });
            }
            let parts = [("hca_handle", one.handles), ("hca_object", one.objects)];
            let mut value = one.device.clone();
            for (name, number) in parts {
                if let Some(number) = number {
                    value.push_str(&format!(" {name}={number}"));
                }
            }
            if value != one.device {
                self.put(("rdma", "RDMA resources"), ["rdma.max"; 2], |_| value)?;
            }
        }
        Ok(())
    }

    pub(super) fn network(&mut self, limits: &Limits) -> Result<(), Error> {
        if let Some(class) = limits.network_class {
            self.put(
                ("net_cls", "network class"),
                ["net_cls.classid", ""],
                |_| class.to_string(),
            )?;
        }
        for (interface, priority) in &limits.network_priorities {
            self.put(
                ("net_prio", "network priority"),
                ["net_prio.ifpriomap", ""],
                |_| format!("{interface} {priority}"),
            )?;
        }
        Ok(())
    }

    /// A value of several lines is written line by line: that is how these files want it.
    pub(super) fn unified(&mut self, limits: &Limits) -> Result<(), Error> {
        for (file, value) in &limits.unified {
            if file.is_empty() || file.contains('/') || !file.contains('.') {
                return Err(Error::Invalid {
                    limit: "unified resource",
                    reason: format!("{file:?} is not a file as in memory.high"),
                });
            }
            let controller = file.split('.').next().unwrap_or_default();
            let known = V2_CONTROLLERS.iter().find(|c| **c == controller);
            let controller = known.copied().unwrap_or_default();
            for line in value.split('\n').filter(|l| !l.is_empty()) {
                self.put((controller, "unified resource"), ["", file], |_| {
                    line.to_owned()
                })?;
            }
        }
        Ok(())
    }
}
