//! An agent of the client's as a socket on this machine: every connection to it goes over the session.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use buildkit::BytesMessage;
use buildkit::session::FORWARD_AGENT;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;

use super::sessions::Session;
use super::wire;
use api::grpc::channel::Channel;

const PIECE: usize = 32 << 10;
const PIECES: usize = 4;

/// Connections to one agent at a time.
const MOST: usize = 32;

/// Where sockets are below the run root.
const DIRECTORY: &str = "agents";

/// Removes what a daemon that was killed has left.
pub(super) fn clear(run_root: &Path) {
    // Most often there is nothing.
    let _ = fs::remove_dir_all(run_root.join(DIRECTORY));
}

/// The socket; it is gone when this is dropped, with the connections to it.
#[derive(Debug)]
pub(super) struct Socket {
    dir: PathBuf,
    serving: AbortHandle,
}

impl Socket {
    /// Makes it below a directory.
    pub(super) fn open(run_root: &Path, session: &Session, id: &str) -> io::Result<Self> {
        let random = sys::random::bytes::<8>().map_err(io::Error::other)?;
        let name: String = random.iter().map(|b| format!("{b:02x}")).collect();
        let dir = run_root.join(DIRECTORY).join(name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)?;
        let listener = match UnixListener::bind(dir.join("agent")) {
            Ok(listener) => listener,
            Err(error) => {
                let _ = fs::remove_dir(&dir);
                return Err(error);
            }
        };
        let serving = tokio::spawn(serve(listener, session.channel.clone(), id.to_owned()));
        Ok(Self {
            dir,
            serving: serving.abort_handle(),
        })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.join("agent")
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.serving.abort();
        // What is left is found when the daemon starts.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Its connections end with it; so many there are at a time, others wait.
async fn serve(listener: UnixListener, channel: Channel, id: String) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MOST {
            connections.join_next().await;
        }
        let Ok((connection, _)) = listener.accept().await else {
            return;
        };
        connections.spawn(forward(connection, channel.clone(), id.clone()));
    }
}

async fn forward(connection: UnixStream, channel: Channel, id: String) {
    let (read, mut write) = connection.into_split();
    let (send, pieces) = mpsc::channel(PIECES);
    let headers = wire::headers(&[("buildkit.ssh.id", vec![id])]);
    let reading = tokio::spawn(pass(read, send));
    let opened = channel.both::<BytesMessage, BytesMessage>(
        FORWARD_AGENT,
        headers,
        ReceiverStream::new(pieces),
    );
    match opened.await {
        Ok(mut answers) => {
            while let Ok(Some(message)) = answers.message().await {
                if write.write_all(&message.data).await.is_err() {
                    break;
                }
            }
        }
        Err(status) => tracing::debug!("an agent does not answer: {}", status.message()),
    }
    reading.abort();
}

async fn pass(mut read: OwnedReadHalf, send: mpsc::Sender<BytesMessage>) {
    loop {
        let mut data = vec![0; PIECE];
        match read.read(&mut data).await {
            Ok(0) | Err(_) => return,
            Ok(count) => data.truncate(count),
        }
        if send.send(BytesMessage { data }).await.is_err() {
            return;
        }
    }
}
