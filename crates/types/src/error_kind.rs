//! What an error is about, and nothing else: the one classification that status codes, exit codes
//! and hints are derived from.

/// The class of an error. Every error of every crate answers `kind()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ErrorKind {
    /// The request itself is wrong: a flag, a field, a reference.
    Invalid,
    /// The named object does not exist.
    NotFound,
    /// The object exists or is in a state that does not allow this.
    Conflict,
    /// Nothing had to be done; Docker answers 304.
    NotModified,
    /// Who asks may not.
    Forbidden,
    /// Who asks has not said who they are.
    Unauthorized,
    /// It may work later.
    Unavailable,
    /// This version, machine or kernel cannot do it.
    Unsupported,
    /// The container's command exists but cannot be executed.
    NotExecutable,
    /// The container's command does not exist in its root.
    CommandNotFound,
    /// Anything that is our fault or the machine's.
    Internal,
}

impl ErrorKind {
    /// Every kind, for table tests.
    pub const ALL: [Self; 11] = [
        Self::Invalid,
        Self::NotFound,
        Self::Conflict,
        Self::NotModified,
        Self::Forbidden,
        Self::Unauthorized,
        Self::Unavailable,
        Self::Unsupported,
        Self::NotExecutable,
        Self::CommandNotFound,
        Self::Internal,
    ];

    /// The status Docker's API answers with.
    pub fn http_status(self) -> u16 {
        match self {
            Self::NotModified => 304,
            Self::Invalid | Self::NotExecutable | Self::CommandNotFound => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Internal => 500,
            Self::Unsupported => 501,
            Self::Unavailable => 503,
        }
    }

    /// The exit code of `run`, `start` and `exec` when no command of the container ran.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NotExecutable => 126,
            Self::CommandNotFound => 127,
            _ => 125,
        }
    }

    /// The code of gRPC (google.rpc.Code), for Kubernetes' CRI and BuildKit's protocols.
    pub fn grpc_code(self) -> u8 {
        match self {
            Self::Invalid | Self::NotExecutable | Self::CommandNotFound => 3,
            Self::NotFound => 5,
            Self::NotModified => 6,
            Self::Forbidden => 7,
            Self::Conflict => 9,
            Self::Unsupported => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Unauthorized => 16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_codes() {
        let table: Vec<_> = ErrorKind::ALL
            .iter()
            .map(|k| {
                format!(
                    "{k:?} {} {} {}",
                    k.http_status(),
                    k.exit_code(),
                    k.grpc_code()
                )
            })
            .collect();
        assert_eq!(
            table,
            [
                "Invalid 400 125 3",
                "NotFound 404 125 5",
                "Conflict 409 125 9",
                "NotModified 304 125 6",
                "Forbidden 403 125 7",
                "Unauthorized 401 125 16",
                "Unavailable 503 125 14",
                "Unsupported 501 125 12",
                "NotExecutable 400 126 3",
                "CommandNotFound 400 127 3",
                "Internal 500 125 13",
            ]
        );
    }
}
