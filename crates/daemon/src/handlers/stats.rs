//! `GET /containers/{id}/stats`

use std::time::Duration;

use api::Version;
use api::convert::rfc3339;
use api::wire;
use engine::Engine;
use engine::container::{self, Sample, Usage};
use tokio::sync::mpsc;

use crate::app::App;
use crate::http::body::{Body, Then};
use crate::http::error::Failure;
use crate::http::request::Call;
use crate::http::respond::{self, Answer};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn stats(app: &App, call: &Call) -> Answer {
    let stream = call.query.get("stream").is_none() || call.query.flag("stream");
    let who = call.resumes().map_or(call.name.as_str(), |(id, _)| id);
    let first = look(&app.engine, who).await?;
    if stream {
        let (engine, version) = (app.engine.clone(), call.version);
        let (send, mut receive) = mpsc::channel(1);
        let position = format!("{} ", first.id);
        let resumed = call.resumes().is_some();
        app.spawn_endless(async move { watch(&engine, first, version, resumed, &send).await });
        // One look is like another: whoever goes on with it looks anew.
        let body = Body::endless(position, move |context| {
            let piece = receive.poll_recv(context);
            piece.map_ok(|bytes| (bytes, Then::Same))
        });
        return Ok(respond::json_stream(body));
    }
    if call.query.flag("one-shot") || first.usage.is_none() {
        return respond::ok(&shown(&first, None, call.version));
    }
    tokio::time::sleep(INTERVAL).await;
    let second = look(&app.engine, first.id.as_str()).await?;
    respond::ok(&shown(&second, first.usage.as_ref(), call.version))
}

async fn look(engine: &Engine, who: &str) -> Result<Sample, Failure> {
    let (engine, who) = (engine.clone(), who.to_owned());
    let look = tokio::task::spawn_blocking(move || container::stats(&engine, &who));
    Ok(look.await??)
}

type Line = Result<bytes::Bytes, std::io::Error>;

/// Until nobody listens any more or the container is gone. The first look of a stream is shown without one before, as
/// Docker's is; in the middle of one it would read as if all had been used since then.
async fn watch(
    engine: &Engine,
    first: Sample,
    version: Version,
    resumed: bool,
    send: &mpsc::Sender<Line>,
) {
    let mut before = None;
    let mut sample = first;
    let mut silent = resumed;
    loop {
        if !std::mem::take(&mut silent) {
            let line = respond::json_bytes(&shown(&sample, before.as_ref(), version));
            if send.send(Ok(line.into())).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = send.closed() => return,
        }
        before = sample.usage.take();
        sample = match look(engine, sample.id.as_str()).await {
            Ok(sample) => sample,
            Err(_) => return,
        };
    }
}

fn shown(sample: &Sample, before: Option<&Usage>, version: Version) -> wire::ContainerStats {
    let mut stats = wire::ContainerStats {
        name: format!("/{}", sample.name),
        id: sample.id.to_string(),
        read: rfc3339(None),
        preread: rfc3339(before.map(|usage| usage.read)),
        os_type: if version.has(52) {
            "linux".to_owned()
        } else {
            String::new()
        },
        ..wire::ContainerStats::default()
    };
    let Some(usage) = &sample.usage else {
        return stats;
    };
    let pids = usage.cgroup.pids;
    stats.read = rfc3339(Some(usage.read));
    stats.pids_stats = wire::PidsStats {
        current: pids.current,
        limit: pids.limit.unwrap_or(u64::MAX),
    };
    stats.blkio_stats = block_io(usage);
    stats.cpu_stats = cpu(usage);
    stats.precpu_stats = before.map(cpu).unwrap_or_default();
    stats.memory_stats = memory(usage);
    let networks = usage.networks.iter();
    stats.networks = networks
        .map(|(name, of)| (name.clone(), network(*of)))
        .collect();
    stats
}

fn cpu(usage: &Usage) -> wire::CpuStats {
    let cpu = &usage.cgroup.cpu;
    wire::CpuStats {
        cpu_usage: wire::CpuUsage {
            total_usage: cpu.total,
            percpu_usage: cpu.per_cpu.clone(),
            usage_in_kernelmode: cpu.kernel,
            usage_in_usermode: cpu.user,
        },
        system_cpu_usage: usage.machine_time,
        online_cpus: usage.processors,
        throttling_data: wire::ThrottlingData {
            periods: cpu.periods,
            throttled_periods: cpu.throttled_periods,
            throttled_time: cpu.throttled_time,
        },
    }
}

/// No limit, which version 1 says with a very large number, is what the machine has.
fn memory(usage: &Usage) -> wire::MemoryStats {
    let memory = &usage.cgroup.memory;
    let counted = memory.usage;
    wire::MemoryStats {
        usage: counted.usage,
        max_usage: counted.max,
        stats: memory.details.clone(),
        failcnt: if usage.version == 1 {
            counted.failures
        } else {
            0
        },
        limit: counted.limit.min(usage.machine_memory),
    }
}

/// Lists that version 2 does not have are null.
fn block_io(usage: &Usage) -> wire::BlockIoStats {
    let counts = &usage.cgroup.block_io;
    let list = |of: &[sys::cgroup::DeviceCount]| {
        let count = |count: &sys::cgroup::DeviceCount| wire::BlockIoCount {
            major: count.major,
            minor: count.minor,
            op: match usage.version {
                1 => count.operation.clone(),
                _ => count.operation.to_ascii_lowercase(),
            },
            value: count.value,
        };
        (usage.version == 1 || !of.is_empty()).then(|| of.iter().map(count).collect())
    };
    wire::BlockIoStats {
        io_service_bytes_recursive: list(&counts.service_bytes),
        io_serviced_recursive: list(&counts.serviced),
        io_queue_recursive: list(&counts.queued),
        io_service_time_recursive: list(&counts.service_time),
        io_wait_time_recursive: list(&counts.wait_time),
        io_merged_recursive: list(&counts.merged),
        io_time_recursive: list(&counts.time),
        sectors_recursive: list(&counts.sectors),
    }
}

fn network(counters: engine::network::Counters) -> wire::NetworkStats {
    wire::NetworkStats {
        rx_bytes: counters.bytes_in,
        rx_packets: counters.packets_in,
        rx_errors: counters.errors_in,
        rx_dropped: counters.dropped_in,
        tx_bytes: counters.bytes_out,
        tx_packets: counters.packets_out,
        tx_errors: counters.errors_out,
        tx_dropped: counters.dropped_out,
    }
}
