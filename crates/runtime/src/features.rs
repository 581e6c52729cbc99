//! What this runtime can do, as the specification's features document.

use serde_json::{Value, json};

use crate::mount_options;

/// The document.
pub fn features() -> Value {
    let namespaces = [
        "cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts",
    ];
    let capabilities: Vec<_> = sys::caps::NAMES
        .iter()
        .map(|name| format!("CAP_{name}"))
        .collect();
    let hooks = [
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
        "poststop",
    ];
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": crate::SPEC_VERSION,
        "hooks": hooks,
        "mountOptions": mount_options::KNOWN,
        "linux": {
            "namespaces": namespaces,
            "capabilities": capabilities,
            "cgroup": {"v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true},
            "seccomp": crate::seccomp::features(),
            "apparmor": {"enabled": true},
            "selinux": {"enabled": true},
            "intelRdt": {"enabled": true, "schemata": true, "monitoring": true},
            "memoryPolicy": {"modes": crate::parse::MODES, "flags": crate::parse::FLAGS},
            "netDevices": {"enabled": true},
            "mountExtensions": {"idmap": {"enabled": true}},
        },
        // By the name under which callers of runc look for it.
        "annotations": {"org.opencontainers.runc.checkpoint.enabled": "true"},
        "potentiallyUnsafeConfigAnnotations": ["org.systemd.property.", "org.criu.config"],
    })
}
