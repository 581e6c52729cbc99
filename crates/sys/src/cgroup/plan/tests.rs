//! Plans as text.

use super::*;
use crate::cgroup::limits::{BlockIo, Cpu, DeviceValue, Memory, Rdma};

fn v1(_: &str) -> Option<Version> {
    Some(Version::V1)
}

fn v2(_: &str) -> Option<Version> {
    Some(Version::V2)
}

fn show(limits: &Limits, version: fn(&str) -> Option<Version>) -> String {
    match plan(limits, version) {
        Ok(writes) => writes
            .iter()
            .map(|w| {
                let missing = match &w.missing {
                    Missing::Refuse => String::new(),
                    Missing::Ignore => " (if there)".to_owned(),
                    Missing::Instead(file, value) => format!(" (or {file} = {value})"),
                };
                format!("{} = {}{missing}\n", w.file, w.value)
            })
            .collect(),
        Err(error) => error.to_string(),
    }
}

fn many() -> Limits {
    let device = |value| DeviceValue {
        major: 8,
        minor: 0,
        value,
    };
    Limits {
        memory: Memory {
            limit: Some(100 << 20),
            swap: Some(150 << 20),
            reservation: Some(50 << 20),
            ..Memory::default()
        },
        cpu: Cpu {
            shares: Some(1024),
            quota: Some(50_000),
            period: Some(100_000),
            cpus: Some("0-1".to_owned()),
            mems: Some("0".to_owned()),
            ..Cpu::default()
        },
        pids: Some(64),
        block_io: BlockIo {
            weight: Some(500),
            read_bps: vec![device(1000)],
            write_iops: vec![device(0)],
            ..BlockIo::default()
        },
        hugetlb: vec![("2MB".to_owned(), 4 << 20)],
        ..Limits::default()
    }
}

#[test]
fn version_1() {
    insta::assert_snapshot!(show(&many(), v1), @r"
    memory.limit_in_bytes = 104857600
    memory.memsw.limit_in_bytes = 157286400
    memory.soft_limit_in_bytes = 52428800
    cpu.shares = 1024
    cpu.cfs_period_us = 100000
    cpu.cfs_quota_us = 50000
    cpuset.cpus = 0-1
    cpuset.mems = 0
    pids.max = 64
    blkio.bfq.weight = 500 (or blkio.weight = 500)
    blkio.throttle.read_bps_device = 8:0 1000
    blkio.throttle.write_iops_device = 8:0 0
    hugetlb.2MB.limit_in_bytes = 4194304
    hugetlb.2MB.rsvd.limit_in_bytes = 4194304 (if there)
    ");
}

#[test]
fn version_2() {
    insta::assert_snapshot!(show(&many(), v2), @r"
    memory.max = 104857600
    memory.swap.max = 52428800
    memory.low = 52428800
    cpu.weight = 100
    cpu.max = 50000 100000
    cpuset.cpus = 0-1
    cpuset.mems = 0
    pids.max = 64
    io.bfq.weight = 500 (or io.weight = 4950)
    io.max = 8:0 rbps=1000
    io.max = 8:0 wiops=max
    hugetlb.2MB.max = 4194304
    hugetlb.2MB.rsvd.max = 4194304 (if there)
    ");
}

#[test]
fn unlimited_has_a_word_of_its_own() {
    let limits = Limits {
        memory: Memory {
            limit: Some(-1),
            ..Memory::default()
        },
        cpu: Cpu {
            quota: Some(-1),
            ..Cpu::default()
        },
        pids: Some(-1),
        ..Limits::default()
    };
    insta::assert_snapshot!(show(&limits, v1), @r"
    memory.limit_in_bytes = -1
    memory.memsw.limit_in_bytes = -1 (if there)
    cpu.cfs_quota_us = -1
    pids.max = max
    ");
    insta::assert_snapshot!(show(&limits, v2), @r"
    memory.max = max
    memory.swap.max = max (if there)
    cpu.max = max
    pids.max = max
    ");
}

#[test]
fn no_swap_needs_no_file_in_version_2_only() {
    let limits = Limits {
        memory: Memory {
            limit: Some(1 << 20),
            swap: Some(1 << 20),
            ..Memory::default()
        },
        ..Limits::default()
    };
    insta::assert_snapshot!(show(&limits, v1), @r"
    memory.limit_in_bytes = 1048576
    memory.memsw.limit_in_bytes = 1048576
    ");
    insta::assert_snapshot!(show(&limits, v2), @r"
    memory.max = 1048576
    memory.swap.max = 0 (if there)
    ");
}

#[test]
fn what_a_version_lacks_is_refused_by_name() {
    let swappiness = Limits {
        memory: Memory {
            swappiness: Some(10),
            ..Memory::default()
        },
        ..Limits::default()
    };
    insta::assert_snapshot!(show(&swappiness, v2), @"this machine cannot limit memory swappiness: there is no memory.swappiness in this cgroup version");
    let unified = Limits {
        unified: [("memory.high".to_owned(), "1".to_owned())].into(),
        ..Limits::default()
    };
    assert_eq!(show(&unified, v2), "memory.high = 1\n");
    insta::assert_snapshot!(show(&unified, v1), @"this machine cannot limit unified resource: there is no memory.high in this cgroup version");
    let pids = Limits {
        pids: Some(1),
        ..Limits::default()
    };
    insta::assert_snapshot!(show(&pids, |_| None), @"this machine cannot limit number of processes: there is no pids controller");
}

#[test]
fn file_names_stay_in_the_cgroup() {
    for file in ["../memory.max", "memory", "", "a/b.c"] {
        let limits = Limits {
            unified: [(file.to_owned(), "1".to_owned())].into(),
            ..Limits::default()
        };
        assert!(plan(&limits, v2).is_err(), "{file:?}");
    }
    let limits = Limits {
        hugetlb: vec![("2MB/../x".to_owned(), 1)],
        ..Limits::default()
    };
    assert!(plan(&limits, v2).is_err());
}

#[test]
fn the_rest() {
    let limits = Limits {
        pids: Some(0),
        cpu: Cpu {
            shares: Some(2),
            idle: Some(1),
            burst: Some(1000),
            ..Cpu::default()
        },
        block_io: BlockIo {
            weight_device: vec![DeviceValue {
                major: 8,
                minor: 1,
                value: 10,
            }],
            ..BlockIo::default()
        },
        rdma: vec![
            Rdma {
                device: "mlx5_1".to_owned(),
                handles: Some(3),
                objects: Some(10_000),
            },
            Rdma {
                device: "free".to_owned(),
                ..Rdma::default()
            },
        ],
        ..Limits::default()
    };
    insta::assert_snapshot!(show(&limits, v1), @r"
    cpu.idle = 1
    cpu.cfs_burst_us = 1000 (if there)
    pids.max = 1
    blkio.bfq.weight_device = 8:1 10 (or blkio.weight_device = 8:1 10)
    rdma.max = mlx5_1 hca_handle=3 hca_object=10000
    ");
    insta::assert_snapshot!(show(&limits, v2), @r"
    cpu.idle = 1
    cpu.max.burst = 1000 (if there)
    pids.max = 1
    io.bfq.weight = 8:1 10 (or io.weight = 8:1 1)
    rdma.max = mlx5_1 hca_handle=3 hca_object=10000
    ");
}

#[test]
fn version_1_tags_packets() {
    let limits = Limits {
        network_class: Some(0x10_0001),
        network_priorities: vec![("eth0".to_owned(), 5), ("lo".to_owned(), 0)],
        ..Limits::default()
    };
    insta::assert_snapshot!(show(&limits, v1), @r"
    net_cls.classid = 1048577
    net_prio.ifpriomap = eth0 5
    net_prio.ifpriomap = lo 0
    ");
    let unified = |c: &str| (c != "net_cls").then_some(Version::V2);
    insta::assert_snapshot!(show(&limits, unified), @"this machine cannot limit network class: there is no net_cls controller");
}

#[test]
fn values_that_make_no_sense_are_refused() {
    let shares = |shares| Limits {
        cpu: Cpu {
            shares: Some(shares),
            ..Cpu::default()
        },
        ..Limits::default()
    };
    insta::assert_snapshot!(show(&shares(1), v1), @"invalid CPU shares: the minimum allowed cpu-shares is 2, not 1");
    insta::assert_snapshot!(show(&shares(262_145), v1), @"invalid CPU shares: the maximum allowed cpu-shares is 262144, not 262145");
    assert_eq!(show(&shares(1), v2), "cpu.weight = 1\n");
    let swappiness = |swappiness| Limits {
        memory: Memory {
            swappiness: Some(swappiness),
            ..Memory::default()
        },
        ..Limits::default()
    };
    insta::assert_snapshot!(show(&swappiness(101), v1), @"invalid memory swappiness: 101 is not between 0 and 100");
    assert_eq!(show(&swappiness(u64::MAX), v2), "");
}

#[test]
fn kernel_memory_for_tcp_is_version_1s() {
    let tcp = |limit| Limits {
        memory: Memory {
            kernel_tcp: Some(limit),
            ..Memory::default()
        },
        ..Limits::default()
    };
    assert_eq!(
        show(&tcp(4096), v1),
        "memory.kmem.tcp.limit_in_bytes = 4096\n"
    );
    insta::assert_snapshot!(show(&tcp(4096), v2), @"this machine cannot limit kernel memory for TCP: there is no memory.kmem.tcp.limit_in_bytes in this cgroup version");
    assert_eq!(show(&tcp(-1), v2), "");
}

#[test]
fn several_lines_are_several_writes() {
    let limits = Limits {
        unified: [("io.max".to_owned(), "8:0 rbps=1\n8:16 rbps=2\n".to_owned())].into(),
        ..Limits::default()
    };
    insta::assert_snapshot!(show(&limits, v2), @r"
    io.max = 8:0 rbps=1
    io.max = 8:16 rbps=2
    ");
}
