//! What a program leaves to the one that takes its place by execve(2): descriptors, and words about them.
#![allow(unsafe_code, reason = "descriptors are taken over by their numbers")]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use crate::error::{Errno, Error, Result};
use crate::fd;
use crate::passed::Passed;

/// The variable of the environment that tells of it.
pub const VARIABLE: &str = "BRIG_HANDOVER";

static PASSED: Passed = Passed::new(VARIABLE);

/// More than this is not believed, bytes.
const LONGEST: usize = 64 << 20;

/// Descriptors, and words in which they are named by their places.
#[derive(Debug, Default)]
pub struct Handover {
    /// The descriptors.
    pub fds: Vec<OwnedFd>,
    /// The words.
    pub words: Vec<u8>,
}

impl Handover {
    /// Makes it ready to be found by the program that this process executes next, in whose environment the answer,
    /// `NAME=value`, belongs. From here on the descriptors are inherited by whatever this process executes: nothing
    /// else may come before.
    pub fn pass_on(&self) -> Result<String> {
        let numbers: Vec<String> = self
            .fds
            .iter()
            .map(|fd| fd.as_raw_fd().to_string())
            .collect();
        let memory = fd::memory_file("handover")?;
        let head = format!("{}\n", numbers.join(" "));
        fd::write_all(&memory, &[head.as_bytes(), &self.words].concat())?;
        self.keep_open(true)?;
        PASSED.pass_on(memory, 0)
    }

    /// The program was not executed: nobody inherits them any more.
    pub fn take_back(&self) -> Result<()> {
        self.keep_open(false)
    }

    fn keep_open(&self, over_exec: bool) -> Result<()> {
        let mut all = self.fds.iter();
        all.try_for_each(|one| fd::set_close_on_exec(one.as_fd(), !over_exec))
    }

    /// What the program that was here before this one has left to it, once. Nothing may have been opened before.
    pub fn take() -> Result<Option<Self>> {
        let Some((memory, _)) = PASSED.take() else {
            return Ok(None);
        };
        let malformed = Error {
            call: "read what was handed over",
            errno: Errno::INVAL,
        };
        // From its beginning: it was written by the same descriptor.
        let text = fd::read_to_end(fd::open_read(&fd::proc_path(memory.as_fd()))?, LONGEST)?;
        let end = text.iter().position(|byte| *byte == b'\n');
        let (head, words) = text.split_at(end.ok_or(malformed)? + 1);
        let head = std::str::from_utf8(head).map_err(|_| malformed)?;
        let numbers = head.split_ascii_whitespace().map(str::parse::<i32>);
        let numbers: Vec<i32> = numbers
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| malformed)?;
        let mut fds = Vec::new();
        for number in numbers {
            if number <= 2 || std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_err()
            {
                return Err(malformed);
            }
            // SAFETY: `OwnedFd` wants an open descriptor that nobody else owns. It is open (just looked at); the
            // file that names it was passed by `Passed` from this very process to itself and is taken once, and
            // `pass_on` has written each number once, of descriptors that it owned.
            let taken = unsafe { OwnedFd::from_raw_fd(number) };
            fd::set_close_on_exec(&taken, true)?;
            fds.push(taken);
        }
        Ok(Some(Self {
            fds,
            words: words.to_vec(),
        }))
    }
}
