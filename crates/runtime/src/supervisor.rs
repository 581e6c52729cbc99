//! Who decides about the calls that SCMP_ACT_NOTIFY names: an agent outside, which gets the filter's
//! listener (seccomp_unotify(2)) over its socket, with word of whose it is. Specification: "The
//! Container Process State".

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use oci_spec::runtime::{LinuxSeccomp, Spec};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Doing, Error};
use crate::hooks::HookState;
use crate::protocol::{FromInit, MakerEnd, ToInit};

/// How long an agent may take: to take the listener, and then to let a process come to its command,
/// every call of which may be the agent's to decide.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The agent's socket and what is passed on to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Supervisor {
    path: PathBuf,
    metadata: Option<String>,
}

/// A process under the filter, in the agent's eyes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supervised<'a> {
    /// The process: a container's first, or one that joined.
    pub(crate) pid: i32,
    pub(crate) pidfd: BorrowedFd<'a>,
    pub(crate) container: HookState<'a>,
    /// The container's, with its first process.
    pub(crate) status: &'static str,
    pub(crate) first: i32,
}

/// The specification's document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'a str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    state: Box<RawValue>,
}

impl Supervisor {
    /// Whom the configuration names, if anybody.
    pub(crate) fn named(seccomp: &LinuxSeccomp) -> Option<Self> {
        let path = seccomp.listener_path().clone();
        Some(Self {
            path: path.filter(|path| !path.as_os_str().is_empty())?,
            metadata: seccomp.listener_metadata().clone(),
        })
    }

    /// The same of a whole configuration.
    pub(crate) fn of(spec: &Spec) -> Option<Self> {
        Self::named(spec.linux().as_ref()?.seccomp().as_ref()?)
    }

    /// Answers `Listener` and `ListenerAt`: passes the listener on, then lets the process go on.
    pub(crate) fn serve(
        this: Option<&Self>,
        channel: &MakerEnd,
        (message, fds): (FromInit, Vec<OwnedFd>),
        whose: &Supervised<'_>,
    ) -> Result<(), Error> {
        let listener = match (message, fds.into_iter().next()) {
            (FromInit::Listener, Some(listener)) => listener,
            (FromInit::ListenerAt { number }, _) => sys::pidfd::descriptor(whose.pidfd, number)
                .doing(|| "take the filter's listener".to_owned())?,
            (message, _) => {
                let answer = format!("{message:?}");
                return Err(Error::Protocol { answer });
            }
        };
        let missing = || Error::invalid("linux.seccomp.listenerPath", "is not set");
        this.ok_or_else(missing)?.hand_over(&listener, whose)?;
        channel.send(ToInit::Continue)
    }

    /// Says that it took too long.
    pub(crate) fn silent(this: Option<&Self>) -> Error {
        Error::Undecided {
            path: this.map_or_else(String::new, |this| this.path.display().to_string()),
            seconds: PATIENCE.as_secs(),
        }
    }

    fn hand_over(&self, listener: &OwnedFd, whose: &Supervised<'_>) -> Result<(), Error> {
        let failed = |source| Error::Agent {
            path: self.path.display().to_string(),
            source,
        };
        let text = self.document(whose);
        let kind = sys::socket::Kind::Stream;
        let agent = sys::socket::connect_within(&self.path, kind, PATIENCE).map_err(failed)?;
        sys::socket::send_stream(agent, &text, &[listener.as_fd()]).map_err(failed)
    }

    fn document(&self, whose: &Supervised<'_>) -> Vec<u8> {
        let state = whose.container.json(whose.status, Some(whose.first));
        let state = String::from_utf8_lossy(&state).into_owned();
        let document = ProcessState {
            oci_version: whose.container.version,
            fds: ["seccompFd"],
            pid: whose.pid,
            metadata: self.metadata.as_deref(),
            // It is JSON: it has just been made.
            state: RawValue::from_string(state).unwrap_or_default(),
        };
        // Strings and numbers: there is nothing in it that could fail.
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_agent_is_told_whose_listener_it_is() {
        let supervisor = Supervisor {
            path: "/run/agent.sock".into(),
            metadata: Some("m".to_owned()),
        };
        let pidfd = sys::pidfd::open(i32::try_from(std::process::id()).unwrap()).unwrap();
        let container = HookState {
            version: "1.3.0",
            id: "web",
            bundle: Path::new("/b"),
            annotations: None,
        };
        let text = supervisor.document(&Supervised {
            pid: 7,
            pidfd: pidfd.as_fd(),
            container,
            status: "running",
            first: 5,
        });
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"ociVersion":"1.3.0","fds":["seccompFd"],"pid":7,"metadata":"m","state":{"ociVersion":"1.3.0","id":"web","status":"running","pid":5,"bundle":"/b"}}"#
        );
    }
}
