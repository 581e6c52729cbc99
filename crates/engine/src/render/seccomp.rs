//! The system call filter: Docker's default, or a profile in Docker's format.
//!
//! Both are lists of [`Entry`]s with conditions on the machine and on the container's capabilities;
//! what is left of them once these are known is the configuration's filter.

mod custom;
mod default;

use std::sync::{Arc, Mutex, PoisonError};

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompOperator, LinuxSyscall,
};
use types::{SeccompProfile, Security};

use super::capabilities::Set;
use super::{Error, HostFacts};

/// One rule of a profile.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    names: Vec<String>,
    action: LinuxSeccompAction,
    errno: Option<u32>,
    arguments: Vec<Argument>,
    /// It counts where all of this holds.
    includes: When,
    /// It does not count where any of this holds.
    excludes: When,
}

/// A condition on an argument.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: usize,
    #[serde(default)]
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: LinuxSeccompOperator,
}

/// Conditions on the machine and the container; what is empty says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
struct When {
    capabilities: Vec<String>,
    /// By Go's names.
    machines: Vec<String>,
    min_kernel: Option<(u32, u32)>,
}

/// Where a filter is to be in force.
#[derive(Clone, Copy)]
struct Place<'a> {
    capabilities: Set,
    host: &'a HostFacts,
}

impl Entry {
    fn new(names: &[&str], action: LinuxSeccompAction) -> Self {
        Self {
            names: names.iter().map(|n| (*n).to_owned()).collect(),
            action,
            errno: None,
            arguments: Vec::new(),
            includes: When::default(),
            excludes: When::default(),
        }
    }

    fn argument(mut self, argument: Argument) -> Self {
        self.arguments.push(argument);
        self
    }

    fn when(mut self, when: When) -> Self {
        self.includes = when;
        self
    }

    fn unless(mut self, when: When) -> Self {
        self.excludes = when;
        self
    }

    fn counts(&self, place: Place<'_>) -> bool {
        self.includes.all(place) && !self.excludes.any(place)
    }
}

impl When {
    fn all(&self, place: Place<'_>) -> bool {
        let Place { capabilities, host } = place;
        self.capabilities.iter().all(|c| capabilities.has(c))
            && (self.machines.is_empty() || self.machines.iter().any(|m| m == go_arch(host)))
            && self.min_kernel.is_none_or(|min| host.kernel >= min)
    }

    fn any(&self, place: Place<'_>) -> bool {
        let Place { capabilities, host } = place;
        self.capabilities.iter().any(|c| capabilities.has(c))
            || self.machines.iter().any(|m| m == go_arch(host))
            || self.min_kernel.is_some_and(|min| host.kernel >= min)
    }
}

/// Why a text is no profile in Docker's format.
pub(super) fn check(json: &str) -> Result<(), Error> {
    custom::check(json)
}

/// None runs unconfined.
pub(super) fn filter(
    security: &Security,
    capabilities: &Set,
    host: &HostFacts,
) -> Result<Option<Arc<LinuxSeccomp>>, Error> {
    let place = Place {
        capabilities: *capabilities,
        host,
    };
    match &security.seccomp {
        // Who is privileged and names a profile gets both.
        SeccompProfile::Custom(json) => Ok(custom::filter(json, place)?.map(Arc::new)),
        _ if security.privileged => Ok(None),
        SeccompProfile::Unconfined => Ok(None),
        SeccompProfile::Default | SeccompProfile::Builtin => usual(place).map(Some),
    }
}

/// The default filter. Of some hundred names, and for most containers the same: the last one is kept.
fn usual(place: Place<'_>) -> Result<Arc<LinuxSeccomp>, Error> {
    type Key = (Set, (u32, u32), &'static str);
    static LAST: Mutex<Option<(Key, Arc<LinuxSeccomp>)>> = Mutex::new(None);
    let Place { capabilities, host } = place;
    let key = (capabilities, host.kernel, host.arch);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, filter)) = &*last
        && *of == key
    {
        return Ok(filter.clone());
    }
    let mut filter = LinuxSeccomp::default();
    filter.set_default_action(LinuxSeccompAction::ScmpActErrno);
    filter.set_default_errno_ret(Some(1));
    filter.set_architectures(Some(architectures(host)));
    filter.set_syscalls(Some(rules(default::entries(), place)?));
    let filter = Arc::new(filter);
    *last = Some((key, filter.clone()));
    Ok(filter)
}

/// What counts here, entries that only differ in names made one.
fn rules(entries: Vec<Entry>, place: Place<'_>) -> Result<Vec<LinuxSyscall>, Error> {
    let mut merged: Vec<Entry> = Vec::new();
    for entry in entries.into_iter().filter(|e| e.counts(place)) {
        let same = |known: &&mut Entry| {
            known.arguments.is_empty()
                && entry.arguments.is_empty()
                && (known.action, known.errno) == (entry.action, entry.errno)
        };
        match merged.iter_mut().find(same) {
            Some(known) => known.names.extend(entry.names),
            None => merged.push(entry),
        }
    }
    merged.into_iter().map(rule).collect()
}

fn rule(entry: Entry) -> Result<LinuxSyscall, Error> {
    let arguments: Result<Vec<LinuxSeccompArg>, Error> =
        entry.arguments.iter().map(condition).collect();
    let mut names = entry.names;
    names.sort_unstable();
    names.dedup();
    let mut rule = LinuxSyscall::default();
    rule.set_names(names);
    rule.set_action(entry.action);
    rule.set_errno_ret(entry.errno);
    rule.set_args(Some(arguments?).filter(|a| !a.is_empty()));
    Ok(rule)
}

fn condition(argument: &Argument) -> Result<LinuxSeccompArg, Error> {
    if argument.index > 5 {
        return Err(Error::Seccomp(format!(
            "a rule is about argument {}; system calls have arguments 0 to 5",
            argument.index
        )));
    }
    let mut builder = LinuxSeccompArgBuilder::default()
        .index(argument.index)
        .value(argument.value)
        .op(argument.op);
    if argument.value_two != 0 {
        builder = builder.value_two(argument.value_two);
    }
    builder.build().map_err(|e| Error::Seccomp(e.to_string()))
}

/// This machine's own calls and those of its older programs.
fn architectures(host: &HostFacts) -> Vec<Arch> {
    match host.arch {
        "x86_64" => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
        "aarch64" => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
        "x86" => vec![Arch::ScmpArchX86],
        "arm" => vec![Arch::ScmpArchArm],
        "riscv64" => vec![Arch::ScmpArchRiscv64],
        _ => vec![Arch::ScmpArchNative],
    }
}

/// Go's name of the machine, which profiles use.
fn go_arch(host: &HostFacts) -> &'static str {
    match host.arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

#[cfg(test)]
mod tests;
