//! What a process can do to itself: identity, session, signals, the last steps before execve(2).
#![allow(
    unsafe_code,
    reason = "execve, _exit, close_range and signal resets have no safe wrapper"
)]

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::DumpableBehavior;

use crate::error::{Errno, Error, Named, Result, check, retry};

/// The memory from which process listings read this process' command line (proc_pid_cmdline(5)).
#[derive(Debug)]
pub struct CommandLine {
    start: usize,
    length: usize,
}

impl CommandLine {
    /// Finds it: the fields `arg_start` and `arg_end` of /proc/PID/stat (proc_pid_stat(5)).
    pub fn find() -> Result<Self> {
        let file = crate::fd::open_read(Path::new("/proc/self/stat"))?;
        let text = crate::fd::read_to_end(file, 4096)?;
        let text = String::from_utf8_lossy(&text);
        // The second field, a name in brackets, may hold anything; the third comes after it.
        let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = rest.split_ascii_whitespace().skip(48 - 3);
        let mut next = || fields.next().and_then(|field| field.parse::<usize>().ok());
        match (next(), next()) {
            (Some(start), Some(end)) if start != 0 && start < end => Ok(Self {
                start,
                length: end - start,
            }),
            _ => Err(Error {
                call: "read /proc/self/stat",
                errno: Errno::INVAL,
            }),
        }
    }

    /// Writes other words there, cut off where the room ends. Only looks. The process must have one
    /// thread.
    pub fn set(self, words: &[&std::ffi::OsStr]) {
        let mut text = words.join(std::ffi::OsStr::new("\0")).into_encoded_bytes();
        text.truncate(self.length - 1);
        text.resize(self.length, 0);
        // SAFETY: the kernel says that the strings of argv are there, on the stack, writable and as
        // long as the process lives. The standard library, which alone knows of them, reads them
        // only when asked for the arguments, by pointers to strings that still end with a NUL
        // inside this range; and no other thread can be asking.
        unsafe {
            let to = std::ptr::with_exposed_provenance_mut::<u8>(self.start);
            std::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
        }
    }
}

/// Ends this process at once: no destructors, no flushing, no hooks, as a copy made by clone3(2)
/// must.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) takes no memory and does not return.
    unsafe { libc::_exit(code) }
}

/// Overwrites the strings of the environment with NULs: who may look into this process later does not
/// find them. For copies made by clone3(2), whose original keeps its own; does nothing elsewhere.
pub fn forget_environment() {
    unsafe extern "C" {
        /// environ(7).
        static environ: *mut *mut libc::c_char;
    }
    if !crate::clone::is_copy() {
        return;
    }
    // SAFETY: environ(7) is an array of pointers to strings, both writable, with a null pointer at
    // its end; a copy has one thread, so nobody changes or reads it meanwhile. Each string stays one,
    // an empty one.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            std::ptr::write_bytes(*entry, 0, libc::strlen(*entry));
            entry = entry.add(1);
        }
    }
}

/// Kills a process group (kill(2)), which is that of a child not yet waited for; one that is gone is fine.
pub fn kill_group(leader: u32) -> Result<()> {
    let pid = i32::try_from(leader)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let Some(pid) = pid else {
        return Ok(());
    };
    match rustix::process::kill_process_group(pid, rustix::process::Signal::KILL) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        answer => answer.named("kill"),
    }
}

/// Whether other processes may look into this one (ptrace(2), /proc/PID) and it may dump core.
/// Inherited by copies, reset by execve(2).
pub fn set_dumpable(yes: bool) -> Result<()> {
    let behavior = if yes {
        DumpableBehavior::Dumpable
    } else {
        DumpableBehavior::NotDumpable
    };
    rustix::process::set_dumpable_behavior(behavior).named("prctl")
}

/// The signal the kernel sends to this process when the thread that made it ends. Cleared whenever
/// the process changes its ids or gains capabilities.
pub fn set_parent_death_signal(signal: Option<types::Signal>) -> Result<()> {
    let number = signal.map_or(0, types::Signal::number);
    // SAFETY: PR_SET_PDEATHSIG takes a number and touches no memory.
    let answer = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, number, 0, 0, 0) };
    check("prctl", answer.into()).map(drop)
}

/// Orphans among this process' descendants become its children instead of process 1's.
pub fn set_child_subreaper(yes: bool) -> Result<()> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a number and touches no memory.
    let answer = unsafe {
        libc::prctl(
            libc::PR_SET_CHILD_SUBREAPER,
            libc::c_ulong::from(yes),
            0,
            0,
            0,
        )
    };
    check("prctl", answer.into()).map(drop)
}

/// From now on execve(2) grants nothing: no set-user-id, no file capabilities. There is no way back.
pub fn set_no_new_privileges() -> Result<()> {
    rustix::thread::set_no_new_privs(true).named("prctl")
}

/// A new session without a terminal, this process its leader.
pub fn new_session() -> Result<()> {
    rustix::process::setsid().named("setsid").map(drop)
}

/// The bits cleared from the mode of new files; returns the old ones.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(Mode::from_raw_mode(mask)).as_raw_mode()
}

/// User id: real, effective and saved.
pub fn set_user(uid: u32) -> Result<()> {
    let uid = crate::fd::uid(uid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).named("setresuid")
}

/// Group id: real, effective and saved.
pub fn set_group(gid: u32) -> Result<()> {
    let gid = crate::fd::gid(gid)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).named("setresgid")
}

/// All additional groups.
pub fn set_groups(gids: &[u32]) -> Result<()> {
    let gids: Vec<_> = gids
        .iter()
        .map(|gid| crate::fd::gid(*gid))
        .collect::<Result<_>>()?;
    rustix::thread::set_thread_groups(&gids).named("setgroups")
}

/// Does something with the file access of another user and group, setfsuid(2): of a root's rights
/// to files nothing is left meanwhile.
pub fn with_access_of<T>(uid: u32, gid: u32, act: impl FnOnce() -> T) -> T {
    let (own_user, own_group) = (user(), group());
    let set = |uid: u32, gid: u32| {
        // SAFETY: setfsgid(2) and setfsuid(2) take numbers and touch no memory. They report no
        // error: who may not change keeps what he has.
        unsafe {
            libc::syscall(libc::SYS_setfsgid, libc::c_ulong::from(gid));
            libc::syscall(libc::SYS_setfsuid, libc::c_ulong::from(uid));
        }
    };
    set(uid, gid);
    let answer = act();
    set(own_user, own_group);
    answer
}

/// Does something as another user and group as far as files that are made are concerned, with all of a
/// root's rights to files: where root itself is nobody, in a file system whose ids are translated,
/// nobody can make a file as root.
///
/// # Errors
/// What capget(2) and capset(2) say.
pub fn making_files_as<T>(uid: u32, gid: u32, act: impl FnOnce() -> T) -> Result<T> {
    with_access_of(uid, gid, || {
        crate::caps::make_effective()?;
        Ok(act())
    })
}

/// The user id that counts for access.
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The group id that counts for access.
pub fn group() -> u32 {
    rustix::process::getegid().as_raw()
}

/// Goes to a directory by path.
pub fn change_dir(path: &Path) -> Result<()> {
    rustix::process::chdir(path).named("chdir")
}

/// Goes to an open directory.
pub fn change_dir_to(dir: impl AsFd) -> Result<()> {
    rustix::process::fchdir(dir).named("fchdir")
}

/// Whether the working directory can be reached from this process' root. When it cannot, getcwd(2)
/// marks its answer, which is then no absolute path.
pub fn working_dir_is_inside_root() -> Result<bool> {
    let path = rustix::process::getcwd(Vec::new()).named("getcwd")?;
    Ok(path.as_bytes().starts_with(b"/"))
}

/// Makes the current directory the root, as seen by this process only.
pub fn change_root_here() -> Result<()> {
    rustix::process::chroot(".").named("chroot")
}

/// Host name of the UTS namespace.
pub fn set_host_name(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes()).named("sethostname")
}

/// NIS domain name of the UTS namespace.
pub fn set_domain_name(name: &str) -> Result<()> {
    rustix::system::setdomainname(name.as_bytes()).named("setdomainname")
}

/// Makes copies of three descriptors 0, 1 and 2, which execve(2) keeps.
pub fn set_standard_streams(streams: [BorrowedFd<'_>; 3]) -> Result<()> {
    // First out of the way, so that no source is overwritten before its turn.
    let copies = [
        crate::fd::duplicate_from(streams[0], 3)?,
        crate::fd::duplicate_from(streams[1], 3)?,
        crate::fd::duplicate_from(streams[2], 3)?,
    ];
    for (number, copy) in (0_i32..).zip(&copies) {
        duplicate_to(copy.as_fd(), number)?;
    }
    Ok(())
}

/// Copies a descriptor to one of the standard numbers, closing what was there; execve(2) keeps it.
fn duplicate_to(fd: BorrowedFd<'_>, standard: RawFd) -> Result<()> {
    if fd.as_raw_fd() == standard {
        return crate::fd::set_close_on_exec(fd, false);
    }
    // SAFETY: dup2(2) takes no memory. Replacing a descriptor under its owner is what I/O safety
    // forbids: the standard ones are owned by nobody (std::io, I/O safety).
    check(
        "dup2",
        unsafe { libc::dup2(fd.as_raw_fd(), standard) }.into(),
    )
    .map(drop)
}

/// Closes every descriptor from `first` on but a few.
///
/// Only in a copy made by [`crate::clone::Clone3::spawn`], which ends without dropping anything: its
/// owners are the maker's, copied, and must not be used any more. Elsewhere it is EPERM.
pub fn close_all_but(first: RawFd, keep: &[BorrowedFd<'_>]) -> Result<()> {
    if !crate::clone::is_copy() {
        return Err(Error {
            call: "close_range",
            errno: Errno::PERM,
        });
    }
    let mut keep: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    keep.sort_unstable();
    let mut next = first;
    for number in keep.into_iter().filter(|number| *number >= first) {
        if number > next {
            close_range(next, number.unsigned_abs() - 1)?;
        }
        next = number + 1;
    }
    close_range(next, u32::MAX)
}

fn close_range(first: RawFd, last: u32) -> Result<()> {
    // SAFETY: close_range(2) takes no memory. This is a copy of a process, so that nothing is closed
    // under anybody: what owns the descriptors here is never used nor dropped (`close_all_but`).
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    check("close_range", answer).map(drop)
}

/// Every signal back to its default action and none blocked: execve(2) keeps what is ignored or
/// blocked, and the runtime of Rust ignores SIGPIPE.
pub fn reset_signals() -> Result<()> {
    // The kernel's `struct sigaction` of a default action: all zero, on every machine no longer than
    // this. Not by the C library, which refuses the two signals it keeps for itself.
    let default = [0_u64; 8];
    for number in 1..=64 {
        let none = std::ptr::null_mut::<u64>();
        // SAFETY: rt_sigaction(2) reads a struct that is shorter than `default` and writes none,
        // because the old one is not asked for; 8 is the size of the kernel's signal set. With the
        // default action no handler can run in a wrong place. The answer is ignored because the
        // kernel refuses SIGKILL and SIGSTOP, which are never ignored.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), none, 8) };
    }
    // SAFETY: an all-zero sigset_t is a valid place for sigemptyset(3) to fill, and sigprocmask(2)
    // only reads it; the old set is not asked for.
    let answer = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    };
    check("sigprocmask", answer.into()).map(drop)
}

/// Arguments or environment of a program, checked to hold no NUL and ready for execve(2).
#[derive(Debug)]
pub struct Strings(Vec<CString>);

impl Strings {
    /// EINVAL if one holds a NUL.
    pub fn new<S: AsRef<[u8]>>(strings: impl IntoIterator<Item = S>) -> Result<Self> {
        let strings = strings.into_iter().map(|s| CString::new(s.as_ref()));
        strings
            .collect::<std::result::Result<_, _>>()
            .map(Self)
            .map_err(|_| Error {
                call: "execve",
                errno: Errno::INVAL,
            })
    }

    fn pointers(&self) -> Vec<*const libc::c_char> {
        self.0
            .iter()
            .map(|s| s.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    }
}

/// Becomes another program. Returns only to say why it could not.
pub fn execute(program: &CStr, arguments: &Strings, environment: &Strings) -> Result<Infallible> {
    let (argv, envp) = (arguments.pointers(), environment.pointers());
    // SAFETY: `program` and every string are NUL-terminated, both lists end with a null pointer,
    // and all of them live until the call returns, which it does only without having read on.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Err(Error {
        call: "execve",
        errno: Errno::last(),
    })
}

/// Becomes the program a descriptor names. Returns only to say why it could not.
pub fn execute_fd(
    program: BorrowedFd<'_>,
    arguments: &Strings,
    environment: &Strings,
) -> Result<Infallible> {
    let (argv, envp) = (arguments.pointers(), environment.pointers());
    // SAFETY: as in `execute`; the path is an empty string, which AT_EMPTY_PATH allows.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    Err(Error {
        call: "execveat",
        errno: Errno::last(),
    })
}

/// Whether this process, with its effective ids, may execute the file. A filter from before
/// faccessat2(2) was may forbid to ask: then any x in the file's mode is enough, and execve(2) says
/// the rest.
pub fn may_execute(path: &Path) -> Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, Mode, accessat, stat};
    let answer = retry(|| accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS));
    if !matches!(
        answer,
        Err(rustix::io::Errno::PERM | rustix::io::Errno::NOSYS)
    ) {
        return answer.named("faccessat2");
    }
    let mode = Mode::from_raw_mode(stat(path).named("stat")?.st_mode);
    match mode.intersects(Mode::XUSR | Mode::XGRP | Mode::XOTH) {
        true => Ok(()),
        false => Err(rustix::io::Errno::ACCESS).named("faccessat2"),
    }
}

/// Waits for any input, hang-up or the end of this many milliseconds.
pub fn wait_readable(fd: impl AsFd) -> Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    retry(|| poll(&mut [PollFd::new(&fd, PollFlags::IN)], None))
        .named("poll")
        .map(drop)
}

/// The same of two; whether the first has something. It is asked first.
pub fn wait_readable_of(first: impl AsFd, second: impl AsFd) -> Result<bool> {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut both = [
        PollFd::new(&first, PollFlags::IN),
        PollFd::new(&second, PollFlags::IN),
    ];
    retry(|| poll(&mut both, None)).named("poll")?;
    Ok(!both[0].revents().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_closed_in_copies_only() {
        let error = close_all_but(3, &[]).unwrap_err();
        assert_eq!((error.call, error.errno), ("close_range", Errno::PERM));
    }
}
