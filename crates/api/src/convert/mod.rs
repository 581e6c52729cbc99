//! Wire to domain and back. Nothing that a client sets is silently ignored: what this version does
//! not honour is refused by name, with what would be accepted.

mod auth;
mod block_io;
mod change;
mod create;
mod detach_keys;
mod devices;
mod echo;
mod health;
mod logs;
mod mounts;
mod namespaces;
mod network;
mod old_sysctls;
mod progress;
mod refuse;
mod resources;
mod secrets;
mod security;
mod state;
mod storage;
mod time;

use std::borrow::Cow;

use types::ErrorKind;

pub use auth::{decode_auth, encode_auth};
pub use change::{container_change, update_request};
pub use create::container_spec;
pub use detach_keys::detach_keys;
pub use echo::{create_request, host_config_shown, mount_points, network_mode_shown};
pub use health::{health_check_shown, health_shown};
pub use mounts::Mode;
pub use network::{endpoint_request, endpoint_settings, ipam, network_request, network_spec};
pub use old_sysctls::move_sysctls;
pub use progress::progress_bar;
pub use state::{container_state, exit_code, exit_words, state_name, status_text};
pub use time::{human_duration, parse_time, rfc3339};

/// Why a request is refused. Names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The value makes no sense.
    #[error("invalid {field}: {reason}")]
    Invalid {
        /// The field as the API names it.
        field: &'static str,
        /// What is wrong and what would be accepted.
        reason: String,
    },
    /// The same, in the words that Docker's clients know.
    #[error("{0}")]
    Said(String),
    /// It makes sense, but this version does not do it.
    #[error("{field} is not supported by this version of Brig: {instead}")]
    Unsupported {
        /// The field as the API names it.
        field: &'static str,
        /// What would be accepted.
        instead: Cow<'static, str>,
    },
}

impl Refusal {
    fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            reason: reason.into(),
        }
    }

    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::Said(_) => ErrorKind::Invalid,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }
}
