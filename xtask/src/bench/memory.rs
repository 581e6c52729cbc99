//! Proportional set sizes: what a process costs when shared pages are shared out.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;

/// Processes and their parents, from /proc.
#[derive(Debug)]
pub(crate) struct Processes {
    parents: BTreeMap<u32, u32>,
}

impl Processes {
    /// All that run now.
    pub(crate) fn read() -> Result<Self> {
        let mut parents = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|n| n.parse::<u32>().ok()) else {
                continue;
            };
            // It may have ended meanwhile.
            let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
                continue;
            };
            if let Some(parent) = field(&status, "PPid:") {
                parents.insert(pid, parent);
            }
        }
        Ok(Self { parents })
    }

    /// A process and all below it.
    pub(crate) fn below(&self, root: u32) -> Vec<u32> {
        let mut found = vec![root];
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            found.extend(
                self.parents
                    .iter()
                    .filter(|(_, p)| **p == parent)
                    .map(|(pid, _)| *pid),
            );
            next += 1;
        }
        found
    }

    /// Those whose program is called so, payloads of containers apart.
    pub(crate) fn named(&self, names: &[&str]) -> Vec<u32> {
        let is_named = |pid: &&u32| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            names.contains(&name.trim())
        };
        self.parents.keys().filter(is_named).copied().collect()
    }
}

/// KiB that the processes take together that were started with this word.
pub(crate) fn pss_of_word(word: &str) -> Result<u64> {
    let has_word = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|w| w == word.as_bytes())
    };
    let all = Processes::read()?;
    let those: Vec<u32> = all.parents.keys().copied().filter(has_word).collect();
    Ok(pss(&those))
}

/// KiB that the processes take together.
pub(crate) fn pss(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        field(&text, "Pss:").map(u64::from)
    };
    pids.iter().filter_map(of).sum()
}

fn field(text: &str, name: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line[name.len()..].split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_below_itself_and_weighs_something() {
        let me = std::process::id();
        assert!(Processes::read().unwrap().below(me).contains(&me));
        assert!(pss(&[me]) > 0);
    }
}
