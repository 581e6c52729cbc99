//! The nftables table, which is as the model says or is put back.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use network::ruleset::{Change, Firewall, Ruleset, Watch};

use crate::failure::Failure;

/// What is heard is gathered for so long: who flushes one table flushes others too.
const GATHER: Duration = Duration::from_millis(50);

/// How long after it was put back it is put back again: at first, and when somebody insists.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Who has let it alone for so long does not insist.
const PEACE: Duration = Duration::from_secs(120);

/// The table, and what there is to tell that it is another.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    kernel: Option<Kernel>,
    /// When to look whether it is as it should be.
    look_at: Option<Instant>,
    /// When it was put back last, and how long it is left alone then.
    last: Option<Instant>,
    pause: Duration,
    pub(crate) restored: u64,
}

#[derive(Debug)]
struct Kernel {
    firewall: Firewall,
    watch: Watch,
}

impl Rules {
    /// What is readable when somebody has changed something.
    pub(crate) fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.kernel.as_ref().map(|kernel| kernel.watch.as_fd())
    }

    fn kernel(&mut self) -> Result<&mut Kernel, Failure> {
        let kernel = match self.kernel.take() {
            Some(kernel) => kernel,
            None => {
                let firewall = Firewall::open().map_err(Failure::of("reach nftables"))?;
                let watch = firewall.watch().map_err(Failure::of("watch nftables"))?;
                Kernel { firewall, watch }
            }
        };
        Ok(self.kernel.insert(kernel))
    }

    /// Puts the whole table in place.
    pub(crate) fn replace(&mut self, rules: &Ruleset) -> Result<(), Failure> {
        let kernel = self.kernel()?;
        let done = kernel.firewall.replace(rules);
        done.map_err(|error| Failure::new(error.kind(), crate::failure::chain(&error)))
    }

    /// Makes one change. Where the table is not as it should be, all of it is put in place.
    pub(crate) fn change(&mut self, before: &Ruleset, change: &Change) -> Result<(), Failure> {
        if self.kernel()?.firewall.change(before, change).is_ok() {
            return Ok(());
        }
        let mut after = before.clone();
        after.change(change);
        self.replace(&after)
    }

    /// Takes the table away.
    pub(crate) fn remove(&mut self, table: &str) -> Result<(), Failure> {
        let done = self.kernel()?.firewall.remove(table);
        done.map_err(Failure::of(format!(
            "remove the nftables table inet {table}"
        )))
    }

    /// Somebody has changed something.
    pub(crate) fn on_news(&mut self, rules: &Ruleset, now: Instant) {
        let Some(kernel) = &mut self.kernel else {
            return;
        };
        // What was lost may have been about us.
        if kernel.watch.drain(&rules.table).unwrap_or(true) {
            let earliest = self.last.map_or(now, |last| last + self.pause);
            self.look_at.get_or_insert((now + GATHER).max(earliest));
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.look_at
    }

    /// Puts the table back if it is due and not as it should be; what to write down about that.
    pub(crate) fn look(&mut self, rules: &Ruleset, now: Instant) -> Option<String> {
        if self.look_at.is_none_or(|at| at > now) {
            return None;
        }
        self.look_at = None;
        let kernel = self.kernel.as_mut()?;
        if kernel.firewall.matches(rules).unwrap_or(false) {
            return None;
        }
        // Not for ever against somebody who will not have it.
        let insists = self.last.is_some_and(|last| now < last + PEACE);
        self.pause = match insists {
            true => (self.pause * 2).min(LONGEST_PAUSE),
            false => FIRST_PAUSE,
        };
        self.last = Some(now);
        self.restored += 1;
        let table = &rules.table;
        Some(match self.replace(rules) {
            Ok(()) => format!("somebody changed the nftables table inet {table}: it is put back"),
            Err(failure) => {
                self.look_at = Some(now + self.pause);
                format!(
                    "the nftables table inet {table} cannot be put back: {}",
                    failure.message
                )
            }
        })
    }
}
