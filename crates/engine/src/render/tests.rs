//! Whole configurations as text.

use super::*;
use crate::container::{Files, Resolved};
use types::{ContainerId, ContainerSpec, Signal};

pub(super) fn host() -> HostFacts {
    HostFacts {
        cgroups: sys::cgroup::Capabilities::default(),
        kernel: (6, 1),
        arch: "x86_64",
        last_capability: 40,
        bounding: u64::MAX,
        thermal_throttle: Vec::new(),
    }
}

pub(super) fn resolved() -> Resolved {
    Resolved {
        entrypoint: vec!["/bin/sh".to_owned()],
        command: vec!["-c".to_owned(), "true".to_owned()],
        env: vec!["A=b".to_owned()],
        working_dir: String::new(),
        user: String::new(),
        hostname: "box".to_owned(),
        labels: std::collections::BTreeMap::new(),
        stop_signal: Signal::TERM,
        stop_timeout: 10,
    }
}
