//! Where and how urgently the calling thread runs: scheduler, I/O priority, CPUs, memory nodes,
//! execution domain.
#![allow(
    unsafe_code,
    reason = "sched_setattr, ioprio_set, set_mempolicy and personality have no safe wrapper"
)]

use crate::error::{Named, Result, check};

/// What sched_setattr(2) sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scheduler {
    /// SCHED_* of sched(7): 0 other, 1 fifo, 2 rr, 3 batch, 4 iso, 5 idle, 6 deadline.
    pub policy: u32,
    /// SCHED_FLAG_*.
    pub flags: u64,
    /// Nice value of the policies other and batch, -20 to 19.
    pub nice: i32,
    /// Static priority of the policies fifo and rr, 1 to 99.
    pub priority: u32,
    /// Nanoseconds a period, of the policy deadline.
    pub runtime: u64,
    /// Nanoseconds, of the policy deadline.
    pub deadline: u64,
    /// Nanoseconds, of the policy deadline.
    pub period: u64,
}

/// `struct sched_attr` of linux/sched/types.h, version 1 (56 bytes).
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    util_min: u32,
    util_max: u32,
}

/// Bytes of `struct sched_attr`, which has no padding.
const ATTRIBUTES: u32 = 56;

/// Sets the scheduler of the calling thread.
pub fn set_scheduler(scheduler: &Scheduler) -> Result<()> {
    let attributes = Attributes {
        size: ATTRIBUTES,
        policy: scheduler.policy,
        flags: scheduler.flags,
        nice: scheduler.nice,
        priority: scheduler.priority,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
        util_min: 0,
        util_max: 0,
    };
    // SAFETY: sched_setattr(2) reads as many bytes as `size` says, which is the size of the struct
    // that lives here.
    let answer = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    check("sched_setattr", answer).map(drop)
}

/// Sets the I/O priority of the calling thread: class 1 real-time, 2 best-effort, 3 idle; level 0,
/// the first, to 7.
pub fn set_io_priority(class: u16, level: u16) -> Result<()> {
    /// The thread with this id; zero is the caller.
    const WHO_PROCESS: libc::c_int = 1;
    const CLASS_SHIFT: u32 = 13;
    let priority = (u32::from(class) << CLASS_SHIFT) | u32::from(level);
    // SAFETY: ioprio_set(2) takes three numbers.
    let answer = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, priority) };
    check("ioprio_set", answer).map(drop)
}

/// A set of small numbers, of CPUs or of memory nodes, as the kernel takes them: bit n is number n.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers(Vec<u64>);

/// No machine has more CPUs than this (CONFIG_NR_CPUS).
const MOST_CPUS: u32 = 8192;

impl Numbers {
    /// Reads a list like `0-3,7`. None if it is no list, or if a number is not below `limit`.
    pub fn parse(text: &str, limit: u32) -> Option<Self> {
        let mut words = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<u32>().ok().filter(|n| *n < limit);
            let (first, last) = (number(first)?, number(last)?);
            for number in first..=last {
                let word = usize::try_from(number / 64).ok()?;
                if words.len() <= word {
                    words.resize(word + 1, 0);
                }
                words[word] |= 1 << (number % 64);
            }
        }
        // `3-1` names none.
        (!words.is_empty()).then_some(Self(words))
    }

    /// Reads a list of CPUs.
    pub fn cpus(text: &str) -> Option<Self> {
        Self::parse(text, MOST_CPUS)
    }
}

/// As one hexadecimal number with a bit for each.
impl std::fmt::Display for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words = self.0.iter().rev().skip_while(|word| **word == 0);
        write!(f, "{:#x}", words.next().unwrap_or(&0))?;
        words.try_for_each(|word| write!(f, "{word:016x}"))
    }
}

/// Runs the calling thread on these CPUs only, as far as its cpuset has them.
pub fn set_affinity(cpus: &Numbers) -> Result<()> {
    affinity(&cpus.0)
}

/// Runs the calling thread on every CPU of its cpuset, whatever the caller of this program ran on.
pub fn reset_affinity() -> Result<()> {
    affinity(&[u64::MAX; (MOST_CPUS / 64) as usize])
}

fn affinity(words: &[u64]) -> Result<()> {
    // SAFETY: sched_setaffinity(2) reads as many bytes as it is told, which live here.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_sched_setaffinity,
            0,
            size_of_val(words),
            words.as_ptr(),
        )
    };
    check("sched_setaffinity", answer).map(drop)
}

/// Has a process that was just cloned, or woken, begin on another CPU than the caller's, if the caller may run on
/// any other; it may run on all of the caller's afterwards. The kernel does not always look for an idle
/// one by itself, and lets it wait until the caller does.
pub fn begin_elsewhere(pid: i32) -> Result<()> {
    let own = rustix::thread::sched_getaffinity(None).named("sched_getaffinity")?;
    let mut others = own;
    others.unset(rustix::thread::sched_getcpu());
    let (Some(pid), true) = (rustix::thread::Pid::from_raw(pid), others.count() > 0) else {
        return Ok(());
    };
    let set = |cpus| rustix::thread::sched_setaffinity(Some(pid), cpus).named("sched_setaffinity");
    set(&others)?;
    set(&own)
}

/// Sets from which nodes the calling thread gets memory: MPOL_* of numaif.h with MPOL_F_* in it.
pub fn set_memory_policy(mode: u32, nodes: Option<&Numbers>) -> Result<()> {
    let words = nodes.map_or(&[][..], |nodes| &nodes.0);
    // One more than there are: the kernel looks at one bit less than it is told.
    let bits = if words.is_empty() {
        0
    } else {
        words.len() * 64 + 1
    };
    let pointer = if words.is_empty() {
        std::ptr::null()
    } else {
        words.as_ptr()
    };
    // SAFETY: set_mempolicy(2) reads `bits - 1` bits, which is as many as `words` has; of no words
    // it is told that there is no bit.
    let answer = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, pointer, bits) };
    check("set_mempolicy", answer).map(drop)
}

/// Sets the execution domain (personality(2)).
pub fn set_personality(domain: u32) -> Result<()> {
    // SAFETY: personality(2) takes a number.
    let answer = unsafe { libc::syscall(libc::SYS_personality, domain) };
    check("personality", answer).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Errno;

    /// The line of this thread's status with this name.
    fn status(name: &str) -> String {
        let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    }

    #[test]
    fn lists_are_read() {
        let words = |text| Numbers::parse(text, 128).map(|numbers| numbers.0);
        assert_eq!(words("0"), Some(vec![1]));
        assert_eq!(words("0-2, 65"), Some(vec![7, 2]));
        for wrong in ["", "a", "1-", "-1", "3-1", "0-9876543210", "128", "1,,2"] {
            assert_eq!(words(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_are_shown_as_a_mask() {
        let mask = |text| Numbers::cpus(text).unwrap().to_string();
        assert_eq!(mask("1"), "0x2");
        assert_eq!(mask("0-1,64"), "0x10000000000000003");
    }

    #[test]
    fn a_thread_is_put_on_a_cpu_and_freed_again() {
        let thread = std::thread::spawn(|| {
            reset_affinity().unwrap();
            let all = status("Cpus_allowed_list:");
            let first = all.split([',', '-']).next().unwrap().to_owned();
            set_affinity(&Numbers::cpus(&first).unwrap()).unwrap();
            assert_eq!(status("Cpus_allowed_list:"), first);
            reset_affinity().unwrap();
            assert_eq!(status("Cpus_allowed_list:"), all);
        });
        thread.join().unwrap();
    }

    #[test]
    fn a_thread_becomes_patient() {
        let thread = std::thread::spawn(|| {
            let batch = Scheduler {
                policy: 3,
                nice: 5,
                ..Scheduler::default()
            };
            set_scheduler(&batch).unwrap();
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split(' ').collect();
            // proc_pid_stat(5): 19 is the nice value, 41 the policy; the first here is number 2.
            assert_eq!((fields[17], fields[39]), ("5", "3"));
            set_io_priority(3, 0).unwrap();
        });
        thread.join().unwrap();
    }

    #[test]
    fn a_thread_gets_its_memory_from_a_node() {
        let thread = std::thread::spawn(|| {
            let node = Numbers::parse("0", 1024).unwrap();
            match set_memory_policy(2, Some(&node)) {
                Err(error) if error.errno == Errno::NOSYS => {
                    crate::error::skip("SKIP: this kernel has no NUMA");
                    return;
                }
                answer => answer.unwrap(),
            }
            let maps = std::fs::read_to_string("/proc/thread-self/numa_maps").unwrap();
            assert!(maps.lines().next().unwrap().contains("bind:0"), "{maps}");
            set_memory_policy(0, None).unwrap();
        });
        thread.join().unwrap();
    }
}
