//! The forms that the kernel's counts have. Pure.

use std::collections::BTreeMap;

use super::{DeviceCount, Pressure, PressureShare, RdmaStats};

/// A number, or version 2's word for no limit.
pub(super) fn number(text: &str) -> u64 {
    match text.trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or(0),
    }
}

/// Numbers with blanks in between.
pub(super) fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().map(number).collect()
}

/// `name number` lines.
pub(super) fn keyed(text: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// A list as in `0-2,4`.
pub(super) fn list(text: &str) -> Vec<u16> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// The second and third column of cpuacct.usage_all: each processor's user and kernel time.
pub(super) fn usage_all(text: &str) -> (Vec<u64>, Vec<u64>) {
    let line = |line: &str| match numbers(line)[..] {
        [_, user, kernel] => Some((user, kernel)),
        _ => None,
    };
    text.lines().skip(1).filter_map(line).unzip()
}

/// Version 1's counts: `8:0 Read 4096`, or `8:0 4096`, and a total without a device, left out.
pub(super) fn device_counts(text: &str) -> Vec<DeviceCount> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (device, operation, value) = match words[..] {
            [device, operation, value] => (device, operation, value),
            [device, value] => (device, "", value),
            _ => return None,
        };
        let (major, minor) = device.split_once(':')?;
        Some(DeviceCount {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            operation: operation.to_owned(),
            value: value.parse().ok()?,
        })
    };
    text.lines().filter_map(line).collect()
}

/// Version 2's io.stat: bytes and operations of each device.
pub(super) fn io_stat(text: &str) -> (Vec<DeviceCount>, Vec<DeviceCount>) {
    let (mut bytes, mut operations) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut words = line.split(' ');
        let device = words.next().and_then(|d| d.split_once(':'));
        let Some((Ok(major), Ok(minor))) = device.map(|(a, b)| (a.parse(), b.parse())) else {
            continue;
        };
        for (name, value) in words.filter_map(|w| w.split_once('=')) {
            let (counts, operation) = match name {
                "rbytes" => (&mut bytes, "Read"),
                "wbytes" => (&mut bytes, "Write"),
                "dbytes" => (&mut bytes, "Discard"),
                "rios" => (&mut operations, "Read"),
                "wios" => (&mut operations, "Write"),
                "dios" => (&mut operations, "Discard"),
                _ => continue,
            };
            counts.push(DeviceCount {
                major,
                minor,
                operation: operation.to_owned(),
                value: number(value),
            });
        }
    }
    (bytes, operations)
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and the same for `full`.
pub(super) fn pressure(text: &str) -> Option<Pressure> {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let (name, rest) = line.split_once(' ')?;
        let mut share = PressureShare::default();
        for (key, value) in rest.split(' ').filter_map(|w| w.split_once('=')) {
            match key {
                "avg10" => share.avg10 = value.parse().ok()?,
                "avg60" => share.avg60 = value.parse().ok()?,
                "avg300" => share.avg300 = value.parse().ok()?,
                "total" => share.total = value.parse().ok()?,
                _ => {}
            }
        }
        match name {
            "some" => pressure.some = share,
            "full" => pressure.full = share,
            _ => {}
        }
    }
    Some(pressure)
}

/// `mlx5_0 hca_handle=2 hca_object=2000` lines.
pub(super) fn rdma(text: &str) -> BTreeMap<String, RdmaStats> {
    let line = |line: &str| {
        let (device, rest) = line.split_once(' ')?;
        let mut stats = RdmaStats::default();
        for (key, value) in rest.split(' ').filter_map(|w| w.split_once('=')) {
            match key {
                "hca_handle" => stats.handles = number(value),
                "hca_object" => stats.objects = number(value),
                _ => {}
            }
        }
        Some((device.to_owned(), stats))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(counts: &[DeviceCount]) -> String {
        let one =
            |c: &DeviceCount| format!("{}:{} {} {}\n", c.major, c.minor, c.operation, c.value);
        counts.iter().map(one).collect()
    }

    #[test]
    fn devices_are_counted() {
        let v1 = "8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n8:16 7\n";
        assert_eq!(
            show(&device_counts(v1)),
            "8:0 Read 4096\n8:0 Total 4096\n8:16  7\n"
        );
        let (bytes, operations) =
            io_stat("254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n8:0 \n");
        assert_eq!(
            show(&bytes),
            "254:0 Read 1\n254:0 Write 2\n254:0 Discard 5\n"
        );
        assert_eq!(
            show(&operations),
            "254:0 Read 3\n254:0 Write 4\n254:0 Discard 6\n"
        );
    }

    #[test]
    fn small_forms() {
        assert_eq!(list("0-2,4\n"), [0, 1, 2, 4]);
        assert_eq!(list("\n"), [0_u16; 0]);
        assert_eq!((number("max\n"), number("12\n")), (u64::MAX, 12));
        assert_eq!(
            usage_all("cpu user system\n0 1 2\n1 3 4\n"),
            (vec![1, 3], vec![2, 4])
        );
        assert_eq!(keyed("anon 1\nfile 2\n")["file"], 2);
        let rdma = rdma("mlx5_0 hca_handle=2 hca_object=2000\n");
        assert_eq!((rdma["mlx5_0"].handles, rdma["mlx5_0"].objects), (2, 2000));
    }

    #[test]
    fn pressure_is_a_share_of_time() {
        let text = "some avg10=1.50 avg60=0.20 avg300=0.00 total=123\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=45\n";
        let pressure = pressure(text).unwrap();
        assert_eq!((pressure.some.avg10, pressure.some.total), (1.5, 123));
        assert_eq!(pressure.full.total, 45);
    }
}
