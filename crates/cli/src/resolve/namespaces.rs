//! `--pid`, `--ipc`, `--uts`, `--cgroupns`, `--userns`.

use types::{NamespaceMode, Namespaces, UserNamespace};

use crate::args::container::ContainerFlags;
use crate::error::CliError;

pub(super) fn namespaces(flags: &ContainerFlags) -> Result<Namespaces, CliError> {
    use NamespaceMode as Mode;
    Ok(Namespaces {
        pid: read(flags.pid.as_deref(), "--pid: invalid PID mode", |mode| {
            matches!(mode, Mode::Host | Mode::Container(_))
        })?,
        ipc: read(flags.ipc.as_deref(), "--ipc: invalid IPC mode", |_| true)?,
        uts: read(
            flags.uts.as_deref(),
            "--uts: invalid UTS mode",
            Mode::is_host,
        )?,
        cgroup: read(
            flags.cgroupns.as_deref(),
            "--cgroupns: invalid CGROUP mode",
            |mode| matches!(mode, Mode::Host | Mode::Private),
        )?,
        user: user(flags.userns.as_deref())?,
    })
}

fn user(text: Option<&str>) -> Result<UserNamespace, CliError> {
    let refused = |why| CliError::Invalid(format!("--userns: invalid USER mode: {why}"));
    UserNamespace::parse(text.unwrap_or_default()).map_err(refused)
}

fn read(
    text: Option<&str>,
    refusal: &str,
    accepted: fn(&NamespaceMode) -> bool,
) -> Result<NamespaceMode, CliError> {
    let mode = NamespaceMode::parse(text.unwrap_or_default());
    let fits = |mode: &NamespaceMode| *mode == NamespaceMode::Default || accepted(mode);
    mode.filter(fits)
        .ok_or_else(|| CliError::Invalid(refusal.to_owned()))
}
