//! Pseudo-terminals (pty(7)) made in a devpts that somebody else mounted.

use std::os::fd::{AsFd, OwnedFd};

use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, OutputModes, Winsize};

use crate::error::{Errno, Error, Named, Result};
use crate::root::Root;

/// Both ends of a new terminal.
#[derive(Debug)]
pub struct Terminal {
    /// The end whoever shows the terminal holds.
    pub master: OwnedFd,
    /// The end that is the terminal of programs.
    pub slave: OwnedFd,
}

/// The super block magic of devpts (statfs(2)).
const DEVPTS: u64 = 0x1cd1;

impl Terminal {
    /// Makes a terminal in the devpts at `/dev/pts` inside `root`.
    ///
    /// Whoever owns the root may have put anything there, so what is opened must prove to be the
    /// kernel's multiplexer, and the other end is asked from it and never looked up by name.
    pub fn open(root: &Root) -> Result<Self> {
        let no_terminal = Error {
            call: "openat2",
            errno: Errno(libc::ENODEV),
        };
        let master = root.open_read_write("dev/pts/ptmx")?;
        let stat = rustix::fs::fstat(&master).named("fstat")?;
        let is_multiplexer = stat.st_rdev == rustix::fs::makedev(5, 2)
            && crate::root::file_system_magic(&master)? == DEVPTS;
        if !is_multiplexer {
            return Err(no_terminal);
        }
        rustix::pty::unlockpt(&master).named("unlockpt")?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).named("ioctl TIOCGPTPEER")?;
        Ok(Self { master, slave })
    }
}

/// Sets rows and columns; the foreground processes get SIGWINCH.
pub fn set_size(terminal: impl AsFd, rows: u16, columns: u16) -> Result<()> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(terminal, size).named("ioctl TIOCSWINSZ")
}

/// Rows and columns.
pub fn size(terminal: impl AsFd) -> Result<[u16; 2]> {
    let size = rustix::termios::tcgetwinsize(terminal).named("ioctl TIOCGWINSZ")?;
    Ok([size.ws_row, size.ws_col])
}

/// Shows ends of lines as programs write them, without a carriage return before each (termios(3),
/// ONLCR).
pub fn leave_line_ends(terminal: impl AsFd) -> Result<()> {
    let mut settings = rustix::termios::tcgetattr(&terminal).named("ioctl TCGETS")?;
    settings.output_modes.remove(OutputModes::ONLCR);
    rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &settings).named("ioctl TCSETS")
}

/// Makes the terminal that of the calling process, a session leader without one.
pub fn make_controlling(terminal: impl AsFd) -> Result<()> {
    rustix::process::ioctl_tiocsctty(terminal).named("ioctl TIOCSCTTY")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::mount::tests::with_own_mounts;
    use crate::mount::{Attributes, file_system};

    #[test]
    fn a_terminal_is_made_in_the_given_root_only() {
        with_own_mounts(|dir| {
            let pts = dir.join("dev/pts");
            fs::create_dir_all(&pts).unwrap();
            let root = Root::open(dir).unwrap();
            let devpts = file_system(
                "devpts",
                None,
                &[("newinstance", None)],
                Attributes::empty(),
            );
            devpts
                .unwrap()
                .attach(crate::fd::open_path(&pts).unwrap())
                .unwrap();
            let terminal = Terminal::open(&root).unwrap();
            set_size(&terminal.master, 10, 20).unwrap();
            assert_eq!(size(&terminal.slave).unwrap(), [10, 20]);
            assert!(pts.join("0").exists());
        });
    }

    #[test]
    fn a_false_multiplexer_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        fs::create_dir_all(dir.path().join("dev/pts")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("dev/pts/ptmx")).unwrap();
        assert!(Terminal::open(&root).is_err());
        fs::remove_file(dir.path().join("dev/pts/ptmx")).unwrap();
        fs::File::create(dir.path().join("dev/pts/ptmx")).unwrap();
        assert_eq!(
            Terminal::open(&root).unwrap_err().errno,
            Errno(libc::ENODEV)
        );
    }
}
