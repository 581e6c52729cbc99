//! The one value by which storage and runtime speak to each other.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One mount(2) that somebody else will make. Storage emits them, the runtime consumes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The file system's type, `overlay` or `tmpfs`, or `bind`.
    pub kind: String,
    /// What is mounted: a device, a directory for `bind`, a label otherwise.
    pub source: PathBuf,
    /// Where, relative to the root being assembled; `/` is the root itself.
    pub target: PathBuf,
    /// Options as in fstab(5), without the file system's layer list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Directories below an overlay, the uppermost first. Kept apart from `options` because the
    /// kernel takes them one by one and a page of text is too short for many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lower: Vec<PathBuf>,
    /// The part of it that is mounted: a path that must not lead out of it, looked up when it is
    /// mounted. None is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subpath: Option<PathBuf>,
}
