//! `load`

use std::io::IsTerminal;
use std::os::fd::AsFd;

use api::client::Body;
use api::wire::Progress;
use types::ErrorKind;

use super::Context;
use crate::args::images::LoadArgs;
use crate::error::CliError;
use crate::print;

pub(super) async fn run(args: LoadArgs, context: Context) -> Result<u8, CliError> {
    let body = match args.input.as_deref().filter(|path| !path.is_empty()) {
        Some(path) => Body::reader(open(path).await?),
        None if std::io::stdin().is_terminal() => {
            return Err(CliError::Invalid(
                "requested load from stdin, but stdin is empty".to_owned(),
            ));
        }
        None => Body::reader(stdin()?),
    };
    context.daemon.connect().await?;
    let mut messages = context
        .daemon
        .client
        .image_load(body, args.quiet, &args.platform)
        .await?;
    while let Some(message) = messages.next().await? {
        if let Some(error) = failure(&message) {
            return Err(error);
        }
        if !message.stream.is_empty() {
            print::out(&message.stream)?;
        }
    }
    Ok(0)
}

/// Standard input as a file: reads block a thread of the runtime's, not the runtime.
pub(crate) fn stdin() -> Result<tokio::fs::File, CliError> {
    let owned = std::io::stdin().as_fd().try_clone_to_owned();
    owned
        .map(|fd| tokio::fs::File::from_std(fd.into()))
        .map_err(|source| CliError::Io {
            what: "read standard input",
            source,
        })
}

/// The caller's file.
pub(super) async fn open(path: &str) -> Result<tokio::fs::File, CliError> {
    tokio::fs::File::open(path)
        .await
        .map_err(|source| CliError::File {
            path: path.to_owned(),
            source,
        })
}

/// What the daemon could only say after its answer's head had been sent.
pub(super) fn failure(message: &Progress) -> Option<CliError> {
    let text = match &message.error_detail {
        Some(detail) => detail.message.clone(),
        None if message.error.is_empty() => return None,
        None => message.error.clone(),
    };
    Some(CliError::Daemon {
        message: text,
        kind: ErrorKind::Internal,
    })
}
