//! Upgrades that clients ask for, and what came of them.
//!
//! Who asks cannot be answered by the daemon that is asked: it goes on only when nothing is under way any more. So it
//! is told a number, and looks until another instance of the program answers, or an upgrade with its number or a later
//! one has failed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use api::wire;
use tokio::sync::Notify;

/// What is asked for, and what failed.
#[derive(Debug)]
pub(crate) struct Upgrades {
    /// Another one each time that the program is executed.
    instance: String,
    program: PathBuf,
    // A std lock: held for a look, never across an await.
    told: Mutex<Told>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Told {
    asked: u64,
    failed: u64,
    error: String,
}

impl Upgrades {
    /// Those of a daemon that has just been executed, by the program that will take its place.
    pub(crate) fn new(program: PathBuf) -> sys::Result<Self> {
        let random: [u8; 4] = sys::random::bytes()?;
        Ok(Self {
            instance: format!("{:08x}", u32::from_be_bytes(random)),
            program,
            told: Mutex::default(),
            wake: Notify::new(),
        })
    }

    /// What takes the daemon's place.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // No code that could panic runs under it.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for one.
    pub(crate) fn ask(&self) -> wire::UpgradeState {
        self.told().asked += 1;
        self.wake.notify_one();
        self.state()
    }

    /// Until somebody asks for one.
    pub(crate) async fn asked(&self) {
        self.wake.notified().await;
    }

    /// All that has been asked for until now has failed.
    pub(crate) fn failed(&self, error: String) {
        let mut told = self.told();
        told.failed = told.asked;
        told.error = error;
    }

    /// How it stands.
    pub(crate) fn state(&self) -> wire::UpgradeState {
        let told = self.told();
        wire::UpgradeState {
            instance: self.instance.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            program: self.program.display().to_string(),
            asked: told.asked,
            failed: told.failed,
            error: told.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_hears_what_came_of_it() {
        let upgrades = Upgrades::new("/usr/bin/brigd".into()).unwrap();
        let first = upgrades.ask();
        assert_eq!((first.asked, first.failed), (1, 0));
        upgrades.asked().await;
        upgrades.failed("no room".to_owned());
        let second = upgrades.ask();
        assert_eq!((second.asked, second.failed), (2, 1));
        assert_eq!(second.error, "no room");
        assert_eq!(second.instance, first.instance);
    }
}
