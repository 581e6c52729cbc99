//! What of a container needs no configuration, for callers who know the rest of it sooner.

use sys::cgroup::Layout;
use sys::mount::Mounted;
use types::Mount;

use crate::prepare;

/// The root's layers, mounted where nobody sees them, and the machine's cgroup hierarchies: together they
/// take as long as it takes to write a configuration.
#[derive(Debug, Default)]
pub struct Groundwork {
    root: Option<(Mount, Mounted)>,
    pub(crate) layout: Option<Layout>,
}

impl Groundwork {
    /// Looks up what every container needs. What cannot be found now is looked for by [`create`](crate::create),
    /// which says why.
    pub fn survey() -> Self {
        Self {
            root: None,
            layout: crate::cgroup::detect().ok(),
        }
    }

    /// Mounts the root of this container, if that can be done.
    pub fn lay(&mut self, rootfs: &[Mount]) {
        self.root = rootfs.first().and_then(|first| {
            let mounted = prepare::layers_ahead(first)?;
            Some((first.clone(), mounted))
        });
    }

    /// The layers of this very mount.
    pub(crate) fn take_root(&mut self, wanted: &Mount) -> Option<Mounted> {
        let (_, mounted) = self.root.take_if(|(known, _)| known == wanted)?;
        Some(mounted)
    }
}
