//! Which namespaces a container shares, and with whom.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::UserNamespace;

/// One namespace: the container's own, or somebody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamespaceMode {
    /// Nothing was said: its own.
    #[default]
    Default,
    /// Its own.
    Private,
    /// Its own, with memory that other containers may share (IPC only).
    Shareable,
    /// Its own, without any shared memory (IPC only).
    None,
    /// The host's.
    Host,
    /// That of another container, by id, name or prefix.
    Container(String),
}

impl NamespaceMode {
    /// Reads what flags and the API say; which of them a kind of namespace takes is for the caller to say.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" => Self::Default,
            "private" => Self::Private,
            "shareable" => Self::Shareable,
            "none" => Self::None,
            "host" => Self::Host,
            _ => match text.strip_prefix("container:") {
                Some(who) if !who.is_empty() => Self::Container(who.to_owned()),
                _ => return None,
            },
        })
    }

    /// Whether it is the host's.
    pub fn is_host(&self) -> bool {
        *self == Self::Host
    }

    /// The container whose it is.
    pub fn container(&self) -> Option<&str> {
        match self {
            Self::Container(who) => Some(who),
            _ => None,
        }
    }

    /// Whether nobody else has it but those who join it.
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Host | Self::Container(_))
    }
}

impl fmt::Display for NamespaceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "",
            Self::Private => "private",
            Self::Shareable => "shareable",
            Self::None => "none",
            Self::Host => "host",
            Self::Container(who) => return write!(f, "container:{who}"),
        })
    }
}

/// All of them but the network's, which has more to it, and that of mounts, which is always its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// Processes.
    pub pid: NamespaceMode,
    /// System V IPC, POSIX message queues, and `/dev/shm` with them.
    pub ipc: NamespaceMode,
    /// Host name and domain name.
    pub uts: NamespaceMode,
    /// The view of cgroups.
    pub cgroup: NamespaceMode,
    /// Users.
    pub user: UserNamespace,
}

impl Namespaces {
    /// Whether all are as if nothing was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_shown() {
        for text in ["", "private", "shareable", "none", "host", "container:web"] {
            assert_eq!(NamespaceMode::parse(text).unwrap().to_string(), text);
        }
        for text in ["container:", "hosts", "web"] {
            assert_eq!(NamespaceMode::parse(text), None, "{text}");
        }
    }
}
