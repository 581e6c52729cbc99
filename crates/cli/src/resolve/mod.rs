//! What was typed, made into what is meant. Pure: the environment, the working directory and the
//! files of the caller come in through [`Surroundings`], so every rule here is tested as text.

mod env;
mod health;
pub mod keys;
mod mounts;
mod namespaces;
mod network;
pub mod networks;
mod run;
mod secrets;
mod security;
pub mod time;

use std::io;
use std::path::PathBuf;

pub use env::environment;
pub use mounts::typed_mounts;
pub use run::{Attach, Pull, RunPlan, create, run};
pub(crate) use run::{MALFORMED_POLICY, restart_policy};

/// The caller's surroundings, as far as flags refer to them.
pub struct Surroundings<'a> {
    /// A variable of the environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a file named on the command line.
    pub read: &'a dyn Fn(&str) -> io::Result<String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Rows and columns of the terminal, if there is one.
    pub window: Option<(u16, u16)>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("cwd", &self.cwd)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Surroundings of a test: `HOME=/root`, files by name.
    pub(crate) fn with<T>(files: &[(&str, &str)], test: impl FnOnce(&Surroundings<'_>) -> T) -> T {
        let env = |name: &str| (name == "HOME").then(|| "/root".to_owned());
        let read = |path: &str| {
            files
                .iter()
                .find(|(name, _)| *name == path)
                .map(|(_, text)| (*text).to_owned())
                .ok_or_else(|| io::Error::from_raw_os_error(2))
        };
        test(&Surroundings {
            env: &env,
            read: &read,
            cwd: PathBuf::from("/home/me"),
            window: Some((24, 80)),
        })
    }
}
