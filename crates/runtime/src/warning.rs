//! What the specification wants logged and not failed for. A library has no log: who calls it says
//! where the words go.

use std::sync::OnceLock;

static LISTENER: OnceLock<fn(&str)> = OnceLock::new();

/// Has every warning of this library handed to `listener`, one sentence each. Without one they are
/// dropped. Only the first call counts.
pub fn on_warning(listener: fn(&str)) {
    let _ = LISTENER.set(listener);
}

pub(crate) fn warn(words: impl FnOnce() -> String) {
    if let Some(listener) = LISTENER.get() {
        listener(&words());
    }
}
