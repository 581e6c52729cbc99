//! What /proc says about other processes.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use types::ProcessRef;

use crate::error::{Errno, Error, Result};
use crate::root::Root;
use crate::{fd, pidfd};

/// The field 22 of /proc/PID/stat, proc_pid_stat(5): when it started, in clock ticks since boot.
pub fn start_time(pid: i32) -> Result<u64> {
    field_of_stat(pid, 22)
}

/// A number of /proc/PID/stat, by its place in proc_pid_stat(5), from the fourth on.
fn field_of_stat(pid: i32, number: usize) -> Result<u64> {
    let malformed = Error {
        call: "read",
        errno: Errno::INVAL,
    };
    let text = read(&format!("/proc/{pid}/stat"))?;
    // The second field is the command in parentheses and may itself hold spaces and parentheses.
    let (_, rest) = text.rsplit_once(')').ok_or(malformed)?;
    rest.split_ascii_whitespace()
        .nth(number - 3)
        .and_then(|field| field.parse().ok())
        .ok_or(malformed)
}

/// How to find this process again later.
pub fn process_ref(pid: i32) -> Result<ProcessRef> {
    Ok(ProcessRef {
        pid,
        started: start_time(pid)?,
    })
}

/// A descriptor of that very process; nothing if it has ended and been reaped, whoever has its pid
/// now.
pub fn open(process: ProcessRef) -> Result<Option<OwnedFd>> {
    let pidfd = match pidfd::open(process.pid) {
        Ok(pidfd) => pidfd,
        Err(error) if error.errno == Errno::SRCH => return Ok(None),
        Err(error) => return Err(error),
    };
    // Checked after opening: now the pid cannot change hands without our noticing, because the
    // descriptor holds the process whose start time was read, or that read fails.
    match start_time(process.pid) {
        Ok(started) if started == process.started => Ok(Some(pidfd)),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.errno, Errno::NOENT | Errno::SRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The root directory of that very process; nothing if it has ended.
///
/// The name in /proc is a pid's, which may be another process' by the time it is resolved: so the
/// process is looked at again by a descriptor that cannot change hands. As long as it has not been
/// reaped, nobody else had its pid.
pub fn open_root(process: ProcessRef) -> Result<Option<Root>> {
    let Some(pidfd) = open(process)? else {
        return Ok(None);
    };
    let opened = Root::open(Path::new(&format!("/proc/{}/root", process.pid)));
    // A zombie keeps its pid, and has no root any more, nor has one that is about to be one.
    if pidfd::ended_within(&pidfd, std::time::Duration::ZERO)? {
        return Ok(None);
    }
    if opened.is_err() && is_ending(process) {
        return Ok(None);
    }
    opened.map(Some)
}

/// The ids of that process' user namespace, as the texts of /proc/PID/uid_map and gid_map,
/// user_namespaces(7).
pub fn id_maps(process: ProcessRef) -> Result<(String, String)> {
    let gone = Error {
        call: "pidfd_open",
        errno: Errno::SRCH,
    };
    let of = |name: &str| read(&format!("/proc/{}/{name}", process.pid));
    let maps = (of("uid_map")?, of("gid_map")?);
    // Looked at afterwards: until it has been reaped, nobody else had its pid.
    open(process)?.ok_or(gone)?;
    Ok(maps)
}

/// The kernel's mark of a process that is on its way out (PF_EXITING of linux/sched.h).
const EXITING: u64 = 4;

/// Whether that very process has ended or is about to: the first one of a pid namespace has no root and no
/// namespaces any more while it waits for the others to die, and has not ended yet.
pub fn is_ending(process: ProcessRef) -> bool {
    let flags = field_of_stat(process.pid, 9);
    !is_alive(process) || flags.is_ok_and(|flags| flags & EXITING != 0)
}

/// Whether that very process runs: it is neither gone nor a zombie.
pub fn is_alive(process: ProcessRef) -> bool {
    match open(process) {
        Ok(Some(pidfd)) => {
            !pidfd::ended_within(pidfd.as_fd(), std::time::Duration::ZERO).unwrap_or(false)
        }
        _ => false,
    }
}

/// Identifies this boot of the machine: start times of another boot mean nothing.
pub fn boot_id() -> Result<String> {
    read("/proc/sys/kernel/random/boot_id").map(|text| text.trim_end().to_owned())
}

/// A kernel's text file. Bounded, because nothing here is long.
pub(crate) fn read(path: &str) -> Result<String> {
    let bytes = fd::read_to_end(fd::open_read(Path::new(path))?, 1 << 20)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_again_and_another_start_is_not() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = process_ref(pid).unwrap();
        assert!(is_alive(me) && !is_ending(me));
        let other = ProcessRef {
            started: me.started + 1,
            ..me
        };
        assert!(!is_alive(other));
        assert!(open_root(me).unwrap().is_some());
        assert!(open_root(other).unwrap().is_none());
    }

    #[test]
    fn a_zombie_is_not_alive_and_a_reaped_process_not_found() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = process_ref(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = open(process).unwrap().unwrap();
        assert!(pidfd::ended_within(&pidfd, std::time::Duration::from_secs(60)).unwrap());
        assert!(!is_alive(process) && is_ending(process));
        assert!(open_root(process).unwrap().is_none());
        assert!(open(process).unwrap().is_some());
        child.wait().unwrap();
        assert!(open(process).unwrap().is_none());
    }
}
