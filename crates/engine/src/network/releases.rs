//! What runs that have ended still have: it is let go of after their end is answered. Whoever needs it just then
//! waits for that, instead of being refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use types::ContainerId;

/// How long a release is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a run lets go of, each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Ports of the host.
    Ports,
    /// Addresses in networks.
    Addresses,
}

/// Whose ports and whose addresses are about to be free.
#[derive(Debug, Clone, Default)]
pub(crate) struct Releases(Arc<watch::Sender<UnderWay>>);

#[derive(Debug, Default)]
struct UnderWay {
    ports: BTreeSet<ContainerId>,
    addresses: BTreeSet<ContainerId>,
}

impl UnderWay {
    fn of(&self, held: Held) -> &BTreeSet<ContainerId> {
        match held {
            Held::Ports => &self.ports,
            Held::Addresses => &self.addresses,
        }
    }
}

/// One that is under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Release {
    releases: Releases,
    id: ContainerId,
}

impl Releases {
    /// Known before anybody is told that the run has ended.
    pub(crate) fn begin(&self, id: &ContainerId) -> Release {
        self.0.send_modify(|all| {
            all.ports.insert(id.clone());
            all.addresses.insert(id.clone());
        });
        Release {
            releases: self.clone(),
            id: id.clone(),
        }
    }

    /// Until the ports of a run that has ended are free, if it takes no longer than anybody should wait.
    pub(crate) async fn ports_free(&self, id: &ContainerId) {
        let mut all = self.0.subscribe();
        let free = all.wait_for(|all| !all.ports.contains(id));
        drop(tokio::time::timeout(PATIENCE, free).await);
    }

    /// Until all that is on its way now has been let go of; whether anything was.
    pub(crate) async fn settled(&self, held: Held) -> bool {
        let mut all = self.0.subscribe();
        let known = all.borrow().of(held).clone();
        if known.is_empty() {
            return false;
        }
        let free = all.wait_for(|all| all.of(held).is_disjoint(&known));
        tokio::time::timeout(PATIENCE, free).await.is_ok()
    }
}

impl Release {
    /// The ports are free, the addresses not yet.
    pub(crate) fn ports_are_free(&self) {
        self.releases.0.send_modify(|all| {
            all.ports.remove(&self.id);
        });
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        self.releases.0.send_modify(|all| {
            all.ports.remove(&self.id);
            all.addresses.remove(&self.id);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_when_it_is_free() {
        let releases = Releases::default();
        let id = ContainerId::from_random([1; 32]);
        assert!(!releases.settled(Held::Ports).await);
        releases.ports_free(&id).await;
        let release = releases.begin(&id);
        let waiting = tokio::spawn({
            let releases = releases.clone();
            async move { releases.settled(Held::Ports).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        release.ports_are_free();
        assert!(waiting.await.unwrap());
        releases.ports_free(&id).await;
        let waiting = tokio::spawn({
            let releases = releases.clone();
            async move { releases.settled(Held::Addresses).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(release);
        assert!(waiting.await.unwrap());
    }
}
