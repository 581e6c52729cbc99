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
