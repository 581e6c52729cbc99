//! How many requests with an end are under way: shutting down waits for them, and not for those
//! that would go on for ever (`wait`, `logs --follow`).

use std::sync::Arc;

use tokio::sync::watch;

/// Counts.
#[derive(Debug, Clone)]
pub(crate) struct Counter(Arc<watch::Sender<usize>>);

/// One request under way.
#[derive(Debug)]
pub(crate) struct Busy(Arc<watch::Sender<usize>>);

impl Counter {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Counts one until it is dropped.
    pub(crate) fn enter(&self) -> Busy {
        self.0.send_modify(|count| *count += 1);
        Busy(self.0.clone())
    }

    /// Whether none is under way.
    pub(crate) fn is_idle(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Tells when one begins or ends.
    pub(crate) fn changes(&self) -> watch::Receiver<usize> {
        self.0.subscribe()
    }

    /// Until none is under way.
    pub(crate) async fn idle(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
