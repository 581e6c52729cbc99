//! Whether what needs the machine's root may be left out.

use std::path::Path;

/// Whether a container may go without a cgroup where none may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rootless {
    /// It must have one.
    No,
    /// It may go without.
    Yes,
    /// It may if the caller is not the machine's root.
    #[default]
    Auto,
}

impl Rootless {
    /// What it comes to for the caller.
    pub fn holds(self) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::Auto => sys::process::user() != 0 || in_user_namespace(),
        }
    }
}

/// The first user namespace maps every id to itself (user_namespaces(7)).
fn in_user_namespace() -> bool {
    let map = sys::fd::open_read(Path::new("/proc/self/uid_map"))
        .and_then(|file| sys::fd::read_to_end(file, 256));
    // A kernel without user namespaces has no such file, and nothing is in one.
    map.is_ok_and(|map| !maps_all(&map))
}

fn maps_all(map: &[u8]) -> bool {
    let text = String::from_utf8_lossy(map);
    let fields: Vec<_> = text.split_ascii_whitespace().collect();
    fields == ["0", "0", "4294967295"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_namespace_maps_all_ids() {
        assert!(maps_all(b"         0          0 4294967295\n"));
        assert!(!maps_all(b"         0       1000          1\n"));
        assert!(!maps_all(b"0 0 65536\n65536 65536 1\n"));
    }
}
