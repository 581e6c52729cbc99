//! x
pub mod cgroup;
pub mod term;
pub mod error;
pub mod event;
pub mod fd;
pub mod file;
pub mod pidfd;
pub mod process;
pub mod socket;
pub mod spawn;
