//! What a daemon does that has nothing to do: it lets go of memory that only work needs. Most of what it has is code, and
//! most of that is for a start.

use std::time::Duration;

use crate::busy::Counter;

/// After how long without a request it rests.
const REST: Duration = Duration::from_secs(5);

/// Goes on as long as there are requests to come.
pub(crate) async fn when_idle(busy: Counter) {
    let mut requests = busy.changes();
    loop {
        tokio::time::sleep(REST).await;
        if requests.has_changed().is_ok_and(|changed| changed) || !busy.is_idle() {
            requests.mark_unchanged();
            continue;
        }
        sys::memory::trim();
        if let Err(error) = sys::memory::release_code() {
            tracing::debug!("the program's code stays in memory: {error}");
        }
        if requests.changed().await.is_err() {
            return;
        }
    }
}
