//! Limits of block I/O.

use std::fmt::Write as _;

use super::{Missing, Plan, Version, convert};
use crate::cgroup::Error;
use crate::cgroup::limits::{BlockIo, DeviceValue};

impl<F: Fn(&str) -> Option<Version>> Plan<F> {
    pub(super) fn block_io(&mut self, io: &BlockIo) -> Result<(), Error> {
        if let Some(w) = io.weight.filter(|w| *w != 0) {
            self.weight(None, u64::from(w))?;
        }
        for d in &io.weight_device {
            self.weight(Some(d), d.value)?;
        }
        self.leaf_weights(io)?;
        let rates: [(&'static str, &str, &str, &[DeviceValue]); 4] = [
            ("read rate", "read_bps", "rbps", &io.read_bps),
            ("write rate", "write_bps", "wbps", &io.write_bps),
            ("read operations", "read_iops", "riops", &io.read_iops),
            ("write operations", "write_iops", "wiops", &io.write_iops),
        ];
        for (limit, v1, key, devices) in rates {
            let v1 = format!("blkio.throttle.{v1}_device");
            for d in devices {
                self.put(("io", limit), [&v1, "io.max"], |version| {
                    rate(key, d, version)
                })?;
            }
        }
        Ok(())
    }

    /// The BFQ scheduler's file where there is one. Without it, version 1 of old kernels has the
    /// same under a shorter name, and version 2 a weight on another scale.
    fn weight(&mut self, device: Option<&DeviceValue>, weight: u64) -> Result<(), Error> {
        let prefix = device.map_or_else(String::new, |d| format!("{}:{} ", d.major, d.minor));
        let (limit, v1, old) = match device {
            None => ("block I/O weight", "blkio.bfq.weight", "blkio.weight"),
            Some(_) => (
                "block I/O weight of a device",
                "blkio.bfq.weight_device",
                "blkio.weight_device",
            ),
        };
        let value = format!("{prefix}{weight}");
        self.put(("io", limit), [v1, "io.bfq.weight"], |_| value.clone())?;
        self.if_missing(|write| match write.file == v1 {
            true => Missing::Instead(old.to_owned(), value),
            false => {
                let converted = convert::io_weight_of_blkio(weight);
                Missing::Instead("io.weight".to_owned(), format!("{prefix}{converted}"))
            }
        });
        Ok(())
    }

    fn leaf_weights(&mut self, io: &BlockIo) -> Result<(), Error> {
        let what = ("io", "block I/O leaf weight");
        if let Some(weight) = io.leaf_weight.filter(|w| *w != 0) {
            self.put(what, ["blkio.leaf_weight", ""], |_| weight.to_string())?;
        }
        for d in &io.leaf_weight_device {
            let files = ["blkio.leaf_weight_device", ""];
            self.put(what, files, |_| {
                format!("{}:{} {}", d.major, d.minor, d.value)
            })?;
        }
        Ok(())
    }
}

fn rate(key: &str, device: &DeviceValue, version: Version) -> String {
    let mut text = format!("{}:{} ", device.major, device.minor);
    if version == Version::V2 {
        // Writing to a String cannot fail.
        let _ = write!(text, "{key}=");
    }
    // Zero takes the limit away in version 1; version 2 has a word for that.
    match (version, device.value) {
        (Version::V2, 0) => text.push_str("max"),
        (_, value) => text.push_str(&value.to_string()),
    }
    text
}
