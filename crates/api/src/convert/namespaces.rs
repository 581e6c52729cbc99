//! Namespaces that a container shares.

use types::{NamespaceMode, Namespaces, UserNamespace};

use super::Refusal;
use crate::wire::HostConfig;

/// How Docker calls the kind of namespace, what was asked for, what may be.
struct Kind<'a> {
    name: &'static str,
    asked: &'a str,
    accepted: fn(&NamespaceMode) -> bool,
    /// Nothing where the sentence is the one that clients know.
    expected: &'static str,
}

pub(super) fn namespaces(host: &HostConfig) -> Result<Namespaces, Refusal> {
    use NamespaceMode as Mode;
    Ok(Namespaces {
        pid: read(&Kind {
            name: "PID",
            asked: &host.pid_mode,
            accepted: |mode| matches!(mode, Mode::Private | Mode::Host | Mode::Container(_)),
            expected: "",
        })?,
        ipc: read(&Kind {
            name: "IPC",
            asked: &host.ipc_mode,
            accepted: |_| true,
            expected: "",
        })?,
        uts: read(&Kind {
            name: "UTS",
            asked: &host.uts_mode,
            accepted: |mode| matches!(mode, Mode::Private | Mode::Host),
            expected: "",
        })?,
        cgroup: read(&Kind {
            name: "cgroup namespace",
            asked: &host.cgroupns_mode,
            accepted: |mode| matches!(mode, Mode::Private | Mode::Host),
            expected: "host or private",
        })?,
        user: user(&host.userns_mode)?,
    })
}

/// Beyond Docker's `host`, the modes of podman.
fn user(asked: &str) -> Result<UserNamespace, Refusal> {
    let asked = if asked == "default" { "" } else { asked };
    let refused = |why| Refusal::Said(format!("invalid user namespace mode: {why}"));
    UserNamespace::parse(asked).map_err(refused)
}

fn read(kind: &Kind<'_>) -> Result<NamespaceMode, Refusal> {
    // Clients of podman say `default` for nothing.
    let asked = match kind.asked {
        "default" => "",
        asked => asked,
    };
    let mode = NamespaceMode::parse(asked);
    let fits = |mode: &NamespaceMode| *mode == NamespaceMode::Default || (kind.accepted)(mode);
    mode.filter(fits).ok_or_else(|| {
        let invalid = format!("invalid {} mode: {}", kind.name, kind.asked);
        Refusal::Said(match kind.expected {
            "" => invalid,
            expected => format!("{invalid}: {expected} is expected"),
        })
    })
}

pub(super) fn show(namespaces: &Namespaces, host: &mut HostConfig) {
    host.pid_mode = namespaces.pid.to_string();
    host.ipc_mode = namespaces.ipc.to_string();
    host.uts_mode = namespaces.uts.to_string();
    host.cgroupns_mode = namespaces.cgroup.to_string();
    host.userns_mode = namespaces.user.to_string();
}
