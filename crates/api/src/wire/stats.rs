//! What a container uses. Here Docker's names are in snake case.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{is_zero, zero_of_null};

/// Declares structs whose every field may be absent or null.
macro_rules! stats_struct {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $ty:ty,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(default, deserialize_with = "zero_of_null")]
                pub $field: $ty,
            )*
        }
    )*};
}

stats_struct! {
    /// A line of `GET /containers/{id}/stats`.
    pub struct ContainerStats {
        /// With a leading slash.
        #[serde(skip_serializing_if = "is_zero")]
        pub name: String,
        /// Id.
        #[serde(skip_serializing_if = "is_zero")]
        pub id: String,
        /// RFC 3339; year 1 if it does not run.
        pub read: String,
        /// Of the look before; year 1 if there was none.
        pub preread: String,
        /// Processes.
        pub pids_stats: PidsStats,
        /// Block I/O.
        pub blkio_stats: BlockIoStats,
        /// Windows only.
        pub num_procs: u32,
        /// Windows only.
        pub storage_stats: BTreeMap<String, u64>,
        /// Processor time.
        pub cpu_stats: CpuStats,
        /// Of the look before.
        pub precpu_stats: CpuStats,
        /// Memory.
        pub memory_stats: MemoryStats,
        /// By interface; absent if it has the host's.
        #[serde(skip_serializing_if = "is_zero")]
        pub networks: BTreeMap<String, NetworkStats>,
        /// From API 1.52.
        #[serde(skip_serializing_if = "is_zero")]
        pub os_type: String,
    }

    /// Processes and threads.
    pub struct PidsStats {
        /// How many there are.
        #[serde(skip_serializing_if = "is_zero")]
        pub current: u64,
        /// How many may be.
        #[serde(skip_serializing_if = "is_zero")]
        pub limit: u64,
    }

    /// Block I/O by device.
    pub struct BlockIoStats {
        /// Bytes moved.
        pub io_service_bytes_recursive: Option<Vec<BlockIoCount>>,
        /// Operations done.
        pub io_serviced_recursive: Option<Vec<BlockIoCount>>,
        /// Operations waiting.
        pub io_queue_recursive: Option<Vec<BlockIoCount>>,
        /// Nanoseconds from dispatch to completion.
        pub io_service_time_recursive: Option<Vec<BlockIoCount>>,
        /// Nanoseconds in queues.
        pub io_wait_time_recursive: Option<Vec<BlockIoCount>>,
        /// Operations merged into others.
        pub io_merged_recursive: Option<Vec<BlockIoCount>>,
        /// Milliseconds of the device's time.
        pub io_time_recursive: Option<Vec<BlockIoCount>>,
        /// Sectors moved.
        pub sectors_recursive: Option<Vec<BlockIoCount>>,
    }

    /// One count of one device.
    pub struct BlockIoCount {
        /// Major number.
        pub major: u64,
        /// Minor number.
        pub minor: u64,
        /// `Read`, `Write`; in lower case with cgroup v2.
        pub op: String,
        /// The count.
        pub value: u64,
    }

    /// Processor time in nanoseconds.
    pub struct CpuStats {
        /// The container's.
        pub cpu_usage: CpuUsage,
        /// The machine's.
        #[serde(skip_serializing_if = "is_zero")]
        pub system_cpu_usage: u64,
        /// Processors of the machine.
        #[serde(skip_serializing_if = "is_zero")]
        pub online_cpus: u32,
        /// How often its quota was used up.
        pub throttling_data: ThrottlingData,
    }

    /// Processor time in nanoseconds.
    pub struct CpuUsage {
        /// All of it.
        pub total_usage: u64,
        /// Of each processor; cgroup v1 only.
        #[serde(skip_serializing_if = "is_zero")]
        pub percpu_usage: Vec<u64>,
        /// In the kernel.
        pub usage_in_kernelmode: u64,
        /// Outside.
        pub usage_in_usermode: u64,
    }

    /// How often a quota was used up.
    pub struct ThrottlingData {
        /// Periods that were counted.
        pub periods: u64,
        /// Those in which it was.
        pub throttled_periods: u64,
        /// Nanoseconds waited for that.
        pub throttled_time: u64,
    }

    /// Memory in bytes.
    pub struct MemoryStats {
        /// In use, file cache and all.
        #[serde(skip_serializing_if = "is_zero")]
        pub usage: u64,
        /// The most that was; cgroup v1 only.
        #[serde(skip_serializing_if = "is_zero")]
        pub max_usage: u64,
        /// The kernel's numbers by name.
        #[serde(skip_serializing_if = "is_zero")]
        pub stats: BTreeMap<String, u64>,
        /// How often the limit was reached; cgroup v1 only.
        #[serde(skip_serializing_if = "is_zero")]
        pub failcnt: u64,
        /// The limit, or what the machine has.
        #[serde(skip_serializing_if = "is_zero")]
        pub limit: u64,
    }

    /// What has passed an interface, as the container sees it.
    pub struct NetworkStats {
        /// Bytes that came.
        pub rx_bytes: u64,
        /// Packets that came.
        pub rx_packets: u64,
        /// Packets that came broken.
        pub rx_errors: u64,
        /// Packets that came and were dropped, by `--net-ingress` among others.
        pub rx_dropped: u64,
        /// Bytes that were sent.
        pub tx_bytes: u64,
        /// Packets that were sent.
        pub tx_packets: u64,
        /// Packets that could not be sent.
        pub tx_errors: u64,
        /// Packets that were to be sent and were dropped, by `--net-egress` among others.
        pub tx_dropped: u64,
    }
}
