//! What a system call answered: its name and the errno, nothing about the object, which the caller
//! knows better.

use std::fmt;
use std::io;

/// The result of a system call.
pub type Result<T> = std::result::Result<T, Error>;

/// A system call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {errno}")]
pub struct Error {
    /// The call's name, as in section 2 of the manual.
    pub call: &'static str,
    /// Why.
    pub errno: Errno,
}

/// An error number (errno(3)). Its text is the C library's with a small first letter, so that it
/// can stand at the end of a sentence.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl Errno {
    /// Operation not permitted.
    pub const PERM: Self = Self(libc::EPERM);
    /// No such file or directory.
    pub const NOENT: Self = Self(libc::ENOENT);
    /// No such process.
    pub const SRCH: Self = Self(libc::ESRCH);
    /// Interrupted system call.
    pub const INTR: Self = Self(libc::EINTR);
    /// Exec format error.
    pub const NOEXEC: Self = Self(libc::ENOEXEC);
    /// Invalid cross-device link; of openat2(2) also a path that leads out of where it has to stay.
    pub const XDEV: Self = Self(libc::EXDEV);
    /// Input/output error.
    pub const IO: Self = Self(libc::EIO);
    /// No such device or address.
    pub const NXIO: Self = Self(libc::ENXIO);
    /// No child processes.
    pub const CHILD: Self = Self(libc::ECHILD);
    /// Cannot allocate memory.
    pub const NOMEM: Self = Self(libc::ENOMEM);
    /// Too many open files in the system.
    pub const NFILE: Self = Self(libc::ENFILE);
    /// Too many open files.
    pub const MFILE: Self = Self(libc::EMFILE);
    /// Resource temporarily unavailable.
    pub const AGAIN: Self = Self(libc::EAGAIN);
    /// Permission denied.
    pub const ACCES: Self = Self(libc::EACCES);
    /// Device or resource busy.
    pub const BUSY: Self = Self(libc::EBUSY);
    /// File exists.
    pub const EXIST: Self = Self(libc::EEXIST);
    /// No such device.
    pub const NODEV: Self = Self(libc::ENODEV);
    /// Not a directory.
    pub const NOTDIR: Self = Self(libc::ENOTDIR);
    /// File too large.
    pub const FBIG: Self = Self(libc::EFBIG);
    /// Is a directory.
    pub const ISDIR: Self = Self(libc::EISDIR);
    /// Invalid argument.
    pub const INVAL: Self = Self(libc::EINVAL);
    /// Inappropriate ioctl for device.
    pub const NOTTY: Self = Self(libc::ENOTTY);
    /// No space left on device.
    pub const NOSPC: Self = Self(libc::ENOSPC);
    /// Read-only file system.
    pub const ROFS: Self = Self(libc::EROFS);
    /// Connection reset by peer.
    pub const CONNRESET: Self = Self(libc::ECONNRESET);
    /// Address already in use.
    pub const ADDRINUSE: Self = Self(libc::EADDRINUSE);
    /// Cannot assign requested address.
    pub const ADDRNOTAVAIL: Self = Self(libc::EADDRNOTAVAIL);
    /// Protocol not supported.
    pub const PROTONOSUPPORT: Self = Self(libc::EPROTONOSUPPORT);
    /// Transport endpoint is not connected.
    pub const NOTCONN: Self = Self(libc::ENOTCONN);
    /// Connection refused.
    pub const CONNREFUSED: Self = Self(libc::ECONNREFUSED);
    /// Broken pipe.
    pub const PIPE: Self = Self(libc::EPIPE);
    /// Too many levels of symbolic links.
    pub const LOOP: Self = Self(libc::ELOOP);
    /// Function not implemented.
    pub const NOSYS: Self = Self(libc::ENOSYS);
    /// No data available.
    pub const NODATA: Self = Self(libc::ENODATA);
    /// A name or a path is too long.
    pub const NAMETOOLONG: Self = Self(libc::ENAMETOOLONG);
    /// Operation not supported.
    pub const OPNOTSUPP: Self = Self(libc::EOPNOTSUPP);
    /// Nobody speaks this protocol here.
    pub const AFNOSUPPORT: Self = Self(libc::EAFNOSUPPORT);

    /// Of the calling thread's last failed call made through the C library.
    pub fn last() -> Self {
        Self(
            io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        )
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::BUSY {
            // In the words that people search for, which are not those of every C library.
            return f.write_str("device or resource busy");
        }
        let text = io::Error::from_raw_os_error(self.0).to_string();
        let text = text
            .rsplit_once(" (os error")
            .map_or(text.as_str(), |(text, _)| text);
        let mut chars = text.chars();
        let (first, second) = (chars.next(), chars.clone().next());
        match first {
            // An acronym keeps its capitals: "RFS specific error".
            Some(c) if !second.is_some_and(char::is_uppercase) => {
                write!(f, "{}{}", c.to_ascii_lowercase(), chars.as_str())
            }
            _ => f.write_str(text),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self})", self.0)
    }
}

impl From<Error> for io::Error {
    /// Keeps the errno; the call's name is lost.
    fn from(error: Error) -> Self {
        Self::from_raw_os_error(error.errno.0)
    }
}

/// Gives a call's name to what it answered.
pub(crate) trait Named<T> {
    fn named(self, call: &'static str) -> Result<T>;
}

impl<T> Named<T> for rustix::io::Result<T> {
    fn named(self, call: &'static str) -> Result<T> {
        self.map_err(|errno| Error {
            call,
            errno: Errno(errno.raw_os_error()),
        })
    }
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, call: &'static str) -> Result<T> {
        self.map_err(|error| Error {
            call,
            errno: Errno(error.raw_os_error().unwrap_or(libc::EIO)),
        })
    }
}

/// Repeats a call that a signal interrupted.
pub(crate) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// The answer of a raw system call: negative means failure, and errno says why.
pub(crate) fn check(call: &'static str, answer: i64) -> Result<i64> {
    if answer < 0 {
        Err(Error {
            call,
            errno: Errno::last(),
        })
    } else {
        Ok(answer)
    }
}

/// Says that a test cannot run here, past the harness, which keeps to itself what is printed.
#[cfg(test)]
pub(crate) fn skip(reason: &str) {
    use io::Write;
    let _ = writeln!(io::stderr(), "{reason}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_the_end_of_a_sentence() {
        let error = Error {
            call: "openat2",
            errno: Errno::NOENT,
        };
        assert_eq!(error.to_string(), "openat2: no such file or directory");
    }
}
