//! New processes without fork(2): the child borrows this process' memory (CLONE_VM) and its parent
//! thread sleeps until execve(2) (CLONE_VFORK), so that the cost does not grow with our memory.
//!
//! As posix_spawn(3), with what that one lacks: a pidfd, a session or a foreground process group of
//! its own, a signal for the parent's death, and no descriptor inherited by accident.
//!
//! # Rules of the child
//!
//! Between clone(2) and execve(2) it runs on its own stack in the parent's memory. It makes system
//! calls only: no allocation, no lock, no panic, nothing that a signal handler could not do. All it
//! needs was made before.

#![allow(unsafe_code, reason = "clone(2) has no safe binding")]

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::{c_char, c_int, c_void};

use rustix::process::WaitOptions;

use crate::error::{Errno, Error, Named, Result, retry};
use crate::fd;
use crate::pidfd::Exit;

/// What to run, and as what.
#[derive(Debug)]
pub struct Spawn<'a> {
    candidates: Vec<CString>,
    opened: Option<BorrowedFd<'a>>,
    args: Vec<CString>,
    env: Vec<CString>,
    fds: Vec<BorrowedFd<'a>>,
    dir: Option<CString>,
    group: Group,
    parent_death_signal: Option<types::Signal>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Inherited,
    Session,
    Foreground,
}

/// A process that was started.
#[derive(Debug)]
pub struct Child {
    /// Its pid.
    pub pid: i32,
    /// A descriptor of it, closed on execve(2).
    pub pidfd: OwnedFd,
}

impl<'a> Spawn<'a> {
    /// The program in this file, with `args` from `argv[0]` on, an empty environment and
    /// descriptors 0 to 2 as the caller's.
    pub fn new<S: AsRef<OsStr>>(program: &Path, args: impl IntoIterator<Item = S>) -> Result<Self> {
        Ok(Self {
            candidates: vec![c_string(program)?],
            opened: None,
            args: c_strings(args)?,
            env: Vec::new(),
            fds: Vec::new(),
            dir: None,
            group: Group::Inherited,
            parent_death_signal: None,
        })
    }

    /// The program that `name` means on `path`, a list of directories as in `$PATH`. A name with a
    /// slash in it is a path.
    pub fn search<S: AsRef<OsStr>>(
        name: &OsStr,
        path: &OsStr,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let mut spawn = Self::new(Path::new(name), args)?;
        if !name.as_bytes().contains(&b'/') {
            let dirs = path.as_bytes().split(|b| *b == b':').map(OsStr::from_bytes);
            spawn.candidates = dirs
                // An empty entry means the working directory.
                .map(|dir| {
                    if dir.is_empty() {
                        Path::new(".")
                    } else {
                        Path::new(dir)
                    }
                })
                .map(|dir| c_string(dir.join(name)))
                .collect::<Result<_>>()?;
        }
        Ok(spawn)
    }

    /// Executes the program this descriptor names, and not what the path leads to by now.
    #[must_use]
    pub fn opened(mut self, program: BorrowedFd<'a>) -> Self {
        self.opened = Some(program);
        self
    }

    /// The environment, entries as `NAME=value`.
    pub fn env<S: AsRef<OsStr>>(mut self, entries: impl IntoIterator<Item = S>) -> Result<Self> {
        self.env = c_strings(entries)?;
        Ok(self)
    }

    /// The descriptors the program gets, as 0, 1, 2, 3 and so on. It gets no other.
    #[must_use]
    pub fn fds(mut self, fds: &[BorrowedFd<'a>]) -> Self {
        self.fds = fds.to_vec();
        self
    }

    /// The working directory.
    pub fn dir(mut self, dir: &Path) -> Result<Self> {
        self.dir = Some(c_string(dir)?);
        Ok(self)
    }

    /// In a session of its own: no terminal, no process group of ours.
    #[must_use]
    pub fn session(mut self) -> Self {
        self.group = Group::Session;
        self
    }

    /// In a process group of its own, in the foreground of the terminal on descriptor 0, if one is
    /// there.
    #[must_use]
    pub fn foreground(mut self) -> Self {
        self.group = Group::Foreground;
        self
    }

    /// What the kernel sends to it when the calling thread dies.
    #[must_use]
    pub fn parent_death_signal(mut self, signal: types::Signal) -> Self {
        self.parent_death_signal = Some(signal);
        self
    }

    /// Starts it, and returns when the program has been executed or could not be. Its signal mask
    /// is empty and its signals have their default dispositions.
    pub fn spawn(&self) -> Result<Child> {
        // Held until execve(2): the child writes its failure here.
        let mut task = Task::new(self)?;
        let mask = Blocked::all();
        let started = clone_vfork(&mut task);
        drop(mask);
        let child = started?;
        match task.failure {
            None => Ok(child),
            Some(failure) => {
                // It has exited already; nobody else knows of it, so nobody else reaps it.
                let _ = crate::pidfd::wait(&child.pidfd);
                Err(failure)
            }
        }
    }
}

fn c_string(text: impl AsRef<OsStr>) -> Result<CString> {
    CString::new(text.as_ref().as_bytes()).map_err(|_| Error {
        call: "execve",
        errno: Errno::INVAL,
    })
}

fn c_strings<S: AsRef<OsStr>>(texts: impl IntoIterator<Item = S>) -> Result<Vec<CString>> {
    texts.into_iter().map(c_string).collect()
}

/// Everything the child reads, and the one thing it writes.
struct Task<'a> {
    candidates: &'a [CString],
    opened: Option<OwnedFd>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    fds: Vec<OwnedFd>,
    dir: Option<&'a CStr>,
    group: Group,
    parent_death_signal: c_int,
    failure: Option<Error>,
}

impl<'a> Task<'a> {
    fn new(spawn: &'a Spawn<'_>) -> Result<Self> {
        if spawn.args.is_empty() || spawn.candidates.is_empty() {
            return Err(Error {
                call: "execve",
                errno: Errno::NOENT,
            });
        }
        Ok(Self {
            candidates: &spawn.candidates,
            opened: above(spawn.opened.as_slice(), spawn.fds.len())?.pop(),
            argv: pointers(&spawn.args),
            envp: pointers(&spawn.env),
            fds: above(&spawn.fds, spawn.fds.len())?,
            dir: spawn.dir.as_deref(),
            group: spawn.group,
            parent_death_signal: spawn.parent_death_signal.map_or(0, types::Signal::number),
            failure: None,
        })
    }
}

/// Copies that lie above every place, so that placing one never overwrites another.
fn above(fds: &[BorrowedFd<'_>], places: usize) -> Result<Vec<OwnedFd>> {
    let places = RawFd::try_from(places).unwrap_or(RawFd::MAX);
    fds.iter()
        .map(|fd| fd::duplicate_from(fd, places))
        .collect()
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

/// All signals blocked for this thread, as before when dropped: a handler that ran in the child
/// would run in the parent's memory.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn all() -> Self {
        // SAFETY: sigset_t is an array of integers, for which zeros are a value; the calls write
        // within the sets they are given.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            Self(before)
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is the one pthread_sigmask(3) gave us.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

/// Bytes of the child's stack: a few frames of system call wrappers.
const STACK: usize = 32 * 1024;

fn clone_vfork(task: &mut Task<'_>) -> Result<Child> {
    let mut stack = Stack::new()?;
    let mut pidfd: RawFd = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let argument: *mut c_void = std::ptr::from_mut(task).cast();
    // SAFETY: `child` obeys the rules of the child (module documentation). `stack` and `task` are
    // not touched here before clone(2) returns, which CLONE_VFORK delays until the child has left
    // this memory; with CLONE_PIDFD the fifth argument is where the descriptor is stored.
    let pid = unsafe {
        libc::clone(
            child,
            stack.top(),
            flags,
            argument,
            std::ptr::from_mut(&mut pidfd),
        )
    };
    if pid < 0 {
        return Err(Error {
            call: "clone",
            errno: Errno::last(),
        });
    }
    // SAFETY: the kernel has just stored this descriptor for us; nobody else has it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid, pidfd })
}

struct Stack(Vec<u128>);

impl Stack {
    fn new() -> Result<Self> {
        let mut memory = Vec::new();
        memory
            .try_reserve_exact(STACK / size_of::<u128>())
            .map_err(|_| Error {
                call: "clone",
                errno: Errno(libc::ENOMEM),
            })?;
        Ok(Self(memory))
    }

    /// Stacks grow downwards; a `u128` is aligned to the 16 bytes the ABI asks for.
    fn top(&mut self) -> *mut c_void {
        self.0.spare_capacity_mut().as_mut_ptr_range().end.cast()
    }
}

extern "C" fn child(argument: *mut c_void) -> c_int {
    // SAFETY: `clone_vfork` passes its `Task`, which it does not touch while the child runs.
    let task = unsafe { &mut *argument.cast::<Task<'_>>() };
    task.failure = Some(run(task));
    // SAFETY: _exit(2) runs no handler and flushes no buffer of the parent.
    unsafe { libc::_exit(127) }
}

/// Comes back only with a failure.
fn run(task: &Task<'_>) -> Error {
    reset_signals();
    let prepared = place_descriptors(task).and_then(|()| place_process(task));
    if let Err(failure) = prepared {
        return failure;
    }
    // Last: until here no signal may run anything in the parent's memory. No handler is left.
    unblock_signals();
    execute(task)
}

/// Every signal gets its default disposition, an ignored one too.
fn reset_signals() {
    // The kernel's own `struct sigaction`: zeros mean SIG_DFL, no flags, an empty mask.
    let default = [0_u64; 4];
    for number in 1..=64_i64 {
        // SAFETY: the dispositions are the child's own, as CLONE_SIGHAND is not given. The raw call
        // leaves the C library's memory, which is the parent's, alone. SIGKILL and SIGSTOP are
        // refused, which changes nothing.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                default.as_ptr(),
                std::ptr::null::<u64>(),
                size_of::<u64>(),
            );
        }
    }
}

/// Until here no signal could run a handler in the parent's memory; now none is left.
fn unblock_signals() {
    let none = 0_u64;
    // SAFETY: the mask is the child's own, and the kernel's set has 64 bits.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null::<u64>(),
            size_of::<u64>(),
        );
    }
}

fn place_descriptors(task: &Task<'_>) -> Result<()> {
    let mut first_other = 3;
    if !task.fds.is_empty() {
        first_other = 0;
        for fd in &task.fds {
            // SAFETY: the table is the child's own, as CLONE_FILES is not given; the sources all
            // lie above the places, so none is overwritten before its turn.
            if unsafe { libc::dup2(fd.as_raw_fd(), first_other) } < 0 {
                return Err(Error {
                    call: "dup2",
                    errno: Errno::last(),
                });
            }
            first_other += 1;
        }
    }
    // SAFETY: takes three integers. A kernel without it (before 5.11) leaves the other descriptors
    // as they are: closed on execve(2) wherever this crate opened them.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first_other,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
    Ok(())
}

fn place_process(task: &Task<'_>) -> Result<()> {
    match task.group {
        Group::Inherited => {}
        // SAFETY: takes no argument.
        Group::Session => must("setsid", unsafe { libc::setsid() })?,
        Group::Foreground => {
            // SAFETY: takes two integers.
            must("setpgid", unsafe { libc::setpgid(0, 0) })?;
            // SAFETY: takes two integers. SIGTTOU is blocked, so that a background group may do it;
            // without a terminal it fails, and nothing is lost.
            unsafe { libc::tcsetpgrp(0, libc::getpid()) };
        }
    }
    if task.parent_death_signal != 0 {
        // SAFETY: PR_SET_PDEATHSIG takes an integer.
        must("prctl", unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, task.parent_death_signal)
        })?;
    }
    if let Some(dir) = task.dir {
        // SAFETY: `dir` is a C string that outlives the child.
        must("chdir", unsafe { libc::chdir(dir.as_ptr()) })?;
    }
    Ok(())
}

fn must(call: &'static str, answer: c_int) -> Result<()> {
    if answer < 0 {
        Err(Error {
            call,
            errno: Errno::last(),
        })
    } else {
        Ok(())
    }
}

/// As execvp(3): the first candidate that can be executed; one that may not be is told of only if
/// no other is there.
fn execute(task: &Task<'_>) -> Error {
    if let Some(program) = &task.opened {
        return execute_opened(program.as_raw_fd(), task);
    }
    let mut answer = Errno::NOENT;
    for candidate in task.candidates {
        // SAFETY: path and both arrays are C strings, the arrays end with null, and all outlive the
        // child.
        unsafe { libc::execve(candidate.as_ptr(), task.argv.as_ptr(), task.envp.as_ptr()) };
        match Errno::last() {
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCES => answer = Errno::ACCES,
            other => {
                return Error {
                    call: "execve",
                    errno: other,
                };
            }
        }
    }
    Error {
        call: "execve",
        errno: answer,
    }
}

/// The descriptor that whoever started this process placed at `number`, which is none of the
/// standard ones. A second time there is none: EBADF.
///
/// What is inherited is what execve(2) left open, and so has no FD_CLOEXEC, which all that is opened
/// in this process has: what somebody here owns is EBADF too.
pub fn inherited(number: RawFd) -> Result<OwnedFd> {
    let refused = Error {
        call: "fcntl",
        errno: Errno(libc::EBADF),
    };
    // SAFETY: fcntl(2) with F_GETFD takes no memory and changes nothing.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if number < 3 || flags < 0 || flags & libc::FD_CLOEXEC != 0 {
        return Err(refused);
    }
    // SAFETY: nobody in this process owns the number, as was just seen, so closing it closes nothing
    // under an owner; the copy is new, and this is its only owner.
    unsafe {
        let copy = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        must("fcntl", copy)?;
        libc::close(number);
        Ok(OwnedFd::from_raw_fd(copy))
    }
}

fn execute_opened(program: RawFd, task: &Task<'_>) -> Error {
    // SAFETY: the path is an empty C string, which AT_EMPTY_PATH allows; both arrays are C strings,
    // end with null, and outlive the child.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            task.argv.as_ptr(),
            task.envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    Error {
        call: "execveat",
        errno: Errno::last(),
    }
}

/// The name this thread goes by in process listings: a program that was executed by a descriptor
/// goes by the descriptor's number otherwise.
pub fn set_own_name(name: &CStr) -> Result<()> {
    rustix::thread::set_name(name).named("prctl")
}

/// A child that has ended, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Its pid, free for reuse from now on.
    pub pid: i32,
    /// How it ended.
    pub exit: Exit,
}

/// Reaps the next child that has ended, whoever started it; `None` when none has.
pub fn reap_any() -> Result<Option<Reaped>> {
    match retry(|| rustix::process::wait(WaitOptions::NOHANG)) {
        Ok(Some((pid, status))) => {
            let signal = status.terminating_signal().map(Exit::Signal);
            let exit = status.exit_status().map(Exit::Code).or(signal);
            Ok(exit.map(|exit| Reaped {
                pid: pid.as_raw_nonzero().get(),
                exit,
            }))
        }
        Ok(None) | Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(errno) => Err(errno).named("wait4"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::fd;

    fn shell<'a>(script: &str) -> Spawn<'a> {
        Spawn::new(Path::new("/bin/sh"), ["sh", "-c", script]).unwrap()
    }

    fn output(spawn: Spawn<'_>, others: &[BorrowedFd<'_>]) -> (String, Exit) {
        let (read, write) = fd::pipe().unwrap();
        let null = fd::open_read(Path::new("/dev/null")).unwrap();
        let mut fds = vec![null.as_fd(), write.as_fd(), write.as_fd()];
        fds.extend_from_slice(others);
        let child = Spawn { fds, ..spawn }.spawn().unwrap();
        drop(write);
        let text = fd::read_to_end(&read, 1 << 20).unwrap();
        (
            String::from_utf8(text).unwrap(),
            crate::pidfd::wait(&child.pidfd).unwrap(),
        )
    }

    #[test]
    fn a_program_gets_its_arguments_environment_and_directory() {
        let spawn = Spawn::new(
            Path::new("/bin/sh"),
            ["sh", "-c", "echo $1 $X; pwd; exit 7", "-", "arg"],
        )
        .unwrap()
        .env(["X=value"])
        .unwrap()
        .dir(Path::new("/proc"))
        .unwrap();
        assert_eq!(
            output(spawn, &[]),
            ("arg value\n/proc\n".into(), Exit::Code(7))
        );
    }

    #[test]
    fn a_program_gets_no_other_descriptor_and_clean_signals() {
        let (kept, _write) = fd::pipe().unwrap();
        let leak = fd::open_read(Path::new("/dev/null")).unwrap();
        fd::set_close_on_exec(&leak, false).unwrap();
        let list = Spawn::new(Path::new("/bin/ls"), ["ls", "/proc/self/fd"]).unwrap();
        // It opens the directory it lists.
        let (text, _) = output(list, &[kept.as_fd()]);
        assert_eq!(text, "0\n1\n2\n3\n4\n");
        let cat = Spawn::new(Path::new("/bin/cat"), ["cat", "/proc/self/status"]).unwrap();
        let (text, _) = output(cat, &[]);
        for name in ["SigBlk", "SigIgn"] {
            assert!(
                text.contains(&format!("{name}:\t0000000000000000\n")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_session_is_its_own() {
        let (text, _) = output(
            shell("echo $$; cut -d' ' -f6 /proc/self/stat").session(),
            &[],
        );
        let (pid, session) = text.split_once('\n').unwrap();
        assert_eq!(pid, session.trim());
    }

    #[test]
    fn a_missing_program_is_the_spawners_failure() {
        let missing = Spawn::new(Path::new("/no/such"), ["x"])
            .unwrap()
            .spawn()
            .unwrap_err();
        assert_eq!(missing.to_string(), "execve: no such file or directory");
        let denied = Spawn::new(Path::new("/etc/passwd"), ["x"])
            .unwrap()
            .spawn()
            .unwrap_err();
        assert_eq!(denied.errno, Errno::ACCES);
        let path = OsStr::new("/no/dir:/usr/bin:/bin");
        let found = Spawn::search(OsStr::new("true"), path, ["true"])
            .unwrap()
            .spawn()
            .unwrap();
        assert_eq!(crate::pidfd::wait(&found.pidfd).unwrap(), Exit::Code(0));
        let lost = Spawn::search(OsStr::new("no-such"), path, ["x"])
            .unwrap()
            .spawn()
            .unwrap_err();
        assert_eq!(lost.errno, Errno::NOENT);
    }

    #[test]
    fn an_opened_program_is_executed_whatever_its_path_leads_to() {
        let program = fd::open_path(Path::new("/bin/sh")).unwrap();
        let spawn = Spawn::new(Path::new("/no/such"), ["sh", "-c", "echo well"]).unwrap();
        let spawn = spawn.opened(program.as_fd());
        assert_eq!(output(spawn, &[]), ("well\n".into(), Exit::Code(0)));
    }

    #[test]
    fn descriptors_go_to_their_places_even_crosswise() {
        let (read, write) = fd::pipe().unwrap();
        let (other_read, other_write) = fd::pipe().unwrap();
        fd::write_all(&other_write, b"crosswise").unwrap();
        drop(other_write);
        let child = shell("cat <&0 >&1")
            .fds(&[other_read.as_fd(), write.as_fd(), write.as_fd()])
            .spawn()
            .unwrap();
        drop(write);
        assert_eq!(fd::read_to_end(&read, 100).unwrap(), b"crosswise");
        crate::pidfd::wait(&child.pidfd).unwrap();
    }

    #[test]
    fn only_what_was_left_open_is_inherited() {
        let (read, _write) = fd::pipe().unwrap();
        let number = read.as_raw_fd();
        assert_eq!(inherited(number).unwrap_err().errno, Errno(libc::EBADF));
        assert_eq!(inherited(0).unwrap_err().errno, Errno(libc::EBADF));
        assert_eq!(inherited(1 << 20).unwrap_err().errno, Errno(libc::EBADF));
        fd::set_close_on_exec(&read, false).unwrap();
        // Given up by its owner, as by the one before execve(2).
        let given = std::os::fd::IntoRawFd::into_raw_fd(read);
        let taken = inherited(given).unwrap();
        assert_ne!(taken.as_raw_fd(), given);
        assert_eq!(inherited(given).unwrap_err().errno, Errno(libc::EBADF));
    }
}
