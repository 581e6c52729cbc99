//! Block I/O.

use types::{BlockIo, BlockRate};

use super::Refusal;
use crate::wire::{HostConfig, ThrottleDevice, WeightDevice};

pub(super) fn block_io(host: &HostConfig) -> Result<BlockIo, Refusal> {
    if host.blkio_weight != 0 {
        in_range(host.blkio_weight)?;
    }
    let weight = |device: &WeightDevice| {
        in_range(device.weight)?;
        rate(&device.path, u64::from(device.weight))
    };
    let weights = host.blkio_weight_device.iter().flatten();
    Ok(BlockIo {
        weight: Some(host.blkio_weight).filter(|weight| *weight != 0),
        weight_device: weights.map(weight).collect::<Result<_, _>>()?,
        read_bps: rates(host.blkio_device_read_bps.as_ref())?,
        write_bps: rates(host.blkio_device_write_bps.as_ref())?,
        read_iops: rates(host.blkio_device_read_iops.as_ref())?,
        write_iops: rates(host.blkio_device_write_iops.as_ref())?,
    })
}

fn in_range(weight: u16) -> Result<(), Refusal> {
    match weight {
        10..=1000 => Ok(()),
        _ => Err(Refusal::Said(
            "Range of blkio weight is from 10 to 1000".to_owned(),
        )),
    }
}

fn rates(asked: Option<&Vec<ThrottleDevice>>) -> Result<Vec<BlockRate>, Refusal> {
    let asked = asked.into_iter().flatten();
    asked
        .map(|device| rate(&device.path, device.rate))
        .collect()
}

fn rate(path: &str, value: u64) -> Result<BlockRate, Refusal> {
    match path.starts_with('/') {
        true => Ok(BlockRate {
            path: path.to_owned(),
            value,
        }),
        false => Err(Refusal::Said(format!(
            "bad format for device path: {path:?}: an absolute path is expected, as /dev/sda"
        ))),
    }
}

pub(super) fn show(io: &BlockIo, host: &mut HostConfig) {
    let rates = |rates: &[BlockRate]| {
        let one = |rate: &BlockRate| ThrottleDevice {
            path: rate.path.clone(),
            rate: rate.value,
        };
        Some(rates.iter().map(one).collect())
    };
    let weight = |rate: &BlockRate| WeightDevice {
        path: rate.path.clone(),
        // It came as one.
        weight: u16::try_from(rate.value).unwrap_or(u16::MAX),
    };
    host.blkio_weight = io.weight.unwrap_or(0);
    host.blkio_weight_device = Some(io.weight_device.iter().map(weight).collect());
    host.blkio_device_read_bps = rates(&io.read_bps);
    host.blkio_device_write_bps = rates(&io.write_bps);
    host.blkio_device_read_iops = rates(&io.read_iops);
    host.blkio_device_write_iops = rates(&io.write_iops);
}
