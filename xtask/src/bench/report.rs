//! The page of results.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::measure::Series;
use super::subject::Subject;

/// The page being made.
#[derive(Debug)]
pub(crate) struct Page {
    machine: String,
    tables: Vec<Table>,
    absent: Vec<String>,
    versions: Vec<String>,
}

/// One table: a column a subject, a row a measurement.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// An empty one.
    pub(crate) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            columns: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// A row of times. The first subject is what the others are compared to.
    pub(crate) fn add(&mut self, what: &str, series: Vec<Series>) {
        let ours = series.first().map_or(f64::NAN, Series::median);
        self.columns = series.iter().map(|s| s.name.clone()).collect();
        let cell = |(index, s): (usize, &Series)| {
            let (median, high) = (s.median(), s.quantile(0.9));
            match index {
                _ if median.is_nan() => String::new(),
                0 => format!("**{median:.2}** ({high:.2})"),
                _ => format!("{median:.1} ({high:.1}), {:.1}x", median / ours),
            }
        };
        self.rows.push((
            what.to_owned(),
            series.iter().enumerate().map(cell).collect(),
        ));
    }

    /// Names the columns of a table of plain text.
    pub(crate) fn columns(&mut self, names: impl Iterator<Item = String>) {
        self.columns = names.collect();
    }

    /// A row of plain text.
    pub(crate) fn text(&mut self, what: &str, cells: Vec<String>) {
        self.rows.push((what.to_owned(), cells));
    }

    /// A row of plain numbers; nothing stands for what does not apply.
    pub(crate) fn raw(&mut self, what: &str, subjects: &[Subject], values: &[u64]) {
        self.columns = subjects.iter().map(|s| s.name.clone()).collect();
        let cell = |value: &u64| {
            if *value == 0 {
                String::new()
            } else {
                value.to_string()
            }
        };
        self.rows
            .push((what.to_owned(), values.iter().map(cell).collect()));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n", self.title)?;
        writeln!(f, "| | {} |", self.columns.join(" | "))?;
        writeln!(f, "|---|{}", "---|".repeat(self.columns.len()))?;
        for (what, cells) in &self.rows {
            writeln!(f, "| {what} | {} |", cells.join(" | "))?;
        }
        writeln!(f)
    }
}

impl Page {
    /// An empty page that knows its machine.
    pub(crate) fn new() -> Self {
        Self {
            machine: machine(),
            tables: Vec::new(),
            absent: Vec::new(),
            versions: Vec::new(),
        }
    }

    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Notes who could not be measured.
    pub(crate) fn absent(&mut self, name: &str, why: &str) {
        self.absent.push(format!(
            "- {name} was not measured: {}",
            why.replace('\n', " ")
        ));
    }

    /// Notes who was measured.
    pub(crate) fn versions<'a>(&mut self, all: impl Iterator<Item = (&'a str, &'a str)>) {
        self.versions
            .extend(all.map(|(name, version)| format!("- {name}: `{version}`")));
    }

    /// Replaces what the file held, but keeps what stands below its mark: words by people.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        const MARK: &str = "<!-- below this line: by hand -->";
        let old = fs::read_to_string(path).unwrap_or_default();
        let kept = old.split_once(MARK).map_or("\n", |(_, rest)| rest);
        let text = format!("{self}{MARK}{kept}");
        let next = path.with_extension("md.new");
        std::io::Write::write_all(&mut fs::File::create(&next)?, text.as_bytes())?;
        fs::rename(&next, path).with_context(|| format!("cannot replace {}", path.display()))
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Benchmarks\n")?;
        writeln!(
            f,
            "Made by `cargo xtask bench`: every subject in every round of one run."
        )?;
        writeln!(
            f,
            "The figure after a comma is the ratio to the first column.\n"
        )?;
        writeln!(f, "Machine: {}\n", self.machine)?;
        for table in &self.tables {
            write!(f, "{table}")?;
        }
        for line in self.versions.iter().chain(&self.absent) {
            writeln!(f, "{line}")?;
        }
        writeln!(f)
    }
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .unwrap_or("?");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let count = cpus.lines().filter(|l| l.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .lines()
        .next()
        .unwrap_or("")
        .trim_start_matches("MemTotal:")
        .trim();
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let cgroup = if unified { "v2" } else { "v1" };
    format!(
        "{count} processors ({model}), {memory} of memory, Linux {}, cgroup {cgroup}",
        kernel.trim()
    )
}
