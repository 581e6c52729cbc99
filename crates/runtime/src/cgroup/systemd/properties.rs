//! Limits as properties of units (systemd.resource-control(5)). Pure. What systemd has no property
//! for is written to the cgroup's files, as everything else is too.

use std::collections::HashMap;

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};

use super::super::limits::device_rules;
use super::super::path::UnitName;
use super::value::{Property, Value};
use crate::warning::warn;
use sys::cgroup::{DeviceRule, DeviceType, weight_of_shares};

/// The systemd that the properties are for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Whether cgroups are version 2 only.
    pub(super) unified: bool,
    /// systemd's version.
    pub(super) version: u32,
}

fn text(name: &str, value: impl Into<String>) -> Property {
    (name.to_owned(), Value::Text(value.into()))
}

fn number(name: &str, value: u64) -> Property {
    (name.to_owned(), Value::U64(value))
}

fn flag(name: &str, value: bool) -> Property {
    (name.to_owned(), Value::Bool(value))
}

/// What a unit has besides limits. A scope gets its first process, and its cgroup is ours.
pub(super) fn of_unit(name: &UnitName, pid: Option<i32>) -> Vec<Property> {
    let mut all = vec![text("Description", format!("container {}", name.unit))];
    let is_slice = name.unit.ends_with(".slice");
    if !name.slice.is_empty() {
        all.push(match is_slice {
            true => ("Wants".to_owned(), Value::Texts(vec![name.slice.clone()])),
            false => text("Slice", &name.slice),
        });
    }
    if let Some(pid) = pid.and_then(|pid| u32::try_from(pid).ok()) {
        all.push(("PIDs".to_owned(), Value::U32s(vec![pid])));
    }
    if !is_slice {
        all.push(flag("Delegate", true));
    }
    let accounting = ["CPU", "Memory", "IO", "Tasks"];
    all.extend(accounting.map(|what| flag(&format!("{what}Accounting"), true)));
    all.push(flag("DefaultDependencies", false));
    all
}

impl Target {
    pub(super) fn limits(self, resources: &LinuxResources) -> Vec<Property> {
        let mut all = Vec::new();
        if let Some(memory) = resources.memory() {
            all.extend(self.memory(memory));
        }
        if let Some(cpu) = resources.cpu() {
            all.extend(self.cpu(cpu));
        }
        if let Some(pids) = resources.pids() {
            // systemd has no zero either.
            all.push(number("TasksMax", unlimited(pids.limit()).max(1)));
        }
        if let Some(files) = resources.unified().as_ref().filter(|_| self.unified) {
            all.extend(self.files(files));
        }
        let weight = resources.block_io().as_ref().and_then(|io| io.weight());
        if let Some(weight) = weight.filter(|w| *w != 0 && !self.unified) {
            all.push(number("BlockIOWeight", weight.into()));
        }
        // In version 2 our own program stays beside systemd's; in version 1 there is one list, and
        // systemd must write what we would.
        if !self.unified {
            all.extend(devices(resources));
        }
        all
    }

    fn memory(self, memory: &LinuxMemory) -> Vec<Property> {
        let given = |value: Option<i64>| value.filter(|v| *v != 0);
        let mut all = Vec::new();
        if let Some(limit) = given(memory.limit()) {
            let name = if self.unified {
                "MemoryMax"
            } else {
                "MemoryLimit"
            };
            all.push(number(name, unlimited(limit)));
        }
        if !self.unified {
            return all;
        }
        if let Some(low) = given(memory.reservation()) {
            all.push(number("MemoryLow", unlimited(low)));
        }
        // Together, while systemd counts swap alone. What makes no sense is refused elsewhere.
        match (given(memory.limit()), given(memory.swap())) {
            (_, Some(..0)) | (Some(-1), None) => all.push(number("MemorySwapMax", u64::MAX)),
            (Some(limit @ 1..), Some(swap)) if swap >= limit => {
                all.push(number("MemorySwapMax", unlimited(swap - limit)));
            }
            _ => {}
        }
        all
    }

    fn cpu(self, cpu: &LinuxCpu) -> Vec<Property> {
        let mut all = Vec::new();
        let shares = cpu.shares().filter(|s| *s != 0);
        match (self.unified, cpu.idle(), shares) {
            // Weight zero is idle, where systemd knows it.
            (true, Some(1), weight) if self.version >= 252 => {
                if weight.is_some() {
                    warn_of_both();
                }
                all.push(number("CPUWeight", 0));
            }
            (true, _, Some(shares)) => all.push(number("CPUWeight", weight_of_shares(shares))),
            (false, _, Some(shares)) => all.push(number("CPUShares", shares)),
            _ => {}
        }
        let quota = cpu.quota().filter(|q| *q != 0);
        let period = cpu.period().filter(|p| *p != 0);
        if let Some(period) = period.filter(|_| self.version >= 242) {
            all.push(number("CPUQuotaPeriodUSec", period));
        }
        if quota.is_some() || period.is_some() {
            let per_second = per_second(quota.unwrap_or(-1), period.unwrap_or(100_000));
            all.push(number("CPUQuotaPerSecUSec", per_second));
        }
        if self.unified && self.version >= 244 {
            let sets = [
                ("AllowedCPUs", cpu.cpus()),
                ("AllowedMemoryNodes", cpu.mems()),
            ];
            for (name, set) in sets {
                if let Some(bits) = set.as_deref().and_then(bits) {
                    all.push((name.to_owned(), Value::Bytes(bits)));
                }
            }
        }
        all
    }
}

impl Target {
    /// What is asked for by the files of version 2, where systemd has a property of the kind: after the
    /// others, of which the last word counts. What is no value for a file is refused when it is written.
    fn files(self, files: &HashMap<String, String>) -> Vec<Property> {
        let is_idle = self.version >= 252 && is_idle(files);
        if is_idle && files.contains_key("cpu.weight") {
            warn_of_both();
        }
        let given = files.iter();
        let mut names: Vec<_> = given
            .filter(|(name, _)| !is_idle || *name != "cpu.weight")
            .collect();
        names.sort_unstable();
        let properties = names
            .into_iter()
            .filter_map(|(name, value)| self.file(name, value.trim()));
        properties.flatten().collect()
    }

    fn file(self, name: &str, value: &str) -> Option<Vec<Property>> {
        let set = |name: &str| {
            let bits = bits(value).filter(|_| self.version >= 244)?;
            Some((name.to_owned(), Value::Bytes(bits)))
        };
        let property = match name {
            "cpu.max" => return self.cpu_max(value),
            "cpu.idle" if value == "1" && self.version >= 252 => number("CPUWeight", 0),
            "cpu.weight" => number("CPUWeight", value.parse().ok()?),
            "cpuset.cpus" => set("AllowedCPUs")?,
            "cpuset.mems" => set("AllowedMemoryNodes")?,
            "memory.high" => number("MemoryHigh", amount(value)?),
            "memory.low" => number("MemoryLow", amount(value)?),
            "memory.max" => number("MemoryMax", amount(value)?),
            "memory.min" => number("MemoryMin", amount(value)?),
            "memory.swap.max" => number("MemorySwapMax", amount(value)?),
            "pids.max" => number("TasksMax", amount(value)?.max(1)),
            _ => return None,
        };
        Some(vec![property])
    }

    /// `QUOTA` or `QUOTA PERIOD`, in microseconds.
    fn cpu_max(self, value: &str) -> Option<Vec<Property>> {
        let (quota, period) = value.split_once(' ').unwrap_or((value, "100000"));
        let quota = match quota {
            "max" => -1,
            quota => quota.parse().ok()?,
        };
        let period = period.trim().parse().ok().filter(|period| *period != 0)?;
        let mut all = Vec::new();
        if self.version >= 242 {
            all.push(number("CPUQuotaPeriodUSec", period));
        }
        all.push(number("CPUQuotaPerSecUSec", per_second(quota, period)));
        Some(all)
    }
}

/// Whether these files of version 2 make it idle.
fn is_idle(files: &HashMap<String, String>) -> bool {
    files.get("cpu.idle").is_some_and(|idle| idle.trim() == "1")
}

/// In runc's words.
fn warn_of_both() {
    warn(|| "unable to apply both CPUWeight and CpuIdle to systemd, ignoring CPUWeight".to_owned());
}

/// A number of a file of version 2.
fn amount(value: &str) -> Option<u64> {
    match value {
        "max" => Some(u64::MAX),
        value => value.parse().ok(),
    }
}

fn unlimited(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// The quota that systemd can keep, and would have at its next reload: of whole percents.
pub(super) fn kept(quota: i64, period: u64) -> i64 {
    let kept = per_second(quota, period).checked_mul(period);
    let kept = kept.and_then(|kept| i64::try_from(kept / 1_000_000).ok());
    kept.filter(|_| quota > 0).unwrap_or(quota)
}

/// Microseconds in each second. systemd counts in whole percents, of 10 ms: rounded up.
fn per_second(quota: i64, period: u64) -> u64 {
    const PERCENT: u64 = 10_000;
    match u64::try_from(quota) {
        Ok(quota) => (quota.saturating_mul(1_000_000) / period.max(1)).next_multiple_of(PERCENT),
        Err(_) => u64::MAX,
    }
}

/// `0-2,8` as a bit for each, the first eight in the first byte. None if it is not such a list.
fn bits(set: &str) -> Option<Vec<u8>> {
    let mut bits = Vec::new();
    for part in set.trim().split(',').filter(|p| !p.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        for number in first..=last {
            let byte = usize::from(number / 8);
            bits.resize(bits.len().max(byte + 1), 0);
            bits[byte] |= 1 << (number % 8);
        }
    }
    (!bits.is_empty()).then_some(bits)
}

/// The list cleared, then what is allowed one by one. What systemd cannot say is left out: our own
/// writing to the files comes after its.
fn devices(resources: &LinuxResources) -> Vec<Property> {
    let Ok(rules) = device_rules(resources) else {
        return Vec::new();
    };
    let clear = ("DeviceAllow".to_owned(), Value::Pairs(Vec::new()));
    let last_word = |rule: &&DeviceRule| rule.kind == DeviceType::All;
    match (rules.is_empty(), rules.iter().rev().find(last_word)) {
        (true, _) => Vec::new(),
        (false, Some(rule)) if rule.allow => vec![text("DevicePolicy", "auto"), clear],
        (false, _) => {
            let allowed = rules.iter().filter(|rule| rule.allow);
            let pairs = Value::Pairs(allowed.filter_map(device).collect());
            vec![
                text("DevicePolicy", "strict"),
                clear,
                ("DeviceAllow".to_owned(), pairs),
            ]
        }
    }
}

fn device(rule: &DeviceRule) -> Option<(String, String)> {
    let kind = match rule.kind {
        DeviceType::Char => "char",
        DeviceType::Block => "block",
        DeviceType::All => return None,
    };
    let node = match (rule.major, rule.minor) {
        (None, None) => format!("{kind}-*"),
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        // Pseudo-terminals, by the name that /proc/devices has for them.
        (Some(136), None) if kind == "char" => "char-pts".to_owned(),
        _ => return None,
    };
    Some((node, rule.access.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(properties: &[Property]) -> String {
        let line = |(name, value): &Property| format!("{name} = {value:?}\n");
        properties.iter().map(line).collect()
    }

    fn resources() -> LinuxResources {
        serde_json::from_str(
            r#"{
                "memory": {"limit": 1048576, "swap": 2097152, "reservation": 4096},
                "cpu": {"shares": 1024, "quota": 25500, "period": 50000, "cpus": "0-2,8", "mems": "0"},
                "pids": {"limit": 0},
                "blockIO": {"weight": 500},
                "devices": [
                    {"allow": false, "access": "rwm"},
                    {"allow": true, "type": "c", "major": 10, "minor": 200, "access": "rw"}
                ]
            }"#,
        )
        .unwrap()
    }

    #[test]
    fn version_2() {
        let target = Target {
            unified: true,
            version: 252,
        };
        insta::assert_snapshot!(show(&target.limits(&resources())), @r#"
        MemoryMax = U64(1048576)
        MemoryLow = U64(4096)
        MemorySwapMax = U64(1048576)
        CPUWeight = U64(100)
        CPUQuotaPeriodUSec = U64(50000)
        CPUQuotaPerSecUSec = U64(510000)
        AllowedCPUs = Bytes([7, 1])
        AllowedMemoryNodes = Bytes([1])
        TasksMax = U64(1)
        "#);
    }

    #[test]
    fn files_of_version_2_have_the_last_word() {
        let mut resources = resources();
        let files = [
            ("cpu.idle", "1"),
            ("cpu.max", "10000"),
            ("cpuset.cpus", "0-1"),
            ("hugetlb.2MB.max", "0"),
            ("memory.high", "20971520"),
            ("memory.min", "a lot"),
            ("memory.swap.max", "max"),
            ("pids.max", "99"),
        ];
        let files = files.map(|(name, value)| (name.to_owned(), value.to_owned()));
        resources.set_unified(Some(files.into()));
        let target = |version| Target {
            unified: true,
            version,
        };
        let before = target(252).limits(&self::resources()).len();
        let after = target(252).limits(&resources);
        insta::assert_snapshot!(show(&after[before..]), @r#"
        CPUWeight = U64(0)
        CPUQuotaPeriodUSec = U64(100000)
        CPUQuotaPerSecUSec = U64(100000)
        AllowedCPUs = Bytes([3])
        MemoryHigh = U64(20971520)
        MemorySwapMax = U64(18446744073709551615)
        TasksMax = U64(99)
        "#);
        let old = show(&target(239).limits(&resources));
        assert!(!old.contains("CPUWeight = U64(0)") && !old.contains("AllowedCPUs"));
    }

    #[test]
    fn version_1_with_an_old_systemd() {
        let target = Target {
            unified: false,
            version: 239,
        };
        insta::assert_snapshot!(show(&target.limits(&resources())), @r#"
        MemoryLimit = U64(1048576)
        CPUShares = U64(1024)
        CPUQuotaPerSecUSec = U64(510000)
        TasksMax = U64(1)
        BlockIOWeight = U64(500)
        DevicePolicy = Text("strict")
        DeviceAllow = Pairs([])
        DeviceAllow = Pairs([("/dev/char/10:200", "rw"), ("char-*", "m"), ("block-*", "m"), ("/dev/char/1:3", "rwm"), ("/dev/char/1:5", "rwm"), ("/dev/char/1:7", "rwm"), ("/dev/char/1:8", "rwm"), ("/dev/char/1:9", "rwm"), ("/dev/char/5:0", "rwm"), ("/dev/char/5:2", "rwm"), ("char-pts", "rwm")])
        "#);
    }

    #[test]
    fn scopes_begin_with_a_process() {
        let name = |unit: &str| UnitName {
            slice: "a.slice".to_owned(),
            unit: unit.to_owned(),
        };
        insta::assert_snapshot!(show(&of_unit(&name("x.scope"), Some(7))), @r#"
        Description = Text("container x.scope")
        Slice = Text("a.slice")
        PIDs = U32s([7])
        Delegate = Bool(true)
        CPUAccounting = Bool(true)
        MemoryAccounting = Bool(true)
        IOAccounting = Bool(true)
        TasksAccounting = Bool(true)
        DefaultDependencies = Bool(false)
        "#);
        insta::assert_snapshot!(show(&of_unit(&name("x.slice"), None)), @r#"
        Description = Text("container x.slice")
        Wants = Texts(["a.slice"])
        CPUAccounting = Bool(true)
        MemoryAccounting = Bool(true)
        IOAccounting = Bool(true)
        TasksAccounting = Bool(true)
        DefaultDependencies = Bool(false)
        "#);
    }

    #[test]
    fn quotas_are_kept_in_whole_percents() {
        assert_eq!(kept(500_000, 900_000), 504_000);
        assert_eq!(kept(50_000, 100_000), 50_000);
        assert_eq!(kept(12_500, 100_000), 13_000);
        assert_eq!(kept(-1, 100_000), -1);
        assert_eq!(kept(i64::MAX, 100_000), i64::MAX);
    }

    #[test]
    fn quotas_are_whole_percents_of_a_second() {
        assert_eq!(per_second(-1, 100_000), u64::MAX);
        assert_eq!(per_second(50_000, 100_000), 500_000);
        assert_eq!(per_second(1, 100_000), 10_000);
    }
}
