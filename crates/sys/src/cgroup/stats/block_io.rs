//! Block I/O.

use super::{BlockIoStats, DeviceCount, parse};
use crate::cgroup::plan::Version;
use crate::cgroup::{Cgroup, Dir};

impl Cgroup {
    pub(super) fn block_io_stats(&self) -> BlockIoStats {
        let v1 = self.controller("blkio").map(v1);
        let mut stats = v1.unwrap_or_else(|| match self.controller("io") {
            Some(dir) if dir.version == Version::V2 => {
                let text = dir.read("io.stat").unwrap_or_default();
                let (service_bytes, serviced) = parse::io_stat(&text);
                BlockIoStats {
                    service_bytes,
                    serviced,
                    ..BlockIoStats::default()
                }
            }
            _ => BlockIoStats::default(),
        });
        stats.pressure = self.pressure("io.pressure");
        stats
    }
}

/// The scheduler counts best; throttling counts with every scheduler.
fn v1(dir: &Dir) -> BlockIoStats {
    let read = |name: &str| -> Vec<DeviceCount> {
        let files = ["blkio.bfq.", "blkio.", "blkio.throttle."]
            .iter()
            .filter_map(|prefix| dir.read(&format!("{prefix}{name}_recursive")));
        files
            .map(|text| parse::device_counts(&text))
            .find(|counts| !counts.is_empty())
            .unwrap_or_default()
    };
    BlockIoStats {
        service_bytes: read("io_service_bytes"),
        serviced: read("io_serviced"),
        queued: read("io_queued"),
        service_time: read("io_service_time"),
        wait_time: read("io_wait_time"),
        merged: read("io_merged"),
        time: read("time"),
        sectors: read("sectors"),
        pressure: None,
    }
}
