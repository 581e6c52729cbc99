//! The time of day, for what is added and for what documents say.

use std::time::{SystemTime, UNIX_EPOCH};

use types::{Decimals, rfc3339};

/// Nanoseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Now, as images say when they were made.
pub(crate) fn rfc3339_now() -> String {
    rfc3339(now(), Decimals::Nine).to_string()
}
