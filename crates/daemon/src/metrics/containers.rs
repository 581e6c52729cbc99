//! What containers have used.

use std::time::Duration;

use api::convert::state_name;
use engine::Engine;
use engine::container::{self, Usage, View};
use sys::cgroup::{DeviceCount, Pressure};
use types::HealthStatus;

use super::text::{Kind, Text};

/// A container, and what it has used if it runs.
#[derive(Debug)]
pub(super) struct Look {
    id: String,
    name: String,
    image: String,
    state: String,
    restarts: u32,
    health: Option<HealthStatus>,
    usage: Option<Usage>,
}

/// Looks at all of them. Blocking.
pub(super) fn look(engine: &Engine) -> Vec<Look> {
    let of = |view: View| Look {
        // One that cannot be looked at, for it ends just now, has used nothing that could be told.
        usage: container::stats(engine, view.id.as_str())
            .ok()
            .and_then(|sample| sample.usage),
        id: view.id.to_string(),
        name: view.name.to_string(),
        state: state_name(&view.lifecycle).to_owned(),
        image: view.spec.image,
        restarts: view.restarts,
        health: view.health.map(|health| health.status),
    };
    container::list(engine).map(of).collect()
}

/// One number of a container that runs.
type Number = (&'static str, Kind, &'static str, fn(&Usage) -> f64);

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus knows no other numbers; counts beyond 2^53 lose their last digits"
)]
fn number(count: u64) -> f64 {
    count as f64
}

fn seconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

const NUMBERS: [Number; 10] = [
    (
        "brig_container_cpu_seconds",
        Kind::Counter,
        "Processor time.",
        |usage| seconds(usage.cgroup.cpu.total),
    ),
    (
        "brig_container_cpu_throttled_periods",
        Kind::Counter,
        "Periods in which the limit of processor time was reached.",
        |usage| number(usage.cgroup.cpu.throttled_periods),
    ),
    (
        "brig_container_cpu_throttled_seconds",
        Kind::Counter,
        "Time that was waited for that.",
        |usage| seconds(usage.cgroup.cpu.throttled_time),
    ),
    (
        "brig_container_memory_bytes",
        Kind::Gauge,
        "Memory in use, with the files that are cached.",
        |usage| number(usage.cgroup.memory.usage.usage),
    ),
    (
        "brig_container_memory_cache_bytes",
        Kind::Gauge,
        "Files that are cached.",
        |usage| number(usage.cgroup.memory.cache),
    ),
    (
        "brig_container_memory_limit_bytes",
        Kind::Gauge,
        "The most memory that may be used; the machine's where there is no limit.",
        |usage| number(usage.cgroup.memory.usage.limit.min(usage.machine_memory)),
    ),
    (
        "brig_container_memory_failures",
        Kind::Counter,
        "How often the limit of memory was reached.",
        |usage| number(usage.cgroup.memory.usage.failures),
    ),
    (
        "brig_container_processes",
        Kind::Gauge,
        "Processes and threads.",
        |usage| number(usage.cgroup.pids.current),
    ),
    (
        "brig_container_read_bytes",
        Kind::Counter,
        "Bytes read from block devices.",
        |usage| moved(&usage.cgroup.block_io.service_bytes, "read"),
    ),
    (
        "brig_container_written_bytes",
        Kind::Counter,
        "Bytes written to block devices.",
        |usage| moved(&usage.cgroup.block_io.service_bytes, "write"),
    ),
];

fn moved(counts: &[DeviceCount], operation: &str) -> f64 {
    let counts = counts.iter();
    let of = counts.filter(|count| count.operation.eq_ignore_ascii_case(operation));
    number(of.map(|count| count.value).sum())
}

pub(super) fn write(looks: &[Look], text: &mut Text) {
    written_states(looks, text);
    for (name, kind, help, read) in NUMBERS {
        let mut family = text.family(name, kind, help);
        for (look, usage) in running(looks) {
            family.value(&look.labels(), read(usage));
        }
    }
    written_networks(looks, text);
    written_pressure(looks, text);
}

fn running(looks: &[Look]) -> impl Iterator<Item = (&Look, &Usage)> {
    let looks = looks.iter();
    looks.filter_map(|look| Some((look, look.usage.as_ref()?)))
}

impl Look {
    fn labels(&self) -> [(&'static str, &str); 2] {
        [("id", &self.id), ("name", &self.name)]
    }

    fn with<'a>(&'a self, more: (&'static str, &'a str)) -> [(&'static str, &'a str); 3] {
        [("id", &self.id), ("name", &self.name), more]
    }
}

fn written_states(looks: &[Look], text: &mut Text) {
    let mut info = text.family(
        "brig_container_info",
        Kind::Gauge,
        "A container, its image and its state.",
    );
    for look in looks {
        let [id, name] = look.labels();
        let (image, state) = (("image", &*look.image), ("state", &*look.state));
        info.value(&[id, name, image, state], 1);
    }
    let mut restarts = text.family(
        "brig_container_restarts",
        Kind::Counter,
        "How often it was started again by its policy.",
    );
    for look in looks {
        restarts.value(&look.labels(), look.restarts);
    }
    let mut health = text.family(
        "brig_container_health",
        Kind::Gauge,
        "1 for the state that its health is in, of those that have a check.",
    );
    for look in looks {
        for status in [
            HealthStatus::Starting,
            HealthStatus::Healthy,
            HealthStatus::Unhealthy,
        ] {
            if let Some(is) = look.health {
                let value = u8::from(is == status);
                health.value(&look.with(("status", status.name())), value);
            }
        }
    }
}

fn written_networks(looks: &[Look], text: &mut Text) {
    type Count = fn(&engine::network::Counters) -> u64;
    let families: [(&str, &str, Count); 8] = [
        ("received_bytes", "Bytes received.", |c| c.bytes_in),
        ("received_packets", "Packets received.", |c| c.packets_in),
        ("receive_errors", "Errors of receiving.", |c| c.errors_in),
        ("receive_dropped", "Packets dropped on receiving.", |c| {
            c.dropped_in
        }),
        ("sent_bytes", "Bytes sent.", |c| c.bytes_out),
        ("sent_packets", "Packets sent.", |c| c.packets_out),
        ("send_errors", "Errors of sending.", |c| c.errors_out),
        ("send_dropped", "Packets dropped on sending.", |c| {
            c.dropped_out
        }),
    ];
    for (name, help, count) in families {
        let name = format!("brig_container_network_{name}");
        let mut family = text.family(&name, Kind::Counter, help);
        for (look, usage) in running(looks) {
            for (interface, counters) in &usage.networks {
                family.value(&look.with(("interface", interface)), count(counters));
            }
        }
    }
}

/// Where the kernel tells it: version 2 of cgroups.
fn written_pressure(looks: &[Look], text: &mut Text) {
    let mut family = text.family(
        "brig_container_pressure_seconds",
        Kind::Counter,
        "Time that some or all processes have waited for a resource.",
    );
    for (look, usage) in running(looks) {
        let cgroup = &usage.cgroup;
        let resources: [(&str, Option<Pressure>); 3] = [
            ("cpu", cgroup.cpu.pressure),
            ("memory", cgroup.memory.pressure),
            ("io", cgroup.block_io.pressure),
        ];
        for (resource, pressure) in resources {
            let Some(pressure) = pressure else { continue };
            for (who, share) in [("some", pressure.some), ("full", pressure.full)] {
                let [id, name] = look.labels();
                let labels = [id, name, ("resource", resource), ("waiting", who)];
                let waited = Duration::from_micros(share.total).as_secs_f64();
                family.value(&labels, waited);
            }
        }
    }
}
