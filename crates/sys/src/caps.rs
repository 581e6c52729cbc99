//! Capabilities (capabilities(7)): names, and the five sets of a thread.

use std::marker::PhantomData;

use bitflags::bitflags;
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::error::{Named, Result};

/// The names without `CAP_`; the place in the table is the number.
pub const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

bitflags! {
    /// A set of capabilities: bit n is capability number n.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Capabilities: u64 {
        const _ = !0;
    }
}

impl Capabilities {
    /// The capability of this name, with or without `CAP_`, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        let number = NAMES.iter().position(|known| *known == name)?;
        Some(Self::from_bits_retain(1 << number))
    }

    /// The names of those in the set, without `CAP_`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = NAMES.iter().enumerate();
        all.filter(move |(number, _)| self.bits() >> number & 1 == 1)
            .map(|(_, name)| *name)
    }
}

/// The five sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    /// What execve(2) can ever grant.
    pub bounding: Capabilities,
    /// What counts now.
    pub effective: Capabilities,
    /// What can be made effective.
    pub permitted: Capabilities,
    /// What survives execve(2) of files that ask for it.
    pub inheritable: Capabilities,
    /// What survives execve(2) of ordinary files.
    pub ambient: Capabilities,
}

impl Sets {
    /// Without those the calling thread cannot have, because its bounding set or the kernel lacks
    /// them: a container asks for what is usual, and a machine may allow less.
    pub fn limited_to(self, limit: Capabilities) -> Self {
        Self {
            bounding: self.bounding & limit,
            effective: self.effective & limit,
            permitted: self.permitted & limit,
            inheritable: self.inheritable & limit,
            ambient: self.ambient & limit,
        }
    }
}

/// The calling thread's bounding set, as far as the kernel knows capabilities.
pub fn bounding() -> Capabilities {
    let known = (0..64).map(|number| Capabilities::from_bits_retain(1 << number));
    known
        .take_while(|one| in_bounding(*one).is_ok())
        .filter(|one| in_bounding(*one).unwrap_or(false))
        .fold(Capabilities::empty(), |all, one| all | one)
}

/// The calling thread's permitted set.
pub fn permitted() -> Result<Capabilities> {
    let sets = rustix::thread::capabilities(None).named("capget")?;
    Ok(Capabilities::from_bits_retain(sets.permitted.bits()))
}

/// Makes effective what the calling thread is permitted.
pub(crate) fn make_effective() -> Result<()> {
    let mut sets = rustix::thread::capabilities(None).named("capget")?;
    sets.effective = sets.permitted;
    rustix::thread::set_capabilities(None, sets).named("capset")
}

/// A capability that the calling thread does without as long as this lives.
#[derive(Debug)]
pub struct Without {
    before: CapabilitySets,
    /// It is the thread's: dropped in another one, it would give that what it never had.
    _here: PhantomData<*const ()>,
}

/// Takes a capability out of the calling thread's effective set until it is dropped.
///
/// # Errors
/// What capget(2) and capset(2) say.
pub fn without(one: Capabilities) -> Result<Without> {
    let before = rustix::thread::capabilities(None).named("capget")?;
    let mut lowered = before;
    lowered.effective -= raw(one);
    rustix::thread::set_capabilities(None, lowered).named("capset")?;
    Ok(Without {
        before,
        _here: PhantomData,
    })
}

impl Drop for Without {
    fn drop(&mut self) {
        // What is permitted can be made effective: nothing can go wrong (capabilities(7)).
        let _ = rustix::thread::set_capabilities(None, self.before);
    }
}

/// Takes everything out of the bounding set that is not in `keep`. Needs CAP_SETPCAP.
pub fn limit_bounding(keep: Capabilities) -> Result<()> {
    for number in 0..64 {
        let one = Capabilities::from_bits_retain(1 << number);
        if keep.contains(one) {
            continue;
        }
        let gone = rustix::thread::remove_capability_from_bounding_set(raw(one));
        match gone {
            // Past the last capability of this kernel.
            Err(rustix::io::Errno::INVAL) => break,
            answer => answer.named("prctl")?,
        }
    }
    Ok(())
}

/// Whether the permitted set survives the change from user 0 to another one.
pub fn keep_on_user_change(keep: bool) -> Result<()> {
    rustix::thread::set_keep_capabilities(keep).named("prctl")
}

/// Effective, permitted and inheritable, then ambient; the bounding set is [`limit_bounding`]'s.
pub fn set(sets: &Sets) -> Result<()> {
    let three = CapabilitySets {
        effective: raw(sets.effective),
        permitted: raw(sets.permitted),
        inheritable: raw(sets.inheritable),
    };
    rustix::thread::set_capabilities(None, three).named("capset")?;
    rustix::thread::clear_ambient_capability_set().named("prctl")?;
    for one in sets.ambient.iter_bits() {
        rustix::thread::configure_capability_in_ambient_set(raw(one), true).named("prctl")?;
    }
    Ok(())
}

impl Capabilities {
    fn iter_bits(self) -> impl Iterator<Item = Self> {
        (0..64)
            .map(|n| Self::from_bits_retain(1 << n))
            .filter(move |one| self.contains(*one))
    }
}

fn in_bounding(one: Capabilities) -> Result<bool> {
    rustix::thread::capability_is_in_bounding_set(raw(one)).named("prctl")
}

fn raw(set: Capabilities) -> CapabilitySet {
    CapabilitySet::from_bits_retain(set.bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_kernels_numbers() {
        let number = |name: &str| Capabilities::named(name).map(|c| c.bits().trailing_zeros());
        assert_eq!(number("CAP_CHOWN"), Some(0));
        assert_eq!(number("sys_admin"), Some(21));
        assert_eq!(number("CAP_AUDIT_WRITE"), Some(29));
        assert_eq!(number("CAP_CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(number("CAP_EVERYTHING"), None);
    }

    #[test]
    fn a_thread_does_without_for_a_while() {
        let effective = || rustix::thread::capabilities(None).unwrap().effective;
        let before = effective();
        let one = Capabilities::named("SYS_RESOURCE").unwrap();
        let held = without(one).unwrap();
        assert!(!effective().contains(raw(one)));
        drop(held);
        assert_eq!(effective(), before);
    }

    #[test]
    fn the_bounding_set_is_what_proc_says() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("CapBnd:\t"))
            .unwrap();
        assert_eq!(format!("{:016x}", bounding().bits()), line);
    }
}
