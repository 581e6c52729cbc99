//! The kernel made safe: descriptors that are owned, calls that name themselves in their errors.
//!
//! The only crate with `unsafe`, with libc and with rustix. One module a mechanism, each a thin,
//! typed layer: takes `AsFd`, returns `OwnedFd`, splits the kernel's multiplexed calls, repeats what
//! a signal interrupted. Decides nothing: it knows no container, no image, no configuration file.
//!
//! Boundary types: [`Error`] and [`Errno`], and each module's own.

mod error;
mod passed;

pub mod activation;
pub mod ahead;
pub mod allocator;
pub mod aside;
pub mod caps;
pub mod cgroup;
pub mod clone;
pub mod copy;
pub mod dir;
pub mod disk;
pub mod early;
pub mod event;
pub mod exe;
pub mod fd;
pub mod file;
pub mod handover;
pub mod idmap;
pub mod inet;
pub mod inotify;
pub mod keyring;
pub mod link;
pub mod loopback;
pub mod memory;
pub mod mount;
pub mod netlink;
pub mod nft;
pub mod ns;
pub mod overlay;
pub mod overlay_mapped;
pub mod packet;
pub mod pidfd;
pub mod pin;
pub mod proc;
pub mod process;
pub mod pty;
pub mod quota;
pub mod random;
pub mod rlimit;
pub mod root;
pub mod sched;
pub mod seccomp;
pub mod socket;
pub mod spawn;
pub mod sysctl;
pub mod term;
pub mod xattr;

pub use error::{Errno, Error, Result};
