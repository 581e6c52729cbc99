//! Standard input as a build's context: a Dockerfile, or an archive that the daemon takes as it is.

use std::io::Read as _;
use std::sync::{Arc, PoisonError};

use api::grpc::{ReceiverStream, Request, Status, Streaming};
use buildkit::BytesMessage;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::agent::Bytes;
use super::lend::Lent;
use crate::error::CliError;

const PIECE: usize = 64 << 10;
const PIECES: usize = 4;
/// What tells an archive from a file.
const HEADER: usize = 1024;
/// The longest Dockerfile, as the daemon has it.
const LONGEST: u64 = 16 << 20;

/// What standard input is.
#[derive(Debug)]
pub(crate) enum Input {
    /// A Dockerfile.
    Dockerfile(Vec<u8>),
    /// An archive: what has been read of it.
    Archive(Vec<u8>),
}

/// Looks at the beginning of standard input.
pub(super) fn look() -> Result<Input, CliError> {
    let mut begin = Vec::with_capacity(HEADER);
    let mut stdin = std::io::stdin().lock();
    let looked = stdin.by_ref().take(HEADER as u64).read_to_end(&mut begin);
    looked.map_err(unreadable)?;
    if begin.is_empty() {
        return Err(CliError::Invalid(
            "failed to build: invalid argument: stdin: the context is empty".to_owned(),
        ));
    }
    if is_archive(&begin) {
        return Ok(Input::Archive(begin));
    }
    stdin
        .take(LONGEST)
        .read_to_end(&mut begin)
        .map_err(unreadable)?;
    Ok(Input::Dockerfile(begin))
}

/// A Dockerfile on standard input, whatever it looks like.
pub(super) fn dockerfile() -> Result<Vec<u8>, CliError> {
    let mut text = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin
        .take(LONGEST)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    Ok(text)
}

fn unreadable(source: std::io::Error) -> CliError {
    CliError::Io {
        what: "read standard input",
        source,
    }
}

/// Whether these are the first bytes of an archive, packed or not.
fn is_archive(begin: &[u8]) -> bool {
    const PACKED: [&[u8]; 4] = [
        b"\x1f\x8b\x08",
        b"BZh",
        b"\xfd7zXZ\x00",
        b"\x28\xb5\x2f\xfd",
    ];
    if PACKED.iter().any(|magic| begin.starts_with(magic)) {
        return true;
    }
    let Some(header) = begin.first_chunk::<512>() else {
        return false;
    };
    tar::Header::from_byte_slice(header)
        .cksum()
        .is_ok_and(|sum| {
            let all: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            let own: u32 = header[148..156].iter().map(|byte| u32::from(*byte)).sum();
            sum == all - own + 8 * u32::from(b' ')
        })
}

/// `Upload.Pull`: gives the archive, once.
pub(super) async fn upload(
    lent: Arc<Lent>,
    _: Request<Streaming<BytesMessage>>,
) -> Result<Bytes, Status> {
    let begin = lent
        .upload
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let begin = begin.ok_or_else(|| Status::not_found("there is nothing on standard input"))?;
    let mut input = crate::commands::stdin().map_err(|e| Status::unknown(e.to_string()))?;
    let (send, receive) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        let mut data = begin;
        loop {
            if send.send(Ok(BytesMessage { data })).await.is_err() {
                return;
            }
            data = vec![0; PIECE];
            match input.read(&mut data).await {
                Ok(0) => return,
                Ok(count) => data.truncate(count),
                Err(error) => {
                    let _ = send.send(Err(Status::unknown(error.to_string()))).await;
                    return;
                }
            }
        }
    });
    Ok(ReceiverStream::new(receive))
}
