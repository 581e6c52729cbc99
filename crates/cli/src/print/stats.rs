//! `stats`.

use api::wire::{ContainerStats, CpuStats};

use super::template::{self, Format, Row};
use super::{table, units};
use crate::error::CliError;

/// How `stats` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// Columns, template or JSON.
    pub format: Format,
    /// Nothing is shortened.
    pub no_trunc: bool,
}

const COLUMNS: [(&str, &str); 8] = [
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];

/// `stats`; each look with the name that was asked for.
pub fn list(looks: &[(String, ContainerStats)], style: &Style) -> Result<String, CliError> {
    let rows: Vec<Row> = looks
        .iter()
        .map(|(asked, stats)| row(asked, stats, style))
        .collect();
    if style.format != Format::Table {
        let mut headings: Row = COLUMNS
            .iter()
            .map(|(name, heading)| (*name, (*heading).to_owned()))
            .collect();
        headings.insert("Container", "CONTAINER".to_owned());
        return template::rows(&style.format, &rows, &headings);
    }
    let lines: Vec<Vec<String>> = rows
        .iter()
        .map(|row| COLUMNS.iter().map(|(name, _)| row[name].clone()).collect())
        .collect();
    Ok(table::table(&COLUMNS.map(|(_, heading)| heading), &lines))
}

fn row(asked: &str, stats: &ContainerStats, style: &Style) -> Row {
    let id = match style.no_trunc {
        true => stats.id.as_str(),
        false => units::short_id(&stats.id),
    };
    let memory = &stats.memory_stats;
    let used = used(stats);
    let networks = stats.networks.values();
    let (received, sent) = networks.fold((0, 0), |(received, sent), of| {
        (received + of.rx_bytes, sent + of.tx_bytes)
    });
    let (read, written) = block_io(stats);
    Row::from([
        ("Container", asked.to_owned()),
        ("ID", id.to_owned()),
        ("Name", stats.name.trim_start_matches('/').to_owned()),
        (
            "CPUPerc",
            percent(processors(&stats.precpu_stats, &stats.cpu_stats)),
        ),
        (
            "MemUsage",
            format!("{} / {}", binary(used), binary(memory.limit)),
        ),
        ("MemPerc", percent(share(used, memory.limit) * 100.0)),
        ("NetIO", pair(received, sent)),
        ("BlockIO", pair(read, written)),
        ("PIDs", stats.pids_stats.current.to_string()),
    ])
}

/// What a look says, as numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    /// Percent of one processor.
    pub cpu: f64,
    /// Bytes of memory.
    pub used: u64,
    /// Of what it may have, from 0 to 1.
    pub share: f64,
    /// Bytes received so far.
    pub received: u64,
    /// Bytes sent so far.
    pub sent: u64,
    /// Processes.
    pub processes: u64,
}

/// A look as numbers.
pub fn measured(stats: &ContainerStats) -> Measured {
    let used = used(stats);
    let networks = stats.networks.values();
    let (received, sent) = networks.fold((0, 0), |(received, sent), of| {
        (received + of.rx_bytes, sent + of.tx_bytes)
    });
    Measured {
        cpu: processors(&stats.precpu_stats, &stats.cpu_stats),
        used,
        share: share(used, stats.memory_stats.limit),
        received,
        sent,
        processes: stats.pids_stats.current,
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn binary(bytes: u64) -> String {
    units::binary_size(signed(bytes))
}

fn pair(one: u64, other: u64) -> String {
    format!(
        "{} / {}",
        units::size(signed(one)),
        units::size(signed(other))
    )
}

fn percent(number: f64) -> String {
    format!("{number:.2}%")
}

#[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    }
}

/// What is in use without files that nobody has used lately: their memory is free for the taking.
fn used(stats: &ContainerStats) -> u64 {
    let memory = &stats.memory_stats;
    let idle = ["total_inactive_file", "inactive_file"]
        .iter()
        .find_map(|name| memory.stats.get(*name))
        .filter(|idle| **idle < memory.usage);
    memory.usage - idle.unwrap_or(&0)
}

/// Percent of one processor between two looks.
fn processors(before: &CpuStats, now: &CpuStats) -> f64 {
    // Without a look before there is nothing to compare with.
    if before.system_cpu_usage == 0 {
        return 0.0;
    }
    let own = now
        .cpu_usage
        .total_usage
        .saturating_sub(before.cpu_usage.total_usage);
    let machine = now.system_cpu_usage.saturating_sub(before.system_cpu_usage);
    share(own, machine) * f64::from(now.online_cpus) * 100.0
}

/// Bytes read and written.
fn block_io(stats: &ContainerStats) -> (u64, u64) {
    let counts = stats
        .blkio_stats
        .io_service_bytes_recursive
        .iter()
        .flatten();
    counts.fold((0, 0), |(read, written), count| {
        match count.op.to_ascii_lowercase().as_str() {
            "read" => (read + count.value, written),
            "write" => (read, written + count.value),
            _ => (read, written),
        }
    })
}

#[cfg(test)]
mod tests {
    use api::wire::{BlockIoCount, NetworkStats};

    use super::*;

    fn look() -> (String, ContainerStats) {
        let mut stats = ContainerStats {
            name: "/web".into(),
            id: "0a".repeat(32),
            ..ContainerStats::default()
        };
        stats.precpu_stats.system_cpu_usage = 1_000_000_000;
        stats.cpu_stats.system_cpu_usage = 3_000_000_000;
        stats.cpu_stats.online_cpus = 2;
        stats.cpu_stats.cpu_usage.total_usage = 500_000_000;
        stats.memory_stats.usage = 6 << 20;
        stats.memory_stats.limit = 64 << 20;
        stats.memory_stats.stats = [("inactive_file".to_owned(), 2 << 20)].into();
        let eth0 = NetworkStats {
            rx_bytes: 1500,
            tx_bytes: 866,
            ..NetworkStats::default()
        };
        stats.networks = [("eth0".to_owned(), eth0.clone()), ("eth1".to_owned(), eth0)].into();
        let count = |op: &str, value| BlockIoCount {
            op: op.into(),
            value,
            ..BlockIoCount::default()
        };
        stats.blkio_stats.io_service_bytes_recursive = Some(vec![
            count("Read", 4096),
            count("write", 8192),
            count("Total", 12288),
        ]);
        stats.pids_stats.current = 3;
        ("web".to_owned(), stats)
    }

    fn show(format: Option<&str>) -> String {
        let style = Style {
            format: Format::parse(format),
            no_trunc: false,
        };
        let stopped = ContainerStats {
            name: "/db".into(),
            id: "b1".repeat(32),
            ..ContainerStats::default()
        };
        list(&[look(), ("db".to_owned(), stopped)], &style).unwrap()
    }

    #[test]
    fn the_table() {
        insta::assert_snapshot!(show(None), @r"
        CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O        BLOCK I/O        PIDS
        0a0a0a0a0a0a   web       50.00%    4MiB / 64MiB        6.25%     3kB / 1.73kB   4.1kB / 8.19kB   3
        b1b1b1b1b1b1   db        0.00%     0B / 0B             0.00%     0B / 0B        0B / 0B          0
        ");
    }

    #[test]
    fn other_forms() {
        insta::assert_snapshot!(show(Some("{{.Container}} {{.CPUPerc}} {{.NetIO}}")), @r"
        web 50.00% 3kB / 1.73kB
        db 0.00% 0B / 0B
        ");
        insta::assert_snapshot!(show(Some("table {{.Name}}\\t{{.PIDs}}")), @r"
        NAME      PIDS
        web       3
        db        0
        ");
    }
}
