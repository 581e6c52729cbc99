//! Agents of ssh: the daemon's connections to them go on to their sockets.

use std::path::Path;
use std::sync::Arc;

use api::grpc::{ReceiverStream, Request, Status, Streaming};
use buildkit::BytesMessage;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::lend::Lent;

const PIECE: usize = 32 << 10;
const PIECES: usize = 4;
/// The name of the usual one.
const USUAL: &str = "default";

/// Messages of a stream.
pub(super) type Bytes = ReceiverStream<Result<BytesMessage, Status>>;

/// The socket of an agent.
pub(super) fn socket<'a>(lent: &'a Lent, id: &str) -> Result<&'a Path, Status> {
    let id = if id.is_empty() { USUAL } else { id };
    let socket = lent.agents.get(id);
    socket
        .map(std::path::PathBuf::as_path)
        .ok_or_else(|| Status::not_found(format!("unset ssh forward key {id}")))
}

/// `SSH.ForwardAgent`
pub(super) async fn forward(
    lent: Arc<Lent>,
    messages: Request<Streaming<BytesMessage>>,
) -> Result<Bytes, Status> {
    let id = messages.metadata().get("buildkit.ssh.id");
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    let path = socket(&lent, id)?;
    let agent = UnixStream::connect(path).await.map_err(|error| {
        Status::unknown(format!("failed to connect to {}: {error}", path.display()))
    })?;
    let (mut read, mut write) = agent.into_split();
    let mut messages = messages.into_inner();
    tokio::spawn(async move {
        while let Ok(Some(message)) = messages.message().await {
            if write.write_all(&message.data).await.is_err() {
                break;
            }
        }
    });
    let (send, receive) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        loop {
            let mut data = vec![0; PIECE];
            match read.read(&mut data).await {
                Ok(0) | Err(_) => break,
                Ok(count) => data.truncate(count),
            }
            if send.send(Ok(BytesMessage { data })).await.is_err() {
                break;
            }
        }
    });
    Ok(ReceiverStream::new(receive))
}
