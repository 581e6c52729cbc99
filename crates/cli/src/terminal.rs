//! The caller's terminal, made raw while a container has it and given back on every way out: the
//! guard's drop, a panic, a signal that ends the client.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};

use sys::term::{self, Settings};

/// The settings to put back. A static because a panic hook has nothing else to find them by; a
/// plain mutex because it is held for the length of a system call.
static SAVED: Mutex<Option<Settings>> = Mutex::new(None);

/// Standard input is raw while this lives.
#[derive(Debug)]
pub(crate) struct Raw(());

impl Raw {
    /// Makes standard input raw; it must be a terminal.
    pub(crate) fn enter() -> io::Result<Self> {
        let settings = term::make_raw(io::stdin())?;
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        give_back();
    }
}

/// Puts the terminal's settings back, once.
fn give_back() {
    let settings = SAVED.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(settings) = settings {
        // The terminal may be gone; then there is nothing to put back.
        let _ = term::restore(io::stdin(), &settings);
    }
}

/// Whether standard input is a terminal.
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// Rows and columns of the terminal that shows the output.
pub(crate) fn window() -> Option<(u16, u16)> {
    term::window_size(io::stdout())
        .ok()
        .filter(|(rows, columns)| *rows != 0 || *columns != 0)
}

/// Rows and columns of the terminal that shows what happens.
pub(crate) fn error_window() -> Option<(u16, u16)> {
    term::window_size(io::stderr())
        .ok()
        .filter(|(rows, columns)| *rows != 0 && *columns != 0)
}

/// A line that a person types, without its end; none when they gave up. It is echoed when `shown`.
pub(crate) fn line(shown: bool) -> io::Result<Option<String>> {
    if shown {
        let mut text = String::new();
        let length = io::stdin().read_line(&mut text)?;
        return Ok((length > 0).then(|| text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    let typed = {
        let _raw = Raw::enter()?;
        hidden(&mut io::stdin().lock())
    };
    // The end of the line was not echoed either.
    crate::print::complain("");
    typed
}

/// Keys up to the end of the line.
fn hidden(keys: &mut impl io::Read) -> io::Result<Option<String>> {
    const BACKSPACE: [u8; 2] = [0x08, 0x7f];
    let mut line = Vec::new();
    let mut key = [0];
    loop {
        if keys.read(&mut key)? == 0 {
            return Ok(None);
        }
        match key[0] {
            b'\r' | b'\n' => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            // Ctrl-C, and Ctrl-D where nothing stands.
            0x03 => return Ok(None),
            0x04 if line.is_empty() => return Ok(None),
            key if BACKSPACE.contains(&key) => {
                line.pop();
            }
            key => line.push(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_lines_can_be_corrected_and_given_up() {
        let typed = |keys: &str| hidden(&mut keys.as_bytes()).unwrap();
        assert_eq!(typed("secrex\x7ft\r").as_deref(), Some("secret"));
        assert_eq!(typed("sec\x03\r"), None);
        assert_eq!(typed("\x04"), None);
        assert_eq!(typed("never ended"), None);
    }
}
