//! The one place where a failed build becomes a status of gRPC.

use builder::buildkit::error;
use builder::solve::Failure;
use buildkit::Any;
use prost::Message as _;
use tonic::{Code, Status};
use types::ErrorKind;

/// A failure with what clients draw it from.
pub(super) fn status(failure: &Failure) -> Status {
    let mut details = Vec::new();
    if let Some(vertex) = &failure.vertex {
        details.push(error::vertex(&vertex.to_string()));
    }
    if let Some((source, spans)) = &failure.place {
        details.push(error::source(source, spans));
    }
    let code = match failure.cancelled {
        true => Code::Cancelled,
        false => code(failure.kind()),
    };
    detailed(code, &failure.message, details)
}

/// A status with details.
pub(super) fn detailed(code: Code, message: &str, details: Vec<Any>) -> Status {
    if details.is_empty() {
        return Status::new(code, message);
    }
    let number: i32 = code.into();
    let all = buildkit::Status {
        code: number,
        message: message.to_owned(),
        details,
    };
    Status::with_details(code, message, all.encode_to_vec().into())
}

/// What a client gives back that it was given.
pub(super) fn given_back(status: buildkit::Status) -> Status {
    let code = Code::from_i32(status.code);
    detailed(code, &status.message, status.details)
}

fn code(kind: ErrorKind) -> Code {
    match kind {
        // Clients show other codes in front of the sentence.
        ErrorKind::Unavailable => Code::Unavailable,
        _ => Code::Unknown,
    }
}
