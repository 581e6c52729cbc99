//! Root file systems to import, as scripts/images.sh made them.

use std::path::PathBuf;

use crate::programs::cache;

/// One static program under its many names. Small enough to import in each test.
///
/// Panics when it was not made.
pub fn busybox_tar() -> PathBuf {
    let path = cache().join("images/busybox.tar");
    assert!(
        path.exists(),
        "{} is missing: run scripts/images.sh test first",
        path.display()
    );
    path
}

/// A Debian with a web server. Says so when this machine has none.
pub fn debian_tar() -> Option<PathBuf> {
    let path = cache().join("images/debian.tar");
    let there = path.exists();
    if !there {
        eprintln!("SKIP: no Debian root file system (scripts/images.sh test)");
    }
    there.then_some(path)
}
