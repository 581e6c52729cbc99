//! The caller's own terminal: raw mode and its size (termios(3), ioctl_tty(2)).

use std::io;
use std::os::fd::AsFd;

use rustix::termios::{self, OptionalActions, Termios};

/// A terminal's settings as they were, to be put back.
#[derive(Clone)]
pub struct Settings(Termios);

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Settings")
    }
}

/// Makes `fd` raw (no echo, no line editing, no signals from keys) and answers how it was.
///
/// # Errors
/// `fd` is no terminal.
pub fn make_raw(fd: impl AsFd) -> io::Result<Settings> {
    change(fd, Termios::make_raw)
}

/// The same, but what is written is still processed (OPOST), ends of lines above all.
///
/// # Errors
/// `fd` is no terminal.
pub fn make_input_raw(fd: impl AsFd) -> io::Result<Settings> {
    change(fd, |settings| {
        let output = settings.output_modes;
        settings.make_raw();
        settings.output_modes = output;
    })
}

fn change(fd: impl AsFd, how: impl Fn(&mut Termios)) -> io::Result<Settings> {
    let before = termios::tcgetattr(&fd)?;
    let mut after = before.clone();
    how(&mut after);
    set(&fd, &after)?;
    Ok(Settings(before))
}

/// Puts the settings back.
///
/// # Errors
/// `fd` is no terminal, or no longer.
pub fn restore(fd: impl AsFd, settings: &Settings) -> io::Result<()> {
    set(&fd, &settings.0)
}

/// Rows and columns.
///
/// # Errors
/// `fd` is no terminal.
pub fn window_size(fd: impl AsFd) -> io::Result<(u16, u16)> {
    let size = termios::tcgetwinsize(fd)?;
    Ok((size.ws_row, size.ws_col))
}

/// Whether the caller may do everything, as far as its user id says.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set(fd: &impl AsFd, settings: &Termios) -> io::Result<()> {
    loop {
        // DRAIN: what was written before the change is shown by the settings it was written for.
        match termios::tcsetattr(fd, OptionalActions::Drain, settings) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    fn terminal() -> (OwnedFd, OwnedFd) {
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
        (master, slave)
    }

    #[test]
    fn raw_mode_comes_and_goes() {
        let (_master, slave) = terminal();
        let echo = || {
            let modes = termios::tcgetattr(&slave).unwrap().local_modes;
            modes.contains(termios::LocalModes::ECHO)
        };
        let processes = || {
            let modes = termios::tcgetattr(&slave).unwrap().output_modes;
            modes.contains(termios::OutputModes::OPOST)
        };
        assert!(echo() && processes());
        let before = make_raw(&slave).unwrap();
        assert!(!echo() && !processes());
        restore(&slave, &before).unwrap();
        assert!(echo() && processes());
        make_input_raw(&slave).unwrap();
        assert!(!echo() && processes());
    }

    #[test]
    fn a_file_has_no_window() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(window_size(&file).is_err());
        assert!(make_raw(&file).is_err());
    }
}
