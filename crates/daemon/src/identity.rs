//! The name by which this daemon tells itself from others: made once, kept under the data root.

use engine::Engine;

const FILE: &str = "engine-id";

/// Reads it, and makes it the first time. Without it clients lose nothing but a line of `info`.
pub(crate) fn read(engine: &Engine) -> String {
    let path = engine.config().data_root.join(FILE);
    if let Ok(id) = std::fs::read_to_string(&path) {
        return id.trim_end().to_owned();
    }
    let made = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    if let Err(error) = sys::file::replace(&path, made.as_bytes(), 0o644) {
        tracing::warn!(
            "cannot keep this daemon's id in {}: {error}",
            path.display()
        );
    }
    made.trim_end().to_owned()
}
